//! Accepting a message: from the first octet of content to the reply.
//!
//! ```text
//! content ─► header section complete? ─► examined (loop, From, repairs) ─► Received on top
//!                                                                            │
//!     250 ◄─ answer ◄─ Committed ◄─ store.commit ◄─ checked ◄─ streamed to the store
//! ```
//!
//! Streams content into the store, stamps `Received`, commits, and only then answers. Once we have
//! answered 250 the message is ours to deliver or to give notice of (RFC 5321 §4.2.5, §6.1); before
//! that nothing is promised, and whatever ends the session here leaves nothing behind. A message
//! that is refused on its header section is read to its end all the same (the size limit bounds
//! it), as the client listens only then.
//!
//! Not here: whether the client may relay (`relais_policy::permission`); what a good header section
//! is (`repair`); what the store is told beside the content (`arrival`); what happens next
//! (`relais-deliver`).

use std::sync::Arc;

use relais_net::clock::Moment;
use relais_policy::archive::Archive;
use relais_policy::authentication::Authentication;
use relais_policy::limit::{Admitted, RecipientKey};
use relais_policy::permission;
use relais_smtp::content::{ContentSummary, Preset, Repair};
use relais_smtp::dkim::{BodyHash, BodyHasher};
use relais_smtp::header::{
    FromField, HEADER_SECTION_OCTETS_MAX, HeaderSummary, MailboxLine, header_section_end,
    mailbox_line, read, without_results_of,
};
use relais_smtp::identifier::QueueId;
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    CommitError, Committed, Content, MessageFacts, NewMessage, NewRecipient,
};
use relais_store::store::{ContentWriter, why_held};
use relais_store::trace::{BAD_CONTENT, Event, EventKind};

use crate::archive;
use crate::arrival::{Arrival, Transaction};
use crate::checked::{Checked, Refused, check};
use crate::quotas;
use crate::repair::{Circumstances, Examined, examine};
use crate::shared::ReceiveContext;
use crate::stranger::{Checks, is_stranger};

/// The reply to the end of content. No other function of the workspace makes this 250.
fn answer(committed: Result<Committed, CommitError>) -> Result<Reply, Refusal> {
    match committed {
        Ok(proof) => Ok(Reply::accepted(proof.queue_id())),
        Err(error) => Err(refusal_of(&error)),
    }
}

/// The only place where a storage fault becomes a refusal: always temporary, never detailed.
pub(crate) fn refusal_of(error: &CommitError) -> Refusal {
    match error {
        CommitError::Sealed { .. } => Refusal::Local,
        CommitError::NoRoom => Refusal::NoRoom,
        CommitError::Closed => Refusal::ShuttingDown,
    }
}

/// A message whose content is being read.
pub(crate) struct Reception {
    queue_id: QueueId,
    began: Moment,
    stage: Stage,
    /// A line of a mailbox file stood before the header section and was left out.
    mailbox_line: bool,
}

enum Stage {
    /// The header section is not complete: held in memory, at most 256 KiB and one piece.
    Header(Vec<u8>),
    /// The rest goes straight to the store.
    Body(Box<Storing>),
    /// What still comes is dropped.
    Refused(NotAccepted),
}

/// Content on its way into the store.
struct Storing {
    writer: ContentWriter,
    /// Of the body, for signatures: hashed once, as it passes by.
    body: BodyHasher,
    noted: Noted,
    message_id: Option<Arc<str>>,
    utf8_header: bool,
    repairs: Vec<Repair>,
    /// For strangers' mail.
    checks: Option<Box<Checks>>,
}

impl Storing {
    /// A piece of the body as it came.
    fn hash(&mut self, piece: &[u8]) {
        self.body.update(piece);
        if let Some(checks) = &mut self.checks {
            checks.body(piece);
        }
    }

    /// Whether a recipient has a bound that this piece would pass. What comes before the first
    /// piece of the body is bounded by itself.
    fn is_too_long(&self, arrival: &Arrival<'_>, piece: &[u8]) -> bool {
        let size = self.writer.size().saturating_add(piece.len() as u64);
        let most = arrival.transaction.content_octets_max;
        most.is_some_and(|most| size > most)
    }
}

