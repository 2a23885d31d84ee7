//! Who looks at the content of mail, and what follows, as people write it: `content` of an inbound
//! connector, `inbound_content` of an organisation for mail that strangers send to it.
//!
//! Not here: where the checkers are (the bootstrap file: only who runs the machine says to which
//! addresses content goes); what they say (`relais_policy::content`).

use serde::{Deserialize, Serialize};

use super::value::Span;

/// `content = { checks = ["rspamd"], on_fault = "hold" }`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ContentPolicy {
    /// Names of `[[content_checker]]` of the bootstrap file; empty: nobody is asked.
    #[serde(default)]
    pub checks: Vec<String>,
    /// All of them together get this long.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// What happens when one does not answer.
    #[serde(default)]
    pub on_fault: OnFault,
    /// What happens when one says no.
    #[serde(default)]
    pub on_finding: OnFinding,
    /// Endings of names of attachments that do not pass: `exe`.
    #[serde(default)]
    pub forbidden_extensions: Vec<String>,
    /// Declared types of parts that do not pass: `video/mp4`, `video/*`.
    #[serde(default)]
    pub forbidden_types: Vec<String>,
}

impl Default for ContentPolicy {
    fn default() -> Self {
        Self {
            checks: Vec::new(),
            timeout: timeout(),
            on_fault: OnFault::default(),
            on_finding: OnFinding::default(),
            forbidden_extensions: Vec::new(),
            forbidden_types: Vec::new(),
        }
    }
}

impl ContentPolicy {
    /// Whether attachments are judged.
    pub fn judges_attachments(&self) -> bool {
        !self.forbidden_extensions.is_empty() || !self.forbidden_types.is_empty()
    }

    /// Whether anybody looks at the content at all.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && !self.judges_attachments()
    }
}

fn timeout() -> Span {
    Span(20)
}

/// What happens to a message that cannot be checked. Default: refuse, for now.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// 451: the client is to come again.
    #[default]
    Refuse,
    /// Taken unchecked; the trace says so.
    Pass,
    /// Taken, and held for a person.
    Hold,
}

/// What happens to a message that a checker wants refused. Default: that.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFinding {
    /// 550.
    #[default]
    Refuse,
    /// Taken, and held for a person.
    Hold,
}
