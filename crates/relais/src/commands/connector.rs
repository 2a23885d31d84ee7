//! `relais connector inbound|outbound`: listed, shown, made, changed one key at a time.

mod listen;
mod outbound;
mod keys;

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use relais_admin::phrasebook::told_part;
use relais_policy::document::{InboundConnector, Organisation, OutboundConnector};

use self::keys::{InboundKeys, OutboundKeys};
use super::edit::{Patch, edit, organisation};
use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Tone, clean};
use crate::phrases::told_cell;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Who may send through us
    Inbound {
        #[command(subcommand)]
        verb: InboundVerb,
    },
    /// How mail leaves
    Outbound {
        #[command(subcommand)]
        verb: OutboundVerb,
    },
}

#[derive(Debug, Subcommand)]
enum InboundVerb {
    #[command(flatten)]
    Common(Box<Verb<InboundKeys>>),
    /// Ask of an address: which connector covers it, whose it is, whether it will stay; exit 4 if
    /// it is no good proof of a client
    Check {
        /// IPv4 or IPv6
        address: IpAddr,
        /// For whom; may be left out where there is only one
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Press Scan now: wait for a device of this connector, and show what is said as it happens
    Listen(listen::Arguments),
}

#[derive(Debug, Subcommand)]
enum OutboundVerb {
    #[command(flatten)]
    Common(Box<Verb<OutboundKeys>>),
    /// Walk to its smart hosts: TCP, TLS, EHLO, AUTH, MAIL, RCPT, RSET; nothing is delivered;
    /// exit 4 if a step fails
    Test {
        #[command(flatten)]
        named: Named,
        /// For whom mail would be
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// From whom; the organisation's postmaster if left out
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
        /// Show what was said, too
        #[arg(long)]
        transcript: bool,
    },
    /// Sign in with the issuer of its tokens, on another device
    Login(Named),
    /// Ways out through well-known providers, for add --preset
    Presets,
}

#[derive(Debug, Subcommand)]
enum Verb<Keys: Args> {
    /// All of them
    List,
    /// One, with all its keys
    Show(Named),
    /// Make one
    Add {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        keys: Keys,
    },
    /// Change what is given, and nothing else
    Set {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        keys: Keys,
    },
    /// Put into use
    Enable(Named),
    /// Switch off
    Disable(Named),
    /// Remove
    Delete(Named),
}

#[derive(Args, Clone, Debug)]
struct Named {
    /// Its name
    name: String,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Either kind of connector.
trait Connector: Clone + Serialize + DeserializeOwned {
    /// `inbound`, `outbound`.
    const DIRECTION: &'static str;

    fn name(&self) -> &str;
    fn list(organisation: &mut Organisation) -> &mut Vec<Self>;
}

impl Connector for InboundConnector {
    const DIRECTION: &'static str = "inbound";

    fn name(&self) -> &str {
        &self.name
    }

    fn list(organisation: &mut Organisation) -> &mut Vec<Self> {
        &mut organisation.inbound_connector
    }
}

impl Connector for OutboundConnector {
    const DIRECTION: &'static str = "outbound";

    fn name(&self) -> &str {
        &self.name
    }

