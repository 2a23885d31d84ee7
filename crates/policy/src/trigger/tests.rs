//! Behaviour of triggers over days of simulated time, in microseconds.

use proptest::prelude::*;

use super::rehearsal::Rehearsal;
use super::*;
use crate::restriction::EntityKind;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    // The first of January 2026, and days on.
    Timestamp::from_millis((20_454 + day) * DAY + hour * HOUR + minute * MINUTE)
}

fn message(time: Timestamp, host: u8) -> Heard {
    Heard {
        time,
        organisation: "contoso".to_owned(),
        connector: "Printers".to_owned(),
        address: [10, 1, 2, host].into(),
        credential: None,
        signal: Signal::Message {
            recipients: 1,
            from_differs: false,
            has_bad_content: false,
        },
        recipient: None,
        sample: "00000000000G1".to_owned(),
    }
}

fn hear(guard: &mut Guard, heard: &Heard) -> Option<Found> {
    guard.hear(heard, &Triggers::default(), None)
}

/// A printer that sends a few scans in each hour of work.
fn with_history(days: i64, scans_an_hour: i64) -> Guard {
    let mut guard = Guard::default();
    for day in 0..days {
        for hour in 8..18 {
            for scan in 0..scans_an_hour {
                let heard = message(at(day, hour, scan * 60 / scans_an_hour), 9);
                assert_eq!(hear(&mut guard, &heard), None, "day {day} hour {hour}");
            }
        }
    }
    guard
}

/// How many messages of a burst come before the one that is found; `None`: it never is.
fn burst(guard: &mut Guard, begin: Timestamp, messages: i64, template: &Heard) -> Option<i64> {
    (0..messages).find(|number| {
        let time = Timestamp::from_millis(begin.as_millis() + number * 700);
        let heard = Heard {
            time,
            ..template.clone()
        };
        hear(guard, &heard).is_some()
    })
}

#[test]
fn a_hijacked_printer_is_found_within_fifty_messages_and_its_neighbour_is_not() {
    let mut guard = with_history(20, 3);
    for day in 0..20 {
        assert_eq!(hear(&mut guard, &message(at(day, 9, 0), 8)), None);
    }
    let night = at(20, 3, 0);
    let found = burst(&mut guard, night, 5_000, &message(night, 9));
    assert!(found.is_some_and(|number| number < 50), "{found:?}");
    assert_eq!(hear(&mut guard, &message(at(20, 3, 30), 8)), None);
}

#[test]
fn each_line_that_a_finding_has_is_there_in_french_too() {
    let mut guard = with_history(5, 3);
    let night = at(5, 3, 0);
    let found = (0..60).find_map(|_| hear(&mut guard, &message(night, 9)));
    let found = found.expect("too much");
    let french = |line: &str| in_french(line).expect("a trigger wrote it");
    assert_eq!(french(&found.reason), "31 destinataires en une heure");
    assert_eq!(
        french(&found.evidence[0]),
        "habitude à cette heure\u{202f}: 0, maximum\u{202f}: 3"
    );
    assert_eq!(
        french(&found.evidence[1]),
        found.evidence[1].replace("last:", "derniers\u{202f}:")
    );
    for kind in TriggerKind::ALL {
        let hours = format!(
            "trigger {}: 3 {} within 24 hours",
            kind.name(),
            kind.counted()
        );
        if kind != TriggerKind::NewNetwork {
            assert!(french(&hours).starts_with("3 "), "{hours}");
        }
    }
    let heard = message(night, 9);
    let entity = Entity::parse(EntityKind::Credential, "scan").expect("a name");
    let found = new_network(&heard, entity, Effect::Hold);
    assert!(french(&found.reason).contains("l’identifiant scan n’avait jamais été"));
    assert!(found.evidence.iter().all(|line| in_french(line).is_some()));
    assert_eq!(french("panic switch"), "arrêt d’urgence");
    assert_eq!(in_french("by hand"), None);
}

