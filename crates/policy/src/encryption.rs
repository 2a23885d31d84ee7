//! What TLS must prove at a next hop before mail goes there, and why it did not.
//!
//! A [`Demand`] holds for one hop of one message: the level of the outbound connector, or more.
//! What is demanded and cannot be had makes the mail wait, or go to another host; it never goes
//! with less. Only [`Demand::Opportunistic`] falls back to clear text.
//!
//! Not here: the handshake and the reading of certificates (`relais_net::tls`).

use std::fmt;
use std::sync::Arc;

use relais_smtp::domain::Domain;
use relais_smtp::reply::Reply;

use crate::dane::DaneRequirement;
use crate::document::{AuthMethod, OutboundConnector, OutboundTls};

/// What must hold of TLS at one next hop; ordered by how much is asked for.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Demand {
    /// Clear text, even where TLS is offered.
    Clear,
    /// TLS where it is offered, whatever the certificate; else, or where it fails, clear text.
    #[default]
    Opportunistic,
    /// TLS, whatever the certificate.
    Encryption,
    /// TLS with a certificate that a known authority issued.
    Chain,
    /// The same, for the next hop as its name, or address, was typed.
    Host,
    /// TLS with a certificate that a known authority issued for this name.
    Name(CertificateName),
    /// The same for this mail exchanger, as the domain's MTA-STS policy says. RFC 8461 §4.2.
    Sts(Domain),
    /// TLS with a certificate that the host's TLSA records allow; with any, where none of them is
    /// usable. RFC 7672 §2.2.
    Dane(Arc<DaneRequirement>),
}

impl Demand {
    /// What an outbound connector demands; `tls_domain` as typed.
    pub fn of_connector(level: OutboundTls, tls_domain: &str) -> Self {
        match level {
            OutboundTls::None => Self::Clear,
            OutboundTls::Opportunistic => Self::Opportunistic,
            OutboundTls::EncryptionOnly => Self::Encryption,
            OutboundTls::CertificateValidation => Self::Chain,
            // Settings without a name are refused; should one be there all the same, no
            // certificate fits.
            OutboundTls::DomainValidation => {
                Self::Name(CertificateName::parse(tls_domain).unwrap_or(CertificateName::Nobody))
            }
        }
    }

    /// What an outbound connector demands in all. A login goes to the smart host and to nobody who
    /// plays it: the default level then asks for a proof of its name. Less, encryption without
    /// proof or clear text, is only what the connector says in so many words.
    pub fn of(connector: &OutboundConnector) -> Self {
        let demand = Self::of_connector(connector.tls, &connector.tls_domain);
        match (demand, connector.auth.method) {
            (
                Self::Opportunistic,
                AuthMethod::Password | AuthMethod::Xoauth2 | AuthMethod::Certificate,
            ) => CertificateName::parse(&connector.tls_domain).map_or(Self::Host, Self::Name),
            (demand, _) => demand,
        }
    }

    /// Whether a session without TLS will not do.
    pub fn needs_tls(&self) -> bool {
        match self {
            Self::Clear | Self::Opportunistic => false,
            Self::Encryption
            | Self::Chain
            | Self::Host
            | Self::Name(_)
            | Self::Sts(_)
            | Self::Dane(_) => true,
        }
    }

    /// Whether TLS is asked for where it is offered.
    pub fn wants_tls(&self) -> bool {
        *self != Self::Clear
    }

    /// Whether the peer's certificate must be good for something.
    pub fn judges_certificate(&self) -> bool {
        match self {
            Self::Clear | Self::Opportunistic | Self::Encryption => false,
            Self::Chain | Self::Host | Self::Name(_) | Self::Sts(_) => true,
            Self::Dane(required) => !required.records.is_empty(),
        }
    }

