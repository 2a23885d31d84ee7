//! The last step: a message of our own to an address that a person can look at, watched as it goes.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use relais_store::trace::Event;

use super::arrived::{self, Verdict};
use super::{Shell, Step, answer, refreshed};
use crate::plain::clean;
use crate::times;
use crate::web::ask::{Centre, Refused, list, segment, text};
use crate::web::door::{Change, Reader, Visit};
use crate::web::page::{self, Frame};
use crate::words::{advice, sentence};

/// What happened to one test message, at most.
const EVENTS_MAX: usize = 100;

#[derive(Template)]
#[template(path = "setup/prove.html")]
struct Prove {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    to: String,
    /// The test message, empty before there is one.
    queue_id: String,
    address: String,
    story: Vec<(String, String)>,
    /// What was said to the next server, line by line.
    transcript: Vec<String>,
    advice: Option<(&'static str, &'static str)>,
    is_waiting: bool,
    is_delivered: bool,
    is_verified: bool,
    domain: String,
    /// `junk`, `nothing`: where it arrived; empty: not said yet, or well.
    arrived: &'static str,
    /// What the receiver wrote about it; `None`: nothing was pasted.
    read: Option<Vec<Verdict>>,
}

impl Prove {
    /// Whether a record is to be mended.
    fn has_fault(&self) -> bool {
        let mut read = self.read.iter().flatten();
        read.any(|one| !one.is_good)
    }
}

pub(super) async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let page = compose(&centre, &visit, "").await;
    let is_waiting = page.as_ref().is_ok_and(|page| page.is_waiting);
    refreshed(answer(&visit, page, ""), is_waiting)
}

async fn compose(centre: &Centre, visit: &Visit, mistake: &str) -> Result<Prove, Refused> {
    let lang = visit.lang;
    let shell = Shell::new(centre, visit, ("prove", "setup-prove"), mistake).await?;
    let queue_id = text(&shell.state, "trial").to_owned();
    let told = match queue_id.as_str() {
        "" => Value::Null,
        id => {
            let path = format!("/why/{}", segment(id));
            // Older than the trace: as if there had been none.
            centre
                .get(visit.caller(), &path, &[])
                .await
                .unwrap_or_default()
        }
    };
    let said = if told.is_null() {
        Value::Null
    } else {
        let path = format!("/why/{}/dialogues", segment(&queue_id));
        let asked = centre.get(visit.caller(), &path, &[]).await;
        asked.unwrap_or_default()
    };
    let lines = list(&said, "dialogues")
        .iter()
        .flat_map(|one| list(one, "lines"));
    let lines = lines.filter_map(Value::as_str);
    let read = |value: &Value| Event::from_json(&value.to_string()).ok();
    let events = list(&told, "events").iter().filter_map(read);
    let events: Vec<Event> = events.take(EVENTS_MAX).collect();
    let story = events
        .iter()
        .map(|event| (times::zoned(lang, event.time), sentence(event, lang.0)));
    let known = events
        .iter()
        .rev()
        .find_map(|event| advice(event.reply.as_deref()?, lang.0));
    let has = |kind: &str| events.iter().any(|event| event.kind.name() == kind);
    let is_settled = [
        "recipient.delivered",
        "recipient.failed",
        "recipient.deferred",
    ];
    let domain = &shell.state["domain"];
    Ok(Prove {
        to: text(&shell.state["organisation"], "postmaster").to_owned(),
        address: format!("/trace/{}", segment(&queue_id)),
        is_waiting: !queue_id.is_empty() && !told.is_null() && !is_settled.into_iter().any(has),
        is_delivered: has("recipient.delivered"),
        is_verified: matches!(text(domain, "state"), "verified" | "lapsing"),
        domain: text(domain, "name").to_owned(),
        arrived: match visit.query.get("arrived") {
            "junk" => "junk",
            "nothing" => "nothing",
            _ => "",
        },
        read: None,
        story: story.collect(),
        transcript: lines.map(|line| clean(line).into_owned()).collect(),
        advice: known.filter(|_| !has("recipient.delivered")),
        queue_id,
        frame: shell.frame,
        steps: shell.steps,
        mistake: shell.mistake,
    })
}

pub(super) async fn send(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let body = json!({ "to": form.get("to") });
    match centre
        .post(visit.caller(), "/first-steps/prove", &body)
        .await
    {
        Ok(_) => page::go("/setup/prove"),
        Err(refused) => {
            let mut page = compose(&centre, &visit, &refused.detail).await;
            if let Ok(page) = &mut page {
                form.get("to").clone_into(&mut page.to);
            }
            answer(&visit, page, &refused.detail)
        }
    }
}

/// What stands in the pasted header fields; they are read here, and not kept.
pub(super) async fn headers(
    State(centre): State<Centre>,
    Change { visit, form }: Change,
) -> Response {
    let mut page = compose(&centre, &visit, "").await;
    if let Ok(page) = &mut page {
        page.arrived = "junk";
        page.read = Some(arrived::explain(visit.lang, form.raw("headers")));
    }
    answer(&visit, page, "")
}
