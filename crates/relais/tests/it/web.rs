//! The admin centre, by the real binary over HTTP: from the set-up link to an act with its audit
//! entry; who may not; hostile text.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{BEHIND_PROXY, CONTOSO, PATIENCE, Place, Server};

/// Chosen by the first administrator.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Each page that stands in the navigation, with its names.
const PAGES: [(&str, &str, &str); 14] = [
    ("/", "Home", "Accueil"),
    ("/trace", "Message trace", "Suivi des messages"),
    ("/queue", "Queue", "File d’attente"),
    (
        "/connectors/inbound",
        "Inbound connectors",
        "Connecteurs entrants",
    ),
    (
        "/connectors/outbound",
        "Outbound connectors",
        "Connecteurs sortants",
    ),
    ("/domains", "Domains", "Domaines"),
    ("/attempts", "Refused attempts", "Tentatives refusées"),
    ("/devices", "Devices &#38; apps", "Appareils et applis"),
    ("/limits", "Limits", "Limites"),
    ("/limits/proposals", "Proposed limits", "Limites proposées"),
    ("/reports", "Reports", "Rapports"),
    ("/alerts", "Alerts", "Alertes"),
    ("/health", "Health", "État de santé"),
    ("/sso", "Single sign-on", "Authentification unique"),
];

/// An answer of the admin listener.
pub(crate) struct Page {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Page {
    /// The value of a header, in lower case names.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(one, _)| one.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        assert!(self.body.contains(text), "no {text} in {}", self.body);
    }

    /// The value of a hidden field.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&mark).expect("the field");
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

/// A browser: keeps the session's cookie, tells the language.
pub(crate) struct Browser<'a> {
    server: &'a Server,
    pub(crate) cookie: String,
    language: &'static str,
    origin: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a Server, language: &'static str) -> Self {
        let origin = format!("http://{}", server.admin);
        Self {
            server,
            cookie: String::new(),
            language,
            origin,
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> Page {
        let mut stream = TcpStream::connect(self.server.admin).expect("the listener answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\n\
             Accept-Language: {}\r\nContent-Length: {}\r\n{more}\r\n{body}",
            self.server.admin,
            self.cookie,
            self.language,
            body.len()
        )
        .expect("written");
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).expect("an answer");
        // A PDF is no text; what is looked for in it is.
        let text = String::from_utf8_lossy(&octets);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Page {
            status: status.expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Page {
        self.ask("GET", path, "", "")
    }

    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let encoded = |text: &str| -> String {
            let octets = text.bytes().map(|octet| match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(octet).to_string(),
                other => format!("%{other:02X}"),
            });
            octets.collect()
        };
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let more = format!(
            "Origin: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n",
            self.origin
        );
        let page = self.ask("POST", path, &more, &body);
        if let Some(cookie) = page
            .header("set-cookie")
            .filter(|it| it.contains("session="))
        {
            let cookie = cookie.split(';').next().unwrap_or_default();
            cookie.clone_into(&mut self.cookie);
        }
        page
    }

    /// The form token of this session.
    pub(crate) fn token(&self) -> String {
        self.get("/account").expect(200).field("form_token")
    }

    pub(crate) fn sign_in(&mut self, name: &str, password: &str) -> Page {
        self.post("/sign-in", &[("name", name), ("password", password)])
    }
}

/// The path of a new set-up link.
pub(crate) fn link(server: &Server) -> String {
    let out = server.relais(&["setup-link"]).expect(0).out;
    assert_eq!(out.lines().count(), 1, "{out}");
    let start = format!("http://{}", server.admin);
    out.trim()
        .strip_prefix(&start)
        .expect("our address")
        .to_owned()
}

/// Signed in as the first administrator, `anna`.
pub(crate) fn first<'a>(server: &'a Server, language: &'static str) -> Browser<'a> {
    first_at(server, language, "/")
}

