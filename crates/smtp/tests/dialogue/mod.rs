//! Reads dialogue files: SMTP conversations that a postmaster can read and write.
//!
//! The form is described in `dialogues/README.md`. This file uses the standard library only, so
//! that other crates' tests can include it as it is and play the same files over a socket.

use std::path::{Path, PathBuf};

/// One conversation, with what is assumed and what must come of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialogue {
    /// File name without its ending.
    pub(crate) name: String,
    /// `key: value` above the conversation, in order.
    pub(crate) settings: Vec<(String, String)>,
    /// What is said, in order.
    pub(crate) turns: Vec<Turn>,
}

/// One part of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// The client sends these octets in one piece.
    Client(Vec<u8>),
    /// The server answers with exactly these lines, `*` standing for any text.
    Server(Vec<String>),
    /// The server closes.
    Closed,
    /// What must be true of the message accepted last: key and value.
    Message(String, String),
}

impl Dialogue {
    /// Reads one file.
    ///
    /// # Panics
    /// If the file is not of the form: it is a test's fault.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a dialogue file can be read");
        let name = path
            .file_stem()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        let mut dialogue = Self {
            name,
            ..Self::default()
        };
        let mut in_settings = true;
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                in_settings &= !line.is_empty();
                continue;
            }
            let fault = || -> ! { panic!("{}:{}: {line}", path.display(), number + 1) };
            in_settings &= !["C:", "C-", "C*", "S:"]
                .iter()
                .any(|mark| line.starts_with(mark));
            if in_settings {
                let Some((key, value)) = line.split_once(':') else {
                    fault()
                };
                dialogue
                    .settings
                    .push((key.trim().into(), value.trim().into()));
                continue;
            }
            if !dialogue.turn(line) {
                fault();
            }
        }
        dialogue
    }

    /// Every dialogue of a folder, sorted by name.
    ///
    /// # Panics
    /// If the folder cannot be read, or a dialogue has no `.why`.
    pub(crate) fn read_all(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).expect("the folder of dialogues can be read");
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("a folder entry").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "smtp"))
            .collect();
        paths.sort();
        for path in &paths {
            let why = path.with_extension("why");
            assert!(
                why.exists(),
                "{} is missing: say why the case exists",
                why.display()
            );
        }
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The last value of a setting.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| &**value)
    }

    /// Every value of a setting that may be given more than once.
    pub(crate) fn settings_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| &**value)
    }

    fn turn(&mut self, line: &str) -> bool {
        let (mark, rest) = line.split_at(line.len().min(2));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match mark {
            "C:" => self.client(&[&*octets(rest), b"\r\n"].concat()),
            "C-" => self.client(&octets(rest)),
            "C*" => {
                let Some((count, text)) = rest.split_once(' ') else {
                    return false;
                };
                let Ok(count) = count.parse() else {
                    return false;
                };
                self.client(&octets(text).repeat(count));
            }
            "S:" if rest == "<closed>" => self.turns.push(Turn::Closed),
            "S:" => {
                if let Some(Turn::Server(lines)) = self.turns.last_mut() {
                    lines.push(rest.into());
                } else {
                    self.turns.push(Turn::Server(vec![rest.into()]));
                }
            }
            "M:" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                self.turns.push(Turn::Message(key.into(), value.into()));
            }
            _ => return false,
        }
        true
    }

    fn client(&mut self, piece: &[u8]) {
        if let Some(Turn::Client(octets)) = self.turns.last_mut() {
            octets.extend_from_slice(piece);
        } else {
            self.turns.push(Turn::Client(piece.to_vec()));
        }
    }
}

/// Text with `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN`.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'\\' {
            octets.push(*first);
            continue;
        }
        let (escape, behind) = rest.split_first().expect("something follows a backslash");
        rest = behind;
        octets.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two hexadecimal digits");
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("no such escape: \\{}", char::from(*other)),
        });
    }
    octets
}

/// Whether `line` is as `pattern` says; each `*` stands for any text.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
