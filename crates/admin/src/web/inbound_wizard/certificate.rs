//! The client's certificate, without typing: pasted or out of a file, or caught while the device
//! shows it. One press writes it into the draft, by its SHA-256 or, where an authority that we know
//! issued it, by a name in it.
//!
//! Without script the page that waits asks anew by itself.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use futures_util::stream;
use serde_json::Value;

use relais_net::tls::ReadCertificate;
use relais_policy::document::InboundConnector;
use relais_policy::tls::Fingerprint;
use relais_smtp::time::Timestamp;

use super::look::Finding;
use super::{Step, path, status};
use crate::lang::Lang;
use crate::plain::clean;
use crate::times;
use crate::web::ask::{Centre, Refused, list, text};
use crate::web::door::{Change, Reader, Visit};
use crate::web::drafts::{self, Draft};
use crate::web::fields::Mistake;
use crate::web::inbound_form::Section;
use crate::web::news;
use crate::web::page::{self, Frame};
use crate::web::trace::Status;

/// Since when the page waits, in the draft.
const SINCE: &str = "certificates-since";

/// Where one waits.
pub(super) fn waiting(id: &str) -> String {
    format!("{}/{id}/certificate", super::HERE)
}

const IDENTIFY: Step = Step::Fields(Section::Identify);

/// From here on what is shown is new.
pub(super) fn begin_to_wait(centre: &Centre, draft: &mut Draft<InboundConnector>) {
    let now = centre.context.clock.now().to_rfc3339();
    draft.more.insert(SINCE.to_owned(), now);
}

/// A pasted certificate goes into the draft; what it says of itself, for the person who pasted it.
pub(super) fn paste(
    lang: Lang,
    pem: &str,
    connector: &mut InboundConnector,
) -> Result<Finding, Mistake> {
    let read = ReadCertificate::from_pem(pem.as_bytes());
    let read = read.map_err(|error| {
        let words = lang.with("certificate-unread", &error.to_string());
        Mistake::new("certificate_pem", words)
    })?;
    let words = lang.fill(
        "certificate-taken",
        &[
            ("subject", &clean(&read.subject)),
            ("issuer", &clean(&read.issuer)),
            ("until", &times::date(lang, read.not_after)),
            ("fingerprint", &read.fingerprint),
        ],
    );
    add(connector, &read.fingerprint);
    Ok(Finding {
        status: status(lang, "good"),
        words,
    })
}

/// Once, however it was written before.
fn add(connector: &mut InboundConnector, fingerprint: &str) {
    let known = connector.tls_sender_certificate_fingerprints.iter();
    let mut known = known.map(|one| Fingerprint::parse(one));
    if !known.any(|one| one == Fingerprint::parse(fingerprint)) {
        let all = &mut connector.tls_sender_certificate_fingerprints;
        all.push(fingerprint.to_owned());
    }
}

/// One that was shown.
struct Shown {
    client: String,
    time: String,
    subject: String,
    issuer: String,
    chain: String,
    names: String,
    until: String,
    fingerprint: String,
    status: Status,
    /// The name that would do; empty: its names prove nothing.
    name: String,
}

#[derive(Template)]
#[template(path = "inbound_certificate.html")]
struct Waiting {
    frame: Frame,
    here: String,
    back: String,
    since: String,
    shown: Vec<Shown>,
}

pub(super) async fn show(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(id): Path<String>,
) -> Response {
    if let Some(saved) = drafts::saved::<InboundConnector>(&centre, &visit, &id) {
        return page::go(&saved);
    }
    match compose(&centre, &visit, &id).await {
        Ok(waiting) => page::send(&waiting),
        Err(refused) => page::refused(&visit, &refused),
    }
}

