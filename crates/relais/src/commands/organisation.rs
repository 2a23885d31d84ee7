//! `relais organisation`: listed, made, changed one key at a time.

use clap::{Args, Subcommand};
use serde_json::Value;

use relais_policy::document::Organisation;

use super::content_keys::ContentKeys;
use super::edit::{Patch, edit, organisation};
use super::session::Session;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All of them
    List,
    /// Make one
    Add(Keys),
    /// Change what is given, and nothing else
    Set(Keys),
}

#[derive(Args, Debug)]
struct Keys {
    /// Short name: a-z, 0-9, -
    name: String,
    /// Name for people
    #[arg(long)]
    display_name: Option<String>,
    /// Language of notices
    #[arg(long, value_parser = ["en", "fr"])]
    language: Option<String>,
    /// Gets alerts, and notices that have no mailbox
    #[arg(long, value_name = "ADDRESS")]
    postmaster: Option<String>,
    /// Whether subjects are written down in queue and trace
    #[arg(long, value_parser = ["shown", "masked"])]
    subjects: Option<String>,
    /// Days that content is kept after the last outcome
    #[arg(long, value_name = "DAYS")]
    content_days: Option<u32>,
    /// Octets of content that are kept of all its mail: "10 GiB"; then the oldest goes
    #[arg(long, value_name = "SIZE")]
    content_max: Option<String>,
    #[command(flatten, next_help_heading = "Mail that strangers send to its domains")]
    content: ContentKeys,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Keys {
    fn patch(&self) -> Patch {
        let mut patch = Patch::default();
        patch.set("display_name", self.display_name.as_ref());
        patch.set("language", self.language.as_ref());
        patch.set("postmaster", self.postmaster.as_ref());
        patch.set("subjects", self.subjects.as_ref());
        patch.set("content_days", self.content_days);
        patch.set("content_max", self.content_max.as_ref());
        self.content.put("inbound_content", &mut patch);
        patch
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Add(keys) => add(session, &keys).await,
        Verb::Set(keys) => set(session, &keys).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let answer = session
        .api_for_reading()
        .await?
        .get("/organisations", &[])
        .await?
        .value;
    let output = session.output;
    let organisations = answer["organisations"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return organisations.iter().try_for_each(|one| output.value(one));
    }
    if organisations.is_empty() {
        return output
            .line("There is no organisation yet: make one with `relais organisation add NAME`.");
    }
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned)
    };
    let keys = [
        "name",
        "display_name",
        "language",
        "postmaster",
        "domains",
        "inbound_connectors",
        "outbound_connectors",
        "recipients",
    ];
    let rows: Vec<Vec<_>> = organisations
        .iter()
        .map(|one| keys.iter().map(|key| text(&one[*key])).collect())
        .collect();
    output.table(
        &[
            "NAME",
            "DISPLAY NAME",
            "LANGUAGE",
            "POSTMASTER",
            "DOMAINS",
            "INBOUND",
            "OUTBOUND",
            "RECIPIENTS",
        ],
        &rows,
    )
}

async fn add(session: &Session, keys: &Keys) -> Result<(), Failure> {
    let made: Organisation = keys.patch().create(&keys.name)?;
    edit(session, keys.dry_run, |document| {
        if document.organisation.iter().any(|known| known.name == keys.name) {
            return Err(Failure::Failed(format!(
                "there is an organisation {0} already: change it with `relais organisation set {0}`",
                keys.name
            )));
        }
        document.organisation.push(made.clone());
        Ok(())
    })
    .await
}

async fn set(session: &Session, keys: &Keys) -> Result<(), Failure> {
    let patch = keys.patch();
    if patch.is_empty() {
        return Err(Failure::Usage(
            "say what to change, as --language fr".to_owned(),
        ));
    }
    edit(session, keys.dry_run, |document| {
        let found = organisation(document, Some(&keys.name))?;
        *found = patch.apply(found)?;
        Ok(())
    })
    .await
}
