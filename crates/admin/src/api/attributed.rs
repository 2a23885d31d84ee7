//! By what a client was given its inbound connector, told beside one message: the connectors that
//! it fits, in the order in which they are tried, and why each got it or not. By the settings of
//! then where they are kept, else by those in force.

use std::sync::Arc;

use serde_json::{Value, json};

use relais_policy::attribution::Facts;
use relais_policy::candidates::{By, Candidate, Fate, candidates};
use relais_policy::settings::Settings;
use relais_store::trace::{Event, EventKind};

use crate::context::{AdminContext, Caller};

/// Connectors that are told of.
const CANDIDATES_MAX: usize = 20;

/// `null` where nothing is known of a client.
pub(super) async fn attributed(
    context: &AdminContext,
    caller: &Caller,
    events: &[Event],
    facts: impl Fn(&Event) -> Option<Facts>,
) -> Value {
    let of_client = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::MessageAccepted | EventKind::AttemptRefused
        )
    };
    let told = events.iter().find(of_client);
    let Some((event, facts)) = told.and_then(|event| Some((event, facts(event)?))) else {
        return Value::Null;
    };
    let (settings, are_of_then) = settings_of(context, event).await;
    let found = candidates(&settings, &facts);
    let seen = found
        .iter()
        .filter(|one| caller.rights.sees(&one.found.organisation.name));
    json!({
        "inbound_connector": event.inbound_connector.as_deref(),
        "organisation": event.organisation.as_deref(),
        "settings_version": settings.version,
        "settings_of_then": are_of_then,
        "candidates": seen.take(CANDIDATES_MAX).map(as_json).collect::<Vec<_>>(),
    })
}

/// Those that were in force, if they are kept still.
async fn settings_of(context: &AdminContext, event: &Event) -> (Arc<Settings>, bool) {
    let now = context.store.settings();
    let Some(version) = event.settings_version else {
        return (now, false);
    };
    if version == now.version {
        return (now, true);
    }
    let kept = context.store.settings_document(version).await;
    let Some(document) = kept.ok().flatten() else {
        return (now, false);
    };
    match Settings::build_stored(now.mode, version, document) {
        // What DNS shows is not kept with them.
        Ok(then) => (Arc::new(then.following(&now)), true),
        Err(_) => (now, false),
    }
}

fn as_json(one: &Candidate<'_>) -> Value {
    let (by, value) = match &one.by {
        By::Credential(user) => ("credential", user.clone()),
        By::Certificate(name) => ("certificate", name.clone()),
        By::DnsName(name) => ("dns-name", name.to_string()),
        By::Network(network) => ("network", network.to_string()),
    };
    let (fate, than) = match &one.fate {
        Fate::Won => ("won", None),
        Fate::Lacks(factor) => ("lacks", Some((*factor).to_owned())),
        Fate::WiderThan(network) => ("wider", Some(network.to_string())),
        Fate::Later => ("later", None),
        Fate::Draft => ("draft", None),
        Fate::Disabled => ("disabled", None),
    };
    json!({
        "organisation": one.found.organisation.name,
        "inbound_connector": one.found.connector.name,
        "by": by,
        "value": value,
        "fate": fate,
        "than": than,
    })
}
