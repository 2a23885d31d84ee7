//! The header section of a message in the queue, for whoever may read content. Each look is written
//! down: it is of the message itself, and not of the trace.
//!
//! Not here: the body, which nobody is shown.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use relais_smtp::identifier::QueueId;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};

use crate::context::{AdminContext, Caller};
use crate::problem::Problem;

/// Octets that are shown; more is no header that a person reads.
const OCTETS_MAX: usize = 64 * 1_024;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/queue/{id}/headers", post(headers))
}

/// `{"queue_id","lines","is_cut"}`.
async fn headers(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let queue_id: QueueId = id
        .parse()
        .map_err(|_| Problem::bad_request(format!("\"{id}\" is no queue id.")))?;
    let found = context.store.original(queue_id).await?;
    let found = found.filter(|(facts, _)| caller.rights.sees(&facts.organisation));
    let Some((facts, content)) = found else {
        let detail = "It is not in the queue: content is kept until the last recipient is done.";
        return Err(Problem::not_found(detail));
    };
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "queue.headers-read",
        detail: vec![format!("{queue_id} of {}", facts.organisation)],
    };
    // Written down first: nobody has looked without a name.
    let change = ShelfChange::new(Shelf::Check, context.clock.now()).audited(audit);
    context.store.change_shelf(change).await?;
    let unavailable = |error: &dyn std::fmt::Display| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    };
    let reader = context.store.content_reader(&content).await;
    let mut reader = reader.map_err(|error| unavailable(&error))?;
    let mut octets = Vec::new();
    while octets.len() < OCTETS_MAX && end_of(&octets).is_none() {
        let piece = reader.next().await.map_err(|error| unavailable(&error))?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    let end = end_of(&octets);
    let is_cut = end.is_none() && octets.len() >= OCTETS_MAX;
    octets.truncate(end.unwrap_or(octets.len()).min(OCTETS_MAX));
    let text = String::from_utf8_lossy(&octets);
    let lines: Vec<_> = text.lines().collect();
    Ok(Json(json!({
        "queue_id": queue_id.to_string(),
        "lines": lines,
        "is_cut": is_cut,
    })))
}

/// The empty line behind the header section. RFC 5322 §2.1.
fn end_of(octets: &[u8]) -> Option<usize> {
    octets
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|place| place + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_section_ends_at_the_first_empty_line() {
        assert_eq!(end_of(b"A: b\r\nC: d\r\n\r\nbody\r\n\r\n"), Some(12));
        assert_eq!(end_of(b"A: b\r\nC: d\r\n"), None);
        assert_eq!(end_of(b""), None);
    }
}
