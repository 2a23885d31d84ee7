//! What nothing is sent to for a while: destinations, organisations, or all mail; suspended and
//! resumed by a person, after a question that counts what waits.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::groups::{self, Here};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;
use crate::times;
use crate::web::ask::{Centre, Refused, address, list, quoted, text};
use crate::web::door::{Reader, SessionForm, Visit};
use crate::web::files;
use crate::web::form::Form;
use crate::web::page::{self, Frame};
use crate::web::records::{self, Act, Cell, Input, Note, Records, Row, Sheet, Sure, Table};

pub(super) const PATH: &str = "/queue/suspended";
/// Suspensions of a page: more than a person looks through.
const ROWS_MAX: usize = 500;
/// Columns of the file.
const HEAD: [&str; 6] = [
    "destination",
    "organisation",
    "since",
    "by",
    "reason",
    "until",
];
/// What was done, with the key of its sentence.
const DONE: [(&str, &str); 2] = [
    ("suspend", "suspended-done-suspend"),
    ("resume", "suspended-done-resume"),
];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/queue/suspended", get(show).post(change))
        .route("/queue/suspended.csv", get(file))
        .route("/queue/suspended.json", get(file))
}

/// All within reach.
pub(super) async fn all(centre: &Centre, visit: &Visit) -> Result<Vec<Value>, Refused> {
    let answer = centre.get(visit.caller(), PATH, &[]).await?;
    Ok(list(&answer, "suspensions").to_vec())
}

/// How many they are, for the way to them.
pub(super) async fn count(centre: &Centre, visit: &Visit) -> Result<u64, Refused> {
    let all = all(centre, visit).await?;
    Ok(u64::try_from(all.len()).unwrap_or(u64::MAX))
}

/// Which mail is meant, in words.
pub(in crate::web) fn scope(lang: Lang, destination: &str, organisation: &str) -> String {
    let (to, of) = (&*clean(destination), &*clean(organisation));
    match (to.is_empty(), of.is_empty()) {
        (true, true) => lang.t("suspended-all"),
        (false, true) => lang.with("suspended-to", to),
        (true, false) => lang.with("suspended-of", of),
        (false, false) => lang.fill(
            "suspended-of-to",
            &[("organisation", of), ("destination", to)],
        ),
    }
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let none = (StatusCode::OK, String::new());
    answer(&centre, &visit, none, &Form::default()).await
}

/// Those that the filter leaves.
async fn found(centre: &Centre, visit: &Visit) -> Result<(Vec<Value>, u64), Refused> {
    let mut all = all(centre, visit).await?;
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let sought = visit.query.get("q");
    all.retain(|one| {
        let texts = ["destination", "organisation", "reason", "by"].map(|key| text(one, key));
        records::is_among(sought, texts)
    });
    Ok((all, count))
}

async fn answer(
    centre: &Centre,
    visit: &Visit,
    (status, mistake): (StatusCode, String),
    typed: &Form,
) -> Response {
    records::shown(visit, status, compose(centre, visit, mistake, typed).await)
}

async fn compose(
    centre: &Centre,
    visit: &Visit,
    mistake: String,
    typed: &Form,
) -> Result<Records, Refused> {
    let (lang, sought) = (visit.lang, visit.query.get("q"));
    let (found, count) = found(centre, visit).await?;
    let may_act = visit.may(Action::ActOnMail);
    let headings = [
        "suspended-what",
        "restricted-reason",
        "restricted-by",
        "suspended-until",
    ];
    let table = Table {
        headings: headings.map(|key| lang.t(key)).into(),
        rows: found
            .iter()
            .take(ROWS_MAX)
            .map(|one| row(visit, one, may_act))
            .collect(),
        empty: lang.t(match sought {
            "" => "suspended-empty",
            _ => "records-none",
        }),
    };
    let frame = Frame::new(visit, "queue", &lang.t("suspended-title"))
        .command("relais queue suspended")
        .done(records::done(visit, &DONE));
    let mut notes: Vec<_> = Note::mistake(mistake).into_iter().collect();
    notes.push(Note::plain(lang.t("suspended-words")));
    let filter = Sheet::new("filter", PATH, lang.t("filter-button"));
    let filter = filter.input(Input::text("q", lang.t("records-sought"), sought));
    Ok(Records {
        notes,
        views: groups::views(visit, &[], (Here::Suspended, count)),
        filter: Some(filter),
        files: records::files(PATH, &[("q", sought)]),
        sheets: may_act
            .then(|| sheet(centre, visit, typed))
            .into_iter()
            .collect(),
        ..Records::new(frame, table, "GET /api/v1/queue/suspended")
    })
}

fn row(visit: &Visit, one: &Value, may_act: bool) -> Row {
    let lang = visit.lang;
    let (to, of) = (text(one, "destination"), text(one, "organisation"));
    let what = scope(lang, to, of);
    let until = match one["until"].as_str() {
        Some(time) => times::full(lang, Some(time)),
        None => lang.t("suspended-until-resumed"),
    };
    let since = times::full(lang, one["since"].as_str());
    let act = Act::new(PATH, lang.t("suspended-resume"), &what)
        .hide("act", "resume")
        .hide("destination", to)
        .hide("organisation", of);
    let waiting = address("/queue", &[("destination", to), ("organisation", of)]);
    Row {
        cells: vec![
            Cell::new(&what).leads_to(waiting),
            Cell::new(text(one, "reason")),
            Cell::new(text(one, "by")).line(&since),
            Cell::whole(&until),
        ],
        acts: may_act.then_some(act).into_iter().collect(),
    }
}

