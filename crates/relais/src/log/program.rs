//! The program's own messages (`tracing`) as log lines.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use relais_net::clock::Clock;

use super::Log;
use crate::config::{LogFormat, LogLevel};
use crate::output::clean;

/// Makes `log` the place of all messages of the process. Does nothing if there is one already.
pub(super) fn install(log: Log) {
    let layer = Messages {
        log,
        clock: Clock::system(),
    };
    // Fails only where another one was installed before, which then keeps the messages.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct Messages {
    log: Log,
    clock: Clock,
}

impl<S: Subscriber> Layer<S> for Messages {
    /// The level may change: nothing is decided for good.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let most = match self.log.shape.level() {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        // Libraries talk of their own affairs; only their warnings concern an administrator.
        let ours = metadata.target().starts_with("relais");
        *metadata.level() <= most && (ours || *metadata.level() <= Level::WARN)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let level = event.metadata().level();
        let time = self.clock.now();
        let line = match self.log.shape.format() {
            LogFormat::Json => {
                let mut line = Map::new();
                line.insert("time".into(), json!(time.to_rfc3339()));
                line.insert("level".into(), json!(level.as_str().to_ascii_lowercase()));
                line.insert("message".into(), json!(words.message));
                line.extend(words.fields);
                Value::Object(line).to_string()
            }
            LogFormat::Ecs => {
                let hostname = &self.log.shape.hostname;
                let mut line = super::ecs::head(time, hostname, "relais.program");
                let level = json!(level.as_str().to_ascii_lowercase());
                super::ecs::insert(&mut line, &["log", "level"], level);
                super::ecs::insert(&mut line, &["message"], json!(words.message));
                super::ecs::insert(&mut line, &["relais"], Value::Object(words.fields));
                Value::Object(line).to_string()
            }
            LogFormat::Text => format!("{} {level:<5} {}", time.to_rfc3339(), words.sentence()),
            LogFormat::Postfix => {
                let shape = &self.log.shape;
                let program = (&*shape.hostname, shape.tag(), std::process::id());
                let head = super::postfix::head(time, program, "");
                let word = if *level == Level::ERROR {
                    "error: "
                } else {
                    ""
                };
                format!("{head} {word}{}", words.sentence())
            }
        };
        self.log.writer.line(&line);
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: Map<String, Value>,
}

impl Words {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }

    fn sentence(&self) -> String {
        let mut sentence = clean(&self.message).into_owned();
        for (name, value) in &self.fields {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            // Cannot fail: a String takes everything.
            let _ = write!(sentence, " {name}={}", clean(&text));
        }
        sentence
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }
}
