//! A receiving server for tests: takes mail, or does at each command what the test says.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relais_net::network::{Accepted, Network};
use relais_net::stream::Stream;
use relais_net::tls::ServerTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::world::World;

/// What the peer hears.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Counts transactions of the connection, from 1 with the first MAIL.
    pub(super) transaction: usize,
    /// From where.
    pub(super) from: SocketAddr,
    /// Time since the world began.
    pub(super) at: Duration,
    /// `GREETING`, a verb, or `CONTENT`.
    pub(super) verb: String,
    /// The whole line.
    pub(super) line: String,
}

/// What it does then.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The usual.
    Usual,
    /// Says this, without CRLF.
    Say(&'static str),
    /// Says this, later.
    SayLater(Duration, &'static str),
    /// Sends these octets as they are, one at a time with this gap.
    Drip(Duration, &'static [u8]),
    /// Closes, after saying this.
    Close(&'static str),
    /// Says nothing any more, and keeps the connection.
    Silence,
}

type Script = Arc<dyn Fn(&Heard) -> Act + Send + Sync>;

/// A message that it took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Took {
    pub(super) at: Duration,
    pub(super) connection: usize,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) content: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    took: Vec<Took>,
    heard: Vec<Heard>,
    connections: usize,
    open: usize,
    open_max: usize,
}

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Peer {
    network: Network,
    address: SocketAddr,
    extensions: Arc<Mutex<Vec<String>>>,
    script: Arc<Mutex<Script>>,
    tls: Arc<Mutex<Option<ServerTls>>>,
    seen: Arc<Mutex<Seen>>,
    listening: Arc<Mutex<Option<JoinSet<()>>>>,
    began: tokio::time::Instant,
    lmtp: bool,
}

impl Peer {
    pub(super) async fn start(world: &World, address: &str, port: u16) -> Self {
        let ip: IpAddr = address.parse().unwrap();
        let network = world.host(ip);
        let peer = Self {
            network,
            address: SocketAddr::new(ip, port),
            extensions: Arc::new(Mutex::new(
                [
                    "PIPELINING",
                    "8BITMIME",
                    "SMTPUTF8",
                    "DSN",
                    "ENHANCEDSTATUSCODES",
                ]
                .map(str::to_owned)
                .to_vec(),
            )),
            script: Arc::new(Mutex::new(Arc::new(|_| Act::Usual))),
            tls: Arc::default(),
            seen: Arc::default(),
            listening: Arc::default(),
            began: world.began,
            lmtp: port == 24,
        };
        peer.listen().await;
        peer
    }

    /// Listens again after [`Peer::stop`].
    pub(super) async fn listen(&self) {
        let listener = self.network.listen(self.address).await.unwrap();
        let mut tasks = JoinSet::new();
        let peer = self.clone();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok(accepted) = listener.accept().await {
                sessions.spawn(peer.clone().serve(accepted));
            }
        });
        *self.listening.lock().unwrap() = Some(tasks);
    }

    /// Refuses connections, and cuts those that it has.
    pub(super) async fn stop(&self) {
        let tasks = self.listening.lock().unwrap().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        // Sessions end with the task that held them.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.seen.lock().unwrap().open = 0;
    }

    pub(super) fn offers(&self, extensions: &[&str]) {
        *self.extensions.lock().unwrap() = extensions.iter().map(|one| (*one).to_owned()).collect();
    }

    /// Knows STARTTLS from now on, or TLS before everything else on port 465.
    pub(super) fn knows_tls(&self, tls: ServerTls) {
        self.extensions.lock().unwrap().push("STARTTLS".to_owned());
        *self.tls.lock().unwrap() = Some(tls);
    }

    /// Does not offer STARTTLS any more.
    pub(super) fn forgets_tls(&self) {
        self.extensions
            .lock()
            .unwrap()
            .retain(|one| one != "STARTTLS");
    }

    /// Offers one extension more.
    pub(super) fn also_offers(&self, extension: &str) {
        self.extensions.lock().unwrap().push(extension.to_owned());
    }

    pub(super) fn script(&self, script: impl Fn(&Heard) -> Act + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    pub(super) fn took(&self) -> Vec<Took> {
        self.seen.lock().unwrap().took.clone()
    }

    /// Addresses of all that it took, in order.
    pub(super) fn took_for(&self) -> Vec<String> {
        self.took().into_iter().flat_map(|one| one.to).collect()
    }

    pub(super) fn heard(&self, verb: &str) -> Vec<Heard> {
        let seen = self.seen.lock().unwrap();
        seen.heard
            .iter()
            .filter(|heard| heard.verb == verb)
            .cloned()
            .collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(super) fn open(&self) -> usize {
        self.seen.lock().unwrap().open
    }

    pub(super) fn open_max(&self) -> usize {
        self.seen.lock().unwrap().open_max
    }

    async fn serve(self, accepted: Accepted) {
        let connection = {
            let mut seen = self.seen.lock().unwrap();
            seen.connections += 1;
            seen.open += 1;
            seen.open_max = seen.open_max.max(seen.open);
            seen.connections
        };
        let talk = Talk {
            stream: accepted.stream,
            peer: self.clone(),
            connection,
            from: accepted.peer,
            transaction: 0,
            read: Vec::new(),
        };
        let _ = talk.run().await;
        let mut seen = self.seen.lock().unwrap();
        seen.open = seen.open.saturating_sub(1);
    }
}

struct Talk {
    stream: Stream,
    peer: Peer,
    connection: usize,
    from: SocketAddr,
    transaction: usize,
    read: Vec<u8>,
}

enum End {
    Closed,
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Closed
    }
}

