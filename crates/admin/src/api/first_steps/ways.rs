//! How mail leaves: the ways that fit this machine and this domain, in the order in which they
//! should be looked at, and choosing one.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::check::Verdict;
use relais_policy::desk::Words;
use relais_policy::document::{
    AuthMethod, ConnectorState, Organisation, OutboundConnector, OutboundTls,
};
use relais_policy::preset::{OutboundPreset, outbound_presets};
use relais_policy::settings::{HostPort, SMTP_PORT};
use relais_smtp::address::Host;
use relais_smtp::domain::Domain;
use relais_smtp::secret::Secret;

use super::super::outbound::secret_of;
use super::{Progress, apply, first_domain, must, organisation, shell, state};
use crate::checks::kept;
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// People wait for the page.
const MX_TIMEOUT: Duration = Duration::from_secs(4);
/// By MX, without any connector.
const DIRECT: &str = "direct";
/// The preset for any server.
const PLAIN: &str = "plain";

/// Whose mailboxes the domain's MX leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Provider {
    /// With the host that takes mail for the domain.
    Microsoft(String),
    Google,
    Other,
}

impl Provider {
    fn of(exchangers: &[String]) -> Self {
        let ends = |host: &str, end: &str| host == end || host.ends_with(&format!(".{end}"));
        for host in exchangers {
            if ends(host, "mail.protection.outlook.com") || ends(host, "mx.microsoft") {
                return Self::Microsoft(host.clone());
            }
            if ends(host, "google.com") || ends(host, "googlemail.com") {
                return Self::Google;
            }
        }
        Self::Other
    }

    /// Whether it is theirs: then the way comes first.
    fn owns(&self, way: &str) -> bool {
        match self {
            Self::Microsoft(_) => way.starts_with("microsoft-"),
            Self::Google => way.starts_with("google-"),
            Self::Other => false,
        }
    }
}

/// One way, as people are shown it.
struct Way {
    name: String,
    title: Words,
    /// None: it fits.
    hindrance: Option<Words>,
    /// Fields of the form that it needs.
    asks: Vec<&'static str>,
    smart_host: String,
    /// It needs more than a form has: the wizard of outbound connectors, or the command line.
    is_elsewhere: bool,
}

impl Way {
    fn to_json(&self, provider: &Provider) -> Value {
        let hindrance = self.hindrance.as_ref();
        json!({
            "name": self.name,
            "title": self.title.english,
            "title_fr": self.title.french,
            "fits": hindrance.is_none(),
            "because": hindrance.map(|words| &words.english),
            "because_fr": hindrance.map(|words| &words.french),
            "recommended": provider.owns(&self.name) && hindrance.is_none(),
            "asks": self.asks,
            "smart_host": self.smart_host,
            "elsewhere": self.is_elsewhere,
        })
    }
}

/// `{"port_25","provider","ways":[{"name","title","fits","because","recommended","asks",
/// "smart_host","elsewhere"}]}`, the ways that should be looked at first in front.
pub(super) async fn show(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let open = port_25(&context).await?;
    let provider = provider(&context).await;
    let ways = ways(open, &provider);
    let name = match &provider {
        Provider::Microsoft(_) => "microsoft",
        Provider::Google => "google",
        Provider::Other => "other",
    };
    Ok(Json(json!({
        "port_25": open,
        "provider": name,
        "ways": ways.iter().map(|way| way.to_json(&provider)).collect::<Vec<_>>(),
    })))
}

/// Whether port 25 is open on the way out, as the checks found it last; none: not known.
async fn port_25(context: &AdminContext) -> Result<Option<bool>, Problem> {
    let kept = kept(&context.store).await?;
    let check = kept
        .checks
        .iter()
        .find(|one| one.name == "port-25" && one.subject == "IPv4");
    let has_targets = context
        .premises
        .as_ref()
        .is_some_and(|it| !it.port25_probes.is_empty());
    Ok(match check.map(|check| check.verdict()) {
        Some(Verdict::Ok) => Some(true),
        Some(Verdict::Broken | Verdict::Attention | Verdict::Advice) => Some(false),
        // Nothing uses it so far; without targets nobody asked.
        Some(Verdict::NotApplicable) if has_targets => Some(false),
        Some(Verdict::NotApplicable | Verdict::Unknown) | None => None,
    })
}

