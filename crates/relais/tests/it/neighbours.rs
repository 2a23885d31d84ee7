//! Two organisations on one server: what one of them does, suffers, or has wrong changes nothing
//! for the other. Its mail arrives as before, it is refused the same things with the same words,
//! and its bounds are its own.

use crate::receiver::Receiver;
use crate::support::{BEHIND_PROXY, Place, Server, Session};

/// A device of the one that has bad luck.
const UNLUCKY: &str = "11.1.2.9";
/// A device of the one next to it.
const NEIGHBOUR: &str = "11.9.9.7";
const STRANGER: &str = "198.51.100.7";
/// Recipients that each organisation may have in a day, and in an hour before its mail waits.
const DAY: usize = 20;
const HOUR: usize = 12;
/// Connections of each at the same time.
const CONNECTIONS: usize = 3;

/// The server, and where the mail of each goes.
struct House {
    server: Server,
    of_unlucky: Receiver,
    of_neighbour: Receiver,
}

fn organisation(name: &str, network: &str, next_hop: &str) -> String {
    format!(
        "[[organisation]]\nname = \"{name}\"\npostmaster = \"it@{name}.test\"\n\
         limits = {{ recipients_per_hour = {HOUR}, \
         recipients_per_day = {{ value = {DAY}, hard = true }}, \
         connections = {{ value = {CONNECTIONS}, hard = true }} }}\n\
         [[organisation.domain]]\nname = \"{name}.test\"\nverification = \"assumed\"\n\
         [[organisation.inbound_connector]]\nname = \"Devices\"\n\
         sender_ip_addresses = [\"{network}\"]\n\
         [[organisation.outbound_connector]]\nname = \"Out\"\nsmart_hosts = [\"{next_hop}\"]\n\
         tls = \"none\"\n"
    )
}

impl House {
    fn new() -> Self {
        let (of_unlucky, of_neighbour) = (Receiver::start(), Receiver::start());
        let server = Place::new(BEHIND_PROXY).with_mode("hosted").serve();
        let house = Self {
            server,
            of_unlucky,
            of_neighbour,
        };
        let next_hop = house.of_unlucky.address().to_string();
        house.server.apply(&house.settings(&next_hop)).expect(0);
        house
    }

    fn settings(&self, next_hop_of_unlucky: &str) -> String {
        let of_neighbour = self.of_neighbour.address().to_string();
        organisation("contoso", "11.1.2.0/28", next_hop_of_unlucky)
            + &organisation("fabrikam", "11.9.9.0/28", &of_neighbour)
    }

    fn device(&self, address: &str) -> Session {
        let mut session = self.server.session_from(address);
        session.hear();
        session.say("EHLO device");
        session
    }

    /// One message; the last reply, which is the first that is no 250.
    fn send(&self, session: &mut Session, from: &str, to: &str) -> String {
        let lines = [
            format!("MAIL FROM:<{from}>"),
            format!("RCPT TO:<{to}>"),
            "DATA".to_owned(),
            format!("From: {from}\r\nTo: {to}\r\nSubject: page\r\n\r\nhello\r\n."),
        ];
        let mut reply = String::new();
        for line in lines {
            reply = session.say(&line);
            if !reply.starts_with(['2', '3']) {
                session.say("RSET");
                break;
            }
        }
        reply
    }

    /// Everything that the neighbour and a stranger may and may not, in the words of the replies;
    /// and its mail arrives at once.
    #[track_caller]
    fn what_the_neighbour_meets(&self, number: usize) -> Vec<String> {
        let mut session = self.device(NEIGHBOUR);
        let to = format!("meets{number}@example.org");
        let mut met = Vec::new();
        for line in [
            "MAIL FROM:<a@contoso.test>",
            "MAIL FROM:<a@elsewhere.example>",
            "MAIL FROM:<a@fabrikam.test> SIZE=99999999999",
            "MAIL FROM:<nobody",
            "VRFY it@fabrikam.test",
        ] {
            met.push(in_words(&session.say(line)));
            session.say("RSET");
        }
        met.push(in_words(&self.send(&mut session, "a@fabrikam.test", &to)));
        session.say("QUIT");
        let mut stranger = self.device(STRANGER);
        met.push(in_words(&self.send(
            &mut stranger,
            "a@fabrikam.test",
            "b@example.org",
        )));
        stranger.say("QUIT");
        self.of_neighbour.wait_for_recipient(&to);
        met
    }

