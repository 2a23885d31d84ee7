//! What is answered, within the caller's reach: lines of other organisations are left out, what is
//! another's is not there, and subjects are for those who may read them.

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};

use relais_policy::settings::{Mode, Settings};
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_store::queue::{Criteria, RecipientStateName};

use super::read;
use super::rules::{Rule, Whose};
use crate::context::{AdminContext, Caller};
use crate::permission::Action;
use crate::problem::Problem;

/// Largest answer that is looked at, in octets: a directory of 500,000 recipients has 60 MB.
const ANSWER_OCTETS_MAX: usize = 512 << 20;
/// Messages of an organisation that are counted.
const COUNTED_MAX: usize = 10_000;

/// The answer, as the caller may see it.
pub(super) async fn within_reach(
    context: &AdminContext,
    caller: &Caller,
    rule: &Rule,
    response: Response,
) -> Response {
    let sees_content = caller.rights.may(Action::ReadContent);
    let own = caller.rights.organisation().map(ToOwned::to_owned);
    if own.is_none() && sees_content {
        return response;
    }
    let form = response.headers().get(header::CONTENT_TYPE);
    let form = form.and_then(|form| form.to_str().ok()).unwrap_or_default();
    if form == "application/x-ndjson" {
        return stream(context.clone(), own, sees_content, rule.whose, response);
    }
    let is_problem = !response.status().is_success();
    if !is_problem && form != "application/json" {
        return response;
    }
    match rewrite(context, caller, rule, response).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn rewrite(
    context: &AdminContext,
    caller: &Caller,
    rule: &Rule,
    response: Response,
) -> Result<Response, Problem> {
    let (mut parts, body) = response.into_parts();
    let octets = read(body, ANSWER_OCTETS_MAX).await?;
    let mut value: Value = serde_json::from_slice(&octets).unwrap_or_default();
    if !caller.rights.may(Action::ReadContent) {
        without_subjects(&mut value);
    }
    if let Some(own) = caller.rights.organisation() {
        let told = Told {
            context,
            own,
            connector: caller.rights.connector(),
        };
        if parts.status.is_success() {
            told.keep(rule.whose, &mut value).await?;
        } else {
            told.hide_names(&mut value);
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(value.to_string())))
}

struct Told<'a> {
    context: &'a AdminContext,
    own: &'a str,
    connector: Option<&'a str>,
}

