//! `relais schema`: the reference of everything that can be written and read; JSON Schema for
//! programs.

use clap::{Args, Command, ValueEnum};

use super::session::Session;
use crate::failure::Failure;
use crate::reference;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// JSON Schema of one of these; without it, the whole reference for people
    what: Option<What>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The settings file of `relais apply`
    Settings,
    /// The bootstrap file relais.toml
    Config,
    /// The events of `relais trace --json`
    Events,
    /// OpenAPI of the API on the admin listener
    Openapi,
}

pub(crate) fn run(
    session: &Session,
    arguments: Arguments,
    program: Command,
) -> Result<(), Failure> {
    let output = session.output;
    let schema = match arguments.what {
        Some(What::Settings) => reference::json_schema::settings(),
        Some(What::Config) => reference::json_schema::config(),
        Some(What::Events) => reference::json_schema::events(),
        Some(What::Openapi) => relais_admin::api::openapi_document(),
        None => {
            let pages = reference::pages(program).into_iter();
            let pages = pages.filter(|page| page.file.ends_with(".md"));
            let pages = pages.map(|page| page.text);
            return output.text(&pages.collect::<Vec<_>>().join("\n"));
        }
    };
    if output.json {
        return output.value(&schema);
    }
    output.text(&serde_json::to_string_pretty(&schema).unwrap_or_default())
}
