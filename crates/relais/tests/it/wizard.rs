//! Adding and changing inbound connectors in the admin centre, with real devices beside it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::first_run::await_page;
use crate::support::{BEHIND_PROXY, CONTOSO, PATIENCE, Place, Server, Session};
use crate::web::{Browser, PASSWORD, Page, audit, first, location, post, post_and_follow};

/// *Printers* has 10.1.2.0/24.
fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&devices).expect(0);
    server
}

#[track_caller]
fn greeted(server: &Server, client: &str, helo: &str) -> Session {
    let mut session = server.session_from(client);
    session.hear();
    session.say(&format!("EHLO {helo}"));
    session
}

/// The page's stream of server-sent events.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    pub(crate) fn of(server: &Server, browser: &Browser<'_>, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.admin).expect("the listener answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
            server.admin, browser.cookie
        )
        .expect("written");
        Self(BufReader::new(stream))
    }

    /// Looks at the page each time that something is new, until it shows this.
    #[track_caller]
    pub(crate) fn until(&mut self, browser: &Browser<'_>, path: &str, text: &str) -> Page {
        let mut page = browser.get(path).expect(200);
        while !page.body.contains(text) {
            let mut line = String::new();
            while !line.starts_with("data: new") {
                line.clear();
                let read = self.0.read_line(&mut line);
                assert!(
                    read.is_ok_and(|octets| octets > 0),
                    "no {text} in {}",
                    page.body
                );
            }
            page = browser.get(path).expect(200);
        }
        page
    }
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&#39;", "'").replace("&#34;", "\"");
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

#[test]
fn a_device_is_added_step_by_step_and_its_scan_is_heard() {
    let server = server();
    let mut browser = first(&server, "en");
    let begun = post(&mut browser, "/add-device", &[("kind", "printer")]).expect(303);
    let identify = location(&begun);
    let id = identify.split('/').nth(2).expect("an id").to_owned();
    let step = |name: &str| format!("/add-device/{id}/{name}");

    let wrong = [
        ("name", "Copier"),
        ("sender_ip_addresses", "10.1.2.300"),
        ("go", "next"),
    ];
    let page = post(&mut browser, &identify, &wrong).expect(200);
    page.shows("“10.1.2.300” is no address");
    page.shows("value=\"Copier\"");
    let right = |go| {
        [
            ("name", "Copier"),
            ("sender_ip_addresses", "10.1.2.9"),
            ("identified_by", "any"),
            ("go", go),
        ]
    };
    let page = post_and_follow(&mut browser, &identify, &right("check"));
    page.shows("Printers covers 10.1.2.9/32 by 10.1.2.0/24");
    page.shows("10.1.2.9 has not been seen");
    let next = post(&mut browser, &identify, &right("next")).expect(303);
    assert_eq!(location(&next), step("senders"));
    let senders = [
        ("senders", "list"),
        ("sender_domains", "contoso.test"),
        ("envelope_sender", "signed"),
        ("preset", "tolerant"),
        ("replace_local", "1"),
        ("sender_replacement", "scan@contoso.test"),
        ("accept_null_sender", "1"),
    ];
    let page = post_and_follow(
        &mut browser,
        &step("senders"),
        &[&senders[..], &[("go", "check")]].concat(),
    );
    page.shows("contoso.test was verified by hand");
    post(
        &mut browser,
        &step("senders"),
        &[&senders[..], &[("go", "next")]].concat(),
    )
    .expect(303);

    // A restart of the server and another browser lose nothing.
    let (_, place) = server.stop();
    let server = place.serve();
    let mut browser = Browser::new(&server, "en");
    browser.sign_in("anna", PASSWORD).expect(303);
    let limits = [
        ("recipients", "own"),
        ("message_size_max", "20 MiB"),
        ("recipients_per_message", "20"),
        ("sending_hours", "00:00-24:00 Europe/Paris"),
        ("go", "next"),
    ];
    post(&mut browser, &step("recipients"), &limits).expect(303);
    post(
        &mut browser,
        &step("security"),
        &[("tls", "offered"), ("go", "next")],
    )
    .expect(303);
    browser
        .get(&step("delivery"))
        .expect(200)
        .shows("Mail leaves by Nowhere");
    let delivery = [
        ("outbound_connector", "Nowhere"),
        ("archive_address", "it@contoso.test"),
        ("go", "next"),
    ];
    post(&mut browser, &step("delivery"), &delivery).expect(303);
    let page = browser.get(&step("review")).expect(200);
    page.shows("*.local and the like become scan@contoso.test.");
    page.shows("It may send 00:00-24:00 Europe/Paris.");
    page.shows("Its mail leaves by Nowhere.");
    page.shows("A copy goes to it@contoso.test.");
    page.shows("&#34;archive_address&#34;: &#34;it@contoso.test&#34;");
    page.shows("Whoever comes from 10.1.2.9 may send as any address of contoso.test");
    page.shows("to your own domains.");
    let command = page.body.split("<code>relais ").last().expect("a command");
    let command = unescaped(command.split("</code>").next().expect("its end"));
    let state = [
        ("state", "observing"),
        ("test_recipients", "it@contoso.test"),
    ];
    let ask = [
        ("simulate_ip", "10.1.2.9"),
        ("simulate_from", "scan@contoso.test"),
        ("simulate_to", "b@example.org"),
        ("go", "simulate"),
    ];
    let asked = [&state[..], &ask].concat();
    let page = post_and_follow(&mut browser, &step("review"), &asked);
    page.shows("Refused: 550 5.7.1 Destination not allowed");
    let saved = post(
        &mut browser,
        &step("review"),
        &[&state[..], &[("go", "save")]].concat(),
    );
    let listen = location(&saved.expect(303));
    assert_eq!(listen, "/connectors/inbound/contoso/Copier/listen");
    // A step back, or the form once more, leads to the connector that it has become.
    for name in ["review", "identify"] {
        let back = browser.get(&step(name)).expect(303);
        assert_eq!(location(&back), "/connectors/inbound/contoso/Copier");
    }
    let again = [&state[..], &[("go", "save")]].concat();
    let again = post(&mut browser, &step("review"), &again).expect(303);
    assert_eq!(location(&again), "/connectors/inbound/contoso/Copier");
    made_by_command(&server, &command);
    heard(&server, &mut browser, &listen);
}

