//! Lists that a person changes where they read them: the queue in groups, domains, and the changes
//! of a connector. Without script, by the real binary.

use serde_json::{Value, json};

use crate::support::{CONTOSO, Server};
use crate::web::{first, post, post_and_follow};

fn lines(server: &Server, noun: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["--json"];
    arguments.extend(noun);
    server.relais(&arguments).expect(0).json_lines()
}

#[test]
fn what_waits_for_one_destination_is_one_line_and_one_act_after_a_question_that_counts() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    browser
        .get("/queue?by=destination")
        .expect(200)
        .shows("Nothing is waiting.");
    for to in ["a@example.invalid", "b@example.invalid", "c@other.invalid"] {
        server.send("scan@contoso.test", to);
    }
    // Held, so that no attempt comes between.
    server
        .relais(&["queue", "hold", "--all", "--yes"])
        .expect(0);
    let page = browser.get("/queue?by=destination").expect(200);
    page.shows("href=\"/queue?by=destination\" aria-current=\"true\"");
    page.shows("<a href=\"/queue?destination=example.invalid\">example.invalid</a>");
    page.shows("relais queue groups --by destination");
    page.shows("GET /api/v1/queue/groups?by=destination");
    page.shows(" ago</bdi>");
    browser
        .get("/queue?by=reason")
        .expect(200)
        .shows("<a href=\"/queue?state=held\">Held</a>");
    let file = browser.get("/queue.csv?by=destination").expect(200);
    assert!(
        file.body.contains("\r\nexample.invalid,2,2,2,"),
        "{}",
        file.body
    );

    let group = [
        ("act", "delete"),
        ("scope", "all"),
        ("by", "destination"),
        ("destination", "example.invalid"),
    ];
    let asked = post(&mut browser, "/queue/act", &group).expect(200);
    asked.shows("Delete 2 messages");
    let up_to = asked.field("up_to");
    let sure = [("up_to", &*up_to), ("confirmed", "1")];
    let left = post_and_follow(&mut browser, "/queue/act", &[&group[..], &sure].concat());
    left.shows("Deleted for 2 recipients.");
    left.shows("aria-current=\"true\">By destination");
    assert!(!left.body.contains("example.invalid"), "{}", left.body);
    let groups = lines(&server, &["queue", "groups"]);
    assert_eq!(groups.len(), 1);
    assert_eq!(
        groups[0]["selection"],
        json!({ "destination": "other.invalid" })
    );
    let audit = lines(&server, &["audit", "list", "--act", "queue.deleted"]);
    assert_eq!(
        (&audit[0]["via"], &audit[0]["actor"]),
        (&"web".into(), &"anna (web)".into())
    );
}

#[test]
fn delivery_to_a_destination_is_suspended_and_resumed_on_the_page_of_the_queue() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    for to in ["a@example.invalid", "b@example.invalid", "c@other.invalid"] {
        server.send("scan@contoso.test", to);
    }
    server
        .relais(&["queue", "hold", "--all", "--yes"])
        .expect(0);
    let page = browser.get("/queue?by=destination").expect(200);
    page.shows("<a href=\"/queue/suspended\">Suspended</a>");
    page.shows("name=\"destination\" value=\"example.invalid\"");

    let path = "/queue/suspended";
    let group = [("act", "suspend"), ("destination", "Example.invalid")];
    let asked = post(&mut browser, path, &group).expect(200);
    asked.shows("Suspend delivery: mail to example.invalid?");
    asked.shows("2 messages of it wait now.");
    asked.shows("relais queue suspend example.invalid");
    assert!(lines(&server, &["queue", "suspended"])[0]["suspensions"] == json!([]));
    let wrong = [("confirmed", "1"), ("until", "yesterday")];
    post(&mut browser, path, &[&group[..], &wrong].concat())
        .expect(400)
        .shows("role=\"alert\"");
    let sure = [
        ("confirmed", "1"),
        ("reason", "they move <house>"),
        ("until", "2h"),
    ];
    let page = post_and_follow(&mut browser, path, &[&group[..], &sure].concat());
    page.shows("Delivery is suspended: mail to example.invalid.");
    page.shows("they move &#60;house&#62;");
    page.shows("anna (web)");
    page.shows("aria-current=\"true\">Suspended (1)");
    let known = &lines(&server, &["queue", "suspended"])[0]["suspensions"][0];
    assert_eq!(known["destination"], "example.invalid");
    assert!(known["until"].is_string(), "{known}");
    browser
        .get("/queue?by=destination")
        .expect(200)
        .shows("<bdi>suspended</bdi>");
    browser
        .get("/")
        .expect(200)
        .shows("href=\"/queue/suspended\">Delivery is suspended: mail to example.invalid.");
    let file = browser.get("/queue/suspended.csv").expect(200).body;
    assert!(file.contains("\r\nexample.invalid,,"), "{file}");

    let resume = [("act", "resume"), ("destination", "example.invalid")];
    post(&mut browser, path, &resume)
        .expect(200)
        .shows("Resume delivery: mail to example.invalid?");
    let sure = [&resume[..], &[("confirmed", "1")]].concat();
    post_and_follow(&mut browser, path, &sure).shows("Delivery is resumed");
    assert_eq!(
        lines(&server, &["queue", "suspended"])[0]["suspensions"],
        json!([])
    );
    post(&mut browser, path, &sure).expect(404);
}

