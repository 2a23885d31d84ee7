//! Messages that programs hand in: octets as they are, or text, HTML and files. A key names the
//! credential whose mail it is; everything that is asked of that credential's mail over SMTP is
//! asked here, by the same code (`Entrance`). 202 is said when the message is on stable storage.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::client::{RecipientResult, Transaction, TransactionResult, Unsuited};
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};
use relais_smtp::header::header_section_end;
use relais_smtp::identifier::Reference;
use relais_smtp::reply::Reply;

use crate::compose::{Attachment, ComposeError, Named, Parts, compose};
use crate::context::{AdminContext, Peer};
use crate::entrance::HandedIn;
use crate::idempotency::{Answered, Begun, Idempotency, KEY_OCTETS_MAX, Ticket};
use crate::keys::ApiKey;
use crate::people::hexadecimal;
use crate::problem::Problem;

/// Recipients of one message, as of a transaction of SMTP.
const RECIPIENTS_MAX: usize = 1_000;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// When a temporary refusal may be tried again: as mail servers do first.
const RETRY_SECONDS: u64 = 60;

pub(super) fn routes() -> Router<AdminContext> {
    Router::new()
        .route("/messages", post(hand_in))
        .layer(Extension(Idempotency::default()))
}

impl From<ComposeError> for Problem {
    fn from(error: ComposeError) -> Self {
        Self::bad_request(format!("{error}."))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn read(this: Option<&Self>) -> Result<Vec<Named>, ComposeError> {
        match this {
            None => Ok(Vec::new()),
            Some(Self::One(text)) => Ok(vec![Named::parse(text)?]),
            Some(Self::Many(texts)) => texts.iter().map(|text| Named::parse(text)).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InParts {
    from: String,
    to: Option<OneOrMany>,
    cc: Option<OneOrMany>,
    bcc: Option<OneOrMany>,
    reply_to: Option<String>,
    envelope_from: Option<String>,
    #[serde(default)]
    subject: String,
    text: Option<String>,
    html: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(rename = "type", default = "unknown_type")]
    form: String,
    content: String,
}

fn unknown_type() -> String {
    "application/octet-stream".to_owned()
}

/// Envelope and content.
struct Letter {
    reverse_path: ReversePath,
    recipients: Vec<Mailbox>,
    content: Vec<u8>,
}

async fn hand_in(
    State(context): State<AdminContext>,
    Extension(idempotency): Extension<Idempotency>,
    key: Option<Extension<Arc<ApiKey>>>,
    peer: Option<Extension<Peer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let forbidden = |detail: &str| Problem::new(StatusCode::FORBIDDEN, detail);
    let Some(Extension(key)) = key else {
        let detail = "Messages are handed in with a key of the API, on the admin listener.";
        return Err(forbidden(detail));
    };
    let Some(user) = key.credential.clone() else {
        let detail = "This key names no credential whose mail it hands in: make one with \
                      `relais api-key add --credential USER`.";
        return Err(forbidden(detail));
    };
    must_be_own(&context, &key, &user)?;
    let repeat = repeat_key(&headers)?;
    let letter = letter(&context, &headers, query.as_deref(), &body)?;
    let ticket = match &repeat {
        None => None,
        Some(repeat) => {
            let query = query.unwrap_or_default();
            let request: [&[u8]; 2] = [query.as_bytes(), &body];
            let asked = (key.id.as_str(), repeat.as_str(), &request[..]);
            let begun = idempotency.begin(&context.store, asked, context.clock.now());
            match begin(begun.await?)? {
                Next::Do(begun) => Some(begun),
                Next::Repeat(answered) => return Ok(repeated(answered)),
            }
        }
    };
    // Only tests come without one.
    let address = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.0);
    // In clear the listener is on loopback, and what is said there does not leave the machine.
    let is_protected = address.is_loopback() || context.certificates.of_centre.is_some();
    let handed = handed(&letter, user, (address, is_protected));
    let recipients = letter.recipients;
    // Of its own: who asks may go away, and what has begun comes to its end and is written down.
    let done = tokio::spawn(async move { take(context, handed, &recipients, ticket).await });
    match done.await {
        Ok(answer) => answer,
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string(),
        )),
    }
}

/// A credential of another organisation is none of the key's.
fn must_be_own(context: &AdminContext, key: &ApiKey, user: &str) -> Result<(), Problem> {
    let settings = context.store.settings();
    let owner = settings.credential(user);
    let owner = owner.map(|(owner, _)| owner.organisation.name.as_str());
    // A user's name may be another organisation's by now.
    if owner.is_some() && owner == key.organisation.as_deref() {
        return Ok(());
    }
    let detail = format!("The credential {user} of this key is gone.");
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// What follows from a ticket.
enum Next {
    Do(Begun),
    Repeat(Answered),
}

fn begin(ticket: Ticket) -> Result<Next, Problem> {
    let conflict = |detail: &str| Err(Problem::new(StatusCode::CONFLICT, detail));
    match ticket {
        Ticket::New(begun) => Ok(Next::Do(begun)),
        Ticket::Again(answered) => Ok(Next::Repeat(answered)),
        Ticket::UnderWay => conflict("A request with this Idempotency-Key is under way."),
        Ticket::Unknown => conflict(
            "The server stopped while it took this message: whether it was taken stands in the \
             trace. Send it anew with another Idempotency-Key if it was not.",
        ),
        Ticket::Other => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key belongs to another request.",
        )),
        Ticket::Full => {
            let detail = "Too many Idempotency-Keys are kept; try again later.";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(RETRY_SECONDS))
        }
    }
}

