//! The limits that apply to who sends: of organisation and connector, of each device or its
//! credential, of the sender and its domain.

use std::net::IpAddr;
use std::sync::Arc;

use relais_smtp::address::Mailbox;

use super::{LimitKey, LimitName, Whose};
use crate::document::{Limit, Limits};
use crate::licence;
use crate::settings::Settings;

/// A client that sends, in so far as limits ask.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    /// Its organisation.
    pub organisation: &'a str,
    /// Its inbound connector.
    pub connector: &'a str,
    /// Where it is.
    pub address: IpAddr,
    /// As whom it logged in.
    pub credential: Option<&'a str>,
    /// The reverse-path; `None`: the null one.
    pub sender: Option<&'a Mailbox>,
}

/// The limits that apply to a client's message. Most clients have none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applying(pub(super) Vec<(LimitName, Limit)>);

impl Applying {
    /// Nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = &(LimitName, Limit)> {
        self.0.iter()
    }

    /// Whether one of them asks who is new among the recipients.
    pub fn asks_for_new(&self) -> bool {
        let is_new = |(name, _): &(LimitName, Limit)| name.key == LimitKey::NewRecipientsPerDay;
        self.0.iter().any(is_new)
    }

    /// Of this client, by these settings.
    pub fn of(settings: &Settings, sending: &Sending<'_>) -> Self {
        let mut applying = Vec::new();
        let organisation: Arc<str> = sending.organisation.into();
        each(settings, sending, |whose, own, common| {
            for key in LimitKey::ALL {
                let limit = key
                    .of(own)
                    .or_else(|| common.and_then(|common| key.of(common)));
                if let Some(limit) = limit {
                    let name = LimitName {
                        organisation: Arc::clone(&organisation),
                        whose: whose(),
                        key,
                    };
                    applying.push((name, limit));
                }
            }
        });
        Self(applying)
    }
}

/// The largest message that this client may send: the smallest `message_size_max` that applies.
pub fn message_size_max(settings: &Settings, sending: &Sending<'_>) -> Option<u64> {
    let mut smallest: Option<u64> = None;
    each(settings, sending, |_, own, common| {
        let size = own
            .message_size_max
            .or_else(|| common.and_then(|common| common.message_size_max));
        if let Some(size) = size {
            smallest = Some(smallest.map_or(size.0, |known| known.min(size.0)));
        }
    });
    smallest
}

/// So many recipients one message of this client may have: the fewest of all that apply.
pub fn recipients_per_message(settings: &Settings, sending: &Sending<'_>) -> Option<u32> {
    let mut fewest: Option<u32> = None;
    each(settings, sending, |_, own, common| {
        let count = own
            .recipients_per_message
            .or_else(|| common.and_then(|common| common.recipients_per_message));
        if let Some(count) = count {
            fewest = Some(fewest.map_or(count, |known| known.min(count)));
        }
    });
    fewest
}

/// Everybody whose limits could apply to this client's message.
pub(super) fn owners_of(settings: &Settings, sending: &Sending<'_>) -> Vec<Whose> {
    let mut owners = Vec::new();
    each(settings, sending, |whose, _, _| owners.push(whose()));
    owners
}

/// Whose connection it is, and how many there may be at the same time. Only a hard limit turns a
/// client away; where there is none it is counted all the same, for the day when there is.
pub fn connections(settings: &Settings, sending: &Sending<'_>) -> Vec<(Whose, Option<u64>)> {
    let sending = Sending {
        sender: None,
        ..*sending
    };
    let mut all = Vec::new();
    each(settings, &sending, |whose, own, common| {
        let limit = own
            .connections
            .or_else(|| common.and_then(|common| common.connections));
        let max = limit.filter(|limit| limit.hard).map(|limit| limit.value);
        all.push((whose(), max));
    });
    all
}

/// Each owner of limits that has to do with this client: whose, its own limits, and those that
/// count where it has none.
fn each(
    settings: &Settings,
    sending: &Sending<'_>,
    mut visit: impl FnMut(&dyn Fn() -> Whose, &Limits, Option<&Limits>),
) {
    let (organisation, connector) = (sending.organisation, sending.connector);
    let Some(found) = settings.inbound_connector(organisation, connector) else {
        return;
    };
    visit(
        &|| Whose::Connector(connector.into()),
        &found.connector.limits,
        None,
    );
    visit(&|| Whose::Organisation, &found.organisation.limits, None);
    let per_device = &found.connector.limits_per_device;
    let credential = sending
        .credential
        .and_then(|user| settings.credential(user))
        .filter(|(owned, _)| owned.organisation.name == organisation);
    match credential {
        Some((_, credential)) => visit(
            &|| Whose::Credential(credential.user.as_str().into()),
            &credential.limits,
            Some(per_device),
        ),
        None => visit(
            &|| Whose::Device {
                connector: connector.into(),
                address: Some(sending.address.to_canonical()),
            },
            per_device,
            None,
        ),
    }
    let Some(sender) = sending.sender else {
        return;
    };
    visit(
        &|| Whose::Sender(Some(licence::key(sender).into())),
        &found.organisation.limits_per_sender,
        None,
    );
    let domain = sender.domain();
    if let Some(owned) = domain.and_then(|it| settings.accepted_domain_of(organisation, it)) {
        visit(
            &|| Whose::Domain(owned.domain.name.as_str().into()),
            &owned.domain.limits,
            None,
        );
    }
}
