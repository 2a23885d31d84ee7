//! What all sessions of a server share, and the bounds that hold for each of them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use relais_net::clock::{Chance, Clock};
use relais_net::content_check::Checkers;
use relais_net::conversation::Conversations;
use relais_net::network::Network;
use relais_net::oidc::Issuers;
use relais_net::tls::{OldClients, SeenCertificates, ServerTls};
use relais_policy::limit::Counts;
use relais_smtp::domain::Domain;
use relais_store::store::Store;

use crate::guarding::Guarding;
use crate::login::Logins;
use crate::returns::Returns;
use crate::seats::Senders;

/// Recipients of one transaction. RFC 5321 §4.5.3.1.8 forbids less than 100; the rest get 452.
pub(crate) const RECIPIENTS_MAX: usize = 1_000;
/// Refused or failed commands before 421 (ERRORS). Postfix's `smtpd_hard_error_limit` is 20.
pub(crate) const ERRORS_MAX: u32 = 20;
/// NOOP, RSET, VRFY … without a message between before 421. Postfix's `smtpd_junk_command_limit`.
pub(crate) const JUNK_COMMANDS_MAX: u32 = 100;

/// A complete command line must come within this from the last reply. RFC 5321 §4.5.3.2.7.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// Each [`CONTENT_BLOCK_OCTETS`] of content must come within this. RFC 5321 §4.5.3.2.5.
pub(crate) const CONTENT_TIMEOUT: Duration = Duration::from_secs(180);
/// One block of content for [`CONTENT_TIMEOUT`]: at least 364 octets a second.
pub(crate) const CONTENT_BLOCK_OCTETS: u64 = 64 * 1_024;
/// A peer that does not read our replies is cut after this. As RFC 5321 §4.5.3.2.7 for commands.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(300);
/// A handshake must be done within this. Between the 5 minutes that RFC 5321 gives a command and
/// the few seconds that it takes: old devices on slow links need some.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// No session lives longer, however busy: settings of yesterday must not hold for ever.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);
/// DNS may delay the answer to one RCPT by this; then the message is queued.
pub(crate) const RECIPIENT_DNS_TIMEOUT: Duration = Duration::from_secs(1);
/// DNS may delay the first recipient of a stranger by this; then it is told to try again. As long
/// as a resolver takes for one try at one server.
pub(crate) const SENDER_DNS_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything that sessions share.
#[derive(Clone)]
pub struct ReceiveContext {
    /// Where messages go.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// DNS (FROM-DNS, RCPT-DNS) only; sessions never dial.
    pub network: Network,
    /// Client certificates that led to a connector, watched for their end.
    pub certificates: SeenCertificates,
    /// Whose tokens count as logins.
    pub issuers: Issuers,
    /// Who uses the listener for old devices.
    pub old_clients: OldClients,
    /// Where sessions tell what is said, while somebody listens.
    pub conversations: Conversations,
    /// Who may be asked about content.
    pub checkers: Checkers,
    /// What those who have limits sent.
    pub counts: Counts,
    /// Bounds and names.
    pub options: ReceiveOptions,
}

/// From the bootstrap file.
#[derive(Clone, Debug)]
pub struct ReceiveOptions {
    /// Banner, EHLO, Received.
    pub hostname: String,
    /// Largest message in octets.
    pub message_size_max: u64,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections from one address that no connector covers (IPv6: from one /64).
    pub connections_per_stranger_max: usize,
    /// Connections from one known address.
    pub connections_per_client_max: usize,
}

/// TLS of a listener.
#[derive(Clone)]
pub enum ListenerTls {
    /// Never.
    None,
    /// When the client asks for it. RFC 3207.
    StartTls(ServerTls),
    /// From the first octet. RFC 8314 §3.3.
    Implicit(ServerTls),
}
/// The context, and the signal to end.
pub(crate) struct Shared {
    pub(crate) context: ReceiveContext,
    /// Our own names, which no stranger may greet with.
    pub(crate) ourselves: Vec<Domain>,
    /// Who may log in.
    pub(crate) logins: Logins,
    /// What came back lately.
    pub(crate) returns: Returns,
    pub(crate) senders: Senders,
    /// Triggers.
    pub(crate) guarding: Guarding,
    /// Cancelled: no new sessions, no new transactions.
    pub(crate) draining: CancellationToken,
}
