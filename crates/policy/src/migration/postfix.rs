//! Postfix: what `postconf -n` writes, and its maps behind `==> name <==`.
//!
//! Networks, relay host, routes, sizes and rewriting to one address are taken over; restrictions
//! are reported, not translated: who may send is said by connectors here.

mod config;
mod hop;

use std::collections::{BTreeSet, HashMap, HashSet};

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;

use super::MigrationError;
use super::address::Range;
use super::proposing::{Proposing, quoted};
use crate::document::{
    DomainKind, InboundConnector, InboundTls, Limit, Limits, OutboundConnector, SenderReplaced,
    Span,
};
use crate::settings::{RETRY_LIFETIME_MAX, RETRY_LIFETIME_MIN, Scope};

use config::Config;
use hop::{Hop, Way};

pub use config::maps_of;
pub(super) use config::password_maps;

/// Domains of one connector.
const SCOPES_MAX: usize = 1_000;
/// Lists of domains, and what Postfix did with their mail.
const DOMAIN_LISTS: [(&str, DomainKind); 4] = [
    ("relay_domains", DomainKind::InternalRelay),
    ("virtual_mailbox_domains", DomainKind::Authoritative),
    ("virtual_alias_domains", DomainKind::Authoritative),
    ("mydestination", DomainKind::Authoritative),
];

pub(super) fn read(text: &str, proposing: &mut Proposing<'_>) -> Result<(), MigrationError> {
    let config = Config::parse(text)?;
    domains(&config, proposing);
    clients(&config, proposing);
    routes(&config, proposing);
    dangers(&config, proposing);
    others(&config, proposing);
    Ok(())
}

fn domains(config: &Config<'_>, proposing: &mut Proposing<'_>) {
    let own_host = config.value("myhostname").to_ascii_lowercase();
    let is_meant = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains('.') && !name.starts_with("localhost") && name != own_host
    };
    for (key, kind) in DOMAIN_LISTS {
        let names = config.names(key, proposing);
        let names: Vec<_> = names.into_iter().filter(|name| is_meant(name)).collect();
        if kind == DomainKind::Authoritative && !names.is_empty() {
            let message = "its mail went into mailboxes of the old machine; here name a \
                           mailbox_host for each domain";
            proposing.changed(key, message);
        }
        for name in names {
            match name.strip_prefix('.') {
                Some(parent) => {
                    let parent = quoted(parent);
                    let message = format!(
                        "domains below {parent} are taken over with it only: set subdomains = true"
                    );
                    proposing.unsupported(key, message);
                }
                None => drop(proposing.domain(&name, kind)),
            }
        }
    }
    for key in ["mydomain", "myorigin"] {
        let name = config.value(key);
        if is_meant(&name) && !name.starts_with('/') {
            proposing.domain(&name, DomainKind::Authoritative);
        }
    }
}

/// Who may send: one connector, for the networks.
fn clients(config: &Config<'_>, proposing: &mut Proposing<'_>) {
    let key = "mynetworks";
    let names = config.names(key, proposing);
    let (without, with): (Vec<_>, Vec<_>) = names.into_iter().partition(|one| one.starts_with('!'));
    let mut networks = proposing.networks(key, with.iter().map(String::as_str));
    for text in &without {
        let shown = quoted(text);
        let Some(excluded) = Range::parse(text.trim_start_matches('!')) else {
            let message = format!("{shown} excludes what cannot be read: no network is taken over");
            proposing.unsupported(key, message);
            networks.clear();
            break;
        };
        let before = networks.len();
        networks.retain(|one| !excluded.meets(one));
        if networks.len() < before {
            let message = format!(
                "{shown} excludes a part of a network, which is left out whole: add what remains"
            );
            proposing.unsupported(key, message);
        }
    }
    if networks.is_empty() {
        let message = "no network can be taken over, so no connector for its clients is added";
        return proposing.unsupported(key, message);
    }
    let mut connector = InboundConnector::new("Postfix mynetworks");
    connector.sender_ip_addresses = networks;
    let level = config.value("smtpd_tls_security_level");
    if level == "encrypt" || config.is_yes("smtpd_enforce_tls") {
        connector.tls = InboundTls::Required;
    }
    connector.limits = Limits {
        message_size_max: proposing.size(key, config.number("message_size_limit")),
        recipients_per_message: proposing.recipients(key, config.number("smtpd_recipient_limit")),
        ..Limits::default()
    };
    let rate = config.number("smtpd_client_message_rate_limit");
    if let Some(rate) = rate.filter(|rate| *rate > 0) {
        let message = "beyond the limit mail was refused; here each device is slowed down";
        proposing.changed("smtpd_client_message_rate_limit", message);
        connector.limits_per_device.messages_per_minute = Some(Limit {
            value: rate.min(1_000_000),
            hard: false,
        });
    }
    rewriting(config, &mut connector, proposing);
    let message = "any sender could be named from these networks; here senders are of verified \
                   domains only";
    proposing.changed(key, message);
    proposing.inbound(connector);
}

