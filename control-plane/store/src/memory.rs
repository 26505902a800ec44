//! The state everyone reads: current entries per bucket as persistent maps, an index of them for point reads, and the
//! watch history beside them.
//!
//! Invariant: one lock guards all, the writer alone changes them, and it changes them for a whole batch at once. So
//! whoever holds the lock sees every event up to the revision it reads, and none after it. Nothing here touches a disk.

mod index;
mod past;
mod range;
mod ring;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::contract::{Entry, Event, EventKind};
use crate::error::WatchError;
use crate::key::{Key, Prefix, Revision};

use index::Index;
use past::Past;
pub(crate) use ring::Ring;

/// The current entries of one bucket. Cloning is O(1).
pub(crate) type Entries<O> = OrdMap<Key, Arc<Entry<O>>>;

/// Most events one [`Memory::read`] hands out (which is what a watcher that got stuck keeps alive), and most it looks at
/// while holding the lock.
const READ_EVENTS: usize = 64;
const READ_SCAN: usize = 4096;

pub(crate) struct Memory<O> {
    inner: RwLock<Inner<O>>,
    /// Locked after `inner` where both are.
    past: Past<O>,
    /// Of the index. The standard one: keyed by chance, and little beside one look into memory.
    hasher: RandomState,
    started: Instant,
    limits: HistoryLimits,
}

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryLimits {
    pub(crate) window: Duration,
    pub(crate) bytes: usize,
}

struct Inner<O> {
    revision: Revision,
    /// Compacted on request, or unknown since before the start. Rings have their own, later floors.
    compacted: Revision,
    buckets: HashMap<Arc<str>, Bucket<O>>,
    /// The entries of all buckets.
    index: Index<O>,
    history_bytes: usize,
    closed: bool,
}

pub(crate) struct Bucket<O> {
    pub(crate) entries: Entries<O>,
    pub(crate) ring: Ring<O>,
    /// Carries the last event's revision; dropped when the store closes.
    wake: Arc<watch::Sender<Revision>>,
}

impl<O> Bucket<O> {
    pub(crate) fn new(entries: Entries<O>, ring: Ring<O>) -> Bucket<O> {
        Bucket {
            entries,
            ring,
            wake: Arc::new(watch::Sender::new(Revision(0))),
        }
    }
}

/// What the writer publishes: the new maps of the buckets it changed and the events that led there.
pub(crate) struct Publication<O> {
    pub(crate) revision: Revision,
    pub(crate) buckets: Vec<(Arc<str>, Entries<O>)>,
    pub(crate) events: Vec<(Arc<Event<O>>, usize)>,
}

/// Watchers of buckets that changed. They may be many, and who wrote need not wait for them.
#[must_use = "watchers would wait for the next change"]
pub(crate) struct Wakes(Vec<(Arc<watch::Sender<Revision>>, Revision)>);

impl Wakes {
    pub(crate) fn wake(self) {
        for (sender, revision) in self.0 {
            sender.send_replace(revision);
        }
    }
}

/// How much there is.
pub(crate) struct Size {
    pub(crate) entries: usize,
    pub(crate) history_events: usize,
    pub(crate) history_bytes: usize,
}

/// Events read by a watcher.
pub(crate) struct Read<O> {
    pub(crate) events: Vec<Arc<Event<O>>>,
    /// Everything up to here was looked at.
    pub(crate) cursor: Revision,
    /// Whether the ring holds more.
    pub(crate) more: bool,
}

impl<O> Memory<O> {
    /// The state found on disk.
    pub(crate) fn new(
        revision: Revision,
        compacted: Revision,
        buckets: HashMap<Arc<str>, Bucket<O>>,
        limits: HistoryLimits,
    ) -> Memory<O> {
        let history_bytes = buckets.values().map(|bucket| bucket.ring.bytes()).sum();
        let hasher = RandomState::new();
        let mut index = Index::new();
        for entry in buckets.values().flat_map(|bucket| bucket.entries.values()) {
            let double = index.insert(hasher.hash_one(&entry.key), Arc::clone(entry));
            debug_assert!(double.is_none(), "a key is in one map, and there once");
        }
        let inner = Inner {
            revision,
            compacted,
            buckets,
            index,
            history_bytes,
            closed: false,
        };
        Memory {
            inner: RwLock::new(inner),
            past: Past::new(),
            hasher,
            started: Instant::now(),
            limits,
        }
    }

