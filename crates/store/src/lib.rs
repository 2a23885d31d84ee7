//! What must survive: the queue with its content, the settings with their audit, the trace.
//!
//! Promise: when [`queue::Committed`] exists, envelope and content are on stable storage. Any doubt
//! about the disk ends in an error that becomes 451, never in a proof.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod counts;
pub mod store;
#[cfg(feature = "simulation")]
pub mod memory;
pub mod backup;
mod embedded;
mod describe;
mod cache;
mod index;
mod content;
pub mod suspension;
pub mod legal_hold;
pub mod grouping;
pub mod queue;
mod spool;
mod identifiers;
mod health;
pub mod disk;
mod checksum;
pub mod settings;
pub mod restriction;
mod bounces;
pub mod dkim;
pub mod known;
pub mod secret;
pub mod shelf;
mod options;
pub mod proof;
pub mod trace;
mod files;
mod digits;
mod error;
pub mod bell;
pub mod door;
