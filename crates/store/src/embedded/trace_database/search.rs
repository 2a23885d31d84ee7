//! Searching the databases: newest first, over all days, page by page, within a budget.
//!
//! Days overlap a little at midnight, and more where a clock was wrong, so their events are merged
//! by position: each day is read lazily, always the one that may hold the newest event. Within a
//! day, segments outside the time asked for are passed over; in the others the index proposes
//! events, or all are looked at where it cannot help. [`TraceQuery::matches`] decides.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::postings::{self, Segment};
use super::sketches::{self, BLOCK_BITS, Blocks, SHEET_BITS, Sheets};
use super::whole::{self, Wholes};
use super::{TraceDatabaseError, TraceDatabases, day_of, fault};
use crate::trace::glance::Glance;
use crate::trace::marks::{self, Mark};
use crate::trace::terms::{self, Key};
use crate::trace::{Event, RefusedGroup, TraceQuery, TraceRow, TraceTerm};

/// Work of one search: an event passed over costs 1, one taken apart [`READ_COST`]. About two
/// seconds of one core; the answer then says where to go on.
const BUDGET: u64 = 2_000_000;

/// Taking an event's JSON apart, in units of passing over one.
const READ_COST: u64 = 5;

/// Opening a day to look for other recipients of messages, in units of passing over one event.
const OPEN_COST: u64 = 10_000;

/// Looking for a message in the index of one segment, in the same units.
const LOOK_UP_COST: u64 = 50;

/// Events of a message lie within this from its acceptance: a queue's lifetime and what is held
/// have at most five days each, again and again at a person's word; a month is more than anybody
/// waits.
const LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Clocks of the acceptance and of the trace may differ by this.
const CLOCKS_APART: Duration = Duration::from_secs(3_600);

/// Events read ahead from one day: few enough that the first page of a common search is cheap.
const READ_AHEAD: usize = 128;

/// Groups of refused attempts kept while days are put together: ours. Beyond it the oldest groups
/// of a day are not counted.
const GROUPS_MAX: usize = 20_000;

/// One answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TracePage {
    /// Newest first.
    pub(crate) rows: Vec<TraceRow>,
    /// Where the next page begins (`before`); `None`: this was all. There may be a next page
    /// though this one is not full, when the budget was spent.
    pub(crate) next: Option<u64>,
    /// When the budget was spent: all from here on was looked at.
    pub(crate) searched_to: Option<Timestamp>,
    /// Days whose file is damaged, with the cause: for [`super::TraceWriter::set_aside`] and a
    /// person.
    pub(crate) damaged: Vec<(String, String)>,
    /// Days that could not be read this time, or not to their end, though their file may be
    /// whole (disk, permissions, a newer version): for a person.
    pub(crate) unread: Vec<(String, String)>,
}

/// Groups of refused attempts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct RefusedPage {
    /// Newest first.
    pub(crate) groups: Vec<RefusedGroup>,
    /// As [`TracePage::damaged`].
    pub(crate) damaged: Vec<(String, String)>,
    /// As [`TracePage::unread`].
    pub(crate) unread: Vec<(String, String)>,
}

/// Days with faults, each once.
#[derive(Default)]
struct Faults {
    damaged: Vec<(String, String)>,
    unread: Vec<(String, String)>,
}

impl Faults {
    fn note(&mut self, day: &str, error: &TraceDatabaseError) {
        if self
            .damaged
            .iter()
            .chain(&self.unread)
            .any(|(noted, _)| noted == day)
        {
            return;
        }
        let list = match error {
            TraceDatabaseError::Database { damaged: true, .. } => &mut self.damaged,
            TraceDatabaseError::Database { damaged: false, .. }
            | TraceDatabaseError::Newer { .. }
            | TraceDatabaseError::File(_) => &mut self.unread,
        };
        list.push((day.to_owned(), error.to_string()));
    }

    fn note_answer(&mut self, day: &str, error: &rusqlite::Error) {
        self.note(day, &fault(day, error));
    }
}

impl TraceDatabases {
    /// Searches. Damaged days are named in the answer and never stop the rest; errors are about
    /// the folder as a whole.
    pub(crate) fn search(&self, query: &TraceQuery) -> Result<TracePage, TraceDatabaseError> {
        self.search_within(query, BUDGET)
    }

