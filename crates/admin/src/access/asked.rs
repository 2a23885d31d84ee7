//! What is asked, narrowed to the caller's organisation: in the query, in the body, or by whom the
//! named thing belongs to. Another's name is answered as one that does not exist.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use serde_json::Value;

use relais_smtp::identifier::QueueId;
use relais_store::queue::Criteria;
use relais_store::trace::{Event, TraceQuery, TraceTerm};

use super::read;
use super::rules::{Rule, Whose};
use super::told::{is_own_attempt, is_own_entity};
use crate::context::{AdminContext, Caller};
use crate::problem::Problem;

/// Largest body that is looked at, in octets: a directory of 500,000 recipients has about 40 MB.
const BODY_OCTETS_MAX: usize = 256 << 20;

/// One request on its way in.
pub(super) struct Asked<'a> {
    pub(super) context: &'a AdminContext,
    pub(super) caller: &'a Caller,
    /// The first part of the path that is a value.
    pub(super) first: &'a str,
}

impl Asked<'_> {
    /// The request as it is asked within reach.
    pub(super) async fn narrow(&self, rule: &Rule, request: Request) -> Result<Request, Problem> {
        let Some(own) = self.caller.rights.organisation() else {
            return Ok(request);
        };
        must_not_name_another(&request, own)?;
        match rule.whose {
            Whose::Installation => {
                let detail = "This concerns the whole installation, not one organisation.";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            Whose::Selected(_) | Whose::Query | Whose::Report => {
                in_query(request, "organisation", own)
            }
            Whose::Conversation => {
                let request = match self.caller.rights.connector() {
                    Some(connector) => in_query(request, "name", connector)?,
                    None => request,
                };
                in_query(request, "organisation", own)
            }
            Whose::Domain if request.method() == Method::GET => {
                in_query(request, "organisation", own)
            }
            Whose::Domain | Whose::Body => in_body(request, &[], own).await,
            Whose::QueueAct => in_body(request, &["selection"], own).await,
            Whose::Suspensions if request.method() == Method::POST => {
                in_body(request, &[], own).await
            }
            Whose::Credential => self.credential(own).map(|()| request),
            Whose::Dialogues => self.story(own).await.map(|()| request),
            Whose::Message => self.message(own).await.map(|()| request),
            Whose::Attempt => {
                self.attempt(own).await?;
                in_body(request, &[], own).await
            }
            Whose::Entities if request.method() == Method::POST => self.entity(request, own).await,
            Whose::Nobody
            | Whose::Handler
            | Whose::Trace
            | Whose::Live
            | Whose::Lines(..)
            | Whose::Certificates
            | Whose::Story
            | Whose::Attempts
            | Whose::LiveAttempts
            | Whose::Status
            | Whose::Document
            | Whose::Simulation
            | Whose::Entities
            | Whose::Suspensions => Ok(request),
        }
    }

    fn credential(&self, own: &str) -> Result<(), Problem> {
        let settings = self.context.store.settings();
        let owner = settings.credential(self.first).map(|(owner, _)| owner);
        if owner.is_some_and(|owner| owner.organisation.name == own) {
            return Ok(());
        }
        Err(Problem::not_found(format!(
            "There is no credential {}; `relais credential list` shows all.",
            self.first
        )))
    }

    async fn message(&self, own: &str) -> Result<(), Problem> {
        // What is no queue id is refused by the handler.
        let Ok(queue_id) = self.first.parse::<QueueId>() else {
            return Ok(());
        };
        let criteria = Criteria {
            queue_id: Some(queue_id),
            organisation: Some(own.to_owned()),
            ..Criteria::default()
        };
        if self
            .context
            .store
            .list(&criteria, None, 1)
            .await?
            .is_empty()
        {
            return Err(Problem::not_found(format!(
                "No message {queue_id} is in the queue."
            )));
        }
        Ok(())
    }

    /// A message or a refusal, by its own name: whose its events are.
    async fn story(&self, own: &str) -> Result<(), Problem> {
        let field = match self.first.parse::<QueueId>() {
            Ok(_) => "id",
            Err(_) => "ref",
        };
        let missing = || Problem::not_found("No such message or reference is known.");
        let term = |field, value| TraceTerm::new(field, value).map_err(|_| missing());
        let query = TraceQuery {
            terms: vec![term(field, self.first)?, term("organisation", own)?],
            limit: 1,
            ..TraceQuery::default()
        };
        match self.context.store.trace(&query).await?.is_empty() {
            false => Ok(()),
            true => Err(missing()),
        }
    }

    async fn attempt(&self, own: &str) -> Result<(), Problem> {
        let missing = || {
            let detail = format!("No refused attempt has the reference {}.", self.first);
            Problem::not_found(detail)
        };
        let query = TraceQuery {
            terms: vec![TraceTerm::new("ref", self.first).map_err(|_| missing())?],
            limit: 1,
            ..TraceQuery::default()
        };
        let rows = self.context.store.trace(&query).await?;
        let event = rows
            .first()
            .and_then(|row| Event::from_json(&row.json).ok());
        let event = event.ok_or_else(missing)?;
        let whose = event.organisation.as_deref();
        let from = event.from.as_deref().unwrap_or_default();
        let is_own = is_own_attempt(&self.context.store.settings(), own, whose, from);
        is_own.then_some(()).ok_or_else(missing)
    }

    async fn entity(&self, request: Request, own: &str) -> Result<Request, Problem> {
        let (parts, body) = request.into_parts();
        let octets = read(body, BODY_OCTETS_MAX).await?;
        let mut asked: Value = serde_json::from_slice(&octets)
            .map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))?;
        let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let settings = self.context.store.settings();
        let (kind, value) = (text("kind"), text("value"));
        let (kind, value) = (kind.as_str(), value.trim());
        let missing = || {
            let detail = format!("There is no {kind} \"{value}\" of this organisation.");
            Problem::not_found(detail)
        };
        if kind == "organisation" || !is_own_entity(&settings, own, kind, value) {
            return Err(missing());
        }
        let value = match kind {
            // Another organisation may have a connector of the same name.
            "connector" if !value.contains('/') => format!("{own}/{value}"),
            "device" if !value.starts_with(&format!("{own}/")) => format!("{own}/{value}"),
            _ => value.to_owned(),
        };
        asked["value"] = Value::from(value);
        Ok(Request::from_parts(parts, Body::from(asked.to_string())))
    }
}

