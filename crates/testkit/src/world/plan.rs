//! The small world that a seed stands for: an organisation, its connectors, hosts, destinations,
//! clients. Drawn once, before anything runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use relais_net::clock::Chance;
use relais_net::zone::ZoneRecord;

use super::ledger::{NotifyWish, Wanted};
use super::letter::Form;

/// The organisation's own domain; its mailbox host is host 0.
pub(super) const HOME: &str = "contoso.test";
/// Gets notices for devices of the connector *Printers*.
pub(super) const OWNER: &str = "owner@contoso.test";
/// Gets notices that have no mailbox and no owner.
pub(super) const POSTMASTER: &str = "it@contoso.test";
/// Longest gap between two attempts of the plan's retry schedules, before jitter.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(3_600);
/// People with a mailbox.
const PEOPLE: u64 = 4;
/// Of 100 recipients, so many do not exist where they are sent to.
const UNKNOWN_PERCENT: u64 = 7;
/// Larger than what the store keeps in its rows.
const LARGE_OCTETS: usize = 70 * 1_024;

/// What a host offers in its reply to EHLO.
#[derive(Clone, Debug)]
pub(super) struct Offers {
    /// EHLO is known at all.
    pub(super) extended: bool,
    pub(super) pipelining: bool,
    pub(super) chunking: bool,
    pub(super) eight_bit: bool,
    pub(super) dsn: bool,
    pub(super) smtp_utf8: bool,
    pub(super) size: Option<u64>,
    /// More recipients than this get 452.
    pub(super) recipients_max: usize,
    /// Speaks LMTP: one answer for each recipient. RFC 2033.
    pub(super) lmtp: bool,
}

/// A receiving host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) offers: Offers,
}

/// Where mail can be sent to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) domain: String,
    /// Hosts that may take mail for it; empty: nobody ever.
    pub(super) hosts: Vec<usize>,
    /// What DNS says of the domain itself.
    pub(super) records: Vec<ZoneRecord>,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Manner {
    /// One command, one answer.
    Plain,
    /// HELO, and the old forms of MAIL.
    Old,
    /// As much as possible at once.
    Pipelined,
    /// A few octets at a time.
    Slow,
    /// Hangs up in the middle of content now and then.
    CutOff,
    /// Content with BDAT.
    Chunked,
    /// Begins transactions that it takes back.
    Resetting,
}

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) manner: Manner,
    /// Of the connector *Printers*; else of *Applications*.
    pub(super) is_printer: bool,
    pub(super) messages: u64,
    /// Between messages, at most.
    pub(super) pause: Duration,
    /// Messages in one session.
    pub(super) per_session: u64,
}

/// A message that a client means to send.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) from: Option<String>,
    pub(super) header_from: String,
    pub(super) recipients: Vec<Wanted>,
    pub(super) full_return: bool,
    pub(super) form: Form,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) hosts: Vec<Host>,
    pub(super) destinations: Vec<Destination>,
    pub(super) clients: Vec<Client>,
    /// As `relais apply` takes them.
    pub(super) settings: String,
    /// How long recipients may wait.
    pub(super) lifetime: Duration,
    /// How long things go wrong.
    pub(super) storm: Duration,
}

impl Plan {
    /// Draws.
    pub(super) fn draw(chance: &Chance) -> Self {
        let mut plan = Self {
            hosts: vec![host(chance, 0, "mail.contoso.test".to_owned())],
            destinations: vec![Destination {
                domain: HOME.to_owned(),
                hosts: vec![0],
                records: vec![ZoneRecord::Mx(10, "mail.contoso.test".to_owned())],
            }],
            clients: Vec::new(),
            settings: String::new(),
            lifetime: Duration::from_secs(3_600 * (12 + chance.below(12))),
            storm: Duration::from_secs(3_600 * (2 + chance.below(30))),
        };
        // Everything that a failing notice needs must come back: the home host is tolerant.
        plan.hosts[0].offers.size = None;
        plan.hosts[0].offers.eight_bit = true;
        plan.hosts[0].offers.smtp_utf8 = true;
        plan.hosts[0].offers.lmtp = chance.below(3) == 0;
        let smart = chance.below(2) == 0;
        for number in 1..=2 + chance.below(4) {
            plan.draw_destination(chance, number, smart && number == 1);
        }
        for number in 0..5 + chance.below(16) {
            let client = draw_client(chance, number);
            plan.clients.push(client);
        }
        plan.settings = plan.write_settings(chance, smart);
        plan
    }

