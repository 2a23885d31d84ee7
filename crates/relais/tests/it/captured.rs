//! The certificate of a device, got into a connector without typing: caught while the device shows
//! it, or pasted. A device's own certificate, which nobody issued, is known by its SHA-256. And
//! what a person is told whose device knows old TLS only.

use std::fs;

use crate::authority::{Pair, Wanted, openssl};
use crate::client_certificates::SEND;
use crate::receiver::Receiver;
use crate::support::Server;
use crate::tls::{BY_ADDRESS, Encrypted, nowhere};
use crate::web::{Browser, first, location, post};
use crate::wizard::Events;

/// A certificate that the device made itself.
fn self_signed(server: &Server, name: &str) -> Pair {
    let path = |ending: &str| server.place.path(&format!("{name}.{ending}"));
    let made = Pair {
        certificate: path("pem"),
        key: path("key"),
    };
    openssl(&format!(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
         -subj /O=Contoso/CN={name} -keyout {} -out {}",
        made.key.display(),
        made.certificate.display()
    ));
    made
}

fn send(relay: &Encrypted, device: &Pair) -> String {
    let said = relay.python(Some(device), &format!("{SEND}print(send(connect()))"));
    said.concat()
}

/// The draft's name, and where its first step is.
fn begun(browser: &mut Browser<'_>) -> String {
    let begun = post(browser, "/add-device", &[("kind", "printer")]).expect(303);
    location(&begun)
}

/// Saves the draft, in use.
#[track_caller]
fn save(browser: &mut Browser<'_>, identify: &str, fields: &[(&str, &str)]) {
    let next = [fields, &[("identified_by", "any"), ("go", "next")]].concat();
    post(browser, identify, &next).expect(303);
    let review = identify.replace("identify", "review");
    let save = [
        ("state", "enabled"),
        ("test_recipients", ""),
        ("go", "save"),
    ];
    post(browser, &review, &save).expect(303);
}

#[test]
fn a_device_shows_its_own_certificate_and_one_press_makes_it_known() {
    let receiver = Receiver::start();
    let relay = Encrypted::start("", receiver.address());
    let mut browser = first(&relay.server, "en");
    let (scanner, other) = (
        self_signed(&relay.server, "scanner"),
        self_signed(&relay.server, "other"),
    );
    let refused = send(&relay, &other);
    assert!(refused.contains("(CERT-UNTRUSTED"), "{refused}");

    let identify = begun(&mut browser);
    let wait = [
        ("name", "Scanner"),
        ("identified_by", "any"),
        ("go", "wait"),
    ];
    let waiting = location(&post(&mut browser, &identify, &wait).expect(303));
    let page = browser.get(&waiting).expect(200);
    page.shows("None yet.");
    let mut events = Events::of(&relay.server, &browser, &format!("{waiting}/events"));
    let refused = send(&relay, &scanner);
    assert!(refused.contains("(CERT-UNTRUSTED"), "{refused}");
    let page = events.until(&browser, &waiting, "CN=scanner");
    page.shows("O=Contoso");
    page.shows("the device itself");
    page.shows("From no authority that is trusted here");
    page.shows("127.0.0.1");
    assert!(
        !page.body.contains("CN=other"),
        "it came before: {}",
        page.body
    );

    let fingerprint = page.field("fingerprint");
    post(&mut browser, &waiting, &[("fingerprint", "00")]).expect(404);
    let take = [("fingerprint", &*fingerprint), ("by", "name")];
    let taken = post(&mut browser, &waiting, &take).expect(303);
    assert_eq!(location(&taken), identify);
    let page = browser.get(&identify).expect(200);
    page.shows("value=\"Scanner\"");
    page.shows(&fingerprint);
    assert!(
        page.field("tls_sender_certificate_name").is_empty(),
        "its name is no proof"
    );
    let known = [
        ("name", "Scanner"),
        ("tls_sender_certificate_fingerprints", &*fingerprint),
    ];
    save(&mut browser, &identify, &known);

    assert_eq!(send(&relay, &scanner), "sent");
    receiver.wait_for_recipient("b@example.org");
    let events = relay
        .server
        .relais(&["--json", "trace", "event:message.accepted"]);
    let events = events.expect(0).json_lines();
    assert_eq!(events[0]["inbound_connector"], "Scanner");
    assert_eq!(events[0]["client"]["certificate"], *fingerprint);
    let refused = send(&relay, &other);
    assert!(refused.contains("(CERT-UNTRUSTED"), "{refused}");
}

