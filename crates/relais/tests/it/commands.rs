//! The commands against a running server: what they say, and their exit codes.

use serde_json::{Value, json};

use crate::support::{CONTOSO, Place, Server};

fn words(answer: &Value) -> Vec<&str> {
    answer
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn apply_shows_the_difference_changes_nothing_in_a_dry_run_and_nothing_twice() {
    let server = Place::new("").serve();
    let dry = server
        .place
        .relais_with(&["--json", "apply", "-f", "-", "--dry-run"], CONTOSO)
        .expect(0)
        .json();
    assert_eq!(
        (&dry["dry_run"], &dry["version"]),
        (&json!(true), &json!(0))
    );
    assert!(
        dry["changes"].as_array().expect("a list").len() >= 4,
        "{dry}"
    );
    assert_eq!(
        server.relais(&["--json", "status"]).expect(0).json()["organisations"],
        0
    );

    let first = server.apply(CONTOSO).expect(0);
    assert!(
        first
            .out
            .contains("+ organisation contoso, inbound connector Printers"),
        "{first:?}"
    );
    let second = server.apply(CONTOSO).expect(0);
    assert!(
        second
            .out
            .contains("Nothing to change; the settings stay at version 1"),
        "{second:?}"
    );
}

#[test]
fn what_is_exported_is_applied_without_a_change() {
    let server = Server::with_settings(CONTOSO);
    let exported = server.relais(&["export"]).expect(0).out;
    let again = server.apply(&exported).expect(0);
    assert!(again.out.contains("Nothing to change"), "{again:?}");
    let file = server.place.path("export.toml");
    let target = file.to_str().expect("UTF-8").to_owned();
    server.relais(&["export", "-o", &target]).expect(0);
    assert_eq!(std::fs::read_to_string(file).expect("written"), exported);
}

#[test]
fn prune_removes_what_the_file_does_not_name_and_only_then() {
    let server = Server::with_settings(CONTOSO);
    let less = CONTOSO.replace("[[organisation.outbound_connector]]\nname = \"Nowhere\"\nsmart_hosts = [\"127.0.0.1:9\"]\n", "");
    server.apply(&less).expect(0);
    assert_eq!(
        server
            .relais(&["--json", "connector", "outbound", "list"])
            .expect(0)
            .json_lines()
            .len(),
        1
    );
    let pruned = server
        .place
        .relais_with(&["apply", "-f", "-", "--prune"], &less)
        .expect(0);
    assert!(
        pruned
            .out
            .contains("- organisation contoso, outbound connector Nowhere"),
        "{pruned:?}"
    );
    assert!(
        server
            .relais(&["--json", "connector", "outbound", "list"])
            .expect(0)
            .json_lines()
            .is_empty()
    );
}

#[test]
fn settings_that_cannot_be_are_refused_whole_with_every_reason() {
    let server = Server::with_settings(CONTOSO);
    let two = format!("{CONTOSO}\n[[organisation]]\nname = \"fabrikam\"\n");
    let answer = server.apply(&two).expect(1);
    assert!(
        answer.err.contains("fabrikam") || answer.err.contains("one organisation"),
        "{answer:?}"
    );
    let wrong = CONTOSO.replace("it@contoso.test", "nobody");
    server.apply(&wrong).expect(1);
    assert_eq!(
        server.relais(&["--json", "status"]).expect(0).json()["settings_version"],
        1
    );
}

#[test]
fn a_change_reaches_an_open_session_with_its_next_transaction() {
    let server = Server::with_settings(CONTOSO);
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    let mail = "MAIL FROM:<a@contoso.test>";
    assert!(session.say(mail).starts_with("250 "));
    server
        .relais(&["connector", "inbound", "disable", "Printers"])
        .expect(0);
    assert!(session.say("RCPT TO:<b@example.org>").starts_with("250 "));
    session.say("RSET");
    let reply = session.say(mail);
    assert!(reply.contains("(CONN-OFF "), "{reply}");
}

#[test]
fn simulate_gives_the_verdict_of_the_wire_and_exit_code_0_for_both() {
    let server = Server::with_settings(CONTOSO);
    let ask = |from: &str| {
        server
            .relais(&[
                "--json",
                "simulate",
                "--ip",
                "127.0.0.1",
                "--from",
                from,
                "--to",
                "b@example.org",
            ])
            .expect(0)
            .json()
    };
    let permitted = ask("a@contoso.test");
    assert_eq!(permitted["verdict"], "permit");
    assert_eq!(permitted["inbound_connector"], "Printers");
    assert_eq!(permitted["outbound_connector"], "Nowhere");
    assert_eq!(
        permitted["route"],
        json!({ "kind": "smart-host", "hosts": ["127.0.0.1:9"] })
    );
    let refused = ask("a@fabrikam.test");
    assert_eq!(
        (&refused["verdict"], &refused["token"]),
        (&json!("refuse"), &json!("FROM-DOMAIN"))
    );
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    let reply = session.say("MAIL FROM:<a@fabrikam.test>");
    let simulated = refused["reply"].as_str().expect("a reply");
    // All but the reference, which is new each time.
    assert_eq!(reply[..reply.len() - 7], simulated[..simulated.len() - 7]);
    server
        .relais(&[
            "simulate",
            "--ip",
            "127.0.0.1",
            "--from",
            "a@contoso.test",
            "--to",
            "nonsense",
        ])
        .expect(1);
}

#[test]
fn a_refusal_is_found_by_its_reference_in_why_attempts_and_trace() {
    let server = Server::with_settings(CONTOSO);
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    let reply = session.say("MAIL FROM:<a@fabrikam.test>");
    let reference = &reply[reply.len() - 6..reply.len() - 1];
    server
        .log
        .wait_for("the refusal", |line| line.contains(reference));
    let why = server
        .relais(&["--json", "why", reference])
        .expect(0)
        .json();
    assert_eq!(why["events"][0]["token"], "FROM-DOMAIN");
    assert_eq!(why["now"][0]["decision"]["token"], "FROM-DOMAIN");
    let text = server.relais(&["why", reference]).expect(0).out;
    assert!(
        text.contains("Sender domain not verified: fabrikam.test"),
        "{text}"
    );
    let fix = relais_smtp::refusal::CATALOGUE
        .iter()
        .find(|entry| entry.token() == "FROM-DOMAIN")
        .expect("it is there")
        .fix_en;
    assert!(text.contains(fix), "the cause and what to do: {text}");
    let attempts = server
        .relais(&["--json", "attempts", "list", "--since", "1h"])
        .expect(0)
        .json_lines();
    assert_eq!(attempts[0]["reference"], reference);
    assert_eq!(attempts[0]["address"], "127.0.0.1");
    assert_eq!(attempts[0]["count"], 1);
    let found = server
        .relais(&["--json", "trace", &format!("ref:{reference}")])
        .expect(0)
        .json_lines();
    assert_eq!(found.len(), 1);
    server.relais(&["why", "22222"]).expect(3);
    server.relais(&["why", "0000000000000"]).expect(3);
    assert!(
        server
            .relais(&["trace", "token:NOTHING"])
            .expect(0)
            .out
            .is_empty()
    );
    server.relais(&["trace", "nonsense:x"]).expect(1);
}

#[test]
fn the_queue_is_shown_and_changed() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("scan@contoso.test", "b@example.org");
    server.await_event("recipient.deferred", &id);
    let listed = server
        .relais(&["--json", "queue", "list", "--destination", "example.org"])
        .expect(0)
        .json_lines();
    assert_eq!(listed[0]["queue_id"], id.as_str());
    assert_eq!(listed[0]["organisation"], "contoso");
    assert_eq!(listed[0]["recipients"][0]["state"], "deferred");
    assert_eq!(listed[0]["recipients"][0]["attempts"], 1);
    assert!(
        server
            .relais(&["--json", "queue", "list", "--older", "1h"])
            .expect(0)
            .json_lines()
            .is_empty()
    );

    assert_eq!(
        server
            .relais(&["--json", "queue", "hold", &id])
            .expect(0)
            .json()["changed"],
        1
    );
    server.await_event("recipient.held", &id);
    assert_eq!(
        server.relais(&["--json", "status"]).expect(0).json()["held"],
        1
    );
    let asked = server.relais(&["queue", "release", "--all"]).expect(2);
    assert!(
        asked.err.contains("1 message(s) with 1 recipient(s)"),
        "{asked:?}"
    );
    assert_eq!(
        server
            .relais(&["--json", "queue", "release", "--all", "--yes"])
            .expect(0)
            .json()["changed"],
        1
    );
    server.relais(&["queue", "delete"]).expect(2);
    server.relais(&["queue", "show", "0000000000000"]).expect(3);
    server
        .relais(&["queue", "delete", "0000000000000"])
        .expect(3);
}