/// And led to this page.
#[track_caller]
pub(crate) fn first_at<'a>(server: &'a Server, language: &'static str, next: &str) -> Browser<'a> {
    let mut browser = Browser::new(server, language);
    let link = link(server);
    let token = link.split_once("?t=").expect("a token").1;
    let form = [
        ("token", token),
        ("name", "anna"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    let made = browser.post("/setup", &form).expect(303);
    assert_eq!(made.header("location"), Some(next));
    let cookie = made.header("set-cookie").expect("a session").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    browser
}

/// Where an answer leads.
#[track_caller]
pub(crate) fn location(page: &Page) -> String {
    let address = page.header("location").expect("where");
    // A browser keeps the place on the page for itself.
    address.split('#').next().unwrap_or_default().to_owned()
}

/// Sends a form with the session's token.
#[track_caller]
pub(crate) fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Page {
    let token = browser.token();
    browser.post(path, &[&[("form_token", &*token)], fields].concat())
}

/// A form with a file, as a browser without script sends it.
pub(crate) fn post_file(
    browser: &mut Browser<'_>,
    path: &str,
    fields: &[(&str, &str)],
    (name, text): (&str, &str),
) -> Page {
    const BOUNDARY: &str = "----FormBoundaryAbC";
    let token = browser.token();
    let fields = [&[("form_token", &*token)], fields].concat();
    let parts = fields.iter().map(|(name, value)| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    });
    let body = parts.collect::<String>()
        + &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{text}\r\n--{BOUNDARY}--\r\n"
        );
    let more = format!(
        "Origin: {}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n",
        browser.origin
    );
    browser.ask("POST", path, &more, &body)
}

/// The same, and the page that it leads to.
#[track_caller]
pub(crate) fn post_and_follow(
    browser: &mut Browser<'_>,
    path: &str,
    fields: &[(&str, &str)],
) -> Page {
    let sent = post(browser, path, fields).expect(303);
    browser.get(&location(&sent)).expect(200)
}

pub(crate) fn audit(server: &Server) -> Vec<serde_json::Value> {
    let list = server.relais(&["--json", "audit", "list"]).expect(0);
    list.json_lines()
}

