//! Addresses as the envelope has them: mailboxes, the null reverse-path, address literals.
//!
//! Not here: header addresses with display names and comments (`header`).

use alloc::boxed::Box;
use core::fmt;
use core::net::IpAddr;

use crate::domain::Domain;

/// Longest path with its punctuation, in octets. RFC 5321 §4.5.3.1.3. It bounds the local part too:
/// the 64 octets of §4.5.3.1.1 are the least that a server must take, and senders that encode
/// another address in it (VERP, SRS) need more.
pub const PATH_OCTETS_MAX: usize = 256;

/// Longest address literal: `[IPv6:` with 39 octets of address and `]`. RFC 5321 §4.1.3.
const LITERAL_OCTETS_MAX: usize = 47;

/// What stands before the `@`, without quotes or escapes: `a b`, not `"a b"`. Case is kept.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalPart(Box<str>);

/// What stands behind the `@`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`. RFC 5321 §4.1.3.
    Literal(IpAddr),
}

/// `local-part@host`. Two mailboxes are equal if the local parts are equal to the letter.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mailbox {
    local_part: LocalPart,
    host: Host,
}

/// Where notices about a message go: the argument of `MAIL FROM`. RFC 5321 §4.1.1.2.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ReversePath {
    /// `<>`: the message is itself a notice, and nobody is told if it fails. RFC 5321 §4.5.5.
    Null,
    /// An ordinary sender.
    Mailbox(Mailbox),
}

/// Where one copy goes: the argument of `RCPT TO`. RFC 5321 §4.1.1.3.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, which every server must take. RFC 5321 §4.5.1.
    Postmaster,
    /// An ordinary recipient.
    Mailbox(Mailbox),
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// No `@`.
    #[error("the address has no @ and domain")]
    NoDomain,
    /// Empty, or with characters that need quotes.
    #[error("the local part is empty or not well formed")]
    LocalPart,
    /// The part behind the `@` is no domain name.
    #[error("the domain is not well formed")]
    Domain,
    /// The part behind the `@` is no address literal.
    #[error("the address literal is not well formed")]
    Literal,
    /// Longer than [`PATH_OCTETS_MAX`].
    #[error("the address is longer than {PATH_OCTETS_MAX} octets")]
    TooLong,
    /// A control character or NUL.
    #[error("the address has a control character")]
    Control,
}

impl Host {
    /// Reads a domain name, or an address literal in its brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        parse_host(text)
    }
}

impl LocalPart {
    /// The bare text, without quotes or escapes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it needs SMTPUTF8. RFC 6531 §3.3.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

impl Mailbox {
    /// Reads `local@domain`, `"quoted local"@domain`, `local@[192.0.2.1]`; UTF-8 is allowed
    /// (RFC 6531 §3.3). No angle brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        parse_mailbox(text)
    }

    /// From its checked parts. `local` is bare: `a b`, not `"a b"`.
    pub fn new(local: &str, host: Host) -> Result<Self, AddressError> {
        if local.is_empty() {
            return Err(AddressError::LocalPart);
        }
        if local.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        // Again here: a domain grows when it is turned into A-labels, and a local part when it
        // gets its quotes.
        let host_octets = match &host {
            Host::Domain(domain) => domain.as_str().len(),
            Host::Literal(_) => LITERAL_OCTETS_MAX,
        };
        if written_octets(local) + host_octets + 3 > PATH_OCTETS_MAX {
            return Err(AddressError::TooLong);
        }
        Ok(Self {
            local_part: LocalPart(local.into()),
            host,
        })
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// What stands behind the `@`.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain, unless it is an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.host {
            Host::Domain(domain) => Some(domain),
            Host::Literal(_) => None,
        }
    }

    /// Whether it can be written without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii()
    }
}

impl ReversePath {
    /// The domain that has to be an accepted domain, if there is one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => mailbox.domain(),
        }
    }

    /// The mailbox, unless it is the null reverse-path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

