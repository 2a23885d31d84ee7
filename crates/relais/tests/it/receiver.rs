//! A receiving server on a free port of loopback that keeps what it gets, octet by octet, so that a
//! test can compare it with what was sent. Recipients whose name begins with `nobody` are unknown.
//!
//! Not here: limits and durability.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::support::PATIENCE;

/// One message as it came over the wire, dots removed.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The argument of MAIL: reverse-path and parameters.
    pub(crate) from: String,
    /// The arguments of RCPT that were accepted.
    pub(crate) to: Vec<String>,
    /// Content.
    pub(crate) content: Vec<u8>,
}

impl Arrival {
    /// Content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// Fails unless this is `sent`, to the octet, below one Received field of ours.
    #[track_caller]
    pub(crate) fn expect_only_a_received_field_above(&self, sent: &[u8]) {
        let text = self.text();
        let sent_text = String::from_utf8_lossy(sent);
        assert!(
            self.content.ends_with(sent),
            "{text}\n--- was sent as ---\n{sent_text}"
        );
        let added = self.content.len() - sent.len();
        let added = String::from_utf8_lossy(&self.content[..added]).into_owned();
        let fields: Vec<_> = added
            .lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .collect();
        assert!(
            fields.len() == 1 && fields[0].starts_with("Received: from "),
            "{added}"
        );
        assert!(added.contains("by relay.contoso.test"), "{added}");
    }
}

/// The server; it runs as long as the test program.
#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    arrivals: Mutex<Vec<Arrival>>,
    changed: Condvar,
    away: AtomicBool,
}

impl Receiver {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// At this address.
    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&own);
                // The end of a connection, however it comes, is the relay's affair.
                thread::spawn(move || converse(stream, &state));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// While away it answers 421 to every connection, so that mail waits in the queue.
    pub(crate) fn go_away(&self, away: bool) {
        self.state.away.store(away, Ordering::SeqCst);
    }

    /// Everything that arrived so far.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.state.arrivals.lock().expect("no panic").clone()
    }

    /// The first message that fits; waits for it.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&Arrival) -> bool) -> Arrival {
        let arrivals = self.state.arrivals.lock().expect("no panic");
        let missing = |arrivals: &mut Vec<Arrival>| !arrivals.iter().any(&fits);
        let waited = self
            .state
            .changed
            .wait_timeout_while(arrivals, PATIENCE, missing);
        let (arrivals, _) = waited.expect("no panic");
        match arrivals.iter().find(|arrival| fits(arrival)) {
            Some(arrival) => arrival.clone(),
            None => panic!("{what} did not arrive; there was: {arrivals:?}"),
        }
    }

    /// All that arrived, once there are so many; waits for them.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, count: usize) -> Vec<Arrival> {
        let arrivals = self.state.arrivals.lock().expect("no panic");
        let missing = |arrivals: &mut Vec<Arrival>| arrivals.len() < count;
        let waited = self
            .state
            .changed
            .wait_timeout_while(arrivals, PATIENCE, missing);
        let (arrivals, timeout) = waited.expect("no panic");
        assert!(
            !timeout.timed_out(),
            "{} of {count} arrived",
            arrivals.len()
        );
        arrivals.clone()
    }

    /// The message for this recipient.
    #[track_caller]
    pub(crate) fn wait_for_recipient(&self, address: &str) -> Arrival {
        let path = format!("<{address}>");
        self.wait_for(&format!("mail for {address}"), |arrival| {
            arrival.to.iter().any(|to| to.starts_with(&path))
        })
    }
}

fn converse(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(64 * 1_024, stream);
    if state.away.load(Ordering::SeqCst) {
        return writer.write_all(b"421 4.3.2 away\r\n");
    }
    writer.write_all(b"220 mx.example.org ESMTP\r\n")?;
    let mut arrival = Arrival {
        from: String::new(),
        to: Vec::new(),
        content: Vec::new(),
    };
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let (verb, argument) = line.split_once(':').unwrap_or((&line, ""));
        match verb
            .to_ascii_uppercase()
            .split(' ')
            .next()
            .unwrap_or_default()
        {
            "EHLO" => writer.write_all(
                b"250-mx.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                  250 ENHANCEDSTATUSCODES\r\n",
            )?,
            "MAIL" => {
                arrival = Arrival {
                    from: argument.to_owned(),
                    to: Vec::new(),
                    content: Vec::new(),
                };
                writer.write_all(b"250 2.1.0 ok\r\n")?;
            }
            "RCPT" if argument.starts_with("<nobody") => {
                writer.write_all(b"550 5.1.1 No such mailbox here\r\n")?;
            }
            "RCPT" => {
                arrival.to.push(argument.to_owned());
                writer.write_all(b"250 2.1.5 ok\r\n")?;
            }
            "DATA" if arrival.to.is_empty() => writer.write_all(b"554 5.5.1 no recipient\r\n")?,
            "DATA" => {
                writer.write_all(b"354 go\r\n")?;
                arrival.content = read_content(&mut reader)?;
                writer.write_all(b"250 2.0.0 taken\r\n")?;
                state
                    .arrivals
                    .lock()
                    .expect("no panic")
                    .push(arrival.clone());
                state.changed.notify_all();
            }
            "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n"),
            _ => writer.write_all(b"250 2.0.0 ok\r\n")?,
        }
    }
}

/// Content up to CRLF.CRLF, unstuffed.
fn read_content(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
