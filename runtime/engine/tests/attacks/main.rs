//! Guests and clients that attack, each beside a healthy neighbour whose latency is measured before and during:
//! `cargo test -p sampan-engine --test attacks -- --nocapture` prints the figures.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod connections;
mod guests;
mod modules;
mod sockets;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "shared with the engine's other tests")]
mod support;
mod village;
