//! What leads mail to us: MX, the bounce domain, and the policies of encryption for both (MTA-STS,
//! RFC 8461; TLS-RPT, RFC 8460).

use relais_smtp::domain::Domain;

use super::known::Known;
use super::record::{Differs, ProposedRecord, RecordKind, RecordState};
use super::signing::tag;
use super::{Assessment, Check, Outcome, PolicyFile, Subject, Words, sending};
use crate::document::{MtaSts, MtaStsMode};
use crate::registered::belong_together;
use crate::sts;

/// Ours stands first; others of the customer are theirs to order.
pub(super) const MX_PREFERENCE: u16 = 10;
pub(super) fn look(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    let name = subject.name.as_str();
    let host = subject.site.hostname.as_str();
    let state = known.mx_state(name, host);
    let is_mx = state == RecordState::Right || !subject.domain.mailbox_host.is_empty();
    found.checks.push(mx_check(subject, &state, is_mx));
    if is_mx {
        found.records.push(ProposedRecord {
            purpose: "mx",
            needed: false,
            name: name.to_owned(),
            kind: RecordKind::Mx(MX_PREFERENCE, host.to_owned()),
            words: Words::new(
                "Leads mail from outside to us, who pass it on to the mailbox host; in place of \
                 others, else some mail goes past us.",
                "Fait arriver ici le courrier de l’extérieur, que nous transmettons au serveur de boîtes aux lettres\u{202f}; à \
                 la place des autres, sinon une partie passe à côté.",
            ),
            state,
        });
    }
    if let Some(bounce) = subject.bounce_domain() {
        bounces(subject, known, found, &bounce);
    }
    if is_mx {
        strict_transport(subject, known, found);
        reports(subject, known, found);
    }
}

fn mx_check(subject: &Subject<'_>, state: &RecordState, is_mx: bool) -> Check {
    let (name, host) = (subject.name, &subject.site.hostname);
    let (outcome, words) = match state {
        RecordState::Right => (
            Outcome::Good,
            Words::new(
                format!("MX of {name} leads to us ({host})."),
                format!("Le MX de {name} mène à nous ({host})."),
            ),
        ),
        RecordState::Differs(Differs(found)) => {
            let found = found.join(", ");
            let words = Words::new(
                format!("MX of {name} leads to {found}, not to us."),
                format!("Le MX de {name} mène à {found}, pas à nous."),
            );
            // Usual, where mail is only sent through us.
            let outcome = if is_mx { Outcome::Wrong } else { Outcome::Good };
            (outcome, words)
        }
        RecordState::Absent => (
            Outcome::Absent,
            Words::new(
                format!("{name} has no MX: nobody can reply, and some receivers mind."),
                format!(
                    "{name} n’a pas de MX\u{202f}: personne ne peut répondre, et certains serveurs l’exigent."
                ),
            ),
        ),
        RecordState::Unknown(because) => (
            Outcome::Unknown,
            Words::new(
                format!("MX of {name} is not known: {because}."),
                format!("Le MX de {name} n’est pas connu\u{202f}: {because}."),
            ),
        ),
    };
    Check {
        name: "mx",
        needed: false,
        outcome,
        words,
    }
}

fn bounces(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment, bounce: &Domain) {
    let (name, host) = (bounce.as_str(), subject.site.hostname.as_str());
    let state = known.mx_state(name, host);
    let (spf_record, spf_check) = sending::of_bounce(subject, known, name);
    let is_aligned = belong_together(bounce, subject.name);
    let mut words = Words::new(
        "Bounces come back to us here, and its SPF record is what receivers ask.",
        "Les retours nous reviennent ici, et c’est son SPF que les serveurs demandent.",
    );
    if !is_aligned {
        words.push(&Words::new(
            "It belongs to another domain: SPF is not aligned, only DKIM counts for DMARC.",
            "Il appartient à un autre domaine\u{202f}: SPF n’est pas aligné, seul DKIM compte pour DMARC.",
        ));
    }
    let made = |purpose, kind, state| ProposedRecord {
        purpose,
        needed: true,
        name: name.to_owned(),
        kind,
        words: words.clone(),
        state,
    };
    let mx_check = bounce_check(name, host, &state);
    match subject.site.bounce_name() {
        // One alias brings both.
        Some(target) => {
            let spf_state = spf_record.map(|record| record.state);
            let both = match spf_state {
                Some(spf_state) if state == RecordState::Right => spf_state,
                _ => state,
            };
            found
                .records
                .push(made("bounce", RecordKind::Alias(target), both));
        }
        None => {
            let kind = RecordKind::Mx(MX_PREFERENCE, host.to_owned());
            found.records.push(made("bounce-mx", kind, state));
            found.records.extend(spf_record);
        }
    }
    found.checks.push(mx_check);
    found.checks.push(spf_check);
}

