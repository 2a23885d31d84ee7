//! The driver: `smtp::client` ↔ octets, with the time-outs of RFC 5321 §4.5.3.2.
//!
//! Every wait has a deadline that belongs to the request, not to the read: a peer that sends one
//! octet at a time gains nothing. A transaction is bounded in all, too.

use std::time::Duration;

use futures_util::FutureExt;
use relais_net::clock::{Clock, Moment};
use relais_smtp::client::{
    ClientConfig, ClientSession, ClientStep, Closed, Extensions, Stage, Transaction,
    TransactionResult,
};
use relais_smtp::dsn::Cause;
use relais_smtp::reply::Reply;
use relais_store::queue::{Content, StoreError};
use relais_store::store::Store;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Greeting, EHLO, MAIL and RCPT: 5 minutes each. RFC 5321 §4.5.3.2.1–3.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For each recipient after the first: their replies may come one by one, ours is one wait.
const RECIPIENT_TIMEOUT_MORE: Duration = Duration::from_secs(10);
/// DATA. RFC 5321 §4.5.3.2.4.
const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// Each block of content. RFC 5321 §4.5.3.2.5.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// The reply to the end of content. RFC 5321 §4.5.3.2.6.
const END_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The reply to QUIT; we owe nobody more.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// After a write failed: what the peer said before it closed is read, but not waited for.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// A transaction in all, without its content.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// A line this slow (4 KiB/s) still gets its time: 50 MiB in three and a half hours.
const CONTENT_OCTETS_PER_SECOND_MIN: u64 = 4 * 1_024;
/// One read takes this much: replies to a whole pipelined group.
const READ_OCTETS_MAX: usize = 4 * 1_024;
/// Capacity that an output buffer keeps between messages.
const OUTPUT_OCTETS_KEPT_MAX: usize = 128 * 1_024;

/// What ended a conversation, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Trouble {
    TimedOut(Stage),
    Closed,
    Io(std::io::ErrorKind),
    /// Our own store could not give the content.
    Content(String),
}

/// A session with a next hop, over any stream of octets.
pub(crate) struct Session<S> {
    stream: S,
    client: ClientSession,
    clock: Clock,
    buffer: Box<[u8]>,
    sending: Vec<u8>,
    trouble: Option<Trouble>,
    closed: Option<Closed>,
    transactions: u32,
    /// The stage that we wait at, and until when.
    wait: Option<(Stage, Moment)>,
    /// A step that was asked for too early: results are handed out only once.
    stashed: Option<ClientStep>,
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Greeting and EHLO; `Err` is the reason why the session cannot be used.
    pub(crate) async fn open(
        stream: S,
        config: ClientConfig,
        clock: Clock,
    ) -> Result<Self, Unused> {
        let mut session = Self {
            stream,
            client: ClientSession::new(config),
            clock,
            buffer: vec![0; READ_OCTETS_MAX].into_boxed_slice(),
            sending: Vec::new(),
            trouble: None,
            closed: None,
            transactions: 0,
            wait: None,
            stashed: None,
        };
        let end = session.clock.moment() + COMMAND_TIMEOUT * 3;
        loop {
            match session.client.step() {
                ClientStep::Read(stage) => session.exchange(stage, 1, end).await,
                ClientStep::Ready => return Ok(session),
                ClientStep::Closed(why) => {
                    session.closed = Some(why);
                    return Err(session.unused());
                }
                // Nothing was begun.
                ClientStep::Content | ClientStep::Finished(_) => session.client.lost(),
            }
        }
    }

    /// What the next hop offers.
    pub(crate) fn extensions(&self) -> &Extensions {
        self.client.extensions()
    }

    /// Transactions so far.
    pub(crate) fn transactions(&self) -> u32 {
        self.transactions
    }

    /// Whether no other transaction may begin.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// What broke the conversation, in words that go behind "broke off:"; `None` while it stands.
    pub(crate) fn trouble(&self) -> Option<String> {
        let closed = self.closed.as_ref();
        if let Some(trouble) = &self.trouble {
            return Some(trouble.words());
        }
        closed.map(|closed| match closed {
            Closed::Protocol { stage } => {
                format!("what it said is no reply to {}", name(*stage))
            }
            Closed::Refused { reply, .. } => format!("it said {reply}"),
            Closed::Lost { .. } | Closed::Quit => "it was closed".to_owned(),
        })
    }

