//! One test message of our own, through the queue like every other: `relais test`, and the last of
//! the first steps.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::{Language, Organisation};
use relais_policy::route::{RouteSource, route};
use relais_policy::schedule::expires_at;
use relais_policy::settings::Settings;
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::dkim::BodyHasher;
use relais_smtp::envelope::{Body, EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::QueueId;
use relais_smtp::time::Timestamp;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::trace::{Event, EventKind, To};

use super::{Progress, first_domain};
use crate::context::{AdminContext, Caller};
use crate::problem::{Input, Problem};

/// Who it comes from where nobody says it, beside the domain.
const LOCAL_PART: &str = "relais-test";
const SUBJECT: (&str, &str) = ("Relais test", "Test de Relais");
/// Quoted-printable (RFC 2045 §6.7), ASCII only: it must pass every server.
const ENGLISH: &str = "This is a test message of Relais. If you can read it, mail leaves.\r\n\
                       Look whether it lies in the inbox or among junk.\r\n";
const FRENCH: &str = "Ceci est un message de test de Relais. Si vous le lisez, le courrier part.\r\n\
                      Regardez s=E2=80=99il est dans la bo=C3=AEte de r=C3=A9ception ou parmi =\r\n\
                      les courriers ind=C3=A9sirables.\r\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    to: String,
    #[serde(default)]
    from: Option<String>,
}

/// `{"queue_id","from","to"}`, once it is on stable storage.
pub(super) async fn send(
    State(context): State<AdminContext>,
    Extension(caller): Extension<Caller>,
    Input(trial): Input<Trial>,
) -> Result<Json<Value>, Problem> {
    let mailbox = |text: &str| {
        Mailbox::parse(text.trim())
            .map_err(|error| Problem::bad_request(format!("\"{text}\" is no address: {error}.")))
    };
    let settings = context.store.settings();
    let to = mailbox(&trial.to)?;
    let from = match trial
        .from
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        Some(text) => mailbox(text)?,
        None => mailbox(&format!("{LOCAL_PART}@{}", domain(&settings)?))?,
    };
    let organisation = whose(&settings, &from)?;
    let (store, now) = (&context.store, context.clock.now());
    let queue_id = store.next_queue_id(now);
    let message = Written {
        context: &context,
        organisation,
        from: &from,
        to: &to,
        queue_id,
        now,
    };
    let mut message = message.message(&settings);
    message.events = vec![accepted(&message.facts, &to, &caller)];
    let committed = store.commit(message).await;
    let committed = committed
        .map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let mut progress = Progress::read(store).await?;
    progress.trial = Some(committed.queue_id().to_string());
    progress.keep(&context).await?;
    Ok(Json(json!({
        "queue_id": queue_id.to_string(),
        "from": from.to_string(),
        "to": to.to_string(),
    })))
}

fn domain(settings: &Settings) -> Result<String, Problem> {
    match first_domain(settings) {
        Some((name, state)) if state.is_in_force() => Ok(name),
        Some((name, _)) => Err(Problem::bad_request(format!(
            "{name} is not verified yet: publish its record, or on the server, for a private name, \
             `relais domain verify {name} --assume`."
        ))),
        None => Err(Problem::bad_request("There is no domain yet to send from.")),
    }
}

/// The sender's domain must be verified, as for every other message.
fn whose<'a>(settings: &'a Settings, from: &Mailbox) -> Result<&'a Organisation, Problem> {
    let Host::Domain(domain) = from.host() else {
        return Err(Problem::bad_request(
            "The sender must be of a verified domain.",
        ));
    };
    let found = settings.verified_domain(domain);
    found.map(|owned| owned.organisation).ok_or_else(|| {
        Problem::bad_request(format!(
            "{domain} is no verified domain: nobody may send from it."
        ))
    })
}

struct Written<'a> {
    context: &'a AdminContext,
    organisation: &'a Organisation,
    from: &'a Mailbox,
    to: &'a Mailbox,
    queue_id: QueueId,
    now: Timestamp,
}

impl Written<'_> {
    fn header(&self, message_id: &str, subject: &str) -> String {
        format!(
            "Date: {}\r\nFrom: Relais <{}>\r\nTo: <{}>\r\nSubject: {subject}\r\nMessage-ID: \
             <{message_id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n",
            self.now.to_rfc5322(),
            self.from,
            self.to,
        )
    }

    fn message(&self, settings: &Settings) -> NewMessage {
        let message_id = format!("{}@{}", self.queue_id, self.context.hostname);
        let (subject, body) = match self.organisation.language {
            Language::English => (SUBJECT.0, ENGLISH),
            Language::French => (SUBJECT.1, FRENCH),
        };
        let octets = format!("{}{body}", self.header(&message_id, subject)).into_bytes();
        let utf8_header = !self.from.is_ascii() || !self.to.is_ascii();
        let mut hasher = BodyHasher::new();
        hasher.update(body.as_bytes());
        let name: Arc<str> = self.organisation.name.as_str().into();
        let facts = MessageFacts {
            queue_id: self.queue_id,
            organisation: Arc::clone(&name),
            inbound_connector: None,
            client: None,
            reverse_path: ReversePath::Mailbox(self.from.clone()),
            parameters: SenderParameters {
                body: Body::SevenBit,
                smtp_utf8: utf8_header,
                ..SenderParameters::default()
            },
            accepted_at: self.now,
            size: u64::try_from(octets.len()).unwrap_or(u64::MAX),
            eight_bit: utf8_header,
            utf8_header,
            header_from: Some(self.from.to_string().into()),
            subject: Some(subject.into()),
            message_id: Some(message_id.into()),
            body_hash: Some(hasher.finish()),
            is_notice: false,
        };
        let source = RouteSource::of(settings, &name, None, self.from.domain());
        let way = route(settings, &name, self.to.host(), &source);
        let recipient = NewRecipient {
            recipient: EnvelopeRecipient::new(self.to.clone()),
            key: QueueKey {
                source: source.to_string().into(),
                ..QueueKey::new(name, self.to.host().to_string())
            },
            due: self.now,
            expires_at: expires_at(&way.retry, self.now),
            is_restricted: false,
            held: false,
        };
        NewMessage {
            facts,
            recipients: vec![recipient],
            content: Content::Inline(octets.into()),
            events: Vec::new(),
        }
    }
}

/// `message.accepted`: from here on it is owed like any other.
fn accepted(facts: &MessageFacts, to: &Mailbox, caller: &Caller) -> Event {
    Event {
        queue_id: Some(facts.queue_id),
        organisation: Some(Arc::clone(&facts.organisation)),
        from: facts.header_from.clone(),
        header_from: facts.header_from.clone(),
        to: Some(To::Many(vec![to.to_string().into()])),
        subject: facts.subject.clone(),
        size: Some(facts.size),
        detail: Some(format!("test message, asked for by {}", caller.actor).into()),
        ..Event::new(facts.accepted_at, EventKind::MessageAccepted)
    }
}
