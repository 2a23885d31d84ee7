//! `relais export`: the settings as a file that `apply` accepts.

use std::path::PathBuf;

use clap::Args;

use super::edit;
use super::session::Session;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where to write; standard output if absent
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<(), Failure> {
    let api = session.api_for_reading().await?;
    let (document, _) = edit::read(&api).await?;
    let text = if session.output.json {
        serde_json::to_string(&document).map_err(|error| Failure::Failed(error.to_string()))? + "\n"
    } else {
        document.to_toml()
    };
    match arguments.output {
        None => session.output.text(&text),
        Some(file) => std::fs::write(&file, text)
            .map_err(|error| Failure::Failed(format!("{}: {error}", file.display()))),
    }
}
