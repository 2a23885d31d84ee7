//! Bounce domains: whose they are. A bounce domain swallows all mail that carries no address of
//! ours, so it never lies over a domain in use of another organisation.
//!
//! Not here: what DNS shows of them (the desk), and which senders are rewritten
//! ([`crate::bounce`]).

use relais_smtp::domain::Domain;

use crate::document::Verification;
use crate::proof::ProofKey;

use super::index::Place;
use super::{OwnedDomain, Settings, SettingsError};

impl Settings {
    /// The verified domain whose bounce domain this is.
    pub fn bounce_domain(&self, domain: &Domain) -> Option<OwnedDomain<'_>> {
        let places = self.indexes.bounce_domains.get(domain)?;
        let mut owned = places.iter().map(|place| self.owned_domain(*place));
        owned.find(|owned| owned.is_verified() && !self.is_bounce_taken(owned, domain))
    }

    /// Whether the bounce domain of an accepted domain may be written into envelopes: DNS has shown
    /// that it leads to us, or the domain is one that no DNS knows; and it is nobody else's.
    pub fn is_bounce_domain_shown(&self, owned: &OwnedDomain<'_>, bounce: &Domain) -> bool {
        if self.is_bounce_taken(owned, bounce) {
            return false;
        }
        if owned.domain.verification == Verification::Assumed {
            return true;
        }
        let Ok(domain) = Domain::parse(&owned.domain.name) else {
            return false;
        };
        let key = ProofKey::new(&owned.organisation.name, &domain);
        self.shown_bounces.get(&key) == Some(bounce)
    }

    /// Bounce domains that lie in a domain in use of another organisation, each as a sentence.
    pub fn taken_bounces(&self) -> Vec<SettingsError> {
        let mut taken = Vec::new();
        for (bounce, places) in &self.indexes.bounce_domains {
            for place in places {
                let owned = self.owned_domain(*place);
                if !self.is_bounce_taken(&owned, bounce) {
                    continue;
                }
                taken.push(SettingsError {
                    object: format!(
                        "organisation {}, domain {}",
                        owned.organisation.name, owned.domain.name
                    ),
                    message: taken_words(bounce),
                });
            }
        }
        taken.sort_by(|one, other| one.object.cmp(&other.object));
        taken
    }

    /// Whether a domain below the owner's, in use of another organisation, covers this name.
    pub(super) fn is_bounce_taken(&self, owner: &OwnedDomain<'_>, bounce: &Domain) -> bool {
        let Ok(parent) = Domain::parse(&owner.domain.name) else {
            return false;
        };
        let covers = |place: Place| {
            let other = self.owned_domain(place);
            let is_below =
                Domain::parse(&other.domain.name).is_ok_and(|name| name.is_subdomain_of(&parent));
            is_below && other.organisation.name != owner.organisation.name && other.is_verified()
        };
        let mut covering = self.indexes.covering(&self.document, bounce);
        covering.any(covers)
    }
}

/// What is said of it, as error and as warning.
pub(super) fn taken_words(bounce: &Domain) -> String {
    format!(
        "bounce_domain {bounce} lies in a domain that another organisation uses, whose mail would \
         end there; write another name"
    )
}
