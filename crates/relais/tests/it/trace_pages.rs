//! The trace as people use it in the admin centre: finding, narrowing down, keeping a search,
//! taking the result away, watching it live; reports and devices.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, CONTOSO, PATIENCE, Place, Server};
use crate::web::{audit, first, location, post};

/// Printers are in 10.1.2.0/24.
fn server() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&settings).expect(0);
    server
}

/// One scan; its queue id.
fn scan(server: &Server, client: &str, to: &str, subject: &str) -> String {
    let text = format!(
        "Subject: {subject}\r\nFrom: scan@contoso.test\r\nMessage-ID: <{to}.1@scanner>\r\n\r\n\
         x"
    );
    hand_in(server, client, &[to], &text)
}

/// The same with these octets, for several.
fn hand_in(server: &Server, client: &str, to: &[&str], text: &str) -> String {
    let mut session = server.session_from(client);
    session.hear();
    session.say("EHLO scan");
    session.say("MAIL FROM:<scan@contoso.test>");
    for one in to {
        session.say(&format!("RCPT TO:<{one}>"));
    }
    session.say("DATA");
    let taken = session.say(&format!("{text}\r\n."));
    let id = taken.rsplit(' ').next().expect("an id").to_owned();
    server.await_event("message.accepted", &id);
    id
}

#[test]
fn a_message_is_found_by_tokens_and_its_search_is_kept() {
    let server = server();
    let id = scan(
        &server,
        "10.1.2.9",
        "b@example.invalid",
        "=1+1, \"Invoice\" 774321",
    );
    scan(&server, "10.1.2.8", "c@example.invalid", "Other");
    let mut browser = first(&server, "en");
    let found = browser.get("/trace?q=subject:774321").expect(200);
    found.shows(&id);
    assert!(!found.body.contains("Other"), "{}", found.body);
    found.shows("subject:774321</bdi>");
    // The field beside the search box writes a token.
    let led = browser.get("/trace?q=status:accepted&token=client&value=10.1.2.9");
    let led = led
        .expect(303)
        .header("location")
        .expect("where")
        .to_owned();
    assert_eq!(
        led,
        "/trace?q=status%3Aaccepted+client%3A10.1.2.9&since=24h"
    );
    browser.get(&led).expect(200).shows(&id);
    browser
        .get("/trace?q=nonsense:1")
        .expect(200)
        .shows("the token nonsense: is not known");

    let token = browser.token();
    let keep = [
        ("form_token", &*token),
        ("name", "Invoices <b>"),
        ("q", "subject:invoice"),
        ("since", "7d"),
        ("back", "/trace?q=subject:invoice"),
    ];
    let kept = browser.post("/trace/searches", &keep).expect(303);
    assert_eq!(kept.header("location"), Some("/trace?q=subject:invoice"));
    let page = browser.get("/trace").expect(200);
    page.shows("Invoices &#60;b&#62;");
    page.shows("/trace?q=subject%3Ainvoice&#38;since=7d");
    let columns = [
        ("form_token", &*token),
        ("column", "subject"),
        ("column", "reply"),
        ("back", "/elsewhere"),
    ];
    let chosen = browser.post("/trace/view", &columns).expect(303);
    assert_eq!(chosen.header("location"), Some("/trace"));
    let page = browser.get("/trace").expect(200);
    page.shows("<th scope=\"col\" role=\"columnheader\">Reply</th>");
    assert!(
        !page
            .body
            .contains("<th scope=\"col\" role=\"columnheader\">Connector</th>")
    );
    let forget = [("form_token", &*token), ("forget", "0")];
    browser.post("/trace/searches", &forget).expect(303);
    browser.get("/trace").expect(200).shows("None yet.");
}

