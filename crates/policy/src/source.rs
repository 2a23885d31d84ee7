//! Is this address a good proof of a client? What covers it already, whose it is, and whether it
//! looks as if it will be somebody else's tomorrow: what `relais connector inbound check` says
//! before a person writes an address into a connector.
//!
//! Not here: asking DNS for the reverse name and the blocklists (`relais-net`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use relais_smtp::domain::Domain;

use crate::attribution::{Attribution, Facts, attribute};
use crate::document::ConnectorState;
use crate::range::special_address;
use crate::settings::{Mode, OwnedConnector, Settings};

/// The names that an address leads back to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReverseNames {
    /// These.
    Names(Vec<Domain>),
    /// There is none.
    None,
    /// DNS gave no answer, and why.
    Unknown(String),
}

/// What one blocklist says of an address (RFC 5782).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing {
    /// The list's zone.
    pub list: Domain,
    /// Its answer.
    pub answer: Listed,
}

/// The answer of a blocklist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listed {
    /// It is listed, with the list's codes.
    Yes(Vec<IpAddr>),
    /// It is not.
    No,
    /// The list gave no answer to rely on, and why.
    Unknown(String),
}

impl Listed {
    /// From the addresses that a list answered with: only 127.0.0.0/8 is a listing (RFC 5782
    /// §2.1), and 127.255.255.0/24 is how lists say that they do not answer this resolver.
    pub fn of_codes(codes: Vec<IpAddr>) -> Self {
        let is_loopback = |code: &IpAddr| code.is_loopback() && code.is_ipv4();
        let is_refusal = |code: &IpAddr| match code {
            IpAddr::V4(four) => four.octets()[..3] == [127, 255, 255],
            IpAddr::V6(_) => false,
        };
        if codes.iter().any(is_refusal) {
            return Self::Unknown("the list does not answer our resolver".to_owned());
        }
        if codes.iter().any(is_loopback) {
            return Self::Yes(codes.into_iter().filter(is_loopback).collect());
        }
        Self::Unknown("its answer is none that a list gives".to_owned())
    }
}

/// The name to ask a blocklist for an address (RFC 5782 §2.1, §2.4). `None`: it would be too long.
pub fn blocklist_name(address: IpAddr, list: &Domain) -> Option<Domain> {
    let reversed = match address.to_canonical() {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(six) => {
            let digits = nibbles(six).into_iter().rev().map(String::from);
            digits.collect::<Vec<_>>().join(".")
        }
    };
    Domain::parse(&format!("{reversed}.{list}")).ok()
}

/// How one question about an address turned out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing against it.
    Good,
    /// It is no good proof of a client.
    Bad,
    /// Nobody could say.
    Unknown,
}

/// One question about an address, with its answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SourceCheck {
    /// `range`, `owner`, `dynamic`, `blocklist`.
    pub check: &'static str,
    /// How it turned out.
    pub verdict: Verdict,
    /// In words, with what to do.
    pub detail: String,
}

/// The connector that has the address's clients already.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Covering {
    /// Its name.
    pub name: String,
    /// `enabled`, `observing`, `disabled`, `draft`.
    pub state: ConnectorState,
    /// By what: `ip 10.1.2.9 in 10.1.2.0/24`.
    pub because: String,
    /// What that means: whether anything is left to do.
    pub detail: String,
}

/// Whether DNS can say anything of an address: it is none of a closed or reserved range.
pub fn is_public(address: IpAddr) -> bool {
    special_address(address).is_none()
}

/// All that is to be said of an address for one organisation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SourceReport {
    /// The address.
    pub address: IpAddr,
    /// The organisation that asks.
    pub organisation: String,
    /// No check is bad.
    pub ok: bool,
    /// The organisation's connector that has it.
    pub connector: Option<Covering>,
    /// The questions.
    pub checks: Vec<SourceCheck>,
}

/// Answers for one organisation. What belongs to others is not disclosed beyond that it does.
pub fn check_source(
    settings: &Settings,
    organisation: &str,
    facts: &Facts,
    reverse: &ReverseNames,
    listings: &[Listing],
) -> SourceReport {
    let address = facts.address;
    let mut checks = vec![range(settings.mode, address)];
    checks.extend(owner(settings, organisation, address));
    if is_public(address) {
        checks.push(dynamic(address, reverse));
        checks.extend(listings.iter().map(blocklist));
    }
    SourceReport {
        address,
        organisation: organisation.to_owned(),
        ok: checks.iter().all(|check| check.verdict != Verdict::Bad),
        connector: covering(settings, organisation, facts),
        checks,
    }
}

