//! `relais queue`: accepted and unfinished; shown, and changed by a person.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::{Api, encode};
use crate::failure::Failure;
use crate::output::{Output, clean, size};

/// Messages of one page.
const PAGE: usize = 1_000;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Messages in the queue, oldest first
    List(Criteria),
    /// What waits, summed by destination or by reason
    Groups {
        /// By what
        #[arg(long, value_parser = ["destination", "reason"], default_value = "destination")]
        by: String,
        #[command(flatten)]
        criteria: Criteria,
    },
    /// One message
    Show {
        /// Which
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Try now
    Retry(Act),
    /// Wait for a person
    Hold(Act),
    /// Go on after hold
    Release(Act),
    /// Give up, with a notice to the sender
    Bounce(Act),
    /// Drop without notice
    Delete(Act),
    /// Send a copy of one to another address; the original stays
    Resend {
        /// Which
        #[arg(value_name = "ID")]
        id: String,
        /// Where to
        #[arg(long, value_name = "ADDRESS")]
        to: String,
    },
    /// Try everything now
    Flush(Criteria),
    /// Stop delivery to a destination, of an organisation, or of all mail
    Suspend {
        #[command(flatten)]
        scope: Scope,
        /// When delivery goes on by itself: 2h, 7d, or a time
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Deliver again
    Resume {
        #[command(flatten)]
        scope: Scope,
    },
    /// What is suspended, by whom, why and until when
    Suspended,
}

/// Which mail is suspended.
#[derive(Args, Clone, Debug)]
struct Scope {
    /// Domain, or address in brackets
    #[arg(required_unless_present_any = ["organisation", "all"])]
    destination: Option<String>,
    /// Mail of this organisation only
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// All mail
    #[arg(long, conflicts_with_all = ["destination", "organisation"])]
    all: bool,
}

/// Which messages; all that are given must hold.
#[derive(Args, Clone, Debug, Default)]
struct Criteria {
    /// Recipient domain
    #[arg(long, value_name = "DOMAIN")]
    destination: Option<String>,
    /// Organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Accepted longer ago: 2h, 1d
    #[arg(long, value_name = "TIME")]
    older: Option<String>,
    /// State of a recipient
    #[arg(long, value_parser = ["queued", "active", "deferred", "held"])]
    state: Option<String>,
    /// Sender: an address, a domain, or <>
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Part of the last reply
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct Act {
    /// One message
    #[arg(value_name = "ID", conflicts_with_all = [
        "all", "destination", "organisation", "older", "state", "sender", "reason",
    ])]
    id: Option<String>,
    /// Needed where no message is named
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    criteria: Criteria,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Criteria {
    fn query(&self) -> Vec<(&'static str, String)> {
        let given = [
            ("destination", &self.destination),
            ("organisation", &self.organisation),
            ("older", &self.older),
            ("state", &self.state),
            ("sender", &self.sender),
            ("reason", &self.reason),
        ];
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?)))
            .collect()
    }

    fn selection(&self) -> Value {
        Value::Object(
            self.query()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect(),
        )
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List(criteria) => list(session, &criteria).await,
        Verb::Groups { by, criteria } => groups(session, &by, &criteria).await,
        Verb::Show { id } => show(session, &id).await,
        Verb::Retry(act) => change(session, "retry", &act).await,
        Verb::Hold(act) => change(session, "hold", &act).await,
        Verb::Release(act) => change(session, "release", &act).await,
        Verb::Bounce(act) => change(session, "bounce", &act).await,
        Verb::Delete(act) => change(session, "delete", &act).await,
        Verb::Resend { id, to } => {
            let path = format!("/queue/{}/resend", encode(&id));
            let answer = session
                .api()
                .await?
                .post(&path, &json!({ "to": to }))
                .await?;
            if session.output.json {
                return session.output.value(&answer.value);
            }
            let made = answer.value["queue_id"].as_str().unwrap_or_default();
            session
                .output
                .line(&format!("Its copy is {}.", clean(made)))
        }
        Verb::Flush(criteria) => {
            change(
                session,
                "retry",
                &Act {
                    id: None,
                    all: true,
                    criteria,
                    yes: true,
                },
            )
            .await
        }
        Verb::Suspend {
            scope,
            until,
            reason,
        } => {
            let mut body = scope.body(true);
            body["until"] = json!(until);
            body["reason"] = json!(reason);
            suspend(session, &body).await
        }
        Verb::Resume { scope } => suspend(session, &scope.body(false)).await,
        Verb::Suspended => {
            let api = session.api_for_reading().await?;
            let answer = api.get("/queue/suspended", &[]).await?.value;
            show_suspended(session.output, &answer)
        }
    }
}

