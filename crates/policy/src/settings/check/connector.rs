//! One inbound or outbound connector by itself: forms and bounds of its keys.

use std::net::IpAddr;

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use crate::document::{
    AcceptedDomain, AuthMethod, CLIENT_SECRET_EXPIRES, ConnectorState, InboundConnector,
    Organisation, OutboundConnector, OutboundTls, Pace, Retry, SenderReplaced, client_secret_end,
    is_day,
};

use crate::encryption::CertificateName;
use crate::hours::SendingHours;
use crate::range::is_nearly_everybody;
use crate::sender;
use crate::tls::Fingerprint;

use super::super::host::{HostPort, SMTP_PORT};
use super::{
    Checker, LIST_MAX, NETWORKS_MAX, PACE_CONNECTIONS_MAX, RETRY_LIFETIME_MAX, RETRY_LIFETIME_MIN,
    SMART_HOSTS_MAX, TAG_CHARACTERS_MAX, TAGS_MAX,
};

/// Methods that log in with AUTH.
const BY_AUTH: &[AuthMethod] = &[
    AuthMethod::Password,
    AuthMethod::Xoauth2,
    AuthMethod::Certificate,
];
const BY_TOKEN: &[AuthMethod] = &[AuthMethod::Xoauth2];
const BY_CERTIFICATE: &[AuthMethod] = &[AuthMethod::Certificate];

/// A key of `auth.parameters`, the methods that it belongs to, and its values if there are few.
type Parameter = (
    &'static str,
    &'static [AuthMethod],
    Option<&'static [&'static str]>,
);

/// Keys of `auth.parameters`; `docs/guides/smart-hosts.md` tells what they mean.
const AUTH_PARAMETERS: &[Parameter] = &[
    (
        "mechanism",
        BY_AUTH,
        Some(&[
            "plain",
            "login",
            "scram-sha-256",
            "scram-sha-256-plus",
            "xoauth2",
            "oauthbearer",
            "external",
        ]),
    ),
    ("certificate", BY_CERTIFICATE, None),
    ("private_key", BY_CERTIFICATE, None),
    (
        "grant",
        BY_TOKEN,
        Some(&["client-credentials", "refresh-token"]),
    ),
    ("tenant", BY_TOKEN, None),
    ("token_url", BY_TOKEN, None),
    ("device_url", BY_TOKEN, None),
    ("client_id", BY_TOKEN, None),
    ("client_secret_file", BY_TOKEN, None),
    (CLIENT_SECRET_EXPIRES, BY_TOKEN, None),
    ("scope", BY_TOKEN, None),
];

impl Checker {
    pub(super) fn inbound(&mut self, object: &str, connector: &InboundConnector) {
        self.connector_name(object, &connector.name);
        let networks = connector.sender_ip_addresses.len();
        self.count(
            object,
            "networks in sender_ip_addresses",
            networks,
            NETWORKS_MAX,
        );
        let certificate = connector.tls_sender_certificate_name.trim();
        let host = certificate.strip_prefix("*.").unwrap_or(certificate);
        if !certificate.is_empty() && (Domain::parse(host).is_err() || !host.contains('.')) {
            let message = format!(
                "tls_sender_certificate_name {certificate:?} is no host name; write \
                 \"relay.contoso.test\" or \"*.contoso.test\""
            );
            self.error(object, message);
        }
        for fingerprint in &connector.tls_sender_certificate_fingerprints {
            if Fingerprint::parse(fingerprint).is_none() {
                let message = format!(
                    "tls_sender_certificate_fingerprints {fingerprint:?} is no SHA-256; write 64 \
                     hexadecimal digits"
                );
                self.error(object, message);
            }
        }
        self.count(
            object,
            "tls_sender_certificate_fingerprints",
            connector.tls_sender_certificate_fingerprints.len(),
            LIST_MAX,
        );
        for name in &connector.sender_dns_names {
            self.domain_name(object, "sender_dns_names", name);
        }
        for address in &connector.test_recipients {
            if address.trim().is_empty() {
                self.error(
                    object,
                    "test_recipients has an empty address; remove it".to_owned(),
                );
            }
            self.address(object, "test_recipients", address);
        }
        self.count(
            object,
            "test_recipients",
            connector.test_recipients.len(),
            LIST_MAX,
        );
        self.count(
            object,
            "sender_dns_names",
            connector.sender_dns_names.len(),
            LIST_MAX,
        );
        self.scopes(object, "sender_domains", &connector.sender_domains);
        self.senders(object, connector);
        self.scopes(object, "recipient_domains", &connector.recipient_domains);
        self.content(object, &connector.content);
        self.content_days(object, connector.content_days);
        self.limits(object, "limits", &connector.limits);
        self.limits(object, "limits_per_device", &connector.limits_per_device);
        self.address(object, "owner", &connector.owner);
        self.hours_and_tags(object, connector);
        self.old_tls(object, connector);
    }

