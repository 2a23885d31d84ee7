//! Feeds mutated octets to everything that reads what strangers send: commands, content framing,
//! header sections, notices that come back, chains of seals, replies of next hops, DNS answers,
//! hellos of TLS, settings files, trace tokens.
//!
//! ```text
//! fuzz [--seconds 10] [--seed N] [--target NAME]
//! ```
//!
//! A panic, a step that never ends, or a broken invariant ends with 1; the seed and the input are
//! printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use relais_policy::document::Document;
use relais_policy::settings::{Mode, Settings};
use relais_smtp::address::Mailbox;
use relais_smtp::arc::{Form, Sealing};
use relais_smtp::client::{ClientConfig, ClientSession, ClientStep, Protocol, Transaction};
use relais_smtp::content::Preset;
use relais_smtp::dkim::{Algorithm, BodyHasher, Terms, relaxed_body, unsigned};
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};
use relais_smtp::header;
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::reply::Reply;
use relais_smtp::returned;
use relais_smtp::sasl::scram::{ChannelBinding, NONCE_OCTETS, ServerNonce, Verifier};
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};
use relais_smtp::time::Timestamp;
use relais_store::trace::TraceQuery;
use relais_testkit::mutate::Mutator;

/// More steps than octets can cause: a machine that goes on has a loop.
const STEPS_PER_OCTET_MAX: usize = 8;

/// Transactions of one client session: one that is unsuited costs no octet.
const TRANSACTIONS_MAX: u32 = 16;

struct Target {
    name: &'static str,
    seeds: &'static [&'static [u8]],
    dictionary: &'static [&'static [u8]],
    run: fn(&[u8], usize),
}

const TARGETS: &[Target] = &[
    Target {
        name: "commands",
        seeds: COMMANDS,
        dictionary: SMTP_WORDS,
        run: commands,
    },
    Target {
        name: "content",
        seeds: CONTENTS,
        dictionary: LINE_ENDS,
        run: content,
    },
    Target {
        name: "headers",
        seeds: HEADERS,
        dictionary: HEADER_WORDS,
        run: headers,
    },
    Target {
        name: "signatures",
        seeds: CONTENTS,
        dictionary: SPACES,
        run: signatures,
    },
    Target {
        name: "returned",
        seeds: NOTICES,
        dictionary: NOTICE_WORDS,
        run: returned,
    },
    Target {
        name: "seals",
        seeds: SEALS,
        dictionary: SEAL_WORDS,
        run: seals,
    },
    Target {
        name: "received",
        seeds: &[
            b"scanner",
            b"a b\r\nBcc: x",
            b"(((",
            b"\xc3\xa9.test",
            b"[192.0.2.1]",
        ],
        dictionary: HEADER_WORDS,
        run: received,
    },
    Target {
        name: "replies",
        seeds: REPLIES,
        dictionary: REPLY_WORDS,
        run: replies,
    },
    Target {
        name: "dns",
        seeds: DNS,
        dictionary: &[b"\xc0\x0c", b"\x00\x0f\x00\x01"],
        run: dns,
    },
    Target {
        name: "hello",
        seeds: HELLOS,
        dictionary: &[b"\x16\x03\x01", b"\x00\x2b", b"\x03\x04"],
        run: hello,
    },
    Target {
        name: "settings",
        seeds: SETTINGS,
        dictionary: SETTINGS_WORDS,
        run: settings,
    },
    Target {
        name: "trace",
        seeds: TRACE,
        dictionary: &[b"to:", b"size:>", b"*"],
        run: trace,
    },
];

/// TLS 1.0 with two ciphers; TLS 1.3 by the extension; SSL 2.0.
const HELLOS: &[&[u8]] = &[
    b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x010123456789abcdef0123456789abcdef\x00\
      \x00\x04\x00\x2f\x00\x05\x01\x00",
    b"\x16\x03\x01\x00\x36\x01\x00\x00\x32\x03\x030123456789abcdef0123456789abcdef\x00\
      \x00\x02\x13\x01\x01\x00\x00\x07\x00\x2b\x00\x03\x02\x03\x04",
    b"\x80\x2e\x01\x00\x02\x00\x15",
];

