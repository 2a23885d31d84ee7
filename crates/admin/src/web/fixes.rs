//! What is the matter with a message, what helps, and the page on which that is done: from our own
//! refusals by the catalogue, from those of next hops by what is known of them.
//!
//! Not here: making the change (the page that is led to).

use relais_policy::known_refusal::known_refusal;
use relais_policy::settings::Settings;
use relais_smtp::client::Stage;
use relais_smtp::domain::Domain;
use relais_smtp::reply::Reply;
use relais_store::trace::Event;

use super::ask::{address, segment};
use crate::lang::Lang;
use crate::words::{Language, advice, token};

/// For people.
pub(super) struct Fix {
    pub(super) cause: &'static str,
    pub(super) fix: &'static str,
    /// Where that is done, in words and as an address; `None`: not here.
    pub(super) link: Option<(String, String)>,
}

/// Of the last event that says what is the matter. `settings`: what the person may see of them.
pub(super) fn of(lang: Lang, settings: &Settings, events: &[Event]) -> Option<Fix> {
    events.iter().rev().find_map(|event| {
        let reply = event.reply.as_deref()?;
        if let Some((cause, fix)) = advice(reply, lang.0) {
            let link = own(lang, settings, event, token(reply)?);
            return Some(Fix { cause, fix, link });
        }
        foreign(lang, settings, event, reply)
    })
}

/// What a next hop's answer means: cause and fix, if it is known.
pub(super) fn in_words(lang: Lang, reply: &str) -> Option<(&'static str, &'static str)> {
    let known = known_refusal(Stage::Recipient, &Reply::parse_stored(reply)?)?;
    Some(match lang.0 {
        Language::English => (known.cause.en, known.fix.en),
        Language::French => (known.cause.fr, known.fix.fr),
    })
}

/// A next hop's refusal that is known.
fn foreign(lang: Lang, settings: &Settings, event: &Event, reply: &str) -> Option<Fix> {
    let parsed = Reply::parse_stored(reply)?;
    // Which line it answered is not in the event; few are told apart by that.
    let known = known_refusal(Stage::Recipient, &parsed)?;
    let (cause, fix) = in_words(lang, reply)?;
    let link = if known.is_about_dns {
        domain(lang, settings, event, event.from.as_deref())
    } else {
        outbound(lang, settings, event)
    };
    Some(Fix { cause, fix, link })
}

/// The page for a token of ours.
fn own(lang: Lang, settings: &Settings, event: &Event, token: &str) -> Option<(String, String)> {
    let page = |key: &str, path: &str| {
        let words = lang.with("story-fix-page", &lang.t(key));
        Some((words, path.to_owned()))
    };
    match token {
        "SRC-UNKNOWN" => page("nav-attempts", "/attempts"),
        "FROM-DOMAIN" | "FROM-LAPSED" => domain(lang, settings, event, event.from.as_deref()),
        "HDR-DOMAIN" => domain(lang, settings, event, event.header_from.as_deref()),
        "TLS-REQUIRED" | "SRC-SHARED" | "CERT-NOMATCH" | "CONN-OFF" | "SANDBOX" | "RCPT-SCOPE"
        | "FROM-NULL" | "HOURS" | "RCPT-MANY" | "HDR-FROM" | "HDR-BARELF" | "SIZE" | "AUTH-TLS" => {
            inbound(lang, settings, event).or_else(|| page("nav-inbound", "/connectors/inbound"))
        }
        // Who logged in is limited by its credential, else by its connector.
        "FROM-DENIED" => match event
            .client
            .as_ref()
            .and_then(|one| one.credential.as_ref())
        {
            Some(_) => page("nav-credentials", "/credentials"),
            None => inbound(lang, settings, event),
        },
        "AUTH-BAD" | "AUTH-SRC" | "AUTH-TLSLEVEL" | "AUTH-DISABLED" | "AUTH-REQUIRED" => {
            page("nav-credentials", "/credentials")
        }
        "FROM-UNLICENSED" => page("nav-licences", "/licences"),
        "IP-BLOCKED" | "CONN-BLOCKED" | "TENANT-BLOCKED" | "FROM-BLOCKED" | "RCPT-BLOCKED"
        | "HELD-FULL" => page("nav-restricted", "/restricted"),
        "CONN-LIMIT" | "RATE" | "QUOTA-H" | "QUOTA-D" => page("nav-limits", "/limits"),
        "RCPT-UNKNOWN" => page("nav-directory", "/directory"),
        "RCPT-SUPPRESSED" => page("nav-suppression", "/suppression"),
        "CONTENT" | "CHECK-LATER" => page("nav-settings", "/settings/content"),
        "BUSY" | "LOCAL" | "TLS-TEMP" => page("nav-health", "/health"),
        _ => None,
    }
}

/// The sender's domain, where it is one of ours; else where one is added.
fn domain(
    lang: Lang,
    settings: &Settings,
    event: &Event,
    address_of: Option<&str>,
) -> Option<(String, String)> {
    let (_, name) = address_of?.rsplit_once('@')?;
    let name = Domain::parse(name).ok()?;
    let organisation = event.organisation.as_deref();
    let known = settings.domains().map(|(key, _)| key);
    let mut known = known.filter(|key| organisation.is_none_or(|own| *key.organisation == *own));
    let Some(key) = known.find(|key| key.domain == name) else {
        let words = lang.with("story-fix-page", &lang.t("nav-domains"));
        return Some((words, "/domains".to_owned()));
    };
    let path = format!("/domains/{}", segment(key.domain.as_str()));
    let path = address(&path, &[("organisation", &key.organisation)]);
    Some((lang.with("story-fix-domain", key.domain.as_str()), path))
}

/// The connector by which it came, to be adjusted.
pub(super) fn inbound(lang: Lang, settings: &Settings, event: &Event) -> Option<(String, String)> {
    let organisation = event.organisation.as_deref()?;
    let name = event.inbound_connector.as_deref()?;
    settings.inbound_connector(organisation, name)?;
    let path = format!(
        "/connectors/inbound/{}/{}",
        segment(organisation),
        segment(name)
    );
    Some((lang.with("story-fix-connector", name), path))
}

fn outbound(lang: Lang, settings: &Settings, event: &Event) -> Option<(String, String)> {
    let organisation = event.organisation.as_deref()?;
    let name = event.outbound_connector.as_deref()?;
    let owners = &settings.document.organisation;
    let owner = owners.iter().find(|one| one.name == organisation)?;
    owner
        .outbound_connector
        .iter()
        .find(|one| one.name == name)?;
    let path = format!(
        "/connectors/outbound/{}/{}",
        segment(organisation),
        segment(name)
    );
    Some((lang.with("story-fix-connector", name), path))
}
