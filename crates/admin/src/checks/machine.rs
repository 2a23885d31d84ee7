//! This machine: files of the system, the data folder, certificates.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use rustix::process::{Resource, getrlimit};

use relais_net::tls::CertificateStore;
use relais_policy::check::{self, CertificateFact, Check, ClientsFact, DiskFact, ShownCertificate};
use relais_store::queue::{Criteria, RecipientStateName, StoreError};
use relais_store::store::Store;
use relais_store::trace::TraceQuery;

use crate::context::{AdminContext, Premises};

/// A file that is written to see how long that takes, in octets: a page of the database.
const SYNC_OCTETS: usize = 4_096;
/// Its name in the data folder.
const SYNC_FILE: &str = ".check-sync";
/// How far back clients are looked for.
const CLIENTS_SINCE: Duration = Duration::from_secs(86_400);
/// Events that are looked through for them.
const EVENTS_MAX: usize = 2_000;
/// Held messages that are counted at once, and pages of them.
const HELD_PAGE: usize = 1_000;
const HELD_PAGES_MAX: usize = 10;
/// Lines of a routing table that are read.
const ROUTES_MAX: usize = 1_000;
/// Networks that are proposed to people.
const NETWORKS_MAX: usize = 16;
/// "Use a gateway", in the flags of a route. `linux/route.h`.
const ROUTE_GATEWAY: u32 = 0x2;
/// A network with fewer bits is no site's: a point-to-point link, a default route.
const NETWORK_BITS_LEAST: u8 = 8;

/// Disk, sync, files, clients, certificates.
pub(super) async fn look(context: &AdminContext) -> Vec<Check> {
    let mut found = vec![check::clients(&clients(context).await)];
    let premises = context.premises.as_deref();
    found.extend(certificates(context, premises));
    let limit = getrlimit(Resource::Nofile).current;
    if let Some(premises) = premises {
        found.push(check::file_limit(limit, premises.connections_max));
        if let Some(fact) = disk(context, premises).await {
            found.push(check::disk(&fact));
            found.push(check::inodes(&fact));
        }
        found.push(check::sync(&sync(context, premises).await));
    }
    found
}

async fn disk(context: &AdminContext, premises: &Premises) -> Option<DiskFact> {
    let numbers = rustix::fs::statvfs(&premises.data_dir).ok()?;
    let octets = |blocks: u64| blocks.saturating_mul(numbers.f_frsize);
    let free = octets(numbers.f_bavail);
    let held = match free < premises.disk_reserve {
        true => held(&context.store).await.unwrap_or(0),
        false => 0,
    };
    Some(DiskFact {
        free,
        held,
        total: octets(numbers.f_blocks),
        inodes_free: numbers.f_favail,
        inodes: numbers.f_files,
        reserve: premises.disk_reserve,
    })
}

/// Octets of messages of which somebody's copy is held; of so many messages, at least.
async fn held(store: &Store) -> Result<u64, StoreError> {
    let criteria = Criteria {
        state: Some(RecipientStateName::Held),
        ..Criteria::default()
    };
    let (mut octets, mut after) = (0_u64, None);
    for _ in 0..HELD_PAGES_MAX {
        let page = store.page(&criteria, after, HELD_PAGE).await?;
        let sizes = page.messages.iter().map(|message| message.size);
        octets = octets.saturating_add(sizes.sum());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(octets)
}

/// One small file, written, synced and taken away.
async fn sync(context: &AdminContext, premises: &Premises) -> Result<Duration, String> {
    let file = premises.data_dir.join(SYNC_FILE);
    let clock = context.clock.clone();
    let write = move || {
        let began = clock.moment();
        let mut open = fs::File::create(&file)?;
        open.write_all(&[0; SYNC_OCTETS])?;
        open.sync_all()?;
        let took = clock.moment().saturating_duration_since(began);
        fs::remove_file(&file)?;
        Ok(took)
    };
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.map_err(|error| error.to_string())?;
    written.map_err(|error: std::io::Error| error.to_string())
}

async fn clients(context: &AdminContext) -> ClientsFact {
    let query = TraceQuery {
        since: Some(context.clock.now().before(CLIENTS_SINCE)),
        limit: EVENTS_MAX,
        ..TraceQuery::default()
    };
    let rows = context.store.trace(&query).await.unwrap_or_default();
    let mut seen: Vec<IpAddr> = rows
        .iter()
        .filter_map(|row| {
            let event: serde_json::Value = serde_json::from_str(&row.json).ok()?;
            event["client"]["address"].as_str()?.parse().ok()
        })
        .filter(|address: &IpAddr| !address.is_loopback())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    ClientsFact {
        is_container: is_container(),
        gateways: routes()
            .into_iter()
            .filter_map(|route| route.gateway)
            .collect(),
        seen,
    }
}

/// Container engines leave these behind.
fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"]
        .iter()
        .any(|file| Path::new(file).exists())
}