/// What the header section says, for events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    pub(crate) header_from: Option<Arc<str>>,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) detail: Option<Arc<str>>,
}

/// No: and what was known of the message.
pub(crate) struct NotAccepted {
    pub(crate) refusal: Refusal,
    pub(crate) noted: Noted,
}

impl Reception {
    /// Content begins: the message has its name from here on.
    pub(crate) fn begin(context: &ReceiveContext) -> Self {
        Self {
            queue_id: context.store.next_queue_id(context.clock.now()),
            began: context.clock.moment(),
            stage: Stage::Header(Vec::new()),
            mailbox_line: false,
        }
    }

    /// Takes a piece of content; `piece` is empty afterwards.
    pub(crate) async fn take(&mut self, arrival: &Arrival<'_>, piece: &mut Vec<u8>) {
        match &mut self.stage {
            Stage::Header(held) => {
                append(held, piece);
                self.look_for_header_end(arrival).await;
            }
            Stage::Body(storing) if storing.is_too_long(arrival, piece) => {
                let limit = arrival.transaction.content_octets_max.unwrap_or_default();
                let noted = std::mem::take(&mut storing.noted);
                let refusal = Refusal::TooBig { limit };
                self.stage = Stage::Refused(NotAccepted { refusal, noted });
            }
            Stage::Body(storing) => {
                storing.hash(piece);
                if let Err(error) = storing.writer.write(piece).await {
                    let noted = std::mem::take(&mut storing.noted);
                    self.stage = Stage::Refused(NotAccepted {
                        refusal: refusal_of(&error),
                        noted,
                    });
                }
            }
            Stage::Refused(_) => {}
        }
        piece.clear();
    }

    async fn look_for_header_end(&mut self, arrival: &Arrival<'_>) {
        let Stage::Header(held) = &mut self.stage else {
            return;
        };
        let too_long = held.len() > HEADER_SECTION_OCTETS_MAX;
        let mut end = header_section_end(held);
        if end == Some(0) && arrival.transaction.preset == Preset::Tolerant {
            match mailbox_line(held) {
                MailboxLine::Octets(line) => {
                    held.drain(..line);
                    self.mailbox_line = true;
                    end = header_section_end(held);
                }
                MailboxLine::Unknown if !too_long => return,
                MailboxLine::Unknown | MailboxLine::None => {}
            }
        }
        let end = match end {
            Some(end) => end,
            // `begin_storing` says so.
            None if too_long => held.len(),
            None => return,
        };
        let held = std::mem::take(held);
        self.stage = match self.begin_storing(arrival, &held, end).await {
            Ok(storing) => Stage::Body(Box::new(storing)),
            Err(no) => Stage::Refused(no),
        };
    }

    /// The header section is complete, up to `end`: judges it, stamps it, and begins to store.
    async fn begin_storing(
        &self,
        arrival: &Arrival<'_>,
        held: &[u8],
        end: usize,
    ) -> Result<Storing, NotAccepted> {
        let (section, body) = held.split_at(end);
        if section.len() > HEADER_SECTION_OCTETS_MAX {
            let (refusal, noted) = (Refusal::HeaderTooBig, Noted::default());
            return Err(NotAccepted { refusal, noted });
        }
        let summary = read(section);
        let mut noted = Noted::of(&summary);
        noted.subject = arrival.written_subject(noted.subject);
        let checks = Checks::begin(arrival, section, &summary);
        let examined = match self.judge(arrival, section, body, summary) {
            Ok(examined) => examined,
            Err(refusal) => return Err(NotAccepted { refusal, noted }),
        };
        noted.add(&examined, arrival.transaction);
        let hostname = &arrival.context.options.hostname;
        let cleaned = is_stranger(arrival)
            .then(|| without_results_of(&examined.section, hostname))
            .flatten();
        let mut head = Vec::with_capacity(512 + examined.added.len());
        arrival.received(self.queue_id).write_to(&mut head);
        head.extend_from_slice(examined.added.as_bytes());
        // Content without a header section would otherwise continue our Received field.
        let is_bare = end == 0 && !body.is_empty();
        let mut repairs = examined.repairs;
        repairs.extend(self.mailbox_line.then_some(Repair::MailboxLine));
        repairs.extend(cleaned.is_some().then_some(Repair::ForgedResults));
        let separator: &[u8] = if is_bare { b"\r\n" } else { b"" };
        let mut storing = Storing {
            writer: arrival.context.store.content_writer(),
            body: BodyHasher::new(),
            noted,
            message_id: examined.summary.message_id.as_deref().map(Into::into),
            utf8_header: !examined.section.is_ascii() || !examined.added.is_ascii(),
            repairs,
            checks,
        };
        storing.hash(body);
        let section = cleaned.as_deref().unwrap_or(&examined.section);
        for piece in [&head[..], section, separator, body] {
            if let Err(error) = storing.writer.write(piece).await {
                return Err(NotAccepted {
                    refusal: refusal_of(&error),
                    noted: storing.noted,
                });
            }
        }
        Ok(storing)
    }

