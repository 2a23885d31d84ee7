//! The doors: the local socket (trusted: file permissions), the admin listener (the admin
//! centre, probes and metrics), and that for challenges of ACME.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use relais_net::acme::ChallengeAnswers;
use relais_net::network::Listener;
use relais_net::stream::Stream;
use relais_net::tls::{CertificateStore, ServerTls};
use relais_store::store::Store;

use crate::alerting;
use crate::api;
use crate::card::issued::end_of_gone;
use crate::challenge;
use crate::checks;
pub use crate::context::{AdminContext, Phase, Readiness};
use crate::context::{Caller, Peer};
use crate::desk;
use crate::naming;
use crate::policies::{self, Shown};
use crate::posting;
use crate::proving;
use crate::publishing::{self, Publishing};
use crate::report_mail;
use crate::schedules;
use crate::signing_keys;
use crate::web;

/// Connections at the same time, per door: a scrape, some probes, some terminals with `--live`.
const CONNECTIONS_MAX: usize = 256;
/// A request's header section must be complete by then; the same as common web servers.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A handshake must be complete by then; two round trips and some arithmetic.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept (too many open files), as listeners of mail do.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Owner and group may talk to us.
const SOCKET_MODE: u32 = 0o660;

/// The running doors.
pub struct AdminService {
    socket: PathBuf,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl AdminService {
    /// Serves both, and looks at domains by itself. A socket left behind by a dead server is
    /// replaced: that no live one uses it is known from the store's lock.
    pub fn start(
        context: AdminContext,
        socket: PathBuf,
        listener: Option<Listener>,
        publishing: Option<Publishing>,
    ) -> io::Result<Self> {
        let tls = context.certificates.of_centre.clone();
        let tls = tls.map(ServerTls::for_pages);
        let local = bind(&socket)?;
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let doors = Doors {
            closing: closing.clone(),
            tasks: tasks.clone(),
        };
        let (store, now) = (context.store.clone(), context.clock.now());
        tasks.spawn(async move {
            let document = store.settings().document.clone();
            if let Err(error) = end_of_gone(&store, &document, now).await {
                tracing::error!(%error, "cards of a connector that is gone still count");
            }
            if let Err(error) = schedules::end_of_gone(&store, &document, now).await {
                tracing::error!(%error, "reports of an organisation that is gone stay");
            }
        });
        tasks.spawn(
            doors
                .clone()
                .serve_socket(local, api::router(context.clone())),
        );
        if let Some(dns) = context.dns.clone() {
            tasks.spawn(proving::watch(
                context.clone(),
                dns.clone(),
                closing.clone(),
            ));
            tasks.spawn(signing_keys::watch(
                context.clone(),
                dns.clone(),
                closing.clone(),
            ));
            tasks.spawn(desk::watch(context.clone(), dns.clone(), closing.clone()));
            tasks.spawn(checks::watch(context.clone(), closing.clone()));
            if let Some(publishing) = publishing {
                let (context, closing) = (context.clone(), closing.clone());
                tasks.spawn(publishing::follow(context, publishing, closing));
            }
            tasks.spawn(naming::follow(context.clone(), dns, closing.clone()));
        }
        tasks.spawn(report_mail::run(context.clone(), closing.clone()));
        if let Some(hooks) = context.duties.hooks.clone() {
            let (posts, ending) = (hooks.clone(), closing.clone());
            tasks.spawn(posting::run(context.clone(), posts, ending));
            tasks.spawn(alerting::run(context.clone(), hooks, closing.clone()));
        }
        if let Some(listener) = listener {
            tasks.spawn(doors.serve_listener(listener, web::router(context), tls));
        }
        Ok(Self {
            socket,
            closing,
            tasks,
        })
    }

    /// Ends running requests within the time.
    pub async fn drain(self, within: Duration) {
        self.closing.cancel();
        self.tasks.close();
        // What is not done by then is dropped with the runtime: requests hold no mail.
        let _ = tokio::time::timeout(within, self.tasks.wait()).await;
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "the control socket was already gone");
        }
    }
}

/// The running door for http-01 challenges. Closed when dropped.
pub struct ChallengeService(CancellationToken);

impl ChallengeService {
    /// Answers what an order under way has put into `answers`.
    pub fn start(listener: Listener, answers: ChallengeAnswers) -> Self {
        let closing = CancellationToken::new();
        let doors = Doors {
            closing: closing.clone(),
            tasks: TaskTracker::new(),
        };
        tokio::spawn(doors.serve_listener(listener, challenge::router(answers), None));
        Self(closing)
    }
}

impl Drop for ChallengeService {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The running door for our domains' policies of MTA-STS. Closed when dropped.
pub struct PolicyService(CancellationToken);

impl PolicyService {
    /// Shows what the settings in force say. `hostname`: who we are as a mail exchanger.
    pub fn start(
        listener: Listener,
        certificates: CertificateStore,
        store: Store,
        hostname: String,
    ) -> Self {
        let closing = CancellationToken::new();
        let doors = Doors {
            closing: closing.clone(),
            tasks: TaskTracker::new(),
        };
        let router = policies::router(Shown { store, hostname });
        let tls = ServerTls::for_pages(certificates);
        tokio::spawn(doors.serve_listener(listener, router, Some(tls)));
        Self(closing)
    }
}

impl Drop for PolicyService {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(socket) {
        if !found.file_type().is_socket() {
            let message = format!("{} exists and is no socket", socket.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

#[derive(Clone)]
struct Doors {
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Doors {
    async fn serve_socket(self, listener: UnixListener, router: Router) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closing.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                    let who = (Caller::socket(uid), None);
                    self.serve(async { Some(stream) }, router.clone(), who, &places);
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn serve_listener(self, listener: Listener, router: Router, tls: Option<ServerTls>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.closing.cancelled() => return,
            };
            match accepted {
                Ok(accepted) => {
                    let who = (Caller::listener(), Some(Peer(accepted.peer.ip())));
                    let opened = open(accepted.stream, tls.clone());
                    self.serve(opened, router.clone(), who, &places);
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn pause(&self, error: &io::Error) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    /// One connection, once it is open; beyond the bound it is closed at once.
    fn serve<S>(
        &self,
        opened: impl Future<Output = Option<S>> + Send + 'static,
        router: Router,
        who: (Caller, Option<Peer>),
        places: &Arc<Semaphore>,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            tracing::warn!(limit = CONNECTIONS_MAX, "too many connections to the API");
            return;
        };
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            if let Some(stream) = opened.await {
                converse(stream, router, who, closing).await;
            }
            drop(place);
        });
    }
}

/// With the handshake done, where there is one; none if that failed.
async fn open(stream: Stream, tls: Option<ServerTls>) -> Option<Stream> {
    let Some(tls) = tls else {
        return Some(stream);
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok((stream, _))) => Some(stream),
        Ok(Err(fault)) => {
            tracing::debug!(?fault, "a browser and the admin centre found no TLS");
            None
        }
        Err(_) => None,
    }
}

async fn converse<S>(
    stream: S,
    router: Router,
    (caller, peer): (Caller, Option<Peer>),
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller.clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API broke off");
    }
}
