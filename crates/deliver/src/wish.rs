//! What a message itself wishes of TLS: that it be sent with it or not at all (REQUIRETLS), or that
//! what the recipient's domain publishes be ignored for it (`TLS-Required: No`). RFC 8689.
//!
//! Not here: the parameter of MAIL and whether the next hop offers it (`relais_smtp::client`).

use relais_policy::encryption::{CertificateName, Demand, Verified};
use relais_policy::outcome::Outcome;
use relais_smtp::address::Host;
use relais_smtp::dsn::Cause;
use relais_smtp::header::{header_section_end, says_tls_is_not_required};
use relais_store::queue::{Content, Leased};
use relais_store::store::Store;

use crate::attempt::{Answer, Finding};
use crate::destination::Target;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// As the connector says and the destination publishes.
    AsUsual,
    /// TLS with a server that proves its name, which will pass it on likewise.
    Required,
    /// It must arrive, in clear text if it has to: what the destination publishes does not count.
    NotRequired,
}

impl Wish {
    /// REQUIRETLS counts more than the field. RFC 8689 §5.
    pub(crate) async fn of(leased: &Leased, store: &Store) -> Self {
        if leased.facts.parameters.require_tls {
            return Self::Required;
        }
        let says = |octets: &[u8]| {
            let end = header_section_end(octets).unwrap_or(octets.len());
            says_tls_is_not_required(&octets[..end])
        };
        let not_required = match &leased.content {
            Content::Inline(octets) => says(octets),
            Content::Spooled(_) => match store.content_reader(&leased.content).await {
                // Content that cannot be read is found out when it is sent.
                Err(_) => false,
                Ok(mut reader) => reader.next().await.is_ok_and(|piece| says(&piece)),
            },
        };
        if not_required {
            Self::NotRequired
        } else {
            Self::AsUsual
        }
    }

    /// Whether what the destination publishes counts.
    pub(crate) fn follows_destination(self, of_connector: &Demand) -> bool {
        self != Self::NotRequired && of_connector.follows_destination()
    }

    /// What must hold at a host.
    pub(crate) fn demand(self, of_connector: &Demand, target: &Target) -> Demand {
        if target.clear_because.is_some() {
            return Demand::Clear;
        }
        let demand = target.demand.as_ref().unwrap_or(of_connector);
        match (self, demand) {
            (Self::AsUsual | Self::NotRequired, _)
            | (Self::Required, Demand::Host | Demand::Name(_) | Demand::Sts(_)) => demand.clone(),
            (Self::Required, Demand::Dane(required)) if !required.records.is_empty() => {
                demand.clone()
            }
            // Records of which none is usable prove nothing: then the name must. RFC 8689 §4.2.1.
            (
                Self::Required,
                Demand::Clear
                | Demand::Opportunistic
                | Demand::Encryption
                | Demand::Chain
                | Demand::Dane(_),
            ) => Demand::Name(match &target.host {
                Host::Domain(host) => CertificateName::Exact(host.clone()),
                Host::Literal(_) => CertificateName::Nobody,
            }),
        }
    }

    /// Whether a message with this wish may go over a session that was opened for another.
    pub(crate) fn is_met_by(self, opened_for: Self, verified: Option<Verified>) -> bool {
        match self {
            Self::NotRequired => true,
            Self::AsUsual => opened_for != Self::NotRequired,
            Self::Required => matches!(
                verified,
                Some(Verified::Name | Verified::Sts | Verified::Dane)
            ),
        }
    }

    /// What follows where a host's TLS is not what must be: what may only go with TLS fails, and
    /// the sender learns it (RFC 8689 §4.2.1); other mail waits.
    pub(crate) fn without_tls(self, mut finding: Finding) -> Finding {
        if self != Self::Required {
            return finding;
        }
        if let Answer::Ours { cause, .. } = &mut finding.answer {
            *cause = Some(Cause::RequireTls);
        }
        finding.outcome = Outcome::Failed;
        finding.status = Cause::RequireTls.status();
        finding
    }
}