#[test]
fn from_the_setup_link_to_each_page_in_both_languages() {
    let server = Server::with_settings(CONTOSO);
    let shown = Browser::new(&server, "fr").get(&link(&server)).expect(200);
    shown.shows("Le premier administrateur");
    let mut browser = first(&server, "fr");
    for (path, _, french) in PAGES {
        let page = browser.get(path).expect(200);
        page.shows(&format!("<h1>{french}</h1>"));
        page.shows("<html lang=\"fr\">");
        // The same as a command, or where there is none as a call of the API.
        let is_told = ["<code>relais ", "<code>GET /api/v1/"].map(|one| page.body.contains(one));
        assert!(is_told.contains(&true), "{path}: {}", page.body);
    }
    let token = browser.token();
    let choice = [
        ("form_token", &*token),
        ("language", "en"),
        ("back", "/queue"),
    ];
    let back = browser.post("/language", &choice).expect(303);
    assert_eq!(back.header("location"), Some("/queue"));
    for (path, english, _) in PAGES {
        let page = browser.get(path).expect(200);
        page.shows(&format!("<h1>{english}</h1>"));
        for key in ["[nav-", "[column-", "[home-", "[error-"] {
            assert!(!page.body.contains(key), "{path}: a text is missing");
        }
    }
    browser
        .get("/domains/contoso.test")
        .expect(200)
        .shows("contoso.test");
    browser
        .get("/connectors/inbound/contoso/Printers")
        .expect(200)
        .shows("sender_ip_addresses");
    browser
        .get("/no-such-page")
        .expect(404)
        .shows("There is no such page");
    let list = server
        .relais(&["--json", "admin", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(list[0]["name"], "anna");
    assert_eq!(
        (&list[0]["role"], &list[0]["language"]),
        (&"owner".into(), &"en".into())
    );
    let all = audit(&server);
    let added = all
        .iter()
        .find(|one| one["act"] == "admin.added")
        .expect("told");
    assert_eq!(
        (&added["actor"], &added["via"]),
        (&"anna (web)".into(), &"web".into())
    );
}

#[test]
fn a_setup_link_works_once_and_the_newest_counts() {
    let server = Server::with_settings(CONTOSO);
    let (old, new) = (link(&server), link(&server));
    let mut browser = Browser::new(&server, "en");
    browser.get(&old).expect(410);
    browser.get(&new).expect(200);
    let token = new.split_once("?t=").expect("a token").1.to_owned();
    let with = |name: &'static str, password: &'static str, again: &'static str| {
        [
            ("token", token.clone()),
            ("name", name.into()),
            ("password", password.into()),
            ("again", again.into()),
        ]
    };
    for (form, words) in [
        (with("anna", PASSWORD, "another"), "passwords differ"),
        (with("anna", "short", "short"), "At least 15 characters"),
        (with("an na", PASSWORD, PASSWORD), "Up to 64 of a-z"),
    ] {
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.post("/setup", &form).expect(422).shows(words);
    }
    let form = with("anna", PASSWORD, PASSWORD);
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    browser.post("/setup", &form).expect(303);
    browser.get(&new).expect(410);
    browser.post("/setup", &form).expect(410);
    // Only its hash was stored.
    let trace = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(
        !trace.contains(&token) && !trace.contains("argon2"),
        "{trace}"
    );
}

#[test]
fn strangers_see_no_page_and_wrong_passwords_are_slowed() {
    let server = Server::with_settings(CONTOSO);
    let known = first(&server, "en");
    let mut stranger = Browser::new(&server, "en");
    for (path, ..) in PAGES {
        let led = stranger.get(path).expect(303);
        assert!(
            led.header("location")
                .expect("where")
                .starts_with("/sign-in?next=")
        );
    }
    let answers = ["anna", "nobody"].map(|name| stranger.sign_in(name, "wrong").expect(403));
    for page in &answers {
        page.shows("Name or password is wrong.");
    }
    for _ in 0..9 {
        stranger.sign_in("bert", "wrong").expect(403);
    }
    stranger.sign_in("bert", "wrong").expect(403);
    stranger.sign_in("bert", "wrong").expect(429);
    // Others from the same network still come in.
    stranger.sign_in("anna", PASSWORD).expect(303);
    stranger.get("/").expect(200);
    known.get("/").expect(200);
}

#[test]
fn foreign_pages_missing_tokens_and_ended_sessions_change_nothing() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let token = browser.token();
    let act = [
        ("form_token", &*token),
        ("act", "hold"),
        ("scope", "all"),
        ("confirmed", "1"),
    ];
    let ours = std::mem::replace(&mut browser.origin, "http://evil.example".to_owned());
    browser
        .post("/queue/act", &act)
        .expect(403)
        .shows("did not come from a page");
    browser
        .post("/sign-in", &[("name", "anna"), ("password", PASSWORD)])
        .expect(403);
    browser.origin = ours;
    browser.post("/queue/act", &act[1..]).expect(403);
    browser
        .post(
            "/queue/act",
            &[("form_token", "guess"), act[1], act[2], act[3]],
        )
        .expect(403);
    // A second session has another token, and an old one ends with the password.
    let mut other = Browser::new(&server, "en");
    other.sign_in("anna", PASSWORD).expect(303);
    other.post("/queue/act", &act).expect(403);
    let token = other.token();
    let change = |old: &'static str| {
        [
            ("form_token", token.clone()),
            ("old", old.to_owned()),
            ("password", "another long password".to_owned()),
            ("again", "another long password".to_owned()),
        ]
    };
    let form = change("wrong");
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    other
        .post("/account", &form)
        .expect(422)
        .shows("The current password is wrong.");
    let form = change(PASSWORD);
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    other.post("/account", &form).expect(303);
    assert_eq!(
        browser.get("/queue").expect(303).header("location"),
        Some("/sign-in?next=%2Fqueue")
    );
    browser.post("/queue/act", &act).expect(303);
    assert!(!audit(&server).iter().any(|one| one["act"] == "queue.held"));
    other.sign_in("anna", PASSWORD).expect(403);
    other.sign_in("anna", "another long password").expect(303);
    let token = other.token();
    let kept = other.cookie.clone();
    other
        .post("/sign-out", &[("form_token", &token)])
        .expect(303);
    other.cookie = kept;
    other.get("/").expect(303);
}

#[test]
fn every_answer_is_dressed_and_nothing_foreign_or_inline_is_in_a_page() {
    let server = Server::with_settings(CONTOSO);
    let browser = first(&server, "en");
    let pages = PAGES.iter().map(|(path, ..)| *path);
    for path in pages.chain(["/sign-in", "/account", "/assets/style.css", "/no-such-page"]) {
        let page = browser.get(path);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        let body = &page.body;
        for inline in [
            "<script>", "<style", " style=", " onclick", "http://", "https://",
        ] {
            // That page names addresses to be typed at the issuer; it leads to none.
            let inline = match (path, inline.contains("://")) {
                ("/sso", true) => format!("=\"{inline}login"),
                _ => inline.to_owned(),
            };
            assert!(!body.contains(&inline), "{path} has {inline}");
        }
    }
    assert_eq!(browser.get("/").header("cache-control"), Some("no-store"));
    assert_eq!(
        server.http("/livez"),
        (200, "Relais is running.\n".to_owned())
    );
    assert_eq!(server.http("/api/v1/settings").0, 401);
}

