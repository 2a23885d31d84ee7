//! `relais dkim`: the keys that sign; listed, made, rotated, looked for in DNS, retired.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::encode;
use crate::failure::Failure;
use crate::output::{Tone, clean};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All keys, and where they stand
    List {
        /// Only of this domain, with the records to publish
        domain: Option<String>,
        /// Whose; may be left out unless several organisations claim it
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Make the keys that a domain lacks; they are made by themselves as well
    Generate(Which),
    /// Make the next keys now; they sign once DNS shows them, and the old ones stay four days more
    Rotate {
        #[command(flatten)]
        which: Which,
        /// Only of this algorithm
        #[arg(long, value_parser = ["rsa2048", "ed25519"])]
        algorithm: Option<String>,
    },
    /// Look for the keys in DNS now; exit 4 while none signs
    Activate {
        #[command(flatten)]
        which: Which,
        /// Without DNS: you say that it shows the keys, and the audit records it
        #[arg(long)]
        assume: bool,
        /// Only this one
        #[arg(long, requires = "assume", value_name = "SELECTOR")]
        selector: Option<String>,
    },
    /// Take a key out of use
    Retire {
        #[command(flatten)]
        which: Which,
        /// Which key
        selector: String,
    },
}

#[derive(Args, Debug)]
struct Which {
    /// The domain
    domain: String,
    /// Whose; may be left out unless several organisations claim it
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::List {
            domain,
            organisation,
        } => list(session, domain, organisation).await,
        Verb::Generate(which) => {
            let answer = post(session, &which, "generate", json!({})).await?;
            show(session, &answer)
        }
        Verb::Rotate { which, algorithm } => {
            let more = json!({ "algorithm": algorithm });
            let answer = post(session, &which, "rotate", more).await?;
            show(session, &answer)
        }
        Verb::Activate {
            which,
            assume,
            selector,
        } => {
            let more = json!({ "assume": assume, "selector": selector });
            let answer = post(session, &which, "activate", more).await?;
            show(session, &answer)?;
            match answer["standing"].as_str() {
                Some("active") => Ok(()),
                _ => Err(Failure::CheckFailed(String::new())),
            }
        }
        Verb::Retire { which, selector } => {
            let more = json!({ "selector": selector });
            let answer = post(session, &which, "retire", more).await?;
            show(session, &answer)
        }
    }
}

async fn post(
    session: &Session,
    which: &Which,
    verb: &str,
    mut body: Value,
) -> Result<Value, Failure> {
    body["organisation"] = json!(which.organisation);
    let path = format!("/dkim/{}/{verb}", encode(&which.domain));
    Ok(session.api().await?.post(&path, &body).await?.value)
}

async fn list(
    session: &Session,
    domain: Option<String>,
    organisation: Option<String>,
) -> Result<(), Failure> {
    let only = domain.is_some();
    let query = [("domain", domain), ("organisation", organisation)];
    let query = query
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    let query: Vec<_> = query.collect();
    let api = session.api_for_reading().await?;
    let answer = api.get("/dkim", &query).await?.value;
    let domains = answer["domains"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if session.output.json {
        let mut rows = domains.iter().flat_map(key_rows);
        return rows.try_for_each(|row| session.output.value(&row));
    }
    if only {
        return domains.iter().try_for_each(|one| show(session, one));
    }
    let rows: Vec<_> = domains.iter().flat_map(table_rows).collect();
    if rows.is_empty() {
        return session.output.line("There is no accepted domain yet.");
    }
    let headings = [
        "DOMAIN",
        "ORGANISATION",
        "DKIM",
        "SELECTOR",
        "ALGORITHM",
        "STATE",
        "SINCE",
    ];
    session.output.table(&headings, &rows)
}

/// One object a key, with its domain; for a domain without keys one without.
fn key_rows(domain: &Value) -> Vec<Value> {
    let keys = domain["keys"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let head = json!({
        "organisation": domain["organisation"],
        "domain": domain["domain"],
        "standing": domain["standing"],
    });
    if keys.is_empty() {
        return vec![head];
    }
    let join = |key: &Value| {
        let mut row = head.clone();
        for (name, value) in key.as_object().into_iter().flatten() {
            row[name] = value.clone();
        }
        row
    };
    keys.iter().map(join).collect()
}

fn table_rows(domain: &Value) -> Vec<Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |row: Value| {
        let state = match row["missing_since"].as_str() {
            Some(_) => format!("{}, not in DNS", text(&row["state"])),
            None => text(&row["state"]),
        };
        vec![
            text(&row["domain"]),
            text(&row["organisation"]),
            text(&row["standing"]),
            text(&row["selector"]),
            text(&row["algorithm"]),
            state,
            text(&row["since"]).chars().take(10).collect(),
        ]
    };
    key_rows(domain).into_iter().map(row).collect()
}

/// A domain, with what to publish.
fn show(session: &Session, domain: &Value) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(domain);
    }
    let text = |value: &Value| clean(value.as_str().unwrap_or_default()).into_owned();
    let (name, standing) = (text(&domain["domain"]), text(&domain["standing"]));
    let (tone, words) = match standing.as_str() {
        "active" => (Tone::Good, "mail is signed"),
        "off" => (Tone::Waiting, "mail is not signed, as the settings say"),
        "missing" => (
            Tone::Bad,
            "mail is signed with a key that DNS does not show any more",
        ),
        "damaged" => (
            Tone::Bad,
            "what was known of its keys cannot be read; mail waits until a key is active",
        ),
        _ => (Tone::Waiting, "mail leaves unsigned until DNS shows a key"),
    };
    output.line(&output.paint(tone, &format!("{name}: {standing}: {words}")))?;
    for key in domain["keys"].as_array().into_iter().flatten() {
        let head = format!(
            "{}  {}  {}",
            text(&key["selector"]),
            text(&key["algorithm"]),
            text(&key["state"])
        );
        output.line(&output.paint(Tone::Heading, &head))?;
        match key["state"].as_str() {
            Some("retired") => output.line("  its record may be removed from DNS")?,
            _ => {
                output.line(&format!("  name   {}", text(&key["name"])))?;
                output.line("  type   TXT")?;
                output.line(&format!("  value  {}", text(&key["value"])))?;
            }
        }
        let seen = text(&key["seen"]);
        if !seen.is_empty() {
            output.line(&format!("  seen   {seen}"))?;
        }
    }
    Ok(())
}
