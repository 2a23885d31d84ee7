//! Signing in with an issuer, by the real binary against the small provider of the tests: nothing
//! comes into force untried, roles are the issuer's groups, and local accounts always count.

use std::net::TcpStream;

use std::io::{Read, Write};

use serde_json::json;

use crate::provider::{CLIENT_SECRET, Provider};
use crate::support::{CONTOSO, PATIENCE, Place, Server};
use crate::web::{Browser, PASSWORD, Page, audit, first};

/// Roles as the issuer names them.
const MEANINGS: &str = "Relais.Owner = owner\nRelais.Desk = helpdesk, contoso";

fn serve(person: serde_json::Value) -> (Server, Provider) {
    let place = Place::new("").with_admin("allow_private_issuer = true");
    let provider = Provider::start(&place, person);
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    (server, provider)
}

fn owner() -> serde_json::Value {
    json!({ "sub": "1", "preferred_username": "olga@contoso.test", "roles": ["Relais.Owner"] })
}

/// The draft, as the page sends it.
fn draft(browser: &mut Browser<'_>, server: &Server, issuer: &str) -> Page {
    draft_with(browser, server, (issuer, CLIENT_SECRET))
}

/// The same with another secret; an empty one: the field is left as it is.
fn draft_with(browser: &mut Browser<'_>, server: &Server, (issuer, secret): (&str, &str)) -> Page {
    let token = browser.token();
    let centre = format!("http://{}", server.admin);
    browser.post(
        "/sso",
        &[
            ("form_token", &*token),
            ("issuer", issuer),
            ("client_id", "relais"),
            ("client_secret", secret),
            ("centre", &centre),
            ("claim", "roles"),
            ("meanings", MEANINGS),
        ],
    )
}

fn adopt(browser: &mut Browser<'_>) -> Page {
    let token = browser.token();
    browser.post("/sso/adopt", &[("form_token", &token)])
}

