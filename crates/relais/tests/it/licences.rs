//! Licences: seats for people without a mailbox, over real sessions.

use crate::support::{Place, Server, told_at_once};

fn settings(policy: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\n\
         licences = {{ seats = 1, policy = \"{policy}\" }}\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.recipient]]\naddress = \"ann@contoso.test\"\nmailbox = false\n\
         [[organisation.recipient]]\naddress = \"bob@contoso.test\"\nmailbox = false\n\
         [[organisation.recipient]]\naddress = \"dora@contoso.test\"\n\
         [[organisation.inbound_connector]]\nname = \"Loopback\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"127.0.0.1:1\"]\n"
    )
}

fn reply_to_mail_from(server: &Server, sender: &str) -> String {
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say(&format!("MAIL FROM:<{sender}>"))
}

#[test]
fn the_last_seat_goes_to_who_sent_first_and_is_held_over_a_restart() {
    let server = Server::with_settings(&settings("enforce"));
    let recipient = "b@example.org";
    server.send("scanner-2@contoso.test", recipient);
    server.send("dora@contoso.test", recipient);
    server.send("ann@contoso.test", recipient);
    let reply = reply_to_mail_from(&server, "bob@contoso.test");
    let expected = "550 5.7.1 No licence left for bob@contoso.test (FROM-UNLICENSED ";
    assert!(reply.starts_with(expected), "{reply}");
    let reference = reply.trim_end_matches(')').rsplit(' ').next().expect("one");
    let why = server.relais(&["why", reference]).expect(0).out;
    assert!(why.contains("all seats"), "{why}");
    let (_, place): (_, Place) = server.stop();
    let server = place.serve();
    let rows = server
        .relais(&["--json", "licences"])
        .expect(0)
        .json_lines();
    assert_eq!(rows[0]["used"], 1);
    assert_eq!(rows[0]["free"], 0);
    assert_eq!(rows[0]["people"][0]["address"], "ann@contoso.test");
    assert_eq!(rows[0]["unlisted"][0]["address"], "scanner-2@contoso.test");
    assert!(reply_to_mail_from(&server, "Ann@contoso.test").starts_with("250 "));
    assert!(reply_to_mail_from(&server, "bob@contoso.test").starts_with("550 "));
    let simulate = [
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "bob@contoso.test",
    ];
    let simulate = [&["--json"], &simulate[..], &["--to", recipient]].concat();
    let answer = server.relais(&simulate).expect(0).json();
    assert_eq!(answer["token"], "FROM-UNLICENSED", "{answer}");
}

#[test]
fn a_report_refuses_nobody_and_a_person_hears_of_who_has_no_seat() {
    let server = Server::with_settings(&settings("report"));
    for sender in ["ann@contoso.test", "bob@contoso.test", "bob@contoso.test"] {
        server.send(sender, "b@example.org");
    }
    let alerts = server.relais(&["trace", "event:alert.raised", "--json"]);
    let alerts = told_at_once(&alerts.expect(0));
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let told = alerts[0]["detail"].as_str().unwrap_or_default();
    assert!(
        told.contains("2 people without a mailbox sent in the last 30 days, seats: 1; the last one is bob@contoso.test"),
        "{told}"
    );
}
