//! `relais serve`: the server in the foreground, until a signal ends it.

mod notify;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

use relais_store::trace::Event;

use super::session::Session;
use super::signals::{Signal, Signals};
use crate::certificates::shown_fingerprint;
use crate::config::Config;
use crate::failure::Failure;
use crate::log::Log;
use crate::output;
use crate::wiring::{self, Server};
use notify::Supervisor;

/// Everything must have ended by then: what is left is cut.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(crate) struct Arguments {}

pub(crate) async fn run(session: &Session, _: Arguments) -> Result<(), Failure> {
    let config = session.config()?;
    let log = Log::to_stdout(config.log, &config.hostname)
        .map_err(|error| Failure::Failed(format!("no thread for the log: {error}")))?;
    log.take_program_messages();
    log_panics();
    raise_file_limit();
    leave_no_core();
    let mut signals = Signals::listen()
        .map_err(|error| Failure::Failed(format!("signals cannot be heard: {error}")))?;
    let log_of_events = log.clone();
    let sink = Arc::new(move |event: &Event, json: &str| log_of_events.event(event, json));
    let started = wiring::start(&config, sink).await;
    let server = started.map_err(|error| Failure::Failed(error.to_string()))?;
    let supervisor = Supervisor::of_this_process();
    supervisor.ready();
    introduce(&server, &config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    work(session, &server, &log, &supervisor, &mut signals, config).await;
    supervisor.stopping();
    tracing::info!("shutting down: no new mail is taken");
    let cut = tokio::select! {
        drained = tokio::time::timeout(DRAIN_TIME_MAX, server.drain()) => drained.is_err(),
        _ = signals.next_end() => true,
    };
    if cut {
        tracing::warn!("ended before everything was done: unfinished mail stays in the queue");
    } else {
        tracing::info!("all mail under way has ended; goodbye");
    }
    log.flush();
    Ok(())
}

/// Until a signal says that it is over.
async fn work(
    session: &Session,
    server: &Server,
    log: &Log,
    supervisor: &Supervisor,
    signals: &mut Signals,
    mut config: Config,
) {
    let housekeeping = async {
        loop {
            // Only a store that answers keeps the watchdog quiet; one that refuses mail because the
            // disk is full answers, and a restart would not help it.
            server.keep_house().await;
            supervisor.alive();
            server.metrics.count_dropped_log_lines(log.take_dropped());
        }
    };
    tokio::pin!(housekeeping);
    loop {
        tokio::select! {
            () = &mut housekeeping => {}
            signal = signals.next() => match signal {
                Signal::End => return,
                Signal::Reload => {
                    supervisor.reloading();
                    reload(session, log, &mut config);
                    server.certificates().reload(server.clock.now());
                    supervisor.ready();
                }
            },
        }
    }
}

/// Reads the bootstrap file again. What can change, changes; what cannot is named; a broken file
/// changes nothing.
fn reload(session: &Session, log: &Log, config: &mut Config) {
    let fresh = match session.config() {
        Ok(fresh) => fresh,
        Err(failure) => {
            tracing::error!("the configuration stays as it was: {failure}");
            return;
        }
    };
    log.reshape(fresh.log);
    let waiting = needs_restart(config, &fresh);
    config.log = fresh.log;
    if waiting.is_empty() {
        tracing::info!("the configuration was read again");
    } else {
        tracing::warn!(
            "the configuration was read again; a restart is needed for {}",
            waiting.join(", ")
        );
    }
}

/// Keys that differ and are read only at start.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differing = [
        ("hostname", old.hostname != new.hostname),
        ("data_dir", old.data_dir != new.data_dir),
        ("mode", old.mode != new.mode),
        ("listener", old.listeners != new.listeners),
        ("acme", old.acme != new.acme),
        ("oidc", old.issuers != new.issuers),
        (
            "content_checker",
            old.content_checkers != new.content_checkers,
        ),
        ("admin", old.admin != new.admin),
        (
            "dns",
            old.nameservers != new.nameservers
                || old.nameservers_trusted != new.nameservers_trusted,
        ),
        ("deliver", old.deliver != new.deliver),
        (
            "limits",
            old.message_size_max != new.message_size_max
                || old.connections_max != new.connections_max
                || old.disk_reserve != new.disk_reserve,
        ),
        ("syslog", old.syslog != new.syslog),
        ("otlp", old.otlp != new.otlp),
        (
            "retention",
            old.trace_days != new.trace_days
                || old.dialogue_days != new.dialogue_days
                || old.content_days != new.content_days,
        ),
    ];
    differing
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}

/// What the person who started us reads first: where we listen, and what to do next.
fn introduce(server: &Server, config: &Config) {
    let addresses: Vec<_> = server.listeners.iter().map(ToString::to_string).collect();
    let settings = server.store.settings();
    let next = if settings.document.organisation.is_empty() {
        " and refuses all mail until there is an organisation; next: relais apply -f settings.toml"
    } else {
        ""
    };
    output::tell(&format!(
        "Relais {} listens on {}{next}",
        env!("CARGO_PKG_VERSION"),
        addresses.join(", ")
    ));
    if let Some(own) = server.certificates().self_signed() {
        output::tell(&format!(
            "TLS: self-signed certificate for {}, SHA-256 {}",
            own.names().join(" "),
            shown_fingerprint(own.fingerprint())
        ));
    }
    let admin = server.admin.map(|address| address.to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        hostname = config.hostname,
        listeners = addresses.join(" "),
        admin = admin.as_deref().unwrap_or("closed"),
        data_dir = %wiring::absolute(&config.data_dir).display(),
        settings_version = settings.version,
        "started"
    );
}

/// A panic ends its own task only; it is a mistake of ours, and must be seen.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("without words");
        tracing::error!(place, "a task panicked: {words}");
    }));
}

/// As many open files as the system allows: each connection is one.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Keys and mail are in memory: neither a core file nor another process of our user may have them.
fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let done = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        tracing::warn!(%error, "a crash may leave secrets in a core file");
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Surroundings;

    use super::*;

    #[test]
    fn reload_names_what_needs_a_restart_and_nothing_else() {
        let surroundings = Surroundings {
            variables: Vec::new(),
            machine_name: Some("relay.contoso.test".to_owned()),
            root: false,
        };
        let parse = |text: &str| Config::parse(text, &surroundings).expect("right");
        let old = parse("");
        for (text, expected) in [
            ("[log]\nlevel = \"debug\"", vec![]),
            (
                "hostname = \"other.contoso.test\"\n[dns]\ntrusted = true",
                vec!["hostname", "dns"],
            ),
            (
                "[[listener]]\naddress = \"127.0.0.1:2626\"",
                vec!["listener"],
            ),
            (
                "[retention]\ntrace_days = 1\n[limits]\nconnections_max = 5",
                vec!["limits", "retention"],
            ),
        ] {
            assert_eq!(needs_restart(&old, &parse(text)), expected, "{text}");
        }
    }
}