async fn page(
    api: &Api,
    criteria: &Criteria,
    cursor: Option<&str>,
) -> Result<(Vec<Value>, Option<String>), Failure> {
    let mut query = criteria.query();
    query.push(("limit", PAGE.to_string()));
    query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
    let mut answer = api.get("/queue", &query).await?.value;
    let next = answer["next_cursor"].as_str().map(ToOwned::to_owned);
    let messages = match answer["messages"].take() {
        Value::Array(messages) => messages,
        _ => Vec::new(),
    };
    Ok((messages, next))
}

async fn list(session: &Session, criteria: &Criteria) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let output = session.output;
    let (mut cursor, mut first) = (None, true);
    loop {
        let (messages, next) = page(&api, criteria, cursor.as_deref()).await?;
        if output.json {
            for message in &messages {
                output.value(message)?;
            }
        } else if messages.is_empty() {
            // A page may be empty with more behind it: what stood on it left meanwhile.
            if first && next.is_none() {
                output.line("The queue is empty.")?;
            }
        } else {
            let rows: Vec<_> = messages.iter().flat_map(rows).collect();
            output.table(
                &[
                    "QUEUE ID",
                    "SIZE",
                    "FROM",
                    "TO",
                    "STATE",
                    "TRIES",
                    "NEXT",
                    "LAST REPLY",
                ],
                &rows,
            )?;
        }
        (cursor, first) = (next, first && messages.is_empty());
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn groups(session: &Session, by: &str, criteria: &Criteria) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let mut query = criteria.query();
    query.push(("by", by.to_owned()));
    let answer = api.get("/queue/groups", &query).await?.value;
    let groups = answer["groups"].as_array().map(Vec::as_slice);
    let (groups, output) = (groups.unwrap_or_default(), session.output);
    if output.json {
        return groups.iter().try_for_each(|group| output.value(group));
    }
    if groups.is_empty() {
        return output.line("The queue is empty.");
    }
    let row = |group: &Value| {
        let text = |value: &Value| clean(value.as_str().unwrap_or("-")).into_owned();
        let selection = &group["selection"];
        let names = ["destination", "reason", "state"].map(|key| &selection[key]);
        let name = names.into_iter().find(|name| !name.is_null());
        vec![
            name.map_or_else(String::new, text),
            group["messages"].to_string(),
            text(&group["oldest"]),
            text(&group["next_attempt"]),
            text(&group["expires_at"]),
            text(&group["last_reply"]),
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    let head = [
        "GROUP",
        "MESSAGES",
        "OLDEST",
        "NEXT",
        "EXPIRES",
        "LAST REPLY",
    ];
    output.table(&head, &rows)?;
    if answer["is_whole"] == false {
        let read = &answer["messages_read"];
        let words = format!("There is more: only the {read} oldest messages were read.");
        return output.line(&words);
    }
    Ok(())
}

fn rows(message: &Value) -> Vec<Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let recipients = message["recipients"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    recipients
        .iter()
        .map(|recipient| {
            vec![
                text(&message["queue_id"]),
                size(message["size"].as_u64().unwrap_or(0)),
                format!("<{}>", message["from"].as_str().unwrap_or_default()),
                text(&recipient["to"]),
                text(&recipient["state"]),
                recipient["attempts"].to_string(),
                text(&recipient["next_attempt"]),
                text(&recipient["last_reply"]),
            ]
        })
        .collect()
}

async fn show(session: &Session, id: &str) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let message = api.get(&format!("/queue/{}", encode(id)), &[]).await?.value;
    let output = session.output;
    if output.json {
        return output.value(&message);
    }
    for (label, key) in [
        ("Queue id", "queue_id"),
        ("Organisation", "organisation"),
        ("From", "from"),
        ("Subject", "subject"),
        ("Message-ID", "message_id"),
        ("Accepted", "accepted_at"),
    ] {
        output.line(&format!(
            "{:<13} {}",
            output.said(label),
            clean(message[key].as_str().unwrap_or("-"))
        ))?;
    }
    output.line(&format!(
        "{:<13} {}",
        output.said("Size"),
        size(message["size"].as_u64().unwrap_or(0))
    ))?;
    let rows: Vec<_> = rows(&message)
        .into_iter()
        .map(|row| row[3..].to_vec())
        .collect();
    output.table(&["TO", "STATE", "TRIES", "NEXT", "LAST REPLY"], &rows)
}

async fn change(session: &Session, act: &str, wanted: &Act) -> Result<(), Failure> {
    if wanted.id.is_none() && !wanted.all && wanted.criteria.query().is_empty() {
        return Err(Failure::Usage(format!(
            "name a message, or say --all or criteria: relais queue {act} ID | --all [--destination DOMAIN] [--older 2h]"
        )));
    }
    let api = session.api().await?;
    let up_to = confirm(&api, act, wanted).await?;
    let mut selection = match &wanted.id {
        Some(id) => json!({ "queue_id": id }),
        None => wanted.criteria.selection(),
    };
    if let Some(newest) = up_to {
        selection["up_to"] = json!(newest);
    }
    let body = json!({ "act": act, "selection": selection, "all": wanted.all });
    let answer = api.post("/queue/act", &body).await?.value;
    show_result(session.output, &answer)
}

fn show_result(output: Output, answer: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(answer);
    }
    let (changed, active) = (
        answer["changed"].as_u64().unwrap_or(0),
        answer["active"].as_u64().unwrap_or(0),
    );
    let mut sentence = format!("{changed} recipient(s) changed");
    if active > 0 {
        sentence.push_str(&format!("; {active} left alone: an attempt is under way"));
    }
    output.line(&(sentence + "."))
}

