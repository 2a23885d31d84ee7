//! `relais restricted`: what is blocked, blocking and releasing.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, clean};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What is blocked now, newest first
    List,
    /// Block: in force at once, for new connections and for the next message of open ones
    Block {
        #[command(flatten)]
        entity: Entity,
        /// Why; shown to whoever looks
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it ends by itself: 1h, 7d, 2026-12-31, or an RFC 3339 time
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Release
    Release(Entity),
}

#[derive(Args, Debug)]
struct Entity {
    /// What it is
    kind: Kind,
    /// An address or network; an address of mail; a domain, with all below it; a connector's name,
    /// or organisation/name; a credential's user; an organisation's name
    value: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// An address or network of clients
    Ip,
    /// An address of mail, as sender and as recipient
    Address,
    /// A domain of senders and recipients
    Domain,
    /// An inbound connector
    Connector,
    /// A credential
    Credential,
    /// A whole organisation
    Organisation,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Address => "address",
            Self::Domain => "domain",
            Self::Connector => "connector",
            Self::Credential => "credential",
            Self::Organisation => "organisation",
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Block {
            entity,
            reason,
            until,
        } => {
            let body = json!({
                "kind": entity.kind.name(),
                "value": entity.value,
                "reason": reason,
                "until": until,
            });
            let api = session.api().await?;
            let blocked = api.post("/restricted/block", &body).await?.value;
            show_blocked(output, &blocked)
        }
        Verb::Release(entity) => {
            let body = json!({ "kind": entity.kind.name(), "value": entity.value });
            let api = session.api().await?;
            let released = api.post("/restricted/release", &body).await?.value;
            if output.json {
                return output.value(&released);
            }
            output.line(&format!("Released: {}.", name(&released)))
        }
    }
}

/// What was blocked, and until when.
pub(super) fn show_blocked(output: Output, blocked: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(blocked);
    }
    let until = match blocked["until"].as_str() {
        Some(until) => format!("until {until}"),
        None => "until it is released".to_owned(),
    };
    output.line(&format!("Blocked: {}, {until}.", name(blocked)))
}

fn name(entity: &Value) -> String {
    let word = |key: &str| clean(entity[key].as_str().unwrap_or_default()).into_owned();
    format!("{} {}", word("kind"), word("value"))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/restricted", &[]).await?.value;
    let output = session.output;
    let restricted = answer["restricted"].as_array();
    let restricted = restricted.map(Vec::as_slice).unwrap_or_default();
    if output.json {
        return restricted.iter().try_for_each(|one| output.value(one));
    }
    if restricted.is_empty() {
        return output.line("Nothing is blocked.");
    }
    let keys = ["kind", "value", "since", "until", "by", "reason"];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<_>> = restricted
        .iter()
        .map(|one| keys.iter().map(|key| cell(one, key)).collect())
        .collect();
    output.table(&["KIND", "VALUE", "SINCE", "UNTIL", "BY", "REASON"], &rows)
}
