//! The first steps beside what somebody else does.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use relais_admin::api::connector_revision as revision;
use relais_policy::document::OutboundConnector;

use crate::Here;

const WAYS: &str = "/api/v1/first-steps/ways";

async fn begun() -> Here {
    let here = Here::new().await;
    let you = json!({ "display_name": "Contoso", "postmaster": "it@contoso.test" });
    let told = here.ask(Method::POST, "/api/v1/first-steps/you", None, &you);
    assert_eq!(told.await.status, StatusCode::OK);
    here
}

fn way(host: &str, password: &str) -> Value {
    json!({ "way": "plain", "smart_host": host, "user": "relay", "password": password })
}

fn connectors(here: &Here) -> Vec<OutboundConnector> {
    let settings = here.context.store.settings();
    let owner = settings.organisation("contoso").expect("it is there");
    owner.outbound_connector.clone()
}

#[tokio::test]
async fn a_way_that_is_chosen_again_keeps_what_was_tuned_since() {
    let here = begun().await;
    let chosen = way("mail.contoso.test:587", "");
    let told = here.ask(Method::POST, WAYS, None, &chosen).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.value);
    let mut tuned = connectors(&here).remove(0);
    let seen = revision(&tuned);
    tuned.recipient_domains = vec!["example.org".to_owned()];
    tuned.source_addresses = vec!["192.0.2.25".to_owned()];
    let put = json!({ "organisation": "contoso", "connector": tuned, "revision": seen });
    let path = "/api/v1/connectors/outbound/put";
    let told = here.ask(Method::POST, path, None, &put).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.value);
    let other = way("relay.contoso.test:587", "");
    here.ask(Method::POST, WAYS, None, &other).await;
    let now = connectors(&here).remove(0);
    assert_eq!(now.smart_hosts, ["relay.contoso.test:587"]);
    assert_eq!(now.recipient_domains, tuned.recipient_domains);
    assert_eq!(now.source_addresses, tuned.source_addresses);
}

#[tokio::test]
async fn no_way_is_in_use_without_the_password_that_was_typed() {
    let here = begun().await;
    // Longer than a password can be.
    let chosen = way("mail.contoso.test:587", &"x".repeat(5_000));
    let told = here.ask(Method::POST, WAYS, None, &chosen).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "{}", told.value);
    assert!(connectors(&here).is_empty());
}
