//! Decides a batch against memory, in order, without touching anything: each write sees the ones before it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{LazyWrites, Txn};
use crate::contract::{Codec, Committed, Durability, Entry, Event, EventKind, Expect, Op};
use crate::error::{StoreError, TxnError};
use crate::key::{Key, Revision};
use crate::memory::{Entries, Memory};
use crate::sqlite::{LogRow, Rows};

/// What an event costs in memory beside its objects.
const EVENT_OVERHEAD: usize = 200;

type Outcome<O> = Result<Committed<O>, TxnError<O>>;

pub(super) struct Stage<'a, C: Codec> {
    codec: &'a C,
    memory: &'a Memory<C::Object>,
    unreadable: &'a HashMap<Key, Revision>,
    staged: Staged<C::Object>,
}

/// A decided batch, not yet visible.
pub(super) struct Staged<O> {
    /// The revision after it.
    pub(super) revision: Revision,
    /// Whether anything in it must be on disk before it is acknowledged.
    pub(super) durable: bool,
    pub(super) events: Vec<(Arc<Event<O>>, usize)>,
    /// Hidden rows replaced by new ones.
    pub(super) recovered: Vec<(Key, Revision)>,
    buckets: HashMap<Arc<str>, Working<O>>,
    changes: Vec<Change>,
    answers: Vec<(oneshot::Sender<Outcome<O>>, Outcome<O>)>,
}

/// The next version of a bucket's map.
struct Working<O> {
    entries: Entries<O>,
    changed: bool,
}

/// One write as the file needs it.
struct Change {
    key: Key,
    revision: Revision,
    create_revision: Revision,
    previous: Option<Version>,
    write: Write,
}

#[derive(Clone, Copy)]
struct Version {
    revision: Revision,
    create_revision: Revision,
}

enum Write {
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

/// What an event keeps in memory that would otherwise be gone: the old version, and the last state of a deleted key. A
/// new version is current state first and becomes somebody's old version later.
pub(crate) fn event_bytes<C: Codec>(
    codec: &C,
    kind: EventKind,
    entry: &Entry<C::Object>,
    previous: Option<&Entry<C::Object>>,
) -> usize {
    let last = if kind == EventKind::Delete {
        codec.size(&entry.object)
    } else {
        0
    };
    EVENT_OVERHEAD + last + previous.map_or(0, |previous| codec.size(&previous.object))
}

impl<'a, C: Codec> Stage<'a, C> {
    pub(super) fn new(
        codec: &'a C,
        memory: &'a Memory<C::Object>,
        unreadable: &'a HashMap<Key, Revision>,
    ) -> Stage<'a, C> {
        let staged = Staged {
            revision: memory.revision(),
            durable: false,
            events: Vec::new(),
            recovered: Vec::new(),
            buckets: HashMap::new(),
            changes: Vec::new(),
            answers: Vec::new(),
        };
        Stage {
            codec,
            memory,
            unreadable,
            staged,
        }
    }

    pub(super) fn apply(&mut self, txn: Txn<C::Object>) {
        // The caller gave up before anything was decided.
        if txn.reply.is_closed() {
            return;
        }
        let current = self
            .working(txn.key.bucket())
            .entries
            .get(&txn.key)
            .cloned();
        let outcome = self.decide(txn.key, txn.expect, txn.op, current);
        self.staged.answers.push((txn.reply, outcome));
    }

    pub(super) fn finish(self) -> Staged<C::Object> {
        self.staged
    }

