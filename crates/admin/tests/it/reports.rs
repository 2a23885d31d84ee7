//! Reports that are sent by e-mail: once each, whatever happens in between.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use relais_admin::context::{AdminContext, Caller};
use relais_admin::report_mail::round;
use relais_store::queue::Criteria;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::trace::{ClientSummary, Event, EventKind};

use crate::access::Hosted;
use crate::{Here, contoso};

const SCHEDULES: &str = "/api/v1/reports/schedules";

async fn queued(here: &Here) -> usize {
    queued_in(&here.context).await
}

async fn queued_in(context: &AdminContext) -> usize {
    let all = context.store.list(&Criteria::default(), None, 100).await;
    all.expect("the queue").len()
}

#[tokio::test]
async fn a_report_that_is_due_is_sent_once_though_its_sender_dies_before_it_writes_that_down() {
    let here = Here::new().await;
    let body = json!({ "document": contoso() });
    here.ask(Method::POST, "/api/v1/apply", None, &body).await;
    let wanted = json!({ "every": "week", "to": ["b@example.org", "c@example.net"] });
    let made = here.ask(Method::POST, SCHEDULES, None, &wanted).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.value);
    round(&here.context).await;
    assert_eq!(queued(&here).await, 0, "it is not due");
    let id = made.value["id"].as_str().expect("an id").to_owned();
    let path = format!("{SCHEDULES}/{id}/send");
    here.ask(Method::POST, &path, None, &json!({})).await;
    let store = &here.context.store;
    let due = store.shelf_value(Shelf::ReportSchedule, &id).await;
    let due = due.expect("the shelf").expect("the schedule");
    round(&here.context).await;
    assert_eq!(queued(&here).await, 1);
    // As if it had died in between: the schedule stands as before.
    let now = here.context.clock.now();
    let change = ShelfChange::new(Shelf::ReportSchedule, now).put(&id, due);
    store.change_shelf(change).await.expect("the shelf");
    round(&here.context).await;
    round(&here.context).await;
    assert_eq!(queued(&here).await, 1, "nobody gets it twice");
    let told = here.get(SCHEDULES).await.value;
    assert!(told["schedules"][0]["sent"].is_string(), "{told}");
    assert!(told["schedules"][0]["fault"].is_null(), "{told}");
}

