//! The listener for old devices, as one of 2008 meets it: TLS 1.0, key exchange by RSA, a CBC
//! suite. Only for those that are named, only until its day.

use std::fs;
use std::net::SocketAddr;

use crate::authority::openssl_with;
use crate::support::{Answer, CONTOSO, Place, Server, Session};

/// The second listener is the one for old devices.
fn serve(sources: &str, expires: &str) -> (Server, SocketAddr) {
    let place = Place::new(&format!(
        "[legacy_listener]\naddress = \"127.0.0.1:0\"\nsource_addresses = [\"{sources}\"]\n\
         expires = \"{expires}\"\n"
    ));
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    let address = server.listener(1);
    (server, address)
}

/// A client that offers nothing newer, and nothing better.
fn old_device(address: SocketAddr, input: &str) -> Answer {
    openssl_with(
        &format!(
            "s_client -connect {address} -starttls smtp -crlf -ign_eof \
             -tls1 -cipher AES128-SHA:@SECLEVEL=0"
        ),
        input,
    )
}

#[test]
fn an_old_device_sends_over_tls_1_0_with_rsa_and_cbc_and_the_trace_says_so() {
    let (server, address) = serve("127.0.0.0/8", "2099-12-31");
    let said = old_device(
        address,
        "EHLO old-printer\nMAIL FROM:<scan@contoso.test>\nRCPT TO:<b@example.org>\nDATA\n\
         From: scan@contoso.test\nSubject: old\n\nhello\n.\nQUIT\n",
    );
    assert!(said.out.contains("250 2.0.0 Queued as "), "{said:?}");
    let trace = server
        .relais(&["--json", "trace", "event:message.accepted"])
        .expect(0);
    let accepted = &trace.json_lines()[0];
    assert_eq!(accepted["tls"]["version"], "1.0", "{accepted}");
    assert_eq!(
        accepted["tls"]["cipher"], "TLS_RSA_WITH_AES_128_CBC_SHA",
        "{accepted}"
    );
    // What the week's list will name is kept over a restart.
    let (status, place) = server.stop();
    assert!(status.success(), "{status}");
    let kept = place.data_dir().join("tls/old-clients.json");
    let kept = fs::read_to_string(kept).expect("kept");
    assert!(
        kept.contains("\"127.0.0.1\"") && kept.contains("\"1.0\""),
        "{kept}"
    );
}

#[test]
fn the_other_listeners_do_not_speak_it() {
    let place = Place::new(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n\
         [legacy_listener]\naddress = \"127.0.0.1:0\"\nsource_addresses = [\"127.0.0.1\"]\n\
         expires = \"2099-12-31\"\n",
    );
    let server = place.serve();
    let said = old_device(server.listener(1), "QUIT\n");
    assert!(said.out.contains("Cipher is (NONE)"), "{said:?}");
    let said = old_device(server.listener(2), "QUIT\n");
    assert!(said.out.contains("Cipher is AES128-SHA"), "{said:?}");
    let attempts = server.relais(&["--json", "attempts", "list"]).expect(0);
    assert!(attempts.out.contains("TLS-OLD"), "{attempts:?}");
}

#[test]
fn a_device_that_is_not_named_is_turned_away() {
    let (_server, address) = serve("10.1.2.0/24", "2099-12-31");
    let banner = Session::connect(address).hear();
    let expected = "554 5.7.1 Not allowed on this listener: 127.0.0.1 (LISTENER-SRC ";
    assert!(banner.starts_with(expected), "{banner}");
}

#[test]
fn from_its_day_on_the_listener_turns_everybody_away() {
    let (_server, address) = serve("127.0.0.0/8", "2026-01-01");
    let banner = Session::connect(address).hear();
    let expected = "554 5.7.1 Listener for old TLS expired: 2026-01-01 (LISTENER-EXPIRED ";
    assert!(banner.starts_with(expected), "{banner}");
}

#[test]
fn a_listener_for_old_devices_that_names_nobody_is_a_mistake() {
    for sources in ["", "source_addresses = []\n"] {
        let place = Place::new(&format!(
            "[legacy_listener]\naddress = \"127.0.0.1:0\"\n{sources}expires = \"2099-12-31\"\n"
        ));
        let answer = place.relais(&["serve"]).expect(1);
        assert!(answer.err.contains("source_addresses"), "{answer:?}");
    }
}
