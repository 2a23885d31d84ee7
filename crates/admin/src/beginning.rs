//! The first entry of the audit: that this installation began, when, under which name and with
//! which version. What comes after it can be told from what was there before.

use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};

use crate::context::AdminContext;

/// Where it is noted that there was a first start.
const KEY: &str = "installation";

/// Notes the first start of a store that nobody has changed yet; later ones change nothing. A store
/// that takes no writes must not keep the server from starting.
pub async fn note_installation(context: &AdminContext) {
    let store = &context.store;
    match store.audit(1).await {
        Ok(entries) if entries.is_empty() => {}
        Ok(_) => return,
        Err(error) => {
            tracing::warn!(%error, "the audit cannot be read");
            return;
        }
    }
    let now = context.clock.now();
    let version = env!("CARGO_PKG_VERSION");
    let audit = ShelfAudit {
        actor: "Relais".to_owned(),
        via: "start".into(),
        act: "installation.began",
        detail: vec![format!("Relais {version} at {}", context.hostname)],
    };
    let value = serde_json::json!({ "began": now.to_rfc3339(), "version": version });
    let change = ShelfChange::new(Shelf::FirstSteps, now)
        .put(KEY, value.to_string())
        .audited(audit);
    if let Err(error) = store.change_shelf(change).await {
        tracing::warn!(%error, "the first start is not in the audit");
    }
}
