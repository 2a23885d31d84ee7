//! DNS look-ups as the relay needs them, with the validation state of each answer.
//!
//! **Whose word counts about DNSSEC.** Where every name server is on this machine or trusted by the
//! configuration, they are asked by `dns_client`, and their AD bit is believed; they keep answers,
//! we keep none. Else the library asks and keeps, and nothing is taken for proven: on the way to a
//! server elsewhere anybody may set a bit. ADR 0014.
//!
//! DNS only: `/etc/hosts` is not read, as a relay that follows MX records must not see other names
//! than the world does. Not here: what an answer means (`dns_answer`, `relais_policy::route`).

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Resolver as HickoryResolver, TokioResolver};

use relais_policy::dane::Tlsa;
use relais_policy::route::Mx;
use relais_smtp::domain::Domain;

use crate::clock::Chance;
use crate::dns_answer::{
    interpret_addresses, interpret_alias, interpret_mx, interpret_names, interpret_texts,
    interpret_tlsa, join_families,
};
use crate::dns_client::{Recursion, exchange, proves_root};
#[cfg(any(test, feature = "simulation"))]
use crate::simulated_dns::SimulatedDns;

pub use crate::dns_answer::{Answer, DnsError, Validation};

/// One try at one server.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Tries at each server.
const TRIES: usize = 2;
/// Configured servers asked one after the other past the cache; the C library has 3.
const SERVERS_MAX: usize = 3;
/// A whole look-up, with all servers, aliases and TCP.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);
/// Answers kept.
const CACHED_ANSWERS_MAX: u64 = 8_192;
/// Answers are kept no longer than this, whatever their TTL says.
const CACHED_MAX: Duration = Duration::from_secs(86_400);
/// "No" is kept no longer than this: people mend their DNS and press retry.
const NEGATIVE_CACHED_MAX: Duration = Duration::from_secs(300);

/// Whom to ask.
#[derive(Clone, Debug, Default)]
pub struct ResolverOptions {
    /// `[dns] nameservers`; empty: the system's.
    pub nameservers: Vec<SocketAddr>,
    /// `[dns] trusted`: the AD bit of these servers is believed.
    pub trusted: bool,
}

/// The resolver. Cheap to clone. Answers are cached by TTL (bounded).
#[derive(Clone)]
pub struct Resolver(Arc<Kind>);

enum Kind {
    System(Box<System>),
    #[cfg(any(test, feature = "simulation"))]
    Simulated(SimulatedDns),
}

struct System {
    library: TokioResolver,
    /// Whom the library asks, for questions past its cache.
    servers: Vec<SocketAddr>,
    /// Whether the AD bit of all of them is believed.
    believed: bool,
    chance: Chance,
}

/// What the name servers know of DNSSEC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dnssec {
    /// They validate, and are believed: DANE applies.
    Validated,
    /// They are believed, and say that not even the root is signed.
    NotValidated,
    /// They are elsewhere and not trusted: nothing that they say is a proof.
    NotBelieved,
    /// They do not answer.
    Unknown(Box<str>),
}

impl System {
    /// The servers one after the other, with our wish for a proof.
    async fn prove(&self, domain: &Domain, record_type: RecordType) -> Result<Message, DnsError> {
        self.each(domain, record_type, Recursion::Proven, |answer| {
            match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
                // What is signed and wrong comes so too: it is never an answer. RFC 4035 §5.5.
                code => Err(DnsError::temporary(
                    domain,
                    format!("the server said {code}"),
                )),
            }
        })
        .await
    }

    /// The first settled answer of the servers, asked one after the other.
    async fn each<T>(
        &self,
        domain: &Domain,
        record_type: RecordType,
        recursion: Recursion,
        read: impl Fn(Message) -> Result<T, DnsError>,
    ) -> Result<T, DnsError> {
        let mut last = DnsError::temporary(domain, "there is no server to ask");
        for server in &self.servers {
            let answer = exchange(&self.chance, *server, domain, record_type, recursion).await;
            match answer.and_then(&read) {
                Err(error @ DnsError::Temporary { .. }) => last = error,
                settled => return settled,
            }
        }
        Err(last)
    }

    /// An answer with its proof, if there can be one.
    async fn look_up<T>(
        &self,
        domain: &Domain,
        record_type: RecordType,
        interpret: impl Fn(&Domain, &Message) -> Result<Answer<T>, DnsError>,
    ) -> Result<Answer<T>, DnsError> {
        if self.believed {
            return interpret(domain, &self.prove(domain, record_type).await?);
        }
        let lookup = ask(&self.library, domain, record_type).await?;
        interpret(domain, lookup.message()).map(Answer::unproven)
    }
}

