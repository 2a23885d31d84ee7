//! Webhooks after Standard Webhooks 1.0: events of the trace, posted as they happen, signed with
//! HMAC-SHA256, tried again over a day, and kept for people to see and send again.
//!
//! A key is made here and told once; after a rotation the old one signs beside the new one for a
//! day, so that a receiver misses nothing. What waits is on a shelf and survives a restart.
//!
//! Not here: the posts themselves (`posting`, `relais_net::web::hooks`).

pub mod outbox;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use relais_net::clock::Chance;
use relais_net::web::hooks::check_address;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::queue::StoreError;
use relais_store::secret::{SecretError, SecretKind, SecretName};
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind};

use crate::people::hexadecimal;

/// Webhooks of one installation.
const WEBHOOKS_MAX: usize = 100;
/// Longest name, in octets.
const NAME_OCTETS_MAX: usize = 64;
/// Longest address, in octets.
const ADDRESS_OCTETS_MAX: usize = 2_048;
/// Octets of a key: Standard Webhooks wants 24 to 64.
const KEY_OCTETS: usize = 32;
/// For so long the old key signs beside the new one.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// Pauses before each further try, in seconds. Those that Standard Webhooks recommends.
const PAUSES: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000, 50_400, 72_000];
/// Tries that are kept with a delivery.
const TRIES_KEPT_MAX: usize = 1 + PAUSES.len();

/// A webhook as stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
    /// Names of events; empty: all but those of each single attempt.
    pub(crate) events: Vec<String>,
    /// Only events of this organisation.
    pub(crate) organisation: Option<String>,
    /// It may lead to private addresses, and speak HTTP in clear.
    pub(crate) allow_private: bool,
    pub(crate) enabled: bool,
    /// Why it was switched off by itself.
    pub(crate) fault: Option<String>,
    /// RFC 3339.
    pub(crate) since: String,
    /// Until then the old key signs too; milliseconds.
    pub(crate) overlap_until_ms: Option<i64>,
}

impl Webhook {
    /// Whether it wants to know.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let is_own = match &self.organisation {
            None => true,
            Some(own) => event.organisation.as_deref() == Some(own),
        };
        let is_wanted = match self.events.as_slice() {
            [] => event.kind != EventKind::DeliveryAttempted,
            names => names.iter().any(|name| name == event.kind.name()),
        };
        self.enabled && is_own && is_wanted
    }

    fn secret_name(&self, is_old: bool) -> SecretName {
        let name = if is_old {
            format!("{} old", self.id)
        } else {
            self.id.clone()
        };
        let organisation = self.organisation.clone().unwrap_or_default();
        SecretName::new(organisation, SecretKind::WebhookKey, name)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }
}

/// What a webhook is to be.
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) events: Vec<String>,
    pub(crate) organisation: Option<String>,
    pub(crate) allow_private: bool,
}

/// Why not.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("{0}")]
    Wish(String),
    #[error("there are {WEBHOOKS_MAX} webhooks already")]
    TooMany,
    #[error("there is no webhook {0}")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Who, by which door, when.
pub(crate) struct By<'a> {
    pub(crate) actor: &'a str,
    pub(crate) via: Via,
    pub(crate) now: Timestamp,
}

impl By<'_> {
    fn audit(&self, act: &'static str, hook: &Webhook) -> ShelfAudit {
        ShelfAudit {
            actor: self.actor.to_owned(),
            via: self.via,
            act,
            detail: vec![format!("{} ({}): {}", hook.name, hook.id, hook.address)],
        }
    }
}

/// All of them, by name.
pub(crate) async fn list(store: &Store) -> Result<Vec<Webhook>, StoreError> {
    let entries = store.shelf(Shelf::Webhook).await?;
    let hooks = entries.iter();
    let hooks = hooks.filter_map(|entry| serde_json::from_str::<Webhook>(&entry.value).ok());
    let mut hooks: Vec<_> = hooks.collect();
    hooks.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(hooks)
}

pub(crate) async fn find(store: &Store, id: &str) -> Result<Webhook, WebhookError> {
    let value = store.shelf_value(Shelf::Webhook, id).await?;
    let found = value.and_then(|value| serde_json::from_str(&value).ok());
    found.ok_or_else(|| WebhookError::Unknown(id.to_owned()))
}

/// Makes one; its key is told this once.
pub(crate) async fn add(
    store: &Store,
    chance: &Chance,
    wish: Wish,
    by: &By<'_>,
) -> Result<(Webhook, String), WebhookError> {
    check(&wish)?;
    if list(store).await?.len() >= WEBHOOKS_MAX {
        return Err(WebhookError::TooMany);
    }
    let hook = Webhook {
        id: hexadecimal(&chance.octets::<5>()),
        name: wish.name.trim().to_owned(),
        address: wish.address,
        events: wish.events,
        organisation: wish.organisation,
        allow_private: wish.allow_private,
        enabled: true,
        fault: None,
        since: by.now.to_rfc3339(),
        overlap_until_ms: None,
    };
    // First the key: a webhook without one could sign nothing.
    let key = chance.octets::<KEY_OCTETS>();
    let secret = Secret::new(key);
    store
        .put_secret(&hook.secret_name(false), &secret, by.now, None)
        .await?;
    put(store, &hook, by.now, Some(by.audit("webhook.added", &hook))).await?;
    Ok((hook, told(&key)))
}

