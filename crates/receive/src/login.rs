//! Logins: is the claim of AUTH true, and may it be acted upon? `relais_policy` decides; here is
//! the work, and what is remembered between sessions.
//!
//! Checking a password is slow on purpose, so checks wait their turn (`turns`), and a password that
//! was right lately is known again at once (`remembered`). An unknown user costs the same work as a
//! known one. Not here: the exchange (`relais_smtp::sasl`), the session (`session`).

mod remembered;
mod turns;
mod uses;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relais_net::clock::{Chance, Clock, Moment};
use relais_net::oidc::{Issuers, TokenFault};
use relais_policy::attribution::Facts;
use relais_policy::document::Credential;
use relais_policy::guessing::{Guesses, MayGuess, Network};
use relais_policy::login::{credential_of_token, may_log_in, previous_password_counts};
use relais_policy::password::{NOBODYS_HASH, is_password};
use relais_policy::settings::Settings;
use relais_smtp::refusal::Refusal;
use relais_smtp::sasl::Claim;
use relais_smtp::sasl::scram::{ServerNonce, Verifier};
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::store::Store;
use tokio_util::sync::CancellationToken;

use self::remembered::Remembered;
use self::turns::{Busy, Turns};
use self::uses::Uses;

/// How often the last use of credentials is stored: a page that lists them is as old at most.
const USES_INTERVAL: Duration = Duration::from_secs(60);
/// Octets of the keys that this process makes for itself.
const KEY_OCTETS: usize = 32;

/// What the sessions of a server know together of logins.
pub(crate) struct Logins {
    issuers: Issuers,
    clock: Clock,
    chance: Chance,
    began: Moment,
    guesses: Mutex<Guesses>,
    remembered: Remembered,
    turns: Arc<Turns>,
    uses: Uses,
    /// For verifiers of users that do not exist.
    nobodys_key: [u8; KEY_OCTETS],
    /// Slow checks so far.
    checks: AtomicUsize,
}

/// Why a login failed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct NotLoggedIn {
    pub(crate) refusal: Refusal,
    /// It is worth an event.
    pub(crate) news: bool,
    /// For the trace: what the reply must not say.
    pub(crate) detail: Option<String>,
}

impl From<Refusal> for NotLoggedIn {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            news: true,
            detail: None,
        }
    }
}

/// Whether a credential is of the organisation for which an issuer speaks.
fn is_of(settings: &Settings, user: &str, organisation: Option<&str>) -> bool {
    let owner = settings.credential(user).map(|(found, _)| found);
    organisation.is_none_or(|wanted| owner.is_some_and(|it| it.organisation.name == wanted))
}

impl Logins {
    pub(crate) fn new(clock: &Clock, chance: &Chance, issuers: Issuers) -> Self {
        Self {
            issuers,
            clock: clock.clone(),
            chance: chance.clone(),
            began: clock.moment(),
            guesses: Mutex::default(),
            remembered: Remembered::new(chance.octets()),
            turns: Turns::new(turns::running_max()),
            uses: Uses::default(),
            nobodys_key: chance.octets(),
            checks: AtomicUsize::new(0),
        }
    }

    /// What SCRAM is begun with: the user's verifier, or one that looks like it. The exchange
    /// checks the proof by itself, so who guesses too often is sent away here.
    pub(crate) fn verifier(
        &self,
        settings: &Settings,
        address: IpAddr,
        user: &str,
    ) -> Result<(Verifier, ServerNonce), NotLoggedIn> {
        self.may_guess(user, address)?;
        let known = settings
            .credential(user)
            .and_then(|(_, credential)| verifier_of(credential, self.clock.now()));
        // As credentials are found in any case, so are those that are none.
        let nobody = user.trim().to_ascii_lowercase();
        let verifier = known.unwrap_or_else(|| Verifier::of_nobody(&self.nobodys_key, &nobody));
        Ok((verifier, ServerNonce::new(self.chance.octets())))
    }

