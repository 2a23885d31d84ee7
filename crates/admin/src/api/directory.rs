//! The directory: recipients and people of an organisation, also from CSV.

use std::collections::HashMap;

use axum::extract::{Extension, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{DirectoryEntry, Document, Organisation};
use relais_smtp::address::Mailbox;

use super::settings::{Intent, change};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Parameters, Problem};

/// Mistakes of a CSV file that are told at once.
const MISTAKES_MAX: usize = 20;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/directory", get(list))
        .route("/directory/import", post(import))
        .route("/directory/remove", post(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    organisation: Option<String>,
    /// A part of the address.
    #[serde(default)]
    q: String,
    /// Entries at most; absent: all.
    limit: Option<usize>,
    /// Entries before the first one that is told; empty: none.
    #[serde(default)]
    cursor: String,
}

async fn list(
    State(context): State<AdminContext>,
    Parameters(selection): Parameters<Selection>,
) -> Result<Json<Value>, Problem> {
    let settings = context.store.settings();
    let wanted = selection.organisation.as_deref();
    if let Some(name) = wanted.filter(|name| settings.organisation(name).is_none()) {
        return Err(Problem::not_found(format!(
            "There is no organisation {name}."
        )));
    }
    let organisations = settings.document.organisation.iter();
    let sought = selection.q.to_lowercase();
    let first: usize = selection.cursor.parse().unwrap_or(0);
    let fitting: Vec<_> = organisations
        .filter(|organisation| wanted.is_none_or(|name| organisation.name == name))
        .flat_map(|organisation| {
            organisation
                .recipient
                .iter()
                .map(move |one| (organisation, one))
        })
        .filter(|(_, entry)| sought.is_empty() || entry.address.to_lowercase().contains(&sought))
        .collect();
    let limit = selection.limit.unwrap_or(usize::MAX);
    let next = first.saturating_add(limit);
    let entries: Vec<_> = fitting
        .iter()
        .skip(first)
        .take(limit)
        .map(|(organisation, entry)| {
            json!({
                "organisation": organisation.name,
                "address": entry.address,
                "mailbox": entry.mailbox,
            })
        })
        .collect();
    let next = (fitting.len() > next).then(|| next.to_string());
    Ok(Json(json!({
        "recipients": entries,
        "total": fitting.len(),
        "next_cursor": next,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    /// May be left out where there is only one.
    organisation: Option<String>,
    /// Columns `address` and `mailbox`.
    csv: String,
    /// Entries that the file does not name go.
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    dry_run: bool,
}

async fn import(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(request): Input<Import>,
) -> Result<Json<Value>, Problem> {
    let entries = read_csv(&request.csv)?;
    let make = |current: &Document| {
        let mut document = current.clone();
        let organisation = organisation_of(&mut document, request.organisation.as_deref())?;
        organisation.recipient = merge(&organisation.recipient, &entries, request.prune);
        Ok(document)
    };
    let intent = Intent::dry_run(request.dry_run);
    let changed = change(&context, &caller, intent, None, make).await?;
    let mut answer = changed.to_json();
    answer["read"] = json!(entries.len());
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    organisation: Option<String>,
    address: String,
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Remove>,
) -> Result<Json<Value>, Problem> {
    let make = |current: &Document| {
        let mut document = current.clone();
        let organisation = organisation_of(&mut document, wanted.organisation.as_deref())?;
        let before = organisation.recipient.len();
        let is_other = |one: &DirectoryEntry| !one.address.eq_ignore_ascii_case(&wanted.address);
        organisation.recipient.retain(is_other);
        if organisation.recipient.len() == before {
            let detail = format!("{} is not in the directory.", wanted.address);
            return Err(Problem::not_found(detail));
        }
        Ok(document)
    };
    let changed = change(&context, &caller, Intent::Store, None, make).await?;
    Ok(Json(changed.to_json()))
}

/// The organisation meant: the one named, or the only one.
pub(super) fn organisation_of<'a>(
    document: &'a mut Document,
    name: Option<&str>,
) -> Result<&'a mut Organisation, Problem> {
    match (name, document.organisation.as_mut_slice()) {
        (None, []) => Err(Problem::not_found(
            "There is no organisation yet; make one with `relais organisation add`.",
        )),
        (None, [only]) => Ok(only),
        (None, _) => Err(Problem::bad_request(
            "There are several organisations; name one.",
        )),
        (Some(name), organisations) => organisations
            .iter_mut()
            .find(|organisation| organisation.name == name)
            .ok_or_else(|| Problem::not_found(format!("There is no organisation {name}."))),
    }
}

fn merge(current: &[DirectoryEntry], read: &[DirectoryEntry], prune: bool) -> Vec<DirectoryEntry> {
    if prune {
        return read.to_vec();
    }
    let mut merged = current.to_vec();
    let mut places: HashMap<String, usize> = merged
        .iter()
        .enumerate()
        .map(|(at, one)| (one.address.to_lowercase(), at))
        .collect();
    for entry in read {
        match places.get(&entry.address.to_lowercase()) {
            Some(at) => merged[*at].mailbox = entry.mailbox,
            None => {
                places.insert(entry.address.to_lowercase(), merged.len());
                merged.push(entry.clone());
            }
        }
    }
    merged
}

/// Reads lines of `address[,mailbox]`, separated by comma, semicolon or tab; a first line without
/// `@` names the columns. RFC 4180, of which an address needs little.
fn read_csv(text: &str) -> Result<Vec<DirectoryEntry>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let separator = separator(text);
    let (mut columns, mut entries, mut mistakes) = (Columns::default(), Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let cells = cells(line, separator);
        if entries.is_empty() && mistakes.is_empty() && !line.contains('@') {
            columns = Columns::named(&cells)?;
            continue;
        }
        match columns.read(&cells) {
            Ok(entry) => entries.push(entry),
            Err(mistake) => mistakes.push(format!("line {}: {mistake}", number + 1)),
        }
        if mistakes.len() >= MISTAKES_MAX {
            break;
        }
    }
    if mistakes.is_empty() {
        return Ok(entries);
    }
    Err(Problem::bad_request(format!(
        "The file was not read: {}.",
        mistakes.join("; ")
    )))
}

fn separator(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    [';', '\t', ',']
        .into_iter()
        .find(|one| first.contains(*one))
        .unwrap_or(',')
}

/// The cells of a line; quotation marks are taken off, doubled ones are one.
fn cells(line: &str, separator: char) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            other if other == separator && !quoted => {
                cells.push(cell.trim().to_owned());
                cell.clear();
            }
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

/// Where the two columns stand.
struct Columns {
    address: usize,
    mailbox: Option<usize>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            address: 0,
            mailbox: Some(1),
        }
    }
}