/// The command of the review makes the same connector.
#[track_caller]
fn made_by_command(server: &Server, command: &str) {
    let other = self::server();
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        match at % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(ToOwned::to_owned)),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    other.relais(&words).expect(0);
    let shown = |server: &Server| {
        let show = ["--json", "connector", "inbound", "show", "Copier"];
        server.relais(&show).expect(0).json()
    };
    assert_eq!(shown(&other), shown(server), "{command}");
}

/// A scan that is refused, the change that helps, and the scan that arrives.
#[track_caller]
fn heard(server: &Server, browser: &mut Browser<'_>, listen: &str) {
    let base = listen.trim_end_matches("/listen");
    browser.get(listen).expect(200).shows("Press Scan now");
    browser
        .get(base)
        .expect(200)
        .shows("Nothing received yet. Waiting…");
    let simulated = browser.get(&format!("{listen}?simulate=1")).expect(200);
    simulated.shows("nothing was sent: a message from 10.1.2.9, as scan@contoso.test, to it@");
    simulated.shows("Refused: 550 5.1.1 No such recipient");
    let mut events = Events::of(server, browser, &format!("{base}/events"));
    let mut device = greeted(server, "10.1.2.9", "scan2");
    device.say("MAIL FROM:<scan@contoso.test>");
    let refused = device.say("RCPT TO:<anna@contoso.test>");
    assert!(refused.contains("(SANDBOX "), "{refused}");
    device.say("QUIT");
    let page = events.until(
        browser,
        listen,
        "Let test mail to anna@contoso.test through",
    );
    page.shows("Refused: 10.1.2.9.");
    page.shows("EHLO scan2");
    let offer = |wish: &str| {
        let (_, form) = page
            .body
            .split_once("<form class=\"acts\" action=\"/connectors")
            .expect("one");
        assert!(form.contains(wish), "{form}");
    };
    offer("test-recipient");
    let enable = [
        ("remedy", "enable"),
        ("value", ""),
        ("token", "SANDBOX"),
        ("from", "scan@contoso.test"),
        ("to", "anna@contoso.test"),
        ("client", "10.1.2.9"),
    ];
    // Nothing is done that was not offered for that refusal.
    let other = [
        ("remedy", "tolerant"),
        enable[1],
        enable[2],
        enable[3],
        enable[4],
        enable[5],
    ];
    post(browser, &format!("{base}/remedy"), &other).expect(404);
    let changed = post(browser, &format!("{base}/remedy"), &enable).expect(303);
    browser
        .get(&location(&changed))
        .expect(200)
        .shows("Press Scan again");
    let mut device = greeted(server, "10.1.2.9", "scan2");
    device.say("MAIL FROM:<scan@contoso.test>");
    device.say("RCPT TO:<anna@contoso.test>");
    device.say("DATA");
    let taken = device.say("From: scan@contoso.test\r\n\r\nconfidential\r\n.");
    let id = taken.rsplit(' ').next().expect("an id").to_owned();
    let page = events.until(browser, listen, "Received from 10.1.2.9.");
    page.shows(&format!("/trace/{id}"));
    assert!(!page.body.contains("confidential"), "{}", page.body);
    await_page(browser, base, "Accepted 1, refused 1.").shows("Last message");
}

