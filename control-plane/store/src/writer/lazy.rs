//! Lazy writes that are in memory and not yet on disk: the last value of each key.

use std::collections::HashMap;

use tokio::time::Instant;

use super::staged::Pending;
use crate::key::Key;

#[derive(Default)]
pub(crate) struct LazyWrites {
    pending: HashMap<Key, Pending>,
    bytes: usize,
    due: Option<Instant>,
}

impl LazyWrites {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Pending)> {
        self.pending.iter()
    }

    pub(super) fn get(&self, key: &Key) -> Option<(&Key, &Pending)> {
        self.pending.get_key_value(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When they must be written.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Adds one that must be written at `due`; with it go all others.
    pub(super) fn insert(&mut self, key: Key, pending: Pending, due: Instant) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.bytes += pending.value.len();
        if let Some(old) = self.pending.insert(key, pending) {
            self.bytes -= old.value.len();
        }
    }

    /// The key is gone.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(old) = self.pending.remove(key) {
            self.bytes -= old.value.len();
        }
        if self.pending.is_empty() {
            self.due = None;
        }
    }

    /// They are on disk.
    pub(super) fn clear(&mut self) {
        *self = LazyWrites::default();
    }
}
