//! A next hop's reply, or a failure, → Delivered, Deferred, Failed, and whom it concerns.
//!
//! RFC 5321 §4.2.1 in short: 4yz is tried again, 5yz is not. The exceptions are those of the
//! field: what a server says of the session (greeting, EHLO, STARTTLS, AUTH) is no word on the
//! message, so it is never final; 552 at RCPT means too many (RFC 5321 §4.5.3.1.10).

use relais_smtp::client::{Stage, Unsuited};
use relais_smtp::reply::{EnhancedStatus, Reply};

/// Whom a failure concerns: what else need not be tried now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// This recipient only.
    Recipient,
    /// This recipient and those after it in the transaction: too many (452, 552 at RCPT;
    /// RFC 5321 §4.5.3.1.10). Try them again at once, apart; if the transaction had no other
    /// recipient accepted, it is no question of number: wait as for any deferred recipient.
    RestOfTransaction,
    /// Every recipient of this message at this next hop that has no result of its own.
    Message,
    /// The host: another MX may do better.
    Host,
    /// The session: another one may do better.
    Session,
}

/// What to do with a recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Done.
    Delivered,
    /// Try again.
    Deferred,
    /// Give up now.
    Failed,
}

/// An attempt's judgement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// What to do.
    pub outcome: Outcome,
    /// Whom it concerns.
    pub scope: Scope,
    /// The status for notice and trace: the reply's own, with the class of the outcome; else one
    /// that follows from the code.
    pub status: EnhancedStatus,
}

/// Judges a reply at a stage. RFC 5321 §4.2.1, §4.5.4; RFC 3463.
pub fn judge_reply(stage: Stage, reply: &Reply) -> Judgement {
    let code = reply.code();
    if code.is_positive() || code.is_intermediate() {
        return match stage {
            Stage::Content if code.is_positive() => Judgement {
                outcome: Outcome::Delivered,
                scope: Scope::Recipient,
                status: status_of(reply, stage, 2),
            },
            // A yes in the wrong place: the server and we do not speak of the same thing.
            _ => deferred(Scope::Session, EnhancedStatus::new(4, 5, 0)),
        };
    }
    // "Service not available, closing": of whatever was asked. RFC 5321 §3.8.
    if code.get() == 421 {
        let scope = match stage {
            Stage::Connect | Stage::Greeting | Stage::Hello | Stage::StartTls => Scope::Host,
            Stage::Auth | Stage::Sender | Stage::Recipient | Stage::Data | Stage::Content => {
                Scope::Session
            }
        };
        return deferred(scope, status_of(reply, stage, 4));
    }
    match stage {
        // Nothing was said of the message yet: another host, or another day.
        Stage::Connect | Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth => {
            deferred(Scope::Host, status_of(reply, stage, 4))
        }
        Stage::Sender => judge_sender(reply),
        Stage::Recipient => judge_recipient(reply),
        Stage::Data | Stage::Content => by_class(reply, stage, Scope::Message),
    }
}

/// Judges a conversation that broke off.
pub fn judge_broken(stage: Stage) -> Judgement {
    match stage {
        // No answer from host.
        Stage::Connect => deferred(Scope::Host, EnhancedStatus::new(4, 4, 1)),
        // Bad connection.
        Stage::Greeting | Stage::Hello | Stage::StartTls => {
            deferred(Scope::Host, EnhancedStatus::new(4, 4, 2))
        }
        Stage::Auth | Stage::Sender | Stage::Recipient | Stage::Data | Stage::Content => {
            deferred(Scope::Session, EnhancedStatus::new(4, 4, 2))
        }
    }
}