#[test]
fn a_message_is_held_found_and_deleted_by_a_person_and_the_audit_tells_who() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let id = server.send("scan@contoso.test", "b@example.invalid");
    let token = browser.token();
    let found = browser.get(&format!("/search?q={id}")).expect(303);
    let story = found.header("location").expect("where").to_owned();
    browser.get("/queue").expect(200).shows(&id);
    let act = |act: &'static str, more: &[(&'static str, String)]| {
        let first = [
            ("form_token", token.clone()),
            ("id", id.clone()),
            ("act", act.to_owned()),
        ];
        [&first[..], more].concat()
    };
    let post = |browser: &mut Browser<'_>, form: Vec<(&'static str, String)>| {
        let form: Vec<_> = form
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        browser.post("/queue/act", &form)
    };
    let asked = post(&mut browser, act("hold", &[])).expect(200);
    asked.shows("Hold one message?");
    let yes = ("confirmed", "1".to_owned());
    post(&mut browser, act("hold", std::slice::from_ref(&yes))).expect(303);
    browser.get("/queue?state=held").expect(200).shows(&id);
    let done = post(&mut browser, act("delete", &[yes, ("back", id.clone())])).expect(303);
    let back = browser
        .get(done.header("location").expect("where"))
        .expect(200);
    back.shows("Deleted for one recipient.");
    browser.get(&story).expect(200).shows("Discarded for");
    browser
        .get("/queue")
        .expect(200)
        .shows("Nothing is waiting.");
    let all = audit(&server);
    let by_anna = all.iter().filter(|one| one["actor"] == "anna (web)");
    assert!(by_anna.clone().all(|one| one["via"] == "web"), "{all:?}");
    let acts: Vec<_> = by_anna
        .map(|one| one["act"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(acts[..2], ["queue.deleted", "queue.held"]);
}

#[test]
fn what_comes_after_the_question_is_not_part_of_the_act() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let counted = server.send("scan@contoso.test", "b@example.invalid");
    let token = browser.token();
    let act = [
        ("form_token", &*token),
        ("act", "hold"),
        ("scope", "all"),
        ("destination", "example.invalid"),
    ];
    let asked = browser.post("/queue/act", &act).expect(200);
    asked.shows("Hold one message?");
    let up_to = asked.field("up_to");
    let later = server.send("scan@contoso.test", "b@example.invalid");
    let sure = [("up_to", &*up_to), ("confirmed", "1")];
    let yes = [&act[..], &sure].concat();
    browser.post("/queue/act", &yes).expect(303);
    let state = |id: &str| {
        let shown = server.relais(&["--json", "queue", "show", id]).expect(0);
        shown.json()["recipients"][0]["state"].clone()
    };
    assert_eq!(state(&counted), "held");
    assert_ne!(state(&later), "held");
}

#[test]
fn a_credential_that_is_adopted_is_told_with_its_user() {
    let server = Server::with_settings(
        "[[organisation]]\nname = \"contoso\"\n\
         [[organisation.inbound_connector]]\nname = \"Printers\"\ncleartext_auth = true\n",
    );
    let add = [
        "--json",
        "credential",
        "add",
        "--connector",
        "Printers",
        "--user",
        "scan-1",
        "--source-address",
        "192.0.2.7",
    ];
    let made = server.relais(&add).expect(0).json();
    let password = made["password"].as_str().expect("a password");
    let mut browser = first(&server, "en");
    let token = browser.token();
    let mut session = server.session();
    session.say("EHLO scan");
    let plain = STANDARD.encode(format!("\0scan-1\0{password}"));
    let refused = session.say(&format!("AUTH PLAIN {plain}"));
    assert!(refused.contains("(AUTH-SRC "), "{refused}");
    let reference = refused.trim_end_matches(')').rsplit(' ').next();
    let adopt = format!("/attempts/{}/adopt", reference.expect("a reference"));
    let form = [("form_token", &*token), ("name", "Copiers")];
    let done = browser.post(&adopt, &form).expect(303);
    let told = done.header("location").expect("where");
    for (language, words) in [
        ("en", "The user scan-1 may sign in from that address too"),
        ("fr", "L’utilisateur scan-1 peut désormais se connecter"),
    ] {
        browser.language = language;
        browser.get(told).expect(200).shows(words);
    }
}

