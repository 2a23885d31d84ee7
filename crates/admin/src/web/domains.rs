//! Domains: where they stand, what to publish, what DNS shows now.

mod change;
mod keys;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Change, Reader, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Cell, Input, Note, Pick, Records, Sheet, Table};
use super::trace::Status;
use crate::lang::Lang;
use crate::times;

/// Domains of a page.
const ROWS_MAX: usize = 1_000;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/domains", get(show).post(change::add))
        .route("/domains.csv", get(file))
        .route("/domains.json", get(file))
        .route("/domains/{name}", get(detail))
        .route("/domains/{name}/check", post(check))
        .route("/domains/{name}/edit", get(change::edit).post(change::set))
        .route("/domains/{name}/keys/{act}", post(keys::act))
        .route(
            "/domains/{name}/remove",
            get(change::ask).post(change::remove),
        )
}

struct Row {
    name: String,
    address: String,
    organisation: String,
    kind: String,
    state: Status,
    checked: String,
    wrong: String,
}

fn state(lang: Lang, name: &str) -> Status {
    let (tone, icon, key) = match name {
        "verified" => ("good", "✓", "domain-verified"),
        "pending" => ("waiting", "…", "domain-pending"),
        "lapsing" => ("waiting", "!", "domain-lapsing"),
        _ => ("bad", "✕", "domain-suspended"),
    };
    let word = lang.t(key);
    Status { tone, icon, word }
}

fn row(lang: Lang, domain: &Value) -> Row {
    let (name, organisation) = (text(domain, "name"), text(domain, "organisation"));
    let path = format!("/domains/{}", segment(name));
    let kind = match text(domain, "kind") {
        "internal-relay" => lang.t("kind-internal-relay"),
        _ => lang.t("kind-authoritative"),
    };
    let wrong: Vec<_> = list(&domain["dns"], "wrong")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let checked = domain["dns"]["checked_at"]
        .as_str()
        .or(domain["checked_at"].as_str());
    Row {
        name: name.to_owned(),
        address: address(&path, &[("organisation", organisation)]),
        organisation: organisation.to_owned(),
        kind,
        state: state(lang, text(domain, "state")),
        checked: times::shown(lang, checked),
        wrong: wrong.join(", "),
    }
}

/// States of a domain, as they stand in the address, with the key of their words.
const STATES: [(&str, &str); 5] = [
    ("", "filter-any"),
    ("verified", "domain-verified"),
    ("pending", "domain-pending"),
    ("lapsing", "domain-lapsing"),
    ("suspended", "domain-suspended"),
];
/// Columns of the file.
const HEAD: [&str; 6] = [
    "organisation",
    "name",
    "kind",
    "state",
    "verification",
    "checked_at",
];

fn filters(visit: &Visit) -> [(&'static str, &str); 2] {
    ["q", "state"].map(|name| (name, visit.query.get(name)))
}

/// Whether a filter leaves it.
fn fits(visit: &Visit, domain: &Value) -> bool {
    let [(_, sought), (_, chosen)] = filters(visit);
    let is_state = chosen.is_empty() || chosen == text(domain, "state");
    is_state
        && records::is_among(
            sought,
            ["name", "organisation"].map(|key| text(domain, key)),
        )
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    listed(&centre, &visit, none, &Form::default()).await
}

/// The list; with a mistake of the form below it, what was typed stays.
async fn listed(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    let lang = visit.lang;
    let answer = match centre.get(visit.caller(), "/domains", &[]).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(visit, &refused),
    };
    let found = list(&answer, "domains").iter();
    let found = found.filter(|one| fits(visit, one)).take(ROWS_MAX);
    let asked = filters(visit);
    let is_filtered = asked.iter().any(|(_, value)| !value.is_empty());
    let headings = [
        "column-domain",
        "filter-organisation",
        "column-state",
        "column-kind",
        "domains-used",
        "column-checked",
        "column-wrong",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: found
            .map(|one| line(row(lang, one), users(centre, visit, one).len()))
            .collect(),
        empty: match is_filtered {
            true => lang.t("records-none"),
            false => lang.t("domains-empty"),
        },
    };
    let [(_, sought), (_, chosen)] = asked;
    let picks = STATES.map(|(name, key)| Pick::new(name, lang.t(key), name == chosen));
    let filter = Sheet::new("filter", "/domains", lang.t("filter-button"))
        .input(Input::text("q", lang.t("records-sought"), sought))
        .input(Input::choice("state", lang.t("column-state"), picks.into()));
    let frame = Frame::new(visit, "domains", &lang.t("nav-domains")).command("relais domain list");
    let removed = match visit.query.get("done") {
        "" => String::new(),
        name => lang.with("domains-removed", name),
    };
    let form = change::form(centre, visit, typed);
    let records = Records {
        notes: Note::mistake(mistake).into_iter().collect(),
        sheets: visit.may_change().then_some(form).into_iter().collect(),
        filter: Some(filter),
        files: records::files("/domains", &asked),
        ..Records::new(frame.done(removed), table, "GET /api/v1/domains")
    };
    (status, page::send(&records)).into_response()
}

