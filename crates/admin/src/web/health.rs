//! Health: the self-checks as they came out last, what changed, and the evidence of the open-relay
//! self-test.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::ask::{Centre, Refused, address, list, text};
use super::door::{Change, Reader, Visit};
use super::files;
use super::page::{self, Frame};
use super::records;
use super::trace::Status;
use crate::checks::{self, Kept, KeptCheck, kept};
use crate::lang::Lang;
use crate::language::Language;
use crate::permission::Action;
use crate::phrasebook::told_detail;
use crate::plain::clean;
use crate::times;
use relais_policy::check::{Group, Verdict};

/// Changes that are shown.
const CHANGES: &str = "50";
/// How far back they are looked for: as long as the trace is kept by default.
const CHANGES_SINCE: &str = "90d";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/health", get(show))
        .route("/health.csv", get(file))
        .route("/health.json", get(file))
        .route("/health/check", post(look))
        .route("/health/evidence.json", get(evidence))
}

#[derive(Template)]
#[template(path = "health.html")]
struct Health {
    frame: Frame,
    filters: Vec<(String, String, bool)>,
    files: Vec<(&'static str, String)>,
    overall: Status,
    checked: String,
    groups: Vec<Section>,
    /// Exact time, the same for people, and what.
    changes: Vec<(String, String, String)>,
    tested: String,
    decisions: Vec<(String, String, String)>,
    sessions: Vec<(String, String)>,
}

/// Checks of one group.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// One check.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) status: Status,
    pub(super) words: String,
    pub(super) why: String,
    pub(super) fix: String,
    pub(super) since: String,
}

/// A word, never colour alone.
pub(super) fn status(lang: Lang, verdict: Verdict) -> Status {
    let (tone, icon, key) = match verdict {
        Verdict::Ok => ("good", "✓", "verdict-ok"),
        Verdict::Advice => ("plain", "·", "verdict-advice"),
        Verdict::Attention => ("waiting", "!", "verdict-attention"),
        Verdict::Broken => ("bad", "✕", "verdict-broken"),
        Verdict::NotApplicable => ("plain", "–", "verdict-not-applicable"),
        Verdict::Unknown => ("waiting", "?", "verdict-unknown"),
    };
    Status {
        tone,
        icon,
        word: lang.t(key),
    }
}

/// By group, in the order of the specification.
pub(super) fn sections(lang: Lang, checks: &[KeptCheck]) -> Vec<Section> {
    let titled = [
        (Group::Machine, "health-machine"),
        (Group::WayOut, "health-way-out"),
        (Group::World, "health-world"),
        (Group::Safety, "health-safety"),
    ];
    let section = |(group, key): (Group, &str)| {
        let rows = checks.iter().filter(|one| one.group() == Some(group));
        Section {
            title: lang.t(key),
            rows: rows.map(|one| row(lang, one)).collect(),
        }
    };
    let sections = titled.into_iter().map(section);
    sections
        .filter(|section| !section.rows.is_empty())
        .collect()
}

fn row(lang: Lang, check: &KeptCheck) -> Row {
    let [words, why, fix] = check
        .texts(lang.0.pick(0, 1))
        .map(|text| clean(text).into_owned());
    Row {
        name: lang.t(&format!("check-name-{}", check.name)),
        subject: subject(check),
        status: status(lang, check.verdict()),
        words,
        why,
        fix,
        since: times::of(lang, check.since()),
    }
}

