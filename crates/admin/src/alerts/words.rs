//! What people are told of alerts, in English and French.

use relais_policy::alert::{RuleKind, Told, Turn};

use crate::phrasebook::told_detail;
use crate::words::Language;

/// A rule's name for people.
pub(crate) const fn rule(kind: RuleKind, language: Language) -> &'static str {
    let (english, french) = match kind {
        RuleKind::QueueAge => ("Mail waits", "Du courrier attend"),
        RuleKind::DeliveryTime => ("Delivery is slow", "La remise est lente"),
        RuleKind::FailureShare => ("Many deliveries fail", "De nombreuses remises échouent"),
        RuleKind::RefusedAttempts => ("Many refused attempts", "De nombreuses tentatives refusées"),
        RuleKind::Silence => ("A device is silent", "Un appareil est silencieux"),
        RuleKind::CertificateExpiry => ("A certificate ends", "Un certificat expire"),
        RuleKind::CredentialExpiry => (
            "A credential or key ends",
            "Un identifiant ou une clé expire",
        ),
        RuleKind::DomainExpiry => ("A domain will be suspended", "Un domaine va être suspendu"),
        RuleKind::DnsDrift => (
            "DNS is not as it should be",
            "Le DNS n’est pas comme il devrait",
        ),
        RuleKind::Blocklist => (
            "An address of ours is on a blocklist",
            "Une de nos adresses est sur une liste de blocage",
        ),
        RuleKind::Disk => ("The disk is nearly full", "Le disque est presque plein"),
        RuleKind::Limit => (
            "A limit is nearly used up",
            "Une limite est presque atteinte",
        ),
        RuleKind::RestrictedEntity => ("Something is blocked", "Une restriction est en vigueur"),
        RuleKind::Unaccounted => ("Mail is unaccounted for", "Du courrier est introuvable"),
    };
    match language {
        Language::English => english,
        Language::French => french,
    }
}

/// What a rule was raised for: where a restriction is, its kind in words.
pub(crate) fn subject(kind: RuleKind, subject: &str, language: Language) -> String {
    let Some((entity, value)) = subject.split_once(' ') else {
        return subject.to_owned();
    };
    let (english, french) = match (kind, entity) {
        (RuleKind::RestrictedEntity, "ip") => ("address", "adresse IP"),
        (RuleKind::RestrictedEntity, "address") => ("sender", "expéditeur"),
        (RuleKind::RestrictedEntity, "domain") => ("domain", "domaine"),
        (RuleKind::RestrictedEntity, "connector") => ("connector", "connecteur"),
        (RuleKind::RestrictedEntity, "credential") => ("credential", "identifiant"),
        (RuleKind::RestrictedEntity, "organisation") => ("organisation", "organisation"),
        (RuleKind::RestrictedEntity, "device") => ("device", "appareil"),
        _ => return told_detail(language, subject).into_owned(),
    };
    format!("{} {value}", language.pick(english, french))
}

/// One line of a note.
pub(crate) fn line(told: &Told, language: Language) -> String {
    let turn = match told.turn {
        Turn::Raised => language.pick("RAISED", "ALERTE"),
        Turn::Cleared => language.pick("CLEARED", "TERMINÉE"),
    };
    let colon = language.pick(":", "\u{202f}:");
    let mut line = format!("{turn}{colon} {}", rule(told.kind, language));
    let about = subject(told.kind, &told.subject, language);
    for which in [told.scope.to_string(), about] {
        if !which.is_empty() {
            line.push_str(&format!(" – {which}"));
        }
    }
    if told.turn == Turn::Raised {
        line.push_str(&format!(" ({})", value(told.kind, told.value, language)));
        if !told.detail.is_empty() {
            let detail = told_detail(language, &told.detail);
            line.push_str(&format!("{colon} {detail}"));
        }
    }
    line
}