    fn judge<'a>(
        &self,
        arrival: &Arrival<'_>,
        section: &'a [u8],
        body: &[u8],
        summary: HeaderSummary,
    ) -> Result<Examined<'a>, Refusal> {
        let (client, reverse_path) = (arrival.client, &arrival.transaction.reverse_path);
        let circumstances = Circumstances {
            preset: arrival.transaction.preset,
            standing: client.standing,
            reverse_path,
            queue_id: self.queue_id,
            hostname: &arrival.context.options.hostname,
            now: arrival.context.clock.now(),
            body,
        };
        let attribution = client.attribution(arrival.identity);
        examine(section, summary, &circumstances, |from| {
            permission::header_from(
                &client.settings,
                &attribution,
                arrival.identity.facts(),
                reverse_path,
                from,
            )
        })
    }

    /// All content is here: makes the message durable, and answers.
    pub(crate) async fn finish(
        mut self,
        arrival: &Arrival<'_>,
        mut rest: Vec<u8>,
        summary: ContentSummary,
    ) -> Result<Reply, NotAccepted> {
        self.take(arrival, &mut rest).await;
        drop(rest);
        let (queue_id, began) = (self.queue_id, self.began);
        let storing = match std::mem::replace(&mut self.stage, Stage::Header(Vec::new())) {
            Stage::Body(storing) => *storing,
            Stage::Refused(no) => return Err(no),
            // No empty line anywhere: all of it is header section, or none of it.
            Stage::Header(held) => {
                let end = header_section_end(&held).unwrap_or(held.len());
                self.begin_storing(arrival, &held, end).await?
            }
        };
        let mut noted = storing.noted.clone();
        let mut complete = match Complete::of(storing, arrival).await {
            Ok(complete) => complete,
            Err(refusal) => return Err(NotAccepted { refusal, noted }),
        };
        match check(arrival, queue_id, &complete.content).await {
            Ok(checked) => complete.checked = checked,
            Err(refused) => {
                let Refused { refusal, words } = *refused;
                noted.detail = Some(words);
                return Err(NotAccepted { refusal, noted });
            }
        }
        let now = arrival.context.clock.now();
        let admission = match admit(arrival, now).await {
            Ok(admission) => admission,
            Err(refusal) => return Err(NotAccepted { refusal, noted }),
        };
        let message = Named { queue_id, began };
        let committed = commit(arrival, message, complete, summary, &admission).await;
        if committed.is_err()
            && let Some(admitted) = &admission.admitted
        {
            arrival.counts.book().take_back(admitted);
        }
        answer(committed).map_err(|refusal| NotAccepted { refusal, noted })
    }
}

/// Seats, copy and limits of a message that is complete.
async fn admit(arrival: &Arrival<'_>, now: Timestamp) -> Result<Admission, Refusal> {
    let archive = archive::of(arrival).await?;
    let told = arrival.seats(now)?;
    let admitted = count(arrival, &archive, now)?;
    Ok(Admission {
        now,
        archive,
        admitted,
        told,
    })
}

