//! Those who bring mail in the demo: an SMTP client that says exactly what it is told, as devices
//! do, and remembers what was said.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use relais_net::clock::Clock;
use relais_net::network::Network;
use relais_net::stream::Stream;
use relais_smtp::content::DotStuffer;

/// A relay on loopback that does not answer by then is broken.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest reply that is read, in octets: an EHLO answer has a few hundred.
const REPLY_OCTETS_MAX: usize = 16 << 10;

/// One connection to the relay.
pub(super) struct Visitor {
    stream: Stream,
    clock: Clock,
    unread: Vec<u8>,
    /// What was said, a line each: `> EHLO app`, `< 250 …`.
    pub(super) said: Vec<String>,
}

impl Visitor {
    /// Connects from this address, and hears the banner.
    pub(super) async fn connect(
        network: &Network,
        clock: &Clock,
        relay: SocketAddr,
        from: IpAddr,
    ) -> io::Result<Self> {
        let stream = network.dial(relay, Some(from)).await?;
        let mut visitor = Self {
            stream,
            clock: clock.clone(),
            unread: Vec::new(),
            said: Vec::new(),
        };
        visitor.hear().await?;
        Ok(visitor)
    }

    /// Says these lines at once, and hears a reply to each.
    pub(super) async fn say(&mut self, lines: &[&str]) -> io::Result<Vec<String>> {
        let mut octets = String::new();
        for line in lines {
            self.said.push(format!("> {line}"));
            octets.push_str(line);
            octets.push_str("\r\n");
        }
        self.stream.write_all(octets.as_bytes()).await?;
        let mut replies = Vec::new();
        for _ in lines {
            replies.push(self.hear().await?);
        }
        Ok(replies)
    }

    /// Sends content after 354, with its end, and hears the reply.
    pub(super) async fn content(&mut self, content: &[u8]) -> io::Result<String> {
        self.said.push(format!("> ({} octets)", content.len()));
        let mut octets = Vec::with_capacity(content.len() + 64);
        let mut stuffer = DotStuffer::new();
        stuffer.write(content, &mut octets);
        stuffer.finish(&mut octets);
        self.stream.write_all(&octets).await?;
        self.hear().await
    }

    /// The last line of the next reply.
    async fn hear(&mut self) -> io::Result<String> {
        loop {
            while let Some(end) = self.unread.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if line.as_bytes().get(3) != Some(&b'-') {
                    self.said.push(format!("< {line}"));
                    return Ok(line);
                }
            }
            if self.unread.len() > REPLY_OCTETS_MAX {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            let mut piece = [0; 4_096];
            let until = self.clock.moment() + REPLY_TIMEOUT;
            let read = self.clock.within(until, self.stream.read(&mut piece)).await;
            match read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                octets => self.unread.extend_from_slice(&piece[..octets]),
            }
        }
    }
}
