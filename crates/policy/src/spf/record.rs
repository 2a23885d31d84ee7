//! The record as a list of terms. RFC 7208 §4.6.1, §5, §6, §12.

use ipnet::{Ipv4Net, Ipv6Net};

use super::macros::{MacroText, Place};

/// What a record begins with.
const VERSION: &str = "v=spf1";
/// Terms of one record: the longest text that DNS can carry has fewer than this in practice.
const TERMS_MAX: usize = 1_000;

/// A record, read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// In their order.
    pub directives: Vec<Directive>,
    /// `redirect=`
    pub redirect: Option<MacroText>,
}

/// One mechanism with its qualifier.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// What is compared.
    pub kind: DirectiveKind,
    /// As written.
    pub text: String,
}

/// What a match means. RFC 7208 §4.6.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Qualifier {
    /// `+`, or none.
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// RFC 7208 §5.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DirectiveKind {
    /// `all`
    All,
    /// `include:`
    Include(MacroText),
    /// `a`
    A(Hosts),
    /// `mx`
    Mx(Hosts),
    /// `ptr`
    Ptr(Option<MacroText>),
    /// `ip4:`
    Ip4(Ipv4Net),
    /// `ip6:`
    Ip6(Ipv6Net),
    /// `exists:`
    Exists(MacroText),
}

/// Of `a` and `mx`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hosts {
    /// None: the domain of the record.
    pub(super) name: Option<MacroText>,
    /// Bits compared, IPv4.
    pub(super) v4: u8,
    /// Bits compared, IPv6.
    pub(super) v6: u8,
}

/// What is wrong with a record: it counts as PermError, and mail may be refused for it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// A term that is none.
    #[error("\"{0}\" is no term of SPF")]
    Term(String),
    /// `redirect=` or `exp=` twice.
    #[error("\"{0}\" stands twice")]
    Twice(&'static str),
    /// Beyond every bound.
    #[error("more than {TERMS_MAX} terms")]
    TooLong,
}

/// Whether a TXT record is SPF's. RFC 7208 §4.5.
pub fn is_spf(text: &str) -> bool {
    let version = text.get(..VERSION.len());
    version.is_some_and(|it| it.eq_ignore_ascii_case(VERSION))
        && matches!(text.as_bytes().get(VERSION.len()), None | Some(b' '))
}

/// Reads a record. RFC 7208 §4.6: one wrong term makes all of it wrong.
///
/// # Errors
/// What is wrong first.
pub fn parse(text: &str) -> Result<Record, RecordError> {
    let mut record = Record {
        directives: Vec::new(),
        redirect: None,
    };
    let mut explained = false;
    let terms = text.get(VERSION.len()..).unwrap_or_default().split(' ');
    for (at, term) in terms.filter(|term| !term.is_empty()).enumerate() {
        if at == TERMS_MAX {
            return Err(RecordError::TooLong);
        }
        let wrong = || RecordError::Term(term.to_owned());
        match modifier(term) {
            Some((name, value)) if name.eq_ignore_ascii_case("redirect") => {
                let target = MacroText::parse_domain(value, Place::Record).ok_or_else(wrong)?;
                if record.redirect.replace(target).is_some() {
                    return Err(RecordError::Twice("redirect="));
                }
            }
            Some((name, value)) if name.eq_ignore_ascii_case("exp") => {
                MacroText::parse_domain(value, Place::Record).ok_or_else(wrong)?;
                if std::mem::replace(&mut explained, true) {
                    return Err(RecordError::Twice("exp="));
                }
            }
            // RFC 7208 §6: others are passed over where they can be read.
            Some((_, value)) => {
                MacroText::parse(value, Place::Explanation).ok_or_else(wrong)?;
            }
            None => record.directives.push(directive(term).ok_or_else(wrong)?),
        }
    }
    Ok(record)
}

fn modifier(term: &str) -> Option<(&str, &str)> {
    let end = term.find([':', '/', '=', '%'])?;
    let (name, rest) = term.split_at(end);
    let value = rest.strip_prefix('=')?;
    let good = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    let is_name = name.starts_with(|it: char| it.is_ascii_alphabetic()) && name.bytes().all(good);
    is_name.then_some((name, value))
}

