//! Reading replies, of one line or several (RFC 5321 §4.2.1), from octets that come in any pieces.
//!
//! Tolerated: lines longer than the 512 octets of RFC 5321 §4.5.3.1.5, a bare LF as line end,
//! octets that are no UTF-8, different codes of one class in one reply (the last counts). What
//! people could mistake or terminals could obey is made harmless here, once, before anything stores
//! or shows it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::reply::{EnhancedStatus, Reply, ReplyCode};
use crate::safe;

/// Longest line that we read, in octets with its line end. RFC 5321 §4.5.3.1.5 allows 512; long
/// explanations with links exist, and Postfix reads 2,048.
pub const REPLY_READ_LINE_OCTETS_MAX: usize = 4_096;
/// Most lines of one reply. An EHLO reply of 40 lines is the longest seen.
pub const REPLY_LINES_MAX: usize = 128;
/// Longest reply in octets, all lines together: 128 lines of 512.
pub const REPLY_OCTETS_MAX: usize = 65_536;

/// What came is no reply, or too much of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Garbage;

/// The part of a reply that has come so far.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    line: Vec<u8>,
    code: Option<ReplyCode>,
    status: Option<EnhancedStatus>,
    lines: Vec<Cow<'static, str>>,
    octets: usize,
}

impl ReplyReader {
    /// Reads up to the end of one reply; takes what it read from `input`. `None`: all is read, and
    /// the reply is not complete.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Garbage> {
        while let Some(end) = memchr::memchr(b'\n', input) {
            let (line, rest) = input.split_at(end + 1);
            *input = rest;
            let complete = if self.line.is_empty() {
                self.take_line(line)?
            } else {
                let mut whole = core::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take_line(&whole)?
            };
            if complete {
                return Ok(self.take_reply());
            }
        }
        if self.line.len() + input.len() > REPLY_READ_LINE_OCTETS_MAX {
            return Err(Garbage);
        }
        self.line.extend_from_slice(input);
        *input = &[];
        Ok(None)
    }

    /// Whether a reply has begun and is not complete.
    pub(super) fn is_within_reply(&self) -> bool {
        !self.line.is_empty() || self.code.is_some()
    }

    /// One line with its line end; whether it was the last of its reply.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, Garbage> {
        self.octets += line.len();
        let too_much = line.len() > REPLY_READ_LINE_OCTETS_MAX
            || self.octets > REPLY_OCTETS_MAX
            || self.lines.len() >= REPLY_LINES_MAX;
        if too_much {
            return Err(Garbage);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let code = read_code(line).ok_or(Garbage)?;
        if self
            .code
            .is_some_and(|first| first.get() / 100 != code.get() / 100)
        {
            return Err(Garbage);
        }
        let last = match line.get(3) {
            None | Some(b' ') => true,
            Some(b'-') => false,
            Some(_) => return Err(Garbage),
        };
        self.code = Some(code);
        self.take_text(line.get(4..).unwrap_or_default(), code);
        Ok(last)
    }

    /// The text behind the code. Each line may repeat the enhanced status code (RFC 2034 §4); it
    /// counts if its class is that of the reply code.
    fn take_text(&mut self, text: &[u8], code: ReplyCode) {
        let text = safe::printable_octets(text);
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let status = EnhancedStatus::parse(word)
            .filter(|status| u16::from(status.class) == code.get() / 100)
            .filter(|status| self.status.is_none_or(|first| first == *status));
        let text = match status {
            Some(_) => String::from(rest.trim()),
            None => String::from(text.trim()),
        };
        self.status = self.status.or(status);
        self.lines.push(Cow::Owned(text));
    }

    fn take_reply(&mut self) -> Option<Reply> {
        let lines = core::mem::take(&mut self.lines);
        let status = self.status.take();
        self.octets = 0;
        Some(Reply::with_lines(self.code.take()?, status, lines))
    }
}

