//! The settings document: read, replaced, applied. Every change goes through [`change`]: checked
//! whole, told as a difference, stored as a version with its audit entry.

use std::collections::BTreeSet;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use relais_policy::change::{self, Absent, Act};
use relais_policy::document::{AcceptedDomain, Document, Organisation, Verification};
use relais_policy::old_tls;
use relais_policy::settings::{Mode, Settings, SettingsError};
use relais_smtp::secret::Secret;
use relais_store::secret::SecretName;
use relais_store::settings::{ChangeError, SettingsChange};
use relais_store::shelf::ShelfAudit;

use super::{only_here, public_hosts};
use crate::card::issued::end_of_gone;
use crate::context::{AdminContext, Caller};
use crate::keys::{self, By};
use crate::problem::{Input, Parameters, Problem};
use crate::proving;
use crate::schedules;

/// How often a change is made anew when somebody else's comes between.
const CONFLICTS_MAX: usize = 5;

/// Changes of this server take turns: many at once would come between each other until they give
/// up. What another way changes meanwhile is still noticed by its version.
static TURN: Mutex<()> = Mutex::const_new(());

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/settings", get(read).put(replace))
        .route("/apply", post(apply))
}

/// What a change did, or would do.
pub(super) struct Changed {
    /// The version now in force.
    pub(super) version: u64,
    /// Objects that differ; kept ones are left out.
    pub(super) changes: Vec<change::Change>,
    /// What is allowed but perhaps not meant.
    pub(super) warnings: Vec<String>,
    /// Nothing was stored.
    pub(super) dry_run: bool,
}

impl Changed {
    /// `{"version","changed","dry_run","changes":[{"object","act","keys":[…]}],"warnings":[…]}`
    pub(super) fn to_json(&self) -> Value {
        let keys = |one: &change::Change| -> Vec<Value> {
            let keys = one.keys.iter();
            keys.map(|key| json!({ "key": key.key, "old": key.old, "new": key.new }))
                .collect()
        };
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|one| json!({ "object": one.object, "act": one.act.name(), "keys": keys(one) }))
            .collect();
        json!({
            "version": self.version,
            "changed": !changes.is_empty(),
            "dry_run": self.dry_run,
            "changes": changes,
            "warnings": self.warnings,
        })
    }
}

/// What is to happen to a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Intent {
    /// It is stored.
    Store,
    /// It is only told.
    Tell,
}

impl Intent {
    pub(super) fn dry_run(dry_run: bool) -> Self {
        if dry_run { Self::Tell } else { Self::Store }
    }
}

/// Makes a new document out of the one in force, checks it, and stores it unless nothing differs.
/// `expected`: only if this version is still in force; else made anew when another change comes
/// between.
pub(super) async fn change(
    context: &AdminContext,
    caller: &Caller,
    intent: Intent,
    expected: Option<u64>,
    make: impl Fn(&Document) -> Result<Document, Problem>,
) -> Result<Changed, Problem> {
    change_with(context, caller, (intent, expected), None, make).await
}

/// A secret that belongs to a change of the settings.
pub(super) struct Beside {
    pub(super) name: SecretName,
    pub(super) value: Secret,
}

impl Beside {
    fn audit(&self, caller: &Caller) -> ShelfAudit {
        ShelfAudit {
            actor: caller.actor.to_string(),
            via: caller.via,
            act: "secret.kept",
            detail: vec![self.name.to_string()],
        }
    }

    /// Alone: the settings stay as they are.
    pub(super) async fn keep(
        &self,
        context: &AdminContext,
        caller: &Caller,
    ) -> Result<(), Problem> {
        let (now, audit) = (context.clock.now(), self.audit(caller));
        let put = context
            .store
            .put_secret(&self.name, &self.value, now, Some(audit));
        Ok(put.await?)
    }
}

/// Nobody overwrites what they have not seen.
fn must_be_at(expected: Option<u64>, version: u64) -> Result<(), Problem> {
    let Some(expected) = expected.filter(|expected| *expected != version) else {
        return Ok(());
    };
    let detail = format!(
        "The settings are at version {version}, not {expected}; read them again and repeat."
    );
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}

