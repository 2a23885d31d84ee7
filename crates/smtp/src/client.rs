//! The client's session as a machine without hands: greeting, EHLO, transactions (pipelined where
//! the server offers it), content by DATA or BDAT, QUIT; SMTP and LMTP.
//!
//! The driver owns the socket, the content and the time:
//!
//! ```text
//! loop {
//!     match session.step() {
//!         ClientStep::Read(wait)    flush session.output(), read, session.receive(octets)
//!         ClientStep::Handshake     flush nothing, read nothing: TLS; then session.secured()
//!         ClientStep::Ready         session.begin(transaction) or session.quit(); before the
//!                                   first transaction also session.start_tls() and
//!                                   session.log_in(exchange)
//!         ClientStep::Content       write content: session.write_content(piece) …,
//!                                   session.end_content(); flush as output grows
//!         ClientStep::Finished(r)   settle r; then Ready, or Closed, follows
//!         ClientStep::Closed(why)   close the socket
//!     }
//! }
//! ```
//!
//! The driver may also call [`ClientSession::receive`] while it writes content: a server that gives
//! up early is then heard at once.
//!
//! **TLS** (RFC 3207). Whether to ask for it, and what its handshake must prove, is the driver's to
//! decide. What stands in clear behind the 220 is thrown away, and what the server offered before
//! is forgotten: nobody between us can put words into the encrypted session. A server that says no
//! to STARTTLS leaves the session usable, and [`ClientSession::tls_refusal`] tells.
//!
//! **Content.** Where the server offers CHUNKING (RFC 3030), content goes by one `BDAT size LAST`:
//! no scan for dots, and no end-of-data mark that two servers could read differently. With
//! PIPELINING (RFC 2920) and content of at most [`PIPELINED_CONTENT_OCTETS_MAX`], MAIL, RCPT, BDAT
//! and content go in one write; with every recipient refused, BDAT fails and nothing is delivered.
//! Otherwise the content waits until a recipient is accepted. LMTP, and servers without CHUNKING,
//! get DATA.
//!
//! **What a server does not offer.**
//! - 8BITMIME: 8-bit content is passed on regardless, without `BODY`. Re-encoding would rebuild the
//!   message and break its signatures; servers that do not say 8BITMIME and yet strip the eighth
//!   bit are not seen any more, and other relays do the same.
//! - SMTPUTF8: a recipient, or a message whose sender declared SMTPUTF8, that needs it is
//!   [`Unsuited::SmtpUtf8`]. An 8-bit header section that nobody declared passes as it came.
//! - DSN: `RET`, `ENVID`, `NOTIFY` and `ORCPT` are dropped; [`Extensions::dsn`] tells the caller,
//!   who then owes the "relayed" notice (RFC 3461 §5.2.2).
//! - SIZE, REQUIRETLS: [`Unsuited`].
//!
//! **Order.** A reply counts only for a command that had been said before it came: octets that
//! stand behind a reply when we answer it with the next command are no answer to that command. A
//! server that talks out of turn is cut off ([`Closed::Protocol`]), so that no stray 250 is ever
//! taken for the promise to deliver. Only 421 may come at any time (RFC 5321 §3.8).
//!
//! Not here: what a reply means for the queue (`relais-policy`, `outcome`); AUTH and STARTTLS,
//! whose stages are named already.

mod auth;
mod probe;
mod transaction;
mod lines;
mod extensions;
mod reader;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::envelope::Envelope;
use crate::reply::Reply;

use self::reader::ReplyReader;
use self::transaction::{Progress, Running};

pub use self::auth::{LoginEnd, wipe};
pub use self::probe::Probed;
pub use self::reader::{REPLY_LINES_MAX, REPLY_OCTETS_MAX, REPLY_READ_LINE_OCTETS_MAX};
pub use self::transaction::{PIPELINED_COMMANDS_MAX, PIPELINED_CONTENT_OCTETS_MAX};

/// Which protocol the next hop speaks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: a reply per recipient after the content.
    Lmtp,
}

