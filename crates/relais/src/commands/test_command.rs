//! `relais test`: one message of our own, watched until it is settled.

use clap::Args;
use serde_json::{Value, json};

use super::quickstart::watch;
use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::clean;
use crate::words::Language;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Whom it goes to
    #[arg(long)]
    to: String,
    /// An address of a verified domain; default: relais-test@ the first one
    #[arg(long)]
    from: Option<String>,
    /// Show what was said to the next server
    #[arg(long)]
    transcript: bool,
}

/// Exit code 4 unless the next server took it.
pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let api = session.api().await?;
    let body = json!({ "to": arguments.to, "from": arguments.from });
    let mut sent = api.post("/test", &body).await?.value;
    let output = session.output;
    let id = sent["queue_id"].as_str().unwrap_or_default().to_owned();
    let id = &*id;
    if !output.json {
        output.line(&format!("Queued as {id}"))?;
    }
    let is_delivered = watch(&api, output, Language::of_environment(), id).await?;
    if output.json {
        sent["delivered"] = is_delivered.into();
        output.value(&sent)?;
        return if is_delivered {
            Ok(())
        } else {
            Err(failed(id))
        };
    }
    if arguments.transcript {
        let path = format!("/why/{}/dialogues", encode(id));
        let said = api.get(&path, &[]).await?.value;
        for one in said["dialogues"].as_array().into_iter().flatten() {
            let lines = one["lines"].as_array().into_iter().flatten();
            lines
                .filter_map(Value::as_str)
                .try_for_each(|line| output.line(&clean(line)))?;
        }
    }
    if is_delivered {
        return Ok(());
    }
    Err(failed(id))
}

fn failed(id: &str) -> Failure {
    Failure::CheckFailed(format!("It was not delivered; relais why {id}"))
}
