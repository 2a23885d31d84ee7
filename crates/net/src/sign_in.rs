//! People sign in with OpenID Connect: authorization code (OpenID Connect Core 1.0 §3.1) with PKCE
//! (RFC 7636). Who comes back is believed by the ID token alone: signed by the issuer, for us, for
//! this very sign-in, now.
//!
//! Sign-ins are rare, so discovery and keys are fetched for each: a key that was withdrawn does
//! not count a minute later. An issuer is typed by a person, and names further addresses itself:
//! none of them leads us into our own network unless this machine's configuration says so. Not
//! here: which role somebody gets (`relais-admin`).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Validation, decode, decode_header};
use relais_smtp::secret::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::oidc::{ALGORITHMS, REQUEST_TIMEOUT, find, get, is_safe, read};
use crate::reach::is_private_literal;
use crate::resolver::Resolver;
use crate::web::{WebOptions, careful};

/// Clocks may differ by this.
const LEEWAY: Duration = Duration::from_secs(60);
/// An ID token is not older than this when it comes: it was made for this sign-in.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// Octets of an ID token: those with many groups have some 20 KiB.
const TOKEN_OCTETS_MAX: usize = 64 * 1_024;

/// Octets of an ID token that goes into an address: servers take some 8,000 there. RFC 9110 §4.1.
const HINT_OCTETS_MAX: usize = 4 * 1_024;

/// Who signs people in, and as whom we are known there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Its address, as its tokens name it in `iss`.
    pub issuer: String,
    /// Our name there: `aud` of its tokens.
    pub client_id: String,
    /// Where it sends people back to.
    pub redirect_uri: String,
}

/// Why nobody is signed in.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignInFault {
    /// What came back proves nothing.
    #[error("the sign-in does not count: {0}")]
    Refused(String),
    /// The issuer cannot be asked.
    #[error("the issuer cannot be asked: {0}")]
    Unavailable(String),
}

/// A sign-in under way: all of it is ours to keep until the person comes back.
#[derive(Clone, Eq, PartialEq)]
pub struct Begun {
    /// Where the person goes.
    pub address: String,
    /// Comes back with the person.
    pub state: String,
    /// Comes back within the token.
    pub nonce: String,
    /// Shown when the code is redeemed. RFC 7636 §4.1.
    pub verifier: String,
}

/// How somebody signs out at the issuer too. OpenID Connect RP-Initiated Logout 1.0 §2.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leave {
    /// Where the person goes for it, and is sent back from to where sign-ins come back.
    pub address: String,
    /// The ID token, which names the session there; without it the issuer asks who it is. Not one
    /// that is too long for an address.
    pub token: Option<Secret>,
}

impl Leave {
    /// Where the person goes, with the token if it is there.
    pub fn whole(&self) -> String {
        let token = self.token.as_ref().and_then(Secret::expose_text);
        match token {
            // Letters, digits, hyphens, underscores and dots: nothing to encode. RFC 7515 §3.1.
            Some(token) => format!("{}&id_token_hint={token}", self.address),
            None => self.address.clone(),
        }
    }
}

/// Who came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The issuer's own name for them: never another's.
    pub subject: String,
    /// What people call them: `preferred_username`, `upn`, `email`, else the subject.
    pub name: String,
    /// All that the token says.
    pub claims: Map<String, Value>,
    /// Where they sign out, if the issuer offers it.
    pub leave: Option<Leave>,
}

impl Identity {
    /// The values of a claim: a text, or a list of texts.
    pub fn values(&self, claim: &str) -> Vec<&str> {
        match self.claims.get(claim) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                Vec::new()
            }
        }
    }
}

/// Asks issuers. Cheap to clone.
#[derive(Clone)]
pub struct SignInClient {
    client: reqwest::Client,
    clock: Clock,
    allow_private: bool,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// OpenID Connect RP-Initiated Logout 1.0 §2.1.
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

impl Discovery {
    fn leave(&self, provider: &Provider, token: String) -> Option<Leave> {
        let endpoint = self.end_session_endpoint.as_ref();
        let endpoint = endpoint.filter(|endpoint| is_safe(endpoint))?;
        let parameters = [
            ("client_id", provider.client_id.as_str()),
            ("post_logout_redirect_uri", provider.redirect_uri.as_str()),
        ];
        let address = reqwest::Url::parse_with_params(endpoint, parameters).ok()?;
        let token = Some(token).filter(|token| token.len() <= HINT_OCTETS_MAX);
        Some(Leave {
            address: address.into(),
            token: token.map(Secret::from),
        })
    }
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl SignInClient {
    /// Nothing is fetched yet. `options`: whom HTTPS believes, and whether private addresses are
    /// reached; their port is that of the address.
    ///
    /// # Errors
    /// If the HTTP client cannot be made; a sentence.
    pub fn new(resolver: &Resolver, options: WebOptions, clock: Clock) -> Result<Self, String> {
        let (options, allow_private) = (WebOptions { port: 0, ..options }, options.allow_private);
        let client = careful(resolver, &options)?
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            clock,
            allow_private,
        })
    }

