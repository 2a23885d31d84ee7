//! Handshakes over a pair of streams in memory: what rustls' own client sees, and what the server
//! learns of it; certificates of a small authority of our own.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use relais_policy::tls::{Certificate, CertificateFault, TlsVersion};
use relais_smtp::time::Timestamp;

use super::*;
use crate::stream::Stream;

/// 24 November 2026.
const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("signed").pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A client certificate: chain and key in PEM.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }
}

fn named(params: &mut CertificateParams, names: &[&str]) {
    params.subject_alt_names = names
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().expect("ASCII")))
        .collect();
}

fn chain(pem: &str) -> ClientChain {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes());
    ClientChain(chain.collect::<Result<_, _>>().expect("PEM"))
}

fn authorities(authority: &Authority, common_name: bool) -> ClientAuthorities {
    ClientAuthorities::new(
        RootCertStore::empty(),
        [authority.pem.as_bytes()],
        common_name,
    )
    .expect("an authority")
}

fn judged(authorities: &ClientAuthorities, pem: &str) -> Certificate {
    authorities.judge(&chain(pem), NOW).certificate
}

#[track_caller]
fn expect_names(certificate: &Certificate, names: &[&str]) {
    assert_eq!(certificate.fault(), None);
    let found: Vec<&str> = certificate.names().iter().map(|name| &**name).collect();
    assert_eq!(found, names);
}

#[test]
fn a_certificate_in_order_proves_its_dns_names() {
    let authority = Authority::new("CA");
    let (pem, _) = authority.issue(|params| named(params, &["Scan.contoso.test", "*.dev.test"]));
    let found = authorities(&authority, false).judge(&chain(&pem), NOW);
    expect_names(&found.certificate, &["scan.contoso.test", "*.dev.test"]);
    assert_eq!(
        found.not_after.map(Timestamp::day).as_deref(),
        Some("2027-01-01")
    );
    let fingerprint = found.certificate.fingerprint().expect("of a real one");
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn the_same_name_renewed_is_the_same_client_with_another_fingerprint() {
    let authority = Authority::new("CA");
    let issue = || {
        authority
            .issue(|params| named(params, &["scan.contoso.test"]))
            .0
    };
    let known = authorities(&authority, false);
    let (old, new) = (judged(&known, &issue()), judged(&known, &issue()));
    assert_eq!(old.names(), new.names());
    assert_ne!(old.fingerprint(), new.fingerprint());
}

#[test]
fn each_fault_is_told_apart() {
    let authority = Authority::new("CA");
    let known = authorities(&authority, false);
    let fault = |change: &dyn Fn(&mut CertificateParams)| {
        let (pem, _) = authority.issue(|params| {
            named(params, &["scan.contoso.test"]);
            change(params);
        });
        judged(&known, &pem).fault()
    };
    assert_eq!(fault(&|_| {}), None);
    let expired = |params: &mut CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2026, 11, 23);
    };
    assert_eq!(fault(&expired), Some(CertificateFault::Expired));
    let future = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2026, 11, 25);
    };
    assert_eq!(fault(&future), Some(CertificateFault::NotYetValid));
    let server = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(fault(&server), Some(CertificateFault::WrongUsage));
    let authority_itself = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    assert_eq!(fault(&authority_itself), Some(CertificateFault::WrongUsage));
    let nameless = |params: &mut CertificateParams| params.subject_alt_names.clear();
    assert_eq!(fault(&nameless), Some(CertificateFault::NoName));
}

#[test]
fn an_authority_of_the_same_name_and_a_self_signed_one_are_not_believed() {
    let (ours, theirs) = (Authority::new("CA"), Authority::new("CA"));
    let known = authorities(&ours, false);
    let (pem, _) = theirs.issue(|params| named(params, &["scan.contoso.test"]));
    assert_eq!(
        judged(&known, &pem).fault(),
        Some(CertificateFault::Untrusted)
    );
    // With its own authority in the chain, too.
    let with_authority = format!("{pem}{}", theirs.pem);
    let found = judged(&known, &with_authority);
    assert_eq!(found.fault(), Some(CertificateFault::Untrusted));
    let (own, _) = self_signed("scan.contoso.test", KeyKind::EcdsaP256, NOW).expect("made");
    assert!(judged(&known, &own).fault().is_some());
    let nobody = ClientAuthorities::new(RootCertStore::empty(), [], false).expect("none");
    assert_eq!(
        judged(&nobody, &pem).fault(),
        Some(CertificateFault::Untrusted)
    );
}

