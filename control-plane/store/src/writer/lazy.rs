//! Lazy writes that are in memory and not yet on disk: the last value of each key.

use std::collections::HashMap;

use tokio::time::Instant;

use super::staged::Pending;
use crate::key::Key;

#[derive(Default)]
pub(crate) struct LazyWrites {
    pending: HashMap<Key, Pending>,
    bytes: usize,
    since: Option<Instant>,
}

impl LazyWrites {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Pending)> {
        self.pending.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest of them came.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    pub(super) fn insert(&mut self, key: Key, pending: Pending, now: Instant) {
        self.since.get_or_insert(now);
        self.bytes += pending.value.len();
        if let Some(old) = self.pending.insert(key, pending) {
            self.bytes -= old.value.len();
        }
    }

    /// They are on disk.
    pub(super) fn clear(&mut self) {
        *self = LazyWrites::default();
    }
}
