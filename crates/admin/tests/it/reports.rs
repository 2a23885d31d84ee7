//! Reports that are sent by e-mail: once each, whatever happens in between.

use axum::http::{Method, StatusCode};
use serde_json::json;

use relais_admin::report_mail::round;
use relais_store::queue::Criteria;
use relais_store::shelf::{Shelf, ShelfChange};

use crate::{Here, contoso};

const SCHEDULES: &str = "/api/v1/reports/schedules";

async fn queued(here: &Here) -> usize {
    let all = here
        .context
        .store
        .list(&Criteria::default(), None, 100)
        .await;
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
