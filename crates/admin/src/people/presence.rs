//! Sessions as `people` keeps them: read from the shelf once, written as they change.

use std::time::Duration;

use relais_net::clock::{Chance, Clock};
use relais_net::sign_in::Leave;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::coming::How;
use super::sessions::{Browser, Came, Listed, Session, Sessions, Writes};
use super::{Administrator, By, People, PeopleError};
use crate::words::Language;

/// How often is looked whether who listens still may.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl People {
    /// Those of before the restart. Where they cannot be read now, they are the next time.
    async fn load_sessions(&self, store: &Store) {
        let read = async || {
            let entries = store.shelf(Shelf::Session).await?;
            let entries = entries.into_iter().map(|entry| (entry.key, entry.value));
            *self.sessions() = Sessions::load(entries);
            Ok::<_, relais_store::queue::StoreError>(())
        };
        if let Err(error) = self.0.loaded.get_or_try_init(read).await {
            tracing::warn!(%error, "the sessions of the admin centre cannot be read");
        }
    }

    /// What is not written is forgotten by a restart, which only signs somebody out.
    async fn keep(&self, store: &Store, writes: Writes, now: Timestamp) {
        if writes.is_empty() {
            return;
        }
        if let Err(error) = store.change_shelf(change_of(writes, now)).await {
            tracing::warn!(%error, "a session of the admin centre is not kept");
        }
    }

    /// Signs somebody in: the token for their browser. The audit has it from the same transaction.
    pub(crate) async fn begin_session(
        &self,
        store: &Store,
        chance: &Chance,
        (person, how): (&Administrator, &How),
        browser: Browser<'_>,
        now: Timestamp,
    ) -> String {
        self.load_sessions(store).await;
        let came = match how {
            How::Issuer { leave, .. } => Came::ByIssuer(leave.as_ref()),
            How::Password
            | How::Code
            | How::RecoveryCode
            | How::Passkey
            | How::PasswordAndPasskey
            | How::SetupLink => Came::Locally,
        };
        let (token, writes) = self.sessions().begin((person, came), browser, chance, now);
        let actor = format!("{} (web)", person.name);
        let by = By {
            actor: &actor,
            via: Via::named("web").coming_from(browser.address.parse().ok()),
            now,
        };
        let (place, address) = (person.place(), browser.address);
        let detail = format!("{} ({place}) from {address}, {}", person.name, how.told());
        let change = change_of(writes, now).audited(by.audit("admin.signed-in", detail));
        if let Err(error) = store.change_shelf(change).await {
            // A store that takes no writes must not keep out who would look after it.
            let name = &person.name;
            tracing::warn!(%error, name, address, "a sign-in is in no audit, its session not kept");
        }
        token
    }

    /// The session of this token, if it is not over.
    pub(crate) async fn session(
        &self,
        store: &Store,
        token: &str,
        now: Timestamp,
    ) -> Option<Session> {
        self.load_sessions(store).await;
        let (session, writes) = self.sessions().touch(token, now);
        self.keep(store, writes, now).await;
        session
    }

    /// The same of who only listens: a page that is left open does not keep them signed in.
    pub(crate) async fn look(&self, store: &Store, token: &str, now: Timestamp) -> Option<Session> {
        self.load_sessions(store).await;
        self.sessions().look(token, now)
    }

    /// Comes back when the session of this token is over: idle, old, signed out, another role.
    pub(crate) async fn over(&self, clock: &Clock, token: &str) {
        while self.sessions().look(token, clock.now()).is_some() {
            clock.sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether a second factor is demanded that nothing stands for.
    pub(crate) fn lacks_factor(&self, session: &Session) -> bool {
        self.0.demands_factor && !session.has_factor
    }

    pub(super) async fn tell_sessions(&self, store: &Store, name: &str, has: bool, now: Timestamp) {
        self.load_sessions(store).await;
        let writes = self.sessions().set_factor(name, has);
        self.keep(store, writes, now).await;
    }

    /// Signs out here: where the person can sign out too.
    pub(crate) async fn end_session(
        &self,
        store: &Store,
        token: &str,
        now: Timestamp,
    ) -> Option<Leave> {
        let (leave, writes) = self.sessions().end(token);
        self.keep(store, writes, now).await;
        leave
    }

    /// Signs a person out everywhere, or at the one browser of this name.
    pub(crate) async fn end_of(&self, store: &Store, name: &str, id: Option<&str>, now: Timestamp) {
        self.load_sessions(store).await;
        let writes = self.sessions().end_of(name, id);
        self.keep(store, writes, now).await;
    }

    /// The same, by whoever manages people: with an audit entry. `false`: there was none.
    pub(crate) async fn sign_out(
        &self,
        store: &Store,
        (name, id): (&str, Option<&str>),
        by: &By<'_>,
    ) -> Result<bool, PeopleError> {
        self.load_sessions(store).await;
        let writes = self.sessions().end_of(name, id);
        if writes.is_empty() {
            return Ok(false);
        }
        let detail = format!("{name}, {} sessions", writes.len());
        let change = change_of(writes, by.now).audited(by.audit("admin.signed-out", detail));
        store.change_shelf(change).await?;
        Ok(true)
    }

    /// Everybody who is signed in.
    pub(crate) async fn signed_in(&self, store: &Store, now: Timestamp) -> Vec<Listed> {
        self.load_sessions(store).await;
        self.sessions().all(now)
    }

    /// Everybody who signed in with an issuer is signed out.
    pub(super) async fn end_sso(&self, store: &Store, now: Timestamp) {
        self.load_sessions(store).await;
        let writes = self.sessions().end_sso();
        self.keep(store, writes, now).await;
    }

    /// Where a person is signed in.
    pub(crate) fn sessions_of(&self, name: &str, now: Timestamp) -> Vec<Listed> {
        self.sessions().list(name, now)
    }

    /// They read this language from now on, wherever they are signed in.
    pub(super) async fn speak(
        &self,
        store: &Store,
        name: &str,
        language: Language,
        now: Timestamp,
    ) {
        let writes = self
            .sessions()
            .set_language(name, language.pick("en", "fr"));
        self.keep(store, writes, now).await;
    }
}

fn change_of(writes: Writes, now: Timestamp) -> ShelfChange {
    let change = ShelfChange::new(Shelf::Session, now);
    let add = |change: ShelfChange, (hash, value): (String, Option<String>)| match value {
        Some(value) => change.put(hash, value),
        None => change.take(hash),
    };
    writes.into_iter().fold(change, add)
}
