//! The bootstrap file `relais.toml`: what must be known before the store is open. Everything else
//! is settings, kept in the store.
//!
//! Not here: the settings document (`relais_policy::document`).

mod read;
mod tree;
pub(crate) mod keys;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use relais_net::acme::{AcmeServer, ChallengeKind};
use relais_net::content_check::{CheckerOptions, CheckerPlace};
use relais_net::oidc::{IssuerOptions, is_safe};
use relais_policy::content::CheckerKind;
use relais_policy::document::IpVersion;
use relais_policy::old_tls::ListenerBounds;
use relais_policy::settings::{HostPort, Mode};
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use read::{Mistakes, Reader};
use tree::Tree;
pub(crate) use tree::{Mistake, Place};

/// The master key of the secrets, in the environment. Its name only: its value is no setting.
pub(crate) const KEY_VARIABLE: &str = "RELAIS_SECRET_KEY";
/// Where the file is looked for when nobody names one.
const SYSTEM_FILE: &str = "/etc/relais/relais.toml";
/// Data folder of the system's service.
const SYSTEM_DATA_DIR: &str = "/var/lib/relais";
/// Data folder of everybody else.
const OWN_DATA_DIR: &str = "relais-data";
/// Largest bootstrap file in octets: a thousand listeners with long comments fit.
const FILE_OCTETS_MAX: u64 = 1 << 20;
/// Where Rspamd's normal worker listens.
const RSPAMD_PORT: u16 = 11333;
/// Where clamd listens, if it is told to listen by TCP.
const CLAMD_PORT: u16 = 3310;
/// Where OpenDKIM's documentation has a milter listen; no port is registered.
const MILTER_PORT: u16 = 8891;
/// Of syslog over TLS. RFC 5425 §4.1.
const SYSLOG_PORT: u16 = 6514;
/// Smallest `message_size_max`: RFC 5321 §4.5.3.1.7 asks for 64 KiB.
const MESSAGE_SIZE_LEAST: u64 = 64 << 10;
/// Largest `message_size_max`: sizes are announced and counted in 31 bits by many peers.
const MESSAGE_SIZE_MOST: u64 = 2 << 30;

/// The bootstrap file, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Which file was read, if any.
    pub(crate) file: Option<PathBuf>,
    pub(crate) hostname: String,
    /// As written, or the default; made absolute by the wiring.
    pub(crate) data_dir: PathBuf,
    pub(crate) mode: Mode,
    /// Never empty.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Whose tokens count as logins.
    pub(crate) issuers: Vec<IssuerOptions>,
    /// Who may be asked about content.
    pub(crate) content_checkers: Vec<CheckerOptions>,
    /// A certificate for the hostname is ordered and kept fresh.
    pub(crate) acme: Option<AcmeConfig>,
    /// Where policies of MTA-STS are shown.
    pub(crate) mta_sts: Option<MtaStsConfig>,
    /// None: closed.
    pub(crate) admin: Option<AdminConfig>,
    pub(crate) nameservers: Vec<SocketAddr>,
    pub(crate) nameservers_trusted: bool,
    /// Asked of addresses that a person looks at.
    pub(crate) blocklists: Vec<Domain>,
    /// Targets of the outbound check.
    pub(crate) port25_probes: Vec<String>,
    /// Whose time ours is compared with.
    pub(crate) time_servers: Vec<String>,
    /// Where the servers that answer for a domain are asked.
    pub(crate) authoritative_port: u16,
    /// A zone of our own is served.
    pub(crate) authoritative_dns: Option<AuthoritativeDnsConfig>,
    pub(crate) deliver: DeliverConfig,
    /// Octets.
    pub(crate) message_size_max: u64,
    pub(crate) connections_max: usize,
    /// Octets.
    pub(crate) disk_reserve: u64,
    pub(crate) trace_days: u32,
    pub(crate) dialogue_days: u32,
    pub(crate) content_days: u32,
    pub(crate) log: LogConfig,
    /// Events go to a syslog server too.
    pub(crate) syslog: Option<SyslogConfig>,
    /// Traces go to this collector.
    pub(crate) otlp: Option<String>,
    /// What is accepted and has no effect yet, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// One door for mail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListenerConfig {
    pub(crate) address: SocketAddr,
    /// AUTH is required.
    pub(crate) submission: bool,
    pub(crate) preset: Preset,
    /// Peers that may, and must, send a PROXY header.
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) tls: TlsMode,
    /// `None`: the self-signed one.
    pub(crate) certificate: Option<PathBuf>,
    /// `None`: beside the certificate, or in it.
    pub(crate) private_key: Option<PathBuf>,
    /// Further authorities for client certificates.
    pub(crate) client_ca: Vec<PathBuf>,
    /// The subject's common name counts where there is no alternative name.
    pub(crate) certificate_common_name: bool,
    /// It speaks old TLS, within these bounds.
    pub(crate) legacy: Option<ListenerBounds>,
}

