//! What an inbound connector does to its mail, and asks of its devices, beside who they are.

use std::time::Duration;

use relais_policy::restriction::{Effect, Entity, EntityKind};
use relais_policy::suppression::{Cause, Suppression};
use relais_smtp::address::Mailbox;
use relais_store::queue::RecipientStateName;
use relais_store::store::SuppressionChange;
use relais_store::trace::To;

use crate::world::{Client, PRINTER, World, apply, settings_with, world};

const LIMITS: &str = "limits = { message_size_max = \"8 MiB\" }";

/// *Printers* with these keys too.
async fn printers(keys: &str) -> World {
    let world = world().await;
    let settings = settings_with(LIMITS, &format!("{LIMITS}\n{keys}"));
    apply(&world.store, &settings).await;
    world
}

/// All recipients in the queue.
async fn recipients(world: &World) -> Vec<String> {
    let queue = world.queue().await;
    let all = queue.iter().flat_map(|message| &message.recipients);
    let mut all: Vec<_> = all.map(|one| one.to.clone()).collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_nobody_could_answer_is_replaced_and_the_trace_shows_before_and_after() {
    let world = printers("sender_replacement = \"nas@contoso.test\"").await;
    let mut nas = world.greeted(PRINTER).await;
    let content = "From: root@nas.local\r\nSubject: disk full\r\n\r\nhello\r\n";
    let taken = nas.mail("root@nas.local", "b@example.org", content).await;
    assert!(taken.starts_with("250"), "{taken}");
    let stored = world.content().await;
    assert!(
        stored.contains("\r\nFrom: <nas@contoso.test>\r\n"),
        "{stored}"
    );
    assert!(
        stored.contains("\r\nX-Original-From: root@nas.local\r\n"),
        "{stored}"
    );
    assert!(!stored.contains("Reply-To"), "{stored}");
    let accepted = world.events("message.accepted").await;
    assert_eq!(accepted[0].from.as_deref(), Some("nas@contoso.test"));
    assert_eq!(accepted[0].header_from.as_deref(), Some("nas@contoso.test"));
    let told = "sender root@nas.local → nas@contoso.test; \
                header From root@nas.local → nas@contoso.test";
    assert_eq!(accepted[0].detail.as_deref(), Some(told));
    let repaired = world.events("message.repaired").await;
    for repair in ["sender", "from"] {
        assert!(repaired[0].repairs.contains(&repair), "{repaired:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_stands_for_all_senders_and_answers_reach_the_author_but_notices_stay() {
    let keys = "sender_replacement = \"nas@contoso.test\"\nsender_replaced = \"all\"";
    let world = printers(keys).await;
    let mut device = world.greeted(PRINTER).await;
    let content = "From: Anna <anna@fabrikam.test>\r\nSubject: x\r\n\r\nhello\r\n";
    let taken = device
        .mail("anna@fabrikam.test", "b@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    let stored = world.content().await;
    assert!(
        stored.contains("\r\nFrom: <nas@contoso.test>\r\n"),
        "{stored}"
    );
    assert!(
        stored.contains("\r\nReply-To: Anna <anna@fabrikam.test>\r\n"),
        "{stored}"
    );
    device.play(&[("MAIL FROM:<>", "250")]).await;
}

fn author(address: &str) -> Entity {
    Entity::parse(EntityKind::Address, address).expect("an address")
}

#[tokio::test(start_paused = true)]
async fn a_blocked_author_is_refused_under_the_address_that_stands_for_it_too() {
    let world = printers("sender_replacement = \"nas@contoso.test\"").await;
    world
        .restrict(author("root@nas.local"), Effect::Refuse)
        .await;
    let mut nas = world.greeted(PRINTER).await;
    let refused = nas.say("MAIL FROM:<root@nas.local>").await;
    assert!(
        refused.starts_with("550 5.7.1") && refused.contains("(FROM-BLOCKED "),
        "{refused}"
    );
    nas.play(&[("MAIL FROM:<root@ups.local>", "250")]).await;
}

#[tokio::test(start_paused = true)]
async fn mail_of_a_held_author_waits_under_the_address_that_stands_for_it_until_it_is_released() {
    let world = printers("sender_replacement = \"nas@contoso.test\"").await;
    let held = author("root@nas.local");
    world.restrict(held.clone(), Effect::Hold).await;
    let mut nas = world.greeted(PRINTER).await;
    let content = "From: root@nas.local\r\nSubject: disk full\r\n\r\nhello\r\n";
    for (from, to) in [
        ("root@nas.local", "b@example.org"),
        ("root@ups.local", "c@example.org"),
    ] {
        let taken = nas.mail(from, to, content).await;
        assert!(taken.starts_with("250"), "{taken}");
    }
    let states = async |world: &World| {
        world.store.follow_restrictions(world.clock.now()).await;
        let queue = world.queue().await;
        let all = queue.iter().flat_map(|message| &message.recipients);
        let mut all: Vec<_> = all.map(|one| (one.to.clone(), one.state)).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    };
    let as_it_came = ("c@example.org".to_owned(), RecipientStateName::Queued);
    let of_root = |state| ("b@example.org".to_owned(), state);
    let waiting = [of_root(RecipientStateName::Held), as_it_came.clone()];
    assert_eq!(states(&world).await, waiting);
    let events = world.events("recipient.held").await;
    let told = events[0].detail.as_deref().unwrap_or_default();
    assert!(
        told.contains("address root@nas.local is restricted"),
        "{told}"
    );
    world.release(held).await;
    let going = [of_root(RecipientStateName::Queued), as_it_came];
    assert_eq!(states(&world).await, going);
}

#[tokio::test(start_paused = true)]
async fn a_person_needs_a_seat_under_the_address_that_stands_for_all_too() {
    let world = world().await;
    let keys =
        format!("{LIMITS}\nsender_replacement = \"nas@contoso.test\"\nsender_replaced = \"all\"");
    let people = ["ann", "bob"].map(|name| {
        format!("[[organisation.recipient]]\naddress = \"{name}@contoso.test\"\nmailbox = false\n")
    });
    let settings = settings_with(LIMITS, &keys)
        .replacen(
            "postmaster =",
            "licences = { seats = 1, policy = \"enforce\" }\npostmaster =",
            1,
        )
        .replacen(
            "[[organisation.recipient]]",
            &format!("{}\n[[organisation.recipient]]", people.concat()),
            1,
        );
    apply(&world.store, &settings).await;
    let mut device = world.greeted(PRINTER).await;
    let content = "From: ann@contoso.test\r\n\r\nhello\r\n";
    let taken = device
        .mail("ann@contoso.test", "b@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    let refused = device.say("MAIL FROM:<bob@contoso.test>").await;
    assert!(
        refused.starts_with("550 5.7.1") && refused.contains("(FROM-UNLICENSED "),
        "{refused}"
    );
    device
        .play(&[("MAIL FROM:<ann@contoso.test>", "250")])
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_connector_sends_in_its_hours_only_and_is_told_which_these_are() {
    // Tuesday, ten o'clock in the world of the tests.
    let world = printers("sending_hours = \"Mon-Fri 11:00-13:00 Europe/Paris\"").await;
    let mut device = world.greeted(PRINTER).await;
    device
        .play(&[("MAIL FROM:<scan@contoso.test>", "250"), ("RSET", "250")])
        .await;
    tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
    let mut device = world.greeted(PRINTER).await;
    let reply = device.say("MAIL FROM:<scan@contoso.test>").await;
    let told = "450 4.7.1 Outside sending hours: Mon-Fri 11:00-13:00 Europe/Paris (HOURS ";
    assert!(reply.starts_with(told), "{reply}");
    let refused = world.events("attempt.refused").await;
    assert_eq!(refused[0].token.as_deref(), Some("HOURS"));
    assert_eq!(refused[0].inbound_connector.as_deref(), Some("Printers"));
}

/// RCPT for so many addresses; the last reply.
async fn name(device: &mut Client, count: usize) -> String {
    let mut reply = String::new();
    for number in 0..count {
        reply = device
            .say(&format!("RCPT TO:<r{number}@example.org>"))
            .await;
    }
    reply
}

#[tokio::test(start_paused = true)]
async fn a_message_has_as_many_recipients_as_its_connector_lets_it_and_the_next_takes_the_rest() {
    let world = world().await;
    let few = "limits = { message_size_max = \"8 MiB\", recipients_per_message = 3 }";
    apply(&world.store, &settings_with(LIMITS, few)).await;
    let mut device = world.greeted(PRINTER).await;
    for _ in 0..2 {
        device
            .play(&[("MAIL FROM:<scan@contoso.test>", "250")])
            .await;
        let third = name(&mut device, 3).await;
        assert!(third.starts_with("250"), "{third}");
        let fourth = device.say("RCPT TO:<r4@example.org>").await;
        assert!(
            fourth.starts_with("452 4.5.3") && fourth.contains("(RCPT-MANY "),
            "{fourth}"
        );
        device.play(&[("DATA", "354")]).await;
        let taken = device
            .say("From: scan@contoso.test\r\n\r\nhello\r\n.")
            .await;
        assert!(taken.starts_with("250"), "{taken}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_to_the_archive_once_and_nobody_outside_hears_of_its_fate() {
    let world = printers("archive_address = \"archive@contoso.test\"").await;
    let mut device = world.greeted(PRINTER).await;
    let content = "From: scan@contoso.test\r\nSubject: x\r\n\r\nhello\r\n";
    let taken = device
        .mail("scan@contoso.test", "b@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    assert_eq!(
        recipients(&world).await,
        ["archive@contoso.test", "b@example.org"]
    );
    let now = world.clock.now();
    let until = now.after(Duration::from_secs(60));
    let (mut copies, mut others) = (0, 0);
    for queue in world.store.due(now, 10).await.expect("it can be read") {
        let leased = world.store.lease(&queue.key, 10, 10, now, until).await;
        for one in leased
            .expect("leased")
            .iter()
            .flat_map(|message| &message.recipients)
        {
            let is_told =
                one.recipient.wants_failure_notice() || one.recipient.wants_delay_notice();
            let is_copy = one.recipient.forward_path.to_string() == "archive@contoso.test";
            assert_eq!(is_told, !is_copy);
            copies += u32::from(is_copy);
            others += u32::from(!is_copy);
        }
    }
    assert_eq!((copies, others), (1, 1));
    let accepted = world.events("message.accepted").await;
    assert_eq!(
        accepted[0].detail.as_deref(),
        Some("copy to archive@contoso.test")
    );
    let everybody = To::Many(vec!["b@example.org".into(), "archive@contoso.test".into()]);
    assert_eq!(accepted[0].to, Some(everybody));
}

/// What the trace says of a message of *Printers* whose archive is this one, and who gets it.
async fn copied(world: &World) -> (String, Vec<String>) {
    let mut device = world.greeted(PRINTER).await;
    let content = "From: scan@contoso.test\r\nSubject: x\r\n\r\nhello\r\n";
    let taken = device
        .mail("scan@contoso.test", "b@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    let accepted = world.events("message.accepted").await;
    let told = accepted.last().and_then(|one| one.detail.as_deref());
    (told.unwrap_or_default().to_owned(), recipients(world).await)
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_blocked_or_suppressed_gets_no_copy_and_the_trace_says_why() {
    let archive = "archive_address = \"archive@contoso.test\"";
    let only = vec!["b@example.org".to_owned()];
    let blocked = printers(archive).await;
    let entity = author("archive@contoso.test");
    blocked.restrict(entity, Effect::Refuse).await;
    let (told, to) = copied(&blocked).await;
    assert_eq!(told, "no copy to archive@contoso.test: it is blocked");
    assert_eq!(to, only);

    let suppressed = printers(archive).await;
    let now = suppressed.clock.now();
    let mailbox = Mailbox::parse("archive@contoso.test").expect("an address");
    let suppression = Suppression {
        cause: Cause::Request,
        said: "full".to_owned(),
        queue_id: String::new(),
        by: "anna".to_owned(),
        since: now.as_millis(),
    };
    let mut change = SuppressionChange::new("contoso", now);
    change.put.push((mailbox, suppression));
    let stored = suppressed.store.change_suppressions(change).await;
    stored.expect("stored");
    let (told, to) = copied(&suppressed).await;
    let expected = "no copy to archive@contoso.test: it is suppressed after request";
    assert_eq!(told, expected);
    assert_eq!(to, only);

    let held = printers(archive).await;
    let entity = author("archive@contoso.test");
    held.restrict(entity, Effect::Hold).await;
    let (told, to) = copied(&held).await;
    assert_eq!(told, "copy to archive@contoso.test");
    assert_eq!(to, ["archive@contoso.test", "b@example.org"]);
    let waiting = held.events("recipient.held").await;
    assert_eq!(waiting[0].to, Some(To::One("archive@contoso.test".into())));
}

#[tokio::test(start_paused = true)]
async fn a_copy_counts_in_limits_and_who_is_named_anyway_gets_no_second_one() {
    let world = world().await;
    let keys = "limits = { recipients_per_day = { value = 3, hard = true } }\n\
                archive_address = \"archive@contoso.test\"";
    apply(&world.store, &settings_with(LIMITS, keys)).await;
    copied(&world).await;
    // Two of three are used: the third is the message's, and it gets its copy all the same.
    let (told, to) = copied(&world).await;
    assert_eq!(told, "copy to archive@contoso.test");
    assert_eq!(to.len(), 4);
    let mut device = world.greeted(PRINTER).await;
    device
        .play(&[("MAIL FROM:<scan@contoso.test>", "250")])
        .await;
    let full = device.say("RCPT TO:<b@example.org>").await;
    assert!(full.contains("Daily quota 3 reached"), "{full}");

    let world = printers("archive_address = \"anna@contoso.test\"").await;
    let mut device = world.greeted(PRINTER).await;
    let content = "From: scan@contoso.test\r\nSubject: x\r\n\r\nhello\r\n";
    let taken = device
        .mail("scan@contoso.test", "anna@contoso.test", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    assert_eq!(recipients(&world).await, ["anna@contoso.test"]);
}

#[tokio::test(start_paused = true)]
async fn an_observing_connector_and_a_domain_that_is_not_verified_get_no_copy() {
    let keys = "archive_address = \"archive@contoso.test\"\nstate = \"observing\"\n\
                test_recipients = [\"b@example.org\"]";
    let world = printers(keys).await;
    let mut device = world.greeted(PRINTER).await;
    let content = "From: scan@contoso.test\r\nSubject: x\r\n\r\nhello\r\n";
    let taken = device
        .mail("scan@contoso.test", "b@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    assert_eq!(recipients(&world).await, ["b@example.org"]);

    let pending = "archive_address = \"archive@pending.test\"";
    let settings = settings_with(LIMITS, &format!("{LIMITS}\n{pending}"));
    let domain = "[[organisation.domain]]\nname = \"pending.test\"\n\n[[organisation.recipient]]";
    let settings = settings.replacen("[[organisation.recipient]]", domain, 1);
    apply(&world.store, &settings).await;
    let mut device = world.greeted(PRINTER).await;
    let taken = device
        .mail("scan@contoso.test", "c@example.org", content)
        .await;
    assert!(taken.starts_with("250"), "{taken}");
    assert_eq!(recipients(&world).await, ["b@example.org", "c@example.org"]);
    let accepted = world.events("message.accepted").await;
    let told = accepted[1].detail.as_deref().unwrap_or_default();
    assert!(told.contains("no copy to archive@pending.test"), "{told}");
}
