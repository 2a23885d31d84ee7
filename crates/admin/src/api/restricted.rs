//! Restricted entities: what is blocked or held, doing and undoing it, and what was before.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::restriction::{
    EVIDENCE_LINES_MAX, EVIDENCE_OCTETS_MAX, Effect, Entity, EntityKind, REASON_OCTETS_MAX,
    Restriction, TRIGGERS,
};
use relais_policy::settings::Settings;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::restriction::EntityChange;
use relais_store::trace::parse_until;

use crate::context::{AdminContext, Caller, people_of};
use crate::keys;
use crate::problem::{Input, Problem};

/// Audit entries looked at for the history: what a list of the store gives.
const HISTORY_ENTRIES_MAX: usize = 10_000;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/restricted", get(list))
        .route("/restricted/history", get(history))
        .route("/restricted/block", post(block))
        .route("/restricted/release", post(release))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let (restrictions, now) = (context.store.restrictions(), context.clock.steady_now());
    let settings = context.store.settings();
    let mut listed: Vec<_> = restrictions
        .iter()
        .filter(|one| !one.is_over(now))
        .collect();
    listed.sort_by(|one, other| {
        let newest = other.since.cmp(&one.since);
        newest.then_with(|| one.entity.cmp(&other.entity))
    });
    let listed: Vec<_> = listed
        .into_iter()
        .map(|one| restriction_json(&settings, one))
        .collect();
    Json(json!({ "restricted": listed }))
}

/// One line of `relais --json restricted list`.
pub(super) fn restriction_json(settings: &Settings, restriction: &Restriction) -> Value {
    let entity = &restriction.entity;
    json!({
        "kind": entity.kind().name(),
        "value": entity.value(),
        "organisation": organisation_of(settings, entity),
        "effect": restriction.effect.name(),
        "reason": restriction.reason,
        "evidence": restriction.evidence,
        "by": restriction.by,
        "since": restriction.since.to_rfc3339(),
        "until": restriction.until.map(Timestamp::to_rfc3339),
    })
}

/// Whose it is, as far as that is known: an address of the network is nobody's.
fn organisation_of(settings: &Settings, entity: &Entity) -> Option<String> {
    let of_domain = |domain: &str| {
        let domain = Domain::parse(domain).ok()?;
        let owned = settings.accepted_domain(&domain)?;
        Some(owned.organisation.name.clone())
    };
    match entity.kind() {
        EntityKind::Organisation | EntityKind::Connector | EntityKind::Device => {
            entity.organisation().map(str::to_owned)
        }
        EntityKind::Credential => {
            let (connector, _) = settings.credential(entity.value())?;
            Some(connector.organisation.name.clone())
        }
        EntityKind::Domain => of_domain(entity.value()),
        EntityKind::Address => of_domain(entity.value().rsplit_once('@')?.1),
        EntityKind::Ip => None,
    }
}

/// Blocks and releases of the past, newest first, as the audit has them.
async fn history(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let all = context.store.audit(HISTORY_ENTRIES_MAX).await?;
    let of_entities = all
        .into_iter()
        .filter(|entry| matches!(&*entry.act, "entity.restricted" | "entity.released"));
    let history = of_entities.map(|entry| {
        json!({
            "time": entry.time.to_rfc3339(),
            "act": entry.act,
            "by": entry.actor,
            "detail": entry.detail.join("; "),
        })
    });
    Ok(Json(json!({ "history": history.collect::<Vec<_>>() })))
}

/// What to block.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    kind: String,
    value: String,
    reason: String,
    /// What was seen; one thing a line.
    #[serde(default)]
    evidence: Vec<String>,
    /// `refuse` or `hold`.
    #[serde(default)]
    effect: Option<String>,
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
    let effect = effect_of(block.effect.as_deref())?;
    let wanted = Wanted {
        entity,
        effect,
        reason: block.reason,
        evidence: block.evidence,
        until,
    };
    restrict(&context, &caller, wanted).await.map(Json)
}

/// `refuse` where nothing is said.
pub(super) fn effect_of(effect: Option<&str>) -> Result<Effect, Problem> {
    let Some(name) = effect else {
        return Ok(Effect::default());
    };
    Effect::from_name(name)
        .ok_or_else(|| Problem::bad_request(format!("\"{name}\" is no effect: refuse or hold.")))
}

/// What is to be restricted.
pub(super) struct Wanted {
    pub(super) entity: Entity,
    pub(super) effect: Effect,
    pub(super) reason: String,
    pub(super) evidence: Vec<String>,
    pub(super) until: Option<Timestamp>,
}

