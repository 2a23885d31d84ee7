//! The mail transaction between commands: Idle → Sender → Recipients → Chunks. RFC 5321 §3.3.
//!
//! A state holds only what is true in it, and is dropped whole. While content is read, its envelope
//! is in the session's state (`server`).

use alloc::boxed::Box;
use alloc::vec;

use crate::address::ReversePath;
use crate::content::{Decoder, Preset, Repair};
use crate::envelope::{Envelope, EnvelopeRecipient, SenderParameters};

/// How the client greeted.
pub(super) struct Hello {
    pub(super) name: Box<str>,
    pub(super) extended: bool,
    pub(super) repair: Option<Repair>,
}

/// What the driver allowed for one transaction.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) size_octets_max: u64,
    pub(super) preset: Preset,
}

/// The transaction while no content is read.
pub(super) enum Transaction {
    /// No MAIL yet, or the last transaction is over.
    Idle,
    /// MAIL was accepted: RCPT may follow.
    Sender {
        reverse_path: ReversePath,
        parameters: SenderParameters,
        terms: Terms,
    },
    /// At least one recipient was accepted: DATA or BDAT may follow.
    Recipients {
        envelope: Envelope,
        terms: Terms,
        /// RCPT commands accepted. Some may have named the same mailbox.
        accepted: usize,
        /// Recipients refused since the first was accepted.
        refused: usize,
    },
    /// A chunk was accepted, and it was not the last: only BDAT may follow. RFC 3030 §2.
    Chunks {
        envelope: Envelope,
        decoder: Decoder,
    },
}

impl Transaction {
    /// Adds a recipient; only while recipients may be added.
    pub(super) fn with_recipient(self, recipient: EnvelopeRecipient) -> Self {
        match self {
            Self::Sender {
                reverse_path,
                parameters,
                terms,
            } => {
                let envelope = Envelope {
                    reverse_path,
                    parameters,
                    recipients: vec![recipient],
                };
                Self::Recipients {
                    envelope,
                    terms,
                    accepted: 1,
                    refused: 0,
                }
            }
            Self::Recipients {
                mut envelope,
                terms,
                accepted,
                refused,
            } => {
                envelope.add(recipient);
                Self::Recipients {
                    envelope,
                    terms,
                    accepted: accepted + 1,
                    refused,
                }
            }
            other @ (Self::Idle | Self::Chunks { .. }) => {
                debug_assert!(false, "no recipient was asked for");
                other
            }
        }
    }

    /// Counts a recipient that was refused. True if it counts as an error of the session: a list
    /// with some dead addresses must not end a session that has good ones, and who tries out
    /// addresses must not be let go on for long.
    pub(super) fn refused_recipient(&mut self) -> bool {
        match self {
            Self::Recipients {
                accepted, refused, ..
            } => {
                *refused += 1;
                *refused > *accepted
            }
            Self::Idle | Self::Sender { .. } | Self::Chunks { .. } => true,
        }
    }

    pub(super) fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Idle | Self::Sender { .. } => None,
            Self::Recipients { envelope, .. } | Self::Chunks { envelope, .. } => Some(envelope),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Sender { .. } | Self::Recipients { .. } | Self::Chunks { .. } => true,
        }
    }

    /// How often a recipient was accepted, if more may be: repeating one is bounded too.
    pub(super) fn recipients_so_far(&self) -> Option<usize> {
        match self {
            Self::Sender { .. } => Some(0),
            Self::Recipients { accepted, .. } => Some(*accepted),
            Self::Idle | Self::Chunks { .. } => None,
        }
    }

    pub(super) fn is_smtp_utf8(&self) -> bool {
        match self {
            Self::Idle => false,
            Self::Sender { parameters, .. } => parameters.smtp_utf8,
            Self::Recipients { envelope, .. } | Self::Chunks { envelope, .. } => {
                envelope.parameters.smtp_utf8
            }
        }
    }
}
