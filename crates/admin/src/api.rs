//! The API, one file per noun; the nouns are those of the command line.
//! Modules stand in order of floors: each may use only those below it.
//!
//! Not here: who may ask. Of the local socket its file permissions decide; of keys the door
//! (`web/gate.rs`), by the table in `operations`; of people the gate in `access`: a new route needs
//! a line there.

mod openapi;
pub(crate) mod operations;
mod fields;
mod why;
mod attributed;
mod status;
mod card;
mod checks;
mod first_steps;
mod own_mail;
mod simulate;
mod licences;
pub(crate) mod trace;
mod devices;
mod report_schedules;
mod reports;
mod retention;
mod legal_holds;
mod resending;
mod headers;
pub(crate) mod content;
mod queue;
mod attempts;
mod restricted;
mod triggers;
mod suppression;
mod audit;
mod organisations;
mod limits;
mod dkim;
mod domain_changes;
mod domains;
mod connectors;
pub(crate) mod connector_changes;
mod standing;
mod outbound;
mod listen;
mod presented;
mod credentials;
mod migration;
mod directory;
mod reverting;
mod settings;
mod only_here;
mod public_hosts;
mod secrets;
mod sign_in;
mod people;
mod keys;
mod webhooks;
mod alerts;
mod messages;
mod backup;
mod probes;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;

pub use self::connector_changes::revision as connector_revision;
pub(crate) use self::fields::Body;
pub(crate) use self::openapi::ROWS_MAX as PAGE_ROWS_MAX;
pub use self::openapi::document as openapi_document;
pub(crate) use self::operations::{Found, Operation, find, methods_of};
use crate::access;
use crate::context::AdminContext;
use crate::problem::Problem;

/// Media type of an answer without an end: one JSON object a line.
pub(crate) const STREAM_TYPE: &str = "application/x-ndjson";

/// Largest body of a request in octets: a directory of 500,000 recipients has about 40 MB.
const BODY_OCTETS_MAX: usize = 256 << 20;

/// How an operation is offered over the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OverNetwork {
    /// The key of the answer's list, which comes in pages.
    pub list: Option<&'static str>,
}

/// How that method and path, `/api/v1/…`, is offered to who has a key; none: it is not.
pub fn over_network(method: &str, path: &str) -> Option<OverNetwork> {
    match find(method, path.strip_prefix("/api/v1")?) {
        Found::Operation(operation) => Some(OverNetwork {
            list: operation.list,
        }),
        Found::OtherMethod | Found::Nothing => None,
    }
}

/// Everything: for the local socket, and for the command line without a server.
pub fn router(context: AdminContext) -> Router {
    let nouns = Router::new()
        .merge(status::routes())
        .merge(checks::routes())
        .merge(first_steps::routes())
        .merge(settings::routes())
        .merge(reverting::routes())
        .merge(simulate::routes())
        .merge(why::routes())
        .merge(trace::routes())
        .merge(reports::routes())
        .merge(report_schedules::routes())
        .merge(devices::routes())
        .merge(queue::routes())
        .merge(retention::routes())
        .merge(legal_holds::routes())
        .merge(resending::routes())
        .merge(headers::routes())
        .merge(content::routes())
        .merge(attempts::routes())
        .merge(restricted::routes())
        .merge(triggers::routes())
        .merge(suppression::routes())
        .merge(audit::routes())
        .merge(organisations::routes())
        .merge(limits::routes())
        .merge(licences::routes())
        .merge(domains::routes())
        .merge(domain_changes::routes())
        .merge(dkim::routes())
        .merge(connectors::routes())
        .merge(connector_changes::routes())
        .merge(outbound::routes())
        .merge(standing::routes())
        .merge(card::routes())
        .merge(listen::routes())
        .merge(presented::routes())
        .merge(credentials::routes())
        .merge(directory::routes())
        .merge(migration::routes())
        .merge(secrets::routes())
        .merge(sign_in::routes())
        .merge(people::routes())
        .merge(keys::routes())
        .merge(messages::routes())
        .merge(webhooks::routes())
        .merge(alerts::routes())
        .merge(backup::routes())
        .route_layer(middleware::from_fn_with_state(
            context.clone(),
            access::gate,
        ));
    Router::new()
        .nest("/api/v1", nouns)
        .merge(probes::routes())
        .fallback(no_such_address)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(context)
}

/// Probes and metrics: for the admin listener, beside the pages.
pub(crate) fn probe_routes(context: AdminContext) -> Router {
    probes::routes().with_state(context)
}

async fn no_such_address(uri: Uri) -> Problem {
    Problem::not_found(format!("There is nothing at {}.", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
