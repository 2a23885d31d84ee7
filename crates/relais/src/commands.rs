//! One file per command.

pub(crate) mod apply;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completion;
pub(crate) mod connector;
pub(crate) mod demo;
pub(crate) mod directory;
pub(crate) mod domain;
mod edit;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod organisation;
pub(crate) mod queue;
pub(crate) mod reference_command;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod trace;
pub(crate) mod why;
mod session;
mod signals;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use session::Session;

/// Runs one command.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let session = Session::new(cli.global);
    match cli.command {
        Command::Serve(arguments) => Box::pin(serve::run(&session, arguments)).await,
        Command::Demo(arguments) => Box::pin(demo::run(&session, arguments)).await,
        Command::Status(arguments) => status::run(&session, arguments).await,
        Command::Health(arguments) => health::run(&session, arguments).await,
        Command::Apply(arguments) => apply::run(&session, arguments).await,
        Command::Export(arguments) => export::run(&session, arguments).await,
        Command::Simulate(arguments) => simulate::run(&session, arguments).await,
        Command::Why(arguments) => why::run(&session, arguments).await,
        Command::Trace(arguments) => trace::run(&session, arguments).await,
        Command::Queue(arguments) => queue::run(&session, arguments).await,
        Command::Organisation(arguments) => organisation::run(&session, arguments).await,
        Command::Domain(arguments) => domain::run(&session, arguments).await,
        Command::Connector(arguments) => connector::run(&session, arguments).await,
        Command::Directory(arguments) => directory::run(&session, arguments).await,
        Command::Attempts(arguments) => attempts::run(&session, arguments).await,
        Command::Audit(arguments) => audit::run(&session, arguments).await,
        Command::Backup(arguments) => backup::run(&session, arguments).await,
        Command::Schema(arguments) => schema::run(&session, arguments),
        Command::Completion(arguments) => completion::run(arguments),
        Command::Reference(arguments) => reference_command::run(arguments),
    }
}
