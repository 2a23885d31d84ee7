//! Builds the world: the only place where real clock, sockets and store are chosen.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_admin::beginning;
use relais_admin::context::{
    AdminContext, CertificateOrigin, CertificateView, Dns, Door, Duties, Outbound, Phase, Premises,
    Readiness,
};
use relais_admin::findings::Findings;
use relais_admin::local::LocalApi;
use relais_admin::metrics::Metrics;
use relais_admin::people::People;
use relais_admin::publishing::Publishing;
use relais_admin::rounds::Rounds;
use relais_admin::service::{AdminService, PolicyService};
use relais_deliver::service::{DeliverContext, DeliverOptions, DeliverService};
use relais_deliver::vault::StoreVault;
use relais_net::authority::AuthorityOptions;
use relais_net::clock::{Chance, Clock};
use relais_net::content_check::Checkers;
use relais_net::conversation::Conversations;
use relais_net::login::Logins;
use relais_net::names::NameTable;
use relais_net::network::{Listener, Network};
use relais_net::oauth::TokenClient;
use relais_net::oidc::Issuers;
use relais_net::own_dns::OwnDns;
use relais_net::own_zone::OwnZone;
use relais_net::resolver::{Dnssec, Resolver, ResolverOptions};
use relais_net::sign_in::SignInClient;
use relais_net::tls::{ClientTls, SeenCertificates};
use relais_net::web::hooks::Hooks;
use relais_net::web::{Web, WebOptions};
use relais_policy::desk::Site;
use relais_policy::limit::Counts;
use relais_policy::settings::Mode;
use relais_receive::service::{
    ListenerOptions, ListenerTls, ReceiveContext, ReceiveOptions, ReceiveService,
};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::queue::StoreError;
use relais_store::store::{OpenOptions, Store};
use relais_store::trace::Event;
use tokio::task::JoinSet;

use crate::certificates::{self, Certificates, Keeper, OldClientsReport};
use crate::config::{AdminTls, AuthoritativeDnsConfig, Config, ListenerConfig, TlsMode};
use crate::export::{self, Exports, Surroundings};
use crate::handing::Inside;
use crate::reply_rules::ReplyRuleFile;
use crate::secrets;

/// Connections from one address that no connector covers: a stranger's server rarely has more than
/// ten, and a flood must not take all places.
const CONNECTIONS_PER_STRANGER_MAX: usize = 20;
/// Outbound connections in all: with the inbound ones within usual limits of open files.
const OUTBOUND_CONNECTIONS_MAX: usize = 1_000;
/// Longest path of a Unix socket in octets. `sockaddr_un` has 108 with the final NUL.
const SOCKET_PATH_OCTETS_MAX: usize = 107;
/// How often the store keeps house.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// Sessions and attempts under way get this long to end; with the rest below, 30 seconds in all.
const MAIL_DRAIN_TIME: Duration = Duration::from_secs(20);
/// Requests of the API get this long.
const ADMIN_DRAIN_TIME: Duration = Duration::from_secs(2);
/// The store gets this long to write what waits.
const STORE_CLOSE_TIME: Duration = Duration::from_secs(5);

/// Called for each stored event, besides the counters.
pub(crate) type EventSink = Arc<dyn Fn(&Event, &str) + Send + Sync>;

/// Why a server does not start; each names the fix.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The data folder belongs to another user.
    #[error(
        "the data folder {} belongs to uid {owner}, and we run as root: start Relais as that user, or name another folder with --data-dir",
        .folder.display()
    )]
    ForeignFolder {
        /// Which.
        folder: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// The data folder's path is too long for its socket.
    #[error("the path {} is too long for a socket: name a data folder with a shorter path", .0.display())]
    LongPath(PathBuf),
    /// The store cannot be opened.
    #[error("the store in {} cannot be opened: {because}", .folder.display())]
    Store {
        /// Which.
        folder: PathBuf,
        /// In words.
        because: String,
    },
    /// DNS cannot be asked.
    #[error("DNS: {0}")]
    Dns(String),
    /// Issuers of tokens cannot be asked.
    #[error("oidc: {0}")]
    Issuers(String),
    /// Authorities for next hops cannot be read.
    #[error("deliver.extra_ca: {0}")]
    Authorities(String),
    /// The file of rules about replies cannot be used.
    #[error("reply_rules: {0}")]
    ReplyRules(String),
    /// A port is taken or forbidden.
    #[error("cannot listen on {address}: {because}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Cause and fix.
        because: String,
    },
    /// The control socket cannot be made.
    #[error("the control socket {} cannot be made: {because}", .socket.display())]
    Socket {
        /// Where.
        socket: PathBuf,
        /// In words.
        because: String,
    },
}

