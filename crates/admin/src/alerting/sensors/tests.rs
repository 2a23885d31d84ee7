//! Each rule raised and cleared by what happens, on simulated time: events, queue, settings,
//! certificates, DNS, disk.

use std::sync::Arc;

use relais_net::login::{Ends, LoginStanding};
use relais_net::tls::{CertificateStore, KeyKind, SeenCertificate, ServerCertificate, self_signed};
use relais_policy::alert::{Rule, RuleKind, Scope, State, Turn};
use relais_policy::check::{Check, Group, Verdict};
use relais_policy::desk::{self, Outcome, Words};
use relais_policy::document::Document;
use relais_policy::limit::{Applying, Coming, Counts, RecipientKey, Sending};
use relais_policy::proof::ProofKey;
use relais_policy::restriction::{Effect, Entity, EntityKind, Restriction};
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_store::door::Via;
use relais_store::queue::{
    Actor, Content, Criteria, MessageFacts, NewMessage, NewRecipient, QueueAct, QueueKey,
};
use relais_store::restriction::EntityChange;
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::{ClientSummary, To};

use super::*;
use crate::alerts::Plan;
use crate::proving::tests::World;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const ANNA: Actor<'static> = Actor {
    name: "anna",
    via: Via::named("socket"),
};

/// Relais, and who watches it.
struct Watched {
    world: World,
    sensors: Sensors,
}

type Turned = (Turn, RuleKind, String);

impl Watched {
    async fn new() -> Self {
        let world = World::new(&["contoso"]).await;
        let sensors = Sensors::load(&world.context).await;
        Self { world, sensors }
    }

    fn now(&self) -> Timestamp {
        self.world.context.clock.now()
    }

    fn hear(&mut self, kind: EventKind, change: impl FnOnce(&mut Event)) {
        let mut event = Event::new(self.now(), kind);
        change(&mut event);
        self.sensors.hear(&event);
    }

    /// Measured and judged once, by the rules that nobody changed.
    async fn look(&mut self) -> Vec<Turned> {
        self.look_by(&Plan::default()).await
    }

    /// The same by these rules.
    async fn look_by(&mut self, plan: &Plan) -> Vec<Turned> {
        let (context, now) = (&self.world.context, self.now());
        let measures = self.sensors.measure(context, now).await;
        let (judged, _) = context.duties.alerts.judge(plan, &measures, now);
        let turned = judged.turned.into_iter();
        turned
            .map(|one| (one.turn, one.kind, one.subject))
            .collect()
    }

    /// The same over some time, once a minute; of one rule.
    async fn watch(&mut self, time: Duration, kind: RuleKind) -> Vec<(Turn, String)> {
        let mut turned = Vec::new();
        for _ in 0..time.as_secs() / 60 {
            self.world.pass(MINUTE).await;
            turned.extend(self.look().await);
        }
        turned.retain(|(_, of, _)| *of == kind);
        turned
            .into_iter()
            .map(|(turn, _, subject)| (turn, subject))
            .collect()
    }

    async fn change(&self, text: &str) {
        let store = &self.world.context.store;
        let change = SettingsChange {
            expected_version: store.settings().version,
            document: Document::from_toml(text).expect("a document"),
            actor: "anna".to_owned(),
            via: "socket".into(),
            summary: Vec::new(),
            time: self.now(),
        };
        store.change_settings(change).await.expect("valid settings");
    }
}

fn raised(subject: &str) -> [(Turn, String); 1] {
    [(Turn::Raised, subject.to_owned())]
}

fn cleared(subject: &str) -> [(Turn, String); 1] {
    [(Turn::Cleared, subject.to_owned())]
}

const DOMAIN: &str = "[[organisation]]\nname = \"contoso\"\n\
                      [[organisation.domain]]\nname = \"contoso.test\"\n";

const CONNECTOR: &str = "[[organisation.inbound_connector]]\nname = \"Printers\"\n\
                         sender_ip_addresses = [\"192.175.48.0/24\"]\n";

