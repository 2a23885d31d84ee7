//! Kills the real relay under load, or cuts the power of its disk, again and again, and asks the
//! ledger whether every promise was kept.
//!
//! ```text
//! faults kill  [--cycles 30] [--binary target/release/relais]
//! faults power [--cycles 30] [--binary target/release/relais]     root and a loop device
//! faults stop  [--cycles 10]                                      SIGTERM: no duplicate at all
//! faults twins [--binary target/debug/relais]    built with the feature broken-twins
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use relais_testkit::image::DiskImage;
use relais_testkit::ledger::{Ledger, Verdict};
use relais_testkit::load::Load;
use relais_testkit::process::Relay;
use relais_testkit::sink::Sink;

/// A delivery counts as "in the window" if the relay died this soon after the sink's reply: the
/// result had not been stored yet. Settlements ride with the next group commit.
const WINDOW: Duration = Duration::from_secs(2);
/// Parallel clients.
const CLIENTS: usize = 8;
/// The rest of the queue must be gone by then (first retry after a minute, stretched by a fifth).
const DRAIN_MAX: Duration = Duration::from_secs(180);
/// A line of progress after so many.
const PROGRESS_CYCLES: u64 = 100;
/// The disk has room for this, and for what the trace keeps of each cycle: some 2,000 messages at
/// full speed, 1.5 KiB each. The file is sparse.
const DISK_MIB: u64 = 512;
const DISK_MIB_PER_CYCLE: u64 = 8;
/// Twins get so many cycles to show their fault.
const TWIN_CYCLES: u64 = 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Kill,
    Power,
    Stop,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let cycles = value("--cycles")
        .and_then(|text| text.parse().ok())
        .unwrap_or(30);
    let beside = |profile: &str| -> PathBuf {
        let own = std::env::current_exe().unwrap_or_default();
        own.ancestors()
            .nth(2)
            .unwrap_or(Path::new("target"))
            .join(profile)
            .join("relais")
    };
    let binary = |profile: &str| value("--binary").map_or_else(|| beside(profile), PathBuf::from);
    let passed = match arguments.first().map(String::as_str) {
        Some("kill") => gate(Fault::Kill, &binary("release"), cycles),
        Some("power") => gate(Fault::Power, &binary("release"), cycles),
        Some("stop") => gate(Fault::Stop, &binary("release"), cycles),
        Some("twins") => twins(&binary("debug")),
        _ => {
            eprintln!("usage: faults kill|power|stop|twins [--cycles N] [--binary PATH]");
            return ExitCode::from(2);
        }
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn gate(fault: Fault, binary: &Path, cycles: u64) -> io::Result<bool> {
    if fault == Fault::Power && !can_cut_power() {
        return Ok(true);
    }
    let mut bench = Bench::new(fault, binary, None, cycles)?;
    for cycle in 1..=cycles {
        bench.cycle()?;
        if cycle % PROGRESS_CYCLES == 0 && cycle < cycles {
            println!("{fault:?}: {cycle} of {cycles} cycles");
        }
    }
    let verdict = bench.finish()?;
    let restart = bench.longest_restart;
    println!("{fault:?}: {cycles} cycles, {verdict}; longest restart {restart:?}");
    if !verdict.is_clean() {
        println!(
            "lost: {:?}\n{}",
            bench.ledger.lost_messages(),
            bench.relay.log_tail()
        );
    }
    Ok(verdict.is_clean())
}

fn can_cut_power() -> bool {
    match DiskImage::create(32) {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: the power-cut gate needs root and a loop device ({error})");
            false
        }
    }
}

/// Each broken twin must turn its gate red.
fn twins(binary: &Path) -> io::Result<bool> {
    let mut all_red = true;
    for (twin, fault) in [
        ("sync-dropped", Fault::Power),
        ("commit-early", Fault::Kill),
        ("lease-forgotten", Fault::Stop),
    ] {
        if fault == Fault::Power && !can_cut_power() {
            continue;
        }
        let red = twin_turns_red(binary, twin, fault)?;
        println!(
            "twin {twin}: {}",
            if red {
                "red, as it must be"
            } else {
                "NOT FOUND"
            }
        );
        all_red &= red;
    }
    Ok(all_red)
}

