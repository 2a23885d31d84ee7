//! `relais limits`: of organisations, domains, connectors, credentials, devices and senders, and
//! how they stand.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::failure::Failure;
use crate::output::clean;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All limits, and how much of them is used (without a verb, too)
    List,
    /// Limits as they could be, learnt from what was sent: twice the peak
    Propose {
        /// Learn from what was sent since then
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: String,
    },
    /// Set one limit, or take it away
    Set(SetArguments),
}

#[derive(Args, Debug)]
struct SetArguments {
    /// messages_per_minute, recipients_per_hour, external_recipients_per_hour, recipients_per_day,
    /// new_recipients_per_day, connections, or message_size_max (in octets)
    limit: String,
    /// How much; none: no limit
    value: String,
    #[command(flatten)]
    of: Of,
    /// Refuse instead of delaying
    #[arg(long)]
    hard: bool,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Without any it is the limit of the organisation.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Of {
    /// Of this inbound connector
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Of each device of this inbound connector
    #[arg(long, value_name = "CONNECTOR")]
    each_device_of: Option<String>,
    /// Of this credential
    #[arg(long, value_name = "USER")]
    credential: Option<String>,
    /// Of all senders of this accepted domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Of each sender
    #[arg(long)]
    each_sender: bool,
}

impl Of {
    /// As the API names them.
    fn named(&self) -> (&'static str, Option<&str>) {
        let named = [
            ("connector", &self.connector),
            ("device", &self.each_device_of),
            ("credential", &self.credential),
            ("domain", &self.domain),
        ];
        let mut named = named.into_iter();
        match named.find_map(|(kind, name)| Some((kind, name.as_deref()?))) {
            Some((kind, name)) => (kind, Some(name)),
            None if self.each_sender => ("sender", None),
            None => ("organisation", None),
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        None | Some(Verb::List) => list(session).await,
        Some(Verb::Propose { since }) => propose(session, since).await,
        Some(Verb::Set(wanted)) => set(session, &wanted).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/limits", &[]).await?.value;
    let limits = answer["limits"].as_array().map(Vec::as_slice);
    let limits = limits.unwrap_or_default();
    let output = session.output;
    if output.json {
        return limits.iter().try_for_each(|limit| output.value(limit));
    }
    if limits.is_empty() {
        return output.line("Nobody has a limit.");
    }
    let rows: Vec<_> = limits.iter().map(row).collect();
    output.table(
        &[
            "ORGANISATION",
            "OF",
            "LIMIT",
            "USED",
            "VALUE",
            "%",
            "WAITING",
            "KIND",
            "AT THIS PACE",
        ],
        &rows,
    )
}

fn row(limit: &Value) -> Vec<String> {
    let text = |key: &str| clean(limit[key].as_str().unwrap_or("-")).into_owned();
    let number = |key: &str| limit[key].as_u64().unwrap_or(0).to_string();
    let is = |key: &str| limit[key] == true;
    let percent = if is("warning") {
        format!("{} !", number("percent"))
    } else {
        number("percent")
    };
    let forecast = match limit["reached_at"].as_str() {
        Some(reached) => format!("reached {}", clean(reached)),
        None => number("at_this_pace"),
    };
    vec![
        text("organisation"),
        owner(limit),
        text("limit"),
        number("used"),
        number("value"),
        percent,
        number("waiting"),
        if is("hard") { "hard" } else { "soft" }.to_owned(),
        forecast,
    ]
}

async fn propose(session: &Session, since: String) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api
        .get("/limits/proposals", &[("since", since)])
        .await?
        .value;
    let proposals = answer["proposals"].as_array().map(Vec::as_slice);
    let proposals = proposals.unwrap_or_default();
    let output = session.output;
    if output.json {
        return proposals.iter().try_for_each(|one| output.value(one));
    }
    if proposals.is_empty() {
        return output.line("Nothing was sent in this time: there is nothing to learn from.");
    }
    let row = |one: &Value| {
        let number = |key: &str| {
            let number = one[key].as_u64();
            number.map_or_else(|| "-".to_owned(), |number| number.to_string())
        };
        let text = |key: &str| clean(one[key].as_str().unwrap_or("-")).into_owned();
        vec![
            text("organisation"),
            owner(one),
            text("limit"),
            number("peak"),
            number("current"),
            number("proposed"),
        ]
    };
    let rows: Vec<_> = proposals.iter().map(row).collect();
    let head = ["ORGANISATION", "OF", "LIMIT", "PEAK", "NOW", "PROPOSED"];
    output.table(&head, &rows)?;
    let since = clean(answer["since"].as_str().unwrap_or_default());
    output.line(&format!("Learnt from what was sent since {since}."))
}

async fn set(session: &Session, wanted: &SetArguments) -> Result<(), Failure> {
    let value =
        match wanted.value.as_str() {
            "none" => None,
            number => Some(number.parse::<u64>().map_err(|_| {
                Failure::Usage(format!("{number:?} is no number: say one, or none"))
            })?),
        };
    let (kind, whose) = wanted.of.named();
    let body = json!({
        "organisation": wanted.organisation,
        "kind": kind,
        "whose": whose,
        "limit": wanted.limit,
        "value": value,
        "hard": wanted.hard,
        "dry_run": wanted.dry_run,
    });
    let api = session.api().await?;
    let changed = api.post("/limits/set", &body).await?.value;
    super::edit::show_changes(session.output, &changed)
}

/// Whose limit it is, as in the settings.
fn owner(limit: &Value) -> String {
    let text = |key: &str| clean(limit[key].as_str().unwrap_or("-")).into_owned();
    match (&*text("kind"), &*text("whose")) {
        ("organisation", _) => "all of it".to_owned(),
        ("device", "*") => format!("each device of {}", text("inbound_connector")),
        ("sender", "*") => "each sender".to_owned(),
        (kind, whose) => format!("{kind} {whose}"),
    }
}
