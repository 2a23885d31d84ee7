//! A zone of our own that strangers ask for: its start of authority, its name servers, and what is
//! put into it. RFC 1034 §4.3.2, RFC 2308 §3, RFC 6891 §6.1.1, RFC 8482 §4.1.
//!
//! Not here: sockets and rates (`own_dns`); and deliberately nowhere: recursion, zone transfer,
//! names of others.

use std::collections::BTreeMap;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use relais_smtp::domain::Domain;

use crate::zone::{ZoneError, ZoneRecord, data_of, parse_name};

/// TTL of every record, in seconds: what changes here is believed soon.
pub const OWN_TTL_SECONDS: u32 = 300;
/// How long "no" may be remembered, in seconds. RFC 2308 §5.
const NEGATIVE_TTL_SECONDS: u32 = 60;
/// Longest message over UDP that we offer to read. RFC 9715 §3.1.
const UDP_OCTETS_MAX: u16 = 1_232;

/// The zone. Changed as a whole.
#[derive(Clone, Debug)]
pub struct OwnZone {
    origin: Name,
    start: SOA,
    records: BTreeMap<Name, Vec<RData>>,
}

impl OwnZone {
    /// A zone at `origin` whose NS records name `servers`, the first of which is the primary;
    /// `serial` grows with each change. Records outside of the origin are left out.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn new(
        origin: &Domain,
        servers: &[Domain],
        serial: u32,
        records: &[(String, ZoneRecord)],
    ) -> Result<Self, ZoneError> {
        let origin = parse_name(origin.as_str())?;
        let mut names = Vec::new();
        for server in servers {
            names.push(parse_name(server.as_str())?);
        }
        let mailbox = Name::from_ascii("hostmaster").and_then(|it| it.append_domain(&origin));
        let (refresh, retry, expire) = (3_600, 600, 604_800);
        let mut zone = Self {
            start: SOA::new(
                names.first().unwrap_or(&origin).clone(),
                mailbox.unwrap_or_else(|_| origin.clone()),
                serial,
                refresh,
                retry,
                expire,
                NEGATIVE_TTL_SECONDS,
            ),
            origin,
            records: BTreeMap::new(),
        };
        let apex = zone.records.entry(zone.origin.clone()).or_default();
        apex.extend(names.into_iter().map(|name| RData::NS(NS(name))));
        for (name, record) in records {
            let name = parse_name(name)?;
            if zone.origin.zone_of(&name) {
                let data = data_of(record)?;
                zone.records.entry(name).or_default().push(data);
            }
        }
        Ok(zone)
    }

    /// The answer to a question. What is not ours is refused, and nothing is given to whoever asks
    /// for everything.
    pub fn answer(&self, query: &Message) -> Message {
        let metadata = &query.metadata;
        let mut answer = Message::new(metadata.id, MessageType::Response, metadata.op_code);
        answer.metadata.recursion_desired = metadata.recursion_desired;
        if let Some(edns) = &query.edns {
            let mut ours = Edns::new();
            ours.set_max_payload(UDP_OCTETS_MAX);
            if edns.version() > 0 {
                ours.set_rcode_high(ResponseCode::BADVERS.high());
                answer.metadata.response_code = ResponseCode::NoError;
                answer.set_edns(ours);
                return answer;
            }
            answer.set_edns(ours);
        }
        if metadata.op_code != OpCode::Query {
            answer.metadata.response_code = ResponseCode::NotImp;
            return answer;
        }
        let [question] = query.queries.as_slice() else {
            answer.metadata.response_code = ResponseCode::FormErr;
            return answer;
        };
        answer.add_query(question.clone());
        let is_transfer = matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR);
        let is_ours = self.origin.zone_of(&question.name().to_lowercase());
        if question.query_class() != DNSClass::IN || !is_ours || is_transfer {
            answer.metadata.response_code = ResponseCode::Refused;
            return answer;
        }
        answer.metadata.authoritative = true;
        self.fill(&mut answer, question);
        answer
    }

    fn fill(&self, answer: &mut Message, question: &Query) {
        let name = question.name().to_lowercase();
        let record = |data: RData| Record::from_rdata(name.clone(), OWN_TTL_SECONDS, data);
        let is_apex = name == self.origin;
        if is_apex && question.query_type() == RecordType::SOA {
            answer.add_answer(record(RData::SOA(self.start.clone())));
            return;
        }
        let known = self
            .records
            .get(&name)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let wanted = match question.query_type() {
            // One kind is answer enough (RFC 8482 §4.1).
            RecordType::ANY => known.first().map(RData::record_type),
            other => Some(other),
        };
        let fits = |data: &&RData| Some(data.record_type()) == wanted;
        answer.add_answers(known.iter().filter(fits).cloned().map(record));
        if !answer.answers.is_empty() {
            self.add_glue(answer, question);
            return;
        }
        // What has names below it exists (RFC 8020 §2).
        let exists = !known.is_empty() || self.records.keys().any(|it| name.zone_of(it));
        if !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let start = RData::SOA(self.start.clone());
        let start = Record::from_rdata(self.origin.clone(), NEGATIVE_TTL_SECONDS, start);
        answer.add_authority(start);
    }

    /// Addresses of name servers that lie in the zone: whoever asks for these needs those.
    fn add_glue(&self, answer: &mut Message, question: &Query) {
        if question.query_type() != RecordType::NS {
            return;
        }
        let targets = answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::NS(NS(target)) => Some(target.to_lowercase()),
                _ => None,
            });
        let targets: Vec<_> = targets.collect();
        for target in targets {
            let known = self.records.get(&target).into_iter().flatten();
            let addresses = known.filter(|data| data.ip_addr().is_some());
            let record =
                |data: &RData| Record::from_rdata(target.clone(), OWN_TTL_SECONDS, data.clone());
            answer.add_additionals(addresses.map(record));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn zone() -> OwnZone {
        let records = [
            ("spf.r.test", ZoneRecord::Text("v=spf1 -all".to_owned())),
            ("ns1.r.test", ZoneRecord::Address([192, 0, 2, 53].into())),
            (
                "bounce.r.test",
                ZoneRecord::Mx(10, "relay.r.test".to_owned()),
            ),
            ("bounce.r.test", ZoneRecord::Text("v=spf1 -all".to_owned())),
            ("k.a.test.dkim.r.test", ZoneRecord::Text("p=A".to_owned())),
            ("www.other.test", ZoneRecord::Text("not ours".to_owned())),
        ];
        let records = records.map(|(name, record)| (name.to_owned(), record));
        let servers = [domain("ns1.r.test"), domain("ns2.other.test")];
        OwnZone::new(&domain("r.test"), &servers, 7, &records).expect("names")
    }

    fn ask(name: &str, record_type: RecordType) -> Message {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(
            Name::from_ascii(name).expect("a name"),
            record_type,
        ));
        zone().answer(&query)
    }

    #[test]
    fn what_is_not_ours_is_refused_and_nobody_gets_all_of_it() {
        for (name, record_type) in [
            ("www.other.test.", RecordType::TXT),
            ("test.", RecordType::NS),
            ("xr.test.", RecordType::TXT),
            ("r.test.", RecordType::AXFR),
            ("r.test.", RecordType::IXFR),
        ] {
            let answer = ask(name, record_type);
            assert_eq!(
                answer.metadata.response_code,
                ResponseCode::Refused,
                "{name}"
            );
            assert!(answer.answers.is_empty() && answer.authorities.is_empty());
            assert!(!answer.metadata.authoritative);
        }
        let any = ask("bounce.r.test.", RecordType::ANY);
        assert_eq!(any.answers.len(), 1, "one kind is enough");
        assert!(!any.metadata.recursion_available);
    }

    #[test]
    fn names_in_any_case_are_answered_and_absent_ones_say_how_long() {
        let found = ask("K.a.Test.DKIM.r.test.", RecordType::TXT);
        assert!(found.metadata.authoritative);
        assert_eq!(found.answers.len(), 1);
        for (name, code) in [
            ("nobody.r.test.", ResponseCode::NXDomain),
            ("dkim.r.test.", ResponseCode::NoError),
            ("spf.r.test.", ResponseCode::NoError),
        ] {
            let none = ask(name, RecordType::A);
            assert_eq!(none.metadata.response_code, code, "{name}");
            assert_eq!(none.authorities.len(), 1);
            assert_eq!(none.authorities[0].name.to_ascii(), "r.test.");
        }
    }

    #[test]
    fn the_apex_has_its_authority_and_its_servers_with_addresses() {
        let start = ask("r.test.", RecordType::SOA);
        let RData::SOA(soa) = &start.answers[0].data else {
            panic!("{start:?}");
        };
        assert_eq!(
            (soa.serial, soa.mname.to_ascii().as_str()),
            (7, "ns1.r.test.")
        );
        let servers = ask("r.test.", RecordType::NS);
        assert_eq!((servers.answers.len(), servers.additionals.len()), (2, 1));
    }

    #[test]
    fn extensions_are_answered_with_ours_and_later_versions_refused() {
        let mut query = Message::query();
        let name = Name::from_ascii("spf.r.test.").expect("a name");
        query.add_query(Query::query(name, RecordType::TXT));
        query.set_edns(Edns::new());
        let answer = zone().answer(&query);
        assert_eq!(
            answer.edns.as_ref().map(Edns::max_payload),
            Some(UDP_OCTETS_MAX)
        );
        let mut later = Edns::new();
        later.set_version(1);
        query.set_edns(later);
        let answer = zone().answer(&query);
        assert_eq!(answer.edns.as_ref().map(Edns::rcode_high), Some(1));
        assert!(answer.answers.is_empty());
    }
}
