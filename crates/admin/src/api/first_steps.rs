//! The first steps after the installation: where they stand, what is proposed, and saving each. One
//! engine for the browser, the terminal and whoever asks the API.
//!
//! Most of it is read off the settings, so that whoever configures in another way has the same
//! steps done. Each can be left, and changed later.

mod domain;
mod ranges;
mod trial;
mod ways;

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use relais_policy::document::{
    Document, InboundConnector, Language, Limit, Limits, Organisation, PresetName, write_network,
};
use relais_policy::settings::{DomainState, Settings};
use relais_store::queue::StoreError;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;
use relais_store::trace::{TraceQuery, TraceTerm};

use super::settings::{Beside, Intent, change_with};
use crate::checks::{kept, networks};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Where the progress lies on its shelf.
const PROGRESS_KEY: &str = "progress";
/// The connector that the fifth step makes.
const DEVICES: &str = "Devices";
/// What one device sends in a minute at most before its mail waits: a scanner sends one or two.
const MESSAGES_PER_MINUTE: u64 = 60;
/// Recipients in a day before mail waits.
const RECIPIENTS_PER_DAY: u64 = 2_000;
/// Octets of an organisation's name.
const NAME_OCTETS_MAX: usize = 63;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/first-steps", get(show))
        .route("/first-steps/you", post(you))
        .route("/first-steps/domain", post(domain::save))
        .route("/first-steps/ways", get(ways::show).post(ways::choose))
        .route("/first-steps/senders", post(senders))
        .route("/first-steps/prove", post(trial::send))
        .route("/test", post(trial::send))
}

/// What no setting tells.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Progress {
    /// The way out that was chosen: `direct`, or a preset.
    #[serde(default)]
    way: Option<String>,
    /// The connector that was made for it.
    #[serde(default)]
    connector: Option<String>,
    /// The test message that was sent last.
    #[serde(default)]
    trial: Option<String>,
}

impl Progress {
    async fn read(store: &Store) -> Result<Self, StoreError> {
        let value = store.shelf_value(Shelf::FirstSteps, PROGRESS_KEY).await?;
        let read = value.and_then(|value| serde_json::from_str(&value).ok());
        Ok(read.unwrap_or_default())
    }

    async fn keep(&self, context: &AdminContext) -> Result<(), StoreError> {
        let value = serde_json::to_string(self).map_err(|error| {
            StoreError::Fault(format!("the progress cannot be written: {error}"))
        })?;
        let change = ShelfChange::new(Shelf::FirstSteps, context.clock.now());
        context
            .store
            .change_shelf(change.put(PROGRESS_KEY, value))
            .await
    }
}

/// Whose steps they are: the only organisation, or where there are several the first.
fn organisation(settings: &Settings) -> Option<&Organisation> {
    settings.document.organisation.first()
}

fn must(found: Option<&Organisation>) -> Result<&Organisation, Problem> {
    found
        .ok_or_else(|| Problem::bad_request("Say first who you are: there is no organisation yet."))
}

/// The same without what it owns: laid over what is there, it changes its own keys alone.
fn shell(organisation: &Organisation) -> Organisation {
    Organisation {
        domain: Vec::new(),
        recipient: Vec::new(),
        inbound_connector: Vec::new(),
        outbound_connector: Vec::new(),
        credential: Vec::new(),
        ..organisation.clone()
    }
}

/// Lays what `make` gives over the settings in force: it sees the organisation as it is at that
/// moment, so that what somebody else changes meanwhile stays.
async fn apply(
    context: &AdminContext,
    caller: &Caller,
    beside: Option<&Beside>,
    make: impl Fn(Option<&Organisation>) -> Result<Organisation, Problem>,
) -> Result<(), Problem> {
    let make = |current: &Document| {
        use relais_policy::change::{Absent, merge};
        let wanted = Document {
            organisation: vec![make(current.organisation.first())?],
        };
        Ok(merge(current, &wanted, Absent::Keep))
    };
    change_with(context, caller, (Intent::Store, None), beside, make).await?;
    Ok(())
}

async fn show(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    Ok(Json(state(&context).await?))
}

/// `{"steps":[{"step","done"}],"hostname","organisation","domain","way","connector","networks",
/// "senders","trial"}`
async fn state(context: &AdminContext) -> Result<Value, Problem> {
    let (store, settings) = (&context.store, context.store.settings());
    let (progress, found) = (Progress::read(store).await?, organisation(&settings));
    let looked = kept(store).await?.checked_at().is_some();
    let has_way = found.is_some_and(|one| !one.outbound_connector.is_empty());
    let has_senders = settings
        .document
        .organisation
        .iter()
        .any(|one| !one.inbound_connector.is_empty() || !one.credential.is_empty());
    let has_domain = found.is_some_and(|one| !one.domain.is_empty());
    let steps = [
        ("you", found.is_some()),
        ("checks", looked),
        ("domain", has_domain),
        ("leave", progress.way.is_some() || has_way),
        ("senders", has_senders),
        ("prove", was_delivered(context).await?),
    ];
    let devices = found.and_then(|one| {
        one.inbound_connector
            .iter()
            .find(|connector| connector.name == DEVICES)
    });
    let ranges = devices.map(|devices| devices.sender_ip_addresses.as_slice());
    let texts = |ranges: &[IpNet]| ranges.iter().map(write_network).collect::<Vec<_>>();
    Ok(json!({
        "steps": steps.map(|(step, done)| json!({ "step": step, "done": done })),
        "hostname": context.hostname,
        "organisation": found.map(|one| json!({
            "name": one.name,
            "display_name": one.display_name,
            "postmaster": one.postmaster,
            "language": one.language,
        })),
        "domain": first_domain(&settings).map(|(name, state)| json!({
            "name": name,
            "state": state.name(),
        })),
        "way": progress.way,
        "connector": progress.connector,
        "networks": texts(&networks()),
        "senders": texts(ranges.unwrap_or_default()),
        "trial": progress.trial,
    }))
}

