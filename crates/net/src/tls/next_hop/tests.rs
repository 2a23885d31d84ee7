//! Certificates beside TLSA records and MTA-STS, and the handshake that proves a key alone.

use std::net::Ipv4Addr;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Within the time of certificates that rcgen makes: from 1975 to 4096.
const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const HOST: &str = "mx.b.test";

fn host(text: &str) -> Host {
    Host::parse(text).expect("a host")
}

/// A server's certificate, its authority, and its key.
struct Made {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn made(name: &str) -> Made {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a root");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec![name.to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate");
    Made {
        chain: vec![own.der().clone(), root.der().clone()],
        key,
    }
}

fn believing(made: &Made) -> ClientTls {
    let mut roots = RootCertStore::empty();
    roots.add(made.chain[1].clone()).expect("a root");
    ClientTls::new(roots, []).expect("roots")
}

fn part(certificate: &CertificateDer<'_>, selector: Selector) -> Vec<u8> {
    match selector {
        Selector::Certificate => certificate.to_vec(),
        Selector::PublicKey => {
            let (_, parsed) = X509Certificate::from_der(certificate).expect("a certificate");
            parsed.public_key().raw.to_vec()
        }
    }
}

fn record(
    usage: Usage,
    selector: Selector,
    matching: Matching,
    certificate: &CertificateDer<'_>,
) -> UsableTlsa {
    let part = part(certificate, selector);
    let data = match matching {
        Matching::Full => part,
        Matching::Sha256 => Sha256::digest(part).to_vec(),
        Matching::Sha512 => Sha512::digest(part).to_vec(),
    };
    UsableTlsa {
        usage,
        selector,
        matching,
        data: data.into(),
    }
}

fn dane(records: Vec<UsableTlsa>) -> Demand {
    let domain = |text| Domain::parse(text).expect("a domain");
    Demand::Dane(Arc::new(DaneRequirement {
        base: domain(HOST),
        names: vec![domain("b.test")],
        records,
    }))
}

