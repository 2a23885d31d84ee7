//! `relais apply`: settings from a file, idempotent, with a difference first.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use relais_policy::document::Document;

use super::edit::show_changes;
use super::session::Session;
use crate::failure::Failure;

/// Largest settings file in octets: a directory of 500,000 recipients has about 40 MB.
const FILE_OCTETS_MAX: u64 = 256 << 20;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Settings file; - for standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what the file does not name
    #[arg(long)]
    prune: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let text = read_text(&arguments.file)?;
    let document = Document::from_toml(&text)
        .map_err(|error| Failure::Failed(format!("{}: {error}", shown(&arguments.file))))?;
    let api = session.api().await?;
    let body = json!({
        "document": document,
        "prune": arguments.prune,
        "dry_run": arguments.dry_run,
    });
    let answer = api.post("/apply", &body).await?;
    show_changes(session.output, &answer.value)
}

/// A file's name in sentences.
pub(super) fn shown(file: &Path) -> String {
    if file == Path::new("-") {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// The text of a file, or of standard input for `-`.
pub(super) fn read_text(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", shown(file)));
    let mut text = String::new();
    let octets = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(FILE_OCTETS_MAX + 1)
            .read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).map_err(failed)?;
        opened.take(FILE_OCTETS_MAX + 1).read_to_string(&mut text)
    };
    let octets = u64::try_from(octets.map_err(failed)?).unwrap_or(u64::MAX);
    if octets > FILE_OCTETS_MAX {
        return Err(Failure::Failed(format!(
            "{}: larger than {FILE_OCTETS_MAX} octets",
            shown(file)
        )));
    }
    Ok(text)
}
