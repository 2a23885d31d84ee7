//! `relais completion SHELL`: to be sourced, or put where the shell looks.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "relais", &mut script);
    Output::new(false).text(&String::from_utf8_lossy(&script))
}
