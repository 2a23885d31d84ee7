//! Time and memory of the wire, on simulated time.

use relais_smtp::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;

fn wire() -> (Wire, Stream) {
    let (near, far) = Stream::pair();
    (
        Wire::new(near, Clock::simulated(Timestamp::from_millis(0))),
        far,
    )
}

const SECOND: Duration = Duration::from_secs(1);

/// Sends one octet each `pause`, for ever.
async fn trickle(mut peer: Stream, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if peer.write_all(b"a").await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_command_line_is_cut_after_its_time_not_each_read() {
    let (mut wire, peer) = wire();
    let begin = Moment::now();
    let slow = tokio::spawn(trickle(peer, 60 * SECOND));
    let end = loop {
        match wire.read(Wait::Command, None).await {
            ReadEnd::Octets => {}
            end => break end,
        }
    };
    assert_eq!(end, ReadEnd::TimedOut);
    assert_eq!(begin.elapsed(), COMMAND_TIMEOUT);
    slow.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reply_begins_a_new_request() {
    let (mut wire, mut peer) = wire();
    let begin = Moment::now();
    for _ in 0..3 {
        tokio::time::sleep(200 * SECOND).await;
        peer.write_all(b"NOOP\r\n").await.expect("room");
        assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::Octets);
        wire.consume(6);
        wire.send(&mut b"250 ok\r\n".to_vec()).await.expect("room");
    }
    assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::TimedOut);
    assert_eq!(begin.elapsed(), 600 * SECOND + COMMAND_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn each_block_of_content_has_its_own_time() {
    let (mut wire, mut peer) = wire();
    let begin = Moment::now();
    let block = vec![b'a'; usize::try_from(CONTENT_BLOCK_OCTETS).expect("small")];
    let writing = tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(170 * SECOND).await;
            peer.write_all(&block).await.expect("the reader reads");
        }
        tokio::time::sleep(1_000 * SECOND).await;
    });
    let mut total = 0;
    let end = loop {
        match wire.read(Wait::Content, None).await {
            ReadEnd::Octets => {
                let count = wire.unread().len();
                total += count;
                wire.consume(count);
            }
            end => break end,
        }
    };
    assert_eq!(
        (end, total),
        (ReadEnd::TimedOut, 10 * 64 * 1_024),
        "steady is not slow"
    );
    assert_eq!(begin.elapsed(), 1_700 * SECOND + CONTENT_TIMEOUT);
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn less_than_a_block_in_its_time_is_too_slow() {
    let (mut wire, peer) = wire();
    let begin = Moment::now();
    let slow = tokio::spawn(trickle(peer, SECOND));
    let end = loop {
        match wire.read(Wait::Content, None).await {
            ReadEnd::Octets => wire.consume(wire.unread().len()),
            end => break end,
        }
    };
    assert_eq!((end, begin.elapsed()), (ReadEnd::TimedOut, CONTENT_TIMEOUT));
    slow.abort();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_cut() {
    let (mut wire, _peer) = wire();
    let begin = Moment::now();
    let mut replies = vec![b'a'; 100 * 1_024];
    assert_eq!(wire.send(&mut replies).await, Err(WireBroken));
    assert_eq!(begin.elapsed(), WRITE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn no_session_lives_longer_than_a_day() {
    let (mut wire, mut peer) = wire();
    let begin = Moment::now();
    let busy = tokio::spawn(async move {
        while peer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(100 * SECOND).await;
        }
    });
    while wire.read(Wait::Command, None).await == ReadEnd::Octets {
        wire.consume(wire.unread().len());
        wire.send(&mut b"b".to_vec()).await.expect("room");
    }
    assert_eq!(begin.elapsed(), SESSION_TIMEOUT);
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_wakes_only_who_may_be_woken() {
    let (mut wire, _peer) = wire();
    let token = CancellationToken::new();
    let mut draining = Box::pin(token.clone().cancelled_owned());
    token.cancel();
    let begin = Moment::now();
    let end = wire.read(Wait::Command, Some(draining.as_mut())).await;
    assert_eq!((end, begin.elapsed()), (ReadEnd::Draining, Duration::ZERO));
    assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn an_idle_wire_holds_no_buffer_and_a_half_line_no_more_than_itself() {
    let (mut wire, mut peer) = wire();
    for (sent, kept) in [("", 0), ("NOOP\r\nMAIL", 4)] {
        peer.write_all(sent.as_bytes()).await.expect("room");
        if !sent.is_empty() {
            assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::Octets);
            wire.consume(sent.len() - kept);
        }
        let waiting = tokio::time::timeout(SECOND, wire.read(Wait::Command, None)).await;
        assert!(waiting.is_err());
        assert_eq!(wire.unread.capacity(), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_what_the_peer_still_sends_is_read_for_a_while() {
    let (wire, mut peer) = wire();
    let begin = Moment::now();
    let sending = tokio::spawn(async move {
        while peer.write_all(b"DATA\r\n").await.is_ok() {
            tokio::time::sleep(SECOND / 10).await;
        }
    });
    wire.close(Linger::Yes).await;
    assert_eq!(begin.elapsed(), LINGER_TIMEOUT);
    sending.await.expect("it ends when we are gone");
}

#[tokio::test(start_paused = true)]
async fn end_of_file_and_reset_are_told_apart_from_octets() {
    let (mut wire, mut peer) = wire();
    peer.write_all(b"QUIT\r\n").await.expect("room");
    peer.shutdown().await.expect("open");
    assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::Octets);
    wire.consume(6);
    assert_eq!(wire.read(Wait::Command, None).await, ReadEnd::EndOfFile);
    drop(peer);
    assert_eq!(
        wire.send(&mut b"221 bye\r\n".to_vec()).await,
        Err(WireBroken)
    );
}
