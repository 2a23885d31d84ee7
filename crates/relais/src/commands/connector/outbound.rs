//! `relais connector outbound`: what outbound connectors have beside what all have.

use serde_json::json;

use relais_policy::document::OutboundConnector;

use super::keys::OutboundKeys;
use super::{ConnectorKeys, Named, Verb, add, set};
use crate::commands::session::Session;
use crate::failure::Failure;

/// The verbs of all connectors; a secret that is given goes into the store, not into the settings.
pub(super) async fn act(session: &Session, verb: Verb<OutboundKeys>) -> Result<(), Failure> {
    match verb {
        Verb::Add { named, keys } => {
            let secret = keys.secret()?;
            add::<OutboundConnector>(session, &named, &keys.patch()).await?;
            keep(session, &named, secret).await
        }
        Verb::Set { named, keys } => {
            let secret = keys.secret()?;
            let patch = keys.patch();
            if secret.is_none() || !patch.is_empty() {
                set::<OutboundConnector>(session, &named, &patch).await?;
            }
            keep(session, &named, secret).await
        }
        other => super::act::<OutboundConnector, _>(session, other).await,
    }
}

async fn keep(
    session: &Session,
    named: &Named,
    secret: Option<(&'static str, String)>,
) -> Result<(), Failure> {
    let Some((kind, value)) = secret.filter(|_| !named.dry_run) else {
        return Ok(());
    };
    let api = session.api().await?;
    let body = json!({
        "organisation": named.organisation,
        "name": named.name,
        "kind": kind,
        "value": value,
    });
    api.post("/connectors/outbound/secret", &body).await?;
    if session.output.json {
        return Ok(());
    }
    session.output.line(&format!(
        "The {kind} is kept, encrypted. Nothing shows it again."
    ))
}
