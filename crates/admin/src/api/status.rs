//! How the server is: one screen, and yes or no.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use relais_net::login::LoginStanding;
use relais_net::tls::{CertificateStore, SeenCertificate};

use crate::context::{AdminContext, CertificateOrigin, unready};
use crate::problem::Problem;

/// Client certificates on one page: those that end first.
const CLIENT_CERTIFICATES_MAX: usize = 100;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/store", get(store))
}

async fn status(State(context): State<AdminContext>) -> Json<Value> {
    let (counts, settings) = (context.store.counts(), context.store.settings());
    let age = counts
        .oldest
        .map(|oldest| context.clock.now().since(oldest).as_secs());
    let because = unready(&context);
    let domains = settings
        .document
        .organisation
        .iter()
        .map(|one| one.domain.len())
        .sum::<usize>();
    let connectors = settings
        .document
        .organisation
        .iter()
        .map(|one| one.inbound_connector.len())
        .sum::<usize>();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": because.is_none(),
        "queued": counts.queued,
        "deferred": counts.deferred,
        "held": counts.held,
        "oldest_age_s": age,
        "because": because,
        "hostname": context.hostname,
        "settings_version": settings.version,
        "organisations": settings.document.organisation.len(),
        "domains": domains,
        "inbound_connectors": connectors,
        "certificates": certificates(&context),
        "client_certificates": client_certificates(&context),
        "logins": logins(&context),
    }))
}

/// What each listener with TLS shows; nulls where nothing can be loaded.
fn certificates(context: &AdminContext) -> Vec<Value> {
    let now = context.clock.now();
    let doors = context.premises.as_ref();
    let doors = doors.map_or(&[][..], |premises| &*premises.doors);
    let row = |(listener, store): &(SocketAddr, CertificateStore)| {
        let shown = store.current();
        let shown = shown.as_ref();
        let door = doors.iter().find(|door| door.address == *listener);
        let origin = door.and_then(|door| door.origin.as_ref());
        let file = match origin {
            Some(CertificateOrigin::File(file)) => Some(file),
            _ => None,
        };
        json!({
            "listener": listener,
            "names": shown.map(|shown| shown.names()),
            "source": origin.map(CertificateOrigin::name),
            "file": file,
            "fingerprint": shown.map(|shown| shown.fingerprint()),
            "not_after": shown.map(|shown| shown.not_after().to_rfc3339()),
            "days_left": shown.map(|shown| days(shown.not_after().since(now))),
        })
    };
    context.certificates.of_listeners.iter().map(row).collect()
}

/// Those that led to a connector since the start, the one that ends first in front.
fn client_certificates(context: &AdminContext) -> Vec<Value> {
    let now = context.clock.now();
    let row = |seen: &SeenCertificate| {
        json!({
            "name": seen.name,
            "fingerprint": seen.fingerprint,
            "not_after": seen.not_after.to_rfc3339(),
            "days_left": days(seen.not_after.since(now)),
            "last_seen": seen.last_seen.to_rfc3339(),
        })
    };
    let seen = context.certificates.of_clients.list();
    seen.iter().take(CLIENT_CERTIFICATES_MAX).map(row).collect()
}

/// Logins at smart hosts that can end, as they were looked at last.
fn logins(context: &AdminContext) -> Vec<Value> {
    let Some(outbound) = &context.outbound else {
        return Vec::new();
    };
    let (now, settings) = (context.clock.now(), context.store.settings());
    let row = |one: &LoginStanding| {
        json!({
            "organisation": &*one.organisation,
            "outbound_connector": &*one.connector,
            "ends": one.ends.map(|(what, _)| what.words()),
            "not_after": one.ends.map(|(_, until)| until.to_rfc3339()),
            "days_left": one.ends.map(|(_, until)| days(until.since(now))),
            "because": one.fault.as_ref().or(one.warning.as_ref()),
        })
    };
    let logins = outbound.logins_in_use(&settings);
    logins.iter().map(row).collect()
}

fn days(left: Duration) -> u64 {
    left.as_secs() / (24 * 3_600)
}

async fn health(State(context): State<AdminContext>) -> Json<Value> {
    let because = unready(&context);
    Json(json!({ "live": true, "ready": because.is_none(), "because": because }))
}

async fn store(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let counts = context.store.counts();
    let suspended = context.store.suspended().await?;
    Ok(Json(json!({
        "kind": "embedded",
        "healthy": context.store.unhealthy().is_none(),
        "because": context.store.unhealthy(),
        "settings_version": context.store.settings().version,
        "queued": counts.queued,
        "deferred": counts.deferred,
        "held": counts.held,
        "suspended": suspended.iter().map(|one| one.scope.to_string()).collect::<Vec<_>>(),
    })))
}
