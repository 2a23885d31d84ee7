//! Whole events from rows that tell only how they differ from another one (`trace/delta.rs`).

use std::borrow::Cow;
use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension};

use crate::trace::delta;

/// Events kept for the next ones: those that a few devices' events are told by.
const RECENT_MAX: usize = 8;

/// Reads rows of one day.
#[derive(Debug, Default)]
pub(super) struct Wholes {
    /// By position, the last used at the end.
    recent: VecDeque<(u64, String)>,
}

impl Wholes {
    /// The JSON of the event in a row. Where the other event is missing or cannot be read (a
    /// damaged day), it stays as it is: no event can be read from it.
    pub(super) fn of<'a>(
        &mut self,
        connection: &Connection,
        position: u64,
        line: &'a str,
    ) -> rusqlite::Result<Cow<'a, str>> {
        if delta::back_of(line).is_none() {
            return Ok(Cow::Borrowed(line));
        }
        if let Some(place) = self.place_of(position) {
            return Ok(Cow::Owned(self.recent[place].1.clone()));
        }
        let whole = self.lay(connection, position, line, delta::CHAIN_MAX)?;
        Ok(whole.map_or(Cow::Borrowed(line), Cow::Owned))
    }

    fn lay(
        &mut self,
        connection: &Connection,
        position: u64,
        line: &str,
        chain: usize,
    ) -> rusqlite::Result<Option<String>> {
        let Some(back) = delta::back_of(line) else {
            return Ok(Some(line.to_owned()));
        };
        let Some(chain) = chain.checked_sub(1) else {
            return Ok(None);
        };
        let Some(other) = position.checked_sub(back).filter(|_| back > 0) else {
            return Ok(None);
        };
        let under = match self.place_of(other) {
            Some(place) => self.recent.remove(place).map(|(_, whole)| whole),
            None => match line_at(connection, other)? {
                Some(line) => self.lay(connection, other, &line, chain)?,
                None => None,
            },
        };
        let Some(under) = under else { return Ok(None) };
        let whole = delta::laid_over(&under, line);
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((other, under));
        Ok(whole)
    }

    fn place_of(&self, position: u64) -> Option<usize> {
        self.recent.iter().position(|(at, _)| *at == position)
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
