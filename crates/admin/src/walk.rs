//! `connector outbound test`: each smart host of a connector walked step by step, as far as RCPT;
//! nothing is delivered.
//!
//! It dials by itself: sessions that deliver are not asked, and what it learns of a login ends that
//! login's rest.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use relais_net::hop::{HopSession, Opening, Transcript, Unused};
use relais_net::login::{Login, LoginFault};
use relais_policy::document::OutboundConnector;
use relais_policy::encryption::Demand;
use relais_policy::known_refusal::known_refusal;
use relais_policy::route::{MxHosts, is_public_destination, mx_hosts};
use relais_policy::settings::HostPort;
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::client::{ClientConfig, Protocol, Stage};
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};
use relais_smtp::reply::Reply;

use crate::context::{AdminContext, Outbound};

/// RFC 5321 names no time for TCP; a person waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Of each host in all: a person waits.
const HOST_TIMEOUT: Duration = Duration::from_secs(60);
/// Hosts walked.
const HOSTS_MAX: usize = 5;

/// What is walked.
pub(crate) struct Walk<'a> {
    pub(crate) context: &'a AdminContext,
    pub(crate) outbound: &'a Outbound,
    pub(crate) organisation: Arc<str>,
    pub(crate) connector: &'a OutboundConnector,
    pub(crate) from: ReversePath,
    pub(crate) to: Mailbox,
    /// Whether whoever asks may have private addresses dialled that are typed.
    pub(crate) allow_private: bool,
}

/// The steps, in order.
const STEPS: [&str; 7] = ["tcp", "tls", "ehlo", "auth", "mail", "rcpt", "rset"];

/// One host's report.
#[derive(Default)]
struct Report {
    steps: Vec<Value>,
    failed: bool,
}

impl Report {
    fn good(&mut self, step: &str, detail: impl Into<String>) {
        self.steps
            .push(json!({ "step": step, "ok": true, "detail": detail.into() }));
    }

    /// With cause and fix where they are known; the steps behind it are not walked.
    fn bad(&mut self, step: &str, detail: impl Into<String>, known: Option<Advice>) {
        let mut value = json!({ "step": step, "ok": false, "detail": detail.into() });
        if let Some(known) = known {
            value["cause"] = json!(known.cause);
            value["fix"] = json!(known.fix);
        }
        self.steps.push(value);
        self.failed = true;
    }
}

/// In English and French.
struct Advice {
    cause: Value,
    fix: Value,
}

fn advice(stage: Stage, reply: &Reply) -> Option<Advice> {
    let known = known_refusal(stage, reply)?;
    Some(Advice {
        cause: json!({ "en": known.cause.en, "fr": known.cause.fr }),
        fix: json!({ "en": known.fix.en, "fr": known.fix.fr }),
    })
}

fn port_25_is_blocked() -> Advice {
    Advice {
        cause: json!({
            "en": "No answer on port 25: most providers block it on the way out.",
            "fr": "Pas de réponse sur le port 25\u{202f}: la plupart des fournisseurs le bloquent en sortie.",
        }),
        fix: json!({
            "en": "Have port 25 opened, or use a smart host on port 587 or 465.",
            "fr": "Faites ouvrir le port 25, ou utilisez un hôte intelligent sur le port 587 ou 465.",
        }),
    }
}