    /// Whether a client may be told that its proof is right: others of its network may have failed
    /// since it was begun, in as many sessions as they like.
    pub(crate) fn may_know(&self, user: &str, address: IpAddr) -> Result<(), NotLoggedIn> {
        self.may_guess(user, address).map(drop)
    }

    /// Whether a claim is true and may be acted upon: the credential's user.
    pub(crate) async fn log_in(
        &self,
        settings: &Settings,
        facts: &Facts,
        claim: &Claim,
    ) -> Result<String, NotLoggedIn> {
        let user = claim.user().unwrap_or_default();
        let failures = self.may_guess(user, facts.address)?;
        let is_true = match claim {
            Claim::Password { password, .. } => {
                self.is_right(settings, facts.address, user, password, failures)
                    .await?
            }
            Claim::Judged { proved, .. } => *proved,
            // The client has not taken note: nobody is logged in.
            Claim::Proved { .. } => return Err(Refusal::AuthBad.into()),
            Claim::Bearer { user, token } => {
                let named = user.as_deref();
                let found = self.of_token(settings, facts.address, named, token).await?;
                return self.permitted(settings, facts, named, &found);
            }
        };
        if !is_true {
            self.lock().failed(user, facts.address, self.since_begin());
            return Err(Refusal::AuthBad.into());
        }
        self.permitted(settings, facts, None, user)
    }

    /// A program used the credential by another proof than its password.
    pub(crate) fn used(&self, user: &str, address: IpAddr) {
        self.uses.note(user, address, self.clock.now());
    }

    /// Who it is has been proved; may it log in from there? `named`: by what it was called in AUTH
    /// where that may be another name of the same; its failures were counted under that.
    fn permitted(
        &self,
        settings: &Settings,
        facts: &Facts,
        named: Option<&str>,
        user: &str,
    ) -> Result<String, NotLoggedIn> {
        for name in named.into_iter().chain([user]) {
            self.lock().succeeded(name, facts.address);
        }
        may_log_in(settings, facts, user, self.clock.now())?;
        let (_, credential) = settings.credential(user).ok_or(Refusal::AuthBad)?;
        self.uses
            .note(&credential.user, facts.address, self.clock.now());
        Ok(credential.user.clone())
    }

    /// The user of the credential that a token speaks for. Wrong tokens count as wrong passwords of
    /// whoever was named: each costs a signature to be checked.
    async fn of_token(
        &self,
        settings: &Settings,
        address: IpAddr,
        named: Option<&str>,
        token: &Secret,
    ) -> Result<String, NotLoggedIn> {
        let text = std::str::from_utf8(token.expose()).unwrap_or_default();
        let fault = match self.issuers.judge(text).await {
            Ok(proved) => {
                let names: Vec<_> = proved.names.iter().map(String::as_str).collect();
                let found = credential_of_token(settings, &names, named);
                let organisation = proved.organisation.as_deref();
                if let Some(found) = found.filter(|it| is_of(settings, &it.user, organisation)) {
                    return Ok(found.user.clone());
                }
                format!("no credential is for {}", names.join(", "))
            }
            Err(TokenFault::Unavailable(because)) => {
                return Err(NotLoggedIn {
                    refusal: Refusal::AuthTemporary,
                    news: true,
                    detail: Some(because),
                });
            }
            Err(fault @ TokenFault::Refused(_)) => fault.to_string(),
        };
        let named = named.unwrap_or_default();
        self.lock().failed(named, address, self.since_begin());
        Err(NotLoggedIn {
            refusal: Refusal::AuthBad,
            news: true,
            detail: Some(fault),
        })
    }

    /// Stores now and then who logged in last, as long as the server runs; and begins with what is
    /// known of that: where a credential was used before, it is not locked out by others' guesses.
    pub(crate) async fn keep_uses(&self, store: &Store, ending: &CancellationToken) {
        if let Ok(known) = store.credential_uses().await {
            let mut guesses = self.lock();
            for one in known {
                guesses.succeeded(&one.user, one.address);
            }
        }
        while !ending.is_cancelled() {
            tokio::select! {
                biased;
                () = ending.cancelled() => {}
                () = self.clock.sleep(USES_INTERVAL) => {}
            }
            self.store_uses(store).await;
        }
    }

