//! Pages that list and change what is kept: audit, credentials, directory, licences, restricted
//! entities, suppressed recipients, keys, webhooks, settings, organisations. Without script, by the
//! real binary.

use serde_json::{Value, json};

use crate::support::{CONTOSO, Place, Server};
use crate::web::{Page, first, first_at, post, post_and_follow};

/// Each page, its names, and whether it has an empty state at the start.
const PAGES: [(&str, &str, &str, bool); 9] = [
    ("/audit", "Audit log", "Journal d’audit", false),
    ("/credentials", "Credentials", "Identifiants", true),
    ("/directory", "Directory", "Annuaire", false),
    ("/licences", "Licences", "Licences", true),
    ("/restricted", "Restricted", "Restrictions", true),
    (
        "/suppression",
        "Suppressed recipients",
        "Destinataires écartés",
        true,
    ),
    ("/api-keys", "API keys", "Clés d’API", true),
    ("/webhooks", "Webhooks", "Webhooks", true),
    ("/settings", "Settings", "Paramètres", false),
];

fn entries(server: &Server, noun: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["--json"];
    arguments.extend(noun);
    server.relais(&arguments).expect(0).json_lines()
}

#[test]
fn each_page_has_its_name_its_files_and_its_empty_state_in_both_languages() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "fr");
    for (path, _, french, is_empty) in PAGES {
        let page = browser.get(path).expect(200);
        page.shows(&format!("<h1>{french}</h1>"));
        page.shows(&format!("href=\"{path}\" aria-current=\"page\""));
        page.shows("<code>relais ");
        page.shows(&format!("<code>GET /api/v1{path}"));
        assert_eq!(page.body.contains("class=\"empty\""), is_empty, "{path}");
        assert!(!page.body.contains("[nav-"), "a text is missing on {path}");
        for (end, form) in [
            ("csv", "text/csv; charset=utf-8"),
            ("json", "application/json"),
        ] {
            let file = browser.get(&format!("{path}.{end}")).expect(200);
            assert_eq!(file.header("content-type"), Some(form), "{path}");
        }
    }
    browser.get("/organisations").expect(200).shows("contoso");
    let token = browser.token();
    let english = [("form_token", &*token), ("language", "en"), ("back", "/")];
    browser.post("/language", &english).expect(303);
    for (path, name, ..) in PAGES {
        browser
            .get(path)
            .expect(200)
            .shows(&format!("<h1>{name}</h1>"));
    }
    // Where there can be one only, the navigation has no page of organisations.
    assert!(!browser.get("/").body.contains("href=\"/organisations\""));
}

#[test]
fn a_credential_is_made_shown_once_rotated_switched_off_and_revoked() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let form = [
        ("user", "scan-2"),
        ("connector", "contoso/Printers"),
        ("may_send_as", "scan@contoso.test, copy@contoso.test"),
    ];
    let made = post(&mut browser, "/credentials", &form).expect(200);
    made.shows("this once");
    let secret = |page: &Page| {
        let mut codes = page.body.split("<code class=\"copy\">").skip(2);
        let code = codes.next().expect("the password").split('<').next();
        code.expect("a password").to_owned()
    };
    let password = secret(&made);
    let list = browser.get("/credentials?q=copy@").expect(200);
    list.shows("<code>scan-2</code>");
    assert!(!list.body.contains(&password));
    browser
        .get("/credentials?state=off")
        .expect(200)
        .shows("No credential fits");

    // The same name again: the form keeps what was typed.
    let again = post(&mut browser, "/credentials", &form).expect(409);
    again.shows("role=\"alert\"");
    again.shows("value=\"scan-2\"");

    post(&mut browser, "/credentials/scan-2/rotate", &[])
        .expect(200)
        .shows("Give scan-2 a new password?");
    let sure = [("confirmed", "1"), ("overlap", "1h")];
    let rotated = post(&mut browser, "/credentials/scan-2/rotate", &sure).expect(200);
    assert_ne!(secret(&rotated), password);
    browser
        .get("/credentials")
        .shows("the old password stays valid until");
    post_and_follow(&mut browser, "/credentials/scan-2/disable", &[]).shows("scan-2 is off");
    assert_eq!(
        entries(&server, &["credential", "list"])[0]["enabled"],
        false
    );
    post_and_follow(&mut browser, "/credentials/scan-2/enable", &[]).shows("may sign in again");
    let sure = [("confirmed", "1")];
    post_and_follow(&mut browser, "/credentials/scan-2/revoke", &sure).shows("scan-2 is revoked");
    assert!(entries(&server, &["credential", "list"]).is_empty());
}

