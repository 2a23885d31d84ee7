//! What a person keeps: searches of the trace under a name and those run last, which columns are
//! shown, and the time zone of all pages. On the person's shelf, so that it is there at another
//! desk too.

use serde::{Deserialize, Serialize};

use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::ask::{Centre, Refused};
use crate::zone::Zone;

/// Searches of one person.
const SEARCHES_MAX: usize = 30;
/// Searches that were run last.
const RECENT_MAX: usize = 10;
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
    /// Run last, newest first, without a name.
    #[serde(default)]
    pub(super) recent: Vec<Search>,
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

    /// A search was run; `false`: it was the last one already.
    pub(super) fn ran(&mut self, q: &str, since: &str) -> bool {
        let is_it = |search: &Search| search.q == q && search.since == since;
        if q.is_empty() || q.len() > QUERY_OCTETS_MAX || self.recent.first().is_some_and(is_it) {
            return false;
        }
        self.recent.retain(|search| !is_it(search));
        self.recent.truncate(RECENT_MAX - 1);
        let search = Search {
            name: String::new(),
            q: q.to_owned(),
            since: since.to_owned(),
        };
        self.recent.insert(0, search);
        true
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
    read(&centre.context.store, person).await
}

/// The zone that this person chose.
pub(super) async fn chosen_by(store: &Store, person: &str) -> Zone {
    read(store, person).await.zone
}

async fn read(store: &Store, person: &str) -> View {
    match store.shelf_value(Shelf::TraceView, person).await {
        Ok(value) => value
            .and_then(|value| serde_json::from_str(&value).ok())
            .unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "what a person keeps of the trace cannot be read");
            View::default()
        }
    }
}

/// Keeps which zone this person wants.
pub(super) async fn keep_zone(centre: &Centre, person: &str, name: &str) -> Result<(), Refused> {
    let mut view = load(centre, person).await;
    view.zone = Zone::parse(name);
    save(centre, person, &view).await
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
    fn the_last_ten_searches_are_known_each_once_and_the_newest_first() {
        let mut view = View::default();
        assert!(!view.ran("", "24h"), "everything is no search");
        for number in 0..12 {
            assert!(view.ran(&format!("to:b{number}"), "24h"));
        }
        assert!(!view.ran("to:b11", "24h"), "it is the newest already");
        assert!(view.ran("to:b5", "24h"));
        assert!(view.ran("to:b5", "7d"), "another range is another search");
        let recent: Vec<_> = view
            .recent
            .iter()
            .map(|one| (&*one.q, &*one.since))
            .collect();
        assert_eq!(recent.len(), RECENT_MAX);
        assert_eq!(
            recent[..3],
            [("to:b5", "7d"), ("to:b5", "24h"), ("to:b11", "24h")]
        );
        assert_eq!(recent.iter().filter(|(q, _)| *q == "to:b5").count(), 2);
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
