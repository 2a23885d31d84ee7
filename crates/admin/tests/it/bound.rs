//! What programs with keys get by changing things: nothing of another organisation, and no secret.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use relais_admin::api::{self, connector_revision as revision};
use relais_admin::context::{AdminContext, Caller};
use relais_admin::metrics::Metrics;

use relais_net::clock::Clock;
use relais_policy::document::OutboundConnector;
use relais_policy::settings::Mode;
use relais_store::memory::MemoryOptions;
use relais_store::store::Store;

use crate::context_over;

/// Only in what the other organisation has.
const OTHERS: [&str; 5] = [
    "fabrikam",
    "Secret-Scanner",
    "fab-login",
    "merger.test",
    "Secret-Host",
];

/// Two organisations. What the other one has is warned of.
struct Hosted {
    context: AdminContext,
    router: Router,
}

fn key(organisation: Option<&str>) -> Caller {
    Caller::key("program", "0123456789", organisation)
}

fn machine() -> Caller {
    Caller::socket(Some(0))
}

fn way_out(name: &str, host: &str) -> Value {
    let mut connector = OutboundConnector::new(name);
    connector.smart_hosts = vec![host.to_owned()];
    let mut value = json!(connector);
    value["auth"] = json!({ "method": "password", "user": "relay" });
    value
}

impl Hosted {
    async fn new() -> Self {
        let clock = Clock::system();
        let options = MemoryOptions {
            mode: Mode::Hosted,
            ..MemoryOptions::new(clock.now())
        };
        let metrics = Metrics::new(clock.now());
        let context = context_over(Store::in_memory(options), clock, metrics);
        let router = api::router(context.clone());
        let hosted = Self { context, router };
        let document = json!({ "organisation": [
            {
                "name": "contoso",
                "domain": [{ "name": "contoso.test" }],
                "inbound_connector": [{ "name": "Printers" }],
                "outbound_connector": [way_out("Out", "mail.contoso.test:587")],
            },
            {
                "name": "fabrikam",
                "domain": [{ "name": "merger.test" }],
                "inbound_connector": [{
                    "name": "Secret-Scanner",
                    "sender_ip_addresses": ["11.9.9.0/28"],
                }],
                "outbound_connector": [way_out("Secret-Host", "10.0.0.7:25")],
                "credential": [{ "user": "fab-login", "inbound_connector": "Secret-Scanner" }],
            },
        ] });
        let told = hosted
            .post(&machine(), "/apply", &json!({ "document": document }))
            .await;
        assert_eq!(told.0, StatusCode::OK, "{}", told.1);
        assert!(told.1.contains("merger.test: pending"), "{}", told.1);
        hosted
    }

    async fn ask(&self, caller: &Caller, method: Method, path: &str, body: &Value) -> Told {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .extension(caller.clone())
            .body(Body::from(body.to_string()))
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await;
        let answer = answer.expect("infallible");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body");
        (
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        )
    }

    async fn post(&self, caller: &Caller, path: &str, body: &Value) -> Told {
        self.ask(caller, Method::POST, path, body).await
    }

    /// The outbound connector of contoso's of that name, and its revision.
    fn connector(&self, name: &str) -> (OutboundConnector, String) {
        let settings = self.context.store.settings();
        let found = settings.outbound_connector("contoso", name);
        let found = found.expect("it is there").clone();
        let revision = revision(&found);
        (found, revision)
    }

    /// A change of it.
    async fn put(
        &self,
        caller: &Caller,
        name: &str,
        change: impl Fn(&mut OutboundConnector),
        secret: Option<&str>,
    ) -> Told {
        let (mut connector, revision) = self.connector(name);
        change(&mut connector);
        let mut body = json!({
            "organisation": "contoso", "connector": connector, "revision": revision,
        });
        if let Some(value) = secret {
            body["secret"] = json!({ "kind": "password", "value": value });
        }
        self.post(caller, "/connectors/outbound/put", &body).await
    }
}

type Told = (StatusCode, String);