fn repeat_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > KEY_OCTETS_MAX {
        let detail = format!("An Idempotency-Key has 1 to {KEY_OCTETS_MAX} octets of ASCII.");
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(text.to_owned()))
}

fn repeated(answered: Answered) -> Response {
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::OK);
    let mut response = (status, Json(answered.body)).into_response();
    let yes = HeaderValue::from_static("true");
    response.headers_mut().insert(REPLAYED, yes);
    if !status.is_success() {
        let form = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, form);
    }
    response
}

fn letter(
    context: &AdminContext,
    headers: &HeaderMap,
    query: Option<&str>,
    body: &Bytes,
) -> Result<Letter, Problem> {
    let form = headers.get(header::CONTENT_TYPE);
    let form = form.and_then(|form| form.to_str().ok()).unwrap_or_default();
    let form = form.split(';').next().unwrap_or_default().trim();
    let letter = match form.to_ascii_lowercase().as_str() {
        "message/rfc822" => as_it_is(query.unwrap_or_default(), body)?,
        "application/json" => in_parts(context, body)?,
        _ => {
            let detail = "Send message/rfc822 or application/json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    if letter.content.len() as u64 > context.message_size_max {
        let detail = format!("A message has at most {} octets.", context.message_size_max);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    if letter.recipients.is_empty() || letter.recipients.len() > RECIPIENTS_MAX {
        let detail = format!("A message has 1 to {RECIPIENTS_MAX} recipients.");
        return Err(Problem::bad_request(detail));
    }
    Ok(letter)
}

/// The envelope stands in the query, the octets pass as they are.
fn as_it_is(query: &str, body: &Bytes) -> Result<Letter, Problem> {
    let (mut from, mut recipients) = (None, Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "from" => from = Some(value.into_owned()),
            "to" => recipients.push(mailbox(&value)?),
            _ => {}
        }
    }
    let from = from.ok_or_else(|| Problem::bad_request("\"from\" is missing in the query."))?;
    Ok(Letter {
        reverse_path: reverse_path(&from)?,
        recipients,
        content: body.to_vec(),
    })
}

fn in_parts(context: &AdminContext, body: &Bytes) -> Result<Letter, Problem> {
    let read: Result<InParts, _> = serde_json::from_slice(body);
    let given =
        read.map_err(|error| Problem::bad_request(format!("The body does not fit: {error}.")))?;
    let people = |field: &Option<OneOrMany>| OneOrMany::read(field.as_ref());
    let (to, cc, bcc) = (people(&given.to)?, people(&given.cc)?, people(&given.bcc)?);
    let mut recipients: Vec<Mailbox> = Vec::new();
    for one in to.iter().chain(&cc).chain(&bcc) {
        if !recipients.contains(&one.mailbox) {
            recipients.push(one.mailbox.clone());
        }
    }
    let from = Named::parse(&given.from)?;
    let reverse_path = match &given.envelope_from {
        Some(text) => reverse_path(text)?,
        None => ReversePath::Mailbox(from.mailbox.clone()),
    };
    let attachments = given.attachments.into_iter().map(|file| Attachment {
        name: file.name,
        form: file.form,
        content: file.content,
    });
    let parts = Parts {
        from,
        reply_to: given.reply_to.as_deref().map(Named::parse).transpose()?,
        to,
        cc,
        subject: given.subject,
        text: given.text,
        html: given.html,
        attachments: attachments.collect(),
    };
    let boundary = hexadecimal(&context.chance.octets::<16>());
    Ok(Letter {
        reverse_path,
        recipients,
        content: compose(&parts, &boundary)?,
    })
}

fn mailbox(text: &str) -> Result<Mailbox, Problem> {
    Mailbox::parse(text.trim())
        .map_err(|error| Problem::bad_request(format!("\"{text}\" is no address: {error}.")))
}

fn reverse_path(text: &str) -> Result<ReversePath, Problem> {
    match text.trim() {
        "" | "<>" => Ok(ReversePath::Null),
        text => mailbox(text).map(ReversePath::Mailbox),
    }
}

fn handed(letter: &Letter, user: String, (address, is_protected): (IpAddr, bool)) -> HandedIn {
    let content = letter.content.clone();
    let header = header_section_end(&content).unwrap_or(content.len());
    let eight_bit = !content.is_ascii();
    let utf8_header = !content[..header].is_ascii();
    let people = letter.recipients.iter().cloned();
    let international = letter
        .recipients
        .iter()
        .any(|one| !one.to_string().is_ascii());
    let parameters = SenderParameters {
        smtp_utf8: utf8_header || international,
        ..SenderParameters::default()
    };
    HandedIn {
        address,
        user,
        is_protected,
        transaction: Transaction {
            envelope: Envelope {
                reverse_path: letter.reverse_path.clone(),
                parameters,
                recipients: people.map(EnvelopeRecipient::new).collect(),
            },
            size: content.len() as u64,
            eight_bit,
            utf8_header,
        },
        content,
    }
}

async fn take(
    context: AdminContext,
    handed: HandedIn,
    recipients: &[Mailbox],
    ticket: Option<Begun>,
) -> Result<Response, Problem> {
    let Some(taking) = context.duties.entrance.take(handed) else {
        let detail = "The server takes no mail yet.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(1));
    };
    let outcome = match taking.await {
        Ok(result) => judge(&result, recipients),
        Err(reply) => Outcome::no(&reply, Vec::new()),
    };
    if let Some(begun) = ticket {
        let now = context.clock.now();
        let told = match &outcome {
            Outcome::Answer(answered) => Some(Some(answered.clone())),
            Outcome::Later(_) => Some(None),
            Outcome::Unknown => None,
        };
        if let Some(told) = told {
            begun.end(&context.store, told, now).await?;
        }
    }
    match outcome {
        Outcome::Answer(answered) => {
            let mut response = repeated(answered);
            response.headers_mut().remove(REPLAYED);
            Ok(response)
        }
        Outcome::Later(problem) => Err(problem.after(RETRY_SECONDS)),
        Outcome::Unknown => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Whether the message was taken is not known: it stands in the trace if it was.",
        )),
    }
}

