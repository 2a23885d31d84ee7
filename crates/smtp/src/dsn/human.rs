//! The first part, for people: what happened to whom, why, who can mend it, and how.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::safe;
use crate::time::Timestamp;

use super::advice::Situation;
use super::writing::{cut, field, paragraph};
use super::{
    Action, DIAGNOSTIC_CHARACTERS_MAX, Language, Notice, Part, RecipientStatus,
    SUBJECT_CHARACTERS_MAX,
};

/// The notice's own subject.
pub(super) fn subject(notice: &Notice<'_>) -> String {
    let english = notice.language == Language::English;
    let prefix = match (gravest(notice.recipients), notice.language) {
        (Action::Failed, Language::English) => "Undeliverable: ",
        (Action::Failed, Language::French) => "Non remis\u{202f}: ",
        (Action::Delayed, Language::English) => "Delayed: ",
        (Action::Delayed, Language::French) => "Retardé\u{202f}: ",
        (Action::Relayed, Language::English) => "Relayed: ",
        (Action::Relayed, Language::French) => "Transmis\u{202f}: ",
        (Action::Delivered, Language::English) => "Delivered: ",
        (Action::Delivered, Language::French) => "Remis\u{202f}: ",
    };
    let none = if english {
        "(no subject)"
    } else {
        "(sans objet)"
    };
    format!(
        "{prefix}{}",
        original_subject(notice).as_deref().unwrap_or(none)
    )
}

pub(super) fn part(notice: &Notice<'_>) -> Part {
    let mut text = String::new();
    write_opening(notice, &mut text);
    for group in groups(notice.recipients) {
        text.push_str("\r\n");
        for recipient in &group {
            paragraph("", &address_line(recipient, notice.language), &mut text);
        }
        write_group(group[0], notice, &mut text);
    }
    text.push_str("\r\n");
    let closing = match (notice.language, notice.original_is_full) {
        (Language::English, true) => {
            "If you need help, pass this whole notice on to your mail administrator. The details \
             for specialists and the message follow."
        }
        (Language::English, false) => {
            "If you need help, pass this whole notice on to your mail administrator. The details \
             for specialists and the header of the message follow."
        }
        (Language::French, true) => {
            "Si vous avez besoin d’aide, transmettez cet avis en entier à votre administrateur de \
             messagerie. Les détails techniques et le message suivent."
        }
        (Language::French, false) => {
            "Si vous avez besoin d’aide, transmettez cet avis en entier à votre administrateur de \
             messagerie. Les détails techniques et l’en-tête du message suivent."
        }
    };
    paragraph("", closing, &mut text);
    let mut part = Part::new(
        "text/plain; charset=utf-8",
        "Notification",
        text.into_bytes(),
    );
    let language = match notice.language {
        Language::English => "en",
        Language::French => "fr",
    };
    field("Content-Language", language, &mut part.header);
    part
}

/// The action that the subject and the opening speak of.
fn gravest(recipients: &[RecipientStatus]) -> Action {
    let has = |action| {
        recipients
            .iter()
            .any(|recipient| recipient.action == action)
    };
    [Action::Failed, Action::Delayed, Action::Relayed]
        .into_iter()
        .find(|action| has(*action))
        .unwrap_or(Action::Delivered)
}

fn original_subject(notice: &Notice<'_>) -> Option<String> {
    let subject = notice.subject?.trim();
    (!subject.is_empty()).then(|| cut(&safe::printable(subject), SUBJECT_CHARACTERS_MAX))
}

fn write_opening(notice: &Notice<'_>, text: &mut String) {
    let server = safe::printable(notice.hostname);
    let greeting = match notice.language {
        Language::English => {
            format!("This notice was written automatically by the mail server {server}.")
        }
        Language::French => {
            format!("Cet avis a été rédigé automatiquement par le serveur de messagerie {server}.")
        }
    };
    paragraph("", &greeting, text);
    text.push_str("\r\n");
    write_message(notice, text);
    if let Some(sender) = notice.on_behalf_of {
        let sender = shown(sender);
        let why = match notice.language {
            Language::English => format!(
                "The message was sent from {sender}, an address that has no mailbox. The notice \
                 comes to you because you look after the connector that the message came through."
            ),
            Language::French => format!(
                "Le message a été envoyé depuis {sender}, une adresse qui n’a pas de boîte aux \
                 lettres. L’avis vous parvient parce que vous êtes responsable du connecteur par \
                 lequel le message est passé."
            ),
        };
        text.push_str("\r\n");
        paragraph("", &why, text);
    }
    text.push_str("\r\n");
    let became = match notice.language {
        Language::English => opening_english(notice.recipients),
        Language::French => opening_french(notice.recipients),
    };
    paragraph("", became, text);
}

