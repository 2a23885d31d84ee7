//! MTA-STS policies of destinations: found, kept in memory and on a shelf, refreshed. RFC 8461 §3,
//! §5.1. What is kept counts until its time is over, over restarts and whatever fails meanwhile.
//!
//! Not here: what a record and a policy say, and when to fetch (`relais_policy::sts`).

mod cache;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::tally::Tally;
use relais_net::clock::Clock;
use relais_net::resolver::{DnsError, Resolver};
use relais_net::web::{Web, WebError};
use relais_policy::sts::{
    Announced, KeptPolicy, POLICY_OCTETS_MAX, RECORD_AGAIN_AFTER, StsId, StsPolicy, in_force,
    must_fetch, read_policy, read_records,
};
use relais_policy::tls_report::{Failure, Policy, PolicyFault};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use relais_store::shelf::{Shelf, ShelfChange};
use relais_store::store::Store;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use self::cache::Cache;

/// See the head of this file. Shared.
pub(crate) struct StsPolicies {
    store: Store,
    clock: Clock,
    web: Web,
    tally: Tally,
    known: Mutex<Cache<AsyncMutex<Known>>>,
    loaded: OnceCell<()>,
}

#[derive(Default)]
struct Known {
    kept: Option<KeptPolicy>,
    /// The same, to be shared, while it is in force.
    shared: Option<Arc<StsPolicy>>,
    looked: Option<Timestamp>,
    failed: Option<Timestamp>,
}

impl StsPolicies {
    pub(crate) fn new(store: Store, clock: Clock, web: Web, tally: Tally) -> Self {
        Self {
            store,
            clock,
            web,
            tally,
            known: Mutex::default(),
            loaded: OnceCell::new(),
        }
    }

    /// The policy of a domain that counts now. Asks DNS at most every five minutes, and the web
    /// server when it must.
    pub(crate) async fn of(&self, resolver: &Resolver, domain: &Domain) -> Option<Arc<StsPolicy>> {
        self.loaded.get_or_init(|| self.load()).await;
        self.tidy().await;
        let known = self.cache().entry(domain, self.clock.now());
        // Others who want the same wait for the one that asks.
        let mut known = known.lock().await;
        let now = self.clock.now();
        let looked_lately = known
            .looked
            .is_some_and(|at| at <= now && now.since(at) < RECORD_AGAIN_AFTER);
        if !looked_lately {
            let announced = announced(resolver, domain).await;
            known.looked = Some(self.clock.now());
            if must_fetch(known.kept.as_ref(), &announced, known.failed, now)
                && let Announced::Id(id) = announced
            {
                self.fetch(domain, id, &mut known).await;
            }
        }
        let now = self.clock.now();
        let Some(policy) = in_force(known.kept.as_ref(), now) else {
            known.shared = None;
            return None;
        };
        if known.shared.as_deref() != Some(policy) {
            known.shared = Some(Arc::new(policy.clone()));
        }
        known.shared.clone()
    }

    async fn fetch(&self, domain: &Domain, id: StsId, known: &mut Known) {
        let fetched = self.web.sts_policy(domain, POLICY_OCTETS_MAX).await;
        let now = self.clock.now();
        let policy = match fetched {
            Ok(octets) => {
                read_policy(&octets).map_err(|fault| (PolicyFault::StsInvalid, fault.to_string()))
            }
            Err(error) => Err((fault_of(&error), error.to_string())),
        };
        let policy = match policy {
            Ok(policy) => policy,
            Err((fault, because)) => {
                known.failed = Some(now);
                let failure = Failure::once(fault.result_type(), because.clone());
                let policy = Policy::announced_sts(domain);
                self.tally.count(now, domain, policy, Some(failure));
                tracing::info!(%domain, %because, "its MTA-STS policy cannot be had");
                return;
            }
        };
        known.failed = None;
        let kept = KeptPolicy {
            id,
            policy,
            fetched: now,
        };
        let text = write(&kept);
        self.cache().weigh(domain, text.len(), kept.until());
        let change = ShelfChange::new(Shelf::StsPolicy, now).put(domain.as_str(), text);
        if let Err(error) = self.store.change_shelf(change).await {
            tracing::warn!(%domain, %error, "its MTA-STS policy is not kept over a restart");
        }
        known.kept = Some(kept);
    }

    fn cache(&self) -> MutexGuard<'_, Cache<AsyncMutex<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes off the shelf what is over, and what there is no room for.
    async fn tidy(&self) {
        let now = self.clock.now();
        let gone = self.cache().tidy(now);
        let gone = gone.into_iter().map(|domain| domain.as_str().to_owned());
        self.take(gone.collect()).await;
    }

    async fn take(&self, gone: Vec<String>) {
        if gone.is_empty() {
            return;
        }
        let mut change = ShelfChange::new(Shelf::StsPolicy, self.clock.now());
        change.taken = gone;
        if let Err(error) = self.store.change_shelf(change).await {
            tracing::warn!(%error, "MTA-STS policies that count no more stay until the next start");
        }
    }

    /// What was kept before. Those whose time is over are taken away.
    async fn load(&self) {
        let entries = match self.store.shelf(Shelf::StsPolicy).await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the MTA-STS policies that were kept cannot be read");
                return;
            }
        };
        let now = self.clock.now();
        let mut over = Vec::new();
        for entry in entries {
            let kept = read(&entry.value).filter(|kept| kept.holds(now));
            match (Domain::parse(&entry.key), kept) {
                (Ok(domain), Some(kept)) => {
                    // Used last, for all that is known, when it was fetched.
                    let known = self.cache().entry(&domain, kept.fetched);
                    self.cache().weigh(&domain, entry.value.len(), kept.until());
                    known.lock().await.kept = Some(kept);
                }
                _ => over.push(entry.key),
            }
        }
        self.take(over).await;
    }
}

/// What the owner of the domain learns of it. RFC 8460 §4.3.2.2.
fn fault_of(error: &WebError) -> PolicyFault {
    match error {
        WebError::Certificate => PolicyFault::StsWebPki,
        WebError::MediaType | WebError::TooLong => PolicyFault::StsInvalid,
        WebError::NoConnection
        | WebError::TimedOut
        | WebError::Status(_)
        | WebError::Broken
        | WebError::Address => PolicyFault::StsFetch,
    }
}

async fn announced(resolver: &Resolver, domain: &Domain) -> Announced {
    let Ok(name) = Domain::parse(&format!("_mta-sts.{domain}")) else {
        // Too long to exist.
        return Announced::Nothing;
    };
    match resolver.texts(&name).await {
        Ok(answer) => {
            let texts = answer.records.iter().map(String::as_str);
            read_records(texts).map_or(Announced::Nothing, Announced::Id)
        }
        Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) => Announced::Nothing,
        Err(DnsError::Temporary { .. }) => Announced::Unknown,
    }
}

/// The version and when it was fetched, then the policy as its file would say it.
fn write(kept: &KeptPolicy) -> String {
    let head = format!("{} {}", kept.id.as_str(), kept.fetched.as_millis());
    let mut lines = vec![head];
    lines.extend(kept.policy.lines());
    lines.join("\n")
}

fn read(text: &str) -> Option<KeptPolicy> {
    let (head, policy) = text.split_once('\n')?;
    let (id, fetched) = head.split_once(' ')?;
    Some(KeptPolicy {
        id: StsId::parse(id)?,
        policy: read_policy(policy.as_bytes()).ok()?,
        fetched: Timestamp::from_millis(fetched.parse().ok()?),
    })
}
