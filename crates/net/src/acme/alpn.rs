//! The door for TLS-ALPN-01: handshakes of the protocol `acme-tls/1` with the certificate of the
//! challenge, and nothing else. RFC 8737 §3.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::ChallengeAnswers;
use crate::network::Listener;

/// RFC 8737 §6.2.
const PROTOCOL: &[u8] = b"acme-tls/1";
/// A handshake that is not done by then is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes at the same time: a server looks from some places at once.
const HANDSHAKES_MAX: usize = 32;

/// Serves until dropped or until the listener breaks.
pub async fn serve(listener: Listener, answers: ChallengeAnswers) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let Ok(builder) =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
    else {
        return;
    };
    let mut config = builder
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(answers)));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "the listener for tls-alpn-01 is broken");
                return;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let handshake = acceptor.accept(accepted.stream);
            if let Ok(Ok(mut stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                // The handshake was all: the server has seen the certificate.
                let _ = stream.shutdown().await;
            }
            drop(place);
        });
    }
}

struct Resolver(ChallengeAnswers);

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.alpn()?.any(|protocol| protocol == PROTOCOL);
        if !asked {
            return None;
        }
        self.0.alpn(hello.server_name()?)
    }
}
