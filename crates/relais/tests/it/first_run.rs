//! The first run by the real binary: the link, the door of the admin centre, checks and steps.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use relais_net::dns_server::ZoneRecord;

use crate::browser::playwright;
use crate::domains::Registrar;
use crate::receiver::Receiver;
use crate::support::{
    Answer, BEHIND_PROXY, CONTOSO, Lines, PATIENCE, Place, Server, is_installed, repository, run,
};
use crate::tls::openssl_fingerprint;
use crate::web::{Browser, Page, first, first_at};

/// A server whose admin centre is reached by TLS.
fn encrypted() -> Server {
    let place = Place::new("");
    let file = place.path("relais.toml");
    let text = fs::read_to_string(&file).expect("a file");
    let text = text.replace("[admin]\n", "[admin]\ntls = \"self-signed\"\n");
    fs::write(file, text).expect("a file");
    place.serve()
}

fn curl(arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args(["--silent", "--include", "--max-time", "30"]);
    command.args(arguments);
    run(command, "")
}

#[test]
fn the_setup_link_says_what_the_browser_will_show_and_a_script_reads_one_line() {
    let server = encrypted();
    let told = server.relais(&["setup-link"]).expect(0);
    let start = format!("https://{}/setup?t=", server.admin);
    assert_eq!(told.out.lines().count(), 1, "{told:?}");
    assert!(told.out.starts_with(&start), "{told:?}");
    let shown = openssl_fingerprint(&server.place.path("data/tls/self-signed.pem"));
    let version = env!("CARGO_PKG_VERSION")
        .rsplit_once('.')
        .expect("a version")
        .0;
    let expected = [
        format!("Relais {version} is running and refuses all mail until you finish set-up."),
        format!(
            "Certificate: self-signed, SHA-256 {shown}   (your browser will warn; compare this)"
        ),
        "No browser?  relais quickstart".to_owned(),
    ];
    assert_eq!(told.err.lines().collect::<Vec<_>>(), expected);
    server.apply(CONTOSO).expect(0);
    let later = server.relais(&["setup-link"]).expect(0);
    assert!(later.err.contains("is running.\n"), "{later:?}");
}

#[test]
fn by_tls_the_session_cookie_never_goes_in_clear() {
    if !is_installed("curl") {
        return;
    }
    let server = encrypted();
    let link = server.relais(&["setup-link"]).expect(0).out;
    let (_, token) = link.trim().split_once("?t=").expect("a token");
    let address = format!("https://{}/setup", server.admin);
    let origin = format!("Origin: https://{}", server.admin);
    let form = format!(
        "token={token}&name=anna&password=correct+horse+battery&again=correct+horse+battery"
    );
    let made = curl(&["--insecure", "-H", &origin, "--data", &form, &address]).expect(0);
    let cookie = made
        .out
        .lines()
        .find(|line| line.to_lowercase().starts_with("set-cookie"));
    let cookie = cookie.unwrap_or_else(|| panic!("{made:?}"));
    assert!(
        cookie.contains("relais_session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    let kept = |line: &str| {
        line.to_lowercase() == "strict-transport-security: max-age=31536000; includesubdomains"
    };
    assert!(made.out.lines().any(kept), "{made:?}");
    let clear = curl(&[&format!("http://{}/livez", server.admin)]);
    assert_ne!(clear.code, 0, "nothing is served in clear there: {clear:?}");
}

/// The check of this name and subject.
#[track_caller]
fn check<'a>(report: &'a Value, name: &str, subject: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks
        .iter()
        .find(|one| one["check"] == name && one["subject"] == subject);
    found.unwrap_or_else(|| panic!("no {name} {subject} in {report:#}"))
}

/// A world of one machine: a name server, and a mail server that is asked about port 25.
fn probed(registrar: &Registrar, mail: &Receiver) -> Server {
    let probes = format!("port25_probes = [\"{}\", \"[::1]:1\"]\n", mail.address());
    registrar.serve_all("lan", ("", "", &probes))
}

