//! What time others say that it is: one question to a time server. RFC 4330 §5.
//!
//! Not here: setting the clock (the system does), judging (`relais_policy::check`).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::clock::Clock;

/// Octets of a question and of an answer without extensions. RFC 4330 §4.
const MESSAGE_OCTETS: usize = 48;
/// No leap second known, version 4, mode "client". RFC 4330 §4.
const QUESTION_HEAD: u8 = 0b00_100_011;
/// Mode "server".
const MODE_SERVER: u8 = 4;
/// Seconds from 1900, where time servers begin to count, to 1970. RFC 4330 §3.
const SECONDS_TO_1970: i64 = 2_208_988_800;
/// They count 2^32 seconds; what lies before 1968 belongs to the era that begins in 2036.
const ERA_SECONDS: i64 = 1 << 32;

/// How many milliseconds our clock is ahead of this server's. The caller keeps the time.
///
/// # Errors
/// If no answer of its form comes.
pub async fn ahead(clock: &Clock, server: SocketAddr) -> io::Result<i64> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let mut question = [0; MESSAGE_OCTETS];
    question[0] = QUESTION_HEAD;
    let (asked, began) = (clock.now().as_millis(), clock.moment());
    // Sent back by the server: whoever does not see the question cannot answer it.
    let mark = began_mark(asked);
    question[40..48].copy_from_slice(&mark);
    socket.send(&question).await?;
    let mut answer = [0; MESSAGE_OCTETS];
    loop {
        let octets = socket.recv(&mut answer).await?;
        if octets == MESSAGE_OCTETS && answer[24..32] == mark {
            break;
        }
    }
    let took = clock.moment().saturating_duration_since(began);
    read(&answer, asked, took).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn began_mark(millis: i64) -> [u8; 8] {
    millis.to_be_bytes()
}

/// The difference between our clock at the middle of the wait and the server's time.
fn read(answer: &[u8; MESSAGE_OCTETS], asked: i64, took: Duration) -> Option<i64> {
    let (mode, stratum) = (answer[0] & 0b111, answer[1]);
    // Stratum 0 is "ask me no more" (RFC 4330 §8); above 15 the server has no time itself.
    if mode != MODE_SERVER || !(1..=15).contains(&stratum) {
        return None;
    }
    let middle = |from: usize| -> Option<i64> {
        let seconds = u32::from_be_bytes(answer.get(from..from + 4)?.try_into().ok()?);
        let fraction = u32::from_be_bytes(answer.get(from + 4..from + 8)?.try_into().ok()?);
        let seconds = match i64::from(seconds) - SECONDS_TO_1970 {
            early if seconds >> 31 == 0 => early + ERA_SECONDS,
            late => late,
        };
        Some(seconds * 1_000 + ((i64::from(fraction) * 1_000) >> 32))
    };
    let (heard, said) = (middle(32)?, middle(40)?);
    let half = i64::try_from(took.as_millis() / 2).ok()?;
    Some(asked + half - i64::midpoint(heard, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(seconds: u32, stratum: u8) -> [u8; MESSAGE_OCTETS] {
        let mut answer = [0; MESSAGE_OCTETS];
        (answer[0], answer[1]) = (0b00_100_100, stratum);
        for from in [32, 40] {
            answer[from..from + 4].copy_from_slice(&seconds.to_be_bytes());
        }
        answer
    }

    #[test]
    fn the_difference_is_taken_at_the_middle_of_the_wait() {
        // 2026-11-24T10:00:00Z, and the same second in the era after 2036.
        let seconds = 1_795_514_400_u32.wrapping_add(2_208_988_800);
        let ours = 1_795_514_403_000;
        let took = Duration::from_millis(200);
        assert_eq!(read(&answer(seconds, 2), ours, took), Some(3_100));
        assert_eq!(read(&answer(seconds, 0), ours, took), None);
        assert_eq!(read(&answer(seconds, 16), ours, took), None);
        let later = answer(0, 1);
        let turn = (ERA_SECONDS - SECONDS_TO_1970) * 1_000;
        assert_eq!(read(&later, turn, Duration::ZERO), Some(0));
        let mut question = answer(seconds, 2);
        question[0] = QUESTION_HEAD;
        assert_eq!(read(&question, ours, took), None);
    }

    #[tokio::test]
    async fn a_server_is_asked_once_and_answers_that_are_not_ours_are_not_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address");
        let clock = Clock::system();
        let asking = tokio::spawn({
            let clock = clock.clone();
            async move { ahead(&clock, address).await }
        });
        let mut question = [0; MESSAGE_OCTETS];
        let (_, client) = server.recv_from(&mut question).await.expect("a question");
        let now = clock.now().as_millis() / 1_000 + SECONDS_TO_1970 - 60;
        let mut told = answer(u32::try_from(now).expect("before 2036"), 2);
        server.send_to(&told, client).await.expect("sent");
        told[24..32].copy_from_slice(&question[40..48]);
        server.send_to(&told, client).await.expect("sent");
        let ahead = asking.await.expect("no panic").expect("an answer");
        assert!((59_000..=62_000).contains(&ahead), "{ahead}");
    }
}
