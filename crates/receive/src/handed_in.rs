//! Mail that a program hands in over HTTP: a session like any other, whose client is in this
//! process. The program has proved whose credential's mail it is; from MAIL on the same questions
//! are asked, the same limits count, the same events are told and the same 250 is given.
//!
//! Not here: who the program is and how it says what it wants (`relais-admin`).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use relais_net::network::Accepted;
use relais_net::stream::Stream;
use relais_policy::login::may_log_in;
use relais_policy::tls::TlsVersion;
use relais_smtp::client::{
    ClientConfig, ClientSession, ClientStep, Closed, Protocol, Transaction, TransactionResult,
};
use relais_smtp::content::Preset;
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;

use crate::identity::Client;
use crate::login::NotLoggedIn;
use crate::refuse::{Refusals, say};
use crate::service::{Entry, ListenerOptions, ReceiveService};
use crate::session::{self, Beginning};
use crate::shared::{ListenerTls, Shared};

/// Read at once from our own session: replies are short.
const READ_OCTETS: usize = 4 * 1_024;
/// Content goes to the session in pieces of this.
const PIECE_OCTETS: usize = 64 * 1_024;

/// One message, and whose it is.
pub struct HandedIn {
    /// From where the program asked.
    pub address: IpAddr,
    /// The credential whose mail it is.
    pub user: String,
    /// What the program said could not be read on its way: TLS, or it never left this machine.
    pub is_protected: bool,
    /// Envelope and size.
    pub transaction: Transaction,
    /// Header section and body.
    pub content: Vec<u8>,
}

/// Where messages are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Entrance(Arc<Entry>);

impl Entrance {
    /// Beside the listeners of this service.
    pub fn beside(service: &ReceiveService) -> Self {
        let (shared, connections) = service.parts();
        Self(Arc::new(Entry {
            shared: Arc::clone(shared),
            connections: Arc::clone(connections),
            options: ListenerOptions {
                address: SocketAddr::from(([127, 0, 0, 1], 0)),
                submission: true,
                preset: Preset::Tolerant,
                bounds: None,
                proxies: Vec::new(),
                tls: ListenerTls::None,
            },
        }))
    }

    /// What became of each recipient; or the one reply that ended it before.
    pub async fn take(&self, handed: HandedIn) -> Result<TransactionResult, Reply> {
        let local = |_| say(&self.0.shared.context, &Refusal::Local);
        let (near, far) = Stream::local_pair().map_err(local)?;
        let peer = SocketAddr::new(handed.address, 0);
        let accepted = Accepted {
            stream: far,
            peer,
            local: self.0.options.address,
        };
        let driver = Driver::new(near, handed.address);
        let Some(beginning) = self.0.admit(accepted) else {
            // Its last words stand in the stream.
            return driver.hear_no(&self.0.shared).await;
        };
        let beginning = self.known(beginning, &handed)?;
        let HandedIn {
            transaction,
            content,
            ..
        } = handed;
        let (_, result) = tokio::join!(
            Box::pin(session::run(Box::new(beginning))),
            driver.hand_in(&self.0.shared, transaction, &content)
        );
        result
    }

    /// With the credential, if it may be used from there and now.
    fn known(&self, mut beginning: Beginning, handed: &HandedIn) -> Result<Beginning, Reply> {
        let context = &self.0.shared.context;
        let settings = context.store.settings();
        let now = context.clock.now();
        if handed.is_protected {
            beginning.identity.protected(TlsVersion::V1_3);
        }
        let facts = beginning.identity.facts();
        let may = may_log_in(&settings, facts, &handed.user, now).and_then(|_| {
            let restrictions = context.store.restrictions();
            let blocked = restrictions
                .in_force(context.clock.steady_now())
                .of_credential(&handed.user)
                .is_some();
            let refusal = Refusal::CredentialDisabled;
            if blocked { Err(refusal) } else { Ok(()) }
        });
        if let Err(refusal) = may {
            let (client, identity) = (&beginning.client, &beginning.identity);
            let no = NotLoggedIn::from(refusal);
            let mut refusals = Refusals::default();
            return Err(refusals.login(context, client, identity, &no, &handed.user));
        }
        self.0.shared.logins.used(&handed.user, handed.address);
        beginning.identity.authenticated(handed.user.clone());
        beginning.client = Client::find(settings, &beginning.identity);
        Ok(beginning)
    }
}

/// The client's side.
struct Driver {
    stream: Stream,
    machine: ClientSession,
}

impl Driver {
    fn new(stream: Stream, address: IpAddr) -> Self {
        let literal = match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let config = ClientConfig {
            hostname: literal.into(),
            protocol: Protocol::Smtp,
        };
        Self {
            stream,
            machine: ClientSession::new(config),
        }
    }

    /// No session came about.
    async fn hear_no(mut self, shared: &Shared) -> Result<TransactionResult, Reply> {
        while let ClientStep::Read(_) = self.machine.step() {
            self.read().await;
        }
        Err(self.closed(shared))
    }

    async fn hand_in(
        mut self,
        shared: &Shared,
        transaction: Transaction,
        content: &[u8],
    ) -> Result<TransactionResult, Reply> {
        let mut waiting = Some(transaction);
        loop {
            match self.machine.step() {
                ClientStep::Read(_) => {
                    self.flush().await;
                    self.read().await;
                }
                ClientStep::Ready => match waiting.take() {
                    Some(transaction) => self.machine.begin(transaction),
                    None => self.machine.quit(),
                },
                ClientStep::Content => self.write(content).await,
                ClientStep::Finished(result) => {
                    self.machine.quit();
                    self.flush().await;
                    return Ok(result);
                }
                ClientStep::Handshake | ClientStep::Closed(_) => return Err(self.closed(shared)),
            }
        }
    }

    async fn write(&mut self, content: &[u8]) {
        for piece in content.chunks(PIECE_OCTETS) {
            self.machine.write_content(piece);
            self.flush().await;
        }
        self.machine.end_content();
        self.flush().await;
    }

    /// A session that has ended is found out when it is read.
    async fn flush(&mut self) {
        let octets = std::mem::take(self.machine.output());
        if self.stream.write_all(&octets).await.is_err() {
            self.machine.lost();
        }
    }

    async fn read(&mut self) {
        let mut octets = vec![0; READ_OCTETS];
        match self.stream.read(&mut octets).await {
            Ok(count) if count > 0 => self.machine.receive(&octets[..count]),
            Ok(_) | Err(_) => self.machine.lost(),
        }
    }

    /// The reply that ended the session.
    fn closed(&mut self, shared: &Shared) -> Reply {
        match self.machine.step() {
            ClientStep::Closed(Closed::Refused { reply, .. }) => reply,
            _ => say(&shared.context, &Refusal::Local),
        }
    }
}
