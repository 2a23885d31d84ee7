//! What every page of the admin centre has: a name in both languages, a state without anything, an
//! address that keeps its filter, the same as CSV and JSON, and the command or call that answers
//! the same. The table here is the promise; the guide shows it.

use serde_json::Value;

use crate::support::{CONTOSO, Place, Server, repository};
use crate::web::{first, first_at};

/// One page of the navigation.
struct Kept {
    path: &'static str,
    english: &'static str,
    french: &'static str,
    /// What it says where there is nothing; empty: there is always something.
    nothing: &'static str,
    /// A filter of its address, and what of the page shows that it counts; empty: it has none.
    filter: (&'static str, &'static str),
    api: &'static str,
    command: &'static str,
}

const fn kept(
    path: &'static str,
    (english, french): (&'static str, &'static str),
    nothing: &'static str,
    filter: (&'static str, &'static str),
    (api, command): (&'static str, &'static str),
) -> Kept {
    Kept {
        path,
        english,
        french,
        nothing,
        filter,
        api,
        command,
    }
}

const NONE: (&str, &str) = ("", "");

const PAGES: [Kept; 25] = [
    kept(
        "/home",
        ("Home", "Accueil"),
        "Left to set up",
        NONE,
        ("/status", "relais status"),
    ),
    kept(
        "/trace",
        ("Message trace", "Suivi des messages"),
        "Nothing here. Send a test",
        ("q=to%3Aanna&since=7d", "value=\"to:anna\""),
        ("/trace", "relais trace"),
    ),
    kept(
        "/queue",
        ("Queue", "File d’attente"),
        "Nothing is waiting.",
        ("state=held", "<option value=\"held\" selected>"),
        ("/queue", "relais queue list"),
    ),
    kept(
        "/queue/suspended",
        ("Suspended delivery", "Remise suspendue"),
        "Nothing is suspended.",
        ("q=nothing", "value=\"nothing\""),
        ("/queue/suspended", "relais queue suspended"),
    ),
    kept(
        "/attempts",
        ("Refused attempts", "Tentatives refusées"),
        "class=\"empty\"",
        ("since=1h", "href=\"/attempts?since=1h\" aria-current"),
        ("/attempts", "relais attempts list"),
    ),
    kept(
        "/attempts/ignored",
        ("Ignored attempts", "Tentatives ignorées"),
        "Nothing is ignored.",
        ("q=nothing", "value=\"nothing\""),
        ("/attempts/ignored", "relais attempts ignored"),
    ),
    kept(
        "/reports",
        ("Reports", "Rapports"),
        "Reports fill after the first message.",
        ("since=30d", "href=\"/reports?since=30d\" aria-current"),
        ("/reports", ""),
    ),
    kept(
        "/connectors/inbound",
        ("Inbound connectors", "Connecteurs entrants"),
        "Nobody may send yet.",
        ("q=nothing", "value=\"nothing\""),
        ("/connectors/inbound", "relais connector inbound list"),
    ),
    kept(
        "/connectors/outbound",
        ("Outbound connectors", "Connecteurs sortants"),
        "Mail goes straight",
        ("state=draft", "<option value=\"draft\" selected>"),
        ("/connectors/outbound", "relais connector outbound list"),
    ),
    kept(
        "/domains",
        ("Domains", "Domaines"),
        "Add the domain your mail comes from",
        ("state=pending", "<option value=\"pending\" selected>"),
        ("/domains", "relais domain list"),
    ),
    kept(
        "/devices",
        ("Devices &#38; apps", "Appareils et applis"),
        "No device has shown up yet.",
        (
            "filter=silent",
            "href=\"/devices?filter=silent\" aria-current",
        ),
        ("/devices", ""),
    ),
    kept(
        "/credentials",
        ("Credentials", "Identifiants"),
        "class=\"empty\"",
        ("state=off", "<option value=\"off\" selected>"),
        ("/credentials", "relais credential list"),
    ),
    kept(
        "/certificates",
        ("Client certificates", "Certificats clients"),
        "No connector names a certificate",
        ("q=nothing", "value=\"nothing\""),
        ("/connectors/inbound/certificates", ""),
    ),
    kept(
        "/directory",
        ("Directory", "Annuaire"),
        "class=\"empty\"",
        ("q=anna", "value=\"anna\""),
        ("/directory", "relais directory list"),
    ),
    kept(
        "/licences",
        ("Licences", "Licences"),
        "class=\"empty\"",
        ("kind=person", "<option value=\"person\" selected>"),
        ("/licences", "relais licences"),
    ),
    kept(
        "/restricted",
        ("Restricted", "Restrictions"),
        "Nothing is restricted.",
        ("kind=ip", "<option value=\"ip\" selected>"),
        ("/restricted", "relais restricted list"),
    ),
    kept(
        "/suppression",
        ("Suppressed recipients", "Destinataires écartés"),
        "class=\"empty\"",
        ("q=anna", "value=\"anna\""),
        ("/suppression", "relais suppression list"),
    ),
    kept(
        "/health",
        ("Health", "État de santé"),
        "class=\"empty\"",
        ("verdict=broken", ""),
        ("/checks", "relais doctor"),
    ),
    kept(
        "/alerts",
        ("Alerts", "Alertes"),
        "class=\"empty\"",
        NONE,
        ("/alerts", "relais alert list"),
    ),
    kept(
        "/webhooks",
        ("Webhooks", "Webhooks"),
        "class=\"empty\"",
        NONE,
        ("/webhooks", "relais webhook list"),
    ),
    kept(
        "/api-keys",
        ("API keys", "Clés d’API"),
        "class=\"empty\"",
        NONE,
        ("/api-keys", "relais api-key list"),
    ),
    kept(
        "/settings",
        ("Settings", "Paramètres"),
        "class=\"empty\"",
        ("q=name", "value=\"name\""),
        ("/settings", "relais export"),
    ),
    kept(
        "/settings/retention",
        ("Retention &#38; privacy", "Conservation et confidentialité"),
        "There is no organisation yet.",
        NONE,
        ("/retention", "relais organisation set"),
    ),
    kept(
        "/listeners",
        (
            "Listeners &#38; certificates",
            "Ports d’écoute et certificats",
        ),
        "",
        ("q=nothing", "value=\"nothing\""),
        ("/status", "relais status"),
    ),
    kept(
        "/audit",
        ("Audit log", "Journal d’audit"),
        "",
        ("actor=anna", "value=\"anna\""),
        ("/audit", "relais audit list"),
    ),
];

