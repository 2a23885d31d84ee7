//! People of the admin centre, by the real binary: roles in a browser, sessions, second factors.

use std::fs;
use std::time::SystemTime;

use serde_json::json;

use crate::authority::openssl_with;
use crate::browser::{play, playwright};
use crate::provider::{CLIENT_SECRET, Provider};
use crate::support::{BEHIND_PROXY, CONTOSO, Place, Server};
use crate::web::{Browser, PASSWORD, Page, audit, first, first_at};

/// What the browser does.
const WALK: &str = include_str!("people.cjs");
/// Seconds of one code. RFC 6238 §5.2.
const STEP_SECONDS: u64 = 30;

/// What an authenticator app shows for this key, so many steps from now. RFC 6238.
fn code(server: &Server, key: &str, steps: i64) -> String {
    let digit = |one: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(one);
    let five = key.chars().map(|one| digit(one).expect("base32"));
    let bits: Vec<u8> = five
        .flat_map(|five| (0..5).rev().map(move |bit| u8::from(five >> bit & 1 == 1)))
        .collect();
    let octets = bits.chunks_exact(8);
    let octets = octets.map(|eight| eight.iter().fold(0_u8, |all, bit| all << 1 | bit));
    let hexadecimal: String = octets.map(|octet| format!("{octet:02x}")).collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let step = now.expect("after 1970").as_secs() / STEP_SECONDS;
    let step = step.checked_add_signed(steps).expect("some time yet");
    let (asked, told) = (server.place.path("step"), server.place.path("tag"));
    fs::write(&asked, step.to_be_bytes()).expect("written");
    let arguments = format!(
        "dgst -sha1 -mac HMAC -macopt hexkey:{hexadecimal} -binary -out {} {}",
        told.display(),
        asked.display()
    );
    let done = openssl_with(&arguments, "");
    assert_eq!(done.code, 0, "{done:?}");
    let tag = fs::read(told).expect("a tag");
    let at = usize::from(tag[19] & 0x0f);
    let number = u32::from_be_bytes(tag[at..at + 4].try_into().expect("four")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The key that the page shows for typing.
#[track_caller]
fn shown_key(page: &Page) -> String {
    let (_, rest) = page
        .body
        .split_once("<code class=\"copy\">")
        .expect("a key");
    rest.split('<').next().unwrap_or_default().to_owned()
}

/// All recovery codes of the page that tells them.
fn recovery_codes(page: &Page) -> Vec<String> {
    let parts = page.body.split("<li><code>").skip(1);
    let code = |part: &str| part.split('<').next().unwrap_or_default().to_owned();
    parts.map(code).collect()
}

/// A second factor that was taken on.
struct Factor {
    key: String,
    /// The code that confirmed it.
    shown: String,
    recovery: Vec<String>,
}

fn enrol(server: &Server, browser: &mut Browser<'_>) -> Factor {
    let token = browser.token();
    let begin = [("form_token", &*token), ("act", "begin"), ("old", PASSWORD)];
    let shown = browser.post("/account/factor", &begin).expect(200);
    shown.shows("<svg ");
    let key = shown_key(&shown);
    let confirm = |typed: &str| {
        [
            ("form_token", token.clone()),
            ("act", "confirm".to_owned()),
            ("code", typed.to_owned()),
        ]
    };
    let mut post = |typed: &str| {
        let form = confirm(typed);
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.post("/account/factor", &form)
    };
    post("000").expect(200).shows("not valid now");
    let shown = code(server, &key, 0);
    let recovery = recovery_codes(&post(&shown).expect(200));
    assert_eq!(recovery.len(), 10, "{recovery:?}");
    Factor {
        key,
        shown,
        recovery,
    }
}

/// The password is right: the token of the page that asks for a code.
#[track_caller]
fn half_way(browser: &mut Browser<'_>) -> String {
    let asked = browser.sign_in("anna", PASSWORD).expect(200);
    assert!(asked.header("set-cookie").is_none(), "no session yet");
    asked.shows("one of your recovery codes");
    asked.field("pending")
}

fn show_code(browser: &mut Browser<'_>, pending: &str, code: &str) -> Page {
    browser.post("/sign-in/code", &[("pending", pending), ("code", code)])
}

#[test]
fn a_session_outlives_a_restart_and_ends_when_its_person_or_an_owner_says_so() {
    let server = Server::with_settings(CONTOSO);
    let (here, token) = {
        let browser = first(&server, "en");
        (browser.cookie.clone(), browser.token())
    };
    let (_, place) = server.stop();
    let server = place.serve();
    let mut browser = Browser::new(&server, "en");
    browser.cookie = here;
    browser.get("/").expect(200);
    // Its forms count as before.
    assert_eq!(browser.token(), token);
    let mut other = Browser::new(&server, "en");
    other.sign_in("anna", PASSWORD).expect(303);
    let shown = browser.get("/account").expect(200);
    let ids: Vec<_> = shown.body.split("name=\"id\" value=\"").skip(1).collect();
    assert_eq!(ids.len(), 1, "its own one is not offered: {}", shown.body);
    let id = ids[0].split('"').next().expect("a name");
    let end = [("form_token", &*token), ("id", id)];
    browser.post("/account/sessions", &end).expect(303);
    other.get("/").expect(303);
    browser.get("/").expect(200);
    // By an owner on the machine.
    let list = server.relais(&["--json", "admin", "sessions"]).expect(0);
    assert_eq!(list.json_lines().len(), 1);
    assert!(
        !list
            .out
            .contains(&browser.cookie["relais_session=".len()..])
    );
    server.relais(&["admin", "sign-out", "anna"]).expect(0);
    browser.get("/").expect(303);
    assert_ne!(server.relais(&["admin", "sign-out", "anna"]).code, 0);
    let told = audit(&server);
    let told = told.iter().find(|one| one["act"] == "admin.signed-out");
    assert!(told.is_some_and(|one| one["via"] == "socket"), "{told:?}");
}

#[test]
fn with_a_second_factor_the_password_alone_lets_nobody_in() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let factor = enrol(&server, &mut browser);
    let mut thief = Browser::new(&server, "en");
    let pending = half_way(&mut thief);
    thief.get("/").expect(303);
    let wrong = show_code(&mut thief, &pending, "123").expect(403);
    wrong.shows("not valid now");
    // A code that was shown once counts no more, and a right one is nothing without a password.
    show_code(&mut thief, &pending, &factor.shown).expect(403);
    let next = code(&server, &factor.key, 1);
    show_code(&mut thief, "of nobody", &next).expect(403);
    let mut later = Browser::new(&server, "en");
    let pending = half_way(&mut later);
    // The clock of a telephone may be one step ahead. RFC 6238 §5.2.
    show_code(&mut later, &pending, &code(&server, &factor.key, 1)).expect(303);
    later.get("/").expect(200);
    // Each recovery code once.
    let mut lost = Browser::new(&server, "en");
    let pending = half_way(&mut lost);
    show_code(&mut lost, &pending, &factor.recovery[4]).expect(303);
    lost.get("/account")
        .expect(200)
        .shows("9 recovery codes are left");
    let pending = half_way(&mut lost);
    show_code(&mut lost, &pending, &factor.recovery[4]).expect(403);
    let told = audit(&server);
    let used = |one: &&serde_json::Value| one["act"] == "admin.recovery-code-used";
    assert_eq!(told.iter().filter(used).count(), 1);
    for how in ["by password and code", "by password and recovery code"] {
        let came = |one: &&serde_json::Value| {
            one["act"] == "admin.signed-in" && one["detail"].to_string().contains(how)
        };
        assert_eq!(told.iter().filter(came).count(), 1, "{how}: {told:?}");
    }
    let tried = browser.get("/api/v1/trace?q=event:auth.failed").expect(200);
    tried.shows("anna at the admin centre, by password and code");
    let secrets = ["argon2", &factor.key, &factor.recovery[4]];
    let audit = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(
        secrets.iter().all(|secret| !audit.contains(*secret)),
        "{audit}"
    );
}

#[test]
fn where_it_is_demanded_nobody_goes_on_without_a_second_factor() {
    let place = Place::new("");
    let file = place.path("relais.toml");
    let text = std::fs::read_to_string(&file).expect("a file");
    let text = text.replace("[admin]\n", "[admin]\nsecond_factor = \"required\"\n");
    std::fs::write(&file, text).expect("a file");
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    let mut browser = first(&server, "en");
    for path in ["/", "/trace", "/settings"] {
        let led = browser.get(path).expect(303);
        assert_eq!(
            led.header("location"),
            Some("/account?must=factor"),
            "{path}"
        );
    }
    browser.get("/api/v1/settings").expect(401);
    let account = browser.get("/account?must=factor").expect(200);
    account.shows("A second factor is demanded here");
    let token = account.field("form_token");
    // A form with the session's own token changes nothing either.
    let new = [("form_token", &*token), ("name", "eve"), ("role", "owner")];
    let led = browser.post("/people", &new).expect(303);
    assert_eq!(led.header("location"), Some("/account?must=factor"));
    let factor = enrol(&server, &mut browser);
    browser.get("/").expect(200);
    // Without it again: nothing but the way back to it.
    let token = browser.token();
    let remove = [
        ("form_token", &*token),
        ("act", "remove"),
        ("old", PASSWORD),
    ];
    browser.post("/account/factor", &remove).expect(303);
    browser.get("/").expect(303);
    // Whoever signs in with one is not led anywhere.
    let again = enrol(&server, &mut browser);
    assert_ne!(factor.key, again.key);
    let mut later = Browser::new(&server, "en");
    let pending = half_way(&mut later);
    show_code(&mut later, &pending, &again.recovery[0]).expect(303);
    later.get("/").expect(200);
}

#[test]
fn a_password_that_would_be_guessed_is_refused_in_words() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let token = browser.token();
    for (password, said) in [
        ("password1234567", "would be guessed"),
        ("Contoso Relais Anna 26", "would be guessed"),
        ("too short", "At least 15 characters"),
    ] {
        let form = [
            ("form_token", &*token),
            ("old", PASSWORD),
            ("password", password),
            ("again", password),
        ];
        browser.post("/account", &form).expect(422).shows(said);
    }
    browser.get("/").expect(200);
}

