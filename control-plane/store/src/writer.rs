//! The one task that writes. It owns the revision counter, decides every condition against memory, commits what has
//! queued as one transaction, publishes it, and only then answers.
//!
//! Invariant: a batch that fails changes nothing: no revision is used up, memory stays as it was, all its writers get
//! the error. Between batches the task does the housekeeping: lazy flushes, compaction slices, vacuum, checkpoints.

mod full;
mod housekeeping;
mod lazy;
mod stage;
mod staged;
mod trim;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::contract::{Codec, Committed, Expect, Op};
use crate::counters::{BatchClock, Counters};
use crate::error::{StoreError, TxnError};
use crate::key::{Key, Revision};
use crate::memory::{Memory, Publication, Wakes};
use crate::sqlite::{BackgroundCheck, Damage, Database, Meta, Rows};
use full::Refused;
pub(crate) use lazy::LazyWrites;
use stage::Stage;
pub(crate) use stage::event_bytes;
use staged::Staged;
pub(crate) use trim::LogTrim;

/// Revisions reserved ahead on disk. After an unclean stop the store goes on above the reservation, so a revision that
/// was handed out but not written (a lazy write) is not handed out again.
const RESERVE: u64 = 100_000;

/// How often the writer lets other tasks run before it takes an empty queue for an answer.
const TURNS: u32 = 4;
/// It waits for a part of what the last sync took, at most. Where syncs are slow, sharing one is worth waiting for; where
/// they are quick, the processor is what is short, and it has nothing to do while all wait for the same sync.
const WAIT_PART: u32 = 8;

/// A request to the writer.
pub(crate) enum Command<O> {
    Txn(Txn<O>),
    Compact {
        to: Revision,
        reply: oneshot::Sender<Result<Revision, StoreError>>,
    },
    Close,
}

pub(crate) struct Txn<O> {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    pub(crate) op: Op,
    pub(crate) sent: std::time::Instant,
    pub(crate) reply: oneshot::Sender<Result<Committed<O>, TxnError<O>>>,
}

impl<O> Txn<O> {
    fn bytes(&self) -> usize {
        match &self.op {
            Op::Put { value, .. } => value.len(),
            Op::Delete => 0,
        }
    }
}

/// The failure of the last batch, until one succeeds.
pub(crate) type Health = Arc<RwLock<Option<StoreError>>>;

pub(crate) struct Writer<C: Codec> {
    pub(crate) codec: C,
    pub(crate) config: StoreConfig,
    pub(crate) memory: Arc<Memory<C::Object>>,
    pub(crate) database: Database,
    pub(crate) commands: mpsc::Receiver<Command<C::Object>>,
    pub(crate) health: Health,
    /// What the file says about revisions.
    pub(crate) meta: Meta,
    /// Rows that could not be decoded, by key: hidden, kept in the file until the key is written again.
    pub(crate) unreadable: HashMap<Key, Revision>,
    pub(crate) trim: LogTrim,
    pub(crate) lazy: LazyWrites,
    /// When history in memory is next due to expire.
    pub(crate) expiry: Option<Instant>,
    /// Whether the file may have pages to give back.
    pub(crate) vacuum: bool,
    /// When room was last looked for on a full disk, without finding any.
    pub(crate) sought: Option<Instant>,
    /// How long the last transaction took.
    pub(crate) last_sync: Duration,
    /// No housekeeping before this: something failed.
    pub(crate) hold: Option<Instant>,
    pub(crate) counters: Arc<Counters>,
    /// Once set, nothing is written any more.
    pub(crate) damage: Damage,
    /// The rest of the check of the file, while it goes on.
    pub(crate) check: Option<BackgroundCheck>,
}

impl<C: Codec> Writer<C> {
    /// Runs until asked to close or until every handle is gone.
    pub(crate) async fn run(mut self) {
        let _ends_watches = EndsWatches(Arc::clone(&self.memory));
        let mut next = None;
        loop {
            let command = match next.take() {
                Some(command) => command,
                None => match self.wait().await {
                    Wake::Command(command) => command,
                    Wake::Housekeeping => {
                        self.housekeeping().await;
                        continue;
                    }
                    Wake::Gone => break,
                },
            };
            match command {
                Command::Txn(first) => {
                    let mut batch = vec![first];
                    next = self.fill(&mut batch).await;
                    if let Err(refused) = self.batch(batch).await {
                        self.one_by_one(refused).await;
                    }
                }
                Command::Compact { to, reply } => {
                    // The caller may have given up; compaction does no harm.
                    let _ = reply.send(self.compact(to).await);
                }
                Command::Close => break,
            }
        }
        self.shut_down().await;
    }

    async fn wait(&mut self) -> Wake<C::Object> {
        let due = self.housekeeping_due();
        tokio::select! {
            biased;
            command = self.commands.recv() => command.map_or(Wake::Gone, Wake::Command),
            () = until(due) => Wake::Housekeeping,
        }
    }

