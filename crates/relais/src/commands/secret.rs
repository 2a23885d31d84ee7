//! `relais secret`: what is kept encrypted, and the change of the key that it is encrypted under.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Which secrets there are; never their values
    List,
    /// Make a new master key and encrypt every secret anew, in one step
    RotateKey,
    /// Make another key of signed envelope senders; the last one's addresses count 35 days more
    RotateBounceKey {
        /// Organisation; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// They count no more, and what comes back to them is refused: the key is known to others
        #[arg(long)]
        revoke: bool,
    },
    /// Remove one, for instance because its master key is lost
    Forget {
        /// Its kind, as `list` shows it
        kind: String,
        /// Its name, as `list` shows it
        name: String,
        /// Whose; absent: the installation's
        #[arg(long, default_value = "")]
        organisation: String,
    },
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::RotateKey => rotate_key(session).await,
        Verb::RotateBounceKey {
            organisation,
            revoke,
        } => {
            let wanted = json!({ "organisation": organisation, "revoke": revoke });
            rotate_bounce_key(session, &wanted).await
        }
        Verb::Forget {
            kind,
            name,
            organisation,
        } => {
            let which = json!({ "organisation": organisation, "kind": kind, "name": name });
            let api = session.api().await?;
            let answer = api.post("/secrets/forget", &which).await?.value;
            if session.output.json {
                return session.output.value(&answer);
            }
            session.output.line(&format!("{name} is forgotten."))
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/secrets", &[]).await?.value;
    let output = session.output;
    let secrets = answer["secrets"].as_array().map(Vec::as_slice);
    let secrets = secrets.unwrap_or_default();
    if output.json {
        return secrets.iter().try_for_each(|one| output.value(one));
    }
    if let (Some(key), Some(source)) = (answer["key"].as_str(), answer["source"].as_str()) {
        output.line(&format!("Master key {key}, from {source}"))?;
    }
    if secrets.is_empty() {
        return output.line("There are no secrets.");
    }
    let row = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let readable = match one["readable"].as_bool() {
            Some(true) => "yes",
            Some(false) => "no: its key is not here",
            None => "",
        };
        let since = text("since").chars().take(10).collect();
        vec![
            text("organisation"),
            text("kind"),
            text("name"),
            since,
            text("key"),
            readable.to_owned(),
        ]
    };
    let rows: Vec<_> = secrets.iter().map(row).collect();
    let headings = ["ORGANISATION", "KIND", "NAME", "SINCE", "KEY", "READABLE"];
    output.table(&headings, &rows)
}

async fn rotate_key(session: &Session) -> Result<(), Failure> {
    let api = session.api().await?;
    let answer = api.post("/secrets/rotate-key", &json!({})).await?.value;
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    output.line(&format!(
        "{} secrets are encrypted under the new key {} now. Keep a copy of secret.key apart from \
         the backups.",
        answer["secrets"],
        text("key")
    ))?;
    output.line(&format!(
        "Backups made before need key {}: keep its copy as long as you keep them.",
        text("before")
    ))
}

async fn rotate_bounce_key(session: &Session, wanted: &Value) -> Result<(), Failure> {
    let api = session.api().await?;
    let answer = api.post("/secrets/rotate-bounce-key", wanted).await?.value;
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let organisation = clean(answer["organisation"].as_str().unwrap_or_default());
    let words = match answer["before_counts_until"].as_str() {
        Some(until) => format!("what the last one signed counts until {until}."),
        None => "what was signed before counts no more.".to_owned(),
    };
    output.line(&format!(
        "Envelope senders of {organisation} are signed by a new key: {words}"
    ))
}
