//! From the text of a query to its terms: words, quotation marks, token names.

use std::net::IpAddr;

use super::addresses;
use super::values::Test;
use super::{QUERY_OCTETS_MAX, QUERY_TERMS_MAX, TraceQueryError, TraceTerm};

/// Every token, in the order in which people are told of them. The last is free text.
const FIELDS: [&str; 18] = [
    "to",
    "from",
    "address",
    "client",
    "connector",
    "status",
    "code",
    "ref",
    "token",
    "size",
    "tls",
    "delay",
    "subject",
    "event",
    "id",
    "message-id",
    "organisation",
    FREE_TEXT,
];

pub(super) const FREE_TEXT: &str = "text";

const ADDRESSES: &str = "address";

pub(super) fn terms(text: &str) -> Result<Vec<TraceTerm>, TraceQueryError> {
    if text.len() > QUERY_OCTETS_MAX {
        return Err(TraceQueryError(format!(
            "the search is longer than {QUERY_OCTETS_MAX} octets"
        )));
    }
    if let Some(list) = addresses::pasted(text) {
        return Ok(vec![term(ADDRESSES, &list.join(", "))?]);
    }
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if terms.len() == QUERY_TERMS_MAX {
            return Err(TraceQueryError(format!(
                "the search has more than {QUERY_TERMS_MAX} terms"
            )));
        }
        let (name, value_onwards) = split_name(rest);
        let (value, after) = split_value(value_onwards)?;
        terms.push(term(name.unwrap_or(FREE_TEXT), &value)?);
        rest = after.trim_start();
    }
    Ok(terms)
}

pub(super) fn term(field: &str, value: &str) -> Result<TraceTerm, TraceQueryError> {
    let Some(known) = FIELDS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(field))
    else {
        return Err(TraceQueryError(format!(
            "the token {field}: is not known; known are {}; put text with a colon into \
             quotation marks",
            FIELDS[..FIELDS.len() - 1]
                .iter()
                .map(|name| format!("{name}:"))
                .collect::<Vec<_>>()
                .join(" ")
        )));
    };
    let value = value.trim();
    if value.is_empty() {
        return Err(TraceQueryError(format!("the token {known}: has no value")));
    }
    let test = Test::read(known, value)?;
    Ok(TraceTerm {
        field: known,
        value: value.to_owned(),
        test,
    })
}

/// The name before the colon, if this word has the form of a token: letters only (but for one that
/// is known), and the word is not an IPv6 address.
fn split_name(text: &str) -> (Option<&str>, &str) {
    let Some((name, value)) = text.split_once(':') else {
        return (None, text);
    };
    let is_known = || FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
    let is_name = name.bytes().all(|octet| octet.is_ascii_alphabetic()) || is_known();
    if name.is_empty() || !is_name {
        return (None, text);
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    if word.parse::<IpAddr>().is_ok() {
        return (None, text);
    }
    (Some(name), value)
}

/// A word, or what stands in quotation marks (`\"` and `\\` inside), and what follows it.
fn split_value(text: &str) -> Result<(String, &str), TraceQueryError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((value, characters.as_str())),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            plain => value.push(plain),
        }
    }
    Err(TraceQueryError("a quotation mark is not closed".to_owned()))
}
