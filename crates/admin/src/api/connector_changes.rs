//! Connectors made, changed and removed one at a time, each against the revision that was seen:
//! nobody overwrites what they have not looked at.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use relais_policy::document::{Document, InboundConnector, Organisation, OutboundConnector};
use relais_smtp::secret::Secret;

use super::outbound::secret_of;
use super::settings::{Beside, Intent, change, change_with};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Characters of a revision: 64 bits tell two states of one connector apart.
const REVISION_CHARACTERS: usize = 16;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/connectors/inbound/put", post(put::<InboundConnector>))
        .route(
            "/connectors/inbound/remove",
            post(remove::<InboundConnector>),
        )
        .route("/connectors/outbound/put", post(put::<OutboundConnector>))
        .route(
            "/connectors/outbound/remove",
            post(remove::<OutboundConnector>),
        )
}

/// The state of a connector, in short: another one is another state.
pub fn revision(connector: &impl Serialize) -> String {
    let text = serde_json::to_string(connector).unwrap_or_default();
    let digest = Sha256::digest(text.as_bytes());
    let digits = digest.iter().map(|octet| format!("{octet:02x}"));
    digits.collect::<String>()[..REVISION_CHARACTERS].to_owned()
}

/// Both kinds.
trait Connector: Clone + DeserializeOwned + Serialize + Send + Sync {
    /// For sentences.
    const NOUN: &'static str;
    /// Unique in the organisation.
    fn name(&self) -> &str;
    /// All of an organisation.
    fn all(owner: &mut Organisation) -> &mut Vec<Self>;
    /// What goes with one that is removed.
    fn forget(owner: &mut Organisation, name: &str);
    /// What it logs in with, if one of this kind does.
    fn beside(whose: (&str, &str), new: &NewSecret) -> Result<Beside, Problem>;
}

impl Connector for InboundConnector {
    const NOUN: &'static str = "inbound connector";

    fn name(&self) -> &str {
        &self.name
    }

    fn all(owner: &mut Organisation) -> &mut Vec<Self> {
        &mut owner.inbound_connector
    }

    /// Credentials lead to one connector only.
    fn forget(owner: &mut Organisation, name: &str) {
        owner.credential.retain(|one| one.inbound_connector != name);
    }

    fn beside(_: (&str, &str), _: &NewSecret) -> Result<Beside, Problem> {
        let detail = "An inbound connector logs in nowhere: it has no secret.";
        Err(Problem::bad_request(detail))
    }
}

impl Connector for OutboundConnector {
    const NOUN: &'static str = "outbound connector";

    fn name(&self) -> &str {
        &self.name
    }

    fn all(owner: &mut Organisation) -> &mut Vec<Self> {
        &mut owner.outbound_connector
    }

    fn forget(_: &mut Organisation, _: &str) {}