    fn draw_destination(&mut self, chance: &Chance, number: u64, smart: bool) {
        let domain = format!("d{number}.example");
        let kind = if smart { 0 } else { chance.below(10) };
        let count = match kind {
            0..=6 => 1 + chance.below(3),
            7 => 1,
            _ => 0,
        };
        let mut records = Vec::new();
        let mut hosts = Vec::new();
        for place in 0..count {
            let name = if kind == 7 {
                domain.clone()
            } else {
                format!("mx{place}.{domain}")
            };
            let host = host(chance, self.hosts.len(), name.clone());
            hosts.push(self.hosts.len());
            self.hosts.push(host);
            let preference = u16::try_from(10 * (1 + chance.below(2))).unwrap_or(10);
            if kind != 7 {
                records.push(ZoneRecord::Mx(preference, name));
            }
        }
        if kind == 8 {
            records.push(ZoneRecord::Mx(0, ".".to_owned()));
        }
        self.destinations.push(Destination {
            domain,
            hosts,
            records,
        });
    }

    fn write_settings(&self, chance: &Chance, smart: bool) -> String {
        let language = if chance.below(2) == 0 { "en" } else { "fr" };
        let first = 1 + chance.below(5);
        let max = 10 + chance.below(51);
        let hours = self.lifetime.as_secs() / 3_600;
        let retry =
            format!("{{ first = \"{first}m\", max = \"{max}m\", lifetime = \"{hours}h\" }}");
        let protocol = if self.hosts[0].offers.lmtp {
            "lmtp:"
        } else {
            ""
        };
        let mut text = format!(
            "[[organisation]]\nname = \"contoso\"\nlanguage = \"{language}\"\n\
             postmaster = \"{POSTMASTER}\"\n[[organisation.domain]]\nname = \"{HOME}\"\n\
             kind = \"internal-relay\"\nverification = \"assumed\"\n\
             mailbox_host = \"{protocol}mail.contoso.test:25\"\n"
        );
        let people = (1..=PEOPLE).map(|number| format!("user{number}@{HOME}"));
        for address in people.chain([OWNER.to_owned(), POSTMASTER.to_owned()]) {
            text.push_str(&format!(
                "[[organisation.recipient]]\naddress = \"{address}\"\n"
            ));
        }
        text.push_str(&format!(
            "[[organisation.inbound_connector]]\nname = \"Printers\"\n\
             sender_ip_addresses = [\"10.1.2.0/24\"]\npreset = \"tolerant\"\nowner = \"{OWNER}\"\n\
             [[organisation.inbound_connector]]\nname = \"Applications\"\n\
             sender_ip_addresses = [\"10.1.3.0/24\"]\npreset = \"strict\"\n"
        ));
        if smart {
            let hosts = self.destinations[1].hosts.iter();
            let hosts: Vec<_> = hosts
                .map(|host| format!("\"{}:25\"", self.hosts[*host].name))
                .collect();
            text.push_str(&format!(
                "[[organisation.outbound_connector]]\nname = \"Partner\"\n\
                 recipient_domains = [\"d1.example\"]\nsmart_hosts = [{}]\ntls = \"opportunistic\"\n\
                 retry = {retry}\n",
                hosts.join(", ")
            ));
        }
        text.push_str(&format!(
            "[[organisation.outbound_connector]]\nname = \"Internet\"\nrecipient_domains = [\"*\"]\n\
             tls = \"opportunistic\"\nretry = {retry}\n"
        ));
        text
    }

    /// What DNS knows while nothing is wrong.
    pub(super) fn zone(&self) -> Vec<(String, Vec<ZoneRecord>)> {
        let mut zone: Vec<_> = self
            .destinations
            .iter()
            .map(|destination| (destination.domain.clone(), destination.records.clone()))
            .collect();
        for host in &self.hosts {
            let addresses = host
                .addresses
                .iter()
                .map(|address| ZoneRecord::Address(*address));
            match zone.iter_mut().find(|(name, _)| *name == host.name) {
                Some((_, records)) => records.extend(addresses),
                None => zone.push((host.name.clone(), addresses.collect())),
            }
        }
        zone
    }

