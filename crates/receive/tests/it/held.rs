//! What a client may hand in while its mail is held.

use std::time::Duration;

use relais_policy::restriction::{Effect, Entity};

use crate::world::{Client, PRINTER, World, world};

/// Recipients of one message.
const RECIPIENTS: usize = 100;

async fn hold(world: &World, entity: Entity) {
    world.restrict(entity, Effect::Hold).await;
}

/// One message to a hundred recipients, in one piece (CHUNKING): its last reply.
async fn send(client: &mut Client, number: usize) -> String {
    let mut whole = "MAIL FROM:<scan@contoso.test>\r\n".to_owned();
    for to in 0..RECIPIENTS {
        whole.push_str(&format!("RCPT TO:<r{number}-{to}@example.org>\r\n"));
    }
    let content = "From: scan@contoso.test\r\nSubject: scan\r\n\r\nhello\r\n";
    whole.push_str(&format!("BDAT {} LAST\r\n{content}", content.len()));
    client.send(&whole).await;
    for _ in 0..=RECIPIENTS {
        client.reply().await;
    }
    client.reply().await
}

#[tokio::test(start_paused = true)]
async fn a_held_client_is_told_to_wait_when_much_of_it_waits_and_its_neighbour_is_not() {
    let world = world().await;
    let device = Entity::device("contoso", "Printers", PRINTER.parse().expect("an address"));
    hold(&world, device.clone()).await;
    let mut client = world.greeted(PRINTER).await;
    for number in 0..100 {
        let reply = send(&mut client, number).await;
        assert!(reply.starts_with("250"), "{number}: {reply}");
    }
    let mail = ("MAIL FROM:<scan@contoso.test>", "250");
    client.play(&[mail]).await;
    let reply = client.say("RCPT TO:<one@example.org>").await;
    assert!(
        reply.starts_with("450 4.7.1") && reply.contains("(HELD-FULL "),
        "{reply}"
    );
    let mut neighbour = world.greeted("10.1.2.10").await;
    let taken = neighbour
        .mail("scan@contoso.test", "one@example.org", "Subject: x\r\n")
        .await;
    assert!(taken.starts_with("250"), "{taken}");

    world.release(device.clone()).await;
    client.play(&[("RSET", "250"), mail]).await;
    let reply = client.say("RCPT TO:<one@example.org>").await;
    assert!(reply.starts_with("250"), "{reply}");
    // Held once more it begins anew.
    tokio::time::sleep(Duration::from_secs(1)).await;
    hold(&world, device).await;
    let reply = client.say("RCPT TO:<two@example.org>").await;
    assert!(reply.starts_with("250"), "{reply}");
}
