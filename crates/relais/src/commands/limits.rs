//! `relais limits`: those of organisations and connectors, and how much of them is used.

use serde_json::Value;

use super::session::Session;
use crate::failure::Failure;
use crate::output::clean;

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/limits", &[]).await?.value;
    let limits = answer["limits"].as_array().map(Vec::as_slice);
    let limits = limits.unwrap_or_default();
    let output = session.output;
    if output.json {
        return limits.iter().try_for_each(|limit| output.value(limit));
    }
    if limits.is_empty() {
        return output.line("No organisation and no connector has a limit.");
    }
    let row = |limit: &Value| {
        let text = |key: &str| clean(limit[key].as_str().unwrap_or("-")).into_owned();
        let number = |key: &str| limit[key].as_u64().unwrap_or(0).to_string();
        let kind = if limit["hard"] == true {
            "hard"
        } else {
            "soft"
        };
        vec![
            text("organisation"),
            text("inbound_connector"),
            text("limit"),
            number("used"),
            number("value"),
            number("waiting"),
            kind.to_owned(),
        ]
    };
    let rows: Vec<_> = limits.iter().map(row).collect();
    output.table(
        &[
            "ORGANISATION",
            "CONNECTOR",
            "LIMIT",
            "USED",
            "OF",
            "WAITING",
            "KIND",
        ],
        &rows,
    )
}
