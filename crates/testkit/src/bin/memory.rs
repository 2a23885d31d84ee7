//! Large messages at the same time: how much memory the real relay ever needs.
//!
//! ```text
//! memory [--messages 100] [--megabytes 50] [--limit-megabytes 200] [--binary PATH]
//! ```
//!
//! Not here: whether content arrives to the octet (`crates/relais/tests/it/pressure.rs`).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use relais_testkit::process::{Relay, peak_memory};

/// Octets of one write: a whole number of lines.
const PIECE_OCTETS: usize = 64 * 1_024;
/// All must have arrived at the sink by then.
const TIME_MAX: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, default| value(name).map_or(Ok(default), |text| text.parse::<u64>());
    let (Ok(messages), Ok(megabytes), Ok(limit)) = (
        number("--messages", 100),
        number("--megabytes", 50),
        number("--limit-megabytes", 200),
    ) else {
        eprintln!(
            "usage: memory [--messages N] [--megabytes N] [--limit-megabytes N] [--binary P]"
        );
        return ExitCode::from(2);
    };
    let beside = || {
        std::env::current_exe()
            .unwrap_or_default()
            .with_file_name("relais")
    };
    let binary = value("--binary").map_or_else(beside, PathBuf::from);
    match measure(&binary, messages, megabytes) {
        Ok(peak) if peak <= limit * 1_000_000 => ExitCode::SUCCESS,
        Ok(_) => {
            println!("more than {limit} MB");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The peak in octets.
fn measure(binary: &std::path::Path, messages: u64, megabytes: u64) -> io::Result<u64> {
    let folder = tempfile::tempdir()?;
    let arrived = Arc::new(AtomicU64::new(0));
    let sink = discard(&arrived)?;
    let mut relay = Relay::new(binary, folder.path(), &folder.path().join("data"))?;
    relay.start()?;
    relay.apply(&settings(sink))?;
    let process = relay
        .process_id()
        .ok_or_else(|| io::Error::other("no process"))?;
    let idle = peak_memory(process)?;
    let (address, begun) = (relay.address(), Instant::now());
    let senders: Vec<_> = (0..messages)
        .map(|_| thread::spawn(move || send(address, megabytes)))
        .collect();
    for sender in senders {
        sender
            .join()
            .map_err(|_| io::Error::other("a sender panicked"))??;
    }
    let taken = begun.elapsed();
    while arrived.load(Ordering::SeqCst) < messages && begun.elapsed() < TIME_MAX {
        thread::sleep(Duration::from_millis(20));
    }
    let (peak, came) = (peak_memory(process)?, arrived.load(Ordering::SeqCst));
    println!(
        "{messages} messages of {megabytes} MB at once: peak {} MB (before: {} MB); accepted after \
         {:.1} s, {came} delivered after {:.1} s",
        peak / 1_000_000,
        idle / 1_000_000,
        taken.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    if came < messages {
        return Err(io::Error::other(format!(
            "{came} of {messages} arrived\n{}",
            relay.log_tail()
        )));
    }
    relay.terminate()?;
    Ok(peak)
}

fn send(to: SocketAddr, megabytes: u64) -> io::Result<()> {
    let mut writer = TcpStream::connect(to)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    expect(&mut reader, "220")?;
    for (line, code) in [
        ("EHLO large.contoso.test\r\n", "250"),
        ("MAIL FROM:<large@contoso.test>\r\n", "250"),
        ("RCPT TO:<sink@receiver.test>\r\n", "250"),
        ("DATA\r\n", "354"),
    ] {
        writer.write_all(line.as_bytes())?;
        expect(&mut reader, code)?;
    }
    writer.write_all(b"From: large@contoso.test\r\nSubject: large\r\n\r\n")?;
    let line = [b"0123456789".repeat(6).as_slice(), b"ab\r\n"].concat();
    let piece = line.repeat(PIECE_OCTETS / line.len());
    let mut left = usize::try_from(megabytes * 1_000_000).map_err(io::Error::other)?;
    while left >= piece.len() {
        writer.write_all(&piece)?;
        left -= piece.len();
    }
    writer.write_all(b".\r\n")?;
    expect(&mut reader, "250")
}

fn expect(reader: &mut impl BufRead, code: &str) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.as_bytes().get(3) != Some(&b'-') {
            let fits = line.starts_with(code);
            return fits
                .then_some(())
                .ok_or_else(|| io::Error::other(format!("{code}: {line}")));
        }
    }
}

/// A server that takes everything and keeps nothing.
fn discard(arrived: &Arc<AtomicU64>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let arrived = Arc::clone(arrived);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = Arc::clone(&arrived);
            // A lost connection shows in the count.
            thread::spawn(move || converse(stream, &arrived));
        }
    });
    Ok(address)
}

fn converse(stream: TcpStream, arrived: &AtomicU64) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(PIECE_OCTETS, stream);
    writer.write_all(b"220 sink.test ESMTP\r\n")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        if verb != "DATA" {
            writer.write_all(b"250 2.0.0 ok\r\n")?;
            continue;
        }
        writer.write_all(b"354 go\r\n")?;
        // Nothing is pipelined behind the end of data: it is the end of what can be read.
        let (mut buffer, mut tail) = (vec![0; PIECE_OCTETS], Vec::new());
        while tail != b"\r\n.\r\n" {
            let octets = reader.read(&mut buffer)?;
            if octets == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tail.extend_from_slice(&buffer[octets.saturating_sub(5)..octets]);
            tail.drain(..tail.len().saturating_sub(5));
        }
        arrived.fetch_add(1, Ordering::SeqCst);
        writer.write_all(b"250 2.0.0 discarded\r\n")?;
    }
}

fn settings(sink: SocketAddr) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\n\
         [[organisation.inbound_connector]]\nname = \"Large\"\nsender_ip_addresses = \
         [\"127.0.0.0/8\"]\n\n[[organisation.outbound_connector]]\nname = \"Sink\"\n\
         smart_hosts = [\"{sink}\"]\n"
    )
}