/// Inbound connectors whose devices may send from it, with their pages.
fn users(centre: &Centre, visit: &Visit, domain: &Value) -> Vec<(String, String)> {
    let settings = centre.settings(visit.caller());
    let organisation = text(domain, "organisation");
    let owner = settings.organisation(organisation);
    let connectors = owner.into_iter().flat_map(|one| &one.inbound_connector);
    let name = text(domain, "name");
    let is_of = |scope: &String| scope == "*" || scope.eq_ignore_ascii_case(name);
    let users = connectors.filter(|one| one.sender_domains.iter().any(is_of));
    let page = |one: &str| {
        let (of, one) = (segment(organisation), segment(one));
        format!("/connectors/inbound/{of}/{one}")
    };
    let named = users.map(|one| (one.name.clone(), page(&one.name)));
    named.collect()
}

/// One domain in the list.
fn line(row: Row, used: usize) -> records::Row {
    records::Row {
        cells: vec![
            Cell::new(&row.name).leads_to(row.address),
            Cell::new(&row.organisation),
            Cell::status(row.state.tone, &row.state.word),
            Cell::new(&row.kind),
            Cell::number(&used.to_string()),
            Cell::whole(&row.checked),
            Cell::new(&row.wrong),
        ],
        acts: Vec::new(),
    }
}

