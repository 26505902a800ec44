//! The disk that the registry may use: its blobs, and what has come of uploads under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::registry::answer::Failure;

/// All of it.
#[derive(Debug)]
pub(crate) struct Room {
    most: u64,
    used: AtomicU64,
}

/// Some bytes of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    room: Arc<Room>,
    bytes: u64,
}

impl Room {
    pub(crate) fn new(most: u64, used: u64) -> Arc<Room> {
        let used = AtomicU64::new(used);
        Arc::new(Room { most, used })
    }

    /// Nothing at first.
    pub(crate) fn taken(self: &Arc<Self>) -> Taken {
        Taken {
            room: self.clone(),
            bytes: 0,
        }
    }

    /// A blob of so many bytes is gone.
    pub(crate) fn give_back(&self, bytes: u64) {
        let (relaxed, less) = (Ordering::Relaxed, |used: u64| {
            Some(used.saturating_sub(bytes))
        });
        // It always is an answer.
        let _before = self.used.fetch_update(relaxed, relaxed, less);
    }

    fn with(&self, used: u64, bytes: u64) -> Option<u64> {
        used.checked_add(bytes).filter(|sum| *sum <= self.most)
    }

    fn full(&self) -> Failure {
        Failure::Full { most: self.most }
    }
}

impl Taken {
    /// Refuses what there would be no room for, before it comes.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Failure> {
        let used = self.room.used.load(Ordering::Relaxed);
        let fits = self.room.with(used, bytes);
        fits.map(drop).ok_or_else(|| self.room.full())
    }

    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Failure> {
        let more = |used| self.room.with(used, bytes);
        let (relaxed, used) = (Ordering::Relaxed, &self.room.used);
        let grown = used.fetch_update(relaxed, relaxed, more);
        grown.map_err(|_| self.room.full())?;
        self.bytes += bytes;
        Ok(())
    }

    /// A blob has them from now on.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_was_taken_cannot_be_given_back() {
        let room = Room::new(10, 0);
        let mut taken = room.taken();
        taken.grow(5).expect("room");
        room.give_back(7);
        drop(taken);
        room.taken().grow(10).expect("all of it");
    }
}
