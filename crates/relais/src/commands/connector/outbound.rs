//! `relais connector outbound`: what outbound connectors have beside what all have.

use std::time::Duration;

use serde_json::{Value, json};

use relais_admin::api::connector_revision;
use relais_policy::document::OutboundConnector;
use relais_policy::preset::outbound_presets;

use super::keys::OutboundKeys;
use super::{ConnectorKeys, Named, Verb, add, set};
use crate::commands::edit::{Patch, organisation, read, show_changes};
use crate::commands::session::Session;
use crate::failure::Failure;
use crate::output::{Tone, clean};
use crate::words::Language;

/// The verbs of all connectors; a secret that is given goes into the store, not into the settings.
pub(super) async fn act(session: &Session, verb: Verb<OutboundKeys>) -> Result<(), Failure> {
    match verb {
        Verb::Add { named, keys } => {
            let secret = keys.secret()?;
            let (patch, todo) = with_preset(&keys)?;
            match secret {
                Some(secret) => put(session, &named, &patch, (Known::New, &secret)).await?,
                None => add::<OutboundConnector>(session, &named, &patch).await?,
            }
            if !session.output.json {
                for line in todo {
                    session.output.line(&format!("Still to do: {line}"))?;
                }
            }
            Ok(())
        }
        Verb::Set { named, keys } => {
            let secret = keys.secret()?;
            let (patch, _) = with_preset(&keys)?;
            match secret {
                Some(secret) => put(session, &named, &patch, (Known::There, &secret)).await,
                None => set::<OutboundConnector>(session, &named, &patch).await,
            }
        }
        other => super::act::<OutboundConnector, _>(session, other).await,
    }
}

/// The keys given, over those of the preset; and what the preset leaves to be done.
fn with_preset(keys: &OutboundKeys) -> Result<(Patch, Vec<String>), Failure> {
    let mut patch = keys.patch();
    let Some(preset) = keys.preset()? else {
        return Ok((patch, Vec::new()));
    };
    let below = serde_json::to_value(&preset.keys);
    patch.beneath(&below.map_err(|error| Failure::Failed(error.to_string()))?);
    Ok((patch, preset.fix))
}

/// Ways out through well-known providers.
pub(super) fn presets(session: &Session) -> Result<(), Failure> {
    let output = session.output;
    let presets = outbound_presets();
    if output.json {
        return presets.iter().try_for_each(|one| {
            output.value(&json!({
                "name": one.name,
                "title": one.title,
                "fix": one.fix,
                "keys": serde_json::to_value(&one.keys).unwrap_or_default(),
            }))
        });
    }
    let rows: Vec<_> = presets
        .iter()
        .map(|one| vec![one.name.clone(), one.title.clone()])
        .collect();
    output.table(&["PRESET", "WAY"], &rows)
}

/// How often the issuer is asked at most, and at least, whatever it says.
const POLL_SECONDS: std::ops::RangeInclusive<u64> = 1..=60;

/// A sign-in on another device. RFC 8628.
pub(super) async fn login(session: &Session, named: &Named) -> Result<(), Failure> {
    let api = session.api().await?;
    let mut body = json!({ "organisation": named.organisation, "name": named.name });
    let begun = api.post("/connectors/outbound/login", &body).await?.value;
    let (output, language) = (session.output, Language::of_environment());
    let word = |key: &str| clean(begun[key].as_str().unwrap_or_default()).into_owned();
    if output.json {
        output.value(&json!({
            "verification_uri": begun["verification_uri"],
            "user_code": begun["user_code"],
        }))?;
    } else {
        let (open, type_in) = language.pick(("Open", "and enter"), ("Ouvrez", "et saisissez"));
        output.line(&format!(
            "{open} {} {type_in} {}",
            word("verification_uri"),
            word("user_code")
        ))?;
    }
    body["device_code"] = begun["device_code"].clone();
    let seconds = |key: &str| begun[key].as_u64().unwrap_or_default();
    let mut wait = seconds("interval").clamp(*POLL_SECONDS.start(), *POLL_SECONDS.end());
    let mut left = seconds("expires_in").max(wait);
    let mut because = None;
    while left >= wait {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        left -= wait;
        let answer = api
            .post("/connectors/outbound/login/poll", &body)
            .await?
            .value;
        match answer["state"].as_str() {
            Some("signed-in") if output.json => return output.value(&answer),
            Some("signed-in") => {
                return output.line(language.pick(
                    "Signed in; the token is kept, encrypted.",
                    "Connecté\u{202f}; le jeton est gardé, chiffré.",
                ));
            }
            Some("slow-down") => wait = (wait + 5).min(*POLL_SECONDS.end()),
            _ => {
                because = answer["because"]
                    .as_str()
                    .map(|said| clean(said).into_owned())
            }
        }
    }
    let late = "nobody signed in in time";
    let words = because.map_or_else(|| late.to_owned(), |because| format!("{late}; {because}"));
    Err(Failure::Failed(words))
}

