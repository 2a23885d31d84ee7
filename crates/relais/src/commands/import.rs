//! `relais import`: what the relay before this one exported, read, reported, and added disabled.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use relais_admin::phrasebook::told_part;
use relais_policy::migration::{self, Source};

use super::apply::shown;
use super::session::Session;
use crate::failure::Failure;
use crate::output::{Output, Tone, clean};

/// Largest file in octets: a text in UTF-16 has two for a letter.
const FILE_OCTETS_MAX: u64 = 2 * migration::TEXT_OCTETS_MAX as u64;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What the old relay is
    source: Kind,
    /// What it exported; - for standard input
    file: PathBuf,
    /// Whose; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Only report what would be added, and add nothing
    #[arg(long)]
    report: bool,
    /// Do not ask before anything is added
    #[arg(long)]
    yes: bool,
}

/// The sources, as the command line names them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Exchange,
    ExchangeOnline,
    Postfix,
    Iis,
    Csv,
}

impl Kind {
    fn source(self) -> Source {
        match self {
            Self::Exchange => Source::Exchange,
            Self::ExchangeOnline => Source::ExchangeOnline,
            Self::Postfix => Source::Postfix,
            Self::Iis => Source::Iis,
            Self::Csv => Source::Csv,
        }
    }
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let source = arguments.source.source();
    let text = read(source, &arguments.file)?;
    let api = match arguments.report {
        true => session.api_for_reading().await?,
        false => session.api().await?,
    };
    let path = format!("/import/{}", source.name());
    let body = |apply: bool| json!({ "organisation": arguments.organisation, "text": text, "apply": apply });
    let output = session.output;
    let told = api.post(&path, &body(false)).await?.value;
    let is_quiet = output.json && !arguments.report;
    if !is_quiet {
        show(output, &told)?;
    }
    if arguments.report {
        return Ok(());
    }
    let count = told["changes"].as_array().map_or(0, Vec::len);
    if count == 0 {
        return match output.json {
            true => output.value(&told),
            false => output.line("There is nothing to add."),
        };
    }
    if !arguments.yes {
        ask(output, count)?;
    }
    let done = api.post(&path, &body(true)).await?.value;
    if output.json {
        return output.value(&done);
    }
    let version = &done["version"];
    output.line(&format!(
        "Done; nothing of it is enabled. The settings are now at version {version}."
    ))
}

/// The file as text, and for Postfix the maps that it names and that lie beside it, without their
/// passwords.
fn read(source: Source, file: &Path) -> Result<String, Failure> {
    let main = decoded(file)?;
    if source != Source::Postfix {
        return Ok(main);
    }
    let mut maps = Vec::new();
    if file != Path::new("-") {
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let wanted: BTreeSet<_> = migration::maps_of(&main);
        let there = |name: &String| main.contains(&format!("/{name} <=="));
        for name in wanted.into_iter().filter(|name| !there(name)) {
            let path = folder.join(&name);
            // What is not there, or may not be read, stands in the report.
            if let Some(text) = path.is_file().then(|| decoded(&path)).and_then(Result::ok) {
                maps.push((name, text));
            }
        }
    }
    let maps = maps
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let whole = migration::with_files(&main, maps);
    Ok(migration::without_passwords(source, &whole))
}

fn decoded(file: &Path) -> Result<String, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", shown(file)));
    let mut octets = Vec::new();
    let read = if file == Path::new("-") {
        let stdin = io::stdin().lock();
        stdin.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)
    } else {
        let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
        opened.take(FILE_OCTETS_MAX + 1).read_to_end(&mut octets)
    };
    read.map_err(|error| failed(&error))?;
    migration::decode(&octets).map_err(|error| failed(&error))
}

/// The four parts, each with its lines.
fn show(output: Output, told: &Value) -> Result<(), Failure> {
    if output.json {
        return output.value(told);
    }
    let parts = [
        ("created", "WOULD BE ADDED, DISABLED", Tone::Good),
        ("changed", "WORKS IN ANOTHER WAY HERE", Tone::Waiting),
        ("unsupported", "NOT TAKEN OVER", Tone::Waiting),
        ("dangerous", "DANGEROUS AS IT WAS", Tone::Bad),
    ];
    for (part, heading, tone) in parts {
        let lines = told["report"][part].as_array();
        let lines = lines.map(Vec::as_slice).unwrap_or_default();
        if lines.is_empty() {
            continue;
        }
        output.line(&output.paint(tone, heading))?;
        for line in lines {
            let word = |key: &str| {
                let text = line[key].as_str().unwrap_or_default();
                clean(&told_part(output.language, text)).into_owned()
            };
            output.paragraph(
                "  - ",
                4,
                &format!("{}: {}", word("object"), word("message")),
            )?;
        }
    }
    for warning in told["warnings"].as_array().into_iter().flatten() {
        let words = clean(warning.as_str().unwrap_or_default()).into_owned();
        output.line(&output.paint(Tone::Waiting, &format!("Note: {words}")))?;
    }
    Ok(())
}

fn ask(output: Output, count: usize) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "this would add {count} objects: say --yes, because standard input is no terminal to \
             ask at"
        )));
    }
    let question = format!("Add {count} objects, all disabled?");
    let mut stderr = io::stderr().lock();
    // If the question cannot be shown, no answer comes, and nothing is done.
    let _ = write!(stderr, "{} [y/N] ", output.said(&question));
    let _ = stderr.flush();
    drop(stderr);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes" | "o" | "oui") => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}
