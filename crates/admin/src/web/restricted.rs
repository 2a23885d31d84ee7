//! What is turned away or left alone by a person's word or a trigger's: restricted entities, and
//! recipients that are sent nothing.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use relais_policy::trigger;
use serde_json::{Value, json};

use super::ask::{Centre, Refused, address, list, text};
use super::door::{Reader, SessionForm, Visit};
use super::files;
use super::form::Form;
use super::page::{self, Frame};
use super::records::{self, Act, Cell, Input, Note, Pick, Records, Row, Sheet, Table};
use crate::permission::Action;
use crate::plain::clean;
use crate::times;

/// What can be restricted, with the key of its name.
pub(super) const KINDS: [(&str, &str); 7] = [
    ("ip", "restricted-ip"),
    ("address", "restricted-address"),
    ("domain", "restricted-domain"),
    ("connector", "restricted-connector"),
    ("device", "restricted-device"),
    ("credential", "restricted-credential"),
    ("organisation", "restricted-organisation"),
];
/// Columns of the files.
const RESTRICTED_HEAD: [&str; 9] = [
    "kind",
    "value",
    "organisation",
    "effect",
    "reason",
    "evidence",
    "by",
    "since",
    "until",
];
const SUPPRESSED_HEAD: [&str; 7] = [
    "organisation",
    "address",
    "cause",
    "said",
    "queue_id",
    "by",
    "since",
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/restricted", get(show_restricted).post(block))
        .route("/restricted.csv", get(restricted_file))
        .route("/restricted.json", get(restricted_file))
        .route("/restricted/release", post(release))
        .route("/suppression", get(show_suppressed).post(suppress))
        .route("/suppression.csv", get(suppressed_file))
        .route("/suppression.json", get(suppressed_file))
        .route("/suppression/release", post(unsuppress))
}

/// One of the two pages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Which {
    Restricted,
    Suppressed,
}

impl Which {
    fn path(self) -> &'static str {
        match self {
            Self::Restricted => "/restricted",
            Self::Suppressed => "/suppression",
        }
    }

    /// Its name, in addresses and keys.
    fn name(self) -> &'static str {
        self.path().trim_start_matches('/')
    }

    /// The key of the answer's list.
    fn list(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Suppressed => "suppressed",
        }
    }

    /// Keys of its name, of what it is for, and of what is said where nothing is listed.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Restricted => ["nav-restricted", "restricted-words", "restricted-empty"],
            Self::Suppressed => ["nav-suppression", "suppression-words", "suppression-empty"],
        }
    }

    /// What was done, with the key of its sentence.
    fn done(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Restricted => &[
                ("block", "restricted-done-block"),
                ("release", "restricted-done-release"),
            ],
            Self::Suppressed => &[
                ("add", "suppression-done-add"),
                ("release", "suppression-done-release"),
            ],
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Restricted => Action::Restrict,
            Self::Suppressed => Action::ActOnMail,
        }
    }

    fn filters(self) -> [&'static str; 2] {
        match self {
            Self::Restricted => ["q", "kind"],
            Self::Suppressed => ["q", "organisation"],
        }
    }

    /// Texts of a line that are searched.
    fn searched(self) -> [&'static str; 3] {
        match self {
            Self::Restricted => ["value", "reason", "by"],
            Self::Suppressed => ["address", "said", "by"],
        }
    }
}

async fn found(centre: &Centre, visit: &Visit, which: Which) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(visit.caller(), which.path(), &[]).await?;
    let wanted = visit.query.get("q").to_lowercase();
    let [_, exact] = which.filters();
    let chosen = visit.query.get(exact);
    let fits = |one: &&Value| {
        let is_chosen = chosen.is_empty() || text(one, exact) == chosen;
        let mut texts = which.searched().into_iter().map(|key| text(one, key));
        is_chosen && texts.any(|text| text.to_lowercase().contains(&wanted))
    };
    let all = list(&answer, which.list()).iter();
    Ok(all.filter(fits).cloned().collect())
}