    /// Takes what has queued, up to the limits of a batch. Answers a command that has to wait for the next round.
    ///
    /// An empty queue does not end the batch at once: the callers just answered get their turn to ask again first, so
    /// that they share one sync instead of taking every other one. For how long, the last sync says.
    async fn fill(&mut self, batch: &mut Vec<Txn<C::Object>>) -> Option<Command<C::Object>> {
        let mut bytes = batch.iter().map(Txn::bytes).sum::<usize>();
        let mut turns = TURNS;
        let begun = Instant::now();
        while batch.len() < self.config.max_batch && bytes < self.config.max_batch_bytes {
            match self.commands.try_recv() {
                Ok(Command::Txn(txn)) => {
                    bytes += txn.bytes();
                    batch.push(txn);
                }
                Ok(other) => return Some(other),
                Err(_) if turns == 0 || begun.elapsed() > self.last_sync / WAIT_PART => {
                    return None;
                }
                Err(_) => {
                    turns -= 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        None
    }

    /// Stages, commits, publishes and answers one batch. On a full disk it answers nothing: some of it may find room.
    async fn batch(&mut self, batch: Vec<Txn<C::Object>>) -> Result<(), Refused<C::Object>> {
        let counters = Arc::clone(&self.counters);
        let mut clock = BatchClock::start(&counters, batch.iter().map(|txn| txn.sent));
        let mut stage = Stage::new(&self.codec, &self.memory, &self.unreadable);
        for txn in batch {
            stage.apply(txn);
        }
        let staged = stage.finish();
        clock.staged();
        if staged.events.is_empty() {
            staged.answer();
            return Ok(());
        }
        let committed = self.commit(&staged).await;
        clock.synced();
        match committed {
            Ok(written) => {
                let (staged, wakes) = self.publish(staged, written);
                clock.published();
                staged.answer();
                wakes.wake();
            }
            Err(error @ StoreError::DiskFull { .. }) => return Err(Refused { staged, error }),
            Err(error) => staged.fail(&error),
        }
        Ok(())
    }

    /// Brings a staged batch to disk if its durability demands it.
    async fn commit(&mut self, staged: &Staged<C::Object>) -> Result<Written, StoreError> {
        let now = Instant::now();
        let must_write = staged.durable
            || self.lazy.due().is_some_and(|due| due <= now)
            || staged.revision > self.meta.ceiling
            || self.meta.clean
            || self.health.read().is_some()
            || self.damage.get().is_some()
            || self.lazy.bytes() + staged.bytes() > self.config.lazy_bytes;
        if !must_write {
            return Ok(Written::Nothing);
        }
        if staged.only_deletes() {
            return self.write_deletes(staged).await;
        }
        let moved = self.previous_bytes(staged);
        self.write_more(|lazy| staged.rows(lazy).moving(moved), staged.revision)
            .await?;
        Ok(Written::All)
    }

    /// One transaction: the rows, a slice of compaction and, if due, the reservation of revisions.
    async fn write(
        &mut self,
        rows: Rows,
        revision: Revision,
        room: Room,
    ) -> Result<(), StoreError> {
        if let Some(damage) = self.damage.get() {
            return Err(damage.clone());
        }
        let slice = self.trim.slice();
        let mut meta = Meta {
            clean: false,
            ..self.meta
        };
        if revision.0 + RESERVE / 2 > meta.ceiling.0 {
            meta.ceiling = Revision(revision.0 + RESERVE);
        }
        let logged = rows.log_bytes();
        let begun = std::time::Instant::now();
        let result = match room {
            Room::Any => self.database.commit(rows, slice, &meta).await,
            Room::Reserve => self.database.commit_with_reserve(rows, slice, &meta).await,
        };
        self.last_sync = begun.elapsed();
        self.counters.committed(self.last_sync, result.is_err());
        result?;
        if let Some(to) = slice {
            meta.compacted = meta.compacted.max(to);
            self.trim.done(to);
            self.vacuum = true;
        }
        self.meta = meta;
        self.trim.wrote(revision, logged, Instant::now());
        self.database.checkpoint_if_due().await;
        Ok(())
    }

    /// Makes a batch visible; what is left of it are the answers, and then the watchers.
    fn publish(
        &mut self,
        mut staged: Staged<C::Object>,
        written: Written,
    ) -> (Staged<C::Object>, Wakes) {
        let now = Instant::now();
        match written {
            Written::All => self.lazy.clear(),
            Written::Alone => staged.keys().for_each(|key| self.lazy.remove(key)),
            Written::Nothing => {
                for (key, pending) in staged.drain_pending() {
                    let wait = if pending.revision == pending.create_revision {
                        self.config.lazy_flush
                    } else {
                        self.config.lazy_refresh
                    };
                    self.lazy.insert(key, pending, now + wait);
                }
            }
        }
        for (key, _) in &staged.recovered {
            self.unreadable.remove(key);
        }
        let wakes = self.memory.publish(Publication {
            revision: staged.revision,
            buckets: staged.take_buckets(),
            events: std::mem::take(&mut staged.events),
        });
        self.expiry.get_or_insert(now + self.config.history_window);
        (staged, wakes)
    }

    /// Records whether the disk works, and says so once when that changes.
    fn note_health(&self, error: Option<&StoreError>) {
        let mut health = self.health.write();
        match (&*health, error) {
            (None, Some(error)) => tracing::error!(%error, "the store is read-only"),
            (Some(_), None) => tracing::info!("the store accepts writes again"),
            _ => {}
        }
        *health = error.cloned();
    }
}

/// What of a batch is on disk.
enum Written {
    /// It waits with other lazy writes.
    Nothing,
    /// It, and all lazy writes that waited.
    All,
    /// It, and none of those: they wait on, but for keys that are in it.
    Alone,
}

/// Where a transaction is to find room.
#[derive(Clone, Copy)]
enum Room {
    Any,
    /// With the reserve given up for it.
    Reserve,
}

/// Watches must not wait for a writer that is gone, whatever took it (a codec that panics, say).
struct EndsWatches<O>(Arc<Memory<O>>);

impl<O> Drop for EndsWatches<O> {
    fn drop(&mut self) {
        self.0.close();
    }
}

enum Wake<O> {
    Command(Command<O>),
    Housekeeping,
    Gone,
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