impl Columns {
    fn named(cells: &[String]) -> Result<Self, Problem> {
        let find = |names: &[&str]| {
            cells
                .iter()
                .position(|cell| names.contains(&cell.to_lowercase().as_str()))
        };
        let address = find(&[
            "address",
            "adresse",
            "email",
            "e-mail",
            "mail",
            "primarysmtpaddress",
        ]);
        let Some(address) = address else {
            return Err(Problem::bad_request(
                "The first line names no column \"address\"; write it, or begin with an address.",
            ));
        };
        Ok(Self {
            address,
            mailbox: find(&["mailbox", "boite", "boîte"]),
        })
    }

    fn read(&self, cells: &[String]) -> Result<DirectoryEntry, String> {
        let address = cells
            .get(self.address)
            .map(String::as_str)
            .unwrap_or_default();
        Mailbox::parse(address).map_err(|error| format!("\"{address}\": {error}"))?;
        let mailbox = self
            .mailbox
            .and_then(|at| cells.get(at))
            .map(|cell| cell.to_lowercase());
        let mailbox = match mailbox.as_deref() {
            None | Some("" | "true" | "yes" | "oui" | "1") => true,
            Some("false" | "no" | "non" | "0") => false,
            Some(other) => return Err(format!("\"{other}\" is not true or false")),
        };
        Ok(DirectoryEntry {
            address: address.to_owned(),
            mailbox,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_read_with_and_without_a_heading_and_with_every_usual_separator() {
        for text in [
            "a@contoso.test\nb@contoso.test,false\n",
            "address,mailbox\r\na@contoso.test,true\r\n\r\nb@contoso.test,no\r\n",
            "\u{feff}Mailbox;Address\n;a@contoso.test\n0;b@contoso.test\n",
            "\"Address\"\t\"Name\"\t\"Mailbox\"\n\"a@contoso.test\"\t\"A \"\"x\"\"\"\t1\nb@contoso.test\t\tfalse\n",
        ] {
            let read = read_csv(text).expect(text);
            let read: Vec<_> = read
                .iter()
                .map(|one| (one.address.as_str(), one.mailbox))
                .collect();
            assert_eq!(
                read,
                [("a@contoso.test", true), ("b@contoso.test", false)],
                "{text}"
            );
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, expected) in [
            ("a@contoso.test\nb.contoso.test,1\n", "line 2"),
            ("a@contoso.test,perhaps\n", "line 1"),
            ("name,mailbox\nx,true\n", "column"),
        ] {
            let problem = read_csv(text).expect_err(text);
            assert!(format!("{problem:?}").contains(expected), "{problem:?}");
        }
    }

    #[test]
    fn import_changes_entries_without_regard_to_case_and_keeps_the_others() {
        let entry = |address: &str, mailbox| DirectoryEntry {
            address: address.to_owned(),
            mailbox,
        };
        let current = [entry("a@contoso.test", true), entry("b@contoso.test", true)];
        let read = [
            entry("B@contoso.test", false),
            entry("c@contoso.test", true),
        ];
        let merged = merge(&current, &read, false);
        assert_eq!(merged.len(), 3);
        assert!(!merged[1].mailbox);
        assert_eq!(merge(&current, &read, true), read);
    }
}
