//! What the owner of a destination publishes about TLS, and what must hold at each of its hosts
//! because of it: DANE before MTA-STS (RFC 8461 §2). Where it cannot be found out, or cannot be
//! met, the host is passed over and the mail waits; it is never sent with less.
//!
//! Not here: the decisions (`relais_policy::dane`, `relais_policy::sts`), policies that are kept
//! (`sts`), the certificate (`relais_net::tls`).

use std::net::IpAddr;
use std::sync::Arc;

use relais_net::resolver::{Answer, DnsError, Resolver};
use relais_policy::dane::{
    DaneFinding, HostSecurity, TlsaAnswer, base_domains, judge, must_ask_for_alias,
};
use relais_policy::encryption::Demand;
use relais_policy::outcome::Outcome;
use relais_policy::sts::{StsMode, StsPolicy};
use relais_smtp::domain::Domain;
use relais_smtp::dsn::Cause;

use crate::attempt::Finding;

/// What is published for the mail exchangers of a domain. Mail shares connections only where it is
/// the same.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Published {
    /// The MX records, or their absence, are proven by DNSSEC.
    pub(crate) secure: bool,
    /// A name that certificates may bear beside the host's (RFC 7672 §3.2.2): the domain, where all
    /// its hosts lie in it. For hosts of a provider it is left out, so that its customers share
    /// connections: a certificate there does not bear their names.
    pub(crate) domain: Option<Domain>,
    /// The domain's MTA-STS policy.
    pub(crate) sts: Option<Arc<StsPolicy>>,
}

/// A host that is passed over before it is tried, for the reports on TLS.
#[derive(Clone, Debug)]
pub(crate) struct Untried {
    pub(crate) host: Domain,
    pub(crate) because: Because,
}

/// Why it is.
#[derive(Clone, Debug)]
pub(crate) enum Because {
    /// The domain's policy does not name it.
    NotListed(Arc<StsPolicy>),
    /// DNS hides whether it has TLSA records.
    Hidden(String),
}

impl Published {
    pub(crate) fn new(
        domain: &Domain,
        groups: &[Vec<Domain>],
        secure: bool,
        sts: Option<Arc<StsPolicy>>,
    ) -> Self {
        let is_own = |host: &Domain| host == domain || host.is_subdomain_of(domain);
        let own = secure && groups.iter().flatten().all(is_own);
        Self {
            secure,
            domain: own.then(|| domain.clone()),
            sts,
        }
    }

    /// What must hold at a host with these addresses; `None`: nothing more than the connector says.
    /// Where it cannot be told or met, the host is among the untried.
    pub(crate) async fn demand(
        &self,
        resolver: &Resolver,
        host: &Domain,
        addresses: &Answer<IpAddr>,
        (port, untried): (u16, &mut Vec<Untried>),
    ) -> Result<Option<Demand>, Finding> {
        match self.dane(resolver, host, addresses, port).await {
            Ok(Some(demand)) => return Ok(Some(demand)),
            Ok(None) => {}
            Err(error) => {
                untried.push(Untried {
                    host: host.clone(),
                    because: Because::Hidden(error.to_string()),
                });
                return Err(hidden(host, &error));
            }
        }
        let Some(policy) = self.sts.as_ref().filter(|one| one.mode == StsMode::Enforce) else {
            return Ok(None);
        };
        if policy.covers(host) {
            return Ok(Some(Demand::Sts(host.clone())));
        }
        untried.push(Untried {
            host: host.clone(),
            because: Because::NotListed(Arc::clone(policy)),
        });
        let words = format!("mail server {host} is not in the domain's MTA-STS policy");
        Err(Finding::ours(
            Outcome::Deferred,
            Cause::TlsUnavailable,
            words,
        ))
    }

    /// RFC 7672 §2.2.
    async fn dane(
        &self,
        resolver: &Resolver,
        host: &Domain,
        addresses: &Answer<IpAddr>,
        port: u16,
    ) -> Result<Option<Demand>, DnsError> {
        let mut security = HostSecurity {
            host: host.clone(),
            real_name: addresses.real_name.clone(),
            addresses_secure: addresses.validation.is_secure(),
            alias_secure: false,
        };
        if must_ask_for_alias(self.secure, &security) {
            security.alias_secure = match resolver.alias(host).await {
                Ok(validation) => validation.is_secure(),
                Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) => false,
                Err(error @ DnsError::Temporary { .. }) => return Err(error),
            };
        }
        for base in base_domains(self.secure, &security) {
            let (answer, error) = match resolver.tlsa(&base, port).await {
                Ok(answer) if answer.validation.is_secure() => {
                    (TlsaAnswer::Secure(answer.records), None)
                }
                Ok(_) => (TlsaAnswer::Insecure, None),
                Err(DnsError::NoRecords(_) | DnsError::NoSuchDomain(_)) => (TlsaAnswer::None, None),
                Err(error @ DnsError::Temporary { .. }) => (TlsaAnswer::Failed, Some(error)),
            };
            let domain = self.domain.as_ref().unwrap_or(host);
            match judge(&base, domain, host, &answer) {
                DaneFinding::NotHere => {}
                DaneFinding::Required(required) => {
                    return Ok(Some(Demand::Dane(Arc::new(required))));
                }
                DaneFinding::Unreachable => {
                    let unknown = || DnsError::temporary(&base, "no answer");
                    return Err(error.unwrap_or_else(unknown));
                }
            }
        }
        Ok(None)
    }
}

/// Somebody may hide the records that would forbid to go on. RFC 7672 §2.1.2.
fn hidden(host: &Domain, error: &DnsError) -> Finding {
    let words = format!("whether mail server {host} demands TLS (DANE) is not known: {error}");
    Finding::ours(Outcome::Deferred, Cause::TlsUnavailable, words)
}