/// What does not change during a session.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Our name, for EHLO.
    pub hostname: Box<str>,
    /// SMTP or LMTP.
    pub protocol: Protocol,
}

/// What the server offered.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extensions {
    /// PIPELINING, RFC 2920.
    pub pipelining: bool,
    /// SIZE, RFC 1870; the limit if it names one.
    pub size: Option<Option<u64>>,
    /// 8BITMIME, RFC 6152.
    pub eight_bit_mime: bool,
    /// SMTPUTF8, RFC 6531.
    pub smtp_utf8: bool,
    /// CHUNKING, RFC 3030.
    pub chunking: bool,
    /// DSN, RFC 3461.
    pub dsn: bool,
    /// ENHANCEDSTATUSCODES, RFC 2034.
    pub enhanced_status_codes: bool,
    /// STARTTLS, RFC 3207.
    pub starttls: bool,
    /// REQUIRETLS, RFC 8689.
    pub require_tls: bool,
    /// Mechanisms of AUTH, RFC 4954, upper case.
    pub auth: Vec<Box<str>>,
    /// LIMITS RCPTMAX, RFC 9422.
    pub recipients_max: Option<u32>,
    /// LIMITS MAILMAX, RFC 9422.
    pub transactions_max: Option<u32>,
}

/// Where in the conversation an answer came, or a failure happened. Between transactions, and while
/// QUIT waits for its reply, it is [`Stage::Sender`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// TCP.
    Connect,
    /// The banner.
    Greeting,
    /// EHLO, HELO, LHLO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA, up to 354.
    Data,
    /// The content up to the reply to its end.
    Content,
}

/// One transaction to perform.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Reverse-path, parameters, and the recipients of this attempt.
    pub envelope: Envelope,
    /// Size of the content in octets, before dot-stuffing. Exact: the driver writes just as much,
    /// else the session is cut off before the server can take the content as complete.
    pub size: u64,
    /// The content has octets above 127.
    pub eight_bit: bool,
    /// The header section has octets above 127; then SMTPUTF8 is needed if the sender declared it.
    pub utf8_header: bool,
}

/// What became of one recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RecipientResult {
    /// The next hop answered 2yz: it is responsible now.
    Accepted {
        /// Its reply to the end of content.
        reply: Reply,
    },
    /// The next hop said no.
    Refused {
        /// At which command.
        stage: Stage,
        /// Its reply.
        reply: Reply,
    },
    /// The next hop cannot take this message; nothing was sent.
    Unsuited(Unsuited),
    /// The conversation broke off before this recipient's fate was known.
    Broken {
        /// What we waited for.
        stage: Stage,
        /// Whether the whole content had been sent: then it may have been accepted.
        /// RFC 1047.
        maybe_accepted: bool,
    },
}

/// Why a next hop cannot take a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsuited {
    /// SMTPUTF8 is needed and not offered. RFC 6531 §3.5.
    SmtpUtf8,
    /// 8-bit content, 8BITMIME not offered. Not returned while we pass 8-bit on regardless.
    EightBit,
    /// Larger than the announced SIZE. RFC 1870 §6.
    TooBig {
        /// The announced limit in octets.
        limit: u64,
    },
    /// REQUIRETLS is asked and not offered. RFC 8689 §4.
    RequireTls,
}

/// The end of one transaction: one result per recipient, in the envelope's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransactionResult {
    /// In the order of `Envelope::recipients`.
    pub recipients: Vec<RecipientResult>,
}

/// What the driver has to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientStep {
    /// Send [`ClientSession::output`], then read and call [`ClientSession::receive`].
    Read(Stage),
    /// The server said 220 to STARTTLS: do the handshake on the connection, then call
    /// [`ClientSession::secured`], or [`ClientSession::lost`] if it failed.
    Handshake,
    /// Nothing is under way.
    Ready,
    /// Write the content with [`ClientSession::write_content`], then
    /// [`ClientSession::end_content`].
    Content,
    /// A transaction is over.
    Finished(TransactionResult),
    /// The session is over.
    Closed(Closed),
}