    /// Where the person goes to sign in. `fresh`: three random values that nobody can guess.
    ///
    /// # Errors
    /// See [`SignInFault`].
    pub async fn begin(
        &self,
        provider: &Provider,
        fresh: [[u8; 32]; 3],
    ) -> Result<Begun, SignInFault> {
        let discovery = self.discover(provider).await?;
        let [state, nonce, verifier] = fresh.map(|octets| URL_SAFE_NO_PAD.encode(octets));
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let parameters = [
            ("response_type", "code"),
            ("scope", "openid profile email"),
            ("client_id", provider.client_id.as_str()),
            ("redirect_uri", provider.redirect_uri.as_str()),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let endpoint = &discovery.authorization_endpoint;
        let address = reqwest::Url::parse_with_params(endpoint, parameters);
        let address = address.map_err(|_| unavailable(format!("{endpoint} is no address")))?;
        Ok(Begun {
            address: address.into(),
            state,
            nonce,
            verifier,
        })
    }

    /// Redeems the code that the person brought, and judges the token that it is worth.
    ///
    /// # Errors
    /// See [`SignInFault`].
    pub async fn finish(
        &self,
        provider: &Provider,
        secret: Option<&str>,
        code: &str,
        (nonce, verifier): (&str, &str),
    ) -> Result<Identity, SignInFault> {
        let discovery = self.discover(provider).await?;
        let token = self
            .redeem(provider, secret, &discovery, (code, verifier))
            .await?;
        self.must_be_outside(&discovery.jwks_uri)?;
        let keys: JwkSet = get(&self.client, &discovery.jwks_uri)
            .await
            .map_err(unavailable)?;
        let mut identity = self.judge(provider, &token, &keys, nonce)?;
        identity.leave = discovery.leave(provider, token);
        Ok(identity)
    }

    async fn discover(&self, provider: &Provider) -> Result<Discovery, SignInFault> {
        let base = provider.issuer.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        self.must_be_outside(&address)?;
        let found: Discovery = get(&self.client, &address).await.map_err(unavailable)?;
        if found.issuer != provider.issuer {
            let words = format!("{address} is of another issuer, {}", found.issuer);
            return Err(unavailable(words));
        }
        for endpoint in [&found.authorization_endpoint, &found.token_endpoint] {
            if !is_safe(endpoint) {
                return Err(unavailable(format!("{endpoint} is not https")));
            }
        }
        Ok(found)
    }

    /// A name is judged when it is looked up, an address literal here.
    fn must_be_outside(&self, address: &str) -> Result<(), SignInFault> {
        let url = reqwest::Url::parse(address).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str);
        if self.allow_private || host.is_some_and(|host| !is_private_literal(host)) {
            return Ok(());
        }
        let words = "is a private address, which [admin] allow_private_issuer alone permits";
        Err(unavailable(format!("{address} {words}")))
    }

