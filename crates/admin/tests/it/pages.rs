//! Every page, file, stream and form of the admin centre, as people of one organisation ask for
//! them with the names and numbers of another: nothing of it is told, and nothing of it changes.
//! The same forms, sent by who may see everything, do change it: the walk can fail.

mod tongues;
mod walked;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use relais_admin::api::connector_revision;
use relais_admin::permission::Role;
use relais_admin::web;
use relais_store::trace::{ClientSummary, Event, EventKind};

use self::walked::{ASKED, FOR_EVERYBODY, IN, OUT, SENT, TYPED, Twin};
use crate::access::{Hosted, OTHERS};
use crate::hosted::{MORE_OF_OTHERS, texts};

/// For a stream to say what is expected of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody who is signed in.
struct Person {
    cookie: String,
    form_token: String,
    /// `Accept-Language` of their browser.
    language: &'static str,
}

/// What came back.
struct Told {
    status: StatusCode,
    text: String,
    location: String,
}

/// Two organisations as they meet in the admin centre, and the numbers of what the other one has.
struct Centre {
    hosted: Hosted,
    pages: Router,
    numbers: Vec<(&'static str, String)>,
}

impl Centre {
    async fn new() -> Self {
        let hosted = Hosted::new().await;
        let pages = web::router(hosted.context.clone());
        let mut centre = Self {
            hosted,
            pages,
            numbers: Vec::new(),
        };
        centre.furnish().await;
        centre
    }

    /// Adds what only pages make, a draft of a person of the other organisation.
    async fn furnish(&mut self) {
        self.numbers = self.hosted.furnish().await;
        let frida = self.person("frida", Role::Owner, Some("fabrikam")).await;
        let fields = [("organisation", "fabrikam"), ("kind", "printer")];
        let draft = self.send(&frida, "/add-device", &fields).await;
        let draft = draft
            .location
            .split('/')
            .nth(2)
            .expect("a draft")
            .to_owned();
        let sessions = self
            .hosted
            .root(Method::GET, "/sessions", &Value::Null)
            .await;
        let session = texts(&sessions["sessions"][0]["session"]);
        self.numbers
            .extend([("{draft}", draft), ("{session}", session)]);
    }

    /// Makes a person, and signs them in.
    async fn person(&self, name: &str, role: Role, organisation: Option<&str>) -> Person {
        let connector = organisation.filter(|_| role == Role::Installer);
        let wanted = json!({
            "name": name, "role": role.name(), "organisation": organisation,
            "connector": connector.map(|_| "Printers"),
        });
        let made = self.hosted.root(Method::POST, "/admins", &wanted).await;
        let password = texts(&made["password"]);
        let mut person = Person {
            cookie: String::new(),
            form_token: String::new(),
            language: "en",
        };
        let fields = [("name", name), ("password", &password)];
        let response = self.knock(&person, Method::POST, "/sign-in", &fields).await;
        let cookie = response
            .headers()
            .get(header::SET_COOKIE)
            .expect("a session");
        let cookie = cookie.to_str().expect("text").split(';').next();
        cookie.expect("a pair").clone_into(&mut person.cookie);
        let account = self.get(&person, "/account").await.text;
        let (_, rest) = account
            .split_once("name=\"form_token\" value=\"")
            .expect("a form");
        let token = rest.split('"').next();
        token.expect("a token").clone_into(&mut person.form_token);
        person
    }

    /// A form by the cookie alone.
    async fn hand_in(&self, cookie: &str, path: &str, body: Body) -> Told {
        let request = Request::post(path)
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        let request = request.body(body).expect("a request");
        let response = self.pages.clone().oneshot(request).await;
        Self::told(response.expect("infallible")).await
    }

