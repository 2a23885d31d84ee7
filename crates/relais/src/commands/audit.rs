//! `relais audit`: who changed what, and whether the record is whole.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use relais_admin::phrasebook::{told_audit, told_detail};

use super::edit::show_changes;
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
        #[command(flatten)]
        filter: Filter,
    },
    /// Take back a change of the settings, where nothing of it was changed since
    Revert {
        /// The version that the change made
        version: u64,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Check the chain of hashes; exit code 4 if it is broken
    Verify,
}

#[derive(Args, Debug)]
struct Filter {
    /// Only what this person did; a part of the name is enough
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only acts that begin so: settings, queue.deleted
    #[arg(long)]
    act: Option<String>,
    /// Only what came by this door: web, api, socket, data-folder, start
    #[arg(long, value_name = "DOOR")]
    via: Option<String>,
    /// Only what came from this address; a part of it is enough
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Only entries that tell of this
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only since then: 24h, 7d, or a day
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List { limit, filter } => list(session, limit, filter).await,
        Verb::Revert { version, dry_run } => {
            let api = session.api().await?;
            let body = json!({ "version": version, "dry_run": dry_run });
            let changed = api.post("/settings/revert", &body).await?.value;
            show_changes(session.output, &changed)
        }
        Verb::Verify => verify(session).await,
    }
}

async fn list(session: &Session, limit: usize, filter: Filter) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let mut asked = vec![("limit", limit.to_string())];
    let given = [
        ("actor", filter.actor),
        ("act", filter.act),
        ("via", filter.via),
        ("from", filter.from),
        ("q", filter.text),
        ("since", filter.since),
    ];
    asked.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let answer = api.get("/audit", &asked).await?.value;
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
        let by = output.language.pick("by", "par");
        let from = match entry["from"].as_str() {
            Some(from) => format!(", {}", clean(from)),
            None => String::new(),
        };
        let head = format!(
            "{}  {}  {}  {by} {} ({}{from})",
            entry["number"],
            text("time"),
            text("act"),
            told_detail(output.language, &text("actor")),
            text("via")
        );
        output.line(&output.paint(Tone::Heading, &head))?;
        let lines = entry["detail"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for line in lines.iter().filter_map(Value::as_str) {
            output.line(&format!(
                "    {}",
                clean(&told_audit(output.language, line))
            ))?;
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
