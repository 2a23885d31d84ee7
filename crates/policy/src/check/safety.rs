//! What others could do to us, or through us.
//!
//! The self-test for open relaying asks the functions that decide real mail about twelve strangers;
//! the same is tried through each listener (`relais-admin`). External probing needs somebody else's
//! host, so it is not claimed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use relais_smtp::address::{ForwardPath, Host, Mailbox, ReversePath};

use super::{Check, Group, Kind, Verdict};
use crate::attribution::Facts;
use crate::desk::Words;
use crate::document::{ConnectorState, InboundConnector, Limits};
use crate::range::is_private_address;
use crate::settings::Settings;
use crate::simulate::{Answer, Question};
use crate::tls::Certificate;

/// A network of IPv4 with fewer bits has more than 1,024 addresses.
const RANGE_BITS_ADVICE_V4: u8 = 22;
/// More than 65,536 of them.
const RANGE_BITS_ATTENTION_V4: u8 = 16;
/// More than one site. RFC 6177 §2.
const RANGE_BITS_ADVICE_V6: u8 = 48;
/// More than one provider's customer.
const RANGE_BITS_ATTENTION_V6: u8 = 32;
/// A sender and a recipient that are nobody's here.
const FOREIGN: &str = "stranger@example.org";
const VICTIM: &str = "victim@example.net";
/// Names of connectors in one sentence.
const NAMES_MAX: usize = 5;
/// A backup that is older helps little.
const BACKUP_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);

const OPEN_RELAY: Kind = Kind {
    name: "open-relay",
    group: Group::Safety,
    why: (
        "An open relay sends the world's spam within hours, and ends on every blocklist.",
        "Un relais ouvert envoie en quelques heures le spam du monde, et finit sur toutes les listes \
         noires.",
    ),
};
const RANGES: Kind = Kind {
    name: "ranges",
    group: Group::Safety,
    why: (
        "Every machine of a range may send as your domains.",
        "Chaque machine d’une plage peut envoyer au nom de vos domaines.",
    ),
};
const LIMITS: Kind = Kind {
    name: "limits",
    group: Group::Safety,
    why: (
        "A device that was broken into sends as fast as it is let.",
        "Un appareil piraté envoie aussi vite qu’on le laisse faire.",
    ),
};
const CLEAR_LOGINS: Kind = Kind {
    name: "clear-logins",
    group: Group::Safety,
    why: (
        "A password in clear is read by whoever hears the wire.",
        "Un mot de passe en clair est lu par quiconque écoute le réseau.",
    ),
};
const SECOND: Kind = Kind {
    name: "second-administrator",
    group: Group::Safety,
    why: (
        "With one administrator, a lost password means the shell of the server.",
        "Avec un seul administrateur, un mot de passe perdu oblige à passer par la console du serveur.",
    ),
};
const BACKUP: Kind = Kind {
    name: "backup",
    group: Group::Safety,
    why: (
        "Settings, keys and the queue live on this one disk.",
        "Les paramètres, les clés et la file vivent sur ce seul disque.",
    ),
};

/// In English and French.
type Name = (&'static str, &'static str);

/// Somebody who must not get mail out through us.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// For the evidence, in English and French.
    pub name: Name,
    /// What is tried.
    pub question: Question,
}

/// The twelve, in the order of [`strangers`].
const NAMES: [Name; 12] = [
    (
        "unknown address, foreign sender",
        "adresse inconnue, expéditeur étranger",
    ),
    (
        "unknown address, our domain as sender",
        "adresse inconnue, notre domaine comme expéditeur",
    ),
    ("unknown IPv6 address", "adresse IPv6 inconnue"),
    ("null sender", "expéditeur nul"),
    (
        "our own name as sender",
        "notre propre nom comme expéditeur",
    ),
    ("our own name in HELO", "notre propre nom dans HELO"),
    (
        "percent sign in the local part",
        "signe pour cent dans la partie locale",
    ),
    (
        "exclamation mark in the local part",
        "point d’exclamation dans la partie locale",
    ),
    (
        "quoted address in the local part",
        "adresse entre guillemets dans la partie locale",
    ),
    (
        "address literal as recipient",
        "adresse IP comme destinataire",
    ),
    ("a stranger's certificate", "certificat d’un inconnu"),
    (
        "loopback, foreign sender",
        "boucle locale, expéditeur étranger",
    ),
];

