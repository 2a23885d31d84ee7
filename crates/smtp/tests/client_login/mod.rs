//! AUTH as the client's machine does it. RFC 4954, RFC 5802, RFC 7677, RFC 7628.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use relais_smtp::client::{ClientSession, ClientStep, Closed, LoginEnd, Stage};
use relais_smtp::sasl::client::{ClientCredential, ClientExchange, ClientMechanism, ClientSide};
use relais_smtp::sasl::scram::{ChannelBinding, ServerNonce, Verifier};
use relais_smtp::sasl::{Claim, Exchange, Mechanism, Progress};
use relais_smtp::secret::Secret;

use super::{GREETING, after};

fn password() -> ClientCredential {
    ClientCredential::Password {
        user: "user".into(),
        password: Secret::from("pencil".to_owned()),
    }
}

fn bearer() -> ClientCredential {
    ClientCredential::Bearer {
        user: "scan@contoso.test".into(),
        token: Secret::from("ya29.token".to_owned()),
    }
}

fn side(credential: ClientCredential, exporter: Option<[u8; 32]>) -> ClientSide {
    ClientSide {
        credential,
        mechanism: None,
        channel: ChannelBinding {
            tls_exporter: exporter,
        },
        nonce: "rOprNGfwEbeRWgbNEkqO".into(),
        server: ("smtp.example".into(), 587),
    }
}

/// A session with a server that offers these, which has said AUTH.
fn logging_in(offered: &str, side: ClientSide) -> Option<(ClientSession, String)> {
    let mut session = after(&[GREETING, &format!("250-mx\r\n250 AUTH {offered}\r\n")]);
    session.output().clear();
    let offers = session.extensions().auth.clone();
    let exchange = ClientExchange::begin(side, offers.iter().map(|one| &**one))?;
    session.log_in(exchange);
    let line = said(&mut session);
    Some((session, line))
}

fn said(session: &mut ClientSession) -> String {
    String::from_utf8(std::mem::take(session.output())).expect("text")
}

fn decoded(line: &str) -> Vec<u8> {
    let last = line.trim_end().rsplit(' ').next().expect("a word");
    STANDARD.decode(last).expect("base64")
}

fn challenge(text: &str) -> String {
    format!("334 {}\r\n", STANDARD.encode(text))
}

#[test]
fn the_strongest_mechanism_that_both_know_is_taken() {
    let bound = Some([7; 32]);
    for (offered, credential, exporter, expected) in [
        (
            "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
            password(),
            bound,
            "SCRAM-SHA-256-PLUS",
        ),
        (
            "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
            password(),
            None,
            "SCRAM-SHA-256",
        ),
        ("LOGIN PLAIN XOAUTH2", password(), bound, "PLAIN"),
        ("login", password(), None, "LOGIN"),
        ("PLAIN XOAUTH2 OAUTHBEARER", bearer(), None, "OAUTHBEARER"),
        ("LOGIN XOAUTH2", bearer(), None, "XOAUTH2"),
        (
            "PLAIN EXTERNAL",
            ClientCredential::External { user: "".into() },
            None,
            "EXTERNAL",
        ),
    ] {
        let (_, line) = logging_in(offered, side(credential, exporter)).expect(expected);
        assert_eq!(line.split([' ', '\r']).nth(1), Some(expected), "{offered}");
    }
    for (offered, credential) in [
        ("CRAM-MD5 GSSAPI", password()),
        ("PLAIN LOGIN", bearer()),
        ("PLAIN", ClientCredential::External { user: "".into() }),
    ] {
        assert!(
            logging_in(offered, side(credential, None)).is_none(),
            "{offered}"
        );
    }
    let only = ClientSide {
        mechanism: ClientMechanism::read("plain"),
        ..side(password(), bound)
    };
    let (_, line) = logging_in("SCRAM-SHA-256 PLAIN", only).expect("PLAIN");
    assert!(line.starts_with("AUTH PLAIN "));
}

