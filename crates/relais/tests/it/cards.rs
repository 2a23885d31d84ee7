//! Device cards that somebody has: given a code for some days, sent by mail, printed with a
//! password that was made just now, revoked; and what ends with their connector.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::receiver::Receiver;
use crate::support::{CONTOSO, Place, Server};
use crate::web::{Browser, audit, first, location, post, post_and_follow};

const CARD: &str = "/connectors/inbound/contoso/Printers/card";

/// One connector, and mail that leaves to the receiver.
fn server(receiver: &Receiver) -> Server {
    let server = Place::new("").serve();
    server.apply(&settings(receiver)).expect(0);
    server
}

fn settings(receiver: &Receiver) -> String {
    CONTOSO.replace("127.0.0.1:9", &receiver.address().to_string())
}

/// The token in the address of the page that shows a card with its code.
fn token_of(page: &str) -> String {
    let (_, path) = page.split_once("/wait/").expect("a link");
    path.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// The parts of a message in base64, one after the other.
fn decoded(message: &str) -> String {
    let parts = message.split("Content-Transfer-Encoding: base64").skip(1);
    let read = |part: &str| {
        let (_, body) = part.split_once("\r\n\r\n")?;
        let lines = body
            .split("\r\n")
            .take_while(|line| !line.starts_with("--"));
        let octets = STANDARD.decode(lines.collect::<String>()).ok()?;
        Some(String::from_utf8_lossy(&octets).into_owned())
    };
    parts.filter_map(read).collect()
}

#[test]
fn a_password_is_on_a_card_only_when_it_was_made_just_now_and_ends_with_the_card() {
    let receiver = Receiver::start();
    let server = server(&receiver);
    let mut browser = first(&server, "en");
    let user = [("user", "scan-1"), ("connector", "contoso/Printers")];
    let made = post(&mut browser, "/credentials", &user).expect(200);
    made.shows("Print it on a device card");
    made.shows(&format!("action=\"{CARD}/password\""));
    let password = made.field("password");
    assert_eq!(password.len(), 20, "{password}");
    browser.get(CARD).expect(200).shows("given separately");

    let path = format!("{CARD}/password");
    let print = |password| [("user", "scan-1"), ("password", password), ("lang", "fr")];
    post(&mut browser, &path, &print("another-password")).expect(403);
    post(
        &mut browser,
        &path,
        &[("user", "nobody"), ("password", &password)],
    )
    .expect(404);
    let card = post(&mut browser, &path, &print(&password)).expect(200);
    assert_eq!(card.header("content-type"), Some("application/pdf"));
    assert_eq!(card.header("cache-control"), Some("no-store"));
    card.shows(&format!("({password})"));
    browser.get(CARD).expect(200).shows("given separately");

    let all = audit(&server);
    let told = all.iter().find(|one| one["act"] == "card.password-printed");
    let told = told.expect("it is written down").to_string();
    assert!(told.contains("with the password of scan-1"), "{told}");
    let page = browser.get(CARD).expect(200);
    page.shows("With the password of scan-1.");
    // Nowhere in the data folder, in no form.
    for entry in std::fs::read_dir(server.place.data_dir()).expect("the folder") {
        let Ok(octets) = std::fs::read(entry.expect("an entry").path()) else {
            continue;
        };
        let text = String::from_utf8_lossy(&octets);
        assert!(!text.contains(&password), "it is kept");
    }

    let (_, rest) = page
        .body
        .split_once("name=\"card\" value=\"")
        .expect("a card");
    let (id, _) = rest.split_once('"').expect("its name");
    let revoked = post_and_follow(&mut browser, &format!("{CARD}/revoke"), &[("card", id)]);
    revoked.shows("The card is revoked");
    assert!(!revoked.body.contains("With the password of"), "it is gone");
    let listed = server.relais(&["--json", "credential", "list"]).expect(0);
    let one = &listed.json_lines()[0];
    assert_eq!(
        (&one["user"], &one["has_password"]),
        (&"scan-1".into(), &false.into())
    );
    post(&mut browser, &path, &print(&password)).expect(403);
}

#[test]
fn a_card_is_sent_by_mail_in_its_language_with_a_link_and_never_with_a_password() {
    let receiver = Receiver::start();
    let server = server(&receiver);
    let mut browser = first(&server, "en");
    let path = format!("{CARD}/send");
    let fields = [
        ("to", "tom@example.org"),
        ("lang", "fr"),
        ("maker", "Epson"),
        ("days", "3"),
        ("user", "scan-1"),
    ];
    let page = post_and_follow(&mut browser, &path, &fields);
    page.shows("The card is on its way to tom@example.org.");
    page.shows("Sent to tom@example.org.");
    let arrived = receiver.wait_for_recipient("tom@example.org");
    assert!(
        arrived.from.starts_with("<it@contoso.test>"),
        "{}",
        arrived.from
    );
    let message = arrived.text();
    assert!(
        message.contains("Content-Type: application/pdf"),
        "{message}"
    );
    assert!(message.contains("fiche-de-reglage.pdf"), "{message}");
    let parts = decoded(&message);
    for words in [
        "Voici ce qu’il faut saisir",
        "<td><strong>relay.contoso.test</strong></td>",
        "remis séparément",
        "%PDF-",
    ] {
        assert!(parts.contains(words), "{words}: {parts}");
    }
    let token = token_of(&parts);
    let stranger = Browser::new(&server, "fr");
    stranger.get(&format!("/wait/{token}")).expect(303);
    let all = audit(&server);
    let told = all.iter().find(|one| one["act"] == "card.sent");
    let told = told.expect("it is written down").to_string();
    assert!(told.contains("sent to tom@example.org"), "{told}");

    post(&mut browser, &path, &[("to", "no address")]).expect(400);
    let many = [("to", "tom@example.org"), ("days", "31")];
    post(&mut browser, &path, &many).expect(400);
    // By the command line too; what is sent has no password, whatever is asked for.
    let sent = [
        "card",
        "Printers",
        "--lang",
        "en",
        "--send",
        "ann@example.org",
    ];
    let sent = server.relais(&sent).expect(0).out;
    assert!(sent.contains("on its way to ann@example.org"), "{sent}");
    let arrived = receiver.wait_for_recipient("ann@example.org").text();
    assert!(decoded(&arrived).contains("given separately"), "{arrived}");
}

#[test]
fn the_code_of_a_removed_connector_leads_nowhere_whoever_takes_its_name() {
    let receiver = Receiver::start();
    let server = server(&receiver);
    let mut browser = first(&server, "en");
    let made = post(&mut browser, CARD, &[("days", "30")]).expect(303);
    let token = token_of(&browser.get(&location(&made)).expect(200).body);
    let stranger = Browser::new(&server, "en");
    let wait = format!("/wait/{token}");
    stranger.get(&wait).expect(303);
    let whole = settings(&receiver);
    let (begin, rest) = whole
        .split_once("[[organisation.inbound_connector]]")
        .expect("a connector");
    let (_, end) = rest
        .split_once("[[organisation.outbound_connector]]")
        .expect("another");
    let without = format!("{begin}[[organisation.outbound_connector]]{end}");
    let file = server.place.path("without.toml");
    std::fs::write(&file, without).expect("written");
    let file = file.to_str().expect("UTF-8");
    server.relais(&["apply", "-f", file, "--prune"]).expect(0);
    stranger.get(&wait).expect(410);
    server.apply(&whole).expect(0);
    stranger.get(&wait).expect(410);
    let page = browser.get(CARD).expect(200);
    assert!(
        !page.body.contains("Cards that somebody has"),
        "{}",
        page.body
    );
}

#[test]
fn a_card_is_a_picture_too() {
    let server = Server::with_settings(CONTOSO);
    let browser = first(&server, "fr");
    let picture = browser.get(&format!("{CARD}.png?maker=Canon")).expect(200);
    assert_eq!(picture.header("content-type"), Some("image/png"));
    let file = server.place.path("card.png");
    let target = file.to_str().expect("UTF-8");
    let card = ["card", "Printers", "--format", "png", "--output", target];
    server.relais(&card).expect(0);
    let octets = std::fs::read(&file).expect("a file");
    assert!(octets.starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn a_card_asks_for_the_encryption_that_the_listener_at_its_port_has() {
    let more = "[[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"starttls\"\n\
                [[listener]]\naddress = \"127.0.0.1:0\"\ntls = \"implicit\"\n";
    let server = Place::new(more).serve();
    server.apply(CONTOSO).expect(0);
    // The first is in clear; of another port, which a machine before us may have, nothing is known.
    let [clear, starttls, implicit] = [0, 1, 2].map(|one| server.listener(one).port().to_string());
    for (port, asked) in [
        (&*clear, "off"),
        (&*starttls, "STARTTLS"),
        (&*implicit, "SSL/TLS"),
        ("465", "SSL/TLS"),
        ("26", "STARTTLS"),
    ] {
        let card = server.relais(&["card", "Printers", "--lang", "en", "--port", port]);
        let card = card.expect(0).out;
        let mut lines = card.lines();
        let line = lines
            .find(|line| line.contains("Encryption"))
            .expect("a line");
        assert!(line.trim_end().ends_with(asked), "{port}: {line}");
    }
}
