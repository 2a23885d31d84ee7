//! What a domain should publish so that our servers may send for it: what it has, in its order,
//! and ours before `all`. RFC 7208 §4.6.2 (order), §5.1 (nothing counts after `all`), §3.2 (one
//! record).

use std::fmt;
use std::net::IpAddr;

use super::evaluate::spf_texts;
use super::record::{DirectiveKind, Qualifier, parse};

/// What stands at the end of a record that is new: mail from elsewhere is suspect, not refused, as
/// nobody knows yet where else it comes from.
const NEW_ALL: &str = "~all";

/// What must be in the record for our sake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OurTerm {
    /// An address that we send from.
    Address(IpAddr),
    /// A host whose addresses we send from.
    Host(String),
    /// A zone that names them: ours, or that of a smart host's provider.
    Include(String),
}

impl fmt::Display for OurTerm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => write!(formatter, "ip4:{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "ip6:{address}"),
            Self::Host(name) => write!(formatter, "a:{name}"),
            Self::Include(name) => write!(formatter, "include:{name}"),
        }
    }
}

/// A record to publish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merged {
    /// The record.
    pub value: String,
    /// Terms that were not there.
    pub added: Vec<String>,
    /// Terms that must go: mistakes, and `+all`.
    pub dropped: Vec<String>,
    /// SPF records found; more than one is none (RFC 7208 §4.5).
    pub found: usize,
}

impl Merged {
    /// Whether what is there may stay.
    pub fn is_unchanged(&self) -> bool {
        self.found == 1 && self.added.is_empty() && self.dropped.is_empty()
    }
}

/// Merges ours into the SPF records among `texts`. Terms for which `passes` says so are covered
/// already, whatever covers them.
pub fn merge(texts: &[String], ours: &[OurTerm], passes: impl Fn(&OurTerm) -> bool) -> Merged {
    let records = spf_texts(texts);
    let mut terms = Terms::default();
    for (at, record) in records.iter().enumerate() {
        terms.read(record, at == 0);
    }
    let mut added = Vec::new();
    for our in ours {
        let text = our.to_string();
        if passes(our) || terms.has(our) || added.contains(&text) {
            continue;
        }
        added.push(text);
    }
    let all = match (terms.all.take(), terms.redirects) {
        (Some(all), _) => Some(all),
        (None, true) => None,
        (None, false) if records.is_empty() => Some(NEW_ALL.to_owned()),
        (None, false) => None,
    };
    let parts = ["v=spf1".to_owned()]
        .into_iter()
        .chain(terms.before)
        .chain(added.iter().cloned())
        .chain(all)
        .chain(terms.modifiers);
    Merged {
        value: parts.collect::<Vec<_>>().join(" "),
        added,
        dropped: terms.dropped,
        found: records.len(),
    }
}

#[derive(Default)]
struct Terms {
    before: Vec<String>,
    all: Option<String>,
    /// They have no place in the order: at the end they are where people look for them.
    modifiers: Vec<String>,
    redirects: bool,
    dropped: Vec<String>,
}

impl Terms {
    /// The first record's `all` and `redirect` count.
    fn read(&mut self, record: &str, is_first: bool) {
        let terms = record.split(' ').skip(1).filter(|term| !term.is_empty());
        for term in terms {
            let Ok(read) = parse(&format!("v=spf1 {term}")) else {
                self.dropped.push(term.to_owned());
                continue;
            };
            let Some(directive) = read.directives.first() else {
                let redirects = read.redirect.is_some();
                // A second record's redirect would undo the first one's all.
                if is_first || !redirects {
                    self.redirects |= redirects;
                    self.modifiers.push(term.to_owned());
                } else {
                    self.dropped.push(term.to_owned());
                }
                continue;
            };
            if directive.kind == DirectiveKind::All {
                self.read_all(term, directive.qualifier, is_first);
            } else if !self.before.iter().any(|known| same(known, term)) {
                // What stood behind `all` never counted; in front of it it would begin to.
                if self.all.is_some() && is_first {
                    self.dropped.push(term.to_owned());
                } else {
                    self.before.push(term.to_owned());
                }
            }
        }
    }