#[test]
fn guesses_of_codes_are_slowed_and_the_machine_lets_back_in_whoever_lost_all() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let factor = enrol(&server, &mut browser);
    let mut thief = Browser::new(&server, "en");
    let pending = half_way(&mut thief);
    let mut guesses = (0..20).map(|guess| {
        let typed = format!("{guess}");
        show_code(&mut thief, &pending, &typed).status
    });
    assert!(guesses.any(|status| status == 429));
    // Whoever knows the password, from there, cannot guess on with a new page: it asks again.
    let pending = half_way(&mut thief);
    let right = code(&server, &factor.key, 1);
    show_code(&mut thief, &pending, &right).expect(429);
    let reset = ["--json", "admin", "reset", "anna", "--second-factor"];
    let reset = server.relais(&reset).expect(0).json();
    let password = reset["password"].as_str().expect("told").to_owned();
    browser.get("/").expect(303);
    browser.sign_in("anna", &password).expect(303);
    browser
        .get("/account")
        .expect(200)
        .shows("The password alone lets you in");
    let told = audit(&server);
    for act in ["admin.factor-on", "admin.factor-off", "admin.password"] {
        assert!(told.iter().any(|one| one["act"] == act), "{act}");
    }
}

#[test]
fn a_mistake_is_said_in_the_person_s_language_and_leads_to_its_field() {
    let server = Server::with_settings(CONTOSO);
    let mut anna = first(&server, "fr");
    let token = anna.token();
    let taken = [("form_token", &*token), ("name", "anna"), ("role", "owner")];
    let page = anna.post("/people", &taken).expect(409);
    page.shows("<a href=\"#name\">Un administrateur porte déjà ce nom.</a>");
    page.shows("name=\"name\" value=\"anna\"");
    page.shows("aria-invalid=\"true\" required");
    let last = [("form_token", &*token), ("confirmed", "1")];
    let page = anna.post("/people/anna/remove", &last).expect(409);
    page.shows("<a href=\"#content\">Le dernier propriétaire");
    let draft = [
        ("form_token", &*token),
        ("issuer", "http://issuer.example"),
        ("client_id", "relais"),
        ("centre", "https://relay.example"),
        ("claim", "groups"),
        ("meanings", "Desk = helpdesk"),
    ];
    let page = anna.post("/sso", &draft).expect(400);
    page.shows("<a href=\"#issuer\">L’émetteur et le centre");
    // What was typed is there to be corrected.
    page.shows("value=\"http://issuer.example\"");
    page.shows("Desk = helpdesk");
    let wrong = [("form_token", &*token), ("act", "begin"), ("old", "not it")];
    let page = anna.post("/account/factor", &wrong).expect(422);
    page.shows("<a href=\"#factor-old\">");
}