    async fn knock(
        &self,
        person: &Person,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("form_token", &person.form_token);
        form.extend_pairs(fields);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, &person.cookie)
            .header(header::ACCEPT_LANGUAGE, person.language)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(form.finish()))
            .expect("a request");
        self.pages
            .clone()
            .oneshot(request)
            .await
            .expect("infallible")
    }

    /// The answer; of a stream, that it is one.
    async fn told(response: Response) -> Told {
        let head = |name| {
            let value = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (status, location) = (response.status(), head(header::LOCATION));
        let is_stream = head(header::CONTENT_TYPE) == "text/event-stream";
        let text = match is_stream {
            true => String::new(),
            false => {
                let body = response.into_body().collect().await.expect("a body");
                String::from_utf8_lossy(&body.to_bytes()).into_owned()
            }
        };
        Told {
            status,
            text,
            location,
        }
    }

    async fn get(&self, person: &Person, path: &str) -> Told {
        Self::told(self.knock(person, Method::GET, path, &[]).await).await
    }

    async fn send(&self, person: &Person, path: &str, fields: &[(&str, &str)]) -> Told {
        Self::told(self.knock(person, Method::POST, path, fields).await).await
    }

    /// With the other organisation's numbers, and the revisions of its connectors.
    fn filled(&self, text: &str) -> String {
        let settings = self.hosted.context.store.settings();
        let inbound = settings.inbound_connector("fabrikam", "Secret-Scanner");
        let outbound = settings.outbound_connector("fabrikam", "Secret-Host");
        let inbound = inbound.map(|one| connector_revision(one.connector));
        let outbound = outbound.map(connector_revision);
        let mut text = text
            .replace("{in}", IN)
            .replace("{out}", OUT)
            .replace("{version}", &settings.version.to_string())
            .replace("{in-revision}", &inbound.unwrap_or_default())
            .replace("{out-revision}", &outbound.unwrap_or_default());
        for (name, number) in &self.numbers {
            text = text.replace(name, number);
        }
        text
    }

    /// What is asked for, what is typed into the search box among it, and the same in words.
    fn asked(&self) -> Vec<(String, String)> {
        let typed = TYPED.iter().map(|typed| {
            let (path, typed) = ("/search?", self.filled(typed));
            let mut query = form_urlencoded::Serializer::for_suffix(path.to_owned(), path.len());
            query.append_pair("q", &typed);
            (query.finish(), typed)
        });
        let pages = ASKED.iter().map(|path| self.filled(path));
        pages
            .map(|path| (path.clone(), path))
            .chain(typed)
            .collect()
    }

    /// All words that only the other organisation has.
    fn words(&self) -> Vec<String> {
        let words = OTHERS.iter().chain(&MORE_OF_OTHERS).chain(&["frida"]);
        let numbers = self.numbers.iter().map(|(_, number)| number.clone());
        words
            .map(|word| (*word).to_owned())
            .chain(numbers)
            .collect()
    }
}

/// Nothing but what was asked with.
#[track_caller]
fn nothing_is_told(words: &[String], asked: &str, told: &Told) {
    assert!(
        !told.status.is_server_error(),
        "{asked}: {} {}",
        told.status,
        told.text
    );
    let text = without_what_they_typed(&told.text);
    for word in words.iter().filter(|word| !asked.contains(word.as_str())) {
        let is_told = text.contains(word) || told.location.contains(word);
        assert!(!is_told, "{word} by {asked}: {} {}", told.status, told.text);
    }
}

/// The searches that this person ran last are their own words.
fn without_what_they_typed(page: &str) -> String {
    let Some((before, behind)) = page.split_once("<ul class=\"kept\" aria-labelledby=\"recent\">")
    else {
        return page.to_owned();
    };
    let (_, behind) = behind.split_once("</ul>").expect("the end of the list");
    format!("{before}{behind}")
}

#[tokio::test]
async fn no_page_tells_people_of_one_organisation_anything_of_another() {
    let centre = Centre::new().await;
    let words = centre.words();
    for (name, role) in [
        ("carl", Role::Owner),
        ("olga", Role::Operator),
        ("henry", Role::Helpdesk),
        ("adam", Role::Auditor),
        ("ina", Role::Installer),
    ] {
        let person = centre.person(name, role, Some("contoso")).await;
        for (asked, said) in centre.asked() {
            let told = centre.get(&person, &asked).await;
            nothing_is_told(&words, &format!("{name} {asked} {said}"), &told);
            let path = asked.split('?').next().unwrap_or_default();
            let names_another =
                words.iter().any(|word| path.contains(word.as_str())) || path.contains("fabrikam");
            let is_there = told.status.is_success() || told.status.is_redirection();
            assert!(
                !(names_another && is_there),
                "{name} {asked}: {}",
                told.status
            );
            if told.location.starts_with('/') {
                let followed = centre.get(&person, &told.location).await;
                nothing_is_told(&words, &format!("{name} {asked} {said}"), &followed);
            }
        }
    }
}

