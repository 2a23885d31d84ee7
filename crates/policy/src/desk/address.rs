//! Our addresses as receivers look them up: a reverse name that leads back (RFC 1912 §2.1).

use std::net::IpAddr;

use super::known::Known;
use super::record::RecordState;
use super::{Assessment, Check, Outcome, Subject, Words, sending};

pub(super) fn look(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    if !subject.is_direct() {
        return;
    }
    let addresses = sending::egress(subject, known);
    if addresses.is_empty() {
        let host = &subject.site.hostname;
        found.checks.push(Check {
            name: "egress",
            needed: false,
            outcome: Outcome::Unknown,
            words: Words::new(
                format!(
                    "From which address mail leaves is not known: set [deliver] source_addresses, \
                     or publish addresses of {host}."
                ),
                format!(
                    "On ne sait pas de quelle adresse part le courrier\u{202f}: réglez [deliver] \
                     source_addresses, ou publiez les adresses de {host}."
                ),
            ),
        });
    }
    found.checks.extend(zone(subject, known));
    for address in addresses {
        found.checks.push(reverse(subject, known, address));
    }
}

/// Whether the world finds our zone, which records of the domain lead to.
fn zone(subject: &Subject<'_>, known: &mut Known<'_>) -> Option<Check> {
    let (zone, name) = (subject.site.zone.as_ref()?, subject.site.spf_name()?);
    let text = subject.site.spf_text();
    let state = known.text_state(&name, |shown| shown == text);
    let words = match &state {
        RecordState::Right => Words::new(
            format!("DNS finds our zone {zone}."),
            format!("Le DNS trouve notre zone {zone}."),
        ),
        RecordState::Unknown(because) => Words::new(
            format!("Whether DNS finds our zone {zone} is not known: {because}."),
            format!("On ne sait pas si le DNS trouve notre zone {zone}\u{202f}: {because}."),
        ),
        RecordState::Absent | RecordState::Differs(_) => Words::new(
            format!("DNS does not find our zone {zone}: have it delegated to us (NS)."),
            format!(
                "Le DNS ne trouve pas notre zone {zone}\u{202f}: faites-la nous déléguer (NS)."
            ),
        ),
    };
    Some(Check {
        name: "zone",
        needed: true,
        outcome: state.outcome(),
        words,
    })
}

fn reverse(subject: &Subject<'_>, known: &mut Known<'_>, address: IpAddr) -> Check {
    let made = |outcome, words| Check {
        name: "ptr",
        needed: false,
        outcome,
        words,
    };
    let unknown = |because: &str| {
        let words = Words::new(
            format!("The reverse name of {address} is not known: {because}."),
            format!("Le nom inverse de {address} n’est pas connu\u{202f}: {because}."),
        );
        made(Outcome::Unknown, words)
    };
    let names = match known.reverse(address) {
        Ok(names) => names,
        Err(because) => return unknown(&because),
    };
    let mut confirmed = None;
    for name in &names {
        match known.addresses(name) {
            Ok(found) if found.contains(&address) => {
                confirmed = Some(name);
                break;
            }
            Ok(_) => {}
            Err(because) => return unknown(&because),
        }
    }
    let host = subject.site.hostname.as_str();
    match confirmed {
        Some(name) if name.eq_ignore_ascii_case(host) => made(
            Outcome::Good,
            Words::new(
                format!("{address} leads back to {name}, which leads to it."),
                format!("{address} mène à {name}, qui y mène."),
            ),
        ),
        Some(name) => made(
            Outcome::Good,
            Words::new(
                format!("{address} leads back to {name}, which leads to it; our name is {host}."),
                format!("{address} mène à {name}, qui y mène\u{202f}; notre nom est {host}."),
            ),
        ),
        None if names.is_empty() => made(
            Outcome::Absent,
            Words::new(
                format!(
                    "{address} has no reverse name: large receivers refuse it. Ask its owner for PTR {host}."
                ),
                format!(
                    "{address} n’a pas de nom inverse\u{202f}: les grands serveurs le refusent. Demandez à son propriétaire PTR {host}."
                ),
            ),
        ),
        None => {
            let names = names.join(", ");
            made(
                Outcome::Wrong,
                Words::new(
                    format!("{address} leads back to {names}, which does not lead to it."),
                    format!("{address} mène à {names}, qui n’y mène pas."),
                ),
            )
        }
    }
}
