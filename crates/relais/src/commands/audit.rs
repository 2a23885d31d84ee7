//! `relais audit`: who changed what, and whether the record is whole.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Tone, clean};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Entries, newest first
    List {
        /// At most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Check the chain of hashes; exit code 4 if it is broken
    Verify,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List { limit } => list(session, limit).await,
        Verb::Verify => verify(session).await,
    }
}

async fn list(session: &Session, limit: usize) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api
        .get("/audit", &[("limit", limit.to_string())])
        .await?
        .value;
    let output = session.output;
    let entries = answer["entries"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return entries.iter().try_for_each(|one| output.value(one));
    }
    if entries.is_empty() {
        return output.line("Nothing was ever changed.");
    }
    for entry in entries {
        let text = |key: &str| clean(entry[key].as_str().unwrap_or("-")).into_owned();
        let head = format!(
            "{}  {}  {}  by {} ({})",
            entry["number"],
            text("time"),
            text("act"),
            text("actor"),
            text("via")
        );
        output.line(&output.paint(Tone::Heading, &head))?;
        let lines = entry["detail"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for line in lines.iter().filter_map(Value::as_str) {
            output.line(&format!("    {}", clean(line)))?;
        }
    }
    Ok(())
}

async fn verify(session: &Session) -> Result<(), Failure> {
    let answer = session
        .api_for_reading()
        .await?
        .get("/audit/verify", &[])
        .await?
        .value;
    let output = session.output;
    if output.json {
        output.value(&answer)?;
    }
    match answer["first_wrong"].as_u64() {
        None if output.json => Ok(()),
        None => output.line("The audit is whole: every entry fits the one before."),
        Some(_) if output.json => Err(Failure::CheckFailed(String::new())),
        Some(number) => Err(Failure::CheckFailed(format!(
            "audit entry {number} does not fit the one before: somebody changed the record"
        ))),
    }
}
