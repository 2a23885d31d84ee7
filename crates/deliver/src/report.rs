//! Reports on TLS: what was counted is kept on a shelf, and told to the owners of the domains that
//! want it when the day is over (UTC). RFC 8460.
//!
//! Not here: counting (`results`, `tally`), what a report says and who wants it
//! (`relais_policy::tls_report`).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use relais_net::resolver::DnsError;
use relais_net::web::{WebError, from_json, to_compressed_json, to_json};
use relais_policy::document::Organisation;
use relais_policy::tls_report::{Address, DateRange, Letter, PolicyResults, Report, read_records};
use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};

use crate::connection::Shared;
use crate::notice;
use crate::tally::Key;

/// Between two looks: what is counted is on the shelf after it, and a day's end is found by it.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);
/// Reports leave within so long of midnight, spread by chance: everybody's day ends at once.
const SPREAD_SECONDS: u64 = 2 * 60 * 60;
/// A report that cannot be sent is given up after this. RFC 8460 §3: it is worth nothing then.
const GIVE_UP_AFTER: Duration = Duration::from_secs(2 * 86_400);
/// Compressed octets of a line of base64: 76 characters. RFC 2045 §6.8.
const LINE_OCTETS: usize = 57;
const DAY: Duration = Duration::from_secs(86_400);
const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// Keeps and reports until it is stopped; then what was counted is kept once more.
pub(crate) async fn run(shared: Arc<Shared>) {
    let context = &shared.context;
    let spread = Duration::from_secs(context.chance.below(SPREAD_SECONDS));
    load(&shared).await;
    // What was over before the start is late already, and a start is no midnight.
    report_what_is_over(&shared, &context.clock.now().day()).await;
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return keep(&shared).await,
            () = context.clock.sleep(LOOK_EVERY) => {}
        }
        keep(&shared).await;
        let today = context.clock.now().before(spread).day();
        report_what_is_over(&shared, &today).await;
    }
}

async fn report_what_is_over(shared: &Shared, today: &str) {
    let over: Vec<Key> = {
        let state = shared.tally.lock();
        let days = state.counted.keys();
        // Today's are longer than yesterday's in the order of text too.
        days.filter(|(day, _)| **day < *today).cloned().collect()
    };
    for key in over {
        if shared.stop.is_cancelled() {
            break;
        }
        report(shared, &key).await;
    }
}

/// What was counted before a restart.
async fn load(shared: &Shared) {
    if shared.tally.lock().loaded {
        return;
    }
    let entries = match shared.context.store.shelf(Shelf::TlsReport).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(%error, "what was counted for reports on TLS cannot be read");
            return;
        }
    };
    let mut state = shared.tally.lock();
    state.loaded = true;
    for entry in entries {
        let Some((day, domain)) = entry.key.split_once(' ') else {
            continue;
        };
        let results = from_json::<Vec<PolicyResults>>(&entry.value);
        let (Ok(domain), Some(results)) = (Domain::parse(domain), results) else {
            continue;
        };
        let counted = state.counted.entry((day.to_owned(), domain)).or_default();
        // Counted since the start: added to what was there.
        for one in std::mem::replace(&mut counted.results, results) {
            add(&mut counted.results, one);
        }
    }
}

/// Adds the counts of one policy to others.
fn add(results: &mut Vec<PolicyResults>, more: PolicyResults) {
    let Some(known) = results.iter_mut().find(|one| one.policy == more.policy) else {
        return results.push(more);
    };
    let (sum, new) = (&mut known.summary, more.summary);
    sum.total_successful_session_count += new.total_successful_session_count;
    sum.total_failure_session_count += new.total_failure_session_count;
    known.failure_details.extend(more.failure_details);
}

async fn keep(shared: &Shared) {
    let context = &shared.context;
    let mut change = ShelfChange::new(Shelf::TlsReport, context.clock.now());
    {
        let mut state = shared.tally.lock();
        if !state.loaded {
            return;
        }
        for ((day, domain), counted) in &mut state.counted {
            if std::mem::take(&mut counted.changed) {
                change = change.put(format!("{day} {domain}"), to_json(&counted.results));
            }
        }
    }
    if change.put.is_empty() {
        return;
    }
    if let Err(error) = context.store.change_shelf(change).await {
        tracing::warn!(%error, "what was counted for reports on TLS is not kept over a restart");
    }
}

