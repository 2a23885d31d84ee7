//! The first steps in the browser: six pages that each save, can be left and come back to. What
//! they show and save is the engine's (`api/first_steps.rs`).
//!
//! Not here: the first administrator (`signing`), who comes by the link.

mod prove;
mod arrived;
mod leave;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::ask::{Centre, Refused, list, segment, text};
use super::domains::{purpose, standing};
use super::door::{Change, Reader, Visit};
use super::health::{self, Section};
use super::inbound_wizard::{Tried, refused_devices};
use super::page::{self, Frame};
use super::trace::Status;
use super::view::keep_zone;
use crate::checks::{self, kept};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;

/// Until a page that waits asks again, in seconds.
const REFRESH_SECONDS: &str = "2";

/// Step, address, key of its name, minutes that it takes.
const STEPS: [(&str, &str, &str, u64); 6] = [
    ("you", "/setup/you", "setup-you", 1),
    ("checks", "/setup/checks", "setup-checks", 1),
    ("domain", "/setup/domain", "setup-domain", 5),
    ("leave", "/setup/leave", "setup-leave", 3),
    ("senders", "/setup/senders", "setup-senders", 1),
    ("prove", "/setup/prove", "setup-prove", 1),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/setup/you", get(show_you).post(save_you))
        .route("/setup/checks", get(show_checks).post(look))
        .route("/setup/domain", get(show_domain).post(save_domain))
        .route("/setup/domain/check", post(check_domain))
        .route("/setup/leave", get(leave::show).post(leave::save))
        .route("/setup/leave/test", post(leave::test))
        .route("/setup/senders", get(show_senders).post(save_senders))
        .route("/setup/prove", get(prove::show).post(prove::send))
        .route("/setup/prove/headers", post(prove::headers))
        .route("/setup/done", get(done))
}

/// A step in the list of all.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) address: &'static str,
    pub(super) is_done: bool,
    pub(super) is_here: bool,
    pub(super) minutes: String,
}

/// All of them, as the engine's state says; `here`: the one that is shown.
pub(super) fn steps(lang: Lang, state: &Value, here: &str) -> Vec<Step> {
    let is_done = |step: &str| {
        list(state, "steps")
            .iter()
            .any(|one| text(one, "step") == step && one["done"] == true)
    };
    let step = |(step, address, key, minutes): &(&str, &'static str, &str, u64)| Step {
        name: lang.t(key),
        address,
        is_done: is_done(step),
        is_here: *step == here,
        minutes: lang.n("setup-minutes", *minutes),
    };
    STEPS.iter().map(step).collect()
}

/// Where the engine stands.
pub(super) async fn state(centre: &Centre, visit: &Visit) -> Result<Value, Refused> {
    centre.get(visit.caller(), "/first-steps", &[]).await
}

/// What all steps have around them.
struct Shell {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    state: Value,
}

impl Shell {
    async fn new(
        centre: &Centre,
        visit: &Visit,
        (step, key): (&str, &str),
        mistake: &str,
    ) -> Result<Self, Refused> {
        let (lang, state) = (visit.lang, state(centre, visit).await?);
        Ok(Self {
            frame: Frame::new(visit, "home", &lang.t(key)).command("relais quickstart"),
            steps: steps(lang, &state, step),
            mistake: mistake.to_owned(),
            state,
        })
    }
}

/// A page, or why there is none; 422 where a mistake is shown.
fn answer<T: Template>(visit: &Visit, composed: Result<T, Refused>, mistake: &str) -> Response {
    match composed {
        Ok(page) if mistake.is_empty() => page::send(&page),
        Ok(page) => (StatusCode::UNPROCESSABLE_ENTITY, page::send(&page)).into_response(),
        Err(refused) => page::refused(visit, &refused),
    }
}

/// Asked for again by itself, as long as something is under way.
fn refreshed(mut response: Response, is_under_way: bool) -> Response {
    if is_under_way {
        let seconds = HeaderValue::from_static(REFRESH_SECONDS);
        response.headers_mut().insert(header::REFRESH, seconds);
    }
    response
}

#[derive(Template)]
#[template(path = "setup/you.html")]
struct You {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    hostname: String,
    display_name: String,
    postmaster: String,
    is_french: bool,
}

async fn show_you(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&visit, you(&centre, &visit, "").await, "")
}