fn directive(term: &str) -> Option<Directive> {
    let (qualifier, rest) = match term.as_bytes().first()? {
        b'+' => (Qualifier::Pass, &term[1..]),
        b'-' => (Qualifier::Fail, &term[1..]),
        b'~' => (Qualifier::SoftFail, &term[1..]),
        b'?' => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, arguments) = rest.split_at(end);
    let domain = || MacroText::parse_domain(arguments.strip_prefix(':')?, Place::Record);
    let kind = match name.to_ascii_lowercase().as_str() {
        "all" if arguments.is_empty() => DirectiveKind::All,
        "include" => DirectiveKind::Include(domain()?),
        "exists" => DirectiveKind::Exists(domain()?),
        "a" => DirectiveKind::A(hosts(arguments)?),
        "mx" => DirectiveKind::Mx(hosts(arguments)?),
        "ptr" if arguments.is_empty() => DirectiveKind::Ptr(None),
        "ptr" => DirectiveKind::Ptr(Some(domain()?)),
        "ip4" => DirectiveKind::Ip4(ip4(arguments.strip_prefix(':')?)?),
        "ip6" => DirectiveKind::Ip6(ip6(arguments.strip_prefix(':')?)?),
        _ => return None,
    };
    Some(Directive {
        qualifier,
        kind,
        text: term.to_owned(),
    })
}

/// `[":" domain-spec] [ip4-cidr] ["/" ip6-cidr]`, from its end: a domain has no slash there.
fn hosts(arguments: &str) -> Option<Hosts> {
    let (rest, v6) = match arguments.rsplit_once("//") {
        Some((rest, bits)) if is_number(bits) => (rest, length(bits, 128)?),
        Some((_, "")) => return None,
        _ => (arguments, 128),
    };
    let (rest, v4) = match rest.rsplit_once('/') {
        Some((rest, bits)) if is_number(bits) => (rest, length(bits, 32)?),
        _ => (rest, 32),
    };
    let name = match rest {
        "" => None,
        rest => Some(MacroText::parse_domain(
            rest.strip_prefix(':')?,
            Place::Record,
        )?),
    };
    Some(Hosts { name, v4, v6 })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

fn length(text: &str, most: u8) -> Option<u8> {
    let is_plain = is_number(text) && (text == "0" || !text.starts_with('0'));
    let bits = text.parse().ok().filter(|_| is_plain)?;
    (bits <= most).then_some(bits)
}

fn ip4(text: &str) -> Option<Ipv4Net> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, length(bits, 32)?),
        None => (text, 32),
    };
    Ipv4Net::new(address.parse().ok()?, bits).ok()
}

fn ip6(text: &str) -> Option<Ipv6Net> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, length(bits, 128)?),
        None => (text, 128),
    };
    Ipv6Net::new(address.parse().ok()?, bits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_are_none_make_the_record_wrong_and_are_named() {
        for wrong in [
            "all:",
            "a:",
            "a/33",
            "a/024",
            "a//129",
            "a//",
            "a:museum",
            "a:b.test:8080",
            "ip4:1.2.3",
            "ip4:1.2.3.4/32/8",
            "ip6:1.2.3.4",
            "include:",
            "exists",
            "redirect=",
            "moo",
            "ip4=1.2.3.4",
            "%all",
            "a:%{x}.test",
            "a:%{s9999999999}.test",
        ] {
            let found = parse(&format!("v=spf1 mx {wrong} -all"));
            let passes = wrong == "ip4=1.2.3.4";
            // A modifier that nobody knows is passed over: the mistake shows in the verdict only.
            assert_eq!(found.is_ok(), passes, "{wrong}: {found:?}");
        }
        let twice = parse("v=spf1 redirect=a.test redirect=b.test");
        assert_eq!(twice, Err(RecordError::Twice("redirect=")));
    }

    #[test]
    fn only_the_whole_word_is_the_version() {
        assert!(is_spf("v=spf1") && is_spf("V=SPF1 -all"));
        assert!(!is_spf("v=spf10") && !is_spf("v=spf1\t-all") && !is_spf("spf1"));
    }
}
