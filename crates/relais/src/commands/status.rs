//! `relais status`: one screen.

use clap::Args;
use serde_json::Value;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Tone, clean, span};

#[derive(Args, Debug)]
pub(crate) struct Arguments {}

pub(crate) async fn run(session: &Session, _: Arguments) -> Result<(), Failure> {
    let answer = session
        .api_for_reading()
        .await?
        .get("/status", &[])
        .await?
        .value;
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    let name = clean(answer["hostname"].as_str().unwrap_or_default()).into_owned();
    let state = match answer["because"].as_str() {
        None => output.paint(Tone::Good, "ready"),
        Some(because) => output.paint(Tone::Bad, &format!("not ready: {}", clean(because))),
    };
    output.line(&format!(
        "Relais {} on {name}: {state}",
        answer["version"].as_str().unwrap_or_default()
    ))?;
    output.line(&format!(
        "Settings   {}",
        settings(&answer, number("organisations"))
    ))?;
    output.line(&format!(
        "Queue      {} queued, {} deferred, {} held",
        number("queued"),
        number("deferred"),
        number("held")
    ))?;
    match answer["oldest_age_s"].as_u64() {
        Some(age) => output.line(&format!("Oldest     {}", span(age))),
        None => Ok(()),
    }
}

fn settings(answer: &Value, organisations: u64) -> String {
    if organisations == 0 {
        return "none yet: all mail is refused; next: relais apply -f settings.toml".to_owned();
    }
    format!(
        "version {}: {organisations} organisation(s), {} domain(s), {} inbound connector(s)",
        answer["settings_version"], answer["domains"], answer["inbound_connectors"]
    )
}
