//! A world in a box for tests: a seeded simulation, a ledger of promises, peers of our own, a relay
//! as a process, disks that lose power. Never shipped, never a normal dependency.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod world;
pub mod postfix;
pub mod sasl;
pub mod signed_dns;
pub mod process;
pub mod image;
pub mod sink;
pub mod load;
pub mod mutate;
pub mod ledger;
