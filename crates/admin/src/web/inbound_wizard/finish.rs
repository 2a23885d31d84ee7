//! Saving: the connector, the user with its password that is shown this once, and on to listening.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use relais_policy::document::InboundConnector;

use super::{At, HERE, Shown, Then, compose};
use crate::people::hexadecimal;
use crate::web::ask::{Centre, MadeUser, Refused, text};
use crate::web::door::Visit;
use crate::web::drafts;
use crate::web::fields::Mistake;
use crate::web::form::Form;
use crate::web::page::{self, Frame};
use crate::web::switching::Side;

/// Where a password is shown, below its own name.
pub(super) const MADE: &str = "made";

/// The page that shows a password once.
#[derive(Template)]
#[template(path = "inbound_made.html")]
struct Made {
    frame: Frame,
    user: String,
    password: String,
    /// Why there is no password.
    fault: String,
    next: String,
}

pub(super) async fn save(
    centre: &Centre,
    visit: &Visit,
    at: &At,
    then: Then,
) -> Result<Response, Refused> {
    let (who, draft) = (visit.caller(), &at.draft);
    let connector = &draft.connector;
    let put = json!({ "organisation": draft.organisation, "connector": connector });
    if let Err(refused) = centre.post(who, "/connectors/inbound/put", &put).await {
        let mistakes = vec![Mistake::new("name", refused.detail)];
        let form = Form::of(crate::web::inbound_form::fill(visit.lang, connector));
        let page = compose(centre, visit, at, Shown::Mistakes(form, mistakes)).await?;
        return Ok(page::send(&page));
    }
    let reason = draft.more("reason");
    let told = (!reason.is_empty()).then(|| {
        let what = format!(
            "organisation {}, inbound connector {}",
            draft.organisation, connector.name
        );
        ("connector.reason", vec![what, reason.to_owned()])
    });
    drafts::end::<InboundConnector>(centre, visit, &at.id, told).await?;
    let saved = Side::Inbound.base(&draft.organisation, &connector.name);
    let next = match then {
        Then::Listen => format!("{saved}/listen"),
        Then::Leave => saved.clone(),
    };
    drafts::note_saved::<InboundConnector>(centre, visit, &at.id, saved);
    if draft.more("credential") != "1" {
        return Ok(page::go(&next));
    }
    let wanted = json!({
        "organisation": draft.organisation,
        "user": draft.more("user"),
        "inbound_connector": connector.name,
    });
    let (password, fault) = match centre.post(who, "/credentials", &wanted).await {
        Ok(made) => (text(&made, "password").to_owned(), String::new()),
        Err(refused) => (String::new(), refused.detail),
    };
    let made = MadeUser {
        user: draft.more("user").to_owned(),
        password,
        fault,
        next,
    };
    let id = hexadecimal(&centre.context.chance.octets::<16>());
    let path = format!("{HERE}/{id}/{MADE}");
    let now = centre.context.clock.moment();
    centre.made.keep((id, visit.token.clone()), now, made);
    Ok(page::go(&path))
}

/// The user with its password, this once.
pub(super) fn made(centre: &Centre, visit: &Visit, id: &str) -> Response {
    let now = centre.context.clock.moment();
    let Some(made) = centre.made.take(id, visit.token.as_deref(), now) else {
        let words = visit.lang.t("made-gone");
        return page::failed(visit, StatusCode::NOT_FOUND, &words);
    };
    page::send(&Made {
        frame: Frame::new(visit, "inbound", &visit.lang.t("made-title")),
        user: made.user,
        password: made.password,
        fault: made.fault,
        next: made.next,
    })
}