/// A running server.
pub(crate) struct Server {
    /// What it keeps.
    pub(crate) store: Store,
    /// Its counters.
    pub(crate) metrics: Metrics,
    /// Where mail may come in.
    pub(crate) listeners: Vec<SocketAddr>,
    /// Probes and metrics.
    pub(crate) admin: Option<SocketAddr>,
    /// Its clock.
    pub(crate) clock: Clock,
    readiness: Readiness,
    receive: ReceiveService,
    deliver: DeliverService,
    admin_service: AdminService,
    certificates: Mutex<Certificates>,
    _held: Held,
    exports: Exports,
    old_clients: Mutex<OldClientsReport>,
    reply_rules: Mutex<ReplyRuleFile>,
}

/// What runs as long as it is kept.
struct Held {
    _keeper: Option<Keeper>,
    _policies: Option<PolicyService>,
    _following: JoinSet<()>,
}

/// Where the control socket stands.
pub(crate) fn control_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Starts everything: store, listeners, delivery, API. Nothing listens unless all of it can.
pub(crate) async fn start(config: &Config, sink: EventSink) -> Result<Server, StartError> {
    let (clock, chance) = (Clock::system(), Chance::system());
    let folder = own_folder(&config.data_dir)?;
    let (socket, reply_rules) = (socket_within_bounds(&folder)?, open_reply_rules(config)?);
    let (network, client_tls) = (network_of(config)?, client_tls(config)?);
    let web = web(config, &network, &client_tls)?;
    // Before the store: a port that is taken is the commonest mistake, and costs nothing to find.
    let doors = Doors::open(&network, config).await?;
    let (metrics, readiness) = (Metrics::new(clock.now()), Readiness::new(Phase::Starting));
    let store = open_store(config, &folder, clock.now(), &metrics, sink).await?;
    secrets::unlock(&store, &folder, &clock, &chance).await;
    let logins = logins(config, (&store, &clock), (&client_tls, network.resolver()));
    let (mut certificates, tls, view) = open_certificates(config, &doors, &folder, clock.now());
    let (seen, conversations) = (view.of_clients.clone(), Conversations::default());
    let counts = counts_of(&store, clock.now()).await;
    let old_clients = OldClientsReport::open(&folder, clock.now());
    let duties = Duties::with(hooks(config, &network, &client_tls)?);
    let sign_in = sign_in(config, &network, &client_tls, &clock)?;
    let context = AdminContext {
        store: store.clone(),
        clock: clock.clone(),
        chance: chance.clone(),
        hostname: config.hostname.clone(),
        message_size_max: config.message_size_max,
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        conversations: conversations.clone(),
        counts: Some(counts.clone()),
        certificates: view,
        people: People::new(doors.admin_address, demands_factor(config)).with_sign_in(sign_in),
        dns: Some(dns(config, &network)),
        site: site(config),
        findings: Findings::default(),
        outbound: Some(outbound(config, &network, &client_tls, &logins)),
        duties: duties.clone(),
        premises: Some(premises(config, &folder, doors.listening())),
        rounds: Rounds::default(),
    };
    let by = (&*folder, &clock, &chance);
    let held = hold(config, doors.beside, &mut certificates, &store, by);
    beginning::note_installation(&context).await;
    let admin_service = start_admin(context, socket, (doors.admin, doors.publishing))?;
    let receiving = ReceiveContext {
        store: store.clone(),
        clock: clock.clone(),
        chance: chance.clone(),
        network: network.clone(),
        certificates: seen,
        old_clients: old_clients.list.clone(),
        issuers: issuers(config, &clock)?,
        conversations,
        checkers: checkers(config, &network, &clock),
        counts,
        options: receive_options(config),
    };
    let mail = (&*doors.mail, &*doors.mail_addresses, doors.listeners);
    let receive = start_receiving(receiving, mail, tls, &duties);
    tokio::spawn(tell_dnssec(network.clone()));
    let exports = exports(config, (&store, &clock, &metrics), (&network, &client_tls))?;
    let beneath = (&store, &clock, chance);
    let way_out = (network, client_tls, web, logins);
    let deliver = start_delivering(config, beneath, way_out, &reply_rules);
    readiness.enter(Phase::Serving);
    Ok(Server {
        store,
        metrics,
        listeners: doors.mail_addresses,
        admin: doors.admin_address,
        clock,
        readiness,
        receive,
        deliver,
        admin_service,
        certificates: Mutex::new(certificates),
        _held: held,
        exports,
        old_clients: Mutex::new(old_clients),
        reply_rules: Mutex::new(reply_rules),
    })
}

