//! Every route with every role, and with the names of another organisation: who lacks the action
//! gets 403, and what belongs to others is not there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use relais_admin::access;
use relais_admin::api;
use relais_admin::context::{AdminContext, Caller};
use relais_admin::metrics::Metrics;
use relais_admin::people::People;
use relais_admin::permission::{Action, ROLES, Reach, Rights, Role};
use relais_net::clock::Clock;
use relais_policy::document::Language;
use relais_policy::settings::Mode;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::Reference;
use relais_store::memory::MemoryOptions;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::store::Store;
use relais_store::trace::{ClientSummary, Event, EventKind, To};

use crate::context_over;
use crate::hosted::MORE_OF_OTHERS;

/// What is only in what the other organisation has: none of it may be told.
pub(crate) const OTHERS: [&str; 6] = [
    "Secret-Scanner",
    "chief@fabrikam.test",
    "11.9.9.",
    "fab-login",
    "merger",
    "paula@fabrikam.test",
];

/// Two organisations, each with a queued message and a refused attempt.
pub(crate) struct Hosted {
    pub(crate) context: AdminContext,
    router: Router,
    pub(crate) queue_id: String,
    pub(crate) reference: String,
    before: Value,
}

fn organisation(name: &str, network: &str, connector: &str, user: &str) -> Value {
    json!({
        "name": name,
        "postmaster": format!("chief@{name}.test"),
        "domain": [{ "name": format!("{name}.test"), "verification": "assumed" }],
        "inbound_connector": [{ "name": connector, "sender_ip_addresses": [network] }],
        "recipient": [{ "address": format!("paula@{name}.test"), "mailbox": true }],
        "credential": [{ "user": user, "inbound_connector": connector }],
    })
}

impl Hosted {
    pub(crate) async fn new() -> Self {
        let clock = Clock::system();
        let options = MemoryOptions {
            mode: Mode::Hosted,
            ..MemoryOptions::new(clock.now())
        };
        let metrics = Metrics::new(clock.now());
        let context = context_over(Store::in_memory(options), clock, metrics);
        let router = api::router(context.clone());
        let mut hosted = Self {
            context,
            router,
            queue_id: String::new(),
            reference: String::new(),
            before: Value::Null,
        };
        let document = json!({ "organisation": [
            organisation("contoso", "11.1.2.0/28", "Printers", "con-login"),
            organisation("fabrikam", "11.9.9.0/28", "Secret-Scanner", "fab-login"),
        ] });
        let body = json!({ "document": document });
        let root = Caller::socket(Some(0));
        let made = hosted.ask(&root, Method::POST, "/apply", &body).await;
        assert_eq!(made.0, StatusCode::OK, "{}", made.1);
        hosted.queue_id = hosted.message("fabrikam", "merger").await;
        hosted.message("contoso", "toner").await;
        hosted.reference = hosted.refusal("fabrikam");
        hosted.before = hosted.fabrikam();
        hosted
    }

    /// The admin centre listens there from now on.
    pub(crate) fn reached_at(&mut self, listens: SocketAddr) {
        self.context.people = People::new(Some(listens), false);
        self.router = api::router(self.context.clone());
    }

    /// As it stands in the settings.
    fn fabrikam(&self) -> Value {
        let settings = self.context.store.settings();
        json!(settings.organisation("fabrikam").expect("it is there"))
    }

