//! Which reverse-paths become signed addresses, and who is told of what comes back.

use relais_policy::bounce::{PassedOn, bounce_place, bounce_waits, passed_on_place};
use relais_policy::document::Document;
use relais_policy::notice::{Addressee, addressee_of_returned};
use relais_policy::proof::{ProofKey, Standing};
use relais_policy::settings::{Mode, Settings, ShownBounces};
use relais_smtp::address::{Mailbox, ReversePath};
use relais_smtp::domain::Domain;
use relais_smtp::header::FromField;

use crate::world::{Worlds, build, proved};

fn path(text: &str) -> ReversePath {
    match text {
        "" => ReversePath::Null,
        text => ReversePath::Mailbox(Mailbox::parse(text).expect("a mailbox")),
    }
}

#[test]
fn only_senders_in_a_verified_domain_with_a_bounce_domain_are_rewritten() {
    let worlds = Worlds::new();
    let settings = worlds.get("bounces");
    for (organisation, connector, from, expected) in [
        (
            "contoso",
            Some("Printers"),
            "scan@contoso.test",
            Some("bounce.contoso.test"),
        ),
        // A stranger who claims to be ours.
        ("contoso", None, "scan@contoso.test", None),
        // The opt-out of the connector.
        ("contoso", Some("Lists"), "scan@contoso.test", None),
        // RFC 5321 §4.5.5.
        ("contoso", Some("Printers"), "", None),
        ("contoso", Some("Printers"), "scan@example.org", None),
        ("contoso", Some("Printers"), "scan@[192.0.2.1]", None),
        // Of another organisation, without a bounce domain, pending.
        ("fabrikam", None, "scan@contoso.test", None),
        ("fabrikam", None, "scan@fabrikam.test", None),
        ("fabrikam", None, "scan@pending.test", None),
    ] {
        let place = bounce_place(settings, organisation, connector, &path(from));
        let domain = place.map(|(_, domain)| domain.to_string());
        assert_eq!(
            domain.as_deref(),
            expected,
            "{organisation} {connector:?} {from}"
        );
    }
}

/// A message of a stranger for contoso.test by these authors; where its bounces go.
fn passed_on(setting: &str, from: &str, authors: &FromField, is_inside: bool) -> Option<String> {
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \
         \"mail.contoso.test\"\nverification = \"assumed\"\nbounce_domain = \
         \"bounce.mail.contoso.test\"\n{setting}\n[[organisation.domain]]\nname = \
         \"other.test\"\nverification = \"assumed\"\n"
    );
    let document = Document::from_toml(&text).expect("right");
    let settings = Settings::build(Mode::Lan, 1, document).expect("right");
    let passed = PassedOn {
        organisation: "contoso",
        recipient: &Domain::parse("mail.contoso.test").expect("right"),
        reverse_path: &path(from),
        authors,
        is_inside,
    };
    passed_on_place(&settings, &passed).map(|(_, domain)| domain.to_string())
}

fn authors(all: &[&str]) -> FromField {
    let all = all.iter();
    FromField::Addresses(all.map(|one| Mailbox::parse(one).expect("right")).collect())
}

#[test]
fn strangers_mail_gets_an_address_of_ours_where_the_next_server_asks_for_spf() {
    let ben = authors(&["ben@example.org"]);
    for (setting, is_inside, expected) in [
        ("", false, true),
        ("", true, false),
        ("passed_on_sender = \"rewritten\"", true, true),
        ("passed_on_sender = \"kept\"", false, false),
    ] {
        let place = passed_on(setting, "ben@example.org", &ben, is_inside);
        assert_eq!(
            place.as_deref(),
            expected.then_some("bounce.mail.contoso.test"),
            "{setting} {is_inside}"
        );
    }
}

