//! The path of MAIL and RCPT: `FROM:<…>` and `TO:<…>`. RFC 5321 §4.1.2.

use crate::address::{ForwardPath, Mailbox, PATH_OCTETS_MAX, ReversePath};
use crate::content::{Preset, Repair};
use crate::domain::Domain;
use crate::refusal::Refusal;

/// A path, cut out of its line.
pub(super) struct Argument<'a> {
    /// Between the brackets, without source route.
    inner: &'a str,
    /// What follows: empty, or parameters behind a space.
    pub(super) rest: &'a str,
    /// What the tolerant preset forgave.
    pub(super) repair: Option<Repair>,
}

/// Reads `KEYWORD:<path>`. `Err`: the keyword or its colon is missing. `Ok(None)`: no path.
pub(super) fn read<'a>(
    text: &'a str,
    keyword: &str,
    preset: Preset,
) -> Result<Option<Argument<'a>>, Refusal> {
    let rest = strip_keyword(text, keyword).ok_or_else(super::arguments_fault)?;
    let (colon, rest) = match (rest.strip_prefix(':'), preset) {
        (Some(rest), _) => (true, rest),
        (None, Preset::Strict) => return Err(super::arguments_fault()),
        (None, Preset::Tolerant) => {
            let rest = rest
                .trim_start()
                .strip_prefix(':')
                .ok_or_else(super::arguments_fault)?;
            (false, rest)
        }
    };
    let Some(cut) = cut_path(rest, preset) else {
        return Ok(None);
    };
    let repair = (!colon || cut.forgiven).then_some(Repair::PathSyntax);
    Ok(strip_source_route(cut.inner).map(|inner| Argument {
        inner,
        rest: cut.rest,
        repair,
    }))
}

impl Argument<'_> {
    pub(super) fn reverse_path(&self) -> Option<ReversePath> {
        if self.inner.is_empty() {
            return Some(ReversePath::Null);
        }
        Mailbox::parse(self.inner).ok().map(ReversePath::Mailbox)
    }

    pub(super) fn forward_path(&self) -> Option<ForwardPath> {
        // The one address that needs no domain. RFC 5321 §4.1.1.3.
        if self.inner.eq_ignore_ascii_case("postmaster") {
            return Some(ForwardPath::Postmaster);
        }
        let mailbox = Mailbox::parse(self.inner).ok()?;
        (!is_bare_literal(&mailbox)).then_some(ForwardPath::Mailbox(mailbox))
    }

    pub(super) fn is_utf8(&self) -> bool {
        !self.inner.is_ascii()
    }
}

/// `a@192.0.2.1`: no top-level domain is all digits (RFC 1123 §2.1), so this is an address literal
/// without its brackets. It must not pass as a domain where literals may not.
fn is_bare_literal(mailbox: &Mailbox) -> bool {
    let top = mailbox
        .domain()
        .and_then(|domain| domain.as_str().rsplit('.').next());
    top.is_some_and(|top| top.bytes().all(|byte| byte.is_ascii_digit()))
}

fn strip_keyword<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let head = text.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword)
        .then(|| &text[keyword.len()..])
}

struct Cut<'a> {
    inner: &'a str,
    rest: &'a str,
    forgiven: bool,
}

/// Cuts `<inner>` from what follows it. The tolerant preset forgives blanks before and inside the
/// brackets, and missing brackets.
fn cut_path(text: &str, preset: Preset) -> Option<Cut<'_>> {
    let start = match preset {
        Preset::Strict => text,
        Preset::Tolerant => text.trim_start(),
    };
    let blanks_before = start.len() != text.len();
    let (inner, rest, forgiven) = if let Some(behind) = start.strip_prefix('<') {
        let close = find_unquoted(behind, |byte| byte == b'>')?;
        let (inner, rest) = (&behind[..close], &behind[close + 1..]);
        match preset {
            Preset::Strict => (inner, rest, false),
            Preset::Tolerant => (inner.trim(), rest, inner.trim().len() != inner.len()),
        }
    } else if preset == Preset::Tolerant {
        let end = find_unquoted(start, |byte| byte == b' ').unwrap_or(start.len());
        let (inner, rest) = start.split_at(end);
        // No brackets and no address: that is not the null reverse-path.
        if inner.is_empty() {
            return None;
        }
        (inner, rest, true)
    } else {
        return None;
    };
    let in_bounds = inner.len() + 2 <= PATH_OCTETS_MAX;
    let separated = rest.is_empty() || rest.starts_with(' ');
    (in_bounds && separated).then_some(Cut {
        inner,
        rest,
        forgiven: forgiven || blanks_before,
    })
}

/// The first byte that fits, outside of quoted strings. ASCII bytes only, so that the place is a
/// character boundary.
fn find_unquoted(text: &str, fits: impl Fn(u8) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if !quoted && fits(byte) => return Some(at),
            _ => {}
        }
    }
    None
}

/// `@a,@b:c@d` → `c@d`: "MUST be accepted, SHOULD NOT be generated, and SHOULD be ignored".
/// RFC 5321 §4.1.2, appendix C. `None` where it is not well formed.
fn strip_source_route(inner: &str) -> Option<&str> {
    if !inner.starts_with('@') {
        return Some(inner);
    }
    let (route, mailbox) = inner.split_once(':')?;
    let well_formed = route.split(',').all(|hop| {
        hop.strip_prefix('@')
            .is_some_and(|domain| Domain::parse(domain).is_ok())
    });
    (well_formed && !mailbox.is_empty()).then_some(mailbox)
}
