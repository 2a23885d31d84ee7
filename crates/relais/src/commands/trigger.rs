//! `relais trigger`: what makes a device's mail be held by itself; what one would have found.

use clap::{Args, Subcommand, ValueEnum};
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
    /// All triggers, with what they do and their numbers
    List,
    /// Change one
    Set {
        #[command(flatten)]
        which: Which,
        /// What follows when it finds something
        #[arg(long)]
        mode: Option<Mode>,
        #[command(flatten)]
        numbers: Numbers,
    },
    /// What it would have found in the trace, and how much would have waited; nothing is held
    Simulate {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        numbers: Numbers,
        /// How far back
        #[arg(long, value_name = "N", default_value_t = 30)]
        days: u32,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// volume, from-mismatch, unverified-domain, unknown-recipients, complaints, new-network or
    /// content
    name: String,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

#[derive(Args, Debug)]
struct Numbers {
    /// So many are never too many
    #[arg(long, value_name = "N")]
    minimum: Option<u32>,
    /// So many times what is usual are not too many
    #[arg(long, value_name = "N")]
    factor: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Nothing; it goes on learning
    Off,
    /// The device's mail is held, and people hear of it
    Hold,
    /// The same; refused where it goes on
    Block,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hold => "hold",
            Self::Block => "block",
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List => list(session).await,
        Verb::Set {
            which,
            mode,
            numbers,
        } => {
            let mut body = body_of(&which, &numbers);
            body["mode"] = json!(mode.map(Mode::name));
            let api = session.api().await?;
            let changed = api.post("/triggers/set", &body).await?.value;
            if session.output.json {
                return session.output.value(&changed);
            }
            session
                .output
                .line(&format!("Trigger {}: changed.", clean(&which.name)))
        }
        Verb::Simulate {
            which,
            numbers,
            days,
        } => {
            let mut body = body_of(&which, &numbers);
            body["days"] = json!(days);
            let api = session.api_for_reading().await?;
            let told = api.post("/triggers/simulate", &body).await?.value;
            show(session, &told)
        }
    }
}

fn body_of(which: &Which, numbers: &Numbers) -> Value {
    json!({
        "trigger": which.name,
        "organisation": which.organisation,
        "minimum": numbers.minimum,
        "factor": numbers.factor,
    })
}

async fn list(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/triggers", &[]).await?.value;
    let output = session.output;
    let all = answer["triggers"].as_array().map(Vec::as_slice);
    let all = all.unwrap_or_default();
    if output.json {
        return all.iter().try_for_each(|one| output.value(one));
    }
    let row = |one: &Value| {
        let text = |key: &str| clean(one[key].as_str().unwrap_or("-")).into_owned();
        let number = |key: &str| one[key].as_u64().unwrap_or_default().to_string();
        vec![
            text("organisation"),
            text("trigger"),
            text("mode"),
            number("minimum"),
            number("factor"),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    output.table(
        &["ORGANISATION", "TRIGGER", "MODE", "MINIMUM", "FACTOR"],
        &rows,
    )
}

fn show(session: &Session, told: &Value) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(told);
    }
    let findings = told["findings"].as_array().map(Vec::as_slice);
    let findings = findings.unwrap_or_default();
    let (events, days) = (&told["events"], &told["days"]);
    output.line(&format!(
        "{} would have been held, by {events} events of {days} days.",
        match findings.len() {
            0 => "Nothing".to_owned(),
            count => format!("{count} devices or credentials"),
        }
    ))?;
    if told["is_whole"] == false {
        output.line("There was more than is looked at: the oldest is left out.")?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    let row = |one: &Value| {
        let text = |key: &str| clean(one[key].as_str().unwrap_or("-")).into_owned();
        vec![
            text("time"),
            format!("{} {}", text("kind"), text("value")),
            one["would_wait"].as_u64().unwrap_or_default().to_string(),
            text("reason"),
        ]
    };
    let rows: Vec<_> = findings.iter().map(row).collect();
    output.table(&["TIME", "WHAT", "WOULD WAIT", "WHY"], &rows)
}
