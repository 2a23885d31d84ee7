//! Parameters of MAIL, RCPT and BDAT: `SIZE=`, `BODY=`, `RET=`, `ENVID=`, `NOTIFY=`, `ORCPT=` ….
//!
//! A parameter that is not known gets 555 (RFC 5321 §4.1.1.11); a known one that is given twice or
//! not well formed gets 501.

use alloc::boxed::Box;
use alloc::string::String;

use super::{ENVID_CHARACTERS_MAX, ORCPT_CHARACTERS_MAX, SIZE_DIGITS_MAX, arguments_fault};
use crate::content::Preset;
use crate::envelope::{Body, Notify, OriginalRecipient, Ret, SenderParameters};
use crate::refusal::Refusal;

/// The parameters, and whether `AUTH=` was among them.
pub(super) fn of_sender(text: &str, preset: Preset) -> Result<(SenderParameters, bool), Refusal> {
    let mut parameters = SenderParameters::default();
    let mut author = None;
    let mut body = None;
    for parameter in split(text, preset) {
        let (keyword, value) = parameter?;
        let upper = upper(keyword);
        match (&*upper, value) {
            ("SIZE", Some(value)) => once(&mut parameters.size, number(value))?,
            ("BODY", Some(value)) => once(&mut body, Some(read_body(value)?))?,
            ("SMTPUTF8", None) => flag(&mut parameters.smtp_utf8)?,
            ("REQUIRETLS", None) => flag(&mut parameters.require_tls)?,
            ("RET", Some(value)) => once(&mut parameters.ret, read_ret(value))?,
            ("ENVID", Some(value)) => once(&mut parameters.envid, read_envid(value))?,
            ("AUTH", Some(_)) => once(&mut author, Some(()))?,
            ("SIZE" | "BODY" | "SMTPUTF8" | "REQUIRETLS" | "RET" | "ENVID" | "AUTH", _) => {
                return Err(arguments_fault());
            }
            _ => return Err(Refusal::Parameter { keyword: upper }),
        }
    }
    parameters.body = body.unwrap_or_default();
    Ok((parameters, author.is_some()))
}

type RecipientParameters = (Option<Notify>, Option<OriginalRecipient>);

pub(super) fn of_recipient(text: &str, preset: Preset) -> Result<RecipientParameters, Refusal> {
    let (mut notify, mut original) = (None, None);
    for parameter in split(text, preset) {
        let (keyword, value) = parameter?;
        let upper = upper(keyword);
        match (&*upper, value) {
            ("NOTIFY", Some(value)) => once(&mut notify, read_notify(value))?,
            ("ORCPT", Some(value)) => once(&mut original, read_original(value))?,
            ("NOTIFY" | "ORCPT", None) => return Err(arguments_fault()),
            _ => return Err(Refusal::Parameter { keyword: upper }),
        }
    }
    Ok((notify, original))
}

/// Digits only, at most [`SIZE_DIGITS_MAX`]; what is above `u64::MAX` counts as that.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = (1..=SIZE_DIGITS_MAX).contains(&text.len());
    if !digits || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

type Parameter<'a> = (&'a str, Option<&'a str>);

/// ` KEYWORD=value KEYWORD …`. RFC 5321 §4.1.2, `esmtp-param`; RFC 6531 §3.3 for UTF-8 in values.
fn split(text: &str, preset: Preset) -> impl Iterator<Item = Result<Parameter<'_>, Refusal>> {
    let words = text
        .strip_prefix(' ')
        .into_iter()
        .flat_map(|words| words.split(' '));
    words
        .filter(move |word| preset == Preset::Strict || !word.is_empty())
        .map(|word| {
            let (keyword, value) = match word.split_once('=') {
                Some((keyword, value)) => (keyword, Some(value)),
                None => (word, None),
            };
            let keyword_fits = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
                && keyword
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let value_fits = value.is_none_or(|value| {
                !value.is_empty() && !value.contains(|c: char| c == '=' || c.is_control())
            });
            if keyword_fits && value_fits {
                Ok((keyword, value))
            } else {
                Err(arguments_fault())
            }
        })
}

