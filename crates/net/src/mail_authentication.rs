//! SPF, DKIM, DMARC and ARC of a stranger's message. RFC 7208, RFC 6376, RFC 7489, RFC 8617.
//!
//! The content is looked at piece by piece while it comes in: its body is only hashed. Signatures
//! are judged by mail-auth; its own hash of bodies is not used (it is wrong for bodies that end in
//! lines of white space alone), and DNS is asked by our resolver. All of it ends within
//! [`AUTHENTICATION_TIMEOUT`]: what DNS does not answer in time is a `temperror`, and nothing waits
//! for it.
//!
//! Not here: what follows from it (`relais_policy::authentication`).

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use mail_auth::common::crypto::HashAlgorithm;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::{DomainKey, VerifySignature};
use mail_auth::dkim::Canonicalization;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsError as MailAuthDns, Error, MX, MessageAuthenticator,
    Parameters, RecordSet, ResolverCache, Txt,
};
use relais_policy::authentication::{
    Authentication, DmarcFinding, SignatureFinding, SpfFinding, dmarc,
};
use relais_policy::spf::{Evaluation, Fact, Facts, Question, Request, SpfResult, evaluate};
use relais_smtp::address::ReversePath;
use relais_smtp::dkim::BodyHash;
use relais_smtp::domain::Domain;
use relais_smtp::header::{FromField, HeaderSummary};
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::facts::resolved_fact;
use crate::resolver::Resolver;

/// All questions about one message. A sender waits ten minutes for the reply to its content (RFC
/// 5321 §4.5.3.2.6).
pub const AUTHENTICATION_TIMEOUT: Duration = Duration::from_secs(15);
/// Header sections longer than this are not looked at for signatures.
const SECTION_OCTETS_MAX: usize = 128 * 1_024;
/// Signatures that are looked at. RFC 8601 §4 advises to have a limit.
const SIGNATURES_MAX: usize = 10;
/// Links of a chain. RFC 8617 §4.2.1.
const SETS_MAX: usize = relais_smtp::arc::ARC_SETS_MAX as usize;
/// Questions about one message, and keys of it.
const QUESTIONS_MAX: usize = 200;
/// Domains of authors whose policy is asked for; mail of more cannot be judged.
const AUTHORS_MAX: usize = 8;

/// A message under way.
pub struct Checking {
    section: Vec<u8>,
    simple: SimpleBody,
}

/// Who sends.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// From where.
    pub client: IpAddr,
    /// The name it greeted with.
    pub helo: &'a str,
    /// The reverse-path.
    pub reverse_path: &'a ReversePath,
}

impl Checking {
    /// Of a header section, as it came.
    pub fn begin(section: &[u8]) -> Self {
        let section = match section.len() <= SECTION_OCTETS_MAX {
            true => section.to_vec(),
            false => Vec::new(),
        };
        Self {
            section,
            simple: SimpleBody::default(),
        }
    }

    /// A piece of the body.
    pub fn body(&mut self, piece: &[u8]) {
        self.simple.update(piece);
    }

    /// All is here. `relaxed`: the hash of the body in relaxed form.
    pub async fn finish(
        self,
        relaxed: &BodyHash,
        summary: &HeaderSummary,
        sender: Sender<'_>,
        resolver: &Resolver,
        clock: &Clock,
    ) -> Authentication {
        let until = clock.moment() + AUTHENTICATION_TIMEOUT;
        let asker = Asker {
            resolver,
            clock,
            until,
        };
        let mut facts = Facts::new();
        let spf = spf(&asker, &mut facts, sender).await;
        let hashes = (relaxed.as_bytes().to_vec(), self.simple.finish());
        let (dkim, arc) = signatures(&asker, &self.section, &hashes).await;
        let mut judged = Vec::new();
        for from in authors(summary) {
            judged.push(loop {
                match dmarc(&facts, from.as_ref(), &spf, &dkim) {
                    Ok(found) => break found,
                    Err(question) => asker.ask(&mut facts, question).await,
                }
            });
        }
        // The first of the strictest.
        judged.reverse();
        let dmarc = judged.into_iter().max_by_key(DmarcFinding::severity);
        let dmarc = dmarc.unwrap_or(NOBODY);
        Authentication {
            spf,
            dkim,
            arc,
            dmarc,
        }
    }
}

/// Of mail without an author.
const NOBODY: DmarcFinding = DmarcFinding {
    result: "permerror",
    from: None,
    policy: "",
};

/// The domains of the authors, each once; `None` for what has no domain: where the field cannot be
/// read, where an address has none, and where there are more than are asked about.
fn authors(summary: &HeaderSummary) -> Vec<Option<Domain>> {
    let FromField::Addresses(addresses) = &summary.from else {
        return vec![None];
    };
    let mut authors: Vec<Option<Domain>> = Vec::new();
    for author in addresses.iter().map(|one| one.domain().cloned()) {
        if !authors.contains(&author) {
            authors.push(author);
        }
        if authors.len() > AUTHORS_MAX {
            return vec![None];
        }
    }
    authors
}

