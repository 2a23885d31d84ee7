//! What strangers' mail proves of its origin: recorded on top, forged results removed, refused
//! where both domains want it.

use relais_net::simulated_dns::DnsFault;
use relais_net::zone::ZoneRecord;

use crate::world::{PRINTER, STRANGER, World, apply, settings_with, world};

/// The client sends a line end behind it.
const MAIL: &str = "From: Ben <ben@example.org>\r\nSubject: hello\r\n\r\nhello";

fn texts(world: &World, name: &str, text: &str) {
    let mut records = vec![ZoneRecord::Text(text.to_owned())];
    if name == "example.org" {
        records.push(ZoneRecord::Mx(10, "mail.example.org".to_owned()));
    }
    world.dns.set(name, records);
}

async fn strict() -> World {
    let world = world().await;
    let text = "mailbox_host = \"10.1.0.20:25\"";
    let with = format!("{text}\ndmarc = \"reject\"");
    apply(&world.store, &settings_with(text, &with)).await;
    world
}

#[tokio::test(start_paused = true)]
async fn the_results_stand_on_top_of_a_strangers_message_and_in_the_trace() {
    let world = world().await;
    texts(&world, "example.org", "v=spf1 ip4:203.0.113.0/24 -all");
    texts(&world, "_dmarc.example.org", "v=DMARC1; p=reject");
    let mut client = world.greeted(STRANGER).await;
    let reply = client
        .mail("ben@example.org", "anna@contoso.test", MAIL)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let content = world.content().await;
    let expected = "Authentication-Results: relay.contoso.test;\r\n\tspf=pass \
        smtp.mailfrom=example.org;\r\n\tdkim=none;\r\n\tdmarc=pass policy.dmarc=reject \
        header.from=example.org;\r\n\tarc=none\r\nReceived: from ";
    assert!(content.starts_with(expected), "{content}");
    assert!(
        content.ends_with(&format!("{MAIL}\r\n")),
        "nothing else changes: {content}"
    );
    let accepted = &world.events("message.accepted").await[0];
    assert_eq!(
        accepted.detail.as_deref(),
        Some("spf=pass dkim=none dmarc=pass arc=none")
    );
    assert_eq!(accepted.size, Some(content.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn large_mail_gets_the_same_field_and_is_whole() {
    let world = world().await;
    let body = format!("{}\r\n", "x".repeat(76)).repeat(4_000);
    let large = format!("{MAIL}\r\n{body}end");
    let mut client = world.greeted(STRANGER).await;
    let reply = client
        .mail("ben@example.org", "anna@contoso.test", &large)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let content = world.content().await;
    assert!(content.starts_with("Authentication-Results: relay.contoso.test;\r\n\tspf=none"));
    assert!(content.ends_with(&format!("{large}\r\n")));
    assert_eq!(
        world.memory.disk().files().len(),
        1,
        "the first copy is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn forged_results_in_our_name_are_removed_and_those_of_others_stay() {
    let world = world().await;
    let forged = format!(
        "Authentication-Results: mx.other.example; spf=pass\r\n\
         authentication-results:\r\n Relay.Contoso.test 1; dmarc=pass\r\n\theader.from=x\r\n{MAIL}"
    );
    let mut client = world.greeted(STRANGER).await;
    client
        .mail("ben@example.org", "anna@contoso.test", &forged)
        .await;
    let content = world.content().await;
    let kept = format!("Authentication-Results: mx.other.example; spf=pass\r\n{MAIL}\r\n");
    assert!(content.ends_with(&kept), "{content}");
    assert_eq!(content.matches("uthentication-").count(), 2, "{content}");
    let repaired = &world.events("message.repaired").await[0];
    assert_eq!(repaired.repairs, ["forged-results"]);
    // A client of ours is known by better proofs.
    let mut client = world.greeted(PRINTER).await;
    let reply = client
        .mail("scan@contoso.test", "b@example.com", &forged)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let repaired = world.events("message.repaired").await;
    let removed = repaired
        .iter()
        .filter(|event| event.repairs.contains(&"forged-results"));
    assert_eq!(removed.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn dmarc_is_honoured_only_where_both_domains_want_it() {
    for (policy, honoured, expected) in [
        (
            "reject",
            true,
            "550 5.7.1 Fails the DMARC policy of example.org (DMARC ",
        ),
        ("reject", false, "250 2.0.0"),
        ("quarantine", true, "250 2.0.0"),
        ("none", true, "250 2.0.0"),
    ] {
        let world = if honoured {
            strict().await
        } else {
            world().await
        };
        texts(&world, "example.org", "v=spf1 -all");
        texts(
            &world,
            "_dmarc.example.org",
            &format!("v=DMARC1; p={policy}"),
        );
        let mut client = world.greeted(STRANGER).await;
        let reply = client
            .mail("ben@example.org", "anna@contoso.test", MAIL)
            .await;
        assert!(reply.starts_with(expected), "{policy} {honoured}: {reply}");
        if expected.starts_with("550") {
            world.assert_empty().await;
        } else {
            assert!(world.content().await.contains("dmarc=fail"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dns_that_does_not_answer_loses_no_message() {
    let world = strict().await;
    world
        .dns
        .set_fault("_dmarc.example.org", Some(DnsFault::Silence));
    let mut client = world.greeted(STRANGER).await;
    let began = tokio::time::Instant::now();
    let reply = client
        .mail("ben@example.org", "anna@contoso.test", MAIL)
        .await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    assert!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert!(world.content().await.contains("dmarc=temperror"));
}
