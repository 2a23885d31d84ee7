//! Sends reports by e-mail when they are due, through our own queue like every other message: as
//! text and HTML, with each table as a file.
//!
//! Each run has a Message-ID of its own, which the trace knows as soon as the message is accepted:
//! who died between that and its own note finds it there, and sends nothing twice. A run that was
//! missed is made up once, with what is true then.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_util::sync::CancellationToken;

use relais_policy::document::Organisation;
use relais_policy::retention::written_subject;
use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_policy::settings::Settings;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::dkim::BodyHasher;
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::time::Timestamp;
use relais_store::queue::{MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind, TRACE_LIMIT_MAX, To, TraceQuery, TraceTerm};

use crate::compose::{Attachment, Named, Parts, compose};
use crate::context::{AdminContext, Caller};
use crate::lang::Lang;
use crate::people::hexadecimal;
use crate::schedules::{self, Schedule};
use crate::web::{ReportTable, report_end, report_tables, report_title};

/// How often it is looked what is due.
const INTERVAL: Duration = Duration::from_secs(5);
/// What could not be sent is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(3_600);
/// Who it comes from where the postmaster's domain is not verified, beside the domain.
const LOCAL_PART: &str = "relais";

/// Until the end of the server.
pub(crate) async fn run(context: AdminContext, closing: CancellationToken) {
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            () = context.clock.sleep(INTERVAL) => round(&context).await,
        }
    }
}

/// Sends what is due.
pub async fn round(context: &AdminContext) {
    let all = match schedules::list(&context.store).await {
        Ok(all) => all,
        Err(error) => return tracing::warn!(%error, "reports that are due cannot be read"),
    };
    for listed in all {
        let now = context.clock.now();
        if listed.next > now.as_millis() {
            continue;
        }
        // Those before it took seconds, in which it may have been removed.
        let Ok(Some(mut schedule)) = schedules::get(&context.store, &listed.id).await else {
            continue;
        };
        let due = schedule.next;
        match send(context, &schedule, now).await {
            Ok(()) => {
                schedule.next = schedule.every.next_after(now).as_millis();
                schedule.sent = Some(now.as_millis());
                schedule.fault = None;
            }
            Err(because) => {
                tracing::warn!(report = schedule.id, because, "a report was not sent");
                schedule.next = now.after(AGAIN_AFTER).as_millis();
                schedule.fault = Some(because);
            }
        }
        if let Err(error) = schedules::settle(&context.store, due, &schedule, now).await {
            tracing::warn!(%error, "that a report was sent is not written down");
        }
    }
}

async fn send(context: &AdminContext, schedule: &Schedule, now: Timestamp) -> Result<(), String> {
    let message_id = schedule.message_id(&context.hostname);
    if is_sent(context, schedule, &message_id).await? {
        return Ok(());
    }
    let settings = context.store.settings();
    let owner = schedules::sender(&settings, &schedule.organisation);
    let owner = owner.map_err(|problem| problem.into_parts().1)?;
    let from =
        owner.and_then(|owner| Some((owner.name.as_str().into(), address(&settings, owner)?)));
    let (organisation, from) = from.ok_or("no domain is verified that it could come from")?;
    let lang = Lang::of(Some(&schedule.language), None);
    let organisation_asked = Some(schedule.organisation.as_str()).filter(|name| !name.is_empty());
    let caller = Caller::reporter(organisation_asked);
    let tables = report_tables(context, &caller, lang, schedule.every.since()).await?;
    let chosen = tables
        .into_iter()
        .filter(|table| schedule.reports.iter().any(|name| name == table.id));
    let tables: Vec<_> = chosen.collect();
    let letter = Letter {
        context,
        schedule,
        lang,
        from: &from,
        now,
    };
    let content = letter.content(&tables, &message_id)?;
    let message = message(context, &letter, &organisation, &content).await?;
    hand_in(&context.store, schedule, message).await
}

/// Hands it in, unless it was removed, asked for anew, or lost its organisation in the meantime:
/// making it took seconds. Until that is done nobody removes it.
async fn hand_in(store: &Store, schedule: &Schedule, message: NewMessage) -> Result<(), String> {
    let _turn = schedules::TURN.lock().await;
    let standing = schedules::get(store, &schedule.id).await;
    let standing = standing.map_err(|error| error.to_string())?;
    let is_wanted = standing.is_some_and(|one| one.next == schedule.next);
    let settings = store.settings();
    if !is_wanted || settings.organisation(&message.facts.organisation).is_none() {
        return Ok(());
    }
    let committed = store.commit(message).await;
    committed.map(|_| ()).map_err(|error| error.to_string())
}

