//! May this credential log in from there? And where may anybody try?
//!
//! The password, proof or token was right before anything here is asked: whoever does not know it
//! learns nothing of source addresses, TLS levels or states. Not here: finding that out
//! (`relais-receive`); how often one may guess ([`crate::guessing`]).

use std::net::IpAddr;

use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::attribution::{Attribution, Facts};
use crate::document::{ConnectorState, Credential};
use crate::range::special_address;
use crate::settings::{OwnedConnector, Settings};
use crate::tls::TlsVersion;

/// Where AUTH may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoginPlace {
    /// There is nobody who could.
    Nowhere,
    /// Only after TLS.
    AfterTls,
    /// Here and now.
    Here,
}

/// Whether AUTH is offered to this client. In clear text only from a private address, and only if
/// its connector permits it; a client that no connector covers is offered it if some connector
/// that is found by credentials alone permits it, and [`may_log_in`] then looks at the very one.
pub fn login_place(
    settings: &Settings,
    attribution: &Attribution<'_>,
    facts: &Facts,
) -> LoginPlace {
    if !settings.has_credentials() {
        return LoginPlace::Nowhere;
    }
    if facts.tls.is_some() {
        return LoginPlace::Here;
    }
    let permits = match attribution.connector() {
        Some(found) => found.connector.cleartext_auth,
        None => is_private(facts.address) && settings.has_cleartext_auth_by_credential(),
    };
    if permits && is_private(facts.address) {
        LoginPlace::Here
    } else {
        LoginPlace::AfterTls
    }
}

/// Whether this credential, whose password was right, may log in; and why.
pub fn may_log_in(
    settings: &Settings,
    facts: &Facts,
    user: &str,
    now: Timestamp,
) -> Result<String, Refusal> {
    let Some((found, credential)) = settings.credential(user) else {
        return Err(Refusal::AuthBad);
    };
    if !credential.enabled || has_passed(&credential.expires, now) {
        return Err(Refusal::CredentialDisabled);
    }
    let sources = &credential.source_addresses;
    if !sources.is_empty()
        && !sources
            .iter()
            .any(|network| network.contains(&facts.address))
    {
        return Err(Refusal::AuthSource);
    }
    may_log_in_with(facts, &found, credential)?;
    match found.connector.state {
        ConnectorState::Draft | ConnectorState::Disabled => Err(Refusal::ConnectorDisabled),
        ConnectorState::Observing | ConnectorState::Enabled => Ok(format!(
            "credential {} of {}",
            credential.user, found.connector.name
        )),
    }
}

/// The level of encryption. Clear text that its connector permits is below every level but the
/// one that was set on purpose: 1.3.
fn may_log_in_with(
    facts: &Facts,
    found: &OwnedConnector<'_>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let Some(version) = facts.tls else {
        if !found.connector.cleartext_auth || !is_private(facts.address) {
            return Err(Refusal::AuthNeedsTls);
        }
        return if credential.tls_min == "1.3" {
            Err(Refusal::AuthTlsLevel)
        } else {
            Ok(())
        };
    };
    match TlsVersion::parse(&credential.tls_min) {
        Some(least) if version < least => Err(Refusal::AuthTlsLevel),
        Some(_) | None => Ok(()),
    }
}

/// Whether the password before the last rotation still counts.
pub fn previous_password_counts(credential: &Credential, now: Timestamp) -> bool {
    Timestamp::parse_rfc3339(&credential.previous_until).is_some_and(|until| now < until)
}

/// The credential that a token speaks for: of the names that the token proves, the first that is a
/// credential's user, or an address that exactly one credential lists under `may_send_as`. A user
/// named in AUTH must be one of these names, or that credential's user.
pub fn credential_of_token<'a>(
    settings: &'a Settings,
    names: &[&str],
    named: Option<&str>,
) -> Option<&'a Credential> {
    let found = names
        .iter()
        .find_map(|name| settings.credential_by_name(name))?;
    let is_named = named.is_none_or(|named| {
        named.eq_ignore_ascii_case(&found.user)
            || names.iter().any(|name| name.eq_ignore_ascii_case(named))
    });
    is_named.then_some(found)
}

fn has_passed(until: &str, now: Timestamp) -> bool {
    Timestamp::parse_rfc3339(until).is_some_and(|until| until <= now)
}

/// Private, loopback, or of the same link.
fn is_private(address: IpAddr) -> bool {
    matches!(
        special_address(address),
        Some("private" | "loopback" | "link-local")
    )
}