#[tokio::test]
async fn a_report_that_nobody_could_send_says_why_and_waits() {
    let here = Here::new().await;
    let wanted = json!({ "every": "day", "to": ["b@example.org"] });
    let made = here.ask(Method::POST, SCHEDULES, None, &wanted).await;
    let id = made.value["id"].as_str().expect("an id").to_owned();
    here.ask(
        Method::POST,
        &format!("{SCHEDULES}/{id}/send"),
        None,
        &json!({}),
    )
    .await;
    round(&here.context).await;
    let told = here.get(SCHEDULES).await.value;
    let fault = told["schedules"][0]["fault"].as_str().expect("a fault");
    assert!(fault.contains("no domain is verified"), "{told}");
    assert_eq!(queued(&here).await, 0);
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_with_the_reason() {
    let here = Here::new().await;
    for (wanted, status) in [
        (json!({ "every": "day", "to": [] }), 400),
        (json!({ "every": "day", "to": ["nobody"] }), 400),
        (json!({ "every": "hour", "to": ["b@example.org"] }), 400),
        (
            json!({ "every": "day", "to": ["b@example.org"], "reports": ["x"] }),
            400,
        ),
        (
            json!({ "every": "day", "to": ["b@example.org"], "language": "de" }),
            400,
        ),
        (
            json!({ "every": "day", "to": ["b@example.org"], "organisation": "x" }),
            404,
        ),
        (
            json!({ "every": "day", "to": vec!["b@example.org"; 21] }),
            400,
        ),
    ] {
        let made = here.ask(Method::POST, SCHEDULES, None, &wanted).await;
        assert_eq!(made.status.as_u16(), status, "{wanted}: {}", made.value);
    }
    let gone = format!("{SCHEDULES}/0000/remove");
    let gone = here.ask(Method::POST, &gone, None, &json!({})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

/// A schedule as it stands on the shelf, due long ago.
async fn shelve(context: &AdminContext, id: &str, organisation: &str) {
    let value = json!({
        "id": id, "organisation": organisation, "reports": ["mail"], "every": "day",
        "to": ["b@example.org"], "language": "en", "next": 1,
    });
    let change = ShelfChange::new(Shelf::ReportSchedule, context.clock.now());
    let change = change.put(id, value.to_string());
    context.store.change_shelf(change).await.expect("the shelf");
}

#[tokio::test]
async fn a_report_of_everybody_becomes_the_mail_of_none_of_several() {
    let hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    for wanted in [
        json!({ "every": "day", "to": ["b@example.org"] }),
        json!({ "every": "day", "to": ["b@example.org"], "organisation": "" }),
        json!({ "every": "day", "to": ["b@example.org"], "organisation": null }),
    ] {
        let path = "/reports/schedules";
        let told = hosted.ask(&root, Method::POST, path, &wanted).await;
        assert_eq!(told.0, StatusCode::BAD_REQUEST, "{wanted}: {}", told.1);
        assert!(told.1.contains("Name the organisation"), "{}", told.1);
    }
    // One of before.
    shelve(&hosted.context, "0a", "").await;
    let before = queued_in(&hosted.context).await;
    round(&hosted.context).await;
    assert_eq!(queued_in(&hosted.context).await, before);
    let told = hosted
        .root(Method::GET, "/reports/schedules", &Value::Null)
        .await;
    let fault = told["schedules"][0]["fault"].as_str().expect("a fault");
    assert!(fault.contains("Name the organisation"), "{told}");
}

#[tokio::test]
async fn reports_end_with_their_organisation_and_a_later_one_of_that_name_has_none() {
    let here = Here::new().await;
    let mut other = contoso();
    other["organisation"][0]["name"] = json!("fabrikam");
    let here = &here;
    let put = async |etag: &str, document: &Value| {
        let path = "/api/v1/settings";
        let told = here.ask(Method::PUT, path, Some(etag), document).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.value);
    };
    put("\"0\"", &contoso()).await;
    for (id, name) in [("0a", "contoso"), ("0c", "")] {
        shelve(&here.context, id, name).await;
    }
    put("\"1\"", &other).await;
    put("\"2\"", &contoso()).await;
    let told = here.get(SCHEDULES).await.value;
    let left = told["schedules"].as_array().expect("a list").iter();
    let left: Vec<_> = left.map(|one| &one["id"]).collect();
    assert_eq!(left, ["0c"], "{told}");
}

#[tokio::test]
async fn who_uses_the_message_id_of_a_report_before_it_does_not_stop_it() {
    let here = Here::new().await;
    let body = json!({ "document": contoso() });
    here.ask(Method::POST, "/api/v1/apply", None, &body).await;
    shelve(&here.context, "0a", "").await;
    let client = ClientSummary {
        address: "10.1.2.9".parse().expect("an address"),
        helo: None,
        credential: None,
        certificate: None,
    };
    let store = &here.context.store;
    let now = here.context.clock.now();
    store.record(Event {
        queue_id: Some(store.next_queue_id(now)),
        organisation: Some("contoso".into()),
        client: Some(Arc::new(client)),
        message_id: Some("report-0a-1@relay.contoso.test".into()),
        ..Event::new(now, EventKind::MessageAccepted)
    });
    // Until the trace has it.
    let asked = "/api/v1/trace?q=message-id:report-0a-1@relay.contoso.test";
    while !here.get(asked).await.value.to_string().contains("10.1.2.9") {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    round(&here.context).await;
    assert_eq!(queued(&here).await, 1);
}

#[tokio::test]
async fn one_organisation_uses_up_its_own_bound_only() {
    let hosted = Hosted::new().await;
    for number in 0..100 {
        shelve(&hosted.context, &format!("f{number}"), "fabrikam").await;
    }
    let root = Caller::socket(Some(0));
    for (name, status) in [
        ("fabrikam", StatusCode::CONFLICT),
        ("contoso", StatusCode::OK),
    ] {
        let wanted = json!({ "every": "day", "to": ["b@example.org"], "organisation": name });
        let path = "/reports/schedules";
        let told = hosted.ask(&root, Method::POST, path, &wanted).await;
        assert_eq!(told.0, status, "{name}: {}", told.1);
    }
}
