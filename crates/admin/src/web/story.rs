//! The story of one message or refusal: a verdict with its fix, what happened and how long each
//! step took, each recipient, TLS, rewriting and signatures, and what can be done about it.
//!
//! Not here: what the message itself says (`reading`).

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use relais_policy::adopt::no_client;
use relais_policy::alert::RuleKind;
use relais_policy::simulate::NO_REFERENCE;
use relais_smtp::time::Timestamp;
use relais_store::trace::{Event, EventKind, TlsSummary, To};

use super::ask::{Centre, Refused, address, list, quoted, segment, text};
use super::attributed::{self, Attributed};
use super::door::{Reader, SessionForm, Visit};
use super::fixes::{self, Fix};
use super::page::{self, Frame};
use super::trace::{Status, octets, recipients, status};
use crate::lang::Lang;
use crate::permission::Action;
use crate::phrasebook::told_detail;
use crate::plain::clean;
use crate::times;
use crate::words::{of_dialogue, sentence};

/// Steps of a story that are shown; more are in `relais why`.
const STEPS_MAX: usize = 500;
/// Recipients that are shown.
const RECIPIENTS_MAX: usize = 500;
/// How far before and behind something of the same client is related.
const RELATED: Duration = Duration::from_secs(600);

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/trace/{name}", get(detail))
        .route("/trace/{name}/content", post(content))
        .route("/trace/{name}/raw", post(raw))
}

#[derive(Template)]
#[template(path = "content.html")]
struct Content {
    frame: Frame,
    words: String,
    text: String,
    is_cut: bool,
    back: String,
}