fn judged(chain: &[CertificateDer<'_>], records: Vec<UsableTlsa>) -> Result<Verified, TlsFault> {
    ClientTls::without_roots().judge(chain, (&dane(records), &host(HOST)), NOW)
}

const SELECTORS: [Selector; 2] = [Selector::Certificate, Selector::PublicKey];
const MATCHINGS: [Matching; 3] = [Matching::Full, Matching::Sha256, Matching::Sha512];

#[test]
fn every_kind_of_usable_record_is_met_by_its_certificate_and_by_no_other() {
    let (ours, others) = (made(HOST), made(HOST));
    for (usage, place) in [(Usage::EndEntity, 0), (Usage::TrustAnchor, 1)] {
        for selector in SELECTORS {
            for matching in MATCHINGS {
                let record = record(usage, selector, matching, &ours.chain[place]);
                let kind = format!("{usage:?} {selector:?} {matching:?}");
                let met = judged(&ours.chain, vec![record.clone()]);
                assert_eq!(met, Ok(Verified::Dane), "{kind}");
                let unmet = judged(&others.chain, vec![record]);
                assert!(unmet.is_err(), "{kind}: {unmet:?}");
            }
        }
    }
}

#[test]
fn one_record_that_is_met_is_enough_and_one_for_the_other_end_is_none() {
    let (ours, others) = (made(HOST), made(HOST));
    let (key, sha256) = (Selector::PublicKey, Matching::Sha256);
    let wrong = record(Usage::EndEntity, key, sha256, &others.chain[0]);
    let right = record(Usage::EndEntity, key, sha256, &ours.chain[0]);
    let both = vec![wrong.clone(), right];
    assert_eq!(judged(&ours.chain, both), Ok(Verified::Dane));
    assert_eq!(judged(&ours.chain, vec![wrong]), Err(TlsFault::NotInTlsa));
    let authority_as_end = record(Usage::EndEntity, key, sha256, &ours.chain[1]);
    let end_as_authority = record(Usage::TrustAnchor, key, sha256, &ours.chain[0]);
    for record in [authority_as_end, end_as_authority] {
        let found = judged(&ours.chain, vec![record]);
        assert_eq!(found, Err(TlsFault::NotInTlsa));
    }
    assert_eq!(judged(&[], vec![]), Ok(Verified::No), "none is usable");
}

#[test]
fn names_and_times_count_for_an_authority_and_not_for_the_servers_own_certificate() {
    let key = Selector::PublicKey;
    let others_name = made("elsewhere.test");
    let own = record(
        Usage::EndEntity,
        key,
        Matching::Sha256,
        &others_name.chain[0],
    );
    assert_eq!(judged(&others_name.chain, vec![own]), Ok(Verified::Dane));
    let anchor = |made: &Made| record(Usage::TrustAnchor, key, Matching::Sha256, &made.chain[1]);
    let found = judged(&others_name.chain, vec![anchor(&others_name)]);
    assert_eq!(
        found,
        Err(TlsFault::WrongName {
            names: vec!["elsewhere.test".into()]
        })
    );
    let mails_name = made("b.test");
    let found = judged(&mails_name.chain, vec![anchor(&mails_name)]);
    assert_eq!(
        found,
        Ok(Verified::Dane),
        "the domain of the mail counts too"
    );
    let good = made(HOST);
    let before_all_time = Timestamp::from_millis(0);
    let tls = ClientTls::without_roots();
    let found = tls.judge(
        &good.chain,
        (&dane(vec![anchor(&good)]), &host(HOST)),
        before_all_time,
    );
    assert_eq!(found, Err(TlsFault::NotYetValid));
    let own = record(Usage::EndEntity, key, Matching::Sha256, &good.chain[0]);
    let found = tls.judge(
        &good.chain,
        (&dane(vec![own]), &host(HOST)),
        before_all_time,
    );
    assert_eq!(found, Ok(Verified::Dane));
}

#[test]
fn an_authority_that_the_server_leaves_out_counts_if_the_record_holds_it_whole() {
    let made = made(HOST);
    let alone = &made.chain[..1];
    let whole = record(
        Usage::TrustAnchor,
        Selector::Certificate,
        Matching::Full,
        &made.chain[1],
    );
    assert_eq!(judged(alone, vec![whole]), Ok(Verified::Dane));
    let digest = record(
        Usage::TrustAnchor,
        Selector::Certificate,
        Matching::Sha256,
        &made.chain[1],
    );
    assert_eq!(judged(alone, vec![digest]), Err(TlsFault::NotInTlsa));
}

#[test]
fn mta_sts_wants_the_name_of_the_host_from_an_authority_that_is_known() {
    let made = made(HOST);
    let knowing = believing(&made);
    let sts = |host: &str| Demand::Sts(Domain::parse(host).expect("a domain"));
    let found = knowing.judge(&made.chain, (&sts(HOST), &host(HOST)), NOW);
    assert_eq!(found, Ok(Verified::Sts));
    let found = knowing.judge(&made.chain, (&sts("mx2.b.test"), &host(HOST)), NOW);
    assert!(
        matches!(found, Err(TlsFault::WrongName { .. })),
        "{found:?}"
    );
    let found = ClientTls::without_roots().judge(&made.chain, (&sts(HOST), &host(HOST)), NOW);
    assert_eq!(found, Err(TlsFault::Untrusted));
}

/// A server that shows a chain and signs with a key, once.
async fn server(
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    version: &'static rustls::SupportedProtocolVersion,
) -> TcpStream {
    let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let signer = provider()
        .key_provider
        .load_private_key(secret)
        .expect("a key");
    let certified = Arc::new(rustls::sign::CertifiedKey::new(chain, signer));
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback works");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let _ = TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    });
    TcpStream::connect(address).await.expect("loopback works")
}

#[tokio::test]
async fn the_server_must_hold_the_key_of_the_certificate_that_its_records_name() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (ours, thief) = (made(HOST), made(HOST));
        let own = record(
            Usage::EndEntity,
            Selector::PublicKey,
            Matching::Sha256,
            &ours.chain[0],
        );
        let tls = ClientTls::without_roots();
        let host = host(HOST);
        let demand = dane(vec![own]);
        let stream = server(ours.chain.clone(), &ours.key, version).await;
        let (_, met) = tls
            .connect(Stream::tcp(stream), &host, &demand, NOW)
            .await
            .expect("it holds the key");
        assert_eq!(met.verified, Verified::Dane, "{version:?}");
        // Whoever copies the certificate lacks its key.
        let stream = server(ours.chain.clone(), &thief.key, version).await;
        let unmet = tls.connect(Stream::tcp(stream), &host, &demand, NOW).await;
        assert!(matches!(unmet, Err(TlsFault::Handshake(_))), "{version:?}");
    }
}

#[test]
fn a_host_is_proved_by_its_own_name_or_address() {
    for (borne, asked, met) in [
        (HOST, HOST, true),
        (HOST, "MX.B.TEST", true),
        ("*.b.test", HOST, true),
        (HOST, "b.test", false),
        ("192.0.2.1", "[192.0.2.1]", true),
        ("2001:db8::1", "[IPv6:2001:db8::1]", true),
        ("192.0.2.1", "[192.0.2.2]", false),
        (HOST, "[192.0.2.1]", false),
    ] {
        let made = made(borne);
        let knowing = believing(&made);
        let judged = |tls: &ClientTls| tls.judge(&made.chain, (&Demand::Host, &host(asked)), NOW);
        let found = judged(&knowing);
        match met {
            true => assert_eq!(found, Ok(Verified::Name), "{borne} {asked}"),
            false => assert!(
                matches!(found, Err(TlsFault::WrongName { .. })),
                "{borne} {asked}"
            ),
        }
        let unknown = judged(&ClientTls::without_roots());
        assert_eq!(unknown, Err(TlsFault::Untrusted));
    }
}
