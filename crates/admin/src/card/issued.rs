//! Cards that somebody has: those with a code that leads to the page that waits, those sent by
//! mail, those with a password on them. Each has its days, and can be revoked before they end. Of a
//! code only the hash is kept, of a password only a mark by which it is known again.
//!
//! A card is its connector's: when that is removed its cards end, and another connector of the same
//! name does not have them. One whose days are over stays as long as the password on it counts: who
//! looks for it can still revoke it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use relais_policy::document::{Credential, Document};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange, ShelfEntry};
use relais_store::store::Store;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::context::{AdminContext, Caller};
use crate::people::{hash_of, hexadecimal};

/// How long a card's code leads somewhere where nothing is chosen: a technician comes within a
/// week.
pub(crate) const DAYS_DEFAULT: u64 = 7;
/// The longest choice: a month of devices that are still to be delivered.
pub(crate) const DAYS_MAX: u64 = 30;
/// Cards of one organisation whose days are not over. None of all: one organisation could use it
/// up.
const CARDS_MAX: usize = 500;
/// Longest token that is looked at, in characters.
const TOKEN_MAX: usize = 64;
/// Longest address of ours, as a person reached us, in characters.
const ORIGIN_MAX: usize = 200;

/// Held from counting to writing, so that many at once are no more than the bound.
static ISSUING: Mutex<()> = Mutex::const_new(());

/// Why there is no card.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// None is taken away for a new one: somebody has it in hand.
    #[error(
        "{0} has {CARDS_MAX} cards whose days are not over: revoke some, or give them fewer days."
    )]
    TooMany(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A card, and where its code leads.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Issued {
    pub(crate) organisation: String,
    pub(crate) connector: String,
    /// `https://relay.example.com:8443`, as the person who made it reached us; empty: no code.
    #[serde(default)]
    pub(crate) origin: String,
    /// The one device that it is about; none: all of the connector.
    #[serde(default)]
    pub(crate) device: Option<IpAddr>,
    /// In milliseconds since 1970.
    pub(crate) until: i64,
    /// Who made it.
    #[serde(default)]
    pub(crate) by: String,
    /// To whom it was sent.
    #[serde(default)]
    pub(crate) sent_to: String,
    /// The user whose password stands on it.
    #[serde(default)]
    pub(crate) password_of: String,
    /// See [`mark_of`].
    #[serde(default)]
    pub(crate) password_mark: String,
}

impl Issued {
    /// For so many days, within their bounds.
    pub(crate) fn new(named: (&str, &str), days: u64, now: Timestamp) -> Self {
        let days = days.clamp(1, DAYS_MAX);
        Self {
            organisation: named.0.to_owned(),
            connector: named.1.to_owned(),
            origin: String::new(),
            device: None,
            until: now.after(Duration::from_secs(days * 86_400)).as_millis(),
            by: String::new(),
            sent_to: String::new(),
            password_of: String::new(),
            password_mark: String::new(),
        }
    }

    pub(crate) fn ends(&self) -> Timestamp {
        Timestamp::from_millis(self.until)
    }

    /// Where its code leads.
    pub(crate) fn address(&self, token: &str) -> String {
        format!("{}/wait/{token}", self.origin)
    }
}

/// Whether a card's code may begin with this: the beginning of an address, and nothing more.
pub(crate) fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"));
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-.:[]_".contains(one);
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain))
        && text.len() <= ORIGIN_MAX
}

/// By which a password is known again without being kept: the hash of what is stored of it.
pub(crate) fn mark_of(password_hash: &str) -> String {
    hash_of(password_hash)
}

/// Whether the password on this card still counts, or counts beside the new one.
fn still_counts(card: &Issued, credential: &Credential) -> bool {
    let hashes = [
        &credential.password_hash,
        &credential.previous_password_hash,
    ];
    let mut hashes = hashes.into_iter().filter(|hash| !hash.is_empty());
    hashes.any(|hash| mark_of(hash) == card.password_mark)
}

/// Whether there is a password on it that still counts.
pub(crate) fn password_counts(card: &Issued, settings: &Settings) -> bool {
    let credential = settings.credential(&card.password_of);
    credential.is_some_and(|(_, credential)| still_counts(card, credential))
}

/// Keeps a card; its token is told this once.
pub(crate) async fn issue(
    context: &AdminContext,
    caller: &Caller,
    mut card: Issued,
    act: &'static str,
) -> Result<String, IssueError> {
    let (store, now) = (&context.store, context.clock.now());
    card.by = caller.actor.to_string();
    let _turn = ISSUING.lock().await;
    let mut before = store.shelf(Shelf::WaitingLink).await?;
    before.sort_by_key(|entry| std::cmp::Reverse(entry.since));
    let settings = store.settings();
    // Of cards that are over, one is enough to revoke the password by.
    let mut passwords = HashSet::from([card.password_mark.clone()]);
    let (mut gone, mut count) = (Vec::new(), 0);
    for entry in before {
        let Some(found) = read(&entry) else {
            gone.push(entry.key);
            continue;
        };
        let is_first = passwords.insert(found.password_mark.clone());
        if found.ends() > now {
            count += usize::from(found.organisation == card.organisation);
        } else if !is_first || !password_counts(&found, &settings) {
            gone.push(entry.key);
        }
    }
    if count >= CARDS_MAX {
        return Err(IssueError::TooMany(card.organisation));
    }
    let token = hexadecimal(&context.chance.octets::<16>());
    let value = serde_json::to_string(&card).unwrap_or_default();
    let mut change = ShelfChange::new(Shelf::WaitingLink, now)
        .put(hash_of(&token), value)
        .audited(audit(caller, act, &card));
    change.taken = gone;
    store.change_shelf(change).await?;
    Ok(token)
}

