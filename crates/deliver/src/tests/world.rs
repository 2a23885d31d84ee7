//! One relay's delivery in a simulated world.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relais_net::clock::{Chance, Clock};
use relais_net::login::{Coming, Kept, KeptName, Logins, Vault};
use relais_net::network::Network;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::SimulatedDns;
use relais_net::simulation::SimulatedNetwork;
use relais_net::tls::ClientTls;
use relais_net::web::{SimulatedWeb, Web};
use relais_net::zone::ZoneRecord;
use relais_policy::document::{Document, IpVersion};
use relais_policy::reply_rule::ReplyRules;
use relais_policy::route::RouteSource;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, Notify, SenderParameters};
use relais_smtp::identifier::QueueId;
use relais_smtp::secret::Secret;
use relais_smtp::time::Timestamp;
use relais_store::memory::MemoryOptions;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::{Event, EventKind, To};
use tokio::sync::watch;

use crate::service::{DeliverContext, DeliverOptions, DeliverService};

const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Settings of most tests: mail for anywhere by MX; `contoso.test` is ours, and nobody signs.
pub(super) const SETTINGS: &str = r#"
[[organisation]]
name = "contoso"
postmaster = "it@contoso.test"

[[organisation.domain]]
name = "contoso.test"
verification = "assumed"
mailbox_host = "192.0.2.9:25"
dkim = { enabled = false }

[[organisation.recipient]]
address = "anna@contoso.test"

[[organisation.recipient]]
address = "it@contoso.test"

[[organisation.inbound_connector]]
name = "Printers"
sender_ip_addresses = ["10.1.2.0/24"]
owner = "anna@contoso.test"
"#;

pub(super) struct World {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) dns: SimulatedDns,
    pub(super) web: SimulatedWeb,
    pub(super) wire: SimulatedNetwork,
    pub(super) began: tokio::time::Instant,
    resolver: Resolver,
    options: DeliverOptions,
    pub(super) tls: ClientTls,
    pub(super) vault: TestVault,
    events: Arc<Mutex<Vec<Event>>>,
    rules: (
        watch::Sender<Arc<ReplyRules>>,
        watch::Receiver<Arc<ReplyRules>>,
    ),
    service: Option<DeliverService>,
}

/// Secrets of outbound connectors, in memory; there are no files.
#[derive(Clone, Default)]
pub(super) struct TestVault(Arc<Mutex<HashMap<KeptName, Secret>>>);

impl TestVault {
    /// The password of the connector `Out`.
    pub(super) fn set_password(&self, password: &str) {
        let name = KeptName {
            organisation: "contoso".into(),
            connector: "Out".into(),
            what: Kept::Password,
        };
        let secret = Secret::from(password.to_owned());
        self.0.lock().unwrap().insert(name, secret);
    }
}

impl Vault for TestVault {
    fn file<'a>(&'a self, path: &'a str, _octets_max: usize) -> Coming<'a, Secret> {
        Box::pin(async move { Err(format!("{path} cannot be read: there are no files")) })
    }

    fn kept<'a>(&'a self, name: &'a KeptName) -> Coming<'a, Option<Secret>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(name).cloned()) })
    }

    fn keep<'a>(&'a self, name: &'a KeptName, secret: Secret) -> Coming<'a, ()> {
        self.0.lock().unwrap().insert(name.clone(), secret);
        Box::pin(async { Ok(()) })
    }
}

/// A message of a test.
pub(super) struct Mail {
    pub(super) organisation: &'static str,
    /// `None`: a stranger's.
    pub(super) connector: Option<&'static str>,
    pub(super) from: &'static str,
    pub(super) to: Vec<EnvelopeRecipient>,
    pub(super) content: Vec<u8>,
    pub(super) parameters: SenderParameters,
    pub(super) lifetime: Duration,
    pub(super) is_notice: bool,
}

pub(super) fn mail(to: &[&str]) -> Mail {
    Mail {
        organisation: "contoso",
        connector: Some("Printers"),
        from: "anna@contoso.test",
        to: to.iter().map(|one| recipient(one)).collect(),
        content: b"From: anna@contoso.test\r\nSubject: scan\r\n\r\nhello\r\n.dot\r\n".to_vec(),
        parameters: SenderParameters::default(),
        lifetime: LIFETIME,
        is_notice: false,
    }
}

pub(super) fn recipient(address: &str) -> EnvelopeRecipient {
    EnvelopeRecipient::new(Mailbox::parse(address).unwrap())
}

