//! One test message of our own, through the queue like every other: `relais test`, and the last of
//! the first steps.

use axum::Json;
use axum::extract::{Extension, State};
use serde::Deserialize;
use serde_json::{Value, json};

use relais_policy::document::Language;
use relais_policy::settings::Settings;
use relais_smtp::address::Mailbox;
use relais_smtp::time::Timestamp;

use super::super::own_mail::{OwnMail, whose};
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
    let message_id = format!("{queue_id}@{}", context.hostname);
    let (subject, body) = match organisation.language {
        Language::English => (SUBJECT.0, ENGLISH),
        Language::French => (SUBJECT.1, FRENCH),
    };
    let header = header((&from, &to), &message_id, subject, now);
    let mail = OwnMail {
        organisation,
        from: &from,
        to: &to,
        queue_id,
        now,
        subject,
        message_id: &message_id,
        octets: format!("{header}{body}").into_bytes(),
        why: format!("test message, asked for by {}", caller.actor),
    };
    let queue_id = mail.queue(&context).await?;
    let mut progress = Progress::read(store).await?;
    progress.trial = Some(queue_id.to_string());
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

fn header(
    (from, to): (&Mailbox, &Mailbox),
    message_id: &str,
    subject: &str,
    now: Timestamp,
) -> String {
    format!(
        "Date: {}\r\nFrom: Relais <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: \
         <{message_id}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        now.to_rfc5322(),
    )
}
