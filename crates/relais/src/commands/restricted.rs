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
    /// What is blocked or held now, newest first
    List,
    /// Blocks and releases of the past, newest first
    History,
    /// Block: in force at once, for new connections and for the next message of open ones; its mail
    /// in the queue waits until it is released
    Block {
        #[command(flatten)]
        entity: Entity,
        /// Why; shown to whoever looks
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// What was seen; may be given several times
        #[arg(long, value_name = "TEXT")]
        evidence: Vec<String>,
        /// Accept its mail as ever, but hold it in the queue
        #[arg(long)]
        hold: bool,
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
    /// or organisation/name; a device, as connector/address; a credential's user; an organisation's
    /// name
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
    /// One address of clients by one inbound connector
    Device,
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
            Self::Device => "device",
            Self::Credential => "credential",
            Self::Organisation => "organisation",
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::History => history(session).await,
        Verb::Block {
            entity,
            reason,
            evidence,
            hold,
            until,
        } => {
            let body = json!({
                "kind": entity.kind.name(),
                "value": entity.value,
                "reason": reason,
                "evidence": evidence,
                "effect": if hold { "hold" } else { "refuse" },
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
    let done = if blocked["effect"] == "hold" {
        "Held"
    } else {
        "Blocked"
    };
    output.line(&format!("{done}: {}, {until}.", name(blocked)))
}

pub(super) fn name(entity: &Value) -> String {
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
    let keys = ["kind", "value", "effect", "since", "until", "by", "reason"];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<_>> = restricted
        .iter()
        .map(|one| keys.iter().map(|key| cell(one, key)).collect())
        .collect();
    let heads = ["KIND", "VALUE", "EFFECT", "SINCE", "UNTIL", "BY", "REASON"];
    output.table(&heads, &rows)
}

async fn history(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/restricted/history", &[]).await?.value;
    let output = session.output;
    let history = answer["history"].as_array();
    let history = history.map(Vec::as_slice).unwrap_or_default();
    if output.json {
        return history.iter().try_for_each(|one| output.value(one));
    }
    if history.is_empty() {
        return output.line("Nothing was ever blocked.");
    }
    let keys = ["time", "act", "by", "detail"];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<_>> = history
        .iter()
        .map(|one| keys.iter().map(|key| cell(one, key)).collect())
        .collect();
    output.table(&["TIME", "ACT", "BY", "DETAIL"], &rows)
}