fn read_code(line: &[u8]) -> Option<ReplyCode> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'));
    ReplyCode::new(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn read_all(octets: &[u8]) -> Result<Vec<Reply>, Garbage> {
        let mut reader = ReplyReader::default();
        let mut rest = octets;
        let mut replies = Vec::new();
        while !rest.is_empty() {
            replies.extend(reader.read(&mut rest)?);
        }
        Ok(replies)
    }

    #[test]
    fn what_is_no_reply_is_garbage() {
        let cases: &[&[u8]] = &[
            b"hello\r\n",
            b"\r\n",
            b"25\r\n",
            b"2x0 ok\r\n",
            b"250_ok\r\n",
            b"2500 ok\r\n",
            b"150 ok\r\n",
            b"600 ok\r\n",
            b"000 ok\r\n",
            b"250-ok\r\n550 no\r\n",
            b"250-ok\r\nno\r\n",
            b"\xff\xfe\xfd\r\n",
        ];
        for case in cases {
            assert_eq!(
                read_all(case),
                Err(Garbage),
                "{:?}",
                case.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_reply_is_bounded_in_line_length_lines_and_octets() {
        let long = |octets: usize| [b"250 ".as_slice(), &std::vec![b'a'; octets], b"\r\n"].concat();
        assert!(read_all(&long(REPLY_READ_LINE_OCTETS_MAX - 6)).is_ok());
        assert_eq!(
            read_all(&long(REPLY_READ_LINE_OCTETS_MAX - 5)),
            Err(Garbage)
        );
        assert_eq!(
            read_all(&[b'2'; REPLY_READ_LINE_OCTETS_MAX + 1]),
            Err(Garbage)
        );
        let lines = |count: usize| ["250-a\r\n".repeat(count - 1), "250 b\r\n".into()].concat();
        assert_eq!(
            read_all(lines(REPLY_LINES_MAX).as_bytes()).map(|all| all.len()),
            Ok(1)
        );
        assert_eq!(
            read_all(lines(REPLY_LINES_MAX + 1).as_bytes()),
            Err(Garbage)
        );
        let wide = [b"250-".as_slice(), &[b'a'; 1_018], b"\r\n"].concat();
        assert!(read_all(&wide.repeat(64)).is_ok());
        assert_eq!(read_all(&wide.repeat(65)), Err(Garbage));
    }

    #[test]
    fn replies_are_read_with_their_status_and_lines() {
        type Row = (&'static [u8], &'static str, Option<(u8, u16, u16)>);
        let cases: &[Row] = &[
            (b"250\r\n", "250 ", None),
            (b"250 \r\n", "250 ", None),
            (b"250 ok\n", "250 ok", None),
            (b"250 2.1.5 ok\r\n", "250 2.1.5 ok", Some((2, 1, 5))),
            (b"550 2.1.5 odd\r\n", "550 2.1.5 odd", None),
            (
                b"550-5.1.1 no\r\n550 5.1.1 such user\r\n",
                "550 5.1.1 no such user",
                Some((5, 1, 1)),
            ),
            (
                b"550-5.1.1 no\r\n550 such user\r\n",
                "550 5.1.1 no such user",
                Some((5, 1, 1)),
            ),
            (
                b"550-no\r\n554 5.7.1 way\r\n",
                "554 5.7.1 no way",
                Some((5, 7, 1)),
            ),
            (b"554 5.7.1\r\n", "554 5.7.1 ", Some((5, 7, 1))),
        ];
        for (octets, shown, status) in cases {
            let replies = read_all(octets).expect(shown);
            assert_eq!(replies[0].to_string(), *shown);
            let read = replies[0].status().map(|s| (s.class, s.subject, s.detail));
            assert_eq!(read, *status, "{shown}");
        }
    }

    #[test]
    fn hostile_text_is_printable() {
        let octets = b"550 a\x1b[31m\x00\rb \xc3\xa9 \xff \xe2\x80\xae evil\t.\r\n";
        let text = read_all(octets).expect("a reply")[0].text();
        assert_eq!(text, "a?[31m??b \u{e9} \u{fffd} ? evil .");
    }

    #[test]
    fn a_reply_may_come_octet_by_octet() {
        let mut reader = ReplyReader::default();
        let octets = b"250-first\r\n250 2.0.0 second\r\n";
        let mut replies = Vec::new();
        for octet in octets.chunks(1) {
            replies.extend(reader.read(&mut &*octet).expect("no garbage"));
            assert_eq!(reader.is_within_reply(), replies.is_empty());
        }
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].to_string(), "250 2.0.0 first second");
    }
}
