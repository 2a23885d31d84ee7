//! The API as programs meet it: statuses, problems, versions, doors. What the command line shows of
//! it is tested there.

mod pages;
mod hosted;
mod access;
mod bound;
mod steps;
mod reports;
mod turns;
mod cards;
mod holds;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::LocalSet;
use tower::ServiceExt;

use relais_admin::api;
use relais_admin::context::{AdminContext, Caller, CertificateView, Phase, Readiness};
use relais_admin::metrics::Metrics;
use relais_admin::people::People;
use relais_admin::service::AdminService;
use relais_admin::web;
use relais_net::clock::{Chance, Clock};
use relais_net::conversation::Conversations;
use relais_policy::settings::Mode;
use relais_store::store::{OpenOptions, Store};

struct Here {
    _folder: TempDir,
    context: AdminContext,
    router: Router,
}

struct Answer {
    status: StatusCode,
    form: String,
    etag: Option<String>,
    value: Value,
}

async fn context(folder: &Path) -> AdminContext {
    let clock = Clock::system();
    let metrics = Metrics::new(clock.now());
    let store = Store::open(OpenOptions {
        folder: folder.join("data"),
        mode: Mode::Lan,
        disk_reserve: 0,
        trace_days: 90,
        observer: Arc::new(|_, _| {}),
        now: clock.now(),
    });
    let store = store.await.expect("the store opens");
    context_over(store, clock, metrics)
}

fn context_over(store: Store, clock: Clock, metrics: Metrics) -> AdminContext {
    AdminContext {
        store,
        clock,
        chance: Chance::system(),
        hostname: "relay.contoso.test".to_owned(),
        message_size_max: 50 << 20,
        metrics,
        readiness: Readiness::new(Phase::Serving),
        conversations: Conversations::default(),
        counts: None,
        certificates: CertificateView::default(),
        people: People::new(None, false),
        dns: None,
        site: relais_policy::desk::Site {
            hostname: "relay.contoso.test".to_owned(),
            source_addresses: Vec::new(),
            zone: None,
            shows_policies: false,
        },
        findings: relais_admin::findings::Findings::default(),
        outbound: None,
        duties: Default::default(),
        premises: None,
        rounds: relais_admin::rounds::Rounds::default(),
    }
}

impl Here {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let context = context(folder.path()).await;
        Self {
            _folder: folder,
            router: api::router(context.clone()),
            context,
        }
    }

    async fn ask(&self, method: Method, path: &str, etag: Option<&str>, body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .extension(Caller::socket(Some(0)));
        if let Some(etag) = etag {
            request = request.header(header::IF_MATCH, etag);
        }
        let request = request
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(ToOwned::to_owned)
        };
        let (form, etag) = (
            text(header::CONTENT_TYPE).unwrap_or_default(),
            text(header::ETAG),
        );
        let status = response.status();
        let octets = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        Answer {
            status,
            form,
            etag,
            value: serde_json::from_slice(&octets).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, &Value::Null).await
    }
}

fn contoso() -> Value {
    json!({ "organisation": [{
        "name": "contoso",
        "domain": [{ "name": "contoso.test", "verification": "assumed" }],
        "inbound_connector": [{ "name": "Printers", "sender_ip_addresses": ["10.1.2.0/24"] }],
    }] })
}