/// The broken twin: whoever sees both organisations is told each of these words by these pages.
#[tokio::test]
async fn who_sees_everything_is_told_each_of_the_words_that_others_are_not() {
    let centre = Centre::new().await;
    let person = centre.person("ruth", Role::Owner, None).await;
    let mut left = centre.words();
    for (asked, said) in centre.asked() {
        let told = centre.get(&person, &asked).await;
        // What was asked with proves nothing.
        left.retain(|word| said.contains(word.as_str()) || !told.text.contains(word.as_str()));
    }
    // Drafts are shown to whoever began them only.
    left.retain(|word| centre.filled("{draft}") != *word);
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn no_form_changes_anything_of_another_organisation() {
    let centre = Centre::new().await;
    let (words, carl) = (
        centre.words(),
        centre.person("carl", Role::Owner, Some("contoso")).await,
    );
    let before = centre.hosted.state().await;
    for (path, form, _) in SENT {
        let (path, fields) = (centre.filled(path), read(&centre.filled(form)));
        let told = centre.send(&carl, &path, &borrowed(&fields)).await;
        let asked = format!("{path} {fields:?}");
        nothing_is_told(&words, &asked, &told);
        let after = centre.hosted.state().await;
        assert_eq!(before, after, "{asked}: {} {}", told.status, told.text);
    }
}

/// The broken twin: the same forms are sent by who may change everything.
#[tokio::test]
async fn who_may_change_everything_does_by_the_same_forms() {
    let centre = Centre::new().await;
    let ruth = centre.person("ruth", Role::Owner, None).await;
    let (mut changed, mut refused) = (0, Vec::new());
    let mut before = centre.hosted.state().await;
    for (path, form, twin) in SENT {
        let (path, fields) = (centre.filled(path), read(&centre.filled(form)));
        let told = centre.send(&ruth, &path, &borrowed(&fields)).await;
        let is_done = told.status.is_success() || told.status.is_redirection();
        if *twin == Twin::Does && !is_done {
            refused.push(format!("{path} {fields:?}: {}", told.status));
        }
        let after = centre.hosted.state().await;
        changed += usize::from(before != after);
        before = after;
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(changed > 35, "{changed}");
}

/// A body that says whether anybody looked at it.
fn watched(form: String) -> (Body, Arc<AtomicBool>) {
    let is_read = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_read);
    let piece = futures_util::stream::once(async move {
        told.store(true, Ordering::SeqCst);
        Ok::<_, std::io::Error>(form)
    });
    (Body::from_stream(piece), is_read)
}

#[tokio::test]
async fn no_form_of_a_stranger_is_read() {
    let centre = Centre::new().await;
    let ruth = centre.person("ruth", Role::Owner, None).await;
    let adam = centre.person("adam", Role::Auditor, None).await;
    let strangers = ["", "relais_session=0123456789"];
    for (path, form, _) in SENT {
        let path = centre.filled(path);
        for cookie in strangers {
            let (body, is_read) = watched(centre.filled(form));
            let told = centre.hand_in(cookie, &path, body).await;
            assert!(!is_read.load(Ordering::SeqCst), "{path} {cookie}");
            assert_eq!(told.location, "/sign-in", "{path}: {}", told.status);
        }
    }
    // Whoever may change nothing need not send 48 MiB to be told so; and the proof can fail.
    for (who, is_allowed) in [(adam, false), (ruth, true)] {
        let (body, is_read) = watched(format!("form_token={}&document=x", who.form_token));
        let told = centre.hand_in(&who.cookie, "/settings/file", body).await;
        assert_eq!(is_read.load(Ordering::SeqCst), is_allowed, "{}", told.text);
    }
}

#[tokio::test]
async fn the_days_of_an_inbound_connector_are_a_file() {
    let centre = Centre::new().await;
    let ruth = centre.person("ruth", Role::Owner, None).await;
    let base = "/connectors/inbound/contoso/Printers";
    let page = centre.get(&ruth, base).await.text;
    // Nothing came today: there is no chart, and the file says so day by day.
    assert!(!page.contains("days.csv"), "{page}");
    let file = centre.get(&ruth, &format!("{base}/days.csv")).await.text;
    assert!(file.contains("day,accepted,refused"), "{file}");
    assert_eq!(file.lines().count(), 31, "{file}");
    let context = &centre.hosted.context;
    let client = ClientSummary {
        address: "11.1.2.7".parse().expect("an address"),
        helo: None,
        credential: None,
        certificate: None,
    };
    context.store.record(Event {
        organisation: Some("contoso".into()),
        inbound_connector: Some("Printers".into()),
        client: Some(Arc::new(client)),
        token: Some("FROM-DOMAIN".into()),
        ..Event::new(context.clock.now(), EventKind::AttemptRefused)
    });
    let text = centre.get(&ruth, &format!("{base}/days.json")).await.text;
    let days: Value = serde_json::from_str(&text).expect("JSON");
    let days = days.as_array().expect("a list");
    assert_eq!(
        days.last().map(|day| &day["refused"]),
        Some(&json!(1)),
        "{days:?}"
    );
    let page = centre.get(&ruth, base).await.text;
    assert!(page.contains(&format!("{base}/days.csv")), "{page}");
}

#[tokio::test]
async fn settings_come_as_a_chosen_file_too() {
    let centre = Centre::new().await;
    let ruth = centre.person("ruth", Role::Owner, None).await;
    let file = centre.get(&ruth, "/settings/file.toml").await.text;
    let before = centre.hosted.context.store.settings().version;
    let sent = async |token: &str, file: &[u8], pasted: &str| {
        let field = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        let mut body = Vec::new();
        for (head, value) in [
            (field("form_token"), token.as_bytes()),
            (field("file") + "; filename=\"s.toml\"", file),
            (field("document"), pasted.as_bytes()),
        ] {
            body.extend_from_slice(format!("--xyz\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--xyz--\r\n");
        let request = Request::post("/settings/file")
            .header(header::COOKIE, &ruth.cookie)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=xyz")
            .header("sec-fetch-site", "same-origin");
        let request = request.body(Body::from(body)).expect("a request");
        let response = centre.pages.clone().oneshot(request).await;
        Centre::told(response.expect("infallible")).await
    };
    let page = centre.get(&ruth, "/settings/file").await.text;
    assert!(page.contains("enctype=\"multipart/form-data\""), "{page}");
    let changed = file.replacen("chief@contoso.test", "boss@contoso.test", 1);
    let told = sent(&ruth.form_token, changed.as_bytes(), "").await;
    assert!(
        told.text.contains("One object would change."),
        "{}",
        told.text
    );
    assert!(told.text.contains("postmaster"), "{}", told.text);
    // Sent by nobody's page, no text, twice, not at all, longer than a file may be.
    let long = "#".repeat((16 << 20) + 1);
    for (token, file, pasted, status, says) in [
        ("x", changed.as_bytes(), "", 403, "did not come from"),
        (
            &ruth.form_token,
            &b"\xff\xfe"[..],
            "",
            400,
            "no text in UTF-8",
        ),
        (
            &ruth.form_token,
            changed.as_bytes(),
            "x = 1",
            400,
            "one of them",
        ),
        (&ruth.form_token, b"", "", 400, "Choose a file"),
        (&ruth.form_token, long.as_bytes(), "", 400, "16 MiB"),
    ] {
        let told = sent(token, file, pasted).await;
        assert_eq!(told.status.as_u16(), status, "{says}: {}", told.text);
        assert!(told.text.contains(says), "{says}: {}", told.text);
    }
    assert_eq!(centre.hosted.context.store.settings().version, before);
}

/// Names and values of a form, as it is written in the table.
fn read(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes())
        .into_owned()
        .collect()
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = fields.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// The next piece of a stream.
async fn piece(body: &mut Body) -> String {
    let piece = tokio::time::timeout(PATIENCE, body.frame()).await;
    let piece = piece.expect("in time").expect("no end").expect("no fault");
    let octets = piece.into_data().expect("data");
    String::from_utf8_lossy(&octets).into_owned()
}

/// Time is simulated, so that "nothing came" is exact.
#[tokio::test(start_paused = true)]
async fn streams_tell_people_of_one_organisation_of_their_own_only() {
    let centre = Centre::new().await;
    let carl = centre.person("carl", Role::Owner, Some("contoso")).await;
    let mut live = centre
        .knock(&carl, Method::GET, "/trace/live", &[])
        .await
        .into_body();
    let mut news = centre
        .knock(&carl, Method::GET, "/attempts/events", &[])
        .await
        .into_body();
    assert_eq!(piece(&mut live).await, ": listening\n\n");
    assert!(piece(&mut news).await.ends_with("data: new\n\n"));
    centre.hosted.refusal("fabrikam");
    // A line that keeps the connection alive, and no news.
    assert_eq!(piece(&mut news).await, ":\n\n");
    let own = centre.hosted.refusal("contoso");
    assert_eq!(piece(&mut news).await, "data: new\n\n");
    let told = piece(&mut live).await;
    assert!(told.contains(&own), "{told}");
}

/// Method and path of each `.route(…)` of the pages' sources.
fn routed(folder: &Path, found: &mut BTreeSet<(Method, String)>) {
    for entry in std::fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            routed(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let prefix = text.split("|rest: &str| format!(\"").nth(1);
        let prefix = prefix.and_then(|rest| rest.split("{rest}").next());
        let prefix = prefix
            .unwrap_or_default()
            .replace("{{", "{")
            .replace("}}", "}");
        for call in text.split(".route(").skip(1) {
            let call = call.trim_start();
            // The program's own style and scripts, the same for everybody.
            if call.starts_with("&format!(\"/assets/") {
                continue;
            }
            let named = call.split('"').nth(1).unwrap_or_default();
            let (named, handlers) = if let Some(handlers) = call.strip_prefix("HERE") {
                ("/add-device".to_owned(), handlers)
            } else if let Some(handlers) = call.strip_prefix("BACK") {
                ("/sign-in/back".to_owned(), handlers)
            } else {
                let handlers = call.splitn(3, '"').nth(2).unwrap_or_default();
                match call {
                    call if call.starts_with('"') => (named.to_owned(), handlers),
                    call if call.starts_with("&address(") => (format!("{prefix}{named}"), handlers),
                    _ => panic!("{}: a path of another kind: {call:.40}", path.display()),
                }
            };
            let line = handlers.trim_start_matches([',', ')', ' ', '\n']);
            let line = line.lines().next().unwrap_or_default();
            for (method, word) in [
                (Method::GET, "get("),
                (Method::POST, "post("),
                (Method::GET, "any("),
            ] {
                let is_first = line.starts_with(word);
                if is_first || line.contains(&format!(").{word}")) {
                    found.insert((method, named.clone()));
                }
            }
        }
    }
}

/// Whether a path with names in it is one of this route.
fn is_of(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let fits = |(one, other): (&&str, &&str)| one.starts_with('{') || one == other;
    route.len() == path.len() && route.iter().zip(&path).all(fits)
}

#[test]
fn each_route_of_the_pages_is_walked() {
    let mut routes = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    routed(&source.join("web"), &mut routes);
    assert!(routes.len() > 110, "{}: {routes:?}", routes.len());
    let streams = ["/trace/live", "/attempts/events"];
    routes.retain(|(_, route)| {
        !FOR_EVERYBODY.contains(&route.as_str()) && !streams.contains(&route.as_str())
    });
    let sent: Vec<_> = SENT
        .iter()
        .map(|(path, ..)| path.replace("{in}", IN).replace("{out}", OUT))
        .collect();
    let missing = routes.iter().filter(|(method, route)| match *method {
        Method::POST => !sent.iter().any(|path| is_of(route, path)),
        _ => !ASKED.iter().any(|path| is_of(route, path)),
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn people_of_one_organisation_need_not_name_it_in_forms() {
    let centre = Centre::new().await;
    let carl = centre.person("carl", Role::Owner, Some("contoso")).await;
    let fields = [
        ("every", "day"),
        ("to", "b@example.org"),
        ("language", "en"),
    ];
    let told = centre.send(&carl, "/reports/schedules", &fields).await;
    assert!(
        told.status.is_redirection(),
        "{} {}",
        told.status,
        told.text
    );
    let root = &centre.hosted;
    let listed = root
        .root(Method::GET, "/reports/schedules", &Value::Null)
        .await;
    assert!(
        listed.to_string().contains("\"organisation\":\"contoso\""),
        "{listed}"
    );
    let fields = [
        ("address", "paula@contoso.test"),
        ("typed", "paula@contoso.test"),
    ];
    let told = centre
        .send(&carl, "/settings/retention/erase", &fields)
        .await;
    assert!(
        told.status.is_redirection(),
        "{} {}",
        told.status,
        told.text
    );
}
