//! Limits: soft ones let everything in and slow what leaves, hard ones refuse and say what, how
//! much, until when; no count is lost, whatever becomes of the process.

use relais_smtp::time::Timestamp;

use crate::receiver::Receiver;
use crate::support::{Server, told_at_once};
use crate::web::{Browser, first};

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
    let expected = "451 4.7.1 Daily quota 2 reached, resets 20";
    assert!(reply.starts_with(expected), "{reply}");
    assert!(reply.contains("Z, connector Loopback (QUOTA-D "), "{reply}");
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
    let expected = "450 4.7.1 Hourly recipient quota reached: 1 external until ";
    assert!(reply.starts_with(expected), "{reply}");
    let end = "Z, connector Loopback (QUOTA-H ";
    assert!(reply.contains(end), "{reply}");
}

/// The reply to one more recipient, in a session of its own.
fn one_more(server: &Server, from: &str, to: &str) -> String {
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say(&format!("MAIL FROM:<{from}>"));
    session.say(&format!("RCPT TO:<{to}>"))
}

#[test]
fn a_printer_that_goes_over_its_limit_is_told_what_how_much_and_until_when() {
    let receiver = Receiver::start();
    let limits = "{}\nlimits_per_device = { recipients_per_day = { value = 2, hard = true } }";
    let server = Server::with_settings(&settings(&receiver, limits));
    server.send("scan@contoso.test", "one@example.org");
    server.send("scan@contoso.test", "two@example.org");
    let reply = one_more(&server, "scan@contoso.test", "three@example.org");
    assert!(
        reply.starts_with("451 4.7.1 Daily quota 2 reached, resets 20"),
        "{reply}"
    );
    let (_, end) = reply
        .split_once("Z, device 127.0.0.1 (QUOTA-D ")
        .expect("whose");
    let why = server
        .relais(&["why", end.trim_end_matches(')')])
        .expect(0)
        .out;
    assert!(why.contains("Daily quota 2 reached"), "{why}");
    let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
    let [limit] = &*limits else {
        panic!("{limits:?}")
    };
    assert_eq!(limit["kind"], "device");
    assert_eq!(limit["whose"], "127.0.0.1");
    assert_eq!(limit["inbound_connector"], "Loopback");
    assert_eq!(
        (&limit["used"], &limit["percent"]),
        (&2.into(), &100.into())
    );
    assert_eq!(limit["warning"], true);
    assert!(limit["reached_at"].is_string(), "{limit}");
    let shown = server.relais(&["limits"]).expect(0).out;
    assert!(shown.contains("device 127.0.0.1"), "{shown}");
    assert!(shown.contains("100 !"), "{shown}");
}

#[test]
fn limits_are_proposed_from_what_was_sent() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(&receiver, "{ recipients_per_day = 9 }"));
    let nothing = server.relais(&["limits", "propose"]).expect(0).out;
    assert!(
        nothing.contains("there is nothing to learn from"),
        "{nothing}"
    );
    for number in 0..7 {
        let id = server.send("scan@contoso.test", &format!("r{number}@example.org"));
        server.await_event("message.accepted", &id);
    }
    let proposed = server.relais(&["--json", "limits", "propose", "--since", "1h"]);
    let proposed = proposed.expect(0).json_lines();
    let of = |kind: &str, limit: &str| {
        let found = proposed
            .iter()
            .find(|one| one["kind"] == kind && one["limit"] == limit);
        let found = found.unwrap_or_else(|| panic!("{kind} {limit}: {proposed:?}"));
        ["peak", "current", "proposed"].map(|key| found[key].as_u64())
    };
    assert_eq!(
        of("connector", "recipients_per_day"),
        [Some(7), Some(9), Some(200)]
    );
    let per_minute = of("device", "messages_per_minute");
    assert_eq!(per_minute[1], None, "{proposed:?}");
    assert!((10..=14).contains(&per_minute[2].unwrap()), "{proposed:?}");
    let shown = server.relais(&["limits", "propose"]).expect(0).out;
    assert!(shown.contains("each device of Loopback"), "{shown}");
}