/// Why a session is over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Closed {
    /// After our QUIT.
    Quit,
    /// The server refused the session at greeting or hello, or said 421.
    Refused {
        /// Where.
        stage: Stage,
        /// Its reply.
        reply: Reply,
    },
    /// The server sent what is no reply, or too much of it.
    Protocol {
        /// Where.
        stage: Stage,
    },
    /// The connection ended, by the peer or by the driver's time-out; or the driver wrote content
    /// of another size than it had said.
    Lost {
        /// Where.
        stage: Stage,
    },
}

/// One session with a next hop.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    extensions: Extensions,
    reader: ReplyReader,
    output: Vec<u8>,
    state: State,
    finished: Option<TransactionResult>,
    /// MAIL was accepted in a transaction that came to no content: RSET goes before the next MAIL.
    reset_owed: bool,
    /// The reply that is being read began before the command that it would answer.
    early: bool,
    /// What the server said to STARTTLS, if it said no.
    tls_refusal: Option<Reply>,
    /// TLS protects what is said now.
    secure: bool,
    login: Option<LoginEnd>,
    probed: probe::Answers,
}

#[derive(Debug)]
enum State {
    Greeting,
    Hello(Hello),
    StartTls,
    /// Nothing may be read or written until the handshake is done.
    Handshake,
    Auth(Box<auth::Login>),
    Probe(Box<probe::Probe>),
    Ready,
    Transaction(Box<Running>),
    Quitting,
    Closed(Closed),
}

/// The word that we greeted with.
#[derive(Clone, Copy, Debug)]
enum Hello {
    Ehlo,
    Helo,
    Lhlo,
}

impl Hello {
    fn word(self) -> &'static str {
        match self {
            Self::Ehlo => "EHLO",
            Self::Helo => "HELO",
            Self::Lhlo => "LHLO",
        }
    }
}

impl ClientSession {
    /// A new session that waits for the greeting.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            config,
            extensions: Extensions::default(),
            reader: ReplyReader::default(),
            output: Vec::new(),
            state: State::Greeting,
            finished: None,
            reset_owed: false,
            early: false,
            tls_refusal: None,
            secure: false,
            login: None,
            probed: Vec::new(),
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> ClientStep {
        if let Some(result) = self.finished.take() {
            return ClientStep::Finished(result);
        }
        match &self.state {
            State::Ready => ClientStep::Ready,
            State::Handshake => ClientStep::Handshake,
            State::Transaction(running) if running.takes_content() => ClientStep::Content,
            State::Closed(why) => ClientStep::Closed(why.clone()),
            State::Greeting
            | State::Hello(_)
            | State::StartTls
            | State::Auth(_)
            | State::Probe(_)
            | State::Transaction(_)
            | State::Quitting => ClientStep::Read(self.stage()),
        }
    }

    /// Octets from the server.
    pub fn receive(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() && !matches!(self.state, State::Closed(_) | State::Handshake) {
            match self.reader.read(&mut rest) {
                Ok(Some(reply)) => self.take(reply, !rest.is_empty()),
                Ok(None) => {}
                Err(reader::Garbage) => self.break_protocol(),
            }
        }
    }

    /// The connection ended or a time-out passed: results of the running transaction follow, then
    /// [`ClientStep::Closed`].
    pub fn lost(&mut self) {
        match self.state {
            State::Closed(_) => {}
            State::Quitting => self.close(Closed::Quit),
            State::Greeting
            | State::Hello(_)
            | State::StartTls
            | State::Handshake
            | State::Auth(_)
            | State::Probe(_)
            | State::Ready
            | State::Transaction(_) => {
                let stage = self.stage();
                self.close(Closed::Lost { stage });
            }
        }
    }