    /// Stores what is not stored yet. What cannot be stored is tried again.
    pub(crate) async fn store_uses(&self, store: &Store) {
        let uses = self.uses.take();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = store.note_credential_uses(uses.clone()).await {
            tracing::warn!(%error, "the last use of credentials is not stored yet");
            self.uses.give_back(uses);
        }
    }

    /// How often its network failed lately.
    fn may_guess(&self, user: &str, address: IpAddr) -> Result<usize, NotLoggedIn> {
        match self.lock().may_guess(user, address, self.since_begin()) {
            MayGuess::Yes { failures } => Ok(failures),
            MayGuess::No { news } => Err(NotLoggedIn {
                refusal: Refusal::AuthThrottled,
                news,
                detail: None,
            }),
        }
    }

    async fn is_right(
        &self,
        settings: &Settings,
        address: IpAddr,
        user: &str,
        password: &Secret,
        failures: usize,
    ) -> Result<bool, NotLoggedIn> {
        let found = settings.credential(user).map(|(_, credential)| credential);
        let now = self.clock.moment();
        let mark =
            found.map(|credential| self.remembered.mark(&credential.password_hash, password));
        if mark.is_some_and(|mark| self.remembered.knows(&mark, now)) {
            return Ok(true);
        }
        let turn = match self.turns.wait(Network::of(address), failures).await {
            Ok(turn) => turn,
            Err(Busy) => return Err(Refusal::AuthTemporary.into()),
        };
        // Others of its network may have failed while it waited.
        self.may_guess(user, address)?;
        let hashes = hashes_of(settings, found, self.clock.now());
        let most = hashes.len();
        let password = password.clone();
        // The turn is over when the work is, whether the session still waits for it or not.
        let check = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut hashes = hashes.iter();
            hashes.position(|hash| is_password(password.expose(), hash))
        });
        let right = check.await.map_err(|_| Refusal::AuthTemporary)?;
        self.checks
            .fetch_add(right.map_or(most, |at| at + 1), Ordering::Relaxed);
        // A previous password is not remembered: its end is near.
        if let (Some(0), Some(mark)) = (right, mark) {
            self.remembered.keep(mark, now);
        }
        Ok(right.is_some())
    }

    fn since_begin(&self) -> Duration {
        self.clock.moment().duration_since(self.began)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The verifier that is stored, with the one before as long as that counts.
fn verifier_of(credential: &Credential, now: Timestamp) -> Option<Verifier> {
    let verifier = Verifier::parse(&credential.scram_sha_256)?;
    if !previous_password_counts(credential, now) {
        return Some(verifier);
    }
    Some(match Verifier::parse(&credential.previous_scram_sha_256) {
        Some(previous) => verifier.with_previous(previous),
        None => verifier,
    })
}

/// The hashes to check, in order: as many for everybody, known or not, as any credential has now,
/// so that the time of a refusal tells nobody's name.
fn hashes_of(settings: &Settings, found: Option<&Credential>, now: Timestamp) -> Vec<String> {
    let organisations = settings.document.organisation.iter();
    let all = organisations.flat_map(|one| &one.credential);
    let most = all.map(|one| own_hashes(one, now).count()).max();
    let own = found.into_iter().flat_map(|one| own_hashes(one, now));
    let mut hashes: Vec<_> = own.map(str::to_owned).collect();
    hashes.resize(most.unwrap_or_default().max(1), NOBODYS_HASH.to_owned());
    hashes
}

/// Of the password, and of the previous one as long as that counts.
fn own_hashes(credential: &Credential, now: Timestamp) -> impl Iterator<Item = &str> {
    let previous =
        previous_password_counts(credential, now).then_some(&*credential.previous_password_hash);
    [Some(&*credential.password_hash), previous]
        .into_iter()
        .flatten()
        .filter(|hash| !hash.is_empty())
}

#[cfg(test)]
mod tests;
