//! The door for http-01 challenges of ACME: one file for the server that asks, nothing for anybody
//! else. RFC 8555 §8.3. Open only while the wiring keeps it.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use relais_net::acme::ChallengeAnswers;

/// The only page.
pub(crate) fn router(answers: ChallengeAnswers) -> Router {
    Router::new()
        .route("/.well-known/acme-challenge/{token}", get(answer))
        .with_state(answers)
}

async fn answer(State(answers): State<ChallengeAnswers>, Path(token): Path<String>) -> Response {
    match answers.http(&token) {
        Some(answer) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], answer).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