#[test]
fn what_was_counted_is_counted_on_even_after_a_kill() {
    let receiver = Receiver::start();
    let hard = "{ new_recipients_per_day = { value = 2, hard = true }, recipients_per_hour = 50 }";
    let server = Server::with_settings(&settings(&receiver, hard));
    for to in ["one@example.org", "two@example.org", "one@example.org"] {
        server.send("erp@contoso.test", to);
    }
    // Nothing was kept yet: the trace alone knows.
    server.signal("KILL");
    let (_, place) = server.ended();
    let used = |limits: &[serde_json::Value]| -> Vec<_> {
        let use_of = |one: &serde_json::Value| (one["limit"].to_string(), one["used"].as_u64());
        limits.iter().map(use_of).collect()
    };
    let expected = [
        ("\"recipients_per_hour\"".to_owned(), Some(3)),
        ("\"new_recipients_per_day\"".to_owned(), Some(2)),
    ];
    let server = place.serve();
    let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
    assert_eq!(used(&limits), expected);
    let reply = one_more(&server, "erp@contoso.test", "two@example.org");
    assert!(reply.starts_with("250 "), "she is known: {reply}");
    let reply = one_more(&server, "erp@contoso.test", "three@example.org");
    assert!(reply.contains("Z, new recipients, conne"), "{reply}");
}

#[test]
fn what_waits_for_a_soft_limit_is_due_at_its_pace() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(&receiver, "{ messages_per_minute = 2 }"));
    let ids: Vec<_> = (0..7)
        .map(|_| server.send("erp@contoso.test", "one@example.org"))
        .collect();
    receiver.wait_for_count(2);
    let time = |value: &serde_json::Value| {
        let text = value.as_str().expect("a time");
        Timestamp::parse_rfc3339(text).expect("RFC 3339")
    };
    let listed = server.relais(&["--json", "queue", "list"]).expect(0);
    let mut due: Vec<_> = listed
        .json_lines()
        .iter()
        .map(|one| time(&one["recipients"][0]["next_attempt"]))
        .collect();
    due.sort_unstable();
    assert_eq!(due.len(), ids.len() - 2);
    // Of any three one after the other, the third leaves a minute after the first, at least.
    for three in due.windows(3) {
        assert!(three[2].since(three[0]).as_secs() >= 60, "{due:?}");
        assert!(three[2].since(three[0]).as_secs() <= 62, "{due:?}");
    }
    let shown = server.relais(&["--json", "limits"]).expect(0).json_lines();
    assert_eq!(shown[0]["waiting"], 5);
}

#[test]
fn every_owner_of_limits_has_its_own_count() {
    let receiver = Receiver::start();
    let text = settings(&receiver, "{}").replace(
        "verification = \"assumed\"\n",
        "verification = \"assumed\"\nlimits = { recipients_per_day = { value = 3, hard = true } }\n",
    );
    let text = text.replace(
        "name = \"contoso\"\n",
        "name = \"contoso\"\nlimits_per_sender = { recipients_per_day = { value = 2, hard = true }, \
         message_size_max = \"64 KiB\" }\n",
    );
    let server = Server::with_settings(&text);
    server.send("a@contoso.test", "one@example.org");
    server.send("a@contoso.test", "two@example.org");
    let reply = one_more(&server, "A@contoso.test", "three@example.org");
    assert!(reply.contains(", sender a@conto"), "{reply}");
    server.send("b@contoso.test", "one@example.org");
    let reply = one_more(&server, "b@contoso.test", "two@example.org");
    assert!(reply.contains(", domain contoso.test (QUOTA-D "), "{reply}");
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    let reply = session.say("MAIL FROM:<c@contoso.test> SIZE=70000");
    assert!(
        reply.starts_with("552 5.3.4 Message too big, limit 64 KiB (SIZE "),
        "{reply}"
    );
}

#[test]
fn a_notice_uses_up_no_limit() {
    let receiver = Receiver::start();
    let hard = "{ recipients_per_day = { value = 2, hard = true }, recipients_per_hour = 9 }";
    let server = Server::with_settings(&settings(&receiver, hard));
    receiver.go_away(true);
    let id = server.send("erp@contoso.test", "gone@example.org");
    server.relais(&["queue", "bounce", &id, "--yes"]).expect(0);
    server.await_event("notice.sent", &id);
    let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
    let used: Vec<_> = limits.iter().map(|one| one["used"].as_u64()).collect();
    assert_eq!(
        used,
        [Some(1), Some(1)],
        "one message, and a notice about it"
    );
}

#[test]
fn open_connections_are_shown_and_told_at_four_fifths() {
    let receiver = Receiver::start();
    let limits = "{ connections = { value = 5, hard = true } }";
    let server = Server::with_settings(&settings(&receiver, limits));
    let shown = || {
        let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
        let [limit] = &*limits else {
            panic!("{limits:?}")
        };
        assert_eq!(limit["limit"], "connections");
        (limit["used"].as_u64(), limit["warning"].as_bool())
    };
    assert_eq!(shown(), (Some(0), Some(false)));
    let _open: Vec<_> = (0..4)
        .map(|_| {
            let mut session = server.session();
            session.say("EHLO client.contoso.test");
            session
        })
        .collect();
    assert_eq!(shown(), (Some(4), Some(true)));
    server.log.wait_for("the alert", |line| {
        line.contains("alert.raised") && line.contains("connector Loopback connections")
    });
}

