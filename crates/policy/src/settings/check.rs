//! What belongs together in the settings: every rule that one object alone cannot keep.
//!
//! Each error is a sentence that names the object, the cause and the fix.

use std::collections::HashMap;

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::sasl::scram::Verifier;
use relais_smtp::time::Timestamp;

use crate::document::{
    AcceptedDomain, BYTE_COUNT_MAX, Credential, DirectoryEntry, Document, LIMIT_VALUE_MAX, Limits,
    Organisation, Verification,
};

use super::host::MailboxHost;
use super::scope::Scope;
use super::{Mode, SettingsError};

mod network;
mod connector;
mod content;
mod transport;

/// Errors reported at once; a file with more is mended in steps.
pub const ERRORS_MAX: usize = 100;
/// Organisations of a hosted installation.
pub const ORGANISATIONS_MAX: usize = 10_000;
/// Accepted domains of one organisation.
pub const DOMAINS_MAX: usize = 10_000;
/// Directory entries of one organisation: some 60 MB of memory.
pub const DIRECTORY_ENTRIES_MAX: usize = 500_000;
/// Inbound connectors of one organisation.
pub const INBOUND_CONNECTORS_MAX: usize = 10_000;
/// Outbound connectors of one organisation.
pub const OUTBOUND_CONNECTORS_MAX: usize = 1_000;
/// Memory of one check of a password, in KiB. We make hashes with 19 MiB (RFC 9106 §4 has 64 MiB
/// as its second choice).
const PASSWORD_MEMORY_KIB_MAX: u32 = 262_144;
/// Passes over that memory.
const PASSWORD_PASSES_MAX: u32 = 10;
/// Lanes of it.
const PASSWORD_LANES_MAX: u32 = 8;
/// Credentials of one organisation.
pub const CREDENTIALS_MAX: usize = 100_000;
/// Networks of one inbound connector.
pub const NETWORKS_MAX: usize = 10_000;
/// Smart hosts of one outbound connector.
pub const SMART_HOSTS_MAX: usize = 20;
/// Entries of the other lists of one object: scopes, test recipients, addresses.
const LIST_MAX: usize = 1_000;
/// Shortest lifetime of a message in the queue, in seconds: 12 hours.
pub const RETRY_LIFETIME_MIN: u64 = 12 * 3_600;
/// Longest lifetime of a message in the queue, in seconds: 5 days. RFC 5321 §4.5.4.1 asks for 4
/// to 5 days at least where nothing is known of the mail; devices want to be told sooner.
pub const RETRY_LIFETIME_MAX: u64 = 5 * 86_400;
/// Connections of one outbound connector at the same time.
const PACE_CONNECTIONS_MAX: u32 = 1_000;
/// Recipients of one message: the server itself takes no more.
const RECIPIENTS_PER_MESSAGE_MAX: u32 = 1_000;
/// Tags of one connector.
const TAGS_MAX: usize = 20;
/// Characters of one.
const TAG_CHARACTERS_MAX: usize = 32;
/// Days between two rotations of a key.
const ROTATE_DAYS_MAX: u32 = 3_650;
/// Octets of a bounce domain: with a token before it, it is still an address (RFC 5321
/// §4.5.3.1.3).
pub const BOUNCE_DOMAIN_OCTETS_MAX: usize = 180;

/// Every error of a document, in its order, up to [`ERRORS_MAX`].
///
/// `stored`: by an earlier Relais, whose rules were fewer. What only later rules forbid does no
/// harm where it stands, and must not keep a server from its start.
pub(super) fn check(
    mode: Mode,
    document: &Document,
    stored: bool,
) -> Result<(), Vec<SettingsError>> {
    let mut checker = Checker {
        errors: Vec::new(),
        stored,
    };
    checker.document(mode, document);
    network::check(mode, document, &mut checker);
    let mut errors = checker.errors;
    if errors.is_empty() {
        return Ok(());
    }
    if errors.len() > ERRORS_MAX {
        let more = errors.len() - ERRORS_MAX;
        errors.truncate(ERRORS_MAX);
        let message = format!("{more} more errors are not shown; mend the ones above first");
        errors.push(SettingsError {
            object: "settings".to_owned(),
            message,
        });
    }
    Err(errors)
}

struct Checker {
    errors: Vec<SettingsError>,
    /// See [`check`].
    stored: bool,
}

impl Checker {
    /// By a rule that came later: what was stored before it stays.
    fn later_error(&mut self, object: &str, message: String) {
        if !self.stored {
            self.error(object, message);
        }
    }