/// The door of the admin centre.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AdminConfig {
    pub(crate) address: SocketAddr,
    pub(crate) tls: AdminTls,
    /// Single sign-on reaches private addresses.
    pub(crate) allow_private_issuer: bool,
    /// Nobody goes on without a second factor.
    pub(crate) demands_factor: bool,
}

/// How browsers come in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AdminTls {
    /// In clear: loopback only.
    None,
    /// The installation's certificate by ACME, where one is kept; else a self-signed one.
    Own,
    /// A certificate of its own.
    Files {
        certificate: PathBuf,
        /// `None`: beside the certificate, or in it.
        private_key: Option<PathBuf>,
    },
}

/// `[mta_sts]` with an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct MtaStsConfig {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: PathBuf,
    /// `None`: beside the certificate, or in it.
    pub(crate) private_key: Option<PathBuf>,
}

/// `[acme]` with a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AcmeConfig {
    pub(crate) server: AcmeServer,
    /// `mailto:…`, or empty.
    pub(crate) contact: String,
    pub(crate) challenge: ChallengeKind,
    /// Where the challenge is answered.
    pub(crate) address: SocketAddr,
}

/// `[authoritative_dns]` with an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AuthoritativeDnsConfig {
    pub(crate) address: SocketAddr,
    pub(crate) zone: Domain,
    /// Never empty, if the hostname is a name.
    pub(crate) name_servers: Vec<Domain>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// TLS of a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TlsMode {
    None,
    StartTls,
    Implicit,
}

/// How mail leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DeliverConfig {
    pub(crate) smtp_port: u16,
    pub(crate) https_port: u16,
    pub(crate) tls_reports: bool,
    pub(crate) tls_report_organisation: String,
    /// Further roots.
    pub(crate) extra_ca: Vec<PathBuf>,
    pub(crate) allow_private_destinations: bool,
    pub(crate) source_addresses: Vec<IpAddr>,
    pub(crate) ip_version: IpVersion,
    /// A file of rules about replies.
    pub(crate) reply_rules: Option<PathBuf>,
}

/// What is written to standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LogConfig {
    /// `None`: nobody chose; JSON, or text at a terminal.
    pub(crate) format: Option<LogFormat>,
    pub(crate) level: LogLevel,
    /// Lines of format `postfix` bear this program's name.
    pub(crate) compat_tag: CompatTag,
}

/// The program's name in lines of format `postfix`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CompatTag {
    Relais,
    Postfix,
}

/// `[syslog]` with an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SyslogConfig {
    pub(crate) place: HostPort,
    pub(crate) format: LogFormat,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogFormat {
    Json,
    /// With the names of the Elastic Common Schema.
    Ecs,
    Text,
    /// The phrases of Postfix, for programs that read its log.
    Postfix,
}

/// The least grave messages that are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {because}", .file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// In words.
        because: String,
    },
    /// The file, or a variable, says something that cannot be.
    #[error("{}", sentences(.file.as_deref(), .mistakes))]
    Wrong {
        /// Which file, if one was read.
        file: Option<PathBuf>,
        /// All mistakes.
        mistakes: Vec<Mistake>,
    },
}

fn sentences(file: Option<&Path>, mistakes: &[Mistake]) -> String {
    let sentence = |mistake: &Mistake| match (file, &mistake.place) {
        (Some(file), Place::File { .. } | Place::Absent) => {
            format!("{}: {mistake}", file.display())
        }
        (None, _) | (Some(_), Place::Environment(_)) => mistake.to_string(),
    };
    mistakes.iter().map(sentence).collect::<Vec<_>>().join("\n")
}

/// What the file does not say: the machine's name, and who runs us.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// `RELAIS_*` variables.
    pub(crate) variables: Vec<(String, String)>,
    /// The machine's full name, if it has a usable one.
    pub(crate) machine_name: Option<String>,
    /// We run as root.
    pub(crate) root: bool,
}

