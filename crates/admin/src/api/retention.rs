//! What is kept of mail, and for how long; content that is kept, for whoever may read it; an
//! address erased. Each look at content, and each erasure, is written down.
//!
//! Not here: the days themselves (the bootstrap file, and keys of organisations and connectors).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{InboundConnector, Organisation};
use relais_smtp::identifier::QueueId;
use relais_store::queue::KeptContent;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};
use relais_store::trace::erase::{Erased, Eraser, Erasure};

use super::legal_holds::{in_audit, must_not_cover};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Octets of content that are shown in a page or an answer; the rest is in the file.
const SHOWN_OCTETS_MAX: usize = 256 * 1_024;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/retention", get(list))
        .route("/trace/{id}/content", post(content))
        .route("/trace/{id}/raw", post(raw))
        .route("/trace/erase", post(erase))
}

async fn list(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let store = &context.store;
    let settings = store.settings();
    let seen = settings.document.organisation.iter();
    let mut organisations = Vec::new();
    for one in seen.filter(|one| caller.rights.sees(&one.name)) {
        let (messages, octets) = store.kept_count(Some(&one.name)).await?;
        organisations.push(organisation(one, store.content_days(), (messages, octets)));
    }
    Ok(Json(json!({
        "trace_days": store.trace_days(),
        "dialogue_days": store.dialogue_days(),
        "content_days": store.content_days(),
        "organisations": organisations,
    })))
}

fn organisation(one: &Organisation, default: u32, (messages, octets): (u64, u64)) -> Value {
    let days = one.content_days.unwrap_or(default);
    let connectors = one.inbound_connector.iter();
    let connectors: Vec<_> = connectors.map(|it| connector(one, it, days)).collect();
    json!({
        "name": one.name,
        "subjects": one.subjects,
        "content_days": days,
        "content_days_set": one.content_days,
        "kept_messages": messages,
        "kept_octets": octets,
        "kept_octets_max": one.content_max.0,
        "inbound_connectors": connectors,
    })
}

/// What holds for it, and what it says itself.
fn connector(owner: &Organisation, one: &InboundConnector, days: u32) -> Value {
    json!({
        "name": one.name,
        "subjects": one.subjects.unwrap_or(owner.subjects),
        "subjects_set": one.subjects,
        "content_days": one.content_days.unwrap_or(days),
        "content_days_set": one.content_days,
    })
}

// ---- content ------------------------------------------------------------------------------------