async fn provider(context: &AdminContext) -> Provider {
    let Some((name, _)) = first_domain(&context.store.settings()) else {
        return Provider::Other;
    };
    let (Some(dns), Ok(domain)) = (&context.dns, Domain::parse(&name)) else {
        return Provider::Other;
    };
    let until = context.clock.moment() + MX_TIMEOUT;
    let asked = context.clock.within(until, dns.resolver.mx(&domain)).await;
    let found = asked.ok().and_then(Result::ok).map(|answer| answer.records);
    let hosts = found.unwrap_or_default();
    let hosts: Vec<_> = hosts
        .iter()
        .filter_map(|mx| Some(mx.exchange.as_ref()?.to_string()))
        .collect();
    Provider::of(&hosts)
}

fn ways(open: Option<bool>, provider: &Provider) -> Vec<Way> {
    let blocked = || {
        Words::new(
            "Port 25 is closed on the way out.",
            "Le port 25 est fermé en sortie.",
        )
    };
    let mut ways = vec![Way {
        name: DIRECT.to_owned(),
        title: Words::new(
            "Directly to the servers of the recipients (MX)",
            "Directement aux serveurs des destinataires (MX)",
        ),
        hindrance: (open == Some(false)).then(blocked),
        asks: Vec::new(),
        smart_host: String::new(),
        is_elsewhere: false,
    }];
    ways.extend(
        outbound_presets()
            .into_iter()
            .map(|preset| of_preset(&preset, open, provider)),
    );
    // What fits in front, the provider's own before the rest; else in the order of the presets.
    ways.sort_by_key(|way| (way.hindrance.is_some(), !provider.owns(&way.name)));
    ways
}

fn of_preset(preset: &OutboundPreset, open: Option<bool>, provider: &Provider) -> Way {
    let keys = &preset.keys;
    let method = keys
        .get("auth")
        .and_then(|auth| auth.get("method")?.as_str());
    let own = keys
        .get("smart_hosts")
        .and_then(|hosts| hosts.get(0)?.as_str());
    // Microsoft's servers for a tenant take mail on port 25 only, and are the MX of its domain.
    let by_tenant = own.is_none() && preset.name != PLAIN;
    let smart_host = match (own, provider) {
        (Some(host), _) => host.to_owned(),
        (None, Provider::Microsoft(host)) if by_tenant => format!("{host}:{SMTP_PORT}"),
        (None, _) => String::new(),
    };
    let mut asks = vec!["smart_host"];
    if method == Some("password") || matches!(preset.name.as_str(), PLAIN | "google-relay") {
        asks.extend(["user", "password"]);
    }
    Way {
        title: Words::new(preset.title.as_str(), french(preset)),
        hindrance: (by_tenant && open == Some(false)).then(|| {
            Words::new(
                "It needs port 25, which is closed on the way out.",
                "Elle demande le port 25, fermé en sortie.",
            )
        }),
        asks,
        smart_host,
        is_elsewhere: matches!(method, Some("xoauth2" | "certificate")),
        name: preset.name.clone(),
    }
}

/// Names of products stay as they are.
fn french(preset: &OutboundPreset) -> String {
    let french = match preset.name.as_str() {
        "microsoft-365-certificate" => "Microsoft 365, connecteur par certificat",
        "microsoft-365-address" => "Microsoft 365, connecteur par adresse",
        "microsoft-365-oauth" => "Microsoft 365, envoi SMTP client par OAuth",
        "google-relay" => "Relais SMTP de Google Workspace",
        PLAIN => "Tout autre hôte intelligent, chiffré s’il le peut",
        _ => &preset.title,
    };
    french.to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    /// `direct`, or a preset.
    way: String,
    /// `host:port`; empty: the preset's.
    #[serde(default)]
    smart_host: String,
    #[serde(default)]
    user: String,
    /// Kept as a secret, never told again.
    #[serde(default)]
    password: String,
    /// `en`, `fr`: in which the connector is named.
    #[serde(default)]
    language: String,
}

