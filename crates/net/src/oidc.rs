//! Tokens of OpenID Connect issuers: whose they are, checked with the issuer's own keys, which are
//! fetched and kept. RFC 7519, RFC 7517, OpenID Connect Discovery 1.0 §4.
//!
//! Only signatures with public keys are believed (RFC 8725 §3.1): `none` and shared secrets are
//! not on the list. Not here: which credential a token stands for (`relais_policy::login`).

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::clock::{Clock, Moment};

/// Largest answer of an issuer in octets. Large issuers publish about 20 keys, 30 KB.
const ANSWER_OCTETS_MAX: usize = 256 * 1_024;
/// One request. A login waits for it.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys are fetched anew when they are older: issuers rotate within days.
const KEYS_KEPT: Duration = Duration::from_secs(6 * 3_600);
/// An unknown key is looked for no more often than this: anybody can write a token.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);
/// Where no key is known yet, an issuer that was away is asked again sooner: clients wait.
const FIRST_FETCH_INTERVAL: Duration = Duration::from_secs(5);
/// Clocks may differ by this.
const LEEWAY: Duration = Duration::from_secs(60);
/// Octets of a token. Those of large issuers have up to about 3 KiB; an AUTH line has 12,288.
const TOKEN_OCTETS_MAX: usize = 12_288;
/// Public-key signatures. RFC 7518 §3.1, RFC 8037.
pub(crate) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// One issuer, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerOptions {
    /// Its address, as its tokens name it in `iss`.
    pub issuer: String,
    /// For whom its tokens must be: `aud`.
    pub client_id: String,
    /// Whose credentials its tokens may stand for; `None`: of the only organisation.
    pub organisation: Option<String>,
}

/// Why a token proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// It is no token, or not of a configured issuer, or not for us, or its time is not now.
    #[error("the token does not count: {0}")]
    Refused(String),
    /// The issuer's keys cannot be had: nothing is known of the token.
    #[error("the issuer's keys cannot be had: {0}")]
    Unavailable(String),
}

/// Whom a token names, in the issuer's words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenNames {
    /// `preferred_username`, `upn`, `email` (if the issuer says that it has verified it), and the
    /// client's own id for tokens that a program got for itself (`azp`, `appid`, `sub`); without
    /// doubles.
    pub names: Vec<String>,
    /// As configured: the issuer speaks for nobody else.
    pub organisation: Option<String>,
}

/// The configured issuers with their keys. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Issuers(Arc<Inner>);

struct Inner {
    issuers: Vec<Issuer>,
    /// `None`: there is nobody to ask.
    client: Option<reqwest::Client>,
    clock: Clock,
}

struct Issuer {
    options: IssuerOptions,
    keys: RwLock<Keys>,
    /// Held by the one that fetches: the others wait for its keys, and none for keys that are
    /// known.
    fetching: Mutex<()>,
}

#[derive(Clone, Default)]
struct Keys {
    set: Option<Arc<JwkSet>>,
    fetched: Option<Moment>,
    tried: Option<Moment>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(default)]
    upn: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<bool>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    appid: Option<String>,
    #[serde(default)]
    sub: Option<String>,
}

impl Issuer {
    fn keys(&self) -> Keys {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }
}

impl Keys {
    fn may_fetch(&self, now: Moment) -> bool {
        let interval = match self.set {
            Some(_) => FETCH_INTERVAL,
            None => FIRST_FETCH_INTERVAL,
        };
        self.tried.is_none_or(|at| now >= at + interval)
    }
}

impl Issuers {
    /// Nothing is fetched before the first token. `roots`: PEM of further authorities for HTTPS.
    ///
    /// # Errors
    /// If the HTTP client cannot be made, or a root cannot be read; a sentence.
    pub fn new(
        options: Vec<IssuerOptions>,
        roots: &[Vec<u8>],
        clock: Clock,
    ) -> Result<Self, String> {
        let client = client(roots)?;
        let issuers = options.into_iter().map(|options| Issuer {
            options,
            keys: RwLock::default(),
            fetching: Mutex::default(),
        });
        Ok(Self(Arc::new(Inner {
            issuers: issuers.collect(),
            client: Some(client),
            clock,
        })))
    }