async fn you(centre: &Centre, visit: &Visit, mistake: &str) -> Result<You, Refused> {
    let shell = Shell::new(centre, visit, ("you", "setup-you"), mistake).await?;
    let organisation = &shell.state["organisation"];
    let is_french = match organisation["language"].as_str() {
        Some(language) => language == "fr",
        None => visit.lang.code() == "fr",
    };
    let postmaster = text(organisation, "postmaster");
    // Who signs in with an address is whom notices go to, unless somebody says otherwise.
    let own = Some(visit.name()).filter(|name| name.contains('@') && organisation.is_null());
    Ok(You {
        hostname: text(&shell.state, "hostname").to_owned(),
        display_name: text(organisation, "display_name").to_owned(),
        postmaster: own.unwrap_or(postmaster).to_owned(),
        is_french,
        frame: shell.frame,
        steps: shell.steps,
        mistake: shell.mistake,
    })
}

/// While the next step is being read, the checks begin.
async fn save_you(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let body = json!({
        "display_name": form.get("display_name"),
        "postmaster": form.get("postmaster"),
        "language": if form.get("language") == "fr" { "fr" } else { "en" },
    });
    match centre.post(visit.caller(), "/first-steps/you", &body).await {
        Ok(_) => {
            checks::begin(&centre.context);
            if let Err(refused) = keep_zone(&centre, visit.name(), form.get("zone")).await {
                return page::refused(&visit, &refused);
            }
            page::go("/setup/checks")
        }
        Err(refused) => {
            let mut page = you(&centre, &visit, &refused.detail).await;
            if let Ok(page) = &mut page {
                form.get("display_name").clone_into(&mut page.display_name);
                form.get("postmaster").clone_into(&mut page.postmaster);
            }
            answer(&visit, page, &refused.detail)
        }
    }
}

#[derive(Template)]
#[template(path = "setup/checks.html")]
struct Checks {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    /// How many have come in; none: nothing is under way.
    under_way: Option<String>,
    groups: Vec<Section>,
}

async fn show_checks(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let under_way = centre.context.rounds.under_way();
    let composed = async {
        let shell = Shell::new(&centre, &visit, ("checks", "setup-checks"), "").await?;
        let known = kept(&centre.context.store).await.map_err(Refused::from)?;
        Ok(Checks {
            groups: health::sections(visit.lang, &known.checks),
            under_way: under_way.map(|count| visit.lang.n("setup-checks-so-far", count as u64)),
            frame: shell.frame,
            steps: shell.steps,
            mistake: shell.mistake,
        })
    };
    refreshed(answer(&visit, composed.await, ""), under_way.is_some())
}

async fn look(State(centre): State<Centre>, Change { visit, .. }: Change) -> Response {
    if let Err(refused) = visit.must_see_installation(Action::ChangeSettings) {
        return page::refused(&visit, &refused);
    }
    checks::begin(&centre.context);
    page::go("/setup/checks")
}

#[derive(Template)]
#[template(path = "setup/domain.html")]
struct DomainStep {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    domain: String,
    /// What was typed and cannot be taken.
    typed: String,
    verified: Option<Status>,
    is_verified: bool,
    records: Vec<Record>,
    /// What no record can be proposed for.
    notes: Vec<String>,
}

/// One record to publish.
struct Record {
    purpose: String,
    is_needed: bool,
    name: String,
    kind: String,
    value: String,
    words: String,
    status: Status,
}

async fn show_domain(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&visit, domain(&centre, &visit, "").await, "")
}

async fn domain(centre: &Centre, visit: &Visit, mistake: &str) -> Result<DomainStep, Refused> {
    let lang = visit.lang;
    let shell = Shell::new(centre, visit, ("domain", "setup-domain"), mistake).await?;
    let known = &shell.state["domain"];
    let name = text(known, "name").to_owned();
    let is_verified = matches!(text(known, "state"), "verified" | "lapsing");
    let records = match name.as_str() {
        "" => Value::Null,
        name => {
            let path = format!("/domains/{}/records", segment(name));
            centre.get(visit.caller(), &path, &[]).await?
        }
    };
    let status = |(tone, icon, key): (&'static str, &'static str, &str)| Status {
        tone,
        icon,
        word: lang.t(key),
    };
    let verified = status(if is_verified {
        ("good", "✓", "domain-verified")
    } else {
        ("waiting", "…", "domain-pending")
    });
    Ok(DomainStep {
        verified: (!name.is_empty()).then_some(verified),
        is_verified,
        records: list(&records, "records")
            .iter()
            .map(|one| record(lang, one))
            .collect(),
        notes: list(&records, "notes")
            .iter()
            .map(|one| text(one, lang.0.pick("words", "words_fr")).to_owned())
            .collect(),
        domain: name,
        typed: String::new(),
        frame: shell.frame,
        steps: shell.steps,
        mistake: shell.mistake,
    })
}