    pub(super) fn search_within(
        &self,
        query: &TraceQuery,
        mut budget: u64,
    ) -> Result<TracePage, TraceDatabaseError> {
        let mut faults = Faults::default();
        let mut days = self.readers(query.since, query.until, &mut faults)?;
        let plan = Plan::of(query, &mut days, &mut faults);
        let before = query.before.unwrap_or(u64::MAX);
        let readers = days.into_iter().map(|day| day.reader(before, &self.sheets));
        let mut readers: Vec<_> = readers.collect();
        let mut rows = Vec::new();
        let limit = query.limit_in_bounds();
        let mut messages = query.asks_for_partly().then(|| Messages::of(self));
        let (mut next, mut searched_to) = (None, None);
        while let Some(newest) = newest(&mut readers) {
            if let Some(row) = newest.found.pop_front() {
                let position = row.position;
                if let Some(messages) = &mut messages {
                    match messages.has_partly(&row, &mut budget, &mut faults)? {
                        Partly::Is => {}
                        Partly::IsNot => continue,
                        Partly::Unknown(time) => {
                            // It is the first of the next page, which has a budget of its own.
                            next = Some(position + 1);
                            searched_to = Some(time);
                            break;
                        }
                    }
                }
                rows.push(row);
                if rows.len() == limit {
                    next = Some(position);
                    break;
                }
            } else if budget == 0 {
                next = Some(newest.unread_below);
                // Without it the page says less, and is right all the same.
                searched_to = newest.read_down_to().ok().flatten();
                break;
            } else if let Err(error) = newest.read_on(&plan, &mut budget) {
                newest.at_end = true;
                faults.note_answer(&newest.day, &error);
            }
        }
        Ok(TracePage {
            rows,
            next,
            searched_to,
            damaged: faults.damaged,
            unread: faults.unread,
        })
    }

    /// Of these messages those of which some recipient was delivered, as far as the budget of one
    /// search goes.
    pub(crate) fn delivered_in_part(
        &self,
        ids: &[QueueId],
    ) -> Result<BTreeSet<QueueId>, TraceDatabaseError> {
        let (mut budget, mut faults) = (BUDGET, Faults::default());
        let mut messages = Messages::of(self);
        let mut delivered = BTreeSet::new();
        for id in ids {
            if budget == 0 {
                break;
            }
            if messages.has_delivered(*id, &mut budget, &mut faults)? {
                delivered.insert(*id);
            }
        }
        Ok(delivered)
    }

    /// Refused connections, commands and logins since a time, grouped by client address and token,
    /// newest first, at most `limit` groups (bounded to 10,000). What had no client is left out.
    pub(crate) fn refused(
        &self,
        since: Timestamp,
        limit: usize,
    ) -> Result<RefusedPage, TraceDatabaseError> {
        let mut faults = Faults::default();
        let mut groups: HashMap<(IpAddr, Option<String>), Group> = HashMap::new();
        let days = self.readers(Some(since), None, &mut faults)?;
        for (place, day) in days.iter().enumerate() {
            if let Err(error) = add_groups(&mut groups, &day.connection, place, since) {
                faults.note_answer(&day.day, &error);
            }
        }
        let mut found = Vec::new();
        let mut newest: Vec<_> = groups.into_iter().collect();
        newest.sort_unstable_by_key(|(_, group)| std::cmp::Reverse(group.last));
        newest.truncate(limit.min(crate::trace::TRACE_LIMIT_MAX));
        for ((address, _), group) in newest {
            let day = &days[group.place];
            match read_event(&day.connection, group.last) {
                Ok(Some(last)) => {
                    found.push(RefusedGroup {
                        last,
                        address,
                        count: group.count,
                    });
                }
                Ok(None) => {}
                Err(error) => faults.note_answer(&day.day, &error),
            }
        }
        Ok(RefusedPage {
            groups: found,
            damaged: faults.damaged,
            unread: faults.unread,
        })
    }

    /// A day, open with one transaction for all questions: each by itself would lock the file, look
    /// for a journal and read the first page again.
    fn open_day(&self, day: &str, faults: &mut Faults) -> Option<OpenDay> {
        match self.open_for_reading(day) {
            Ok(None) => None,
            Ok(Some(connection)) => match connection.execute_batch("BEGIN") {
                Ok(()) => Some(OpenDay {
                    day: day.to_owned(),
                    connection,
                }),
                Err(error) => {
                    faults.note_answer(day, &error);
                    None
                }
            },
            Err(error) => {
                faults.note(day, &error);
                None
            }
        }
    }

