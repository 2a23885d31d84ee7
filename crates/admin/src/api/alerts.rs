//! Alerts: what is raised, the rules, quiet hours, and the channels by which people hear of it.

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_net::web::hooks::check_address;
use relais_policy::alert::{QuietHours, Rule, RuleKind, Scope};
use relais_policy::settings::HostPort;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::shelf::ShelfAudit;

use crate::alerting::channels::{Note, Post};
use crate::alerting::sensors::WINDOW_SCOPED_MAX;
use crate::alerts::fitting::Fitting;
use crate::alerts::{CHANNELS_MAX, Channel, ChannelKind, Plan, SCOPED_RULES_MAX, words};
use crate::compose::Named;
use crate::context::{AdminContext, Caller};
use crate::people::hexadecimal;
use crate::problem::{Input, Problem};
use crate::words::Language;

/// Longest name of a channel, in octets.
const NAME_OCTETS_MAX: usize = 64;
/// Longest address of a channel, in octets.
const ADDRESS_OCTETS_MAX: usize = 2_048;
/// Longest value of a scope, in octets: an address at most.
const SCOPE_OCTETS_MAX: usize = 320;
/// Recipients of one channel of mail.
const RECIPIENTS_MAX: usize = 20;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/alerts", get(list))
        .route("/alerts/rules", post(set_rule))
        .route("/alerts/rules/remove", post(remove_rule))
        .route("/alerts/quiet", post(set_quiet))
        .route("/alerts/channels", post(add_channel))
        .route("/alerts/channels/{id}/test", post(test))
        .route("/alerts/channels/{id}/remove", post(remove))
}

async fn list(State(context): State<AdminContext>) -> Result<Json<Value>, Problem> {
    let plan = Plan::read(&context.store).await?;
    let state = context.duties.alerts.state();
    let raised = state.raised().map(|(kind, scope, subject, standing)| {
        let since = standing
            .raised
            .map(|at| Timestamp::from_millis(at).to_rfc3339());
        json!({
            "rule": kind.name(),
            "title": words::rule(kind, Language::English),
            "scope": scope.to_string(),
            "subject": subject,
            "value": standing.value,
            "shown": words::value(kind, standing.value, Language::English),
            "detail": standing.detail,
            "since": since,
        })
    });
    let raised: Vec<_> = raised.collect();
    let rules: Vec<_> = plan.rules.iter().map(rule_json).collect();
    let channels = plan.channels.iter().map(|one| channel_json(&context, one));
    let channels: Vec<_> = channels.collect();
    Ok(Json(json!({
        "raised": raised,
        "rules": rules,
        "quiet": plan.quiet.map(quiet_json),
        "channels": channels,
    })))
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "rule": rule.kind.name(),
        "title": words::rule(rule.kind, Language::English),
        "scope": rule.scope.to_string(),
        "scope_parts": rule.scope,
        "enabled": rule.enabled,
        "threshold": rule.threshold,
        "unit": rule.kind.unit(),
        "for_seconds": rule.for_seconds,
        "urgent": rule.urgent,
    })
}

fn quiet_json(quiet: QuietHours) -> Value {
    json!({ "from": time_of_day(quiet.from), "until": time_of_day(quiet.until) })
}

fn channel_json(context: &AdminContext, channel: &Channel) -> Value {
    let said = context.duties.alerts.said(&channel.id);
    json!({
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "host": channel.host,
        "to": channel.to,
        "enabled": channel.enabled,
        "allow_private": channel.allow_private,
        "language": channel.language,
        "told_at": said.as_ref().map(|said| said.at.to_rfc3339()),
        "fault": said.and_then(|said| said.fault),
        "owed": context.duties.alerts.owed(&channel.id),
    })
}