fn foreign(name: &str) -> Problem {
    Problem::not_found(format!("There is no organisation {name}."))
}

/// Whoever asks for another organisation's things is not answered with their own.
fn must_not_name_another(request: &Request, own: &str) -> Result<(), Problem> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    match pairs.find(|(key, value)| key == "organisation" && !value.is_empty() && value != own) {
        Some((_, other)) => Err(foreign(&other)),
        None => Ok(()),
    }
}

/// A parameter with this value; another value names something that is not there.
fn in_query(request: Request, key: &str, value: &str) -> Result<Request, Problem> {
    rewritten(request, |pairs| {
        let mut found = pairs.iter().filter(|(one, _)| one == key);
        if let Some((_, other)) = found.find(|(_, found)| found != value) {
            return Err(foreign(other));
        }
        if !pairs.iter().any(|(one, _)| one == key) {
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(())
    })
}

fn rewritten(
    request: Request,
    change: impl FnOnce(&mut Vec<(String, String)>) -> Result<(), Problem>,
) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    change(&mut pairs)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let uri = format!("{}?{}", parts.uri.path(), query.finish());
    parts.uri = uri
        .parse::<Uri>()
        .map_err(|error| Problem::bad_request(format!("The query does not fit: {error}.")))?;
    Ok(Request::from_parts(parts, body))
}

/// `organisation` at this place of the body.
async fn in_body(request: Request, place: &[&str], own: &str) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let octets = read(body, BODY_OCTETS_MAX).await?;
    let mut value: Value = serde_json::from_slice(&octets)
        .map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))?;
    let mut found = &mut value;
    for key in place {
        let Value::Object(object) = found else {
            return Err(Problem::bad_request("The body is no object."));
        };
        found = object
            .entry(*key)
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    let Value::Object(object) = found else {
        return Err(Problem::bad_request("The body is no object."));
    };
    match object.get("organisation") {
        None | Some(Value::Null) => {
            object.insert("organisation".to_owned(), Value::from(own));
        }
        Some(Value::String(name)) if name == own => {}
        Some(other) => return Err(foreign(other.as_str().unwrap_or_default())),
    }
    Ok(Request::from_parts(parts, Body::from(value.to_string())))
}
