//! Who is told what. RFC 3464, RFC 3461.

use relais_smtp::envelope::{Notify, Ret, SenderParameters};
use relais_store::trace::EventKind;

use super::peer::{Act, Peer};
use super::world::{Mail, SETTINGS, World, hours, mail, notified, pass, recipient, seconds};

const FAILURE: Notify = Notify {
    success: false,
    failure: true,
    delay: false,
};
const SUCCESS: Notify = Notify {
    success: true,
    failure: true,
    delay: false,
};

/// A world with a next hop that knows nobody whose name begins with `unknown`, and the mailboxes
/// of `contoso.test`.
async fn world() -> (World, Peer, Peer) {
    let world = World::delivering(SETTINGS).await;
    let peer = Peer::start(&world, "192.0.2.1", 25).await;
    peer.script(|heard| match heard.verb.as_str() {
        "RCPT" if heard.line.contains("unknown") => Act::Say("550 5.1.1 no such user"),
        "RCPT" if heard.line.contains("later") => Act::Say("450 4.2.1 later"),
        _ => Act::Usual,
    });
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    world.domain("b.example", "192.0.2.1");
    (world, peer, mailboxes)
}

fn text(peer: &Peer) -> String {
    String::from_utf8(peer.took().pop().expect("a notice").content).unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_failure_notice_names_every_recipient_that_failed() {
    let (world, _peer, mailboxes) = world().await;
    let to = ["unknown1@b.example", "good@b.example", "unknown2@b.example"];
    let queue_id = world.accept(mail(&to)).await;
    pass(seconds(10)).await;
    let took = mailboxes.took();
    assert_eq!(took.len(), 1);
    assert_eq!(took[0].from, "", "the reverse-path of a notice is null");
    assert_eq!(took[0].to, ["anna@contoso.test"]);
    let text = text(&mailboxes);
    assert!(
        text.contains("Final-Recipient: rfc822; unknown1@b.example"),
        "{text}"
    );
    assert!(
        text.contains("Final-Recipient: rfc822; unknown2@b.example"),
        "{text}"
    );
    assert!(!text.contains("good@b.example"), "{text}");
    assert_eq!(text.matches("Status: 5.1.1").count(), 2);
    assert!(text.contains("Remote-MTA: dns; mx.b.example"), "{text}");
    assert!(
        text.contains("Subject: scan"),
        "the original's header section is returned"
    );
    assert!(!text.contains("hello"), "its body is not");

    let sent = world.events(EventKind::NoticeSent);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].queue_id, Some(queue_id));
    let accepted = world.events(EventKind::MessageAccepted);
    let id = accepted[0].queue_id.unwrap();
    assert!(sent[0].detail.as_deref().unwrap().contains(&id.to_string()));
    assert_eq!(
        accepted[0].detail.as_deref(),
        Some(&*format!("notice about {queue_id}"))
    );
    let delivered = world.events(EventKind::RecipientDelivered);
    assert!(
        delivered.iter().any(|event| event.queue_id == Some(id)),
        "it goes like any other"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_about_a_null_reverse_path_or_a_notice() {
    let (world, _peer, mailboxes) = world().await;
    world
        .accept(Mail {
            from: "",
            ..mail(&["unknown@b.example"])
        })
        .await;
    world
        .accept(Mail {
            is_notice: true,
            ..mail(&["unknown@b.example"])
        })
        .await;
    pass(seconds(10)).await;
    assert!(mailboxes.took().is_empty());
    assert!(world.events(EventKind::NoticeSent).is_empty());
    let failed = world.events(EventKind::RecipientFailed);
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|event| {
        event
            .detail
            .as_deref()
            .is_some_and(|detail| detail.starts_with("no notice"))
    }));
}

