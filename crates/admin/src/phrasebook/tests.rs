//! The books themselves, and how a sentence is found in them. That nothing is missing in them is
//! tested where all sources are read (`crates/relais/tests/it/phrases.rs`).

use std::collections::BTreeSet;

use super::*;

fn french(sentence: &str) -> String {
    told(Language::French, sentence).into_owned()
}

#[test]
fn a_no_of_the_api_is_said_in_french_with_what_stood_in_it() {
    for (english, expected) in [
        (
            "There is no organisation nord.",
            "Il n’y a pas d’organisation nord.",
        ),
        ("there is no key 12ab.", "il n’y a pas de clé 12ab."),
        (
            "\"x y\" is no address: the address has no @ and domain.",
            "«\u{202f}x y\u{202f}» n’est pas une adresse\u{202f}: l’adresse n’a ni @ ni domaine.",
        ),
        (
            "organisation contoso, inbound connector Printers: name must be 1 to 64 characters, \
             without spaces around it",
            "organisation contoso, connecteur entrant Printers\u{202f}: name doit avoir de 1 à \
             64\u{a0}caractères, sans espace au début ni à la fin",
        ),
        (
            "the store refuses writes: the disk is below its reserve",
            "la base refuse les écritures\u{202f}: le disque est sous sa réserve",
        ),
    ] {
        assert_eq!(french(english), expected.replace('\u{a0}', " "));
        assert_eq!(told(Language::English, english), english);
    }
}

#[test]
fn what_is_in_no_book_stays_as_it_is() {
    for unknown in [
        "",
        "Nobody ever says this.",
        "message.accepted 4QZ <a@b.example>: 250 2.0.0 Queued",
        "settings",
        "private",
    ] {
        assert_eq!(french(unknown), unknown);
    }
    let long = format!(
        "There is no organisation {}.",
        "x".repeat(SENTENCE_OCTETS_MAX)
    );
    assert_eq!(french(&long), long);
}

#[test]
fn what_somebody_typed_is_never_taken_for_our_words() {
    assert_eq!(
        french("There is no organisation private."),
        "Il n’y a pas d’organisation private."
    );
    // Its braces are no places.
    assert_eq!(
        french("There is no organisation {name}{x."),
        "Il n’y a pas d’organisation {name}{x."
    );
}

#[test]
fn the_phrase_that_says_most_is_taken() {
    let text = "a {x}\nla {x}\n\na {x} b\nla {x} bé\n";
    let book = Phrasebook::new(&[text], &[]);
    assert_eq!(book.french("a 1 b").as_deref(), Some("la 1 bé"));
    assert_eq!(book.french("a 1 c").as_deref(), Some("la 1 c"));
    assert_eq!(book.french("b 1"), None);
}

#[test]
fn a_part_stands_only_within_and_what_must_be_known_is() {
    let sentences = "{who}: {what}\n{=who} : {~what}\n";
    let parts = "the sender\nl’expéditeur\n\nit is gone\nil a disparu\n";
    let book = Phrasebook::new(&[sentences], &[parts]);
    assert_eq!(book.french("it is gone"), None);
    assert_eq!(
        book.french("the sender: it is gone").as_deref(),
        Some("l’expéditeur : il a disparu")
    );
    assert_eq!(
        book.french("the sender: x").as_deref(),
        Some("l’expéditeur : x")
    );
    assert_eq!(book.french("x: it is gone"), None);
}

#[test]
fn the_books_have_each_line_once_and_the_same_places_in_both_languages() {
    for text in [SENTENCES, PARTS, DETAILS, WORDS] {
        let lines = text.lines().filter(|line| !line.starts_with("# "));
        assert_eq!(lines.filter(|line| !line.is_empty()).count() % 2, 0);
        let mut seen = BTreeSet::new();
        for (english, french) in pairs(text) {
            let (between, places) = cut(english);
            assert!(seen.insert(between.clone()), "twice: {english}");
            let inner = between.get(1..between.len() - 1).unwrap_or_default();
            assert!(
                inner.iter().all(|part| !part.is_empty()),
                "nothing parts two places: {english}"
            );
            let names: BTreeSet<_> = places.iter().copied().collect();
            assert_eq!(names.len(), places.len(), "a place twice: {english}");
            let (_, said) = cut(french);
            let said: BTreeSet<_> = said
                .iter()
                .map(|place| place.trim_start_matches(MARKS))
                .collect();
            assert_eq!(names, said, "{english}");
        }
    }
}