/// The domain that counts: a verified one, else the first.
fn first_domain(settings: &Settings) -> Option<(String, DomainState)> {
    let name = &organisation(settings)?.name;
    let own = settings
        .domains()
        .filter(|(key, _)| *key.organisation == **name);
    let own: Vec<_> = own
        .map(|(key, owned)| (key.domain.to_string(), owned.state))
        .collect();
    let verified = own.iter().find(|(_, state)| state.is_in_force());
    verified.or(own.first()).cloned()
}

async fn was_delivered(context: &AdminContext) -> Result<bool, Problem> {
    let query = TraceQuery {
        terms: vec![TraceTerm::new("event", "recipient.delivered")?],
        limit: 1,
        ..TraceQuery::default()
    };
    let rows = context.store.trace(&query).await;
    Ok(!rows.map_err(Problem::from)?.is_empty())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct You {
    display_name: String,
    postmaster: String,
    #[serde(default)]
    language: Language,
}

/// `Société Étoile SA` → `societe-etoile-sa`; `organisation` where nothing of it can be used.
fn name_of(display_name: &str) -> String {
    let mut name = String::new();
    for one in display_name.chars().flat_map(char::to_lowercase) {
        match one {
            'a'..='z' | '0'..='9' => name.push(one),
            _ if !without_accent(one).is_empty() => name.push_str(without_accent(one)),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(NAME_OCTETS_MAX);
    match name.trim_end_matches('-') {
        "" => "organisation".to_owned(),
        name => name.to_owned(),
    }
}

/// What people write for a letter of Latin-1 or a ligature where accents cannot be; else nothing.
fn without_accent(letter: char) -> &'static str {
    match letter {
        'à'..='å' => "a",
        'æ' => "ae",
        'ç' => "c",
        'è'..='ë' => "e",
        'ì'..='ï' => "i",
        'ñ' => "n",
        'ò'..='ö' | 'ø' => "o",
        'œ' => "oe",
        'ß' => "ss",
        'ù'..='ü' => "u",
        'ý' | 'ÿ' => "y",
        _ => "",
    }
}

async fn you(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(you): Input<You>,
) -> Result<Json<Value>, Problem> {
    let display_name = you.display_name.trim();
    if display_name.is_empty() {
        return Err(Problem::bad_request(
            "Say what your organisation is called.",
        ));
    }
    let make = |known: Option<&Organisation>| {
        let known = known.map(shell);
        let mut made = known.unwrap_or_else(|| Organisation::new(name_of(display_name)));
        display_name.clone_into(&mut made.display_name);
        you.postmaster.trim().clone_into(&mut made.postmaster);
        made.language = you.language;
        Ok(made)
    };
    apply(&context, &caller, None, make).await?;
    Ok(Json(state(&context).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Senders {
    networks: Vec<String>,
}

/// The addresses of the connector *Devices*; its other keys stay where it is there.
async fn senders(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Senders>,
) -> Result<Json<Value>, Problem> {
    let ranges = wanted.networks.iter().map(|text| ranges::read(text));
    let ranges = ranges.collect::<Result<Vec<_>, _>>()?;
    if ranges.is_empty() {
        let detail = "Choose a network or type an address; or wait for a device to knock.";
        return Err(Problem::bad_request(detail));
    }
    let make = |found: Option<&Organisation>| {
        let found = must(found)?;
        let mut connectors = found.inbound_connector.iter();
        let known = connectors.find(|one| one.name == DEVICES).cloned();
        let mut connector = known.unwrap_or_else(|| devices(found));
        connector.sender_ip_addresses.clone_from(&ranges);
        let mut made = shell(found);
        made.inbound_connector.push(connector);
        Ok(made)
    };
    apply(&context, &caller, None, make).await?;
    Ok(Json(state(&context).await?))
}

/// The connector *Devices* as it begins.
fn devices(owner: &Organisation) -> InboundConnector {
    let limit = |value: u64| Some(Limit { value, hard: false });
    InboundConnector {
        preset: Some(PresetName::Tolerant),
        owner: owner.postmaster.clone(),
        limits: Limits {
            messages_per_minute: limit(MESSAGES_PER_MINUTE),
            recipients_per_day: limit(RECIPIENTS_PER_DAY),
            ..Limits::default()
        },
        ..InboundConnector::new(DEVICES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_named_after_what_people_call_it() {
        for (display_name, name) in [
            ("Contoso SA", "contoso-sa"),
            ("  L'Étoile & Fils ", "l-etoile-fils"),
            ("Société Générale d’Œuvres", "societe-generale-d-oeuvres"),
            ("Straße 9", "strasse-9"),
            ("株式会社", "organisation"),
            ("A--B", "a-b"),
        ] {
            assert_eq!(name_of(display_name), name);
        }
        assert_eq!(name_of(&"x".repeat(100)).len(), NAME_OCTETS_MAX);
    }
}
