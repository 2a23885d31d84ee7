//! Tokens as an issuer signs them, and as others would like to.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::KeyPair;
use relais_smtp::time::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const NOW_SECONDS: i64 = 1_795_514_400;

/// A key of an issuer, ECDSA P-256.
struct Key {
    name: &'static str,
    signer: EncodingKey,
}

impl Key {
    fn new(name: &'static str) -> Self {
        let pair = KeyPair::generate().expect("a key");
        let signer = EncodingKey::from_ec_der(&pair.serialize_der());
        Self { name, signer }
    }

    fn public(&self) -> Value {
        let key = Jwk::from_encoding_key(&self.signer, Algorithm::ES256).expect("a public key");
        let mut key = serde_json::to_value(key).expect("JSON");
        key["kid"] = json!(self.name);
        key
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.name.to_owned());
        encode(&header, claims, &self.signer).expect("signed")
    }
}

/// An issuer on loopback that serves these keys; how often it was asked is counted.
struct Server {
    address: String,
    keys: Arc<std::sync::Mutex<Vec<Value>>>,
    asked: Arc<std::sync::atomic::AtomicUsize>,
}

impl Server {
    async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self {
            address: address.clone(),
            keys: Arc::new(std::sync::Mutex::new(
                keys.iter().map(|key| key.public()).collect(),
            )),
            asked: Arc::default(),
        };
        let (keys, asked) = (Arc::clone(&server.keys), Arc::clone(&server.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut request = vec![0; 4_096];
                let count = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..count]).into_owned();
                let body = if request.contains("openid-configuration") {
                    json!({ "issuer": address, "jwks_uri": format!("{address}/keys") })
                } else {
                    json!({ "keys": *keys.lock().expect("no panic") })
                }
                .to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    fn issuers(&self, clock: &Clock) -> Issuers {
        let options = vec![IssuerOptions {
            issuer: self.address.clone(),
            client_id: "relais".to_owned(),
            organisation: None,
        }];
        Issuers::new(options, &[], clock.clone()).expect("a client")
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.address, "aud": "relais", "exp": NOW_SECONDS + 600,
            "preferred_username": "crm@contoso.test", "sub": "crm@contoso.test"
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// `claims` with one of them changed.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_good_token_names_its_bearer_and_its_keys_are_fetched_once() {
    let key = Key::new("one");
    let server = Server::start(&[&key]).await;
    let issuers = server.issuers(&Clock::simulated(NOW));
    for _ in 0..3 {
        let judged = issuers.judge(&key.sign(&server.claims())).await;
        assert_eq!(judged.expect("good").names, ["crm@contoso.test"]);
    }
    assert_eq!(server.asked(), 2, "the description, and the keys");
}

#[tokio::test]
async fn what_is_wrong_with_a_token_is_found() {
    let (key, other) = (Key::new("one"), Key::new("one"));
    let server = Server::start(&[&key]).await;
    let issuers = server.issuers(&Clock::simulated(NOW));
    let claims = server.claims();
    let unsigned = {
        use base64::Engine;
        let part = |value: Value| {
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
        };
        format!(
            "{}.{}.",
            part(json!({ "alg": "none" })),
            part(claims.clone())
        )
    };
    let secret = EncodingKey::from_secret(b"shared");
    let shared = encode(&Header::new(Algorithm::HS256), &claims, &secret).expect("signed");
    for (token, why) in [
        (other.sign(&claims), "another key of the same name"),
        (
            key.sign(&with(&claims, "aud", json!("others"))),
            "for others",
        ),
        (
            key.sign(&with(&claims, "iss", json!("https://evil.example"))),
            "another issuer",
        ),
        (
            key.sign(&with(&claims, "exp", json!(NOW_SECONDS - 61))),
            "expired",
        ),
        (
            key.sign(&with(&claims, "nbf", json!(NOW_SECONDS + 61))),
            "not yet",
        ),
        (unsigned, "no signature"),
        (shared, "a shared secret"),
        ("x.y.z".to_owned(), "no token"),
        ("x".repeat(20_000), "too long"),
    ] {
        let judged = issuers.judge(&token).await;
        assert!(
            matches!(judged, Err(TokenFault::Refused(_))),
            "{why}: {judged:?}"
        );
    }
    // The clocks of both may differ a little.
    let late = key.sign(&with(&claims, "exp", json!(NOW_SECONDS - 59)));
    assert!(issuers.judge(&late).await.is_ok());
}

#[tokio::test]
async fn a_new_key_is_fetched_and_unknown_ones_do_not_make_us_ask_again_and_again() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let server = Server::start(&[&one]).await;
    let clock = Clock::simulated(NOW);
    let issuers = server.issuers(&clock);
    issuers
        .judge(&one.sign(&server.claims()))
        .await
        .expect("good");
    let unknown = two.sign(&server.claims());
    for _ in 0..5 {
        assert!(issuers.judge(&unknown).await.is_err());
    }
    assert_eq!(server.asked(), 2);
    server.keys.lock().expect("no panic").push(two.public());
    tokio::time::pause();
    tokio::time::advance(FETCH_INTERVAL).await;
    tokio::time::resume();
    assert!(issuers.judge(&unknown).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_verdict() {
    let key = Key::new("one");
    let options = vec![IssuerOptions {
        issuer: "http://127.0.0.1:9".to_owned(),
        client_id: "relais".to_owned(),
        organisation: None,
    }];
    let issuers = Issuers::new(options, &[], Clock::simulated(NOW)).expect("a client");
    let claims = json!({ "iss": "http://127.0.0.1:9", "aud": "relais", "exp": NOW_SECONDS + 600 });
    let judged = issuers.judge(&key.sign(&claims)).await;
    assert!(
        matches!(judged, Err(TokenFault::Unavailable(_))),
        "{judged:?}"
    );
}

#[test]
fn keys_come_by_https_or_from_this_machine() {
    for (address, expected) in [
        ("https://login.example/tenant", true),
        ("http://login.example/tenant", false),
        ("http://127.0.0.1:8080", true),
        ("http://127.0.0.1.evil.example", false),
        ("ftp://127.0.0.1", false),
        ("", false),
    ] {
        assert_eq!(is_safe(address), expected, "{address}");
    }
}

#[test]
fn an_address_that_the_issuer_has_not_verified_is_nobodys() {
    let claims: Claims = serde_json::from_value(json!({
        "iss": "a", "exp": 1, "email": "ceo@contoso.test", "azp": "erp"
    }))
    .expect("claims");
    assert_eq!(names(claims), ["erp"]);
    let claims: Claims = serde_json::from_value(json!({
        "iss": "a", "exp": 1, "email": "ceo@contoso.test", "email_verified": true
    }))
    .expect("claims");
    assert_eq!(names(claims), ["ceo@contoso.test"]);
}