/// Where the provider's page leads whoever allows it.
fn allowed(address: &str, server: &Server) -> String {
    let (host, path) = address
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("an address");
    let mut stream = TcpStream::connect(host).expect("the provider answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("written");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("an answer");
    let (_, link) = page.split_once("href=\"").expect("a link");
    let link = link.split('"').next().expect("its end");
    let link = link.replace("&amp;", "&");
    let centre = format!("http://{}", server.admin);
    link.strip_prefix(&centre).expect("our address").to_owned()
}

/// Begins at this path, and comes back with a code; the browser keeps what it was given.
fn there_and_back(browser: &mut Browser<'_>, server: &Server, path: &str) -> Page {
    let leaving = browser.get(path).expect(303);
    let state = leaving.header("set-cookie").expect("a state");
    assert!(
        state.contains("HttpOnly") && state.contains("SameSite=Lax"),
        "{state}"
    );
    let state = state.split(';').next().expect("a cookie").to_owned();
    let back = allowed(leaving.header("location").expect("where"), server);
    let session = std::mem::take(&mut browser.cookie);
    browser.cookie = format!("{state}; {session}");
    let page = browser.get(&back);
    let given = page
        .header("set-cookie")
        .filter(|it| it.contains("session="));
    browser.cookie = given.map_or(session, |it| {
        it.split(';').next().unwrap_or_default().into()
    });
    page
}

#[test]
fn an_issuer_is_tried_before_it_counts_and_people_come_in_with_its_roles() {
    let (server, provider) = serve(owner());
    let mut anna = first(&server, "en");
    let mut olga = Browser::new(&server, "en");
    olga.get("/sign-in/with").expect(502);
    draft(&mut anna, &server, &provider.address).expect(303);
    anna.get("/sso")
        .expect(200)
        .shows("before the draft can come into force");
    adopt(&mut anna).expect(409);
    there_and_back(&mut anna, &server, "/sso/try").expect(200);
    let tried = anna.get("/sso").expect(200);
    tried.shows("olga@contoso.test: roles = [Relais.Owner]");
    assert!(!tried.body.contains(CLIENT_SECRET));
    // A try lets nobody in, and the draft counts for nobody yet.
    olga.get("/sign-in/with").expect(502);
    adopt(&mut anna).expect(303);
    olga.get("/sign-in").expect(200).shows("/sign-in/with");
    there_and_back(&mut olga, &server, "/sign-in/with?next=%2Fqueue")
        .expect(200)
        .shows("/queue");
    olga.get("/people")
        .expect(200)
        .shows("sso:olga@contoso.test");
    let held = ["--json", "admin", "sessions"];
    let sessions = server.relais(&held).expect(0).json_lines();
    assert!(
        sessions.iter().any(|one| one["by_issuer"] == true),
        "{sessions:?}"
    );
    // Another group, another role; none, and nobody comes in.
    let desk = json!({ "sub": "2", "preferred_username": "hugo", "roles": ["x", "Relais.Desk"] });
    *provider.person.lock().expect("no panic") = desk;
    let mut hugo = Browser::new(&server, "en");
    there_and_back(&mut hugo, &server, "/sign-in/with").expect(200);
    hugo.get("/trace").expect(200);
    hugo.get("/people").expect(403);
    *provider.person.lock().expect("no panic") = json!({ "sub": "3", "roles": ["Sales"] });
    let mut eve = Browser::new(&server, "en");
    let no = there_and_back(&mut eve, &server, "/sign-in/with").expect(403);
    no.shows("has no role here");
    eve.get("/").expect(303);
    // The break-glass account, and the end of it all.
    Browser::new(&server, "en")
        .sign_in("anna", PASSWORD)
        .expect(303);
    let token = anna.token();
    anna.post("/sso/remove", &[("form_token", &token)])
        .expect(303);
    olga.get("/").expect(303);
    hugo.get("/").expect(303);
    anna.get("/").expect(200);
    // Each of them is told.
    let told = audit(&server);
    let came = told.iter().filter(|one| one["act"] == "admin.signed-in");
    let came: Vec<_> = came.map(|one| one["detail"].to_string()).collect();
    let olga = format!(
        "sso:olga@contoso.test (owner) from 127.0.0.1, by {} as 1",
        provider.address
    );
    assert!(came.iter().any(|one| one.contains(&olga)), "{came:?}");
    let tried = anna.get("/api/v1/trace?q=event:auth.failed").expect(200);
    tried.shows("sso:3 at the admin centre, by an issuer");
    for act in ["sign-in.changed", "sign-in.removed"] {
        let entry = told.iter().find(|one| one["act"] == act).expect(act);
        assert_eq!(
            (&entry["actor"], &entry["via"]),
            (&"anna (web)".into(), &"web".into())
        );
    }
    let all = server.relais(&["--json", "audit", "list"]).expect(0).out;
    assert!(!all.contains(CLIENT_SECRET));
}

/// The link of a page with these words in it.
#[track_caller]
fn link_of(page: &Page, beginning: &str) -> String {
    let mark = format!("href=\"{beginning}");
    let (_, rest) = page.body.split_once(&mark).expect("a link");
    let rest = rest.split('"').next().expect("its end");
    format!(
        "{beginning}{}",
        rest.replace("&#38;", "&").replace("&amp;", "&")
    )
}

fn sign_out(browser: &mut Browser<'_>) -> Page {
    let token = browser.token();
    browser.post("/sign-out", &[("form_token", &token)])
}

#[test]
fn who_signs_out_is_out_here_at_once_and_is_led_to_the_issuer_if_they_like() {
    let (server, provider) = serve(owner());
    let mut anna = first(&server, "en");
    draft(&mut anna, &server, &provider.address).expect(303);
    there_and_back(&mut anna, &server, "/sso/try").expect(200);
    adopt(&mut anna).expect(303);
    // Of a local person the issuer knows nothing.
    let local = sign_out(&mut anna).expect(303);
    assert_eq!(local.header("location"), Some("/sign-in"));
    let mut olga = Browser::new(&server, "en");
    there_and_back(&mut olga, &server, "/sign-in/with").expect(200);
    let held = olga.cookie.clone();
    let gone = sign_out(&mut olga).expect(200);
    let forgets = gone.header("set-cookie").expect("a cookie");
    assert!(forgets.contains("Max-Age=0"), "{forgets}");
    // Whether she goes there or not.
    olga.cookie.clone_from(&held);
    olga.get("/").expect(303);
    assert!(provider.left.lock().expect("no panic").is_empty());
    let leave = link_of(&gone, &provider.address);
    let back = allowed(&leave, &server);
    let left = provider.left.lock().expect("no panic").remove(0);
    assert_eq!(left["client_id"], "relais");
    let hint = left["id_token_hint"].split('.').count();
    assert_eq!(hint, 3, "the token that names the session there: {left:?}");
    let home = olga.get(&back).expect(303);
    assert_eq!(home.header("location"), Some("/sign-in"));
    // Over a restart the token is not kept: the issuer asks who it is.
    there_and_back(&mut olga, &server, "/sign-in/with").expect(200);
    let held = olga.cookie.clone();
    let (_, place) = server.stop();
    let server = place.serve();
    let mut olga = Browser::new(&server, "en");
    olga.cookie = held;
    let leave = link_of(&sign_out(&mut olga).expect(200), &provider.address);
    assert!(
        leave.contains("client_id=relais") && !leave.contains("hint"),
        "{leave}"
    );
}

#[test]
fn a_sign_in_comes_back_to_the_browser_that_began_it_and_once() {
    let (server, provider) = serve(owner());
    let mut anna = first(&server, "en");
    draft(&mut anna, &server, &provider.address).expect(303);
    there_and_back(&mut anna, &server, "/sso/try").expect(200);
    adopt(&mut anna).expect(303);
    let begun = Browser::new(&server, "en").get("/sign-in/with").expect(303);
    let state = begun.header("set-cookie").expect("a state").to_owned();
    let back = allowed(begun.header("location").expect("where"), &server);
    // Somebody who was sent a link by another.
    let mut victim = Browser::new(&server, "en");
    victim
        .get(&back)
        .expect(403)
        .shows("not begun in this browser");
    victim.cookie = "relais_sso=another".to_owned();
    victim.get(&back).expect(403);
    let mut own = Browser::new(&server, "en");
    own.cookie = state.split(';').next().expect("a cookie").to_owned();
    own.get(&back).expect(200);
    own.get(&back).expect(403);
    // An issuer that says no is told, in words that cannot be its markup.
    let no = back.replace("code=", "error=%3Cb%3E&no=");
    let said = own.get(&no).expect(403);
    assert!(!said.body.contains("<b>"), "{}", said.body);
    // Whoever sets out again and again asks the issuer no more, and hinders nobody's password.
    let eager = Browser::new(&server, "en");
    let mut set_out = (0..40).map(|_| eager.get("/sign-in/with").status);
    assert!(set_out.any(|status| status == 429));
    Browser::new(&server, "en")
        .sign_in("anna", PASSWORD)
        .expect(303);
}

#[test]
fn the_secret_of_one_issuer_is_never_told_to_another() {
    let (server, provider) = serve(owner());
    let mut anna = first(&server, "en");
    draft(&mut anna, &server, &provider.address).expect(303);
    there_and_back(&mut anna, &server, "/sso/try").expect(200);
    adopt(&mut anna).expect(303);
    // It takes the same secret, and would let her in with it.
    let elsewhere = Place::new("");
    let other = Provider::start(&elsewhere, owner());
    draft_with(&mut anna, &server, (&other.address, "")).expect(303);
    there_and_back(&mut anna, &server, "/sso/try").expect(502);
    adopt(&mut anna).expect(409);
    // For its own issuer it is kept.
    draft_with(&mut anna, &server, (&provider.address, "")).expect(303);
    there_and_back(&mut anna, &server, "/sso/try").expect(200);
    // Whoever was sent to one issuer brings no code to the next.
    let leaving = anna.get("/sso/try").expect(303);
    let back = allowed(leaving.header("location").expect("where"), &server);
    let state = leaving.header("set-cookie").expect("a state");
    let state = state.split(';').next().expect("a cookie").to_owned();
    draft(&mut anna, &server, &other.address).expect(303);
    anna.cookie = format!("{state}; {}", anna.cookie);
    anna.get(&back).expect(403);
    adopt(&mut anna).expect(409);
}

#[test]
fn an_issuer_in_our_own_network_is_asked_only_where_the_machine_s_file_says_so() {
    let place = Place::new("");
    let provider = Provider::start(&place, owner());
    let server = place.serve();
    server.apply(CONTOSO).expect(0);
    let mut anna = first(&server, "en");
    draft(&mut anna, &server, &provider.address).expect(303);
    anna.get("/sso/try")
        .expect(502)
        .shows("allow_private_issuer");
}

#[test]
fn an_issuer_in_clear_or_away_is_refused_before_anything_is_kept() {
    let (server, _provider) = serve(owner());
    let mut anna = first(&server, "en");
    draft(&mut anna, &server, "http://issuer.example")
        .expect(400)
        .shows("by https");
    anna.get("/sso").expect(200).shows("Local sign-in only");
    draft(&mut anna, &server, "http://127.0.0.1:1").expect(303);
    anna.get("/sso/try").expect(502);
    adopt(&mut anna).expect(409);
    let role = ["admin", "add", "hugo", "--role", "operator"];
    let told = server.relais(&role).expect(0).out;
    let password = told
        .lines()
        .next_back()
        .and_then(|line| line.rsplit(' ').next());
    let mut hugo = Browser::new(&server, "en");
    hugo.sign_in("hugo", password.expect("told")).expect(303);
    hugo.get("/sso").expect(403);
    hugo.get("/sso/try").expect(403);
    draft(&mut hugo, &server, "http://127.0.0.1:1").expect(403);
}
