//! The queue: what waits, and what a person does about it, always with count and confirmation.

mod groups;
pub(super) mod suspended;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use self::groups::Here;
use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Change, Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, View};
use super::story::{Waiting, done, waiting};
use super::trace::octets;
use crate::plain::clean;
use crate::times;

/// Messages of a page.
const ROWS: usize = 50;
/// Recipients of a message that are shown in the list.
const RECIPIENTS_SHOWN: usize = 3;
/// The filters, as they stand in the address and in the API.
const FILTERS: [&str; 6] = [
    "state",
    "destination",
    "organisation",
    "sender",
    "older",
    "reason",
];
/// Messages of a file: as many as the API gives at once.
const FILE_ROWS: &str = "10000";
/// Columns of the file: one line for each recipient.
const HEAD: [&str; 12] = [
    "queue_id",
    "organisation",
    "accepted_at",
    "from",
    "to",
    "state",
    "attempts",
    "next_attempt",
    "expires_at",
    "last_reply",
    "size",
    "subject",
];
/// What can be done.
const ACTS: [&str; 5] = ["retry", "hold", "release", "bounce", "delete"];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/queue", get(show))
        .route("/queue.csv", get(file))
        .route("/queue.json", get(file))
        .route("/queue/act", post(act))
        .route("/queue/{id}/resend", post(resend))
        .merge(suspended::routes())
}

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    frame: Frame,
    views: Vec<View>,
    filters: Vec<Filter>,
    states: Vec<(&'static str, String, bool)>,
    is_filtered: bool,
    files: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: String,
    acts: Vec<(&'static str, String)>,
}

/// A field of the filter.
struct Filter {
    name: &'static str,
    label: String,
    value: String,
}

struct Row {
    id: String,
    address: String,
    from: String,
    subject: String,
    accepted: String,
    size: String,
    recipients: Vec<Waiting>,
    more: usize,
}

fn acts(visit: &Visit) -> Vec<(&'static str, String)> {
    let keys = [
        "act-retry",
        "act-hold",
        "act-release",
        "act-bounce",
        "act-delete",
    ];
    let words = keys.iter().map(|key| visit.lang.t(key));
    ACTS.into_iter().zip(words).collect()
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Some(by) = groups::asked(&visit) {
        return groups::show(&centre, &visit, by).await;
    }
    match compose(&centre, &visit).await {
        Ok(queue) => page::send(&queue),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Queue, Refused> {
    let lang = visit.lang;
    let mut asked: Vec<(&str, &str)> = filled(&visit.query);
    let is_filtered = !asked.is_empty();
    let command = asked
        .iter()
        .map(|(name, value)| format!(" --{name} {}", quoted(value)));
    let command: String = std::iter::once("relais queue list".to_owned())
        .chain(command)
        .collect();
    let (limit, filters) = (ROWS.to_string(), asked.clone());
    let (files, api) = (
        records::files("/queue", &filters),
        address("GET /api/v1/queue", &filters),
    );
    asked.push(("limit", &limit));
    asked.push(("cursor", visit.query.get("cursor")));
    let answer = centre.get(visit.caller(), "/queue", &asked).await?;
    let next = answer["next_cursor"].as_str().map(|cursor| {
        let with = [&filters[..], &[("cursor", cursor)]].concat();
        address("/queue", &with)
    });
    let label = |name: &'static str, key: &str| Filter {
        name,
        label: lang.t(key),
        value: visit.query.get(name).to_owned(),
    };
    let rows = list(&answer, "messages").iter();
    let suspended = suspended::count(centre, visit).await?;
    Ok(Queue {
        views: groups::views(visit, &filters, (Here::Messages, suspended)),
        filters: vec![
            label("destination", "filter-destination"),
            label("sender", "filter-sender"),
            label("organisation", "filter-organisation"),
            label("older", "filter-older"),
            label("reason", "filter-reason"),
        ],
        states: states(visit),
        is_filtered,
        files,
        rows: rows.map(|message| row(visit, message)).collect(),
        next: next.unwrap_or_default(),
        acts: acts(visit),
        frame: Frame::new(visit, "queue", &lang.t("nav-queue"))
            .api(api)
            .command(command)
            .done(done(visit)),
    })
}

fn states(visit: &Visit) -> Vec<(&'static str, String, bool)> {
    let chosen = visit.query.get("state");
    let all = [
        ("", "filter-any"),
        ("queued", "status-queued"),
        ("active", "status-active"),
        ("deferred", "status-deferred"),
        ("held", "status-held"),
    ];
    all.map(|(state, key)| (state, visit.lang.t(key), state == chosen))
        .into()
}

/// The filters that were given.
fn filled(form: &Form) -> Vec<(&'static str, &str)> {
    let given = FILTERS.map(|name| (name, form.get(name)));
    given
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn row(visit: &Visit, message: &Value) -> Row {
    let (lang, recipients) = (visit.lang, list(message, "recipients"));
    let id = text(message, "queue_id");
    Row {
        id: id.to_owned(),
        address: format!("/trace/{}", segment(id)),
        from: clean(text(message, "from")).into_owned(),
        subject: clean(text(message, "subject")).into_owned(),
        accepted: times::shown(lang, message["accepted_at"].as_str()),
        size: octets(lang, message["size"].as_u64()),
        recipients: recipients
            .iter()
            .take(RECIPIENTS_SHOWN)
            .map(|one| waiting(lang, one))
            .collect(),
        more: recipients.len().saturating_sub(RECIPIENTS_SHOWN),
    }
}

/// What the filter leaves, as a file: one line for each recipient.
async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    if let Some(by) = groups::asked(&visit) {
        return groups::file(&centre, &visit, by).await;
    }
    let mut asked = filled(&visit.query);
    asked.push(("limit", FILE_ROWS));
    match centre.get(visit.caller(), "/queue", &asked).await {
        Ok(answer) => {
            let messages = list(&answer, "messages").iter();
            let rows: Vec<_> = messages.flat_map(lines).collect();
            files::of(&visit, "queue", &HEAD, &rows)
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// A message as often as it has recipients, each time with one of them.
fn lines(message: &Value) -> Vec<Value> {
    let own = message.as_object().cloned().unwrap_or_default();
    let recipients = list(message, "recipients").iter();
    let one = |recipient: &Value| {
        let mut line = own.clone();
        line.remove("recipients");
        let more = recipient.as_object().into_iter().flatten();
        line.extend(more.map(|(key, value)| (key.clone(), value.clone())));
        Value::Object(line)
    };
    recipients.map(one).collect()
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    frame: Frame,
    question: String,
    act: &'static str,
    word: String,
    fields: Vec<(String, String)>,
    shown: Vec<String>,
    back: String,
}

async fn act(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let asked = form.get("act");
    let Some(act) = ACTS.into_iter().find(|one| *one == asked) else {
        return page::go("/queue");
    };
    let done = if form.get("confirmed").is_empty() {
        confirm(&centre, &visit, &form, act).await
    } else {
        perform(&centre, &visit, &form, act).await
    };
    done.unwrap_or_else(|refused| page::refused(&visit, &refused))
}

/// How many are meant, before anything happens.
async fn confirm(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    act: &'static str,
) -> Result<Response, Refused> {
    let lang = visit.lang;
    let (mut fields, shown, count) = if form.get("scope") == "all" {
        let filters = filled(form);
        let found = centre.get(visit.caller(), "/queue/count", &filters).await?;
        let told = filters
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let shown: Vec<_> = told.collect();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut fields: Vec<_> = filters.iter().map(own).collect();
        fields.push(("scope".to_owned(), "all".to_owned()));
        // What comes meanwhile was not counted, and is not meant.
        let newest = text(&found, "newest").to_owned();
        fields.push(("up_to".to_owned(), newest));
        let count = found["messages"].as_u64().unwrap_or(0);
        (fields, shown, count)
    } else {
        let ids: Vec<_> = form.all("id").map(ToOwned::to_owned).take(ROWS).collect();
        let fields: Vec<_> = ids.iter().map(|id| ("id".to_owned(), id.clone())).collect();
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        (fields, ids, count)
    };
    if count == 0 {
        return Ok(page::go("/queue"));
    }
    let question = match act {
        "retry" => lang.n("confirm-retry", count),
        "hold" => lang.n("confirm-hold", count),
        "release" => lang.n("confirm-release", count),
        "bounce" => lang.n("confirm-bounce", count),
        _ => lang.n("confirm-delete", count),
    };
    let (back, by) = (form.get("back"), form.get("by"));
    fields.push(("back".to_owned(), back.to_owned()));
    fields.push(("by".to_owned(), by.to_owned()));
    let word = acts(visit).into_iter().find(|(one, _)| *one == act);
    let title = lang.t("confirm-title");
    Ok(page::send(&Confirm {
        question,
        act,
        word: word.map(|(_, word)| word).unwrap_or_default(),
        fields,
        shown,
        back: address("/queue", &[("by", by)]),
        frame: Frame::new(visit, "queue", &title),
    }))
}

async fn perform(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    act: &'static str,
) -> Result<Response, Refused> {
    let mut changed: u64 = 0;
    if form.get("scope") == "all" {
        let filters = filled(form).into_iter();
        let mut selection: Map<_, _> = filters
            .map(|(name, value)| (name.into(), json!(value)))
            .collect();
        let all = selection.is_empty();
        selection.insert("up_to".to_owned(), json!(form.get("up_to")));
        let body = json!({ "act": act, "selection": selection, "all": all });
        changed = changed_by(centre, visit, &body).await?;
    } else {
        for id in form.all("id").take(ROWS) {
            let body = json!({ "act": act, "selection": { "queue_id": id } });
            match changed_by(centre, visit, &body).await {
                Ok(more) => changed = changed.saturating_add(more),
                // It left the queue in the meantime.
                Err(refused) if refused.status == axum::http::StatusCode::NOT_FOUND => {}
                Err(refused) => return Err(refused),
            }
        }
    }
    let count = changed.to_string();
    let back = match form.get("back") {
        "" => "/queue".to_owned(),
        id => format!("/trace/{}", segment(id)),
    };
    let by = ("by", form.get("by"));
    Ok(page::go(&address(
        &back,
        &[by, ("done", act), ("count", &count)],
    )))
}

async fn changed_by(centre: &Centre, visit: &Visit, body: &Value) -> Result<u64, Refused> {
    let answer = centre.post(visit.caller(), "/queue/act", body).await?;
    Ok(answer["changed"].as_u64().unwrap_or(0))
}

/// A copy to another address; then its own page.
async fn resend(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let to = form.get("to");
    let path = format!("/queue/{}/resend", segment(&id));
    match centre
        .post(visit.caller(), &path, &json!({ "to": to }))
        .await
    {
        Ok(answer) => {
            let page = format!("/trace/{}", segment(text(&answer, "queue_id")));
            page::go(&address(&page, &[("resent", to)]))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}
