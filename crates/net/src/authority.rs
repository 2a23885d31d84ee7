//! What the servers that answer for a domain say of it, each by itself, and beside them the
//! configured resolver: how a person who has just published a record is seen at once, not when
//! some cache forgets.
//!
//! Not here: what it means (`relais_policy::proof`).

use std::net::{IpAddr, SocketAddr};

use relais_policy::proof::{Said, Sighting, Source};
use relais_policy::range::is_private_address;
use relais_smtp::domain::Domain;

use crate::dns_answer::{Answer, DnsError};
use crate::resolver::Resolver;

/// Names of servers looked at; domains have two to four, at most 13.
const NAME_SERVERS_MAX: usize = 4;
/// Addresses of one server looked at: one for each family.
const SERVER_ADDRESSES_MAX: usize = 2;
/// Labels between a domain and the name that has its NS records.
const CUTS_MAX: usize = 8;

/// How servers are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthorityOptions {
    /// `[dns] authoritative_port`.
    pub port: u16,
    /// Whether servers at private and loopback addresses may be asked: where the domains are not
    /// other people's.
    pub private_servers: bool,
}

/// The TXT records of a domain as each of its servers says, then as the resolver says.
pub async fn texts(
    resolver: &Resolver,
    domain: &Domain,
    options: AuthorityOptions,
) -> Vec<Sighting> {
    let (mut sightings, resolved) = tokio::join!(
        authoritative(resolver, domain, options),
        resolver.texts(domain)
    );
    sightings.push(Sighting {
        source: Source::Resolver,
        server: "the resolver".to_owned(),
        said: said(resolved),
    });
    sightings
}

async fn authoritative(
    resolver: &Resolver,
    domain: &Domain,
    options: AuthorityOptions,
) -> Vec<Sighting> {
    let servers = match servers(resolver, domain, options).await {
        Ok(servers) => servers,
        Err(error) => {
            return vec![Sighting {
                source: Source::Authoritative,
                server: format!("the servers of {domain}"),
                said: Said::Failed(error.to_string()),
            }];
        }
    };
    let asked = servers.into_iter().map(|(name, address)| async move {
        Sighting {
            source: Source::Authoritative,
            server: format!("{name} ({address})"),
            said: said(resolver.texts_at(address, domain).await),
        }
    });
    futures_util::future::join_all(asked).await
}

/// The servers of the zone that a domain lies in. Empty where nobody has a zone for it.
pub(crate) async fn servers(
    resolver: &Resolver,
    domain: &Domain,
    options: AuthorityOptions,
) -> Result<Vec<(Domain, SocketAddr)>, DnsError> {
    let mut servers = Vec::new();
    for name in zone_servers(resolver, domain).await? {
        // A server without an address is one less to ask.
        let Ok(found) = resolver.addresses(&name).await else {
            continue;
        };
        let may = |address: &IpAddr| options.private_servers || !is_private_address(*address);
        let addresses = found
            .records
            .into_iter()
            .filter(may)
            .take(SERVER_ADDRESSES_MAX);
        servers.extend(addresses.map(|it| (name.clone(), SocketAddr::new(it, options.port))));
    }
    Ok(servers)
}

/// The NS records of the domain, or of the nearest name above it that has some. Those of a
/// top-level domain know nothing of it.
async fn zone_servers(resolver: &Resolver, domain: &Domain) -> Result<Vec<Domain>, DnsError> {
    let mut name = domain.clone();
    for _ in 0..CUTS_MAX {
        match resolver.name_servers(&name).await {
            Ok(found) => {
                return Ok(found.records.into_iter().take(NAME_SERVERS_MAX).collect());
            }
            Err(error @ DnsError::Temporary { .. }) => return Err(error),
            Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => {}
        }
        let parent = name.as_str().split_once('.').map(|(_, parent)| parent);
        let parent = parent.filter(|parent| parent.contains('.'));
        let Some(parent) = parent.and_then(|parent| Domain::parse(parent).ok()) else {
            return Ok(Vec::new());
        };
        name = parent;
    }
    Ok(Vec::new())
}

fn said(answer: Result<Answer<String>, DnsError>) -> Said {
    match answer {
        Ok(answer) => Said::Texts(answer.records),
        Err(DnsError::NoSuchDomain(_)) => Said::Nothing("no such name".to_owned()),
        Err(DnsError::NoRecords(_)) => Said::Nothing("no TXT record".to_owned()),
        Err(DnsError::Temporary { because, .. }) => Said::Failed(because.into_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::simulated_dns::{DnsFault, SimulatedDns};
    use crate::zone::ZoneRecord;

    const OPTIONS: AuthorityOptions = AuthorityOptions {
        port: 53,
        private_servers: false,
    };

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn text(words: &str) -> ZoneRecord {
        ZoneRecord::Text(words.to_owned())
    }

    fn dns() -> SimulatedDns {
        let dns = SimulatedDns::new(Duration::from_millis(1));
        let server = |name: &str| ZoneRecord::NameServer(name.to_owned());
        let servers = ["ns1.test", "ns2.test", "inside.test", "nowhere.test"].map(server);
        dns.set(
            "contoso.test",
            [servers.to_vec(), vec![text("old")]].concat(),
        );
        let address = |text: &str| vec![ZoneRecord::Address(text.parse().expect("an address"))];
        dns.set("ns1.test", address("192.0.2.53"));
        dns.set("ns2.test", address("2001:db8::53"));
        dns.set("inside.test", address("10.0.0.53"));
        dns
    }

    async fn look(dns: &SimulatedDns, name: &str, options: AuthorityOptions) -> Vec<String> {
        let resolver = Resolver::simulated(dns);
        let found = texts(&resolver, &domain(name), options).await;
        found
            .into_iter()
            .map(|sighting| format!("{}: {:?}", sighting.server, sighting.said))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_server_is_asked_by_itself_and_then_the_resolver() {
        let dns = dns();
        let first = "192.0.2.53:53".parse().expect("an address");
        dns.set_at(first, "contoso.test", vec![text("old"), text("new")]);
        dns.set_fault("2001:db8::53", Some(DnsFault::ServFail));
        let found = look(&dns, "contoso.test", OPTIONS).await;
        let expected = [
            "ns1.test (192.0.2.53:53): Texts([\"old\", \"new\"])",
            "ns2.test ([2001:db8::53]:53): Failed(\"the server said Server Failure\")",
            "the resolver: Texts([\"old\"])",
        ];
        assert_eq!(found, expected, "a private server is not asked");
        let inside = AuthorityOptions {
            private_servers: true,
            ..OPTIONS
        };
        assert_eq!(look(&dns, "contoso.test", inside).await.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_ns_records_is_asked_where_its_parent_is() {
        let found = look(&dns(), "scan.paris.contoso.test", OPTIONS).await;
        assert_eq!(found.len(), 3);
        assert!(found[0].starts_with("ns1.test"), "{found:?}");
        assert!(found[0].ends_with("Nothing(\"no such name\")"), "{found:?}");
        let nobody = look(&dns(), "nobody.test", OPTIONS).await;
        assert_eq!(nobody, ["the resolver: Nothing(\"no such name\")"]);
    }

    #[tokio::test(start_paused = true)]
    async fn servers_that_cannot_be_found_are_a_failure_and_no_absence() {
        let dns = dns();
        dns.set_fault("contoso.test", Some(DnsFault::Silence));
        let found = look(&dns, "contoso.test", OPTIONS).await;
        assert!(
            found.iter().all(|line| line.contains("Failed(")),
            "{found:?}"
        );
    }
}