    /// How far ahead the day may be is not known here: `old_tls::too_far` has the time.
    fn old_tls(&mut self, object: &str, connector: &InboundConnector) {
        let day = connector.legacy_tls_until.as_str();
        if day.is_empty() {
            return;
        }
        if !is_day(day) {
            let message = format!("legacy_tls_until {day:?} is no day; write \"2027-01-31\"");
            self.error(object, message);
        }
        let networks = &connector.sender_ip_addresses;
        if networks.is_empty() {
            let message = "legacy_tls_until needs sender_ip_addresses: before the handshake a \
                           device is known by its address alone; name its address, or take \
                           legacy_tls_until away";
            self.error(object, message.to_owned());
        }
        if let Some(wide) = networks.iter().find(|network| is_nearly_everybody(network)) {
            let message = format!(
                "legacy_tls_until is for some devices, and {wide} is nearly everybody; name \
                 smaller networks, or take legacy_tls_until away"
            );
            self.error(object, message);
        }
    }

    fn hours_and_tags(&mut self, object: &str, connector: &InboundConnector) {
        let hours = connector.sending_hours.as_str();
        if !hours.is_empty()
            && let Err(message) = SendingHours::parse(hours)
        {
            self.error(object, format!("sending_hours {message}"));
        }
        self.count(object, "tags", connector.tags.len(), TAGS_MAX);
        let is_between = |one: char| one.is_whitespace() || one.is_control() || one == ',';
        let is_tag = |tag: &str| {
            (1..=TAG_CHARACTERS_MAX).contains(&tag.chars().count()) && !tag.contains(is_between)
        };
        for tag in connector.tags.iter().filter(|tag| !is_tag(tag)) {
            let message = format!(
                "tags {tag:?}: a tag is one word of at most {TAG_CHARACTERS_MAX} characters; write \
                 \"lyon\""
            );
            self.error(object, message);
        }
    }

    /// An address that Relais itself puts into envelopes: whoever sent the message asked nobody for
    /// SMTPUTF8, and the next hop need not offer it.
    fn plain_address(&mut self, object: &str, key: &str, address: &str) {
        self.address(object, key, address);
        if Mailbox::parse(address.trim()).is_ok_and(|one| !one.is_ascii()) {
            let message = format!(
                "{key} {address:?} has letters outside ASCII before the @, and not every server \
                 takes mail with them; write it in ASCII letters"
            );
            self.later_error(object, message);
        }
    }

    /// A copy stays in the house.
    pub(super) fn archive(
        &mut self,
        organisation: &Organisation,
        object: &str,
        connector: &InboundConnector,
    ) {
        let address = connector.archive_address.as_str();
        self.plain_address(object, "archive_address", address);
        let Ok(archive) = Mailbox::parse(address.trim()) else {
            return;
        };
        let covers = |one: &AcceptedDomain, domain: &Domain| {
            let own = Domain::parse(&one.name);
            own.is_ok_and(|own| own == *domain || (one.subdomains && domain.is_subdomain_of(&own)))
        };
        let mut own = organisation.domain.iter();
        let is_own = archive
            .domain()
            .is_some_and(|domain| own.any(|one| covers(one, domain)));
        if !is_own {
            let message = format!(
                "archive_address {address:?} lies in no accepted domain of this organisation; \
                 name an address in one"
            );
            self.error(object, message);
        }
    }

