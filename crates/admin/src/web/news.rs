//! Pages that change by themselves: a stream of server-sent events says that something is new, and
//! the page's script fetches the page again and puts its live part in place. What a person sees is
//! made in one place only, the template; without script the page asks anew by itself or by a link.
//!
//! WHATWG HTML, server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

use super::ask::Centre;
use super::door::Visit;

/// A line now and then, so that nobody between us takes the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What comes within this is told at once: a conversation has many lines.
const GATHERING: Duration = Duration::from_millis(100);
/// When the browser tries again after an end; the first line makes a page look at once.
const FIRST: &str = "retry: 2000\ndata: new\n\n";
const NEW: &str = "data: new\n\n";
const NOTHING: &str = ":\n\n";

/// Says that something is new each time that `changes` brings something; ends with it, when the
/// server drains, and with the session of the visit, if there is one.
pub(super) fn send<S>(centre: &Centre, visit: &Visit, changes: S) -> Response
where
    S: Stream<Item = ()> + Send + 'static,
{
    let (clock, readiness) = (
        centre.context.clock.clone(),
        centre.context.readiness.clone(),
    );
    let state = (Box::pin(changes), true);
    let lines = stream::unfold(state, move |(mut changes, is_first)| {
        let (clock, readiness) = (clock.clone(), readiness.clone());
        async move {
            if is_first {
                return Some((Ok::<_, Infallible>(Bytes::from(FIRST)), (changes, false)));
            }
            let line = tokio::select! {
                change = changes.next() => {
                    change?;
                    clock.sleep(GATHERING).await;
                    NEW
                }
                () = clock.sleep(KEEP_ALIVE) => NOTHING,
                () = readiness.draining() => return None,
            };
            Some((Ok(Bytes::from(line)), (changes, false)))
        }
    });
    let lines = lines.take_until(over(centre, visit));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(lines)).into_response()
}

/// When nothing more may be told: the session is over. Where nobody is signed in it never comes.
pub(super) fn over(centre: &Centre, visit: &Visit) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (people, clock) = (centre.context.people.clone(), centre.context.clock.clone());
    let token = visit.session.as_ref().and(visit.token.clone());
    Box::pin(async move {
        match token {
            Some(token) => people.over(&clock, &token).await,
            None => std::future::pending().await,
        }
    })
}
