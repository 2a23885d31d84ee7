//! An address taken out of what is written down: found in texts whatever its case, as a whole, and
//! replaced by one that is nobody's.
//!
//! Not here: where those texts are (`embedded/erasing.rs`).

use relais_smtp::address::Mailbox;

/// Stands where the address was: the top level `invalid` is nobody’s.
pub const ERASED_ADDRESS: &str = "erased@erased.invalid";

/// Finds and replaces one address.
#[derive(Clone, Debug)]
pub struct Eraser {
    /// As people write it.
    address: String,
    /// As it stands within a text of JSON.
    quoted: String,
}

/// What is to be erased.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The address.
    pub eraser: Eraser,
    /// Only of what belongs to this organisation; none: of all.
    pub organisation: Option<String>,
}

/// What was found, and erased unless it was only to be told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Erased {
    /// Events of the trace.
    pub events: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages whose content was kept.
    pub contents: u64,
    /// There is more than goes at once: to be repeated.
    pub has_more: bool,
    /// Days of the trace that could not be read or written, and files of damaged ones that were
    /// set aside (`2026-11-24.damaged`): they may have it still.
    pub unread: Vec<String>,
    /// The same, of conversations.
    pub unread_conversations: Vec<String>,
    /// Events that may have it, and are not in the trace yet, because it cannot be written.
    pub unwritten: u64,
}

impl Eraser {
    /// For an address with a domain; nothing else is erased: it would take others with it.
    pub fn new(address: &str) -> Option<Self> {
        let address = address.trim();
        Mailbox::parse(address).ok()?;
        let quoted = serde_json::to_string(address).ok()?;
        let quoted = quoted.trim_matches('"').to_owned();
        (address.contains('@') && address != ERASED_ADDRESS).then(|| Self {
            address: address.to_owned(),
            quoted,
        })
    }

    /// The address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether this is the address, alone.
    pub fn is(&self, address: &str) -> bool {
        self.address.eq_ignore_ascii_case(address)
    }

    /// Whether a text, or one of JSON, has it.
    pub fn is_in(&self, text: &str) -> bool {
        self.next(text, &self.address, 0).is_some()
            || (self.quoted != self.address && self.next(text, &self.quoted, 0).is_some())
    }

    /// The text without it; `None`: it is not there.
    pub fn replace(&self, text: &str) -> Option<String> {
        if !self.is_in(text) {
            return None;
        }
        let without = self.without(text, &self.address);
        match self.quoted == self.address {
            true => Some(without),
            false => Some(self.without(&without, &self.quoted)),
        }
    }

    fn without(&self, text: &str, address: &str) -> String {
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        while let Some(at) = self.next(text, address, from) {
            out.push_str(&text[from..at]);
            out.push_str(ERASED_ADDRESS);
            from = at + address.len();
        }
        out.push_str(&text[from..]);
        out
    }

    /// Where it stands next, from there on, as a whole.
    fn next(&self, text: &str, address: &str, from: usize) -> Option<usize> {
        let local = address.rfind('@')?;
        let mut look_at = from;
        while let Some(found) = text.get(look_at..)?.find('@') {
            let sign = look_at + found;
            look_at = sign + 1;
            let Some(start) = sign.checked_sub(local).filter(|start| *start >= from) else {
                continue;
            };
            let Some(here) = text.get(start..start + address.len()) else {
                continue;
            };
            let is_whole = !continues_before(&text[..start])
                && !continues_behind(&text[start + address.len()..]);
            if here.eq_ignore_ascii_case(address) && is_whole {
                return Some(start);
            }
        }
        None
    }
}

/// Whether an address that begins here is the end of a longer one. Signs that stand around
/// addresses in sentences (`=`, `'`, `/`) do not count, though they may stand in them: rather too
/// much is erased.
fn continues_before(text: &str) -> bool {
    let last = text.chars().next_back();
    last.is_some_and(|one| one.is_alphanumeric() || "._+-".contains(one)) && !ends_escaped(text)
}

