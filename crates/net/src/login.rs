//! What we log in with at smart hosts: read when it is needed, kept no longer than it is good for,
//! and not said again to a server that has just refused it.
//!
//! **Back-off.** Servers count failed logins and lock the account. A refused login rests, five
//! minutes at first and twice as long each time up to an hour, for the connector as a whole,
//! whatever mail waits; another password, or a test by a person that succeeds, ends the rest. What
//! several connections say at the same time is one login, and its refusals are one.
//!
//! Not here: the exchange itself (`relais_smtp::sasl::client`); where secrets are kept (the
//! [`Vault`]'s owner); tokens of issuers (`oauth`).

mod standing;
mod keeping;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_policy::document::{AuthMethod, OutboundConnector};
use relais_smtp::reply::Reply;
use relais_smtp::sasl::client::{ClientCredential, ClientMechanism};
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::oauth::{DeviceSignIn, Registration, TokenClient, TokenError};
use crate::tls::ClientIdentity;

use self::keeping::{Owned, Unkept};

pub use self::standing::{Ends, LoginStanding};

/// The first rest after a refused login.
const REST_FIRST: Duration = Duration::from_secs(5 * 60);
/// The longest.
const REST_MAX: Duration = Duration::from_secs(60 * 60);
/// Connectors whose refusals are remembered: more than anybody has with a login.
const RESTING_MAX: usize = 10_000;
/// Octets of a password file. Passwords of servers have up to 256.
pub const PASSWORD_OCTETS_MAX: usize = 4_096;

/// What a [`Vault`] promises to bring.
pub type Coming<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Where secrets are: files that settings name, and what the store keeps encrypted. Errors are
/// sentences that name the fix and no secret.
pub trait Vault: Send + Sync {
    /// The octets of a file.
    fn file<'a>(&'a self, path: &'a str, octets_max: usize) -> Coming<'a, Secret>;
    /// What was put under this name; `None`: nothing was.
    fn kept<'a>(&'a self, name: &'a KeptName) -> Coming<'a, Option<Secret>>;
    /// Puts it there, durably.
    fn keep<'a>(&'a self, name: &'a KeptName, secret: Secret) -> Coming<'a, ()>;
}

/// The name of a secret that the store keeps.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KeptName {
    /// Whose.
    pub organisation: Arc<str>,
    /// Of which outbound connector.
    pub connector: Arc<str>,
    /// What.
    pub what: Kept,
}

/// What is kept for an outbound connector.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kept {
    /// The password.
    Password,
    /// The secret of our own registration with an issuer of tokens.
    ClientSecret,
    /// What new tokens are had for.
    RefreshToken,
}

impl Kept {
    /// As people say it: `password`, `client-secret`, `refresh-token`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "password" => Some(Self::Password),
            "client-secret" => Some(Self::ClientSecret),
            "refresh-token" => Some(Self::RefreshToken),
            _ => None,
        }
    }
}

impl KeptName {
    /// The kind of secret, in the store's words, and its name there.
    pub fn place(&self) -> (&'static str, String) {
        let connector = &self.connector;
        match self.what {
            Kept::Password => ("smart-host-password", connector.to_string()),
            Kept::ClientSecret => ("oauth-token", format!("client-secret {connector}")),
            Kept::RefreshToken => ("oauth-token", format!("refresh-token {connector}")),
        }
    }
}

/// What we log in with.
#[derive(Clone, Debug)]
pub struct Login {
    /// What is said in AUTH; `None`: nothing, the certificate says all.
    pub credential: Option<ClientCredential>,
    /// AUTH is a must: without it the server would take us for anybody.
    pub is_required: bool,
    /// Only this mechanism; `None`: the strongest in common.
    pub mechanism: Option<ClientMechanism>,
    /// Shown in the TLS handshake.
    pub identity: Option<ClientIdentity>,
    /// When it was handed out.
    pub since: Moment,
}

