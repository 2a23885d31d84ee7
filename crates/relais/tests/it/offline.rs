//! Without a server: what reads the data folder works, what changes says so with exit code 75.

use crate::support::{CONTOSO, Place, Server};

#[test]
fn without_a_data_folder_every_command_says_how_to_start() {
    let place = Place::new("");
    for arguments in [&["status"][..], &["trace"], &["queue", "list"], &["export"]] {
        let answer = place.relais(arguments).expect(75);
        assert!(
            answer.err.contains("start it with `relais serve`"),
            "{answer:?}"
        );
        assert_eq!(answer.err.lines().count(), 1, "{answer:?}");
    }
    let answer = place.relais_with(&["apply", "-f", "-"], CONTOSO).expect(75);
    assert!(
        answer.err.contains("Relais is not running here"),
        "{answer:?}"
    );
    place.relais(&["health"]).expect(4);
}

#[test]
fn after_the_server_has_stopped_its_data_can_be_read_and_not_changed() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("scan@contoso.test", "b@example.org");
    server.await_event("recipient.deferred", &id);
    let exported = server.relais(&["export"]).expect(0).out;
    let (status, place) = server.stop();
    assert_eq!(status.code(), Some(0));

    let now = place.relais(&["--json", "status"]).expect(0).json();
    assert_eq!(now["ready"], false);
    assert_eq!(now["deferred"], 1);
    assert_eq!(place.relais(&["export"]).expect(0).out, exported);
    let queue = place
        .relais(&["--json", "queue", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(queue[0]["queue_id"], id.as_str());
    place.relais(&["queue", "show", &id]).expect(0);
    let events = place
        .relais(&["--json", "trace", &format!("id:{id}")])
        .expect(0)
        .json_lines();
    assert_eq!(events.last().expect("events")["event"], "message.accepted");
    place.relais(&["why", &id]).expect(0);
    place.relais(&["audit", "verify"]).expect(0);
    place.relais(&["attempts", "list"]).expect(0);
    let decision = [
        "--json",
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "a@contoso.test",
        "--to",
        "b@example.org",
    ];
    assert_eq!(
        place.relais(&decision).expect(0).json()["verdict"],
        "permit"
    );

    place.relais_with(&["apply", "-f", "-"], CONTOSO).expect(75);
    place.relais(&["queue", "hold", &id]).expect(75);
    place
        .relais(&["connector", "inbound", "disable", "Printers"])
        .expect(75);
    place.relais(&["trace", "--live"]).expect(75);
}

#[test]
fn a_server_that_was_stopped_goes_on_where_it_was() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("scan@contoso.test", "b@example.org");
    server.await_event("recipient.deferred", &id);
    let (_, place) = server.stop();
    let server = place.serve();
    // Asked first because it waits until the whole queue is known.
    server.relais(&["queue", "list"]).expect(0);
    let now = server.relais(&["--json", "status"]).expect(0).json();
    assert_eq!((&now["ready"], &now["deferred"]), (&true.into(), &1.into()));
    let metrics = server.http("/metrics").1;
    assert!(
        metrics.contains("relais_unaccounted_recipients 0"),
        "{metrics}"
    );
}

#[test]
fn a_package_gets_a_manual_page_for_each_command() {
    let place = Place::new("");
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    place
        .relais(&["reference", "--man", pages.to_str().expect("a path")])
        .expect(0);
    let read = |name: &str| std::fs::read_to_string(pages.join(name)).expect(name);
    let main = read("relais.1");
    assert!(main.contains(".TH relais 1"), "{main}");
    assert!(main.contains("relais\\-queue(1)"), "{main}");
    assert!(!main.contains("relais\\-reference"), "{main}");
    assert!(read("relais-queue-retry.1").contains("Try now"));
    place.relais(&["reference"]).expect(2);
}

#[test]
fn a_settings_file_is_checked_before_a_server_is_asked() {
    let place = Place::new("");
    let answer = place
        .relais_with(
            &["apply", "-f", "-"],
            "[[organisation]]\nnme = \"contoso\"\n",
        )
        .expect(1);
    assert!(
        answer.err.contains("standard input: line 2, column 1"),
        "{answer:?}"
    );
    assert!(answer.err.contains("name"), "{answer:?}");
    place
        .relais(&["apply", "-f", "/nowhere/settings.toml"])
        .expect(1);
}
