//! The whole decision for one imagined message, step by step, by the same functions that decide
//! real mail: what `relais simulate` prints before it happens.
//!
//! Steps stand in the order in which a device meets them, so that the first refusal here is the
//! reply that it would get. Not here: DNS answers about the domains of sender and recipient.

use std::collections::BTreeMap;

use serde::Serialize;

use relais_smtp::address::{ForwardPath, Host, Mailbox, ReversePath};
use relais_smtp::header::FromField;
use relais_smtp::identifier::Reference;
use relais_smtp::refusal::Refusal;

use crate::attribution::{Attribution, Facts, attribute};
use crate::bounce::{BounceToken, TokenFault};
use crate::document::{ConnectorState, InboundTls};
use crate::licence::{Observed, SenderKind, licences_of};
use crate::login::may_log_in;
use crate::permission::{
    HeaderFromVerdict, RecipientPermit, SenderPermit, header_from, may_deliver_to, may_send,
    may_send_now,
};
use crate::restriction::{self, InForce};
use crate::route::{Route, RouteKind, RouteSource, route};
use crate::sender;
use crate::settings::Settings;
use crate::signing::{Signer, Signing, signing};

/// Stands in an imagined reply where a real one has its reference: nothing was refused, so there
/// is nothing to be found. It reads `XXXXX`.
pub const NO_REFERENCE: Reference = Reference::from_bits(0x1de_f7bd);

/// The imagined message.
#[derive(Clone, Debug)]
pub struct Question {
    /// The imagined client.
    pub facts: Facts,
    /// MAIL.
    pub reverse_path: ReversePath,
    /// RCPT.
    pub forward_path: ForwardPath,
    /// Header From; default: the reverse-path.
    pub header_from: Option<Mailbox>,
    /// Octets.
    pub size: Option<u64>,
    /// The server's own size limit in octets.
    pub size_octets_max: u64,
    /// What the recipient at a bounce domain says, once somebody with the keys has read it.
    pub returned: Option<Result<BounceToken, TokenFault>>,
    /// Who sent of late, by organisation: for those whose licences are counted.
    pub senders: BTreeMap<String, Observed>,
}

/// The JSON of `relais simulate`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Answer {
    /// `permit` or `refuse`.
    pub verdict: &'static str,
    /// The token of a refusal.
    pub token: Option<&'static str>,
    /// The reply of a refusal.
    pub reply: Option<String>,
    /// The client's organisation; for a permitted stranger, the recipient's.
    pub organisation: Option<String>,
    /// The connector attributed.
    pub inbound_connector: Option<String>,
    /// The connector by which it would leave.
    pub outbound_connector: Option<String>,
    /// The route, if it would leave.
    pub route: Option<RouteAnswer>,
    /// Domains that would sign: none while no key of them is in DNS.
    pub signed_by: Vec<String>,
    /// Each question with its answer.
    pub steps: Vec<SimulationStep>,
}

/// `{"kind":"smart-host","hosts":[…]}`; kinds: `mailbox-host`, `smart-host`, `mx`, `literal`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RouteAnswer {
    /// The kind.
    pub kind: &'static str,
    /// Hosts as typed; the domain for `mx`.
    pub hosts: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SimulationStep {
    /// `login`, `attribution`, `restricted`, `tls`, `sender`, `hours`, `licence`, `size`,
    /// `recipient`, `header-from`, `route`, `signing`.
    pub question: &'static str,
    /// What was found.
    pub answer: String,
    /// Why.
    pub because: String,
}

/// Decides.
pub fn simulate(
    settings: &Settings,
    restricted: &InForce<'_>,
    question: &Question,
    reference: Reference,
) -> Answer {
    let attribution = attribute(settings, &question.facts);
    let mut simulation = Simulation {
        settings,
        restricted,
        question,
        attribution,
        reverse_path: question.reverse_path.clone(),
        header_from: question.header_from.clone(),
        steps: Vec::new(),
    };
    let found = simulation.attribution.connector();
    let outcome = simulation.run();
    let mut answer = Answer {
        verdict: "permit",
        token: None,
        reply: None,
        organisation: found.map(|found| found.organisation.name.clone()),
        inbound_connector: found.map(|found| found.connector.name.clone()),
        outbound_connector: None,
        route: None,
        signed_by: Vec::new(),
        steps: simulation.steps,
    };
    match outcome {
        Ok((organisation, route, signed_by)) => {
            answer.signed_by = signed_by;
            answer.organisation = Some(organisation);
            answer.route = Some(route_answer(&route));
            answer.outbound_connector = route.outbound_connector;
        }
        Err(refusal) => {
            answer.verdict = "refuse";
            answer.token = Some(refusal.token());
            answer.reply = Some(refusal.reply(reference).to_string());
        }
    }
    answer
}

