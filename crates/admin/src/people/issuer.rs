//! Signing in with an issuer (OpenID Connect): which one, what its words mean here, and sign-ins
//! under way. Nothing is in force that was not tried first, and local passwords always count.
//!
//! Not here: the protocol (`relais_net::sign_in`), and the pages (`web/sso.rs`).

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use relais_net::clock::{Chance, Moment};
use relais_net::oidc::is_safe;
use relais_net::sign_in::{Identity, Provider, SignInClient, SignInFault};
use relais_policy::settings::Settings;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::secret::{SecretKind, SecretName};
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;

use super::coming::{How, local_name};
use super::{Administrator, By, People, PeopleError, Place, hash_of, to_json};
use crate::permission::Role;
use crate::rates::network;

/// Where the issuer sends people back to, behind the address of the admin centre.
pub(crate) const BACK: &str = "/sign-in/back";
/// A sign-in may take so long: passwords, codes and consents are typed meanwhile.
pub(crate) const SIGN_IN_LIFE: Duration = Duration::from_secs(10 * 60);
/// Sign-ins under way at the same time; the oldest goes first.
const UNDER_WAY_MAX: usize = 1_000;
/// Sign-ins that one network begins in a minute: each asks the issuer, and anybody may begin one.
const BEGINNINGS_PER_MINUTE_MAX: u32 = 30;
/// Lines of the mapping.
const RULES_MAX: usize = 200;
/// Octets of an address or a name.
const TEXT_OCTETS_MAX: usize = 512;

/// What a value of the claim means here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Meaning {
    pub(crate) value: String,
    #[serde(flatten)]
    pub(crate) place: Place,
}

/// One issuer as it is set up.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct SignIn {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// Address of the admin centre as browsers know it.
    pub(crate) centre: String,
    /// Which claim tells roles.
    pub(crate) claim: String,
    /// The first that fits counts.
    pub(crate) meanings: Vec<Meaning>,
    /// What a try showed: the person and their role; none: not tried as it is.
    #[serde(default)]
    pub(crate) tried: Option<String>,
}

impl SignIn {
    /// For the protocol.
    pub(crate) fn provider(&self) -> Provider {
        Provider {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            redirect_uri: self.redirect_uri(),
        }
    }

    /// To be copied to the issuer, exactly.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}{BACK}", self.centre.trim_end_matches('/'))
    }

    fn check(&self, settings: &Settings) -> Result<(), PeopleError> {
        let texts = [&self.issuer, &self.client_id, &self.centre, &self.claim];
        let fits = |text: &&String| !text.is_empty() && text.len() <= TEXT_OCTETS_MAX;
        let is_complete = texts.iter().all(fits) && !self.meanings.is_empty();
        if !is_complete || self.meanings.len() > RULES_MAX {
            return Err(PeopleError::Incomplete);
        }
        if !is_safe(&self.issuer) || !is_safe(&self.centre) {
            return Err(PeopleError::NotHttps);
        }
        for meaning in &self.meanings {
            meaning.place.clone().checked(settings)?;
        }
        Ok(())
    }

    /// The place of whoever came back; `None`: no value of the claim means anything here.
    pub(crate) fn place(&self, identity: &Identity) -> Option<Place> {
        let values = identity.values(&self.claim);
        let mut meanings = self.meanings.iter();
        let found = meanings.find(|one| values.contains(&one.value.as_str()));
        found.map(|one| one.place.clone())
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Which {
    /// In force.
    InForce,
    /// Being set up.
    Draft,
}

impl Which {
    fn key(self) -> &'static str {
        match self {
            Self::InForce => "oidc",
            Self::Draft => "oidc draft",
        }
    }

    fn secret(self) -> SecretName {
        SecretName::new("", SecretKind::SignIn, self.key())
    }
}

/// A sign-in under way.
pub(super) struct UnderWay {
    state: String,
    nonce: String,
    verifier: String,
    which: Which,
    /// To whom the person was sent: the code is redeemed nowhere else.
    provider: Provider,
    next: String,
    until: Timestamp,
}

/// How a sign-in ended.
pub(crate) enum Returned {
    /// Somebody comes in so, and goes on to this path.
    Person(Box<Administrator>, How, String),
    /// A draft was tried, and gave a role.
    Tried,
}

impl People {
    /// With the hands to ask issuers; set once, at start.
    pub fn with_sign_in(self, client: SignInClient) -> Self {
        let _ = self.0.client.set(client);
        self
    }

