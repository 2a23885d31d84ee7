//! A zone in memory: what names exist with what records, and the answer to a DNS query. Serves the
//! real server (`dns_server`) and the simulated resolver alike. RFC 1034 §4.3.2, RFC 2308 §2.
//!
//! Not here: sockets, delegation, signatures, zone transfer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, MX, NS, PTR, SOA, TLSA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

/// TTL of every record, in seconds.
pub const TTL_SECONDS: u32 = 60;
/// How long "no" may be remembered, in seconds: short, as zones here change under people's hands.
const NEGATIVE_TTL_SECONDS: u32 = 5;
/// Aliases followed inside one answer.
const ALIASES_MAX: usize = 8;
/// Longest character string of a TXT record. RFC 1035 §3.3.
const TEXT_STRING_OCTETS_MAX: usize = 255;

/// A record to serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ZoneRecord {
    /// A or AAAA.
    Address(IpAddr),
    /// MX; the exchange `.` is the null MX.
    Mx(u16, String),
    /// CNAME.
    Alias(String),
    /// NS.
    NameServer(String),
    /// PTR.
    Pointer(String),
    /// TXT; cut into strings of 255 octets.
    Text(String),
    /// TLSA: usage, selector, matching type, data.
    Tlsa(u8, u8, u8, Vec<u8>),
}

/// A name that no zone can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a domain name")]
pub struct ZoneError(pub Box<str>);

/// Names and records. Authoritative for everything: what is not in it does not exist.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    names: BTreeMap<Name, Vec<RData>>,
    /// Domains that count as signed.
    signed: Vec<Name>,
}

impl Zone {
    /// From (name, record) pairs, ASCII names in any case.
    pub fn new<'a>(
        records: impl IntoIterator<Item = &'a (String, ZoneRecord)>,
    ) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        for (name, record) in records {
            zone.names
                .entry(parse_name(name)?)
                .or_default()
                .push(data_of(record)?);
        }
        Ok(zone)
    }

    /// Says of this domain and all below it from now on what a resolver says that has checked
    /// signatures: AD, to those who ask for it. There are no signatures.
    pub fn sign(&mut self, domain: &str) {
        if let Ok(name) = parse_name(domain) {
            self.signed.push(name);
        }
    }

    /// The answer to a query message. Everything but one question of class IN is refused.
    pub fn answer(&self, query: &Message) -> Message {
        let metadata = &query.metadata;
        let mut answer = Message::new(metadata.id, MessageType::Response, metadata.op_code);
        answer.metadata.recursion_desired = metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        answer.add_queries(query.queries.iter().cloned());
        let [question] = query.queries.as_slice() else {
            answer.metadata.response_code = ResponseCode::FormErr;
            return answer;
        };
        if metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
            answer.metadata.response_code = ResponseCode::NotImp;
            return answer;
        }
        self.fill(&mut answer, question);
        let flags = query.edns.as_ref().map(|edns| edns.flags().dnssec_ok);
        let asked = metadata.authentic_data || flags == Some(true);
        let names = answer.answers.iter().map(|record| &record.name);
        let is_signed = |name: &Name| self.signed.iter().any(|domain| domain.zone_of(name));
        answer.metadata.authentic_data =
            asked && is_signed(question.name()) && names.into_iter().all(is_signed);
        answer
    }

    fn fill(&self, answer: &mut Message, question: &Query) {
        let mut name = question.name().to_lowercase();
        for _ in 0..ALIASES_MAX {
            let Some(records) = self.names.get(&name) else {
                if !self.has_names_below(&name) {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                break;
            };
            let fits = |data: &&RData| data.record_type() == question.query_type();
            for data in records.iter().filter(fits) {
                answer.add_answer(Record::from_rdata(name.clone(), TTL_SECONDS, data.clone()));
            }
            let alias = records.iter().find_map(|data| match data {
                RData::CNAME(CNAME(target)) => Some(target.to_lowercase()),
                _ => None,
            });
            let Some(target) = alias.filter(|_| question.query_type() != RecordType::CNAME) else {
                break;
            };
            let data = RData::CNAME(CNAME(target.clone()));
            answer.add_answer(Record::from_rdata(name, TTL_SECONDS, data));
            name = target;
        }
        if answer.answers.is_empty() {
            answer.add_authority(start_of_authority());
        }
    }

    /// `b.example` exists if `a.b.example` does, though it has no records. RFC 8020 §2.
    fn has_names_below(&self, name: &Name) -> bool {
        self.names.keys().any(|known| name.zone_of(known))
    }
}

