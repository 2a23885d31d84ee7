//! Passkeys, by the real binary in a real browser, with devices that the browser pretends to have.

use serde_json::Value;

use crate::browser::{play, playwright};
use crate::support::{CONTOSO, Place, Server};
use crate::web::{Browser, PASSWORD, audit, first};

/// What the browser does.
const WALK: &str = include_str!("passkeys.cjs");

fn demanding() -> Server {
    let place = Place::new("").with_admin("second_factor = \"required\"");
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    server
}

/// Entries of the audit with this act whose detail says this.
fn told(server: &Server, act: &str, detail: &str) -> usize {
    let all = audit(server);
    let is_it = |one: &&Value| one["act"] == act && one["detail"].to_string().contains(detail);
    all.iter().filter(is_it).count()
}

#[test]
fn in_a_browser_passkeys_let_their_person_in_and_a_copied_device_lets_nobody_in() {
    let Some(modules) = playwright() else {
        return;
    };
    let server = demanding();
    drop(first(&server, "en"));
    let more = [PASSWORD.to_owned()];
    let (walked, _) = play(&server, &modules, WALK, &more);
    let found = (walked.code, walked.out.trim());
    assert_eq!(found, (0, "[]"), "{}", walked.err);
    for (act, detail, count) in [
        (
            "admin.passkey-added",
            "anna: Telephone <b>, for localhost",
            1,
        ),
        ("admin.passkey-added", "anna: Key in the safe", 1),
        ("admin.passkey-removed", "anna: Telephone <b>", 1),
        ("admin.signed-in", "by passkey", 3),
        ("admin.signed-in", "by password and passkey", 1),
    ] {
        assert_eq!(told(&server, act, detail), count, "{act} {detail}");
    }
    let tried = ["--json", "trace", "event:auth.failed"];
    let tried = server.relais(&tried).expect(0).out;
    assert!(tried.contains("by passkey: "), "{tried}");
    assert!(tried.to_lowercase().contains("counter"), "{tried}");
    // All devices lost: the machine lets back in.
    let listed = server.relais(&["--json", "admin", "list"]).expect(0);
    assert_eq!(listed.json_lines()[0]["passkeys"], 1);
    let reset = ["--json", "admin", "reset", "anna", "--second-factor"];
    let reset = server.relais(&reset).expect(0).json();
    let password = reset["password"].as_str().expect("told");
    let mut browser = Browser::new(&server, "en");
    browser.sign_in("anna", password).expect(303);
    let listed = server.relais(&["--json", "admin", "list"]).expect(0);
    assert_eq!(listed.json_lines()[0]["passkeys"], 0);
    assert!(listed.json_lines()[0]["second_factor"].is_null());
    assert_eq!(told(&server, "admin.passkey-removed", "Key in the safe"), 1);
}

#[test]
fn where_there_is_no_name_the_page_says_so_and_no_passkey_is_begun() {
    let server = demanding();
    let mut browser = first(&server, "fr");
    let account = browser.get("/account").expect(200);
    account.shows("ouverte par une adresse IP");
    let token = account.field("form_token");
    let begin = [
        ("form_token", &*token),
        ("act", "begin"),
        ("old", PASSWORD),
        ("name", "x"),
    ];
    let refused = browser.post("/account/passkeys", &begin).expect(422);
    refused.shows("ouverte par une adresse IP");
    let wrong = [
        ("form_token", &*token),
        ("act", "begin"),
        ("old", "not it"),
        ("name", "x"),
    ];
    browser.post("/account/passkeys", &wrong).expect(422);
    let asked = browser.post("/sign-in/passkey/question", &[]).expect(400);
    asked.shows("adresse IP");
}