#[test]
fn no_address_of_ours_is_lent_to_whoever_claims_to_be_ours() {
    for (from, all) in [
        ("", &["ben@example.org"][..]),
        ("ben@[192.0.2.1]", &["ben@example.org"]),
        ("ben@example.org", &["ceo@mail.contoso.test"]),
        // Aligned with the bounce domain, though no domain of the settings.
        ("ben@example.org", &["ceo@contoso.test"]),
        ("ben@example.org", &["ceo@www.contoso.test"]),
        ("ben@example.org", &["ceo@other.test"]),
        ("ben@example.org", &["ben@example.org", "ceo@contoso.test"]),
        ("ben@example.org", &["ceo@[192.0.2.1]"]),
        ("ceo@contoso.test", &["ben@example.org"]),
        ("b1-x@bounce.mail.contoso.test", &["ben@example.org"]),
    ] {
        assert_eq!(
            passed_on("", from, &authors(all), false),
            None,
            "{from} {all:?}"
        );
    }
    for field in [FromField::Missing, FromField::Unreadable] {
        assert_eq!(passed_on("", "ben@example.org", &field, false), None);
    }
}

#[test]
fn a_bounce_domain_waits_until_dns_has_shown_that_it_leads_to_us() {
    let text = |bounce: &str| {
        format!(
            "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \
             \"contoso.test\"\nbounce_domain = \"{bounce}\"\n[[organisation.inbound_connector]]\n\
             name = \"Printers\"\nsender_ip_addresses = [\"192.175.48.0/25\"]\n"
        )
    };
    let settings = |bounce: &str| {
        let proofs = [("contoso", "contoso.test", Standing::Verified)];
        proved(build(Mode::Hosted, &text(bounce)), &proofs)
    };
    let domain = |text: &str| Domain::parse(text).expect("a domain");
    let key = ProofKey::new("contoso", &domain("contoso.test"));
    let shown = |text: &str| ShownBounces::from([(key.clone(), domain(text))]);
    let bounce = "bounce.contoso.test";
    let waiting = settings(bounce);
    let showing = waiting.with_shown_bounces(shown(bounce));
    // DNS has shown the one of before.
    let changed = settings("b2.contoso.test").with_shown_bounces(shown(bounce));
    for (settings, waits, place) in [
        (&waiting, Some(bounce), None),
        (&showing, None, Some(bounce)),
        (&changed, Some("b2.contoso.test"), None),
    ] {
        let from = path("scan@contoso.test");
        let found = bounce_place(settings, "contoso", Some("Printers"), &from);
        assert_eq!(found.map(|(_, it)| it.to_string()).as_deref(), place);
        let found = bounce_waits(settings, "contoso", Some("Printers"), &from);
        assert_eq!(found.map(|it| it.to_string()).as_deref(), waits);
        // A stranger's waits for nothing.
        assert_eq!(bounce_waits(settings, "contoso", None, &from), None);
    }
}

#[test]
fn what_comes_back_goes_to_a_mailbox_then_the_owner_then_the_postmaster() {
    let worlds = Worlds::new();
    let settings = worlds.get("bounces");
    let told = |organisation: &str, connector: Option<&str>, from: Option<&ReversePath>| {
        match addressee_of_returned(settings, organisation, connector, from).0 {
            Addressee::ReversePath(mailbox) => format!("sender {mailbox}"),
            Addressee::Owner(mailbox) => format!("owner {mailbox}"),
            Addressee::Postmaster(mailbox) => format!("postmaster {mailbox}"),
            Addressee::Nobody { .. } => "nobody".to_owned(),
        }
    };
    for (organisation, connector, from, expected) in [
        (
            "contoso",
            Some("Printers"),
            "anna@contoso.test",
            "sender anna@contoso.test",
        ),
        (
            "contoso",
            Some("Printers"),
            "scan@contoso.test",
            "owner owner@contoso.test",
        ),
        (
            "contoso",
            Some("Lists"),
            "scan@contoso.test",
            "postmaster it@contoso.test",
        ),
        (
            "contoso",
            None,
            "stranger@example.org",
            "postmaster it@contoso.test",
        ),
        ("fabrikam", None, "scan@fabrikam.test", "nobody"),
    ] {
        assert_eq!(
            told(organisation, connector, Some(&path(from))),
            expected,
            "{from}"
        );
    }
    assert_eq!(told("contoso", None, None), "postmaster it@contoso.test");
}

