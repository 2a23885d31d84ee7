//! `relais why`: one refusal, or one message, told from its events; and what today's settings say.

use clap::Args;
use serde_json::Value;

use relais_admin::phrasebook::told_detail;
use relais_store::trace::{Event, EventKind};

use super::session::Session;
use super::simulate;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};
use crate::words::{Language, advice, of_dialogue, sentence};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Reference of a refusal (7F3K2), or queue id
    #[arg(value_name = "REF|QUEUE-ID")]
    name: String,
    /// Also what was said with the client and with next hops, without secrets and content
    #[arg(long)]
    transcript: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let path = format!("/why/{}", encode(&arguments.name));
    let mut answer = api.get(&path, &[]).await?.value;
    if arguments.transcript {
        let said = api.get(&format!("{path}/dialogues"), &[]).await?.value;
        answer["dialogues"] = said["dialogues"].clone();
    }
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let language = Language::of_environment();
    let events = answer["events"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for event in events
        .iter()
        .filter_map(|event| Event::from_json(&event.to_string()).ok())
    {
        output.line(&format!(
            "{}  {}",
            event.time.to_rfc3339(),
            sentence(&event, language)
        ))?;
        let refused = event.kind == EventKind::AttemptRefused;
        if let Some(detail) = event.detail.as_deref().filter(|_| refused) {
            output.line(&format!("  {}", clean(&told_detail(language, detail))))?;
        }
        if let Some((cause, fix)) = event.reply.as_deref().and_then(|it| advice(it, language)) {
            output.paragraph("  ", 2, cause)?;
            output.paragraph("  → ", 4, fix)?;
        }
    }
    let queued = answer["in_queue"]["recipients"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for recipient in queued {
        let text = |key: &str| clean(recipient[key].as_str().unwrap_or("-")).into_owned();
        let (to, state, next) = (text("to"), text("state"), text("next_attempt"));
        let line = match language {
            Language::English => format!("In the queue: <{to}> {state}, next attempt {next}"),
            Language::French => format!(
                "Dans la file d’attente\u{202f}: <{to}> {state}, prochaine tentative {next}"
            ),
        };
        output.line(&output.paint(Tone::Waiting, &line))?;
    }
    let decisions = answer["now"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for decision in decisions {
        let to = clean(decision["to"].as_str().unwrap_or_default()).into_owned();
        output.line("")?;
        let heading = match language {
            Language::English => format!("With today’s settings, to <{to}>:"),
            Language::French => format!("Avec les paramètres actuels, vers <{to}>\u{202f}:"),
        };
        output.line(&output.paint(Tone::Heading, &heading))?;
        simulate::show(output, &decision["decision"])?;
    }
    show_dialogues(output, &answer["dialogues"])
}

/// Line by line, as they were kept.
fn show_dialogues(output: Output, dialogues: &Value) -> Result<(), Failure> {
    for dialogue in dialogues.as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |key: &str| clean(dialogue[key].as_str().unwrap_or("-")).into_owned();
        let head = format!("{}  {} {}", text("time"), text("with"), text("peer"));
        output.line("")?;
        output.line(&output.paint(Tone::Heading, &head))?;
        let lines = dialogue["lines"].as_array().map(Vec::as_slice);
        for line in lines.unwrap_or_default() {
            let line = of_dialogue(output.language, line.as_str().unwrap_or_default());
            output.line(&clean(&line))?;
        }
    }
    Ok(())
}
