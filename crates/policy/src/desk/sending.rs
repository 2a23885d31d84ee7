//! SPF of the domain and of its bounce domain: the record merged, what it costs, and whether it
//! lets us send.

use std::net::IpAddr;

use super::known::Known;
use super::record::{Differs, ProposedRecord, RecordKind, RecordState};
use super::way::Way;
use super::{Assessment, Check, Outcome, Subject, Words};
use crate::range::is_private_address;
use crate::spf::{self, Budget, LOOKUPS_MAX, Lookup, Merged, OurTerm, SpfResult, VOIDS_MAX};

/// Octets of a record beyond which an answer may not fit into one datagram. RFC 7208 §3.4.
const TEXT_OCTETS_ADVISED: usize = 450;
/// Terms named in a sentence; the rest is counted.
const TERMS_SHOWN: usize = 5;

pub(super) fn look(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    let bounce = subject.bounce_domain();
    let name = subject.name.as_str();
    // With a bounce domain it is that one's record which receivers ask.
    let (record, check) = of_domain(subject, known, name, bounce.is_none());
    if record.is_none() {
        found.notes.push(untold(subject, known));
    }
    found.records.extend(record);
    found.checks.push(check);
}

/// The record of the bounce domain, where it is no alias of ours.
pub(super) fn of_bounce(subject: &Subject<'_>, known: &mut Known<'_>, name: &str) -> Both {
    let (record, mut check) = of_domain(subject, known, name, true);
    check.name = "bounce-spf";
    let record = record.map(|record| ProposedRecord {
        purpose: "bounce-spf",
        ..record
    });
    (record, check)
}

/// No record where nothing is known that it could name.
pub(super) type Both = (Option<ProposedRecord>, Check);

/// What must be in the record: our zone, or our addresses, or our name; and providers'.
fn our_terms(subject: &Subject<'_>, known: &mut Known<'_>) -> Vec<OurTerm> {
    let mut terms = Vec::new();
    let site = subject.site;
    let in_zone: Vec<_> = site.zone.iter().flat_map(|_| site.egress()).collect();
    let direct = || subject.ways.iter().filter(|way| way.is_direct());
    let by_site = |way: &Way| {
        let mut own = own(way).peekable();
        own.peek().is_none() || own.any(|it| in_zone.contains(&it))
    };
    if direct().any(by_site) {
        let addresses: Vec<_> = site.egress().map(OurTerm::Address).collect();
        match site.spf_name() {
            Some(zone) => terms.push(OurTerm::Include(zone)),
            None if !addresses.is_empty() => terms.extend(addresses),
            // A name that leads nowhere would let nobody send.
            None if is_nowhere(subject, known) => {}
            None => terms.push(OurTerm::Host(site.hostname.clone())),
        }
    }
    let own = direct().flat_map(own).filter(|it| !in_zone.contains(it));
    for term in own.map(OurTerm::Address) {
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    let includes = subject.ways.iter().filter_map(|way| way.include.clone());
    for include in includes.map(OurTerm::Include) {
        if !terms.contains(&include) {
            terms.push(include);
        }
    }
    terms
}

/// A way's own addresses that others see.
fn own(way: &Way) -> impl Iterator<Item = IpAddr> + '_ {
    let own = way.source_addresses.iter().copied();
    own.filter(|it| !is_private_address(*it))
}

/// DNS knows no address of our name that others could see.
fn is_nowhere(subject: &Subject<'_>, known: &mut Known<'_>) -> bool {
    let found = known.addresses(&subject.site.hostname);
    found.is_ok_and(|found| found.into_iter().all(is_private_address))
}

/// A way leaves from our addresses, and nobody told us which these are.
fn is_hidden(subject: &Subject<'_>, known: &mut Known<'_>) -> bool {
    let site = subject.site;
    let is_told = site.zone.is_some() || site.egress().next().is_some();
    let mut direct = subject.ways.iter().filter(|way| way.is_direct());
    !is_told && direct.any(|way| own(way).next().is_none()) && is_nowhere(subject, known)
}

