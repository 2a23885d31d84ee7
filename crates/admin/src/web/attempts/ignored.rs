//! What somebody chose not to see among the refused attempts, and the way back.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::permission::Action;
use crate::times;
use crate::web::ask::{Centre, Refused, address, list, text};
use crate::web::door::{Reader, SessionForm, Visit};
use crate::web::files;
use crate::web::page::{self, Frame};
use crate::web::records::{self, Act, Cell, Input, Note, Records, Row, Sheet, Table};

pub(super) const PATH: &str = "/attempts/ignored";
/// Columns of the file.
const HEAD: [&str; 5] = ["address", "token", "by", "since", "until"];
/// What was done, with the key of its sentence.
const DONE: [(&str, &str); 1] = [("shown", "ignored-done")];

/// How many they are; none for who sees one organisation: addresses of strangers are nobody's.
pub(super) async fn count(centre: &Centre, visit: &Visit) -> Result<u64, Refused> {
    if !visit.sees_installation() {
        return Ok(0);
    }
    let answer = centre.get(visit.caller(), PATH, &[]).await?;
    Ok(u64::try_from(list(&answer, "ignored").len()).unwrap_or(u64::MAX))
}

async fn found(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(visit.caller(), PATH, &[]).await?;
    let sought = visit.query.get("q");
    let fits = |one: &&Value| {
        let texts = ["address", "token", "by"].map(|key| text(one, key));
        records::is_among(sought, texts)
    };
    let all = list(&answer, "ignored").iter();
    Ok(all.filter(fits).cloned().collect())
}

pub(super) async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let (lang, sought) = (visit.lang, visit.query.get("q"));
    let found = match found(&centre, &visit).await {
        Ok(found) => found,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let may_act = visit.may(Action::Restrict);
    let headings = [
        "column-client",
        "restricted-reason",
        "restricted-by",
        "restricted-until",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: found.iter().map(|one| row(&visit, one, may_act)).collect(),
        empty: lang.t(match sought {
            "" => "ignored-empty",
            _ => "records-none",
        }),
    };
    let filter = Sheet::new("filter", PATH, lang.t("filter-button"));
    let filter = filter.input(Input::text("q", lang.t("records-sought"), sought));
    let frame = Frame::new(&visit, "attempts", &lang.t("ignored-title"))
        .command("relais attempts ignored")
        .done(records::done(&visit, &DONE));
    page::send(&Records {
        notes: vec![Note::plain(lang.t("ignored-words"))],
        begin: Some((lang.t("story-attempts"), "/attempts")),
        filter: Some(filter),
        files: records::files(PATH, &[("q", sought)]),
        ..Records::new(frame, table, "GET /api/v1/attempts/ignored")
    })
}

fn row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let lang = visit.lang;
    let (client, token) = (text(one, "address"), text(one, "token"));
    let until = match one["until"].as_str() {
        Some(time) => times::full(lang, Some(time)),
        None => lang.t("ignored-for-good"),
    };
    let act = Act::new(PATH, lang.t("ignored-show"), &format!("{client} {token}"))
        .hide("address", client)
        .hide("token", token);
    let since = times::full(lang, one["since"].as_str());
    Row {
        cells: vec![
            Cell::word(client),
            Cell::word(token),
            Cell::new(text(one, "by")).line(&since),
            Cell::whole(&until),
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

pub(super) async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit).await {
        Ok(all) => files::of(&visit, "ignored", &HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Shows a group again: nothing is lost by it, so nothing is asked.
pub(super) async fn back(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let (client, token) = (form.get("address"), form.get("token"));
    let body = json!({ "address": client, "token": token });
    let done = centre.post(visit.caller(), "/attempts/unignore", &body);
    match done.await {
        Ok(_) => page::go(&address(PATH, &[("done", "shown"), ("made", client)])),
        // Somebody else was faster.
        Err(refused) if refused.status == StatusCode::NOT_FOUND => page::go(PATH),
        Err(refused) => page::refused(&visit, &refused),
    }
}
