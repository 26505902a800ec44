//! The engine through its public interface. Misbehaving guests run beside a healthy neighbour that must not notice.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cache;
mod command;
mod ending;
mod files;
mod files_p2;
mod functions;
mod host;
mod http;
mod http2;
mod http_limits;
mod interfaces;
mod memory;
mod outgoing;
mod output;
mod p3;
mod pool;
mod processor;
mod reuse;
mod signals;
mod single_files;
mod sockets;
mod support;
mod volumes;
