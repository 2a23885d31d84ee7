//! How the ways out stand: how much of its limits each outbound connector has used, how long its
//! sign-in is good, what went wrong last, and what became of mail day by day.
//!
//! Not here: counting (`relais-deliver`), looking at sign-ins (`relais_net::login`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::login::LoginStanding;
use relais_policy::document::{AuthMethod, OutboundConnector};
use relais_policy::pace;
use relais_smtp::time::Timestamp;
use relais_store::shelf::Shelf;
use relais_store::trace::tally::{Measure, Tally, TallyQuery};
use relais_store::trace::{Event, TraceQuery, TraceTerm};

use crate::context::AdminContext;
use crate::problem::{Parameters, Problem};

/// Days that are told.
const DAYS: u32 = 30;
const DAY: Duration = Duration::from_secs(86_400);
/// What went wrong longer ago is over.
const ERROR_AGE_MAX: Duration = Duration::from_secs(7 * 86_400);
const MINUTE: Duration = Duration::from_secs(60);
/// Events of the last minute that are read: paced connectors have far fewer.
const EVENTS_MAX: usize = 2_000;
/// Events among which the last error of a connector is looked for: an inbound one may have its
/// name.
const ERRORS_MAX: usize = 20;
/// Connectors whose events are read for one answer.
const CONNECTORS_MAX: usize = 200;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/connectors/outbound/standing", get(standing))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    organisation: Option<String>,
    /// This one only.
    name: Option<String>,
}

async fn standing(
    State(context): State<AdminContext>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Value>, Problem> {
    let (settings, now) = (context.store.settings(), context.clock.now());
    let paces = context.store.shelf(Shelf::Pace).await?;
    let paces: HashMap<_, _> = paces.into_iter().map(|one| (one.key, one.value)).collect();
    let logins = context.outbound.as_ref();
    let logins = logins.map_or_else(Vec::new, |outbound| outbound.logins_in_use(&settings));
    let is_meant = |given: &Option<String>, name: &str| given.as_ref().is_none_or(|it| it == name);
    let owners = settings.document.organisation.iter();
    let owners = owners.filter(|one| is_meant(&wanted.organisation, &one.name));
    let mut connectors = Vec::new();
    for owner in owners {
        let days = days(&context, &owner.name, now).await?;
        let found = owner.outbound_connector.iter();
        for one in found.filter(|one| is_meant(&wanted.name, &one.name)) {
            let whose = Whose {
                context: &context,
                organisation: &owner.name,
                connector: one,
                now,
            };
            let is_read = connectors.len() < CONNECTORS_MAX;
            let kept = paces.get(&format!("{} {}", owner.name, one.name));
            let login = logins
                .iter()
                .find(|login| *login.organisation == *owner.name && *login.connector == *one.name);
            connectors.push(json!({
                "organisation": owner.name,
                "name": one.name,
                "state": one.state,
                "limits": whose.limits(kept.map_or("", String::as_str), is_read).await?,
                "login": whose.login(login),
                "last_error": match is_read {
                    true => whose.last_error().await?,
                    false => Value::Null,
                },
                "days": whose.days(&days),
            }));
        }
    }
    Ok(Json(json!({ "connectors": connectors })))
}

/// One connector.
struct Whose<'a> {
    context: &'a AdminContext,
    organisation: &'a str,
    connector: &'a OutboundConnector,
    now: Timestamp,
}

