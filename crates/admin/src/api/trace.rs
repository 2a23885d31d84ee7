//! The trace: pages of events, newest first, and events as they come.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use relais_store::trace::{Event, TraceQuery, TraceRow, TraceTerm, parse_since};

use crate::context::{AdminContext, Caller};
use crate::permission::Action;
use crate::problem::{Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/trace", get(page))
        .route("/trace/live", get(live))
}

/// What is asked for, as it stands in an address.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Tokens as people type them.
    #[serde(default)]
    pub(crate) q: String,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    #[serde(default)]
    pub(crate) limit: usize,
    /// Of the page before.
    pub(crate) cursor: Option<u64>,
}

pub(crate) fn query(
    context: &AdminContext,
    caller: &Caller,
    page: &Page,
) -> Result<TraceQuery, Problem> {
    let now = context.clock.now();
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| parse_since(text, now))
            .transpose()
    };
    let mut parsed = TraceQuery::parse(&page.q)?;
    if !caller.rights.may(Action::ReadMail) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Your role does not permit this.",
        ));
    }
    if let Some(own) = caller.rights.organisation() {
        parsed.terms.push(TraceTerm::new("organisation", own)?);
    }
    let sees_content = caller.rights.may(Action::ReadContent);
    if !sees_content && parsed.terms.iter().any(|term| term.field == "subject") {
        // The answer would tell.
        let detail = "Subjects are content, which your role does not show.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(TraceQuery {
        since: time(&page.since)?,
        until: time(&page.until)?,
        limit: page.limit,
        before: page.cursor,
        without_subjects: !sees_content,
        ..parsed
    })
}

async fn page(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, Problem> {
    let query = query(&context, &caller, &page)?;
    let answer = context.store.trace_page(&query).await?;
    let next = answer.next;
    let next = next.map_or_else(|| "null".to_owned(), |next| next.to_string());
    let events = array(&answer.rows);
    let searched_to = json!(answer.searched_to.map(|time| time.to_rfc3339()));
    let body =
        format!("{{\"events\":{events},\"next_cursor\":{next},\"searched_to\":{searched_to}}}");
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The rows as a JSON array: they are JSON already.
pub(super) fn array(rows: &[TraceRow]) -> String {
    let events: Vec<&str> = rows.iter().map(|row| row.json.as_str()).collect();
    format!("[{}]", events.join(","))
}

/// One event a line, as they are stored. A reader that is too slow gets `{"missed":n}`.
async fn live(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, Problem> {
    let query = query(&context, &caller, &page)?;
    if query.asks_for_partly() {
        let detail = "status:partly is known once all of a message has ended, not as it happens.";
        return Err(Problem::bad_request(detail));
    }
    let watching = Watching::new(&context, query);
    let readiness = context.readiness.clone();
    let lines = stream::unfold(watching, move |mut watching| {
        let readiness = readiness.clone();
        async move {
            let lines = tokio::select! {
                lines = watching.next() => lines?,
                () = readiness.draining() => return None,
            };
            Some((
                Ok::<_, std::convert::Infallible>(Bytes::from(lines)),
                watching,
            ))
        }
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, super::STREAM_TYPE)], body).into_response())
}

pub(crate) struct Watching {
    receiver: Receiver<Arc<[Event]>>,
    query: TraceQuery,
}

/// What a watcher hears.
pub(crate) enum Heard {
    /// Events that fit; at least one.
    Events(Vec<Event>),
    /// So many were missed: the watcher was too slow.
    Missed(u64),
}

impl Watching {
    /// From now on.
    pub(crate) fn new(context: &AdminContext, query: TraceQuery) -> Self {
        let receiver = context.store.live();
        Self { receiver, query }
    }

    /// What comes next; `None` when the store closes.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        loop {
            match self.receiver.recv().await {
                Ok(events) => {
                    let fitting = events.iter().filter(|event| self.query.matches(event));
                    let shown = |event: &Event| Event {
                        subject: event
                            .subject
                            .clone()
                            .filter(|_| !self.query.without_subjects),
                        ..event.clone()
                    };
                    let fitting: Vec<_> = fitting.map(shown).collect();
                    if !fitting.is_empty() {
                        return Some(Heard::Events(fitting));
                    }
                }
                Err(RecvError::Lagged(missed)) => return Some(Heard::Missed(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The same, as lines of JSON.
    async fn next(&mut self) -> Option<String> {
        Some(match self.hear().await? {
            Heard::Events(events) => events.iter().map(|event| event.to_json() + "\n").collect(),
            Heard::Missed(missed) => format!("{{\"missed\":{missed}}}\n"),
        })
    }
}
