//! The command line: arguments → command.

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::session::Session;
use crate::commands::{
    admin, alert, api_key, apply, attempts, audit, backup, card, completion, connector, credential,
    demo, directory, dkim, doctor, domain, export, health, import, legal_hold, licences, limits,
    organisation, panic, queue, quickstart, reference_command, report, restricted, schema, secret,
    serve, simulate, status, suppression, test_command, trace, trigger, webhook, why,
};
use crate::failure::Failure;
use crate::flags::Global;

/// A self-hosted SMTP relay for devices and applications.
#[derive(Debug, Parser)]
#[command(
    name = "relais",
    version,
    about,
    disable_help_subcommand = true,
    after_help = "Begin with `relais demo` (all of it at work on loopback), then `relais serve` and, beside it, \
                  `relais apply -f settings.toml`: who may send.\n\n\
                  Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 check failed, 75 try later."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server in the foreground
    Serve(serve::Arguments),
    /// Show everything at work on loopback, with a receiving server of its own
    Demo(demo::Arguments),
    /// The first steps in the terminal, from nothing to a delivered test message
    Quickstart(quickstart::Arguments),
    /// How the server is, on one screen
    Status(status::Arguments),
    /// Every self-check, now; exit code 4 when something is broken
    Doctor(doctor::Arguments),
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
    /// Send one message of our own, and watch it
    Test(test_command::Arguments),
    /// Search what happened
    Trace(trace::Arguments),
    /// The queue: accepted and unfinished
    Queue(queue::Arguments),
    /// Organisations
    Organisation(organisation::Arguments),
    /// Limits, and how much of them is used
    Limits(limits::Arguments),
    /// Licences: seats, and who holds them
    Licences(licences::Arguments),
    /// Accepted domains
    Domain(domain::Arguments),
    /// The card to type off at a device: per connector, maker and language
    Card(card::Arguments),
    /// DKIM: the keys that sign
    Dkim(dkim::Arguments),
    /// Connectors: who may send through us, and how mail leaves
    Connector(connector::Arguments),
    /// Credentials: user and password of each device
    Credential(credential::Arguments),
    /// Recipients and people of an organisation
    Directory(directory::Arguments),
    /// Take over from the relay before: read its export, report, add connectors disabled
    Import(import::Arguments),
    /// Refused attempts: what knocked and was turned away
    Attempts(attempts::Arguments),
    /// Restricted entities: what is blocked, and why
    Restricted(restricted::Arguments),
    /// Triggers: what makes a device's mail be held by itself
    Trigger(trigger::Arguments),
    /// Stop all mail of an inbound connector or organisation at once; `--off` lets it go again
    Panic(panic::Arguments),
    /// Suppressed recipients: who is sent nothing, after a bounce, a complaint or by request
    Suppression(suppression::Arguments),
    /// Legal holds: mail of which nothing may be lost, whatever its age
    LegalHold(legal_hold::Arguments),
    /// Who changed what
    Audit(audit::Arguments),
    /// Secrets at rest: which there are, and the key they are encrypted under
    Secret(secret::Arguments),
    /// The address of a page that makes the first administrator: single use, valid 60 minutes
    SetupLink,
    /// Administrators of the admin centre
    Admin(admin::Arguments),
    /// Alerts: what is raised, by which rules, and who hears of it
    Alert(alert::Arguments),
    /// Reports that are sent by e-mail
    Report(report::Arguments),
    /// Webhooks: where events are posted to
    Webhook(webhook::Arguments),
    /// Keys of the API, for programs
    ApiKey(api_key::Arguments),
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

/// Runs one command.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let session = Session::new(cli.global);
    match cli.command {
        Command::Serve(arguments) => Box::pin(serve::run(&session, arguments)).await,
        Command::Demo(arguments) => Box::pin(demo::run(&session, arguments)).await,
        Command::Quickstart(arguments) => Box::pin(quickstart::run(&session, arguments)).await,
        Command::Test(arguments) => test_command::run(&session, arguments).await,
        Command::Status(arguments) => status::run(&session, arguments).await,
        Command::Doctor(arguments) => doctor::run(&session, arguments).await,
        Command::Health(arguments) => health::run(&session, arguments).await,
        Command::Apply(arguments) => apply::run(&session, arguments).await,
        Command::Export(arguments) => export::run(&session, arguments).await,
        Command::Simulate(arguments) => simulate::run(&session, arguments).await,
        Command::Why(arguments) => why::run(&session, arguments).await,
        Command::Trace(arguments) => trace::run(&session, arguments).await,
        Command::Queue(arguments) => queue::run(&session, arguments).await,
        Command::Organisation(arguments) => organisation::run(&session, arguments).await,
        Command::Limits(arguments) => limits::run(&session, arguments).await,
        Command::Licences(arguments) => licences::run(&session, arguments).await,
        Command::Card(arguments) => card::run(&session, arguments).await,
        Command::Dkim(arguments) => dkim::run(&session, arguments).await,
        Command::Domain(arguments) => domain::run(&session, arguments).await,
        Command::Connector(arguments) => connector::run(&session, arguments).await,
        Command::Credential(arguments) => credential::run(&session, arguments).await,
        Command::Directory(arguments) => directory::run(&session, arguments).await,
        Command::Import(arguments) => import::run(&session, arguments).await,
        Command::Attempts(arguments) => attempts::run(&session, arguments).await,
        Command::Restricted(arguments) => restricted::run(&session, arguments).await,
        Command::Trigger(arguments) => trigger::run(&session, arguments).await,
        Command::Panic(arguments) => panic::run(&session, arguments).await,
        Command::Suppression(arguments) => suppression::run(&session, arguments).await,
        Command::LegalHold(arguments) => legal_hold::run(&session, arguments).await,
        Command::Audit(arguments) => audit::run(&session, arguments).await,
        Command::Secret(arguments) => secret::run(&session, arguments).await,
        Command::SetupLink => admin::setup_link(&session).await,
        Command::Alert(arguments) => alert::run(&session, arguments).await,
        Command::Report(arguments) => report::run(&session, arguments).await,
        Command::Webhook(arguments) => webhook::run(&session, arguments).await,
        Command::ApiKey(arguments) => api_key::run(&session, arguments).await,
        Command::Admin(arguments) => admin::run(&session, arguments).await,
        Command::Backup(arguments) => backup::run(&session, arguments).await,
        Command::Schema(arguments) => schema::run(&session, arguments, Cli::command()),
        Command::Completion(arguments) => completion::run(arguments, Cli::command()),
        Command::Reference(arguments) => reference_command::run(arguments, Cli::command()),
    }
}