    /// Sends until it is refused; how many were taken, and the refusal.
    fn flood(&self, session: &mut Session, from: &str, begin: usize) -> (usize, String) {
        let mut taken = 0;
        loop {
            let to = format!("flood{}@example.org", begin + taken);
            let reply = self.send(session, from, &to);
            if !reply.starts_with("250 ") {
                return (taken, in_words(&reply));
            }
            taken += 1;
            assert!(taken <= DAY, "nothing stops it");
        }
    }

    fn listed(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let all = [&["--json"], arguments].concat();
        self.server.relais(&all).expect(0).json_lines()
    }
}

/// A reply without reference, queue id and time.
fn in_words(reply: &str) -> String {
    let reply = reply.split(", resets ").next().unwrap_or_default();
    let words = reply.split("Queued as ").next().unwrap_or_default();
    match words.rsplit_once(' ') {
        Some((words, reference)) if reference.ends_with(')') && reference.len() == 6 => {
            words.to_owned()
        }
        _ => words.to_owned(),
    }
}

#[test]
fn what_the_neighbour_meets_is_worth_comparing() {
    let house = House::new();
    let met = house.what_the_neighbour_meets(0);
    let codes: Vec<_> = met.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(
        codes.iter().filter(|code| **code == "250").count(),
        1,
        "{met:?}"
    );
    assert!(
        met.iter().any(|reply| reply.contains("(FROM-DOMAIN")),
        "{met:?}"
    );
    assert!(
        met.iter().any(|reply| reply.contains("(SRC-UNKNOWN")),
        "{met:?}"
    );
    // The broken twin: what befalls the neighbour itself is seen.
    let stop = ["panic", "connector", "fabrikam/Devices"];
    house.server.relais(&stop).expect(0);
    let mut session = house.device(NEIGHBOUR);
    let reply = house.send(&mut session, "a@fabrikam.test", "b@example.org");
    assert_ne!(Some(&in_words(&reply)), met.get(5), "{reply}");
}

#[test]
fn a_flood_of_one_meets_its_own_bounds_and_the_other_has_all_of_its_own() {
    let house = House::new();
    let before = house.what_the_neighbour_meets(0);
    // As many connections as it may have: one more is refused, of this one only.
    let mut held: Vec<_> = (0..CONNECTIONS).map(|_| house.device(UNLUCKY)).collect();
    let banner = house.server.session_from(UNLUCKY).hear();
    assert!(banner.starts_with("421 "), "{banner}");
    let (taken, refusal) = house.flood(&mut held[0], "a@contoso.test", 0);
    assert_eq!(taken, DAY);
    assert!(refusal.contains("Daily quota 20 reached"), "{refusal}");
    house.of_unlucky.wait_for_count(HOUR);
    let waiting = house.listed(&["queue", "list"]);
    assert_eq!(waiting.len(), DAY - HOUR, "{waiting:?}");
    assert!(
        waiting.iter().all(|one| one["organisation"] == "contoso"),
        "{waiting:?}"
    );
    assert_eq!(house.what_the_neighbour_meets(1), before);
    drop(held);

    // The other's bounds are as high, and nothing of them is used up but by itself.
    let mut session = house.device(NEIGHBOUR);
    let (taken, refused) = house.flood(&mut session, "a@fabrikam.test", 100);
    assert_eq!((taken, refused), (DAY - 2, refusal));
    house.of_neighbour.wait_for_count(HOUR);
    assert_eq!(house.of_unlucky.arrivals().len(), HOUR);
    let arrived = house.of_neighbour.arrivals();
    assert!(
        arrived.iter().all(|one| one.from.contains("fabrikam")),
        "{arrived:?}"
    );
}

