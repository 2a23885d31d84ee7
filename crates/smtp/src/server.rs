//! The server's session as a machine without hands.
//!
//! The driver feeds octets and performs steps:
//!
//! ```text
//! loop {
//!     let (consumed, step) = session.advance(unread, &mut content);
//!     match step {
//!         Step::Read(wait)        flush session.output(), read more, within wait's time
//!         Step::Ask(question)     decide, then session.answer(…)
//!         Step::Refused(refusal)  record it, then session.refuse(refusal.reply(reference))
//!         Step::Content           take what `content` holds (may be done later: it only grows)
//!         Step::EndOfContent(s)   store it, then session.finish_content(reply)
//!         Step::StartTls          flush session.output(), forget all that was read, do the
//!                                 handshake, then session.secured(…); if it fails, close
//!         Step::Close             flush session.output(), close
//!     }
//! }
//! ```
//!
//! The machine reads as many commands as `unread` holds before it asks for more, so that replies to
//! pipelined commands (RFC 2920) leave in one piece; but it never reads on past a question.
//!
//! Not here: who may do what (`relais-policy`), time (the driver), storing (`relais-receive`).

mod auth;
mod chunks;
mod commands;
mod reading;
mod replies;
mod transaction;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use self::transaction::{Hello, Terms, Transaction};
use crate::address::{ForwardPath, ReversePath};
use crate::content::{ContentSummary, Decoder, Preset, Repair};
use crate::envelope::{Envelope, EnvelopeRecipient, Notify, OriginalRecipient, SenderParameters};
use crate::refusal::{Refusal, SyntaxFault};
use crate::reply::Reply;
use crate::sasl::scram::{ChannelBinding, ServerNonce, Verifier};
use crate::sasl::{Claim, Exchange, Mechanism};

/// What does not change during a session.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Our name, in banner and EHLO reply.
    pub hostname: Box<str>,
    /// Announced in SIZE; a connector may set a lower one by [`Answer::Sender`].
    pub size_octets_max: u64,
    /// Preset for command syntax, from listener or the connector of the address.
    pub preset: Preset,
    /// Recipients of one transaction. RFC 5321 §4.5.3.1.8 forbids less than 100.
    pub recipients_max: usize,
    /// Refused or failed commands before 421 (ERRORS). Postfix's hard limit is 20.
    pub errors_max: u32,
    /// NOOP, RSET, VRFY, HELP, EHLO, empty chunks, and commands out of order, without a message in
    /// between, before 421. Postfix: 100.
    pub junk_commands_max: u32,
    /// STARTTLS is offered while the session is in clear text.
    pub starttls: bool,
    /// The session is encrypted from its first octet. RFC 8314 §3.3.
    pub tls: bool,
    /// Whether AUTH is offered.
    pub auth: AuthOffer,
    /// REQUIRETLS is offered once the session is encrypted. RFC 8689 §2.
    pub require_tls: bool,
}

/// Whether the client may authenticate, and how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AuthOffer {
    /// Not at all: AUTH is not implemented here.
    #[default]
    None,
    /// Only once the session is encrypted: until then AUTH is not offered, and refused with the
    /// reason (AUTH-TLS).
    AfterTls,
    /// PLAIN, LOGIN and SCRAM-SHA-256; and what follows.
    Now {
        /// SCRAM-SHA-256-PLUS: the TLS channel has octets to bind to.
        channel_binding: bool,
        /// XOAUTH2 and OAUTHBEARER: there are issuers of tokens.
        bearer: bool,
    },
}

impl AuthOffer {
    /// Whether a mechanism is offered.
    pub fn has(self, mechanism: Mechanism) -> bool {
        let Self::Now {
            channel_binding,
            bearer,
        } = self
        else {
            return false;
        };
        match mechanism {
            Mechanism::Plain | Mechanism::Login | Mechanism::ScramSha256 => true,
            Mechanism::ScramSha256Plus => channel_binding,
            Mechanism::XOAuth2 | Mechanism::OAuthBearer => bearer,
        }
    }
}

