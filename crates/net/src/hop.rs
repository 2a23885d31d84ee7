//! A session with a next hop, up to where mail may go, and its octets from then on:
//! `smtp::client` ↔ stream, with the time-outs of RFC 5321 §4.5.3.2, TLS as it is demanded.
//!
//! Every wait has a deadline that belongs to the request, not to the read: a peer that sends one
//! octet at a time gains nothing.
//!
//! Not here: which host, and what follows from a failure (`relais-deliver`); content (there too).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use relais_policy::encryption::{Demand, TlsFault};
use relais_smtp::address::Host;
use relais_smtp::client::{
    ClientConfig, ClientSession, ClientStep, Closed, LoginEnd, Probed, Stage, wipe,
};
use relais_smtp::dsn::Cause;
use relais_smtp::envelope::Envelope;
use relais_smtp::reply::Reply;
use relais_smtp::sasl::client::{ClientCredential, ClientExchange, ClientSide};
use relais_smtp::sasl::scram::{ChannelBinding, NONCE_OCTETS};

use crate::clock::{Chance, Clock, Moment};
use crate::login::{Login, LoginFault};
use crate::stream::Stream;
use crate::tls::{ClientTls, HopTls};

/// Greeting, EHLO, MAIL and RCPT: 5 minutes each. RFC 5321 §4.5.3.2.1–3.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For each recipient after the first: their replies may come one by one, ours is one wait.
const RECIPIENT_TIMEOUT_MORE: Duration = Duration::from_secs(10);
/// DATA. RFC 5321 §4.5.3.2.4.
const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// The reply to the end of content. RFC 5321 §4.5.3.2.6.
const END_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The handshake of TLS: two round trips and some arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// The reply to QUIT; we owe nobody more.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// After a write failed: what the peer said before it closed is read, but not waited for.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// One read takes this much: replies to a whole pipelined group.
const READ_OCTETS_MAX: usize = 4 * 1_024;
/// Capacity that an output buffer keeps between messages.
const OUTPUT_OCTETS_KEPT_MAX: usize = 128 * 1_024;

/// How a session begins.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    /// Our name, and the protocol.
    pub config: ClientConfig,
    /// The server's name, for TLS.
    pub host: &'a Host,
    /// What TLS must prove.
    pub demand: &'a Demand,
    /// What it would have to prove, were it not only tested. RFC 8461 §3.2.
    pub tested: Option<&'a Demand>,
    /// TLS comes before everything else.
    pub implicit_tls: bool,
    /// Whom we believe.
    pub tls: &'a ClientTls,
    /// What we log in with.
    pub login: Option<&'a Login>,
    /// A login in clear text is allowed.
    pub login_in_clear: bool,
    /// For what must not be guessed.
    pub chance: &'a Chance,
    /// The server's port, for tokens that name it.
    pub port: u16,
    /// Writes down what is said, without secrets.
    pub transcript: Option<Transcript>,
}

/// Lines kept of a transcript: a session without content has about forty.
const TRANSCRIPT_LINES_MAX: usize = 400;

/// What is said on a session, without secrets: `> ` we, `< ` the server, `* ` neither. Cheap to
/// clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Transcript(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    /// What we say now is content.
    hides_ours: bool,
}

