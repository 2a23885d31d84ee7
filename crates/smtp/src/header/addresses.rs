//! The addresses of a From or Sender field. RFC 5322 §3.4, §4.4; RFC 6854.
//!
//! The question is which addresses *anybody* could take for the author, because a permission hangs
//! on it. So display names are read leniently, but an address in a display name without quotes
//! counts as well (`a@b.example <c@d.example>` has two), and what is ambiguous is not read at all.

use alloc::string::String;
use alloc::vec::Vec;
use core::iter::Peekable;
use core::str::Chars;

use crate::address::Mailbox;
use crate::domain::Domain;

/// Deepest nesting of comments that we follow. RFC 5322 §3.2.2 names no limit.
const COMMENT_DEPTH_MAX: usize = 32;

/// Every address, each once, at most `count_max`. `None` if the text cannot be read.
pub(super) fn read(text: &str, count_max: usize) -> Option<Vec<Mailbox>> {
    let mut list = List {
        addresses: Vec::new(),
        item: Item::default(),
        count_max,
    };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ',' | ';' => list.end_item()?,
            // The name of a group; its members follow.
            ':' if list.item.angle.is_none() && !list.item.outside.contains('@') => {
                list.item = Item::default();
            }
            ':' | '\\' | '>' => return None,
            '<' if list.item.angle.is_none() => list.item.angle = Some(angle(&mut characters)?),
            '<' => return None,
            '(' => {
                skip_comment(&mut characters)?;
                list.item.outside.push(' ');
            }
            other if list.item.angle.is_some() => {
                // Behind `<…>` only comments may stand.
                if !other.is_whitespace() {
                    return None;
                }
            }
            '"' => quoted(&mut characters, &mut list.item.outside)?,
            other => list.item.outside.push(other),
        }
    }
    list.end_item()?;
    Some(list.addresses)
}

struct List {
    addresses: Vec<Mailbox>,
    item: Item,
    count_max: usize,
}

/// What stands between two commas.
#[derive(Default)]
struct Item {
    /// Outside of `<…>`: display name, or an address without brackets. Comments are blanks.
    outside: String,
    /// Inside of `<…>`.
    angle: Option<String>,
}

impl List {
    fn end_item(&mut self) -> Option<()> {
        let Item { outside, angle } = core::mem::take(&mut self.item);
        let plain = address(&outside);
        match angle {
            Some(angle) => {
                self.add(address(strip_route(&angle)?)?)?;
                plain.map_or(Some(()), |plain| self.add(plain))
            }
            // A piece of a display name with a comma in it, or nothing: no address either way.
            None if !outside.contains('@') => Some(()),
            None => self.add(plain?),
        }
    }

    fn add(&mut self, mailbox: Mailbox) -> Option<()> {
        if self.addresses.contains(&mailbox) {
            return Some(());
        }
        self.addresses.push(mailbox);
        (self.addresses.len() <= self.count_max).then_some(())
    }
}

type Characters<'a> = Peekable<Chars<'a>>;

/// The inside of `<…>`, without comments.
fn angle(characters: &mut Characters<'_>) -> Option<String> {
    let mut inner = String::new();
    loop {
        match characters.next()? {
            '>' => return Some(inner),
            '<' => return None,
            '(' => {
                skip_comment(characters)?;
                inner.push(' ');
            }
            '"' => quoted(characters, &mut inner)?,
            other => inner.push(other),
        }
    }
}

/// Copies a quoted string with its quotes; its opening quote has been read.
fn quoted(characters: &mut Characters<'_>, out: &mut String) -> Option<()> {
    out.push('"');
    loop {
        let character = characters.next()?;
        out.push(character);
        match character {
            '"' => return Some(()),
            '\\' => out.push(characters.next()?),
            _ => {}
        }
    }
}

fn skip_comment(characters: &mut Characters<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match characters.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => {
                characters.next()?;
            }
            _ => {}
        }
        if depth > COMMENT_DEPTH_MAX {
            return None;
        }
    }
    Some(())
}

/// `@a,@b:c@d` → `c@d`. RFC 5322 §4.4, `obs-route`.
fn strip_route(inner: &str) -> Option<&str> {
    let inner = inner.trim();
    if !inner.starts_with('@') {
        return Some(inner);
    }
    let (route, address) = inner.split_once(':')?;
    let hop = |hop: &str| {
        hop.trim()
            .strip_prefix('@')
            .map(Domain::parse)
            .is_some_and(|d| d.is_ok())
    };
    route
        .split(',')
        .filter(|text| !text.trim().is_empty())
        .all(hop)
        .then_some(address)
}

/// An address with blanks around its dots and its `@`: RFC 5322 §4.4, `obs-local-part`.
fn address(text: &str) -> Option<Mailbox> {
    // The mark of octets that were no UTF-8: nobody's address.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let text = text.trim();
    if !text.contains([' ', '\t']) {
        return Mailbox::parse(text).ok();
    }
    let mut packed = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let joins = |character: Option<char>| matches!(character, Some('.' | '@'));
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted(&mut characters, &mut packed)?,
            ' ' | '\t' => {
                while characters
                    .next_if(|next| matches!(next, ' ' | '\t'))
                    .is_some()
                {}
                if !joins(packed.chars().next_back()) && !joins(characters.peek().copied()) {
                    return None;
                }
            }
            other => packed.push(other),
        }
    }
    Mailbox::parse(&packed).ok()
}
