//! Self-checks: what was found becomes a verdict, with one sentence, why it matters and how to mend
//! it. Pure: what was found comes in as facts.
//!
//! A check never says that something is broken which the chosen way out does not use. Not here:
//! finding out (`relais-admin`), what a domain publishes ([`crate::desk`]).

mod machine;
mod way_out;
mod world;
mod safety;

use crate::desk::Words;

pub use machine::{
    CertificateFact, ClientsFact, ClockFact, DiskFact, PortFact, ShownCertificate, certificate,
    clients, clock, disk, file_limit, inodes, port, sync,
};
pub use safety::{
    Stranger, clear_logins, last_backup, limits, open_relay, open_relay_session, ranges,
    second_administrator, strangers,
};
pub use way_out::{
    Needs, Probe, WalkFact, dnssec, port_25, public_address, resolver, seen_address, smart_host,
    told_time,
};
pub use world::{ReverseFact, blocklist, mail_exchanger, record, reverse_name};

/// How a check came out; in the order in which people should look.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verdict {
    /// Mail is lost, refused or late because of it.
    Broken,
    /// It will hurt if nobody looks.
    Attention,
    /// Better otherwise.
    Advice,
    /// It could not be found out; the sentence says why.
    Unknown,
    /// Nothing here uses it.
    NotApplicable,
    /// As it should be.
    Ok,
}

impl Verdict {
    /// Each, for reading one back.
    const ALL: [Self; 6] = [
        Self::Broken,
        Self::Attention,
        Self::Advice,
        Self::Unknown,
        Self::NotApplicable,
        Self::Ok,
    ];

    /// The word, for JSON and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Attention => "attention",
            Self::Advice => "advice",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not-applicable",
            Self::Ok => "ok",
        }
    }

    /// The same, read back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What a check is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Group {
    /// This machine.
    Machine,
    /// The way out.
    WayOut,
    /// How the world sees us.
    World,
    /// What others could do to us, or through us.
    Safety,
}

impl Group {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Machine, Self::WayOut, Self::World, Self::Safety];

    /// The word, for JSON and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::WayOut => "way-out",
            Self::World => "world",
            Self::Safety => "safety",
        }
    }

    /// The same, read back.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A check that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// `port`, `clock` …
    pub name: &'static str,
    /// Which port, domain, connector; empty where there is only one.
    pub subject: String,
    /// What it is about.
    pub group: Group,
    /// How it came out.
    pub verdict: Verdict,
    /// One sentence.
    pub words: Words,
    /// Why it matters.
    pub why: Words,
    /// How to mend it; empty where there is nothing to mend.
    pub fix: Words,
}

/// What all checks of one name share.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    group: Group,
    /// Why it matters, in English and French.
    why: (&'static str, &'static str),
}

impl Kind {
    /// Nothing to mend.
    fn ok(self, subject: impl Into<String>, words: Words) -> Check {
        self.found(subject, Verdict::Ok, words, Words::default())
    }

    fn found(
        self,
        subject: impl Into<String>,
        verdict: Verdict,
        words: Words,
        fix: Words,
    ) -> Check {
        Check {
            name: self.name,
            subject: subject.into(),
            group: self.group,
            verdict,
            words,
            why: Words::new(self.why.0, self.why.1),
            fix,
        }
    }

    /// Nobody could find out, because.
    fn unknown(self, subject: impl Into<String>, words: Words) -> Check {
        self.found(subject, Verdict::Unknown, words, Words::default())
    }

    /// Nothing here uses it, because.
    fn not_applicable(self, subject: impl Into<String>, words: Words) -> Check {
        self.found(subject, Verdict::NotApplicable, words, Words::default())
    }
}

#[cfg(test)]
mod tests;