impl Resolver {
    /// A resolver that asks the network. Without `nameservers` and without a readable
    /// `resolv.conf` it asks 127.0.0.1, as the C library does.
    ///
    /// # Errors
    /// If the look-up library refuses the configuration.
    pub fn new(options: &ResolverOptions) -> Result<Self, DnsError> {
        let config = if options.nameservers.is_empty() {
            system_config()
        } else {
            config_of(&options.nameservers)
        };
        let servers = servers_of(&config);
        let believed = options.trusted || servers.iter().all(|server| server.ip().is_loopback());
        Self::asking(config, servers, believed)
    }

    /// One that asks these servers by the library, as if they were elsewhere.
    #[cfg(test)]
    pub(crate) fn disbelieving(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        Self::asking(config_of(servers), servers.to_vec(), false)
    }

    fn asking(
        config: ResolverConfig,
        servers: Vec<SocketAddr>,
        believed: bool,
    ) -> Result<Self, DnsError> {
        let builder = HickoryResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let library =
            builder
                .with_options(bounds())
                .build()
                .map_err(|error| DnsError::Temporary {
                    name: ".".into(),
                    because: error.to_string().into(),
                })?;
        let chance = Chance::system();
        Ok(Self(Arc::new(Kind::System(Box::new(System {
            library,
            servers,
            believed,
            chance,
        })))))
    }

    /// A resolver that knows what `dns` knows.
    #[cfg(any(test, feature = "simulation"))]
    pub fn simulated(dns: &SimulatedDns) -> Self {
        Self(Arc::new(Kind::Simulated(dns.clone())))
    }

    /// MX records of a domain, best preference first. CNAMEs of the domain are followed
    /// (RFC 5321 §5.1). At most 64; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`]; a time-out is temporary.
    pub async fn mx(&self, domain: &Domain) -> Result<Answer<Mx>, DnsError> {
        within_limit(domain, async {
            match &*self.0 {
                Kind::System(system) => system.look_up(domain, RecordType::MX, interpret_mx).await,
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => {
                    interpret_mx(domain, &dns.ask(domain, RecordType::MX).await?)
                }
            }
        })
        .await
    }

    /// TXT records of a domain, each with its strings joined, from the configured servers past our
    /// own cache: people look right after they have published one. At most 64; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`]; temporary only if no server answered.
    pub async fn texts(&self, domain: &Domain) -> Result<Answer<String>, DnsError> {
        within_limit(domain, async {
            match &*self.0 {
                Kind::System(system) => {
                    let read = |answer| interpret_texts(domain, &answer).map(Answer::unproven);
                    system
                        .each(domain, RecordType::TXT, Recursion::Desired, read)
                        .await
                }
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => {
                    interpret_texts(domain, &dns.ask(domain, RecordType::TXT).await?)
                }
            }
        })
        .await
    }

    /// TXT records of a domain as one server says that answers for it. At most 64; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`]; temporary too where the server does not answer for the domain.
    pub async fn texts_at(
        &self,
        server: SocketAddr,
        domain: &Domain,
    ) -> Result<Answer<String>, DnsError> {
        let found = self.at(server, domain, RecordType::TXT, interpret_texts);
        found.await.map(Answer::unproven)
    }

    /// MX records of a domain as one server says that answers for it. At most 64; 30 s at most.
    ///
    /// # Errors
    /// As [`Resolver::texts_at`].
    pub async fn mx_at(&self, server: SocketAddr, domain: &Domain) -> Result<Answer<Mx>, DnsError> {
        let found = self.at(server, domain, RecordType::MX, interpret_mx);
        found.await.map(Answer::unproven)
    }

    /// Whether a name is an alias, as one server says that answers for it; 30 s at most.
    ///
    /// # Errors
    /// As [`Resolver::texts_at`].
    pub async fn is_alias_at(&self, server: SocketAddr, domain: &Domain) -> Result<bool, DnsError> {
        match self
            .at(server, domain, RecordType::CNAME, interpret_alias)
            .await
        {
            Ok(_) => Ok(true),
            Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => Ok(false),
            Err(error @ DnsError::Temporary { .. }) => Err(error),
        }
    }