/// Subject, time and queue id of the original.
fn write_message(notice: &Notice<'_>, text: &mut String) {
    let (labels, none) = match notice.language {
        Language::English => (["Subject: ", "Sent: ", "Queue id: "], "(no subject)"),
        Language::French => (
            [
                "Objet\u{202f}: ",
                "Envoyé\u{202f}: ",
                "Identifiant\u{202f}: ",
            ],
            "(sans objet)",
        ),
    };
    let subject = original_subject(notice).unwrap_or_else(|| none.to_string());
    let values = [
        subject,
        moment(notice.arrival, notice.language),
        safe::printable(notice.queue_ids.0).into_owned(),
    ];
    for (label, value) in labels.iter().zip(values) {
        paragraph(&format!("    {label}"), &value, text);
    }
}

fn opening_english(recipients: &[RecipientStatus]) -> &'static str {
    let mixed = recipients
        .iter()
        .any(|recipient| recipient.action != recipients[0].action);
    if mixed {
        return "This is what became of the message:";
    }
    match (gravest(recipients), recipients.len()) {
        (Action::Failed, 1) => "The message could not be delivered to this recipient:",
        (Action::Failed, _) => "The message could not be delivered to these recipients:",
        (Action::Delayed, 1) => "The message has not been delivered to this recipient yet:",
        (Action::Delayed, _) => "The message has not been delivered to these recipients yet:",
        (Action::Relayed, _) => "The message was passed on:",
        (Action::Delivered, _) => "The message was delivered:",
    }
}

fn opening_french(recipients: &[RecipientStatus]) -> &'static str {
    let mixed = recipients
        .iter()
        .any(|recipient| recipient.action != recipients[0].action);
    if mixed {
        return "Voici ce qu’il est advenu du message\u{202f}:";
    }
    match (gravest(recipients), recipients.len()) {
        (Action::Failed, 1) => "Le message n’a pas pu être remis à ce destinataire\u{202f}:",
        (Action::Failed, _) => "Le message n’a pas pu être remis à ces destinataires\u{202f}:",
        (Action::Delayed, 1) => "Le message n’a pas encore été remis à ce destinataire\u{202f}:",
        (Action::Delayed, _) => "Le message n’a pas encore été remis à ces destinataires\u{202f}:",
        (Action::Relayed, _) => "Le message a été transmis\u{202f}:",
        (Action::Delivered, _) => "Le message a été remis\u{202f}:",
    }
}

/// Recipients of whom the same is to be said stand together, in the order of their first.
fn groups(recipients: &[RecipientStatus]) -> Vec<Vec<&RecipientStatus>> {
    let same = |a: &RecipientStatus, b: &RecipientStatus| {
        a.action == b.action
            && a.status == b.status
            && a.remote_mta == b.remote_mta
            && a.diagnostic == b.diagnostic
            && a.explanation == b.explanation
            && a.will_retry_until == b.will_retry_until
    };
    let mut groups: Vec<Vec<&RecipientStatus>> = Vec::new();
    for recipient in recipients {
        match groups.iter_mut().find(|group| same(group[0], recipient)) {
            Some(group) => group.push(recipient),
            None => groups.push(alloc::vec![recipient]),
        }
    }
    groups
}

/// The address, and how the sender wrote it where that differs.
fn address_line(recipient: &RecipientStatus, language: Language) -> String {
    let address = shown(&recipient.final_recipient);
    let written = recipient
        .original_recipient
        .as_ref()
        .map(|original| safe::printable(&original.address))
        .filter(|original| {
            *original != address && **original != *recipient.final_recipient.to_string()
        });
    match (written, language) {
        (None, _) => address,
        (Some(written), Language::English) => format!("{address} (addressed as {written})"),
        (Some(written), Language::French) => format!("{address} (adressé à {written})"),
    }
}

fn write_group(recipient: &RecipientStatus, notice: &Notice<'_>, text: &mut String) {
    let language = notice.language;
    let server = recipient.remote_mta.as_deref().map(safe::printable);
    let result = match language {
        Language::English => result_english(recipient, server.as_deref()),
        Language::French => result_french(recipient, server.as_deref()),
    };
    let [result_label, cause_label, who_label, remedy_label] = match language {
        Language::English => ["Result: ", "Cause: ", "Who can mend it: ", "What to do: "],
        Language::French => [
            "Résultat\u{202f}: ",
            "Cause\u{202f}: ",
            "Qui peut y remédier\u{202f}: ",
            "Que faire\u{202f}: ",
        ],
    };
    paragraph("  ", &format!("{result_label}{result}"), text);
    if matches!(recipient.action, Action::Failed | Action::Delayed) {
        let situation = Situation::of(recipient);
        let advice = situation.advice(language);
        let cause = match &recipient.explanation {
            Some(own) => safe::printable(own),
            None => Cow::Borrowed(advice.cause),
        };
        paragraph("  ", &format!("{cause_label}{cause}"), text);
        if recipient.action == Action::Failed {
            let who = advice.who.text(language, notice.on_behalf_of.is_some());
            paragraph("  ", &format!("{who_label}{who}"), text);
            paragraph("  ", &format!("{remedy_label}{}", advice.remedy), text);
        }
    }
    if let Some(reply) = &recipient.diagnostic {
        let head = match (language, &server) {
            (Language::English, Some(server)) => format!("The server {server} answered:"),
            (Language::English, None) => "The receiving server answered:".to_string(),
            (Language::French, Some(server)) => {
                format!("Le serveur {server} a répondu\u{202f}:")
            }
            (Language::French, None) => "Le serveur distant a répondu\u{202f}:".to_string(),
        };
        paragraph("  ", &head, text);
        let reply = cut(&reply.to_string(), DIAGNOSTIC_CHARACTERS_MAX);
        paragraph("      ", &safe::printable(&reply), text);
    }
}