/// Twelve canonical ones. Names and addresses are those for documentation, which no connector
/// should cover.
pub fn strangers(settings: &Settings, hostname: &str) -> Vec<Stranger> {
    let own = settings.domains().find(|(_, owned)| owned.is_verified());
    let own = own.map_or_else(|| hostname.to_owned(), |(key, _)| key.domain.to_string());
    let four: IpAddr = Ipv4Addr::new(192, 0, 2, 66).into();
    let other: IpAddr = Ipv4Addr::new(203, 0, 113, 66).into();
    let six: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x66).into();
    let at = Facts::of_address;
    let as_own = format!("postmaster@{own}");
    let as_us = format!("postmaster@{hostname}");
    let percent = format!("victim%example.net@{hostname}");
    let bang = format!("example.net!victim@{hostname}");
    let quoted = format!("\"victim@example.net\"@{hostname}");
    let named = Facts {
        certificate: Some(Certificate::verified(["relay.example.net"])),
        ..at(four)
    };
    let greeting = Facts {
        helo: Some(hostname.to_owned()),
        ..at(four)
    };
    let tried: [(Facts, &str, &str); 12] = [
        (at(four), FOREIGN, VICTIM),
        (at(four), &as_own, VICTIM),
        (at(six), FOREIGN, VICTIM),
        (at(other), "", VICTIM),
        (at(other), &as_us, VICTIM),
        (greeting, &as_own, VICTIM),
        (at(four), FOREIGN, &percent),
        (at(four), FOREIGN, &bang),
        (at(four), FOREIGN, &quoted),
        (at(four), FOREIGN, "victim@[198.51.100.25]"),
        (named, &as_own, VICTIM),
        (at(Ipv4Addr::LOCALHOST.into()), FOREIGN, VICTIM),
    ];
    let all = NAMES.into_iter().zip(tried);
    all.filter_map(|(name, (facts, from, to))| stranger(name, facts, from, to))
        .collect()
}

fn stranger(name: Name, facts: Facts, from: &str, to: &str) -> Option<Stranger> {
    let reverse_path = match from {
        "" => ReversePath::Null,
        from => ReversePath::Mailbox(Mailbox::parse(from).ok()?),
    };
    let question = Question {
        facts,
        reverse_path,
        forward_path: ForwardPath::Mailbox(Mailbox::parse(to).ok()?),
        header_from: None,
        size: None,
        senders: BTreeMap::new(),
        returned: None,
        size_octets_max: u64::MAX,
    };
    Some(Stranger { name, question })
}

/// What the functions that decide real mail said to each stranger.
pub fn open_relay(settings: &Settings, answers: &[(Stranger, Answer)]) -> Check {
    let is_own = |path: &ForwardPath| match path {
        ForwardPath::Postmaster => true,
        ForwardPath::Mailbox(mailbox) => match mailbox.host() {
            Host::Domain(domain) => settings.accepted_domain(domain).is_some(),
            Host::Literal(_) => false,
        },
    };
    let let_out = answers.iter().filter(|(stranger, answer)| {
        answer.verdict == "permit" && !is_own(&stranger.question.forward_path)
    });
    let let_out: Vec<_> = let_out.map(|(stranger, _)| stranger.name).collect();
    let joined = |all: Vec<&str>| all.join("; ");
    if let_out.is_empty() {
        return OPEN_RELAY.ok(
            "decisions",
            Words::new(
                format!(
                    "{} strangers were refused by the decisions in force.",
                    answers.len()
                ),
                format!(
                    "{} inconnus ont été refusés par les décisions en vigueur.",
                    answers.len()
                ),
            ),
        );
    }
    let (english, french) = let_out.into_iter().unzip();
    let words = Words::new(
        format!("Strangers get mail out: {}.", joined(english)),
        format!(
            "Des inconnus font sortir du courrier\u{202f}: {}.",
            joined(french)
        ),
    );
    let fix = Words::new(
        "Narrow the addresses of the connector that covers them: relais simulate shows which.",
        "Resserrez les adresses du connecteur qui les couvre\u{202f}: relais simulate montre lequel.",
    );
    OPEN_RELAY.found("decisions", Verdict::Broken, words, fix)
}