fn covering(settings: &Settings, organisation: &str, facts: &Facts) -> Option<Covering> {
    let attribution = attribute(settings, facts);
    let found = attribution.connector()?;
    if found.organisation.name != organisation {
        return None;
    }
    let name = &found.connector.name;
    let detail = match (&attribution, found.connector.state) {
        (Attribution::FactorMissing { missing, .. }, _) => format!(
            "Inbound connector {name} covers it; its clients need a {missing} besides the address."
        ),
        (_, ConnectorState::Enabled) => {
            format!("Inbound connector {name} covers it already: nothing more to configure.")
        }
        (_, ConnectorState::Observing) => format!(
            "Inbound connector {name} covers it and observes: it delivers to its test recipients \
             only, until you enable it."
        ),
        (_, ConnectorState::Disabled) => format!(
            "Inbound connector {name} covers it and is disabled, so its clients are refused; \
             enable it."
        ),
        (_, ConnectorState::Draft) => {
            format!("Inbound connector {name} covers it and is a draft; enable it.")
        }
    };
    Some(Covering {
        name: name.clone(),
        state: found.connector.state,
        because: attribution.describe(facts),
        detail,
    })
}

fn range(mode: Mode, address: IpAddr) -> SourceCheck {
    let (verdict, detail) = match (special_address(address), mode) {
        (None, _) => (Verdict::Good, format!("{address} is a public address.")),
        (Some(word), Mode::Lan) => (
            Verdict::Good,
            format!("{address} is {word}: good inside your own network, where it reaches us."),
        ),
        (Some(word), Mode::Hosted) => (
            Verdict::Bad,
            format!(
                "{address} is {word}, so it says nothing of who sends; write the public address, \
                 or use a certificate or credential."
            ),
        ),
    };
    SourceCheck {
        check: "range",
        verdict,
        detail,
    }
}

/// In hosted mode an address belongs to one organisation.
fn owner(settings: &Settings, organisation: &str, address: IpAddr) -> Option<SourceCheck> {
    if settings.mode == Mode::Lan {
        return None;
    }
    let claims = settings
        .connectors_by_address(address)
        .map(|(_, found)| found);
    let others = claims.filter(|found| {
        found.organisation.name != organisation && found.connector.state != ConnectorState::Draft
    });
    let others = others.collect::<Vec<_>>();
    let (verdict, detail) = if others.is_empty() {
        (
            Verdict::Good,
            "No other organisation of this server has it.",
        )
    } else if others.iter().all(OwnedConnector::demands_second_factor) {
        let detail = "It is shared with others of this server, so your connector must demand a \
                      certificate or credential besides (identified_by = \"all\").";
        (Verdict::Good, detail)
    } else {
        let detail = "Another organisation of this server has it; it can be shared only where both \
                      demand a certificate or credential besides (identified_by = \"all\").";
        (Verdict::Bad, detail)
    };
    Some(SourceCheck {
        check: "owner",
        verdict,
        detail: detail.to_owned(),
    })
}

