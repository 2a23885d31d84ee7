//! The audit: who changed what, in a chain of hashes.

use axum::extract::{Extension, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::time::Timestamp;
use relais_store::settings::AuditEntry;
use relais_store::trace::parse_since;

use crate::context::{AdminContext, Caller, people_of};
use crate::problem::{Parameters, Problem};

/// Entries of an answer at most, and entries that are looked at.
const ENTRIES_MAX: usize = 10_000;
/// Entries of an answer where nothing else is asked for.
const ENTRIES_DEFAULT: usize = 100;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/audit", get(list))
        .route("/audit/verify", get(verify))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    limit: Option<usize>,
    /// Only entries older than this number.
    before: Option<u64>,
    /// A part of who.
    #[serde(default)]
    actor: String,
    /// The beginning of what: `settings`, `queue.deleted`.
    #[serde(default)]
    act: String,
    #[serde(default)]
    via: String,
    /// A part of the client's address.
    #[serde(default)]
    from: String,
    /// A part of what is told.
    #[serde(default)]
    q: String,
    since: Option<String>,
    until: Option<String>,
}

/// A selection with its times read.
struct Wanted<'a> {
    selection: &'a Selection,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Wanted<'_> {
    fn fits(&self, entry: &AuditEntry) -> bool {
        let one = self.selection;
        let has = |text: &str, part: &str| {
            part.is_empty() || text.to_lowercase().contains(&part.to_lowercase())
        };
        one.before.is_none_or(|before| entry.number < before)
            && has(&entry.actor, &one.actor)
            && has(entry.from.as_deref().unwrap_or_default(), &one.from)
            && entry.act.starts_with(&one.act)
            && (one.via.is_empty() || entry.via == one.via)
            && (one.q.is_empty() || entry.detail.iter().any(|line| has(line, &one.q)))
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time < until)
    }
}

async fn list(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let limit = selection.limit.unwrap_or(ENTRIES_DEFAULT);
    let limit = limit.clamp(1, ENTRIES_MAX);
    let now = context.clock.now();
    let time = |text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map(|text| parse_since(text, now)).transpose()
    };
    let wanted = Wanted {
        since: time(&selection.since)?,
        until: time(&selection.until)?,
        selection: &selection,
    };
    let mut entries = context.store.audit(ENTRIES_MAX).await?;
    // Before anything is sought: what is found must tell nothing of what is not shown.
    if let Some(own) = caller.rights.organisation() {
        within_reach(&mut entries, own, &people_of(&context, own).await?);
    }
    let mut fitting = entries.iter().filter(|entry| wanted.fits(entry));
    let shown: Vec<_> = fitting.by_ref().take(limit).map(entry_json).collect();
    let next = match fitting.next() {
        Some(_) => shown.last().map(|last| last["number"].clone()),
        None => None,
    };
    Ok(Json(json!({ "entries": shown, "next_cursor": next })))
}

/// What these people of an organisation did, and what was done to it.
fn within_reach(entries: &mut Vec<AuditEntry>, own: &str, people: &[String]) {
    let is_theirs = |entry: &AuditEntry| people.iter().any(|name| *name == *entry.actor);
    entries.retain(|entry| {
        let is_told = !entry.detail.is_empty();
        let concerns_it = is_told && entry.detail.iter().all(|line| concerns(line, own));
        concerns_it || is_theirs(entry)
    });
    for entry in entries.iter_mut() {
        // Where whoever runs the installation sits is none of theirs.
        if !is_theirs(entry) {
            entry.from = None;
        }
    }
}

/// `changed organisation contoso, inbound connector Printers: …`, `b@example.org of contoso`.
fn concerns(line: &str, own: &str) -> bool {
    let (_, named) = line.split_once("organisation ").unwrap_or_default();
    let named = named.split([',', ':', ' ']).next().unwrap_or_default();
    named == own || line.ends_with(&format!(" of {own}"))
}

fn entry_json(entry: &AuditEntry) -> Value {
    json!({
        "number": entry.number,
        "time": entry.time.to_rfc3339(),
        "actor": entry.actor,
        "via": entry.via,
        "from": entry.from,
        "act": entry.act,
        "detail": entry.detail,
        "settings_version": entry.settings_version,
        "hash": entry.hash,
    })
}

async fn verify(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let wrong = context.store.verify_audit().await?;
    Ok(Json(
        json!({ "intact": wrong.is_none(), "first_wrong": wrong }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_audit_concerns_the_organisation_that_it_names() {
        for (line, concerns_it) in [
            (
                "changed organisation contoso: language \"en\" -> \"fr\"",
                true,
            ),
            ("created organisation contoso, credential scan-1", true),
            ("created organisation contoso-2, credential scan-1", false),
            ("b@example.org of contoso", true),
            ("key 1 → key 2", false),
        ] {
            assert_eq!(concerns(line, "contoso"), concerns_it, "{line}");
        }
    }
}