/// Events for other programs, where the bootstrap file names some.
fn exports(
    config: &Config,
    (store, clock, metrics): (&Store, &Clock, &Metrics),
    (network, tls): (&Network, &ClientTls),
) -> Result<Exports, StartError> {
    let around = Surroundings {
        store: store.clone(),
        network: network.clone(),
        tls: tls.clone(),
        hooks: hooks(config, network, tls)?,
        clock: clock.clone(),
        metrics: metrics.clone(),
    };
    Ok(export::start(config, &around))
}

fn start_delivering(
    config: &Config,
    (store, clock, chance): (&Store, &Clock, Chance),
    (network, tls, web, logins): (Network, ClientTls, Web, Logins),
    reply_rules: &ReplyRuleFile,
) -> DeliverService {
    DeliverService::start(DeliverContext {
        store: store.clone(),
        clock: clock.clone(),
        chance,
        network,
        tls,
        reply_rules: reply_rules.rules(),
        web,
        logins,
        options: deliver_options(config),
    })
}

/// Who may be asked about content.
fn checkers(config: &Config, network: &Network, clock: &Clock) -> Checkers {
    let known = config.content_checkers.clone();
    Checkers::new(known, network.clone(), clock.clone())
}

/// Whether DANE can apply here, for the log: nobody misses what they never had.
async fn tell_dnssec(network: Network) {
    match network.resolver().dnssec().await {
        Dnssec::Validated => tracing::info!("the name servers validate DNSSEC: DANE applies"),
        Dnssec::NotValidated => {
            tracing::info!("the name servers do not validate DNSSEC: DANE does not apply");
        }
        Dnssec::NotBelieved => tracing::info!(
            "DANE does not apply: no name server is on this machine, and [dns] trusted is false"
        ),
        Dnssec::Unknown(because) => {
            tracing::warn!(%because, "whether DANE applies is not known: no name server answers");
        }
    }
}

/// The data folder, which must be ours.
fn own_folder(path: &Path) -> Result<PathBuf, StartError> {
    let folder = absolute(path);
    check_owner(&folder)?;
    Ok(folder)
}

fn socket_within_bounds(folder: &Path) -> Result<PathBuf, StartError> {
    let socket = control_socket(folder);
    if socket.as_os_str().len() > SOCKET_PATH_OCTETS_MAX {
        return Err(StartError::LongPath(socket));
    }
    Ok(socket)
}

/// From the listeners, and from programs that hand mail in.
fn start_receiving(
    context: ReceiveContext,
    (configured, addresses, listeners): (&[ListenerConfig], &[SocketAddr], Vec<Listener>),
    tls: Vec<ListenerTls>,
    duties: &Duties,
) -> ReceiveService {
    let options = listener_options(configured, addresses, tls);
    let listeners = listeners.into_iter().zip(options).collect();
    let receive = ReceiveService::start(context, listeners);
    duties.entrance.open(Inside::of(&receive));
    receive
}

