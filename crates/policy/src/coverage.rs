//! What the networks of an inbound connector mean, before they are saved: how many addresses that
//! is, of which kind, what covers them already, and who wins where connectors overlap.
//!
//! Not here: single addresses with DNS and blocklists ([`crate::source`]), refusing what may not be
//! (the check of the settings).

use ipnet::IpNet;

use crate::desk::Words;
use crate::document::ConnectorState;
use crate::range::special_network;
use crate::settings::{Mode, Settings};

/// Shorter prefixes are worth a question: 1,024 IPv4 addresses.
const PREFIX_V4: u8 = 22;
/// The same for public networks: what providers route is no smaller.
const PREFIX_V4_PUBLIC: u8 = 24;
/// The same for IPv6: one site's network.
const PREFIX_V6: u8 = 64;
/// Findings told at most: a page is read by a person.
const FINDINGS_MAX: usize = 40;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// As it should be.
    Good,
    /// To be thought about.
    Note,
    /// It cannot be saved so, or does not do what is meant.
    Bad,
}

/// One thing to know about the networks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// `range`, `size`, `reserve`, `covered`, `wins`, `loses`, `taken`.
    pub check: &'static str,
    /// How much it weighs.
    pub weight: Weight,
    /// In a sentence.
    pub words: Words,
}

impl Finding {
    fn new(check: &'static str, weight: Weight, english: String, french: String) -> Self {
        let words = Words::new(english, french);
        Self {
            check,
            weight,
            words,
        }
    }
}

/// The connector that the networks are for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its organisation.
    pub organisation: &'a str,
    /// Its name: its own networks do not count against it.
    pub name: &'a str,
    /// The networks.
    pub networks: &'a [IpNet],
}

/// All that is to be said, in the order of the networks.
pub fn look(settings: &Settings, wanted: &Wanted<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for network in wanted.networks {
        found.push(range(settings.mode, network));
        found.extend(size(network));
        found.extend(reserved(settings.mode, network));
        found.extend(overlaps(settings, wanted, network));
    }
    found.truncate(FINDINGS_MAX);
    found
}

/// Whether a person should say why: on a machine of one's own network, a public address can be
/// anybody's tomorrow.
pub fn needs_reason(mode: Mode, networks: &[IpNet]) -> bool {
    mode == Mode::Lan && networks.iter().any(|it| special_network(it).is_none())
}

fn range(mode: Mode, network: &IpNet) -> Finding {
    let Some(word) = special_network(network) else {
        let weight = match mode {
            Mode::Lan => Weight::Note,
            Mode::Hosted => Weight::Good,
        };
        return Finding::new(
            "range",
            weight,
            format!("{network} is public: make sure that it is yours, and stays yours."),
            format!(
                "{network} est public\u{202f}: assurez-vous qu’il est à vous, et qu’il le restera."
            ),
        );
    };
    let french = in_french(word);
    match (mode, word) {
        (Mode::Hosted, _) => Finding::new(
            "range",
            Weight::Bad,
            format!(
                "{network} is {word}: it says nothing of who sends. Give the public address, or \
                 use a certificate or a credential."
            ),
            format!(
                "{network} est {french}\u{202f}: il ne dit rien de l’expéditeur. Donnez l’adresse \
                 publique, ou utilisez un certificat ou des identifiants."
            ),
        ),
        (Mode::Lan, "private" | "loopback" | "link-local") => Finding::new(
            "range",
            Weight::Good,
            format!("{network} is {word}: good inside your own network."),
            format!("{network} est {french}\u{202f}: bien dans votre propre réseau."),
        ),
        (Mode::Lan, _) => Finding::new(
            "range",
            Weight::Note,
            format!("{network} is {word}: no device has such an address for long."),
            format!("{network} est {french}\u{202f}: aucun appareil ne garde une telle adresse."),
        ),
    }
}

fn in_french(word: &str) -> &str {
    match word {
        "private" => "privé",
        "loopback" => "de bouclage",
        "link-local" => "local au lien",
        "documentation" => "réservé à la documentation",
        "shared by carriers (CGNAT)" => "partagé par les opérateurs (CGNAT)",
        "multicast" => "de multidiffusion",
        "reserved" => "réservé",
        "unspecified" => "indéfini",
        other => other,
    }
}

