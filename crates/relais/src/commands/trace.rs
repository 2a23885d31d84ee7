//! `relais trace`: what happened, newest first; or as it happens; an address erased from it.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use relais_store::trace::Event;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, complain};
use crate::words::{line, tone};

/// Events of one page.
const PAGE: usize = 1_000;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Tokens (to: from: address: client: connector: status: code: ref: token: size:> tls:< delay:>
    /// subject: event: id: message-id: organisation:) and free text
    #[arg(value_name = "TOKENS")]
    tokens: Vec<String>,
    /// Only since: 90s, 1h, 7d, 2026-11-24, or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show events as they come, until stopped
    #[arg(long)]
    live: bool,
    /// At most this many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Erase an address from trace, conversations and kept content, for good; mail that waits is
    /// not touched
    Erase {
        /// One whole address
        address: String,
        /// Only of what is this organisation's
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Tell what would be erased, and erase nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    if let Some(Verb::Erase {
        address,
        organisation,
        dry_run,
        yes,
    }) = arguments.verb
    {
        let mut body = json!({ "address": address, "dry_run": true });
        if let Some(name) = organisation {
            body["organisation"] = json!(name);
        }
        return erase(session, body, dry_run, yes).await;
    }
    let mut query = vec![("q", quoted(&arguments.tokens))];
    for (name, time) in [("since", &arguments.since), ("until", &arguments.until)] {
        query.extend(time.clone().map(|time| (name, time)));
    }
    let output = session.output;
    if arguments.live {
        let api = session.api().await?;
        return api
            .follow("/trace/live", &query, |text| {
                show_live(output, text).map(ControlFlow::Continue)
            })
            .await;
    }
    let api = session.api_for_reading().await?;
    let mut left = arguments.limit;
    let mut cursor = None;
    while left > 0 {
        let mut query = query.clone();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(cursor.map(|cursor: u64| ("cursor", cursor.to_string())));
        let page = api.get("/trace", &query).await?.value;
        let events = page["events"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        for event in events {
            show(output, event)?;
        }
        left = left.saturating_sub(events.len());
        cursor = page["next_cursor"].as_u64();
        // A page may be empty, and yet others follow: so much is read at once, and no more.
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

/// Counted first, and asked for; then done.
async fn erase(
    session: &Session,
    mut body: Value,
    dry_run: bool,
    yes: bool,
) -> Result<(), Failure> {
    let (api, output) = (session.api().await?, session.output);
    if dry_run || !yes {
        let found = api.post("/trace/erase", &body).await?.value;
        if dry_run {
            return erased(output, &found);
        }
        let address = found["address"].as_str().unwrap_or_default();
        ask(&format!("erase {address} from {}", counted(&found)))?;
    }
    body["dry_run"] = json!(false);
    erased(output, &api.post("/trace/erase", &body).await?.value)
}

fn counted(found: &Value) -> String {
    let count = |key: &str| found[key].as_u64().unwrap_or(0);
    format!(
        "{} events, {} conversations, {} kept messages",
        count("events"),
        count("conversations"),
        count("contents")
    )
}

fn erased(output: Output, found: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(found);
    }
    let counted = counted(found);
    output.line(&match found["dry_run"] == true {
        true => format!("Would be erased, and nothing was: {counted}."),
        false => format!("Erased for good: {counted}."),
    })?;
    if found["has_more"] == true {
        output.line("There is more: repeat it.")?;
    }
    for day in found["unread_days"].as_array().into_iter().flatten() {
        let day = day.as_str().unwrap_or_default();
        output.line(&format!("The trace of {day} cannot be read, and keeps it."))?;
    }
    for day in found["unread_conversations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let day = day.as_str().unwrap_or_default();
        output.line(&format!(
            "The conversations of {day} cannot be read, and keep it."
        ))?;
    }
    if let Some(waiting @ 1..) = found["unwritten_events"].as_u64() {
        output.line(&format!(
            "{waiting} events wait because the trace cannot be written, and may have it: \
             repeat it when that is mended."
        ))?;
    }
    Ok(())
}

/// A question at the terminal; without one, nothing is done.
fn ask(what: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "this would {what}: say --yes, because standard input is no terminal to ask at"
        )));
    }
    let mut stderr = io::stderr().lock();
    // If the question cannot be shown, no answer comes, and nothing is done.
    let _ = write!(stderr, "{what}, for good? [y/N] ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    match (io::stdin().read_line(&mut answer), answer.trim()) {
        (Ok(_), "y" | "yes" | "o" | "oui") => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}

/// One text; what the shell kept together stays together.
fn quoted(tokens: &[String]) -> String {
    let one = |token: &String| {
        if !token.contains(char::is_whitespace) || token.contains('"') {
            return token.clone();
        }
        match token.split_once(':') {
            Some((name, value)) if !name.contains(char::is_whitespace) => {
                format!("{name}:\"{value}\"")
            }
            Some(_) | None => format!("\"{token}\""),
        }
    };
    tokens.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn show(output: Output, event: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(event);
    }
    match Event::from_json(&event.to_string()) {
        Ok(event) => {
            let line = format!("{}  {}", event.time.to_rfc3339(), line(&event));
            output.line(&output.paint(tone(&event), &line))
        }
        Err(error) => {
            complain(&format!("an event cannot be read: {error}"));
            Ok(())
        }
    }
}

fn show_live(output: Output, text: &str) -> Result<(), Failure> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Ok(());
    };
    if let Some(missed) = value["missed"].as_u64() {
        complain(&format!(
            "{missed} groups of events were missed: they came too fast"
        ));
        return Ok(());
    }
    if output.json {
        output.line(text)
    } else {
        show(output, &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shell_kept_together_stays_together() {
        for (tokens, expected) in [
            (
                vec!["to:a@b.example", "status:failed"],
                "to:a@b.example status:failed",
            ),
            (vec!["subject:out of paper"], "subject:\"out of paper\""),
            (vec!["out of paper"], "\"out of paper\""),
            (vec!["subject:\"out of\" to:a"], "subject:\"out of\" to:a"),
        ] {
            let tokens: Vec<_> = tokens.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(quoted(&tokens), expected);
        }
    }
}
