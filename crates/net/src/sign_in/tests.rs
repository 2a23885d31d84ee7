//! Sign-ins as an issuer answers them, and as others would like to.

use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use relais_smtp::time::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::simulated_dns::SimulatedDns;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const NOW_SECONDS: i64 = 1_795_514_400;
const NONCE: &str = "the nonce of this sign-in";

/// An issuer on loopback: it gives this token for any code, and remembers what it was asked.
struct Issuer {
    address: String,
    token: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    signer: EncodingKey,
    foreign: EncodingKey,
}

fn signer() -> EncodingKey {
    let pair = KeyPair::generate().expect("a key");
    EncodingKey::from_ec_der(&pair.serialize_der())
}

impl Issuer {
    async fn start(more: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let signer = signer();
        let key = Jwk::from_encoding_key(&signer, Algorithm::ES256).expect("a public key");
        let mut key = serde_json::to_value(key).expect("JSON");
        key["kid"] = json!("2026");
        let mut about = json!({
            "issuer": address,
            "authorization_endpoint": format!("{address}/authorize"),
            "token_endpoint": format!("{address}/token"),
            "jwks_uri": format!("{address}/keys"),
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            about[name] = value.clone();
        }
        let issuer = Self {
            address,
            token: Arc::default(),
            asked: Arc::default(),
            signer,
            foreign: self::signer(),
        };
        let (token, asked) = (Arc::clone(&issuer.token), Arc::clone(&issuer.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = request(&mut stream).await;
                asked.lock().expect("no panic").push(request.clone());
                let token = token.lock().expect("no panic").clone();
                let (status, body) = match request.split(' ').nth(1).unwrap_or_default() {
                    "/keys" => ("200 OK", json!({ "keys": [key] })),
                    "/token" if token.is_empty() => {
                        ("400 Bad Request", json!({ "error": "invalid_grant" }))
                    }
                    "/token" => ("200 OK", json!({ "id_token": token })),
                    _ => ("200 OK", about.clone()),
                };
                let body = body.to_string();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        issuer
    }

    fn provider(&self) -> Provider {
        Provider {
            issuer: self.address.clone(),
            client_id: "relais".to_owned(),
            redirect_uri: "https://relay.test/sign-in/back".to_owned(),
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.address, "aud": "relais", "sub": "42", "nonce": NONCE,
            "iat": NOW_SECONDS, "exp": NOW_SECONDS + 300,
            "preferred_username": "anna@contoso.test", "roles": ["Relais.Owner"],
        })
    }

    fn sign(&self, claims: &Value, key: &EncodingKey) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("2026".to_owned());
        encode(&header, claims, key).expect("signed")
    }

    async fn finish(&self, token: String) -> Result<Identity, SignInFault> {
        *self.token.lock().expect("no panic") = token;
        let client = client_at(NOW);
        let shown = (NONCE, "the verifier");
        client
            .finish(&self.provider(), Some("p&ss wörd"), "the code", shown)
            .await
    }

    fn asked(&self, path: &str) -> String {
        let asked = self.asked.lock().expect("no panic");
        let found = asked.iter().rev().find(|one| one.contains(path));
        found.cloned().expect("it was asked")
    }
}

/// The whole request: head, and as much of a body as the head says.
async fn request(stream: &mut tokio::net::TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.unwrap_or_default();
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if count == 0 {
                return text;
            }
            continue;
        };
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = lengths.next().and_then(|(_, value)| value.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

fn client_at(now: Timestamp) -> SignInClient {
    client_with(now, true)
}

fn client_with(now: Timestamp, allow_private: bool) -> SignInClient {
    let resolver = Resolver::simulated(&SimulatedDns::new(Duration::ZERO));
    let options = WebOptions {
        roots: Arc::new(rustls::RootCertStore::empty()),
        port: 0,
        allow_private,
    };
    SignInClient::new(&resolver, options, Clock::simulated(now)).expect("a client")
}

#[tokio::test]
async fn a_person_is_sent_with_a_challenge_and_comes_back_with_the_verifier() {
    let issuer = Issuer::start(Value::Null).await;
    let begun = client_at(NOW)
        .begin(&issuer.provider(), [[1; 32], [2; 32], [3; 32]])
        .await;
    let begun = begun.expect("begun");
    let address = reqwest::Url::parse(&begun.address).expect("an address");
    let pairs: std::collections::HashMap<_, _> = address.query_pairs().into_owned().collect();
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, begun.verifier.as_bytes()));
    for (key, value) in [
        ("response_type", "code"),
        ("client_id", "relais"),
        ("redirect_uri", "https://relay.test/sign-in/back"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", begun.state.as_str()),
        ("nonce", begun.nonce.as_str()),
    ] {
        assert_eq!(pairs.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!begun.address.contains(&begun.verifier));
    let token = issuer.sign(&issuer.claims(), &issuer.signer);
    let identity = issuer.finish(token).await.expect("signed in");
    assert_eq!(
        (identity.name.as_str(), identity.subject.as_str()),
        ("anna@contoso.test", "42")
    );
    assert_eq!(identity.values("roles"), ["Relais.Owner"]);
    let asked = issuer.asked("POST /token");
    assert!(asked.contains("code_verifier=the+verifier"), "{asked}");
    // In the header, each part encoded as in a form first.
    let basic = STANDARD.encode("relais:p%26ss+w%C3%B6rd");
    assert!(asked.contains(&format!("Basic {basic}")), "{asked}");
    assert!(!asked.contains("client_secret"), "{asked}");
}

#[tokio::test]
async fn a_secret_goes_in_the_form_where_the_issuer_takes_it_there_only() {
    let issuer =
        Issuer::start(json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] }))
            .await;
    let token = issuer.sign(&issuer.claims(), &issuer.signer);
    issuer.finish(token).await.expect("signed in");
    let asked = issuer.asked("POST /token");
    assert!(asked.contains("client_secret=p%26ss+w%C3%B6rd"), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization:"), "{asked}");
}

