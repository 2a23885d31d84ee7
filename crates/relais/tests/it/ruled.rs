//! Rules about next hops' replies, and queue verbs by criterion: the real binary.

use crate::receiver::Receiver;
use crate::support::{Place, Server, told_at_once};

fn settings(receiver: &Receiver) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Loopback\"\n\
         sender_ip_addresses = [\"127.0.0.1\"]\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{}\"]\n\
         tls = \"none\"\n",
        receiver.address()
    )
}

#[test]
fn a_rule_suspends_what_a_next_hop_says_and_a_person_resumes_it() {
    let receiver = Receiver::start();
    receiver.go_away(true);
    let place = Place::new("");
    let rules = place.path("rules.toml");
    let rule = "[[rule]]\nname = \"away\"\nreply = [\"421 *\"]\nsuspend = \"2h\"\n";
    std::fs::write(&rules, rule).expect("written");
    let bootstrap = place.path("relais.toml");
    let mut text = std::fs::read_to_string(&bootstrap).expect("a file");
    text.push_str(&format!(
        "[deliver]\nreply_rules = \"{}\"\n",
        rules.display()
    ));
    std::fs::write(&bootstrap, text).expect("written");
    let server = place.serve();
    server.apply(&settings(&receiver)).expect(0);
    let id = server.send("erp@contoso.test", "anna@example.org");
    server.await_event("recipient.deferred", &id);
    let trace = server.relais(&["trace", "event:recipient.deferred", "--json"]);
    let detail = trace.expect(0).json_lines()[0]["detail"].to_string();
    let expected = "rule away: the destination is suspended for 2h";
    assert!(detail.contains(expected), "{detail}");
    let suspended = server.relais(&["queue", "suspended"]).expect(0).out;
    assert!(suspended.contains("example.org"), "{suspended}");
    assert!(suspended.contains("rule away"), "{suspended}");
    let alerts = server.relais(&["trace", "event:alert.raised", "--json"]);
    assert_eq!(told_at_once(&alerts.expect(0)).len(), 1);
    receiver.go_away(false);
    // Said by this organisation's own smart host, it concerns nobody else's mail.
    server.relais(&["queue", "resume", "example.org"]).expect(3);
    let resume = [
        "queue",
        "resume",
        "example.org",
        "--organisation",
        "contoso",
    ];
    server.relais(&resume).expect(0);
    server.relais(&["queue", "retry", &id]).expect(0);
    receiver.wait_for_recipient("anna@example.org");
}

#[test]
fn a_file_of_rules_with_a_mistake_lets_no_server_start_and_says_where() {
    let place = Place::new("[deliver]\nreply_rules = \"rules.toml\"\n");
    let answer = place.relais(&["serve"]).expect(1);
    assert!(answer.err.contains("reply_rules: "), "{}", answer.err);
}

#[test]
fn what_waits_is_chosen_by_sender_and_by_reason() {
    let receiver = Receiver::start();
    receiver.go_away(true);
    let server = Server::with_settings(&settings(&receiver));
    let of_scanner = server.send("scan@contoso.test", "anna@example.org");
    let of_erp = server.send("erp@contoso.test", "anna@example.org");
    server.await_event("recipient.deferred", &of_scanner);
    // Without a person to ask, it says what it would do and does nothing.
    let hold = ["queue", "hold", "--sender", "scan@contoso.test"];
    let asked = server.relais(&hold).expect(2);
    let would = "this would hold 1 message(s) with 1 recipient(s): say --yes";
    assert!(asked.err.contains(would), "{}", asked.err);
    server.relais(&[&hold[..], &["--yes"]].concat()).expect(0);
    let audit = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert_eq!(audit.matches("queue.held").count(), 1, "{audit}");
    assert!(audit.contains("sender scan@contoso.test"), "{audit}");
    let list = |arguments: &[&str]| {
        let all = [&["--json", "queue", "list"], arguments].concat();
        let listed = server.relais(&all).expect(0).json_lines();
        let ids = listed
            .iter()
            .map(|one| one["queue_id"].as_str().map(str::to_owned));
        ids.collect::<Option<Vec<_>>>().expect("ids")
    };
    assert_eq!(list(&["--state", "held"]), [of_scanner.as_str()]);
    let of_both = [of_scanner.as_str(), of_erp.as_str()];
    assert_eq!(list(&["--sender", "contoso.test"]), of_both);
    let held = list(&["--reason", "421", "--state", "held"]);
    assert_eq!(held, [of_scanner.as_str()]);
    assert!(list(&["--reason", "nobody said this"]).is_empty());
}
