//! Changing an inbound connector that is there: section by section, enabled and disabled, removed
//! by its typed name. Each form carries the revision that was looked at, so that nobody overwrites
//! what they have not seen.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use relais_policy::document::InboundConnector;

use super::ask::{Centre, Refused};
use super::door::{Change, Reader, Visit};
use super::fields::Mistake;
use super::form::Form;
use super::inbound_form::{self, Section};
use super::inbound_wizard::{Page, command, ways};
use super::old_tls::OldTls;
use super::page::{self, Frame};
use super::switching::{self, Side, Subject, gone, refusal};
use crate::api::connector_changes::revision;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/inbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("edit/{section}"), get(show).post(act))
        .route(&address("state"), post(state))
        .route(&address("remove"), get(ask).post(remove))
}

/// Where a connector is shown.
fn base(organisation: &str, name: &str) -> String {
    Side::Inbound.base(organisation, name)
}

fn find(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Result<InboundConnector, Refused> {
    let settings = centre.settings(visit.caller());
    let found = settings.inbound_connector(organisation, name);
    found
        .map(|found| found.connector.clone())
        .ok_or_else(|| gone(visit))
}

fn section(visit: &Visit, name: &str) -> Result<Section, Refused> {
    Section::parse(name).ok_or_else(|| gone(visit))
}

/// The page of one section.
struct Sheet<'a> {
    organisation: &'a str,
    connector: &'a InboundConnector,
    section: Section,
    /// What was looked at.
    revision: String,
}

fn compose(
    centre: &Centre,
    visit: &Visit,
    sheet: &Sheet<'_>,
    form: Form,
    mistakes: Vec<Mistake>,
) -> Page {
    let name = &sheet.connector.name;
    let base = base(sheet.organisation, name);
    Page {
        frame: Frame::new(visit, "inbound", name).command(command("set", sheet.connector)),
        back: base.clone(),
        action: format!("{base}/edit/{}", sheet.section.name()),
        step: sheet.section.name(),
        title: sheet.section.title(visit.lang),
        is_wizard: false,
        revision: sheet.revision.clone(),
        marks: Vec::new(),
        mistakes,
        findings: Vec::new(),
        form,
        ways: match sheet.section {
            Section::Delivery => ways(centre, sheet.organisation),
            _ => Vec::new(),
        },
        old_tls: (sheet.section == Section::Security)
            .then(|| OldTls::of(&centre.context, visit.lang, sheet.connector)),
        review: None,
    }
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name, part)): Path<(String, String, String)>,
) -> Response {
    let found = find(&centre, &visit, (&organisation, &name));
    match (found, section(&visit, &part)) {
        (Ok(connector), Ok(section)) => {
            let sheet = Sheet {
                organisation: &organisation,
                connector: &connector,
                section,
                revision: revision(&connector),
            };
            let form = Form::of(inbound_form::fill(visit.lang, &connector));
            page::send(&compose(&centre, &visit, &sheet, form, Vec::new()))
        }
        (Err(refused), _) | (_, Err(refused)) => page::refused(&visit, &refused),
    }
}

async fn act(
    State(centre): State<Centre>,
    Path((organisation, name, part)): Path<(String, String, String)>,
    Change { visit, form }: Change,
) -> Response {
    let changed = change(&centre, &visit, form, (&organisation, &name, &part)).await;
    changed.unwrap_or_else(|refused| page::refused(&visit, &refused))
}

async fn change(
    centre: &Centre,
    visit: &Visit,
    form: Form,
    (organisation, name, part): (&str, &str, &str),
) -> Result<Response, Refused> {
    let connector = find(centre, visit, (organisation, name))?;
    let section = section(visit, part)?;
    let seen = form.get("revision").to_owned();
    let sheet = Sheet {
        organisation,
        connector: &connector,
        section,
        revision: seen.clone(),
    };
    let wanted = match inbound_form::read(visit.lang, section, &form, &connector) {
        Ok(wanted) => wanted,
        Err(mistakes) => return Ok(page::send(&compose(centre, visit, &sheet, form, mistakes))),
    };
    let put = json!({ "organisation": organisation, "connector": wanted, "revision": seen });
    let refused = match centre
        .post(visit.caller(), "/connectors/inbound/put", &put)
        .await
    {
        Ok(_) => return Ok(page::go(&format!("{}?done=1", base(organisation, name)))),
        Err(refused) => refused,
    };
    // What was typed stays in the page; the revision too, so that the new state is looked at first.
    let mistakes = vec![Mistake::new("revision", refusal(visit, refused))];
    Ok(page::send(&compose(centre, visit, &sheet, form, mistakes)))
}

/// The connector with the users that lead to it.
fn subject<'a>(
    centre: &Centre,
    visit: &Visit,
    named: (&'a str, &'a str),
) -> Result<Subject<'a>, Refused> {
    let connector = find(centre, visit, named)?;
    let settings = centre.settings(visit.caller());
    let owner = settings.organisation(named.0);
    let users = owner.into_iter().flat_map(|one| &one.credential);
    let users = users.filter(|one| one.inbound_connector == named.1);
    let mut subject = Subject::new(Side::Inbound, named, &connector);
    subject.users = users.map(|one| one.user.clone()).collect();
    Ok(subject)
}

async fn state(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    match subject(&centre, &visit, (&organisation, &name)) {
        Ok(subject) => switching::switch(&centre, &visit, &form, subject).await,
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn ask(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Path<(String, String)>,
) -> Response {
    match subject(&centre, &visit, (&organisation, &name)) {
        Ok(subject) => switching::ask_to_remove(&visit, subject),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn remove(
    State(centre): State<Centre>,
    Path((organisation, name)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    match subject(&centre, &visit, (&organisation, &name)) {
        Ok(subject) => switching::remove(&centre, &visit, &form, subject).await,
        Err(refused) => page::refused(&visit, &refused),
    }
}
