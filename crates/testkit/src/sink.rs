//! A receiving server for fault gates: takes everything, checks each octet, tells the ledger.
//!
//! Messages are those of [`crate::load`]: their content is computed from their number.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::ledger::Ledger;
use crate::load::{message_of_content, recipient_number};

/// A running sink; lives as long as the process.
pub struct Sink {
    address: SocketAddr,
}

impl Sink {
    /// Listens on a free port of loopback.
    pub fn start(ledger: Arc<Ledger>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ledger = Arc::clone(&ledger);
                thread::spawn(move || {
                    // The end of a connection, however it comes, is part of the game.
                    let _ended = converse(stream, &ledger);
                });
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn converse(stream: TcpStream, ledger: &Ledger) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(64 * 1_024, stream);
    let mut recipients: Vec<u32> = Vec::new();
    writer.write_all(b"220 sink.test ESMTP\r\n")?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        let verb = text.get(..4).unwrap_or("").to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => writer.write_all(b"250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")?,
            "MAIL" => {
                recipients.clear();
                writer.write_all(b"250 2.1.0 ok\r\n")?;
            }
            "RCPT" => {
                recipients.extend(recipient_number(&text));
                writer.write_all(b"250 2.1.5 ok\r\n")?;
            }
            "DATA" => {
                writer.write_all(b"354 go\r\n")?;
                let content = read_content(&mut reader)?;
                let written = writer.write_all(b"250 2.0.0 taken\r\n").is_ok();
                if let Some((message, intact)) = message_of_content(&content) {
                    for recipient in &recipients {
                        ledger.arrived(message, *recipient, intact, written);
                    }
                }
            }
            "QUIT" => {
                writer.write_all(b"221 2.0.0 bye\r\n")?;
                return Ok(());
            }
            _ => writer.write_all(b"250 2.0.0 ok\r\n")?,
        }
    }
}

/// Content up to CRLF.CRLF, unstuffed.
fn read_content(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(content);
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