/// Finds it, and writes down who looks, first: nobody has looked without a name.
async fn look(context: &AdminContext, caller: &Caller, id: &str) -> Result<KeptContent, Problem> {
    let queue_id: QueueId = id
        .parse()
        .map_err(|_| Problem::bad_request(format!("\"{id}\" is no queue id.")))?;
    let kept = context.store.kept(queue_id, context.clock.now()).await?;
    let kept = kept.filter(|kept| caller.rights.sees(&kept.facts.organisation));
    let kept = kept.ok_or_else(|| {
        Problem::not_found("Its content is not kept: it never was, or its days are over.")
    })?;
    let audit = ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act: "content.read",
        detail: vec![format!("{queue_id} of {}", kept.facts.organisation)],
    };
    let change = ShelfChange::new(Shelf::Check, context.clock.now()).audited(audit);
    context.store.change_shelf(change).await?;
    Ok(kept)
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// `{"queue_id","done","until","size","text","is_cut"}`.
async fn content(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let kept = look(&context, &caller, &id).await?;
    let reader = context.store.content_reader(&kept.content).await;
    let mut reader = reader.map_err(|error| unreadable(&error))?;
    let mut octets = Vec::new();
    while octets.len() < SHOWN_OCTETS_MAX {
        let piece = reader.next().await.map_err(|error| unreadable(&error))?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    octets.truncate(SHOWN_OCTETS_MAX);
    Ok(Json(json!({
        "queue_id": kept.facts.queue_id.to_string(),
        "done": kept.done.to_rfc3339(),
        "until": kept.until.to_rfc3339(),
        "size": kept.content.size(),
        "text": String::from_utf8_lossy(&octets),
        "is_cut": kept.content.size() > octets.len() as u64,
    })))
}

/// All of it, as it was handed on but for what was added on the way out.
async fn raw(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let kept = look(&context, &caller, &id).await?;
    let reader = context.store.content_reader(&kept.content).await;
    let reader = reader.map_err(|error| unreadable(&error))?;
    let pieces = stream::try_unfold(reader, |mut reader| async move {
        let piece = reader.next().await.map_err(std::io::Error::other)?;
        let has_more = !piece.is_empty();
        Ok::<_, std::io::Error>(has_more.then(|| (piece.to_vec(), reader)))
    });
    let name = format!("attachment; filename=\"{}.eml\"", kept.facts.queue_id);
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_LENGTH, kept.content.size().to_string()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

// ---- erasing ------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    address: String,
    organisation: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

async fn erase(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(asked): Input<Erase>,
) -> Result<Json<Value>, Problem> {
    let eraser = Eraser::new(&asked.address)
        .ok_or_else(|| Problem::bad_request("Name one whole address, as anna@contoso.com."))?;
    let organisation = asked.organisation.filter(|name| !name.is_empty());
    if let Some(name) = &organisation
        && context.store.settings().organisation(name).is_none()
    {
        return Err(Problem::not_found(format!(
            "There is no organisation {name}."
        )));
    }
    let wanted = Erasure {
        eraser,
        organisation,
    };
    let erasing = Arc::clone(&context.duties.erasing);
    let turn = erasing.try_lock_owned().map_err(|_| {
        let detail = "An address is being counted or erased already: try again in a while.";
        Problem::new(StatusCode::CONFLICT, detail)
    })?;
    // Whoever goes away meanwhile leaves it running, and its turn is over only with it.
    let done = tokio::spawn(async move {
        let _turn = turn;
        must_not_cover(&context, &caller, &wanted).await?;
        erase_in_turn(&context, &caller, &wanted, asked.dry_run).await
    });
    match done.await {
        Ok(answer) => answer,
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

async fn erase_in_turn(
    context: &AdminContext,
    caller: &Caller,
    wanted: &Erasure,
    dry_run: bool,
) -> Result<Json<Value>, Problem> {
    let store = &context.store;
    if dry_run {
        let found = store.count_erasure(wanted).await?;
        return Ok(Json(told(wanted, &found, true)));
    }
    let now = context.clock.now();
    let tell = |erased: &Erased| lines(wanted, erased);
    let erased = store.erase(wanted, tell, caller.actor(), now).await?;
    // What programs were sent is of the whole installation.
    if wanted.organisation.is_none() {
        let outbox = &context.duties.outbox;
        outbox.erase(store, &wanted.eraser, now).await?;
    }
    Ok(Json(told(wanted, &erased, false)))
}

fn told(wanted: &Erasure, erased: &Erased, dry_run: bool) -> Value {
    json!({
        "address": wanted.eraser.address(),
        "organisation": wanted.organisation,
        "events": erased.events,
        "conversations": erased.conversations,
        "contents": erased.contents,
        "has_more": erased.has_more,
        "unread_days": erased.unread,
        "unread_conversations": erased.unread_conversations,
        "unwritten_events": erased.unwritten,
        "dry_run": dry_run,
    })
}

/// For the audit.
fn lines(wanted: &Erasure, found: &Erased) -> Vec<String> {
    let address = in_audit(wanted.eraser.address());
    let whose = wanted.organisation.as_ref();
    let whose = whose.map_or_else(String::new, |name| format!(" of {name}"));
    let mut lines = vec![format!(
        "{address}: {} events, {} conversations, {} contents{whose}",
        found.events, found.conversations, found.contents
    )];
    let mut left = |what: &str, days: &[String]| {
        if !days.is_empty() {
            lines.push(format!("not erased from {what}: {}", days.join(", ")));
        }
    };
    left("the trace", &found.unread);
    left("conversations", &found.unread_conversations);
    if found.unwritten > 0 {
        let unwritten = found.unwritten;
        lines.push(format!(
            "not erased from events that wait to be written: {unwritten}"
        ));
    }
    lines
}
