//! Sessions with mail exchangers as the reports on TLS count them, and hosts that were never tried
//! because what is published forbade it. RFC 8460 §4.
//!
//! Not here: the counts (`tally`), keeping and sending (`report`).

use relais_policy::encryption::{Demand, TlsFault};
use relais_policy::sts::StsPolicy;
use relais_policy::tls_report::{Failure, Policy, PolicyFault, VALIDATION_FAILURE, result_type};
use relais_smtp::address::Host;
use relais_smtp::time::Timestamp;

use crate::destination::{NextHops, Target};
use crate::published::{Because, Untried};
use crate::tally::Tally;

/// What is said of a host that the policy does not name.
const NOT_LISTED: &str = "the host is not in the policy";

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

/// Counts a session. Only those with mail exchangers count, and no second one in clear text after
/// TLS failed in the first.
pub(crate) fn note(tally: &Tally, now: Timestamp, begun: &Begun<'_>) {
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
    let sts = published.sts.as_deref();
    let sts = sts.filter(|_| policy.policy_type == "sts");
    let failure = match (begun.fault, begun.demand, sts.filter(unlisted)) {
        (Some(fault), _, _) => Some(Failure::once(result_type(fault), fault.to_string())),
        (None, Demand::Dane(required), _) if required.records.is_empty() => {
            let kind = PolicyFault::TlsaInvalid.result_type();
            Some(Failure::once(kind, "none of the TLSA records can be used"))
        }
        (None, _, Some(_)) => Some(Failure::once(VALIDATION_FAILURE, NOT_LISTED)),
        (None, _, None) => None,
    };
    let failure = failure.map(|failure| Failure {
        sending_mta_ip: begun.target.source.map(|address| address.to_string()),
        receiving_mx_hostname: host.map(ToString::to_string),
        receiving_ip: Some(begun.target.address.ip().to_string()),
        ..failure
    });
    tally.count(now, domain, policy, failure);
}

/// Counts a host that was passed over before it was tried.
pub(crate) fn note_untried(tally: &Tally, now: Timestamp, recipient: &Host, untried: &Untried) {
    let Host::Domain(domain) = recipient else {
        return;
    };
    let host = &untried.host;
    let (policy, failure) = match &untried.because {
        Because::NotListed(sts) => (
            Policy::of(domain, &Demand::Sts(host.clone()), Some(sts)),
            Failure::once(VALIDATION_FAILURE, NOT_LISTED),
        ),
        Because::Hidden(words) => (
            Policy::hidden_tlsa(domain, host),
            Failure::once(PolicyFault::DnssecInvalid.result_type(), words.clone()),
        ),
    };
    let failure = Failure {
        receiving_mx_hostname: Some(host.to_string()),
        ..failure
    };
    tally.count(now, domain, policy, Some(failure));
}