pub(crate) fn message(store: &Store, now: Timestamp) -> NewMessage {
    let mailbox = Mailbox::parse("bob@example.org").expect("an address");
    let recipient = NewRecipient {
        key: QueueKey::new("contoso", "example.org"),
        recipient: EnvelopeRecipient::new(mailbox),
        due: now,
        expires_at: now.after(DAY),
        is_restricted: false,
        held: false,
    };
    let content = Content::Inline(b"Subject: x\r\n\r\nHello.\r\n".to_vec().into());
    let sender = Mailbox::parse("scan@contoso.test").expect("an address");
    let queue_id = store.next_queue_id(now);
    let mut accepted = Event::new(now, EventKind::MessageAccepted);
    accepted.queue_id = Some(queue_id);
    accepted.to = Some(To::Many([Arc::from("bob@example.org")].into()));
    NewMessage {
        facts: MessageFacts {
            queue_id,
            organisation: "contoso".into(),
            inbound_connector: None,
            client: None,
            reverse_path: ReversePath::Mailbox(sender),
            replaced: None,
            parameters: SenderParameters::default(),
            accepted_at: now,
            size: content.size(),
            eight_bit: false,
            utf8_header: false,
            header_from: None,
            subject: None,
            message_id: None,
            body_hash: None,
            is_notice: false,
        },
        recipients: vec![recipient],
        content,
        events: vec![accepted],
    }
}

#[tokio::test(start_paused = true)]
async fn mail_that_waits_for_an_hour_is_told_until_it_waits_no_more() {
    let mut watched = Watched::new().await;
    let store = watched.world.context.store.clone();
    let sent = message(&store, watched.now());
    let _ = store.commit(sent).await.expect("there is room");
    assert_eq!(watched.watch(HOUR, RuleKind::QueueAge).await, []);
    let turned = watched.watch(MINUTE * 6, RuleKind::QueueAge).await;
    assert_eq!(turned, raised("example.org"));
    let all = Criteria::default();
    let gone = store.act(QueueAct::Delete, &all, ANNA, watched.now()).await;
    gone.expect("it is there");
    let turned = watched.watch(HOUR, RuleKind::QueueAge).await;
    assert_eq!(turned, cleared("example.org"));
}

#[tokio::test(start_paused = true)]
async fn what_a_person_holds_waits_by_right() {
    let mut watched = Watched::new().await;
    let store = watched.world.context.store.clone();
    let sent = message(&store, watched.now());
    let _ = store.commit(sent).await.expect("there is room");
    let all = Criteria::default();
    let held = store.act(QueueAct::Hold, &all, ANNA, watched.now()).await;
    held.expect("it is there");
    assert_eq!(watched.watch(HOUR * 3, RuleKind::QueueAge).await, []);
}

#[tokio::test(start_paused = true)]
async fn slow_deliveries_are_told_by_their_average_over_a_minute() {
    let mut watched = Watched::new().await;
    let mut turned = Vec::new();
    for minute in 0..20 {
        // One of ten takes five minutes: the average is 30 s.
        for delivery in 0..10 {
            let slow = delivery == 0 && minute < 10;
            let took = if slow { 300_000 } else { 10 };
            let delivered = |event: &mut Event| event.duration_ms = Some(took);
            watched.hear(EventKind::RecipientDelivered, delivered);
        }
        turned.extend(watched.look().await);
        watched.world.pass(MINUTE).await;
    }
    let kind = RuleKind::DeliveryTime;
    let expected = [Turn::Raised, Turn::Cleared].map(|turn| (turn, kind, String::new()));
    assert_eq!(turned, expected);
}