#[test]
fn what_is_found_says_what_and_how_much_and_what_is_usual() {
    let mut guard = with_history(5, 3);
    let night = at(5, 3, 0);
    let found = (0..60).find_map(|_| hear(&mut guard, &message(night, 9)));
    let found = found.expect("too much");
    assert_eq!(found.entity.to_string(), "device contoso/Printers/10.1.2.9");
    assert_eq!(
        (found.kind, found.effect),
        (TriggerKind::Volume, Effect::Hold)
    );
    assert_eq!(found.reason, "trigger volume: 31 recipients within an hour");
    assert_eq!(found.evidence[0], "usual at this hour: 0, busiest: 3");
    assert!(found.evidence[1].contains("00000000000G1"), "{found:?}");
}

#[test]
fn a_new_device_has_no_usual_and_a_busy_one_may_be_busy() {
    let day = at(0, 10, 0);
    let mut new = Guard::default();
    assert_eq!(burst(&mut new, day, 2_000, &message(day, 9)), None);
    let mut busy = with_history(10, 60);
    let next = at(10, 10, 0);
    assert_eq!(burst(&mut busy, next, 200, &message(next, 9)), None);
    let found = burst(&mut busy, next, 5_000, &message(next, 9));
    assert!(found.is_some(), "four times the usual is enough");
}

#[test]
fn a_day_on_which_something_was_found_teaches_nothing() {
    let mut guard = with_history(10, 3);
    for day in 10..13 {
        let night = at(day, 3, 0);
        let found = burst(&mut guard, night, 5_000, &message(night, 9));
        assert!(
            found.is_some_and(|number| number < 50),
            "day {day}: {found:?}"
        );
    }
}

#[test]
fn what_a_person_releases_is_not_found_again_on_that_day_and_teaches() {
    let mut guard = with_history(40, 100);
    let month_end = |day| at(day, 16, 0);
    let run =
        |guard: &mut Guard, begin: Timestamp, count| burst(guard, begin, count, &message(begin, 9));
    assert_eq!(run(&mut guard, month_end(40), 1_500), Some(400));
    let entity = message(month_end(40), 9).entity();
    guard.release(&entity, true, at(40, 17, 0));
    assert_eq!(
        run(&mut guard, at(40, 17, 1), 1_500),
        None,
        "the rest of the run"
    );
    assert_eq!(run(&mut guard, month_end(70), 1_500), None, "next month");
    assert!(
        run(&mut guard, at(71, 3, 0), 9_000).is_some(),
        "watched all the same"
    );
}

#[test]
fn what_was_found_teaches_when_a_person_speaks_of_it_days_later() {
    let mut guard = with_history(10, 100);
    let friday = at(10, 16, 0);
    assert!(burst(&mut guard, friday, 1_000, &message(friday, 9)).is_some());
    let saturday = at(11, 16, 0);
    assert_eq!(burst(&mut guard, saturday, 10, &message(saturday, 9)), None);
    guard.release(&message(friday, 9).entity(), true, at(13, 8, 0));
    let next = at(20, 16, 0);
    assert_eq!(burst(&mut guard, next, 1_000, &message(next, 9)), None);
}

#[test]
fn a_release_after_a_hijack_makes_no_hijack_usual() {
    let mut guard = with_history(10, 3);
    let night = at(10, 3, 0);
    assert!(burst(&mut guard, night, 5_000, &message(night, 9)).is_some());
    guard.release(&message(night, 9).entity(), true, at(10, 9, 0));
    // Released too early: the intruder is there still.
    let morning = at(10, 9, 1);
    assert_eq!(
        burst(&mut guard, morning, 2_000, &message(morning, 9)),
        None
    );
    let again = at(11, 3, 0);
    let found = burst(&mut guard, again, 5_000, &message(again, 9));
    assert!(found.is_some_and(|number| number < 500), "{found:?}");
}

