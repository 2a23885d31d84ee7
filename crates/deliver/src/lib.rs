//! From the queue to the next hop, and notices. Never sees receiving code.
//!
//! This crate promises: every recipient that the store holds is tried until it is delivered, failed
//! or expired; each result is stored together with its events and notices; a destination that does
//! not answer, or answers badly, costs the others nothing.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod service;
mod scheduler;
mod lanes;
mod watch;
mod grants;
mod way;
mod expiry;
mod held;
mod report;
mod returned;
mod connection;
mod obey;
mod current;
mod outgoing;
mod seal;
mod sign;
mod site;
mod work;
mod pace;
mod wish;
mod results;
mod forwards;
mod sender;
mod destination;
mod published;
mod sts;
mod tally;
mod session;
mod dialogue;
mod settle;
mod notice;
mod archive;
mod attempt;
mod sources;
mod turns;
mod excuses;
mod front;
mod original;
mod context;
pub mod vault;
mod steady;

#[cfg(test)]
mod tests;