pub(super) fn notified(address: &str, notify: Notify) -> EnvelopeRecipient {
    EnvelopeRecipient {
        notify: Some(notify),
        ..recipient(address)
    }
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

pub(super) fn hours(n: u64) -> Duration {
    Duration::from_secs(3_600 * n)
}

impl World {
    pub(super) async fn new(settings: &str) -> Self {
        let clock = Clock::simulated(START);
        let chance = Chance::seeded(7);
        let latency = (Duration::from_millis(1), Duration::from_millis(3));
        let wire = SimulatedNetwork::new(chance.split(), latency);
        let dns = SimulatedDns::new(Duration::from_millis(2));
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let mut options = MemoryOptions::new(START);
        options.observer = Arc::new(move |event, _| seen.lock().unwrap().push(event.clone()));
        if settings.matches("[[organisation]]").count() > 1 {
            options.mode = relais_policy::settings::Mode::Hosted;
        }
        let world = Self {
            store: Store::in_memory(options),
            clock,
            resolver: Resolver::simulated(&dns),
            dns,
            wire,
            began: tokio::time::Instant::now(),
            options: DeliverOptions {
                hostname: "relay.contoso.test".into(),
                smtp_port: 25,
                tls_reports: true,
                tls_report_organisation: String::new(),
                allow_private_destinations: true,
                source_addresses: Vec::new(),
                ip_version: IpVersion::default(),
                connections_max: 200,
            },
            tls: ClientTls::without_roots(),
            vault: TestVault::default(),
            events,
            rules: watch::channel(Arc::default()),
            web: SimulatedWeb::default(),
            service: None,
        };
        world.apply(settings).await;
        world
    }

    pub(super) async fn apply(&self, settings: &str) {
        let document = Document::from_toml(settings).unwrap();
        let change = SettingsChange {
            expected_version: self.store.settings().version,
            document,
            actor: "test".into(),
            via: "socket".into(),
            summary: Vec::new(),
            time: self.clock.now(),
        };
        self.store.change_settings(change).await.unwrap();
    }

    /// A world that delivers already.
    pub(super) async fn delivering(settings: &str) -> Self {
        let mut world = Self::new(settings).await;
        world.start();
        world
    }

    pub(super) fn options(&mut self) -> &mut DeliverOptions {
        &mut self.options
    }

    /// Rules about replies, in place of our own.
    pub(super) fn rules(&self, text: &str) {
        let rules = ReplyRules::from_toml(text).unwrap();
        self.rules.0.send(Arc::new(rules)).unwrap();
    }

    pub(super) fn start(&mut self) {
        let addresses = ["198.51.100.1", "198.51.100.2", "2001:db8::1"]
            .map(|one| one.parse().unwrap())
            .to_vec();
        self.service = Some(DeliverService::start(DeliverContext {
            store: self.store.clone(),
            clock: self.clock.clone(),
            chance: Chance::seeded(11),
            network: Network::simulated(&self.wire, addresses, self.resolver.clone()),
            web: Web::simulated(&self.web),
            tls: self.tls.clone(),
            reply_rules: self.rules.1.clone(),
            logins: Logins::new(self.vault.clone(), self.clock.clone()),
            options: self.options.clone(),
        }));
    }

    pub(super) async fn drain(&mut self, within: Duration) {
        self.service.take().unwrap().drain(within).await;
    }

    pub(super) fn host(&self, address: IpAddr) -> Network {
        Network::simulated(&self.wire, vec![address], self.resolver.clone())
    }

    /// `mx` records as `(preference, host)`.
    pub(super) fn mx(&self, domain: &str, hosts: &[(u16, &str)]) {
        let records = hosts
            .iter()
            .map(|(preference, host)| ZoneRecord::Mx(*preference, (*host).to_owned()));
        self.dns.set(domain, records.collect());
    }

    pub(super) fn address(&self, host: &str, addresses: &[&str]) {
        let records = addresses
            .iter()
            .map(|one| ZoneRecord::Address(one.parse().unwrap()));
        self.dns.set(host, records.collect());
    }

    /// A domain with one mail server.
    pub(super) fn domain(&self, domain: &str, address: &str) {
        let host = format!("mx.{domain}");
        self.mx(domain, &[(10, &host)]);
        self.address(&host, &[address]);
    }

    pub(super) async fn accept(&self, mail: Mail) -> QueueId {
        let now = self.clock.now();
        let queue_id = self.store.next_queue_id(now);
        let mut writer = self.store.content_writer();
        for piece in mail.content.chunks(60_000) {
            writer.write(piece).await.unwrap();
        }
        let content: Content = writer.finish().await.unwrap();
        let reverse_path = match mail.from {
            "" => ReversePath::Null,
            from => ReversePath::Mailbox(Mailbox::parse(from).unwrap()),
        };
        let facts = MessageFacts {
            queue_id,
            organisation: mail.organisation.into(),
            inbound_connector: mail.connector.map(Into::into),
            client: None,
            reverse_path,
            replaced: None,
            parameters: mail.parameters,
            accepted_at: now,
            size: mail.content.len() as u64,
            eight_bit: !mail.content.is_ascii(),
            utf8_header: false,
            header_from: Some(mail.from.into()),
            subject: Some("scan".into()),
            message_id: Some("1@contoso.test".into()),
            body_hash: None,
            is_notice: mail.is_notice,
        };
        let settings = self.store.settings();
        let by = facts.inbound_connector.as_deref();
        let sender = facts.reverse_path.domain();
        let source = RouteSource::of(&settings, mail.organisation, by, sender).to_string();
        let recipients = mail.to.into_iter().map(|recipient| NewRecipient {
            key: QueueKey {
                source: source.as_str().into(),
                ..QueueKey::new(mail.organisation, recipient.forward_path.host().to_string())
            },
            recipient,
            due: now,
            expires_at: now.after(mail.lifetime),
            is_restricted: false,
            held: false,
        });
        let message = NewMessage {
            facts,
            recipients: recipients.collect(),
            content,
            events: Vec::new(),
        };
        self.store.commit(message).await.unwrap().queue_id()
    }

    pub(super) fn events(&self, kind: EventKind) -> Vec<Event> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter(|event| event.kind == kind)
            .cloned()
            .collect()
    }

    /// Addresses of the recipients with such an event.
    pub(super) fn recipients(&self, kind: EventKind) -> Vec<String> {
        let events = self.events(kind);
        let one = |event: Event| match event.to {
            Some(To::One(to)) => Some(to.to_string()),
            Some(To::Many(_)) | None => None,
        };
        events.into_iter().filter_map(one).collect()
    }

    pub(super) fn in_queue(&self) -> u64 {
        let counts = self.store.counts();
        counts.queued + counts.deferred + counts.held
    }
}

/// Lets time pass.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
