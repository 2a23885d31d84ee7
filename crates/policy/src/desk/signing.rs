//! DKIM keys and the DMARC policy. RFC 6376 §3.6.1, RFC 7489 §6.3.

use relais_smtp::domain::Domain;

use super::known::Known;
use super::record::{Differs, ProposedRecord, RecordKind, RecordState};
use super::{Assessment, Check, Outcome, Subject, Words};
use crate::dkim::{Key, KeyState, shows_key};
use crate::registered::upwards;

pub(super) fn look(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    dkim(subject, known, found);
    dmarc(subject, known, found);
}

fn dkim(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    if !subject.domain.dkim.enabled {
        return;
    }
    let (mut missing, mut states) = (Vec::new(), Vec::new());
    for key in &subject.keys {
        let name = format!("{}._domainkey.{}", key.selector, subject.name);
        let state = key_state(known, &name, key);
        if state != RecordState::Right {
            missing.push(name.clone());
        }
        states.push(state.outcome());
        let kind = match subject.site.dkim_name(&key.selector, subject.name) {
            Some(target) => RecordKind::Alias(target),
            None => RecordKind::Text(key.record()),
        };
        found.records.push(ProposedRecord {
            purpose: "dkim",
            needed: true,
            name,
            words: match kind {
                RecordKind::Alias(_) => Words::new(
                    "Leads to the key in our zone: it changes there by itself.",
                    "Mène à la clé dans notre zone\u{202f}: elle y change d’elle-même.",
                ),
                RecordKind::Text(_) | RecordKind::Mx(..) => Words::new(
                    "The key with which we sign; mail is signed once DNS shows it.",
                    "La clé avec laquelle nous signons, dès que le DNS la montre.",
                ),
            },
            kind,
            state,
        });
    }
    found.checks.push(dkim_check(subject, &missing, &states));
}

fn dkim_check(subject: &Subject<'_>, missing: &[String], states: &[Outcome]) -> Check {
    let made = |outcome, words| Check {
        name: "dkim",
        // Nobody can publish what is not made.
        needed: !states.is_empty(),
        outcome,
        words,
    };
    let names = missing.join(", ");
    if states.is_empty() {
        let words = Words::new(
            "The keys are not made yet: mail leaves unsigned.",
            "Les clés ne sont pas encore créées\u{202f}: le courrier part sans signature.",
        );
        return made(Outcome::Absent, words);
    }
    let worst = [Outcome::Wrong, Outcome::Absent, Outcome::Unknown]
        .into_iter()
        .find(|outcome| states.contains(outcome));
    let signs = subject.keys.iter().any(signs);
    let then = match signs {
        true => Words::new(
            "Other keys sign meanwhile.",
            "D’autres clés signent en attendant.",
        ),
        false => Words::new(
            "Until then mail leaves unsigned.",
            "D’ici là, le courrier part sans signature.",
        ),
    };
    let mut words = match worst {
        None => {
            return made(
                Outcome::Good,
                Words::new("DNS shows our DKIM keys.", "Le DNS montre nos clés DKIM."),
            );
        }
        Some(Outcome::Wrong) => Words::new(
            format!("DNS shows another key than ours: {names}."),
            format!("Le DNS montre une autre clé que la nôtre\u{202f}: {names}."),
        ),
        Some(Outcome::Unknown) => Words::new(
            format!("DNS did not say whether it shows our keys: {names}."),
            format!("Le DNS n’a pas dit s’il montre nos clés\u{202f}: {names}."),
        ),
        Some(_) => Words::new(
            format!("DKIM keys are not in DNS: publish {names}."),
            format!("Des clés DKIM ne sont pas dans le DNS\u{202f}: publiez {names}."),
        ),
    };
    words.push(&then);
    made(worst.unwrap_or(Outcome::Good), words)
}

/// Mail is signed with it now.
pub(super) fn signs(key: &Key) -> bool {
    key.state == KeyState::Active
}

/// Keys are compared by what they are, not by how the record is written.
fn key_state(known: &mut Known<'_>, name: &str, wanted: &Key) -> RecordState {
    let texts = match known.texts(name) {
        Ok(texts) => texts,
        Err(because) => return RecordState::Unknown(because),
    };
    let is_key = |text: &&String| tag(text, "p").is_some();
    let keys: Vec<_> = texts.iter().filter(is_key).cloned().collect();
    match keys.as_slice() {
        [] => RecordState::Absent,
        [only] if shows_key(only, wanted) => RecordState::Right,
        // Two keys at one name: a receiver may take the wrong one (RFC 6376 §3.6.2.2).
        _ => RecordState::Differs(Differs(keys)),
    }
}

/// The value of a tag in a list of `tag=value;`. RFC 6376 §3.2.
pub(super) fn tag(text: &str, name: &str) -> Option<String> {
    let tags = text.split(';').filter_map(|it| it.split_once('='));
    let mut values = tags.filter(|(tag, _)| tag.trim().eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim().to_owned())
}

/// A policy that counts for a domain.
pub(super) struct Policy {
    /// `none`, `quarantine`, `reject`.
    pub(super) policy: String,
    /// `aspf=s`
    pub(super) strict_spf: bool,
}

