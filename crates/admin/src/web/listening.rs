//! "Press Scan now": the page that listens to one inbound connector, shows the conversation of its
//! device as it happens, says why it failed, and makes the change that helps.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::stream;
use ipnet::IpNet;
use serde_json::json;

use relais_policy::document::{ConnectorState, InboundConnector};
use relais_policy::remedy::{Refused as RefusedAttempt, remedies};
use relais_policy::settings::Settings;
use relais_smtp::address::Mailbox;

use super::ask::{Centre, Refused, quoted};
use super::conversation::{self, Conversation, Outcome};
use super::door::{Change, Reader, Visit};
use super::drafts::Draft;
use super::form::Form;
use super::inbound_wizard::{self, Simulated};
use super::news;
use super::old_tls::{OldDoor, Where, needed};
use super::page::{self, Frame};
use super::rooms::Room;
use super::switching::{Side, gone};
use crate::api::connector_changes::revision;
use crate::lang::Lang;

type Named = Path<(String, String)>;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/inbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("listen"), get(show))
        .route(&address("events"), get(events))
        .route(&address("remedy"), post(help))
        .route(&address("again"), post(again))
}

/// Where a connector is listened to.
pub(super) fn path(organisation: &str, name: &str) -> String {
    format!("{}/listen", base(organisation, name))
}

fn base(organisation: &str, name: &str) -> String {
    Side::Inbound.base(organisation, name)
}

#[derive(Template)]
#[template(path = "listening.html")]
struct Listening {
    frame: Frame,
    base: String,
    name: String,
    is_observing: bool,
    revision: String,
    heard: Conversation,
    /// What a message from here would meet, where that was asked for.
    simulated: Option<Simulation>,
    /// What a device needs that knows old TLS only, where that is the matter.
    legacy: Option<Legacy>,
    /// Where its devices may use old TLS, and how long; empty: nowhere.
    allowed: String,
}

/// An imagined message of its device.
struct Simulation {
    /// Who sends it, as whom, to whom.
    imagined: String,
    answer: Simulated,
}