#[tokio::test(start_paused = true)]
async fn notify_never_is_obeyed() {
    let (world, _peer, mailboxes) = world().await;
    let to = vec![notified("unknown@b.example", Notify::NEVER)];
    world.accept(Mail { to, ..mail(&[]) }).await;
    pass(seconds(10)).await;
    assert!(mailboxes.took().is_empty());
    assert_eq!(world.events(EventKind::RecipientFailed).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sender_without_mailbox_is_answered_through_the_owner_of_its_connector() {
    let (world, _peer, mailboxes) = world().await;
    world
        .accept(Mail {
            from: "scanner@contoso.test",
            ..mail(&["unknown@b.example"])
        })
        .await;
    pass(seconds(10)).await;
    assert_eq!(mailboxes.took_for(), ["anna@contoso.test"]);
    assert!(text(&mailboxes).contains("scanner@contoso.test"));
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_told_once_after_four_hours() {
    let (world, _peer, mailboxes) = world().await;
    world.accept(mail(&["later@b.example"])).await;
    pass(hours(4) - seconds(60)).await;
    assert!(mailboxes.took().is_empty());
    pass(hours(19)).await;
    assert_eq!(mailboxes.took().len(), 1);
    let text = text(&mailboxes);
    assert!(text.contains("Action: delayed"), "{text}");
    assert!(text.contains("Will-Retry-Until:"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_not_told_to_those_who_asked_for_failures_only() {
    let (world, _peer, mailboxes) = world().await;
    world
        .accept(Mail {
            to: vec![notified("later@b.example", FAILURE)],
            ..mail(&[])
        })
        .await;
    pass(hours(23)).await;
    assert!(mailboxes.took().is_empty());
    pass(hours(2)).await;
    assert_eq!(mailboxes.took().len(), 1, "the failure is told");
}

#[tokio::test(start_paused = true)]
async fn a_success_notice_is_ours_only_where_the_next_hop_has_no_dsn() {
    for (extensions, expected) in [(&["PIPELINING"][..], 1), (&["DSN"][..], 0)] {
        let (world, peer, mailboxes) = world().await;
        peer.offers(extensions);
        world
            .accept(Mail {
                to: vec![notified("good@b.example", SUCCESS)],
                ..mail(&[])
            })
            .await;
        pass(seconds(10)).await;
        assert_eq!(mailboxes.took().len(), expected, "{extensions:?}");
        if expected == 1 {
            assert!(text(&mailboxes).contains("Action: relayed"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ret_full_returns_small_content_whole_and_large_content_never() {
    for (lines, whole) in [(10, true), (10_000, false)] {
        let (world, _peer, mailboxes) = world().await;
        let parameters = SenderParameters {
            ret: Some(Ret::Full),
            ..SenderParameters::default()
        };
        let mut message = Mail {
            parameters,
            ..mail(&["unknown@b.example"])
        };
        for number in 0..lines {
            message
                .content
                .extend_from_slice(format!("line {number}\r\n").as_bytes());
        }
        world.accept(message).await;
        pass(seconds(10)).await;
        let text = text(&mailboxes);
        assert_eq!(text.contains("line 7\r\n"), whole, "{lines}");
        assert!(text.contains("Subject: scan"), "{lines}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_cannot_be_delivered_causes_no_other() {
    let (world, _peer, mailboxes) = world().await;
    mailboxes.script(|heard| match heard.verb.as_str() {
        "RCPT" => Act::Say("550 5.1.1 no such user"),
        _ => Act::Usual,
    });
    world.accept(mail(&["unknown@b.example"])).await;
    pass(hours(30)).await;
    assert_eq!(world.events(EventKind::NoticeSent).len(), 1);
    assert_eq!(world.events(EventKind::RecipientFailed).len(), 2);
    assert_eq!(world.in_queue(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_failed_recipients_share_one_notice() {
    let (world, _peer, mailboxes) = world().await;
    let to = (0..100)
        .map(|number| recipient(&format!("unknown{number}@b.example")))
        .collect();
    world.accept(Mail { to, ..mail(&[]) }).await;
    pass(seconds(10)).await;
    assert_eq!(mailboxes.took().len(), 1);
    assert_eq!(text(&mailboxes).matches("Action: failed").count(), 100);
}

#[tokio::test(start_paused = true)]
async fn notices_speak_the_language_of_the_organisation() {
    let settings = SETTINGS.replace(
        "name = \"contoso\"",
        "name = \"contoso\"\nlanguage = \"fr\"",
    );
    let world = World::delivering(&settings).await;
    let mailboxes = Peer::start(&world, "192.0.2.9", 25).await;
    world.accept(mail(&["a@nowhere.example"])).await;
    pass(seconds(10)).await;
    let text = text(&mailboxes);
    assert!(
        text.contains("n’existe pas") && text.contains("Status: 5.1.2"),
        "{text}"
    );
}
