//! The addresses of pods on this host.
//!
//! In loopback mode, the only one so far, every pod has an address out of a block of the loopback
//! range. [`PodNetwork`] claims such a block for one cluster and hands out its addresses.
//!
//! Not here: sockets of guests (the engine binds them), Services, DNS, proxies.

mod block;
mod network;
mod pool;

pub use block::{Block, ParseBlockError};
pub use network::{ClaimError, GUARD_PORT, PodNetwork, PodNetworkConfig};
pub use pool::{AddressPool, Exhausted};
