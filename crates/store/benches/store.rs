//! Messages per second through the embedded store on a real folder (`TMPDIR`, or `RELAIS_BENCH`),
//! 4 KiB each: commits alone, and the full cycle of commit, lease and settle with three events.
//!
//! With `backlog` as filter: a queue of `RELAIS_BACKLOG` messages (1,000,000), how long until the
//! first one is leased after the start, and how much memory the queue takes. With `large`: 100
//! messages of 50 MB at once, and the memory that takes.
//!
//! `cargo bench -p relais-store [-- FILTER]`. Five rounds each; the median counts, the spread is
//! printed. CPU is that of the whole process, harness included.

use std::path::{Path, PathBuf};
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
    match filter.as_deref() {
        Some("backlog") => return backlog::run(),
        Some("backlog-open") => return backlog::open(),
        Some("large") => return large::run(),
        Some(_) | None => {}
    }
    let runtime = runtime();
    println!("work         tasks      msg/s (min-max)     us CPU/msg  p50/p99 ms");
    speed(&runtime, filter.as_deref());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts")
}

fn speed(runtime: &tokio::runtime::Runtime, filter: Option<&str>) {
    for (work, tasks) in [
        (Work::Commit, 1),
        (Work::Commit, 16),
        (Work::Commit, 256),
        (Work::Cycle, 1),
        (Work::Cycle, 20),
        (Work::Cycle, 256),
    ] {
        let name = format!("{work:?}-{tasks}");
        if filter.is_some_and(|filter| !name.contains(filter)) {
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
    let folder = folder();
    let store = open_store(&folder.path().join("data")).await;
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
    let sender = Sender::new(&format!("d{task}.example"));
    let mut times = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        let content = Content::Inline(vec![b'x'; CONTENT_OCTETS].into());
        let message = sender.message(&store, content);
        store.commit(message).await.expect("committed").queue_id();
        if work == Work::Cycle {
            deliver(&store, &sender.key).await;
        }
        times.push(started.elapsed());
    }
    times
}

/// Who sends to one destination.
struct Sender {
    key: QueueKey,
    to: Arc<str>,
    mailbox: Mailbox,
    client: Arc<ClientSummary>,
}

impl Sender {
    fn new(destination: &str) -> Self {
        let to = format!("anna@{destination}");
        Self {
            key: QueueKey::new("contoso", destination),
            mailbox: Mailbox::parse(&to).expect("an address"),
            to: to.into(),
            client: Arc::new(ClientSummary {
                address: "192.0.2.9".parse().expect("an address"),
                helo: Some("scan2".into()),
                credential: None,
                certificate: None,
            }),
        }
    }

    fn message(&self, store: &Store, content: Content) -> NewMessage {
        let time = now();
        let facts = MessageFacts {
            queue_id: store.next_queue_id(time),
            organisation: self.key.organisation.clone(),
            inbound_connector: Some("Printers".into()),
            client: Some(self.client.clone()),
            reverse_path: ReversePath::Mailbox(self.mailbox.clone()),
            replaced: None,
            parameters: SenderParameters::default(),
            accepted_at: time,
            size: content.size(),
            eight_bit: false,
            utf8_header: false,
            header_from: Some("scan@contoso.test".into()),
            subject: Some("Scan of this morning".into()),
            message_id: Some("20261124.1@contoso.test".into()),
            body_hash: None,
            is_notice: false,
        };
        let accepted = Event {
            to: Some(To::Many(vec![self.to.clone()])),
            ..event(&facts, time)
        };
        NewMessage {
            recipients: vec![NewRecipient {
                recipient: EnvelopeRecipient::new(self.mailbox.clone()),
                key: self.key.clone(),
                due: time,
                expires_at: time.after(Duration::from_secs(86_400)),
                is_restricted: false,
                held: false,
            }],
            content,
            events: vec![accepted],
            facts,
        }
    }
}

fn folder() -> tempfile::TempDir {
    match std::env::var_os("RELAIS_BENCH") {
        Some(folder) => tempfile::tempdir_in(PathBuf::from(folder)),
        None => tempfile::tempdir(),
    }
    .expect("a folder")
}

async fn open_store(folder: &Path) -> Store {
    Store::open(OpenOptions {
        folder: folder.to_path_buf(),
        mode: Mode::Lan,
        disk_reserve: 0,
        trace_days: 90,
        observer: Arc::new(|_, _| {}),
        now: now(),
    })
    .await
    .expect("the store opens")
}

/// Resident memory of this process in MB, now and at its highest.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or(0) / 1_024
    };
    (field("VmRSS"), field("VmHWM"))
}