#[test]
fn the_audit_tells_before_and_after_and_a_change_is_taken_back_where_that_is_safe() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let set = [
        ("organisation", "contoso"),
        ("display_name", "Contoso SA"),
        ("postmaster", "it@contoso.test"),
        ("language", "fr"),
    ];
    post_and_follow(&mut browser, "/settings", &set).shows("contoso is changed");
    let page = browser
        .get("/audit?act=settings&via=web&q=language")
        .expect(200);
    page.shows("The chain of hashes is whole");
    page.shows("→");
    page.shows("relais audit list --act settings --via web --text language");
    page.shows("Settings changed");
    page.shows("127.0.0.1");
    let listed = ["audit", "list", "--act", "settings", "--limit", "1"];
    assert_eq!(entries(&server, &listed)[0]["from"], "127.0.0.1");
    assert_eq!(
        entries(
            &server,
            &["audit", "list", "--from", "127.0.0", "--limit", "1"]
        ),
        entries(&server, &["audit", "list", "--limit", "1"])
    );
    browser
        .get("/audit?actor=nobody")
        .expect(200)
        .shows("No entry fits");

    let version = page.field("version");
    let asked = post(&mut browser, "/audit/revert", &[("version", &*version)]).expect(200);
    asked.shows("language");
    let sure = [("version", &*version), ("confirmed", "1")];
    post_and_follow(&mut browser, "/audit/revert", &sure).shows("is taken back");
    let owner = &entries(&server, &["organisation", "list"])[0];
    assert_eq!(
        (&owner["language"], &owner["display_name"]),
        (&"en".into(), &"".into())
    );

    // Nothing of it is left to be taken back: the same again is refused, by command too.
    let again = server.relais(&["audit", "revert", &version]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("was changed again"), "{again:?}");
    server.relais(&["audit", "revert", "99"]).expect(3);
    let told = entries(
        &server,
        &["audit", "list", "--act", "settings", "--limit", "1"],
    );
    assert_eq!(told[0]["actor"], "anna (web)");
}

#[test]
fn the_directory_is_searched_filled_line_by_line_or_by_file_and_shown_before_it_changes() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    post_and_follow(
        &mut browser,
        "/directory",
        &[("address", "zoe@contoso.test"), ("person", "1")],
    )
    .shows("One entry was changed");
    let csv = (
        "csv",
        "address;mailbox\nbert@contoso.test;true\nzoe@contoso.test;true\n",
    );
    let look = post(&mut browser, "/directory/import", &[csv]).expect(200);
    look.shows("2 entries would change");
    assert_eq!(entries(&server, &["directory", "list"]).len(), 2);
    let sure = [csv, ("confirmed", "1")];
    post_and_follow(&mut browser, "/directory/import", &sure).shows("2 entries were changed");
    let wrong = [("csv", "no address\n")];
    post(&mut browser, "/directory/import", &wrong)
        .expect(400)
        .shows("role=\"alert\"");
    let found = browser.get("/directory?q=ZOE").expect(200);
    found.shows("zoe@contoso.test");
    assert!(!found.body.contains("bert@contoso.test"));
    let file = browser.get("/directory.csv?q=bert").expect(200);
    assert_eq!(
        file.body,
        "address,mailbox,organisation\r\nbert@contoso.test,true,contoso\r\n"
    );
    let gone = [
        ("organisation", "contoso"),
        ("address", "zoe@contoso.test"),
        ("confirmed", "1"),
    ];
    post_and_follow(&mut browser, "/directory/remove", &gone).shows("One entry was changed");
    assert_eq!(
        entries(&server, &["directory", "list", "--search", "zoe"]).len(),
        0
    );
    server
        .relais(&["directory", "remove", "zoe@contoso.test"])
        .expect(3);
}

