//! What can be seen of an event in its JSON at a glance: taking it apart costs many times as much,
//! and most of what the index proposes does not fit.
//!
//! A glance only excludes, as marks do (`marks.rs`): what it lets pass is taken apart and judged.
//! It relies on how `json.rs` writes: fields without spaces, and no quotation mark within a text
//! without a reverse solidus before it, so that `"size":` stands nowhere but in front of the size.

use std::net::IpAddr;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;

use super::TraceTerm;
use super::query::values::{
    AddressPattern, ClientTest, Comparison, Test, TlsTest, tls_version, within,
};

/// See the sign on the door.
pub(crate) struct Glance(Seen);

enum Seen {
    /// A text in lower case that stands there, in some case.
    Text(String),
    Size(Comparison, u64),
    /// In milliseconds.
    Delay(Comparison, u64),
    Tls(TlsTest),
    Network(IpAddr, u8),
}

impl Glance {
    /// What every event that fits shows; `None`: nothing is known.
    pub(crate) fn of_term(term: &TraceTerm) -> Option<Self> {
        Seen::of_term(term).map(Self)
    }

    /// Whether an event may fit, by its JSON or by the lines that tell of it (`delta.rs`), the
    /// nearest first.
    pub(crate) fn may_fit(&self, lines: &[&str]) -> bool {
        self.0.may_fit(lines)
    }
}

impl Seen {
    fn of_term(term: &TraceTerm) -> Option<Self> {
        let pattern = match term.test() {
            Test::To(AddressPattern::Null)
            | Test::From(AddressPattern::Null)
            | Test::Addresses(_) => return None,
            test if test.is_partly() => return None,
            Test::Delay(comparison, millis) => return Some(Self::Delay(*comparison, *millis)),
            Test::To(AddressPattern::Part(part)) | Test::From(AddressPattern::Part(part)) => {
                return unescaped_part(part).map(Self::Text);
            }
            Test::Status(word) => return Some(Self::Text(format!("\"status\":\"{word}\""))),
            Test::Client(ClientTest::Network(address, length)) => {
                return Some(Self::Network(*address, *length));
            }
            Test::Size(comparison, size) => return Some(Self::Size(*comparison, *size)),
            Test::Tls(test) => return Some(Self::Tls(test.clone())),
            Test::To(AddressPattern::Whole(pattern))
            | Test::From(AddressPattern::Whole(pattern))
            | Test::Client(ClientTest::Name(pattern))
            | Test::Connector(pattern)
            | Test::Code(pattern)
            | Test::Reference(pattern)
            | Test::Token(pattern)
            | Test::Subject(pattern)
            | Test::Event(pattern)
            | Test::Id(pattern)
            | Test::MessageId(pattern)
            | Test::Organisation(pattern)
            | Test::Text(pattern) => pattern,
        };
        unescaped_part(&pattern.text).map(Self::Text)
    }

    fn may_fit(&self, lines: &[&str]) -> bool {
        match self {
            // What another line has in its place is looked at for nothing, and no harm.
            Self::Text(needle) => lines
                .iter()
                .any(|line| contains_in_any_case(line, needle) || hides_ascii(line)),
            Self::Size(comparison, wanted) => behind(lines, "\"size\":").is_none_or(|rest| {
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                match &rest[..end] {
                    "null" => false,
                    number => number
                        .parse::<u64>()
                        .map_or(true, |size| comparison.holds(&size, wanted)),
                }
            }),
            Self::Delay(comparison, wanted) => {
                delay_in(lines).is_none_or(|delay| comparison.holds(&delay, wanted))
            }
            Self::Tls(test) => behind(lines, "\"tls\":").is_none_or(|rest| tls_may_fit(test, rest)),
            Self::Network(network, length) => behind(lines, "\"client\":").is_none_or(|rest| {
                let address = text_behind(rest, "{\"address\":\"");
                match address.map(str::parse::<IpAddr>) {
                    Some(Ok(address)) => within(address, *network, *length),
                    _ => !rest.starts_with("null"),
                }
            }),
        }
    }
}

