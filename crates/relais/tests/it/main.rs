//! The program as its users meet it: the real binary, on temporary folders and free ports.

mod receiver;
mod support;

mod commands;
mod demo;
mod drain;
mod foreign;
mod golden;
mod offline;
mod pressure;
mod proxied;
mod restricted;
mod serving;
mod story;
mod tidy;
