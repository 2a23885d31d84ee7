//! What happened in one run, line by line, on the simulated time line; and its fingerprint.

use std::fmt::Write as _;
use std::time::Duration;

/// FNV-1a, 64 bits: enough to tell two histories apart.
const FINGERPRINT_START: u64 = 0xcbf2_9ce4_8422_2325;
const FINGERPRINT_FACTOR: u64 = 0x0000_0100_0000_01b3;
/// Lines shown of a history around a fault.
const SHOWN_LINES_MAX: usize = 200;

/// The lines of a run.
#[derive(Debug)]
pub(super) struct History {
    lines: Vec<Line>,
    fingerprint: u64,
}

#[derive(Debug)]
struct Line {
    at: Duration,
    /// Which message it is about; 0: all.
    message: u64,
    text: String,
}

impl Default for History {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            fingerprint: FINGERPRINT_START,
        }
    }
}

impl History {
    /// Adds a line; `message` is 0 where it concerns all.
    pub(super) fn note(&mut self, at: Duration, message: u64, text: String) {
        for octet in at.as_micros().to_le_bytes().iter().chain(text.as_bytes()) {
            self.fingerprint =
                (self.fingerprint ^ u64::from(*octet)).wrapping_mul(FINGERPRINT_FACTOR);
        }
        self.lines.push(Line { at, message, text });
    }

    /// The same for two runs only if the same things happened at the same times.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many lines.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Everything that concerns some messages, and what concerns all while they lived.
    pub(super) fn around(&self, messages: &[u64]) -> String {
        let concerned = |line: &&Line| messages.contains(&line.message);
        let of_messages = || self.lines.iter().filter(concerned);
        let first = of_messages().next().map_or(Duration::ZERO, |line| line.at);
        let last = of_messages()
            .next_back()
            .map_or(Duration::MAX, |line| line.at);
        let shown = self.lines.iter().filter(|line| {
            let general = line.message == 0 && (first..=last).contains(&line.at);
            general || messages.contains(&line.message)
        });
        write_lines(shown, SHOWN_LINES_MAX)
    }

    /// All of it.
    pub(super) fn whole(&self) -> String {
        write_lines(self.lines.iter(), usize::MAX)
    }
}

fn write_lines<'a>(lines: impl Iterator<Item = &'a Line>, most: usize) -> String {
    let mut text = String::new();
    for (number, line) in lines.enumerate() {
        if number == most {
            text.push_str("  …\n");
            break;
        }
        let seconds = line.at.as_secs();
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {hours:03}:{minutes:02}:{:02}.{:03} {}",
            seconds % 60,
            line.at.subsec_millis(),
            line.text
        );
    }
    text
}