/// What a listener answered to a stranger's RCPT: refused with this reply, or accepted with it; or
/// why it could not be tried.
pub fn open_relay_session(
    listener: SocketAddr,
    answered: &Result<(bool, String), String>,
) -> Check {
    let subject = listener.to_string();
    match answered {
        Ok((false, reply)) => OPEN_RELAY.ok(
            subject,
            Words::new(
                format!("A session through {listener} was refused: {reply}."),
                format!("Une session par {listener} a été refusée\u{202f}: {reply}."),
            ),
        ),
        Ok((true, reply)) => {
            let words = Words::new(
                format!("A session through {listener} got a foreign recipient accepted: {reply}."),
                format!(
                    "Une session par {listener} a fait accepter un destinataire étranger\u{202f}: {reply}."
                ),
            );
            let fix = Words::new(
                "Narrow the connector that covers loopback, and what may be sent by it.",
                "Resserrez le connecteur qui couvre la boucle locale, et ce qu’il peut envoyer.",
            );
            OPEN_RELAY.found(subject, Verdict::Broken, words, fix)
        }
        Err(because) => OPEN_RELAY.unknown(
            subject,
            Words::new(
                format!("No session through {listener}: {because}."),
                format!("Pas de session par {listener}\u{202f}: {because}."),
            ),
        ),
    }
}

/// The connectors that take clients.
fn in_use(settings: &Settings) -> impl Iterator<Item = &InboundConnector> {
    let organisations = settings.document.organisation.iter();
    let connectors = organisations.flat_map(|one| &one.inbound_connector);
    connectors.filter(|one| {
        matches!(
            one.state,
            ConnectorState::Enabled | ConnectorState::Observing
        )
    })
}

fn none_yet(kind: Kind) -> Check {
    let words = Words::new(
        "There is no inbound connector yet.",
        "Il n’y a pas encore de connecteur entrant.",
    );
    kind.not_applicable("", words)
}

/// The widest range that somebody may send from.
pub fn ranges(settings: &Settings) -> Check {
    let all = in_use(settings).flat_map(|one| {
        one.sender_ip_addresses
            .iter()
            .map(|range| (range, one.name.as_str()))
    });
    // Bits that are free, so that both families compare.
    let width = |range: &IpNet| range.max_prefix_len() - range.prefix_len();
    let grade = |range: &IpNet| match range {
        IpNet::V4(range) if range.prefix_len() < RANGE_BITS_ATTENTION_V4 => Verdict::Attention,
        IpNet::V6(range) if range.prefix_len() < RANGE_BITS_ATTENTION_V6 => Verdict::Attention,
        IpNet::V4(range) if range.prefix_len() < RANGE_BITS_ADVICE_V4 => Verdict::Advice,
        IpNet::V6(range) if range.prefix_len() < RANGE_BITS_ADVICE_V6 => Verdict::Advice,
        IpNet::V4(_) | IpNet::V6(_) => Verdict::Ok,
    };
    // The gravest in front, then the widest.
    let worst = all.min_by_key(|(range, _)| (grade(range), u8::MAX - width(range)));
    let Some((range, name)) = worst else {
        return none_yet(RANGES);
    };
    let words = Words::new(
        format!("The widest range is {range}, of {name}."),
        format!("La plage la plus large est {range}, de {name}."),
    );
    match grade(range) {
        Verdict::Ok => RANGES.ok("", words),
        verdict => {
            let fix = Words::new(
                "Give the connector the addresses of the devices alone; Devices & apps lists them.",
                "Donnez au connecteur les seules adresses des appareils\u{202f}; l’inventaire les énumère.",
            );
            RANGES.found("", verdict, words, fix)
        }
    }
}

/// Up to five names, and how many more.
fn named(names: &[&str]) -> String {
    let shown = names
        .iter()
        .take(NAMES_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} +{more}"),
    }
}

