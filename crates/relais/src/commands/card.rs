//! `relais card`: the device card of an inbound connector, for whoever stands at the panel.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The inbound connector
    connector: String,
    /// Whose; may be left out unless several organisations have one of that name
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Maker of the device, with its own words for the fields
    #[arg(long, value_name = "MAKER")]
    vendor: Option<String>,
    /// Language of the card; else the organisation's
    #[arg(long, value_parser = ["en", "fr"])]
    lang: Option<String>,
    /// As text, as PDF or as a picture, one page
    #[arg(long, value_parser = ["txt", "pdf", "png"], default_value = "txt")]
    format: String,
    /// What it is printed on
    #[arg(long, value_parser = ["a4", "letter"], default_value = "a4")]
    paper: String,
    /// With a QR code to a page that shows, without signing in, what the connector's devices say;
    /// it can be revoked on the card's page
    #[arg(long)]
    code: bool,
    /// Days that the code, or a card that is sent, counts
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=30))]
    days: Option<u64>,
    /// How the code begins.
    #[arg(
        long,
        value_name = "URL",
        help = "How the code begins, as https://relay.example.com; else as the admin centre is \
                reached"
    )]
    origin: Option<String>,
    /// Server name to type; else ours
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// Our IP address, for devices without DNS
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Port to type; else 587 with a user, 25 without
    #[arg(long)]
    port: Option<u16>,
    /// User to type; else the connector's first credential
    #[arg(long)]
    user: Option<String>,
    /// Sender address to type; else scan@ the first verified domain
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Where the device stands
    #[arg(long)]
    site: Option<String>,
    /// Whom to ask; else the organisation's postmaster
    #[arg(long)]
    contact: Option<String>,
    /// Send it there by mail, through the relay, without the password
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["format", "output", "code"])]
    send: Option<String>,
    /// Write it to this file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let is_text = arguments.format == "txt";
    if !is_text && arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "This is no text for a terminal: name a file with --output.".to_owned(),
        ));
    }
    let is_given = arguments.code || arguments.send.is_some();
    if !is_given && (arguments.days.is_some() || arguments.origin.is_some()) {
        return Err(Failure::Usage(
            "--days and --origin are of a code or of a card that is sent: add --code or --send."
                .to_owned(),
        ));
    }
    let format = match arguments.format.as_str() {
        "txt" => "text",
        other => other,
    };
    let query = [
        ("name", Some(arguments.connector)),
        ("organisation", arguments.organisation),
        ("maker", arguments.vendor),
        ("language", arguments.lang),
        ("server", arguments.server),
        ("ip", arguments.ip),
        ("port", arguments.port.map(|port| port.to_string())),
        ("user", arguments.user),
        ("sender", arguments.sender),
        ("site", arguments.site),
        ("contact", arguments.contact),
        ("paper", Some(arguments.paper)),
    ];
    let query = query.into_iter();
    let mut query: Vec<_> = query
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let given = Given {
        days: arguments.days,
        origin: arguments.origin,
    };
    if let Some(to) = arguments.send {
        return send(session, &query, &given, &to).await;
    }
    query.push(("format", format.to_owned()));
    let told = if arguments.code {
        let api = session.api().await?;
        let body = given.body(&query);
        api.post("/connectors/inbound/card/code", &body)
            .await?
            .value
    } else {
        let api = session.api_for_reading().await?;
        api.get("/connectors/inbound/card", &query).await?.value
    };
    if session.output.json {
        return session.output.value(&told);
    }
    let printed = told[format].as_str().unwrap_or_default();
    let octets = match is_text {
        true => printed.as_bytes().to_vec(),
        false => STANDARD
            .decode(printed)
            .map_err(|error| Failure::Failed(format!("The answer is no card: {error}.")))?,
    };
    let written = match &arguments.output {
        Some(file) => std::fs::write(file, octets),
        None => std::io::stdout().write_all(&octets),
    };
    let named = arguments.output.unwrap_or_default();
    written.map_err(|error| Failure::Failed(format!("{}: {error}", named.display())))?;
    for advice in told["advice"].as_array().into_iter().flatten() {
        eprintln!("{}", advice.as_str().unwrap_or_default());
    }
    Ok(())
}

/// What shapes a card that somebody gets, beside what stands on it.
struct Given {
    days: Option<u64>,
    origin: Option<String>,
}

impl Given {
    fn body(&self, shape: &[(&'static str, String)]) -> Value {
        let mut body = json!({});
        for (name, value) in shape {
            body[*name] = json!(value);
        }
        if let Some(days) = self.days {
            body["days"] = json!(days);
        }
        if let Some(origin) = &self.origin {
            body["origin"] = json!(origin);
        }
        body
    }
}

async fn send(
    session: &Session,
    shape: &[(&'static str, String)],
    given: &Given,
    to: &str,
) -> Result<(), Failure> {
    let mut body = given.body(shape);
    body["to"] = json!(to);
    let api = session.api().await?;
    let sent = api
        .post("/connectors/inbound/card/send", &body)
        .await?
        .value;
    if session.output.json {
        return session.output.value(&sent);
    }
    let text = |key: &str| sent[key].as_str().unwrap_or_default();
    let told = format!(
        "It is on its way to {} as {}.",
        text("to"),
        text("queue_id")
    );
    session.output.line(&told)
}
