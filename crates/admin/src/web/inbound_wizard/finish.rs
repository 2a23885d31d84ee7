//! Saving: the connector, the user with its password that is shown this once, and on to listening.

use askama::Template;
use axum::response::Response;
use serde_json::json;

use relais_policy::document::InboundConnector;

use super::{At, Shown, Then, compose};
use crate::api::connector_changes::revision;
use crate::web::ask::{Centre, Refused, segment, text};
use crate::web::door::Visit;
use crate::web::drafts::{self, Draft};
use crate::web::fields::Mistake;
use crate::web::form::Form;
use crate::web::page::{self, Frame};

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
        let form = Form::of(crate::web::inbound_form::fill(connector));
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
    let next = format!(
        "/connectors/inbound/{}/{}{}",
        segment(&draft.organisation),
        segment(&connector.name),
        match then {
            Then::Listen => "/listen",
            Then::Leave => "",
        }
    );
    if let Err(refused) = lead(centre, visit, draft).await {
        let words = visit.lang.with("delivery-not-led", draft.more("way"));
        let detail = format!("{words} {}", refused.detail);
        return Ok(page::failed(visit, refused.status, &detail));
    }
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
    Ok(page::send(&Made {
        frame: Frame::new(visit, "inbound", &visit.lang.t("made-title")),
        user: draft.more("user").to_owned(),
        password,
        fault,
        next,
    }))
}

/// Its mail leaves by the outbound connector that was chosen: one that is for named ones only.
async fn lead(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
) -> Result<(), Refused> {
    let (organisation, way) = (draft.organisation.as_str(), draft.more("way"));
    let settings = centre.settings(visit.caller());
    let Some(found) = settings.outbound_connector(organisation, way) else {
        return Ok(());
    };
    let name = &draft.connector.name;
    if found.inbound_connectors.is_empty() || found.inbound_connectors.contains(name) {
        return Ok(());
    }
    let mut wanted = found.clone();
    wanted.inbound_connectors.push(name.clone());
    let put = json!({
        "organisation": organisation,
        "connector": wanted,
        "revision": revision(found),
    });
    let path = "/connectors/outbound/put";
    centre.post(visit.caller(), path, &put).await.map(|_| ())
}