impl Surroundings {
    /// Of this process.
    pub(crate) fn of_this_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string().ok()?)).filter(|(name, _)| name.starts_with("RELAIS_"))
        });
        Self {
            variables: variables.collect(),
            machine_name: machine_name(),
            root: rustix::process::geteuid().is_root(),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Config {
    /// Finds and reads the file: `named` (`--config`), `$RELAIS_CONFIG`, `/etc/relais/relais.toml`.
    /// Without any, everything has its default.
    pub(crate) fn load(
        named: Option<&Path>,
        data_dir: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let named = named
            .map(Path::to_owned)
            .or_else(|| surroundings.variable("RELAIS_CONFIG").map(PathBuf::from))
            .filter(|file| !file.as_os_str().is_empty());
        let (file, text) = match named {
            Some(file) => {
                let text = read_file(&file)?;
                (Some(file), text)
            }
            None if Path::new(SYSTEM_FILE).exists() => {
                let file = PathBuf::from(SYSTEM_FILE);
                let text = read_file(&file)?;
                (Some(file), text)
            }
            None => (None, String::new()),
        };
        let mut config =
            Self::parse(&text, surroundings).map_err(|mistakes| ConfigError::Wrong {
                file: file.clone(),
                mistakes,
            })?;
        config.file = file;
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir.to_owned();
        }
        Ok(config)
    }

    /// Reads the text of a file, and lays the environment over it.
    pub(crate) fn parse(text: &str, surroundings: &Surroundings) -> Result<Self, Vec<Mistake>> {
        let mut tree = Tree::parse(text).map_err(|mistake| vec![mistake])?;
        let mut warnings = tree.overlay(&surroundings.variables);
        let mistakes = Mistakes::default();
        read::check_names(&tree, &mistakes);
        let config = read_config(&tree, surroundings, &mistakes, &mut warnings);
        let mistakes = mistakes.into_inner();
        if mistakes.is_empty() {
            Ok(Self { warnings, ..config })
        } else {
            Err(mistakes)
        }
    }
}

fn read_file(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |because: String| ConfigError::Unreadable {
        file: file.to_owned(),
        because,
    };
    let size = std::fs::metadata(file)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > FILE_OCTETS_MAX {
        return Err(unreadable(format!("larger than {FILE_OCTETS_MAX} octets")));
    }
    std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))
}

fn read_config(
    tree: &Tree,
    surroundings: &Surroundings,
    mistakes: &Mistakes,
    warnings: &mut Vec<String>,
) -> Config {
    let top = Reader::table(tree, "", mistakes);
    let dns = Reader::table(tree, "dns", mistakes);
    let limits = Reader::table(tree, "limits", mistakes);
    let retention = Reader::table(tree, "retention", mistakes);
    check_store(&Reader::table(tree, "store", mistakes));
    let message_size_max = limits.octets("message_size_max");
    if !(MESSAGE_SIZE_LEAST..=MESSAGE_SIZE_MOST).contains(&message_size_max) {
        limits.mistake(
            "message_size_max",
            "limits.message_size_max: write 64 KiB to 2 GiB".into(),
        );
    }
    let hostname = read_hostname(&top, surroundings, warnings);
    let mode = match top.text("mode").as_str() {
        "hosted" => Mode::Hosted,
        _ => Mode::Lan,
    };
    let deliver = read_deliver(&Reader::table(tree, "deliver", mistakes));
    let own = Reader::table(tree, "authoritative_dns", mistakes);
    let egress = &deliver.source_addresses;
    Config {
        file: None,
        authoritative_dns: read_authoritative_dns(&own, &hostname, egress),
        issuers: read_issuers(tree, mistakes, mode),
        content_checkers: read_content_checkers(tree, mistakes),
        acme: read_acme(&Reader::table(tree, "acme", mistakes), &hostname),
        mta_sts: read_mta_sts(&Reader::table(tree, "mta_sts", mistakes)),
        hostname,
        data_dir: top
            .text_or("data_dir", || {
                if surroundings.root {
                    SYSTEM_DATA_DIR
                } else {
                    OWN_DATA_DIR
                }
                .to_owned()
            })
            .into(),
        mode,
        listeners: {
            let legacy = read_legacy(&Reader::table(tree, "legacy_listener", mistakes));
            let mut listeners = read_listeners(tree, mistakes, warnings);
            listeners.extend(legacy);
            listeners
        },
        admin: read_admin(&Reader::table(tree, "admin", mistakes), warnings),
        nameservers: dns.servers("nameservers", 53),
        nameservers_trusted: dns.boolean("trusted"),
        blocklists: dns.names("blocklists"),
        port25_probes: dns.targets("port25_probes"),
        time_servers: dns.targets("time_servers"),
        authoritative_port: u16::try_from(dns.integer("authoritative_port")).unwrap_or(53),
        deliver,
        message_size_max,
        connections_max: usize::try_from(limits.integer("connections_max")).unwrap_or(usize::MAX),
        disk_reserve: limits.octets("disk_reserve"),
        trace_days: u32::try_from(retention.integer("trace_days")).unwrap_or(u32::MAX),
        dialogue_days: u32::try_from(retention.integer("dialogue_days")).unwrap_or(u32::MAX),
        content_days: u32::try_from(retention.integer("content_days")).unwrap_or(0),
        log: read_log(&Reader::table(tree, "log", mistakes)),
        syslog: read_syslog(&Reader::table(tree, "syslog", mistakes)),
        otlp: read_otlp(&Reader::table(tree, "otlp", mistakes)),
        warnings: Vec::new(),
    }
}