/// The walk to the smart hosts, step by step.
pub(super) async fn test(
    session: &Session,
    named: &Named,
    (to, from): (&str, Option<&str>),
    transcript: bool,
) -> Result<(), Failure> {
    let api = session.api().await?;
    let body = json!({
        "organisation": named.organisation,
        "name": named.name,
        "to": to,
        "from": from,
    });
    let report = api.post("/connectors/outbound/test", &body).await?.value;
    let output = session.output;
    if output.json {
        output.value(&report)?;
    } else {
        for host in report["hosts"].as_array().into_iter().flatten() {
            show_host(session, host, transcript)?;
        }
    }
    if report["ok"] == true {
        return Ok(());
    }
    Err(Failure::CheckFailed(String::new()))
}

fn show_host(session: &Session, host: &Value, transcript: bool) -> Result<(), Failure> {
    let output = session.output;
    let language = Language::of_environment();
    let word = |value: &Value| clean(value.as_str().unwrap_or_default()).into_owned();
    output.line(&word(&host["host"]))?;
    for step in host["steps"].as_array().into_iter().flatten() {
        let (tone, mark) = if step["ok"] == true {
            (Tone::Good, "ok")
        } else {
            (Tone::Bad, "FAILED")
        };
        let mark = output.paint(tone, &format!("{mark:<6}"));
        output.line(&format!(
            "  {mark} {:<5} {}",
            word(&step["step"]).to_uppercase(),
            word(&step["detail"])
        ))?;
        let key = language.pick("en", "fr");
        for (heading, part) in [
            (language.pick("Cause:", "Cause :"), &step["cause"][key]),
            (language.pick("Fix:", "Remède\u{202f}:"), &step["fix"][key]),
        ] {
            if part.is_string() {
                output.line(&format!("         {heading} {}", word(part)))?;
            }
        }
    }
    if transcript {
        for line in host["transcript"].as_array().into_iter().flatten() {
            output.line(&format!("    {}", word(line)))?;
        }
    }
    Ok(())
}

/// Whether there is one already.
#[derive(Clone, Copy)]
enum Known {
    New,
    There,
}

/// The connector and what it logs in with, in one transaction: a moment between the two would show
/// the old password to the new host.
async fn put(
    session: &Session,
    named: &Named,
    patch: &Patch,
    (known, (kind, value)): (Known, &(&'static str, String)),
) -> Result<(), Failure> {
    let api = session.api().await?;
    let (mut document, _) = read(&api).await?;
    let owner = organisation(&mut document, named.organisation.as_deref())?;
    let old = owner.outbound_connector.iter();
    let old = old.into_iter().find(|one| one.name == named.name);
    let (connector, revision) = match (known, old) {
        (Known::New, _) => (patch.create::<OutboundConnector>(&named.name)?, None),
        (Known::There, Some(old)) => (patch.apply(old)?, Some(connector_revision(old))),
        (Known::There, None) => return Err(super::missing::<OutboundConnector>(named)),
    };
    let body = json!({
        "organisation": owner.name,
        "connector": connector,
        "revision": revision,
        "dry_run": named.dry_run,
        "secret": { "kind": kind, "value": value },
    });
    let answer = api.post("/connectors/outbound/put", &body).await?.value;
    show_changes(session.output, &answer)?;
    if session.output.json || named.dry_run {
        return Ok(());
    }
    session.output.line(&format!(
        "The {kind} is kept, encrypted. Nothing shows it again."
    ))
}