/// [`change`], with a secret that is kept in the same transaction.
pub(super) async fn change_with(
    context: &AdminContext,
    caller: &Caller,
    (intent, expected): (Intent, Option<u64>),
    beside: Option<&Beside>,
    make: impl Fn(&Document) -> Result<Document, Problem>,
) -> Result<Changed, Problem> {
    let mut conflicts = 0;
    let turn = TURN.lock().await;
    loop {
        let before = context.store.settings();
        must_be_at(expected, before.version)?;
        let mut document = within_reach(caller, &before.document, make(&before.document)?)?;
        public_hosts::hold(context, caller, &before.document, &mut document)?;
        if only_here::holds(caller) {
            only_here::must_not_be_needed(&before.document, &document)?;
            let given = beside.map(|secret| &secret.name);
            only_here::secrets_must_stay(context, &before.document, &document, given).await?;
        }
        let built = Settings::build(before.mode, before.version + 1, document.clone())
            .map_err(|errors| Problem::invalid(&reasons(caller, before.mode, &document, errors)))?
            .following(&before);
        bounces_are_nobody_elses(caller, &before, &built)?;
        days_are_near(context, &before.document, &document)?;
        let warnings = warnings(caller, &built);
        let mut changes = change::diff(&before.document, &document);
        changes.retain(|one| one.act != Act::Kept);
        let dry_run = intent == Intent::Tell;
        if dry_run || changes.is_empty() {
            if let Some(secret) = beside.filter(|_| !dry_run) {
                secret.keep(context, caller).await?;
            }
            return Ok(Changed {
                version: before.version,
                changes,
                warnings,
                dry_run,
            });
        }
        let wanted = SettingsChange {
            expected_version: before.version,
            document: document.clone(),
            actor: caller.actor.to_string(),
            via: caller.via,
            summary: changes.iter().map(ToString::to_string).collect(),
            time: context.clock.now(),
        };
        match store(context, caller, wanted, beside).await {
            Ok(version) => {
                drop(turn);
                tell_of_domains(context).await;
                take_keys(context, caller, &before.document, &document).await;
                let now = context.clock.now();
                if let Err(error) = end_of_gone(&context.store, &document, now).await {
                    tracing::error!(%error, "cards of a connector that is gone still count");
                }
                let ended = schedules::end_of_gone(&context.store, &document, now).await;
                if let Err(error) = ended {
                    tracing::error!(%error, "reports of an organisation that is gone stay");
                }
                return Ok(Changed {
                    version,
                    changes,
                    warnings,
                    dry_run,
                });
            }
            Err(ChangeError::Conflict { .. })
                if expected.is_none() && conflicts < CONFLICTS_MAX =>
            {
                conflicts += 1;
            }
            Err(ChangeError::Invalid(errors)) => {
                let errors = reasons(caller, before.mode, &document, errors);
                return Err(Problem::invalid(&errors));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The check of the settings has no clock.
fn days_are_near(
    context: &AdminContext,
    before: &Document,
    after: &Document,
) -> Result<(), Problem> {
    let errors = old_tls::too_far(before, after, context.clock.now());
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid(&errors)),
    }
}

/// What is perhaps not meant, of what the caller sees.
fn warnings(caller: &Caller, settings: &Settings) -> Vec<String> {
    let all = settings.warnings().into_iter();
    let seen = all.filter(|one| {
        let whose = organisation_of(&one.object);
        whose.is_none_or(|whose| caller.rights.sees(whose))
    });
    seen.map(|one| one.to_string()).collect()
}

/// Why a document is not valid, as the caller may read it. Of two that want the same the later one
/// is told, and an organisation is not told who else has what it wants: it is looked at as the
/// last.
fn reasons(
    caller: &Caller,
    mode: Mode,
    document: &Document,
    errors: Vec<SettingsError>,
) -> Vec<SettingsError> {
    let Some(own) = caller.rights.organisation() else {
        return errors;
    };
    let mut reordered = document.clone();
    reordered.organisation.sort_by_key(|one| one.name == own);
    let errors = Settings::build(mode, 0, reordered).err().unwrap_or(errors);
    let errors = errors.into_iter();
    let mut told: Vec<_> = errors
        .filter(|one| organisation_of(&one.object).is_none_or(|whose| whose == own))
        .collect();
    if told.is_empty() {
        told.push(another_s(caller));
    }
    told
}

/// Nothing of whoever has it.
fn another_s(caller: &Caller) -> SettingsError {
    let own = caller.rights.organisation().unwrap_or_default();
    SettingsError {
        object: format!("organisation {own}"),
        message: "what it would have is another organisation's: a name, a domain, or an address \
                  of its clients"
            .to_owned(),
    }
}

/// A problem where a bounce domain lies in a domain that another organisation uses, and did not
/// before: DNS has shown since whose that is. One that did takes nothing, and is warned of.
fn bounces_are_nobody_elses(
    caller: &Caller,
    before: &Settings,
    built: &Settings,
) -> Result<(), Problem> {
    let known = before.taken_bounces();
    let mut taken = built.taken_bounces();
    taken.retain(|one| !known.contains(one));
    if taken.is_empty() {
        return Ok(());
    }
    let sees = |one: &SettingsError| {
        organisation_of(&one.object).is_none_or(|whose| caller.rights.sees(whose))
    };
    taken.retain(sees);
    if taken.is_empty() {
        taken.push(another_s(caller));
    }
    Err(Problem::invalid(&taken))
}

/// The organisation in `organisation contoso, inbound connector Printers`.
fn organisation_of(object: &str) -> Option<&str> {
    let named = object.strip_prefix("organisation ")?;
    named.split(',').next()
}

/// Nobody changes what they do not see: other organisations stay as they are, wherever the new
/// document comes from, and a domain is verified by hand only by whoever runs the installation.
fn within_reach(
    caller: &Caller,
    before: &Document,
    mut after: Document,
) -> Result<Document, Problem> {
    let Some(own) = caller.rights.organisation() else {
        return Ok(after);
    };
    if let Some(foreign) = after
        .organisation
        .iter()
        .find(|one| one.name != own && !before.organisation.contains(one))
    {
        let detail = format!("There is no organisation {}.", foreign.name);
        return Err(Problem::not_found(detail));
    }
    let ours = after.organisation.iter().position(|one| one.name == own);
    let ours = ours.map(|at| after.organisation.swap_remove(at));
    let ours = ours.ok_or_else(|| {
        let detail = "An organisation is removed by whoever runs the installation.";
        Problem::new(StatusCode::FORBIDDEN, detail)
    })?;
    let mut document = before.clone();
    for one in document
        .organisation
        .iter_mut()
        .filter(|one| one.name == own)
    {
        may_be_assumed(one, &ours)?;
        if one.content_max != ours.content_max {
            let detail = "How much content is kept (content_max) is set by whoever runs the \
                          installation.";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        one.clone_from(&ours);
    }
    Ok(document)
}

fn may_be_assumed(before: &Organisation, after: &Organisation) -> Result<(), Problem> {
    let is_assumed = |one: &&AcceptedDomain| one.verification == Verification::Assumed;
    for domain in after.domain.iter().filter(is_assumed) {
        let was = |one: &AcceptedDomain| one.name == domain.name;
        if !before.domain.iter().filter(is_assumed).any(was) {
            let detail = format!(
                "{} is verified by hand only by whoever runs the installation; publish its record.",
                domain.name
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    Ok(())
}

async fn store(
    context: &AdminContext,
    caller: &Caller,
    wanted: SettingsChange,
    beside: Option<&Beside>,
) -> Result<u64, ChangeError> {
    let Some(secret) = beside else {
        return context.store.change_settings(wanted).await;
    };
    let (both, audit) = ((&secret.name, &secret.value), secret.audit(caller));
    let stored = context
        .store
        .change_settings_with_secret(wanted, both, Some(audit));
    stored.await
}

/// Keys that hand in the mail of credentials that are gone go with them: who gets the name later is
/// somebody else.
async fn take_keys(context: &AdminContext, caller: &Caller, before: &Document, after: &Document) {
    let users = |document: &Document| -> BTreeSet<(String, String)> {
        let all = document.organisation.iter();
        let all = all.flat_map(|owner| owner.credential.iter().map(move |one| (owner, one)));
        all.map(|(owner, one)| (owner.name.clone(), one.user.clone()))
            .collect()
    };
    let left = users(after);
    let mut gone = users(before);
    gone.retain(|one| !left.contains(one));
    if gone.is_empty() {
        return;
    }
    let by = By {
        actor: &caller.actor,
        via: caller.via,
        now: context.clock.now(),
    };
    if let Err(error) = keys::revoke_of_credentials(&context.store, &gone, &by).await {
        tracing::error!(%error, "keys of a credential that is gone are still there");
    }
}

/// Domains that are new get their tokens, and are looked at without delay.
async fn tell_of_domains(context: &AdminContext) {
    if let Err(error) = proving::make_tokens(context).await {
        tracing::debug!(%error, "tokens of domains are made later");
    }
    if let Some(dns) = &context.dns {
        dns.changed.notify_one();
    }
}

async fn read(State(context): State<AdminContext>) -> Response {
    let settings = context.store.settings();
    let tag = format!("\"{}\"", settings.version);
    ([(header::ETAG, tag)], Json(&*settings.document)).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplaceParameters {
    #[serde(default)]
    dry_run: bool,
}

async fn replace(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Parameters(parameters): Parameters<ReplaceParameters>,
    headers: HeaderMap,
    Input(document): Input<Document>,
) -> Result<Json<Value>, Problem> {
    let expected = version_in(&headers)?;
    let intent = Intent::dry_run(parameters.dry_run);
    let make = |_: &Document| Ok(document.clone());
    Ok(Json(
        change(&context, &caller, intent, Some(expected), make)
            .await?
            .to_json(),
    ))
}

/// The version in `If-Match`, which is demanded: nobody overwrites what they have not seen.
fn version_in(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        let detail = "Send If-Match with the ETag of the settings that you changed.";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, detail));
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().trim_matches('"').parse().ok());
    number.ok_or_else(|| Problem::bad_request("If-Match is not an ETag of the settings."))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    document: Document,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    dry_run: bool,
}

async fn apply(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(apply): Input<Apply>,
) -> Result<Json<Value>, Problem> {
    let absent = if apply.prune {
        Absent::Prune
    } else {
        Absent::Keep
    };
    let make = |current: &Document| Ok(change::merge(current, &apply.document, absent));
    let intent = Intent::dry_run(apply.dry_run);
    Ok(Json(
        change(&context, &caller, intent, None, make)
            .await?
            .to_json(),
    ))
}
