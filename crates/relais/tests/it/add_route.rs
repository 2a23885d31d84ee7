//! Ways out, made in a browser: drafts until they are enabled, then used as their scope says.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::browser::playwright;
use crate::receiver::Receiver;
use crate::support::{CONTOSO, Lines, Place, Server};

/// By which outbound connector mail of the printers would leave.
fn way_out(server: &Server) -> String {
    let asked = [
        "--json",
        "simulate",
        "--ip",
        "127.0.0.1",
        "--from",
        "scan@contoso.test",
        "--to",
        "bert@example.org",
    ];
    let told = server.relais(&asked).expect(0).json();
    told["outbound_connector"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_way_out_is_a_draft_until_it_was_tested_and_enabled() {
    let Some(modules) = playwright() else {
        return;
    };
    let (server, mail) = (Place::new("").serve(), Receiver::start());
    server.apply(CONTOSO).expect(0);
    let link = server.relais(&["setup-link"]).expect(0).out;
    let script = server.place.path("add-route.cjs");
    fs::write(&script, include_str!("add_route.cjs")).expect("written");
    let shots = std::env::var_os("RELAIS_SCREENSHOTS");
    let shots = shots.map_or_else(|| server.place.path("shots"), Into::into);
    fs::create_dir_all(&shots).expect("a folder");
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules)
        .arg(&script)
        .arg(link.trim())
        .arg(&shots)
        .arg(mail.address().to_string());
    node.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = node.spawn().expect("node starts");
    let told = Lines::collect(child.stdout.take().expect("piped"));
    let complained = Lines::collect(child.stderr.take().expect("piped"));
    told.wait_for("the draft", |line| line == "DRAFT" || line.starts_with('['));
    assert_eq!(way_out(&server), "Nowhere");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"go on\n").expect("written");
    let wrong = told.wait_for("the end", |line| line.starts_with('['));
    let status = child.wait().expect("node ends");
    assert!(
        status.success() && wrong == "[]",
        "{wrong}\n{:?}",
        complained.to_the_end()
    );
    assert_eq!(way_out(&server), "Any smart host");
    server.send("scan@contoso.test", "bert@example.org");
    assert_eq!(mail.wait_for_count(1)[0].to, ["<bert@example.org>"]);
}