async fn answer(
    centre: &Centre,
    visit: &Visit,
    which: Which,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    records::shown(
        visit,
        status,
        compose(centre, visit, which, mistake, typed).await,
    )
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    which: Which,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let (lang, name) = (visit.lang, which.name());
    let [title, words, empty] = which.words();
    let filters = which.filters().map(|name| (name, visit.query.get(name)));
    let is_filtered = filters.iter().any(|(_, value)| !value.is_empty());
    let all = found(centre, visit, which).await?;
    let may_act = visit.may(which.action());
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let (headings, rows): (Vec<_>, Vec<_>) = match which {
        Which::Restricted => (
            vec![
                "restricted-what",
                "restricted-reason",
                "restricted-by",
                "restricted-until",
            ],
            all.iter()
                .map(|one| restricted_row(visit, one, may_act))
                .collect(),
        ),
        Which::Suppressed => (
            vec!["suppression-address", "restricted-reason", "restricted-by"],
            all.iter()
                .map(|one| suppressed_row(visit, one, may_act))
                .collect(),
        ),
    };
    let table = Table {
        headings: headings.into_iter().map(|key| lang.t(key)).collect(),
        rows,
        empty: lang.t(if is_filtered { "records-none" } else { empty }),
    };
    let done = records::done(visit, which.done());
    let frame = Frame::new(visit, which.name(), &lang.t(title));
    let frame = frame.command(format!("relais {name} list")).done(done);
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t(words)));
    Ok(Records {
        notes,
        filter: Some(filter(visit, which, &names)),
        files: records::files(which.path(), &filters),
        sheets: may_act
            .then(|| sheet(visit, which, &names, typed))
            .into_iter()
            .collect(),
        ..Records::new(frame, table, format!("GET /api/v1{}", which.path()))
    })
}

fn kinds(visit: &Visit, chosen: &str) -> Vec<Pick> {
    let named = KINDS.map(|(name, key)| Pick::new(name, visit.lang.t(key), name == chosen));
    named.into()
}