#[test]
fn a_bounce_domain_lies_below_its_domain_and_is_none_itself() {
    let errors = |text: &str| {
        let document = Document::from_toml(text).unwrap();
        let errors = Settings::build(Mode::Lan, 1, document)
            .err()
            .unwrap_or_default();
        let words: Vec<_> = errors.iter().map(ToString::to_string).collect();
        words.join("\n")
    };
    let domain = |bounces: &str, more: &str| {
        format!(
            "[[organisation]]\nname = \"a\"\n[[organisation.domain]]\nname = \"contoso.test\"\n\
             bounce_domain = \"{bounces}\"\n{more}"
        )
    };
    assert_eq!(errors(&domain("bounce.contoso.test", "")), "");
    for outside in ["bounce.fabrikam.test", "contoso.test", "test"] {
        let words = errors(&domain(outside, ""));
        assert!(
            words.contains("does not lie below contoso.test"),
            "{outside}: {words}"
        );
    }
    let twice = "[[organisation.domain]]\nname = \"bounce.contoso.test\"\n";
    let words = errors(&domain("bounce.contoso.test", twice));
    assert!(words.contains("bounce_domain of a domain"), "{words}");
}

/// contoso.test with its bounce domain, beside a domain of fabrikam's.
fn beside(fabrikams: &str) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \
         \"contoso.test\"\nbounce_domain = \"bounce.contoso.test\"\n[[organisation]]\nname = \
         \"fabrikam\"\n[[organisation.domain]]\n{fabrikams}\n"
    )
}

#[test]
fn a_bounce_domain_takes_no_mail_of_a_domain_that_another_organisation_uses() {
    let bounce = Domain::parse("bounce.contoso.test").expect("right");
    let ours = ("contoso", "contoso.test", Standing::Verified);
    let same = "name = \"bounce.contoso.test\"";
    let assumed = "name = \"bounce.contoso.test\"\nverification = \"assumed\"";
    let parent = "name = \"test\"\nsubdomains = true";
    for (fabrikams, theirs, is_taken) in [
        // A claim that is not proved stands in nobody's way, nor does who lost it.
        (same, None, false),
        (
            same,
            Some(("bounce.contoso.test", Standing::Suspended)),
            false,
        ),
        (
            same,
            Some(("bounce.contoso.test", Standing::Verified)),
            true,
        ),
        (assumed, None, true),
        // The nearer domain counts: what lies below contoso's is contoso's.
        (parent, Some(("test", Standing::Verified)), false),
    ] {
        let theirs = theirs.map(|(domain, standing)| ("fabrikam", domain, standing));
        let proofs: Vec<_> = [Some(ours), theirs].into_iter().flatten().collect();
        let settings = proved(build(Mode::Hosted, &beside(fabrikams)), &proofs);
        let case = format!("{fabrikams} {theirs:?}");
        assert_eq!(
            settings.bounce_domain(&bounce).is_none(),
            is_taken,
            "{case}"
        );
        let told = settings.taken_bounces();
        assert_eq!(!told.is_empty(), is_taken, "{case}");
        let words = "organisation contoso, domain contoso.test: bounce_domain bounce.contoso.test \
                     lies in a domain that another organisation uses, whose mail would end there; \
                     write another name";
        let said = settings
            .warnings()
            .iter()
            .any(|one| one.to_string() == words);
        assert_eq!(said, is_taken, "{case}");
        // Nor is a sender rewritten to it, though DNS showed it once.
        let key = ProofKey::new("contoso", &Domain::parse("contoso.test").expect("right"));
        let shown = ShownBounces::from([(key, bounce.clone())]);
        let settings = settings.with_shown_bounces(shown);
        let owned = settings.verified_domain(&Domain::parse("contoso.test").expect("right"));
        let owned = owned.expect("proved");
        assert_eq!(
            settings.is_bounce_domain_shown(&owned, &bounce),
            !is_taken,
            "{case}"
        );
    }
}
