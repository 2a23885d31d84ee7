//! What a record says of one address (`check_host()` of RFC 7208 §4), and what it costs whoever
//! asks (§4.6.4): each look-up with the term that causes it.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::macros::{MacroText, Values};
use super::record::{Directive, DirectiveKind, Hosts, Qualifier, Record, is_spf, parse};

/// Terms that look something up, in one evaluation. RFC 7208 §4.6.4.
pub const LOOKUPS_MAX: usize = 10;
/// Of those, such that find nothing. RFC 7208 §4.6.4.
pub const VOIDS_MAX: usize = 2;
/// MX hosts and reverse names that count. RFC 7208 §4.6.4.
const HOSTS_MAX: usize = 10;
/// When a whole record is counted we go beyond the limit, to name all that breaks it, but not for
/// ever.
const COUNTED_MAX: usize = 60;
/// Records within records.
const DEPTH_MAX: usize = 20;

/// What must be asked. Names in lower case, without a final dot.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Question {
    /// TXT records.
    Texts(String),
    /// A and AAAA records.
    Addresses(String),
    /// MX records: host names.
    Mx(String),
    /// Reverse names.
    Reverse(IpAddr),
}

/// What DNS said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// Texts, or host names by preference.
    Texts(Vec<String>),
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// The name does not exist, or has no such records.
    Nothing,
    /// No answer, and why.
    Failed(String),
}

/// All that is known.
pub type Facts = HashMap<Question, Fact>;

/// Who sends what.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// From where.
    pub client: IpAddr,
    /// Whose record is read: the domain of the reverse-path, or of HELO.
    pub domain: &'a str,
    /// `local@domain`; empty: postmaster of the domain.
    pub sender: &'a str,
    /// The name in HELO.
    pub helo: &'a str,
}

/// RFC 7208 §2.6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpfResult {
    /// There is no record.
    None,
    /// It says nothing.
    Neutral,
    /// Allowed.
    Pass,
    /// Not allowed.
    Fail,
    /// Probably not allowed.
    SoftFail,
    /// DNS did not answer.
    TempError,
    /// The record is wrong.
    PermError,
}

impl SpfResult {
    /// The word of RFC 8601 §2.7.2.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evaluation {
    /// The result.
    pub result: SpfResult,
    /// Which term, or what is wrong.
    pub because: String,
}

/// One term that looks something up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lookup {
    /// Whose record it stands in.
    pub domain: String,
    /// The term.
    pub term: String,
    /// Names asked that led to nothing.
    pub voids: Vec<String>,
}

/// What a whole record costs, whoever the client is: every term that could be reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Budget {
    /// Those that count, in order.
    pub lookups: Vec<Lookup>,
    /// What is wrong with it or with what it includes.
    pub faults: Vec<String>,
    /// Could not be counted, as DNS did not answer.
    pub unanswered: Vec<String>,
}

impl Budget {
    /// Names that led to nothing, with the term that asks.
    pub fn voids(&self) -> impl Iterator<Item = (&Lookup, &str)> {
        let voids = |lookup: &'_ Lookup| lookup.voids.len();
        self.lookups
            .iter()
            .filter(move |lookup| voids(lookup) > 0)
            .flat_map(|lookup| lookup.voids.iter().map(move |name| (lookup, name.as_str())))
    }
}

/// The SPF records among texts.
pub fn spf_texts(texts: &[String]) -> Vec<&str> {
    let texts = texts.iter().map(String::as_str);
    texts.filter(|text| is_spf(text)).collect()
}

