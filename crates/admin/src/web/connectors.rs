//! One connector: who may send through us, or how mail leaves; to read, with the ways to change it.
//!
//! Not here: the lists of them (`connector_lists`).

use std::collections::HashSet;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_policy::document::{AuthMethod, ConnectorState};
use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::charts::Chart;
use super::door::{Reader, Visit};
use super::inbound_form::Section;
use super::inbound_wizard::sentence;
use super::page::{self, Frame};
use super::trace::Status;
use super::{activity, names, outbound_form, standing, switching};
use crate::api::connector_changes::revision;
use crate::lang::Lang;
use crate::permission::Action;
use crate::phrasebook::told_word;
use crate::times;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route(
            "/connectors/inbound/{organisation}/{name}",
            get(inbound_detail),
        )
        .route(
            "/connectors/outbound/{organisation}/{name}",
            get(outbound_detail),
        )
}

/// Which of the two.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Side {
    Inbound,
    Outbound,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    pub(super) fn title(self, lang: Lang) -> String {
        match self {
            Self::Inbound => lang.t("nav-inbound"),
            Self::Outbound => lang.t("nav-outbound"),
        }
    }
}

/// A connector in a line.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) organisation: String,
    pub(super) state: Option<Status>,
    /// Addresses, names; or smart hosts.
    pub(super) marks: Vec<String>,
    pub(super) domains: String,
    pub(super) tls: String,
}

fn state(lang: Lang, name: &str) -> Status {
    let (tone, icon, key) = match name {
        "enabled" => ("good", "✓", "connector-enabled"),
        "observing" => ("waiting", "◔", "connector-observing"),
        "draft" => ("waiting", "✎", "connector-draft"),
        _ => ("bad", "✕", "connector-disabled"),
    };
    let word = lang.t(key);
    Status { tone, icon, word }
}

