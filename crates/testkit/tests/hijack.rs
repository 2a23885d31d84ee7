//! The hijack of a known printer at three in the morning, on a simulated clock; and its broken
//! twin, in which nobody watches.

use relais_policy::restriction::Effect;
use relais_testkit::world::play_hijack;

#[test]
fn at_three_in_the_morning_a_known_printer_is_held_within_fifty_messages() {
    let report = play_hijack("{}");
    assert_eq!(report.began.to_rfc3339(), "2026-11-07T03:00:00.000Z");
    assert_eq!(report.accepted, 5_000, "every one is answered 250");
    assert!(report.delivered < 50, "{report:?}");
    assert_eq!(
        usize::try_from(report.held),
        Ok(5_000 - report.delivered + 1),
        "nothing is lost"
    );
    let [one] = report.restricted.as_slice() else {
        panic!("one: {report:?}");
    };
    assert_eq!(one.entity.to_string(), "device contoso/Printers/10.1.2.9");
    assert_eq!(one.effect, Effect::Hold);
    assert_eq!(
        report.neighbour,
        (1, 1),
        "nothing of another device is touched"
    );
    assert!(report.is_scan_delivered, "what is legitimate leaves");
    assert_eq!(report.delivered_in_the_end, report.delivered);
}

#[test]
fn without_the_trigger_all_of_it_leaves() {
    let report = play_hijack("{ volume = { mode = \"off\" } }");
    assert_eq!((report.accepted, report.delivered), (5_000, 5_000));
    assert_eq!(report.restricted, []);
}
