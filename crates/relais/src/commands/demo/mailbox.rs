//! The demo's receiving server: a small driver over the same session machine as the relay's. It
//! knows some mailboxes and refuses all others at RCPT.
//!
//! Not here: durability (it keeps what it got in memory), limits against abuse (loopback only).

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use relais_net::clock::{Chance, Clock};
use relais_net::network::{Listener, Network};
use relais_net::stream::Stream;
use relais_smtp::address::ForwardPath;
use relais_smtp::content::Preset;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_smtp::reply::{EnhancedStatus, Reply, ReplyCode};
use relais_smtp::server::{Answer, AuthOffer, Question, ServerConfig, ServerSession, Step};

/// Largest message in octets: what people try by hand fits.
const MESSAGE_OCTETS_MAX: u64 = 50 << 20;
/// Sessions at the same time; more wait.
const SESSIONS_MAX: usize = 50;
/// Messages that are kept; of more, the oldest go.
const KEPT_MAX: usize = 100;
/// A peer that says nothing for so long is left. RFC 5321 §4.5.3.2.7.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// Octets of one read.
const READ_OCTETS: usize = 64 << 10;

/// What arrived.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Reverse-path; empty for the null one.
    pub(super) from: String,
    /// Recipients of this transaction.
    pub(super) to: Vec<String>,
    /// As it came over the wire.
    pub(super) content: Vec<u8>,
}

/// The server and what it got. Cheap to clone.
#[derive(Clone)]
pub(super) struct Mailboxes(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    known: BTreeSet<String>,
    kept: Mutex<Vec<Delivery>>,
    clock: Clock,
    chance: Chance,
}

impl Mailboxes {
    /// Serves these mailboxes on a free port of loopback, as long as the program runs.
    pub(super) async fn start(
        network: &Network,
        clock: Clock,
        chance: Chance,
        known: &[&str],
    ) -> io::Result<Self> {
        let listener = network
            .listen(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await?;
        let mailboxes = Self(Arc::new(Inner {
            address: listener.local_address()?,
            known: known.iter().map(|one| (*one).to_owned()).collect(),
            kept: Mutex::default(),
            clock,
            chance,
        }));
        tokio::spawn(mailboxes.clone().accept(listener));
        Ok(mailboxes)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Everything that arrived so far, oldest first.
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.kept().clone()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Delivery>> {
        // Deliveries are put in whole: a panic elsewhere leaves none half written.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn accept(self, listener: Listener) {
        let places = Arc::new(Semaphore::new(SESSIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let Ok(accepted) = listener.accept().await else {
                return;
            };
            let mailboxes = self.clone();
            tokio::spawn(async move {
                // A peer that breaks off tries again: nothing to do.
                let _ = mailboxes.converse(accepted.stream).await;
                drop(place);
            });
        }
    }

    async fn converse(&self, mut stream: Stream) -> io::Result<()> {
        let mut machine = ServerSession::new(config());
        let (mut unread, mut content) = (Vec::new(), Vec::new());
        loop {
            let (consumed, step) = machine.advance(&unread, &mut content);
            unread.drain(..consumed);
            match step {
                Step::Read(_) => {
                    stream.write_all(&std::mem::take(machine.output())).await?;
                    if !self.read(&mut stream, &mut unread).await? {
                        return Ok(());
                    }
                }
                Step::Ask(question) => {
                    if question == Question::Content {
                        content.clear();
                    }
                    machine.answer(self.decide(question));
                }
                Step::Refused { refusal, .. } => {
                    machine.refuse(refusal.reply(self.0.chance.reference()));
                }
                Step::Content => {}
                Step::EndOfContent(_) => {
                    self.keep(&machine, std::mem::take(&mut content));
                    machine.finish_content(reply(250, EnhancedStatus::new(2, 0, 0), "Delivered"));
                }
                Step::Close | Step::StartTls => {
                    stream.write_all(machine.output()).await?;
                    return stream.shutdown().await;
                }
            }
        }
    }

    async fn read(&self, stream: &mut Stream, unread: &mut Vec<u8>) -> io::Result<bool> {
        let mut piece = vec![0; READ_OCTETS];
        let until = self.0.clock.moment() + READ_TIMEOUT;
        let read = self.0.clock.within(until, stream.read(&mut piece)).await;
        let octets = read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        unread.extend_from_slice(&piece[..octets]);
        Ok(octets > 0)
    }

    fn decide(&self, question: Question) -> Answer {
        match question {
            // AUTH is not offered, so it is not asked for.
            Question::Verifier { .. } | Question::Authenticate(_) => {
                Answer::Refuse(reply(504, EnhancedStatus::new(5, 5, 4), "Not offered"))
            }
            Question::Hello { .. } | Question::Content | Question::StartTls => Answer::Accept,
            Question::Sender { .. } => Answer::Sender {
                size_octets_max: MESSAGE_OCTETS_MAX,
                preset: Preset::Strict,
            },
            Question::Recipient {
                forward_path,
                notify,
                original,
            } => match forward_path {
                ForwardPath::Mailbox(mailbox) if self.0.known.contains(&mailbox.to_string()) => {
                    Answer::Recipient(EnvelopeRecipient {
                        forward_path: mailbox,
                        notify,
                        original,
                        is_copy: false,
                    })
                }
                ForwardPath::Mailbox(_) | ForwardPath::Postmaster => Answer::Refuse(reply(
                    550,
                    EnhancedStatus::new(5, 1, 1),
                    "No such mailbox here",
                )),
            },
        }
    }

    fn keep(&self, machine: &ServerSession, content: Vec<u8>) {
        let Some(envelope) = machine.envelope() else {
            return;
        };
        let delivery = Delivery {
            from: envelope.reverse_path.to_string(),
            to: envelope
                .recipients
                .iter()
                .map(|one| one.forward_path.to_string())
                .collect(),
            content,
        };
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(delivery);
    }
}

fn reply(code: u16, status: EnhancedStatus, text: &'static str) -> Reply {
    let code = ReplyCode::new(code).expect("the codes written in this file are 250 and 550");
    Reply::new(code, status, text)
}

fn config() -> ServerConfig {
    ServerConfig {
        hostname: "mx.fabrikam.example".into(),
        size_octets_max: MESSAGE_OCTETS_MAX,
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
