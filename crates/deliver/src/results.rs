//! Sessions with mail exchangers, counted by day and domain for the reports on TLS. RFC 8460 §4.
//!
//! Not here: keeping and sending (`report`), the counting itself (`relais_policy::tls_report`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use relais_policy::encryption::{Demand, TlsFault};
use relais_policy::sts::StsPolicy;
use relais_policy::tls_report::{Failure, Policy, PolicyResults, count, result_type};
use relais_smtp::address::Host;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

use crate::destination::{NextHops, Target};

/// Days and domains counted; those met beyond are not reported.
const DOMAINS_MAX: usize = 20_000;

/// A day and a domain.
pub(crate) type Key = (String, Domain);

/// See the head of this file. Shared.
#[derive(Default)]
pub(crate) struct Results(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) counted: BTreeMap<Key, Counted>,
    /// What was counted before a restart is in it.
    pub(crate) loaded: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Counted {
    pub(crate) results: Vec<PolicyResults>,
    /// Not yet on the shelf as it is.
    pub(crate) changed: bool,
}

/// A session that was begun with a mail exchanger.
pub(crate) struct Begun<'a> {
    pub(crate) hops: &'a NextHops,
    /// Whom the message is for.
    pub(crate) recipient: &'a Host,
    pub(crate) target: &'a Target,
    /// What had to hold.
    pub(crate) demand: &'a Demand,
    /// What was wrong with its TLS.
    pub(crate) fault: Option<&'a TlsFault>,
}

impl Results {
    /// Counts a session. Only those with mail exchangers count, and no second one in clear text
    /// after TLS failed in the first.
    pub(crate) fn note(&self, now: Timestamp, begun: &Begun<'_>) {
        let (NextHops::Exchanges { published, .. }, Host::Domain(domain)) =
            (begun.hops, begun.recipient)
        else {
            return;
        };
        if begun.target.clear_because.is_some() {
            return;
        }
        let policy = Policy::of(domain, begun.demand, published.sts.as_deref());
        let host = match &begun.target.host {
            Host::Domain(host) => Some(host),
            Host::Literal(_) => None,
        };
        let unlisted = |sts: &&StsPolicy| host.is_some_and(|host| !sts.covers(host));
        let sts = published
            .sts
            .as_deref()
            .filter(|_| policy.policy_type == "sts");
        let failure = match (begun.fault, sts.filter(unlisted)) {
            (Some(fault), _) => Some((result_type(fault), fault.to_string())),
            (None, Some(_)) => Some((
                "validation-failure",
                "the host is not in the policy".to_owned(),
            )),
            (None, None) => None,
        };
        let failure = failure.map(|(kind, words)| Failure {
            result_type: kind.to_owned(),
            sending_mta_ip: begun.target.source.map(|address| address.to_string()),
            receiving_mx_hostname: host.map(ToString::to_string),
            receiving_mx_helo: None,
            receiving_ip: Some(begun.target.address.ip().to_string()),
            failed_session_count: 1,
            additional_information: None,
            failure_reason_code: Some(words),
        });
        let mut state = self.lock();
        let key = (now.day(), domain.clone());
        if state.counted.len() >= DOMAINS_MAX && !state.counted.contains_key(&key) {
            return;
        }
        let counted = state.counted.entry(key).or_default();
        count(&mut counted.results, policy, failure);
        counted.changed = true;
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