/// What the record of `request.domain` says.
///
/// # Errors
/// The question whose answer is not among the facts.
pub fn evaluate(facts: &Facts, request: &Request<'_>) -> Result<Evaluation, Question> {
    let domain = request.domain.trim_end_matches('.').to_ascii_lowercase();
    let found = |result, because: &str| {
        let because = because.to_owned();
        Ok(Evaluation { result, because })
    };
    if !is_fqdn(&domain) {
        return found(SpfResult::None, "it is no domain name");
    }
    let mut walk = Walk::new(facts, Some(request.client.to_canonical()), request);
    let outcome = walk.start(&domain);
    let (result, because) = match outcome {
        Ok(Some((qualifier, because))) => (qualifier_result(qualifier), because),
        Ok(None) => (SpfResult::Neutral, "no term matches".to_owned()),
        Err(Stop::None) => (SpfResult::None, "there is no SPF record".to_owned()),
        Err(Stop::Temporary(because)) => (SpfResult::TempError, because),
        Err(Stop::Permanent(because)) => (SpfResult::PermError, because),
        Err(Stop::Ask(question)) => return Err(question),
    };
    Ok(Evaluation { result, because })
}

/// What the record of a domain costs.
///
/// # Errors
/// The question whose answer is not among the facts.
pub fn count(facts: &Facts, domain: &str) -> Result<Budget, Question> {
    let request = Request {
        client: IpAddr::from([0, 0, 0, 0]),
        domain,
        sender: "",
        helo: domain,
    };
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let mut walk = Walk::new(facts, None, &request);
    match walk.start(&domain) {
        Err(Stop::Ask(question)) => return Err(question),
        Err(Stop::Permanent(because)) => walk.budget.faults.push(because),
        Err(Stop::Temporary(because)) => walk.budget.unanswered.push(because),
        Ok(_) | Err(Stop::None) => {}
    }
    Ok(walk.budget)
}

const fn qualifier_result(qualifier: Qualifier) -> SpfResult {
    match qualifier {
        Qualifier::Pass => SpfResult::Pass,
        Qualifier::Fail => SpfResult::Fail,
        Qualifier::SoftFail => SpfResult::SoftFail,
        Qualifier::Neutral => SpfResult::Neutral,
    }
}

/// RFC 7208 §4.3.
fn is_fqdn(domain: &str) -> bool {
    let good = |label: &str| !label.is_empty() && label.len() <= 63;
    domain.contains('.') && domain.len() <= 253 && domain.split('.').all(good)
}

enum Stop {
    Ask(Question),
    None,
    Temporary(String),
    Permanent(String),
}

type Matched = Option<(Qualifier, String)>;

struct Walk<'a> {
    facts: &'a Facts,
    /// None: the record is counted, nothing matches.
    client: Option<IpAddr>,
    local_part: &'a str,
    sender_domain: &'a str,
    helo: &'a str,
    budget: Budget,
}

impl<'a> Walk<'a> {
    fn new(facts: &'a Facts, client: Option<IpAddr>, request: &Request<'a>) -> Self {
        let (local_part, sender_domain) = match request.sender.rsplit_once('@') {
            Some(("", domain)) => ("postmaster", domain),
            Some((local_part, domain)) => (local_part, domain),
            None if request.sender.is_empty() => ("postmaster", request.domain),
            None => ("postmaster", request.sender),
        };
        Self {
            facts,
            client,
            local_part,
            sender_domain,
            helo: request.helo,
            budget: Budget::default(),
        }
    }

    fn start(&mut self, domain: &str) -> Result<Matched, Stop> {
        let record = self.record(domain)?.ok_or(Stop::None)?;
        self.check(domain, &record, 0)
    }

    /// The record of a domain, if it has one.
    fn record(&self, domain: &str) -> Result<Option<Record>, Stop> {
        let texts = match self.ask(Question::Texts(domain.to_owned()))? {
            Fact::Texts(texts) => texts,
            Fact::Nothing | Fact::Addresses(_) => return Ok(None),
            Fact::Failed(because) => {
                return Err(Stop::Temporary(format!("{domain}: {because}")));
            }
        };
        match spf_texts(texts).as_slice() {
            [] => Ok(None),
            [text] => match parse(text) {
                Ok(record) => Ok(Some(record)),
                Err(error) => Err(Stop::Permanent(format!("{domain}: {error}"))),
            },
            several => Err(Stop::Permanent(format!(
                "{domain} has {} SPF records; there may be one",
                several.len()
            ))),
        }
    }

