//! What a stranger's message proves of its origin, recorded on top of it. RFC 8601, RFC 7489.
//!
//! Known clients are known by better proofs; what comes back to a bounce domain proves itself by
//! its address. Neither is checked here.
//!
//! Not here: the checks (`relais_net::mail_authentication`), what they say in all
//! (`relais_policy::authentication`).

use relais_net::mail_authentication::{Checking, Sender};
use relais_policy::authentication::Authentication;
use relais_policy::document::DmarcPolicy;
use relais_smtp::dkim::BodyHash;
use relais_smtp::header::HeaderSummary;
use relais_smtp::refusal::Refusal;

use crate::arrival::Arrival;
use crate::limits::Standing;

/// A stranger's message whose content is being read.
pub(crate) struct Checks {
    checking: Checking,
    summary: HeaderSummary,
}

impl Checks {
    /// `None`: it is not to be checked.
    pub(crate) fn begin(
        arrival: &Arrival<'_>,
        section: &[u8],
        summary: &HeaderSummary,
    ) -> Option<Box<Self>> {
        let is_checked = is_stranger(arrival) && arrival.transaction.content_octets_max.is_none();
        is_checked.then(|| {
            Box::new(Self {
                checking: Checking::begin(section),
                summary: summary.clone(),
            })
        })
    }

    /// A piece of the body.
    pub(crate) fn body(&mut self, piece: &[u8]) {
        self.checking.body(piece);
    }

    /// What came out; or the refusal, where the author's domain and the recipient's want it.
    pub(crate) async fn finish(
        self,
        arrival: &Arrival<'_>,
        relaxed: &BodyHash,
    ) -> Result<Authentication, Refusal> {
        let (context, facts) = (arrival.context, arrival.identity.facts());
        let sender = Sender {
            client: facts.address,
            helo: facts.helo.as_deref().unwrap_or_default(),
            reverse_path: &arrival.transaction.reverse_path,
        };
        let resolver = context.network.resolver();
        let finished =
            self.checking
                .finish(relaxed, &self.summary, sender, resolver, &context.clock);
        let authentication = finished.await;
        let settings = &arrival.client.settings;
        for recipient in &arrival.envelope.recipients {
            let domain = recipient.forward_path.domain();
            let owned = domain.and_then(|domain| settings.verified_domain(domain));
            if let Some(owned) = &owned
                && owned.domain.dmarc == DmarcPolicy::Reject
                && authentication.dmarc.from.is_none()
            {
                // Whoever could not be judged must not come in because of that.
                return Err(Refusal::HeaderFrom);
            }
            if let Some(owned) = owned
                && let Some(author) = authentication.refuses(owned.domain.dmarc)
            {
                return Err(Refusal::DmarcFailed {
                    domain: author.as_str().into(),
                });
            }
        }
        Ok(authentication)
    }
}

/// Whether nobody's connector covers the client.
pub(crate) fn is_stranger(arrival: &Arrival<'_>) -> bool {
    arrival.client.standing == Standing::Stranger && arrival.transaction.inbound_connector.is_none()
}
