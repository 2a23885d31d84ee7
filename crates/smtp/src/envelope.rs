//! What the protocol says about a message: reverse-path, recipients and their parameters.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::address::{Mailbox, ReversePath};

/// Reverse-path, forward-paths and parameters. RFC 5321 §2.3.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// Where notices go.
    pub reverse_path: ReversePath,
    /// Parameters of `MAIL`.
    pub parameters: SenderParameters,
    /// Accepted recipients, in the order given. Never empty in a committed message.
    pub recipients: Vec<EnvelopeRecipient>,
}

impl Envelope {
    /// Adds a recipient. One that is there already (same local part, octet by octet, and same
    /// domain) gets one copy: RFC 5321 §4.1.1.3 asks for no more, and address books of devices
    /// repeat themselves. The first stays, and asks for the notices that either asked for.
    pub fn add(&mut self, recipient: EnvelopeRecipient) {
        let same = |known: &&mut EnvelopeRecipient| known.forward_path == recipient.forward_path;
        match self.recipients.iter_mut().find(same) {
            None => self.recipients.push(recipient),
            Some(known) => {
                known.notify = Notify::either(known.notify, recipient.notify);
                known.original = known.original.take().or(recipient.original);
            }
        }
    }
}

/// Parameters of `MAIL FROM`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SenderParameters {
    /// Declared size in octets. RFC 1870 §6.
    pub size: Option<u64>,
    /// Declared form of the body. RFC 6152 §3.
    pub body: Body,
    /// The message needs SMTPUTF8. RFC 6531 §3.4.
    pub smtp_utf8: bool,
    /// How much a failure notice returns. RFC 3461 §4.3.
    pub ret: Option<Ret>,
    /// The sender's own identifier, decoded from xtext; at most 100 characters. RFC 3461 §4.4.
    pub envid: Option<Box<str>>,
    /// TLS is demanded all the way. RFC 8689 §3.
    pub require_tls: bool,
}

/// The argument of `BODY`. RFC 6152 §3.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Body {
    /// `7BIT`, or nothing said.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
}

/// The argument of `RET`. RFC 3461 §4.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ret {
    /// Return the whole message.
    Full,
    /// Return the header section only.
    Headers,
}

/// One recipient with its parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvelopeRecipient {
    /// Where the copy goes.
    pub forward_path: Mailbox,
    /// When the sender wants a notice; `None`: the default, failure and perhaps delay.
    /// RFC 3461 §4.1.
    pub notify: Option<Notify>,
    /// The recipient as the sender first knew it. RFC 3461 §4.2.
    pub original: Option<OriginalRecipient>,
    /// Named by us, for a copy of the message: none of what becomes of it is the sender's business.
    pub is_copy: bool,
}

/// The argument of `NOTIFY`. All false is `NEVER`. RFC 3461 §4.1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Notify {
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
    /// What no `NOTIFY` means, where it must be written: failure, and delay as we tell it anyway.
    const DEFAULT: Self = Self {
        success: false,
        failure: true,
        delay: true,
    };

    /// What one copy must tell where two were asked for. Silence was wanted only if both wanted it.
    fn either(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        if one == other {
            return one;
        }
        let (one, other) = (one.unwrap_or(Self::DEFAULT), other.unwrap_or(Self::DEFAULT));
        let both = Self {
            success: one.success || other.success,
            failure: one.failure || other.failure,
            delay: one.delay || other.delay,
        };
        (both != Self::DEFAULT).then_some(both)
    }
}

/// The argument of `ORCPT`, decoded from xtext (RFC 3461 §4.2) or its UTF-8 form (RFC 6533 §3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OriginalRecipient {
    /// `rfc822` or `utf-8`, lower case, or another registered type.
    pub address_type: Box<str>,
    /// The address itself.
    pub address: Box<str>,
}

impl EnvelopeRecipient {
    /// A recipient without parameters.
    pub fn new(forward_path: Mailbox) -> Self {
        Self {
            forward_path,
            notify: None,
            original: None,
            is_copy: false,
        }
    }

    /// One that gets a copy of which the sender hears nothing.
    pub fn copy(forward_path: Mailbox) -> Self {
        Self {
            notify: Some(Notify::NEVER),
            is_copy: true,
            ..Self::new(forward_path)
        }
    }

    /// Whether a failure is to be told. RFC 3461 §4.1.
    pub fn wants_failure_notice(&self) -> bool {
        self.notify.is_none_or(|notify| notify.failure)
    }

    /// Whether a delay is to be told. Without `NOTIFY` it is ours to choose: yes.
    pub fn wants_delay_notice(&self) -> bool {
        self.notify.is_none_or(|notify| notify.delay)
    }

    /// Whether delivery or relaying is to be told.
    pub fn wants_success_notice(&self) -> bool {
        self.notify.is_some_and(|notify| notify.success)
    }
}