    fn senders(&mut self, object: &str, connector: &InboundConnector) {
        let entries = &connector.sender_addresses;
        self.count(object, "sender_addresses", entries.len(), LIST_MAX);
        for entry in entries.iter().filter(|entry| !sender::is_pattern(entry)) {
            let message = format!(
                "sender_addresses {entry:?} is no address; write \"scan@contoso.test\" or \
                 \"scan-*@contoso.test\""
            );
            self.error(object, message);
        }
        self.plain_address(object, "sender_replacement", &connector.sender_replacement);
        let is_missing = connector.sender_replacement.trim().is_empty();
        if is_missing && connector.sender_replaced == SenderReplaced::All {
            let message = "sender_replaced = \"all\" needs sender_replacement, the address that \
                           stands for all";
            self.error(object, message.to_owned());
        }
    }

    pub(super) fn outbound(&mut self, object: &str, connector: &OutboundConnector) {
        self.connector_name(object, &connector.name);
        if connector.state == ConnectorState::Observing {
            let message = "state \"observing\" is for inbound connectors; write \"enabled\", \
                           \"draft\" or \"disabled\"";
            self.error(object, message.to_owned());
        }
        self.scopes(object, "recipient_domains", &connector.recipient_domains);
        if !connector.sender_domains.is_empty() {
            self.scopes(object, "sender_domains", &connector.sender_domains);
        }
        self.count(
            object,
            "inbound_connectors",
            connector.inbound_connectors.len(),
            LIST_MAX,
        );
        self.count(
            object,
            "smart_hosts",
            connector.smart_hosts.len(),
            SMART_HOSTS_MAX,
        );
        for host in &connector.smart_hosts {
            match HostPort::parse(host, SMTP_PORT) {
                None => {
                    let message = format!(
                        "smart host {host:?} is no host; write \"host:port\", \"[address]:port\" \
                         or \"smtps://host\""
                    );
                    self.error(object, message);
                }
                Some(host) if host.implicit_tls && connector.tls == OutboundTls::None => {
                    let message = format!(
                        "smart host {host} begins with TLS, and tls = \"none\" forbids it; change \
                         one of them"
                    );
                    self.later_error(object, message);
                }
                Some(_) => {}
            }
        }
        let tls_domain = connector.tls_domain.as_str();
        if !tls_domain.is_empty() {
            if CertificateName::parse(tls_domain).is_none() {
                let message = format!(
                    "tls_domain {tls_domain:?} is no host name; write \"mx.example.org\" or \
                     \"*.example.org\""
                );
                self.error(object, message);
            }
        } else if connector.tls == OutboundTls::DomainValidation {
            let message = "tls = \"domain-validation\" needs tls_domain, the name in the next \
                           hop's certificate";
            self.error(object, message.to_owned());
        }
        for text in &connector.source_addresses {
            let own = text.parse::<IpAddr>();
            if !own.is_ok_and(|one| !one.is_unspecified() && !one.is_multicast()) {
                let message = format!(
                    "source_addresses {text:?} is no address of this machine; write \"192.0.2.1\" \
                     or \"2001:db8::1\""
                );
                self.error(object, message);
            }
        }
        self.auth(object, connector);
        self.pace(object, &connector.pace);
        self.retry(object, &connector.retry);
    }

