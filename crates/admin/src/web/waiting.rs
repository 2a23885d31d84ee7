//! The page behind the code of a device card: it waits for the device, without a login, to be read
//! only, for one connector, for some days. Whoever has the card sees what one device says where its
//! address was given, else what all devices of that connector say, senders and recipients included,
//! without secrets and content, from when they open the page on; nothing of other connectors.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused};
use super::conversation::{self, Conversation, Reader};
use super::door::Visit;
use super::listening;
use super::page::{self, Frame};
use super::rooms::Room;
use crate::card::issued::{Issued, leads_to};
use crate::context::Caller;
use crate::people::hash_of;
use crate::permission::{Reach, Rights, Role};
use crate::times;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/wait/{token}", get(show))
        .route("/wait/{token}/events", get(events))
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct Waiting {
    frame: Frame,
    token: String,
    /// Since when, in words.
    since: String,
    heard: Conversation,
}

/// Where somebody waits from this time on, in milliseconds since 1970.
fn from(token: &str, time: Timestamp) -> String {
    format!("/wait/{token}?from={}", time.as_millis())
}

fn over(visit: &Visit) -> Response {
    page::failed(visit, StatusCode::GONE, &visit.lang.t("waiting-over"))
}

/// Nobody is signed in: these pages see what an installer of this one connector would.
fn anybody(link: &Issued) -> Caller {
    let reach = Reach::Organisation {
        name: link.organisation.clone(),
        connector: Some(link.connector.clone()),
    };
    Caller::web("card", Rights::of_role(Role::Installer, reach))
}

/// A room of this code's own: what was said before somebody came by it is not in there.
async fn room(centre: &Centre, token: &str, link: &Issued) -> Result<Room, Refused> {
    let caller = anybody(link);
    centre
        .room_of(
            &hash_of(token),
            &caller,
            &link.organisation,
            &link.connector,
        )
        .await
}

async fn show(State(centre): State<Centre>, visit: Visit, Path(token): Path<String>) -> Response {
    let Some(link) = leads_to(&centre.context, &token).await else {
        return over(&visit);
    };
    // Who is signed in sees the same: the page is the technician's.
    let visit = Visit {
        session: None,
        ..visit
    };
    let settings = centre.context.store.settings();
    let owned = settings.inbound_connector(&link.organisation, &link.connector);
    let room = room(&centre, &token, &link).await;
    let (Some(owned), Ok(room)) = (owned, room) else {
        return over(&visit);
    };
    // From the first look on, which the address remembers: reloading loses nothing.
    let Ok(since) = visit.query.get("from").parse() else {
        return page::go(&from(&token, centre.context.clock.now()));
    };
    let since = Timestamp::from_millis(since);
    let with = (&*settings, &owned, None);
    let heard = conversation::compose(
        visit.lang,
        with,
        &room.since(since),
        Reader::Anybody(link.device),
    );
    let title = visit.lang.with("listen-title", &link.connector);
    page::send(&Waiting {
        frame: Frame::new(&visit, "", &title),
        since: times::zoned(visit.lang, since),
        token,
        heard,
    })
}

async fn events(State(centre): State<Centre>, visit: Visit, Path(token): Path<String>) -> Response {
    let Some(link) = leads_to(&centre.context, &token).await else {
        return over(&visit);
    };
    match room(&centre, &token, &link).await {
        // Nobody's session ends it: who is signed in sees the same.
        Ok(room) => {
            let nobody = Visit {
                session: None,
                ..visit
            };
            listening::follow(&centre, &nobody, room)
        }
        Err(_) => over(&visit),
    }
}