    /// The days that may hold events of a time, open.
    fn readers(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        faults: &mut Faults,
    ) -> Result<Vec<OpenDay>, TraceDatabaseError> {
        let first = since.map(day_of).unwrap_or_default();
        let last = until.map(day_of);
        let mut open = Vec::new();
        for day in self.days()? {
            if day < first || last.as_ref().is_some_and(|last| day > *last) {
                continue;
            }
            open.extend(self.open_day(&day, faults));
        }
        Ok(open)
    }
}

// ---- messages as a whole -----------------------------------------------------------------------

/// Whether another recipient of a row's message was delivered.
enum Partly {
    Is,
    IsNot,
    /// The budget was spent before; when the row's event happened.
    Unknown(Timestamp),
}

/// What a search finds out about whole messages: days are opened once, and each message is looked
/// up once.
struct Messages<'a> {
    databases: &'a TraceDatabases,
    /// All of them, oldest first, from the first question on.
    days: Option<Vec<String>>,
    /// `None`: it cannot be read.
    open: BTreeMap<String, Option<OpenDay>>,
    known: BTreeMap<QueueId, bool>,
}

impl<'a> Messages<'a> {
    fn of(databases: &'a TraceDatabases) -> Self {
        Self {
            databases,
            days: None,
            open: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    fn has_partly(
        &mut self,
        row: &TraceRow,
        budget: &mut u64,
        faults: &mut Faults,
    ) -> Result<Partly, TraceDatabaseError> {
        let Ok(event) = Event::from_json(&row.json) else {
            return Ok(Partly::IsNot);
        };
        let Some(id) = event.queue_id else {
            return Ok(Partly::IsNot);
        };
        // The first one of a page is always looked up: else a page might never get on.
        let is_first = self.known.is_empty();
        let is_known = self.known.contains_key(&id);
        if *budget == 0 && !is_known && !is_first {
            return Ok(Partly::Unknown(event.time));
        }
        Ok(match self.has_delivered(id, budget, faults)? {
            true => Partly::Is,
            false => Partly::IsNot,
        })
    }

    /// Whether some recipient was delivered: looked for in the days of its life only, oldest first,
    /// because most mail is delivered at once.
    fn has_delivered(
        &mut self,
        id: QueueId,
        budget: &mut u64,
        faults: &mut Faults,
    ) -> Result<bool, TraceDatabaseError> {
        if let Some(found) = self.known.get(&id) {
            return Ok(*found);
        }
        let terms = [
            TraceTerm::new("id", &id.to_string()),
            TraceTerm::new("event", "recipient.delivered"),
        ];
        let terms: Result<Vec<_>, _> = terms.into_iter().collect();
        let query = TraceQuery {
            since: Some(id.created_at().before(CLOCKS_APART)),
            until: Some(id.created_at().after(LIFE_MAX)),
            terms: terms.unwrap_or_default(),
            ..TraceQuery::default()
        };
        let found = !query.terms.is_empty() && self.any(&query, budget, faults)?;
        self.known.insert(id, found);
        Ok(found)
    }

    /// Whether any event fits.
    fn any(
        &mut self,
        query: &TraceQuery,
        budget: &mut u64,
        faults: &mut Faults,
    ) -> Result<bool, TraceDatabaseError> {
        if self.days.is_none() {
            let mut days = self.databases.days()?;
            days.reverse();
            self.days = Some(days);
        }
        let days = self.days.as_deref().unwrap_or_default();
        let first = query.since.map(day_of).unwrap_or_default();
        let last = query.until.map(day_of).unwrap_or_default();
        let plan = Plan::of(query, &mut [], faults);
        let from = days.partition_point(|day| *day < first);
        for day in days[from..].iter().take_while(|day| **day <= last) {
            let opened = self.open.entry(day.clone()).or_insert_with(|| {
                *budget = budget.saturating_sub(OPEN_COST);
                self.databases.open_day(day, faults)
            });
            let Some(opened) = opened else { continue };
            match opened.has_any(&plan, budget) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => faults.note_answer(day, &error),
            }
        }
        Ok(false)
    }
}

/// What a query means for the index.
struct Plan<'a> {
    query: &'a TraceQuery,
    /// Each matching event has a key of each list. Empty: the index does not help.
    keys: Vec<Vec<Key>>,
    /// Each matching event has a mark of each list.
    marks: Vec<Vec<Mark>>,
    /// What must be seen in the JSON of each matching event.
    glances: Vec<Glance>,
}

