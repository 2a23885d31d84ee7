//! The first page: what will send? A kind, a device that was just refused, or one like another.
//! Each begins a draft.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use relais_policy::adopt::no_client;
use relais_policy::document::{ConnectorState, InboundConnector};
use relais_smtp::domain::Domain;

use super::kinds::DeviceKind;
use super::{Step, path};
use crate::plain::clean;
use crate::web::ask::{Centre, Refused, address, list, segment, text};
use crate::web::door::{Change, Reader, Visit};
use crate::web::drafts::{self, Draft};
use crate::web::inbound_form::Section;
use crate::web::page::{self, Frame};

/// Refused devices that are shown: whoever sets up a device has just tried it.
const REFUSED_MAX: &str = "10";
/// How far back.
const REFUSED_SINCE: &str = "24h";
/// Names tried before the one that is taken.
const NUMBERS_MAX: u32 = 1_000;
/// Characters of a connector's name.
const NAME_CHARACTERS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "inbound_begin.html")]
struct Begin {
    frame: Frame,
    kinds: Vec<(&'static str, String, String)>,
    /// Which of them is chosen at first: that of the link, else the first.
    chosen: &'static str,
    organisations: Vec<String>,
    refused: Vec<Tried>,
    others: Vec<(String, String)>,
    drafts: Vec<(String, String)>,
}

/// A device that was refused.
pub(in crate::web) struct Tried {
    pub(in crate::web) reference: String,
    pub(in crate::web) address: String,
    pub(in crate::web) helo: String,
    pub(in crate::web) reply: String,
}

/// Those of the last day that may be adopted.
pub(in crate::web) async fn refused(centre: &Centre, visit: &Visit) -> Result<Vec<Tried>, Refused> {
    let asked = [("since", REFUSED_SINCE), ("limit", REFUSED_MAX)];
    let attempts = centre.get(visit.caller(), "/attempts", &asked).await?;
    let all = list(&attempts, "attempts").iter();
    let devices = all.filter(|one| {
        let is_client = no_client(text(one, "token"), one["helo"].as_str()).is_none();
        is_client && !text(one, "reference").is_empty()
    });
    let tried = devices.map(|one| {
        let plain = |key: &str| clean(text(one, key)).into_owned();
        Tried {
            reference: plain("reference"),
            address: plain("address"),
            helo: plain("helo"),
            reply: plain("reply"),
        }
    });
    Ok(tried.collect())
}

pub(super) async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match compose(&centre, &visit).await {
        Ok(begin) => page::send(&begin),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit) -> Result<Begin, Refused> {
    let (lang, who) = (visit.lang, visit.caller());
    let connectors = centre.get(who, "/connectors/inbound", &[]).await?;
    let others = list(&connectors, "connectors").iter().map(|one| {
        let (organisation, name) = (text(one, "organisation"), text(one, "name"));
        (format!("{organisation}/{name}"), name.to_owned())
    });
    let drafts = drafts::list::<InboundConnector>(centre, visit).await?;
    let drafts = drafts.into_iter().map(|(id, draft)| {
        let name = match draft.connector.name.as_str() {
            "" => lang.t("draft-nameless"),
            name => name.to_owned(),
        };
        (id, name)
    });
    let settings = centre.settings(visit.caller());
    let organisations = settings.document.organisation.iter();
    let kinds = DeviceKind::ALL.map(|kind| {
        let (title, hint) = match kind {
            DeviceKind::Printer => ("kind-printer", "kind-printer-hint"),
            DeviceKind::Appliance => ("kind-appliance", "kind-appliance-hint"),
            DeviceKind::Application => ("kind-application", "kind-application-hint"),
            DeviceKind::Script => ("kind-script", "kind-script-hint"),
        };
        (kind.name(), lang.t(title), lang.t(hint))
    });
    let wanted = visit.query.get("kind");
    let chosen = DeviceKind::ALL
        .into_iter()
        .find(|kind| kind.name() == wanted);
    Ok(Begin {
        kinds: kinds.into(),
        chosen: chosen.unwrap_or(DeviceKind::Printer).name(),
        organisations: organisations.map(|one| one.name.clone()).collect(),
        refused: refused(centre, visit).await?,
        others: others.collect(),
        drafts: drafts.collect(),
        frame: Frame::new(visit, "inbound", &lang.t("wizard-title"))
            .command("relais connector inbound add NAME --ip ADDRESS"),
    })
}

pub(super) async fn act(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let organisation = match form.get("organisation") {
        "" => {
            let settings = centre.settings(visit.caller());
            let first = settings.document.organisation.first();
            first.map(|one| one.name.clone())
        }
        name => Some(name.to_owned()),
    };
    let Some(organisation) = organisation else {
        let words = visit.lang.t("wizard-no-organisation");
        return page::failed(&visit, StatusCode::CONFLICT, &words);
    };
    let begun = match (form.get("attempt"), form.get("copy")) {
        ("", "") => by_kind(&centre, &visit, organisation, form.get("kind")).await,
        ("", copy) => like(&centre, &visit, copy).await,
        (attempt, _) => adopted(&centre, &visit, organisation, attempt).await,
    };
    match begun {
        Ok(address) => page::go(&address),
        Err(refused) => page::refused(&visit, &refused),
    }
}

const FIRST: Step = Step::Fields(Section::Identify);

/// The postmaster gets the first tests.
fn observed(
    centre: &Centre,
    organisation: &str,
    mut connector: InboundConnector,
) -> InboundConnector {
    connector.state = ConnectorState::Observing;
    let settings = centre.context.store.settings();
    let postmaster = settings
        .organisation(organisation)
        .map(|one| &one.postmaster);
    let postmaster = postmaster.filter(|postmaster| !postmaster.is_empty());
    if connector.test_recipients.is_empty() {
        connector.test_recipients = postmaster.cloned().into_iter().collect();
    }
    connector
}

async fn by_kind(
    centre: &Centre,
    visit: &Visit,
    organisation: String,
    kind: &str,
) -> Result<String, Refused> {
    let kind = DeviceKind::parse(kind).unwrap_or(DeviceKind::Printer);
    let mut more = BTreeMap::from([("kind".to_owned(), kind.name().to_owned())]);
    if kind.wants_credential() {
        more.insert("credential".to_owned(), "1".to_owned());
    }
    let draft = Draft {
        connector: observed(centre, &organisation, kind.connector("")),
        organisation,
        more,
    };
    let id = drafts::begin(centre, visit, &draft).await?;
    Ok(path(&id, FIRST))
}

/// The rules of another, for a device of its own.
async fn like(centre: &Centre, visit: &Visit, copy: &str) -> Result<String, Refused> {
    let settings = centre.settings(visit.caller());
    let named = copy.split_once('/');
    let found = named.and_then(|(owner, name)| settings.inbound_connector(owner, name));
    let found = found.ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        detail: visit.lang.t("error-not-found"),
    })?;
    let organisation = found.organisation.name.clone();
    let mut connector = found.connector.clone();
    connector.name = free_name(centre, &organisation, &connector.name);
    connector.sender_ip_addresses.clear();
    connector.sender_dns_names.clear();
    connector.tls_sender_certificate_name.clear();
    connector.tls_sender_certificate_fingerprints.clear();
    let draft = Draft {
        connector: observed(centre, &organisation, connector),
        organisation,
        more: BTreeMap::new(),
    };
    let id = drafts::begin(centre, visit, &draft).await?;
    Ok(path(&id, FIRST))
}

