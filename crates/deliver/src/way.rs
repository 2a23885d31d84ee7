//! From a queue to its site; and the mail that has no way: it is judged without any attempt.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use relais_policy::document::{IpVersion, Retry};
use relais_policy::outcome::Outcome;
use relais_policy::route::{RouteKind, RouteSource, route};
use relais_smtp::address::Host;
use relais_smtp::client::Protocol;
use relais_smtp::dsn::Cause;
use relais_store::queue::QueueKey;

use crate::attempt::{Attempt, Finding};
use crate::connection::Shared;
use crate::context::{DeliverOptions, LEASE_TIME, RECIPIENTS_MAX};
use crate::destination::next_hops;
use crate::settle::By;
use crate::site::{SiteKey, Terms};
use crate::sources::Egress;

/// Messages judged without an attempt, in one go.
const JUDGED_AT_ONCE: usize = 20;
/// Goes for a permanent judgement before other queues have their turn.
const JUDGED_GOES_MAX: usize = 50;
/// After a fault of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The way of a lane, or what becomes of its mail without any attempt.
#[derive(Debug)]
pub(crate) enum Way {
    /// To this site, by these terms.
    Site(Box<SiteKey>, Arc<Terms>),
    /// Judged already.
    Judged(Box<Finding>, By),
    /// Nowhere: what came back is taken in here.
    TakenIn(By),
}

/// From a queue to its site. RFC 5321 §5.1.
pub(crate) async fn find_way(shared: &Shared, key: &QueueKey) -> Way {
    let context = &shared.context;
    let settings = context.store.settings();
    let organisation = &key.organisation;
    let Ok(host) = Host::parse(&key.destination) else {
        // The store keeps what `Host` displays; this is a damaged row, and a person must see it.
        let words = format!("{} is no destination", key.destination);
        let finding = Finding::ours(Outcome::Failed, Cause::DomainNotFound, words);
        let by = By {
            connector: None,
            retry: Retry::default(),
            protocol: Protocol::Smtp,
        };
        return Way::Judged(Box::new(finding), by);
    };
    let source = RouteSource::parse(&key.source);
    let route = route(&settings, organisation, &host, &source);
    let connector: Option<Arc<str>> = route.outbound_connector.as_deref().map(Into::into);
    if route.kind == RouteKind::Bounces {
        return Way::TakenIn(By {
            connector,
            retry: route.retry,
            protocol: route.protocol,
        });
    }
    let found = next_hops(context, &shared.policies, &settings, organisation, &route).await;
    match found {
        Ok(hops) => {
            let key = SiteKey {
                connector: connector
                    .clone()
                    .map(|name| (Arc::clone(organisation), name)),
                protocol: route.protocol,
                hops,
                demand: route.tls,
            };
            let terms = Terms {
                connector,
                pace: route.pace,
                retry: route.retry,
                egress: egress(&context.options, route.source_addresses, route.ip_version),
            };
            Way::Site(Box::new(key), Arc::new(terms))
        }
        Err(finding) => {
            let by = By {
                connector,
                retry: route.retry,
                protocol: route.protocol,
            };
            Way::Judged(Box::new(finding), by)
        }
    }
}

/// Those of the connector before those of the server.
fn egress(
    options: &DeliverOptions,
    addresses: Vec<IpAddr>,
    ip_version: Option<IpVersion>,
) -> Egress {
    Egress {
        addresses: if addresses.is_empty() {
            options.source_addresses.clone()
        } else {
            addresses
        },
        ip_version: ip_version.unwrap_or(options.ip_version),
    }
}

/// Leases and settles without any attempt: once for a temporary reason, until nothing is left for a
/// permanent one.
pub(crate) async fn judge_some(shared: &Shared, key: &QueueKey, finding: &Finding, by: &By) {
    let context = &shared.context;
    for _ in 0..JUDGED_GOES_MAX {
        let now = context.clock.now();
        let until = now.after(LEASE_TIME);
        let lease = context
            .store
            .lease(key, JUDGED_AT_ONCE, RECIPIENTS_MAX, now, until);
        let leased = match lease.await {
            Ok(leased) => leased,
            Err(error) => {
                tracing::warn!(%error, "the store leases nothing");
                context.clock.sleep(STORE_PAUSE).await;
                return;
            }
        };
        let count = leased.len();
        for mut one in leased {
            shared.settler.hold_restricted(&mut one).await;
            if one.recipients.is_empty() {
                continue;
            }
            let mut attempt = Attempt::new(one);
            attempt.judge_all(finding);
            shared.settler.settle(attempt, by).await;
        }
        let temporary = finding.outcome == Outcome::Deferred;
        if temporary || count < JUDGED_AT_ONCE || shared.stop.is_cancelled() {
            return;
        }
    }
}