impl<'a> Plan<'a> {
    fn of(query: &'a TraceQuery, days: &mut [OpenDay], faults: &mut Faults) -> Self {
        let (mut keys, mut marks) = (Vec::new(), Vec::new());
        for term in &query.terms {
            // What identifies something is looked up as such, if the index knows it at all (on
            // any page: the cursor must not change what is meant); else it is a part of a text.
            let identifying = terms::of_identifying_text(term).filter(|identifying| {
                let known = |day: &&mut OpenDay| {
                    day.knows(identifying).unwrap_or_else(|error| {
                        faults.note_answer(&day.day, &error);
                        false
                    })
                };
                days.iter_mut().find(known).is_some()
            });
            // What has a list of its events needs no sketch: it would exclude none of them.
            match terms::of_term(term).or(identifying) {
                Some(listed) => keys.push(listed),
                None => marks.extend(marks::of_term(term)),
            }
        }
        let glances = query.terms.iter().filter_map(Glance::of_term).collect();
        // Those with few marks are the cheapest to look up, and exclude most.
        marks.sort_by_key(Vec::len);
        Self {
            query,
            keys,
            marks,
            glances,
        }
    }

    fn concerns(&self, segment: &Segment) -> bool {
        self.query
            .since
            .is_none_or(|since| segment.time_max >= since)
            && self
                .query
                .until
                .is_none_or(|until| segment.time_min < until)
    }

    /// Whether the event matches, and its row.
    fn judge(
        &self,
        row: &Row<'_>,
        (connection, wholes): (&Connection, &mut Wholes),
        budget: &mut u64,
    ) -> rusqlite::Result<Option<TraceRow>> {
        *budget = budget.saturating_sub(1);
        let (position, time): (u64, i64) = (row.get(0)?, row.get(1)?);
        let time = Timestamp::from_millis(time);
        let in_time = self.query.since.is_none_or(|since| time >= since)
            && self.query.until.is_none_or(|until| time < until);
        if !in_time {
            return Ok(None);
        }
        let told = wholes.told(connection, position, row.get_ref(2)?.as_str()?)?;
        let lines = told.lines();
        if !self.glances.iter().all(|glance| glance.may_fit(&lines)) {
            return Ok(None);
        }
        let json = told.whole();
        if !self.query.terms.is_empty() {
            *budget = budget.saturating_sub(READ_COST);
            // A row that cannot be read is of a later version, or damaged: it matches nothing.
            if !Event::from_json(&json).is_ok_and(|event| self.query.matches(&event)) {
                return Ok(None);
            }
        }
        Ok(Some(TraceRow {
            position,
            json: json.into_owned(),
        }))
    }
}

struct OpenDay {
    day: String,
    connection: Connection,
}

impl OpenDay {
    fn reader(self, before: u64, sheets: &Sheets) -> DayReader {
        DayReader {
            sheets: sheets.clone(),
            sketched: None,
            day: self.day,
            connection: self.connection,
            unread_below: before,
            placed: false,
            at_end: false,
            found: VecDeque::new(),
            wholes: Wholes::default(),
        }
    }