#[test]
fn a_refused_printer_is_adopted_in_two_clicks() {
    let server = server();
    let mut browser = first(&server, "fr");
    let mut device = greeted(&server, "10.1.3.7", "numeriseur");
    device.say("MAIL FROM:<scan@contoso.test>");
    let refused = device.say("RCPT TO:<b@example.org>");
    assert!(refused.contains("(SRC-UNKNOWN "), "{refused}");
    let mut events = Events::of(&server, &browser, "/attempts/events");
    let page = events.until(&browser, "/attempts", "10.1.3.7");
    // The first steps show who knocks too, where it is said who may send.
    let knocked = browser.get("/setup/senders").expect(200);
    knocked.shows("<bdi>10.1.3.7</bdi>");
    assert_eq!(knocked.field("attempt"), page.field("attempt"));
    let begun = post(
        &mut browser,
        "/add-device",
        &[("attempt", &page.field("attempt"))],
    );
    let review = location(&begun.expect(303));
    browser
        .get(&review)
        .expect(200)
        .shows("Quiconque vient de 10.1.3.7 peut envoyer");
    let save = [
        ("state", "enabled"),
        ("test_recipients", ""),
        ("go", "save"),
    ];
    let saved = post(&mut browser, &review, &save).expect(303);
    browser
        .get(&location(&saved))
        .expect(200)
        .shows("numeriseur");
    let mut device = greeted(&server, "10.1.3.7", "numeriseur");
    device.say("MAIL FROM:<scan@contoso.test>");
    let taken = device.say("RCPT TO:<b@example.org>");
    assert!(taken.starts_with("250 "), "{taken}");
    let all = audit(&server);
    let made = all
        .iter()
        .find(|one| one["act"] == "settings.changed")
        .expect("told");
    assert_eq!(made["actor"], "anna (web)");
    assert!(
        made["detail"]
            .to_string()
            .contains("inbound connector numeriseur"),
        "{made}"
    );
}

#[test]
fn nobody_overwrites_what_they_have_not_seen_and_a_connector_goes_by_its_typed_name() {
    let server = server();
    let mut browser = first(&server, "en");
    let base = "/connectors/inbound/contoso/Printers";
    let edit = format!("{base}/edit/security");
    let seen = browser.get(&edit).expect(200).field("revision");
    let set = [
        "connector",
        "inbound",
        "set",
        "Printers",
        "--recipient-domain",
        "own",
    ];
    server.relais(&set).expect(0);
    let wanted = [("revision", &*seen), ("tls", "required")];
    post(&mut browser, &edit, &wanted)
        .expect(200)
        .shows("Somebody changed this connector meanwhile");
    let shown = |server: &Server| {
        let show = ["--json", "connector", "inbound", "show", "Printers"];
        server.relais(&show).expect(0).json()
    };
    assert_eq!(shown(&server)["tls"], "offered");
    let seen = browser.get(&edit).expect(200).field("revision");
    let wanted = [("revision", &*seen), ("tls", "required")];
    let saved = post(&mut browser, &edit, &wanted).expect(303);
    let page = browser.get(&location(&saved)).expect(200);
    page.shows("Saved.");
    page.shows("tls (default) → &#34;required&#34;");
    assert_eq!(
        shown(&server)["recipient_domains"],
        serde_json::json!(["own"])
    );
    let off = [
        ("revision", &*page.field("revision")),
        ("state", "disabled"),
    ];
    post(&mut browser, &format!("{base}/state"), &off).expect(303);
    assert_eq!(shown(&server)["state"], "disabled");

    let remove = format!("{base}/remove");
    let seen = browser.get(&remove).expect(200).field("revision");
    let typed = |typed| [("revision", &*seen), ("typed", typed)];
    post(&mut browser, &remove, &typed("printers"))
        .expect(200)
        .shows("The name does not match. Nothing was removed.");
    post(&mut browser, &remove, &typed("Printers")).expect(303);
    browser.get(base).expect(404);
}

