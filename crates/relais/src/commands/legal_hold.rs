//! `relais legal-hold`: mail of which nothing may be lost, whatever its age.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Which holds stand, newest first
    List,
    /// Place one: while it stands no day of the trace is removed, and nothing it covers is erased
    Add(Add),
    /// Release one: what is over its days goes within the hour
    Release {
        /// Its id, as the list shows it
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// Mail from or to this address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "connector")]
    address: Option<String>,
    /// Mail that came by this inbound connector
    #[arg(long, value_name = "NAME", conflicts_with = "address")]
    connector: Option<String>,
    /// Of this organisation only; may be left out
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Why; shown to whoever looks
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself: a span as 90d, a day or a time; else when it is released
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Add(add) => {
            let body = json!({
                "address": add.address,
                "connector": add.connector,
                "organisation": add.organisation,
                "reason": add.reason,
                "until": add.until,
            });
            let api = session.api().await?;
            let placed = api.post("/retention/holds", &body).await?.value;
            told(session, &placed, "Legal hold placed")
        }
        Verb::Release { id, yes } => {
            if !yes {
                ask(&format!("release the legal hold {id}"))?;
            }
            let api = session.api().await?;
            let path = format!("/retention/holds/{}/release", encode(&id));
            let released = api.post(&path, &json!({})).await?.value;
            told(session, &released, "Legal hold released")
        }
    }
}

/// What a hold covers: an address, or a connector.
fn what(hold: &Value) -> String {
    let address = hold["address"].as_str();
    let what = address.or_else(|| hold["connector"].as_str());
    clean(what.unwrap_or_default()).into_owned()
}

fn told(session: &Session, hold: &Value, word: &str) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(hold);
    }
    let id = hold["id"].as_str().unwrap_or_default();
    output.line(&format!("{word}: {} ({id}).", what(hold)))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/retention/holds", &[]).await?.value;
    let output = session.output;
    let holds = answer["holds"].as_array();
    let holds = holds.map(Vec::as_slice).unwrap_or_default();
    if output.json {
        return holds.iter().try_for_each(|one| output.value(one));
    }
    if holds.is_empty() {
        return output.line("No legal hold stands.");
    }
    let keys = [
        "id",
        "organisation",
        "address",
        "connector",
        "since",
        "until",
        "by",
        "reason",
    ];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<_>> = holds
        .iter()
        .map(|one| keys.iter().map(|key| cell(one, key)).collect())
        .collect();
    let head = keys.map(str::to_ascii_uppercase);
    let head = head.each_ref().map(String::as_str);
    output.table(&head, &rows)
}

/// A question at the terminal; without one, nothing is done.
fn ask(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "this would {what}: say --yes, because standard input is no terminal to ask at"
        )));
    }
    let mut stderr = io::stderr().lock();
    // If the question cannot be shown, no answer comes, and nothing is done.
    let _ = write!(stderr, "{what}? [y/N] ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    match (io::stdin().read_line(&mut answer), answer.trim()) {
        (Ok(_), "y" | "yes" | "o" | "oui") => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}