impl Transcript {
    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.told().lines.clone()
    }

    /// The lines so far, which are forgotten; what we say from here on is told again.
    pub fn take(&self) -> Vec<String> {
        let mut told = self.told();
        told.hides_ours = false;
        std::mem::take(&mut told.lines)
    }

    /// What we say from here on is content, and not told.
    pub fn hide_ours(&self, octets: u64) {
        self.note(&format!("{octets} octets of content"));
        self.told().hides_ours = true;
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What neither side said.
    pub fn note(&self, words: &str) {
        self.push("* ", words);
    }

    fn push(&self, who: &str, line: &str) {
        let mut told = self.told();
        if told.lines.len() < TRANSCRIPT_LINES_MAX {
            told.lines.push(format!("{who}{line}"));
        }
    }

    /// Octets of ours. Of AUTH only the command and the mechanism are told.
    fn said(&self, octets: &[u8], stage: Stage) {
        if self.told().hides_ours {
            return;
        }
        for line in String::from_utf8_lossy(octets).lines() {
            if stage != Stage::Auth {
                self.push("> ", line);
            } else if line.starts_with("AUTH ") {
                let mechanism = line.split(' ').nth(1).unwrap_or_default();
                self.push("> ", &format!("AUTH {mechanism} ..."));
            } else {
                self.push("> ", "...");
            }
        }
    }

    /// Octets of the server. Its challenges are not told.
    fn heard(&self, octets: &[u8], stage: Stage) {
        for line in String::from_utf8_lossy(octets).lines() {
            let printable: String = line.chars().filter(|one| !one.is_control()).collect();
            if stage == Stage::Auth && printable.starts_with("334") {
                self.push("< ", "334 ...");
            } else {
                self.push("< ", &printable);
            }
        }
    }
}

/// What ended a conversation, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Trouble {
    TimedOut(Stage),
    Closed,
    Io(std::io::ErrorKind),
    Tls(TlsFault),
    /// Our own side: the content could not be read.
    Ours(String),
}

/// Why a session could not be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unused {
    /// Where.
    pub stage: Stage,
    /// What the server said, if it said no.
    pub reply: Option<Reply>,
    /// What is wrong with its TLS, if that is it.
    pub tls: Option<TlsFault>,
    /// Why we are not logged in, if that is it.
    pub login: Option<LoginFault>,
    /// Else what happened, as a cause.
    pub cause: Cause,
    /// And in words.
    pub words: String,
}

/// See the head of this file.
pub struct HopSession {
    /// Gone while a handshake is under way, and after a failed one.
    stream: Option<Stream>,
    client: ClientSession,
    config: ClientConfig,
    clock: Clock,
    buffer: Box<[u8]>,
    sending: Vec<u8>,
    trouble: Option<Trouble>,
    tls: Option<HopTls>,
    /// The stage that we wait at, and until when.
    wait: Option<(Stage, Moment)>,
    transcript: Option<Transcript>,
}

impl HopSession {
    /// Greeting, TLS, EHLO; `Err` is the reason why the session cannot be used.
    pub async fn open(
        stream: Stream,
        opening: &Opening<'_>,
        clock: Clock,
    ) -> Result<Self, Box<Unused>> {
        let mut session = Self {
            stream: Some(stream),
            client: ClientSession::new(opening.config.clone()),
            config: opening.config.clone(),
            clock,
            buffer: vec![0; READ_OCTETS_MAX].into_boxed_slice(),
            sending: Vec::new(),
            trouble: None,
            tls: None,
            wait: None,
            transcript: opening.transcript.clone(),
        };
        if opening.implicit_tls {
            session.handshake(opening).await;
        }
        let end = session.clock.moment() + COMMAND_TIMEOUT * 4;
        session.greet(opening, end).await?;
        if let Some(login) = opening.login {
            session.log_in(login, opening, end).await?;
        }
        Ok(session)
    }

    /// Up to where the session may be used, or logged in to.
    async fn greet(&mut self, opening: &Opening<'_>, end: Moment) -> Result<(), Box<Unused>> {
        let session = self;
        loop {
            match session.client.step() {
                ClientStep::Read(stage) => session.exchange(stage, 1, end).await,
                ClientStep::Handshake => session.handshake(opening).await,
                ClientStep::Ready if session.asks_for_tls(opening) => session.client.start_tls(),
                ClientStep::Ready if opening.demand.needs_tls() && !session.client.is_secure() => {
                    let fault = match session.client.tls_refusal() {
                        Some(reply) => TlsFault::Refused(reply.clone()),
                        None => TlsFault::NotOffered,
                    };
                    let unused = unmet(fault, opening.demand);
                    session.say_quit().await;
                    return Err(Box::new(unused));
                }
                ClientStep::Ready => return Ok(()),
                ClientStep::Closed(why) => return Err(Box::new(session.unused(&why, opening))),
                // Nothing was begun.
                ClientStep::Content | ClientStep::Finished(_) => session.client.lost(),
            }
        }
    }

