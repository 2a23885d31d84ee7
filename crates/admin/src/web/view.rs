//! What a person keeps of the trace page: searches under a name, and which columns are shown. On
//! the person's shelf, so that it is there at another desk too.

use serde::{Deserialize, Serialize};

use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};

use super::ask::{Centre, Refused};

/// Searches of one person.
const SEARCHES_MAX: usize = 30;
/// Octets of a search's name.
const NAME_OCTETS_MAX: usize = 60;
/// Octets of its tokens: as the search box takes.
const QUERY_OCTETS_MAX: usize = 512;

/// What can be shown of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Column {
    Time,
    Status,
    Reference,
    Client,
    Helo,
    Connector,
    From,
    To,
    Subject,
    Size,
    Route,
    NextHop,
    Tls,
    Reply,
    Duration,
}

/// All, in the order in which they stand.
pub(super) const COLUMNS: [Column; 15] = [
    Column::Time,
    Column::Status,
    Column::Reference,
    Column::Client,
    Column::Helo,
    Column::Connector,
    Column::From,
    Column::To,
    Column::Subject,
    Column::Size,
    Column::Route,
    Column::NextHop,
    Column::Tls,
    Column::Reply,
    Column::Duration,
];

/// Those that are shown where nothing was chosen.
const SHOWN: [Column; 9] = [
    Column::Time,
    Column::Status,
    Column::Reference,
    Column::Client,
    Column::Connector,
    Column::From,
    Column::To,
    Column::Subject,
    Column::Size,
];

impl Column {
    /// In forms, and as stored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Status => "status",
            Self::Reference => "reference",
            Self::Client => "client",
            Self::Helo => "helo",
            Self::Connector => "connector",
            Self::From => "from",
            Self::To => "to",
            Self::Subject => "subject",
            Self::Size => "size",
            Self::Route => "route",
            Self::NextHop => "next-hop",
            Self::Tls => "tls",
            Self::Reply => "reply",
            Self::Duration => "duration",
        }
    }

    /// The key of its heading.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Time => "column-time",
            Self::Status => "column-status",
            Self::Reference => "column-name",
            Self::Client => "column-client",
            Self::Helo => "fact-helo",
            Self::Connector => "column-connector",
            Self::From => "column-from",
            Self::To => "column-to",
            Self::Subject => "column-subject",
            Self::Size => "column-size",
            Self::Route => "fact-outbound",
            Self::NextHop => "column-next-hop",
            Self::Tls => "fact-tls",
            Self::Reply => "column-answer",
            Self::Duration => "column-duration",
        }
    }
}

/// How far the clock on the wall is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Zone {
    minutes: i16,
}

impl Zone {
    /// Every half hour that is in use somewhere.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (-24..=28).map(|halves| Self {
            minutes: halves * 30,
        })
    }

    /// `60`, `-210`: of a form.
    pub(super) fn parse(text: &str) -> Self {
        let minutes: i16 = text.parse().unwrap_or(0);
        Self::all()
            .find(|zone| zone.minutes == minutes)
            .unwrap_or_default()
    }

    /// For a form.
    pub(super) fn value(self) -> String {
        self.minutes.to_string()
    }

    /// `+01:00`. RFC 3339 §5.6.
    fn offset(self) -> String {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// `UTC`, `UTC+01:00`.
    pub(super) fn name(self) -> String {
        match self.minutes {
            0 => "UTC".to_owned(),
            _ => format!("UTC{}", self.offset()),
        }
    }

    /// The same moment, as a clock of this zone shows it, written as if it were UTC.
    pub(super) fn shift(self, time: Timestamp) -> Timestamp {
        Timestamp::from_millis(time.as_millis() + i64::from(self.minutes) * 60_000)
    }

    /// A day begins at midnight of the zone; everything else is passed on as it is.
    pub(super) fn time(self, text: &str, now: Timestamp) -> String {
        let day = if text.eq_ignore_ascii_case("today") {
            self.shift(now).day()
        } else {
            text.to_owned()
        };
        let begin = format!("{day}T00:00:00{}", self.offset());
        if self.minutes == 0 || Timestamp::parse_rfc3339(&begin).is_none() {
            return text.to_owned();
        }
        begin
    }
}

/// A search under a name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Search {
    pub(super) name: String,
    pub(super) q: String,
    /// A relative range stays relative.
    pub(super) since: String,
}

