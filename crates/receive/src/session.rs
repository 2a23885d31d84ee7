//! One session: the driver between the octets of the wire and the machine `relais_smtp::server`.
//! Takes the machine's questions to `questions`, its content to `accept`, its refusals to
//! `refuse`; nothing else.
//!
//! A transaction keeps the settings with which it began; the next one looks anew, so that a change
//! reaches sessions that stay open for hours. A session is small while it waits: no buffers, and
//! the rare large futures are boxed, so that 10,000 idle ones cost little.

mod authentication;
mod encryption;

use std::pin::Pin;
use std::sync::Arc;

use tokio_util::sync::WaitForCancellationFutureOwned;

use relais_net::stream::Stream;
use relais_smtp::address::{ForwardPath, PATH_OCTETS_MAX};
use relais_smtp::content::{ContentSummary, Preset};
use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;
use relais_smtp::server::{
    Answer, Question, RefusedStage, ServerConfig, ServerSession, Step, Wait,
};
use relais_store::trace::To;

use crate::accept::{NotAccepted, Noted, Reception};
use crate::arrival::{Arrival, Transaction, addresses_of};
use crate::hearing::Hearing;
use crate::identity::{Client, Identity, Role};
use crate::limits::{Full, Place};
use crate::questions::Asked;
use crate::refuse::{About, Refusals, say};
use crate::shared::{ERRORS_MAX, JUNK_COMMANDS_MAX, ListenerTls, RECIPIENTS_MAX, Shared};
use crate::speaker::Speaker;
use crate::wire::{Linger, ReadEnd, Wire};

/// Content is passed on in pieces of at least this, so that small messages go in one.
const PIECE_OCTETS: usize = 32 * 1_024;

/// One session.
struct Session<'a> {
    shared: &'a Shared,
    client: Client,
    identity: Identity,
    listener_preset: Preset,
    tls: ListenerTls,
    machine: Box<ServerSession>,
    wire: Wire,
    /// Decoded, and not yet taken by the reception.
    content: Vec<u8>,
    transaction: Option<Box<Transaction>>,
    reception: Option<Box<Reception>>,
    refusals: Refusals,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    linger: Linger,
    /// While somebody listens.
    hearing: Option<Box<Hearing>>,
    place: Box<Place>,
}

/// The session is over.
struct Over;

/// What a session begins with.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    /// Who it is by the address alone.
    pub(crate) client: Client,
    pub(crate) identity: Identity,
    /// Where no connector names one.
    pub(crate) listener_preset: Preset,
    pub(crate) tls: ListenerTls,
    pub(crate) stream: Stream,
    /// Frees the place of the connection at the end.
    pub(crate) place: Box<Place>,
}

/// From the greeting to the end. Boxed: a future keeps the room of its arguments to its end.
pub(crate) async fn run(beginning: Box<Beginning>) {
    let Beginning {
        shared,
        client,
        identity,
        listener_preset,
        tls,
        stream,
        place,
    } = unboxed(beginning);
    let mut session = Session {
        machine: Box::new(ServerSession::new(config(
            &shared,
            &client,
            &identity,
            listener_preset,
            &tls,
        ))),
        wire: Wire::new(stream, shared.context.clock.clone()),
        draining: Box::pin(shared.draining.clone().cancelled_owned()),
        shared: &shared,
        client,
        identity,
        listener_preset,
        tls,
        content: Vec::new(),
        transaction: None,
        reception: None,
        refusals: Refusals::default(),
        linger: Linger::No,
        hearing: None,
        place,
    };
    if session.begin().await.is_ok() {
        while let Ok(()) = session.step().await {}
    }
    // A message that never came whole leaves nothing, however long closing takes.
    session.reception = None;
    if let Some(hearing) = &session.hearing {
        hearing.end(session.speaker());
    }
    session.wire.close(session.linger).await;
    drop(session.place);
}

/// Takes the value, and frees its box at once.
#[expect(clippy::boxed_local, reason = "to free the box is what it is for")]
fn unboxed<T>(boxed: Box<T>) -> T {
    *boxed
}

