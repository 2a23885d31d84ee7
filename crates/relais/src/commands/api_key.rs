//! `relais api-key`: keys of the API for programs.

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
    /// Make one; it is shown this once
    Add {
        /// For people: which program has it
        name: String,
        /// What it may do: NOUN:read or NOUN:write, * for every noun; repeat for several
        #[arg(long, required = true, value_name = "SCOPE")]
        scope: Vec<String>,
        /// The organisation beyond which it sees nothing
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// The credential whose mail it hands in (messages:write)
        #[arg(long, value_name = "USER")]
        credential: Option<String>,
        /// When it ends: 90d, 2027-12-31, or an RFC 3339 time
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Which there are; none is shown
    List,
    /// Take one away, at once
    Revoke {
        /// As `list` shows it
        id: String,
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let output = session.output;
    match arguments.verb {
        Verb::Add {
            name,
            scope,
            organisation,
            credential,
            expires,
        } => {
            let body = json!({
                "name": name,
                "scopes": scope,
                "organisation": organisation,
                "credential": credential,
                "expires": expires,
            });
            let made = session.api().await?.post("/api-keys", &body).await?.value;
            if output.json {
                return output.value(&made);
            }
            output.line(&format!("Id: {}", text(&made, "id")))?;
            output.line(&format!("Key (not shown again): {}", text(&made, "key")))
        }
        Verb::List => list(session).await,
        Verb::Revoke { id } => {
            let path = format!("/api-keys/{}/revoke", encode(&id));
            let gone = session.api().await?.post(&path, &json!({})).await?.value;
            if output.json {
                return output.value(&gone);
            }
            output.line(&format!("Revoked: {}.", text(&gone, "name")))
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    clean(value[key].as_str().unwrap_or("-")).into_owned()
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/api-keys", &[]).await?.value;
    let keys = answer["keys"].as_array().map(Vec::as_slice);
    let keys = keys.unwrap_or_default();
    let output = session.output;
    if output.json {
        return keys.iter().try_for_each(|one| output.value(one));
    }
    if keys.is_empty() {
        return output.line("There is no key; `relais api-key add` makes one.");
    }
    let row = |one: &Value| {
        let scopes = one["scopes"].as_array().map(Vec::as_slice);
        let scopes = scopes.unwrap_or_default().iter().filter_map(Value::as_str);
        let mut row: Vec<_> = ["id", "name"].map(|key| text(one, key)).into();
        row.push(clean(&scopes.collect::<Vec<_>>().join(" ")).into_owned());
        row.extend(
            ["organisation", "credential", "expires", "last_used"].map(|key| text(one, key)),
        );
        row
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    output.table(
        &[
            "ID",
            "NAME",
            "SCOPES",
            "ORGANISATION",
            "CREDENTIAL",
            "EXPIRES",
            "LAST USED",
        ],
        &rows,
    )
}
