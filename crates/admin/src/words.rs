//! Events in plain words, English or French: for `trace`, `why`, the demo, the
//! text log and the admin centre.
//!
//! Not here: Postfix's phrases (`log/postfix`), JSON (`relais_store::trace`).

mod advice;

use std::fmt::Write as _;

use relais_smtp::time::Timestamp;
use relais_store::trace::{ClientSummary, Event, EventKind, To};

use crate::phrasebook::{told_detail, told_part};
use crate::plain::{clean, size, taille};

pub use crate::language::Language;
pub use advice::{advice, meaning, reference, token};

/// Recipients that a line names; the rest is counted.
const RECIPIENTS_SHOWN: usize = 3;

/// One line of `relais trace` and of the text log, without its time: status, names, addresses, the
/// words of the other side.
pub fn line(event: &Event) -> String {
    let mut line = event.kind.name().to_owned();
    if let Some(queue_id) = event.queue_id {
        let _ = write!(line, " {queue_id}");
    }
    if let Some(reference) = event.reference {
        let _ = write!(line, " ref {reference}");
    }
    if let Some(client) = event.client.as_deref() {
        let _ = write!(line, " {}", client_words(client));
    }
    if event.from.is_some() || event.to.is_some() {
        let _ = write!(line, " <{}>", clean(event.from.as_deref().unwrap_or("?")));
    }
    if event.to.is_some() {
        let _ = write!(line, " -> {}", recipients(event));
    }
    if let Some(next_hop) = event.next_hop.as_deref() {
        let _ = write!(line, " via {}", clean(next_hop));
    }
    for part in [event.reply.as_deref(), event.detail.as_deref()]
        .into_iter()
        .flatten()
    {
        let _ = write!(line, ": {}", clean(part));
    }
    if event.kind == EventKind::MessageRepaired {
        let _ = write!(line, ": {}", event.repairs.join(", "));
    }
    if let Some(octets) = event.size {
        let _ = write!(line, " ({})", size(octets));
    }
    line
}

/// One step of a message's story, as a sentence.
pub fn sentence(event: &Event, language: Language) -> String {
    if event.kind == EventKind::RecipientDelivered && event.next_hop.is_none() {
        return taken_in(event, language);
    }
    match language {
        Language::English => english(event),
        Language::French => french(event),
    }
}

fn english(event: &Event) -> String {
    let (to, hop, reply) = (
        recipients(event),
        hop(event),
        reply(event, Language::English),
    );
    let noted = |mark| detail(event, Language::English, mark);
    match event.kind {
        EventKind::ConnectionRefused => {
            format!("Connection{} refused: {reply}", client(event, " from "))
        }
        EventKind::AttemptRefused => {
            let to = event
                .to
                .as_ref()
                .map(|_| format!(" to {to}"))
                .unwrap_or_default();
            format!(
                "Refused{}, {}{to}: {reply}",
                client(event, " for "),
                sender(event, "from")
            )
        }
        EventKind::AuthFailed => format!("Login{} failed: {reply}", client(event, " from ")),
        EventKind::MessageAccepted if event.client.is_none() => format!(
            "Written by ourselves{}: {} to {to}{}. It is on stable storage.",
            noted(": "),
            sender(event, "from"),
            octets(event, size)
        ),
        EventKind::MessageAccepted => {
            let by = event.inbound_connector.as_deref();
            let by = by
                .map(|name| format!(" by connector \"{}\"", clean(name)))
                .unwrap_or_default();
            format!(
                "Accepted{}{by}: {} to {to}{}. It is on stable storage; we answered 250{}.",
                client(event, " from "),
                sender(event, "from"),
                octets(event, size),
                noted(". Noted: ")
            )
        }
        EventKind::MessageRepaired => {
            format!("Repaired on the way in: {}.", event.repairs.join(", "))
        }
        EventKind::DeliveryAttempted => {
            format!(
                "Tried at {hop}{}{}",
                took(event, "took"),
                colon(": ", &reply)
            )
        }
        EventKind::RecipientDelivered => format!("Delivered to {to}: {hop} answered \"{reply}\"."),
        EventKind::RecipientDeferred => format!(
            "Not yet delivered to {to}, will be tried again{}: {reply}",
            next(event, "at")
        ),
        EventKind::RecipientFailed => format!("Failed for {to}: {reply}"),
        EventKind::RecipientExpired => format!("Gave up for {to}, its time was up: {reply}"),
        EventKind::RecipientHeld => {
            format!("Held for {to}: a person has to release it{}.", noted(": "))
        }
        EventKind::RecipientDiscarded => format!("Discarded for {to}{}.", noted(": ")),
        EventKind::NoticeSent => format!("Told {to} by a notice{}.", noted(": ")),
        EventKind::NoticeReceived => came_back(event, Language::English),
        EventKind::EntityRestricted => format!("Blocked{}.", noted(": ")),
        EventKind::EntityReleased => format!("Released{}.", noted(": ")),
        EventKind::CheckChanged => format!("A check changed{}.", noted(": ")),
        EventKind::AlertRaised => format!("Alert{}.", noted(": ")),
        EventKind::SettingsChanged => format!("Settings changed{}.", noted(": ")),
    }
}

