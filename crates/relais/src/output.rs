//! What people and scripts read: lines, tables, JSON. Text from strangers cannot move a terminal's
//! cursor.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use relais_admin::plain::is_harmful;
pub(crate) use relais_admin::plain::{clean, size};

use crate::failure::Failure;
use crate::phrases::{Language, told, told_cell};

/// Widest cell of a table, in characters; longer ones are cut with `…`.
const CELL_CHARACTERS_MAX: usize = 60;

/// Width of a terminal that does not say it.
const TERMINAL_CHARACTERS: usize = 80;
/// Narrower than this, wrapping helps nobody.
const TERMINAL_CHARACTERS_MIN: usize = 40;

/// Where a command's answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// `--json`.
    pub(crate) json: bool,
    /// Of who sits there.
    pub(crate) language: Language,
    colour: bool,
}

/// What a word means, for terminals with colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Waiting,
    Heading,
}

impl Output {
    /// To standard output; coloured only on a terminal and without `NO_COLOR`.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            language: Language::of_environment(),
            colour: wanted && io::stdout().is_terminal(),
        }
    }

    /// One line for a person, in their language where it is one of our sentences.
    pub(crate) fn line(self, text: &str) -> Result<(), Failure> {
        self.as_it_is(&self.said(text))
    }

    /// A sentence or word of ours in the person's language; a script's is English.
    pub(crate) fn said<'a>(self, text: &'a str) -> Cow<'a, str> {
        match self.json {
            true => Cow::Borrowed(text),
            false => told(self.language, text),
        }
    }

    /// One line that is what it is.
    fn as_it_is(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.write_all(b"\n"))
        {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
            Err(error) => Err(Failure::Failed(format!("standard output: {error}"))),
        }
    }

    /// A sentence behind a mark; on a terminal its further lines are indented. For scripts it stays
    /// one line.
    pub(crate) fn paragraph(self, mark: &str, indent: usize, text: &str) -> Result<(), Failure> {
        if !self.is_terminal() {
            return self.line(&format!("{mark}{text}"));
        }
        let told = std::env::var("COLUMNS").ok();
        let width = told.and_then(|width| width.parse().ok());
        let width = width.unwrap_or(TERMINAL_CHARACTERS);
        self.line(&wrapped(mark, indent, text, width))
    }

    /// One JSON value on one line.
    pub(crate) fn value(self, value: &Value) -> Result<(), Failure> {
        self.as_it_is(&escaped(&value.to_string()))
    }

    /// Text as it stands, which ends with a line end already.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        self.as_it_is(text.strip_suffix('\n').unwrap_or(text))
    }

    /// Whether a person reads it, not a script.
    pub(crate) fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// A word in its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let text = self.said(text);
        if !self.colour {
            return text.into_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Waiting => "33",
            Tone::Heading => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Columns with headings; nothing for no rows.
    pub(crate) fn table(self, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let cells = row.iter().zip(headings);
                let cells = cells.map(|(cell, heading)| told_cell(self.language, heading, cell));
                cells.map(|cell| cut(&clean(&cell))).collect()
            })
            .collect();
        let headings: Vec<String> = headings
            .iter()
            .map(|text| self.said(text).into_owned())
            .collect();
        let mut widths: Vec<usize> = headings.iter().map(|text| text.chars().count()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        self.as_it_is(&self.paint(Tone::Heading, &columns(&headings, &widths)))?;
        for row in &rows {
            self.as_it_is(&columns(row, &widths))?;
        }
        Ok(())
    }
}

