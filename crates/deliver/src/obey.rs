//! What rules about replies demand beside their judgement: a site is left alone, a destination is
//! suspended, an egress address rests. Whatever takes a person's notice raises an alarm, once.

use std::sync::Arc;

use relais_net::clock::Moment;
use relais_policy::reply_rule::ReplyRule;
use relais_store::suspension::{Suspension, SuspensionScope};
use relais_store::trace::{Event, EventKind};

use crate::attempt::Attempt;
use crate::context::DeliverContext;
use crate::destination::Target;
use crate::site::Site;
use crate::sources::Sources;
use crate::work::Work;

/// Does what the rules say that fitted since this was done last; gives what waited at a site that
/// is left alone now, and until when.
pub(crate) async fn obey(
    context: &DeliverContext,
    sources: &Sources,
    site: &Site,
    attempt: &mut Attempt,
    target: &Target,
) -> Option<(Vec<Work>, Moment)> {
    let mut back: Option<(Vec<Work>, Moment)> = None;
    for rule in attempt.take_rules() {
        let now = context.clock.moment();
        let mut is_news = false;
        if let Some(span) = rule.rests_source()
            && let Some(source) = target.source
        {
            is_news |= sources.rest((source, site.number), now, now + span);
        }
        if rule.suspends().is_some() {
            is_news |= suspend(context, &rule, site, attempt).await;
        }
        if let Some(span) = rule.backs_off() {
            let (works, until) = site.leave_alone(now + span);
            let (all, latest) = back.get_or_insert((Vec::new(), until));
            all.extend(works);
            *latest = until.max(*latest);
        }
        if is_news {
            tell(context, &rule, attempt, target);
        }
    }
    back
}

/// `true`: it was not suspended before.
///
/// The words of one organisation's smart host concern nobody else.
async fn suspend(
    context: &DeliverContext,
    rule: &ReplyRule,
    site: &Site,
    attempt: &Attempt,
) -> bool {
    let destination = &attempt.leased.key.destination;
    let of = site.key.connector.as_ref();
    let scope = SuspensionScope {
        organisation: of.map(|(organisation, _)| Arc::clone(organisation)),
        destination: Some(Arc::clone(destination)),
    };
    let suspended = context.store.suspended().await.unwrap_or_default();
    if suspended.iter().any(|one| one.scope == scope) {
        return false;
    }
    let now = context.clock.now();
    let rule_name = format!("rule {}", rule.name);
    let suspension = Suspension {
        until: rule.suspends().map(|span| now.after(span)),
        reason: attempt
            .last_answer()
            .map_or_else(String::new, |answer| answer.to_string()),
        ..Suspension::new(scope, rule_name.as_str(), now)
    };
    match context.store.suspend(suspension).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, %destination, "a destination could not be suspended");
            false
        }
    }
}

fn tell(context: &DeliverContext, rule: &ReplyRule, attempt: &Attempt, target: &Target) {
    let answer = attempt.last_answer().unwrap_or_default();
    let from = target.source.map(|source| format!(" (to {source})"));
    let detail = format!(
        "{}; {} said{}: {answer}",
        rule.words(),
        target.hop,
        from.unwrap_or_default()
    );
    tracing::warn!("{detail}");
    let mut event = Event::new(context.clock.now(), EventKind::AlertRaised);
    event.organisation = Some(Arc::clone(&attempt.leased.key.organisation));
    event.next_hop = Some(Arc::clone(&target.hop));
    event.detail = Some(detail.into());
    context.store.record(event);
}
