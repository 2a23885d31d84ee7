//! TLS of a server: one certificate store and one set of client authorities for each listener, the
//! handshake, and what it proves; and of a client towards next hops ([`ClientTls`]). TLS 1.2 and
//! 1.3 by rustls; older versions are refused and their hellos read, so that a person sees why.
//! RFC 8446, RFC 5246; RFC 9325 for what is left out.
//!
//! Client certificates are asked for and never demanded: any chain passes the handshake if the
//! client holds its key, and [`ClientAuthorities::judge`] says afterwards what it is worth.
//!
//! Another library for old devices joins with an `accept` that gives the same
//! [`TlsSession`].
//!
//! Not here: files and their reloading (the wiring), what follows from a certificate
//! (`relais_policy`), STARTTLS (`relais_smtp::server`).

mod next_hop;
mod accept;
#[cfg(feature = "legacy-tls")]
mod legacy;
mod client_hello;
mod expiry;
mod presented;
mod client_certificate;
mod server_certificate;
mod old_clients;
mod x509;

use std::sync::Arc;

pub use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::ServerConfig;
use rustls::{ConfigBuilder, WantsVerifier};

use relais_policy::tls::TlsVersion;

pub use self::accept::{HANDSHAKE_OCTETS_MAX, HandshakeFault};
pub use self::client_certificate::{ClientAuthorities, JudgedCertificate, system_roots};
pub use self::expiry::{SeenCertificate, SeenCertificates, WARNING_DAYS, expires_within_days};
pub use self::next_hop::{ClientIdentity, ClientTls, HopTls};
pub use self::old_clients::{OldClient, OldClients};
pub use self::presented::{PresentedCertificate, PresentedCertificates, ReadCertificate};
pub use self::server_certificate::{
    CertificateError, CertificateStore, KeyKind, ServerCertificate, self_signed,
};

/// Whether this build can have a listener for TLS 1.0 and 1.1.
pub const HAS_OLD_TLS: bool = cfg!(feature = "legacy-tls");

/// How a listener does TLS. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    engine: Engine,
    certificates: CertificateStore,
    authorities: ClientAuthorities,
}

/// Which library speaks.
#[derive(Clone)]
enum Engine {
    Rustls(Arc<ServerConfig>),
    #[cfg(feature = "legacy-tls")]
    OpenSsl(legacy::LegacyEngine),
}

/// What a finished handshake says.
#[derive(Clone, Debug)]
pub struct TlsSession {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite by its registered name.
    pub cipher: &'static str,
    /// The client's certificate, if it presented one: not yet judged.
    pub certificates: Option<ClientChain>,
    /// What both ends know of this connection and nobody between them, for authentication to bind
    /// to; with TLS 1.3 only. RFC 9266.
    pub exporter: Option<[u8; EXPORTER_OCTETS]>,
}

/// Octets for [`TlsSession::exporter`]. RFC 9266 §2.
pub const EXPORTER_OCTETS: usize = 32;

/// The chain that a client presented, its own certificate first. The client holds its key.
#[derive(Clone, Debug)]
pub struct ClientChain(Vec<rustls::pki_types::CertificateDer<'static>>);

impl ServerTls {
    /// Serves with what the store holds at each handshake, and judges clients by these authorities.
    pub fn new(certificates: CertificateStore, authorities: ClientAuthorities) -> Self {
        let verifier = client_certificate::AskAndNotJudge::new(&provider());
        let config = versions()
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(certificates.clone()));
        Self::serving(config, certificates, authorities)
    }

    /// For pages: nobody is asked for a certificate, which browsers would show people a list for.
    pub fn for_pages(certificates: CertificateStore) -> Self {
        let config = versions()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates.clone()));
        Self::serving(config, certificates, ClientAuthorities::default())
    }

    fn serving(
        mut config: ServerConfig,
        certificates: CertificateStore,
        authorities: ClientAuthorities,
    ) -> Self {
        // Sessions are resumed from tickets that clients keep: they cost the server no memory. One
        // is enough for a client that comes back one connection at a time.
        if let Ok(ticketer) = rustls::crypto::aws_lc_rs::Ticketer::new() {
            config.ticketer = ticketer;
        }
        config.send_tls13_tickets = 1;
        // The strongest suite that both know, whatever the client prefers.
        config.ignore_client_order = true;
        Self {
            engine: Engine::Rustls(Arc::new(config)),
            certificates,
            authorities,
        }
    }

    /// The same for old devices, by OpenSSL: TLS 1.0 and 1.1, RSA key exchange, CBC suites. Only
    /// for a listener that named addresses alone may use.
    #[cfg(feature = "legacy-tls")]
    pub fn legacy_dangerous(
        certificates: CertificateStore,
        authorities: ClientAuthorities,
    ) -> Self {
        Self {
            engine: Engine::OpenSsl(legacy::LegacyEngine::default()),
            certificates,
            authorities,
        }
    }

    /// Whether it speaks with old devices.
    pub fn is_legacy(&self) -> bool {
        match &self.engine {
            Engine::Rustls(_) => false,
            #[cfg(feature = "legacy-tls")]
            Engine::OpenSsl(_) => true,
        }
    }

    /// What it serves with.
    pub fn certificates(&self) -> &CertificateStore {
        &self.certificates
    }

    /// Whom it believes about clients.
    pub fn authorities(&self) -> &ClientAuthorities {
        &self.authorities
    }
}

fn versions() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has cipher suites for both versions")
}

/// What the first message of a client offers, in words; `None` where these octets are no complete
/// one.
pub fn describe_hello(octets: &[u8]) -> Option<String> {
    client_hello::Offer::read(octets).map(|offer| offer.to_string())
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
