//! Connectors and accepted domains of Exchange Server and Exchange Online. Both read both: a hybrid
//! organisation has some of each.
//!
//! Not here: rights in Active Directory (`ms-Exch-SMTP-Accept-Any-Recipient`), which no export of
//! connectors shows.

use super::MigrationError;
use super::json::{Object, objects};
use super::proposing::{Proposing, quoted};
use crate::document::{
    AuthMethod, DomainKind, InboundConnector, InboundTls, Limit, Limits, OutboundAuth,
    OutboundConnector, OutboundTls,
};
use crate::encryption::CertificateName;
use crate::settings::Scope;

/// `PermissionGroups` and `AuthMechanism`, as far as they count here.
const GROUPS: [(&str, u64); 6] = [
    ("AnonymousUsers", 1),
    ("ExchangeUsers", 2),
    ("ExchangeServers", 4),
    ("ExchangeLegacyServers", 8),
    ("Partners", 16),
    ("Custom", 32),
];
const MECHANISMS: [(&str, u64); 6] = [
    ("Tls", 1),
    ("Integrated", 2),
    ("BasicAuth", 4),
    ("BasicAuthRequireTLS", 8),
    ("ExchangeServer", 16),
    ("ExternalAuthoritative", 32),
];
/// How a send connector logs in.
const LOGINS: [(&str, u64); 5] = [
    ("None", 0),
    ("BasicAuth", 1),
    ("BasicAuthRequireTLS", 2),
    ("ExchangeServer", 3),
    ("ExternalAuthoritative", 4),
];
/// What it demands of the next hop's certificate.
const LEVELS: [(&str, u64); 3] = [
    ("EncryptionOnly", 1),
    ("CertificateValidation", 2),
    ("DomainValidation", 3),
];
const DOMAIN_TYPES: [(&str, u64); 3] = [
    ("Authoritative", 0),
    ("ExternalRelay", 1),
    ("InternalRelay", 2),
];
/// Whether a connector of Exchange Online is for our own servers.
const CONNECTOR_TYPES: [(&str, u64); 2] = [("OnPremises", 1), ("Partner", 2)];

pub(super) fn read(text: &str, proposing: &mut Proposing<'_>) -> Result<(), MigrationError> {
    let all = objects(text)?;
    let count = all.len();
    // Domains first: connectors name them.
    let (domains, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|one| one.has("DomainType"));
    domains.iter().for_each(|one| accepted(one, proposing));
    let mut unknown = 0_usize;
    for one in &others {
        if one.has("RemoteIPRanges") {
            receive(one, proposing);
        } else if one.has("AddressSpaces") {
            send(one, proposing);
        } else if one.has("SenderIPAddresses") || one.has("RestrictDomainsToIPAddresses") {
            inbound(one, proposing);
        } else if one.has("UseMXRecord") || one.has("RecipientDomains") {
            outbound(one, proposing);
        } else {
            unknown += 1;
        }
    }
    if unknown == count {
        let message = "there is no connector and no accepted domain in it; export them with the \
                       command that is shown";
        return Err(MigrationError::new(message));
    }
    if unknown > 0 {
        let message = format!(
            "{unknown} objects are neither connectors nor accepted domains, and are left out"
        );
        proposing.unsupported("file", message);
    }
    Ok(())
}

fn name_of(object: &Object) -> String {
    let name = object.text("Name");
    let identity = object.text("Identity");
    match name.is_empty() {
        true => Proposing::name(identity.rsplit('\\').next().unwrap_or_default()),
        false => Proposing::name(&name),
    }
}

fn accepted(object: &Object, proposing: &mut Proposing<'_>) {
    let text = object.text("DomainName");
    let (name, below) = match text.strip_prefix("*.") {
        Some(name) => (name.to_owned(), true),
        None => (text.clone(), object.flag("MatchSubDomains")),
    };
    let shown = format!("accepted domain {}", quoted(&text));
    if name.to_ascii_lowercase().ends_with(".onmicrosoft.com") {
        let message = "it is a domain of Microsoft 365, and nothing can be sent from it but there";
        return proposing.unsupported(&shown, message);
    }
    let kind = match object.choice("DomainType", &DOMAIN_TYPES) {
        "Authoritative" => DomainKind::Authoritative,
        "ExternalRelay" => {
            let message = "it was relayed to another organisation; here unknown recipients are \
                           passed on to its mailbox host";
            proposing.changed(&shown, message);
            DomainKind::InternalRelay
        }
        _ => DomainKind::InternalRelay,
    };
    if below {
        let message = "domains below it were accepted too; here set subdomains = true, once it is \
                       verified";
        proposing.changed(&shown, message);
    }
    proposing.domain(&name, kind);
}

