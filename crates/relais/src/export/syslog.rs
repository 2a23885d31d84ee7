//! Syslog: messages of RFC 5424 over TLS, as RFC 5425 has it: each behind its length. The server
//! proves its name by a certificate of a known authority (RFC 5425 §5.2); TLS 1.2 and later.
//!
//! Syslog over TLS acknowledges nothing: what was written when a connection broke may be lost. A
//! connection that the server has closed is noticed before the next message is written.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use relais_net::clock::Clock;
use relais_net::network::Network;
use relais_net::stream::Stream;
use relais_net::tls::ClientTls;
use relais_policy::encryption::Demand;
use relais_policy::settings::HostPort;
use relais_smtp::address::Host;
use relais_store::trace::{Event, EventKind};

use super::Live;
use crate::config::SyslogConfig;
use crate::log::body;

/// A connection with its handshake must stand within this.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that takes nothing for so long is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two tries to reach it, from the first to the last.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];
/// Facility *mail system*. RFC 5424 §6.2.1.
const FACILITY: u8 = 2;
/// Addresses of the server's name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Where they go.
pub(super) struct Collector {
    pub(super) config: SyslogConfig,
    pub(super) hostname: String,
    pub(super) network: Network,
    pub(super) tls: ClientTls,
    pub(super) clock: Clock,
}

impl Collector {
    pub(super) async fn run(self, mut live: Live) {
        let mut connection = None;
        while let Some(events) = live.next().await {
            let mut octets = Vec::new();
            for event in events.iter() {
                push_frame(&mut octets, &self.message(event));
            }
            self.send(&mut connection, &octets, &live).await;
        }
        // RFC 5425 §4.4: the server hears that this is the end, and no break.
        if let Some(mut stream) = connection
            && let Err(error) = stream.shutdown().await
        {
            tracing::debug!(%error, "the syslog server was gone at the end");
        }
    }

    /// Over the connection that stands, or a new one; tries until it is written.
    async fn send(&self, connection: &mut Option<Stream>, octets: &[u8], live: &Live) {
        let mut tries = 0;
        loop {
            if connection.as_mut().is_none_or(is_closed) {
                *connection = self.open().await;
            }
            if let Some(stream) = connection {
                let until = self.clock.moment() + WRITE_TIMEOUT;
                let written = async {
                    stream.write_all(octets).await?;
                    stream.flush().await
                };
                match self.clock.within(until, written).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => tracing::warn!(%error, "the syslog server is gone"),
                    Err(_) => tracing::warn!("the syslog server takes nothing"),
                }
                *connection = None;
            }
            let last = PAUSES.len() - 1;
            live.pause(&self.clock, PAUSES[tries.min(last)]).await;
            tries += 1;
        }
    }

    async fn open(&self) -> Option<Stream> {
        let until = self.clock.moment() + OPEN_TIMEOUT;
        let opened = self.clock.within(until, self.dial()).await;
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::warn!(%error, "the syslog server cannot be reached");
                None
            }
        }
    }

    async fn dial(&self) -> io::Result<Stream> {
        let HostPort { host, port, .. } = &self.config.place;
        let addresses = match host {
            Host::Literal(address) => vec![*address],
            Host::Domain(name) => {
                let found = self.network.resolver().addresses(name).await;
                found.map_err(io::Error::other)?.records
            }
        };
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            let stream = match self.network.dial((address, *port).into(), None).await {
                Ok(stream) => stream,
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            let now = self.clock.now();
            let secured = self.tls.connect(stream, host, &Demand::Host, now).await;
            match secured {
                Ok((stream, _)) => return Ok(stream),
                Err(fault) => failed = io::Error::other(fault.to_string()),
            }
        }
        Err(failed)
    }

    /// `<22>1 2026-11-24T10:00:00.123Z relay.contoso.test relais 77 recipient.delivered - {…}`.
    /// RFC 5424 §6.
    fn message(&self, event: &Event) -> String {
        format!(
            "<{}>1 {} {} relais {} {} - {}",
            FACILITY * 8 + severity(event.kind),
            event.time.to_rfc3339(),
            self.hostname,
            std::process::id(),
            event.kind.name(),
            body(event, self.config.format, &self.hostname)
        )
    }
}

/// Whether the server has closed it: it never says anything.
fn is_closed(stream: &mut Stream) -> bool {
    let mut octet = [0];
    match stream.try_read(&mut octet) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// The message behind its length in octets. RFC 5425 §4.3.1.
fn push_frame(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(message.len().to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(message.as_bytes());
}

/// RFC 5424 §6.2.1.
const fn severity(kind: EventKind) -> u8 {
    match kind {
        EventKind::AlertRaised => 1,
        EventKind::RecipientFailed
        | EventKind::RecipientExpired
        | EventKind::RecipientDiscarded
        | EventKind::AuthFailed
        | EventKind::EntityRestricted => 4,
        EventKind::ConnectionRefused
        | EventKind::AttemptRefused
        | EventKind::RecipientDeferred
        | EventKind::RecipientHeld
        | EventKind::CheckChanged
        | EventKind::SettingsChanged
        | EventKind::EntityReleased => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_counted_in_octets_and_not_in_characters() {
        let mut out = Vec::new();
        push_frame(&mut out, "é");
        push_frame(&mut out, "a\nb");
        assert_eq!(out, "2 é3 a\nb".as_bytes());
    }
}
