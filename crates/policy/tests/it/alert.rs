//! Each rule of alerts raised and cleared, in simulated time; durations, quiet hours, grouping;
//! what a channel owes that failed.

use relais_policy::alert::{
    Measure, OWED_FOR, OWED_LINES_MAX, Owed, QuietHours, Rule, RuleKind, Scope, State, Told, Turn,
};
use relais_smtp::time::Timestamp;

/// A Monday at 10:00.
const BEGIN: i64 = 1_796_032_800_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + seconds * 1_000)
}

fn measure(kind: RuleKind, subject: &str, value: u64) -> Measure {
    Measure {
        kind,
        scope: Scope::ALL,
        subject: subject.to_owned(),
        value,
        detail: "why".to_owned(),
    }
}

fn defaults() -> Vec<Rule> {
    RuleKind::ALL.into_iter().map(Rule::of).collect()
}

fn turns(told: &[Told]) -> Vec<(Turn, RuleKind, &str)> {
    let turn = |one: &'_ Told| (one.turn, one.kind);
    let subjects = told.iter().map(|one| one.subject.as_str());
    let turns = told.iter().map(turn).zip(subjects);
    turns
        .map(|((turn, kind), subject)| (turn, kind, subject))
        .collect()
}

/// Of each kind: a value that is well, and one that is not.
const VALUES: [(RuleKind, u64, u64); 14] = [
    (RuleKind::QueueAge, 3_599, 3_600),
    (RuleKind::DeliveryTime, 29_999, 30_000),
    (RuleKind::FailureShare, 19, 20),
    (RuleKind::RefusedAttempts, 199, 200),
    (RuleKind::Silence, 259_199, 259_200),
    (RuleKind::CertificateExpiry, 15, 14),
    (RuleKind::CredentialExpiry, 15, 14),
    (RuleKind::DomainExpiry, 8, 7),
    (RuleKind::DnsDrift, 0, 1),
    (RuleKind::Blocklist, 0, 1),
    (RuleKind::Disk, 2_001, 2_000),
    (RuleKind::Limit, 79, 80),
    (RuleKind::RestrictedEntity, 0, 1),
    (RuleKind::Unaccounted, 0, 1),
];

#[test]
fn each_rule_is_raised_at_its_threshold_once_and_cleared_below_it_once() {
    assert_eq!(VALUES.map(|(kind, ..)| kind), RuleKind::ALL);
    for (kind, well, bad) in VALUES {
        let rules = [Rule::of(kind)];
        let mut state = State::default();
        let mut judge = |value, seconds| {
            let judged = state.judge(&rules, None, &[measure(kind, "x", value)], at(seconds));
            assert_eq!(judged.turned, judged.note, "nobody is quiet");
            judged.note
        };
        let long = i64::from(rules[0].for_seconds);
        assert_eq!(judge(well, 0), [], "{kind:?}");
        let mut raised = judge(bad, 10);
        raised.extend(judge(bad, 10 + long));
        assert_eq!(turns(&raised), [(Turn::Raised, kind, "x")], "{kind:?}");
        assert_eq!(judge(bad, 1_000 + long), [], "{kind:?}: told once");
        let mut cleared = judge(well, 2_000 + long);
        cleared.extend(judge(well, 2_000 + 2 * long));
        assert_eq!(turns(&cleared), [(Turn::Cleared, kind, "x")], "{kind:?}");
        assert_eq!(judge(well, 3_000 + 2 * long), [], "{kind:?}");
    }
}

#[test]
fn what_does_not_last_is_not_raised_and_a_short_recovery_does_not_clear() {
    let rules = [Rule::of(RuleKind::QueueAge)];
    let mut state = State::default();
    let mut judge = |value, seconds| {
        let measures = [measure(RuleKind::QueueAge, "example.org", value)];
        turns(&state.judge(&rules, None, &measures, at(seconds)).note).len()
    };
    assert_eq!(judge(4_000, 0), 0);
    assert_eq!(judge(4_000, 299), 0);
    assert_eq!(
        judge(10, 299),
        0,
        "it was well again before five minutes were over"
    );
    assert_eq!(judge(4_000, 300), 0);
    assert_eq!(judge(4_000, 600), 1);
    assert_eq!(judge(10, 700), 0);
    assert_eq!(judge(4_000, 800), 0, "it was raised all the time");
    assert_eq!(judge(10, 900), 0);
    assert_eq!(judge(10, 1_200), 1);
}