    fn list(organisation: &mut Organisation) -> &mut Vec<Self> {
        &mut organisation.outbound_connector
    }
}

/// Keys of either kind, as flags.
trait ConnectorKeys: Args {
    fn patch(&self) -> Patch;
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.direction {
        Direction::Inbound { verb } => match verb {
            InboundVerb::Common(verb) => act::<InboundConnector, _>(session, *verb).await,
            InboundVerb::Check {
                address,
                organisation,
            } => check(session, address, organisation).await,
            InboundVerb::Listen(arguments) => listen::run(session, arguments).await,
        },
        Direction::Outbound { verb } => match verb {
            OutboundVerb::Common(verb) => outbound::act(session, *verb).await,
            OutboundVerb::Test {
                named,
                to,
                from,
                transcript,
            } => outbound::test(session, &named, (&to, from.as_deref()), transcript).await,
            OutboundVerb::Login(named) => outbound::login(session, &named).await,
            OutboundVerb::Presets => outbound::presets(session),
        },
    }
}

/// What covers an address, and what is to be said against it.
async fn check(
    session: &Session,
    address: IpAddr,
    organisation: Option<String>,
) -> Result<(), Failure> {
    let path = format!("/connectors/inbound/check/{}", encode(&address.to_string()));
    let query = organisation.map(|name| ("organisation", name));
    let api = session.api_for_reading().await?;
    let report = api.get(&path, query.as_slice()).await?.value;
    let output = session.output;
    let word = |value: &Value| clean(value.as_str().unwrap_or_default()).into_owned();
    if output.json {
        output.value(&report)?;
    } else {
        match &report["connector"] {
            Value::Null => output.line(&format!("No inbound connector covers {address}."))?,
            covering => {
                output.line(&word(&covering["detail"]))?;
                let because = word(&covering["because"]);
                output.line(&format!("  {}", told_part(output.language, &because)))?;
            }
        }
        for check in report["checks"].as_array().into_iter().flatten() {
            let tone = match check["verdict"].as_str() {
                Some("good") => Tone::Good,
                Some("bad") => Tone::Bad,
                _ => Tone::Waiting,
            };
            let verdict = word(&check["verdict"]);
            let verdict = told_cell(output.language, "STATE", &verdict);
            let verdict = output.paint(tone, &format!("{verdict:<7}"));
            let (name, detail) = (word(&check["check"]), word(&check["detail"]));
            let detail = output.said(&detail);
            output.line(&format!("  {verdict} {name:<9} {detail}"))?;
        }
    }
    if report["ok"] == true {
        return Ok(());
    }
    Err(Failure::CheckFailed(String::new()))
}

async fn act<C: Connector, K: ConnectorKeys>(
    session: &Session,
    verb: Verb<K>,
) -> Result<(), Failure> {
    let state = |state: &'static str| {
        let mut patch = Patch::default();
        patch.set("state", Some(state));
        patch
    };
    match verb {
        Verb::List => list::<C>(session).await,
        Verb::Show(named) => show::<C>(session, &named).await,
        Verb::Add { named, keys } => add::<C>(session, &named, &keys.patch()).await,
        Verb::Set { named, keys } => set::<C>(session, &named, &keys.patch()).await,
        Verb::Enable(named) => set::<C>(session, &named, &state("enabled")).await,
        Verb::Disable(named) => set::<C>(session, &named, &state("disabled")).await,
        Verb::Delete(named) => delete::<C>(session, &named).await,
    }
}

async fn connectors<C: Connector>(session: &Session) -> Result<Vec<Value>, Failure> {
    let api = session.api_for_reading().await?;
    let path = format!("/connectors/{}", C::DIRECTION);
    match api.get(&path, &[]).await?.value["connectors"].take() {
        Value::Array(connectors) => Ok(connectors),
        _ => Ok(Vec::new()),
    }
}

async fn list<C: Connector>(session: &Session) -> Result<(), Failure> {
    let connectors = connectors::<C>(session).await?;
    let output = session.output;
    if output.json {
        return connectors.iter().try_for_each(|one| output.value(one));
    }
    if connectors.is_empty() {
        return output.line(&format!(
            "There is no {0} connector yet: make one with `relais connector {0} add NAME`.",
            C::DIRECTION
        ));
    }
    let keys: &[&str] = if C::DIRECTION == "inbound" {
        &[
            "name",
            "organisation",
            "state",
            "sender_ip_addresses",
            "sender_domains",
            "recipient_domains",
        ]
    } else {
        &[
            "name",
            "organisation",
            "state",
            "smart_hosts",
            "tls",
            "recipient_domains",
        ]
    };
    let headings: Vec<_> = keys
        .iter()
        .map(|key| key.to_uppercase().replace('_', " "))
        .collect();
    let headings: Vec<_> = headings.iter().map(String::as_str).collect();
    let rows: Vec<Vec<_>> = connectors
        .iter()
        .map(|one| keys.iter().map(|key| plain(&one[*key])).collect())
        .collect();
    output.table(&headings, &rows)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(keys) => {
            let keys = keys.iter().filter(|(_, value)| !value.is_null());
            keys.map(|(key, value)| format!("{key}={}", plain(value)))
                .collect::<Vec<_>>()
                .join(" ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

async fn show<C: Connector>(session: &Session, named: &Named) -> Result<(), Failure> {
    let connectors = connectors::<C>(session).await?;
    let wanted = |one: &&Value| {
        one["name"] == json!(named.name)
            && named
                .organisation
                .as_ref()
                .is_none_or(|name| one["organisation"] == json!(name))
    };
    let Some(found) = connectors.iter().find(wanted) else {
        return Err(missing::<C>(named));
    };
    let output = session.output;
    if output.json {
        return output.value(found);
    }
    let keys = found.as_object().into_iter().flatten();
    keys.into_iter()
        .try_for_each(|(key, value)| output.line(&format!("{key:<28} {}", clean(&plain(value)))))
}

fn missing<C: Connector>(named: &Named) -> Failure {
    Failure::NotFound(format!(
        "there is no {} connector \"{}\"",
        C::DIRECTION,
        named.name
    ))
}

async fn add<C: Connector>(session: &Session, named: &Named, patch: &Patch) -> Result<(), Failure> {
    let made: C = patch.create(&named.name)?;
    edit(session, named.dry_run, |document| {
        let owner = organisation(document, named.organisation.as_deref())?;
        let list = C::list(owner);
        if list.iter().any(|known| known.name() == named.name) {
            return Err(Failure::Failed(format!(
                "there is an {0} connector \"{1}\" already: change it with `relais connector {0} set`",
                C::DIRECTION,
                named.name
            )));
        }
        list.push(made.clone());
        Ok(())
    })
    .await
}

async fn set<C: Connector>(session: &Session, named: &Named, patch: &Patch) -> Result<(), Failure> {
    if patch.is_empty() {
        return Err(Failure::Usage(
            "say what to change, as --state enabled".to_owned(),
        ));
    }
    edit(session, named.dry_run, |document| {
        let owner = organisation(document, named.organisation.as_deref())?;
        let found = C::list(owner)
            .iter_mut()
            .find(|known| known.name() == named.name);
        let found = found.ok_or_else(|| missing::<C>(named))?;
        *found = patch.apply(found)?;
        Ok(())
    })
    .await
}

async fn delete<C: Connector>(session: &Session, named: &Named) -> Result<(), Failure> {
    edit(session, named.dry_run, |document| {
        let owner = organisation(document, named.organisation.as_deref())?;
        let list = C::list(owner);
        let before = list.len();
        list.retain(|known| known.name() != named.name);
        if list.len() == before {
            Err(missing::<C>(named))
        } else {
            Ok(())
        }
    })
    .await
}
