//! How soon the first rows of a search are there, by token, in a trace of `RELAIS_TRACE_EVENTS`
//! events (1,000,000) over `RELAIS_TRACE_DAYS` days (30), made before in `RELAIS_BENCH` or
//! `TMPDIR`. About 1 GB for a million events.
//!
//! With `RELAIS_TRACE_FOLDER` an older trace is searched, and nothing made; with
//! `RELAIS_TRACE_SEARCH` by this one search only. In the end two addresses are erased from a trace
//! that was made here, one with few events and one with many, while mail is stored and the trace
//! is searched.
//!
//! `cargo bench -p relais-store --bench trace`. Each search is asked [`ROUNDS`] times; first and
//! median are printed, with the rows of the first page and the pages until there was a row.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use relais_policy::settings::Mode;
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::identifier::{QueueId, Reference};
use relais_smtp::time::Timestamp;
use relais_store::queue::{Content, MessageFacts, NewMessage, NewRecipient, QueueKey};
use relais_store::store::{OpenOptions, Store};
use relais_store::trace::erase::{Eraser, Erasure};
use relais_store::trace::tally::{Measure, TallyQuery};
use relais_store::trace::{ClientSummary, Event, EventKind, TlsSummary, To, TraceQuery};

const ROUNDS: usize = 5;
/// Rows of a page of the admin centre.
const ROWS: usize = 50;
/// Told before the trace is let catch up.
const BURST: u64 = 1_000;
const DEVICES: u64 = 300;
const PEOPLE: u64 = 20_000;
/// Searches that are measured: common and rare, alone and together.
const SEARCHES: &[&str] = &[
    "",
    "to:person-777@customer-7.example",
    "to:customer-7.example",
    "to:*son-777@*",
    "to:nobody@customer-7.example",
    "from:device-42@contoso.test",
    "from:<>",
    "client:10.1.0.42",
    "client:10.1.0.0/16",
    "client:10.9.0.0/16",
    "client:device-42",
    "connector:Printers",
    "connector:Servers",
    "status:delivered",
    "status:accepted",
    "status:failed",
    "status:refused",
    "status:held",
    "status:partly",
    "status:partly from:device-42@contoso.test",
    "code:250",
    "code:5.7.*",
    "code:4*",
    "code:5.1.1",
    "ref:AAAC7",
    "token:UNKNOWN-CLIENT",
    "size:>10mb",
    "size:>100mb",
    "size:<100",
    "tls:<1.2",
    "tls:none",
    "tls:1.3",
    "tls:dane",
    "subject:invoice",
    "subject:\"quarterly figures\"",
    "subject:31415927",
    "subject:nowhere-in-it",
    "event:recipient.failed",
    "event:alert.raised",
    "figures",
    "person-777@customer-7.example",
    "nowhere-in-it",
    "10.1.0.42",
    "connector:Printers to:person-777@customer-7.example",
    "connector:Printers status:failed code:5.1.1",
    "client:10.1.0.42 status:delivered size:>10mb",
    "status:delivered subject:31415927",
    "connector:Servers tls:<1.2",
    "to:customer-7.example subject:\"quarterly figures\" size:>10mb",
    "from:device-42@contoso.test to:customer-7.example status:deferred",
    "status:delivered tls:<1.2 size:>10mb code:250",
    // As a helpdesk types them.
    "from:device-42@contoso.test status:failed",
    "code:5.1.1 client:10.1.0.42",
    "code:4* to:customer-7.example",
    "tls:dane size:>10mb",
    "tls:<1.2 token:UNKNOWN-CLIENT",
    "tls:1.0 client:10.1.0.0/24",
    "size:>10mb status:failed",
    "size:>10mb from:device-42@contoso.test",
    "subject:\"quarterly figures\" from:device-42@contoso.test",
    "delay:>5m",
    "delay:>2s status:delivered",
    "to:person-700@customer-200.example status:delivered",
    "to:person-700@customer-200.example tls:<1.2",
    "event:recipient.failed subject:invoice to:*-11@*",
    "device-42@contoso.test invoice",
    "8.example 31415927 invoice",
];

