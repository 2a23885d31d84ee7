//! ARC: strangers' mail that is passed on bears what we found when it came, sealed by the domain
//! that it came to. RFC 8617.
//!
//! A seal is a help for the next server, and no promise: what cannot be sealed leaves as it is, and
//! the trace says why.
//!
//! Not here: what is hashed (`relais_smtp::arc`), which domain seals (`relais_policy::signing`).

use std::sync::Arc;

use relais_net::dkim::{SigningKey, SigningKeyError};
use relais_policy::dkim::Key;
use relais_policy::signing::sealing;
use relais_smtp::arc::{Form, Sealing};
use relais_smtp::dkim::{BodyHash, Terms};
use relais_smtp::domain::Domain;
use relais_store::queue::Leased;

use crate::context::DeliverContext;
use crate::original::section_and_body;
use crate::sign::ReadyKeys;

/// What sealing came to.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    /// Fields with their line ends; empty: none.
    pub(crate) fields: String,
    /// What the trace says of it.
    pub(crate) note: Option<Arc<str>>,
}

/// Seals a message about to leave, if it is a stranger's.
pub(crate) async fn seal(context: &DeliverContext, keys: &ReadyKeys, leased: &Leased) -> Sealed {
    let facts = &leased.facts;
    let is_strangers = facts.inbound_connector.is_none() && !facts.is_notice;
    // A queue leads to one destination, so the first stands for all.
    let first = leased.recipients.first();
    let domain = first.and_then(|one| one.recipient.forward_path.domain());
    let (true, Some(recipient)) = (is_strangers, domain) else {
        return Sealed::default();
    };
    let settings = context.store.settings();
    let (domain, key) = match sealing(&settings, &facts.organisation, recipient) {
        Ok(found) => found,
        Err(because) if because.is_wanted() => return unsealed(&because.describe()),
        Err(_) => return Sealed::default(),
    };
    match with(context, keys, leased, &domain, key).await {
        Ok(sealed) => sealed,
        Err(because) => unsealed(&because),
    }
}

fn unsealed(because: &str) -> Sealed {
    Sealed {
        fields: String::new(),
        note: Some(format!("not sealed: {because}").into()),
    }
}

async fn with(
    context: &DeliverContext,
    keys: &ReadyKeys,
    leased: &Leased,
    domain: &Domain,
    key: &Key,
) -> Result<Sealed, String> {
    let organisation = &leased.facts.organisation;
    let ready = keys
        .of(&context.store, organisation, domain, &[key])
        .await?;
    let (_, private) = ready.first().ok_or("its key cannot be read")?;
    let (section, body) = section_and_body(&context.store, leased).await?;
    let sealing = Sealing::begin(&section, &context.options.hostname);
    let sealing = sealing.map_err(|because| because.to_string())?;
    let terms = Terms {
        domain,
        selector: &key.selector,
        algorithm: private.algorithm(),
        time: context.clock.now(),
    };
    let fields = set(&sealing, private, (&section, &body), &terms);
    Ok(Sealed {
        fields: fields.map_err(|error| error.to_string())?,
        note: Some(format!("sealed by {domain} ({sealing})").into()),
    })
}

fn set(
    sealing: &Sealing,
    key: &SigningKey,
    (section, body): (&[u8], &BodyHash),
    terms: &Terms<'_>,
) -> Result<String, SigningKeyError> {
    let form = Form::default();
    let signature = key.complete(sealing.message_signature(section, body, terms, &form))?;
    let seal = key.complete(sealing.seal(&signature, terms, &form))?;
    Ok(sealing.set(&seal, &signature))
}