/// Counts a client's message; `None`: it is nobody's.
fn count(
    arrival: &Arrival<'_>,
    archive: &Archive,
    now: Timestamp,
) -> Result<Option<Admitted>, Refusal> {
    let Transaction {
        organisation: Some(organisation),
        inbound_connector: Some(_),
        counting,
        ..
    } = arrival.transaction
    else {
        return Ok(None);
    };
    let copy = match archive {
        Archive::To(mailbox) => Some(RecipientKey::of(mailbox)),
        Archive::Nobody | Archive::Withheld { .. } => None,
    };
    let admitted = counting.admit(arrival.counts, organisation, copy, now);
    admitted.map(Some)
}

/// When and how a message was let in.
struct Admission {
    /// The time of its acceptance: the one at which limits counted it, by which it is found in the
    /// trace again.
    now: Timestamp,
    /// Who gets a copy.
    archive: Archive,
    /// What limits counted.
    admitted: Option<Admitted>,
    /// What a person should hear about seats.
    told: Vec<Event>,
}

/// A message's name, and since when it is ours.
struct Named {
    queue_id: QueueId,
    began: Moment,
}

/// All of a message.
struct Complete {
    content: Content,
    noted: Noted,
    message_id: Option<Arc<str>>,
    utf8_header: bool,
    repairs: Vec<Repair>,
    hash: BodyHash,
    /// Of strangers' mail.
    authentication: Option<Authentication>,
    checked: Checked,
}

impl Complete {
    /// With its authentication, or the refusal that follows from it.
    async fn of(mut storing: Storing, arrival: &Arrival<'_>) -> Result<Self, Refusal> {
        let hash = storing.body.finish();
        let authentication = match storing.checks.take() {
            // Boxed: large, and for strangers' mail only.
            Some(checks) => Some(Box::pin(checks.finish(arrival, &hash)).await?),
            None => None,
        };
        let content = storing.writer.finish().await;
        Ok(Self {
            content: content.map_err(|error| refusal_of(&error))?,
            noted: storing.noted,
            message_id: storing.message_id,
            utf8_header: storing.utf8_header,
            repairs: storing.repairs,
            hash,
            authentication,
            checked: Checked::default(),
        })
    }

    /// What is known only when all of it is here goes on top: what it proves of its origin, what
    /// checkers say.
    async fn put_on_top(&mut self, context: &ReceiveContext) -> Result<(), CommitError> {
        let mut front = String::new();
        if let Some(authentication) = &self.authentication {
            front.push_str(&authentication.field(&context.options.hostname));
        }
        front.push_str(&self.checked.fields);
        if front.is_empty() {
            return Ok(());
        }
        let copied = context.store.copy_behind(front.as_bytes(), &self.content);
        (self.content, _) = copied.await?;
        Ok(())
    }

    /// What the trace says of it beside its facts.
    fn detail(&self, admitted: Option<&Admitted>, archive: &Archive) -> Option<Arc<str>> {
        let words = self.authentication.as_ref().map(Authentication::words);
        let first = match &words {
            Some(words) => Some(words.as_str()),
            None => self.noted.detail.as_deref(),
        };
        let checked = Some(&*self.checked.words).filter(|words| !words.is_empty());
        let because = admitted.and_then(quotas::because);
        let copy = archive.words();
        let parts = [first, checked, because.as_deref(), copy.as_deref()];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; ").into())
    }
}

