//! `relais setup-link` and `relais admin`: who may use the admin centre.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::session::Session;
use crate::certificates::shown_fingerprint;
use crate::client::encode;
use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add one; its password is shown this once
    Add {
        /// a-z, 0-9, dot, hyphen, underscore, @
        name: String,
        /// What the person may do
        #[arg(long, value_enum, default_value_t = Role::Owner)]
        role: Role,
        /// The only organisation that the person sees; without it, all
        #[arg(long)]
        organisation: Option<String>,
        /// For an installer: the inbound connector whose cards are shown
        #[arg(long)]
        connector: Option<String>,
    },
    /// Give one another role; their sessions end
    Role {
        /// As `list` shows it
        name: String,
        /// What the person may do from now on
        #[arg(value_enum)]
        role: Role,
        /// The only organisation that the person sees; without it, all
        #[arg(long)]
        organisation: Option<String>,
        /// For an installer: the inbound connector whose cards are shown
        #[arg(long)]
        connector: Option<String>,
    },
    /// Remove one; their sessions end
    Remove {
        /// As `list` shows it
        name: String,
    },
    /// Give one a new password, shown this once; its sessions end
    Reset {
        /// As `list` shows it
        name: String,
        /// Take the second factor and the passkeys off too: telephone, codes or keys are lost
        #[arg(long)]
        second_factor: bool,
    },
    /// Who there is
    List,
    /// Who is signed in at the admin centre, and where
    Sessions,
    /// Sign one out everywhere, or at one browser
    SignOut {
        /// As `sessions` shows it
        name: String,
        /// At this browser only, as `sessions` shows it
        #[arg(long)]
        session: Option<String>,
    },
}

/// What an administrator may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Everything, people included
    Owner,
    /// Mail and all its settings
    Operator,
    /// Finds mail, without what it says
    Helpdesk,
    /// Reads everything, changes nothing
    Auditor,
    /// The device cards of one inbound connector
    Installer,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Helpdesk => "helpdesk",
            Self::Auditor => "auditor",
            Self::Installer => "installer",
        }
    }
}

/// For a person, all that one needs to know; for a script, whose output is no terminal, one line on
/// standard output: the address.
pub(crate) async fn setup_link(session: &Session) -> Result<(), Failure> {
    let answer = session
        .api()
        .await?
        .post("/setup-link", &json!({}))
        .await?
        .value;
    let output = session.output;
    if output.json {
        return output.value(&answer);
    }
    let [before, address, certificate, after] = introduction(&answer);
    if output.is_terminal() {
        let (open, life) = ("Open:        ", "   (single use, valid 60 minutes)");
        output.line(&before)?;
        output.line(&format!("{open}{address}{life}"))?;
        output.line(&certificate)?;
        return output.line(&after);
    }
    output::tell(&before);
    output.line(&address)?;
    output::tell(&certificate);
    output::tell(&after);
    Ok(())
}