/// What the driver has to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send [`ServerSession::output`], then read more octets.
    Read(Wait),
    /// Decide, and call [`ServerSession::answer`] with the fitting answer.
    Ask(Question),
    /// The machine itself refuses: record it, and call [`ServerSession::refuse`].
    Refused {
        /// The reason.
        refusal: Refusal,
        /// Where it happened.
        stage: RefusedStage,
    },
    /// Content was appended to the driver's buffer. If the transaction then ends in any way but
    /// [`Step::EndOfContent`] (RSET, EHLO, QUIT, a refusal, the end of the connection), it is void.
    Content,
    /// All content is in the buffer: store it, and call [`ServerSession::finish_content`].
    EndOfContent(ContentSummary),
    /// Send [`ServerSession::output`], throw away whatever was read behind the command, and do the
    /// handshake; then [`ServerSession::secured`]. If it fails, close: no text can follow.
    StartTls,
    /// Send [`ServerSession::output`], then close.
    Close,
}

/// What the machine waits for; the driver keeps the time (RFC 5321 §4.5.3.2), per request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// A command line: 5 minutes from the last reply to the complete line. RFC 5321 §4.5.3.2.7.
    Command,
    /// Content: 3 minutes for each block of 64 KiB. RFC 5321 §4.5.3.2.5.
    Content,
}

/// The command at which a refusal happened; which attempts are recorded depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefusedStage {
    /// Before or outside of MAIL, RCPT and DATA; and each command out of order, which mostly
    /// follows from an earlier refusal in a pipeline.
    Other,
    /// AUTH. What the client said is not kept.
    Auth,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// DATA or BDAT, or the content itself.
    Content,
}

/// What the driver must decide.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Question {
    /// HELO or EHLO with this name, as given. Answer: [`Answer::Accept`] or [`Answer::Refuse`].
    Hello {
        /// The greeting name.
        name: Box<str>,
        /// EHLO.
        extended: bool,
    },
    /// SCRAM needs what is stored of this user's password, or what looks like it where there is no
    /// such user. Answer: [`Answer::Verifier`] or [`Answer::Refuse`].
    Verifier {
        /// As the client wrote it.
        user: Box<str>,
    },
    /// AUTH has said all, or SCRAM its proof: is it true, and allowed? Answer: [`Answer::Accept`]
    /// or [`Answer::Refuse`].
    Authenticate(Claim),
    /// MAIL. Answer: [`Answer::Sender`] or [`Answer::Refuse`].
    Sender {
        /// Its argument.
        reverse_path: ReversePath,
        /// Its parameters.
        parameters: SenderParameters,
    },
    /// RCPT. Answer: [`Answer::Recipient`] or [`Answer::Refuse`].
    Recipient {
        /// Its argument.
        forward_path: ForwardPath,
        /// NOTIFY.
        notify: Option<Notify>,
        /// ORCPT.
        original: Option<OriginalRecipient>,
    },
    /// DATA or the first BDAT, with at least one recipient: new content begins, what is left of
    /// older content is void. Answer: [`Answer::Accept`] or [`Answer::Refuse`].
    Content,
    /// STARTTLS, where it is offered. Answer: [`Answer::Accept`] or [`Answer::Refuse`].
    StartTls,
}

/// The driver's decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Go on.
    Accept,
    /// The sender is accepted.
    Sender {
        /// Size limit of this transaction, at most the session's.
        size_octets_max: u64,
        /// Preset for the content of this transaction.
        preset: Preset,
    },
    /// What SCRAM needs.
    Verifier {
        /// Of the user, or of nobody.
        verifier: Verifier,
        /// New for each exchange.
        nonce: ServerNonce,
        /// The channel, where PLUS is offered.
        channel: ChannelBinding,
    },
    /// The recipient is accepted, perhaps as another mailbox (`<Postmaster>`).
    Recipient(EnvelopeRecipient),
    /// Refused with this reply; closes if the reply does.
    Refuse(Reply),
}

