//! Where mail goes to as people type it: `host`, `host:port`, `[address]:port`, `smtps://host`,
//! `lmtp:host:port`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use relais_smtp::address::Host;
use relais_smtp::client::Protocol;
use relais_smtp::domain::Domain;

/// The port of SMTP between servers. RFC 5321 §4.5.4.2.
pub const SMTP_PORT: u16 = 25;
/// The port that LMTP servers are usually given. RFC 2033 names none and forbids 25.
pub const LMTP_PORT: u16 = 24;
/// The port where TLS comes before everything else. RFC 8314 §3.3.
const SMTPS_PORT: u16 = 465;

/// `host:port`, with the port always known.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostPort {
    /// A name or an address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// TLS comes before everything else, without STARTTLS. RFC 8314 §3.3.
    pub implicit_tls: bool,
}

impl HostPort {
    /// Reads `host`, `host:port`, `192.0.2.1:25`, `[2001:db8::1]:25`; an IPv6 address without
    /// port may stand bare, a name may stand in brackets. `smtps://` before it, or port 465, means
    /// implicit TLS; `smtp://` means none whatever the port.
    pub fn parse(text: &str, default_port: u16) -> Option<Self> {
        let text = text.trim();
        match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("smtps") => {
                let mut host = Self::parse_bare(rest, SMTPS_PORT)?;
                host.implicit_tls = true;
                Some(host)
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("smtp") => {
                Self::parse_bare(rest, default_port)
            }
            Some(_) => None,
            None => {
                let mut host = Self::parse_bare(text, default_port)?;
                host.implicit_tls = host.port == SMTPS_PORT;
                Some(host)
            }
        }
    }

    fn parse_bare(text: &str, default_port: u16) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            let host = Host::Literal(IpAddr::V6(address).to_canonical());
            return Some(Self {
                host,
                port: default_port,
                implicit_tls: false,
            });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                };
                (host, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0)?
            }
            Some(_) => return None,
            None => default_port,
        };
        Some(Self {
            host: parse_host(host)?,
            port,
            implicit_tls: false,
        })
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Host::Literal(address.to_canonical()));
    }
    let domain = Domain::parse(text).ok()?;
    // `10.1.0` is an address mistyped; no top-level domain is a number. RFC 3696 §2.
    let last = domain.as_str().rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then_some(Host::Domain(domain))
}

impl fmt::Display for HostPort {
    /// `mx.example.org:25`, `192.0.2.1:25`, `[2001:db8::1]:25`, `smtps://mx.example.org:465`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.implicit_tls, self.port) {
            (true, _) => formatter.write_str("smtps://")?,
            (false, SMTPS_PORT) => formatter.write_str("smtp://")?,
            (false, _) => {}
        }
        match &self.host {
            Host::Domain(domain) => write!(formatter, "{domain}:{}", self.port),
            Host::Literal(IpAddr::V4(address)) => write!(formatter, "{address}:{}", self.port),
            Host::Literal(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
        }
    }
}

/// Where mail for an accepted domain goes, whoever sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxHost {
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// The host.
    pub host: HostPort,
}

impl MailboxHost {
    /// Reads the forms of [`HostPort`], each with `lmtp:` before it or not.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("lmtp") => {
                let host = HostPort::parse(rest, LMTP_PORT)?;
                Some(Self {
                    protocol: Protocol::Lmtp,
                    host,
                })
            }
            Some(_) | None => {
                let host = HostPort::parse(text, SMTP_PORT)?;
                Some(Self {
                    protocol: Protocol::Smtp,
                    host,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_every_form() {
        for (text, shown) in [
            ("mx.example.org", "mx.example.org:25"),
            ("MX.Example.org:587", "mx.example.org:587"),
            ("192.0.2.1", "192.0.2.1:25"),
            ("192.0.2.1:2525", "192.0.2.1:2525"),
            ("[192.0.2.1]:2525", "192.0.2.1:2525"),
            ("2001:db8::1", "[2001:db8::1]:25"),
            ("[2001:db8::1]", "[2001:db8::1]:25"),
            ("[2001:db8::1]:24", "[2001:db8::1]:24"),
            ("[mx.example.org]:587", "mx.example.org:587"),
            ("localhost:2525", "localhost:2525"),
            ("smtps://mx.example.org", "smtps://mx.example.org:465"),
            ("SMTPS://[2001:db8::1]:4465", "smtps://[2001:db8::1]:4465"),
            ("mx.example.org:465", "smtps://mx.example.org:465"),
            ("smtp://mx.example.org:465", "smtp://mx.example.org:465"),
            ("smtp://mx.example.org", "mx.example.org:25"),
        ] {
            assert_eq!(
                HostPort::parse(text, 25).map(|h| h.to_string()).as_deref(),
                Some(shown)
            );
        }
        for text in [
            "",
            ":25",
            "h:",
            "h:0",
            "h:70000",
            "h:+5",
            "h:2 5",
            "[h",
            "[h]25",
            "10.1.0",
            "a b",
            "a:b:c",
            "https://a",
            "smtps://",
            "smtps://a/",
        ] {
            assert_eq!(HostPort::parse(text, 25), None, "{text}");
        }
    }

    #[test]
    fn a_mailbox_host_may_speak_lmtp() {
        let lmtp = MailboxHost::parse("lmtp:store.contoso.test").expect("a host");
        assert_eq!((lmtp.protocol, lmtp.host.port), (Protocol::Lmtp, 24));
        let lmtp = MailboxHost::parse("lmtp:[2001:db8::1]:2400").expect("a host");
        assert_eq!((lmtp.protocol, lmtp.host.port), (Protocol::Lmtp, 2400));
        let smtp = MailboxHost::parse("10.1.0.20:25").expect("a host");
        assert_eq!((smtp.protocol, smtp.host.port), (Protocol::Smtp, 25));
        assert_eq!(MailboxHost::parse("lmtp:"), None);
        assert_eq!(MailboxHost::parse("pop3:host:110"), None);
    }
}
