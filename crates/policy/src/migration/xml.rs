//! Elements and attributes of `MetaBase.xml`, flat: that is all of it that counts. What is not well
//! formed is passed over.

use super::MigrationError;

/// Elements that are read at most: a metabase of a large server has some thousand.
const ELEMENTS_MAX: usize = 100_000;
/// Attributes of one element; the metabase knows some 200.
const ATTRIBUTES_MAX: usize = 500;
/// Octets of what stands between `&` and `;`.
const SIGN_OCTETS_MAX: usize = 10;

/// One element, without what stands within it.
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// Empty: it has no such attribute.
    pub(super) fn get(&self, key: &str) -> &str {
        let mut all = self.attributes.iter();
        let found = all.find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map_or("", |(_, value)| value.trim())
    }
}

/// All elements in their order.
pub(super) fn elements(text: &str) -> Result<Vec<Element>, MigrationError> {
    let mut found = Vec::new();
    let mut left = text;
    while let Some((_, after)) = left.split_once('<') {
        if let Some(comment) = after.strip_prefix("!--") {
            left = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let begins = after.chars().next();
        if !begins.is_some_and(|one| one.is_ascii_alphabetic()) {
            left = after;
            continue;
        }
        if found.len() >= ELEMENTS_MAX {
            let message =
                format!("it has more than {ELEMENTS_MAX} elements; give MetaBase.xml alone");
            return Err(MigrationError::new(message));
        }
        let (element, rest) = element(after);
        found.push(element);
        left = rest;
    }
    Ok(found)
}

fn element(text: &str) -> (Element, &str) {
    let is_of_name =
        |one: char| one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | ':' | '.');
    let end = text.find(|one| !is_of_name(one)).unwrap_or(text.len());
    let (name, mut left) = text.split_at(end);
    let mut attributes = Vec::new();
    loop {
        left = left.trim_start();
        let end = left.find(|one| !is_of_name(one)).unwrap_or(left.len());
        let (key, rest) = left.split_at(end);
        if key.is_empty() {
            // `>`, `/>`, or what is no attribute.
            left = rest.split_once('>').map_or("", |(_, rest)| rest);
            break;
        }
        let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else {
            left = rest;
            continue;
        };
        let Some(mark) = value.chars().next().filter(|one| matches!(one, '"' | '\'')) else {
            left = value;
            continue;
        };
        let Some((value, rest)) = value[1..].split_once(mark) else {
            left = "";
            break;
        };
        if attributes.len() < ATTRIBUTES_MAX {
            attributes.push((key.to_owned(), unescaped(value)));
        }
        left = rest;
    }
    let name = name.to_owned();
    (Element { name, attributes }, left)
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = text;
    while let Some((before, after)) = left.split_once('&') {
        out.push_str(before);
        let end = after
            .bytes()
            .take(SIGN_OCTETS_MAX)
            .position(|it| it == b';');
        let named = end.and_then(|end| {
            let (name, rest) = (&after[..end], &after[end + 1..]);
            let letter = match name {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                name => {
                    let digits = name.strip_prefix('#')?;
                    let code = match digits.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => digits.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((letter, rest))
        });
        match named {
            Some((letter, rest)) => {
                out.push(letter);
                left = rest;
            }
            None => {
                out.push('&');
                left = after;
            }
        }
    }
    out.push_str(left);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_the_metabase_writes_them() {
        let text = "<?xml version =\"1.0\"?>\n<!-- <IIsSmtpServer SmartHost=\"no\"/> -->\n\
                    <IIsSmtpServer\tLocation =\"/LM/SmtpSvc/1\"\n\t\tSmartHost='a&amp;b &#x41;'\n\
                    \t\tOdd >\n<Custom Name=\"x\" Value=\"&unknown; &\"/></IIsSmtpServer>";
        let all = elements(text).ok().unwrap();
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["IIsSmtpServer", "Custom"]);
        assert_eq!(all[0].get("location"), "/LM/SmtpSvc/1");
        assert_eq!(all[0].get("SmartHost"), "a&b A");
        assert_eq!(all[0].get("Odd"), "");
        assert_eq!(all[1].get("Value"), "&unknown; &");
    }

    #[test]
    fn what_is_cut_off_or_broken_ends() {
        for text in [
            "<", "<a", "<a b", "<a b=", "<a b=\"", "<a b='c", "<a =>", "<!--", "<a b=c>",
        ] {
            assert!(elements(text).is_ok(), "{text}");
        }
        assert!(elements(&"<a>".repeat(ELEMENTS_MAX + 1)).is_err());
    }
}