fn receive(object: &Object, proposing: &mut Proposing<'_>) {
    let name = name_of(object);
    let shown = format!("receive connector {name}");
    let groups = object.flags("PermissionGroups", &GROUPS);
    let mechanisms = object.flags("AuthMechanism", &MECHANISMS);
    if mechanisms & 32 != 0 {
        let message = "its clients were trusted without a login (ExternalAuthoritative), whatever \
                       sender they named; here senders are of verified domains only";
        proposing.dangerous(&shown, message);
    }
    if mechanisms & 4 != 0 && mechanisms & 8 == 0 && !object.flag("RequireTLS") {
        let message = "passwords were taken without encryption (BasicAuth without \
                       BasicAuthRequireTLS)";
        proposing.dangerous(&shown, message);
    }
    let ranges = object.texts("RemoteIPRanges");
    let networks = proposing.networks(&shown, ranges.iter().map(String::as_str));
    if networks.is_empty() {
        let message = "none of its addresses can be taken over, so it would recognise nobody: add \
                       connectors for the devices that used it";
        return proposing.unsupported(&shown, message);
    }
    if groups & 1 == 0 && mechanisms & 32 == 0 {
        let message = "its clients had to log in as well; here its addresses are enough: make \
                       credentials, and set identified_by = \"all\"";
        proposing.changed(&shown, message);
    } else if groups & !1 & 0x3f != 0 && mechanisms & 12 != 0 {
        let message = "clients could log in with accounts of the directory; here each device has a \
                       credential of its own";
        proposing.changed(&shown, message);
    }
    listening(object, &shown, proposing);
    let mut connector = InboundConnector::new(name);
    connector.sender_ip_addresses = networks;
    if object.flag("RequireTLS") {
        connector.tls = InboundTls::Required;
    }
    connector.limits = Limits {
        message_size_max: proposing.size(&shown, object.octets("MaxMessageSize")),
        recipients_per_message: proposing
            .recipients(&shown, object.number("MaxRecipientsPerMessage")),
        ..Limits::default()
    };
    if let Some(rate) = object.number("MessageRateLimit").filter(|rate| *rate > 0) {
        let message = "its rate of messages was refused beyond the limit; here each device is \
                       slowed down";
        proposing.changed(&shown, message);
        connector.limits_per_device.messages_per_minute = Some(Limit {
            value: rate.min(1_000_000),
            hard: false,
        });
    }
    proposing.inbound(connector);
}

/// What a receive connector says of the server itself.
fn listening(object: &Object, shown: &str, proposing: &mut Proposing<'_>) {
    let bindings = object.texts("Bindings");
    let other = bindings.iter().any(|one| !one.ends_with(":25"));
    if other {
        let bindings = quoted(&bindings.join(" "));
        proposing.changed(
            shown,
            format!("it listened at {bindings}; here listeners stand in relais.toml"),
        );
    }
    if !object.text("TlsCertificateName").is_empty() {
        let message = "its certificate is the old server's, and is not taken over: give Relais one \
                       of its own";
        proposing.unsupported(shown, message);
    }
    if object.has("Enabled") && !object.flag("Enabled") {
        proposing.changed(shown, "it was switched off on the old side");
    }
}

fn send(object: &Object, proposing: &mut Proposing<'_>) {
    let name = name_of(object);
    let shown = format!("send connector {name}");
    let spaces = object.texts("AddressSpaces");
    let Some(domains) = scopes(&shown, &spaces, proposing) else {
        return;
    };
    let mut connector = OutboundConnector::new(name);
    connector.recipient_domains = domains;
    let port = object
        .number("Port")
        .and_then(|port| u16::try_from(port).ok());
    if !smart_hosts(object, &shown, port, &mut connector, proposing) {
        return;
    }
    if object.flag("IgnoreSTARTTLS") {
        connector.tls = OutboundTls::None;
        let message = "it never encrypted, even where the next hop could (IgnoreSTARTTLS)";
        proposing.dangerous(&shown, message);
    } else {
        let level = object.choice("TlsAuthLevel", &LEVELS);
        let level = match level.is_empty() && object.flag("RequireTLS") {
            true => "EncryptionOnly",
            false => level,
        };
        encryption(
            level,
            &object.text("TlsDomain"),
            &shown,
            &mut connector,
            proposing,
        );
    }
    login(object, &shown, &mut connector, proposing);
    let sources = object.text("SourceIPAddress");
    if !matches!(sources.as_str(), "" | "0.0.0.0" | "::") {
        let message = "its source address is the old server's, and is not taken over";
        proposing.unsupported(&shown, message);
    }
    if object.octets("MaxMessageSize").is_some() {
        let message = "its largest size is not taken over: sizes are limited where mail comes in";
        proposing.unsupported(&shown, message);
    }
    if object.flag("IsScopedConnector") {
        let message = "it was for one site only (IsScopedConnector), and sites have no counterpart";
        proposing.unsupported(&shown, message);
    }
    proposing.outbound(connector);
}

