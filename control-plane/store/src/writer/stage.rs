//! Decides a batch against memory, in order, without touching anything: each write sees the ones before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Txn;
use super::staged::{Change, Outcome, Staged, Version, Working, Write};
use crate::contract::{Codec, Committed, Durability, Entry, Event, EventKind, Expect, Op};
use crate::error::TxnError;
use crate::key::{Key, Revision};
use crate::memory::Memory;

/// What an event costs in memory beside its objects.
const EVENT_OVERHEAD: usize = 200;

pub(super) struct Stage<'a, C: Codec> {
    codec: &'a C,
    memory: &'a Memory<C::Object>,
    unreadable: &'a HashMap<Key, Revision>,
    staged: Staged<C::Object>,
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
        let outcome = self.decide(txn.key.clone(), txn.expect, txn.op.clone(), current);
        self.staged.answers.push((txn, outcome));
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
