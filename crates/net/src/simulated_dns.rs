//! Simulated DNS: a zone that tests change while they run, with faults by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use relais_smtp::domain::Domain;

use crate::dns_answer::DnsError;
use crate::zone::{Zone, ZoneRecord};

/// What happens to questions about a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DnsFault {
    /// SERVFAIL.
    ServFail,
    /// No answer at all.
    Silence,
    /// The answer takes so long, beyond the latency of every answer.
    Slow(Duration),
}

/// What a simulated resolver knows. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct SimulatedDns(Arc<Shared>);

struct Shared {
    latency: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<String, Vec<ZoneRecord>>,
    /// What single servers know otherwise.
    at: BTreeMap<(SocketAddr, String), Vec<ZoneRecord>>,
    faults: BTreeMap<String, DnsFault>,
    /// Domains whose names are signed.
    signed: BTreeSet<String>,
    questions: u64,
}

impl SimulatedDns {
    /// Knows nothing yet; each answer takes `latency`.
    pub fn new(latency: Duration) -> Self {
        Self(Arc::new(Shared {
            latency,
            state: Mutex::default(),
        }))
    }

    /// All records of a name from now on; none: only the name's absence.
    pub fn set(&self, name: &str, records: Vec<ZoneRecord>) {
        let mut state = self.lock();
        if records.is_empty() {
            state.records.remove(name);
        } else {
            state.records.insert(name.to_owned(), records);
        }
    }

    /// What one server says of a name from now on, when it is asked itself.
    pub fn set_at(&self, server: SocketAddr, name: &str, records: Vec<ZoneRecord>) {
        self.lock().at.insert((server, name.to_owned()), records);
    }

    /// A fault for questions about a name, or to a server by its address, or its end.
    pub fn set_fault(&self, name: &str, fault: Option<DnsFault>) {
        let mut state = self.lock();
        match fault {
            Some(fault) => state.faults.insert(name.to_owned(), fault),
            None => state.faults.remove(name),
        };
    }

    /// Whether answers about a domain and the names below it are signed and valid from now on; one
    /// that leads over aliases is if all its names are.
    pub fn set_signed(&self, domain: &str, signed: bool) {
        let mut state = self.lock();
        if signed {
            state.signed.insert(domain.to_owned());
        } else {
            state.signed.remove(domain);
        }
    }

    /// Questions asked so far.
    pub fn questions(&self) -> u64 {
        self.lock().questions
    }

    pub(crate) async fn ask(
        &self,
        domain: &Domain,
        record_type: RecordType,
    ) -> Result<Message, DnsError> {
        let fault = self.fault(domain.as_str());
        self.answer_in_time(None, domain, record_type, fault).await
    }

    /// One server asked by itself.
    pub(crate) async fn ask_at(
        &self,
        server: SocketAddr,
        domain: &Domain,
        record_type: RecordType,
    ) -> Result<Message, DnsError> {
        let fault = self.fault(&server.ip().to_string());
        self.answer_in_time(Some(server), domain, record_type, fault)
            .await
    }

    fn fault(&self, name: &str) -> Option<DnsFault> {
        let mut state = self.lock();
        state.questions += 1;
        state.faults.get(name).copied()
    }

    async fn answer_in_time(
        &self,
        server: Option<SocketAddr>,
        domain: &Domain,
        record_type: RecordType,
        fault: Option<DnsFault>,
    ) -> Result<Message, DnsError> {
        tokio::time::sleep(self.0.latency).await;
        let mut answer = self.answer(server, domain, record_type)?;
        match fault {
            None => {}
            Some(DnsFault::ServFail) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                answer.answers.clear();
            }
            Some(DnsFault::Silence) => std::future::pending().await,
            Some(DnsFault::Slow(delay)) => tokio::time::sleep(delay).await,
        }
        Ok(answer)
    }

    fn answer(
        &self,
        server: Option<SocketAddr>,
        domain: &Domain,
        record_type: RecordType,
    ) -> Result<Message, DnsError> {
        let wrong = |_| DnsError::temporary(domain, "the name cannot be asked for");
        let mut name = Name::from_ascii(domain.as_str()).map_err(wrong)?;
        name.set_fqdn(true);
        let mut query = Message::query();
        query.add_query(Query::query(name, record_type));
        let state = self.lock();
        let mut known = state.records.clone();
        let own = state.at.iter().filter(|((at, _), _)| server == Some(*at));
        known.extend(own.map(|((_, name), records)| (name.clone(), records.clone())));
        let records: Vec<_> = known
            .iter()
            .flat_map(|(name, records)| records.iter().map(|one| (name.clone(), one.clone())))
            .collect();
        let mut zone =
            Zone::new(&records).map_err(|error| DnsError::temporary(domain, error.to_string()))?;
        state.signed.iter().for_each(|signed| zone.sign(signed));
        query.metadata.authentic_data = true;
        Ok(zone.answer(&query))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
