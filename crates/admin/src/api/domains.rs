//! Accepted domains: where they stand, what to publish for them, what DNS shows of them now, and
//! verification by hand.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{Document, Verification};
use relais_policy::proof::{Finding, Proof, ProofKey, Said, Source};
use relais_policy::settings::{DomainState, OwnedDomain, Settings};
use relais_smtp::domain::Domain;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller, Dns};
use crate::problem::{Input, Parameters, Problem};
use crate::proving::{self, Looked};

/// TTL that we propose for records, in seconds: people mend mistakes within the hour.
const RECORD_TTL_SECONDS: u32 = 3_600;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/domains", get(list))
        .route("/domains/{name}/verify", post(verify))
        .route("/domains/{name}/records", get(records))
        .route("/domains/{name}/check", post(check))
}

async fn list(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let domains = settings.domains();
    let domains: Vec<_> = domains
        .map(|(key, owned)| domain_json(&settings, &key, &owned))
        .collect();
    Json(json!({ "domains": domains }))
}

fn domain_json(settings: &Settings, key: &ProofKey, owned: &OwnedDomain<'_>) -> Value {
    let domain = owned.domain;
    let mut object = json!({
        "organisation": key.organisation,
        "name": key.domain.as_str(),
        "unicode": key.domain.to_unicode(),
        "kind": domain.kind,
        "state": owned.state.name(),
        "verification": domain.verification,
        "subdomains": domain.subdomains,
        "mailbox_host": domain.mailbox_host,
    });
    let proof = settings.proof(&key.organisation, &key.domain);
    let time = |time: Option<relais_smtp::time::Timestamp>| time.map(|it| it.to_rfc3339());
    object["since"] = json!(proof.map(|proof| proof.since.to_rfc3339()));
    object["checked_at"] = json!(proof.and_then(|proof| time(proof.looked_at)));
    object["answered_at"] = json!(proof.and_then(|proof| time(proof.answered_at)));
    let left = proof.and_then(Proof::grace_left);
    object["grace_left_s"] = json!(left.map(|left| left.as_secs()));
    object["seen"] = json!(proof.map(|proof| proof.seen.as_str()).unwrap_or_default());
    object
}

/// Whose domain is meant: several organisations may claim one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    #[serde(default)]
    organisation: Option<String>,
}

fn find(settings: &Settings, name: &str, whose: Option<&str>) -> Result<ProofKey, Problem> {
    let wanted = Domain::parse(name)
        .map_err(|error| Problem::bad_request(format!("\"{name}\": {error}.")))?;
    let keys = settings.domains().map(|(key, _)| key);
    let keys = keys.filter(|key| key.domain == wanted);
    let mut keys = keys.filter(|key| whose.is_none_or(|whose| *key.organisation == *whose));
    match (keys.next(), keys.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Problem::bad_request(format!(
            "Several organisations claim {wanted}: name one with --organisation."
        ))),
        (None, _) => Err(Problem::not_found(match whose {
            Some(whose) => format!(
                "The organisation {whose} does not have the domain {wanted}; add it with \
                 `relais domain add {wanted}`."
            ),
            None => format!(
                "No organisation has the domain {wanted}; add it with `relais domain add {wanted}`."
            ),
        })),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    /// By hand: somebody on this machine says so.
    #[serde(default)]
    assume: bool,
    #[serde(default)]
    organisation: Option<String>,
}

async fn verify(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(verify): Input<Verify>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        verify.organisation.as_deref(),
    )?;
    if !verify.assume {
        return look(&context, &caller, key).await;
    }
    let make = |current: &Document| assume(current, &key);
    Ok(Json(
        change(&context, &caller, Intent::Store, None, make)
            .await?
            .to_json(),
    ))
}

fn assume(current: &Document, key: &ProofKey) -> Result<Document, Problem> {
    let mut document = current.clone();
    let organisations = document.organisation.iter_mut();
    let owners = organisations.filter(|one| *one.name == *key.organisation);
    let domains = owners.flat_map(|one| one.domain.iter_mut());
    let found = domains
        .filter(|domain| Domain::parse(&domain.name).as_ref() == Ok(&key.domain))
        .map(|domain| domain.verification = Verification::Assumed)
        .count();
    if found == 0 {
        let detail = format!("The domain {} has just been removed.", key.domain);
        return Err(Problem::not_found(detail));
    }
    Ok(document)
}