/// From the beginning of the message to the event, as `delay_of` has it; `None`: not seen.
fn delay_in(lines: &[&str]) -> Option<u64> {
    let time = text_behind(behind(lines, "\"time\":")?, "\"").and_then(Timestamp::parse_rfc3339)?;
    let id = text_behind(behind(lines, "\"queue_id\":")?, "\"")?;
    let id: QueueId = id.parse().ok()?;
    u64::try_from(time.since(id.created_at()).as_millis()).ok()
}

fn tls_may_fit(test: &TlsTest, rest: &str) -> bool {
    let is_clear = rest.starts_with("null");
    match test {
        TlsTest::None => is_clear,
        _ if is_clear => false,
        TlsTest::Version(comparison, wanted) => {
            let version = text_behind(rest, "{\"version\":\"").and_then(tls_version);
            version.is_none_or(|version| comparison.holds(&version, wanted))
        }
        TlsTest::Verified(word) => {
            let verified = behind(&[rest], "\"verified\":\"");
            verified.is_none_or(|verified| verified.starts_with(word))
        }
    }
}

/// What stands behind a field's name, in the first line that has it.
fn behind<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| {
        let place = memchr::memmem::find(line.as_bytes(), name.as_bytes())?;
        line.get(place + name.len()..)
    })
}

/// The text that begins right behind this.
fn text_behind<'a>(rest: &'a str, start: &str) -> Option<&'a str> {
    let text = rest.strip_prefix(start)?;
    text.find('"').map(|end| &text[..end])
}

/// The longest part that is ASCII and written in JSON as it is.
fn unescaped_part(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii() && !c.is_ascii_control() && c != '"' && c != '\\';
    let part = text.split(|c| !plain(c)).max_by_key(|part| part.len())?;
    (!part.is_empty()).then(|| part.to_owned())
}

/// Whether a text contains another, given in lower case; ASCII letters in any case.
fn contains_in_any_case(text: &str, needle: &str) -> bool {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    // The rarest letter is looked for, the others are compared where it stands.
    let place = (0..needle.len()).max_by_key(|place| rarity(needle[*place]));
    let Some(place) = place else {
        return true;
    };
    let Some(last_start) = text.len().checked_sub(needle.len()) else {
        return false;
    };
    let letter = needle[place];
    let (lower, upper) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, &text[place..=last_start + place])
        .any(|start| text[start..start + needle.len()].eq_ignore_ascii_case(needle))
}

/// Letters that are none of ASCII, and in lower case are or begin with one: Kelvin and İ.
const HIDING: [&str; 2] = ["\u{212a}", "\u{130}"];

/// Whether a text has more letters of ASCII in lower case than it shows.
fn hides_ascii(text: &str) -> bool {
    let has = |letter: &&str| memchr::memmem::find(text.as_bytes(), letter.as_bytes()).is_some();
    !text.is_ascii() && HIDING.iter().any(has)
}