/// Tables that rewrite senders: to one address they have a counterpart.
fn rewriting(config: &Config<'_>, connector: &mut InboundConnector, proposing: &mut Proposing<'_>) {
    for key in [
        "sender_canonical_maps",
        "canonical_maps",
        "smtp_generic_maps",
    ] {
        let lines = config.table(key, proposing);
        let targets: BTreeSet<_> = lines.iter().map(|(_, to)| to.as_str()).collect();
        let only = targets.first().filter(|_| targets.len() == 1);
        let only = only.filter(|to| Mailbox::parse(to).is_ok_and(|one| one.domain().is_some()));
        match only {
            Some(to) if connector.sender_replacement.is_empty() => {
                connector.sender_replacement = (*to).to_owned();
                connector.sender_replaced = SenderReplaced::Local;
                let to = quoted(to);
                let message = format!(
                    "named senders became {to}; here it replaces root@ and names without a real \
                     domain"
                );
                proposing.changed(key, message);
            }
            Some(_) | None if lines.is_empty() => {}
            Some(_) | None => {
                let count = lines.len();
                let message = format!(
                    "its {count} lines rewrite addresses one by one, which has no counterpart"
                );
                proposing.unsupported(key, message);
            }
        }
    }
}

/// How mail leaves: by the relay host, by transports, by senders.
fn routes(config: &Config<'_>, proposing: &mut Proposing<'_>) {
    let way = Way::of(config, proposing);
    let mut hops = Vec::new();
    for text in config.list("relayhost") {
        hops.extend(Hop::parse("relayhost", &text, &way, proposing));
    }
    if !hops.is_empty() {
        let connector = OutboundConnector::new("Postfix relayhost");
        add(connector, &hops, &way, config, proposing);
    }
    let key = "transport_maps";
    let mut groups = Groups::default();
    for (pattern, result) in config.table(key, proposing) {
        let Some(domain) = destination(key, &pattern, proposing) else {
            continue;
        };
        if let Some(hop) = transport(&pattern, &result, proposing) {
            groups.add(hop, domain);
        }
    }
    for (hop, domains) in groups.all {
        let hops: Vec<_> = Hop::parse(key, &hop, &way, proposing).into_iter().collect();
        if hops.is_empty() && !hop.is_empty() {
            continue;
        }
        let name = match hop.is_empty() {
            true => "Postfix by MX".to_owned(),
            false => format!("Postfix {hop}"),
        };
        for some in domains.chunks(SCOPES_MAX) {
            let mut connector = OutboundConnector::new(name.clone());
            connector.recipient_domains = some.to_vec();
            add(connector, &hops, &way, config, proposing);
        }
    }
    by_senders(config, &way, proposing);
}

fn by_senders(config: &Config<'_>, way: &Way, proposing: &mut Proposing<'_>) {
    let key = "sender_dependent_relayhost_maps";
    let mut groups = Groups::default();
    for (pattern, hop) in config.table(key, proposing) {
        match pattern.strip_prefix('@') {
            Some(domain) if Domain::parse(domain).is_ok() => {
                groups.add(hop, domain.to_ascii_lowercase());
            }
            Some(_) | None => {
                let shown = quoted(&pattern);
                let message = format!("{shown} is one sender, and ways are chosen by domains here");
                proposing.unsupported(key, message);
            }
        }
    }
    for (hop, domains) in groups.all {
        let hops: Vec<_> = Hop::parse(key, &hop, way, proposing).into_iter().collect();
        if hops.is_empty() {
            continue;
        }
        for some in domains.chunks(SCOPES_MAX) {
            let mut connector = OutboundConnector::new(format!("Postfix @ {hop}"));
            connector.sender_domains = some.to_vec();
            add(connector, &hops, way, config, proposing);
        }
    }
}

