//! Webhooks and alerts by the real binary: posts that arrive, are signed, are tried again, and lead
//! nowhere they should not.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::runtime::Runtime;

use relais_net::dns_server::{DnsServer, ZoneRecord};

use crate::receiver::Receiver;
use crate::support::{CONTOSO, Place, Server};
use crate::web::first;
use crate::web_receiver::{Posted, WebReceiver};

/// Whether a post is signed with this key, `whsec_…`.
fn is_signed(post: &Posted, key: &str) -> bool {
    let key = key.strip_prefix("whsec_").expect("a key");
    let key = STANDARD.decode(key).expect("base64");
    let (id, time) = (post.header("webhook-id"), post.header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(format!("{id}.{time}.{}", post.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    post.header("webhook-signature")
        .split(' ')
        .any(|one| one == expected)
}

/// The id and the key of a new webhook.
fn webhook(server: &Server, address: &str, more: &[&str]) -> (String, String) {
    let mut arguments = vec![
        "--json",
        "webhook",
        "add",
        "siem",
        address,
        "--allow-private",
    ];
    arguments.extend(more);
    let made = server.relais(&arguments).expect(0).json();
    let text = |key: &str| made[key].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

fn deliveries(server: &Server, id: &str) -> Vec<Value> {
    let listed = server.relais(&["--json", "webhook", "deliveries", id]);
    listed.expect(0).json_lines()
}

#[test]
fn an_event_arrives_signed_and_what_failed_is_tried_again_with_the_same_id() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    let (id, key) = webhook(&server, &web.url("/hook"), &["--event", "message.accepted"]);
    web.answer(503);
    let queue_id = server.send("scan@contoso.test", "b@example.org");
    let first = web.wait_for_count(1).remove(0);
    assert!(is_signed(&first, &key), "{first:?}");
    let body: Value = serde_json::from_str(&first.body).expect("JSON");
    assert_eq!(body["type"], "message.accepted");
    assert_eq!(body["data"]["queue_id"], queue_id.as_str());
    web.answer(204);
    let second = web.wait_for_count(2).remove(1);
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
    assert!(is_signed(&second, &key), "{second:?}");
    let again = first.header("webhook-id").to_owned();
    server.relais(&["webhook", "resend", &id, &again]).expect(0);
    let third = web.wait_for_count(3).remove(2);
    assert_eq!(third.header("webhook-id"), again);
    let rows = deliveries(&server, &id);
    assert_eq!(
        (rows.len(), rows[0]["event"].as_str()),
        (1, Some("message.accepted"))
    );
    server
        .relais(&["webhook", "resend", &id, "msg_none"])
        .expect(3);
}

#[test]
fn after_a_rotation_both_keys_sign_and_a_receiver_that_is_gone_is_left_alone() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    let (id, old) = webhook(&server, &web.url("/"), &["--event", "message.accepted"]);
    let rotated = server
        .relais(&["--json", "webhook", "rotate", &id])
        .expect(0)
        .json();
    let new = rotated["key"].as_str().expect("a key").to_owned();
    web.answer(410);
    server.relais(&["webhook", "test", &id]).expect(0);
    let post = web.wait_for_count(1).remove(0);
    assert!(
        old != new && is_signed(&post, &old) && is_signed(&post, &new),
        "{post:?}"
    );
    let mut listed = Value::Null;
    for _ in 0..300 {
        listed = server
            .relais(&["--json", "webhook", "list"])
            .expect(0)
            .json();
        if listed["enabled"] == false {
            break;
        }
    }
    assert_eq!(listed["enabled"], false, "{listed}");
    assert!(
        listed["fault"]
            .as_str()
            .is_some_and(|it| it.contains("410")),
        "{listed}"
    );
    let told = format!("{:?}", server.relais(&["webhook", "list"]));
    assert!(!told.contains(&new) && !told.contains("whsec_"));
}

#[test]
fn a_webhook_leads_to_no_private_address_unless_that_is_said() {
    let server = Server::with_settings(CONTOSO);
    for address in [
        "https://127.0.0.1/",
        "https://[::1]:8025/",
        "https://169.254.169.254/latest",
        "http://hooks.example.org/",
        "https://u:p@hooks.example.org/",
    ] {
        server.relais(&["webhook", "add", "x", address]).expect(1);
    }
    // A name that leads there: nobody is reached, whatever the name says.
    let added = server.relais(&["--json", "webhook", "add", "x", "https://localhost:9/"]);
    let id = added.expect(0).json()["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    server.relais(&["webhook", "test", &id]).expect(0);
    let mut rows = Vec::new();
    for _ in 0..300 {
        rows = deliveries(&server, &id);
        if rows[0]["tries"]
            .as_array()
            .is_some_and(|tries| !tries.is_empty())
        {
            break;
        }
    }
    assert!(rows[0]["tries"][0]["status"].is_null(), "{rows:?}");
}

#[test]
fn an_alert_is_raised_told_and_cleared_by_each_kind_of_channel() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    let mailbox = Receiver::start();
    for kind in ["webhook", "slack", "teams", "ntfy"] {
        let address = web.url(&format!("/{kind}"));
        let add = [
            "alert",
            "channel",
            "add",
            kind,
            kind,
            &address,
            "--allow-private",
        ];
        server.relais(&add).expect(0);
    }
    let address = mailbox.address().to_string();
    let mail = ["--json", "alert", "channel", "add", "it", "mail", &address];
    let mail = [&mail[..], &["--to", "it@contoso.test", "--language", "fr"]].concat();
    let mail = server.relais(&mail).expect(0).json();
    let mail = mail["id"].as_str().expect("an id").to_owned();
    server
        .relais(&["alert", "channel", "test", &mail])
        .expect(0);
    let test = mailbox.wait_for_count(1).remove(0);
    assert!(
        test.text().contains("Auto-Submitted: auto-generated"),
        "{}",
        test.text()
    );
    server
        .relais(&[
            "alert",
            "set",
            "queue-age",
            "--threshold",
            "0",
            "--lasting",
            "0",
        ])
        .expect(0);
    let queue_id = server.send("scan@contoso.test", "b@example.org");
    for kind in ["webhook", "slack", "teams", "ntfy"] {
        let path = format!("/{kind}");
        let post = web.wait_for(kind, |post| {
            post.path == path && post.body.contains("RAISED: Mail waits")
        });
        assert!(post.body.contains("example.org"), "{post:?}");
    }
    mailbox.wait_for_count(2);
    let raised = server
        .relais(&["--json", "alert", "list"])
        .expect(0)
        .json_lines();
    let found = raised.iter().find(|one| one["rule"] == "queue-age");
    assert_eq!(
        found.map(|one| one["subject"].as_str()),
        Some(Some("example.org"))
    );
    server
        .log
        .wait_for("the event", |line| line.contains("alert.raised"));
    server
        .relais(&["queue", "delete", &queue_id, "--yes"])
        .expect(0);
    web.wait_for("its end", |post| post.body.contains("CLEARED: Mail waits"));
    let channels = server
        .relais(&["--json", "alert", "channel", "list"])
        .expect(0);
    let channels = channels.json_lines();
    assert_eq!(channels.len(), 5);
    assert!(
        !format!("{channels:?}").contains("/ntfy"),
        "addresses are secrets"
    );
    server
        .relais(&["alert", "channel", "remove", &mail])
        .expect(0);
    server
        .relais(&["alert", "channel", "test", &mail])
        .expect(3);
}

#[test]
fn what_a_channel_could_not_tell_is_told_after_a_restart() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    web.answer(503);
    let address = web.url("/down");
    let add = ["alert", "channel", "add", "x", "slack", &address];
    server
        .relais(&[&add[..], &["--allow-private"]].concat())
        .expect(0);
    let set = ["alert", "set", "queue-age", "--threshold", "0"];
    server
        .relais(&[&set[..], &["--lasting", "0"]].concat())
        .expect(0);
    server.send("scan@contoso.test", "b@example.org");
    web.wait_for("a try", |post| post.body.contains("RAISED: Mail waits"));
    server
        .log
        .wait_for("the failure", |line| line.contains("an alert was not told"));
    let channel = |server: &Server| {
        let listed = server.relais(&["--json", "alert", "channel", "list"]);
        listed.expect(0).json()
    };
    assert_eq!(channel(&server)["owed"], 1);
    server.signal("KILL");
    let (_, place) = server.ended();
    web.answer(200);
    let tried = web.wait_for_count(1).len();
    let server = place.serve();
    let posts = web.wait_for_count(tried + 1);
    let again = posts[tried]
        .body
        .contains("RAISED: Mail waits – example.org");
    assert!(again, "{posts:#?}");
    let mut told = channel(&server);
    for _ in 0..300 {
        if told["owed"] == 0 {
            break;
        }
        told = channel(&server);
    }
    assert_eq!(
        (&told["owed"], &told["fault"]),
        (&0.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_channel_that_fails_says_so_and_a_rule_that_is_none_is_refused() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    web.answer(500);
    let address = web.url("/x");
    let add = [
        "--json",
        "alert",
        "channel",
        "add",
        "x",
        "ntfy",
        &address,
        "--allow-private",
    ];
    let made = server.relais(&add).expect(0).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    let failed = server.relais(&["alert", "channel", "test", &id]).expect(4);
    assert!(failed.err.contains("500"), "{failed:?}");
    server
        .relais(&["alert", "set", "nothing", "--threshold", "1"])
        .expect(3);
    server
        .relais(&["alert", "quiet", "25:00", "06:00"])
        .expect(1);
    server
        .relais(&["alert", "quiet", "22:00", "06:00"])
        .expect(0);
    server
        .relais(&["alert", "channel", "add", "x", "slack", "https://10.0.0.1/"])
        .expect(1);
}

#[test]
fn a_person_adds_a_channel_tests_it_and_changes_a_rule_in_the_browser() {
    let (server, web) = (Server::with_settings(CONTOSO), WebReceiver::start());
    let mut browser = first(&server, "en");
    let token = browser.get("/alerts").expect(200).field("form_token");
    let address = web.url("/slack");
    let form = [
        ("form_token", token.as_str()),
        ("name", "oncall"),
        ("kind", "slack"),
        ("address", &address),
        ("allow_private", "1"),
    ];
    browser.post("/alerts/channels", &form).expect(303);
    let listed = server
        .relais(&["--json", "alert", "channel", "list"])
        .expect(0)
        .json();
    let id = listed["id"].as_str().expect("an id").to_owned();
    let own = [("form_token", token.as_str())];
    let test = browser
        .post(&format!("/alerts/channels/{id}/test"), &own)
        .expect(303);
    assert_eq!(test.header("location"), Some("/alerts?done=test"));
    web.wait_for("the test", |post| {
        post.path == "/slack" && post.body.contains("test")
    });
    let rule = [
        ("form_token", token.as_str()),
        ("threshold", "0"),
        ("lasting", "0"),
        ("enabled", "1"),
    ];
    browser.post("/alerts/rules/queue-age", &rule).expect(303);
    server.send("scan@contoso.test", "b@example.org");
    web.wait_for("the alert", |post| post.body.contains("RAISED: Mail waits"));
    browser.get("/alerts").shows("example.org");
    let nobody = [("threshold", "1")];
    browser.post("/alerts/rules/queue-age", &nobody).expect(403);
}

/// A list that has one address, or none.
fn list_with(listed: bool) -> Vec<(String, ZoneRecord)> {
    let local = Ipv4Addr::LOCALHOST.into();
    let zone = "list.example.net".to_owned();
    let server = (zone, ZoneRecord::NameServer("ns.example.net".to_owned()));
    let mut records = vec![
        server,
        ("ns.example.net".to_owned(), ZoneRecord::Address(local)),
    ];
    // RFC 5782 §2.1: the address backwards, and an answer within 127/8.
    let entry = "7.113.0.203.list.example.net".to_owned();
    let code = Ipv4Addr::new(127, 0, 0, 2).into();
    records.extend(listed.then_some((entry, ZoneRecord::Address(code))));
    records
}

#[test]
fn an_alert_is_raised_while_an_address_of_ours_is_on_a_blocklist_and_outlives_a_restart() {
    let runtime = Runtime::new().expect("a runtime");
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let dns = runtime.block_on(DnsServer::start(local, list_with(true)));
    let dns = dns.expect("a free port");
    let bootstrap = format!(
        "[dns]\nnameservers = [\"{}\"]\nblocklists = [\"list.example.net\"]\n\
         port25_probes = []\ntime_servers = []\n[deliver]\nsource_addresses = [\"203.0.113.7\"]\n",
        dns.address()
    );
    let server = Place::new(&bootstrap).serve();
    // Mail leaves by MX: a smart host's address would count else.
    let (direct, _) = CONTOSO
        .split_once("[[organisation.outbound")
        .expect("two parts");
    server.apply(direct).expect(0);
    let _ = server.relais(&["doctor"]);
    let raised = |server: &Server| {
        let raised = server.relais(&["--json", "alert", "list"]).expect(0);
        let mut rows = raised.json_lines().into_iter();
        rows.find(|one| one["rule"] == "blocklist")
    };
    server.log.wait_for("the event", |line| {
        line.contains("alert.raised") && line.contains("203.0.113.7 list.example.net")
    });
    assert!(raised(&server).is_some());
    dns.replace(&list_with(false)).expect("names");
    // A new process has asked nobody yet.
    let (_, place) = server.stop();
    let server = place.serve();
    assert!(raised(&server).is_some(), "it is still what is known");
    let _ = server.relais(&["doctor"]);
    server.log.wait_for("its end", |line| {
        line.contains("check.changed") && line.contains("CLEARED: An address of ours")
    });
    assert!(raised(&server).is_none());
}
