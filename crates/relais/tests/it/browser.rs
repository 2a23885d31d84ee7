//! The admin centre in a real browser (Debian's Chromium by playwright-core): each page in both
//! languages, dark and narrow, without one word on the console.
//!
//! Without browser or playwright-core the test is skipped, and says so: `./ci` installs both.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Answer, BEHIND_PROXY, CONTOSO, Place, Server, is_installed, run};

/// What the browser does.
const WALK: &str = include_str!("browser.cjs");

/// Where playwright-core lies; none, which is said, where it or what it needs is missing.
pub(crate) fn playwright() -> Option<PathBuf> {
    let tools = env::var_os("RELAIS_TOOLS").map(PathBuf::from);
    let modules = tools.unwrap_or_default().join("node_modules");
    let is_there = modules.join("playwright-core").is_dir();
    if is_installed("node") && is_installed("chromium") && is_there {
        return Some(modules);
    }
    eprintln!("SKIPPED: node, chromium, or playwright-core in RELAIS_TOOLS is missing");
    None
}

/// A server with a message that waits, whose subject is hostile, and a refused attempt.
pub(crate) fn with_mail() -> Server {
    let server = Place::new(BEHIND_PROXY).serve();
    let settings = CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]");
    server.apply(&settings).expect(0);
    for client in ["10.1.2.9", "10.1.3.7"] {
        let mut session = server.session_from(client);
        session.hear();
        session.say("EHLO scan");
        session.say("MAIL FROM:<scan@contoso.test>");
        session.say("RCPT TO:<b@example.invalid>");
        if client == "10.1.2.9" {
            session.say("DATA");
            let taken = session
                .say("Subject: <b onmouseover=alert(1)>\r\nFrom: scan@contoso.test\r\n\r\nx\r\n.");
            let id = taken.rsplit(' ').next().expect("an id");
            server.await_event("message.accepted", id);
        }
    }
    server
}

/// Runs a script with a link to set up, the folder for its pictures, and more; gives that folder.
pub(crate) fn play(
    server: &Server,
    modules: &Path,
    script: &str,
    more: &[String],
) -> (Answer, PathBuf) {
    let link = server.relais(&["setup-link"]).expect(0).out;
    let file = server.place.path("walk.cjs");
    fs::write(&file, script).expect("written");
    let shots = env::var_os("RELAIS_SCREENSHOTS");
    let shots = shots.map_or_else(|| server.place.path("shots"), Into::into);
    fs::create_dir_all(&shots).expect("a folder");
    let mut walk = Command::new("node");
    walk.env("NODE_PATH", modules)
        .arg(&file)
        .arg(link.trim())
        .arg(&shots)
        .args(more);
    (run(walk, ""), shots)
}

#[test]
fn a_person_walks_through_all_pages_and_the_console_stays_silent() {
    let Some(modules) = playwright() else {
        return;
    };
    let server = with_mail();
    let port = server.listener(1).port().to_string();
    let (walked, shots) = play(&server, &modules, WALK, &[port]);
    assert_eq!(
        (walked.code, walked.out.trim()),
        (0, "[]"),
        "{}",
        walked.err
    );
    assert!(fs::read_dir(&shots).expect("a folder").count() > 25);
}
