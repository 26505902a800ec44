//! A revisioned key-value store with watch, on one SQLite file.
//!
//! It knows keys, bytes and revisions and no Kubernetes kind. The contract is [`Store`], shaped so that it maps one to
//! one on etcd; [`SqliteStore`] is the implementation for one machine. What callers keep in memory is theirs to choose:
//! a [`Codec`] turns stored bytes into the resting object, and the store holds exactly one copy of each.
//!
//! It does not decode, validate, authorise or filter by anything but the key, and it does not expire keys.

mod config;
mod contract;
mod counters;
mod error;
mod key;
mod memory;
mod sqlite;
mod watch;
mod writer;

pub use config::StoreConfig;
pub use contract::{
    Codec, Committed, Durability, Entry, Event, EventKind, Expect, Op, Page, RangeRequest, Store,
};
pub use counters::{Distribution, StoreCounters, WriteTimes};
pub use error::{
    DecodeError, OpenError, RangeError, SnapshotError, StoreError, TxnError, WatchError,
};
pub use key::{Key, Prefix, Revision};
pub use sqlite::{Snapshot, SqliteStore, StoreStats};
pub use watch::Watch;