    /// Whether our own store was the trouble.
    pub(crate) fn content_failed(&self) -> bool {
        matches!(self.trouble, Some(Trouble::Content(_)))
    }

    /// One transaction. Ends in bounded time whatever the peer does.
    pub(crate) async fn transact(
        &mut self,
        transaction: Transaction,
        content: &Content,
        store: &Store,
    ) -> TransactionResult {
        let recipients = transaction.envelope.recipients.len();
        let content_time = Duration::from_secs(transaction.size / CONTENT_OCTETS_PER_SECOND_MIN);
        let end = self.clock.moment() + TRANSACTION_TIMEOUT + content_time;
        self.transactions = self.transactions.saturating_add(1);
        self.wait = None;
        self.client.begin(transaction);
        loop {
            match self.step() {
                ClientStep::Read(stage) => self.exchange(stage, recipients, end).await,
                ClientStep::Content => self.send_content(content, store, end).await,
                ClientStep::Finished(result) => {
                    if let ClientStep::Closed(why) = self.client.step() {
                        self.closed = Some(why);
                    }
                    return result;
                }
                // `begin` always ends in a result; a machine that says otherwise has sent nothing.
                ClientStep::Ready => {
                    return TransactionResult {
                        recipients: Vec::new(),
                    };
                }
                ClientStep::Closed(why) => {
                    self.closed = Some(why);
                    return TransactionResult {
                        recipients: Vec::new(),
                    };
                }
            }
        }
    }

    /// Says QUIT and closes.
    pub(crate) async fn quit(mut self) {
        if self.is_closed() {
            return;
        }
        self.client.quit();
        let end = self.clock.moment() + QUIT_TIMEOUT;
        while let ClientStep::Read(stage) = self.client.step() {
            self.exchange(stage, 1, end).await;
        }
    }

    /// Sends what waits and reads once, before the deadline of the stage.
    async fn exchange(&mut self, stage: Stage, recipients: usize, end: Moment) {
        let fresh = self.wait.is_none_or(|(at, _)| at != stage) || !self.client.output().is_empty();
        if fresh {
            let until = self.clock.moment() + timeout(stage, recipients);
            self.wait = Some((stage, until.min(end)));
        }
        let until = self.wait.map_or(end, |(_, until)| until);
        if !self.flush(stage, until).await {
            return;
        }
        match self
            .clock
            .within(until, self.stream.read(&mut self.buffer))
            .await
        {
            Ok(Ok(0)) => self.lose(Trouble::Closed),
            Ok(Ok(count)) => self.client.receive(&self.buffer[..count]),
            Ok(Err(error)) => self.lose(Trouble::Io(error.kind())),
            Err(_) => self.lose(Trouble::TimedOut(stage)),
        }
    }

    /// Sends what waits; `false` if the connection broke.
    async fn flush(&mut self, stage: Stage, until: Moment) -> bool {
        if self.client.output().is_empty() {
            return true;
        }
        std::mem::swap(&mut self.sending, self.client.output());
        let written = self
            .clock
            .within(until, self.stream.write_all(&self.sending))
            .await;
        self.sending.clear();
        if self.sending.capacity() > OUTPUT_OCTETS_KEPT_MAX {
            self.sending = Vec::new();
        }
        match written {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => {
                self.hear_last_words().await;
                self.lose(Trouble::Io(error.kind()));
            }
            Err(_) => self.lose(Trouble::TimedOut(stage)),
        }
        false
    }

    /// A server that closes early has often said why before.
    async fn hear_last_words(&mut self) {
        let until = self.clock.moment() + LAST_WORDS_TIMEOUT;
        let read = self
            .clock
            .within(until, self.stream.read(&mut self.buffer))
            .await;
        if let Ok(Ok(count)) = read {
            self.client.receive(&self.buffer[..count]);
        }
    }

    fn lose(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
        self.client.lost();
    }

