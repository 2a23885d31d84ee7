//! Passkeys as `people` asks for them: made, shown at sign-in, taken away. One that is shown counts
//! as both factors; after a password it is the second one.
//!
//! Each question counts once, and the answer must come from the name by which the admin centre was
//! reached. Not here: what a ceremony is made of (`passkey`).

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use webauthn_rp::DiscoverableAuthenticationServerState;

use relais_net::clock::{Chance, Moment};
use relais_policy::guessing::MayGuess;
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::coming::How;
use super::passkey::{HANDLE_OCTETS, Making, Passkey, RelyingParty, Shown, ask};
use super::{Administrator, By, People, PeopleError, to_json};
use crate::rates::network;

/// Passkeys of one person: a telephone, a computer, a key in the safe, and those that come after.
pub(crate) const PASSKEYS_MAX: usize = 10;
/// Longest name of one, in characters.
pub(crate) const LABEL_CHARACTERS_MAX: usize = 40;
/// Octets of what a browser answers: keys and signatures are some hundreds, RSA ones some more.
const ANSWER_OCTETS_MAX: usize = 16 * 1024;
/// From the question to the answer. The library's own limit: W3C WebAuthn Level 3 §15.1.
const CEREMONY_LIFE: Duration = Duration::from_secs(5 * 60);
/// Questions at the same time; the oldest goes first.
const CEREMONIES_MAX: usize = 1_000;
/// Questions that one network is asked in a minute: anybody may be.
const QUESTIONS_PER_MINUTE_MAX: u32 = 30;

/// What was asked and not answered yet.
#[derive(Default)]
pub(super) struct Ceremonies {
    signing_in: Vec<(DiscoverableAuthenticationServerState, Timestamp)>,
    /// By the name of the person.
    making: Vec<(String, Making, Timestamp)>,
}

impl Administrator {
    /// Whether a password alone does not let them in.
    pub(crate) fn has_factor(&self) -> bool {
        self.factor.is_some() || !self.passkeys.is_empty()
    }
}

impl People {
    /// Whether anybody has a passkey: only then it is offered.
    pub(crate) async fn anybody_has_passkeys(&self, store: &Store) -> bool {
        let people = self.list(store).await.unwrap_or_default();
        people.iter().any(|one| !one.passkeys.is_empty())
    }

    /// What a browser needs to make a passkey for this person.
    pub(crate) async fn begin_passkey(
        &self,
        (store, chance): (&Store, &Chance),
        party: &RelyingParty,
        (name, label): (&str, &str),
        now: Timestamp,
    ) -> Result<String, PeopleError> {
        let label = label.trim();
        let fits = |one: char| !one.is_control();
        let length = label.chars().count();
        if length == 0 || length > LABEL_CHARACTERS_MAX || !label.chars().all(fits) {
            return Err(PeopleError::PasskeyName);
        }
        let found = self.find(store, name).await?;
        let found = found.ok_or(PeopleError::Unknown)?;
        if found.passkeys.len() >= PASSKEYS_MAX {
            return Err(PeopleError::PasskeysFull);
        }
        let handle = match found.handle.as_deref().map(read_handle) {
            Some(kept) => kept?,
            None => chance.octets(),
        };
        let begun = Making::begin(party, (name, label), handle, &found.passkeys);
        let (making, options) = begun.map_err(PeopleError::Passkey)?;
        let mut ceremonies = self.ceremonies();
        ceremonies
            .making
            .retain(|(one, _, until)| one != name && *until > now);
        let until = now.after(CEREMONY_LIFE);
        ceremonies.making.push((name.to_owned(), making, until));
        Ok(options)
    }

    /// The passkey that their browser made counts from now on; its name.
    pub(crate) async fn confirm_passkey(
        &self,
        store: &Store,
        party: &RelyingParty,
        (name, answer): (&str, &str),
        by: &By<'_>,
    ) -> Result<String, PeopleError> {
        let making = {
            let mut ceremonies = self.ceremonies();
            let at = ceremonies.making.iter().position(|(one, ..)| one == name);
            at.map(|at| ceremonies.making.remove(at))
        };
        let making = making.filter(|(.., until)| *until > by.now);
        let (_, making, _) = making.ok_or(PeopleError::Late)?;
        let made = making.finish(party, bounded(answer)?, by.now);
        let (handle, passkey) = made.map_err(PeopleError::Passkey)?;
        let handle = URL_SAFE_NO_PAD.encode(handle);
        let _changing = self.0.changing.lock().await;
        let everybody = self.list(store).await?;
        let mut known = everybody.iter().flat_map(|one| &one.passkeys);
        if known.any(|one| one.id == passkey.id) {
            return Err(PeopleError::Passkey("it is known already".to_owned()));
        }
        let found = everybody.into_iter().find(|one| one.name == name);
        let mut found = found.ok_or(PeopleError::Unknown)?;
        if found.passkeys.len() >= PASSKEYS_MAX {
            return Err(PeopleError::PasskeysFull);
        }
        if found.handle.as_ref().is_some_and(|kept| *kept != handle) {
            return Err(PeopleError::Late);
        }
        found.handle = Some(handle);
        let label = passkey.name.clone();
        let detail = format!("{name}: {label}, for {}", passkey.place);
        found.passkeys.push(passkey);
        let audit = by.audit("admin.passkey-added", detail);
        let change = ShelfChange::new(Shelf::Administrator, by.now)
            .put(name, to_json(&found))
            .audited(audit);
        store.change_shelf(change).await?;
        self.tell_sessions(store, name, true, by.now).await;
        Ok(label)
    }

