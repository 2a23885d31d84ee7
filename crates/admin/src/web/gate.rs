//! The API's door on the admin listener: who knocks (a key, or a browser's session that only
//! reads), whether the key's scopes cover what is asked, and what of it is its organisation's. What
//! passes goes to the same API as the command line's.
//!
//! Not here: what may be asked at all (`api/operations.rs`); what a request must fulfil and what is
//! told of an answer (`gate/bounds.rs`), and how often (`rates.rs`).

mod bounds;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::StreamExt;
use serde_json::Value;
use tower::ServiceExt;

use relais_policy::adopt::API_KEY;
use relais_smtp::identifier::Reference;
use relais_smtp::time::Timestamp;
use relais_store::trace::{ClientSummary, Event, EventKind};

use self::bounds::{Bounds, Page};
use super::cookies::Cookie;
use crate::api::{self, Found, Operation};
use crate::context::{AdminContext, Caller, Peer};
use crate::keys::{self, ApiKey};
use crate::problem::Problem;
use crate::rates::{Rates, network};
use crate::scope::Access;

/// Requests of one key or person in a minute: a hundred a second.
const REQUESTS_PER_MINUTE_MAX: u32 = 6_000;
/// How often is looked whether who listens still may.
const VALID_INTERVAL: Duration = Duration::from_secs(2);
/// Requests without a good key that are told of one network in a minute.
const STRANGERS_PER_MINUTE_MAX: u32 = 60;
/// A use of a key is written down no more often than this.
const USE_INTERVAL: Duration = Duration::from_secs(60);
/// Largest answer that is read here to be narrowed, in octets.
const ANSWER_OCTETS_MAX: usize = 512 << 20;
/// Octets of a problem.
const PROBLEM_OCTETS_MAX: usize = 1 << 20;
const PREFIX: &str = "/api/v1";

/// What the door knows.
pub(super) struct Gate {
    context: AdminContext,
    api: Router,
    rates: Rates,
    strangers: Rates,
    /// When the use of a key was written down last.
    noted: Mutex<HashMap<String, Timestamp>>,
}

/// Who knocks.
enum Who {
    Key(ApiKey),
    /// A person at a browser: their name, and the token of their session.
    Person(Caller, String, String),
}

impl Who {
    fn caller(&self) -> Caller {
        match self {
            Self::Key(key) => Caller::key(&key.name, &key.id, key.organisation.as_deref()),
            Self::Person(caller, ..) => caller.clone(),
        }
    }

    /// Under which its requests are counted.
    fn counted_as(&self) -> String {
        match self {
            Self::Key(key) => format!("key {}", key.id),
            Self::Person(_, name, _) => format!("person {name}"),
        }
    }
}

pub(super) fn routes(context: AdminContext) -> Router {
    let gate = Arc::new(Gate {
        api: api::router(context.clone()),
        context,
        rates: Rates::default(),
        strangers: Rates::default(),
        noted: Mutex::default(),
    });
    Router::new()
        .route("/api/v1/openapi.json", get(document))
        .route("/api/v1", any(knock))
        .route("/api/v1/", any(knock))
        .route("/api/v1/{*rest}", any(knock))
        .with_state(gate)
}

async fn document() -> Response {
    let json = HeaderValue::from_static("application/json");
    let text = api::openapi_document().to_string();
    dressed(([(header::CONTENT_TYPE, json)], text).into_response())
}

async fn knock(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let reference = gate.context.chance.reference();
    let response = match gate.answer(request, reference).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    dressed(with_reference(response, reference).await)
}

/// No cache keeps it, no browser guesses what it is; and no other page may read it: there are no
/// CORS headers.
fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Each problem has one: of the refusal that it is about, else a new one, which the log knows.
async fn with_reference(response: Response, reference: Reference) -> Response {
    let status = response.status();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let octets = axum::body::to_bytes(body, PROBLEM_OCTETS_MAX).await;
    let octets = octets.unwrap_or_default();
    let mut problem: Value = serde_json::from_slice(&octets).unwrap_or(Value::Null);
    if !problem.is_object() {
        let detail = String::from_utf8_lossy(&octets).into_owned();
        let (rest, body) = Problem::new(status, detail).into_response().into_parts();
        parts.headers.extend(rest.headers);
        let octets = axum::body::to_bytes(body, PROBLEM_OCTETS_MAX).await;
        problem = serde_json::from_slice(&octets.unwrap_or_default()).unwrap_or(Value::Null);
    }
    if problem["reference"].is_null() {
        problem["reference"] = Value::String(reference.to_string());
        let detail = problem["detail"].as_str().unwrap_or_default();
        tracing::info!(%reference, status = status.as_u16(), detail, "the API said no");
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(problem.to_string()))
}

