//! A reply: code, enhanced status code and text; written by us, read from others.
//!
//! The catalogue of refusals stands in [`crate::refusal`]; the one reply that promises something is
//! [`Reply::accepted`].

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::identifier::QueueId;

/// Longest reply line with CRLF, in octets. RFC 5321 §4.5.3.1.5.
pub const REPLY_LINE_OCTETS_MAX: usize = 512;

/// Three digits, 200 to 599. RFC 5321 §4.2.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// From its number; `None` outside 200 to 599.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// 2yz.
    pub const fn is_positive(self) -> bool {
        self.0 < 300
    }

    /// 3yz.
    pub const fn is_intermediate(self) -> bool {
        self.0 >= 300 && self.0 < 400
    }

    /// 4yz: try again.
    pub const fn is_transient(self) -> bool {
        self.0 >= 400 && self.0 < 500
    }

    /// 5yz: do not try again.
    pub const fn is_permanent(self) -> bool {
        self.0 >= 500
    }
}

/// Enhanced status code, `5.7.1`. RFC 3463 §2.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EnhancedStatus {
    /// 2, 4 or 5.
    pub class: u8,
    /// What the trouble is about, 0 to 999.
    pub subject: u16,
    /// The trouble, 0 to 999.
    pub detail: u16,
}

impl EnhancedStatus {
    /// `class.subject.detail`.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self {
            class,
            subject,
            detail,
        }
    }

    /// Reads `5.7.1`; `None` if it is not of that form. RFC 3463 §2.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = parts
            .next()?
            .parse()
            .ok()
            .filter(|class| matches!(class, 2 | 4 | 5))?;
        let mut number = || -> Option<u16> {
            let part = parts.next()?;
            let digits =
                !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
            if digits { part.parse().ok() } else { None }
        };
        let (subject, detail) = (number()?, number()?);
        parts.next().is_none().then_some(Self {
            class,
            subject,
            detail,
        })
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One reply, of one line or several. `Display` gives it on one line, without CRLF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    code: ReplyCode,
    status: Option<EnhancedStatus>,
    lines: Vec<Cow<'static, str>>,
    /// The session ends with it, though its code does not say so.
    is_last: bool,
}

impl Reply {
    /// A reply of one line with an enhanced status code.
    pub fn new(
        code: ReplyCode,
        status: EnhancedStatus,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            status: Some(status),
            lines: alloc::vec![text.into()],
            is_last: false,
        }
    }

    /// A reply without an enhanced status code: greeting, EHLO, 354. RFC 2034 §4.
    pub fn plain(code: ReplyCode, lines: Vec<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: None,
            lines,
            is_last: false,
        }
    }

    /// A reply of several lines that all have the same codes, as read from a server.
    pub fn with_lines(
        code: ReplyCode,
        status: Option<EnhancedStatus>,
        lines: Vec<Cow<'static, str>>,
    ) -> Self {
        Self {
            code,
            status,
            lines,
            is_last: false,
        }
    }

    /// The promise: `250 2.0.0 Queued as <queue id>`. Called in one place of the workspace,
    /// `receive/src/accept.rs`, from the store's proof of commit.
    pub fn accepted(queue_id: QueueId) -> Self {
        Self::new(
            ReplyCode(250),
            EnhancedStatus::new(2, 0, 0),
            format!("Queued as {queue_id}"),
        )
    }

    /// The session ends with this reply, whatever its code.
    pub fn and_close(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// Whether the session ends with this reply: 421 (RFC 5321 §3.8), 521 (RFC 7504 §3), and what
    /// was made with [`Reply::and_close`].
    pub fn closes(&self) -> bool {
        self.is_last || matches!(self.code.0, 421 | 521)
    }

    /// The three digits.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code, if it has one.
    pub fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// The text of each line, without codes.
    pub fn lines(&self) -> &[Cow<'static, str>] {
        &self.lines
    }

    /// The text on one line, lines joined by a space.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Appends the reply as it goes on the wire, each line with CRLF.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // A reply without text is still a reply: the peer waits for it.
        if self.lines.is_empty() {
            out.extend_from_slice(format!("{} \r\n", self.code.0).as_bytes());
        }
        let last = self.lines.len().saturating_sub(1);
        for (number, line) in self.lines.iter().enumerate() {
            let separator = if number == last { ' ' } else { '-' };
            let head = match self.status {
                Some(status) => format!("{}{separator}{status} ", self.code.0),
                None => format!("{}{separator}", self.code.0),
            };
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Reads back what [`fmt::Display`] wrote, for stored replies.
    pub fn parse_stored(text: &str) -> Option<Self> {
        let code = ReplyCode::new(text.get(..3)?.parse().ok()?)?;
        let rest = text.get(3..)?.trim_start();
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let (status, text) = match EnhancedStatus::parse(word) {
            Some(status) => (Some(status), after),
            None => (None, rest),
        };
        Some(Self {
            code,
            status,
            lines: alloc::vec![Cow::Owned(text.to_owned())],
            is_last: false,
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code.0)?;
        if let Some(status) = self.status {
            write!(formatter, " {status}")?;
        }
        for line in &self.lines {
            write!(formatter, " {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;

    use super::*;

    fn wire(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn code(number: u16) -> ReplyCode {
        ReplyCode::new(number).expect("a reply code")
    }

    #[test]
    fn numbers_that_are_no_reply_code_are_none() {
        for number in [0, 99, 199, 600, 1_000] {
            assert_eq!(ReplyCode::new(number), None);
        }
        let classes = |number| {
            let code = code(number);
            [
                code.is_positive(),
                code.is_intermediate(),
                code.is_transient(),
                code.is_permanent(),
            ]
        };
        assert_eq!(classes(250), [true, false, false, false]);
        assert_eq!(classes(354), [false, true, false, false]);
        assert_eq!(classes(421), [false, false, true, false]);
        assert_eq!(classes(556), [false, false, false, true]);
    }

    #[test]
    fn texts_that_are_no_enhanced_status_code_are_none() {
        for text in [
            "", "5", "5.7", "5.7.", "5..1", "3.7.1", "5.7.1.2", "5.7.1000", "5.+7.1", "55.7.1",
            "5.7.x",
        ] {
            assert_eq!(EnhancedStatus::parse(text), None, "{text:?}");
        }
        assert_eq!(
            EnhancedStatus::parse("5.7.606"),
            Some(EnhancedStatus::new(5, 7, 606))
        );
        assert_eq!(EnhancedStatus::new(4, 4, 2).to_string(), "4.4.2");
    }

    #[test]
    fn each_line_of_a_reply_has_its_code_and_only_the_last_a_space() {
        let lines = vec!["a".into(), "b".into()];
        let reply = Reply::with_lines(code(250), Some(EnhancedStatus::new(2, 0, 0)), lines.clone());
        assert_eq!(wire(&reply), "250-2.0.0 a\r\n250 2.0.0 b\r\n");
        assert_eq!(wire(&Reply::plain(code(250), lines)), "250-a\r\n250 b\r\n");
        assert_eq!(wire(&Reply::plain(code(220), vec![])), "220 \r\n");
    }

    #[test]
    fn a_stored_reply_is_read_back() {
        for text in ["550 5.7.1 no (X 7F3K2)", "250 ok", "451 4.3.0 ", "220 "] {
            let reply = Reply::parse_stored(text).expect("a reply");
            assert_eq!(reply.to_string().trim_end(), text.trim_end());
        }
        for text in ["", "55", "abc x", "199 x", "é50 x"] {
            assert_eq!(Reply::parse_stored(text), None, "{text:?}");
        }
    }
}