fn french(event: &Event) -> String {
    let (to, hop, reply) = (
        recipients(event),
        hop(event),
        reply(event, Language::French),
    );
    let noted = |mark| detail(event, Language::French, mark);
    let told = |words: &str| format!("{words}{}.", noted("\u{202f}: "));
    match event.kind {
        EventKind::ConnectionRefused => {
            format!(
                "Connexion{} refusée\u{202f}: {reply}",
                client(event, " de ")
            )
        }
        EventKind::AttemptRefused => {
            let to = event
                .to
                .as_ref()
                .map(|_| format!(" vers {to}"))
                .unwrap_or_default();
            format!(
                "Refusé{}, {}{to}\u{202f}: {reply}",
                client(event, " pour "),
                sender(event, "de")
            )
        }
        EventKind::AuthFailed => {
            format!(
                "Échec d’identification{}\u{202f}: {reply}",
                client(event, " de ")
            )
        }
        EventKind::MessageAccepted if event.client.is_none() => format!(
            "Écrit par nous-mêmes{}\u{202f}: {} pour {to}{}. Le message est sur disque.",
            noted("\u{202f}: "),
            sender(event, "de"),
            octets(event, taille)
        ),
        EventKind::MessageAccepted => accepted_in_french(event, &to),
        EventKind::MessageRepaired => {
            format!("Réparé à l’entrée\u{202f}: {}.", event.repairs.join(", "))
        }
        EventKind::DeliveryAttempted => format!(
            "Tentative auprès de {hop}{}{}",
            took(event, "durée"),
            colon("\u{202f}: ", &reply)
        ),
        EventKind::RecipientDelivered => {
            format!("Remis à {to}\u{202f}: {hop} a répondu «\u{202f}{reply}\u{202f}».")
        }
        EventKind::RecipientDeferred => format!(
            "Pas encore remis à {to}, nouvelle tentative{}\u{202f}: {reply}",
            next(event, "le")
        ),
        EventKind::RecipientFailed => format!("Échec pour {to}\u{202f}: {reply}"),
        EventKind::RecipientExpired => {
            format!("Abandonné pour {to}, délai dépassé\u{202f}: {reply}")
        }
        EventKind::RecipientHeld => format!(
            "Retenu pour {to}\u{202f}: une personne doit le libérer{}.",
            noted("\u{202f}: ")
        ),
        EventKind::RecipientDiscarded => told(&format!("Écarté pour {to}")),
        EventKind::NoticeSent => told(&format!("Avis envoyé à {to}")),
        EventKind::NoticeReceived => came_back(event, Language::French),
        EventKind::EntityRestricted => told("Restreint"),
        EventKind::EntityReleased => told("Restriction levée"),
        EventKind::CheckChanged => told("Une vérification a changé"),
        EventKind::AlertRaised => told("Alerte"),
        EventKind::SettingsChanged => told("Paramètres modifiés"),
    }
}

/// What a client handed in.
fn accepted_in_french(event: &Event, to: &str) -> String {
    let noted = |mark| detail(event, Language::French, mark);
    let by = event.inbound_connector.as_deref();
    let by = by
        .map(|name| format!(" par le connecteur «\u{202f}{}\u{202f}»", clean(name)))
        .unwrap_or_default();
    format!(
        "Accepté{}{by}\u{202f}: {} pour {to}{}. Le message est sur disque\u{202f}; nous avons répondu 250{}.",
        client(event, " de "),
        sender(event, "de"),
        octets(event, taille),
        noted(". À noter\u{202f}: ")
    )
}

/// `<a@b.example>, <c@d.example> +5`.
pub fn recipients(event: &Event) -> String {
    let bracketed = |address: &str| format!("<{}>", clean(address));
    match &event.to {
        None => "?".to_owned(),
        Some(To::One(one)) => bracketed(one),
        Some(To::Many(many)) => {
            let shown: Vec<_> = many
                .iter()
                .take(RECIPIENTS_SHOWN)
                .map(|one| bracketed(one))
                .collect();
            let mut text = shown.join(", ");
            if many.len() > RECIPIENTS_SHOWN {
                let _ = write!(text, " +{}", many.len() - RECIPIENTS_SHOWN);
            }
            text
        }
    }
}

