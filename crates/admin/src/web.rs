//! The admin centre: pages made here, for people; they work without script. Each page asks the API
//! in this process, so that page, command line and API never disagree.
//!
//! Modules stand in order of floors: each may use only those below it. Who comes in is decided in
//! `door`, what leaves is dressed in `headers`; ADR 0017.

mod directory;
mod audit;
mod credentials;
mod licences;
mod triggers;
mod restricted;
mod programs;
mod settings;
mod migration;
mod settings_file;
mod retention;
mod legal_holds;
mod certificates;
mod home;
mod setup;
mod health;
mod report_schedules;
mod reports;
mod limits;
mod devices;
mod live;
mod export;
mod reading;
mod story;
mod attributed;
mod trace;
mod queue;
mod attempts;
mod alerts;
mod domains;
mod connector_lists;
mod connectors;
mod standing;
mod fixes;
mod outbound_wizard;
mod outbound_login;
mod outbound_edit;
mod outbound_form;
mod route_words;
mod inbound_edit;
mod card;
mod waiting;
mod listening;
mod inbound_wizard;
mod inbound_form;
mod activity;
mod charts;
mod switching;
mod content_form;
mod records;
mod names;
mod files;
mod conversation;
mod old_tls;
mod sso;
mod people;
mod passkeys;
mod account;
mod signing;
mod fields;
mod find;
mod drafts;
mod news;
mod page;
mod gate;
mod door;
mod form;
mod headers;
mod cookies;
mod assets;
mod view;
mod ask;
mod rooms;
mod once;
mod marked;
mod moved;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;

use self::ask::Centre;
use self::door::Visit;
use crate::api;
use crate::context::AdminContext;

pub(crate) use self::report_schedules::{report_end, report_title};
pub(crate) use self::reports::{ReportTable, tables as report_tables};

/// Largest form in octets: a page of the queue with every box ticked has about 5 KB.
const FORM_OCTETS_MAX: usize = 64 << 10;
/// Everything that the admin listener serves: pages, probes and metrics.
pub fn router(context: AdminContext) -> Router {
    let centre = Centre::new(context.clone());
    let pages = Router::new()
        .merge(signing::routes())
        .merge(home::routes())
        .merge(audit::routes())
        .merge(credentials::routes())
        .merge(certificates::routes())
        .merge(directory::routes())
        .merge(licences::routes())
        .merge(restricted::routes())
        .merge(programs::routes())
        .merge(settings::routes())
        .merge(retention::routes())
        .merge(legal_holds::routes())
        .merge(settings_file::routes())
        .merge(migration::routes())
        .merge(setup::routes())
        .merge(health::routes())
        .merge(trace::routes())
        .merge(live::routes())
        .merge(export::routes())
        .merge(story::routes())
        .merge(reading::routes())
        .merge(reports::routes())
        .merge(report_schedules::routes())
        .merge(limits::routes())
        .merge(devices::routes())
        .merge(queue::routes())
        .merge(attempts::routes())
        .merge(alerts::routes())
        .merge(triggers::routes())
        .merge(domains::routes())
        .merge(outbound_wizard::routes())
        .merge(outbound_edit::routes())
        .merge(outbound_login::routes())
        .merge(card::routes())
        .merge(waiting::routes())
        .merge(inbound_edit::routes())
        .merge(listening::routes())
        .merge(inbound_wizard::routes())
        .merge(connector_lists::routes())
        .merge(connectors::routes())
        .merge(standing::routes())
        .merge(activity::routes())
        .merge(sso::routes())
        .merge(people::routes())
        .merge(account::routes())
        .merge(passkeys::routes())
        .merge(find::routes())
        .merge(assets::routes())
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(FORM_OCTETS_MAX))
        .with_state(centre);
    let is_encrypted = context.certificates.is_centre_encrypted();
    api::probe_routes(context.clone())
        .merge(gate::routes(context))
        .merge(pages)
        .layer(middleware::from_fn_with_state(is_encrypted, headers::dress))
}

/// No such page, said in the reader's language.
async fn nothing(visit: Visit) -> Response {
    let words = visit.lang.t("error-not-found");
    page::failed(&visit, StatusCode::NOT_FOUND, &words)
}
