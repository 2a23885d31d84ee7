//! Licences: seats of each organisation that counts them, who holds one, and senders that the
//! directory does not list. As it was kept last, half a minute ago at most.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{LicencePolicy, Organisation};
use relais_policy::licence::{Observed, SenderKind};
use relais_store::shelf::Shelf;

use crate::context::AdminContext;
use crate::problem::Problem;

/// Senders that are listed of one organisation; the rest is counted.
const LISTED_MAX: usize = 1_000;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/licences", get(list))
}

/// Who sent of late, by organisation.
pub(super) async fn senders(context: &AdminContext) -> Result<BTreeMap<String, Observed>, Problem> {
    let mut by_organisation: BTreeMap<String, Observed> = BTreeMap::new();
    for entry in context.store.shelf(Shelf::Sender).await? {
        let read = entry.key.split_once(' ').zip(entry.value.parse().ok());
        if let Some(((organisation, address), last)) = read {
            let observed = by_organisation.entry(organisation.to_owned());
            observed.or_default().restore(address, last);
        }
    }
    Ok(by_organisation)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Absent: all.
    #[serde(default)]
    organisation: Option<String>,
}

async fn list(
    State(context): State<AdminContext>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let senders = senders(&context).await?;
    let settings = context.store.settings();
    let all = &settings.document.organisation;
    if let Some(name) = &asked.organisation
        && !all.iter().any(|one| one.name == *name)
    {
        return Err(Problem::not_found(format!(
            "There is no organisation {name}."
        )));
    }
    let wanted = |one: &&Organisation| {
        asked
            .organisation
            .as_ref()
            .is_none_or(|name| one.name == *name)
    };
    let nobody = Observed::default();
    let rows: Vec<_> = all
        .iter()
        .filter(wanted)
        .map(|organisation| {
            let observed = senders.get(&organisation.name).unwrap_or(&nobody);
            row(&context, organisation, observed)
        })
        .collect();
    Ok(Json(json!({ "licences": rows })))
}

fn row(context: &AdminContext, organisation: &Organisation, observed: &Observed) -> Value {
    let (settings, now) = (context.store.settings(), context.clock.now());
    let licences = &organisation.licences;
    let seats = observed.seats(&settings, &organisation.name, licences, now);
    let mut of_kind: BTreeMap<SenderKind, Vec<Value>> = BTreeMap::new();
    for (address, kind, last) in observed.observed(&settings, &organisation.name, now) {
        let sender = json!({ "address": address, "last_sent": last.day() });
        of_kind.entry(kind).or_default().push(sender);
    }
    let mut listed = |kind| {
        let mut senders = of_kind.remove(&kind).unwrap_or_default();
        let count = senders.len();
        senders.truncate(LISTED_MAX);
        (count, senders)
    };
    let (_, people) = listed(SenderKind::Person);
    let (unlisted_count, unlisted) = listed(SenderKind::Unlisted);
    let in_directory = |has_mailbox| {
        let recipients = organisation.recipient.iter();
        recipients.filter(|one| one.mailbox == has_mailbox).count()
    };
    json!({
        "organisation": organisation.name,
        "policy": policy(licences.policy),
        "seats": seats.seats,
        "used": seats.used,
        "free": (seats.seats as usize).saturating_sub(seats.used),
        "mailboxes": in_directory(true),
        "people_without_mailbox": in_directory(false),
        "people": people,
        "unlisted_count": unlisted_count,
        "unlisted": unlisted,
    })
}

fn policy(policy: LicencePolicy) -> &'static str {
    match policy {
        LicencePolicy::Off => "off",
        LicencePolicy::Report => "report",
        LicencePolicy::Enforce => "enforce",
    }
}
