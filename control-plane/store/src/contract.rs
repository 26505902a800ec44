//! The contract of a store: what a caller may ask and what it may rely on. No implementation.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{DecodeError, RangeError, StoreError, TxnError, WatchError};
use crate::key::{Key, Prefix, Revision};
use crate::watch::Watch;

/// Turns stored bytes into the form in which objects rest in memory.
pub trait Codec: Send + Sync + 'static {
    /// The resting form. The store keeps one copy of each and hands out `Arc`s of it.
    type Object: Send + Sync + 'static;

    /// Reads stored bytes whose revision is known. Called once per version by the writer, and for each row at start-up,
    /// so it must be quick and must not block.
    fn decode(
        &self,
        key: &Key,
        revision: Revision,
        stored: &Bytes,
    ) -> Result<Self::Object, DecodeError>;

    /// The same state with another revision: a delete event carries the last state with the deletion's revision.
    fn restamp(&self, object: &Self::Object, revision: Revision) -> Self::Object;

    /// Bytes the object holds, roughly; counted against the cap of the watch history.
    fn size(&self, object: &Self::Object) -> usize;
}

/// One version of one key.
#[derive(Clone, Debug)]
pub struct Entry<O> {
    /// The key.
    pub key: Key,
    /// The revision at which the key came to be.
    pub create_revision: Revision,
    /// The revision of this version.
    pub revision: Revision,
    /// The resting object.
    pub object: O,
}

/// The condition a write is made under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No condition (a delete still needs something to delete).
    Any,
    /// The key must not exist.
    Absent,
    /// The key must exist at exactly this revision.
    Revision(Revision),
}

/// When a write must have reached the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Before it is acknowledged.
    Durable,
    /// Some seconds later: a crash may lose it (and only it), but never makes its revision appear twice.
    Lazy,
}

/// A write.
#[derive(Clone, Debug)]
pub enum Op {
    /// Create or replace.
    Put {
        /// The bytes to store.
        value: Bytes,
        /// When they must be on disk.
        durability: Durability,
    },
    /// Remove. Always durable.
    Delete,
}

/// A write that happened.
#[derive(Debug)]
pub struct Committed<O> {
    /// Its revision. Every later read, list or watch sees it.
    pub revision: Revision,
    /// The new version; after a delete the last state, stamped with the deletion's revision.
    pub entry: Arc<Entry<O>>,
    /// The version it replaced.
    pub previous: Option<Arc<Entry<O>>>,
}

/// A list request.
#[derive(Clone, Debug)]
pub struct RangeRequest {
    /// Which keys.
    pub prefix: Prefix,
    /// Only keys after this one (the last key of the previous page).
    pub start_after: Option<Key>,
    /// At most so many entries.
    pub limit: Option<usize>,
    /// The state at this revision instead of now.
    pub at: Option<Revision>,
    /// Whether to count what is left after a page. It is done by walking there.
    pub count: bool,
}

impl RangeRequest {
    /// Everything under `prefix`, now, and counted.
    pub fn all(prefix: Prefix) -> RangeRequest {
        RangeRequest {
            prefix,
            start_after: None,
            limit: None,
            at: None,
            count: true,
        }
    }
}

/// A list, in key order.
#[derive(Debug)]
pub struct Page<O> {
    /// The revision the list shows: a watch from here misses nothing.
    pub revision: Revision,
    /// The entries.
    pub entries: Vec<Arc<Entry<O>>>,
    /// Whether keys follow after the last entry.
    pub more: bool,
    /// How many; 0 when it was not asked for.
    pub remaining: u64,
}

/// What happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// Created or replaced.
    Put,
    /// Removed.
    Delete,
}

/// One change.
#[derive(Debug)]
pub struct Event<O> {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub revision: Revision,
    /// The new version; for a delete the last state, stamped with the deletion's revision.
    pub entry: Arc<Entry<O>>,
    /// The version it replaced.
    pub previous: Option<Arc<Entry<O>>>,
}

/// A revisioned key-value store.
///
/// Writes are linearised by their revision. A write is visible to every read, list and watch before it is acknowledged.
#[async_trait]
pub trait Store<O>: Send + Sync + 'static {
    /// Writes one key under a condition. A caller that stops waiting does not know whether it happened.
    async fn txn(&self, key: Key, expect: Expect, op: Op) -> Result<Committed<O>, TxnError<O>>;

    /// The current version of a key.
    async fn get(&self, key: &Key) -> Result<Option<Arc<Entry<O>>>, StoreError>;

    /// Lists keys, now or at a revision the history still reaches.
    async fn range(&self, request: RangeRequest) -> Result<Page<O>, RangeError>;

    /// Events with a revision greater than `from`.
    async fn watch(&self, prefix: Prefix, from: Revision) -> Result<Watch<O>, WatchError>;

    /// What is wrong with the disk, while the store is read-only.
    fn health(&self) -> Option<StoreError>;

    /// The revision of the last write.
    fn current_revision(&self) -> Revision;

    /// Forgets history up to and including `to` (at most the current revision) and answers how far it went.
    async fn compact(&self, to: Revision) -> Result<Revision, StoreError>;

    /// Flushes lazy writes and marks a clean stop. Watches end, later writes fail with [`StoreError::Closed`].
    async fn close(&self);
}