/// Makes the connector, and takes the one of an earlier choice out of use.
pub(super) async fn choose(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(choice): Input<Choice>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let owner = must(organisation(&settings))?.name.clone();
    let mut progress = Progress::read(&context.store).await?;
    let before = progress.connector.take();
    let chosen = match choice.way.as_str() {
        DIRECT => None,
        _ => Some(connector(&choice)?),
    };
    // With the connector in one transaction: no mail goes to the host without its password.
    let secret = match &chosen {
        Some(chosen) if !choice.password.is_empty() => {
            let whose = (owner.as_str(), chosen.name.as_str(), "password");
            Some(secret_of(whose, Secret::from(choice.password.clone()))?)
        }
        _ => None,
    };
    let make = |found: Option<&Organisation>| {
        let found = must(found)?;
        let mut made = shell(found);
        let is_other = |one: &&OutboundConnector| {
            Some(&one.name) == before.as_ref()
                && chosen.as_ref().is_none_or(|it| it.name != one.name)
        };
        if let Some(old) = found.outbound_connector.iter().find(is_other) {
            made.outbound_connector.push(OutboundConnector {
                state: ConnectorState::Disabled,
                ..old.clone()
            });
        }
        let chosen = chosen.as_ref().map(|chosen| chosen_over(chosen, found));
        made.outbound_connector.extend(chosen);
        Ok(made)
    };
    apply(&context, &caller, secret.as_ref(), make).await?;
    progress.connector = chosen.map(|chosen| chosen.name);
    progress.way = Some(choice.way);
    progress.keep(&context).await?;
    Ok(Json(state(&context).await?))
}

/// What is chosen is what the form says; else a connector of that name stays as it is.
fn chosen_over(chosen: &OutboundConnector, owner: &Organisation) -> OutboundConnector {
    let mut known = owner.outbound_connector.iter();
    let Some(known) = known.find(|one| one.name == chosen.name) else {
        return chosen.clone();
    };
    OutboundConnector {
        state: chosen.state,
        smart_hosts: chosen.smart_hosts.clone(),
        tls: chosen.tls,
        tls_domain: chosen.tls_domain.clone(),
        auth: chosen.auth.clone(),
        ..known.clone()
    }
}

