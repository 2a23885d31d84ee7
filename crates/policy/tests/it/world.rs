//! The worlds of the tables, and reading their rows.

use std::time::Duration;

use relais_policy::attribution::{Attribution, Facts, attribute};
use relais_policy::document::Document;
use relais_policy::proof::{Proof, ProofKey, ProofToken, Standing};
use relais_policy::settings::{Mode, Settings};
use relais_policy::tls::{Certificate, CertificateFault, TlsVersion};
use relais_smtp::address::{ForwardPath, Mailbox, ReversePath};
use relais_smtp::domain::Domain;
use relais_smtp::identifier::Reference;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

pub(crate) struct Worlds {
    lan: Settings,
    hosted: Settings,
    empty: Settings,
    claims: Settings,
    bounces: Settings,
}

impl Worlds {
    pub(crate) fn new() -> Self {
        Self {
            lan: build(Mode::Lan, include_str!("../tables/lan.toml")),
            hosted: build(Mode::Hosted, include_str!("../tables/hosted.toml")),
            empty: build(Mode::Lan, ""),
            claims: claims(),
            bounces: build(Mode::Hosted, include_str!("../tables/bounces.toml")),
        }
    }

    pub(crate) fn get(&self, name: &str) -> &Settings {
        match name {
            "lan" => &self.lan,
            "hosted" => &self.hosted,
            "empty" => &self.empty,
            "claims" => &self.claims,
            "bounces" => &self.bounces,
            other => panic!("no world {other}"),
        }
    }
}

pub(crate) fn build(mode: Mode, text: &str) -> Settings {
    let document = Document::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    Settings::build(mode, 1, document).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// Who proved what in `claims.toml`; everything else is pending.
fn claims() -> Settings {
    let absent_for = Duration::from_secs(3_600);
    let proofs = [
        ("contoso", "contoso.test", Standing::Verified),
        ("contoso", "lapsing.test", Standing::Lapsing { absent_for }),
        ("contoso", "gone.test", Standing::Suspended),
        ("contoso", "moved.test", Standing::Suspended),
        ("fabrikam", "fabrikam.test", Standing::Verified),
        ("fabrikam", "moved.test", Standing::Verified),
    ];
    let text = include_str!("../tables/claims.toml");
    proved(build(Mode::Hosted, text), &proofs)
}

/// With these proofs.
pub(crate) fn proved(settings: Settings, proofs: &[(&str, &str, Standing)]) -> Settings {
    let proofs = proofs.iter().map(|(organisation, domain, standing)| {
        let domain = Domain::parse(domain).expect("a domain");
        let token = ProofToken::stored(organisation);
        let proof = Proof::new(token, Timestamp::from_millis(0));
        let proof = Proof {
            standing: *standing,
            ..proof
        };
        (ProofKey::new(organisation, &domain), proof)
    });
    settings.with_proofs(proofs.collect())
}

/// The rows of the one table of a Markdown file, without its head; `\|` is a bar within a cell.
pub(crate) fn rows(markdown: &str) -> Vec<Vec<String>> {
    let rows = markdown
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2);
    let rows = rows.map(|line| {
        let cells = line.replace("\\|", "\u{0}");
        let cells = cells.trim_matches('|').split('|');
        cells
            .map(|cell| cell.trim().replace('\u{0}', "|"))
            .collect()
    });
    let rows = rows.collect::<Vec<_>>();
    assert!(rows.len() > 3, "the table is empty");
    rows
}

/// `10.1.2.9 certificate=a.test credential=u tls submission`
pub(crate) fn facts(text: &str) -> Facts {
    let mut words = text.split_whitespace();
    let address = words
        .next()
        .expect("an address")
        .parse()
        .expect("an address");
    let mut facts = Facts::of_address(address);
    for word in words {
        match word.split_once('=') {
            Some(("certificate", names)) => facts.certificate = Some(certificate(names)),
            Some(("credential", user)) => facts.credential = Some(user.to_owned()),
            Some(("tls", version)) => facts.tls = TlsVersion::parse(version),
            None if word == "tls" => facts.tls = Some(TlsVersion::V1_3),
            None if word == "submission" => facts.submission = true,
            _ => panic!("what is {word}?"),
        }
    }
    facts
}

/// `a.test,b.test`: these names are verified; `!expired`: it is no proof.
pub(crate) fn certificate(text: &str) -> Certificate {
    match text.strip_prefix('!') {
        None => Certificate::verified(text.split(',')),
        Some("untrusted") => Certificate::faulty(CertificateFault::Untrusted),
        Some("expired") => Certificate::faulty(CertificateFault::Expired),
        Some("not-yet-valid") => Certificate::faulty(CertificateFault::NotYetValid),
        Some("wrong-usage") => Certificate::faulty(CertificateFault::WrongUsage),
        Some("no-name") => Certificate::faulty(CertificateFault::NoName),
        Some(other) => panic!("what is {other}?"),
    }
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn reverse_path(text: &str) -> ReversePath {
    if text == "<>" {
        ReversePath::Null
    } else {
        ReversePath::Mailbox(mailbox(text))
    }
}

pub(crate) fn forward_path(text: &str) -> ForwardPath {
    if text == "Postmaster" {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Mailbox(mailbox(text))
    }
}

pub(crate) fn attributed<'a>(settings: &'a Settings, facts: &Facts) -> Attribution<'a> {
    attribute(settings, facts)
}

/// `550 5.7.1 Connector disabled (CONN-OFF)`: the reply without its reference.
pub(crate) fn refused(refusal: &Refusal) -> String {
    let reference = Reference::from_bits(0);
    let reply = refusal.reply(reference).to_string();
    reply.replace(&format!(" {reference})"), ")")
}
