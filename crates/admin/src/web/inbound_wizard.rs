//! *Add a device*: the wizard that makes an inbound connector, step by step, with live checks at
//! each. What was typed is kept as a draft: a step back, another browser, a restart lose nothing.
//!
//! Modules stand in order of floors: each may use only those below it. Not here: listening for the
//! device (`listening`), changing a connector that is there (`inbound_edit`).

mod finish;
mod review;
mod certificate;
mod look;
mod begin;
mod kinds;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;

use relais_policy::document::InboundConnector;

use super::ask::{Centre, Refused};
use super::door::{Change, Reader, Visit};
use super::drafts::{self, Draft};
use super::fields::Mistake;
use super::form::Form;
use super::inbound_form::{self, Section};
use super::old_tls::OldTls;
use super::page::{self, Frame};
use super::trace::Status;
use crate::lang::Lang;

pub(super) use begin::{Tried, refused as refused_devices};
pub(super) use look::Finding;
pub(super) use review::{Simulated, command, imagine, sentence};

/// Where the wizard lives.
pub(super) const HERE: &str = "/add-device";

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route(HERE, get(begin::show).post(begin::act))
        .route(
            "/add-device/{id}/certificate",
            get(certificate::show).post(certificate::take),
        )
        .route(
            "/add-device/{id}/certificate/events",
            get(certificate::events),
        )
        .route("/add-device/{id}/{step}", get(show).post(act))
}

/// The steps, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Fields(Section),
    Review,
}

impl Step {
    const ALL: [Self; 6] = [
        Self::Fields(Section::Identify),
        Self::Fields(Section::Senders),
        Self::Fields(Section::Recipients),
        Self::Fields(Section::Security),
        Self::Fields(Section::Delivery),
        Self::Review,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Fields(section) => section.name(),
            Self::Review => "review",
        }
    }

    fn title(self, lang: Lang) -> String {
        match self {
            Self::Fields(section) => section.title(lang),
            Self::Review => lang.t("step-review"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The one so many steps on.
    fn by(self, steps: isize) -> Self {
        let at = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
        let at = at.saturating_add_signed(steps).min(Self::ALL.len() - 1);
        Self::ALL[at]
    }
}

fn path(id: &str, step: Step) -> String {
    format!("{HERE}/{id}/{}", step.name())
}

/// A step in the list above the page.
pub(super) struct Mark {
    name: String,
    address: String,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "inbound_form.html")]
pub(super) struct Page {
    pub(super) frame: Frame,
    pub(super) action: String,
    pub(super) step: &'static str,
    pub(super) title: String,
    pub(super) is_wizard: bool,
    /// Where one comes from who changes a connector.
    pub(super) back: String,
    pub(super) revision: String,
    pub(super) marks: Vec<Mark>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) findings: Vec<Finding>,
    pub(super) form: Form,
    /// Outbound connectors that this one's mail can be led by.
    pub(super) ways: Vec<String>,
    /// Of the listener for old devices, where it is the matter.
    pub(super) old_tls: Option<OldTls>,
    /// What only the last step shows.
    pub(super) review: Option<review::Review>,
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

/// Where one goes who has saved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Then {
    /// To the page that listens to the device.
    Listen,
    /// To the connector, which is marked until its first message.
    Leave,
}

/// One request's step with its draft.
struct At {
    id: String,
    step: Step,
    draft: Draft<InboundConnector>,
}

async fn at(centre: &Centre, visit: &Visit, id: String, step: &str) -> Result<At, Refused> {
    let draft = drafts::get(centre, visit, &id).await?;
    let step = Step::parse(step).unwrap_or(Step::ALL[0]);
    Ok(At { id, step, draft })
}