/// A failure, a complaint, a plain bounce, an automatic reply.
const NOTICES: &[&[u8]] = &[
    b"From: MAILER-DAEMON@mx.test\r\nContent-Type: multipart/report; report-type=delivery-status; \
      boundary=\"x\"\r\n\r\n--x\r\n\r\nno\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n\
      Reporting-MTA: dns; mx.test\r\n\r\nFinal-Recipient: rfc822; b@example.org\r\nAction: failed\
      \r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n\r\n--x--\r\n",
    b"Content-Type: multipart/report; report-type=feedback-report; boundary=y\r\n\r\n--y\r\n\
      Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nOriginal-Rcpt-To: \
      b@example.org\r\n\r\n--y--\r\n",
    b"Subject: Undelivered Mail Returned to Sender\r\n\r\n<b@example.org>: host mx.test[192.0.2.1] \
      said: 550 5.1.1 User unknown\r\n",
    b"Auto-Submitted: auto-replied\r\nSubject: =?utf-8?Q?Absence_=C3=A9?=\r\n\r\nI am away.\r\n",
];

const NOTICE_WORDS: &[&[u8]] = &[
    b"--x\r\n",
    b"--x--\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Final-Recipient: rfc822; ",
    b"Status: 5.1.1\r\n",
    b"Action: failed\r\n",
    b"boundary=",
    b"\r\n\r\n",
];

/// Results of ours, over no chain, one that holds, and one that does not.
const SEALS: &[&[u8]] = &[
    b"Authentication-Results: relay.test;\r\n\tspf=pass;\r\n\tarc=none\r\nFrom: a@b.test\r\n\r\n",
    b"Authentication-Results: relay.test; arc=pass\r\nARC-Seal: i=1; cv=none; b=x\r\n\
      ARC-Message-Signature: i=1; b=x\r\nARC-Authentication-Results: i=1; mx.test; spf=none\r\n\r\n",
    b"Authentication-Results: relay.test; arc=fail\r\nARC-Seal: i=49; cv=fail\r\n\r\n",
];

const SEAL_WORDS: &[&[u8]] = &[
    b"i=1;",
    b"i=50;",
    b"cv=pass;",
    b"cv=fail;",
    b"arc=pass",
    b"ARC-Seal: ",
    b"\r\n\t",
];

