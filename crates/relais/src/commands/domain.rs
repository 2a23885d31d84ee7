//! `relais domain`: accepted domains; listed, added, proved by DNS or by hand, looked at.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use relais_policy::document::AcceptedDomain;
use relais_smtp::domain::Domain;

use super::edit::{Patch, edit, organisation, show_changes};
use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean, span};
use crate::words::Language;

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
    /// Look for its record in DNS now; exit 4 while it is not proved
    Verify {
        /// Which
        name: String,
        /// Whose; may be left out unless several organisations claim it
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// By hand: you say that it is yours, and the audit records it
        #[arg(long)]
        assume: bool,
    },
    /// What to publish in DNS for one
    Records {
        /// Which
        name: String,
        /// Whose; may be left out unless several organisations claim it
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// How: for people, for a zone file, for programs
        #[arg(long, value_parser = ["table", "zone", "json"], default_value = "table")]
        format: String,
    },
    /// Remove one: mail from it is refused from then on
    Delete {
        /// Which
        name: String,
        /// Whose; may be left out unless several organisations claim it
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Ask DNS now whether all is well with one; exit 4 if not
    Check {
        /// Which
        name: String,
        /// Whose; may be left out unless several organisations claim it
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
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
        Verb::Records {
            name,
            organisation,
            format,
        } => records(session, &name, organisation, &format).await,
        Verb::Check { name, organisation } => {
            let body = json!({ "organisation": organisation });
            look(session, &format!("/domains/{}/check", encode(&name)), &body).await
        }
        Verb::Delete {
            name,
            organisation,
            dry_run,
        } => {
            let path = format!("/domains/{}/remove", encode(&name));
            let body = json!({ "organisation": organisation, "dry_run": dry_run });
            let answer = session.api().await?.post(&path, &body).await?;
            show_changes(session.output, &answer.value)
        }
        Verb::Verify {
            name,
            organisation,
            assume,
        } => {
            let api = session.api().await?;
            let path = format!("/domains/{}/verify", encode(&name));
            let body = json!({ "assume": assume, "organisation": organisation });
            if !assume {
                return look(session, &path, &body).await;
            }
            let answer = api.post(&path, &body).await?;
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
        "dkim",
        "bounces",
        "mailbox_host",
    ];
    let rows: Vec<Vec<_>> = domains
        .iter()
        .map(|one| {
            let keys = keys.iter();
            let known = keys.map(|key| one[*key].as_str().unwrap_or("-").to_owned());
            known.chain([dns(&one["dns"])]).collect()
        })
        .collect();
    output.table(
        &[
            "DOMAIN",
            "ORGANISATION",
            "KIND",
            "STATE",
            "VERIFICATION",
            "DKIM",
            "BOUNCES",
            "MAILBOX HOST",
            "DNS",
        ],
        &rows,
    )
}

/// What was found out the last time.
fn dns(finding: &Value) -> String {
    if finding.is_null() {
        return "-".to_owned();
    }
    match list_of(&finding["wrong"]) {
        [] => "good".to_owned(),
        wrong => wrong.iter().map(word).collect::<Vec<_>>().join(", "),
    }
}

/// DNS is asked; what each server said is shown.
async fn look(session: &Session, path: &str, body: &Value) -> Result<(), Failure> {
    let answer = session.api().await?.post(path, body).await?.value;
    let output = session.output;
    let checks = list_of(&answer["checks"]);
    let is_good = !checks.is_empty() && checks.iter().all(|check| check["ok"] == true);
    if output.json {
        output.value(&answer)?;
    } else {
        for check in checks {
            for server in list_of(&check["servers"]) {
                output.line(&format!("  {}", word(&server["answer"])))?;
            }
            let tone = match (check["ok"] == true, check["finding"].as_str()) {
                (false, _) => Tone::Bad,
                (true, Some("good" | "present")) => Tone::Good,
                (true, _) => Tone::Waiting,
            };
            output.line(&output.paint(tone, &told(check, "detail")))?;
        }
        for prediction in list_of(&answer["alignment"]) {
            output.line(&told(prediction, "detail"))?;
        }
        let mut standing = format!("{} is {}", word(&answer["name"]), word(&answer["state"]));
        if answer["verification"] == "assumed" {
            standing.push_str(", by hand");
        }
        if let Some(left) = answer["grace_left_s"].as_u64() {
            standing.push_str(&format!("; it is suspended in {}", span(left)));
        }
        output.line(&format!("{standing}."))?;
    }
    if is_good {
        return Ok(());
    }
    Err(Failure::CheckFailed(String::new()))
}

async fn records(
    session: &Session,
    name: &str,
    organisation: Option<String>,
    format: &str,
) -> Result<(), Failure> {
    let path = format!("/domains/{}/records", encode(name));
    let query = organisation.map(|name| ("organisation", name));
    let query = query.as_slice();
    let answer = session
        .api_for_reading()
        .await?
        .get(&path, query)
        .await?
        .value;
    let output = session.output;
    let records = list_of(&answer["records"]);
    if output.json || format == "json" {
        return output.value(&answer);
    }
    if records.is_empty() {
        return Err(Failure::TryLater(
            "its token is not made yet: start the server with `relais serve`".to_owned(),
        ));
    }
    for record in records {
        let (name, kind) = (word(&record["name"]), word(&record["type"]));
        let state = word(&record["state"]);
        if format == "zone" {
            output.line(&format!("; {state}. {}", told(record, "words")))?;
            let (ttl, data) = (&record["ttl"], word(&record["data"]));
            output.line(&format!("{name}. {ttl} IN {kind} {data}"))?;
            continue;
        }
        let heading = format!("{} ({state})", word(&record["purpose"]));
        output.line(&output.paint(Tone::Heading, &heading))?;
        for (label, text) in [
            ("name", &name),
            ("type", &kind),
            ("value", &word(&record["value"])),
        ] {
            output.line(&format!("  {label:<6} {text}"))?;
        }
        for found in list_of(&record["found"]) {
            output.line(&format!("  {:<6} {}", "now", word(found)))?;
        }
        output.line(&format!("  {}", told(record, "words")))?;
    }
    let lead = if format == "zone" { "; " } else { "" };
    for note in list_of(&answer["notes"]) {
        output.line(&format!("{lead}{}", told(note, "words")))?;
    }
    policy_file(output, &answer["policy_file"], format)
}

/// What must be served beside the records.
fn policy_file(output: Output, file: &Value, format: &str) -> Result<(), Failure> {
    let Some(text) = file["text"].as_str() else {
        return Ok(());
    };
    let lead = if format == "zone" { "; " } else { "" };
    let address = word(&file["address"]);
    output.line(&output.paint(Tone::Heading, &format!("{lead}{address}")))?;
    text.lines()
        .try_for_each(|line| output.line(&format!("{lead}  {}", clean(line))))
}

fn list_of(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A sentence in the reader's language.
fn told(object: &Value, key: &str) -> String {
    let french = word(&object[format!("{key}_fr")]);
    let english = word(&object[key]);
    if french.is_empty() {
        return english;
    }
    Language::of_environment().pick(english, french)
}

fn word(value: &Value) -> String {
    clean(value.as_str().unwrap_or_default()).into_owned()
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
    .await?;
    if wanted.assume || wanted.dry_run || session.output.json {
        return Ok(());
    }
    session
        .output
        .line("Publish this; it is looked for by itself:")?;
    let whose = wanted.organisation.clone();
    records(session, name.as_str(), whose, "table").await
}