#[test]
fn what_the_clock_releases_begins_anew_and_is_found_again_when_it_goes_on() {
    let mut guard = with_history(10, 3);
    let night = at(10, 3, 0);
    let template = message(night, 9);
    assert!(burst(&mut guard, night, 50, &template).is_some());
    guard.release(&template.entity(), false, at(10, 3, 10));
    let later = at(10, 3, 10);
    let again = burst(&mut guard, later, 50, &template);
    assert_eq!(again, Some(30), "counted from nothing");
    let next = at(11, 3, 0);
    let found = burst(&mut guard, next, 50, &message(next, 9));
    assert_eq!(found, Some(30), "it taught nothing");
}

/// One hour's work of a night, in one go.
fn night(guard: &mut Guard, day: i64, messages: i64) -> Option<i64> {
    let begin = at(day, 2, 0);
    burst(guard, begin, messages, &message(begin, 9))
}

#[test]
fn a_nightly_job_whose_best_night_is_long_ago_goes_on_as_usual() {
    let mut guard = Guard::default();
    assert_eq!(night(&mut guard, 0, 150), None);
    for day in 1..=60 {
        assert_eq!(night(&mut guard, day, 100), None, "night {day}");
    }
    assert!(
        night(&mut guard, 61, 1_000).is_some(),
        "watched all the same"
    );
}

/// Who is forgotten while time goes on for so many minutes.
fn forget(guard: &mut Guard, begin: Timestamp, minutes: i64) -> Vec<String> {
    let minute = |number| Timestamp::from_millis(begin.as_millis() + number * MINUTE);
    (0..=minutes)
        .flat_map(|number| guard.forget_before(minute(number)))
        .collect()
}

#[test]
fn a_clock_that_was_ahead_for_a_moment_lets_counts_leave_their_hour() {
    let mut guard = with_history(10, 20);
    for ahead in [10, 12 * 365] {
        assert_eq!(hear(&mut guard, &message(at(10 + ahead, 8, 0), 9)), None);
        for hour in 8..18 {
            for scan in 0..20 {
                let heard = message(at(10, hour, scan * 3), 9);
                assert_eq!(hear(&mut guard, &heard), None, "{ahead} days, hour {hour}");
            }
        }
    }
}

#[test]
fn a_clock_that_was_years_ahead_for_a_moment_leaves_what_is_usual_and_days_that_teach() {
    let mut guard = with_history(10, 60);
    let wrong = at(12 * 365, 9, 0);
    // While it is wrong nothing is known of the weeks before, and nobody is held for that.
    assert_eq!(burst(&mut guard, wrong, 80, &message(wrong, 9)), None);
    assert_eq!(forget(&mut guard, at(10, 8, 0), 60).len(), 0);
    assert_eq!(forget(&mut guard, wrong, 30).len(), 0, "not believed yet");
    let morning = at(10, 10, 0);
    assert_eq!(burst(&mut guard, morning, 200, &message(morning, 9)), None);
    for day in 11..15 {
        let evening = at(day, 20, 0);
        let known = burst(&mut guard, evening, 60, &message(evening, 9));
        assert_eq!(known, None, "day {day}");
    }
    // Four times what the evenings taught: the days go on.
    let evening = at(15, 20, 0);
    assert_eq!(burst(&mut guard, evening, 230, &message(evening, 9)), None);
    assert!(burst(&mut guard, evening, 5_000, &message(evening, 9)).is_some());
}

#[test]
fn what_was_kept_by_a_clock_ahead_is_forgotten_like_everything_else() {
    let mut guard = Guard::default();
    let ahead = message(at(4_000, 9, 0), 9);
    hear(&mut guard, &ahead);
    assert!(guard.kept("contoso", &ahead.entity()).is_some());
    assert_eq!(
        forget(&mut guard, at(0, 9, 0), 120).len(),
        0,
        "its time begins"
    );
    assert_eq!(forget(&mut guard, at(60, 9, 0), 120).len(), 1);
}

#[test]
fn the_first_step_is_to_hold_and_the_second_to_refuse_only_where_the_settings_want_it() {
    use TriggerMode::{Block, Hold, Off};
    for (mode, standing, step) in [
        (Off, None, None),
        (Off, Some(Effect::Hold), None),
        (Hold, None, Some(Effect::Hold)),
        (Hold, Some(Effect::Hold), None),
        (Block, None, Some(Effect::Hold)),
        (Block, Some(Effect::Hold), Some(Effect::Refuse)),
        (Block, Some(Effect::Refuse), None),
    ] {
        assert_eq!(next_step(mode, standing), step, "{mode:?} {standing:?}");
    }
}

