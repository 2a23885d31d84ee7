//! The PROXY protocol, versions 1 and 2: a load balancer's word on who the client is, before the
//! client's first octet. "The PROXY protocol, versions 1 & 2" (HAProxy, 2025-07).
//!
//! [`parse`] is pure; [`read_header`] feeds it from a stream and never takes an octet beyond the
//! header, so that what follows (TLS, or SMTP sent early) is the session's. Believed from nobody by
//! itself: whose word counts is the listener's `proxy_protocol_from`. Not here: sending the header;
//! the values of its extensions (TLV), of which only the form is checked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::clock::Clock;
use crate::network::canonical;
use crate::stream::Stream;

/// Longest line of version 1 with its CRLF in octets. Specification §2.1.
pub const V1_OCTETS_MAX: usize = 107;
/// What may follow the first 16 octets of version 2: addresses (at most 216) and extensions.
/// Proxies send some hundred octets; the 65,535 that the length can name would be a buffer for
/// nothing.
pub const V2_BODY_OCTETS_MAX: usize = 4_096;
/// The header must be whole by then. Specification §2: "at least 3 seconds"; as Postfix's
/// `smtpd_upstream_proxy_timeout`.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_HEAD_OCTETS: usize = 16;
/// `PROXY UNKNOWN` and CRLF: no header of either version is shorter.
const SHORTEST_OCTETS: usize = 15;

/// Whose connection the header says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proxied {
    /// A client's.
    Client {
        /// The client, canonical.
        source: SocketAddr,
        /// Where it connected to, canonical.
        destination: SocketAddr,
    },
    /// The proxy's own (LOCAL: a check of our health), or that of somebody of whom the proxy says
    /// nothing (UNKNOWN, UNSPEC): the real ends of the connection count.
    Peer,
}

/// How far the octets go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// A good beginning. So many more octets may be read without reading beyond the header.
    Needs(usize),
    /// A whole header.
    Done {
        /// What it says.
        proxied: Proxied,
        /// Its octets.
        length: usize,
    },
}

/// Why there is no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderFault {
    /// The peer closed without having sent anything, as a health check of plain TCP does.
    #[error("the peer closed without a word")]
    Silent,
    /// Something else came, or nothing.
    #[error("no PROXY header came")]
    Missing,
    /// It was not whole within its time.
    #[error("no whole PROXY header came within {} s", HEADER_TIMEOUT.as_secs())]
    TimedOut,
    /// It broke off.
    #[error("the PROXY header broke off")]
    Truncated,
    /// It is longer than any proxy makes it.
    #[error("the PROXY header is too long")]
    TooLong,
    /// Its words or numbers are not of the form of the specification.
    #[error("the PROXY header is not well formed")]
    Malformed,
    /// Another version, or no TCP over IP.
    #[error("the PROXY header is of an unknown version, command or family")]
    Unsupported,
}

/// Reads as much of a header as there is.
pub fn parse(octets: &[u8]) -> Result<Progress, HeaderFault> {
    if begins(octets, V1_SIGNATURE) {
        parse_v1(octets)
    } else if begins(octets, V2_SIGNATURE) {
        parse_v2(octets)
    } else {
        Err(HeaderFault::Missing)
    }
}

/// Whether `octets` and the signature agree as far as both go.
fn begins(octets: &[u8], signature: &[u8]) -> bool {
    let both = octets.len().min(signature.len());
    octets[..both] == signature[..both]
}

fn parse_v1(octets: &[u8]) -> Result<Progress, HeaderFault> {
    let Some(feed) = octets.iter().position(|octet| *octet == b'\n') else {
        return match V1_OCTETS_MAX.saturating_sub(octets.len()) {
            0 => Err(HeaderFault::TooLong),
            room => Ok(Progress::Needs(missing_v1(octets).min(room))),
        };
    };
    if feed >= V1_OCTETS_MAX {
        return Err(HeaderFault::TooLong);
    }
    let line = octets[..feed]
        .strip_suffix(b"\r")
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(HeaderFault::Malformed)?;
    Ok(Progress::Done {
        proxied: words_of_v1(line)?,
        length: feed + 1,
    })
}

/// The line cannot end before so many more octets.
fn missing_v1(octets: &[u8]) -> usize {
    let line_end = if octets.ends_with(b"\r") { 1 } else { 2 };
    SHORTEST_OCTETS.saturating_sub(octets.len()).max(line_end)
}

