//! A block of IPv4 addresses in CIDR form. Pure.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// `address/prefix_len`, with the bits behind the prefix always zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Block {
    first: u32,
    prefix_len: u8,
}

/// Why a text or a pair of numbers is no [`Block`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseBlockError {
    #[error("{0:?} is not of the form address/prefix, as in 127.64.0.0/18")]
    Form(String),
    #[error("a prefix length is at most 32, not {0}")]
    PrefixLength(u8),
    #[error("{address} has bits set behind its prefix of {prefix_len}")]
    BitsBehindPrefix { address: Ipv4Addr, prefix_len: u8 },
}

impl Block {
    pub fn new(address: Ipv4Addr, prefix_len: u8) -> Result<Block, ParseBlockError> {
        if prefix_len > 32 {
            return Err(ParseBlockError::PrefixLength(prefix_len));
        }
        let block = Block::containing(address, prefix_len);
        if block.first != u32::from(address) {
            return Err(ParseBlockError::BitsBehindPrefix {
                address,
                prefix_len,
            });
        }
        Ok(block)
    }

    /// The block with this prefix length around an address. The caller has checked the length.
    const fn containing(address: Ipv4Addr, prefix_len: u8) -> Block {
        let mask = if prefix_len == 0 {
            0
        } else {
            u32::MAX << (32 - prefix_len as u32)
        };
        Block {
            first: address.to_bits() & mask,
            prefix_len,
        }
    }

    /// 127.64.0.0/10: the part of the loopback range pods live in. 127.0.0.0/10 is left to
    /// everything else on the host.
    pub const fn loopback_pods() -> Block {
        Block::containing(Ipv4Addr::new(127, 64, 0, 0), 10)
    }

    pub fn first(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.first)
    }

    pub fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// How many addresses it has, as u64 because a /0 has 2^32.
    pub fn len(&self) -> u64 {
        1 << (32 - u32::from(self.prefix_len))
    }

    /// Never true: even a /32 holds one address.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The address at an offset from the first; None past the end.
    pub fn address(&self, offset: u64) -> Option<Ipv4Addr> {
        (offset < self.len()).then(|| {
            let offset = u32::try_from(offset).expect("an offset within a block fits 32 bits");
            Ipv4Addr::from(self.first + offset)
        })
    }

    /// The offset of an address in this block; None if it is outside.
    pub fn offset(&self, address: Ipv4Addr) -> Option<u64> {
        let offset = u64::from(u32::from(address).checked_sub(self.first)?);
        (offset < self.len()).then_some(offset)
    }

    pub fn contains(&self, other: &Block) -> bool {
        self.prefix_len <= other.prefix_len && self.offset(Ipv4Addr::from(other.first)).is_some()
    }

    /// The blocks of a longer prefix that this one divides into; empty if the prefix is shorter.
    pub fn divide(&self, prefix_len: u8) -> impl Iterator<Item = Block> + use<> {
        let (first, own) = (self.first, self.prefix_len);
        let count: u64 = if (own..=32).contains(&prefix_len) {
            1 << (prefix_len - own)
        } else {
            0
        };
        (0..count).map(move |index| {
            let step = index << (32 - u32::from(prefix_len));
            let step = u32::try_from(step).expect("the blocks lie within a 32-bit range");
            Block {
                first: first + step,
                prefix_len,
            }
        })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.prefix_len)
    }
}

impl FromStr for Block {
    type Err = ParseBlockError;

    fn from_str(text: &str) -> Result<Block, ParseBlockError> {
        let form = || ParseBlockError::Form(text.to_string());
        let (address, prefix_len) = text.split_once('/').ok_or_else(form)?;
        let address = address.parse().map_err(|_| form())?;
        Block::new(address, prefix_len.parse().map_err(|_| form())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_or_say_why_not() {
        for text in [
            "127.64.0.0/10",
            "10.0.0.0/8",
            "0.0.0.0/0",
            "127.64.64.0/18",
            "1.2.3.4/32",
        ] {
            assert_eq!(text.parse::<Block>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "127.0.0.1",
            "127.0.0.1/33",
            "127.0.0.1/8",
            "a/8",
            "127.0.0.0/x",
            "::/8",
        ] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
        assert_eq!("127.64.0.0/10".parse(), Ok(Block::loopback_pods()));
    }

    #[test]
    fn the_default_range_divides_into_256_blocks() {
        let blocks: Vec<Block> = Block::loopback_pods().divide(18).collect();
        assert_eq!(blocks.len(), 256);
        assert_eq!(blocks[1].to_string(), "127.64.64.0/18");
        assert_eq!(blocks[255].to_string(), "127.127.192.0/18");
        assert!(
            blocks
                .iter()
                .all(|block| Block::loopback_pods().contains(block))
        );
        assert_eq!(blocks[0].divide(10).count(), 0);
        assert_eq!(blocks[0].divide(18).collect::<Vec<_>>(), [blocks[0]]);
    }

    #[test]
    fn offsets_stop_at_both_ends() {
        let block: Block = "127.64.64.0/18".parse().expect("a block");
        assert_eq!(block.len(), 16384);
        assert_eq!(block.address(16383), Some(Ipv4Addr::new(127, 64, 127, 255)));
        assert_eq!(block.address(16384), None);
        assert_eq!(block.offset(Ipv4Addr::new(127, 64, 63, 255)), None);
        assert_eq!(block.offset(Ipv4Addr::new(127, 64, 128, 0)), None);
        assert_eq!(block.offset(Ipv4Addr::new(127, 64, 64, 2)), Some(2));
    }
}