mod backlog {
    use super::*;

    /// Fills a queue, then opens it in a new process.
    pub(super) fn run() {
        let number = |text: String| text.parse::<usize>().ok();
        let messages = std::env::var("RELAIS_BACKLOG")
            .ok()
            .and_then(number)
            .unwrap_or(1_000_000);
        let folder = folder();
        let started = Instant::now();
        runtime().block_on(async {
            let store = open_store(folder.path()).await;
            let tasks: Vec<_> = (0..256)
                .map(|task| tokio::spawn(fill(store.clone(), task, messages / 256)))
                .collect();
            for task in tasks {
                task.await.expect("a task ends");
            }
            store.close(Duration::from_secs(60)).await;
        });
        println!(
            "{messages} committed in {:.1} s",
            started.elapsed().as_secs_f64()
        );
        let program = std::env::current_exe().expect("a program");
        let mut child = std::process::Command::new(program);
        child.arg("backlog-open").env("RELAIS_BENCH", folder.path());
        child.status().expect("it runs");
    }

    async fn fill(store: Store, task: usize, messages: usize) {
        let sender = Sender::new(&format!("d{}.example", task % 50));
        for _ in 0..messages {
            let content = Content::Inline(vec![b'x'; CONTENT_OCTETS].into());
            let message = sender.message(&store, content);
            store.commit(message).await.expect("committed").queue_id();
        }
    }

    /// The folder is in `RELAIS_BENCH`.
    pub(super) fn open() {
        let folder = std::env::var_os("RELAIS_BENCH").expect("a folder");
        let started = Instant::now();
        runtime().block_on(async {
            let store = open_store(Path::new(&folder)).await;
            let opened = started.elapsed();
            let sender = Sender::new("new.example");
            let message = sender.message(&store, Content::Inline(Arc::from(*b"x")));
            store.commit(message).await.expect("committed").queue_id();
            let accepted = started.elapsed();
            let key = Sender::new("d7.example").key;
            let until = now().after(Duration::from_secs(60));
            while store
                .lease(&key, 1, 1, now(), until)
                .await
                .expect("leased")
                .is_empty()
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let leased = started.elapsed();
            let all = relais_store::queue::Criteria::default();
            store.list(&all, None, 1).await.expect("listed");
            let complete = started.elapsed();
            let counts = store.counts();
            println!(
                "{} queued: opened {opened:.1?}, accepted {accepted:.1?}, first lease \
                 {leased:.1?}, complete {complete:.1?}, memory {:?} MB",
                counts.queued,
                memory()
            );
            store.close(Duration::from_secs(60)).await;
        });
    }
}

mod large {
    use super::*;

    /// 100 messages of 50 MB, written and read in pieces.
    pub(super) fn run() {
        let folder = folder();
        runtime().block_on(async {
            let store = open_store(folder.path()).await;
            let started = Instant::now();
            let tasks: Vec<_> = (0..100)
                .map(|task| tokio::spawn(pass(store.clone(), task)))
                .collect();
            for task in tasks {
                task.await.expect("a task ends");
            }
            println!(
                "100 x 50 MB in and out in {:.1} s, memory {:?} MB",
                started.elapsed().as_secs_f64(),
                memory()
            );
            store.close(Duration::from_secs(60)).await;
        });
    }

    async fn pass(store: Store, task: usize) {
        let sender = Sender::new(&format!("d{task}.example"));
        let piece = vec![b'x'; 16 * 1_024];
        let mut writer = store.content_writer();
        while writer.size() < 50_000_000 {
            writer.write(&piece).await.expect("written");
        }
        let content = writer.finish().await.expect("synced");
        let message = sender.message(&store, content);
        store.commit(message).await.expect("committed").queue_id();
        let until = now().after(Duration::from_secs(600));
        let leased = store
            .lease(&sender.key, 1, 1, now(), until)
            .await
            .expect("leased");
        let mut reader = store
            .content_reader(&leased[0].content)
            .await
            .expect("opened");
        while !reader.next().await.expect("read").is_empty() {}
        let settlement = Settlement {
            lease: leased[0].lease.clone(),
            changes: vec![(0, RecipientChange::Done)],
            events: Vec::new(),
            notices: Vec::new(),
        };
        store.settle(settlement).await.expect("settled");
    }
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
