//! Decisions as tables that a postmaster can read (`tests/tables/*.md`), and properties of the
//! schedule. Each row is one question to the real functions.

mod fingerprints;
mod tables;
mod dane;
mod sts;
mod tls_report;
mod simulate;
mod desk;
mod spf;
mod spf_records;
mod schedule;
mod model;
mod alert;
mod bounces;
mod candidates;
mod names;
mod registered;
mod world;
mod migration;
mod hostile_exports;