/// Patterns that lead to the same next hop, in the order of their first.
#[derive(Default)]
struct Groups {
    all: Vec<(String, Vec<String>)>,
    places: HashMap<String, usize>,
    seen: HashSet<(usize, String)>,
}

impl Groups {
    fn add(&mut self, hop: String, domain: String) {
        let next = self.all.len();
        let place = *self.places.entry(hop.clone()).or_insert(next);
        if place == next {
            self.all.push((hop, Vec::new()));
        }
        if self.seen.insert((place, domain.clone())) {
            self.all[place].1.push(domain);
        }
    }
}

/// The pattern of a transport as a scope.
fn destination(key: &str, pattern: &str, proposing: &mut Proposing<'_>) -> Option<String> {
    let scope = match pattern.strip_prefix('.') {
        Some(parent) => format!("*.{parent}"),
        None => pattern.to_owned(),
    };
    let is_scope = Scope::parse(&scope).is_ok() && !scope.starts_with('[');
    if !is_scope || scope.eq_ignore_ascii_case("own") {
        let shown = quoted(pattern);
        let message = format!("{shown} is no domain, and ways are chosen by domains here");
        proposing.unsupported(key, message);
        return None;
    }
    Some(scope.to_ascii_lowercase())
}

/// The next hop of `smtp:[host]:port`; empty: by MX.
fn transport(pattern: &str, result: &str, proposing: &mut Proposing<'_>) -> Option<String> {
    let key = "transport_maps";
    let (kind, hop) = result.split_once(':').unwrap_or((result, ""));
    match kind {
        "smtp" | "relay" | "esmtp" => Some(hop.to_owned()),
        "" if !hop.is_empty() => Some(hop.to_owned()),
        "lmtp" => {
            let shown = quoted(pattern);
            let message = format!(
                "mail for {shown} went to mailboxes by LMTP: add the domain with this mailbox_host"
            );
            proposing.unsupported(key, message);
            None
        }
        _ => {
            let (pattern, result) = (quoted(pattern), quoted(result));
            let message = format!("{result} for {pattern} has no counterpart, and is left out");
            proposing.unsupported(key, message);
            None
        }
    }
}

fn add(
    mut connector: OutboundConnector,
    hops: &[Hop],
    way: &Way,
    config: &Config<'_>,
    proposing: &mut Proposing<'_>,
) {
    // It is told as left out, and nothing else of it.
    if !proposing.has_room_outbound() {
        return proposing.outbound(connector);
    }
    let object = format!("outbound connector {}", Proposing::name(&connector.name));
    way.set(&object, hops, &mut connector, proposing);
    let hosts = hops.iter().map(|hop| hop.host.clone()).collect();
    connector.smart_hosts = proposing.hosts(&object, hosts);
    if let Some(lifetime) = lifetime(&config.value("maximal_queue_lifetime")) {
        let kept = lifetime.clamp(RETRY_LIFETIME_MIN, RETRY_LIFETIME_MAX);
        if kept != lifetime {
            let message = "mail waits for 12 hours at least and 5 days at most here";
            proposing.changed("maximal_queue_lifetime", message);
        }
        connector.retry.lifetime = Span(kept);
    }
    proposing.outbound(connector);
}

/// Seconds; a number without unit is days.
fn lifetime(text: &str) -> Option<u64> {
    let span = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => format!("{text}d").parse::<Span>(),
        false => text.parse::<Span>(),
    };
    span.ok().map(|span| span.0)
}

/// Lists of restrictions, without which anybody relays.
const GUARDS: [&str; 4] = [
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "defer",
];

