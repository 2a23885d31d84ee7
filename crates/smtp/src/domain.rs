//! A domain name, checked once: lower-case A-labels, with its U-label form for display.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// Longest domain name in octets. RFC 5321 §4.5.3.1.2.
pub const DOMAIN_OCTETS_MAX: usize = 255;

/// A domain name in lower case, as A-labels (RFC 5890 §2.3.2.1), without a final dot.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Domain(Box<str>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DomainError {
    /// No characters, or an empty label.
    #[error("a label of the domain is empty")]
    EmptyLabel,
    /// Longer than [`DOMAIN_OCTETS_MAX`], or a label longer than 63 octets.
    #[error("the domain is longer than {DOMAIN_OCTETS_MAX} octets or has a label longer than 63")]
    TooLong,
    /// A character that no domain name may have, or a U-label that IDNA forbids.
    #[error("the domain has a character that is not allowed")]
    Character,
}

impl Domain {
    /// Reads ASCII or Unicode, any case, with or without a final dot. Underscores are let pass:
    /// real device and service names have them.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| DomainError::Character)?
        };
        if ascii.len() > DOMAIN_OCTETS_MAX {
            return Err(DomainError::TooLong);
        }
        for label in ascii.split('.') {
            check_label(label)?;
        }
        Ok(Self(ascii.into_boxed_str()))
    }

    /// The A-label form, as it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The U-label form, for people. Falls back to the A-label form where IDNA says no.
    pub fn to_unicode(&self) -> String {
        if !self.0.contains("xn--") {
            return self.0.clone().into_string();
        }
        let (unicode, result) = idna::domain_to_unicode(&self.0);
        if result.is_ok() {
            unicode
        } else {
            (*self.0).to_owned()
        }
    }

    /// Whether this is a proper subdomain of `parent` (`a.b.example` of `b.example`).
    pub fn is_subdomain_of(&self, parent: &Self) -> bool {
        self.0
            .strip_suffix(&*parent.0)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

fn check_label(label: &str) -> Result<(), DomainError> {
    if label.is_empty() {
        return Err(DomainError::EmptyLabel);
    }
    if label.len() > 63 {
        return Err(DomainError::TooLong);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !label.bytes().all(allowed) || label.starts_with('-') || label.ends_with('-') {
        return Err(DomainError::Character);
    }
    Ok(())
}

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Domain({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn texts_that_are_no_domain_say_why() {
        use DomainError as E;
        let label = "d".repeat(64);
        let long = vec!["d".repeat(63); 4].join(".");
        for (text, error) in [
            ("", E::EmptyLabel),
            (".", E::EmptyLabel),
            ("a..b", E::EmptyLabel),
            (".a", E::EmptyLabel),
            ("a..", E::EmptyLabel),
            (&label, E::TooLong),
            (&format!("{long}.d"), E::TooLong),
            ("a b", E::Character),
            ("-a", E::Character),
            ("a-", E::Character),
            ("a/b", E::Character),
            ("a\0b", E::Character),
            ("a\u{202e}b.example", E::Character),
            ("*.example", E::Character),
        ] {
            assert_eq!(Domain::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(long.len(), DOMAIN_OCTETS_MAX);
        assert!(Domain::parse(&long).is_ok());
    }

    #[test]
    fn a_domain_has_one_form_on_the_wire_and_one_for_people() {
        for (text, wire, shown) in [
            ("Contoso.Test.", "contoso.test", "contoso.test"),
            ("BÜCHER.example", "xn--bcher-kva.example", "bücher.example"),
            (
                "xn--bcher-kva.example",
                "xn--bcher-kva.example",
                "bücher.example",
            ),
            (
                "scan_2.contoso.test",
                "scan_2.contoso.test",
                "scan_2.contoso.test",
            ),
            ("localhost", "localhost", "localhost"),
        ] {
            let domain = Domain::parse(text).expect("a domain");
            assert_eq!((domain.as_str(), &*domain.to_unicode()), (wire, shown));
            assert_eq!(domain.to_string(), wire);
        }
    }

    #[test]
    fn a_subdomain_ends_at_a_label() {
        let parse = |text| Domain::parse(text).expect("a domain");
        let parent = parse("b.example");
        assert!(parse("a.b.example").is_subdomain_of(&parent));
        assert!(parse("x.a.b.example").is_subdomain_of(&parent));
        for other in ["b.example", "ab.example", "example", "b.example.test"] {
            assert!(!parse(other).is_subdomain_of(&parent), "{other}");
        }
    }
}
