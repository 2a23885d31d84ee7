//! The certificates of the listeners: their files, reloading, the certificate that is made where
//! none is named, and the warning before the end of each.
//!
//! A file that changed takes effect with the next handshake; a broken one changes nothing, and one
//! sentence says why. Files are looked at once a second: renewal programs write two of them, one
//! after the other, so a change counts once it has stood still for a round. Not here: handshakes
//! (`relais_net::tls`).

mod acme;
mod old_clients;
mod files;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use relais_net::tls::{
    CertificateStore, ClientAuthorities, ClientTls, KeyKind, ServerCertificate, ServerTls,
    expires_within_days, system_roots,
};
use relais_receive::service::ListenerTls;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind};

use crate::config::{AcmeConfig, AdminTls, ListenerConfig, TlsMode};

pub(crate) use files::Signature;

pub(crate) use acme::Keeper;
pub(crate) use old_clients::OldClientsReport;

/// TLS with next hops; the error is a sentence.
pub(crate) fn of_next_hops(extra_ca: &[PathBuf]) -> Result<ClientTls, String> {
    files::client_tls(extra_ca)
}

/// Every certificate that listeners use.
pub(crate) struct Certificates {
    sources: Vec<Source>,
    authorities: Vec<Authorities>,
    /// Where nobody named a certificate, a keeper orders one.
    acme: Option<AcmeConfig>,
}

/// One certificate, and where it comes from.
struct Source {
    origin: Origin,
    store: CertificateStore,
    signature: Signature,
    /// The last warning before its end that was given, in days.
    told: Option<u64>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    Files {
        certificate: PathBuf,
        /// Empty: beside the certificate, or in it.
        private_key: Option<PathBuf>,
    },
    /// Made by us, for this name.
    SelfSigned {
        folder: PathBuf,
        hostname: String,
        kind: KeyKind,
    },
    /// Ordered by the keeper; until the first order is done, made by us.
    Acme { folder: PathBuf, hostname: String },
}

/// Whom listeners believe about clients, from files.
struct Authorities {
    files: Vec<PathBuf>,
    common_name: bool,
    known: ClientAuthorities,
    signature: Signature,
}

impl Certificates {
    /// Reads, or makes, what these listeners need; gives the TLS of each, in their order. What
    /// cannot be read is told, and its listeners answer 454 until it can be.
    pub(crate) fn open(
        (listeners, acme): (&[ListenerConfig], Option<&AcmeConfig>),
        hostname: &str,
        folder: &Path,
        now: Timestamp,
    ) -> (Self, Vec<ListenerTls>) {
        let mut all = Self {
            sources: Vec::new(),
            authorities: Vec::new(),
            acme: acme.cloned(),
        };
        let tls = listeners
            .iter()
            .map(|listener| all.of_listener(listener, hostname, folder, now))
            .collect();
        (all, tls)
    }

    /// What the admin centre shows; none where it is in clear.
    pub(crate) fn of_centre(
        &mut self,
        tls: &AdminTls,
        hostname: &str,
        folder: &Path,
        now: Timestamp,
    ) -> Option<CertificateStore> {
        let origin = match tls {
            AdminTls::None => return None,
            AdminTls::Own => self.unnamed(folder.join("tls"), hostname.to_owned()),
            AdminTls::Files {
                certificate,
                private_key,
            } => return Some(self.of_files((certificate, private_key.as_deref()), now)),
        };
        Some(self.store_of(origin, now))
    }

    /// What stands in files; without a key's, it is beside the certificate or in it.
    pub(crate) fn of_files(
        &mut self,
        (certificate, private_key): (&Path, Option<&Path>),
        now: Timestamp,
    ) -> CertificateStore {
        let origin = Origin::Files {
            certificate: certificate.to_owned(),
            private_key: private_key.map(Path::to_owned),
        };
        self.store_of(origin, now)
    }

