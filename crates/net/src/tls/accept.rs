//! The handshake of the server's side, and what went wrong in it.
//!
//! The first message is read here before rustls reads it, so that a client which offers nothing
//! that we speak can be described. Not here: time (the caller).

use std::io;
use std::sync::Arc;

use rustls::server::{Acceptor, ServerConfig};
use rustls::{AlertDescription, PeerIncompatible, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::server::StartHandshake;

use relais_policy::tls::TlsVersion;

use super::client_hello::Offer;
use super::{ClientChain, EXPORTER_OCTETS, Engine, ServerTls, TlsSession, describe_hello};
use crate::stream::Stream;

/// Octets of a first message that are read before we give up. Hellos with post-quantum keys have
/// about 1,800; a client that names every cipher suite and group stays below 8 KiB.
pub const HANDSHAKE_OCTETS_MAX: usize = 16 * 1_024;
/// Octets read at once of the first message.
const PIECE_OCTETS: usize = 4_096;
/// The first octet of a TLS record with a handshake. RFC 8446 §5.1.
const HANDSHAKE_RECORD: u8 = 22;

/// Why there is no TLS session; the connection is closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HandshakeFault {
    /// The client left before it had offered anything, as probes do: no news.
    Silent,
    /// The store is empty.
    NoCertificate,
    /// The handshake failed.
    Failed {
        /// Why, in a few words.
        fault: String,
        /// What the client offered, where it could be read.
        offer: Option<String>,
    },
}

impl ServerTls {
    /// Does the handshake on a connection of which nothing has been read. Whoever calls keeps the
    /// time.
    pub async fn accept(&self, stream: Stream) -> Result<(Stream, TlsSession), HandshakeFault> {
        if self.certificates.current().is_none() {
            return Err(HandshakeFault::NoCertificate);
        }
        match &self.engine {
            Engine::Rustls(config) => accept_rustls(config, stream).await,
            #[cfg(feature = "legacy-tls")]
            Engine::OpenSsl(engine) => engine.accept(&self.certificates, stream).await,
        }
    }
}

async fn accept_rustls(
    config: &Arc<ServerConfig>,
    stream: Stream,
) -> Result<(Stream, TlsSession), HandshakeFault> {
    let (start, offer) = first_message(stream).await?;
    let accepted = start.into_stream(Arc::clone(config)).await;
    let stream = accepted.map_err(|error| HandshakeFault::Failed {
        fault: words(&error),
        offer: offer.map(|offer| offer.to_string()),
    })?;
    let (_, connection) = stream.get_ref();
    // Before 1.3 it is unique only with an extension that cannot be asked for here.
    let is_newest = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    let exporter = is_newest
        .then(|| {
            let octets = [0; EXPORTER_OCTETS];
            connection.export_keying_material(octets, b"EXPORTER-Channel-Binding", None)
        })
        .and_then(Result::ok);
    let session = TlsSession {
        exporter,
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        },
        cipher: connection
            .negotiated_cipher_suite()
            .map_or("unknown", |suite| registered_name(suite.suite())),
        certificates: connection
            .peer_certificates()
            .map(|chain| ClientChain(chain.to_vec())),
    };
    Ok((Stream::tls(stream.into()), session))
}

/// Reads the client's first message, as we and as rustls read it.
async fn first_message(
    mut stream: Stream,
) -> Result<(StartHandshake<Stream>, Option<Offer>), HandshakeFault> {
    let mut acceptor = Acceptor::default();
    let (mut octets, mut piece) = (Vec::new(), vec![0; PIECE_OCTETS]);
    loop {
        let count = stream.read(&mut piece).await.unwrap_or_default();
        if count == 0 && octets.is_empty() {
            return Err(HandshakeFault::Silent);
        }
        let failed = |fault: String, octets: &[u8]| HandshakeFault::Failed {
            fault,
            offer: describe_hello(octets),
        };
        if count == 0 {
            return Err(failed(
                "the client left during the handshake".to_owned(),
                &octets,
            ));
        }
        octets.extend_from_slice(&piece[..count]);
        // No alert: who speaks no TLS would take it for text. SSL 2.0 has another first octet.
        if octets[0] != HANDSHAKE_RECORD {
            let fault = match Offer::read(&octets) {
                Some(offer) => too_old(&offer),
                None => "the client speaks no TLS".to_owned(),
            };
            return Err(failed(fault, &octets));
        }
        if octets.len() > HANDSHAKE_OCTETS_MAX {
            return Err(failed("the first message is too long".to_owned(), &octets));
        }
        let mut rest = &piece[..count];
        while !rest.is_empty() {
            // It takes nothing more once the peer has said farewell.
            if !matches!(acceptor.read_tls(&mut rest), Ok(1..)) {
                return Err(failed(
                    "the first message cannot be read".to_owned(),
                    &octets,
                ));
            }
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let offer = Offer::read(&octets);
                return Ok((StartHandshake::from_parts(accepted, stream), offer));
            }
            Err((error, mut alert)) => {
                let mut said = Vec::new();
                // The alert tells the client; that it may be gone already changes nothing.
                if alert.write_all(&mut said).is_ok() {
                    let _ = stream.write_all(&said).await;
                    let _ = stream.shutdown().await;
                }
                let fault = match Offer::read(&octets).filter(|offer| !offer.is_recent()) {
                    Some(offer) => too_old(&offer),
                    None => words_of(&error),
                };
                return Err(failed(fault, &octets));
            }
        }
    }
}

/// The name in IANA's registry, which the library changes for the suites of TLS 1.3.
pub(super) fn registered_name(suite: rustls::CipherSuite) -> &'static str {
    use rustls::CipherSuite;
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

fn too_old(offer: &Offer) -> String {
    format!("the client offers {} at most", offer.newest())
}

/// In a few words. The library's errors come wrapped in those of the connection.
fn words(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(inner) => words_of(inner),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client left during the handshake".to_owned()
        }
        None => error.kind().to_string(),
    }
}

fn words_of(error: &rustls::Error) -> String {
    use rustls::Error;
    let text = match error {
        Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
        ) => "no cipher suite in common",
        Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered) => "TLS 1.2 is not offered",
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon) => {
            "no signature scheme in common"
        }
        Error::AlertReceived(alert) => return format!("the client said {}", alert_words(*alert)),
        Error::InvalidCertificate(_) => "the client's certificate cannot be used",
        other => return other.to_string(),
    };
    text.to_owned()
}

/// What a peer mostly says of a certificate that it does not trust.
pub(super) fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::UnknownCA => "that it does not know our authority".to_owned(),
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "that it does not accept our certificate".to_owned()
        }
        AlertDescription::CertificateExpired => "that our certificate is expired".to_owned(),
        AlertDescription::ProtocolVersion => "that it knows no version of ours".to_owned(),
        other => format!("{other:?}"),
    }
}
