//! Answers for the DNS desk: what is asked of a domain and of names below it is asked of the
//! servers that answer for it; everything else, and what leads elsewhere, of the resolver.
//!
//! Not here: what is asked, and what it means (`relais_policy::desk`, `relais_policy::spf`).

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use relais_policy::route::Mx;
use relais_policy::spf::{Fact, Facts, Question};
use relais_smtp::domain::Domain;

use crate::authority::{AuthorityOptions, servers};
use crate::dns_answer::{Answer, DnsError};
use crate::resolver::Resolver;

/// One look at a domain that somebody asked for, with all its questions.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// One look at what is there before something is proposed: without an answer it is proposed all the
/// same.
pub const GLANCE_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions of one look: SPF has 10 look-ups, each of them at most 10 more hosts.
const QUESTIONS_MAX: usize = 400;

/// What was found out.
#[derive(Debug)]
pub struct Found<T> {
    /// What the asker made of it.
    pub value: T,
    /// Names on which the domain's servers do not agree.
    pub differing: Vec<String>,
}

/// Asks until `judge` has no more questions. What is not answered within that time has failed.
pub async fn find<T>(
    resolver: &Resolver,
    domain: &Domain,
    options: AuthorityOptions,
    within: Duration,
    judge: impl Fn(&Facts) -> Result<T, Vec<Question>>,
) -> Option<Found<T>> {
    let deadline = tokio::time::Instant::now() + within;
    let servers = tokio::time::timeout_at(deadline, servers(resolver, domain, options)).await;
    let asker = Asker {
        resolver,
        domain,
        // Without them the resolver is asked.
        servers: servers.ok().and_then(Result::ok).unwrap_or_default(),
    };
    let (mut facts, mut differing) = (Facts::new(), Vec::new());
    loop {
        let open = match judge(&facts) {
            Ok(value) => return Some(Found { value, differing }),
            Err(open) if open.is_empty() => return None,
            Err(open) => open,
        };
        let room = QUESTIONS_MAX.saturating_sub(facts.len());
        // Each by itself: one that is silent takes nothing from the others.
        let asked = open.iter().take(room).map(|question| async {
            let told = tokio::time::timeout_at(deadline, asker.answer(question)).await;
            told.unwrap_or_else(|_| Told::unanswered())
        });
        let answers = futures_util::future::join_all(asked).await.into_iter();
        let answers = answers.chain(std::iter::repeat_with(Told::unanswered));
        for (question, told) in open.into_iter().zip(answers) {
            if told.differs {
                differing.extend(name_of(&question).map(str::to_owned));
            }
            facts.insert(question, told.fact);
        }
    }
}

fn name_of(question: &Question) -> Option<&str> {
    match question {
        Question::Texts(name) | Question::Addresses(name) | Question::Mx(name) => Some(name),
        Question::Reverse(_) => None,
    }
}

/// What the resolver says.
pub(crate) async fn resolved_fact(resolver: &Resolver, question: &Question) -> Fact {
    let (Question::Texts(name) | Question::Mx(name) | Question::Addresses(name)) = question else {
        return match question {
            Question::Reverse(address) => reverse(resolver, *address).await,
            Question::Texts(_) | Question::Mx(_) | Question::Addresses(_) => Fact::Nothing,
        };
    };
    // A name that cannot exist has no records.
    let Ok(name) = Domain::parse(name) else {
        return Fact::Nothing;
    };
    match question {
        Question::Texts(_) => texts(resolver.texts(&name).await),
        Question::Mx(_) => exchanges(resolver.mx(&name).await),
        Question::Addresses(_) | Question::Reverse(_) => {
            fact(resolver.addresses(&name).await, Fact::Addresses)
        }
    }
}

async fn reverse(resolver: &Resolver, address: std::net::IpAddr) -> Fact {
    let names = resolver.reverse_names(address).await;
    fact(names, |names| Fact::Texts(in_words(names)))
}

struct Told {
    fact: Fact,
    /// Others of the domain's servers say something else.
    differs: bool,
}

impl Told {
    fn unanswered() -> Self {
        Self::the(Fact::Failed("no answer in time".to_owned()))
    }