    /// None: tokens are not offered.
    pub fn none(clock: &Clock) -> Self {
        Self(Arc::new(Inner {
            issuers: Vec::new(),
            client: None,
            clock: clock.clone(),
        }))
    }

    /// Whether there is none: then tokens are not offered.
    pub fn is_empty(&self) -> bool {
        self.0.issuers.is_empty()
    }

    /// Whom a token names, if it is good now. Fetches keys where they are not known; ten seconds
    /// for each of two requests at most.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub async fn judge(&self, token: &str) -> Result<TokenNames, TokenFault> {
        let refused = |why: &str| TokenFault::Refused(why.to_owned());
        if token.len() > TOKEN_OCTETS_MAX {
            return Err(refused("it is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("it is no signed token"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused("its algorithm is not permitted"));
        }
        // Not believed yet: it only says whose keys to ask for.
        let said = jsonwebtoken::dangerous::insecure_decode::<Claims>(token)
            .map_err(|_| refused("it has not the claims that are needed"))?
            .claims;
        let issuers = &mut self.0.issuers.iter();
        let issuer = issuers
            .find(|one| one.options.issuer == said.iss)
            .ok_or_else(|| refused("its issuer is not configured"))?;
        let key = self.key(issuer, header.kid.as_deref()).await?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&issuer.options.issuer]);
        validation.set_audience(&[&issuer.options.client_id]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By our own clock, below.
        validation.validate_exp = false;
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| refused(&error.to_string()))?
            .claims;
        self.is_now(&claims)?;
        Ok(TokenNames {
            names: names(claims),
            organisation: issuer.options.organisation.clone(),
        })
    }

    fn is_now(&self, claims: &Claims) -> Result<(), TokenFault> {
        let now = self.0.clock.now().as_millis() / 1_000;
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(i64::MAX);
        if claims.exp.saturating_add(leeway) <= now {
            return Err(TokenFault::Refused("it is expired".to_owned()));
        }
        if claims
            .nbf
            .is_some_and(|nbf| nbf.saturating_sub(leeway) > now)
        {
            return Err(TokenFault::Refused("it is not yet valid".to_owned()));
        }
        Ok(())
    }

    /// The key of that name; without one, the only key. Known keys cost no waiting.
    async fn key(&self, issuer: &Issuer, kid: Option<&str>) -> Result<DecodingKey, TokenFault> {
        let known = issuer.keys();
        if let Some(key) = find(known.set.as_deref(), kid) {
            let now = self.0.clock.moment();
            let is_old = known.fetched.is_none_or(|at| now >= at + KEYS_KEPT);
            if is_old
                && known.may_fetch(now)
                && let Ok(_one) = issuer.fetching.try_lock()
            {
                // Old keys are better than none: an issuer that is away is not wrong.
                let _ = self.fetch_and_keep(issuer).await;
            }
            return Ok(find(issuer.keys().set.as_deref(), kid).unwrap_or(key));
        }
        let _one = issuer.fetching.lock().await;
        // Whoever waited takes what the one before has brought.
        let known = issuer.keys();
        if let Some(key) = find(known.set.as_deref(), kid) {
            return Ok(key);
        }
        if !known.may_fetch(self.0.clock.moment()) {
            return Err(match known.set {
                Some(_) => TokenFault::Refused("the issuer has no such key".to_owned()),
                None => TokenFault::Unavailable("they were asked for a moment ago".to_owned()),
            });
        }
        let set = self.fetch_and_keep(issuer).await?;
        find(Some(&set), kid)
            .ok_or_else(|| TokenFault::Refused("the issuer has no such key".to_owned()))
    }

    async fn fetch_and_keep(&self, issuer: &Issuer) -> Result<Arc<JwkSet>, TokenFault> {
        let fetched = self.fetch(issuer).await.map(Arc::new);
        let now = self.0.clock.moment();
        let mut keys = issuer.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.tried = Some(now);
        let set = fetched.map_err(TokenFault::Unavailable)?;
        keys.set = Some(Arc::clone(&set));
        keys.fetched = Some(now);
        Ok(set)
    }

    async fn fetch(&self, issuer: &Issuer) -> Result<JwkSet, String> {
        let base = issuer.options.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let discovery: Discovery = self.get(&address).await?;
        if discovery.issuer != issuer.options.issuer {
            return Err(format!("{address} is of another issuer"));
        }
        self.get(&discovery.jwks_uri).await
    }

    async fn get<T: for<'a> Deserialize<'a>>(&self, address: &str) -> Result<T, String> {
        let client = self.0.client.as_ref().ok_or("no issuer is configured")?;
        get(client, address).await
    }
}

