//! DANE with signed zones of our own root, served by NSD, validated by Unbound, and Postfix or a
//! server without TLS as the destination: what is proven, not proven, forged and over.
//!
//! Without the programs (unpacked by `./ci` into `RELAIS_TOOLS`) the test is skipped, and says so.

use std::net::SocketAddr;
use std::path::Path;

use relais_testkit::postfix::{Door, Postfix, Role, ServerTls};
use relais_testkit::signed_dns::{ServedZone, SignedDns, Signing, Tools};
use serde_json::Value;

use crate::authority::{Authority, Pair, Wanted, openssl};
use crate::receiver::Receiver;
use crate::support::{Place, Server};

/// Mail leaves by MX.
pub(crate) const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"

[[organisation.inbound_connector]]
name = "Loopback"
sender_ip_addresses = ["127.0.0.1"]
"#;

/// Data that belongs to no key.
const WRONG: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
/// The same after somebody changed it.
const FORGED: &str = "00000000000000000000000000000000000000000000000000000000000000bb";

/// What becomes of mail to a domain.
enum Fate {
    /// Delivered, with this in `tls.verified`.
    Delivered(&'static str),
    /// It waits, for this reason.
    Waits(&'static str),
}

use Fate::{Delivered, Waits};

const CASES: &[(&str, Fate)] = &[
    ("good.signed.test", Delivered("dane")),
    ("wild.signed.test", Delivered("dane")),
    ("host-alias.signed.test", Delivered("dane")),
    ("tlsa-alias.signed.test", Delivered("dane")),
    ("anchor.signed.test", Delivered("dane")),
    ("nsec3.test", Delivered("dane")),
    // Without MX records of its own.
    ("bare.nsec3.test", Delivered("dane")),
    ("none.signed.test", Delivered("no")),
    ("none.nsec3.test", Delivered("no")),
    ("unusable.signed.test", Delivered("no")),
    ("insecure.test", Delivered("no")),
    // Its MX is proven, and the host's zone is not signed.
    ("leads-out.signed.test", Delivered("no")),
    (
        "wrong.signed.test",
        Waits("matches none of its TLSA records"),
    ),
    ("clear.signed.test", Waits("does not offer STARTTLS")),
    ("bogus.test", Waits("demands TLS (DANE) is not known")),
    ("expired.test", Waits("DNS gave no answer for expired.test")),
];

fn zones(port: u16, key: &str, authority: &str) -> Vec<ServedZone> {
    let tlsa = format!("_{port}._tcp");
    let signed = format!(
        "good MX 10 mx\nmx A 127.0.0.1\n{tlsa}.mx TLSA 3 1 1 {key}\n\
         wild MX 10 mx.wild\nmx.wild A 127.0.0.1\n*._tcp.mx.wild TLSA 3 1 1 {key}\n\
         host-alias MX 10 alias\nalias CNAME mx\n\
         tlsa-alias MX 10 mx3\nmx3 A 127.0.0.1\n{tlsa}.mx3 CNAME {tlsa}.mx\n\
         anchor MX 10 mx4\nmx4 A 127.0.0.1\n{tlsa}.mx4 TLSA 2 1 1 {authority}\n\
         none MX 10 mx5\nmx5 A 127.0.0.1\n\
         unusable MX 10 mx6\nmx6 A 127.0.0.1\n{tlsa}.mx6 TLSA 1 1 1 {WRONG}\n\
         leads-out MX 10 mx.insecure.test.\n\
         wrong MX 10 mx7\nmx7 A 127.0.0.1\n{tlsa}.mx7 TLSA 3 1 1 {WRONG}\n\
         clear MX 10 mx8\nmx8 A 127.0.0.3\n{tlsa}.mx8 TLSA 3 1 1 {key}\n"
    );
    let nsec3 = format!(
        "@ MX 10 mx\nmx A 127.0.0.1\n{tlsa}.mx TLSA 3 1 1 {key}\n\
         bare A 127.0.0.1\n{tlsa}.bare TLSA 3 1 1 {key}\n\
         none MX 10 mx2\nmx2 A 127.0.0.1\n"
    );
    let with_wrong = format!("@ MX 10 mx\nmx A 127.0.0.1\n{tlsa}.mx TLSA 3 1 1 {WRONG}\n");
    let zone = |name, records: &str, signing| ServedZone {
        name,
        records: records.to_owned(),
        signing,
    };
    vec![
        zone("signed.test", &signed, Signing::Nsec),
        zone("nsec3.test", &nsec3, Signing::Nsec3),
        zone("insecure.test", &with_wrong, Signing::None),
        zone("bogus.test", &with_wrong, Signing::Tampered(WRONG, FORGED)),
        zone("expired.test", &with_wrong, Signing::Expired),
    ]
}

/// SHA-256 of a certificate's public key, in hexadecimal digits.
fn key_digest(folder: &Path, certificate: &Path) -> String {
    let (key, der) = (folder.join("key.pub"), folder.join("key.der"));
    openssl(&format!(
        "x509 -in {} -noout -pubkey -out {}",
        certificate.display(),
        key.display()
    ));
    openssl(&format!(
        "pkey -pubin -in {} -outform DER -out {}",
        key.display(),
        der.display()
    ));
    let said = openssl(&format!("dgst -sha256 -r {}", der.display()));
    said.out.split(' ').next().unwrap_or_default().to_owned()
}

fn certificates(folder: &Path) -> (Authority, Pair) {
    let authority = Authority::new(folder, "authority");
    let own = authority.issue(
        "mx",
        &Wanted {
            subject: "/CN=mx",
            names: "DNS:mx4.signed.test",
            usage: "serverAuth",
            days: 90,
        },
    );
    // The chain as the server shows it: DANE-TA needs the authority in it.
    let whole = [&own.certificate, authority.file()]
        .map(|file| std::fs::read_to_string(file).expect("a certificate"))
        .concat();
    std::fs::write(&own.certificate, whole).expect("written");
    (authority, own)
}

/// The newest event of this kind about a message.
fn event(server: &Server, kind: &str, id: &str) -> Value {
    server.await_event(kind, id);
    let token = format!("event:{kind}");
    let events = server.relais(&["trace", &token, "--json"]).expect(0);
    let found = events.json_lines().into_iter();
    found
        .into_iter()
        .find(|event| event["queue_id"] == id)
        .expect("it was awaited")
}

#[test]
fn mail_follows_what_signed_zones_say() {
    let (Some(tools), Some(package)) = (Tools::found(), Postfix::package()) else {
        eprintln!(
            "SKIPPED: NSD, Unbound, ldns or Postfix is not in RELAIS_TOOLS, or we are not root"
        );
        return;
    };
    let folder = tempfile::TempDir::with_prefix("relais-dane-").expect("a folder");
    let (authority, own) = certificates(folder.path());
    let tls = ServerTls {
        certificate: own.certificate.clone(),
        key: own.key.clone(),
    };
    let role = Role::ReceivesAll(Door::with_tls(tls));
    let postfix = Postfix::start(&package, folder.path(), role).expect("Postfix starts");
    let port = postfix.address().port();
    let without_tls = Receiver::start_at(SocketAddr::from(([127, 0, 0, 3], port)));
    let key = key_digest(folder.path(), &own.certificate);
    let anchor = key_digest(folder.path(), authority.file());
    let dns = SignedDns::start(&tools, folder.path(), &zones(port, &key, &anchor));
    let dns = dns.expect("the zones are served");
    let place = Place::new(&format!(
        "[dns]\nnameservers = [\"{}\"]\n[deliver]\nsmtp_port = {port}\n\
         allow_private_destinations = true\n",
        dns.resolver()
    ));
    let server = place.serve();
    server.apply(SETTINGS).expect(0);
    let sent: Vec<_> = CASES
        .iter()
        .map(|(domain, _)| server.send("erp@contoso.test", &format!("anna@{domain}")))
        .collect();
    for ((domain, fate), id) in CASES.iter().zip(&sent) {
        match fate {
            Delivered(verified) => {
                let found = event(&server, "recipient.delivered", id);
                assert_eq!(found["tls"]["verified"], *verified, "{domain}: {found}");
            }
            Waits(because) => {
                let found = event(&server, "recipient.deferred", id);
                let reply = found["reply"].as_str().unwrap_or_default();
                assert!(reply.contains(because), "{domain}: {found}");
            }
        }
    }
    assert!(without_tls.arrivals().is_empty());
    let delivered = CASES
        .iter()
        .filter(|(_, fate)| matches!(fate, Delivered(_)));
    for (domain, _) in delivered {
        let arrived = postfix.wait_for(domain, crate::support::PATIENCE);
        assert!(arrived.is_some(), "{domain} at Postfix");
    }
}