#[test]
fn what_the_wizard_asks_can_be_changed_later_and_tags_find_a_connector_again() {
    let server = server();
    let mut browser = first(&server, "en");
    let base = "/connectors/inbound/contoso/Printers";
    let change = |browser: &mut Browser<'_>, section: &str, fields: &[(&str, &str)]| {
        let edit = format!("{base}/edit/{section}");
        let seen = browser.get(&edit).expect(200).field("revision");
        post_and_follow(browser, &edit, &[&[("revision", &*seen)], fields].concat())
    };
    let identify = [
        ("sender_ip_addresses", "10.1.2.0/24"),
        ("identified_by", "any"),
        ("tags", "lyon floor-2"),
    ];
    change(&mut browser, "identify", &identify).shows("href=\"/connectors/inbound?tag=lyon\"");
    let senders = [
        ("senders", "one"),
        ("sender_replacement", "scan@contoso.test"),
        ("envelope_sender", "signed"),
    ];
    let page = change(&mut browser, "senders", &senders);
    page.shows("may send as scan@contoso.test, whatever it says");
    let delivery = [("outbound_connector", "Nowhere"), ("archive_address", "")];
    change(&mut browser, "delivery", &delivery).shows("Its mail leaves by Nowhere.");
    let found = browser.get("/connectors/inbound?tag=lyon").expect(200);
    found.shows("Printers");
    let none = browser.get("/connectors/inbound?tag=paris").expect(200);
    none.shows("Nothing fits this filter.");
    let mut device = greeted(&server, "10.1.2.9", "scan2");
    device.say("MAIL FROM:<root@nas.local>");
    device.say("RCPT TO:<b@example.org>");
    device.say("DATA");
    let taken = device.say("From: root@nas.local\r\n\r\nhello\r\n.");
    let id = taken.rsplit(' ').next().expect("an id").to_owned();
    let story = await_page(
        &browser,
        &format!("/trace/{id}"),
        "root@nas.local → scan@contoso.test",
    );
    story.shows("sender");
}

