//! What may change from this machine only: what names its files, and what says by hand what DNS
//! should prove. Whoever has a key of the API may be elsewhere.

use axum::http::StatusCode;

use relais_policy::document::{Document, OutboundAuth, Verification};

use crate::problem::Problem;

/// A problem where `after` has a file of this machine, or an assumed domain, that `before` has not.
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
            let was = old.and_then(|old| {
                let mut connectors = old.outbound_connector.iter();
                connectors.find(|one| one.name == connector.name)
            });
            let is_same = was.is_some_and(|was| was.auth == connector.auth);
            if names_a_file(&connector.auth) && !is_same {
                return forbidden(format!(
                    "Files with secrets are named on the server's machine only ({}).",
                    connector.name
                ));
            }
        }
    }
    Ok(())
}

fn names_a_file(auth: &OutboundAuth) -> bool {
    let of_parameter = |(name, value): (&String, &String)| {
        matches!(name.as_str(), "certificate" | "private_key") || value.starts_with("env:")
    };
    !auth.password_file.is_empty() || auth.parameters.iter().any(of_parameter)
}