async fn check(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Input(whose): Input<Whose>,
) -> Result<Json<Value>, Problem> {
    let key = find(
        &context.store.settings(),
        &name,
        whose.organisation.as_deref(),
    )?;
    look(&context, &caller, key).await
}

/// Asks DNS now. `{"organisation","name","state","verification","checks":[…]}`; each check has
/// `check`, `ok`, `finding`, `record`, `detail`, and whom it asked in `servers`.
async fn look(
    context: &AdminContext,
    caller: &Caller,
    key: ProofKey,
) -> Result<Json<Value>, Problem> {
    let dns = asked(context)?;
    proving::make_tokens(context).await?;
    let looked = proving::look(context, dns, &key, caller).await?;
    let looked = looked.ok_or_else(|| {
        Problem::not_found(format!("The domain {} has just been removed.", key.domain))
    })?;
    let settings = context.store.settings();
    let owned = settings.domains().find(|(one, _)| *one == key);
    let Some((_, owned)) = owned else {
        let detail = format!("The domain {} has just been removed.", key.domain);
        return Err(Problem::not_found(detail));
    };
    let mut object = domain_json(&settings, &key, &owned);
    object["checks"] = json!([verification_check(&key, &looked, owned.state)]);
    Ok(Json(object))
}

fn asked(context: &AdminContext) -> Result<&Dns, Problem> {
    context.dns.as_ref().ok_or_else(|| {
        let detail = "DNS is asked by the running server; start it with `relais serve`.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

fn verification_check(key: &ProofKey, looked: &Looked, state: DomainState) -> Value {
    let token = &looked.proof.token;
    let servers = looked.sightings.iter().map(|sighting| {
        let (answer, texts) = match &sighting.said {
            Said::Texts(texts) => (sighting.describe(token), texts.as_slice()),
            Said::Nothing(_) | Said::Failed(_) => (sighting.describe(token), [].as_slice()),
        };
        json!({
            "server": sighting.server,
            "source": match sighting.source {
                Source::Authoritative => "authoritative",
                Source::Resolver => "resolver",
            },
            "finding": finding_name(sighting.finding(token)),
            "answer": answer,
            "texts": texts,
        })
    });
    let detail = match (looked.finding, looked.taken) {
        (Finding::Present, false) => "The record is there.".to_owned(),
        (Finding::Present, true) => "The record is there; the domain is another organisation's as \
                                     long as its proof holds."
            .to_owned(),
        (Finding::Absent, _) => {
            format!(
                "The record is not there: publish TXT {} at {}.",
                token.record(),
                key.domain
            )
        }
        (Finding::Unknown, _) => {
            "DNS gave no answer to rely on; nothing changes until it does.".to_owned()
        }
    };
    json!({
        "check": "verification",
        "ok": looked.finding == Finding::Present && state.is_in_force(),
        "finding": finding_name(looked.finding),
        "record": record_json(key, &looked.proof),
        "detail": detail,
        "servers": servers.collect::<Vec<_>>(),
    })
}

const fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::Present => "present",
        Finding::Absent => "absent",
        Finding::Unknown => "unknown",
    }
}

/// What to publish. `{"organisation","domain","state","records":[{"purpose","required","name",
/// "type","ttl","value","words"}]}`
async fn records(
    State(context): State<AdminContext>,
    Path(name): Path<String>,
    Parameters(whose): Parameters<Whose>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let key = find(&settings, &name, whose.organisation.as_deref())?;
    let proof = settings.proof(&key.organisation, &key.domain);
    let records: Vec<_> = proof
        .map(|proof| record_json(&key, proof))
        .into_iter()
        .collect();
    let state = settings.domains().find(|(one, _)| *one == key);
    Ok(Json(json!({
        "organisation": key.organisation,
        "domain": key.domain.as_str(),
        "state": state.map(|(_, owned)| owned.state.name()),
        "records": records,
    })))
}

fn record_json(key: &ProofKey, proof: &Proof) -> Value {
    json!({
        "purpose": "verification",
        "required": true,
        "name": key.domain.as_str(),
        "type": "TXT",
        "ttl": RECORD_TTL_SECONDS,
        "value": proof.token.record(),
        "words": "Proves that the domain is yours; must stay, as it is looked at every day.",
    })
}
