//! `relais status`: one screen.

use clap::Args;
use serde_json::Value;

use relais_net::tls::WARNING_DAYS;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean, span};

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
    if let Some(age) = answer["oldest_age_s"].as_u64() {
        output.line(&format!("Oldest     {}", span(age)))?;
    }
    for (title, key) in [("TLS", "certificates"), ("Clients", "client_certificates")] {
        for one in answer[key].as_array().into_iter().flatten() {
            if let Some(line) = certificate(output, key, one) {
                output.line(&format!("{title:<10} {line}"))?;
            }
        }
    }
    for one in answer["logins"].as_array().into_iter().flatten() {
        if let Some(line) = login(one) {
            output.line(&format!("Logins     {}", output.paint(Tone::Bad, &line)))?;
        }
    }
    Ok(())
}

/// A login at a smart host that ends soon, or cannot be had.
fn login(one: &Value) -> Option<String> {
    let text = |key: &str| clean(one[key].as_str().unwrap_or_default()).into_owned();
    let connector = text("outbound_connector");
    if one["because"].is_string() {
        return Some(format!("{connector}: {}", text("because")));
    }
    let days = one["days_left"]
        .as_u64()
        .filter(|days| *days <= WARNING_DAYS[0])?;
    let day = text("not_after").chars().take(10).collect::<String>();
    Some(format!(
        "{connector}: {} ends on {day} ({days} days)",
        text("ends")
    ))
}

/// One certificate; of clients only those that end soon.
fn certificate(output: Output, key: &str, one: &Value) -> Option<String> {
    let text = |key: &str| clean(one[key].as_str().unwrap_or_default()).into_owned();
    let of_client = key == "client_certificates";
    let Some(days) = one["days_left"].as_u64() else {
        let line = format!("{}: no certificate can be loaded", text("listener"));
        return Some(output.paint(Tone::Bad, &line));
    };
    if of_client && days > WARNING_DAYS[0] {
        return None;
    }
    let whose = if of_client {
        text("name")
    } else {
        let names = one["names"].as_array().into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).map(clean).collect();
        format!("{} {}", text("listener"), names.join(" "))
    };
    let day = text("not_after").chars().take(10).collect::<String>();
    let line = format!("{whose}, valid until {day} ({days} days)");
    Some(if days <= WARNING_DAYS[0] {
        output.paint(Tone::Bad, &line)
    } else {
        line
    })
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
