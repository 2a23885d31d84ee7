//! `relais suppression`: recipients that an organisation sends nothing to.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Who is suppressed, newest first
    List,
    /// Suppress: refused to the organisation's clients at once
    Add {
        #[command(flatten)]
        whom: Whom,
        /// Why; shown to whoever looks
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Release: may be written to again
    Release(Whom),
}

#[derive(Args, Debug)]
struct Whom {
    /// The recipient
    address: String,
    /// Organisation; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Add { whom, reason } => {
            let body = json!({
                "address": whom.address,
                "organisation": whom.organisation,
                "reason": reason,
            });
            change(session, "/suppression/add", &body, "Suppressed").await
        }
        Verb::Release(whom) => {
            let body = json!({ "address": whom.address, "organisation": whom.organisation });
            change(session, "/suppression/release", &body, "Released").await
        }
    }
}

async fn change(session: &Session, path: &str, body: &Value, word: &str) -> Result<(), Failure> {
    let changed = session.api().await?.post(path, body).await?.value;
    let output = session.output;
    if output.json {
        return output.value(&changed);
    }
    let address = clean(changed["address"].as_str().unwrap_or_default()).into_owned();
    output.line(&format!("{word}: {address}."))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/suppression", &[]).await?.value;
    let output = session.output;
    let suppressed = answer["suppressed"].as_array();
    let suppressed = suppressed.map(Vec::as_slice).unwrap_or_default();
    if output.json {
        return suppressed.iter().try_for_each(|one| output.value(one));
    }
    if suppressed.is_empty() {
        return output.line("Nobody is suppressed.");
    }
    let keys = [
        "organisation",
        "address",
        "cause",
        "since",
        "by",
        "queue_id",
        "said",
    ];
    let cell = |one: &Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let rows: Vec<Vec<_>> = suppressed
        .iter()
        .map(|one| keys.iter().map(|key| cell(one, key)).collect())
        .collect();
    let head = [
        "ORGANISATION",
        "ADDRESS",
        "CAUSE",
        "SINCE",
        "BY",
        "MESSAGE",
        "SAID",
    ];
    output.table(&head, &rows)
}
