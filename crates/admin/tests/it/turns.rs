//! What two do at the same moment: neither undoes unseen what the other did.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use relais_admin::context::Caller;

use crate::{Here, contoso};

/// More than such a request waits.
const WAITS_MAX: usize = 8;

async fn suspend(here: &Here, caller: &Caller, is_suspended: bool) -> StatusCode {
    let body = json!({
        "organisation": "contoso", "destination": "example.org", "suspended": is_suspended,
    });
    let request = Request::post("/api/v1/queue/suspended").extension(caller.clone());
    let request = request
        .body(Body::from(body.to_string()))
        .expect("a request");
    let answer = here.router.clone().oneshot(request).await;
    answer.expect("infallible").status()
}

/// The organisation lifts its own suspension, and at each point of that the operator suspends the
/// same: whoever comes first, the operator's stands in the end.
#[tokio::test]
async fn what_the_operator_suspends_meanwhile_is_not_lifted_by_the_organisation() {
    let here = Here::new().await;
    let body = json!({ "document": contoso() });
    here.ask(Method::POST, "/api/v1/apply", None, &body).await;
    let wanted = json!({
        "name": "program", "scopes": ["queue:write"], "organisation": "contoso",
    });
    let made = here
        .ask(Method::POST, "/api/v1/api-keys", None, &wanted)
        .await
        .value;
    let id = made["id"].as_str().expect("a key");
    let (program, operator) = (
        Caller::key("program", id, Some("contoso")),
        Caller::socket(Some(0)),
    );
    for waits in 0..WAITS_MAX {
        assert_eq!(suspend(&here, &program, true).await, StatusCode::OK);
        let mut lifting = pin!(suspend(&here, &program, false));
        let mut left = waits;
        let begun = poll_fn(|task| match lifting.as_mut().poll(task) {
            Poll::Ready(status) => Poll::Ready(Some(status)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        });
        let begun = begun.await;
        let lifted = async {
            match begun {
                Some(status) => status,
                None => lifting.await,
            }
        };
        let (suspended, lifted) = tokio::join!(suspend(&here, &operator, true), lifted);
        assert_eq!(suspended, StatusCode::OK, "{waits}");
        let told = here.get("/api/v1/queue/suspended").await.value;
        let by = &told["suspensions"][0]["by"];
        assert_eq!(by, "uid 0 (root)", "{waits}: {lifted} {told}");
        assert_eq!(suspend(&here, &operator, false).await, StatusCode::OK);
    }
    let told: Value = here.get("/api/v1/queue/suspended").await.value;
    assert_eq!(told["suspensions"], json!([]));
}
