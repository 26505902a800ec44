//! Service addresses and node ports: who holds which.
//!
//! Kept in memory and filled from the stored Services at start; this process is the only writer. A claim belongs to a
//! `Reservation` until the object that needs it is stored.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use parking_lot::Mutex;

use super::quotas::Charge;

/// The pools.
pub(crate) struct Addresses {
    network: u32,
    size: u32,
    prefix_length: u8,
    ports: RangeInclusive<u16>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    addresses: HashSet<u32>,
    ports: HashSet<u16>,
}

/// Why something cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    OutOfRange,
    Taken,
    Exhausted,
}

impl Addresses {
    pub(crate) fn new(
        (network, prefix_length): (Ipv4Addr, u8),
        ports: RangeInclusive<u16>,
    ) -> Addresses {
        let prefix_length = prefix_length.clamp(8, 30);
        let size = 1u32 << (32 - prefix_length);
        Addresses {
            network: u32::from(network) & !(size - 1),
            size,
            prefix_length,
            ports,
            held: Mutex::default(),
        }
    }

    pub(super) fn network(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.network), self.prefix_length)
    }

    pub(super) fn port_range(&self) -> String {
        format!("{}-{}", self.ports.start(), self.ports.end())
    }

    /// The server's own address: the first.
    fn is_own(&self, address: Ipv4Addr) -> bool {
        u32::from(address) == self.network + 1
    }

    /// A particular address. Network and broadcast address belong to nobody; the first is only for the server's own
    /// Service, who gets it whatever else the books say.
    pub(super) fn claim_address(&self, address: Ipv4Addr, own: bool) -> Result<(), Refusal> {
        let offset = u32::from(address).wrapping_sub(self.network);
        if offset == 0 || offset >= self.size - 1 {
            return Err(Refusal::OutOfRange);
        }
        if self.is_own(address) {
            self.held.lock().addresses.insert(u32::from(address));
            return if own { Ok(()) } else { Err(Refusal::Taken) };
        }
        if self.held.lock().addresses.insert(u32::from(address)) {
            Ok(())
        } else {
            Err(Refusal::Taken)
        }
    }

    /// Any address. The lower part of the range is left to those who ask for a particular one.
    pub(super) fn any_address(&self) -> Result<Ipv4Addr, Refusal> {
        let reserved = (self.size / 16).clamp(2, 256);
        let mut held = self.held.lock();
        let start = rand::random_range(reserved..self.size - 1);
        let upper = (start..self.size - 1).chain(reserved..start);
        for offset in upper.chain(2..reserved) {
            if held.addresses.insert(self.network + offset) {
                return Ok(Ipv4Addr::from(self.network + offset));
            }
        }
        Err(Refusal::Exhausted)
    }

    pub(super) fn claim_port(&self, port: u16) -> Result<(), Refusal> {
        if !self.ports.contains(&port) {
            return Err(Refusal::OutOfRange);
        }
        if self.held.lock().ports.insert(port) {
            Ok(())
        } else {
            Err(Refusal::Taken)
        }
    }

    pub(super) fn any_port(&self) -> Result<u16, Refusal> {
        let mut held = self.held.lock();
        let start = rand::random_range(self.ports.clone());
        for port in (start..=*self.ports.end()).chain(*self.ports.start()..start) {
            if held.ports.insert(port) {
                return Ok(port);
            }
        }
        Err(Refusal::Exhausted)
    }

    /// Marks as taken what a stored object holds, whatever the pools say about it.
    pub(super) fn restore(
        &self,
        addresses: impl IntoIterator<Item = Ipv4Addr>,
        ports: impl IntoIterator<Item = u16>,
    ) {
        let mut held = self.held.lock();
        held.addresses.extend(addresses.into_iter().map(u32::from));
        held.ports.extend(ports);
    }

    pub(super) fn release(
        &self,
        addresses: impl IntoIterator<Item = Ipv4Addr>,
        ports: impl IntoIterator<Item = u16>,
    ) {
        let mut held = self.held.lock();
        for address in addresses {
            held.addresses.remove(&u32::from(address));
        }
        for port in ports {
            held.ports.remove(&port);
        }
    }
}

/// Claims of an object that is not stored yet; dropped, they are given back.
#[derive(Default)]
pub(crate) struct Reservation<'a> {
    pool: Option<&'a Addresses>,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) ports: Vec<u16>,
    /// Kept until the object is stored.
    pub(super) charge: Option<Charge<'a>>,
}

impl<'a> Reservation<'a> {
    pub(crate) fn nothing() -> Reservation<'a> {
        Reservation::default()
    }

    pub(super) fn of(pool: &'a Addresses) -> Reservation<'a> {
        Reservation {
            pool: Some(pool),
            addresses: Vec::new(),
            ports: Vec::new(),
            charge: None,
        }
    }

    /// The object is stored: its claims are its own now.
    pub(crate) fn keep(mut self) {
        self.pool = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool {
            pool.release(self.addresses.drain(..), self.ports.drain(..));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_exclusive_until_given_back() {
        let pool = Addresses::new((Ipv4Addr::new(10, 0, 0, 0), 29), 100..=101);
        let mut taken = HashSet::new();
        for _ in 0..5 {
            taken.insert(pool.any_address().expect("free"));
        }
        // .0 and .7 are nobody's and .1 is the server's.
        assert_eq!(taken.len(), 5);
        assert_eq!(pool.any_address(), Err(Refusal::Exhausted));
        let claim =
            |last: [u8; 2], own| pool.claim_address(Ipv4Addr::new(10, 0, last[0], last[1]), own);
        assert_eq!(claim([0, 1], false), Err(Refusal::Taken));
        assert_eq!(claim([0, 1], true), Ok(()));
        assert_eq!(claim([0, 1], true), Ok(()), "whatever the books say");
        assert_eq!(claim([0, 7], false), Err(Refusal::OutOfRange));
        assert_eq!(claim([1, 1], false), Err(Refusal::OutOfRange));
        let port = pool.any_port().expect("free");
        let mut reservation = Reservation::of(&pool);
        reservation.ports.push(port);
        drop(reservation);
        assert_eq!(pool.claim_port(port), Ok(()));
        assert_eq!(pool.claim_port(99), Err(Refusal::OutOfRange));
    }
}
