//! Reading certificates: names, time, fingerprint. RFC 5280. Believes nothing of it.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{ASN1Time, GeneralName, X509Certificate};

use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

/// Names read of one certificate. Certificates for a hundred names exist; more serve nobody here.
const NAMES_MAX: usize = 100;

/// SHA-256 of a certificate in lower-case hexadecimal digits.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> Box<str> {
    let digest = Sha256::digest(certificate);
    let digits = digest.iter().map(|octet| format!("{octet:02x}"));
    digits.collect::<String>().into()
}

/// The beginning of its time.
pub(super) fn not_before(parsed: &X509Certificate<'_>) -> Timestamp {
    timestamp(parsed.validity().not_before)
}

/// The end of its time.
pub(super) fn not_after(parsed: &X509Certificate<'_>) -> Timestamp {
    timestamp(parsed.validity().not_after)
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(time.timestamp().saturating_mul(1_000))
}

/// The DNS names of the extension that could be names of hosts, in their order.
pub(super) fn dns_names(parsed: &X509Certificate<'_>) -> Vec<Box<str>> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) if is_host(name) => Some(Box::from(*name)),
        _ => None,
    });
    names.take(NAMES_MAX).collect()
}

/// Whether the extension has this address.
pub(super) fn bears_ip(parsed: &X509Certificate<'_>, address: IpAddr) -> bool {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return false;
    };
    let octets = match address.to_canonical() {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    };
    let mut names = extension.value.general_names.iter();
    names.any(|name| matches!(name, GeneralName::IPAddress(one) if **one == *octets))
}

/// Whether it is a name of a host, or of every host of a domain. One with a NUL, as
/// `relay.contoso.test\0.evil.example`, is none: no part of it counts.
pub(super) fn is_host(name: &str) -> bool {
    name.is_ascii() && Domain::parse(name.strip_prefix("*.").unwrap_or(name)).is_ok()
}