/// The list as a file.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match centre.get(visit.caller(), "/domains", &[]).await {
        Ok(answer) => {
            let found = list(&answer, "domains").iter();
            let found = found.filter(|one| fits(&visit, one));
            files::of(&visit, "domains", &HEAD, found)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// What a record is for, as people call it.
pub(super) fn purpose(lang: Lang, name: &str) -> String {
    match name {
        "verification" => lang.t("record-verification"),
        "spf" | "dkim" | "dmarc" | "mx" => name.to_uppercase(),
        "mta-sts" | "mta-sts-host" => "MTA-STS".to_owned(),
        "tls-rpt" => "TLS-RPT".to_owned(),
        other => match other.strip_prefix("bounce-") {
            Some(kind) => lang.with("record-bounce", &kind.to_uppercase()),
            None => other.to_owned(),
        },
    }
}

#[derive(Template)]
#[template(path = "domain.html")]
struct Detail {
    frame: Frame,
    domain: Row,
    seen: String,
    records: Vec<Record>,
    checks: Vec<Check>,
    action: String,
    /// Its own page.
    base: String,
    /// Where mail for it goes; empty: by the outbound connectors.
    mailbox_host: String,
    /// The state of signing.
    signing: String,
    keys: Option<keys::Keys>,
    /// Inbound connectors whose devices may send from it, with their pages.
    users: Vec<(String, String)>,
}

struct Record {
    purpose: String,
    name: String,
    kind: String,
    value: String,
    words: String,
    is_needed: bool,
    status: Status,
}

struct Check {
    name: String,
    status: Status,
    words: String,
}

async fn detail(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(name): Path<String>,
) -> Response {
    let organisation = visit.query.get("organisation").to_owned();
    let composed = compose(&centre, &visit, (&name, &organisation), &Value::Null).await;
    composed.map_or_else(
        |refused| page::refused(&visit, &refused),
        |page| page::send(&page),
    )
}

/// Looks at DNS now, and shows what it found.
async fn check(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let organisation = form.get("organisation");
    let path = format!("/domains/{}/check", segment(&name));
    let body = match organisation {
        "" => json!({}),
        organisation => json!({ "organisation": organisation }),
    };
    let composed = match centre.post(visit.caller(), &path, &body).await {
        Ok(looked) => compose(&centre, &visit, (&name, organisation), &looked).await,
        Err(refused) => Err(refused),
    };
    composed.map_or_else(
        |refused| page::refused(&visit, &refused),
        |page| page::send(&page),
    )
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    (name, organisation): (&str, &str),
    looked: &Value,
) -> Result<Detail, Refused> {
    let lang = visit.lang;
    let path = format!("/domains/{}/records", segment(name));
    let records = centre
        .get(visit.caller(), &path, &[("organisation", organisation)])
        .await?;
    let owner = text(&records, "organisation");
    let all = centre.get(visit.caller(), "/domains", &[]).await?;
    let found = list(&all, "domains").iter().find(|one| {
        text(one, "name") == text(&records, "domain") && text(one, "organisation") == owner
    });
    let found = found.cloned().unwrap_or_default();
    let command = format!("relais domain check {}", quoted(name));
    let done = match (looked.is_null(), visit.query.get("done")) {
        (true, "") => keys::done(visit),
        (false, _) => lang.t("domain-looked"),
        (true, "added") => lang.t("domains-added"),
        (true, _) => lang.t("domains-changed"),
    };
    let frame = Frame::new(visit, "domains", name)
        .command(command)
        .done(done);
    Ok(Detail {
        domain: row(lang, &found),
        seen: text(&found, "seen").to_owned(),
        records: list(&records, "records")
            .iter()
            .map(|one| record(lang, one))
            .collect(),
        checks: list(looked, "checks")
            .iter()
            .map(|one| finding(lang, one))
            .collect(),
        action: format!("/domains/{}/check", segment(name)),
        base: format!("/domains/{}", segment(name)),
        mailbox_host: text(&found, "mailbox_host").to_owned(),
        signing: signing(lang, text(&found, "dkim")),
        keys: keys::of(centre, visit, (name, owner)).await?,
        users: users(centre, visit, &found),
        frame,
    })
}

/// Whether mail of it is signed, in words.
fn signing(lang: Lang, standing: &str) -> String {
    lang.t(match standing {
        "active" => "domains-signed",
        "off" => "domains-unsigned",
        "missing" => "domains-signing-missing",
        _ => "domains-signing-waits",
    })
}

/// In the page's language where the API has both.
fn words(lang: Lang, value: &Value, key: &str, french: &str) -> String {
    let own = lang.0.pick(None, value[french].as_str());
    own.unwrap_or_else(|| text(value, key)).to_owned()
}

/// Whether DNS shows a record that is proposed.
pub(super) fn standing(lang: Lang, record: &Value) -> Status {
    let (tone, icon, key) = match text(record, "state") {
        "right" => ("good", "✓", "record-right"),
        "absent" => ("waiting", "…", "record-absent"),
        "differs" => ("bad", "✕", "record-differs"),
        _ => ("waiting", "?", "record-unknown"),
    };
    let word = lang.t(key);
    Status { tone, icon, word }
}

fn record(lang: Lang, value: &Value) -> Record {
    Record {
        is_needed: value["required"] == true,
        status: standing(lang, value),
        purpose: purpose(lang, text(value, "purpose")),
        name: text(value, "name").to_owned(),
        kind: text(value, "type").to_owned(),
        value: text(value, "value").to_owned(),
        words: words(lang, value, "words", "words_fr"),
    }
}

fn finding(lang: Lang, value: &Value) -> Check {
    let is_ok = value["ok"].as_bool().unwrap_or(false);
    let (tone, icon, key) = match (is_ok, text(value, "finding")) {
        (true, _) => ("good", "✓", "check-ok"),
        (false, "unknown") => ("waiting", "?", "check-unknown"),
        (false, _) => ("bad", "✕", "check-wrong"),
    };
    Check {
        name: purpose(lang, text(value, "check")),
        status: Status {
            tone,
            icon,
            word: lang.t(key),
        },
        words: words(lang, value, "detail", "detail_fr"),
    }
}
