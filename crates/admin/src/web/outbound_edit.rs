//! Outbound connectors: the wizard that makes one, and its sections, changed one by one. A new one
//! is a draft of the settings from its second page on: it has no effect, can be left and resumed,
//! and can be walked before it is used.
//!
//! Each form carries the revision that was looked at. Secrets are written and never read back.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::document::{AuthMethod, ConnectorState, OutboundConnector};
use relais_policy::way_out::way_of;

use super::ask::{Centre, Refused, list, quoted, text};
use super::door::{Change, Reader, Visit};
use super::fields::Mistake;
use super::form::Form;
use super::outbound_form::{self, CAME_BY, Section};
use super::page::{self, Frame};
use super::route_words::{self, Tasks, tasks};
use super::switching::{self, Side, Subject, gone, refusal};
use crate::api::connector_changes::revision;
use crate::phrasebook::told_part;

type Named = Path<(String, String)>;

pub(super) fn routes() -> Router<Centre> {
    let address = |rest: &str| format!("/connectors/outbound/{{organisation}}/{{name}}/{rest}");
    Router::new()
        .route(&address("edit/{section}"), get(show).post(act))
        .route(&address("test"), get(before_test).post(test))
        .route(&address("state"), post(state))
        .route(&address("remove"), get(ask).post(remove))
}

fn base(organisation: &str, name: &str) -> String {
    Side::Outbound.base(organisation, name)
}

fn find(
    centre: &Centre,
    visit: &Visit,
    (organisation, name): (&str, &str),
) -> Result<OutboundConnector, Refused> {
    let settings = centre.settings(visit.caller());
    let found = settings.outbound_connector(organisation, name);
    found.cloned().ok_or_else(|| gone(visit))
}

/// A step in the list above the page.
struct Mark {
    name: String,
    address: String,
    is_here: bool,
}

/// The steps of one that is not in use yet: its sections, with the test behind the first.
fn marks(visit: &Visit, base: &str, here: &str) -> Vec<Mark> {
    let lang = visit.lang;
    let edit = |one: Section| Mark {
        name: one.title(lang),
        address: format!("{base}/edit/{}", one.name()),
        is_here: one.name() == here,
    };
    let test = Mark {
        name: lang.t("route-test"),
        address: format!("{base}/test"),
        is_here: here == "test",
    };
    let [first, rest @ ..] = Section::ALL;
    let mut all = vec![edit(first), test];
    all.extend(rest.map(edit));
    all
}

#[derive(Template)]
#[template(path = "outbound_form.html")]
struct Page {
    frame: Frame,
    base: String,
    step: &'static str,
    title: String,
    is_draft: bool,
    revision: String,
    marks: Vec<Mark>,
    mistakes: Vec<Mistake>,
    form: Form,
    tasks: Option<Tasks>,
    /// Inbound connectors of the organisation, and whether they are ticked.
    inbound: Vec<(String, bool)>,
}

impl Page {
    /// The value of a field.
    fn v(&self, name: &str) -> &str {
        self.form.get(name)
    }

    /// Whether a field has this value.
    fn on(&self, name: &str, value: &str) -> bool {
        self.form.get(name) == value
    }

    /// Whether something is wrong with a field.
    fn bad(&self, name: &str) -> bool {
        self.mistakes.iter().any(|one| one.field == name)
    }
}

/// What a page of a section is made of.
struct Sheet<'a> {
    organisation: &'a str,
    connector: &'a OutboundConnector,
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
    let (lang, connector) = (visit.lang, sheet.connector);
    let base = base(sheet.organisation, &connector.name);
    let is_draft = connector.state == ConnectorState::Draft;
    let step = sheet.section.name();
    let tasks = match sheet.section {
        Section::Connect => Some(tasks(centre, lang, way_of(connector))),
        Section::Limits | Section::Scope | Section::State => None,
    };
    let command = format!("relais connector outbound show {}", quoted(&connector.name));
    Page {
        frame: Frame::new(visit, "outbound", &connector.name).command(command),
        marks: if is_draft {
            marks(visit, &base, step)
        } else {
            Vec::new()
        },
        base,
        step,
        title: sheet.section.title(lang),
        is_draft,
        revision: sheet.revision.clone(),
        mistakes,
        inbound: inbound(centre, visit, sheet.organisation, &form),
        form,
        tasks,
    }
}

