//! TLS for old devices, by the system's OpenSSL: 1.0 and 1.1, key exchange by RSA, CBC suites, at
//! security level 0. Only for a listener of its own, which named addresses alone may use; nothing
//! of it reaches the other listeners, which rustls serves.
//!
//! The certificate is that of the listener's store, built into OpenSSL's context anew when it is
//! another. Not here: who may use the listener (`relais_receive`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use rustls::pki_types::CertificateDer;
use tokio_openssl::SslStream;

use relais_policy::tls::TlsVersion;

use super::accept::HandshakeFault;
use super::server_certificate::ServerCertificate;
use super::{CertificateStore, ClientChain, TlsSession};
use crate::stream::Stream;

/// Everything that authenticates and encrypts, strongest first; what a device of 2005 offers is
/// among it. RC4 and single DES are not: OpenSSL 3 no longer has them.
const CIPHERS: &str = "ALL:!aNULL:!eNULL:!EXP:!PSK:!SRP:@STRENGTH:@SECLEVEL=0";
/// Sessions are resumed only here: a context with client certificates demands a name of its own.
const SESSION_CONTEXT: &[u8] = b"relais-legacy";

/// The context of the present certificate. Cheap to clone; clones share it.
#[derive(Clone, Default)]
pub(super) struct LegacyEngine(Arc<Mutex<Option<Built>>>);

/// A context, and the certificate of which it was built.
struct Built {
    fingerprint: Box<str>,
    context: SslContext,
}

impl LegacyEngine {
    pub(super) async fn accept(
        &self,
        certificates: &CertificateStore,
        stream: Stream,
    ) -> Result<(Stream, TlsSession), HandshakeFault> {
        let current = certificates
            .current()
            .ok_or(HandshakeFault::NoCertificate)?;
        let failed = |error: &dyn std::fmt::Display| HandshakeFault::Failed {
            fault: error.to_string(),
            offer: None,
        };
        let context = self.context(&current).map_err(|error| failed(&error))?;
        let ssl = Ssl::new(&context).map_err(|error| failed(&error))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| failed(&error))?;
        Pin::new(&mut stream)
            .accept()
            .await
            .map_err(|error| failed(&words(&error)))?;
        let session = session_of(stream.ssl());
        Ok((Stream::legacy(stream), session))
    }

    fn context(&self, current: &ServerCertificate) -> Result<SslContext, ErrorStack> {
        // Either the old one or the new one is in there.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = &*kept
            && *built.fingerprint == *current.fingerprint()
        {
            return Ok(built.context.clone());
        }
        let context = build(current)?;
        *kept = Some(Built {
            fingerprint: current.fingerprint().into(),
            context: context.clone(),
        });
        Ok(context)
    }
}

fn build(current: &ServerCertificate) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_min_proto_version(Some(SslVersion::TLS1))?;
    builder.set_options(
        SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION,
    );
    builder.set_session_id_context(SESSION_CONTEXT)?;
    // Asked for and never demanded; what a certificate is worth is judged afterwards.
    builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    let mut chain = current.chain().iter();
    if let Some(own) = chain.next() {
        builder.set_certificate(&*X509::from_der(own)?)?;
    }
    for above in chain {
        builder.add_extra_chain_cert(X509::from_der(above)?)?;
    }
    let key = PKey::private_key_from_der(current.key().secret_der())?;
    builder.set_private_key(&key)?;
    builder.check_private_key()?;
    Ok(builder.build())
}

fn session_of(ssl: &SslRef) -> TlsSession {
    let version = match ssl.version2() {
        Some(SslVersion::TLS1_3) => TlsVersion::V1_3,
        Some(SslVersion::TLS1_2) => TlsVersion::V1_2,
        Some(SslVersion::TLS1_1) => TlsVersion::V1_1,
        _ => TlsVersion::V1_0,
    };
    let cipher = ssl
        .current_cipher()
        .and_then(|cipher| cipher.standard_name());
    // A server's view of the chain leaves the client's own certificate out.
    let own = ssl.peer_certificate().and_then(|own| own.to_der().ok());
    let above = ssl.peer_cert_chain().into_iter().flatten();
    let above = above.filter_map(|one| one.to_der().ok());
    let chain: Vec<_> = own
        .into_iter()
        .chain(above)
        .map(CertificateDer::from)
        .collect();
    TlsSession {
        exporter: None,
        version,
        cipher: cipher.unwrap_or("unknown"),
        certificates: (!chain.is_empty()).then_some(ClientChain(chain)),
    }
}

/// OpenSSL's reason without its file names and numbers.
fn words(error: &openssl::ssl::Error) -> String {
    let reason = error
        .ssl_error()
        .and_then(|stack| stack.errors().last())
        .and_then(|error| error.reason());
    match reason {
        Some(reason) => reason.to_owned(),
        None => "the client left during the handshake".to_owned(),
    }
}
