//! What all requests share, and who asks.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{Notify, watch};

use relais_net::authority::AuthorityOptions;
use relais_net::clock::{Chance, Clock};
use relais_net::conversation::Conversations;
use relais_net::login::{LoginStanding, Logins};
use relais_net::names::NameTable;
use relais_net::network::Network;
use relais_net::resolver::Resolver;
use relais_net::tls::{CertificateStore, ClientTls, SeenCertificates};
use relais_net::web::hooks::Hooks;
use relais_policy::desk::Site;
use relais_policy::document::ConnectorState;
use relais_policy::limit::Counts;
use relais_policy::old_tls::ListenerBounds;
use relais_policy::settings::Settings;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::door::Via;
use relais_store::queue::Actor;
use relais_store::store::Store;

use crate::alerts::Alerts;
use crate::entrance::Entrance;
use crate::findings::Findings;
use crate::metrics::Metrics;
use crate::people::{By, People, PeopleError};
use crate::permission::{Reach, Rights, Role};
use crate::rounds::Rounds;
use crate::webhooks::outbox::Outbox;
use crate::words::Language;

/// Everything that requests share. Cheap to clone.
#[derive(Clone)]
pub struct AdminContext {
    /// What they talk about.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// Our name.
    pub hostname: String,
    /// The server's size limit in octets, for `simulate`.
    pub message_size_max: u64,
    /// Counters, fed by the store's observer.
    pub metrics: Metrics,
    /// Whether the listeners are up.
    pub readiness: Readiness,
    /// What is said in sessions at this moment.
    pub conversations: Conversations,
    /// What those who have limits sent; `None` without a server: as it was kept last.
    pub counts: Option<Counts>,
    /// The certificates in use.
    pub certificates: CertificateView,
    /// Who may use the admin centre, and who does now.
    pub people: People,
    /// Whom looks at domains ask; none without a server.
    pub dns: Option<Dns>,
    /// Who we are to receivers.
    pub site: Site,
    /// What was found out about the DNS of domains.
    pub findings: Findings,
    /// How smart hosts are reached; none without a server.
    pub outbound: Option<Outbound>,
    /// What goes out to programs and people, and comes in from them.
    pub duties: Duties,
    /// Where we stand on this machine, for the self-checks.
    pub premises: Option<Arc<Premises>>,
    /// The round of self-checks under way.
    pub rounds: Rounds,
}

/// Where we stand on this machine, and whom the self-checks ask.
#[derive(Clone, Debug)]
pub struct Premises {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Every listener that is wanted.
    pub doors: Vec<Door>,
    /// Below this, in octets, we take no mail.
    pub disk_reserve: u64,
    /// Inbound connections at the same time.
    pub connections_max: u64,
    /// `[dns] port25_probes`.
    pub port25_probes: Vec<String>,
    /// `[dns] time_servers`.
    pub time_servers: Vec<String>,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Door {
    /// Where.
    pub address: SocketAddr,
    /// It speaks SMTP; else it is the admin centre.
    pub takes_mail: bool,
    /// TLS from the first octet.
    pub implicit_tls: bool,
    /// Who must send a PROXY header.
    pub proxies: Vec<IpNet>,
    /// The file of its private key.
    pub key_file: Option<PathBuf>,
    /// Where its certificate comes from; none: it has no TLS.
    pub origin: Option<CertificateOrigin>,
    /// Who may use it, and until when: it is the one for old TLS.
    pub bounds: Option<ListenerBounds>,
}

/// Where the certificate of a listener comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertificateOrigin {
    /// Somebody named this file.
    File(PathBuf),
    /// Ordered from an authority.
    Acme,
    /// Made by us.
    Own,
}

impl CertificateOrigin {
    /// For people and JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Acme => "acme",
            Self::Own => "self-signed",
        }
    }
}

