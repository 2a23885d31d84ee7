//! The trace: pages of events, newest first, and events as they come.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use relais_store::trace::{Event, TraceQuery, TraceRow, parse_since};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/trace", get(page))
        .route("/trace/live", get(live))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    /// Tokens as people type them.
    #[serde(default)]
    q: String,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    limit: usize,
    /// Of the page before.
    cursor: Option<u64>,
}

fn query(context: &AdminContext, page: &Page) -> Result<TraceQuery, Problem> {
    let now = context.clock.now();
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| parse_since(text, now))
            .transpose()
    };
    let parsed = TraceQuery::parse(&page.q)?;
    Ok(TraceQuery {
        since: time(&page.since)?,
        until: time(&page.until)?,
        limit: page.limit,
        before: page.cursor,
        ..parsed
    })
}

async fn page(
    State(context): State<AdminContext>,
    Parameters(page): Parameters<Page>,
) -> Result<Response, Problem> {
    let query = query(&context, &page)?;
    let rows = context.store.trace(&query).await?;
    let next = rows
        .last()
        .filter(|_| rows.len() >= query.limit_in_bounds());
    let next = next.map_or_else(|| "null".to_owned(), |row| row.position.to_string());
    let body = format!("{{\"events\":{},\"next_cursor\":{next}}}", array(&rows));
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
    Parameters(page): Parameters<Page>,
) -> Result<Response, Problem> {
    let query = query(&context, &page)?;
    let receiver = context.store.live();
    let readiness = context.readiness.clone();
    let watching = Watching { receiver, query };
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
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Watching {
    receiver: Receiver<Arc<[Event]>>,
    query: TraceQuery,
}

impl Watching {
    /// The next lines that fit; `None` when the store closes.
    async fn next(&mut self) -> Option<String> {
        loop {
            let lines: String = match self.receiver.recv().await {
                Ok(events) => {
                    let fitting = events.iter().filter(|event| self.query.matches(event));
                    fitting.map(|event| event.to_json() + "\n").collect()
                }
                Err(RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n"),
                Err(RecvError::Closed) => return None,
            };
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }
}
