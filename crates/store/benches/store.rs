//! Messages per second through the embedded store on a real folder (`TMPDIR`, or `RELAIS_BENCH`),
//! 4 KiB each: commits alone, and the full cycle of commit, lease and settle with three events.
//!
//! `cargo bench -p relais-store [-- FILTER]`. Five rounds each; the median counts, the spread is
//! printed. CPU is that of the whole process, harness included.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relais_policy::settings::Mode;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::time::Timestamp;
use relais_store::queue::{
    Content, MessageFacts, NewMessage, NewRecipient, QueueKey, RecipientChange, Settlement,
};
use relais_store::store::{OpenOptions, Store};
use relais_store::trace::{ClientSummary, Event, EventKind, To};

const ROUNDS: usize = 5;
const CONTENT_OCTETS: usize = 4_096;
const ROUND: Duration = Duration::from_secs(3);

/// What a task does, over and over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Work {
    Commit,
    Cycle,
}

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts");
    println!("work         tasks      msg/s (min-max)     us CPU/msg  p50/p99 ms");
    for (work, tasks) in [
        (Work::Commit, 1),
        (Work::Commit, 16),
        (Work::Commit, 256),
        (Work::Cycle, 1),
        (Work::Cycle, 20),
        (Work::Cycle, 256),
    ] {
        let name = format!("{work:?}-{tasks}");
        if filter.as_ref().is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let mut rounds: Vec<Round> = (0..ROUNDS)
            .map(|_| runtime.block_on(round(work, tasks)))
            .collect();
        rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let (first, middle, last) = (&rounds[0], &rounds[ROUNDS / 2], &rounds[ROUNDS - 1]);
        println!(
            "{:<12} {:>5}  {:>9.0} ({:.0}-{:.0}) {:>12.1}  {:.2}/{:.2}",
            format!("{work:?}"),
            tasks,
            middle.rate,
            first.rate,
            last.rate,
            middle.cpu_micros,
            middle.p50,
            middle.p99
        );
    }
}

struct Round {
    rate: f64,
    cpu_micros: f64,
    p50: f64,
    p99: f64,
}

async fn round(work: Work, tasks: usize) -> Round {
    let folder = match std::env::var_os("RELAIS_BENCH") {
        Some(folder) => tempfile::tempdir_in(PathBuf::from(folder)),
        None => tempfile::tempdir(),
    }
    .expect("a folder");
    let store = Store::open(OpenOptions {
        folder: folder.path().join("data"),
        mode: Mode::Lan,
        disk_reserve: 0,
        trace_days: 90,
        observer: Arc::new(|_| {}),
        now: now(),
    })
    .await
    .expect("the store opens");
    let (started, cpu) = (Instant::now(), cpu_time());
    let running: Vec<_> = (0..tasks)
        .map(|task| tokio::spawn(work_on(work, task, store.clone(), started + ROUND)))
        .collect();
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.expect("a task ends"));
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_time() - cpu;
    store.close(Duration::from_secs(30)).await;
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    Round {
        rate: times.len() as f64 / seconds,
        cpu_micros: cpu * 1e6 / times.len() as f64,
        p50: at(0.5),
        p99: at(0.99),
    }
}

async fn work_on(work: Work, task: usize, store: Store, end: Instant) -> Vec<Duration> {
    let organisation: Arc<str> = "contoso".into();
    let key = QueueKey {
        organisation: organisation.clone(),
        destination: format!("d{task}.example").into(),
    };
    let to: Arc<str> = format!("anna@d{task}.example").into();
    let mailbox = Mailbox::parse(&to).expect("an address");
    let client = Arc::new(ClientSummary {
        address: "192.0.2.9".parse().expect("an address"),
        helo: Some("scan2".into()),
        credential: None,
        certificate: None,
    });
    let mut times = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        let time = now();
        let facts = MessageFacts {
            queue_id: store.next_queue_id(time),
            organisation: organisation.clone(),
            inbound_connector: Some("Printers".into()),
            client: Some(client.clone()),
            reverse_path: ReversePath::Mailbox(mailbox.clone()),
            parameters: SenderParameters::default(),
            accepted_at: time,
            size: CONTENT_OCTETS as u64,
            eight_bit: false,
            utf8_header: false,
            header_from: Some("scan@contoso.test".into()),
            subject: Some("Scan of this morning".into()),
            message_id: Some("20261124.1@contoso.test".into()),
            is_notice: false,
        };
        let accepted = Event {
            to: Some(To::Many(vec![to.clone()])),
            ..event(&facts, time)
        };
        let message = NewMessage {
            recipients: vec![NewRecipient {
                recipient: EnvelopeRecipient::new(mailbox.clone()),
                key: key.clone(),
                due: time,
                expires_at: time.after(Duration::from_secs(86_400)),
            }],
            content: Content::Inline(vec![b'x'; CONTENT_OCTETS].into()),
            events: vec![accepted],
            facts,
        };
        store.commit(message).await.expect("committed");
        if work == Work::Cycle {
            deliver(&store, &key).await;
        }
        times.push(started.elapsed());
    }
    times
}

async fn deliver(store: &Store, key: &QueueKey) {
    let time = now();
    let until = time.after(Duration::from_secs(60));
    let leased = store.lease(key, 1, 100, time, until).await.expect("leased");
    let [leased] = leased.as_slice() else {
        panic!("one message is due")
    };
    let to: Arc<str> = leased.recipients[0]
        .recipient
        .forward_path
        .to_string()
        .into();
    let delivered = Event {
        kind: EventKind::RecipientDelivered,
        to: Some(To::One(to.clone())),
        reply: Some("250 2.0.0 Queued as 4FZxyz".into()),
        next_hop: Some("mx.example.org[192.0.2.1]:25".into()),
        ..event(&leased.facts, time)
    };
    let attempted = Event {
        kind: EventKind::DeliveryAttempted,
        to: Some(To::Many(vec![to])),
        duration_ms: Some(4),
        ..delivered.clone()
    };
    let settlement = Settlement {
        lease: leased.lease.clone(),
        changes: vec![(0, RecipientChange::Done)],
        events: vec![attempted, delivered],
        notices: Vec::new(),
    };
    store.settle(settlement).await.expect("settled");
}

fn event(facts: &MessageFacts, time: Timestamp) -> Event {
    Event {
        queue_id: Some(facts.queue_id),
        organisation: Some(facts.organisation.clone()),
        inbound_connector: facts.inbound_connector.clone(),
        client: facts.client.clone(),
        from: Some("scan@contoso.test".into()),
        header_from: facts.header_from.clone(),
        subject: facts.subject.clone(),
        size: Some(facts.size),
        ..Event::new(time, EventKind::MessageAccepted)
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// User and system seconds of this process.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}
