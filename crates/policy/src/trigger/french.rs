//! In French, what a trigger says of its finding: kept in English, as the record it is.

use super::TriggerKind;

/// The French of a reason or of a line of evidence; none for what no trigger wrote.
pub(super) fn of(line: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("trigger new-network: ") {
        return new_network(rest);
    }
    if let Some(rest) = line.strip_prefix("trigger ") {
        return too_much(rest);
    }
    if let Some(rest) = line.strip_prefix("usual at this hour: ") {
        let (usual, busiest) = rest.split_once(", busiest: ")?;
        return Some(format!(
            "habitude à cette heure\u{202f}: {usual}, maximum\u{202f}: {busiest}"
        ));
    }
    if let Some(samples) = line.strip_prefix("last: ") {
        return Some(format!("derniers\u{202f}: {samples}"));
    }
    if let Some(address) = line.strip_prefix("from ") {
        return Some(format!("depuis {address}"));
    }
    (line == "panic switch").then(|| "arrêt d’urgence".to_owned())
}

fn new_network(rest: &str) -> Option<String> {
    let (entity, rest) = rest.split_once(" was never used from ")?;
    let network = rest.strip_suffix(" before")?;
    let who = match entity.split_once(' ') {
        Some(("credential", value)) => format!("l’identifiant {value}"),
        _ => entity.to_owned(),
    };
    Some(format!(
        "nouveau réseau\u{202f}: {who} n’avait jamais été utilisé depuis {network}"
    ))
}

fn too_much(rest: &str) -> Option<String> {
    let (name, rest) = rest.split_once(": ")?;
    let kind = TriggerKind::from_name(name)?;
    let (count, rest) = rest.split_once(' ')?;
    let within = match rest
        .strip_prefix(kind.counted())?
        .strip_prefix(" within ")?
    {
        "an hour" => "une heure".to_owned(),
        hours => hours
            .strip_suffix(" hours")
            .map(|hours| format!("{hours}\u{202f}h"))?,
    };
    Some(format!("{count} {} en {within}", counted(kind)))
}

/// The French of `TriggerKind::counted`.
const fn counted(kind: TriggerKind) -> &'static str {
    match kind {
        TriggerKind::Volume => "destinataires",
        TriggerKind::FromMismatch => "messages dont le champ From est d’un autre domaine",
        TriggerKind::UnverifiedDomain => "tentatives d’envoyer au nom d’un domaine non vérifié",
        TriggerKind::UnknownRecipients => "destinataires inexistants",
        TriggerKind::Complaints => "plaintes de destinataires",
        TriggerKind::NewNetwork => "messages d’un réseau où cet identifiant n’avait jamais été",
        TriggerKind::Content => "messages qu’un contrôle de contenu a jugés mauvais",
    }
}
