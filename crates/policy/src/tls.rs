//! What TLS proves of a client: the version spoken, and its certificate as it was judged after the
//! handshake. A certificate that was judged bad proves nothing; why it was is kept, to be told.
//!
//! Not here: the judgement itself (`relais_net::tls`); which connector a name leads to
//! ([`crate::attribution`]).

use std::fmt;

/// A version of TLS; a newer one is greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TlsVersion {
    /// RFC 2246. Only on a listener for old devices.
    V1_0,
    /// RFC 4346. Only on a listener for old devices.
    V1_1,
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 4] = [Self::V1_0, Self::V1_1, Self::V1_2, Self::V1_3];

    /// Reads `1.2`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == text)
    }

    /// `1.2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A certificate that the client presented and whose key it proved to hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Its names, or why they do not count.
    verdict: Result<Vec<Box<str>>, CertificateFault>,
    /// SHA-256 of the whole certificate, in lower-case hexadecimal digits; `None` for an imagined
    /// one.
    fingerprint: Option<Box<str>>,
}

/// Why a certificate is no proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateFault {
    /// No trusted authority issued it, or a signature in its chain is wrong.
    Untrusted,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is not for client authentication, or is that of an authority itself.
    WrongUsage,
    /// It bears no name that counts.
    NoName,
}

impl CertificateFault {
    /// In words, as the reply says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Untrusted => "not issued by a trusted authority",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
            Self::WrongUsage => "not made for client authentication",
            Self::NoName => "no DNS name in it",
        }
    }
}

impl Certificate {
    /// Verified, with these names in its order; case and a final dot do not matter.
    pub fn verified<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<Box<str>> = names
            .into_iter()
            .map(canonical)
            .filter(|name| !name.is_empty())
            .collect();
        let verdict = if names.is_empty() {
            Err(CertificateFault::NoName)
        } else {
            Ok(names)
        };
        Self {
            verdict,
            fingerprint: None,
        }
    }

    /// Presented, and no proof.
    pub fn faulty(fault: CertificateFault) -> Self {
        Self {
            verdict: Err(fault),
            fingerprint: None,
        }
    }

    /// The same, with its SHA-256 fingerprint.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: &str) -> Self {
        self.fingerprint = Some(fingerprint.into());
        self
    }

    /// The names that it proves; none where it is faulty.
    pub fn names(&self) -> &[Box<str>] {
        self.verdict.as_deref().unwrap_or_default()
    }

    /// Why it is no proof.
    pub fn fault(&self) -> Option<CertificateFault> {
        self.verdict.as_ref().err().copied()
    }

    /// SHA-256 in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }
}

/// Lower case, without a final dot.
fn canonical(name: &str) -> Box<str> {
    let name = name.trim().to_ascii_lowercase();
    name.strip_suffix('.').unwrap_or(&name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_greater() {
        assert!(TlsVersion::ALL.is_sorted());
        assert_eq!(TlsVersion::parse("1.2"), Some(TlsVersion::V1_2));
        assert_eq!(TlsVersion::parse("none"), None);
    }

    #[test]
    fn a_certificate_without_names_proves_nothing() {
        let empty = Certificate::verified(["", " . "]);
        assert_eq!(empty.fault(), Some(CertificateFault::NoName));
        assert!(empty.names().is_empty());
    }
}
