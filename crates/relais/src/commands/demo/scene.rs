//! The demo's world: a relay in a temporary folder, a receiving server and DNS, all on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use relais_net::clock::{Chance, Clock};
use relais_net::dns_server::{DnsServer, ZoneRecord};
use relais_net::network::Network;
use relais_policy::document::Document;
use relais_smtp::content::Preset;
use relais_store::settings::SettingsChange;

use super::mailbox::Mailboxes;
use crate::config::{Config, ListenerConfig, Surroundings, TlsMode};
use crate::wiring::{self, Server, StartError};
use crate::words::Language;

/// A person elsewhere, who has a mailbox.
pub(super) const KLARA: &str = "klara@fabrikam.example";
/// A person elsewhere, who has none.
pub(super) const NOBODY: &str = "nobody@fabrikam.example";
/// The person who owns the connectors, and gets notices.
pub(super) const OWNER: &str = "anna@contoso.test";
/// Where the printer stands. All of 127.0.0.0/8 is loopback.
pub(super) const PRINTER: [u8; 4] = [127, 0, 0, 9];
/// Where the business application runs.
pub(super) const APPLICATION: [u8; 4] = [127, 0, 0, 10];
/// An address that no connector covers.
pub(super) const STRANGER: [u8; 4] = [127, 0, 0, 66];
/// A printer that no connector covers until somebody adds it.
pub(super) const NEW_PRINTER: [u8; 4] = [127, 0, 0, 20];
/// Whoever tries by hand.
pub(super) const HAND: [u8; 4] = [127, 0, 0, 1];

/// The port that people expect of a relay without privileges.
const PREFERRED_PORT: u16 = 2525;
/// The demo needs little room, and must run where there is little.
const DISK_RESERVE: u64 = 16 << 20;

/// Everything that runs.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) mailboxes: Mailboxes,
    pub(super) network: Network,
    folder: TempDir,
    _dns: DnsServer,
}

impl Scene {
    /// Where the relay listens.
    pub(super) fn relay(&self) -> SocketAddr {
        *self
            .server
            .listeners
            .first()
            .expect("the scene has one listener")
    }

    /// Its data folder.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends everything, and removes the folder.
    pub(super) async fn end(self) {
        self.server.drain().await;
    }
}

/// Builds it; in words, why not. Notices are written in `language`. The admin centre is open while
/// somebody may `visit` it.
pub(super) async fn build(language: Language, visit: bool) -> Result<Scene, String> {
    let (clock, chance) = (Clock::system(), Chance::system());
    let folder = TempDir::with_prefix("relais-demo-")
        .map_err(|error| format!("no temporary folder: {error}"))?;
    let plain = wiring::network(&[]).map_err(|error| error.to_string())?;
    let mailboxes = Mailboxes::start(&plain, clock.clone(), chance.clone(), &[KLARA, OWNER])
        .await
        .map_err(|error| format!("the receiving server does not start: {error}"))?;
    let dns = DnsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), zone())
        .await
        .map_err(|error| format!("the DNS server does not start: {error}"))?;
    let preferred = SocketAddr::from((HAND, PREFERRED_PORT));
    let mut config = config(
        folder.path().to_owned(),
        preferred,
        mailboxes.address(),
        dns.address(),
    )?;
    if !visit {
        config.admin = None;
    }
    let server = start(config).await.map_err(|error| error.to_string())?;
    let document = Document::from_toml(&settings(mailboxes.address(), language))
        .map_err(|error| format!("the demo's settings: {error}"))?;
    let change = SettingsChange {
        expected_version: server.store.settings().version,
        document,
        actor: "demo".to_owned(),
        via: "demo".into(),
        summary: vec!["the settings of the demo".to_owned()],
        time: clock.now(),
    };
    server
        .store
        .change_settings(change)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Scene {
        server,
        mailboxes,
        network: plain,
        folder,
        _dns: dns,
    })
}

fn zone() -> Vec<(String, ZoneRecord)> {
    let mx = "mx.fabrikam.example";
    vec![
        (
            "fabrikam.example".to_owned(),
            ZoneRecord::Mx(10, mx.to_owned()),
        ),
        (mx.to_owned(), ZoneRecord::Address(HAND.into())),
    ]
}

/// On the preferred ports, or on any where somebody has one of them.
async fn start(mut config: Config) -> Result<Server, StartError> {
    loop {
        let started = wiring::start(&config, Arc::new(|_, _| {})).await;
        let Err(StartError::Listen { address, .. }) = &started else {
            return started;
        };
        let listeners = config.listeners.iter_mut().map(|one| &mut one.address);
        let centre = config.admin.iter_mut().map(|one| &mut one.address);
        let taken = listeners.chain(centre).find(|one| *one == address);
        let Some(taken) = taken.filter(|one| one.port() != 0) else {
            return started;
        };
        taken.set_port(0);
    }
}

fn config(
    data_dir: PathBuf,
    relay: SocketAddr,
    mailboxes: SocketAddr,
    dns: SocketAddr,
) -> Result<Config, String> {
    let surroundings = Surroundings {
        variables: Vec::new(),
        machine_name: Some("relay.contoso.test".to_owned()),
        root: false,
    };
    let mut config = Config::parse("", &surroundings).map_err(|mistakes| {
        mistakes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    })?;
    config.data_dir = data_dir;
    config.listeners = vec![ListenerConfig {
        address: relay,
        submission: false,
        preset: Preset::Strict,
        proxies: Vec::new(),
        tls: TlsMode::None,
        certificate: None,
        private_key: None,
        client_ca: Vec::new(),
        certificate_common_name: false,
        legacy: None,
    }];
    config.nameservers = vec![dns];
    config.deliver.smtp_port = mailboxes.port();
    config.deliver.allow_private_destinations = true;
    config.disk_reserve = DISK_RESERVE;
    Ok(config)
}

fn settings(mailboxes: SocketAddr, language: Language) -> String {
    let language = language.pick("en", "fr");
    let address = |octets: [u8; 4]| std::net::Ipv4Addr::from(octets).to_string();
    format!(
        r#"
[[organisation]]
name = "contoso"
display_name = "Contoso SA"
language = "{language}"
postmaster = "{OWNER}"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
mailbox_host = "{mailboxes}"

[[organisation.recipient]]
address = "{OWNER}"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["{}"]
preset = "tolerant"
owner = "{OWNER}"

[[organisation.inbound_connector]]
name = "Business applications"
sender_ip_addresses = ["{}"]
owner = "{OWNER}"

[[organisation.inbound_connector]]
name = "By hand"
sender_ip_addresses = ["{}"]
preset = "tolerant"
owner = "{OWNER}"
"#,
        address(PRINTER),
        address(APPLICATION),
        address(HAND),
    )
}