/// Asks before many messages are changed, and before any is dropped. Of many, the newest that was
/// counted.
async fn confirm(api: &Api, act: &str, wanted: &Act) -> Result<Option<String>, Failure> {
    let destructive = matches!(act, "delete" | "bounce");
    if wanted.yes || (wanted.id.is_some() && !(destructive && io::stdin().is_terminal())) {
        return Ok(None);
    }
    let (what, newest) = match &wanted.id {
        Some(id) => (format!("message {id}"), None),
        None => count(api, &wanted.criteria).await?,
    };
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "this would {act} {what}: say --yes, because standard input is no terminal to ask at"
        )));
    }
    let mut stderr = io::stderr().lock();
    // If the question cannot be shown, no answer comes, and nothing is done.
    let _ = write!(stderr, "{act} {what}? [y/N] ");
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes" | "o" | "oui") => Ok(newest),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}

/// How many are meant, in words, and the newest of them.
async fn count(api: &Api, criteria: &Criteria) -> Result<(String, Option<String>), Failure> {
    let count = api.get("/queue/count", &criteria.query()).await?.value;
    let what = format!(
        "{} message(s) with {} recipient(s)",
        count["messages"], count["recipients"]
    );
    Ok((what, count["newest"].as_str().map(ToOwned::to_owned)))
}

impl Scope {
    fn body(&self, suspended: bool) -> Value {
        json!({
            "destination": self.destination,
            "organisation": self.organisation,
            "all": self.all,
            "suspended": suspended,
        })
    }
}

async fn suspend(session: &Session, body: &Value) -> Result<(), Failure> {
    let api = session.api().await?;
    let answer = api.post("/queue/suspended", body).await?.value;
    show_suspended(session.output, &answer)
}

fn show_suspended(output: Output, answer: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(answer);
    }
    let suspensions = answer["suspensions"].as_array().map(Vec::as_slice);
    let rows: Vec<_> = suspensions
        .unwrap_or_default()
        .iter()
        .map(|one| {
            let text = |key: &str, without: &str| {
                let text = one[key].as_str().filter(|text| !text.is_empty());
                clean(text.unwrap_or(without)).into_owned()
            };
            vec![
                text("destination", "all"),
                text("organisation", "all"),
                text("until", "resumed"),
                text("by", "-"),
                text("reason", "-"),
            ]
        })
        .collect();
    if rows.is_empty() {
        return output.line("Nothing is suspended.");
    }
    output.table(
        &["DESTINATION", "ORGANISATION", "UNTIL", "BY", "REASON"],
        &rows,
    )
}
