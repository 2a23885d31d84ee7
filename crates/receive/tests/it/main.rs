//! The receiving half from outside: simulated network and time, the store in memory.

mod authentication;
mod bounces;
mod connectors;
mod content;
mod dialogue;
mod drain;
mod held;
mod limits;
mod proxied;
mod refusals;
mod relaying;
mod senders;
mod storage;
mod tls;
mod world;