/// `SMTP:*;1`, `smtp:*.contoso.com;10`, `contoso.com`; none: nothing can be routed by it.
fn scopes(shown: &str, spaces: &[String], proposing: &mut Proposing<'_>) -> Option<Vec<String>> {
    let mut domains = Vec::new();
    let mut costs = Vec::new();
    for space in spaces {
        let (space, cost) = match space.split_once(';') {
            Some((space, cost)) => (space, cost),
            None => (space.as_str(), "1"),
        };
        let domain = match space.split_once(':') {
            Some((kind, domain)) if kind.eq_ignore_ascii_case("smtp") => domain,
            Some(_) => {
                let space = quoted(space);
                proposing.unsupported(
                    shown,
                    format!("{space} is no address space of SMTP, and is left out"),
                );
                continue;
            }
            None => space,
        };
        let domain = domain.trim().to_ascii_lowercase();
        match Scope::parse(&domain) {
            Ok(Scope::Any) => domains.push("*".to_owned()),
            Ok(Scope::Exact(name)) => domains.push(name.to_string()),
            Ok(Scope::Below(name)) => {
                domains.extend([name.to_string(), format!("*.{name}")]);
            }
            Ok(Scope::Own | Scope::Literal(_)) | Err(_) => {
                let domain = quoted(&domain);
                let message =
                    format!("{domain} is no domain that mail is routed by, and is left out");
                proposing.unsupported(shown, message);
                continue;
            }
        }
        costs.push(cost.trim().to_owned());
    }
    if costs.iter().any(|cost| cost != "1" && !cost.is_empty()) {
        let message = "it had a cost; here the most precise domain decides, and of equal ones the \
                       first connector";
        proposing.changed(shown, message);
    }
    let mut seen = std::collections::HashSet::new();
    domains.retain(|one| seen.insert(one.clone()));
    // A scope has at most a thousand entries.
    domains.truncate(1_000);
    if domains.is_empty() {
        let message = "no domain of it can be taken over, so it would route nothing";
        proposing.unsupported(shown, message);
        return None;
    }
    Some(domains)
}

/// False: it had smart hosts, and none can be taken over.
fn smart_hosts(
    object: &Object,
    shown: &str,
    port: Option<u16>,
    connector: &mut OutboundConnector,
    proposing: &mut Proposing<'_>,
) -> bool {
    let given = object.texts("SmartHosts");
    let hosts: Vec<_> = given
        .iter()
        .filter_map(|host| proposing.host(shown, host, port))
        .collect();
    if hosts.is_empty() && !given.is_empty() {
        let message = "none of its smart hosts can be taken over, and by MX its mail would go \
                       elsewhere: left out";
        proposing.unsupported(shown, message);
        return false;
    }
    connector.smart_hosts = proposing.hosts(shown, hosts);
    true
}

fn encryption(
    level: &str,
    domain: &str,
    shown: &str,
    connector: &mut OutboundConnector,
    proposing: &mut Proposing<'_>,
) {
    connector.tls = match level {
        "EncryptionOnly" => OutboundTls::EncryptionOnly,
        "CertificateValidation" => OutboundTls::CertificateValidation,
        "DomainValidation" if CertificateName::parse(domain).is_some() => {
            connector.tls_domain = domain.to_owned();
            OutboundTls::DomainValidation
        }
        "DomainValidation" => {
            let message = "the name in the next hop's certificate is not exported (TlsDomain): \
                           here the certificate is validated without it until you set tls_domain";
            proposing.changed(shown, message);
            OutboundTls::CertificateValidation
        }
        _ => OutboundTls::Opportunistic,
    };
}