    /// The destination of an address.
    pub(super) fn destination_of(&self, address: &str) -> Option<&Destination> {
        let domain = address.rsplit('@').next()?;
        self.destinations
            .iter()
            .find(|destination| destination.domain == domain)
    }

    /// A message of a client.
    pub(super) fn draft(&self, chance: &Chance, client: &Client, number: u64) -> Draft {
        let address = match chance.below(10) {
            0..=5 => format!("user{}@{HOME}", 1 + chance.below(PEOPLE)),
            _ => format!("device{number}@{HOME}"),
        };
        let from = (chance.below(12) > 0).then(|| address.clone());
        let recipients = (0..1 + chance.below(5).pow(2) / 4).map(|place| {
            let at = chance.below(self.destinations.len() as u64 * 3);
            // Home is only an occasional destination.
            let at = usize::try_from(at / 3).unwrap_or(0);
            let domain = &self.destinations[at].domain;
            let kind = match chance.below(100) {
                0..UNKNOWN_PERCENT => "-unknown",
                10..16 => "-grey",
                20..24 => "-full",
                30..33 if client.manner != Manner::Old => "-zoë",
                _ => "",
            };
            Wanted {
                address: format!("m{number}r{place}{kind}@{domain}"),
                notify: draw_notify(chance, client),
                accepted: None,
            }
        });
        let recipients = recipients.collect();
        let tolerant = client.is_printer;
        let size = match chance.below(40) {
            0 => LARGE_OCTETS + usize::try_from(chance.below(40_000)).unwrap_or(0),
            1 => 0,
            _ => 300 + usize::try_from(chance.below(3_000)).unwrap_or(0),
        };
        let form = Form {
            size,
            eight_bit: chance.below(8) == 0,
            bare: tolerant && chance.below(4) == 0,
            bare_lf: tolerant && chance.below(4) == 0,
        };
        let full_return = chance.below(3) == 0;
        Draft {
            from,
            header_from: address,
            recipients,
            full_return,
            form,
        }
    }
}

/// Clients that say HELO cannot say NOTIFY.
fn draw_notify(chance: &Chance, client: &Client) -> NotifyWish {
    match chance.below(20) {
        _ if client.manner == Manner::Old => NotifyWish::Default,
        0 => NotifyWish::Never,
        1 | 2 => NotifyWish::SuccessAndFailure,
        3 => NotifyWish::DelayOnly,
        _ => NotifyWish::Default,
    }
}

fn draw_client(chance: &Chance, number: u64) -> Client {
    let is_printer = chance.below(2) == 0;
    let manner = match chance.below(10) {
        0 | 1 => Manner::Plain,
        2 if is_printer => Manner::Old,
        2 | 3 => Manner::Pipelined,
        4 => Manner::Slow,
        5 | 6 => Manner::CutOff,
        7 => Manner::Resetting,
        _ => Manner::Chunked,
    };
    let last = u8::try_from(10 + number).unwrap_or(10);
    let address = IpAddr::V4(Ipv4Addr::new(10, 1, if is_printer { 2 } else { 3 }, last));
    Client {
        address,
        manner,
        is_printer,
        messages: 2 + chance.below(14),
        pause: Duration::from_secs(1 + chance.below(1_800)),
        per_session: 1 + chance.below(6),
    }
}

fn host(chance: &Chance, number: usize, name: String) -> Host {
    let last = u8::try_from(10 + number).unwrap_or(10);
    let four = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let six = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)));
    let addresses = match chance.below(5) {
        0 => vec![six],
        1 => vec![four, six],
        _ => vec![four],
    };
    let offers = Offers {
        extended: chance.below(12) > 0,
        pipelining: chance.below(4) > 0,
        chunking: chance.below(3) == 0,
        eight_bit: chance.below(10) > 0,
        dsn: chance.below(3) == 0,
        smtp_utf8: chance.below(3) > 0,
        size: (chance.below(3) == 0).then(|| {
            if chance.below(3) == 0 {
                60_000
            } else {
                10_000_000
            }
        }),
        recipients_max: if chance.below(6) == 0 { 2 } else { 100 },
        lmtp: false,
    };
    Host {
        name,
        addresses,
        offers,
    }
}
