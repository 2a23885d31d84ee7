//! A small OpenID provider of the tests: authorization code with PKCE, one person, one key. Who
//! asks for the login page gets a link; a code is worth a token once, and only to whoever knows
//! the verifier and the client's secret.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::Place;
use crate::tokens::{Signer, seconds_now};

/// What the client knows.
pub(crate) const CLIENT_SECRET: &str = "a secret of the client";

/// It serves until the test ends.
pub(crate) struct Provider {
    pub(crate) address: String,
    /// What the next tokens say of the person.
    pub(crate) person: Arc<Mutex<Value>>,
    /// Sessions that were ended here: what came with each.
    pub(crate) left: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

struct Serving {
    address: String,
    signer: Signer,
    person: Arc<Mutex<Value>>,
    /// By code: what was asked for.
    asked: HashMap<String, HashMap<String, String>>,
    left: Arc<Mutex<Vec<HashMap<String, String>>>>,
}

impl Provider {
    pub(crate) fn start(place: &Place, person: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let person = Arc::new(Mutex::new(person));
        let left = Arc::<Mutex<Vec<_>>>::default();
        let mut serving = Serving {
            left: Arc::clone(&left),
            address: address.clone(),
            signer: Signer::new(place),
            person: Arc::clone(&person),
            asked: HashMap::new(),
        };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serving.answer(&stream);
            }
        });
        Self {
            address,
            person,
            left,
        }
    }
}

/// Names and values of a query or a form.
pub(crate) fn pairs(text: &str) -> HashMap<String, String> {
    let plain = |text: &str| {
        let mut octets = Vec::new();
        let mut rest = text.bytes();
        while let Some(octet) = rest.next() {
            octets.push(match octet {
                b'+' => b' ',
                b'%' => {
                    let two: Vec<u8> = rest.by_ref().take(2).collect();
                    let two = String::from_utf8(two).expect("two digits");
                    u8::from_str_radix(&two, 16).expect("hexadecimal")
                }
                other => other,
            });
        }
        String::from_utf8(octets).expect("text")
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

impl Serving {
    fn answer(&mut self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap_or_default();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut login) = (0, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap_or_default();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().expect("a number"),
                "authorization" => value.clone_into(&mut login),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let body = String::from_utf8(body).expect("text");
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let (status, form, body) = match path {
            "/authorize" => ("200 OK", "text/html", self.login_page(pairs(query))),
            "/leave" => ("200 OK", "text/html", self.leave(pairs(query))),
            "/token" => match self.redeem(&pairs(&body), &login) {
                Ok(token) => (
                    "200 OK",
                    "application/json",
                    json!({ "id_token": token }).to_string(),
                ),
                Err(why) => {
                    let no = json!({ "error": "invalid_grant", "error_description": why });
                    ("400 Bad Request", "application/json", no.to_string())
                }
            },
            "/keys" => ("200 OK", "application/json", self.signer.keys.to_string()),
            _ => ("200 OK", "application/json", self.about().to_string()),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {form}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = stream;
        let _ = stream.write_all(answer.as_bytes());
    }

    fn about(&self) -> Value {
        let address = &self.address;
        json!({
            "issuer": address,
            "authorization_endpoint": format!("{address}/authorize"),
            "token_endpoint": format!("{address}/token"),
            "jwks_uri": format!("{address}/keys"),
            "end_session_endpoint": format!("{address}/leave"),
        })
    }

    fn login_page(&mut self, asked: HashMap<String, String>) -> String {
        let code = format!("code-{}", self.asked.len());
        let back = format!(
            "{}?code={code}&amp;state={}",
            asked["redirect_uri"], asked["state"]
        );
        self.asked.insert(code, asked);
        format!("<!DOCTYPE html><title>Issuer</title><a id=\"allow\" href=\"{back}\">Allow</a>")
    }

    /// OpenID Connect RP-Initiated Logout 1.0 §2.
    fn leave(&mut self, asked: HashMap<String, String>) -> String {
        let back = asked["post_logout_redirect_uri"].clone();
        self.left.lock().expect("no panic").push(asked);
        format!("<!DOCTYPE html><title>Issuer</title><a id=\"back\" href=\"{back}\">Back</a>")
    }

    fn redeem(&mut self, form: &HashMap<String, String>, login: &str) -> Result<String, String> {
        // Both halves are encoded as in a form. RFC 6749 §2.3.1.
        let secret = CLIENT_SECRET.replace(' ', "+");
        let expected = format!("Basic {}", STANDARD.encode(format!("relais:{secret}")));
        if login != expected {
            return Err("the client's secret is wrong".to_owned());
        }
        let asked = self.asked.remove(&form["code"]);
        let asked = asked.ok_or("the code was used, or never was")?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
        if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
            return Err("another program began this".to_owned());
        }
        let mut claims = self.person.lock().expect("no panic").clone();
        let now = seconds_now();
        for (name, value) in [
            ("iss", json!(self.address)),
            ("aud", json!("relais")),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("nonce", json!(asked["nonce"])),
        ] {
            claims[name] = value;
        }
        Ok(self.signer.sign(&claims))
    }
}
