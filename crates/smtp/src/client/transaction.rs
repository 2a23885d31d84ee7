//! One transaction of the client: which commands are said, which replies they wait for, what became
//! of each recipient.
//!
//! Commands are said in groups (RFC 2920): with PIPELINING as many as may wait for replies at once,
//! without it one. A new group starts when every reply to the one before has come.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::content::DotStuffer;
use crate::reply::Reply;

use super::{
    Extensions, Protocol, RecipientResult, Stage, Transaction, TransactionResult, Unsuited, lines,
};

/// Commands that may wait for their replies at once. A hundred replies of 512 octets fit into the
/// buffers of any socket, so client and server never both wait to write. RFC 2920 §3.1.
pub const PIPELINED_COMMANDS_MAX: usize = 100;
/// Largest content that goes in one write with MAIL and RCPT, before their replies, in octets. What
/// is lost if every recipient is refused; it still fits into the socket's buffers.
pub const PIPELINED_CONTENT_OCTETS_MAX: u64 = 65_536;

/// What a reply, or the start of a group, led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Replies or content are missing.
    Waiting,
    /// A new group of commands was said.
    Spoke,
    /// Every recipient has its result.
    Finished {
        /// The server still holds an open transaction.
        reset_owed: bool,
    },
    /// The server broke the protocol.
    Broken,
}

/// The driver wrote more or less content than it had said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct WrongSize;

/// The next command to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Reset,
    Sender,
    /// The recipient at this place of the envelope.
    Recipient(usize),
    Content,
    Nothing,
}

/// A command that waits for its reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Awaited {
    Reset,
    Sender,
    Recipient(usize),
    Data,
    Content,
    /// LMTP: the reply for this recipient. RFC 2033 §4.2.
    ContentOf(usize),
    /// The end of data that was sent because DATA was granted without any recipient.
    Nothing,
}

#[derive(Debug)]
enum Content {
    /// Not asked for yet.
    Closed,
    /// Between 354 and the end of data.
    Data(DotStuffer),
    /// Within `BDAT size LAST`. The latest octet is held back until [`Running::end_content`] has
    /// seen that the size is right: a server never has a complete chunk of wrong content.
    Chunk { written: u64, held_back: Option<u8> },
    /// All of it is in the output.
    Complete,
}

#[derive(Debug)]
pub(super) struct Running {
    transaction: Transaction,
    protocol: Protocol,
    smtp_utf8: bool,
    next: Next,
    awaited: VecDeque<Awaited>,
    sender_accepted: bool,
    /// One for each recipient; `None`: not refused so far.
    results: Vec<Option<RecipientResult>>,
    content: Content,
}

impl Running {
    pub(super) fn new(
        transaction: Transaction,
        extensions: &Extensions,
        protocol: Protocol,
    ) -> Self {
        let results = unsuited(&transaction, extensions);
        let envelope = &transaction.envelope;
        let international = envelope.parameters.smtp_utf8
            || envelope
                .reverse_path
                .mailbox()
                .is_some_and(|mailbox| !mailbox.is_ascii())
            || envelope
                .recipients
                .iter()
                .any(|recipient| !recipient.forward_path.is_ascii());
        Self {
            smtp_utf8: extensions.smtp_utf8 && international,
            transaction,
            protocol,
            next: Next::Sender,
            awaited: VecDeque::new(),
            sender_accepted: false,
            results,
            content: Content::Closed,
        }
    }

    /// Says RSET before MAIL.
    pub(super) fn reset_first(&mut self) {
        self.next = Next::Reset;
    }

    /// Whether every recipient has its result.
    pub(super) fn is_settled(&self) -> bool {
        self.results.iter().all(Option::is_some)
    }

    pub(super) fn takes_content(&self) -> bool {
        matches!(self.content, Content::Data(_) | Content::Chunk { .. })
    }