#[test]
fn a_name_with_a_nul_is_no_name() {
    let authority = Authority::new("CA");
    let (pem, _) = authority.issue(|params| {
        named(params, &["relay.contoso.test\0.evil.test", "ok.test"]);
    });
    expect_names(&judged(&authorities(&authority, true), &pem), &["ok.test"]);
}

#[test]
fn the_common_name_counts_only_where_the_listener_says_so_and_nothing_else_is_there() {
    let authority = Authority::new("CA");
    let (plain, by_name) = (
        authorities(&authority, false),
        authorities(&authority, true),
    );
    let common = |params: &mut CertificateParams| {
        params
            .distinguished_name
            .push(DnType::CommonName, "scan.contoso.test");
    };
    let (only, _) = authority.issue(common);
    assert_eq!(
        judged(&plain, &only).fault(),
        Some(CertificateFault::NoName)
    );
    expect_names(&judged(&by_name, &only), &["scan.contoso.test"]);
    let (both, _) = authority.issue(|params| {
        common(params);
        named(params, &["other.test"]);
    });
    expect_names(&judged(&by_name, &both), &["other.test"]);
    // An extension without DNS names is one all the same.
    let (address, _) = authority.issue(|params| {
        common(params);
        params.subject_alt_names = vec![SanType::IpAddress([192, 0, 2, 1].into())];
    });
    assert_eq!(
        judged(&by_name, &address).fault(),
        Some(CertificateFault::NoName)
    );
    let (words, _) = authority.issue(|params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "Scanner of Lyon");
    });
    assert_eq!(
        judged(&by_name, &words).fault(),
        Some(CertificateFault::NoName)
    );
}

/// A client that believes every server.
#[derive(Debug)]
struct Believing;

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn client(
    version: &'static rustls::SupportedProtocolVersion,
    certificate: Option<&(String, String)>,
) -> TlsConnector {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("ciphers")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Believing));
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some((pem, key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder
                .with_client_auth_cert(chain(pem).0, key)
                .expect("they fit")
        }
    };
    TlsConnector::from(Arc::new(config))
}

fn server(authority: &Authority) -> ServerTls {
    let store = CertificateStore::new();
    let (pem, key) = self_signed("relay.contoso.test", KeyKind::EcdsaP256, NOW).expect("made");
    let own = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("right");
    store.install(own);
    ServerTls::new(store, authorities(authority, false))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("relay.contoso.test").expect("a name")
}

