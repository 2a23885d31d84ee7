//! The page behind the code of a device card: it waits for the device, without a login, to be read
//! only, for one connector, for some days. Whoever has the card sees what one device says where its
//! address was given, else what all devices of that connector say, senders and recipients included,
//! without secrets and content, from when they open the page on; nothing of other connectors.

use std::net::IpAddr;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};

use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfAudit, ShelfChange};

use super::ask::{Centre, Refused};
use super::conversation::{self, Conversation, Reader};
use super::door::Visit;
use super::listening;
use super::page::{self, Frame};
use super::rooms::Room;
use crate::context::Caller;
use crate::people::{hash_of, hexadecimal};
use crate::permission::{Reach, Rights, Role};
use crate::times;

/// How long a card's code leads somewhere: a technician comes within a week.
const LINK_LIFETIME: Duration = Duration::from_secs(7 * 86_400);
/// Links at the same time; the oldest goes.
const LINKS_MAX: usize = 500;
/// Longest token that is looked at, in characters.
const TOKEN_MAX: usize = 64;

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/wait/{token}", get(show))
        .route("/wait/{token}/events", get(events))
}

/// Where a code leads. Only the hash of its token is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Link {
    pub(super) organisation: String,
    pub(super) connector: String,
    /// `https://relay.example.com:8443`, as the person who made it reached us.
    pub(super) origin: String,
    /// The one device that it is about; none: all of the connector.
    #[serde(default)]
    pub(super) device: Option<IpAddr>,
    /// In milliseconds since 1970.
    until: i64,
}

fn stored(error: &relais_store::queue::StoreError) -> Refused {
    Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        detail: error.to_string(),
    }
}

/// A new one; its token is told this once.
pub(super) async fn make(
    centre: &Centre,
    caller: &Caller,
    (organisation, connector): (&str, &str),
    device: Option<IpAddr>,
    origin: &str,
) -> Result<String, Refused> {
    let (store, now) = (&centre.context.store, centre.context.clock.now());
    let mut before = store
        .shelf(Shelf::WaitingLink)
        .await
        .map_err(|error| stored(&error))?;
    before.sort_by_key(|entry| entry.since);
    let too_many = (before.len() + 1).saturating_sub(LINKS_MAX);
    let is_over = |value: &str| {
        let read: Result<Link, _> = serde_json::from_str(value);
        !read.is_ok_and(|link| link.until > now.as_millis())
    };
    let gone = before.iter().enumerate();
    let gone = gone.filter(|(at, entry)| *at < too_many || is_over(&entry.value));
    let gone: Vec<_> = gone.map(|(_, entry)| entry.key.clone()).collect();
    let token = hexadecimal(&centre.context.chance.octets::<16>());
    let link = Link {
        organisation: organisation.to_owned(),
        connector: connector.to_owned(),
        origin: origin.to_owned(),
        device,
        until: now.after(LINK_LIFETIME).as_millis(),
    };
    let value = serde_json::to_string(&link).unwrap_or_default();
    let until = Timestamp::from_millis(link.until).to_rfc3339();
    let mut change = ShelfChange::new(Shelf::WaitingLink, now)
        .put(hash_of(&token), value)
        .audited(ShelfAudit {
            actor: caller.actor.to_string(),
            via: caller.via,
            act: "card.link-made",
            detail: vec![
                format!("organisation {organisation}, inbound connector {connector}"),
                format!("until {until}"),
            ],
        });
    change.taken = gone;
    let kept = store.change_shelf(change).await;
    kept.map_err(|error| stored(&error))?;
    Ok(token)
}

/// Where a token leads; `None`: nowhere, or no more.
pub(super) async fn leads_to(centre: &Centre, token: &str) -> Option<Link> {
    if token.is_empty() || token.len() > TOKEN_MAX {
        return None;
    }
    let store = &centre.context.store;
    let value = store.shelf_value(Shelf::WaitingLink, &hash_of(token)).await;
    let link: Link = serde_json::from_str(&value.ok()??).ok()?;
    (link.until > centre.context.clock.now().as_millis()).then_some(link)
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
fn anybody(link: &Link) -> Caller {
    let reach = Reach::Organisation {
        name: link.organisation.clone(),
        connector: Some(link.connector.clone()),
    };
    Caller::web("card", Rights::of_role(Role::Installer, reach))
}

/// A room of this code's own: what was said before somebody came by it is not in there.
async fn room(centre: &Centre, token: &str, link: &Link) -> Result<Room, Refused> {
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
    let Some(link) = leads_to(&centre, &token).await else {
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
    let with = (&*settings, &owned);
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
    let Some(link) = leads_to(&centre, &token).await else {
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