/// The same of another message, about another recipient in another domain.
fn other(heard: &Heard, number: u32) -> Heard {
    Heard {
        recipient: Some(format!("someone@d{number}.example")),
        sample: format!("{number:013}"),
        ..heard.clone()
    }
}

#[test]
fn every_kind_of_misdeed_is_counted_by_its_own_trigger_from_the_first_day() {
    for (kind, signal, credential) in [
        (
            TriggerKind::UnverifiedDomain,
            Signal::UnverifiedDomain,
            None,
        ),
        (
            TriggerKind::UnknownRecipients,
            Signal::UnknownRecipient,
            Some("scan-1"),
        ),
        (
            TriggerKind::UnknownRecipients,
            Signal::ReturnedRecipient,
            None,
        ),
        (TriggerKind::Complaints, Signal::Complaint, None),
        (TriggerKind::Content, Signal::BadContent, Some("scan-1")),
        (
            TriggerKind::Content,
            Signal::Message {
                recipients: 1,
                from_differs: false,
                has_bad_content: true,
            },
            None,
        ),
    ] {
        let mut guard = Guard::default();
        let minimum = kind.terms(&Triggers::default()).minimum;
        let heard = Heard {
            signal,
            credential: credential.map(str::to_owned),
            ..message(at(0, 9, 0), 9)
        };
        let found = (0..=minimum)
            .map(|number| hear(&mut guard, &other(&heard, number)))
            .collect::<Vec<_>>();
        let (last, before) = found.split_last().expect("some");
        assert!(before.iter().all(Option::is_none), "{kind:?}");
        let last = last.as_ref().expect("one more than is never too many");
        assert_eq!((last.kind, last.entity.clone()), (kind, heard.entity()));
    }
}

#[test]
fn a_recipient_who_complains_again_and_again_has_nobody_held() {
    for signal in [Signal::Complaint, Signal::ReturnedRecipient] {
        let mut guard = Guard::default();
        let of = |number: u32, recipient: String| Heard {
            signal,
            recipient: Some(recipient),
            sample: format!("{number:013}"),
            ..message(at(0, 9, 0), 9)
        };
        for number in 0..200 {
            // About one message, as many recipients of it; about many messages, one recipient; and
            // about many, whoever its domain has.
            for heard in [
                of(0, format!("someone@d{number}.example")),
                of(number, "mallory@evil.example".to_owned()),
                of(number, format!("m{number}@Evil.example")),
                of(number, format!("m{number}@s{number}.evil.example")),
            ] {
                assert_eq!(hear(&mut guard, &heard), None, "{signal:?} {number}");
            }
        }
    }
}

#[test]
fn an_address_that_does_not_exist_counts_once_an_hour_however_often_it_is_written_to() {
    let mut guard = Guard::default();
    let of = |minute: i64, recipient: &str| Heard {
        signal: Signal::UnknownRecipient,
        recipient: Some(recipient.to_owned()),
        sample: format!("{minute:013}"),
        ..message(at(0, 9, minute), 9)
    };
    for minute in 0..600 {
        let heard = of(minute, "Gone@contoso.test");
        assert_eq!(hear(&mut guard, &heard), None, "minute {minute}");
    }
    let guess = |number| hear(&mut guard, &of(600, &format!("guess{number}@example.net")));
    assert!((0..30).filter_map(guess).next().is_some());
}