    /// Whether what the owner of the destination publishes may take its place: where the connector
    /// leaves the certificate open. A certificate that the connector names itself stays as it is.
    pub fn follows_destination(&self) -> bool {
        match self {
            Self::Opportunistic | Self::Encryption => true,
            Self::Clear
            | Self::Chain
            | Self::Host
            | Self::Name(_)
            | Self::Sts(_)
            | Self::Dane(_) => false,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => f.write_str("clear text"),
            Self::Opportunistic => f.write_str("TLS where it is offered"),
            Self::Encryption => f.write_str("TLS"),
            Self::Chain => f.write_str("TLS with a certificate of a known authority"),
            Self::Host => f.write_str("TLS with a certificate for the smart host"),
            Self::Name(name) => write!(f, "TLS with a certificate for {name}"),
            Self::Sts(host) => write!(f, "TLS with a certificate for {host}, by MTA-STS"),
            Self::Dane(required) if required.records.is_empty() => {
                write!(f, "TLS, by DANE for {}", required.base)
            }
            Self::Dane(required) => {
                write!(
                    f,
                    "TLS with a certificate of the TLSA records of {}",
                    required.base
                )
            }
        }
    }
}

/// A name that a certificate must bear. RFC 9525 §6.3.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum CertificateName {
    /// This name; a certificate for `*.` its parent bears it too.
    Exact(Domain),
    /// `*.example.org`: the certificate itself says so, or names a host directly below.
    Below(Domain),
    /// No certificate will do.
    Nobody,
}

impl CertificateName {
    /// Reads `mx.example.org` or `*.example.org`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_prefix("*.") {
            Some(parent) => Domain::parse(parent).ok().map(Self::Below),
            None => Domain::parse(text).ok().map(Self::Exact),
        }
    }

    /// Whether a certificate with these DNS names bears it. Case does not matter; `*` stands for
    /// one label, at the left end only.
    pub fn is_borne_by<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let mut names = names.into_iter();
        match self {
            Self::Exact(wanted) => names.any(|name| covers(name, wanted.as_str())),
            Self::Below(parent) => names.any(|name| {
                name.split_once('.').is_some_and(|(label, rest)| {
                    !label.is_empty() && rest.eq_ignore_ascii_case(parent.as_str())
                })
            }),
            Self::Nobody => false,
        }
    }
}

/// Whether a name of a certificate is good for a host.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Nobody => f.write_str("no name"),
        }
    }
}

/// How far the peer was verified.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verified {
    /// Not at all: the demand did not ask for it.
    No,
    /// A known authority issued its certificate.
    Chain,
    /// And the certificate bears the name that was demanded.
    Name,
    /// The same, by the domain's MTA-STS policy.
    Sts,
    /// A TLSA record allows its certificate.
    Dane,
}

impl Verified {
    /// As the trace has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Chain => "chain",
            Self::Name => "name",
            Self::Sts => "sts",
            Self::Dane => "dane",
        }
    }
}

/// Why there is no TLS session that meets the demand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsFault {
    /// The server does not offer STARTTLS, or somebody between us took the offer away.
    NotOffered,
    /// The server offered it, and said no when asked.
    Refused(Reply),
    /// The handshake failed.
    Handshake(String),
    /// No known authority issued the certificate, or a signature in its chain is wrong.
    Untrusted,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is good for something, but not for this.
    Unusable(String),
    /// It bears other names.
    WrongName {
        /// The first of them.
        names: Vec<Box<str>>,
    },
    /// None of the TLSA records allows it. RFC 7672 §2.2.
    NotInTlsa,
}

/// Names of a certificate that are told to people.
const NAMES_TOLD_MAX: usize = 3;