/// What DNS says of DMARC, from the domain upwards.
pub(super) enum Dmarc {
    Policy(Policy),
    None,
    Unknown(String),
}

pub(super) fn policy_of(known: &mut Known<'_>, domain: &Domain) -> Dmarc {
    for name in upwards(domain) {
        match known.texts(&format!("_dmarc.{name}")) {
            Err(because) => return Dmarc::Unknown(because),
            Ok(texts) => {
                if let [text] = policies(&texts).as_slice() {
                    return read(text, name != domain.as_str()).map_or(Dmarc::None, Dmarc::Policy);
                }
            }
        }
    }
    Dmarc::None
}

fn policies(texts: &[String]) -> Vec<&str> {
    let is_policy = |text: &&str| {
        let first = text.split(';').next().unwrap_or_default();
        let (name, value) = first.split_once('=').unwrap_or_default();
        name.trim() == "v" && value.trim() == "DMARC1"
    };
    texts.iter().map(String::as_str).filter(is_policy).collect()
}

fn read(text: &str, is_parents: bool) -> Option<Policy> {
    let own = tag(text, "p")?.to_ascii_lowercase();
    let below = tag(text, "sp").map(|it| it.to_ascii_lowercase());
    let policy = below.filter(|_| is_parents).unwrap_or(own);
    let known = ["none", "quarantine", "reject"].contains(&policy.as_str());
    let strict_spf = tag(text, "aspf").is_some_and(|mode| mode.eq_ignore_ascii_case("s"));
    known.then_some(Policy { policy, strict_spf })
}

fn dmarc(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    let name = format!("_dmarc.{}", subject.name);
    let texts = known.texts(&name);
    let inherited = policy_of(known, subject.name);
    let mut proposed = "v=DMARC1; p=none".to_owned();
    if !subject.postmaster.is_empty() {
        proposed.push_str(&format!("; rua=mailto:{}", subject.postmaster));
    }
    let existing = texts.as_deref().map(policies).unwrap_or_default();
    let (state, value) = match (&texts, existing.as_slice()) {
        (Err(because), _) => (RecordState::Unknown(because.clone()), proposed),
        (Ok(_), [only]) if read(only, false).is_some() => (RecordState::Right, (*only).to_owned()),
        (Ok(_), []) => (RecordState::Absent, proposed),
        (Ok(_), several) => {
            let found = several.iter().map(|it| (*it).to_owned()).collect();
            let good = several.iter().find(|it| read(it, false).is_some());
            let value = good.map_or(proposed, |it| (*it).to_owned());
            (RecordState::Differs(Differs(found)), value)
        }
    };
    found.checks.push(dmarc_check(subject, &state, &inherited));
    // What the domain above says holds here too.
    if state == RecordState::Absent && matches!(inherited, Dmarc::Policy(_)) {
        return;
    }
    found.records.push(ProposedRecord {
        purpose: "dmarc",
        needed: false,
        name,
        kind: RecordKind::Text(value),
        words: match state {
            RecordState::Right => Words::new(
                "Says what receivers do with mail that is not yours; as you have it.",
                "Dit quoi faire du courrier qui n’est pas le vôtre\u{202f}; tel qu’il est publié.",
            ),
            _ => Words::new(
                "Asks receivers to report, and changes nothing yet; large ones want a policy.",
                "Demande des rapports sans rien changer encore\u{202f}; les grands fournisseurs veulent une politique.",
            ),
        },
        state,
    });
}

fn dmarc_check(subject: &Subject<'_>, state: &RecordState, inherited: &Dmarc) -> Check {
    let name = subject.name;
    let (outcome, words) = match (state, inherited) {
        (RecordState::Right | RecordState::Absent, Dmarc::Policy(policy)) => {
            let policy = &policy.policy;
            let words = Words::new(
                format!("DMARC of {name}: {policy}."),
                format!("DMARC de {name} : {policy}."),
            );
            (Outcome::Good, words)
        }
        (RecordState::Unknown(because), _) | (_, Dmarc::Unknown(because)) => {
            let words = Words::new(
                format!("DMARC of {name} is not known: {because}."),
                format!("Le DMARC de {name} n’est pas connu\u{202f}: {because}."),
            );
            (Outcome::Unknown, words)
        }
        (RecordState::Differs(Differs(found)), _) => {
            let count = found.len();
            let words = Words::new(
                format!("DMARC of {name} counts for nothing: {count} records, or no valid p=."),
                format!(
                    "Le DMARC de {name} ne vaut rien\u{202f}: {count} enregistrements, ou p= faux."
                ),
            );
            (Outcome::Wrong, words)
        }
        (RecordState::Right | RecordState::Absent, Dmarc::None) => {
            let words = Words::new(
                format!("{name} has no DMARC policy; large receivers want one."),
                format!(
                    "{name} n’a pas de politique DMARC\u{202f}; les grands serveurs en veulent une."
                ),
            );
            (Outcome::Absent, words)
        }
    };
    Check {
        name: "dmarc",
        needed: false,
        outcome,
        words,
    }
}
