//! The command line. `interfaces.md` §3.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    apply, attempts, audit, backup, completion, connector, demo, directory, domain, export, health,
    organisation, queue, reference_command, schema, serve, simulate, status, trace, why,
};

/// A self-hosted SMTP relay for devices and applications.
#[derive(Debug, Parser)]
#[command(
    name = "relais",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 check failed, 75 try later."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Heading of flags that every command knows.
const EVERYWHERE: &str = "Everywhere";

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Bootstrap file; else $RELAIS_CONFIG, else /etc/relais/relais.toml
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data folder, with the control socket of the running server
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// JSON for scripts
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(crate) json: bool,
    /// Another machine's server, with an API key (not there yet)
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "URL")]
    pub(crate) server: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server in the foreground
    Serve(serve::Arguments),
    /// Show everything at work on loopback, with a receiving server of its own
    Demo(demo::Arguments),
    /// How the server is, on one screen
    Status(status::Arguments),
    /// Whether the server is well; exit code 4 if not
    Health(health::Arguments),
    /// Apply a settings file; shows what changes
    Apply(apply::Arguments),
    /// Print the settings as a file that `apply` accepts
    Export(export::Arguments),
    /// Explain what would happen to a message, and send nothing
    Simulate(simulate::Arguments),
    /// Explain one refusal, or where one message is
    Why(why::Arguments),
    /// Search what happened
    Trace(trace::Arguments),
    /// The queue: accepted and unfinished
    Queue(queue::Arguments),
    /// Organisations
    Organisation(organisation::Arguments),
    /// Accepted domains
    Domain(domain::Arguments),
    /// Connectors: who may send through us, and how mail leaves
    Connector(connector::Arguments),
    /// Recipients and people of an organisation
    Directory(directory::Arguments),
    /// Refused attempts: what knocked and was turned away
    Attempts(attempts::Arguments),
    /// Who changed what
    Audit(audit::Arguments),
    /// Copies of everything
    Backup(backup::Arguments),
    /// The reference of settings, bootstrap file and events
    Schema(schema::Arguments),
    /// Completion for a shell
    Completion(completion::Arguments),
    /// Write the generated reference pages
    #[command(hide = true)]
    Reference(reference_command::Arguments),
}
