//! `relais reference --write DIR` (hidden): writes the generated pages of `docs/reference`.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::failure::Failure;
use crate::reference;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where the pages go
    #[arg(long, value_name = "DIR")]
    write: PathBuf,
}

pub(crate) fn run(arguments: Arguments, program: Command) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Failed(format!("{}: {error}", arguments.write.display()));
    std::fs::create_dir_all(&arguments.write).map_err(failed)?;
    for page in reference::pages(program) {
        std::fs::write(arguments.write.join(page.file), page.text).map_err(failed)?;
    }
    Ok(())
}
