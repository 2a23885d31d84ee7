//! Pages that list something: a filter, a table with what can be done to each row, files to take
//! away, and forms below. One layout, so that all of them look and behave alike; and what they
//! share: the page that asks once more, and the page that shows a secret once.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::ask::{Refused, address};
use super::door::Visit;
use super::form::Form;
use super::page::{self, Frame};
use crate::lang::Lang;
use crate::plain::clean;

/// Characters of a field that is not a long text: addresses have up to 320.
const FIELD_CHARACTERS_MAX: u16 = 512;

/// One page.
#[derive(Template)]
#[template(path = "records.html")]
pub(super) struct Records {
    pub(super) frame: Frame,
    pub(super) notes: Vec<Note>,
    /// Other ways to look at the same.
    pub(super) views: Vec<View>,
    /// Where something new begins: words and address.
    pub(super) begin: Option<(String, &'static str)>,
    pub(super) filter: Option<Sheet>,
    /// Where one may go where there is nothing yet: title, words, address.
    pub(super) choices: Vec<(String, String, &'static str)>,
    pub(super) table: Table,
    /// Named with their addresses.
    pub(super) files: Vec<(&'static str, String)>,
    /// Where the next page is; empty: there is none.
    pub(super) older: String,
    pub(super) sheets: Vec<Sheet>,
}

impl Records {
    /// With nothing but a table.
    pub(super) fn new(frame: Frame, table: Table, api: impl Into<String>) -> Self {
        Self {
            frame: frame.api(api),
            notes: Vec::new(),
            views: Vec::new(),
            begin: None,
            filter: None,
            choices: Vec::new(),
            table,
            files: Vec::new(),
            older: String::new(),
            sheets: Vec::new(),
        }
    }
}

/// A way to look at what a page shows.
pub(super) struct View {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) is_here: bool,
}

/// A sentence above the table.
pub(super) struct Note {
    /// None: it is neither good nor bad.
    pub(super) is_good: Option<bool>,
    pub(super) words: String,
}

impl Note {
    /// Neither good nor bad.
    pub(super) fn plain(words: String) -> Self {
        Self {
            is_good: None,
            words,
        }
    }

    /// What went wrong, if something did.
    pub(super) fn mistake(words: String) -> Option<Self> {
        let is_good = Some(false);
        (!words.is_empty()).then_some(Self { is_good, words })
    }
}

/// A table.
pub(super) struct Table {
    pub(super) headings: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// What is said where there are no rows.
    pub(super) empty: String,
}

/// What a filter asks for is in one of the texts of a row, whatever its case.
pub(super) fn is_among<'a>(sought: &str, texts: impl IntoIterator<Item = &'a str>) -> bool {
    let sought = sought.to_lowercase();
    let mut texts = texts.into_iter();
    sought.is_empty() || texts.any(|text| text.to_lowercase().contains(&sought))
}

impl Table {
    /// Of a column; on a narrow screen it stands before each value.
    fn heading(&self, at: &usize) -> &str {
        self.headings.get(*at).map_or("", String::as_str)
    }

    /// Whether a column for acts is needed.
    fn has_acts(&self) -> bool {
        self.rows.iter().any(|row| !row.acts.is_empty())
    }
}

/// One row.
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) acts: Vec<Act>,
}

/// One cell.
#[derive(Default)]
pub(super) struct Cell {
    class: &'static str,
    text: String,
    address: String,
    is_code: bool,
    /// Shown on a press.
    is_folded: bool,
    /// Further lines, quieter.
    lines: Vec<String>,
    /// How full something is.
    gauges: Vec<Gauge>,
    /// Class, mark and word of a status.
    status: Option<(&'static str, &'static str)>,
}

