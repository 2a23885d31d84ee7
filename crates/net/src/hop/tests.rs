//! Logins against a server that asks for much.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relais_smtp::client::Protocol;
use relais_smtp::sasl::client::ClientMechanism;
use relais_smtp::sasl::scram::ROUNDS_MAX;
use relais_smtp::secret::Secret;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

/// Turns of others while a proof was made; with the arithmetic on their thread there are hardly
/// any, by the side there are hundreds in each of its milliseconds.
const TURNS_MIN: usize = 200;

fn login() -> Login {
    Login {
        credential: Some(ClientCredential::Password {
            user: "scan".into(),
            password: Secret::from("hunter2".to_owned()),
        }),
        is_required: true,
        mechanism: ClientMechanism::read("SCRAM-SHA-256"),
        identity: None,
        since: Moment::now(),
    }
}

async fn opened(stream: Stream, login: &Login) -> Result<HopSession, Box<Unused>> {
    let opening = Opening {
        config: ClientConfig {
            hostname: "relay.contoso.test".into(),
            protocol: Protocol::Smtp,
        },
        host: &Host::parse("smart.example").expect("a host"),
        demand: &Demand::Clear,
        tested: None,
        implicit_tls: false,
        tls: &ClientTls::without_roots(),
        login: Some(login),
        login_in_clear: true,
        chance: &Chance::seeded(1),
        port: 25,
        transcript: None,
    };
    HopSession::open(stream, &opening, Clock::system()).await
}

/// Asks for these rounds. Gives the turns that others had until the answer came, and the answer.
async fn asks(stream: Stream, rounds: u32, turns: &AtomicUsize) -> (usize, String) {
    let mut stream = BufReader::new(stream);
    let mut taken = (0, String::new());
    stream
        .write_all(b"220 smart.example\r\n")
        .await
        .expect("a peer");
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
            return taken;
        }
        let said = line.trim_end();
        let reply = if said.starts_with("EHLO") {
            "250-smart.example\r\n250 AUTH SCRAM-SHA-256\r\n".to_owned()
        } else if let Some(first) = said.strip_prefix("AUTH SCRAM-SHA-256 ") {
            let first = String::from_utf8(STANDARD.decode(first).expect("base64")).expect("text");
            let (_, nonce) = first.split_once("r=").expect("a nonce");
            taken.0 = turns.load(Ordering::Relaxed);
            let challenge = format!("r={nonce}more,s=c2FsdHNhbHQ=,i={rounds}");
            format!("334 {}\r\n", STANDARD.encode(challenge))
        } else if said == "QUIT" {
            return taken;
        } else {
            taken = (turns.load(Ordering::Relaxed) - taken.0, said.to_owned());
            "535 5.7.8 no\r\n".to_owned()
        };
        stream.write_all(reply.as_bytes()).await.expect("a peer");
    }
}

/// What a server gets that asks for these rounds, and the turns that others had meanwhile.
async fn asked(rounds: u32) -> (usize, String, LoginFault) {
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let others = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (near, far) = Stream::pair();
    let login = login();
    let (opened, (taken, answer)) = tokio::join!(opened(near, &login), asks(far, rounds, &turns));
    others.abort();
    let unused = opened.err().expect("nobody is let in");
    (taken, answer, unused.login.expect("it is about the login"))
}

#[tokio::test]
async fn a_server_that_asks_for_much_arithmetic_holds_up_nobody_else() {
    let (turns, answer, fault) = asked(ROUNDS_MAX).await;
    let proof = String::from_utf8(STANDARD.decode(&answer).expect("base64")).expect("text");
    assert!(proof.contains(",p="), "{proof}");
    assert!(matches!(fault, LoginFault::Refused { .. }), "{fault}");
    assert!(turns >= TURNS_MIN, "{turns}");
}

#[tokio::test]
async fn a_server_that_asks_for_more_gets_nothing() {
    let (_, answer, fault) = asked(ROUNDS_MAX + 1).await;
    assert_eq!(answer, "*");
    assert!(matches!(fault, LoginFault::Unsound { .. }), "{fault}");
}