/// Why we are not logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LoginFault {
    /// What we should log in with is not there.
    Unavailable(String),
    /// It was refused a short while ago.
    Resting {
        /// What the server said.
        said: Box<str>,
        /// When we say it again.
        until: Timestamp,
    },
    /// The session is in clear text, and may be listened to.
    ClearText,
    /// The server offers no mechanism that we can use.
    NoMechanism {
        /// What it offers.
        offered: Vec<Box<str>>,
    },
    /// It does not believe us.
    Refused {
        /// By which mechanism.
        mechanism: &'static str,
        /// As whom.
        user: Box<str>,
        /// What it said.
        reply: Reply,
    },
    /// Its answers do not belong to the mechanism, or prove that it is not the server that knows
    /// the password.
    Unsound {
        /// By which mechanism.
        mechanism: &'static str,
    },
}

impl LoginFault {
    /// Whether the server has judged what we know, for good as far as it can be seen.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::Refused { reply, .. } => reply.code().is_permanent(),
            Self::Unsound { .. } => true,
            Self::Unavailable(_)
            | Self::Resting { .. }
            | Self::ClearText
            | Self::NoMechanism { .. } => false,
        }
    }
}

impl fmt::Display for LoginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "we have nothing to log in with: {why}"),
            Self::Resting { said, until } => write!(
                f,
                "the login was refused ({said}) and is tried again at {}; correct it with relais \
                 connector outbound set, then relais connector outbound test",
                until.to_rfc3339()
            ),
            Self::ClearText => f.write_str(
                "it offers no TLS, and a password is not sent in clear text (only with tls = \
                 \"none\", to a private address)",
            ),
            Self::NoMechanism { offered } => write!(
                f,
                "it offers no way to log in that we can use (AUTH: {})",
                relais_smtp::sasl::client::named(offered)
            ),
            Self::Refused {
                mechanism,
                user,
                reply,
            } => write!(f, "login as {user:?} by {mechanism} refused: {reply}"),
            Self::Unsound { mechanism } => write!(
                f,
                "it does not behave as a server that knows the password ({mechanism}): check its \
                 name and certificate"
            ),
        }
    }
}

/// Hands out logins. Cheap to clone; clones share what is remembered.
#[derive(Clone)]
pub struct Logins(Arc<Inner>);

struct Inner {
    vault: Box<dyn Vault>,
    clock: Clock,
    /// `None`: issuers cannot be asked here.
    issuers: Option<TokenClient>,
    tokens: Mutex<AllTokens>,
    resting: Mutex<AllResting>,
    standings: Mutex<Vec<LoginStanding>>,
    /// Tokens that a server refused: the next ones are others.
    stale: Mutex<HashSet<(Arc<str>, Arc<str>)>>,
    /// Something changed that is worth a look.
    noticed: Notify,
}