    pub(crate) fn revision(&self) -> Revision {
        self.inner.read().revision
    }

    pub(crate) fn compacted(&self) -> Revision {
        self.inner.read().compacted
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry<O>>> {
        let hash = self.hasher.hash_one(key);
        self.inner.read().index.get(hash, key).cloned()
    }

    /// The entries of a bucket, to build the next version of the map from.
    pub(crate) fn entries(&self, bucket: &str) -> Entries<O> {
        match self.inner.read().buckets.get(bucket) {
            Some(bucket) => bucket.entries.clone(),
            None => Entries::new(),
        }
    }

    /// Makes a committed batch visible. Answers whom to wake: those who watch the buckets it touched.
    pub(crate) fn publish(&self, publication: Publication<O>) -> Wakes {
        let now = self.now();
        let mut wake = Vec::with_capacity(publication.buckets.len());
        let hash = |event: &Event<O>| self.hasher.hash_one(&event.entry.key);
        let hashes = publication.events.iter().map(|(event, _)| hash(event));
        let hashes: Vec<u64> = hashes.collect();
        // Dropped after the lock: freeing map nodes, entries and events is not the readers' problem.
        let mut garbage = Vec::new();
        let mut old_maps = Vec::with_capacity(publication.buckets.len());
        let mut old_entries = Vec::with_capacity(hashes.len());
        let _past = {
            let mut guard = self.inner.write();
            let inner = &mut *guard;
            for ((event, bytes), hash) in publication.events.into_iter().zip(hashes) {
                old_entries.push(inner.index(hash, &event));
                let name = event.entry.key.bucket();
                let bucket = inner.bucket(name);
                bucket.ring.push(event, bytes, now);
                inner.history_bytes += bytes;
            }
            for (name, entries) in publication.buckets {
                let bucket = inner.bucket(&name);
                old_maps.push(std::mem::replace(&mut bucket.entries, entries));
                wake.push((Arc::clone(&bucket.wake), bucket.ring.last()));
            }
            inner.revision = publication.revision;
            inner.trim(&self.limits, now, &mut garbage);
            self.forget_past(inner)
        };
        Wakes(wake)
    }

    /// Drops events older than the window. Answers when the next one will be due.
    pub(crate) fn expire(&self) -> Option<Instant> {
        let now = self.now();
        let mut garbage = Vec::new();
        // Freed after the lock, as the garbage is.
        let _past;
        let mut inner = self.inner.write();
        inner.trim(&self.limits, now, &mut garbage);
        _past = self.forget_past(&inner);
        let oldest = inner
            .buckets
            .values()
            .filter_map(|bucket| bucket.ring.oldest())
            .min()?;
        Some(self.started + oldest + self.limits.window)
    }

    /// Forgets history up to and including `to`.
    pub(crate) fn compact(&self, to: Revision) {
        let mut garbage = Vec::new();
        let mut guard = self.inner.write();
        let inner = &mut *guard;
        inner.compacted = inner.compacted.max(to);
        for bucket in inner.buckets.values_mut() {
            let before = bucket.ring.bytes();
            bucket.ring.drop_through(to, &mut garbage);
            inner.history_bytes -= before - bucket.ring.bytes();
        }
        let past = self.forget_past(inner);
        drop(guard);
        drop(past);
    }

    /// Maps of revisions that can no longer be listed.
    #[must_use = "they are many objects to free, which is not for a lock"]
    fn forget_past(&self, inner: &Inner<O>) -> Vec<Entries<O>> {
        self.past.forget(|bucket, revision| {
            let ring = inner.buckets.get(bucket).map(|bucket| &bucket.ring);
            revision >= inner.compacted && ring.is_none_or(|ring| revision >= ring.floor())
        })
    }

    /// Ends all watches once they have caught up.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.write();
        inner.closed = true;
        for bucket in inner.buckets.values_mut() {
            bucket.wake = Arc::new(watch::Sender::new(Revision(0)));
        }
    }

    /// Starts a watch of a bucket after `from`.
    pub(crate) fn subscribe(
        &self,
        bucket: &str,
        from: Revision,
    ) -> Result<watch::Receiver<Revision>, WatchError> {
        let mut inner = self.inner.write();
        if inner.closed {
            return Err(WatchError::Closed);
        }
        if from > inner.revision {
            return Err(WatchError::Future {
                current: inner.revision,
            });
        }
        let compacted = inner.compacted;
        let bucket = inner.bucket(bucket);
        let floor = compacted.max(bucket.ring.floor());
        if from < floor {
            return Err(WatchError::Compacted { compacted: floor });
        }
        Ok(bucket.wake.subscribe())
    }

