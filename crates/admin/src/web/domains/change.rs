//! Domains added on their page, changed, and removed by their typed name.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use relais_policy::document::AcceptedDomain;

use super::listed;
use crate::web::ask::{Centre, Refused, address, quoted, segment};
use crate::web::door::{Change, Reader, Visit};
use crate::web::form::Form;
use crate::web::page::{self, Frame};
use crate::web::records::{Input, Note, Pick, Sheet, Sure, of_organisation};

/// What happens to unknown recipients, as it is written, with the key of its words.
const KINDS: [(&str, &str); 2] = [
    ("authoritative", "kind-authoritative"),
    ("internal-relay", "kind-internal-relay"),
];

/// Adds one, on the page of the list.
pub(super) fn form(centre: &Centre, visit: &Visit, typed: &Form) -> Sheet {
    let lang = visit.lang;
    let settings = centre.settings(visit.caller());
    let owners = settings.document.organisation.iter();
    let names: Vec<_> = owners.map(|one| one.name.clone()).collect();
    let name = Input::text("name", lang.t("column-domain"), typed.get("name"));
    let sheet = Sheet::new("add", "/domains", lang.t("domains-add-button"))
        .title(lang.t("domains-add"))
        .words(lang.t("domains-add-words"))
        .input(name.hint(lang.t("setup-domain-hint")).wanted());
    let sheet = match of_organisation(lang, &names, typed.get("organisation"), None) {
        Some(choice) => sheet.input(choice),
        None => sheet,
    };
    keys(
        visit,
        sheet,
        (typed.get("kind"), !typed.get("subdomains").is_empty()),
    )
}

/// What both forms ask for.
fn keys(visit: &Visit, sheet: Sheet, (kind, subdomains): (&str, bool)) -> Sheet {
    let lang = visit.lang;
    let picks = KINDS.map(|(name, key)| Pick::new(name, lang.t(key), name == kind));
    let label = lang.t("column-kind");
    sheet
        .input(Input::choice("kind", label, picks.into()))
        .input(Input::tick(
            "subdomains",
            lang.t("domains-subdomains"),
            subdomains,
        ))
}

/// The two keys as they were sent.
fn sent(form: &Form) -> Value {
    let kind = KINDS.iter().find(|(name, _)| *name == form.get("kind"));
    json!({
        "kind": kind.map_or(KINDS[0].0, |(name, _)| name),
        "subdomains": !form.get("subdomains").is_empty(),
    })
}

pub(super) async fn add(State(centre): State<Centre>, Change { visit, form }: Change) -> Response {
    let (name, organisation) = (form.get("name"), form.get("organisation"));
    let body = json!({ "name": name, "organisation": organisation, "keys": sent(&form) });
    match centre.post(visit.caller(), "/domains", &body).await {
        Ok(_) => page::go(&of(name, organisation, "", "added")),
        Err(refused) if refused.status == StatusCode::FORBIDDEN => page::refused(&visit, &refused),
        Err(refused) => listed(&centre, &visit, (refused.status, refused.detail), &form).await,
    }
}

/// A page of a domain.
fn of(name: &str, organisation: &str, part: &str, done: &str) -> String {
    let path = format!("/domains/{}{part}", segment(&name.to_lowercase()));
    address(&path, &[("organisation", organisation), ("done", done)])
}

/// The domain that is meant, among those that the caller sees.
fn find(
    centre: &Centre,
    visit: &Visit,
    (name, organisation): (&str, &str),
) -> Result<(String, AcceptedDomain), Refused> {
    let settings = centre.settings(visit.caller());
    let owners = settings.document.organisation.iter();
    let owners = owners.filter(|one| organisation.is_empty() || one.name == organisation);
    let mut domains = owners.flat_map(|owner| owner.domain.iter().map(move |one| (owner, one)));
    let found = domains.find(|(_, one)| one.name.eq_ignore_ascii_case(name));
    let found = found.map(|(owner, one)| (owner.name.clone(), one.clone()));
    found.ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        detail: visit.lang.t("error-not-found"),
    })
}