#[test]
fn of_a_certificate_that_a_known_authority_issued_the_name_is_offered_too() {
    let receiver = Receiver::start();
    let relay = Encrypted::start("", receiver.address());
    let mut browser = first(&relay.server, "fr");
    let wanted = Wanted::client("DNS:lyon.scan.contoso.test");
    let device = relay.authority.issue("client", &wanted);
    let identify = begun(&mut browser);
    let wait = [("name", "Lyon"), ("identified_by", "any"), ("go", "wait")];
    let waiting = location(&post(&mut browser, &identify, &wait).expect(303));
    send(&relay, &device);
    let page = browser.get(&waiting).expect(200);
    page.shows("D’une autorité reconnue ici");
    page.shows("CN=ca");
    let take = [("fingerprint", &*page.field("fingerprint")), ("by", "name")];
    post(&mut browser, &waiting, &take).expect(303);
    let page = browser.get(&identify).expect(200);
    let name = page.field("tls_sender_certificate_name");
    assert_eq!(name, "lyon.scan.contoso.test");
    save(
        &mut browser,
        &identify,
        &[("name", "Lyon"), ("tls_sender_certificate_name", &name)],
    );
    let renewed = relay.authority.issue("renewed", &wanted);
    assert_eq!(send(&relay, &renewed), "sent");
}

#[test]
fn a_pasted_certificate_is_shown_and_filled_in_and_what_is_none_is_told() {
    let receiver = Receiver::start();
    let relay = Encrypted::start("", receiver.address());
    let mut browser = first(&relay.server, "en");
    let device = self_signed(&relay.server, "panel");
    let pem = fs::read_to_string(&device.certificate).expect("a file");
    let identify = begun(&mut browser);
    let paste = |pem| {
        [
            ("name", "Panel"),
            ("identified_by", "any"),
            ("certificate_pem", pem),
            ("go", "certificate"),
        ]
    };
    let page = post(&mut browser, &identify, &paste("hello")).expect(200);
    page.shows("This certificate was not understood");
    page.shows("value=\"Panel\"");
    let page = post(&mut browser, &identify, &paste(&pem)).expect(200);
    page.shows("CN=panel");
    page.shows("valid until");
    let shown = browser.get(&identify).expect(200).body;
    let field = "name=\"tls_sender_certificate_fingerprints\"";
    let field = shown.split(field).nth(1).expect("the field");
    let fingerprint = field.split(['>', '<']).nth(1).expect("its text").trim();
    assert_eq!(fingerprint.len(), 64, "{fingerprint}");
    let known = [
        ("name", "Panel"),
        ("tls_sender_certificate_fingerprints", fingerprint),
    ];
    save(&mut browser, &identify, &known);
    assert_eq!(send(&relay, &device), "sent");
}

#[test]
fn who_listens_to_a_device_of_old_tls_is_told_what_it_needs() {
    let relay = Encrypted::start(BY_ADDRESS, nowhere());
    let browser = first(&relay.server, "en");
    let base = "/connectors/inbound/contoso/Loopback";
    let listen = format!("{base}/listen");
    browser.get(&listen).expect(200).shows("Press Scan now");
    let mut events = Events::of(&relay.server, &browser, &format!("{base}/events"));
    let old = "-starttls smtp -tls1_1 -cipher ALL@SECLEVEL=0";
    let answer = relay.s_client(relay.starttls.port(), old, "");
    assert_ne!(answer.code, 0, "{answer:?}");
    let page = events.until(&browser, &listen, "The device knows old TLS only.");
    page.shows("the client offers TLS 1.1 at most (TLS-OLD ");
    page.shows("[legacy_listener]");
    page.shows("source_addresses = [&#34;127.0.0.1/32&#34;]");
}