    fn auth(&mut self, object: &str, connector: &OutboundConnector) {
        let auth = &connector.auth;
        let missing = match auth.method {
            AuthMethod::None => None,
            AuthMethod::Certificate if !auth.parameters.contains_key("certificate") => {
                Some("parameters.certificate, a PEM file")
            }
            AuthMethod::Certificate => None,
            AuthMethod::Password if auth.user.is_empty() => Some("user"),
            AuthMethod::Xoauth2 if auth.user.is_empty() => Some("user"),
            AuthMethod::Password | AuthMethod::Xoauth2 => None,
        };
        if let Some(key) = missing {
            let message = format!("auth needs {key}; add it, or write method = \"none\"");
            match auth.method {
                AuthMethod::Certificate => self.later_error(object, message),
                AuthMethod::None | AuthMethod::Password | AuthMethod::Xoauth2 => {
                    self.error(object, message);
                }
            }
        }
        if auth.method == AuthMethod::Certificate && connector.tls == OutboundTls::None {
            let message = "auth by certificate needs TLS, and tls = \"none\" forbids it; change one \
                           of them";
            self.later_error(object, message.to_owned());
        }
        self.auth_parameters(object, connector);
        let day = auth.parameters.get(CLIENT_SECRET_EXPIRES);
        if let Some(day) = day.filter(|_| client_secret_end(auth).is_none()) {
            let message = format!(
                "auth.parameters.{CLIENT_SECRET_EXPIRES} = {day:?} is no day; write \"2027-01-31\""
            );
            self.later_error(object, message);
        }
        if auth.method != AuthMethod::None && connector.smart_hosts.is_empty() {
            let message = "auth needs smart_hosts: servers found by MX know no user of ours";
            self.error(object, message.to_owned());
        }
    }

    fn auth_parameters(&mut self, object: &str, connector: &OutboundConnector) {
        let auth = &connector.auth;
        for (key, value) in &auth.parameters {
            let known = AUTH_PARAMETERS.iter().find(|(name, ..)| name == key);
            let fits = known.is_some_and(|(_, methods, _)| methods.contains(&auth.method));
            let message = if !fits {
                let keys = AUTH_PARAMETERS
                    .iter()
                    .filter(|(_, methods, _)| methods.contains(&auth.method))
                    .map(|(name, ..)| *name)
                    .collect::<Vec<_>>();
                format!(
                    "auth.parameters.{key} is not known here; there are {}",
                    keys.join(", ")
                )
            } else if let Some((_, _, Some(values))) = known
                && !values.contains(&value.as_str())
            {
                format!(
                    "auth.parameters.{key} = {value:?} is not known; write one of {}",
                    values.join(", ")
                )
            } else {
                continue;
            };
            self.later_error(object, message);
        }
    }

    fn pace(&mut self, object: &str, pace: &Pace) {
        let keys = [
            ("connections", pace.connections),
            ("messages_per_minute", pace.messages_per_minute),
            ("recipients_per_day", pace.recipients_per_day),
            (
                "recipients_per_transaction",
                pace.recipients_per_transaction,
            ),
        ];
        for (key, _) in keys.iter().filter(|(_, value)| *value == Some(0)) {
            let message = format!(
                "pace.{key} = 0 would send nothing; leave it out, or write state = \"disabled\""
            );
            self.error(object, message);
        }
        if pace
            .connections
            .is_some_and(|connections| connections > PACE_CONNECTIONS_MAX)
        {
            self.error(
                object,
                format!("pace.connections must be 1 to {PACE_CONNECTIONS_MAX}"),
            );
        }
    }

    fn retry(&mut self, object: &str, retry: &Retry) {
        if retry.first.0 < 1 {
            self.error(object, "retry.first must be at least 1s".to_owned());
        }
        if retry.first > retry.max {
            let message = format!(
                "retry.first ({}) must not exceed retry.max ({})",
                retry.first, retry.max
            );
            self.error(object, message);
        }
        if retry.max > retry.lifetime {
            let message = format!(
                "retry.max ({}) must not exceed retry.lifetime ({})",
                retry.max, retry.lifetime
            );
            self.error(object, message);
        }
        if !(RETRY_LIFETIME_MIN..=RETRY_LIFETIME_MAX).contains(&retry.lifetime.0) {
            let message = format!("retry.lifetime ({}) must be 12h to 5d", retry.lifetime);
            self.error(object, message);
        }
    }
}
