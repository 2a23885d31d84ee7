//! Whatever a server says, the session does not panic, and "accepted" is never said of a recipient
//! for which the server did not take the content.

use proptest::prelude::*;
use relais_smtp::client::{ClientSession, ClientStep, Protocol, RecipientResult};

use super::{CONTENT, GREETING, session, transaction};

/// A server that reads what the client says and answers in order, with the codes it is given.
struct Server {
    lmtp: bool,
    chunking: bool,
    codes: Vec<u16>,
    asked: usize,
    unread: Vec<u8>,
    in_data: bool,
    sender: bool,
    /// For each RCPT: whether it was accepted, and whether its content was taken.
    recipients: Vec<(bool, bool)>,
}

impl Server {
    fn code(&mut self) -> u16 {
        self.asked += 1;
        self.codes.get(self.asked).copied().unwrap_or(250)
    }

    /// Reads the client's octets; gives the replies.
    fn read(&mut self, octets: &[u8]) -> String {
        self.unread.extend_from_slice(octets);
        let mut replies = String::new();
        loop {
            if self.in_data {
                let Some(end) = find(&self.unread, b"\r\n.\r\n")
                    .map(|at| at + 5)
                    .or_else(|| self.unread.starts_with(b".\r\n").then_some(3))
                else {
                    return replies;
                };
                self.unread.drain(..end);
                self.in_data = false;
                self.end_content(&mut replies);
                continue;
            }
            let Some(end) = find(&self.unread, b"\r\n") else {
                return replies;
            };
            let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            if let Some(size) = line.strip_prefix("BDAT ") {
                let size: usize = size.trim_end_matches(" LAST").parse().expect("a size");
                if self.unread.len() < end + 2 + size {
                    return replies;
                }
                self.unread.drain(..size);
            }
            self.unread.drain(..end + 2);
            self.command(&line, &mut replies);
        }
    }

    fn command(&mut self, line: &str, replies: &mut String) {
        let verb = line.split(' ').next().unwrap_or_default();
        let code = self.code();
        match verb {
            "EHLO" if self.chunking => {
                replies.push_str("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
            }
            "EHLO" | "LHLO" => replies.push_str("250-mx\r\n250 PIPELINING\r\n"),
            "MAIL" => {
                self.sender = code < 300;
                replies.push_str(&format!("{code} said\r\n"));
            }
            "RCPT" => {
                let code = if self.sender { code } else { 503 };
                self.recipients.push((code < 300, false));
                replies.push_str(&format!("{code} said\r\n"));
            }
            "DATA" => {
                let granted = code < 300 && self.any();
                self.in_data = granted;
                replies.push_str(if granted { "354 go\r\n" } else { "554 no\r\n" });
            }
            "BDAT" if !self.any() => replies.push_str("503 no\r\n"),
            "BDAT" => {
                self.asked -= 1;
                self.end_content(replies);
            }
            _ => replies.push_str("250 ok\r\n"),
        }
    }

    fn any(&self) -> bool {
        self.sender && self.recipients.iter().any(|recipient| recipient.0)
    }

    fn end_content(&mut self, replies: &mut String) {
        let code = if self.lmtp { 0 } else { self.code() };
        for place in 0..self.recipients.len() {
            if self.recipients[place].0 {
                let code = if self.lmtp { self.code() } else { code };
                self.recipients[place].1 = code < 300;
                if self.lmtp {
                    replies.push_str(&format!("{code} said\r\n"));
                }
            }
        }
        if !self.lmtp {
            replies.push_str(&format!("{code} said\r\n"));
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn code() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(250_u16), 1 => Just(450), 1 => Just(550), 1 => Just(251)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn accepted_means_that_the_server_took_the_content(
        codes in prop::collection::vec(code(), 0..16),
        lmtp: bool,
        chunking: bool,
        count in 1_usize..5,
        cut in 1_usize..64,
        lost_after in prop_oneof![Just(usize::MAX), 0_usize..600],
    ) {
        let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
        let mut session = session(protocol);
        let mut server = Server {
            lmtp, chunking: chunking && !lmtp, codes, asked: 0, unread: Vec::new(), in_data: false,
            sender: false, recipients: Vec::new(),
        };
        let addresses = ["b@example.org", "c@example.org", "d@example.org", "e@example.org"];
        let mut to_client = GREETING.as_bytes().to_vec();
        let mut given = 0;
        let mut begun = false;
        let result = loop {
            match session.step() {
                ClientStep::Read(_) => {
                    let sent = std::mem::take(session.output());
                    to_client.extend(server.read(&sent).into_bytes());
                    if to_client.is_empty() || given >= lost_after {
                        session.lost();
                        continue;
                    }
                    let piece: Vec<u8> = to_client.drain(..cut.min(to_client.len())).collect();
                    given += piece.len();
                    session.receive(&piece);
                }
                ClientStep::Ready if begun => panic!("ready without a result"),
                ClientStep::Ready => {
                    begun = true;
                    session.begin(transaction(&addresses[..count]));
                }
                ClientStep::Content => {
                    session.write_content(CONTENT.as_bytes());
                    session.end_content();
                }
                ClientStep::Finished(result) => break Some(result),
                ClientStep::Handshake | ClientStep::Closed(_) => break None,
            }
        };
        let Some(result) = result else { return Ok(()) };
        prop_assert_eq!(result.recipients.len(), count);
        for (place, result) in result.recipients.iter().enumerate() {
            let taken = server.recipients.get(place).is_some_and(|recipient| recipient.1);
            match result {
                RecipientResult::Accepted { .. } => prop_assert!(taken),
                RecipientResult::Broken { maybe_accepted, .. } => {
                    prop_assert!(*maybe_accepted || !taken);
                }
                RecipientResult::Refused { .. } => prop_assert!(!taken),
                RecipientResult::Unsuited(_) => prop_assert!(false, "nothing is unsuited"),
            }
        }
    }

    #[test]
    fn no_order_of_calls_and_no_octets_make_it_panic(
        calls in prop::collection::vec(
            (0_u8..12, prop::collection::vec(any::<u8>(), 0..20)), 0..60,
        ),
        lmtp: bool,
    ) {
        let mut session = session(if lmtp { Protocol::Lmtp } else { Protocol::Smtp });
        for (call, octets) in calls {
            one_call(&mut session, call, &octets);
            let _ = session.step();
        }
    }
}

fn one_call(session: &mut ClientSession, call: u8, octets: &[u8]) {
    match call {
        0 => session.receive(octets),
        1 => session.receive(b"220 mx\r\n"),
        2 => session.receive(b"250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n"),
        3 => session.receive(b"250 ok\r\n"),
        4 => session.receive(b"354 go\r\n"),
        5 => session.receive(b"550 no\r\n"),
        6 => session.begin(transaction(&["b@example.org", "c@example.org"])),
        7 => session.write_content(octets),
        8 => session.end_content(),
        9 => session.quit(),
        10 => session.output().clear(),
        _ => session.lost(),
    }
}
