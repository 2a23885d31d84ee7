//! Where did the test arrive? Of mail in junk, the header fields that the receiver wrote: read
//! here, in this process, explained, and forgotten. RFC 8601.
//!
//! Nothing in them is believed: whoever pastes them is told what they say.

use crate::lang::Lang;

/// Octets that are read: header fields of one message, with room for long lists of signatures.
pub(super) const HEADERS_OCTETS_MAX: usize = 64 << 10;
/// Methods of which a person can mend the records.
const METHODS: [&str; 3] = ["spf", "dkim", "dmarc"];

/// What the receiver found, by one method.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) method: String,
    pub(super) result: String,
    pub(super) is_good: bool,
    pub(super) words: String,
}

/// By each method, in the order that one mends in; empty: the receiver wrote nothing.
pub(super) fn explain(lang: Lang, pasted: &str) -> Vec<Verdict> {
    let found = results(pasted);
    let of = |method: &str| {
        // Of several signatures one that holds is enough.
        let mut all = found.iter().filter(|(one, _)| one == method);
        let first = all.clone().next();
        all.find(|(_, result)| result == "pass").or(first)
    };
    METHODS
        .iter()
        .filter_map(|method| of(method))
        .map(|(method, result)| {
            let is_good = result == "pass";
            let key = match (method.as_str(), is_good) {
                ("spf", true) => "arrived-spf-pass",
                ("spf", false) => "arrived-spf-fail",
                ("dkim", true) => "arrived-dkim-pass",
                ("dkim", false) => "arrived-dkim-fail",
                (_, true) => "arrived-dmarc-pass",
                (_, false) => "arrived-dmarc-fail",
            };
            Verdict {
                method: method.to_uppercase(),
                result: result.clone(),
                is_good,
                words: lang.t(key),
            }
        })
        .collect()
}

/// Methods and results of the topmost field: the last server wrote it, the ones below may be
/// anybody's.
fn results(pasted: &str) -> Vec<(String, String)> {
    let cut = &pasted[..pasted.floor_char_boundary(HEADERS_OCTETS_MAX)];
    let mut field = String::new();
    for line in cut.lines() {
        let is_continued = line.starts_with([' ', '\t']);
        match (field.is_empty(), is_continued) {
            (true, false) => {
                let name = "authentication-results:";
                let is_it = line
                    .get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name));
                if is_it {
                    line[name.len()..].clone_into(&mut field);
                    field.push(' ');
                }
            }
            (false, true) => field.push_str(line),
            (true, true) => {}
            (false, false) => break,
        }
    }
    let plain = without_comments(&field);
    let parts = plain.split(';').filter_map(|part| {
        let (method, rest) = part.trim().split_once('=')?;
        let method = method.trim().to_ascii_lowercase();
        let result = rest.split_whitespace().next()?.to_ascii_lowercase();
        let is_word = result.bytes().all(|one| one.is_ascii_lowercase());
        (is_word && METHODS.contains(&method.as_str())).then_some((method, result))
    });
    parts.collect()
}

/// Comments stand in parentheses, which may be nested. RFC 5322 §3.2.2.
fn without_comments(field: &str) -> String {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for one in field.chars() {
        match one {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            other if depth == 0 => plain.push(other),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pasted: &str) -> Vec<(String, String, bool)> {
        let lang = Lang::of(Some("en"), None);
        let all = explain(lang, pasted).into_iter();
        all.map(|one| (one.method, one.result, one.is_good))
            .collect()
    }

    fn expect(pasted: &str, expected: &[(&str, &str, bool)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(method, result, good)| ((*method).into(), (*result).into(), *good))
            .collect();
        assert_eq!(told(pasted), expected, "{pasted}");
    }

    #[test]
    fn what_gmail_and_outlook_write_is_read_with_folds_and_comments() {
        let gmail = "Delivered-To: anna@example.org\r\n\
                     Authentication-Results: mx.google.com;\r\n       \
                     dkim=pass header.i=@contoso.test header.s=a;\r\n       \
                     spf=softfail (google.com: domain of scan@contoso.test (not us); no) \
                     smtp.mailfrom=scan@contoso.test;\r\n       dmarc=pass (p=NONE) \
                     header.from=contoso.test\r\nReceived: by 2002:a17\r\n";
        expect(
            gmail,
            &[
                ("SPF", "softfail", false),
                ("DKIM", "pass", true),
                ("DMARC", "pass", true),
            ],
        );
        let outlook = "authentication-results: spf=fail (sender IP is 192.0.2.1)\n \
                       smtp.mailfrom=contoso.test; dkim=none (message not signed)\n header.d=none;\
                       dmarc=fail action=none header.from=contoso.test;compauth=fail reason=001\n";
        expect(
            outlook,
            &[
                ("SPF", "fail", false),
                ("DKIM", "none", false),
                ("DMARC", "fail", false),
            ],
        );
    }

    #[test]
    fn only_the_field_that_the_last_server_wrote_counts_and_one_good_signature_is_enough() {
        let two = "Authentication-Results: mx.test; dkim=fail header.d=a.test; dkim=pass header.d=b.test\n\
                   Authentication-Results: forged.test; spf=pass; dmarc=pass\n";
        expect(two, &[("DKIM", "pass", true)]);
    }

    #[test]
    fn anything_else_says_nothing() {
        for pasted in [
            "",
            "hello",
            "Authentication-Results: mx.test; none",
            "é(((;;==",
            "Subject: spf=pass",
        ] {
            expect(pasted, &[]);
        }
        let long = format!("Authentication-Results: {}", "é".repeat(HEADERS_OCTETS_MAX));
        expect(&long, &[]);
    }
}