fn client_words(client: &ClientSummary) -> String {
    match client.helo.as_deref() {
        Some(helo) => format!("{} ({})", client.address, clean(helo)),
        None => client.address.to_string(),
    }
}

fn client(event: &Event, before: &str) -> String {
    event
        .client
        .as_deref()
        .map(|it| format!("{before}{}", client_words(it)))
        .unwrap_or_default()
}

fn sender(event: &Event, word: &str) -> String {
    format!(
        "{word} <{}>",
        clean(event.from.as_deref().unwrap_or_default())
    )
}

fn octets(event: &Event, words: fn(u64) -> String) -> String {
    event
        .size
        .map(|octets| format!(", {}", words(octets)))
        .unwrap_or_default()
}

/// What came back to a bounce domain ends here.
fn taken_in(event: &Event, language: Language) -> String {
    let to = recipients(event);
    match language {
        Language::English => format!("Taken in for {to}{}.", detail(event, language, ": ")),
        Language::French => format!(
            "Reçu ici pour {to}{}.",
            detail(event, language, "\u{202f}: ")
        ),
    }
}

/// Something came back about a message, and says so much.
fn came_back(event: &Event, language: Language) -> String {
    let to = event.to.as_ref().map(|_| recipients(event));
    let said = event.reply.as_deref().map(clean);
    let (about, said, colon, opening) = match language {
        Language::English => (
            to.map(|to| format!(" about {to}")),
            said.map(|said| format!(" \"{said}\"")),
            ": ",
            "Something came back",
        ),
        Language::French => (
            to.map(|to| format!(" au sujet de {to}")),
            said.map(|said| format!(" «\u{202f}{said}\u{202f}»")),
            "\u{202f}: ",
            "Un message est revenu",
        ),
    };
    let (about, said) = (about.unwrap_or_default(), said.unwrap_or_default());
    format!("{opening}{about}{}.{said}", detail(event, language, colon))
}

/// A line of a conversation: what we note in it ourselves is told, what was said stays.
pub fn of_dialogue(language: Language, line: &str) -> String {
    let Some(noted) = line.strip_prefix("* ") else {
        return line.to_owned();
    };
    let told = noted.split(", ").map(|part| told_part(language, part));
    format!("* {}", told.collect::<Vec<_>>().join(", "))
}

fn hop(event: &Event) -> String {
    clean(event.next_hop.as_deref().unwrap_or("?")).into_owned()
}

/// The reply, or what else is known of the cause.
fn reply(event: &Event, language: Language) -> String {
    let words = event.reply.as_deref().or(event.detail.as_deref());
    let mut words = said(words.unwrap_or_default(), language);
    // What the reply must not say to whoever guesses.
    if let (EventKind::AuthFailed, Some(detail)) = (event.kind, &event.detail) {
        let _ = write!(words, " ({})", said(detail, language));
    }
    words
}

fn detail(event: &Event, language: Language, mark: &str) -> String {
    let in_french = event.detail_fr.as_deref();
    let in_french = in_french.filter(|_| language == Language::French);
    let words = event.detail.as_deref().or(event.reply.as_deref());
    let words = words.map(|words| said(words, language));
    let words = in_french.map(|it| clean(it).into_owned()).or(words);
    words.map_or_else(String::new, |words| {
        format!("{mark}{}", words.trim_end_matches('.'))
    })
}

fn said(words: &str, language: Language) -> String {
    clean(&told_detail(language, words)).into_owned()
}

fn colon(mark: &str, words: &str) -> String {
    if words.is_empty() {
        ".".to_owned()
    } else {
        format!("{mark}{words}")
    }
}

fn took(event: &Event, word: &str) -> String {
    event
        .duration_ms
        .map(|millis| format!(" ({word} {millis} ms)"))
        .unwrap_or_default()
}