    fn asks_for_tls(&self, opening: &Opening<'_>) -> bool {
        opening.demand.wants_tls()
            && !self.client.is_secure()
            && self.client.extensions().starttls
            && self.client.tls_refusal().is_none()
    }

    async fn handshake(&mut self, opening: &Opening<'_>) {
        let Some(stream) = self.stream.take() else {
            return self.client.lost();
        };
        let until = self.clock.moment() + HANDSHAKE_TIMEOUT;
        let now = self.clock.now();
        let demands = (opening.demand, opening.tested);
        let done = opening
            .tls
            .connect_and_test(stream, opening.host, demands, now);
        let fault = match self.clock.within(until, done).await {
            Ok(Ok((stream, tls))) => {
                self.stream = Some(stream);
                if let Some(transcript) = &self.transcript {
                    let (version, cipher) = (tls.version, tls.cipher);
                    let verified = tls.verified.word();
                    transcript.note(&format!("TLS {version} {cipher}, verified: {verified}"));
                }
                self.tls = Some(tls);
                return self.client.secured();
            }
            Ok(Err(fault)) => fault,
            Err(_) => TlsFault::Handshake("no answer in time".to_owned()),
        };
        self.lose(Trouble::Tls(fault));
    }

    /// The machine, for what it offers and what it wants.
    pub fn client(&mut self) -> &mut ClientSession {
        &mut self.client
    }

    /// The same, to look at.
    pub fn seen(&self) -> &ClientSession {
        &self.client
    }

    /// What is said, if it is written down.
    pub fn transcript(&self) -> Option<&Transcript> {
        self.transcript.as_ref()
    }

    /// What the handshake said; `None` in clear text.
    pub fn tls(&self) -> Option<&HopTls> {
        self.tls.as_ref()
    }

    /// Why it is in clear text though TLS was offered.
    pub fn clear_because(&self) -> Option<TlsFault> {
        let refusal = self.client.tls_refusal()?;
        Some(TlsFault::Refused(refusal.clone()))
    }

