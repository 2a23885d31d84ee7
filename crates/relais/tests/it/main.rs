//! The program as its users meet it: the real binary, on temporary folders and free ports.

mod support;

mod commands;
mod demo;
mod golden;
mod offline;
mod serving;
