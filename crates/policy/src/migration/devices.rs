//! A list of devices as CSV: name, address, maker, sender, site. One connector for each device, so
//! that each can be seen, limited and switched off by itself.

use relais_smtp::address::Mailbox;

use super::MigrationError;
use super::proposing::{Proposing, quoted};
use crate::document::{DomainKind, InboundConnector, PresetName};

/// Characters of a tag.
const TAG_CHARACTERS_MAX: usize = 32;
/// Names of columns, in English and French, as people write them.
const COLUMNS: [(&str, Column); 16] = [
    ("name", Column::Name),
    ("nom", Column::Name),
    ("device", Column::Name),
    ("appareil", Column::Name),
    ("ip", Column::Address),
    ("address", Column::Address),
    ("ip address", Column::Address),
    ("adresse", Column::Address),
    ("adresse ip", Column::Address),
    ("maker", Column::Maker),
    ("fabricant", Column::Maker),
    ("marque", Column::Maker),
    ("sender", Column::Sender),
    ("expéditeur", Column::Sender),
    ("expediteur", Column::Sender),
    ("site", Column::Site),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Column {
    Name,
    Address,
    Maker,
    Sender,
    Site,
}

const ALL_COLUMNS: [Column; 5] = [
    Column::Name,
    Column::Address,
    Column::Maker,
    Column::Sender,
    Column::Site,
];

pub(super) fn read(text: &str, proposing: &mut Proposing<'_>) -> Result<(), MigrationError> {
    let mut lines = text.lines().enumerate();
    let head = lines.find(|(_, line)| !line.trim().is_empty());
    let (_, head) = head.ok_or_else(no_columns)?;
    let separator = [';', '\t', ','].into_iter().find(|one| head.contains(*one));
    let separator = separator.unwrap_or(',');
    let columns: Vec<_> = cells(head, separator)
        .iter()
        .map(|cell| {
            let cell = cell.trim().to_lowercase();
            let mut known = COLUMNS.iter();
            known
                .find(|(name, _)| *name == cell)
                .map(|(_, column)| *column)
        })
        .collect();
    let has = |column| columns.contains(&Some(column));
    if !has(Column::Name) || !has(Column::Address) {
        return Err(no_columns());
    }
    let places = ALL_COLUMNS.map(|wanted| {
        let place = columns.iter().position(|column| *column == Some(wanted));
        (wanted, place)
    });
    for (number, line) in lines {
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(line, separator);
        let cell = |wanted| {
            let mut places = places.iter();
            let found = places.find(|(column, _)| *column == wanted);
            let cell = found.and_then(|(_, place)| cells.get((*place)?));
            cell.map(|cell| cell.trim().to_owned()).unwrap_or_default()
        };
        device(number + 1, &cell, proposing);
    }
    Ok(())
}

fn no_columns() -> MigrationError {
    MigrationError::new(
        "the first line does not name the columns: begin with name,ip,maker,sender,site",
    )
}

fn device(line: usize, cell: &impl Fn(Column) -> String, proposing: &mut Proposing<'_>) {
    let name = cell(Column::Name);
    let shown = match name.is_empty() {
        true => format!("line {line}"),
        false => format!("line {line}, {}", quoted(&name)),
    };
    let address = cell(Column::Address);
    if address.is_empty() {
        let message = "it has no address, so nothing would recognise it: make a credential for it";
        return proposing.unsupported(&shown, message);
    }
    let ranges = address.split([' ', '|']).filter(|part| !part.is_empty());
    let networks = proposing.networks(&shown, ranges);
    if networks.is_empty() {
        let message = "none of its addresses can be taken over, so it would recognise nobody";
        return proposing.unsupported(&shown, message);
    }
    let name = match name.is_empty() {
        true => address.clone(),
        false => name,
    };
    let mut connector = InboundConnector::new(name);
    connector.sender_ip_addresses = networks;
    connector.preset = Some(PresetName::Tolerant);
    let words = [cell(Column::Maker), cell(Column::Site)];
    connector.tags = words.iter().filter_map(|word| tag(word)).collect();
    let sender = cell(Column::Sender);
    if !sender.is_empty() {
        match Mailbox::parse(&sender)
            .ok()
            .and_then(|one| one.domain().cloned())
        {
            Some(domain) => {
                proposing.domain(domain.as_str(), DomainKind::Authoritative);
                connector.sender_addresses = vec![sender];
            }
            None => {
                let sender = quoted(&sender);
                let message =
                    format!("its sender {sender} is no address: correct it, and import it again");
                return proposing.unsupported(&shown, message);
            }
        }
    }
    proposing.inbound(connector);
}

/// One word, as tags are.
fn tag(text: &str) -> Option<String> {
    let is_between = |one: char| one.is_whitespace() || one.is_control() || one == ',';
    let words: Vec<_> = text
        .split(is_between)
        .filter(|word| !word.is_empty())
        .collect();
    let joined: String = words
        .join("-")
        .to_lowercase()
        .chars()
        .take(TAG_CHARACTERS_MAX)
        .collect();
    let tag = joined.trim_end_matches('-');
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// The cells of a line; quotation marks are taken off, doubled ones are one. RFC 4180 §2.
fn cells(line: &str, separator: char) -> Vec<String> {
    let (mut cells, mut cell, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            '"' => is_quoted = !is_quoted,
            letter if letter == separator && !is_quoted => cells.push(std::mem::take(&mut cell)),
            letter => cell.push(letter),
        }
    }
    cells.push(cell);
    cells
}