async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path((id, step)): Path<(String, String)>,
) -> Response {
    if step == finish::MADE {
        return finish::made(&centre, &visit, &id);
    }
    // Who steps back from a connector that was saved goes on with it.
    if let Some(saved) = drafts::saved::<InboundConnector>(&centre, &visit, &id) {
        return page::go(&saved);
    }
    let composed = async {
        let at = at(&centre, &visit, id, &step).await?;
        let findings = match at.step {
            // They ask nobody, so nobody needs to ask for them.
            Step::Fields(section @ (Section::Recipients | Section::Delivery)) => {
                look::at(&centre, &visit, section, &at.draft).await
            }
            Step::Fields(section) if !visit.query.get("checked").is_empty() => {
                look::at(&centre, &visit, section, &at.draft).await
            }
            Step::Review if !visit.query.get("simulate").is_empty() => {
                let asked = visit.query.clone();
                return compose(&centre, &visit, &at, Shown::Simulated(asked)).await;
            }
            Step::Fields(_) | Step::Review => Vec::new(),
        };
        compose(&centre, &visit, &at, Shown::Findings(findings)).await
    };
    match composed.await {
        Ok(page) => page::send(&page),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// What a page shows beside the draft.
enum Shown {
    Findings(Vec<Finding>),
    /// As it was sent, with what is wrong in it.
    Mistakes(Form, Vec<Mistake>),
    Simulated(Form),
}

fn filled(lang: Lang, draft: &Draft<InboundConnector>) -> Form {
    let mut pairs = inbound_form::fill(lang, &draft.connector);
    pairs.extend(draft.more.clone());
    Form::of(pairs)
}

async fn compose(centre: &Centre, visit: &Visit, at: &At, shown: Shown) -> Result<Page, Refused> {
    let lang = visit.lang;
    let marks = Step::ALL.iter().map(|one| Mark {
        name: one.title(lang),
        address: path(&at.id, *one),
        is_here: *one == at.step,
    });
    let (form, mistakes, findings, asked) = match shown {
        Shown::Findings(findings) => (filled(lang, &at.draft), Vec::new(), findings, None),
        Shown::Mistakes(form, mistakes) => (form, mistakes, Vec::new(), None),
        Shown::Simulated(asked) => (filled(lang, &at.draft), Vec::new(), Vec::new(), Some(asked)),
    };
    let review = match at.step {
        Step::Review => Some(review::of(centre, visit, &at.draft, asked.as_ref()).await?),
        Step::Fields(_) => None,
    };
    let frame = Frame::new(visit, "inbound", &lang.t("wizard-title"));
    Ok(Page {
        frame: frame.command(command("add", &at.draft.connector)),
        action: path(&at.id, at.step),
        step: at.step.name(),
        title: at.step.title(lang),
        is_wizard: true,
        back: String::new(),
        revision: String::new(),
        marks: marks.collect(),
        mistakes,
        findings,
        form,
        ways: match at.step {
            Step::Fields(Section::Delivery) => ways(centre, &at.draft.organisation),
            Step::Fields(_) | Step::Review => Vec::new(),
        },
        old_tls: (at.step == Step::Fields(Section::Security))
            .then(|| OldTls::of(&centre.context, lang, &at.draft.connector)),
        review,
    })
}

/// Outbound connectors by which its mail can leave, whatever the recipient's domain.
pub(super) fn ways(centre: &Centre, organisation: &str) -> Vec<String> {
    let settings = centre.context.store.settings();
    let owner = settings.organisation(organisation);
    let all = owner.into_iter().flat_map(|one| &one.outbound_connector);
    all.map(|one| one.name.clone()).collect()
}

async fn act(
    State(centre): State<Centre>,
    Path((id, step)): Path<(String, String)>,
    Change { visit, form }: Change,
) -> Response {
    if let Some(saved) = drafts::saved::<InboundConnector>(&centre, &visit, &id) {
        return page::go(&saved);
    }
    let answered = async {
        if step == "discard" {
            drafts::end::<InboundConnector>(&centre, &visit, &id, None).await?;
            return Ok(page::go("/connectors/inbound"));
        }
        let at = at(&centre, &visit, id, &step).await?;
        answer(&centre, &visit, at, form).await
    };
    answered
        .await
        .unwrap_or_else(|refused: Refused| page::refused(&visit, &refused))
}

/// What was typed is kept, then the wish decides where to go.
async fn answer(
    centre: &Centre,
    visit: &Visit,
    mut at: At,
    form: Form,
) -> Result<Response, Refused> {
    let wish = form.get("go").to_owned();
    if let ("certificate" | "wait", Step::Fields(Section::Identify)) = (wish.as_str(), at.step) {
        return by_certificate(centre, visit, at, form).await;
    }
    let read = match at.step {
        Step::Fields(section) => read(centre, visit.lang, section, &form, &mut at.draft),
        Step::Review => read(centre, visit.lang, Section::State, &form, &mut at.draft),
    };
    match read {
        Ok(()) => drafts::keep(centre, visit, &at.id, &at.draft).await?,
        // Who goes back may leave what is wrong.
        Err(_) if wish == "back" => return Ok(page::go(&path(&at.id, at.step.by(-1)))),
        Err(mistakes) => {
            let page = compose(centre, visit, &at, Shown::Mistakes(form, mistakes)).await?;
            return Ok(page::send(&page));
        }
    }
    match (wish.as_str(), at.step) {
        ("back", step) => Ok(page::go(&path(&at.id, step.by(-1)))),
        // What a form answers has an address of its own: a step back sends nothing again.
        ("check", step @ Step::Fields(_)) => {
            let path = format!("{}?checked=1#checked", path(&at.id, step));
            Ok(page::go(&path))
        }
        ("simulate", step @ Step::Review) => {
            let path = review::asked(&path(&at.id, step), &form);
            Ok(page::go(&path))
        }
        ("save", Step::Review) => finish::save(centre, visit, &at, Then::Listen).await,
        ("untested", Step::Review) => finish::save(centre, visit, &at, Then::Leave).await,
        (_, step) => Ok(page::go(&path(&at.id, step.by(1)))),
    }
}

/// The certificate comes from elsewhere than a field. What was typed is kept as it is: the checks
/// come with the way on.
async fn by_certificate(
    centre: &Centre,
    visit: &Visit,
    mut at: At,
    form: Form,
) -> Result<Response, Refused> {
    let lang = visit.lang;
    let taken = inbound_form::read(lang, Section::Identify, &form, &at.draft.connector);
    let taken = taken.and_then(|mut connector| {
        form.get("name").clone_into(&mut connector.name);
        let finding = match form.get("go") {
            "wait" => None,
            _ => {
                let pasted = certificate::paste(lang, form.get("certificate_pem"), &mut connector);
                Some(pasted.map_err(|mistake| vec![mistake])?)
            }
        };
        Ok((connector, finding))
    });
    let (connector, finding) = match taken {
        Ok(taken) => taken,
        Err(mistakes) => {
            let page = compose(centre, visit, &at, Shown::Mistakes(form, mistakes)).await?;
            return Ok(page::send(&page));
        }
    };
    at.draft.connector = connector;
    for key in ["credential", "user", "reason"] {
        at.draft
            .more
            .insert(key.to_owned(), form.get(key).to_owned());
    }
    if finding.is_none() {
        certificate::begin_to_wait(centre, &mut at.draft);
    }
    drafts::keep(centre, visit, &at.id, &at.draft).await?;
    let Some(finding) = finding else {
        return Ok(page::go(&certificate::waiting(&at.id)));
    };
    let page = compose(centre, visit, &at, Shown::Findings(vec![finding])).await?;
    Ok(page::send(&page))
}

/// The section's fields, and those that the wizard has beside them.
fn read(
    centre: &Centre,
    lang: Lang,
    section: Section,
    form: &Form,
    draft: &mut Draft<InboundConnector>,
) -> Result<(), Vec<Mistake>> {
    let mut connector = inbound_form::read(lang, section, form, &draft.connector)?;
    if section != Section::Identify {
        draft.connector = connector;
        return Ok(());
    }
    let settings = centre.context.store.settings();
    let mut mistakes = Vec::new();
    let name = form.get("name");
    form.get("name").clone_into(&mut connector.name);
    let is_taken = settings
        .inbound_connector(&draft.organisation, name)
        .is_some();
    if name.is_empty() || is_taken {
        let words = lang.with("form-name-taken", name);
        mistakes.push(Mistake::new("name", words));
    }
    let wants_user = form.get("credential") == "1";
    let user = match form.get("user") {
        "" => kinds::user_of(name, |user| settings.credential_by_name(user).is_some()),
        user => user.to_owned(),
    };
    if wants_user && (!kinds::is_user(&user) || settings.credential_by_name(&user).is_some()) {
        mistakes.push(Mistake::new("user", lang.with("form-user-wrong", &user)));
    }
    let has_factor = !connector.sender_ip_addresses.is_empty()
        || connector.names_certificate()
        || !connector.sender_dns_names.is_empty();
    if !has_factor && !wants_user {
        mistakes.push(Mistake::new(
            "sender_ip_addresses",
            lang.t("form-no-factor"),
        ));
    }
    let reason = form.get("reason");
    let networks = &connector.sender_ip_addresses;
    if relais_policy::coverage::needs_reason(settings.mode, networks) && reason.is_empty() {
        mistakes.push(Mistake::new("reason", lang.t("form-reason-missing")));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    draft.connector = connector;
    let more = [
        ("credential", if wants_user { "1" } else { "" }),
        ("user", if wants_user { &user } else { "" }),
        ("reason", reason),
    ];
    for (key, value) in more {
        draft.more.insert(key.to_owned(), value.to_owned());
    }
    Ok(())
}

/// A status of a finding.
fn status(lang: Lang, tone: &'static str) -> Status {
    let (icon, key) = match tone {
        "good" => ("✓", "check-ok"),
        "bad" => ("✕", "check-wrong"),
        _ => ("!", "finding-note"),
    };
    Status {
        tone,
        icon,
        word: lang.t(key),
    }
}