fn parse_mailbox(text: &str) -> Result<Mailbox, AddressError> {
    // A path has its brackets besides.
    if text.len() + 2 > PATH_OCTETS_MAX {
        return Err(AddressError::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(AddressError::Control);
    }
    let (local, rest) = if let Some(quoted) = text.strip_prefix('"') {
        parse_quoted(quoted)?
    } else {
        let at = text.rfind('@').ok_or(AddressError::NoDomain)?;
        check_dot_string(&text[..at])?;
        (text[..at].into(), &text[at..])
    };
    let host = rest.strip_prefix('@').ok_or(AddressError::NoDomain)?;
    Mailbox::new(&local, parse_host(host)?)
}

/// The inside of a quoted string up to its closing quote, unescaped, and what follows.
/// RFC 5321 §4.1.2, `Quoted-string`.
fn parse_quoted(text: &str) -> Result<(alloc::string::String, &str), AddressError> {
    let mut bare = alloc::string::String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((bare, &text[at + 1..])),
            '\\' => bare.push(characters.next().ok_or(AddressError::LocalPart)?.1),
            other => bare.push(other),
        }
    }
    Err(AddressError::LocalPart)
}

/// The octets of a bare local part on the wire, with quotes and escapes where it needs them.
fn written_octets(local: &str) -> usize {
    if check_dot_string(local).is_ok() {
        return local.len();
    }
    let escapes = local.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    local.len() + escapes.count() + 2
}

fn check_dot_string(local: &str) -> Result<(), AddressError> {
    let well_formed = local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    if well_formed {
        Ok(())
    } else {
        Err(AddressError::LocalPart)
    }
}

/// RFC 5322 §3.2.3, widened by RFC 6531 §3.3.
fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || !character.is_ascii()
}

fn parse_host(host: &str) -> Result<Host, AddressError> {
    let Some(literal) = host.strip_prefix('[') else {
        return Domain::parse(host)
            .map(Host::Domain)
            .map_err(|_| AddressError::Domain);
    };
    let literal = literal.strip_suffix(']').ok_or(AddressError::Literal)?;
    let address = match literal.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => literal[5..]
            .parse()
            .map(IpAddr::V6)
            .map_err(|_| AddressError::Literal)?,
        _ => literal
            .parse()
            .map(IpAddr::V4)
            .map_err(|_| AddressError::Literal)?,
    };
    Ok(Host::Literal(address))
}

impl fmt::Display for LocalPart {
    /// As on the wire: quoted where it must be.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if check_dot_string(&self.0).is_ok() {
            return formatter.write_str(&self.0);
        }
        formatter.write_str("\"")?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                formatter.write_str("\\")?;
            }
            write!(formatter, "{character}")?;
        }
        formatter.write_str("\"")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(formatter),
            Self::Literal(IpAddr::V4(address)) => write!(formatter, "[{address}]"),
            Self::Literal(IpAddr::V6(address)) => write!(formatter, "[IPv6:{address}]"),
        }
    }
}

impl fmt::Display for Mailbox {
    /// `local@host`, as on the wire, without angle brackets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.local_part, self.host)
    }
}