/// What the record must have and nobody told us: where a smart host's provider sends from, and
/// where we do.
fn untold(subject: &Subject<'_>, known: &mut Known<'_>) -> Words {
    let mut words = Words::default();
    if is_hidden(subject, known) {
        let host = &subject.site.hostname;
        words.push(&Words::new(
            format!(
                "Our public address is not known yet, so no SPF record can name it: set [deliver] \
                 source_addresses, or publish addresses of {host}."
            ),
            format!(
                "Notre adresse publique n’est pas encore connue, aucun enregistrement SPF ne peut \
                 donc la nommer\u{202f}: réglez [deliver] source_addresses, ou publiez les \
                 adresses de {host}."
            ),
        ));
    }
    let unknown = subject.ways.iter().filter(|way| way.include.is_none());
    let mut hosts: Vec<_> = unknown.filter_map(|way| way.host.clone()).collect();
    hosts.sort();
    hosts.dedup();
    if !hosts.is_empty() {
        let hosts = terms_of(&hosts);
        words.push(&Words::new(
            format!(
                "Mail leaves by {hosts}, and what SPF needs for that is not known here: the record \
                 must have the include that the provider names, or the host's addresses if it is \
                 yours."
            ),
            format!(
                "Le courrier part par {hosts}, et ce qu’il faut pour cela dans le SPF n’est pas \
                 connu ici\u{202f}: l’enregistrement doit contenir l’include qu’indique le \
                 fournisseur, ou les adresses de l’hôte s’il est à vous."
            ),
        ));
    }
    words
}