#[test]
fn bounce_gives_up_with_a_notice_and_delete_without() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("anna@contoso.test", "b@example.org");
    server.await_event("recipient.deferred", &id);
    server.relais(&["queue", "bounce", &id]).expect(0);
    server.await_event("recipient.failed", &id);
    server.await_event("notice.sent", &id);
    let other = server.send("anna@contoso.test", "c@example.org");
    server
        .log
        .wait_for("the attempt", |line| line.contains(&other));
    server.relais(&["queue", "hold", &other]).expect(0);
    server.await_event("recipient.held", &other);
    server.relais(&["queue", "delete", &other]).expect(0);
    server.await_event("recipient.discarded", &other);
    server.relais(&["queue", "show", &other]).expect(3);
}

#[test]
fn a_destination_is_suspended_and_resumed() {
    let server = Server::with_settings(CONTOSO);
    let on = server
        .relais(&["--json", "queue", "suspend", "Example.ORG"])
        .expect(0)
        .json();
    assert_eq!(words(&on["destinations"]), ["example.org"]);
    let off = server
        .relais(&["--json", "queue", "resume", "example.org"])
        .expect(0)
        .json();
    assert!(words(&off["destinations"]).is_empty());
    server
        .relais(&["queue", "suspend", "not a domain"])
        .expect(1);
    server.relais(&["queue", "resume", "example.org"]).expect(3);
}

