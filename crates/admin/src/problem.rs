//! Errors of the API: RFC 9457 problem details, each a sentence that says what to do.

use std::collections::HashSet;
use std::error::Error;

use axum::Json;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use relais_policy::settings::SettingsError;
use relais_smtp::identifier::Reference;
use relais_store::queue::StoreError;
use relais_store::settings::ChangeError;
use relais_store::trace::TraceQueryError;

use crate::card::issued::IssueError;
use crate::people::PeopleError;

/// Why a request has no answer. RFC 9457 §3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    reference: Option<Reference>,
    errors: Vec<String>,
    /// Seconds until it may be tried again.
    retry_after: Option<u64>,
    /// Why, where it is about people: pages of this process say it in the reader's language.
    cause: Option<PeopleError>,
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            reference: None,
            errors: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Status and words, for a page that says it.
    pub(crate) fn into_parts(self) -> (StatusCode, String) {
        (self.status, self.detail)
    }

    /// For this reason.
    pub fn because(mut self, cause: PeopleError) -> Self {
        self.cause = Some(cause);
        self
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// With the reference that it is about.
    pub fn about(mut self, reference: Reference) -> Self {
        self.reference = Some(reference);
        self
    }

    /// It may be tried again after so many seconds.
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// 422: the settings would not be valid; all reasons.
    pub fn invalid(errors: &[SettingsError]) -> Self {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let detail = match errors.as_slice() {
            [one] => one.clone(),
            several => format!(
                "The settings have {} errors; nothing was changed.",
                several.len()
            ),
        };
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::Sealed { .. } | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Conflict { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, error.to_string())
            }
            ChangeError::Invalid(errors) => Self::invalid(&errors),
            ChangeError::Secret(error) => error.into(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::TooMany(_) => Self::new(StatusCode::CONFLICT, error.to_string()),
            IssueError::Store(error) => error.into(),
        }
    }
}

impl From<TraceQueryError> for Problem {
    fn from(error: TraceQueryError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(reference) = self.reference {
            body["reference"] = json!(reference.to_string());
        }
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        let mut response = (self.status, Json(body)).into_response();
        let form = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, form);
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer realm=\"relais\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

/// A JSON body; what does not fit is a [`Problem`] with its place.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = axum::body::Bytes::from_request(request, state)
            .await
            .map_err(|rejection: BytesRejection| {
                Problem::new(rejection.status(), rejection.body_text())
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))
    }
}

/// Parameters of the query; what does not fit is a [`Problem`].
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        must_be_once(parts.uri.query().unwrap_or_default())?;
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(value)| Self(value))
            .map_err(|rejection: QueryRejection| {
                let because = rejection.source().map(ToString::to_string);
                let because = because.unwrap_or_else(|| rejection.body_text());
                let detail = format!("The query does not fit: {because}.");
                Problem::new(rejection.status(), detail)
            })
    }
}

/// Refuses a query that has a name twice: nobody knows which is meant.
pub(crate) fn must_be_once(query: &str) -> Result<(), Problem> {
    must_be_once_but(query, |_| false)
}

/// The same, but for names that may be repeated.
pub(crate) fn must_be_once_but(
    query: &str,
    may_repeat: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    let mut names = form_urlencoded::parse(query.as_bytes())
        .map(|(name, _)| name)
        .filter(|name| !may_repeat(name));
    let Some(name) = names.find(|name| !seen.insert(name.clone())) else {
        return Ok(());
    };
    let detail = format!("The parameter \"{name}\" is given more than once.");
    Err(Problem::bad_request(detail))
}