/// Asks our resolver, until the time is over.
struct Asker<'a> {
    resolver: &'a Resolver,
    clock: &'a Clock,
    until: crate::clock::Moment,
}

impl Asker<'_> {
    async fn ask(&self, facts: &mut Facts, question: Question) {
        let late = || Fact::Failed("no answer in time".to_owned());
        let fact = if facts.len() >= QUESTIONS_MAX {
            Fact::Failed("too many questions".to_owned())
        } else {
            let answer = resolved_fact(self.resolver, &question);
            let answer = self.clock.within(self.until, answer).await;
            answer.unwrap_or_else(|_| late())
        };
        facts.insert(question, fact);
    }

    async fn texts(&self, name: &str) -> Fact {
        let (mut facts, question) = (Facts::new(), Question::Texts(name.to_owned()));
        self.ask(&mut facts, question.clone()).await;
        facts.remove(&question).unwrap_or(Fact::Nothing)
    }
}

async fn spf(asker: &Asker<'_>, facts: &mut Facts, sender: Sender<'_>) -> SpfFinding {
    let mailbox = sender.reverse_path.mailbox();
    let own = mailbox.and_then(|mailbox| mailbox.domain());
    let domain = own.map_or(sender.helo, Domain::as_str).to_ascii_lowercase();
    let address = mailbox.map(ToString::to_string).unwrap_or_default();
    let request = Request {
        client: sender.client,
        domain: &domain,
        sender: &address,
        helo: sender.helo,
    };
    let result = loop {
        match evaluate(facts, &request) {
            Ok(Evaluation { result, .. }) => break result,
            Err(_) if facts.len() >= QUESTIONS_MAX => break SpfResult::PermError,
            Err(question) => asker.ask(facts, question).await,
        }
    };
    SpfFinding {
        result,
        is_helo: own.is_none(),
        domain,
    }
}

/// DKIM and ARC. A panic of the library costs the results, not the message.
async fn signatures(
    asker: &Asker<'_>,
    section: &[u8],
    hashes: &(Vec<u8>, Vec<u8>),
) -> (Vec<SignatureFinding>, &'static str) {
    let parsed = catch_unwind(AssertUnwindSafe(|| AuthenticatedMessage::parse(section)));
    let Some(mut message) = parsed.ok().flatten() else {
        return (Vec::new(), "none");
    };
    message.dkim_headers.truncate(SIGNATURES_MAX);
    // ATPS (RFC 6541) and reports (RFC 6651) are not followed.
    for header in &mut message.dkim_headers {
        header.header.r = false;
        header.header.atps = None;
    }
    for (canonicalization, algorithm, length, hash) in &mut message.body_hashes {
        *hash = match (canonicalization, algorithm, *length) {
            (Canonicalization::Relaxed, HashAlgorithm::Sha256, 0) => hashes.0.clone(),
            (Canonicalization::Simple, HashAlgorithm::Sha256, 0) => hashes.1.clone(),
            // SHA-1 is nobody's proof any more. RFC 8301 §3.1.
            _ => Vec::new(),
        };
    }
    let keys = Keys::default();
    if message.ams_headers.len() > SETS_MAX || message.as_headers.len() > SETS_MAX {
        message.has_arc_errors = true;
    }
    keys.fetch(asker, &message).await;
    let Some(library) = library() else {
        return (Vec::new(), "none");
    };
    let dkim = library.verify_dkim(parameters(&message, &keys)).await;
    let dkim = dkim.iter().map(|output| SignatureFinding {
        result: name_of(output.result()),
        domain: output
            .signature()
            .map(|s| s.domain().to_owned())
            .unwrap_or_default(),
        selector: output
            .signature()
            .map(|s| s.selector().to_owned())
            .unwrap_or_default(),
    });
    let dkim = dkim.take(2 * SIGNATURES_MAX).collect();
    let arc = library.verify_arc(parameters(&message, &keys)).await;
    let arc = match arc.result() {
        DkimResult::Pass => "pass",
        DkimResult::None => "none",
        DkimResult::Neutral(_)
        | DkimResult::Fail(_)
        | DkimResult::PermError(_)
        | DkimResult::TempError(_) => "fail",
    };
    (dkim, arc)
}

const fn name_of(result: &DkimResult) -> &'static str {
    match result {
        DkimResult::Pass => "pass",
        DkimResult::Neutral(_) => "neutral",
        DkimResult::Fail(_) => "fail",
        DkimResult::PermError(_) => "permerror",
        DkimResult::TempError(_) => "temperror",
        DkimResult::None => "none",
    }
}

/// The library with a resolver that knows no server: it finds all that it asks among [`Keys`].
fn library() -> Option<MessageAuthenticator> {
    let config = ResolverConfig::from_name_servers(Vec::new());
    let provider = TokioRuntimeProvider::default();
    let resolver = TokioResolver::builder_with_config(config, provider)
        .build()
        .ok()?;
    Some(MessageAuthenticator(resolver))
}