fn start_admin(
    context: AdminContext,
    socket: PathBuf,
    (listener, publishing): (Option<Listener>, Option<Publishing>),
) -> Result<AdminService, StartError> {
    let started = AdminService::start(context, socket.clone(), listener, publishing);
    started.map_err(|error| StartError::Socket {
        socket,
        because: error.to_string(),
    })
}

/// Those whose tokens count.
fn issuers(config: &Config, clock: &Clock) -> Result<Issuers, StartError> {
    if config.issuers.is_empty() {
        return Ok(Issuers::none(clock));
    }
    let read = |file: &PathBuf| {
        std::fs::read(file)
            .map_err(|error| StartError::Issuers(format!("{}: {error}", file.display())))
    };
    let roots = config.deliver.extra_ca.iter().map(read);
    let roots = roots.collect::<Result<Vec<_>, _>>()?;
    Issuers::new(config.issuers.clone(), &roots, clock.clone()).map_err(StartError::Issuers)
}

/// How people sign in with an issuer, where one is set up.
fn sign_in(
    config: &Config,
    network: &Network,
    tls: &ClientTls,
    clock: &Clock,
) -> Result<SignInClient, StartError> {
    let admin = config.admin.as_ref();
    let options = WebOptions {
        roots: tls.roots(),
        port: config.deliver.https_port,
        allow_private: admin.is_some_and(|admin| admin.allow_private_issuer),
    };
    let made = SignInClient::new(network.resolver(), options, clock.clone());
    made.map_err(StartError::Issuers)
}

/// The keeper of the certificate by ACME, and the door for policies.
fn hold(
    config: &Config,
    beside: Beside,
    certificates: &mut Certificates,
    store: &Store,
    (folder, clock, chance): (&Path, &Clock, &Chance),
) -> Held {
    let mut following = JoinSet::new();
    following.spawn(follow_restrictions(store.clone(), clock.clone()));
    Held {
        _following: following,
        _keeper: keeper(config, beside.challenge, folder, (clock, chance)),
        _policies: policies(config, beside.policies, certificates, store),
    }
}

/// The queue follows what is restricted: in a task of its own, as a look through a long queue takes
/// minutes, and housekeeping has other things to do each second. Never ends.
async fn follow_restrictions(store: Store, clock: Clock) {
    loop {
        store.follow_restrictions(clock.steady_now()).await;
        clock.sleep(MAINTENANCE_INTERVAL).await;
    }
}

/// Shows policies of MTA-STS, if that is wanted.
fn policies(
    config: &Config,
    listener: Option<Listener>,
    certificates: &mut Certificates,
    store: &Store,
) -> Option<PolicyService> {
    let shown = config.mta_sts.as_ref()?;
    let files = (&*shown.certificate, shown.private_key.as_deref());
    let certificates = certificates.of_files(files, Clock::system().now());
    let hostname = config.hostname.clone();
    Some(PolicyService::start(
        listener?,
        certificates,
        store.clone(),
        hostname,
    ))
}

/// Keeps the certificate by ACME, if one is wanted.
fn keeper(
    config: &Config,
    challenge: Option<Listener>,
    folder: &Path,
    (clock, chance): (&Clock, &Chance),
) -> Option<Keeper> {
    let acme = config.acme.clone()?;
    let name = Domain::parse(&config.hostname).ok()?;
    Some(Keeper::start(
        (acme, name),
        folder.join("tls"),
        challenge?,
        (clock.clone(), chance.split()),
    ))
}

impl Server {
    /// One second's housekeeping, then the pause until the next.
    pub(crate) async fn keep_house(&self) {
        let due = self.certificates().keep(self.clock.now());
        due.into_iter().for_each(|event| self.store.record(event));
        let settings = self.store.settings();
        let report = self.old_clients().keep(&settings, self.clock.now());
        report
            .into_iter()
            .for_each(|event| self.store.record(event));
        let rules = self
            .reply_rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(self.clock.now());
        rules.into_iter().for_each(|event| self.store.record(event));
        // A clock that is ahead for a moment ends no restriction and no suspension.
        let (now, steady) = (self.clock.now(), self.clock.steady_now());
        self.store.maintain_by(now, steady).await;
        self.metrics.set_connections(self.receive.connections());
        self.clock.sleep(MAINTENANCE_INTERVAL).await;
    }