/// A refused device: all that it showed is filled in, so that only a look is left.
async fn adopted(
    centre: &Centre,
    visit: &Visit,
    organisation: String,
    reference: &str,
) -> Result<String, Refused> {
    let who = visit.caller();
    let asked = format!("ref:{reference}");
    let found = centre
        .get(who, "/trace", &[("q", &asked), ("limit", "1")])
        .await?;
    let client = list(&found, "events").first().map(|event| &event["client"]);
    let client = client.cloned().unwrap_or_default();
    let name = free_name(centre, &organisation, &name_of(visit, &client));
    let wanted = json!({ "name": name, "organisation": organisation, "dry_run": true });
    let adopt = format!("/attempts/{}/adopt", segment(reference));
    let answer = centre.post(who, &adopt, &wanted).await?;
    let mut made = answer["made"].clone();
    if text(&made, "kind_of_object") == "credential" {
        // Its user is known already: it may sign in from there too, and there is nothing to ask.
        let wanted = json!({ "name": name, "organisation": organisation });
        centre.post(who, &adopt, &wanted).await?;
        let done = [("done", "adopt-user"), ("made", text(&made, "user"))];
        return Ok(address("/attempts", &done));
    }
    if let Some(keys) = made.as_object_mut() {
        keys.remove("kind_of_object");
        keys.remove("organisation");
    }
    let connector = serde_json::from_value(made).map_err(|error| Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        detail: error.to_string(),
    })?;
    let draft = Draft {
        connector: observed(centre, &organisation, connector),
        organisation,
        more: BTreeMap::from([("attempt".to_owned(), reference.to_owned())]),
    };
    let id = drafts::begin(centre, visit, &draft).await?;
    Ok(path(&id, Step::Review))
}

/// What it calls itself, where that is a name; else its address.
fn name_of(visit: &Visit, client: &Value) -> String {
    let helo = text(client, "helo");
    let label = helo.split('.').next().unwrap_or_default();
    let is_name = Domain::parse(helo).is_ok() && !label.bytes().all(|one| one.is_ascii_digit());
    if is_name && label != "localhost" {
        return label.chars().take(NAME_CHARACTERS_MAX).collect();
    }
    visit.lang.with("device-at", text(client, "address"))
}

/// The name, or the same with a number.
fn free_name(centre: &Centre, organisation: &str, name: &str) -> String {
    let settings = centre.context.store.settings();
    let is_taken = |name: &str| settings.inbound_connector(organisation, name).is_some();
    if !is_taken(name) {
        return name.to_owned();
    }
    let mut others = (2..NUMBERS_MAX).map(|number| format!("{name} {number}"));
    others
        .find(|name| !is_taken(name))
        .unwrap_or_else(|| name.to_owned())
}
