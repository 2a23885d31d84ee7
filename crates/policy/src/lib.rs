//! Decisions, pure: every function is (settings, facts) → verdict with its reason.
//!
//! This crate promises: no I/O, no clock, no randomness. The same value becomes the reply to the
//! device, the trace, the text of `relais why` and of `relais simulate`.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod migration;
pub mod adopt;
pub mod remedy;
pub mod candidates;
pub mod coverage;
pub mod check;
pub mod simulate;
pub mod desk;
pub mod source;
pub mod notice;
pub mod content;
pub mod alert;
pub mod reply_rule;
pub mod known_refusal;
pub mod way_out;
pub mod preset;
pub mod outcome;
pub mod schedule;
pub mod pace;
pub mod route;
pub mod signing;
pub mod authentication;
pub mod suppression;
pub mod bounce;
pub mod permission;
pub mod archive;
pub mod limit;
pub mod licence;
pub mod login;
pub mod guessing;
pub mod password;
pub mod trigger;
pub mod restriction;
pub mod old_tls;
pub mod attribution;
pub mod tls_report;
pub mod sts;
pub mod retention;
pub mod settings;
pub mod dkim;
pub mod proof;
pub mod change;
pub mod tls;
pub mod encryption;
pub mod dane;
pub mod hours;
pub mod sender;
pub mod document;
pub mod spf;
pub mod registered;
pub mod range;
