//! From a DNS message to what the relay may believe: pure, so that hostile answers can be tried
//! without a network. RFC 1035 §4, RFC 2308 §2, RFC 5321 §5.1, RFC 7505 §3.
//!
//! Not here: asking (`resolver`); what MX records mean for routing (`relais_policy::route`).

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NS, PTR, TLSA};
use hickory_proto::rr::{Name, RData, Record};

use relais_policy::dane::Tlsa;
use relais_policy::route::Mx;
use relais_smtp::domain::Domain;

/// MX records that we look at, best preference first. Nobody needs more; a hostile zone may have
/// thousands.
pub const MX_MAX: usize = 64;
/// Addresses of one host that we look at.
pub const ADDRESSES_MAX: usize = 64;
/// Aliases followed from a name to its records; longer chains are mistakes or traps.
const ALIASES_MAX: usize = 16;
/// TXT and TLSA records, names of servers and reverse names that we look at.
pub const OTHERS_MAX: usize = 64;

/// State of a DNS answer. RFC 4035 §4.3. A bogus one is no answer: [`DnsError::Temporary`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Validation {
    /// Signed and valid, as a server says whose word counts.
    Secure,
    /// Not signed; or nobody whose word counts says anything of it.
    Insecure,
}

impl Validation {
    /// Whether it is signed and valid.
    pub fn is_secure(self) -> bool {
        self == Self::Secure
    }

