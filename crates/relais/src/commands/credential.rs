//! `relais credential`: one for each device; made, listed, rotated, switched off and on, revoked.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::edit::show_changes;
use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Output, clean};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make one; its password is shown once
    Add(Add),
    /// All of them, and when they were used
    List,
    /// Give one a new password; the old one counts on for a while
    Rotate {
        /// Which
        user: String,
        /// For how long the old password counts too: 24h, 7d; 0s for not at all
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: String,
    },
    /// Let one log in again
    Enable {
        /// Which
        user: String,
    },
    /// Let one log in no more until it is enabled
    Disable {
        /// Which
        user: String,
    },
    /// Take one away
    Revoke {
        /// Which
        user: String,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// The inbound connector that its mail comes in by
    #[arg(long, value_name = "NAME")]
    connector: String,
    /// The user name to be entered in the device: at most 20 of a-z, 0-9 and -
    #[arg(long, value_name = "USER")]
    user: String,
    /// An address that it may use, or *@domain; more than once for several
    #[arg(long, value_name = "ADDRESS")]
    may_send_as: Vec<String>,
    /// An address or network that it may be used from; more than once for several
    #[arg(long, value_name = "NETWORK")]
    source_address: Vec<String>,
    /// The least TLS that it may be used with
    #[arg(long, value_parser = ["none", "1.2", "1.3"])]
    tls_min: Option<String>,
    /// From when on it is refused, as 2027-12-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Add(wanted) => add(session, &wanted).await,
        Verb::List => list(session).await,
        Verb::Rotate { user, overlap } => {
            let api = session.api().await?;
            let path = format!("/credentials/{}/rotate", encode(&user));
            let answer = api.post(&path, &json!({ "overlap": overlap })).await?;
            show(session.output, &answer.value)
        }
        Verb::Enable { user } => act(session, &user, "enable").await,
        Verb::Disable { user } => act(session, &user, "disable").await,
        Verb::Revoke { user } => act(session, &user, "revoke").await,
    }
}

async fn act(session: &Session, user: &str, act: &str) -> Result<(), Failure> {
    let path = format!("/credentials/{}/{act}", encode(user));
    let answer = session.api().await?.post(&path, &json!({})).await?;
    show_changes(session.output, &answer.value)
}

async fn add(session: &Session, wanted: &Add) -> Result<(), Failure> {
    let body = json!({
        "organisation": wanted.organisation,
        "user": wanted.user,
        "inbound_connector": wanted.connector,
        "may_send_as": wanted.may_send_as,
        "source_addresses": wanted.source_address,
        "tls_min": wanted.tls_min,
        "expires": wanted.expires,
    });
    let answer = session.api().await?.post("/credentials", &body).await?;
    show(session.output, &answer.value)
}

/// The only time that the password is seen.
fn show(output: Output, made: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(made);
    }
    let word = |key: &str| clean(made[key].as_str().unwrap_or_default()).into_owned();
    output.line(&format!("User       {}", word("user")))?;
    output.line(&format!("Password   {}", word("password")))?;
    output.line(&format!("Connector  {}", word("inbound_connector")))?;
    if let Some(until) = made["previous_until"].as_str() {
        output.line(&format!("The old password counts until {}.", clean(until)))?;
    }
    output.line("The password is not shown again: enter it in the device now.")
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/credentials", &[]).await?.value;
    let output = session.output;
    let credentials = answer["credentials"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return credentials.iter().try_for_each(|one| output.value(one));
    }
    if credentials.is_empty() {
        return output.line(
            "There is no credential yet: make one with `relais credential add --connector NAME \
             --user USER`.",
        );
    }
    let rows: Vec<Vec<_>> = credentials
        .iter()
        .map(|one| {
            let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
            let state = match (one["enabled"].as_bool(), one["has_password"].as_bool()) {
                (Some(false), _) => "disabled",
                (_, Some(false)) => "no password",
                _ => "enabled",
            };
            let addresses = one["may_send_as"].as_array().into_iter().flatten();
            let addresses: Vec<_> = addresses.filter_map(Value::as_str).collect();
            vec![
                word("user"),
                word("organisation"),
                word("inbound_connector"),
                state.to_owned(),
                addresses.join(" "),
                word("last_used"),
                word("last_address"),
            ]
        })
        .collect();
    let headings = [
        "USER",
        "ORGANISATION",
        "CONNECTOR",
        "STATE",
        "MAY SEND AS",
        "LAST USED",
        "FROM",
    ];
    output.table(&headings, &rows)
}
