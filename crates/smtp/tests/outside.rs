//! Published test vectors of others. They stay outside of the repository: where their folder is
//! missing, these tests say so and pass. `RELAIS_TESTDATA` names the folder if it lies elsewhere.

use std::path::{Path, PathBuf};

use relais_smtp::address::Mailbox;
use relais_smtp::content::{Decoded, Decoder, Preset};
use relais_smtp::header::{change, header_section_end, read};
use relais_smtp::refusal::Refusal;
use relais_smtp::returned::{Form, Said};
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};

fn testdata(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let folder = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no test vectors at {name} (RELAIS_TESTDATA names their folder)");
        return None;
    }
    Some(path)
}

/// Addresses that RFC 5321 would let pass, or not, otherwise than we do, each with the reason.
const EXPECTED_EXCEPTIONS: &[(&str, &str)] = &[
    (
        "\"\"@iana.org",
        "the grammar allows an empty local part; no mailbox has one",
    ),
    (
        "12345678901234567890123456789012345678901234567890123456789012345@iana.org",
        LONG_LOCAL,
    ),
    ("gatsby@f.sc.ot.t.f.i.tzg.era.l.d.", FINAL_DOT),
    ("test@example.", FINAL_DOT),
    ("a@bar.com.", FINAL_DOT),
];
const LONG_LOCAL: &str =
    "64 octets are what everybody must take (RFC 5321 §4.5.3.1.1), not what nobody may exceed";
const FINAL_DOT: &str = "a final dot names the same domain, and is dropped";

#[test]
fn addresses_are_judged_as_the_isemail_suite_does() {
    let Some(path) = testdata("address/isemail-tests-original.xml") else {
        return;
    };
    let text = std::fs::read_to_string(path).expect("the suite can be read");
    let mut wrong = Vec::new();
    let mut count = 0;
    for test in text.split("<test id=").skip(1) {
        let element = |name: &str| {
            let (_, rest) = test.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>"))
                .map(|(inner, _)| inner)
        };
        let address = unescape(element("address").unwrap_or_default());
        let category = element("category").expect("each test has a category");
        // Comments, folding and obsolete forms are for headers (RFC 5322), not for the envelope.
        let expected = matches!(
            category,
            "ISEMAIL_VALID_CATEGORY" | "ISEMAIL_DNSWARN" | "ISEMAIL_RFC5321"
        );
        let exception = EXPECTED_EXCEPTIONS
            .iter()
            .any(|(except, _)| *except == address);
        count += 1;
        if Mailbox::parse(&address).is_ok() != (expected != exception) {
            wrong.push(format!("{address:?} {category} {:?}", element("diagnosis")));
        }
    }
    assert!(count > 200, "{count} tests");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Entities, and the pictures of control characters that the suite uses for them.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('&') {
        out.push_str(plain);
        let (entity, behind) = behind.split_once(';').expect("an entity ends");
        rest = behind;
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            code => {
                let code = code.strip_prefix("#x").expect("a character in hexadecimal");
                let code = u32::from_str_radix(code, 16).expect("a character in hexadecimal");
                let control = (0x2400..0x2420).contains(&code).then(|| code - 0x2400);
                char::from_u32(control.unwrap_or(code)).expect("a character")
            }
        });
    }
    out + rest
}

/// What stands in for a hidden second message behind a fake end of data.
const HIDDEN: &[u8] =
    b"MAIL FROM:<evil@contoso.test>\r\nRCPT TO:<anna@fabrikam.example>\r\nDATA\r\nevil\r\n";

