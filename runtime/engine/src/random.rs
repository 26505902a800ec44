//! Where guests get random numbers from: the generator of the thread, which is fit for keys and seeded anew from time to
//! time. One for each instance, as `wasmtime-wasi` makes them, is 400 bytes more for whoever just waits.

use rand::{Rng, TryRng};
use std::convert::Infallible;

/// The generator of whichever thread asks.
pub(crate) struct OfThread;

impl TryRng for OfThread {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(rand::rng().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(rand::rng().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        rand::rng().fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_no_memory_and_does_not_repeat_itself() {
        assert_eq!(size_of::<OfThread>(), 0);
        let mut numbers: Vec<u64> = (0..100).map(|_| OfThread.next_u64()).collect();
        let mut bytes = [0; 24];
        OfThread.fill_bytes(&mut bytes);
        numbers.extend(bytes.chunks(8).map(|part| {
            let part = part.try_into().expect("eight bytes");
            u64::from_le_bytes(part)
        }));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 103);
    }
}
