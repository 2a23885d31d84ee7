//! Asking checkers of content: Rspamd by HTTP, ClamAV's clamd, milters; by TCP or by a socket of
//! this machine. All that a connector names are asked at once, within one time; each reads the
//! content by itself, piece by piece, so that a large message is nowhere held whole.
//!
//! Who runs the machine says where the checkers are, in the bootstrap file: content goes nowhere
//! else. Not here: what they say (`relais_policy::content`), when they are asked
//! (`relais-receive`).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use relais_policy::content::milter::{Milter, Step};
use relais_policy::content::{Answer, CheckFacts, CheckFault, CheckerKind, Opinion};
use relais_policy::content::{clamd, rspamd};
use relais_policy::settings::HostPort;
use relais_smtp::address::Host;
use relais_smtp::header::{HEADER_SECTION_OCTETS_MAX, header_section_end};

use crate::clock::Clock;
use crate::network::Network;
use crate::places::Places;
use crate::stream::Stream;

/// Messages that one checker looks at at the same time; the others wait within their time. clamd
/// takes 10 threads by default, Rspamd as many as it has workers: more would only wait there.
const AT_ONCE_MAX: usize = 32;
/// Of these, as many as one organisation can have: the rest is for others, however slow its own
/// messages are.
const AT_ONCE_OF_ONE_MAX: usize = 24;
/// Addresses of a checker's name that are tried.
const ADDRESSES_MAX: usize = 4;
/// Of a header section, with what we put on top of it.
const SECTION_OCTETS_MAX: usize = 2 * HEADER_SECTION_OCTETS_MAX;
/// Room for the first piece of an answer.
const READ_OCTETS: usize = 4_096;

/// One checker, from the bootstrap file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckerOptions {
    /// By which settings name it.
    pub name: String,
    /// What it speaks.
    pub kind: CheckerKind,
    /// Where it is.
    pub place: CheckerPlace,
}

/// Where a checker is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckerPlace {
    /// By TCP.
    Host(HostPort),
    /// A socket of this machine.
    Socket(PathBuf),
}

/// Content, piece by piece.
pub trait Content: Send {
    /// The next piece; empty at the end.
    fn next(&mut self) -> impl Future<Output = Result<Arc<[u8]>, CheckFault>> + Send;
}

/// The checkers of this installation. Cheap to clone.
#[derive(Clone)]
pub struct Checkers(Arc<Inner>);

struct Inner {
    known: Vec<Known>,
    network: Network,
    clock: Clock,
}

struct Known {
    options: CheckerOptions,
    places: Arc<Places>,
}

impl Checkers {
    /// Those of the bootstrap file.
    pub fn new(options: Vec<CheckerOptions>, network: Network, clock: Clock) -> Self {
        let known = options.into_iter().map(|options| Known {
            options,
            places: Places::new(AT_ONCE_MAX, AT_ONCE_OF_ONE_MAX),
        });
        Self(Arc::new(Inner {
            known: known.collect(),
            network,
            clock,
        }))
    }

    /// Asks those of these names about a message of an organisation, all at once; each has an
    /// answer after `time` at the latest.
    pub async fn ask<C: Content>(
        &self,
        (organisation, names): (&Arc<str>, &[String]),
        facts: &CheckFacts,
        time: Duration,
        content: impl Fn() -> C,
    ) -> Vec<Answer> {
        let until = self.0.clock.moment() + time;
        let asked = names.iter().map(|name| {
            let content = content();
            async move {
                let within = self
                    .0
                    .clock
                    .within(until, self.ask_one((organisation, name), facts, content));
                let said = within.await.unwrap_or(Err(CheckFault::TimedOut));
                if let Err(fault) = &said {
                    tracing::warn!(checker = %name, %fault, "a content checker gave no opinion");
                }
                Answer {
                    checker: name.clone(),
                    said,
                }
            }
        });
        join_all(asked).await
    }

    async fn ask_one(
        &self,
        (organisation, name): (&Arc<str>, &str),
        facts: &CheckFacts,
        content: impl Content,
    ) -> Result<Opinion, CheckFault> {
        let known = self.0.known.iter().find(|one| one.options.name == name);
        let known = known.ok_or(CheckFault::Unknown)?;
        let _place = known.places.wait(organisation).await;
        let stream = self.dial(&known.options.place).await;
        let stream = stream.map_err(|error| CheckFault::Unreachable(error.to_string()))?;
        match known.options.kind {
            CheckerKind::Rspamd => ask_rspamd(stream, facts, content).await,
            CheckerKind::Clamav => ask_clamd(stream, content).await,
            CheckerKind::Milter => ask_milter(stream, facts, content).await,
        }
    }