    fn decide(
        &mut self,
        key: Key,
        expect: Expect,
        op: Op,
        current: Option<Arc<Entry<C::Object>>>,
    ) -> Outcome<C::Object> {
        let holds = match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Revision(revision) => current
                .as_ref()
                .is_some_and(|entry| entry.revision == revision),
        };
        let revision = Revision(self.staged.revision.0 + 1);
        match (holds, op, &current) {
            (true, Op::Put { value, durability }, _) => {
                let object = self
                    .codec
                    .decode(&key, revision, &value)
                    .map_err(TxnError::Decode)?;
                Ok(self.put(
                    key,
                    revision,
                    object,
                    Write::Put { value, durability },
                    current,
                ))
            }
            (true, Op::Delete, Some(last)) => {
                let last = Arc::clone(last);
                Ok(self.delete(revision, last))
            }
            _ => Err(TxnError::Conflict { current }),
        }
    }

    fn put(
        &mut self,
        key: Key,
        revision: Revision,
        object: C::Object,
        write: Write,
        previous: Option<Arc<Entry<C::Object>>>,
    ) -> Committed<C::Object> {
        let create_revision = previous
            .as_ref()
            .map_or(revision, |entry| entry.create_revision);
        let entry = Arc::new(Entry {
            key: key.clone(),
            create_revision,
            revision,
            object,
        });
        let working = self.working(key.bucket());
        working.changed = true;
        working.entries.insert(key.clone(), Arc::clone(&entry));
        if let Some(row) = self.unreadable.get(&key).filter(|_| previous.is_none()) {
            self.staged.recovered.push((key, *row));
            // The old row must go together with the new one appearing.
            self.staged.durable = true;
        }
        self.record(EventKind::Put, entry, previous, write)
    }

    fn delete(&mut self, revision: Revision, last: Arc<Entry<C::Object>>) -> Committed<C::Object> {
        let working = self.working(last.key.bucket());
        working.changed = true;
        working.entries.remove(&last.key);
        let entry = Arc::new(Entry {
            key: last.key.clone(),
            create_revision: last.create_revision,
            revision,
            object: self.codec.restamp(&last.object, revision),
        });
        self.record(EventKind::Delete, entry, Some(last), Write::Delete)
    }

    fn record(
        &mut self,
        kind: EventKind,
        entry: Arc<Entry<C::Object>>,
        previous: Option<Arc<Entry<C::Object>>>,
        write: Write,
    ) -> Committed<C::Object> {
        let revision = entry.revision;
        self.staged.revision = revision;
        self.staged.durable |= !matches!(
            write,
            Write::Put {
                durability: Durability::Lazy,
                ..
            }
        );
        self.staged.changes.push(Change {
            key: entry.key.clone(),
            revision,
            create_revision: entry.create_revision,
            previous: previous.as_ref().map(|entry| Version {
                revision: entry.revision,
                create_revision: entry.create_revision,
            }),
            write,
        });
        let bytes = event_bytes(self.codec, kind, &entry, previous.as_deref());
        let event = Event {
            kind,
            revision,
            entry: Arc::clone(&entry),
            previous: previous.clone(),
        };
        self.staged.events.push((Arc::new(event), bytes));
        Committed {
            revision,
            entry,
            previous,
        }
    }

    fn working(&mut self, bucket: &str) -> &mut Working<C::Object> {
        let buckets = &mut self.staged.buckets;
        if !buckets.contains_key(bucket) {
            let working = Working {
                entries: self.memory.entries(bucket),
                changed: false,
            };
            buckets.insert(bucket.into(), working);
        }
        buckets
            .get_mut(bucket)
            .expect("it was inserted above if it was missing")
    }
}

impl<O> Staged<O> {
    /// The rows that bring the file to the state after this batch, waiting lazy writes included.
    pub(super) fn rows(&self, lazy: &LazyWrites) -> Rows {
        let mut rows = Rows::default();
        let mut current: HashMap<&Key, &Pending> = lazy.iter().collect();
        let owned: Vec<Option<Pending>> = self.changes.iter().map(Change::pending).collect();
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
        for (reply, outcome) in self.answers {
            let _ = reply.send(outcome);
        }
    }

    /// Tells every caller that the batch failed: even a conflict may have been with a write that now did not happen.
    pub(super) fn fail(self, error: &StoreError) {
        for (reply, outcome) in self.answers {
            let outcome = match outcome {
                Err(TxnError::Decode(error)) => Err(TxnError::Decode(error)),
                _ => Err(TxnError::Store(error.clone())),
            };
            let _ = reply.send(outcome);
        }
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