/// How seldom a letter stands in the JSON of an event, about.
fn rarity(letter: u8) -> u8 {
    match letter {
        b'j' | b'q' | b'x' | b'z' | b'@' | b'+' | b'%' => 4,
        b'w' | b'k' | b'y' | b'g' | b'f' | b'<' | b'(' | b'/' => 3,
        b'b' | b'h' | b'v' | b'u' | b'7'..=b'9' => 2,
        b'd' | b'l' | b'p' | b'm' | b'3'..=b'6' => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::trace::delta::{self, lines_of};
    use crate::trace::{ClientSummary, Event, EventKind, TlsSummary, To, TraceQuery};

    fn event(size: Option<u64>, tls: Option<(&str, &str)>, client: Option<[u8; 4]>) -> Event {
        Event {
            // What a stranger writes must not be taken for a field of ours.
            subject: Some(r#""size":1,"tls":null,"client":null"#.into()),
            size,
            tls: tls.map(|(version, verified)| {
                Arc::new(TlsSummary {
                    version: version.into(),
                    cipher: "TLS13_AES_128_GCM_SHA256".into(),
                    verified: verified.into(),
                })
            }),
            client: client.map(|address| {
                Arc::new(ClientSummary {
                    address: address.into(),
                    helo: Some(r#""size":1"#.into()),
                    credential: None,
                    certificate: None,
                })
            }),
            queue_id: size.map(|size| QueueId::new(ACCEPTED, 0, (size & 0xfff) as u16)),
            to: Some(match tls {
                None => To::Many(Vec::new()),
                Some(_) => To::One("anna@example.org".into()),
            }),
            ..Event::new(
                ACCEPTED.after(Duration::from_millis(size.unwrap_or(0) % 1_000_000)),
                EventKind::MessageAccepted,
            )
        }
    }

    const ACCEPTED: Timestamp = Timestamp::from_millis(1_796_032_800_000);

    #[test]
    fn a_glance_excludes_what_does_not_fit_and_never_what_does() {
        let sizes = [None, Some(0), Some(99), Some(12_000_000), Some(u64::MAX)];
        let encrypted = [
            None,
            Some(("1.0", "no")),
            Some(("1.3", "dane")),
            Some(("1.2", "name")),
            Some(("of tomorrow", "nobody knows")),
        ];
        let clients = [None, Some([10, 1, 0, 42]), Some([10, 9, 0, 1])];
        let other = event(Some(4_096), Some(("1.1", "chain")), Some([10, 8, 0, 1]));
        let (mut passed, mut kept_back) = (0, 0);
        for text in [
            "size:>10mb",
            "size:<100",
            "size:99",
            "size:<=0",
            "size:>100mb",
            "tls:none",
            "tls:<1.2",
            "tls:1.3",
            "tls:>=1.2",
            "tls:dane",
            "tls:name",
            "tls:no",
            "delay:>1s",
            "delay:<=99s",
            "client:10.1.0.0/16",
            "client:10.9.0.1",
            "client:0.0.0.0/0",
            "client:2001:db8::/32",
            "status:accepted",
            "status:failed",
            "event:message.*",
        ] {
            let query = TraceQuery::parse(text).expect("a search");
            let glance = Glance::of_term(&query.terms[0]).expect("something is seen");
            for size in sizes {
                for tls in encrypted {
                    for client in clients {
                        let event = event(size, tls, client);
                        let json = event.to_json();
                        let may = glance.may_fit(&[&json]);
                        let fits = query.matches(&event);
                        assert!(may || !fits, "{text} {event:?}");
                        let group = lines_of([&other, &event].into_iter());
                        let (other, told) = group.split_once('\n').expect("two lines");
                        assert!(delta::back_of(told).is_some(), "or this shows nothing");
                        assert!(glance.may_fit(&[told, other]) || !fits, "{text} {group}");
                        passed += u32::from(may && !fits);
                        kept_back += u32::from(!may);
                    }
                }
            }
        }
        assert!(kept_back > 700, "{kept_back}");
        assert!(passed < 150, "{passed}");
    }

    #[test]
    fn a_letter_that_is_of_ascii_in_lower_case_only_is_seen() {
        // Kelvin and İ: the only ones.
        for (subject, text) in [
            ("300 \u{212a} in Halle", "subject:\"300 k\""),
            ("SCAN_X\u{130}", "subject:scan_xi"),
            ("SCAN_X\u{130}", "subject:SCAN_X\u{130}"),
        ] {
            let event = Event {
                subject: Some(subject.into()),
                ..event(Some(1), None, None)
            };
            let query = TraceQuery::parse(text).expect("a search");
            assert!(query.matches(&event), "or this shows nothing: {text}");
            let glance = Glance::of_term(&query.terms[0]).expect("something is seen");
            assert!(glance.may_fit(&[&event.to_json()]), "{text}");
        }
    }
}
