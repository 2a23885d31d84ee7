//! The whole of what a search finds as a file, CSV or JSON, sent as it is read: numbers, times and
//! names as machines read them, whatever the page's language.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde_json::Value;

use relais_store::store::Store;
use relais_store::trace::{TraceQuery, TraceRow};

use super::ask::{Centre, text};
use super::door::{Reader, Visit};
use super::files::csv_line;
use super::page::failed;
use super::trace::SINCE_DEFAULT;
use crate::api::trace::{Page, query};

/// Events read at once.
const EVENTS_AT_ONCE: usize = 1_000;
/// Events of one file: ours; a spreadsheet takes about as many lines.
const EVENTS_MAX: usize = 1_000_000;
/// The columns of a table of events.
const HEAD: [&str; 18] = [
    "time",
    "event",
    "status",
    "queue_id",
    "reference",
    "organisation",
    "inbound_connector",
    "client",
    "from",
    "to",
    "subject",
    "size",
    "token",
    "reply",
    "outbound_connector",
    "next_hop",
    "tls",
    "duration_ms",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/trace/export.csv", get(csv))
        .route("/trace/export.json", get(json))
}

async fn csv(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    file(&centre, &visit, Form::Csv).await
}

async fn json(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    file(&centre, &visit, Form::Json).await
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Csv,
    Json,
}

/// Where the writing of a file stands.
enum Part {
    Begin,
    Events { query: TraceQuery, left: usize },
    Done,
}

async fn file(centre: &Centre, visit: &Visit, form: Form) -> Response {
    let (zone, now) = (visit.lang.1, centre.context.clock.now());
    let asked = |name| {
        let text = zone.time(visit.query.get(name), now);
        Some(text).filter(|text| !text.is_empty())
    };
    let page = Page {
        q: visit.query.get("q").to_owned(),
        since: asked("since").or_else(|| Some(SINCE_DEFAULT.to_owned())),
        until: asked("until"),
        limit: EVENTS_AT_ONCE,
        ..Page::default()
    };
    let query = match query(&centre.context, visit.caller(), &page) {
        Ok(query) => query,
        Err(problem) => return problem.into_response(),
    };
    if query.without_subjects {
        // A file is for those who may read all of it.
        let words = visit.lang.t("error-read-only");
        return failed(visit, StatusCode::FORBIDDEN, &words);
    }
    let store = centre.context.store.clone();
    let parts = stream::unfold(Part::Begin, move |part| {
        let (store, query) = (store.clone(), query.clone());
        async move { next(&store, query, part, form).await }
    });
    let (kind, name) = match form {
        Form::Csv => (
            "text/csv; charset=utf-8",
            "attachment; filename=\"trace.csv\"",
        ),
        Form::Json => (
            "application/x-ndjson",
            "attachment; filename=\"trace.jsonl\"",
        ),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

async fn next(
    store: &Store,
    query: TraceQuery,
    part: Part,
    form: Form,
) -> Option<(Result<Bytes, Infallible>, Part)> {
    let (query, left) = match part {
        Part::Begin => {
            let head = match form {
                Form::Csv => HEAD.join(",") + "\r\n",
                Form::Json => String::new(),
            };
            let left = EVENTS_MAX;
            return Some((Ok(Bytes::from(head)), Part::Events { query, left }));
        }
        Part::Events { query, left } => (query, left),
        Part::Done => return None,
    };
    let answer = match store.trace_page(&query).await {
        Ok(answer) => answer,
        Err(error) => {
            // The file ends here; nothing can be said in it any more.
            tracing::warn!(%error, "an export of the trace was cut short");
            return None;
        }
    };
    let mut text = String::new();
    for row in answer.rows.iter().take(left) {
        match form {
            Form::Csv => text.push_str(&line(row)),
            Form::Json => {
                text.push_str(&row.json);
                text.push('\n');
            }
        }
    }
    let left = left.saturating_sub(answer.rows.len());
    let part = match answer.next {
        Some(before) if left > 0 => Part::Events {
            query: TraceQuery {
                before: Some(before),
                ..query
            },
            left,
        },
        _ => Part::Done,
    };
    Some((Ok(Bytes::from(text)), part))
}

/// One event. RFC 4180.
fn line(row: &TraceRow) -> String {
    let event: Value = serde_json::from_str(&row.json).unwrap_or_default();
    let recipients = match &event["to"] {
        Value::Array(all) => {
            let all: Vec<_> = all.iter().filter_map(Value::as_str).collect();
            all.join(" ")
        }
        one => one.as_str().unwrap_or_default().to_owned(),
    };
    let cells = HEAD.map(|name| match name {
        "client" => text(&event["client"], "address").to_owned(),
        "tls" => text(&event["tls"], "version").to_owned(),
        "to" => recipients.clone(),
        "size" | "duration_ms" => event[name]
            .as_u64()
            .map(|n| n.to_string())
            .unwrap_or_default(),
        name => text(&event, name).to_owned(),
    });
    csv_line(&cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_cell_for_each_column() {
        let row = TraceRow {
            position: 1,
            json: r#"{"time":"t","event":"e","to":["a@b.test","c@d.test"],"size":4,
                "client":{"address":"10.1.2.9"},"tls":{"version":"1.3"}}"#
                .to_owned(),
        };
        let line = line(&row);
        assert_eq!(line.matches(',').count(), HEAD.len() - 1);
        assert!(
            line.contains("10.1.2.9,,a@b.test c@d.test,,4,,,,,1.3,"),
            "{line}"
        );
    }
}
