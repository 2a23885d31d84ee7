//! Tables: facts → verdict, and that each check says what it must.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::document::Document;
use crate::settings::{Mode, Settings};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn settings(connector: &str) -> Settings {
    let text = format!(
        "[[organisation]]\nname = \"contoso\"\n[[organisation.domain]]\nname = \"contoso.test\"\n\
         verification = \"assumed\"\n[[organisation.inbound_connector]]\nname = \"Printers\"\n{connector}"
    );
    let document = Document::from_toml(&text).expect("right");
    Settings::build(Mode::Lan, 1, document).expect("right")
}

/// One sentence in each language, why it matters, and a way to mend it wherever there is a fault.
#[track_caller]
fn is(check: &Check, verdict: Verdict) {
    assert_eq!(check.verdict, verdict, "{check:?}");
    for words in [&check.words, &check.why] {
        assert!(
            words.english.ends_with('.') && words.french.ends_with('.'),
            "{check:?}"
        );
    }
    let must_mend = verdict <= Verdict::Advice;
    assert_eq!(must_mend, !check.fix.english.is_empty(), "{check:?}");
    assert_eq!(must_mend, !check.fix.french.is_empty(), "{check:?}");
}

#[test]
fn a_port_names_the_program_that_has_it() {
    let ours: SocketAddr = "0.0.0.0:25".parse().expect("an address");
    let fact =
        |listener: Option<SocketAddr>, is_ours: bool, holder: Option<&str>, port: u16| PortFact {
            listener,
            port,
            is_ours,
            holder: holder.map(str::to_owned),
        };
    is(&port(&fact(Some(ours), true, None, 25)), Verdict::Ok);
    let taken = port(&fact(Some(ours), false, Some("exim4"), 25));
    is(&taken, Verdict::Broken);
    assert_eq!(taken.words.english, "exim4 is using port 25.");
    assert!(
        taken
            .fix
            .english
            .starts_with("systemctl disable --now exim4"),
        "{taken:?}"
    );
    let hidden = port(&fact(Some(ours), false, Some(""), 25));
    assert_eq!(hidden.words.english, "another program is using port 25.");
    is(&port(&fact(Some(ours), false, None, 25)), Verdict::Broken);
    is(
        &port(&fact(None, false, Some("master"), 25)),
        Verdict::Advice,
    );
    is(&port(&fact(None, false, None, 25)), Verdict::Advice);
    is(&port(&fact(None, false, None, 465)), Verdict::NotApplicable);
}

#[test]
fn a_clock_is_judged_by_how_far_it_is_off_in_either_direction() {
    for (millis, verdict) in [
        (0, Verdict::Ok),
        (-2_900, Verdict::Ok),
        (3_000, Verdict::Advice),
        (-61_000, Verdict::Attention),
        (301_000, Verdict::Broken),
        (i64::MIN, Verdict::Broken),
    ] {
        is(
            &clock(&ClockFact::Compared(millis, "mx.example.net".to_owned())),
            verdict,
        );
    }
    is(
        &clock(&ClockFact::Kept("systemd-timesyncd".to_owned())),
        Verdict::Ok,
    );
    is(&clock(&ClockFact::Unknown), Verdict::Unknown);
}

#[test]
fn a_disk_is_broken_below_the_reserve_and_needs_attention_when_nearly_full() {
    let fact = |free: u64, inodes_free: u64, inodes: u64| DiskFact {
        free: free << 30,
        total: 100 << 30,
        inodes_free,
        inodes,
        reserve: 1 << 30,
        held: 0,
    };
    is(&disk(&fact(50, 1, 1)), Verdict::Ok);
    is(&disk(&fact(9, 1, 1)), Verdict::Attention);
    is(&disk(&fact(0, 1, 1)), Verdict::Broken);
    is(&inodes(&fact(50, 500_000, 1_000_000)), Verdict::Ok);
    is(&inodes(&fact(50, 9_000, 1_000_000)), Verdict::Attention);
    is(&inodes(&fact(50, 0, 1_000_000)), Verdict::Broken);
    is(&inodes(&fact(50, 0, 0)), Verdict::NotApplicable);
    is(&sync(&Ok(Duration::from_millis(3))), Verdict::Ok);
    is(&sync(&Ok(Duration::from_secs(1))), Verdict::Advice);
    is(&sync(&Err("read-only".to_owned())), Verdict::Broken);
    is(&file_limit(Some(1_024), 10_000), Verdict::Attention);
    is(&file_limit(Some(1 << 20), 10_000), Verdict::Ok);
    is(&file_limit(None, 10_000), Verdict::Ok);
}