impl fmt::Display for ReversePath {
    /// The mailbox without angle brackets; empty for the null reverse-path.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Mailbox(mailbox) => mailbox.fmt(formatter),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => formatter.write_str("postmaster"),
            Self::Mailbox(mailbox) => mailbox.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn texts_that_are_no_mailbox_say_why() {
        use AddressError as E;
        let long_local = format!("{}@b.example", "l".repeat(254 - 9));
        let long_quoted = format!("\"{}\"@b.example", "\\\"".repeat(122));
        let long = format!("a@{}", vec!["d".repeat(63); 4].join("."));
        let grown = format!(
            "{}@{}.example",
            "l".repeat(64),
            vec!["é".repeat(20); 5].join(".")
        );
        for (text, error) in [
            ("", E::NoDomain),
            ("a", E::NoDomain),
            ("\"a@b.example", E::LocalPart),
            ("\"a\"", E::NoDomain),
            ("\"a\\", E::LocalPart),
            ("@b.example", E::LocalPart),
            (".a@b.example", E::LocalPart),
            ("a b@b.example", E::LocalPart),
            ("a@", E::Domain),
            ("a@b..example", E::Domain),
            ("a@b example", E::Domain),
            ("a@[192.0.2.1", E::Literal),
            ("a@[IPv6:192.0.2.1]", E::Literal),
            ("a@[2001:db8::1]", E::Literal),
            ("a\r\nb@c.example", E::Control),
            ("a\0@c.example", E::Control),
            ("a\u{85}@c.example", E::Control),
            (&long_local, E::TooLong),
            (&long_quoted, E::TooLong),
            (&long, E::TooLong),
            (&grown, E::TooLong),
        ] {
            assert_eq!(Mailbox::parse(text), Err(error), "{text:?}");
        }
        let host = || Host::parse("b.example").expect("a host");
        assert_eq!(Mailbox::new("", host()), Err(E::LocalPart));
        assert_eq!(Mailbox::new("a\nb", host()), Err(E::Control));
        assert_eq!(
            Mailbox::new(&"\"".repeat(130), host()),
            Err(E::TooLong),
            "with its escapes"
        );
    }

    #[test]
    fn long_local_parts_of_verp_and_srs_pass_up_to_the_longest_path() {
        for octets in [65, 128, 244] {
            let text = format!("{}@b.example", "l".repeat(octets));
            let mailbox = Mailbox::parse(&text).expect("a mailbox");
            assert_eq!(mailbox.to_string(), text);
        }
        let quoted = format!("\"{}\"@b.example", "\\\"".repeat(121));
        let mailbox = Mailbox::parse(&quoted).expect("a mailbox");
        assert_eq!(mailbox.to_string(), quoted);
    }

    #[test]
    fn a_mailbox_is_written_with_quotes_only_where_it_needs_them() {
        for (text, written) in [
            ("A.b@B.Example", "A.b@b.example"),
            ("\"a.b\"@b.example", "a.b@b.example"),
            ("\"a b\"@b.example", "\"a b\"@b.example"),
            ("\"a\\\"\\\\\"@b.example", "\"a\\\"\\\\\"@b.example"),
            ("\"a\\b\"@b.example", "ab@b.example"),
            ("zoë@bücher.example", "zoë@xn--bcher-kva.example"),
            ("a@[IPV6:2001:DB8::1]", "a@[IPv6:2001:db8::1]"),
        ] {
            let mailbox = Mailbox::parse(text).expect("a mailbox");
            assert_eq!(mailbox.to_string(), written);
        }
    }

    #[test]
    fn local_parts_differ_by_case_and_domains_do_not() {
        let parse = |text| Mailbox::parse(text).expect("a mailbox");
        assert_eq!(parse("a@B.example"), parse("a@b.example."));
        assert_ne!(parse("A@b.example"), parse("a@b.example"));
        assert!(parse("a@bücher.example").is_ascii() && !parse("ä@b.example").is_ascii());
    }

    #[test]
    fn a_path_knows_its_domain() {
        let mailbox = Mailbox::parse("a@b.example").expect("a mailbox");
        let literal = Mailbox::parse("a@[192.0.2.1]").expect("a mailbox");
        let domain = Domain::parse("b.example").expect("a domain");
        assert_eq!(ReversePath::Null.domain(), None);
        assert_eq!(ReversePath::Null.to_string(), "");
        assert_eq!(
            ReversePath::Mailbox(mailbox.clone()).domain(),
            Some(&domain)
        );
        assert_eq!(ReversePath::Mailbox(literal).domain(), None);
        assert_eq!(
            ReversePath::Mailbox(mailbox.clone()).mailbox(),
            Some(&mailbox)
        );
        assert_eq!(ForwardPath::Postmaster.to_string(), "postmaster");
    }
}