    /// What broke the conversation, in words that go behind "broke off:", if it was neither the
    /// server's word nor ours.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.as_ref().map(Trouble::words)
    }

    /// Whether our own side was the trouble.
    pub fn is_our_trouble(&self) -> bool {
        matches!(self.trouble, Some(Trouble::Ours(_)))
    }

    /// AUTH. A server that asks for no login in particular may do without where the certificate
    /// says all.
    async fn log_in(
        &mut self,
        login: &Login,
        opening: &Opening<'_>,
        end: Moment,
    ) -> Result<(), Box<Unused>> {
        let Some(credential) = &login.credential else {
            return Ok(());
        };
        let offered = self.client.extensions().auth.clone();
        let exchange = ClientExchange::begin(
            ClientSide {
                credential: credential.clone(),
                mechanism: login.mechanism,
                channel: ChannelBinding {
                    tls_exporter: self.tls.as_ref().and_then(|tls| tls.exporter),
                },
                nonce: nonce(opening.chance),
                server: (opening.host.to_string().into(), opening.port),
            },
            offered.iter().map(|one| &**one),
        );
        let fault = match exchange {
            None if !login.is_required => return Ok(()),
            _ if !self.client.is_secure() && !opening.login_in_clear => LoginFault::ClearText,
            None => LoginFault::NoMechanism { offered },
            Some(exchange) => {
                let mechanism = exchange.mechanism().name();
                self.client.log_in(exchange);
                loop {
                    match self.client.step() {
                        ClientStep::Read(stage) => self.exchange(stage, 1, end).await,
                        ClientStep::Ready => break,
                        ClientStep::Closed(why) if self.client.login().is_none() => {
                            return Err(Box::new(self.unused(&why, opening)));
                        }
                        _ => break,
                    }
                }
                match self.client.login() {
                    Some(LoginEnd::Done) => return Ok(()),
                    Some(LoginEnd::Refused(reply)) => LoginFault::Refused {
                        mechanism,
                        user: user_of(credential).into(),
                        reply: reply.clone(),
                    },
                    Some(LoginEnd::Unsound) | None => LoginFault::Unsound { mechanism },
                }
            }
        };
        self.say_quit().await;
        Err(Box::new(Unused {
            stage: Stage::Auth,
            reply: None,
            tls: None,
            cause: Cause::LoginFailed,
            words: fault.to_string(),
            login: Some(fault),
        }))
    }

    /// Says QUIT and closes.
    pub async fn quit(mut self) {
        self.say_quit().await;
    }

    async fn say_quit(&mut self) {
        self.client.quit();
        let end = self.clock.moment() + QUIT_TIMEOUT;
        while let ClientStep::Read(stage) = self.client.step() {
            self.exchange(stage, 1, end).await;
        }
    }

    /// The next wait has its own deadline, even at the same stage.
    pub fn begin_wait(&mut self) {
        self.wait = None;
    }

    /// Sends what waits and reads once, before the deadline of the stage.
    pub async fn exchange(&mut self, stage: Stage, recipients: usize, end: Moment) {
        let fresh = self.wait.is_none_or(|(at, _)| at != stage) || !self.client.output().is_empty();
        if fresh {
            let until = self.clock.moment() + timeout(stage, recipients);
            self.wait = Some((stage, until.min(end)));
        }
        let until = self.wait.map_or(end, |(_, until)| until);
        if !self.flush(stage, until).await {
            return;
        }
        let Some(stream) = &mut self.stream else {
            return self.lose(Trouble::Closed);
        };
        let read = stream.read(&mut self.buffer);
        match self.clock.within(until, read).await {
            Ok(Ok(0)) => self.lose(Trouble::Closed),
            Ok(Ok(count)) => {
                if let Some(transcript) = &self.transcript {
                    transcript.heard(&self.buffer[..count], stage);
                }
                match stage {
                    Stage::Auth => self.receive_aside(count).await,
                    _ => self.client.receive(&self.buffer[..count]),
                }
            }
            Ok(Err(error)) => self.lose(Trouble::Io(error.kind())),
            Err(_) => self.lose(Trouble::TimedOut(stage)),
        }
    }

    /// What a server says in AUTH may ask for much arithmetic (SCRAM): done by the side, so that
    /// nobody else's mail waits for it. It ends by itself: its rounds are bounded.
    async fn receive_aside(&mut self, count: usize) {
        let octets = self.buffer[..count].to_vec();
        let stand_in = ClientSession::new(self.config.clone());
        let mut client = std::mem::replace(&mut self.client, stand_in);
        let received = tokio::task::spawn_blocking(move || {
            client.receive(&octets);
            client
        });
        match received.await {
            Ok(client) => self.client = client,
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// MAIL, RCPT and RSET, without content.
    pub async fn probe(&mut self, envelope: Envelope) -> Vec<Probed> {
        let end = self.clock.moment() + COMMAND_TIMEOUT * 3;
        self.begin_wait();
        self.client.probe(envelope);
        while let ClientStep::Read(stage) = self.client.step() {
            self.exchange(stage, 1, end).await;
        }
        self.client.probed().to_vec()
    }

    /// Sends what waits; `false` if the connection broke.
    pub async fn flush(&mut self, stage: Stage, until: Moment) -> bool {
        if self.client.output().is_empty() {
            return true;
        }
        std::mem::swap(&mut self.sending, self.client.output());
        if let Some(transcript) = &self.transcript {
            transcript.said(&self.sending, stage);
        }
        let Some(stream) = &mut self.stream else {
            self.lose(Trouble::Closed);
            return false;
        };
        let write = async {
            stream.write_all(&self.sending).await?;
            // TLS keeps what the socket has no room for; without this it would wait for more.
            stream.flush().await
        };
        let written = self.clock.within(until, write).await;
        if stage == Stage::Auth {
            wipe(&mut self.sending);
        }
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
        let Some(stream) = &mut self.stream else {
            return;
        };
        let read = self
            .clock
            .within(until, stream.read(&mut self.buffer))
            .await;
        if let Ok(Ok(count)) = read {
            self.client.receive(&self.buffer[..count]);
        }
    }

    /// A server that gives up while content is on its way is heard at once.
    pub fn hear_early(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        match stream.read(&mut self.buffer).now_or_never() {
            None => {}
            Some(Ok(0)) => self.lose(Trouble::Closed),
            Some(Ok(count)) => self.client.receive(&self.buffer[..count]),
            Some(Err(error)) => self.lose(Trouble::Io(error.kind())),
        }
    }

    /// Our own side fails: the conversation ends.
    pub fn fail(&mut self, why: String) {
        self.lose(Trouble::Ours(why));
    }

    fn lose(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
        self.client.lost();
    }

    fn unused(&self, why: &Closed, opening: &Opening<'_>) -> Unused {
        if let Some(Trouble::Tls(fault)) = &self.trouble {
            return unmet(fault.clone(), opening.demand);
        }
        let lost = match &self.trouble {
            Some(Trouble::TimedOut(_)) => Cause::ConnectionTimedOut,
            Some(Trouble::Closed | Trouble::Io(_) | Trouble::Ours(_) | Trouble::Tls(_)) | None => {
                Cause::ConnectionLost
            }
        };
        let (stage, reply, cause) = match why {
            Closed::Refused { stage, reply } => (*stage, Some(reply.clone()), lost),
            Closed::Protocol { stage } => (*stage, None, Cause::Protocol),
            Closed::Lost { stage } => (*stage, None, lost),
            Closed::Quit => (Stage::Greeting, None, lost),
        };
        Unused {
            stage,
            reply,
            tls: None,
            login: None,
            cause,
            words: self.trouble().unwrap_or_else(|| closed_words(why)),
        }
    }
}

/// Printable, from 18 octets of chance.
fn nonce(chance: &Chance) -> Box<str> {
    let octets: [u8; NONCE_OCTETS] = chance.octets();
    octets
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect::<String>()
        .into()
}

fn user_of(credential: &ClientCredential) -> &str {
    match credential {
        ClientCredential::Password { user, .. }
        | ClientCredential::Bearer { user, .. }
        | ClientCredential::External { user } => user,
    }
}

/// There is no TLS as it is demanded.
fn unmet(fault: TlsFault, demand: &Demand) -> Unused {
    let words = if demand.needs_tls() {
        format!("{fault} (demanded: {demand})")
    } else {
        fault.to_string()
    };
    Unused {
        stage: Stage::StartTls,
        reply: None,
        tls: Some(fault),
        login: None,
        cause: Cause::TlsUnavailable,
        words,
    }
}

/// Why a session is over, in words that go behind "broke off:".
pub fn closed_words(why: &Closed) -> String {
    match why {
        Closed::Protocol { stage } => format!("what it said is no reply to {}", name(*stage)),
        Closed::Refused { reply, .. } => format!("it said {reply}"),
        Closed::Lost { .. } | Closed::Quit => "it was closed".to_owned(),
    }
}

impl Trouble {
    fn words(&self) -> String {
        match self {
            Self::TimedOut(stage) => format!("no answer to {} in time", name(*stage)),
            Self::Closed => "it closed the connection".to_owned(),
            Self::Io(kind) => kind.to_string(),
            Self::Tls(fault) => fault.to_string(),
            Self::Ours(why) => why.clone(),
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
fn name(stage: Stage) -> &'static str {
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

#[cfg(test)]
mod tests;
