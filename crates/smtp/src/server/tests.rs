//! The machine alone, step by step; whole conversations are in `tests/dialogues`.

use super::*;
use crate::address::Mailbox;
use crate::refusal::AuthFault;
use crate::sasl::scram::NONCE_OCTETS;

fn config() -> ServerConfig {
    ServerConfig {
        hostname: "relay.contoso.test".into(),
        size_octets_max: 1_000,
        preset: Preset::Strict,
        recipients_max: 100,
        errors_max: 20,
        junk_commands_max: 100,
        starttls: false,
        tls: false,
        auth: AuthOffer::None,
        require_tls: false,
    }
}

/// A session and what its driver has not yet given back to it.
struct Driver {
    session: ServerSession,
    unread: Vec<u8>,
    content: Vec<u8>,
}

impl Driver {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: ServerConfig) -> Self {
        let session = ServerSession::new(config);
        Self {
            session,
            unread: Vec::new(),
            content: Vec::new(),
        }
    }

    /// Sends `text`, agrees to every question, and stops at the first other step.
    fn send(&mut self, text: &str) -> Step {
        self.unread.extend_from_slice(text.as_bytes());
        loop {
            let (used, step) = self.session.advance(&self.unread, &mut self.content);
            self.unread.drain(..used);
            let Step::Ask(question) = step else {
                return step;
            };
            self.session.answer(agree(question));
        }
    }

    fn said(&mut self) -> String {
        String::from_utf8(mem::take(self.session.output())).expect("ASCII")
    }
}

fn agree(question: Question) -> Answer {
    match question {
        Question::Hello { .. }
        | Question::Authenticate(_)
        | Question::Content
        | Question::StartTls => Answer::Accept,
        Question::Verifier { user } => Answer::Verifier {
            verifier: Verifier::of_nobody(b"key", &user),
            nonce: ServerNonce::new([0; NONCE_OCTETS]),
            channel: ChannelBinding::default(),
        },
        Question::Sender { .. } => Answer::Sender {
            size_octets_max: 1_000,
            preset: Preset::Strict,
        },
        Question::Recipient {
            forward_path,
            notify,
            original,
        } => {
            let ForwardPath::Mailbox(forward_path) = forward_path else {
                panic!("a mailbox")
            };
            Answer::Recipient(EnvelopeRecipient {
                forward_path,
                notify,
                original,
                is_copy: false,
            })
        }
    }
}

fn reply(refusal: &Refusal) -> Reply {
    refusal.reply("7F3K2".parse().expect("a reference"))
}

const ENVELOPE: &str = "EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

#[test]
fn a_session_is_small_and_holds_no_buffer_while_idle() {
    assert!(
        size_of::<ServerSession>() <= 640,
        "{} octets",
        size_of::<ServerSession>()
    );
    let mut driver = Driver::new();
    assert_eq!(driver.send("EHLO a.example\r\n"), Step::Read(Wait::Command));
    driver.said();
    assert_eq!(driver.session.output().capacity(), 0);
    assert_eq!(driver.session.repairs.capacity(), 0);
}

#[test]
fn a_refused_sender_or_recipient_is_told_with_its_line_and_no_other_line_is() {
    let mut driver = Driver::new();
    let step = driver.send("AUTH PLAIN AGEAYg==\r\n");
    assert!(
        matches!(
            step,
            Step::Refused {
                stage: RefusedStage::Other,
                ..
            }
        ),
        "{step:?}"
    );
    assert_eq!(driver.session.refused_line(), None);
    driver.session.refuse(reply(&Refusal::Local));
    let step = driver.send("EHLO a.example\r\nMAIL FROM:<a@b.example> SIZE=1001\r\n");
    let refusal = Refusal::TooBig { limit: 1_000 };
    assert_eq!(
        step,
        Step::Refused {
            refusal,
            stage: RefusedStage::Sender
        }
    );
    assert_eq!(
        driver.session.refused_line(),
        Some("MAIL FROM:<a@b.example> SIZE=1001")
    );
    driver
        .session
        .refuse(reply(&Refusal::TooBig { limit: 1_000 }));
    assert_eq!(driver.session.refused_line(), None);
}