impl Cell {
    /// A text; strangers may have written it.
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: clean(text).into_owned(),
            ..Self::default()
        }
    }

    /// That is not broken, and stands to the left: a name, a time.
    pub(super) fn whole(text: &str) -> Self {
        let class = "name";
        Self {
            class,
            ..Self::new(text)
        }
    }

    pub(super) fn number(text: &str) -> Self {
        let class = "number";
        Self {
            class,
            ..Self::new(text)
        }
    }

    /// As a machine writes it.
    pub(super) fn code(text: &str) -> Self {
        Self {
            is_code: true,
            ..Self::new(text)
        }
    }

    /// The same, long: it opens on a press.
    pub(super) fn folded(text: &str) -> Self {
        Self {
            is_folded: true,
            ..Self::new(text)
        }
    }

    /// The same, short: it is not broken.
    pub(super) fn word(text: &str) -> Self {
        Self {
            is_code: true,
            ..Self::whole(text)
        }
    }

    /// A state, by mark and word.
    pub(super) fn status(tone: &'static str, text: &str) -> Self {
        let mark = match tone {
            "good" => "✓",
            "bad" => "✕",
            _ => "◷",
        };
        Self {
            status: Some((tone, mark)),
            ..Self::new(text)
        }
    }

    pub(super) fn leads_to(mut self, address: String) -> Self {
        self.address = address;
        self
    }

    /// With how full something is.
    pub(super) fn gauges(mut self, gauges: Vec<Gauge>) -> Self {
        self.gauges = gauges;
        self
    }

    /// With a further line, unless it is empty.
    pub(super) fn line(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.lines.push(clean(text).into_owned());
        }
        self
    }
}

/// How full something is, in words that say it without a picture.
pub(super) struct Gauge {
    pub(super) words: String,
    /// None: nothing is measured.
    pub(super) percent: Option<u64>,
}

/// What can be done to a row: a button that is a form.
pub(super) struct Act {
    path: String,
    word: String,
    /// Which row, for who hears the page.
    about: String,
    is_danger: bool,
    fields: Vec<(&'static str, String)>,
}

impl Act {
    pub(super) fn new(path: impl Into<String>, word: String, about: &str) -> Self {
        Self {
            path: path.into(),
            word,
            about: clean(about).into_owned(),
            is_danger: false,
            fields: Vec::new(),
        }
    }

    pub(super) fn danger(mut self) -> Self {
        self.is_danger = true;
        self
    }

    pub(super) fn hide(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }
}

/// A form.
pub(super) struct Sheet {
    /// Unique on the page.
    id: &'static str,
    title: String,
    action: String,
    words: String,
    inputs: Vec<Input>,
    button: String,
    is_danger: bool,
    fields: Vec<(&'static str, String)>,
}

impl Sheet {
    pub(super) fn new(id: &'static str, action: impl Into<String>, button: String) -> Self {
        Self {
            id,
            title: String::new(),
            action: action.into(),
            words: String::new(),
            inputs: Vec::new(),
            button,
            is_danger: false,
            fields: Vec::new(),
        }
    }

    pub(super) fn title(mut self, title: String) -> Self {
        self.title = title;
        self
    }

    pub(super) fn words(mut self, words: String) -> Self {
        self.words = words;
        self
    }

    pub(super) fn danger(mut self) -> Self {
        self.is_danger = true;
        self
    }

    pub(super) fn input(mut self, input: Input) -> Self {
        self.inputs.push(input);
        self
    }

    /// A field that nobody sees.
    pub(super) fn hide(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    /// Whether it is sent in parts, as files are.
    fn has_file(&self) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| matches!(input.kind, Kind::File(_)))
    }

    /// The identifier of a field.
    fn of(&self, input: &Input) -> String {
        format!("{}-{}", self.id, input.name)
    }
}

/// A field of a form.
pub(super) struct Input {
    name: &'static str,
    label: String,
    hint: String,
    value: String,
    kind: Kind,
    is_wanted: bool,
}

enum Kind {
    Text,
    Long,
    /// A file of the reader's machine, of these types.
    File(&'static str),
    Choice(Vec<Pick>),
    Ticks(Vec<Pick>),
    Tick(bool),
}

/// One of several.
pub(super) struct Pick {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

impl Pick {
    /// Named as it is sent.
    pub(super) fn plain(value: &str, chosen: &str) -> Self {
        Self::new(value, value.to_owned(), value == chosen)
    }

    pub(super) fn new(value: &str, label: String, is_chosen: bool) -> Self {
        Self {
            value: value.to_owned(),
            label,
            is_chosen,
        }
    }
}

impl Input {
    fn of(kind: Kind, name: &'static str, label: String) -> Self {
        Self {
            name,
            label,
            hint: String::new(),
            value: String::new(),
            kind,
            is_wanted: false,
        }
    }

    pub(super) fn text(name: &'static str, label: String, value: &str) -> Self {
        Self {
            value: value.to_owned(),
            ..Self::of(Kind::Text, name, label)
        }
    }

    pub(super) fn long(name: &'static str, label: String, value: &str) -> Self {
        Self {
            value: value.to_owned(),
            ..Self::of(Kind::Long, name, label)
        }
    }

    /// A file; `types`: what the browser offers to choose.
    pub(super) fn file(name: &'static str, label: String, types: &'static str) -> Self {
        Self::of(Kind::File(types), name, label)
    }