#[test]
fn the_password_of_an_application_is_shown_once_and_fits_on_every_panel() {
    let server = server();
    let mut browser = first(&server, "en");
    let begun = post(&mut browser, "/add-device", &[("kind", "application")]).expect(303);
    let identify = location(&begun);
    let review = identify.replace("identify", "review");
    let fields = [
        ("name", "ERP <b>Lyon</b> été"),
        ("credential", "1"),
        ("identified_by", "any"),
        ("go", "next"),
    ];
    post(&mut browser, &identify, &fields).expect(303);
    let page = browser.get(&review).expect(200);
    page.shows("Whoever signs in as erp-b-lyon-b-ete");
    assert!(!page.body.contains("<b>Lyon"), "{}", page.body);
    assert_eq!(page.field("simulate_user"), "erp-b-lyon-b-ete");
    let ask = [
        ("state", "enabled"),
        ("simulate_ip", "10.9.9.9"),
        ("simulate_user", "erp-b-lyon-b-ete"),
        ("simulate_tls", "1.3"),
        ("simulate_from", "erp@contoso.test"),
        ("simulate_to", "b@example.org"),
        ("go", "simulate"),
    ];
    let page = post_and_follow(&mut browser, &review, &ask);
    page.shows("leaves by Nowhere.");
    let save = [("state", "enabled"), ("go", "save")];
    let shown = location(&post(&mut browser, &review, &save).expect(303));
    let saved = browser.get(&shown).expect(200);
    // A step back, or a reload, makes nothing anew and shows nothing again.
    browser
        .get(&shown)
        .expect(404)
        .shows("The password was shown once");
    let (_, password) = saved.body.split_once("id=\"password\">").expect("shown");
    let password = password.split('<').next().expect("its end").to_owned();
    assert_eq!(password.len(), 20, "{password}");
    assert!(
        password.bytes().all(|one| one.is_ascii_alphanumeric()),
        "{password}"
    );
    let listed = server
        .relais(&["--json", "credential", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(listed[0]["user"], "erp-b-lyon-b-ete");
    let told = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(!told.contains(&password), "{told}");
}

#[test]
fn a_card_has_the_makers_words_where_they_are_verified_and_a_code_that_needs_no_login() {
    let server = server();
    let mut browser = first(&server, "en");
    let card = "/connectors/inbound/contoso/Printers/card";
    let plain = browser.get(card).expect(200);
    plain.shows("SMTP server</th><td><bdi>relay.contoso.test");
    plain.shows("scan@contoso.test");
    let epson = browser
        .get(&format!("{card}?maker=Epson&ip=10.1.0.5"))
        .expect(200);
    epson.shows("SMTP Server Address</th><td><bdi>relay.contoso.test (or 10.1.0.5)");
    epson.shows("Epson online guides");
    // French labels of Epson were seen by nobody, and none of Canon in any language.
    let french = browser
        .get(&format!("{card}?maker=Epson&lang=fr"))
        .expect(200);
    french.shows("<html lang=\"en\">");
    french.shows("Serveur SMTP</th>");
    browser
        .get(&format!("{card}?maker=Canon"))
        .expect(200)
        .shows("SMTP server</th>");
    let pdf = browser
        .get(&format!("{card}.pdf?maker=Epson&site=Lyon"))
        .expect(200);
    assert_eq!(pdf.header("content-type"), Some("application/pdf"));
    pdf.shows("(SMTP Server Address)");
    let hostile = browser.get(&format!("{card}?site=%3Cscript%3Ealert(1)%3C/script%3E"));
    assert!(!hostile.body.contains("<script>"), "{}", hostile.body);

    let made = post(&mut browser, card, &[("maker", "Epson"), ("lang", "fr")]).expect(303);
    let page = browser.get(&location(&made)).expect(200);
    page.shows("<svg viewBox");
    let (_, path) = page
        .body
        .split_once(&format!("http://{}/wait/", server.admin))
        .expect("a link");
    let token: String = path.chars().take_while(char::is_ascii_hexdigit).collect();
    let stranger = Browser::new(&server, "en");
    let wait = format!("/wait/{token}");
    // What was said before somebody opened the page is not theirs.
    let listened = "/connectors/inbound/contoso/Printers/listen";
    browser.get(listened).expect(200);
    let mut listening = Events::of(&server, &browser, &listened.replace("listen", "events"));
    greeted(&server, "10.1.2.9", "too-early").say("QUIT");
    listening.until(&browser, listened, "too-early");
    let opened = location(&stranger.get(&wait).expect(303));
    let page = stranger.get(&opened).expect(200);
    page.shows("Waiting for your device");
    page.shows("Shown here: what comes since");
    assert!(!page.body.contains("too-early"), "{}", page.body);
    let whole = stranger.get(&format!("{wait}?from=0")).expect(200).body;
    assert!(
        !whole.contains("too-early"),
        "whatever the address says: {whole}"
    );
    assert!(
        !page.body.contains("<form class=\"search\""),
        "{}",
        page.body
    );
    let mut events = Events::of(&server, &stranger, &format!("{wait}/events"));
    let mut other = greeted(&server, "10.1.3.7", "somebody-else");
    other.say("MAIL FROM:<scan@contoso.test>");
    other.say("RCPT TO:<b@example.org>");
    other.say("QUIT");
    let mut device = greeted(&server, "10.1.2.9", "scan2");
    device.say("MAIL FROM:<scan@fabrikam.test>");
    let page = events.until(&stranger, &opened, "Refused: 10.1.2.9.");
    page.shows("EHLO scan2");
    assert!(!page.body.contains("somebody-else"), "{}", page.body);
    assert!(!page.body.contains("/remedy"), "{}", page.body);
    let of_one = [("device", "10.1.2.77"), ("lang", "en")];
    let made = post(&mut browser, card, &of_one).expect(303);
    let page = browser.get(&location(&made)).expect(200);
    page.shows("what 10.1.2.77 says");
    let (_, path) = page.body.split_once("/wait/").expect("a link");
    let token: String = path.chars().take_while(char::is_ascii_hexdigit).collect();
    let opened = location(&stranger.get(&format!("/wait/{token}")).expect(303));
    let mut events = Events::of(&server, &stranger, &format!("/wait/{token}/events"));
    greeted(&server, "10.1.2.9", "another").say("QUIT");
    greeted(&server, "10.1.2.77", "its-own").say("QUIT");
    let page = events.until(&stranger, &opened, "its-own");
    assert!(
        !page.body.contains("10.1.2.9"),
        "another device: {}",
        page.body
    );
    post(&mut browser, card, &[("device", "somewhere")]).expect(422);
    stranger.get("/wait/0123456789abcdef").expect(410);
    stranger.get(card).expect(303);
    let all = audit(&server);
    let told = all
        .iter()
        .find(|one| one["act"] == "card.link-made")
        .expect("told");
    assert!(!told.to_string().contains(&token), "{told}");
}

#[test]
fn the_busiest_hour_stands_beside_the_limits_and_mail_leaves_by_the_chosen_connector() {
    let server = Place::new(BEHIND_PROXY).serve();
    let devices = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    let own = "[[organisation.outbound_connector]]\nname = \"Own\"\n\
               smart_hosts = [\"127.0.0.1:9\"]\ninbound_connectors = [\"Printers\"]\n";
    server.apply(&(devices + own)).expect(0);
    let mut device = greeted(&server, "10.1.2.9", "scan2");
    device.say("MAIL FROM:<scan@fabrikam.test>");
    device.say("QUIT");
    let mut browser = first(&server, "en");
    let begun = post(&mut browser, "/add-device", &[("kind", "printer")]).expect(303);
    let identify = location(&begun);
    let step = |name: &str| identify.replace("identify", name);
    let fields = [
        ("name", "Copier"),
        ("sender_ip_addresses", "10.1.2.9"),
        ("identified_by", "any"),
        ("go", "next"),
    ];
    post(&mut browser, &identify, &fields).expect(303);
    await_page(
        &browser,
        &step("recipients"),
        "The busiest hour of the last 7 days had",
    );
    let security = browser.get(&step("security")).expect(200);
    security.shows("source_addresses = [&#34;10.1.2.9/32&#34;]");
    let delivery = browser.get(&step("delivery")).expect(200);
    delivery.shows("value=\"Own\"");
    post(
        &mut browser,
        &step("delivery"),
        &[("outbound_connector", "Own"), ("go", "next")],
    )
    .expect(303);
    let imagined = [
        ("state", "enabled"),
        ("simulate_ip", "10.1.2.9"),
        ("simulate_from", "scan@contoso.test"),
        ("simulate_to", "b@example.org"),
        ("simulate_size", "30 MiB"),
        ("go", "simulate"),
    ];
    let page = post_and_follow(&mut browser, &step("review"), &imagined);
    page.shows("Refused: 552 5.3.4");
    let save = [("state", "enabled"), ("go", "untested")];
    let saved = post(&mut browser, &step("review"), &save).expect(303);
    assert_eq!(location(&saved), "/connectors/inbound/contoso/Copier");
    browser
        .get("/connectors/inbound")
        .expect(200)
        .shows("untested");
    let simulate = [
        "--ip",
        "10.1.2.9",
        "--from",
        "scan@contoso.test",
        "--to",
        "b@example.org",
    ];
    let answer = server.relais(&[&["--json", "simulate"][..], &simulate].concat());
    let answer = answer.expect(0).json();
    assert_eq!(answer["inbound_connector"], "Copier");
    assert_eq!(answer["outbound_connector"], "Own");
}