/// Envelope, content and events, in one transaction of the store.
async fn commit(
    arrival: &Arrival<'_>,
    Named { queue_id, began }: Named,
    mut complete: Complete,
    summary: ContentSummary,
    admission: &Admission,
) -> Result<Committed, CommitError> {
    let context = arrival.context;
    complete.put_on_top(context).await?;
    let accepted_at = admission.now;
    let admitted = admission.admitted.as_ref();
    let facts = MessageFacts {
        queue_id,
        organisation: arrival.organisation(),
        inbound_connector: arrival.transaction.inbound_connector.clone(),
        client: Some(Arc::clone(arrival.identity.client())),
        reverse_path: arrival.transaction.reverse_path.clone(),
        replaced: arrival.transaction.replaced.clone(),
        parameters: arrival.envelope.parameters.clone(),
        accepted_at,
        size: complete.content.size(),
        eight_bit: summary.eight_bit,
        utf8_header: complete.utf8_header,
        header_from: complete.noted.header_from.clone(),
        subject: complete.noted.subject.clone(),
        message_id: complete.message_id.clone(),
        body_hash: Some(complete.hash),
        is_notice: false,
    };
    let duration = context.clock.moment().duration_since(began);
    let mut accepted = Event::new(accepted_at, EventKind::MessageAccepted);
    accepted.duration_ms = u64::try_from(duration.as_millis()).ok();
    accepted.detail = complete.detail(admitted, &admission.archive);
    accepted.token = complete.checked.is_bad.then(|| BAD_CONTENT.into());
    accepted.repairs = arrival.repairs(&complete.repairs, summary);
    let held = complete.checked.held.as_deref();
    let everybody = arrival.everybody(&admission.archive);
    let mut events = arrival.events(&facts, &everybody, accepted, held);
    events.extend(admitted.into_iter().flat_map(quotas::events));
    events.extend(admission.told.clone());
    // Heard first: the message with which it is too much waits too.
    if let Some(accepted) = events.first() {
        arrival.guarding.accepted(&context.store, accepted).await;
    }
    let due = admitted.map_or(accepted_at, |admitted| admitted.due);
    let accepted_for = &facts.organisation;
    let is_held = held.is_some();
    let mut recipients = arrival.recipients(&everybody, accepted_for, accepted_at, due, is_held);
    events.extend(hold_restricted(arrival, &facts, &mut recipients));
    context
        .store
        .commit(NewMessage {
            facts,
            recipients,
            content: complete.content,
            events,
        })
        .await
}

/// Recipients that are not to get it for now enter the queue held; the events that say so.
fn hold_restricted(
    arrival: &Arrival<'_>,
    facts: &MessageFacts,
    recipients: &mut [NewRecipient],
) -> Vec<Event> {
    let (store, mut held) = (&arrival.context.store, Vec::new());
    let now = arrival.context.clock.steady_now();
    for one in recipients {
        let to = &one.recipient;
        if let Some(found) = store.restriction_of(facts, &to.forward_path, now) {
            one.is_restricted = true;
            let octets = if held.is_empty() { facts.size } else { 0 };
            arrival.guarding.took(&found, octets);
            held.push(facts.held_event(to, why_held(&found), facts.accepted_at));
        }
    }
    held
}

impl Noted {
    fn of(summary: &HeaderSummary) -> Self {
        let header_from = match &summary.from {
            FromField::Addresses(addresses) => addresses.first(),
            FromField::Missing | FromField::Unreadable => None,
        };
        Self {
            header_from: header_from.map(|mailbox| mailbox.to_string().into()),
            subject: summary.subject.as_deref().map(Into::into),
            detail: None,
        }
    }

    /// What changed by repair, before and after, and what was let pass with a flag.
    fn add(&mut self, examined: &Examined<'_>, transaction: &Transaction) {
        let mut words = Vec::new();
        if let Some(given) = &transaction.replaced {
            words.push(format!("sender {given} → {}", transaction.from));
        }
        if examined.repairs.contains(&Repair::From) {
            let before = self.header_from.take();
            self.header_from = Self::of(&examined.summary).header_from;
            if let (Some(before), Some(after)) = (before, &self.header_from) {
                words.push(format!("header From {before} → {after}"));
            }
        }
        if let Some(domain) = &examined.flagged {
            words.push(format!("header From not verified: {domain}"));
        }
        self.detail = (!words.is_empty()).then(|| words.join("; ").into());
    }
}

/// Takes over a whole piece without copying where nothing was held before.
fn append(held: &mut Vec<u8>, piece: &mut Vec<u8>) {
    if held.is_empty() {
        *held = std::mem::take(piece);
    } else {
        held.append(piece);
    }
}