/// One domain's report of one day; then it is forgotten, unless it can be sent later.
async fn report(shared: &Shared, key: &Key) {
    let (day, domain) = key;
    let context = &shared.context;
    let now = context.clock.now();
    let begin = Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z")).unwrap_or(now);
    let is_old = now.since(begin) > GIVE_UP_AFTER;
    let results = {
        let state = shared.tally.lock();
        state
            .counted
            .get(key)
            .map(|counted| counted.results.clone())
    };
    let sent = match results {
        Some(results) if !is_old && context.options.tls_reports => {
            send(shared, domain, begin, results).await
        }
        Some(_) | None => Ok(()),
    };
    if let Err(because) = sent {
        tracing::info!(%domain, %because, "a report on TLS could not be sent, and is tried again");
        return;
    }
    let change = ShelfChange::new(Shelf::TlsReport, now).take(format!("{day} {domain}"));
    if let Err(error) = context.store.change_shelf(change).await {
        tracing::warn!(%error, "a report on TLS may be sent twice");
    }
    shared.tally.lock().counted.remove(key);
}

/// To all addresses of the first kind that works. `Err`: it may work later.
async fn send(
    shared: &Shared,
    domain: &Domain,
    begin: Timestamp,
    policies: Vec<PolicyResults>,
) -> Result<(), String> {
    let context = &shared.context;
    let Ok(name) = Domain::parse(&format!("_smtp._tls.{domain}")) else {
        return Ok(());
    };
    let addresses = match context.network.resolver().texts(&name).await {
        Ok(found) => read_records(found.records.iter().map(String::as_str)),
        Err(error @ DnsError::Temporary { .. }) => return Err(error.to_string()),
        Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) => return Ok(()),
    };
    let Some(sender) = Sender::of(shared).filter(|_| !addresses.is_empty()) else {
        return Ok(());
    };
    let end = begin.after(DAY - Duration::from_secs(1));
    let report_id = format!("{}-{:08x}", begin.day(), context.chance.below(1 << 32));
    let report = Report {
        organization_name: sender.name.clone(),
        date_range: DateRange {
            start_datetime: seconds(begin),
            end_datetime: seconds(end),
        },
        contact_info: sender.mailbox.to_string(),
        report_id: report_id.clone(),
        policies,
    };
    let octets = to_compressed_json(&report).map_err(|error| error.to_string())?;
    let mut last = Ok(());
    for address in addresses {
        last = match address {
            Address::Web(address) => {
                let posted = context.web.post(&address, MEDIA_TYPE, octets.clone()).await;
                posted.map_err(|error: WebError| error.to_string())
            }
            Address::Mail(to) => {
                let times = (begin.as_millis() / 1_000, end.as_millis() / 1_000);
                let submitter = &context.options.hostname;
                let file = format!("{submitter}!{domain}!{}!{}.json.gz", times.0, times.1);
                let letter = Letter {
                    domain,
                    submitter,
                    from: &sender.mailbox,
                    to: &to,
                    report_id: &report_id,
                    file: &file,
                    now: context.clock.now(),
                    base64: &lines(&octets),
                };
                post(shared, &sender, &to, letter.compose()).await
            }
        };
        if last.is_ok() {
            break;
        }
    }
    last
}

/// As mail of ours, through our own queue.
async fn post(
    shared: &Shared,
    sender: &Sender,
    to: &Mailbox,
    octets: Vec<u8>,
) -> Result<(), String> {
    let store = &shared.context.store;
    let now = shared.context.clock.now();
    let queue_id = store.next_queue_id(now);
    let settings = store.settings();
    let mut message = notice::message(&settings, &sender.organisation, to, queue_id, octets, now);
    let mut event = notice::accepted(&message.facts, to.to_string().into(), queue_id);
    event.detail = Some("report on TLS".into());
    message.events.push(event);
    let committed = store.commit(message).await;
    committed.map(|_| ()).map_err(|error| error.to_string())
}

/// In whose name reports go.
struct Sender {
    organisation: Arc<str>,
    name: String,
    mailbox: Mailbox,
}

impl Sender {
    /// The organisation that the configuration names, else the first one with a postmaster.
    fn of(shared: &Shared) -> Option<Self> {
        let wanted = shared.context.options.tls_report_organisation.as_str();
        let settings = shared.context.store.settings();
        let fits = |one: &&Organisation| wanted.is_empty() || one.name == wanted;
        let all = settings.document.organisation.iter().filter(fits);
        all.filter_map(|one| {
            Some(Self {
                organisation: one.name.as_str().into(),
                name: match one.display_name.as_str() {
                    "" => one.name.clone(),
                    name => name.to_owned(),
                },
                mailbox: Mailbox::parse(&one.postmaster).ok()?,
            })
        })
        .next()
    }
}

/// RFC 3339 without fractions.
fn seconds(time: Timestamp) -> String {
    let text = time.to_rfc3339();
    text.split_once('.')
        .map_or_else(|| text.clone(), |(whole, _)| format!("{whole}Z"))
}

fn lines(octets: &[u8]) -> String {
    let lines = octets
        .chunks(LINE_OCTETS)
        .map(|line| BASE64_STANDARD.encode(line));
    lines.collect::<Vec<_>>().join("\r\n")
}