/// A rule for the audit: what it is, and what of it changes.
fn rule_lines(before: Option<&Rule>, after: Option<&Rule>) -> Vec<String> {
    let Some(rule) = after.or(before) else {
        return Vec::new();
    };
    let scope = match rule.scope.to_string() {
        scope if scope.is_empty() => scope,
        scope => format!(" {scope}"),
    };
    let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    let told = |rule: &Rule| {
        [
            rule.threshold.to_string(),
            rule.for_seconds.to_string(),
            yes(rule.urgent),
            yes(rule.enabled),
        ]
    };
    let none = || std::array::from_fn(|_| "none".to_owned());
    let [old, new] = [before, after].map(|rule| rule.map_or_else(none, told));
    let keys = ["threshold", "for_seconds", "urgent", "enabled"].iter();
    let sides = keys.zip(old.iter().zip(&new));
    let changed = sides.filter(|(_, (old, new))| old != new);
    let changed = changed.map(|(key, (old, new))| format!("{key} {old} -> {new}"));
    let name = format!("rule {}{scope}", rule.kind.name());
    std::iter::once(name).chain(changed).collect()
}

fn quiet_words(quiet: Option<QuietHours>) -> String {
    let Some(quiet) = quiet else {
        return "none".to_owned();
    };
    let [from, until] = [quiet.from, quiet.until].map(time_of_day);
    format!("{from} to {until} UTC")
}

