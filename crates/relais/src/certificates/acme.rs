//! Keeping a certificate by ACME: when to order one, and what is kept between orders, in
//! `data_dir/tls`. A new one is a file that changed, like any other.
//!
//! Not here: the protocol (`relais_net::acme`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use relais_admin::service::ChallengeService;
use relais_net::acme::{AcmeAccount, AcmeError, ChallengeAnswers, ChallengeKind, serve_alpn};
use relais_net::clock::{Chance, Clock};
use relais_net::network::Listener;
use relais_net::tls::{CertificateError, ServerCertificate};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use super::files;
use crate::config::AcmeConfig;

/// A certificate is renewed when less than a third of its lifetime is left: thirty days of ninety,
/// as the public servers advise.
const RENEW_AT: u32 = 3;
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// After a failed order. Public servers allow five failed proofs an hour.
const RETRY_FIRST: Duration = Duration::from_secs(15 * 60);
/// It doubles up to this.
const RETRY_MAX: Duration = Duration::from_secs(12 * 3_600);

/// The running keeper; dropped, it stops.
pub(crate) struct Keeper {
    task: JoinHandle<()>,
    _door: Door,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where the server's challenge is answered.
enum Door {
    Http(#[expect(dead_code, reason = "held: dropped, it closes")] ChallengeService),
    Alpn(JoinHandle<()>),
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Self::Alpn(task) = self {
            task.abort();
        }
    }
}

/// What an order needs.
struct Work {
    config: AcmeConfig,
    name: Domain,
    /// `data_dir/tls`.
    folder: PathBuf,
    answers: ChallengeAnswers,
    clock: Clock,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Acme(#[from] AcmeError),
    #[error("{}: {error}", .file.display())]
    File { file: PathBuf, error: io::Error },
    #[error("the certificate that was issued cannot be used: {0}")]
    Certificate(#[from] CertificateError),
}

impl Keeper {
    /// Keeps the certificate of this name in `folder` fresh. `listener` is open on the address of
    /// the challenge.
    pub(crate) fn start(
        (config, name): (AcmeConfig, Domain),
        folder: PathBuf,
        listener: Listener,
        (clock, chance): (Clock, Chance),
    ) -> Self {
        let answers = ChallengeAnswers::new();
        let door = match config.challenge {
            ChallengeKind::Http01 => Door::Http(ChallengeService::start(listener, answers.clone())),
            ChallengeKind::TlsAlpn01 => {
                Door::Alpn(tokio::spawn(serve_alpn(listener, answers.clone())))
            }
        };
        let work = Work {
            config,
            name,
            folder,
            answers,
            clock,
        };
        Self {
            task: tokio::spawn(work.keep(chance)),
            _door: door,
        }
    }
}

impl Work {
    async fn keep(self, chance: Chance) {
        let mut retry = RETRY_FIRST;
        loop {
            let now = self.clock.now();
            let kept = read(&self.folder).ok();
            let is_due = kept.is_none_or(|kept| is_due(&kept, &self.name, now));
            let pause = if !is_due {
                LOOK_EVERY
            } else {
                match self.order().await {
                    Ok(until) => {
                        tracing::info!(name = %self.name, until = until.to_rfc3339(), "a certificate was issued");
                        retry = RETRY_FIRST;
                        LOOK_EVERY
                    }
                    Err(error) => {
                        let pause = retry.mul_f64(1.0 + chance.fraction() / 4.0);
                        tracing::error!(
                            name = %self.name,
                            next_try_s = pause.as_secs(),
                            "no certificate by ACME: {error}"
                        );
                        retry = (retry * 2).min(RETRY_MAX);
                        pause
                    }
                }
            };
            self.clock.sleep(pause).await;
        }
    }

    async fn order(&self) -> Result<Timestamp, KeepError> {
        let account = self.account().await?;
        let issued = account
            .order(&self.name, self.config.challenge, &self.answers)
            .await?;
        let pem = format!("{}\n{}", issued.chain.trim_end(), issued.key);
        let certificate = ServerCertificate::from_pem(pem.as_bytes(), pem.as_bytes())?;
        self.write(&certificate_file(&self.folder), &pem)?;
        Ok(certificate.not_after())
    }

    /// The account that is kept for this server, else a new one.
    async fn account(&self) -> Result<AcmeAccount, KeepError> {
        let file = self.folder.join("acme-account.json");
        let server = &self.config.server;
        if let Some(kept) = read_account(&file)
            && kept.directory == server.directory
        {
            return Ok(AcmeAccount::restore(server, &kept.account).await?);
        }
        let (account, saved) = AcmeAccount::register(server, &self.config.contact).await?;
        let kept = KeptAccount {
            directory: server.directory.clone(),
            account: saved.expose().to_owned(),
        };
        let text = serde_json::to_string_pretty(&kept).map_err(io::Error::from);
        let text = text.map_err(|error| KeepError::File {
            file: file.clone(),
            error,
        })?;
        self.write(&file, &text)?;
        Ok(account)
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), KeepError> {
        let written = files::make_folder(&self.folder).and_then(|()| files::write(file, text));
        written.map_err(|error| KeepError::File {
            file: file.to_owned(),
            error,
        })
    }
}

/// What earlier orders brought, chain and key in one file, so that they are never of two orders.
pub(super) fn read(folder: &Path) -> Result<ServerCertificate, String> {
    let file = certificate_file(folder);
    files::read_certificate(&file, Some(&file))
}

/// Where it is kept.
pub(super) fn certificate_file(folder: &Path) -> PathBuf {
    folder.join("acme.pem")
}

/// It is for another name, or its last third has begun.
fn is_due(kept: &ServerCertificate, name: &Domain, now: Timestamp) -> bool {
    let bears = kept
        .names()
        .iter()
        .any(|one| one.eq_ignore_ascii_case(name.as_str()));
    let left = kept.not_after().since(now);
    let lifetime = kept.not_after().since(kept.not_before());
    !bears || left < lifetime / RENEW_AT
}

/// An account belongs to the server that gave it.
#[derive(Deserialize, Serialize)]
struct KeptAccount {
    directory: String,
    /// The library's own text, with the private key.
    account: String,
}

fn read_account(file: &Path) -> Option<KeptAccount> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
