//! A decided batch on its way: to rows of the file, to memory, and to answers.

use std::collections::HashMap;
use std::sync::Arc;

use super::{LazyWrites, Txn};
use crate::contract::{Committed, Durability, Event};
use crate::error::{StoreError, TxnError};
use crate::key::{Key, Revision};
use crate::memory::Entries;
use crate::sqlite::{LogRow, Rows};
use bytes::Bytes;

pub(super) type Outcome<O> = Result<Committed<O>, TxnError<O>>;

/// A decided batch, not yet visible.
pub(super) struct Staged<O> {
    /// The revision after it.
    pub(super) revision: Revision,
    /// Whether anything in it must be on disk before it is acknowledged.
    pub(super) durable: bool,
    pub(super) events: Vec<(Arc<Event<O>>, usize)>,
    /// Hidden rows replaced by new ones.
    pub(super) recovered: Vec<(Key, Revision)>,
    pub(super) buckets: HashMap<Arc<str>, Working<O>>,
    pub(super) changes: Vec<Change>,
    pub(super) answers: Vec<(Txn<O>, Outcome<O>)>,
}

/// The next version of a bucket's map.
pub(super) struct Working<O> {
    pub(super) entries: Entries<O>,
    pub(super) changed: bool,
}

/// One write as the file needs it.
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) create_revision: Revision,
    pub(super) previous: Option<Version>,
    pub(super) write: Write,
}

#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) revision: Revision,
    pub(super) create_revision: Revision,
}

pub(super) enum Write {
    Put {
        value: Bytes,
        durability: Durability,
    },
    Delete,
}

/// What a row of `current` shall be.
pub(super) struct Pending {
    pub(super) create_revision: Revision,
    pub(super) revision: Revision,
    pub(super) value: Bytes,
}

impl<O> Staged<O> {
    /// The rows that bring the file to the state after this batch, waiting lazy writes included.
    pub(super) fn rows(&self, lazy: &LazyWrites) -> Rows {
        self.rows_with(lazy.iter().collect())
    }

    /// The rows of this batch alone; of waiting lazy writes only those that it replaces count.
    pub(super) fn rows_alone(&self, lazy: &LazyWrites) -> Rows {
        self.rows_with(self.keys().filter_map(|key| lazy.get(key)).collect())
    }

    fn rows_with(&self, waiting: HashMap<&Key, &Pending>) -> Rows {
        // The key stands in the log and in `current`.
        let keys = |change: &Change| 2 * change.key.as_str().len();
        let bytes = self.bytes() + self.changes.iter().map(keys).sum::<usize>();
        let mut rows = Rows::with_room(self.changes.len(), bytes);
        let owned: Vec<Option<Pending>> = self.changes.iter().map(Change::pending).collect();
        let mut current = waiting;
        for (change, pending) in self.changes.iter().zip(&owned) {
            // The old value is in `current`, unless it is about to get there with this very transaction.
            let unwritten = current.remove(&change.key);
            if change.is_logged() {
                rows.push_log(&LogRow {
                    revision: change.revision,
                    key: &change.key,
                    deleted: pending.is_none(),
                    previous: change
                        .previous
                        .map(|old| (old.revision, old.create_revision)),
                    previous_value: unwritten.map(|pending| &pending.value),
                });
            }
            match (pending, change.previous) {
                (Some(pending), _) => _ = current.insert(&change.key, pending),
                (None, Some(old)) => rows.push_delete(old.create_revision),
                (None, None) => {}
            }
        }
        for (key, pending) in current {
            rows.push_current(
                key,
                pending.create_revision,
                pending.revision,
                &pending.value,
            );
        }
        for (_, row) in &self.recovered {
            rows.push_delete(*row);
        }
        rows
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.changes.iter().map(|change| &change.key)
    }

    /// Whether it leaves less than there was.
    pub(super) fn only_deletes(&self) -> bool {
        let mut writes = self.changes.iter().map(|change| &change.write);
        writes.all(|write| matches!(write, Write::Delete))
    }

    /// Bytes of values in it, for the limit on what may wait unwritten.
    pub(super) fn bytes(&self) -> usize {
        self.changes
            .iter()
            .filter_map(Change::value)
            .map(Bytes::len)
            .sum()
    }

    /// The values put, in order.
    pub(super) fn drain_pending(&mut self) -> impl Iterator<Item = (Key, Pending)> + use<'_, O> {
        self.changes.drain(..).filter_map(|change| {
            let pending = change.pending()?;
            Some((change.key, pending))
        })
    }

    /// The maps that changed.
    pub(super) fn take_buckets(&mut self) -> Vec<(Arc<str>, Entries<O>)> {
        let buckets = self.buckets.drain().filter(|(_, working)| working.changed);
        buckets
            .map(|(name, working)| (name, working.entries))
            .collect()
    }

    /// Tells every caller how its write went. One that stopped waiting is not an error.
    pub(super) fn answer(self) {
        for (txn, outcome) in self.answers {
            let _ = txn.reply.send(outcome);
        }
    }

    /// Tells every caller that the batch failed: even a conflict may have been with a write that now did not happen.
    pub(super) fn fail(self, error: &StoreError) {
        for (txn, outcome) in self.answers {
            let outcome = match outcome {
                Err(TxnError::Decode(error)) => Err(TxnError::Decode(error)),
                _ => Err(TxnError::Store(error.clone())),
            };
            let _ = txn.reply.send(outcome);
        }
    }

    /// The writes it was made of.
    pub(super) fn into_txns(self) -> Vec<Txn<O>> {
        self.answers.into_iter().map(|(txn, _)| txn).collect()
    }
}

impl Change {
    fn value(&self) -> Option<&Bytes> {
        match &self.write {
            Write::Put { value, .. } => Some(value),
            Write::Delete => None,
        }
    }

    fn pending(&self) -> Option<Pending> {
        let value = self.value()?.clone();
        Some(Pending {
            create_revision: self.create_revision,
            revision: self.revision,
            value,
        })
    }

    /// Lazy writes leave no trace in the log: history across a restart ends where one is missing.
    fn is_logged(&self) -> bool {
        !matches!(
            self.write,
            Write::Put {
                durability: Durability::Lazy,
                ..
            }
        )
    }
}
