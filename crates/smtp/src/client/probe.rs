//! A transaction that goes as far as RCPT and no further: what would the server say?
//!
//! MAIL, RCPT, then RSET whatever was said: no content is ever sent, so nothing is delivered.

use alloc::vec::Vec;

use super::lines;
use super::{ClientSession, Stage, State};
use crate::envelope::Envelope;
use crate::reply::Reply;

/// A probe under way.
#[derive(Debug)]
pub(super) struct Probe {
    envelope: Envelope,
    asked: Asked,
}

/// What the next reply answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    Sender,
    Recipient,
    Reset,
}

/// What was said to one command of a probe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probed {
    /// MAIL, RCPT or RSET.
    pub command: &'static str,
    /// The answer.
    pub reply: Reply,
}

impl ClientSession {
    /// Asks about the first recipient of an envelope; only after [`super::ClientStep::Ready`]. The
    /// answers are those of [`ClientSession::probed`] when [`super::ClientStep::Ready`] comes back.
    pub fn probe(&mut self, envelope: Envelope) {
        if !matches!(self.state, State::Ready) || envelope.recipients.is_empty() {
            return;
        }
        self.probed.clear();
        lines::bare_mail(&envelope.reverse_path, &mut self.output);
        self.early = self.reader.is_within_reply();
        self.state = State::Probe(alloc::boxed::Box::new(Probe {
            envelope,
            asked: Asked::Sender,
        }));
    }

    /// What was answered, in order.
    pub fn probed(&self) -> &[Probed] {
        &self.probed
    }

    pub(super) fn probe_stage(probe: &Probe) -> Stage {
        match probe.asked {
            Asked::Sender | Asked::Reset => Stage::Sender,
            Asked::Recipient => Stage::Recipient,
        }
    }

    pub(super) fn take_probe(&mut self, reply: Reply, more: bool) {
        let State::Probe(probe) = &mut self.state else {
            return;
        };
        let accepted = reply.code().is_positive();
        if reply.code().is_intermediate() {
            return self.break_protocol();
        }
        let command = match probe.asked {
            Asked::Sender => "MAIL",
            Asked::Recipient => "RCPT",
            Asked::Reset => "RSET",
        };
        self.probed.push(Probed { command, reply });
        match (probe.asked, probe.envelope.recipients.first()) {
            (Asked::Reset, _) => {
                self.state = State::Ready;
                return;
            }
            (Asked::Sender, Some(recipient)) if accepted => {
                lines::bare_rcpt(&recipient.forward_path, &mut self.output);
                probe.asked = Asked::Recipient;
            }
            (Asked::Sender | Asked::Recipient, _) => {
                self.output.extend_from_slice(b"RSET\r\n");
                probe.asked = Asked::Reset;
            }
        }
        self.early = more;
    }
}

/// Answers kept of one probe.
pub(super) type Answers = Vec<Probed>;
