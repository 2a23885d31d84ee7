//! Message trace: what happened, newest first, and the story of one message or refusal.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use relais_store::trace::Event;

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::door::{Reader, Visit};
use super::lang::Lang;
use super::page::{self, Frame};
use super::times;
use crate::plain::{clean, size, taille};
use crate::words::{advice, sentence};

/// Rows of a page.
const ROWS: &str = "50";
/// How far back where nothing is asked for. `experience.md` §5.6.
const SINCE_DEFAULT: &str = "24h";
/// Steps of a story that are shown; more are in `relais why`.
const STEPS_MAX: usize = 500;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/trace", get(show))
        .route("/trace/{name}", get(detail))
}

#[derive(Template)]
#[template(path = "trace.html")]
struct Trace {
    frame: Frame,
    q: String,
    since: String,
    mistake: String,
    chips: Vec<(String, String)>,
    rows: Vec<Row>,
    older: String,
}

/// One event.
struct Row {
    time: String,
    exact: String,
    status: Status,
    client: String,
    connector: String,
    from: String,
    to: String,
    subject: String,
    size: String,
    name: String,
    address: String,
}

/// A word, never colour alone.
pub(super) struct Status {
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) word: String,
}

/// The status of an event or a recipient, in words.
pub(super) fn status(lang: Lang, name: &str) -> Status {
    let (tone, icon, key) = match name {
        "delivered" => ("good", "✓", "status-delivered"),
        "accepted" => ("good", "→", "status-accepted"),
        "deferred" => ("waiting", "…", "status-deferred"),
        "queued" => ("waiting", "…", "status-queued"),
        "active" => ("waiting", "…", "status-active"),
        "held" => ("waiting", "‖", "status-held"),
        "failed" => ("bad", "✕", "status-failed"),
        "refused" => ("bad", "✕", "status-refused"),
        "expired" => ("bad", "✕", "status-expired"),
        "discarded" => ("bad", "✕", "status-discarded"),
        _ => ("plain", "·", "status-other"),
    };
    let word = lang.t(key);
    Status { tone, icon, word }
}

/// Octets in the units of the language.
pub(super) fn octets(lang: Lang, octets: Option<u64>) -> String {
    let words = lang.0.pick(size as fn(u64) -> String, taille);
    octets.map(words).unwrap_or_default()
}

/// Recipients of an event in one line.
fn recipients(value: &Value) -> String {
    match value {
        Value::Array(all) => {
            let first = all.first().and_then(Value::as_str).unwrap_or_default();
            match all.len() {
                0 | 1 => first.to_owned(),
                several => format!("{first} +{}", several - 1),
            }
        }
        one => one.as_str().unwrap_or_default().to_owned(),
    }
}

fn row(lang: Lang, event: &Value) -> Row {
    let plain = |text: &str| clean(text).into_owned();
    let mut shown = status(lang, text(event, "status"));
    if shown.icon == "·" {
        text(event, "event").clone_into(&mut shown.word);
    }
    let queue_id = text(event, "queue_id");
    let name = if queue_id.is_empty() {
        text(event, "reference")
    } else {
        queue_id
    };
    let address = match name {
        "" => String::new(),
        name => format!("/trace/{}", segment(name)),
    };
    Row {
        time: times::shown(lang, event["time"].as_str()),
        exact: text(event, "time").to_owned(),
        status: shown,
        client: text(&event["client"], "address").to_owned(),
        connector: plain(text(event, "inbound_connector")),
        from: plain(text(event, "from")),
        to: plain(&recipients(&event["to"])),
        subject: plain(text(event, "subject")),
        size: octets(lang, event["size"].as_u64()),
        name: name.to_owned(),
        address,
    }
}

fn chips(lang: Lang) -> Vec<(String, String)> {
    let chip = |key: &str, q: &str| (lang.t(key), address("/trace", &[("q", q)]));
    vec![
        chip("chip-all", ""),
        chip("chip-failed", "status:failed"),
        chip("chip-waiting", "status:deferred"),
        chip("chip-refused", "status:refused"),
        chip("chip-held", "status:held"),
        chip("chip-delivered", "status:delivered"),
    ]
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (lang, q) = (visit.lang, visit.query.get("q"));
    let since = match visit.query.get("since") {
        "" => SINCE_DEFAULT,
        since => since,
    };
    let cursor = visit.query.get("cursor");
    let asked = [
        ("q", q),
        ("since", since),
        ("limit", ROWS),
        ("cursor", cursor),
    ];
    let (answer, mistake) = match centre.get(visit.name(), "/trace", &asked).await {
        Ok(answer) => (answer, String::new()),
        Err(refused) => (Value::Null, refused.detail),
    };
    let older = answer["next_cursor"].as_u64().map(|next| {
        let next = next.to_string();
        address("/trace", &[("q", q), ("since", since), ("cursor", &next)])
    });
    let rows = list(&answer, "events").iter();
    let command = match q {
        "" => format!("relais trace --since {}", quoted(since)),
        q => format!("relais trace {} --since {}", quoted(q), quoted(since)),
    };
    page::send(&Trace {
        q: q.to_owned(),
        since: since.to_owned(),
        mistake,
        chips: chips(lang),
        rows: rows.map(|event| row(lang, event)).collect(),
        older: older.unwrap_or_default(),
        frame: Frame::new(&visit, "trace", &lang.t("nav-trace")).command(command),
    })
}

