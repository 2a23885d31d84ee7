//! Checkers that answer, lie, are slow, or are not there, over the simulated wire.

use std::collections::VecDeque;

use relais_policy::content::Verdict;

use super::*;
use crate::clock::Chance;
use crate::resolver::Resolver;
use crate::simulated_dns::SimulatedDns;
use crate::simulation::SimulatedNetwork;
use relais_smtp::time::Timestamp;

/// Longer than any answer, shorter than a test may take by the simulated clock.
const TIME: Duration = Duration::from_secs(20);

struct Pieces(VecDeque<Arc<[u8]>>);

impl Content for Pieces {
    async fn next(&mut self) -> Result<Arc<[u8]>, CheckFault> {
        Ok(self.0.pop_front().unwrap_or_default())
    }
}

fn content() -> Pieces {
    let pieces = [&b"Subject: x\r\n"[..], b"\r\nhello\r\n"];
    Pieces(pieces.map(Arc::from).into())
}

fn facts() -> CheckFacts {
    CheckFacts {
        address: [10, 1, 2, 9].into(),
        helo: "scan".to_owned(),
        hostname: "relay.test".to_owned(),
        queue_id: "q1".to_owned(),
        from: "a@b.test".to_owned(),
        to: vec!["c@d.test".to_owned()],
        user: None,
        size: 21,
    }
}

/// What the checker of these tests does with a connection.
#[derive(Clone, Copy)]
enum Habit {
    /// Reads this many octets, says this, closes.
    Says(usize, &'static [u8]),
    /// Closes at once.
    Closes,
    /// Never answers.
    Sleeps,
}

/// What one answers that has this habit, and what it read.
async fn asked(kind: CheckerKind, habit: Habit) -> (Result<Opinion, CheckFault>, Vec<u8>) {
    let clock = Clock::simulated(Timestamp::from_millis(0));
    let wire = SimulatedNetwork::new(Chance::seeded(1), Default::default());
    let resolver = || Resolver::simulated(&SimulatedDns::new(Default::default()));
    let address: SocketAddr = "192.0.2.10:3310".parse().expect("an address");
    let far = Network::simulated(&wire, vec![address.ip()], resolver());
    let near = Network::simulated(&wire, vec![[192, 0, 2, 1].into()], resolver());
    let listener = far.listen(address).await.expect("it listens");
    let checker = tokio::spawn(async move {
        let mut stream = listener.accept().await.expect("a connection").stream;
        let mut read = Vec::new();
        match habit {
            Habit::Says(octets, words) => {
                read.resize(octets, 0);
                stream
                    .read_exact(&mut read)
                    .await
                    .expect("as much as awaited");
                // It may have heard enough before the end.
                let _ = stream.write_all(words).await;
            }
            Habit::Closes => {}
            Habit::Sleeps => std::future::pending().await,
        }
        read
    });
    let place = HostPort::parse("192.0.2.10:3310", 0).expect("a place");
    let options = CheckerOptions {
        name: "it".to_owned(),
        kind,
        place: CheckerPlace::Host(place),
    };
    let checkers = Checkers::new(vec![options], near, clock);
    let mut answers = checkers
        .ask(
            (&"contoso".into(), &["it".to_owned()]),
            &facts(),
            TIME,
            content,
        )
        .await;
    let said = answers.remove(0).said;
    let read = match habit {
        Habit::Sleeps => Vec::new(),
        _ => checker.await.expect("the checker ends"),
    };
    (said, read)
}

/// `zINSTREAM\0`, two pieces with their lengths, the end.
const CLAMD_OCTETS: usize = 10 + 4 + 12 + 4 + 9 + 4;

#[tokio::test(start_paused = true)]
async fn clamd_reads_the_pieces_and_names_what_it_finds() {
    let habit = Habit::Says(CLAMD_OCTETS, b"stream: Eicar FOUND\0");
    let (said, read) = asked(CheckerKind::Clamav, habit).await;
    assert_eq!(said, Ok(Opinion::of(Verdict::Malware, "Eicar")));
    let expected = b"zINSTREAM\0\0\0\0\x0cSubject: x\r\n\0\0\0\x09\r\nhello\r\n\0\0\0\0";
    assert_eq!(read, expected);
}

#[tokio::test(start_paused = true)]
async fn clamd_that_closes_before_the_end_may_say_why() {
    let habit = Habit::Says(4, b"INSTREAM size limit exceeded. ERROR\0");
    let (said, _) = asked(CheckerKind::Clamav, habit).await;
    let fault = said.expect_err("no opinion");
    assert!(fault.to_string().contains("size limit"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn rspamd_is_asked_for_the_whole_message() {
    let answer = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
        {\"score\":16.0,\"required_score\":15.0,\"action\":\"reject\",\
        \"symbols\":{\"GTUBE\":{\"name\":\"GTUBE\",\"score\":15.0}},\"unknown\":[1]}";
    let head = rspamd::request_head(&facts());
    let habit = Habit::Says(head.len() + 21, answer);
    let (said, read) = asked(CheckerKind::Rspamd, habit).await;
    assert_eq!(
        said,
        Ok(Opinion::of(Verdict::Refuse, "reject, 16.0 of 15.0 (GTUBE)"))
    );
    assert!(read.ends_with(b"\r\n\r\nSubject: x\r\n\r\nhello\r\n"));
}

#[tokio::test(start_paused = true)]
async fn one_that_lies_breaks_off_or_sleeps_gives_no_opinion() {
    for kind in [CheckerKind::Clamav, CheckerKind::Rspamd] {
        for habit in [Habit::Says(4, b"I am a teapot\r\n\r\n"), Habit::Closes] {
            let (said, _) = asked(kind, habit).await;
            assert!(said.is_err(), "{said:?}");
        }
        let (said, _) = asked(kind, Habit::Sleeps).await;
        assert_eq!(said, Err(CheckFault::TimedOut));
    }
}

#[tokio::test(start_paused = true)]
async fn one_without_end_is_cut_off() {
    static ENDLESS: [u8; 1 << 21] = [b'x'; 1 << 21];
    let (said, _) = asked(CheckerKind::Clamav, Habit::Says(4, &ENDLESS)).await;
    assert!(matches!(said, Err(CheckFault::Protocol(_))), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_configured_or_that_is_not_there_is_a_fault() {
    let clock = Clock::simulated(Timestamp::from_millis(0));
    let wire = SimulatedNetwork::new(Chance::seeded(1), Default::default());
    let resolver = Resolver::simulated(&SimulatedDns::new(Default::default()));
    let near = Network::simulated(&wire, vec![[192, 0, 2, 1].into()], resolver);
    let options = CheckerOptions {
        name: "gone".to_owned(),
        kind: CheckerKind::Clamav,
        place: CheckerPlace::Socket("/nonexistent/clamd.ctl".into()),
    };
    let checkers = Checkers::new(vec![options], near, clock);
    let names = ["gone".to_owned(), "unknown".to_owned()];
    let answers = checkers
        .ask((&"contoso".into(), &names), &facts(), TIME, content)
        .await;
    assert!(
        matches!(answers[0].said, Err(CheckFault::Unreachable(_))),
        "{answers:?}"
    );
    assert_eq!(answers[1].said, Err(CheckFault::Unknown));
}