/// Broken at spaces; a word that is too long has a line for itself.
fn wrapped(mark: &str, indent: usize, text: &str, width: usize) -> String {
    let width = width.max(TERMINAL_CHARACTERS_MIN);
    let mut lines = mark.to_owned();
    let (mut used, mut is_first) = (visible(mark), true);
    for word in text.split(' ') {
        let long = word.chars().count();
        if !is_first && used + 1 + long > width {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if !is_first {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += long;
        is_first = false;
    }
    lines
}

/// Characters that take room: not those that set a colour.
fn visible(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().map_or(0, |part| part.chars().count());
    let after = |part: &str| {
        part.split_once('m')
            .map_or(0, |(_, shown)| shown.chars().count())
    };
    parts.fold(first, |sum, part| sum + after(part))
}

fn columns(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        let gap = width.saturating_sub(cell.chars().count()) + 2;
        line.extend(std::iter::repeat_n(' ', gap));
    }
    line.truncate(line.trim_end().len());
    line
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars()
        .take(CELL_CHARACTERS_MAX - 1)
        .chain(['…'])
        .collect()
}

/// JSON whose texts cannot move a cursor either: what [`clean`] takes out is written as an escape.
/// Such characters stand only within texts. RFC 8259 §7.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(is_harmful) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_harmful(character) {
            text.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            text.push(character);
        }
    }
    Cow::Owned(text)
}

/// As [`clean`], but lines stay lines.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// A sentence to standard error.
pub(crate) fn complain(sentence: &str) {
    let language = Language::of_environment();
    let lines = sentence.lines().map(|line| told(language, line));
    let mut stderr = io::stderr().lock();
    // If nobody reads standard error there is nobody to tell.
    let _ = writeln!(stderr, "relais: {}", lines.collect::<Vec<_>>().join("\n"));
}

/// A plain line to standard error: what `serve` tells the person who started it.
pub(crate) fn tell(sentence: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{}", told(Language::of_environment(), sentence));
}

/// Seconds for people.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use relais_admin::plain::{taille, typed_size};

    use super::*;

    #[test]
    fn a_sentence_is_broken_at_spaces_and_its_further_lines_are_indented() {
        let text = "Devices reach Relais by this port or not at all.";
        let mark = "  \u{1b}[32m✓ OK\u{1b}[0m  ";
        assert_eq!(
            wrapped(mark, 6, text, 40),
            format!("{mark}Devices reach Relais by this\n      port or not at all.")
        );
        // What a narrow no-break space holds together stays together.
        let french = "Sans DNS, aucun serveur ne peut être\u{202f}: trouvé";
        assert_eq!(
            wrapped("", 2, french, 40),
            "Sans DNS, aucun serveur ne peut être\u{202f}:\n  trouvé"
        );
        let long = "a".repeat(60);
        let alone = format!("→ x\n  {long}");
        assert_eq!(wrapped("→ ", 2, &format!("x {long}"), 40), alone);
    }

    #[test]
    fn text_from_strangers_cannot_move_the_cursor() {
        assert_eq!(
            clean("a\u{1b}[2Jb\r\n\u{9b}c\u{202e}d"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}d"
        );
        assert_eq!(clean("café 日本"), "café 日本");
    }

    #[test]
    fn json_keeps_its_meaning_when_it_is_made_harmless() {
        let value = serde_json::json!({ "subject": "a\u{9b}2J\u{202e}\u{1b}" });
        let text = escaped(&value.to_string()).into_owned();
        assert!(text.is_ascii() && !text.contains(is_harmful), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn columns_are_aligned_without_trailing_spaces() {
        let cells = ["a".to_owned(), "bc".to_owned()];
        assert_eq!(columns(&cells, &[3, 4]), "a    bc");
        assert_eq!(cut(&"x".repeat(80)).chars().count(), CELL_CHARACTERS_MAX);
    }

    #[test]
    fn sizes_and_spans_are_short() {
        for (octets, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_536, "1.5 KB"),
            (25 << 20, "26.2 MB"),
            (1_000_000_000, "1 GB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(size(octets), text);
        }
        for (octets, text) in [
            (0, "0\u{202f}octets"),
            (1_536, "1,5\u{202f}Ko"),
            (1_000_000, "1\u{202f}Mo"),
            (2_500_000_000, "2,5\u{202f}Go"),
        ] {
            assert_eq!(taille(octets), text);
        }
        for (typed, read) in [("25 Mo", "25 MB"), (" 1Go ", "1GB"), ("4 MiB", "4 MiB")] {
            assert_eq!(typed_size(typed), read);
        }
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