#[test]
fn a_limit_of_the_connector_is_told_as_well_and_the_driver_knows_the_sender() {
    let mut driver = Driver::with(ServerConfig {
        size_octets_max: 5_000,
        ..config()
    });
    let step = driver.send("EHLO a.example\r\nMAIL FROM:<a@b.example> SIZE=1001\r\n");
    let refusal = Refusal::TooBig { limit: 1_000 };
    assert_eq!(
        step,
        Step::Refused {
            refusal,
            stage: RefusedStage::Sender
        }
    );
    assert_eq!(driver.session.refused_line(), None);
    assert!(!driver.session.in_transaction());
}

#[test]
fn the_envelope_stays_until_refused_content_has_been_recorded() {
    for (content, refusal) in [
        ("a\rb\r\n.\r\n", Refusal::BareLineEnd),
        ("a\r\n.\n", Refusal::Smuggling),
    ] {
        let mut driver = Driver::new();
        assert_eq!(driver.send(ENVELOPE), Step::Read(Wait::Command));
        assert!(driver.session.in_transaction());
        assert_eq!(driver.send("DATA\r\n"), Step::Read(Wait::Content));
        let mut step = driver.send(content);
        while step == Step::Content {
            step = driver.send("");
        }
        let stage = RefusedStage::Content;
        assert_eq!(
            step,
            Step::Refused {
                refusal: refusal.clone(),
                stage
            }
        );
        let envelope = driver
            .session
            .envelope()
            .expect("the envelope is still there");
        assert_eq!(
            envelope.recipients[0].forward_path,
            Mailbox::parse("c@d.example").expect("ok")
        );
        assert!(!driver.session.in_transaction());
        driver.session.refuse(reply(&refusal));
        assert_eq!(driver.session.envelope(), None);
        let closed = if refusal.closes() {
            Step::Close
        } else {
            Step::Read(Wait::Command)
        };
        assert_eq!(driver.send(""), closed);
    }
}

#[test]
fn content_streams_and_the_summary_comes_with_its_end() {
    let mut driver = Driver::new();
    driver.send(ENVELOPE);
    assert_eq!(driver.send("DATA\r\n"), Step::Read(Wait::Content));
    assert_eq!(driver.send("abc"), Step::Content);
    assert_eq!(driver.content, b"abc");
    assert_eq!(driver.send(""), Step::Read(Wait::Content));
    let summary = ContentSummary {
        size: 5,
        eight_bit: false,
        line_octets_max: 3,
        bare_lf_repaired: 0,
    };
    assert_eq!(
        driver.send("\r\n.\r\nQUIT\r\n"),
        Step::EndOfContent(summary)
    );
    assert!(driver.session.in_transaction() && driver.session.envelope().is_some());
    driver.said();
    driver.session.finish_content(reply(&Refusal::Local));
    assert!(!driver.session.in_transaction());
    assert_eq!(driver.send(""), Step::Close);
    assert_eq!(
        driver.said(),
        "451 4.3.0 Local error, not accepted (LOCAL 7F3K2)\r\n221 2.0.0 Bye\r\n"
    );
}

#[test]
fn the_session_can_be_closed_from_outside_at_any_moment() {
    for text in [
        "",
        "EHLO a.example\r\n",
        ENVELOPE,
        &format!("{ENVELOPE}DATA\r\nabc"),
    ] {
        let mut driver = Driver::new();
        driver.send(text);
        driver.said();
        driver.session.close_with(reply(&Refusal::ShuttingDown));
        assert!(!driver.session.in_transaction() && driver.session.envelope().is_none());
        assert_eq!(driver.send("NOOP\r\n"), Step::Close);
        assert_eq!(
            driver.said(),
            "421 4.3.2 Service not available, retry later (BUSY 7F3K2)\r\n"
        );
    }
}