    /// Asks for TLS; only after [`ClientStep::Ready`], where the server offers it, and once.
    /// [`ClientStep::Handshake`] follows, or [`ClientStep::Ready`] with a refusal.
    pub fn start_tls(&mut self) {
        if !matches!(self.state, State::Ready) || self.secure || self.tls_refusal.is_some() {
            return;
        }
        self.output.extend_from_slice(b"STARTTLS\r\n");
        self.early = self.reader.is_within_reply();
        self.state = State::StartTls;
    }

    /// The handshake is done: everything that was said and read before counts for nothing, and the
    /// server is greeted anew (RFC 3207 §4.2). Where TLS came before everything else
    /// (RFC 8314 §3.3) the greeting is waited for.
    pub fn secured(&mut self) {
        match self.state {
            State::Greeting => self.secure = true,
            State::Handshake => {
                self.secure = true;
                self.extensions = Extensions::default();
                self.reader = ReplyReader::default();
                self.output.clear();
                self.greet(false);
            }
            _ => {}
        }
    }

    /// What the server said to STARTTLS, if it said no.
    pub fn tls_refusal(&self) -> Option<&Reply> {
        self.tls_refusal.as_ref()
    }

    /// Whether TLS protects what is said now.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Starts a transaction; only after [`ClientStep::Ready`]. On a session that has been closed
    /// meanwhile every recipient is [`RecipientResult::Broken`]; in any other state it is a fault
    /// of the driver, and nothing is done.
    pub fn begin(&mut self, transaction: Transaction) {
        match self.state {
            State::Ready => {}
            State::Closed(_) => {
                let running = Running::new(transaction, &self.extensions, self.config.protocol);
                self.finished = Some(running.end(Stage::Sender));
                return;
            }
            State::Greeting
            | State::Hello(_)
            | State::StartTls
            | State::Handshake
            | State::Auth(_)
            | State::Probe(_)
            | State::Transaction(_)
            | State::Quitting => return,
        }
        let mut running = Running::new(transaction, &self.extensions, self.config.protocol);
        if running.is_settled() {
            // Nothing is said, so a reset that is owed stays owed.
            self.finished = Some(running.end(Stage::Sender));
            return;
        }
        if core::mem::take(&mut self.reset_owed) {
            running.reset_first();
        }
        self.early = self.reader.is_within_reply();
        let progress = running.go_on(&self.extensions, &mut self.output);
        self.state = State::Transaction(Box::new(running));
        self.apply(progress);
    }

    /// Appends a piece of content, framed for DATA or BDAT, to the output. Ignored once the
    /// transaction is over.
    pub fn write_content(&mut self, piece: &[u8]) {
        if let State::Transaction(running) = &mut self.state {
            running.write_content(piece, &mut self.output);
        }
    }

    /// The content is complete. Ignored once the transaction is over.
    pub fn end_content(&mut self) {
        let State::Transaction(running) = &mut self.state else {
            return;
        };
        if !running.takes_content() {
            return;
        }
        if !running.awaits_reply() {
            self.early = self.reader.is_within_reply();
        }
        if running.end_content(&mut self.output).is_err() {
            self.close(Closed::Lost {
                stage: Stage::Content,
            });
        }
    }

    /// Ends the session politely; only after [`ClientStep::Ready`].
    pub fn quit(&mut self) {
        if matches!(self.state, State::Ready) {
            self.output.extend_from_slice(b"QUIT\r\n");
            self.state = State::Quitting;
        }
    }

