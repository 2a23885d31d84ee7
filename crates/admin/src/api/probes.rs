//! `/livez`, `/readyz`, `/metrics`: for orchestrators and Prometheus. No names or addresses of
//! people, because nobody is asked who they are.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::context::{AdminContext, unready};
use crate::metrics::Counted;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// The process answers.
async fn livez() -> &'static str {
    "Relais is running.\n"
}

/// Listeners are up and the store takes messages; whether a smart host answers does not count.
async fn readyz(State(context): State<AdminContext>) -> (StatusCode, String) {
    match unready(&context) {
        None => (StatusCode::OK, "Relais is ready.\n".to_owned()),
        Some(because) => (StatusCode::SERVICE_UNAVAILABLE, format!("{because}\n")),
    }
}

async fn metrics(State(context): State<AdminContext>) -> impl IntoResponse {
    let (counts, now) = (context.store.counts(), context.clock.now());
    let counted = if context.store.is_counted() {
        Counted::Whole
    } else {
        Counted::Partly
    };
    for (listener, store) in &context.certificates.of_listeners {
        if let Some(shown) = store.current() {
            context
                .metrics
                .set_certificate_end(*listener, shown.not_after());
        }
    }
    let text = context.metrics.render(&counts, counted, now);
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, form)], text)
}