/// What is answered.
enum Outcome {
    /// For good.
    Answer(Answered),
    /// Not now.
    Later(Problem),
    /// The session broke off after all content was said.
    Unknown,
}

impl Outcome {
    /// No recipient was accepted; this reply says why.
    fn no(reply: &Reply, rows: Vec<Value>) -> Self {
        let text = reply.text();
        let reference = reference_in(&text);
        if reply.code().get() < 500 {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, told(reply));
            return Self::Later(match reference {
                Some(reference) => problem.about(reference),
                None => problem,
            });
        }
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let mut body = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": told(reply),
            "recipients": rows,
        });
        if let Some(reference) = reference {
            body["reference"] = json!(reference.to_string());
        }
        Self::Answer(Answered {
            status: status.as_u16(),
            body,
        })
    }
}

/// A reply in one line, as in the trace.
fn told(reply: &Reply) -> String {
    let mut octets = Vec::new();
    reply.write_to(&mut octets);
    String::from_utf8_lossy(&octets)
        .trim_end()
        .replace("\r\n", " ")
}

/// `… (TOKEN REFERENCE)`.
fn reference_in(text: &str) -> Option<Reference> {
    let (_, inner) = text.strip_suffix(')')?.rsplit_once('(')?;
    inner.rsplit(' ').next()?.parse().ok()
}

/// 202 where somebody gets it; each recipient with its own reply.
fn judge(result: &TransactionResult, recipients: &[Mailbox]) -> Outcome {
    let (mut rows, mut queue_id, mut refused) = (Vec::new(), None, None);
    for (to, one) in recipients.iter().zip(&result.recipients) {
        let (is_accepted, words) = match one {
            RecipientResult::Accepted { reply } => {
                let text = reply.text();
                let id = text.rsplit(' ').next().unwrap_or_default();
                queue_id = Some(id.to_owned());
                (true, told(reply))
            }
            RecipientResult::Refused { reply, .. } => {
                refused = refused.or_else(|| Some(reply.clone()));
                (false, told(reply))
            }
            RecipientResult::Unsuited(unsuited) => (false, unsuited_words(*unsuited)),
            RecipientResult::Broken {
                maybe_accepted: true,
                ..
            } => return Outcome::Unknown,
            RecipientResult::Broken { .. } => (false, "The session broke off.".to_owned()),
        };
        rows.push(json!({ "to": to.to_string(), "accepted": is_accepted, "reply": words }));
    }
    match (queue_id, refused) {
        (Some(queue_id), _) => Outcome::Answer(Answered {
            status: StatusCode::ACCEPTED.as_u16(),
            body: json!({ "queue_id": queue_id, "recipients": rows }),
        }),
        (None, Some(reply)) => Outcome::no(&reply, rows),
        (None, None) => Outcome::Later(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The message could not be taken.",
        )),
    }
}

fn unsuited_words(unsuited: Unsuited) -> String {
    match unsuited {
        Unsuited::SmtpUtf8 => "An international address is not taken here.".to_owned(),
        Unsuited::EightBit => "8-bit content is not taken here.".to_owned(),
        Unsuited::TooBig { limit } => format!("A message has at most {limit} octets."),
        Unsuited::RequireTls => "TLS cannot be demanded here.".to_owned(),
    }
}