fn login(
    object: &Object,
    shown: &str,
    connector: &mut OutboundConnector,
    proposing: &mut Proposing<'_>,
) {
    let login = object.choice("SmartHostAuthMechanism", &LOGINS);
    match login {
        "BasicAuth" | "BasicAuthRequireTLS" => {}
        "ExchangeServer" | "ExternalAuthoritative" => {
            let message = "it logged in as one Exchange server at another, which has no \
                           counterpart";
            return proposing.unsupported(shown, message);
        }
        _ => return,
    }
    // A shell that cannot go deeper writes the name of the type.
    let user = object.text("AuthenticationCredential");
    let user = match user.starts_with("System.") {
        true => String::new(),
        false => user,
    };
    if login == "BasicAuth" && !object.flag("RequireTLS") {
        let message = "its password was sent without encryption where the next hop offered none \
                       (BasicAuth)";
        proposing.dangerous(shown, message);
    }
    if user.is_empty() || connector.smart_hosts.is_empty() {
        let message = "it logged in, and its user is not exported: set user and password before \
                       you enable it";
        return proposing.unsupported(shown, message);
    }
    connector.auth = OutboundAuth {
        method: AuthMethod::Password,
        user,
        ..OutboundAuth::default()
    };
    proposing.unsupported(
        shown,
        "passwords are never taken over: set it before you enable the connector",
    );
}

fn inbound(object: &Object, proposing: &mut Proposing<'_>) {
    let name = name_of(object);
    let shown = format!("inbound connector {name} of Exchange Online");
    if object.choice("ConnectorType", &CONNECTOR_TYPES) == "Partner" {
        let message = "it is for mail of partners to you, and here partners need no connector";
        return proposing.unsupported(&shown, message);
    }
    let ranges = object.texts("SenderIPAddresses");
    let networks = proposing.networks(&shown, ranges.iter().map(String::as_str));
    let certificate = certificate_name(&object.text("TlsSenderCertificateName"));
    let mut connector = InboundConnector::new(name);
    if let Some(name) = &certificate {
        connector.tls_sender_certificate_name.clone_from(name);
    }
    if networks.is_empty() && certificate.is_none() {
        let message = "neither an address nor a certificate of it can be taken over, so it would \
                       recognise nobody";
        return proposing.unsupported(&shown, message);
    }
    connector.sender_ip_addresses = networks;
    let senders = object.texts("SenderDomains");
    if !senders.is_empty() {
        let Some(domains) = scopes(&shown, &senders, proposing) else {
            return;
        };
        connector.sender_domains = domains;
    }
    if object.flag("RequireTls") {
        connector.tls = InboundTls::Required;
    }
    if object.flag("CloudServicesMailEnabled") {
        let message = "headers of a hybrid organisation are passed on as they are, and mean \
                       nothing here (CloudServicesMailEnabled)";
        proposing.changed(&shown, message);
    }
    if object.has("Enabled") && !object.flag("Enabled") {
        proposing.changed(&shown, "it was switched off on the old side");
    }
    proposing.inbound(connector);
}

/// Of `<I>CN=Issuer<S>CN=mail.contoso.com`, or the name itself.
fn certificate_name(text: &str) -> Option<String> {
    let subject = text.rsplit("<S>").next().unwrap_or_default();
    let upper = subject.to_ascii_uppercase();
    let name = match upper.find("CN=") {
        Some(at) => subject.get(at + 3..)?.split(',').next()?.trim(),
        None => subject.trim(),
    };
    let is_name = name.contains('.') && CertificateName::parse(name).is_some();
    is_name.then(|| name.to_owned())
}

fn outbound(object: &Object, proposing: &mut Proposing<'_>) {
    let name = name_of(object);
    let shown = format!("outbound connector {name} of Exchange Online");
    if object.flag("IsTransportRuleScoped") {
        let message = "a transport rule chose its mail, and rules are not taken over";
        return proposing.unsupported(&shown, message);
    }
    let recipients = object.texts("RecipientDomains");
    let everything = object.flag("RouteAllMessagesViaOnPremises");
    let recipients = match recipients.is_empty() && everything {
        true => vec!["*".to_owned()],
        false => recipients,
    };
    let Some(domains) = scopes(&shown, &recipients, proposing) else {
        return;
    };
    let mut connector = OutboundConnector::new(name);
    connector.recipient_domains = domains;
    if !object.flag("UseMXRecord") && !smart_hosts(object, &shown, None, &mut connector, proposing)
    {
        return;
    }
    let level = object.choice("TlsSettings", &LEVELS);
    encryption(
        level,
        &object.text("TlsDomain"),
        &shown,
        &mut connector,
        proposing,
    );
    if object.has("Enabled") && !object.flag("Enabled") {
        proposing.changed(&shown, "it was switched off on the old side");
    }
    proposing.outbound(connector);
}
