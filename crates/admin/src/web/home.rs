//! Home: how it stands in one sentence, what needs attention, what is left to set up.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_policy::alert::RuleKind;
use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused, list, text};
use super::charts::Chart;
use super::door::{Reader, Visit};
use super::files;
use super::page::{self, Frame};
use super::queue::suspended::scope;
use super::setup::{self, Step};
use super::{records, reports};
use crate::alerts::words;
use crate::lang::Lang;
use crate::permission::Action;
use crate::phrasebook::told;
use crate::plain::clean;
use crate::times;

/// A certificate that ends within so many days needs attention; the same as the warnings.
const CERTIFICATE_DAYS: u64 = 30;
/// Columns of the file.
const HEAD: [&str; 5] = ["ready", "queued", "deferred", "held", "oldest_age_s"];
/// Matters of attention that are shown.
const MATTERS_MAX: usize = 20;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/", get(show))
        .route("/home.csv", get(file))
        .route("/home.json", get(file))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    is_well: bool,
    sentence: String,
    /// What ends next, and when; empty where nothing has an end.
    next_end: String,
    waiting: Vec<(String, String, String)>,
    matters: Vec<Matter>,
    steps: Vec<Step>,
    charts: Vec<Chart>,
    files: Vec<(&'static str, String)>,
}

