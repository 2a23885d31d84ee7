//! What a message in the queue says, as it came, for whoever may read content. Each look is written
//! down, by name, before anything is read.
//!
//! Not here: its header section alone (`headers`).

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::identifier::QueueId;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::store::ContentReader;

use crate::context::{AdminContext, Caller};
use crate::permission::Action;
use crate::problem::{Input, Problem};

/// Octets of one answer: it is JSON, and is held in memory whole.
const OCTETS_MAX: usize = 25 << 20;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/queue/{id}/content", post(content))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// From the beginning.
    octets_max: Option<usize>,
}

/// `{"queue_id","size","is_cut","content"}`, the octets in base64.
async fn content(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let mut found = open(&context, &caller, &id, "queue.content-read").await?;
    let most = wanted.octets_max.unwrap_or(OCTETS_MAX).min(OCTETS_MAX);
    let mut octets = Vec::new();
    while octets.len() <= most {
        let piece = found.reader.next().await.map_err(|error| unread(&error))?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    let is_cut = octets.len() > most;
    octets.truncate(most);
    Ok(Json(json!({
        "queue_id": found.queue_id.to_string(),
        "size": found.size,
        "is_cut": is_cut,
        "content": STANDARD.encode(octets),
    })))
}

/// A message that is about to be read.
pub(crate) struct Opened {
    pub(crate) queue_id: QueueId,
    pub(crate) size: u64,
    pub(crate) reader: ContentReader,
}

/// Writes down who reads it as what, and opens it.
pub(crate) async fn open(
    context: &AdminContext,
    caller: &Caller,
    id: &str,
    act: &'static str,
) -> Result<Opened, Problem> {
    if !caller.rights.may(Action::ReadContent) {
        let detail = "Your role does not permit this.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let queue_id: QueueId = id
        .parse()
        .map_err(|_| Problem::bad_request(format!("\"{id}\" is no queue id.")))?;
    let found = context.store.original(queue_id).await?;
    let found = found.filter(|(facts, _)| caller.rights.sees(&facts.organisation));
    let Some((facts, content)) = found else {
        let detail = "It is not in the queue: content is kept until the last recipient is done.";
        return Err(Problem::not_found(detail));
    };
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail: vec![format!("{queue_id} of {}", facts.organisation)],
    };
    // Written down first: nobody has looked without a name.
    let change = ShelfChange::new(Shelf::Check, context.clock.now()).audited(audit);
    context.store.change_shelf(change).await?;
    let reader = context.store.content_reader(&content).await;
    Ok(Opened {
        queue_id,
        size: facts.size,
        reader: reader.map_err(|error| unread(&error))?,
    })
}

fn unread(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
