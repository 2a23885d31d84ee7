//! Deliveries under simulated time, network, DNS and store: each sentence of what this crate
//! promises, against peers that answer well, badly, or not at all.

mod world;
mod peer;

mod delivered;
mod destinations;
mod drained;
mod fairness;
mod liars;
mod notices;
mod paced;
mod retried;
mod restricted;
mod ruled;
mod sealed;
mod signed;
mod returned;
mod archived;
mod stored;
mod watched;
mod encrypted;
mod published;
mod reported;
mod wished;
mod logged_in;
mod routed;
mod moved;