    fn of_listener(
        &mut self,
        listener: &ListenerConfig,
        hostname: &str,
        folder: &Path,
        now: Timestamp,
    ) -> ListenerTls {
        if listener.tls == TlsMode::None {
            return ListenerTls::None;
        }
        let origin = match &listener.certificate {
            Some(certificate) => Origin::Files {
                certificate: certificate.clone(),
                private_key: listener.private_key.clone(),
            },
            None if listener.legacy.is_some() => Origin::SelfSigned {
                folder: folder.join("tls"),
                hostname: hostname.to_owned(),
                kind: KeyKind::Rsa2048,
            },
            None => self.unnamed(folder.join("tls"), hostname.to_owned()),
        };
        let tls = self.server_tls(origin, listener, now);
        match listener.tls {
            TlsMode::None | TlsMode::StartTls => ListenerTls::StartTls(tls),
            TlsMode::Implicit => ListenerTls::Implicit(tls),
        }
    }

    fn server_tls(
        &mut self,
        origin: Origin,
        listener: &ListenerConfig,
        now: Timestamp,
    ) -> ServerTls {
        let (store, authorities) = (self.store_of(origin, now), self.authorities_of(listener));
        #[cfg(feature = "legacy-tls")]
        if listener.legacy.is_some() {
            return ServerTls::legacy_dangerous(store, authorities);
        }
        ServerTls::new(store, authorities)
    }

    fn unnamed(&self, folder: PathBuf, hostname: String) -> Origin {
        if self.acme.is_some() {
            Origin::Acme { folder, hostname }
        } else {
            Origin::SelfSigned {
                folder,
                hostname,
                kind: KeyKind::EcdsaP256,
            }
        }
    }

    fn store_of(&mut self, origin: Origin, now: Timestamp) -> CertificateStore {
        if let Some(known) = self.sources.iter().find(|known| known.origin == origin) {
            return known.store.clone();
        }
        let mut source = Source {
            signature: Signature::of(&origin.paths()),
            origin,
            store: CertificateStore::new(),
            told: None,
        };
        source.load(now);
        let store = source.store.clone();
        self.sources.push(source);
        store
    }

    fn authorities_of(&mut self, listener: &ListenerConfig) -> ClientAuthorities {
        let (files, common_name) = (&listener.client_ca, listener.certificate_common_name);
        let same = |known: &&Authorities| known.files == *files && known.common_name == common_name;
        if let Some(known) = self.authorities.iter().find(same) {
            return known.known.clone();
        }
        let known = files::authorities(files, common_name).unwrap_or_else(|because| {
            tracing::error!("{because}; client certificates of that authority are not believed");
            let (roots, _) = system_roots();
            ClientAuthorities::new(roots, [], common_name).unwrap_or_default()
        });
        self.authorities.push(Authorities {
            files: files.clone(),
            common_name,
            known: known.clone(),
            signature: Signature::of(files),
        });
        known
    }

    /// One round: takes what changed and stood still since, renews what we made ourselves; gives
    /// the warnings that are due.
    pub(crate) fn keep(&mut self, now: Timestamp) -> Vec<Event> {
        for source in &mut self.sources {
            let within = source.expires_within(now);
            // Once for each warning: what cannot be written now is not tried every second.
            let renew = source.is_ours() && within.is_some() && within != source.told;
            if source.signature.changed(&source.origin.paths()) || renew {
                source.load(now);
            }
        }
        for authorities in &mut self.authorities {
            if authorities.signature.changed(&authorities.files) {
                authorities.load();
            }
        }
        let sources = self.sources.iter_mut();
        sources.filter_map(|source| source.warning(now)).collect()
    }

    /// Reads every file anew, changed or not.
    pub(crate) fn reload(&mut self, now: Timestamp) {
        self.sources.iter_mut().for_each(|source| source.load(now));
        self.authorities.iter_mut().for_each(Authorities::load);
    }

    /// What is shown where nobody named a certificate, for the first lines of the server.
    pub(crate) fn self_signed(&self) -> Option<std::sync::Arc<ServerCertificate>> {
        let ours = self.sources.iter().find(|source| source.is_ours())?;
        ours.store.current()
    }
}

