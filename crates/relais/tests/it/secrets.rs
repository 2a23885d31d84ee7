//! Secrets at rest, by the real binary: the key beside the database, in no backup, in no core file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{CONTOSO, Server};

#[test]
fn the_master_key_is_made_once_is_the_owners_alone_and_in_no_backup() {
    let server = Server::with_settings(CONTOSO);
    let file = server.place.data_dir().join("secret.key");
    let key = fs::read_to_string(&file).expect("made at the first start");
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let backup = server.place.path("backup");
    let target = backup.to_str().expect("UTF-8").to_owned();
    server.relais(&["backup", "create", &target]).expect(0);
    assert!(!backup.join("secret.key").exists());

    let (_, place) = server.stop();
    let server = place.serve();
    assert_eq!(fs::read_to_string(&file).expect("still there"), key);

    let rotated = server.relais(&["--json", "secret", "rotate-key"]).expect(0);
    let rotated = rotated.json();
    assert_ne!(rotated["key"], rotated["before"]);
    let new = fs::read_to_string(&file).expect("a new one");
    assert_ne!(new, key);
    let shown = server.relais(&["secret", "list"]).expect(0).out;
    assert!(
        shown.contains(rotated["key"].as_str().expect("a name")),
        "{shown}"
    );
    let audit = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(audit.contains("secret.key-rotated"), "{audit}");
    let digits = new.lines().last().expect("a key");
    let trace = server.relais(&["--json", "trace"]).expect(0).out;
    let export = server.relais(&["export"]).expect(0).out;
    let log = server.log.so_far().join("\n");
    for (what, text) in [
        ("audit", audit),
        ("trace", trace),
        ("export", export),
        ("log", log),
    ] {
        assert!(!text.contains(digits), "{what}");
    }
}

#[test]
fn a_server_whose_key_file_holds_no_key_says_so_and_takes_mail() {
    let (_, place) = Server::with_settings(CONTOSO).stop();
    fs::write(place.data_dir().join("secret.key"), "gone\n").expect("written");
    let server = place.serve();
    server.log.wait_for("what is wrong", |line| {
        line.contains("does not hold keys of 64 hexadecimal digits")
    });
    server.send("scan@contoso.test", "b@example.org");
    server.relais(&["secret", "rotate-key"]).expect(1);
}

#[test]
fn a_crash_of_the_server_leaves_no_core_file() {
    let server = Server::with_settings(CONTOSO);
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.process_id()));
    let limits = limits.expect("limits of a process of ours");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.expect("a limit").split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}

#[test]
fn a_key_of_systemd_or_of_the_environment_takes_over_from_the_file() {
    let server = Server::with_settings(CONTOSO);
    server.relais(&["secret", "rotate-bounce-key"]).expect(0);
    let (_, place) = server.stop();
    let file = place.data_dir().join("secret.key");
    let key = fs::read_to_string(&file).expect("a key");
    let credentials = place.path("credentials");
    fs::create_dir(&credentials).expect("room");
    fs::write(credentials.join("relais-secret-key"), key).expect("room");
    let source = |server: &Server| {
        let listed = server.relais(&["--json", "secret", "list"]).expect(0);
        let readable = listed.json_lines();
        assert!(
            readable.iter().all(|one| one["readable"] == true) && !readable.is_empty(),
            "{readable:?}"
        );
        server.relais(&["secret", "list"]).expect(0).out
    };

    // Then the file is not needed any more.
    fs::remove_file(&file).expect("it was there");
    let server = place
        .with_variable("CREDENTIALS_DIRECTORY", &credentials)
        .serve();
    let shown = source(&server);
    assert!(shown.contains(", from the systemd credential"), "{shown}");
    assert!(!file.exists(), "none is made beside it");

    let (_, place) = server.stop();
    let place = place.with_variable("RELAIS_SECRET_KEY", "ef".repeat(32));
    let server = place.serve();
    let shown = source(&server);
    assert!(shown.contains("(RELAIS_SECRET_KEY)"), "{shown}");
    let refused = server.relais(&["secret", "rotate-key"]).expect(1);
    assert!(refused.err.contains("put the new key there"), "{refused:?}");
}