fn record(lang: Lang, value: &Value) -> Record {
    let words = lang.0.pick("words", "words_fr");
    Record {
        purpose: purpose(lang, text(value, "purpose")),
        is_needed: value["required"] == true,
        name: text(value, "name").to_owned(),
        kind: text(value, "type").to_owned(),
        value: text(value, "value").to_owned(),
        words: text(value, words).to_owned(),
        status: standing(lang, value),
    }
}

async fn save_domain(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let body = json!({
        "name": form.get("domain"),
        "instead_of": form.get("instead_of"),
    });
    match centre
        .post(visit.caller(), "/first-steps/domain", &body)
        .await
    {
        Ok(_) => page::go("/setup/domain"),
        Err(refused) => {
            let mut page = domain(&centre, &visit, &refused.detail).await;
            if let Ok(page) = &mut page {
                form.get("domain").clone_into(&mut page.typed);
            }
            answer(&visit, page, &refused.detail)
        }
    }
}

/// Looks at DNS now: proof and records.
async fn check_domain(State(centre): State<Centre>, Change { visit, .. }: Change) -> Response {
    let checked = async {
        let known = state(&centre, &visit).await?;
        let name = text(&known["domain"], "name").to_owned();
        let path = format!("/domains/{}/check", segment(&name));
        centre.post(visit.caller(), &path, &json!({})).await
    };
    match checked.await {
        Ok(_) => page::go("/setup/domain"),
        Err(refused) => page::refused(&visit, &refused),
    }
}

#[derive(Template)]
#[template(path = "setup/senders.html")]
struct Senders {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    /// Each with whether it may send now.
    networks: Vec<(String, bool)>,
    more: String,
    /// Devices that knocked already.
    knocked: Vec<Tried>,
}

async fn show_senders(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    answer(&visit, senders(&centre, &visit, "").await, "")
}

async fn senders(centre: &Centre, visit: &Visit, mistake: &str) -> Result<Senders, Refused> {
    let shell = Shell::new(centre, visit, ("senders", "setup-senders"), mistake).await?;
    let texts = |key: &str| {
        let all = list(&shell.state, key).iter().filter_map(Value::as_str);
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let (proposed, chosen) = (texts("networks"), texts("senders"));
    let more: Vec<_> = chosen
        .iter()
        .filter(|one| !proposed.contains(one))
        .cloned()
        .collect();
    // Never ticked unless somebody ticked it.
    let networks = proposed.into_iter().map(|one| {
        let is_chosen = chosen.contains(&one);
        (one, is_chosen)
    });
    Ok(Senders {
        networks: networks.collect(),
        more: more.join(" "),
        knocked: refused_devices(centre, visit).await?,
        frame: shell.frame,
        steps: shell.steps,
        mistake: shell.mistake,
    })
}

async fn save_senders(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let typed = form
        .get("more")
        .split([' ', ',', ';', '\n', '\r'])
        .filter(|one| !one.is_empty());
    let networks: Vec<_> = form.all("network").chain(typed).collect();
    let body = json!({ "networks": networks });
    match centre
        .post(visit.caller(), "/first-steps/senders", &body)
        .await
    {
        Ok(_) => page::go("/setup/prove"),
        Err(refused) => {
            let mut page = senders(&centre, &visit, &refused.detail).await;
            if let Ok(page) = &mut page {
                form.get("more").clone_into(&mut page.more);
            }
            answer(&visit, page, &refused.detail)
        }
    }
}

#[derive(Template)]
#[template(path = "setup/done.html")]
struct Done {
    frame: Frame,
    steps: Vec<Step>,
    mistake: String,
    smart_host: String,
    /// The card of the first connector; none: a device to be added.
    card: String,
}

async fn done(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let composed = async {
        let shell = Shell::new(&centre, &visit, ("", "setup-done"), "").await?;
        Ok(Done {
            smart_host: clean(text(&shell.state, "hostname")).into_owned(),
            card: first_card(&centre, &visit),
            frame: shell.frame,
            steps: shell.steps,
            mistake: shell.mistake,
        })
    };
    answer(&visit, composed.await, "")
}

/// Where the first connector's card is; where there is none, a device is to be added.
fn first_card(centre: &Centre, visit: &Visit) -> String {
    let settings = centre.settings(visit.caller());
    let mut owners = settings.document.organisation.iter();
    let first = owners.find_map(|owner| {
        let connector = owner.inbound_connector.first()?;
        let (owner, name) = (segment(&owner.name), segment(&connector.name));
        Some(format!("/connectors/inbound/{owner}/{name}/card"))
    });
    first.unwrap_or_else(|| "/add-device".to_owned())
}