const COMMANDS: &[&[u8]] = &[
    b"EHLO a.test\r\nMAIL FROM:<a@contoso.test> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x+2By\r\n\
      RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@example.org\r\nDATA\r\nx\r\n.\r\n",
    b"HELO scan\r\nMAIL FROM: a@b.test\r\nRCPT TO:<Postmaster>\r\nRSET\r\nNOOP\r\nQUIT\r\n",
    b"EHLO [IPv6:::1]\r\nMAIL FROM:<\"a b\"@x.test> SMTPUTF8\r\nRCPT TO:<\xc3\xa9@x.test>\r\n\
      BDAT 4\r\nab\r\nBDAT 0 LAST\r\n",
    b"EHLO x\r\nAUTH LOGIN dXNlcg==\r\nSTARTTLS\r\nVRFY a\r\nHELP\r\nRCPT TO:<@a,@b:u@c.test>\r\n",
];
const SMTP_WORDS: &[&[u8]] = &[
    b"EHLO ",
    b"HELO ",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"DATA\r\n",
    b"BDAT ",
    b" LAST",
    b"RSET\r\n",
    b"NOTIFY=",
    b"NEVER",
    b"ORCPT=rfc822;",
    b"utf-8;\\x{ff}",
    b"SIZE=",
    b"99999999999999999999",
    b"ENVID=",
    b"+00",
    b"[IPv6:",
    b"AUTH=<>",
    b"\r\n.\r\n",
    b"SMTPUTF8",
    b"REQUIRETLS",
];
const CONTENTS: &[&[u8]] = &[
    b"Subject: x\r\n\r\nbody\r\n.\r\n",
    b"Subject: x\r\n\r\n..dots\r\n.\r\nMAIL FROM:<evil@x.test>\r\n",
    b".\r\n",
    b"a\n.\nb\r.\rc\r\n.\n\r\n.\r\n",
];
const LINE_ENDS: &[&[u8]] = &[
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r\r\n.\r\n",
    b"\r\n..\r\n",
    b"\0",
];
const HEADERS: &[&[u8]] = &[
    b"Received: from a by b; x\r\nFrom: \"A (b)\" <a@b.test>, c@d.test (x\\)y)\r\nSubject: \
      =?utf-8?B?w6k=?= =?iso-8859-1?Q?=E9_x?=\r\nMessage-ID: <x@y>\r\nDate: now\r\n\r\nbody",
    b"From: group: a@b.test, c@d.test;\r\n folded\r\nTo: x\r\n\r\n",
    b" leading\r\nno field here\r\n\r\n",
    b"\r\nbody only",
    b"From x Tue\r\nFrom: a@b.test\r\n\r\nbody",
    b"Subject: a\0b\r\nFr\0om: a@b.test\r\n\r\nbody",
];
const HEADER_WORDS: &[&[u8]] = &[
    b"From: ",
    b"From ",
    b"\0",
    b"Received: x\r\n",
    b"=?utf-8?Q?",
    b"?=",
    b"\r\n ",
    b"\r\n\r\n",
    b"(((",
    b"\"",
    b"<",
    b"Subject:",
    b"MIME-Version: 1.0\r\n",
];
const REPLIES: &[&[u8]] = &[
    b"220 mx ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-DSN\r\n250-LIMITS RCPTMAX=5\r\n\
      250 SMTPUTF8\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 taken\r\n221 bye\r\n",
    b"220-a\r\n220 b\r\n502 no\r\n250 mx\r\n250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n",
    b"554 5.7.1 go away\r\n",
    b"220 mx\r\n250-mx\r\n250 CHUNKING\r\n250 ok\r\n452 4.5.3 many\r\n250 ok\r\n421 bye\r\n",
];
const REPLY_WORDS: &[&[u8]] = &[
    b"250 ",
    b"250-",
    b"421 ",
    b"354 ",
    b"550 5.1.1 ",
    b"\r\n",
    b"\n",
    b"999",
    b"CHUNKING",
];
const SPACES: &[&[u8]] = &[
    b" ",
    b"\t",
    b"\r\n",
    b"\r\n\r\n",
    b" \r\n",
    b"\r",
    b"From: a@b.test\r\n",
];
const DNS: &[&[u8]] = &[
    b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x04test\x00\x00\x0f\x00\x01\xc0\x0c\x00\
      \x0f\x00\x01\x00\x00\x00\x3c\x00\x07\x00\x0a\x02mx\xc0\x0c",
    b"\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x0f\x00\x01",
    b"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01\xc0\x0c\x00\
      \x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01",
];
const SETTINGS: &[&[u8]] = &[
    b"[[organisation]]\nname = \"contoso\"\nlanguage = \"fr\"\npostmaster = \"it@contoso.test\"\n\
      limits = { recipients_per_day = 5, message_size_max = \"25 MiB\" }\n[[organisation.domain]]\n\
      name = \"contoso.test\"\nverification = \"assumed\"\nmailbox_host = \"lmtp:h:24\"\n\
      [[organisation.inbound_connector]]\nname = \"P\"\nsender_ip_addresses = [\"10.0.0.0/8\"]\n\
      [[organisation.outbound_connector]]\nname = \"M\"\nsmart_hosts = [\"[::1]:25\"]\nretry = { \
      first = \"1m\", max = \"1h\", lifetime = \"24h\" }\n",
];
const SETTINGS_WORDS: &[&[u8]] = &[
    b"[[organisation]]\n",
    b"\"*.x.test\"",
    b"= [",
    b"\"\"\"",
    b"= { value = 1, hard = true }",
];
const TRACE: &[&[u8]] = &[
    b"to:a@b.test from:\"x y\" status:failed code:5.7.* size:>10mb ref:7F3K2 free text",
    b"tls:<1.2 client:10.0.0.0/8 -x \"unclosed",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let seconds = value("--seconds")
        .and_then(|text| text.parse().ok())
        .unwrap_or(10);
    let seed = value("--seed")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(rand::random);
    let chosen = value("--target");
    let mut passed = true;
    for target in TARGETS
        .iter()
        .filter(|target| chosen.is_none_or(|name| name == target.name))
    {
        passed &= fuzz(target, Duration::from_secs(seconds), seed);
    }
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn fuzz(target: &Target, time: Duration, seed: u64) -> bool {
    let mut seeds: Vec<Vec<u8>> = target.seeds.iter().map(|seed| seed.to_vec()).collect();
    seeds.extend(foreign_seeds(target.name));
    let mut mutator = Mutator::new(seed, seeds, target.dictionary);
    let begun = Instant::now();
    let mut inputs = 0_u64;
    while begun.elapsed() < time {
        for _ in 0..64 {
            let (input, choice) = (mutator.next_input(), mutator.choice(16));
            inputs += 1;
            if catch_unwind(AssertUnwindSafe(|| (target.run)(&input, choice))).is_err() {
                println!(
                    "fuzz {}: PANIC with seed {seed}, input {inputs}, choice {choice}: {:?}",
                    target.name,
                    String::from_utf8_lossy(&input)
                );
                return false;
            }
        }
    }
    println!(
        "fuzz {}: {inputs} inputs, seed {seed}, no panic",
        target.name
    );
    true
}

/// Published corpora, read in place where they are.
fn foreign_seeds(target: &str) -> Vec<Vec<u8>> {
    let folders: &[&str] = match target {
        "commands" | "content" => &["fuzz-seeds/chasquid-smtp", "fuzz-seeds/profuzzbench-exim"],
        "headers" => &["mime/mail-gem-errors", "mime/mail-parser-rfc"],
        _ => &[],
    };
    let root = std::env::var("RELAIS_TESTDATA").unwrap_or_else(|_| "../shared/testdata".to_owned());
    let mut seeds = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(format!("{root}/{folder}")) else {
            println!("fuzz {target}: SKIPPED published seeds of {folder} (not found in {root})");
            continue;
        };
        seeds.extend(
            entries
                .flatten()
                .filter_map(|entry| std::fs::read(entry.path()).ok()),
        );
    }
    seeds
}

