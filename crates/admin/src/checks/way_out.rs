//! The way out: DNS, the targets of port 25, smart hosts.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;

use relais_net::hop::{HopSession, Opening, Transcript};
use relais_net::resolver::{DnsError, Dnssec};
use relais_policy::check::{self, Check, ClockFact, Needs, Probe, WalkFact};
use relais_policy::desk::Words;
use relais_policy::document::{ConnectorState, Organisation, OutboundConnector};
use relais_policy::encryption::Demand;
use relais_policy::settings::{HostPort, SMTP_PORT};
use relais_smtp::address::{Host, Mailbox, ReversePath};
use relais_smtp::client::{ClientConfig, Protocol};
use relais_smtp::domain::Domain;

use super::CHECK_BUDGET;
use crate::context::{AdminContext, Outbound};
use crate::walk::Walk;

/// A server on the next continent answers within a second; one that does not within this time is
/// behind a wall.
const PROBE_TIMEOUT: Duration = Duration::from_secs(6);
/// Targets that are asked.
const PROBES_MAX: usize = 8;
/// Connectors whose smart hosts are walked.
const CONNECTORS_MAX: usize = 16;

/// The name servers, and whether they validate.
pub(super) async fn names(context: &AdminContext) -> Vec<Check> {
    let Some(dns) = &context.dns else {
        return Vec::new();
    };
    let name = targets(context)
        .into_iter()
        .find_map(|(_, host)| match host.host {
            Host::Domain(domain) => Some(domain),
            Host::Literal(_) => None,
        });
    let Some(name) = name.or_else(|| Domain::parse(&context.hostname).ok()) else {
        return Vec::new();
    };
    let began = context.clock.moment();
    let asked = dns.resolver.addresses(&name);
    let until = began + CHECK_BUDGET;
    let (answer, dnssec) = tokio::join!(
        context.clock.within(until, asked),
        context.clock.within(until, dns.resolver.dnssec())
    );
    let took = context.clock.moment().saturating_duration_since(began);
    let answered = match answer {
        // "No" is an answer too.
        Ok(Ok(_) | Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_))) => Ok(took),
        Ok(Err(error @ DnsError::Temporary { .. })) => Err(error.to_string()),
        Err(_) => Err(format!("none within {} s", CHECK_BUDGET.as_secs())),
    };
    let validated = match dnssec {
        Ok(Dnssec::Validated) => Some(true),
        Ok(Dnssec::NotValidated | Dnssec::NotBelieved) => Some(false),
        Ok(Dnssec::Unknown(_)) | Err(_) => None,
    };
    vec![check::resolver(&answered), check::dnssec(validated)]
}

/// The configured targets, as typed and as read.
fn targets(context: &AdminContext) -> Vec<(String, HostPort)> {
    let texts = context
        .premises
        .iter()
        .flat_map(|premises| &premises.port25_probes);
    let read = |text: &String| Some((text.clone(), HostPort::parse(text, SMTP_PORT)?));
    texts.filter_map(read).take(PROBES_MAX).collect()
}

/// Both families apart; and the addresses that servers call us by.
pub(super) async fn port_25(context: &AdminContext, needs: Needs) -> (Vec<Check>, Vec<IpAddr>) {
    let Some(outbound) = &context.outbound else {
        return (Vec::new(), Vec::new());
    };
    let targets = targets(context);
    let probes = targets
        .iter()
        .map(|(text, host)| probe(context, outbound, text, host));
    let probes = join_all(probes).await;
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for (of_four, of_six) in probes {
        four.push(of_four);
        six.push(of_six);
    }
    let all = four.iter().chain(&six).map(|found| &found.probe);
    let mut told: Vec<_> = all.filter_map(|probe| probe.seen_as).collect();
    told.sort_unstable();
    told.dedup();
    let time = four
        .iter()
        .chain(&six)
        .find_map(|found| found.ahead.clone());
    let plain = |all: Vec<Found>| all.into_iter().map(|found| found.probe).collect::<Vec<_>>();
    let configured: Vec<_> = context.site.egress().collect();
    let mut found = vec![
        check::port_25(true, &plain(four), needs),
        check::port_25(false, &plain(six), needs),
        check::public_address(&told, &configured, needs),
    ];
    if let Some((ahead, server)) = time {
        found.push(check::clock(&ClockFact::Compared(ahead, server)));
    }
    (found, told)
}

/// One target's answer.
struct Found {
    probe: Probe,
    /// Milliseconds that our clock is ahead of the server's, where its greeting tells the time.
    ahead: Option<(i64, String)>,
}

async fn probe(
    context: &AdminContext,
    outbound: &Outbound,
    text: &str,
    host: &HostPort,
) -> (Found, Found) {
    let addresses = match &host.host {
        Host::Literal(address) => vec![*address],
        Host::Domain(domain) => {
            let until = context.clock.moment() + PROBE_TIMEOUT;
            let asked = outbound.network.resolver().addresses(domain);
            let answer = context.clock.within(until, asked).await;
            answer
                .ok()
                .and_then(Result::ok)
                .map(|it| it.records)
                .unwrap_or_default()
        }
    };
    let of = async |is_ipv4: bool| {
        let address = addresses.iter().copied().find(|it| it.is_ipv4() == is_ipv4);
        let none = Probe {
            target: text.to_owned(),
            address,
            answered: Err("no address".to_owned()),
            seen_as: None,
        };
        match address {
            Some(address) => {
                let to = SocketAddr::new(address, host.port);
                greet(context, outbound, to, (none, host)).await
            }
            None => Found {
                probe: none,
                ahead: None,
            },
        }
    };
    tokio::join!(of(true), of(false))
}

