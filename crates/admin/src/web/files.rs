//! Lists as files, CSV or JSON: names, numbers and times as machines read them, whatever the
//! page's language.
//!
//! Not here: the export of a search in the trace, that is sent as it is read (`export`).

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::door::Visit;

/// A file to keep.
fn file(name: &str, form: &'static str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, form.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, text).into_response()
}

/// What a cell holds of a value.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The rows as a table with these columns. RFC 4180.
fn csv(name: &str, columns: &[&str], rows: &[&Value]) -> Response {
    let mut text = csv_line(columns);
    for row in rows {
        let cells = columns.iter().map(|column| cell(&row[*column]));
        text.push_str(&csv_line(&cells.collect::<Vec<_>>()));
    }
    file(&format!("{name}.csv"), "text/csv; charset=utf-8", text)
}

/// The rows as they are.
fn json(name: &str, rows: &[&Value]) -> Response {
    let text = serde_json::to_string_pretty(rows).unwrap_or_default();
    file(&format!("{name}.json"), "application/json", text)
}

/// An answer that is no list, as it is.
pub(super) fn whole(name: &str, answer: &Value) -> Response {
    let text = serde_json::to_string_pretty(answer).unwrap_or_default();
    file(&format!("{name}.json"), "application/json", text)
}

/// In the form by which the path ends.
pub(super) fn of<'a>(
    visit: &Visit,
    name: &str,
    columns: &[&str],
    rows: impl IntoIterator<Item = &'a Value>,
) -> Response {
    let rows: Vec<_> = rows.into_iter().collect();
    let path = visit.path.split('?').next().unwrap_or_default();
    match path.ends_with(".json") {
        true => json(name, &rows),
        false => csv(name, columns, &rows),
    }
}

/// Cells as a line of CSV. Strangers wrote some of them: what a spreadsheet would take for a
/// formula begins with an apostrophe.
pub(super) fn csv_line<T: AsRef<str>>(cells: &[T]) -> String {
    let cell = |cell: &T| {
        let cell = cell.as_ref();
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let cell = if is_formula && cell.parse::<f64>().is_err() {
            format!("'{cell}")
        } else {
            cell.to_owned()
        };
        if cell.contains(['"', ',', '\r', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    let cells: Vec<_> = cells.iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_table_keeps_what_strangers_wrote_as_text() {
        let cells = [
            "a,b",
            "say \"no\"",
            "=HYPERLINK(\"x\")",
            "-5",
            "@x",
            "two\nlines",
        ];
        assert_eq!(
            csv_line(&cells),
            "\"a,b\",\"say \"\"no\"\"\",\"'=HYPERLINK(\"\"x\"\")\",-5,'@x,\"two\nlines\"\r\n"
        );
    }
}