    async fn send_content(&mut self, content: &Content, store: &Store, end: Moment) {
        self.wait = None;
        match content {
            Content::Inline(octets) => {
                self.client.write_content(octets);
                self.client.end_content();
            }
            Content::Spooled(_) => {
                if let Err(error) = self.stream_content(content, store, end).await {
                    self.lose(Trouble::Content(error.to_string()));
                }
            }
        }
    }

    async fn stream_content(
        &mut self,
        content: &Content,
        store: &Store,
        end: Moment,
    ) -> Result<(), StoreError> {
        let mut reader = store.content_reader(content).await?;
        loop {
            let piece = reader.next().await?;
            if piece.is_empty() {
                self.client.end_content();
                return Ok(());
            }
            self.client.write_content(&piece);
            let until = (self.clock.moment() + BLOCK_TIMEOUT).min(end);
            if !self.flush(Stage::Content, until).await {
                return Ok(());
            }
            self.hear_early();
            let step = self.client.step();
            if step != ClientStep::Content {
                self.stashed = Some(step);
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> ClientStep {
        self.stashed.take().unwrap_or_else(|| self.client.step())
    }

    /// A server that gives up while content is on its way is heard at once.
    fn hear_early(&mut self) {
        match self.stream.read(&mut self.buffer).now_or_never() {
            None => {}
            Some(Ok(0)) => self.lose(Trouble::Closed),
            Some(Ok(count)) => self.client.receive(&self.buffer[..count]),
            Some(Err(error)) => self.lose(Trouble::Io(error.kind())),
        }
    }

    fn unused(&self) -> Unused {
        let words = self.trouble().unwrap_or_default();
        let (stage, reply, cause) = match &self.closed {
            Some(Closed::Refused { stage, reply }) => {
                (*stage, Some(reply.clone()), Cause::ConnectionLost)
            }
            Some(Closed::Protocol { stage }) => (*stage, None, Cause::Protocol),
            Some(Closed::Lost { stage }) => (*stage, None, self.cause()),
            Some(Closed::Quit) | None => (Stage::Greeting, None, self.cause()),
        };
        Unused {
            stage,
            reply,
            cause,
            words,
        }
    }

    fn cause(&self) -> Cause {
        match &self.trouble {
            Some(Trouble::TimedOut(_)) => Cause::ConnectionTimedOut,
            Some(Trouble::Closed | Trouble::Io(_) | Trouble::Content(_)) | None => {
                Cause::ConnectionLost
            }
        }
    }
}

/// Why a session could not be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unused {
    pub(crate) stage: Stage,
    /// What the server said, if it said no.
    pub(crate) reply: Option<Reply>,
    /// Else what happened, as a cause and in words.
    pub(crate) cause: Cause,
    pub(crate) words: String,
}

impl Trouble {
    fn words(&self) -> String {
        match self {
            Self::TimedOut(stage) => format!("no answer to {} in time", name(*stage)),
            Self::Closed => "it closed the connection".to_owned(),
            Self::Io(kind) => kind.to_string(),
            Self::Content(error) => format!("our copy of the content cannot be read ({error})"),
        }
    }
}

fn timeout(stage: Stage, recipients: usize) -> Duration {
    match stage {
        Stage::Connect
        | Stage::Greeting
        | Stage::Hello
        | Stage::StartTls
        | Stage::Auth
        | Stage::Sender => COMMAND_TIMEOUT,
        Stage::Recipient => {
            let more = u32::try_from(recipients.saturating_sub(1)).unwrap_or(u32::MAX);
            COMMAND_TIMEOUT + RECIPIENT_TIMEOUT_MORE.saturating_mul(more)
        }
        Stage::Data => DATA_TIMEOUT,
        Stage::Content => END_TIMEOUT,
    }
}

/// A stage, for people.
pub(crate) fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "the connection",
        Stage::Greeting => "our connection",
        Stage::Hello => "EHLO",
        Stage::StartTls => "STARTTLS",
        Stage::Auth => "AUTH",
        Stage::Sender => "MAIL",
        Stage::Recipient => "RCPT",
        Stage::Data => "DATA",
        Stage::Content => "the end of content",
    }
}