/// Whether what stands before an address ends with a sign that JSON writes with letters or digits:
/// `\n`, `\u2028`. RFC 8259 §7.
fn ends_escaped(text: &str) -> bool {
    let octets = text.as_bytes();
    // One that is escaped itself begins nothing.
    let begins_at = |at: usize| {
        let before = octets[..=at].iter().rev();
        before.take_while(|octet| **octet == b'\\').count() % 2 == 1
    };
    let behind = |length: usize| octets.len().checked_sub(length).filter(|at| begins_at(*at));
    let is_short = behind(2).is_some_and(|at| b"bfnrt".contains(&octets[at + 1]));
    let is_long = behind(6).is_some_and(|at| {
        octets[at + 1] == b'u' && octets[at + 2..].iter().all(u8::is_ascii_hexdigit)
    });
    is_short || is_long
}

fn continues_behind(text: &str) -> bool {
    let mut next = text.chars();
    let follows = match next.next() {
        // The end of a sentence, or a longer domain.
        Some('.') => next.next(),
        one => one,
    };
    follows.is_some_and(|one| one.is_alphanumeric() || one == '-' || one == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_as_a_whole_whatever_its_case() {
        let eraser = Eraser::new("ann@x.test").expect("an address");
        for text in [
            "ann@x.test",
            "ANN@X.Test",
            "to <ann@x.test> at noon",
            "to=ann@x.test, 'ann@x.test'",
            "nobody knows ann@x.test.",
            "joann@x.test and ann@x.test",
            "é<ann@x.test>é",
            "@ann@x.test",
        ] {
            assert!(eraser.is_in(text), "{text}");
            let without = eraser.replace(text).expect("it is there");
            assert!(without.contains(ERASED_ADDRESS), "{without}");
            assert!(!eraser.is_in(&without), "{without}");
        }
        for text in [
            "",
            "@",
            "ann@x",
            "joann@x.test",
            "a.ann@x.test",
            "ann+tag@x.test",
            "ann@x.tests",
            "ann@x.test.example",
            "ann@x.test-y",
            "éann@x.test",
        ] {
            assert_eq!(eraser.replace(text), None, "{text}");
        }
    }

    #[test]
    fn others_beside_it_stay() {
        let eraser = Eraser::new("ann@x.test").expect("an address");
        let text = r#"{"to":["ann@x.test","joann@x.test","Ann@X.test"],"from":"bob@x.test"}"#;
        let without = eraser.replace(text).expect("it is there");
        assert_eq!(
            without,
            r#"{"to":["erased@erased.invalid","joann@x.test","erased@erased.invalid"],"from":"bob@x.test"}"#
        );
    }

    #[test]
    fn an_address_that_json_writes_otherwise_is_found_in_both_forms() {
        let eraser = Eraser::new(r#""a b"@x.test"#).expect("an address");
        let json = r#"{"to":"\"a b\"@x.test"}"#;
        let without = eraser.replace(json).expect("it is there");
        assert_eq!(without, r#"{"to":"erased@erased.invalid"}"#);
        assert!(eraser.is_in(r#"RCPT TO:<"a b"@x.test>"#));
    }

    #[test]
    fn an_address_behind_a_sign_that_json_writes_with_letters_is_found() {
        let eraser = Eraser::new("ann@x.test").expect("an address");
        for before in ["\u{2028}", "\n", "\t", "\u{85}", "\\\n", "C:\\ \r"] {
            let json = serde_json::to_string(&format!("{before}ann@x.test")).expect("a text");
            let ours = json
                .replace('\u{2028}', "\\u2028")
                .replace('\u{85}', "\\u0085");
            assert!(eraser.is_in(&ours), "{ours}");
        }
        for longer in ["\\nann@x.test", "\\u2028ann@x.test", "u2028ann@x.test"] {
            let json = serde_json::to_string(longer).expect("a text");
            assert!(!eraser.is_in(&json), "{json}");
        }
    }

    #[test]
    fn what_is_no_whole_address_is_not_erased() {
        for text in ["", "ann", "@x.test", "ann@", "x.test", ERASED_ADDRESS] {
            assert!(Eraser::new(text).is_none(), "{text}");
        }
    }
}