impl Walk<'_> {
    /// All hosts.
    pub(crate) async fn walk(&self) -> Value {
        let mut hosts = Vec::new();
        match self.hosts().await {
            Ok(found) => {
                for host in found.iter().take(HOSTS_MAX) {
                    hosts.push(self.host(host).await);
                }
            }
            Err(why) => hosts.push(json!({
                "host": null,
                "ok": false,
                "steps": [{ "step": "dns", "ok": false, "detail": why }],
                "transcript": [],
            })),
        }
        let ok = !hosts.is_empty() && hosts.iter().all(|host| host["ok"] == true);
        json!({
            "connector": self.connector.name,
            "organisation": &*self.organisation,
            "ok": ok,
            "hosts": hosts,
        })
    }

    /// Smart hosts, else the exchangers of the recipient's domain.
    async fn hosts(&self) -> Result<Vec<HostPort>, String> {
        let typed = &self.connector.smart_hosts;
        if !typed.is_empty() {
            let parsed = typed.iter().filter_map(|text| HostPort::parse(text, 25));
            return Ok(parsed.collect());
        }
        let Host::Domain(domain) = self.to.host() else {
            return Err("an address literal has no mail exchanger".to_owned());
        };
        let records = match self.outbound.network.resolver().mx(domain).await {
            Ok(answer) => answer.records,
            Err(relais_net::resolver::DnsError::NoRecords(_)) => Vec::new(),
            Err(error) => return Err(error.to_string()),
        };
        match mx_hosts(domain, &records, &[]) {
            MxHosts::Hosts(groups) => Ok(groups
                .into_iter()
                .flatten()
                .map(|host| HostPort {
                    host: Host::Domain(host),
                    port: self.outbound.smtp_port,
                    implicit_tls: false,
                })
                .collect()),
            MxHosts::NullMx => Err(format!("domain {domain} takes no mail (null MX)")),
            MxHosts::OnlyOurselves => Err(format!("domain {domain} has no other exchanger")),
        }
    }

    async fn host(&self, host: &HostPort) -> Value {
        let transcript = Transcript::default();
        let mut report = Report::default();
        let until = self.context.clock.moment() + HOST_TIMEOUT;
        let walked = self.steps(host, &transcript, &mut report);
        if self.context.clock.within(until, walked).await.is_err() {
            let step = STEPS.get(report.steps.len()).copied().unwrap_or("rset");
            report.bad(step, "no answer within a minute", None);
        }
        json!({
            "host": host.to_string(),
            "ok": !report.failed,
            "steps": report.steps,
            "transcript": transcript.lines(),
        })
    }

    async fn steps(&self, host: &HostPort, transcript: &Transcript, report: &mut Report) {
        let login = self
            .outbound
            .logins
            .for_test(&self.organisation, self.connector);
        let login = login.await;
        let address = match self.address(host).await {
            Ok(address) => address,
            Err(why) => return report.bad("tcp", why, None),
        };
        let clock = &self.context.clock;
        let dial = self.outbound.network.dial(address, None);
        let dialled = clock.within(clock.moment() + CONNECT_TIMEOUT, dial).await;
        let stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return report.bad("tcp", format!("{address}: {error}"), None),
            Err(_) => {
                let known = (address.port() == 25).then(port_25_is_blocked);
                return report.bad("tcp", format!("{address}: no answer"), known);
            }
        };
        report.good("tcp", address.to_string());
        let login = match login {
            Ok(login) => login,
            Err(fault) => return report.bad("auth", fault.to_string(), None),
        };
        let demand = Demand::of(self.connector);
        let identity = login.as_ref().and_then(|login| login.identity.as_ref());
        let tls = identity.map(|identity| self.outbound.tls.with_identity(identity));
        let opening = Opening {
            config: ClientConfig {
                hostname: self.outbound.greeting_name.as_str().into(),
                protocol: Protocol::Smtp,
            },
            host: &host.host,
            demand: &demand,
            implicit_tls: host.implicit_tls,
            tls: tls.as_ref().unwrap_or(&self.outbound.tls),
            login: login.as_ref(),
            login_in_clear: demand == Demand::Clear && !is_public_destination(address.ip()),
            chance: &self.context.chance,
            port: host.port,
            tested: None,
            transcript: Some(transcript.clone()),
        };
        match HopSession::open(stream, &opening, clock.clone()).await {
            Ok(session) => self.behind_login(session, login.as_ref(), report).await,
            Err(unused) => not_opened(&unused, report),
        }
    }

    async fn address(&self, host: &HostPort) -> Result<SocketAddr, String> {
        let typed = !self.connector.smart_hosts.is_empty();
        let allowed = |address: &&IpAddr| {
            let private = match typed {
                true => self.allow_private,
                false => self.outbound.allow_private,
            };
            private || is_public_destination(**address)
        };
        let domain = match &host.host {
            Host::Literal(address) => {
                let first = Some(address).filter(allowed);
                return first
                    .map(|address| SocketAddr::new(*address, host.port))
                    .ok_or_else(|| format!("{address} is an address that may not be reached"));
            }
            Host::Domain(domain) => domain,
        };
        let found = self.outbound.network.resolver().addresses(domain).await;
        let found = found.map_err(|error| error.to_string())?.records;
        let first = found.iter().find(allowed);
        first
            .map(|address| SocketAddr::new(*address, host.port))
            .ok_or_else(|| format!("{domain} has no address that may be reached"))
    }

    async fn behind_login(
        &self,
        mut session: HopSession,
        login: Option<&Login>,
        report: &mut Report,
    ) {
        report.good(
            "tls",
            session.tls().map_or_else(
                || match session.clear_because() {
                    Some(fault) => format!("clear text: {fault}"),
                    None => "clear text".to_owned(),
                },
                |tls| {
                    format!(
                        "{} {}, verified: {}",
                        tls.version,
                        tls.cipher,
                        tls.verified.word()
                    )
                },
            ),
        );
        report.good("ehlo", "");
        let detail = match login {
            None => "no login asked for".to_owned(),
            Some(_) if session.seen().login().is_some() => {
                self.outbound
                    .logins
                    .believed(&self.organisation, &self.connector.name);
                format!("logged in as {:?}", self.connector.auth.user)
            }
            Some(_) => "by certificate".to_owned(),
        };
        report.good("auth", detail);
        let envelope = Envelope {
            reverse_path: self.from.clone(),
            parameters: SenderParameters::default(),
            recipients: vec![EnvelopeRecipient::new(self.to.clone())],
        };
        let probed = session.probe(envelope).await;
        for answer in &probed {
            let step = answer.command.to_ascii_lowercase();
            let stage = if answer.command == "RCPT" {
                Stage::Recipient
            } else {
                Stage::Sender
            };
            if answer.reply.code().is_positive() {
                report.good(&step, answer.reply.to_string());
            } else {
                let known = advice(stage, &answer.reply);
                report.bad(&step, answer.reply.to_string(), known);
            }
        }
        if probed.last().is_none_or(|last| last.command != "RSET") {
            let why = session.trouble().unwrap_or_else(|| "it closed".to_owned());
            report.bad("rset", why, None);
        }
        session.quit().await;
    }
}

fn not_opened(unused: &Unused, report: &mut Report) {
    let step = match unused.stage {
        Stage::Connect | Stage::Greeting | Stage::Hello => "ehlo",
        Stage::StartTls => "tls",
        Stage::Auth => "auth",
        Stage::Sender | Stage::Recipient | Stage::Data | Stage::Content => "mail",
    };
    if step == "auth" {
        report.good("tls", "as demanded");
        report.good("ehlo", "");
    }
    let reply = match &unused.login {
        Some(LoginFault::Refused { reply, .. }) => Some(reply),
        _ => unused.reply.as_ref(),
    };
    let known = reply.and_then(|reply| advice(unused.stage, reply));
    let detail = match (&unused.reply, unused.words.is_empty()) {
        (Some(reply), _) => reply.to_string(),
        (None, false) => unused.words.clone(),
        (None, true) => "it closed".to_owned(),
    };
    report.bad(step, detail, known);
}
