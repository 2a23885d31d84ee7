//! Next hops of Postfix, how it encrypted to them, and as whom it logged in.

use relais_smtp::address::Host;

use super::super::proposing::{Proposing, quoted};
use super::config::Config;
use crate::document::{AuthMethod, OutboundAuth, OutboundConnector, OutboundTls};
use crate::settings::HostPort;

/// Ports by the names that `/etc/services` has for them.
const SERVICES: [(&str, u16); 5] = [
    ("smtp", 25),
    ("submission", 587),
    ("submissions", 465),
    ("smtps", 465),
    ("ssmtp", 465),
];

/// One next hop.
pub(super) struct Hop {
    pub(super) host: HostPort,
    /// As it was written, under which its password stands.
    text: String,
}

impl Hop {
    /// `[host]:port`, `host:port`, `host`; nothing of an empty text.
    pub(super) fn parse(
        key: &str,
        text: &str,
        way: &Way,
        proposing: &mut Proposing<'_>,
    ) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let (host, port, is_bracketed) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').unwrap_or((rest, ""));
                (host, rest.strip_prefix(':'), true)
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port), false),
                None => (text, None, false),
            },
        };
        let host = host.trim_start_matches("IPv6:");
        let port = match port {
            Some(name) => service(name),
            None => Some(25),
        };
        let scheme = match way.is_implicit {
            true => "smtps://",
            false => "",
        };
        let written = match host.contains(':') {
            true => format!("{scheme}[{host}]"),
            false => format!("{scheme}{host}"),
        };
        let parsed = port.and_then(|port| HostPort::parse(&format!("{written}:{port}"), port));
        let shown = quoted(text);
        let Some(host) = parsed else {
            let message = format!("{shown} is no host name and no address, and is left out");
            proposing.unsupported(key, message);
            return None;
        };
        if !is_bracketed && matches!(host.host, Host::Domain(_)) {
            let message = format!(
                "{shown} was looked up by MX; here the host itself is reached: name its mail \
                 exchangers if they differ"
            );
            proposing.changed(key, message);
        }
        let text = text.to_owned();
        Some(Self { host, text })
    }
}

fn service(name: &str) -> Option<u16> {
    let named = SERVICES.iter().find(|(one, _)| *one == name);
    named.map_or_else(|| name.parse().ok(), |(_, port)| Some(*port))
}

/// What all next hops have in common.
pub(super) struct Way {
    level: &'static str,
    is_implicit: bool,
    /// Next hops and their users.
    users: Vec<(String, String)>,
}

impl Way {
    pub(super) fn of(config: &Config<'_>, proposing: &mut Proposing<'_>) -> Self {
        let level = match config.value("smtp_tls_security_level").as_str() {
            "may" => "may",
            "encrypt" => "encrypt",
            "dane" => "dane",
            "dane-only" => "dane-only",
            "fingerprint" => "fingerprint",
            "verify" | "secure" => "verify",
            _ if config.is_yes("smtp_enforce_tls") => "encrypt",
            _ if config.is_yes("smtp_use_tls") => "may",
            _ => "none",
        };
        let key = "smtp_sasl_password_maps";
        let mut users = Vec::new();
        if config.is_yes("smtp_sasl_auth_enable") {
            for (pattern, login) in config.table(key, proposing) {
                let user = login.split(':').next().unwrap_or_default().to_owned();
                if pattern.contains('@') {
                    let message = "logins of single senders have no counterpart, and are left out";
                    proposing.unsupported(key, message);
                } else {
                    users.push((pattern, user));
                }
            }
        }
        let key = "smtp_tls_security_level";
        match level {
            "none" => {
                let message = "mail left without encryption; here it is encrypted where the next \
                               hop offers it";
                proposing.dangerous(key, message);
            }
            "dane" | "dane-only" => {
                let message = "DANE counts here wherever it is published; set no level for it";
                proposing.changed(key, message);
            }
            "fingerprint" => {
                let message = "fingerprints of next hops are not taken over: encryption is \
                               demanded, and no certificate";
                proposing.changed(key, message);
            }
            _ => {}
        }
        Self {
            level,
            is_implicit: config.is_yes("smtp_tls_wrappermode"),
            users,
        }
    }

    /// Encryption and login of a connector.
    pub(super) fn set(
        &self,
        object: &str,
        hops: &[Hop],
        connector: &mut OutboundConnector,
        proposing: &mut Proposing<'_>,
    ) {
        let name = hops.first().and_then(|hop| match &hop.host.host {
            Host::Domain(name) => Some(name.to_string()),
            Host::Literal(_) => None,
        });
        connector.tls = match (self.level, name) {
            ("encrypt" | "fingerprint" | "dane-only", _) => OutboundTls::EncryptionOnly,
            ("verify", Some(name)) => {
                connector.tls_domain = name;
                OutboundTls::DomainValidation
            }
            ("verify", None) => OutboundTls::CertificateValidation,
            _ => OutboundTls::Opportunistic,
        };
        let user = hops.iter().find_map(|hop| self.user_of(hop));
        let Some(user) = user.filter(|user| !user.is_empty()) else {
            return;
        };
        if matches!(self.level, "none" | "may") && !self.is_implicit {
            let message =
                "its password was sent without encryption where the next hop offered none";
            proposing.dangerous(object, message);
        }
        connector.auth = OutboundAuth {
            method: AuthMethod::Password,
            user: user.to_owned(),
            ..OutboundAuth::default()
        };
        proposing.unsupported(
            object,
            "passwords are never taken over: set it before you enable the connector",
        );
    }

    /// By the next hop as it was written, or by its host alone.
    fn user_of(&self, hop: &Hop) -> Option<&str> {
        let host = match &hop.host.host {
            Host::Domain(name) => name.to_string(),
            Host::Literal(address) => address.to_string(),
        };
        let bare = |text: &str| text.trim_matches(['[', ']']).to_ascii_lowercase();
        let exact = self.users.iter().find(|(pattern, _)| *pattern == hop.text);
        let found = exact.or_else(|| self.users.iter().find(|(one, _)| bare(one) == host));
        found.map(|(_, user)| user.as_str())
    }
}
