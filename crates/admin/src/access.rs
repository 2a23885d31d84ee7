//! The gate in front of the API: each request is an action ([`permission`](crate::permission)),
//! and is about something of one organisation, of all, or of none. Whoever lacks the action gets
//! 403. What is out of reach is, to whoever asks, not there: 404, and no line of any list.
//!
//! A route without a rule is closed to everybody, so that none is forgotten. Changes of settings
//! are held within reach once more where they are made (`api/settings.rs`).

mod asked;
mod rules;
mod told;

use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use relais_policy::settings::Settings;
use relais_store::trace::Event;

use crate::context::{AdminContext, Caller};
use crate::permission::{Action, Rights};
use crate::problem::Problem;

use self::rules::{RULES, Rule};

/// The prefix of all rules' paths.
const PREFIX: &str = "/api/v1";

/// Lets a request in, or says why not; and looks at what is answered.
pub async fn gate(State(context): State<AdminContext>, request: Request, next: Next) -> Response {
    match admit(&context, request).await {
        Ok((caller, rule, request)) => {
            let response = next.run(request).await;
            told::within_reach(&context, &caller, rule, response).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Whether a refused attempt is one that somebody with these rights is told of.
pub(crate) fn is_attempt_seen(settings: &Settings, rights: &Rights, event: &Event) -> bool {
    let from = event.from.as_deref().unwrap_or_default();
    let is_own = |own| told::is_own_attempt(settings, own, event.organisation.as_deref(), from);
    rights.organisation().is_none_or(is_own)
}

async fn admit(
    context: &AdminContext,
    request: Request,
) -> Result<(Caller, &'static Rule, Request), Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>().cloned();
    let caller = caller
        .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "It is not known who asks."))?;
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map_or("", |path| path.as_str());
    let rule = rule_of(&parts.method, path)?;
    if !caller.rights.may(rule.action) {
        let detail = "Your role does not permit this.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let params = RawPathParams::from_request_parts(&mut parts, &()).await;
    let params: Vec<String> = match &params {
        Ok(params) => params.iter().map(|(_, value)| value.to_owned()).collect(),
        Err(_) => Vec::new(),
    };
    let asked = asked::Asked {
        context,
        caller: &caller,
        first: params.first().map_or("", String::as_str),
    };
    let request = asked.narrow(rule, Request::from_parts(parts, body)).await?;
    Ok((caller, rule, request))
}

/// HEAD is asked of what answers GET. RFC 9110 §9.3.2.
fn rule_of(method: &Method, path: &str) -> Result<&'static Rule, Problem> {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let method = match *method {
        Method::HEAD => &Method::GET,
        _ => method,
    };
    let mut of_path = RULES.iter().filter(|rule| rule.path == path).peekable();
    if of_path.peek().is_none() {
        tracing::error!(path, "a route has no rule: it is closed");
        let detail = "This address has no rule of access, so it is closed.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    of_path.find(|rule| rule.method == method).ok_or_else(|| {
        let detail = format!("{PREFIX}{path} does not take {method}.");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    })
}

/// All methods and paths with the action that each is, for tests that walk them.
pub fn routes() -> impl Iterator<Item = (&'static Method, &'static str, Action)> {
    RULES
        .iter()
        .map(|rule| (rule.method, rule.path, rule.action))
}

/// Whether somebody of one organisation may ask this at all.
#[cfg(test)]
pub(crate) fn is_for_organisations(method: &str, path: &str) -> bool {
    let mut rules = RULES.iter();
    let rule = rules.find(|rule| rule.method == method && rule.path == path);
    rule.is_some_and(|rule| rule.whose != rules::Whose::Installation)
}

/// Of a body that is small enough to be looked at.
async fn read(body: Body, octets_max: usize) -> Result<Vec<u8>, Problem> {
    let octets = axum::body::to_bytes(body, octets_max).await;
    octets.map(Vec::from).map_err(|_| {
        let detail = "The body is too long.";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    })
}