fn result_english(recipient: &RecipientStatus, server: Option<&str>) -> String {
    match recipient.action {
        Action::Failed => "Not delivered. We will not try again.".to_string(),
        Action::Delayed => {
            let until = recipient
                .will_retry_until
                .map(|time| moment(time, Language::English));
            let until = until
                .map(|time| format!(" until {time}"))
                .unwrap_or_default();
            format!(
                "Not delivered yet. We go on trying{until}. You need not do anything, and need \
                 not send the message again."
            )
        }
        Action::Delivered => "Delivered to the mailbox.".to_string(),
        Action::Relayed => format!(
            "Passed on to {}, which does not report back. You will hear no more from us about \
             this recipient.",
            server.map_or_else(
                || "the next server".to_string(),
                |name| format!("the server {name}")
            )
        ),
    }
}

fn result_french(recipient: &RecipientStatus, server: Option<&str>) -> String {
    match recipient.action {
        Action::Failed => "Non remis. Nous n’essaierons plus.".to_string(),
        Action::Delayed => {
            let until = recipient
                .will_retry_until
                .map(|time| moment(time, Language::French));
            let until = until
                .map(|time| format!(" jusqu’au {time}"))
                .unwrap_or_default();
            format!(
                "Pas encore remis. Nous continuons d’essayer{until}. Vous n’avez rien à faire, et \
                 il est inutile de renvoyer le message."
            )
        }
        Action::Delivered => "Remis dans la boîte aux lettres.".to_string(),
        Action::Relayed => format!(
            "Transmis au serveur {}, qui n’envoie pas de compte rendu. Vous ne recevrez plus \
             d’avis de notre part pour ce destinataire.",
            server.unwrap_or("suivant")
        ),
    }
}

/// An address for people: its domain in its own letters.
fn shown(mailbox: &Mailbox) -> String {
    let text = match mailbox.domain() {
        Some(domain) => format!("{}@{}", mailbox.local_part(), domain.to_unicode()),
        None => mailbox.to_string(),
    };
    safe::printable(&text).into_owned()
}

const MONTHS_ENGLISH: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_FRENCH: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// `24 November 2026, 10:00 UTC`, `24 novembre 2026 à 10 h 00 (UTC)`.
fn moment(time: Timestamp, language: Language) -> String {
    let written = time.to_rfc3339();
    let Some((date, clock)) = written.split_once('T') else {
        return written;
    };
    let mut date = date.rsplitn(3, '-');
    let (Some(day), Some(month), Some(year)) = (date.next(), date.next(), date.next()) else {
        return written;
    };
    let (Some(hour), Some(minute)) = (clock.get(..2), clock.get(3..5)) else {
        return written;
    };
    let day = day.trim_start_matches('0');
    let month = month
        .parse::<usize>()
        .ok()
        .and_then(|month| month.checked_sub(1));
    let months = match language {
        Language::English => MONTHS_ENGLISH,
        Language::French => MONTHS_FRENCH,
    };
    let Some(month) = month.and_then(|month| months.get(month)) else {
        return written;
    };
    match language {
        Language::English => format!("{day} {month} {year}, {hour}:{minute} UTC"),
        Language::French => {
            let day = if day == "1" { "1er" } else { day };
            format!("{day}\u{a0}{month} {year} à {hour}\u{a0}h\u{a0}{minute} (UTC)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_people_do() {
        let first = Timestamp::from_millis(1_793_526_300_000);
        assert_eq!(
            moment(first, Language::English),
            "1 November 2026, 09:45 UTC"
        );
        assert_eq!(
            moment(first, Language::French),
            "1er\u{a0}novembre 2026 à 09\u{a0}h\u{a0}45 (UTC)"
        );
        let tenth = Timestamp::from_millis(1_791_590_400_000);
        assert_eq!(
            moment(tenth, Language::English),
            "10 October 2026, 00:00 UTC"
        );
    }
}
