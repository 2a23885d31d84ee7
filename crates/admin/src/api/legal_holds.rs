//! Legal holds: which there are, placed and released by whoever owns the installation: while one
//! stands, no day of anybody's trace goes.
//!
//! Not here: what a hold keeps (`relais_store::legal_hold`).

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use relais_smtp::time::Timestamp;
use relais_store::legal_hold::{Held, LEGAL_HOLD_REASON_CHARS_MAX, LEGAL_HOLDS_MAX, LegalHold};
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange, ShelfEntry};
use relais_store::trace::erase::{Eraser, Erasure};
use relais_store::trace::{TraceQuery, TraceTerm, parse_until};

use super::listen;
use crate::context::{AdminContext, Caller};
use crate::people::hexadecimal;
use crate::problem::{Input, Problem};

/// Octets of the hash by which the audit knows an address again.
const HASH_OCTETS: usize = 8;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/retention/holds", get(list).post(place))
        .route("/retention/holds/{id}/release", post(release))
}

/// One that stands.
struct Standing {
    id: String,
    since: Timestamp,
    hold: LegalHold,
}

/// Those that stand, the newest first.
async fn standing(context: &AdminContext) -> Result<Vec<Standing>, Problem> {
    let now = context.clock.now();
    let entries = context.store.shelf(Shelf::LegalHold).await?.into_iter();
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let hold = LegalHold::from_entry(&entry)?;
            (!hold.is_over(now)).then_some(Standing {
                id: entry.key,
                since: entry.since,
                hold,
            })
        })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.since));
    Ok(all)
}

fn hold_json(one: &Standing) -> Value {
    let hold = &one.hold;
    let (address, connector) = match &hold.held {
        Held::Address(address) => (Some(address), None),
        Held::Connector(name) => (None, Some(name)),
    };
    let until = hold.until.map(Timestamp::from_millis);
    json!({
        "id": one.id,
        "organisation": hold.organisation,
        "address": address,
        "connector": connector,
        "reason": hold.reason,
        "by": hold.by,
        "since": one.since.to_rfc3339(),
        "until": until.map(|until| until.to_rfc3339()),
    })
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let all = standing(&context).await?;
    let holds: Vec<_> = all.iter().map(hold_json).collect();
    Ok(Json(json!({ "holds": holds })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    address: Option<String>,
    connector: Option<String>,
    organisation: Option<String>,
    reason: String,
    /// A span from now on, a day or a time; absent: until it is released.
    until: Option<String>,
}

impl Place {
    /// Its organisation, and what it covers.
    fn held(&self, context: &AdminContext) -> Result<(Option<String>, Held), Problem> {
        let given = |text: &Option<String>| {
            let text = text.as_deref().map(str::trim);
            text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
        };
        let organisation = given(&self.organisation);
        let settings = context.store.settings();
        match (given(&self.address), given(&self.connector)) {
            (Some(address), None) => {
                if Eraser::new(&address).is_none() {
                    let detail = "Name one whole address, as anna@contoso.com.";
                    return Err(Problem::bad_request(detail));
                }
                if let Some(name) = &organisation
                    && settings.organisation(name).is_none()
                {
                    let detail = format!("There is no organisation {name}.");
                    return Err(Problem::not_found(detail));
                }
                Ok((organisation, Held::Address(address)))
            }
            (None, Some(name)) => {
                let found = listen::connector(&settings, (organisation.as_deref(), &name))?;
                let owner = found.organisation.name.clone();
                Ok((Some(owner), Held::Connector(found.connector.name.clone())))
            }
            (Some(_), Some(_)) | (None, None) => Err(Problem::bad_request(
                "A legal hold is on an address or on a connector: name one of the two.",
            )),
        }
    }

    fn until(&self, now: Timestamp) -> Result<Option<i64>, Problem> {
        let text = self.until.as_deref().map(str::trim);
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let until = parse_until(text, now)?;
        if until <= now {
            let detail = "The end of a legal hold must lie ahead: write 90d, or a day to come.";
            return Err(Problem::bad_request(detail));
        }
        Ok(Some(until.as_millis()))
    }
}

async fn place(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(asked): Input<Place>,
) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let (organisation, held) = asked.held(&context)?;
    let reason = asked.reason.trim();
    if reason.is_empty() || reason.chars().count() > LEGAL_HOLD_REASON_CHARS_MAX {
        let detail = format!("Give a reason, of at most {LEGAL_HOLD_REASON_CHARS_MAX} characters.");
        return Err(Problem::bad_request(detail));
    }
    let hold = LegalHold {
        organisation,
        held,
        reason: reason.to_owned(),
        by: caller.actor.to_string(),
        until: asked.until(now)?,
    };
    // An erasure that runs is waited for: from this answer on nothing is erased.
    let _turn = context.duties.erasing.lock().await;
    let before = context.store.shelf(Shelf::LegalHold).await?;
    let is_over =
        |value: &ShelfEntry| LegalHold::from_entry(value).is_none_or(|hold| hold.is_over(now));
    let (over, stands): (Vec<_>, Vec<_>) = before.into_iter().partition(is_over);
    if stands.len() >= LEGAL_HOLDS_MAX {
        let detail = format!("There are {LEGAL_HOLDS_MAX} legal holds already: release some.");
        return Err(Problem::bad_request(detail));
    }
    let one = Standing {
        id: hexadecimal(&context.chance.octets::<8>()),
        since: now,
        hold,
    };
    let mut change = ShelfChange::new(Shelf::LegalHold, now)
        .put(&one.id, one.hold.to_value())
        .audited(audit(&caller, "legal-hold.placed", &one.hold));
    change.taken = over.into_iter().map(|entry| entry.key).collect();
    context.store.change_shelf(change).await?;
    Ok(Json(hold_json(&one)))
}

async fn release(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let _turn = context.duties.erasing.lock().await;
    let all = standing(&context).await?;
    let one = all.iter().find(|one| one.id == id);
    let one =
        one.ok_or_else(|| Problem::not_found("There is no such legal hold; it may have ended."))?;
    let change = ShelfChange::new(Shelf::LegalHold, context.clock.now())
        .take(&one.id)
        .audited(audit(&caller, "legal-hold.released", &one.hold));
    context.store.change_shelf(change).await?;
    Ok(Json(hold_json(one)))
}

/// An address as the audit tells it, which forgets nothing: who knows the address can tell that it
/// was this one.
pub(super) fn in_audit(address: &str) -> String {
    let hash = Sha256::digest(address.to_ascii_lowercase().as_bytes());
    let hash = hexadecimal(&hash[..HASH_OCTETS]);
    format!("the address with SHA-256 {hash}…")
}

fn audit(caller: &Caller, act: &'static str, hold: &LegalHold) -> ShelfAudit {
    let whose = hold.organisation.as_deref();
    let whose = whose.map_or_else(String::new, |name| format!(" of {name}"));
    let what = match &hold.held {
        Held::Address(address) => format!("{}{whose}", in_audit(address)),
        Held::Connector(name) => format!("inbound connector {name}{whose}"),
    };
    let mut detail = vec![format!("{what}: {}", hold.reason)];
    if let Some(until) = hold.until {
        let until = Timestamp::from_millis(until).to_rfc3339();
        detail.push(format!("until {until}"));
    }
    ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail,
    }
}