impl Told<'_> {
    async fn keep(&self, whose: Whose, value: &mut Value) -> Result<(), Problem> {
        let own = self.own;
        let is_own = |one: &Value| one["organisation"] == own;
        let settings = self.context.store.settings();
        match whose {
            Whose::Lines(list, field) => {
                retain(&mut value[list], |one| {
                    let is_connector = self.connector.is_none_or(|name| one["name"] == name);
                    one[field] == own && is_connector
                });
            }
            // A stranger may be anybody's where there is more than one organisation.
            Whose::Certificates => {
                let is_lan = settings.mode == Mode::Lan;
                retain(&mut value["certificates"], |one| {
                    is_own(one) || (is_lan && one["organisation"].is_null())
                });
            }
            Whose::Selected(list) => retain(&mut value[list], is_own),
            Whose::Trace => retain(&mut value["events"], is_own),
            Whose::Attempts => retain(&mut value["attempts"], |one| {
                own_attempt(&settings, own, one)
            }),
            Whose::Story => self.story(value)?,
            Whose::Report => value["queue"] = json!([]),
            Whose::Suspensions => {
                retain(&mut value["suspensions"], is_own);
                value["destinations"] = json!([]);
            }
            Whose::Entities => {
                retain(&mut value["restricted"], |one| {
                    let text = |key: &str| one[key].as_str().unwrap_or_default();
                    is_own_entity(&settings, own, text("kind"), text("value"))
                });
            }
            Whose::Simulation => {
                let whose = value["organisation"].as_str();
                if whose.is_some_and(|whose| whose != own) {
                    let detail = "Nothing of this organisation covers such a client.";
                    return Err(Problem::not_found(detail));
                }
            }
            Whose::Document => retain(&mut value["organisation"], |one| one["name"] == own),
            Whose::Status => self.status(value).await?,
            Whose::Installation
            | Whose::Nobody
            | Whose::Handler
            | Whose::Query
            | Whose::Dialogues
            | Whose::Body
            | Whose::Domain
            | Whose::Credential
            | Whose::Message
            | Whose::Live
            | Whose::LiveAttempts
            | Whose::Attempt
            | Whose::QueueAct
            | Whose::Conversation => {}
        }
        Ok(())
    }

    /// A message or a refusal belongs to whom its events name.
    fn story(&self, value: &mut Value) -> Result<(), Problem> {
        let own = self.own;
        retain(&mut value["events"], |one| one["organisation"] == own);
        let waits_for_us = value["in_queue"]["organisation"] == own;
        let has_events = value["events"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if !waits_for_us && !has_events {
            return Err(Problem::not_found("No such message or reference is known."));
        }
        if !waits_for_us && !value["in_queue"].is_null() {
            value["in_queue"] = Value::Null;
        }
        retain(&mut value["now"], |one| {
            let whose = one["decision"]["organisation"].as_str();
            whose.is_none_or(|whose| whose == own)
        });
        Ok(())
    }

    async fn status(&self, value: &mut Value) -> Result<(), Problem> {
        let (store, own) = (&self.context.store, self.own);
        let criteria = Criteria {
            organisation: Some(own.to_owned()),
            ..Criteria::default()
        };
        let messages = store.list(&criteria, None, COUNTED_MAX).await?;
        let recipients = messages.iter().flat_map(|one| &one.recipients);
        let states: Vec<_> = recipients.map(|one| one.state).collect();
        let count = |states_of: &[RecipientStateName]| {
            let found = states.iter().filter(|state| states_of.contains(state));
            found.count()
        };
        let oldest = messages.iter().map(|one| one.accepted_at).min();
        let now = self.context.clock.now();
        let settings = store.settings();
        let organisation = settings.organisation(own);
        let queued = [RecipientStateName::Queued, RecipientStateName::Active];
        value["queued"] = json!(count(&queued));
        value["deferred"] = json!(count(&[RecipientStateName::Deferred]));
        value["held"] = json!(count(&[RecipientStateName::Held]));
        value["oldest_age_s"] = json!(oldest.map(|oldest| now.since(oldest).as_secs()));
        value["organisations"] = json!(usize::from(organisation.is_some()));
        value["domains"] = json!(organisation.map_or(0, |one| one.domain.len()));
        let connectors = organisation.map_or(0, |one| one.inbound_connector.len());
        value["inbound_connectors"] = json!(connectors);
        // Where files are is the machine's.
        for certificate in value["certificates"].as_array_mut().into_iter().flatten() {
            certificate["file"] = Value::Null;
        }
        // Certificates of clients are of all organisations.
        value["client_certificates"] = json!([]);
        retain(&mut value["logins"], |one| one["organisation"] == own);
        Ok(())
    }

    /// Reasons may name what stands in the way, which may be another's.
    fn hide_names(&self, value: &mut Value) {
        let settings = self.context.store.settings();
        let foreign = settings.document.organisation.iter();
        let foreign = foreign.filter(|one| one.name != self.own);
        for one in foreign {
            hide(value, &one.name);
        }
    }
}