    /// One of a person goes, or all of them.
    pub(crate) async fn remove_passkeys(
        &self,
        store: &Store,
        (name, id): (&str, Option<&str>),
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let found = self.find(store, name).await?;
        let mut found = found.ok_or(PeopleError::Unknown)?;
        let goes = |one: &Passkey| id.is_none_or(|id| one.id == id);
        let (gone, stay): (Vec<_>, Vec<_>) = found.passkeys.into_iter().partition(goes);
        if gone.is_empty() {
            return Ok(());
        }
        found.passkeys = stay;
        let gone: Vec<_> = gone.into_iter().map(|one| one.name).collect();
        let detail = format!("{name}: {}", gone.join(", "));
        let change = ShelfChange::new(Shelf::Administrator, by.now)
            .put(name, to_json(&found))
            .audited(by.audit("admin.passkey-removed", detail));
        store.change_shelf(change).await?;
        let has = found.has_factor();
        self.tell_sessions(store, name, has, by.now).await;
        Ok(())
    }

    /// What a browser needs to show a passkey. Anybody is asked, within bounds.
    pub(crate) fn ask_passkey(
        &self,
        party: &RelyingParty,
        (peer, now): (IpAddr, Timestamp),
    ) -> Result<String, PeopleError> {
        let (from, most) = (network(peer), QUESTIONS_PER_MINUTE_MAX);
        let taken = self.0.questions.take(&from, most, Moment::now());
        taken.map_err(|_| PeopleError::Slowed)?;
        let (state, options) = ask(party).map_err(PeopleError::Passkey)?;
        let mut ceremonies = self.ceremonies();
        ceremonies.signing_in.retain(|(_, until)| *until > now);
        if ceremonies.signing_in.len() >= CEREMONIES_MAX {
            ceremonies.signing_in.remove(0);
        }
        let until = now.after(CEREMONY_LIFE);
        ceremonies.signing_in.push((state, until));
        Ok(options)
    }

    /// A passkey is shown: who it is. `pending`: the token of a password that was right before; it
    /// must be that person. Wrong ones are counted for their network: nobody in particular is
    /// guessed.
    pub(crate) async fn show_passkey(
        &self,
        store: &Store,
        party: &RelyingParty,
        (pending, answer): (Option<&str>, &str),
        (peer, now): (IpAddr, Timestamp),
    ) -> Result<(Administrator, How), PeopleError> {
        let passed = || Moment::now().duration_since(self.0.started);
        let may = self.guesses().may_guess("", peer, passed());
        if matches!(may, MayGuess::No { .. }) {
            return Err(PeopleError::Slowed);
        }
        let awaited = match pending {
            Some(token) => Some(self.awaited(token, now).ok_or(PeopleError::Late)?),
            None => None,
        };
        let shown = self.recognise(store, party, (answer, now)).await;
        let shown = shown.and_then(|person| match &awaited {
            Some(name) if *name != person.name => {
                Err(PeopleError::Passkey("it is somebody else's".to_owned()))
            }
            _ => Ok(person),
        });
        if matches!(shown, Err(PeopleError::Passkey(_))) {
            self.guesses().failed("", peer, passed());
        }
        let person = shown?;
        if let Some(token) = pending {
            self.no_longer_await(token);
        }
        let how = match pending {
            Some(_) => How::PasswordAndPasskey,
            None => How::Passkey,
        };
        Ok((person, how))
    }

    /// Whose passkey this is, proven; its counter is kept.
    async fn recognise(
        &self,
        store: &Store,
        party: &RelyingParty,
        (answer, now): (&str, Timestamp),
    ) -> Result<Administrator, PeopleError> {
        let shown = Shown::read(bounded(answer)?).map_err(PeopleError::Passkey)?;
        let asked = {
            let mut ceremonies = self.ceremonies();
            let mut all = ceremonies.signing_in.iter();
            let at = all.position(|(asked, _)| shown.answers(asked));
            at.map(|at| ceremonies.signing_in.remove(at))
        };
        let asked = asked.filter(|(_, until)| *until > now);
        let (asked, _) = asked.ok_or(PeopleError::Late)?;
        let handle = shown.handle().map_err(PeopleError::Passkey)?;
        let _changing = self.0.changing.lock().await;
        let mut people = self.list(store).await?.into_iter();
        let person = people.find(|one| one.handle.as_ref() == Some(&handle));
        let unknown = || PeopleError::Passkey("it is not known here".to_owned());
        let mut person = person.ok_or_else(unknown)?;
        let id = shown.id();
        let mut known = person.passkeys.iter_mut();
        let passkey = known.find(|one| one.id == id).ok_or_else(unknown)?;
        let after = passkey.after(party, asked, &shown, now);
        *passkey = after.map_err(PeopleError::Passkey)?;
        let change =
            ShelfChange::new(Shelf::Administrator, now).put(&person.name, to_json(&person));
        store.change_shelf(change).await?;
        Ok(person)
    }

    fn ceremonies(&self) -> std::sync::MutexGuard<'_, Ceremonies> {
        let locked = self.0.ceremonies.lock();
        locked.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn bounded(answer: &str) -> Result<&str, PeopleError> {
    let fits = answer.len() <= ANSWER_OCTETS_MAX;
    let long = || PeopleError::Passkey("it is too long".to_owned());
    fits.then_some(answer).ok_or_else(long)
}

fn read_handle(kept: &str) -> Result<[u8; HANDLE_OCTETS], PeopleError> {
    let octets = URL_SAFE_NO_PAD.decode(kept).ok();
    let octets = octets.and_then(|octets| octets.try_into().ok());
    octets.ok_or_else(|| PeopleError::Store("the handle of the passkeys is cut".to_owned()))
}

#[cfg(test)]
mod tests;