    async fn at<T>(
        &self,
        server: SocketAddr,
        domain: &Domain,
        record_type: RecordType,
        interpret: fn(&Domain, &Message) -> Result<T, DnsError>,
    ) -> Result<T, DnsError> {
        within_limit(domain, async {
            let answer = match &*self.0 {
                Kind::System(system) => {
                    let none = Recursion::None;
                    exchange(&system.chance, server, domain, record_type, none).await?
                }
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => dns.ask_at(server, domain, record_type).await?,
            };
            let found = interpret(domain, &answer);
            let is_lame = !answer.metadata.authoritative;
            match found {
                // What it says of others' names is hearsay, a referral among it (RFC 1034 §4.3.2).
                Ok(_) | Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) if is_lame => {
                    let because = "the server does not answer for the domain";
                    Err(DnsError::temporary(domain, because))
                }
                found => found,
            }
        })
        .await
    }

    /// The servers that the NS records of a domain name, at most 64; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn name_servers(&self, domain: &Domain) -> Result<Answer<Domain>, DnsError> {
        self.names(domain, RecordType::NS).await
    }

    /// The names that an address leads back to (PTR), at most 64; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`].
    pub async fn reverse_names(&self, address: IpAddr) -> Result<Answer<Domain>, DnsError> {
        let asked = Name::from(address.to_canonical()).to_ascii();
        match Domain::parse(&asked) {
            Ok(name) => self.names(&name, RecordType::PTR).await,
            Err(_) => Err(DnsError::NoSuchDomain(asked.into())),
        }
    }

    async fn names(
        &self,
        domain: &Domain,
        record_type: RecordType,
    ) -> Result<Answer<Domain>, DnsError> {
        within_limit(domain, async {
            match &*self.0 {
                Kind::System(system) => system.look_up(domain, record_type, interpret_names).await,
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => {
                    interpret_names(domain, &dns.ask(domain, record_type).await?)
                }
            }
        })
        .await
    }

    /// A and AAAA records of a host, at most 64; 30 s at most.
    ///
    /// # Errors
    /// Temporary if one kind failed and the other is empty.
    pub async fn addresses(&self, host: &Domain) -> Result<Answer<IpAddr>, DnsError> {
        within_limit(host, async {
            let (v4, v6) = tokio::join!(
                self.family(host, RecordType::A),
                self.family(host, RecordType::AAAA)
            );
            join_families(v4, v6)
        })
        .await
    }

    /// The TLSA records below a name, for SMTP at a port, at most 64; 30 s at most. RFC 7672
    /// §2.2.3.
    ///
    /// # Errors
    /// See [`DnsError`]; a bogus answer is temporary.
    pub async fn tlsa(&self, base: &Domain, port: u16) -> Result<Answer<Tlsa>, DnsError> {
        let Ok(name) = Domain::parse(&format!("_{port}._tcp.{base}")) else {
            // Too long to exist.
            return Err(DnsError::NoSuchDomain(base.as_str().into()));
        };
        within_limit(&name, async {
            match &*self.0 {
                Kind::System(system) => {
                    system
                        .look_up(&name, RecordType::TLSA, interpret_tlsa)
                        .await
                }
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => {
                    interpret_tlsa(&name, &dns.ask(&name, RecordType::TLSA).await?)
                }
            }
        })
        .await
    }

    /// Whether a name is an alias and proven to be one, wherever it leads; 30 s at most.
    ///
    /// # Errors
    /// See [`DnsError`]; without records where it is none.
    pub async fn alias(&self, name: &Domain) -> Result<Validation, DnsError> {
        within_limit(name, async {
            match &*self.0 {
                Kind::System(system) if system.believed => {
                    interpret_alias(name, &system.prove(name, RecordType::CNAME).await?)
                }
                Kind::System(_) => Ok(Validation::Insecure),
                #[cfg(any(test, feature = "simulation"))]
                Kind::Simulated(dns) => {
                    interpret_alias(name, &dns.ask(name, RecordType::CNAME).await?)
                }
            }
        })
        .await
    }

    /// Asks for the servers of the root, which is signed: what can be proven here at all?
    pub async fn dnssec(&self) -> Dnssec {
        match &*self.0 {
            Kind::System(system) if system.believed => {
                let mut last = Dnssec::Unknown("there is no server to ask".into());
                for server in &system.servers {
                    match proves_root(&system.chance, *server).await {
                        Ok(true) => return Dnssec::Validated,
                        Ok(false) => last = Dnssec::NotValidated,
                        Err(because) => last = Dnssec::Unknown(because.into()),
                    }
                }
                last
            }
            Kind::System(_) => Dnssec::NotBelieved,
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(_) => Dnssec::Validated,
        }
    }

    async fn family(
        &self,
        host: &Domain,
        record_type: RecordType,
    ) -> Result<Answer<IpAddr>, DnsError> {
        match &*self.0 {
            Kind::System(system) => system.look_up(host, record_type, interpret_addresses).await,
            #[cfg(any(test, feature = "simulation"))]
            Kind::Simulated(dns) => interpret_addresses(host, &dns.ask(host, record_type).await?),
        }
    }
}