#[test]
fn what_is_blocked_is_listed_and_released_and_so_are_recipients() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let block = [
        ("kind", "ip"),
        ("value", "198.51.100.0/24"),
        ("reason", "<b>spam</b>"),
        ("until", "7d"),
    ];
    post_and_follow(&mut browser, "/restricted", &block).shows("198.51.100.0/24 is restricted");
    let list = browser.get("/restricted?kind=ip&q=spam").expect(200);
    list.shows("&#60;b&#62;spam");
    browser
        .get("/restricted?kind=domain")
        .expect(200)
        .shows("Nothing fits");
    let wrong = [("kind", "ip"), ("value", "everybody"), ("reason", "x")];
    post(&mut browser, "/restricted", &wrong)
        .expect(400)
        .shows("value=\"everybody\"");
    let free = [("kind", "ip"), ("value", "198.51.100.0/24")];
    post_and_follow(&mut browser, "/restricted/release", &free).shows("is released");
    assert!(entries(&server, &["restricted", "list"]).is_empty());

    let stop = [
        ("address", "gone@example.org"),
        ("reason", "asked by telephone"),
    ];
    post_and_follow(&mut browser, "/suppression", &stop).shows("gone@example.org is sent nothing");
    assert_eq!(
        entries(&server, &["suppression", "list"])[0]["by"],
        "anna (web)"
    );
    let again = [("address", "gone@example.org"), ("organisation", "contoso")];
    post_and_follow(&mut browser, "/suppression/release", &again).shows("may be sent to again");
    assert!(entries(&server, &["suppression", "list"]).is_empty());
}

#[test]
fn a_key_and_a_webhook_are_made_with_their_secret_shown_once_and_taken_away() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let key = [("name", "erp"), ("scopes", "messages:write, queue:read")];
    let made = post(&mut browser, "/api-keys", &key).expect(200);
    made.shows("relais_");
    post(
        &mut browser,
        "/api-keys",
        &[("name", "x"), ("scopes", "everything")],
    )
    .expect(400)
    .shows("is no scope");
    let known = entries(&server, &["api-key", "list"]);
    let id = known[0]["id"].as_str().expect("an id");
    let path = format!("/api-keys/{id}/revoke");
    post(&mut browser, &path, &[("name", "erp")])
        .expect(200)
        .shows("Revoke the key erp?");
    let sure = [("name", "erp"), ("confirmed", "1")];
    post_and_follow(&mut browser, &path, &sure).shows("The key erp is revoked");
    assert!(entries(&server, &["api-key", "list"]).is_empty());

    let hook = [
        ("name", "tickets"),
        ("address", "https://hooks.example.org/relais"),
        ("events", "recipient.failed"),
        ("events", "alert.raised"),
    ];
    post(&mut browser, "/webhooks", &hook)
        .expect(200)
        .shows("whsec_");
    let known = entries(&server, &["webhook", "list"]);
    assert_eq!(known[0]["events"].as_array().map(Vec::len), Some(2));
    let page = format!("/webhooks/{}", known[0]["id"].as_str().expect("an id"));
    browser
        .get(&page)
        .expect(200)
        .shows("Nothing was posted to it yet");
    post_and_follow(
        &mut browser,
        &format!("{page}/test"),
        &[("name", "tickets")],
    )
    .shows("A test is on its way to tickets");
    let posted = browser.get(&page).expect(200);
    posted.shows("relais.test");
    let again = [
        ("delivery", &*posted.field("delivery")),
        ("name", "tickets"),
    ];
    post_and_follow(&mut browser, &format!("{page}/resend"), &again)
        .shows("is posted to tickets again");
    post_and_follow(
        &mut browser,
        &format!("{page}/disable"),
        &[("name", "tickets")],
    )
    .shows("tickets is off");
    let sure = [("confirmed", "1"), ("name", "tickets")];
    post(&mut browser, &format!("{page}/rotate"), &sure)
        .expect(200)
        .shows("whsec_");
    post_and_follow(&mut browser, &format!("{page}/remove"), &sure).shows("tickets is removed");
    assert!(entries(&server, &["webhook", "list"]).is_empty());
    browser.get(&page).expect(404);
}