    pub(super) fn choice(name: &'static str, label: String, picks: Vec<Pick>) -> Self {
        Self::of(Kind::Choice(picks), name, label)
    }

    pub(super) fn ticks(name: &'static str, label: String, picks: Vec<Pick>) -> Self {
        Self::of(Kind::Ticks(picks), name, label)
    }

    pub(super) fn tick(name: &'static str, label: String, is_on: bool) -> Self {
        Self::of(Kind::Tick(is_on), name, label)
    }

    pub(super) fn hint(mut self, hint: String) -> Self {
        self.hint = hint;
        self
    }

    pub(super) fn wanted(mut self) -> Self {
        self.is_wanted = true;
        self
    }

    /// In characters, for the browser; the server has its own bounds.
    fn most(&self) -> u16 {
        FIELD_CHARACTERS_MAX
    }
}

/// A choice among organisations, where there is one to make; the first entry stands for all.
pub(super) fn of_organisation(
    lang: Lang,
    names: &[String],
    chosen: &str,
    all: Option<&str>,
) -> Option<Input> {
    if names.len() < 2 {
        return None;
    }
    let all = all.map(|key| Pick::new("", lang.t(key), chosen.is_empty()));
    let named = names.iter().map(|name| Pick::plain(name, chosen));
    let picks = all.into_iter().chain(named).collect();
    let label = lang.t("filter-organisation");
    Some(Input::choice("organisation", label, picks))
}

/// The organisation that a form names. One without that field names none, and not the one without
/// a name: at the door, people of one organisation get theirs by naming none.
pub(super) fn named(form: &Form) -> Option<&str> {
    Some(form.get("organisation")).filter(|name| !name.is_empty())
}

/// Names and addresses of the files that hold what this page shows.
pub(super) fn files(path: &str, query: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    let of = |end: &str| address(&format!("{path}.{end}"), query);
    vec![("CSV", of("csv")), ("JSON", of("json"))]
}

/// Asks once more before something is done, and for what it needs.
#[derive(Template)]
#[template(path = "sure.html")]
pub(super) struct Sure {
    pub(super) frame: Frame,
    pub(super) notes: Vec<Note>,
    pub(super) question: String,
    pub(super) lines: Vec<String>,
    pub(super) sheet: Sheet,
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "once.html")]
struct Once {
    frame: Frame,
    words: String,
    facts: Vec<(String, String)>,
    /// What can be done with it while it is shown.
    sheet: Option<Sheet>,
    back: &'static str,
}

/// The page with this status, or the API's no as one.
pub(super) fn shown(
    visit: &Visit,
    status: StatusCode,
    composed: Result<Records, Refused>,
) -> Response {
    match composed {
        Ok(records) => (status, page::send(&records)).into_response(),
        Err(refused) => page::refused(visit, &refused),
    }
}

/// Shows what is shown once: names and values; then back there.
pub(super) fn once(
    visit: &Visit,
    (section, title): (&'static str, &str),
    words: &str,
    facts: &[(&str, &str)],
    (sheet, back): (Option<Sheet>, &'static str),
) -> Response {
    let lang = visit.lang;
    let facts = facts
        .iter()
        .map(|(key, value)| (lang.t(key), (*value).to_owned()));
    page::send(&Once {
        frame: Frame::new(visit, section, &lang.t(title)),
        words: lang.t(words),
        facts: facts.collect(),
        sheet,
        back,
    })
}

/// A list of an answer in one line.
pub(super) fn joined(value: &Value) -> String {
    let all = value.as_array().into_iter().flatten();
    let all: Vec<_> = all.filter_map(Value::as_str).collect();
    all.join(", ")
}

/// What people part by commas, spaces or lines.
pub(super) fn parted(text: &str) -> Vec<&str> {
    let is_between = |one: char| one.is_whitespace() || one == ',' || one == ';';
    let parts = text.split(is_between);
    parts.filter(|one| !one.is_empty()).collect()
}

/// The key of a text for a word of an address; nobody else's word is a key.
pub(super) fn key_of(pairs: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    let found = pairs.iter().find(|(one, _)| *one == word);
    found.map(|(_, key)| *key)
}

/// The sentence of what was just done, by `done` and `made` of the address.
pub(super) fn done(visit: &Visit, pairs: &[(&str, &'static str)]) -> String {
    let key = key_of(pairs, visit.query.get("done"));
    key.map_or_else(String::new, |key| {
        visit.lang.with(key, visit.query.get("made"))
    })
}