#[test]
fn a_message_is_found_by_its_message_id_and_what_was_asked_is_remembered() {
    let server = server();
    let id = scan(&server, "10.1.2.9", "b@example.invalid", "Invoice");
    scan(&server, "10.1.2.8", "c@example.invalid", "Other");
    let browser = first(&server, "en");
    // As it stands in the header of a copy.
    let led = browser.get("/search?q=%3Cb%40example.invalid.1%40scanner%3E");
    let led = led
        .expect(303)
        .header("location")
        .expect("where")
        .to_owned();
    let found = browser.get(&led).expect(200);
    found.shows(&id);
    assert!(!found.body.contains("Other"), "{}", found.body);
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("&#60;b@example.invalid.1@scanner&#62;");
    page.shows("q=message-id%3A%22b%40example.invalid.1%40scanner%22&#38;since=90d");
    page.shows(&format!("GET /api/v1/why/{id}"));
    page.shows("/connectors/inbound/contoso/Printers\">Adjust Printers");
    page.shows(&format!("/trace/{id}</code>"));
    browser
        .get("/trace?q=client:10.1.2.0/24&since=7d")
        .expect(200);
    browser.get("/trace?q=nonsense:1").expect(200);
    let recent = browser.get("/trace").expect(200);
    recent.shows("Recent searches");
    recent.shows("/trace?q=client%3A10.1.2.0%2F24&#38;since=7d");
    recent.shows("client:10.1.2.0/24 (7d)");
    assert!(!recent.body.contains("nonsense"), "it could not be read");
}

#[test]
fn the_headers_of_a_message_in_the_queue_are_shown_without_its_body_and_each_look_is_written_down()
{
    let server = server();
    let id = scan(&server, "10.1.2.9", "b@example.invalid", "Invoice <7>");
    let mut browser = first(&server, "en");
    browser
        .get(&format!("/trace/{id}"))
        .expect(200)
        .shows("Show its headers");
    let token = browser.token();
    let path = format!("/trace/{id}/headers");
    let page = browser.post(&path, &[("form_token", &token)]).expect(200);
    page.shows("Subject: Invoice &#60;7&#62;");
    page.shows("Received: from ");
    assert!(!page.body.contains("\nx\n"), "{}", page.body);
    browser.post(&path, &[("form_token", "stolen")]).expect(403);
    let looks = ["--json", "audit", "list", "--act", "queue.headers-read"];
    let looks = server.relais(&looks).expect(0).json_lines();
    assert_eq!(looks.len(), 1, "{looks:?}");
    assert_eq!(looks[0]["actor"], "anna (web)");
}

#[test]
fn a_message_in_the_queue_is_read_whole_as_text_and_as_a_file_and_each_look_is_written_down() {
    let server = server();
    let text = "Subject: x\r\nFrom: scan@contoso.test\r\nContent-Type: text/html\r\n\r\n\
                <script>alert(1)</script>\u{202e}gpj";
    let id = hand_in(&server, "10.1.2.9", &["b@example.invalid"], text);
    let mut browser = first(&server, "fr");
    let story = browser.get(&format!("/trace/{id}")).expect(200);
    story.shows("Tout afficher en texte");
    let page = post(&mut browser, &format!("/trace/{id}/queued"), &[]).expect(200);
    page.shows("&#60;script&#62;alert(1)&#60;/script&#62;\u{fffd}gpj");
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    let file = post(&mut browser, &format!("/trace/{id}/message.eml"), &[]).expect(200);
    assert_eq!(
        file.header("content-disposition"),
        Some(&*format!("attachment; filename=\"{id}.eml\""))
    );
    assert_eq!(
        file.header("content-type"),
        Some("application/octet-stream")
    );
    file.shows("Subject: x");
    file.shows("<script>alert(1)</script>");
    let all = audit(&server);
    for act in ["queue.content-read", "queue.content-downloaded"] {
        let looks: Vec<_> = all.iter().filter(|one| one["act"] == act).collect();
        assert_eq!(looks.len(), 1, "{act}: {all:?}");
        assert_eq!(looks[0]["actor"], "anna (web)");
    }
    let none = post(&mut browser, "/trace/7ZZZZZZZZZZZZ/message.eml", &[]);
    assert!(none.status >= 400, "{}", none.status);
}

