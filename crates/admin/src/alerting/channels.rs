//! The ways by which people hear of alerts: posts in the forms of Slack, Teams, ntfy and our own,
//! and mail that is handed to a mail server directly, beside the queue.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use relais_net::hop::{HopSession, Opening};
use relais_net::web::hooks::{HookRequest, Hooks};
use relais_policy::alert::{Owed, Told, Turn};
use relais_policy::document::OutboundConnector;
use relais_policy::encryption::Demand;
use relais_policy::settings::HostPort;
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::client::{ClientConfig, ClientStep, Protocol, RecipientResult, Transaction};
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};
use relais_smtp::time::Timestamp;

use crate::alerts::{Channel, ChannelKind, Said, words};
use crate::compose::{Named, Parts, compose};
use crate::context::{AdminContext, Outbound};
use crate::people::hexadecimal;
use crate::words::Language;

/// A mail server must have answered all of it within this.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A line that is told so much later says when it was.
const LATE: Duration = Duration::from_secs(10 * 60);
/// Octets of a channel's own words that are kept.
const SAID_OCTETS_MAX: usize = 300;

/// What is told: all that turned at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    lines: Vec<Told>,
    /// Older ones that gave way.
    left_out: u64,
    is_urgent: bool,
    now: Timestamp,
}

impl Note {
    /// What is owed.
    pub(crate) fn of(owed: Owed, now: Timestamp) -> Self {
        Self {
            lines: owed.lines,
            left_out: owed.left_out,
            is_urgent: owed.is_urgent,
            now,
        }
    }

    /// A note that says that it is a test.
    pub(crate) fn test(now: Timestamp) -> Self {
        Self::of(Owed::new(now), now)
    }

    fn title(&self, hostname: &str, language: Language) -> String {
        let colon = language.pick(":", "\u{a0}:");
        let raised = self.lines.iter().filter(|told| told.turn == Turn::Raised);
        let what = match (self.lines.as_slice(), raised.count()) {
            ([], _) => language.pick("test", "essai").to_owned(),
            ([one], _) => words::rule(one.kind, language).to_owned(),
            (_, 0) => language
                .pick("alerts are over", "alertes terminées")
                .to_owned(),
            (_, count) => format!("{count} {}", language.pick("alerts", "alertes")),
        };
        format!("Relais {hostname}{colon} {what}")
    }

    fn text(&self, language: Language) -> String {
        if self.lines.is_empty() {
            let words = language.pick(
                "This is a test: alerts will come this way.",
                "Ceci est un test\u{202f}: les alertes arriveront par ce canal.",
            );
            return words.to_owned();
        }
        let lines = self.lines.iter().map(|told| {
            let line = words::line(told, language);
            let at = Timestamp::from_millis(told.at);
            match self.now.since(at) >= LATE {
                true => format!("{} {line}", at.to_rfc3339()),
                false => line,
            }
        });
        let mut lines: Vec<_> = lines.collect();
        if self.left_out > 0 {
            let older = language.pick(
                "older ones are left out",
                "plus anciennes ne sont pas répétées",
            );
            lines.push(format!("+ {} {older}", self.left_out));
        }
        lines.join("\n")
    }
}

/// One channel, and what it is reached with.
pub(crate) struct Post<'a> {
    pub(crate) context: &'a AdminContext,
    pub(crate) hooks: &'a Hooks,
    pub(crate) channel: &'a Channel,
}

