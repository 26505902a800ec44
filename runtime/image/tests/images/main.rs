//! The crate from outside: pulls into a store, and the registry over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod fixtures;

mod bombs;
mod conformance;
mod files;
mod folders;
mod foreign;
mod full;
mod hostile;
mod layouts;
mod login;
mod protocol;
mod prune;
mod pulls;
mod referrers;
mod registry;
mod restart;
mod robust;
mod secure;