    const fn the(fact: Fact) -> Self {
        Self {
            fact,
            differs: false,
        }
    }
}

struct Asker<'a> {
    resolver: &'a Resolver,
    domain: &'a Domain,
    servers: Vec<(Domain, SocketAddr)>,
}

impl Asker<'_> {
    async fn answer(&self, question: &Question) -> Told {
        let resolver = self.resolver;
        match question {
            Question::Reverse(address) => {
                let names = resolver.reverse_names(*address).await;
                Told::the(fact(names, |names| Fact::Texts(in_words(names))))
            }
            // A name that cannot exist has no records.
            Question::Texts(name) | Question::Mx(name) | Question::Addresses(name) => {
                match Domain::parse(name) {
                    Ok(name) => self.of_name(question, &name).await,
                    Err(_) => Told::the(Fact::Nothing),
                }
            }
        }
    }

    async fn of_name(&self, question: &Question, name: &Domain) -> Told {
        let resolver = self.resolver;
        match question {
            Question::Texts(_) => {
                let at = |server| async move { texts(resolver.texts_at(server, name).await) };
                let resolved = async { texts(resolver.texts(name).await) };
                self.own_or_resolved(name, at, resolved).await
            }
            Question::Mx(_) => {
                let at = |server| async move { exchanges(resolver.mx_at(server, name).await) };
                let resolved = async { exchanges(resolver.mx(name).await) };
                self.own_or_resolved(name, at, resolved).await
            }
            Question::Addresses(_) | Question::Reverse(_) => {
                Told::the(fact(resolver.addresses(name).await, Fact::Addresses))
            }
        }
    }

    async fn own_or_resolved<F: Future<Output = Fact>>(
        &self,
        name: &Domain,
        at: impl Fn(SocketAddr) -> F,
        resolved: impl Future<Output = Fact>,
    ) -> Told {
        let is_own = name == self.domain || name.is_subdomain_of(self.domain);
        if !is_own || self.servers.is_empty() {
            return Told::the(resolved.await);
        }
        let asked = self.servers.iter().map(|(_, server)| at(*server));
        let mut said = futures_util::future::join_all(asked).await;
        said.iter_mut().for_each(sort);
        let definite = |fact: &&Fact| !matches!(fact, Fact::Failed(_));
        let mut answers = said.iter().filter(definite);
        let Some(first) = answers.next() else {
            // Delegated further, or not to be reached.
            return Told::the(resolved.await);
        };
        let differs = answers.any(|other| other != first);
        let first = match said.iter().find(|fact| matches!(fact, Fact::Texts(_))) {
            Some(shown) => shown.clone(),
            None => first.clone(),
        };
        if first == Fact::Nothing && self.leads_elsewhere(name).await {
            return Told::the(resolved.await);
        }
        Told {
            fact: first,
            differs,
        }
    }

    async fn leads_elsewhere(&self, name: &Domain) -> bool {
        for (_, server) in &self.servers {
            if let Ok(is_alias) = self.resolver.is_alias_at(*server, name).await {
                return is_alias;
            }
        }
        false
    }
}

/// Servers give records in any order.
fn sort(fact: &mut Fact) {
    if let Fact::Texts(texts) = fact {
        texts.sort();
    }
}

fn texts(answer: Result<Answer<String>, DnsError>) -> Fact {
    fact(answer, Fact::Texts)
}

fn exchanges(answer: Result<Answer<Mx>, DnsError>) -> Fact {
    // The null MX is none for whoever looks for a host.
    let hosts = |records: Vec<Mx>| {
        let hosts: Vec<_> = records.into_iter().filter_map(|mx| mx.exchange).collect();
        if hosts.is_empty() {
            Fact::Nothing
        } else {
            Fact::Texts(in_words(hosts))
        }
    };
    fact(answer, hosts)
}

fn fact<T>(answer: Result<Answer<T>, DnsError>, of: impl Fn(Vec<T>) -> Fact) -> Fact {
    match answer {
        Ok(answer) => of(answer.records),
        Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => Fact::Nothing,
        Err(DnsError::Temporary { because, .. }) => Fact::Failed(because.into_string()),
    }
}