#[test]
fn a_suspension_says_why_and_until_when_and_may_concern_one_organisation() {
    let server = Server::with_settings(CONTOSO);
    let suspend = ["--json", "queue", "suspend", "example.org"];
    let of_one = [
        "--organisation",
        "contoso",
        "--until",
        "2h",
        "--reason",
        "moving house",
    ];
    let on = server
        .relais(&[&suspend[..], &of_one].concat())
        .expect(0)
        .json();
    assert!(words(&on["destinations"]).is_empty());
    let one = &on["suspensions"][0];
    assert_eq!(one["destination"], "example.org");
    assert_eq!(one["organisation"], "contoso");
    assert_eq!(one["reason"], "moving house");
    assert!(one["until"].as_str().is_some(), "{one}");
    let shown = server.relais(&["queue", "suspended"]).expect(0).out;
    assert!(shown.contains("moving house"), "{shown}");
    server.relais(&["queue", "suspend"]).expect(2);
    server
        .relais(&["queue", "suspend", "--organisation", "nobody"])
        .expect(3);
    server
        .relais(&["queue", "suspend", "--all", "--until", "2020-01-01"])
        .expect(1);
    server
        .relais(&[
            "queue",
            "resume",
            "example.org",
            "--organisation",
            "contoso",
        ])
        .expect(0);
    let shown = server.relais(&["queue", "suspended"]).expect(0).out;
    assert_eq!(shown, "Nothing is suspended.\n");
}

