//! Suppressed recipients: who is, adding and releasing.

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::settings::Settings;
use relais_policy::suppression::{Cause, REASON_OCTETS_MAX, Suppression, address_key};
use relais_smtp::address::Mailbox;
use relais_store::shelf::ShelfAudit;
use relais_store::store::{ListedSuppression, SuppressionChange};
use relais_store::trace::{Event, EventKind, To};

use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/suppression", get(list))
        .route("/suppression/add", post(add))
        .route("/suppression/release", post(release))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let mut listed = context.store.suppressions().await?;
    listed.sort_by_key(|one| std::cmp::Reverse(one.suppression.since));
    let listed: Vec<_> = listed.iter().map(suppression_json).collect();
    Ok(Json(json!({ "suppressed": listed })))
}

/// One line of `relais --json suppression list`.
fn suppression_json(one: &ListedSuppression) -> Value {
    let suppression = &one.suppression;
    let queue_id = Some(&suppression.queue_id).filter(|id| !id.is_empty());
    json!({
        "organisation": one.organisation,
        "address": one.address,
        "cause": suppression.cause.name(),
        "said": suppression.said,
        "queue_id": queue_id,
        "by": suppression.by,
        "since": suppression.since().to_rfc3339(),
    })
}

/// Whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    address: String,
    /// Absent: the only organisation.
    #[serde(default)]
    organisation: Option<String>,
    /// For adding.
    #[serde(default)]
    reason: String,
}

impl Named {
    /// Organisation and recipient.
    fn read(&self, context: &AdminContext) -> Result<(String, Mailbox), Problem> {
        let settings = context.store.settings();
        let organisation = organisation_named(&settings, self.organisation.as_deref())?;
        let address = self.address.trim();
        let recipient = Mailbox::parse(address)
            .map_err(|error| Problem::bad_request(format!("\"{address}\": {error}.")))?;
        Ok((organisation, recipient))
    }
}

async fn add(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(named): Input<Named>,
) -> Result<Json<Value>, Problem> {
    let (organisation, recipient) = named.read(&context)?;
    let reason = named.reason.trim();
    if reason.is_empty() || reason.len() > REASON_OCTETS_MAX {
        let detail = format!("Give a reason, of at most {REASON_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    let suppression = Suppression {
        cause: Cause::Request,
        said: reason.to_owned(),
        queue_id: String::new(),
        by: caller.actor.to_string(),
        since: context.clock.now().as_millis(),
    };
    let told = suppression_json(&ListedSuppression {
        organisation: organisation.clone(),
        address: address_key(&recipient),
        suppression: suppression.clone(),
    });
    let mut change = changed(&context, &caller, &organisation, &recipient, Act::Added);
    change.put.push((recipient, suppression));
    context.store.change_suppressions(change).await?;
    Ok(Json(told))
}

async fn release(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(named): Input<Named>,
) -> Result<Json<Value>, Problem> {
    let (organisation, recipient) = named.read(&context)?;
    let known = context.store.suppression(&organisation, &recipient).await?;
    let Some(suppression) = known else {
        let detail = format!("{recipient} is not suppressed for {organisation}.");
        return Err(Problem::not_found(detail));
    };
    let mut change = changed(&context, &caller, &organisation, &recipient, Act::Released);
    change.taken.push(recipient.clone());
    context.store.change_suppressions(change).await?;
    Ok(Json(suppression_json(&ListedSuppression {
        organisation,
        address: address_key(&recipient),
        suppression,
    })))
}

/// The organisation of that name; without a name the only one.
pub(super) fn organisation_named(
    settings: &Settings,
    name: Option<&str>,
) -> Result<String, Problem> {
    let all = &settings.document.organisation;
    match (name, all.as_slice()) {
        (Some(name), all) if all.iter().any(|one| one.name == name) => Ok(name.to_owned()),
        (Some(name), _) => Err(Problem::not_found(format!(
            "There is no organisation \"{name}\"."
        ))),
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(Problem::bad_request(
            "Say which organisation: --organisation NAME.",
        )),
    }
}

/// What a person did.
#[derive(Clone, Copy)]
enum Act {
    Added,
    Released,
}

/// With its audit entry and event, and nothing changed yet.
fn changed(
    context: &AdminContext,
    caller: &Caller,
    organisation: &str,
    recipient: &Mailbox,
    act: Act,
) -> SuppressionChange {
    let now = context.clock.now();
    let (kind, name, words) = match act {
        Act::Added => (
            EventKind::EntityRestricted,
            "suppression.added",
            "suppressed",
        ),
        Act::Released => (
            EventKind::EntityReleased,
            "suppression.released",
            "released",
        ),
    };
    let mut event = Event::new(now, kind);
    event.organisation = Some(organisation.into());
    event.to = Some(To::Many(vec![recipient.to_string().into()]));
    let detail = format!("recipient {recipient} {words} by {}", caller.actor);
    event.detail = Some(detail.into());
    let mut change = SuppressionChange::new(organisation, now);
    change.events.push(event);
    change.audit = Some(ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: name,
        detail: vec![format!("{recipient} of {organisation}")],
    });
    change
}
