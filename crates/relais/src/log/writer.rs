//! A bounded buffer of lines and the thread that writes it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Octets that may wait: about ten thousand events, some seconds of a full reader.
const WAITING_OCTETS_MAX: usize = 8 << 20;
/// How long a flush waits for a reader that does not read.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Takes lines without ever waiting for the reader.
pub(super) struct LineWriter {
    shared: Arc<Shared>,
    dropped: AtomicU64,
}

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the buffer half written: lines are appended whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineWriter {
    /// Starts the thread.
    pub(super) fn to_stdout() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || run(&own, &mut out))?;
        Ok(Self {
            shared,
            dropped: AtomicU64::new(0),
        })
    }

    /// Appends a line, or drops it.
    pub(super) fn line(&self, line: &str) {
        let mut state = self.shared.lock();
        if state.waiting.len() + line.len() + 1 > WAITING_OCTETS_MAX || state.closed {
            drop(state);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line.as_bytes());
        state.waiting.push(b'\n');
        drop(state);
        if was_empty {
            self.shared.filled.notify_one();
        }
    }

    /// Lines dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until all is written, or the time is up.
    pub(super) fn flush(&self) {
        let state = self.shared.lock();
        let busy =
            |state: &mut State| !state.closed && (!state.waiting.is_empty() || state.writing);
        // Whether the time ran out does not matter: what is not read now never will be.
        drop(
            self.shared
                .emptied
                .wait_timeout_while(state, FLUSH_TIME_MAX, busy),
        );
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.flush();
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

fn run(shared: &Shared, out: &mut impl Write) {
    let mut lines = Vec::new();
    loop {
        {
            let mut state = shared.lock();
            state.writing = false;
            shared.emptied.notify_all();
            while state.waiting.is_empty() && !state.closed {
                state = shared
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() {
                return;
            }
            std::mem::swap(&mut state.waiting, &mut lines);
            state.writing = true;
        }
        // A reader that went away does not come back; mail goes on without a log.
        if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
            shared.lock().closed = true;
            shared.emptied.notify_all();
            return;
        }
        lines.clear();
        // One burst must not keep its memory for ever.
        lines.shrink_to(64 << 10);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Writes only as often as it is allowed to.
    struct Slow {
        permits: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.written
                .send(octets.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_costs_lines_and_never_time() {
        let (permit, permits) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        let writer = LineWriter::to(Slow { permits, written }).expect("a thread");
        let line = "x".repeat(1 << 20);
        for _ in 0..20 {
            writer.line(&line);
        }
        let dropped = writer.take_dropped();
        assert!((5..=13).contains(&dropped), "{dropped}");
        assert_eq!(writer.take_dropped(), 0);
        for _ in 0..2 {
            permit.send(()).expect("the thread waits");
        }
        assert!(lines.recv().expect("written").ends_with(b"x\n"));
        drop(permit);
        drop(writer);
    }

    #[test]
    fn all_lines_are_written_before_the_end() {
        let (permit, permits) = mpsc::channel();
        let (written, lines) = mpsc::channel();
        for _ in 0..100 {
            permit.send(()).expect("a channel");
        }
        let writer = LineWriter::to(Slow { permits, written }).expect("a thread");
        for number in 0..50 {
            writer.line(&number.to_string());
        }
        drop(writer);
        let all: Vec<u8> = lines.try_iter().flatten().collect();
        assert_eq!(String::from_utf8(all).expect("text").lines().count(), 50);
    }
}