#[tokio::test]
async fn signing_out_there_is_offered_where_the_issuer_does_and_safely_only() {
    for (endpoint, is_offered) in [
        (Value::Null, false),
        (json!("http://issuer.example/leave"), false),
        (json!("no address"), false),
        (json!("https://issuer.example/leave?tenant=1"), true),
    ] {
        let issuer = Issuer::start(json!({ "end_session_endpoint": endpoint })).await;
        let token = issuer.sign(&issuer.claims(), &issuer.signer);
        let identity = issuer.finish(token.clone()).await.expect("signed in");
        let whole = identity.leave.as_ref().map(Leave::whole);
        let wanted = format!(
            "https://issuer.example/leave?tenant=1&client_id=relais&post_logout_redirect_uri=\
             https%3A%2F%2Frelay.test%2Fsign-in%2Fback&id_token_hint={token}"
        );
        assert_eq!(whole, is_offered.then_some(wanted), "{endpoint}");
        assert!(!format!("{:?}", identity.leave).contains(&token));
    }
    // One that is too long for an address stays here.
    let issuer = Issuer::start(json!({ "end_session_endpoint": "https://issuer.example/" })).await;
    let mut claims = issuer.claims();
    claims["groups"] = json!("x".repeat(HINT_OCTETS_MAX));
    let token = issuer.sign(&claims, &issuer.signer);
    let leave = issuer.finish(token).await.expect("signed in").leave;
    assert_eq!(leave.expect("it is offered").token, None);
}

#[tokio::test]
async fn tokens_of_others_for_others_of_another_time_or_sign_in_count_for_nothing() {
    let issuer = Issuer::start(Value::Null).await;
    for (key, value) in [
        ("nonce", json!("of another sign-in")),
        ("nonce", Value::Null),
        ("aud", json!("another-program")),
        ("aud", json!(["relais", "another-program"])),
        ("azp", json!("another-program")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(NOW_SECONDS - 61)),
        ("exp", Value::Null),
        ("nbf", json!(NOW_SECONDS + 61)),
        ("iat", json!(NOW_SECONDS - 601)),
        ("iat", json!(NOW_SECONDS + 61)),
        ("iat", Value::Null),
        ("sub", json!("")),
    ] {
        let mut claims = issuer.claims();
        claims[key] = value.clone();
        if value.is_null() {
            claims.as_object_mut().expect("claims").remove(key);
        }
        let judged = issuer.finish(issuer.sign(&claims, &issuer.signer)).await;
        assert!(
            matches!(judged, Err(SignInFault::Refused(_))),
            "{key} {value}: {judged:?}"
        );
    }
    let forged = issuer.sign(&issuer.claims(), &issuer.foreign);
    assert!(matches!(
        issuer.finish(forged).await,
        Err(SignInFault::Refused(_))
    ));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = json!({ "alg": "none", "typ": "JWT" });
    let unsigned = format!("{}.{}.", part(&none), part(&issuer.claims()));
    assert!(matches!(
        issuer.finish(unsigned).await,
        Err(SignInFault::Refused(_))
    ));
    // No code, no token.
    let refused = issuer.finish(String::new()).await.expect_err("refused");
    assert!(refused.to_string().contains("invalid_grant"), "{refused}");
}

#[tokio::test]
async fn an_issuer_leads_into_our_own_network_only_where_the_machine_says_so() {
    let issuer = Issuer::start(Value::Null).await;
    let client = client_with(NOW, false);
    let begun = client.begin(&issuer.provider(), [[1; 32]; 3]).await;
    let Err(SignInFault::Unavailable(words)) = begun else {
        panic!("{:?}", begun.map(|one| one.address));
    };
    assert!(words.contains("private address"), "{words}");
    assert!(issuer.asked.lock().expect("no panic").is_empty());
    // What an issuer of the Internet names is judged as its own address is.
    for address in [
        "https://169.254.169.254/keys",
        "https://[::1]/token",
        "https://2130706433/",
    ] {
        assert!(client.must_be_outside(address).is_err(), "{address}");
    }
    assert!(
        client
            .must_be_outside("https://login.example.org/x")
            .is_ok()
    );
}

#[tokio::test]
async fn an_issuer_that_is_away_or_another_is_told_as_such() {
    let issuer = Issuer::start(Value::Null).await;
    for address in [
        "http://127.0.0.1:1".to_owned(),
        "http://issuer.example".to_owned(),
        format!("{}/", issuer.address),
    ] {
        let provider = Provider {
            issuer: address,
            ..issuer.provider()
        };
        let begun = client_at(NOW).begin(&provider, [[1; 32]; 3]).await;
        assert!(matches!(begun, Err(SignInFault::Unavailable(_))));
    }
}
