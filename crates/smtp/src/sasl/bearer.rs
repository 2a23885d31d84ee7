//! XOAUTH2 and OAUTHBEARER: a token instead of a password. RFC 7628; XOAUTH2 as Google and
//! Microsoft write it down.
//!
//! Not here: what the token says (`relais-net`), and for whom it speaks (`relais-policy`).

use alloc::boxed::Box;

use super::{Claim, Malformed, scram};
use crate::secret::Secret;

/// RFC 7628 §3.2.2.
pub(super) const OAUTHBEARER_REFUSED: &[u8] = br#"{"status":"invalid_token"}"#;
/// The same as its authors have it.
pub(super) const XOAUTH2_REFUSED: &[u8] = br#"{"status":"401","schemes":"Bearer","scope":"mail"}"#;

/// Between the parts.
const SEPARATOR: char = '\u{1}';

/// `user=` user ^A `auth=Bearer ` token ^A ^A.
pub(super) fn xoauth2(message: &Secret) -> Result<Claim, Malformed> {
    let text = message.expose_text().ok_or(Malformed)?;
    let mut user = None;
    for part in text.split(SEPARATOR) {
        if let Some(name) = part.strip_prefix("user=") {
            user = Some(name);
        }
    }
    claim(user.filter(|user| !user.is_empty()), text)
}

/// gs2-header ^A `host=` … ^A `port=` … ^A `auth=Bearer ` token ^A ^A. RFC 7628 §3.1.
pub(super) fn oauthbearer(message: &Secret) -> Result<Claim, Malformed> {
    let text = message.expose_text().ok_or(Malformed)?;
    let (header, pairs) = text.split_once(SEPARATOR).ok_or(Malformed)?;
    let rest = header
        .strip_prefix("n,")
        .or_else(|| header.strip_prefix("y,"))
        .ok_or(Malformed)?;
    let name = rest.strip_suffix(',').ok_or(Malformed)?;
    let user = match name.strip_prefix("a=") {
        Some(name) => Some(scram::decode_name(name).ok_or(Malformed)?),
        None if name.is_empty() => None,
        None => return Err(Malformed),
    };
    claim(user.as_deref(), pairs)
}

fn claim(user: Option<&str>, pairs: &str) -> Result<Claim, Malformed> {
    let token = pairs
        .split(SEPARATOR)
        .find_map(|part| part.strip_prefix("auth="))
        .ok_or(Malformed)?;
    let (scheme, token) = token.split_once(' ').ok_or(Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Malformed);
    }
    Ok(Claim::Bearer {
        user: user.map(Box::from),
        token: token.trim().as_bytes().into(),
    })
}
