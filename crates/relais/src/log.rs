//! Log lines: each stored event, and the program's own messages, on standard output in the form
//! that the bootstrap file names.
//!
//! Writing never makes mail wait: lines go into a bounded buffer that one thread empties; what does
//! not fit is dropped and counted.

mod program;
mod postfix;
mod ecs;
mod writer;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use relais_store::trace::Event;

use crate::config::{CompatTag, LogConfig, LogFormat, LogLevel};
use crate::words;
use writer::LineWriter;

/// The log of one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    writer: Arc<LineWriter>,
    shape: Arc<Shape>,
}

/// What may be changed while the server runs.
struct Shape {
    format: AtomicU8,
    level: AtomicU8,
    /// Lines of format `postfix` bear Postfix's name.
    is_compatible: AtomicBool,
    hostname: String,
}

impl Log {
    /// To standard output. `hostname` is for the head of Postfix's lines.
    pub(crate) fn to_stdout(config: LogConfig, hostname: &str) -> std::io::Result<Self> {
        let shape = Shape {
            format: AtomicU8::new(0),
            level: AtomicU8::new(0),
            is_compatible: AtomicBool::new(false),
            hostname: hostname.to_owned(),
        };
        let log = Self {
            writer: Arc::new(LineWriter::to_stdout()?),
            shape: Arc::new(shape),
        };
        log.reshape(config);
        Ok(log)
    }

    /// Another format and level from now on.
    pub(crate) fn reshape(&self, config: LogConfig) {
        let by_reader = if std::io::stdout().is_terminal() {
            LogFormat::Text
        } else {
            LogFormat::Json
        };
        let format = config.format.unwrap_or(by_reader);
        self.shape.format.store(format as u8, Ordering::Relaxed);
        self.shape
            .level
            .store(config.level as u8, Ordering::Relaxed);
        let is_compatible = config.compat_tag == CompatTag::Postfix;
        self.shape
            .is_compatible
            .store(is_compatible, Ordering::Relaxed);
    }

    /// Makes this the place of the program's own messages, for the whole process.
    pub(crate) fn take_program_messages(&self) {
        program::install(self.clone());
    }

    /// Writes an event, whose JSON is made already.
    pub(crate) fn event(&self, event: &Event, json: &str) {
        let shape = &self.shape;
        match shape.format() {
            LogFormat::Postfix => {
                let head = (&*shape.hostname, shape.tag(), std::process::id());
                for line in postfix::lines(event, head) {
                    self.writer.line(&line);
                }
            }
            LogFormat::Text => {
                let line = body(event, LogFormat::Text, &shape.hostname);
                let line = format!("{} {line}", event.time.to_rfc3339());
                self.writer.line(&line);
            }
            LogFormat::Json => self.writer.line(json),
            LogFormat::Ecs => self.writer.line(&ecs::line(event, &shape.hostname)),
        }
    }

    /// Lines dropped since the last time this was asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.writer.take_dropped()
    }

    /// Waits until everything so far is written, a second at most.
    pub(crate) fn flush(&self) {
        self.writer.flush();
    }
}

/// An event on one line; of Postfix's lines there may be none or several, so that it is our JSON
/// there.
pub(crate) fn body(event: &Event, format: LogFormat, hostname: &str) -> String {
    match format {
        LogFormat::Ecs => ecs::line(event, hostname),
        LogFormat::Text => words::line(event),
        LogFormat::Json | LogFormat::Postfix => event.to_json(),
    }
}

impl Shape {
    /// The program's name in Postfix's lines.
    fn tag(&self) -> &'static str {
        if self.is_compatible.load(Ordering::Relaxed) {
            "postfix"
        } else {
            "relais"
        }
    }

    fn format(&self) -> LogFormat {
        match self.format.load(Ordering::Relaxed) {
            format if format == LogFormat::Text as u8 => LogFormat::Text,
            format if format == LogFormat::Postfix as u8 => LogFormat::Postfix,
            format if format == LogFormat::Ecs as u8 => LogFormat::Ecs,
            _ => LogFormat::Json,
        }
    }

    fn level(&self) -> LogLevel {
        match self.level.load(Ordering::Relaxed) {
            level if level == LogLevel::Error as u8 => LogLevel::Error,
            level if level == LogLevel::Warn as u8 => LogLevel::Warn,
            level if level == LogLevel::Debug as u8 => LogLevel::Debug,
            _ => LogLevel::Info,
        }
    }
}
