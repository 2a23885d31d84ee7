//! `relais serve`: fails closed, says what to do next, reloads, drains.

use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{CONTOSO, Lines, Place, Server, bare, run};

#[test]
fn without_an_organisation_all_mail_is_refused_and_the_next_step_is_told() {
    let server = Place::new("").serve();
    server
        .told
        .wait_for("what it does and the next step", |line| {
            line.contains("refuses all mail") && line.contains("relais apply -f")
        });
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    assert!(
        session
            .say("MAIL FROM:<a@contoso.test>")
            .starts_with("250 ")
    );
    let reply = session.say("RCPT TO:<b@example.org>");
    assert!(
        reply.starts_with("550 5.7.1 Not registered for relay: 127.0.0.1 (SRC-UNKNOWN "),
        "{reply}"
    );
}

#[test]
fn the_server_starts_without_any_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = bare(&["serve"]);
    command
        .current_dir(folder.path())
        .env("RELAIS_DATA_DIR", "data")
        .env("RELAIS_LISTENER__0__ADDRESS", "127.0.0.1:0")
        .env("RELAIS_ADMIN__ADDRESS", "")
        .env("RELAIS_NONSENSE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let log = Lines::collect(child.stdout.take().expect("piped"));
    let told = Lines::collect(child.stderr.take().expect("piped"));
    told.wait_for("the first sentence", |line| {
        line.contains("refuses all mail until")
    });
    log.wait_for("the warning", |line| {
        line.contains("RELAIS_NONSENSE names no known key")
    });
    told.wait_for("the fingerprint", |line| {
        line.contains("TLS: self-signed certificate for ")
    });
    let health = |json: &[&str]| {
        let mut command = bare(json);
        command
            .current_dir(folder.path())
            .env("RELAIS_DATA_DIR", "data");
        run(command, "")
    };
    assert_eq!(health(&["health"]).expect(0).out, "Relais is ready.\n");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    health(&["health"]).expect(4);
}

#[test]
fn probes_metrics_and_pages_answer_on_the_admin_listener_and_the_api_to_keys_only() {
    let server = Server::with_settings(CONTOSO);
    assert_eq!(
        server.http("/livez"),
        (200, "Relais is running.\n".to_owned())
    );
    assert_eq!(
        server.http("/readyz"),
        (200, "Relais is ready.\n".to_owned())
    );
    let (status, metrics) = server.http("/metrics");
    assert_eq!(status, 200);
    for name in [
        "relais_build_info",
        "relais_queue_messages",
        "relais_connections",
        "relais_events_total",
    ] {
        assert!(metrics.contains(name), "{name}\n{metrics}");
    }
    for path in ["/api/v1/status", "/api/v1/settings", "/api/v1/trace"] {
        assert_eq!(server.http(path).0, 401, "{path}");
    }
    // To the page where one signs in.
    assert_eq!(server.http("/").0, 303);
}

#[test]
fn the_control_socket_is_for_owner_and_group_only() {
    use std::os::unix::fs::PermissionsExt;
    let server = Place::new("").serve();
    let socket = server.place.data_dir().join("control.sock");
    let mode = std::fs::metadata(socket)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn sigterm_ends_an_idle_session_with_421_and_the_server_with_0() {
    let server = Server::with_settings(CONTOSO);
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    server.signal("TERM");
    let reply = session.hear();
    assert!(reply.starts_with("421 4.3.2 "), "{reply}");
    let socket = server.place.data_dir().join("control.sock");
    let (status, _place) = server.ended();
    assert_eq!(status.code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_transaction_under_way_is_finished_before_the_end() {
    let server = Server::with_settings(CONTOSO);
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say("MAIL FROM:<a@contoso.test>");
    session.say("RCPT TO:<b@example.org>");
    session.say("DATA");
    server.signal("TERM");
    server
        .log
        .wait_for("shutting down", |line| line.contains("shutting down"));
    let reply = session.say("From: a@contoso.test\r\n\r\nhello\r\n.");
    assert!(reply.starts_with("250 2.0.0 Queued as "), "{reply}");
    let (status, place) = server.ended();
    assert_eq!(status.code(), Some(0));
    let queue = place
        .relais(&["--json", "queue", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(queue.len(), 1);
}

#[test]
fn a_second_signal_ends_at_once_and_what_was_promised_stays() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("a@contoso.test", "b@example.org");
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say("MAIL FROM:<a@contoso.test>");
    server.signal("TERM");
    server
        .log
        .wait_for("shutting down", |line| line.contains("shutting down"));
    server.signal("INT");
    let (status, place) = server.ended();
    assert_eq!(status.code(), Some(0));
    place.relais(&["queue", "show", &id]).expect(0);
}

#[test]
fn sighup_keeps_the_last_good_configuration_and_says_what_needs_a_restart() {
    let server = Server::with_settings(CONTOSO);
    let file = server.place.path("relais.toml");
    let good = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, format!("hostnme = \"x.test\"\n{good}")).expect("written");
    server.signal("HUP");
    let line = server
        .log
        .wait_for("the mistake", |line| line.contains("stays as it was"));
    assert!(
        line.contains("line 1, column 1") && line.contains("did you mean"),
        "{line}"
    );
    std::fs::write(
        &file,
        good.replace("relay.contoso.test", "other.contoso.test"),
    )
    .expect("written");
    server.signal("HUP");
    let line = server
        .log
        .wait_for("the restart", |line| line.contains("a restart is needed"));
    assert!(line.contains("hostname"), "{line}");
    server.send("a@contoso.test", "b@example.org");
}

#[test]
fn sighup_changes_the_form_of_the_log() {
    let server = Server::with_settings(CONTOSO);
    let file = server.place.path("relais.toml");
    let good = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, format!("{good}\n[log]\nformat = \"postfix\"\n")).expect("written");
    server.signal("HUP");
    server
        .log
        .wait_for("the reload", |line| line.contains("was read again"));
    let mut session = server.session();
    session.say("EHLO client.contoso.test");
    session.say("MAIL FROM:<x@fabrikam.test>");
    let line = server
        .log
        .wait_for("the refusal", |line| line.contains("NOQUEUE"));
    assert!(
        line.contains(
            "NOQUEUE: reject: MAIL from unknown[127.0.0.1]: 550 5.7.1 Sender domain not verified"
        ),
        "{line}"
    );
}

#[test]
fn a_port_that_is_taken_is_named_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let place = Place::new("");
    let mut command = place.command(&["serve"]);
    command.env("RELAIS_LISTENER__0__ADDRESS", &address);
    let answer = run(command, "").expect(1);
    assert!(
        answer.err.contains(&format!("cannot listen on {address}")),
        "{answer:?}"
    );
    assert!(
        answer.err.contains("another program listens there"),
        "{answer:?}"
    );
}

#[test]
fn a_second_server_on_the_same_folder_is_refused_and_harms_nothing() {
    let server = Server::with_settings(CONTOSO);
    let answer = server.relais(&["serve"]).expect(1);
    assert!(answer.err.contains("cannot be opened"), "{answer:?}");
    server.relais(&["health"]).expect(0);
    server.send("a@contoso.test", "b@example.org");
}

#[test]
fn a_wrong_bootstrap_file_is_refused_with_line_and_column() {
    let place = Place::new("[retention]\ntrace_day = 3\n");
    let answer = place.relais(&["serve"]).expect(1);
    assert!(answer.err.contains("relais.toml: line "), "{answer:?}");
    assert!(
        answer.err.contains("did you mean \"trace_days\"?"),
        "{answer:?}"
    );
}
