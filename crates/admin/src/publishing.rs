//! The delegated zone of our own: follows settings and keys, so that a change is served at once.
//! What stands in it is decided in `relais_policy::desk`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use relais_net::own_dns::OwnDns;
use relais_net::own_zone::OwnZone;
use relais_net::zone::ZoneRecord;
use relais_policy::desk::{ZoneEntry, zone_entries};
use relais_smtp::domain::Domain;

use crate::context::AdminContext;
use crate::desk::shown_keys;

/// Between two looks at what is to be served.
const ROUND: Duration = Duration::from_secs(1);

/// The server, with what it says of itself.
pub struct Publishing {
    /// Running.
    pub server: OwnDns,
    /// In its NS records.
    pub name_servers: Vec<Domain>,
    /// Of those names of the zone that are ours.
    pub addresses: Vec<IpAddr>,
}

/// Keeps the zone as settings and keys are, until `closing`.
pub(crate) async fn follow(
    context: AdminContext,
    publishing: Publishing,
    closing: CancellationToken,
) {
    let Some(origin) = context.site.zone.clone() else {
        return;
    };
    let (mut planned, mut served, mut serial) = (None, None, 0);
    loop {
        let settings = context.store.settings();
        let is_same = (planned.as_ref()).is_some_and(|planned| Arc::ptr_eq(planned, &settings));
        if !is_same {
            let keys = shown_keys(&settings);
            let (hosts, addresses) = (&publishing.name_servers, &publishing.addresses);
            let entries = zone_entries(&context.site, hosts, addresses, &keys);
            if served.as_ref() != Some(&entries) {
                serial = next(serial, context.clock.now().as_millis());
                let records: Vec<_> = entries.iter().cloned().map(record).collect();
                match OwnZone::new(&origin, hosts, serial, &records) {
                    Ok(zone) => publishing.server.replace(zone),
                    Err(error) => tracing::warn!(%error, "our zone stays as it was"),
                }
                served = Some(entries);
            }
            planned = Some(settings);
        }
        tokio::select! {
            () = context.clock.sleep(ROUND) => {}
            () = closing.cancelled() => return,
        }
    }
}

/// Seconds since 1970, and more each time: secondaries and caches go by it (RFC 1982 §3).
fn next(serial: u32, millis: i64) -> u32 {
    let seconds = u32::try_from(millis / 1_000).unwrap_or_default();
    seconds.max(serial.wrapping_add(1))
}

fn record((name, entry): (String, ZoneEntry)) -> (String, ZoneRecord) {
    let record = match entry {
        ZoneEntry::Text(text) => ZoneRecord::Text(text),
        ZoneEntry::Mx(preference, host) => ZoneRecord::Mx(preference, host),
        ZoneEntry::Address(address) => ZoneRecord::Address(address),
    };
    (name, record)
}
