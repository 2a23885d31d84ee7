//! What is allowed in the settings and perhaps not meant.

use std::collections::HashMap;
use std::fmt;

use ipnet::IpNet;

use relais_smtp::address::{Host, Mailbox};
use relais_smtp::domain::Domain;

use crate::document::{
    AcceptedDomain, AuthMethod, ConnectorState, Credential, InboundConnector, LicencePolicy,
    Organisation, OutboundConnector, OutboundTls,
};
use crate::range::{special_address, special_network};

use super::host::{HostPort, MailboxHost, SMTP_PORT};
use super::returning::taken_words;
use super::scope::Scope;
use super::{DirectoryAnswer, DomainState, Settings};
use crate::proof::GRACE;

/// A setting that is allowed and perhaps not meant: one sentence with object, cause, fix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettingsWarning {
    /// `organisation contoso, inbound connector Printers`.
    pub object: String,
    /// Cause and fix.
    pub message: String,
}

impl fmt::Display for SettingsWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.object, self.message)
    }
}

/// Networks wider than these are worth a second look: a subnet of a closed network, of the public
/// internet, of IPv6.
const PRIVATE_PREFIX_MIN: u8 = 16;
const PUBLIC_PREFIX_MIN: u8 = 24;
const SIX_PREFIX_MIN: u8 = 64;

pub(super) fn warnings(settings: &Settings) -> Vec<SettingsWarning> {
    let mut observer = Observer {
        settings,
        warnings: Vec::new(),
    };
    for organisation in &settings.document.organisation {
        observer.organisation(organisation);
    }
    observer.warnings
}

struct Observer<'a> {
    settings: &'a Settings,
    warnings: Vec<SettingsWarning>,
}