fn connector(choice: &Choice) -> Result<OutboundConnector, Problem> {
    let presets = outbound_presets().into_iter();
    let preset = presets.into_iter().find(|one| one.name == choice.way);
    let preset = preset
        .ok_or_else(|| Problem::bad_request(format!("There is no way \"{}\".", choice.way)))?;
    let mut keys = preset.keys.clone();
    let name = match choice.language.as_str() {
        "fr" => french(&preset),
        _ => preset.title.clone(),
    };
    keys.insert("name".to_owned(), name.into());
    let mut made: OutboundConnector = keys
        .try_into()
        .map_err(|error| Problem::bad_request(format!("{}: {error}", preset.name)))?;
    if matches!(
        made.auth.method,
        AuthMethod::Xoauth2 | AuthMethod::Certificate
    ) {
        let detail =
            "This way needs a sign-in or a certificate: make it under Outbound connectors.";
        return Err(Problem::bad_request(detail));
    }
    let host = choice.smart_host.trim();
    if !host.is_empty() {
        let read = HostPort::parse(host, SMTP_PORT)
            .ok_or_else(|| Problem::bad_request(format!("\"{host}\" is no host:port.")))?;
        // The name that the preset demands is that of its own host.
        if let (OutboundTls::DomainValidation, Host::Domain(domain)) = (made.tls, &read.host)
            && !made.tls_domain.starts_with("*.")
        {
            made.tls_domain = domain.to_string();
        }
        made.smart_hosts = vec![host.to_owned()];
    }
    if made.smart_hosts.is_empty() {
        return Err(Problem::bad_request(
            "Type the address of the smart host, as host:port.",
        ));
    }
    let user = choice.user.trim();
    if !user.is_empty() {
        made.auth.method = AuthMethod::Password;
        user.clone_into(&mut made.auth.user);
        // A password goes to nobody whose name is not proved.
        if made.tls == OutboundTls::Opportunistic
            && let Some(HostPort {
                host: Host::Domain(domain),
                ..
            }) = HostPort::parse(&made.smart_hosts[0], SMTP_PORT)
        {
            made.tls = OutboundTls::DomainValidation;
            made.tls_domain = domain.to_string();
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(open: Option<bool>, exchangers: &[&str]) -> Vec<String> {
        let hosts: Vec<_> = exchangers.iter().map(|&host| host.to_owned()).collect();
        let found = ways(open, &Provider::of(&hosts));
        found
            .into_iter()
            .filter(|way| way.hindrance.is_none())
            .map(|way| way.name)
            .collect()
    }

    #[test]
    fn what_the_domains_exchanger_and_port_25_allow_comes_first() {
        let tenant = "contoso-com.mail.protection.outlook.com";
        assert_eq!(names(Some(true), &["mx.contoso.test"])[0], "direct");
        assert!(names(Some(true), &[tenant])[0].starts_with("microsoft-365"));
        assert_eq!(names(None, &["aspmx.l.google.com"])[0], "google-relay");
        assert_eq!(names(Some(true), &["notgoogle.com"])[0], "direct");
        let closed = names(Some(false), &[tenant]);
        assert_eq!(closed[0], "microsoft-365-oauth");
        for needs_25 in [
            "direct",
            "microsoft-365-certificate",
            "microsoft-365-address",
        ] {
            assert!(!closed.iter().any(|name| name == needs_25), "{closed:?}");
        }
    }

    #[test]
    fn the_tenants_own_server_is_proposed() {
        let host = "contoso-com.mail.protection.outlook.com";
        let found = ways(Some(true), &Provider::Microsoft(host.to_owned()));
        let by_address = found.iter().find(|way| way.name == "microsoft-365-address");
        assert_eq!(by_address.expect("a way").smart_host, format!("{host}:25"));
    }

    #[test]
    fn a_password_goes_only_to_a_host_whose_name_is_proved() {
        let choice = |way: &str, user: &str| Choice {
            way: way.to_owned(),
            smart_host: "smtp.provider.example:587".to_owned(),
            user: user.to_owned(),
            password: String::new(),
            language: String::new(),
        };
        let plain = connector(&choice("plain", "")).expect("a connector");
        assert_eq!(plain.tls, OutboundTls::Opportunistic);
        let named = connector(&choice("plain", "relais")).expect("a connector");
        assert_eq!(
            (named.tls, &*named.tls_domain),
            (OutboundTls::DomainValidation, "smtp.provider.example")
        );
        assert!(connector(&choice("microsoft-365-oauth", "")).is_err());
        assert!(connector(&choice("carrier-pigeon", "")).is_err());
        let nothing = Choice {
            smart_host: String::new(),
            ..choice("plain", "")
        };
        assert!(connector(&nothing).is_err());
    }

    #[test]
    fn a_connector_is_named_in_the_language_of_who_chose_it() {
        let named = |language: &str| {
            let choice = Choice {
                way: "plain".to_owned(),
                smart_host: "smtp.provider.example:587".to_owned(),
                user: String::new(),
                password: String::new(),
                language: language.to_owned(),
            };
            connector(&choice).expect("a connector").name
        };
        assert_eq!(named("en"), "Any smart host, encrypted where it can");
        assert_eq!(
            named("fr"),
            "Tout autre hôte intelligent, chiffré s’il le peut"
        );
    }
}