#[test]
fn subjects_are_judged_apart_and_what_is_gone_is_cleared() {
    let rules = defaults();
    let mut state = State::default();
    let both = [
        measure(RuleKind::Limit, "a", 90),
        measure(RuleKind::Limit, "b", 95),
    ];
    let judged = state.judge(&rules, None, &both, at(0));
    let raised = [
        (Turn::Raised, RuleKind::Limit, "a"),
        (Turn::Raised, RuleKind::Limit, "b"),
    ];
    assert_eq!(turns(&judged.note), raised, "one note for both");
    assert_eq!(state.raised().count(), 2);
    let judged = state.judge(&rules, None, &both[1..], at(60));
    assert_eq!(turns(&judged.note), [(Turn::Cleared, RuleKind::Limit, "a")]);
    assert_eq!(
        state
            .raised()
            .map(|(_, _, subject, _)| subject)
            .collect::<Vec<_>>(),
        ["b"]
    );
}

/// Of mail from this sender.
fn from(sender: &str) -> Scope {
    Scope {
        from: sender.to_owned(),
        ..Scope::ALL
    }
}

#[test]
fn a_rule_for_some_mail_judges_only_what_was_measured_of_it() {
    let kind = RuleKind::FailureShare;
    let narrow = Rule {
        scope: from("scan@contoso.test"),
        threshold: 1,
        for_seconds: 0,
        urgent: true,
        ..Rule::of(kind)
    };
    let rules = [Rule::of(kind), narrow.clone()];
    let of = |scope: &Scope, value| Measure {
        scope: scope.clone(),
        ..measure(kind, "", value)
    };
    let mut state = State::default();
    let quiet = Some(QuietHours {
        from: 0,
        until: 1_439,
    });
    // The neighbour's failures are in the number of all, which its own rule judges.
    let well = [of(&Scope::ALL, 15), of(&narrow.scope, 0)];
    assert_eq!(state.judge(&rules, quiet, &well, at(0)).turned, []);
    let bad = [of(&Scope::ALL, 15), of(&narrow.scope, 5)];
    let judged = state.judge(&rules, quiet, &bad, at(5));
    assert_eq!(
        turns(&judged.note),
        [(Turn::Raised, kind, "")],
        "urgent as its own rule says"
    );
    assert_eq!(judged.note[0].scope, narrow.scope);
    let raised: Vec<_> = state
        .raised()
        .map(|(_, scope, ..)| scope.to_string())
        .collect();
    assert_eq!(raised, ["from:scan@contoso.test"]);
    // A state that is written down and read again has it still.
    let text = serde_json::to_string(&state).expect("it can be written");
    assert_eq!(
        serde_json::from_str::<State>(&text).expect("and read"),
        state
    );
    // The rule is taken away: what it raised is over, and nothing of it is left.
    let judged = state.judge(&rules[..1], None, &bad[..1], at(10));
    assert_eq!(turns(&judged.note), [(Turn::Cleared, kind, "")]);
    assert_eq!(state, State::default());
}

#[test]
fn a_scope_is_written_as_a_search_of_the_trace() {
    let scope = Scope {
        connector: " Second floor ".to_owned(),
        from: "Scan@Contoso.test".to_owned(),
        client: "10.1.0.0/16".to_owned(),
        ..Scope::ALL
    };
    assert_eq!(
        scope.tidied().to_string(),
        "connector:\"Second floor\" from:scan@contoso.test client:10.1.0.0/16"
    );
    assert!(Scope::ALL.is_all());
    assert_eq!(Scope::ALL.to_string(), "");
}

#[test]
fn a_rule_that_is_switched_off_clears_what_it_had_raised() {
    let mut state = State::default();
    let mut rule = Rule::of(RuleKind::Limit);
    let measures = [measure(RuleKind::Limit, "a", 90)];
    assert_eq!(
        state
            .judge(&[rule.clone()], None, &measures, at(0))
            .note
            .len(),
        1
    );
    rule.enabled = false;
    let judged = state.judge(&[rule], None, &measures, at(1));
    assert_eq!(turns(&judged.note), [(Turn::Cleared, RuleKind::Limit, "a")]);
}

