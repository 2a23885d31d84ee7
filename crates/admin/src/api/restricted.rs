//! Restricted entities: what is blocked, blocking and releasing.

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::restriction::{Entity, EntityKind, REASON_OCTETS_MAX, Restriction};
use relais_policy::settings::Settings;
use relais_smtp::time::Timestamp;
use relais_store::restriction::EntityChange;
use relais_store::trace::parse_until;

use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/restricted", get(list))
        .route("/restricted/block", post(block))
        .route("/restricted/release", post(release))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let (restrictions, now) = (context.store.restrictions(), context.clock.now());
    let mut listed: Vec<_> = restrictions
        .iter()
        .filter(|one| !one.is_over(now))
        .collect();
    listed.sort_by(|one, other| {
        let newest = other.since.cmp(&one.since);
        newest.then_with(|| one.entity.cmp(&other.entity))
    });
    let listed: Vec<_> = listed.into_iter().map(restriction_json).collect();
    Json(json!({ "restricted": listed }))
}

/// One line of `relais --json restricted list`.
pub(super) fn restriction_json(restriction: &Restriction) -> Value {
    json!({
        "kind": restriction.entity.kind().name(),
        "value": restriction.entity.value(),
        "reason": restriction.reason,
        "by": restriction.by,
        "since": restriction.since.to_rfc3339(),
        "until": restriction.until.map(Timestamp::to_rfc3339),
    })
}

/// What to block.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    kind: String,
    value: String,
    reason: String,
    /// `1h`, `7d`, a day or an RFC 3339 time; absent: until it is released.
    #[serde(default)]
    until: Option<String>,
}

async fn block(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(block): Input<Block>,
) -> Result<Json<Value>, Problem> {
    let entity = known_entity(&context.store.settings(), &block.kind, &block.value)?;
    let until = end_of(&context, block.until.as_deref())?;
    restrict(&context, &caller, entity, &block.reason, until)
        .await
        .map(Json)
}

/// Restricts, and tells what was restricted.
pub(super) async fn restrict(
    context: &AdminContext,
    caller: &Caller,
    entity: Entity,
    reason: &str,
    until: Option<Timestamp>,
) -> Result<Value, Problem> {
    let (reason, now) = (reason.trim(), context.clock.now());
    if reason.is_empty() || reason.len() > REASON_OCTETS_MAX {
        let detail = format!("Give a reason, of at most {REASON_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    let restriction = Restriction {
        entity,
        reason: reason.to_owned(),
        by: caller.actor.to_string(),
        since: now,
        until,
    };
    let told = restriction_json(&restriction);
    let change = EntityChange::Restrict(restriction);
    context.store.change_entities(change).await?;
    Ok(told)
}

/// What to release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    kind: String,
    value: String,
}

async fn release(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(release): Input<Release>,
) -> Result<Json<Value>, Problem> {
    let kind = kind_of(&release.kind)?;
    // What was deleted from the settings since can be released all the same.
    let value = match kind {
        EntityKind::Connector => connector_named(&context.store.settings(), &release.value)
            .unwrap_or_else(|_| release.value.clone()),
        EntityKind::Ip
        | EntityKind::Address
        | EntityKind::Domain
        | EntityKind::Credential
        | EntityKind::Organisation => release.value.clone(),
    };
    let entity = entity_of(kind, &value)?;
    let told = context
        .store
        .restrictions()
        .get(&entity)
        .map(restriction_json);
    let change = EntityChange::Release {
        entity: entity.clone(),
        by: caller.actor.to_string(),
        time: context.clock.now(),
    };
    let released = context.store.change_entities(change).await?;
    match told.filter(|_| released > 0) {
        Some(told) => Ok(Json(told)),
        None => Err(Problem::not_found(format!("{entity} is not restricted."))),
    }
}

/// The entity, if it is one that can be: names must be those of the settings, or a typing error
/// would block nothing and look like a block.
fn known_entity(settings: &Settings, kind: &str, value: &str) -> Result<Entity, Problem> {
    let (kind, value) = (kind_of(kind)?, value.trim());
    let missing = |what: &str| Problem::not_found(format!("There is no {what} \"{value}\"."));
    match kind {
        EntityKind::Connector => entity_of(kind, &connector_named(settings, value)?),
        EntityKind::Credential if settings.credential(value).is_none() => {
            Err(missing("credential"))
        }
        EntityKind::Organisation if settings.organisation(value).is_none() => {
            Err(missing("organisation"))
        }
        EntityKind::Ip
        | EntityKind::Address
        | EntityKind::Domain
        | EntityKind::Credential
        | EntityKind::Organisation => entity_of(kind, value),
    }
}

fn kind_of(kind: &str) -> Result<EntityKind, Problem> {
    kind.parse()
        .map_err(|error| Problem::bad_request(format!("{error}.")))
}

fn entity_of(kind: EntityKind, value: &str) -> Result<Entity, Problem> {
    Entity::parse(kind, value).map_err(|error| Problem::bad_request(format!("{error}.")))
}

/// `organisation/name`, from that or from a name that only one organisation uses.
fn connector_named(settings: &Settings, value: &str) -> Result<String, Problem> {
    let value = value.trim();
    let all = settings.document.organisation.iter().flat_map(|owner| {
        let names = owner.inbound_connector.iter();
        names.map(move |connector| (&owner.name, &connector.name))
    });
    let whole = |(owner, name): (&String, &String)| format!("{owner}/{name}");
    let found: Vec<_> = all
        .filter(|both| both.1 == value || whole(*both) == value)
        .map(whole)
        .collect();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Problem::not_found(format!(
            "There is no inbound connector \"{value}\"."
        ))),
        several => Err(Problem::bad_request(format!(
            "Several connectors have that name; write one of {}.",
            several.join(", ")
        ))),
    }
}

/// `--until`, which must lie ahead.
pub(super) fn end_of(
    context: &AdminContext,
    until: Option<&str>,
) -> Result<Option<Timestamp>, Problem> {
    let now = context.clock.now();
    let until = until.map(|text| parse_until(text, now)).transpose()?;
    if until.is_some_and(|until| until <= now) {
        return Err(Problem::bad_request("The end lies in the past."));
    }
    Ok(until)
}
