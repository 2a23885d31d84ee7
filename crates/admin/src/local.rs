//! The API without a socket: the command line reads the data folder through the same router when no
//! server runs, so that both give the same answers.

use axum::Router;
use axum::body::Body;
use hyper::{Method, Request, header};
use tower::ServiceExt;

use crate::api;
use crate::context::{AdminContext, Caller};

/// Largest answer in octets: an export with 500,000 recipients has about 60 MB.
const ANSWER_OCTETS_MAX: usize = 512 << 20;

/// The API, to be called in this process.
#[derive(Clone)]
pub struct LocalApi(Router);

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalAnswer {
    /// HTTP's.
    pub status: u16,
    /// Version of the settings.
    pub etag: Option<String>,
    /// Mostly JSON.
    pub body: Vec<u8>,
}

impl LocalApi {
    /// Over a store that is open for reading.
    pub fn new(context: AdminContext) -> Self {
        Self(api::router(context))
    }

    /// Asks.
    pub async fn call(&self, method: Method, path_and_query: &str, body: Vec<u8>) -> LocalAnswer {
        let request = Request::builder()
            .method(method)
            .uri(path_and_query)
            .extension(Caller::data_folder())
            .body(Body::from(body));
        let Ok(request) = request else {
            return LocalAnswer {
                status: 400,
                etag: None,
                body: Vec::new(),
            };
        };
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let etag = response.headers().get(header::ETAG);
        let etag = etag
            .and_then(|tag| tag.to_str().ok())
            .map(ToOwned::to_owned);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), ANSWER_OCTETS_MAX).await;
        LocalAnswer {
            status,
            etag,
            body: body.map(Vec::from).unwrap_or_default(),
        }
    }
}
