//! Whole events from rows that tell only how they differ from another one (`trace/delta.rs`).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use crate::trace::delta;

/// Lines kept for the next ones: those that a few devices' events are told by.
const RECENT_MAX: usize = 8;

/// Reads rows of one day.
#[derive(Debug, Default)]
pub(super) struct Wholes {
    /// By position, the last used at the end.
    recent: VecDeque<(u64, Arc<str>)>,
}

/// The line of an event, and those that it is told by.
#[derive(Debug)]
pub(super) struct Told<'a> {
    line: &'a str,
    /// The nearest first; the last one is whole. Empty where the line is, and where another one is
    /// missing (a damaged day).
    under: Vec<Arc<str>>,
}

impl<'a> Told<'a> {
    /// The nearest first: what a field is stands in the first of them that has it.
    pub(super) fn lines(&self) -> Vec<&str> {
        let under = self.under.iter().map(AsRef::as_ref);
        std::iter::once(self.line).chain(under).collect()
    }

    /// The JSON of the event. Where another one is missing or cannot be read, the line stays as it
    /// is: no event can be read from it.
    pub(super) fn whole(&self) -> Cow<'a, str> {
        let mut lines = self.under.iter().rev();
        let Some(first) = lines.next() else {
            return Cow::Borrowed(self.line);
        };
        let mut differences = lines.map(AsRef::as_ref).chain([self.line]);
        let whole = differences.try_fold(Cow::Borrowed(&**first), |under, difference| {
            delta::laid_over(&under, difference).map(Cow::Owned)
        });
        whole.map_or(Cow::Borrowed(self.line), |whole| {
            Cow::Owned(whole.into_owned())
        })
    }
}

impl Wholes {
    /// What tells of the event in a row.
    pub(super) fn told<'a>(
        &mut self,
        connection: &Connection,
        position: u64,
        line: &'a str,
    ) -> rusqlite::Result<Told<'a>> {
        let mut told = Told {
            line,
            under: Vec::new(),
        };
        let (mut at, mut back) = (position, delta::back_of(line));
        while let Some(lines) = back {
            let other = at.checked_sub(lines).filter(|_| lines > 0);
            let found = match other {
                Some(other) if told.under.len() < delta::CHAIN_MAX => {
                    self.line_at(connection, other)?.map(|line| (other, line))
                }
                _ => None,
            };
            let Some((other, line)) = found else {
                told.under.clear();
                break;
            };
            (at, back) = (other, delta::back_of(&line));
            told.under.push(line);
        }
        Ok(told)
    }

    /// The JSON of the event in a row.
    pub(super) fn of<'a>(
        &mut self,
        connection: &Connection,
        position: u64,
        line: &'a str,
    ) -> rusqlite::Result<Cow<'a, str>> {
        Ok(self.told(connection, position, line)?.whole())
    }

    fn line_at(
        &mut self,
        connection: &Connection,
        position: u64,
    ) -> rusqlite::Result<Option<Arc<str>>> {
        let known = self.recent.iter().position(|(at, _)| *at == position);
        let line = match known.and_then(|place| self.recent.remove(place)) {
            Some((_, line)) => line,
            None => match line_at(connection, position)? {
                Some(line) => line.into(),
                None => return Ok(None),
            },
        };
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((position, Arc::clone(&line)));
        Ok(Some(line))
    }
}

/// What stands in a row.
pub(super) fn line_at(connection: &Connection, position: u64) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT json FROM event WHERE position = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([position], |row| row.get(0)).optional()
}

/// The JSON of one event.
pub(super) fn json_at(connection: &Connection, position: u64) -> rusqlite::Result<Option<String>> {
    let Some(line) = line_at(connection, position)? else {
        return Ok(None);
    };
    let whole = Wholes::default().of(connection, position, &line)?;
    Ok(Some(whole.into_owned()))
}
