//! What a request must fulfil by the table of operations, and how it and its answer are held to
//! the organisation of a key. What the table does not know is refused here.

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::api::{Body, Operation, PAGE_ROWS_MAX, Reach};
use crate::context::AdminContext;
use crate::problem::Problem;

const ORGANISATION: &str = "organisation";

/// One request's operation, and whose key asks.
pub(super) struct Narrowed<'a> {
    pub(super) operation: &'static Operation,
    /// None: everything is told.
    organisation: Option<&'a str>,
    context: &'a AdminContext,
}

/// Which rows of a list are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    first: usize,
    rows: usize,
}

impl<'a> Narrowed<'a> {
    pub(super) fn new(
        operation: &'static Operation,
        organisation: Option<&'a str>,
        context: &'a AdminContext,
    ) -> Self {
        Self {
            operation,
            organisation,
            context,
        }
    }

    /// The query for the API: known names only, without the door's own.
    pub(super) fn query(&self, given: &str) -> Result<(String, Page), Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut page = Page {
            first: 0,
            rows: PAGE_ROWS_MAX,
        };
        for (name, value) in form_urlencoded::parse(given.as_bytes()) {
            let field = self.operation.query.iter().find(|field| field.name == name);
            if field.is_some_and(|field| !field.fits_text(&value)) {
                return Err(Problem::bad_request(format!(
                    "\"{name}\" cannot be \"{value}\"."
                )));
            }
            match &*name {
                "limit" if self.operation.list.is_some() => page.rows = read_limit(&value)?,
                "cursor" if self.operation.list.is_some() => page.first = read_cursor(&value)?,
                _ if field.is_some() => pairs.push((name.into_owned(), value.into_owned())),
                _ => {
                    let detail = format!("There is no parameter \"{name}\" here.");
                    return Err(Problem::bad_request(detail));
                }
            }
        }
        if let Some(own) = self.organisation {
            self.narrow_query(own, &mut pairs)?;
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        Ok((query.finish(), page))
    }

