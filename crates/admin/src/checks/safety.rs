//! What others could do through us: the self-test for open relaying, and what settings allow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;

use relais_net::hop::{HopSession, Opening, Transcript};
use relais_policy::adopt::SELF_TEST_HELO;
use relais_policy::check::{self, Check};
use relais_policy::encryption::Demand;
use relais_policy::simulate::simulate;
use relais_smtp::address::{ForwardPath, Host, Mailbox, ReversePath};
use relais_smtp::client::{ClientConfig, Protocol};
use relais_smtp::envelope::{Envelope, EnvelopeRecipient, SenderParameters};

use super::now;
use crate::context::{AdminContext, Door, Outbound, Phase};
use crate::permission::Role;

/// One session on this machine.
const SESSION_TIMEOUT: Duration = Duration::from_secs(8);
/// Whom a listener behind a proxy is told to see: an address for documentation.
const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

/// The self-test's results, with its date, for whoever must show them. Kept as JSON.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Evidence {
    /// When, RFC 3339.
    pub(crate) time: String,
    /// What the decisions in force said to each stranger.
    pub(crate) decisions: Vec<Decided>,
    /// What each listener said.
    pub(crate) sessions: Vec<Tried>,
}

/// One stranger.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Decided {
    pub(crate) stranger: String,
    pub(crate) stranger_fr: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) verdict: String,
    pub(crate) reply: Option<String>,
}

/// One listener.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Tried {
    pub(crate) listener: SocketAddr,
    pub(crate) reply: String,
    pub(crate) lines: Vec<String>,
}

/// Everything of this group; the evidence is kept besides.
pub(super) async fn look(context: &AdminContext) -> Vec<Check> {
    let settings = context.store.settings();
    let mut evidence = Evidence {
        time: now(context).to_rfc3339(),
        ..Evidence::default()
    };
    let mut found = vec![
        decisions(context, &mut evidence),
        check::ranges(&settings),
        check::limits(&settings),
        check::clear_logins(&settings),
    ];
    if let Ok(people) = context.people.list(&context.store).await {
        let owners = people.iter().filter(|one| one.role == Role::Owner).count();
        found.push(check::second_administrator(owners));
    }
    let backup = super::kept::last_backup(&context.store).await;
    let age = backup.map(|time| now(context).since(time));
    found.push(check::last_backup(age));
    found.extend(sessions(context, &mut evidence).await);
    if context.readiness.phase() != Phase::NotRunning
        && let Err(error) = super::kept::keep_evidence(context, &evidence).await
    {
        tracing::warn!(%error, "the evidence of the open-relay self-test is not kept");
    }
    found
}

fn decisions(context: &AdminContext, evidence: &mut Evidence) -> Check {
    let (settings, restrictions) = (context.store.settings(), context.store.restrictions());
    let in_force = restrictions.in_force(now(context));
    let strangers = check::strangers(&settings, &context.hostname).into_iter();
    let answers: Vec<_> = strangers
        .map(|stranger| {
            let reference = context.chance.reference();
            let answer = simulate(&settings, &in_force, &stranger.question, reference);
            (stranger, answer)
        })
        .collect();
    let decided = answers.iter().map(|(stranger, answer)| {
        let to = match &stranger.question.forward_path {
            ForwardPath::Postmaster => "postmaster".to_owned(),
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
        };
        Decided {
            stranger: stranger.name.0.to_owned(),
            stranger_fr: stranger.name.1.to_owned(),
            from: stranger.question.reverse_path.to_string(),
            to,
            verdict: answer.verdict.to_owned(),
            reply: answer.reply.clone(),
        }
    });
    evidence.decisions = decided.collect();
    check::open_relay(&settings, &answers)
}

/// A real session through each listener for mail.
async fn sessions(context: &AdminContext, evidence: &mut Evidence) -> Vec<Check> {
    let (Some(premises), Some(outbound)) = (&context.premises, &context.outbound) else {
        return Vec::new();
    };
    let doors = premises.doors.iter().filter(|door| door.takes_mail);
    let tried = join_all(doors.map(|door| session(context, outbound, door))).await;
    let mut found = Vec::new();
    for (listener, answered, lines) in tried {
        evidence.sessions.push(Tried {
            listener,
            reply: match &answered {
                Ok((_, reply)) => reply.clone(),
                Err(because) => because.clone(),
            },
            lines,
        });
        found.push(check::open_relay_session(listener, &answered));
    }
    found
}

type Answered = Result<(bool, String), String>;

async fn session(
    context: &AdminContext,
    outbound: &Outbound,
    door: &Door,
) -> (SocketAddr, Answered, Vec<String>) {
    let transcript = Transcript::default();
    let until = context.clock.moment() + SESSION_TIMEOUT;
    let talk = knock(context, outbound, door, &transcript);
    let answered = context.clock.within(until, talk).await;
    let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    (door.address, answered, transcript.lines())
}

/// A listener on every address is reached by loopback.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let address = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(address, listens.port())
}

/// RCPT is answered, or what came before it; nothing is ever sent.
async fn knock(
    context: &AdminContext,
    outbound: &Outbound,
    door: &Door,
    transcript: &Transcript,
) -> Answered {
    let to = reachable(door.address);
    let stream = outbound.network.dial(to, None).await;
    let mut stream = stream.map_err(|error| error.kind().to_string())?;
    if door
        .proxies
        .iter()
        .any(|network| network.contains(&to.ip()))
    {
        let header = format!("PROXY TCP4 {STRANGER} 192.0.2.25 40000 25\r\n");
        let written = stream.write_all(header.as_bytes()).await;
        written.map_err(|error| error.kind().to_string())?;
    }
    let host = Host::Literal(to.ip());
    let demand = if door.implicit_tls {
        Demand::Encryption
    } else {
        Demand::Clear
    };
    let opening = Opening {
        config: ClientConfig {
            hostname: SELF_TEST_HELO.into(),
            protocol: Protocol::Smtp,
        },
        host: &host,
        demand: &demand,
        tested: None,
        implicit_tls: door.implicit_tls,
        tls: &outbound.tls,
        login: None,
        login_in_clear: false,
        chance: &context.chance,
        port: to.port(),
        transcript: Some(transcript.clone()),
    };
    let opened = HopSession::open(stream, &opening, context.clock.clone()).await;
    let mut session = match opened {
        Ok(session) => session,
        Err(unused) => {
            let reply = unused.reply.as_ref().map(ToString::to_string);
            // Turned away at the door: nobody gets anything out by it.
            return match reply {
                Some(reply) => Ok((false, reply)),
                None => Err(unused.words.clone()),
            };
        }
    };
    let mailbox = |text: &str| Mailbox::parse(text).map_err(|error| error.to_string());
    let envelope = Envelope {
        reverse_path: ReversePath::Mailbox(mailbox("stranger@example.org")?),
        parameters: SenderParameters::default(),
        recipients: vec![EnvelopeRecipient::new(mailbox("victim@example.net")?)],
    };
    let probed = session.probe(envelope).await;
    session.quit().await;
    let rcpt = probed.iter().find(|one| one.command == "RCPT");
    let said = rcpt.or_else(|| probed.iter().find(|one| !one.reply.code().is_positive()));
    let said = said.ok_or_else(|| "it closed".to_owned())?;
    let is_taken = said.command == "RCPT" && said.reply.code().is_positive();
    Ok((is_taken, said.reply.to_string()))
}
