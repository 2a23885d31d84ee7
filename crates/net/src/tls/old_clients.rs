//! Who still needs the listener for old devices: kept until it is told, so that somebody can
//! replace them before the listener's day comes.
//!
//! Not here: telling, and the file between two starts (the wiring).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use relais_policy::tls::TlsVersion;
use relais_smtp::time::Timestamp;

/// Clients that are remembered. More old devices than this have no single person who replaces them;
/// further ones are not counted.
const CLIENTS_MAX: usize = 1_000;

/// One device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OldClient {
    /// Where it is.
    pub address: IpAddr,
    /// The newest version that it spoke.
    pub version: TlsVersion,
    /// The cipher suite of its last session.
    pub cipher: Box<str>,
    /// Its sessions.
    pub sessions: u64,
    /// The last of them.
    pub last_seen: Timestamp,
}

/// All of them. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct OldClients(Arc<Mutex<BTreeMap<IpAddr, OldClient>>>);

impl OldClients {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session began.
    pub fn saw(&self, address: IpAddr, version: TlsVersion, cipher: &str, now: Timestamp) {
        self.with(|clients| {
            if clients.len() >= CLIENTS_MAX && !clients.contains_key(&address) {
                return;
            }
            let client = clients.entry(address).or_insert_with(|| OldClient {
                address,
                version,
                cipher: cipher.into(),
                sessions: 0,
                last_seen: now,
            });
            client.version = client.version.max(version);
            client.cipher = cipher.into();
            client.sessions += 1;
            client.last_seen = now;
        });
    }

    /// What was kept over a restart.
    pub fn remember(&self, kept: impl IntoIterator<Item = OldClient>) {
        self.with(|clients| {
            for client in kept.into_iter().take(CLIENTS_MAX) {
                clients.entry(client.address).or_insert(client);
            }
        });
    }

    /// By address.
    pub fn list(&self) -> Vec<OldClient> {
        self.with(|clients| clients.values().cloned().collect())
    }

    /// They were told: a new list begins.
    pub fn forget(&self) {
        self.with(BTreeMap::clear);
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<IpAddr, OldClient>) -> T) -> T {
        // Nothing in between can be half done.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    #[test]
    fn a_device_is_listed_once_with_its_newest_version_and_its_sessions() {
        let clients = OldClients::new();
        let address = IpAddr::from([10, 1, 2, 9]);
        clients.saw(address, TlsVersion::V1_1, "A", NOW);
        clients.saw(address, TlsVersion::V1_0, "B", NOW);
        let [one] = clients.list().try_into().expect("one device");
        assert_eq!(
            (one.version, &*one.cipher, one.sessions),
            (TlsVersion::V1_1, "B", 2)
        );
        let kept = clients.list();
        clients.forget();
        assert!(clients.list().is_empty());
        clients.remember(kept);
        assert_eq!(clients.list().len(), 1);
    }

    #[test]
    fn the_list_is_bounded() {
        let clients = OldClients::new();
        for number in 0..2_000_u32 {
            clients.saw(
                IpAddr::from(number.to_be_bytes()),
                TlsVersion::V1_0,
                "A",
                NOW,
            );
        }
        assert_eq!(clients.list().len(), CLIENTS_MAX);
    }
}