#[test]
fn doctor_looks_at_everything_within_its_time_and_tells_what_is_broken() {
    let (registrar, mail) = (Registrar::new(), Receiver::start());
    let server = probed(&registrar, &mail);
    server.apply(CONTOSO).expect(0);
    let began = std::time::Instant::now();
    let answer = server.relais(&["--json", "doctor"]);
    assert!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "15 s and some for the program"
    );
    // Its smart host is the discard port: nobody answers.
    assert_eq!(answer.code, 4, "{answer:?}");
    let report = answer.json();
    assert_eq!(report["verdict"], "broken");
    let verdict = |name: &str, subject: &str| check(&report, name, subject)["verdict"].clone();
    assert_eq!(verdict("smart-host", "Nowhere 127.0.0.1:9"), "broken");
    assert_eq!(verdict("port", &server.smtp.to_string()), "ok");
    assert_eq!(verdict("port", &server.admin.to_string()), "ok");
    assert_eq!(verdict("sync", ""), "ok");
    assert_eq!(verdict("port-25", "IPv4"), "ok");
    // Mail leaves by a smart host: what the world thinks of our address is not its matter.
    assert_eq!(verdict("port-25", "IPv6"), "not-applicable");
    assert_eq!(verdict("public-address", ""), "not-applicable");
    assert_eq!(verdict("resolver", ""), "ok");
    assert_eq!(verdict("open-relay", "decisions"), "ok");
    assert_eq!(verdict("open-relay", &server.smtp.to_string()), "ok");
    assert_eq!(verdict("limits", ""), "advice");
    assert_eq!(verdict("backup", ""), "advice");
    assert_eq!(verdict("second-administrator", ""), "attention");
    let broken = check(&report, "smart-host", "Nowhere 127.0.0.1:9");
    for text in ["detail", "detail_fr", "why", "why_fr", "fix", "fix_fr"] {
        assert!(
            broken[text].as_str().is_some_and(|it| !it.is_empty()),
            "{text}: {broken}"
        );
    }
    let evidence = &report["evidence"];
    assert_eq!(
        evidence["decisions"].as_array().map(Vec::len),
        Some(12),
        "{evidence:#}"
    );
    let session = &evidence["sessions"][0];
    assert!(
        session["reply"]
            .as_str()
            .is_some_and(|it| it.starts_with("5")),
        "{session}"
    );
    assert!(
        session["lines"]
            .to_string()
            .contains("MAIL FROM:<stranger@example.org>"),
        "{session}"
    );
    let people = server.relais(&["doctor", "safety"]).expect(0).out;
    assert!(
        people.contains("Safety") && people.contains("✓ OK  open-relay"),
        "{people}"
    );
    assert!(!people.contains("smart-host"), "{people}");
}

#[test]
fn a_check_that_changes_is_told_once_and_shown_on_the_page_of_health() {
    let (registrar, mail) = (Registrar::new(), Receiver::start());
    let server = probed(&registrar, &mail);
    server.apply(CONTOSO).expect(0);
    let wide = CONTOSO.replace("[\"127.0.0.1\"]", "[\"127.0.0.1\", \"10.0.0.0/8\"]");
    server.relais(&["doctor", "safety"]).expect(0);
    server.apply(&wide).expect(0);
    server.relais(&["doctor", "safety"]).expect(0);
    server.relais(&["doctor", "safety"]).expect(0);
    let told = "ranges is attention, was ok: The widest range is 10.0.0.0/8, of Printers.";
    server
        .log
        .wait_for("the change", |line| line.contains(told));
    let events = server
        .relais(&["--json", "trace", "event:check.changed"])
        .expect(0);
    let told = events.out.lines().filter(|line| line.contains(told));
    assert_eq!(told.count(), 1, "{}", events.out);
    let browser = first(&server, "fr");
    let page = browser.get("/health").expect(200);
    page.shows("<h1>État de santé</h1>");
    page.shows("La plage la plus large est 10.0.0.0/8");
    page.shows(
        "Plage la plus large, de «\u{202f}OK\u{202f}» à «\u{202f}Attention\u{202f}»\u{202f}: \
         La plage la plus large est 10.0.0.0/8, de Printers.",
    );
    assert!(!page.body.contains("was ok"), "{}", page.body);
    page.shows("adresse inconnue, expéditeur étranger");
    let exported = browser.get("/health/evidence.json").expect(200);
    let evidence: Value = serde_json::from_str(&exported.body).expect("JSON");
    assert!(
        evidence["time"]
            .as_str()
            .is_some_and(|time| time.starts_with("20")),
        "{evidence}"
    );
}