/// Restricts, and tells what was restricted.
pub(super) async fn restrict(
    context: &AdminContext,
    caller: &Caller,
    wanted: Wanted,
) -> Result<Value, Problem> {
    let Wanted {
        entity,
        effect,
        reason,
        evidence,
        until,
    } = wanted;
    let (reason, now) = (reason.trim(), context.clock.now());
    let is_long = |line: &String| line.len() > EVIDENCE_OCTETS_MAX || line.contains('\n');
    if evidence.len() > EVIDENCE_LINES_MAX || evidence.iter().any(is_long) {
        let detail = format!(
            "Evidence has at most {EVIDENCE_LINES_MAX} lines of {EVIDENCE_OCTETS_MAX} octets."
        );
        return Err(Problem::bad_request(detail));
    }
    if reason.is_empty() || reason.len() > REASON_OCTETS_MAX {
        let detail = format!("Give a reason, of at most {REASON_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    let restriction = Restriction {
        entity,
        effect,
        evidence,
        reason: reason.to_owned(),
        by: caller.actor.to_string(),
        since: now,
        until,
    };
    let told = restriction_json(&context.store.settings(), &restriction);
    let change = match caller.rights.organisation() {
        // The operator's newest word counts.
        None => EntityChange::Restrict(restriction),
        Some(_) => {
            let seen = context.store.restrictions();
            let seen = seen.get(&restriction.entity).cloned();
            must_be_theirs(context, caller, seen.as_ref()).await?;
            EntityChange::Replace { seen, restriction }
        }
    };
    match context.store.change_entities(change, caller.via).await? {
        0 => Err(changed_meanwhile(&told)),
        _ => Ok(told),
    }
}

/// What others restricted is neither lifted nor softened by whoever sees one organisation only.
async fn must_be_theirs(
    context: &AdminContext,
    caller: &Caller,
    seen: Option<&Restriction>,
) -> Result<(), Problem> {
    let (Some(own), Some(seen)) = (caller.rights.organisation(), seen) else {
        return Ok(());
    };
    // What a trigger holds is looked at by whoever has the device.
    let is_held_by_trigger = seen.effect == Effect::Hold && seen.by == TRIGGERS;
    if is_held_by_trigger || is_of(context, own, &seen.by).await? {
        return Ok(());
    }
    let detail = "Whoever runs the installation has restricted this, and releases it.";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Whether somebody of this organisation, a person or a program, did what `by` says.
pub(super) async fn is_of(context: &AdminContext, own: &str, by: &str) -> Result<bool, Problem> {
    let people = people_of(context, own).await?;
    let keys = keys::list(&context.store).await?;
    let mut keys = keys
        .iter()
        .filter(|key| key.organisation.as_deref() == Some(own));
    let is_key = keys.any(|key| by == Caller::name_of_key(&key.name, &key.id));
    Ok(is_key || people.iter().any(|name| name == by))
}

/// Somebody else was quicker: what they did is looked at before it is undone.
fn changed_meanwhile(entity: &Value) -> Problem {
    let value = entity["value"].as_str().unwrap_or_default();
    let detail =
        format!("Somebody else restricted or released {value} meanwhile: look at it again.");
    Problem::new(StatusCode::CONFLICT, detail)
}

/// What to release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    kind: String,
    value: String,
    /// Since when it is restricted by what was looked at; absent: whatever it is restricted by.
    #[serde(default)]
    since: Option<String>,
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
        EntityKind::Device => device_named(&context.store.settings(), &release.value)
            .unwrap_or_else(|_| release.value.clone()),
        EntityKind::Ip
        | EntityKind::Address
        | EntityKind::Domain
        | EntityKind::Credential
        | EntityKind::Organisation => release.value.clone(),
    };
    let entity = entity_of(kind, &value)?;
    let restrictions = context.store.restrictions();
    let seen = restrictions.get(&entity);
    let seen = seen.ok_or_else(|| Problem::not_found(format!("{entity} is not restricted.")))?;
    must_be_theirs(&context, &caller, Some(seen)).await?;
    let told = restriction_json(&context.store.settings(), seen);
    let is_another = |since| told["since"] != Value::String(since);
    if release.since.is_some_and(is_another) {
        return Err(changed_meanwhile(&told));
    }
    let change = EntityChange::ReleaseSeen {
        seen: seen.clone(),
        by: caller.actor.to_string(),
        time: context.clock.now(),
    };
    match context.store.change_entities(change, caller.via).await? {
        0 => Err(changed_meanwhile(&told)),
        _ => Ok(Json(told)),
    }
}

/// The entity, if it is one that can be: names must be those of the settings, or a typing error
/// would block nothing and look like a block.
pub(super) fn known_entity(
    settings: &Settings,
    kind: &str,
    value: &str,
) -> Result<Entity, Problem> {
    let (kind, value) = (kind_of(kind)?, value.trim());
    let missing = |what: &str| Problem::not_found(format!("There is no {what} \"{value}\"."));
    match kind {
        EntityKind::Connector => entity_of(kind, &connector_named(settings, value)?),
        EntityKind::Device => entity_of(kind, &device_named(settings, value)?),
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

/// `organisation/connector/address`; the organisation may be left out where the connector's name
/// is only one's.
fn device_named(settings: &Settings, value: &str) -> Result<String, Problem> {
    let Some((connector, address)) = value.trim().rsplit_once('/') else {
        return Err(Problem::bad_request("A device is CONNECTOR/ADDRESS."));
    };
    Ok(format!(
        "{}/{address}",
        connector_named(settings, connector)?
    ))
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