/// Off without an address.
fn read_authoritative_dns(
    own: &Reader<'_>,
    hostname: &str,
    source_addresses: &[IpAddr],
) -> Option<AuthoritativeDnsConfig> {
    let (address, zone) = (own.socket("address"), own.text("zone"));
    let name_servers = own.names("name_servers");
    let addresses = own.addresses("addresses");
    let Some(address) = address else {
        if !zone.is_empty() {
            let message = "authoritative_dns.zone: its address is missing; write address";
            own.mistake("zone", message.to_owned());
        }
        return None;
    };
    let Ok(zone) = Domain::parse(&zone) else {
        let message = "authoritative_dns.zone: write the zone that is delegated to this server";
        own.mistake("zone", message.to_owned());
        return None;
    };
    Some(AuthoritativeDnsConfig {
        address,
        zone,
        name_servers: if name_servers.is_empty() {
            Domain::parse(hostname).into_iter().collect()
        } else {
            name_servers
        },
        addresses: if addresses.is_empty() {
            source_addresses.to_vec()
        } else {
            addresses
        },
    })
}

fn read_hostname(
    top: &Reader<'_>,
    surroundings: &Surroundings,
    warnings: &mut Vec<String>,
) -> String {
    top.text_or("hostname", || match &surroundings.machine_name {
        Some(name) if name.contains('.') => name.clone(),
        Some(name) => {
            warnings.push(format!(
                "the machine's name \"{name}\" has no domain; write hostname = \"relay.your-domain\" in relais.toml"
            ));
            name.clone()
        }
        None => {
            warnings.push("the machine has no usable name; write hostname = \"relay.your-domain\" in relais.toml".to_owned());
            "localhost".to_owned()
        }
    })
}

fn read_listeners(
    tree: &Tree,
    mistakes: &Mistakes,
    warnings: &mut Vec<String>,
) -> Vec<ListenerConfig> {
    let mut blocks = Reader::blocks(tree, "listener", mistakes);
    if blocks.is_empty() {
        blocks.push(Reader::defaults("listener", mistakes));
    }
    blocks
        .iter()
        .filter_map(|block| read_listener(block, warnings))
        .collect()
}

fn read_listener(block: &Reader<'_>, warnings: &mut Vec<String>) -> Option<ListenerConfig> {
    let address = block.socket("address");
    if address.is_none() && block.given("address") && block.text("address").is_empty() {
        block.mistake(
            "address",
            "listener.address: write an address with port".to_owned(),
        );
    }
    let submission = block.text("role") == "submission";
    let preset = if block.text("preset") == "tolerant" {
        Preset::Tolerant
    } else {
        Preset::Strict
    };
    let proxies = block.networks("proxy_protocol_from");
    let tls = match block.text("tls").as_str() {
        "none" => TlsMode::None,
        "implicit" => TlsMode::Implicit,
        _ => TlsMode::StartTls,
    };
    let path = |key| Some(block.text(key)).filter(|path| !path.is_empty());
    let (certificate, private_key) = (path("certificate"), path("private_key"));
    if certificate.is_none() && private_key.is_some() {
        block.mistake(
            "private_key",
            "listener.private_key: its certificate is missing; write certificate".to_owned(),
        );
    }
    let (client_ca, certificate_common_name) = (
        block.paths("client_ca"),
        block.boolean("certificate_common_name"),
    );
    let address = address?;
    if tls == TlsMode::None && (certificate.is_some() || !client_ca.is_empty()) {
        warnings.push(format!(
            "listener {address} has tls = \"none\": its certificate and client_ca have no effect"
        ));
    }
    Some(ListenerConfig {
        address,
        submission,
        preset,
        proxies,
        tls,
        certificate: certificate.map(PathBuf::from),
        private_key: private_key.map(PathBuf::from),
        client_ca,
        certificate_common_name,
        legacy: None,
    })
}

