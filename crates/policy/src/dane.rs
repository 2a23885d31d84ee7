//! DANE for SMTP: which TLSA records count for a mail exchanger, and what its certificate must
//! then show. RFC 6698, RFC 7671, RFC 7672. Downgrades are what this file is against: an answer
//! that could not be had is never taken for "no records".
//!
//! Not here: the look-ups (`relais_net::resolver`), the comparison with a certificate
//! (`relais_net::tls`).

use std::sync::Arc;

use relais_smtp::domain::Domain;

/// One TLSA record as it stands in DNS. RFC 6698 §2.1.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tlsa {
    /// Certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE. RFC 7218.
    pub usage: u8,
    /// Selector: 0 the certificate, 1 its public key.
    pub selector: u8,
    /// Matching type: 0 in full, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Arc<[u8]>,
}

/// Which certificate of the chain a record speaks of.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Usage {
    /// DANE-TA(2): an authority that the chain leads to; names and times count. RFC 7672 §3.1.2.
    TrustAnchor,
    /// DANE-EE(3): the server's own; names and times do not count. RFC 7672 §3.1.1.
    EndEntity,
}

/// What of the certificate is compared.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Selector {
    /// All of it.
    Certificate,
    /// SubjectPublicKeyInfo.
    PublicKey,
}

/// How it is compared. The greater, the stronger. RFC 7671 §9.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Matching {
    /// Octet by octet.
    Full,
    /// By SHA-256.
    Sha256,
    /// By SHA-512.
    Sha512,
}

/// A record that can be satisfied.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UsableTlsa {
    /// Which certificate.
    pub usage: Usage,
    /// What of it.
    pub selector: Selector,
    /// How.
    pub matching: Matching,
    /// With what.
    pub data: Arc<[u8]>,
}

/// What a mail exchanger must show because of its TLSA records. RFC 7672 §2.2.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DaneRequirement {
    /// The TLSA base domain: the name to ask for in SNI, and the first one that counts.
    pub base: Domain,
    /// Names that count in the certificate besides [`DaneRequirement::base`], for DANE-TA.
    /// RFC 7672 §3.2.2.
    pub names: Vec<Domain>,
    /// Any of these must match; none: encryption without authentication, because there are records
    /// and none is usable (RFC 7672 §2.2).
    pub records: Vec<UsableTlsa>,
}

impl Tlsa {
    /// The record, if SMTP can use it: DANE-TA and DANE-EE alone (RFC 7672 §3.1.3), known
    /// selectors and matching types, data of the right length.
    pub fn usable(&self) -> Option<UsableTlsa> {
        let usage = match self.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            _ => return None,
        };
        let selector = match self.selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let (matching, fits) = match self.matching {
            0 => (Matching::Full, !self.data.is_empty()),
            1 => (Matching::Sha256, self.data.len() == 32),
            2 => (Matching::Sha512, self.data.len() == 64),
            _ => return None,
        };
        fits.then(|| UsableTlsa {
            usage,
            selector,
            matching,
            data: Arc::clone(&self.data),
        })
    }
}

/// What DNS says of the addresses of a mail exchanger, or of a domain without MX records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostSecurity {
    /// Its name, as the MX record says it.
    pub host: Domain,
    /// The name that has the addresses, where the host's is an alias.
    pub real_name: Option<Domain>,
    /// The whole way to the addresses is proven.
    pub addresses_secure: bool,
    /// The alias itself is proven; asked for only where the whole way is not.
    pub alias_secure: bool,
}

/// Whether a separate question for the alias itself is needed: its zone may be signed where that of
/// its target is not. RFC 7672 §2.2.2.
pub fn must_ask_for_alias(is_mx_secure: bool, host: &HostSecurity) -> bool {
    is_mx_secure && host.real_name.is_some() && !host.addresses_secure
}

/// The names below which TLSA records are looked up, in order. RFC 7672 §2.2.1, §2.2.2, §2.2.3.
///
/// None where the MX records are not proven: whoever forges them names hosts of his own, which pass
/// every check, so that DANE would prove nothing. None where the addresses are not: such zones
/// have no proven TLSA records either, and some of their servers fail on questions for them.
pub fn base_domains(is_mx_secure: bool, host: &HostSecurity) -> Vec<Domain> {
    if !is_mx_secure {
        return Vec::new();
    }
    match &host.real_name {
        Some(real) if host.addresses_secure => vec![real.clone(), host.host.clone()],
        None if host.addresses_secure => vec![host.host.clone()],
        Some(_) if host.alias_secure => vec![host.host.clone()],
        Some(_) | None => Vec::new(),
    }
}

/// What a look-up of TLSA records gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TlsaAnswer {
    /// Signed and valid; never empty.
    Secure(Vec<Tlsa>),
    /// Not signed.
    Insecure,
    /// There are none.
    None,
    /// Bogus, SERVFAIL, no answer: nobody knows.
    Failed,
}

/// What follows from one look-up of TLSA records. RFC 7672 §2.1.1, §2.2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DaneFinding {
    /// Not from this name: the next one counts; after the last, DANE does not apply.
    NotHere,
    /// This must hold.
    Required(DaneRequirement),
    /// The host cannot be used now: it may have records that an attacker hides (RFC 7672 §2.1.2).
    Unreachable,
}

/// Judges the TLSA records below one name. `domain`: the one that the mail is for.
pub fn judge(base: &Domain, domain: &Domain, host: &Domain, answer: &TlsaAnswer) -> DaneFinding {
    let records = match answer {
        TlsaAnswer::Secure(records) => records,
        TlsaAnswer::Insecure | TlsaAnswer::None => return DaneFinding::NotHere,
        TlsaAnswer::Failed => return DaneFinding::Unreachable,
    };
    if records.is_empty() {
        return DaneFinding::NotHere;
    }
    let mut names = Vec::new();
    for name in [host, domain] {
        if name != base && !names.contains(name) {
            names.push(name.clone());
        }
    }
    DaneFinding::Required(DaneRequirement {
        base: base.clone(),
        names,
        records: strongest(records.iter().filter_map(Tlsa::usable).collect()),
    })
}

/// Of the digests of one kind only the strongest counts; the others may stem from the time when
/// they were good enough. RFC 7671 §9.
fn strongest(records: Vec<UsableTlsa>) -> Vec<UsableTlsa> {
    let best = |one: &UsableTlsa| {
        let same = records
            .iter()
            .filter(|other| (other.usage, other.selector) == (one.usage, one.selector));
        same.map(|other| other.matching).max()
    };
    records
        .iter()
        .filter(|one| one.matching == Matching::Full || Some(one.matching) == best(one))
        .cloned()
        .collect()
}
