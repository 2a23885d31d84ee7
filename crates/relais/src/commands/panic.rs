//! `relais panic`: stops all mail of an inbound connector or an organisation at once, and lets it
//! go again. It is a restricted entity like any other: listed, audited, released the same way.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::restricted::{name, show_blocked};
use super::session::Session;
use crate::failure::Failure;

/// Why, where nobody says.
const REASON: &str = "panic switch";

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What is stopped
    kind: Kind,
    /// Its name
    value: String,
    /// Let it go again: held mail goes on
    #[arg(long, conflicts_with_all = ["hold", "reason"])]
    off: bool,
    /// Accept new mail and hold it, in place of refusing it
    #[arg(long)]
    hold: bool,
    /// Why; shown to whoever looks
    #[arg(long, value_name = "TEXT", default_value = REASON)]
    reason: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// An inbound connector
    Connector,
    /// A whole organisation
    Organisation,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    let kind = match arguments.kind {
        Kind::Connector => "connector",
        Kind::Organisation => "organisation",
    };
    let mut body = json!({ "kind": kind, "value": arguments.value });
    let api = session.api().await?;
    if arguments.off {
        let released = api.post("/restricted/release", &body).await?.value;
        if output.json {
            return output.value(&released);
        }
        return output.line(&format!("Released: {}.", name(&released)));
    }
    body["reason"] = json!(arguments.reason);
    body["effect"] = json!(if arguments.hold { "hold" } else { "refuse" });
    let blocked = api.post("/restricted/block", &body).await?.value;
    show_blocked(output, &blocked)
}
