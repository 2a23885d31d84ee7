//! Pages ask the API in this process: the same functions as for the command line, the same answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use relais_policy::document::Document;
use relais_policy::settings::Settings;
use serde_json::Value;
use tower::ServiceExt;

use relais_store::queue::StoreError;

use super::moved::Moved;
use super::once::Once;
use super::rooms::{Door, Room, Rooms};
use crate::api;
use crate::context::{AdminContext, Caller};
use crate::people::PeopleError;
use crate::permission::Action;
use crate::phrasebook::told;

/// Largest answer that a page is made of, in octets: fifty rows have about 50 KB.
const ANSWER_OCTETS_MAX: usize = 16 << 20;

/// What all pages share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Centre {
    pub(super) context: AdminContext,
    /// Where devices are listened to.
    rooms: Rooms,
    /// Users that were just made, with their passwords.
    pub(super) made: Once<MadeUser>,
    /// Drafts that have become connectors.
    pub(super) moved: Moved,
    api: Router,
}

/// A user that was just made.
pub(super) struct MadeUser {
    pub(super) user: String,
    pub(super) password: String,
    /// Why there is no password.
    pub(super) fault: String,
    /// Where one goes from there.
    pub(super) next: String,
}

impl FromRef<Centre> for AdminContext {
    fn from_ref(centre: &Centre) -> Self {
        centre.context.clone()
    }
}

/// The API said no.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    /// A sentence.
    pub(super) detail: String,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            detail: error.to_string(),
        }
    }
}

impl Centre {
    pub(super) fn new(context: AdminContext) -> Self {
        let api = api::router(context.clone());
        let rooms = Rooms::default();
        Self {
            context,
            rooms,
            made: Once::default(),
            moved: Moved::default(),
            api,
        }
    }

    /// The settings, as far as this caller sees: of one organisation, or whole.
    pub(super) fn settings(&self, caller: &Caller) -> Arc<Settings> {
        let whole = self.context.store.settings();
        let rights = &caller.rights;
        if !rights.may(Action::ReadSettings) && !rights.may(Action::ReadCards) {
            return Settings::empty(whole.mode);
        }
        let Some(own) = rights.organisation() else {
            return whole;
        };
        let mut document = Document::clone(&whole.document);
        document.organisation.retain(|one| one.name == own);
        if let Some(connector) = rights.connector() {
            for one in &mut document.organisation {
                one.inbound_connector.retain(|it| it.name == connector);
                one.credential
                    .retain(|it| it.inbound_connector == connector);
                one.outbound_connector.clear();
            }
        }
        match Settings::build(whole.mode, whole.version, document) {
            Ok(settings) => Arc::new(settings.following(&whole)),
            // What was valid among others is valid alone; else nothing is shown.
            Err(_) => Settings::empty(whole.mode),
        }
    }

    /// Reads. `query`: names and values, encoded here; empty values are left out.
    pub(super) async fn get(
        &self,
        caller: &Caller,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Value, Refused> {
        self.call(caller, Method::GET, &address(path, query), Body::empty())
            .await
    }

    /// Changes something, as this person.
    pub(super) async fn post(
        &self,
        caller: &Caller,
        path: &str,
        body: &Value,
    ) -> Result<Value, Refused> {
        self.call(caller, Method::POST, path, Body::from(body.to_string()))
            .await
    }

    /// The same, where the answer is a file: as it comes.
    pub(super) async fn take(&self, caller: &Caller, path: &str) -> Result<Response, Refused> {
        let body = Body::from("{}");
        let response = self.send(caller, Method::POST, path, body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refused = value_of(response, caller).await;
        Err(refused.err().unwrap_or_else(|| internal(String::new())))
    }

    /// The same, of what is about people: a no comes with its reason.
    pub(super) async fn post_of_people(
        &self,
        caller: &Caller,
        path: &str,
        body: &Value,
    ) -> Result<Value, (Refused, Option<PeopleError>)> {
        let body = Body::from(body.to_string());
        let response = self.send(caller, Method::POST, path, body).await;
        let response = response.map_err(|refused| (refused, None))?;
        let cause = response.extensions().get::<PeopleError>().cloned();
        let value = value_of(response, caller).await;
        value.map_err(|refused| (refused, cause))
    }

    /// An answer without an end: its body as it comes.
    pub(super) async fn follow(
        &self,
        caller: &Caller,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Body, Refused> {
        let path = address(path, query);
        let response = self.send(caller, Method::GET, &path, Body::empty()).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let refused = value_of(response, caller).await;
        Err(refused.err().unwrap_or_else(|| internal(String::new())))
    }

    /// Where a connector is listened to.
    pub(super) async fn room(
        &self,
        caller: &Caller,
        organisation: &str,
        name: &str,
    ) -> Result<Room, Refused> {
        self.room_of("", caller, organisation, name).await
    }

    /// The same for who comes by a code.
    pub(super) async fn room_of(
        &self,
        code: &str,
        caller: &Caller,
        organisation: &str,
        name: &str,
    ) -> Result<Room, Refused> {
        let query = [("name", name), ("organisation", organisation)];
        let listen = self.follow(caller, "/connectors/inbound/listen", &query);
        let (clock, store) = (&self.context.clock, &self.context.store);
        let live = || store.live();
        let door = Door {
            organisation: organisation.to_owned(),
            name: name.to_owned(),
            code: code.to_owned(),
        };
        self.rooms.enter(clock, door, live, listen).await
    }

    async fn call(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Value, Refused> {
        value_of(self.send(caller, method, path, body).await?, caller).await
    }

    async fn send(
        &self,
        caller: &Caller,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response, Refused> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .extension(caller.clone())
            .body(body)
            .map_err(|error| internal(error.to_string()))?;
        match self.api.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

fn internal(detail: String) -> Refused {
    Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        detail,
    }
}

/// What was answered; a no is in the language of who asked.
async fn value_of(response: Response, caller: &Caller) -> Result<Value, Refused> {
    let status = response.status();
    let octets = axum::body::to_bytes(response.into_body(), ANSWER_OCTETS_MAX).await;
    let octets = octets.map_err(|error| internal(error.to_string()))?;
    let value: Value = serde_json::from_slice(&octets).unwrap_or_default();
    if status.is_success() {
        return Ok(value);
    }
    let said = |sentence| told(caller.language, sentence);
    let errors = list(&value, "errors").iter().filter_map(Value::as_str);
    let errors: Vec<_> = errors.map(said).collect();
    let detail = match errors.as_slice() {
        [] => said(text(&value, "detail")).into_owned(),
        errors => errors.join(" "),
    };
    Err(Refused { status, detail })
}

/// A path with a query; empty values are left out.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        pairs.append_pair(name, value);
    }
    match pairs.finish().as_str() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// One segment of a path: names may have spaces and slashes.
pub(super) fn segment(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

/// A text of an answer, empty where it is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A list of an answer, empty where it is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A word for a shell.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_.@:/".contains(one);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