impl Whose<'_> {
    /// Its limits with what of them is used; those of the provider, that pace the queue.
    async fn limits(&self, kept: &str, is_read: bool) -> Result<Vec<Value>, Problem> {
        let terms = &self.connector.pace;
        let mut limits = Vec::new();
        if let Some(value) = terms.messages_per_minute {
            let used = match is_read {
                true => Some(self.messages_of_the_last_minute().await?),
                false => None,
            };
            limits.push(json!({ "limit": "messages_per_minute", "value": value, "used": used }));
        }
        if let Some(value) = terms.recipients_per_day {
            let used = pace::sent(kept, self.now);
            limits.push(json!({ "limit": "recipients_per_day", "value": value, "used": used }));
        }
        for (name, value) in [
            ("connections", terms.connections),
            (
                "recipients_per_transaction",
                terms.recipients_per_transaction,
            ),
        ] {
            if let Some(value) = value {
                limits.push(json!({ "limit": name, "value": value, "used": null }));
            }
        }
        Ok(limits)
    }

    /// Its events that have these terms, since then, newest first.
    async fn events(
        &self,
        since: Timestamp,
        terms: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<Event>, Problem> {
        let own = [
            ("connector", self.connector.name.as_str()),
            ("organisation", self.organisation),
        ];
        let terms = own.iter().chain(terms);
        let terms = terms.map(|(field, value)| TraceTerm::new(field, value));
        let query = TraceQuery {
            since: Some(since),
            terms: terms.collect::<Result<_, _>>()?,
            limit,
            ..TraceQuery::default()
        };
        let rows = self.context.store.trace(&query).await?;
        let events = rows
            .iter()
            .filter_map(|row| Event::from_json(&row.json).ok());
        let name = self.connector.name.as_str();
        let is_own = |event: &Event| event.outbound_connector.as_deref() == Some(name);
        Ok(events.filter(is_own).collect())
    }

    async fn messages_of_the_last_minute(&self) -> Result<usize, Problem> {
        let since = self.now.before(MINUTE);
        let events = self.events(since, &[], EVENTS_MAX).await?;
        let tried = events.iter().filter(|event| event.status().is_some());
        let messages: HashSet<_> = tried.filter_map(|event| event.queue_id).collect();
        Ok(messages.len())
    }

    /// The last delivery that did not succeed; not whose, which is the trace's.
    async fn last_error(&self) -> Result<Value, Problem> {
        let since = self.now.before(ERROR_AGE_MAX);
        let mut last: Option<Event> = None;
        for status in ["failed", "deferred"] {
            let found = self
                .events(since, &[("status", status)], ERRORS_MAX)
                .await?;
            let newest = found.into_iter().next();
            if let Some(newest) = newest
                && last.as_ref().is_none_or(|known| known.time < newest.time)
            {
                last = Some(newest);
            }
        }
        let told = last.map(|event| {
            json!({
                "time": event.time.to_rfc3339(),
                "status": event.status(),
                "token": event.token.as_deref(),
                "reply": event.reply.as_deref(),
                "next_hop": event.next_hop.as_deref(),
            })
        });
        Ok(told.unwrap_or(Value::Null))
    }

    /// How its sign-in stands; null where it has none.
    fn login(&self, found: Option<&LoginStanding>) -> Value {
        if self.connector.auth.method == AuthMethod::None {
            return Value::Null;
        }
        let ends = found.and_then(|one| one.ends);
        json!({
            "method": self.connector.auth.method,
            "token_until": found.and_then(|one| one.token_until).map(Timestamp::to_rfc3339),
            "ends": ends.map(|(what, _)| what.words()),
            "not_after": ends.map(|(_, until)| until.to_rfc3339()),
            "days_left": ends.map(|(_, until)| until.since(self.now).as_secs() / DAY.as_secs()),
            "because": found.and_then(|one| one.fault.as_ref().or(one.warning.as_ref())),
        })
    }

    /// What became of its mail, each day of the last thirty, the oldest first.
    fn days(&self, tallies: &[Tally]) -> Vec<Value> {
        let own = tallies.iter();
        let own = own.filter(|one| *one.name == *self.connector.name);
        let mut days: BTreeMap<String, BTreeMap<&str, u64>> = (0..DAYS)
            .map(|ago| self.now.before(DAY * ago).day())
            .map(|day| (day, BTreeMap::new()))
            .collect();
        for one in own {
            if let Some(day) = days.get_mut(&one.time.day()) {
                *day.entry(one.outcome).or_default() += one.count;
            }
        }
        let row = |(day, counts): (String, BTreeMap<&str, u64>)| {
            let count = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
            json!({
                "day": day,
                "delivered": count("delivered"),
                "deferred": count("deferred"),
                "failed": count("failed") + count("expired"),
            })
        };
        days.into_iter().map(row).collect()
    }
}

/// What is counted of an organisation's routes, by the hour.
async fn days(
    context: &AdminContext,
    organisation: &str,
    now: Timestamp,
) -> Result<Vec<Tally>, Problem> {
    let query = TallyQuery {
        organisation: Some(Arc::from(organisation)),
        by_step: true,
        ..TallyQuery::new(Measure::Route, now.before(DAY * DAYS))
    };
    let told = context.store.tallies(vec![query]).await?;
    Ok(told.into_iter().next().unwrap_or_default())
}
