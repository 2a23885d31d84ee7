//! The SPF vectors of the mail-auth project, which stay outside of the repository:
//! `RELAIS_TESTDATA` names their folder. Each exception is listed with its reason.
//!
//! Explanations (`exp=`) that the vectors expect are not compared: we refuse nobody for SPF alone,
//! so none is ever made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use relais_policy::spf::{Fact, Facts, Question, Request, evaluate};

/// By file, scenario and number in it: what we say instead, and why.
const EXCEPTIONS: &[(&str, &str, usize, &str, &str)] = &[
    (
        "ip.yml",
        "IPv6 match",
        4,
        "fail",
        "an IPv4 client is matched by ip4 alone, also where ip6 maps one (RFC 7208 §5.6)",
    ),
    (
        "exists.yml",
        "Exists",
        2,
        "fail",
        "exists asks for A, whatever the client has (RFC 7208 §5.7)",
    ),
    (
        "macro.yml",
        "Macro expansion 2",
        2,
        "fail",
        "exists asks for A, whatever the client has (RFC 7208 §5.7)",
    ),
    (
        "basic.yml",
        "DNS Lookup Limits",
        1,
        "permerror",
        "more than two look-ups find nothing (RFC 7208 §4.6.4)",
    ),
    (
        "basic.yml",
        "DNS Lookup Limits",
        6,
        "permerror",
        "an mx of more than ten hosts is a fault, wherever the match stands (RFC 7208 §4.6.4)",
    ),
    (
        "all.yml",
        "All test",
        1,
        "permerror",
        "a mechanism that is none is a fault, also behind all (RFC 7208 §4.6)",
    ),
];

/// What DNS says in a scenario. A name that is not there, in a scenario without any, has no answer.
#[derive(Default)]
struct Zone {
    facts: HashMap<Question, Fact>,
}

impl Zone {
    fn add_text(&mut self, name: &str, text: &str) {
        let question = Question::Texts(name.to_ascii_lowercase());
        let fact = self
            .facts
            .entry(question)
            .or_insert(Fact::Texts(Vec::new()));
        if let Fact::Texts(texts) = fact {
            texts.push(text.to_owned());
        }
    }

    fn add_addresses(&mut self, name: &str, all: &str) {
        let question = Question::Addresses(name.to_ascii_lowercase());
        let empty = Fact::Addresses(Vec::new());
        if let Fact::Addresses(addresses) = self.facts.entry(question).or_insert(empty) {
            addresses.extend(all.split(',').map(|one| {
                one.trim()
                    .parse::<IpAddr>()
                    .expect("as the vectors are written")
            }));
        }
    }

    /// A line of `records:`.
    fn add(&mut self, kind: &str, name: &str, value: &str) {
        let names = |text: &str| {
            let names = text
                .split(',')
                .map(|one| one.trim().trim_end_matches('.').to_owned());
            Fact::Texts(names.collect())
        };
        match kind {
            // A scenario changes the record from test to test.
            "spf" => {
                let question = Question::Texts(name.to_ascii_lowercase());
                self.facts
                    .insert(question, Fact::Texts(vec![value.to_owned()]));
            }
            "exp" => self.add_text(name, value),
            "a" | "aaaa" => self.add_addresses(name, value),
            "ptr" => {
                let question = Question::Reverse(name.parse().expect("as the vectors are written"));
                self.facts.insert(question, names(value));
            }
            "mx" => {
                let hosts: Vec<_> = value.split(',').enumerate().collect();
                let host = |at: usize| format!("mx{at}.of.{name}");
                for (at, address) in &hosts {
                    self.add_addresses(&host(*at), address);
                }
                let hosts = hosts.iter().map(|(at, _)| host(*at)).collect();
                let question = Question::Mx(name.to_ascii_lowercase());
                self.facts.insert(question, Fact::Texts(hosts));
            }
            other => panic!("{other} is no kind of record"),
        }
    }

    fn ask(&self, question: &Question) -> Fact {
        let is_broken = matches!(question, Question::Texts(name) if name.contains("_dns_error"));
        if is_broken {
            return Fact::Failed("server failure".to_owned());
        }
        self.facts.get(question).cloned().unwrap_or(Fact::Nothing)
    }

    fn check(&self, domain: &str, sender: &str, helo: &str, client: IpAddr) -> String {
        let request = Request {
            client,
            domain,
            sender,
            helo,
        };
        let mut facts = Facts::new();
        loop {
            match evaluate(&facts, &request) {
                Ok(found) => return found.result.name().to_owned(),
                Err(question) => {
                    assert!(facts.len() < 100, "questions without end");
                    let fact = self.ask(&question);
                    assert!(facts.insert(question, fact).is_none(), "asked twice");
                }
            }
        }
    }

    /// HELO first, as the vectors have it: where it fails, or there is no sender, it counts.
    fn verify(&self, helo: &str, sender: &str, client: IpAddr) -> String {
        let of_helo = self.check(helo, "", helo, client);
        if sender.is_empty() || of_helo == "fail" {
            return of_helo;
        }
        let domain = sender.rsplit_once('@').map_or(helo, |(_, domain)| domain);
        self.check(domain, sender, helo, client)
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "vectors are read where they lie")]
fn the_vectors_of_mail_auth_give_the_results_they_want() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/testdata");
    let root = std::env::var_os("RELAIS_TESTDATA").map_or_else(beside, PathBuf::from);
    let Ok(files) = std::fs::read_dir(root.join("spf/mail-auth")) else {
        eprintln!("SKIPPED: no spf/mail-auth (RELAIS_TESTDATA names its folder)");
        return;
    };
    let (mut played, mut wrong, mut excepted) = (0, Vec::new(), 0);
    for path in files.map(|file| file.expect("as the vectors are written").path()) {
        let file = path
            .file_name()
            .expect("as the vectors are written")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path).expect("as the vectors are written");
        for scenario in text.split("---\n") {
            let (mut zone, mut name, mut number) = (Zone::default(), "", 0);
            let (mut helo, mut sender, mut client) = ("", "", IpAddr::from([127, 0, 0, 1]));
            let lines = scenario
                .lines()
                .map(|line| line.trim().trim_start_matches("- "));
            for (key, value) in lines.filter_map(|line| line.split_once(':')) {
                let value = value.trim();
                match key {
                    _ if key.starts_with('#') => {}
                    "name" => name = value,
                    "domain" => helo = value,
                    "sender" => sender = value,
                    "ip" => client = value.parse().expect("as the vectors are written"),
                    "records" | "tests" => {}
                    "expect" => {
                        number += 1;
                        played += 1;
                        let wanted = value.split(' ').next().expect("as the vectors are written");
                        let found = zone.verify(helo, sender, client);
                        let exception = EXCEPTIONS
                            .iter()
                            .find(|one| (one.0, one.1, one.2) == (&file, name, number));
                        excepted += usize::from(exception.is_some());
                        let right = exception.map_or(wanted, |one| one.3);
                        if found != right {
                            wrong.push(format!("{file}, {name}, {number}: {found}, not {right}"));
                        }
                    }
                    kind => {
                        let (name, value) = value.split_once(' ').unwrap_or((value, ""));
                        zone.add(kind, name, value.trim());
                    }
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!((played, excepted), (163, EXCEPTIONS.len()));
}
