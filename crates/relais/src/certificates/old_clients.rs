//! Once a week: who still uses the listener for old devices, as an event and a line of the log. The
//! list is kept in `data_dir/tls` over restarts, written once an hour and at the end.
//!
//! Not here: counting (`relais_net::tls`).

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use relais_net::tls::{OldClient, OldClients};
use relais_policy::tls::TlsVersion;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use super::files;

/// Between two lists.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Between two writings.
const WRITE_EVERY: Duration = Duration::from_secs(3_600);
/// Devices that one event names; more are counted.
const NAMED_MAX: usize = 50;

/// The list, and when it was told last.
pub(crate) struct OldClientsReport {
    pub(crate) list: OldClients,
    file: PathBuf,
    begun: Timestamp,
    written: Timestamp,
}

/// The file.
#[derive(Deserialize, Serialize)]
struct Kept {
    begun: String,
    clients: Vec<KeptClient>,
}

#[derive(Deserialize, Serialize)]
struct KeptClient {
    address: IpAddr,
    version: String,
    cipher: String,
    sessions: u64,
    last_seen: String,
}

impl OldClientsReport {
    /// What was kept; a week begins now where nothing was.
    pub(crate) fn open(folder: &Path, now: Timestamp) -> Self {
        let file = folder.join("tls").join("old-clients.json");
        let list = OldClients::new();
        let kept = std::fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let begun = kept
            .as_ref()
            .and_then(|kept| Timestamp::parse_rfc3339(&kept.begun))
            // A clock that was ahead must not silence the list for years.
            .filter(|begun| *begun <= now);
        if let Some(kept) = kept {
            list.remember(kept.clients.into_iter().filter_map(KeptClient::read));
        }
        Self {
            list,
            file,
            begun: begun.unwrap_or(now),
            written: now,
        }
    }

    /// One round: writes what is new once an hour; after a week gives the list, if there is one.
    pub(crate) fn keep(&mut self, now: Timestamp) -> Option<Event> {
        if now.since(self.written) >= WRITE_EVERY {
            self.written = now;
            self.write();
        }
        if now.since(self.begun) < WEEK {
            return None;
        }
        let clients = self.list.list();
        self.begun = now;
        if clients.is_empty() {
            return None;
        }
        self.list.forget();
        self.write();
        let words = words(&clients);
        tracing::warn!("{words}");
        let mut event = Event::new(now, EventKind::CheckChanged);
        event.detail = Some(words.into());
        Some(event)
    }

    /// Keeps the list for the next start, if there is anything to keep.
    pub(crate) fn write(&self) {
        let clients = self.list.list();
        if clients.is_empty() && !self.file.exists() {
            return;
        }
        let kept = Kept {
            begun: self.begun.to_rfc3339(),
            clients: clients.iter().map(KeptClient::of).collect(),
        };
        let text = serde_json::to_string_pretty(&kept).map_err(std::io::Error::from);
        if let Err(error) = text.and_then(|text| files::write(&self.file, &text)) {
            tracing::warn!(
                "{}: {error}; a week's list may be short",
                self.file.display()
            );
        }
    }
}

/// `3 devices used the listener for old TLS in the last week: 10.1.2.9 (TLS 1.0, 12 sessions) …`.
fn words(clients: &[OldClient]) -> String {
    let named: Vec<_> = clients
        .iter()
        .take(NAMED_MAX)
        .map(|client| {
            let (address, version, sessions) = (client.address, client.version, client.sessions);
            format!(
                "{address} (TLS {version}, {}, {sessions} sessions)",
                client.cipher
            )
        })
        .collect();
    let more = match clients.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!(
        "{} devices used the listener for old TLS in the last week: {}{more}",
        clients.len(),
        named.join(", ")
    )
}

impl KeptClient {
    fn of(client: &OldClient) -> Self {
        Self {
            address: client.address,
            version: client.version.name().to_owned(),
            cipher: client.cipher.to_string(),
            sessions: client.sessions,
            last_seen: client.last_seen.to_rfc3339(),
        }
    }

    fn read(self) -> Option<OldClient> {
        Some(OldClient {
            address: self.address,
            version: TlsVersion::parse(&self.version)?,
            cipher: self.cipher.into(),
            sessions: self.sessions,
            last_seen: Timestamp::parse_rfc3339(&self.last_seen)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);

    #[test]
    fn the_list_comes_once_a_week_and_survives_a_restart() {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("tls")).expect("a folder");
        let mut report = OldClientsReport::open(folder.path(), START);
        let address = IpAddr::from([10, 1, 2, 9]);
        report.list.saw(
            address,
            TlsVersion::V1_0,
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            START,
        );
        assert!(report.keep(START.after(WEEK / 2)).is_none());
        report.write();
        let mut report = OldClientsReport::open(folder.path(), START.after(WEEK / 2));
        let event = report.keep(START.after(WEEK)).expect("it is told");
        let detail = event.detail.expect("words");
        assert!(
            detail.contains("10.1.2.9 (TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA, 1 sessions)"),
            "{detail}"
        );
        assert!(
            report.keep(START.after(WEEK * 2)).is_none(),
            "nobody came since"
        );
    }

    #[test]
    fn without_any_old_device_nothing_is_written() {
        let folder = TempDir::new().expect("a folder");
        let mut report = OldClientsReport::open(folder.path(), START);
        assert!(report.keep(START.after(WEEK * 3)).is_none());
        report.write();
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("readable").count(),
            0
        );
    }
}