    async fn message(&self, organisation: &str, subject: &str) -> String {
        let (store, now) = (&self.context.store, self.context.clock.now());
        let queue_id = store.next_queue_id(now);
        let from = format!("chief@{organisation}.test");
        let to = format!("b@{organisation}-partner.example");
        let content = Content::Inline(b"Subject: x\r\n\r\nHello.\r\n".to_vec().into());
        let accepted = Event {
            queue_id: Some(queue_id),
            organisation: Some(organisation.into()),
            from: Some(from.as_str().into()),
            to: Some(To::Many(vec![to.as_str().into()])),
            subject: Some(subject.into()),
            ..Event::new(now, EventKind::MessageAccepted)
        };
        let message = NewMessage {
            facts: MessageFacts {
                queue_id,
                organisation: organisation.into(),
                inbound_connector: None,
                client: None,
                reverse_path: ReversePath::Mailbox(Mailbox::parse(&from).expect("an address")),
                replaced: None,
                parameters: SenderParameters::default(),
                accepted_at: now,
                size: content.size(),
                eight_bit: false,
                utf8_header: false,
                header_from: Some(from.as_str().into()),
                subject: Some(subject.into()),
                message_id: Some(format!("acquisition@{organisation}.test").into()),
                body_hash: None,
                is_notice: false,
            },
            recipients: vec![NewRecipient {
                key: QueueKey::new(organisation, format!("{organisation}-partner.example")),
                recipient: EnvelopeRecipient::new(Mailbox::parse(&to).expect("an address")),
                due: now,
                expires_at: now.after(Duration::from_secs(86_400)),
                is_restricted: false,
                held: false,
            }],
            content,
            events: vec![accepted],
        };
        let committed = store.commit(message).await.expect("committed");
        committed.queue_id().to_string()
    }

    pub(crate) fn refusal(&self, organisation: &str) -> String {
        let reference: Reference = self.context.chance.reference();
        let client = ClientSummary {
            address: "11.9.9.7".parse().expect("an address"),
            helo: Some("hush-hush".into()),
            credential: None,
            certificate: None,
        };
        self.context.store.record(Event {
            reference: Some(reference),
            organisation: Some(organisation.into()),
            client: Some(Arc::new(client)),
            from: Some("paula@fabrikam.test".into()),
            token: Some("FROM-DOMAIN".into()),
            ..Event::new(self.context.clock.now(), EventKind::AttemptRefused)
        });
        reference.to_string()
    }

