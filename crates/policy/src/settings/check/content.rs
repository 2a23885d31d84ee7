//! `content` of a connector and `inbound_content` of an organisation: forms and bounds.

use std::ops::RangeInclusive;

use crate::document::{CONTENT_DAYS_MAX, ContentPolicy};

use super::{Checker, is_short_name};

/// Content checkers of one message: each reads all of it.
const CONTENT_CHECKS_MAX: usize = 8;
/// The client waits meanwhile, ten minutes at least (RFC 5321 §4.5.3.2.6); devices less.
const CONTENT_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=120;
/// Entries of `forbidden_extensions`, and of `forbidden_types`.
const FORBIDDEN_KINDS_MAX: usize = 200;

impl Checker {
    /// `content` or `inbound_content`. Which checkers there are, the settings do not know.
    pub(super) fn content(&mut self, object: &str, policy: &ContentPolicy) {
        self.count(object, "checks", policy.checks.len(), CONTENT_CHECKS_MAX);
        for name in &policy.checks {
            if !is_short_name(name, 63) {
                let message = format!(
                    "checks: {name:?} is no name of a content checker; write 1 to 63 of a-z, 0-9, -"
                );
                self.error(object, message);
            }
        }
        if !CONTENT_TIMEOUT_SECONDS.contains(&policy.timeout.0) {
            self.error(object, "timeout must be 1s to 2m".to_owned());
        }
        for (key, list) in [
            ("forbidden_extensions", &policy.forbidden_extensions),
            ("forbidden_types", &policy.forbidden_types),
        ] {
            self.count(object, key, list.len(), FORBIDDEN_KINDS_MAX);
        }
        for extension in &policy.forbidden_extensions {
            if !is_extension(extension) {
                let message = format!(
                    "forbidden_extensions: {extension:?} is no ending; write \"exe\" or \".exe\""
                );
                self.error(object, message);
            }
        }
        for kind in &policy.forbidden_types {
            if !is_media_type(kind) {
                let message = format!(
                    "forbidden_types: {kind:?} is no type; write \"video/mp4\" or \"video/*\""
                );
                self.error(object, message);
            }
        }
    }
}

impl Checker {
    /// `content_days` of an organisation or a connector.
    pub(super) fn content_days(&mut self, object: &str, days: Option<u32>) {
        if days.is_some_and(|days| days > CONTENT_DAYS_MAX) {
            let message = format!("content_days must be 0 to {CONTENT_DAYS_MAX}");
            self.error(object, message);
        }
    }
}

/// `exe`, `.tar.gz`.
fn is_extension(text: &str) -> bool {
    let letters = text.strip_prefix('.').unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'"');
    (1..=32).contains(&letters.len()) && letters.bytes().all(allowed)
}

/// `video/mp4`, `video/*`. RFC 2045 §5.1.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        (1..=127).contains(&part.len()) && part.bytes().all(allowed)
    };
    text.split_once('/')
        .is_some_and(|(main, sub)| is_token(main) && (sub == "*" || is_token(sub)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_and_types_are_told_from_other_texts() {
        for right in ["exe", ".exe", "tar.gz", "7z"] {
            assert!(is_extension(right), "{right}");
        }
        for wrong in ["", ".", "*.exe", "a b", "a/b", "\u{e9}xe"] {
            assert!(!is_extension(wrong), "{wrong}");
        }
        for right in [
            "video/mp4",
            "video/*",
            "application/vnd.ms-excel.sheet.macroEnabled.12",
        ] {
            assert!(is_media_type(right), "{right}");
        }
        for wrong in [
            "",
            "video",
            "*/*",
            "video/",
            "/mp4",
            "video/mp4; x=1",
            "a/b/c",
        ] {
            assert!(!is_media_type(wrong), "{wrong}");
        }
    }
}