/// A number with its unit.
pub(crate) fn value(kind: RuleKind, value: u64, language: Language) -> String {
    match kind.unit() {
        "s" if value >= 2 * 86_400 => {
            format!("{} {}", value / 86_400, language.pick("days", "jours"))
        }
        "s" if value >= 2 * 3_600 => format!("{} h", value / 3_600),
        "s" if value >= 120 => format!("{} min", value / 60),
        "d" => format!("{value} {}", language.pick("days", "jours")),
        "" => value.to_string(),
        _ => format!("{value} {}", unit(kind, language)),
    }
}

/// The unit of a rule's numbers; empty: they are counted.
pub(crate) const fn unit(kind: RuleKind, language: Language) -> &'static str {
    match (kind.unit().as_bytes(), language) {
        (b"d", Language::English) => "days",
        (b"d", Language::French) => "jours",
        (b"MB", Language::French) => "Mo",
        _ => kind.unit(),
    }
}

#[cfg(test)]
mod tests {
    use relais_policy::alert::Scope;

    use super::*;

    fn told(turn: Turn) -> Told {
        Told {
            turn,
            kind: RuleKind::QueueAge,
            scope: Scope::ALL,
            subject: "example.org".to_owned(),
            value: 7_200,
            detail: "451 4.3.0 later".to_owned(),
            at: 0,
        }
    }

    #[test]
    fn a_restriction_is_told_by_the_words_of_its_kind() {
        let told = |kind, language| subject(kind, "ip 192.0.2.77", language);
        let kind = RuleKind::RestrictedEntity;
        assert_eq!(told(kind, Language::English), "address 192.0.2.77");
        assert_eq!(told(kind, Language::French), "adresse IP 192.0.2.77");
        let other = subject(
            RuleKind::CredentialExpiry,
            "credential scan-1",
            Language::French,
        );
        assert_eq!(other, "identifiant scan-1");
    }

    #[test]
    fn a_line_says_what_where_how_much_and_why() {
        assert_eq!(
            line(&told(Turn::Raised), Language::English),
            "RAISED: Mail waits – example.org (2 h): 451 4.3.0 later"
        );
        assert_eq!(
            line(&told(Turn::Raised), Language::French),
            "ALERTE\u{202f}: Du courrier attend – example.org (2 h)\u{202f}: 451 4.3.0 later"
        );
        assert_eq!(
            line(&told(Turn::Cleared), Language::English),
            "CLEARED: Mail waits – example.org"
        );
        let mut narrow = told(Turn::Cleared);
        narrow.scope.connector = "Printers".to_owned();
        assert_eq!(
            line(&narrow, Language::English),
            "CLEARED: Mail waits – connector:Printers – example.org"
        );
    }

    /// The trace keeps the English line; who reads French is told the same as by mail.
    #[test]
    fn the_line_of_the_trace_is_told_in_french_as_it_is_mailed() {
        for kind in RuleKind::ALL {
            for (subject, detail) in [
                ("", ""),
                ("example.org", ""),
                ("", "last message 2026"),
                (
                    "example.org",
                    "80 used of 100, reached at 2026 at this pace",
                ),
            ] {
                for turn in [Turn::Raised, Turn::Cleared] {
                    let told = Told {
                        kind,
                        subject: subject.to_owned(),
                        detail: detail.to_owned(),
                        value: 400_000,
                        ..told(turn)
                    };
                    assert_eq!(
                        told_detail(Language::French, &line(&told, Language::English)),
                        line(&told, Language::French)
                    );
                }
            }
        }
    }

    #[test]
    fn detail_and_subject_of_an_alert_are_in_the_language_of_who_gets_it() {
        let told = Told {
            kind: RuleKind::CredentialExpiry,
            subject: "the client secret of connector contoso/Out".to_owned(),
            detail: "2026-12-24T00:00:00Z: put a new one into its file".to_owned(),
            value: 3,
            ..told(Turn::Raised)
        };
        assert_eq!(
            line(&told, Language::French),
            "ALERTE\u{202f}: Un identifiant ou une clé expire – le secret client du connecteur \
             contoso/Out (3 jours)\u{202f}: 2026-12-24T00:00:00Z\u{202f}: mettez-en un nouveau \
             dans son fichier"
        );
    }
}