    fn old_clients(&self) -> MutexGuard<'_, OldClientsReport> {
        self.old_clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The certificates of its listeners.
    pub(crate) fn certificates(&self) -> MutexGuard<'_, Certificates> {
        self.certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no new mail, ends what is under way, writes what waits: 30 seconds at most.
    pub(crate) async fn drain(self) {
        self.readiness.enter(Phase::Draining);
        self.old_clients().write();
        tokio::join!(
            self.receive.drain(MAIL_DRAIN_TIME),
            self.deliver.drain(MAIL_DRAIN_TIME)
        );
        self.admin_service.drain(ADMIN_DRAIN_TIME).await;
        self.store.close(STORE_CLOSE_TIME).await;
        self.exports.end().await;
    }
}

/// The API over the data folder, without a server, for questions.
pub(crate) async fn open_for_reading(config: &Config) -> Result<LocalApi, StartError> {
    let folder = absolute(&config.data_dir);
    let store = Store::open_for_reading(folder.clone(), config.mode)
        .await
        .map_err(|error| StartError::Store {
            folder: folder.clone(),
            because: error.to_string(),
        })?;
    let clock = Clock::system();
    Ok(LocalApi::new(AdminContext {
        store,
        metrics: Metrics::new(clock.now()),
        clock,
        chance: Chance::system(),
        hostname: config.hostname.clone(),
        message_size_max: config.message_size_max,
        readiness: Readiness::new(Phase::NotRunning),
        conversations: Conversations::default(),
        counts: None,
        certificates: CertificateView::default(),
        people: People::new(None, false),
        dns: None,
        site: site(config),
        findings: Findings::default(),
        outbound: None,
        duties: Default::default(),
        premises: Some(premises(config, &folder, wanted(config))),
        rounds: Rounds::default(),
    }))
}

/// What was sent before the start, for limits. Without it mail is counted anew, and goes on.
async fn counts_of(store: &Store, now: Timestamp) -> Counts {
    let counts = Counts::default();
    if let Err(error) = relais_store::counts::load(store, &counts, now).await {
        tracing::warn!(%error, "limits are counted anew: what was sent before cannot be read");
    }
    counts
}

/// The path from the root, so that messages name it fully.
pub(crate) fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Root must not write into the folder of the service's own user: the service could not read it
/// any more.
fn check_owner(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = std::fs::metadata(folder) else {
        return Ok(());
    };
    if rustix::process::geteuid().is_root() && found.uid() != 0 {
        return Err(StartError::ForeignFolder {
            folder: folder.to_owned(),
            owner: found.uid(),
        });
    }
    Ok(())
}

async fn open_store(
    config: &Config,
    folder: &Path,
    now: Timestamp,
    metrics: &Metrics,
    sink: EventSink,
) -> Result<Store, StartError> {
    let observer = metrics.clone();
    let options = OpenOptions {
        folder: folder.to_owned(),
        mode: config.mode,
        disk_reserve: config.disk_reserve,
        trace_days: config.trace_days,
        observer: Arc::new(move |event: &Event, json: &str| {
            observer.observe(event);
            sink(event, json);
        }),
        now,
    };
    let store = open(options).await.map_err(|error| StartError::Store {
        folder: folder.to_owned(),
        because: error.to_string(),
    })?;
    store.keep_dialogues(config.dialogue_days);
    store.keep_content(config.content_days);
    metrics.begin_balance(store.recipients_at_open());
    Ok(store)
}

#[cfg(not(feature = "broken-twins"))]
async fn open(options: OpenOptions) -> Result<Store, StoreError> {
    Store::open(options).await
}

/// Only in builds for the fault gates: the environment says which promise is broken.
#[cfg(feature = "broken-twins")]
async fn open(options: OpenOptions) -> Result<Store, StoreError> {
    use relais_store::store::BrokenTwin;

    let twin = match std::env::var("RELAIS_BROKEN_TWIN").as_deref() {
        Ok("sync-dropped") => BrokenTwin::SyncDropped,
        Ok("commit-early") => BrokenTwin::CommitEarly,
        Ok("lease-forgotten") => BrokenTwin::LeaseForgotten,
        Ok(other) => {
            return Err(StoreError::Fault(format!(
                "RELAIS_BROKEN_TWIN: no twin \"{other}\""
            )));
        }
        Err(_) => return Store::open(options).await,
    };
    Store::open_broken(options, twin).await
}