    /// RFC 6749 §4.1.3; a secret goes in the header unless the issuer does not take it there.
    async fn redeem(
        &self,
        provider: &Provider,
        secret: Option<&str>,
        discovery: &Discovery,
        (code, verifier): (&str, &str),
    ) -> Result<String, SignInFault> {
        self.must_be_outside(&discovery.token_endpoint)?;
        let methods = discovery.token_endpoint_auth_methods_supported.as_ref();
        let in_header =
            methods.is_none_or(|all| all.iter().any(|one| one == "client_secret_basic"));
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", provider.redirect_uri.as_str()),
            ("client_id", provider.client_id.as_str()),
            ("code_verifier", verifier),
        ];
        if let Some(secret) = secret.filter(|_| !in_header) {
            fields.push(("client_secret", secret));
        }
        let mut request = self
            .client
            .post(&discovery.token_endpoint)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(&fields));
        if let Some(secret) = secret.filter(|_| in_header) {
            // Both are encoded as in a form first. RFC 6749 §2.3.1.
            let both = format!("{}:{}", form(&provider.client_id), form(secret));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(both)));
        }
        let answer = request.send().await;
        let answer = answer.map_err(|_| unavailable("the token endpoint does not answer"))?;
        let status = answer.status();
        let octets = read(answer).await.map_err(unavailable)?;
        if !status.is_success() {
            let said: Value = serde_json::from_slice(&octets).unwrap_or_default();
            let words = ["error_description", "error"].map(|key| said[key].as_str());
            let words = words.into_iter().flatten().next().unwrap_or("no reason");
            let words: String = words.chars().take(300).collect();
            return Err(refused(format!("the issuer said {status}: {words}")));
        }
        let tokens: Tokens =
            serde_json::from_slice(&octets).map_err(|_| refused("the issuer gave no ID token"))?;
        Ok(tokens.id_token)
    }

    /// OpenID Connect Core 1.0 §3.1.3.7.
    fn judge(
        &self,
        provider: &Provider,
        token: &str,
        keys: &JwkSet,
        nonce: &str,
    ) -> Result<Identity, SignInFault> {
        if token.len() > TOKEN_OCTETS_MAX {
            return Err(refused("its token is too long"));
        }
        let header = decode_header(token).map_err(|_| refused("its token is not signed"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(refused("the algorithm of its token is not permitted"));
        }
        let key = find(Some(keys), header.kid.as_deref())
            .ok_or_else(|| refused("the issuer has no such key"))?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&provider.issuer]);
        validation.set_audience(&[&provider.client_id]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By our own clock, below.
        validation.validate_exp = false;
        let claims = decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|error| refused(error.to_string()))?
            .claims;
        self.is_of_now(&claims)?;
        let text = |key: &str| claims.get(key).and_then(Value::as_str).unwrap_or_default();
        if nonce.is_empty() || text("nonce") != nonce {
            return Err(refused("its token was made for another sign-in"));
        }
        let audiences = claims
            .get("aud")
            .and_then(Value::as_array)
            .map_or(1, Vec::len);
        if (audiences > 1 || claims.contains_key("azp")) && text("azp") != provider.client_id {
            return Err(refused("its token was given to another program"));
        }
        let subject = text("sub").to_owned();
        if subject.is_empty() {
            return Err(refused("its token names nobody"));
        }
        let names = ["preferred_username", "upn", "email"].map(text);
        let name = names.into_iter().find(|name| !name.is_empty());
        let name = name.unwrap_or(&subject).to_owned();
        Ok(Identity {
            subject,
            name,
            claims,
            leave: None,
        })
    }

    fn is_of_now(&self, claims: &Map<String, Value>) -> Result<(), SignInFault> {
        let now = self.clock.now().as_millis() / 1_000;
        let seconds = |key: &str| claims.get(key).and_then(Value::as_i64);
        let span = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let leeway = span(LEEWAY);
        let expires = seconds("exp").unwrap_or(0);
        if expires.saturating_add(leeway) <= now {
            return Err(refused("its token is expired"));
        }
        let begins = seconds("nbf").unwrap_or(0).max(seconds("iat").unwrap_or(0));
        if begins.saturating_sub(leeway) > now {
            return Err(refused(
                "its token is of a time to come: compare the clocks",
            ));
        }
        let made = seconds("iat").ok_or_else(|| refused("its token does not say its age"))?;
        if made.saturating_add(span(AGE_MAX)) <= now {
            return Err(refused("its token is too old"));
        }
        Ok(())
    }
}

fn refused(why: impl Into<String>) -> SignInFault {
    SignInFault::Refused(why.into())
}

fn unavailable(why: impl Into<String>) -> SignInFault {
    SignInFault::Unavailable(why.into())
}

/// One value of a form. WHATWG URL §5.2.
fn form(value: &str) -> String {
    let encoded = encoded(&[("", value)]);
    encoded.trim_start_matches('=').to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    // The query of an address is written as a form is.
    let mut address = match reqwest::Url::parse("http://localhost/") {
        Ok(address) => address,
        Err(_) => return String::new(),
    };
    address.query_pairs_mut().extend_pairs(fields);
    address.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
