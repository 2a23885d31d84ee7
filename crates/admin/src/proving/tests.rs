//! A domain's life on simulated time: weeks in milliseconds.

use relais_net::authority::AuthorityOptions;
use relais_net::clock::{Chance, Clock};
use relais_net::names::NameTable;
use relais_net::resolver::Resolver;
use relais_net::simulated_dns::{DnsFault, SimulatedDns};
use relais_net::zone::ZoneRecord;
use relais_policy::desk::Site;
use relais_policy::document::Document;
use relais_policy::proof::{GRACE, Standing};
use relais_policy::settings::Mode;
use relais_smtp::domain::Domain;
use relais_store::memory::MemoryOptions;
use relais_store::settings::SettingsChange;
use relais_store::store::Store;
use relais_store::trace::TraceQuery;

use super::*;
use crate::context::{CertificateView, Phase, Readiness};
use crate::findings::Findings;
use crate::metrics::Metrics;
use crate::people::People;

const START: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct World {
    pub(crate) context: AdminContext,
    pub(crate) dns: SimulatedDns,
    pub(crate) closing: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl World {
    /// Relais with these organisations, each of which has contoso.test, watching by itself.
    pub(crate) async fn new(organisations: &[&str]) -> Self {
        let dns = SimulatedDns::new(Duration::from_millis(5));
        let mode = Mode::Hosted;
        let store = Store::in_memory(MemoryOptions {
            mode,
            ..MemoryOptions::new(START)
        });
        let organisation = |name: &&str| {
            format!(
                "[[organisation]]\nname = \"{name}\"\n[[organisation.domain]]\nname = \
                 \"contoso.test\"\n"
            )
        };
        let text = organisations.iter().map(organisation).collect::<String>();
        let change = SettingsChange {
            expected_version: 0,
            document: Document::from_toml(&text).expect("a document"),
            actor: "anna".to_owned(),
            via: "socket".into(),
            summary: Vec::new(),
            time: START,
        };
        store.change_settings(change).await.expect("valid settings");
        let context = AdminContext {
            store,
            clock: Clock::simulated(START),
            chance: Chance::seeded(7),
            hostname: "relay.contoso.test".to_owned(),
            message_size_max: 1 << 20,
            metrics: Metrics::new(START),
            conversations: relais_net::conversation::Conversations::default(),
            counts: None,
            readiness: Readiness::new(Phase::Serving),
            certificates: CertificateView::default(),
            site: Site {
                hostname: "relay.contoso.test".to_owned(),
                source_addresses: vec!["192.0.2.1".parse().expect("an address")],
                zone: None,
                shows_policies: false,
            },
            findings: Findings::default(),
            people: People::new(None, false),
            outbound: None,
            duties: Default::default(),

            premises: None,
            rounds: crate::rounds::Rounds::default(),
            dns: Some(Dns {
                resolver: Resolver::simulated(&dns),
                authority: AuthorityOptions {
                    port: 53,
                    private_servers: false,
                },
                blocklists: Vec::new(),
                names: NameTable::default(),
                changed: Arc::default(),
            }),
        };
        let world = Self {
            context,
            dns,
            closing: CancellationToken::new(),
        };
        let asked = world.context.dns.clone().expect("there is one");
        tokio::spawn(watch(world.context.clone(), asked, world.closing.clone()));
        world.pass(Duration::from_secs(2)).await;
        world
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.context.clock.sleep(time).await;
    }

    pub(crate) fn proof(&self, organisation: &str) -> Proof {
        let domain = Domain::parse("contoso.test").expect("a domain");
        let settings = self.context.store.settings();
        settings
            .proof(organisation, &domain)
            .cloned()
            .expect("it has a token")
    }

    fn standing(&self, organisation: &str) -> &'static str {
        self.proof(organisation).standing.name()
    }

    /// The zone has the records of these organisations, and of nobody else.
    pub(crate) fn publish(&self, organisations: &[&str]) {
        let record = |name: &&str| ZoneRecord::Text(self.proof(name).token.record());
        let mut records = organisations.iter().map(record).collect::<Vec<_>>();
        records.push(ZoneRecord::Text("v=spf1 -all".to_owned()));
        self.dns.set("contoso.test", records);
    }

    async fn changes(&self) -> usize {
        let query = TraceQuery::parse("event:check.changed").expect("a query");
        self.context
            .store
            .trace(&query)
            .await
            .expect("a trace")
            .len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_is_proved_lapses_is_suspended_and_comes_back_without_a_hand() {
    let world = World::new(&["contoso"]).await;
    assert_eq!(world.standing("contoso"), "pending");
    world.pass(HOUR * 5).await;
    assert_eq!(world.standing("contoso"), "pending");
    world.publish(&["contoso"]);
    world.pass(HOUR * 2).await;
    assert_eq!(world.standing("contoso"), "verified");
    world.pass(DAY * 30).await;
    assert_eq!(world.standing("contoso"), "verified");
    world.publish(&[]);
    world.pass(DAY + HOUR * 3).await;
    assert_eq!(world.standing("contoso"), "lapsing");
    world.pass(DAY * 5).await;
    assert_eq!(world.standing("contoso"), "lapsing", "grace is seven days");
    world.pass(DAY * 3).await;
    assert_eq!(world.standing("contoso"), "suspended");
    world.publish(&["contoso"]);
    world.pass(HOUR * 2).await;
    assert_eq!(world.standing("contoso"), "verified");
    assert_eq!(world.changes().await, 4, "each change is told once");
    let audit = world.context.store.audit(10).await.expect("an audit");
    let acts = audit
        .iter()
        .map(|entry| entry.act.as_str())
        .collect::<Vec<_>>();
    let expected = [
        "domain.verified",
        "domain.suspended",
        "domain.lapsing",
        "domain.verified",
        "settings.changed",
    ];
    assert_eq!(acts, expected);
    assert!(audit[..4].iter().all(|entry| entry.actor == "daily check"));
}

#[tokio::test(start_paused = true)]
async fn dns_that_fails_for_weeks_takes_nothing_away_and_is_shown() {
    let world = World::new(&["contoso"]).await;
    world.publish(&["contoso"]);
    world.pass(HOUR).await;
    for fault in [DnsFault::ServFail, DnsFault::Silence] {
        world.dns.set_fault("contoso.test", Some(fault));
        world.pass(DAY * 20).await;
        let proof = world.proof("contoso");
        assert_eq!(proof.standing, Standing::Verified, "{fault:?}");
        assert!(proof.seen.contains("failed"), "{}", proof.seen);
    }
    world.dns.set_fault("contoso.test", None);
    world.pass(HOUR * 2).await;
    assert!(world.proof("contoso").seen.contains("shows it"));
    assert_eq!(world.changes().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_suspends_nobody_and_stops_no_look() {
    let world = World::new(&["contoso"]).await;
    world.publish(&["contoso"]);
    world.pass(HOUR).await;
    world.publish(&[]);
    world.pass(DAY + HOUR * 3).await;
    assert_eq!(world.standing("contoso"), "lapsing");
    let year = 365 * 86_400_000;
    for jump in [year, -2 * year, year] {
        world.context.clock.jump(jump);
        world.pass(HOUR * 3).await;
        let left = world.proof("contoso").grace_left().expect("it lapses");
        assert!(left > GRACE - DAY, "{left:?} after a jump of {jump}");
    }
    world.publish(&["contoso"]);
    world.pass(HOUR * 2).await;
    assert_eq!(world.standing("contoso"), "verified");
}

#[tokio::test(start_paused = true)]
async fn of_two_organisations_the_one_whose_record_is_there_has_the_domain() {
    let world = World::new(&["contoso", "fabrikam"]).await;
    let tokens = ["contoso", "fabrikam"].map(|name| world.proof(name).token);
    assert_ne!(tokens[0], tokens[1]);
    world.publish(&["fabrikam"]);
    world.pass(HOUR).await;
    assert_eq!(
        (world.standing("contoso"), world.standing("fabrikam")),
        ("pending", "verified")
    );
    world.publish(&["contoso", "fabrikam"]);
    world.pass(DAY * 2).await;
    assert_eq!(
        world.standing("contoso"),
        "pending",
        "a proof that holds is not displaced"
    );
    assert!(world.proof("contoso").seen.contains("another organisation"));
    world.publish(&["contoso"]);
    world.pass(DAY * 4).await;
    assert_eq!(
        (world.standing("contoso"), world.standing("fabrikam")),
        ("pending", "lapsing")
    );
    world.pass(DAY * 6).await;
    assert_eq!(
        (world.standing("contoso"), world.standing("fabrikam")),
        ("verified", "suspended")
    );
}

#[tokio::test(start_paused = true)]
async fn many_domains_are_looked_at_a_few_at_a_time() {
    let world = World::new(&["contoso"]).await;
    let domains = (0..200).map(|n| format!("[[organisation.domain]]\nname = \"d{n}.test\"\n"));
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n{}",
        domains.collect::<String>()
    );
    let change = SettingsChange {
        expected_version: 1,
        document: Document::from_toml(&text).expect("a document"),
        actor: "anna".to_owned(),
        via: "socket".into(),
        summary: Vec::new(),
        time: START,
    };
    world
        .context
        .store
        .change_settings(change)
        .await
        .expect("valid settings");
    world.pass(Duration::from_secs(150)).await;
    let settings = world.context.store.settings();
    assert_eq!(
        settings.proofs.iter().count(),
        200,
        "that of contoso.test has gone"
    );
    let looked = settings
        .proofs
        .iter()
        .filter(|(_, proof)| proof.looked_at.is_some());
    assert_eq!(looked.count(), 200);
}