#[test]
fn held_mail_is_named_where_the_disk_is_below_the_reserve() {
    let fix = |free: u64, held: u64| {
        let fact = DiskFact {
            free,
            total: 100 << 30,
            inodes_free: 1,
            inodes: 1,
            reserve: 1 << 30,
            held,
        };
        disk(&fact).fix
    };
    let short = fix(1 << 29, 3_400_000_000);
    assert!(
        short.english.contains("Held mail takes 3400 MB"),
        "{short:?}"
    );
    assert!(short.french.contains("retenus occupent 3400"), "{short:?}");
    assert!(!fix(1 << 29, 0).english.contains("Held"));
    assert!(!fix(3 << 29, 3_400_000_000).english.contains("Held"));
}

#[test]
fn clients_that_all_look_like_the_router_are_hidden() {
    let fact = |is_container: bool, seen: &[&str]| ClientsFact {
        is_container,
        gateways: vec![address("172.17.0.1")],
        seen: seen.iter().map(|text| address(text)).collect(),
    };
    is(&clients(&fact(true, &["172.17.0.1"])), Verdict::Broken);
    is(
        &clients(&fact(false, &["172.17.0.1", "10.1.2.9"])),
        Verdict::Attention,
    );
    is(&clients(&fact(true, &[])), Verdict::Advice);
    is(&clients(&fact(true, &["10.1.2.9"])), Verdict::Ok);
    is(&clients(&fact(false, &[])), Verdict::Ok);
}

#[test]
fn of_a_certificate_the_gravest_fault_is_told() {
    let shown =
        |names: &[&str], days_left: Option<u64>, is_self_signed: bool, chain_length: usize| {
            Some(ShownCertificate {
                names: names.iter().map(|&name| name.to_owned()).collect(),
                days_left,
                is_self_signed,
                chain_length,
            })
        };
    let judge = |shown: Option<ShownCertificate>, key_mode: u32| {
        certificate(&CertificateFact {
            listener: "127.0.0.1:25".parse().expect("an address"),
            hostname: "relay.contoso.test".to_owned(),
            shown,
            key_mode: Some(key_mode),
        })
    };
    let ours = ["relay.contoso.test"];
    is(&judge(None, 0o600), Verdict::Broken);
    is(&judge(shown(&ours, None, false, 2), 0o600), Verdict::Broken);
    is(
        &judge(shown(&ours, Some(90), false, 2), 0o644),
        Verdict::Attention,
    );
    is(
        &judge(shown(&ours, Some(14), false, 2), 0o600),
        Verdict::Attention,
    );
    is(
        &judge(shown(&["mail.contoso.test"], Some(90), false, 2), 0o600),
        Verdict::Attention,
    );
    is(
        &judge(shown(&["*.contoso.test"], Some(90), false, 2), 0o600),
        Verdict::Ok,
    );
    is(
        &judge(shown(&["*.test"], Some(90), false, 2), 0o600),
        Verdict::Attention,
    );
    is(
        &judge(shown(&ours, Some(90), true, 1), 0o600),
        Verdict::Advice,
    );
    is(
        &judge(shown(&ours, Some(90), false, 1), 0o600),
        Verdict::Advice,
    );
    is(&judge(shown(&ours, Some(90), false, 2), 0o400), Verdict::Ok);
}