    /// What two answers are worth together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secure, Self::Secure) => Self::Secure,
            _ => Self::Insecure,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer<T> {
    /// The records; never empty.
    pub records: Vec<T>,
    /// Their state, and that of all aliases that lead to them.
    pub validation: Validation,
    /// The name that has them, where the name asked for is an alias.
    pub real_name: Option<Domain>,
}

impl<T> Answer<T> {
    /// The same, worth nothing as a proof.
    #[must_use]
    pub fn unproven(self) -> Self {
        Self {
            validation: Validation::Insecure,
            ..self
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DnsError {
    /// NXDOMAIN: the name does not exist.
    #[error("{0} does not exist")]
    NoSuchDomain(Box<str>),
    /// The name exists without such records.
    #[error("{0} has no such records")]
    NoRecords(Box<str>),
    /// SERVFAIL, time-out, no server: try again.
    #[error("DNS gave no answer for {name}: {because}")]
    Temporary {
        /// The name asked.
        name: Box<str>,
        /// In words.
        because: Box<str>,
    },
}

impl DnsError {
    /// [`DnsError::Temporary`] about a name.
    pub fn temporary(name: &Domain, because: impl Into<Box<str>>) -> Self {
        Self::Temporary {
            name: name.as_str().into(),
            because: because.into(),
        }
    }
}

/// The MX records of `name` in an answer, best preference first, at most [`MX_MAX`].
///
/// # Errors
/// Temporary too where MX records exist and none names a host: falling back to the address of the
/// domain would send mail where its owner did not want it (RFC 5321 §5.1).
pub fn interpret_mx(name: &Domain, message: &Message) -> Result<Answer<Mx>, DnsError> {
    let mut unusable = false;
    let found = Found::of(name, message)?;
    let mut records: Vec<Mx> = found
        .records()
        .filter_map(|record| match &record.data {
            RData::MX(mx) if mx.exchange.is_root() => Some(Mx {
                preference: mx.preference,
                exchange: None,
            }),
            RData::MX(mx) => {
                let exchange = Domain::parse(&mx.exchange.to_ascii()).ok();
                unusable |= exchange.is_none();
                exchange.map(|host| Mx {
                    preference: mx.preference,
                    exchange: Some(host),
                })
            }
            _ => None,
        })
        .collect();
    if records.is_empty() && unusable {
        return Err(DnsError::temporary(
            name,
            "its MX records name no usable host",
        ));
    }
    records.sort_by_key(|mx| mx.preference);
    records.truncate(MX_MAX);
    found.answer(records)
}

/// The A and AAAA records of `name` in an answer, in its order, at most [`ADDRESSES_MAX`].
///
/// # Errors
/// As the answer says; see [`DnsError`].
pub fn interpret_addresses(name: &Domain, message: &Message) -> Result<Answer<IpAddr>, DnsError> {
    let found = Found::of(name, message)?;
    let addresses = found.records().filter_map(|record| record.data.ip_addr());
    let records = addresses.take(ADDRESSES_MAX).collect();
    found.answer(records)
}

/// The TXT records of `name` in an answer, in its order, at most [`OTHERS_MAX`]: the strings of
/// each joined without spaces (as RFC 7208 §3.3 does), octets that are no UTF-8 replaced.
///
/// # Errors
/// As the answer says; see [`DnsError`].
pub fn interpret_texts(name: &Domain, message: &Message) -> Result<Answer<String>, DnsError> {
    let found = Found::of(name, message)?;
    let texts = found.records().filter_map(|record| match &record.data {
        RData::TXT(text) => {
            let joined = text.txt_data.concat();
            Some(String::from_utf8_lossy(&joined).into_owned())
        }
        _ => None,
    });
    let records = texts.take(OTHERS_MAX).collect();
    found.answer(records)
}

/// The names that NS or PTR records of `name` lead to, in the answer's order, at most
/// [`OTHERS_MAX`]; names that cannot be a host's are left out.
///
/// # Errors
/// As the answer says; see [`DnsError`].
pub fn interpret_names(name: &Domain, message: &Message) -> Result<Answer<Domain>, DnsError> {
    let found = Found::of(name, message)?;
    let names = found.records().filter_map(|record| match &record.data {
        RData::NS(NS(target)) | RData::PTR(PTR(target)) => Domain::parse(&target.to_ascii()).ok(),
        _ => None,
    });
    let records = names.take(OTHERS_MAX).collect();
    found.answer(records)
}

/// The TLSA records of `name` in an answer, in its order, at most [`OTHERS_MAX`]: usable or not.
///
/// # Errors
/// As the answer says; see [`DnsError`].
pub fn interpret_tlsa(name: &Domain, message: &Message) -> Result<Answer<Tlsa>, DnsError> {
    let found = Found::of(name, message)?;
    let records = found.records().filter_map(|record| match &record.data {
        RData::TLSA(TLSA {
            cert_usage,
            selector,
            matching,
            cert_data,
            ..
        }) => Some(Tlsa {
            usage: (*cert_usage).into(),
            selector: (*selector).into(),
            matching: (*matching).into(),
            data: cert_data.clone().into(),
        }),
        _ => None,
    });
    let records = records.take(OTHERS_MAX).collect();
    found.answer(records)
}

/// Whether the name is itself an alias, and proven to be one: what an answer to a question for its
/// CNAME says. RFC 7672 §2.2.2.
///
/// # Errors
/// As the answer says; see [`DnsError`].
pub fn interpret_alias(name: &Domain, message: &Message) -> Result<Validation, DnsError> {
    let found = Found::of(name, message)?;
    if found.owner == found.asked_owner {
        return Err(DnsError::NoRecords(name.as_str().into()));
    }
    Ok(validation_of(message))
}

/// An answer as it comes from the wire, read both ways.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interpretation {
    /// [`interpret_mx`].
    pub mx: Result<Answer<Mx>, DnsError>,
    /// [`interpret_addresses`].
    pub addresses: Result<Answer<IpAddr>, DnsError>,
}

/// Reads octets from the wire as an answer about `name`.
///
/// # Errors
/// Temporary where the octets are no DNS message.
pub fn interpret_octets(name: &Domain, octets: &[u8]) -> Result<Interpretation, DnsError> {
    let message = Message::from_vec(octets)
        .map_err(|_| DnsError::temporary(name, "the answer is no DNS message"))?;
    let (mx, addresses) = (
        interpret_mx(name, &message),
        interpret_addresses(name, &message),
    );
    Ok(Interpretation { mx, addresses })
}

/// Two answers about one host, by address family, as one. A family that failed for now counts only
/// where the other has nothing: then nobody knows.
///
/// # Errors
/// The temporary one of both, else that the name does not exist, else that it has no records.
pub fn join_families(
    v4: Result<Answer<IpAddr>, DnsError>,
    v6: Result<Answer<IpAddr>, DnsError>,
) -> Result<Answer<IpAddr>, DnsError> {
    match (v4, v6) {
        (Ok(mut v4), Ok(v6)) => {
            v4.records.extend(v6.records);
            v4.records.truncate(ADDRESSES_MAX);
            v4.validation = v4.validation.and(v6.validation);
            Ok(v4)
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(error @ DnsError::Temporary { .. }), Err(_))
        | (Err(_), Err(error @ DnsError::Temporary { .. }))
        | (Err(error @ DnsError::NoSuchDomain(_)), Err(_))
        | (Err(_), Err(error @ DnsError::NoSuchDomain(_)))
        | (Err(error @ DnsError::NoRecords(_)), Err(DnsError::NoRecords(_))) => Err(error),
    }
}

/// What an answer says of a name, once its aliases are followed.
struct Found<'a> {
    name: &'a Domain,
    message: &'a Message,
    asked_owner: Name,
    /// The name that the aliases lead to.
    owner: Name,
}

impl<'a> Found<'a> {
    fn of(name: &'a Domain, message: &'a Message) -> Result<Self, DnsError> {
        let asked: Box<str> = name.as_str().into();
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            // The code tells of the last name of an alias chain; records before it do not help.
            ResponseCode::NXDomain => return Err(DnsError::NoSuchDomain(asked)),
            code => return Err(DnsError::temporary(name, format!("the server said {code}"))),
        }
        let mut owner = Name::from_ascii(name.as_str())
            .map_err(|_| DnsError::temporary(name, "the name cannot be asked for"))?;
        owner.set_fqdn(true);
        let asked_owner = owner.clone();
        let mut left = ALIASES_MAX;
        while let Some(target) = alias_of(&owner, message) {
            owner = target.clone();
            left -= 1;
            if left == 0 {
                return Err(DnsError::temporary(name, "its aliases lead in a circle"));
            }
        }
        Ok(Self {
            name,
            message,
            asked_owner,
            owner,
        })
    }

    /// The records of that name.
    fn records(&self) -> impl Iterator<Item = &'a Record> {
        let answers = self.message.answers.iter();
        answers.filter(|record| record.name == self.owner)
    }

    fn answer<T>(&self, records: Vec<T>) -> Result<Answer<T>, DnsError> {
        if records.is_empty() {
            return Err(DnsError::NoRecords(self.name.as_str().into()));
        }
        let is_alias = self.owner != self.asked_owner;
        Ok(Answer {
            records,
            validation: validation_of(self.message),
            real_name: is_alias
                .then(|| Domain::parse(&self.owner.to_ascii()).ok())
                .flatten(),
        })
    }
}

/// AD tells of the whole answer section (RFC 4035 §3.2.3). Whether the word of this server counts
/// is for whoever asked it.
fn validation_of(message: &Message) -> Validation {
    if message.metadata.authentic_data {
        Validation::Secure
    } else {
        Validation::Insecure
    }
}

fn alias_of<'a>(owner: &Name, message: &'a Message) -> Option<&'a Name> {
    message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::CNAME(CNAME(target)) if record.name == *owner => Some(target),
            _ => None,
        })
}

#[cfg(test)]
mod tests;
