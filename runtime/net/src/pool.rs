//! Which addresses of a block are in use. Pure: no socket, no lock, no clock.
//!
//! Reuse is delayed by going round: an address comes back only after all others had their turn, so
//! that a client with an old pod's address does not reach its successor right away.

use std::net::Ipv4Addr;

use crate::block::Block;

/// Offsets 0 (the block's own name) and 1 (the guard socket) are never a pod's.
const RESERVED_AT_START: u64 = 2;
/// Nor is the last, the broadcast address.
const RESERVED_AT_END: u64 = 1;

/// Hands out the addresses of one block.
#[derive(Debug)]
pub struct AddressPool {
    block: Block,
    /// One bit per address of the block, set while in use.
    used: Vec<u64>,
    in_use: u64,
    /// Where the next search starts.
    next: u64,
}

/// Every address of the block is in use.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("all {capacity} pod addresses of {block} are in use")]
pub struct Exhausted {
    pub block: Block,
    pub capacity: u64,
}

impl AddressPool {
    pub fn new(block: Block) -> AddressPool {
        let words =
            usize::try_from(block.len().div_ceil(64)).expect("a block's bitmap fits memory");
        AddressPool {
            block,
            used: vec![0; words],
            in_use: 0,
            next: RESERVED_AT_START,
        }
    }

    pub fn block(&self) -> Block {
        self.block
    }

    /// The address of a block that its owner holds a guard socket on.
    pub fn guard(block: &Block) -> Option<Ipv4Addr> {
        block.address(1)
    }

    /// How many pods fit.
    pub fn capacity(&self) -> u64 {
        self.block
            .len()
            .saturating_sub(RESERVED_AT_START + RESERVED_AT_END)
    }

    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    /// Whether a pod has this address.
    pub fn holds(&self, address: Ipv4Addr) -> bool {
        self.block
            .offset(address)
            .is_some_and(|offset| self.is_used(offset))
    }

    pub fn allocate(&mut self) -> Result<Ipv4Addr, Exhausted> {
        let capacity = self.capacity();
        if self.in_use >= capacity {
            return Err(Exhausted {
                block: self.block,
                capacity,
            });
        }
        let mut offset = self.next;
        while self.is_used(offset) {
            offset = self.after(offset);
        }
        self.set(offset, true);
        self.in_use += 1;
        self.next = self.after(offset);
        Ok(self
            .block
            .address(offset)
            .expect("after() stays within the block"))
    }

    /// Gives an address back. False if it was not in use here, which changes nothing: giving back
    /// twice is harmless.
    pub fn release(&mut self, address: Ipv4Addr) -> bool {
        let Some(offset) = self
            .block
            .offset(address)
            .filter(|&offset| self.is_used(offset))
        else {
            return false;
        };
        self.set(offset, false);
        self.in_use -= 1;
        true
    }

    /// The next offset that may be a pod's, going round.
    fn after(&self, offset: u64) -> u64 {
        if offset + 1 < self.block.len() - RESERVED_AT_END {
            offset + 1
        } else {
            RESERVED_AT_START
        }
    }

    fn is_used(&self, offset: u64) -> bool {
        self.used[word(offset)] & bit(offset) != 0
    }

    fn set(&mut self, offset: u64, used: bool) {
        if used {
            self.used[word(offset)] |= bit(offset);
        } else {
            self.used[word(offset)] &= !bit(offset);
        }
    }
}

fn word(offset: u64) -> usize {
    usize::try_from(offset / 64).expect("a block's bitmap fits memory")
}

fn bit(offset: u64) -> u64 {
    1 << (offset % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn pool(block: &str) -> AddressPool {
        AddressPool::new(block.parse().expect("a block"))
    }

    #[test]
    fn hands_out_all_but_the_reserved_and_then_says_so() {
        let mut pool = pool("127.64.0.0/29");
        let all: Vec<u8> = (0..5)
            .map(|_| pool.allocate().expect("one is left").octets()[3])
            .collect();
        assert_eq!(all, [2, 3, 4, 5, 6]);
        let error = pool.allocate().expect_err("none is left");
        assert_eq!(
            error.to_string(),
            "all 5 pod addresses of 127.64.0.0/29 are in use"
        );
    }

    #[test]
    fn an_address_comes_back_only_after_all_others() {
        let mut pool = pool("127.64.0.0/29");
        let first = pool.allocate().expect("free");
        assert!(pool.release(first));
        assert!(!pool.release(first), "the second time changes nothing");
        let others: Vec<u8> = (0..4)
            .map(|_| pool.allocate().expect("free").octets()[3])
            .collect();
        assert_eq!(others, [3, 4, 5, 6]);
        assert_eq!(pool.allocate(), Ok(first));
    }

    #[test]
    fn reserved_and_foreign_addresses_cannot_be_released() {
        let mut pool = pool("127.64.0.0/29");
        for last in [0, 1, 7, 8] {
            assert!(!pool.release(Ipv4Addr::new(127, 64, 0, last)));
        }
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn blocks_too_small_for_a_pod_are_exhausted_at_once() {
        for block in ["127.64.0.0/31", "127.64.0.0/32"] {
            assert!(pool(block).allocate().is_err(), "{block}");
        }
        assert_eq!(
            pool("127.64.0.0/30").allocate(),
            Ok(Ipv4Addr::new(127, 64, 0, 2))
        );
        assert_eq!(pool("127.64.0.0/18").capacity(), 16381);
    }

    proptest! {
        /// Against a set: no address is handed out twice, and exhaustion is exactly "all in use".
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((any::<bool>(), 0usize..16), 0..200)) {
            let mut pool = pool("127.64.0.0/28");
            let mut held: Vec<Ipv4Addr> = Vec::new();
            for (allocate, pick) in steps {
                if allocate {
                    match pool.allocate() {
                        Ok(address) => { prop_assert!(!held.contains(&address)); held.push(address); }
                        Err(_) => prop_assert_eq!(held.len() as u64, pool.capacity()),
                    }
                } else if !held.is_empty() {
                    let address = held.swap_remove(pick % held.len());
                    prop_assert!(pool.release(address));
                }
                prop_assert_eq!(pool.in_use(), held.len() as u64);
                prop_assert_eq!(held.iter().collect::<HashSet<_>>().len(), held.len());
            }
        }
    }
}
