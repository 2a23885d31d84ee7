//! Once a week: who still uses the listener for old devices, as an event and a line of the log, and
//! the same for a connector whose day for old TLS comes near. The list is kept in `data_dir/tls`
//! over restarts, written once an hour and at the end.
//!
//! Not here: counting (`relais_net::tls`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use relais_net::tls::{OldClient, OldClients};
use relais_policy::old_tls::allowing;
use relais_policy::settings::Settings;
use relais_policy::tls::TlsVersion;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use super::files;

/// Between two lists.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Between two writings.
const WRITE_EVERY: Duration = Duration::from_secs(3_600);
/// A connector's day is near from here on.
const NEAR: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Devices that one event names; more are counted.
const NAMED_MAX: usize = 50;

/// The list, and when it was told last.
pub(crate) struct OldClientsReport {
    pub(crate) list: OldClients,
    file: PathBuf,
    begun: Timestamp,
    written: Timestamp,
    /// Days of connectors whose devices were told: at most one for each connector.
    told: BTreeSet<DayOf>,
}

/// A connector's day for old TLS. The day stands first: what is over is left out by it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct DayOf {
    day: String,
    organisation: String,
    connector: String,
}

/// The file.
#[derive(Deserialize, Serialize)]
struct Kept {
    begun: String,
    clients: Vec<KeptClient>,
    #[serde(default)]
    told: BTreeSet<DayOf>,
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
        let mut told = BTreeSet::new();
        if let Some(kept) = kept {
            list.remember(kept.clients.into_iter().filter_map(KeptClient::read));
            told = kept.told;
        }
        Self {
            list,
            file,
            begun: begun.unwrap_or(now),
            written: now,
            told,
        }
    }

    /// One round: once an hour looks for days of connectors that are near, and writes what is new;
    /// after a week gives the list, if there is one.
    pub(crate) fn keep(&mut self, settings: &Settings, now: Timestamp) -> Vec<Event> {
        let mut due = Vec::new();
        if now.since(self.written) >= WRITE_EVERY {
            self.written = now;
            due = self.near(settings, now);
            self.write();
        }
        if now.since(self.begun) < WEEK {
            return due;
        }
        let clients = self.list.list();
        self.begun = now;
        if !clients.is_empty() {
            self.list.forget();
            self.write();
            due.push(told(words(&clients), now));
        }
        due
    }

    /// The devices of each connector whose day comes near, once for each day.
    fn near(&mut self, settings: &Settings, now: Timestamp) -> Vec<Event> {
        let (today, last) = (now.day(), now.after(NEAR).day());
        self.told.retain(|one| one.day >= today);
        let mut near: BTreeMap<DayOf, Vec<OldClient>> = BTreeMap::new();
        for client in self.list.list() {
            for (day, owned) in allowing(settings, client.address) {
                if (&*today..=&*last).contains(&day) {
                    let one = DayOf {
                        day: day.to_owned(),
                        organisation: owned.organisation.name.clone(),
                        connector: owned.connector.name.clone(),
                    };
                    near.entry(one).or_default().push(client.clone());
                }
            }
        }
        near.retain(|one, _| !self.told.contains(one));
        let event = |(one, clients): (&DayOf, &Vec<OldClient>)| {
            let words = format!(
                "old TLS ends after {} for connector {} of {}, and is still used by {}",
                one.day,
                one.connector,
                one.organisation,
                named(clients)
            );
            told(words, now)
        };
        let due = near.iter().map(event).collect();
        self.told.extend(near.into_keys());
        due
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
            told: self.told.clone(),
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

/// Of the log and of the trace.
fn told(words: String, now: Timestamp) -> Event {
    tracing::warn!("{words}");
    let mut event = Event::new(now, EventKind::CheckChanged);
    event.detail = Some(words.into());
    event
}

/// `3 devices used the listener for old TLS in the last week: 10.1.2.9 (TLS 1.0, 12 sessions) …`.
fn words(clients: &[OldClient]) -> String {
    format!(
        "{} devices used the listener for old TLS in the last week: {}",
        clients.len(),
        named(clients)
    )
}

/// `10.1.2.9 (TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA, 12 sessions), and 3 more`.
fn named(clients: &[OldClient]) -> String {
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
    format!("{}{more}", named.join(", "))
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
    use std::sync::Arc;

    use relais_policy::document::Document;
    use relais_policy::settings::Mode;
    use tempfile::TempDir;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn nobody() -> Arc<Settings> {
        Settings::empty(Mode::Lan)
    }

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
        assert!(report.keep(&nobody(), START.after(WEEK / 2)).is_empty());
        report.write();
        let mut report = OldClientsReport::open(folder.path(), START.after(WEEK / 2));
        let due = report.keep(&nobody(), START.after(WEEK));
        let detail = due[0].detail.as_deref().expect("words");
        assert!(
            detail.contains("10.1.2.9 (TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA, 1 sessions)"),
            "{detail}"
        );
        assert!(
            report.keep(&nobody(), START.after(WEEK * 2)).is_empty(),
            "nobody came since"
        );
    }

    /// A connector that allows it for so many days from the start on.
    fn printers(days: u32) -> Settings {
        let until = START.after(HOUR * 24 * days).day();
        let text = format!(
            "[[organisation]]\nname = \"contoso\"\n[[organisation.inbound_connector]]\n\
             name = \"Printers\"\nsender_ip_addresses = [\"10.1.2.0/24\"]\n\
             legacy_tls_until = \"{until}\"\n"
        );
        let document = Document::from_toml(&text).expect("settings");
        Settings::build(Mode::Lan, 1, document).expect("valid")
    }

    #[test]
    fn fourteen_days_before_a_connectors_day_its_devices_are_named_once_even_over_a_restart() {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("tls")).expect("a folder");
        let mut report = OldClientsReport::open(folder.path(), START);
        for address in [[10, 1, 2, 9], [10, 9, 9, 9]] {
            let cipher = "TLS_RSA_WITH_AES_128_CBC_SHA";
            report
                .list
                .saw(IpAddr::from(address), TlsVersion::V1_0, cipher, START);
        }
        assert!(report.keep(&printers(15), START.after(HOUR)).is_empty());
        let settings = printers(14);
        assert!(
            report.keep(&settings, START.after(HOUR)).is_empty(),
            "hourly"
        );
        let due = report.keep(&settings, START.after(HOUR * 2));
        let detail = due[0].detail.as_deref().expect("words");
        let expected = format!(
            "old TLS ends after {} for connector Printers of contoso, and is still used by \
             10.1.2.9 (TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA, 1 sessions)",
            START.after(HOUR * 24 * 14).day()
        );
        assert_eq!(detail, expected);
        assert!(report.keep(&settings, START.after(HOUR * 3)).is_empty());
        let mut report = OldClientsReport::open(folder.path(), START.after(HOUR * 3));
        assert!(report.keep(&settings, START.after(HOUR * 4)).is_empty());
        let due = report.keep(&printers(13), START.after(HOUR * 5));
        assert_eq!(due.len(), 1, "another day is told anew");
    }

    #[test]
    fn without_any_old_device_nothing_is_written() {
        let folder = TempDir::new().expect("a folder");
        let mut report = OldClientsReport::open(folder.path(), START);
        assert!(report.keep(&nobody(), START.after(WEEK * 3)).is_empty());
        report.write();
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("readable").count(),
            0
        );
    }
}
