//! `relais attempts`: what knocked and was turned away.

use clap::{Args, Subcommand};

use super::session::Session;
use crate::failure::Failure;

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
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let Verb::List { since } = arguments.verb;
    let api = session.api_for_reading().await?;
    let answer = api
        .get("/attempts", &[("since", since.clone())])
        .await?
        .value;
    let output = session.output;
    let attempts = answer["attempts"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return attempts.iter().try_for_each(|one| output.value(one));
    }
    if attempts.is_empty() {
        return output.line(&format!("Nothing was refused since {since}."));
    }
    let keys = [
        "time",
        "address",
        "helo",
        "from",
        "to",
        "token",
        "reference",
    ];
    let rows: Vec<Vec<_>> = attempts
        .iter()
        .map(|one| {
            let texts = keys
                .iter()
                .map(|key| one[*key].as_str().unwrap_or("-").to_owned());
            texts.chain([one["count"].to_string()]).collect()
        })
        .collect();
    output.table(
        &[
            "LAST",
            "ADDRESS",
            "HELO",
            "FROM",
            "TO",
            "TOKEN",
            "REFERENCE",
            "COUNT",
        ],
        &rows,
    )
}