fn config(
    shared: &Shared,
    client: &Client,
    identity: &Identity,
    listener_preset: Preset,
    tls: &ListenerTls,
) -> ServerConfig {
    let options = &shared.context.options;
    ServerConfig {
        hostname: options.hostname.as_str().into(),
        size_octets_max: options.message_size_max,
        preset: client.preset.unwrap_or(listener_preset),
        recipients_max: RECIPIENTS_MAX,
        errors_max: ERRORS_MAX,
        junk_commands_max: JUNK_COMMANDS_MAX,
        starttls: offers_starttls(tls, client),
        tls: matches!(tls, ListenerTls::Implicit(_)),
        auth: client.auth_offer(identity, &shared.context.issuers),
        // A stranger who claims to be anybody must not make us write notices to them.
        require_tls: client.connector.is_some(),
    }
}

fn offers_starttls(tls: &ListenerTls, client: &Client) -> bool {
    matches!(tls, ListenerTls::StartTls(_)) && !client.without_tls
}

impl Session<'_> {
    /// What comes before the greeting.
    async fn begin(&mut self) -> Result<(), Over> {
        match &self.tls {
            ListenerTls::None | ListenerTls::StartTls(_) => Ok(()),
            ListenerTls::Implicit(tls) => {
                let tls = tls.clone();
                // Boxed: large, and over before anything is said.
                Box::pin(self.handshake(&tls)).await
            }
        }
    }

    async fn step(&mut self) -> Result<(), Over> {
        let (consumed, step) = self.advance();
        self.wire.consume(consumed);
        match step {
            Step::Read(wait) => {
                // The peer has room to read what was said so far.
                self.linger = Linger::No;
                self.read(wait).await?;
            }
            Step::Ask(question) => {
                let answer = self.decide(question).await;
                self.machine.answer(answer);
            }
            Step::Refused { refusal, stage } => {
                // If the machine closes now, whatever the code, the peer may still be sending.
                self.linger = Linger::Yes;
                let reply = self.refused(&refusal, stage);
                self.machine.refuse(reply);
            }
            Step::Content if self.content.len() < PIECE_OCTETS => {}
            Step::Content => self.take_content().await,
            Step::EndOfContent(summary) => {
                // Boxed: large, and over as soon as the message is.
                let reply = Box::pin(self.end_of_content(summary)).await;
                self.transaction = None;
                self.machine.finish_content(reply);
            }
            Step::StartTls => Box::pin(self.start_tls()).await?,
            Step::Close => {
                self.send().await?;
                return Err(Over);
            }
        }
        Ok(())
    }

    fn speaker(&self) -> Speaker<'_> {
        Speaker {
            context: &self.shared.context,
            client: &self.client,
            identity: &self.identity,
        }
    }

    /// One step of the machine, told to whoever listens.
    fn advance(&mut self) -> (usize, Step) {
        let speaker = Speaker {
            context: &self.shared.context,
            client: &self.client,
            identity: &self.identity,
        };
        let (unread, content) = (self.wire.unread(), &mut self.content);
        if !speaker.is_heard() {
            return self.machine.advance(unread, content);
        }
        let machine = &mut self.machine;
        self.hearing
            .get_or_insert_with(|| Box::new(Hearing::begin(speaker, machine)))
            .advance(speaker, machine, unread, content)
    }

    /// Sends all that we have said.
    async fn send(&mut self) -> Result<(), Over> {
        if let Some(mut hearing) = self.hearing.take() {
            let speaker = Speaker {
                context: &self.shared.context,
                client: &self.client,
                identity: &self.identity,
            };
            hearing.tell_replies(speaker, &mut self.machine);
            hearing.sent();
            self.hearing = Some(hearing);
        }
        self.wire
            .send(self.machine.output())
            .await
            .map_err(|_| Over)
    }

    /// Sends what there is to send, and waits for more.
    async fn read(&mut self, wait: Wait) -> Result<(), Over> {
        if !self.machine.in_transaction() {
            self.transaction = None;
            self.reception = None;
            self.content = Vec::new();
            if self.shared.draining.is_cancelled() {
                self.end(&Refusal::ShuttingDown);
                return Ok(());
            }
        }
        self.send().await?;
        let idle = !self.machine.in_transaction();
        let draining = idle.then_some(self.draining.as_mut());
        match self.wire.read(wait, draining).await {
            // After the wait, which may have been long, and before a line is read by the preset.
            ReadEnd::Octets if idle => self.look_anew(),
            ReadEnd::Octets => {}
            ReadEnd::Draining => self.end(&Refusal::ShuttingDown),
            ReadEnd::TimedOut => self.timed_out(),
            ReadEnd::EndOfFile | ReadEnd::Broken => return Err(Over),
        }
        Ok(())
    }

    /// We end the session, with 421.
    fn end(&mut self, refusal: &Refusal) {
        let reply = say(&self.shared.context, refusal);
        self.close_with(reply);
    }

    /// An idle session that ends is no news; a message that never came whole is.
    fn timed_out(&mut self) {
        if !self.machine.in_transaction() {
            self.end(&Refusal::Timeout);
            return;
        }
        let (context, client) = (&self.shared.context, &self.client);
        let refusal = Refusal::Timeout;
        let reply = self
            .refusals
            .connection(context, client, &self.identity, &refusal);
        self.close_with(reply);
    }

    fn close_with(&mut self, reply: Reply) {
        self.linger = Linger::Yes;
        self.reception = None;
        self.machine.close_with(reply);
    }

    /// Who the client is by the settings of now. Between transactions only: what was decided about
    /// the one under way holds to its end.
    fn look_anew(&mut self) {
        let settings = self.shared.context.store.settings();
        if !Arc::ptr_eq(&settings, &self.client.settings)
            && let Err(full) = self.know(Client::find(settings, &self.identity))
        {
            self.turn_away(full);
        }
    }

    /// There is no place for the client that it turned out to be.
    fn turn_away(&mut self, full: Full) {
        let reply = self.no_place(full);
        self.close_with(reply);
    }

    /// The same, where the machine asks for the reply.
    fn no_place(&mut self, Full { record }: Full) -> Reply {
        self.linger = Linger::Yes;
        let (context, refusal) = (&self.shared.context, Refusal::TooManyConnections);
        if !record {
            return say(context, &refusal);
        }
        self.refusals
            .connection(context, &self.client, &self.identity, &refusal)
    }

    /// The client is this one from here on, unless those whose connection it is now have too many.
    fn know(&mut self, client: Client) -> Result<(), Full> {
        self.machine
            .set_preset(client.preset.unwrap_or(self.listener_preset));
        self.machine
            .set_starttls(offers_starttls(&self.tls, &client));
        if let Some(name) = &client.certificate_name {
            self.identity.found_by(name);
        }
        let issuers = &self.shared.context.issuers;
        self.machine
            .set_auth(client.auth_offer(&self.identity, issuers));
        self.client = client;
        let bounds = self.client.connection_bounds(&self.identity);
        let now = self.shared.context.clock.moment();
        self.place.regroup(&bounds, now)
    }

    async fn decide(&mut self, question: Question) -> Answer {
        match question {
            Question::Hello { name, .. } => {
                let before = self.machine.hello().map(|(name, _)| Box::from(name));
                self.identity.greeted(&name);
                match self.asked().hello(&name) {
                    Ok(()) => Answer::Accept,
                    Err(refusal) => {
                        let reply = self.refused(&refusal, RefusedStage::Other);
                        // The session stays as it was. RFC 5321 §4.1.4.
                        self.identity.greeted_as(before.as_deref());
                        Answer::Refuse(reply)
                    }
                }
            }
            Question::Sender {
                reverse_path,
                parameters,
            } => {
                match self
                    .asked()
                    .sender(&reverse_path, &parameters, self.listener_preset)
                {
                    Ok((answer, transaction)) => {
                        self.transaction = Some(Box::new(transaction));
                        answer
                    }
                    Err(refusal) => {
                        let from = Some(reverse_path.to_string().into());
                        let about = About {
                            from,
                            size: parameters.size,
                            ..About::default()
                        };
                        Answer::Refuse(self.refuse_attempt(&refusal, about))
                    }
                }
            }
            Question::Recipient {
                forward_path,
                notify,
                original,
            } => match self.decide_recipient(&forward_path).await {
                Ok(mut recipient) => {
                    recipient.notify = notify;
                    recipient.original = original;
                    Answer::Recipient(recipient)
                }
                Err(refusal) => {
                    let to = Some(To::One(forward_path.to_string().into()));
                    let about = About {
                        from: self.from(),
                        to,
                        ..About::default()
                    };
                    Answer::Refuse(self.refuse_attempt(&refusal, about))
                }
            },
            Question::StartTls => match self.server_tls() {
                Some(tls) if tls.certificates().current().is_some() => Answer::Accept,
                Some(_) | None => {
                    let refusal = Refusal::TlsUnavailable;
                    Answer::Refuse(self.refused(&refusal, RefusedStage::Other))
                }
            },
            Question::Verifier { user } => self.verifier(&user),
            // Boxed: large, and once a session.
            Question::Authenticate(claim) => Box::pin(self.authenticate(claim)).await,
            Question::Content => {
                self.content = Vec::new();
                self.reception = Some(Box::new(Reception::begin(&self.shared.context)));
                Answer::Accept
            }
        }
    }

    async fn decide_recipient(
        &mut self,
        forward_path: &ForwardPath,
    ) -> Result<relais_smtp::envelope::EnvelopeRecipient, Refusal> {
        let mut transaction = self.transaction.take().ok_or(Refusal::Local)?;
        let most = transaction.recipients_max;
        let decided = match most.is_some_and(|most| transaction.recipients >= most) {
            true => Err(Refusal::TooManyRecipients),
            false => self.asked().recipient(forward_path, &mut transaction).await,
        };
        if decided.is_ok() {
            transaction.recipients += 1;
        }
        self.transaction = Some(transaction);
        decided
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            shared: self.shared,
            client: &self.client,
            identity: &self.identity,
        }
    }

    /// What the reception must know; `None` only if the machine asks out of order.
    fn arrival(&self) -> Option<Arrival<'_>> {
        Some(Arrival {
            context: &self.shared.context,
            counts: &self.shared.context.counts,
            senders: &self.shared.senders,
            guarding: &self.shared.guarding,
            client: &self.client,
            identity: &self.identity,
            transaction: self.transaction.as_deref()?,
            envelope: self.machine.envelope()?,
            protocol: self.machine.protocol(),
            command_repairs: self.machine.repairs(),
        })
    }

    async fn take_content(&mut self) {
        let mut piece = std::mem::take(&mut self.content);
        let Some(mut reception) = self.reception.take() else {
            return;
        };
        if let Some(arrival) = self.arrival() {
            Box::pin(reception.take(&arrival, &mut piece)).await;
        }
        self.reception = Some(reception);
        self.content = piece;
    }

    async fn end_of_content(&mut self, summary: ContentSummary) -> Reply {
        let content = std::mem::take(&mut self.content);
        let (reception, arrival) = (self.reception.take(), self.arrival());
        let finished = match (reception, arrival) {
            (Some(reception), Some(arrival)) => reception.finish(&arrival, content, summary).await,
            _ => Err(NotAccepted {
                refusal: Refusal::Local,
                noted: Noted::default(),
            }),
        };
        match finished {
            Ok(reply) => {
                self.refusals.message_accepted();
                reply
            }
            Err(NotAccepted { refusal, noted }) => {
                let about = About {
                    from: self.from(),
                    to: self.all_recipients(),
                    header_from: noted.header_from,
                    subject: noted.subject,
                    size: Some(summary.size),
                    detail: noted.detail,
                    ..About::default()
                };
                self.refuse_attempt(&refusal, about)
            }
        }
    }

    /// The machine refuses by itself.
    fn refused(&mut self, refusal: &Refusal, stage: RefusedStage) -> Reply {
        match stage {
            RefusedStage::Sender => {
                let from = self.refused_argument();
                self.refuse_attempt(
                    refusal,
                    About {
                        from,
                        ..About::default()
                    },
                )
            }
            RefusedStage::Recipient => {
                let to = self.refused_argument().map(To::One);
                let about = About {
                    from: self.from(),
                    to,
                    ..About::default()
                };
                self.refuse_attempt(refusal, about)
            }
            RefusedStage::Content => {
                self.reception = None;
                let to = self.all_recipients();
                let about = About {
                    from: self.from(),
                    to,
                    ..About::default()
                };
                self.refuse_attempt(refusal, about)
            }
            RefusedStage::Auth => self.auth_refused(refusal),
            RefusedStage::Other => self.refused_elsewhere(refusal),
        }
    }

    /// Outside of MAIL, RCPT and DATA only what turns the client away is recorded: port scanners
    /// would fill the trace with unknown commands.
    fn refused_elsewhere(&mut self, refusal: &Refusal) -> Reply {
        let (context, client) = (&self.shared.context, &self.client);
        if refusal.closes() || matches!(refusal, Refusal::HeloForged { .. }) {
            return self
                .refusals
                .connection(context, client, &self.identity, refusal);
        }
        say(context, refusal)
    }

    fn refuse_attempt(&mut self, refusal: &Refusal, mut about: About) -> Reply {
        if refusal.closes() {
            self.linger = Linger::Yes;
        }
        let repairs = self.machine.repairs().iter();
        about.repairs = repairs.map(|repair| repair.name()).collect();
        let (context, client) = (&self.shared.context, &self.client);
        self.refusals
            .attempt(context, client, &self.identity, refusal, about)
    }

    fn from(&self) -> Option<Arc<str>> {
        self.transaction
            .as_ref()
            .map(|transaction| Arc::clone(&transaction.from))
    }

    /// What stood behind `MAIL FROM:` or `RCPT TO:`, however wrong.
    fn refused_argument(&self) -> Option<Arc<str>> {
        let (_, argument) = self.machine.refused_line()?.split_once(':')?;
        let argument = argument.trim_start();
        let path = match argument.strip_prefix('<') {
            Some(path) => path.split('>').next(),
            None => argument.split(' ').next(),
        };
        let path = path.unwrap_or_default();
        Some(path[..path.floor_char_boundary(PATH_OCTETS_MAX)].into())
    }

    fn all_recipients(&self) -> Option<To> {
        self.machine
            .envelope()
            .map(|envelope| To::Many(addresses_of(&envelope.recipients)))
    }
}