/// ` at 2026-11-24 14:05:09 UTC`: to the second, in an order that both languages read alike.
fn next(event: &Event, word: &str) -> String {
    let shown = |time: Timestamp| {
        let text = time.to_rfc3339();
        let (day, hour) = text.split_once('T')?;
        Some(format!(" {word} {day} {} UTC", hour.get(..8)?))
    };
    event.next_attempt.and_then(shown).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_smtp::identifier::Reference;

    use super::*;

    fn refused() -> Event {
        Event {
            reference: Some(Reference::from_bits(7)),
            client: Some(Arc::new(ClientSummary {
                address: "10.9.9.9".parse().expect("an address"),
                helo: Some("scan\u{1b}[2J".into()),
                credential: None,
                certificate: None,
            })),
            from: Some("x@fabrikam.test".into()),
            to: Some(To::Many(vec!["a@contoso.test".into()])),
            reply: Some("550 5.7.1 Not registered for relay: 10.9.9.9 (SRC-UNKNOWN 22229)".into()),
            ..Event::new(Timestamp::from_millis(0), EventKind::AttemptRefused)
        }
    }

    #[test]
    fn a_refusal_reads_as_a_sentence_in_both_languages_without_control_characters() {
        assert_eq!(
            sentence(&refused(), Language::English),
            "Refused for 10.9.9.9 (scan\u{fffd}[2J), from <x@fabrikam.test> to <a@contoso.test>: \
             550 5.7.1 Not registered for relay: 10.9.9.9 (SRC-UNKNOWN 22229)"
        );
        assert_eq!(
            sentence(&refused(), Language::French),
            "Refusé pour 10.9.9.9 (scan\u{fffd}[2J), de <x@fabrikam.test> vers <a@contoso.test>\u{202f}: \
             550 5.7.1 Not registered for relay: 10.9.9.9 (SRC-UNKNOWN 22229)"
        );
    }

    #[test]
    fn what_we_note_in_a_conversation_is_told_and_what_was_said_stays() {
        for (line, french) in [
            (
                "* connected 0 ms, encrypted 4 ms, logged in 6 ms, accepted 12 ms",
                "* connecté 0 ms, chiffré 4 ms, identifié 6 ms, accepté 12 ms",
            ),
            (
                "* connected 1 ms, refused 9 ms",
                "* connecté 1 ms, refusé 9 ms",
            ),
            (
                "* TLS 1.3 TLS13_AES_128_GCM_SHA256, verified: no",
                "* TLS 1.3 TLS13_AES_128_GCM_SHA256, non vérifié",
            ),
            ("* 1204 octets of content", "* 1204 octets de contenu"),
            ("< 250 accepted 12 ms", "< 250 accepted 12 ms"),
            ("> RCPT TO:<no@b.example>", "> RCPT TO:<no@b.example>"),
        ] {
            assert_eq!(of_dialogue(Language::French, line), french);
            assert_eq!(of_dialogue(Language::English, line), line);
        }
    }

    #[test]
    fn what_a_check_found_is_told_in_the_words_that_were_kept_of_it() {
        let event = Event {
            detail: Some("disk is attention, was ok: 3.1 GB of 40.0 GB are free.".into()),
            detail_fr: Some("Disque, de «\u{202f}OK\u{202f}» à «\u{202f}Attention\u{202f}»".into()),
            ..Event::new(Timestamp::from_millis(0), EventKind::CheckChanged)
        };
        assert_eq!(
            sentence(&event, Language::French),
            "Une vérification a changé\u{202f}: Disque, de «\u{202f}OK\u{202f}» à \
             «\u{202f}Attention\u{202f}»."
        );
        assert_eq!(
            sentence(&event, Language::English),
            "A check changed: disk is attention, was ok: 3.1 GB of 40.0 GB are free."
        );
    }

    #[test]
    fn the_line_of_a_repair_names_it() {
        let event = Event {
            repairs: vec!["date", "message-id"],
            ..Event::new(Timestamp::from_millis(0), EventKind::MessageRepaired)
        };
        assert_eq!(line(&event), "message.repaired: date, message-id");
    }

    #[test]
    fn sizes_are_told_in_the_units_of_the_language() {
        let event = Event {
            size: Some(1_536),
            ..Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted)
        };
        assert!(sentence(&event, Language::English).contains(", 1.5 KB."));
        assert!(sentence(&event, Language::French).contains(", 1,5\u{202f}Ko."));
    }

    #[test]
    fn every_kind_of_event_has_a_line_and_a_sentence() {
        for kind in EventKind::ALL {
            let event = Event::new(Timestamp::from_millis(0), *kind);
            assert!(line(&event).starts_with(kind.name()));
            for language in [Language::English, Language::French] {
                assert!(sentence(&event, language).len() > 5, "{}", kind.name());
            }
        }
    }

    #[test]
    fn many_recipients_are_counted() {
        let many = (0..5)
            .map(|number| format!("r{number}@b.example").into())
            .collect();
        let event = Event {
            to: Some(To::Many(many)),
            ..Event::new(Timestamp::from_millis(0), EventKind::MessageAccepted)
        };
        assert_eq!(
            recipients(&event),
            "<r0@b.example>, <r1@b.example>, <r2@b.example> +2"
        );
    }
}
