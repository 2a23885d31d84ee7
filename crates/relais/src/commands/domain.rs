//! `relais domain`: accepted domains; listed, added, verified by hand.

use clap::{Args, Subcommand};
use serde_json::json;

use relais_policy::document::AcceptedDomain;
use relais_smtp::domain::Domain;

use super::edit::{Patch, edit, organisation, show_changes};
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
    /// All of them, and where they stand
    List,
    /// Add one; it affects nothing until it is verified
    Add(Add),
    /// Verify one
    Verify {
        /// Which
        name: String,
        /// By hand: you say that it is yours, and the audit records it
        #[arg(long)]
        assume: bool,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// Domain name
    name: String,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// What happens to unknown recipients
    #[arg(long, value_parser = ["authoritative", "internal-relay"])]
    kind: Option<String>,
    /// Subdomains are covered too
    #[arg(long)]
    subdomains: bool,
    /// Where mail for it goes: host:port, or lmtp:host:port
    #[arg(long, value_name = "HOST:PORT")]
    mailbox_host: Option<String>,
    /// Verify it by hand at once
    #[arg(long)]
    assume: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Add(wanted) => add(session, &wanted).await,
        Verb::Verify { name, assume } => {
            let api = session.api().await?;
            let path = format!("/domains/{}/verify", encode(&name));
            let answer = api.post(&path, &json!({ "assume": assume })).await?;
            show_changes(session.output, &answer.value)
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let answer = session
        .api_for_reading()
        .await?
        .get("/domains", &[])
        .await?
        .value;
    let output = session.output;
    let domains = answer["domains"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if output.json {
        return domains.iter().try_for_each(|one| output.value(one));
    }
    if domains.is_empty() {
        return output
            .line("There is no accepted domain yet: add one with `relais domain add NAME`.");
    }
    let keys = [
        "name",
        "organisation",
        "kind",
        "state",
        "verification",
        "mailbox_host",
    ];
    let rows: Vec<Vec<_>> = domains
        .iter()
        .map(|one| {
            keys.iter()
                .map(|key| one[*key].as_str().unwrap_or("-").to_owned())
                .collect()
        })
        .collect();
    output.table(
        &[
            "DOMAIN",
            "ORGANISATION",
            "KIND",
            "STATE",
            "VERIFICATION",
            "MAILBOX HOST",
        ],
        &rows,
    )
}

async fn add(session: &Session, wanted: &Add) -> Result<(), Failure> {
    let name = Domain::parse(&wanted.name)
        .map_err(|error| Failure::Usage(format!("\"{}\": {error}", wanted.name)))?;
    let mut patch = Patch::default();
    patch.set("kind", wanted.kind.as_ref());
    patch.set("subdomains", wanted.subdomains.then_some(true));
    patch.set("mailbox_host", wanted.mailbox_host.as_ref());
    patch.set("verification", wanted.assume.then_some("assumed"));
    let made: AcceptedDomain = patch.create(name.as_str())?;
    edit(session, wanted.dry_run, |document| {
        let owner = organisation(document, wanted.organisation.as_deref())?;
        if owner
            .domain
            .iter()
            .any(|known| Domain::parse(&known.name).as_ref() == Ok(&name))
        {
            return Err(Failure::Failed(format!(
                "{} has the domain {name} already",
                owner.name
            )));
        }
        owner.domain.push(made.clone());
        Ok(())
    })
    .await
}
