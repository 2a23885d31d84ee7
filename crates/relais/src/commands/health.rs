//! `relais health`: yes or no, for `HEALTHCHECK` and probes.

use clap::Args;
use serde_json::json;

use super::session::Session;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Only whether the server answers
    #[arg(long, conflicts_with = "ready")]
    live: bool,
    /// Whether it takes mail (default)
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    let answer = match session.api().await {
        Ok(api) => api.get("/health", &[]).await?.value,
        Err(failure @ Failure::NotRunning { .. }) => {
            json!({ "live": false, "ready": false, "because": failure.to_string() })
        }
        Err(failure) => return Err(failure),
    };
    let key = if arguments.live { "live" } else { "ready" };
    let well = answer[key].as_bool().unwrap_or(false);
    if output.json {
        output.value(&answer)?;
    } else if well {
        output.line(if arguments.live {
            "Relais is running."
        } else {
            "Relais is ready."
        })?;
    }
    match (well, output.json) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::CheckFailed(String::new())),
        (false, false) => {
            let because = answer["because"].as_str().unwrap_or("Relais is not ready.");
            Err(Failure::CheckFailed(clean(because).into_owned()))
        }
    }
}