/// Those that there are; one that is ticked and gone stays to be seen.
fn inbound(centre: &Centre, visit: &Visit, organisation: &str, form: &Form) -> Vec<(String, bool)> {
    let settings = centre.settings(visit.caller());
    let owner = settings.organisation(organisation);
    let known = owner.into_iter().flat_map(|one| &one.inbound_connector);
    let mut names: Vec<_> = known.map(|one| one.name.as_str()).collect();
    names.extend(form.all(CAME_BY));
    names.sort_unstable();
    names.dedup();
    let is_ticked = |name: &str| form.all(CAME_BY).any(|one| one == name);
    let both = names
        .into_iter()
        .map(|name| (name.to_owned(), is_ticked(name)));
    both.collect()
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name, part)): Path<(String, String, String)>,
) -> Response {
    let found = find(&centre, &visit, (&organisation, &name));
    let (connector, section) = match (found, Section::parse(&part)) {
        (Ok(connector), Some(section)) => (connector, section),
        (Err(refused), _) => return page::refused(&visit, &refused),
        (Ok(_), None) => return page::refused(&visit, &gone(&visit)),
    };
    let sheet = Sheet {
        organisation: &organisation,
        connector: &connector,
        section,
        revision: revision(&connector),
    };
    let form = Form::of(outbound_form::fill(&connector));
    page::send(&compose(&centre, &visit, &sheet, form, Vec::new()))
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
    let section = Section::parse(part).ok_or_else(|| gone(visit))?;
    let seen = form.get("revision").to_owned();
    let sheet = Sheet {
        organisation,
        connector: &connector,
        section,
        revision: seen.clone(),
    };
    let wanted = match outbound_form::read(visit.lang, section, &form, &connector) {
        Ok(wanted) => wanted,
        Err(mistakes) => {
            let page = compose(centre, visit, &sheet, form, mistakes);
            return Ok(page::send(&page));
        }
    };
    let put = json!({
        "organisation": organisation,
        "connector": wanted,
        "revision": seen,
        "secret": typed_secret(&wanted, &form),
    });
    let put = centre
        .post(visit.caller(), "/connectors/outbound/put", &put)
        .await;
    let refused = match put {
        Ok(_) => return Ok(page::go(&next(organisation, &wanted, section))),
        Err(refused) => refused,
    };
    // What was typed stays in the page; the revision too, so that the new state is looked at first.
    let mistakes = vec![Mistake::new("revision", refusal(visit, refused))];
    let page = compose(centre, visit, &sheet, form, mistakes);
    Ok(page::send(&page))
}

/// The next step of a draft; else back to the connector.
fn next(organisation: &str, connector: &OutboundConnector, section: Section) -> String {
    let base = base(organisation, &connector.name);
    match (connector.state, section) {
        (ConnectorState::Draft, Section::Connect) => format!("{base}/test"),
        (ConnectorState::Draft, Section::Limits) => format!("{base}/edit/scope"),
        (ConnectorState::Draft, Section::Scope) => format!("{base}/edit/state"),
        _ => format!("{base}?done=1"),
    }
}

/// A secret that was typed; an empty field leaves the one that is kept.
fn typed_secret(connector: &OutboundConnector, form: &Form) -> Option<Value> {
    let secret = form.raw("secret");
    let kind = match connector.auth.method {
        AuthMethod::Password => "password",
        AuthMethod::Xoauth2 => "client-secret",
        AuthMethod::None | AuthMethod::Certificate => return None,
    };
    (!secret.is_empty()).then(|| json!({ "kind": kind, "value": secret }))
}

#[derive(Template)]
#[template(path = "outbound_test.html")]
struct TestPage {
    frame: Frame,
    base: String,
    marks: Vec<Mark>,
    to: String,
    fault: String,
    hosts: Vec<Host>,
}