/// A client for issuers. `roots`: PEM of further authorities.
fn client(roots: &[Vec<u8>]) -> Result<reqwest::Client, String> {
    let mut further = Vec::new();
    for pem in roots {
        for one in CertificateDer::pem_slice_iter(pem) {
            let one = one.map_err(|error| error.to_string())?;
            let read = reqwest::Certificate::from_der(&one);
            further.push(read.map_err(|error| error.to_string())?);
        }
    }
    reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(further)
        .build()
        .map_err(|error| error.to_string())
}

/// What stands there, in JSON; by HTTPS only.
pub(crate) async fn get<T: for<'a> Deserialize<'a>>(
    client: &reqwest::Client,
    address: &str,
) -> Result<T, String> {
    if !is_safe(address) {
        return Err(format!("{address} is not https"));
    }
    let answer = client.get(address).send().await;
    let answer = answer
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| format!("{address}: {}", error.without_url_words()))?;
    let octets = read(answer).await;
    let octets = octets.map_err(|error| format!("{address}: {error}"))?;
    serde_json::from_slice(&octets).map_err(|error| format!("{address}: {error}"))
}

/// An answer, as long as it may be.
pub(crate) async fn read(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    while let Some(piece) = answer
        .chunk()
        .await
        .map_err(|error| error.without_url_words())?
    {
        octets.extend_from_slice(&piece);
        if octets.len() > ANSWER_OCTETS_MAX {
            return Err("the answer is too long".to_owned());
        }
    }
    Ok(octets)
}

/// An error's words without the address, which is said already.
trait WithoutUrl {
    fn without_url_words(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn without_url_words(&self) -> String {
        if self.is_timeout() {
            return "no answer in time".to_owned();
        }
        match self.status() {
            Some(status) => status.to_string(),
            None if self.is_connect() => {
                "nobody answers there, or not with a certificate that is trusted".to_owned()
            }
            None => "the answer broke off".to_owned(),
        }
    }
}

/// Keys over clear text could be anybody's; on this machine nobody is between.
pub fn is_safe(address: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(address) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https"
        || (url.scheme() == "http" && ["127.0.0.1", "[::1]", "localhost"].contains(&host))
}

pub(crate) fn find(set: Option<&JwkSet>, kid: Option<&str>) -> Option<DecodingKey> {
    let set = set?;
    let key = match kid {
        Some(kid) => set.find(kid)?,
        None => match set.keys.as_slice() {
            [only] => only,
            _ => return None,
        },
    };
    DecodingKey::from_jwk(key).ok()
}

fn names(claims: Claims) -> Vec<String> {
    let email = claims.email.filter(|_| claims.email_verified == Some(true));
    let all = [
        claims.preferred_username,
        claims.upn,
        email,
        claims.azp,
        claims.appid,
        claims.sub,
    ];
    let mut seen = BTreeSet::new();
    let names = all.into_iter().flatten().filter(|name| !name.is_empty());
    names.filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests;
