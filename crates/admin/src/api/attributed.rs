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
    let rows = rows(&found, |organisation| caller.rights.sees(organisation));
    json!({
        "inbound_connector": event.inbound_connector.as_deref(),
        "organisation": event.organisation.as_deref(),
        "settings_version": settings.version,
        "settings_of_then": are_of_then,
        "candidates": rows,
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

/// Those that the caller sees.
fn rows(found: &[Candidate<'_>], sees: impl Fn(&str) -> bool) -> Vec<Value> {
    let is_seen = |one: &&Candidate<'_>| sees(&one.found.organisation.name);
    // How narrow the winner's network is, is the winner's.
    let winner = found.iter().find(|one| one.fate == Fate::Won);
    let sees_winner = winner.as_ref().is_some_and(is_seen);
    let seen = found.iter().filter(is_seen).take(CANDIDATES_MAX);
    seen.map(|one| as_json(one, sees_winner)).collect()
}

fn as_json(one: &Candidate<'_>, sees_winner: bool) -> Value {
    let (by, value) = match &one.by {
        By::Credential(user) => ("credential", user.clone()),
        By::Certificate(name) => ("certificate", name.clone()),
        By::DnsName(name) => ("dns-name", name.to_string()),
        By::Network(network) => ("network", network.to_string()),
    };
    let (fate, than) = match &one.fate {
        Fate::Won => ("won", None),
        Fate::Lacks(factor) => ("lacks", Some((*factor).to_owned())),
        Fate::WiderThan(network) => ("wider", sees_winner.then(|| network.to_string())),
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

#[cfg(test)]
mod tests {
    use relais_policy::document::{InboundConnector, Organisation};
    use relais_policy::settings::{ConnectorScopes, OwnedConnector};

    use super::*;

    #[test]
    fn the_network_of_the_winner_is_told_to_who_sees_the_winner() {
        let organisations = ["contoso", "fabrikam"].map(Organisation::new);
        let connector = InboundConnector::new("Line");
        let scopes = ConnectorScopes::default();
        let candidate = |at: usize, network: &str, fate| Candidate {
            found: OwnedConnector {
                organisation: &organisations[at],
                connector: &connector,
                scopes: &scopes,
                takes_credential: false,
            },
            by: By::Network(network.parse().expect("a network")),
            fate,
        };
        let wider = Fate::WiderThan("11.1.2.0/28".parse().expect("a network"));
        let found = [
            candidate(1, "11.1.2.0/28", Fate::Won),
            candidate(0, "11.1.0.0/16", wider),
        ];
        let told = rows(&found, |organisation| organisation == "contoso");
        assert_eq!(told.len(), 1);
        assert_eq!(
            (&told[0]["fate"], &told[0]["than"]),
            (&json!("wider"), &Value::Null)
        );
        let told = rows(&found, |_| true);
        assert_eq!(told[1]["than"], "11.1.2.0/28");
    }
}
