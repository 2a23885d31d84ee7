//! `relais attempts`: what knocked and was turned away, and what to make of it.

use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::edit::show_changes;
use super::restricted::show_blocked;
use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Output, clean, complain};

/// Headings and fields of a list.
const COLUMNS: [(&str, &str); 7] = [
    ("LAST", "time"),
    ("ADDRESS", "address"),
    ("HELO", "helo"),
    ("FROM", "from"),
    ("TO", "to"),
    ("TOKEN", "token"),
    ("REFERENCE", "reference"),
];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Grouped by address and reason, newest first
    List {
        /// Only since: 90s, 1h, 7d, 2026-11-24, or an RFC 3339 time
        #[arg(long, value_name = "TIME", default_value = "24h")]
        since: String,
        /// Ignored groups too
        #[arg(long)]
        all: bool,
        /// Each attempt as it is refused, until interrupted
        #[arg(long, conflicts_with = "since")]
        live: bool,
    },
    /// Make a client of it: an inbound connector for its address, observing until it is enabled;
    /// or, for a known user's login from a new address, that address for its credential
    Adopt {
        /// From the reply, the list or the trace
        reference: String,
        /// The connector: a new one, or one that gets the address too
        #[arg(long)]
        name: String,
        /// Whose; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Do not list its group, until it is refused for another reason
    Ignore(Chosen),
    /// What is ignored, by whom and until when
    Ignored,
    /// List an ignored group again
    Unignore {
        /// Of the client
        address: std::net::IpAddr,
        /// The reason, as `attempts ignored` shows it
        token: String,
    },
    /// Block its address
    Block(Chosen),
}

#[derive(Args, Debug)]
struct Chosen {
    /// From the reply, the list or the trace
    reference: String,
    /// When it ends by itself: 1h, 7d, 2026-12-31, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    match arguments.verb {
        Verb::List {
            all, live: true, ..
        } => live(session, all).await,
        Verb::List { since, all, .. } => list(session, &since, all).await,
        Verb::Adopt {
            reference,
            name,
            organisation,
            dry_run,
        } => {
            let body = json!({ "name": name, "organisation": organisation, "dry_run": dry_run });
            let adopted = act(session, &reference, "adopt", &body).await?;
            show_adopted(output, &adopted)
        }
        Verb::Ignore(chosen) => {
            let body = json!({ "until": chosen.until });
            let ignored = act(session, &chosen.reference, "ignore", &body).await?;
            if output.json {
                return output.value(&ignored);
            }
            let until = match ignored["until"].as_str() {
                Some(until) => format!(", until {until}"),
                None => String::new(),
            };
            let (address, token) = (text(&ignored, "address"), text(&ignored, "token"));
            output.line(&format!(
                "{address} is not listed any more for {token}{until}; `--all` shows it."
            ))
        }
        Verb::Ignored => ignored(session).await,
        Verb::Unignore { address, token } => {
            let body = json!({ "address": address, "token": token });
            let api = session.api().await?;
            let shown = api.post("/attempts/unignore", &body).await?.value;
            if output.json {
                return output.value(&shown);
            }
            let (address, token) = (text(&shown, "address"), text(&shown, "token"));
            output.line(&format!("{address} is listed again for {token}."))
        }
        Verb::Block(chosen) => {
            let body = json!({ "until": chosen.until });
            let blocked = act(session, &chosen.reference, "block", &body).await?;
            show_blocked(output, &blocked)
        }
    }
}

async fn ignored(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/attempts/ignored", &[]).await?.value;
    let groups = answer["ignored"].as_array().map(Vec::as_slice);
    let (groups, output) = (groups.unwrap_or_default(), session.output);
    if output.json {
        return groups.iter().try_for_each(|one| output.value(one));
    }
    if groups.is_empty() {
        return output.line("Nothing is ignored.");
    }
    let keys = ["address", "token", "by", "since", "until"];
    let row = |one: &Value| keys.iter().map(|key| text(one, key)).collect();
    let rows: Vec<Vec<_>> = groups.iter().map(row).collect();
    output.table(&["ADDRESS", "REASON", "BY", "SINCE", "UNTIL"], &rows)
}

async fn act(
    session: &Session,
    reference: &str,
    verb: &str,
    body: &Value,
) -> Result<Value, Failure> {
    let path = format!("/attempts/{}/{verb}", encode(reference));
    let api = session.api().await?;
    Ok(api.post(&path, body).await?.value)
}

fn text(value: &Value, key: &str) -> String {
    clean(value[key].as_str().unwrap_or("-")).into_owned()
}

async fn list(session: &Session, since: &str, all: bool) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let query = [("since", since.to_owned()), ("all", all.to_string())];
    let answer = api.get("/attempts", &query).await?.value;
    let output = session.output;
    let attempts = answer["attempts"].as_array();
    let attempts = attempts.map(Vec::as_slice).unwrap_or_default();
    if output.json {
        return attempts.iter().try_for_each(|one| output.value(one));
    }
    if attempts.is_empty() {
        return output.line(&format!("Nothing was refused (--since {since})."));
    }
    let row = |one: &Value| {
        let cell = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        let cells = COLUMNS.iter().map(|(_, key)| cell(key));
        cells.chain([one["count"].to_string()]).collect()
    };
    let rows: Vec<Vec<_>> = attempts.iter().map(row).collect();
    let headings: Vec<_> = COLUMNS.iter().map(|(heading, _)| *heading).collect();
    output.table(&[headings.as_slice(), &["COUNT"]].concat(), &rows)
}

async fn live(session: &Session, all: bool) -> Result<(), Failure> {
    let output = session.output;
    let query = [("all", all.to_string())];
    let api = session.api().await?;
    api.follow("/attempts/live", &query, |line| {
        show_live(output, line).map(ControlFlow::Continue)
    })
    .await
}

fn show_live(output: Output, line: &str) -> Result<(), Failure> {
    let Ok(attempt) = serde_json::from_str::<Value>(line) else {
        return Ok(());
    };
    if let Some(missed) = attempt["missed"].as_u64() {
        complain(&format!(
            "{missed} groups of events were missed: they came too fast"
        ));
        return Ok(());
    }
    if output.json {
        return output.value(&attempt);
    }
    let path = format!("{} -> {}", text(&attempt, "from"), text(&attempt, "to"));
    output.line(&format!(
        "{}  {} ({})  {path}  {}",
        text(&attempt, "time"),
        text(&attempt, "address"),
        text(&attempt, "helo"),
        text(&attempt, "reply")
    ))
}

/// What was made of the attempt, and the next step.
fn show_adopted(output: Output, adopted: &Value) -> Result<(), Failure> {
    let made = &adopted["made"];
    if output.json {
        return output.value(made);
    }
    show_changes(output, &adopted["settings"])?;
    if made["state"] == json!("observing") {
        let name = text(made, "name");
        let name = if name.contains(' ') {
            format!("\"{name}\"")
        } else {
            name
        };
        output.line(&format!(
            "It answers, and delivers to its test recipients only, until: \
             relais connector inbound enable {name}"
        ))?;
    }
    Ok(())
}