#[test]
fn a_message_that_some_recipients_got_is_partly_delivered() {
    let receiver = Receiver::start();
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO
        .replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]")
        .replace("127.0.0.1:9", &receiver.address().to_string());
    server.apply(&settings).expect(0);
    let send = |to: &[&str]| {
        let text = "Subject: x\r\nFrom: scan@contoso.test\r\n\r\nx";
        let id = hand_in(&server, "10.1.2.9", to, text);
        server.await_event("recipient.failed", &id);
        id
    };
    let partly = send(&["b@example.org", "nobody@example.org"]);
    server.await_event("recipient.delivered", &partly);
    let failed = send(&["nobody-else@example.org"]);
    let browser = first(&server, "en");
    let found = browser.get("/trace?q=status:partly").expect(200);
    found.shows(&partly);
    found.shows("◐ Partly delivered");
    assert!(!found.body.contains(&failed), "{}", found.body);
    let all = browser.get("/trace?q=status:failed").expect(200);
    all.shows(&failed);
    assert_eq!(
        all.body.matches("◐ Partly delivered").count(),
        1,
        "{}",
        all.body
    );
    let lines = server
        .relais(&["--json", "trace", "status:partly"])
        .expect(0);
    let lines = lines.json_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["to"], "nobody@example.org");
    // What is not over yet is not known while it happens.
    let live = server.relais(&["trace", "status:partly", "--live"]);
    assert!(live.code != 0, "{live:?}");
}

#[test]
fn a_list_of_addresses_finds_mail_to_or_from_any_of_them() {
    let server = server();
    let first_one = scan(&server, "10.1.2.9", "b@example.invalid", "One");
    let second = scan(&server, "10.1.2.9", "c@example.invalid", "Two");
    let third = scan(&server, "10.1.2.9", "d@example.invalid", "Three");
    let browser = first(&server, "en");
    let typed = "/trace?q=b%40example.invalid%2C+Carl+%3CC%40example.invalid%3E";
    let found = browser.get(typed).expect(200);
    found.shows(&first_one);
    found.shows(&second);
    assert!(!found.body.contains(&third), "{}", found.body);
    found.shows("address:&#34;b@example.invalid, C@example.invalid&#34;");
    // In the field for lists, line by line; what else is asked for stays.
    let pasted = "/trace?q=event%3Amessage.accepted&since=24h&addresses=b%40example.invalid%0D%0A\
                  d%40example.invalid%3B";
    let led = location(&browser.get(pasted).expect(303));
    let found = browser.get(&led).expect(200);
    found.shows(&first_one);
    found.shows(&third);
    assert!(!found.body.contains(&second), "{}", found.body);
    // The sender of all of them.
    let all = browser
        .get("/trace?q=scan%40contoso.test%2Cx%40y.test")
        .expect(200);
    for id in [&first_one, &second, &third] {
        all.shows(id);
    }
    let many: String = (0..51).map(|one| format!("u{one}%40x.test%2C")).collect();
    let many = browser.get(&format!("/trace?addresses={many}")).expect(200);
    many.shows("There is no address in it, or there are more than 50.");
}

#[test]
fn a_story_says_by_what_its_connector_was_chosen_and_why_no_other() {
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    let wide = "[[organisation.inbound_connector]]\nname = \"Everything\"\n\
                sender_ip_addresses = [\"10.0.0.0/8\"]\n";
    server.apply(&(settings.clone() + wide)).expect(0);
    let id = scan(&server, "10.1.2.9", "b@example.invalid", "One");
    let browser = first(&server, "en");
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("Which connector, and why");
    page.shows("Its address lies in 10.1.2.0/24.");
    page.shows("Not chosen: 10.1.2.0/24 is narrower.");
    assert!(
        !page.body.contains("By the settings of today"),
        "{}",
        page.body
    );
    // By the settings of then, whatever was changed since.
    let changed = settings.replace("10.1.2.0/24", "10.1.3.0/24") + wide;
    server.apply(&changed).expect(0);
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("Its address lies in 10.1.2.0/24.");
    let told = server.relais(&["--json", "why", &id]).expect(0).json();
    let first_one = &told["attribution"]["candidates"][0];
    assert_eq!(first_one["inbound_connector"], "Printers");
    assert_eq!(first_one["fate"], "won");
}

#[test]
fn a_reference_of_a_simulation_is_told_to_be_none() {
    let server = server();
    let asked = [
        "simulate",
        "--ip",
        "192.0.2.9",
        "--from",
        "a@b.test",
        "--to",
        "c@d.test",
    ];
    let told = server
        .relais(&[&["--json"], &asked[..]].concat())
        .expect(0)
        .json();
    let reply = told["reply"].as_str().expect("a refusal");
    assert!(reply.ends_with(" XXXXX)"), "{reply}");
    let why = server.relais(&["why", "XXXXX"]).expect(3);
    assert!(why.err.contains("nothing was refused"), "{why:?}");
}