/// A problem where a hold covers what would be erased. To be asked in the turn of the erasure.
pub(super) async fn must_not_cover(
    context: &AdminContext,
    caller: &Caller,
    wanted: &Erasure,
) -> Result<(), Problem> {
    for one in standing(context).await? {
        let hold = &one.hold;
        let asked = wanted.organisation.as_deref();
        if !asked.is_none_or(|name| hold.concerns(name)) {
            continue;
        }
        let covers = match &hold.held {
            Held::Address(address) if wanted.eraser.is(address) => true,
            // What it wrote to others, and they to it, has their addresses too.
            Held::Address(_) | Held::Connector(_) => {
                has_mail(context, hold, wanted).await?
                    || context
                        .store
                        .is_content_held(hold.clone(), &wanted.eraser)
                        .await?
            }
        };
        if !covers {
            continue;
        }
        // Why is told to whoever may release it.
        let detail = match caller.rights.organisation() {
            None => format!(
                "A legal hold covers mail of this address, so nothing of it is erased: {}.",
                hold.reason.trim_end_matches('.')
            ),
            Some(_) => "A legal hold of whoever runs the installation covers mail of this \
                        address, so nothing of it is erased."
                .to_owned(),
        };
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(())
}

/// Whether the trace knows mail that a hold covers and that is from or to what would be erased.
async fn has_mail(
    context: &AdminContext,
    hold: &LegalHold,
    wanted: &Erasure,
) -> Result<bool, Problem> {
    let address = wanted.eraser.address();
    let pairs = match &hold.held {
        Held::Connector(name) => vec![
            [("connector", name.as_str()), ("from", address)],
            [("connector", name), ("to", address)],
        ],
        Held::Address(held) => vec![
            [("from", held.as_str()), ("to", address)],
            [("from", address), ("to", held)],
            [("to", held), ("to", address)],
        ],
    };
    for pair in pairs {
        let terms = pair
            .iter()
            .map(|(field, value)| TraceTerm::new(field, value));
        let mut terms: Vec<_> = terms.collect::<Result<_, _>>()?;
        let whose = hold.organisation.as_ref().or(wanted.organisation.as_ref());
        if let Some(name) = whose {
            terms.push(TraceTerm::new("organisation", name)?);
        }
        let query = TraceQuery {
            terms,
            limit: 1,
            ..TraceQuery::default()
        };
        if !context.store.trace(&query).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