struct Simulation<'a> {
    settings: &'a Settings,
    restricted: &'a InForce<'a>,
    question: &'a Question,
    attribution: Attribution<'a>,
    /// As it is from MAIL on: the connector may have put another address in its place.
    reverse_path: ReversePath,
    /// The same.
    header_from: Option<Mailbox>,
    steps: Vec<SimulationStep>,
}

impl Simulation<'_> {
    /// The organisation of the message and its route, or the first refusal.
    fn run(&mut self) -> Result<(String, Route, Vec<String>), Refusal> {
        self.login()?;
        let sender = self.sender()?;
        self.licence()?;
        self.size(&sender)?;
        let recipient = self.recipient()?;
        self.header_from()?;
        let source = RouteSource::of(
            self.settings,
            &recipient.organisation,
            self.attribution
                .connector()
                .map(|found| found.connector.name.as_str()),
            self.reverse_path.domain(),
        );
        let host = recipient.mailbox.host();
        let route = route(self.settings, &recipient.organisation, host, &source);
        let answer = route_answer(&route);
        let because = route.because.clone();
        self.step(
            "route",
            format!("{} {}", answer.kind, answer.hosts.join(", ")),
            because,
        );
        let signed_by = self.signing(&recipient.organisation);
        Ok((recipient.organisation, route, signed_by))
    }

    fn step(&mut self, question: &'static str, answer: String, because: impl Into<String>) {
        self.steps.push(SimulationStep {
            question,
            answer,
            because: because.into(),
        });
    }

    fn refused(&mut self, question: &'static str, refusal: Refusal) -> Refusal {
        self.step(
            question,
            format!("refused ({})", refusal.token()),
            refusal.text(),
        );
        refusal
    }

    /// Whether the user that was named may log in from there; the password is taken as right.
    fn login(&mut self) -> Result<(), Refusal> {
        let facts = &self.question.facts;
        let Some(user) = facts.credential.as_deref() else {
            return Ok(());
        };
        match may_log_in(self.settings, facts, user, self.restricted.now()) {
            Ok(because) => {
                self.step("login", user.to_owned(), because);
                Ok(())
            }
            Err(refusal) => Err(self.refused("login", refusal)),
        }
    }

    /// Attribution, TLS and reverse-path: one decision, told in up to three steps.
    fn sender(&mut self) -> Result<SenderPermit, Refusal> {
        let (settings, question) = (self.settings, self.question);
        let facts = &question.facts;
        let because = match &self.attribution {
            Attribution::Connector { found, because } => match found.connector.state {
                ConnectorState::Enabled => because.rule().to_owned(),
                ConnectorState::Observing => format!("{}; observing", because.rule()),
                ConnectorState::Disabled => format!("{}; disabled", because.rule()),
                ConnectorState::Draft => format!("{}; only a draft", because.rule()),
            },
            Attribution::FactorMissing { found, .. } => {
                format!(
                    "inbound connector {} demands every factor",
                    found.connector.name
                )
            }
            Attribution::Stranger => "no connector covers it".to_owned(),
        };
        self.step("attribution", self.attribution.describe(facts), because);
        restriction::may_use(self.restricted, &self.attribution, facts)
            .map_err(|refusal| self.refused("restricted", refusal))?;
        let verdict = may_send(settings, &self.attribution, facts, &question.reverse_path);
        let refusal = match verdict {
            Ok(permit) => {
                self.tls();
                let shown = match &permit.reverse_path {
                    ReversePath::Null => "<>".to_owned(),
                    ReversePath::Mailbox(mailbox) => mailbox.to_string(),
                };
                self.reverse_path = permit.reverse_path.clone();
                // The address that stands for another hides nobody.
                for sender in [&permit.reverse_path, &question.reverse_path] {
                    restriction::may_send_as(self.restricted, sender)
                        .map_err(|refusal| self.refused("restricted", refusal))?;
                }
                self.step("sender", shown, permit.because.clone());
                self.hours()?;
                return Ok(permit);
            }
            Err(refusal) => refusal,
        };
        let of_client = matches!(
            refusal,
            Refusal::AuthRequired
                | Refusal::SourceShared
                | Refusal::CertificateNoMatch { .. }
                | Refusal::CertificateExpired { .. }
                | Refusal::CertificateUntrusted { .. }
                | Refusal::ConnectorDisabled
        );
        if of_client {
            return Err(self.refused("attribution", refusal));
        }
        if refusal == Refusal::TlsRequired {
            return Err(self.refused("tls", refusal));
        }
        self.tls();
        Err(self.refused("sender", refusal))
    }

    /// Whether it may send at this time, where that is said.
    fn hours(&mut self) -> Result<(), Refusal> {
        let found = self.attribution.connector();
        let hours = found.map(|found| found.connector.sending_hours.clone());
        may_send_now(&self.attribution, self.restricted.now())
            .map_err(|refusal| self.refused("hours", refusal))?;
        if let Some(hours) = hours.filter(|hours| !hours.is_empty()) {
            self.step("hours", hours, "it is within them");
        }
        Ok(())
    }

    /// The seat of a person without a mailbox, where licences are counted.
    fn licence(&mut self) -> Result<(), Refusal> {
        let (settings, question) = (self.settings, self.question);
        let (Some(found), Some(mailbox)) = (
            self.attribution.connector(),
            self.reverse_path.mailbox().cloned(),
        ) else {
            return Ok(());
        };
        let organisation = &found.organisation.name;
        let Some(licences) = licences_of(settings, organisation) else {
            return Ok(());
        };
        let nobody = Observed::default();
        let observed = question.senders.get(organisation).unwrap_or(&nobody);
        let now = self.restricted.now();
        for sender in [&self.question.reverse_path, &self.reverse_path.clone()] {
            observed
                .may_send(settings, organisation, sender, now)
                .map_err(|refusal| self.refused("licence", refusal))?;
        }
        let kind = SenderKind::of(settings, organisation, &mailbox);
        let seats = observed.seats(settings, organisation, licences, now);
        let because = format!("{} of {} seats are held", seats.used, seats.seats);
        self.step("licence", kind.name().to_owned(), because);
        Ok(())
    }

    fn tls(&mut self) {
        let session = match self.question.facts.tls {
            Some(version) => format!("TLS {version}"),
            None => "clear".to_owned(),
        };
        let demand = match self
            .attribution
            .connector()
            .map(|found| found.connector.tls)
        {
            Some(InboundTls::Required) => "the connector requires TLS",
            Some(InboundTls::Offered) => "the connector offers TLS",
            Some(InboundTls::Off) => "the connector does without TLS",
            None => "no connector demands TLS",
        };
        self.step("tls", session, demand);
    }

    fn size(&mut self, sender: &SenderPermit) -> Result<(), Refusal> {
        let server = self.question.size_octets_max;
        let limit = sender.size_octets_max.map_or(server, |own| own.min(server));
        let because = format!("at most {limit} octets");
        match self.question.size {
            Some(size) if size > limit => Err(self.refused("size", Refusal::TooBig { limit })),
            Some(size) => {
                self.step("size", format!("{size} octets"), because);
                Ok(())
            }
            None => {
                self.step("size", "not given".to_owned(), because);
                Ok(())
            }
        }
    }

    fn recipient(&mut self) -> Result<RecipientPermit, Refusal> {
        let (facts, forward_path) = (&self.question.facts, &self.question.forward_path);
        let settings = self.settings;
        if let ForwardPath::Mailbox(mailbox) = forward_path
            && let Some(domain) = mailbox.domain()
            && let Some(owned) = settings.bounce_domain(domain)
        {
            return self.bounce(mailbox, &owned.organisation.name);
        }
        let verdict = may_deliver_to(self.settings, &self.attribution, facts, forward_path, None);
        match verdict {
            Ok(permit) => {
                let (organisation, mailbox) = (&permit.organisation, &permit.mailbox);
                restriction::may_deliver_to(self.restricted, organisation, mailbox)
                    .map_err(|refusal| self.refused("restricted", refusal))?;
                self.step(
                    "recipient",
                    permit.mailbox.to_string(),
                    permit.because.clone(),
                );
                Ok(permit)
            }
            Err(refusal) => Err(self.refused("recipient", refusal)),
        }
    }

    /// At a bounce domain only a signed address is taken, from anybody.
    fn bounce(
        &mut self,
        mailbox: &Mailbox,
        organisation: &str,
    ) -> Result<RecipientPermit, Refusal> {
        let because = match self.question.returned {
            Some(Ok(token)) => format!(
                "a signed envelope sender of {organisation}: about {}",
                token.queue_id
            ),
            Some(Err(fault)) => return Err(self.not_signed(&fault.to_string())),
            None => return Err(self.not_signed("its signature cannot be checked now")),
        };
        self.step("recipient", mailbox.to_string(), because.clone());
        Ok(RecipientPermit {
            because,
            mailbox: mailbox.clone(),
            organisation: organisation.to_owned(),
        })
    }

    fn not_signed(&mut self, because: &str) -> Refusal {
        let refusal = Refusal::RecipientUnknown;
        self.step(
            "recipient",
            format!("refused ({})", refusal.token()),
            because,
        );
        refusal
    }

    /// The domains that would sign it on the way out.
    fn signing(&mut self, organisation: &str) -> Vec<String> {
        let reverse_path = self.reverse_path.mailbox();
        let from = self.header_from.as_ref().or(reverse_path);
        let from = from.map(ToString::to_string);
        let signer = Signer {
            organisation,
            is_ours: self.attribution.connector().is_some(),
            is_notice: false,
            header_from: from.as_deref(),
            reverse_path: reverse_path.and_then(Mailbox::domain),
        };
        match signing(self.settings, &signer) {
            Signing::By { domain, keys } => {
                let keys: Vec<_> = keys.iter().map(|key| key.selector.as_str()).collect();
                self.step("signing", format!("by {domain}"), keys.join(", "));
                vec![domain.to_string()]
            }
            Signing::Withheld(domain) => {
                let because = "what is known of its keys cannot be read: relais dkim list";
                self.step(
                    "signing",
                    format!("waits to be signed by {domain}"),
                    because,
                );
                Vec::new()
            }
            Signing::Unsigned(unsigned) => {
                self.step("signing", "unsigned".to_owned(), unsigned.describe());
                Vec::new()
            }
        }
    }

    fn header_from(&mut self) -> Result<(), Refusal> {
        let question = self.question;
        let given = question.header_from.as_ref();
        let given = given.or(question.reverse_path.mailbox());
        let Some(from) = given.cloned() else {
            self.step("header-from", "not given".to_owned(), "nothing to compare");
            return Ok(());
        };
        let field = FromField::Addresses(vec![from.clone()]);
        let verdict = header_from(
            self.settings,
            &self.attribution,
            &question.facts,
            &self.reverse_path,
            &field,
        );
        let (answer, because) = match verdict {
            HeaderFromVerdict::Permit if self.attribution.connector().is_none() => {
                (from.to_string(), "not compared for strangers".to_owned())
            }
            HeaderFromVerdict::Permit => (from.to_string(), "in a verified domain".to_owned()),
            HeaderFromVerdict::Flag { domain } => (
                format!("{from}, flagged"),
                format!("{domain} is not verified"),
            ),
            HeaderFromVerdict::Repair { from: repaired } => {
                self.header_from = Some(repaired.clone());
                let connector = self.attribution.connector().map(|found| found.connector);
                let is_given = connector
                    .and_then(|one| sender::instead_of(one, &from))
                    .is_some();
                let because = match (is_given, sender::is_makeshift(&from)) {
                    (true, true) => "the connector puts it in the place of such senders".to_owned(),
                    (true, false) => {
                        format!("the connector's mail has it; {from} goes to Reply-To")
                    }
                    (false, _) => format!("{from} is not verified and goes to Reply-To"),
                };
                (format!("{repaired} instead of {from}"), because)
            }
            HeaderFromVerdict::Refuse(refusal) => {
                return Err(self.refused("header-from", refusal));
            }
        };
        self.step("header-from", answer, because);
        Ok(())
    }
}

fn route_answer(route: &Route) -> RouteAnswer {
    let (kind, hosts) = match &route.kind {
        RouteKind::Hosts(hosts) => {
            let kind = if route.outbound_connector.is_some() {
                "smart-host"
            } else {
                "mailbox-host"
            };
            (kind, hosts.iter().map(ToString::to_string).collect())
        }
        RouteKind::Mx { domain, .. } => ("mx", vec![domain.to_string()]),
        RouteKind::Literal(address) => ("literal", vec![Host::Literal(*address).to_string()]),
        RouteKind::Bounces => ("bounces", Vec::new()),
    };
    RouteAnswer { kind, hosts }
}
