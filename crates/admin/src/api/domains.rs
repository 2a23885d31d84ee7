//! Accepted domains: where they stand, what to publish for them, what DNS shows of them now, and
//! verification by hand.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::facts::{GLANCE_TIMEOUT, LOOK_TIMEOUT};
use relais_policy::desk::{Check, Outcome, Prediction, ProposedRecord, TTL_SECONDS, Words};
use relais_policy::document::{Document, Verification};
use relais_policy::proof::{Finding, Proof, ProofKey, Said, Source};
use relais_policy::settings::{DomainState, OwnedDomain, Settings};
use relais_smtp::domain::Domain;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller, Dns};
use crate::desk;
use crate::problem::{Input, Parameters, Problem};
use crate::proving::{self, Looked};
use crate::signing_keys;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/domains", get(list))
        .route("/domains/{name}/verify", post(verify))
        .route("/domains/{name}/records", get(records))
        .route("/domains/{name}/check", post(check))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let mut domains = Vec::new();
    for (key, owned) in settings.domains() {
        let mut object = domain_json(&settings, &key, &owned);
        let finding = context.findings.get(&context.store, &key).await?;
        object["dns"] = json!(finding.map(|finding| {
            json!({
                "checked_at": finding.looked_at().to_rfc3339(),
                "wrong": finding.wrong().collect::<Vec<_>>(),
            })
        }));
        domains.push(object);
    }
    Ok(Json(json!({ "domains": domains })))
}