/// One person, and one device: some 500 and some 33,000 of 10,000,000 events.
const ERASED: [&str; 2] = ["person-777@customer-277.example", "device-42@contoso.test"];
/// What is searched while an address is erased.
const SEARCHED_MEANWHILE: &str = "to:person-778@customer-278.example";
/// Between two messages, or two searches, while an address is erased.
const MEANWHILE_PAUSE: Duration = Duration::from_millis(20);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the runtime starts");
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let events = number("RELAIS_TRACE_EVENTS", 1_000_000);
    let days = number("RELAIS_TRACE_DAYS", 30);
    let made = std::env::var_os("RELAIS_TRACE_FOLDER").map(PathBuf::from);
    let fresh = match std::env::var_os("RELAIS_BENCH") {
        Some(folder) => tempfile::tempdir_in(PathBuf::from(folder)),
        None => tempfile::tempdir(),
    }
    .expect("a folder");
    let folder = made.clone().unwrap_or_else(|| fresh.path().to_path_buf());
    runtime.block_on(async {
        let store = Store::open(OpenOptions {
            folder,
            mode: Mode::Lan,
            disk_reserve: 0,
            trace_days: 120,
            observer: Arc::new(|_, _| {}),
            now: now(),
        })
        .await
        .expect("the store opens");
        if made.is_none() {
            fill(&store, events, days).await;
        }
        match std::env::var("RELAIS_TRACE_SEARCH") {
            Ok(search) => measure(&store, &search).await,
            Err(_) => {
                for search in SEARCHES {
                    measure(&store, search).await;
                }
            }
        }
        numbers(&store).await;
        if made.is_none() {
            for address in ERASED {
                erase(&store, address).await;
            }
        }
        store.close(Duration::from_secs(60)).await;
    });
}

async fn fill(store: &Store, events: u64, days: u64) {
    let started = Instant::now();
    let first = now().before(Duration::from_secs(days * 86_400));
    let messages = events / 3;
    let step = days * 86_400_000 / messages.max(1);
    for message in 0..messages {
        let time = first.after(Duration::from_millis(message * step));
        let random = mixed(message);
        for event in story(message, random, time) {
            store.record(event);
        }
        if message % BURST == BURST - 1 {
            // Whoever asks waits until all is written; of a day to come there is nothing to read.
            let tomorrow = now().after(Duration::from_secs(2 * 86_400));
            store.devices(tomorrow).await.expect("written");
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} events over {days} days written in {seconds:.0} s: {:.1} us each",
        messages * 3,
        seconds * 1e6 / (messages as f64 * 3.0)
    );
}

