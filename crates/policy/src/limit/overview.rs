//! All limits and how they stand: those that settings name, and of devices and senders those that
//! have a count.

use std::sync::Arc;

use relais_smtp::time::Timestamp;

use super::{Book, LimitKey, LimitName, Use, Whose};
use crate::document::{Limit, Limits, Organisation};
use crate::settings::Settings;

/// Every limit, in the order of the settings; devices and senders last, those that are used most
/// first.
pub fn overview(settings: &Settings, book: &Book, now: Timestamp) -> Vec<(LimitName, Use)> {
    let mut all = Vec::new();
    for organisation in &settings.document.organisation {
        let name: Arc<str> = organisation.name.as_str().into();
        for (whose, limits, common) in owners(organisation) {
            for key in LimitKey::ALL {
                let limit = key
                    .of(limits)
                    .or_else(|| common.and_then(|common| key.of(common)));
                if let Some(limit) = limit {
                    let name = LimitName {
                        organisation: Arc::clone(&name),
                        whose: whose.clone(),
                        key,
                    };
                    let used = book.stands(&name, limit, now);
                    all.push((name, used));
                }
            }
        }
    }
    let many = book.names().filter(|name| name.whose.is_many());
    let mut many: Vec<_> = many
        .filter_map(|name| {
            let limit = limit_of_many(settings, name)?;
            Some((name.clone(), book.stands(name, limit, now)))
        })
        .filter(|(_, used)| used.used > 0 || used.waiting > 0)
        .collect();
    many.sort_by(|(one, used), (other, of_other)| {
        let by_use = of_other.percent().cmp(&used.percent());
        by_use.then_with(|| one.cmp(other))
    });
    all.extend(many);
    all
}

/// Those that settings name, with their own limits and those that count where they have none.
fn owners(organisation: &Organisation) -> Vec<(Whose, &Limits, Option<&Limits>)> {
    let mut owners = vec![(Whose::Organisation, &organisation.limits, None)];
    for domain in &organisation.domain {
        let whose = Whose::Domain(domain.name.as_str().into());
        owners.push((whose, &domain.limits, None));
    }
    for connector in &organisation.inbound_connector {
        let whose = Whose::Connector(connector.name.as_str().into());
        owners.push((whose, &connector.limits, None));
    }
    for credential in &organisation.credential {
        let mut connectors = organisation.inbound_connector.iter();
        let connector = connectors.find(|one| one.name == credential.inbound_connector);
        let whose = Whose::Credential(credential.user.as_str().into());
        let common = connector.map(|connector| &connector.limits_per_device);
        owners.push((whose, &credential.limits, common));
    }
    owners
}

/// The limit of a device or sender, if it has one now.
fn limit_of_many(settings: &Settings, name: &LimitName) -> Option<Limit> {
    match &name.whose {
        Whose::Device { connector, .. } => {
            let found = settings.inbound_connector(&name.organisation, connector)?;
            name.key.of(&found.connector.limits_per_device)
        }
        Whose::Sender(_) => {
            let organisation = settings.organisation(&name.organisation)?;
            name.key.of(&organisation.limits_per_sender)
        }
        _ => None,
    }
}