#[tokio::test]
async fn what_a_change_is_answered_with_names_nothing_of_another_organisation() {
    let hosted = Hosted::new().await;
    let own = key(Some("contoso"));
    let suspension = json!({
        "organisation": "fabrikam", "suspended": true, "reason": "merger.test",
    });
    let told = hosted
        .post(&machine(), "/queue/suspended", &suspension)
        .await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let printers = json!({ "name": "Cameras", "sender_ip_addresses": ["11.1.2.0/28"] });
    let wide = json!({ "name": "Wide", "sender_ip_addresses": ["11.9.0.0/16"] });
    let within = json!({ "name": "Within", "sender_ip_addresses": ["11.9.9.4/32"] });
    let put = |connector: &Value, dry_run: bool| {
        let mut body = json!({ "organisation": "contoso", "connector": connector });
        body["dry_run"] = json!(dry_run);
        body
    };
    let login = |user: &str| json!({ "user": user, "inbound_connector": "Printers" });
    for (path, body, status) in [
        ("/queue/suspended", json!({ "suspended": true }), 200),
        ("/connectors/inbound/put", put(&printers, true), 200),
        ("/connectors/inbound/put", put(&printers, false), 200),
        ("/connectors/inbound/put", put(&wide, true), 422),
        ("/connectors/inbound/put", put(&within, true), 422),
        (
            "/directory/import",
            json!({ "csv": "address\na@contoso.test\n" }),
            200,
        ),
        ("/credentials", login("con-login"), 201),
        ("/credentials/con-login/revoke", json!({}), 200),
    ] {
        let told = hosted.post(&own, path, &body).await;
        assert_eq!(told.0, status, "{path}: {}", told.1);
        for word in OTHERS {
            assert!(!told.1.contains(word), "{word}: {path}: {}", told.1);
        }
    }
    let taken = hosted.post(&own, "/credentials", &login("fab-login")).await;
    assert_eq!(taken.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", taken.1);
    assert!(taken.1.contains("the user name is taken"), "{}", taken.1);
    assert!(!taken.1.contains("fabrikam"), "{}", taken.1);
    let report = hosted
        .ask(&own, Method::GET, "/reports", &Value::Null)
        .await;
    let report: Value = serde_json::from_str(&report.1).expect("JSON");
    assert_eq!(report["queue"], json!([]));
}

#[tokio::test]
async fn what_a_key_changes_of_its_own_is_warned_of() {
    let hosted = Hosted::new().await;
    let body = json!({ "organisation": "contoso", "connector": { "name": "Nobody" } });
    let told = hosted
        .post(&key(Some("contoso")), "/connectors/inbound/put", &body)
        .await;
    assert!(told.1.contains("no factor"), "{}", told.1);
}

#[tokio::test]
async fn no_key_takes_a_secret_that_is_kept_to_a_host_of_its_own() {
    let hosted = Hosted::new().await;
    let secret = json!({
        "organisation": "contoso", "name": "Out", "kind": "password", "value": "operators",
    });
    let kept = hosted
        .post(&machine(), "/connectors/outbound/secret", &secret)
        .await;
    assert_eq!(kept.0, StatusCode::OK, "{}", kept.1);
    let elsewhere = |one: &mut OutboundConnector| {
        one.smart_hosts = vec!["mail.evil.example:587".to_owned()];
    };
    let renamed = |one: &mut OutboundConnector| one.tls_domain = "evil.example".to_owned();
    let domains = |one: &mut OutboundConnector| {
        one.recipient_domains = vec!["example.org".to_owned()];
    };
    for caller in [key(None), key(Some("contoso"))] {
        for told in [
            hosted.put(&caller, "Out", elsewhere, None).await,
            hosted.put(&caller, "Out", renamed, None).await,
        ] {
            assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
            assert!(told.1.contains("give it anew"), "{}", told.1);
        }
        let told = hosted.put(&caller, "Out", domains, None).await;
        assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    }
    // Taken away and made anew it is the same connector to what is kept.
    let (mut connector, revision) = hosted.connector("Out");
    let remove = json!({ "organisation": "contoso", "name": "Out", "revision": revision });
    let told = hosted
        .post(&key(None), "/connectors/outbound/remove", &remove)
        .await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    elsewhere(&mut connector);
    let mut put = json!({ "organisation": "contoso", "connector": connector });
    let told = hosted
        .post(&key(None), "/connectors/outbound/put", &put)
        .await;
    assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
    put["secret"] = json!({ "kind": "password", "value": "own" });
    let told = hosted
        .post(&key(None), "/connectors/outbound/put", &put)
        .await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    // Whoever has the machine has its secrets.
    let told = hosted.put(&machine(), "Out", renamed, None).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
}

#[tokio::test]
async fn no_key_leads_a_file_of_the_machine_elsewhere() {
    let hosted = Hosted::new().await;
    let with_file = |one: &mut OutboundConnector| {
        one.auth.password_file = "/etc/relais/smart-host".to_owned();
    };
    let told = hosted.put(&machine(), "Out", with_file, None).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let elsewhere = |one: &mut OutboundConnector| {
        one.smart_hosts = vec!["mail.evil.example:587".to_owned()];
    };
    let own = key(Some("contoso"));
    let told = hosted.put(&own, "Out", elsewhere, Some("own")).await;
    assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
    let domains = |one: &mut OutboundConnector| {
        one.recipient_domains = vec!["example.org".to_owned()];
    };
    let told = hosted.put(&own, "Out", domains, None).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let client_secret = |one: &mut OutboundConnector| {
        one.auth = Default::default();
        let file = "/etc/shadow".to_owned();
        one.auth
            .parameters
            .insert("client_secret_file".to_owned(), file);
    };
    let told = hosted.put(&own, "Out", client_secret, None).await;
    assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
}

#[tokio::test]
async fn a_key_for_a_credential_s_mail_is_of_its_organisation_and_goes_with_it() {
    let hosted = Hosted::new().await;
    let wish = json!({
        "name": "erp", "scopes": ["messages:write"], "credential": "fab-login",
    });
    let made = hosted.post(&machine(), "/api-keys", &wish).await.1;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(made["organisation"], "fabrikam", "{made}");
    let other = json!({ "name": "other", "scopes": ["queue:read"], "organisation": "fabrikam" });
    hosted.post(&machine(), "/api-keys", &other).await;
    let path = "/credentials/fab-login/revoke";
    let told = hosted.post(&machine(), path, &json!({})).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let left = hosted
        .ask(&machine(), Method::GET, "/api-keys", &Value::Null)
        .await
        .1;
    let left: Value = serde_json::from_str(&left).expect("JSON");
    let names: Vec<_> = left["keys"].as_array().expect("keys").iter().collect();
    assert_eq!(names.len(), 1, "{left}");
    assert_eq!(names[0]["name"], "other");
}

#[tokio::test]
async fn no_bounce_domain_is_laid_over_a_domain_that_another_organisation_uses() {
    let hosted = Hosted::new().await;
    let domains = |owner: &str, domain: Value| json!({ "document": { "organisation": [{ "name": owner, "domain": [domain] }] } });
    let theirs = json!({ "name": "bounce.contoso.test", "verification": "assumed" });
    let mut theirs = domains("fabrikam", theirs);
    let all = hosted.context.store.settings();
    let mut fabrikam = json!(all.organisation("fabrikam").expect("it is there"));
    fabrikam["domain"] = theirs["document"]["organisation"][0]["domain"].clone();
    theirs["document"]["organisation"][0] = fabrikam;
    let told = hosted.post(&machine(), "/apply", &theirs).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);

    let before = hosted.context.store.settings().version;
    let ours = json!({
        "name": "contoso.test", "verification": "assumed", "bounce_domain": "bounce.contoso.test",
    });
    let ours = domains("contoso", ours);
    let told = hosted.post(&machine(), "/apply", &ours).await;
    assert_eq!(told.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", told.1);
    let words = "bounce_domain bounce.contoso.test lies in a domain that another organisation uses";
    assert!(told.1.contains(words), "{}", told.1);
    assert_eq!(hosted.context.store.settings().version, before);
}

#[tokio::test]
async fn what_one_organisation_names_is_held_to_public_addresses_and_the_operator_s_is_not() {
    let hosted = Hosted::new().await;
    let own = key(Some("contoso"));
    let hosts = |all: &[&str]| {
        let all: Vec<_> = all.iter().map(|one| (*one).to_owned()).collect();
        move |one: &mut OutboundConnector| one.smart_hosts.clone_from(&all)
    };
    let is_held = || hosted.connector("Out").0.public_hosts_only;
    // As the operator named it, on the operator's network.
    let private = ["10.0.0.7:25", "mail.contoso.test:587"];
    let told = hosted.put(&machine(), "Out", hosts(&private), None).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let fewer = hosted.put(&own, "Out", hosts(&private[..1]), None).await;
    assert_eq!((fewer.0, is_held()), (StatusCode::OK, false), "{}", fewer.1);

    let issuer = |one: &mut OutboundConnector| {
        let address = "https://169.254.169.254/token".to_owned();
        one.auth.method = relais_policy::document::AuthMethod::Xoauth2;
        one.auth.parameters.insert("token_url".to_owned(), address);
    };
    for told in [
        hosted.put(&own, "Out", hosts(&["10.0.0.8:25"]), None).await,
        hosted.put(&own, "Out", hosts(&["10.0.0.7:26"]), None).await,
        hosted.put(&own, "Out", hosts(&["[::1]:25"]), None).await,
        hosted.put(&own, "Out", issuer, None).await,
    ] {
        assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
        assert!(told.1.contains("is a private address"), "{}", told.1);
    }
    let told = hosted
        .put(&own, "Out", hosts(&["mx.evil.example"]), None)
        .await;
    assert_eq!((told.0, is_held()), (StatusCode::OK, true), "{}", told.1);
    let unmarked = |one: &mut OutboundConnector| one.public_hosts_only = false;
    let told = hosted.put(&own, "Out", unmarked, None).await;
    assert_eq!((told.0, is_held()), (StatusCode::OK, true), "{}", told.1);
    // The operator's word.
    let told = hosted.put(&machine(), "Out", unmarked, None).await;
    assert_eq!((told.0, is_held()), (StatusCode::OK, false), "{}", told.1);
    let told = hosted.put(&own, "Out", |_| {}, None).await;
    assert_eq!((told.0, is_held()), (StatusCode::OK, false), "{}", told.1);
}

#[tokio::test]
async fn mailbox_hosts_and_literals_that_one_organisation_names_are_held_too() {
    let hosted = Hosted::new().await;
    let own = key(Some("contoso"));
    let with = |host: &str, recipients: &str| {
        let settings = hosted.context.store.settings();
        let mut owner = json!(settings.organisation("contoso").expect("it is there"));
        owner["domain"][0]["mailbox_host"] = json!(host);
        owner["inbound_connector"][0]["recipient_domains"] = json!([recipients]);
        json!({ "document": { "organisation": [owner] } })
    };
    let domain = || hosted.context.store.settings().document.organisation[0].domain[0].clone();
    for refused in [with("lmtp:127.0.0.1:24", "*"), with("", "[10.1.2.3]")] {
        let told = hosted.post(&own, "/apply", &refused).await;
        assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
        assert!(told.1.contains("is a private address"), "{}", told.1);
    }
    let told = hosted
        .post(&own, "/apply", &with("in.evil.example", "[9.9.9.9]"))
        .await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    assert!(domain().public_hosts_only);
    let told = hosted
        .post(&machine(), "/apply", &with("10.1.0.20:25", "[10.1.2.3]"))
        .await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    assert!(
        told.1
            .contains("10.1.0.20 is private, and public_hosts_only forbids it"),
        "{}",
        told.1
    );
}

#[tokio::test]
async fn what_whoever_runs_the_installation_suspended_no_organisation_lifts_or_shortens() {
    let hosted = Hosted::new().await;
    let path = "/queue/suspended";
    let suspend = json!({ "organisation": "contoso", "suspended": true, "reason": "spam" });
    let told = hosted.post(&machine(), path, &suspend).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    let key = json!({ "name": "program", "organisation": "contoso", "scopes": ["queue:write"] });
    let made = hosted.post(&machine(), "/api-keys", &key).await.1;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let own = Caller::key(
        "program",
        made["id"].as_str().expect("an id"),
        Some("contoso"),
    );
    for body in [
        json!({ "suspended": false }),
        json!({ "suspended": true, "until": "1h" }),
    ] {
        let told = hosted.post(&own, path, &body).await;
        assert_eq!(told.0, StatusCode::FORBIDDEN, "{}", told.1);
        assert!(told.1.contains("has suspended this"), "{}", told.1);
    }
    let told = hosted.ask(&own, Method::GET, path, &Value::Null).await.1;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let standing = &told["suspensions"][0];
    assert_eq!(
        (&standing["reason"], &standing["until"]),
        (&json!("spam"), &Value::Null)
    );
    // What it suspended itself it resumes.
    for suspended in [true, true, false] {
        let body = json!({ "destination": "Example.org", "suspended": suspended });
        let told = hosted.post(&own, path, &body).await;
        assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    }
    let resume = json!({ "organisation": "contoso", "suspended": false });
    let told = hosted.post(&machine(), path, &resume).await;
    assert_eq!(told.0, StatusCode::OK, "{}", told.1);
}

#[tokio::test]
async fn nobody_finds_by_an_address_what_is_not_shown_to_them() {
    let hosted = Hosted::new().await;
    let operator = Caller {
        via: machine().via.coming_from("203.0.113.7".parse().ok()),
        ..machine()
    };
    for address in ["a@example.org", "b@example.org"] {
        let added = json!({ "organisation": "contoso", "address": address, "reason": "x" });
        let told = hosted.post(&operator, "/suppression/add", &added).await;
        assert_eq!(told.0, StatusCode::OK, "{}", told.1);
    }
    let entries = async |caller: &Caller, query: &str| {
        let path = format!("/audit?act=suppression{query}");
        let told = hosted.ask(caller, Method::GET, &path, &Value::Null).await;
        let told: Value = serde_json::from_str(&told.1).expect("JSON");
        let count = told["entries"].as_array().map(Vec::len);
        (
            count,
            told["next_cursor"].is_null(),
            told["entries"][0]["from"].clone(),
        )
    };
    let own = key(Some("contoso"));
    let from = json!("203.0.113.7");
    assert_eq!(entries(&own, "").await, (Some(2), true, Value::Null));
    let of_operator = entries(&machine(), "&from=203.0.113.").await;
    assert_eq!(of_operator, (Some(2), true, from));
    for query in ["&from=203.0.113.", "&from=203.0.113.&limit=1"] {
        assert_eq!(entries(&own, query).await, (Some(0), true, Value::Null));
    }
    // Nor whether there is something of others at all.
    let others = json!({ "organisation": "fabrikam", "address": "c@example.org", "reason": "x" });
    for address in ["c@example.org", "d@example.org"] {
        let mut added = others.clone();
        added["address"] = json!(address);
        hosted.post(&operator, "/suppression/add", &added).await;
    }
    let told = entries(&own, "&q=of+fabrikam&limit=1").await;
    assert_eq!(told, (Some(0), true, Value::Null));
}

#[tokio::test]
async fn one_address_is_counted_or_erased_at_a_time() {
    let hosted = Hosted::new().await;
    let erasing = std::sync::Arc::clone(&hosted.context.duties.erasing);
    let turn = erasing.try_lock_owned().expect("nobody erases");
    for dry_run in [true, false] {
        let body = json!({ "address": "b@example.org", "dry_run": dry_run });
        for caller in [machine(), key(Some("contoso"))] {
            let told = hosted.post(&caller, "/trace/erase", &body).await;
            assert_eq!(told.0, StatusCode::CONFLICT, "{}", told.1);
            assert!(told.1.contains("try again"), "{}", told.1);
        }
    }
    drop(turn);
    let body = json!({ "address": "b@example.org", "dry_run": true });
    for _ in 0..2 {
        let told = hosted.post(&machine(), "/trace/erase", &body).await;
        assert_ne!(told.0, StatusCode::CONFLICT, "{}", told.1);
    }
}
