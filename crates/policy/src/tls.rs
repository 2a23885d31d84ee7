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

/// SHA-256 of a whole certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of 64 hexadecimal digits in either case; colons and spaces between them do not matter, as
    /// programs and panels show them in many ways.
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = text.chars().filter(|one| !matches!(one, ':' | ' '));
        let mut octets = [0; 32];
        for octet in &mut octets {
            let (high, low) = (digits.next()?.to_digit(16)?, digits.next()?.to_digit(16)?);
            *octet = u8::try_from(high << 4 | low).ok()?;
        }
        digits.next().is_none().then_some(Self(octets))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
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

    /// SHA-256, where the certificate counts for whoever knows it by that: within its time, whoever
    /// issued it.
    pub fn known_by(&self) -> Option<Fingerprint> {
        match self.fault() {
            Some(CertificateFault::Expired | CertificateFault::NotYetValid) => None,
            Some(
                CertificateFault::Untrusted
                | CertificateFault::WrongUsage
                | CertificateFault::NoName,
            )
            | None => Fingerprint::parse(self.fingerprint()?),
        }
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
    fn a_fingerprint_is_read_as_programs_and_panels_show_it() {
        let digits = "00ab1f".to_owned() + &"7c".repeat(29);
        let shown = Fingerprint::parse(&digits).expect("64 digits").to_string();
        assert_eq!(shown, digits);
        let pairs = digits.as_bytes().chunks(2);
        let pairs = pairs.map(|pair| String::from_utf8_lossy(pair).to_uppercase());
        let panel = pairs.collect::<Vec<_>>().join(":");
        assert_eq!(Fingerprint::parse(&panel), Fingerprint::parse(&digits));
        for wrong in [
            "",
            "00",
            &digits[1..],
            &format!("{digits}0"),
            &digits.replace('a', "g"),
        ] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_certificate_is_known_by_its_fingerprint_within_its_time_only() {
        let digits = "7c".repeat(32);
        let known = |fault| {
            Certificate::faulty(fault)
                .with_fingerprint(&digits)
                .known_by()
        };
        assert!(known(CertificateFault::Untrusted).is_some());
        assert!(known(CertificateFault::WrongUsage).is_some());
        assert!(known(CertificateFault::NoName).is_some());
        assert_eq!(known(CertificateFault::Expired), None);
        assert_eq!(known(CertificateFault::NotYetValid), None);
        assert_eq!(
            Certificate::verified(["a.test"]).known_by(),
            None,
            "imagined"
        );
    }

    #[test]
    fn a_certificate_without_names_proves_nothing() {
        let empty = Certificate::verified(["", " . "]);
        assert_eq!(empty.fault(), Some(CertificateFault::NoName));
        assert!(empty.names().is_empty());
    }
}