/// The way to a listener for old devices.
struct Legacy {
    /// What is needed yet, or the risk of what is offered.
    words: String,
    /// For `relais.toml`; empty where there is such a listener.
    listener: String,
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Named,
) -> Response {
    match compose(&centre, &visit, &organisation, &name).await {
        Ok(page) => page::send(&page),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    organisation: &str,
    name: &str,
) -> Result<Listening, Refused> {
    let room = centre.room(visit.caller(), organisation, name).await?;
    let settings = centre.settings(visit.caller());
    let owned = settings.inbound_connector(organisation, name);
    let owned = owned.ok_or_else(|| gone(visit))?;
    let (reader, door) = (conversation::Reader::Person, OldDoor::of(&centre.context));
    let with = (&*settings, &owned, door.as_ref());
    let heard = conversation::compose(visit.lang, with, &room.so_far(), reader);
    let simulated = match visit.query.get("simulate") {
        "" => None,
        _ => Some(simulate(centre, visit, (organisation, owned.connector)).await),
    };
    let old = (&*settings, door.as_ref());
    let outcome = heard.outcome.as_ref();
    let legacy = outcome.and_then(|it| old_listener(centre, visit.lang, old, it));
    let allowed = door.and_then(|door| door.allowed(visit.lang, owned.connector));
    let title = visit.lang.with("listen-title", name);
    let done = match visit.query.get("done") {
        "" => String::new(),
        _ => visit.lang.t("listen-changed"),
    };
    Ok(Listening {
        base: base(organisation, name),
        name: name.to_owned(),
        is_observing: owned.connector.state == ConnectorState::Observing,
        revision: revision(owned.connector),
        heard,
        simulated,
        legacy,
        allowed: allowed.unwrap_or_default(),
        frame: Frame::new(visit, "inbound", &title)
            .command(format!("relais connector inbound listen {}", quoted(name)))
            .done(done),
    })
}

/// What its next message would meet: imagined here, by the functions that decide real mail. Nothing
/// is sent.
async fn simulate(
    centre: &Centre,
    visit: &Visit,
    (organisation, connector): (&str, &InboundConnector),
) -> Simulation {
    let settings = centre.settings(visit.caller());
    let owner = settings.organisation(organisation);
    let mut users = owner.into_iter().flat_map(|one| &one.credential);
    let user = users.find(|one| one.enabled && one.inbound_connector == connector.name);
    let mut draft = Draft {
        organisation: organisation.to_owned(),
        connector: connector.clone(),
        more: BTreeMap::new(),
    };
    if let Some(user) = user {
        draft.more.insert("user".to_owned(), user.user.clone());
    }
    let (imagined, answer) = inbound_wizard::imagine(centre, visit, &draft).await;
    Simulation { imagined, answer }
}

/// What a device needs that knows old TLS only: another port, a click, its address, or a listener
/// of its own, which stands in `relais.toml` and which no page can open.
fn old_listener(
    centre: &Centre,
    lang: Lang,
    (settings, door): (&Settings, Option<&OldDoor>),
    outcome: &Outcome,
) -> Option<Legacy> {
    let client = outcome.old_client?;
    let Some(door) = door else {
        let (words, listener) = needed(
            &centre.context,
            lang,
            &[IpNet::from(client)],
            Where::Listening,
        );
        return Some(Legacy { words, listener });
    };
    let words = match outcome.offers.is_empty() {
        _ if door.admits(settings, client) => lang.with("listen-legacy-use", &door.place),
        true => lang.t("form-legacy-addresses"),
        false => lang.t("form-legacy-risk"),
    };
    Some(Legacy {
        words,
        listener: String::new(),
    })
}

async fn events(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Named,
) -> Response {
    let entered = centre.room(visit.caller(), &organisation, &name);
    match entered.await {
        Ok(room) => follow(&centre, &visit, room),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Tells of everything new in a room.
pub(super) fn follow(centre: &Centre, visit: &Visit, room: Room) -> Response {
    let changes = room.changes();
    let changes = stream::unfold((room, changes), |(room, mut changes)| async move {
        changes.changed().await.ok()?;
        (!room.is_closed()).then_some(((), (room, changes)))
    });
    news::send(centre, visit, changes)
}

async fn again(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, .. }: Change,
) -> Response {
    match centre.room(visit.caller(), &organisation, &name).await {
        Ok(room) => {
            room.clear();
            page::go(&path(&organisation, &name))
        }
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn help(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, form }: Change,
) -> Response {
    match change(&centre, &visit, &form, (&organisation, &name)).await {
        Ok(()) => page::go(&format!("{}?done=1", path(&organisation, &name))),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Only what is offered for that refusal is done, whatever a form says.
async fn change(
    centre: &Centre,
    visit: &Visit,
    form: &Form,
    (organisation, name): (&str, &str),
) -> Result<(), Refused> {
    let settings = centre.settings(visit.caller());
    let owned = settings.inbound_connector(organisation, name);
    let owned = owned.ok_or_else(|| gone(visit))?;
    let client = form.get("client").parse().map_err(|_| gone(visit))?;
    let mailbox = |field: &str| Mailbox::parse(form.get(field)).ok();
    let (from, to) = (mailbox("from"), mailbox("to"));
    let door = OldDoor::of(&centre.context);
    let refused = RefusedAttempt {
        token: form.get("token"),
        from: from.as_ref(),
        to: to.as_ref(),
        client,
        old_tls: door.as_ref().map(|door| &*door.review),
    };
    let wished = remedies(&settings, &owned, &refused)
        .into_iter()
        .find(|one| one.name() == form.get("remedy") && one.value() == form.get("value"));
    let wished = wished.ok_or_else(|| gone(visit))?;
    let mut connector = owned.connector.clone();
    wished.apply(&mut connector);
    let put = json!({
        "organisation": organisation,
        "connector": connector,
        "revision": revision(owned.connector),
    });
    centre
        .post(visit.caller(), "/connectors/inbound/put", &put)
        .await?;
    let room = centre.room(visit.caller(), organisation, name).await?;
    room.clear();
    Ok(())
}