fn audit(caller: &Caller, act: &'static str, card: &Issued) -> ShelfAudit {
    let mut detail = vec![
        format!(
            "organisation {}, inbound connector {}",
            card.organisation, card.connector
        ),
        format!("until {}", card.ends().to_rfc3339()),
    ];
    let told = [
        (
            "device",
            card.device.map(|it| it.to_string()).unwrap_or_default(),
        ),
        ("sent to", card.sent_to.clone()),
        ("with the password of", card.password_of.clone()),
    ];
    let told = told.into_iter().filter(|(_, what)| !what.is_empty());
    detail.extend(told.map(|(name, what)| format!("{name} {what}")));
    ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail,
    }
}

/// Where a token leads; `None`: nowhere, or no more.
pub(crate) async fn leads_to(context: &AdminContext, token: &str) -> Option<Issued> {
    if token.is_empty() || token.len() > TOKEN_MAX {
        return None;
    }
    let store = &context.store;
    let value = store.shelf_value(Shelf::WaitingLink, &hash_of(token)).await;
    let card: Issued = serde_json::from_str(&value.ok()??).ok()?;
    let leads = card.ends() > context.clock.now() && !card.origin.is_empty();
    leads.then_some(card)
}

/// The cards of a connector that have not ended, or whose password still counts, the newest first,
/// each with what names it.
pub(crate) async fn all_of(
    context: &AdminContext,
    named: (&str, &str),
) -> Result<Vec<(String, Timestamp, Issued)>, StoreError> {
    let (now, settings) = (context.clock.now(), context.store.settings());
    let mut entries = context.store.shelf(Shelf::WaitingLink).await?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.since));
    let told = entries.into_iter().filter_map(|entry| {
        let card = read(&entry)?;
        let is_of = (&*card.organisation, &*card.connector) == named;
        let counts = card.ends() > now || password_counts(&card, &settings);
        (is_of && counts).then_some((entry.key, entry.since, card))
    });
    Ok(told.collect())
}

/// Ends a card.
pub(crate) async fn revoke(
    context: &AdminContext,
    caller: &Caller,
    (id, card): (&str, &Issued),
) -> Result<(), StoreError> {
    let change = ShelfChange::new(Shelf::WaitingLink, context.clock.now())
        .take(id)
        .audited(audit(caller, "card.revoked", card));
    context.store.change_shelf(change).await
}

/// Ends the cards of connectors that are not there: of those that were removed just now, or, at the
/// start, before the server died.
pub(crate) async fn end_of_gone(
    store: &Store,
    after: &Document,
    now: Timestamp,
) -> Result<(), StoreError> {
    let entries = store.shelf(Shelf::WaitingLink).await?;
    let is_there = |card: &Issued| {
        let mut owners = after.organisation.iter();
        let owner = owners.find(|owner| owner.name == card.organisation);
        owner.is_some_and(|owner| {
            let mut all = owner.inbound_connector.iter();
            all.any(|one| one.name == card.connector)
        })
    };
    let gone = entries
        .iter()
        .filter(|entry| read(entry).is_none_or(|card| !is_there(&card)));
    let gone: Vec<_> = gone.map(|entry| entry.key.clone()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let mut change = ShelfChange::new(Shelf::WaitingLink, now);
    change.taken = gone;
    store.change_shelf(change).await
}

fn read(entry: &ShelfEntry) -> Option<Issued> {
    serde_json::from_str(&entry.value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_begins_with_an_address_of_a_server_and_nothing_else() {
        for good in [
            "https://relay.contoso.test:8443",
            "http://[::1]:8080",
            "http://10.0.0.1",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "javascript:alert(1)",
            "https://relay.test/path",
            "https://a@relay.test",
            "https://relay.test\" onload=",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn days_are_bounded_and_a_password_is_known_by_its_mark() {
        let now = Timestamp::from_millis(0);
        let ends = |days| Issued::new(("contoso", "Printers"), days, now).until;
        assert_eq!(ends(7), 7 * 86_400_000);
        assert_eq!((ends(0), ends(400)), (86_400_000, 30 * 86_400_000));
        let mut credential = Credential::new("scan-1", "Printers");
        credential.password_hash = "$argon2id$one".to_owned();
        let card = Issued {
            password_mark: mark_of("$argon2id$one"),
            ..Issued::new(("contoso", "Printers"), 7, now)
        };
        assert!(still_counts(&card, &credential));
        credential.previous_password_hash =
            std::mem::replace(&mut credential.password_hash, "$argon2id$two".to_owned());
        assert!(
            still_counts(&card, &credential),
            "it counts beside the new one"
        );
        credential.previous_password_hash.clear();
        assert!(!still_counts(&card, &credential));
        let nobody = Credential::new("scan-1", "Printers");
        let blank = Issued {
            password_mark: mark_of(""),
            ..card
        };
        assert!(!still_counts(&blank, &nobody), "no password is none");
    }
}