#[test]
fn a_browser_whose_session_is_over_is_told_why_it_signs_in_again() {
    let server = Server::with_settings(CONTOSO);
    let mut anna = first(&server, "en");
    server.relais(&["admin", "sign-out", "anna"]).expect(0);
    let page = anna.get("/sign-in?next=%2Ftrace").expect(200);
    page.shows("Your session has ended: it ends after 30 minutes without a click");
    anna.cookie.clear();
    let page = anna.get("/sign-in").expect(200);
    assert!(!page.body.contains("has ended"), "{}", page.body);
}

#[test]
fn the_first_entry_of_the_audit_is_the_installation_and_it_stands_there_once() {
    let server = Place::new("").serve();
    drop(first_at(&server, "en", "/setup/you"));
    let (_, place) = server.stop();
    let server = place.serve();
    let all = audit(&server);
    let began = |one: &&serde_json::Value| one["act"] == "installation.began";
    let began: Vec<_> = all.iter().filter(began).collect();
    assert_eq!(began.len(), 1, "{all:?}");
    let (number, via) = (&began[0]["number"], &began[0]["via"]);
    assert_eq!((number, via), (&json!(1), &json!("start")));
    let detail = began[0]["detail"].to_string();
    assert!(detail.contains(env!("CARGO_PKG_VERSION")), "{detail}");
    server.relais(&["audit", "verify"]).expect(0);
}

