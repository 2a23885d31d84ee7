//! Mail that is due and not tried raises an alarm.

use relais_store::trace::EventKind;

use super::peer::Peer;
use super::world::{SETTINGS, World, hours, mail, minutes, pass};

#[tokio::test(start_paused = true)]
async fn mail_that_nobody_tries_raises_an_alarm_that_names_it() {
    let mut world = World::new(SETTINGS).await;
    // A relay without any connection to spare: the scheduler does all it can, and nothing moves.
    world.options().connections_max = 0;
    world.start();
    world.domain("b.example", "192.0.2.1");
    world.accept(mail(&["a@b.example"])).await;
    pass(minutes(29)).await;
    assert!(world.events(EventKind::AlertRaised).is_empty());
    pass(minutes(4)).await;
    let alarms = world.events(EventKind::AlertRaised);
    assert_eq!(alarms.len(), 1);
    assert_eq!(alarms[0].organisation.as_deref(), Some("contoso"));
    let detail = alarms[0].detail.as_deref().unwrap();
    let expected = "mail to b.example is due, and no attempt came to an end for 30 minutes";
    assert_eq!(detail, expected);
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_is_tried_and_raises_no_alarm() {
    let world = World::delivering(SETTINGS).await;
    let alive = Peer::start(&world, "192.0.2.2", 25).await;
    world.domain("dead.example", "192.0.2.1");
    world.domain("alive.example", "192.0.2.2");
    for number in 0..200 {
        world
            .accept(mail(&[&format!("r{number}@dead.example")]))
            .await;
    }
    for _ in 0..20 {
        world.accept(mail(&["a@alive.example"])).await;
        pass(hours(1)).await;
    }
    assert_eq!(alive.took().len(), 20);
    assert!(world.events(EventKind::AlertRaised).is_empty());
}