/// What goes out to programs and people, and comes in from them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Duties {
    /// Where programs hand mail in; closed without a server.
    pub entrance: Entrance,
    /// Posts to addresses that administrators name; none without a server.
    pub hooks: Option<Hooks>,
    /// What is owed to webhooks.
    pub outbox: Outbox,
    /// What is raised.
    pub alerts: Alerts,
    /// Held while an address is counted or erased: that reads the whole trace, once at a time.
    pub erasing: Arc<tokio::sync::Mutex<()>>,
}

impl Duties {
    /// With posts to addresses that administrators name.
    pub fn with(hooks: Hooks) -> Self {
        Self {
            hooks: Some(hooks),
            ..Self::default()
        }
    }
}

/// How smart hosts are reached, as delivery does it.
#[derive(Clone)]
pub struct Outbound {
    /// Sockets and DNS.
    pub network: Network,
    /// TLS with next hops.
    pub tls: ClientTls,
    /// What we log in with.
    pub logins: Logins,
    /// Our name in EHLO.
    pub greeting_name: String,
    /// Port of MX delivery.
    pub smtp_port: u16,
    /// Private addresses found by MX are reached too.
    pub allow_private: bool,
}

impl Outbound {
    /// Logins of connectors in use that can end, as they were looked at last.
    pub(crate) fn logins_in_use(&self, settings: &Settings) -> Vec<LoginStanding> {
        self.logins.standings(|one| {
            let found = settings.outbound_connector(&one.organisation, &one.connector);
            found.is_some_and(|found| found.state == ConnectorState::Enabled)
        })
    }
}

/// Whom looks ask.
#[derive(Clone)]
pub struct Dns {
    /// The configured resolver.
    pub resolver: Resolver,
    /// How the servers that answer for a domain are asked.
    pub authority: AuthorityOptions,
    /// `[dns] blocklists`: asked of addresses that a person looks at.
    pub blocklists: Vec<Domain>,
    /// What is known of the names of clients (`sender_dns_names`).
    pub names: NameTable,
    /// Rung when the settings changed: new domains are looked at without delay.
    pub changed: Arc<Notify>,
}

/// Certificates, for whoever must renew them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CertificateView {
    /// What each listener with TLS shows.
    pub of_listeners: Vec<(SocketAddr, CertificateStore)>,
    /// Those of clients that led to a connector since the start.
    pub of_clients: SeenCertificates,
    /// What the admin centre shows; none: it is in clear, on loopback.
    pub of_centre: Option<CertificateStore>,
}

impl CertificateView {
    /// Whether browsers reach the admin centre by TLS.
    pub(crate) fn is_centre_encrypted(&self) -> bool {
        self.of_centre.is_some()
    }
}

/// Where the server stands between start and end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Only the data folder is read: there is no server.
    NotRunning,
    /// Listeners are not up yet.
    Starting,
    /// Listeners are up.
    Serving,
    /// No new mail is taken.
    Draining,
}

/// Tells everybody the [`Phase`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<Phase>>);

impl Readiness {
    /// In this phase.
    pub fn new(phase: Phase) -> Self {
        Self(Arc::new(watch::Sender::new(phase)))
    }

    /// The next phase begins.
    pub fn enter(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until draining begins: answers without an end end then.
    pub async fn draining(&self) {
        let mut receiver = self.0.subscribe();
        // Fails only if the sender is gone, and `self` holds it.
        let _ = receiver.wait_for(|phase| *phase == Phase::Draining).await;
    }
}

/// Who asks, and by which door.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// `uid 0 (root)`.
    pub actor: Arc<str>,
    /// `socket`, `web`, `api`, `listener`, `data-folder`, with the address that they came from.
    pub via: Via,
    /// What they may do, and how far.
    pub rights: Rights,
    /// In which language pages of this process tell them why not; JSON is English.
    pub language: Language,
}

impl Caller {
    /// Over the local socket, by the peer's user.
    pub fn socket(uid: Option<u32>) -> Self {
        let actor = match uid {
            Some(0) => "uid 0 (root)".into(),
            Some(uid) => format!("uid {uid}").into(),
            None => "unknown user".into(),
        };
        Self {
            actor,
            via: "socket".into(),
            rights: Rights::everything(),
            language: Language::English,
        }
    }