fn size(network: &IpNet) -> Option<Finding> {
    let (largest, bits) = match network {
        IpNet::V4(_) if special_network(network).is_none() => (PREFIX_V4_PUBLIC, 32),
        IpNet::V4(_) => (PREFIX_V4, 32),
        IpNet::V6(_) => (PREFIX_V6, 128),
    };
    let prefix = network.prefix_len();
    if prefix >= largest {
        return None;
    }
    let power = bits - prefix;
    let count = match 1_u64.checked_shl(power.into()) {
        Some(count) if power < 32 => count.to_string(),
        _ => format!("2^{power}"),
    };
    Some(Finding::new(
        "size",
        Weight::Note,
        format!("{network} has {count} addresses: each of them may send."),
        format!("{network} a {count} adresses : chacune pourra envoyer."),
    ))
}

/// One device's address: most offices give them out by DHCP.
fn reserved(mode: Mode, network: &IpNet) -> Option<Finding> {
    let is_single = network.prefix_len() == network.max_prefix_len();
    let is_private = special_network(network) == Some("private");
    (mode == Mode::Lan && is_single && is_private).then(|| {
        let address = network.addr();
        Finding::new(
            "reserve",
            Weight::Note,
            format!(
                "If {address} comes from DHCP, reserve it for this device, or use a credential: \
                 tomorrow it may be another device's."
            ),
            format!(
                "Si {address} vient du DHCP, réservez-la pour cet appareil, ou utilisez des \
                 identifiants\u{202f}: demain, elle peut être à un autre."
            ),
        )
    })
}

fn overlaps(settings: &Settings, wanted: &Wanted<'_>, network: &IpNet) -> Vec<Finding> {
    let mut found = Vec::new();
    for owner in &settings.document.organisation {
        let is_own = owner.name == wanted.organisation;
        for connector in &owner.inbound_connector {
            if connector.state == ConnectorState::Draft || (is_own && connector.name == wanted.name)
            {
                continue;
            }
            for theirs in &connector.sender_ip_addresses {
                if !is_own && settings.mode == Mode::Hosted {
                    found.extend(foreign(network, theirs));
                    continue;
                }
                let names = (connector.name.as_str(), connector.state);
                found.extend(overlap(network, theirs, names));
            }
        }
    }
    found
}

/// Whose it is, is nobody else's business.
fn foreign(network: &IpNet, theirs: &IpNet) -> Option<Finding> {
    let meets = network.contains(theirs) || theirs.contains(network);
    meets.then(|| {
        Finding::new(
            "taken",
            Weight::Bad,
            format!(
                "{network} belongs to another organisation of this server; it can be shared only \
                 where both demand a certificate or a credential besides."
            ),
            format!(
                "{network} appartient à une autre organisation de ce serveur\u{202f}; il ne se partage \
                 que si les deux exigent en plus un certificat ou des identifiants."
            ),
        )
    })
}

