//! Every way of asking that has ever made some relay open, by clients of every kind.

use crate::world::{GOOD, Wish, World};

/// Who asks: the address it comes from and the reverse-path it names.
const CLIENTS: [(&str, &str, &str); 8] = [
    ("203.0.113.7", "someone@example.org", "a stranger"),
    ("203.0.113.7", "", "a stranger's notice"),
    (
        "203.0.113.7",
        "anna@contoso.test",
        "a stranger who claims to be ours",
    ),
    (
        "203.0.113.7",
        "anna@[198.51.100.1]",
        "a stranger who claims our address",
    ),
    (
        "203.0.113.7",
        "anna@relay.contoso.test",
        "a stranger who claims our name",
    ),
    (
        "203.0.113.8",
        "anna@sub.contoso.test",
        "a stranger who claims a name below ours",
    ),
    (
        "10.1.4.9",
        "scan@contoso.test",
        "a neighbour that no connector names",
    ),
    (
        "127.0.0.1",
        "root@localhost.test",
        "a program of this machine",
    ),
];

/// What they ask for. `example.org` is everybody else; the relay is `relay.contoso.test`,
/// 198.51.100.1, and its organisation's domain is `contoso.test`.
const PATTERNS: [&str; 35] = [
    "<b@example.org>",
    "b@example.org",
    "<b%example.org@contoso.test>",
    "<b%example.org@relay.contoso.test>",
    "<b%example.org@[198.51.100.1]>",
    "<b%example.org>",
    "<example.org!b@contoso.test>",
    "<example.org!b@relay.contoso.test>",
    "<example.org!b>",
    "<contoso.test!example.org!b>",
    "<\"b@example.org\">",
    "<\"b@example.org\"@contoso.test>",
    "<\"b@example.org\"@relay.contoso.test>",
    "<\"b@example.org\"@[198.51.100.1]>",
    "<\"b%example.org\">",
    "<\"b%example.org\"@contoso.test>",
    "<\"example.org!b\"@contoso.test>",
    "<b@example.org@contoso.test>",
    "<b@example.org@relay.contoso.test>",
    "<b@example.org@[198.51.100.1]>",
    "<@contoso.test:b@example.org>",
    "<@relay.contoso.test:b@example.org>",
    "<@[198.51.100.1]:b@example.org>",
    "<@contoso.test,@relay.contoso.test:b@example.org>",
    "<@contoso.test:b%example.org@contoso.test>",
    "<b@[192.0.2.1]>",
    "<b@[IPv6:2001:db8::25]>",
    "<b@192.0.2.1>",
    "<b@example.org.>",
    "<b@EXAMPLE.ORG>",
    "<b@contoso.test.example.org>",
    "<b@example.org:25>",
    "<b@example.org%contoso.test>",
    "<|/usr/bin/id@contoso.test>",
    "<\"|/bin/sh -c 'id'; `id` $(id) ${run{id}}\"@contoso.test>",
];

#[tokio::test(start_paused = true)]
async fn no_way_of_asking_makes_it_relay_for_somebody_it_does_not_know() {
    let world = World::new(Wish {
        per_stranger_max: 100,
        ..Wish::default()
    })
    .await;
    for (address, sender, who) in CLIENTS {
        for pattern in PATTERNS {
            let mut client = world.greeted(address).await;
            let said = client.say(&format!("MAIL FROM:<{sender}>")).await;
            // Refused already is as good; what is not is asked on.
            if !said.starts_with("250") {
                continue;
            }
            let reply = client.say(&format!("RCPT TO:{pattern}")).await;
            assert!(reply.starts_with('5'), "{who}, {pattern}: {reply}");
            let data = client.say("DATA").await;
            assert!(data.starts_with('5'), "{who}, {pattern}: {data}");
        }
    }
    world.assert_empty().await;
}

#[tokio::test(start_paused = true)]
async fn what_may_come_in_still_comes_in_from_those_whose_sender_can_be_answered() {
    let world = World::new(Wish::default()).await;
    let mut taken = Vec::new();
    for (address, sender, who) in CLIENTS {
        let mut client = world.greeted(address).await;
        let said = client.say(&format!("MAIL FROM:<{sender}>")).await;
        let reply = client.say("RCPT TO:<anna@contoso.test>").await;
        if said.starts_with("250") && reply.starts_with("250") {
            client.play(&[("DATA", "354")]).await;
            let reply = client.say(&format!("{GOOD}.")).await;
            assert!(reply.starts_with("250 2.0.0"), "{who}: {reply}");
            taken.push(who);
        }
    }
    assert!(taken.contains(&"a stranger") && taken.contains(&"a stranger's notice"));
}