#[test]
fn what_is_longer_than_any_of_ours_is_not_looked_up() {
    let long = format!(
        "There is no organisation {}.",
        "n".repeat(SENTENCE_OCTETS_MAX)
    );
    assert_eq!(told(Language::French, &long), long);
    assert_eq!(told_part(Language::French, &long), long);
    let short = "There is no organisation nord.";
    assert_ne!(told_part(Language::French, short), short);
}

/// Each by itself, as audit, trace and alerts write it.
#[test]
fn what_is_kept_in_english_is_told_in_french() {
    for (english, expected) in [
        (
            "copy to archive@contoso.test",
            "copie à archive@contoso.test",
        ),
        (
            "sender a@b.example → c@d.example; header From not verified: b.example",
            "expéditeur a@b.example → c@d.example\u{202f}; domaine de l’en-tête From non vérifié\u{202f}: \
             b.example",
        ),
        (
            "device card, sent by anna (web)",
            "fiche de réglage, envoyée par anna (web)",
        ),
        (
            "failure 5.1.1, delivery status notification from mx.example, received as 1A; recipient \
             suppressed after hard bounce; passed on to a@b.example as 2B",
            "échec 5.1.1, avis de remise (DSN) de mx.example, reçu sous l’ID 1A\u{202f}; destinataire \
             écarté\u{202f}: adresse inexistante (NDR)\u{202f}; transmis à a@b.example sous l’ID 2B",
        ),
        (
            "ip 192.0.2.77: trigger volume: 500 recipients within an hour; its mail is held; until \
             2026-11-30; by relais",
            "adresse IP 192.0.2.77\u{202f}: 500 destinataires en une heure\u{202f}; son courrier est \
             retenu\u{202f}; jusqu’au 2026-11-30\u{202f}; par relais",
        ),
        (
            "ip 192.0.2.77: it floods us; until 2026-11-30",
            "adresse IP 192.0.2.77\u{202f}: it floods us\u{202f}; jusqu’au 2026-11-30",
        ),
        (
            "rule quiet: tried again, the site rests for 5m; mx.example said: 451 4.7.1 not of ours",
            "règle quiet\u{202f}: nouvelle tentative, le site est laissé en paix pendant \
             5m\u{202f}; mx.example a répondu\u{202f}: 451 4.7.1 not of ours",
        ),
        (
            "DKIM of b.example: r1 does not sign any more; its record must stay for 4 days",
            "DKIM de b.example\u{202f}: r1 ne signe plus\u{202f}; son enregistrement doit rester 4 \
             jours",
        ),
        (
            "in clear text: nobody of ours",
            "en clair\u{202f}: nobody of ours",
        ),
    ] {
        assert_eq!(told_detail(Language::French, english), expected);
        assert_eq!(told_detail(Language::English, english), english);
    }
}

#[test]
fn a_line_of_the_audit_says_whose_it_is_and_what_it_was() {
    for (english, expected) in [
        (
            "anna: owner of contoso -> helpdesk",
            "anna\u{202f}: propriétaire de contoso -> assistance",
        ),
        ("anna (owner)", "anna (propriétaire)"),
        (
            "anna (helpdesk of contoso) from 192.0.2.7, by password and code",
            "anna (assistance de contoso) depuis 192.0.2.7, par mot de passe et code",
        ),
        ("1A2B of contoso", "1A2B de contoso"),
        ("r1 of b.example", "r1 de b.example"),
        (
            "smart-host-password Out of the installation",
            "mot de passe d’hôte intelligent Out de l’installation",
        ),
        (
            "https://login.example as relais, roles: Desk = helpdesk of contoso -> none",
            "https://login.example en tant que relais, roles\u{202f}: Desk = assistance de contoso \
             -> aucun",
        ),
        (
            "quiet hours none -> 22:00 to 07:00 UTC",
            "heures calmes aucun -> de 22:00 à 07:00 UTC",
        ),
        ("threshold 3600 -> 60", "seuil 3600 -> 60"),
        (
            "not erased from the trace: 2026-11-24, 2026-11-25.damaged",
            "pas effacé dans le suivi\u{202f}: 2026-11-24, 2026-11-25.damaged",
        ),
        (
            "not erased from conversations: 2026-11-24",
            "pas effacé dans les conversations\u{202f}: 2026-11-24",
        ),
        (
            "not erased from events that wait to be written: 3",
            "pas effacé dans les événements qui attendent d’être écrits\u{202f}: 3",
        ),
        ("urgent no -> yes", "urgente non -> oui"),
        ("what somebody typed of it", "what somebody typed of it"),
    ] {
        assert_eq!(told_audit(Language::French, english), expected);
        assert_eq!(told_audit(Language::English, english), english);
    }
}