fn dynamic(address: IpAddr, reverse: &ReverseNames) -> SourceCheck {
    let (verdict, detail) = match reverse {
        ReverseNames::None => (
            Verdict::Good,
            format!("{address} has no reverse name, so nothing says that it is dynamic."),
        ),
        ReverseNames::Unknown(because) => (
            Verdict::Unknown,
            format!("Its reverse name is not known: {because}."),
        ),
        ReverseNames::Names(names) => {
            let mut signs = names.iter().filter_map(|name| {
                let sign = sign_of_dynamic(address, name)?;
                Some(format!(
                    "{name} looks dynamic ({sign}): tomorrow the address may be somebody else's. \
                     Ask your provider for a fixed one, or use a credential, a certificate or \
                     sender_dns_names."
                ))
            });
            let names = names
                .iter()
                .map(Domain::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            match signs.next() {
                Some(detail) => (Verdict::Bad, detail),
                None => (
                    Verdict::Good,
                    format!("{names} looks like a fixed address."),
                ),
            }
        }
    };
    SourceCheck {
        check: "dynamic",
        verdict,
        detail,
    }
}

fn blocklist(listing: &Listing) -> SourceCheck {
    let list = &listing.list;
    let (verdict, detail) = match &listing.answer {
        Listed::No => (Verdict::Good, format!("Not listed by {list}.")),
        Listed::Unknown(because) => (Verdict::Unknown, format!("{list}: {because}.")),
        Listed::Yes(codes) => {
            let codes = codes.iter().map(ToString::to_string).collect::<Vec<_>>();
            let detail = format!(
                "Listed by {list} ({}): find out why before mail of it leaves through us.",
                codes.join(", ")
            );
            (Verdict::Bad, detail)
        }
    };
    SourceCheck {
        check: "blocklist",
        verdict,
        detail,
    }
}

/// Words by which providers name addresses that they give out anew.
const DYNAMIC_WORDS: [&str; 24] = [
    "dyn",
    "dynamic",
    "dynip",
    "dhcp",
    "pool",
    "dsl",
    "adsl",
    "vdsl",
    "xdsl",
    "dslb",
    "sdsl",
    "cable",
    "catv",
    "ppp",
    "pppoe",
    "dial",
    "dialup",
    "dialin",
    "broadband",
    "ftth",
    "mobile",
    "wireless",
    "cgn",
    "cgnat",
];
/// Words by which they name those that stay.
const FIXED_WORDS: [&str; 6] = ["static", "fixed", "fixe", "fest", "business", "mail"];

/// Why a reverse name looks dynamic; `None`: it does not. The words count in every label but the
/// last two, which are the provider's own name; a word for fixed addresses beats the address in
/// the name, not a word for dynamic ones.
pub fn sign_of_dynamic(address: IpAddr, name: &Domain) -> Option<String> {
    let labels = name.as_str().split('.').collect::<Vec<_>>();
    let own = &labels[..labels.len().saturating_sub(2)];
    let words = own
        .iter()
        .flat_map(|label| label.split(|c: char| !c.is_ascii_alphabetic()));
    let words = words.filter(|word| !word.is_empty()).collect::<Vec<_>>();
    if let Some(word) = words.iter().find(|word| DYNAMIC_WORDS.contains(*word)) {
        return Some(format!("\"{word}\" in its name"));
    }
    let is_fixed = words.iter().any(|word| FIXED_WORDS.contains(word));
    let has_address = match address.to_canonical() {
        IpAddr::V4(four) => names_four(four, &own.join(".")),
        IpAddr::V6(six) => names_six(six, &own.join(".")),
    };
    (has_address && !is_fixed).then(|| "the address in its name".to_owned())
}

/// The four numbers side by side in any order, `088074001002`, or eight hexadecimal digits.
fn names_four(address: Ipv4Addr, name: &str) -> bool {
    let octets = address.octets();
    let numbers = name.split(|c: char| !c.is_ascii_digit());
    let numbers = numbers.filter(|digits| !digits.is_empty());
    let numbers = numbers.map(|digits| digits.parse::<u32>().unwrap_or(u32::MAX));
    let numbers = numbers.collect::<Vec<_>>();
    let mut wanted = octets.map(u32::from);
    wanted.sort_unstable();
    let side_by_side = numbers.windows(4).any(|window| {
        let mut found = [window[0], window[1], window[2], window[3]];
        found.sort_unstable();
        found == wanted
    });
    let padded = octets.iter().map(|octet| format!("{octet:03}"));
    let padded = padded.collect::<String>();
    let hexadecimal = octets.iter().map(|octet| format!("{octet:02x}"));
    let hexadecimal = hexadecimal.collect::<String>();
    side_by_side || name.contains(&padded) || name.contains(&hexadecimal)
}

/// The last sixteen digits, however they are parted.
fn names_six(address: Ipv6Addr, name: &str) -> bool {
    let digits = nibbles(address).iter().collect::<String>();
    let together = name
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect::<String>();
    let reversed = digits.chars().rev().collect::<String>();
    together.contains(&digits[16..]) || together.contains(&reversed[..16])
}

fn nibbles(address: Ipv6Addr) -> Vec<char> {
    let digit = |octet: &u8| [octet >> 4, octet & 15];
    let digits = address.octets();
    let digits = digits.iter().flat_map(digit);
    digits
        .map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocklist_is_asked_for_the_address_backwards() {
        let list = Domain::parse("list.test").unwrap();
        let name = |address: &str| blocklist_name(address.parse().unwrap(), &list).unwrap();
        assert_eq!(name("192.0.2.99").as_str(), "99.2.0.192.list.test");
        assert_eq!(name("::ffff:192.0.2.99").as_str(), "99.2.0.192.list.test");
        let six = name("2001:db8::1");
        assert!(
            six.as_str().starts_with("1.0.0.0.0.")
                && six.as_str().ends_with(".8.b.d.0.1.0.0.2.list.test")
        );
    }

    #[test]
    fn only_codes_of_loopback_are_listings() {
        let codes = |texts: &[&str]| {
            Listed::of_codes(texts.iter().map(|text| text.parse().unwrap()).collect())
        };
        assert!(matches!(codes(&["127.0.0.2"]), Listed::Yes(_)));
        assert!(matches!(codes(&["127.0.0.2", "127.0.0.10"]), Listed::Yes(all) if all.len() == 2));
        assert!(matches!(codes(&["127.255.255.254"]), Listed::Unknown(_)));
        assert!(
            matches!(codes(&["192.0.2.1"]), Listed::Unknown(_)),
            "a wildcard for sale"
        );
        assert!(matches!(codes(&[]), Listed::Unknown(_)));
    }
}
