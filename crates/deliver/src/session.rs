//! Transactions on a session with a next hop: the content comes from the store.
//!
//! A transaction is bounded in all. Not here: greeting, TLS and the waits of single commands
//! (`relais_net::hop`).

use std::time::Duration;

use relais_net::clock::{Clock, Moment};
use relais_net::hop::{HopSession, Opening, Transcript, Unused, closed_words};
use relais_net::stream::Stream;
use relais_net::tls::HopTls;
use relais_policy::encryption::TlsFault;
use relais_smtp::client::{ClientStep, Closed, Extensions, Stage, Transaction, TransactionResult};
use relais_store::queue::{Content, StoreError};
use relais_store::store::Store;

/// Each block of content. RFC 5321 §4.5.3.2.5.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// A transaction in all, without its content.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// A line this slow (4 KiB/s) still gets its time: 50 MiB in three and a half hours.
const CONTENT_OCTETS_PER_SECOND_MIN: u64 = 4 * 1_024;

/// A session that takes transactions.
pub(crate) struct Session {
    hop: HopSession,
    clock: Clock,
    closed: Option<Closed>,
    transactions: u32,
    /// A step that was asked for too early: results are handed out only once.
    stashed: Option<ClientStep>,
}

impl Session {
    /// Greeting, TLS and EHLO; `Err` is the reason why the session cannot be used.
    pub(crate) async fn open(
        stream: Stream,
        opening: &Opening<'_>,
        clock: Clock,
    ) -> Result<Self, Box<Unused>> {
        Ok(Self {
            hop: HopSession::open(stream, opening, clock.clone()).await?,
            clock,
            closed: None,
            transactions: 0,
            stashed: None,
        })
    }

    /// What the next hop offers.
    pub(crate) fn extensions(&self) -> &Extensions {
        self.hop.seen().extensions()
    }

    /// What TLS proved; `None` in clear text.
    pub(crate) fn tls(&self) -> Option<&HopTls> {
        self.hop.tls()
    }

    /// Why it is in clear text though TLS was offered.
    pub(crate) fn clear_because(&self) -> Option<TlsFault> {
        self.hop.clear_because()
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
        self.hop
            .trouble()
            .or_else(|| self.closed.as_ref().map(closed_words))
    }

    /// What was said since the last time, without secrets and content.
    pub(crate) fn take_words(&self) -> Vec<String> {
        let transcript = self.hop.transcript();
        transcript.map(Transcript::take).unwrap_or_default()
    }

    /// Whether our own store was the trouble.
    pub(crate) fn content_failed(&self) -> bool {
        self.hop.is_our_trouble()
    }

    /// One transaction: `front`, then the content. Ends in bounded time whatever the peer does.
    pub(crate) async fn transact(
        &mut self,
        transaction: Transaction,
        front: &[u8],
        content: &Content,
        store: &Store,
    ) -> TransactionResult {
        let (recipients, size) = (transaction.envelope.recipients.len(), transaction.size);
        let content_time = Duration::from_secs(transaction.size / CONTENT_OCTETS_PER_SECOND_MIN);
        let end = self.clock.moment() + TRANSACTION_TIMEOUT + content_time;
        self.transactions = self.transactions.saturating_add(1);
        self.hop.begin_wait();
        self.hop.client().begin(transaction);
        loop {
            match self.step() {
                ClientStep::Read(stage) => self.hop.exchange(stage, recipients, end).await,
                ClientStep::Content => {
                    if let Some(transcript) = self.hop.transcript() {
                        transcript.hide_ours(size);
                    }
                    self.hop.client().write_content(front);
                    self.send_content(content, store, end).await;
                }
                ClientStep::Finished(result) => {
                    if let ClientStep::Closed(why) = self.hop.client().step() {
                        self.closed = Some(why);
                    }
                    return result;
                }
                // `begin` always ends in a result; a machine that says otherwise has sent nothing.
                ClientStep::Ready | ClientStep::Handshake => {
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
    pub(crate) async fn quit(self) {
        if !self.is_closed() {
            self.hop.quit().await;
        }
    }

    async fn send_content(&mut self, content: &Content, store: &Store, end: Moment) {
        self.hop.begin_wait();
        match content {
            Content::Inline(octets) => {
                self.hop.client().write_content(octets);
                self.hop.client().end_content();
            }
            Content::Spooled(_) => {
                if let Err(error) = self.stream_content(content, store, end).await {
                    self.hop
                        .fail(format!("our copy of the content cannot be read ({error})"));
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
                self.hop.client().end_content();
                return Ok(());
            }
            self.hop.client().write_content(&piece);
            let until = (self.clock.moment() + BLOCK_TIMEOUT).min(end);
            if !self.hop.flush(Stage::Content, until).await {
                return Ok(());
            }
            self.hop.hear_early();
            let step = self.hop.client().step();
            if step != ClientStep::Content {
                self.stashed = Some(step);
                return Ok(());
            }
        }
    }

    fn step(&mut self) -> ClientStep {
        self.stashed
            .take()
            .unwrap_or_else(|| self.hop.client().step())
    }
}
