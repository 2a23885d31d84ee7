//! STARTTLS as the client's machine does it. RFC 3207.

use relais_smtp::client::{ClientSession, ClientStep, Closed, Protocol, Stage};

use super::{GREETING, after, session};

const OFFER: &str = "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n";

fn said(session: &mut ClientSession) -> String {
    String::from_utf8(std::mem::take(session.output())).expect("text")
}

/// A session that has said STARTTLS.
fn asked() -> ClientSession {
    let mut session = after(&[GREETING, OFFER]);
    assert!(session.extensions().starttls);
    said(&mut session);
    session.start_tls();
    assert_eq!(said(&mut session), "STARTTLS\r\n");
    assert_eq!(session.step(), ClientStep::Read(Stage::StartTls));
    session
}

#[test]
fn after_the_handshake_the_server_is_greeted_anew_and_its_earlier_offer_forgotten() {
    let mut session = asked();
    session.receive(b"220 go on\r\n");
    assert_eq!(session.step(), ClientStep::Handshake);
    assert!(!session.is_secure());
    session.secured();
    assert!(session.is_secure());
    assert!(!session.extensions().pipelining);
    assert_eq!(said(&mut session), "EHLO relay.contoso.test\r\n");
    session.receive(b"250-mx\r\n250 SIZE 1000\r\n");
    assert_eq!(session.step(), ClientStep::Ready);
    assert!(!session.extensions().pipelining);
    assert_eq!(session.extensions().size, Some(Some(1_000)));
}

#[test]
fn a_server_that_only_knows_helo_behind_tls_offers_nothing() {
    let mut session = asked();
    session.receive(b"220 go on\r\n");
    session.secured();
    session.receive(b"502 what?\r\n250 mx\r\n");
    // The second reply came before its question.
    assert_eq!(
        session.step(),
        ClientStep::Closed(Closed::Protocol {
            stage: Stage::Hello
        })
    );
}

#[test]
fn what_stands_in_clear_behind_the_220_is_thrown_away() {
    for injected in [
        "250-evil\r\n250 AUTH PLAIN\r\n",
        "250 evil\r\n",
        "250-",
        "no reply at all\r\n",
    ] {
        for split in [false, true] {
            let mut session = asked();
            if split {
                session.receive(b"220 go on\r\n");
                session.receive(injected.as_bytes());
            } else {
                session.receive(format!("220 go on\r\n{injected}").as_bytes());
            }
            assert_eq!(session.step(), ClientStep::Handshake, "{injected:?}");
            session.secured();
            assert_eq!(
                session.step(),
                ClientStep::Read(Stage::Hello),
                "{injected:?}"
            );
            assert_eq!(said(&mut session), "EHLO relay.contoso.test\r\n");
            session.receive(b"250-mx\r\n250 PIPELINING\r\n");
            assert_eq!(session.step(), ClientStep::Ready, "{injected:?}");
            assert!(session.extensions().auth.is_empty());
        }
    }
}

#[test]
fn a_reply_that_came_before_starttls_was_said_does_not_begin_a_handshake() {
    let mut session = after(&[GREETING, "250-mx\r\n250 STARTTLS\r\n220 "]);
    session.start_tls();
    session.receive(b"go on\r\n");
    assert_eq!(
        session.step(),
        ClientStep::Closed(Closed::Protocol {
            stage: Stage::StartTls
        })
    );
}

#[test]
fn a_refused_starttls_leaves_the_session_usable_and_is_not_asked_again() {
    for reply in ["454 4.7.0 not now", "502 what?", "554 no"] {
        let mut session = asked();
        session.receive(format!("{reply}\r\n").as_bytes());
        assert_eq!(session.step(), ClientStep::Ready);
        assert!(!session.is_secure());
        let refusal = session.tls_refusal().expect("a refusal");
        assert!(refusal.to_string().starts_with(&reply[..3]));
        session.start_tls();
        assert_eq!(said(&mut session), "");
    }
}

#[test]
fn other_answers_to_starttls_end_the_session() {
    let closed = |reply: &str| {
        let mut session = asked();
        session.receive(reply.as_bytes());
        session.step()
    };
    for reply in ["250 fine\r\n", "221 bye\r\n", "334 more\r\n", "banana\r\n"] {
        assert_eq!(
            closed(reply),
            ClientStep::Closed(Closed::Protocol {
                stage: Stage::StartTls
            }),
            "{reply:?}"
        );
    }
    assert!(matches!(
        closed("421 busy\r\n"),
        ClientStep::Closed(Closed::Refused {
            stage: Stage::StartTls,
            ..
        })
    ));
}

#[test]
fn a_failed_handshake_loses_the_session() {
    let mut session = asked();
    session.receive(b"220 go on\r\n");
    session.lost();
    assert_eq!(
        session.step(),
        ClientStep::Closed(Closed::Lost {
            stage: Stage::StartTls
        })
    );
}

#[test]
fn tls_before_everything_else_waits_for_the_greeting_and_asks_for_no_starttls() {
    let mut session = session(Protocol::Smtp);
    session.secured();
    assert_eq!(session.step(), ClientStep::Read(Stage::Greeting));
    session.receive(GREETING.as_bytes());
    session.receive(OFFER.as_bytes());
    assert_eq!(session.step(), ClientStep::Ready);
    said(&mut session);
    session.start_tls();
    assert_eq!(said(&mut session), "");
    assert!(session.is_secure());
}

#[test]
fn tls_cannot_be_claimed_in_the_middle_of_a_session() {
    let mut session = after(&[GREETING, OFFER]);
    session.secured();
    assert!(!session.is_secure());
}