    /// The next events after `cursor` that match.
    pub(crate) fn read(&self, prefix: &Prefix, cursor: Revision) -> Result<Read<O>, WatchError> {
        let inner = self.inner.read();
        let caught_up = Read {
            events: Vec::new(),
            cursor: inner.revision,
            more: false,
        };
        let Some(bucket) = inner.buckets.get(prefix.bucket_name()) else {
            return Ok(caught_up);
        };
        if bucket.ring.floor() > cursor {
            return Err(WatchError::Compacted {
                compacted: bucket.ring.floor(),
            });
        }
        let mut events = Vec::new();
        let mut last = cursor;
        for (scanned, event) in bucket.ring.after(cursor).enumerate() {
            if events.len() == READ_EVENTS || scanned == READ_SCAN {
                return Ok(Read {
                    events,
                    cursor: last,
                    more: true,
                });
            }
            last = event.revision;
            if prefix.matches(&event.entry.key) {
                events.push(Arc::clone(event));
            }
        }
        Ok(Read {
            events,
            ..caught_up
        })
    }

    /// How far a watcher at `cursor` has really got: with no event left for it in the bucket, all the way to now.
    pub(crate) fn progress(&self, bucket: &str, cursor: Revision) -> Revision {
        let inner = self.inner.read();
        match inner.buckets.get(bucket) {
            Some(bucket) if bucket.ring.last() > cursor => cursor,
            _ => inner.revision.max(cursor),
        }
    }

    /// How many watch a bucket.
    pub(crate) fn watchers(&self, bucket: &str) -> usize {
        let inner = self.inner.read();
        let bucket = inner.buckets.get(bucket);
        bucket.map_or(0, |bucket| bucket.wake.receiver_count())
    }

    /// Over all buckets.
    pub(crate) fn size(&self) -> Size {
        let inner = self.inner.read();
        let buckets = inner.buckets.values();
        let (entries, history_events) = buckets
            .map(|bucket| (bucket.entries.len(), bucket.ring.len()))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Size {
            entries,
            history_events,
            history_bytes: inner.history_bytes,
        }
    }

    /// How many entries each bucket has.
    pub(crate) fn entries_by_bucket(&self) -> Vec<(Arc<str>, usize)> {
        let inner = self.inner.read();
        let buckets = inner.buckets.iter();
        buckets
            .map(|(name, bucket)| (Arc::clone(name), bucket.entries.len()))
            .collect()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl<O> Inner<O> {
    fn bucket(&mut self, name: &str) -> &mut Bucket<O> {
        if !self.buckets.contains_key(name) {
            let bucket = Bucket::new(Entries::new(), Ring::new(Revision(0)));
            self.buckets.insert(name.into(), bucket);
        }
        self.buckets
            .get_mut(name)
            .expect("it was inserted above if it was missing")
    }

    /// Brings the index to the state after an event. Answers what it held before.
    fn index(&mut self, hash: u64, event: &Event<O>) -> Option<Arc<Entry<O>>> {
        match event.kind {
            EventKind::Put => self.index.insert(hash, Arc::clone(&event.entry)),
            EventKind::Delete => self.index.remove(hash, &event.entry.key),
        }
    }

    /// Applies the limits: first age, then bytes, taking from the bucket that holds most so that a busy kind cannot
    /// push out the history of a quiet one.
    fn trim(&mut self, limits: &HistoryLimits, now: Duration, garbage: &mut Vec<Arc<Event<O>>>) {
        if let Some(horizon) = now.checked_sub(limits.window) {
            for bucket in self.buckets.values_mut() {
                let before = bucket.ring.bytes();
                bucket.ring.drop_before(horizon, garbage);
                self.history_bytes -= before - bucket.ring.bytes();
            }
        }
        while self.history_bytes > limits.bytes {
            let largest = self
                .buckets
                .values_mut()
                .max_by_key(|bucket| bucket.ring.bytes());
            let Some(bucket) = largest else { return };
            let before = bucket.ring.bytes();
            bucket.ring.drop_oldest(garbage);
            self.history_bytes -= before - bucket.ring.bytes();
        }
    }
}
