//! `relais directory`: recipients and people; imported from CSV, listed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::apply::read_text;
use super::edit::show_changes;
use super::session::Session;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read a CSV file with the columns address and mailbox
    Import {
        /// CSV; - for standard input
        file: PathBuf,
        /// Whose; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Remove entries that the file does not name
        #[arg(long)]
        prune: bool,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// All entries
    List {
        /// Whose
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Only addresses that contain this
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Take an address away
    Remove {
        /// Which
        address: String,
        /// Whose; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Import {
            file,
            organisation,
            prune,
            dry_run,
        } => {
            let body = json!({
                "organisation": organisation,
                "csv": read_text(&file)?,
                "prune": prune,
                "dry_run": dry_run,
            });
            import(session, &body).await
        }
        Verb::List {
            organisation,
            search,
        } => list(session, organisation, search).await,
        Verb::Remove {
            address,
            organisation,
        } => {
            let body = json!({ "organisation": organisation, "address": address });
            let api = session.api().await?;
            let changed = api.post("/directory/remove", &body).await?.value;
            show_changes(session.output, &changed)
        }
    }
}

async fn import(session: &Session, body: &serde_json::Value) -> Result<(), Failure> {
    let answer = session
        .api()
        .await?
        .post("/directory/import", body)
        .await?
        .value;
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let changes = answer["changes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let count = |act: &str| {
        changes
            .iter()
            .filter(|change| change["act"] == json!(act))
            .count()
    };
    let (read, new) = (&answer["read"], count("created"));
    let (changed, removed) = (count("changed"), count("removed"));
    output.line(&match answer["dry_run"].as_bool() {
        Some(true) => format!(
            "{read} entries read: {new} would be new, {changed} would be changed, {removed} would \
             be removed."
        ),
        Some(false) | None => {
            format!("{read} entries read: {new} new, {changed} changed, {removed} removed.")
        }
    })
}

async fn list(
    session: &Session,
    organisation: Option<String>,
    search: Option<String>,
) -> Result<(), Failure> {
    let given = [("organisation", organisation), ("q", search)].into_iter();
    let query: Vec<_> = given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = session
        .api_for_reading()
        .await?
        .get("/directory", &query)
        .await?
        .value;
    let output = session.output;
    let entries = answer["recipients"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return entries.iter().try_for_each(|one| output.value(one));
    }
    if entries.is_empty() {
        return output.line("The directory is empty: fill it with `relais directory import FILE`.");
    }
    let rows: Vec<Vec<_>> = entries
        .iter()
        .map(|one| {
            let mailbox = if one["mailbox"] == json!(true) {
                "yes"
            } else {
                "no"
            };
            let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
            vec![text("address"), mailbox.to_owned(), text("organisation")]
        })
        .collect();
    output.table(&["ADDRESS", "MAILBOX", "ORGANISATION"], &rows)
}