pub(crate) fn parse_name(text: &str) -> Result<Name, ZoneError> {
    let mut name = Name::from_ascii(text)
        .map_err(|_| ZoneError(text.into()))?
        .to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

pub(crate) fn data_of(record: &ZoneRecord) -> Result<RData, ZoneError> {
    Ok(match record {
        ZoneRecord::Address(IpAddr::V4(address)) => RData::A((*address).into()),
        ZoneRecord::Address(IpAddr::V6(address)) => RData::AAAA((*address).into()),
        ZoneRecord::Mx(preference, exchange) => {
            RData::MX(MX::new(*preference, parse_name(exchange)?))
        }
        ZoneRecord::Alias(target) => RData::CNAME(CNAME(parse_name(target)?)),
        ZoneRecord::NameServer(host) => RData::NS(NS(parse_name(host)?)),
        ZoneRecord::Pointer(host) => RData::PTR(PTR(parse_name(host)?)),
        ZoneRecord::Text(text) => RData::TXT(TXT::from_bytes(
            text.as_bytes().chunks(TEXT_STRING_OCTETS_MAX).collect(),
        )),
        ZoneRecord::Tlsa(usage, selector, matching, data) => RData::TLSA(TLSA::new(
            (*usage).into(),
            (*selector).into(),
            (*matching).into(),
            data.clone(),
        )),
    })
}

/// Says how long a "no" holds. RFC 2308 §3.
fn start_of_authority() -> Record {
    let (refresh, retry, expire) = (3_600, 600, 86_400);
    let root = Name::root();
    let data = SOA::new(
        root.clone(),
        root.clone(),
        1,
        refresh,
        retry,
        expire,
        NEGATIVE_TTL_SECONDS,
    );
    Record::from_rdata(root, NEGATIVE_TTL_SECONDS, RData::SOA(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::new(&[
            (
                "Contoso.test".to_owned(),
                ZoneRecord::Mx(10, "mx.contoso.test".to_owned()),
            ),
            (
                "mx.contoso.test".to_owned(),
                ZoneRecord::Address([192, 0, 2, 1].into()),
            ),
            (
                "www.contoso.test".to_owned(),
                ZoneRecord::Alias("mx.contoso.test".to_owned()),
            ),
            (
                "loop.test".to_owned(),
                ZoneRecord::Alias("loop.test".to_owned()),
            ),
            ("null.test".to_owned(), ZoneRecord::Mx(0, ".".to_owned())),
            ("text.test".to_owned(), ZoneRecord::Text("x".repeat(300))),
        ])
        .expect("the names are well formed")
    }

    fn ask(name: &str, record_type: RecordType) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), record_type));
        zone().answer(&query)
    }

    #[test]
    fn names_that_are_not_there_do_not_exist_and_others_have_no_such_records() {
        let nobody = ask("nobody.test.", RecordType::A);
        assert_eq!(nobody.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(
            nobody.authorities.len(),
            1,
            "a negative answer says how long it holds"
        );
        let no_address = ask("contoso.test.", RecordType::A);
        assert_eq!(no_address.metadata.response_code, ResponseCode::NoError);
        assert!(no_address.answers.is_empty());
        let only_below = ask("test.", RecordType::A);
        assert_eq!(only_below.metadata.response_code, ResponseCode::NoError);
    }

    #[test]
    fn names_match_in_any_case_and_aliases_are_followed() {
        assert_eq!(ask("CONTOSO.TEST.", RecordType::MX).answers.len(), 1);
        assert_eq!(ask("www.contoso.test.", RecordType::A).answers.len(), 2);
        assert_eq!(ask("www.contoso.test.", RecordType::CNAME).answers.len(), 1);
        assert_eq!(ask("loop.test.", RecordType::A).answers.len(), ALIASES_MAX);
    }

    #[test]
    fn what_is_no_single_question_is_refused() {
        let answer = zone().answer(&Message::query());
        assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    }

    #[test]
    fn an_answer_can_be_written_and_read_back() {
        for (name, record_type) in [
            ("null.test.", RecordType::MX),
            ("text.test.", RecordType::TXT),
        ] {
            let octets = ask(name, record_type).to_vec().expect("it can be written");
            let read = Message::from_vec(&octets).expect("it can be read");
            assert_eq!(read.answers.len(), 1, "{name}");
        }
    }

    #[test]
    fn a_text_that_is_no_name_is_an_error() {
        let wrong = [("a..b".to_owned(), ZoneRecord::Text(String::new()))];
        assert_eq!(Zone::new(&wrong).err(), Some(ZoneError("a..b".into())));
    }
}
