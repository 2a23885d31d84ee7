//! Writing the trace field. RFC 5321 §4.4.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::{Host, Mailbox};
use crate::domain::{DOMAIN_OCTETS_MAX, Domain};
use crate::identifier::QueueId;
use crate::time::Timestamp;

/// The trace field that every relay must add. RFC 5321 §4.4.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The EHLO or HELO name, as given; written safely whatever it contains.
    pub helo: &'a str,
    /// The client's address.
    pub address: IpAddr,
    /// Our name.
    pub hostname: &'a str,
    /// `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, `UTF8SMTP` …. RFC 3848, RFC 6531 §4.3.
    pub protocol: &'a str,
    /// TLS version and cipher, as `TLS1.3 TLS_AES_256_GCM_SHA384`.
    pub tls: Option<&'a str>,
    /// Our queue id.
    pub queue_id: QueueId,
    /// The recipient, if there is exactly one.
    pub recipient: Option<&'a Mailbox>,
    /// When it was received.
    pub time: Timestamp,
}

impl Received<'_> {
    /// Appends the field, folded, with its CRLF.
    ///
    /// ```text
    /// Received: from scan2.contoso.test ([192.0.2.9])
    ///     by relay.contoso.test with ESMTP id 01ABCDEFGHJKM
    ///     for <anna@contoso.test>; Tue, 24 Nov 2026 10:00:00 +0000
    /// ```
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let address = Host::Literal(self.address.to_canonical());
        let helo = safe_name(self.helo);
        let (hostname, protocol, id) = (self.hostname, self.protocol, self.queue_id);
        let tls = self.tls.map(|tls| format!(" ({tls})")).unwrap_or_default();
        let field = format!(
            "Received: from {helo} ({address})\r\n\tby {hostname} with {protocol}{tls} id {id}"
        );
        out.extend_from_slice(field.as_bytes());
        match self.recipient.filter(|recipient| self.may_show(recipient)) {
            Some(recipient) => {
                out.extend_from_slice(format!("\r\n\tfor <{recipient}>; ").as_bytes());
            }
            None => out.extend_from_slice(b";\r\n\t"),
        }
        out.extend_from_slice(self.time.to_rfc5322().as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    /// A field in UTF-8 makes a message one that needs SMTPUTF8. RFC 6531 §3.7.3.
    fn may_show(&self, recipient: &Mailbox) -> bool {
        recipient.is_ascii() || self.protocol.starts_with("UTF8")
    }
}

/// A greeting name that fits the grammar: names and literals as they are, of others every octet
/// that could mean something replaced.
fn safe_name(name: &str) -> String {
    if name.is_ascii() && (Domain::parse(name).is_ok() || is_literal(name)) {
        return name.into();
    }
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let safe: String = name.chars().take(DOMAIN_OCTETS_MAX).map(safe).collect();
    if safe.is_empty() {
        "unknown".into()
    } else {
        safe
    }
}

fn is_literal(name: &str) -> bool {
    name.starts_with('[') && Host::parse(name).is_ok()
}