#[test]
fn hostile_text_is_escaped_wherever_it_is_shown_and_a_refused_device_is_adopted() {
    let server = Place::new(BEHIND_PROXY).serve();
    server
        .apply(&CONTOSO.replace("[\"127.0.0.1\"]", "[\"10.1.2.0/24\"]"))
        .expect(0);
    let mut browser = first(&server, "en");
    let mut session = server.session_from("10.1.3.7");
    session.hear();
    session.say("EHLO scan");
    session.say("MAIL FROM:<\"<img/src=x>\"@contoso.test>");
    let refused = session.say("RCPT TO:<b@example.org>");
    let reference = refused
        .trim_end_matches(')')
        .rsplit(' ')
        .next()
        .expect("one")
        .to_owned();
    let mut known = server.session_from("10.1.2.9");
    known.hear();
    known.say("EHLO scan");
    known.say("MAIL FROM:<scan@contoso.test>");
    known.say("RCPT TO:<b@example.invalid>");
    known.say("DATA");
    let taken =
        known.say("Subject: <b onmouseover=alert(1)>\"'\u{7f}\r\nFrom: scan@contoso.test\r\n\r\n.");
    let id = taken.rsplit(' ').next().expect("an id").to_owned();
    server.await_event("message.accepted", &id);
    let pages = [
        "/trace",
        "/attempts",
        "/queue",
        &format!("/trace/{id}"),
        &format!("/trace/{reference}"),
        "/trace?q=%3Cscript%3E&since=%22%3E%3Cscript%3E",
    ];
    for path in pages {
        let page = browser.get(path).expect(200);
        for raw in ["<script>", "<img", "<b onmouse"] {
            assert!(!page.body.contains(raw), "{path}: {raw}");
        }
    }
    browser
        .get("/attempts")
        .expect(200)
        .shows("&#60;img/src=x&#62;");
    browser
        .get("/trace")
        .expect(200)
        .shows("&#60;b onmouseover");
    let token = browser.token();
    let adopt = format!("/attempts/{reference}/adopt");
    browser
        .post(&adopt, &[("form_token", &token), ("name", "Copiers")])
        .expect(303);
    browser
        .get("/connectors/inbound/contoso/Copiers")
        .expect(200)
        .shows("Observing");
    // The daily look at DNS may have written behind her.
    let all = audit(&server);
    let by_anna = |entry: &&serde_json::Value| entry["actor"] == "anna (web)";
    let act = all.iter().find(by_anna).expect("her act");
    assert_eq!(act["via"], "web");
    let block = format!("/attempts/{reference}/block");
    browser
        .post(&block, &[("form_token", &token), ("address", "10.1.3.7")])
        .expect(200)
        .shows("Block 10.1.3.7?");
    let sure = [("form_token", &*token), ("confirmed", "1")];
    browser.post(&block, &sure).expect(303);
    let listed = server
        .relais(&["--json", "restricted", "list"])
        .expect(0)
        .json_lines();
    assert_eq!(listed[0]["value"], "10.1.3.7");
}

#[test]
fn an_auditor_reads_everything_and_changes_nothing() {
    let server = Server::with_settings(CONTOSO);
    let add = ["--json", "admin", "add", "otto", "--role", "auditor"];
    let password = server.relais(&add).expect(0).json()["password"].clone();
    server.relais(&add).expect(1);
    let mut browser = Browser::new(&server, "en");
    browser
        .sign_in("otto", password.as_str().expect("a password"))
        .expect(303);
    for (path, ..) in PAGES {
        browser.get(path).expect(200);
    }
    let token = browser.token();
    let act = [
        ("form_token", &*token),
        ("act", "retry"),
        ("scope", "all"),
        ("confirmed", "1"),
    ];
    browser
        .post("/queue/act", &act)
        .expect(403)
        .shows("change nothing");
    browser
        .post("/domains/contoso.test/check", &act[..1])
        .expect(403);
    server.relais(&["admin", "reset", "otto"]).expect(0);
    browser.get("/").expect(303);
    server.relais(&["admin", "reset", "nobody"]).expect(3);
}
