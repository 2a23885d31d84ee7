//! The listener for old devices, as one of 2008 meets it: TLS 1.0, key exchange by RSA, a CBC
//! suite. Only for those that are named, in the file or by one click, only until its day.

use std::fs;
use std::net::SocketAddr;

use crate::authority::openssl_with;
use crate::support::{Answer, CONTOSO, Place, Server, Session};
use crate::web::{Browser, Page, audit, first, post, post_and_follow};
use crate::wizard::Events;

/// The connector of the device.
const PRINTERS: &str = "/connectors/inbound/contoso/Printers";
const LETTER: &str = "EHLO old-printer\nMAIL FROM:<scan@contoso.test>\nRCPT TO:<b@example.org>\n\
                      DATA\nFrom: scan@contoso.test\nSubject: old\n\nhello\n.\nQUIT\n";

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
    let said = old_device(address, LETTER);
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

/// What the page that listens shows once the device has tried.
fn listened(server: &Server, browser: &Browser<'_>, text: &str, attempt: impl FnOnce()) -> Page {
    let listen = format!("{PRINTERS}/listen");
    browser.get(&listen).expect(200);
    let mut events = Events::of(server, browser, &format!("{PRINTERS}/events"));
    attempt();
    events.until(browser, &listen, text)
}

fn press(browser: &mut Browser<'_>, page: &Page) -> Page {
    let (token, day) = (page.field("token"), page.field("value"));
    let fields = [
        ("remedy", "old-tls"),
        ("value", &*day),
        ("token", &*token),
        ("client", "127.0.0.1"),
    ];
    post_and_follow(browser, &format!("{PRINTERS}/remedy"), &fields).expect(200)
}

#[test]
fn one_click_lets_a_device_in_that_was_turned_away_and_taking_it_back_ends_it_at_once() {
    let (server, address) = serve("10.9.9.0/24", "2099-12-31");
    let mut browser = first(&server, "en");
    let turned_away = || {
        let banner = Session::connect(address).hear();
        let expected = "554 5.7.1 Not allowed on this listener: 127.0.0.1 (LISTENER-SRC ";
        assert!(banner.starts_with(expected), "{banner}");
    };
    let offer = "Allow on the listener for old devices until ";
    let page = listened(&server, &browser, offer, turned_away);
    page.shows("Anybody on the way can break that encryption");
    let day = page.field("value");
    let page = press(&mut browser, &page);
    page.shows(&format!(
        "Old TLS is allowed for its devices until {day}: give the device the address and port \
         {address}."
    ));
    let told = serde_json::to_string(&audit(&server)).expect("JSON");
    assert!(told.contains("legacy_tls_until"), "{told}");

    let said = old_device(address, LETTER);
    assert!(said.out.contains("250 2.0.0 Queued as "), "{said:?}");
    let trace = server.relais(&["--json", "trace", "event:message.accepted"]);
    let accepted = &trace.expect(0).json_lines()[0];
    assert_eq!(accepted["tls"]["version"], "1.0", "{accepted}");
    assert_eq!(accepted["inbound_connector"], "Printers", "{accepted}");

    let set = ["connector", "inbound", "set", "Printers"];
    server
        .relais(&[&set[..], &["--legacy-tls-until", ""]].concat())
        .expect(0);
    turned_away();
    let far = server.relais(&[&set[..], &["--legacy-tls-until", "2099-01-01"]].concat());
    assert!(far.err.contains("is more than two years ahead"), "{far:?}");
}

#[test]
fn after_its_day_a_connector_allows_old_tls_no_more_and_its_page_can_set_another_day() {
    let (server, address) = serve("10.9.9.0/24", "2099-12-31");
    let day = "legacy_tls_until = \"2026-01-01\"\npreset";
    server.apply(&CONTOSO.replace("preset", day)).expect(0);
    let mut browser = first(&server, "fr");
    let turned_away = || {
        let banner = Session::connect(address).hear();
        let expected = "554 5.7.1 Old TLS was allowed here until: 2026-01-01 \
                        (LISTENER-DAY ";
        assert!(banner.starts_with(expected), "{banner}");
    };
    let offer = "Autoriser sur le port d’écoute des anciens appareils jusqu’au ";
    let page = listened(&server, &browser, offer, turned_away);
    page.shows("Le connecteur de cet appareil autorisait l’ancien TLS jusqu’à une date");
    let later = page.field("value");

    let edit = format!("{PRINTERS}/edit/security");
    let page = browser.get(&edit).expect(200);
    page.shows("value=\"2026-01-01\"");
    page.shows("N’importe qui sur le chemin peut casser ce chiffrement");
    page.shows(&address.to_string());
    let revision = page.field("revision");
    let with = |day| {
        [
            ("revision", revision.clone()),
            ("tls", "offered".to_owned()),
            ("content_on_fault", "refuse".to_owned()),
            ("content_on_finding", "refuse".to_owned()),
            ("legacy_tls", "yes".to_owned()),
            ("legacy_tls_until", day),
        ]
    };
    let mut save = |day: &str| {
        let fields = with(day.to_owned());
        let fields: Vec<_> = fields.iter().map(|(name, it)| (*name, &**it)).collect();
        post(&mut browser, &edit, &fields)
    };
    save("bientôt").expect(200).shows("n’est pas une date");
    save(&later).expect(303);
    let banner = Session::connect(address).hear();
    assert!(banner.starts_with("220 "), "{banner}");
}

#[test]
fn a_device_of_old_tls_at_another_listener_is_led_to_the_one_for_it() {
    let place = Place::new(
        "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n\
         [legacy_listener]\naddress = \"127.0.0.1:0\"\nsource_addresses = [\"10.9.9.9\"]\n\
         expires = \"2099-12-31\"\n",
    );
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    let (other, own) = (server.listener(1), server.listener(2));
    let mut browser = first(&server, "en");
    let tried = || {
        old_device(other, "QUIT\n");
    };
    let page = listened(&server, &browser, "The device knows old TLS only.", tried);
    page.shows("Allow on the listener for old devices until ");
    press(&mut browser, &page);
    let page = listened(&server, &browser, "It is allowed there already", tried);
    page.shows(&format!("give the device the address and port {own}."));
    let said = old_device(own, LETTER);
    assert!(said.out.contains("250 2.0.0 Queued as "), "{said:?}");
}
