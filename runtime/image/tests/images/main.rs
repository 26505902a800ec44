//! The crate from outside: pulls into a store, and the registry over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod fixtures;

mod bombs;
mod files;
mod foreign;
mod hostile;
mod layouts;
mod login;
mod protocol;
mod pulls;
mod registry;
mod restart;
mod secure;
