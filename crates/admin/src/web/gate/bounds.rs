//! What a request must fulfil by the table of operations, and which page of a list is told. What
//! the table does not know is refused here. Not here: whose things are seen (`crate::access`).

use axum::body::Bytes;
use serde_json::{Value, json};

use crate::api::{Body, Operation, PAGE_ROWS_MAX};
use crate::problem::{Problem, must_be_once_but};

/// One request's operation.
pub(super) struct Bounds {
    pub(super) operation: &'static Operation,
}

/// Which rows of a list are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    first: usize,
    rows: usize,
}

impl Bounds {
    /// The query for the API: known names only, without the door's own.
    pub(super) fn query(&self, given: &str) -> Result<(String, Page), Problem> {
        let fields = self.operation.query;
        let may_repeat = |name: &str| {
            let mut lists = fields.iter().filter(|field| field.is_list());
            lists.any(|field| field.name == name)
        };
        must_be_once_but(given, may_repeat)?;
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
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        Ok((query.finish(), page))
    }

    /// The body for the API: an object with known fields.
    pub(super) fn body(&self, octets: Bytes) -> Result<Bytes, Problem> {
        let Body::Fields(fields) = self.operation.body else {
            return Ok(octets);
        };
        let read: Result<Value, _> = serde_json::from_slice(&octets);
        let read =
            read.map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))?;
        let Value::Object(given) = read else {
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
        Ok(octets)
    }

    /// Whether the answer goes out as it is.
    pub(super) fn leaves_alone(&self) -> bool {
        self.operation.list.is_none()
    }

    /// What is told of the answer.
    pub(super) fn told(&self, mut value: Value, page: Page) -> Value {
        if let Some(list) = self.operation.list {
            page.cut(&mut value, list);
        }
        value
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