/// A name within the texts of an answer, as a word of its own.
fn hide(value: &mut Value, name: &str) {
    match value {
        Value::String(text) => {
            let is_part = |one: char| one.is_ascii_alphanumeric() || "-_@".contains(one);
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some(at) = rest.find(name) {
                let (before, after) = (&rest[..at], &rest[at + name.len()..]);
                let left = before
                    .chars()
                    .next_back()
                    .or_else(|| out.chars().next_back());
                // `fabrikam.test` is a domain that somebody typed, not the organisation's name.
                let mut next = after.chars();
                let follows = match next.next() {
                    Some('.') => next.next(),
                    one => one,
                };
                let is_left = left.is_none_or(|one| !is_part(one) && one != '.');
                let is_word = is_left && follows.is_none_or(|one| !is_part(one));
                out.push_str(before);
                out.push_str(if is_word {
                    "another organisation"
                } else {
                    name
                });
                rest = after;
            }
            out.push_str(rest);
            *text = out;
        }
        Value::Array(all) => all.iter_mut().for_each(|one| hide(one, name)),
        Value::Object(object) => object.values_mut().for_each(|one| hide(one, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn retain(list: &mut Value, keep: impl Fn(&Value) -> bool) {
    if let Some(all) = list.as_array_mut() {
        all.retain(|one| keep(one));
    }
}

fn without_subjects(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(without_subjects),
        Value::Object(object) => {
            if let Some(subject) = object.get_mut("subject") {
                *subject = Value::Null;
            }
            object.values_mut().for_each(without_subjects);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn own_attempt(settings: &Settings, own: &str, one: &Value) -> bool {
    let from = one["from"].as_str().unwrap_or_default();
    is_own_attempt(settings, own, one["organisation"].as_str(), from)
}

/// Of one of its connectors, or of a stranger who gave an address of one of its domains: the
/// device that nobody has registered yet.
pub(super) fn is_own_attempt(
    settings: &Settings,
    own: &str,
    whose: Option<&str>,
    from: &str,
) -> bool {
    match whose {
        Some(whose) => whose == own,
        None => is_own_address(settings, own, from),
    }
}

fn is_own_address(settings: &Settings, own: &str, address: &str) -> bool {
    let mailbox = Mailbox::parse(address).ok();
    let host = mailbox.map(|mailbox| mailbox.host().to_string());
    host.is_some_and(|host| is_own_domain(settings, own, &host))
}

/// Verified for it: anybody can write a name into their settings.
fn is_own_domain(settings: &Settings, own: &str, name: &str) -> bool {
    let Ok(wanted) = Domain::parse(name) else {
        return false;
    };
    let mut domains = settings.domains();
    domains.any(|(key, owned)| {
        *key.organisation == *own && key.domain == wanted && owned.state.is_in_force()
    })
}

/// Whether a restricted entity is something of this organisation alone.
pub(super) fn is_own_entity(settings: &Settings, own: &str, kind: &str, value: &str) -> bool {
    let owner = settings.organisation(own);
    let has = |name: &str| {
        let all = owner.map(|owner| owner.inbound_connector.as_slice());
        all.unwrap_or_default().iter().any(|one| one.name == name)
    };
    match kind {
        "connector" => match value.split_once('/') {
            Some((organisation, name)) => organisation == own && has(name),
            None => has(value),
        },
        "device" => {
            let named = value.rsplit_once('/').map(|(connector, _)| connector);
            named.is_some_and(|connector| match connector.split_once('/') {
                Some((organisation, name)) if organisation == own => has(name),
                _ => has(connector),
            })
        }
        "credential" => settings
            .credential(value)
            .is_some_and(|(found, _)| found.organisation.name == own),
        "organisation" => value == own,
        "domain" => is_own_domain(settings, own, value),
        "address" => is_own_address(settings, own, value),
        // An address of the net is everybody's.
        _ => false,
    }
}

/// Lines as they come; each is kept or left out.
fn stream(
    context: AdminContext,
    own: Option<String>,
    sees_content: bool,
    whose: Whose,
    response: Response,
) -> Response {
    let (parts, body) = response.into_parts();
    // Handlers send whole lines.
    let pieces = body.into_data_stream().filter_map(move |piece| {
        let kept = piece.map(|piece| {
            let text = String::from_utf8_lossy(&piece).into_owned();
            let lines = text
                .lines()
                .filter_map(|line| kept_line(&context, own.as_deref(), sees_content, whose, line));
            lines.fold(String::new(), |all, line| all + &line + "\n")
        });
        let kept = match kept {
            Ok(text) if text.is_empty() => None,
            Ok(text) => Some(Ok(Bytes::from(text))),
            Err(error) => Some(Err(error)),
        };
        std::future::ready(kept)
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}

fn kept_line(
    context: &AdminContext,
    own: Option<&str>,
    sees_content: bool,
    whose: Whose,
    line: &str,
) -> Option<String> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    if !sees_content {
        without_subjects(&mut value);
    }
    let is_kept = match (own, whose) {
        (None, _) => true,
        (Some(_), _) if value.get("missed").is_some() => true,
        (Some(own), Whose::LiveAttempts) => own_attempt(&context.store.settings(), own, &value),
        // A stranger's session may be anybody's where there is more than one organisation.
        (Some(_), Whose::Conversation) => {
            context.store.settings().mode == Mode::Lan || value["said"] != "stranger"
        }
        (Some(own), _) => value["organisation"] == own,
    };
    is_kept.then(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_hidden_as_words_only() {
        let mut value = json!({
            "detail": "10.0.0.0/8 is fabrikam's; fabrikam-2 and xfabrikam are not.",
            "reply": "550 5.7.1 Sender domain not verified: fabrikam.test, mail.fabrikam.",
            "errors": ["fabrikam", "contoso", "It is of fabrikam."],
        });
        hide(&mut value, "fabrikam");
        let shown = json!({
            "detail": "10.0.0.0/8 is another organisation's; fabrikam-2 and xfabrikam are not.",
            "reply": "550 5.7.1 Sender domain not verified: fabrikam.test, mail.fabrikam.",
            "errors": ["another organisation", "contoso", "It is of another organisation."],
        });
        assert_eq!(value, shown);
    }
}