#[test]
fn foreign_names_are_found_with_a_known_device_and_usual_with_one_that_always_wrote_them() {
    let foreign = |time| Heard {
        signal: Signal::Message {
            recipients: 1,
            from_differs: true,
            has_bad_content: false,
        },
        ..message(time, 9)
    };
    let mut known = with_history(10, 3);
    let day = at(10, 9, 0);
    let found = (0..=20)
        .map(|_| hear(&mut known, &foreign(day)))
        .collect::<Vec<_>>();
    let kinds: Vec<_> = found.iter().flatten().map(|found| found.kind).collect();
    assert_eq!(kinds, [TriggerKind::FromMismatch]);
    assert!(
        found.last().is_some_and(Option::is_some),
        "the last of them"
    );

    let mut always = Guard::default();
    for day in 0..10 {
        for hour in 8..18 {
            for minute in 0..60 {
                let heard = foreign(at(day, hour, minute));
                assert_eq!(
                    hear(&mut always, &heard),
                    None,
                    "day {day}, {hour}:{minute}"
                );
            }
        }
    }
}

#[test]
fn a_trigger_that_is_off_finds_nothing_and_learns_all_the_same() {
    let mut guard = with_history(10, 3);
    let mut off = Triggers::default();
    off.volume.mode = Some(TriggerMode::Off);
    let night = at(10, 3, 0);
    let quiet = (0..500).all(|_| guard.hear(&message(night, 9), &off, None).is_none());
    assert!(quiet);
    let next = at(11, 3, 0);
    assert!(burst(&mut guard, next, 50, &message(next, 9)).is_some());
}

#[test]
fn a_credential_in_a_network_where_it_never_was_is_found_once_it_is_known() {
    let mut on = Triggers::default();
    on.new_network.mode = Some(TriggerMode::Hold);
    let from = |day, address: &str| Heard {
        address: address.parse().expect("an address"),
        credential: Some("scan-1".to_owned()),
        ..message(at(day, 9, 0), 9)
    };
    let mut guard = Guard::default();
    for (day, address, is_found) in [
        (0, "198.51.100.7", false),
        (0, "203.0.113.9", false),
        (5, "198.51.7.7", false),
        (5, "192.0.2.1", true),
        (5, "192.0.2.1", false),
        (6, "2001:db8::1", true),
        (6, "2001:db8:ffff::1", false),
    ] {
        let found = guard.hear(&from(day, address), &on, None);
        let kind = found.map(|found| found.kind);
        let expected = is_found.then_some(TriggerKind::NewNetwork);
        assert_eq!(kind, expected, "day {day}, {address}");
    }
    // What a clock ahead saw first was seen when the clock came back, at the latest.
    let mut guard = Guard::default();
    for (day, address, is_found) in [
        (400, "198.51.100.7", false),
        (7, "198.51.100.7", false),
        (11, "192.0.2.1", true),
    ] {
        let found = guard.hear(&from(day, address), &on, None);
        assert_eq!(found.is_some(), is_found, "day {day}, {address}");
    }
}

#[test]
fn a_flood_of_devices_of_one_organisation_makes_no_other_be_forgotten() {
    let mut guard = with_history(10, 3);
    for host in 0..20_000_u32 {
        let heard = Heard {
            organisation: "fabrikam".to_owned(),
            address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + host).into(),
            ..message(at(10, 1, 0), 9)
        };
        assert_eq!(hear(&mut guard, &heard), None);
    }
    assert!(guard.devices() <= DEVICES_PER_ORGANISATION_MAX + 1);
    let night = at(10, 3, 0);
    let found = burst(&mut guard, night, 50, &message(night, 9));
    assert!(found.is_some(), "contoso's printer is known still");
}

#[test]
fn what_is_kept_is_what_is_known() {
    let mut guard = with_history(10, 3);
    let entity = message(at(0, 0, 0), 9).entity();
    let (key, known) = guard.kept("contoso", &entity).expect("known");
    let text = serde_json::to_string(known).expect("texts and numbers");
    assert!(text.len() < 4_096, "{}", text.len());
    let mut restarted = Guard::default();
    restarted.restore(&key, serde_json::from_str(&text).expect("what was written"));
    let night = at(10, 3, 0);
    for guard in [&mut guard, &mut restarted] {
        let found = burst(guard, night, 5_000, &message(night, 9));
        assert_eq!(found, Some(30));
    }
    assert_eq!(forget(&mut restarted, at(60, 0, 0), 60), [key]);
}