fn time_of_day(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn audit(caller: &Caller, act: &'static str, detail: Vec<String>) -> ShelfAudit {
    ShelfAudit {
        actor: caller.actor.to_string(),
        via: caller.via,
        act,
        detail,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRule {
    rule: String,
    /// Of which mail; absent or empty: the rule for everything.
    #[serde(default)]
    scope: Scope,
    enabled: Option<bool>,
    threshold: Option<u64>,
    for_seconds: Option<u32>,
    urgent: Option<bool>,
}

/// Changes a rule; one for some mail only is made where there is none of that scope yet.
async fn set_rule(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<SetRule>,
) -> Result<Json<Value>, Problem> {
    let kind = kind_of(&wanted.rule)?;
    let scope = scope_of(kind, wanted.scope)?;
    let _alone = context.duties.alerts.alone().await;
    let mut plan = Plan::read(&context.store).await?;
    let known = plan.rules.iter().position(|rule| rule.is(kind, &scope));
    let scoped = plan.rules.iter().filter(|rule| !rule.scope.is_all());
    if known.is_none() && scoped.count() >= SCOPED_RULES_MAX {
        let detail = format!("There are {SCOPED_RULES_MAX} rules for some mail only already.");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let before = known.map(|place| plan.rules.remove(place));
    let mut rule = before.clone().unwrap_or_else(|| Rule {
        scope,
        ..Rule::of(kind)
    });
    rule.enabled = wanted.enabled.unwrap_or(rule.enabled);
    rule.threshold = wanted.threshold.unwrap_or(rule.threshold);
    rule.for_seconds = wanted.for_seconds.unwrap_or(rule.for_seconds);
    rule.urgent = wanted.urgent.unwrap_or(rule.urgent);
    if kind == RuleKind::RefusedAttempts
        && !rule.scope.is_all()
        && rule.threshold > WINDOW_SCOPED_MAX as u64
    {
        let detail = format!("Of some mail only, up to {WINDOW_SCOPED_MAX} attempts are counted.");
        return Err(Problem::bad_request(detail));
    }
    let detail = rule_lines(before.as_ref(), Some(&rule));
    let told = rule_json(&rule);
    plan.rules.insert(known.unwrap_or(plan.rules.len()), rule);
    let audit = audit(&caller, "alert.rule", detail);
    plan.keep(&context.store, audit, context.clock.now())
        .await?;
    Ok(Json(told))
}

fn kind_of(name: &str) -> Result<RuleKind, Problem> {
    RuleKind::parse(name).ok_or_else(|| {
        let names: Vec<_> = RuleKind::ALL.iter().map(|kind| kind.name()).collect();
        let detail = format!("\"{name}\" is no rule: {}.", names.join(", "));
        Problem::not_found(detail)
    })
}

/// A scope that can be read, and that this rule knows.
fn scope_of(kind: RuleKind, wanted: Scope) -> Result<Scope, Problem> {
    let scope = wanted.tidied();
    let known = kind.scope_parts();
    let foreign = scope.parts().find(|(part, _)| !known.contains(part));
    if let Some((part, _)) = foreign {
        let known: Vec<_> = known.iter().map(|part| part.name()).collect();
        let detail = match known.join(", ") {
            none if none.is_empty() => {
                format!(
                    "{} is not about messages: it has one rule for everything.",
                    kind.name()
                )
            }
            known => format!(
                "{} does not know {}, but {known}.",
                kind.name(),
                part.name()
            ),
        };
        return Err(Problem::bad_request(detail));
    }
    if scope
        .parts()
        .any(|(_, value)| value.len() > SCOPE_OCTETS_MAX)
    {
        let detail = format!("A value has at most {SCOPE_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    Fitting::of(&scope).map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(scope)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveRule {
    rule: String,
    scope: Scope,
}

/// Takes away a rule for some mail only; those for everything can be switched off.
async fn remove_rule(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<RemoveRule>,
) -> Result<Json<Value>, Problem> {
    let kind = kind_of(&wanted.rule)?;
    let scope = wanted.scope.tidied();
    if scope.is_all() {
        let detail = "A rule for everything stays; it can be switched off.";
        return Err(Problem::bad_request(detail));
    }
    let _alone = context.duties.alerts.alone().await;
    let mut plan = Plan::read(&context.store).await?;
    let place = plan.rules.iter().position(|rule| rule.is(kind, &scope));
    let Some(place) = place else {
        let detail = format!("There is no rule {} for {scope}.", kind.name());
        return Err(Problem::not_found(detail));
    };
    let gone = plan.rules.remove(place);
    let audit = audit(&caller, "alert.rule-removed", rule_lines(Some(&gone), None));
    plan.keep(&context.store, audit, context.clock.now())
        .await?;
    Ok(Json(
        json!({ "removed": kind.name(), "scope": scope.to_string() }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetQuiet {
    /// `22:00`, UTC; absent: no quiet hours.
    from: Option<String>,
    until: Option<String>,
}

async fn set_quiet(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<SetQuiet>,
) -> Result<Json<Value>, Problem> {
    let quiet = match (&wanted.from, &wanted.until) {
        (None, None) => None,
        (Some(from), Some(until)) => Some(QuietHours {
            from: read_time(from)?,
            until: read_time(until)?,
        }),
        _ => {
            return Err(Problem::bad_request(
                "Quiet hours have a beginning and an end.",
            ));
        }
    };
    let _alone = context.duties.alerts.alone().await;
    let mut plan = Plan::read(&context.store).await?;
    let [before, after] = [plan.quiet, quiet].map(quiet_words);
    let detail = format!("quiet hours {before} -> {after}");
    plan.quiet = quiet;
    let audit = audit(&caller, "alert.quiet", vec![detail]);
    plan.keep(&context.store, audit, context.clock.now())
        .await?;
    Ok(Json(json!({ "quiet": quiet.map(quiet_json) })))
}

/// Minutes of the day.
fn read_time(text: &str) -> Result<u16, Problem> {
    let no = || Problem::bad_request(format!("\"{text}\" is no time of the day: write 22:00."));
    let (hours, minutes) = text.trim().split_once(':').ok_or_else(no)?;
    let hours: u16 = hours.parse().map_err(|_| no())?;
    let minutes: u16 = minutes.parse().map_err(|_| no())?;
    if hours > 23 || minutes > 59 {
        return Err(no());
    }
    Ok(hours * 60 + minutes)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddChannel {
    name: String,
    kind: ChannelKind,
    /// An address of HTTP; of mail a server, `mail.example.org:25`.
    address: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    allow_private: bool,
    #[serde(default)]
    language: Option<String>,
}

async fn add_channel(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(wanted): Input<AddChannel>,
) -> Result<Json<Value>, Problem> {
    // What is in our own network is nobody's business who is elsewhere; a mail server often is.
    if caller.via.door == "api" && (wanted.allow_private || wanted.kind == ChannelKind::Mail) {
        let detail = "Channels into the server's own network are made on its machine only.";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let host = checked(&wanted)?;
    let _alone = context.duties.alerts.alone().await;
    let mut plan = Plan::read(&context.store).await?;
    if plan.channels.len() >= CHANNELS_MAX {
        let detail = format!("There are {CHANNELS_MAX} channels already.");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let channel = Channel {
        id: hexadecimal(&context.chance.octets::<5>()),
        name: wanted.name.trim().to_owned(),
        kind: wanted.kind,
        host,
        to: wanted.to,
        enabled: true,
        allow_private: wanted.allow_private,
        language: wanted.language.unwrap_or_else(|| "en".to_owned()),
    };
    let now = context.clock.now();
    let secret = Secret::new(wanted.address.into_bytes());
    let name = channel.secret_name();
    context.store.put_secret(&name, &secret, now, None).await?;
    let told = channel_json(&context, &channel);
    let detail = format!(
        "{} ({}): {}",
        channel.name,
        channel.kind.name(),
        channel.host
    );
    plan.channels.push(channel);
    let audit = audit(&caller, "alert.channel-added", vec![detail]);
    plan.keep(&context.store, audit, now).await?;
    Ok(Json(told))
}

/// The host that is shown.
fn checked(wanted: &AddChannel) -> Result<String, Problem> {
    let name = wanted.name.trim();
    if name.is_empty() || name.len() > NAME_OCTETS_MAX || name.chars().any(char::is_control) {
        let detail = format!("A channel's name has 1 to {NAME_OCTETS_MAX} octets.");
        return Err(Problem::bad_request(detail));
    }
    if !matches!(wanted.language.as_deref(), None | Some("en" | "fr")) {
        return Err(Problem::bad_request("The language is en or fr."));
    }
    if wanted.kind == ChannelKind::Mail {
        if wanted.to.is_empty() || wanted.to.len() > RECIPIENTS_MAX {
            let detail = format!("Name 1 to {RECIPIENTS_MAX} recipients.");
            return Err(Problem::bad_request(detail));
        }
        for address in &wanted.to {
            Named::parse(address)?;
        }
        let host = HostPort::parse(&wanted.address, 25);
        let host = host.map(|host| host.to_string());
        return host.ok_or_else(|| Problem::bad_request("Name a mail server: host or host:port."));
    }
    let is_good = check_address(&wanted.address, wanted.allow_private).is_ok();
    if !is_good || wanted.address.len() > ADDRESS_OCTETS_MAX || !wanted.to.is_empty() {
        let detail = "An address is https:// and a public host, without user and password; \
                      private ones, and http://, only where that is allowed for this channel.";
        return Err(Problem::bad_request(detail));
    }
    let rest = wanted
        .address
        .split_once("://")
        .map_or("", |(_, rest)| rest);
    Ok(rest
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .to_owned())
}

async fn remove(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let _alone = context.duties.alerts.alone().await;
    let mut plan = Plan::read(&context.store).await?;
    let at = plan.channels.iter().position(|channel| channel.id == id);
    let at = at.ok_or_else(|| no_channel(&id))?;
    let gone = plan.channels.remove(at);
    let now = context.clock.now();
    let audit = audit(&caller, "alert.channel-removed", vec![gone.name.clone()]);
    plan.keep(&context.store, audit, now).await?;
    context
        .store
        .forget_secret(&gone.secret_name(), now, None)
        .await?;
    Ok(Json(json!({ "removed": gone.id, "name": gone.name })))
}

fn no_channel(id: &str) -> Problem {
    Problem::not_found(format!("There is no channel {id}."))
}

/// Tells something now; what the channel said is the answer.
async fn test(
    State(context): State<AdminContext>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let plan = Plan::read(&context.store).await?;
    let channel = plan.channels.iter().find(|channel| channel.id == id);
    let channel = channel.ok_or_else(|| no_channel(&id))?;
    let Some(hooks) = &context.duties.hooks else {
        let detail = "Nothing is told without the running server.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let post = Post {
        context: &context,
        hooks,
        channel,
    };
    // Boxed: large, and rare.
    let sent = Box::pin(post.send(&Note::test(context.clock.now()))).await;
    Ok(Json(json!({ "ok": sent.is_ok(), "fault": sent.err() })))
}
