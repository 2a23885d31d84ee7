//! How long logins are good for, and whether they can be had: looked at ahead of mail, so that a
//! person learns of an end while nothing waits. Looking asks the issuer where a token is due, which
//! also keeps a grant alive that ends when it is not used.
//!
//! Not here: when to look, and telling (`relais-deliver`, `grants`).

use std::sync::{Arc, MutexGuard, PoisonError};

use relais_policy::document::{AuthMethod, OutboundConnector, client_secret_end};
use relais_smtp::time::Timestamp;

use super::{Logins, Tokens};

/// What ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ends {
    /// The secret of our registration with an issuer, as the settings say.
    ClientSecret,
    /// What a person granted by signing in, as the issuer says.
    SignIn,
    /// Our certificate.
    Certificate,
}

impl Ends {
    /// As people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::ClientSecret => "the client secret",
            Self::SignIn => "the sign-in",
            Self::Certificate => "the certificate",
        }
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::ClientSecret => {
                "make a new one at the issuer, then relais connector outbound set NAME \
                 --client-secret-stdin --auth-parameter client_secret_expires=DAY"
            }
            Self::SignIn => "sign in anew with relais connector outbound login NAME",
            Self::Certificate => "put a new one into its file",
        }
    }
}

/// How the login of a connector stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginStanding {
    /// Whose.
    pub organisation: Arc<str>,
    /// Of which outbound connector.
    pub connector: Arc<str>,
    /// What ends first, and when, as far as anybody says.
    pub ends: Option<(Ends, Timestamp)>,
    /// Until when the token in use is good; another one is had before that.
    pub token_until: Option<Timestamp>,
    /// Why there is nothing to log in with.
    pub fault: Option<String>,
    /// It works, and somebody should know this.
    pub warning: Option<String>,
}

impl Logins {
    /// Looks at the login of a connector and remembers how it stands; `None`: it has none that
    /// could end.
    pub async fn look(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Option<LoginStanding> {
        let (ends, fault) = match connector.auth.method {
            AuthMethod::None | AuthMethod::Password => return None,
            AuthMethod::Certificate => match self.identity(connector).await {
                Ok(identity) => (Some((Ends::Certificate, identity.not_after())), None),
                Err(why) => (None, Some(why)),
            },
            AuthMethod::Xoauth2 => {
                let fault = self.token(organisation, connector).await.err();
                let of_grant = self.grant_until(organisation, connector).await;
                let of_grant = of_grant.map(|until| (Ends::SignIn, until));
                let of_secret = client_secret_end(&connector.auth);
                let of_secret = of_secret.map(|until| (Ends::ClientSecret, until));
                let ends = [of_grant, of_secret].into_iter().flatten();
                (ends.min_by_key(|(_, until)| *until), fault)
            }
        };
        let standing = LoginStanding {
            organisation: Arc::clone(organisation),
            connector: connector.name.as_str().into(),
            ends,
            token_until: self.token_until(organisation, connector).await,
            fault,
            warning: self.warning_of(organisation, connector).await,
        };
        let mut standings = self.all_standings();
        standings.retain(|one| !is_of(one, &standing));
        standings.push(standing.clone());
        Some(standing)
    }

    /// All as they were seen last, of connectors that are still among these.
    pub fn standings(&self, is_there: impl Fn(&LoginStanding) -> bool) -> Vec<LoginStanding> {
        let mut standings = self.all_standings();
        standings.retain(is_there);
        standings.clone()
    }

    async fn grant_until(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Option<Timestamp> {
        let tokens = self.tokens_of(organisation, connector)?;
        tokens.lock().await.grant_until
    }

    async fn token_until(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Option<Timestamp> {
        let tokens = self.tokens_of(organisation, connector)?;
        let clock = &self.0.clock;
        let moment = clock.moment();
        let until = tokens.lock().await.access_at(moment)?.until;
        Some(clock.now().after(until.saturating_duration_since(moment)))
    }

    async fn warning_of(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Option<String> {
        let tokens = self.tokens_of(organisation, connector)?;
        tokens.lock().await.warning()
    }

    pub(super) fn tokens_of(
        &self,
        organisation: &Arc<str>,
        connector: &OutboundConnector,
    ) -> Option<Arc<tokio::sync::Mutex<Tokens>>> {
        let key = (Arc::clone(organisation), Arc::from(connector.name.as_str()));
        self.0.all_tokens().get(&key).cloned()
    }

    fn all_standings(&self) -> MutexGuard<'_, Vec<LoginStanding>> {
        self.0
            .standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of(one: &LoginStanding, other: &LoginStanding) -> bool {
    one.organisation == other.organisation && one.connector == other.connector
}
