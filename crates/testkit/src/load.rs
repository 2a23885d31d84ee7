//! Clients under which a relay is killed: each message's content is computed from its number, so
//! that every octet can be checked at the other end.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::ledger::{Answer, Ledger};

const MARK: &str = "X-Ledger: ";
/// Every so many messages one is larger than what the store keeps in its rows.
const LARGE_EVERY: u64 = 50;
const LARGE_OCTETS: usize = 200 * 1_024;
const SMALL_OCTETS: usize = 2 * 1_024;

/// The content of message `number`, with CRLF line ends. Some lines start with dots.
pub fn content_of(number: u64) -> Vec<u8> {
    let size = if number % LARGE_EVERY == LARGE_EVERY - 1 {
        LARGE_OCTETS
    } else {
        SMALL_OCTETS
    };
    let mut content = format!(
        "From: load@contoso.test\r\nTo: sink@receiver.test\r\nSubject: message {number}\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}@load.contoso.test>\r\n\
         {MARK}{number}\r\n\r\n"
    )
    .into_bytes();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while content.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state.is_multiple_of(7) {
            content.push(b'.');
        }
        content.extend_from_slice(format!("{state:016x} line of message {number}\r\n").as_bytes());
    }
    content
}

/// The number of a message as it arrived, and whether what stands behind our mark is what was sent
/// (fields added on top do not count).
pub fn message_of_content(content: &[u8]) -> Option<(u64, bool)> {
    let text = String::from_utf8_lossy(content);
    let at = text.find(MARK)?;
    let number = text[at + MARK.len()..]
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()?;
    let sent = content_of(number);
    let intact = content.len() >= sent.len() && content.ends_with(&sent);
    Some((number, intact))
}

/// The number in `RCPT TO:<r1@receiver.test>`.
pub fn recipient_number(command: &str) -> Option<u32> {
    let at = command.find("<r")?;
    command[at + 2..].split('@').next()?.parse().ok()
}

/// Running clients.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// `clients` clients send until stopped, each message with the next number of `numbers`; a
    /// connection that ends is opened anew.
    pub fn start(
        to: SocketAddr,
        clients: usize,
        numbers: &Arc<AtomicU64>,
        ledger: &Arc<Ledger>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |_| {
            let (stop, numbers, ledger) =
                (Arc::clone(&stop), Arc::clone(numbers), Arc::clone(ledger));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if send_many(to, &stop, &numbers, &ledger).is_err() {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
            })
        };
        let threads = (0..clients).map(spawn).collect();
        Self { stop, threads }
    }

    /// Ends after the messages under way.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
    }
}

fn send_many(
    to: SocketAddr,
    stop: &AtomicBool,
    numbers: &AtomicU64,
    ledger: &Ledger,
) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut peer = Peer {
        writer: stream.try_clone()?,
        reader: BufReader::new(stream),
    };
    peer.reply()?;
    peer.command("EHLO load.contoso.test\r\n")?;
    while !stop.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        send_one(&mut peer, number, ledger)?;
    }
    peer.command("QUIT\r\n").map(drop)
}

fn send_one(peer: &mut Peer, number: u64, ledger: &Ledger) -> io::Result<()> {
    if peer.command("MAIL FROM:<load@contoso.test>\r\n")? != 250 {
        return Ok(());
    }
    let wanted = if number.is_multiple_of(5) { 2 } else { 1 };
    for recipient in 0..wanted {
        let reply = peer.command(&format!("RCPT TO:<r{recipient}@receiver.test>\r\n"))?;
        if reply != 250 {
            return Err(io::Error::other(format!("RCPT answered {reply}")));
        }
    }
    if peer.command("DATA\r\n")? != 354 {
        return Ok(());
    }
    let mut stuffed = Vec::new();
    for line in content_of(number).split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    let answer = peer.writer.write_all(&stuffed).and_then(|()| peer.reply());
    let seen = match &answer {
        Ok(250) => Answer::Accepted,
        Ok(_) => Answer::Refused,
        Err(_) => Answer::None,
    };
    ledger.answered(number, wanted, seen);
    answer.map(drop)
}

struct Peer {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Peer {
    fn command(&mut self, line: &str) -> io::Result<u16> {
        self.writer.write_all(line.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<u16> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                return code.ok_or_else(|| io::Error::other("no reply"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_recognised_and_damage_is_seen() {
        for number in [0, 7, LARGE_EVERY - 1] {
            let mut arrived = b"Received: from x by y; z\r\n".to_vec();
            arrived.extend(content_of(number));
            assert_eq!(message_of_content(&arrived), Some((number, true)));
            let at = arrived.len() - 9;
            arrived[at] ^= 1;
            assert_eq!(message_of_content(&arrived), Some((number, false)));
        }
        assert_eq!(
            recipient_number("RCPT TO:<r12@receiver.test> NOTIFY=NEVER"),
            Some(12)
        );
    }
}