#[test]
fn plain_and_tokens_go_with_the_command() {
    let (mut session, line) = logging_in("PLAIN", side(password(), None)).expect("PLAIN");
    assert_eq!(decoded(&line), b"\0user\0pencil");
    assert_eq!(session.step(), ClientStep::Read(Stage::Auth));
    session.receive(b"235 2.7.0 welcome\r\n");
    assert_eq!(session.step(), ClientStep::Ready);
    assert_eq!(session.login(), Some(&LoginEnd::Done));

    let (_, line) = logging_in("XOAUTH2", side(bearer(), None)).expect("XOAUTH2");
    assert_eq!(
        decoded(&line),
        b"user=scan@contoso.test\x01auth=Bearer ya29.token\x01\x01"
    );
    let (_, line) = logging_in("OAUTHBEARER", side(bearer(), None)).expect("OAUTHBEARER");
    assert_eq!(
        decoded(&line),
        b"n,a=scan@contoso.test,\x01host=smtp.example\x01port=587\x01auth=Bearer ya29.token\x01\x01"
    );
    let external = ClientCredential::External { user: "".into() };
    let (_, line) = logging_in("EXTERNAL", side(external, None)).expect("EXTERNAL");
    assert_eq!(line, "AUTH EXTERNAL =\r\n");
}

#[test]
fn login_answers_whatever_the_prompts_say() {
    for prompts in [["Username:", "Password:"], ["User Name\0", ""]] {
        let (mut session, line) = logging_in("LOGIN", side(password(), None)).expect("LOGIN");
        assert_eq!(line, "AUTH LOGIN\r\n");
        session.receive(challenge(prompts[0]).as_bytes());
        assert_eq!(decoded(&said(&mut session)), b"user");
        session.receive(challenge(prompts[1]).as_bytes());
        assert_eq!(decoded(&said(&mut session)), b"pencil");
        session.receive(b"235 ok\r\n");
        assert_eq!(session.login(), Some(&LoginEnd::Done));
    }
}