impl Inner {
    fn all_tokens(&self) -> MutexGuard<'_, AllTokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_stale(&self) -> MutexGuard<'_, HashSet<(Arc<str>, Arc<str>)>> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new token is had this long before the end of the old one, or half of its time if that is less.
const RENEW_AHEAD: Duration = Duration::from_secs(5 * 60);
/// Until an issuer that could not be asked is asked again.
const TOKEN_PAUSE: Duration = Duration::from_secs(30);
/// Until one that refused is.
const REFUSED_TOKEN_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Held while an issuer is asked, so that it is asked once.
type AllTokens = HashMap<(Arc<str>, Arc<str>), Arc<tokio::sync::Mutex<Tokens>>>;

/// What is known of the tokens of a connector.
#[derive(Default)]
struct Tokens {
    /// For whom they are.
    at: Option<Registration>,
    access: Option<Access>,
    /// A refresh token that could not be stored.
    unkept: Option<Unkept>,
    /// Refresh tokens that an issuer knows: they are shown to no other one.
    owned: Option<Owned>,
    /// Until when nobody is asked, and why.
    failed: Option<Failed>,
    /// Until when new ones are had without a person, if the issuer says it.
    grant_until: Option<Timestamp>,
}

struct Failed {
    until: Moment,
    because: String,
    /// What was shown; with another one there is nothing to wait for.
    secret: Option<Secret>,
}

struct Access {
    access: Secret,
    renew_at: Moment,
    until: Moment,
}

impl Tokens {
    fn access_at(&self, now: Moment) -> Option<&Access> {
        self.access.as_ref().filter(|one| one.until > now)
    }
}

/// Whether a server would say the same to both: of a token, only the user is remembered.
fn is_same(one: Option<&ClientCredential>, other: Option<&ClientCredential>) -> bool {
    match (one, other) {
        (
            Some(ClientCredential::Bearer { user: one, .. }),
            Some(ClientCredential::Bearer { user: other, .. }),
        ) => one == other,
        _ => one == other,
    }
}

/// By organisation and connector.
type AllResting = HashMap<(Arc<str>, Arc<str>), Resting>;

/// A connector whose login was refused.
struct Resting {
    /// With what: another one is tried at once.
    credential: Option<ClientCredential>,
    said: Box<str>,
    refusals: u32,
    since: Moment,
    until: Moment,
    shown_until: Timestamp,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logins")
    }
}

impl Logins {
    /// From this vault.
    pub fn new(vault: impl Vault + 'static, clock: Clock) -> Self {
        Self::with_issuers(vault, clock, None)
    }

    /// From this vault, and tokens from whoever issues them.
    pub fn with_issuers(
        vault: impl Vault + 'static,
        clock: Clock,
        issuers: Option<TokenClient>,
    ) -> Self {
        Self(Arc::new(Inner {
            vault: Box::new(vault),
            clock,
            issuers,
            tokens: Mutex::default(),
            resting: Mutex::default(),
            standings: Mutex::default(),
            stale: Mutex::default(),
            noticed: Notify::new(),
        }))
    }