fn read_admin(admin: &Reader<'_>, warnings: &mut Vec<String>) -> Option<AdminConfig> {
    let (certificate, private_key) = (admin.text("certificate"), admin.text("private_key"));
    let named = |text: String| Some(PathBuf::from(text)).filter(|it| !it.as_os_str().is_empty());
    let (certificate, private_key) = (named(certificate), named(private_key));
    let (tls, address) = (admin.text("tls"), admin.socket("address")?);
    if tls != "file" && (certificate.is_some() || private_key.is_some()) {
        warnings.push(format!(
            "admin.certificate and admin.private_key have no effect with tls = \"{tls}\""
        ));
    }
    let tls = match (tls.as_str(), certificate) {
        ("self-signed", _) => AdminTls::Own,
        ("file", Some(certificate)) => AdminTls::Files {
            certificate,
            private_key,
        },
        ("file", None) => {
            let words = "admin.certificate: tls = \"file\" needs a certificate";
            admin.mistake("tls", words.to_owned());
            return None;
        }
        _ => AdminTls::None,
    };
    if tls == AdminTls::None && !address.ip().is_loopback() {
        admin.mistake(
            "address",
            format!(
                "admin.address: {address} is no loopback address, which tls = \"none\" demands"
            ),
        );
    }
    Some(AdminConfig {
        address,
        tls,
        allow_private_issuer: admin.boolean("allow_private_issuer"),
        demands_factor: admin.text("second_factor") == "required",
    })
}

fn read_deliver(deliver: &Reader<'_>) -> DeliverConfig {
    DeliverConfig {
        extra_ca: deliver.paths("extra_ca"),
        smtp_port: u16::try_from(deliver.integer("smtp_port")).unwrap_or(25),
        https_port: u16::try_from(deliver.integer("https_port")).unwrap_or(443),
        tls_reports: deliver.boolean("tls_reports"),
        tls_report_organisation: deliver.text("tls_report_organisation"),
        allow_private_destinations: deliver.boolean("allow_private_destinations"),
        source_addresses: deliver.addresses("source_addresses"),
        ip_version: ip_version(&deliver.text("ip_version")),
        reply_rules: Some(deliver.text("reply_rules"))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
    }
}

/// The table of keys lets nothing else pass.
fn ip_version(text: &str) -> IpVersion {
    let known = IpVersion::ALL.into_iter().find(|(name, _)| *name == text);
    known.map(|(_, version)| version).unwrap_or_default()
}

fn check_store(store: &Reader<'_>) {
    let _ = store.boolean("require_synchronous");
    let (url, content) = (store.text("url"), store.text("content"));
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        store.mistake(
            "url",
            "store.url: PostgreSQL is not there yet; write \"sqlite\"".to_owned(),
        );
    } else if url != "sqlite" {
        store.mistake(
            "url",
            format!("store.url: \"{url}\" is not known; write \"sqlite\""),
        );
    }
    if content.starts_with("s3://") {
        store.mistake(
            "content",
            "store.content: S3 is not there yet; write \"inline\"".to_owned(),
        );
    } else if content != "inline" {
        store.mistake(
            "content",
            format!("store.content: \"{content}\" is not known; write \"inline\""),
        );
    }
}