#[test]
fn a_closed_port_25_is_broken_only_where_the_way_out_uses_it() {
    let probe = |found: bool, answered: bool| Probe {
        target: "mx.example.net:25".to_owned(),
        address: found.then(|| address("192.0.2.25")),
        answered: if answered {
            Ok(())
        } else {
            Err("no answer".to_owned())
        },
        seen_as: None,
    };
    let by_mx = Needs {
        by_mx: true,
        smart_host_25: false,
    };
    let elsewhere = Needs::default();
    let closed = [probe(true, false), probe(true, false), probe(false, false)];
    is(&port_25(true, &closed, by_mx), Verdict::Broken);
    is(
        &port_25(
            true,
            &closed,
            Needs {
                by_mx: false,
                smart_host_25: true,
            },
        ),
        Verdict::Broken,
    );
    is(&port_25(true, &closed, elsewhere), Verdict::NotApplicable);
    is(&port_25(false, &closed, by_mx), Verdict::Advice);
    is(
        &port_25(true, &[probe(true, false), probe(true, true)], by_mx),
        Verdict::Ok,
    );
    is(
        &port_25(true, &[probe(false, false)], by_mx),
        Verdict::Unknown,
    );
    is(&port_25(true, &[], by_mx), Verdict::NotApplicable);
    for (told, configured, needs, verdict) in [
        (vec!["192.0.2.1"], vec![], by_mx, Verdict::Ok),
        (vec!["192.0.2.1"], vec!["192.0.2.1"], by_mx, Verdict::Ok),
        (
            vec!["192.0.2.9"],
            vec!["192.0.2.1"],
            by_mx,
            Verdict::Attention,
        ),
        (vec![], vec!["192.0.2.1"], by_mx, Verdict::Ok),
        (vec![], vec![], by_mx, Verdict::Unknown),
        (vec![], vec![], elsewhere, Verdict::NotApplicable),
    ] {
        let list = |all: &[&str]| all.iter().map(|text| address(text)).collect::<Vec<_>>();
        is(
            &public_address(&list(&told), &list(&configured), needs),
            verdict,
        );
    }
    is(&resolver(&Err("no answer".to_owned())), Verdict::Broken);
    is(&dnssec(Some(false)), Verdict::Advice);
    is(&dnssec(None), Verdict::Unknown);
}

#[test]
fn our_address_is_read_from_what_a_server_calls_us() {
    for (line, expected) in [
        (
            "250-mx.google.test at your service, [203.0.113.7]",
            Some("203.0.113.7"),
        ),
        (
            "250-AM7.outlook.test Hello [2001:db8::7]",
            Some("2001:db8::7"),
        ),
        (
            "250-mx Hello relay [IPv6:2001:db8::7] [x]",
            Some("2001:db8::7"),
        ),
        ("250-mx [relay] pleased [203.0.113.7]", Some("203.0.113.7")),
        ("250 mx.example.net", None),
        ("250 [203.0.113.7", None),
    ] {
        assert_eq!(seen_address(line), expected.map(address), "{line}");
    }
}

#[test]
fn the_time_is_read_from_a_greeting() {
    let greeting =
        "220 AM7EUR Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 11:00:00 +0100 [x]";
    let time = relais_smtp::time::Timestamp::parse_rfc3339("2026-11-24T10:00:00Z");
    assert_eq!(told_time(greeting), time);
    for line in [
        "220 mx.google.test ESMTP d9443c01a7336 - gsmtp",
        "",
        "220 Mon, 30 Nov",
    ] {
        assert_eq!(told_time(line), None, "{line}");
    }
}

