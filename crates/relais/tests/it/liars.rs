//! Next hops that lie, with the real binary: each step of the conversation answered late, half,
//! twice, in pieces, with what is no reply or with hostile text, or not at all; until they come to
//! their senses. No message is lost, none is taken twice, and their words do no harm.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Server};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    /// It closes without a word.
    Close,
    /// It says what it should, and closes.
    SayAndClose,
    /// It closes in the middle of its reply.
    Half,
    /// A reply of many lines has no end; then it closes.
    Unended,
    /// It says the same twice at once.
    Twice,
    /// Octet by octet.
    Pieces,
    /// After a while.
    Late,
    /// No reply at all.
    Babble,
    /// A temporary refusal whose words are made to harm whoever shows them.
    Hostile,
    /// A megabyte of reply.
    Flood,
}

const LIES: [Lie; 10] = [
    Lie::Close,
    Lie::SayAndClose,
    Lie::Half,
    Lie::Unended,
    Lie::Twice,
    Lie::Pieces,
    Lie::Late,
    Lie::Babble,
    Lie::Hostile,
    Lie::Flood,
];

const STEPS: [&str; 7] = [
    "greeting", "ehlo", "mail", "rcpt", "data", "content", "quit",
];

/// Escapes of a terminal, a bell, a null, a mark that turns the direction of text, markup, octets
/// that are no UTF-8, and an address that looks like ours.
const HOSTILE: &[u8] =
    b"451-4.3.0 first \x1b[2J\x1b]0;title\x07\r\n451-4.3.0 <script>alert(1)</script>\0\r\n\
    451 4.3.0 \xe2\x80\xae \xff\xfe 250 2.0.0 ok\r\n";

/// A server for one lie.
struct Liar {
    address: SocketAddr,
    /// How often it kept the message: content that it said 250 to, in full.
    kept: Arc<Mutex<usize>>,
}

impl Liar {
    fn start(step: &'static str, lie: Lie, reformed: &Arc<AtomicBool>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::new(Mutex::new(0));
        let (own, reformed) = (Arc::clone(&kept), Arc::clone(reformed));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let conversation = Conversation {
                    step,
                    lie,
                    reformed: Arc::clone(&reformed),
                    kept: Arc::clone(&own),
                };
                // The end of a connection, however it comes, is part of the game.
                thread::spawn(move || conversation.hold(stream));
            }
        });
        Self { address, kept }
    }
}

struct Conversation {
    step: &'static str,
    lie: Lie,
    reformed: Arc<AtomicBool>,
    kept: Arc<Mutex<usize>>,
}