    /// Whether any event of the day fits, by the index alone.
    fn has_any(&self, plan: &Plan<'_>, budget: &mut u64) -> rusqlite::Result<bool> {
        let sql = "SELECT position, time, json FROM event WHERE position = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut wholes = Wholes::default();
        let mut below = u64::MAX;
        while let Some(segment) = postings::segment_below(&self.connection, below)? {
            below = segment.start();
            *budget = budget.saturating_sub(1);
            if !plan.concerns(&segment) {
                continue;
            }
            *budget = budget.saturating_sub(LOOK_UP_COST);
            for position in postings::candidates(&self.connection, &segment, &plan.keys)? {
                let mut rows = statement.query([position])?;
                if let Some(row) = rows.next()?
                    && plan
                        .judge(row, (&self.connection, &mut wholes), budget)?
                        .is_some()
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether any event of the day has one of these keys.
    fn knows(&self, keys: &[Key]) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM posting WHERE segment = ?1 AND key = ?2 LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut below = u64::MAX;
        while let Some(segment) = postings::segment_below(&self.connection, below)? {
            for key in keys {
                if statement.exists(params![segment.number, key])? {
                    return Ok(true);
                }
            }
            below = segment.start();
        }
        Ok(false)
    }
}

/// One day, read backwards.
struct DayReader {
    day: String,
    connection: Connection,
    sheets: Sheets,
    /// The sheets that have a sketch in the database, once one was needed.
    sketched: Option<BTreeSet<u64>>,
    /// Everything from here on up was looked at.
    unread_below: u64,
    /// `unread_below` is no more than one above the day's last event.
    placed: bool,
    at_end: bool,
    /// Matching events read ahead, newest first.
    found: VecDeque<TraceRow>,
    wholes: Wholes,
}

/// The reader that holds, or may hold, the newest event left.
fn newest(readers: &mut [DayReader]) -> Option<&mut DayReader> {
    readers
        .iter_mut()
        .filter(|reader| !reader.at_end || !reader.found.is_empty())
        .max_by_key(|reader| reader.newest_possible())
}

impl DayReader {
    fn newest_possible(&self) -> u64 {
        self.found
            .front()
            .map_or(self.unread_below.saturating_sub(1), |row| row.position)
    }

    /// When the oldest event happened that was looked at.
    fn read_down_to(&self) -> rusqlite::Result<Option<Timestamp>> {
        let sql = "SELECT time FROM event WHERE position >= ?1 ORDER BY position LIMIT 1";
        let from = self.unread_below.min(i64::MAX.unsigned_abs());
        let mut statement = self.connection.prepare_cached(sql)?;
        let time: Option<i64> = statement.query_row([from], |row| row.get(0)).optional()?;
        Ok(time.map(Timestamp::from_millis))
    }

    /// Reads on until something was found, the place is known, or a segment is done.
    fn read_on(&mut self, plan: &Plan<'_>, budget: &mut u64) -> rusqlite::Result<()> {
        if !self.placed {
            self.placed = true;
            let sql = "SELECT max(position) FROM event";
            let last: Option<u64> = self.connection.query_row(sql, [], |row| row.get(0))?;
            self.unread_below = self.unread_below.min(last.map_or(0, |last| last + 1));
            self.at_end = self.unread_below == 0;
            return Ok(());
        }
        let Some(segment) = postings::segment_below(&self.connection, self.unread_below)? else {
            self.at_end = true;
            return Ok(());
        };
        if !plan.concerns(&segment) {
            self.unread_below = segment.start();
        } else if plan.keys.is_empty() {
            self.scan(&segment, plan, budget)?;
        } else {
            self.look_up(&segment, plan, budget)?;
        }
        Ok(())
    }

    /// Looks at the events of one sheet, or of what of it is in the segment.
    fn scan(
        &mut self,
        segment: &Segment,
        plan: &Plan<'_>,
        budget: &mut u64,
    ) -> rusqlite::Result<()> {
        // A sheet lies within its segment; `unread_below` is above the segment's start.
        let sheet = (self.unread_below - 1).min(i64::MAX.unsigned_abs()) >> SHEET_BITS;
        let start = (sheet << SHEET_BITS).max(segment.start());
        let mut blocks = self.blocks(sheet, plan, Blocks::MAX)?;
        while blocks != 0 {
            // The highest run of blocks: `high` is the one above it.
            let high = u64::from(Blocks::BITS - blocks.leading_zeros());
            let run = u64::from((blocks << (128 - high)).leading_ones());
            let place = |block: u64| (sheet << SHEET_BITS) + (block << BLOCK_BITS);
            if self.scan_range(place(high - run), place(high), plan, budget)? {
                return Ok(());
            }
            let rest = Blocks::BITS - (high - run) as u32;
            blocks &= Blocks::MAX.checked_shr(rest).unwrap_or(0);
        }
        self.unread_below = start;
        *budget = budget.saturating_sub(1);
        Ok(())
    }

    /// Of these blocks of a sheet those that may have events that fit.
    fn blocks(&mut self, sheet: u64, plan: &Plan<'_>, of: Blocks) -> rusqlite::Result<Blocks> {
        if plan.marks.is_empty() {
            return Ok(of);
        }
        let sketched = match &mut self.sketched {
            Some(sketched) => sketched,
            none => none.insert(sketches::numbers(&self.connection)?),
        };
        if sketched.contains(&sheet) {
            return sketches::blocks(&self.connection, (sheet, of), &plan.marks);
        }
        let in_memory = self.sheets.blocks(&self.day, sheet, &plan.marks);
        Ok(of & in_memory.unwrap_or(Blocks::MAX))
    }

    /// Looks at every event of a range; `true`: that is enough for now.
    fn scan_range(
        &mut self,
        first: u64,
        end: u64,
        plan: &Plan<'_>,
        budget: &mut u64,
    ) -> rusqlite::Result<bool> {
        let sql = "SELECT position, time, json FROM event
                   WHERE position >= ?1 AND position < ?2 ORDER BY position DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let below = self.unread_below.min(end).min(i64::MAX.unsigned_abs());
        let mut rows = statement.query(params![first, below])?;
        while let Some(row) = rows.next()? {
            let reading = (&self.connection, &mut self.wholes);
            self.found.extend(plan.judge(row, reading, budget)?);
            self.unread_below = row.get(0)?;
            if self.found.len() >= READ_AHEAD || *budget == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks at the events of a segment that the index proposes.
    fn look_up(
        &mut self,
        segment: &Segment,
        plan: &Plan<'_>,
        budget: &mut u64,
    ) -> rusqlite::Result<()> {
        let candidates = postings::candidates(&self.connection, segment, &plan.keys)?;
        let sql = "SELECT position, time, json FROM event WHERE position = ?1";
        let below = candidates.partition_point(|position| *position < self.unread_below);
        let of_sheet = |a: &u64, b: &u64| sketches::sheet_of(*a) == sketches::sheet_of(*b);
        for proposed in candidates[..below].chunk_by(of_sheet).rev() {
            let bits = proposed.iter().map(|position| sketches::bit_of(*position));
            let bits = bits.fold(0, |all, one| all | one);
            let blocks = self.blocks(sketches::sheet_of(proposed[0]), plan, bits)?;
            for position in proposed.iter().rev() {
                if blocks & sketches::bit_of(*position) == 0 {
                    continue;
                }
                let mut statement = self.connection.prepare_cached(sql)?;
                let mut rows = statement.query([position])?;
                if let Some(row) = rows.next()? {
                    let reading = (&self.connection, &mut self.wholes);
                    self.found.extend(plan.judge(row, reading, budget)?);
                }
                self.unread_below = *position;
                if self.found.len() >= READ_AHEAD || *budget == 0 {
                    return Ok(());
                }
            }
        }
        self.unread_below = segment.start();
        Ok(())
    }
}

// ---- refused attempts --------------------------------------------------------------------------

struct Group {
    count: u64,
    /// Position of the last one.
    last: u64,
    /// In which of the open days it is.
    place: usize,
}

fn add_groups(
    groups: &mut HashMap<(IpAddr, Option<String>), Group>,
    connection: &Connection,
    place: usize,
    since: Timestamp,
) -> rusqlite::Result<()> {
    let sql = "SELECT client, token, count(*), max(position) FROM event
               WHERE client IS NOT NULL AND time >= ?1
               GROUP BY client, token ORDER BY max(position) DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![since.as_millis(), GROUPS_MAX])?;
    while let Some(row) = rows.next()? {
        let Ok(address) = row.get_ref(0)?.as_str()?.parse::<IpAddr>() else {
            continue;
        };
        let (count, last): (u64, u64) = (row.get(2)?, row.get(3)?);
        let key = (address, row.get(1)?);
        if let Some(group) = groups.get_mut(&key) {
            group.count += count;
            if last > group.last {
                (group.last, group.place) = (last, place);
            }
        } else if groups.len() < GROUPS_MAX {
            groups.insert(key, Group { count, last, place });
        }
    }
    Ok(())
}

fn read_event(connection: &Connection, position: u64) -> rusqlite::Result<Option<Event>> {
    let json = whole::json_at(connection, position)?;
    Ok(json.and_then(|json| Event::from_json(&json).ok()))
}
