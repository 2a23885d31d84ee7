//! How the world sees us: reverse names, what domains publish, blocklists.

use std::net::IpAddr;

use super::{Check, Group, Kind, Verdict};
use crate::desk::Words;
use crate::source::Listed;

const REVERSE: Kind = Kind {
    name: "reverse-name",
    group: Group::World,
    why: (
        "Large receivers refuse mail from addresses without a name that leads back to them.",
        "Les grands fournisseurs refusent le courrier d’une adresse dont le nom inverse ne ramène pas à elle.",
    ),
};
const SPF: Kind = Kind {
    name: "spf",
    group: Group::World,
    why: (
        "SPF tells receivers which addresses may send for the domain.",
        "SPF dit aux destinataires quelles adresses peuvent envoyer pour le domaine.",
    ),
};
const DKIM: Kind = Kind {
    name: "dkim",
    group: Group::World,
    why: (
        "Signatures count only if DNS shows our key.",
        "Les signatures ne comptent que si le DNS montre notre clé.",
    ),
};
const DMARC: Kind = Kind {
    name: "dmarc",
    group: Group::World,
    why: (
        "DMARC tells receivers what to do with mail that only pretends to be yours.",
        "DMARC dit aux destinataires que faire du courrier qui se fait passer pour le vôtre.",
    ),
};
const EXCHANGER: Kind = Kind {
    name: "mx",
    group: Group::World,
    why: (
        "Bounces and replies go to the MX of the sender's domain.",
        "Les retours et les réponses vont au MX du domaine de l’expéditeur.",
    ),
};
const BLOCKLIST: Kind = Kind {
    name: "blocklist",
    group: Group::World,
    why: (
        "Receivers that ask this list refuse mail from addresses on it.",
        "Les destinataires qui consultent cette liste refusent le courrier des adresses qui y sont.",
    ),
};

/// What DNS says of one of our addresses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReverseFact {
    /// Which.
    pub address: IpAddr,
    /// Its names, or why they are not known.
    pub names: Result<Vec<String>, String>,
    /// One of them leads back to the address.
    pub is_confirmed: bool,
    /// What we say in EHLO.
    pub hostname: String,
}

/// One name, that leads back, and is the one that we say. `by_mx`: mail leaves from this address.
pub fn reverse_name(fact: &ReverseFact, by_mx: bool) -> Check {
    let address = fact.address;
    let subject = address.to_string();
    if !by_mx {
        return REVERSE.not_applicable(
            subject,
            Words::new(
                "Mail leaves by a smart host: the name of its address counts, not ours.",
                "Le courrier sort par un hôte intelligent\u{202f}: le nom de son adresse compte, pas le nôtre.",
            ),
        );
    }
    let names = match &fact.names {
        Ok(names) => names,
        Err(because) => {
            let words = Words::new(
                format!("The name of {address} could not be asked: {because}."),
                format!("Le nom de {address} n’a pas pu être obtenu\u{202f}: {because}."),
            );
            return REVERSE.unknown(subject, words);
        }
    };
    judged(fact, names)
}

fn judged(fact: &ReverseFact, names: &[String]) -> Check {
    let (address, hostname) = (fact.address, &fact.hostname);
    let subject = address.to_string();
    let fix = Words::new(
        format!("Have the owner of the address (your provider) set its PTR record to {hostname}."),
        format!(
            "Faites régler par le détenteur de l’adresse (votre fournisseur) son enregistrement PTR sur {hostname}."
        ),
    );
    let all = names.join(", ");
    let (verdict, words) = match names {
        [] if address.is_ipv6() => {
            let words = Words::new(
                format!("{address} has no name: receivers refuse mail over IPv6 from it."),
                format!(
                    "{address} n’a pas de nom\u{202f}: les destinataires refusent son courrier en IPv6."
                ),
            );
            let fix = Words::new(
                format!(
                    "{} Or deliver over IPv4 only: deliver.ip_version = \"4\".",
                    fix.english
                ),
                format!(
                    "{} Ou ne livrez qu’en IPv4\u{202f}: deliver.ip_version = \"4\".",
                    fix.french
                ),
            );
            return REVERSE.found(subject, Verdict::Attention, words, fix);
        }
        [] => (
            Verdict::Broken,
            Words::new(
                format!("{address} has no name in DNS."),
                format!("{address} n’a pas de nom dans le DNS."),
            ),
        ),
        _ if !fact.is_confirmed => (
            Verdict::Attention,
            Words::new(
                format!("{address} is called {all}, which does not lead back to it."),
                format!("{address} se nomme {all}, qui n’y ramène pas."),
            ),
        ),
        [one] if one.eq_ignore_ascii_case(hostname) => {
            let words = Words::new(
                format!("{address} is called {one}, leads back, and is what we say."),
                format!("{address} se nomme {one}, qui y ramène, et c’est ce que nous disons."),
            );
            return REVERSE.ok(subject, words);
        }
        [one] => (
            Verdict::Attention,
            Words::new(
                format!("{address} is called {one}, and we say {hostname} in EHLO."),
                format!("{address} se nomme {one}, et nous disons {hostname} dans EHLO."),
            ),
        ),
        _ => (
            Verdict::Advice,
            Words::new(
                format!(
                    "{address} has several names ({all}); one is enough, and some count more as a fault."
                ),
                format!(
                    "{address} a plusieurs noms ({all})\u{202f}; un seul suffit, et certains serveurs en reprochent plusieurs."
                ),
            ),
        ),
    };
    REVERSE.found(subject, verdict, words, fix)
}