impl Observer<'_> {
    fn warn(&mut self, object: &str, message: impl Into<String>) {
        self.warnings.push(SettingsWarning {
            object: object.to_owned(),
            message: message.into(),
        });
    }

    fn organisation(&mut self, organisation: &Organisation) {
        let object = format!("organisation {}", organisation.name);
        if organisation.postmaster.is_empty() {
            self.warn(
                &object,
                "no postmaster, so alerts and mail to <Postmaster> reach nobody",
            );
        }
        self.addressee(
            &object,
            organisation,
            "postmaster",
            &organisation.postmaster,
        );
        let people = organisation.recipient.iter().filter(|one| !one.mailbox);
        if organisation.licences.policy != LicencePolicy::Off && people.count() == 0 {
            self.warn(
                &object,
                "licences are counted for people of the directory without a mailbox, and it lists \
                 none",
            );
        }
        for domain in &organisation.domain {
            let object = format!("{object}, domain {}", domain.name);
            self.domain(&object, organisation, domain);
        }
        for connector in &organisation.inbound_connector {
            let object = format!("{object}, inbound connector {}", connector.name);
            self.inbound(&object, organisation, connector);
        }
        self.equal_scopes(&object, organisation);
        for connector in &organisation.outbound_connector {
            self.outbound(
                &format!("{object}, outbound connector {}", connector.name),
                connector,
            );
        }
        for credential in &organisation.credential {
            let object = format!("{object}, credential {}", credential.user);
            self.credential(&object, organisation, credential);
        }
    }

    fn domain(&mut self, object: &str, organisation: &Organisation, domain: &AcceptedDomain) {
        let Ok(name) = Domain::parse(&domain.name) else {
            return;
        };
        let Some(owned) = self.settings.accepted_domain_of(&organisation.name, &name) else {
            return;
        };
        if let Ok(bounce) = Domain::parse(&domain.bounce_domain)
            && self.settings.is_bounce_taken(&owned, &bounce)
        {
            self.warn(object, taken_words(&bounce));
        }
        if domain.public_hosts_only {
            let host = MailboxHost::parse(&domain.mailbox_host);
            self.unreached(object, host.map(|one| one.host));
        }
        match owned.state {
            DomainState::Pending => {
                let message = format!(
                    "pending: nothing may be sent from it and nothing is taken for it until it is \
                     verified; publish what `relais domain records {name}` shows, or on this \
                     machine: relais domain verify {name} --assume"
                );
                self.warn(object, message);
            }
            DomainState::Lapsing => {
                let message = format!(
                    "lapsing: its verification record has gone from DNS, and after {} days of that \
                     it is suspended; publish what `relais domain records {name}` shows",
                    GRACE.as_secs() / 86_400
                );
                self.warn(object, message);
            }
            DomainState::Suspended => {
                let message = format!(
                    "suspended: its verification record has gone from DNS; publish what `relais \
                     domain records {name}` shows"
                );
                self.warn(object, message);
            }
            DomainState::Verified if owned.is_authoritative() && owned.mailboxes == 0 => {
                let message = "authoritative with an empty directory: strangers are refused; \
                               import its mailboxes, or write kind = \"internal-relay\"";
                self.warn(object, message);
            }
            DomainState::Verified => {}
        }
    }

    fn inbound(&mut self, object: &str, organisation: &Organisation, connector: &InboundConnector) {
        let by_credential = organisation
            .credential
            .iter()
            .any(|c| c.inbound_connector == connector.name);
        let has_factor = by_credential
            || !connector.sender_ip_addresses.is_empty()
            || !connector.sender_dns_names.is_empty()
            || connector.names_certificate();
        if !has_factor {
            let message = "no factor, so no client can be recognised as its own; give \
                           sender_ip_addresses, or make a credential for it";
            self.warn(object, message);
        }
        connector
            .sender_ip_addresses
            .iter()
            .for_each(|network| self.width(object, network));
        if connector.state == ConnectorState::Observing && connector.test_recipients.is_empty() {
            let message = "observing without test_recipients, so every recipient is refused";
            self.warn(object, message);
        }
        self.sender_domains(object, organisation, connector);
        self.addressee(object, organisation, "owner", &connector.owner);
        let archive = &connector.archive_address;
        self.addressee(object, organisation, "archive_address", archive);
    }

    fn width(&mut self, object: &str, network: &IpNet) {
        let least = match network {
            IpNet::V4(_) if special_network(network).is_some() && network.prefix_len() >= 8 => {
                PRIVATE_PREFIX_MIN
            }
            IpNet::V4(_) => PUBLIC_PREFIX_MIN,
            IpNet::V6(_) => SIX_PREFIX_MIN,
        };
        if network.prefix_len() == 0 {
            let message = format!(
                "{network} is every address there is: whoever reaches this server may send as your \
                 domains; write the networks of your devices"
            );
            self.warn(object, message);
        } else if network.prefix_len() < least {
            let message = format!("{network} is wide; every address in it may send");
            self.warn(object, message);
        }
    }

    fn sender_domains(
        &mut self,
        object: &str,
        organisation: &Organisation,
        connector: &InboundConnector,
    ) {
        for text in &connector.sender_domains {
            let domain = match Scope::parse(text) {
                Ok(Scope::Exact(domain) | Scope::Below(domain)) => domain,
                Ok(Scope::Any | Scope::Own | Scope::Literal(_)) | Err(_) => continue,
            };
            let name = &organisation.name;
            if self.settings.accepted_domain_of(name, &domain).is_none() {
                let message = format!(
                    "sender_domains names {domain}, which is no accepted domain of this \
                     organisation, so it allows nothing"
                );
                self.warn(object, message);
            }
        }
    }

    /// An address of our own that gets notices, or copies, should be a mailbox.
    fn addressee(&mut self, object: &str, organisation: &Organisation, key: &str, address: &str) {
        let Ok(mailbox) = Mailbox::parse(address.trim()) else {
            return;
        };
        let name = &organisation.name;
        let accepted = mailbox
            .domain()
            .and_then(|domain| self.settings.accepted_domain_of(name, domain));
        let has_directory = accepted.is_some_and(|owned| owned.mailboxes > 0);
        let listed = self.settings.directory_of(name, &mailbox);
        if has_directory && listed != Some(DirectoryAnswer::Mailbox) {
            let message = format!("{key} {address} is no mailbox of the directory");
            self.warn(object, message);
        }
    }

    /// A private address that is named and not reached.
    fn unreached(&mut self, object: &str, host: Option<HostPort>) {
        let literal = host.and_then(|host| match host.host {
            Host::Literal(address) => special_address(address).map(|_| address),
            Host::Domain(_) => None,
        });
        if let Some(address) = literal {
            let message = format!(
                "{address} is private, and public_hosts_only forbids it: mail for it waits; whoever \
                 runs the installation takes public_hosts_only away"
            );
            self.warn(object, message);
        }
    }

    fn outbound(&mut self, object: &str, connector: &OutboundConnector) {
        if connector.state != ConnectorState::Enabled {
            return;
        }
        for text in connector
            .smart_hosts
            .iter()
            .filter(|_| connector.public_hosts_only)
        {
            self.unreached(object, HostPort::parse(text, SMTP_PORT));
        }
        if connector.auth.method != AuthMethod::None && connector.tls == OutboundTls::None {
            self.warn(
                object,
                "it logs in without TLS, so whoever listens learns the password; done to private \
                 addresses only",
            );
        }
        let tells = matches!(
            connector.auth.method,
            AuthMethod::Password | AuthMethod::Xoauth2
        );
        if tells && connector.tls == OutboundTls::EncryptionOnly {
            self.warn(
                object,
                "it logs in at whoever answers: encryption-only asks for no proof of the name; \
                 leave tls out, or write \"domain-validation\"",
            );
        }
    }

    fn equal_scopes(&mut self, object: &str, organisation: &Organisation) {
        let mut seen = HashMap::new();
        for connector in &organisation.outbound_connector {
            if connector.state != ConnectorState::Enabled {
                continue;
            }
            for scope in connector
                .recipient_domains
                .iter()
                .filter_map(|s| Scope::parse(s).ok())
            {
                let asked = (
                    scope,
                    &connector.sender_domains,
                    &connector.inbound_connectors,
                );
                let Some(first) = seen.get(&asked).copied() else {
                    seen.insert(asked, &connector.name);
                    continue;
                };
                if *first == connector.name {
                    continue;
                }
                let message = format!(
                    "outbound connectors {first} and {} have the same recipient domain; the first \
                     one is used",
                    connector.name
                );
                self.warn(object, message);
            }
        }
    }

    fn credential(&mut self, object: &str, organisation: &Organisation, credential: &Credential) {
        if credential.password_hash.is_empty() {
            self.warn(
                object,
                "no password yet, so it cannot be used: relais credential rotate",
            );
        }
        for entry in &credential.may_send_as {
            let domain = entry
                .rsplit_once('@')
                .and_then(|(_, name)| Domain::parse(name).ok());
            let accepted = domain
                .as_ref()
                .and_then(|name| self.settings.accepted_domain_of(&organisation.name, name));
            if accepted.is_none() {
                let message = format!(
                    "may_send_as {entry}: its domain is no accepted domain of this organisation"
                );
                self.warn(object, message);
            }
        }
    }
}