/// Something to look at.
struct Matter {
    words: String,
    address: &'static str,
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if !visit.may(Action::SeeState) {
        return page::go(page::first_page(&visit));
    }
    match compose(&centre, &visit).await {
        Ok(home) => page::send(&home),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// The counts of the page as a file.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/status", &[]).await {
        Ok(status) if visit.path.starts_with("/home.json") => files::whole("status", &status),
        Ok(status) => files::of(&visit, "status", &HEAD, [&status]),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Home, Refused> {
    let (lang, caller) = (visit.lang, visit.caller());
    let status = centre.get(caller, "/status", &[]).await?;
    let domains = match visit.may(Action::ReadSettings) {
        true => centre.get(caller, "/domains", &[]).await?,
        false => Value::Null,
    };
    let alerts = match visit.sees_installation() {
        true => centre.get(caller, "/alerts", &[]).await?,
        false => Value::Null,
    };
    let suspended = centre.get(caller, "/queue/suspended", &[]).await?;
    let attempts = centre.get(caller, "/attempts", &[("since", "24h")]).await?;
    let counts = ["queued", "deferred", "held"].map(|key| status[key].as_u64().unwrap_or(0));
    let in_queue: u64 = counts[0]
        .saturating_add(counts[1])
        .saturating_add(counts[2]);
    let is_ready = status["ready"].as_bool().unwrap_or(false);
    let is_well = is_ready && takes_mail(&status, &domains);
    let matters = matters(visit, &status, &domains, (&suspended, &alerts));
    let sentence = if is_ready && !is_well {
        lang.t("home-not-yet")
    } else if is_well {
        let begin = match matters.is_empty() {
            true => lang.t("home-flowing"),
            false => lang.t("home-well"),
        };
        let today = lang.n("home-today", today(centre, visit).await?);
        format!("{begin} {today} {}", lang.n("home-in-queue", in_queue))
    } else {
        lang.with("home-unwell", &told(lang.0, text(&status, "because")))
    };
    let left = match visit.may_change() && visit.sees_installation() {
        true => {
            let first = setup::state(centre, visit).await?;
            let mut left = setup::steps(lang, &first, "");
            left.retain(|step| !step.is_done);
            left
        }
        false => Vec::new(),
    };
    let groups = list(&attempts, "attempts").len() as u64;
    let age = status["oldest_age_s"].as_u64();
    let age = age.map_or_else(|| "–".to_owned(), |age| times::span(lang, age));
    let tile = |key: &str, value: String, address: &str| (lang.t(key), value, address.to_owned());
    Ok(Home {
        is_well,
        sentence,
        waiting: vec![
            tile("home-queued", lang.number(counts[0]), "/queue?state=queued"),
            tile(
                "home-deferred",
                lang.number(counts[1]),
                "/queue?state=deferred",
            ),
            tile("home-held", lang.number(counts[2]), "/queue?state=held"),
            tile("home-oldest", age, "/queue"),
            tile("home-refused", lang.number(groups), "/attempts?since=24h"),
        ],
        next_end: next_end(lang, centre.context.clock.now(), &status),
        matters,
        steps: left,
        charts: shown_charts(centre, visit, &status).await?,
        files: records::files("/home", &[]),
        frame: Frame::new(visit, "home", &lang.t("nav-home"))
            .api("GET /api/v1/status")
            .command("relais status"),
    })
}

/// Messages that were taken since midnight, by the reader's clock.
async fn today(centre: &Centre, visit: &Visit) -> Result<u64, Refused> {
    let now = centre.context.clock.now();
    let since = visit.lang.1.time("today", now);
    let asked = [("since", since.as_str())];
    let report = centre.get(visit.caller(), "/reports", &asked).await?;
    let rows = list(&report, "outcomes").iter();
    Ok(rows.filter_map(|row| row["accepted"].as_u64()).sum())
}

/// Which certificate or login ends next.
fn next_end(lang: Lang, now: Timestamp, status: &Value) -> String {
    let listeners = list(status, "certificates").iter();
    let listeners = listeners.map(|one| (one, "home-end-certificate", text(one, "listener")));
    let clients = list(status, "client_certificates").iter();
    let clients = clients.map(|one| (one, "home-end-client", text(one, "name")));
    let logins = list(status, "logins").iter();
    let logins = logins.map(|one| (one, "home-end-login", text(one, "outbound_connector")));
    let all = listeners.chain(clients).chain(logins);
    let ends = all.filter_map(|(one, key, name)| {
        let end = Timestamp::parse_rfc3339(text(one, "not_after"))?;
        Some((end, key, name))
    });
    let Some((end, key, name)) = ends.min_by_key(|(end, ..)| *end) else {
        return String::new();
    };
    let when = end.to_rfc3339();
    let values = [
        ("what", &*lang.with(key, &clean(name))),
        ("when", &*times::relative(lang, now, Some(&when))),
        ("time", &*times::zoned(lang, end)),
    ];
    lang.fill("home-end", &values)
}

/// Whether any mail can be taken: without a domain in force all of it is refused. Who may not read
/// the settings sees no domains, only how many there are.
fn takes_mail(status: &Value, domains: &Value) -> bool {
    let is_in_force = |domain: &Value| matches!(text(domain, "state"), "verified" | "lapsing");
    match domains {
        Value::Null => status["domains"].as_u64().is_none_or(|count| count > 0),
        domains => list(domains, "domains").iter().any(is_in_force),
    }
}

/// None before anything was set up: the steps left are shown instead.
async fn shown_charts(
    centre: &Centre,
    visit: &Visit,
    status: &Value,
) -> Result<Vec<Chart>, Refused> {
    if status["inbound_connectors"].as_u64().unwrap_or(0) == 0 {
        return Ok(Vec::new());
    }
    reports::of_home(centre, visit).await
}

/// An alert that stands.
fn raised_alert(lang: Lang, alert: &Value) -> Matter {
    let kind = RuleKind::parse(text(alert, "rule"));
    let title = kind.map_or("", |kind| words::rule(kind, lang.0));
    let mut words = title.to_owned();
    let subject = kind.map(|kind| words::subject(kind, text(alert, "subject"), lang.0));
    for about in [text(alert, "scope"), &subject.unwrap_or_default()] {
        if !about.is_empty() {
            words.push_str(&format!(" – {}", clean(about)));
        }
    }
    Matter {
        words,
        address: "/alerts",
    }
}

fn matters(
    visit: &Visit,
    status: &Value,
    domains: &Value,
    (suspended, alerts): (&Value, &Value),
) -> Vec<Matter> {
    let lang = visit.lang;
    let listeners = match visit.sees_installation() {
        true => "/listeners",
        false => "",
    };
    let raised = list(alerts, "raised").iter();
    let mut matters: Vec<_> = raised.map(|one| raised_alert(lang, one)).collect();
    for certificate in list(status, "certificates") {
        let listener = text(certificate, "listener");
        let words = match certificate["days_left"].as_u64() {
            None => lang.with("home-certificate-none", listener),
            Some(days) if days < CERTIFICATE_DAYS => {
                let ends = times::full(lang, certificate["not_after"].as_str());
                lang.with("home-certificate-ends", &format!("{listener} ({ends})"))
            }
            Some(_) => continue,
        };
        matters.push(Matter {
            words,
            address: listeners,
        });
    }
    for login in list(status, "logins") {
        let name = clean(text(login, "outbound_connector")).into_owned();
        let soon = login["days_left"].as_u64();
        let words = match (
            soon.filter(|days| *days < CERTIFICATE_DAYS),
            &login["because"],
        ) {
            (_, Value::String(_)) => lang.with("home-login-fault", &name),
            (Some(_), _) => {
                let ends = times::shown(lang, login["not_after"].as_str());
                lang.with("home-login-ends", &format!("{name} ({ends})"))
            }
            (None, _) => continue,
        };
        let address = "/connectors/outbound";
        matters.push(Matter { words, address });
    }
    for domain in list(domains, "domains") {
        let (name, state) = (text(domain, "name"), text(domain, "state"));
        let wrong: Vec<_> = list(&domain["dns"], "wrong")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let words = match state {
            "verified" if wrong.is_empty() => continue,
            "verified" => lang.with("home-domain-dns", &format!("{name} ({})", wrong.join(", "))),
            _ => lang.with("home-domain-state", name),
        };
        matters.push(Matter {
            words,
            address: "/domains",
        });
    }
    for one in list(suspended, "suspensions") {
        let scope = scope(lang, text(one, "destination"), text(one, "organisation"));
        matters.push(Matter {
            words: lang.with("home-suspended", &scope),
            address: "/queue/suspended",
        });
    }
    matters.truncate(MATTERS_MAX);
    matters
}