#[tokio::test(start_paused = true)]
async fn many_failures_are_told_and_few_messages_say_nothing() {
    let mut watched = Watched::new().await;
    for _ in 0..9 {
        watched.hear(EventKind::RecipientFailed, |_| {});
    }
    assert_eq!(watched.watch(MINUTE * 8, RuleKind::FailureShare).await, []);
    watched.hear(EventKind::RecipientExpired, |_| {});
    let turned = watched.watch(MINUTE * 6, RuleKind::FailureShare).await;
    assert_eq!(turned, raised(""));
    for _ in 0..100 {
        watched.hear(EventKind::RecipientDelivered, |_| {});
    }
    let turned = watched.watch(MINUTE * 20, RuleKind::FailureShare).await;
    assert_eq!(turned, cleared(""));
}

/// Of the mail of this sender.
fn of_sender(sender: &str) -> Scope {
    Scope {
        from: sender.to_owned(),
        ..Scope::ALL
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_for_one_sender_hears_of_its_first_failure_and_never_of_the_neighbours() {
    let mut watched = Watched::new().await;
    let rule = Rule {
        scope: of_sender("scan@contoso.test"),
        threshold: 1,
        for_seconds: 0,
        ..Rule::of(RuleKind::FailureShare)
    };
    watched.sensors.watch(std::slice::from_ref(&rule));
    let plan = Plan {
        rules: vec![rule.clone()],
        ..Plan::default()
    };
    let from = |sender: &'static str| move |event: &mut Event| event.from = Some(sender.into());
    for _ in 0..50 {
        watched.hear(EventKind::RecipientFailed, from("door@contoso.test"));
    }
    assert_eq!(watched.look_by(&plan).await, []);
    watched.hear(EventKind::RecipientDelivered, from("scan@contoso.test"));
    watched.hear(EventKind::RecipientFailed, from("Scan@contoso.test"));
    let kind = RuleKind::FailureShare;
    let turned = watched.look_by(&plan).await;
    assert_eq!(turned, [(Turn::Raised, kind, String::new())]);
    let state = watched.world.context.duties.alerts.state();
    let told: Vec<_> = state.raised().collect();
    let [(_, scope, _, standing)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((*scope, standing.value), (&rule.scope, 50));
    // The rule is taken away: no window is kept for it, and what it raised is over.
    watched.sensors.watch(&[]);
    let none = Plan {
        rules: Vec::new(),
        ..Plan::default()
    };
    let turned = watched.look_by(&none).await;
    assert_eq!(turned, [(Turn::Cleared, kind, String::new())]);
}

#[tokio::test(start_paused = true)]
async fn a_rule_for_one_connector_hears_of_its_mail_that_waits_and_not_of_the_neighbours() {
    let mut watched = Watched::new().await;
    let store = watched.world.context.store.clone();
    let rule = |connector: &str| Rule {
        scope: Scope {
            connector: connector.to_owned(),
            to: "example.org".to_owned(),
            ..Scope::ALL
        },
        threshold: 60,
        for_seconds: 0,
        ..Rule::of(RuleKind::QueueAge)
    };
    let plan = Plan {
        rules: vec![rule("Printers"), rule("Servers")],
        ..Plan::default()
    };
    watched.sensors.watch(&plan.rules);
    let mut sent = message(&store, watched.now());
    sent.facts.inbound_connector = Some("Printers".into());
    let _ = store.commit(sent).await.expect("there is room");
    watched.world.pass(MINUTE * 2).await;
    let turned = watched.look_by(&plan).await;
    let subject = "example.org".to_owned();
    assert_eq!(turned, [(Turn::Raised, RuleKind::QueueAge, subject)]);
    let state = watched.world.context.duties.alerts.state();
    let told: Vec<_> = state
        .raised()
        .map(|(_, scope, ..)| scope.to_string())
        .collect();
    assert_eq!(told, ["connector:Printers to:example.org"]);
}

#[tokio::test(start_paused = true)]
async fn many_refused_attempts_are_told_until_ten_minutes_are_quiet() {
    let mut watched = Watched::new().await;
    let kinds = [
        EventKind::AttemptRefused,
        EventKind::ConnectionRefused,
        EventKind::AuthFailed,
    ];
    for number in 0..200_usize {
        watched.hear(kinds[number % 3], |_| {});
    }
    let turned = watched.watch(MINUTE, RuleKind::RefusedAttempts).await;
    assert_eq!(turned, raised(""));
    let turned = watched.watch(MINUTE * 15, RuleKind::RefusedAttempts).await;
    assert_eq!(turned, cleared(""));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_used_to_send_and_is_silent_is_told_and_a_new_one_is_not() {
    let mut watched = Watched::new().await;
    watched.change(&format!("{DOMAIN}{CONNECTOR}")).await;
    let sends = |event: &mut Event, address: &str| {
        event.organisation = Some("contoso".into());
        event.inbound_connector = Some("Printers".into());
        event.client = Some(Arc::new(ClientSummary {
            address: address.parse().expect("an address"),
            helo: None,
            credential: None,
            certificate: None,
        }));
    };
    let once = |event: &mut Event| sends(event, "192.175.48.8");
    watched.hear(EventKind::MessageAccepted, once);
    let old = |event: &mut Event| sends(event, "192.175.48.9");
    for _ in 0..3 {
        watched.hear(EventKind::MessageAccepted, old);
        assert_eq!(watched.watch(DAY, RuleKind::Silence).await, []);
    }
    let turned = watched.watch(DAY * 3, RuleKind::Silence).await;
    assert_eq!(turned, raised("contoso/Printers/192.175.48.9"));
    watched.hear(EventKind::MessageAccepted, old);
    let turned = watched.watch(HOUR, RuleKind::Silence).await;
    assert_eq!(turned, cleared("contoso/Printers/192.175.48.9"));
}

fn certificate(now: Timestamp) -> ServerCertificate {
    let (chain, key) = self_signed("relay.contoso.test", KeyKind::EcdsaP256, now).expect("a key");
    ServerCertificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("our own")
}

#[tokio::test(start_paused = true)]
async fn certificates_that_end_are_told_whoever_shows_them_until_there_is_another() {
    let mut watched = Watched::new().await;
    let now = watched.now();
    let valid = certificate(now).not_after().since(now);
    let listener = "127.0.0.1:25".parse().expect("an address");
    let (shown, centre) = (CertificateStore::default(), CertificateStore::default());
    let begun = now.before(valid - DAY * 10);
    shown.install(certificate(begun));
    centre.install(certificate(begun));
    let certificates = &mut watched.world.context.certificates;
    certificates.of_listeners.push((listener, shown.clone()));
    certificates.of_centre = Some(centre.clone());
    let of_client = |days: u32, now: Timestamp| SeenCertificate {
        name: "scan.contoso.test".into(),
        fingerprint: "00".into(),
        not_after: now.after(DAY * days),
        last_seen: now,
    };
    certificates.of_clients.saw(of_client(14, now));
    let subjects = [
        "admin centre",
        "client scan.contoso.test",
        "listener 127.0.0.1:25",
    ];
    let of = |turn: Turn| subjects.map(|subject| (turn, subject.to_owned()));
    let turned = watched.watch(MINUTE, RuleKind::CertificateExpiry).await;
    assert_eq!(turned, of(Turn::Raised));
    shown.install(certificate(now));
    centre.install(certificate(now));
    let renewed = of_client(365, watched.now());
    watched.world.context.certificates.of_clients.saw(renewed);
    let turned = watched.watch(MINUTE, RuleKind::CertificateExpiry).await;
    assert_eq!(turned, of(Turn::Cleared));
}

#[tokio::test(start_paused = true)]
async fn credentials_and_keys_that_end_are_told_until_they_are_good_for_longer() {
    let mut watched = Watched::new().await;
    let credential = |days: u32, now: Timestamp| {
        let end = now.after(DAY * days).to_rfc3339();
        format!(
            "{DOMAIN}{CONNECTOR}[[organisation.credential]]\nuser = \"erp\"\n\
             inbound_connector = \"Printers\"\nexpires = \"{end}\"\n"
        )
    };
    watched.change(&credential(20, watched.now())).await;
    let context = &watched.world.context;
    let wish = keys::Wish {
        name: "ci".to_owned(),
        scopes: vec!["alerts:read".to_owned()],
        organisation: None,
        credential: None,
        expires: Some(watched.now().after(DAY * 20)),
    };
    let by = |now: Timestamp| keys::By {
        actor: "anna",
        via: "socket".into(),
        now,
    };
    let anna = by(watched.now());
    let added = keys::add(&context.store, &context.chance, wish, &anna).await;
    let (_, key) = added.expect("a key");
    let subjects = [
        format!("API key ci ({})", key.id),
        "credential erp".to_owned(),
    ];
    let of = |turn: Turn| subjects.clone().map(|subject| (turn, subject));
    assert_eq!(watched.watch(DAY * 5, RuleKind::CredentialExpiry).await, []);
    let turned = watched.watch(DAY, RuleKind::CredentialExpiry).await;
    assert_eq!(turned, of(Turn::Raised));
    watched.change(&credential(90, watched.now())).await;
    let store = &watched.world.context.store;
    let revoked = keys::revoke(store, &key.id, &by(watched.now())).await;
    revoked.expect("it is there");
    let mut turned = watched.watch(MINUTE, RuleKind::CredentialExpiry).await;
    turned.sort_by(|one, other| one.1.cmp(&other.1));
    assert_eq!(turned, of(Turn::Cleared));
}

#[test]
fn client_secrets_sign_ins_and_certificates_for_next_hops_are_told_before_they_end() {
    let now = Timestamp::from_millis(1_795_514_400_000);
    let plan = Plan::default();
    let mut state = State::default();
    let mut turned = |logins: &[(Ends, u32, Option<&str>)]| {
        let measures: Vec<_> = logins
            .iter()
            .flat_map(|(what, days, fault)| {
                let login = LoginStanding {
                    organisation: "contoso".into(),
                    connector: "Out".into(),
                    token_until: None,
                    ends: Some((*what, now.after(DAY * *days))),
                    fault: fault.map(str::to_owned),
                    warning: None,
                };
                of_login(&login, now)
            })
            .collect();
        let judged = state.judge(&plan.rules, None, &measures, now);
        let turned = judged.turned.into_iter();
        turned
            .map(|one| (one.turn, one.kind, one.subject))
            .collect::<Vec<_>>()
    };
    let ends = [
        (
            Ends::ClientSecret,
            RuleKind::CredentialExpiry,
            "the client secret",
        ),
        (Ends::SignIn, RuleKind::CredentialExpiry, "the sign-in"),
        (
            Ends::Certificate,
            RuleKind::CertificateExpiry,
            "the certificate",
        ),
    ];
    for (what, kind, words) in ends {
        let subject = format!("{words} of connector contoso/Out");
        assert_eq!(turned(&[(what, 30, None)]), []);
        let raised = (Turn::Raised, kind, subject.clone());
        assert_eq!(turned(&[(what, 14, None)]), [raised]);
        assert_eq!(
            turned(&[(what, 90, None)]),
            [(Turn::Cleared, kind, subject)]
        );
    }
    let kind = RuleKind::CredentialExpiry;
    let subject = "the login of connector contoso/Out";
    let told = turned(&[(Ends::SignIn, 90, Some("the issuer says invalid_grant"))]);
    assert_eq!(told, [(Turn::Raised, kind, subject.to_owned())]);
    let told = turned(&[(Ends::SignIn, 90, None)]);
    assert_eq!(told, [(Turn::Cleared, kind, subject.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_domain_whose_proof_has_gone_is_told_before_it_is_suspended() {
    let mut watched = Watched::new().await;
    watched.world.publish(&["contoso"]);
    assert_eq!(watched.watch(HOUR * 3, RuleKind::DomainExpiry).await, []);
    watched.world.publish(&[]);
    let turned = watched.watch(DAY * 2, RuleKind::DomainExpiry).await;
    assert_eq!(turned, raised("contoso.test"));
    watched.world.publish(&["contoso"]);
    let turned = watched.watch(HOUR * 3, RuleKind::DomainExpiry).await;
    assert_eq!(turned, cleared("contoso.test"));
}

#[tokio::test(start_paused = true)]
async fn dns_that_is_not_as_it_should_be_is_told_after_an_hour() {
    let mut watched = Watched::new().await;
    let domain = Domain::parse("contoso.test").expect("a domain");
    let key = ProofKey::new("contoso", &domain);
    let found = |outcome| desk::Check {
        name: "spf",
        needed: true,
        outcome,
        words: Words::new("x", "x"),
    };
    let context = watched.world.context.clone();
    let keep = |outcome, now| {
        let (context, key) = (context.clone(), key.clone());
        async move {
            let checks = [found(outcome)];
            let kept = context
                .findings
                .keep(&context.store, &key, &checks, now, |change, _, _| change);
            kept.await.expect("there is room");
        }
    };
    keep(Outcome::Good, watched.now()).await;
    assert_eq!(watched.watch(HOUR, RuleKind::DnsDrift).await, []);
    keep(Outcome::Wrong, watched.now()).await;
    assert_eq!(watched.watch(MINUTE * 59, RuleKind::DnsDrift).await, []);
    let turned = watched.watch(MINUTE * 5, RuleKind::DnsDrift).await;
    assert_eq!(turned, raised("contoso.test"));
    keep(Outcome::Good, watched.now()).await;
    let turned = watched.watch(HOUR * 2, RuleKind::DnsDrift).await;
    assert_eq!(turned, cleared("contoso.test"));
}

#[tokio::test(start_paused = true)]
async fn an_address_of_ours_on_a_blocklist_is_told_and_silence_of_the_list_changes_nothing() {
    let mut watched = Watched::new().await;
    let subject = "192.0.2.1 list.example.net";
    let found = |verdict| Check {
        name: BLOCKLIST,
        subject: subject.to_owned(),
        group: Group::World,
        verdict,
        words: Words::new("x", "x"),
        why: Words::new("x", "x"),
        fix: Words::new("x", "x"),
    };
    let keep = async |context: &AdminContext, verdict| {
        let kept = checks::kept::keep(context, &[Group::World], vec![found(verdict)], true).await;
        kept.expect("there is room");
    };
    keep(&watched.world.context, Verdict::Ok).await;
    assert_eq!(watched.watch(MINUTE, RuleKind::Blocklist).await, []);
    keep(&watched.world.context, Verdict::Advice).await;
    let turned = watched.watch(MINUTE, RuleKind::Blocklist).await;
    assert_eq!(turned, raised(subject));
    keep(&watched.world.context, Verdict::Unknown).await;
    assert_eq!(watched.watch(MINUTE, RuleKind::Blocklist).await, []);
    keep(&watched.world.context, Verdict::Ok).await;
    let turned = watched.watch(MINUTE, RuleKind::Blocklist).await;
    assert_eq!(turned, cleared(subject));
}

#[tokio::test(start_paused = true)]
async fn a_disk_with_little_room_is_told() {
    let mut watched = Watched::new().await;
    let Store::Memory(memory) = watched.world.context.store.clone() else {
        unreachable!("it is in memory");
    };
    let gibibyte = 1_u64 << 30;
    memory.disk().set_capacity(Some(4 * gibibyte));
    assert_eq!(watched.watch(MINUTE * 5, RuleKind::Disk).await, []);
    memory.disk().set_capacity(Some(gibibyte));
    let turned = watched.watch(MINUTE * 5, RuleKind::Disk).await;
    assert_eq!(turned, raised(""));
    memory.disk().set_capacity(Some(4 * gibibyte));
    let turned = watched.watch(MINUTE * 5, RuleKind::Disk).await;
    assert_eq!(turned, cleared(""));
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_told_at_four_fifths_until_its_window_has_slid_on() {
    let mut watched = Watched::new().await;
    let limits = "limits = { recipients_per_hour = 10 }";
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n{limits}\n[[organisation.domain]]\n\
         name = \"contoso.test\"\n{CONNECTOR}"
    );
    watched.change(&text).await;
    let counts = Counts::default();
    watched.world.context.counts = Some(counts.clone());
    let settings = watched.world.context.store.settings();
    let sending = Sending {
        organisation: "contoso",
        connector: "Printers",
        address: "203.0.113.9".parse().expect("an address"),
        credential: None,
        sender: None,
    };
    let applying = Applying::of(&settings, &sending);
    let bob = Mailbox::parse("bob@example.org").expect("an address");
    let organisation = Arc::from("contoso");
    let send = |now: Timestamp| {
        let coming = Coming {
            organisation: &organisation,
            recipients: &[(RecipientKey::of(&bob), true)],
        };
        counts.book().admit(&applying, coming, now).expect("room");
    };
    (0..7).for_each(|_| send(watched.now()));
    assert_eq!(watched.watch(MINUTE, RuleKind::Limit).await, []);
    send(watched.now());
    let turned = watched.watch(MINUTE, RuleKind::Limit).await;
    let subject = "contoso recipients_per_hour";
    assert_eq!(turned, raised(subject));
    let turned = watched.watch(HOUR * 2, RuleKind::Limit).await;
    assert_eq!(turned, cleared(subject));
}

#[tokio::test(start_paused = true)]
async fn what_is_restricted_is_told_until_it_is_released() {
    let mut watched = Watched::new().await;
    let store = watched.world.context.store.clone();
    let entity = Entity::parse(EntityKind::Address, "scan@contoso.test").expect("an address");
    let restriction = Restriction {
        entity: entity.clone(),
        effect: Effect::Hold,
        reason: "too much".to_owned(),
        evidence: Vec::new(),
        by: "trigger".to_owned(),
        since: watched.now(),
        until: None,
    };
    let change = EntityChange::Restrict(restriction);
    store
        .change_entities(change, relais_store::queue::BY_ITSELF)
        .await
        .expect("there is room");
    let turned = watched.watch(MINUTE, RuleKind::RestrictedEntity).await;
    assert_eq!(turned, raised("address scan@contoso.test"));
    let release = EntityChange::Release {
        entity,
        by: "anna".to_owned(),
        time: watched.now(),
    };
    store
        .change_entities(release, relais_store::queue::BY_ITSELF)
        .await
        .expect("it is there");
    let turned = watched.watch(MINUTE, RuleKind::RestrictedEntity).await;
    assert_eq!(turned, cleared("address scan@contoso.test"));
}

#[tokio::test(start_paused = true)]
async fn mail_that_was_acknowledged_and_is_nowhere_is_told() {
    let mut watched = Watched::new().await;
    let store = watched.world.context.store.clone();
    let sent = message(&store, watched.now());
    let metrics = watched.world.context.metrics.clone();
    sent.events.iter().for_each(|event| metrics.observe(event));
    let queue_id = sent.facts.queue_id;
    let _ = store.commit(sent).await.expect("there is room");
    assert_eq!(watched.watch(HOUR, RuleKind::Unaccounted).await, []);
    // It leaves the queue, and nobody says where to.
    let all = Criteria::default();
    let gone = store.act(QueueAct::Delete, &all, ANNA, watched.now()).await;
    gone.expect("it is there");
    let turned = watched.watch(MINUTE * 15, RuleKind::Unaccounted).await;
    assert_eq!(turned, raised(""));
    let mut ended = Event::new(watched.now(), EventKind::RecipientDiscarded);
    ended.queue_id = Some(queue_id);
    ended.to = Some(To::Many([Arc::from("bob@example.org")].into()));
    metrics.observe(&ended);
    let turned = watched.watch(MINUTE * 15, RuleKind::Unaccounted).await;
    assert_eq!(turned, cleared(""));
}
