//! The store on one SQLite file: opening, the [`Store`] implementation, and the handle to the writer.
//!
//! Everything that speaks SQL is below this module; reads never do, they are served from memory.

mod check;
mod checkpoint;
mod create;
mod database;
mod history;
mod in_place;
mod load;
mod open;
mod reserve;
mod room;
mod rows;
mod snapshot;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::StoreConfig;
use crate::contract::{Codec, Committed, Entry, Expect, Op, Page, RangeRequest, Store};
use crate::counters::{Counters, StoreCounters};
use crate::error::{OpenError, RangeError, StoreError, TxnError, WatchError};
use crate::key::{Key, Prefix, Revision};
use crate::memory::Memory;
use crate::watch::Watch;
use crate::writer::{Command, Health, Txn};

pub(crate) use check::{BackgroundCheck, Damage};
pub(crate) use database::{Database, Meta};
pub(crate) use rows::{LogRow, Rows};
pub use snapshot::Snapshot;

/// The store of one machine. Owns its file: a second open fails until [`Store::close`] is done.
pub struct SqliteStore<C: Codec> {
    commands: mpsc::Sender<Command<C::Object>>,
    memory: Arc<Memory<C::Object>>,
    health: Health,
    damage: Damage,
    counters: Arc<Counters>,
    max_value_bytes: usize,
    unreadable: Vec<Key>,
    writer: Mutex<Option<JoinHandle<()>>>,
    path: std::path::PathBuf,
}

/// Sizes, for metrics and readiness reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Live keys.
    pub entries: usize,
    /// Events of the watch history in memory.
    pub history_events: usize,
    /// Bytes of watch history in memory.
    pub history_bytes: usize,
    /// Bytes of the database file.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
}

impl<C: Codec> SqliteStore<C> {
    /// Opens the file, creating it if there is none. The writer runs as a task of the current tokio runtime until
    /// [`Store::close`], or until the last handle is dropped.
    pub async fn open(config: StoreConfig, codec: C) -> Result<Arc<SqliteStore<C>>, OpenError> {
        let opened = open::open(config, codec).await?;
        Ok(Arc::new(SqliteStore {
            commands: opened.commands,
            max_value_bytes: opened.writer.config.max_value_bytes,
            path: opened.writer.config.path.clone(),
            memory: Arc::clone(&opened.writer.memory),
            health: Arc::clone(&opened.writer.health),
            damage: Arc::clone(&opened.writer.damage),
            counters: Arc::clone(&opened.writer.counters),
            unreadable: opened.writer.unreadable.keys().cloned().collect(),
            writer: Mutex::new(Some(tokio::spawn(opened.writer.run()))),
        }))
    }

    /// Keys whose stored bytes the codec refused at start-up. They are hidden but kept, until written again.
    pub fn unreadable(&self) -> &[Key] {
        &self.unreadable
    }

    /// How big everything is.
    pub fn stats(&self) -> StoreStats {
        let size = self.memory.size();
        let length = |path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        StoreStats {
            entries: size.entries,
            history_events: size.history_events,
            history_bytes: size.history_bytes,
            file_bytes: length(self.path.clone()),
            wal_bytes: length(open::beside(&self.path, "-wal")),
        }
    }

    /// Live keys by bucket.
    pub fn entries_by_bucket(&self) -> Vec<(Arc<str>, usize)> {
        self.memory.entries_by_bucket()
    }

    /// What was counted since the store was opened.
    pub fn counters(&self) -> StoreCounters {
        self.counters.snapshot()
    }

    async fn send(&self, command: Command<C::Object>) -> Result<(), StoreError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| StoreError::Closed)
    }
}

#[async_trait]
impl<C: Codec> Store<C::Object> for SqliteStore<C> {
    async fn txn(
        &self,
        key: Key,
        expect: Expect,
        op: Op,
    ) -> Result<Committed<C::Object>, TxnError<C::Object>> {
        if let Op::Put { value, .. } = &op {
            let (size, limit) = (value.len(), self.max_value_bytes);
            if size > limit {
                return Err(StoreError::ValueTooLarge { size, limit }.into());
            }
        }
        let (reply, answer) = oneshot::channel();
        let sent = Instant::now();
        self.send(Command::Txn(Txn {
            key,
            expect,
            op,
            sent,
            reply,
        }))
        .await?;
        let answer = answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()));
        self.counters.answered(sent);
        answer
    }

    async fn get(&self, key: &Key) -> Result<Option<Arc<Entry<C::Object>>>, StoreError> {
        Ok(self.memory.get(key))
    }

    async fn range(&self, request: RangeRequest) -> Result<Page<C::Object>, RangeError> {
        self.memory.range(&request).await
    }

    async fn watch(&self, prefix: Prefix, from: Revision) -> Result<Watch<C::Object>, WatchError> {
        Watch::new(Arc::clone(&self.memory), prefix, from)
    }

    fn health(&self) -> Option<StoreError> {
        let damage = self.damage.get().cloned();
        let failure = damage.or_else(|| self.health.read().clone());
        failure.or_else(|| self.commands.is_closed().then_some(StoreError::Closed))
    }

    fn current_revision(&self) -> Revision {
        self.memory.revision()
    }

    async fn compact(&self, to: Revision) -> Result<Revision, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Compact { to, reply }).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn close(&self) {
        // Already closed is fine too; then only wait for it to be done.
        let _ = self.send(Command::Close).await;
        let mut writer = self.writer.lock().await;
        if let Some(task) = writer.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the store's writer did not end well");
        }
    }
}
