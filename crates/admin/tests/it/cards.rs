//! Cards that somebody has: no organisation's are pushed out by another's, and a password that is
//! printed on one can be revoked as long as it counts.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use relais_admin::context::Caller;
use relais_store::shelf::{Shelf, ShelfChange};

use crate::access::Hosted;

const CARD: &str = "/connectors/inbound/card";
/// As `card::issued` has it.
const CARDS_MAX: usize = 500;

async fn shelf(hosted: &Hosted) -> Vec<(String, Value)> {
    let entries = hosted.context.store.shelf(Shelf::WaitingLink).await;
    let entries = entries.expect("the shelf").into_iter();
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    entries
        .map(|entry| (entry.key, read(&entry.value)))
        .collect()
}

async fn put(hosted: &Hosted, cards: impl IntoIterator<Item = (String, Value)>) {
    let mut change = ShelfChange::new(Shelf::WaitingLink, hosted.context.clock.now());
    for (key, card) in cards {
        change = change.put(key, card.to_string());
    }
    let put = hosted.context.store.change_shelf(change).await;
    put.expect("the shelf");
}

async fn code(hosted: &Hosted, organisation: &str, connector: &str) -> (StatusCode, String) {
    let wanted = json!({
        "organisation": organisation, "name": connector, "origin": "https://relay.test",
    });
    let path = format!("{CARD}/code");
    let root = Caller::socket(Some(0));
    hosted.ask(&root, Method::POST, &path, &wanted).await
}

#[tokio::test]
async fn cards_are_bounded_per_organisation_and_none_goes_for_a_new_one() {
    let hosted = Hosted::new().await;
    let until = hosted.context.clock.now().as_millis() + 3_600_000;
    let card = json!({
        "organisation": "fabrikam", "connector": "Secret-Scanner", "until": until,
    });
    let all = (0..CARDS_MAX).map(|number| (format!("{number}"), card.clone()));
    put(&hosted, all).await;
    let (status, told) = code(&hosted, "fabrikam", "Secret-Scanner").await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(told.contains("revoke some"), "{told}");
    assert_eq!(shelf(&hosted).await.len(), CARDS_MAX, "none has gone");
    let (status, told) = code(&hosted, "contoso", "Printers").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(shelf(&hosted).await.len(), CARDS_MAX + 1);
    // One that is over makes room.
    let mut over = card;
    over["until"] = json!(1);
    put(&hosted, [("0".to_owned(), over)]).await;
    let (status, told) = code(&hosted, "fabrikam", "Secret-Scanner").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(shelf(&hosted).await.len(), CARDS_MAX + 1);
}

#[tokio::test]
async fn a_card_has_its_paper_and_a_code_that_is_told_once() {
    let mut hosted = Hosted::new().await;
    let root = Caller::socket(Some(0));
    let path = format!("{CARD}?organisation=contoso&name=Printers&paper=legal");
    let (status, told) = hosted.ask(&root, Method::GET, &path, &Value::Null).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(told.contains("\\\"letter\\\""), "{told}");
    let wanted = json!({
        "organisation": "contoso", "name": "Printers", "format": "text", "paper": "letter",
    });
    let path = format!("{CARD}/code");
    let (status, told) = hosted.ask(&root, Method::POST, &path, &wanted).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
    assert!(told.contains("on this machine only"), "{told}");
    // The code begins as other machines reach the admin centre.
    let listens = "10.1.0.5:8025".parse().expect("an address");
    hosted.reached_at(listens);
    let made = hosted.root(Method::POST, &path, &wanted).await;
    let address = made["address"].as_str().expect("an address");
    assert!(address.starts_with("http://10.1.0.5:8025/wait/"), "{made}");
    let text = made["text"].as_str().expect("a text");
    assert!(text.contains(address), "{text}");
}

#[tokio::test]
async fn a_printed_password_is_revoked_by_its_card_though_the_card_s_days_are_over() {
    let hosted = Hosted::new().await;
    let made = hosted
        .root(
            Method::POST,
            "/credentials/con-login/rotate",
            &json!({ "overlap": "0s" }),
        )
        .await;
    let mut wanted = json!({
        "organisation": "contoso", "name": "Printers", "user": "con-login",
        "password": made["password"], "days": 1,
    });
    let path = format!("{CARD}/password");
    hosted.root(Method::POST, &path, &wanted).await;
    let (key, mut card) = shelf(&hosted).await.remove(0);
    card["until"] = json!(1);
    put(&hosted, [(key.clone(), card)]).await;
    // Another card comes, and this one stays, because its password counts.
    let (status, told) = code(&hosted, "contoso", "Printers").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let path = format!("{CARD}/issued?organisation=contoso&name=Printers");
    let listed = hosted.root(Method::GET, &path, &Value::Null).await;
    let cards = listed["cards"].as_array().expect("a list");
    let found = cards.iter().find(|card| card["id"] == *key);
    let found = found.unwrap_or_else(|| panic!("{listed}"));
    assert_eq!(found["password_counts"], true);
    assert_eq!(found["has_ended"], true);
    wanted = json!({ "organisation": "contoso", "name": "Printers", "token": key });
    let path = format!("{CARD}/revoke");
    let told = hosted.root(Method::POST, &path, &wanted).await;
    assert_eq!(told["password_ended"], true);
    let settings = hosted.context.store.settings();
    let (_, credential) = settings.credential("con-login").expect("it is there");
    assert_eq!(credential.password_hash, "");
    let left = shelf(&hosted).await;
    assert!(left.iter().all(|(one, _)| *one != key), "{left:?}");
}
