//! A receiving host that lies when it is told to: it is slow, answers 4yz, 5yz and 421 where it
//! likes, sends half a reply or garbage, hangs, closes at any step, takes a message and says so
//! too late or never.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::Chance;
use relais_net::network::Network;
use relais_net::stream::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ledger::{Arrival, Heard, Ledger, NoticeArrival};
use super::plan::{Host, Offers};
use super::{letter, notice};

/// A host takes recipients on grey lists only this long after it first saw them.
const GREY_TIME: Duration = Duration::from_secs(20 * 60);
/// Slower than the relay waits for the answer to the end of data (RFC 5321 §4.5.3.2.6: 10 min).
const TOO_LATE: Duration = Duration::from_secs(11 * 60);
/// While it hangs, a host looks so often whether it may go on.
const HANG_STEP: Duration = Duration::from_secs(60);
/// A host hangs no longer than this.
const HANG_MAX: Duration = Duration::from_secs(3 * 3_600);
/// Lines of a flood that says nothing.
const FLOOD_LINES: usize = 400;
/// Octets read at once.
const READ_OCTETS: usize = 16 * 1_024;

/// Where in a session something happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Greeting,
    Hello,
    Sender,
    Recipient,
    Data,
    End,
    Quit,
}

const STEPS: [Step; 7] = [
    Step::Greeting,
    Step::Hello,
    Step::Sender,
    Step::Recipient,
    Step::Data,
    Step::End,
    Step::Quit,
];

/// What a session does wrong, once or throughout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lie {
    None,
    Slow(Duration),
    OctetAtATime,
    Close(Step),
    Closing421(Step),
    HalfReply(Step),
    Garbage(Step),
    Flood(Step),
    Hang(Step),
    Temporary(Step),
    Permanent(Step),
    /// Some recipients of each message get 4yz.
    TemporaryForSome,
    /// Takes the message and closes without a word.
    TakeAndClose,
    /// Takes the message and says so when nobody listens any more.
    TakeTooLate,
    /// Closes in the middle of content.
    CloseInContent,
}

/// How a host is at present: of 100 sessions, so many lie. Shared with the weather.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood(Arc<AtomicU64>);

impl Mood {
    pub(super) fn set(&self, percent: u64) {
        self.0.store(percent, Ordering::Relaxed);
    }

    fn is_calm(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn draw(&self, chance: &Chance) -> Lie {
        if chance.below(100) >= self.0.load(Ordering::Relaxed) {
            return Lie::None;
        }
        let index = usize::try_from(chance.below(STEPS.len() as u64)).unwrap_or(0);
        let step = STEPS[index];
        match chance.below(20) {
            0 | 1 => Lie::Slow(Duration::from_secs(1 + chance.below(240))),
            2 => Lie::OctetAtATime,
            3 | 4 => Lie::Close(step),
            5 | 6 => Lie::Closing421(step),
            7 => Lie::HalfReply(step),
            8 => Lie::Garbage(step),
            9 => Lie::Flood(step),
            10 => Lie::Hang(step),
            11 | 12 => Lie::Temporary(step),
            13 => Lie::Permanent(step),
            14 | 15 => Lie::TemporaryForSome,
            16 => Lie::TakeAndClose,
            17 => Lie::TakeTooLate,
            _ => Lie::CloseInContent,
        }
    }
}

/// A running host.
pub(super) struct Running {
    number: usize,
    host: Host,
    mood: Mood,
    ledger: Ledger,
    chance: Chance,
    grey: Grey,
}

/// When recipients on grey lists were first seen; all sessions of a host share it.
type Grey = Arc<Mutex<BTreeMap<String, Duration>>>;

/// The conversation is over.
struct Ended;

impl Running {
    /// Serves for ever.
    pub(super) async fn serve(
        network: Network,
        number: usize,
        host: Host,
        mood: Mood,
        ledger: Ledger,
        chance: Chance,
    ) {
        let any = if host.addresses[0].is_ipv4() && host.addresses.len() == 1 {
            SocketAddr::from(([0, 0, 0, 0], 25))
        } else {
            SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 25))
        };
        let listener = network
            .listen(any)
            .await
            .expect("port 25 of a simulated host is free");
        let grey = Grey::default();
        // A broken listener would be a fault of the simulation, seen as mail that never arrives.
        while let Ok(accepted) = listener.accept().await {
            let running = Self {
                number,
                host: host.clone(),
                mood: mood.clone(),
                ledger: ledger.clone(),
                chance: chance.split(),
                grey: Arc::clone(&grey),
            };
            tokio::spawn(running.converse(accepted.stream));
        }
    }

    async fn converse(self, stream: Stream) {
        let lie = self.mood.draw(&self.chance);
        if lie != Lie::None {
            self.ledger.note(
                0,
                format!("host {}: a session will lie: {lie:?}", self.number),
            );
        }
        let mut session = Session {
            lie,
            stream,
            unread: Vec::new(),
            unheard: None,
            transaction: Transaction::default(),
            recipients_since_greeting: 0,
            running: self,
        };
        // However it ended, the history has what matters.
        let _ended = session.run().await;
    }
}