/// As far as the answer to EHLO, then QUIT.
async fn greet(
    context: &AdminContext,
    outbound: &Outbound,
    to: SocketAddr,
    (mut probe, host): (Probe, &HostPort),
) -> Found {
    let transcript = Transcript::default();
    let talk = async {
        let stream = outbound.network.dial(to, None).await;
        let stream = stream.map_err(|error| error.kind().to_string())?;
        let opening = Opening {
            config: ClientConfig {
                hostname: outbound.greeting_name.as_str().into(),
                protocol: Protocol::Smtp,
            },
            host: &host.host,
            demand: &Demand::Clear,
            tested: None,
            implicit_tls: false,
            tls: &outbound.tls,
            login: None,
            login_in_clear: false,
            chance: &context.chance,
            port: host.port,
            transcript: Some(transcript.clone()),
        };
        match HopSession::open(stream, &opening, context.clock.clone()).await {
            Ok(session) => {
                session.quit().await;
                Ok(())
            }
            // A server that answers, even to turn us away, was reached.
            Err(unused) if unused.reply.is_some() => Ok(()),
            Err(unused) => Err(unused.words.clone()),
        }
    };
    let until = context.clock.moment() + PROBE_TIMEOUT;
    let talked = context.clock.within(until, talk).await;
    probe.answered = talked.unwrap_or_else(|_| Err("no answer".to_owned()));
    let lines = transcript.lines();
    let mut heard = lines.iter().filter_map(|line| line.strip_prefix("< 2"));
    probe.seen_as = heard.clone().find_map(check::seen_address);
    let now = context.clock.now();
    let said = heard.next().and_then(check::told_time);
    let ahead = said.map(|said| (now.as_millis() - said.as_millis(), probe.target.clone()));
    Found { probe, ahead }
}

/// Each smart host of each connector in use, walked as far as RCPT.
pub(super) async fn smart_hosts(context: &AdminContext) -> Vec<Check> {
    let Some(outbound) = &context.outbound else {
        return Vec::new();
    };
    let settings = context.store.settings();
    let organisations = settings.document.organisation.iter();
    let connectors = organisations.flat_map(|one| {
        let connectors = one.outbound_connector.iter();
        connectors.map(move |connector| (one, connector))
    });
    let in_use = connectors.filter(|(_, connector)| {
        connector.state == ConnectorState::Enabled && !connector.smart_hosts.is_empty()
    });
    let walks = in_use
        .take(CONNECTORS_MAX)
        .map(|(organisation, connector)| walk(context, outbound, organisation, connector));
    join_all(walks).await.into_iter().flatten().collect()
}

/// From and to whom it is asked: the person who gets our notices.
fn asked_about(organisation: &Organisation) -> Option<Mailbox> {
    let postmaster = Mailbox::parse(&organisation.postmaster).ok();
    let domain = organisation.domain.first();
    postmaster.or_else(|| Mailbox::parse(&format!("postmaster@{}", domain?.name)).ok())
}

async fn walk(
    context: &AdminContext,
    outbound: &Outbound,
    organisation: &Organisation,
    connector: &OutboundConnector,
) -> Vec<Check> {
    let Some(mailbox) = asked_about(organisation) else {
        return Vec::new();
    };
    let walk = Walk {
        context,
        outbound,
        organisation: organisation.name.as_str().into(),
        connector,
        from: ReversePath::Mailbox(mailbox.clone()),
        to: mailbox,
        // Only whoever runs the installation has these checks made.
        allow_private: outbound.allow_private || !connector.public_hosts_only,
    };
    let until = context.clock.moment() + CHECK_BUDGET;
    let fact = |host: &str, failed: Option<(String, String)>, advice| {
        check::smart_host(&WalkFact {
            connector: connector.name.clone(),
            host: host.to_owned(),
            failed,
            advice,
        })
    };
    let Ok(walked) = Box::pin(context.clock.within(until, walk.walk())).await else {
        let failed = (
            "tcp".to_owned(),
            format!("no answer within {} s", CHECK_BUDGET.as_secs()),
        );
        let host = connector
            .smart_hosts
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        return vec![fact(host, Some(failed), None)];
    };
    let hosts = walked["hosts"].as_array().into_iter().flatten();
    let judged = hosts.map(|host| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let steps = host["steps"].as_array().into_iter().flatten();
        let bad = steps.into_iter().find(|step| step["ok"] == false);
        let words = |value: &serde_json::Value| Words::new(text(&value["en"]), text(&value["fr"]));
        let advice = bad.filter(|step| step["cause"].is_object());
        fact(
            &text(&host["host"]),
            bad.map(|step| (text(&step["step"]), text(&step["detail"]))),
            advice.map(|step| (words(&step["cause"]), words(&step["fix"]))),
        )
    });
    judged.collect()
}
