//! `relais licences`: seats, who holds one, and senders that the directory does not list.

use clap::Args;
use serde_json::Value;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, clean};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let named = arguments.organisation.map(|name| ("organisation", name));
    let answer = api.get("/licences", named.as_slice()).await?.value;
    let rows = answer["licences"].as_array().map(Vec::as_slice);
    let rows = rows.unwrap_or_default();
    let output = session.output;
    if output.json {
        return rows.iter().try_for_each(|row| output.value(row));
    }
    if rows.is_empty() {
        return output.line("There is no organisation.");
    }
    rows.iter().try_for_each(|row| print(output, row))
}

fn print(output: Output, row: &Value) -> Result<(), Failure> {
    let name = clean(row["organisation"].as_str().unwrap_or_default());
    if row["policy"] == "off" {
        let mut line = format!("{name}: licences are not counted");
        line.push_str(" (licences = { seats = 25, policy = \"report\" } counts them).");
        return output.line(&line);
    }
    output.line(&format!(
        "{name}: {} of {} seats are held ({}), {} of its mailboxes need none.",
        row["used"],
        row["seats"],
        row["policy"].as_str().unwrap_or_default(),
        row["mailboxes"]
    ))?;
    let mut rows = Vec::new();
    for (key, kind) in [("people", "seat"), ("unlisted", "not in the directory")] {
        for sender in row[key].as_array().map(Vec::as_slice).unwrap_or_default() {
            let text = |key: &str| clean(sender[key].as_str().unwrap_or_default()).into_owned();
            rows.push(vec![text("address"), kind.to_owned(), text("last_sent")]);
        }
    }
    if rows.is_empty() {
        return output.line("Nobody sent in the last 30 days.");
    }
    output.table(&["SENDER", "KIND", "LAST SENT"], &rows)
}