/// What was looked at; the decisions as a whole need no name beside the words about them.
fn subject(check: &KeptCheck) -> String {
    match &*check.subject {
        "decisions" => String::new(),
        subject => clean(subject).into_owned(),
    }
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(health) => page::send(&health),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Looks now, and shows what it came to: at most 15 s.
async fn look(State(centre): State<Centre>, Change { visit, .. }: Change) -> Response {
    let context = &centre.context;
    if let Err(refused) = visit.must_see_installation(Action::ChangeSettings) {
        return page::refused(&visit, &refused);
    }
    if let Err(error) = checks::run(context, &Group::ALL).await {
        return page::refused(&visit, &Refused::from(error));
    }
    page::go("/health?done=check")
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Health, Refused> {
    visit.must_see_installation(Action::SeeState)?;
    let lang = visit.lang;
    let Kept { checks, evidence } = kept(&centre.context.store).await.map_err(Refused::from)?;
    let kept = Kept {
        checks,
        evidence: evidence.clone(),
    };
    let evidence = evidence.unwrap_or_default();
    let asked = [
        ("q", "event:check.changed"),
        ("since", CHANGES_SINCE),
        ("limit", CHANGES),
    ];
    let changes = centre.get(visit.caller(), "/trace", &asked).await?;
    let change = |event: &serde_json::Value| {
        let exact = text(event, "time").to_owned();
        let french = Some(text(event, "detail_fr")).filter(|words| !words.is_empty());
        let french = french.filter(|_| lang.0 == Language::French);
        let words = french.map_or_else(|| told_detail(lang.0, text(event, "detail")), Into::into);
        let time = times::shown(lang, Some(&exact));
        (exact, time, clean(&words).into_owned())
    };
    let done = match visit.query.get("done") {
        "check" => lang.t("health-looked"),
        _ => String::new(),
    };
    let reply = |one: &Option<String>| clean(one.as_deref().unwrap_or_default()).into_owned();
    let chosen = visit.query.get("verdict");
    let worst = kept.worst();
    let checked_at = kept.checked_at();
    let shown: Vec<_> = kept
        .checks
        .into_iter()
        .filter(|one| fits(chosen, one))
        .collect();
    Ok(Health {
        filters: filters(lang, chosen),
        files: records::files("/health", &[("verdict", chosen)]),
        overall: status(lang, worst),
        checked: checked_at
            .map(|time| times::of(lang, time))
            .unwrap_or_default(),
        groups: sections(lang, &shown),
        changes: list(&changes, "events").iter().map(change).collect(),
        tested: match evidence.time.as_str() {
            "" => String::new(),
            time => times::shown(lang, Some(time)),
        },
        decisions: evidence
            .decisions
            .iter()
            .map(|one| {
                let stranger = lang.0.pick(&one.stranger, &one.stranger_fr).clone();
                (
                    stranger,
                    format!("{} → {}", one.from, one.to),
                    reply(&one.reply),
                )
            })
            .collect(),
        sessions: evidence
            .sessions
            .iter()
            .map(|one| (one.listener.to_string(), clean(&one.reply).into_owned()))
            .collect(),
        frame: Frame::new(visit, "health", &lang.t("nav-health"))
            .api("GET /api/v1/checks")
            .command("relais doctor")
            .done(done),
    })
}

/// Verdicts that can be looked for, with the key of their words.
const VERDICTS: [(&str, &str); 4] = [
    ("", "devices-all"),
    ("broken", "verdict-broken"),
    ("attention", "verdict-attention"),
    ("advice", "verdict-advice"),
];
/// Columns of the file.
const HEAD: [&str; 7] = [
    "group",
    "check",
    "subject",
    "verdict",
    "since",
    "checked_at",
    "detail",
];

fn fits(chosen: &str, check: &KeptCheck) -> bool {
    chosen.is_empty() || check.verdict().name() == chosen
}

fn filters(lang: Lang, chosen: &str) -> Vec<(String, String, bool)> {
    let choice = |(name, key): (&str, &str)| {
        let address = address("/health", &[("verdict", name)]);
        (lang.t(key), address, name == chosen)
    };
    VERDICTS.map(choice).into()
}

/// The checks as a file.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Err(refused) = visit.must_see_installation(Action::SeeState) {
        return page::refused(&visit, &refused);
    }
    match kept(&centre.context.store).await {
        Ok(kept) => {
            let chosen = visit.query.get("verdict");
            let shown = kept.checks.iter().filter(|one| fits(chosen, one));
            let rows: Vec<_> = shown.map(KeptCheck::to_json).collect();
            files::of(&visit, "checks", &HEAD, &rows)
        }
        Err(error) => page::refused(&visit, &Refused::from(error)),
    }
}

/// For an auditor: the self-test as it was kept, with its date and every line that was said.
async fn evidence(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Err(refused) = visit.must_see_installation(Action::SeeState) {
        return page::refused(&visit, &refused);
    }
    match kept(&centre.context.store).await {
        Ok(kept) => {
            let name = "attachment; filename=\"open-relay-evidence.json\"";
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_DISPOSITION, name),
            ];
            let body = serde_json::to_string_pretty(&kept.evidence).unwrap_or_default();
            (headers, body).into_response()
        }
        Err(error) => page::refused(&visit, &Refused::from(error)),
    }
}