#[test]
fn scram_follows_the_example_of_rfc_7677() {
    let offered = "SCRAM-SHA-256";
    let (mut session, line) = logging_in(offered, side(password(), None)).expect("SCRAM");
    assert_eq!(decoded(&line), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    session.receive(challenge(server_first).as_bytes());
    assert_eq!(
        String::from_utf8(decoded(&said(&mut session))).expect("text"),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    session.receive(challenge("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").as_bytes());
    assert_eq!(said(&mut session), "\r\n");
    session.receive(b"235 2.7.0 ok\r\n");
    assert_eq!(session.login(), Some(&LoginEnd::Done));
}

/// Our own server's side, with a password and with what it sees of the channel.
fn against_our_server(
    known: &str,
    mechanism: Mechanism,
    client: Option<[u8; 32]>,
    server: Option<[u8; 32]>,
) -> Result<LoginEnd, String> {
    let (mut session, line) =
        logging_in(mechanism.name(), side(password(), client)).ok_or("none in common")?;
    let mut exchange = Exchange::begin(mechanism);
    let first = exchange.message(&decoded(&line).into());
    let Ok(Progress::Verifier { user }) = first else {
        return Err(format!("{first:?}"));
    };
    assert_eq!(&*user, "user");
    let verifier = Verifier::of_password(known.as_bytes(), b"salt of sixteen!", 4_096);
    let channel = ChannelBinding {
        tls_exporter: server,
    };
    let nonce = ServerNonce::new([9; 18]);
    let Ok(Progress::Challenge(first)) = exchange.with_verifier(verifier, &nonce, &channel) else {
        return Err("the server does not take the channel".into());
    };
    session.receive(challenge(&String::from_utf8(first).expect("text")).as_bytes());
    let answer = decoded(&said(&mut session)).into();
    match exchange
        .message(&answer)
        .map_err(|error| error.to_string())?
    {
        Progress::Decide(Claim::Proved { .. }) => {
            let signature = exchange.signature().expect("a signature");
            session.receive(challenge(&String::from_utf8(signature).expect("text")).as_bytes());
            session.receive(b"235 ok\r\n");
        }
        _ => session.receive(b"535 5.7.8 no\r\n"),
    }
    Ok(session.login().expect("an end").clone())
}

#[test]
fn scram_fits_our_own_server_bound_to_the_channel_or_not() {
    let channel = Some([5; 32]);
    let plus = Mechanism::ScramSha256Plus;
    let bare = Mechanism::ScramSha256;
    assert_eq!(
        against_our_server("pencil", bare, None, None),
        Ok(LoginEnd::Done)
    );
    assert_eq!(
        against_our_server("pencil", plus, channel, channel),
        Ok(LoginEnd::Done)
    );
    let refused = against_our_server("crayon", bare, None, None);
    assert!(matches!(refused, Ok(LoginEnd::Refused(_))), "{refused:?}");
    // Somebody between us ends one TLS and begins another.
    let between = against_our_server("pencil", plus, channel, Some([6; 32]));
    assert!(matches!(between, Ok(LoginEnd::Refused(_))), "{between:?}");
    // Somebody between us took PLUS out of the offer: the server learns that we could have.
    assert!(against_our_server("pencil", bare, channel, channel).is_err());
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let proving = || {
        let scram = logging_in("SCRAM-SHA-256", side(password(), None)).expect("SCRAM");
        let (mut session, _) = scram;
        session.receive(challenge(server_first).as_bytes());
        said(&mut session);
        session
    };
    // A yes without proof, before and after our own.
    let mut session = proving();
    session.receive(b"235 ok\r\n");
    assert_eq!(session.login(), Some(&LoginEnd::Unsound));
    assert_eq!(
        session.step(),
        ClientStep::Closed(Closed::Protocol { stage: Stage::Auth })
    );
    let (mut session, _) = logging_in("SCRAM-SHA-256", side(password(), None)).expect("SCRAM");
    session.receive(b"235 ok\r\n");
    assert_eq!(session.login(), Some(&LoginEnd::Unsound));
    // A wrong proof.
    let mut session = proving();
    session.receive(challenge("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").as_bytes());
    assert_eq!(said(&mut session), "*\r\n");
    session.receive(b"501 cancelled\r\n");
    assert_eq!(session.login(), Some(&LoginEnd::Unsound));
    assert_eq!(session.step(), ClientStep::Ready);
    // Questions that would give the password away, or are none.
    for wrong in [
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "",
    ] {
        let (mut session, _) = logging_in("SCRAM-SHA-256", side(password(), None)).expect("SCRAM");
        session.receive(challenge(wrong).as_bytes());
        assert_eq!(said(&mut session), "*\r\n", "{wrong}");
    }
}

#[test]
fn a_refusal_is_kept_and_nothing_else_is_tried() {
    let offered = "PLAIN LOGIN SCRAM-SHA-256";
    for reply in [
        "535 5.7.8 wrong",
        "454 4.7.0 not now",
        "504 unknown",
        "534 5.7.9 weak",
    ] {
        let (mut session, _) = logging_in(offered, side(password(), None)).expect("SCRAM");
        session.receive(format!("{reply}\r\n").as_bytes());
        assert_eq!(session.step(), ClientStep::Ready);
        let Some(LoginEnd::Refused(refusal)) = session.login() else {
            panic!("{:?}", session.login());
        };
        assert_eq!(refusal.to_string(), reply);
        let again = ClientExchange::begin(side(password(), None), ["PLAIN"]).expect("PLAIN");
        session.log_in(again);
        assert_eq!(said(&mut session), "");
    }
}

#[test]
fn a_refused_token_is_noted_before_the_refusal() {
    for (mechanism, noted) in [("XOAUTH2", "\r\n"), ("OAUTHBEARER", "AQ==\r\n")] {
        let (mut session, _) = logging_in(mechanism, side(bearer(), None)).expect(mechanism);
        session.receive(challenge("{\"status\":\"401\"}").as_bytes());
        assert_eq!(said(&mut session), noted);
        session.receive(b"535 5.7.8 bad token\r\n");
        assert!(matches!(session.login(), Some(LoginEnd::Refused(_))));
    }
}

#[test]
fn what_does_not_belong_to_a_login_ends_it() {
    let (mut session, _) = logging_in("PLAIN", side(password(), None)).expect("PLAIN");
    session.receive(b"334 more?\r\n");
    assert_eq!(said(&mut session), "*\r\n");
    session.receive(b"501 ok\r\n");
    assert_eq!(session.login(), Some(&LoginEnd::Unsound));
    for reply in ["250 ok\r\n", "354 go\r\n", "junk\r\n"] {
        let (mut session, _) = logging_in("PLAIN", side(password(), None)).expect("PLAIN");
        session.receive(reply.as_bytes());
        assert_eq!(
            session.step(),
            ClientStep::Closed(Closed::Protocol { stage: Stage::Auth }),
            "{reply}"
        );
        assert_eq!(session.login(), None);
    }
    // A server that asks without end.
    let (mut session, _) = logging_in("XOAUTH2", side(bearer(), None)).expect("XOAUTH2");
    for _ in 0..9 {
        said(&mut session);
        session.receive(challenge("{}").as_bytes());
    }
    assert_eq!(said(&mut session), "*\r\n");
    // Words out of turn never count as a yes.
    let (mut session, _) = logging_in("LOGIN", side(password(), None)).expect("LOGIN");
    let both = format!("{}235 ok\r\n", challenge("Username:"));
    session.receive(both.as_bytes());
    assert_eq!(
        session.step(),
        ClientStep::Closed(Closed::Protocol { stage: Stage::Auth })
    );
}
