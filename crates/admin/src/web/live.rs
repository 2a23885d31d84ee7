//! The trace as it happens, for the page that shows it: server-sent events (WHATWG HTML §9.2),
//! each a row of the table as this server writes it. The page asks only while it is looked at.

use std::convert::Infallible;

use askama::Template;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::ask::Centre;
use super::door::Reader;
use super::news;
use super::trace::Row;
use super::view::{self, Column};
use crate::api::trace::{Heard, Page, Watching, query};
use crate::lang::Lang;

/// Rows sent at once; the page counts the others.
const ROWS_MAX: usize = 200;

pub(super) fn routes() -> Router<Centre> {
    Router::new().route("/trace/live", get(live))
}

async fn live(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let asked = Page {
        q: visit.query.get("q").to_owned(),
        ..Page::default()
    };
    let query = match query(&centre.context, visit.caller(), &asked) {
        Ok(query) => query,
        Err(problem) => return problem.into_response(),
    };
    let view = view::load(&centre, visit.name()).await;
    let columns = view.columns();
    let watching = Watching::new(&centre.context, query);
    let readiness = centre.context.readiness.clone();
    let people = centre.context.people.clone();
    let over = news::over(&centre, &visit);
    let (lang, token) = (visit.lang, visit.token.clone().unwrap_or_default());
    let (clock, store) = (centre.context.clock.clone(), centre.context.store.clone());
    let events = stream::unfold(Some((watching, true)), move |state| {
        let (readiness, columns) = (readiness.clone(), columns.clone());
        let (people, token, clock) = (people.clone(), token.clone(), clock.clone());
        let store = store.clone();
        async move {
            let (mut watching, is_first) = state?;
            if is_first {
                // So that the page knows it listens.
                return Some((sent(": listening\n\n".into()), Some((watching, false))));
            }
            let heard = tokio::select! {
                heard = watching.hear() => heard?,
                () = readiness.draining() => return None,
            };
            // Who signed out meanwhile hears no more.
            people.look(&store, &token, clock.now()).await?;
            Some((sent(told(lang, &columns, heard)), Some((watching, false))))
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    (headers, Body::from_stream(events.take_until(over))).into_response()
}

fn sent(text: String) -> Result<Bytes, Infallible> {
    Ok(Bytes::from(text))
}

fn told(lang: Lang, columns: &[Column], heard: Heard) -> String {
    let events = match heard {
        Heard::Events(events) => events,
        Heard::Missed(missed) => return format!("event: missed\ndata: {missed}\n\n"),
    };
    let skipped = events.len().saturating_sub(ROWS_MAX);
    let mut text = String::new();
    if skipped > 0 {
        text.push_str(&format!("event: missed\ndata: {skipped}\n\n"));
    }
    for event in events.iter().skip(skipped) {
        let value: Value = serde_json::from_str(&event.to_json()).unwrap_or_default();
        match Row::of(lang, &value, columns).render() {
            Ok(row) => {
                text.push_str("event: row\n");
                for line in row.lines() {
                    text.push_str("data: ");
                    text.push_str(line);
                    text.push('\n');
                }
                text.push('\n');
            }
            Err(error) => tracing::error!(%error, "a row could not be written"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;
    use relais_store::trace::{Event, EventKind};

    use super::*;
    use crate::words::Language;
    use crate::zone::Zone;

    #[test]
    fn a_row_is_one_event_whatever_stands_in_it() {
        let event = Event {
            subject: Some("<script>\ndata: x\n\nevent: row".into()),
            ..Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted)
        };
        let heard = Heard::Events(vec![event]);
        let text = told(
            Lang(Language::English, Zone::default()),
            &[Column::Subject],
            heard,
        );
        assert_eq!(text.matches("event: row\ndata: ").count(), 1);
        assert_eq!(text.matches("\n\n").count(), 1);
        assert!(!text.contains("<script>"), "{text}");
        let many = (0..ROWS_MAX + 5)
            .map(|_| Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted));
        let heard = Heard::Events(many.collect());
        let text = told(
            Lang(Language::French, Zone::default()),
            &[Column::Status],
            heard,
        );
        assert!(text.starts_with("event: missed\ndata: 5\n\n"));
        assert_eq!(text.matches("event: row").count(), ROWS_MAX);
    }
}
