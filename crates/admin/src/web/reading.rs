//! What a message in the queue says, for whoever may read content: its header section, all of it as
//! text, or the file. By forms only: each look is written down, and no link makes one.
//!
//! What strangers wrote is never a page of ours: it is text, without characters that move anything,
//! or a file that the browser keeps and does not open.

use askama::Template;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Value, json};

use super::ask::{Centre, Refused, list, segment, text};
use super::door::SessionForm;
use super::page::{self, Frame};
use crate::api::content::{Opened, open};
use crate::plain::clean;

/// Octets that are shown on a page; the file has the rest.
const SHOWN_OCTETS_MAX: usize = 256 * 1_024;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/trace/{name}/headers", post(headers))
        .route("/trace/{name}/queued", post(content))
        .route("/trace/{name}/message.eml", post(file))
}

#[derive(Template)]
#[template(path = "headers.html")]
struct Shown {
    frame: Frame,
    hint: String,
    text: String,
    /// What is left out; empty: nothing.
    cut: String,
    back: String,
}

/// The header section.
async fn headers(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let lang = visit.lang;
    let call = format!("/queue/{}/headers", segment(&name));
    let answer = match centre.post(visit.caller(), &call, &json!({})).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let lines = list(&answer, "lines").iter().filter_map(Value::as_str);
    let title = lang.with("headers-of", text(&answer, "queue_id"));
    page::send(&Shown {
        hint: lang.t("headers-hint"),
        text: harmless(lines),
        cut: match answer["is_cut"] == true {
            true => lang.t("headers-cut"),
            false => String::new(),
        },
        back: format!("/trace/{}", segment(&name)),
        frame: Frame::new(&visit, "trace", &title).api(format!("POST /api/v1{call}")),
    })
}

/// All of it, as far as a page shows it.
async fn content(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let lang = visit.lang;
    let call = format!("/queue/{}/content", segment(&name));
    let wanted = json!({ "octets_max": SHOWN_OCTETS_MAX });
    let answer = match centre.post(visit.caller(), &call, &wanted).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let octets = STANDARD
        .decode(text(&answer, "content"))
        .unwrap_or_default();
    let whole = String::from_utf8_lossy(&octets);
    let title = lang.with("raw-of", text(&answer, "queue_id"));
    page::send(&Shown {
        hint: lang.t("raw-hint"),
        text: harmless(whole.lines()),
        cut: match answer["is_cut"] == true {
            true => lang.t("raw-cut"),
            false => String::new(),
        },
        back: format!("/trace/{}", segment(&name)),
        frame: Frame::new(&visit, "trace", &title).api(format!("POST /api/v1{call}")),
    })
}

/// Line by line: what would end a line or turn its direction is shown as a sign.
fn harmless<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines = lines.map(|line| clean(&line.replace('\t', "    ")).into_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The octets as they are, to be kept.
async fn file(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let context = &centre.context;
    let opened = open(context, visit.caller(), &name, "queue.content-downloaded").await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(problem) => {
            let (status, detail) = problem.into_parts();
            return page::refused(&visit, &Refused { status, detail });
        }
    };
    let Opened {
        queue_id, reader, ..
    } = opened;
    let pieces = stream::try_unfold(reader, |mut reader| async move {
        let piece = reader.next().await?;
        let more = (!piece.is_empty()).then(|| (Bytes::copy_from_slice(&piece), reader));
        Ok::<_, relais_store::queue::StoreError>(more)
    });
    let named = format!("attachment; filename=\"{queue_id}.eml\"");
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    // No browser shows this form itself, whatever stands in it.
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Ok(named) = HeaderValue::from_str(&named) {
        headers.insert(header::CONTENT_DISPOSITION, named);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_or_ends_a_line_is_shown_as_a_sign() {
        let lines = ["a\tb", "x\u{202e}gpj.exe\u{1b}[2J", "<script>"].into_iter();
        assert_eq!(
            harmless(lines),
            "a    b\nx\u{fffd}gpj.exe\u{fffd}[2J\n<script>"
        );
    }
}