fn bounce_check(name: &str, host: &str, state: &RecordState) -> Check {
    let words = match state {
        RecordState::Right => Words::new(
            format!("Bounces to {name} come to us."),
            format!("Les retours à {name} nous parviennent."),
        ),
        RecordState::Absent => Words::new(
            format!(
                "{name} has no MX: envelope senders stay as they are until it does. Publish MX \
                 {MX_PREFERENCE} {host}."
            ),
            format!(
                "{name} n’a pas de MX\u{202f}: d’ici là, les expéditeurs d’enveloppe restent tels quels. \
                 Publiez MX {MX_PREFERENCE} {host}."
            ),
        ),
        RecordState::Differs(Differs(found)) => {
            let found = found.join(", ");
            Words::new(
                format!(
                    "MX of {name} leads to {found}: bounces would not come to us, so envelope \
                     senders stay as they are."
                ),
                format!(
                    "Le MX de {name} mène à {found}\u{202f}: les retours ne nous parviendraient pas\u{202f}; \
                     les expéditeurs d’enveloppe restent tels quels."
                ),
            )
        }
        RecordState::Unknown(because) => Words::new(
            format!("MX of {name} is not known: {because}."),
            format!("Le MX de {name} n’est pas connu\u{202f}: {because}."),
        ),
    };
    Check {
        name: "bounce-mx",
        needed: true,
        outcome: state.outcome(),
        words,
    }
}

/// Where we are the MX: whoever sends to the domain is to encrypt.
fn strict_transport(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    let (domain, site) = (subject.name, subject.site);
    let own = sts::own_policy(&subject.domain.mta_sts, &site.hostname);
    let is_shown = own.is_some() && site.shows_policies;
    // A week of trying it out is what we advise to whoever has none.
    let advised = MtaSts {
        mode: MtaStsMode::Testing,
        ..MtaSts::default()
    };
    let policy = own.or_else(|| sts::own_policy(&advised, &site.hostname));
    let Some(policy) = policy else { return };
    let name = format!("_mta-sts.{domain}");
    let state = known.text_state(&name, |text| {
        let id = tag(text, "id");
        let is_right = !is_shown || id.as_deref() == Some(policy.id().as_str());
        tag(text, "v").as_deref() == Some("STSv1") && id.is_some() && is_right
    });
    found.checks.push(advice(
        "mta-sts",
        &state,
        ("an MTA-STS policy", "Politique MTA-STS"),
    ));
    found.records.push(ProposedRecord {
        purpose: "mta-sts",
        needed: false,
        name,
        kind: RecordKind::Text(format!("v=STSv1; id={};", policy.id().as_str())),
        words: if is_shown {
            Words::new(
                "Tells senders to fetch the policy, which this relay shows; changes with it.",
                "Fait chercher la politique, que ce relais montre\u{202f}; change avec elle.",
            )
        } else {
            Words::new(
                "Tells senders to fetch the policy beside it, which a web server must show over \
                 HTTPS.",
                "Fait chercher la politique jointe, qu’un serveur web doit montrer par HTTPS.",
            )
        },
        state,
    });
    if is_shown {
        found.records.push(policy_host(subject, known));
    }
    found.policy_file = Some(PolicyFile {
        address: format!("https://mta-sts.{domain}/.well-known/mta-sts.txt"),
        text: policy.file(),
    });
}

/// Where senders tell us how encryption went.
fn reports(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    if subject.postmaster.is_empty() {
        return;
    }
    let name = format!("_smtp._tls.{}", subject.name);
    let state = known.text_state(&name, |text| tag(text, "v").as_deref() == Some("TLSRPTv1"));
    found.checks.push(advice(
        "tls-rpt",
        &state,
        ("an address for reports of TLS", "Adresse des rapports TLS"),
    ));
    found.records.push(ProposedRecord {
        purpose: "tls-rpt",
        needed: false,
        name,
        kind: RecordKind::Text(format!("v=TLSRPTv1; rua=mailto:{}", subject.postmaster)),
        words: Words::new(
            "Asks senders to report where encryption failed.",
            "Demande aux expéditeurs de signaler les échecs de chiffrement.",
        ),
        state,
    });
}

/// Where senders fetch the policy: from us.
fn policy_host(subject: &Subject<'_>, known: &mut Known<'_>) -> ProposedRecord {
    let (name, host) = (format!("mta-sts.{}", subject.name), &subject.site.hostname);
    let state = match (known.addresses(&name), known.addresses(host)) {
        (Ok(found), Ok(ours)) if found.iter().any(|one| ours.contains(one)) => RecordState::Right,
        (Ok(found), _) if found.is_empty() => RecordState::Absent,
        (Ok(found), Ok(_)) => {
            let found = found.iter().map(ToString::to_string);
            RecordState::Differs(Differs(found.collect()))
        }
        (Err(because), _) | (Ok(_), Err(because)) => RecordState::Unknown(because),
    };
    ProposedRecord {
        purpose: "mta-sts-host",
        needed: false,
        name,
        kind: RecordKind::Alias(host.clone()),
        words: Words::new(
            "Leads senders to this relay, which shows them the policy over HTTPS.",
            "Mène les expéditeurs à ce relais, qui leur montre la politique par HTTPS.",
        ),
        state,
    }
}

fn advice(name: &'static str, state: &RecordState, (english, french): (&str, &str)) -> Check {
    let words = match state {
        RecordState::Right => Words::new(
            format!("DNS shows {english}."),
            format!("{french}\u{202f}: visible dans le DNS."),
        ),
        RecordState::Absent | RecordState::Differs(_) => Words::new(
            format!("DNS does not show {english}; advised."),
            format!("{french}\u{202f}: absente du DNS\u{202f}; conseillée."),
        ),
        RecordState::Unknown(because) => Words::new(
            format!("Whether DNS shows {english} is not known: {because}."),
            format!("{french}\u{202f}: le DNS n’a pas répondu ({because})."),
        ),
    };
    Check {
        name,
        needed: false,
        outcome: state.outcome(),
        words,
    }
}