/// The real network, with these name servers (none: the system's).
pub(crate) fn network(nameservers: &[SocketAddr]) -> Result<Network, StartError> {
    network_with(&ResolverOptions {
        nameservers: nameservers.to_vec(),
        trusted: false,
    })
}

/// By the name servers of the configuration.
fn network_of(config: &Config) -> Result<Network, StartError> {
    network_with(&ResolverOptions {
        nameservers: config.nameservers.clone(),
        trusted: config.nameservers_trusted,
    })
}

fn open_reply_rules(config: &Config) -> Result<ReplyRuleFile, StartError> {
    ReplyRuleFile::open(config.deliver.reply_rules.clone()).map_err(StartError::ReplyRules)
}

/// What smart hosts are logged in at with.
fn logins(
    config: &Config,
    (store, clock): (&Store, &Clock),
    (tls, resolver): (&ClientTls, &Resolver),
) -> Logins {
    let vault = StoreVault::new(store.clone(), clock.clone(), secrets::read_file);
    let issuers = TokenClient::new(
        tls.roots(),
        resolver,
        config.deliver.allow_private_destinations,
    )
    .inspect_err(|error| tracing::error!("no tokens can be asked for: {error}"));
    Logins::with_issuers(vault, clock.clone(), issuers.ok())
}

/// How the API reaches smart hosts, when a person tests them.
fn outbound(config: &Config, network: &Network, tls: &ClientTls, logins: &Logins) -> Outbound {
    Outbound {
        network: network.clone(),
        tls: tls.clone(),
        logins: logins.clone(),
        greeting_name: deliver_options(config).greeting_name().into(),
        smtp_port: config.deliver.smtp_port,
        allow_private: config.deliver.allow_private_destinations,
    }
}

/// Whom we believe about next hops.
fn client_tls(config: &Config) -> Result<ClientTls, StartError> {
    certificates::of_next_hops(&config.deliver.extra_ca).map_err(StartError::Authorities)
}

/// Web servers of mail domains, by the same authorities.
fn web(config: &Config, network: &Network, tls: &ClientTls) -> Result<Web, StartError> {
    let deliver = &config.deliver;
    let options = WebOptions {
        roots: tls.roots(),
        port: deliver.https_port,
        allow_private: deliver.allow_private_destinations,
    };
    Web::new(network.resolver().clone(), options).map_err(StartError::Authorities)
}

/// Posts to addresses that administrators name, by the same authorities.
fn hooks(config: &Config, network: &Network, tls: &ClientTls) -> Result<Hooks, StartError> {
    let options = WebOptions {
        roots: tls.roots(),
        port: config.deliver.https_port,
        allow_private: false,
    };
    Hooks::new(network.resolver(), &options).map_err(StartError::Authorities)
}

fn network_with(options: &ResolverOptions) -> Result<Network, StartError> {
    let resolver = Resolver::new(options).map_err(|error| StartError::Dns(error.to_string()))?;
    Ok(Network::system(resolver))
}

fn receive_options(config: &Config) -> ReceiveOptions {
    ReceiveOptions {
        hostname: config.hostname.clone(),
        message_size_max: config.message_size_max,
        connections_max: config.connections_max,
        connections_per_stranger_max: CONNECTIONS_PER_STRANGER_MAX,
        // A known client may be a gateway for thousands: only the total bounds it.
        connections_per_client_max: config.connections_max,
    }
}

fn deliver_options(config: &Config) -> DeliverOptions {
    DeliverOptions {
        hostname: config.hostname.clone(),
        smtp_port: config.deliver.smtp_port,
        tls_reports: config.deliver.tls_reports,
        tls_report_organisation: config.deliver.tls_report_organisation.clone(),
        allow_private_destinations: config.deliver.allow_private_destinations,
        source_addresses: config.deliver.source_addresses.clone(),
        ip_version: config.deliver.ip_version,
        connections_max: OUTBOUND_CONNECTIONS_MAX,
    }
}