fn server_config(choice: usize) -> ServerConfig {
    ServerConfig {
        hostname: "relay.test".into(),
        size_octets_max: 4_096,
        preset: if choice.is_multiple_of(2) {
            Preset::Strict
        } else {
            Preset::Tolerant
        },
        recipients_max: 100,
        errors_max: 20,
        junk_commands_max: 100,
        starttls: choice & 4 != 0,
        tls: choice & 8 != 0,
        auth: if choice & 16 == 0 {
            AuthOffer::AfterTls
        } else {
            AuthOffer::Now {
                channel_binding: choice & 32 != 0,
                bearer: true,
            }
        },
        require_tls: false,
    }
}

fn commands(input: &[u8], choice: usize) {
    let sizes: &[usize] = if choice & 2 == 0 { &[1] } else { &[1, 7, 64] };
    let whole = converse(server_config(choice), input, &[usize::MAX]);
    let split = converse(server_config(choice), input, sizes);
    assert_eq!(
        whole, split,
        "the same octets, cut differently, were answered differently"
    );
}

/// Whatever follows DATA: nothing but CRLF.CRLF ends content, however the octets are cut.
fn content(input: &[u8], choice: usize) {
    let mut session =
        b"EHLO a\r\nMAIL FROM:<a@contoso.test>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n".to_vec();
    session.extend_from_slice(input);
    let whole = converse(server_config(choice), &session, &[usize::MAX]);
    let split = converse(server_config(choice), &session, &[1, 3, 11]);
    assert_eq!(
        whole, split,
        "the same octets, cut differently, were understood differently"
    );
    let mut framed = b"\r\n".to_vec();
    framed.extend_from_slice(input);
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n");
    let Some(end) = end else {
        assert!(whole.contents.is_empty(), "content ended without CRLF.CRLF");
        return;
    };
    let sent = &framed[2..(end + 2).max(2)];
    if let Some(first) = whole.contents.first()
        && !has_bare_line_end(sent)
    {
        assert_eq!(
            *first,
            unstuffed(sent),
            "content is what was sent, without the stuffing"
        );
    }
}