    /// Octets to send. The driver sends and clears them.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// What the server offered; empty before EHLO was answered, and after HELO.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn stage(&self) -> Stage {
        match &self.state {
            State::Greeting => Stage::Greeting,
            State::Hello(_) => Stage::Hello,
            State::StartTls | State::Handshake => Stage::StartTls,
            State::Auth(_) => Stage::Auth,
            State::Probe(probe) => Self::probe_stage(probe),
            State::Transaction(running) => running.stage(),
            State::Ready | State::Quitting => Stage::Sender,
            State::Closed(
                Closed::Refused { stage, .. } | Closed::Protocol { stage } | Closed::Lost { stage },
            ) => *stage,
            State::Closed(Closed::Quit) => Stage::Sender,
        }
    }

    /// One complete reply; `more` octets stand behind it in the same read.
    fn take(&mut self, reply: Reply, more: bool) {
        if matches!(self.state, State::Quitting) {
            return self.close(Closed::Quit);
        }
        if reply.code().get() == 421 {
            return self.refuse(reply);
        }
        if core::mem::take(&mut self.early) {
            return self.break_protocol();
        }
        match &mut self.state {
            State::Greeting => self.take_greeting(reply, more),
            State::Hello(hello) => {
                let hello = *hello;
                self.take_hello(hello, reply, more);
            }
            State::Transaction(running) => {
                let progress = running.take(reply, &self.extensions, &mut self.output);
                self.early = more && progress == Progress::Spoke;
                self.apply(progress);
            }
            State::StartTls => self.take_start_tls(reply),
            State::Auth(_) => self.take_auth(reply, more),
            State::Probe(_) => self.take_probe(reply, more),
            State::Ready => self.break_protocol(),
            State::Handshake | State::Quitting | State::Closed(_) => {}
        }
    }

    /// RFC 5321 §4.3.1: 220 is the only greeting that lets us go on.
    fn take_greeting(&mut self, reply: Reply, more: bool) {
        match reply.code().get() {
            220 => self.greet(more),
            400.. => self.refuse(reply),
            _ => self.break_protocol(),
        }
    }

    fn greet(&mut self, more: bool) {
        let hello = match self.config.protocol {
            Protocol::Smtp => Hello::Ehlo,
            Protocol::Lmtp => Hello::Lhlo,
        };
        self.say_hello(hello, more);
    }

    /// RFC 3207 §4: 220 alone means go on. Without it the session stands as it was.
    fn take_start_tls(&mut self, reply: Reply) {
        let code = reply.code();
        if code.get() == 220 {
            self.state = State::Handshake;
        } else if code.is_positive() || code.is_intermediate() {
            self.break_protocol();
        } else {
            self.tls_refusal = Some(reply);
            self.state = State::Ready;
        }
    }

    fn say_hello(&mut self, hello: Hello, more: bool) {
        lines::hello(hello.word(), &self.config.hostname, &mut self.output);
        self.state = State::Hello(hello);
        self.early = more;
    }

    fn take_hello(&mut self, hello: Hello, reply: Reply, more: bool) {
        let code = reply.code();
        if code.is_positive() {
            if !matches!(hello, Hello::Helo) {
                self.extensions = Extensions::read(&reply);
            }
            self.state = State::Ready;
            return;
        }
        if code.is_intermediate() {
            return self.break_protocol();
        }
        match hello {
            // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
            Hello::Ehlo if code.is_permanent() => self.say_hello(Hello::Helo, more),
            Hello::Ehlo | Hello::Helo | Hello::Lhlo => self.refuse(reply),
        }
    }

    fn apply(&mut self, progress: Progress) {
        match progress {
            Progress::Waiting | Progress::Spoke => {}
            Progress::Broken => self.break_protocol(),
            Progress::Finished { reset_owed } => {
                self.reset_owed = reset_owed;
                self.end_transaction(Stage::Content);
                self.state = State::Ready;
            }
        }
    }

    fn refuse(&mut self, reply: Reply) {
        let stage = self.stage();
        if let State::Transaction(running) = &mut self.state {
            running.refuse(stage, &reply);
        }
        self.close(Closed::Refused { stage, reply });
    }

    fn break_protocol(&mut self) {
        let stage = self.stage();
        self.close(Closed::Protocol { stage });
    }

    fn close(&mut self, why: Closed) {
        let stage = self.stage();
        self.end_transaction(stage);
        self.state = State::Closed(why);
    }

    /// Hands out the results of the running transaction, if there is one; recipients without a
    /// result are broken off at `stage`.
    fn end_transaction(&mut self, stage: Stage) {
        let state = core::mem::replace(&mut self.state, State::Ready);
        match state {
            State::Transaction(running) => self.finished = Some(running.end(stage)),
            other => self.state = other,
        }
    }
}