/// What the DNS desk found out last about a domain: `record` is `spf`, `dkim` or `dmarc`; none for
/// any other. `found`: none before the first look; `Some(Err(sentence))` where it is wrong.
pub fn record(record: &str, domain: &str, found: Option<&Result<Words, Words>>) -> Option<Check> {
    let kind = match record {
        "spf" => SPF,
        "dkim" => DKIM,
        "dmarc" => DMARC,
        _ => return None,
    };
    Some(match found {
        None => kind.unknown(
            domain,
            Words::new(
                "Nobody has looked at its DNS yet.",
                "Son DNS n’a pas encore été vérifié.",
            ),
        ),
        Some(Ok(words)) => kind.ok(domain, words.clone()),
        Some(Err(words)) => {
            let fix = Words::new(
                format!("relais domain records {domain} shows what to publish."),
                format!("relais domain records {domain} montre ce qu’il faut publier."),
            );
            kind.found(domain, Verdict::Attention, words.clone(), fix)
        }
    })
}

/// Whether bounces to a domain arrive anywhere: how many MX records it has, or why that is not
/// known.
pub fn mail_exchanger(domain: &str, found: &Result<usize, String>) -> Check {
    match found {
        Err(because) => EXCHANGER.unknown(
            domain,
            Words::new(
                format!("The MX records could not be asked: {because}."),
                format!("Les enregistrements MX n’ont pas pu être obtenus\u{202f}: {because}."),
            ),
        ),
        Ok(0) => {
            let words = Words::new(
                format!("{domain} has no MX record: bounces and replies go astray."),
                format!(
                    "{domain} n’a pas d’enregistrement MX\u{202f}: retours et réponses se perdent."
                ),
            );
            let fix = Words::new(
                "Publish an MX record for the server of the mailboxes, or for Relais.",
                "Publiez un enregistrement MX pour le serveur des boîtes, ou pour Relais.",
            );
            EXCHANGER.found(domain, Verdict::Attention, words, fix)
        }
        Ok(count) => EXCHANGER.ok(
            domain,
            Words::new(
                format!("{domain} has {count} MX record(s)."),
                format!("{domain} a {count} enregistrement(s) MX."),
            ),
        ),
    }
}

/// Advice: what a list says of one of our addresses.
pub fn blocklist(address: IpAddr, list: &str, listed: &Listed, by_mx: bool) -> Check {
    let subject = format!("{address} {list}");
    if !by_mx {
        return BLOCKLIST.not_applicable(
            subject,
            Words::new(
                "Mail leaves by a smart host: its address counts, not ours.",
                "Le courrier sort par un hôte intelligent\u{202f}: son adresse compte, pas la nôtre.",
            ),
        );
    }
    match listed {
        Listed::No => BLOCKLIST.ok(
            subject,
            Words::new(
                format!("{address} is not on {list}."),
                format!("{address} n’est pas sur {list}."),
            ),
        ),
        Listed::Unknown(because) => BLOCKLIST.unknown(
            subject,
            Words::new(
                format!("{list} did not say: {because}."),
                format!("{list} n’a pas répondu\u{202f}: {because}."),
            ),
        ),
        Listed::Yes(_) => {
            let words = Words::new(
                format!("{address} is on {list}."),
                format!("{address} est sur {list}."),
            );
            let fix = Words::new(
                "Find out why on the list's own pages, mend it, and ask to be taken off.",
                "Cherchez pourquoi sur les pages de la liste, corrigez, et demandez le retrait.",
            );
            BLOCKLIST.found(subject, Verdict::Advice, words, fix)
        }
    }
}
