//! What all deliveries share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use relais_net::clock::{Chance, Clock};
use relais_net::login::Logins;
use relais_net::network::Network;
use relais_net::tls::ClientTls;
use relais_net::web::Web;
use relais_policy::document::IpVersion;
use relais_policy::reply_rule::ReplyRules;
use relais_smtp::domain::Domain;
use relais_store::store::Store;
use tokio::sync::watch;

/// How long a lease lasts before it must be renewed. Longer than any single wait of RFC 5321
/// §4.5.3.2 (10 minutes for the final reply), so that one missed renewal costs nothing.
pub(crate) const LEASE_TIME: Duration = Duration::from_secs(15 * 60);
/// A lease is renewed when this much of it has passed.
pub(crate) const LEASE_RENEW_AFTER: Duration = Duration::from_secs(5 * 60);
/// Recipients of one lease, and so of one transaction and one notice. RFC 5321 §4.5.3.1.8 obliges
/// every server to take 100.
pub(crate) const RECIPIENTS_MAX: usize = 100;

/// Everything that deliveries share.
#[derive(Clone)]
pub struct DeliverContext {
    /// Where messages come from.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// Sockets and DNS.
    pub network: Network,
    /// TLS with next hops.
    pub tls: ClientTls,
    /// What is made of next hops' words; swapped whole when its file changes.
    pub reply_rules: watch::Receiver<Arc<ReplyRules>>,
    /// Web servers of mail domains.
    pub web: Web,
    /// What smart hosts are logged in at with.
    pub logins: Logins,
    /// Bounds and names.
    pub options: DeliverOptions,
}

impl DeliverContext {
    /// The rules in force.
    pub(crate) fn reply_rules(&self) -> Arc<ReplyRules> {
        Arc::clone(&self.reply_rules.borrow())
    }
}

/// From the bootstrap file.
#[derive(Clone, Debug)]
pub struct DeliverOptions {
    /// EHLO, Reporting-MTA.
    pub hostname: String,
    /// Port of MX delivery.
    pub smtp_port: u16,
    /// Loopback and private targets found by MX are allowed.
    pub allow_private_destinations: bool,
    /// Egress addresses, v4 and v6. Where there are some, a destination of a family without one is
    /// not tried; private destinations are reached from whatever address the system chooses.
    pub source_addresses: Vec<IpAddr>,
    /// Which versions of IP, where the connector does not say.
    pub ip_version: IpVersion,
    /// Owners of destinations are told of TLS with their hosts. RFC 8460.
    pub tls_reports: bool,
    /// In whose name; empty: that of the first organisation with a postmaster.
    pub tls_report_organisation: String,
    /// Connections in all.
    pub connections_max: usize,
}

impl DeliverOptions {
    /// Our name as EHLO says it: an address goes as an address literal. RFC 5321 §4.1.3.
    pub fn greeting_name(&self) -> Box<str> {
        match self.hostname.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => format!("[{address}]").into(),
            Ok(IpAddr::V6(address)) => format!("[IPv6:{address}]").into(),
            Err(_) => self.hostname.as_str().into(),
        }
    }

    /// Our name as a domain, if it is one.
    pub(crate) fn domain(&self) -> Option<Domain> {
        if self.hostname.parse::<IpAddr>().is_ok() {
            return None;
        }
        Domain::parse(&self.hostname).ok()
    }
}
