//! `relais setup-link` and `relais admin`: who may use the admin centre.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add one; its password is shown this once
    Add {
        /// a-z, 0-9, dot, hyphen, underscore, @
        name: String,
        /// What the person may do
        #[arg(long, value_enum, default_value_t = Role::Owner)]
        role: Role,
    },
    /// Give one a new password, shown this once; its sessions end
    Reset {
        /// As `list` shows it
        name: String,
    },
    /// Who there is
    List,
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Everything
    Owner,
    /// Reads everything, changes nothing
    Auditor,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Auditor => "auditor",
        }
    }
}

/// One line: the address.
pub(crate) async fn setup_link(session: &Session) -> Result<(), Failure> {
    let answer = session
        .api()
        .await?
        .post("/setup-link", &json!({}))
        .await?
        .value;
    if session.output.json {
        return session.output.value(&answer);
    }
    let address = answer["address"].as_str().unwrap_or_default();
    session.output.line(address)
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Add { name, role } => {
            let wanted = json!({ "name": name, "role": role.name() });
            let answer = session.api().await?.post("/admins", &wanted).await?.value;
            tell_password(session, &answer)
        }
        Verb::Reset { name } => {
            let path = format!("/admins/{}/reset", encode(&name));
            let answer = session.api().await?.post(&path, &json!({})).await?.value;
            tell_password(session, &answer)
        }
        Verb::List => list(session).await,
    }
}

fn tell_password(session: &Session, answer: &Value) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(answer);
    }
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    output.line(&format!("Name: {}", text("name")))?;
    output.line(&format!("Password (not shown again): {}", text("password")))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let answer = session.api_for_reading().await?.get("/admins", &[]).await?;
    let people = answer.value["admins"].as_array().map(Vec::as_slice);
    let people = people.unwrap_or_default();
    let output = session.output;
    if output.json {
        return people.iter().try_for_each(|one| output.value(one));
    }
    if people.is_empty() {
        return output.line("There is no administrator yet; `relais setup-link` makes the first.");
    }
    let row = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let since = text("since").chars().take(10).collect();
        vec![text("name"), text("role"), since]
    };
    let rows: Vec<_> = people.iter().map(row).collect();
    output.table(&["NAME", "ROLE", "SINCE"], &rows)
}
