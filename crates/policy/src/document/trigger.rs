//! Triggers as people write them: what makes the program hold a device's mail by itself.
//!
//! Not here: what each counts, and its numbers where nothing is written ([`crate::trigger`]).

use serde::{Deserialize, Serialize};

/// `triggers = { volume = { mode = "block", minimum = 100 } }`. An absent key has its own default.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// More recipients in an hour than is usual for the device.
    #[serde(default)]
    pub volume: Trigger,
    /// Messages whose From is of another domain than their reverse-path.
    #[serde(default)]
    pub from_mismatch: Trigger,
    /// Attempts to send as a domain that is not verified.
    #[serde(default)]
    pub unverified_domain: Trigger,
    /// Recipients that do not exist: refused here, or by their own server.
    #[serde(default)]
    pub unknown_recipients: Trigger,
    /// Complaints of recipients.
    #[serde(default)]
    pub complaints: Trigger,
    /// A credential used from a network where it never was.
    #[serde(default)]
    pub new_network: Trigger,
    /// Messages that a content check found bad.
    #[serde(default)]
    pub content: Trigger,
}

/// One trigger; what is not said is its default.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// What follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TriggerMode>,
    /// So many within the trigger's time are never too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// So many times what is usual are not too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<u32>,
}

/// What a trigger does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerMode {
    /// Nothing; it goes on learning.
    Off,
    /// The device's mail is held, and people hear of it.
    Hold,
    /// The same; where it goes on, its mail is refused.
    Block,
}

impl TriggerMode {
    /// As in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hold => "hold",
            Self::Block => "block",
        }
    }
}
