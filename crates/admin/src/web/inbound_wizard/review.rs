//! The last step before saving: the connector in a sentence, as settings, as a command; what it
//! does to others; and an imagined message.

use serde_json::{Value, json};

use relais_policy::document::{
    ByteCount, IdentifiedBy, InboundConnector, InboundTls, SenderReplaced,
};

use super::look::{self, Finding};
use crate::lang::Lang;
use crate::phrasebook;
use crate::plain::typed_size;
use crate::web::ask::{Centre, Refused, address, list, quoted, text};
use crate::web::door::Visit;
use crate::web::drafts::Draft;
use crate::web::form::Form;

/// A client of no network: who is known by a user or a certificate can be anywhere.
const SOMEWHERE: &str = "203.0.113.1";

/// All that the page shows.
pub(in crate::web) struct Review {
    pub(in crate::web) sentence: Vec<String>,
    pub(in crate::web) settings: Vec<(String, String)>,
    /// The same, as the API takes it.
    pub(in crate::web) json: String,
    pub(in crate::web) precedence: Vec<Finding>,
    /// Why it cannot be saved so.
    pub(in crate::web) fault: String,
    pub(in crate::web) warnings: Vec<String>,
    pub(in crate::web) asked: Vec<(&'static str, String, String)>,
    pub(in crate::web) answer: Option<Simulated>,
}

/// What would happen to the imagined message.
pub(in crate::web) struct Simulated {
    pub(in crate::web) is_permitted: bool,
    pub(in crate::web) words: String,
    pub(in crate::web) steps: Vec<(String, String, String)>,
}

pub(super) async fn of(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
    asked: Option<&Form>,
) -> Result<Review, Refused> {
    let lang = visit.lang;
    let put = json!({
        "organisation": draft.organisation,
        "connector": draft.connector,
        "dry_run": true,
    });
    let told = centre
        .post(visit.caller(), "/connectors/inbound/put", &put)
        .await;
    let (fault, warnings) = match &told {
        Ok(told) => {
            let warnings = list(told, "warnings").iter().filter_map(Value::as_str);
            let mentions = |words: &&str| words.contains(&draft.connector.name);
            (
                String::new(),
                warnings
                    .filter(mentions)
                    .map(|words| phrasebook::told(visit.lang.0, words).into_owned())
                    .collect(),
            )
        }
        Err(refused) => (refused.detail.clone(), Vec::new()),
    };
    let imagined = imagined(centre, draft, asked);
    let answer = match asked {
        Some(_) => Some(simulate(centre, visit, draft, &imagined).await),
        None => None,
    };
    let fields = IMAGINED.iter().zip(imagined);
    Ok(Review {
        sentence: sentence(lang, &draft.connector, draft.more("user")),
        settings: settings_of(&draft.connector),
        json: json_of(draft),
        precedence: look::networks(centre, lang, draft),
        fault,
        warnings,
        asked: fields
            .map(|((name, key), value)| (*name, lang.t(key), value))
            .collect(),
        answer,
    })
}

/// What can be imagined: fields, and the keys of their words.
const IMAGINED: [(&str, &str); 7] = [
    ("simulate_ip", "simulate-ip"),
    ("simulate_from", "simulate-from"),
    ("simulate_to", "simulate-to"),
    ("simulate_user", "simulate-user"),
    ("simulate_tls", "simulate-tls"),
    ("simulate_certificate", "simulate-certificate"),
    ("simulate_size", "simulate-size"),
];

/// The address of a page that answers what this form asks.
pub(super) fn asked(path: &str, form: &Form) -> String {
    let fields = IMAGINED.iter().map(|(name, _)| (*name, form.get(name)));
    let fields: Vec<_> = std::iter::once(("simulate", "1")).chain(fields).collect();
    address(path, &fields) + "#simulated"
}

/// The message that the device will send next, in words, and what would happen to it.
pub(in crate::web) async fn imagine(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
) -> (String, Simulated) {
    let imagined = imagined(centre, draft, None);
    let [ip, from, to, ..] = &imagined;
    let parts = [("client", ip.as_str()), ("from", from), ("to", to)];
    let words = visit.lang.fill("listen-simulated", &parts);
    (words, simulate(centre, visit, draft, &imagined).await)
}

/// As asked for, else as the device will.
fn imagined(
    centre: &Centre,
    draft: &Draft<InboundConnector>,
    asked: Option<&Form>,
) -> [String; IMAGINED.len()] {
    if let Some(form) = asked {
        return IMAGINED.map(|(name, _)| form.get(name).to_owned());
    }
    let (settings, connector) = (centre.context.store.settings(), &draft.connector);
    let first = connector.sender_ip_addresses.first();
    let address = first.map(|network| {
        let mut hosts = network.hosts();
        hosts.next().unwrap_or_else(|| network.addr()).to_string()
    });
    let mut own = settings
        .domains()
        .filter(|(key, owned)| *key.organisation == *draft.organisation && owned.is_verified());
    let domain = own.next().map(|(key, _)| key.domain.to_string());
    let from = domain.map(|domain| format!("scan@{domain}"));
    let test = connector.test_recipients.first().cloned();
    let owner = settings.organisation(&draft.organisation);
    let postmaster = owner.map(|one| one.postmaster.clone());
    let needs_all = connector.identified_by == IdentifiedBy::All;
    let user = Some(draft.more("user")).filter(|_| address.is_none() || needs_all);
    let user = user.unwrap_or_default().to_owned();
    let fingerprints = connector.tls_sender_certificate_fingerprints.first();
    let name = connector.tls_sender_certificate_name.replace('*', "device");
    let certificate = Some(name).filter(|name| !name.is_empty());
    let certificate = certificate.or_else(|| fingerprints.cloned());
    let certificate = certificate.filter(|_| (address.is_none() && user.is_empty()) || needs_all);
    let is_encrypted =
        connector.tls == InboundTls::Required || !user.is_empty() || certificate.is_some();
    let unknown = || SOMEWHERE.to_owned();
    [
        address.unwrap_or_else(unknown),
        from.unwrap_or_default(),
        test.or(postmaster).unwrap_or_default(),
        user,
        if is_encrypted { "1.3" } else { "" }.to_owned(),
        certificate.unwrap_or_default(),
        String::new(),
    ]
}

async fn simulate(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
    [ip, from, to, user, tls, certificate, size]: &[String; IMAGINED.len()],
) -> Simulated {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let refused = |words: String| Simulated {
        is_permitted: false,
        words,
        steps: Vec::new(),
    };
    let size = match (size.as_str(), typed_size(size).parse::<ByteCount>()) {
        ("", _) => None,
        (_, Ok(size)) => Some(size.0),
        (_, Err(_)) => return refused(visit.lang.with("form-size-wrong", size)),
    };
    let asked = json!({
        "ip": ip,
        "from": from,
        "to": to,
        "credential": given(user),
        "tls": given(tls),
        "certificate_name": given(certificate),
        "size": size,
        "with": {
            "organisation": draft.organisation,
            "inbound_connector": draft.connector,
            "credential": given(draft.more("user")),
        },
    });
    match centre.post(visit.caller(), "/simulate", &asked).await {
        Ok(answer) => told(visit.lang, &answer),
        Err(fault) => refused(fault.detail),
    }
}

fn told(lang: Lang, answer: &Value) -> Simulated {
    let is_permitted = text(answer, "verdict") == "permit";
    let words = if is_permitted {
        let way = answer["outbound_connector"].as_str().unwrap_or("MX");
        let signers = list(answer, "signed_by").iter().filter_map(Value::as_str);
        let signers = signers.collect::<Vec<_>>().join(", ");
        let connector = text(answer, "inbound_connector");
        let taken = lang.fill("simulate-permit", &[("connector", connector), ("way", way)]);
        match signers.as_str() {
            "" => format!("{taken} {}", lang.t("simulate-unsigned")),
            signers => format!("{taken} {}", lang.with("simulate-signed", signers)),
        }
    } else {
        lang.with("simulate-refuse", text(answer, "reply"))
    };
    let steps = list(answer, "steps").iter().map(|step| {
        let word = |key: &str| phrasebook::told_part(lang.0, text(step, key)).into_owned();
        let answer = match text(step, "question") {
            "hours" => lang.hours(text(step, "answer")),
            _ => word("answer"),
        };
        (word("question"), answer, word("because"))
    });
    Simulated {
        is_permitted,
        words,
        steps: steps.collect(),
    }
}

/// A sentence begins with a capital letter.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next();
    first.map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// The connector for a person, in a few sentences.
pub(in crate::web) fn sentence(
    lang: Lang,
    connector: &InboundConnector,
    user: &str,
) -> Vec<String> {
    let value = json!(connector);
    let joined = |key: &str| {
        let entries = list(&value, key).iter().filter_map(Value::as_str);
        entries.collect::<Vec<_>>().join(", ")
    };
    let factors = [
        ("who-network", joined("sender_ip_addresses")),
        ("who-dns-name", joined("sender_dns_names")),
        (
            "who-certificate",
            connector.tls_sender_certificate_name.clone(),
        ),
        (
            "who-fingerprint",
            joined("tls_sender_certificate_fingerprints"),
        ),
        ("who-user", user.to_owned()),
    ];
    let named = factors.iter().filter(|(_, value)| !value.is_empty());
    let named: Vec<_> = named.map(|(key, value)| lang.with(key, value)).collect();
    let join = match text(&value, "identified_by") {
        "all" => lang.t("who-and"),
        _ => lang.t("who-or"),
    };
    let who = match named.as_slice() {
        [] => lang.t("who-credential"),
        named => named.join(&format!(" {join} ")),
    };
    let addresses = joined("sender_addresses");
    let from = match joined("sender_domains").as_str() {
        _ if connector.sender_replaced == SenderReplaced::All => {
            lang.with("from-one", &connector.sender_replacement)
        }
        _ if !addresses.is_empty() => addresses,
        "*" => lang.t("from-any"),
        domains => lang.with("from-domains", domains),
    };
    let to = match joined("recipient_domains").as_str() {
        "*" => lang.t("to-any"),
        "own" => lang.t("to-own"),
        domains => lang.with("to-domains", domains),
    };
    let parts = [
        ("who", who.as_str()),
        ("from", from.as_str()),
        ("to", to.as_str()),
    ];
    let mut all = vec![capitalised(&lang.fill("review-sentence", &parts))];
    all.push(match text(&value, "tls") {
        "required" => lang.t("review-tls-required"),
        "off" => lang.t("review-tls-off"),
        _ => lang.t("review-tls-offered"),
    });
    if let Some(size) = connector.limits.message_size_max {
        all.push(lang.with("review-size", &size.to_string()));
    }
    let replaces_local = connector.sender_replaced == SenderReplaced::Local
        && !connector.sender_replacement.is_empty();
    let hours = lang.hours(&connector.sending_hours);
    let more = [
        (
            replaces_local,
            "review-replaced",
            &connector.sender_replacement,
        ),
        (true, "review-old-tls", &connector.legacy_tls_until),
        (true, "review-hours", &hours),
        (true, "review-way", &connector.outbound_connector),
        (true, "review-archive", &connector.archive_address),
    ];
    let more = more
        .iter()
        .filter(|(is_said, _, value)| *is_said && !value.is_empty());
    all.extend(more.map(|(_, key, value)| lang.with(key, value)));
    all
}

/// What differs from the defaults, as the settings have it.
fn settings_of(connector: &InboundConnector) -> Vec<(String, String)> {
    let plain = json!(InboundConnector::new(&connector.name));
    let value = json!(connector);
    let keys = value.as_object().into_iter().flatten();
    let differing = keys.filter(|(key, value)| plain[key.as_str()] != **value);
    differing
        .map(|(key, value)| (key.clone(), value.to_string()))
        .collect()
}

/// What the API is asked for when it is saved.
fn json_of(draft: &Draft<InboundConnector>) -> String {
    let put = json!({ "organisation": draft.organisation, "connector": draft.connector });
    serde_json::to_string_pretty(&put).unwrap_or_default()
}

/// The flags of `relais connector inbound add`, with the keys that they set.
const FLAGS: [(&str, &str); 23] = [
    ("state", "--state"),
    ("sender_ip_addresses", "--ip"),
    ("tls_sender_certificate_name", "--certificate-name"),
    (
        "tls_sender_certificate_fingerprints",
        "--certificate-fingerprint",
    ),
    ("sender_dns_names", "--dns-name"),
    ("identified_by", "--identified-by"),
    ("test_recipients", "--test-recipient"),
    ("cleartext_auth", "--cleartext-auth"),
    ("sender_domains", "--sender-domain"),
    ("recipient_domains", "--recipient-domain"),
    ("tls", "--tls"),
    ("legacy_tls_until", "--legacy-tls-until"),
    ("preset", "--preset"),
    ("header_from", "--header-from"),
    ("envelope_sender", "--envelope-sender"),
    ("sender_addresses", "--sender-address"),
    ("sender_replacement", "--sender-replacement"),
    ("sender_replaced", "--sender-replaced"),
    ("accept_null_sender", "--accept-null-sender"),
    ("sending_hours", "--sending-hours"),
    ("outbound_connector", "--outbound-connector"),
    ("archive_address", "--archive-address"),
    ("tags", "--tag"),
];
/// The same for `limits`.
const LIMIT_FLAGS: [(&str, &str); 6] = [
    ("message_size_max", "--message-size-max"),
    ("recipients_per_message", "--recipients-per-message"),
    ("messages_per_minute", "--messages-per-minute"),
    ("recipients_per_hour", "--recipients-per-hour"),
    ("recipients_per_day", "--recipients-per-day"),
    ("connections", "--connections"),
];

/// The same for `content`.
const CONTENT_FLAGS: [(&str, &str); 6] = [
    ("checks", "--content-check"),
    ("timeout", "--content-timeout"),
    ("on_fault", "--content-on-fault"),
    ("on_finding", "--content-on-finding"),
    ("forbidden_extensions", "--forbidden-extension"),
    ("forbidden_types", "--forbidden-type"),
];

/// The same connector by the command line.
pub(in crate::web) fn command(verb: &str, connector: &InboundConnector) -> String {
    let (plain, value) = (
        json!(InboundConnector::new(&connector.name)),
        json!(connector),
    );
    let mut line = format!(
        "relais connector inbound {verb} {}",
        quoted(&connector.name)
    );
    let mut flag = |flag: &str, value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(all) => {
                let entries = all.iter().filter_map(Value::as_str);
                entries.collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        line.push_str(&format!(" {flag} {}", quoted(&text)));
    };
    for (key, name) in FLAGS {
        if plain[key] != value[key] {
            flag(name, &value[key]);
        }
    }
    if !connector.owner.is_empty() {
        flag("--owner", &json!(connector.owner));
    }
    for (key, name) in CONTENT_FLAGS {
        if plain["content"][key] != value["content"][key] {
            flag(name, &value["content"][key]);
        }
    }
    for (key, name) in LIMIT_FLAGS {
        let limit = &value["limits"][key];
        if !limit.is_null() {
            flag(name, limit.get("value").unwrap_or(limit));
        }
    }
    line
}
