//! Certificates in files: made, kept, replaced, broken, and told of in time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn ours(folder: &Path) -> Certificates {
    let mut all = Certificates {
        sources: Vec::new(),
        authorities: Vec::new(),
        acme: None,
    };
    let origin = Origin::SelfSigned {
        folder: folder.join("tls"),
        hostname: "relay.contoso.test".to_owned(),
        kind: KeyKind::EcdsaP256,
    };
    all.store_of(origin, NOW);
    all
}

fn fingerprint(certificates: &Certificates) -> String {
    let current = certificates.sources[0].store.current();
    current.expect("a certificate").fingerprint().to_owned()
}

/// Writes a certificate made at this time, with its key beside it.
fn put(file: &Path, made: Timestamp) -> String {
    let (pem, key) = relais_net::tls::self_signed("relay.contoso.test", KeyKind::EcdsaP256, made)
        .expect("it can be made");
    fs::write(file, &pem).expect("a file");
    fs::write(file.with_extension("key"), &key).expect("a file");
    let made = ServerCertificate::from_pem(pem.as_bytes(), key.as_bytes()).expect("right");
    made.fingerprint().to_owned()
}

fn of_files(certificate: &Path) -> Certificates {
    let mut all = Certificates {
        sources: Vec::new(),
        authorities: Vec::new(),
        acme: None,
    };
    let origin = Origin::Files {
        certificate: certificate.to_owned(),
        private_key: None,
    };
    all.store_of(origin, NOW);
    all
}

#[test]
fn a_certificate_is_made_once_and_its_key_is_ours_alone() {
    let folder = TempDir::new().expect("a folder");
    let first = fingerprint(&ours(folder.path()));
    assert_eq!(fingerprint(&ours(folder.path())), first);
    let key = folder.path().join("tls/self-signed.key");
    let mode = fs::metadata(key).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_one_that_we_made_is_renewed_before_anybody_is_warned() {
    let folder = TempDir::new().expect("a folder");
    let mut certificates = ours(folder.path());
    let first = fingerprint(&certificates);
    assert!(certificates.keep(NOW.after(DAY * 600)).is_empty());
    assert_eq!(fingerprint(&certificates), first);
    assert!(certificates.keep(NOW.after(DAY * 701)).is_empty());
    assert_ne!(fingerprint(&certificates), first);
}

#[test]
fn a_new_file_counts_once_it_stands_still_and_a_broken_one_never() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("tls.pem");
    let first = put(&file, NOW);
    let mut certificates = of_files(&file);
    assert_eq!(fingerprint(&certificates), first);
    let second = put(&file, NOW);
    certificates.keep(NOW);
    assert_eq!(fingerprint(&certificates), first, "it may still be written");
    certificates.keep(NOW);
    assert_eq!(fingerprint(&certificates), second);
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nno\n").expect("a file");
    (0..3).for_each(|_| drop(certificates.keep(NOW)));
    assert_eq!(fingerprint(&certificates), second, "kept");
    fs::remove_file(&file).expect("it was there");
    (0..3).for_each(|_| drop(certificates.keep(NOW)));
    assert_eq!(fingerprint(&certificates), second, "kept");
    let third = put(&file, NOW);
    certificates.reload(NOW);
    assert_eq!(fingerprint(&certificates), third, "at once, when asked");
}

#[test]
fn a_certificate_that_cannot_be_read_at_start_is_taken_when_it_can() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("tls.pem");
    let mut certificates = of_files(&file);
    assert!(certificates.sources[0].store.current().is_none());
    let made = put(&file, NOW);
    (0..2).for_each(|_| drop(certificates.keep(NOW)));
    assert_eq!(fingerprint(&certificates), made);
}

#[test]
fn somebody_is_told_30_7_and_1_days_before_the_end_once_each() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("tls.pem");
    put(&file, NOW);
    let mut certificates = of_files(&file);
    let mut told = Vec::new();
    for day in 690..=731 {
        let now = NOW.after(DAY * day);
        let events = certificates.keep(now);
        told.extend(events.iter().map(|event| (day, event.detail.clone())));
    }
    let days: Vec<_> = told.iter().map(|(day, _)| *day).collect();
    assert_eq!(days, [700, 723, 729]);
    assert_eq!(
        told[1].1.as_deref(),
        Some("server certificate relay.contoso.test expires on 2028-11-23, within 7 days")
    );
}

#[test]
fn a_fingerprint_is_shown_as_devices_show_it() {
    assert_eq!(shown_fingerprint("00ab1f"), "00:AB:1F");
}
