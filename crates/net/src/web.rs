//! HTTPS to web servers that the owners of mail domains name: MTA-STS policies (RFC 8461 §3.3) and
//! reports on TLS (RFC 8460 §3). Strangers choose these hosts: they are looked up by our own
//! resolver and never reached at private addresses unless that is allowed; no redirect is followed,
//! no proxy of the environment used, and every answer has its bound.
//!
//! Not here: what a policy or a report says (`relais_policy::sts`, `relais_policy::tls_report`).

pub mod hooks;
#[cfg(any(test, feature = "simulation"))]
mod simulated;

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;

use relais_smtp::domain::Domain;

use crate::reach::{Names, is_private_literal};
use crate::resolver::Resolver;
use crate::tls::provider;

#[cfg(any(test, feature = "simulation"))]
pub use self::simulated::SimulatedWeb;

/// A whole request. RFC 8461 §3.3 suggests one minute.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections kept for the next request: these hosts are met once a day.
const IDLE_CONNECTIONS_MAX: usize = 0;

/// How hosts are reached.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// Whom we believe about them.
    pub roots: Arc<RootCertStore>,
    /// The port where an address names none.
    pub port: u16,
    /// Loopback and private addresses are reached too.
    pub allow_private: bool,
}

/// A client for such servers. Cheap to clone.
#[derive(Clone)]
pub struct Web(Kind);

#[derive(Clone)]
enum Kind {
    Real(Real),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(SimulatedWeb),
}

#[derive(Clone)]
struct Real {
    client: reqwest::Client,
    allow_private: bool,
}

/// Why a server gave nothing, or took nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WebError {
    /// No connection.
    #[error("nobody answers there")]
    NoConnection,
    /// One that cannot be trusted.
    #[error("the web server has no certificate that is trusted and bears its name")]
    Certificate,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// Another status than 200 to 299; redirects are not followed.
    #[error("the web server said {0}")]
    Status(u16),
    /// It is no plain text. RFC 8461 §3.2.
    #[error("the answer is not of type text/plain")]
    MediaType,
    /// Longer than allowed.
    #[error("the answer is too long")]
    TooLong,
    /// It broke off.
    #[error("the answer broke off")]
    Broken,
    /// Not an address that we go to.
    #[error("that is no address to send to")]
    Address,
}

impl Web {
    /// A client that asks the real network.
    ///
    /// # Errors
    /// If the library refuses; a sentence.
    pub fn new(resolver: Resolver, options: WebOptions) -> Result<Self, String> {
        let client = careful(&resolver, &options)?
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .https_only(true)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self(Kind::Real(Real {
            client,
            allow_private: options.allow_private,
        })))
    }

    /// A client that knows what `web` knows.
    #[cfg(any(test, feature = "simulation"))]
    pub fn simulated(web: &SimulatedWeb) -> Self {
        Self(Kind::Simulated(web.clone()))
    }

    /// The policy file of a domain: at most `octets_max` octets of plain text. RFC 8461 §3.3.
    ///
    /// # Errors
    /// See [`WebError`].
    pub async fn sts_policy(
        &self,
        domain: &Domain,
        octets_max: usize,
    ) -> Result<Vec<u8>, WebError> {
        let address = format!("https://mta-sts.{domain}/.well-known/mta-sts.txt");
        match &self.0 {
            Kind::Real(real) => real.get_text(&address, octets_max).await,
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(web) => web.get(&address),
        }
    }

    /// Posts octets to an address that somebody else named.
    ///
    /// # Errors
    /// See [`WebError`].
    pub async fn post(
        &self,
        address: &str,
        media_type: &'static str,
        octets: Vec<u8>,
    ) -> Result<(), WebError> {
        match &self.0 {
            Kind::Real(real) => real.post(address, media_type, octets).await,
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(web) => web.post(address, octets),
        }
    }
}

impl Real {
    async fn get_text(&self, address: &str, octets_max: usize) -> Result<Vec<u8>, WebError> {
        let answer = self.client.get(self.checked(address)?).send().await;
        let mut answer = answer.map_err(|error| error_of(&error))?;
        // Only 200 is a policy. RFC 8461 §3.3.
        if answer.status().as_u16() != 200 {
            return Err(WebError::Status(answer.status().as_u16()));
        }
        if !is_plain_text(answer.headers().get(CONTENT_TYPE)) {
            return Err(WebError::MediaType);
        }
        let mut octets = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| error_of(&error))? {
            octets.extend_from_slice(&piece);
            if octets.len() > octets_max {
                return Err(WebError::TooLong);
            }
        }
        Ok(octets)
    }

    async fn post(
        &self,
        address: &str,
        media_type: &'static str,
        octets: Vec<u8>,
    ) -> Result<(), WebError> {
        let request = self
            .client
            .post(self.checked(address)?)
            .header(CONTENT_TYPE, HeaderValue::from_static(media_type))
            .body(octets);
        let answer = request.send().await.map_err(|error| error_of(&error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(WebError::Status(answer.status().as_u16()))
    }

    /// An address literal is never looked up, so that it is judged here.
    fn checked(&self, address: &str) -> Result<reqwest::Url, WebError> {
        let url = reqwest::Url::parse(address).map_err(|_| WebError::Address)?;
        let host = url.host_str().unwrap_or_default();
        let is_private = is_private_literal(host) && !self.allow_private;
        if url.scheme() != "https" || host.is_empty() || is_private {
            return Err(WebError::Address);
        }
        Ok(url)
    }
}

/// A client that no answer leads elsewhere: no redirect, no proxy of the environment, names by our
/// own resolver, and private addresses only where `options` say so.
pub(crate) fn careful(
    resolver: &Resolver,
    options: &WebOptions,
) -> Result<reqwest::ClientBuilder, String> {
    let tls = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(options.roots.clone())
        .with_no_client_auth();
    let names = Names::new(resolver.clone(), options.port, options.allow_private);
    Ok(reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .dns_resolver(Arc::new(names))
        .tls_backend_preconfigured(tls))
}

/// A value as JSON.
pub fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value from JSON, if it is one.
pub fn from_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// A value as JSON, compressed. RFC 8460 §5.3.
///
/// # Errors
/// The library's.
pub fn to_compressed_json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(to_json(value).as_bytes())?;
    encoder.finish()
}

fn is_plain_text(value: Option<&HeaderValue>) -> bool {
    let text = value.and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    essence.is_some_and(|one| one.trim().eq_ignore_ascii_case("text/plain"))
}

fn error_of(error: &reqwest::Error) -> WebError {
    if error.is_timeout() {
        return WebError::TimedOut;
    }
    match error.status() {
        Some(status) => WebError::Status(status.as_u16()),
        None if is_of_certificate(error) => WebError::Certificate,
        None if error.is_connect() => WebError::NoConnection,
        None => WebError::Broken,
    }
}

/// The library's error of TLS stands deep in those of the connection.
fn is_of_certificate(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    // An error of the system keeps what it wraps to itself.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    wrapped.is_some_and(|inner| is_of_certificate(inner))
        || error.source().is_some_and(is_of_certificate)
}

#[cfg(test)]
mod tests;