    async fn dial(&self, place: &CheckerPlace) -> io::Result<Stream> {
        let network = &self.0.network;
        let HostPort { host, port, .. } = match place {
            CheckerPlace::Socket(path) => return network.dial_local(path).await,
            CheckerPlace::Host(host) => host,
        };
        let addresses = match host {
            Host::Literal(address) => vec![*address],
            Host::Domain(name) => {
                let found = network.resolver().addresses(name).await;
                found.map_err(io::Error::other)?.records
            }
        };
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            match network.dial(SocketAddr::new(address, *port), None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

async fn ask_rspamd(
    mut stream: Stream,
    facts: &CheckFacts,
    content: impl Content,
) -> Result<Opinion, CheckFault> {
    let head = rspamd::request_head(facts);
    stream.write_all(head.as_bytes()).await.map_err(broken)?;
    pass_on(&mut stream, content, |_| None).await?;
    let answer = read_all(&mut stream, rspamd::ANSWER_OCTETS_MAX).await?;
    let found: rspamd::Found = serde_json::from_str(rspamd::body(&answer)?)
        .map_err(|error| CheckFault::Protocol(format!("its answer cannot be read: {error}")))?;
    Ok(rspamd::opinion(&found))
}

async fn ask_clamd(mut stream: Stream, content: impl Content) -> Result<Opinion, CheckFault> {
    stream.write_all(clamd::COMMAND).await.map_err(broken)?;
    let went_out = pass_on(&mut stream, content, |piece| {
        Some(clamd::piece_head(piece.len()))
    });
    if went_out.await? == WentOut::Whole {
        stream.write_all(&clamd::END).await.map_err(broken)?;
    }
    let answer = read_all(&mut stream, clamd::ANSWER_OCTETS_MAX).await?;
    clamd::answer(&answer)
}

async fn ask_milter(
    mut stream: Stream,
    facts: &CheckFacts,
    mut content: impl Content,
) -> Result<Opinion, CheckFault> {
    let (section, mut begun) = header_section(&mut content).await?;
    let mut milter = Milter::new(facts, &section);
    let mut octets = vec![0; READ_OCTETS];
    loop {
        let step = milter.step();
        if stream.write_all(&milter.output()).await.is_err() {
            milter.lost();
        }
        match step {
            // It hears that it is over, or it is gone.
            Step::Finished(result) => return result,
            Step::Body => match begun.take() {
                Some(begun) => milter.body(&begun),
                None => milter.body(&content.next().await?),
            },
            Step::Read => match stream.read(&mut octets).await {
                Ok(count) if count > 0 => milter.receive(&octets[..count]),
                Ok(_) | Err(_) => milter.lost(),
            },
        }
    }
}

/// The header section, and what of the body came with it.
async fn header_section(
    content: &mut impl Content,
) -> Result<(Vec<u8>, Option<Vec<u8>>), CheckFault> {
    let mut held = Vec::new();
    loop {
        let piece = content.next().await?;
        held.extend_from_slice(&piece);
        let end = match header_section_end(&held) {
            Some(end) => end,
            None if piece.is_empty() || held.len() > SECTION_OCTETS_MAX => held.len(),
            None => continue,
        };
        let body = held.split_off(end);
        return Ok((held, Some(body).filter(|body| !body.is_empty())));
    }
}

/// How much of the content the checker took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum WentOut {
    Whole,
    /// It closed before: it may have said why.
    InPart,
}

/// Writes all of the content, each piece behind its head.
async fn pass_on(
    stream: &mut Stream,
    mut content: impl Content,
    head: impl Fn(&[u8]) -> Option<[u8; 4]>,
) -> Result<WentOut, CheckFault> {
    loop {
        let piece = content.next().await?;
        if piece.is_empty() {
            let flushed = stream.flush().await;
            return flushed.map(|()| WentOut::Whole).map_err(broken);
        }
        if let Some(head) = head(&piece)
            && stream.write_all(&head).await.is_err()
        {
            return Ok(WentOut::InPart);
        }
        if stream.write_all(&piece).await.is_err() {
            return Ok(WentOut::InPart);
        }
    }
}

/// All that it answers up to the end of the connection, or to the NUL that ends an answer of clamd.
async fn read_all(stream: &mut Stream, octets_max: usize) -> Result<Vec<u8>, CheckFault> {
    let mut answer = Vec::with_capacity(READ_OCTETS);
    let mut piece = vec![0; READ_OCTETS];
    loop {
        let count = match stream.read(&mut piece).await {
            Ok(count) => count,
            // A peer that closes before it has read all resets; what it said came before.
            Err(_) if !answer.is_empty() => return Ok(answer),
            Err(error) => return Err(broken(error)),
        };
        answer.extend_from_slice(&piece[..count]);
        if count == 0 || answer.last() == Some(&0) {
            return Ok(answer);
        }
        if answer.len() > octets_max {
            return Err(CheckFault::Protocol("its answer is too long".to_owned()));
        }
    }
}

fn broken(_: io::Error) -> CheckFault {
    CheckFault::Broken
}

#[cfg(test)]
mod tests;