/// A value of the settings in a line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(all) => {
            let pairs = all.iter().filter(|(_, value)| !shown(value).is_empty());
            let pairs = pairs.map(|(key, value)| format!("{key} = {}", shown(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

pub(super) fn row(lang: Lang, side: Side, value: &Value) -> Row {
    let (name, organisation) = (text(value, "name"), text(value, "organisation"));
    let marks = match side {
        Side::Inbound => [
            "sender_ip_addresses",
            "tls_sender_certificate_name",
            "tls_sender_certificate_fingerprints",
            "sender_dns_names",
        ]
        .as_slice(),
        Side::Outbound => &["smart_hosts"],
    };
    let all = marks.iter().map(|key| shown(&value[*key]));
    let all = all.filter(|text| !text.is_empty());
    let domains = match side {
        Side::Inbound => shown(&value["sender_domains"]),
        Side::Outbound => shown(&value["recipient_domains"]),
    };
    let domains = match (side, domains.as_str()) {
        (Side::Inbound, "*") => lang.t("form-senders-any"),
        (Side::Outbound, "*") => lang.t("route-scope-any"),
        (_, "own") => lang.t("route-scope-own"),
        _ => domains,
    };
    Row {
        name: name.to_owned(),
        address: format!(
            "/connectors/{}/{}/{}",
            side.name(),
            segment(organisation),
            segment(name)
        ),
        organisation: organisation.to_owned(),
        state: Some(state(lang, text(value, "state"))),
        marks: all.collect(),
        domains,
        tls: lang.t(tls_words(side, text(value, "tls"))),
    }
}

/// The key of what a level of TLS is called.
fn tls_words(side: Side, level: &str) -> &'static str {
    match (side, level) {
        (Side::Inbound, "required") => "form-tls-required",
        (Side::Inbound, "offered") => "form-tls-offered",
        (Side::Inbound, _) => "form-tls-off",
        (Side::Outbound, "opportunistic") => "route-tls-opportunistic",
        (Side::Outbound, "encryption-only") => "route-tls-encryption",
        (Side::Outbound, "certificate-validation") => "route-tls-certificate",
        (Side::Outbound, "domain-validation") => "route-tls-domain",
        (Side::Outbound, _) => "route-tls-none",
    }
}

pub(super) async fn all(centre: &Centre, visit: &Visit, side: Side) -> Result<Value, Refused> {
    let path = format!("/connectors/{}", side.name());
    centre.get(visit.caller(), &path, &[]).await
}

type Named = Path<(String, String)>;

async fn inbound_detail(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(named): Named,
) -> Response {
    detail(&centre, &visit, Side::Inbound, &named).await
}

async fn outbound_detail(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(named): Named,
) -> Response {
    detail(&centre, &visit, Side::Outbound, &named).await
}

#[derive(Template)]
#[template(path = "connector.html")]
struct Detail {
    frame: Frame,
    connector: Row,
    back: String,
    back_address: String,
    activity: String,
    settings: Vec<(String, String)>,
    inbound: Option<Inbound>,
    outbound: Option<Outbound>,
    /// How a way out stands.
    standing: Option<standing::Part>,
    /// Its own page.
    address: String,
    history: Vec<Past>,
}

/// What an inbound connector has beside its settings.
struct Inbound {
    base: String,
    sentence: Vec<String>,
    sections: Vec<(&'static str, String)>,
    revision: String,
    is_enabled: bool,
    /// When it brought its last message; empty: it did not, or this person may not know.
    last: String,
    /// It brought none yet.
    is_waiting: bool,
    /// Each with the list of those that have it.
    tags: Vec<(String, String)>,
    activity: Option<Chart>,
}

/// What an outbound connector has beside its settings.
struct Outbound {
    base: String,
    sections: Vec<(&'static str, String)>,
    revision: String,
    is_enabled: bool,
    /// Its tokens are had for a person's sign-in.
    has_sign_in: bool,
}

/// A state is told in words too.
fn in_words(lang: Lang, value: String) -> String {
    match told_word(lang.0, &value) {
        Some(word) => format!("{word} ({value})"),
        None => value,
    }
}

/// A change of it.
struct Past {
    version: u64,
    time: String,
    actor: String,
    /// Before and after.
    lines: Vec<String>,
    /// Both states are still known, and it was there before.
    can_revert: bool,
}

async fn detail(
    centre: &Centre,
    visit: &Visit,
    side: Side,
    (organisation, name): &(String, String),
) -> Response {
    let lang = visit.lang;
    let answer = match all(centre, visit, side).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let found = list(&answer, "connectors").iter().find(|one| {
        text(one, "organisation") == organisation.as_str() && text(one, "name") == name.as_str()
    });
    let Some(found) = found else {
        return page::failed(visit, StatusCode::NOT_FOUND, &lang.t("error-not-found"));
    };
    let settings = found.as_object().into_iter().flatten();
    let settings = settings.map(|(key, value)| (key.clone(), shown(value)));
    let activity = match side {
        Side::Inbound => address("/trace", &[("q", &format!("connector:\"{name}\""))]),
        Side::Outbound => address(
            "/trace",
            &[("q", &format!("connector:\"{name}\"")), ("since", "30d")],
        ),
    };
    let inbound = match side {
        Side::Inbound => inbound_part(centre, visit, (organisation, name)).await,
        Side::Outbound => None,
    };
    let done = match visit.query.get("done") {
        "" => String::new(),
        "reverted" => lang.t("connector-reverted"),
        _ => lang.t("edit-done"),
    };
    let connector = row(lang, side, found);
    let standing = match side {
        Side::Inbound => None,
        Side::Outbound => standing::one(centre, visit, (organisation, name))
            .await
            .ok(),
    };
    let command = format!("relais connector {} show {}", side.name(), quoted(name));
    let frame = Frame::new(visit, side.name(), name)
        .command(command)
        .done(done);
    page::send(&Detail {
        standing: standing.map(|one| standing::Part::new(lang, &one)),
        inbound,
        history: history(centre, visit, side, (organisation, name)).await,
        address: connector.address.clone(),
        outbound: match side {
            Side::Outbound => outbound_part(centre, visit, (organisation, name)),
            Side::Inbound => None,
        },
        connector,
        back: side.title(lang),
        back_address: format!("/connectors/{}", side.name()),
        activity,
        settings: settings
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key, in_words(lang, value)))
            .collect(),
        frame: match side {
            Side::Inbound => frame,
            Side::Outbound => frame.api(standing::call(organisation, name)),
        },
    })
}

fn outbound_part(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Option<Outbound> {
    let settings = centre.settings(visit.caller());
    let connector = settings.outbound_connector(organisation, name)?;
    let sections = outbound_form::Section::ALL;
    Some(Outbound {
        base: switching::Side::Outbound.base(organisation, name),
        sections: sections
            .map(|one| (one.name(), one.title(visit.lang)))
            .into(),
        revision: revision(connector),
        is_enabled: connector.state == ConnectorState::Enabled,
        has_sign_in: connector.auth.method == AuthMethod::Xoauth2
            && !connector.auth.parameters.contains_key("grant"),
    })
}

/// Changes of one connector that are shown.
const CHANGES_MAX: usize = 20;
/// Versions of the settings that are looked through for them.
const VERSIONS_MAX: usize = 500;

async fn inbound_part(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Option<Inbound> {
    let lang = visit.lang;
    let settings = centre.settings(visit.caller());
    let owned = settings.inbound_connector(organisation, name)?;
    let asked = format!("connector:\"{name}\" status:accepted");
    let query = [("q", asked.as_str()), ("limit", "1")];
    let last = centre.get(visit.caller(), "/trace", &query).await;
    let is_known = last.is_ok();
    let last = last.ok().and_then(|found| {
        let first = list(&found, "events").first()?;
        let time = Timestamp::parse_rfc3339(text(first, "time"))?;
        Some(times::zoned(lang, time))
    });
    let tags = owned.connector.tags.iter();
    Some(Inbound {
        base: format!(
            "/connectors/inbound/{}/{}",
            segment(organisation),
            segment(name)
        ),
        sentence: sentence(lang, owned.connector, ""),
        sections: Section::ALL.map(|one| (one.name(), one.title(lang))).into(),
        revision: revision(owned.connector),
        is_enabled: owned.connector.state == ConnectorState::Enabled,
        is_waiting: is_known && last.is_none(),
        last: last
            .map(|time| lang.with("edit-last", &time))
            .unwrap_or_default(),
        tags: tags
            .map(|tag| (address("/connectors/inbound", &[("tag", tag)]), tag.clone()))
            .collect(),
        activity: match visit.may(Action::ReadMail) {
            true => activity::chart(centre, lang, (organisation, name)).await,
            false => None,
        },
    })
}

/// What was changed of it, the last change first.
async fn history(
    centre: &Centre,
    visit: &Visit,
    side: Side,
    (organisation, name): (&str, &str),
) -> Vec<Past> {
    if !visit.may(Action::ReadSettings) {
        return Vec::new();
    }
    let object = format!(
        "organisation {organisation}, {} connector {name}",
        side.name()
    );
    let versions = centre.context.store.settings_versions(VERSIONS_MAX).await;
    let versions = versions.unwrap_or_default();
    let kept = versions.iter().filter(|one| one.document_kept);
    let kept: HashSet<_> = kept.map(|one| one.version).collect();
    let history = versions.into_iter().filter_map(|one| {
        let about = |line: &String| {
            let words = line.split_once(' ').map_or("", |(_, rest)| rest);
            let rest = words.strip_prefix(object.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        let lines = one.summary.into_iter().filter(about);
        let lines: Vec<_> = lines.collect();
        let before = one.version.saturating_sub(1);
        let is_creation = lines.iter().any(|line| line.starts_with("created "));
        let lines = lines.iter().map(|line| names::told_line(visit.lang, line));
        let lines: Vec<_> = lines.collect();
        (!lines.is_empty()).then(|| Past {
            can_revert: !is_creation && kept.contains(&one.version) && kept.contains(&before),
            version: one.version,
            time: times::of(visit.lang, one.time),
            actor: one.actor,
            lines,
        })
    });
    history.take(CHANGES_MAX).collect()
}
