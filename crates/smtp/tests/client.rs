//! The client's session, played against scripts and against a server that answers at random.

use std::collections::VecDeque;

use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::client::{
    ClientConfig, ClientSession, ClientStep, Closed, PIPELINED_COMMANDS_MAX,
    PIPELINED_CONTENT_OCTETS_MAX, Protocol, RecipientResult, Stage, Transaction, TransactionResult,
    Unsuited,
};
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};

mod client_login;
mod client_property;
mod client_stages;
mod client_tls;

use client_stages::Mode;

const CONTENT: &str = "Subject: x\r\n\r\n.dot\r\n";
const GREETING: &str = "220 mx.example.org ESMTP\r\n";

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn transaction(recipients: &[&str]) -> Transaction {
    let recipients = recipients
        .iter()
        .map(|text| EnvelopeRecipient::new(mailbox(text)))
        .collect();
    Transaction {
        envelope: Envelope {
            reverse_path: ReversePath::Mailbox(mailbox("a@contoso.test")),
            parameters: SenderParameters::default(),
            recipients,
        },
        size: CONTENT.len() as u64,
        eight_bit: false,
        utf8_header: false,
    }
}

fn session(protocol: Protocol) -> ClientSession {
    ClientSession::new(ClientConfig {
        hostname: "relay.contoso.test".into(),
        protocol,
    })
}

/// A session that has read these replies.
fn after(replies: &[&str]) -> ClientSession {
    let mut session = session(Protocol::Smtp);
    for reply in replies {
        session.receive(reply.as_bytes());
    }
    session
}

/// What one script led to.
#[derive(Debug, Default)]
struct Played {
    wire: String,
    results: Vec<TransactionResult>,
    closed: Option<Closed>,
    reads: Vec<Stage>,
}

/// Drives `session` through `transactions`, then QUIT. Each time it has read one script to its end
/// and wants more, the next is given, `cut` octets at a time; after the last the connection is
/// lost.
fn play(
    mut session: ClientSession,
    transactions: Vec<Transaction>,
    scripts: &[&str],
    cut: usize,
) -> Played {
    let mut played = Played::default();
    let mut transactions = VecDeque::from(transactions);
    let mut scripts: VecDeque<&str> = scripts.iter().copied().collect();
    let mut unread: &[u8] = b"";
    loop {
        match session.step() {
            ClientStep::Read(stage) => {
                played.reads.push(stage);
                let sent = std::mem::take(session.output());
                played.wire.push_str(&String::from_utf8_lossy(&sent));
                if unread.is_empty() {
                    let Some(script) = scripts.pop_front() else {
                        session.lost();
                        continue;
                    };
                    unread = script.as_bytes();
                }
                let (now, later) = unread.split_at(cut.min(unread.len()));
                unread = later;
                session.receive(now);
            }
            ClientStep::Ready => match transactions.pop_front() {
                Some(transaction) => session.begin(transaction),
                None => session.quit(),
            },
            ClientStep::Content => {
                for piece in CONTENT.as_bytes().chunks(7) {
                    session.write_content(piece);
                }
                session.end_content();
            }
            ClientStep::Finished(result) => played.results.push(result),
            ClientStep::Handshake => session.lost(),
            ClientStep::Closed(why) => {
                played.closed = Some(why);
                return played;
            }
        }
    }
}

/// One transaction to one recipient, by SMTP.
fn play_one(scripts: &[&str]) -> Played {
    play(
        session(Protocol::Smtp),
        vec![transaction(&["b@example.org"])],
        scripts,
        99,
    )
}