fn twin_turns_red(binary: &Path, twin: &str, fault: Fault) -> io::Result<bool> {
    for _ in 0..TWIN_CYCLES {
        let mut bench = Bench::new(fault, binary, Some(twin), 1)?;
        // A store that does not open any more is as red as a lost message.
        let judged = bench.cycle().and_then(|()| bench.finish());
        if !judged.is_ok_and(|verdict| verdict.is_clean()) {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Bench {
    fault: Fault,
    relay: Relay,
    ledger: Arc<Ledger>,
    numbers: Arc<AtomicU64>,
    image: Option<DiskImage>,
    longest_restart: Duration,
    state: u64,
    _sink: Sink,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(fault: Fault, binary: &Path, twin: Option<&str>, cycles: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = match fault {
            Fault::Power => Some(DiskImage::create(DISK_MIB + cycles * DISK_MIB_PER_CYCLE)?),
            Fault::Kill | Fault::Stop => None,
        };
        let data = image
            .as_ref()
            .map_or(folder.path(), DiskImage::path)
            .join("data");
        let ledger = Arc::new(Ledger::default());
        let sink = Sink::start(Arc::clone(&ledger))?;
        let mut relay = Relay::new(binary, folder.path(), &data)?;
        relay.start()?;
        relay.apply(&settings(&sink))?;
        if let Some(twin) = twin {
            relay.terminate()?;
            relay.set_environment("RELAIS_BROKEN_TWIN", twin);
            relay.start()?;
        }
        Ok(Self {
            fault,
            relay,
            ledger,
            numbers: Arc::new(AtomicU64::new(0)),
            image,
            longest_restart: Duration::ZERO,
            state: u64::from(std::process::id()) | 1,
            _sink: sink,
            _folder: folder,
        })
    }

    /// Load, fault at a random moment, restart.
    fn cycle(&mut self) -> io::Result<()> {
        let load = Load::start(self.relay.address(), CLIENTS, &self.numbers, &self.ledger);
        thread::sleep(Duration::from_millis(100 + self.random() % 900));
        match self.fault {
            Fault::Kill => {
                self.ledger.killed();
                self.relay.kill();
                self.ledger.killed();
            }
            Fault::Power => {
                self.ledger.killed();
                self.image.as_ref().map_or(Ok(()), DiskImage::cut)?;
                self.ledger.killed();
                self.relay.kill();
            }
            Fault::Stop => drop(self.relay.terminate()?),
        }
        load.stop();
        if let Some(image) = &self.image {
            image.restore()?;
        }
        self.ledger.restarted();
        self.longest_restart = self.longest_restart.max(self.relay.start()?);
        Ok(())
    }

    /// Waits until everything promised has arrived and the queue is empty, and judges.
    fn finish(&mut self) -> io::Result<Verdict> {
        let until = Instant::now() + DRAIN_MAX;
        while Instant::now() < until {
            if self.relay.waiting()? == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        if self.fault == Fault::Stop {
            self.relay.terminate()?;
        }
        Ok(self.ledger.judge(if self.fault == Fault::Stop {
            Duration::ZERO
        } else {
            WINDOW
        }))
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

fn settings(sink: &Sink) -> String {
    format!(
        "[[organisation]]\nname = \"contoso\"\npostmaster = \"it@contoso.test\"\n\n\
         [[organisation.domain]]\nname = \"contoso.test\"\nverification = \"assumed\"\n\n\
         [[organisation.inbound_connector]]\nname = \"Load\"\nsender_ip_addresses = \
         [\"127.0.0.0/8\"]\n\n[[organisation.outbound_connector]]\nname = \"Sink\"\n\
         smart_hosts = [\"{}\"]\n",
        sink.address()
    )
}
