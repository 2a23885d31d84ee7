//! One file per command. Modules stand in order of floors: each may use only those below it.

pub(crate) mod serve;
pub(crate) mod demo;
pub(crate) mod status;
pub(crate) mod health;
pub(crate) mod directory;
pub(crate) mod apply;
pub(crate) mod export;
pub(crate) mod why;
pub(crate) mod simulate;
pub(crate) mod trace;
pub(crate) mod queue;
pub(crate) mod organisation;
pub(crate) mod domain;
pub(crate) mod connector;
pub(crate) mod credential;
pub(crate) mod attempts;
pub(crate) mod restricted;
pub(crate) mod suppression;
pub(crate) mod audit;
pub(crate) mod secret;
pub(crate) mod backup;
pub(crate) mod schema;
pub(crate) mod completion;
pub(crate) mod reference_command;
mod edit;
pub(crate) mod session;
mod signals;