fn listener_options(
    configured: &[ListenerConfig],
    addresses: &[SocketAddr],
    tls: Vec<ListenerTls>,
) -> Vec<ListenerOptions> {
    let listeners = configured.iter().zip(addresses).zip(tls);
    let options = listeners.map(|((one, address), tls)| ListenerOptions {
        address: *address,
        submission: one.submission,
        preset: one.preset,
        bounds: one.legacy.clone(),
        proxies: one.proxies.clone(),
        tls,
    });
    options.collect()
}

/// What listeners and the admin centre show, and the view of it for people.
fn open_certificates(
    config: &Config,
    doors: &Doors,
    folder: &Path,
    now: Timestamp,
) -> (Certificates, Vec<ListenerTls>, CertificateView) {
    let served = (&*doors.mail, config.acme.as_ref());
    let (mut certificates, tls) = Certificates::open(served, &config.hostname, folder, now);
    let admin = config.admin.as_ref();
    let of_centre =
        admin.and_then(|admin| certificates.of_centre(&admin.tls, &config.hostname, folder, now));
    let mut of_listeners = certificates::shown(&doors.mail_addresses, &tls);
    of_listeners.extend(doors.admin_address.zip(of_centre.clone()));
    let view = CertificateView {
        of_listeners,
        of_clients: SeenCertificates::new(),
        of_centre,
    };
    (certificates, tls, view)
}

/// Where listeners should be, and where the admin centre.
type Places = (Vec<(ListenerConfig, SocketAddr)>, Option<SocketAddr>);

/// As configured, where nothing listens.
fn wanted(config: &Config) -> Places {
    let listeners = config.listeners.iter();
    let listeners = listeners.map(|one| (one.clone(), one.address));
    let admin = config.admin.as_ref();
    (listeners.collect(), admin.map(|admin| admin.address))
}

/// What the self-checks look at.
fn premises(config: &Config, folder: &Path, (listeners, admin): Places) -> Arc<Premises> {
    let unnamed = match config.acme {
        Some(_) => CertificateOrigin::Acme,
        None => CertificateOrigin::Own,
    };
    let door = |(one, address): (ListenerConfig, SocketAddr)| Door {
        address,
        takes_mail: true,
        implicit_tls: one.tls == TlsMode::Implicit,
        key_file: certificates::key_file(one.tls, &one, folder),
        origin: (one.tls != TlsMode::None).then(|| match &one.certificate {
            Some(file) => CertificateOrigin::File(file.clone()),
            None if one.legacy.is_some() => CertificateOrigin::Own,
            None => unnamed.clone(),
        }),
        proxies: one.proxies,
        bounds: one.legacy,
    };
    let of_centre = config.admin.as_ref().map(|admin| &admin.tls);
    let of_centre = match of_centre {
        None | Some(AdminTls::None) => None,
        Some(AdminTls::Own) => Some(unnamed.clone()),
        Some(AdminTls::Files { certificate, .. }) => {
            Some(CertificateOrigin::File(certificate.clone()))
        }
    };
    let centre = admin.map(|address| Door {
        address,
        takes_mail: false,
        implicit_tls: false,
        proxies: Vec::new(),
        key_file: None,
        origin: of_centre,
        bounds: None,
    });
    let doors = listeners.into_iter().map(door).chain(centre);
    Arc::new(Premises {
        data_dir: folder.to_owned(),
        doors: doors.collect(),
        disk_reserve: config.disk_reserve,
        connections_max: config.connections_max as u64,
        port25_probes: config.port25_probes.clone(),
        time_servers: config.time_servers.clone(),
    })
}

/// Who we are to receivers.
fn site(config: &Config) -> Site {
    Site {
        hostname: config.hostname.clone(),
        source_addresses: config.deliver.source_addresses.clone(),
        zone: config
            .authoritative_dns
            .as_ref()
            .map(|own| own.zone.clone()),
        shows_policies: config.mta_sts.is_some(),
    }
}