#[test]
fn in_quiet_hours_only_what_is_urgent_is_told_and_the_rest_when_they_are_over() {
    let quiet = Some(QuietHours {
        from: 22 * 60,
        until: 6 * 60,
    });
    let night = at(13 * 3_600);
    let morning = at(20 * 3_600);
    let rules = [
        Rule::of(RuleKind::Limit),
        Rule::of(RuleKind::RestrictedEntity),
    ];
    let mut state = State::default();
    let measures = [
        measure(RuleKind::Limit, "a", 90),
        measure(RuleKind::RestrictedEntity, "scan-1", 1),
    ];
    let judged = state.judge(&rules, quiet, &measures, night);
    assert_eq!(
        turns(&judged.note),
        [(Turn::Raised, RuleKind::RestrictedEntity, "scan-1")]
    );
    assert_eq!(judged.turned.len(), 2, "the trace has both at once");
    let stored = serde_json::to_string(&state).expect("JSON");
    let mut state: State = serde_json::from_str(&stored).expect("the same after a restart");
    let judged = state.judge(&rules, quiet, &measures, morning);
    assert_eq!(turns(&judged.note), [(Turn::Raised, RuleKind::Limit, "a")]);
    assert_eq!(
        state
            .judge(&rules, quiet, &measures, at(20 * 3_600 + 60))
            .note,
        []
    );
}

#[test]
fn quiet_hours_may_pass_midnight() {
    let quiet = QuietHours {
        from: 22 * 60,
        until: 6 * 60,
    };
    for (hour, is_quiet) in [(10, false), (22, true), (23, true), (30, false), (29, true)] {
        assert_eq!(quiet.has(at((hour - 10) * 3_600)), is_quiet, "{hour}");
    }
    let lunch = QuietHours {
        from: 12 * 60,
        until: 13 * 60,
    };
    assert!(lunch.has(at(2 * 3_600)) && !lunch.has(at(3 * 3_600)));
}

fn line(subject: &str) -> Told {
    Told {
        turn: Turn::Raised,
        kind: RuleKind::Limit,
        scope: Scope::ALL,
        subject: subject.to_owned(),
        value: 90,
        detail: "why".to_owned(),
        at: BEGIN,
    }
}

/// The seconds, from one to the next, at which a channel that always fails is tried.
fn tries(owed: &mut Owed, quiet: Option<QuietHours>, seconds: std::ops::Range<i64>) -> Vec<i64> {
    let mut tried = Vec::new();
    for second in seconds {
        if owed.is_due(quiet, at(second)) {
            tried.push(second);
            if !owed.failed(at(second)) {
                break;
            }
        }
    }
    tried
}

#[test]
fn a_channel_that_fails_is_tried_again_for_a_week_with_longer_and_longer_pauses() {
    let mut owed = Owed::new(at(0));
    owed.add(&[line("a")], false);
    let tried = tries(&mut owed, None, 0..4_000);
    assert_eq!(tried, [0, 10, 70, 370, 1_270, 2_170, 3_070, 3_970]);
    let kept = serde_json::to_string(&owed).expect("JSON");
    let mut owed: Owed = serde_json::from_str(&kept).expect("the same after a restart");
    assert!(tries(&mut owed.clone(), None, 4_000..4_870).is_empty());
    let mut fresh = owed.clone();
    fresh.begin_again(at(4_000));
    assert_eq!(tries(&mut fresh, None, 4_000..4_020), [4_000, 4_010]);
    let week = i64::try_from(OWED_FOR.as_secs()).expect("small");
    let tried = tries(&mut owed, None, 4_870..2 * week);
    assert_eq!(tried.first(), Some(&4_870));
    let given_up = tried.last().copied().expect("a try");
    assert!((week..week + 900).contains(&given_up), "{given_up}");
}

#[test]
fn what_comes_while_a_channel_fails_goes_with_the_rest_and_too_much_is_counted() {
    let mut owed = Owed::new(at(0));
    for number in 0..OWED_LINES_MAX + 3 {
        owed.add(&[line(&number.to_string())], number == 50);
    }
    assert_eq!(owed.lines.len(), OWED_LINES_MAX);
    assert_eq!(owed.left_out, 3, "no note looks whole that is not");
    assert_eq!(owed.lines[0].subject, "3", "the oldest gave way");
    assert!(owed.is_urgent);
    let mut long = line("x");
    long.detail = "é".repeat(1_000);
    owed.add(&[long], false);
    assert_eq!(owed.lines[OWED_LINES_MAX - 1].detail, "é".repeat(150));
}

#[test]
fn what_is_owed_waits_through_quiet_hours_unless_it_is_urgent() {
    let quiet = Some(QuietHours {
        from: 10 * 60,
        until: 11 * 60,
    });
    for (is_urgent, first) in [(false, 3_600), (true, 0)] {
        let mut owed = Owed::new(at(0));
        owed.add(&[line("a")], is_urgent);
        assert_eq!(tries(&mut owed, quiet, 0..3_605).first(), Some(&first));
    }
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let mut owed = Owed::new(at(0));
    owed.add(&[line("a")], false);
    assert!(owed.failed(at(86_400)));
    assert!(owed.is_due(None, at(0)));
    assert!(!owed.is_due(None, at(86_401)));
}
