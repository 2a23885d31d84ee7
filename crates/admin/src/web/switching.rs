//! What connectors of both kinds share when they are changed: switched on and off, and removed by
//! their typed name, each against the revision that was looked at.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::ask::{Centre, Refused, quoted, segment};
use super::door::Visit;
use super::form::Form;
use super::page::{self, Frame};
use crate::api::connector_changes::revision;

/// Which of the two kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Inbound,
    Outbound,
}

impl Side {
    /// In addresses, of pages and of the API.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// Where a connector is shown.
    pub(super) fn base(self, organisation: &str, name: &str) -> String {
        format!(
            "/connectors/{}/{}/{}",
            self.name(),
            segment(organisation),
            segment(name)
        )
    }
}

/// The connector that is looked at.
pub(super) struct Subject<'a> {
    pub(super) side: Side,
    pub(super) organisation: &'a str,
    pub(super) name: &'a str,
    connector: Value,
    revision: String,
    /// Users that go with it.
    pub(super) users: Vec<String>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(
        side: Side,
        (organisation, name): (&'a str, &'a str),
        connector: &impl Serialize,
    ) -> Self {
        Self {
            side,
            organisation,
            name,
            connector: json!(connector),
            revision: revision(connector),
            users: Vec::new(),
        }
    }

    fn base(&self) -> String {
        self.side.base(self.organisation, self.name)
    }
}

/// Nothing there.
pub(super) fn gone(visit: &Visit) -> Refused {
    Refused {
        status: StatusCode::NOT_FOUND,
        detail: visit.lang.t("error-not-found"),
    }
}

/// Somebody came between: in the reader's words.
pub(super) fn refusal(visit: &Visit, refused: Refused) -> String {
    match refused.status {
        StatusCode::PRECONDITION_FAILED => visit.lang.t("edit-conflict"),
        _ => refused.detail,
    }
}

/// Into the state that the form names.
pub(super) async fn switch(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    subject: Subject<'_>,
) -> Response {
    let base = subject.base();
    let mut connector = subject.connector;
    connector["state"] = json!(form.get("state"));
    let put = json!({
        "organisation": subject.organisation,
        "connector": connector,
        "revision": form.get("revision"),
    });
    let path = format!("/connectors/{}/put", subject.side.name());
    match centre.post(visit.caller(), &path, &put).await {
        Ok(_) => page::go(&format!("{base}?done=1")),
        Err(refused) => {
            let status = refused.status;
            page::failed(visit, status, &refusal(visit, refused))
        }
    }
}

#[derive(Template)]
#[template(path = "connector_remove.html")]
struct RemovePage {
    frame: Frame,
    base: String,
    name: String,
    revision: String,
    users: Vec<String>,
    mistake: String,
    words: String,
}

/// Asks for the name. `revision`: what was looked at before, if it was.
fn removal(
    visit: &Visit,
    subject: Subject<'_>,
    revision: Option<&str>,
    mistake: String,
) -> Response {
    let title = visit.lang.with("remove-title", subject.name);
    let side = subject.side.name();
    page::send(&RemovePage {
        frame: Frame::new(visit, side, &title).command(format!(
            "relais connector {side} delete {}",
            quoted(subject.name)
        )),
        base: subject.base(),
        name: subject.name.to_owned(),
        revision: revision.map_or(subject.revision, ToOwned::to_owned),
        users: subject.users,
        mistake,
        words: match subject.side {
            Side::Inbound => visit.lang.t("remove-words"),
            Side::Outbound => visit.lang.t("remove-route-words"),
        },
    })
}

pub(super) fn ask_to_remove(visit: &Visit, subject: Subject<'_>) -> Response {
    removal(visit, subject, None, String::new())
}

/// By its typed name.
pub(super) async fn remove(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    subject: Subject<'_>,
) -> Response {
    let (side, seen) = (subject.side.name(), form.get("revision"));
    if form.get("typed") != subject.name {
        let mistake = visit.lang.t("remove-differs");
        return removal(visit, subject, Some(seen), mistake);
    }
    let remove = json!({
        "organisation": subject.organisation,
        "name": subject.name,
        "revision": seen,
    });
    let path = format!("/connectors/{side}/remove");
    match centre.post(visit.caller(), &path, &remove).await {
        Ok(_) => page::go(&format!("/connectors/{side}?done=removed")),
        Err(refused) => removal(visit, subject, Some(seen), refusal(visit, refused)),
    }
}
