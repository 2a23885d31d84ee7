//! The test suite of RFC 4408 (openspf.org, release 2009.10, read into JSON; its licence stands
//! beside it), played on our evaluation. Each exception is listed with its reason.

use std::net::IpAddr;

use relais_policy::spf::{Fact, Facts, Question, Request, evaluate};
use serde_json::Value;

const SUITE: &str = include_str!("../spf/rfc4408.json");

/// Where RFC 7208 says otherwise than RFC 4408, or we do less on purpose.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "p-macro-multiple",
    "neutral",
    "`%{p}` is always `unknown` (RFC 7208 §7.3 lets us, §5.5 wants nobody to use it)",
)];

/// What DNS says in a scenario. A name with TIMEOUT gives no answer to what is not listed.
fn fact(zone: &Value, question: &Question) -> Fact {
    let (name, kinds): (String, &[&str]) = match question {
        Question::Texts(name) => (name.clone(), &["TXT"]),
        Question::Addresses(name) => (name.clone(), &["A", "AAAA"]),
        Question::Mx(name) => (name.clone(), &["MX"]),
        Question::Reverse(address) => (reverse_name(*address), &["PTR"]),
    };
    let rows = zone[&name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of_kind = |row: &&Value| kinds.iter().any(|kind| row[0] == *kind);
    let values = rows
        .iter()
        .filter(of_kind)
        .filter_map(|row| row[1].as_str());
    let values: Vec<String> = values.map(str::to_owned).collect();
    if values.is_empty() {
        let fails = rows.iter().any(|row| row[0] == "TIMEOUT");
        return if fails {
            Fact::Failed("no answer in time".to_owned())
        } else {
            Fact::Nothing
        };
    }
    match question {
        Question::Addresses(_) => Fact::Addresses(
            values
                .iter()
                .map(|it| it.parse().expect("an address"))
                .collect(),
        ),
        Question::Texts(_) => Fact::Texts(values),
        Question::Mx(_) | Question::Reverse(_) => {
            let names = values
                .iter()
                .map(|it| it.trim_end_matches('.').to_ascii_lowercase());
            Fact::Texts(names.collect())
        }
    }
}

fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(it) => {
            let nibbles = it
                .octets()
                .into_iter()
                .rev()
                .flat_map(|it| [it & 15, it >> 4]);
            let nibbles: Vec<_> = nibbles.map(|it| format!("{it:x}")).collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}

fn play(zone: &Value, test: &Value) -> (String, String) {
    let text = |key: &str| test[key].as_str().expect("a text");
    let (sender, helo) = (text("mailfrom"), text("helo"));
    let domain = sender.rsplit_once('@').map_or(helo, |(_, domain)| domain);
    let request = Request {
        client: text("host").parse().expect("an address"),
        domain,
        sender,
        helo,
    };
    let mut facts = Facts::new();
    loop {
        match evaluate(&facts, &request) {
            Ok(found) => return (found.result.name().to_owned(), found.because),
            Err(question) => {
                assert!(facts.len() < 100, "questions without end");
                let fact = fact(zone, &question);
                assert!(facts.insert(question, fact).is_none(), "asked twice");
            }
        }
    }
}

#[test]
fn the_suite_of_rfc_4408_gives_the_results_it_wants() {
    let suite: Value = serde_json::from_str(SUITE).expect("JSON");
    let (mut played, mut wrong) = (0, Vec::new());
    let mut seen = Vec::new();
    for scenario in suite.as_array().expect("scenarios") {
        for (name, test) in scenario["tests"].as_object().expect("tests") {
            played += 1;
            let (result, because) = play(&scenario["zone"], test);
            let wanted = test["result"].as_array().expect("results");
            let exception = EXCEPTIONS.iter().find(|(known, ..)| known == name);
            let is_right = match exception {
                Some((_, ours, _)) => {
                    seen.push(name.as_str());
                    result == *ours && !wanted.contains(&Value::from(result.as_str()))
                }
                None => wanted.contains(&Value::from(result.as_str())),
            };
            if !is_right {
                wrong.push(format!("{name}: {result} ({because}), wanted {wanted:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(played, 191);
    assert_eq!(seen.len(), EXCEPTIONS.len(), "an exception that is none");
}