impl Post<'_> {
    /// Tells; what came of it is kept for people to see.
    pub(crate) async fn send(&self, note: &Note) -> Result<(), String> {
        let sent = self.try_to_send(note).await;
        let fault = sent
            .as_ref()
            .err()
            .map(|why| why[..why.floor_char_boundary(SAID_OCTETS_MAX)].to_owned());
        if let Some(why) = &fault {
            tracing::warn!(channel = self.channel.name, why, "an alert was not told");
        }
        let at = self.context.clock.now();
        self.context
            .duties
            .alerts
            .note_said(&self.channel.id, Said { at, fault });
        sent
    }

    async fn try_to_send(&self, note: &Note) -> Result<(), String> {
        let secret = self.context.store.secret(&self.channel.secret_name()).await;
        let secret = secret.map_err(|error| error.to_string())?;
        let secret = secret.ok_or("its address is gone")?;
        let address = secret.expose_text().ok_or("its address is no text")?;
        let language = match self.channel.language.as_str() {
            "fr" => Language::French,
            _ => Language::English,
        };
        let title = note.title(&self.context.hostname, language);
        let text = note.text(language);
        if self.channel.kind == ChannelKind::Mail {
            return self.mail(address, &title, &text).await;
        }
        let (media_type, headers, body) = self.form(note, &title, &text);
        let request = HookRequest {
            address: address.to_owned(),
            media_type,
            headers,
            body,
            allow_private: self.channel.allow_private,
        };
        let answer = self
            .hooks
            .post(request)
            .await
            .map_err(|error| error.to_string())?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        Err(format!("it said {}: {}", answer.status, answer.text))
    }

    /// As each kind takes it.
    fn form(
        &self,
        note: &Note,
        title: &str,
        text: &str,
    ) -> (&'static str, Vec<(&'static str, String)>, Vec<u8>) {
        let whole = format!("{title}\n{text}");
        let json = |value: Value| {
            (
                "application/json",
                Vec::new(),
                value.to_string().into_bytes(),
            )
        };
        match self.channel.kind {
            ChannelKind::Slack => json(json!({ "text": whole })),
            ChannelKind::Teams => json(json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "content": {
                        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                        "type": "AdaptiveCard",
                        "version": "1.4",
                        "body": [
                            { "type": "TextBlock", "weight": "Bolder", "text": title, "wrap": true },
                            { "type": "TextBlock", "text": text, "wrap": true },
                        ],
                    },
                }],
            })),
            ChannelKind::Ntfy => {
                let priority = if note.is_urgent { "5" } else { "3" };
                let headers = vec![("priority", priority.to_owned())];
                ("text/plain; charset=utf-8", headers, whole.into_bytes())
            }
            ChannelKind::Webhook | ChannelKind::Mail => json(json!({
                "title": title,
                "text": text,
                "urgent": note.is_urgent,
                "alerts": note.lines,
                "left_out": note.left_out,
            })),
        }
    }

    /// Handed to that server directly: the queue may be what the alert is about.
    async fn mail(&self, server: &str, title: &str, text: &str) -> Result<(), String> {
        let outbound = self.context.outbound.as_ref().ok_or("there is no server")?;
        let host = HostPort::parse(server, 25).ok_or("its address is no host")?;
        let from = format!("relais@{}", self.context.hostname);
        let from = Mailbox::parse(&from).map_err(|error| error.to_string())?;
        let to: Result<Vec<_>, _> = self
            .channel
            .to
            .iter()
            .map(|text| Named::parse(text))
            .collect();
        let to = to.map_err(|error| error.to_string())?;
        let recipients = to
            .iter()
            .map(|one| EnvelopeRecipient::new(one.mailbox.clone()));
        let recipients: Vec<_> = recipients.collect();
        let parts = Parts {
            from: Named {
                name: Some("Relais".to_owned()),
                mailbox: from.clone(),
            },
            reply_to: None,
            to,
            cc: Vec::new(),
            subject: title.to_owned(),
            text: Some(text.to_owned()),
            html: None,
            attachments: Vec::new(),
        };
        let boundary = hexadecimal(&self.context.chance.octets::<16>());
        let body = compose(&parts, &boundary).map_err(|error| error.to_string())?;
        let mut content = self.fields(&from).into_bytes();
        content.extend_from_slice(&body);
        let transaction = Transaction {
            envelope: Envelope {
                reverse_path: ReversePath::Mailbox(from),
                parameters: SenderParameters::default(),
                recipients,
            },
            size: content.len() as u64,
            eight_bit: false,
            utf8_header: false,
        };
        let clock = &self.context.clock;
        let until = clock.moment() + MAIL_TIMEOUT;
        let handed = hand_over(self.context, outbound, &host, transaction, &content);
        match clock.within(until, handed).await {
            Ok(done) => done,
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Those that a relay would add. RFC 5322 §3.6; RFC 3834 §5.
    fn fields(&self, from: &Mailbox) -> String {
        let now = self.context.clock.now().to_rfc5322();
        let id = hexadecimal(&self.context.chance.octets::<16>());
        let host = from.host();
        format!("Date: {now}\r\nMessage-ID: <{id}@{host}>\r\nAuto-Submitted: auto-generated\r\n")
    }
}

async fn hand_over(
    context: &AdminContext,
    outbound: &Outbound,
    host: &HostPort,
    transaction: Transaction,
    content: &[u8],
) -> Result<(), String> {
    let address = match &host.host {
        Host::Literal(address) => SocketAddr::new(*address, host.port),
        Host::Domain(domain) => address_of(outbound, domain, host.port).await?,
    };
    let clock = &context.clock;
    let dial = outbound.network.dial(address, None);
    let dialled = clock.within(clock.moment() + CONNECT_TIMEOUT, dial).await;
    let stream = dialled.map_err(|_| format!("{address}: no answer"))?;
    let stream = stream.map_err(|error| format!("{address}: {error}"))?;
    let connector = OutboundConnector::new("alerts");
    let demand = Demand::of(&connector);
    let opening = Opening {
        config: ClientConfig {
            hostname: outbound.greeting_name.as_str().into(),
            protocol: Protocol::Smtp,
        },
        host: &host.host,
        demand: &demand,
        tested: None,
        implicit_tls: host.implicit_tls,
        tls: &outbound.tls,
        login: None,
        login_in_clear: false,
        chance: &context.chance,
        port: host.port,
        transcript: None,
    };
    let session = HopSession::open(stream, &opening, clock.clone()).await;
    let mut session = session.map_err(|unused| match &unused.reply {
        Some(reply) => format!("it said {reply}"),
        None => format!("it gave no session: {}", unused.words),
    })?;
    let done = converse(context, &mut session, transaction, content).await;
    session.quit().await;
    done
}

async fn address_of(outbound: &Outbound, domain: &Domain, port: u16) -> Result<SocketAddr, String> {
    let found = outbound.network.resolver().addresses(domain).await;
    let found = found.map_err(|error| error.to_string())?.records;
    let first = found
        .first()
        .ok_or_else(|| format!("{domain} has no address"))?;
    Ok(SocketAddr::new(*first, port))
}

async fn converse(
    context: &AdminContext,
    session: &mut HopSession,
    transaction: Transaction,
    content: &[u8],
) -> Result<(), String> {
    let end = context.clock.moment() + MAIL_TIMEOUT;
    let recipients = transaction.envelope.recipients.len();
    session.begin_wait();
    session.client().begin(transaction);
    loop {
        match session.client().step() {
            ClientStep::Read(stage) => session.exchange(stage, recipients, end).await,
            ClientStep::Content => {
                session.client().write_content(content);
                session.client().end_content();
            }
            ClientStep::Finished(result) => {
                let refused = result.recipients.iter().find_map(|one| match one {
                    RecipientResult::Accepted { .. } => None,
                    RecipientResult::Refused { reply, .. } => Some(format!("it said {reply}")),
                    RecipientResult::Unsuited(_) | RecipientResult::Broken { .. } => {
                        Some("it broke off".to_owned())
                    }
                });
                return refused.map_or(Ok(()), Err);
            }
            ClientStep::Ready | ClientStep::Handshake | ClientStep::Closed(_) => {
                return Err(session.trouble().unwrap_or_else(|| "it closed".to_owned()));
            }
        }
    }
}
