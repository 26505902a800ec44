//! The claim of a block: a guard socket that the kernel lets only one process hold, and gives back
//! whatever way that process ends.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use parking_lot::Mutex;

use crate::block::Block;
use crate::pool::{AddressPool, Exhausted};

/// The UDP port of the guard socket, below the range of ephemeral ports. Nothing is ever sent to
/// it or read from it.
pub const GUARD_PORT: u16 = 24064;

/// Where the pods of one cluster on this host may live.
#[derive(Clone, Debug)]
pub struct PodNetworkConfig {
    /// What blocks are taken from; must lie in the loopback range.
    pub range: Block,
    /// The size of one cluster's block.
    pub prefix_len: u8,
    /// The block this cluster had before, tried first.
    pub preferred: Option<Block>,
}

impl Default for PodNetworkConfig {
    /// A /18 (16,381 pods) out of 127.64.0.0/10: 256 clusters fit on one host.
    fn default() -> PodNetworkConfig {
        PodNetworkConfig {
            range: Block::loopback_pods(),
            prefix_len: 18,
            preferred: None,
        }
    }
}

/// Why no block could be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error("pod range {0} is not within the loopback range 127.0.0.0/8")]
    NotLoopback(Block),
    #[error("blocks of prefix length {prefix_len} cannot be cut from pod range {range}: use {} to 30", range.prefix_len())]
    PrefixLength { range: Block, prefix_len: u8 },
    #[error(
        "all {blocks} blocks of pod range {range} are taken: stop another cluster on this host, or whatever listens on UDP port {GUARD_PORT}"
    )]
    AllTaken { range: Block, blocks: usize },
    #[error("cannot bind {address}:{GUARD_PORT}/udp to claim pod addresses")]
    Guard {
        address: Ipv4Addr,
        #[source]
        source: io::Error,
    },
}

/// A block of pod addresses that no other process on this host uses while this value lives.
#[derive(Debug)]
pub struct PodNetwork {
    pool: Mutex<AddressPool>,
    cidr: Block,
    /// Held, never used: closing it gives the block back.
    _guard: UdpSocket,
}

impl PodNetwork {
    /// Claims the preferred block, or else the first that is free.
    pub fn claim(config: PodNetworkConfig) -> Result<PodNetwork, ClaimError> {
        let PodNetworkConfig {
            range,
            prefix_len,
            preferred,
        } = config;
        let loopback = Block::new(Ipv4Addr::new(127, 0, 0, 0), 8).expect("127.0.0.0/8 is a block");
        if !loopback.contains(&range) {
            return Err(ClaimError::NotLoopback(range));
        }
        if !(range.prefix_len()..=30).contains(&prefix_len) {
            return Err(ClaimError::PrefixLength { range, prefix_len });
        }
        // A preference from a differently configured run is no reason to fail, only to ignore it.
        let preferred =
            preferred.filter(|block| block.prefix_len() == prefix_len && range.contains(block));
        for cidr in preferred.into_iter().chain(range.divide(prefix_len)) {
            if let Some(guard) = bind_guard(&cidr)? {
                let pool = Mutex::new(AddressPool::new(cidr));
                return Ok(PodNetwork {
                    pool,
                    cidr,
                    _guard: guard,
                });
            }
        }
        Err(ClaimError::AllTaken {
            range,
            blocks: range.divide(prefix_len).count(),
        })
    }

    /// The claimed block: the node's pod CIDR. To be kept, and preferred at the next start.
    pub fn cidr(&self) -> Block {
        self.cidr
    }

    pub fn allocate(&self) -> Result<Ipv4Addr, Exhausted> {
        self.pool.lock().allocate()
    }

    /// Gives an address back; one that is not in use is left alone.
    pub fn release(&self, address: Ipv4Addr) -> bool {
        self.pool.lock().release(address)
    }

    /// Whether a pod has this address now.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        self.pool.lock().holds(address)
    }

    /// How many addresses pods hold now.
    pub fn in_use(&self) -> u64 {
        self.pool.lock().in_use()
    }
}

/// The guard socket of a block, or None if another process holds it.
fn bind_guard(cidr: &Block) -> Result<Option<UdpSocket>, ClaimError> {
    let address = AddressPool::guard(cidr).expect("a /30 or larger has a second address");
    match UdpSocket::bind((address, GUARD_PORT)) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(source) => Err(ClaimError::Guard { address, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A range of two blocks that only this test uses, well away from where real clusters start.
    fn config(range: &str, prefix_len: u8) -> PodNetworkConfig {
        PodNetworkConfig {
            range: range.parse().expect("a block"),
            prefix_len,
            preferred: None,
        }
    }

    #[test]
    fn clusters_on_one_host_get_different_blocks_until_none_is_left() {
        let config = config("127.127.255.0/28", 29);
        let first = PodNetwork::claim(config.clone()).expect("free");
        let second = PodNetwork::claim(config.clone()).expect("free");
        assert_eq!(first.cidr().to_string(), "127.127.255.0/29");
        assert_eq!(second.cidr().to_string(), "127.127.255.8/29");
        let error = PodNetwork::claim(config.clone()).expect_err("both are taken");
        assert!(
            matches!(error, ClaimError::AllTaken { blocks: 2, .. }),
            "{error}"
        );
        drop(first);
        let again = PodNetwork::claim(config).expect("dropped, so free");
        assert_eq!(again.cidr().to_string(), "127.127.255.0/29");
    }

    #[test]
    fn the_preferred_block_is_taken_if_free_and_sensible() {
        let base = config("127.127.254.0/28", 29);
        let preferring = |block: &str| PodNetworkConfig {
            preferred: Some(block.parse().expect("a block")),
            ..base.clone()
        };
        let held = PodNetwork::claim(preferring("127.127.254.8/29")).expect("free");
        assert_eq!(held.cidr().to_string(), "127.127.254.8/29");
        for taken_or_foreign in ["127.127.254.8/29", "127.127.254.8/30", "127.99.0.0/29"] {
            let other = PodNetwork::claim(preferring(taken_or_foreign)).expect("one is free");
            assert_eq!(
                other.cidr().to_string(),
                "127.127.254.0/29",
                "{taken_or_foreign}"
            );
        }
    }

    #[test]
    fn addresses_are_local_and_given_back() {
        let network = PodNetwork::claim(config("127.127.253.0/29", 29)).expect("free");
        let address = network.allocate().expect("free");
        assert_eq!(address, Ipv4Addr::new(127, 127, 253, 2));
        std::net::TcpListener::bind((address, 0))
            .expect("a pod address can be bound without set-up");
        assert_eq!(network.in_use(), 1);
        assert!(network.holds(address));
        for nobodys in [[127, 127, 253, 1], [127, 127, 253, 3], [10, 0, 0, 1]] {
            assert!(!network.holds(nobodys.into()), "{nobodys:?}");
        }
        assert!(network.release(address));
        assert!(!network.holds(address));
        assert!(!network.release(address));
        assert_eq!(network.in_use(), 0);
    }

    #[test]
    fn senseless_configurations_are_refused() {
        let outside = PodNetwork::claim(config("10.0.0.0/10", 18)).expect_err("not loopback");
        assert!(matches!(outside, ClaimError::NotLoopback(_)));
        for prefix_len in [9, 31, 32, 200] {
            let error =
                PodNetwork::claim(config("127.64.0.0/10", prefix_len)).expect_err("bad length");
            assert!(
                matches!(error, ClaimError::PrefixLength { .. }),
                "{prefix_len}"
            );
        }
    }
}