impl Gate {
    async fn answer(&self, request: Request, reference: Reference) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let who = self.recognise(&parts, reference).await?;
        let path = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let operation = match api::find(parts.method.as_str(), path) {
            Found::Operation(operation) => operation,
            Found::OtherMethod => return Ok(other_method(&parts, path)),
            Found::Nothing => {
                let detail = format!("There is nothing at {}.", parts.uri.path());
                return Err(Problem::not_found(detail));
            }
        };
        self.must_be_allowed(&who, operation)?;
        let bounds = Bounds { operation };
        let (request, page) = self.prepared(&bounds, &who, parts, body).await?;
        let if_none = request.headers().get(header::IF_NONE_MATCH).cloned();
        let response = match self.api.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if is_known(&response, if_none.as_ref()) {
            return Ok(StatusCode::NOT_MODIFIED.into_response());
        }
        let response = self.while_valid(&who, response);
        if bounds.leaves_alone() || !response.status().is_success() {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let octets = axum::body::to_bytes(body, ANSWER_OCTETS_MAX).await;
        let octets = octets
            .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let value = serde_json::from_slice(&octets).unwrap_or(Value::Null);
        let told = bounds.told(value, page);
        parts.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(told.to_string())))
    }

    /// The request as the API gets it: within bounds.
    async fn prepared(
        &self,
        bounds: &Bounds,
        who: &Who,
        mut parts: Parts,
        body: Body,
    ) -> Result<(Request, Page), Problem> {
        let octets = axum::body::to_bytes(body, bounds.operation.body_octets_max).await;
        let octets = octets.map_err(|_| {
            let detail = format!(
                "The body is longer than {} octets.",
                bounds.operation.body_octets_max
            );
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        })?;
        let body = bounds.body(octets)?;
        let (query, page) = bounds.query(parts.uri.query().unwrap_or_default())?;
        let path = parts.uri.path();
        let address = match query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        };
        parts.uri = address
            .parse::<Uri>()
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.remove(header::COOKIE);
        // What the listener's own routes found in the path is none of the API's.
        let peer = parts.extensions.remove::<Peer>();
        parts.extensions.clear();
        let mut caller = who.caller();
        if let Some(peer) = peer {
            parts.extensions.insert(peer);
            caller = caller.coming_from(peer.0);
        }
        parts.extensions.insert(caller);
        if let Who::Key(key) = who {
            parts.extensions.insert(Arc::new(key.clone()));
        }
        Ok((Request::from_parts(parts, Body::from(body)), page))
    }

    /// An answer without an end has one once its key, or the session, is revoked or over.
    fn while_valid(&self, who: &Who, response: Response) -> Response {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind == api::STREAM_TYPE);
        if !is_stream {
            return response;
        }
        let context = self.context.clone();
        let ended: Pin<Box<dyn Future<Output = ()> + Send>> = match who {
            Who::Key(key) => {
                let key = key.clone();
                Box::pin(async move {
                    loop {
                        context.clock.sleep(VALID_INTERVAL).await;
                        if !keys::is_valid(&context.store, &key, context.clock.now()).await {
                            return;
                        }
                    }
                })
            }
            Who::Person(.., token) => {
                let token = token.clone();
                Box::pin(async move { context.people.over(&context.clock, &token).await })
            }
        };
        let (parts, body) = response.into_parts();
        let body = body.into_data_stream().take_until(ended);
        Response::from_parts(parts, Body::from_stream(body))
    }

    fn must_be_allowed(&self, who: &Who, operation: &Operation) -> Result<(), Problem> {
        let forbidden = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, detail));
        let scope = format!("{}:{}", operation.noun, operation.access.name());
        match who {
            Who::Key(key) if !key.may(operation.noun, operation.access) => {
                forbidden(format!("This needs a key with the scope {scope}."))
            }
            Who::Key(key) if key.organisation.is_some() && !operation.is_for_organisations => {
                forbidden("A key that is bound to an organisation may not ask this.".to_owned())
            }
            Who::Person(..) if operation.access != Access::Read || operation.method != "GET" => {
                forbidden("A browser's session only reads here: use a key.".to_owned())
            }
            Who::Key(_) | Who::Person(..) => Ok(()),
        }
    }

    /// Who it is; wrong keys are events, so that people see who tries.
    async fn recognise(&self, parts: &Parts, reference: Reference) -> Result<Who, Problem> {
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
        // Only tests come without one.
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let found = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => self.by_key(value).await?.map(Who::Key),
            None if parts.method == Method::GET => self.by_session(&parts.headers).await,
            None => None,
        };
        let Some(who) = found else {
            // A flood of them is no news, and must not fill the trace.
            let now = self.context.clock.moment();
            let (from, most) = (network(peer), STRANGERS_PER_MINUTE_MAX);
            if self.strangers.take(&from, most, now).is_ok() {
                self.record_stranger(parts, peer, reference);
            }
            let detail = "Send a key of the API: Authorization: Bearer relais_….";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail).about(reference));
        };
        self.within(&who.counted_as())?;
        if let Who::Key(key) = &who {
            self.note_use(&key.id).await;
        }
        Ok(who)
    }

    async fn by_key(&self, value: &HeaderValue) -> Result<Option<ApiKey>, Problem> {
        let text = value.to_str().unwrap_or_default();
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(None);
        }
        let now = self.context.clock.now();
        Ok(keys::recognise(&self.context.store, token.trim(), now).await?)
    }

    async fn by_session(&self, headers: &HeaderMap) -> Option<Who> {
        let (context, now) = (&self.context, self.context.clock.now());
        let is_encrypted = context.certificates.is_centre_encrypted();
        let token = Cookie::Session.read(headers, is_encrypted)?;
        let session = context.people.session(&context.store, &token, now).await?;
        if context.people.lacks_factor(&session) {
            return None;
        }
        let caller = Caller::web(&session.name, session.rights.clone());
        Some(Who::Person(caller, session.name, token))
    }

    fn within(&self, who: &str) -> Result<(), Problem> {
        let now = self.context.clock.moment();
        let taken = self.rates.take(who, REQUESTS_PER_MINUTE_MAX, now);
        taken.map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let detail = format!("Too many requests: try again in {seconds} seconds.");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).after(seconds)
        })
    }

    fn record_stranger(&self, parts: &Parts, peer: IpAddr, reference: Reference) {
        let mut event = Event::new(self.context.clock.now(), EventKind::AuthFailed);
        event.reference = Some(reference);
        event.client = Some(Arc::new(ClientSummary {
            address: peer,
            helo: None,
            credential: None,
            certificate: None,
        }));
        event.token = Some(API_KEY.into());
        event.reply = Some("401 No such key".into());
        event.detail = Some(format!("{} {}", parts.method, parts.uri.path()).into());
        self.context.store.record(event);
    }

    async fn note_use(&self, id: &str) {
        let now = self.context.clock.now();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let last = noted.get(id);
            if last.is_some_and(|last| now.since(*last) < USE_INTERVAL) {
                return;
            }
            noted.insert(id.to_owned(), now);
        }
        if let Err(error) = keys::note_use(&self.context.store, id, now).await {
            tracing::debug!(%error, "the use of a key is not written down");
        }
    }
}

fn other_method(parts: &Parts, path: &str) -> Response {
    let detail = format!("{} does not take {}.", parts.uri.path(), parts.method);
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
    let mut response = problem.into_response();
    if let Ok(methods) = HeaderValue::from_str(&api::methods_of(path)) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

/// Whether who asks has this already. RFC 9110 §13.1.2.
fn is_known(response: &Response, if_none: Option<&HeaderValue>) -> bool {
    let tag = response.headers().get(header::ETAG);
    response.status() == StatusCode::OK && tag.is_some() && tag == if_none
}
