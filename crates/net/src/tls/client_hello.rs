//! What a client offers, read from the octets of its first message: for the person who must find
//! out why a handshake failed, also where it is older than what rustls reads.
//!
//! RFC 8446 §4.1.2, §4.2.1; RFC 5246 §7.4.1.2; the hello of SSL 2.0, RFC 5246 appendix E.2. Reads,
//! and decides nothing.

use std::fmt;

/// Cipher suites told of one client; a hello may name hundreds.
const CIPHERS_TOLD_MAX: usize = 20;
/// `supported_versions`. RFC 8446 §4.2.1.
const SUPPORTED_VERSIONS: u16 = 43;
/// A record that carries a handshake. RFC 8446 §5.1.
const HANDSHAKE_RECORD: u8 = 22;
/// The first message of a client. RFC 8446 §4.
const CLIENT_HELLO: u8 = 1;

/// What a client offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Offer {
    /// Versions as on the wire (0x0303 is TLS 1.2), newest first.
    versions: Vec<u16>,
    /// Cipher suites as on the wire, in the client's order.
    ciphers: Vec<u16>,
}

impl Offer {
    /// Reads the octets of a connection from their beginning; `None` where they are no complete
    /// hello.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        if octets.first()? & 0x80 != 0 {
            return Self::read_ssl2(octets);
        }
        let message = handshake_octets(octets);
        let mut hello = Octets(&message);
        if hello.u8()? != CLIENT_HELLO {
            return None;
        }
        let length = usize::from(hello.u8()?) << 16 | usize::from(hello.u16()?);
        let mut hello = Octets(hello.take(length)?);
        let legacy_version = hello.u16()?;
        hello.take(32)?;
        let session_id = usize::from(hello.u8()?);
        hello.take(session_id)?;
        let ciphers = usize::from(hello.u16()?);
        let ciphers = Octets(hello.take(ciphers)?).all_u16();
        let compressions = usize::from(hello.u8()?);
        hello.take(compressions)?;
        let mut versions = supported_versions(hello).unwrap_or_else(|| vec![legacy_version]);
        versions.retain(|version| is_version(*version));
        versions.sort_unstable_by(|one, other| other.cmp(one));
        versions.dedup();
        Some(Self { versions, ciphers })
    }

    fn read_ssl2(octets: &[u8]) -> Option<Self> {
        let mut hello = Octets(octets.get(2..)?);
        if hello.u8()? != CLIENT_HELLO {
            return None;
        }
        let version = hello.u16()?;
        Some(Self {
            versions: vec![version],
            ciphers: Vec::new(),
        })
    }

    /// Whether TLS 1.2 or newer is among the versions.
    pub(super) fn is_recent(&self) -> bool {
        self.versions.iter().any(|version| *version >= 0x0303)
    }

    /// The newest version, in words.
    pub(super) fn newest(&self) -> String {
        self.versions
            .first()
            .map_or_else(|| "no version".to_owned(), |version| version_name(*version))
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.versions.iter().map(|v| version_name(*v)).collect();
        write!(f, "offered {}", versions.join(", "))?;
        let real = self.ciphers.iter().filter(|cipher| !is_grease(**cipher));
        let names: Vec<_> = real
            .clone()
            .take(CIPHERS_TOLD_MAX)
            .map(cipher_name)
            .collect();
        if !names.is_empty() {
            write!(f, "; ciphers {}", names.join(", "))?;
        }
        match real.count().saturating_sub(CIPHERS_TOLD_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The handshake message of the first records, as far as it is there.
fn handshake_octets(octets: &[u8]) -> Vec<u8> {
    let (mut records, mut message) = (Octets(octets), Vec::new());
    let next = |records: &mut Octets<'_>| {
        let kind = records.u8()?;
        records.u16()?;
        let length = usize::from(records.u16()?);
        let rest = records.0.len().min(length);
        let piece = records.take(rest)?.to_vec();
        (kind == HANDSHAKE_RECORD).then_some(piece)
    };
    while let Some(piece) = next(&mut records) {
        message.extend_from_slice(&piece);
    }
    message
}

/// The versions of the extension, if there is one.
fn supported_versions(mut hello: Octets<'_>) -> Option<Vec<u16>> {
    let length = usize::from(hello.u16()?);
    let mut extensions = Octets(hello.take(length)?);
    loop {
        let kind = extensions.u16()?;
        let length = usize::from(extensions.u16()?);
        let mut content = Octets(extensions.take(length)?);
        if kind == SUPPORTED_VERSIONS {
            let length = usize::from(content.u8()?);
            return Some(Octets(content.take(length)?).all_u16());
        }
    }
}

/// Octets from the front.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)
            .map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    fn all_u16(mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.u16()).collect()
    }
}