fn in_words(names: Vec<Domain>) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated_dns::{DnsFault, SimulatedDns};
    use crate::zone::ZoneRecord;

    const OPTIONS: AuthorityOptions = AuthorityOptions {
        port: 53,
        private_servers: false,
    };

    fn text(words: &str) -> ZoneRecord {
        ZoneRecord::Text(words.to_owned())
    }

    fn dns() -> SimulatedDns {
        let dns = SimulatedDns::new(Duration::from_millis(1));
        let server = |name: &str| ZoneRecord::NameServer(name.to_owned());
        dns.set(
            "contoso.test",
            vec![server("ns1.test"), server("ns2.test"), text("old")],
        );
        let address = |text: &str| vec![ZoneRecord::Address(text.parse().expect("an address"))];
        dns.set("ns1.test", address("192.0.2.53"));
        dns.set("ns2.test", address("192.0.2.54"));
        dns
    }

    async fn ask(dns: &SimulatedDns, question: Question) -> (Fact, Vec<String>) {
        let domain = Domain::parse("contoso.test").expect("a domain");
        let judge = |facts: &Facts| {
            let fact = facts.get(&question).cloned();
            fact.ok_or_else(|| vec![question.clone()])
        };
        let resolver = Resolver::simulated(dns);
        let found = find(&resolver, &domain, OPTIONS, LOOK_TIMEOUT, judge).await;
        let found = found.expect("it has no other question");
        (found.value, found.differing)
    }

    fn texts_of(name: &str) -> Question {
        Question::Texts(name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn the_domains_own_servers_count_and_their_disagreement_is_told() {
        let dns = dns();
        let second = "192.0.2.54:53".parse().expect("an address");
        dns.set_at(second, "_dmarc.contoso.test", vec![text("v=DMARC1")]);
        let (fact, differing) = ask(&dns, texts_of("_dmarc.contoso.test")).await;
        assert_eq!(fact, Fact::Texts(vec!["v=DMARC1".to_owned()]));
        assert_eq!(differing, ["_dmarc.contoso.test"]);
        dns.set_fault("192.0.2.53", Some(DnsFault::ServFail));
        let (_, differing) = ask(&dns, texts_of("_dmarc.contoso.test")).await;
        assert_eq!(differing, [""; 0], "who failed has said nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_leads_elsewhere_and_what_is_not_the_domains_is_asked_of_the_resolver() {
        let dns = dns();
        for server in ["192.0.2.53:53", "192.0.2.54:53"] {
            let alias = vec![ZoneRecord::Alias("key.test".to_owned())];
            let server = server.parse().expect("an address");
            dns.set_at(server, "r1._domainkey.contoso.test", alias);
            dns.set_at(
                server,
                "key.test",
                vec![ZoneRecord::NameServer("x.test".into())],
            );
        }
        dns.set("r1._domainkey.contoso.test", vec![text("v=DKIM1; p=A")]);
        let (fact, _) = ask(&dns, texts_of("r1._domainkey.contoso.test")).await;
        assert_eq!(fact, Fact::Texts(vec!["v=DKIM1; p=A".to_owned()]));
        dns.set("spf.other.test", vec![text("v=spf1 -all")]);
        let (fact, _) = ask(&dns, texts_of("spf.other.test")).await;
        assert_eq!(fact, Fact::Texts(vec!["v=spf1 -all".to_owned()]));
        let (fact, _) = ask(&dns, texts_of("no name at all")).await;
        assert_eq!(fact, Fact::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dns_that_is_silent_has_failed_in_time() {
        let dns = dns();
        for name in ["192.0.2.53", "192.0.2.54", "contoso.test"] {
            dns.set_fault(name, Some(DnsFault::Silence));
        }
        let begun = tokio::time::Instant::now();
        let (fact, _) = ask(&dns, texts_of("contoso.test")).await;
        assert_eq!(fact, Fact::Failed("no answer in time".to_owned()));
        assert!(begun.elapsed() <= LOOK_TIMEOUT, "{:?}", begun.elapsed());
    }
}