/// What a person keeps.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct View {
    #[serde(default)]
    pub(super) searches: Vec<Search>,
    /// Names of columns; none: the usual ones.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    #[serde(default)]
    pub(super) zone: Zone,
}

impl View {
    /// The columns to show; the time is always there.
    pub(super) fn columns(&self) -> Vec<Column> {
        let is_chosen = |column: &Column| {
            *column == Column::Time || self.columns.iter().any(|name| name == column.name())
        };
        let chosen: Vec<_> = COLUMNS.into_iter().filter(is_chosen).collect();
        if chosen.len() > 1 {
            chosen
        } else {
            SHOWN.to_vec()
        }
    }

    /// Keeps a search; one of that name is replaced, the oldest gives way.
    pub(super) fn keep(&mut self, name: &str, q: &str, since: &str) {
        let name = &name[..name.floor_char_boundary(NAME_OCTETS_MAX)];
        if name.is_empty() || q.len() > QUERY_OCTETS_MAX {
            return;
        }
        self.searches.retain(|search| search.name != name);
        if self.searches.len() >= SEARCHES_MAX {
            self.searches.remove(0);
        }
        self.searches.push(Search {
            name: name.to_owned(),
            q: q.to_owned(),
            since: since.to_owned(),
        });
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, number: usize) {
        if number < self.searches.len() {
            self.searches.remove(number);
        }
    }
}

/// What this person keeps; what cannot be read is as nothing.
pub(super) async fn load(centre: &Centre, person: &str) -> View {
    let kept = centre
        .context
        .store
        .shelf_value(Shelf::TraceView, person)
        .await;
    match kept {
        Ok(value) => value
            .and_then(|value| serde_json::from_str(&value).ok())
            .unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "what a person keeps of the trace cannot be read");
            View::default()
        }
    }
}

/// Keeps it.
pub(super) async fn save(centre: &Centre, person: &str, view: &View) -> Result<(), Refused> {
    let refused = |detail: String| Refused {
        status: axum::http::StatusCode::SERVICE_UNAVAILABLE,
        detail,
    };
    let value = serde_json::to_string(view).map_err(|error| refused(error.to_string()))?;
    let now = centre.context.clock.now();
    let change = ShelfChange::new(Shelf::TraceView, now).put(person, value);
    let changed = centre.context.store.change_shelf(change).await;
    changed.map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_shown_whatever_was_chosen() {
        let mut view = View::default();
        assert_eq!(view.columns(), SHOWN);
        view.columns = vec!["subject".to_owned(), "nothing".to_owned()];
        assert_eq!(view.columns(), [Column::Time, Column::Subject]);
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone_and_times_are_shown_by_its_clock() {
        let now = Timestamp::parse_rfc3339("2026-11-24T23:30:00Z").expect("a time");
        let zone = Zone::parse("60");
        assert_eq!(zone.name(), "UTC+01:00");
        assert_eq!(zone.time("2026-11-24", now), "2026-11-24T00:00:00+01:00");
        assert_eq!(zone.time("today", now), "2026-11-25T00:00:00+01:00");
        assert_eq!(zone.shift(now).to_rfc3339(), "2026-11-25T00:30:00.000Z");
        for same in ["24h", "2026-11-24T10:00:00Z", "", "nonsense"] {
            assert_eq!(zone.time(same, now), same);
        }
        assert_eq!(Zone::parse("-210").name(), "UTC-03:30");
        assert_eq!(Zone::parse("61"), Zone::default());
        assert_eq!(Zone::default().time("today", now), "today");
    }

    #[test]
    fn a_search_of_the_same_name_is_replaced_and_the_oldest_gives_way() {
        let mut view = View::default();
        for number in 0..=SEARCHES_MAX {
            view.keep(&format!("s{number}"), "status:failed", "7d");
        }
        assert_eq!(view.searches.len(), SEARCHES_MAX);
        assert_eq!(view.searches[0].name, "s1");
        view.keep("s5", "status:held", "24h");
        assert_eq!(view.searches.len(), SEARCHES_MAX);
        let last = view.searches.last().expect("one");
        assert_eq!((&*last.name, &*last.q), ("s5", "status:held"));
        view.keep("", "status:held", "24h");
        view.forget(99);
        assert_eq!(view.searches.len(), SEARCHES_MAX);
    }
}
