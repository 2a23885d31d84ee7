//! What two do at the same moment: neither undoes unseen what the other did.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use relais_admin::context::Caller;

use crate::{Here, contoso};

/// More than such a request waits.
const WAITS_MAX: usize = 8;

/// What a caller asks: its status, and what is answered.
async fn asked(here: &Here, caller: &Caller, path: &str, body: &Value) -> (StatusCode, String) {
    let path = format!("/api/v1{path}");
    let request = Request::post(path).extension(caller.clone());
    let request = request
        .body(Body::from(body.to_string()))
        .expect("a request");
    let answer = here.router.clone().oneshot(request).await;
    let answer = answer.expect("infallible");
    let status = answer.status();
    let octets = answer.into_body().collect().await.expect("a body");
    let text = String::from_utf8_lossy(&octets.to_bytes()).into_owned();
    (status, text)
}

async fn suspend(here: &Here, caller: &Caller, is_suspended: bool) -> StatusCode {
    let body = json!({
        "organisation": "contoso", "destination": "example.org", "suspended": is_suspended,
    });
    asked(here, caller, "/queue/suspended", &body).await.0
}

/// Begins one, which waits so often; then does the other, and both to their end.
async fn meanwhile<A, B>(
    waits: usize,
    one: impl Future<Output = A>,
    other: impl Future<Output = B>,
) -> (A, B) {
    let mut one = pin!(one);
    let mut left = waits;
    let begun = poll_fn(|task| match one.as_mut().poll(task) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    });
    let begun = begun.await;
    let ended = async {
        match begun {
            Some(done) => done,
            None => one.await,
        }
    };
    // The other one first: it comes in between.
    let (other, one) = tokio::join!(other, ended);
    (one, other)
}

/// A program of contoso with all that its organisation may, and the operator.
async fn program_and_operator(here: &Here) -> (Caller, Caller) {
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
    let program = Caller::key("program", id, Some("contoso"));
    (program, Caller::socket(Some(0)))
}

/// The organisation lifts its own suspension, and at each point of that the operator suspends the
/// same: whoever comes first, the operator's stands in the end.
#[tokio::test]
async fn what_the_operator_suspends_meanwhile_is_not_lifted_by_the_organisation() {
    let here = Here::new().await;
    let (program, operator) = program_and_operator(&here).await;
    for waits in 0..WAITS_MAX {
        assert_eq!(suspend(&here, &program, true).await, StatusCode::OK);
        let lifting = suspend(&here, &program, false);
        let suspending = suspend(&here, &operator, true);
        let (lifted, suspended) = meanwhile(waits, lifting, suspending).await;
        assert_eq!(suspended, StatusCode::OK, "{waits}");
        let told = here.get("/api/v1/queue/suspended").await.value;
        let by = &told["suspensions"][0]["by"];
        assert_eq!(by, "uid 0 (root)", "{waits}: {lifted} {told}");
        assert_eq!(suspend(&here, &operator, false).await, StatusCode::OK);
    }
    let told: Value = here.get("/api/v1/queue/suspended").await.value;
    assert_eq!(told["suspensions"], json!([]));
}

/// A domain of contoso's, blocked for this reason.
fn blocked(reason: &str) -> Value {
    json!({ "kind": "domain", "value": "contoso.test", "reason": reason })
}

fn released() -> Value {
    json!({ "kind": "domain", "value": "contoso.test" })
}

/// By whom the domain is restricted, and why.
async fn restricted(here: &Here) -> Option<(String, String)> {
    let told = here.get("/api/v1/restricted").await.value;
    let one = told["restricted"].as_array()?.first()?.clone();
    let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    Some((word("by"), word("reason")))
}

/// At each point of what the organisation does, the operator restricts the same: whoever comes
/// first, the operator's word stands in the end.
#[tokio::test]
async fn what_the_operator_restricts_meanwhile_is_neither_lifted_nor_replaced_by_the_organisation()
{
    let here = Here::new().await;
    let (program, operator) = program_and_operator(&here).await;
    let (block, release) = ("/restricted/block", "/restricted/release");
    for (path, body) in [(release, released()), (block, blocked("softer"))] {
        for waits in 0..WAITS_MAX {
            let own = asked(&here, &program, block, &blocked("own")).await;
            assert_eq!(own.0, StatusCode::OK, "{}", own.1);
            let change = asked(&here, &program, path, &body);
            let stop = blocked("stop");
            let blocking = asked(&here, &operator, block, &stop);
            let (changed, stopped) = meanwhile(waits, change, blocking).await;
            assert_eq!(stopped.0, StatusCode::OK, "{waits}: {}", stopped.1);
            let expected = Some(("uid 0 (root)".to_owned(), "stop".to_owned()));
            assert_eq!(restricted(&here).await, expected, "{waits}: {changed:?}");
            let lifted = asked(&here, &operator, release, &released()).await;
            assert_eq!(lifted.0, StatusCode::OK, "{}", lifted.1);
        }
    }
}

#[tokio::test]
async fn what_one_operator_restricts_anew_is_not_lifted_by_the_page_of_the_other() {
    let here = Here::new().await;
    let (_, operator) = program_and_operator(&here).await;
    let (block, release) = ("/restricted/block", "/restricted/release");
    let anew = asked(&here, &operator, block, &blocked("anew")).await;
    assert_eq!(anew.0, StatusCode::OK, "{}", anew.1);
    let listed = here.get("/api/v1/restricted").await.value;
    let mut lift = released();
    // As a page says it that shows what was restricted before.
    lift["since"] = json!("2026-01-01T00:00:00.000Z");
    let refused = asked(&here, &operator, release, &lift).await;
    assert_eq!(refused.0, StatusCode::CONFLICT);
    assert!(
        refused.1.contains("contoso.test meanwhile"),
        "{}",
        refused.1
    );
    let standing = restricted(&here).await.map(|(_, reason)| reason);
    assert_eq!(standing.as_deref(), Some("anew"));
    lift["since"] = listed["restricted"][0]["since"].clone();
    let lifted = asked(&here, &operator, release, &lift).await;
    assert_eq!(lifted.0, StatusCode::OK, "{}", lifted.1);
    assert_eq!(restricted(&here).await, None);
}