#[test]
fn a_domain_is_added_changed_and_removed_by_its_typed_name_on_its_page() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let wrong = [("name", "no domain"), ("kind", "internal-relay")];
    let page = post(&mut browser, "/domains", &wrong).expect(400);
    page.shows("role=\"alert\"");
    page.shows("value=\"no domain\"");
    page.shows("<option value=\"internal-relay\" selected>");
    let form = [
        ("name", "Fabrikam.test"),
        ("kind", "authoritative"),
        ("subdomains", "1"),
    ];
    let made = post_and_follow(&mut browser, "/domains", &form);
    made.shows("It is added. Publish the first record below");
    made.shows("relais-verification=");
    let known = |name: &str| {
        let all = lines(&server, &["domain", "list"]);
        all.into_iter().find(|one| one["name"] == name)
    };
    let added = known("fabrikam.test").expect("the domain");
    assert_eq!(
        (&added["state"], &added["subdomains"]),
        (&"pending".into(), &true.into())
    );
    post(&mut browser, "/domains", &form)
        .expect(409)
        .shows("already");

    let edit = [
        ("organisation", "contoso"),
        ("kind", "internal-relay"),
        ("mailbox_host", "mail.fabrikam.test:25"),
    ];
    post_and_follow(&mut browser, "/domains/fabrikam.test/edit", &edit).shows("It is changed.");
    browser
        .get("/domains/fabrikam.test/edit?organisation=contoso")
        .expect(200)
        .shows("value=\"mail.fabrikam.test:25\"");
    let changed = known("fabrikam.test").expect("the domain");
    assert_eq!(
        (&changed["kind"], &changed["subdomains"]),
        (&"internal-relay".into(), &false.into())
    );

    let remove = "/domains/fabrikam.test/remove";
    let other = [("organisation", "contoso"), ("typed", "contoso.test")];
    post(&mut browser, remove, &other)
        .expect(422)
        .shows("Nothing was removed");
    assert!(known("fabrikam.test").is_some());
    let typed = [("organisation", "contoso"), ("typed", "fabrikam.test")];
    post_and_follow(&mut browser, remove, &typed).shows("fabrikam.test is removed.");
    assert!(known("fabrikam.test").is_none());
    // Where something needs it, it stays, and that is said.
    let needed = server.relais(&["domain", "delete", "contoso.test"]);
    assert_eq!(needed.code, 1, "{needed:?}");
    assert!(needed.err.contains("anna@contoso.test"), "{needed:?}");
    server
        .relais(&["domain", "delete", "fabrikam.test"])
        .expect(3);
}

#[test]
fn a_change_of_a_connector_is_taken_back_on_its_page() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let address = "/connectors/inbound/contoso/Printers";
    let revision = browser.get(address).expect(200).field("revision");
    let off = [("revision", &*revision), ("state", "disabled")];
    post_and_follow(&mut browser, &format!("{address}/state"), &off).shows("Disabled");
    let page = browser.get(address).expect(200);
    page.shows("state (default) → &#34;disabled&#34;");
    let version = page.field("version");
    let back = [("version", &*version), ("back", address)];
    let asked = post(&mut browser, "/audit/revert", &back).expect(200);
    asked.shows("disabled");
    asked.shows(&format!("href=\"{address}\""));
    let sure = [&back[..], &[("confirmed", "1")]].concat();
    let again = post_and_follow(&mut browser, "/audit/revert", &sure);
    again.shows("The change is taken back.");
    again.shows("Enabled");
    again.shows("state &#34;disabled&#34; → (default)");
    // Its creation is not taken back: it is removed by its typed name.
    assert_eq!(again.body.matches("/audit/revert").count(), 2);
}

#[test]
fn what_is_written_about_a_device_is_kept_searched_and_told_in_the_file() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let id = server.send("scan@contoso.test", "a@example.invalid");
    server.await_event("message.accepted", &id);
    browser.get("/devices").expect(200).shows("127.0.0.1");
    let named = "organisation=contoso&address=127.0.0.1";
    let page = format!("/devices/about?{named}");
    browser.get(&page).expect(200).shows("About 127.0.0.1");
    let about = [
        ("organisation", "contoso"),
        ("address", "127.0.0.1"),
        ("tags", "Lyon, printer"),
        ("owner", "Anna <b>"),
        ("place", "2nd floor"),
        ("note", "leased"),
    ];
    post_and_follow(&mut browser, "/devices/about", &about)
        .shows("What is written about 127.0.0.1 is kept.");
    browser
        .get("/devices?q=2ND")
        .expect(200)
        .shows("Anna &#60;b&#62;");
    let none = browser.get("/devices?q=paris").expect(200);
    assert!(!none.body.contains("2nd floor"), "{}", none.body);
    let file = browser.get("/devices.csv?q=lyon").expect(200);
    assert!(
        file.body.contains("lyon printer,Anna <b>,2nd floor,leased"),
        "{}",
        file.body
    );
    let audit = lines(&server, &["audit", "list", "--act", "device.described"]);
    assert_eq!(audit[0]["via"], "web");
    let other = [
        ("organisation", "contoso"),
        ("address", "10.9.9.9"),
        ("note", "x"),
    ];
    post(&mut browser, "/devices/about", &other).expect(404);
}

#[test]
fn the_audit_names_the_door_by_which_something_is_blocked_and_released() {
    let server = Server::with_settings(CONTOSO);
    let mut browser = first(&server, "en");
    let block = [("kind", "ip"), ("value", "10.1.3.7"), ("reason", "test")];
    post_and_follow(&mut browser, "/restricted", &block);
    server
        .relais(&["restricted", "release", "ip", "10.1.3.7"])
        .expect(0);
    let door = |act: &str| lines(&server, &["audit", "list", "--act", act])[0]["via"].clone();
    assert_eq!(
        (door("entity.restricted"), door("entity.released")),
        ("web".into(), "socket".into())
    );
}