    fn error(&mut self, object: &str, message: String) {
        self.errors.push(SettingsError {
            object: object.to_owned(),
            message,
        });
    }

    fn document(&mut self, mode: Mode, document: &Document) {
        let organisations = &document.organisation;
        self.count(
            "settings",
            "organisations",
            organisations.len(),
            ORGANISATIONS_MAX,
        );
        if let (Mode::Lan, Some(second)) = (mode, organisations.get(1)) {
            let message = "a second organisation needs mode = \"hosted\" in relais.toml; in LAN \
                           mode there is one: put its objects there, or change the mode";
            self.error(&format!("organisation {}", second.name), message.to_owned());
        }
        self.unique(
            "settings",
            "organisations",
            organisations.iter().map(|o| &o.name),
        );
        for organisation in organisations {
            self.organisation(organisation);
        }
        self.unique_domains(organisations);
        self.unique_users(organisations);
    }

    fn organisation(&mut self, organisation: &Organisation) {
        let object = format!("organisation {}", organisation.name);
        let name = &organisation.name;
        if !is_short_name(name, 63) {
            self.error(&object, "name must be 1 to 63 of a-z, 0-9 and -".to_owned());
        }
        let display_name = &organisation.display_name;
        if display_name.chars().count() > 200 || display_name.chars().any(char::is_control) {
            self.error(
                &object,
                "display_name must be one line of at most 200 characters".into(),
            );
        }
        self.address(&object, "postmaster", &organisation.postmaster);
        self.limits(&object, "limits", &organisation.limits);
        self.limits_of_senders(
            &object,
            "limits_per_sender",
            &organisation.limits_per_sender,
        );
        self.content(&object, &organisation.inbound_content);
        self.content_days(&object, organisation.content_days);
        self.counts(&object, organisation);
        let inbound = &organisation.inbound_connector;
        let outbound = &organisation.outbound_connector;
        self.unique(
            &object,
            "inbound connectors",
            inbound.iter().map(|c| &c.name),
        );
        self.unique(
            &object,
            "outbound connectors",
            outbound.iter().map(|c| &c.name),
        );
        for domain in &organisation.domain {
            self.domain(&format!("{object}, domain {}", domain.name), domain);
        }
        self.directory(&object, organisation);
        for connector in inbound {
            let object = format!("{object}, inbound connector {}", connector.name);
            self.inbound(&object, connector);
            self.archive(organisation, &object, connector);
            let way = connector.outbound_connector.as_str();
            if !way.is_empty() && !outbound.iter().any(|one| one.name == way) {
                let message = format!(
                    "outbound_connector {way:?} does not exist in this organisation; name one that \
                     does, or add it"
                );
                self.error(&object, message);
            }
        }
        for connector in outbound {
            let known = |name: &&String| inbound.iter().any(|one| one.name == **name);
            let unknown = connector
                .inbound_connectors
                .iter()
                .find(|name| !known(name));
            if let Some(name) = unknown {
                let object = format!("{object}, outbound connector {}", connector.name);
                let message = format!(
                    "inbound_connectors names {name:?}, and there is no such inbound connector; \
                     correct or remove it"
                );
                self.error(&object, message);
            }
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

    fn counts(&mut self, object: &str, organisation: &Organisation) {
        let (inbound, outbound) = (
            &organisation.inbound_connector,
            &organisation.outbound_connector,
        );
        for (what, count, max) in [
            ("domains", organisation.domain.len(), DOMAINS_MAX),
            (
                "recipients",
                organisation.recipient.len(),
                DIRECTORY_ENTRIES_MAX,
            ),
            ("inbound connectors", inbound.len(), INBOUND_CONNECTORS_MAX),
            (
                "outbound connectors",
                outbound.len(),
                OUTBOUND_CONNECTORS_MAX,
            ),
            (
                "credentials",
                organisation.credential.len(),
                CREDENTIALS_MAX,
            ),
        ] {
            self.count(object, what, count, max);
        }
    }

    fn domain(&mut self, object: &str, domain: &AcceptedDomain) {
        self.domain_name(object, "name", &domain.name);
        self.limits_of_senders(object, "limits", &domain.limits);
        if !domain.mailbox_host.is_empty() && MailboxHost::parse(&domain.mailbox_host).is_none() {
            let message = format!(
                "mailbox_host {:?} is no host; write \"host:port\", \"[address]:port\" or \
                 \"lmtp:host:port\"",
                domain.mailbox_host
            );
            self.error(object, message);
        }
        if !domain.bounce_domain.is_empty() {
            self.domain_name(object, "bounce_domain", &domain.bounce_domain);
            if !lies_below(&domain.bounce_domain, &domain.name) {
                let message = format!(
                    "bounce_domain {} does not lie below {}; write one that does, as bounce.{}",
                    domain.bounce_domain, domain.name, domain.name
                );
                self.later_error(object, message);
            }
            if domain.bounce_domain.len() > BOUNCE_DOMAIN_OCTETS_MAX {
                let message = format!(
                    "bounce_domain is longer than {BOUNCE_DOMAIN_OCTETS_MAX} octets, and signed \
                     addresses must fit before it; write a shorter one"
                );
                self.later_error(object, message);
            }
        }
        let dkim = &domain.dkim;
        if dkim.enabled && dkim.algorithms.is_empty() {
            let message = "dkim names no algorithm; name one, or write dkim = { enabled = false }";
            self.error(object, message.to_owned());
        }
        let twice = dkim
            .algorithms
            .iter()
            .enumerate()
            .any(|(at, a)| dkim.algorithms[..at].contains(a));
        if twice {
            self.error(
                object,
                "dkim names an algorithm twice; name each once".to_owned(),
            );
        }
        if !(1..=ROTATE_DAYS_MAX).contains(&dkim.rotate_days) {
            self.error(
                object,
                format!("dkim.rotate_days must be 1 to {ROTATE_DAYS_MAX}"),
            );
        }
        transport::check(self, object, &domain.mta_sts);
    }

    fn directory(&mut self, object: &str, organisation: &Organisation) {
        let accepted = organisation.domain.iter().filter_map(|domain| {
            Domain::parse(&domain.name)
                .ok()
                .map(|name| (name, domain.subdomains))
        });
        let accepted = accepted.collect::<HashMap<_, _>>();
        let mut seen = std::collections::HashSet::new();
        for entry in &organisation.recipient {
            let object = format!("{object}, recipient {}", entry.address);
            let Some(mailbox) = self.entry(&object, entry) else {
                continue;
            };
            let covered = mailbox
                .domain()
                .is_some_and(|domain| is_covered(&accepted, domain));
            if !covered {
                let message = "its domain is no accepted domain of this organisation; add \
                               [[organisation.domain]], or remove the recipient";
                self.error(&object, message.to_owned());
            }
            if !seen.insert(super::index::address_key(&mailbox)) {
                self.error(
                    &object,
                    "the address is listed twice; remove one entry".to_owned(),
                );
            }
        }
    }

    fn entry(&mut self, object: &str, entry: &DirectoryEntry) -> Option<Mailbox> {
        match Mailbox::parse(entry.address.trim()) {
            Ok(mailbox) => Some(mailbox),
            Err(error) => {
                self.error(object, format!("{error}; write it as anna@contoso.test"));
                None
            }
        }
    }

    fn credential(&mut self, object: &str, organisation: &Organisation, credential: &Credential) {
        if !is_short_name(&credential.user, 20) {
            self.error(object, "user must be 1 to 20 of a-z, 0-9 and -".to_owned());
        }
        self.limits(object, "limits", &credential.limits);
        let connector = &credential.inbound_connector;
        if !organisation
            .inbound_connector
            .iter()
            .any(|c| c.name == *connector)
        {
            let message = format!(
                "inbound_connector {connector:?} does not exist in this organisation; name one \
                 that does, or add it"
            );
            self.error(object, message);
        }
        if !matches!(credential.tls_min.as_str(), "none" | "1.2" | "1.3") {
            let message = format!(
                "tls_min {:?} is unknown; write \"none\", \"1.2\" or \"1.3\"",
                credential.tls_min
            );
            self.error(object, message);
        }
        self.secrets(object, credential);
        self.count(
            object,
            "may_send_as",
            credential.may_send_as.len(),
            LIST_MAX,
        );
        for entry in &credential.may_send_as {
            let entry = entry.trim();
            let well_formed = match entry.strip_prefix("*@") {
                Some(domain) => Domain::parse(domain).is_ok(),
                None => Mailbox::parse(entry).is_ok_and(|mailbox| mailbox.domain().is_some()),
            };
            if !well_formed {
                let message = format!(
                    "may_send_as {entry:?} is no address; write \"scan@contoso.test\" or \
                     \"*@contoso.test\""
                );
                self.error(object, message);
            }
        }
    }

    /// Hashes, verifiers and times: what cannot be read would refuse everybody, or nobody.
    fn secrets(&mut self, object: &str, credential: &Credential) {
        let hashes = [
            ("password_hash", &credential.password_hash),
            ("previous_password_hash", &credential.previous_password_hash),
        ];
        for (key, hash) in hashes {
            if !hash.is_empty() && !is_password_hash(hash) {
                let message = format!(
                    "{key} is no Argon2id hash within m=262144, t=10, p=8; let relais credential \
                     add or rotate make it"
                );
                self.error(object, message);
            }
        }
        let verifiers = [
            ("scram_sha_256", &credential.scram_sha_256),
            ("previous_scram_sha_256", &credential.previous_scram_sha_256),
        ];
        for (key, verifier) in verifiers {
            if !verifier.is_empty() && Verifier::parse(verifier).is_none() {
                let message = format!(
                    "{key} is not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey; \
                     let relais credential add or rotate make it"
                );
                self.error(object, message);
            }
        }
        let times = [
            ("previous_until", &credential.previous_until),
            ("expires", &credential.expires),
        ];
        for (key, time) in times {
            if !time.is_empty() && Timestamp::parse_rfc3339(time).is_none() {
                let message = format!("{key} {time:?} is no time; write 2026-11-29T12:00:00Z");
                self.error(object, message);
            }
        }
    }

    fn limits(&mut self, object: &str, place: &str, limits: &Limits) {
        let keys = [
            ("messages_per_minute", limits.messages_per_minute),
            ("recipients_per_hour", limits.recipients_per_hour),
            (
                "external_recipients_per_hour",
                limits.external_recipients_per_hour,
            ),
            ("recipients_per_day", limits.recipients_per_day),
            ("new_recipients_per_day", limits.new_recipients_per_day),
            ("connections", limits.connections),
        ];
        for (key, limit) in keys {
            if limit.is_some_and(|limit| !(1..=LIMIT_VALUE_MAX).contains(&limit.value)) {
                let message = format!(
                    "{place}.{key} must be 1 to {LIMIT_VALUE_MAX}; leave it out for no limit"
                );
                self.error(object, message);
            }
        }
        let recipients = limits.recipients_per_message;
        if recipients.is_some_and(|count| !(1..=RECIPIENTS_PER_MESSAGE_MAX).contains(&count)) {
            let message = format!(
                "{place}.recipients_per_message must be 1 to {RECIPIENTS_PER_MESSAGE_MAX}; leave \
                 it out for no limit"
            );
            self.error(object, message);
        }
        if limits
            .message_size_max
            .is_some_and(|size| !(1..=BYTE_COUNT_MAX).contains(&size.0))
        {
            let message = format!(
                "{place}.message_size_max must be 1 octet to 1024 GiB; leave it out for the \
                 server's own limit"
            );
            self.error(object, message);
        }
    }

    /// A connection has no sender: it may send for many.
    fn limits_of_senders(&mut self, object: &str, place: &str, limits: &Limits) {
        self.limits(object, place, limits);
        if limits.connections.is_some() {
            let message = format!(
                "{place}.connections has no meaning; limit the connections of the connector, of \
                 its devices or of the organisation"
            );
            self.error(object, message);
        }
    }

    fn scopes(&mut self, object: &str, key: &str, scopes: &[String]) {
        self.count(object, key, scopes.len(), LIST_MAX);
        if scopes.is_empty() {
            let message = format!("{key} is empty, so nothing is allowed; write [\"*\"] for all");
            self.error(object, message);
        }
        for text in scopes {
            match Scope::parse(text) {
                Err(message) => self.error(object, format!("{key}: {message}")),
                Ok(Scope::Own | Scope::Literal(_)) if key == "sender_domains" => {
                    let message = format!(
                        "{key}: {text:?} is for recipient_domains; write \"*\" for every verified \
                         domain of the organisation"
                    );
                    self.error(object, message);
                }
                Ok(
                    Scope::Any | Scope::Own | Scope::Exact(_) | Scope::Below(_) | Scope::Literal(_),
                ) => {}
            }
        }
    }

    fn connector_name(&mut self, object: &str, name: &str) {
        let length = name.chars().count();
        let well_formed = name.trim() == name && !name.chars().any(char::is_control);
        if !(1..=64).contains(&length) || !well_formed {
            let message = "name must be 1 to 64 characters, without spaces around it";
            self.error(object, message.to_owned());
        }
    }

    fn domain_name(&mut self, object: &str, key: &str, name: &str) {
        if let Err(error) = Domain::parse(name) {
            self.error(object, format!("{key} {name:?} is no domain name: {error}"));
        }
    }

    /// An address that may be left empty.
    fn address(&mut self, object: &str, key: &str, address: &str) {
        if address.is_empty() {
            return;
        }
        if let Err(error) = Mailbox::parse(address.trim()) {
            let message = format!("{key} {address:?}: {error}; write it as it@contoso.test");
            self.error(object, message);
        }
    }

    fn count(&mut self, object: &str, what: &str, count: usize, max: usize) {
        if count > max {
            self.error(
                object,
                format!("{count} {what} are too many: at most {max}"),
            );
        }
    }

    /// Names that differ in case only count as one.
    fn unique<'a>(&mut self, object: &str, what: &str, names: impl Iterator<Item = &'a String>) {
        let mut seen = std::collections::HashSet::new();
        for name in names {
            if !seen.insert(name.to_lowercase()) {
                let message = format!("two {what} are named {name:?}; rename one");
                self.error(object, message);
            }
        }
    }

    /// Several organisations may claim a domain: whoever proves it has it, and a claim that is
    /// not proved stands in nobody's way. What somebody on the machine says needs no proof, so it
    /// can be said for one only.
    fn unique_domains(&mut self, organisations: &[Organisation]) {
        let mut claims = std::collections::HashSet::new();
        let mut assumed = std::collections::HashSet::new();
        for organisation in organisations {
            for domain in &organisation.domain {
                let Ok(name) = Domain::parse(&domain.name) else {
                    continue;
                };
                let object = format!("organisation {}, domain {}", organisation.name, domain.name);
                let taken = organisation.domain.iter().any(|other| {
                    Domain::parse(&other.bounce_domain).is_ok_and(|bounces| bounces == name)
                });
                if taken {
                    let message = "it is the bounce_domain of a domain, where only what comes \
                                   back is taken; give that another name";
                    self.later_error(&object, message.to_owned());
                }
                if !claims.insert((organisation.name.as_str(), name.clone())) {
                    let message = "the domain is listed twice; remove one entry";
                    self.error(&object, message.to_owned());
                } else if domain.verification == Verification::Assumed && !assumed.insert(name) {
                    let message = "another organisation has this domain, verified by hand too; a \
                                   domain belongs to one only";
                    self.error(&object, message.to_owned());
                }
            }
        }
    }

    fn unique_users(&mut self, organisations: &[Organisation]) {
        let mut seen = std::collections::HashSet::new();
        for organisation in organisations {
            for credential in &organisation.credential {
                if !seen.insert(credential.user.as_str()) {
                    let object = format!(
                        "organisation {}, credential {}",
                        organisation.name, credential.user
                    );
                    let message = "the user name is taken; users are unique over all organisations";
                    self.error(&object, message.to_owned());
                }
            }
        }
    }
}

/// Whether a name lies below another; what cannot be read was told already.
fn lies_below(name: &str, parent: &str) -> bool {
    match (Domain::parse(name), Domain::parse(parent)) {
        (Ok(name), Ok(parent)) => name.is_subdomain_of(&parent),
        (Err(_), _) | (_, Err(_)) => true,
    }
}

/// Whether a domain is accepted, itself or as a subdomain.
fn is_covered(accepted: &HashMap<Domain, bool>, domain: &Domain) -> bool {
    let mut parents = domain.as_str();
    while let Some((_, parent)) = parents.split_once('.') {
        let subdomains = Domain::parse(parent)
            .ok()
            .and_then(|name| accepted.get(&name));
        if subdomains == Some(&true) {
            return true;
        }
        parents = parent;
    }
    accepted.contains_key(domain)
}

/// `$argon2id$v=19$m=…,t=…,p=…$salt$hash`, with work that a login may cost.
fn is_password_hash(hash: &str) -> bool {
    let mut parts = hash.split('$');
    let head = (parts.next(), parts.next(), parts.next());
    let (Some(work), Some(salt), Some(digest), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let within = |part: Option<&str>, key: &str, most: u32| {
        let number = part.and_then(|part| part.strip_prefix(key)?.parse::<u32>().ok());
        number.is_some_and(|number| (1..=most).contains(&number))
    };
    let mut work = work.split(',');
    head == (Some(""), Some("argon2id"), Some("v=19"))
        && within(work.next(), "m=", PASSWORD_MEMORY_KIB_MAX)
        && within(work.next(), "t=", PASSWORD_PASSES_MAX)
        && within(work.next(), "p=", PASSWORD_LANES_MAX)
        && work.next().is_none()
        && [salt, digest].iter().all(|part| part.len() >= 11)
}

fn is_short_name(name: &str, length_max: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= length_max && name.bytes().all(allowed)
}