/// Octets of a command line that are thrown away above
/// [`crate::command::COMMAND_LINE_OCTETS_MAX`] before we close.
/// Nobody sends such a line by mistake; 64 KiB is what one read may bring.
pub const LONG_LINE_OCTETS_MAX: usize = 64 * 1_024;

/// One mail session, from greeting to close.
pub struct ServerSession {
    config: ServerConfig,
    hello: Option<Hello>,
    state: State,
    output: Vec<u8>,
    /// Of the greeting, and of the transaction so far.
    repairs: Vec<Repair>,
    errors: u32,
    junk_commands: u32,
    /// AUTH succeeded.
    authenticated: bool,
    /// The MAIL or RCPT that is being refused. No other line is kept: it might be a password.
    refused_line: Option<Box<str>>,
}

/// Where the session is. Each step takes it whole and puts another in its place.
enum State {
    /// Nothing was said yet.
    Greeting,
    /// A command line comes next.
    Ready(Transaction),
    /// The rest of a line that is too long is thrown away.
    LongLine {
        transaction: Transaction,
        discarded: usize,
        /// What is said of it.
        fault: Refusal,
    },
    /// A line of AUTH comes next.
    Auth(Box<Exchange>),
    /// A token was refused: the client's word on that comes next, then this is said.
    AuthRefused(Reply),
    /// [`Step::Ask`] was returned.
    Asked(Asked),
    /// The next step is a refusal, and the transaction is over.
    ToRefuse(Refusal, RefusedStage),
    /// [`Step::Refused`] was returned.
    Refusing(Then),
    /// 354 was said: content comes next.
    Data {
        envelope: Envelope,
        decoder: Decoder,
    },
    /// Content of a chunk comes next.
    Chunk {
        envelope: Envelope,
        decoder: Decoder,
        size: u64,
        remaining: u64,
        last: bool,
    },
    /// Octets of a refused chunk come next. They must be read, or they would be taken for commands.
    Discard { remaining: u64, refused: Refused },
    /// [`Step::EndOfContent`] was returned.
    Finishing { envelope: Envelope },
    /// 220 was said to STARTTLS: whatever has been read is void, and the handshake comes next.
    ToStartTls,
    /// [`Step::StartTls`] was returned.
    StartingTls,
    /// Nothing comes any more.
    Closing,
}

/// What follows a refusal. The envelope of a transaction that is over stays until the refusal has
/// been recorded.
enum Then {
    Ready(Transaction),
    Ended(Envelope),
    Close(Option<Envelope>),
}

/// A question under way, and what is needed to go on with its answer.
enum Asked {
    Hello {
        hello: Hello,
        transaction: Transaction,
    },
    Verifier {
        exchange: Box<Exchange>,
    },
    Authenticate {
        exchange: Box<Exchange>,
    },
    Sender {
        reverse_path: ReversePath,
        parameters: SenderParameters,
    },
    Recipient {
        transaction: Transaction,
    },
    Data {
        envelope: Envelope,
        terms: Terms,
    },
    Chunk {
        envelope: Envelope,
        terms: Terms,
        size: u64,
        last: bool,
    },
    StartTls {
        transaction: Transaction,
    },
}

/// How a refused chunk is answered once it has been read.
enum Refused {
    /// The driver has decided.
    Reply(Reply),
    /// We have.
    Refusal(Refusal, RefusedStage),
}