async fn compose(centre: &Centre, visit: &Visit, id: &str) -> Result<Waiting, Refused> {
    let lang = visit.lang;
    let draft = drafts::get::<InboundConnector>(centre, visit, id).await?;
    let answer = answer(centre, visit, &draft).await?;
    let shown = list(&answer, "certificates").iter();
    Ok(Waiting {
        frame: Frame::new(visit, "inbound", &lang.t("certificate-title"))
            .command("relais connector inbound set NAME --certificate-fingerprint SHA-256"),
        here: waiting(id),
        back: path(id, IDENTIFY),
        since: times::shown(lang, Some(draft.more(SINCE))),
        shown: shown.map(|one| of(lang, one)).collect(),
    })
}

/// What was shown since the page waits.
async fn answer(
    centre: &Centre,
    visit: &Visit,
    draft: &Draft<InboundConnector>,
) -> Result<Value, Refused> {
    let since = match Timestamp::parse_rfc3339(draft.more(SINCE)) {
        Some(since) => since,
        None => centre.context.clock.now(),
    };
    let since = since.to_rfc3339();
    let asked = [
        ("since", since.as_str()),
        ("organisation", draft.organisation.as_str()),
    ];
    let path = "/connectors/inbound/certificates";
    centre.get(visit.caller(), path, &asked).await
}

fn of(lang: Lang, one: &Value) -> Shown {
    let plain = |key: &str| clean(text(one, key)).into_owned();
    let joined = |key: &str| {
        let all = list(one, key).iter().filter_map(Value::as_str);
        clean(&all.collect::<Vec<_>>().join(", ")).into_owned()
    };
    let is_proof = one["fault"].is_null();
    let (tone, word) = if is_proof {
        ("good", lang.t("certificate-trusted"))
    } else {
        let key = match text(one, "fault") {
            "expired" => "certificate-expired",
            "not yet valid" => "certificate-early",
            _ => "certificate-untrusted",
        };
        ("waiting", lang.t(key))
    };
    let first = list(one, "names").first().and_then(Value::as_str);
    Shown {
        client: plain("client"),
        time: times::clock(lang, text(one, "time")),
        subject: plain("subject"),
        issuer: match text(one, "issuer") == text(one, "subject") {
            true => lang.t("certificate-itself"),
            false => plain("issuer"),
        },
        chain: joined("chain"),
        names: joined("names"),
        until: times::shown(lang, Some(text(one, "not_after"))),
        fingerprint: plain("fingerprint"),
        status: Status {
            word,
            ..status(lang, tone)
        },
        name: first.filter(|_| is_proof).unwrap_or_default().to_owned(),
    }
}

/// Says that something is new each time that a client shows a certificate.
pub(super) async fn events(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(id): Path<String>,
) -> Response {
    if let Err(refused) = drafts::get::<InboundConnector>(&centre, &visit, &id).await {
        return page::refused(&visit, &refused);
    }
    let changes = centre.context.certificates.of_clients.presented().changes();
    let changes = stream::unfold(changes, |mut changes| async move {
        changes.changed().await.ok()?;
        Some(((), changes))
    });
    news::send(&centre, &visit, changes)
}

/// Only what was shown is taken, whatever a form says.
pub(super) async fn take(
    State(centre): State<Centre>,
    Path(id): Path<String>,
    Change { visit, form }: Change,
) -> Response {
    let taken = async {
        let mut draft = drafts::get::<InboundConnector>(&centre, &visit, &id).await?;
        let answer = answer(&centre, &visit, &draft).await?;
        let wished = form.get("fingerprint");
        let found = list(&answer, "certificates")
            .iter()
            .find(|one| text(one, "fingerprint") == wished);
        let found = found.ok_or_else(|| super::super::switching::gone(&visit))?;
        let shown = of(visit.lang, found);
        match form.get("by") {
            "name" if !shown.name.is_empty() => {
                draft.connector.tls_sender_certificate_name = shown.name;
            }
            _ => add(&mut draft.connector, wished),
        }
        drafts::keep(&centre, &visit, &id, &draft).await?;
        Ok::<_, Refused>(page::go(&path(&id, IDENTIFY)))
    };
    let taken = taken.await;
    taken.unwrap_or_else(|refused| page::refused(&visit, &refused))
}