/// One line of the kernel's table.
struct Route {
    network: Ipv4Net,
    gateway: Option<IpAddr>,
}

fn routes() -> Vec<Route> {
    let table = fs::read_to_string("/proc/net/route").unwrap_or_default();
    read_routes(&table)
}

/// Interface, destination, gateway, flags …, mask: hexadecimal in the machine's own order.
fn read_routes(table: &str) -> Vec<Route> {
    let lines = table.lines().skip(1).take(ROUTES_MAX);
    let read = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.next()?;
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let address = |text: &str| Some(Ipv4Addr::from(number(text)?.to_ne_bytes()));
        let (destination, gateway) = (address(fields.next()?)?, address(fields.next()?)?);
        let flags = number(fields.next()?)?;
        let mask = address(fields.nth(3)?)?;
        let is_gateway = flags & ROUTE_GATEWAY != 0;
        (name != "lo").then_some(())?;
        Some(Route {
            network: Ipv4Net::with_netmask(destination, mask).ok()?,
            gateway: is_gateway.then_some(gateway.into()),
        })
    };
    lines.filter_map(read).collect()
}

/// The networks that this machine stands in, for people to say which of them may send.
pub(crate) fn networks() -> Vec<IpNet> {
    let table = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let four = routes().into_iter().filter(|route| route.gateway.is_none());
    let four = four.map(|route| route.network);
    let four = four.filter(|network| network.prefix_len() >= NETWORK_BITS_LEAST);
    let mut all: Vec<IpNet> = four.map(IpNet::V4).chain(read_networks(&table)).collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(NETWORKS_MAX);
    all
}

/// Address, interface number, prefix length, scope (00: global) …, name.
fn read_networks(table: &str) -> Vec<IpNet> {
    let read = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [address, _, bits, "00", _, _] = fields.as_slice() else {
            return None;
        };
        let address = u128::from_str_radix(address, 16).ok()?;
        let bits = u8::from_str_radix(bits, 16).ok()?;
        let net = IpNet::new(IpAddr::V6(address.into()), bits).ok()?;
        Some(net.trunc())
    };
    table.lines().take(ROUTES_MAX).filter_map(read).collect()
}

fn certificates(context: &AdminContext, premises: Option<&Premises>) -> Vec<Check> {
    let now = context.clock.now();
    let row = |(listener, store): &(std::net::SocketAddr, CertificateStore)| {
        let door = premises
            .and_then(|premises| premises.doors.iter().find(|door| door.address == *listener));
        let key = door.and_then(|door| door.key_file.as_ref());
        let mode = key.and_then(|file| fs::metadata(file).ok());
        let shown = store.current().map(|shown| ShownCertificate {
            names: shown.names().iter().map(ToString::to_string).collect(),
            days_left: (shown.not_after() > now)
                .then(|| shown.not_after().since(now).as_secs() / 86_400),
            is_self_signed: shown.is_self_signed(),
            chain_length: shown.chain_length(),
        });
        check::certificate(&CertificateFact {
            listener: *listener,
            hostname: context.hostname.clone(),
            shown,
            key_mode: mode.map(|mode| mode.permissions().mode()),
        })
    };
    context.certificates.of_listeners.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use relais_smtp::time::Timestamp;
    use relais_store::memory::MemoryOptions;

    use super::*;
    use crate::alerting::sensors::tests::message;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    #[tokio::test]
    async fn mail_that_is_held_is_counted_and_mail_that_waits_is_not() {
        let store = Store::in_memory(MemoryOptions::new(NOW));
        for (size, is_held) in [(3_000, true), (500, false), (40, true)] {
            let mut message = message(&store, NOW);
            message.facts.size = size;
            message.recipients[0].held = is_held;
            drop(store.commit(message).await.expect("stored"));
        }
        assert_eq!(held(&store).await, Ok(3_040));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn networks_and_routers_are_read_from_the_kernels_tables() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                     lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
                     eth1\tgarbage\n";
        let routes = read_routes(table);
        assert_eq!(routes.len(), 2);
        assert_eq!(routes[0].gateway, "192.168.0.1".parse().ok());
        assert_eq!(routes[1].network.to_string(), "192.168.0.0/24");
        assert_eq!(routes[1].gateway, None);
        let six = "20010db8000100000000000000000009 02 40 00 80     eth0\n\
                   fe80000000000000021132fffe010203 02 40 20 80     eth0\n";
        let found = read_networks(six);
        assert_eq!(found, ["2001:db8:1::/64".parse().expect("a network")]);
    }
}
