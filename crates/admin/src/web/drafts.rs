//! Connectors that somebody has begun to set up: kept on a shelf of the store, so that a step back,
//! another browser and a restart lose nothing. Each person sees only their own.
//!
//! Not here: what stands in them (the wizards); passwords, which are never kept.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange, ShelfEntry};

use super::ask::{Centre, Refused};
use super::door::Visit;
use crate::people::hexadecimal;

/// Of one person and kind; the oldest goes. Nobody sets up more at the same time.
const DRAFTS_MAX: usize = 20;

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Draft<T> {
    pub(super) organisation: String,
    pub(super) connector: T,
    /// What the connector has no place for: the kind of device, the user that is wanted.
    pub(super) more: BTreeMap<String, String>,
}

impl<T> Draft<T> {
    /// A value beside the connector; empty where there is none.
    pub(super) fn more(&self, key: &str) -> &str {
        self.more.get(key).map(String::as_str).unwrap_or_default()
    }
}

/// The two kinds.
pub(super) trait Kind: DeserializeOwned + Serialize {
    const NAME: &'static str;
}

impl Kind for relais_policy::document::InboundConnector {
    const NAME: &'static str = "inbound";
}

impl Kind for relais_policy::document::OutboundConnector {
    const NAME: &'static str = "outbound";
}

fn prefix<T: Kind>(visit: &Visit) -> String {
    format!("{} {} ", T::NAME, visit.name())
}

fn stored(error: &StoreError) -> Refused {
    Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        detail: error.to_string(),
    }
}

fn gone(visit: &Visit) -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        detail: visit.lang.t("draft-gone"),
    }
}

/// All of this person, the newest first, each with its name in addresses.
pub(super) async fn list<T: Kind>(
    centre: &Centre,
    visit: &Visit,
) -> Result<Vec<(String, Draft<T>)>, Refused> {
    let own = own::<T>(centre, visit).await?.into_iter().rev();
    let read = own.filter_map(|(id, entry)| Some((id, serde_json::from_str(&entry.value).ok()?)));
    Ok(read.collect())
}

/// The oldest first.
async fn own<T: Kind>(
    centre: &Centre,
    visit: &Visit,
) -> Result<Vec<(String, ShelfEntry)>, Refused> {
    let prefix = prefix::<T>(visit);
    let all = centre.context.store.shelf(Shelf::ConnectorDraft).await;
    let all = all.map_err(|error| stored(&error))?.into_iter();
    let own = all.filter_map(|entry| {
        let id = entry.key.strip_prefix(&prefix)?.to_owned();
        Some((id, entry))
    });
    let mut own: Vec<_> = own.collect();
    own.sort_by_key(|(_, entry)| entry.since);
    Ok(own)
}

/// Begins one; its name in addresses.
pub(super) async fn begin<T: Kind>(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<T>,
) -> Result<String, Refused> {
    let before = own::<T>(centre, visit).await?;
    let id = hexadecimal(&centre.context.chance.octets::<8>());
    let too_many = (before.len() + 1).saturating_sub(DRAFTS_MAX);
    let oldest = before
        .into_iter()
        .take(too_many)
        .map(|(_, entry)| entry.key);
    write(centre, visit, &id, draft, oldest.collect()).await?;
    Ok(id)
}

/// Keeps a step.
pub(super) async fn keep<T: Kind>(
    centre: &Centre,
    visit: &Visit,
    id: &str,
    draft: &Draft<T>,
) -> Result<(), Refused> {
    write(centre, visit, id, draft, Vec::new()).await
}

async fn write<T: Kind>(
    centre: &Centre,
    visit: &Visit,
    id: &str,
    draft: &Draft<T>,
    taken: Vec<String>,
) -> Result<(), Refused> {
    // What follows looks at the settings of that organisation.
    let rights = &visit.caller().rights;
    if !draft.organisation.is_empty() && !rights.sees(&draft.organisation) {
        return Err(gone(visit));
    }
    let value = serde_json::to_string(draft).unwrap_or_default();
    let now = centre.context.clock.now();
    let key = format!("{}{id}", prefix::<T>(visit));
    let mut change = ShelfChange::new(Shelf::ConnectorDraft, now).put(key, value);
    change.taken = taken;
    let kept = centre.context.store.change_shelf(change).await;
    kept.map_err(|error| stored(&error))
}

/// The one of that name.
pub(super) async fn get<T: Kind>(
    centre: &Centre,
    visit: &Visit,
    id: &str,
) -> Result<Draft<T>, Refused> {
    let key = format!("{}{id}", prefix::<T>(visit));
    let store = &centre.context.store;
    let value = store.shelf_value(Shelf::ConnectorDraft, &key).await;
    let value = value.map_err(|error| stored(&error))?;
    let read = value.and_then(|value| serde_json::from_str::<Draft<T>>(&value).ok());
    let rights = &visit.caller().rights;
    read.filter(|draft| draft.organisation.is_empty() || rights.sees(&draft.organisation))
        .ok_or_else(|| gone(visit))
}

/// It has become the connector at this address.
pub(super) fn note_saved<T: Kind>(centre: &Centre, visit: &Visit, id: &str, address: String) {
    let name = format!("{}{id}", prefix::<T>(visit));
    centre.moved.note(name, address);
}

/// Where the connector is that it has become.
pub(super) fn saved<T: Kind>(centre: &Centre, visit: &Visit, id: &str) -> Option<String> {
    centre.moved.find(&format!("{}{id}", prefix::<T>(visit)))
}

/// It has become a connector, or is not wanted any more. `told`: for the audit, by whom is added.
pub(super) async fn end<T: Kind>(
    centre: &Centre,
    visit: &Visit,
    id: &str,
    told: Option<(&'static str, Vec<String>)>,
) -> Result<(), Refused> {
    let caller = visit.caller().clone();
    let now = centre.context.clock.now();
    let mut change =
        ShelfChange::new(Shelf::ConnectorDraft, now).take(format!("{}{id}", prefix::<T>(visit)));
    if let Some((act, detail)) = told {
        change = change.audited(ShelfAudit {
            actor: caller.actor.to_string(),
            via: caller.via,
            act,
            detail,
        });
    }
    let ended = centre.context.store.change_shelf(change).await;
    ended.map_err(|error| stored(&error))
}