    fn read_all(&mut self, term: &str, qualifier: Qualifier, is_first: bool) {
        if qualifier == Qualifier::Pass {
            // Everybody on earth may send: the record would say nothing.
            self.dropped.push(term.to_owned());
            if is_first && self.all.is_none() {
                self.all = Some(NEW_ALL.to_owned());
            }
        } else if self.all.is_none() {
            self.all = Some(term.to_owned());
        }
    }

    /// A term that passes for it, whatever stands before.
    fn has(&self, our: &OurTerm) -> bool {
        let text = our.to_string();
        self.before.iter().any(|known| {
            if same(known, &text) {
                return true;
            }
            let Ok(read) = parse(&format!("v=spf1 {known}")) else {
                return false;
            };
            let directive = read.directives.first();
            let directive = directive.filter(|it| it.qualifier == Qualifier::Pass);
            match (directive.map(|it| &it.kind), our) {
                (Some(DirectiveKind::Ip4(network)), OurTerm::Address(IpAddr::V4(address))) => {
                    network.contains(address)
                }
                (Some(DirectiveKind::Ip6(network)), OurTerm::Address(IpAddr::V6(address))) => {
                    network.contains(address)
                }
                _ => false,
            }
        })
    }
}

/// Names and words in any case; `+` is what stands where nothing does.
fn same(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.strip_prefix('+').unwrap_or(text).to_ascii_lowercase();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(existing: &[&str], ours: &[OurTerm]) -> Merged {
        let texts: Vec<String> = existing.iter().map(|text| (*text).to_owned()).collect();
        merge(&texts, ours, |_| false)
    }

    fn address(text: &str) -> OurTerm {
        OurTerm::Address(text.parse().expect("an address"))
    }

    #[test]
    fn ours_stand_before_all_and_what_was_there_keeps_its_order() {
        let ours = [
            address("192.0.2.1"),
            address("2001:db8::1"),
            OurTerm::Include("spf.relay.test".to_owned()),
        ];
        let all = "ip4:192.0.2.1 ip6:2001:db8::1 include:spf.relay.test";
        for (existing, expected) in [
            (vec![], format!("v=spf1 {all} ~all")),
            (vec!["other", "v=spf1 -all"], format!("v=spf1 {all} -all")),
            (
                vec!["v=spf1  mx include:a.test ?all exp=x.a.test"],
                format!("v=spf1 mx include:a.test {all} ?all exp=x.a.test"),
            ),
            (
                vec!["v=spf1 mx redirect=a.test"],
                format!("v=spf1 mx {all} redirect=a.test"),
            ),
            (vec!["v=spf1 mx"], format!("v=spf1 mx {all}")),
            (vec!["v=spf1 a +all"], format!("v=spf1 a {all} ~all")),
            (vec!["v=spf1 a all"], format!("v=spf1 a {all} ~all")),
            (
                vec!["v=spf1 mx -all", "v=spf1 MX a:b.test ~all redirect=c.test"],
                format!("v=spf1 mx a:b.test {all} -all"),
            ),
            (
                vec!["v=spf1 ipv4:192.0.2.9 mx -all"],
                format!("v=spf1 mx {all} -all"),
            ),
        ] {
            let found = merged(&existing, &ours);
            assert_eq!(found.value, expected);
            let again = merged(&[&found.value], &ours);
            assert!(again.is_unchanged(), "a second merge changes nothing");
        }
    }

    #[test]
    fn what_is_covered_already_is_not_added() {
        let covered = merged(&["v=spf1 ip4:192.0.2.0/24 -all"], &[address("192.0.2.1")]);
        assert!(covered.is_unchanged());
        // A term that does not pass does not cover.
        let refused = merged(&["v=spf1 -ip4:192.0.2.0/24 ~all"], &[address("192.0.2.1")]);
        assert_eq!(refused.added, ["ip4:192.0.2.1"]);
        let texts = ["v=spf1 include:a.test -all".to_owned()];
        let by_evaluation = merge(&texts, &[address("192.0.2.1")], |_| true);
        assert!(by_evaluation.is_unchanged());
    }

    #[test]
    fn mistakes_go_and_are_named() {
        let found = merged(
            &["v=spf1 ipv4:192.0.2.9 a +all", "v=spf1 b: -all"],
            &[address("192.0.2.1")],
        );
        assert_eq!(found.dropped, ["ipv4:192.0.2.9", "+all", "b:"]);
        assert_eq!(found.found, 2);
        assert_eq!(found.value, "v=spf1 a ip4:192.0.2.1 ~all");
    }
}