fn overlap(
    network: &IpNet,
    theirs: &IpNet,
    (name, state): (&str, ConnectorState),
) -> Option<Finding> {
    if network == theirs {
        return Some(Finding::new(
            "covered",
            Weight::Bad,
            format!(
                "{name} has {network} already: its devices need no further connector. Change \
                 {name} instead."
            ),
            format!(
                "{name} a déjà {network}\u{202f}: ses appareils n’ont besoin d’aucun autre connecteur. \
                 Modifiez plutôt {name}."
            ),
        ));
    }
    if theirs.contains(network) {
        let (also, aussi) = match state {
            ConnectorState::Enabled => (
                " If its rules fit, nothing more is to be set up.",
                " Si ses règles conviennent, il n’y a rien d’autre à configurer.",
            ),
            ConnectorState::Observing | ConnectorState::Disabled | ConnectorState::Draft => {
                ("", "")
            }
        };
        return Some(Finding::new(
            "wins",
            Weight::Note,
            format!(
                "{name} covers {network} by {theirs}. This one will win there, because it is \
                 narrower.{also}"
            ),
            format!(
                "{name} couvre {network} par {theirs}. Celui-ci l’emportera, car il est plus \
                 précis.{aussi}"
            ),
        ));
    }
    network.contains(theirs).then(|| {
        Finding::new(
            "loses",
            Weight::Note,
            format!("{theirs} stays with {name}, which is narrower than {network}."),
            format!("{theirs} reste à {name}, plus précis que {network}."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;

    const LAN: &str = r#"
[[organisation]]
name = "contoso"
[[organisation.inbound_connector]]
name = "Everything"
sender_ip_addresses = ["10.0.0.0/8"]
[[organisation.inbound_connector]]
name = "Copiers"
sender_ip_addresses = ["10.1.2.0/24"]
[[organisation.inbound_connector]]
name = "Some day"
state = "draft"
sender_ip_addresses = ["10.1.3.0/24"]
"#;
    const HOSTED: &str = r#"
[[organisation]]
name = "contoso"
[[organisation]]
name = "fabrikam"
[[organisation.inbound_connector]]
name = "Theirs"
sender_ip_addresses = ["9.8.7.6"]
"#;

    fn settings(mode: Mode) -> Settings {
        let text = match mode {
            Mode::Lan => LAN,
            Mode::Hosted => HOSTED,
        };
        Settings::build_stored(mode, 1, Document::from_toml(text).unwrap()).unwrap()
    }

    fn found(mode: Mode, name: &str, networks: &[&str]) -> Vec<(&'static str, Weight)> {
        let networks: Vec<IpNet> = networks.iter().map(|it| it.parse().unwrap()).collect();
        let wanted = Wanted {
            organisation: "contoso",
            name,
            networks: &networks,
        };
        let all = look(&settings(mode), &wanted).into_iter();
        all.map(|one| (one.check, one.weight)).collect()
    }

    #[test]
    fn a_narrower_network_wins_and_what_is_covered_already_is_said() {
        let lan = |networks: &[&str]| found(Mode::Lan, "New", networks);
        assert_eq!(
            lan(&["10.1.9.9/32"]),
            [
                ("range", Weight::Good),
                ("reserve", Weight::Note),
                ("wins", Weight::Note)
            ]
        );
        assert_eq!(
            lan(&["10.1.2.0/24"]),
            [
                ("range", Weight::Good),
                ("wins", Weight::Note),
                ("covered", Weight::Bad)
            ]
        );
        assert_eq!(
            lan(&["10.1.0.0/16"]),
            [
                ("range", Weight::Good),
                ("size", Weight::Note),
                ("wins", Weight::Note),
                ("loses", Weight::Note)
            ]
        );
        assert_eq!(lan(&["192.168.1.0/24"]), [("range", Weight::Good)]);
    }

    #[test]
    fn its_own_networks_and_drafts_do_not_count_against_it() {
        let own = found(Mode::Lan, "Copiers", &["10.1.2.0/24"]);
        assert_eq!(own, [("range", Weight::Good), ("wins", Weight::Note)]);
        let draft = found(Mode::Lan, "New", &["10.1.3.0/24"]);
        assert_eq!(draft, [("range", Weight::Good), ("wins", Weight::Note)]);
    }

    #[test]
    fn ranges_are_judged_by_where_the_server_stands() {
        for (network, lan, hosted) in [
            ("172.16.1.1/32", Weight::Good, Weight::Bad),
            ("100.64.1.1/32", Weight::Note, Weight::Bad),
            ("192.0.2.1/32", Weight::Note, Weight::Bad),
            ("9.9.9.9/32", Weight::Note, Weight::Good),
        ] {
            let first = |mode| found(mode, "New", &[network])[0];
            assert_eq!(first(Mode::Lan), ("range", lan), "{network}");
            assert_eq!(first(Mode::Hosted), ("range", hosted), "{network}");
        }
        let networks = |text: &str| [text.parse().unwrap()];
        assert!(needs_reason(Mode::Lan, &networks("9.9.9.9/32")));
        assert!(!needs_reason(Mode::Lan, &networks("10.1.2.3/32")));
        assert!(!needs_reason(Mode::Hosted, &networks("9.9.9.9/32")));
    }

    #[test]
    fn the_number_of_addresses_is_told_from_a_bound_on() {
        let words = |text: &str| size(&text.parse().unwrap()).map(|it| it.words.english);
        assert_eq!(words("10.1.0.0/22"), None);
        assert!(words("10.1.0.0/20").unwrap().contains("4096 addresses"));
        assert_eq!(words("9.9.9.0/24"), None);
        assert!(words("9.9.8.0/23").unwrap().contains("512 addresses"));
        assert!(words("fd00::/32").unwrap().contains("2^96 addresses"));
        assert_eq!(words("fd00::/64"), None);
    }

    #[test]
    fn an_address_of_another_organisation_is_said_without_its_name() {
        let networks = ["9.8.7.0/24".parse().unwrap()];
        let wanted = Wanted {
            organisation: "contoso",
            name: "New",
            networks: &networks,
        };
        let all = look(&settings(Mode::Hosted), &wanted);
        let taken = all.iter().find(|one| one.check == "taken").unwrap();
        assert!(!format!("{taken:?}").contains("Theirs"));
        assert!(!format!("{taken:?}").contains("fabrikam"));
    }
}