    /// One of the two, if it is set up.
    pub(crate) async fn sign_in_by(
        &self,
        store: &Store,
        which: Which,
    ) -> Result<Option<SignIn>, PeopleError> {
        let value = store.shelf_value(Shelf::SignIn, which.key()).await?;
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// A draft in place of any before. `secret`: `None` keeps the one that is kept.
    pub(crate) async fn draft_sign_in(
        &self,
        store: &Store,
        (draft, secret): (SignIn, Option<&str>),
        by: &By<'_>,
    ) -> Result<SignIn, PeopleError> {
        draft.check(&store.settings())?;
        let draft = SignIn {
            tried: None,
            ..draft
        };
        let _changing = self.0.changing.lock().await;
        let kept = match secret {
            Some(secret) => Some(Secret::from(secret.to_owned())),
            None => self.secret_for(store, &draft).await?,
        };
        move_secret(store, Which::Draft, kept.as_ref(), by.now).await?;
        let change = ShelfChange::new(Shelf::SignIn, by.now)
            .put(Which::Draft.key(), to_json(&draft))
            .audited(by.audit("sign-in.drafted", told(&draft)));
        store.change_shelf(change).await?;
        Ok(draft)
    }

    /// The secret that is kept, if it is this issuer's: no other one gets to know it.
    async fn secret_for(
        &self,
        store: &Store,
        draft: &SignIn,
    ) -> Result<Option<Secret>, PeopleError> {
        for which in [Which::Draft, Which::InForce] {
            let kept = self.sign_in_by(store, which).await?;
            let is_same = |kept: &SignIn| {
                (&kept.issuer, &kept.client_id) == (&draft.issuer, &draft.client_id)
            };
            if kept.as_ref().is_some_and(is_same)
                && let Some(secret) = read(store, which).await?
            {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    /// The draft is in force from now on, if it was tried, and somebody can come in without it.
    pub(crate) async fn adopt_sign_in(
        &self,
        store: &Store,
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let draft = self.sign_in_by(store, Which::Draft).await?;
        let draft = draft.filter(|draft| draft.tried.is_some());
        let draft = draft.ok_or(PeopleError::Untried)?;
        let people = self.list(store).await?;
        let breaks_glass =
            |one: &Administrator| one.role == Role::Owner && one.organisation.is_none();
        if !people.iter().any(breaks_glass) {
            return Err(PeopleError::NoLocalOwner);
        }
        let secret = read(store, Which::Draft).await?;
        move_secret(store, Which::InForce, secret.as_ref(), by.now).await?;
        let before = self.sign_in_by(store, Which::InForce).await?;
        let before = before.map_or_else(|| "none".to_owned(), |before| told(&before));
        let detail = format!("{before} -> {}", told(&draft));
        let change = ShelfChange::new(Shelf::SignIn, by.now)
            .put(Which::InForce.key(), to_json(&draft))
            .take(Which::Draft.key())
            .audited(by.audit("sign-in.changed", detail));
        store.change_shelf(change).await?;
        // What they may do may have changed.
        self.end_sso(store, by.now).await;
        Ok(())
    }

    /// Local passwords alone count again; who came in by the issuer is signed out.
    pub(crate) async fn remove_sign_in(
        &self,
        store: &Store,
        by: &By<'_>,
    ) -> Result<(), PeopleError> {
        let _changing = self.0.changing.lock().await;
        let before = self.sign_in_by(store, Which::InForce).await?;
        let before = before.ok_or(PeopleError::NoIssuer)?;
        let detail = format!("{} -> none", told(&before));
        let change = ShelfChange::new(Shelf::SignIn, by.now)
            .take(Which::InForce.key())
            .take(Which::Draft.key())
            .audited(by.audit("sign-in.removed", detail));
        store.change_shelf(change).await?;
        let names = [Which::InForce.secret(), Which::Draft.secret()];
        store.forget_secrets(&names, by.now, None).await?;
        self.end_sso(store, by.now).await;
        Ok(())
    }

    /// Where the person goes to sign in, and the state that their browser keeps meanwhile.
    pub(crate) async fn begin_sign_in(
        &self,
        store: &Store,
        chance: &Chance,
        (which, next): (Which, &str),
        (peer, now): (IpAddr, Timestamp),
    ) -> Result<(String, String), PeopleError> {
        let found = self.sign_in_by(store, which).await?;
        let found = found.ok_or(PeopleError::NoIssuer)?;
        let (from, most) = (network(peer), BEGINNINGS_PER_MINUTE_MAX);
        let taken = self.0.beginnings.take(&from, most, Moment::now());
        taken.map_err(|_| PeopleError::Slowed)?;
        let fresh = [chance.octets(), chance.octets(), chance.octets()];
        let provider = found.provider();
        let begun = self.client()?.begin(&provider, fresh).await?;
        let mut under_way = self.under_way();
        under_way.retain(|one| one.until > now);
        if under_way.len() >= UNDER_WAY_MAX {
            under_way.remove(0);
        }
        under_way.push(UnderWay {
            state: hash_of(&begun.state),
            nonce: begun.nonce,
            verifier: begun.verifier,
            which,
            provider,
            next: next.to_owned(),
            until: now.after(SIGN_IN_LIFE),
        });
        Ok((begun.address, begun.state))
    }

    /// Somebody came back with a code. Their state counts once.
    pub(crate) async fn end_sign_in(
        &self,
        store: &Store,
        (state, code): (&str, &str),
        now: Timestamp,
    ) -> Result<Returned, PeopleError> {
        let hash = hash_of(state);
        let one = {
            let mut under_way = self.under_way();
            let at = under_way.iter().position(|one| one.state == hash);
            at.map(|at| under_way.remove(at))
        };
        let one = one.filter(|one| one.until > now).ok_or(PeopleError::Late)?;
        let found = self.sign_in_by(store, one.which).await?;
        let found = found.filter(|found| found.provider() == one.provider);
        let found = found.ok_or(PeopleError::Late)?;
        let secret = read(store, one.which).await?;
        let secret = secret
            .as_ref()
            .map(|secret| String::from_utf8_lossy(secret.expose()));
        let shown = (one.nonce.as_str(), one.verifier.as_str());
        let identity = self
            .client()?
            .finish(&one.provider, secret.as_deref(), code, shown)
            .await?;
        let place = found.place(&identity);
        if one.which == Which::Draft {
            return self.note_try(store, (found, place), &identity, now).await;
        }
        let place = place.ok_or_else(|| PeopleError::NoRole(identity.name.clone()))?;
        let place = place.checked(&store.settings())?;
        let name = local_name(&identity.name);
        let person = Administrator::of_issuer(&name, place, None);
        let how = How::Issuer {
            issuer: one.provider.issuer,
            subject: identity.subject,
            leave: identity.leave,
        };
        Ok(Returned::Person(Box::new(person), how, one.next))
    }

    /// A try that gave a role is written down: only then the draft may come into force.
    async fn note_try(
        &self,
        store: &Store,
        (mut draft, place): (SignIn, Option<Place>),
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Returned, PeopleError> {
        let values = identity.values(&draft.claim).join(", ");
        let claim = draft.claim.clone();
        let shown = format!("{}: {claim} = [{values}]", identity.name);
        let Some(place) = place else {
            return Err(PeopleError::NoRoleByDraft(shown));
        };
        let _changing = self.0.changing.lock().await;
        // What was written meanwhile was not tried.
        let still = self.sign_in_by(store, Which::Draft).await?;
        if still.as_ref() != Some(&draft) {
            return Err(PeopleError::Late);
        }
        draft.tried = Some(format!("{shown} → {}", place.role.name()));
        let change = ShelfChange::new(Shelf::SignIn, now).put(Which::Draft.key(), to_json(&draft));
        store.change_shelf(change).await?;
        Ok(Returned::Tried)
    }

    fn client(&self) -> Result<&SignInClient, PeopleError> {
        let client = self.0.client.get();
        client.ok_or_else(|| PeopleError::IssuerAway("there is no running server".to_owned()))
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, Vec<UnderWay>> {
        let locked = self.0.under_way.lock();
        locked.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl From<SignInFault> for PeopleError {
    fn from(fault: SignInFault) -> Self {
        let words = fault.to_string();
        match fault {
            SignInFault::Refused(_) => Self::Issuer(words),
            SignInFault::Unavailable(_) => Self::IssuerAway(words),
        }
    }
}

async fn read(store: &Store, which: Which) -> Result<Option<Secret>, PeopleError> {
    let read = store.secret(&which.secret()).await;
    read.map_err(|error| PeopleError::Store(error.to_string()))
}

/// In place of any before; where there is none, none is kept either.
async fn move_secret(
    store: &Store,
    which: Which,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Result<(), PeopleError> {
    let name = which.secret();
    let Some(secret) = secret else {
        return Ok(store.forget_secret(&name, now, None).await?);
    };
    let kept = store.put_secret(&name, secret, now, None).await;
    kept.map_err(|error| PeopleError::Store(error.to_string()))
}

fn told(one: &SignIn) -> String {
    let meanings = one.meanings.iter();
    let meanings: Vec<_> = meanings
        .map(|one| format!("{} = {}", one.value, one.place.told()))
        .collect();
    let meanings = meanings.join("; ");
    format!(
        "{} as {}, {}: {meanings}",
        one.issuer, one.client_id, one.claim
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meaning(value: &str, role: Role, organisation: Option<&str>) -> Meaning {
        Meaning {
            value: value.to_owned(),
            place: Place {
                role,
                organisation: organisation.map(ToOwned::to_owned),
                connector: None,
            },
        }
    }

    #[test]
    fn the_first_meaning_that_fits_counts_and_unknown_values_are_nobody() {
        let found = SignIn {
            claim: "roles".to_owned(),
            meanings: vec![
                meaning("Relais.Owner", Role::Owner, None),
                meaning("Relais.Desk", Role::Helpdesk, Some("contoso")),
            ],
            ..SignIn::default()
        };
        let role = |claims: serde_json::Value| {
            let identity = Identity {
                subject: "1".to_owned(),
                name: "anna".to_owned(),
                claims: claims.as_object().cloned().unwrap_or_default(),
                leave: None,
            };
            found.place(&identity).map(|place| place.role)
        };
        assert_eq!(
            role(json!({ "roles": ["x", "Relais.Desk"] })),
            Some(Role::Helpdesk)
        );
        let both = json!({ "roles": ["Relais.Desk", "Relais.Owner"] });
        assert_eq!(role(both), Some(Role::Owner));
        assert_eq!(role(json!({ "roles": "Relais.Owner" })), Some(Role::Owner));
        for nobody in [
            json!({}),
            json!({ "roles": ["relais.owner"] }),
            json!({ "roles": 7 }),
        ] {
            assert_eq!(role(nobody), None);
        }
    }
}
