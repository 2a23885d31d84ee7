//! Whether a site is still where mail goes, by the settings as they are now: a message may have
//! waited there since before they changed.
//!
//! Asked before each connection and each transaction, and after a login was read: so no login goes
//! to a host that the settings do not name any more, and no mail by a demand that was given up.

use std::sync::Arc;

use relais_policy::route::{Route, RouteKind, RouteSource, route};
use relais_policy::settings::Settings;
use relais_smtp::address::Host;
use relais_store::queue::QueueKey;

use crate::destination::NextHops;
use crate::site::SiteKey;

/// What was asked last, so that it is asked once for each version of the settings.
#[derive(Debug, Default)]
pub(crate) struct Current {
    version: Option<u64>,
    because: Option<Arc<str>>,
}

impl Current {
    /// Whether mail of this lane belongs at this site by these settings.
    pub(crate) fn is(&mut self, settings: &Settings, lane: &QueueKey, site: &SiteKey) -> bool {
        if self.version == Some(settings.version) {
            return true;
        }
        let Ok(host) = Host::parse(&lane.destination) else {
            return false;
        };
        let source = RouteSource::parse(&lane.source);
        let route = route(settings, &lane.organisation, &host, &source);
        let is = leads_to(&route, lane, site);
        self.version = is.then_some(settings.version);
        if is {
            let named = route.outbound_connector.is_some();
            self.because = named.then(|| route.because.into());
        }
        is
    }

    /// Why that outbound connector, for the trace; `None`: there is none.
    pub(crate) fn because(&self) -> Option<Arc<str>> {
        self.because.clone()
    }
}

/// Whether the way of a lane leads to this site. Which hosts MX records name is no matter of the
/// settings: that is looked up again in its time.
fn leads_to(route: &Route, lane: &QueueKey, site: &SiteKey) -> bool {
    let same_connector = match (&route.outbound_connector, &site.connector) {
        (None, None) => true,
        (Some(now), Some((organisation, then))) => {
            **now == **then && *organisation == lane.organisation
        }
        (None, Some(_)) | (Some(_), None) => false,
    };
    same_connector
        && route.protocol == site.protocol
        && route.tls == site.demand
        && same_hops(route, &site.hops)
}

fn same_hops(route: &Route, hops: &NextHops) -> bool {
    match (&route.kind, hops) {
        (RouteKind::Hosts(now), NextHops::Typed { hosts, public_only }) => {
            now == hosts && route.public_only == *public_only
        }
        (RouteKind::Mx { .. }, NextHops::Exchanges { .. }) => true,
        (RouteKind::Literal(now), NextHops::Literal(then, _)) => now == then,
        (
            RouteKind::Hosts(_) | RouteKind::Mx { .. } | RouteKind::Literal(_) | RouteKind::Bounces,
            NextHops::Typed { .. } | NextHops::Exchanges { .. } | NextHops::Literal(..),
        ) => false,
    }
}