/// One smart host's walk.
struct Host {
    name: String,
    is_ok: bool,
    steps: Vec<WalkStep>,
    transcript: Vec<String>,
}

struct WalkStep {
    name: String,
    is_ok: bool,
    detail: String,
    advice: String,
}

fn test_page(
    visit: &Visit,
    (organisation, connector): (&str, &OutboundConnector),
    to: String,
    walked: Option<Result<Value, Refused>>,
) -> TestPage {
    let base = base(organisation, &connector.name);
    let marks = match connector.state {
        ConnectorState::Draft => marks(visit, &base, "test"),
        ConnectorState::Enabled | ConnectorState::Observing | ConnectorState::Disabled => {
            Vec::new()
        }
    };
    let (hosts, fault) = match walked {
        None => (Vec::new(), String::new()),
        Some(Err(refused)) => (Vec::new(), refused.detail),
        Some(Ok(walked)) => {
            let hosts = list(&walked, "hosts").iter();
            (hosts.map(|one| host(visit, one)).collect(), String::new())
        }
    };
    let title = visit.lang.with("route-test-of", &connector.name);
    let command = format!(
        "relais connector outbound test {} --to {}",
        quoted(&connector.name),
        quoted(&to)
    );
    TestPage {
        frame: Frame::new(visit, "outbound", &title).command(command),
        base,
        marks,
        to,
        fault,
        hosts,
    }
}

fn host(visit: &Visit, value: &Value) -> Host {
    let code = visit.lang.code();
    let steps = list(value, "steps").iter().map(|step| {
        let (cause, fix) = (text(&step["cause"], code), text(&step["fix"], code));
        WalkStep {
            name: route_words::step(visit.lang, text(step, "step")),
            is_ok: step["ok"] == true,
            detail: told_part(visit.lang.0, text(step, "detail")).into_owned(),
            advice: format!("{cause} {fix}").trim().to_owned(),
        }
    });
    let transcript = list(value, "transcript").iter();
    let transcript = transcript.filter_map(Value::as_str);
    Host {
        name: text(value, "host").to_owned(),
        is_ok: value["ok"] == true,
        steps: steps.collect(),
        transcript: transcript.map(ToOwned::to_owned).collect(),
    }
}

async fn before_test(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((organisation, name)): Named,
) -> Response {
    let connector = match find(&centre, &visit, (&organisation, &name)) {
        Ok(connector) => connector,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let settings = centre.settings(visit.caller());
    let owner = settings.organisation(&organisation);
    let to = owner.map(|one| one.postmaster.clone()).unwrap_or_default();
    page::send(&test_page(&visit, (&organisation, &connector), to, None))
}

/// Walks as far as RCPT; nothing is delivered.
async fn test(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, form }: Change,
) -> Response {
    let connector = match find(&centre, &visit, (&organisation, &name)) {
        Ok(connector) => connector,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let to = form.get("to").to_owned();
    let asked = json!({ "organisation": organisation, "name": name, "to": to });
    let path = "/connectors/outbound/test";
    let walked = centre.post(visit.caller(), path, &asked).await;
    let page = test_page(&visit, (&organisation, &connector), to, Some(walked));
    page::send(&page)
}

fn subject<'a>(
    centre: &Centre,
    visit: &Visit,
    named: (&'a str, &'a str),
) -> Result<Subject<'a>, Refused> {
    let connector = find(centre, visit, named)?;
    Ok(Subject::new(Side::Outbound, named, &connector))
}

async fn state(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
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
    Path((organisation, name)): Named,
) -> Response {
    match subject(&centre, &visit, (&organisation, &name)) {
        Ok(subject) => switching::ask_to_remove(&visit, subject),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn remove(
    State(centre): State<Centre>,
    Path((organisation, name)): Named,
    Change { visit, form }: Change,
) -> Response {
    match subject(&centre, &visit, (&organisation, &name)) {
        Ok(subject) => switching::remove(&centre, &visit, &form, subject).await,
        Err(refused) => page::refused(&visit, &refused),
    }
}