/// Content that is kept after the last outcome; each look is written down.
async fn content(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let call = format!("/trace/{}/content", segment(&name));
    let answer = match centre.post(visit.caller(), &call, &json!({})).await {
        Ok(answer) => answer,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let lines = text(&answer, "text").lines().map(clean);
    let lines: Vec<_> = lines.collect();
    let until = times::full(visit.lang, answer["until"].as_str());
    let title = visit.lang.with("content-of", text(&answer, "queue_id"));
    page::send(&Content {
        words: visit.lang.with("content-kept", &until),
        text: lines.join("\n"),
        is_cut: answer["is_cut"] == true,
        back: format!("/trace/{}", segment(&name)),
        frame: Frame::new(&visit, "trace", &title).api(format!("POST /api/v1{call}")),
    })
}

/// The same as a file.
async fn raw(
    State(centre): State<Centre>,
    Path(name): Path<String>,
    SessionForm { visit, .. }: SessionForm,
) -> Response {
    let call = format!("/trace/{}/raw", segment(&name));
    match centre.take(visit.caller(), &call).await {
        Ok(file) => file,
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// That content of a message is kept, and until when, where this person may read it; else empty.
async fn kept(centre: &Centre, visit: &Visit, queue_id: &str) -> String {
    let Ok(queue_id) = queue_id.parse() else {
        return String::new();
    };
    if !visit.may(Action::ReadContent) {
        return String::new();
    }
    let context = &centre.context;
    let kept = context.store.kept(queue_id, context.clock.now()).await;
    let sees = |organisation: &str| visit.caller().rights.sees(organisation);
    match kept {
        Ok(Some(kept)) if sees(&kept.facts.organisation) => {
            let until = times::zoned(visit.lang, kept.until);
            visit.lang.with("content-kept", &until)
        }
        Ok(_) => String::new(),
        Err(error) => {
            tracing::warn!(%error, "content that is kept cannot be looked for");
            String::new()
        }
    }
}

#[derive(Template)]
#[template(path = "story.html")]
struct Story {
    frame: Frame,
    verdict: String,
    tone: &'static str,
    fix: Option<Fix>,
    facts: Vec<(String, String)>,
    attributed: Attributed,
    steps: Vec<Step>,
    recipients: Vec<Recipient>,
    related: Vec<(String, String)>,
    queue_id: String,
    /// The rule of alerts that watches for such, filled in from this one; empty: there is none.
    alert: String,
    waits: bool,
    /// The message is here, and this person may read of it.
    has_headers: bool,
    /// That its content is kept, and until when, where this person may read it; else empty.
    kept: String,
    /// The reference of a refusal.
    reference: String,
    /// It may be made a device of ours, and there is one organisation for it.
    can_adopt: bool,
    /// The fix leads there already.
    is_led_to_attempts: bool,
    /// The connector by which it came.
    connector: Option<(String, String)>,
    /// The whole address of this page.
    link: String,
    today: Vec<(String, String)>,
    dialogues: Vec<Words>,
    support: String,
}

/// One conversation.
struct Words {
    title: String,
    time: String,
    text: String,
}

/// One step.
struct Step {
    time: String,
    exact: String,
    words: String,
    /// Since the one before; empty for the first.
    after: String,
}

/// One recipient.
struct Recipient {
    to: String,
    status: Status,
    attempts: u64,
    next: String,
    reply: String,
    next_hop: String,
    tls: String,
}

/// A recipient that is still in the queue.
pub(super) struct Waiting {
    pub(super) to: String,
    pub(super) status: Status,
    pub(super) attempts: u64,
    pub(super) next: String,
    pub(super) reply: String,
}

/// One recipient of `relais queue show`.
pub(super) fn waiting(lang: Lang, recipient: &Value) -> Waiting {
    Waiting {
        to: clean(text(recipient, "to")).into_owned(),
        status: status(lang, text(recipient, "state")),
        attempts: recipient["attempts"].as_u64().unwrap_or(0),
        next: times::shown(lang, recipient["next_attempt"].as_str()),
        reply: clean(&told_detail(lang.0, text(recipient, "last_reply"))).into_owned(),
    }
}

async fn detail(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(name): Path<String>,
) -> Response {
    match story(&centre, &visit, &name).await {
        Ok(story) => page::send(&story),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn story(centre: &Centre, visit: &Visit, name: &str) -> Result<Story, Refused> {
    let lang = visit.lang;
    let path = format!("/why/{}", segment(name));
    let answer = centre.get(visit.caller(), &path, &[]).await?;
    let read = |value: &Value| Event::from_json(&value.to_string()).ok();
    let told = list(&answer, "events").iter().filter_map(read);
    let events: Vec<Event> = told.take(STEPS_MAX).collect();
    let in_queue = list(&answer["in_queue"], "recipients");
    let is_refusal = text(&answer, "kind") == "refusal";
    let queue_id = text(&answer, "queue_id").to_owned();
    let (verdict, tone) = verdict(lang, &events, in_queue);
    let settings = centre.settings(visit.caller());
    let has_organisations = settings.document.organisation.len() > 1;
    let fix = fixes::of(lang, &settings, &events);
    let title = if is_refusal {
        lang.with("story-refusal", &name.to_uppercase())
    } else {
        lang.with("story-message", &queue_id)
    };
    let said = format!("/why/{}/dialogues", segment(name));
    let said = centre.get(visit.caller(), &said, &[]).await?;
    let connection = connection(lang, list(&said, "dialogues"));
    let steps = steps(lang, connection, &events);
    Ok(Story {
        attributed: attributed::of(lang, &answer["attribution"], has_organisations),
        facts: facts(lang, centre, &events, list(&answer, "events")),
        support: support(&title, &verdict, fix.as_ref(), &events, lang),
        verdict,
        tone,
        steps,
        recipients: recipients_of(lang, &events, in_queue),
        related: related(lang, &events),
        dialogues: list(&said, "dialogues")
            .iter()
            .map(|one| words(lang, one))
            .collect(),
        alert: alert(visit, centre, &events, (is_refusal, tone)),
        waits: !in_queue.is_empty(),
        kept: kept(centre, visit, &queue_id).await,
        has_headers: !in_queue.is_empty() && visit.may(Action::ReadContent),
        queue_id,
        reference: if is_refusal {
            name.to_uppercase()
        } else {
            String::new()
        },
        is_led_to_attempts: fix
            .as_ref()
            .and_then(|fix| fix.link.as_ref())
            .is_some_and(|(_, address)| address == "/attempts"),
        fix,
        can_adopt: is_refusal && !has_organisations && can_adopt(&events),
        connector: events
            .iter()
            .find_map(|event| fixes::inbound(lang, &settings, event)),
        link: format!("{}/trace/{}", visit.origin, segment(name)),
        today: today(lang, list(&answer, "now")),
        frame: Frame::new(visit, "trace", &title)
            .api(format!("GET /api/v1/why/{}", segment(name)))
            .command(format!("relais why {}", quoted(name)))
            .done(done(visit)),
    })
}

/// What was refused was a client's, not a person's at the admin centre.
fn can_adopt(events: &[Event]) -> bool {
    let token = events.iter().find_map(|event| event.token.as_deref());
    let client = events.iter().find_map(|event| event.client.as_ref());
    let helo = client.and_then(|client| client.helo.as_deref());
    token.is_some_and(|token| no_client(token, helo).is_none())
}

/// A rule that watches for messages such as this one: filled in, to be added.
fn alert(
    visit: &Visit,
    centre: &Centre,
    events: &[Event],
    (is_refusal, tone): (bool, &str),
) -> String {
    let now = centre.context.clock.now();
    let settings = centre.settings(visit.caller());
    let has_organisations = settings.document.organisation.len() > 1;
    let Some(first) = events.first().filter(|_| visit.sees_installation()) else {
        return String::new();
    };
    // With this threshold somebody would have been told of this one.
    let waited = now.since(first.time).as_secs().max(1);
    let (kind, threshold) = match (is_refusal, tone) {
        (true, _) => (RuleKind::RefusedAttempts, 1),
        (false, "bad") => (RuleKind::FailureShare, 1),
        (false, "waiting") => (RuleKind::QueueAge, waited),
        (false, _) => return String::new(),
    };
    let to = match &first.to {
        Some(To::One(to)) => &**to,
        Some(To::Many(all)) => all.first().map(|to| &**to).unwrap_or_default(),
        None => "",
    };
    let domain = to.rsplit_once('@').map_or("", |(_, domain)| domain);
    let client = events.iter().find_map(|event| event.client.as_ref());
    let client = client.map(|client| client.address.to_canonical().to_string());
    let (from, client, to) = match kind {
        RuleKind::RefusedAttempts => ("", client.unwrap_or_default(), ""),
        RuleKind::QueueAge => ("", String::new(), domain),
        _ => (first.from.as_deref().unwrap_or_default(), String::new(), ""),
    };
    let organisation = first.organisation.as_deref().filter(|_| has_organisations);
    let query = [
        ("rule", kind.name()),
        ("threshold", &threshold.to_string()),
        ("organisation", organisation.unwrap_or_default()),
        (
            "connector",
            first.inbound_connector.as_deref().unwrap_or_default(),
        ),
        ("from", from),
        ("client", &client),
        ("to", to),
    ];
    format!("{}#new-rule", address("/alerts", &query))
}

/// One sentence on how it stands: of all recipients, the worst one in its own words.
fn verdict(lang: Lang, events: &[Event], in_queue: &[Value]) -> (String, &'static str) {
    let last: BTreeMap<&str, &Event> = events
        .iter()
        .filter_map(|event| match &event.to {
            Some(To::One(to)) if event.status().is_some() => Some((&**to, event)),
            _ => None,
        })
        .collect();
    let count = |wanted: &str| {
        let statuses = last.values().filter(|event| event.status() == Some(wanted));
        statuses.count() as u64
    };
    let rank = |event: &&&Event| match event.status() {
        Some("failed" | "expired" | "refused") => 3,
        Some("held" | "deferred") => 2,
        Some("discarded") => 1,
        _ => 0,
    };
    let worst = last.values().max_by_key(rank).copied();
    let Some(shown) = worst.or(events.last()) else {
        return (lang.t("story-only-queued"), "waiting");
    };
    let tone = match shown.status() {
        Some("failed" | "expired" | "refused") => "bad",
        Some("held" | "deferred") => "waiting",
        _ if in_queue.is_empty() => "good",
        _ => "waiting",
    };
    let words = sentence(shown, lang.0);
    if last.len() < 2 {
        return (words, tone);
    }
    let delivered = count("delivered");
    let summary = if delivered == last.len() as u64 {
        lang.n("story-all-delivered", delivered)
    } else {
        lang.fill(
            "story-partly",
            &[
                ("delivered", &lang.number(delivered)),
                ("all", &lang.number(last.len() as u64)),
            ],
        )
    };
    (format!("{summary} {words}"), tone)
}

/// What the client did before anything was known of its message, by the last line of the
/// conversation: `* connected 0 ms, encrypted 40 ms, accepted 310 ms`.
fn connection(lang: Lang, dialogues: &[Value]) -> Vec<(Timestamp, String)> {
    let told = dialogues.iter().find_map(|one| {
        let is_client = text(one, "with") == "client";
        let time = one["time"].as_str().and_then(Timestamp::parse_rfc3339)?;
        let line = list(one, "lines").last()?.as_str()?.strip_prefix("* ")?;
        is_client.then_some((time, line))
    });
    let Some((ended, line)) = told else {
        return Vec::new();
    };
    let step = |words: &str| {
        let (name, millis) = words.strip_suffix(" ms")?.rsplit_once(' ')?;
        Some((name.to_owned(), millis.parse::<u64>().ok()?))
    };
    let steps: Vec<_> = line.split(", ").map_while(step).collect();
    let total = steps.last().map_or(0, |(_, millis)| *millis);
    let words = steps.into_iter().filter_map(|(name, millis)| {
        let key = match &*name {
            "connected" => "story-connected",
            "encrypted" => "story-encrypted",
            "logged in" => "story-logged-in",
            // How it ended is an event.
            _ => return None,
        };
        let time = ended.before(Duration::from_millis(total.saturating_sub(millis)));
        Some((time, lang.t(key)))
    });
    words.collect()
}

fn steps(lang: Lang, connection: Vec<(Timestamp, String)>, events: &[Event]) -> Vec<Step> {
    let mut before: Option<Timestamp> = None;
    let mut steps = Vec::new();
    let told = events
        .iter()
        .map(|event| (event.time, sentence(event, lang.0)));
    for (time, words) in connection.into_iter().chain(told) {
        let after = before.map(|before| time.since(before));
        before = Some(time);
        let millis = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        steps.push(Step {
            time: times::of(lang, time),
            exact: time.to_rfc3339(),
            words,
            after: millis
                .map(|millis| format!("+{}", times::milliseconds(lang, millis)))
                .unwrap_or_default(),
        });
    }
    steps
}

/// Each recipient with what is known last; the queue knows it better than the trace.
fn recipients_of(lang: Lang, events: &[Event], in_queue: &[Value]) -> Vec<Recipient> {
    let mut all: BTreeMap<String, Recipient> = BTreeMap::new();
    for event in events {
        let (Some(To::One(to)), Some(word)) = (&event.to, event.status()) else {
            continue;
        };
        let next = event.next_attempt.map(|time| times::of(lang, time));
        let one = Recipient {
            to: clean(to).into_owned(),
            status: status(lang, word),
            attempts: event.attempts.unwrap_or(0).into(),
            next: next.unwrap_or_default(),
            reply: clean(&told_detail(
                lang.0,
                event.reply.as_deref().unwrap_or_default(),
            ))
            .into_owned(),
            next_hop: clean(event.next_hop.as_deref().unwrap_or_default()).into_owned(),
            tls: event
                .tls
                .as_deref()
                .map_or_else(String::new, |tls| tls_words(lang, tls)),
        };
        all.insert(to.to_string(), one);
    }
    for recipient in in_queue {
        let Waiting {
            to,
            status,
            attempts,
            next,
            reply,
        } = waiting(lang, recipient);
        let known = all.remove(text(recipient, "to"));
        let (next_hop, tls) = known.map(|it| (it.next_hop, it.tls)).unwrap_or_default();
        let one = Recipient {
            to,
            status,
            attempts,
            next,
            reply,
            next_hop,
            tls,
        };
        all.insert(text(recipient, "to").to_owned(), one);
    }
    all.into_values().take(RECIPIENTS_MAX).collect()
}

/// Version, cipher, and what of the other side's certificate was checked.
fn tls_words(lang: Lang, tls: &TlsSummary) -> String {
    let checked = match &*tls.verified {
        "no" => lang.t("tls-checked-no"),
        "chain" => lang.t("tls-checked-chain"),
        "name" => lang.t("tls-checked-name"),
        "sts" => "MTA-STS".to_owned(),
        "dane" => "DANE".to_owned(),
        other => other.to_owned(),
    };
    clean(&format!("{} {} ({checked})", tls.version, tls.cipher)).into_owned()
}

/// One conversation, line by line.
fn words(lang: Lang, dialogue: &Value) -> Words {
    let peer = clean(text(dialogue, "peer")).into_owned();
    let title = match text(dialogue, "with") {
        "client" => lang.with("story-with-client", &peer),
        _ => lang.with("story-with-hop", &peer),
    };
    let lines = list(dialogue, "lines").iter().filter_map(Value::as_str);
    let lines: Vec<_> = lines
        .map(|line| clean(&of_dialogue(lang.0, line)).into_owned())
        .collect();
    Words {
        title,
        time: times::shown(lang, dialogue["time"].as_str()),
        text: lines.join("\n"),
    }
}

/// Where more of the same is found.
fn related(lang: Lang, events: &[Event]) -> Vec<(String, String)> {
    let Some(first) = events.first() else {
        return Vec::new();
    };
    let (since, until) = (first.time.before(RELATED), first.time.after(RELATED));
    let (since, until) = (since.to_rfc3339(), until.to_rfc3339());
    let mut links = Vec::new();
    if let Some(client) = events.iter().find_map(|event| event.client.as_ref()) {
        let q = format!("client:{}", client.address);
        let query = [("q", &*q), ("since", &since), ("until", &until)];
        links.push((lang.t("story-same-client"), address("/trace", &query)));
    }
    let token = |name: &str, value: &str| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{name}:\"{value}\"")
    };
    let message_id = events.iter().find_map(|event| event.message_id.as_deref());
    if let Some(message_id) = message_id.filter(|id| !id.trim().is_empty()) {
        let q = token("message-id", message_id);
        let query = [("q", &*q), ("since", "90d")];
        links.push((lang.t("story-same-message-id"), address("/trace", &query)));
    }
    if let Some(from) = first.from.as_deref().filter(|from| !from.is_empty()) {
        let q = token("from", from);
        let query = [("q", &*q), ("since", "7d")];
        links.push((lang.t("story-same-sender"), address("/trace", &query)));
    }
    let subject = events.iter().find_map(|event| event.subject.as_deref());
    if let Some(subject) = subject.filter(|subject| !subject.trim().is_empty()) {
        let q = token("subject", subject.trim());
        let query = [("q", &*q), ("since", "7d")];
        links.push((lang.t("story-same-subject"), address("/trace", &query)));
    }
    if let Some(token) = events.iter().find_map(|event| event.token.as_deref()) {
        let q = format!("token:{token}");
        let query = [("q", &*q), ("since", "7d")];
        links.push((lang.t("story-same-reason"), address("/trace", &query)));
    }
    links
}

/// For a mail to the device's maker or the other side's postmaster: no content, no secret.
fn support(title: &str, verdict: &str, fix: Option<&Fix>, events: &[Event], lang: Lang) -> String {
    let mut text = format!("{title}\n{verdict}\n");
    if let Some(Fix { cause, fix, .. }) = fix {
        text.push_str(&format!("{cause}\n{fix}\n"));
    }
    text.push('\n');
    for event in events {
        let line = format!("{}  {}\n", event.time.to_rfc3339(), sentence(event, lang.0));
        text.push_str(&line);
        if let Some(tls) = &event.tls {
            text.push_str(&format!("    TLS {}\n", tls_words(lang, tls)));
        }
    }
    text
}

/// What was done to the queue, told on the page that one comes back to.
pub(super) fn done(visit: &Visit) -> String {
    let lang = visit.lang;
    let count = visit.query.get("count").parse().unwrap_or(0);
    match visit.query.get("done") {
        "retry" => lang.n("done-retry", count),
        "hold" => lang.n("done-hold", count),
        "release" => lang.n("done-release", count),
        "bounce" => lang.n("done-bounce", count),
        "delete" => lang.n("done-delete", count),
        _ if !visit.query.get("resent").is_empty() => {
            lang.with("resend-done", visit.query.get("resent"))
        }
        _ => String::new(),
    }
}

/// Of the first event that tells each.
fn facts(lang: Lang, centre: &Centre, events: &[Event], json: &[Value]) -> Vec<(String, String)> {
    let first = |read: fn(&Value) -> String| {
        let mut values = json.iter().map(read);
        values.find(|value| !value.is_empty())
    };
    let find = |read: fn(&Event) -> Option<String>| events.iter().find_map(read);
    let told = |read: fn(Lang, &Event) -> Option<String>| {
        let mut events = events.iter();
        events.find_map(|event| read(lang, event))
    };
    let size = events.iter().find_map(|event| event.size);
    let expires = events.last().map(|event| {
        let days = centre.context.store.trace_days();
        let kept = Duration::from_secs(u64::from(days) * 86_400);
        times::zoned(lang, event.time.after(kept))
    });
    let all = [
        ("column-from", first(|event| text(event, "from").to_owned())),
        ("fact-header-from", find(header_from)),
        ("fact-envelope-sender", find(rewritten)),
        ("column-to", first(|event| recipients(&event["to"]))),
        (
            "column-subject",
            find(|event| Some(event.subject.as_deref()?.to_owned())),
        ),
        (
            "column-client",
            find(|event| Some(event.client.as_ref()?.address.to_string())),
        ),
        (
            "fact-helo",
            find(|event| Some(event.client.as_ref()?.helo.as_deref()?.to_owned())),
        ),
        ("fact-credential", find(credential)),
        ("fact-certificate", find(certificate)),
        (
            "column-connector",
            find(|event| Some(event.inbound_connector.as_deref()?.to_owned())),
        ),
        (
            "fact-outbound",
            find(|event| Some(event.outbound_connector.as_deref()?.to_owned())),
        ),
        ("fact-tls-in", told(tls_in)),
        ("fact-tls-out", told(tls_out)),
        ("fact-repairs", find(repairs)),
        ("fact-signed-by", find(signed_by)),
        ("fact-noted", told(noted)),
        ("fact-message-id", find(message_id)),
        ("column-size", size.map(|size| octets(lang, Some(size)))),
        (
            "fact-settings",
            find(|event| event.settings_version.map(|one| one.to_string())),
        ),
        ("fact-expires", expires),
    ];
    let known = all.into_iter().filter_map(|(key, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((lang.t(key), clean(&value).into_owned()))
    });
    known.collect()
}

/// Only where it is another address than the sender.
fn header_from(event: &Event) -> Option<String> {
    let header_from = event.header_from.as_deref()?;
    (event.from.as_deref() != Some(header_from)).then(|| header_from.to_owned())
}

/// The sender before and after.
fn rewritten(event: &Event) -> Option<String> {
    let (from, given) = (event.from.as_deref()?, event.envelope_sender.as_deref()?);
    let given = if given.is_empty() { "<>" } else { given };
    Some(format!("{from} → {given}"))
}

fn message_id(event: &Event) -> Option<String> {
    Some(format!("<{}>", event.message_id.as_deref()?))
}

fn credential(event: &Event) -> Option<String> {
    Some(event.client.as_ref()?.credential.as_deref()?.to_owned())
}

fn certificate(event: &Event) -> Option<String> {
    Some(event.client.as_ref()?.certificate.as_deref()?.to_owned())
}

fn is_inbound(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::MessageAccepted | EventKind::AttemptRefused | EventKind::AuthFailed
    )
}

fn tls_in(lang: Lang, event: &Event) -> Option<String> {
    event
        .tls
        .as_deref()
        .filter(|_| is_inbound(event))
        .map(|tls| tls_words(lang, tls))
}

fn tls_out(lang: Lang, event: &Event) -> Option<String> {
    let is_out = event.next_hop.is_some();
    let tls = event.tls.as_deref().filter(|_| is_out);
    tls.map(|tls| tls_words(lang, tls))
}

fn repairs(event: &Event) -> Option<String> {
    (!event.repairs.is_empty()).then(|| event.repairs.join(", "))
}

fn signed_by(event: &Event) -> Option<String> {
    let domains: Vec<_> = event.signed_by.iter().map(AsRef::as_ref).collect();
    (!domains.is_empty()).then(|| domains.join(", "))
}

/// What the check of SPF, DKIM, DMARC and ARC found, and other notes of acceptance.
fn noted(lang: Lang, event: &Event) -> Option<String> {
    let is_accepted = event.kind == EventKind::MessageAccepted;
    let detail = event.detail.as_deref().filter(|_| is_accepted)?;
    Some(told_detail(lang.0, detail).into_owned())
}

/// What would be decided now: recipient, answer.
fn today(lang: Lang, decisions: &[Value]) -> Vec<(String, String)> {
    let told = decisions.iter().map(|one| {
        let decision = &one["decision"];
        let answer = match decision["reply"].as_str() {
            // Nothing is refused: there is nothing to be looked up.
            Some(reply) => clean(&reply.replace(&format!(" {NO_REFERENCE})"), ")")).into_owned(),
            None => lang.t("today-permit"),
        };
        (clean(text(one, "to")).into_owned(), answer)
    });
    told.collect()
}