#[test]
fn a_connection_refused_before_the_greeting_gets_the_refusal_alone() {
    let mut session = ServerSession::new(config());
    session.close_with(reply(&Refusal::TooManyConnections));
    assert_eq!(session.advance(b"", &mut Vec::new()), (0, Step::Close));
    assert!(
        session
            .output()
            .starts_with(b"421 4.7.0 Too many connections")
    );
}

#[test]
fn extensions_that_need_more_are_offered_only_where_the_driver_says_so() {
    let mut driver = Driver::with(ServerConfig {
        starttls: true,
        auth: AuthOffer::Now {
            channel_binding: true,
            bearer: true,
        },
        require_tls: true,
        ..config()
    });
    driver.send("EHLO a.example\r\n");
    let said = driver.said();
    for line in [
        "250-STARTTLS\r\n",
        "250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS XOAUTH2 OAUTHBEARER\r\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

/// RFC 8689 §2.
#[test]
fn requiretls_is_offered_and_taken_over_tls_only() {
    for tls in [false, true] {
        let mut driver = Driver::with(ServerConfig {
            starttls: true,
            tls,
            require_tls: true,
            ..config()
        });
        driver.send("EHLO a.example\r\n");
        let said = driver.said();
        assert_eq!(said.contains("250-REQUIRETLS\r\n"), tls, "{said}");
        let step = driver.send("MAIL FROM:<a@b.example> REQUIRETLS\r\n");
        let taken = step == Step::Read(Wait::Command);
        assert_eq!(taken, tls, "{step:?}");
    }
}

/// A session that has said the envelope and then STARTTLS, with `behind` in the same segment.
fn starting_tls(behind: &str) -> Driver {
    let mut driver = Driver::with(ServerConfig {
        starttls: true,
        ..config()
    });
    driver.send(ENVELOPE);
    driver.said();
    assert_eq!(
        driver.send(&format!("STARTTLS\r\n{behind}")),
        Step::StartTls
    );
    assert_eq!(driver.said(), "220 2.0.0 Ready to start TLS\r\n");
    driver
}

#[test]
fn what_stands_behind_starttls_in_clear_text_is_thrown_away() {
    let injected = "EHLO evil.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
    for behind in [injected, "E", "\0", "MAIL FROM:<a@b.example>"] {
        let mut driver = starting_tls(behind);
        assert!(driver.unread.is_empty(), "{:?}", driver.unread);
        driver.session.secured();
        assert_eq!(driver.send(""), Step::Read(Wait::Command));
        assert_eq!(driver.said(), "");
        assert_eq!(driver.session.hello(), None);
    }
}

#[test]
fn tls_begins_a_new_session_without_greeting_or_transaction() {
    let mut driver = starting_tls("");
    assert!(!driver.session.in_transaction() && driver.session.envelope().is_none());
    driver.session.secured();
    let step = driver.send("MAIL FROM:<a@b.example>\r\n");
    let refusal = Refusal::Syntax(SyntaxFault::Order);
    assert!(
        matches!(&step, Step::Refused { refusal: found, .. } if *found == refusal),
        "{step:?}"
    );
    driver.session.refuse(reply(&refusal));
    driver.said();
    assert_eq!(driver.send("EHLO a.example\r\n"), Step::Read(Wait::Command));
    let said = driver.said();
    assert!(!said.contains("STARTTLS"), "{said}");
    assert!(!said.contains("220"), "{said}");
}

#[test]
fn the_protocol_says_whether_the_session_is_encrypted() {
    for (tls, parameters, protocol) in [
        (false, "", "ESMTP"),
        (false, " SMTPUTF8", "UTF8SMTP"),
        (true, "", "ESMTPS"),
        (true, " SMTPUTF8", "UTF8SMTPS"),
    ] {
        let mut driver = Driver::with(ServerConfig { tls, ..config() });
        driver.send("EHLO a.example\r\n");
        driver.send(&format!("MAIL FROM:<a@b.example>{parameters}\r\n"));
        assert_eq!(driver.session.protocol(), protocol);
    }
}

#[test]
fn starttls_that_cannot_be_had_leaves_the_session_as_it_was() {
    let mut driver = Driver::with(ServerConfig {
        starttls: true,
        ..config()
    });
    driver.send(ENVELOPE);
    driver.said();
    driver.unread.extend_from_slice(b"STARTTLS\r\nDATA\r\n");
    let (used, step) = driver.session.advance(&driver.unread, &mut driver.content);
    driver.unread.drain(..used);
    assert_eq!(step, Step::Ask(Question::StartTls));
    driver
        .session
        .answer(Answer::Refuse(reply(&Refusal::TlsUnavailable)));
    assert_eq!(driver.send(""), Step::Read(Wait::Content));
    assert_eq!(
        driver.said(),
        "454 4.7.0 TLS not available (TLS-TEMP 7F3K2)\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
    );
}

#[test]
fn a_long_line_waits_for_a_command_and_costs_no_memory() {
    let mut driver = Driver::new();
    for _ in 0..60 {
        assert_eq!(driver.send(&"x".repeat(1_000)), Step::Read(Wait::Command));
        assert!(driver.unread.len() < crate::command::COMMAND_LINE_OCTETS_MAX);
    }
    let step = driver.send("\r\n");
    let refusal = Refusal::Syntax(SyntaxFault::Line);
    assert_eq!(
        step,
        Step::Refused {
            refusal,
            stage: RefusedStage::Other
        }
    );
}

/// What random clients are made of.
const PIECES: &[&str] = &[
    "EHLO a\r\n",
    "MAIL FROM:<a@b>\r\n",
    "RCPT TO:<c@d>\r\n",
    "DATA\r\n",
    "BDAT 7\r\n",
    "BDAT 3 LAST\r\n",
    ".\r\n",
    "\r",
    "\n",
    ".",
    "\0",
    "x",
    "RSET\r\n",
    "STARTTLS\r\n",
    "NOOP\r\n",
    "\r\n",
];

proptest::proptest! {
    #[test]
    fn no_octets_make_the_session_panic_or_wait_without_reading(
        octets in proptest::collection::vec(proptest::sample::select(PIECES), 0..40),
    ) {
        let mut driver = Driver::with(ServerConfig {
            starttls: true,
            ..config()
        });
        let mut steps = 0;
        for text in octets {
            let mut step = driver.send(text);
            loop {
                steps += 1;
                match step {
                    Step::Read(_) | Step::Close => break,
                    Step::Refused { refusal, .. } => driver.session.refuse(reply(&refusal)),
                    Step::EndOfContent(_) => driver.session.finish_content(reply(&Refusal::Local)),
                    Step::StartTls => driver.session.secured(),
                    Step::Content | Step::Ask(_) => {}
                }
                step = driver.send("");
            }
        }
        proptest::prop_assert!(steps < 400);
    }
}

#[test]
fn what_the_client_says_in_auth_is_neither_kept_nor_in_what_a_step_prints() {
    let offered = AuthOffer::Now {
        channel_binding: false,
        bearer: false,
    };
    let mut driver = Driver::with(ServerConfig {
        auth: offered,
        ..config()
    });
    driver.send("EHLO a.example\r\n");
    driver.said();
    for lines in ["AUTH PLAIN hunter2!\r\n", "AUTH LOGIN\r\nhunter2!\r\n"] {
        let step = driver.send(lines);
        let refusal = Refusal::AuthSyntax(AuthFault::Message);
        let stage = RefusedStage::Auth;
        assert_eq!(step, Step::Refused { refusal, stage });
        assert_eq!(driver.session.refused_line(), None);
        driver.session.refuse(reply(&Refusal::AuthBad));
        assert!(!driver.said().contains("hunter2"));
    }
    // NUL s NUL hunter2
    let (_, step) = driver
        .session
        .advance(b"AUTH PLAIN AHMAaHVudGVyMg==\r\n", &mut Vec::new());
    let printed = format!("{step:?}");
    assert!(
        printed.contains("Password") && !printed.contains("hunter2"),
        "{printed}"
    );
    driver.session.answer(Answer::Accept);
    assert!(driver.session.is_authenticated());
}