#[test]
fn set_changes_one_key_and_leaves_the_others() {
    let server = Server::with_settings(CONTOSO);
    let show = || {
        server
            .relais(&["--json", "connector", "inbound", "show", "Printers"])
            .expect(0)
            .json()
    };
    let before = show();
    server
        .relais(&[
            "connector",
            "inbound",
            "set",
            "Printers",
            "--state",
            "observing",
            "--messages-per-minute",
            "60",
        ])
        .expect(0);
    let after = show();
    assert_eq!(after["state"], "observing");
    assert_eq!(after["limits"]["messages_per_minute"], 60);
    for key in ["sender_ip_addresses", "preset", "owner", "sender_domains"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    server
        .relais(&["connector", "inbound", "set", "Printers"])
        .expect(2);
    server
        .relais(&[
            "connector",
            "inbound",
            "set",
            "Nobody",
            "--state",
            "enabled",
        ])
        .expect(3);
    server
        .relais(&["connector", "inbound", "set", "Printers", "--ip", "10.1.2"])
        .expect(2);
    server
        .relais(&["connector", "inbound", "delete", "Printers"])
        .expect(0);
    server
        .relais(&["connector", "inbound", "show", "Printers"])
        .expect(3);
}

#[test]
fn an_organisation_is_built_up_command_by_command() {
    let server = Place::new("").serve();
    server.relais(&["domain", "add", "contoso.test"]).expect(3);
    server
        .relais(&[
            "organisation",
            "add",
            "contoso",
            "--postmaster",
            "it@contoso.test",
        ])
        .expect(0);
    server.relais(&["organisation", "add", "contoso"]).expect(1);
    server
        .relais(&["organisation", "set", "contoso", "--language", "fr"])
        .expect(0);
    server.relais(&["domain", "add", "contoso.test"]).expect(0);
    server
        .relais(&[
            "connector",
            "inbound",
            "add",
            "Printers",
            "--ip",
            "10.1.2.0/24,127.0.0.1",
        ])
        .expect(0);
    server
        .relais(&[
            "connector",
            "outbound",
            "add",
            "Nowhere",
            "--smart-host",
            "127.0.0.1:9",
            "--lifetime",
            "24h",
        ])
        .expect(0);
    let domain = &server
        .relais(&["--json", "domain", "list"])
        .expect(0)
        .json_lines()[0];
    assert_eq!(domain["state"], "pending");
    server
        .relais(&["domain", "verify", "fabrikam.test", "--assume"])
        .expect(3);
    server
        .relais(&["domain", "verify", "contoso.test", "--assume"])
        .expect(0);
    server.send("scan@contoso.test", "b@example.org");
    let audit = server
        .relais(&["--json", "audit", "list"])
        .expect(0)
        .json_lines();
    let last = &audit[0];
    assert!(
        last["actor"].as_str().expect("a name").starts_with("uid "),
        "{last}"
    );
    assert!(words(&last["detail"])[0].contains("verification"), "{last}");
    server.relais(&["audit", "verify"]).expect(0);
}

#[test]
fn the_directory_is_imported_from_csv() {
    let server = Server::with_settings(CONTOSO);
    let csv = "address,mailbox\nanna@contoso.test,false\nbernd@contoso.test,true\n";
    let answer = server
        .place
        .relais_with(&["directory", "import", "-"], csv)
        .expect(0);
    assert_eq!(answer.out, "2 entries read: 1 new, 1 changed, 0 removed.\n");
    let listed = server
        .relais(&["--json", "directory", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["mailbox"], false);
    let answer = server
        .place
        .relais_with(&["directory", "import", "-"], "no address\n")
        .expect(1);
    assert!(answer.err.contains("column"), "{answer:?}");
}

#[test]
fn live_events_are_printed_as_they_come() {
    let server = Server::with_settings(CONTOSO);
    let mut command =
        server
            .place
            .command(&["--json", "trace", "--live", "event:message.accepted"]);
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let lines = crate::support::Lines::collect(child.stdout.take().expect("piped"));
    // Until the first line has come, it is not known whether the reader listens already.
    let id = loop {
        let id = server.send("a@contoso.test", "b@example.org");
        server.await_event("message.accepted", &id);
        if !lines.so_far().is_empty() {
            break id;
        }
    };
    let line = lines.wait_for("the event", |line| line.contains(&id));
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["event"], "message.accepted");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn a_backup_is_made_while_mail_goes_on_verified_and_restored_held() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("a@contoso.test", "b@example.org");
    server.await_event("recipient.deferred", &id);
    let folder = server.place.path("backup");
    let target = folder.to_str().expect("UTF-8").to_owned();
    let made = server
        .relais(&["--json", "backup", "create", &target])
        .expect(0)
        .json();
    assert_eq!(
        (&made["messages"], &made["settings_version"]),
        (&json!(1), &json!(1))
    );
    server.relais(&["backup", "create", &target]).expect(1);
    server.relais(&["backup", "verify", &target]).expect(0);
    server.relais(&["backup", "restore", &target]).expect(1);
    let (_, place) = server.stop();
    place.relais(&["backup", "restore", &target]).expect(1);
    std::fs::remove_dir_all(place.data_dir()).expect("removed");
    let restored = place.relais(&["backup", "restore", &target]).expect(0);
    assert!(restored.out.contains("held"), "{restored:?}");
    let server = place.serve();
    server.relais(&["queue", "list"]).expect(0);
    assert_eq!(
        server.relais(&["--json", "status"]).expect(0).json()["held"],
        1
    );
    server.relais(&["queue", "release", &id]).expect(0);

    let database = folder.join("queue.db");
    let mut octets = std::fs::read(&database).expect("the copy");
    let middle = octets.len() / 2;
    octets[middle] ^= 0xff;
    std::fs::write(&database, octets).expect("written");
    server.relais(&["backup", "verify", &target]).expect(4);
}

#[test]
fn a_card_is_printed_in_the_makers_words_as_text_and_as_pdf() {
    let server = Server::with_settings(CONTOSO);
    let card = ["card", "Printers", "--vendor", "epson", "--ip", "10.1.0.5"];
    let text = server.relais(&card).expect(0).out;
    let line = text
        .lines()
        .find(|line| line.contains("SMTP Server Address"))
        .expect("Epson's word");
    assert!(line.ends_with("relay.contoso.test (or 10.1.0.5)"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let french = [&card[..], &["--lang", "fr", "--site", "Lyon"]].concat();
    let french = server.relais(&french).expect(0).out;
    assert!(
        french.contains("Serveur SMTP") && french.contains("\nLyon\n"),
        "{french}"
    );

    let file = server.place.path("card.pdf");
    let target = file.to_str().expect("UTF-8");
    let pdf = [&card[..], &["--format", "pdf", "--output", target]].concat();
    assert_eq!(server.relais(&pdf).expect(0).out, "");
    let octets = std::fs::read(&file).expect("a file");
    assert!(octets.starts_with(b"%PDF-") && octets.trim_ascii_end().ends_with(b"%%EOF"));

    let told = server
        .relais(&["--json", "card", "Printers"])
        .expect(0)
        .json();
    assert_eq!(told["rows"][0]["label"], "SMTP server");
    assert_eq!(told["maker"], Value::Null);
    let unknown = server.relais(&["card", "Printers", "--vendor", "Olivetti"]);
    assert!(unknown.code != 0, "{unknown:?}");
    let said = "There is no card for \"Olivetti\": there are Brother,";
    assert!(unknown.err.contains(said), "{unknown:?}");
    server.relais(&["card", "Scanners"]).expect(3);
}
