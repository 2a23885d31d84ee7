//! A list of addresses as people paste it, out of a mail, a table or a ticket: between commas,
//! semicolons, tabs or line ends, with or without names and brackets.
//!
//! Not here: patterns for one address (`values.rs`).

use super::TraceQueryError;

/// Addresses of one search: ours; each is two look-ups in each part of the index.
pub const ADDRESSES_MAX: usize = 50;

/// With so many addresses and no word between them a list is meant; two may be sender and
/// recipient of one message.
const BARE_LIST_MIN: usize = 3;

/// The addresses in a text, in their order, each once; what is none is passed over.
///
/// Errors: there is none, or there are more than [`ADDRESSES_MAX`].
pub fn addresses_in(text: &str) -> Result<Vec<String>, TraceQueryError> {
    let words = text.split(|one: char| one.is_whitespace() || is_between(one));
    let all = each_once(words.filter_map(address));
    if all.is_empty() {
        let words = "there is no address in it; write anna@example.org, ben@example.org";
        return Err(TraceQueryError(words.to_owned()));
    }
    if all.len() > ADDRESSES_MAX {
        return Err(TraceQueryError(format!(
            "{} addresses at once are too many: {ADDRESSES_MAX} at most",
            all.len()
        )));
    }
    Ok(all)
}

/// The value of `address:`, in lower case.
pub(super) fn read(value: &str) -> Result<Vec<String>, TraceQueryError> {
    let all = addresses_in(value)?;
    Ok(all.iter().map(|one| one.to_lowercase()).collect())
}

/// The whole of what was typed, if it is a list and nothing else. Too long a list is one too.
pub(super) fn pasted(text: &str) -> Option<Vec<String>> {
    let parts = text.split(is_between).map(str::trim);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    let [only] = parts.as_slice() else {
        let (is_list, all) = (parts.iter().all(|part| is_entry(part)), of(&parts));
        return (is_list && !all.is_empty()).then_some(all);
    };
    // One alone is what it always was, but for a name with brackets.
    let words: Vec<_> = only.split_whitespace().collect();
    let is_bare_list = words.len() >= BARE_LIST_MIN && words.iter().all(|one| is_bare(one));
    let is_named = words.len() > 1 && is_entry(only) && only.ends_with('>');
    (is_bare_list || is_named).then(|| of(&words))
}

fn of(parts: &[&str]) -> Vec<String> {
    let words = parts.iter().flat_map(|part| part.split_whitespace());
    each_once(words.filter_map(address))
}

/// In their order; letter case never counts.
fn each_once<'a>(addresses: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for address in addresses {
        let is_same = |known: &String| known.to_lowercase() == address.to_lowercase();
        if !all.iter().any(is_same) {
            all.push(address.to_owned());
        }
    }
    all
}

fn is_between(one: char) -> bool {
    matches!(one, ',' | ';' | '\n' | '\r' | '\t')
}

/// `anna@example.org`, `<anna@example.org>`, `Anna <anna@example.org>`; or a part of a name that
/// has a comma in it (`"Berg, Anna" <anna@example.org>`).
fn is_entry(part: &str) -> bool {
    let quoted = part.starts_with('"') && !part.contains(':');
    let named = part
        .split_once('<')
        .is_some_and(|(name, rest)| !name.contains(':') && address(&format!("<{rest}")).is_some());
    is_bare(part) || named || quoted
}

fn is_bare(word: &str) -> bool {
    !word.contains([':', '*']) && address(word).is_some()
}

/// The address in a word: without brackets, quotation marks and a scheme.
fn address(word: &str) -> Option<&str> {
    let bare = word.trim_matches(|one: char| "<>\"'()[]".contains(one));
    let bare = bare.strip_prefix("mailto:").unwrap_or(bare);
    let (local, domain) = bare.rsplit_once('@')?;
    let is_whole = !local.is_empty() && !domain.is_empty() && !bare.contains(char::is_whitespace);
    is_whole.then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceQuery;

    fn term(text: &str) -> String {
        let query = TraceQuery::parse(text).expect("a search");
        assert_eq!(query.terms.len(), 1, "{query:?}");
        query.terms[0].to_string()
    }

    #[test]
    fn a_pasted_list_is_one_term_whatever_stands_between() {
        let both = "address:\"anna@example.org, ben@example.com\"";
        for text in [
            "anna@example.org, ben@example.com",
            "anna@example.org;ben@example.com;",
            "anna@example.org\nben@example.com\n",
            "anna@example.org\tben@example.com",
            "Anna Berg <anna@example.org>, <ben@example.com>",
            "\"Berg, Anna\" <anna@example.org>; ben@example.com",
            "anna@example.org, ANNA@example.org, ben@example.com",
        ] {
            assert_eq!(term(text), both, "{text}");
            // As the page's address has it.
            assert_eq!(term(&term(text)), both, "{text}");
        }
        assert_eq!(term("Anna <anna@example.org>"), "address:anna@example.org");
        let three = term("a@x.test b@x.test c@x.test");
        assert_eq!(three, "address:\"a@x.test, b@x.test, c@x.test\"");
    }

    #[test]
    fn what_is_no_list_is_read_as_before() {
        for (text, terms) in [
            ("anna@example.org", 1),
            ("anna@example.org ben@example.com", 2),
            ("to:a@x.test, from:b@x.test", 2),
            ("client:10.1.2.9 status:failed", 2),
            ("out, of paper", 3),
            ("token:RCPT-UNKNOWN a@x.test b@x.test c@x.test", 4),
            ("*@x.test, a@x.test", 2),
        ] {
            let query = TraceQuery::parse(text).expect("a search");
            assert_eq!(query.terms.len(), terms, "{text}");
            assert!(
                query.terms.iter().all(|one| one.field != "address"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_list_is_bounded_and_must_name_somebody() {
        let list = |count: usize| {
            let all: Vec<_> = (0..count).map(|one| format!("user{one}@x.test")).collect();
            all.join("; ")
        };
        assert_eq!(addresses_in(&list(50)).map(|all| all.len()), Ok(50));
        let too_many = TraceQuery::parse(&list(51)).expect_err("too many");
        assert!(too_many.0.contains("51"), "{too_many}");
        assert!(TraceQuery::parse("address:nobody").is_err());
    }
}