pub(super) async fn edit(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(name): Path<String>,
) -> Response {
    match find(&centre, &visit, (&name, visit.query.get("organisation"))) {
        Ok((owner, domain)) => page::send(&sheet(&visit, (&owner, &domain), String::new())),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn sheet(visit: &Visit, (owner, domain): (&str, &AcceptedDomain), mistake: String) -> Sure {
    let lang = visit.lang;
    let kind = json!(domain.kind);
    let form = Sheet::new(
        "domain",
        of(&domain.name, "", "/edit", ""),
        lang.t("form-save"),
    )
    .hide("organisation", owner);
    let form = keys(
        visit,
        form,
        (kind.as_str().unwrap_or_default(), domain.subdomains),
    );
    let text = |name: &'static str, (label, hint): (&str, &str), value: &str| {
        Input::text(name, lang.t(label), value).hint(lang.t(hint))
    };
    let (host, bounce) = (
        ("domains-mailbox-host", "domains-mailbox-host-hint"),
        ("domains-bounce", "domains-bounce-hint"),
    );
    Sure {
        frame: Frame::new(visit, "domains", &domain.name).command("relais export"),
        notes: Note::mistake(mistake).into_iter().collect(),
        question: lang.with("domains-edit", &domain.name),
        lines: Vec::new(),
        sheet: form
            .input(text("mailbox_host", host, &domain.mailbox_host))
            .input(text("bounce_domain", bounce, &domain.bounce_domain)),
        back: of(&domain.name, owner, "", ""),
    }
}

pub(super) async fn set(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let named = (name.as_str(), form.get("organisation"));
    let (owner, mut domain) = match find(&centre, &visit, named) {
        Ok(found) => found,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let mut keys = sent(&form);
    for (key, old) in [
        ("mailbox_host", &mut domain.mailbox_host),
        ("bounce_domain", &mut domain.bounce_domain),
    ] {
        form.get(key).clone_into(old);
        keys[key] = json!(old);
    }
    let body = json!({ "organisation": owner, "keys": keys });
    let path = format!("/domains/{}/set", segment(&name));
    match centre.post(visit.caller(), &path, &body).await {
        Ok(_) => page::go(&of(&name, &owner, "", "changed")),
        Err(refused) => {
            let page = sheet(&visit, (&owner, &domain), refused.detail);
            (refused.status, page::send(&page)).into_response()
        }
    }
}

pub(super) async fn ask(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(name): Path<String>,
) -> Response {
    match find(&centre, &visit, (&name, visit.query.get("organisation"))) {
        Ok((owner, domain)) => page::send(&removal(&visit, (&owner, &domain), String::new())),
        Err(refused) => page::refused(&visit, &refused),
    }
}

fn removal(visit: &Visit, (owner, domain): (&str, &AcceptedDomain), mistake: String) -> Sure {
    let lang = visit.lang;
    let typed = Input::text(
        "typed",
        format!("{} {}", lang.t("remove-type"), domain.name),
        "",
    );
    let action = of(&domain.name, "", "/remove", "");
    let title = lang.with("remove-title", &domain.name);
    Sure {
        frame: Frame::new(visit, "domains", &title)
            .command(format!("relais domain delete {}", quoted(&domain.name))),
        notes: Note::mistake(mistake).into_iter().collect(),
        question: lang.t("domains-remove-words"),
        lines: Vec::new(),
        sheet: Sheet::new("remove", action, lang.t("remove-button"))
            .hide("organisation", owner)
            .input(typed.wanted())
            .danger(),
        back: of(&domain.name, owner, "", ""),
    }
}

/// By its typed name.
pub(super) async fn remove(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let named = (name.as_str(), form.get("organisation"));
    let (owner, domain) = match find(&centre, &visit, named) {
        Ok(found) => found,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let again = |(status, mistake)| {
        let page = removal(&visit, (&owner, &domain), mistake);
        (status, page::send(&page)).into_response()
    };
    if !form.get("typed").eq_ignore_ascii_case(&domain.name) {
        let mistake = visit.lang.t("remove-differs");
        return again((StatusCode::UNPROCESSABLE_ENTITY, mistake));
    }
    let path = format!("/domains/{}/remove", segment(&name));
    let body = json!({ "organisation": owner });
    match centre.post(visit.caller(), &path, &body).await {
        Ok(_) => page::go(&address("/domains", &[("done", &domain.name)])),
        Err(refused) => again((refused.status, refused.detail)),
    }
}
