//! Access tokens for smart hosts: client credentials (RFC 6749 §4.4), refresh tokens (§6), and the
//! sign-in of a person on another device (RFC 8628). Over HTTPS, or to this machine.
//!
//! Not here: where secrets are kept, and when a token is asked for ([`crate::login`]).

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use relais_policy::document::OutboundConnector;
use relais_smtp::secret::Secret;

use crate::oidc::is_safe;
use crate::reach::{Names, leads_to_private_literal};
use crate::resolver::Resolver;
use crate::tls::provider;

/// One request; mail waits for it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer in octets. Access tokens of Microsoft have up to about 4 KiB.
const ANSWER_OCTETS_MAX: usize = 64 * 1_024;
/// Where an issuer says nothing of it. RFC 6749 §5.1 leaves it open; one hour is usual.
const EXPIRES_IN_DEFAULT: u64 = 3_600;
/// Longest time that a token is believed to be good for.
const EXPIRES_IN_MAX: u64 = 24 * 3_600;
/// How often a device asks where the issuer says nothing. RFC 8628 §3.2.
const INTERVAL_DEFAULT: u64 = 5;
/// What RFC 8628 §3.4 calls its grant.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Our registration with an issuer, as `auth.parameters` say it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registration {
    /// Where tokens are had.
    pub token_url: String,
    /// Where a sign-in on another device begins.
    pub device_url: Option<String>,
    /// Who we are there.
    pub client_id: String,
    /// What tokens shall be good for.
    pub scope: String,
    /// A program's own right, without any person.
    pub by_client: bool,
    /// The issuer is reached at public addresses only.
    pub public_only: bool,
}

impl Registration {
    /// Who hears what is shown for tokens: scheme, host and port of where they are had.
    pub(crate) fn issuer(&self) -> &str {
        let url = self.token_url.as_str();
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..].find(['/', '?', '#']);
        path.map_or(url, |at| &url[..host + at])
    }

    /// Reads `token_url`, `device_url`, `client_id`, `scope`, `grant`; with `tenant` alone the
    /// addresses and the scope are those of Microsoft 365. The error is a sentence.
    pub fn of(connector: &OutboundConnector) -> Result<Self, String> {
        let parameters = &connector.auth.parameters;
        let given = |key: &str| {
            let value = parameters.get(key).map(|value| value.trim());
            value.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let missing = |key: &str| format!("auth.parameters has no {key}");
        let by_client = given("grant").as_deref() == Some("client-credentials");
        let microsoft = given("tenant")
            .map(|tenant| format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0"));
        let at = |path: &str| microsoft.as_ref().map(|base| format!("{base}/{path}"));
        let scope = match (given("scope"), &microsoft) {
            (Some(scope), _) => scope,
            (None, Some(_)) if by_client => "https://outlook.office365.com/.default".to_owned(),
            (None, Some(_)) => "https://outlook.office365.com/SMTP.Send offline_access".to_owned(),
            (None, None) => String::new(),
        };
        let registration = Self {
            token_url: given("token_url")
                .or_else(|| at("token"))
                .ok_or_else(|| missing("token_url (or tenant, for Microsoft 365)"))?,
            device_url: given("device_url").or_else(|| at("devicecode")),
            client_id: given("client_id").ok_or_else(|| missing("client_id"))?,
            scope,
            by_client,
            public_only: connector.public_hosts_only,
        };
        let urls = [
            Some(&registration.token_url),
            registration.device_url.as_ref(),
        ];
        if let Some(url) = urls.into_iter().flatten().find(|url| !is_safe(url)) {
            return Err(format!("{url} is not https"));
        }
        Ok(registration)
    }
}

/// What an issuer gave.
#[derive(Clone, Debug)]
pub struct Granted {
    /// For AUTH.
    pub access: Secret,
    /// How long it is good for.
    pub expires_in: Duration,
    /// For the next one; the old one may be good no more.
    pub refresh: Option<Secret>,
    /// How long that is good for, where the issuer says it.
    pub refresh_expires_in: Option<Duration>,
}

/// A sign-in that waits for a person.
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceSignIn {
    /// Ours; the issuer knows the sign-in by it.
    pub device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Where.
    #[serde(alias = "verification_url")]
    pub verification_uri: String,
    /// Seconds until it is over.
    #[serde(default)]
    pub expires_in: u64,
    /// Seconds between our questions.
    #[serde(default = "interval")]
    pub interval: u64,
}

fn interval() -> u64 {
    INTERVAL_DEFAULT
}

/// Why there is no token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// The issuer says no, for good: a person must sign in anew, or mend the registration.
    #[error("the issuer refuses ({code}){}", words(.description))]
    Refused {
        /// `invalid_grant`.
        code: String,
        /// In its words.
        description: String,
    },
    /// The person has not signed in yet. RFC 8628 §3.5.
    #[error("nobody has signed in yet")]
    Pending,
    /// Ask less often. RFC 8628 §3.5.
    #[error("asked too often")]
    SlowDown,
    /// It cannot be asked now.
    #[error("the issuer cannot be asked: {0}")]
    Unavailable(String),
}

