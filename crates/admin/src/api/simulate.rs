//! The decision for one imagined message, by the functions that decide real mail.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;

use relais_policy::attribution::Facts;
use relais_policy::bounce::{BounceToken, Place, TokenFault};
use relais_policy::document::{Credential, Document, InboundConnector};
use relais_policy::settings::Settings;
use relais_policy::simulate::{Answer, NO_REFERENCE, Question, simulate};
use relais_policy::tls::{Certificate, CertificateFault, Fingerprint, TlsVersion};
use relais_smtp::address::{ForwardPath, Mailbox, ReversePath};

use super::licences::senders;
use crate::context::AdminContext;
use crate::problem::{Input, Problem};

pub(super) fn routes() -> Router<AdminContext> {
    Router::new().route("/simulate", post(answer))
}

/// The imagined message, as people write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Imagined {
    pub(super) ip: IpAddr,
    #[serde(default)]
    pub(super) helo: Option<String>,
    #[serde(default)]
    pub(super) certificate_name: Option<String>,
    #[serde(default)]
    pub(super) credential: Option<String>,
    /// Empty, or `<>`: the null reverse-path.
    pub(super) from: String,
    pub(super) to: String,
    #[serde(default)]
    pub(super) header_from: Option<String>,
    #[serde(default)]
    pub(super) size: Option<u64>,
    /// `1.2`, `1.3`: the session is encrypted; `none`: it is not. Absent: as the certificate needs.
    #[serde(default)]
    pub(super) tls: Option<String>,
    /// Through a listener that demands AUTH.
    #[serde(default)]
    pub(super) submission: bool,
    /// As if this were in force.
    #[serde(default)]
    pub(super) with: Option<With>,
}

/// A connector that is only thought of, or another state of one that is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct With {
    organisation: String,
    inbound_connector: InboundConnector,
    /// A user that would lead to it.
    #[serde(default)]
    credential: Option<String>,
}

async fn answer(
    State(context): State<AdminContext>,
    Input(imagined): Input<Imagined>,
) -> Result<Json<Answer>, Problem> {
    let mut question = question(&context, &imagined)?;
    question.senders = senders(&context).await?;
    question.returned = returned(&context, &question).await;
    let settings = match &imagined.with {
        Some(with) => Arc::new(as_if(&context, with)?),
        None => context.store.settings(),
    };
    Ok(Json(decide_by(&context, &settings, &question)))
}

/// The settings in force with that connector in them.
fn as_if(context: &AdminContext, with: &With) -> Result<Settings, Problem> {
    let before = context.store.settings();
    let mut document = Document::clone(&before.document);
    let mut owners = document.organisation.iter_mut();
    let owner = owners.find(|one| one.name == with.organisation);
    let owner = owner.ok_or_else(|| {
        Problem::not_found(format!("There is no organisation {}.", with.organisation))
    })?;
    let name = &with.inbound_connector.name;
    let all = &mut owner.inbound_connector;
    match all.iter_mut().find(|one| one.name == *name) {
        Some(one) => one.clone_from(&with.inbound_connector),
        None => all.push(with.inbound_connector.clone()),
    }
    if let Some(user) = &with.credential
        && !owner.credential.iter().any(|one| one.user == *user)
    {
        owner.credential.push(Credential::new(user, name));
    }
    Settings::build(before.mode, before.version + 1, document)
        .map(|built| built.following(&before))
        .map_err(|errors| Problem::invalid(&errors))
}

/// What a recipient at a bounce domain says, as RCPT would read it; `None`: it is at no such
/// domain, or the keys cannot be had.
pub(super) async fn returned(
    context: &AdminContext,
    question: &Question,
) -> Option<Result<BounceToken, TokenFault>> {
    let ForwardPath::Mailbox(mailbox) = &question.forward_path else {
        return None;
    };
    let (settings, domain) = (context.store.settings(), mailbox.domain()?);
    let organisation = settings.bounce_domain(domain)?.organisation.name.as_str();
    let (fresh, now) = (context.chance.octets(), context.clock.now());
    let keys = context.store.bounce_keys(organisation, fresh, now).await;
    let place = Place {
        organisation,
        domain,
    };
    Some(keys.ok()?.read(mailbox.local_part().as_str(), place, now))
}

/// By the settings in force.
pub(super) fn decide(context: &AdminContext, question: &Question) -> Answer {
    decide_by(context, &context.store.settings(), question)
}

fn decide_by(context: &AdminContext, settings: &Settings, question: &Question) -> Answer {
    let restrictions = context.store.restrictions();
    simulate(
        settings,
        &restrictions.in_force(context.clock.steady_now()),
        question,
        NO_REFERENCE,
    )
}

/// Reads addresses and names.
pub(super) fn question(context: &AdminContext, imagined: &Imagined) -> Result<Question, Problem> {
    let mailbox = |what: &str, text: &str| {
        Mailbox::parse(bare(text))
            .map_err(|error| Problem::bad_request(format!("{what} \"{text}\": {error}.")))
    };
    let reverse_path = match bare(&imagined.from) {
        "" => ReversePath::Null,
        from => ReversePath::Mailbox(mailbox("The sender", from)?),
    };
    let forward_path = match bare(&imagined.to) {
        to if to.eq_ignore_ascii_case("postmaster") => ForwardPath::Postmaster,
        to => ForwardPath::Mailbox(mailbox("The recipient", to)?),
    };
    let header_from = match &imagined.header_from {
        Some(text) => Some(mailbox("The header From", text)?),
        None => None,
    };
    Ok(Question {
        facts: Facts {
            address: imagined.ip.to_canonical(),
            certificate: imagined.certificate_name.as_deref().map(certificate),
            credential: imagined.credential.clone(),
            helo: imagined.helo.clone(),
            tls: tls(imagined)?,
            submission: imagined.submission,
        },
        reverse_path,
        forward_path,
        header_from,
        size: imagined.size,
        size_octets_max: context.message_size_max,
        returned: None,
        senders: BTreeMap::new(),
    })
}

/// By its name, as if an authority that we know had issued it; by its SHA-256, as if nobody had.
fn certificate(text: &str) -> Certificate {
    match Fingerprint::parse(text) {
        None => Certificate::verified([text]),
        Some(own) => {
            let nobodys = Certificate::faulty(CertificateFault::Untrusted);
            nobodys.with_fingerprint(&own.to_string())
        }
    }
}

/// A certificate comes with TLS only.
fn tls(imagined: &Imagined) -> Result<Option<TlsVersion>, Problem> {
    let has_certificate = imagined.certificate_name.is_some();
    match imagined.tls.as_deref() {
        None => Ok(has_certificate.then_some(TlsVersion::V1_3)),
        Some("none") if has_certificate => Err(Problem::bad_request(
            "A certificate needs TLS: leave \"tls\" out, or name a version.".to_owned(),
        )),
        Some("none") => Ok(None),
        Some(text) => match TlsVersion::parse(text) {
            Some(version) => Ok(Some(version)),
            None => Err(Problem::bad_request(format!(
                "The TLS version \"{text}\" is none of none, 1.0, 1.1, 1.2, 1.3."
            ))),
        },
    }
}

/// Without angle brackets.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
        .unwrap_or(text)
}