#[test]
fn what_was_heard_before_the_kept_was_taken_back_counts_with_it() {
    let mut guard = with_history(10, 3);
    let night = at(10, 3, 0);
    let template = message(night, 9);
    let (key, known) = guard.kept("contoso", &template.entity()).expect("known");
    let mut restarted = Guard::default();
    for _ in 0..20 {
        assert_eq!(hear(&mut restarted, &template), None);
    }
    restarted.restore(&key, known.clone());
    assert_eq!(burst(&mut restarted, night, 50, &template), Some(10));
}

#[test]
fn who_keeps_a_device_hears_when_it_is_forgotten_for_room_and_room_is_made_for_kept_ones_too() {
    let mut guard = with_history(1, 1);
    let of = |host: u32| Heard {
        address: std::net::Ipv4Addr::from_bits(0x0a00_0000 + host).into(),
        ..message(at(1, 1, 0), 9)
    };
    let most = u32::try_from(DEVICES_PER_ORGANISATION_MAX).expect("some");
    let entity = message(at(0, 0, 0), 9).entity();
    let (key, known) = guard.kept("contoso", &entity).expect("known");
    let known = known.clone();
    for host in 0..most {
        hear(&mut guard, &of(host));
    }
    assert_eq!(guard.forget_before(at(1, 1, 0)), std::slice::from_ref(&key));
    assert_eq!(guard.forget_before(at(1, 1, 1)), [] as [String; 0]);
    guard.remind(vec![key.clone()]);
    assert_eq!(guard.forget_before(at(1, 1, 2)), [key]);
    for host in 0..2 * most {
        guard.restore(&format!("contoso device contoso/P/{host}"), known.clone());
    }
    assert!(guard.devices() <= DEVICES_PER_ORGANISATION_MAX);
}

#[test]
fn a_rehearsal_tells_what_would_have_been_held_and_how_much() {
    let mut off = Triggers::default();
    off.volume.mode = Some(TriggerMode::Off);
    let mut rehearsal = Rehearsal::new(TriggerKind::Volume, off);
    for day in 0..20 {
        for scan in 0..3 {
            rehearsal.hear(&message(at(day, 9, scan), 9));
            rehearsal.hear(&message(at(day, 9, scan), 8));
        }
    }
    for number in 0..5_000 {
        let time = Timestamp::from_millis(at(20, 3, 0).as_millis() + number * 700);
        rehearsal.hear(&message(time, 9));
    }
    rehearsal.hear(&message(at(20, 9, 0), 8));
    rehearsal.hear(&message(at(22, 9, 0), 9));
    let (findings, heard) = rehearsal.end();
    assert_eq!(heard, 20 * 6 + 5_002);
    let [only] = findings.as_slice() else {
        panic!("one: {findings:?}");
    };
    assert_eq!(only.found.entity, message(at(0, 0, 0), 9).entity());
    assert_eq!(only.would_wait, 5_000 - 30);
}

proptest! {
    /// Whatever a device did before, and whoever else sends: it is held at the latest when it
    /// exceeds all three bounds, and never below the smallest.
    #[test]
    fn nobody_is_held_below_the_minimum_nor_goes_on_for_ever(
        history in proptest::collection::vec(0_i64..40, 5..25),
        hour in 0_i64..24,
    ) {
        let mut guard = Guard::default();
        let mut busiest = 0;
        for (day, scans) in history.iter().enumerate() {
            busiest = busiest.max(*scans);
            for scan in 0..*scans {
                let time = at(i64::try_from(day).unwrap_or_default(), 9, scan);
                hear(&mut guard, &message(time, 9));
            }
        }
        let begin = at(30, hour, 0);
        let found = burst(&mut guard, begin, 5_000, &message(begin, 9));
        let taught = history.iter().filter(|scans| **scans > 0).count();
        if let Some(number) = found {
            prop_assert!(number >= 30);
            prop_assert!(number <= 30.max(busiest * 4));
        } else {
            prop_assert!(taught < 3);
        }
    }
}