#[test]
fn a_refusal_names_the_page_on_which_it_is_put_right() {
    let server = server();
    let mut session = server.session_from("10.1.2.9");
    session.hear();
    session.say("EHLO scan");
    let refused = session.say("MAIL FROM:<scan@fabrikam.example>");
    assert!(refused.contains("(FROM-DOMAIN "), "{refused}");
    let reference = refused.trim_end().trim_end_matches(')').rsplit(' ').next();
    let reference = reference.expect("a reference").to_owned();
    let browser = first(&server, "en");
    let page = browser.get(&format!("/trace/{reference}")).expect(200);
    page.shows("<a href=\"/domains\">→ To Domains</a>");
    page.shows("<input type=\"hidden\" name=\"attempt\" value=\"");
}

#[test]
fn what_is_found_is_taken_away_as_a_table_and_as_lines_of_json() {
    let server = server();
    let id = scan(
        &server,
        "10.1.2.9",
        "b@example.invalid",
        "=1+1, \"Invoice\"",
    );
    scan(&server, "10.1.2.8", "c@example.invalid", "Other");
    let browser = first(&server, "fr");
    let table = browser.get("/trace/export.csv?q=event:message.accepted+client:10.1.2.9");
    let table = table.expect(200);
    assert_eq!(
        table.header("content-disposition"),
        Some("attachment; filename=\"trace.csv\"")
    );
    table.shows("time,event,status,queue_id");
    table.shows(&format!(
        "message.accepted,accepted,{id},,contoso,Printers,10.1.2.9"
    ));
    table.shows("\"'=1+1, \"\"Invoice\"\"\"");
    assert!(!table.body.contains("Other"), "{}", table.body);
    let lines = browser
        .get("/trace/export.json?q=event:message.accepted")
        .expect(200);
    lines.shows(&format!("\"queue_id\":\"{id}\""));
    lines.shows("\"subject\":\"Other\"");
}

#[test]
fn the_page_of_a_message_says_how_it_stands_and_what_is_related() {
    let server = server();
    let id = scan(&server, "10.1.2.9", "b@example.invalid", "Invoice");
    server.await_event("recipient.deferred", &id);
    let browser = first(&server, "en");
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("Not yet delivered to &#60;b@example.invalid&#62;");
    page.shows("<h2 id=\"recipients\">Recipients</h2>");
    page.shows("Same client, 10 minutes before and after");
    page.shows("/trace?q=client%3A10.1.2.9&#38;since=");
    page.shows("This record is kept until");
    page.shows("Text for support");
    page.shows("<span class=\"after\">+");
}

#[test]
fn new_events_reach_the_live_page_as_rows() {
    let server = server();
    let browser = first(&server, "en");
    let page = browser.get("/trace?live=1&q=client:10.1.2.9").expect(200);
    page.shows("<script src=\"/assets/trace.js\" defer></script>");
    page.shows("data-address=\"/trace/live?q=client%3A10.1.2.9");
    let script = browser.get("/assets/trace.js").expect(200);
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );

    let mut stream = TcpStream::connect(server.admin).expect("the listener answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(
        stream,
        "GET /trace/live?q=client:10.1.2.9 HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n",
        server.admin, browser.cookie
    )
    .expect("written");
    let mut lines = BufReader::new(stream)
        .lines()
        .map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.starts_with(": listening")));
    scan(&server, "10.1.2.8", "c@example.invalid", "Not asked for");
    scan(&server, "10.1.2.9", "b@example.invalid", "<i>new</i>");
    let row = lines
        .find(|line| line.starts_with("data: <tr role=\"row\">"))
        .expect("a row");
    assert!(row.contains("&#60;i&#62;new"), "{row}");
    let other = lines
        .find(|line| line.starts_with("event: "))
        .expect("more of this message");
    assert_eq!(other, "event: row");
}

#[test]
fn strangers_get_neither_rows_nor_files() {
    let server = server();
    for path in [
        "/trace/live",
        "/trace/export.csv",
        "/reports",
        "/devices",
        "/devices.csv",
    ] {
        let (status, _) = server.http(path);
        assert_eq!(status, 303, "{path}");
    }
}