fn parameters<'x>(
    message: &'x AuthenticatedMessage<'x>,
    keys: &'x Keys,
) -> Parameters<'x, &'x AuthenticatedMessage<'x>, Keys, Nothing, Nothing, Nothing, Nothing> {
    Parameters {
        params: message,
        cache_txt: Some(keys),
        cache_mx: None,
        cache_ptr: None,
        cache_ipv4: None,
        cache_ipv6: None,
    }
}

/// Public keys, asked before the library needs them.
#[derive(Default)]
struct Keys(Mutex<HashMap<Box<str>, Txt>>);

impl Keys {
    async fn fetch(&self, asker: &Asker<'_>, message: &AuthenticatedMessage<'_>) {
        let mut names: Vec<String> = Vec::new();
        names.extend(
            message
                .dkim_headers
                .iter()
                .map(|one| one.header.domain_key()),
        );
        names.extend(
            message
                .ams_headers
                .iter()
                .map(|one| one.header.domain_key()),
        );
        names.extend(message.as_headers.iter().map(|one| one.header.domain_key()));
        names.sort_unstable();
        names.dedup();
        for name in names {
            let bare = name.trim_end_matches('.').to_ascii_lowercase();
            let found = match asker.texts(&bare).await {
                Fact::Texts(texts) => key_among(&texts),
                Fact::Nothing | Fact::Addresses(_) => Txt::Error(Error::Dns(
                    MailAuthDns::RecordNotFound(hickory_proto::op::ResponseCode::NXDomain),
                )),
                Fact::Failed(because) => Txt::Error(Error::Dns(MailAuthDns::Resolver(because))),
            };
            self.lock().insert(name.into(), found);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Txt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first text that is a key; else why the first is none. RFC 6376 §3.6.2.2.
fn key_among(texts: &[String]) -> Txt {
    let mut fault = Error::Dns(MailAuthDns::InvalidRecordType);
    for text in texts {
        match DomainKey::parse(text.as_bytes()) {
            Ok(key) if is_for_mail(text) => return Txt::DomainKey(key.into()),
            Ok(_) => {}
            Err(error) => fault = error,
        }
    }
    Txt::Error(fault)
}

/// A key may be for something else alone, as reports of TLS (RFC 8460 §3). The library does not
/// look at the tag `s=`. RFC 6376 §3.6.1.
fn is_for_mail(record: &str) -> bool {
    let tags = record.split(';').filter_map(|tag| tag.split_once('='));
    let services = tags.map(|(name, value)| (name.trim(), value));
    services.filter(|(name, _)| *name == "s").all(|(_, all)| {
        let mut all = all.split(':').map(str::trim);
        all.any(|one| one == "*" || one.eq_ignore_ascii_case("email"))
    })
}

impl ResolverCache<Box<str>, Txt> for Keys {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // What nobody fetched is not asked by the library either.
        let absent = || Txt::Error(Error::Dns(MailAuthDns::Resolver("not asked".to_owned())));
        Some(self.lock().get(name).cloned().unwrap_or_else(absent))
    }

    fn remove<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.lock().remove(name)
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// Answers that are never wanted of the library.
struct Nothing;

macro_rules! nothing {
    ($key:ty, $value:ty) => {
        impl ResolverCache<$key, $value> for Nothing {
            fn get<Q>(&self, _: &Q) -> Option<$value>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                None
            }

            fn remove<Q>(&self, _: &Q) -> Option<$value>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                None
            }

            fn insert(&self, _: $key, _: $value, _: Instant) {}
        }
    };
}

nothing!(Box<str>, RecordSet<MX>);
nothing!(Box<str>, RecordSet<std::net::Ipv4Addr>);
nothing!(Box<str>, RecordSet<std::net::Ipv6Addr>);
nothing!(IpAddr, RecordSet<Box<str>>);

/// The body in simple form, hashed: empty lines at its end count as none, and an empty body as one
/// line end. RFC 6376 §3.4.3.
#[derive(Clone, Default)]
struct SimpleBody {
    hash: Sha256,
    /// Line ends that count only if something follows, in octets.
    held: Vec<u8>,
}

/// Line ends held back at most, in octets; more of them are hashed as they are counted.
const HELD_OCTETS_MAX: usize = 64 * 1_024;

impl SimpleBody {
    fn update(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
        let is_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
        let last = self.held.iter().rposition(|octet| !is_end(octet));
        let Some(last) = last else {
            // A message of line ends alone is bounded like every other, and what is beyond is lost
            // to the hash: nobody signs that.
            self.held.truncate(HELD_OCTETS_MAX);
            return;
        };
        let rest = self.held.split_off(last + 1);
        self.hash.update(&self.held);
        self.held = rest;
    }

    fn finish(mut self) -> Vec<u8> {
        // The last line's own end stays.
        self.hash.update(b"\r\n");
        self.hash.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests;