/// A client can use that Message-ID before us: what we send has none, and says which report it is.
async fn is_sent(
    context: &AdminContext,
    schedule: &Schedule,
    message_id: &str,
) -> Result<bool, String> {
    let term = TraceTerm::new("message-id", message_id).map_err(|error| error.to_string())?;
    let query = TraceQuery {
        terms: vec![term],
        limit: TRACE_LIMIT_MAX,
        ..TraceQuery::default()
    };
    let rows = context.store.trace(&query).await;
    let rows = rows.map_err(|error| error.to_string())?;
    let detail = detail(schedule);
    let mut events = rows
        .iter()
        .filter_map(|row| Event::from_json(&row.json).ok());
    Ok(events.any(|event| {
        event.kind == EventKind::MessageAccepted
            && event.client.is_none()
            && event.detail.as_deref() == Some(&*detail)
    }))
}

/// What the trace says of ours.
fn detail(schedule: &Schedule) -> String {
    format!("report {}", schedule.id)
}

/// Its address there: the postmaster's, else one of ours.
fn address(settings: &Settings, owner: &Organisation) -> Option<Mailbox> {
    let is_own = |mailbox: &Mailbox| {
        let owned = mailbox
            .domain()
            .and_then(|domain| settings.verified_domain(domain));
        owned.is_some_and(|owned| owned.organisation.name == owner.name)
    };
    let postmaster = Mailbox::parse(&owner.postmaster).ok();
    let ours = owner
        .domain
        .iter()
        .filter_map(|domain| Mailbox::parse(&format!("{LOCAL_PART}@{}", domain.name)).ok());
    let mut possible = postmaster.into_iter().chain(ours);
    possible.find(is_own)
}

/// What is written.
struct Letter<'a> {
    context: &'a AdminContext,
    schedule: &'a Schedule,
    lang: Lang,
    from: &'a Mailbox,
    now: Timestamp,
}

#[derive(Template)]
#[template(path = "report_mail.html")]
struct Html<'a> {
    title: &'a str,
    code: &'a str,
    tables: &'a [ReportTable],
    end: &'a str,
}

impl Letter<'_> {
    fn subject(&self) -> String {
        let place = match self.schedule.organisation.as_str() {
            "" => self.context.hostname.as_str(),
            name => name,
        };
        report_title(self.lang, self.schedule.every, (place, &self.now.day()))
    }

    /// RFC 5322 §3.6; RFC 3834 §5.
    fn content(&self, tables: &[ReportTable], message_id: &str) -> Result<Vec<u8>, String> {
        let (subject, lang) = (self.subject(), self.lang);
        let end = report_end(lang, &self.context.hostname);
        let html = Html {
            title: &subject,
            code: lang.code(),
            tables,
            end: &end,
        };
        let html = html.render().map_err(|error| error.to_string())?;
        let named = |mailbox: Mailbox| Named {
            name: None,
            mailbox,
        };
        let to = self
            .schedule
            .to
            .iter()
            .filter_map(|to| Mailbox::parse(to).ok());
        let parts = Parts {
            from: Named {
                name: Some("Relais".to_owned()),
                mailbox: self.from.clone(),
            },
            reply_to: None,
            to: to.map(named).collect(),
            cc: Vec::new(),
            text: Some(text(&subject, tables, &end)),
            subject,
            html: Some(html),
            attachments: tables
                .iter()
                .filter(|one| !one.rows.is_empty())
                .map(file)
                .collect(),
        };
        let boundary = hexadecimal(&self.context.chance.octets::<16>());
        let body = compose(&parts, &boundary).map_err(|error| error.to_string())?;
        let mut content = format!(
            "Date: {}\r\nMessage-ID: <{message_id}>\r\nAuto-Submitted: auto-generated\r\n",
            self.now.to_rfc5322()
        )
        .into_bytes();
        content.extend_from_slice(&body);
        Ok(content)
    }
}

fn text(title: &str, tables: &[ReportTable], end: &str) -> String {
    let mut text = format!("{title}\n");
    for table in tables {
        text.push_str(&format!("\n{}\n{}\n", table.title, table.finding));
        let lines = std::iter::once(&table.head).chain(table.first_rows());
        for line in lines.filter(|_| !table.rows.is_empty()) {
            text.push_str(&format!("  {}\n", line.join(" | ")));
        }
    }
    text.push_str(&format!("\n-- \n{end}\n"));
    text
}

fn file(table: &ReportTable) -> Attachment {
    Attachment {
        name: format!("{}.csv", table.id),
        form: "text/csv".to_owned(),
        content: STANDARD.encode(table.csv()),
    }
}