    fn narrow_query(&self, own: &str, pairs: &mut Vec<(String, String)>) -> Result<(), Problem> {
        let given = pairs.iter().find(|(name, _)| name == ORGANISATION);
        must_be(own, given.map(|(_, value)| value.as_str()))?;
        match self.operation.reach {
            Reach::Query => {
                pairs.retain(|(name, _)| name != ORGANISATION);
                pairs.push((ORGANISATION.to_owned(), own.to_owned()));
            }
            Reach::Search => {
                let term = format!("organisation:{own}");
                match pairs.iter_mut().find(|(name, _)| name == "q") {
                    Some((_, tokens)) => *tokens = format!("{term} {tokens}"),
                    None => pairs.push(("q".to_owned(), term)),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The body for the API: an object with known fields.
    pub(super) fn body(&self, octets: Bytes) -> Result<Bytes, Problem> {
        let Body::Fields(fields) = self.operation.body else {
            return Ok(octets);
        };
        let read: Result<Value, _> = serde_json::from_slice(&octets);
        let read =
            read.map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))?;
        let Value::Object(mut given) = read else {
            return Err(Problem::bad_request("The body is no JSON object."));
        };
        if let Some(name) = given
            .keys()
            .find(|name| fields.iter().all(|one| one.name != **name))
        {
            let detail = format!("There is no field \"{name}\" here.");
            return Err(Problem::bad_request(detail));
        }
        let missing = fields
            .iter()
            .find(|one| one.is_wanted && !given.contains_key(one.name));
        if let Some(field) = missing {
            return Err(Problem::bad_request(format!(
                "\"{}\" is missing.",
                field.name
            )));
        }
        let misfit = fields.iter().find(|field| {
            let value = given.get(field.name);
            value.is_some_and(|value| !field.fits(value))
        });
        if let Some(field) = misfit {
            let detail = format!("\"{}\" is of another type.", field.name);
            return Err(Problem::bad_request(detail));
        }
        let Some(own) = self.organisation else {
            return Ok(octets);
        };
        match self.operation.reach {
            Reach::Body => {
                must_be(own, given.get(ORGANISATION).and_then(Value::as_str))?;
                given.insert(ORGANISATION.to_owned(), json!(own));
            }
            Reach::Selection => {
                let selection = given.entry("selection").or_insert_with(|| json!({}));
                must_be(own, selection[ORGANISATION].as_str())?;
                let Value::Object(selection) = selection else {
                    return Err(Problem::bad_request("\"selection\" is no JSON object."));
                };
                selection.insert(ORGANISATION.to_owned(), json!(own));
            }
            _ => return Ok(octets),
        }
        Ok(Value::Object(given).to_string().into())
    }

    /// What the path names must be the organisation's.
    pub(super) fn must_be_own(&self, path: &str) -> Result<(), Problem> {
        let (Some(own), Reach::Credential) = (self.organisation, self.operation.reach) else {
            return Ok(());
        };
        let user = path.split('/').nth_back(1).unwrap_or_default();
        let settings = self.context.store.settings();
        match settings.credential(user) {
            Some((owner, _)) if owner.organisation.name == own => Ok(()),
            _ => Err(Problem::not_found(format!(
                "There is no credential {user}."
            ))),
        }
    }

    /// Whether the answer goes out as it is.
    pub(super) fn leaves_alone(&self) -> bool {
        let narrows = matches!(self.operation.reach, Reach::Rows(_) | Reach::Answer);
        let narrows = narrows && self.organisation.is_some();
        !narrows && self.operation.list.is_none()
    }

    /// What is told of the answer.
    pub(super) fn told(&self, mut value: Value, page: Page) -> Result<Value, Problem> {
        match (self.organisation, self.operation.reach) {
            (Some(own), Reach::Rows(place)) => keep_rows(&mut value, place, own),
            (Some(own), Reach::Answer) if value[ORGANISATION].as_str() != Some(own) => {
                return Err(Problem::not_found("There is no such thing."));
            }
            _ => {}
        }
        if let Some(list) = self.operation.list {
            page.cut(&mut value, list);
        }
        Ok(value)
    }
}

impl Page {
    /// Its rows of the list.
    fn cut(self, value: &mut Value, list: &str) {
        let end = self.first.saturating_add(self.rows);
        let all = value[list].as_array_mut().map(std::mem::take);
        let all = all.unwrap_or_default();
        let more = all.len() > end;
        let page: Vec<_> = all.into_iter().skip(self.first).take(self.rows).collect();
        value[list] = json!(page);
        value["next_cursor"] = match more {
            true => json!(end.to_string()),
            false => Value::Null,
        };
    }
}

fn keep_rows(value: &mut Value, place: &str, own: &str) {
    let (list, key) = place.split_once('.').unwrap_or((place, ORGANISATION));
    // What is no list of rows with organisations tells nothing.
    let rows = value[list].as_array_mut().map(std::mem::take);
    let rows = rows.unwrap_or_default().into_iter();
    let own: Vec<_> = rows.filter(|row| row[key].as_str() == Some(own)).collect();
    *value = json!({ list: own });
}

fn must_be(own: &str, given: Option<&str>) -> Result<(), Problem> {
    match given {
        Some(other) if other != own => Err(Problem::not_found(format!(
            "There is no organisation \"{other}\"."
        ))),
        Some(_) | None => Ok(()),
    }
}

fn read_limit(text: &str) -> Result<usize, Problem> {
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=PAGE_ROWS_MAX).contains(limit));
    limit.ok_or_else(|| {
        Problem::bad_request(format!("limit is a number from 1 to {PAGE_ROWS_MAX}."))
    })
}

fn read_cursor(text: &str) -> Result<usize, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("cursor is next_cursor of the page before."))
}