    fn beside((owner, name): (&str, &str), new: &NewSecret) -> Result<Beside, Problem> {
        secret_of((owner, name, &new.kind), Secret::from(new.value.clone()))
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Put<T> {
    organisation: String,
    connector: T,
    /// Of the one that was changed; absent: it is new.
    #[serde(default)]
    revision: Option<String>,
    #[serde(default)]
    dry_run: bool,
    /// What it logs in with, of an outbound one: kept in the same transaction, so that the old
    /// password never reaches the new host.
    #[serde(default)]
    secret: Option<NewSecret>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSecret {
    /// `password`, `client-secret`, `refresh-token`.
    kind: String,
    value: String,
}

async fn put<T: Connector>(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Put<T>>,
) -> Result<Json<Value>, Problem> {
    let intent = Intent::dry_run(wanted.dry_run);
    let make = |current: &Document| with(current, &wanted);
    let whose = (&*wanted.organisation, wanted.connector.name());
    let beside = wanted.secret.as_ref().map(|new| T::beside(whose, new));
    let beside = beside.transpose()?;
    let how = (intent, None);
    let changed = change_with(&context, &caller, how, beside.as_ref(), make).await?;
    Ok(Json(changed.to_json()))
}

fn with<T: Connector>(current: &Document, wanted: &Put<T>) -> Result<Document, Problem> {
    let mut document = current.clone();
    let all = T::all(owner(&mut document, &wanted.organisation)?);
    let name = wanted.connector.name();
    let place = all.iter_mut().find(|one| one.name() == name);
    match (place, &wanted.revision) {
        (None, None) => all.push(wanted.connector.clone()),
        (Some(old), Some(seen)) => {
            unchanged(old, seen)?;
            *old = wanted.connector.clone();
        }
        (Some(_), None) => {
            let detail = format!("There is an {} \"{name}\" already.", T::NOUN);
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        (None, Some(_)) => return Err(gone::<T>(name)),
    }
    Ok(document)
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    organisation: String,
    name: String,
    revision: String,
}

async fn remove<T: Connector>(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Remove>,
) -> Result<Json<Value>, Problem> {
    let make = |current: &Document| without::<T>(current, &wanted);
    let changed = change(&context, &caller, Intent::Store, None, make).await?;
    Ok(Json(changed.to_json()))
}

fn without<T: Connector>(current: &Document, wanted: &Remove) -> Result<Document, Problem> {
    let mut document = current.clone();
    let owner = owner(&mut document, &wanted.organisation)?;
    let all = T::all(owner);
    let place = all.iter().position(|one| one.name() == wanted.name);
    let place = place.ok_or_else(|| gone::<T>(&wanted.name))?;
    unchanged(&all[place], &wanted.revision)?;
    all.remove(place);
    T::forget(owner, &wanted.name);
    Ok(document)
}

fn owner<'a>(document: &'a mut Document, name: &str) -> Result<&'a mut Organisation, Problem> {
    let mut all = document.organisation.iter_mut();
    let found = all.find(|one| one.name == name);
    found.ok_or_else(|| Problem::not_found(format!("There is no organisation \"{name}\".")))
}

fn unchanged<T: Connector>(connector: &T, seen: &str) -> Result<(), Problem> {
    if revision(connector) == seen {
        return Ok(());
    }
    let detail = format!(
        "The {} \"{}\" was changed meanwhile; look at it again and repeat.",
        T::NOUN,
        connector.name()
    );
    Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
}

fn gone<T: Connector>(name: &str) -> Problem {
    Problem::not_found(format!("There is no {} \"{name}\".", T::NOUN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Document {
        let text = "[[organisation]]\nname = \"contoso\"\n\
                    [[organisation.inbound_connector]]\nname = \"A\"\n\
                    [[organisation.inbound_connector]]\nname = \"B\"\n\
                    [[organisation.credential]]\nuser = \"a\"\ninbound_connector = \"A\"\n";
        Document::from_toml(text).expect("valid")
    }

    fn wanted(name: &str, revision: Option<&str>) -> Put<InboundConnector> {
        let mut connector = InboundConnector::new(name);
        connector.owner = "it@contoso.test".to_owned();
        Put {
            organisation: "contoso".to_owned(),
            connector,
            secret: None,
            revision: revision.map(ToOwned::to_owned),
            dry_run: false,
        }
    }

    #[test]
    fn only_the_state_that_was_seen_is_replaced() {
        let document = two();
        let seen = revision(&document.organisation[0].inbound_connector[0]);
        let changed = with(&document, &wanted("A", Some(&seen))).expect("unchanged");
        let all = &changed.organisation[0].inbound_connector;
        assert_eq!((all.len(), &*all[0].owner), (2, "it@contoso.test"));
        // The same change once more: it was made meanwhile.
        assert!(with(&changed, &wanted("A", Some(&seen))).is_err());
        assert!(with(&document, &wanted("A", None)).is_err());
        assert!(with(&document, &wanted("C", Some(&seen))).is_err());
        let new = with(&document, &wanted("C", None)).expect("new");
        assert_eq!(new.organisation[0].inbound_connector.len(), 3);
    }

    #[test]
    fn credentials_go_with_their_connector_and_others_stay() {
        let document = two();
        let remove = |name: &str, revision: String| {
            let wanted = Remove {
                organisation: "contoso".to_owned(),
                name: name.to_owned(),
                revision,
            };
            without::<InboundConnector>(&document, &wanted)
        };
        let of = |at: usize| revision(&document.organisation[0].inbound_connector[at]);
        let left = remove("B", of(1)).expect("removed");
        assert_eq!(left.organisation[0].credential.len(), 1);
        let left = remove("A", of(0)).expect("removed");
        assert!(left.organisation[0].credential.is_empty());
        assert_eq!(left.organisation[0].inbound_connector[0].name, "B");
        assert!(remove("A", of(1)).is_err());
        assert!(remove("C", of(1)).is_err());
    }
}
