//! Scopes of connectors: `*`, `own`, `example.org`, `*.example.org`, `[192.0.2.1]`.

use std::net::IpAddr;

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::hours::SendingHours;

/// One entry of `sender_domains` or `recipient_domains`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Scope {
    /// `*`: every domain; not address literals.
    Any,
    /// `own`: every verified accepted domain of the organisation.
    Own,
    /// `example.org`: this domain only.
    Exact(Domain),
    /// `*.example.org`: every domain below it, at any depth, not itself.
    Below(Domain),
    /// `[192.0.2.1]`: this address literal.
    Literal(IpAddr),
}

impl Scope {
    /// Reads one entry; the error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if trimmed == "*" {
            return Ok(Self::Any);
        }
        if trimmed.eq_ignore_ascii_case("own") {
            return Ok(Self::Own);
        }
        if trimmed.starts_with('[') {
            return match Mailbox::parse(&format!("a@{trimmed}")).map(|m| m.host().clone()) {
                Ok(Host::Literal(address)) => Ok(Self::Literal(address.to_canonical())),
                Ok(Host::Domain(_)) | Err(_) => Err(format!(
                    "{text:?} is no address literal; write \"[192.0.2.1]\" or \
                     \"[IPv6:2001:db8::1]\""
                )),
            };
        }
        let (below, name) = match trimmed.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, trimmed),
        };
        if name.contains('*') {
            return Err(format!(
                "{text:?} has a * within; it may only stand alone or lead, as in \"*.example.org\""
            ));
        }
        if name.contains('@') {
            return Err(format!("{text:?} is an address; write its domain only"));
        }
        let domain =
            Domain::parse(name).map_err(|error| format!("{text:?} is no domain: {error}"))?;
        Ok(if below {
            Self::Below(domain)
        } else {
            Self::Exact(domain)
        })
    }

    /// Whether it covers this host. `is_own` says whether the host is a verified accepted domain
    /// of the organisation.
    pub fn covers(&self, host: &Host, is_own: bool) -> bool {
        match (self, host) {
            (Self::Any, Host::Domain(_)) => true,
            (Self::Own, Host::Domain(_)) => is_own,
            (Self::Exact(scope), Host::Domain(domain)) => scope == domain,
            (Self::Below(parent), Host::Domain(domain)) => domain.is_subdomain_of(parent),
            (Self::Literal(scope), Host::Literal(address)) => *scope == address.to_canonical(),
            (Self::Literal(_), Host::Domain(_))
            | (Self::Any | Self::Own | Self::Exact(_) | Self::Below(_), Host::Literal(_)) => false,
        }
    }
}

/// The scopes of one inbound connector.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConnectorScopes {
    /// `sender_domains`.
    pub senders: Vec<Scope>,
    /// `recipient_domains`.
    pub recipients: Vec<Scope>,
    /// `sending_hours`; `None`: always.
    pub hours: Option<SendingHours>,
}

/// Reads a list, leaving out what cannot be read (the check has refused it).
pub(super) fn parse_all(texts: &[String]) -> Vec<Scope> {
    texts
        .iter()
        .filter_map(|text| Scope::parse(text).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Mailbox::parse(&format!("a@{text}"))
            .expect("a host")
            .host()
            .clone()
    }

    #[test]
    fn a_scope_covers_what_it_says() {
        for (scope, covered, not_covered) in [
            ("*", vec!["a.test", "b.a.test"], vec!["[192.0.2.1]"]),
            (
                "A.test",
                vec!["a.test", "A.TEST"],
                vec!["b.a.test", "xa.test", "[192.0.2.1]"],
            ),
            (
                "*.a.test",
                vec!["b.a.test", "c.b.a.test"],
                vec!["a.test", "xa.test"],
            ),
            (
                "[192.0.2.1]",
                vec!["[192.0.2.1]"],
                vec!["[192.0.2.2]", "a.test"],
            ),
            (
                "bücher.example",
                vec!["xn--bcher-kva.example"],
                vec!["bucher.example"],
            ),
        ] {
            let parsed = Scope::parse(scope).expect(scope);
            assert!(
                covered.iter().all(|text| parsed.covers(&host(text), false)),
                "{scope}"
            );
            assert!(
                !not_covered
                    .iter()
                    .any(|text| parsed.covers(&host(text), true)),
                "{scope}"
            );
        }
        assert!(Scope::Own.covers(&host("a.test"), true));
        assert!(!Scope::Own.covers(&host("a.test"), false));
    }

    #[test]
    fn a_wrong_scope_says_what_to_write() {
        for (text, hint) in [
            ("a*.test", "may only stand alone or lead"),
            ("*.*.test", "may only stand alone or lead"),
            ("a.*.test", "may only stand alone or lead"),
            ("*@a.test", "may only stand alone or lead"),
            ("x@a.test", "write its domain only"),
            ("", "no domain"),
            ("a b", "no domain"),
            ("[a.test]", "no address literal"),
        ] {
            let message = Scope::parse(text).unwrap_err();
            assert!(message.contains(hint), "{text}: {message}");
        }
    }
}
