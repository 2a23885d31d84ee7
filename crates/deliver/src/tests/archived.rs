//! Copies for an archive: they arrive like other mail, and of those that do not, whoever sent the
//! message hears nothing.

use relais_smtp::address::Mailbox;
use relais_smtp::envelope::EnvelopeRecipient;
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{Mail, SETTINGS, World, mail, pass, recipient, seconds};

const ARCHIVE: &str = "archive@contoso.test";

/// A message to these, with a copy for the archive.
fn copied(to: &[&str]) -> Mail {
    let mut mail = mail(to);
    let copy = EnvelopeRecipient::copy(Mailbox::parse(ARCHIVE).unwrap());
    mail.to.insert(1, copy);
    mail
}

#[tokio::test(start_paused = true)]
async fn a_copy_leaves_apart_from_the_others_and_bears_no_sender_who_could_be_told() {
    let world = World::delivering(SETTINGS).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    world
        .accept(copied(&["it@contoso.test", "ben@contoso.test"]))
        .await;
    pass(seconds(5)).await;
    let mut took: Vec<_> = mailboxes.took().into_iter().collect();
    took.sort_by(|one, other| one.from.cmp(&other.from));
    let envelopes: Vec<_> = took
        .iter()
        .map(|one| (one.from.as_str(), one.to.join(" ")))
        .collect();
    let others = "it@contoso.test ben@contoso.test".to_owned();
    assert_eq!(
        envelopes,
        [("", ARCHIVE.to_owned()), ("anna@contoso.test", others)]
    );
    assert_eq!(took[0].content, took[1].content);
    assert_eq!(world.in_queue(), 0);
    let delivered = world.events(EventKind::RecipientDelivered);
    for event in delivered {
        assert_eq!(event.from.as_deref(), Some("anna@contoso.test"));
        let is_copy = event.envelope_sender.as_deref() == Some("");
        let to = format!("{:?}", event.to);
        assert_eq!(is_copy, to.contains(ARCHIVE), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_refused_stands_in_the_trace_and_in_one_alert_and_is_told_to_nobody() {
    let world = World::delivering(SETTINGS).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    mailboxes.script(|heard| match heard.line.contains(ARCHIVE) {
        true => Act::Say("550 5.2.2 full"),
        false => Act::Usual,
    });
    let first = world.accept(copied(&["it@contoso.test"])).await;
    pass(seconds(60)).await;
    world.accept(copied(&["it@contoso.test"])).await;
    pass(seconds(60)).await;
    assert_eq!(world.recipients(EventKind::RecipientFailed), [ARCHIVE; 2]);
    assert!(world.events(EventKind::NoticeSent).is_empty());
    assert_eq!(mailboxes.took_for(), ["it@contoso.test"; 2]);
    let raised = world.events(EventKind::AlertRaised);
    let told: Vec<_> = raised
        .iter()
        .filter_map(|one| one.detail.as_deref())
        .collect();
    let expected = format!("the archive {ARCHIVE} did not get the copy of {first}: 550 5.2.2 full");
    assert_eq!(told, [expected]);
    assert_eq!(raised[0].inbound_connector.as_deref(), Some("Printers"));
    // Who is no copy is told of as ever.
    let other = Mail {
        to: vec![recipient(ARCHIVE)],
        ..mail(&[])
    };
    world.accept(other).await;
    pass(seconds(60)).await;
    assert_eq!(world.events(EventKind::NoticeSent).len(), 1);
    assert_eq!(world.events(EventKind::AlertRaised).len(), 1);
}