/// Two organisations behind one relay, each with a printer that is known by its address.
const HOSTED: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"
[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["11.1.2.9"]
[[organisation.outbound_connector]]
name = "Out"
smart_hosts = ["127.0.0.1:9"]

[[organisation]]
name = "fabrikam"
postmaster = "it@fabrikam.test"
[[organisation.domain]]
name = "fabrikam.test"
verification = "assumed"
[[organisation.inbound_connector]]
name = "Secret-Scanner"
sender_ip_addresses = ["11.1.3.9"]
[[organisation.outbound_connector]]
name = "Out"
smart_hosts = ["127.0.0.1:9"]
"#;

/// One message from each organisation: their ids.
fn messages(server: &Server) -> [String; 2] {
    let sent = [("11.1.2.9", "contoso"), ("11.1.3.9", "fabrikam")];
    sent.map(|(client, organisation)| {
        let mut session = server.session_from(client);
        session.hear();
        session.say("EHLO scan");
        session.say(&format!("MAIL FROM:<scan@{organisation}.test>"));
        session.say("RCPT TO:<b@example.invalid>");
        session.say("DATA");
        let from = format!("From: scan@{organisation}.test");
        let taken = session.say(&format!("Subject: payroll\r\n{from}\r\n\r\nx\r\n."));
        let id = taken.rsplit(' ').next().expect("an id").to_owned();
        server.await_event("message.accepted", &id);
        id
    })
}

#[test]
fn in_a_browser_a_helpdesk_sees_no_content_and_people_sign_in_by_telephone_and_by_issuer() {
    let Some(modules) = playwright() else {
        return;
    };
    let place = Place::new(BEHIND_PROXY)
        .with_mode("hosted")
        .with_admin("allow_private_issuer = true");
    let olga = json!({ "sub": "1", "preferred_username": "olga", "roles": ["Relais.Auditor"] });
    let provider = Provider::start(&place, olga);
    let server = place.serve();
    server.apply(HOSTED).expect(0);
    let [own, foreign] = messages(&server);
    let role = ["--role", "helpdesk", "--organisation", "contoso"];
    let added = [&["--json", "admin", "add", "hugo"][..], &role].concat();
    let added = server.relais(&added).expect(0).json();
    let password = added["password"].as_str().expect("told");
    drop(first(&server, "en"));
    let more = [
        password,
        PASSWORD,
        &own,
        &foreign,
        &provider.address,
        CLIENT_SECRET,
    ];
    let (walked, _) = play(&server, &modules, WALK, &more.map(str::to_owned));
    let found = (walked.code, walked.out.trim());
    assert_eq!(found, (0, "[]"), "{}", walked.err);
}
