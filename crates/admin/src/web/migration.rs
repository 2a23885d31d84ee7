//! Taking over from the relay before: which it is, the command to run there, its export pasted or
//! chosen, then a review of what would be added, and only then the adding, all of it disabled.
//!
//! Not here: reading exports (`policy::migration`), and adding (`api::migration`).

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use relais_policy::document::Document;
use relais_policy::migration::{Source, TEXT_OCTETS_MAX, without_passwords};

use super::ask::{Centre, Refused, address, list, text};
use super::door::{Reader, SessionForm, Visit};
use super::form::Form;
use super::page::{self, Frame};
use super::records::{Note, View};
use super::settings_file;
use crate::permission::Action;
use crate::phrasebook::told_part;
use crate::plain::clean;

/// Where the page is.
const HERE: &str = "/settings/import";
/// Octets of a form: percent-encoded, a text is three times as long at most.
const FORM_OCTETS_MAX: usize = 3 * TEXT_OCTETS_MAX + 4_096;
/// Lines of each part of the report that are shown; the command and the API have all.
const LINES_MAX: usize = 300;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route(HERE, get(show).post(review))
        .layer(DefaultBodyLimit::max(FORM_OCTETS_MAX))
}

#[derive(Template)]
#[template(path = "import.html")]
struct Page {
    frame: Frame,
    notes: Vec<Note>,
    views: Vec<View>,
    sources: Vec<View>,
    source: &'static str,
    /// What to do on the old side.
    words: String,
    command: &'static str,
    organisations: Vec<String>,
    organisation: String,
    text: String,
    octets_max: usize,
}

#[derive(Template)]
#[template(path = "import_review.html")]
struct Review {
    frame: Frame,
    notes: Vec<Note>,
    sentence: String,
    parts: Vec<Part>,
    proposal: String,
    /// Whether there is something to add.
    is_some: bool,
    source: &'static str,
    organisation: String,
    text: String,
    back: String,
}

/// One part of a report.
struct Part {
    name: &'static str,
    title: String,
    lines: Vec<(String, String)>,
}

/// Whoever may not change settings has nothing to do here.
fn must_change(visit: &Visit) -> Result<(), Refused> {
    if visit.may(Action::ChangeSettings) {
        return Ok(());
    }
    Err(Refused {
        status: StatusCode::FORBIDDEN,
        detail: visit.lang.t("error-read-only"),
    })
}

/// Its name on the page, what to do on the old side, and what is typed there; a template for a
/// list.
fn about(source: Source) -> (&'static str, &'static str, &'static str) {
    match source {
        Source::Exchange => (
            "import-exchange",
            "import-exchange-words",
            "@(Get-ReceiveConnector) + @(Get-SendConnector) + @(Get-AcceptedDomain) | \
             ConvertTo-Json -Depth 5 | Set-Content exchange.json -Encoding UTF8",
        ),
        Source::ExchangeOnline => (
            "import-online",
            "import-online-words",
            "@(Get-InboundConnector) + @(Get-OutboundConnector) + @(Get-AcceptedDomain) | \
             ConvertTo-Json -Depth 5 | Set-Content exchange-online.json -Encoding UTF8",
        ),
        Source::Postfix => (
            "import-postfix",
            "import-postfix-words",
            "(postconf -n; cd /etc/postfix && tail -v -n +1 transport generic canonical \
             sender_canonical sender_relay 2>/dev/null) > postfix.txt",
        ),
        Source::Iis => (
            "import-iis",
            "import-iis-words",
            "Copy-Item $env:windir\\System32\\inetsrv\\MetaBase.xml iis.xml",
        ),
        Source::Csv => (
            "import-csv",
            "import-csv-words",
            "name,ip,maker,sender,site\nScanner Lyon 2,10.1.2.9,Ricoh,scan@contoso.test,Lyon",
        ),
    }
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    let source = Source::named(visit.query.get("from")).unwrap_or(Source::Exchange);
    answer(&centre, &visit, none, source, &Form::default())
}

fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    source: Source,
    typed: &Form,
) -> Response {
    if let Err(refused) = must_change(visit) {
        return page::refused(visit, &refused);
    }
    let lang = visit.lang;
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let sources = Source::ALL.map(|one| View {
        name: lang.t(about(one).0),
        address: address(HERE, &[("from", one.name())]),
        is_here: one == source,
    });
    let (_, words, command) = about(source);
    let done = match visit.query.get("done") {
        "" => String::new(),
        version => lang.with("import-done", version),
    };
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t("import-words")));
    let name = source.name();
    let page = Page {
        frame: Frame::new(visit, "settings-file", &lang.t("import-title"))
            .api(format!("POST /api/v1/import/{name}"))
            .command(format!("relais import {name} FILE --report"))
            .done(done),
        notes,
        views: settings_file::views(visit, HERE),
        sources: sources.into(),
        source: name,
        words: lang.t(words),
        command,
        organisations: names,
        organisation: typed.get("organisation").to_owned(),
        text: typed.raw("text").to_owned(),
        octets_max: TEXT_OCTETS_MAX,
    };
    (status, page::send(&page)).into_response()
}

/// First what would be added, then the adding.
async fn review(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    if let Err(refused) = must_change(&visit) {
        return page::refused(&visit, &refused);
    }
    let lang = visit.lang;
    let source = Source::named(form.get("source")).unwrap_or(Source::Exchange);
    let given = match settings_file::given(lang, &form, "text") {
        Ok(given) => given,
        Err(words) => {
            let no = (StatusCode::BAD_REQUEST, words);
            return answer(&centre, &visit, no, source, &form);
        }
    };
    // Passwords go no further than here.
    let typed = without_passwords(source, &given);
    let is_sure = !form.get("confirmed").is_empty();
    let organisation = match form.get("organisation") {
        "" => Value::Null,
        name => Value::from(name),
    };
    let body = json!({ "organisation": organisation, "text": typed, "apply": is_sure });
    let path = format!("/import/{}", source.name());
    let told = match centre.post(visit.caller(), &path, &body).await {
        Ok(told) => told,
        Err(refused) => {
            let no = (refused.status, refused.detail);
            return answer(&centre, &visit, no, source, &form);
        }
    };
    let from = ("from", source.name());
    if is_sure {
        let version = told["version"].as_u64().unwrap_or(0).to_string();
        return page::go(&address(HERE, &[from, ("done", &version)]));
    }
    let proposal = serde_json::from_value::<Document>(told["document"].clone());
    let count = list(&told, "changes").len() as u64;
    page::send(&Review {
        frame: Frame::new(&visit, "settings-file", &lang.t("import-review"))
            .api(format!("POST /api/v1{path}"))
            .command(format!("relais import {} FILE", source.name())),
        notes: warnings(&visit, &told),
        sentence: lang.n("import-would-add", count),
        parts: parts(&visit, &told["report"]),
        proposal: proposal.map(|one| one.to_toml()).unwrap_or_default(),
        is_some: count > 0,
        source: source.name(),
        organisation: form.get("organisation").to_owned(),
        text: typed,
        back: address(HERE, &[from]),
    })
}

/// What is allowed, and perhaps not meant.
fn warnings(visit: &Visit, told: &Value) -> Vec<Note> {
    let warnings = list(told, "warnings").iter().filter_map(Value::as_str);
    warnings
        .map(|words| Note::plain(clean(&told_part(visit.lang.0, words)).into_owned()))
        .collect()
}

fn parts(visit: &Visit, report: &Value) -> Vec<Part> {
    let titles = [
        ("dangerous", "import-dangerous"),
        ("created", "import-created"),
        ("changed", "import-changed"),
        ("unsupported", "import-unsupported"),
    ];
    let word = |line: &Value, key: &str| {
        let french = told_part(visit.lang.0, text(line, key)).into_owned();
        clean(&french).into_owned()
    };
    let part = |(name, title): (&'static str, &str)| {
        let all = list(report, name);
        let shown = all.iter().take(LINES_MAX);
        let mut lines: Vec<_> = shown
            .map(|line| (word(line, "object"), word(line, "message")))
            .collect();
        if all.len() > LINES_MAX {
            lines.push(("…".to_owned(), String::new()));
        }
        let title = visit.lang.n(title, all.len() as u64);
        Part { name, title, lines }
    };
    titles.map(part).into()
}