async fn within_limit<T>(
    name: &Domain,
    look_up: impl Future<Output = Result<T, DnsError>>,
) -> Result<T, DnsError> {
    tokio::time::timeout(LOOKUP_TIMEOUT, look_up)
        .await
        .unwrap_or_else(|_| Err(DnsError::temporary(name, "no answer in time")))
}

async fn ask(
    resolver: &TokioResolver,
    domain: &Domain,
    record_type: RecordType,
) -> Result<hickory_resolver::lookup::Lookup, DnsError> {
    let mut name = Name::from_ascii(domain.as_str())
        .map_err(|_| DnsError::temporary(domain, "the name cannot be asked for"))?;
    // Search domains of the machine must never be appended to a recipient's domain.
    name.set_fqdn(true);
    resolver
        .lookup(name, record_type)
        .await
        .map_err(|error| error_of(domain, &error))
}

/// The library's errors in our three: does not exist, has none, ask again.
fn error_of(domain: &Domain, error: &NetError) -> DnsError {
    let name = || domain.as_str().into();
    match error {
        NetError::Dns(HickoryDnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsError::NoSuchDomain(name()),
            ResponseCode::NoError => DnsError::NoRecords(name()),
            code => DnsError::temporary(domain, format!("the server said {code}")),
        },
        NetError::Dns(HickoryDnsError::ResponseCode(code)) => {
            DnsError::temporary(domain, format!("the server said {code}"))
        }
        NetError::Timeout => DnsError::temporary(domain, "no answer in time"),
        // Everything else is about transport or broken messages: nothing is known of the name.
        other => DnsError::temporary(domain, other.to_string()),
    }
}

fn config_of(nameservers: &[SocketAddr]) -> ResolverConfig {
    let servers = nameservers.iter().map(|server| {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut config.connections {
            connection.port = server.port();
        }
        config
    });
    ResolverConfig::from_name_servers(servers.collect())
}

/// Where a configuration asks over UDP, in its order.
fn servers_of(config: &ResolverConfig) -> Vec<SocketAddr> {
    let servers = config.name_servers().iter().flat_map(|server| {
        let ports = server.connections.iter().map(|connection| connection.port);
        ports.map(|port| SocketAddr::new(server.ip, port))
    });
    let mut servers: Vec<_> = servers.collect();
    servers.dedup();
    servers.truncate(SERVERS_MAX);
    servers
}

fn system_config() -> ResolverConfig {
    match read_system_conf() {
        Ok((config, _)) if !config.name_servers().is_empty() => {
            // Only the servers: no search list, no options that would undo our bounds.
            ResolverConfig::from_name_servers(config.name_servers().to_vec())
        }
        Ok(_) => loopback_config("it names no server"),
        Err(error) => loopback_config(&error.to_string()),
    }
}

fn loopback_config(because: &str) -> ResolverConfig {
    tracing::warn!(
        because,
        "the system's DNS configuration cannot be used; asking 127.0.0.1"
    );
    config_of(&[(Ipv4Addr::LOCALHOST, 53).into()])
}

fn bounds() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TRY_TIMEOUT;
    options.attempts = TRIES;
    options.cache_size = CACHED_ANSWERS_MAX;
    options.positive_max_ttl = Some(CACHED_MAX);
    options.negative_max_ttl = Some(NEGATIVE_CACHED_MAX);
    // With 2 (the default) and two servers, answers above 1,232 octets fail as truncated.
    options.num_concurrent_reqs = 1;
    options
}

#[cfg(test)]
mod tests;
