//! What may change from this machine only: what names its files, and what says by hand what DNS
//! should prove. Whoever has a key of the API, or runs one organisation, may be elsewhere, and gets
//! no secret by leading it to a host of their own.

use axum::http::StatusCode;

use relais_net::login::{Kept, KeptName};
use relais_policy::document::{
    CLIENT_SECRET_EXPIRES, Document, Organisation, OutboundAuth, OutboundConnector, OutboundTls,
    Verification,
};
use relais_store::secret::SecretName;

use super::secrets::stored_name;
use crate::context::{AdminContext, Caller};
use crate::problem::Problem;

/// Whether the caller is held to this: whoever has no say over the whole machine.
pub(super) fn holds(caller: &Caller) -> bool {
    caller.via.door == "api" || caller.rights.organisation().is_some()
}

/// A problem where `after` has an assumed domain that `before` has not, or a connector that is led
/// elsewhere with a file of this machine.
pub(super) fn must_not_be_needed(before: &Document, after: &Document) -> Result<(), Problem> {
    let forbidden = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    for organisation in &after.organisation {
        let old = before.organisation.iter();
        let old = old.into_iter().find(|one| one.name == organisation.name);
        for domain in &organisation.domain {
            let was = old.and_then(|old| old.domain.iter().find(|one| one.name == domain.name));
            let was = was.map(|one| one.verification);
            let is_assumed = domain.verification == Verification::Assumed;
            if is_assumed && was != Some(Verification::Assumed) {
                return forbidden(format!(
                    "That {} is verified by hand is said on the server's machine only.",
                    domain.name
                ));
            }
        }
        for connector in &organisation.outbound_connector {
            let was = old.and_then(|old| named(old, &connector.name));
            let is_same = was.is_some_and(|was| {
                was.auth == connector.auth && Destination::of(was) == Destination::of(connector)
            });
            if names_a_file(&connector.auth) && !is_same {
                return forbidden(format!(
                    "Files with secrets are named, and led to other hosts, on the server's machine \
                     only ({}).",
                    connector.name
                ));
            }
        }
    }
    Ok(())
}

fn named<'a>(owner: &'a Organisation, name: &str) -> Option<&'a OutboundConnector> {
    owner.outbound_connector.iter().find(|one| one.name == name)
}

fn names_a_file(auth: &OutboundAuth) -> bool {
    let of_parameter = |(name, value): (&String, &String)| {
        matches!(
            name.as_str(),
            "certificate" | "private_key" | "client_secret_file"
        ) || value.starts_with("env:")
    };
    !auth.password_file.is_empty() || auth.parameters.iter().any(of_parameter)
}

/// Who is told the secrets of a connector: its hosts and what proves them, and the issuer of its
/// tokens.
#[derive(Eq, PartialEq)]
struct Destination<'a> {
    smart_hosts: &'a [String],
    tls: OutboundTls,
    tls_domain: &'a str,
    issuer: Vec<(&'a str, &'a str)>,
}

impl<'a> Destination<'a> {
    fn of(connector: &'a OutboundConnector) -> Self {
        let parameters = connector.auth.parameters.iter();
        let issuer = parameters.filter(|(name, _)| *name != CLIENT_SECRET_EXPIRES);
        Self {
            smart_hosts: &connector.smart_hosts,
            tls: connector.tls,
            tls_domain: &connector.tls_domain,
            issuer: issuer
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        }
    }
}

/// A problem where a connector would take a secret that is kept for it to other hosts, or to
/// another issuer: whoever leads it there must know the secret, and gives it with the change.
pub(super) async fn secrets_must_stay(
    context: &AdminContext,
    before: &Document,
    after: &Document,
    given: Option<&SecretName>,
) -> Result<(), Problem> {
    let mut led_elsewhere = Vec::new();
    for organisation in &after.organisation {
        let old = before.organisation.iter();
        let old = old.into_iter().find(|one| one.name == organisation.name);
        for connector in &organisation.outbound_connector {
            let was = old.and_then(|old| named(old, &connector.name));
            let is_same = was.is_some_and(|was| Destination::of(was) == Destination::of(connector));
            if !is_same {
                led_elsewhere.push((&organisation.name, &connector.name));
            }
        }
    }
    if led_elsewhere.is_empty() {
        return Ok(());
    }
    let kept = context.store.secrets().await?;
    for (organisation, connector) in led_elsewhere {
        for what in [Kept::Password, Kept::ClientSecret, Kept::RefreshToken] {
            let place = KeptName {
                organisation: organisation.as_str().into(),
                connector: connector.as_str().into(),
                what,
            };
            let name = stored_name(&place)?;
            let is_given = given == Some(&name);
            if !is_given && kept.iter().any(|entry| entry.name == name) {
                let detail = format!(
                    "{connector} would take the {name} that is kept for it to other hosts: give it \
                     anew in the same request, or forget it first on the server's machine (relais \
                     secret forget)."
                );
                return Err(Problem::new(StatusCode::FORBIDDEN, detail));
            }
        }
    }
    Ok(())
}
