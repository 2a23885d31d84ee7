//! Limits of connectors: soft ones let everything in and slow what leaves, hard ones refuse.

use crate::receiver::Receiver;
use crate::support::{Server, told_at_once};

fn settings(receiver: &Receiver, limits: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Loopback\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\nlimits = {limits}\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{}\"]\n\
         tls = \"none\"\n",
        receiver.address()
    )
}

#[test]
fn a_soft_limit_takes_everything_in_and_what_exceeds_it_waits_in_the_queue() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(&receiver, "{ recipients_per_hour = 2 }"));
    let send = |name: &str| server.send("erp@contoso.test", &format!("{name}@example.org"));
    let ids = ["one", "two", "three"].map(send);
    receiver.wait_for_recipient("one@example.org");
    receiver.wait_for_recipient("two@example.org");
    let listed = server.relais(&["--json", "queue", "list"]);
    let waiting = listed.expect(0).json_lines();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0]["queue_id"], ids[2].as_str());
    let why = server.relais(&["why", &ids[2]]).expect(0).out;
    let expected = "recipients_per_hour of connector Loopback is 2";
    assert!(why.contains(expected), "{why}");
    // A person who wants it now is heard.
    server.relais(&["queue", "retry", &ids[2]]).expect(0);
    receiver.wait_for_recipient("three@example.org");
    let alerts = server.relais(&["trace", "event:alert.raised", "--json"]);
    let alerts = told_at_once(&alerts.expect(0));
    assert_eq!(alerts.len(), 1, "{alerts:?}");
}

#[test]
fn a_hard_limit_refuses_and_is_counted_on_after_a_restart() {
    let receiver = Receiver::start();
    let hard = "{ recipients_per_day = { value = 2, hard = true } }";
    let server = Server::with_settings(&settings(&receiver, hard));
    server.send("erp@contoso.test", "one@example.org");
    server.send("erp@contoso.test", "two@example.org");
    let (_, place) = server.stop();
    let server = place.serve();
    let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
    assert_eq!(limits.len(), 1);
    assert_eq!(limits[0]["used"], 2);
    assert_eq!(limits[0]["value"], 2);
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say("MAIL FROM:<erp@contoso.test>");
    let reply = session.say("RCPT TO:<three@example.org>");
    let expected = "451 4.7.1 Daily quota reached, resets 20";
    assert!(reply.starts_with(expected), "{reply}");
    assert!(reply.contains("(QUOTA-D "), "{reply}");
    let shown = server.relais(&["limits"]).expect(0).out;
    assert!(shown.contains("recipients_per_day"), "{shown}");
}

#[test]
fn a_hard_hourly_limit_counts_recipients_outside_only_where_it_says_so() {
    let receiver = Receiver::start();
    let hard = "{ external_recipients_per_hour = { value = 1, hard = true } }";
    let server = Server::with_settings(&settings(&receiver, hard));
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say("MAIL FROM:<erp@contoso.test>");
    let mut rcpt = |to: &str| session.say(&format!("RCPT TO:<{to}>"));
    assert!(rcpt("anna@contoso.test").starts_with("250 "));
    assert!(rcpt("one@example.org").starts_with("250 "));
    assert!(rcpt("bert@contoso.test").starts_with("250 "));
    let reply = rcpt("two@example.org");
    let expected = "450 4.7.1 Hourly recipient quota reached (QUOTA-H ";
    assert!(reply.starts_with(expected), "{reply}");
}