    fn check(&mut self, domain: &str, record: &Record, depth: usize) -> Result<Matched, Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::Permanent(format!("{domain}: records go in a circle")));
        }
        for directive in &record.directives {
            let matches = match self.matches(domain, directive, depth) {
                // Counted whole: what is wrong is noted, the rest still costs.
                Err(Stop::Permanent(because)) if self.client.is_none() => {
                    self.budget.faults.push(because);
                    false
                }
                Err(Stop::Temporary(because)) if self.client.is_none() => {
                    self.budget.unanswered.push(because);
                    false
                }
                other => other?,
            };
            if matches {
                let because = format!("{} of {domain}", directive.text);
                return Ok(Some((directive.qualifier, because)));
            }
        }
        let Some(target) = &record.redirect else {
            return Ok(None);
        };
        let name = self.name(domain, Some(target));
        self.spend(domain, &format!("redirect={name}"))?;
        match self.record(&name)? {
            Some(next) => self.check(&name, &next, depth + 1),
            None => {
                self.void(&name)?;
                let because = format!("{domain}: redirect={name} leads to no SPF record");
                Err(Stop::Permanent(because))
            }
        }
    }

    fn matches(&mut self, domain: &str, it: &Directive, depth: usize) -> Result<bool, Stop> {
        match &it.kind {
            DirectiveKind::All => Ok(true),
            DirectiveKind::Ip4(network) => Ok(match self.client {
                Some(IpAddr::V4(client)) => network.contains(&client),
                Some(IpAddr::V6(_)) | None => false,
            }),
            DirectiveKind::Ip6(network) => Ok(match self.client {
                Some(IpAddr::V6(client)) => network.contains(&client),
                Some(IpAddr::V4(_)) | None => false,
            }),
            DirectiveKind::Include(target) => self.include(domain, &it.text, target, depth),
            DirectiveKind::A(hosts) => {
                self.spend(domain, &it.text)?;
                let name = self.name(domain, hosts.name.as_ref());
                self.host_matches(&name, hosts)
            }
            DirectiveKind::Mx(hosts) => self.mx(domain, &it.text, hosts),
            DirectiveKind::Ptr(target) => self.ptr(domain, &it.text, target.as_ref()),
            DirectiveKind::Exists(target) => {
                self.spend(domain, &it.text)?;
                if self.client.is_none() && target.needs_client() {
                    return Ok(false);
                }
                let name = self.name(domain, Some(target));
                let found = self.addresses(&name)?;
                let is_there = found.iter().any(IpAddr::is_ipv4);
                if !is_there {
                    self.void(&name)?;
                }
                Ok(is_there && self.client.is_some())
            }
        }
    }

    fn include(
        &mut self,
        domain: &str,
        term: &str,
        target: &MacroText,
        depth: usize,
    ) -> Result<bool, Stop> {
        self.spend(domain, term)?;
        if self.client.is_none() && target.needs_client() {
            return Ok(false);
        }
        let name = self.name(domain, Some(target));
        let Some(record) = self.record(&name)? else {
            self.void(&name)?;
            let because = format!("{domain}: {term} leads to no SPF record");
            return Err(Stop::Permanent(because));
        };
        let found = self.check(&name, &record, depth + 1)?;
        let passes = found.is_some_and(|(qualifier, _)| qualifier == Qualifier::Pass);
        // Who counts has met the record's own `all`.
        Ok(passes && self.client.is_some())
    }

    fn mx(&mut self, domain: &str, term: &str, hosts: &Hosts) -> Result<bool, Stop> {
        self.spend(domain, term)?;
        let name = self.name(domain, hosts.name.as_ref());
        let exchanges = match self.ask(Question::Mx(name.clone()))? {
            Fact::Texts(names) => names,
            Fact::Nothing | Fact::Addresses(_) => {
                self.void(&name)?;
                return Ok(false);
            }
            Fact::Failed(because) => {
                return Err(Stop::Temporary(format!("{name}: {because}")));
            }
        };
        if exchanges.len() > HOSTS_MAX {
            let because = format!("{domain}: {term}: more than {HOSTS_MAX} MX records");
            return Err(Stop::Permanent(because));
        }
        for exchange in exchanges {
            if self.host_matches(exchange, hosts)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ptr(&mut self, domain: &str, term: &str, target: Option<&MacroText>) -> Result<bool, Stop> {
        self.spend(domain, term)?;
        let Some(client) = self.client else {
            return Ok(false);
        };
        let wanted = self.name(domain, target);
        // RFC 7208 §5.5: errors here only mean that nothing matches.
        let Fact::Texts(names) = self.ask(Question::Reverse(client))? else {
            return Ok(false);
        };
        for name in names.iter().take(HOSTS_MAX) {
            let is_below = name
                .strip_suffix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            if !is_below {
                continue;
            }
            match self.ask(Question::Addresses(name.clone()))? {
                Fact::Addresses(found) if found.contains(&client) => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }

    fn host_matches(&mut self, name: &str, hosts: &Hosts) -> Result<bool, Stop> {
        let found = self.addresses(name)?;
        let client = self.client;
        let same_family =
            |it: &&IpAddr| client.is_none_or(|client| client.is_ipv4() == it.is_ipv4());
        if !found.iter().any(|it| same_family(&it)) {
            self.void(name)?;
        }
        let fits = |it: &IpAddr| match (it, client) {
            (IpAddr::V4(it), Some(IpAddr::V4(client))) => {
                Ipv4Net::new(*it, hosts.v4).is_ok_and(|network| network.contains(&client))
            }
            (IpAddr::V6(it), Some(IpAddr::V6(client))) => {
                Ipv6Net::new(*it, hosts.v6).is_ok_and(|network| network.contains(&client))
            }
            _ => false,
        };
        Ok(found.iter().any(fits))
    }

    fn addresses(&self, name: &str) -> Result<&'a [IpAddr], Stop> {
        match self.ask(Question::Addresses(name.to_owned()))? {
            Fact::Addresses(found) => Ok(found),
            Fact::Nothing | Fact::Texts(_) => Ok(&[]),
            Fact::Failed(because) => Err(Stop::Temporary(format!("{name}: {because}"))),
        }
    }

    fn ask(&self, question: Question) -> Result<&'a Fact, Stop> {
        self.facts.get(&question).ok_or(Stop::Ask(question))
    }

    fn name(&self, domain: &str, target: Option<&MacroText>) -> String {
        let values = Values {
            local_part: self.local_part,
            sender_domain: self.sender_domain,
            helo: self.helo,
            domain,
            client: self.client,
        };
        target.map_or_else(|| domain.to_owned(), |target| target.name(&values))
    }

    /// One more term that looks something up.
    fn spend(&mut self, domain: &str, term: &str) -> Result<(), Stop> {
        let most = if self.client.is_none() {
            COUNTED_MAX
        } else {
            LOOKUPS_MAX
        };
        if self.budget.lookups.len() == most {
            let because = format!("{domain}: {term} would be look-up {}", most + 1);
            return Err(Stop::Permanent(because));
        }
        self.budget.lookups.push(Lookup {
            domain: domain.to_owned(),
            term: term.to_owned(),
            voids: Vec::new(),
        });
        Ok(())
    }

    /// The last one found nothing at a name.
    fn void(&mut self, name: &str) -> Result<(), Stop> {
        if let Some(last) = self.budget.lookups.last_mut() {
            last.voids.push(name.to_owned());
        }
        let voids: usize = self.budget.lookups.iter().map(|it| it.voids.len()).sum();
        if self.client.is_some() && voids > VOIDS_MAX {
            let because = format!("{name} is the third name that leads to nothing");
            return Err(Stop::Permanent(because));
        }
        Ok(())
    }
}