#[derive(Template)]
#[template(path = "story.html")]
struct Story {
    frame: Frame,
    verdict: String,
    advice: Option<(&'static str, &'static str)>,
    facts: Vec<(String, String)>,
    steps: Vec<(String, String, String)>,
    recipients: Vec<Waiting>,
    queue_id: String,
    /// The reference of a refusal, to adopt it.
    reference: String,
    today: Vec<(String, String)>,
}

/// A recipient that is still in the queue.
pub(super) struct Waiting {
    pub(super) to: String,
    pub(super) status: Status,
    pub(super) attempts: u64,
    pub(super) next: String,
    pub(super) reply: String,
}

/// One recipient of `relais queue show`.
pub(super) fn waiting(lang: Lang, recipient: &Value) -> Waiting {
    Waiting {
        to: clean(text(recipient, "to")).into_owned(),
        status: status(lang, text(recipient, "state")),
        attempts: recipient["attempts"].as_u64().unwrap_or(0),
        next: times::shown(lang, recipient["next_attempt"].as_str()),
        reply: clean(text(recipient, "last_reply")).into_owned(),
    }
}

async fn detail(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(name): Path<String>,
) -> Response {
    match story(&centre, &visit, &name).await {
        Ok(story) => page::send(&story),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn story(centre: &Centre, visit: &Visit, name: &str) -> Result<Story, Refused> {
    let lang = visit.lang;
    let path = format!("/why/{}", segment(name));
    let answer = centre.get(visit.name(), &path, &[]).await?;
    let read = |value: &Value| Event::from_json(&value.to_string()).ok();
    let told = list(&answer, "events").iter().filter_map(read);
    let events: Vec<Event> = told.take(STEPS_MAX).collect();
    let last = events.last();
    let verdict = last
        .map(|event| sentence(event, lang.0))
        .unwrap_or_default();
    let fix = events
        .iter()
        .rev()
        .find_map(|event| advice(event.reply.as_deref()?, lang.0));
    let steps = events.iter().map(|event| {
        let time = event.time;
        (
            times::of(lang, time),
            time.to_rfc3339(),
            sentence(event, lang.0),
        )
    });
    let recipients = list(&answer["in_queue"], "recipients").iter();
    let recipients: Vec<_> = recipients.map(|one| waiting(lang, one)).collect();
    let is_refusal = text(&answer, "kind") == "refusal";
    let queue_id = text(&answer, "queue_id").to_owned();
    let title = if is_refusal {
        lang.with("story-refusal", &name.to_uppercase())
    } else {
        lang.with("story-message", &queue_id)
    };
    let done = done(visit);
    Ok(Story {
        verdict,
        advice: fix,
        facts: facts(lang, list(&answer, "events")),
        steps: steps.collect(),
        queue_id: if recipients.is_empty() {
            String::new()
        } else {
            queue_id
        },
        recipients,
        reference: if is_refusal {
            name.to_uppercase()
        } else {
            String::new()
        },
        today: today(lang, list(&answer, "now")),
        frame: Frame::new(visit, "trace", &title)
            .command(format!("relais why {}", quoted(name)))
            .done(done),
    })
}

/// What was done to the queue, told on the page that one comes back to.
pub(super) fn done(visit: &Visit) -> String {
    let lang = visit.lang;
    let count = visit.query.get("count").parse().unwrap_or(0);
    match visit.query.get("done") {
        "retry" => lang.n("done-retry", count),
        "hold" => lang.n("done-hold", count),
        "release" => lang.n("done-release", count),
        "bounce" => lang.n("done-bounce", count),
        "delete" => lang.n("done-delete", count),
        _ => String::new(),
    }
}

/// Of the first event that tells each.
fn facts(lang: Lang, events: &[Value]) -> Vec<(String, String)> {
    let first = |read: fn(&Value) -> String| {
        let values = events.iter().map(read);
        values.into_iter().find(|value| !value.is_empty())
    };
    let tls = |event: &Value| {
        let (version, cipher) = (
            text(&event["tls"], "version"),
            text(&event["tls"], "cipher"),
        );
        format!("{version} {cipher}").trim().to_owned()
    };
    let octets = events.iter().find_map(|event| event["size"].as_u64());
    let all = [
        ("column-from", first(|event| text(event, "from").to_owned())),
        ("column-to", first(|event| recipients(&event["to"]))),
        (
            "column-subject",
            first(|event| text(event, "subject").to_owned()),
        ),
        (
            "column-client",
            first(|event| text(&event["client"], "address").to_owned()),
        ),
        (
            "fact-helo",
            first(|event| text(&event["client"], "helo").to_owned()),
        ),
        (
            "fact-credential",
            first(|event| text(&event["client"], "credential").to_owned()),
        ),
        (
            "column-connector",
            first(|event| text(event, "inbound_connector").to_owned()),
        ),
        (
            "fact-outbound",
            first(|event| text(event, "outbound_connector").to_owned()),
        ),
        ("fact-tls", first(tls)),
        (
            "column-size",
            octets.map(|size| self::octets(lang, Some(size))),
        ),
    ];
    let known = all.into_iter().filter_map(|(key, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((lang.t(key), clean(&value).into_owned()))
    });
    known.collect()
}

/// What would be decided now: recipient, answer.
fn today(lang: Lang, decisions: &[Value]) -> Vec<(String, String)> {
    let told = decisions.iter().map(|one| {
        let decision = &one["decision"];
        let answer = match decision["reply"].as_str() {
            Some(reply) => clean(reply).into_owned(),
            None => lang.t("today-permit"),
        };
        (clean(text(one, "to")).into_owned(), answer)
    });
    told.collect()
}
