//! What people ask of the trace: tokens and free text → conditions on events.
//!
//! One meaning for `relais trace`, `--live`, the page and the API: [`TraceQuery::matches`] decides,
//! and the index of the trace databases only proposes. Letter case never counts.
//!
//! Not here: finding the events (`embedded/trace_database.rs`).

mod reading;
pub(super) mod values;
mod addresses;

use std::time::Duration;

use relais_smtp::time::Timestamp;

use self::values::Test;
use super::Event;

pub use self::addresses::{ADDRESSES_MAX, addresses_in};

/// Longest query, in octets: ours, with [`ADDRESSES_MAX`] addresses; a page's address line takes
/// it still.
pub const QUERY_OCTETS_MAX: usize = 4_096;

/// Most terms of one query: ours.
pub const QUERY_TERMS_MAX: usize = 32;

/// Events of an answer where nothing else is asked for.
pub const TRACE_LIMIT_DEFAULT: usize = 100;

/// Most events of one answer; the next page begins behind them.
pub const TRACE_LIMIT_MAX: usize = 10_000;

/// What `relais trace` asks for. Text tokens are read by [`TraceQuery::parse`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TraceQuery {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// All must hold.
    pub terms: Vec<TraceTerm>,
    /// At most this many, newest first; bounded to [`TRACE_LIMIT_MAX`]. 0: [`TRACE_LIMIT_DEFAULT`].
    pub limit: usize,
    /// Only events older than this position: the cursor of the page before.
    pub before: Option<u64>,
    /// Subjects are not looked at: whoever asks may not read them, and an answer would tell.
    pub without_subjects: bool,
}

/// One token, or free text; already checked.
///
/// | token | fits |
/// |---|---|
/// | `to:` | a recipient: the whole address, or without `@` its domain or local part |
/// | `from:` | reverse-path or header From, as `to:`; `from:<>` is the null reverse-path |
/// | `client:` | IP address, network (`10.1.2.0/24`), HELO name, user or certificate name |
/// | `connector:` | inbound or outbound connector |
/// | `address:` | recipient, reverse-path or header From is one of these: `a@x.test, b@y.test` |
/// | `status:` | one of [`super::STATUS_WORDS`]; `partly`: who lacks what others of it got |
/// | `code:` | reply code or enhanced status code of the reply: `550`, `5.7.*` |
/// | `ref:` | reference, or its beginning |
/// | `token:` | token of a refusal |
/// | `size:` | `>10mb`, `<=64KiB`, `4096` |
/// | `tls:` | `<1.2`, `1.3`, `none` (clear), `dane`, `mta-sts`, `name`, `chain`, `certificate` |
/// | `delay:` | time from acceptance to what happened to a recipient: `>5m`, `<=2h` |
/// | `subject:` | a part of the subject |
/// | `event:` | kind: `recipient.failed`, `recipient.*` |
/// | `id:` | queue id |
/// | `message-id:` | Message-ID, with or without its brackets |
/// | `organisation:` | organisation |
/// | (none) | a part of queue id, reference, address, subject, reply, Message-ID, client address |
///
/// `*` at either end stands for anything; alone it asks that there be a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceTerm {
    /// The token's name, `text` for free text.
    pub field: &'static str,
    /// Its value as typed, without quotation marks.
    pub value: String,
    test: Test,
}

/// A token that is not known, or a value that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct TraceQueryError(pub String);

impl TraceQuery {
    /// Reads tokens as people type them: `to:anna@example.org status:failed "out of paper"`.
    ///
    /// Errors are sentences that name the token, and what would be right.
    pub fn parse(text: &str) -> Result<Self, TraceQueryError> {
        let terms = reading::terms(text)?;
        Ok(Self {
            terms,
            limit: TRACE_LIMIT_DEFAULT,
            ..Self::default()
        })
    }

    /// Whether an event fits: time and terms. Limit and cursor are about answers, not events.
    pub fn matches(&self, event: &Event) -> bool {
        let bare = (self.without_subjects && event.subject.is_some()).then(|| Event {
            subject: None,
            ..event.clone()
        });
        let event = bare.as_ref().unwrap_or(event);
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
            && self.terms.iter().all(|term| term.test.fits(event))
    }

    /// Whether an event that [`TraceQuery::matches`] is only right where another recipient of its
    /// message was delivered: what one event does not tell.
    pub fn asks_for_partly(&self) -> bool {
        self.terms.iter().any(|term| term.test.is_partly())
    }

    /// How many events are asked for, within bounds.
    pub fn limit_in_bounds(&self) -> usize {
        if self.limit == 0 {
            TRACE_LIMIT_DEFAULT
        } else {
            self.limit.min(TRACE_LIMIT_MAX)
        }
    }
}

impl TraceTerm {
    /// A term from its token and value, for pages and scripts that have no text to parse.
    pub fn new(field: &str, value: &str) -> Result<Self, TraceQueryError> {
        reading::term(field, value)
    }

    pub(super) fn test(&self) -> &Test {
        &self.test
    }
}

/// As [`TraceQuery::parse`] reads it again.
impl std::fmt::Display for TraceTerm {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field != reading::FREE_TEXT {
            write!(out, "{}:", self.field)?;
        }
        let is_word = !self
            .value
            .contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
        // A word with a colon would be read as a token.
        if is_word && (self.field != reading::FREE_TEXT || !self.value.contains(':')) {
            return out.write_str(&self.value);
        }
        let escaped = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(out, "\"{escaped}\"")
    }
}

/// Reads `--since`: a span before `now` (`90s`, `30m`, `1h`, `7d`, `2w`), `today`, a day
/// (`2026-11-24`, UTC) or an RFC 3339 time.
pub fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, TraceQueryError> {
    parse_time(text, |span| now.before(span))
}

/// Reads `--until` of what is to end: a span from `now` on (`1h`, `7d`), a day (its beginning, UTC)
/// or an RFC 3339 time.
pub fn parse_until(text: &str, now: Timestamp) -> Result<Timestamp, TraceQueryError> {
    parse_time(text, |span| now.after(span))
}

fn parse_time(
    text: &str,
    from_now: impl FnOnce(Duration) -> Timestamp,
) -> Result<Timestamp, TraceQueryError> {
    let text = text.trim();
    if let Some(span) = span_of(text) {
        return Ok(from_now(span));
    }
    let today = text.eq_ignore_ascii_case("today");
    let day = today.then(|| from_now(Duration::ZERO).day());
    let text = day.as_deref().unwrap_or(text);
    let time = Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok_or_else(|| {
        TraceQueryError(format!(
            "\"{text}\" is no time; write 90s, 30m, 1h, 7d or 2w, today, a day such as \
             2026-11-24, or a time such as 2026-11-24T10:00:00Z"
        ))
    })
}

/// A number with a unit.
pub(super) fn span_of(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - unit.len_utf8()];
    if number.is_empty() || !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(
        number.parse::<u64>().ok()?.checked_mul(seconds)?,
    ))
}
