//! Legal holds: who places them, what is no hold, and that nothing they cover is erased.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use relais_admin::context::Caller;
use relais_store::trace::{Event, EventKind, To};

use crate::access::Hosted;
use crate::hosted::texts;

const HOLDS: &str = "/retention/holds";

async fn erase(hosted: &Hosted, caller: &Caller, body: Value) -> (StatusCode, String) {
    hosted
        .ask(caller, Method::POST, "/trace/erase", &body)
        .await
}

fn key(organisation: &str) -> Caller {
    Caller::key("program", "0123456789", Some(organisation))
}

#[tokio::test]
async fn an_address_under_a_hold_is_not_erased_until_the_hold_is_released() {
    let hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    let hold = json!({
        "organisation": "fabrikam", "address": "Paula@fabrikam.test", "reason": "case 17.",
        "until": "90d",
    });
    let placed = hosted.root(Method::POST, HOLDS, &hold).await;
    let paula = json!({ "address": "paula@fabrikam.test" });
    let (status, told) = erase(&hosted, &root, paula.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(
        told.contains("nothing of it is erased: case 17.\""),
        "{told}"
    );
    // The organisation is told that there is one, not why.
    let (status, told) = erase(&hosted, &key("fabrikam"), paula.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(!told.contains("case 17"), "{told}");
    // What another organisation has of the address is under no hold, nor is another address.
    let (status, told) = erase(&hosted, &key("contoso"), paula.clone()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let other = json!({ "address": "peter@fabrikam.test", "dry_run": true });
    let (status, told) = erase(&hosted, &root, other).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let path = format!("{HOLDS}/{}/release", texts(&placed["id"]));
    hosted.root(Method::POST, &path, &json!({})).await;
    let (status, told) = erase(&hosted, &root, paula).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let (status, _) = hosted.ask(&root, Method::POST, &path, &json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    // The audit forgets nothing, and so does not have the address.
    let audit = hosted
        .root(Method::GET, "/audit?act=legal-hold", &Value::Null)
        .await;
    let audit = audit.to_string();
    assert!(audit.contains("legal-hold.placed") && audit.contains("legal-hold.released"));
    assert!(!audit.to_ascii_lowercase().contains("paula@"), "{audit}");
}

#[tokio::test]
async fn a_hold_on_a_connector_covers_the_addresses_of_its_mail() {
    let hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    let context = &hosted.context;
    context.store.record(Event {
        organisation: Some("fabrikam".into()),
        inbound_connector: Some("Secret-Scanner".into()),
        from: Some("lena@fabrikam.test".into()),
        ..Event::new(context.clock.now(), EventKind::MessageAccepted)
    });
    let hold = json!({
        "organisation": "fabrikam", "connector": "Secret-Scanner", "reason": "tax audit",
    });
    hosted.root(Method::POST, HOLDS, &hold).await;
    let (status, told) = erase(&hosted, &root, json!({ "address": "lena@fabrikam.test" })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    let other = json!({ "address": "otto@fabrikam.test" });
    let (status, told) = erase(&hosted, &root, other).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

#[tokio::test]
async fn a_hold_on_an_address_covers_whoever_it_wrote_to() {
    let hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    let context = &hosted.context;
    context.store.record(Event {
        organisation: Some("fabrikam".into()),
        from: Some("Paula@fabrikam.test".into()),
        to: Some(To::Many(vec![
            "carl@example.org".into(),
            "otto@example.org".into(),
        ])),
        ..Event::new(context.clock.now(), EventKind::MessageAccepted)
    });
    let hold = json!({ "address": "paula@fabrikam.test", "reason": "case 18" });
    hosted.root(Method::POST, HOLDS, &hold).await;
    let otto = json!({ "address": "otto@example.org" });
    // Its mail would be told and kept as if it had gone to nobody.
    for caller in [&root, &key("fabrikam")] {
        let (status, told) = erase(&hosted, caller, otto.clone()).await;
        assert_eq!(status, StatusCode::CONFLICT, "{told}");
    }
    // Others wrote to him too, and somebody else to nobody under a hold.
    let (status, told) = erase(&hosted, &key("contoso"), otto).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let other = json!({ "address": "lena@example.org" });
    let (status, told) = erase(&hosted, &root, other).await;
    assert_eq!(status, StatusCode::OK, "{told}");
}

#[tokio::test]
async fn what_is_no_hold_is_refused_with_the_reason_and_one_organisation_places_none() {
    let hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    let (address, reason) = ("paula@fabrikam.test", "x");
    for (wanted, status, says) in [
        (json!({ "reason": reason }), 400, "name one of the two"),
        (
            json!({ "address": address, "connector": "Printers", "reason": reason }),
            400,
            "name one of the two",
        ),
        (
            json!({ "address": "paula", "reason": reason }),
            400,
            "whole address",
        ),
        (
            json!({ "address": address, "reason": " " }),
            400,
            "Give a reason",
        ),
        (
            json!({ "address": address, "reason": reason, "until": "2020-01-01" }),
            400,
            "must lie ahead",
        ),
        (
            json!({ "address": address, "organisation": "third", "reason": reason }),
            404,
            "There is no organisation third",
        ),
        (
            json!({ "connector": "Nowhere", "organisation": "contoso", "reason": reason }),
            404,
            "Nowhere",
        ),
    ] {
        let (found, told) = hosted.ask(&root, Method::POST, HOLDS, &wanted).await;
        assert_eq!(found.as_u16(), status, "{wanted}: {told}");
        assert!(told.contains(says), "{wanted}: {told}");
    }
    // It would keep everybody's days of the trace.
    let own = json!({ "address": "paula@contoso.test", "reason": reason });
    let (status, told) = hosted.ask(&key("contoso"), Method::POST, HOLDS, &own).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{told}");
    let listed = hosted.root(Method::GET, HOLDS, &Value::Null).await;
    assert_eq!(listed["holds"], json!([]));
}