    fn resting(&self) -> MutexGuard<'_, AllResting> {
        self.0
            .resting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What to log in with at the smart hosts of a connector; `None`: nothing.
    pub async fn of(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Option<Login>, LoginFault> {
        let login = self
            .read(organisation, connector)
            .await
            .map_err(LoginFault::Unavailable)?;
        let key = (Arc::clone(organisation), Arc::from(connector.name.as_str()));
        let mut resting = self.resting();
        if let Some(one) = resting.get(&key) {
            let same = login
                .as_ref()
                .is_some_and(|login| is_same(login.credential.as_ref(), one.credential.as_ref()));
            if !same {
                resting.remove(&key);
            } else if one.until > self.0.clock.moment() {
                return Err(LoginFault::Resting {
                    said: one.said.clone(),
                    until: one.shown_until,
                });
            }
        }
        Ok(login)
    }

    /// The same for a person who wants to know now: a rest does not count.
    pub async fn for_test(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Option<Login>, LoginFault> {
        self.read(organisation, connector)
            .await
            .map_err(LoginFault::Unavailable)
    }

    /// The server said no to it.
    pub fn refused(
        &self,
        organisation: &Arc<str>,
        connector: &str,
        login: &Login,
        fault: &LoginFault,
    ) {
        let said = match fault {
            LoginFault::Refused { reply, .. } => reply.to_string().into(),
            other => other.to_string().into(),
        };
        let key = (Arc::clone(organisation), Arc::from(connector));
        // The next token is another one: this one may have been revoked.
        {
            let mut stale = self.0.all_stale();
            if stale.len() < RESTING_MAX {
                stale.insert(key.clone());
            }
        }
        let mut resting = self.resting();
        let known = resting.get(&key);
        if known.is_some_and(|one| login.since <= one.since) {
            // It was under way when another connection was refused: the rest has begun.
            return;
        }
        let before = known.map_or(0, |one| one.refusals);
        let rest = REST_FIRST
            .saturating_mul(2_u32.saturating_pow(before.min(8)))
            .min(REST_MAX);
        if resting.len() >= RESTING_MAX && !resting.contains_key(&key) {
            return;
        }
        resting.insert(
            key,
            Resting {
                credential: login.credential.clone(),
                said,
                refusals: before.saturating_add(1),
                since: self.0.clock.moment(),
                until: self.0.clock.moment() + rest,
                shown_until: self.0.clock.now().after(rest),
            },
        );
    }

    /// The server said yes.
    pub fn believed(&self, organisation: &Arc<str>, connector: &str) {
        let key = (Arc::clone(organisation), Arc::from(connector));
        self.resting().remove(&key);
    }

    async fn read(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Option<Login>, String> {
        let auth = &connector.auth;
        let mechanism = auth
            .parameters
            .get("mechanism")
            .and_then(|name| ClientMechanism::read(name));
        let since = self.0.clock.moment();
        let login = |credential, is_required, identity| {
            Some(Login {
                since,
                credential,
                is_required,
                mechanism,
                identity,
            })
        };
        match auth.method {
            AuthMethod::None => Ok(None),
            AuthMethod::Password => {
                let credential = ClientCredential::Password {
                    user: auth.user.as_str().into(),
                    password: self.password(organisation, connector).await?,
                };
                Ok(login(Some(credential), true, None))
            }
            AuthMethod::Certificate => {
                let identity = self.identity(connector).await?;
                let credential = ClientCredential::External {
                    user: auth.user.as_str().into(),
                };
                Ok(login(Some(credential), false, Some(identity)))
            }
            AuthMethod::Xoauth2 => {
                let credential = ClientCredential::Bearer {
                    user: auth.user.as_str().into(),
                    token: self.token(organisation, connector).await?,
                };
                Ok(login(Some(credential), true, None))
            }
        }
    }

    /// Waits until something about a login is worth a look.
    pub async fn noticed(&self) {
        self.0.noticed.notified().await;
    }

    fn kept_name(organisation: &Arc<str>, connector: &OutboundConnector, what: Kept) -> KeptName {
        KeptName {
            organisation: Arc::clone(organisation),
            connector: connector.name.as_str().into(),
            what,
        }
    }

    fn issuers(&self) -> Result<&TokenClient, String> {
        let issuers = self.0.issuers.as_ref();
        issuers.ok_or_else(|| "issuers of tokens cannot be asked here".to_owned())
    }

    /// An access token that is good for a while yet: the one at hand, or a new one some minutes
    /// before its end. One question at a time for each connector.
    async fn token(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Secret, String> {
        let at = Registration::of(connector)?;
        let key = (Arc::clone(organisation), Arc::from(connector.name.as_str()));
        let tokens = Arc::clone(self.0.all_tokens().entry(key.clone()).or_default());
        let mut tokens = tokens.lock().await;
        if self.0.all_stale().remove(&key) {
            (tokens.access, tokens.failed) = (None, None);
        }
        if tokens.at.as_ref() != Some(&at) {
            *tokens = Tokens {
                at: Some(at.clone()),
                // As what is kept, it belongs to the connector.
                unkept: tokens.unkept.take(),
                owned: tokens.owned.take(),
                ..Tokens::default()
            };
        }
        let now = self.0.clock.moment();
        if let Some(fresh) = tokens.access_at(now).filter(|one| one.renew_at > now) {
            return Ok(fresh.access.clone());
        }
        let failed = match self.client_secret(organisation, connector).await {
            Ok(secret) => {
                let whose = (organisation, connector);
                match self.ask_anew(whose, &at, secret, &mut tokens).await {
                    Ok(access) => return Ok(access),
                    Err(because) => because,
                }
            }
            // As good as a question that failed: for a vault that cannot be read for a moment, no
            // mail waits for which there is a token.
            Err(because) => because,
        };
        // The old one is good to its end.
        let old = tokens.access_at(self.0.clock.moment());
        old.map(|old| old.access.clone()).ok_or(failed)
    }

    /// A new one; or why not, without a question where the last one failed a moment ago.
    async fn ask_anew(
        &self,
        whose: (&Arc<str>, &OutboundConnector),
        at: &Registration,
        secret: Option<Secret>,
        tokens: &mut Tokens,
    ) -> Result<Secret, String> {
        let now = self.0.clock.moment();
        if let Some(failed) = &tokens.failed
            && failed.until > now
            && failed.secret == secret
        {
            return Err(failed.because.clone());
        }
        let asked = self.ask(whose, at, secret.as_ref(), tokens).await;
        asked.map_err(|(pause, because)| {
            tracing::warn!(connector = whose.1.name, "no new token: {because}");
            tokens.failed = Some(Failed {
                until: self.0.clock.moment() + pause,
                because: because.clone(),
                secret,
            });
            because
        })
    }

    async fn ask(
        &self,
        (organisation, connector): (&Arc<str>, &OutboundConnector),
        at: &Registration,
        secret: Option<&Secret>,
        tokens: &mut Tokens,
    ) -> Result<Secret, (Duration, String)> {
        let soon = |why: String| (TOKEN_PAUSE, why);
        let issuers = self.issuers().map_err(soon)?;
        let name = Self::kept_name(organisation, connector, Kept::RefreshToken);
        let mut kept = None;
        let granted = if at.by_client {
            issuers.by_client(at, secret).await
        } else {
            let refresh = self.refresh_token(&name, at, tokens).await.map_err(soon)?;
            kept = Some(refresh.clone());
            issuers.refresh(at, secret, &refresh).await
        };
        let granted = granted.map_err(|error| match &error {
            TokenError::Refused { .. } => {
                let name = &connector.name;
                let remedy = if at.by_client {
                    format!("give another secret with relais connector outbound set {name:?} --client-secret-stdin")
                } else {
                    format!("sign in anew with relais connector outbound login {name:?}")
                };
                let because = format!("{error}; {remedy}, or correct auth.parameters");
                (REFUSED_TOKEN_PAUSE, because)
            }
            TokenError::Pending | TokenError::SlowDown | TokenError::Unavailable(_) => {
                (TOKEN_PAUSE, error.to_string())
            }
        })?;
        let grant = granted.refresh_expires_in;
        tokens.grant_until = grant.map(|left| self.0.clock.now().after(left));
        if let Some(refresh) = granted.refresh {
            tokens.own(at.issuer(), &refresh);
            // The old one may be good no more: the new one must not be lost.
            self.0.keep_refresh(&name, (refresh, kept), tokens).await;
        }
        let ahead = RENEW_AHEAD.min(granted.expires_in / 2);
        let until = self.0.clock.moment() + granted.expires_in;
        tokens.failed = None;
        tokens.access = Some(Access {
            access: granted.access.clone(),
            renew_at: self.0.clock.moment() + (granted.expires_in - ahead),
            until,
        });
        Ok(granted.access)
    }

    /// What new tokens are had for: what is kept, or what is to be kept in its place.
    async fn refresh_token(
        &self,
        name: &KeptName,
        at: &Registration,
        tokens: &mut Tokens,
    ) -> Result<Secret, String> {
        let kept = self.0.vault.kept(name).await;
        if let Ok(kept) = &kept {
            tokens.yield_to(kept.as_ref());
        }
        let login = || format!("relais connector outbound login {:?}", &*name.connector);
        let refresh = match (&tokens.unkept, kept) {
            (Some(unkept), _) => unkept.refresh.clone(),
            (None, kept) => kept?.ok_or_else(|| format!("nobody has signed in: {}", login()))?,
        };
        if let Some(other) = tokens.owner_other_than(at.issuer(), &refresh) {
            let why = "what is kept is for tokens of";
            return Err(format!("{why} {other}: sign in anew with {}", login()));
        }
        tokens.own(at.issuer(), &refresh);
        Ok(refresh)
    }

    async fn client_secret(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Option<Secret>, String> {
        let vault = &self.0.vault;
        if let Some(file) = connector.auth.parameters.get("client_secret_file") {
            let read = vault.file(file, PASSWORD_OCTETS_MAX).await?;
            return Ok(first_line(&read));
        }
        let name = Self::kept_name(organisation, connector, Kept::ClientSecret);
        vault.kept(&name).await
    }

    /// Begins the sign-in of a person on another device. RFC 8628 §3.1.
    pub async fn begin_sign_in(
        &self,
        connector: &OutboundConnector,
    ) -> Result<DeviceSignIn, TokenError> {
        let at = Registration::of(connector).map_err(TokenError::Unavailable)?;
        let issuers = self.issuers().map_err(TokenError::Unavailable)?;
        issuers.begin(&at).await
    }

    /// Whether the person has signed in: then what new tokens are had for, which whoever asks keeps
    /// under their own name, and says so by [`Self::signed_in`]. RFC 8628 §3.4.
    pub async fn poll_sign_in(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
        device_code: &str,
    ) -> Result<Secret, TokenError> {
        let unavailable = TokenError::Unavailable;
        let at = Registration::of(connector).map_err(unavailable)?;
        let issuers = self.issuers().map_err(unavailable)?;
        let secret = self.client_secret(organisation, connector).await;
        let secret = secret.map_err(unavailable)?;
        let granted = issuers.poll(&at, secret.as_ref(), device_code).await?;
        granted.refresh.ok_or_else(|| TokenError::Refused {
            code: "no_refresh_token".to_owned(),
            description: "add offline_access to auth.parameters.scope".to_owned(),
        })
    }

    /// What a person's sign-in gave is kept: tokens of before are good no more.
    pub fn signed_in(&self, organisation: &Arc<str>, connector: &str) {
        let key = (Arc::clone(organisation), Arc::from(connector));
        self.0.all_tokens().remove(&key);
        self.believed(organisation, connector);
    }

    /// What is kept for a connector was taken away: nothing of it works from memory.
    pub fn forgotten(&self, organisation: &Arc<str>, connector: &str) {
        let key = (Arc::clone(organisation), Arc::from(connector));
        self.0.all_tokens().remove(&key);
    }

    async fn password(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Result<Secret, String> {
        let file = &connector.auth.password_file;
        if !file.is_empty() {
            let read = self.0.vault.file(file, PASSWORD_OCTETS_MAX).await?;
            return first_line(&read).ok_or_else(|| format!("{file} holds no password"));
        }
        let name = KeptName {
            organisation: Arc::clone(organisation),
            connector: connector.name.as_str().into(),
            what: Kept::Password,
        };
        self.0.vault.kept(&name).await?.ok_or_else(|| {
            format!(
                "no password is set: relais connector outbound set {:?} --password-stdin, or \
                 password_file in the settings",
                connector.name
            )
        })
    }

    async fn identity(&self, connector: &OutboundConnector) -> Result<ClientIdentity, String> {
        let parameters = &connector.auth.parameters;
        let certificate = parameters
            .get("certificate")
            .ok_or("auth.parameters has no certificate")?;
        let key = parameters.get("private_key").unwrap_or(certificate);
        let vault = &self.0.vault;
        let chain = vault.file(certificate, CERTIFICATE_OCTETS_MAX).await?;
        let key = vault.file(key, CERTIFICATE_OCTETS_MAX).await?;
        ClientIdentity::from_pem(chain.expose(), key.expose())
            .map_err(|error| format!("{certificate}: {error}"))
    }
}

/// Octets of a certificate's file.
const CERTIFICATE_OCTETS_MAX: usize = 256 * 1_024;

/// A password file ends with a line end, or two.
fn first_line(octets: &Secret) -> Option<Secret> {
    let line = octets
        .expose()
        .split(|octet| matches!(octet, b'\r' | b'\n'))
        .next()?;
    (!line.is_empty()).then(|| line.into())
}

#[cfg(test)]
mod tests {
    use relais_smtp::reply::Reply;

    use super::*;

    /// A vault with one password.
    struct OnePassword;

    impl Vault for OnePassword {
        fn file<'a>(&'a self, path: &'a str, _octets_max: usize) -> Coming<'a, Secret> {
            Box::pin(async move { Err(format!("{path}: there are no files")) })
        }

        fn kept<'a>(&'a self, _name: &'a KeptName) -> Coming<'a, Option<Secret>> {
            Box::pin(async { Ok(Some(Secret::from("hunter2".to_owned()))) })
        }

        fn keep<'a>(&'a self, _name: &'a KeptName, _secret: Secret) -> Coming<'a, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Cannot be read.
    struct Shut;

    impl Vault for Shut {
        fn file<'a>(&'a self, path: &'a str, _octets_max: usize) -> Coming<'a, Secret> {
            Box::pin(async move { Err(format!("{path}: it is locked")) })
        }

        fn kept<'a>(&'a self, _name: &'a KeptName) -> Coming<'a, Option<Secret>> {
            Box::pin(async { Err("the vault is locked".to_owned()) })
        }

        fn keep<'a>(&'a self, _name: &'a KeptName, _secret: Secret) -> Coming<'a, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_good_is_used_though_the_vault_cannot_be_read() {
        let logins = Logins::new(Shut, Clock::simulated(Timestamp::default()));
        let organisation: Arc<str> = "contoso".into();
        let mut connector = OutboundConnector::new("Out");
        let parameters = [
            ("token_url", "https://login.test/token"),
            ("client_id", "relais"),
        ];
        for (key, value) in parameters {
            let parameters = &mut connector.auth.parameters;
            parameters.insert(key.to_owned(), value.to_owned());
        }
        let now = logins.0.clock.moment();
        let key = (Arc::clone(&organisation), Arc::from("Out"));
        let tokens = Arc::clone(logins.0.all_tokens().entry(key).or_default());
        *tokens.lock().await = Tokens {
            at: Some(Registration::of(&connector).unwrap()),
            access: Some(Access {
                access: Secret::from("good".to_owned()),
                renew_at: now,
                until: now + Duration::from_secs(60),
            }),
            ..Tokens::default()
        };
        let token = || logins.token(&organisation, &connector);
        assert_eq!(token().await, Ok(Secret::from("good".to_owned())));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(token().await, Err("the vault is locked".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_several_connections_say_at_once_is_refused_once() {
        let logins = Logins::new(OnePassword, Clock::simulated(Timestamp::default()));
        let organisation: Arc<str> = "contoso".into();
        let mut connector = OutboundConnector::new("Out");
        connector.auth.method = AuthMethod::Password;
        let fault = LoginFault::Refused {
            mechanism: "PLAIN",
            user: "scan".into(),
            reply: Reply::parse_stored("535 5.7.8 no").unwrap(),
        };
        let second = Duration::from_secs(1);
        for rest in [REST_FIRST, REST_FIRST * 2, REST_FIRST * 4] {
            let mut under_way = Vec::new();
            for _ in 0..5 {
                let login = logins.of(&organisation, &connector).await;
                under_way.push(login.unwrap().unwrap());
            }
            for login in &under_way {
                tokio::time::sleep(second).await;
                logins.refused(&organisation, "Out", login, &fault);
            }
            let rested = 4 * second;
            tokio::time::sleep(rest - rested - second).await;
            let early = logins.of(&organisation, &connector).await;
            assert!(matches!(early, Err(LoginFault::Resting { .. })), "{rest:?}");
            tokio::time::sleep(second).await;
        }
    }
}