/// RFC 5321 §4.5.2, the plain way.
fn unstuffed(sent: &[u8]) -> Vec<u8> {
    let lines = sent.split_inclusive(|octet| *octet == b'\n');
    lines
        .flat_map(|line| line.strip_prefix(b".").unwrap_or(line).to_vec())
        .collect()
}

/// What came of a session.
#[derive(Debug, Default, Eq, PartialEq)]
struct Outcome {
    /// Contents that came out whole.
    contents: Vec<Vec<u8>>,
    /// All that the server said.
    said: Vec<u8>,
}

/// Runs a session on octets that arrive in pieces of these sizes.
fn converse(config: ServerConfig, input: &[u8], sizes: &[usize]) -> Outcome {
    let mut session = ServerSession::new(config);
    let (mut given, mut used, mut turn) = (0, 0, 0);
    let (mut content, mut outcome) = (Vec::new(), Outcome::default());
    let steps_max = STEPS_PER_OCTET_MAX * (input.len() + 64);
    for _ in 0..steps_max {
        let (consumed, step) = session.advance(&input[used..given], &mut content);
        used += consumed;
        assert!(used <= given, "consumed more than was given");
        outcome.said.append(session.output());
        match step {
            Step::Read(_) => {
                if given == input.len() {
                    return outcome;
                }
                given = given
                    .saturating_add(sizes[turn % sizes.len()])
                    .min(input.len());
                turn += 1;
            }
            Step::Ask(question) => {
                if question == Question::Content {
                    // What a transaction before it has left is void.
                    content.clear();
                }
                session.answer(permit(question));
            }
            Step::Refused { refusal, .. } => session.refuse(refusal.reply(Reference::from_bits(7))),
            Step::Content => {}
            Step::EndOfContent(summary) => {
                assert_eq!(summary.size, content.len() as u64, "size as counted");
                assert!(
                    !has_bare_line_end(&content),
                    "content with a bare CR or LF came out"
                );
                outcome.contents.push(std::mem::take(&mut content));
                session.finish_content(taken());
            }
            Step::Close => return outcome,
            // What comes behind it is void; how much that is depends on how it arrives.
            Step::StartTls => return outcome,
        }
    }
    panic!("the session did not come to rest in {steps_max} steps");
}

fn taken() -> Reply {
    Reply::parse_stored("250 2.0.0 taken").expect("a well-formed reply")
}

fn has_bare_line_end(content: &[u8]) -> bool {
    content.iter().enumerate().any(|(at, octet)| match octet {
        b'\n' => at == 0 || content[at - 1] != b'\r',
        b'\r' => content.get(at + 1) != Some(&b'\n'),
        _ => false,
    })
}

fn permit(question: Question) -> Answer {
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
            size_octets_max: 4_096,
            preset: Preset::Tolerant,
        },
        Question::Recipient {
            forward_path,
            notify,
            original,
        } => {
            let mailbox = match forward_path {
                relais_smtp::address::ForwardPath::Mailbox(mailbox) => mailbox,
                relais_smtp::address::ForwardPath::Postmaster => mailbox("it@contoso.test"),
            };
            let again = Mailbox::parse(&mailbox.to_string());
            assert_eq!(
                again.as_ref(),
                Ok(&mailbox),
                "an address is read back as written"
            );
            Answer::Recipient(EnvelopeRecipient {
                forward_path: mailbox,
                notify,
                original,
                is_copy: false,
            })
        }
    }
}

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a well-formed address")
}

fn headers(input: &[u8], choice: usize) {
    let end = header::header_section_end(input).unwrap_or(input.len());
    assert!(
        end <= input.len(),
        "the header section ends inside the content"
    );
    let section = &input[..end];
    if let header::MailboxLine::Octets(line) = header::mailbox_line(input) {
        assert_eq!(end, 0, "a mailbox line stands before the section");
        assert_ne!(header::header_section_end(&input[line..]), Some(0));
    }
    let summary = header::read(section);
    nul_hides_nothing(section, &summary);
    assert!(
        summary
            .subject
            .is_none_or(|subject| subject.chars().count() <= 256)
    );
    let changes = [
        header::FieldChange::Add("Date: Tue, 24 Nov 2026 10:00:00 +0000"),
        header::FieldChange::Rename {
            from: "From",
            to: "Reply-To",
        },
        header::FieldChange::Remove("Subject"),
    ];
    let changed = header::change(section, &changes[..choice % 4]);
    header::read(&changed);
    if choice.is_multiple_of(4) && end > 0 {
        assert_eq!(changed, section, "nothing to change, nothing changed");
    }
}