impl TlsFault {
    /// Whether it lies in the certificate.
    pub fn is_of_certificate(&self) -> bool {
        match self {
            Self::NotOffered | Self::Refused(_) | Self::Handshake(_) => false,
            Self::Untrusted
            | Self::Expired
            | Self::NotYetValid
            | Self::Unusable(_)
            | Self::WrongName { .. }
            | Self::NotInTlsa => true,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("it does not offer STARTTLS"),
            Self::Refused(reply) => write!(f, "it refused STARTTLS: {reply}"),
            Self::Handshake(why) => write!(f, "the TLS handshake failed: {why}"),
            Self::Untrusted => f.write_str("no authority that we know issued its certificate"),
            Self::Expired => f.write_str("its certificate is expired"),
            Self::NotYetValid => f.write_str("its certificate is not yet valid"),
            Self::Unusable(why) => write!(f, "its certificate cannot be used: {why}"),
            Self::NotInTlsa => f.write_str("its certificate matches none of its TLSA records"),
            Self::WrongName { names } if names.is_empty() => {
                f.write_str("its certificate bears no name")
            }
            Self::WrongName { names } => {
                f.write_str("its certificate is for ")?;
                for (place, name) in names.iter().take(NAMES_TOLD_MAX).enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}")?;
                }
                if names.len() > NAMES_TOLD_MAX {
                    write!(f, " and {} more", names.len() - NAMES_TOLD_MAX)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_demands_more_than_the_one_before() {
        let levels = [
            OutboundTls::None,
            OutboundTls::Opportunistic,
            OutboundTls::EncryptionOnly,
            OutboundTls::CertificateValidation,
            OutboundTls::DomainValidation,
        ];
        let demands = levels.map(|level| Demand::of_connector(level, "mx.example.org"));
        assert!(demands.is_sorted());
        let needs = demands.each_ref().map(Demand::needs_tls);
        assert_eq!(needs, [false, false, true, true, true]);
        let judges = demands.each_ref().map(Demand::judges_certificate);
        assert_eq!(judges, [false, false, false, true, true]);
        assert_eq!(
            demands[4].to_string(),
            "TLS with a certificate for mx.example.org"
        );
    }

    #[test]
    fn a_login_at_the_default_level_asks_for_the_name() {
        let demanded = |level, method, tls_domain: &str| {
            let mut connector = OutboundConnector::new("Out");
            (connector.tls, connector.auth.method) = (level, method);
            connector.tls_domain = tls_domain.to_owned();
            Demand::of(&connector).to_string()
        };
        let default = OutboundTls::default();
        assert_eq!(
            demanded(default, AuthMethod::None, ""),
            "TLS where it is offered"
        );
        for method in [
            AuthMethod::Password,
            AuthMethod::Xoauth2,
            AuthMethod::Certificate,
        ] {
            assert_eq!(
                demanded(default, method, ""),
                "TLS with a certificate for the smart host"
            );
            assert_eq!(
                demanded(default, method, "*.mail.example"),
                "TLS with a certificate for *.mail.example"
            );
            assert_eq!(demanded(OutboundTls::EncryptionOnly, method, ""), "TLS");
            assert_eq!(demanded(OutboundTls::None, method, ""), "clear text");
        }
    }

    #[test]
    fn a_level_without_its_name_is_met_by_nobody() {
        let demand = Demand::of_connector(OutboundTls::DomainValidation, "");
        let Demand::Name(name) = demand else {
            panic!("{demand}");
        };
        assert!(!name.is_borne_by(["", "*", "mx.example.org"]));
    }

    #[test]
    fn a_certificate_bears_names_as_rfc_9525_says() {
        for (wanted, names, borne) in [
            ("mx.example.org", &["MX.example.org"][..], true),
            ("mx.example.org", &["a.test", "*.example.org"], true),
            ("mx.example.org", &["*.org"], false),
            ("a.mx.example.org", &["*.example.org"], false),
            ("mx.example.org", &["m*.example.org"], false),
            ("mx.example.org", &["example.org"], false),
            ("mx.example.org", &[], false),
            ("example.org", &["*.example.org"], false),
            ("*.example.org", &["*.example.org"], true),
            ("*.example.org", &["mx.EXAMPLE.org"], true),
            ("*.example.org", &["a.mx.example.org"], false),
            ("*.example.org", &["example.org"], false),
            ("*.example.org", &[".example.org"], false),
        ] {
            let name = CertificateName::parse(wanted).expect("a name");
            assert_eq!(
                name.is_borne_by(names.iter().copied()),
                borne,
                "{wanted} {names:?}"
            );
            assert_eq!(name.to_string(), wanted);
        }
        assert_eq!(CertificateName::parse(""), None);
        assert_eq!(CertificateName::parse("*."), None);
    }

    #[test]
    fn a_wrong_name_tells_which_names_there_are() {
        let names = ["a.test", "b.test", "c.test", "d.test"].map(Box::from);
        let fault = TlsFault::WrongName {
            names: names.to_vec(),
        };
        assert_eq!(
            fault.to_string(),
            "its certificate is for a.test, b.test, c.test and 1 more"
        );
    }
}