#[test]
fn what_is_stopped_held_or_undeliverable_for_one_is_not_for_the_other() {
    let house = House::new();
    let before = house.what_the_neighbour_meets(0);
    let send = |to: &str| {
        let mut session = house.device(UNLUCKY);
        let reply = house.send(&mut session, "a@contoso.test", to);
        session.say("QUIT");
        reply
    };
    // Its next hop is away: its mail waits.
    house.of_unlucky.go_away(true);
    for number in 0..3 {
        assert!(send(&format!("waits{number}@example.org")).starts_with("250 "));
    }
    assert_eq!(house.what_the_neighbour_meets(1), before);
    // It is held as a whole, then refused.
    let hold = ["panic", "organisation", "contoso", "--hold"];
    house.server.relais(&hold).expect(0);
    assert!(send("held@example.org").starts_with("250 "));
    assert_eq!(house.what_the_neighbour_meets(2), before);
    house
        .server
        .relais(&["panic", "organisation", "contoso", "--off"])
        .expect(0);
    house
        .server
        .relais(&["panic", "organisation", "contoso"])
        .expect(0);
    let refused = send("refused@example.org");
    assert!(refused.starts_with("550 "), "{refused}");
    assert_eq!(house.what_the_neighbour_meets(3), before);
    // One of its addresses is suppressed; the other organisation writes to it all the same.
    house
        .server
        .relais(&["panic", "organisation", "contoso", "--off"])
        .expect(0);
    let suppress = [
        "suppression",
        "add",
        "both@example.org",
        "--organisation",
        "contoso",
    ];
    house
        .server
        .relais(&[&suppress[..], &["--reason", "test"]].concat())
        .expect(0);
    assert!(!send("both@example.org").starts_with('2'));
    let mut session = house.device(NEIGHBOUR);
    let taken = house.send(&mut session, "a@fabrikam.test", "both@example.org");
    assert!(taken.starts_with("250 "), "{taken}");
    house.of_neighbour.wait_for_recipient("both@example.org");
    let left = house.of_unlucky.arrivals();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn bad_data_of_one_is_refused_whole_or_hurts_that_one_only() {
    let house = House::new();
    let before = house.what_the_neighbour_meets(0);
    let good = house.settings(&house.of_unlucky.address().to_string());
    // What cannot be: refused, and nothing of it counts, for nobody.
    for (right, wrong) in [
        (
            "sender_ip_addresses = [\"11.1.2.0/28\"]",
            "sender_ip_addresses = [\"11.9.9.0/28\"]",
        ),
        (
            "sender_ip_addresses = [\"11.1.2.0/28\"]",
            "sender_ip_addresses = [\"printer\"]",
        ),
        (
            "name = \"contoso.test\"\nverification = \"assumed\"",
            "name = \"con toso\"",
        ),
        (
            "postmaster = \"it@contoso.test\"",
            "postmaster = \"nobody\"",
        ),
    ] {
        assert!(good.contains(right), "{right}");
        let refused = house.server.apply(&good.replacen(right, wrong, 1));
        assert_ne!(refused.code, 0, "{wrong}");
        assert_eq!(house.server.apply(&good).expect(0).code, 0);
    }
    assert_eq!(house.what_the_neighbour_meets(1), before);
    // What can be and leads nowhere: a name that DNS does not have, a domain that is not proven,
    // the other's own domain.
    let claims = "name = \"contoso.test\"\nverification = \"dns\"\n\
                  [[organisation.domain]]\nname = \"fabrikam.test\"\nverification = \"dns\"";
    let lost = house.settings("nowhere.invalid:25").replacen(
        "name = \"contoso.test\"\nverification = \"assumed\"",
        claims,
        1,
    );
    house.server.apply(&lost).expect(0);
    let mut session = house.device(UNLUCKY);
    for from in ["a@contoso.test", "a@fabrikam.test"] {
        let reply = house.send(&mut session, from, "b@example.org");
        assert!(!reply.starts_with('2'), "{from}: {reply}");
    }
    assert_eq!(house.what_the_neighbour_meets(2), before);
}
