//! `relais reference` (hidden): writes what is generated: the pages of `docs/reference` (`--write
//! DIR`), and manual pages for a package (`--man DIR`), `relais.1` and one for each command.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};

use crate::failure::Failure;
use crate::reference;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Where the pages of the reference go
    #[arg(long, value_name = "DIR", required_unless_present = "man")]
    write: Option<PathBuf>,
    /// Where the manual pages go
    #[arg(long, value_name = "DIR")]
    man: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments, program: Command) -> Result<(), Failure> {
    if let Some(folder) = arguments.man {
        into(&folder, || {
            clap_mangen::generate_to(program.clone(), &folder)
        })?;
    }
    if let Some(folder) = arguments.write {
        into(&folder, || {
            reference::pages(program)
                .into_iter()
                .try_for_each(|page| std::fs::write(folder.join(page.file), page.text))
        })?;
    }
    Ok(())
}

/// Makes the folder, and writes into it.
fn into(folder: &Path, write: impl FnOnce() -> io::Result<()>) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| write())
        .map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))
}