impl Origin {
    fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Files {
                certificate,
                private_key,
            } => {
                let key = files::key_path(certificate, private_key.as_deref());
                vec![certificate.clone(), key]
            }
            // Nobody but us writes them.
            Self::SelfSigned { .. } => Vec::new(),
            Self::Acme { folder, .. } => vec![acme::certificate_file(folder)],
        }
    }

    fn read(&self, now: Timestamp) -> Result<ServerCertificate, String> {
        match self {
            Self::Files {
                certificate,
                private_key,
            } => files::read_certificate(certificate, private_key.as_deref()),
            Self::SelfSigned {
                folder,
                hostname,
                kind,
            } => files::self_signed(folder, hostname, *kind, now),
            Self::Acme { folder, hostname } if !acme::certificate_file(folder).exists() => {
                files::self_signed(folder, hostname, KeyKind::EcdsaP256, now)
            }
            Self::Acme { folder, .. } => acme::read(folder),
        }
    }
}

impl Source {
    fn is_ours(&self) -> bool {
        matches!(self.origin, Origin::SelfSigned { .. })
    }

    fn expires_within(&self, now: Timestamp) -> Option<u64> {
        let current = self.store.current()?;
        expires_within_days(current.not_after(), now)
    }

    fn load(&mut self, now: Timestamp) {
        self.signature = Signature::of(&self.origin.paths());
        match self.origin.read(now) {
            Ok(fresh) => {
                let known = self.store.current();
                if known.is_some_and(|known| known.fingerprint() == fresh.fingerprint()) {
                    return;
                }
                tracing::info!(
                    names = fresh.names().join(" "),
                    fingerprint = fresh.fingerprint(),
                    not_after = fresh.not_after().to_rfc3339(),
                    "this certificate is shown from now on"
                );
                self.told = None;
                self.store.install(fresh);
            }
            Err(because) => match self.store.current() {
                Some(current) => tracing::error!(
                    "{because}; the certificate until now is kept, which is valid until {}",
                    current.not_after().day()
                ),
                None => tracing::error!("{because}; TLS is not available there until it is mended"),
            },
        }
    }

    /// `check.changed`, once for each of the days of warning.
    fn warning(&mut self, now: Timestamp) -> Option<Event> {
        let within = self.expires_within(now);
        let told = std::mem::replace(&mut self.told, within);
        let days = within.filter(|_| told != within)?;
        let current = self.store.current()?;
        let words = format!(
            "server certificate {} expires on {}, within {days} days",
            current.names().join(" "),
            current.not_after().day()
        );
        tracing::warn!("{words}");
        let mut event = Event::new(now, EventKind::CheckChanged);
        event.detail = Some(words.into());
        Some(event)
    }
}

impl Authorities {
    fn load(&mut self) {
        self.signature = Signature::of(&self.files);
        match files::authorities(&self.files, self.common_name) {
            Ok(fresh) => self.known.become_like(&fresh),
            Err(because) => tracing::error!("{because}; the authorities until now are kept"),
        }
    }
}

/// The file of a listener's private key; none where it has no TLS, or the keeper keeps both in one.
pub(crate) fn key_file(tls: TlsMode, listener: &ListenerConfig, folder: &Path) -> Option<PathBuf> {
    if tls == TlsMode::None {
        return None;
    }
    let named = listener.certificate.as_ref();
    let named = named.map(|file| files::key_path(file, listener.private_key.as_deref()));
    Some(named.unwrap_or_else(|| folder.join("tls").join("self-signed.key")))
}

/// `AB:CD:…`, as devices and browsers show it.
pub(crate) fn shown_fingerprint(fingerprint: &str) -> String {
    let pairs = fingerprint.as_bytes().chunks(2);
    let pairs = pairs.map(|pair| String::from_utf8_lossy(pair).to_uppercase());
    pairs.collect::<Vec<_>>().join(":")
}

/// The certificates of these listeners, for the page of status.
pub(crate) fn shown(
    addresses: &[SocketAddr],
    tls: &[ListenerTls],
) -> Vec<(SocketAddr, CertificateStore)> {
    let store = |(address, tls): (&SocketAddr, &ListenerTls)| match tls {
        ListenerTls::None => None,
        ListenerTls::StartTls(tls) | ListenerTls::Implicit(tls) => {
            Some((*address, tls.certificates().clone()))
        }
    };
    addresses.iter().zip(tls).filter_map(store).collect()
}

#[cfg(test)]
mod tests;
