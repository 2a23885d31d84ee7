//! `relais alert`: what is raised, by which rules, and who hears of it.

use clap::{Args, Subcommand, ValueEnum};
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
    /// What is raised now
    List,
    /// The rules, with thresholds and durations
    Rules,
    /// Change a rule; with --connector, --from, --client or --to one for that mail only, which is
    /// made where there is none yet
    Set {
        /// As `rules` shows it
        rule: String,
        #[command(flatten)]
        scope: Scope,
        /// From which value on; of what ends or runs out: up to which
        #[arg(long)]
        threshold: Option<u64>,
        /// For so many seconds before it is raised, and before it is cleared
        #[arg(long, value_name = "SECONDS")]
        lasting: Option<u32>,
        /// Told in quiet hours too
        #[arg(long, value_name = "BOOL")]
        urgent: Option<bool>,
        /// Judged at all
        #[arg(long, value_name = "BOOL")]
        enabled: Option<bool>,
    },
    /// Take away a rule for some mail only
    Unset {
        /// As `rules` shows it
        rule: String,
        #[command(flatten)]
        scope: Scope,
    },
    /// Tell in these hours (UTC) only what is urgent, and the rest when they are over
    Quiet {
        /// 22:00; without times: no quiet hours
        #[arg(requires = "until")]
        from: Option<String>,
        /// 06:00
        until: Option<String>,
    },
    /// The channels by which people hear of alerts
    #[command(subcommand)]
    Channel(ChannelVerb),
}

/// Of which mail a rule is.
#[derive(Args, Debug)]
struct Scope {
    /// Only of this inbound connector
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Only of this sender: an address or a domain
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// Only of this client: an address, a network, or one of its names
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Only to this recipient: an address or a domain
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
    /// Only of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

impl Scope {
    fn json(&self) -> Value {
        let parts = [
            ("connector", &self.connector),
            ("from", &self.from),
            ("client", &self.client),
            ("to", &self.to),
            ("organisation", &self.organisation),
        ];
        let given = parts.into_iter();
        let given =
            given.filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        Value::Object(given.collect())
    }
}

#[derive(Debug, Subcommand)]
enum ChannelVerb {
    /// Add one
    Add {
        /// For people
        name: String,
        /// In which form
        kind: Kind,
        /// https://…; of mail a mail server, beside the queue: mail.example.org:25
        address: String,
        /// A recipient of mail; repeat for several
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        /// It may lead to private addresses, and speak HTTP in clear
        #[arg(long)]
        allow_private: bool,
        /// Of what is told
        #[arg(long, value_name = "en|fr")]
        language: Option<String>,
    },
    /// Which there are, and how they did
    List,
    /// Tell something by one now; exit code 4 if it fails
    Test {
        /// As `list` shows it
        id: String,
    },
    /// Take one away
    Remove {
        /// As `list` shows it
        id: String,
    },
}

/// In which form a channel is told.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// JSON with all of it
    Webhook,
    /// As Slack, Mattermost and Rocket.Chat take it
    Slack,
    /// A card, as Teams takes it
    Teams,
    /// Text, as ntfy takes it
    Ntfy,
    /// A mail, handed to a mail server directly
    Mail,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Teams => "teams",
            Self::Ntfy => "ntfy",
            Self::Mail => "mail",
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Rules => rules(session).await,
        Verb::Set {
            rule,
            scope,
            threshold,
            lasting,
            urgent,
            enabled,
        } => {
            let body = json!({
                "rule": rule,
                "scope": scope.json(),
                "threshold": threshold,
                "for_seconds": lasting,
                "urgent": urgent,
                "enabled": enabled,
            });
            tell(session, "/alerts/rules", &body).await
        }
        Verb::Unset { rule, scope } => {
            let body = json!({ "rule": rule, "scope": scope.json() });
            tell(session, "/alerts/rules/remove", &body).await
        }
        Verb::Quiet { from, until } => {
            let body = json!({ "from": from, "until": until });
            tell(session, "/alerts/quiet", &body).await
        }
        Verb::Channel(verb) => channel(session, verb).await,
    }
}

async fn tell(session: &Session, path: &str, body: &Value) -> Result<(), Failure> {
    let told = session.api().await?.post(path, body).await?.value;
    if session.output.json {
        return session.output.value(&told);
    }
    session.output.line("Done.")
}

async fn channel(session: &Session, verb: ChannelVerb) -> Result<(), Failure> {
    match verb {
        ChannelVerb::Add {
            name,
            kind,
            address,
            to,
            allow_private,
            language,
        } => {
            let body = json!({
                "name": name,
                "kind": kind.name(),
                "address": address,
                "to": to,
                "allow_private": allow_private,
                "language": language,
            });
            let made = session
                .api()
                .await?
                .post("/alerts/channels", &body)
                .await?
                .value;
            if session.output.json {
                return session.output.value(&made);
            }
            session.output.line(&format!("Id: {}", text(&made, "id")))
        }
        ChannelVerb::List => channels(session).await,
        ChannelVerb::Remove { id } => {
            let path = format!("/alerts/channels/{}/remove", encode(&id));
            tell(session, &path, &json!({})).await
        }
        ChannelVerb::Test { id } => {
            let path = format!("/alerts/channels/{}/test", encode(&id));
            let told = session.api().await?.post(&path, &json!({})).await?.value;
            if session.output.json {
                session.output.value(&told)?;
            }
            match told["fault"].as_str() {
                None if session.output.json => Ok(()),
                None => session.output.line("It was told."),
                Some(why) => Err(Failure::CheckFailed(clean(why).into_owned())),
            }
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => clean(text).into_owned(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// A table of some keys of each, or JSON lines.
async fn show(
    session: &Session,
    part: &str,
    columns: &[(&str, &str)],
    empty: &str,
) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/alerts", &[]).await?.value;
    let rows = answer[part].as_array().map(Vec::as_slice);
    let rows = rows.unwrap_or_default();
    let output = session.output;
    if output.json {
        return rows.iter().try_for_each(|one| output.value(one));
    }
    if rows.is_empty() {
        return output.line(empty);
    }
    let row = |one: &Value| columns.iter().map(|(_, key)| text(one, key)).collect();
    let cells: Vec<Vec<String>> = rows.iter().map(row).collect();
    let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
    output.table(&heads, &cells)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let columns = [
        ("SINCE", "since"),
        ("RULE", "rule"),
        ("OF", "scope"),
        ("SUBJECT", "subject"),
        ("VALUE", "shown"),
        ("DETAIL", "detail"),
    ];
    show(session, "raised", &columns, "Nothing is raised.").await
}

async fn rules(session: &Session) -> Result<(), Failure> {
    let columns = [
        ("RULE", "rule"),
        ("OF", "scope"),
        ("ENABLED", "enabled"),
        ("THRESHOLD", "threshold"),
        ("UNIT", "unit"),
        ("LASTING S", "for_seconds"),
        ("URGENT", "urgent"),
        ("", "title"),
    ];
    show(session, "rules", &columns, "There is no rule.").await
}

async fn channels(session: &Session) -> Result<(), Failure> {
    let columns = [
        ("ID", "id"),
        ("NAME", "name"),
        ("KIND", "kind"),
        ("HOST", "host"),
        ("TOLD", "told_at"),
        ("OWED", "owed"),
        ("FAULT", "fault"),
    ];
    show(session, "channels", &columns, "There is no channel.").await
}
