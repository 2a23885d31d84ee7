//! Certificates that clients showed lately: for a person who sets up a connector and waits for the
//! device to show its own. Nothing in them is proved; the device holds the key, no more.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::tls::PresentedCertificate;
use relais_smtp::time::Timestamp;
use relais_store::trace::parse_since;

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/connectors/inbound/certificates", get(list))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// All that are remembered, where it is absent.
    since: Option<String>,
    /// The gate holds callers to theirs.
    #[serde(rename = "organisation")]
    _organisation: Option<String>,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    let now = context.clock.now();
    let since = match wanted.since.as_deref() {
        None => Timestamp::from_millis(0),
        Some(text) => parse_since(text, now)?,
    };
    let presented = context.certificates.of_clients.presented();
    let lines = presented.since(since);
    let lines: Vec<_> = lines.iter().map(line).collect();
    Ok(Json(json!({ "certificates": lines })))
}

fn line(one: &PresentedCertificate) -> Value {
    let read = &one.certificate;
    json!({
        "time": one.time.to_rfc3339(),
        "client": one.client.to_string(),
        "organisation": one.organisation.as_deref(),
        "inbound_connector": one.connector.as_deref(),
        "subject": read.subject,
        "issuer": read.issuer,
        "chain": read.chain,
        "names": read.names,
        "not_before": read.not_before.to_rfc3339(),
        "not_after": read.not_after.to_rfc3339(),
        "fingerprint": read.fingerprint,
        "fault": one.fault.map(|fault| fault.words()),
    })
}
