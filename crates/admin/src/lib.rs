//! The API (over the local socket), the admin centre, metrics and probes (over the admin listener).
//! Talks to the store and to pure policy, never to running sessions.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod service;
mod challenge;
mod policies;
pub mod report_mail;
pub mod web;
pub mod local;
pub mod api;
pub mod access;
mod alerting;
mod checks;
mod walk;
pub mod publishing;
pub mod beginning;
pub mod desk;
mod signing_keys;
pub mod proving;
pub mod naming;
mod schedules;
pub mod problem;
mod posting;
mod limits;
mod card;
pub mod context;
pub mod alerts;
pub mod webhooks;
mod idempotency;
mod keys;
mod scope;
mod compose;
pub mod entrance;
pub mod rounds;
pub mod findings;
pub mod people;
mod rates;
pub mod permission;
pub mod metrics;
mod times;
mod qr;
mod lang;
mod zone;
pub mod words;
pub mod phrasebook;
mod language;
pub mod plain;