/// `[legacy_listener]`, only in builds that have old TLS.
fn read_legacy(legacy: &Reader<'_>) -> Option<ListenerConfig> {
    if !legacy.present() {
        return None;
    }
    let (address, sources) = (
        legacy.socket("address"),
        legacy.networks("source_addresses"),
    );
    let (expires, tls) = (legacy.text("expires"), legacy.text("tls"));
    let path = |key| Some(legacy.text(key)).filter(|path| !path.is_empty());
    let (certificate, private_key) = (path("certificate"), path("private_key"));
    if cfg!(not(feature = "legacy-tls")) {
        let words = "legacy_listener: this program was built without old TLS; build it with \
                     --features legacy-tls (needs libssl-dev), or remove the section";
        legacy.mistake("address", words.to_owned());
        return None;
    }
    if sources.is_empty() {
        let words = "legacy_listener.source_addresses: name the devices that may use it; old TLS is \
                     for nobody else";
        legacy.mistake("source_addresses", words.to_owned());
    }
    // A date was checked by its kind; its first moment is that of UTC.
    let expires = Timestamp::parse_rfc3339(&format!("{expires}T00:00:00Z"))?;
    Some(ListenerConfig {
        address: address?,
        submission: false,
        preset: Preset::Tolerant,
        proxies: Vec::new(),
        tls: if tls == "implicit" {
            TlsMode::Implicit
        } else {
            TlsMode::StartTls
        },
        certificate: certificate.map(PathBuf::from),
        private_key: private_key.map(PathBuf::from),
        client_ca: Vec::new(),
        certificate_common_name: false,
        legacy: Some(ListenerBounds { sources, expires }),
    })
}

/// `[mta_sts]`: none without an address. A certificate that nobody believes would make others
/// distrust the policy, so none is made.
fn read_mta_sts(shown: &Reader<'_>) -> Option<MtaStsConfig> {
    let path = |key| Some(shown.text(key)).filter(|path| !path.is_empty());
    let (certificate, private_key) = (path("certificate"), path("private_key"));
    let address = shown.socket("address")?;
    let Some(certificate) = certificate else {
        let words = "mta_sts.certificate: name a certificate for mta-sts.DOMAIN of each domain that \
                     has a policy; senders believe no other";
        shown.mistake("certificate", words.to_owned());
        return None;
    };
    Some(MtaStsConfig {
        address,
        certificate: PathBuf::from(certificate),
        private_key: private_key.map(PathBuf::from),
    })
}

/// `[acme]`: none without a directory.
fn read_acme(acme: &Reader<'_>, hostname: &str) -> Option<AcmeConfig> {
    let challenge = match acme.text("challenge").as_str() {
        "tls-alpn-01" => ChallengeKind::TlsAlpn01,
        _ => ChallengeKind::Http01,
    };
    let (http, tls) = (acme.socket("http_address"), acme.socket("tls_address"));
    let (contact, extra_ca) = (acme.text("contact"), acme.text("extra_ca"));
    let directory = acme.text("directory");
    if directory.is_empty() {
        return None;
    }
    if !directory.starts_with("https://") {
        let words = format!("acme.directory: \"{directory}\" must begin with https://");
        acme.mistake("directory", words);
    }
    if !contact.is_empty() && !contact.starts_with("mailto:") {
        let words = format!("acme.contact: write \"mailto:{contact}\"");
        acme.mistake("contact", words);
    }
    if !hostname.contains('.') {
        let words =
            format!("acme: hostname \"{hostname}\" is no name that a certificate could be for");
        acme.mistake("directory", words);
    }
    Some(AcmeConfig {
        server: AcmeServer {
            directory,
            extra_ca: (!extra_ca.is_empty()).then(|| extra_ca.into()),
        },
        contact,
        challenge,
        address: match challenge {
            ChallengeKind::Http01 => http?,
            ChallengeKind::TlsAlpn01 => tls?,
        },
    })
}

/// `[[oidc]]`.
fn read_issuers(tree: &Tree, mistakes: &Mistakes, mode: Mode) -> Vec<IssuerOptions> {
    let blocks = Reader::blocks(tree, "oidc", mistakes);
    let read = |block: &Reader<'_>| {
        let _ = (block.text("name"), block.text("client_secret_file"));
        let options = IssuerOptions {
            issuer: block.text("issuer"),
            client_id: block.text("client_id"),
            organisation: Some(block.text("organisation")).filter(|name| !name.is_empty()),
        };
        if mode == Mode::Hosted && options.organisation.is_none() {
            let words = "oidc.organisation: in hosted mode an issuer speaks for one organisation; \
                         name it";
            block.mistake("issuer", words.to_owned());
        }
        if !is_safe(&options.issuer) {
            let words = format!(
                "oidc.issuer: \"{}\" must begin with https://",
                options.issuer
            );
            block.mistake("issuer", words);
        }
        options
    };
    blocks.iter().map(read).collect()
}

