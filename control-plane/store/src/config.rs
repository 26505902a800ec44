//! What can be tuned, with its defaults. Every queue and buffer of the store has its limit here.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`crate::SqliteStore`]. Start from [`StoreConfig::new`].
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The database file. Its folder must exist. `-wal`, `-shm`, `-owner` and `-reserve` files
    /// appear beside it.
    pub path: PathBuf,
    /// Largest value, in bytes: upstream's default request limit.
    pub max_value_bytes: usize,
    /// Writes that may wait for the writer; further callers wait to be let in.
    pub queue: usize,
    /// Most writes committed together.
    pub max_batch: usize,
    /// Most value bytes committed together (one larger value still goes, alone).
    pub max_batch_bytes: usize,
    /// How long history is kept, for watches to resume and for lists at a revision: a bookmark's minute and some.
    pub history_window: Duration,
    /// Most bytes of events in memory, over all buckets.
    pub history_bytes: usize,
    /// How long a lazy write of a new key may wait for a durable one to ride along with.
    pub lazy_flush: Duration,
    /// The same for one that replaces a value, as heartbeats do: the next one follows soon, so losing it costs little,
    /// and flushing each would be most of what an idle cluster writes.
    pub lazy_refresh: Duration,
    /// Most bytes of lazy writes waiting; beyond that they are flushed at once.
    pub lazy_bytes: usize,
    /// How long a start after an unclean stop waits for the check of the file; the rest is checked while the store runs.
    pub check_time: Duration,
    /// Bytes of write-ahead log after which it is copied into the database in the background. The log may reach four
    /// times as much before writes wait for that.
    pub checkpoint_bytes: u64,
}

impl StoreConfig {
    /// The defaults, for a database at `path`.
    pub fn new(path: impl Into<PathBuf>) -> StoreConfig {
        StoreConfig {
            path: path.into(),
            max_value_bytes: 3 << 20,
            queue: 1024,
            max_batch: 512,
            max_batch_bytes: 8 << 20,
            history_window: Duration::from_secs(75),
            history_bytes: 32 << 20,
            lazy_flush: Duration::from_secs(30),
            lazy_refresh: Duration::from_secs(300),
            lazy_bytes: 8 << 20,
            check_time: Duration::from_millis(500),
            checkpoint_bytes: 4 << 20,
        }
    }
}