fn filter(visit: &Visit, which: Which, names: &[String]) -> Sheet {
    let lang = visit.lang;
    let sought = Input::text("q", lang.t("records-sought"), visit.query.get("q"));
    let sheet = Sheet::new("filter", which.path(), lang.t("filter-button")).input(sought);
    let [_, exact] = which.filters();
    let chosen = visit.query.get(exact);
    let choice = match which {
        Which::Restricted => {
            let mut picks = vec![Pick::new("", lang.t("filter-any"), chosen.is_empty())];
            picks.extend(kinds(visit, chosen));
            Some(Input::choice("kind", lang.t("restricted-kind"), picks))
        }
        Which::Suppressed => records::of_organisation(lang, names, chosen, Some("filter-any")),
    };
    match choice {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

fn sheet(visit: &Visit, which: Which, names: &[String], typed: &Form) -> Sheet {
    let lang = visit.lang;
    let field = |name, key| Input::text(name, lang.t(key), typed.get(name));
    let reason = field("reason", "restricted-reason").wanted();
    match which {
        Which::Restricted => {
            let kinds = kinds(visit, typed.get("kind"));
            let until = field("until", "restricted-until");
            Sheet::new("block", "/restricted", lang.t("restricted-block-button"))
                .title(lang.t("restricted-block"))
                .input(Input::choice("kind", lang.t("restricted-kind"), kinds))
                .input(field("value", "restricted-value").wanted())
                .input(reason)
                .input(until.hint(lang.t("restricted-until-hint")))
                .input(Input::tick("hold", lang.t("restricted-hold"), false))
        }
        Which::Suppressed => {
            let sheet = Sheet::new("suppress", "/suppression", lang.t("suppression-add-button"))
                .title(lang.t("suppression-add"))
                .input(field("address", "suppression-address").wanted())
                .input(reason);
            match records::of_organisation(lang, names, typed.get("organisation"), None) {
                Some(choice) => sheet.input(choice),
                None => sheet,
            }
        }
    }
}

fn since(visit: &Visit, one: &Value) -> String {
    times::full(visit.lang, one["since"].as_str())
}

fn restricted_row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let (lang, kind, value) = (visit.lang, text(one, "kind"), text(one, "value"));
    let name = KINDS.iter().find(|(name, _)| *name == kind);
    let name = name.map_or_else(String::new, |(_, key)| lang.t(key));
    let until = match one["until"].as_str() {
        Some(time) => times::full(lang, Some(time)),
        None => lang.t("restricted-for-good"),
    };
    let act = Act::new("/restricted/release", lang.t("restricted-release"), value);
    let act = act.hide("kind", kind).hide("value", value);
    let act = act.hide("since", text(one, "since"));
    Row {
        cells: vec![
            Cell::new(value).line(&name),
            evidence(Cell::new(&written(visit, text(one, "reason"))), visit, one),
            Cell::new(text(one, "by")).line(&since(visit, one)),
            Cell::whole(&until),
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

/// A reason or a line of evidence: what a trigger wrote is in the language of the page.
pub(super) fn written(visit: &Visit, line: &str) -> String {
    let french = visit.lang.0.pick(None, trigger::in_french(line));
    clean(&french.unwrap_or_else(|| line.to_owned())).into_owned()
}

/// What becomes of mail, and what was seen that led to it.
fn evidence(cell: Cell, visit: &Visit, one: &Value) -> Cell {
    let cell = match text(one, "effect") {
        "hold" => cell.line(&visit.lang.t("restricted-holds")),
        _ => cell,
    };
    let seen = list(one, "evidence").iter().filter_map(Value::as_str);
    seen.fold(cell, |cell, line| cell.line(&written(visit, line)))
}

fn suppressed_row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let (lang, owner, recipient) = (visit.lang, text(one, "organisation"), text(one, "address"));
    let act = Act::new(
        "/suppression/release",
        lang.t("restricted-release"),
        recipient,
    );
    let act = act.hide("address", recipient).hide("organisation", owner);
    let said = Cell::new(text(one, "said"));
    let cause = match text(one, "cause") {
        "hard-bounce" => lang.t("suppression-bounce"),
        "complaint" => lang.t("suppression-complaint"),
        "request" => lang.t("suppression-request"),
        other => other.to_owned(),
    };
    let said = match text(one, "queue_id") {
        "" => said.line(&cause),
        id => said.line(&format!("{cause} · {id}")),
    };
    Row {
        cells: vec![
            Cell::new(recipient).line(owner),
            said,
            Cell::new(text(one, "by")).line(&since(visit, one)),
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

async fn show_restricted(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    show(&centre, &visit, Which::Restricted).await
}

async fn show_suppressed(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    show(&centre, &visit, Which::Suppressed).await
}

async fn show(centre: &Centre, visit: &Visit, which: Which) -> Response {
    // Elsewhere in the centre a link may fill the form in.
    let filled = (StatusCode::OK, String::new());
    answer(centre, visit, which, filled, &visit.query).await
}

async fn restricted_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit, Which::Restricted).await {
        Ok(all) => files::of(&visit, "restricted", &RESTRICTED_HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn suppressed_file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit, Which::Suppressed).await {
        Ok(all) => files::of(&visit, "suppression", &SUPPRESSED_HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// Asks the API, and goes back to the list.
async fn act(
    centre: &Centre,
    (visit, form): (&Visit, &Form),
    which: Which,
    (act, made): (&str, &str),
    body: &Value,
) -> Response {
    let path = format!("{}/{act}", which.path());
    match centre.post(visit.caller(), &path, body).await {
        Ok(_) => page::go(&address(which.path(), &[("done", act), ("made", made)])),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(visit, &refused),
        Err(refused) => {
            let mistake = (refused.status, refused.detail);
            answer(centre, visit, which, mistake, form).await
        }
    }
}

fn filled<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    Some(form.get(name)).filter(|text| !text.is_empty())
}

async fn block(State(centre): State<Centre>, SessionForm { visit, form }: SessionForm) -> Response {
    let body = json!({
        "kind": form.get("kind"),
        "value": form.get("value"),
        "reason": form.get("reason"),
        "until": filled(&form, "until"),
        "effect": if form.get("hold").is_empty() { "refuse" } else { "hold" },
    });
    let done = ("block", form.get("value"));
    act(&centre, (&visit, &form), Which::Restricted, done, &body).await
}

async fn release(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let body = json!({
        "kind": form.get("kind"),
        "value": form.get("value"),
        "since": filled(&form, "since"),
    });
    let done = ("release", form.get("value"));
    act(&centre, (&visit, &form), Which::Restricted, done, &body).await
}

async fn suppress(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let body = json!({
        "address": form.get("address"),
        "organisation": filled(&form, "organisation"),
        "reason": form.get("reason"),
    });
    let done = ("add", form.get("address"));
    act(&centre, (&visit, &form), Which::Suppressed, done, &body).await
}

async fn unsuppress(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    let body = json!({
        "address": form.get("address"),
        "organisation": filled(&form, "organisation"),
    });
    let done = ("release", form.get("address"));
    act(&centre, (&visit, &form), Which::Suppressed, done, &body).await
}