/// Judges a next hop that cannot take the message.
pub fn judge_unsuited(unsuited: Unsuited) -> Judgement {
    let (scope, status) = match unsuited {
        // RFC 6531 §3.5 and RFC 6533 §4 (X.6.7).
        Unsuited::SmtpUtf8 => (Scope::Message, EnhancedStatus::new(5, 6, 7)),
        // Conversion required but not supported.
        Unsuited::EightBit => (Scope::Message, EnhancedStatus::new(5, 6, 3)),
        // RFC 1870 §6.
        Unsuited::TooBig { .. } => (Scope::Message, EnhancedStatus::new(5, 3, 4)),
        // Another MX may offer it; the message is never sent without. RFC 8689 §4.2.1.
        Unsuited::RequireTls => (Scope::Host, EnhancedStatus::new(5, 7, 30)),
    };
    Judgement {
        outcome: Outcome::Failed,
        scope,
        status,
    }
}

/// MAIL speaks of the message, but for what speaks of us.
fn judge_sender(reply: &Reply) -> Judgement {
    match reply.code().get() {
        // Authentication or encryption wanted: our settings, to be mended while the mail waits.
        530 | 534 | 535 | 538 => deferred(Scope::Host, status_of(reply, Stage::Sender, 4)),
        // No room on that host now.
        452 => deferred(Scope::Host, status_of(reply, Stage::Sender, 4)),
        _ => by_class(reply, Stage::Sender, Scope::Message),
    }
}

/// RCPT speaks of the recipient, but for "too many" in its several dresses.
fn judge_recipient(reply: &Reply) -> Judgement {
    let code = reply.code().get();
    let said = reply.status().map(|status| (status.subject, status.detail));
    match (code, said) {
        // X.5.3, too many recipients, whatever the code.
        (_, Some((5, 3))) | (452 | 552, None | Some((0 | 5, _))) => {
            deferred(Scope::RestOfTransaction, EnhancedStatus::new(4, 5, 3))
        }
        // That host has no room now: X.3.1.
        (452, Some((3, 1))) => deferred(Scope::Host, EnhancedStatus::new(4, 3, 1)),
        // A full mailbox may be emptied: X.2.2. RFC 5321 §4.5.3.1.10.
        (552, Some((2, 2))) => deferred(Scope::Recipient, EnhancedStatus::new(4, 2, 2)),
        _ => by_class(reply, Stage::Recipient, Scope::Recipient),
    }
}

fn by_class(reply: &Reply, stage: Stage, scope: Scope) -> Judgement {
    if reply.code().is_permanent() {
        let status = status_of(reply, stage, 5);
        return Judgement {
            outcome: Outcome::Failed,
            scope,
            status,
        };
    }
    deferred(scope, status_of(reply, stage, 4))
}

fn deferred(scope: Scope, status: EnhancedStatus) -> Judgement {
    Judgement {
        outcome: Outcome::Deferred,
        scope,
        status,
    }
}

/// The reply's own status where it has one, else what its code says; in either case with the class
/// of the outcome, because a notice must not say 5 of what is tried again.
fn status_of(reply: &Reply, stage: Stage, class: u8) -> EnhancedStatus {
    if let Some(status) = reply.status() {
        return EnhancedStatus::new(class, status.subject, status.detail);
    }
    let (subject, detail) = match (reply.code().get(), stage) {
        (421, _) => (3, 2),
        (450, Stage::Recipient) => (2, 0),
        (451, _) => (3, 0),
        (452, _) => (3, 1),
        (552, Stage::Sender | Stage::Data | Stage::Content) => (3, 4),
        (552, _) => (2, 2),
        (500..=504, _) => (5, 0),
        (530 | 534 | 535 | 538, _) => (7, 0),
        (551, _) => (1, 6),
        (553, Stage::Recipient) => (1, 3),
        (553, Stage::Sender) => (1, 7),
        (455 | 555, _) => (5, 4),
        (556, _) => (1, 10),
        // 550 and 554 mean anything: RFC 3463 §3 leaves X.0.0 for it.
        _ => (0, 0),
    };
    EnhancedStatus::new(class, subject, detail)
}
