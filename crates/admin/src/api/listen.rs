//! The live conversation of a device with one inbound connector: `relais connector inbound listen`.
//!
//! A session whose client is not known yet (it may still sign in) is kept until it is; a stranger's
//! is told in one line, for it may be the device under an address that nobody registered.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use relais_net::conversation::{Heard, Said};
use relais_policy::settings::{OwnedConnector, Settings};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

/// Sessions of unknown clients that are kept at the same time; the lines of more are dropped.
const WAITING_SESSIONS_MAX: usize = 64;
/// Lines kept of each.
const WAITING_LINES_MAX: usize = 200;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/connectors/inbound/listen", get(listen))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    /// May be left out where only one organisation has a connector of that name.
    organisation: Option<String>,
}

/// One line of JSON for each line said. The first says that we listen.
async fn listen(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let settings = context.store.settings();
    let named = (wanted.organisation.as_deref(), wanted.name.as_str());
    let found = connector(&settings, named)?;
    // Before the first line, so that whoever has read it misses nothing.
    let receiver = context.conversations.listen();
    let listening = json!({
        "said": "listening",
        "organisation": found.organisation.name,
        "connector": found.connector.name,
        "state": found.connector.state,
    });
    let ear = Ear {
        receiver,
        organisation: found.organisation.name.clone(),
        connector: found.connector.name.clone(),
        waiting: HashMap::new(),
        first: Some(format!("{listening}\n")),
    };
    let readiness = context.readiness.clone();
    let lines = stream::unfold(ear, move |mut ear| {
        let readiness = readiness.clone();
        async move {
            let lines = tokio::select! {
                lines = ear.next() => lines?,
                () = readiness.draining() => return None,
            };
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(lines)), ear))
        }
    });
    let body = Body::from_stream(lines);
    Ok(([(header::CONTENT_TYPE, super::STREAM_TYPE)], body).into_response())
}

/// The one of this organisation and name; without an organisation the only one of the name.
pub(super) fn connector<'a>(
    settings: &'a Settings,
    (organisation, name): (Option<&str>, &str),
) -> Result<OwnedConnector<'a>, Problem> {
    let organisations = settings.document.organisation.iter();
    let mut found = organisations
        .filter(|owner| organisation.is_none_or(|name| owner.name == name))
        .filter_map(|owner| settings.inbound_connector(&owner.name, name));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Problem::not_found(format!(
            "There is no inbound connector \"{name}\"."
        ))),
        (Some(_), Some(_)) => Err(Problem::bad_request(
            "Several organisations have a connector of that name: name one.",
        )),
    }
}

/// Hears everything, and passes on what concerns one connector.
struct Ear {
    receiver: Receiver<Arc<Heard>>,
    organisation: String,
    connector: String,
    /// By session: what clients said of whom it is not known yet who they are.
    waiting: HashMap<u64, Vec<Arc<Heard>>>,
    first: Option<String>,
}

impl Ear {
    /// The next lines; `None` when the server ends.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let lines = match self.receiver.recv().await {
                Ok(heard) => self.sort(heard),
                Err(RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n"),
                Err(RecvError::Closed) => return None,
            };
            if !lines.is_empty() {
                return Some(lines);
            }
        }
    }

    fn sort(&mut self, heard: Arc<Heard>) -> String {
        let session = heard.session;
        let Some(connector) = heard.connector.as_deref() else {
            return self.keep(heard);
        };
        let mut lines = self.waiting.remove(&session).unwrap_or_default();
        let is_ours = heard.organisation.as_deref() == Some(&*self.organisation);
        if !is_ours || connector != self.connector {
            return String::new();
        }
        lines.push(heard);
        lines.iter().map(|line| told(line)).collect()
    }

    /// Of an unknown client: kept until it is known, or told in one line when it goes.
    fn keep(&mut self, heard: Arc<Heard>) -> String {
        if heard.said == Said::Ended {
            let lines = self.waiting.remove(&heard.session).unwrap_or_default();
            return stranger(&heard, &lines);
        }
        let is_known = self.waiting.contains_key(&heard.session);
        if !is_known && self.waiting.len() >= WAITING_SESSIONS_MAX {
            return String::new();
        }
        let lines = self.waiting.entry(heard.session).or_default();
        if lines.len() < WAITING_LINES_MAX {
            lines.push(heard);
        }
        String::new()
    }
}

fn told(heard: &Heard) -> String {
    let (said, line) = match &heard.said {
        Said::Began => ("began", None),
        Said::Client(line) => ("client", Some(line)),
        Said::Server(line) => ("server", Some(line)),
        Said::Note(note) => ("note", Some(note)),
        Said::Ended => ("ended", None),
    };
    let told = json!({
        "time": heard.time.to_rfc3339(),
        "session": heard.session,
        "client": heard.client.to_string(),
        "said": said,
        "line": line,
    });
    format!("{told}\n")
}

/// A session of nobody's client, if it was refused anything.
fn stranger(ended: &Heard, lines: &[Arc<Heard>]) -> String {
    let refusal = lines.iter().rev().find_map(|heard| match &heard.said {
        Said::Server(line) if line.starts_with(['4', '5']) => Some(line),
        Said::Server(_) | Said::Client(_) | Said::Note(_) | Said::Began | Said::Ended => None,
    });
    let Some(refusal) = refusal else {
        return String::new();
    };
    let told = json!({
        "time": ended.time.to_rfc3339(),
        "session": ended.session,
        "client": ended.client.to_string(),
        "said": "stranger",
        "line": refusal,
    });
    format!("{told}\n")
}
