//! What a signature costs: the hash of a body as it streams in, and each algorithm over a message
//! of usual size.
//!
//! `cargo bench -p relais-net --bench dkim`.

use divan::Bencher;
use divan::counter::BytesCount;

use relais_net::dkim::SigningKey;
use relais_smtp::dkim::{Algorithm, BodyHash, BodyHasher, Terms};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

fn main() {
    divan::main();
}

const SECTION: &[u8] = b"Received: from scan2 by relay.contoso.test with ESMTP id 1; x\r\n\
    From: scan@contoso.test\r\nTo: anna@fabrikam.example\r\nSubject: Scan\r\n\
    Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@contoso.test>\r\n\
    MIME-Version: 1.0\r\nContent-Type: application/pdf\r\n\r\n";

/// Lines of 76, as of an attachment; or words, whose spaces are looked at.
fn body(size: usize, line: &[u8]) -> Vec<u8> {
    line.iter().copied().cycle().take(size).collect()
}

fn hash(body: &[u8]) -> BodyHash {
    let mut hasher = BodyHasher::new();
    body.chunks(64 * 1_024)
        .for_each(|piece| hasher.update(piece));
    hasher.finish()
}

#[divan::bench(args = [3_700, 65_536, 5_000_000])]
fn body_hash_of_an_attachment(bencher: Bencher<'_, '_>, size: usize) {
    let line = [&[b'x'; 76][..], b"\r\n"].concat();
    let body = body(size, &line);
    bencher
        .counter(BytesCount::new(size))
        .bench(|| hash(divan::black_box(&body)));
}

#[divan::bench(args = [3_700, 65_536])]
fn body_hash_of_prose(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(
        size,
        b"the quick brown fox jumps over the lazy dog and back again\r\n",
    );
    bencher
        .counter(BytesCount::new(size))
        .bench(|| hash(divan::black_box(&body)));
}

fn sign(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let key = SigningKey::generate(algorithm).expect("a key");
    let domain = Domain::parse("contoso.test").expect("a domain");
    let body = hash(b"hello\r\n");
    let terms = Terms {
        domain: &domain,
        selector: "relais-k3f9-r1",
        algorithm,
        time: Timestamp::from_millis(1_795_514_400_000),
    };
    bencher.bench(|| key.sign(divan::black_box(SECTION), &body, &terms));
}

#[divan::bench]
fn rsa_2048(bencher: Bencher<'_, '_>) {
    sign(bencher, Algorithm::RsaSha256);
}

#[divan::bench]
fn ed25519(bencher: Bencher<'_, '_>) {
    sign(bencher, Algorithm::Ed25519Sha256);
}
