//! What the server's side of the machine costs: command lines, content, a whole session in memory.
//!
//! `cargo bench -p relais-smtp --bench server`.

use divan::Bencher;
use divan::counter::BytesCount;

use relais_smtp::address::ForwardPath;
use relais_smtp::command::parse;
use relais_smtp::content::{Decoder, DotStuffer, Preset};
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::header::{header_section_end, read};
use relais_smtp::identifier::QueueId;
use relais_smtp::reply::Reply;
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};
use relais_smtp::time::Timestamp;

fn main() {
    divan::main();
}

const LINES: [&str; 4] = [
    "EHLO app.contoso.test",
    "MAIL FROM:<erp@contoso.test> SIZE=4096 BODY=8BITMIME",
    "RCPT TO:<anna@fabrikam.example>",
    "RCPT TO:<anna@fabrikam.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;anna@fabrikam.example",
];

#[divan::bench(args = LINES)]
fn command_line(line: &str) -> bool {
    parse(divan::black_box(line.as_bytes()), Preset::Strict).is_ok()
}

/// Content of `size` octets in lines of 76, as of an attachment, with its end of data.
fn data(size: usize) -> Vec<u8> {
    let mut data = b"From: erp@contoso.test\r\nTo: anna@fabrikam.example\r\nSubject: Bill\r\n\
        Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@contoso.test>\r\n\r\n"
        .to_vec();
    while data.len() + 78 < size {
        data.extend_from_slice(&[b'x'; 76]);
        data.extend_from_slice(b"\r\n");
    }
    data.extend_from_slice(b".\r\n");
    data
}

#[divan::bench(args = [4 * 1_024, 1_024 * 1_024])]
fn decode(bencher: Bencher<'_, '_>, size: usize) {
    let data = data(size);
    let mut out = Vec::with_capacity(size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        out.clear();
        let mut decoder = Decoder::data(Preset::Strict, u64::MAX);
        for piece in data.chunks(64 * 1_024) {
            decoder.decode(divan::black_box(piece), &mut out);
        }
        decoder.outcome().is_ok()
    });
}

#[divan::bench(args = [4 * 1_024, 1_024 * 1_024])]
fn stuff(bencher: Bencher<'_, '_>, size: usize) {
    let data = data(size);
    let mut out = Vec::with_capacity(2 * size);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        out.clear();
        let mut stuffer = DotStuffer::new();
        for piece in data.chunks(64 * 1_024) {
            stuffer.write(divan::black_box(piece), &mut out);
        }
        stuffer.finish(&mut out);
    });
}

#[divan::bench]
fn header() -> usize {
    let data = divan::black_box(data(512));
    let end = header_section_end(&data).expect("there is an end");
    read(&data[..end]).received_count
}

/// From the greeting to QUIT with one message, in segments as a client sends them.
#[divan::bench(args = [4 * 1_024, 1_024 * 1_024])]
fn session(bencher: Bencher<'_, '_>, size: usize) {
    let data = data(size);
    let mut content = Vec::with_capacity(size);
    bencher.bench_local(|| {
        let mut session = ServerSession::new(config());
        play(&mut session, b"", &mut content);
        play(&mut session, b"EHLO app.contoso.test\r\n", &mut content);
        transaction(&mut session, &data, &mut content);
        play(&mut session, b"QUIT\r\n", &mut content);
    });
}

/// One more message in a session that is open.
#[divan::bench]
fn transaction_of_4_kib(bencher: Bencher<'_, '_>) {
    let data = data(4 * 1_024);
    let mut content = Vec::with_capacity(4 * 1_024);
    let mut session = ServerSession::new(config());
    play(&mut session, b"EHLO app.contoso.test\r\n", &mut content);
    bencher.bench_local(|| transaction(&mut session, &data, &mut content));
}

fn transaction(session: &mut ServerSession, data: &[u8], content: &mut Vec<u8>) {
    play(
        session,
        b"MAIL FROM:<erp@contoso.test> SIZE=4096\r\nRCPT TO:<anna@fabrikam.example>\r\nDATA\r\n",
        content,
    );
    for piece in data.chunks(64 * 1_024) {
        play(session, piece, content);
    }
}

fn config() -> ServerConfig {
    ServerConfig {
        hostname: "relay.contoso.test".into(),
        size_octets_max: 50 * 1_024 * 1_024,
        preset: Preset::Strict,
        recipients_max: 1_000,
        errors_max: 20,
        junk_commands_max: 100,
        starttls: false,
        tls: false,
        auth: AuthOffer::None,
        require_tls: false,
    }
}

/// A driver that agrees to everything and stores nothing.
fn play(session: &mut ServerSession, input: &[u8], content: &mut Vec<u8>) {
    let mut unread = divan::black_box(input);
    loop {
        let (used, step) = session.advance(unread, content);
        unread = &unread[used..];
        match step {
            Step::Read(_) | Step::Close => break,
            Step::Content => {}
            Step::Refused { refusal, .. } => panic!("{refusal:?}"),
            Step::EndOfContent(_) => {
                content.clear();
                let id = QueueId::new(Timestamp::from_millis(1_795_514_400_123), 1, 1);
                session.finish_content(Reply::accepted(id));
            }
            Step::Ask(question @ (Question::Verifier { .. } | Question::Authenticate(_))) => {
                panic!("{question:?}")
            }
            Step::Ask(Question::Hello { .. } | Question::Content | Question::StartTls) => {
                session.answer(Answer::Accept)
            }
            Step::StartTls => panic!("it was not offered"),
            Step::Ask(Question::Sender { .. }) => {
                let size_octets_max = 50 * 1_024 * 1_024;
                session.answer(Answer::Sender {
                    size_octets_max,
                    preset: Preset::Strict,
                });
            }
            Step::Ask(Question::Recipient {
                forward_path,
                notify,
                original,
            }) => {
                let ForwardPath::Mailbox(forward_path) = forward_path else {
                    panic!("a mailbox was given")
                };
                let recipient = EnvelopeRecipient {
                    forward_path,
                    notify,
                    original,
                    is_copy: false,
                };
                session.answer(Answer::Recipient(recipient));
            }
        }
    }
    divan::black_box(session.output()).clear();
}
