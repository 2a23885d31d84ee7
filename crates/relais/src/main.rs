//! The program: arguments → command. Modules stand in order of floors: each may use only those
//! below it.

mod cli;
mod commands;
mod french;
mod reference;
mod wiring;
mod export;
mod handing;
mod reply_rules;
mod certificates;
mod secrets;
mod log;
mod client;
mod remote;
mod words;
mod output;
mod phrases;
mod failure;
mod flags;
mod config;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use cli::Cli;
use failure::Failure;
use words::Language;

/// Less memory kept after bursts than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for files. The disk is the limit, not their number; each keeps memory of its own, which
/// with the runtime's 512 came to hundreds of megabytes under a hundred large messages at once.
const BLOCKING_THREADS_MAX: usize = 8;

fn main() -> ExitCode {
    let language = Language::of_environment();
    let program = match language {
        Language::English => Cli::command(),
        Language::French => french::explained(Cli::command()),
    };
    let read = program.try_get_matches();
    let cli = match read.and_then(|read| Cli::from_arg_matches(&read)) {
        Ok(cli) => cli,
        Err(error) if language == Language::French => return french::end(&error),
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return end(&Failure::Failed(format!(
                "no threads can be started: {error}"
            )));
        }
    };
    let result = runtime.block_on(cli::run(cli));
    // What still runs holds no mail that is not in the store.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure),
    }
}

fn end(failure: &Failure) -> ExitCode {
    let sentence = failure.to_string();
    if !sentence.is_empty() {
        output::complain(&sentence);
    }
    ExitCode::from(failure.exit_code())
}