/// What stands around the address, and the address.
fn introduction(answer: &Value) -> [String; 4] {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let version = text("version").rsplit_once('.');
    let version = version.map_or_else(|| text("version"), |(short, _)| short);
    let certificate = match answer["fingerprint"].as_str() {
        Some(fingerprint) => format!(
            "Certificate: {}, SHA-256 {}   (your browser {}; compare this)",
            if answer["self_signed"] == true {
                "self-signed"
            } else {
                "by an authority"
            },
            shown_fingerprint(fingerprint),
            if answer["self_signed"] == true {
                "will warn"
            } else {
                "shows it"
            },
        ),
        None => "Certificate: none; the page is in clear and opens on this machine only".to_owned(),
    };
    let state = match answer["is_set_up"].as_bool() {
        Some(true) => "is running",
        _ => "is running and refuses all mail until you finish set-up",
    };
    [
        format!("Relais {version} {state}."),
        text("address").to_owned(),
        certificate,
        "No browser?  relais quickstart".to_owned(),
    ]
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Add {
            name,
            role,
            organisation,
            connector,
        } => {
            let wanted = json!({
                "name": name,
                "role": role.name(),
                "organisation": organisation,
                "connector": connector,
            });
            let answer = session.api().await?.post("/admins", &wanted).await?.value;
            tell_password(session, &answer)
        }
        Verb::Reset {
            name,
            second_factor,
        } => {
            let path = format!("/admins/{}/reset", encode(&name));
            let wanted = json!({ "second_factor": second_factor });
            let answer = session.api().await?.post(&path, &wanted).await?.value;
            tell_password(session, &answer)
        }
        Verb::Role {
            name,
            role,
            organisation,
            connector,
        } => {
            let wanted = json!({
                "role": role.name(),
                "organisation": organisation,
                "connector": connector,
            });
            let path = format!("/admins/{}/role", encode(&name));
            let answer = session.api().await?.post(&path, &wanted).await?.value;
            tell(session, &answer, &format!("{name} is {} now.", role.name()))
        }
        Verb::Remove { name } => {
            let path = format!("/admins/{}/remove", encode(&name));
            let answer = session.api().await?.post(&path, &json!({})).await?.value;
            tell(session, &answer, &format!("{name} is removed."))
        }
        Verb::List => list(session).await,
        Verb::Sessions => sessions(session).await,
        Verb::SignOut { name, session: id } => {
            let wanted = json!({ "name": name, "session": id });
            let api = session.api().await?;
            let answer = api.post("/sessions/end", &wanted).await?.value;
            tell(session, &answer, &format!("{name} is signed out."))
        }
    }
}

fn tell(session: &Session, answer: &Value, words: &str) -> Result<(), Failure> {
    if session.output.json {
        return session.output.value(answer);
    }
    session.output.line(words)
}

fn tell_password(session: &Session, answer: &Value) -> Result<(), Failure> {
    let output = session.output;
    if output.json {
        return output.value(answer);
    }
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    output.line(&format!("Name: {}", text("name")))?;
    output.line(&format!("Password (not shown again): {}", text("password")))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let answer = session.api_for_reading().await?.get("/admins", &[]).await?;
    let people = answer.value["admins"].as_array().map(Vec::as_slice);
    let people = people.unwrap_or_default();
    let output = session.output;
    if output.json {
        return people.iter().try_for_each(|one| output.value(one));
    }
    if people.is_empty() {
        return output.line("There is no administrator yet; `relais setup-link` makes the first.");
    }
    let row = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let since = text("since").chars().take(10).collect();
        let factor = match one["second_factor"].is_null() {
            true => "-".to_owned(),
            false => "yes".to_owned(),
        };
        let reach = match (text("organisation"), text("connector")) {
            (organisation, _) if organisation.is_empty() => "all".to_owned(),
            (organisation, connector) if connector.is_empty() => organisation,
            (organisation, connector) => format!("{organisation}/{connector}"),
        };
        vec![text("name"), text("role"), reach, factor, since]
    };
    let rows: Vec<_> = people.iter().map(row).collect();
    output.table(&["NAME", "ROLE", "SEES", "SECOND FACTOR", "SINCE"], &rows)
}

async fn sessions(session: &Session) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let answer = api.get("/sessions", &[]).await?;
    let all = answer.value["sessions"].as_array().map(Vec::as_slice);
    let all = all.unwrap_or_default();
    let output = session.output;
    if output.json {
        return all.iter().try_for_each(|one| output.value(one));
    }
    if all.is_empty() {
        return output.line("Nobody is signed in.");
    }
    let row = |one: &Value| {
        let texts = ["name", "session", "address", "began", "seen", "browser"];
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        texts.map(text).to_vec()
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let head = [
        "NAME",
        "SESSION",
        "FROM",
        "SIGNED IN",
        "SEEN LAST",
        "BROWSER",
    ];
    output.table(&head, &rows)
}