/// Role of a listener, from its option.
pub(crate) fn role_of(submission: bool) -> Role {
    if submission {
        Role::Submission
    } else {
        Role::Relay
    }
}

#[cfg(test)]
mod tests {
    use relais_net::clock::{Chance, Clock, Moment};
    use relais_net::content_check::Checkers;
    use relais_net::conversation::Conversations;
    use relais_net::network::Network;
    use relais_net::oidc::Issuers;
    use relais_net::resolver::Resolver;
    use relais_net::simulated_dns::SimulatedDns;
    use relais_net::simulation::SimulatedNetwork;
    use relais_net::tls::{OldClients, SeenCertificates};
    use relais_smtp::time::Timestamp;
    use relais_store::memory::MemoryOptions;
    use relais_store::store::Store;
    use tokio_util::sync::CancellationToken;

    use crate::seats::Senders;

    use super::*;
    use crate::limits::{Connections, Standing};
    use crate::login::Logins;
    use crate::shared::{ReceiveContext, ReceiveOptions};

    /// Of the 15 KB that an idle connection may cost the process, with its socket, its timer and
    /// the runtime's own records.
    const SESSION_OCTETS_MAX: usize = 2_048;

    #[tokio::test(start_paused = true)]
    async fn an_idle_session_is_small() {
        let clock = Clock::simulated(Timestamp::from_millis(0));
        let chance = Chance::seeded(0);
        let wire = SimulatedNetwork::new(chance.clone(), Default::default());
        let resolver = Resolver::simulated(&SimulatedDns::new(Default::default()));
        let options = ReceiveOptions {
            hostname: "relay.test".to_owned(),
            message_size_max: 1,
            connections_max: 1,
            connections_per_stranger_max: 1,
            connections_per_client_max: 1,
        };
        let connections = Connections::new(&options, &Default::default());
        let network = Network::simulated(&wire, Vec::new(), resolver);
        let context = ReceiveContext {
            store: Store::in_memory(MemoryOptions::new(clock.now())),
            checkers: Checkers::new(Vec::new(), network.clone(), clock.clone()),
            network,
            chance,
            certificates: SeenCertificates::new(),
            old_clients: OldClients::new(),
            issuers: Issuers::none(&clock),
            conversations: Conversations::default(),
            counts: Default::default(),
            options,
            clock,
        };
        let address = "192.0.2.1:25".parse().expect("an address");
        let place = connections.admit([192, 0, 2, 1].into(), Standing::Client, &[], Moment::now());
        let identity = Identity::new(address, Role::Relay);
        let beginning = Beginning {
            client: Client::find(context.store.settings(), &identity),
            shared: Arc::new(Shared {
                senders: Senders::default(),
                guarding: crate::guarding::Guarding::default(),
                logins: Logins::new(&context.clock, &context.chance, context.issuers.clone()),
                context,
                ourselves: Vec::new(),
                returns: crate::returns::Returns::default(),
                draining: CancellationToken::new(),
            }),
            identity,
            listener_preset: Preset::Strict,
            tls: ListenerTls::None,
            stream: Stream::pair().0,
            place: Box::new(place.expect("there is room")),
        };
        let machine = size_of::<ServerSession>();
        let future = size_of_val(&run(Box::new(beginning)));
        assert!(
            future + machine <= SESSION_OCTETS_MAX,
            "{future} + {machine}"
        );
    }
}