#[derive(Default)]
struct Transaction {
    from: Option<String>,
    recipients: Vec<String>,
    content: Vec<u8>,
}

struct Session {
    running: Running,
    lie: Lie,
    stream: Stream,
    unread: Vec<u8>,
    /// An arrival whose answer the relay may not have read yet.
    unheard: Option<usize>,
    transaction: Transaction,
    recipients_since_greeting: u64,
}

impl Session {
    async fn run(&mut self) -> Result<(), Ended> {
        let greeting = format!("220 {} ESMTP", self.running.host.name);
        self.say(Step::Greeting, &greeting).await?;
        loop {
            let line = self.line().await?;
            self.command(&line).await?;
        }
    }

    async fn command(&mut self, line: &str) -> Result<(), Ended> {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" if self.running.host.offers.lmtp => {
                self.say_plainly("500 5.5.1 this is LMTP").await
            }
            "EHLO" if !self.running.host.offers.extended => {
                self.say(Step::Hello, "502 5.5.1 not here").await
            }
            "EHLO" | "LHLO" => {
                let reply = ehlo_reply(&self.running.host.name, &self.running.host.offers);
                self.say(Step::Hello, &reply).await
            }
            "HELO" => {
                self.say(Step::Hello, &format!("250 {}", self.running.host.name))
                    .await
            }
            "MAIL" => {
                self.transaction = Transaction {
                    from: address_in(line),
                    ..Transaction::default()
                };
                if self.says_no(Step::Sender).await? {
                    self.transaction = Transaction::default();
                    return Ok(());
                }
                self.say(Step::Sender, "250 2.1.0 ok").await
            }
            "RCPT" => self.recipient(line).await,
            "DATA" => self.data().await,
            "BDAT" => self.chunk(line).await,
            "RSET" => {
                self.transaction = Transaction::default();
                self.say_plainly("250 2.0.0 ok").await
            }
            "QUIT" => {
                self.say(Step::Quit, "221 2.0.0 bye").await?;
                Err(Ended)
            }
            "NOOP" => self.say_plainly("250 2.0.0 ok").await,
            _ => self.say_plainly("500 5.5.1 what").await,
        }
    }

    async fn recipient(&mut self, line: &str) -> Result<(), Ended> {
        let Some(address) = address_in(line).filter(|_| self.transaction.from.is_some()) else {
            return self.say_plainly("503 5.5.1 no").await;
        };
        if self.says_no(Step::Recipient).await? {
            return Ok(());
        }
        self.recipients_since_greeting += 1;
        let some = self.lie == Lie::TemporaryForSome && self.recipients_since_greeting % 2 == 1;
        if !address.is_ascii() && !self.running.host.offers.smtp_utf8 {
            // Nobody may ask this here; the ledger finds a failure without a cause.
            return self
                .say(Step::Recipient, "553 5.6.7 what letters are these")
                .await;
        }
        if address.contains("-unknown@") {
            let reply = format!("550 5.1.1 no such person: {address}");
            return self.refuse(Step::Recipient, &reply).await;
        }
        if some || self.is_grey(&address) {
            return self.say(Step::Recipient, "451 4.7.1 later, please").await;
        }
        if address.contains("-full@") && !self.running.mood.is_calm() {
            return self.say(Step::Recipient, "452 4.2.2 mailbox full").await;
        }
        if self.transaction.recipients.len() >= self.running.host.offers.recipients_max {
            return self.say(Step::Recipient, "452 4.5.3 too many").await;
        }
        self.transaction.recipients.push(address);
        self.say(Step::Recipient, "250 2.1.5 ok").await
    }

    fn is_grey(&self, address: &str) -> bool {
        if !address.contains("-grey@") {
            return false;
        }
        let now = self.running.ledger.now();
        let mut grey = self
            .running
            .grey
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let first = *grey.entry(address.to_owned()).or_insert(now);
        now < first + GREY_TIME
    }

    async fn data(&mut self) -> Result<(), Ended> {
        if self.transaction.recipients.is_empty() {
            return self.say_plainly("503 5.5.1 no recipients").await;
        }
        if self.says_no(Step::Data).await? {
            self.transaction = Transaction::default();
            return Ok(());
        }
        self.say(Step::Data, "354 go").await?;
        let content = self.content().await?;
        self.transaction.content = content;
        self.taken().await
    }

    /// Up to CRLF.CRLF, unstuffed.
    async fn content(&mut self) -> Result<Vec<u8>, Ended> {
        let mut content = Vec::new();
        loop {
            let line = self.line_octets().await?;
            if line == b".\r\n" {
                return Ok(content);
            }
            if self.lie == Lie::CloseInContent && content.len() > 200 {
                return Err(Ended);
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    async fn chunk(&mut self, line: &str) -> Result<(), Ended> {
        let mut words = line.split(' ').skip(1);
        let size: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let is_last = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        while self.unread.len() < size {
            self.read().await?;
        }
        let octets: Vec<u8> = self.unread.drain(..size).collect();
        if self.transaction.recipients.is_empty() {
            return self.say_plainly("503 5.5.1 no recipients").await;
        }
        if self.lie == Lie::CloseInContent {
            return Err(Ended);
        }
        self.transaction.content.extend_from_slice(&octets);
        if is_last {
            return self.taken().await;
        }
        self.say(Step::Data, "250 2.0.0 more").await
    }

    /// The end of data: the message is taken, unless the host says no.
    async fn taken(&mut self) -> Result<(), Ended> {
        let mut transaction = std::mem::take(&mut self.transaction);
        let answers = self.answers(&mut transaction);
        if transaction.recipients.is_empty() {
            return self.say(Step::End, &answers).await;
        }
        let vanishes = matches!(
            self.lie,
            Lie::Close(Step::End)
                | Lie::HalfReply(Step::End)
                | Lie::Garbage(Step::End)
                | Lie::Flood(Step::End)
        );
        // A host that goes away at this point has taken the message or not; both happen.
        if vanishes && self.running.chance.below(2) == 0 {
            return self.say(Step::End, &answers).await;
        }
        let place = self.arrive(transaction);
        match self.lie {
            Lie::TakeAndClose => return Err(Ended),
            Lie::TakeTooLate => tokio::time::sleep(TOO_LATE).await,
            _ => {}
        }
        let began = self.running.ledger.now();
        let said = self.say(Step::End, &answers).await;
        let in_time = self.running.ledger.now() - began < TOO_LATE && self.lie != Lie::TakeTooLate;
        if let (Some(place), Ok(()), true) = (place, &said, in_time && !vanishes) {
            self.running.ledger.heard(place, Heard::Perhaps);
            self.unheard = Some(place);
        }
        said
    }

    /// What is said at the end of data; whoever is refused is taken out of the recipients. By LMTP
    /// each has an answer of its own.
    fn answers(&self, transaction: &mut Transaction) -> String {
        let no = match self.lie {
            Lie::Temporary(Step::End) => Some("451 4.3.0 not now"),
            Lie::Permanent(Step::End) => Some("554 5.7.1 not at End"),
            _ => None,
        };
        let recipients = std::mem::take(&mut transaction.recipients);
        let mut answers = Vec::new();
        for (place, recipient) in recipients.into_iter().enumerate() {
            let busy = self.running.host.offers.lmtp
                && self.lie == Lie::TemporaryForSome
                && place % 2 == 0;
            match (no, busy) {
                (Some(no), _) => answers.push(no),
                (None, true) => answers.push("450 4.2.1 mailbox busy"),
                (None, false) => {
                    answers.push("250 2.0.0 taken");
                    transaction.recipients.push(recipient);
                }
            }
        }
        if self.lie == Lie::Permanent(Step::End) {
            self.running
                .ledger
                .pages()
                .refusals
                .insert("554 5.7.1 not at End".to_owned());
        }
        if !self.running.host.offers.lmtp {
            answers.truncate(1);
        }
        answers.join("\r\n")
    }

    fn arrive(&self, transaction: Transaction) -> Option<usize> {
        let Running {
            ledger,
            number: host,
            ..
        } = &self.running;
        if let Some(read) = notice::read(&transaction.content) {
            let to = transaction.recipients.join(" ");
            ledger.note(
                0,
                format!("host {host}: takes notice for {to}: {:?}", read.about),
            );
            for (address, action) in &read.about {
                let number = super::number_of_address(address).unwrap_or(0);
                ledger.note(
                    number,
                    format!("host {host}: notice to {to}: {address} {action}"),
                );
            }
            ledger.pages().notices.push(NoticeArrival {
                to,
                message_id: read.message_id,
                about: read.about,
            });
            return None;
        }
        let number = letter::number_of(&transaction.content).unwrap_or(0);
        let damage = match ledger.content(number) {
            Some(sent) => letter::damage(&transaction.content, &sent),
            None => Some("nobody sent this".to_owned()),
        };
        Some(ledger.arrives(Arrival {
            at: ledger.now(),
            answered: ledger.now(),
            host: *host,
            number,
            recipients: transaction.recipients,
            heard: Heard::No,
            honest: self.lie == Lie::None,
            damage,
        }))
    }

    /// Says 4yz or 5yz if that is the lie at this step; then `true`.
    async fn says_no(&mut self, step: Step) -> Result<bool, Ended> {
        if self.lie == Lie::Temporary(step) {
            self.say_plainly("451 4.3.0 not now").await?;
            return Ok(true);
        }
        if self.lie == Lie::Permanent(step) {
            let reply = format!("554 5.7.1 not at {step:?}");
            self.refuse(step, &reply).await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn refuse(&mut self, step: Step, reply: &str) -> Result<(), Ended> {
        self.running
            .ledger
            .pages()
            .refusals
            .insert(reply.to_owned());
        self.say(step, reply).await
    }

    /// Sends a reply, or whatever the lie makes of it.
    async fn say(&mut self, step: Step, reply: &str) -> Result<(), Ended> {
        match self.lie {
            Lie::Close(at) if at == step => return Err(Ended),
            Lie::Closing421(at) if at == step => {
                self.say_plainly("421 4.3.2 closing").await?;
                return Err(Ended);
            }
            Lie::HalfReply(at) if at == step => {
                // By LMTP each line of the last reply is a reply: a whole one would be no lie.
                let cut = match (step, reply.split_once('\r')) {
                    (Step::End, Some((first, _))) => first,
                    (_, _) => reply,
                };
                let half = &cut[..cut.len() / 2];
                self.send(half.as_bytes()).await?;
                return Err(Ended);
            }
            Lie::Garbage(at) if at == step => {
                return self.send(b"\x00\xff\x16\x03 what is this\r\n2x0\r\n").await;
            }
            Lie::Flood(at) if at == step => {
                for _ in 0..FLOOD_LINES {
                    self.send(b"250-and another thing that nobody needs to know about\r\n")
                        .await?;
                }
                return Err(Ended);
            }
            Lie::Hang(at) if at == step => self.hang().await,
            Lie::Slow(delay) => self.wait(delay).await,
            Lie::Temporary(at) if at == step && matches!(step, Step::Greeting | Step::Hello) => {
                return self.say_plainly("450 4.3.2 not now").await;
            }
            Lie::Permanent(at) if at == step && matches!(step, Step::Greeting | Step::Hello) => {
                self.running
                    .ledger
                    .pages()
                    .refusals
                    .insert("554 5.7.1 go away".to_owned());
                return self.say_plainly("554 5.7.1 go away").await;
            }
            _ => {}
        }
        self.say_plainly(reply).await
    }

    async fn hang(&self) {
        self.wait(HANG_MAX).await;
    }

    /// Waits, but not beyond the end of the storm.
    async fn wait(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && !self.running.mood.is_calm() {
            let step = left.min(HANG_STEP);
            tokio::time::sleep(step).await;
            left -= step;
        }
    }

    async fn say_plainly(&mut self, reply: &str) -> Result<(), Ended> {
        let octets = format!("{reply}\r\n").into_bytes();
        if self.lie == Lie::OctetAtATime {
            for octet in octets {
                self.send(&[octet]).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            return Ok(());
        }
        self.send(&octets).await
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), Ended> {
        self.stream.write_all(octets).await.map_err(|_| Ended)
    }

    async fn line(&mut self) -> Result<String, Ended> {
        let line = self.line_octets().await?;
        if let Some(place) = self.unheard.take() {
            // Whoever goes on has read the answer.
            self.running.ledger.heard(place, Heard::Surely);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn line_octets(&mut self) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                return Ok(self.unread.drain(..=end).collect());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Ended> {
        let mut buffer = vec![0; READ_OCTETS];
        match self.stream.read(&mut buffer).await {
            Ok(count) if count > 0 => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Ok(_) | Err(_) => Err(Ended),
        }
    }
}

fn ehlo_reply(name: &str, offers: &Offers) -> String {
    let mut lines = vec![name.to_owned(), "ENHANCEDSTATUSCODES".to_owned()];
    let mut add = |offered: bool, line: &str| {
        if offered {
            lines.push(line.to_owned());
        }
    };
    add(offers.pipelining, "PIPELINING");
    add(offers.chunking, "CHUNKING");
    add(offers.eight_bit, "8BITMIME");
    add(offers.dsn, "DSN");
    add(offers.smtp_utf8, "SMTPUTF8");
    if let Some(size) = offers.size {
        add(true, &format!("SIZE {size}"));
    }
    let last = lines.pop().unwrap_or_default();
    let mut reply: String = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
    reply.push_str(&format!("250 {last}"));
    reply
}

/// What stands between the brackets.
fn address_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    Some(rest.split('>').next()?.to_owned())
}
