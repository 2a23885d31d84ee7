//! MTA-STS: records, policies, what is kept and for how long.

use std::time::Duration;

use relais_policy::sts::{
    Announced, FETCH_AGAIN_AFTER, KeptPolicy, MAX_AGE_SECONDS_MAX, MxPattern, POLICY_OCTETS_MAX,
    REFRESH_AFTER, StsFault, StsId, StsMode, in_force, must_fetch, read_policy, read_records,
};
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_795_514_400_000);
const WEEK: u32 = 7 * 24 * 60 * 60;

fn id(text: &str) -> StsId {
    StsId::parse(text).expect("an id")
}

#[test]
fn exactly_one_record_with_a_good_id_announces_a_policy() {
    for (records, announced) in [
        (
            vec!["v=STSv1; id=20260101T000000;"],
            Some("20260101T000000"),
        ),
        (vec!["v=STSv1;id=a1"], Some("a1")),
        (vec!["v=STSv1 ; id = a1 ; "], Some("a1")),
        (vec!["v=STSv1; id=a1; later=x"], Some("a1")),
        (vec!["v=spf1 -all", "v=STSv1; id=a1;"], Some("a1")),
        (vec![], None),
        (vec!["v=STSv1; id=a1;", "v=STSv1; id=a2;"], None),
        (vec!["v=STSv1;"], None),
        (vec!["v=STSv1"], None),
        (vec!["v=STSv1; id=;"], None),
        (vec!["v=STSv1; id=a-1;"], None),
        (vec!["v=STSv1; id=123456789012345678901234567890123;"], None),
        (vec!["v=STSv1; garbage"], None),
        (vec!["v=STSv12; id=a1"], None),
        (vec!["id=a1; v=STSv1"], None),
    ] {
        let found = read_records(records.iter().copied());
        assert_eq!(found, announced.map(id), "{records:?}");
    }
}

#[test]
fn a_policy_is_read_with_either_line_end_and_with_fields_to_come() {
    for end in ["\r\n", "\n"] {
        let lines = [
            "version: STSv1",
            "mode: enforce",
            "mx: mail.example.com",
            "mx:  *.Example.net ",
            "later: yes",
            "mode: none",
            "max_age: 604800",
            "",
        ];
        let policy = read_policy(lines.join(end).as_bytes()).expect("a policy");
        assert_eq!(policy.mode, StsMode::Enforce, "the first one counts");
        assert_eq!(policy.max_age, WEEK);
        let patterns: Vec<_> = policy.patterns.iter().map(ToString::to_string).collect();
        assert_eq!(patterns, ["mail.example.com", "*.example.net"]);
        let again = read_policy(policy.lines().join("\n").as_bytes());
        assert_eq!(again, Ok(policy), "what is kept reads the same");
    }
}

#[test]
fn what_is_no_policy_says_why() {
    let long = format!("version: STSv1\n#:{}", "x".repeat(POLICY_OCTETS_MAX));
    let many = format!(
        "version: STSv1\nmode: testing\nmax_age: 1\n{}",
        "mx: a.example\n".repeat(300)
    );
    for (text, fault) in [
        ("", StsFault::Version),
        ("<html>", StsFault::Syntax),
        ("version: STSv2\nmode: none\nmax_age: 1", StsFault::Version),
        ("version: STSv1\nmax_age: 1\nmx: a.example", StsFault::Mode),
        (
            "version: STSv1\nmode: ENFORCE\nmax_age: 1\nmx: a.example",
            StsFault::Mode,
        ),
        (
            "version: STSv1\nmode: enforce\nmx: a.example",
            StsFault::MaxAge,
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: -1\nmx: a.example",
            StsFault::MaxAge,
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 12345678901\nmx: a.example",
            StsFault::MaxAge,
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 1",
            StsFault::Patterns,
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 1\nmx: *",
            StsFault::Patterns,
        ),
        (
            "version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.*.example",
            StsFault::Patterns,
        ),
        (&long, StsFault::TooLong),
        (&many, StsFault::TooLong),
    ] {
        assert_eq!(read_policy(text.as_bytes()), Err(fault), "{text:.60}");
    }
    assert_eq!(
        read_policy(b"version: STSv1\nmode: \xff"),
        Err(StsFault::Syntax)
    );
    let none = read_policy(b"version: STSv1\nmode: none\nmax_age: 9999999999").expect("a policy");
    assert_eq!(none.max_age, MAX_AGE_SECONDS_MAX);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    for (pattern, host, covered) in [
        ("mx.example.com", "mx.example.com", true),
        ("mx.example.com", "a.mx.example.com", false),
        ("*.example.com", "mx.example.com", true),
        ("*.example.com", "a.mx.example.com", false),
        ("*.example.com", "example.com", false),
        ("*.example.com", "mx.evil-example.com", false),
        ("MX.Example.com.", "mx.example.com", true),
    ] {
        let pattern = MxPattern::parse(pattern).expect("a pattern");
        let host = Domain::parse(host).expect("a domain");
        assert_eq!(pattern.covers(&host), covered, "{pattern} {host}");
    }
}