impl ServerSession {
    /// A new session; its greeting is in the output after the first [`ServerSession::advance`].
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config,
            hello: None,
            state: State::Greeting,
            output: Vec::new(),
            repairs: Vec::new(),
            errors: 0,
            junk_commands: 0,
            authenticated: false,
            refused_line: None,
        }
    }

    /// Reads from `input`, appends decoded content to `content`; returns how many octets it used
    /// and what to do next. Octets not used must be given again, with more behind them.
    pub fn advance(&mut self, input: &[u8], content: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            let (more, step) = self.turn(&input[used..], content);
            used += more;
            if let Some(step) = step {
                return (used, step);
            }
        }
    }

    /// As [`ServerSession::advance`], one turn: at most one command line, or a piece of content.
    /// `None`: there is more to do.
    pub fn advance_once(&mut self, input: &[u8], content: &mut Vec<u8>) -> (usize, Option<Step>) {
        self.turn(input, content)
    }

    /// Whether the next octets are content, and no command line.
    pub fn reads_content(&self) -> bool {
        matches!(
            self.state,
            State::Data { .. } | State::Chunk { .. } | State::Discard { .. }
        )
    }

    /// The answer to [`Step::Ask`].
    pub fn answer(&mut self, answer: Answer) {
        let asked = match mem::replace(&mut self.state, State::Closing) {
            State::Asked(asked) => asked,
            other => {
                debug_assert!(false, "an answer without a question");
                self.state = other;
                return;
            }
        };
        self.state = match (asked, answer) {
            (asked, Answer::Refuse(reply)) => self.answered_no(asked, &reply),
            (Asked::Hello { hello, .. }, Answer::Accept) => self.greet(hello),
            (Asked::StartTls { .. }, Answer::Accept) => {
                self.say("220 2.0.0 Ready to start TLS");
                State::ToStartTls
            }
            (Asked::Verifier { exchange }, answer @ Answer::Verifier { .. }) => {
                self.verifier_given(exchange, answer)
            }
            (Asked::Authenticate { exchange }, Answer::Accept) => self.authenticate(exchange),
            (
                Asked::Sender {
                    reverse_path,
                    parameters,
                },
                Answer::Sender {
                    size_octets_max,
                    preset,
                },
            ) => {
                let terms = Terms {
                    size_octets_max,
                    preset,
                };
                self.begin(reverse_path, parameters, terms)
            }
            (Asked::Recipient { transaction }, Answer::Recipient(recipient)) => {
                self.say("250 2.1.5 Recipient ok");
                State::Ready(transaction.with_recipient(recipient))
            }
            (Asked::Data { envelope, terms }, Answer::Accept) => {
                self.say("354 End data with <CR><LF>.<CR><LF>");
                let decoder = Decoder::data(terms.preset, terms.size_octets_max);
                State::Data { envelope, decoder }
            }
            (
                Asked::Chunk {
                    envelope,
                    terms,
                    size,
                    last,
                },
                Answer::Accept,
            ) => {
                let decoder = Decoder::chunks(terms.preset, terms.size_octets_max);
                State::Chunk {
                    envelope,
                    decoder,
                    size,
                    remaining: size,
                    last,
                }
            }
            (
                _,
                Answer::Accept
                | Answer::Sender { .. }
                | Answer::Recipient(_)
                | Answer::Verifier { .. },
            ) => {
                // The driver is wrong; nothing may be promised on the strength of that.
                debug_assert!(false, "an answer that does not fit its question");
                self.say("421 4.3.0 Local error, closing");
                State::Closing
            }
        };
    }

    /// The reply to [`Step::Refused`].
    pub fn refuse(&mut self, reply: Reply) {
        debug_assert!(
            matches!(self.state, State::Refusing(_)),
            "nothing was refused"
        );
        reply.write_to(&mut self.output);
        self.state = match mem::replace(&mut self.state, State::Closing) {
            State::Refusing(Then::Ready(transaction)) if !reply.closes() => {
                State::Ready(transaction)
            }
            State::Refusing(Then::Ended(_)) if !reply.closes() => State::Ready(Transaction::Idle),
            _ => State::Closing,
        };
        self.refused_line = None;
    }

    /// The reply to the end of content; ends the transaction whatever it says.
    pub fn finish_content(&mut self, reply: Reply) {
        debug_assert!(
            matches!(self.state, State::Finishing { .. }),
            "content has not ended"
        );
        reply.write_to(&mut self.output);
        if reply.code().is_positive() {
            self.errors = 0;
            self.junk_commands = 0;
        } else {
            self.errors += 1;
        }
        self.state = self.after(&reply);
    }

    /// Preset for command syntax from here on: the client turned out to be another one.
    pub fn set_preset(&mut self, preset: Preset) {
        self.config.preset = preset;
    }

    /// Whether STARTTLS is offered from here on: the client turned out to be another one.
    pub fn set_starttls(&mut self, offered: bool) {
        self.config.starttls = offered;
    }

    /// Whether AUTH is offered from here on, and how: the client turned out to be another one, or
    /// its connection is encrypted now.
    pub fn set_auth(&mut self, offer: AuthOffer) {
        self.config.auth = offer;
    }

    /// The handshake is done: the session begins anew, without greeting, transaction, or anything
    /// else that was said in clear text; only its errors count on. RFC 3207 §4.2.
    pub fn secured(&mut self) {
        debug_assert!(
            matches!(self.state, State::StartingTls),
            "TLS was not to be started"
        );
        self.config.tls = true;
        self.hello = None;
        self.authenticated = false;
        self.repairs.clear();
        self.output.clear();
        self.state = State::Ready(Transaction::Idle);
    }

    /// Ends the session from outside (time-out, shutdown): `reply` (421) becomes the last output.
    pub fn close_with(&mut self, reply: Reply) {
        reply.write_to(&mut self.output);
        self.state = State::Closing;
    }

    /// Octets to send. The driver sends and clears them; it takes them (`core::mem::take`) where
    /// the session may be idle for long, so that an idle session holds no buffer.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// The envelope so far, from the first accepted recipient on.
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.state {
            State::Data { envelope, .. }
            | State::Chunk { envelope, .. }
            | State::Finishing { envelope }
            | State::Refusing(Then::Ended(envelope) | Then::Close(Some(envelope)))
            | State::Asked(Asked::Data { envelope, .. } | Asked::Chunk { envelope, .. }) => {
                Some(envelope)
            }
            _ => self.transaction()?.envelope(),
        }
    }

    /// Whether a transaction is open (MAIL accepted): a drain waits for it to end.
    pub fn in_transaction(&self) -> bool {
        match &self.state {
            State::Refusing(Then::Ended(_) | Then::Close(_)) => false,
            _ => self.envelope().is_some() || self.transaction().is_some_and(Transaction::is_open),
        }
    }

    /// With [`Step::Refused`]: the line as the client wrote it, if it was a MAIL or RCPT that came
    /// to no question; else the driver knows the path. For the record of the refused attempt; at
    /// most [`crate::command::COMMAND_LINE_OCTETS_MAX`].
    pub fn refused_line(&self) -> Option<&str> {
        self.refused_line.as_deref()
    }

    /// Whether AUTH has succeeded in this session.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the next line belongs to a login: a name, a password, a token, or nothing.
    pub fn awaits_login(&self) -> bool {
        matches!(self.state, State::Auth(_) | State::AuthRefused(_))
    }

    /// The greeting name, and whether it came by EHLO.
    pub fn hello(&self) -> Option<(&str, bool)> {
        self.hello
            .as_ref()
            .map(|hello| (&*hello.name, hello.extended))
    }

    /// `SMTP`, `ESMTP` or `UTF8SMTP`, with `S` over TLS and `A` where the client authenticated, for
    /// the Received field of this transaction. RFC 3848, RFC 6531 §4.3; after HELO there is no name
    /// for TLS, but who authenticates speaks ESMTP.
    pub fn protocol(&self) -> &'static str {
        let utf8 = match (self.envelope(), self.transaction()) {
            (Some(envelope), _) => envelope.parameters.smtp_utf8,
            (None, Some(transaction)) => transaction.is_smtp_utf8(),
            (None, None) => false,
        };
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let (tls, authenticated) = (self.config.tls, self.authenticated);
        match (extended || authenticated, extended && utf8) {
            (false, _) => "SMTP",
            (true, false) => match (tls, authenticated) {
                (false, false) => "ESMTP",
                (true, false) => "ESMTPS",
                (false, true) => "ESMTPA",
                (true, true) => "ESMTPSA",
            },
            (true, true) => match (tls, authenticated) {
                (false, false) => "UTF8SMTP",
                (true, false) => "UTF8SMTPS",
                (false, true) => "UTF8SMTPA",
                (true, true) => "UTF8SMTPSA",
            },
        }
    }

    /// Repairs of command syntax made in this session and transaction so far.
    pub fn repairs(&self) -> &[Repair] {
        &self.repairs
    }

    /// The transaction between commands.
    fn transaction(&self) -> Option<&Transaction> {
        match &self.state {
            State::Ready(transaction)
            | State::LongLine { transaction, .. }
            | State::Refusing(Then::Ready(transaction))
            | State::Asked(
                Asked::Hello { transaction, .. }
                | Asked::Recipient { transaction }
                | Asked::StartTls { transaction },
            ) => Some(transaction),
            State::Greeting
            | State::Auth(_)
            | State::AuthRefused(_)
            | State::ToRefuse(..)
            | State::Refusing(Then::Ended(_) | Then::Close(_))
            | State::Asked(
                Asked::Verifier { .. }
                | Asked::Authenticate { .. }
                | Asked::Sender { .. }
                | Asked::Data { .. }
                | Asked::Chunk { .. },
            )
            | State::Data { .. }
            | State::Chunk { .. }
            | State::Discard { .. }
            | State::Finishing { .. }
            | State::ToStartTls
            | State::StartingTls
            | State::Closing => None,
        }
    }

    /// The client is told why, and the session goes on.
    fn refused(&mut self, refusal: Refusal, stage: RefusedStage, transaction: Transaction) -> Step {
        match refusal {
            // A pipeline may have many recipients too many; that is no fault (RFC 2920 §3.1).
            Refusal::TooManyRecipients => {}
            Refusal::Syntax(SyntaxFault::Order) => {
                if !self.may_be_junk() {
                    return self.too_many();
                }
            }
            _ => self.errors += 1,
        }
        self.state = State::Refusing(Then::Ready(transaction));
        Step::Refused { refusal, stage }
    }

    /// The client is told why, and the session ends.
    fn refuse_and_close(&mut self, refusal: Refusal, stage: RefusedStage) -> Step {
        self.state = State::Refusing(Then::Close(None));
        Step::Refused { refusal, stage }
    }

    /// The same, for content that cannot be read to its end.
    fn content_ends_session(&mut self, refusal: Refusal, envelope: Envelope) -> Step {
        self.state = State::Refusing(Then::Close(Some(envelope)));
        Step::Refused {
            refusal,
            stage: RefusedStage::Content,
        }
    }

    fn too_many(&mut self) -> Step {
        self.refuse_and_close(Refusal::TooManyErrors, RefusedStage::Other)
    }

    /// Counts a command that does nothing for mail; false if there were too many.
    fn may_be_junk(&mut self) -> bool {
        self.junk_commands += 1;
        self.junk_commands <= self.config.junk_commands_max
    }

    /// The one way back to no transaction: after RSET, EHLO, the last reply and every failure.
    fn end_transaction(&mut self) {
        self.repairs.retain(|repair| *repair == Repair::HeloSyntax);
    }

    /// What follows the reply that ended a transaction.
    fn after(&mut self, reply: &Reply) -> State {
        self.end_transaction();
        if reply.closes() {
            State::Closing
        } else {
            State::Ready(Transaction::Idle)
        }
    }
}

#[cfg(test)]
mod tests;