#[test]
fn reports_and_devices_tell_of_the_mail_that_came() {
    let server = server();
    for _ in 0..3 {
        scan(&server, "10.1.2.9", "b@example.invalid", "Scan");
    }
    let mut stranger = server.session_from("10.1.3.7");
    stranger.hear();
    stranger.say("EHLO scan");
    stranger.say("MAIL FROM:<scan@contoso.test>");
    stranger.say("RCPT TO:<b@example.org>");
    let mut browser = first(&server, "en");
    let page = browser.get("/reports").expect(200);
    page.shows("Accepted 3, failed ");
    page.shows("10.1.2.9 sent most: 3.");
    page.shows("100 % of mail came in clear text");
    page.shows("<svg viewBox=");
    browser.get("/").expect(200).shows("10.1.2.9 sent most: 3.");
    let file = browser.get("/reports/clients.csv?since=1h").expect(200);
    assert!(
        file.body
            .ends_with("\r\n10.1.2.9,3,0,0\r\n10.1.3.7,0,0,1\r\n"),
        "{}",
        file.body
    );
    browser.get("/reports/nothing.csv").expect(404);

    let devices = browser.get("/devices").expect(200);
    devices.shows(">10.1.2.9</a>");
    devices.shows("/connectors/inbound/contoso/Printers");
    assert!(
        !devices.body.contains("10.1.3.7"),
        "a stranger is no device"
    );
    browser
        .get("/devices?filter=silent")
        .expect(200)
        .shows("No device fits");
    browser
        .get("/devices?filter=weak-tls")
        .expect(200)
        .shows(">10.1.2.9</a>");
    let file = browser.get("/devices.csv").expect(200);
    file.shows("10.1.2.9,contoso,Printers,scan,");
    let token = browser.token();
    let choice = [
        ("form_token", &*token),
        ("language", "fr"),
        ("back", "/reports"),
    ];
    browser.post("/language", &choice).expect(303);
    browser
        .get("/reports")
        .expect(200)
        .shows("10.1.2.9 a envoyé le plus\u{202f}: 3.");
}

#[test]
fn both_conversations_of_a_message_are_on_its_page_without_secrets_and_content() {
    let receiver = Receiver::start();
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO
        .replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]")
        .replace("127.0.0.1:9", &receiver.address().to_string());
    server.apply(&settings).expect(0);
    let id = scan(&server, "10.1.2.9", "b@example.org", "Secret subject");
    server.await_event("recipient.delivered", &id);
    let browser = first(&server, "en");
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("With the client 10.1.2.9");
    page.shows("&#60; MAIL FROM:&#60;scan@contoso.test&#62;");
    page.shows(&format!("&#62; 250 2.0.0 Queued as {id}"));
    page.shows("With the next hop");
    page.shows("&#62; RCPT TO:&#60;b@example.org&#62;");
    page.shows("octets of content");
    page.shows("<bdi>Connected.</bdi>");
    page.shows("* connected 0 ms, accepted ");
    let said = page.body.split("id=\"said\"").nth(1).expect("a section");
    let said = said.split("</section>").next().expect("its end");
    assert!(!said.contains("Secret subject"), "{said}");

    let told = server.relais(&["why", &id, "--transcript"]).expect(0).out;
    assert!(
        told.contains("client 10.1.2.9\n> 220 relay.contoso.test"),
        "{told}"
    );
    assert!(told.contains("next-hop "), "{told}");
    // A refusal has its conversation too, under its reference.
    let mut stranger = server.session_from("10.1.3.7");
    stranger.hear();
    stranger.say("EHLO scan");
    stranger.say("AUTH PLAIN AHNjYW4AcGVuY2ls");
    stranger.say("MAIL FROM:<scan@contoso.test>");
    let refused = stranger.say("RCPT TO:<b@example.org>");
    let reference = refused
        .trim_end_matches(')')
        .rsplit(' ')
        .next()
        .expect("one");
    let page = browser.get(&format!("/trace/{reference}")).expect(200);
    page.shows("&#60; RCPT TO:&#60;b@example.org&#62;");
    assert!(!page.body.contains("AHNjYW4AcGVuY2ls"), "{}", page.body);
}