impl Talk {
    async fn run(mut self) -> Result<(), End> {
        if self.peer.address.port() == 465 {
            self.handshake().await?;
        }
        self.act("GREETING", "", "220 peer.example ESMTP").await?;
        let mut from = String::new();
        let mut to: Vec<String> = Vec::new();
        loop {
            let line = self.line().await?;
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "LHLO" => {
                    let extensions = self.peer.extensions.lock().unwrap().clone();
                    let mut lines = vec!["250-peer.example".to_owned()];
                    lines.extend(extensions.iter().map(|one| format!("250-{one}")));
                    let last = lines.pop().unwrap().replacen('-', " ", 1);
                    lines.push(last);
                    self.act(&verb, &line, &lines.join("\r\n")).await?;
                }
                "MAIL" => {
                    self.transaction += 1;
                    to.clear();
                    from = path(&line);
                    if !self.act(&verb, &line, "250 2.1.0 ok").await? {
                        from.clear();
                    }
                }
                "RCPT" => {
                    if self.act(&verb, &line, "250 2.1.5 ok").await? {
                        to.push(path(&line));
                    }
                }
                "DATA" if to.is_empty() => {
                    self.act(&verb, &line, "554 5.5.1 no recipients").await?;
                }
                "DATA" => {
                    if self.act(&verb, &line, "354 go on").await? {
                        let content = self.data().await?;
                        self.take(&from, &mut to, content).await?;
                    }
                }
                "BDAT" => {
                    let size: usize = line.split(' ').nth(1).unwrap().parse().unwrap();
                    let content = self.octets(size).await?;
                    if to.is_empty() {
                        self.act(&verb, &line, "554 5.5.1 no recipients").await?;
                    } else {
                        self.take(&from, &mut to, content).await?;
                    }
                }
                "STARTTLS" => {
                    if self.act(&verb, &line, "220 2.0.0 go on").await? {
                        self.handshake().await?;
                    }
                }
                "QUIT" => {
                    self.act(&verb, &line, "221 2.0.0 bye").await?;
                    return Ok(());
                }
                _ => {
                    self.act(&verb, &line, "250 2.0.0 ok").await?;
                }
            }
        }
    }

    /// With no TLS of its own it talks on in clear, as a liar does.
    async fn handshake(&mut self) -> Result<(), End> {
        let tls = self.peer.tls.lock().unwrap().clone();
        let Some(tls) = tls else {
            return Ok(());
        };
        let (placeholder, _) = Stream::pair();
        let stream = std::mem::replace(&mut self.stream, placeholder);
        let (stream, session) = tls.accept(stream).await.map_err(|_| End::Closed)?;
        self.stream = stream;
        self.read.clear();
        let heard = Heard {
            transaction: self.transaction,
            from: self.from,
            at: self.peer.began.elapsed(),
            verb: "TLS".to_owned(),
            line: session.version.to_string(),
        };
        self.peer.seen.lock().unwrap().heard.push(heard);
        Ok(())
    }

    async fn take(
        &mut self,
        from: &str,
        to: &mut Vec<String>,
        content: Vec<u8>,
    ) -> Result<(), End> {
        let took = Took {
            at: self.peer.began.elapsed(),
            connection: self.connection,
            from: from.to_owned(),
            to: std::mem::take(to),
            content,
        };
        if !self.peer.lmtp {
            if self.act("CONTENT", "", "250 2.0.0 taken").await? {
                self.peer.seen.lock().unwrap().took.push(took);
            }
            return Ok(());
        }
        for one in &took.to {
            if self.act("CONTENT", one, "250 2.0.0 in the mailbox").await? {
                let took = Took {
                    to: vec![one.clone()],
                    ..took.clone()
                };
                self.peer.seen.lock().unwrap().took.push(took);
            }
        }
        Ok(())
    }

    /// Does what the script says; whether the answer was a yes.
    async fn act(&mut self, verb: &str, line: &str, usual: &str) -> Result<bool, End> {
        let heard = Heard {
            transaction: self.transaction,
            from: self.from,
            at: self.peer.began.elapsed(),
            verb: verb.to_owned(),
            line: line.to_owned(),
        };
        let script = Arc::clone(&self.peer.script.lock().unwrap());
        let act = script(&heard);
        self.peer.seen.lock().unwrap().heard.push(heard);
        let text = match act {
            Act::Usual => usual,
            Act::Say(text) => text,
            Act::SayLater(wait, text) => {
                tokio::time::sleep(wait).await;
                text
            }
            Act::Drip(gap, octets) => {
                for octet in octets {
                    tokio::time::sleep(gap).await;
                    self.stream.write_all(&[*octet]).await?;
                }
                return Ok(octets.starts_with(b"2") && octets.ends_with(b"\r\n"));
            }
            Act::Close(text) => {
                if !text.is_empty() {
                    self.stream
                        .write_all(format!("{text}\r\n").as_bytes())
                        .await?;
                    self.stream.flush().await?;
                }
                self.stream.shutdown().await?;
                return Err(End::Closed);
            }
            Act::Silence => loop {
                self.more().await?;
            },
        };
        self.stream
            .write_all(format!("{text}\r\n").as_bytes())
            .await?;
        self.stream.flush().await?;
        Ok(text.starts_with('2') || text.starts_with('3'))
    }

    async fn more(&mut self) -> Result<(), End> {
        let mut piece = [0; 4_096];
        let count = self.stream.read(&mut piece).await?;
        if count == 0 {
            return Err(End::Closed);
        }
        self.read.extend_from_slice(&piece[..count]);
        Ok(())
    }

    async fn until(&mut self, mark: &[u8]) -> Result<Vec<u8>, End> {
        loop {
            let at = self
                .read
                .windows(mark.len())
                .position(|window| window == mark);
            if let Some(at) = at {
                let rest = self.read.split_off(at + mark.len());
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            self.more().await?;
        }
    }

    async fn line(&mut self) -> Result<String, End> {
        let line = self.until(b"\r\n").await?;
        Ok(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned())
    }

    async fn octets(&mut self, size: usize) -> Result<Vec<u8>, End> {
        while self.read.len() < size {
            self.more().await?;
        }
        let rest = self.read.split_off(size);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    /// Unstuffed content.
    async fn data(&mut self) -> Result<Vec<u8>, End> {
        let mut content = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            if line == b".\r\n" {
                return Ok(content);
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

fn path(line: &str) -> String {
    let path = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    path.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

/// How often each address was taken.
pub(super) fn counts(took: &[Took]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for to in took.iter().flat_map(|one| &one.to) {
        *counts.entry(to.clone()).or_default() += 1;
    }
    counts
}