/// `whsec_…`, as libraries of Standard Webhooks take it.
fn told(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

fn check(wish: &Wish) -> Result<(), WebhookError> {
    let no = |words: String| Err(WebhookError::Wish(words));
    let name = wish.name.trim();
    if name.is_empty() || name.len() > NAME_OCTETS_MAX || name.chars().any(char::is_control) {
        return no(format!(
            "a webhook's name has 1 to {NAME_OCTETS_MAX} octets"
        ));
    }
    let is_good = check_address(&wish.address, wish.allow_private).is_ok();
    if !is_good || wish.address.len() > ADDRESS_OCTETS_MAX {
        return no(
            "an address is https:// and a public host, without user and password; private ones, \
             and http://, only where that is allowed for this webhook"
                .to_owned(),
        );
    }
    let mut events = wish.events.iter();
    match events.find(|name| EventKind::from_name(name).is_none()) {
        Some(name) => no(format!("there is no event {name}")),
        None => Ok(()),
    }
}

/// A new key, told this once; the old one signs too for a day.
pub(crate) async fn rotate(
    store: &Store,
    chance: &Chance,
    id: &str,
    by: &By<'_>,
) -> Result<(Webhook, String), WebhookError> {
    let mut hook = find(store, id).await?;
    if let Some(old) = store.secret(&hook.secret_name(false)).await? {
        store
            .put_secret(&hook.secret_name(true), &old, by.now, None)
            .await?;
    }
    let key = chance.octets::<KEY_OCTETS>();
    let secret = Secret::new(key);
    store
        .put_secret(&hook.secret_name(false), &secret, by.now, None)
        .await?;
    hook.overlap_until_ms = Some(by.now.after(OVERLAP).as_millis());
    put(
        store,
        &hook,
        by.now,
        Some(by.audit("webhook.rotated", &hook)),
    )
    .await?;
    Ok((hook, told(&key)))
}

/// Switches it on, or off.
pub(crate) async fn switch(
    store: &Store,
    id: &str,
    enabled: bool,
    by: &By<'_>,
) -> Result<Webhook, WebhookError> {
    let mut hook = find(store, id).await?;
    (hook.enabled, hook.fault) = (enabled, None);
    let act = if enabled {
        "webhook.enabled"
    } else {
        "webhook.disabled"
    };
    put(store, &hook, by.now, Some(by.audit(act, &hook))).await?;
    Ok(hook)
}

/// Takes it away, with its keys; what waits for it goes with it when its time comes.
pub(crate) async fn remove(store: &Store, id: &str, by: &By<'_>) -> Result<Webhook, WebhookError> {
    let hook = find(store, id).await?;
    let change = ShelfChange::new(Shelf::Webhook, by.now)
        .take(&hook.id)
        .audited(by.audit("webhook.removed", &hook));
    store.change_shelf(change).await?;
    let keys = [hook.secret_name(false), hook.secret_name(true)];
    store.forget_secrets(&keys, by.now, None).await?;
    Ok(hook)
}

pub(crate) async fn put(
    store: &Store,
    hook: &Webhook,
    now: Timestamp,
    audit: Option<ShelfAudit>,
) -> Result<(), StoreError> {
    let mut change = ShelfChange::new(Shelf::Webhook, now).put(&hook.id, hook.to_json());
    change.audit = audit;
    store.change_shelf(change).await
}

/// The keys that sign now.
pub(crate) async fn keys_of(
    store: &Store,
    hook: &Webhook,
    now: Timestamp,
) -> Result<Vec<Secret>, SecretError> {
    let is_overlapping = hook
        .overlap_until_ms
        .is_some_and(|until| now.as_millis() < until);
    let mut keys = Vec::new();
    keys.extend(store.secret(&hook.secret_name(false)).await?);
    if is_overlapping {
        keys.extend(store.secret(&hook.secret_name(true)).await?);
    }
    Ok(keys)
}

/// `v1,…` for each key, parted by spaces. Standard Webhooks, "Signature scheme".
pub(crate) fn signature(keys: &[Secret], id: &str, seconds: i64, body: &str) -> String {
    let signed = format!("{id}.{seconds}.{body}");
    let sign = |key: &Secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DeliveryState {
    Waiting,
    Delivered,
    /// Given up.
    Failed,
}

/// One try.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Try {
    pub(crate) at: String,
    pub(crate) status: Option<u16>,
    /// What the server said, or why it said nothing.
    pub(crate) said: String,
}

/// One event for one webhook, as stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Delivery {
    /// `msg_…`: the same at each try, so that a receiver knows a repeat.
    pub(crate) id: String,
    pub(crate) hook: String,
    /// The event's name.
    pub(crate) kind: String,
    pub(crate) body: String,
    pub(crate) state: DeliveryState,
    pub(crate) began_ms: i64,
    /// When it is tried next; milliseconds.
    pub(crate) next_ms: i64,
    pub(crate) tries: Vec<Try>,
}

