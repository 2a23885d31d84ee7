//! What DNS has said so far. A question that is open is noted, and answered as if DNS had failed:
//! whoever looks goes on, so that many questions are found in one round.

use std::net::IpAddr;

use super::record::{Differs, RecordState};
use crate::spf::{self, Budget, Evaluation, Fact, Facts, Question, Request, SpfResult};

const NOT_ASKED: &str = "DNS was not asked";

pub(super) struct Known<'a> {
    /// None: nothing is asked at all.
    facts: Option<&'a Facts>,
    open: Vec<Question>,
}

impl<'a> Known<'a> {
    pub(super) fn new(facts: Option<&'a Facts>) -> Self {
        Self {
            facts,
            open: Vec::new(),
        }
    }

    /// What is still to be asked, each once.
    pub(super) fn into_open(self) -> Vec<Question> {
        self.open
    }

    fn get(&mut self, question: Question) -> Fact {
        let Some(facts) = self.facts else {
            return Fact::Failed(NOT_ASKED.to_owned());
        };
        if let Some(fact) = facts.get(&question) {
            return fact.clone();
        }
        self.wants(question);
        Fact::Failed(NOT_ASKED.to_owned())
    }

    fn wants(&mut self, question: Question) {
        if !self.open.contains(&question) {
            self.open.push(question);
        }
    }

    /// TXT records of a name.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, String> {
        texts_of(self.get(Question::Texts(name.to_ascii_lowercase())))
    }

    /// MX hosts of a name.
    pub(super) fn mx(&mut self, name: &str) -> Result<Vec<String>, String> {
        texts_of(self.get(Question::Mx(name.to_ascii_lowercase())))
    }

    /// Names that an address leads back to.
    pub(super) fn reverse(&mut self, address: IpAddr) -> Result<Vec<String>, String> {
        texts_of(self.get(Question::Reverse(address)))
    }

    /// Addresses of a host.
    pub(super) fn addresses(&mut self, name: &str) -> Result<Vec<IpAddr>, String> {
        match self.get(Question::Addresses(name.to_ascii_lowercase())) {
            Fact::Addresses(found) => Ok(found),
            Fact::Texts(_) | Fact::Nothing => Ok(Vec::new()),
            Fact::Failed(because) => Err(because),
        }
    }

    /// What SPF says of an address that sends for a domain.
    pub(super) fn spf(&mut self, client: IpAddr, domain: &str, helo: &str) -> Evaluation {
        let request = Request {
            client,
            domain,
            sender: "",
            helo,
        };
        let failed = || Evaluation {
            result: SpfResult::TempError,
            because: NOT_ASKED.to_owned(),
        };
        let Some(facts) = self.facts else {
            return failed();
        };
        spf::evaluate(facts, &request).unwrap_or_else(|question| {
            self.wants(question);
            failed()
        })
    }

    /// What a domain's SPF record costs; with `instead`, if it were this one.
    pub(super) fn budget(&mut self, domain: &str, instead: Option<&str>) -> Budget {
        let Some(facts) = self.facts else {
            return Budget::default();
        };
        let counted = match instead {
            None => spf::count(facts, domain),
            Some(text) => {
                let mut facts = facts.clone();
                let question = Question::Texts(domain.to_ascii_lowercase());
                facts.insert(question, Fact::Texts(vec![text.to_owned()]));
                spf::count(&facts, domain)
            }
        };
        counted.unwrap_or_else(|question| {
            self.wants(question);
            Budget::default()
        })
    }

    /// How a TXT record stands of which only one sentence matters.
    pub(super) fn text_state(
        &mut self,
        name: &str,
        is_right: impl Fn(&str) -> bool,
    ) -> RecordState {
        match self.texts(name) {
            Ok(texts) if texts.iter().any(|text| is_right(text)) => RecordState::Right,
            Ok(_) => RecordState::Absent,
            Err(because) => RecordState::Unknown(because),
        }
    }

    /// How an MX record to `host` stands.
    pub(super) fn mx_state(&mut self, name: &str, host: &str) -> RecordState {
        match self.mx(name) {
            Ok(found) if found.iter().any(|it| it.eq_ignore_ascii_case(host)) => RecordState::Right,
            Ok(found) if found.is_empty() => RecordState::Absent,
            Ok(found) => RecordState::Differs(Differs(found)),
            Err(because) => RecordState::Unknown(because),
        }
    }
}

fn texts_of(fact: Fact) -> Result<Vec<String>, String> {
    match fact {
        Fact::Texts(texts) => Ok(texts),
        Fact::Nothing | Fact::Addresses(_) => Ok(Vec::new()),
        Fact::Failed(because) => Err(because),
    }
}