async fn message(
    context: &AdminContext,
    letter: &Letter<'_>,
    organisation: &Arc<str>,
    octets: &[u8],
) -> Result<NewMessage, String> {
    let (store, now) = (&context.store, letter.now);
    let settings = store.settings();
    let header = octets.windows(4).position(|four| four == b"\r\n\r\n");
    let header = header.map_or(octets.len(), |end| end + 4);
    let mut hasher = BodyHasher::new();
    hasher.update(&octets[header..]);
    let mut writer = store.content_writer();
    writer
        .write(octets)
        .await
        .map_err(|error| error.to_string())?;
    let content = writer.finish().await.map_err(|error| error.to_string())?;
    let to = letter
        .schedule
        .to
        .iter()
        .filter_map(|to| Mailbox::parse(to).ok());
    let to: Vec<_> = to.collect();
    let is_ascii = octets.is_ascii();
    let facts = MessageFacts {
        queue_id: store.next_queue_id(now),
        organisation: Arc::clone(organisation),
        inbound_connector: None,
        client: None,
        reverse_path: ReversePath::Mailbox(letter.from.clone()),
        replaced: None,
        parameters: SenderParameters {
            smtp_utf8: !is_ascii || to.iter().any(|one| !one.is_ascii()),
            ..SenderParameters::default()
        },
        accepted_at: now,
        size: content.size(),
        eight_bit: !is_ascii,
        utf8_header: !octets[..header].is_ascii(),
        header_from: Some(letter.from.to_string().into()),
        subject: written_subject(
            &settings,
            (organisation, None),
            Some(letter.subject().into()),
        ),
        message_id: Some(letter.schedule.message_id(&context.hostname).into()),
        body_hash: Some(hasher.finish()),
        is_notice: true,
    };
    let accepted = accepted(&facts, &to, letter);
    Ok(NewMessage {
        recipients: recipients(&settings, &facts, &to),
        facts,
        content,
        events: vec![accepted],
    })
}

fn recipients(settings: &Settings, facts: &MessageFacts, to: &[Mailbox]) -> Vec<NewRecipient> {
    let (organisation, now) = (&facts.organisation, facts.accepted_at);
    let sender = facts.reverse_path.mailbox().and_then(Mailbox::domain);
    let source = RouteSource::of(settings, organisation, None, sender);
    let recipient = |to: &Mailbox| NewRecipient {
        recipient: EnvelopeRecipient::new(to.clone()),
        key: QueueKey {
            source: source.to_string().into(),
            ..QueueKey::new(Arc::clone(organisation), to.host().to_string())
        },
        due: now,
        expires_at: expires_at(
            &route(settings, organisation, to.host(), &source).retry,
            now,
        ),
        is_restricted: false,
        held: false,
    };
    to.iter().map(recipient).collect()
}

/// `message.accepted`: from here on it is owed like any other.
fn accepted(facts: &MessageFacts, to: &[Mailbox], letter: &Letter<'_>) -> Event {
    let to = to.iter().map(|to| to.to_string().into());
    Event {
        queue_id: Some(facts.queue_id),
        organisation: Some(Arc::clone(&facts.organisation)),
        from: facts.header_from.clone(),
        header_from: facts.header_from.clone(),
        to: Some(To::Many(to.collect())),
        subject: facts.subject.clone(),
        message_id: facts.message_id.clone(),
        size: Some(facts.size),
        detail: Some(detail(letter.schedule).into()),
        ..Event::new(facts.accepted_at, EventKind::MessageAccepted)
    }
}

#[cfg(test)]
mod tests {
    use relais_store::queue::Criteria;

    use super::*;
    use crate::proving::tests::World;
    use crate::schedules::Every;

    #[tokio::test(start_paused = true)]
    async fn a_report_that_was_removed_or_asked_for_anew_while_it_was_made_is_not_handed_in() {
        let world = World::new(&["contoso"]).await;
        let (context, store) = (&world.context, &world.context.store);
        let now = context.clock.now();
        let schedule = Schedule {
            id: "1".to_owned(),
            organisation: "contoso".to_owned(),
            reports: Vec::new(),
            every: Every::Day,
            to: vec!["b@example.org".to_owned()],
            language: "en".to_owned(),
            next: 10,
            sent: None,
            fault: None,
        };
        let from = Mailbox::parse("relais@contoso.test").expect("an address");
        let letter = Letter {
            context,
            schedule: &schedule,
            lang: Lang::of(Some("en"), None),
            from: &from,
            now,
        };
        let octets = letter.content(&[], "a@b").expect("a letter");
        let handed_in = async || {
            let made = message(context, &letter, &"contoso".into(), &octets).await;
            let made = hand_in(store, &schedule, made.expect("a message")).await;
            made.expect("the store");
            let queued = store.list(&Criteria::default(), None, 9).await;
            queued.expect("the queue").len()
        };
        let put = async |schedule: &Schedule| {
            let put = schedules::put(store, schedule, now, None).await;
            put.expect("the shelf");
        };
        assert_eq!(handed_in().await, 0, "it was removed");
        let anew = Schedule {
            next: 15,
            ..schedule.clone()
        };
        put(&anew).await;
        assert_eq!(handed_in().await, 0, "it was asked for anew");
        put(&schedule).await;
        assert_eq!(handed_in().await, 1);
    }
}
