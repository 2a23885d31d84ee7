//! The third step: the domain that mail comes from. People paste an address for it, and mistype:
//! one that is not proved yet can be put in the place of another.

use axum::Json;
use axum::extract::{Extension, State};
use serde::Deserialize;
use serde_json::Value;

use relais_policy::document::{AcceptedDomain, Document, Organisation};
use relais_smtp::domain::Domain;

use super::super::settings::{Intent, change_with};
use super::{must, state};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    name: String,
    /// In the place of this one, which was mistyped; only where it is not proved.
    #[serde(default)]
    instead_of: String,
}

/// Adds it with its defaults; one that is there stays as it is.
pub(super) async fn save(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<Wanted>,
) -> Result<Json<Value>, Problem> {
    let name = read(&wanted.name)?;
    let make = |current: &Document| {
        must(current.organisation.first())?;
        must_be_unproved(&context, &wanted.instead_of)?;
        let mut document = current.clone();
        if let Some(owner) = document.organisation.first_mut() {
            put(owner, &name, &wanted.instead_of);
        }
        Ok(document)
    };
    change_with(&context, &caller, (Intent::Store, None), None, make).await?;
    Ok(Json(state(&context).await?))
}

fn must_be_unproved(context: &AdminContext, name: &str) -> Result<(), Problem> {
    let settings = context.store.settings();
    let is_proved = settings
        .domains()
        .any(|(key, owned)| key.domain.to_string() == name && owned.state.is_in_force());
    if is_proved {
        let detail = format!("{name} is verified and stays; add another domain beside it.");
        return Err(Problem::bad_request(detail));
    }
    Ok(())
}

fn put(owner: &mut Organisation, name: &Domain, instead_of: &str) {
    let place = |name: &Domain| {
        let mut domains = owner.domain.iter();
        domains.position(|one| Domain::parse(&one.name).as_ref() == Ok(name))
    };
    let old = Domain::parse(instead_of).ok().and_then(|old| place(&old));
    let made = AcceptedDomain::new(name.to_string());
    match (place(name), old) {
        (Some(same), Some(old)) if same != old => {
            owner.domain.remove(old);
        }
        (Some(_), _) => {}
        (None, Some(old)) => owner.domain.splice(old..=old, [made]).for_each(drop),
        (None, None) => owner.domain.push(made),
    }
}

/// What was typed or pasted: a domain, or an address in it.
fn read(typed: &str) -> Result<Domain, Problem> {
    let typed = typed.trim();
    let name = typed.rsplit_once('@').map_or(typed, |(_, domain)| domain);
    let wrong = |because: &str| {
        Problem::bad_request(format!(
            "\"{typed}\": {because}; write what stands behind the @, as contoso.com."
        ))
    };
    let domain = Domain::parse(name).map_err(|error| wrong(&error.to_string()))?;
    if !domain.to_string().contains('.') {
        return Err(wrong("a domain has a dot"));
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_for_a_domain_is_understood_or_told_how_to_write() {
        for typed in [
            "contoso.test",
            " Contoso.TEST ",
            "anna@contoso.test",
            "@contoso.test",
        ] {
            let read = read(typed).map(|domain| domain.to_string());
            assert_eq!(read.ok().as_deref(), Some("contoso.test"), "{typed}");
        }
        for typed in ["", "contoso", "https://contoso.test/", "contoso test"] {
            let problem = read(typed).expect_err(typed);
            let told = format!("{problem:?}");
            assert!(told.contains("as contoso.com"), "{told}");
        }
    }
}