    /// A person of the admin centre.
    pub(crate) fn web(name: &str, rights: Rights) -> Self {
        Self {
            actor: Self::name_on_web(name).into(),
            via: "web".into(),
            rights,
            language: Language::English,
        }
    }

    /// A program with a key of the API, of this organisation or of the installation.
    pub fn key(name: &str, id: &str, organisation: Option<&str>) -> Self {
        let reach = match organisation {
            None => Reach::Installation,
            Some(name) => Reach::Organisation {
                name: name.to_owned(),
                connector: None,
            },
        };
        Self {
            actor: Self::name_of_key(name, id).into(),
            via: "api".into(),
            // What it may do is held by the table of operations, at the door that it came by.
            rights: Rights::of_role(Role::Owner, reach),
            language: Language::English,
        }
    }

    /// The same, who came from this address.
    #[must_use]
    pub(crate) fn coming_from(mut self, address: IpAddr) -> Self {
        self.via = self.via.coming_from(Some(address));
        self
    }

    /// The same, who reads this language.
    #[must_use]
    pub(crate) fn reading(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// The same, as the audit of the queue tells it.
    pub(crate) fn actor(&self) -> Actor<'_> {
        Actor {
            name: &self.actor,
            via: self.via,
        }
    }

    /// How a key of the API is told.
    pub(crate) fn name_of_key(name: &str, id: &str) -> String {
        format!("{name} (key {id})")
    }

    /// How a person of the admin centre is told.
    pub(crate) fn name_on_web(name: &str) -> String {
        format!("{name} (web)")
    }

    /// Over the admin listener, where nobody is known yet.
    pub fn listener() -> Self {
        Self {
            actor: "anonymous".into(),
            via: "listener".into(),
            rights: Rights::none(),
            language: Language::English,
        }
    }

    /// Relais itself, that looks at domains every day.
    pub(crate) fn watch() -> Self {
        Self {
            actor: "daily check".into(),
            via: "start".into(),
            rights: Rights::everything(),
            language: Language::English,
        }
    }

    /// Relais itself, that sends reports: of one organisation, or of all.
    pub(crate) fn reporter(organisation: Option<&str>) -> Self {
        let reach = match organisation {
            None => Reach::Installation,
            Some(name) => Reach::Organisation {
                name: name.to_owned(),
                connector: None,
            },
        };
        Self {
            actor: "scheduled report".into(),
            via: "start".into(),
            language: Language::English,
            rights: Rights::of_role(Role::Auditor, reach),
        }
    }

    /// The command line, reading the data folder without a server.
    pub fn data_folder() -> Self {
        Self {
            actor: "command line".into(),
            via: "data-folder".into(),
            rights: Rights::everything(),
            language: Language::English,
        }
    }
}

impl Caller {
    /// As the audit tells it, now.
    pub(crate) fn by(&self, now: Timestamp) -> By<'_> {
        By {
            actor: &self.actor,
            via: self.via,
            now,
        }
    }
}

/// The people of an organisation, as entries tell who did something.
pub(crate) async fn people_of(
    context: &AdminContext,
    organisation: &str,
) -> Result<Vec<String>, PeopleError> {
    let people = context.people.list(&context.store).await?;
    let theirs = people
        .iter()
        .filter(|one| one.organisation.as_deref() == Some(organisation));
    Ok(theirs.map(|one| Caller::name_on_web(&one.name)).collect())
}

/// From where a request of the admin listener came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Why the server takes no mail now; `None` if it does.
pub fn unready(context: &AdminContext) -> Option<String> {
    match context.readiness.phase() {
        Phase::NotRunning => Some("The server is not running.".to_owned()),
        Phase::Starting => Some("The listeners are not up yet.".to_owned()),
        Phase::Draining => Some("The server is shutting down.".to_owned()),
        Phase::Serving => context.store.unhealthy(),
    }
}
