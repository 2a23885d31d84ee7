//! The SMTP service of IIS: `MetaBase.xml`, and beside it, in `==> relay.txt <==`, lines of
//! `address, mask` where the list of relaying computers has a form that is not read.
//!
//! `RelayIpList` is a list of octets without a public description. The form that its own console
//! writes for single computers is read; any other is said to be unknown, never guessed.

use super::MigrationError;
use super::proposing::{Proposing, quoted};
use super::text::files;
use super::xml::{Element, elements};
use crate::document::{
    AuthMethod, DomainKind, InboundConnector, Limits, OutboundAuth, OutboundConnector,
};
use crate::settings::Scope;

/// Where the list has what: the offset of granted addresses, and the form of these.
const GRANTED_AT: usize = 32;
const DATA_AT: usize = 76;
/// The mask of a single computer.
const SINGLE: [u8; 4] = [255; 4];

pub(super) fn read(text: &str, proposing: &mut Proposing<'_>) -> Result<(), MigrationError> {
    let (main, files) = files(text);
    let all = elements(main)?;
    let service = all.iter().find(|one| one.name == "IIsSmtpService");
    let servers: Vec<_> = all
        .iter()
        .filter(|one| one.name == "IIsSmtpServer")
        .collect();
    if servers.is_empty() {
        let message = "there is no SMTP server in it; give the file MetaBase.xml of the machine \
                       that has one";
        return Err(MigrationError::new(message));
    }
    let is_one = servers.len() == 1;
    for server in servers {
        let server = Server {
            own: server,
            service,
        };
        let beside = files.get("relay.txt").filter(|_| is_one);
        relaying(&server, beside.copied(), proposing);
        smart_host(&server, proposing);
        folders(&server, proposing);
    }
    for domain in all.iter().filter(|one| one.name == "IIsSmtpDomain") {
        routed(domain, proposing);
    }
    Ok(())
}

/// A virtual server: what it does not say, the service says for all.
struct Server<'e> {
    own: &'e Element,
    service: Option<&'e Element>,
}

impl Server<'_> {
    fn get(&self, key: &str) -> &str {
        match (self.own.get(key), self.service) {
            ("", Some(service)) => service.get(key),
            (own, _) => own,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).parse().ok()
    }

    /// `SMTP server 1`.
    fn shown(&self) -> String {
        let number = self
            .own
            .get("Location")
            .rsplit('/')
            .next()
            .unwrap_or_default();
        Proposing::name(&format!("IIS SMTP server {number}"))
    }
}

/// Who may send.
fn relaying(server: &Server<'_>, beside: Option<&str>, proposing: &mut Proposing<'_>) {
    let shown = server.shown();
    if server.get("AuthFlags").contains("AuthBasic")
        && !server.get("AccessSSLFlags").contains("SSL")
    {
        let message = "passwords were taken without encryption (basic authentication)";
        proposing.dangerous(&shown, message);
    }
    if !matches!(server.get("RelayForAuth"), "" | "0" | "FALSE") {
        let message = "whoever logged in could relay; here make a credential for each device";
        proposing.changed(&shown, message);
    }
    let listed = match beside {
        Some(text) => Listed::Only(masked(text)),
        None => listed(server.get("RelayIpList")),
    };
    let ranges = match listed {
        Listed::Only(ranges) => ranges,
        Listed::None => {
            let message = "no computer is listed that could relay, so no connector is added";
            return proposing.unsupported(&shown, message);
        }
        Listed::Unknown => {
            let message = "its list of computers has a form that is not read: give it as lines of \
                           address, mask behind ==> relay.txt <==";
            return proposing.unsupported(&shown, message);
        }
    };
    let networks = proposing.networks(&shown, ranges.iter().map(String::as_str));
    if networks.is_empty() {
        let message = "none of its addresses can be taken over, so it would recognise nobody: add \
                       connectors for the devices that used it";
        return proposing.unsupported(&shown, message);
    }
    let mut connector = InboundConnector::new(shown.clone());
    connector.sender_ip_addresses = networks;
    connector.limits = Limits {
        message_size_max: proposing.size(&shown, server.number("MaxMessageSize")),
        recipients_per_message: proposing.recipients(&shown, server.number("MaxRecipients")),
        ..Limits::default()
    };
    let message = "any sender could be named from these networks; here senders are of verified \
                   domains only";
    proposing.changed(&shown, message);
    proposing.inbound(connector);
}

