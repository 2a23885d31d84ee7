//! Logging in with a token of an issuer: XOAUTH2 and OAUTHBEARER against the real binary, with a
//! small issuer on loopback whose key the `openssl` program made.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::authority::openssl_with;
use crate::support::{Place, Server, Session};

/// One RSA key that signs tokens.
pub(crate) struct Signer {
    folder: PathBuf,
    /// The public half, as issuers publish it.
    pub(crate) keys: Value,
}

impl Signer {
    pub(crate) fn new(place: &Place) -> Self {
        let folder = place.path("");
        let key = folder.join("issuer.key");
        let made = openssl_with(&format!("genrsa -out {} 2048", key.display()), "");
        assert_eq!(made.code, 0, "{made:?}");
        let shown = openssl_with(&format!("rsa -in {} -noout -modulus", key.display()), "");
        let modulus = shown
            .out
            .trim()
            .strip_prefix("Modulus=")
            .expect("a modulus");
        let octets: Vec<u8> = (0..modulus.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&modulus[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        let keys = json!({ "keys": [{
            "kty": "RSA", "kid": "2026", "use": "sig", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(octets), "e": "AQAB",
        }]});
        Self { folder, keys }
    }

    /// A token that says this.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "2026" });
        let signed = format!("{}.{}", part(&header), part(claims));
        let file = |name: &str| self.folder.join(name);
        fs::write(file("signed"), &signed).expect("a file");
        let done = openssl_with(
            &format!(
                "dgst -sha256 -sign {} -out {} {}",
                file("issuer.key").display(),
                file("signature").display(),
                file("signed").display()
            ),
            "",
        );
        assert_eq!(done.code, 0, "{done:?}");
        let signature = fs::read(file("signature")).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Seconds since 1970.
pub(crate) fn seconds_now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("some time yet")
}

/// An issuer; it serves until the test ends.
struct Issuer {
    address: String,
    signer: Signer,
}

impl Issuer {
    fn start(place: &Place) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let signer = Signer::new(place);
        let keys = signer.keys.clone();
        let about = json!({ "issuer": address, "jwks_uri": format!("{address}/keys") });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let asked = lines.next().unwrap_or_default();
                lines.find(String::is_empty);
                let body = if asked.contains("openid-configuration") {
                    about.to_string()
                } else {
                    keys.to_string()
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { address, signer }
    }

    /// A token for us that ends in so many seconds.
    fn token(&self, who: &str, seconds: i64) -> String {
        self.signer.sign(&json!({
            "iss": self.address, "aud": "relais", "exp": seconds_now() + seconds,
            "preferred_username": who
        }))
    }
}

fn serve() -> (Server, Issuer) {
    let place = Place::new("");
    let issuer = Issuer::start(&place);
    let file = place.path("relais.toml");
    let text = fs::read_to_string(&file).expect("a file");
    let more = format!(
        "[[oidc]]\nname = \"test\"\nissuer = \"{}\"\nclient_id = \"relais\"\n",
        issuer.address
    );
    fs::write(&file, text + &more).expect("a file");
    let server = place.serve();
    server
        .apply(
            "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
             [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
             [[organisation.inbound_connector]]\nname = \"Applications\"\ncleartext_auth = true\n\
             [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"127.0.0.1:9\"]\n\
             [[organisation.credential]]\nuser = \"crm\"\ninbound_connector = \"Applications\"\n\
             may_send_as = [\"crm@contoso.test\"]\n",
        )
        .expect(0);
    (server, issuer)
}

fn xoauth2(user: &str, token: &str) -> String {
    let message = format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}");
    format!("AUTH XOAUTH2 {}", STANDARD.encode(message))
}

fn greeted(server: &Server) -> Session {
    let mut session = server.session();
    let offer = session.say("EHLO crm");
    assert!(offer.contains("250"), "{offer}");
    session
}

#[test]
fn a_token_of_the_issuer_logs_in_as_the_credential_that_it_is_for() {
    let (server, issuer) = serve();
    let token = issuer.token("crm@contoso.test", 600);
    let mut session = greeted(&server);
    let welcome = session.say(&xoauth2("crm@contoso.test", &token));
    assert!(welcome.starts_with("235 2.7.0 "), "{welcome}");
    let denied = session.say("MAIL FROM:<ceo@contoso.test>");
    assert!(denied.contains("(FROM-DENIED "), "{denied}");
    let own = session.say("MAIL FROM:<crm@contoso.test>");
    assert!(own.starts_with("250 "), "{own}");

    let mut session = greeted(&server);
    let message = format!("n,a=crm@contoso.test,\u{1}auth=Bearer {token}\u{1}\u{1}");
    let welcome = session.say(&format!("AUTH OAUTHBEARER {}", STANDARD.encode(message)));
    assert!(welcome.starts_with("235 2.7.0 "), "{welcome}");
    let all = server.relais(&["--json", "trace"]).expect(0).out;
    assert!(!all.contains(&token), "{all}");
    assert!(!server.log.so_far().join("\n").contains(&token));
}

#[test]
fn a_token_that_does_not_count_is_refused_after_its_challenge_and_the_trace_says_why() {
    let (server, issuer) = serve();
    for (who, named, seconds, why) in [
        (
            "crm@contoso.test",
            "crm@contoso.test",
            -120,
            "it is expired",
        ),
        (
            "eve@contoso.test",
            "eve@contoso.test",
            600,
            "no credential is for eve@contoso.test",
        ),
        (
            "crm@contoso.test",
            "ceo@contoso.test",
            600,
            "no credential is for",
        ),
    ] {
        let mut session = greeted(&server);
        let challenge = session.say(&xoauth2(named, &issuer.token(who, seconds)));
        let challenge = challenge
            .strip_prefix("334 ")
            .expect("a challenge")
            .to_owned();
        let said = STANDARD.decode(challenge).expect("base64");
        assert!(String::from_utf8_lossy(&said).contains("\"status\":\"401\""));
        let refused = session.say("");
        assert!(
            refused.starts_with("535 5.7.8 Credentials invalid (AUTH-BAD "),
            "{refused}"
        );
        let reference = &refused[refused.len() - 6..refused.len() - 1];
        server
            .log
            .wait_for("the failure", |line| line.contains(reference));
        let told = server.relais(&["why", reference]).expect(0).out;
        assert!(told.contains(why), "{told}");
    }
}