fn read_content_checkers(tree: &Tree, mistakes: &Mistakes) -> Vec<CheckerOptions> {
    let blocks = Reader::blocks(tree, "content_checker", mistakes);
    let read = |block: &Reader<'_>| {
        let (kind, port) = match block.text("kind").as_str() {
            "clamav" => (CheckerKind::Clamav, CLAMD_PORT),
            "milter" => (CheckerKind::Milter, MILTER_PORT),
            _ => (CheckerKind::Rspamd, RSPAMD_PORT),
        };
        let (name, address) = (block.text("name"), block.text("address"));
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=63).contains(&name.len()) || !name.bytes().all(letters) {
            let words =
                format!("content_checker.name: \"{name}\" must be 1 to 63 of a-z, 0-9 and -");
            block.mistake("name", words);
        }
        let place = match address.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Some(CheckerPlace::Socket(path.into())),
            Some(_) => None,
            None => HostPort::parse(&address, port).map(CheckerPlace::Host),
        };
        if place.is_none() && !address.is_empty() {
            let words = format!(
                "content_checker.address: \"{address}\" is no place; write \"host:port\" or \
                 \"unix:/path\""
            );
            block.mistake("address", words);
        }
        Some(CheckerOptions {
            name,
            kind,
            place: place?,
        })
    };
    let checkers: Vec<_> = blocks.iter().filter_map(read).collect();
    for (at, one) in checkers.iter().enumerate() {
        if checkers[..at].iter().any(|other| other.name == one.name) {
            let words = format!("content_checker.name: \"{}\" stands there twice", one.name);
            blocks[at].mistake("name", words);
        }
    }
    checkers
}

fn read_log(log: &Reader<'_>) -> LogConfig {
    let format = log_format(&log.text("format"));
    let level = match log.text("level").as_str() {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        _ => LogLevel::Info,
    };
    LogConfig {
        format: log.given("format").then_some(format),
        level,
        compat_tag: match log.text("compat_tag").as_str() {
            "postfix" => CompatTag::Postfix,
            _ => CompatTag::Relais,
        },
    }
}

fn log_format(name: &str) -> LogFormat {
    match name {
        "ecs" => LogFormat::Ecs,
        "text" => LogFormat::Text,
        "postfix" => LogFormat::Postfix,
        _ => LogFormat::Json,
    }
}

fn read_syslog(syslog: &Reader<'_>) -> Option<SyslogConfig> {
    let (address, format) = (syslog.text("address"), log_format(&syslog.text("format")));
    if address.is_empty() {
        return None;
    }
    let Some(place) = HostPort::parse(&address, SYSLOG_PORT) else {
        let words = format!("syslog.address: \"{address}\" is no place; write \"host:port\"");
        syslog.mistake("address", words);
        return None;
    };
    Some(SyslogConfig { place, format })
}

fn read_otlp(otlp: &Reader<'_>) -> Option<String> {
    let endpoint = otlp.text("endpoint");
    if endpoint.is_empty() {
        return None;
    }
    let is_web = |scheme: &&str| {
        endpoint
            .strip_prefix(*scheme)
            .is_some_and(|it| !it.is_empty())
    };
    if !["https://", "http://"].iter().any(is_web) {
        let words = format!("otlp.endpoint: \"{endpoint}\" must begin with https:// or http://");
        otlp.mistake("endpoint", words);
        return None;
    }
    Some(endpoint)
}

/// The machine's full name: its own name, or the first full name that `/etc/hosts` gives for it.
fn machine_name() -> Option<String> {
    // A hardened unit (`ProcSubset=pid`) hides the first of these.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()?;
    let name = name.trim();
    if name.contains('.') {
        return relais_smtp::domain::Domain::parse(name)
            .ok()
            .map(|name| name.to_string());
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let full = hosts.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut names = line.split_whitespace().skip(1);
        let known = names.clone().any(|known| known == name);
        known.then(|| {
            names.find(|full| {
                full.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        })?
    });
    let found = full.unwrap_or(name);
    relais_smtp::domain::Domain::parse(found)
        .ok()
        .map(|name| name.to_string())
}

#[cfg(test)]
mod tests;