fn kept(mode: &str, version: &str, age: Duration, max_age: u32) -> KeptPolicy {
    let text = format!("version: STSv1\nmode: {mode}\nmx: mx.example\nmax_age: {max_age}");
    KeptPolicy {
        id: id(version),
        policy: read_policy(text.as_bytes()).expect("a policy"),
        fetched: NOW.before(age),
    }
}

/// What an attacker hides, or what fails, never ends a policy before its time.
#[test]
fn what_is_kept_counts_until_its_time_is_over_whatever_is_announced() {
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
    let fresh = kept("enforce", "a1", minute, WEEK);
    let old = kept("enforce", "a1", day * 8, WEEK);
    let testing = kept("testing", "a1", minute, WEEK);
    let ended = kept("none", "a1", minute, WEEK);
    assert!(in_force(Some(&fresh), NOW).is_some());
    assert!(in_force(Some(&testing), NOW).is_some());
    assert_eq!(in_force(Some(&old), NOW), None, "its time is over");
    assert_eq!(in_force(Some(&ended), NOW), None, "it was taken back");
    assert_eq!(in_force(None, NOW), None);
    let ahead = kept("enforce", "a1", Duration::ZERO, WEEK);
    assert!(
        in_force(Some(&ahead), NOW.before(day)).is_some(),
        "a clock that went back ends nothing"
    );
}

#[test]
fn a_policy_is_fetched_when_it_is_new_or_getting_old() {
    let minute = Duration::from_secs(60);
    let fresh = kept("enforce", "a1", minute, WEEK);
    let a_day_old = kept("enforce", "a1", REFRESH_AFTER, WEEK);
    let short = kept("enforce", "a1", minute * 6, 600);
    let over = kept("enforce", "a1", minute * 11, 600);
    let announced = |text: &str| Announced::Id(id(text));
    let just_now = Some(NOW.before(minute));
    let a_while_ago = Some(NOW.before(FETCH_AGAIN_AFTER));
    for (kept, announced, failed, fetch) in [
        (None, announced("a1"), None, true),
        (None, announced("a1"), just_now, false),
        (None, announced("a1"), a_while_ago, true),
        (None, Announced::Nothing, None, false),
        (None, Announced::Unknown, None, false),
        (Some(&fresh), announced("a1"), None, false),
        (Some(&fresh), announced("a2"), None, true),
        (Some(&fresh), announced("a2"), just_now, false),
        (Some(&fresh), Announced::Nothing, None, false),
        (Some(&fresh), Announced::Unknown, None, false),
        (Some(&a_day_old), announced("a1"), None, true),
        (Some(&short), announced("a1"), None, true),
        (Some(&over), announced("a1"), None, true),
        (Some(&over), Announced::Unknown, None, false),
    ] {
        assert_eq!(
            must_fetch(kept, &announced, failed, NOW),
            fetch,
            "{kept:?} {announced:?} {failed:?}"
        );
    }
}