/// Where domains are not the operator's own, their owners do not lead us to private addresses.
fn dns(config: &Config, network: &Network) -> Dns {
    Dns {
        resolver: network.resolver().clone(),
        authority: AuthorityOptions {
            port: config.authoritative_port,
            private_servers: config.mode == Mode::Lan || config.deliver.allow_private_destinations,
        },
        blocklists: config.blocklists.clone(),
        names: NameTable::default(),
        changed: Arc::default(),
    }
}

/// Small doors of the web.
#[derive(Default)]
struct Beside {
    /// For challenges of ACME.
    challenge: Option<Listener>,
    /// For policies of MTA-STS.
    policies: Option<Listener>,
}

/// Open listening sockets.
struct Doors {
    /// As configured, in the order in which they were opened.
    mail: Vec<ListenerConfig>,
    listeners: Vec<Listener>,
    mail_addresses: Vec<SocketAddr>,
    admin: Option<Listener>,
    admin_address: Option<SocketAddr>,
    beside: Beside,
    /// For questions about our zone.
    publishing: Option<Publishing>,
}

impl Doors {
    /// Where they really are: a port may have been left to the system.
    fn listening(&self) -> Places {
        let listeners = self
            .mail
            .iter()
            .cloned()
            .zip(self.mail_addresses.iter().copied());
        (listeners.collect(), self.admin_address)
    }

    async fn open(network: &Network, config: &Config) -> Result<Self, StartError> {
        let mut doors = Self {
            mail: Vec::new(),
            listeners: Vec::new(),
            mail_addresses: Vec::new(),
            admin: None,
            admin_address: None,
            beside: Beside::default(),
            publishing: None,
        };
        let mut wanted: Vec<ListenerConfig> = config.listeners.clone();
        // `[::]` would take IPv4's port too if it came first.
        wanted.sort_by_key(|listener| listener.address.is_ipv6());
        for one in wanted {
            let listener = listen(network, one.address).await?;
            let address = listener.local_address().unwrap_or(one.address);
            doors.mail_addresses.push(address);
            doors.listeners.push(listener);
            doors.mail.push(one);
        }
        if let Some(admin) = &config.admin {
            let listener = listen(network, admin.address).await?;
            doors.admin_address = Some(listener.local_address().unwrap_or(admin.address));
            doors.admin = Some(listener);
        }
        if let Some(acme) = &config.acme {
            doors.beside.challenge = Some(listen(network, acme.address).await?);
        }
        if let Some(shown) = &config.mta_sts {
            let listener = listen(network, shown.address).await?;
            let address = listener.local_address().unwrap_or(shown.address);
            tracing::info!(%address, "policies of MTA-STS are shown");
            doors.beside.policies = Some(listener);
        }
        if let Some(own) = &config.authoritative_dns {
            doors.publishing = Some(publish(own).await?);
        }
        Ok(doors)
    }
}

/// Nothing is in the zone yet: it is filled as soon as the settings are read.
async fn publish(own: &AuthoritativeDnsConfig) -> Result<Publishing, StartError> {
    let zone = OwnZone::new(&own.zone, &own.name_servers, 0, &[]);
    let zone = zone.map_err(|error| StartError::Dns(error.to_string()))?;
    let server = OwnDns::start(own.address, zone).await;
    let server = server.map_err(|error| not_listening(own.address, &error))?;
    tracing::info!(address = %server.address(), zone = %own.zone, "our own zone is served");
    Ok(Publishing {
        server,
        name_servers: own.name_servers.clone(),
        addresses: own.addresses.clone(),
    })
}

async fn listen(network: &Network, address: SocketAddr) -> Result<Listener, StartError> {
    let listening = network.listen(address).await;
    listening.map_err(|error| not_listening(address, &error))
}

/// Cause and fix.
fn not_listening(address: SocketAddr, error: &io::Error) -> StartError {
    let because = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE (see packaging/relais.service); or choose another port than {}",
            address.port()
        ),
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it, or choose another address".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    };
    StartError::Listen { address, because }
}

/// Whether nobody uses the admin centre without a second factor.
fn demands_factor(config: &Config) -> bool {
    config
        .admin
        .as_ref()
        .is_some_and(|admin| admin.demands_factor)
}