/// Three events of one message, or of one that was refused.
fn story(message: u64, random: u64, time: Timestamp) -> [Event; 3] {
    let device = random % DEVICES;
    let client = ClientSummary {
        address: [10, 1, (device >> 8) as u8, device as u8].into(),
        helo: Some(format!("device-{device}").into()),
        credential: None,
        certificate: None,
    };
    let person = (random >> 16) % PEOPLE;
    let to: Arc<str> = format!("person-{person}@customer-{}.example", person % 500).into();
    let size = match random % 2_000 {
        0 => 12_000_000 + random % 5_000_000,
        _ => 2_000 + (random >> 8) % 900_000,
    };
    let tls = |version: &str, verified: &str| {
        Some(Arc::new(TlsSummary {
            version: version.into(),
            cipher: "TLS13_AES_128_GCM_SHA256".into(),
            verified: verified.into(),
        }))
    };
    let subject = match random % 10_000 {
        0 => format!("quarterly figures {message}"),
        1..5_000 => format!("Scan from device {device} number {message}"),
        _ => format!(
            "Your invoice {} of this month",
            mixed(message) % 100_000_000
        ),
    };
    let accepted = Event {
        queue_id: Some(QueueId::new(time, 0, (message & 0xfff) as u16)),
        organisation: Some("contoso".into()),
        inbound_connector: Some(
            if device.is_multiple_of(4) {
                "Servers"
            } else {
                "Printers"
            }
            .into(),
        ),
        client: Some(Arc::new(client)),
        from: Some(format!("device-{device}@contoso.test").into()),
        header_from: Some(format!("device-{device}@contoso.test").into()),
        to: Some(To::Many(vec![to.clone()])),
        subject: Some(subject.into()),
        size: Some(size),
        tls: match random % 5_000 {
            0 => tls("1.0", "no"),
            1..1_000 => None,
            _ => tls("1.3", "no"),
        },
        duration_ms: Some(random % 50),
        ..Event::new(time, EventKind::MessageAccepted)
    };
    let later = time.after(Duration::from_millis(100 + random % 3_000));
    let attempted = Event {
        time: later,
        kind: EventKind::DeliveryAttempted,
        outbound_connector: Some("Direct".into()),
        next_hop: Some("mx.customer.example[192.0.2.1]:25".into()),
        reply: Some(format!("250 2.0.0 Ok: queued as {message:X}").into()),
        tls: tls(
            "1.3",
            if random.is_multiple_of(100_000) {
                "dane"
            } else {
                "name"
            },
        ),
        ..accepted.clone()
    };
    let ended = |kind: EventKind, reply: &str| Event {
        kind,
        to: Some(To::One(to.clone())),
        reply: Some(reply.into()),
        attempts: Some(1),
        ..attempted.clone()
    };
    let last = match (random >> 32) % 1_000 {
        0..5 => ended(EventKind::RecipientFailed, "550 5.1.1 No such user here"),
        5..8 => ended(EventKind::RecipientFailed, "550 5.7.1 Policy says no"),
        8..40 => ended(EventKind::RecipientDeferred, "451 4.7.1 Try again later"),
        40..60 => Event {
            queue_id: None,
            reference: Some(Reference::from_bits((message & 0xff_ffff) as u32)),
            kind: EventKind::AttemptRefused,
            token: Some("UNKNOWN-CLIENT".into()),
            reply: Some("550 5.7.1 Client not known (UNKNOWN-CLIENT)".into()),
            inbound_connector: None,
            ..accepted.clone()
        },
        _ => ended(
            EventKind::RecipientDelivered,
            attempted.reply.as_deref().unwrap_or_default(),
        ),
    };
    [accepted, attempted, last]
}

async fn measure(store: &Store, search: &str) {
    let mut times = Vec::new();
    let (mut rows, mut pages) = (0, 0);
    for round in 0..ROUNDS {
        let mut query = TraceQuery {
            limit: ROWS,
            ..TraceQuery::parse(search).expect("a search")
        };
        let started = Instant::now();
        let page = store.trace_page(&query).await.expect("an answer");
        times.push(started.elapsed());
        if round > 0 {
            continue;
        }
        (rows, pages) = (page.rows.len(), 1);
        query.before = page.next;
        while rows == 0 && query.before.is_some() {
            let page = store.trace_page(&query).await.expect("an answer");
            (rows, pages) = (page.rows.len(), pages + 1);
            query.before = page.next;
        }
    }
    let first = times[0];
    times.sort_unstable();
    println!(
        "{:>8.1} ms first {:>8.1} ms median  {rows:>3} rows, page {pages}  {search}",
        first.as_secs_f64() * 1e3,
        times[ROUNDS / 2].as_secs_f64() * 1e3
    );
}

