//! `relais report`: reports that are sent by e-mail.

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
    /// Which are sent to whom
    List,
    /// Send reports from now on
    Add {
        /// Whom they go to
        #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true)]
        to: Vec<String>,
        /// How often: each day, on Mondays, on the first
        #[arg(long, value_parser = ["day", "week", "month"])]
        every: String,
        /// Which: mail, queue, delay, clients, refusals, security, routes, destinations; none: all
        #[arg(long, value_name = "REPORT", value_delimiter = ',')]
        report: Vec<String>,
        /// Only of this organisation's mail
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Their language; else the organisation's
        #[arg(long, value_parser = ["en", "fr"])]
        language: Option<String>,
    },
    /// Send one now, within seconds
    Send(Id),
    /// Send one no more
    Remove(Id),
}

#[derive(Args, Debug)]
struct Id {
    /// As `list` shows it
    id: String,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Add {
            to,
            every,
            report,
            organisation,
            language,
        } => {
            let mut body = json!({ "to": to, "every": every, "reports": report });
            if let Some(name) = organisation {
                body["organisation"] = json!(name);
            }
            if let Some(language) = language {
                body["language"] = json!(language);
            }
            let api = session.api().await?;
            let made = api.post("/reports/schedules", &body).await?.value;
            if session.output.json {
                return session.output.value(&made);
            }
            let (id, next) = (text(&made, "id"), text(&made, "next"));
            session
                .output
                .line(&format!("Added {id}: sent next at {next}."))
        }
        Verb::Send(Id { id }) => act(session, &id, "send").await,
        Verb::Remove(Id { id }) => act(session, &id, "remove").await,
    }
}

fn text(value: &Value, key: &str) -> String {
    clean(value[key].as_str().unwrap_or("-")).into_owned()
}

fn joined(value: &Value) -> String {
    let all = value.as_array().into_iter().flatten();
    let all: Vec<_> = all.filter_map(Value::as_str).map(clean).collect();
    all.join(",")
}

async fn act(session: &Session, id: &str, verb: &str) -> Result<(), Failure> {
    let path = format!("/reports/schedules/{}/{verb}", encode(id));
    let told = session.api().await?.post(&path, &json!({})).await?.value;
    if session.output.json {
        return session.output.value(&told);
    }
    session.output.line(&format!("Done: {verb} {id}."))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/reports/schedules", &[]).await?.value;
    let all = answer["schedules"].as_array().map(Vec::as_slice);
    let all = all.unwrap_or_default();
    let output = session.output;
    if output.json {
        return all.iter().try_for_each(|one| output.value(one));
    }
    if all.is_empty() {
        return output.line("No report is sent by e-mail.");
    }
    let row = |one: &Value| {
        vec![
            text(one, "id"),
            text(one, "organisation"),
            text(one, "every"),
            joined(&one["to"]),
            joined(&one["reports"]),
            text(one, "next"),
            text(one, "fault"),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    output.table(
        &[
            "ID",
            "ORGANISATION",
            "EVERY",
            "TO",
            "REPORTS",
            "NEXT",
            "FAULT",
        ],
        &rows,
    )
}
