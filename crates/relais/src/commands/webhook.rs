//! `relais webhook`: where events are posted to.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add one; the key that signs its posts is shown this once
    Add {
        /// For people
        name: String,
        /// https://…
        address: String,
        /// An event by its name; repeat for several; none: all but each attempt
        #[arg(long, value_name = "EVENT")]
        event: Vec<String>,
        /// Only events of this organisation
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// It may lead to private addresses, and speak HTTP in clear
        #[arg(long)]
        allow_private: bool,
    },
    /// Which there are
    List,
    /// Post something to one now
    Test(Id),
    /// A new key, shown this once; the old one signs too for 24 hours
    Rotate(Id),
    /// Post to it again
    Enable(Id),
    /// Post nothing to it
    Disable(Id),
    /// Take one away
    Remove(Id),
    /// What was posted to one, newest first
    Deliveries(Id),
    /// Post one of them again
    Resend {
        #[command(flatten)]
        id: Id,
        /// msg_…, as `deliveries` shows it
        delivery: String,
    },
}

#[derive(Args, Debug)]
struct Id {
    /// As `list` shows it
    id: String,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Add {
            name,
            address,
            event,
            organisation,
            allow_private,
        } => {
            let body = json!({
                "name": name,
                "address": address,
                "events": event,
                "organisation": organisation,
                "allow_private": allow_private,
            });
            let made = session.api().await?.post("/webhooks", &body).await?.value;
            tell_key(session, &made)
        }
        Verb::List => list(session).await,
        Verb::Rotate(Id { id }) => {
            let made = act(session, &id, "rotate", &json!({})).await?;
            tell_key(session, &made)
        }
        Verb::Test(Id { id }) => tell(session, &id, "test", &json!({})).await,
        Verb::Enable(Id { id }) => tell(session, &id, "enable", &json!({})).await,
        Verb::Disable(Id { id }) => tell(session, &id, "disable", &json!({})).await,
        Verb::Remove(Id { id }) => tell(session, &id, "remove", &json!({})).await,
        Verb::Resend { id, delivery } => {
            tell(session, &id.id, "resend", &json!({ "delivery": delivery })).await
        }
        Verb::Deliveries(Id { id }) => deliveries(session, &id).await,
    }
}

async fn act(session: &Session, id: &str, verb: &str, body: &Value) -> Result<Value, Failure> {
    let path = format!("/webhooks/{}/{verb}", encode(id));
    Ok(session.api().await?.post(&path, body).await?.value)
}

async fn tell(session: &Session, id: &str, verb: &str, body: &Value) -> Result<(), Failure> {
    let told = act(session, id, verb, body).await?;
    if session.output.json {
        return session.output.value(&told);
    }
    session.output.line(&format!("Done: {verb} {id}."))
}

fn text(value: &Value, key: &str) -> String {
    clean(value[key].as_str().unwrap_or("-")).into_owned()
}

fn tell_key(session: &Session, made: &Value) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(made);
    }
    output.line(&format!("Id: {}", text(made, "id")))?;
    output.line(&format!("Key (not shown again): {}", text(made, "key")))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/webhooks", &[]).await?.value;
    let hooks = answer["webhooks"].as_array().map(Vec::as_slice);
    let hooks = hooks.unwrap_or_default();
    let output = session.output;
    if output.json {
        return hooks.iter().try_for_each(|one| output.value(one));
    }
    if hooks.is_empty() {
        return output.line("There is no webhook.");
    }
    let row = |one: &Value| {
        let state = match (one["enabled"].as_bool(), one["fault"].as_str()) {
            (Some(true), _) => "on".to_owned(),
            (_, Some(fault)) => clean(fault).into_owned(),
            _ => "off".to_owned(),
        };
        let mut row: Vec<_> = ["id", "name", "organisation", "address"]
            .map(|key| text(one, key))
            .into();
        row.push(state);
        row
    };
    let rows: Vec<_> = hooks.iter().map(row).collect();
    output.table(&["ID", "NAME", "ORGANISATION", "ADDRESS", "STATE"], &rows)
}

async fn deliveries(session: &Session, id: &str) -> Result<(), Failure> {
    let path = format!("/webhooks/{}/deliveries", encode(id));
    let answer = session.api().await?.get(&path, &[]).await?.value;
    let rows = answer["deliveries"].as_array().map(Vec::as_slice);
    let rows = rows.unwrap_or_default();
    let output = session.output;
    if output.json {
        return rows.iter().try_for_each(|one| output.value(one));
    }
    if rows.is_empty() {
        return output.line("Nothing was posted to it.");
    }
    let row = |one: &Value| {
        let tries = one["tries"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let last = tries.last().map(|last| match last["status"].as_u64() {
            Some(status) => status.to_string(),
            None => text(last, "said"),
        });
        let mut row: Vec<_> = ["time", "id", "event", "state"]
            .map(|key| text(one, key))
            .into();
        row.push(tries.len().to_string());
        row.push(last.unwrap_or_else(|| "-".to_owned()));
        row
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    output.table(&["TIME", "ID", "EVENT", "STATE", "TRIES", "LAST"], &rows)
}