fn words(description: &str) -> String {
    if description.is_empty() {
        return String::new();
    }
    let line: String = description
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .take(200)
        .collect();
    format!(": {line}")
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
    /// Not in RFC 6749: Google and others say it so, Keycloak without `token`.
    #[serde(default, alias = "refresh_expires_in")]
    refresh_token_expires_in: Option<u64>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Asks issuers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TokenClient {
    any: reqwest::Client,
    /// For issuers that are held to public addresses.
    public: reqwest::Client,
    /// Private addresses are as good as others.
    allow_private: bool,
}

impl TokenClient {
    /// Believes these authorities about issuers. `allow_private`: those that are held to public
    /// addresses are reached at private ones all the same. The error is a sentence.
    pub fn new(
        roots: Arc<RootCertStore>,
        resolver: &Resolver,
        allow_private: bool,
    ) -> Result<Self, String> {
        let builder = || -> Result<reqwest::ClientBuilder, String> {
            let tls = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(Arc::clone(&roots))
                .with_no_client_auth();
            Ok(reqwest::Client::builder()
                .timeout(REQUEST_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .tls_backend_preconfigured(tls))
        };
        let built = |builder: reqwest::ClientBuilder| {
            let client = builder.build();
            client.map_err(|error| error.to_string())
        };
        let names = Names::new(resolver.clone(), 0, allow_private);
        Ok(Self {
            any: built(builder()?)?,
            public: built(builder()?.dns_resolver(Arc::new(names)))?,
            allow_private,
        })
    }

    /// A token for the program itself.
    pub async fn by_client(
        &self,
        at: &Registration,
        secret: Option<&Secret>,
    ) -> Result<Granted, TokenError> {
        self.token(at, secret, &[("grant_type", "client_credentials")])
            .await
    }

    /// A token for a refresh token.
    pub async fn refresh(
        &self,
        at: &Registration,
        secret: Option<&Secret>,
        refresh: &Secret,
    ) -> Result<Granted, TokenError> {
        let refresh = refresh.expose_text().unwrap_or_default();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.token(at, secret, &form).await
    }

    /// Begins a sign-in on another device.
    pub async fn begin(&self, at: &Registration) -> Result<DeviceSignIn, TokenError> {
        let url = at.device_url.as_deref().ok_or_else(|| {
            TokenError::Unavailable("auth.parameters has no device_url".to_owned())
        })?;
        let form = [("client_id", at.client_id.as_str()), ("scope", &at.scope)];
        let octets = self.post(at, url, &form).await?;
        serde_json::from_slice(&octets).map_err(|_| refusal(&octets))
    }

    /// Whether the person has signed in.
    pub async fn poll(
        &self,
        at: &Registration,
        secret: Option<&Secret>,
        device_code: &str,
    ) -> Result<Granted, TokenError> {
        let form = [("grant_type", DEVICE_GRANT), ("device_code", device_code)];
        self.token(at, secret, &form).await
    }

    async fn token(
        &self,
        at: &Registration,
        secret: Option<&Secret>,
        grant: &[(&str, &str)],
    ) -> Result<Granted, TokenError> {
        let mut form = grant.to_vec();
        form.push(("client_id", &at.client_id));
        let is_device = grant.iter().any(|(_, value)| *value == DEVICE_GRANT);
        if !at.scope.is_empty() && !is_device {
            form.push(("scope", &at.scope));
        }
        if let Some(secret) = secret.and_then(Secret::expose_text) {
            form.push(("client_secret", secret));
        }
        let octets = self.post(at, &at.token_url, &form).await?;
        let answer: Answer = serde_json::from_slice(&octets).map_err(|_| refusal(&octets))?;
        if answer.access_token.is_empty() {
            return Err(refusal(&octets));
        }
        let expires_in = answer.expires_in.unwrap_or(EXPIRES_IN_DEFAULT);
        Ok(Granted {
            access: Secret::from(answer.access_token),
            expires_in: Duration::from_secs(expires_in.min(EXPIRES_IN_MAX)),
            refresh: answer.refresh_token.map(Secret::from),
            // None is no end: nought is how Keycloak says it.
            refresh_expires_in: answer
                .refresh_token_expires_in
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        })
    }

    async fn post(
        &self,
        at: &Registration,
        url: &str,
        form: &[(&str, &str)],
    ) -> Result<Vec<u8>, TokenError> {
        let unavailable = |why: String| TokenError::Unavailable(format!("{url}: {why}"));
        if at.public_only && !self.allow_private && leads_to_private_literal(url) {
            let why = "a private address, which public_hosts_only forbids";
            return Err(unavailable(why.to_owned()));
        }
        let client = match at.public_only {
            true => &self.public,
            false => &self.any,
        };
        let encoded = reqwest::Url::parse_with_params("http://form.invalid/", form)
            .map_err(|error| unavailable(error.to_string()))?;
        let request = client
            .post(url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(encoded.query().unwrap_or_default().to_owned());
        let broken = |error: reqwest::Error| {
            let why = if error.is_timeout() {
                "no answer in time"
            } else if error.is_connect() {
                "nobody answers there, or not with a certificate that is trusted"
            } else {
                "the answer broke off"
            };
            unavailable(why.to_owned())
        };
        let mut answer = request.send().await.map_err(broken)?;
        // Too late and too often say nothing of the right to a token either.
        let status = answer.status();
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(unavailable(status.to_string()));
        }
        let mut octets = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            octets.extend_from_slice(&piece);
            if octets.len() > ANSWER_OCTETS_MAX {
                return Err(unavailable("the answer is too long".to_owned()));
            }
        }
        Ok(octets)
    }
}

/// What an answer without a token says. RFC 6749 §5.2, RFC 8628 §3.5.
fn refusal(octets: &[u8]) -> TokenError {
    let Ok(answer) = serde_json::from_slice::<Answer>(octets) else {
        return TokenError::Unavailable("the answer is no JSON".to_owned());
    };
    match answer.error.as_str() {
        "authorization_pending" => TokenError::Pending,
        "slow_down" => TokenError::SlowDown,
        "temporarily_unavailable" | "server_error" | "" => TokenError::Unavailable(format!(
            "it said nothing of use{}",
            words(&answer.error_description)
        )),
        code => TokenError::Refused {
            code: code
                .chars()
                .filter(char::is_ascii_graphic)
                .take(60)
                .collect(),
            description: answer.error_description,
        },
    }
}