#[test]
fn seats_and_what_is_done_without_one_are_changed_in_the_page_of_licences() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let set = [
        ("organisation", "contoso"),
        ("seats", "25"),
        ("policy", "report"),
    ];
    let page = post_and_follow(&mut browser, "/licences", &set);
    page.shows("seats in use: 0 of 25");
    page.shows("seats are counted and reported");
    let wrong = [
        ("organisation", "contoso"),
        ("seats", "many"),
        ("policy", "off"),
    ];
    post(&mut browser, "/licences", &wrong)
        .expect(422)
        .shows("role=\"alert\"");
    assert_eq!(entries(&server, &["licences"])[0]["seats"], 25);
}

#[test]
fn in_hosted_mode_an_operator_makes_organisations_and_each_sees_its_own() {
    let server = Place::new("").with_mode("hosted").serve();
    let mut browser = first_at(&server, "en", "/setup/you");
    let new = [
        ("name", "fabrikam"),
        ("display_name", "Fabrikam"),
        ("postmaster", "it@fabrikam.test"),
        ("language", "fr"),
    ];
    post_and_follow(&mut browser, "/organisations", &new).shows("fabrikam is there");
    post(&mut browser, "/organisations", &new)
        .expect(409)
        .shows("role=\"alert\"");
    let contoso = [("name", "contoso"), ("language", "en")];
    post_and_follow(&mut browser, "/organisations", &contoso).shows("contoso is there");
    browser.get("/").shows("href=\"/organisations\"");
    let both = browser.get("/settings.csv").expect(200).body;
    assert!(both.contains("organisation fabrikam,") && both.contains("organisation contoso,"));
    let one = browser
        .get("/settings.csv?organisation=contoso")
        .expect(200)
        .body;
    assert!(!one.contains("fabrikam"), "{one}");
}

/// Of a message in the queue.
fn to_of(message: &Value) -> Option<&str> {
    message["recipients"][0]["to"].as_str()
}

