//! Ports and who has them, by the kernel's tables; the clock.

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use relais_policy::check::{self, Check, ClockFact, PortFact};
use relais_policy::settings::HostPort;
use relais_smtp::address::Host;

use crate::context::{AdminContext, Phase, Premises};

/// Sockets of one table that are read.
const SOCKETS_MAX: usize = 100_000;
/// Processes that are looked through.
const PROCESSES_MAX: usize = 10_000;
/// Listening, in the kernel's tables. `net/tcp_states.h`.
const LISTENING: &str = "0A";
/// The port that all devices know.
const SMTP_PORT: u16 = 25;
/// Port of time servers. RFC 4330 §4.
const TIME_PORT: u16 = 123;
/// A time server answers at once or not at all.
const TIME_TIMEOUT: Duration = Duration::from_secs(3);
/// systemd's own client writes this once it has the time.
const TIMESYNC_MARK: &str = "/run/systemd/timesync/synchronized";

/// Each listener that is wanted, and port 25 in any case; the clock.
pub(super) async fn look(context: &AdminContext) -> Vec<Check> {
    let mut found = vec![check::clock(&clock(context).await)];
    if let Some(premises) = context.premises.clone() {
        let is_running = context.readiness.phase() != Phase::NotRunning;
        let look = move || ports(&premises, is_running);
        let facts = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        found.extend(facts.iter().map(check::port));
    }
    found
}

fn ports(premises: &Premises, is_running: bool) -> Vec<PortFact> {
    let mut facts: Vec<_> = premises
        .doors
        .iter()
        .map(|door| PortFact {
            listener: Some(door.address),
            port: door.address.port(),
            // A server that runs has all of them: it would not have started else.
            is_ours: is_running,
            holder: (!is_running).then(|| holder(door.address.port())).flatten(),
        })
        .collect();
    if !facts.iter().any(|fact| fact.port == SMTP_PORT) {
        facts.push(PortFact {
            listener: None,
            port: SMTP_PORT,
            is_ours: false,
            holder: holder(SMTP_PORT),
        });
    }
    facts
}

/// The program that listens on a port; empty where we may not see it.
fn holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables.map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets: HashSet<_> = tables
        .iter()
        .flat_map(|table| listening(table, port))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut processes = processes.take(PROCESSES_MAX).map(|entry| entry.path());
    let found = processes.find(|process| has_one_of(process, &sockets));
    let name = found.and_then(|process| fs::read_to_string(process.join("comm")).ok());
    Some(name.unwrap_or_default().trim().to_owned())
}

/// Inodes of the sockets of this table that listen on the port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let end = format!(":{port:04X}");
    let read = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().take(10).collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let fits = local.ends_with(&end) && *state == LISTENING;
        fits.then(|| format!("socket:[{inode}]"))
    };
    table.lines().take(SOCKETS_MAX).filter_map(read).collect()
}

fn has_one_of(process: &Path, sockets: &HashSet<String>) -> bool {
    let files = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    let mut targets = files
        .take(SOCKETS_MAX)
        .filter_map(|file| fs::read_link(file.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|text| sockets.contains(text)))
}

/// By the time servers that are named, else by what the system says of itself.
async fn clock(context: &AdminContext) -> ClockFact {
    let servers = context
        .premises
        .iter()
        .flat_map(|premises| &premises.time_servers);
    for text in servers {
        let Some(server) = address(context, text).await else {
            continue;
        };
        let until = context.clock.moment() + TIME_TIMEOUT;
        let asked = relais_net::time_server::ahead(&context.clock, server);
        if let Ok(Ok(ahead)) = context.clock.within(until, asked).await {
            return ClockFact::Compared(ahead, text.clone());
        }
    }
    if Path::new(TIMESYNC_MARK).exists() {
        return ClockFact::Kept("systemd-timesyncd".to_owned());
    }
    ClockFact::Unknown
}

async fn address(context: &AdminContext, text: &str) -> Option<SocketAddr> {
    let host = HostPort::parse(text, TIME_PORT)?;
    match host.host {
        Host::Literal(address) => Some(SocketAddr::new(address, host.port)),
        Host::Domain(domain) => {
            let dns = context.dns.as_ref()?;
            let found = dns.resolver.addresses(&domain).await.ok()?.records;
            found
                .first()
                .map(|address| SocketAddr::new(*address, host.port))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n\
             0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1\n\
             1: 0100007F:0019 0100007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 4712 1\n\
             2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1\n";
        assert_eq!(listening(table, 25), ["socket:[4711]"]);
        assert_eq!(listening(table, 22), ["socket:[4713]"]);
        assert_eq!(listening(table, 465), Vec::<String>::new());
    }

    #[test]
    fn the_program_behind_a_port_is_named() {
        let own = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = own.local_addr().expect("an address").port();
        let name = fs::read_to_string("/proc/self/comm").expect("our name");
        assert_eq!(holder(port).as_deref(), Some(name.trim()));
        drop(own);
        assert_eq!(holder(port), None);
    }
}
