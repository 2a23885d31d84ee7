//! What people write about a device: tags, who looks after it, where it stands, a note.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::web::ask::{Centre, Refused, address, list, text};
use crate::web::door::{Change, Reader, Visit};
use crate::web::form::Form;
use crate::web::page::{self, Frame};
use crate::web::records::{Input, Note, Sheet, Sure, joined, parted};

/// The device that is meant, if the caller sees it.
async fn find(centre: &Centre, visit: &Visit, named: &Form) -> Result<Value, Refused> {
    let answer = centre.get(visit.caller(), "/devices", &[]).await?;
    let is_it = |one: &&Value| {
        let keys = ["organisation", "address"];
        keys.iter().all(|key| text(one, key) == named.get(key))
    };
    let found = list(&answer, "devices").iter().find(is_it).cloned();
    found.ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        detail: visit.lang.t("error-not-found"),
    })
}

pub(super) async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match find(&centre, &visit, &visit.query).await {
        Ok(device) => page::send(&sheet(&visit, &device, String::new())),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn sheet(visit: &Visit, device: &Value, mistake: String) -> Sure {
    let lang = visit.lang;
    let (own, name) = (text(device, "address"), text(device, "helo"));
    let field = |key: &'static str, label: &str| Input::text(key, lang.t(label), text(device, key));
    let tags = Input::text("tags", lang.t("devices-tags"), &joined(&device["tags"]));
    let title = lang.with("devices-about", own);
    let lines = [name, text(device, "from")].into_iter();
    Sure {
        frame: Frame::new(visit, "devices", &title).api("POST /api/v1/devices/set"),
        notes: Note::mistake(mistake).into_iter().collect(),
        question: lang.t("devices-about-words"),
        lines: lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        sheet: Sheet::new("about", "/devices/about", lang.t("form-save"))
            .hide("organisation", text(device, "organisation"))
            .hide("address", own)
            .input(tags.hint(lang.t("devices-tags-hint")))
            .input(field("owner", "devices-owner"))
            .input(field("place", "devices-place"))
            .input(Input::long(
                "note",
                lang.t("devices-note"),
                text(device, "note"),
            )),
        back: "/devices".to_owned(),
    }
}

pub(super) async fn save(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let tags: Vec<_> = parted(form.get("tags"));
    let mut body = json!({ "tags": tags });
    for key in ["organisation", "address", "owner", "place", "note"] {
        body[key] = json!(form.get(key));
    }
    let refused = match centre.post(visit.caller(), "/devices/set", &body).await {
        Ok(_) => {
            let named = [("done", form.get("address"))];
            return page::go(&address("/devices", &named));
        }
        Err(refused) if refused.status == StatusCode::BAD_REQUEST => refused,
        Err(refused) => return page::refused(&visit, &refused),
    };
    // What was typed stays.
    let page = sheet(&visit, &body, refused.detail);
    (refused.status, page::send(&page)).into_response()
}