fn upper(keyword: &str) -> Box<str> {
    keyword.to_ascii_uppercase().into_boxed_str()
}

/// Sets what has not been set; `None` as value means that it is not well formed.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), Refusal> {
    if place.is_some() || value.is_none() {
        return Err(arguments_fault());
    }
    *place = value;
    Ok(())
}

fn flag(place: &mut bool) -> Result<(), Refusal> {
    if *place {
        return Err(arguments_fault());
    }
    *place = true;
    Ok(())
}

/// BINARYMIME (RFC 3030 §3) is not offered: content must have lines for the way out by DATA.
fn read_body(value: &str) -> Result<Body, Refusal> {
    match &*upper(value) {
        "7BIT" => Ok(Body::SevenBit),
        "8BITMIME" => Ok(Body::EightBitMime),
        "BINARYMIME" => Err(Refusal::Parameter {
            keyword: "BODY=BINARYMIME".into(),
        }),
        _ => Err(arguments_fault()),
    }
}

fn read_ret(value: &str) -> Option<Ret> {
    match &*upper(value) {
        "FULL" => Some(Ret::Full),
        "HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

fn read_envid(value: &str) -> Option<Box<str>> {
    if value.len() > ENVID_CHARACTERS_MAX {
        return None;
    }
    decode_xtext(value)
}

/// `NEVER`, or a list of the others. RFC 3461 §4.1.
fn read_notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::NEVER);
    }
    let mut notify = Notify::NEVER;
    for word in value.split(',') {
        match &*upper(word) {
            "SUCCESS" => notify.success = true,
            "FAILURE" => notify.failure = true,
            "DELAY" => notify.delay = true,
            _ => return None,
        }
    }
    Some(notify)
}

/// `type;address`. RFC 3461 §4.2, RFC 6533 §3.
fn read_original(value: &str) -> Option<OriginalRecipient> {
    if value.len() > ORCPT_CHARACTERS_MAX {
        return None;
    }
    let (address_type, address) = value.split_once(';')?;
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/?^_`{|}~.".contains(c);
    if address_type.is_empty() || !address_type.chars().all(atom) {
        return None;
    }
    let address_type = address_type.to_ascii_lowercase().into_boxed_str();
    let address = match &*address_type {
        "utf-8" => decode_utf8_address(address)?,
        _ => decode_xtext(address)?,
    };
    Some(OriginalRecipient {
        address_type,
        address,
    })
}

/// `+XX` → the character. Only printable ASCII may come out: it is written into notices.
/// RFC 3461 §4, §4.4.
fn decode_xtext(text: &str) -> Option<Box<str>> {
    let mut decoded = String::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'+' {
            hex(bytes.next()?)? << 4 | hex(bytes.next()?)?
        } else {
            byte
        };
        if !matches!(byte, b' '..=b'~') {
            return None;
        }
        decoded.push(char::from(byte));
    }
    (!decoded.is_empty()).then(|| decoded.into_boxed_str())
}

/// Upper case only, as RFC 3461 §4 has it, would refuse what many programs write.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// `\x{HEX}` → the character; UTF-8 passes as it is; `+XX` is read too, for programs that use xtext
/// here. RFC 6533 §3, `utf-8-enc-addr`.
fn decode_utf8_address(text: &str) -> Option<Box<str>> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let character = match character {
            '\\' => {
                let (digits, behind) = rest.strip_prefix("\\x{")?.split_once('}')?;
                rest = behind;
                code_point(digits)?
            }
            '+' => {
                let digits = rest.get(1..3)?;
                rest = &rest[3..];
                code_point(digits)?
            }
            plain => {
                rest = &rest[plain.len_utf8()..];
                plain
            }
        };
        if character.is_control() {
            return None;
        }
        decoded.push(character);
    }
    (!decoded.is_empty()).then(|| decoded.into_boxed_str())
}

fn code_point(digits: &str) -> Option<char> {
    let hex = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return None;
    }
    u32::from_str_radix(digits, 16)
        .ok()
        .and_then(char::from_u32)
}