    pub(super) fn awaits_reply(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// What is waited for, or written, now.
    pub(super) fn stage(&self) -> Stage {
        match self.awaited.front() {
            Some(Awaited::Reset | Awaited::Sender) => Stage::Sender,
            Some(Awaited::Recipient(_)) => Stage::Recipient,
            Some(Awaited::Data) => Stage::Data,
            Some(Awaited::Content | Awaited::ContentOf(_) | Awaited::Nothing) | None => {
                Stage::Content
            }
        }
    }

    /// Says the next group of commands. Only when no reply is awaited.
    pub(super) fn go_on(&mut self, extensions: &Extensions, out: &mut Vec<u8>) -> Progress {
        if matches!(self.next, Next::Recipient(_) | Next::Content) && !self.is_deliverable() {
            return self.finished(extensions);
        }
        while self.may_say_more(extensions) {
            match self.next {
                Next::Reset => {
                    out.extend_from_slice(b"RSET\r\n");
                    self.say(Awaited::Reset, Next::Sender);
                }
                Next::Sender => {
                    lines::mail(&self.transaction, extensions, self.smtp_utf8, out);
                    self.say(Awaited::Sender, self.recipient_from(0));
                }
                Next::Recipient(place) => {
                    let recipient = &self.transaction.envelope.recipients[place];
                    lines::rcpt(recipient, extensions, self.smtp_utf8, out);
                    self.say(Awaited::Recipient(place), self.recipient_from(place + 1));
                }
                Next::Content if self.uses_chunk(extensions) => {
                    self.start_chunk(out);
                    break;
                }
                Next::Content => {
                    out.extend_from_slice(b"DATA\r\n");
                    self.say(Awaited::Data, Next::Nothing);
                }
                Next::Nothing => break,
            }
        }
        Progress::Spoke
    }

    /// One reply, not 421. May say the next group of commands.
    pub(super) fn take(
        &mut self,
        reply: Reply,
        extensions: &Extensions,
        out: &mut Vec<u8>,
    ) -> Progress {
        let Some(awaited) = self.awaited.front().copied() else {
            return self.take_unasked(&reply);
        };
        let understood = match awaited {
            Awaited::Reset => reply.code().is_positive(),
            Awaited::Sender => self.take_sender(&reply),
            Awaited::Recipient(place) => self.take_recipient(place, reply),
            Awaited::Data => self.take_data(&reply, out),
            Awaited::Content => self.take_end(&reply),
            Awaited::ContentOf(place) => self.take_end_of(place, reply),
            Awaited::Nothing => true,
        };
        if !understood {
            return Progress::Broken;
        }
        self.awaited.pop_front();
        if self.awaits_reply() || self.takes_content() {
            return Progress::Waiting;
        }
        if self.next == Next::Nothing {
            return self.finished(extensions);
        }
        self.go_on(extensions, out)
    }

    /// 421: whoever has no result yet is refused.
    pub(super) fn refuse(&mut self, stage: Stage, reply: &Reply) {
        self.settle_open(|| RecipientResult::Refused {
            stage,
            reply: reply.clone(),
        });
    }

    /// Appends a piece of content.
    pub(super) fn write_content(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.content {
            Content::Data(stuffer) => stuffer.write(piece, out),
            Content::Chunk { written, held_back } => {
                let Some((last, rest)) = piece.split_last() else {
                    return;
                };
                let octets = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                *written = written.saturating_add(octets);
                if *written <= self.transaction.size {
                    out.extend(held_back.replace(*last));
                    out.extend_from_slice(rest);
                }
            }
            Content::Closed | Content::Complete => {}
        }
    }

    /// Completes the content.
    pub(super) fn end_content(&mut self, out: &mut Vec<u8>) -> Result<(), WrongSize> {
        match core::mem::replace(&mut self.content, Content::Complete) {
            Content::Data(stuffer) => stuffer.finish(out),
            Content::Chunk { written, held_back } if written == self.transaction.size => {
                out.extend(held_back);
            }
            Content::Chunk { .. } => {
                self.content = Content::Closed;
                return Err(WrongSize);
            }
            unopened @ (Content::Closed | Content::Complete) => {
                self.content = unopened;
                return Ok(());
            }
        }
        match self.protocol {
            Protocol::Smtp => self.awaited.push_back(Awaited::Content),
            Protocol::Lmtp => {
                let open = self
                    .results
                    .iter()
                    .enumerate()
                    .filter(|(_, result)| result.is_none());
                self.awaited
                    .extend(open.map(|(place, _)| Awaited::ContentOf(place)));
            }
        }
        Ok(())
    }

    /// The results; recipients without one are broken off at `stage`.
    pub(super) fn end(self, stage: Stage) -> TransactionResult {
        let maybe_accepted = matches!(self.content, Content::Complete);
        let broken = || RecipientResult::Broken {
            stage,
            maybe_accepted,
        };
        let recipients = self
            .results
            .into_iter()
            .map(|result| result.unwrap_or_else(broken))
            .collect();
        TransactionResult { recipients }
    }

    fn say(&mut self, awaited: Awaited, next: Next) {
        self.awaited.push_back(awaited);
        self.next = next;
    }

    fn may_say_more(&self, extensions: &Extensions) -> bool {
        let said = self.awaited.len();
        said == 0 || (extensions.pipelining && said < PIPELINED_COMMANDS_MAX)
    }

    /// The first recipient from `place` on that has no result, or the content behind the last.
    fn recipient_from(&self, place: usize) -> Next {
        let open = self.results.iter().skip(place).position(Option::is_none);
        open.map_or(Next::Content, |behind| Next::Recipient(place + behind))
    }

    fn is_deliverable(&self) -> bool {
        self.sender_accepted && !self.is_settled()
    }

    fn uses_chunk(&self, extensions: &Extensions) -> bool {
        extensions.chunking && self.protocol == Protocol::Smtp
    }

    /// Starts the chunk, unless replies must come first.
    fn start_chunk(&mut self, out: &mut Vec<u8>) {
        let size = self.transaction.size;
        if self.awaits_reply() && size > PIPELINED_CONTENT_OCTETS_MAX {
            return;
        }
        out.extend_from_slice(alloc::format!("BDAT {size} LAST\r\n").as_bytes());
        self.content = Content::Chunk {
            written: 0,
            held_back: None,
        };
        self.next = Next::Nothing;
    }

    /// After MAIL was accepted only the end of content, or RSET, closes the server's transaction;
    /// a failed BDAT leaves it open (RFC 3030 §2).
    fn finished(&self, extensions: &Extensions) -> Progress {
        let delivered = self
            .results
            .iter()
            .any(|result| matches!(result, Some(RecipientResult::Accepted { .. })));
        let closed_by_data =
            matches!(self.content, Content::Complete) && !self.uses_chunk(extensions);
        let reset_owed = self.sender_accepted && !delivered && !closed_by_data;
        Progress::Finished { reset_owed }
    }

    fn settle_open(&mut self, mut result: impl FnMut() -> RecipientResult) {
        for open in self.results.iter_mut().filter(|result| result.is_none()) {
            *open = Some(result());
        }
    }

    /// Each of the following returns whether the reply is one that the command can have.
    fn take_sender(&mut self, reply: &Reply) -> bool {
        if reply.code().is_intermediate() {
            return false;
        }
        self.sender_accepted = reply.code().is_positive();
        if !self.sender_accepted {
            self.refuse(Stage::Sender, reply);
        }
        true
    }

    fn take_recipient(&mut self, place: usize, reply: Reply) -> bool {
        if reply.code().is_intermediate() {
            return false;
        }
        let open = self
            .results
            .get_mut(place)
            .filter(|result| result.is_none());
        if let Some(result) = open.filter(|_| !reply.code().is_positive()) {
            *result = Some(RecipientResult::Refused {
                stage: Stage::Recipient,
                reply,
            });
        }
        true
    }

    fn take_data(&mut self, reply: &Reply, out: &mut Vec<u8>) -> bool {
        if reply.code().is_positive() {
            return false;
        }
        if !reply.code().is_intermediate() {
            self.refuse(Stage::Data, reply);
            return true;
        }
        if self.is_deliverable() {
            self.content = Content::Data(DotStuffer::new());
            return true;
        }
        // Granted though no recipient was: RFC 2920 §3.1 has us send the end of data alone. Not to
        // a server that refused MAIL and yet goes on: it may have a transaction that is not ours.
        // Nor by LMTP, where no reply would follow.
        if !self.sender_accepted || self.protocol == Protocol::Lmtp {
            return false;
        }
        out.extend_from_slice(b".\r\n");
        self.content = Content::Complete;
        self.awaited.push_back(Awaited::Nothing);
        true
    }

    fn take_end(&mut self, reply: &Reply) -> bool {
        if reply.code().is_intermediate() {
            return false;
        }
        if reply.code().is_positive() {
            self.settle_open(|| RecipientResult::Accepted {
                reply: reply.clone(),
            });
        } else {
            self.refuse(Stage::Content, reply);
        }
        true
    }

    fn take_end_of(&mut self, place: usize, reply: Reply) -> bool {
        if reply.code().is_intermediate() {
            return false;
        }
        let accepted = reply.code().is_positive();
        if let Some(result) = self.results.get_mut(place) {
            *result = Some(match accepted {
                true => RecipientResult::Accepted { reply },
                false => RecipientResult::Refused {
                    stage: Stage::Content,
                    reply,
                },
            });
        }
        true
    }

    /// A reply to no command. Within the content some servers refuse before its end and hang up:
    /// the refusal counts, but the session cannot go on.
    fn take_unasked(&mut self, reply: &Reply) -> Progress {
        let refused = reply.code().is_transient() || reply.code().is_permanent();
        if self.takes_content() && refused {
            self.refuse(Stage::Content, reply);
        }
        Progress::Broken
    }
}

/// What the next hop cannot take at all. A recipient that needs SMTPUTF8 alone does not hold up the
/// others.
fn unsuited(transaction: &Transaction, extensions: &Extensions) -> Vec<Option<RecipientResult>> {
    let envelope = &transaction.envelope;
    let international_message = envelope
        .reverse_path
        .mailbox()
        .is_some_and(|mailbox| !mailbox.is_ascii())
        || (transaction.utf8_header && envelope.parameters.smtp_utf8);
    let whole = if envelope.parameters.require_tls && !extensions.require_tls {
        Some(Unsuited::RequireTls)
    } else if international_message && !extensions.smtp_utf8 {
        Some(Unsuited::SmtpUtf8)
    } else {
        let limit = extensions
            .size
            .flatten()
            .filter(|limit| transaction.size > *limit);
        limit.map(|limit| Unsuited::TooBig { limit })
    };
    let one = |ascii: bool| match whole {
        None if !ascii && !extensions.smtp_utf8 => Some(Unsuited::SmtpUtf8),
        None => None,
        Some(why) => Some(why),
    };
    let results = envelope
        .recipients
        .iter()
        .map(|recipient| one(recipient.forward_path.is_ascii()));
    results
        .map(|why| why.map(RecipientResult::Unsuited))
        .collect()
}