#[test]
fn reverse_names_are_judged_only_where_mail_leaves_from_the_address() {
    let judge = |text: &str, names: &[&str], is_confirmed: bool, by_mx: bool| {
        let names = Ok(names.iter().map(|&name| name.to_owned()).collect());
        let fact = ReverseFact {
            address: address(text),
            names,
            is_confirmed,
            hostname: "relay.contoso.test".to_owned(),
        };
        reverse_name(&fact, by_mx)
    };
    let (ours, other) = ("relay.contoso.test", "host-7.provider.example");
    is(&judge("192.0.2.1", &[ours], true, true), Verdict::Ok);
    is(
        &judge("192.0.2.1", &[other], true, true),
        Verdict::Attention,
    );
    is(
        &judge("192.0.2.1", &[ours], false, true),
        Verdict::Attention,
    );
    is(
        &judge("192.0.2.1", &[ours, other], true, true),
        Verdict::Advice,
    );
    is(&judge("192.0.2.1", &[], false, true), Verdict::Broken);
    is(&judge("2001:db8::1", &[], false, true), Verdict::Attention);
    is(
        &judge("192.0.2.1", &[], false, false),
        Verdict::NotApplicable,
    );
    is(&mail_exchanger("contoso.test", &Ok(0)), Verdict::Attention);
    is(&mail_exchanger("contoso.test", &Ok(2)), Verdict::Ok);
    let wrong = record(
        "spf",
        "contoso.test",
        Some(&Err(Words::new("No record.", "Pas d'enregistrement."))),
    );
    is(&wrong.expect("a check"), Verdict::Attention);
    is(
        &record("dkim", "contoso.test", None).expect("a check"),
        Verdict::Unknown,
    );
    assert_eq!(record("tlsrpt", "contoso.test", None), None);
}

/// The verdict of the self-test by settings.
fn tried(connector: &str) -> Check {
    use crate::restriction::InForce;
    let settings = settings(connector);
    let strangers = strangers(&settings, "relay.contoso.test");
    assert_eq!(strangers.len(), 12);
    let restrictions = crate::restriction::Restrictions::default();
    let in_force: InForce<'_> = restrictions.in_force(relais_smtp::time::Timestamp::from_millis(0));
    let answers: Vec<_> = strangers
        .into_iter()
        .map(|stranger| {
            let reference = relais_smtp::identifier::Reference::from_bits(0);
            let answer =
                crate::simulate::simulate(&settings, &in_force, &stranger.question, reference);
            (stranger, answer)
        })
        .collect();
    open_relay(&settings, &answers)
}

#[test]
fn twelve_strangers_are_refused_unless_a_connector_covers_the_world() {
    is(
        &tried("sender_ip_addresses = [\"10.1.2.0/24\"]"),
        Verdict::Ok,
    );
    let open = tried("sender_ip_addresses = [\"0.0.0.0/1\", \"128.0.0.0/1\"]");
    is(&open, Verdict::Broken);
    assert!(
        open.words.english.contains("our domain as sender"),
        "{open:?}"
    );
}

#[test]
fn wide_ranges_missing_limits_and_clear_passwords_are_told() {
    let of = |range: &str| ranges(&settings(&format!("sender_ip_addresses = [\"{range}\"]")));
    is(&of("10.1.2.0/24"), Verdict::Ok);
    is(&of("10.1.0.0/20"), Verdict::Advice);
    is(&of("10.0.0.0/8"), Verdict::Attention);
    is(&of("2001:db8:1::/64"), Verdict::Ok);
    is(&of("2001:db8::/30"), Verdict::Attention);
    let plain = settings("sender_ip_addresses = [\"10.1.2.0/24\"]");
    is(&limits(&plain), Verdict::Advice);
    let limited = "sender_ip_addresses = [\"10.1.2.0/24\"]\nlimits = { messages_per_minute = 60 }";
    is(&limits(&settings(limited)), Verdict::Ok);
    is(&clear_logins(&plain), Verdict::Ok);
    is(&second_administrator(0), Verdict::Attention);
    is(&second_administrator(1), Verdict::Advice);
    is(&second_administrator(2), Verdict::Ok);
    is(&last_backup(None), Verdict::Advice);
    is(
        &last_backup(Some(Duration::from_secs(8 * 86_400))),
        Verdict::Attention,
    );
    is(&last_backup(Some(Duration::from_secs(86_400))), Verdict::Ok);
    let listener: SocketAddr = "127.0.0.1:25".parse().expect("an address");
    is(
        &open_relay_session(listener, &Ok((true, "250 2.1.5 ok".to_owned()))),
        Verdict::Broken,
    );
    is(
        &open_relay_session(listener, &Ok((false, "550 5.7.1 no".to_owned()))),
        Verdict::Ok,
    );
    is(
        &open_relay_session(listener, &Err("refused".to_owned())),
        Verdict::Unknown,
    );
}