/// Where a page is: Home has no name in its address.
fn address(page: &Kept) -> &str {
    match page.path {
        "/home" => "/",
        path => path,
    }
}

/// The file of a page in this form.
fn file(page: &Kept, form: &str) -> String {
    match page.path {
        "/trace" => format!("/trace/export.{form}"),
        // One table for each chart.
        "/reports" if form == "csv" => "/reports/mail.csv".to_owned(),
        path => format!("{path}.{form}"),
    }
}

#[test]
fn each_page_has_a_name_an_empty_state_a_filter_files_and_its_command_or_call() {
    let bare = Place::new("").serve();
    let empty = first_at(&bare, "en", "/setup/you");
    for page in &PAGES {
        let found = empty.get(address(page)).expect(200);
        found.shows(&format!("<h1>{}</h1>", page.english));
        found.shows(page.nothing);
        found.shows(&format!("<code>GET /api/v1{}", page.api));
        found.shows(&format!("<code>{}", page.command));
        let (query, chosen) = page.filter;
        if !query.is_empty() {
            empty
                .get(&format!("{}?{query}", address(page)))
                .expect(200)
                .shows(chosen);
        }
    }
    let server = Server::with_settings(CONTOSO);
    server.send("scan@contoso.test", "b@example.invalid");
    let browser = first(&server, "fr");
    for page in &PAGES {
        let found = browser.get(address(page)).expect(200);
        found.shows(&format!("<h1>{}</h1>", page.french));
        let csv = browser.get(&file(page, "csv")).expect(200);
        let is_csv = Some("text/csv; charset=utf-8");
        assert_eq!(csv.header("content-type"), is_csv, "{}", page.path);
        assert!(
            csv.body.contains(',') && csv.body.ends_with("\r\n"),
            "{}",
            csv.body
        );
        let json = browser.get(&file(page, "json")).expect(200);
        // The trace is as long as it is, and sent in parts: one event a line.
        let (form, read) = match page.path {
            "/trace" => ("application/x-ndjson", json.body.contains("{\"time\":\"")),
            _ => ("application/json", is_json(&json.body)),
        };
        assert_eq!(json.header("content-type"), Some(form), "{}", page.path);
        assert!(read, "{}: {}", page.path, json.body);
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

#[test]
fn the_guide_has_the_table_of_what_each_page_has() {
    let guide = std::fs::read_to_string(repository("docs/guides/pages.md")).expect("the guide");
    for page in &PAGES {
        let filter = page.filter.0.split('=').next().unwrap_or_default();
        let filter = if filter.is_empty() {
            "–".to_owned()
        } else {
            format!("`?{filter}=`")
        };
        let [csv, json] = ["csv", "json"].map(|form| file(page, form));
        let command = match page.command {
            "" => "–".to_owned(),
            command => format!("`{command}`"),
        };
        let nothing = if page.nothing.is_empty() {
            "never empty"
        } else {
            "yes"
        };
        let line = format!(
            "| {} | {nothing} | {filter} | `{csv}` | `{json}` | `GET /api/v1{}` | {command} |",
            page.english.replace("&#38;", "&"),
            page.api
        );
        assert!(guide.contains(&line), "the guide must have:\n{line}");
    }
}

#[test]
fn the_call_that_a_page_names_is_one_that_a_program_may_make() {
    let document = repository("docs/reference/openapi.json");
    let document = std::fs::read_to_string(document).expect("the document");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    for page in &PAGES {
        let path = format!("/api/v1{}", page.api);
        assert!(document["paths"][&path]["get"].is_object(), "GET {path}");
    }
}

#[test]
fn times_are_by_the_clock_of_the_zone_that_a_person_chose() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("scan@contoso.test", "b@example.invalid");
    let mut browser = first(&server, "en");
    browser.get("/queue").expect(200).shows("Accepted (UTC)");
    let token = browser.token();
    let choice = [
        ("form_token", &*token),
        ("zone", "Asia/Kolkata"),
        ("back", "/account"),
    ];
    let next = browser.post("/zone", &choice).expect(303);
    assert_eq!(next.header("location"), Some("/account"));
    browser
        .get("/account")
        .expect(200)
        .shows("<option selected>Asia/Kolkata</option>");
    // Half past: that zone has no whole hours.
    let queue = browser.get("/queue").expect(200);
    queue.shows("Accepted (Asia/Kolkata)");
    let accepted = server
        .relais(&["--json", "queue", "show", &id])
        .expect(0)
        .json();
    let utc = accepted["accepted_at"].as_str().expect("a time").to_owned();
    let minutes: u32 = utc.get(14..16).expect("minutes").parse().expect("a number");
    let hours: u32 = utc.get(11..13).expect("hours").parse().expect("a number");
    let there = (hours * 60 + minutes + 330) % (24 * 60);
    queue.shows(&format!("{:02}:{:02}", there / 60, there % 60));
    let trace = browser.get("/trace").expect(200);
    trace.shows("Time (Asia/Kolkata)");
    let elsewhere = [
        ("form_token", &*token),
        ("zone", "Europe/Atlantis"),
        ("back", "//evil.example"),
    ];
    let next = browser.post("/zone", &elsewhere).expect(303);
    assert_eq!(next.header("location"), Some("/"));
    browser.get("/queue").expect(200).shows("Accepted (UTC)");
}
