//! `relais trace`: what happened, newest first; or as it happens.

use std::ops::ControlFlow;

use clap::Args;
use serde_json::Value;

use relais_store::trace::Event;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, complain};
use crate::words::{line, tone};

/// Events of one page.
const PAGE: usize = 1_000;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Tokens (to: from: client: connector: status: code: ref: token: size:> tls:< delay:> subject:
    /// event: id: message-id: organisation:) and free text
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

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
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
