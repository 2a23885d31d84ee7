//! Sockets, DNS, clock and randomness: the only hands of the relay. Each is real, or (feature
//! `simulation`) simulated from one seed.
//!
//! Modules stand in order of floors: each may use only those below it.

pub mod conversation;
pub mod content_check;
pub mod time_server;
pub mod sign_in;
pub mod web;
pub mod own_dns;
pub mod dns_server;
pub mod proxy;
pub mod acme;
pub mod mail_authentication;
pub mod dkim;
pub mod hop;
pub mod login;
pub mod oauth;
pub mod oidc;
pub mod network;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
pub mod reach;
pub mod facts;
pub mod authority;
pub mod names;
pub mod resolver;
mod dns_client;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated_dns;
pub mod dns_answer;
pub mod own_zone;
pub mod zone;
pub mod tls;
pub mod stream;
mod places;
#[cfg(any(test, feature = "simulation"))]
mod pipe;
pub mod clock;
