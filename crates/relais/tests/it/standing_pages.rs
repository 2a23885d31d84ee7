//! How ways out and certificates stand, as pages tell it, by the real binary: how much of a
//! provider's limits is used, what failed last, which certificates there are and when they end.

use serde_json::Value;

use crate::authority::Wanted;
use crate::client_certificates::SEND;
use crate::first_run::await_page;
use crate::receiver::Receiver;
use crate::support::{CONTOSO, Server};
use crate::tls::Encrypted;
use crate::web::{Browser, PASSWORD, first};

/// A provider with limits.
fn with_provider(receiver: &Receiver) -> String {
    CONTOSO
        .replace("127.0.0.1:9", &receiver.address().to_string())
        .replace("\"Nowhere\"", "\"Provider\"")
        + "pace = { connections = 3, messages_per_minute = 600, recipients_per_day = 100 }\n"
}

#[test]
fn a_way_out_tells_how_much_of_its_limits_is_used_and_what_failed_last() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&with_provider(&receiver));
    let page = "/connectors/outbound/contoso/Provider";
    let browser = first(&server, "en");
    let untouched = browser.get(page).expect(200);
    untouched.shows("Messages in the last minute: 0 of 600");
    untouched.shows("Recipients in 24 hours: 0 of 100");
    untouched.shows("Connections at a time: 3 at most");
    untouched.shows("none in 7 days");
    untouched.shows("No mail has left by it in 30 days.");

    server.send("scan@contoso.test", "b@example.org");
    await_page(&browser, page, "Messages in the last minute: 1 of 600");
    server.send("scan@contoso.test", "nobody@example.org");
    // Its notice leaves by the same way.
    let used = await_page(
        &browser,
        page,
        "Delivered 2, waiting 0, failed 1 in 30 days.",
    );
    used.shows("A delivery failed for good.");
    used.shows("550 5.1.1");
    used.shows("GET /api/v1/connectors/outbound/standing?organisation=contoso&#38;name=Provider");
    let file = browser.get(&format!("{page}/days.csv")).expect(200).body;
    assert_eq!(file.lines().count(), 31, "{file}");
    assert!(file.ends_with(",2,0,1\r\n"), "{file}");
    // The day's recipients outlive the server.
    let (_, place) = server.stop();
    let server = place.serve();
    let mut browser = Browser::new(&server, "fr");
    browser.sign_in("anna", PASSWORD).expect(303);
    let list = browser.get("/connectors/outbound").expect(200);
    list.shows("Destinataires en 24 heures\u{202f}: 3 sur 100");
    list.shows("<meter min=\"0\" max=\"100\" high=\"79\" optimum=\"0\" value=\"3\"");
    list.shows("Une remise a échoué définitivement.");
    list.shows("sans identification");
    let reports = browser.get("/reports").expect(200);
    reports.shows("Destinataires en 24 heures\u{202f}: 3 sur 100");
}

#[test]
fn certificates_of_clients_and_of_listeners_are_listed_with_their_end() {
    let connectors = "[[organisation.inbound_connector]]\nname = \"Scanners\"\n\
                      tls_sender_certificate_name = \"*.scan.contoso.test\"\n\
                      [[organisation.inbound_connector]]\nname = \"Cameras\"\n\
                      tls_sender_certificate_name = \"camera.contoso.test\"\n";
    let receiver = Receiver::start();
    let relay = Encrypted::start(connectors, receiver.address());
    let wanted = Wanted::client("DNS:lyon.scan.contoso.test");
    let client = relay.authority.issue("client", &wanted);
    let said = relay.python(
        Some(&client),
        &format!("{SEND}print(send(connect(None)))\n"),
    );
    assert_eq!(said, ["sent"]);

    let browser = first(&relay.server, "en");
    let page = browser.get("/certificates").expect(200);
    page.shows("lyon.scan.contoso.test");
    page.shows("From an authority that is trusted here");
    page.shows("<a href=\"/connectors/inbound/contoso/Scanners\">Scanners</a>");
    page.shows("camera.contoso.test");
    page.shows("Named by the connector, not shown since the start");
    assert!(!page.body.contains("<bdi>*.scan"), "it was shown");
    page.shows("<a href=\"/credentials\">Accounts</a>");
    let found = browser.get("/certificates.json?q=lyon").expect(200).body;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["state"], "trusted");

    let page = browser.get("/listeners").expect(200);
    page.shows(&relay.starttls.to_string());
    page.shows(&relay.implicit.to_string());
    page.shows("a file");
    page.shows(&relay.own.certificate.display().to_string());
    page.shows("relay.contoso.test");
    browser
        .get("/")
        .expect(200)
        .shows("Next to expire: the certificate of ");
    let file = browser.get("/listeners.csv").expect(200).body;
    assert_eq!(file.lines().count(), 3, "{file}");
}
