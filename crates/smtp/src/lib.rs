//! The words and the protocol of SMTP, pure.
//!
//! This crate promises: no I/O, no clock, no randomness, no global state, no allocation without a
//! bound. Time, references and decisions come in as arguments; replies and content go out as
//! values. The drivers stand in `relais-receive` (server) and `relais-deliver` (client).
//!
//! Modules stand in order of floors: each may use only those below it.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod client;
pub mod server;
pub mod dsn;
pub mod arc;
pub mod dkim;
pub mod returned;
pub mod mime;
pub mod header;
pub mod command;
pub mod content;
pub mod refusal;
pub mod reply;
pub mod sasl;
pub mod secret;
pub mod envelope;
pub mod address;
pub mod domain;
pub mod identifier;
pub mod time;
mod safe;