fn domain_json(settings: &Settings, key: &ProofKey, owned: &OwnedDomain<'_>) -> Value {
    let domain = owned.domain;
    let mut object = json!({
        "organisation": key.organisation,
        "name": key.domain.as_str(),
        "unicode": key.domain.to_unicode(),
        "kind": domain.kind,
        "state": owned.state.name(),
        "dkim": signing_keys::standing_name(settings, key),
        "bounces": bounces(settings, owned),
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

/// `off`; `waiting`: DNS has not shown that the bounce domain leads to us, and envelope senders
/// stay; `active`.
fn bounces(settings: &Settings, owned: &OwnedDomain<'_>) -> &'static str {
    match Domain::parse(&owned.domain.bounce_domain) {
        Err(_) => "off",
        Ok(bounce) if settings.is_bounce_domain_shown(owned, &bounce) => "active",
        Ok(_) => "waiting",
    }
}

/// Whose domain is meant: several organisations may claim one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    #[serde(default)]
    organisation: Option<String>,
}

pub(super) fn find(
    settings: &Settings,
    name: &str,
    whose: Option<&str>,
) -> Result<ProofKey, Problem> {
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
    let dns = asked(&context)?;
    let (proved, seen) = tokio::join!(
        look(&context, &caller, key.clone()),
        desk::look(&context, dns, &key, LOOK_TIMEOUT)
    );
    let Json(mut object) = proved?;
    let seen = seen.ok_or_else(|| gone(&key))?;
    desk::keep(&context, &key, &seen, &caller).await?;
    let checks = seen.assessment.checks.iter().map(check_json);
    if let Some(list) = object["checks"].as_array_mut() {
        list.extend(checks);
        list.extend(differing(&seen.differing));
    }
    let predictions = seen.assessment.predictions.iter();
    object["alignment"] = predictions.map(prediction_json).collect();
    Ok(Json(object))
}

fn gone(key: &ProofKey) -> Problem {
    Problem::not_found(format!("The domain {} has just been removed.", key.domain))
}

fn check_json(check: &Check) -> Value {
    json!({
        "check": check.name,
        "ok": check.is_ok(),
        "needed": check.needed,
        "finding": check.outcome.name(),
        "detail": check.words.english,
        "detail_fr": check.words.french,
    })
}

/// Servers of a domain that have not heard yet.
fn differing(names: &[String]) -> Option<Value> {
    if names.is_empty() {
        return None;
    }
    let names = names.join(", ");
    Some(json!({
        "check": "servers",
        "ok": true,
        "needed": false,
        "finding": Outcome::Wrong.name(),
        "detail": format!("The servers of the domain do not say the same of {names}."),
        "detail_fr": format!("Les serveurs du domaine ne disent pas la même chose de {names}."),
    }))
}

fn prediction_json(one: &Prediction) -> Value {
    json!({
        "inbound_connector": one.inbound_connector,
        "outbound_connector": one.outbound_connector,
        "spf": one.spf,
        "spf_aligned": one.spf_aligned,
        "dkim": one.dkim,
        "dmarc": one.dmarc,
        "policy": one.policy,
        "detail": one.words.english,
        "detail_fr": one.words.french,
    })
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
    look_for_keys(context, dns, &key, caller).await;
    let looked = proving::look(context, dns, &key, caller).await?;
    let looked = looked.ok_or_else(|| gone(&key))?;
    let settings = context.store.settings();
    let owned = settings.domains().find(|(one, _)| *one == key);
    let (_, owned) = owned.ok_or_else(|| gone(&key))?;
    let mut object = domain_json(&settings, &key, &owned);
    object["checks"] = json!([verification_check(&key, &looked, &owned)]);
    Ok(Json(object))
}

/// A key of ours in DNS is a proof as good as the record: who has published one, or an alias to it,
/// does not wait until keys are looked for by themselves.
async fn look_for_keys(context: &AdminContext, dns: &Dns, key: &ProofKey, caller: &Caller) {
    let settings = context.store.settings();
    let pending = |(one, owned): &(ProofKey, OwnedDomain<'_>)| {
        one == key && owned.state == DomainState::Pending
    };
    if !settings.domains().any(|one| pending(&one)) {
        return;
    }
    if let Err(error) = signing_keys::look(context, dns, key, caller).await {
        tracing::debug!(%error, domain = %key.domain, "no look for DKIM keys");
    }
}

pub(super) fn asked(context: &AdminContext) -> Result<&Dns, Problem> {
    context.dns.as_ref().ok_or_else(|| {
        let detail = "DNS is asked by the running server; start it with `relais serve`.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })
}

fn verification_check(key: &ProofKey, looked: &Looked, owned: &OwnedDomain<'_>) -> Value {
    let by_hand = owned.domain.verification == Verification::Assumed;
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
    let words = verification_words(key, looked, by_hand);
    json!({
        "check": "verification",
        "ok": (by_hand || looked.finding == Finding::Present) && owned.state.is_in_force(),
        "needed": !by_hand,
        "finding": finding_name(looked.finding),
        "record": {
            "name": key.domain.as_str(),
            "type": "TXT",
            "ttl": TTL_SECONDS,
            "value": token.record(),
        },
        "detail": words.english,
        "detail_fr": words.french,
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn verification_words(key: &ProofKey, looked: &Looked, by_hand: bool) -> Words {
    let (record, domain) = (looked.proof.token.record(), &key.domain);
    match (looked.finding, looked.taken) {
        (Finding::Present, false) => Words::new("The record is there.", "L’enregistrement est là."),
        (Finding::Present, true) => Words::new(
            "The record is there; the domain is another organisation's as long as its proof holds.",
            "L’enregistrement est là\u{202f}; le domaine est à une autre organisation tant que sa preuve              tient.",
        ),
        (Finding::Absent | Finding::Unknown, _) if by_hand => Words::new(
            "Verified by hand: its record need not be published.",
            "Vérifié à la main\u{202f}: son enregistrement n’a pas à être publié.",
        ),
        (Finding::Absent, _) => Words::new(
            format!("The record is not there: publish TXT {record} at {domain}."),
            format!("L’enregistrement n’y est pas\u{202f}: publiez TXT {record} sur {domain}."),
        ),
        (Finding::Unknown, _) => Words::new(
            "DNS gave no answer to rely on; nothing changes until it does.",
            "Le DNS n’a pas donné de réponse fiable\u{202f}; rien ne change d’ici là.",
        ),
    }
}

const fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::Present => "present",
        Finding::Absent => "absent",
        Finding::Unknown => "unknown",
    }
}

/// What to publish, merged with what is there where DNS can be asked. `{"organisation","domain",
/// "state","records":[{"purpose","required","name","type","ttl","value","data","words","words_fr",
/// "state","found"}],"notes":[{"words","words_fr"}],"policy_file"}`
async fn records(
    State(context): State<AdminContext>,
    Path(name): Path<String>,
    Parameters(whose): Parameters<Whose>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let key = find(&settings, &name, whose.organisation.as_deref())?;
    let assessment = match &context.dns {
        Some(dns) => {
            proving::make_tokens(&context).await?;
            let seen = desk::look(&context, dns, &key, GLANCE_TIMEOUT).await;
            seen.map(|seen| seen.assessment)
        }
        None => desk::propose_for(&context, &key),
    };
    let assessment = assessment.ok_or_else(|| gone(&key))?;
    let state = settings.domains().find(|(one, _)| *one == key);
    let file = assessment.policy_file.as_ref();
    let notes = assessment.notes.iter();
    let notes = notes.map(|it| json!({ "words": it.english, "words_fr": it.french }));
    Ok(Json(json!({
        "organisation": key.organisation,
        "domain": key.domain.as_str(),
        "state": state.map(|(_, owned)| owned.state.name()),
        "records": assessment.records.iter().map(record_json).collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
        "policy_file": file.map(|file| json!({ "address": file.address, "text": file.text })),
    })))
}

fn record_json(record: &ProposedRecord) -> Value {
    json!({
        "purpose": record.purpose,
        "required": record.needed,
        "name": record.name,
        "type": record.type_name(),
        "ttl": TTL_SECONDS,
        "value": record.value(),
        "data": record.zone_data(),
        "words": record.words.english,
        "words_fr": record.words.french,
        "state": record.state.name(),
        "found": record.state.found(),
    })
}