/// Our addresses as others see them, of all ways that are direct.
pub(super) fn egress(subject: &Subject<'_>, known: &mut Known<'_>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for way in subject.ways.iter().filter(|way| way.is_direct()) {
        for address in egress_of(subject, known, way) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

/// Of one way: its own, else the server's, else those of our name.
pub(super) fn egress_of(subject: &Subject<'_>, known: &mut Known<'_>, way: &Way) -> Vec<IpAddr> {
    let own: Vec<_> = own(way).collect();
    if !own.is_empty() {
        return own;
    }
    let configured: Vec<_> = subject.site.egress().collect();
    if !configured.is_empty() {
        return configured;
    }
    let found = known.addresses(subject.site.hostname.as_str());
    let found = found.unwrap_or_default().into_iter();
    found.filter(|it| !is_private_address(*it)).collect()
}

fn of_domain(subject: &Subject<'_>, known: &mut Known<'_>, name: &str, needed: bool) -> Both {
    let texts = known.texts(name);
    let failed = texts.as_ref().err().cloned();
    let texts = texts.unwrap_or_default();
    let budget = known.budget(name, None);
    let ours = our_terms(subject, known);
    let untold = untold(subject, known);
    let covered: Vec<_> = ours
        .iter()
        .map(|term| is_covered(subject, known, name, &budget, term))
        .collect();
    let passes = |term: &OurTerm| {
        let at = ours.iter().position(|it| it == term);
        at.and_then(|at| covered.get(at))
            .copied()
            .unwrap_or_default()
    };
    let merged = spf::merge(&texts, &ours, passes);
    let existing = spf::spf_texts(&texts);
    let state = match failed {
        Some(because) => RecordState::Unknown(because),
        None if existing.is_empty() => RecordState::Absent,
        None if merged.is_unchanged() => RecordState::Right,
        None => RecordState::Differs(Differs(existing.into_iter().map(str::to_owned).collect())),
    };
    let after = known.budget(name, Some(&merged.value));
    let check = check(
        Seen {
            name,
            state: &state,
            merged: &merged,
            budget: &budget,
            after: &after,
            ours: &ours,
            untold: &untold,
            is_hidden: is_hidden(subject, known),
        },
        needed,
        refused(subject, known, name),
    );
    let mut words = words(&merged, &state);
    words.push(&untold);
    let record = ProposedRecord {
        purpose: "spf",
        needed,
        name: name.to_owned(),
        words,
        kind: RecordKind::Text(merged.value),
        state,
    };
    // Whoever published one that names nobody would make their own mail suspect.
    ((!ours.is_empty()).then_some(record), check)
}

fn is_covered(
    subject: &Subject<'_>,
    known: &mut Known<'_>,
    name: &str,
    budget: &Budget,
    term: &OurTerm,
) -> bool {
    let helo = subject.site.hostname.as_str();
    let mut passes = |address| known.spf(address, name, helo).result == SpfResult::Pass;
    match term {
        OurTerm::Address(address) => passes(*address),
        OurTerm::Include(zone) if subject.site.spf_name().as_ref() == Some(zone) => {
            let addresses: Vec<_> = subject.site.egress().collect();
            !addresses.is_empty() && addresses.into_iter().all(passes)
        }
        OurTerm::Include(zone) => {
            let wanted = format!("include:{zone}");
            let mut terms = budget.lookups.iter().map(|lookup| &lookup.term);
            terms.any(|term| term.trim_start_matches('+').eq_ignore_ascii_case(&wanted))
        }
        OurTerm::Host(_) => {
            let addresses = egress(subject, known);
            let mut passes = |address| known.spf(address, name, helo).result == SpfResult::Pass;
            !addresses.is_empty() && addresses.into_iter().all(&mut passes)
        }
    }
}

/// Our addresses that the record does not let send, with what it says.
fn refused(
    subject: &Subject<'_>,
    known: &mut Known<'_>,
    name: &str,
) -> Vec<(IpAddr, spf::Evaluation)> {
    if !subject.is_direct() {
        return Vec::new();
    }
    let helo = subject.site.hostname.as_str();
    let addresses = egress(subject, known);
    let verdicts = addresses
        .into_iter()
        .map(|address| (address, known.spf(address, name, helo)));
    verdicts
        .filter(|(_, verdict)| verdict.result != SpfResult::Pass)
        .collect()
}

fn words(merged: &Merged, state: &RecordState) -> Words {
    let mut words = match state {
        RecordState::Right => Words::new(
            "Lets our addresses send for the domain.",
            "Autorise nos adresses à envoyer pour le domaine.",
        ),
        RecordState::Unknown(_) => Words::new(
            "Lets our addresses send. DNS did not say what is there now: if there is a record, add \
             to it what is new here instead of publishing a second one.",
            "Autorise nos adresses à envoyer. Le DNS n’a pas dit ce qui s’y trouve\u{202f}: s’il y a déjà \
             un enregistrement, complétez-le au lieu d’en publier un second.",
        ),
        RecordState::Absent => Words::new(
            "Lets our addresses send; mail from elsewhere is suspect. Add your other servers \
             before ~all.",
            "Autorise nos adresses à envoyer\u{202f}; le reste est suspect. Ajoutez vos autres serveurs \
             avant ~all.",
        ),
        RecordState::Differs(_) => Words::new(
            "Replaces the record that is there: the same, with ours.",
            "Remplace l’enregistrement existant\u{202f}: le même, avec les nôtres.",
        ),
    };
    if !merged.dropped.is_empty() {
        let dropped = merged.dropped.join(" ");
        words.push(&Words::new(
            format!("Left out, as it is wrong or allows everybody: {dropped}."),
            format!("Retiré, car incorrect ou ouvert à tous\u{202f}: {dropped}."),
        ));
    }
    if merged.value.len() > TEXT_OCTETS_ADVISED {
        words.push(&Words::new(
            format!("Longer than {TEXT_OCTETS_ADVISED} octets: some receivers may not get it."),
            format!(
                "Plus de {TEXT_OCTETS_ADVISED} octets\u{202f}: certains serveurs ne le liront pas."
            ),
        ));
    }
    words
}

struct Seen<'a> {
    name: &'a str,
    state: &'a RecordState,
    merged: &'a Merged,
    budget: &'a Budget,
    after: &'a Budget,
    ours: &'a [OurTerm],
    untold: &'a Words,
    is_hidden: bool,
}

fn check(seen: Seen<'_>, needed: bool, refused: Vec<(IpAddr, spf::Evaluation)>) -> Check {
    let made = |outcome, words| Check {
        name: "spf",
        needed,
        outcome,
        words,
    };
    let name = seen.name;
    match seen.state {
        RecordState::Unknown(because) => {
            return made(
                Outcome::Unknown,
                Words::new(
                    format!("SPF of {name} is not known: {because}."),
                    format!("Le SPF de {name} n’est pas connu\u{202f}: {because}."),
                ),
            );
        }
        RecordState::Absent => return made(Outcome::Absent, absent(&seen)),
        RecordState::Right | RecordState::Differs(_) => {}
    }
    let mut faults = Words::default();
    wrongs(&seen, &mut faults);
    for (address, verdict) in refused {
        let (result, because) = (verdict.result.name(), &verdict.because);
        faults.push(&Words::new(
            format!("{address}, from which we send, gets {result} ({because})."),
            format!("{address}, d’où nous envoyons, obtient {result} ({because})."),
        ));
    }
    if !seen.merged.added.is_empty() {
        let added = seen.merged.added.join(" ");
        faults.push(&Words::new(
            format!("Add before all: {added}."),
            format!("Ajoutez avant all : {added}."),
        ));
    }
    if faults == Words::default() {
        let (outcome, words) = faultless(&seen);
        return made(outcome, words);
    }
    let mut words = Words::new(format!("SPF of {name}:"), format!("SPF de {name} :"));
    words.push(&faults);
    if seen.merged.found == 1 {
        over(&seen, &mut words);
    }
    made(Outcome::Wrong, words)
}

fn absent(seen: &Seen<'_>) -> Words {
    let (name, value) = (seen.name, &seen.merged.value);
    let mut words = match seen.ours.is_empty() {
        true => Words::new(
            format!("{name} has no SPF record."),
            format!("{name} n’a pas d’enregistrement SPF."),
        ),
        false => Words::new(
            format!("{name} has no SPF record: publish TXT {value}"),
            format!("{name} n’a pas d’enregistrement SPF\u{202f}: publiez TXT {value}"),
        ),
    };
    words.push(seen.untold);
    words
}

/// Nothing is wrong as far as that is known.
fn faultless(seen: &Seen<'_>) -> (Outcome, Words) {
    let (name, cost) = (seen.name, cost(seen.budget));
    let mut words = match seen.ours.is_empty() || seen.is_hidden {
        true => Words::new(
            format!("SPF of {name} has no mistake; {}.", cost.english),
            format!("Le SPF de {name} est sans faute\u{202f}; {}.", cost.french),
        ),
        false => Words::new(
            format!("SPF of {name} lets us send; {}.", cost.english),
            format!("Le SPF de {name} nous autorise\u{202f}; {}.", cost.french),
        ),
    };
    words.push(seen.untold);
    let outcome = match seen.is_hidden {
        // Whether it lets us send cannot be said.
        true => Outcome::Unknown,
        false => Outcome::Good,
    };
    (outcome, words)
}

/// The merged record would cost too much.
fn over(seen: &Seen<'_>, words: &mut Words) {
    let (before, after) = (seen.budget.lookups.len(), seen.after.lookups.len());
    if before <= LOOKUPS_MAX && after > LOOKUPS_MAX {
        words.push(&Words::new(
            format!(
                "With ours it would need {after} of {LOOKUPS_MAX} look-ups: drop an include, or \
                 set a bounce_domain, whose record costs yours nothing."
            ),
            format!(
                "Avec les nôtres il faudrait {after} recherches sur {LOOKUPS_MAX}\u{202f}: retirez un \
                 include, ou donnez un bounce_domain, dont l’enregistrement ne coûte rien au vôtre."
            ),
        ));
    }
}

/// Whatever makes receivers give permerror.
fn wrongs(seen: &Seen<'_>, faults: &mut Words) {
    let found = seen.merged.found;
    if found > 1 {
        faults.push(&Words::new(
            format!("there are {found} records, which count as none: publish one."),
            format!(
                "il y a {found} enregistrements, ce qui vaut aucun\u{202f}: publiez-en un seul."
            ),
        ));
    }
    if found == 1 {
        for fault in seen.budget.faults.iter().take(TERMS_SHOWN) {
            faults.push(&Words::new(format!("{fault}."), format!("{fault}.")));
        }
    }
    if seen.merged.dropped.iter().any(|term| term.ends_with("all")) {
        faults.push(&Words::new(
            "+all lets everybody send.",
            "+all autorise tout le monde.",
        ));
    }
    let lookups = seen.budget.lookups.len();
    if let Some(Lookup { domain, term, .. }) = seen.budget.lookups.get(LOOKUPS_MAX) {
        let costs = terms_of(&costs(seen.name, seen.budget));
        faults.push(&Words::new(
            format!(
                "it needs {lookups} look-ups and may need {LOOKUPS_MAX} ({costs}); it breaks at \
                 {term} of {domain}."
            ),
            format!(
                "il demande {lookups} recherches, {LOOKUPS_MAX} au plus ({costs})\u{202f}; il échoue à \
                 {term} de {domain}."
            ),
        ));
    }
    let voids: Vec<_> = (seen.budget.voids())
        .map(|(lookup, name)| format!("{} → {name}", lookup.term))
        .collect();
    if voids.len() > VOIDS_MAX {
        let (count, named) = (voids.len(), terms_of(&voids));
        faults.push(&Words::new(
            format!("{count} look-ups find nothing, {VOIDS_MAX} may ({named})."),
            format!("{count} recherches ne trouvent rien, {VOIDS_MAX} au plus ({named})."),
        ));
    }
}

fn cost(budget: &Budget) -> Words {
    let lookups = budget.lookups.len();
    let voids: Vec<_> = (budget.voids())
        .map(|(lookup, name)| format!("{} → {name}", lookup.term))
        .collect();
    let mut words = Words::new(
        format!("{lookups} of {LOOKUPS_MAX} look-ups"),
        format!("{lookups} recherches sur {LOOKUPS_MAX}"),
    );
    if !voids.is_empty() {
        let named = terms_of(&voids);
        words.english.push_str(&format!(
            ", of which {} find nothing ({named})",
            voids.len()
        ));
        words.french.push_str(&format!(
            ", dont {} ne trouvent rien ({named})",
            voids.len()
        ));
    }
    if !budget.unanswered.is_empty() {
        let named = terms_of(&budget.unanswered);
        words
            .english
            .push_str(&format!("; DNS did not answer all ({named})"));
        words
            .french
            .push_str(&format!("\u{202f}; le DNS n’a pas tout dit ({named})"));
    }
    words
}

/// What each term of the domain's own record costs with all that it leads to.
fn costs(name: &str, budget: &Budget) -> Vec<String> {
    let mut costs: Vec<(&str, usize)> = Vec::new();
    for lookup in &budget.lookups {
        match costs.last_mut() {
            Some((_, cost)) if !lookup.domain.eq_ignore_ascii_case(name) => *cost += 1,
            _ => costs.push((&lookup.term, 1)),
        }
    }
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    let costs = costs.into_iter();
    costs
        .map(|(term, cost)| format!("{term}: {cost}"))
        .collect()
}

fn terms_of(terms: &[String]) -> String {
    let shown = terms.iter().take(TERMS_SHOWN).cloned().collect::<Vec<_>>();
    let more = terms.len().saturating_sub(TERMS_SHOWN);
    let rest = if more == 0 {
        String::new()
    } else {
        format!(", … {more}")
    };
    format!("{}{rest}", shown.join(", "))
}