/// The numbers of a page of charts over all days.
async fn numbers(store: &Store) {
    let since = now().before(Duration::from_secs(30 * 86_400));
    let measures = [
        Measure::Outcome,
        Measure::Client,
        Measure::Refusal,
        Measure::Tls,
        Measure::Route,
        Measure::Destination,
        Measure::Delay,
    ];
    let queries = measures.map(|measure| TallyQuery::new(measure, since));
    let started = Instant::now();
    let tallies = store.tallies(queries.to_vec()).await.expect("numbers");
    let devices = store.devices(since).await.expect("devices");
    println!(
        "charts over 30 days: {} numbers, {} devices in {:.1} ms",
        tallies.iter().map(Vec::len).sum::<usize>(),
        devices.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
}

/// Erases an address; meanwhile a message is stored and a search is asked, again and again.
async fn erase(store: &Store, address: &str) {
    let wanted = Erasure {
        eraser: Eraser::new(address).expect("an address"),
        organisation: None,
    };
    stored_and_found(store).await;
    let alone = stored_and_found(store).await;
    let (mut commits, mut searches) = (Vec::new(), Vec::new());
    let started = Instant::now();
    let erasing = store.erase(&wanted, |_| Vec::new(), "bench".into(), now());
    let beside = async {
        loop {
            tokio::time::sleep(MEANWHILE_PAUSE).await;
            let (commit, search) = stored_and_found(store).await;
            commits.push(commit);
            searches.push(search);
        }
    };
    let erased = tokio::select! {
        erased = erasing => erased.expect("it is erased"),
        () = beside => return,
    };
    println!(
        "{:>8.1} s to erase {} events of {address}",
        started.elapsed().as_secs_f64(),
        erased.events
    );
    for (what, mut times, alone) in [
        ("a message stored", commits, alone.0),
        ("a search answered", searches, alone.1),
    ] {
        times.sort_unstable();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        println!(
            "{what} meanwhile: {} times, {:.1} ms median, {:.1} ms at most; {:.1} ms before",
            times.len(),
            ms(times.get(times.len() / 2)),
            ms(times.last()),
            alone.as_secs_f64() * 1e3
        );
    }
}

/// How long a message took to be stored, and a search to be answered.
async fn stored_and_found(store: &Store) -> (Duration, Duration) {
    let started = Instant::now();
    store.commit(letter(store)).await.map(drop).expect("stored");
    let commit = started.elapsed();
    let query = TraceQuery {
        limit: ROWS,
        ..TraceQuery::parse(SEARCHED_MEANWHILE).expect("a search")
    };
    let started = Instant::now();
    store.trace_page(&query).await.expect("an answer");
    (commit, started.elapsed())
}

fn letter(store: &Store) -> NewMessage {
    let (time, content) = (now(), b"Subject: x\r\n\r\nHello.\r\n".to_vec());
    let mailbox = Mailbox::parse("scan@contoso.test").expect("an address");
    let queue_id = store.next_queue_id(time);
    let accepted = Event {
        queue_id: Some(queue_id),
        organisation: Some("contoso".into()),
        from: Some("scan@contoso.test".into()),
        ..Event::new(time, EventKind::MessageAccepted)
    };
    NewMessage {
        facts: MessageFacts {
            queue_id,
            organisation: "contoso".into(),
            inbound_connector: None,
            client: None,
            reverse_path: ReversePath::Mailbox(mailbox.clone()),
            replaced: None,
            parameters: SenderParameters::default(),
            accepted_at: time,
            size: content.len() as u64,
            eight_bit: false,
            utf8_header: false,
            header_from: None,
            subject: None,
            message_id: None,
            body_hash: None,
            is_notice: false,
        },
        recipients: vec![NewRecipient {
            recipient: EnvelopeRecipient::new(mailbox),
            key: QueueKey::new("contoso", "contoso.test"),
            due: time,
            expires_at: time.after(Duration::from_secs(86_400)),
            is_restricted: false,
            held: false,
        }],
        content: Content::Inline(content.into()),
        events: vec![accepted],
    }
}

/// SplitMix64: the same trace each time.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