impl Delivery {
    pub(crate) fn new(hook: &Webhook, kind: &str, data: &str, id: String, now: Timestamp) -> Self {
        let time = now.to_rfc3339();
        Self {
            id,
            hook: hook.id.clone(),
            kind: kind.to_owned(),
            body: format!("{{\"type\":\"{kind}\",\"timestamp\":\"{time}\",\"data\":{data}}}"),
            state: DeliveryState::Waiting,
            began_ms: now.as_millis(),
            next_ms: now.as_millis(),
            tries: Vec::new(),
        }
    }

    /// What follows from a try. `Some`: the webhook wants nothing any more (410).
    pub(crate) fn tried(&mut self, status: Option<u16>, said: &str, jitter: u64, now: Timestamp) {
        self.tries.push(Try {
            at: now.to_rfc3339(),
            status,
            said: said.to_owned(),
        });
        if self.tries.len() > TRIES_KEPT_MAX {
            self.tries.remove(0);
        }
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        let pause = PAUSES.get(self.tries.len() - 1);
        self.state = match (is_taken, pause) {
            (true, _) => DeliveryState::Delivered,
            (false, Some(_)) if status != Some(410) => DeliveryState::Waiting,
            (false, _) => DeliveryState::Failed,
        };
        // Up to a tenth later, so that what failed together does not come together.
        let pause = pause.copied().unwrap_or_default();
        let pause = pause + jitter % (pause / 10 + 1);
        self.next_ms = now.after(Duration::from_secs(pause)).as_millis();
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        let key = STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .expect("base64");
        let key = Secret::new(key);
        let made = signature(
            std::slice::from_ref(&key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signature(&[key.clone(), key], "a", 1, "b");
        assert_eq!(two.split(' ').count(), 2, "one for each key");
    }

    fn hook(events: &[&str], organisation: Option<&str>) -> Webhook {
        Webhook {
            id: "0123456789".to_owned(),
            name: "siem".to_owned(),
            address: "https://hooks.example.org/".to_owned(),
            events: events.iter().map(ToString::to_string).collect(),
            organisation: organisation.map(ToOwned::to_owned),
            allow_private: false,
            enabled: true,
            fault: None,
            since: String::new(),
            overlap_until_ms: None,
        }
    }

    #[test]
    fn a_webhook_gets_the_events_it_wants_of_its_own_organisation_only() {
        let at = Timestamp::from_millis(0);
        let mut event = Event::new(at, EventKind::RecipientFailed);
        event.organisation = Some("contoso".into());
        let noise = Event::new(at, EventKind::DeliveryAttempted);
        assert!(hook(&[], None).wants(&event) && !hook(&[], None).wants(&noise));
        assert!(hook(&["recipient.failed"], Some("contoso")).wants(&event));
        assert!(!hook(&["recipient.delivered"], None).wants(&event));
        assert!(!hook(&[], Some("fabrikam")).wants(&event));
        assert!(
            !hook(&[], Some("fabrikam")).wants(&noise),
            "nobody's event is not theirs"
        );
    }

    #[test]
    fn a_delivery_is_tried_for_more_than_two_days_and_then_given_up() {
        let mut now = Timestamp::from_millis(0);
        let mut one = Delivery::new(&hook(&[], None), "recipient.failed", "{}", "m".into(), now);
        for _ in 0..PAUSES.len() {
            one.tried(Some(500), "", 0, now);
            assert_eq!(one.state, DeliveryState::Waiting);
            now = Timestamp::from_millis(one.next_ms);
        }
        one.tried(None, "no answer in time", 0, now);
        assert_eq!((one.state, one.tries.len()), (DeliveryState::Failed, 10));
        assert!(now.as_millis() > 48 * 3_600_000);
        let mut gone = Delivery::new(&hook(&[], None), "recipient.failed", "{}", "m".into(), now);
        gone.tried(Some(410), "", 0, now);
        assert_eq!(gone.state, DeliveryState::Failed);
        let mut taken = Delivery::new(&hook(&[], None), "recipient.failed", "{}", "m".into(), now);
        taken.tried(Some(204), "", 0, now);
        assert_eq!(taken.state, DeliveryState::Delivered);
    }
}