fn words_of_v1(line: &str) -> Result<Proxied, HeaderFault> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    // What stands behind UNKNOWN must be ignored.
    if family == "UNKNOWN" {
        return Ok(Proxied::Peer);
    }
    let mut next = || words.next().ok_or(HeaderFault::Malformed);
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() {
        return Err(HeaderFault::Malformed);
    }
    let read: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => return Err(HeaderFault::Unsupported),
    };
    let address = |text: &str| read(text).ok_or(HeaderFault::Malformed);
    Ok(client(
        (address(source)?, source_port),
        (address(destination)?, destination_port),
    ))
}

/// A decimal number without leading zeros, as the specification demands.
fn port(text: &str) -> Result<u16, HeaderFault> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(HeaderFault::Malformed);
    }
    text.parse().map_err(|_| HeaderFault::Malformed)
}

fn parse_v2(octets: &[u8]) -> Result<Progress, HeaderFault> {
    let Some((head, body)) = octets.split_at_checked(V2_HEAD_OCTETS) else {
        return Ok(Progress::Needs(V2_HEAD_OCTETS - octets.len()));
    };
    let (version, command) = (head[12] >> 4, head[12] & 0x0f);
    if version != 2 || command > 1 {
        return Err(HeaderFault::Unsupported);
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > V2_BODY_OCTETS_MAX {
        return Err(HeaderFault::TooLong);
    }
    let Some(body) = body.get(..length) else {
        return Ok(Progress::Needs(length - body.len()));
    };
    let is_local = command == 0;
    Ok(Progress::Done {
        proxied: body_of_v2(head[13], body, is_local)?,
        length: V2_HEAD_OCTETS + length,
    })
}

/// Addresses by family and transport, then extensions.
fn body_of_v2(family: u8, body: &[u8], is_local: bool) -> Result<Proxied, HeaderFault> {
    const UNSPEC: u8 = 0x00;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;
    // LOCAL: the family and what follows must be ignored.
    if is_local || family == UNSPEC {
        return Ok(Proxied::Peer);
    }
    let mut octets = Octets(body);
    let (source, destination) = match family {
        TCP_OVER_IPV4 => (
            IpAddr::from(octets.take::<4>()?),
            IpAddr::from(octets.take::<4>()?),
        ),
        TCP_OVER_IPV6 => (
            IpAddr::from(octets.take::<16>()?),
            IpAddr::from(octets.take::<16>()?),
        ),
        _ => return Err(HeaderFault::Unsupported),
    };
    let source_port = u16::from_be_bytes(octets.take()?);
    let destination_port = u16::from_be_bytes(octets.take()?);
    while !octets.0.is_empty() {
        octets.skip_extension()?;
    }
    Ok(client(
        (source, source_port),
        (destination, destination_port),
    ))
}

/// What is left of a body.
struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HeaderFault> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(HeaderFault::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Type, length, value. Specification §2.2.
    fn skip_extension(&mut self) -> Result<(), HeaderFault> {
        let [_, high, low] = self.take()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        self.0 = self.0.get(length..).ok_or(HeaderFault::Malformed)?;
        Ok(())
    }
}

fn client(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Proxied {
    Proxied::Client {
        source: canonical(source.into()),
        destination: canonical(destination.into()),
    }
}

/// Reads the header within [`HEADER_TIMEOUT`], and nothing beyond it.
pub async fn read_header(stream: &mut Stream, clock: &Clock) -> Result<Proxied, HeaderFault> {
    let until = clock.moment() + HEADER_TIMEOUT;
    clock
        .within(until, read(stream))
        .await
        .unwrap_or(Err(HeaderFault::TimedOut))
}

async fn read(stream: &mut Stream) -> Result<Proxied, HeaderFault> {
    let mut octets = Vec::with_capacity(V1_OCTETS_MAX);
    loop {
        let needs = match parse(&octets)? {
            Progress::Needs(needs) => needs,
            Progress::Done { proxied, .. } => return Ok(proxied),
        };
        let wanted = u64::try_from(needs).unwrap_or(u64::MAX);
        let count: io::Result<usize> = (&mut *stream).take(wanted).read_buf(&mut octets).await;
        if count.unwrap_or(0) == 0 {
            return Err(if octets.is_empty() {
                HeaderFault::Silent
            } else {
                HeaderFault::Truncated
            });
        }
    }
}

#[cfg(test)]
mod tests;