/// `accepted 250`, `refused Sender 550`, `broken Data`, `broken Content?` …, and how it ended.
fn summary(played: &Played) -> String {
    let mut words = Vec::new();
    for result in played.results.iter().flat_map(|result| &result.recipients) {
        words.push(match result {
            RecipientResult::Accepted { reply } => format!("accepted {}", reply.code().get()),
            RecipientResult::Refused { stage, reply } => {
                format!("refused {stage:?} {}", reply.code().get())
            }
            RecipientResult::Unsuited(why) => format!("unsuited {why:?}"),
            RecipientResult::Broken {
                stage,
                maybe_accepted: false,
            } => format!("broken {stage:?}"),
            RecipientResult::Broken {
                stage,
                maybe_accepted: true,
            } => format!("broken {stage:?}?"),
        });
    }
    words.push(match played.closed.as_ref().expect("played to the end") {
        Closed::Quit => "quit".into(),
        Closed::Refused { stage, reply } => format!("closed {stage:?} {}", reply.code().get()),
        Closed::Protocol { stage } => format!("protocol {stage:?}"),
        Closed::Lost { stage } => format!("lost {stage:?}"),
    });
    words.join(", ")
}

#[test]
fn without_pipelining_one_command_waits_for_one_reply() {
    let played = play_one(&[
        GREETING,
        "250 mx\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
    ]);
    assert_eq!(
        played.wire,
        "EHLO relay.contoso.test\r\nMAIL FROM:<a@contoso.test>\r\nRCPT TO:<b@example.org>\r\n\
         DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    );
    use Stage::{Content, Data, Greeting, Hello, Recipient, Sender};
    assert_eq!(
        played.reads,
        [Greeting, Hello, Sender, Recipient, Data, Content, Sender]
    );
}

#[test]
fn with_pipelining_and_chunking_a_small_message_goes_in_one_write() {
    let mut session = after(&[GREETING, Mode::ChunkPipelined.hello()]);
    session.output().clear();
    session.begin(transaction(&["b@example.org"]));
    assert_eq!(session.step(), ClientStep::Content);
    session.write_content(CONTENT.as_bytes());
    session.end_content();
    let expected = format!(
        "MAIL FROM:<a@contoso.test>\r\nRCPT TO:<b@example.org>\r\nBDAT {} LAST\r\n{CONTENT}",
        CONTENT.len()
    );
    assert_eq!(String::from_utf8_lossy(session.output()), expected);
    session.receive(b"250 a\r\n250 b\r\n250 c\r\n");
    let ClientStep::Finished(result) = session.step() else {
        panic!("not finished")
    };
    assert!(matches!(
        &result.recipients[..],
        [RecipientResult::Accepted { .. }]
    ));
    assert_eq!(session.step(), ClientStep::Ready);
}

#[test]
fn a_large_message_waits_for_its_recipients_before_the_chunk() {
    let mut session = after(&[GREETING, Mode::ChunkPipelined.hello()]);
    let mut large = transaction(&["b@example.org"]);
    large.size = PIPELINED_CONTENT_OCTETS_MAX + 1;
    session.begin(large);
    assert_eq!(session.step(), ClientStep::Read(Stage::Sender));
    assert!(!session.output().ends_with(b"LAST\r\n"));
    session.receive(b"250 ok\r\n250 ok\r\n");
    assert_eq!(session.step(), ClientStep::Content);
    assert!(session.output().ends_with(b"BDAT 65537 LAST\r\n"));
}

#[test]
fn content_of_another_size_never_completes_the_chunk() {
    for written in [0, CONTENT.len() - 1, CONTENT.len() + 1] {
        let mut session = after(&[GREETING, Mode::ChunkPipelined.hello()]);
        session.begin(transaction(&["b@example.org"]));
        session.output().clear();
        for octet in vec![b'x'; written].chunks(1) {
            session.write_content(octet);
        }
        session.end_content();
        assert!(session.output().len() < CONTENT.len(), "{written}");
        let ClientStep::Finished(result) = session.step() else {
            panic!("not finished")
        };
        assert!(matches!(
            result.recipients[..],
            [RecipientResult::Broken {
                maybe_accepted: false,
                ..
            }]
        ));
        assert_eq!(
            session.step(),
            ClientStep::Closed(Closed::Lost {
                stage: Stage::Content
            })
        );
    }
}

#[test]
fn each_recipient_keeps_its_own_refusal() {
    let recipients = ["b@example.org", "c@example.org", "d@example.org"];
    let scripts = [
        GREETING,
        Mode::DataPipelined.hello(),
        "250 ok\r\n550 5.1.1 no\r\n250 ok\r\n450 4.2.1 later\r\n354 go\r\n",
        "250 2.0.0 taken\r\n",
        "221 bye\r\n",
    ];
    let played = play(
        session(Protocol::Smtp),
        vec![transaction(&recipients)],
        &scripts,
        99,
    );
    assert_eq!(
        summary(&played),
        "refused Recipient 550, accepted 250, refused Recipient 450, quit"
    );
}

#[test]
fn lmtp_answers_for_each_accepted_recipient() {
    let recipients = ["b@example.org", "c@example.org", "d@example.org"];
    let table = [
        ("250 ok\r\n450 4.2.2 full\r\n", "refused Content 450, quit"),
        (
            "250 ok\r\n421 4.3.2 bye\r\n",
            "refused Content 421, closed Content 421",
        ),
        (
            "250 ok\r\nnonsense\r\n",
            "broken Content?, protocol Content",
        ),
        ("250 ok\r\n", "broken Content?, lost Content"),
    ];
    for (end, expected) in table {
        let mut scripts = vec![
            GREETING,
            "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
            "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n",
            end,
        ];
        if expected.ends_with("quit") {
            scripts.push("221 bye\r\n");
        }
        for cut in 1..=80 {
            let transactions = vec![transaction(&recipients)];
            let played = play(session(Protocol::Lmtp), transactions, &scripts, cut);
            let expected = format!("accepted 250, refused Recipient 550, {expected}");
            assert_eq!(summary(&played), expected);
            assert!(played.wire.starts_with("LHLO relay.contoso.test\r\n"));
            assert!(played.wire.contains("\r\nDATA\r\n"));
        }
    }
}

#[test]
fn a_server_without_ehlo_gets_helo_and_offers_nothing() {
    let played = play_one(&[
        GREETING,
        "502 5.5.1 what\r\n",
        "250-mx\r\n250 PIPELINING\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
        "221 bye\r\n",
    ]);
    assert_eq!(summary(&played), "accepted 250, quit");
    assert!(
        played
            .wire
            .starts_with("EHLO relay.contoso.test\r\nHELO relay.contoso.test\r\nMAIL")
    );
    assert_eq!(
        summary(&play_one(&[GREETING, "502 what\r\n", "550 no\r\n"])),
        "closed Hello 550"
    );
    assert_eq!(
        summary(&play_one(&[GREETING, "502 what\r\n", "421 no\r\n"])),
        "closed Hello 421"
    );
    let lmtp = play(
        session(Protocol::Lmtp),
        vec![],
        &[GREETING, "500 what\r\n"],
        99,
    );
    assert_eq!(summary(&lmtp), "closed Hello 500");
}

#[test]
fn data_granted_without_recipients_gets_the_end_of_data_alone() {
    let played = play_one(&[
        GREETING,
        Mode::DataPipelined.hello(),
        "250 ok\r\n550 no\r\n354 go\r\n",
        "250 taken\r\n",
        "221 bye\r\n",
    ]);
    assert_eq!(summary(&played), "refused Recipient 550, quit");
    assert!(
        played.wire.ends_with("DATA\r\n.\r\nQUIT\r\n"),
        "{}",
        played.wire
    );
}

#[test]
fn data_granted_where_it_would_deliver_to_others_cuts_the_session_off() {
    let after_mail = "550 no\r\n250 odd\r\n354 odd\r\n";
    let played = play_one(&[GREETING, Mode::DataPipelined.hello(), after_mail]);
    assert_eq!(summary(&played), "refused Sender 550, protocol Data");
    let scripts = [
        GREETING,
        Mode::DataPipelined.hello(),
        "250 ok\r\n550 no\r\n354 odd\r\n",
    ];
    let played = play(
        session(Protocol::Lmtp),
        vec![transaction(&["b@example.org"])],
        &scripts,
        99,
    );
    assert_eq!(summary(&played), "refused Recipient 550, protocol Data");
}

#[test]
fn a_transaction_left_open_is_reset_before_the_next() {
    let three = || {
        (0..3)
            .map(|_| transaction(&["b@example.org"]))
            .collect::<Vec<_>>()
    };
    let plain = [
        &[
            GREETING,
            "250 mx\r\n",
            "250 ok\r\n",
            "550 no\r\n",
            "250 reset\r\n",
            "250 ok\r\n",
        ][..],
        &[
            "250 ok\r\n",
            "354 go\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "550 no\r\n",
            "221 bye\r\n",
        ],
    ]
    .concat();
    let played = play(session(Protocol::Smtp), three(), &plain, 99);
    let expected = "refused Recipient 550, accepted 250, refused Recipient 550, quit";
    assert_eq!(summary(&played), expected);
    assert_eq!(played.wire.matches("RSET\r\n").count(), 1);

    let pipelined = [
        GREETING,
        Mode::ChunkPipelined.hello(),
        "250 ok\r\n550 no\r\n503 no recipient\r\n",
        "250 reset\r\n250 ok\r\n250 ok\r\n250 taken\r\n",
        "250 ok\r\n550 no\r\n503 no recipient\r\n",
        "221 bye\r\n",
    ];
    let played = play(session(Protocol::Smtp), three(), &pipelined, 99);
    assert_eq!(summary(&played), expected);
    assert!(played.wire.contains("RSET\r\nMAIL FROM"), "{}", played.wire);

    let refused = [
        GREETING,
        "250 mx\r\n",
        "250 ok\r\n",
        "550 no\r\n",
        "500 no reset\r\n",
    ];
    let played = play(session(Protocol::Smtp), three()[..2].to_vec(), &refused, 99);
    assert_eq!(
        summary(&played),
        "refused Recipient 550, broken Sender, protocol Sender"
    );
}

#[test]
fn a_chunk_that_was_refused_is_reset_and_refused_content_is_not() {
    for (mode, resets) in [(Mode::Chunk, 1), (Mode::Data, 0)] {
        let mut scripts = vec![GREETING, mode.hello(), "250 ok\r\n", "250 ok\r\n"];
        if mode == Mode::Data {
            scripts.push("354 go\r\n");
        }
        scripts.push("452 full\r\n");
        scripts.extend(["250 reset\r\n"].repeat(resets));
        scripts.extend(["550 no\r\n", "221 bye\r\n"]);
        let two = vec![
            transaction(&["b@example.org"]),
            transaction(&["b@example.org"]),
        ];
        let played = play(session(Protocol::Smtp), two, &scripts, 99);
        assert_eq!(
            summary(&played),
            "refused Content 452, refused Sender 550, quit",
            "{mode:?}"
        );
        assert_eq!(played.wire.matches("RSET\r\n").count(), resets);
    }
}

#[test]
fn a_reply_that_came_before_its_command_counts_for_nothing() {
    let table: &[(&[&str], &str)] = &[
        (&["220 mx\r\n250 early\r\n"], "protocol Hello"),
        (&["220 mx\r\n250 ear", "ly\r\n"], "protocol Hello"),
        (&[GREETING, "250 mx\r\n250 early\r\n"], "protocol Sender"),
        (
            &[GREETING, "250 mx\r\n25", "0 early\r\n"],
            "broken Sender, protocol Sender",
        ),
        (
            &[GREETING, "250 mx\r\n", "250 ok\r\n250 early\r\n"],
            "broken Recipient, protocol Recipient",
        ),
        (
            &[
                GREETING,
                "250 mx\r\n",
                "250 ok\r\n",
                "250 ok\r\n",
                "354 go\r\n250 early\r\n",
            ],
            "broken Content, protocol Content",
        ),
        (
            &[
                GREETING,
                "250 mx\r\n",
                "250 ok\r\n",
                "250 ok\r\n",
                "354 go\r\n25",
                "0 early\r\n",
            ],
            "broken Content?, protocol Content",
        ),
        (
            &[
                GREETING,
                "250 mx\r\n",
                "250 ok\r\n",
                "250 ok\r\n",
                "354 go\r\n552 too big\r\n",
            ],
            "refused Content 552, protocol Content",
        ),
        (
            &[GREETING, "250 mx\r\n", "250 ok\r\n421 bye\r\n"],
            "refused Recipient 421, closed Recipient 421",
        ),
        (&[GREETING, "250 mx\r\n421 bye\r\n"], "closed Sender 421"),
        (
            &[GREETING, "250 mx\r\n42", "1 bye\r\n"],
            "refused Sender 421, closed Sender 421",
        ),
    ];
    for (scripts, expected) in table {
        assert_eq!(summary(&play_one(scripts)), *expected, "{scripts:?}");
    }
}

#[test]
fn many_recipients_are_said_in_groups_that_fit_into_socket_buffers() {
    let addresses: Vec<String> = (0..250)
        .map(|number| format!("r{number}@example.org"))
        .collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    // MAIL and 99 recipients, 100 recipients, 51 recipients; then DATA in the same group.
    let group = "250 ok\r\n".repeat(PIPELINED_COMMANDS_MAX);
    let last = format!("{}354 go\r\n", "250 ok\r\n".repeat(51));
    let scripts = [
        GREETING,
        Mode::DataPipelined.hello(),
        &group,
        &group,
        &last,
        "250 ok\r\n",
        "221 bye\r\n",
    ];
    let played = play(
        session(Protocol::Smtp),
        vec![transaction(&addresses)],
        &scripts,
        4_096,
    );
    assert_eq!(summary(&played).matches("accepted 250").count(), 250);
    assert!(summary(&played).ends_with("quit"));

    // With chunks the content is not said before the last group's replies when all are refused.
    let first = format!("250 ok\r\n{}", "550 no\r\n".repeat(99));
    let second = "550 no\r\n".repeat(100);
    let third = format!("{}503 no\r\n", "550 no\r\n".repeat(51));
    let scripts = [
        GREETING,
        Mode::ChunkPipelined.hello(),
        &first,
        &second,
        &third,
        "221 bye\r\n",
    ];
    let played = play(
        session(Protocol::Smtp),
        vec![transaction(&addresses)],
        &scripts,
        4_096,
    );
    assert_eq!(
        summary(&played).matches("refused Recipient 550").count(),
        250
    );
    assert!(summary(&played).ends_with("quit"));
}

#[test]
fn what_the_next_hop_cannot_take_is_not_sent() {
    let plain = || transaction(&["b@example.org"]);
    let mut too_big = plain();
    too_big.size = 1_001;
    let mut international = plain();
    international.envelope.parameters.smtp_utf8 = true;
    international.utf8_header = true;
    let mut require_tls = plain();
    require_tls.envelope.parameters.require_tls = true;
    let mut from_jose = plain();
    from_jose.envelope.reverse_path = ReversePath::Mailbox(mailbox("jos\u{e9}@contoso.test"));
    for (transaction, why) in [
        (too_big, Unsuited::TooBig { limit: 1_000 }),
        (international, Unsuited::SmtpUtf8),
        (from_jose, Unsuited::SmtpUtf8),
        (require_tls, Unsuited::RequireTls),
    ] {
        let scripts = [GREETING, "250-mx\r\n250 SIZE 1000\r\n", "221 bye\r\n"];
        let played = play(session(Protocol::Smtp), vec![transaction], &scripts, 99);
        assert_eq!(summary(&played), format!("unsuited {why:?}, quit"));
        assert_eq!(played.wire, "EHLO relay.contoso.test\r\nQUIT\r\n");
    }
}

#[test]
fn a_recipient_that_needs_smtputf8_does_not_hold_up_the_others() {
    let recipients = ["jos\u{e9}@example.org", "b@example.org"];
    let rest = ["250 b\r\n", "354 c\r\n", "250 d\r\n", "221 e\r\n"];
    let scripts = [&[GREETING, "250 mx\r\n", "250 a\r\n"], &rest[..]].concat();
    let played = play(
        session(Protocol::Smtp),
        vec![transaction(&recipients)],
        &scripts,
        99,
    );
    assert_eq!(summary(&played), "unsuited SmtpUtf8, accepted 250, quit");
    let offered = "250-mx\r\n250 SMTPUTF8\r\n";
    let scripts = [&[GREETING, offered, "250 a\r\n", "250 b\r\n"], &rest[..]].concat();
    let played = play(
        session(Protocol::Smtp),
        vec![transaction(&recipients)],
        &scripts,
        99,
    );
    assert_eq!(summary(&played), "accepted 250, accepted 250, quit");
    assert!(
        played
            .wire
            .contains("MAIL FROM:<a@contoso.test> SMTPUTF8\r\n"),
        "{}",
        played.wire
    );
}

#[test]
fn undeclared_eight_bit_passes_as_it_came() {
    let mut transaction = transaction(&["b@example.org"]);
    transaction.eight_bit = true;
    transaction.utf8_header = true;
    let rest = [
        "250 a\r\n",
        "250 b\r\n",
        "354 c\r\n",
        "250 d\r\n",
        "221 e\r\n",
    ];
    for (hello, mail) in [
        ("250 mx\r\n", "MAIL FROM:<a@contoso.test>\r\n"),
        (
            "250-mx\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n",
            "MAIL FROM:<a@contoso.test> BODY=8BITMIME\r\n",
        ),
    ] {
        let scripts = [&[GREETING, hello], &rest[..]].concat();
        let played = play(
            session(Protocol::Smtp),
            vec![transaction.clone()],
            &scripts,
            99,
        );
        assert_eq!(summary(&played), "accepted 250, quit");
        assert!(played.wire.contains(mail), "{}", played.wire);
    }
}

#[test]
fn a_session_closed_while_idle_breaks_the_next_transaction_at_its_start() {
    let mut session = after(&[GREETING, "250 mx\r\n"]);
    assert_eq!(session.step(), ClientStep::Ready);
    session.receive(b"421 4.4.2 idle too long\r\n");
    session.begin(transaction(&["b@example.org"]));
    let broken = RecipientResult::Broken {
        stage: Stage::Sender,
        maybe_accepted: false,
    };
    let result = TransactionResult {
        recipients: vec![broken],
    };
    assert_eq!(session.step(), ClientStep::Finished(result));
    assert!(matches!(
        session.step(),
        ClientStep::Closed(Closed::Refused { .. })
    ));
}

#[test]
fn a_server_that_gives_up_within_the_content_is_heard_at_once() {
    for (said, expected) in [
        (
            "552 5.3.4 too big\r\n",
            "refused Content 552, protocol Content",
        ),
        (
            "421 4.3.0 bye\r\n",
            "refused Content 421, closed Content 421",
        ),
        ("250 what\r\n", "broken Content, protocol Content"),
    ] {
        let mut session = after(&[GREETING, "250 mx\r\n"]);
        session.begin(transaction(&["b@example.org"]));
        for reply in ["250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
            session.receive(reply.as_bytes());
        }
        assert_eq!(session.step(), ClientStep::Content);
        session.write_content(b"half");
        session.receive(said.as_bytes());
        session.write_content(b"more");
        session.end_content();
        assert_eq!(summary(&play(session, vec![], &[], 99)), expected);
    }
}