    /// The answer as text; of one without an end, nothing.
    pub(crate) async fn ask(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (StatusCode, String) {
        let version = self.context.store.settings().version;
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .extension(caller.clone())
            .header("if-match", format!("\"{version}\""))
            .body(Body::from(body.to_string()))
            .expect("a request");
        let answer = self.router.clone().oneshot(request).await;
        let answer = answer.expect("infallible");
        let status = answer.status();
        let form = answer.headers().get("content-type");
        if form.is_some_and(|form| form == "application/x-ndjson") {
            return (status, String::new());
        }
        let octets = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (status, String::from_utf8_lossy(&octets).into_owned())
    }

    /// The path with the other organisation's things in it.
    fn foreign(&self, path: &str) -> String {
        let path = match path {
            "/connectors/inbound/card" => "/connectors/inbound/card?name=Secret-Scanner",
            "/connectors/inbound/card/issued" => {
                "/connectors/inbound/card/issued?name=Secret-Scanner"
            }
            "/connectors/inbound/listen" => "/connectors/inbound/listen?name=Secret-Scanner",
            path => path,
        };
        let name = match path {
            "/trace/{id}/content" | "/trace/{id}/raw" => self.queue_id.as_str(),
            "/why/{name}"
            | "/queue/{id}"
            | "/queue/{id}/resend"
            | "/queue/{id}/headers"
            | "/queue/{id}/content" => self.queue_id.as_str(),
            "/organisations/{name}/set" => "fabrikam",
            path if path.starts_with("/admins") => "otto",
            _ => "fabrikam.test",
        };
        path.replace("{reference}", &self.reference)
            .replace("{id}", name)
            .replace("{name}", name)
            .replace("{domain}", name)
            .replace("{user}", "fab-login")
            .replace("{source}", "csv")
            .replace("{address}", "11.9.9.7")
    }

    /// A body that would do something to the other organisation.
    fn body(&self, path: &str) -> Value {
        let named = |more: Value| {
            let mut body = json!({ "organisation": "fabrikam" });
            for (key, value) in more.as_object().into_iter().flatten() {
                body[key] = value.clone();
            }
            body
        };
        match path {
            "/queue/act" => json!({
                "act": "delete",
                "selection": { "queue_id": self.queue_id },
            }),
            "/queue/suspended" => named(json!({ "suspended": true })),
            "/simulate" => json!({
                "ip": "11.9.9.7", "from": "chief@fabrikam.test", "to": "b@example.org",
            }),
            "/settings" => json!({ "organisation": [{ "name": "fabrikam" }] }),
            "/apply" => json!({
                "document": { "organisation": [{ "name": "fabrikam" }] }, "prune": true,
            }),
            "/restricted/block" | "/restricted/release" => json!({
                "kind": "connector", "value": "fabrikam/Secret-Scanner", "reason": "test",
            }),
            "/credentials" => named(json!({
                "user": "new-login", "inbound_connector": "Secret-Scanner",
            })),
            path if path.starts_with("/connectors/inbound/card") => named(json!({
                "name": "Secret-Scanner", "origin": "https://relay.test",
            })),
            "/devices/set" => named(json!({ "address": "11.9.9.7", "note": "test" })),
            "/reports/schedules" => named(json!({ "every": "day", "to": ["b@example.org"] })),
            "/trace/erase" => named(json!({ "address": "paula@fabrikam.test" })),
            "/domains" => named(json!({ "name": "new.fabrikam.test" })),
            "/domains/{name}/set" => named(json!({ "keys": { "subdomains": true } })),
            "/domains/{name}/remove" => named(json!({})),
            "/directory/remove" => named(json!({ "address": "paula@fabrikam.test" })),
            "/organisations" => json!({ "name": "third" }),
            "/organisations/{name}/set" => json!({ "keys": { "language": "fr" } }),
            "/queue/{id}/resend" => json!({ "to": "mallory@example.org" }),
            "/settings/revert" => json!({ "version": self.context.store.settings().version }),
            "/directory/import" => named(json!({ "csv": "x@fabrikam.test\n" })),
            "/import/{source}" => named(json!({
                "text": "name,ip\nMine,11.9.9.9\n",
                "apply": true,
            })),
            "/secrets/rotate-bounce-key" => named(json!({ "revoke": true })),
            "/secrets/forget" => named(json!({ "kind": "dkim-key", "name": "x" })),
            "/admins" => named(json!({ "name": "mallory", "role": "owner" })),
            "/admins/{name}/role" => named(json!({ "role": "owner" })),
            "/backup" => json!({ "target": "relative" }),
            path if path.starts_with("/triggers") => named(json!({ "trigger": "volume" })),
            "/suppression/add" | "/suppression/release" => named(json!({
                "address": "b@example.org", "reason": "test",
            })),
            path if path.starts_with("/connectors/outbound") => named(json!({
                "name": "Secret-Scanner", "kind": "password", "value": "x",
                "to": "b@example.org", "device_code": "x",
            })),
            path if path.starts_with("/attempts") => named(json!({ "name": "Mine" })),
            path if path.ends_with("rotate") && path.starts_with("/credentials") => {
                json!({ "overlap": "0s" })
            }
            path if path.starts_with("/domains") || path.starts_with("/dkim") => named(json!({})),
            _ => json!({}),
        }
    }
}

fn bound(role: Role) -> Caller {
    let reach = Reach::Organisation {
        name: "contoso".to_owned(),
        connector: (role == Role::Installer).then(|| "Printers".to_owned()),
    };
    Caller {
        rights: Rights::of_role(role, reach),
        ..Caller::socket(Some(0))
    }
}

fn unbound(role: Role) -> Caller {
    Caller {
        rights: Rights::of_role(role, Reach::Installation),
        ..Caller::socket(Some(0))
    }
}

#[tokio::test]
async fn each_route_is_closed_to_each_role_that_lacks_its_action() {
    let hosted = Hosted::new().await;
    for (method, path, action) in access::routes() {
        for role in ROLES.into_iter().filter(|role| !role.may(action)) {
            for caller in [bound(role), unbound(role)] {
                let (path, body) = (hosted.foreign(path), hosted.body(path));
                let (status, said) = hosted.ask(&caller, method.clone(), &path, &body).await;
                let told = format!("{role:?} {method} {path}: {said}");
                assert_eq!(status, StatusCode::FORBIDDEN, "{told}");
                assert!(said.contains("role does not permit"), "{told}");
            }
        }
    }
    assert_eq!(hosted.fabrikam(), hosted.before);
}

#[tokio::test]
async fn nothing_of_another_organisation_is_told_or_changed_whatever_the_route() {
    let hosted = Hosted::new().await;
    let numbers = hosted.furnish().await;
    let words: Vec<_> = numbers.iter().map(|(_, number)| number.as_str()).collect();
    let words = [&OTHERS[..], &MORE_OF_OTHERS, &words].concat();
    let before = hosted.state().await;
    for (method, path, action) in access::routes() {
        // People of the organisation, and a program with a key of it.
        let people = ROLES.into_iter().filter(|role| role.may(action));
        let key = Caller::key("program", "0123456789", Some("contoso"));
        for caller in people.map(bound).chain([key]) {
            let (asked, body) = (hosted.foreign(path), hosted.body(path));
            let (status, said) = hosted.ask(&caller, method.clone(), &asked, &body).await;
            let told = format!("{caller:?} {method} {asked}: {status} {said}");
            assert!(!status.is_server_error() || status == 503, "{told}");
            for word in words.iter().filter(|word| !asked.contains(**word)) {
                let is_echo = body.to_string().contains(word);
                assert!(is_echo || !said.contains(word), "{word}: {told}");
            }
            let is_list = method == Method::GET && !path.contains('{');
            let names_another = path.contains('{') || body != json!({});
            let is_for_the_machine = status == StatusCode::FORBIDDEN
                && (said.contains("whole installation") || said.contains("runs the"));
            if names_another && !is_list && !is_for_the_machine {
                // Of an address only what is public may be told.
                let is_public = path == "/connectors/inbound/check/{address}";
                // A version has no owner: of what it changed, the other's part stays.
                let is_nothing = said.contains("\"changes\":[]");
                let is_fine = is_public || (path == "/settings/revert" && is_nothing);
                assert!(is_fine || status == StatusCode::NOT_FOUND, "{told}");
            }
        }
    }
    assert_eq!(hosted.state().await, before);
}

#[tokio::test]
async fn within_reach_lists_have_one_s_own_and_whoever_sees_all_sees_both() {
    let hosted = Hosted::new().await;
    for (path, own, other) in [
        ("/queue", "toner", "merger"),
        ("/trace", "toner", "merger"),
        ("/connectors/inbound", "Printers", "Secret-Scanner"),
        ("/credentials", "con-login", "fab-login"),
        ("/directory", "paula@contoso.test", "paula@fabrikam.test"),
        ("/organisations", "contoso", "fabrikam"),
        ("/settings", "con-login", "fab-login"),
    ] {
        let get =
            async |caller: Caller| hosted.ask(&caller, Method::GET, path, &Value::Null).await.1;
        let (ours, all) = (
            get(bound(Role::Owner)).await,
            get(unbound(Role::Owner)).await,
        );
        assert!(
            ours.contains(own) && !ours.contains(other),
            "{path}: {ours}"
        );
        assert!(all.contains(own) && all.contains(other), "{path}: {all}");
    }
    let status = hosted
        .ask(&bound(Role::Owner), Method::GET, "/status", &Value::Null)
        .await;
    let status: Value = serde_json::from_str(&status.1).expect("JSON");
    assert_eq!(
        (&status["queued"], &status["domains"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn helpdesk_sees_no_subject_and_cannot_ask_for_one() {
    let hosted = Hosted::new().await;
    let ask = async |role, path: &str| {
        hosted
            .ask(&unbound(role), Method::GET, path, &Value::Null)
            .await
    };
    for path in ["/trace", "/queue", "/trace?q=toner", "/why/x"] {
        let path = path.replace("/why/x", &format!("/why/{}", hosted.queue_id));
        let said = ask(Role::Helpdesk, &path).await.1;
        assert!(
            !said.contains("toner") && !said.contains("merger"),
            "{path}: {said}"
        );
    }
    let found = |said: &str| {
        let value: Value = serde_json::from_str(said).expect("JSON");
        value["events"].as_array().map(Vec::len)
    };
    assert_eq!(
        found(&ask(Role::Helpdesk, "/trace?q=toner").await.1),
        Some(0)
    );
    assert_eq!(
        found(&ask(Role::Operator, "/trace?q=toner").await.1),
        Some(1)
    );
    assert_eq!(
        found(&ask(Role::Helpdesk, "/trace?q=chief@contoso.test").await.1),
        Some(1)
    );
    let asked = ask(Role::Helpdesk, "/trace?q=subject:toner").await;
    assert_eq!(asked.0, StatusCode::FORBIDDEN, "{}", asked.1);
}

#[tokio::test]
async fn an_organisation_changes_itself_but_verifies_no_domain_by_hand() {
    let hosted = Hosted::new().await;
    let owner = bound(Role::Owner);
    let domain = |more: Value| {
        json!({ "document": { "organisation": [{
            "name": "contoso", "language": "fr", "domain": [more],
        }] } })
    };
    let assumed = domain(json!({ "name": "bank.test", "verification": "assumed" }));
    let refused = hosted.ask(&owner, Method::POST, "/apply", &assumed).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN, "{}", refused.1);
    let honest = domain(json!({ "name": "bank.test", "verification": "dns" }));
    let done = hosted.ask(&owner, Method::POST, "/apply", &honest).await;
    assert_eq!(done.0, StatusCode::OK, "{}", done.1);
    let settings = hosted.context.store.settings();
    let ours = settings.organisation("contoso").expect("there");
    assert_eq!((ours.language, ours.domain.len()), (Language::French, 2));
    assert_eq!(hosted.fabrikam(), hosted.before);
    // An address that another one has: refused, and nobody is named.
    let taken = json!({ "document": { "organisation": [{ "name": "contoso",
        "inbound_connector": [{ "name": "New", "sender_ip_addresses": ["11.9.9.0/28"] }] }] } });
    let refused = hosted.ask(&owner, Method::POST, "/apply", &taken).await;
    assert!(refused.0.is_client_error(), "{}", refused.1);
    assert!(!refused.1.contains("fabrikam"), "{}", refused.1);
}

#[tokio::test]
async fn an_owner_of_an_organisation_makes_people_of_that_one_only() {
    let hosted = Hosted::new().await;
    let (owner, root) = (bound(Role::Owner), unbound(Role::Owner));
    let add = |name: &str, organisation: Option<&str>| {
        let place = json!(organisation);
        json!({ "name": name, "role": "owner", "organisation": place })
    };
    for (caller, body, status) in [
        (&root, add("ruth", None), 200),
        (&root, add("frida", Some("fabrikam")), 200),
        (&owner, add("carl", None), 200),
        (&owner, add("eve", Some("fabrikam")), 404),
        (&root, json!({ "name": "ina", "role": "installer" }), 400),
        (
            &root,
            json!({ "name": "ina", "role": "installer", "organisation": "contoso",
            "connector": "Secret-Scanner" }),
            404,
        ),
        (
            &root,
            json!({ "name": "ina", "role": "installer", "organisation": "contoso",
            "connector": "Printers" }),
            200,
        ),
    ] {
        let done = hosted.ask(caller, Method::POST, "/admins", &body).await;
        assert_eq!(done.0.as_u16(), status, "{body}: {}", done.1);
    }
    let seen = hosted
        .ask(&owner, Method::GET, "/admins", &Value::Null)
        .await
        .1;
    assert!(
        seen.contains("carl") && !seen.contains("ruth") && !seen.contains("frida"),
        "{seen}"
    );
    for name in ["ruth", "frida"] {
        for act in ["reset", "role", "remove"] {
            let path = format!("/admins/{name}/{act}");
            let body = match act {
                "role" => json!({ "role": "auditor" }),
                _ => json!({}),
            };
            let done = hosted.ask(&owner, Method::POST, &path, &body).await;
            assert_eq!(done.0, StatusCode::NOT_FOUND, "{path}: {}", done.1);
        }
    }
    // The last owner of the installation stays one.
    let less = json!({ "role": "auditor" });
    let done = hosted
        .ask(&root, Method::POST, "/admins/ruth/role", &less)
        .await;
    assert_eq!(done.0, StatusCode::CONFLICT, "{}", done.1);
    let done = hosted
        .ask(&root, Method::POST, "/admins/ruth/remove", &json!({}))
        .await;
    assert_eq!(done.0, StatusCode::CONFLICT, "{}", done.1);
    let done = hosted
        .ask(&owner, Method::POST, "/admins/carl/remove", &json!({}))
        .await;
    assert_eq!(done.0, StatusCode::OK, "{}", done.1);
}

#[test]
fn the_table_of_routes_has_no_route_twice() {
    let all: Vec<_> = access::routes().collect();
    for (at, (method, path, _)) in all.iter().enumerate() {
        let rest = &all[at + 1..];
        let twice = rest
            .iter()
            .any(|(other, same, _)| other == method && same == path);
        assert!(!twice, "{method} {path}");
    }
    assert!(all.iter().any(|(.., action)| *action == Action::Maintain));
}

/// Method and path of each `.route(…)` in the API's sources: what the router really answers.
fn routed(folder: &Path, found: &mut Vec<(Method, String)>) {
    for entry in std::fs::read_dir(folder).expect("the sources are here") {
        let path = entry.expect("a name").path();
        if path.is_dir() {
            routed(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("text");
        for call in text.split(".route(").skip(1) {
            let mut texts = call.split('"');
            let (before, named) = (texts.next(), texts.next());
            let named = named.filter(|_| before.is_some_and(|it| it.trim().is_empty()));
            let named =
                named.unwrap_or_else(|| panic!("{}: a path that is no text", path.display()));
            let handlers: String = texts.collect();
            let end = handlers.find(";").unwrap_or(handlers.len());
            let handlers = handlers[..end]
                .split_once("\n}")
                .map_or(&handlers[..end], |it| it.0);
            for method in [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ] {
                let word = method.as_str().to_lowercase();
                let is_first = handlers
                    .trim_start_matches([',', ' ', '\n'])
                    .starts_with(&word);
                if is_first || handlers.contains(&format!(").{word}(")) {
                    found.push((method, named.to_owned()));
                }
            }
        }
    }
}

#[test]
fn each_route_of_the_api_has_a_rule_and_each_rule_a_route() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut routes = Vec::new();
    routed(&sources, &mut routes);
    // Probes are for whoever watches the machine, and tell nothing of anybody.
    routes.retain(|(_, path)| !["/livez", "/readyz", "/metrics"].contains(&path.as_str()));
    assert!(routes.len() > 80, "{routes:?}");
    let rules: Vec<_> = access::routes()
        .map(|(method, path, _)| (method.clone(), path.to_owned()))
        .collect();
    for route in &routes {
        assert!(rules.contains(route), "no rule of access: {route:?}");
    }
    for rule in &rules {
        assert!(routes.contains(rule), "a rule of nothing: {rule:?}");
    }
}

#[tokio::test]
async fn what_has_no_rule_is_closed_to_everybody() {
    let hosted = Hosted::new().await;
    let unknown = Router::new()
        .route(
            "/api/v1/unheard-of",
            axum::routing::get(|| async { "all of it" }),
        )
        .layer(axum::middleware::from_fn_with_state(
            hosted.context.clone(),
            access::gate,
        ));
    let request = Request::get("/api/v1/unheard-of")
        .extension(Caller::socket(Some(0)))
        .body(Body::empty())
        .expect("a request");
    let response = unknown.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn how_much_content_is_kept_of_an_organisation_is_said_by_the_operator_alone() {
    let hosted = Hosted::new().await;
    let (owner, root) = (bound(Role::Owner), Caller::socket(Some(0)));
    let path = "/organisations/contoso/set";
    let more = json!({ "keys": { "content_max": "20 GiB" } });
    let refused = hosted.ask(&owner, Method::POST, path, &more).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN, "{}", refused.1);
    assert!(refused.1.contains("content_max"), "{}", refused.1);
    let days = json!({ "keys": { "content_days": 3 } });
    let set = hosted.ask(&owner, Method::POST, path, &days).await;
    assert_eq!(set.0, StatusCode::OK, "{}", set.1);
    let told = hosted
        .ask(&owner, Method::GET, "/retention", &Value::Null)
        .await;
    assert!(
        told.1.contains("\"kept_octets_max\":10737418240"),
        "{}",
        told.1
    );
    let set = hosted.ask(&root, Method::POST, path, &more).await;
    assert_eq!(set.0, StatusCode::OK, "{}", set.1);
    let told = hosted
        .ask(&owner, Method::GET, "/retention", &Value::Null)
        .await;
    assert!(
        told.1.contains("\"kept_octets_max\":21474836480"),
        "{}",
        told.1
    );
}