/// What the list of relaying computers says.
#[derive(Debug, Eq, PartialEq)]
enum Listed {
    /// These, and nobody else.
    Only(Vec<String>),
    /// Nobody.
    None,
    /// It cannot be read.
    Unknown,
}

/// Octets as hexadecimal digits. Four numbers of four octets say where each part of the list is:
/// refused addresses, granted ones, refused names, granted names.
fn listed(text: &str) -> Listed {
    if text.is_empty() {
        return Listed::None;
    }
    let Some(octets) = hexadecimal(text) else {
        return Listed::Unknown;
    };
    let number = |at: usize| {
        let four = octets.get(at..at + 4)?;
        Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
    };
    let is_at = |at: usize, place: usize| {
        number(at).map(|it| it & 0x7fff_ffff) == u32::try_from(place).ok()
    };
    let (groups, family) = (number(GRANTED_AT), number(GRANTED_AT + 8));
    let length = number(GRANTED_AT + 16);
    // One group, of IPv4, whose first entry is the mask.
    let is_known = is_at(4, GRANTED_AT)
        && (groups, family, length) == (Some(1), Some(2), Some(4))
        && is_at(GRANTED_AT + 24, DATA_AT)
        && octets.get(DATA_AT..DATA_AT + 4) == Some(&SINGLE);
    let count = number(GRANTED_AT + 12).and_then(|count| count.checked_sub(1));
    let addresses = octets
        .get(DATA_AT + 4..)
        .unwrap_or_default()
        .chunks_exact(4);
    let is_whole = addresses.remainder().is_empty();
    if !is_known || !is_whole || u32::try_from(addresses.len()).ok() != count {
        return Listed::Unknown;
    }
    let texts = addresses.map(|four| format!("{}.{}.{}.{}", four[0], four[1], four[2], four[3]));
    Listed::Only(texts.collect())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|one| !one.is_whitespace())
        .map(|one| one.to_digit(16))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    let is_even = pairs.remainder().is_empty();
    let octets = pairs.map(|pair| u8::try_from(pair[0] << 4 | pair[1]));
    octets.collect::<Result<_, _>>().ok().filter(|_| is_even)
}

/// Lines of `address, mask`, as scripts show the list.
fn masked(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let ranges = lines.map(|line| match line.split_once(',') {
        Some((address, mask)) => format!("{}/{}", address.trim(), mask.trim()),
        None => line.to_owned(),
    });
    ranges.collect()
}

fn smart_host(server: &Server<'_>, proposing: &mut Proposing<'_>) {
    let shown = server.shown();
    let text = server.get("SmartHost");
    if text.is_empty() {
        return;
    }
    let port = server.number("RemoteSmtpPort");
    let port = port.and_then(|port| u16::try_from(port).ok());
    let hosts: Vec<_> = text
        .split([',', ';'])
        .filter(|host| !host.trim().is_empty())
        .filter_map(|host| proposing.host(&shown, host, port))
        .collect();
    if hosts.is_empty() {
        return;
    }
    if matches!(server.get("SmartHostType"), "1") {
        let message = "it tried direct delivery before its smart host; here the smart host is used \
                       at once";
        proposing.changed(&shown, message);
    }
    let mut connector = OutboundConnector::new(shown.clone());
    connector.smart_hosts = proposing.hosts(&shown, hosts);
    let user = server.get("RouteUserName");
    if !user.is_empty() {
        connector.auth = OutboundAuth {
            method: AuthMethod::Password,
            user: user.to_owned(),
            ..OutboundAuth::default()
        };
        proposing.unsupported(
            &shown,
            "passwords are never taken over: set it before you enable the connector",
        );
    }
    proposing.outbound(connector);
}

