//! The second factor as `people` asks for it: taken on, shown at sign-in, taken off.

use std::net::IpAddr;
use std::time::Duration;

use relais_net::clock::{Chance, Moment};
use relais_policy::guessing::MayGuess;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::coming::How;
use super::factor::{Factor, SECRET_OCTETS, step_of};
use super::{Administrator, By, People, PeopleError, hash_of, hexadecimal, to_json};

/// Between the password and the code, and between the picture and the first code.
const PENDING_LIFE: Duration = Duration::from_secs(10 * 60);
/// People in between at the same time; the oldest goes first.
const PENDING_MAX: usize = 1_000;

/// Who has shown a password and not yet a code; who has seen a picture and not yet confirmed it.
#[derive(Default)]
pub(super) struct Pending {
    /// By the hash of a token: the name, and until when.
    signing_in: Vec<(String, String, Timestamp)>,
    /// By name: the new secret.
    enrolling: Vec<(String, [u8; SECRET_OCTETS], Timestamp)>,
}

fn secret_of(name: &str) -> SecretName {
    SecretName::new("", SecretKind::SignIn, format!("totp {name}"))
}

impl People {
    /// The password was right, and a code is needed too: the token that goes with it.
    pub(crate) fn await_code(&self, name: &str, chance: &Chance, now: Timestamp) -> String {
        let token = hexadecimal(&chance.octets::<32>());
        let mut pending = self.pending();
        pending.signing_in.retain(|(.., until)| *until > now);
        if pending.signing_in.len() >= PENDING_MAX {
            pending.signing_in.remove(0);
        }
        let entry = (hash_of(&token), name.to_owned(), now.after(PENDING_LIFE));
        pending.signing_in.push(entry);
        token
    }

    /// The code, or a recovery code. Wrong ones are counted as wrong passwords are.
    pub(crate) async fn show_code(
        &self,
        store: &Store,
        (token, code): (&str, &str),
        peer: IpAddr,
        now: Timestamp,
    ) -> Result<(Administrator, How), PeopleError> {
        let name = self.awaited(token, now).ok_or(PeopleError::Late)?;
        // Apart from the password's: whoever knows that one is not slowed by others' guesses.
        let guessed = format!("{name} code");
        let passed = || Moment::now().duration_since(self.0.started);
        let may = self.guesses().may_guess(&guessed, peer, passed());
        if matches!(may, MayGuess::No { .. }) {
            return Err(PeopleError::Slowed);
        }
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, &name).await?;
        let mut found = found.ok_or(PeopleError::Wrong)?;
        let Some(factor) = &found.factor else {
            return Err(PeopleError::Late);
        };
        let secret = read_secret(store, &name).await?;
        let Some(after) = factor.after(&secret, code, now) else {
            self.guesses().failed(&guessed, peer, passed());
            return Err(PeopleError::Wrong);
        };
        let was_recovery = after.codes_left() < factor.codes_left();
        let left = after.codes_left();
        found.factor = Some(after);
        let mut change = ShelfChange::new(Shelf::Administrator, now).put(&name, to_json(&found));
        if was_recovery {
            let by = By {
                actor: &name,
                via: Via::named("web").coming_from(Some(peer)),
                now,
            };
            let detail = format!("{name}: {left} left");
            change = change.audited(by.audit("admin.recovery-code-used", detail));
        }
        store.change_shelf(change).await?;
        self.guesses().succeeded(&guessed, peer);
        self.no_longer_await(token);
        let how = match was_recovery {
            true => How::RecoveryCode,
            false => How::Code,
        };
        Ok((found, how))
    }

    /// Whose code is awaited with this token.
    pub(crate) fn awaited(&self, token: &str, now: Timestamp) -> Option<String> {
        let hash = hash_of(token);
        let pending = self.pending();
        let mut live = pending.signing_in.iter().filter(|(.., until)| *until > now);
        let found = live.find(|(one, ..)| *one == hash);
        found.map(|(_, name, _)| name.clone())
    }

    /// Somebody came in with it.
    pub(super) fn no_longer_await(&self, token: &str) {
        let hash = hash_of(token);
        self.pending().signing_in.retain(|(one, ..)| *one != hash);
    }

    /// A new secret to be shown; it counts when a code of it was typed.
    pub(crate) fn begin_factor(&self, name: &str, chance: &Chance, now: Timestamp) {
        let mut pending = self.pending();
        pending
            .enrolling
            .retain(|(one, _, until)| one != name && *until > now);
        let until = now.after(PENDING_LIFE);
        pending
            .enrolling
            .push((name.to_owned(), chance.octets(), until));
    }

    /// The secret that was begun, if it is not too late.
    pub(crate) fn factor_begun(&self, name: &str, now: Timestamp) -> Option<[u8; SECRET_OCTETS]> {
        let pending = self.pending();
        let mut live = pending.enrolling.iter().filter(|(.., until)| *until > now);
        live.find(|(one, ..)| one == name)
            .map(|(_, secret, _)| *secret)
    }

    /// The factor counts from now on: its recovery codes, told this once.
    pub(crate) async fn confirm_factor(
        &self,
        store: &Store,
        chance: &Chance,
        (name, code): (&str, &str),
        by: &By<'_>,
    ) -> Result<Vec<String>, PeopleError> {
        let secret = self.factor_begun(name, by.now).ok_or(PeopleError::Late)?;
        let step = step_of(&secret, code, by.now).ok_or(PeopleError::Wrong)?;
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, name).await?;
        let mut found = found.ok_or(PeopleError::Unknown)?;
        let (factor, codes) = Factor::new(chance, step, by.now);
        found.factor = Some(factor);
        let text = Secret::from(hexadecimal(&secret));
        let kept = store
            .put_secret(&secret_of(name), &text, by.now, None)
            .await;
        kept.map_err(|error| PeopleError::Store(error.to_string()))?;
        self.put(store, &found, by, "admin.factor-on").await?;
        self.tell_sessions(store, name, true, by.now).await;
        self.pending().enrolling.retain(|(one, ..)| one != name);
        Ok(codes)
    }

    /// No code is asked for any more.
    pub(crate) async fn remove_factor(
        &self,
        store: &Store,
        name: &str,
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, name).await?;
        let mut found = found.ok_or(PeopleError::Unknown)?;
        if found.factor.take().is_none() {
            return Ok(());
        }
        self.put(store, &found, by, "admin.factor-off").await?;
        let has = found.has_factor();
        self.tell_sessions(store, name, has, by.now).await;
        let forgotten = store.forget_secret(&secret_of(name), by.now, None).await;
        forgotten.map_err(|error| PeopleError::Store(error.to_string()))
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        let locked = self.0.pending.lock();
        locked.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn read_secret(store: &Store, name: &str) -> Result<Vec<u8>, PeopleError> {
    let read = store.secret(&secret_of(name)).await;
    let read = read.map_err(|error| PeopleError::Store(error.to_string()))?;
    let text = read.ok_or_else(|| {
        let words = "the secret of the second factor is missing; on the server: relais admin reset";
        PeopleError::Store(words.to_owned())
    })?;
    let digit = |one: &u8| char::from(*one).to_digit(16);
    let pairs = text.expose().chunks(2).filter_map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    Ok(pairs.collect())
}
