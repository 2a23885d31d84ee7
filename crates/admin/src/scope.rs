//! What a key of the API may do: nouns, each read or written. The nouns are those of the command
//! line; one table, which operations and keys share.
//!
//! Not here: whose things a key may see (`api/operations.rs` says how each operation is held to
//! one organisation).

use std::fmt;
use std::str::FromStr;

/// Every noun that may be asked over the network.
pub(crate) const NOUNS: &[&str] = &[
    "alerts",
    "api-keys",
    "attempts",
    "audit",
    "checks",
    "connectors",
    "content",
    "credentials",
    "directory",
    "devices",
    "dkim",
    "domains",
    "erase",
    "health",
    "licences",
    "limits",
    "messages",
    "organisations",
    "queue",
    "reports",
    "restricted",
    "secrets",
    "settings",
    "simulate",
    "status",
    "suppression",
    "test",
    "trace",
    "triggers",
    "webhooks",
];
/// Stands for every noun but those that must be named.
const EVERY_NOUN: &str = "*";
/// What a key may only if its scope says so by name: what people wrote, and what cannot be undone.
const NAMED_NOUNS: &[&str] = &["content", "erase"];

/// Whether something is only looked at.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Access {
    /// Nothing changes.
    Read,
    /// Something may change; whoever may do that may look too.
    Write,
}

impl Access {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// `queue:read`, `*:read`, `messages:write`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scope {
    noun: &'static str,
    access: Access,
}

/// A scope is none of ours.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is no scope: write NOUN:read or NOUN:write, where NOUN is * or one of {nouns}", nouns = NOUNS.join(", "))]
pub(crate) struct NoScope(String);

impl Scope {
    /// Whether it lets somebody do this.
    pub(crate) fn covers(self, noun: &str, access: Access) -> bool {
        let is_among_all = self.noun == EVERY_NOUN && !NAMED_NOUNS.contains(&noun);
        (is_among_all || self.noun == noun) && self.access >= access
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.noun, self.access.name())
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        let no = || NoScope(text.to_owned());
        let (noun, access) = text.split_once(':').ok_or_else(no)?;
        let mut nouns = NOUNS.iter().chain(&[EVERY_NOUN]);
        let noun = nouns.find(|one| **one == noun).ok_or_else(no)?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return Err(no()),
        };
        Ok(Self { noun, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::OPERATIONS;

    fn covers(scope: &str, noun: &str, access: Access) -> bool {
        scope
            .parse::<Scope>()
            .expect("a scope")
            .covers(noun, access)
    }

    #[test]
    fn a_scope_covers_its_own_noun_and_writing_includes_reading() {
        assert!(covers("queue:read", "queue", Access::Read));
        assert!(!covers("queue:read", "queue", Access::Write));
        assert!(!covers("queue:write", "trace", Access::Read));
        assert!(covers("queue:write", "queue", Access::Read));
        assert!(covers("*:read", "trace", Access::Read));
        assert!(!covers("*:read", "trace", Access::Write));
    }

    #[test]
    fn content_and_erasing_are_for_keys_that_name_them() {
        for noun in ["content", "erase"] {
            for scope in ["*:write", "*:read", "queue:write", "trace:write"] {
                assert!(!covers(scope, noun, Access::Read), "{scope} of {noun}");
                assert!(!covers(scope, noun, Access::Write), "{scope} of {noun}");
            }
            assert!(covers(&format!("{noun}:write"), noun, Access::Write));
            assert!(!covers(&format!("{noun}:read"), noun, Access::Write));
        }
        for (path, noun) in [
            ("/queue/{id}/content", "content"),
            ("/queue/{id}/headers", "content"),
            ("/trace/{id}/content", "content"),
            ("/trace/erase", "erase"),
        ] {
            let found = OPERATIONS.iter().find(|one| one.path == path);
            let found = found.map(|one| (one.noun, one.access));
            assert_eq!(found, Some((noun, Access::Write)), "{path}");
        }
    }

    #[test]
    fn what_is_no_scope_is_said_with_those_that_are() {
        for text in [
            "",
            "queue",
            "queue:",
            "queue:delete",
            "mailboxes:read",
            ":read",
        ] {
            let error = text.parse::<Scope>().expect_err(text);
            assert!(error.to_string().contains("suppression"), "{error}");
        }
    }
}