/// What is raised, once this is.
fn raised(server: &Server, scope: &str) -> Vec<Value> {
    let begun = std::time::Instant::now();
    loop {
        let all = entries(server, &["alert", "list"]);
        if all.iter().any(|one| one["scope"] == scope) {
            return all;
        }
        assert!(begun.elapsed().as_secs() < 60, "{all:?}");
        // Measured every five seconds.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn an_alert_made_from_a_message_is_of_its_mail_and_not_of_the_neighbours() {
    let server = Server::with_settings(CONTOSO);
    server.send("scan@contoso.test", "old@example.invalid");
    let mut browser = first(&server, "en");
    let rule = |to: &'static str| {
        let scope = [("connector", "Printers"), ("to", to)];
        let limits = [("rule", "queue-age"), ("threshold", "1"), ("lasting", "0")];
        [&scope[..], &limits[..]].concat()
    };
    // Without a word on which mail, it would be the rule for everything.
    let [_, _, limits @ ..] = &rule("")[..] else {
        panic!("a form")
    };
    post(&mut browser, "/alerts/rules", limits).expect(400);
    // The neighbour's comes first: where it were judged by the same mail, it were raised as soon.
    for to in ["neighbour.invalid", "example.invalid"] {
        let page = post_and_follow(&mut browser, "/alerts/rules", &rule(to));
        page.shows(&format!("connector:Printers to:{to}"));
    }
    let all = raised(&server, "connector:Printers to:example.invalid");
    let waits = all.iter().filter(|one| one["rule"] == "queue-age");
    let waits: Vec<_> = waits.map(|one| (&one["scope"], &one["subject"])).collect();
    let (scope, subject) = (
        json!("connector:Printers to:example.invalid"),
        json!("example.invalid"),
    );
    assert_eq!(waits, [(&scope, &subject)]);
    browser
        .get("/")
        .expect(200)
        .shows("connector:Printers to:example.invalid");
    // The same by the command line: what is there is changed, and taken away.
    let own = [
        "queue-age",
        "--connector",
        "Printers",
        "--to",
        "example.invalid",
    ];
    server
        .relais(&[&["alert", "set"], &own[..], &["--threshold", "999999"]].concat())
        .expect(0);
    let rules = entries(&server, &["alert", "rules"]);
    let scoped: Vec<_> = rules.iter().filter(|one| one["scope"] != "").collect();
    assert_eq!(scoped.len(), 2, "{rules:?}");
    assert_eq!(scoped[1]["threshold"], 999_999);
    server
        .relais(&[&["alert", "unset"], &own[..]].concat())
        .expect(0);
    server
        .relais(&[&["alert", "unset"], &own[..]].concat())
        .expect(3);
    server
        .relais(&["alert", "set", "disk", "--from", "scan@contoso.test"])
        .expect(1);
    let gone = [("connector", "Printers"), ("to", "neighbour.invalid")];
    post_and_follow(&mut browser, "/alerts/rules/queue-age/remove", &gone)
        .shows("The rule is removed");
    let told = entries(&server, &["audit", "list", "--act", "alert.rule-removed"]);
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_message_that_waits_is_sent_to_another_address_too_and_leads_to_its_alert() {
    let server = Server::with_settings(CONTOSO);
    let id = server.send("scan@contoso.test", "old@example.invalid");
    let mut browser = first(&server, "en");
    let page = browser.get(&format!("/trace/{id}")).expect(200);
    page.shows("href=\"/alerts?rule=");
    let (_, link) = page
        .body
        .split_once("href=\"/alerts?rule=")
        .expect("a link");
    let link = link
        .split('"')
        .next()
        .expect("an address")
        .replace("&#38;", "&");
    let link = link.split('#').next().expect("a path");
    let link = format!("/alerts?rule={link}");
    let filled = browser.get(&link).expect(200);
    filled.shows("Filled in from this message");
    filled.shows("name=\"connector\" maxlength=\"320\" value=\"Printers\"");
    filled.shows("name=\"to\" maxlength=\"320\" value=\"example.invalid\"");
    let path = format!("/queue/{id}/resend");
    post(&mut browser, &path, &[("to", "nobody")]).expect(400);
    let copy = post_and_follow(&mut browser, &path, &[("to", "new@example.invalid")]);
    copy.shows("It is on its way to new@example.invalid");
    copy.shows("copy of");
    let all = entries(&server, &["queue", "list"]);
    let mut to: Vec<_> = all.iter().filter_map(to_of).collect();
    to.sort_unstable();
    assert_eq!(to, ["new@example.invalid", "old@example.invalid"]);
    let told = entries(&server, &["audit", "list", "--act", "queue.resent"]);
    assert_eq!(told[0]["actor"], "anna (web)");
    // What is restricted is not sent on by this door either.
    let block = [
        "restricted",
        "block",
        "address",
        "scan@contoso.test",
        "--hold",
    ];
    server
        .relais(&[&block[..], &["--reason", "odd"]].concat())
        .expect(0);
    let resend = ["queue", "resend", &id, "--to", "third@example.invalid"];
    server.relais(&resend).expect(0);
    let all = entries(&server, &["queue", "list"]);
    let third = all
        .iter()
        .find(|one| to_of(one) == Some("third@example.invalid"));
    let third = &third.expect("the copy")["recipients"][0];
    assert_eq!(
        (&third["state"], &third["attempts"]),
        (&json!("held"), &json!(0))
    );
    assert_eq!(third["is_restricted"], true);
    server
        .relais(&["queue", "resend", "nothing", "--to", "a@example.org"])
        .expect(1);
}