#[test]
fn no_smuggling_vector_ends_content_or_is_passed_on_as_an_end() {
    let Some(path) = testdata("smuggling/smtpsmug.json") else {
        return;
    };
    let text = std::fs::read_to_string(path).expect("the vectors can be read");
    let vectors: serde_json::Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let vectors = vectors.as_array().expect("a list of vectors");
    assert!(vectors.len() >= 10, "{} vectors", vectors.len());
    for vector in vectors {
        let id = vector["id"].as_str().expect("an id");
        assert_eq!(vector["expect"], "not-end-of-data", "{id}");
        let fake = hex(vector["hex"].as_str().expect("octets in hexadecimal"));
        for preset in [Preset::Strict, Preset::Tolerant] {
            let content = [b"Subject: x\r\n\r\nfirst", &*fake, HIDDEN].concat();
            let data = [&*content, b"\r\n.\r\n"].concat();
            assert_eq!(
                outcome_of_data(preset, &data),
                Err(Refusal::Smuggling),
                "{id} DATA"
            );
            assert_eq!(
                outcome_of_chunk(preset, &content),
                Err(Refusal::Smuggling),
                "{id} BDAT"
            );
            assert_eq!(
                transactions(preset, &data, Framing::Data),
                (1, 0),
                "{id} DATA"
            );
            assert_eq!(
                transactions(preset, &content, Framing::Chunk),
                (1, 0),
                "{id} BDAT"
            );
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("two digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn outcome_of_data(preset: Preset, data: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut decoder = Decoder::data(preset, 1_000_000);
    let mut out = Vec::new();
    match decoder.decode(data, &mut out).1 {
        Decoded::Smuggling => Err(Refusal::Smuggling),
        _ => decoder.outcome().map(|_| out),
    }
}

fn outcome_of_chunk(preset: Preset, content: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut decoder = Decoder::chunks(preset, 1_000_000);
    let mut out = Vec::new();
    match decoder.decode(content, &mut out).1 {
        Decoded::Smuggling => Err(Refusal::Smuggling),
        _ => decoder.outcome().map(|_| out),
    }
}

#[derive(Clone, Copy)]
enum Framing {
    Data,
    Chunk,
}

/// Senders asked for and messages accepted in a session with this content, octet by octet.
fn transactions(preset: Preset, content: &[u8], framing: Framing) -> (usize, usize) {
    let mut input =
        b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n".to_vec();
    match framing {
        Framing::Data => input.extend_from_slice(b"DATA\r\n"),
        Framing::Chunk => {
            input.extend_from_slice(format!("BDAT {} LAST\r\n", content.len()).as_bytes())
        }
    }
    input.extend_from_slice(content);
    let mut session = ServerSession::new(ServerConfig {
        hostname: "relay.contoso.test".into(),
        size_octets_max: 1_000_000,
        preset,
        recipients_max: 100,
        errors_max: 20,
        junk_commands_max: 100,
        starttls: false,
        tls: false,
        auth: AuthOffer::None,
        require_tls: false,
    });
    let (mut unread, mut content) = (Vec::new(), Vec::new());
    let (mut senders, mut messages) = (0, 0);
    let reference = "7F3K2".parse().expect("a reference");
    for octet in input {
        unread.push(octet);
        loop {
            let (used, step) = session.advance(&unread, &mut content);
            unread.drain(..used);
            match step {
                Step::Read(_) => break,
                Step::Close | Step::StartTls => return (senders, messages),
                Step::Content => {}
                Step::Refused { refusal, .. } => session.refuse(refusal.reply(reference)),
                Step::EndOfContent(_) => {
                    messages += 1;
                    session.finish_content(Refusal::Local.reply(reference));
                }
                Step::Ask(question @ (Question::Verifier { .. } | Question::Authenticate(_))) => {
                    panic!("{question:?}")
                }
                Step::Ask(Question::Hello { .. } | Question::Content | Question::StartTls) => {
                    session.answer(Answer::Accept)
                }
                Step::Ask(Question::Sender { .. }) => {
                    senders += 1;
                    session.answer(Answer::Sender {
                        size_octets_max: 1_000_000,
                        preset,
                    });
                }
                Step::Ask(Question::Recipient {
                    forward_path,
                    notify,
                    original,
                }) => {
                    let relais_smtp::address::ForwardPath::Mailbox(forward_path) = forward_path
                    else {
                        panic!("a mailbox was given")
                    };
                    let recipient = relais_smtp::envelope::EnvelopeRecipient {
                        forward_path,
                        notify,
                        original,
                        is_copy: false,
                    };
                    session.answer(Answer::Recipient(recipient));
                }
            }
        }
    }
    (senders, messages)
}

#[test]
fn messages_of_other_mail_libraries_are_read_without_harm() {
    let Some(folder) = testdata("mime") else {
        return;
    };
    let mut count = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of samples") {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let octets = std::fs::read(&path).expect("a sample can be read");
            let octets = with_crlf(&octets);
            let end = header_section_end(&octets).unwrap_or(octets.len());
            let summary = read(&octets[..end]);
            assert!(summary.received_count < 100, "{}", path.display());
            assert!(
                summary
                    .subject
                    .is_none_or(|subject| !subject.contains(char::is_control))
            );
            assert!(
                end == 0 || change(&octets[..end], &[]) == octets[..end],
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 10, "{count} samples");
}

fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(bare.strip_suffix(b"\r").unwrap_or(bare));
        if line.len() != bare.len() {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// RFC 5965 and RFC 6591, as others read them.
#[test]
fn feedback_reports_are_read() {
    let Some(folder) = testdata("arf/mail-auth") else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|kind| kind != "eml") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let json = std::fs::read(path.with_extension("json")).expect("what others read");
        let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        let returned = relais_smtp::returned::read(text.as_bytes());
        assert_eq!(returned.form, Form::FeedbackReport, "{path:?}");
        let is_complaint = json["feedback_type"] != "AuthFailure";
        assert_eq!(returned.said == Said::Complaint, is_complaint, "{path:?}");
        assert_eq!(
            returned.reporter.as_deref(),
            json["user_agent"].as_str(),
            "{path:?}"
        );
        let named = json["original_rcpt_to"]
            .as_str()
            .and_then(|to| Mailbox::parse(to.trim_matches(['<', '>'])).ok());
        let read = returned
            .recipients
            .first()
            .and_then(|one| one.address.clone());
        assert_eq!(read, named, "{path:?}");
        seen += 1;
    }
    assert_eq!(seen, 5);
}