#[test]
fn a_limit_is_set_and_taken_away_by_a_command() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(&receiver, "{}"));
    let set = |arguments: &[&str]| {
        let set = ["limits", "set"];
        server.relais(&[&set[..], arguments].concat())
    };
    let device = [
        "recipients_per_day",
        "1",
        "--each-device-of",
        "Loopback",
        "--hard",
    ];
    set(&device).expect(0);
    set(&["new_recipients_per_day", "40", "--each-sender"]).expect(0);
    set(&["messages_per_minute", "60", "--domain", "contoso.test"]).expect(0);
    set(&["external_recipients_per_hour", "70"]).expect(0);
    set(&["message_size_max", "70000", "--connector", "Loopback"]).expect(0);
    server.send("scan@contoso.test", "one@example.org");
    let limits = server.relais(&["--json", "limits"]).expect(0).json_lines();
    let rows: Vec<_> = limits
        .iter()
        .map(|one| {
            let texts = ["kind", "limit"].map(|key| one[key].as_str().unwrap_or_default());
            (texts, one["value"].as_u64(), one["hard"].as_bool())
        })
        .collect();
    assert_eq!(
        rows,
        [
            (
                ["organisation", "external_recipients_per_hour"],
                Some(70),
                Some(false)
            ),
            (["domain", "messages_per_minute"], Some(60), Some(false)),
            (["device", "recipients_per_day"], Some(1), Some(true)),
            (["sender", "new_recipients_per_day"], Some(40), Some(false)),
        ]
    );
    let reply = one_more(&server, "scan@contoso.test", "two@example.org");
    assert!(reply.contains(", device 127.0.0.1 (QUOTA-D "), "{reply}");
    set(&["recipients_per_day", "none", "--each-device-of", "Loopback"]).expect(0);
    let reply = one_more(&server, "scan@contoso.test", "two@example.org");
    assert!(reply.starts_with("250 "), "{reply}");
    set(&["recipients_per_day", "9", "--connector", "Nobody"]).expect(3);
    set(&["recipients_per_day", "many"]).expect(2);
    set(&["recipients_per_year", "9"]).expect(1);
    set(&["connections", "9", "--each-sender"]).expect(1);
}

#[test]
fn a_limit_is_set_on_its_page_and_adopted_from_what_is_proposed() {
    let receiver = Receiver::start();
    let server = Server::with_settings(&settings(&receiver, "{}"));
    let mut browser = first(&server, "en");
    let token = browser.get("/limits").expect(200).field("form_token");
    let post = |browser: &mut Browser<'_>, fields: [(&str, &str); 4]| {
        let mut form = vec![("form_token", token.as_str())];
        form.extend(fields);
        browser.post("/limits", &form)
    };
    let of = ("of", "contoso device Loopback");
    let day = ("limit", "recipients_per_day");
    let hard = ("hard", "1");
    post(&mut browser, [of, day, ("value", "many"), hard])
        .expect(400)
        .shows("“many” is no number.");
    post(&mut browser, [of, day, ("value", "2"), hard]).expect(303);
    for number in 0..2 {
        let id = server.send("scan@contoso.test", &format!("r{number}@example.org"));
        server.await_event("message.accepted", &id);
    }
    let page = browser.get("/limits?done=1").expect(200);
    page.shows("The limit is set.");
    page.shows("device 127.0.0.1");
    page.shows("2 / 2");
    page.shows("100 %");
    page.shows("reached");
    let reply = one_more(&server, "scan@contoso.test", "r3@example.org");
    assert!(reply.contains(", device 127.0.0.1 (QUOTA-D "), "{reply}");
    browser
        .get("/limits/proposals")
        .expect(200)
        .shows("Set the proposed limit");
    post(&mut browser, [of, day, ("value", "200"), ("hard", "")]).expect(303);
    let reply = one_more(&server, "scan@contoso.test", "r3@example.org");
    assert!(reply.starts_with("250 "), "{reply}");
    post(&mut browser, [of, day, ("value", ""), ("hard", "")]).expect(303);
    let limits = server.relais(&["--json", "limits"]).expect(0).out;
    assert_eq!(limits, "");
}