/// The form for a new one.
fn sheet(centre: &Centre, visit: &Visit, typed: &Form) -> Sheet {
    let lang = visit.lang;
    let settings = centre.settings(visit.caller());
    let names = settings.document.organisation.iter();
    let names: Vec<_> = names.map(|one| one.name.clone()).collect();
    let destination = Input::text(
        "destination",
        lang.t("filter-destination"),
        typed.get("destination"),
    );
    let sheet = Sheet::new("suspend", PATH, lang.t("suspended-suspend"))
        .title(lang.t("suspended-add"))
        .hide("act", "suspend")
        .input(destination.hint(lang.t("suspended-destination-hint")));
    let chosen = typed.get("organisation");
    match records::of_organisation(lang, &names, chosen, Some("filter-any")) {
        Some(choice) => sheet.input(choice),
        None => sheet,
    }
}

async fn file(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    match found(&centre, &visit).await {
        Ok((all, _)) => files::of(&visit, "suspended", &HEAD, &all),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// What a form asks for.
struct Wish {
    act: &'static str,
    destination: String,
    /// Empty: of all.
    organisation: String,
}

impl Wish {
    fn of(visit: &Visit, form: &Form) -> Option<Self> {
        let mut acts = DONE.iter().map(|(act, _)| *act);
        let act = acts.find(|act| *act == form.get("act"))?;
        // Whoever sees one organisation speaks of its mail, and is refused another's.
        let organisation = match form.get("organisation") {
            "" => visit.caller().rights.organisation().unwrap_or_default(),
            named => named,
        };
        Some(Self {
            act,
            destination: form.get("destination").to_lowercase(),
            organisation: organisation.to_owned(),
        })
    }

    fn is_suspension(&self) -> bool {
        self.act == "suspend"
    }

    /// As on the command line.
    fn command(&self) -> String {
        let mut command = format!("relais queue {}", self.act);
        if !self.destination.is_empty() {
            command.push_str(&format!(" {}", quoted(&self.destination)));
        }
        if !self.organisation.is_empty() {
            command.push_str(&format!(" --organisation {}", quoted(&self.organisation)));
        }
        if self.destination.is_empty() && self.organisation.is_empty() {
            command.push_str(" --all");
        }
        command
    }

    fn body(&self, form: &Form) -> Value {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (destination, organisation) = (given(&self.destination), given(&self.organisation));
        let is_all = destination.is_none() && organisation.is_none();
        let mut body = json!({
            "destination": destination,
            "organisation": organisation,
            "all": is_all,
            "suspended": self.is_suspension(),
        });
        if self.is_suspension() {
            body["until"] = json!(given(form.get("until")));
            body["reason"] = json!(form.get("reason"));
        }
        body
    }
}

async fn change(
    State(centre): State<Centre>,
    SessionForm { visit, form }: SessionForm,
) -> Response {
    if !visit.may(Action::ActOnMail) {
        let words = visit.lang.t("error-read-only");
        return page::failed(&visit, StatusCode::FORBIDDEN, &words);
    }
    let Some(wish) = Wish::of(&visit, &form) else {
        return page::go(PATH);
    };
    if form.get("confirmed").is_empty() {
        let asked = question(&centre, &visit, &wish, &form).await;
        return asked.unwrap_or_else(|refused| page::refused(&visit, &refused));
    }
    let done = centre.post(visit.caller(), PATH, &wish.body(&form)).await;
    match done {
        Ok(_) => {
            let made = scope(visit.lang, &wish.destination, &wish.organisation);
            page::go(&address(PATH, &[("done", wish.act), ("made", &made)]))
        }
        Err(refused) => {
            let mistake = (refused.status, refused.detail);
            answer(&centre, &visit, mistake, &form).await
        }
    }
}

/// How many wait, before anything happens.
async fn question(
    centre: &Centre,
    visit: &Visit,
    wish: &Wish,
    form: &Form,
) -> Result<Response, Refused> {
    let lang = visit.lang;
    let asked = [
        ("destination", wish.destination.as_str()),
        ("organisation", wish.organisation.as_str()),
    ];
    let found = centre.get(visit.caller(), "/queue/count", &asked).await?;
    let count = found["messages"].as_u64().unwrap_or(0);
    let (question, button) = match wish.is_suspension() {
        true => ("suspended-question", "suspended-suspend"),
        false => ("suspended-question-resume", "suspended-resume"),
    };
    let sheet = Sheet::new("sure", PATH, lang.t(button))
        .hide("confirmed", "1")
        .hide("act", wish.act)
        .hide("destination", &wish.destination)
        .hide("organisation", &wish.organisation);
    let sheet = match wish.is_suspension() {
        false => sheet,
        true => {
            let reason = lang.t("restricted-reason");
            let until = Input::text("until", lang.t("suspended-until"), form.get("until"));
            sheet
                .input(Input::text("reason", reason, form.get("reason")))
                .input(until.hint(lang.t("suspended-until-hint")))
        }
    };
    let title = lang.t("confirm-title");
    Ok(page::send(&Sure {
        frame: Frame::new(visit, "queue", &title).command(wish.command()),
        notes: vec![Note::plain(lang.n("suspended-count", count))],
        question: lang.with(
            question,
            &scope(lang, &wish.destination, &wish.organisation),
        ),
        lines: Vec::new(),
        sheet,
        back: PATH.to_owned(),
    }))
}