/// SSL 2.0 to TLS 1.3; not what clients put in to keep servers tolerant (RFC 8701).
fn is_version(version: u16) -> bool {
    version == 0x0002 || (0x0300..=0x0304).contains(&version)
}

/// RFC 8701 §2.
fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSL 2.0".to_owned(),
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        other => format!("version {other:#06x}"),
    }
}

fn cipher_name(cipher: &u16) -> String {
    rustls::CipherSuite::from(*cipher)
        .as_str()
        .map_or_else(|| format!("{cipher:#06x}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hello with this version and these ciphers, in records of at most `record` octets.
    fn hello(version: u16, ciphers: &[u16], versions: Option<&[u16]>, record: usize) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(0);
        let length = u16::try_from(ciphers.len() * 2).expect("few");
        body.extend(length.to_be_bytes());
        ciphers
            .iter()
            .for_each(|one| body.extend(one.to_be_bytes()));
        body.extend([1, 0]);
        if let Some(versions) = versions {
            let list = u8::try_from(versions.len() * 2).expect("few");
            let total = u16::from(list) + 1;
            body.extend((total + 4).to_be_bytes());
            body.extend(SUPPORTED_VERSIONS.to_be_bytes());
            body.extend(total.to_be_bytes());
            body.push(list);
            versions
                .iter()
                .for_each(|one| body.extend(one.to_be_bytes()));
        }
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        let mut message = vec![CLIENT_HELLO];
        message.extend(&length[1..]);
        message.extend(body);
        let mut octets = Vec::new();
        for piece in message.chunks(record) {
            octets.extend([HANDSHAKE_RECORD, 3, 1]);
            octets.extend(u16::try_from(piece.len()).expect("short").to_be_bytes());
            octets.extend(piece);
        }
        octets
    }

    #[test]
    fn an_old_client_is_told_by_its_versions_and_ciphers() {
        for record in [1, 7, 16_000] {
            let octets = hello(0x0301, &[0x002f, 0x0a0a, 0xfffe], None, record);
            let offer = Offer::read(&octets).expect("a hello");
            assert!(!offer.is_recent());
            assert_eq!(offer.newest(), "TLS 1.0");
            assert_eq!(
                offer.to_string(),
                "offered TLS 1.0; ciphers TLS_RSA_WITH_AES_128_CBC_SHA, 0xfffe"
            );
        }
    }

    #[test]
    fn the_extension_counts_before_the_old_field() {
        let octets = hello(0x0303, &[0x1301], Some(&[0x2a2a, 0x0303, 0x0304]), 16_000);
        let offer = Offer::read(&octets).expect("a hello");
        assert!(offer.is_recent());
        assert_eq!(offer.versions, [0x0304, 0x0303]);
    }

    #[test]
    fn ssl2_is_known_by_its_own_hello() {
        let offer = Offer::read(&[0x80, 0x2e, 1, 0, 2, 0, 0x15]).expect("a hello");
        assert_eq!(offer.newest(), "SSL 2.0");
        assert!(!offer.is_recent());
    }

    #[test]
    fn a_hello_cut_anywhere_is_no_hello_and_no_panic() {
        let octets = hello(0x0303, &[0x1301, 0x1302], Some(&[0x0304]), 10);
        for end in 0..octets.len() {
            assert_eq!(Offer::read(&octets[..end]), None, "{end}");
        }
        assert_eq!(Offer::read(b"EHLO a.example\r\n"), None);
    }
}
