//! All limits and how they stand: those that settings name, and of devices and senders those that
//! have a count; and those of connections, of which there are so many now.

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_smtp::time::Timestamp;

use super::{Book, LimitKey, LimitName, Use, WARNING_PERCENT, Whose};
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

/// A limit of connections at the same time, and how many there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenConnections {
    /// Of which organisation.
    pub organisation: Arc<str>,
    /// Whose in it.
    pub whose: Whose,
    /// How many there may be.
    pub limit: Limit,
    /// How many there are.
    pub open: u64,
}

impl OpenConnections {
    /// Hundredths of the limit.
    pub fn percent(&self) -> u64 {
        self.open.saturating_mul(100) / self.limit.value.max(1)
    }

    /// Whether a person should hear of it.
    pub fn is_warning(&self) -> bool {
        self.percent() >= WARNING_PERCENT
    }
}

/// Every limit of connections: in the order of the settings, devices with open ones last.
pub fn open_connections(settings: &Settings, book: &Book) -> Vec<OpenConnections> {
    let mut open: BTreeMap<(&str, &Whose), u64> = BTreeMap::new();
    for (organisation, whose, count) in book.open() {
        open.insert((organisation, whose), count);
    }
    let mut all = Vec::new();
    for organisation in &settings.document.organisation {
        let name: Arc<str> = organisation.name.as_str().into();
        for (whose, limits, common) in owners(organisation) {
            let limit = limits.connections;
            let limit = limit.or_else(|| common.and_then(|common| common.connections));
            // Nobody connects as a domain.
            let Some(limit) = limit.filter(|_| !matches!(whose, Whose::Domain(_))) else {
                continue;
            };
            all.push(OpenConnections {
                open: open.get(&(&*name, &whose)).copied().unwrap_or(0),
                organisation: Arc::clone(&name),
                whose,
                limit,
            });
        }
    }
    for ((organisation, whose), count) in open {
        let Whose::Device { connector, .. } = whose else {
            continue;
        };
        let found = settings.inbound_connector(organisation, connector);
        let limit = found.and_then(|found| found.connector.limits_per_device.connections);
        all.extend(limit.map(|limit| OpenConnections {
            organisation: organisation.into(),
            whose: whose.clone(),
            limit,
            open: count,
        }));
    }
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
