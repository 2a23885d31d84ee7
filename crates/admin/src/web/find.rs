//! The search box: leads to the page of what was typed, else to the trace.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use relais_smtp::domain::Domain;
use relais_smtp::identifier::{QueueId, Reference};

use super::ask::{Centre, address, segment};
use super::door::Reader;
use super::page;
use crate::permission::Action;

/// Longest search, in octets: beyond it nothing is found anyway.
const SEARCH_OCTETS_MAX: usize = 512;

pub(super) fn routes() -> Router<Centre> {
    Router::new().route("/search", get(search))
}

async fn search(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let typed = visit.query.get("q");
    if typed.is_empty() || typed.len() > SEARCH_OCTETS_MAX {
        return page::go("/trace");
    }
    let typed = reference_in(typed).unwrap_or(typed);
    let story = format!("/trace/{}", segment(typed));
    let why = format!("/why/{}", segment(typed));
    let is_name = typed.parse::<QueueId>().is_ok() || typed.parse::<Reference>().is_ok();
    if is_name && centre.get(visit.caller(), &why, &[]).await.is_ok() {
        return page::go(&story);
    }
    let settings = centre.settings(visit.caller());
    let rights = &visit.caller().rights;
    let seen = settings.document.organisation.iter();
    for owner in seen.filter(|owner| rights.sees(&owner.name) && visit.may(Action::ReadSettings)) {
        let owned = segment(&owner.name);
        let is_it = |name: &str| name.eq_ignore_ascii_case(typed);
        if let Some(one) = owner.inbound_connector.iter().find(|one| is_it(&one.name)) {
            let path = format!("/connectors/inbound/{owned}/{}", segment(&one.name));
            return page::go(&path);
        }
        if let Some(one) = owner.outbound_connector.iter().find(|one| is_it(&one.name)) {
            let path = format!("/connectors/outbound/{owned}/{}", segment(&one.name));
            return page::go(&path);
        }
    }
    if let Ok(domain) = Domain::parse(typed)
        && visit.may(Action::ReadSettings)
        && let Some((key, _)) = settings
            .domains()
            .find(|(key, _)| key.domain == domain && rights.sees(&key.organisation))
    {
        let path = format!("/domains/{}", segment(key.domain.as_str()));
        return page::go(&address(&path, &[("organisation", &key.organisation)]));
    }
    page::go(&address(
        "/trace",
        &[("q", &tokens(typed)), ("since", "90d")],
    ))
}

/// The reference in a reply that somebody pasted whole, as a device showed it: it ends with
/// `(TOKEN REFERENCE)`.
fn reference_in(typed: &str) -> Option<&str> {
    let (_, end) = typed.trim_end().strip_suffix(')')?.rsplit_once('(')?;
    let (token, reference) = end.split_once(' ')?;
    let is_token = |one: char| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '-';
    let is_one = token.chars().all(is_token) && reference.parse::<Reference>().is_ok();
    is_one.then_some(reference)
}

/// What was typed, as tokens of the trace.
fn tokens(typed: &str) -> String {
    if typed.parse::<std::net::IpAddr>().is_ok() {
        return format!("client:{typed}");
    }
    if is_code(typed) {
        return format!("code:{typed}");
    }
    // A Message-ID as it stands in a header, or an address with its brackets.
    let bare = typed.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    let bare = bare.filter(|it| it.contains('@') && !it.contains(char::is_whitespace));
    bare.unwrap_or(typed).to_owned()
}

/// `550`, `5.7.1`. RFC 5321 §4.2, RFC 3463 §2.
fn is_code(typed: &str) -> bool {
    let is_reply = typed.len() == 3 && typed.bytes().all(|one| one.is_ascii_digit());
    let mut parts = typed.split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|one| one.is_ascii_digit());
    let is_enhanced = matches!(parts.next(), Some("2" | "4" | "5"))
        && parts.clone().count() == 2
        && parts.all(is_number);
    (is_reply && typed.starts_with(['2', '4', '5'])) || is_enhanced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_a_device_showed_leads_to_its_reference() {
        let shown = "550 5.7.1 Sender domain not verified: contoso.com (FROM-DOMAIN 7F3K2)";
        assert_eq!(reference_in(shown), Some("7F3K2"));
        assert_eq!(reference_in("(SRC-UNKNOWN MAT6H) "), Some("MAT6H"));
        for other in [
            "",
            "7F3K2",
            "scan (2nd floor)",
            "(FROM-DOMAIN)",
            "(a 7F3K2)",
        ] {
            assert_eq!(reference_in(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_typed_becomes_the_token_that_finds_it() {
        for (typed, tokens_of_it) in [
            ("10.1.2.9", "client:10.1.2.9"),
            ("2001:db8::1", "client:2001:db8::1"),
            ("550", "code:550"),
            ("5.7.1", "code:5.7.1"),
            ("5.7", "5.7"),
            ("650", "650"),
            ("anna@contoso.test", "anna@contoso.test"),
            ("status:failed", "status:failed"),
            ("<20261130.1@scanner>", "20261130.1@scanner"),
            ("<b>", "<b>"),
        ] {
            assert_eq!(tokens(typed), tokens_of_it);
        }
    }
}
