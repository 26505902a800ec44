//! The crate from outside: pulls into a store, and the registry over real sockets.

mod fixtures;

mod files;
mod foreign;
mod hostile;
mod layouts;
mod login;
mod pulls;
mod registry;
mod restart;