#[tokio::test]
async fn errors_are_problems_with_a_sentence() {
    let here = Here::new().await;
    for (method, path, body, status) in [
        (Method::GET, "/api/v1/nothing", Value::Null, 404),
        (Method::DELETE, "/api/v1/settings", Value::Null, 405),
        (Method::GET, "/api/v1/trace?q=nonsense:x", Value::Null, 400),
        (Method::GET, "/api/v1/trace?limit=many", Value::Null, 400),
        (Method::GET, "/api/v1/trace?nonsense=1", Value::Null, 400),
        (Method::GET, "/api/v1/queue/nonsense", Value::Null, 400),
        (Method::GET, "/api/v1/queue?state=lost", Value::Null, 400),
        (
            Method::GET,
            "/api/v1/directory?organisation=nobody",
            Value::Null,
            404,
        ),
        (
            Method::POST,
            "/api/v1/queue/act",
            json!({ "act": "delete" }),
            400,
        ),
        (
            Method::POST,
            "/api/v1/queue/act",
            json!({ "act": "eat", "all": true }),
            400,
        ),
        (Method::POST, "/api/v1/apply", json!({ "documnt": {} }), 400),
        (
            Method::POST,
            "/api/v1/backup",
            json!({ "target": "relative" }),
            400,
        ),
        (
            Method::POST,
            "/api/v1/simulate",
            json!({ "ip": "10.1.2.9", "from": "a", "to": "b" }),
            400,
        ),
        (Method::POST, "/api/v1/domains/a..b/verify", json!({}), 400),
        (
            Method::POST,
            "/api/v1/domains/contoso.test/verify",
            json!({}),
            404,
        ),
        (
            Method::POST,
            "/api/v1/domains/contoso.test/verify",
            json!({ "assume": true }),
            404,
        ),
    ] {
        let answer = here.ask(method.clone(), path, None, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert_eq!(answer.form, "application/problem+json", "{method} {path}");
        assert_eq!(answer.value["status"], status, "{method} {path}");
        assert!(
            answer.value["detail"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_unknown_refusal_is_a_problem_with_its_reference() {
    let here = Here::new().await;
    let answer = here.get("/api/v1/why/7F3K2").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.value["reference"]),
        (404, &json!("7F3K2"))
    );
}

#[tokio::test]
async fn nobody_overwrites_settings_that_they_have_not_seen() {
    let here = Here::new().await;
    let first = here.get("/api/v1/settings").await;
    assert_eq!(first.etag.as_deref(), Some("\"0\""));
    let put = |etag: Option<&'static str>, path: &'static str| {
        let here = &here;
        async move { here.ask(Method::PUT, path, etag, &contoso()).await }
    };
    assert_eq!(
        put(None, "/api/v1/settings").await.status,
        StatusCode::PRECONDITION_REQUIRED
    );
    assert_eq!(
        put(Some("\"7\""), "/api/v1/settings").await.status,
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(
        put(Some("x"), "/api/v1/settings").await.status,
        StatusCode::BAD_REQUEST
    );
    let dry = put(Some("\"0\""), "/api/v1/settings?dry_run=true").await;
    assert_eq!(
        (dry.status, &dry.value["version"]),
        (StatusCode::OK, &json!(0))
    );
    let done = put(Some("\"0\""), "/api/v1/settings").await;
    assert_eq!(
        (done.status, &done.value["version"]),
        (StatusCode::OK, &json!(1))
    );
    let now = here.get("/api/v1/settings").await;
    assert_eq!(now.etag.as_deref(), Some("\"1\""));
    assert_eq!(now.value["organisation"][0]["name"], "contoso");
}

#[tokio::test]
async fn forty_programs_that_add_a_connector_each_at_once_all_succeed() {
    let here = Arc::new(Here::new().await);
    let applied = json!({ "document": contoso() });
    let first = here
        .ask(Method::POST, "/api/v1/apply", None, &applied)
        .await;
    assert_eq!(first.status, StatusCode::OK);
    let local = LocalSet::new();
    let all: Vec<_> = (0..40)
        .map(|number| {
            let here = Arc::clone(&here);
            let networks = [format!("10.9.{number}.1")];
            let connector =
                json!({ "name": format!("Line {number}"), "sender_ip_addresses": networks });
            let body = json!({ "organisation": "contoso", "connector": connector });
            let path = "/api/v1/connectors/inbound/put";
            local.spawn_local(async move { here.ask(Method::POST, path, None, &body).await })
        })
        .collect();
    local.await;
    for one in all {
        let answer = one.await.expect("no panic");
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.value);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_told_with_every_reason_and_change_nothing() {
    let here = Here::new().await;
    let mut document = contoso();
    document["organisation"][0]["postmaster"] = json!("nobody");
    document["organisation"][0]["inbound_connector"][0]["name"] = json!("");
    let answer = here
        .ask(
            Method::POST,
            "/api/v1/apply",
            None,
            &json!({ "document": document }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.value["errors"]
            .as_array()
            .is_some_and(|errors| errors.len() >= 2),
        "{}",
        answer.value
    );
    assert_eq!(
        here.get("/api/v1/settings").await.etag.as_deref(),
        Some("\"0\"")
    );
}

#[tokio::test]
async fn changes_made_at_the_same_time_are_all_kept() {
    let here = Here::new().await;
    here.ask(
        Method::POST,
        "/api/v1/apply",
        None,
        &json!({ "document": contoso() }),
    )
    .await;
    let import = |number: usize| {
        let body = json!({ "csv": format!("user{number}@contoso.test\n") });
        let here = &here;
        async move {
            here.ask(Method::POST, "/api/v1/directory/import", None, &body)
                .await
                .status
        }
    };
    let (a, b, c) = tokio::join!(import(1), import(2), import(3));
    assert_eq!([a, b, c], [StatusCode::OK; 3]);
    let listed = here.get("/api/v1/directory").await.value;
    assert_eq!(listed["recipients"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn ready_means_listeners_up_and_store_writable() {
    let here = Here::new().await;
    for (phase, status) in [
        (Phase::Starting, 503),
        (Phase::Serving, 200),
        (Phase::Draining, 503),
        (Phase::NotRunning, 503),
    ] {
        here.context.readiness.enter(phase);
        assert_eq!(
            here.get("/readyz").await.status.as_u16(),
            status,
            "{phase:?}"
        );
        assert_eq!(here.get("/livez").await.status.as_u16(), 200, "{phase:?}");
        let health = here.get("/api/v1/health").await.value;
        assert_eq!(health["ready"], json!(status == 200), "{phase:?}");
    }
    here.context.readiness.enter(Phase::Serving);
    here.context.store.close(Duration::from_secs(5)).await;
    let apply = json!({ "document": contoso() });
    let refused = here.ask(Method::POST, "/api/v1/apply", None, &apply).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn the_admin_listener_shows_strangers_no_api_and_no_page() {
    let here = Here::new().await;
    let listener = web::router(here.context.clone());
    for (path, status) in [
        ("/livez", 200),
        ("/metrics", 200),
        ("/api/v1/status", 401),
        ("/api/v1/settings", 401),
        ("/api/v1/nothing", 401),
        ("/api/v1/openapi.json", 200),
        ("/", 303),
        ("/trace", 303),
        ("/sign-in", 200),
    ] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = listener.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}

/// Reads until the text is there, or the end.
async fn read_until(stream: &mut UnixStream, text: &str) -> String {
    let mut read = Vec::new();
    loop {
        let so_far = String::from_utf8_lossy(&read).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        let mut piece = [0; 1_024];
        match stream.read(&mut piece).await.expect("the socket answers") {
            0 => return so_far,
            octets => read.extend_from_slice(&piece[..octets]),
        }
    }
}

#[tokio::test]
async fn draining_ends_answers_that_have_no_end_and_removes_the_socket() {
    let here = Here::new().await;
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("control.sock");
    // Left behind by a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let service =
        AdminService::start(here.context.clone(), socket.clone(), None, None).expect("it starts");
    let mut stream = UnixStream::connect(&socket).await.expect("it answers");
    stream
        .write_all(b"GET /api/v1/trace/live HTTP/1.1\r\nHost: relais\r\n\r\n")
        .await
        .expect("written");
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    here.context.readiness.enter(Phase::Draining);
    service.drain(Duration::from_secs(10)).await;
    let rest = read_until(&mut stream, "no such text").await;
    assert!(!rest.contains("event"), "{rest}");
    assert!(!socket.exists());
}

#[tokio::test]
async fn something_else_in_the_place_of_the_socket_is_not_removed() {
    let here = Here::new().await;
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("control.sock");
    std::fs::write(&file, "precious").expect("written");
    assert!(AdminService::start(here.context.clone(), file.clone(), None, None).is_err());
    assert_eq!(
        std::fs::read_to_string(&file).expect("still there"),
        "precious"
    );
}

#[tokio::test]
async fn who_asks_over_the_socket_is_named_in_the_audit() {
    let here = Here::new().await;
    let folder = TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("control.sock");
    let service =
        AdminService::start(here.context.clone(), socket.clone(), None, None).expect("it starts");
    let body = json!({ "document": contoso() }).to_string();
    let mut stream = UnixStream::connect(&socket).await.expect("it answers");
    let request = format!(
        "POST /api/v1/apply HTTP/1.1\r\nHost: relais\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let answer = read_until(&mut stream, "no such text").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    service.drain(Duration::from_secs(10)).await;
    let audit = here.get("/api/v1/audit").await.value;
    let actor = audit["entries"][0]["actor"]
        .as_str()
        .expect("a name")
        .to_owned();
    assert!(actor.starts_with("uid "), "{actor}");
    assert_eq!(audit["entries"][0]["via"], "socket");
}