/// Connectors without any limit of their own.
pub fn limits(settings: &Settings) -> Check {
    let mut all = in_use(settings).peekable();
    if all.peek().is_none() {
        return none_yet(LIMITS);
    }
    let without = all.filter(|one| {
        one.limits
            == Limits {
                message_size_max: one.limits.message_size_max,
                ..Limits::default()
            }
    });
    let without: Vec<_> = without.map(|one| one.name.as_str()).collect();
    if without.is_empty() {
        return LIMITS.ok(
            "",
            Words::new(
                "Each inbound connector has a limit.",
                "Chaque connecteur entrant a une limite.",
            ),
        );
    }
    let names = named(&without);
    let words = Words::new(
        format!("Without any limit: {names}."),
        format!("Sans aucune limite\u{202f}: {names}."),
    );
    let fix = Words::new(
        "Set limits of the connector, as messages_per_minute = 60 and recipients_per_day = 2000.",
        "Réglez limits du connecteur, par exemple messages_per_minute = 60 et recipients_per_day = 2000.",
    );
    LIMITS.found("", Verdict::Advice, words, fix)
}

/// Connectors that take passwords in clear, and from where.
pub fn clear_logins(settings: &Settings) -> Check {
    let clear: Vec<_> = in_use(settings).filter(|one| one.cleartext_auth).collect();
    if clear.is_empty() {
        let words = Words::new(
            "No connector takes a password in clear.",
            "Aucun connecteur n’accepte de mot de passe en clair.",
        );
        return CLEAR_LOGINS.ok("", words);
    }
    let names: Vec<_> = clear.iter().map(|one| one.name.as_str()).collect();
    let names = named(&names);
    let is_private = |one: &&InboundConnector| {
        let mut ranges = one.sender_ip_addresses.iter();
        ranges.all(|range| {
            is_private_address(range.network()) && is_private_address(range.broadcast())
        })
    };
    let words = Words::new(
        format!("Passwords in clear are taken by {names}, from private addresses only."),
        format!(
            "Des mots de passe en clair sont acceptés par {names}, depuis des adresses privées seulement."
        ),
    );
    let fix = Words::new(
        "Let the devices use TLS where they can, and take cleartext_auth away.",
        "Faites utiliser TLS par les appareils qui le peuvent, et retirez cleartext_auth.",
    );
    if clear.iter().all(is_private) {
        return CLEAR_LOGINS.found("", Verdict::Advice, words, fix);
    }
    let words = Words::new(
        format!("{names} names public addresses and takes passwords in clear."),
        format!("{names} comprend des adresses publiques et accepte des mots de passe en clair."),
    );
    CLEAR_LOGINS.found("", Verdict::Attention, words, fix)
}

/// How many owners there are.
pub fn second_administrator(owners: usize) -> Check {
    let (verdict, words) = match owners {
        0 => (
            Verdict::Attention,
            Words::new(
                "There is no administrator yet.",
                "Il n’y a pas encore d’administrateur.",
            ),
        ),
        1 => (
            Verdict::Advice,
            Words::new("There is one owner.", "Il y a un seul propriétaire."),
        ),
        more => {
            let words = Words::new(
                format!("There are {more} owners."),
                format!("Il y a {more} propriétaires."),
            );
            return SECOND.ok("", words);
        }
    };
    let fix = if owners == 0 {
        Words::new(
            "relais setup-link makes the first.",
            "relais setup-link crée le premier.",
        )
    } else {
        Words::new(
            "relais admin add NAME makes another.",
            "relais admin add NOM en crée un autre.",
        )
    };
    SECOND.found("", verdict, words, fix)
}

/// How old the newest backup is that was made with `relais backup`.
pub fn last_backup(age: Option<Duration>) -> Check {
    let fix = Words::new(
        "relais backup create FOLDER, every night, to another disk.",
        "relais backup create DOSSIER, chaque nuit, vers un autre disque.",
    );
    let Some(age) = age else {
        let words = Words::new(
            "No backup was made with relais backup yet.",
            "Aucune sauvegarde n’a encore été faite avec relais backup.",
        );
        return BACKUP.found("", Verdict::Advice, words, fix);
    };
    let days = age.as_secs() / 86_400;
    let words = Words::new(
        format!("The newest backup is {days} days old."),
        format!("La sauvegarde la plus récente a {days} jours."),
    );
    if age <= BACKUP_AGE_MAX {
        return BACKUP.ok("", words);
    }
    BACKUP.found("", Verdict::Attention, words, fix)
}
