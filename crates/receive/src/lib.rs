//! From accept() to "250": the conversation with the client, and the acceptance of content.
//!
//! Never calls delivering code: the two halves meet in the store.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod handed_in;
pub mod service;
mod session;
mod questions;
mod accept;
mod checked;
mod stranger;
mod archive;
mod arrival;
mod repair;
mod hearing;
mod record;
mod speaker;
mod refuse;
mod identity;
mod limits;
mod wire;
mod shared;
mod returns;
mod quotas;
mod guarding;
mod seats;
mod login;
