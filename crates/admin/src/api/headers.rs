//! The header section of a message in the queue, for whoever may read content. Each look is written
//! down: it is of the message itself, and not of the trace.
//!
//! Not here: the body (`content`).

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::content::open;
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
    let mut found = open(&context, &caller, &id, "queue.headers-read").await?;
    let unavailable = |error: &dyn std::fmt::Display| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    };
    let mut octets = Vec::new();
    while octets.len() < OCTETS_MAX && end_of(&octets).is_none() {
        let piece = found
            .reader
            .next()
            .await
            .map_err(|error| unavailable(&error))?;
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
        "queue_id": found.queue_id.to_string(),
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