impl Conversation {
    fn hold(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut to = stream.try_clone()?;
        let mut from = BufReader::new(stream);
        self.reply(&mut to, "greeting", "220 mx.liar.test ESMTP\r\n")?;
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_lowercase();
            match verb.as_str() {
                "ehlo" => self.reply(&mut to, "ehlo", "250-mx.liar.test\r\n250 8BITMIME\r\n")?,
                "mail" => self.reply(&mut to, "mail", "250 2.1.0 ok\r\n")?,
                "rcpt" => self.reply(&mut to, "rcpt", "250 2.1.5 ok\r\n")?,
                "data" => {
                    self.reply(&mut to, "data", "354 go\r\n")?;
                    if self.lie == Lie::Hostile && !self.is_honest("data") {
                        // It said no: no content follows.
                        continue;
                    }
                    // Content may follow a lie too.
                    let mut line = Vec::new();
                    while line != b".\r\n" {
                        line.clear();
                        if from.read_until(b'\n', &mut line)? == 0 {
                            return Ok(());
                        }
                    }
                    // Counted before it is said: the relay may settle sooner than we look.
                    let honest = self.is_honest("content");
                    let says_it = |lie| {
                        use Lie::{Late, Pieces, SayAndClose, Twice};
                        matches!(lie, Late | Pieces | SayAndClose | Twice)
                    };
                    if honest || says_it(self.lie) {
                        *self.kept.lock().expect("no panic") += 1;
                    }
                    self.reply(&mut to, "content", "250 2.0.0 taken\r\n")?;
                }
                "quit" => return self.reply(&mut to, "quit", "221 2.0.0 bye\r\n"),
                _ => to.write_all(b"250 2.0.0 ok\r\n")?,
            }
        }
    }

    fn is_honest(&self, step: &str) -> bool {
        step != self.step || self.reformed.load(Ordering::SeqCst)
    }

    fn reply(&self, to: &mut TcpStream, step: &str, usual: &str) -> io::Result<()> {
        if self.is_honest(step) {
            return to.write_all(usual.as_bytes());
        }
        let gone = || Err(io::ErrorKind::ConnectionAborted.into());
        match self.lie {
            Lie::Close => gone(),
            Lie::SayAndClose => {
                to.write_all(usual.as_bytes())?;
                gone()
            }
            Lie::Half => {
                to.write_all(&usual.as_bytes()[..2])?;
                gone()
            }
            Lie::Unended => {
                let (code, _) = usual.split_at(3);
                to.write_all(format!("{code}-and\r\n{code}-so on\r\n").as_bytes())?;
                gone()
            }
            Lie::Twice => to.write_all(usual.repeat(2).as_bytes()),
            Lie::Pieces => {
                for octet in usual.bytes() {
                    to.write_all(&[octet])?;
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
            Lie::Late => {
                thread::sleep(Duration::from_millis(300));
                to.write_all(usual.as_bytes())
            }
            Lie::Babble => to.write_all(b"hello there, how are you\r\n"),
            Lie::Hostile => to.write_all(HOSTILE),
            Lie::Flood => {
                for _ in 0..16_384 {
                    to.write_all(
                        b"250-and so on, and so on, and so on, and so on, and so on, and\r\n",
                    )?;
                }
                to.write_all(b"451 4.3.0 the end\r\n")
            }
        }
    }
}

/// A connector for each liar, by the domain of its recipient.
fn settings(liars: &HashMap<String, Liar>) -> String {
    let mut text = String::from(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Devices\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\n",
    );
    for (domain, liar) in liars {
        text += &format!(
            "[[organisation.outbound_connector]]\nname = \"{domain}\"\n\
             recipient_domains = [\"{domain}\"]\nsmart_hosts = [\"{}\"]\n",
            liar.address
        );
    }
    text
}

/// Nothing in it that a terminal or a page would obey.
#[track_caller]
fn expect_harmless(shown: &str) {
    let harmful = |one: char| one.is_control() && one != '\n';
    let turns = |one: char| ('\u{202a}'..='\u{202e}').contains(&one);
    let found = shown.chars().find(|one| harmful(*one) || turns(*one));
    assert_eq!(found, None, "{shown:?}");
}

#[test]
fn whatever_a_next_hop_says_each_message_is_kept_once_and_its_words_harm_nobody() {
    let reformed = Arc::new(AtomicBool::new(false));
    let mut liars = HashMap::new();
    for step in STEPS {
        for lie in LIES {
            let domain = format!("{step}-{}.test", format!("{lie:?}").to_ascii_lowercase());
            liars.insert(domain, Liar::start(step, lie, &reformed));
        }
    }
    let server = Server::with_settings(&settings(&liars));
    for domain in liars.keys() {
        server.send("scan@contoso.test", &format!("anna@{domain}"));
    }
    // Each was tried, and some have been taken in spite of the lie.
    let tried = |domain: &str| {
        let to = format!("\"to\":\"anna@{domain}\"");
        let settled = |line: &str| {
            line.contains(&to) && (line.contains("recipient.de") || line.contains("recipient.fa"))
        };
        server
            .log
            .wait_for(&format!("an outcome of {domain}"), settled);
    };
    liars.keys().for_each(|domain| tried(domain));
    for shown in [
        server.relais(&["queue", "list"]).expect(0).out,
        server.relais(&["trace"]).expect(0).out,
        server.relais(&["--json", "trace"]).expect(0).out,
        server.relais(&["--json", "queue", "list"]).expect(0).out,
        server.log.so_far().join("\n"),
    ] {
        expect_harmless(&shown);
    }

    reformed.store(true, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    let is_empty = || {
        let status = server.relais(&["--json", "status"]).expect(0).json();
        ["queued", "deferred", "held"]
            .iter()
            .all(|count| status[count] == 0)
    };
    while !is_empty() {
        assert!(
            Instant::now() < until,
            "{}",
            server.relais(&["queue", "list"]).out
        );
        server.relais(&["queue", "retry", "--all", "--yes"]);
        thread::sleep(Duration::from_millis(200));
    }
    for (domain, liar) in &liars {
        let events = server
            .relais(&["--json", "trace", &format!("to:anna@{domain}")])
            .expect(0)
            .json_lines();
        let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
        assert_eq!(
            *liar.kept.lock().expect("no panic"),
            1,
            "{domain}: {events:?}"
        );
        assert_eq!(of("recipient.delivered"), 1, "{domain}: {events:?}");
        assert_eq!(
            of("recipient.failed") + of("recipient.expired"),
            0,
            "{domain}"
        );
    }
}