fn dangers(config: &Config<'_>, proposing: &mut Proposing<'_>) {
    let is_guarded = |key: &str| {
        let list = config.list(key);
        let first = list
            .iter()
            .find(|one| *one == "permit" || GUARDS.contains(&one.as_str()));
        first.is_some_and(|one| one != "permit")
    };
    let (relay, recipient) = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions");
    let is_open = config.has(relay) && !is_guarded(relay) && !is_guarded(recipient);
    if is_open {
        let message = "nothing refused mail of strangers to strangers: it was an open relay";
        proposing.dangerous(relay, message);
    }
    let level = config.value("smtpd_tls_security_level");
    let encrypts = level == "encrypt" || config.is_yes("smtpd_tls_auth_only");
    if config.is_yes("smtpd_sasl_auth_enable") {
        let message = "its accounts and their passwords are not taken over: make a credential for \
                       each device";
        proposing.unsupported("smtpd_sasl_auth_enable", message);
        if !encrypts {
            let message =
                "passwords were taken without encryption (smtpd_tls_auth_only is not yes)";
            proposing.dangerous("smtpd_sasl_auth_enable", message);
        }
    }
}

/// What was read above, and what is only of the old machine.
const READ: [&str; 34] = [
    "canonical_maps",
    "maximal_queue_lifetime",
    "message_size_limit",
    "mydestination",
    "mydomain",
    "mynetworks",
    "myorigin",
    "relay_domains",
    "relayhost",
    "sender_canonical_maps",
    "sender_dependent_relayhost_maps",
    "smtp_enforce_tls",
    "smtp_generic_maps",
    "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps",
    "smtp_sasl_security_options",
    "smtp_sasl_tls_security_options",
    "smtp_tls_security_level",
    "smtp_tls_wrappermode",
    "smtp_use_tls",
    "smtpd_client_message_rate_limit",
    "smtpd_enforce_tls",
    "smtpd_recipient_limit",
    "smtpd_sasl_auth_enable",
    "smtpd_tls_auth_only",
    "smtpd_tls_security_level",
    "smtpd_use_tls",
    "transport_maps",
    "virtual_alias_domains",
    "virtual_mailbox_domains",
    "compatibility_level",
    "biff",
    "append_dot_mydomain",
    "recipient_delimiter",
];

/// Endings of names that are only of the old machine.
const OF_THE_MACHINE: [&str; 9] = [
    "_directory",
    "_path",
    "_owner",
    "_group",
    "_database",
    "_loglevel",
    "_style",
    "_cache_database",
    "_CApath",
];

/// Of settings that have no counterpart under their name: where to look.
fn elsewhere(key: &str) -> &'static str {
    match key {
        "myhostname" | "smtpd_banner" => {
            "the name of the server is hostname in relais.toml; devices must reach it"
        }
        "inet_interfaces" | "inet_protocols" => "listeners stand in relais.toml",
        "content_filter"
        | "smtpd_milters"
        | "non_smtpd_milters"
        | "header_checks"
        | "body_checks"
        | "mime_header_checks"
        | "milter_header_checks" => "checks of content are set up anew, under Settings",
        "always_bcc" | "sender_bcc_maps" | "recipient_bcc_maps" => {
            "copies are made by archive_address of a connector, for an address of yours"
        }
        "smtp_bind_address" | "smtp_bind_address6" => {
            "the address is the old server's, and is not taken over"
        }
        "smtp_tls_policy_maps" => {
            "encryption of single destinations is set on outbound connectors of their own"
        }
        "alias_maps"
        | "virtual_alias_maps"
        | "local_recipient_maps"
        | "virtual_mailbox_maps"
        | "relay_recipient_maps" => {
            "aliases and mailboxes are not taken over: import the directory as CSV"
        }
        key if key.contains("restrictions") || key.contains("restriction_classes") => {
            "restrictions are not translated: connectors say who may send here"
        }
        key if key.contains("_cert_file")
            || key.contains("_key_file")
            || key.contains("_CAfile") =>
        {
            "certificates are the old server's: give Relais its own"
        }
        _ => "it has no counterpart here",
    }
}

fn others(config: &Config<'_>, proposing: &mut Proposing<'_>) {
    for key in config.keys() {
        let is_of_machine = OF_THE_MACHINE.iter().any(|end| key.ends_with(end));
        if !READ.contains(&key) && !is_of_machine {
            proposing.unsupported(key, elsewhere(key));
        }
    }
}