/// What is only of the old machine.
fn folders(server: &Server<'_>, proposing: &mut Proposing<'_>) {
    let shown = server.shown();
    let pickup = server.get("PickupDirectory");
    if !pickup.is_empty() {
        let pickup = quoted(pickup);
        let message = format!(
            "programs that put files into {pickup} have no counterpart: let them send by SMTP, by \
             relais sendmail, or over the API"
        );
        proposing.unsupported(&shown, message);
    }
    let bindings = server.get("ServerBindings");
    if !matches!(bindings, "" | ":25:") {
        let bindings = quoted(bindings);
        proposing.changed(
            &shown,
            format!("it listened at {bindings}; here listeners stand in relais.toml"),
        );
    }
    for key in ["MasqueradeDomain", "IPSecurity"] {
        if !server.get(key).is_empty() {
            proposing.unsupported(&format!("{shown}, {key}"), "it has no counterpart here");
        }
    }
}

/// `Location="/LM/SmtpSvc/1/Domain/contoso.com"`.
fn routed(domain: &Element, proposing: &mut Proposing<'_>) {
    let location = domain.get("Location");
    let name = location.rsplit('/').next().unwrap_or_default();
    let shown = format!("domain {} of IIS", quoted(name));
    let to = domain.get("RouteActionString");
    let is_folder = to.contains('\\') || to.is_empty();
    let is_alias = domain.get("RouteAction").contains("ALIAS") || domain.get("RouteAction") == "16";
    if is_folder || is_alias {
        let message = "its mail went into a folder of the old machine; here name a mailbox_host \
                       for it";
        proposing.changed(&shown, message);
        proposing.domain(name, DomainKind::Authoritative);
        return;
    }
    let scope = Scope::parse(name);
    if scope.is_err() || name.starts_with('[') || name.eq_ignore_ascii_case("own") {
        return proposing.unsupported(&shown, "this is no domain name, and is left out");
    }
    let Some(host) = proposing.host(&shown, to, None) else {
        return;
    };
    let mut connector = OutboundConnector::new(format!("IIS {name}"));
    connector.recipient_domains = vec![name.to_ascii_lowercase()];
    connector.smart_hosts = vec![host.to_string()];
    proposing.outbound(connector);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list that the console makes of single computers.
    fn list(addresses: &[[u8; 4]]) -> String {
        let count = u32::try_from(addresses.len()).unwrap();
        let mut numbers = vec![0x8000_0018, 0x8000_0020, 0x8000_003c, 0x8000_0044, 1, 76];
        numbers.extend([0, 0, 1, count, 2, count + 1, 4, 0, 0x8000_004c, 0, 0, 0, 0]);
        let mut octets: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        octets.extend(SINGLE);
        octets.extend(addresses.iter().flatten());
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    #[test]
    fn the_list_of_single_computers_is_read_and_any_other_is_not_guessed() {
        let two = list(&[[10, 1, 2, 9], [10, 1, 2, 10]]);
        let read = Listed::Only(vec!["10.1.2.9".to_owned(), "10.1.2.10".to_owned()]);
        assert_eq!(listed(&two), read);
        assert_eq!(listed(&two.to_uppercase()), read);
        assert_eq!(listed(""), Listed::None);
        let longer = format!("{two}00");
        for broken in [
            "zz",
            "18",
            &two[..two.len() - 8],
            &two[..120],
            longer.as_str(),
        ] {
            assert_eq!(listed(broken), Listed::Unknown, "{broken}");
        }
        let masked = two.replace("ffffffff", "ffffff00");
        assert_eq!(listed(&masked), Listed::Unknown);
    }
}
