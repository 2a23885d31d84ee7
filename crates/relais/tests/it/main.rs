//! The program as its users meet it: the real binary, on temporary folders and free ports.

mod authority;
mod receiver;
mod support;
mod web_receiver;

mod acme;
mod api;
mod client_certificates;
mod applications;
mod attempts;
mod browser;
mod bounces;
mod catalogue;
mod commands;
mod dane;
mod demo;
mod domains;
mod drain;
mod first_run;
mod foreign;
mod golden;
mod licences;
mod limits;
mod listen;
mod login;
mod outbound;
mod next_hops;
mod offline;
#[cfg(feature = "legacy-tls")]
mod old_devices;
mod policies;
mod pressure;
mod proxied;
mod restricted;
mod secrets;
mod ruled;
mod serving;
mod signing;
mod story;
mod tidy;
mod tls;
mod tokens;
mod trace_pages;
mod web;
mod wizard;
mod webhooks;
