//! What a server offers in its reply to EHLO or LHLO. RFC 5321 §4.1.1.1.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::reply::Reply;

use super::Extensions;

/// Most AUTH mechanisms kept. The IANA registry has some forty; servers offer up to eight.
const AUTH_MECHANISMS_MAX: usize = 32;

impl Extensions {
    /// Reads the lines behind the first, which greets. Unknown keywords are passed over.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines().iter().skip(1) {
            extensions.read_line(line);
        }
        extensions
    }

    fn read_line(&mut self, line: &str) {
        // "AUTH=LOGIN" is the form of servers from before RFC 2554; some still add it.
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            // No number, and zero, mean that there is no fixed limit. RFC 1870 §4.
            "SIZE" => {
                let limit = words.next().and_then(|word| word.parse().ok());
                self.size = Some(limit.filter(|limit| *limit > 0));
            }
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtp_utf8 = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "STARTTLS" => self.starttls = true,
            "REQUIRETLS" => self.require_tls = true,
            "AUTH" => self.read_mechanisms(words),
            "LIMITS" => self.read_limits(line),
            _ => {}
        }
    }

    fn read_mechanisms<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            let mechanism: Box<str> = word.to_ascii_uppercase().into();
            if self.auth.len() < AUTH_MECHANISMS_MAX && !self.auth.contains(&mechanism) {
                self.auth.push(mechanism);
            }
        }
    }

    /// RFC 9422: `LIMITS RCPTMAX=100 MAILMAX=10`. Zero is not allowed, and no limit to us.
    fn read_limits(&mut self, line: &str) {
        let parameters: Vec<(&str, u32)> = line
            .split(' ')
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .filter(|(_, value)| *value > 0)
            .collect();
        for (name, value) in parameters {
            if name.eq_ignore_ascii_case("RCPTMAX") {
                self.recipients_max = Some(value);
            } else if name.eq_ignore_ascii_case("MAILMAX") {
                self.transactions_max = Some(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyCode;
    use std::vec;

    fn read(lines: &[&'static str]) -> Extensions {
        let code = ReplyCode::new(250).expect("a reply code");
        Extensions::read(&Reply::plain(
            code,
            lines.iter().map(|line| (*line).into()).collect(),
        ))
    }

    #[test]
    fn the_greeting_line_offers_nothing() {
        assert_eq!(read(&["PIPELINING"]), Extensions::default());
        assert_eq!(
            read(&["mx.example.org", "", "X-UNKNOWN a b", "="]),
            Extensions::default()
        );
    }

    #[test]
    fn every_extension_is_read_in_any_case() {
        let all = read(&[
            "mx.example.org greets relay.contoso.test",
            "pipelining",
            "Size 52428800",
            "8bitmime",
            "SMTPUTF8",
            "CHUNKING",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "STARTTLS",
            "REQUIRETLS",
            "AUTH plain LOGIN",
            "AUTH=LOGIN XOAUTH2",
            "LIMITS RCPTMAX=100 MAILMAX=10 RCPTDOMAINMAX=5",
        ]);
        let expected = Extensions {
            pipelining: true,
            size: Some(Some(52_428_800)),
            eight_bit_mime: true,
            smtp_utf8: true,
            chunking: true,
            dsn: true,
            enhanced_status_codes: true,
            starttls: true,
            require_tls: true,
            auth: vec!["PLAIN".into(), "LOGIN".into(), "XOAUTH2".into()],
            recipients_max: Some(100),
            transactions_max: Some(10),
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn size_without_a_usable_number_is_no_limit() {
        for line in [
            "SIZE",
            "SIZE 0",
            "SIZE many",
            "SIZE 99999999999999999999999",
        ] {
            assert_eq!(read(&["mx", line]).size, Some(None), "{line}");
        }
        assert_eq!(
            read(&["mx", "LIMITS RCPTMAX=0 MAILMAX=x"]),
            Extensions::default()
        );
    }
}
