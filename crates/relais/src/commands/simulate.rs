//! `relais simulate`: what would happen to a message. Exit code 0 whatever the verdict.

use std::net::IpAddr;

use clap::Args;
use serde_json::{Value, json};

use relais_admin::phrasebook::told_part;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};
use crate::words::Language;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Address of the client
    #[arg(long)]
    ip: IpAddr,
    /// Name in its HELO or EHLO
    #[arg(long)]
    helo: Option<String>,
    /// Name of its verified certificate
    #[arg(long)]
    certificate_name: Option<String>,
    /// User it authenticated as
    #[arg(long)]
    credential: Option<String>,
    /// Reverse-path; empty or <> for none
    #[arg(long)]
    from: String,
    /// Recipient
    #[arg(long)]
    to: String,
    /// Header From; the reverse-path if absent
    #[arg(long)]
    header_from: Option<String>,
    /// Size of the message in octets
    #[arg(long)]
    size: Option<u64>,
    /// TLS of the session
    #[arg(long, value_parser = ["none", "1.0", "1.1", "1.2", "1.3"])]
    tls: Option<String>,
    /// Through a submission listener
    #[arg(long)]
    submission: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let question = json!({
        "ip": arguments.ip,
        "helo": arguments.helo,
        "certificate_name": arguments.certificate_name,
        "credential": arguments.credential,
        "from": arguments.from,
        "to": arguments.to,
        "header_from": arguments.header_from,
        "size": arguments.size,
        "tls": arguments.tls,
        "submission": arguments.submission,
    });
    let answer = session
        .api_for_reading()
        .await?
        .post("/simulate", &question)
        .await?
        .value;
    if session.output.json {
        return session.output.value(&answer);
    }
    show(session.output, &answer)
}

/// The decision, step by step.
pub(super) fn show(output: Output, answer: &Value) -> Result<(), Failure> {
    let language = Language::of_environment();
    let text = |value: &Value| {
        let said = told_part(language, value.as_str().unwrap_or_default());
        clean(&said).into_owned()
    };
    match answer["verdict"].as_str() {
        Some("permit") => {
            let word = language.pick("Permitted", "Autorisé");
            output.line(&output.paint(Tone::Good, word))?;
        }
        _ => output.line(&format!(
            "{}{} {}",
            output.paint(Tone::Bad, language.pick("Refused", "Refusé")),
            language.pick(":", "\u{202f}:"),
            text(&answer["reply"])
        ))?,
    }
    let steps = answer["steps"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for step in steps {
        output.line(&format!(
            "  {:<12} {} ({})",
            text(&step["question"]),
            text(&step["answer"]),
            text(&step["because"])
        ))?;
    }
    Ok(())
}
