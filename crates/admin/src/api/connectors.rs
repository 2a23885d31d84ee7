//! Connectors as they are in force, with their organisation; and whether an address is fit for one.

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use relais_net::resolver::{DnsError, Resolver};
use relais_policy::attribution::Facts;
use relais_policy::document::InboundConnector;
use relais_policy::source::{Listing, ReverseNames, SourceReport, check_source, is_public};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use super::connector_changes::revision;
use crate::checks::listed;
use crate::context::{AdminContext, Dns};
use crate::problem::{Parameters, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/connectors/inbound", get(inbound))
        .route("/connectors/inbound/check/{address}", get(check))
        .route("/connectors/outbound", get(outbound))
}

async fn inbound(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let organisations = settings.document.organisation.iter();
    let connectors: Vec<_> = organisations
        .flat_map(|one| {
            one.inbound_connector
                .iter()
                .map(|it| inbound_json(&context, &one.name, it))
        })
        .collect();
    Json(json!({ "connectors": connectors }))
}

/// With what is known of its DNS names, where it has some.
fn inbound_json(context: &AdminContext, organisation: &str, connector: &InboundConnector) -> Value {
    let mut value = owned(organisation, connector);
    let Some(dns) = context
        .dns
        .as_ref()
        .filter(|_| !connector.sender_dns_names.is_empty())
    else {
        return value;
    };
    let names = connector.sender_dns_names.iter().map(|name| {
        let known = Domain::parse(name)
            .ok()
            .and_then(|name| dns.names.get(&name));
        let known = known.unwrap_or_default();
        let time = |time: Option<Timestamp>| time.map(Timestamp::to_rfc3339);
        json!({
            "name": name,
            "addresses": known.current,
            "previous": known.previous,
            "changed_at": time(known.changed_at),
            "answered_at": time(known.answered_at),
            "failure": known.failure,
        })
    });
    value["dns_names"] = json!(names.collect::<Vec<_>>());
    value
}

async fn outbound(State(context): State<AdminContext>) -> Json<Value> {
    let settings = context.store.settings();
    let organisations = settings.document.organisation.iter();
    let connectors: Vec<_> = organisations
        .flat_map(|one| one.outbound_connector.iter().map(|it| owned(&one.name, it)))
        .collect();
    Json(json!({ "connectors": connectors }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    #[serde(default)]
    organisation: Option<String>,
}

/// Which connector covers the address, whose it is, and whether it will stay so.
async fn check(
    State(context): State<AdminContext>,
    Path(address): Path<String>,
    Parameters(whose): Parameters<Whose>,
) -> Result<Json<SourceReport>, Problem> {
    let address: IpAddr = address
        .trim()
        .parse()
        .map_err(|_| Problem::bad_request(format!("\"{address}\" is no IP address.")))?;
    let settings = context.store.settings();
    let organisations = settings.document.organisation.as_slice();
    let organisation = match (&whose.organisation, organisations) {
        (Some(name), _) if settings.organisation(name).is_some() => name.as_str(),
        (Some(name), _) => {
            return Err(Problem::not_found(format!(
                "There is no organisation {name}."
            )));
        }
        (None, [only]) => only.name.as_str(),
        (None, []) => {
            let detail = "There is no organisation yet: make one with `relais organisation add \
                          NAME`.";
            return Err(Problem::not_found(detail));
        }
        (None, _) => {
            let detail = "There are several organisations: name one with --organisation.";
            return Err(Problem::bad_request(detail));
        }
    };
    let facts = Facts::of_address(address);
    let (reverse, listings) = match &context.dns {
        Some(dns) if is_public(facts.address) => ask(dns, facts.address).await,
        Some(_) => (ReverseNames::None, Vec::new()),
        None => {
            let because = "DNS is asked by the running server".to_owned();
            (ReverseNames::Unknown(because), Vec::new())
        }
    };
    let report = check_source(&settings, organisation, &facts, &reverse, &listings);
    Ok(Json(report))
}

async fn ask(dns: &Dns, address: IpAddr) -> (ReverseNames, Vec<Listing>) {
    let lists = dns.blocklists.iter();
    let listings = join_all(lists.map(|list| listing(&dns.resolver, address, list)));
    let (names, listings) = tokio::join!(dns.resolver.reverse_names(address), listings);
    let reverse = match names {
        Ok(answer) => ReverseNames::Names(answer.records),
        Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => ReverseNames::None,
        Err(error @ DnsError::Temporary { .. }) => ReverseNames::Unknown(error.to_string()),
    };
    (reverse, listings)
}

async fn listing(resolver: &Resolver, address: IpAddr, list: &Domain) -> Listing {
    Listing {
        list: list.clone(),
        answer: listed(resolver, address, list).await,
    }
}

/// The connector's own fields with `organisation` beside them, and the `revision` that whoever
/// changes or removes it gives back.
fn owned(organisation: &str, connector: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(connector).unwrap_or_else(|_| json!({}));
    value["organisation"] = json!(organisation);
    value["revision"] = json!(revision(connector));
    value
}