#[test]
fn an_open_door_is_found_through_a_listener_too() {
    let server = Place::new(BEHIND_PROXY).serve();
    let open = CONTOSO.replace("[\"127.0.0.1\"]", "[\"0.0.0.0/1\", \"128.0.0.0/1\"]");
    server.apply(&open).expect(0);
    let answer = server.relais(&["--json", "doctor", "safety"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    let report = answer.json();
    let decisions = check(&report, "open-relay", "decisions");
    assert_eq!(decisions["verdict"], "broken");
    let words = decisions["detail"].as_str().unwrap_or_default();
    assert!(words.contains("our domain as sender"), "{words}");
    // The stranger of the session has a foreign sender: refused all the same.
    let behind = server.listener(1).to_string();
    assert_eq!(check(&report, "open-relay", &behind)["verdict"], "ok");
}

#[test]
fn without_a_server_doctor_names_the_program_that_has_the_port() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    let server = Place::new("").serve();
    let (status, place) = server.stop();
    assert!(status.success());
    let file = place.path("relais.toml");
    let text = fs::read_to_string(&file).expect("a file");
    let text = text.replacen("127.0.0.1:0", &format!("127.0.0.1:{port}"), 1);
    fs::write(file, text).expect("a file");
    let answer = place.relais(&["--json", "doctor", "machine"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    let report = answer.json();
    let found = check(&report, "port", &format!("127.0.0.1:{port}"));
    assert_eq!(found["verdict"], "broken");
    let name = fs::read_to_string("/proc/self/comm").expect("our name");
    let words = format!("{} is using port {port}.", name.trim());
    assert_eq!(found["detail"], words.as_str());
    drop(other);
}

/// A name server that also leads to the mail server of example.org, which takes everything.
fn world() -> (Registrar, Receiver, Server) {
    let (registrar, mail) = (Registrar::new(), Receiver::start());
    publish(&registrar, &[]);
    let port = mail.address().port();
    let probes = format!("port25_probes = [\"127.0.0.1:{port}\"]\n");
    let deliver = format!("smtp_port = {port}\n");
    let server = registrar.serve_all("lan", ("", &deliver, &probes));
    (registrar, mail, server)
}

fn publish(registrar: &Registrar, texts: &[&str]) {
    let others = [
        (
            "example.org",
            ZoneRecord::Mx(10, "mx.example.org".to_owned()),
        ),
        (
            "mx.example.org",
            ZoneRecord::Address(Ipv4Addr::LOCALHOST.into()),
        ),
    ];
    registrar.publish_with(texts, &others);
}

/// Asks for the page again until it shows this.
#[track_caller]
pub(crate) fn await_page(browser: &Browser<'_>, path: &str, text: &str) -> Page {
    let began = Instant::now();
    loop {
        let page = browser.get(path).expect(200);
        if page.body.contains(text) {
            return page;
        }
        assert!(began.elapsed() < PATIENCE, "no {text} in {}", page.body);
        std::thread::yield_now();
    }
}

/// The value of the record that proves the domain, as the page shows it.
#[track_caller]
fn proof(page: &Page) -> String {
    let start = page.body.find("relais-verification=").expect("the record");
    let value = page.body.get(start..).expect("a text");
    value.split('<').next().unwrap_or_default().to_owned()
}

#[test]
fn from_the_link_to_the_first_delivered_scan_in_six_steps_of_the_browser() {
    let (registrar, mail, server) = world();
    let mut browser = first_at(&server, "fr", "/setup/you");
    let token = browser.token();
    let form = |fields: &[(&'static str, &'static str)]| {
        let mut all = vec![("form_token", token.as_str())];
        all.extend(fields.iter().copied());
        all
    };
    browser
        .get("/setup/you")
        .expect(200)
        .shows("À qui Relais écrit");
    let wrong = form(&[
        ("display_name", "Contoso SA"),
        ("postmaster", "nobody"),
        ("language", "fr"),
    ]);
    browser
        .post("/setup/you", &wrong)
        .expect(422)
        .shows("value=\"Contoso SA\"");
    let you = form(&[
        ("display_name", "Contoso SA"),
        ("postmaster", "it@contoso.test"),
        ("language", "fr"),
    ]);
    let next = browser.post("/setup/you", &you).expect(303);
    assert_eq!(next.header("location"), Some("/setup/checks"));
    let checks = await_page(&browser, "/setup/checks", "Second administrateur");
    checks.shows("Port 25 en sortie");
    let added = browser
        .post("/setup/domain", &form(&[("domain", "contoso.test")]))
        .expect(303);
    assert_eq!(added.header("location"), Some("/setup/domain"));
    let records = browser.get("/setup/domain").expect(200);
    records.shows("Je vérifierai plus tard");
    publish(&registrar, &[&proof(&records)]);
    browser.post("/setup/domain/check", &form(&[])).expect(303);
    await_page(&browser, "/setup/domain", "Vérifié");
    browser
        .get("/setup/leave")
        .expect(200)
        .shows("value=\"direct\" required>");
    browser
        .post("/setup/leave", &form(&[("way", "direct")]))
        .expect(303);
    let senders = browser.get("/setup/senders").expect(200);
    assert!(
        !senders.body.contains(" checked"),
        "nothing is ticked before somebody ticks it"
    );
    browser
        .post("/setup/senders", &form(&[]))
        .expect(422)
        .shows("role=\"alert\"");
    browser
        .post("/setup/senders", &form(&[("more", "127.0.0.1")]))
        .expect(303);
    browser
        .post("/setup/prove", &form(&[("to", "anna@example.org")]))
        .expect(303);
    await_page(&browser, "/setup/prove", "L’autre serveur l’a accepté.");
    let pasted = "Authentication-Results: mx.test; spf=fail (not us); dkim=pass\r\n";
    let junk = browser.post("/setup/prove/headers", &form(&[("headers", pasted)]));
    let junk = junk.expect(200);
    junk.shows("SPF fail");
    junk.shows("ne nomme pas ce serveur");
    junk.shows("DKIM pass");
    let done = browser.get("/setup/done").expect(200);
    done.shows("relay.contoso.test");
    done.shows("/card\"><strong>Imprimer une fiche de réglage");
    let test = mail.wait_for_count(1);
    assert!(
        test[0].text().contains("Ceci est un message de test"),
        "{test:?}"
    );
    server.send("scan@contoso.test", "bert@example.org");
    assert_eq!(mail.wait_for_count(2)[1].to, ["<bert@example.org>"]);
    let home = browser.get("/").expect(200);
    assert!(
        !home.body.contains("href=\"/setup/"),
        "no step is left: {}",
        home.body
    );
}

#[test]
fn steps_are_left_and_come_back_to_and_home_shows_what_is_left() {
    let (_registrar, _mail, server) = world();
    let mut browser = first_at(&server, "en", "/setup/you");
    let token = browser.token();
    for left in ["you", "checks", "domain", "leave", "senders", "prove"] {
        browser
            .get("/")
            .expect(200)
            .shows(&format!("href=\"/setup/{left}\""));
    }
    let you = [
        ("form_token", &*token),
        ("display_name", "Contoso"),
        ("postmaster", "it@contoso.test"),
        ("language", "en"),
    ];
    browser.post("/setup/you", &you).expect(303);
    let home = browser.get("/").expect(200);
    assert!(!home.body.contains("href=\"/setup/you\""), "{}", home.body);
    browser
        .get("/setup/you")
        .expect(200)
        .shows("value=\"it@contoso.test\"");
    let domain = [("form_token", &*token), ("domain", "contoso.test")];
    browser.post("/setup/domain", &domain).expect(303);
    let unproved = [("form_token", &*token), ("to", "anna@example.org")];
    let page = browser.post("/setup/prove", &unproved).expect(422);
    page.shows("contoso.test is not verified yet");
    let smart_host = [
        ("form_token", &*token),
        ("way", "plain"),
        ("smart_host", "127.0.0.1:9"),
    ];
    browser.post("/setup/leave", &smart_host).expect(303);
    let tested = browser
        .post("/setup/leave/test", &[("form_token", &*token)])
        .expect(200);
    tested.shows("<strong>Connection</strong>");
    let direct = [("form_token", &*token), ("way", "direct")];
    browser.post("/setup/leave", &direct).expect(303);
    let connectors = server
        .relais(&["--json", "connector", "outbound", "list"])
        .expect(0);
    assert_eq!(
        connectors.json_lines()[0]["state"],
        "disabled",
        "{connectors:?}"
    );
    let reader = server
        .relais(&["--json", "admin", "add", "bert", "--role", "auditor"])
        .expect(0);
    let password = reader.json()["password"]
        .as_str()
        .expect("a password")
        .to_owned();
    let mut auditor = Browser::new(&server, "en");
    auditor
        .post("/sign-in", &[("name", "bert"), ("password", &password)])
        .expect(303);
    let token = auditor.token();
    let change = [("form_token", &*token), ("domain", "fabrikam.test")];
    auditor.post("/setup/domain", &change).expect(403);
}

#[test]
fn what_people_mistype_in_the_first_steps_is_kept_told_and_put_right() {
    let (registrar, _mail, server) = world();
    let mut browser = first_at(&server, "en", "/setup/you");
    let token = browser.token();
    let form = |fields: &[(&'static str, &'static str)]| {
        let mut all = vec![("form_token", token.as_str())];
        all.extend(fields.iter().copied());
        all
    };
    let refuses = "All mail is refused";
    browser.get("/").expect(200).shows(refuses);
    let you = form(&[
        ("display_name", "Société Étoile & Fils"),
        ("postmaster", "it@contoso.test"),
        ("language", "fr"),
    ]);
    browser.post("/setup/you", &you).expect(303);
    for wrong in ["contoso", "https://contoso.test/"] {
        let page = browser
            .post("/setup/domain", &form(&[("domain", wrong)]))
            .expect(422);
        page.shows("as contoso.com");
        page.shows(&format!("value=\"{wrong}\""));
    }
    let domains = || {
        let listed = server.relais(&["--json", "domain", "list"]).expect(0);
        let names = listed.json_lines().into_iter();
        names
            .map(|one| one["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    let mistyped = form(&[("domain", "anna@contso.test")]);
    browser.post("/setup/domain", &mistyped).expect(303);
    assert_eq!(domains(), ["contso.test"]);
    let instead = form(&[("domain", "contoso.test"), ("instead_of", "contso.test")]);
    browser.post("/setup/domain", &instead).expect(303);
    assert_eq!(domains(), ["contoso.test"]);
    browser.get("/").expect(200).shows(refuses);
    let records = browser.get("/setup/domain").expect(200);
    publish(&registrar, &[&proof(&records)]);
    browser.post("/setup/domain/check", &form(&[])).expect(303);
    await_page(&browser, "/setup/domain", "Verified");
    let proved = form(&[("domain", "fabrikam.test"), ("instead_of", "contoso.test")]);
    browser.post("/setup/domain", &proved).expect(422);
    assert_eq!(domains(), ["contoso.test"], "what is proved stays");
    browser.get("/").expect(200).shows("Relais takes mail.");
    let everybody = form(&[("more", "0.0.0.0/0")]);
    let page = browser.post("/setup/senders", &everybody).expect(422);
    page.shows("reaches beyond your network");
    let host = form(&[("way", "plain"), ("smart_host", " 127.0.0.1:9 ")]);
    browser.post("/setup/leave", &host).expect(303);
    browser
        .get("/setup/leave")
        .expect(200)
        .shows("(<code>127.0.0.1:9</code>)");
    let organisations = server.relais(&["--json", "organisation", "list"]).expect(0);
    let name = &organisations.json_lines()[0]["name"];
    assert_eq!(name, "societe-etoile-fils", "{organisations:?}");
}

#[test]
fn quickstart_asks_in_the_terminal_and_sends_the_proof() {
    let (_registrar, mail, server) = world();
    let answers = "Contoso\nit@contoso.test\ncontoso.test\nn\ny\n1\n127.0.0.1\nanna@example.org\n";
    let told = server.place.relais_with(&["quickstart"], answers).expect(0);
    for part in [
        "1/6 You",
        "relais-verification=",
        "This machine",
        "All six steps are done.",
        "/setup?t=",
    ] {
        assert!(told.out.contains(part), "{part}: {told:?}");
    }
    assert!(
        mail.wait_for_count(1)[0]
            .text()
            .contains("This is a test message")
    );
    server.send("scan@contoso.test", "bert@example.org");
    assert_eq!(mail.wait_for_count(2).len(), 2);
}

#[test]
fn quickstart_asks_nothing_when_told_so_lets_nobody_send_and_runs_on() {
    let registrar = Registrar::new();
    let (status, place) = registrar.serve("lan").stop();
    assert!(status.success());
    let mut command = place.command(&["quickstart", "--yes"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let told = Lines::collect(child.stdout.take().expect("piped"));
    let complained = Lines::collect(child.stderr.take().expect("piped"));
    told.wait_for("the end of the steps", |line| {
        line.contains("runs on in this terminal")
    });
    let left = told.so_far();
    assert!(
        left.iter()
            .any(|line| line == "Still to do: Who may send, Prove it"),
        "{left:#?}"
    );
    let list = place
        .relais(&["--json", "connector", "inbound", "list"])
        .expect(0);
    assert_eq!(list.out, "", "nobody may send");
    let domains = place
        .relais(&["--json", "domain", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(
        (&domains[0]["name"], &domains[0]["state"]),
        (&"contoso.test".into(), &"pending".into())
    );
    let ended = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status();
    assert!(ended.expect("kill runs").success());
    assert!(
        child.wait().expect("the program ends").success(),
        "{:?}",
        complained.to_the_end()
    );
}

#[test]
fn a_test_message_is_watched_to_its_end() {
    let (_registrar, mail, server) = world();
    let site = CONTOSO
        .split("[[organisation.outbound_connector]]")
        .next()
        .expect("a text");
    server.apply(site).expect(0);
    let told = server
        .relais(&["test", "--to", "anna@example.org", "--transcript"])
        .expect(0);
    assert!(told.out.starts_with("Queued as "), "{told:?}");
    assert!(told.out.contains("RCPT TO:<anna@example.org>"), "{told:?}");
    let arrived = mail.wait_for_count(1);
    assert!(
        arrived[0].from.starts_with("<relais-test@contoso.test>"),
        "{arrived:?}"
    );
    let from = [
        "test",
        "--to",
        "anna@example.org",
        "--from",
        "x@fabrikam.test",
    ];
    let refused = server.relais(&from).expect(1);
    assert!(
        refused.err.contains("fabrikam.test is no verified domain"),
        "{refused:?}"
    );
    let unknown = server
        .relais(&["test", "--to", "nobody@example.org"])
        .expect(4);
    assert!(unknown.err.contains("It was not delivered"), "{unknown:?}");
}

/// What a person does in the first run; the guide says the same.
const CLICKS: u64 = 11;
const TYPED_FIELDS: u64 = 8;
const CHARACTERS: u64 = 105;
/// What each costs a practised person, in milliseconds: the keystroke-level model (Card, Moran and
/// Newell 1980). A key; to point and click; to move a hand to the keyboard and back; to decide.
const KEY_MS: u64 = 280;
const CLICK_MS: u64 = 1_300;
const HANDS_MS: u64 = 800;
const DECIDE_MS: u64 = 1_350;

/// By that model; each field is clicked into, and each click and field is a decision.
fn hands_seconds() -> u64 {
    let stops = CLICKS + TYPED_FIELDS;
    let millis = stops * (CLICK_MS + DECIDE_MS) + TYPED_FIELDS * HANDS_MS + CHARACTERS * KEY_MS;
    millis / 1_000
}

#[test]
fn a_browser_walks_from_the_link_to_the_delivered_test_and_its_clicks_are_counted() {
    let Some(modules) = playwright() else {
        return;
    };
    let (registrar, mail, server) = world();
    let link = server.relais(&["setup-link"]).expect(0).out;
    let script = server.place.path("first-run.cjs");
    fs::write(&script, include_str!("first_run.cjs")).expect("written");
    let shots = std::env::var_os("RELAIS_SCREENSHOTS");
    let shots = shots.map_or_else(|| server.place.path("shots"), Into::into);
    fs::create_dir_all(&shots).expect("a folder");
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules)
        .arg(&script)
        .arg(link.trim())
        .arg(&shots);
    node.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = node.spawn().expect("node starts");
    let (told, complained) = (
        Lines::collect(child.stdout.take().expect("piped")),
        Lines::collect(child.stderr.take().expect("piped")),
    );
    let proof = told.wait_for("the proof", |line| line.starts_with("PROOF "));
    publish(&registrar, &[proof.trim_start_matches("PROOF ")]);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"published\n").expect("written");
    let figures = told.wait_for("the figures", |line| line.starts_with('{'));
    let status = child.wait().expect("node ends");
    assert!(status.success(), "{figures}\n{:?}", complained.to_the_end());
    let figures: Value = serde_json::from_str(&figures).expect("JSON");
    assert_eq!(
        ["clicks", "fields", "characters"].map(|name| figures[name].as_u64()),
        [CLICKS, TYPED_FIELDS, CHARACTERS].map(Some),
        "{figures}"
    );
    assert_eq!(figures["wrong"], Value::Array(Vec::new()), "{figures}");
    eprintln!("the first run in the browser: {figures}");
    assert_eq!(mail.wait_for_count(1)[0].to, ["<bert@example.org>"]);
    server.send("scan@contoso.test", "bert@example.org");
    assert_eq!(mail.wait_for_count(2).len(), 2);
    let guide = fs::read_to_string(repository("docs/guides/first-run.md")).expect("the guide");
    let hands = hands_seconds();
    for said in [
        format!("{CLICKS} clicks and {TYPED_FIELDS} typed fields"),
        format!("{CHARACTERS} characters"),
        format!("{hands} seconds of hands and decisions"),
    ] {
        assert!(guide.contains(&said), "the guide must say: {said}");
    }
}