/// Servers that drop NUL read no other authors and no other trace fields, where we let it pass.
fn nul_hides_nothing(section: &[u8], summary: &header::HeaderSummary) {
    let whole_ends = section.split(|octet| *octet == b'\n').rev().skip(1);
    let mut whole_ends = whole_ends.map(|line| line.strip_suffix(b"\r"));
    let is_content = whole_ends.all(|line| line.is_some_and(|line| !line.contains(&b'\r')));
    if summary.has_hidden_line || !is_content || !section.ends_with(b"\n") {
        return;
    }
    let dropped: Vec<u8> = section
        .iter()
        .copied()
        .filter(|octet| *octet != 0)
        .collect();
    let theirs = header::read(&dropped);
    assert_eq!(theirs.received_count, summary.received_count);
    let agree = theirs.from == summary.from || summary.from == header::FromField::Unreadable;
    assert!(agree, "{:?}, {:?}", theirs.from, summary.from);
}

/// Whatever comes back is read to few recipients, in lines that a person can be shown.
fn returned(input: &[u8], _: usize) {
    let read = returned::read(input);
    assert!(read.recipients.len() <= returned::RECIPIENTS_MAX);
    let diagnostics = read.recipients.iter();
    let diagnostics = diagnostics.filter_map(|one| one.diagnostic.as_deref());
    let others = [read.words.as_deref(), read.reporter.as_deref()];
    for text in diagnostics.chain(others.into_iter().flatten()) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// What is sealed is three whole fields, in whatever section.
fn seals(input: &[u8], choice: usize) {
    let end = header::header_section_end(input).unwrap_or(input.len());
    let section = &input[..end];
    let Ok(sealing) = Sealing::begin(section, "relay.test") else {
        return;
    };
    let domain = Domain::parse("contoso.test").expect("a domain");
    let terms = Terms {
        domain: &domain,
        selector: "s",
        algorithm: Algorithm::RsaSha256,
        time: Timestamp::from_millis(0),
    };
    let (body, form) = (BodyHasher::new().finish(), Form::default());
    let signature = sealing.message_signature(section, &body, &terms, &form);
    let signature = signature.complete(&[7; 256]);
    let seal = sealing
        .seal(&signature, &terms, &form)
        .complete(&vec![7; 64 + choice % 448]);
    let set = sealing.set(&seal, &signature);
    let fields = set
        .split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']));
    assert_eq!(fields.filter(|line| !line.is_empty()).count(), 3, "{set}");
    assert!(!has_bare_line_end(set.as_bytes()), "{set}");
}

/// What is signed does not depend on how a body is cut, and is relaxed once and for all.
fn signatures(input: &[u8], choice: usize) {
    let end = header::header_section_end(input).unwrap_or(input.len());
    let (section, body) = input.split_at(end);
    let mut whole = BodyHasher::new();
    whole.update(body);
    let mut pieces = BodyHasher::new();
    body.chunks(choice + 1)
        .for_each(|piece| pieces.update(piece));
    let hash = whole.finish();
    assert_eq!(hash, pieces.finish());
    let relaxed = relaxed_body(body);
    assert_eq!(relaxed, relaxed_body(&relaxed));
    let domain = Domain::parse("contoso.test").expect("a domain");
    let terms = Terms {
        domain: &domain,
        selector: "s",
        algorithm: Algorithm::RsaSha256,
        time: Timestamp::from_millis(0),
    };
    let field = unsigned(section, &hash, &terms).complete(&[0; 256]);
    let lines = field.trim_end().split("\r\n");
    assert!(lines.skip(1).all(|line| line.starts_with(' ')), "{field}");
}

/// A greeting name of any kind makes no field of its own.
fn received(input: &[u8], choice: usize) {
    let to = mailbox("b@example.org");
    let field = header::Received {
        helo: &String::from_utf8_lossy(input),
        address: [192, 0, 2, 1].into(),
        hostname: "relay.test",
        protocol: "ESMTP",
        tls: None,
        queue_id: QueueId::new(Timestamp::from_millis(1_795_514_400_000), 0, 1),
        recipient: choice.is_multiple_of(2).then_some(&to),
        time: Timestamp::from_millis(1_795_514_400_000),
    };
    let mut octets = Vec::new();
    field.write_to(&mut octets);
    assert!(octets.starts_with(b"Received: ") && octets.ends_with(b"\r\n"));
    assert!(!has_bare_line_end(&octets), "a bare CR or LF in Received");
    let lines = octets[..octets.len() - 2].split(|octet| *octet == b'\n');
    for (number, line) in lines.enumerate() {
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(
            number == 0 || matches!(line.first(), Some(b' ' | b'\t')),
            "a second field"
        );
    }
    assert_eq!(header::read(&octets).received_count, 1);
}

fn replies(input: &[u8], choice: usize) {
    let protocol = if choice % 4 == 3 {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let mut session = ClientSession::new(ClientConfig {
        hostname: "relay.test".into(),
        protocol,
    });
    let (mut rest, mut begun) = (input, 0);
    for _ in 0..STEPS_PER_OCTET_MAX * (input.len() + 64) {
        match session.step() {
            ClientStep::Read(_) if rest.is_empty() => session.lost(),
            ClientStep::Read(_) => {
                let (piece, later) = rest.split_at(rest.len().min(1 + choice * 5));
                session.receive(piece);
                rest = later;
            }
            ClientStep::Ready if asks_for_tls(&session, choice) => session.start_tls(),
            ClientStep::Handshake => session.secured(),
            ClientStep::Ready if choice % 5 == 4 || begun == TRANSACTIONS_MAX => session.quit(),
            ClientStep::Ready => {
                begun += 1;
                session.begin(transaction());
            }
            ClientStep::Content => {
                session.write_content(b"Subject: x\r\n\r\n.dot\r\n");
                session.end_content();
            }
            ClientStep::Finished(result) => assert_eq!(result.recipients.len(), 2),
            ClientStep::Closed(_) => return,
        }
        session.output().clear();
    }
    panic!("the client session did not come to rest");
}

fn asks_for_tls(session: &ClientSession, choice: usize) -> bool {
    choice % 3 == 2 && !session.is_secure() && session.tls_refusal().is_none()
}

fn transaction() -> Transaction {
    let recipients = ["b@example.org", "c@example.org"];
    Transaction {
        envelope: Envelope {
            reverse_path: relais_smtp::address::ReversePath::Mailbox(mailbox("a@contoso.test")),
            parameters: SenderParameters::default(),
            recipients: recipients
                .map(|to| EnvelopeRecipient::new(mailbox(to)))
                .to_vec(),
        },
        size: 20,
        eight_bit: false,
        utf8_header: false,
    }
}

/// However long the lists of a client are, what is told of them is short and on one line.
fn hello(input: &[u8], _: usize) {
    if let Some(told) = relais_net::tls::describe_hello(input) {
        assert!(told.len() < 2_000, "{} octets", told.len());
        assert!(
            told.bytes()
                .all(|octet| octet == b' ' || octet.is_ascii_graphic())
        );
    }
}

fn dns(input: &[u8], _choice: usize) {
    let name = relais_smtp::domain::Domain::parse("a.test").expect("a domain name");
    // What is no DNS message is an error; only a panic is a fault here.
    let _read = relais_net::dns_answer::interpret_octets(&name, input);
}

fn settings(input: &[u8], choice: usize) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mode = if choice.is_multiple_of(2) {
        Mode::Lan
    } else {
        Mode::Hosted
    };
    let Ok(document) = Document::from_toml(text) else {
        return;
    };
    let written = document.to_toml();
    assert_eq!(
        Document::from_toml(&written),
        Ok(document.clone()),
        "export reads back"
    );
    if let Ok(settings) = Settings::build(mode, 1, document) {
        assert!(settings.document.organisation.len() < 2 || mode == Mode::Hosted);
    }
}

fn trace(input: &[u8], _choice: usize) {
    // What cannot be read is an error sentence; only a panic is a fault here.
    let _read = TraceQuery::parse(&String::from_utf8_lossy(input));
}