#[tokio::test]
async fn both_versions_carry_octets_and_a_certificate_is_asked_for_and_not_demanded() {
    let authority = Authority::new("CA");
    let tls = server(&authority);
    let own = authority.issue(|params| named(params, &["scan.contoso.test"]));
    for (version, expected) in [
        (&rustls::version::TLS12, TlsVersion::V1_2),
        (&rustls::version::TLS13, TlsVersion::V1_3),
    ] {
        for certificate in [None, Some(&own)] {
            let (near, far) = Stream::pair();
            let dialling = client(version, certificate);
            let (accepted, connected) =
                tokio::join!(tls.accept(far), dialling.connect(name(), near));
            let (mut stream, session) = accepted.expect("a session");
            let mut connected = connected.expect("a session");
            assert_eq!(session.version, expected);
            assert!(session.cipher.starts_with("TLS"), "{}", session.cipher);
            let names = session
                .certificates
                .map(|chain| tls.authorities().judge(&chain, NOW).certificate);
            match (certificate, names) {
                (None, None) => {}
                (Some(_), Some(found)) => expect_names(&found, &["scan.contoso.test"]),
                (_, found) => panic!("{found:?}"),
            }
            connected
                .write_all(b"EHLO a.example\r\n")
                .await
                .expect("room");
            connected.flush().await.expect("room");
            let mut read = [0; 64];
            stream.readable().await.expect("octets");
            let mut count = 0;
            while count == 0 {
                match stream.try_read(&mut read) {
                    Ok(some) => count = some,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        stream.readable().await.expect("octets");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(&read[..count], b"EHLO a.example\r\n");
            stream.write_all(b"250 ok\r\n").await.expect("room");
            stream.flush().await.expect("room");
            let count = connected.read(&mut read).await.expect("octets");
            assert_eq!(&read[..count], b"250 ok\r\n");
            drop(connected);
            assert_eq!(
                stream.read(&mut read).await.ok(),
                Some(0),
                "closed, not broken"
            );
        }
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_handshake_on_and_old_sessions_stay() {
    let tls = server(&Authority::new("CA"));
    let shown = async || {
        let (near, far) = Stream::pair();
        let dialling = client(&rustls::version::TLS13, None);
        let (accepted, connected) = tokio::join!(tls.accept(far), dialling.connect(name(), near));
        let connected = connected.expect("a session");
        let chain = connected.get_ref().1.peer_certificates().expect("shown");
        let fingerprint = x509::fingerprint(&chain[0]);
        (accepted.expect("a session").0, connected, fingerprint)
    };
    let (mut old, mut old_client, first) = shown().await;
    let (pem, key) = self_signed("relay.contoso.test", KeyKind::EcdsaP256, NOW).expect("made");
    let new = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("right");
    let expected: Box<str> = new.fingerprint().into();
    tls.certificates().install(new);
    let (_, _, second) = shown().await;
    assert_ne!(first, second);
    assert_eq!(second, expected);
    old.write_all(b"still here").await.expect("room");
    old.flush().await.expect("room");
    let mut read = [0; 10];
    old_client.read_exact(&mut read).await.expect("octets");
    assert_eq!(&read, b"still here");
}

#[tokio::test]
async fn what_is_no_handshake_is_described() {
    let tls = server(&Authority::new("CA"));
    let fault = async |said: &[u8]| {
        let (mut near, far) = Stream::pair();
        near.write_all(said).await.expect("room");
        near.shutdown().await.expect("open");
        match tls.accept(far).await {
            Err(fault) => fault,
            Ok(_) => panic!("no handshake"),
        }
    };
    assert_eq!(fault(b"").await, HandshakeFault::Silent);
    let words = |fault| match fault {
        HandshakeFault::Failed { fault, offer } => (fault, offer),
        other => panic!("{other:?}"),
    };
    let (text, offer) = words(fault(b"EHLO a.example\r\n").await);
    assert_eq!((text.as_str(), offer), ("the client speaks no TLS", None));
    // TLS 1.0 with two ciphers, as a device of 2008 says it.
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0, 0x2f, 0, 5, 1, 0]);
    let (text, offer) = words(fault(&hello).await);
    assert_eq!(text, "the client offers TLS 1.0 at most");
    assert_eq!(
        offer.as_deref(),
        Some("offered TLS 1.0; ciphers TLS_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_RC4_128_SHA")
    );
    let (text, _) = words(fault(&hello[..20]).await);
    assert_eq!(text, "the client left during the handshake");
}

#[tokio::test]
async fn without_a_certificate_there_is_no_handshake() {
    let authority = Authority::new("CA");
    let tls = ServerTls::new(CertificateStore::new(), authorities(&authority, false));
    let fault = tls.accept(Stream::pair().0).await.err();
    assert_eq!(fault, Some(HandshakeFault::NoCertificate));
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_with_its_reason() {
    let (pem, key) = self_signed("relay.contoso.test", KeyKind::EcdsaP256, NOW).expect("made");
    let (_, other) = self_signed("relay.contoso.test", KeyKind::EcdsaP256, NOW).expect("made");
    let error = |pem: &str, key: &str| {
        ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).expect_err("wrong")
    };
    assert_eq!(error("", &key), CertificateError::NoCertificate);
    assert_eq!(error(&pem, ""), CertificateError::NoKey);
    assert_eq!(error(&pem, &other), CertificateError::Mismatch);
    let both = format!("{key}{pem}");
    let found = ServerCertificate::from_pem(both.as_bytes(), both.as_bytes()).expect("right");
    assert_eq!(found.names(), ["relay.contoso.test".into()]);
    assert_eq!(found.not_after().day(), "2028-11-23");
}
