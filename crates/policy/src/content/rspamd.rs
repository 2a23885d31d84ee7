//! `/checkv2` of Rspamd: the request's head out, the answer in.
//!
//! HTTP/1.0 (RFC 1945), so that the answer comes whole and ends with the connection: what is asked
//! is one message, once. What it is told beside the content goes in header fields of the request
//! (Rspamd documentation, *Protocol*).
//!
//! A known client is never greylisted: *greylist* lets pass, and so says the trace. Nothing is
//! dropped after a 250: *discard* and *quarantine* hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use super::{CheckFacts, CheckFault, Opinion, Verdict};

/// Longest answer: a score of hundreds of symbols with options.
pub const ANSWER_OCTETS_MAX: usize = 1 << 20;
/// Symbols that are told: those with the greatest share in the score.
const SYMBOLS_TOLD: usize = 5;
/// Recipients that it is told of: more do not change the score.
const RECIPIENTS_TOLD: usize = 100;

/// The head of the request for a message.
pub fn request_head(facts: &CheckFacts) -> String {
    let mut head = format!(
        "POST /checkv2 HTTP/1.0\r\nHost: rspamd\r\nContent-Length: {}\r\nConnection: close\r\n",
        facts.size
    );
    let mut put = |name: &str, value: &str| {
        // Chosen by the client: no line of its own.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        let _ = write!(head, "{name}: {value}\r\n");
    };
    put("IP", &facts.address.to_string());
    put("Helo", &facts.helo);
    put("Queue-Id", &facts.queue_id);
    put("MTA-Name", &facts.hostname);
    put("From", &facts.from);
    for to in facts.to.iter().take(RECIPIENTS_TOLD) {
        put("Rcpt", to);
    }
    if let Some(user) = &facts.user {
        put("User", user);
    }
    head.push_str("\r\n");
    head
}

/// What it found.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    action: String,
    #[serde(default)]
    score: f64,
    #[serde(default)]
    required_score: f64,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
}

#[derive(Clone, Debug, Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f64,
}

/// The JSON in its answer.
///
/// # Errors
/// If it refuses to answer, or broke off.
pub fn body(octets: &[u8]) -> Result<&str, CheckFault> {
    let text = std::str::from_utf8(octets)
        .map_err(|_| CheckFault::Protocol("its answer is no UTF-8".to_owned()))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(CheckFault::Broken)?;
    let status = head.lines().next().unwrap_or_default();
    let mut words = status.split(' ');
    let (version, code) = (words.next().unwrap_or_default(), words.next());
    if !version.starts_with("HTTP/1.") || code != Some("200") {
        let status: String = status.chars().take(80).collect();
        return Err(CheckFault::Protocol(format!("it says {status:?}")));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("Content-Length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) => body.get(..length).ok_or(CheckFault::Broken),
        None => Ok(body),
    }
}

/// What follows from what it found.
pub fn opinion(found: &Found) -> Opinion {
    let verdict = match found.action.as_str() {
        "reject" => Verdict::Refuse,
        "soft reject" => Verdict::Later,
        "discard" | "quarantine" => Verdict::Hold,
        _ => Verdict::Pass,
    };
    let mut words = format!(
        "{}, {:.1} of {:.1}",
        found.action, found.score, found.required_score
    );
    let mut symbols: Vec<_> = found.symbols.iter().collect();
    symbols.sort_by(|one, other| other.1.score.abs().total_cmp(&one.1.score.abs()));
    let told = symbols
        .iter()
        .take(SYMBOLS_TOLD)
        .map(|(name, _)| name.as_str());
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        let _ = write!(words, " ({})", told.join(" "));
    }
    let mut opinion = Opinion::of(verdict, words);
    if matches!(found.action.as_str(), "add header" | "rewrite subject") {
        let mut put = |name: &str, value: String| opinion.fields.push((name.to_owned(), value));
        put("X-Spam-Flag", "YES".to_owned());
        put("X-Spam-Score", format!("{:.1}", found.score));
    }
    opinion
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(action: &str) -> Opinion {
        opinion(&Found {
            action: action.to_owned(),
            score: 16.24,
            required_score: 15.0,
            symbols: [("SMALL", 0.1), ("GTUBE", 15.0), ("NEGATIVE", -1.0)]
                .map(|(name, score)| (name.to_owned(), Symbol { score }))
                .into(),
        })
    }

    #[test]
    fn each_action_has_its_verdict_and_the_greatest_symbols_are_told() {
        let verdict = |action| found(action).verdict;
        assert_eq!(verdict("no action"), Verdict::Pass);
        assert_eq!(verdict("greylist"), Verdict::Pass);
        assert_eq!(verdict("add header"), Verdict::Pass);
        assert_eq!(verdict("soft reject"), Verdict::Later);
        assert_eq!(verdict("discard"), Verdict::Hold);
        assert_eq!(verdict("reject"), Verdict::Refuse);
        assert_eq!(
            found("reject").words,
            "reject, 16.2 of 15.0 (GTUBE NEGATIVE SMALL)"
        );
        assert_eq!(found("add header").fields.len(), 2);
        assert_eq!(found("no action").fields.len(), 0);
    }

    #[test]
    fn an_answer_that_is_none_is_a_fault() {
        let answer = |text: &'static str| body(text.as_bytes());
        assert_eq!(
            answer("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}rest"),
            Ok("{}")
        );
        assert_eq!(answer("HTTP/1.0 200 OK\r\n\r\n{}"), Ok("{}"));
        assert_eq!(
            answer("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n{}"),
            Err(CheckFault::Broken)
        );
        assert_eq!(answer(""), Err(CheckFault::Broken));
        for wrong in ["HTTP/1.1 404 Not found\r\n\r\n{}", "stream: OK\r\n\r\n"] {
            assert!(matches!(answer(wrong), Err(CheckFault::Protocol(_))));
        }
    }

    #[test]
    fn a_client_cannot_put_lines_into_the_request() {
        let facts = CheckFacts {
            address: [192, 0, 2, 1].into(),
            helo: "x\r\nUser: admin".to_owned(),
            hostname: "relay.test".to_owned(),
            queue_id: "abc".to_owned(),
            from: "a@b.test".to_owned(),
            to: vec!["c@d.test".to_owned(); 1_000],
            user: None,
            size: 42,
        };
        let head = request_head(&facts);
        assert!(head.starts_with("POST /checkv2 HTTP/1.0\r\n") && head.ends_with("\r\n\r\n"));
        assert!(head.contains("\r\nContent-Length: 42\r\n"), "{head}");
        assert!(!head.contains("\r\nUser:"), "{head}");
        assert_eq!(head.matches("\r\nRcpt: ").count(), RECIPIENTS_TOLD);
    }
}
