//! Checkpoints: copying the write-ahead log into the database, on a connection of their own and in passive mode, so
//! that writes go on meanwhile.
//!
//! A passive checkpoint beside a busy writer never sees the end of the log, and the log only starts over when one does.
//! So when it has grown well past its limit, one more runs between two batches; little is left for it to copy.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::task::JoinHandle;

use crate::counters::Counters;

pub(super) const PAGE_BYTES: u64 = 4096;
/// About what a transaction writes beside its rows.
pub(super) const TRANSACTION_BYTES: u64 = 3 * PAGE_BYTES;

/// Copies what no reader keeps it from, beside writers.
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Cuts the log off as well, for which nobody may be reading.
const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// A reader that takes longer, such as a backup, is not waited for.
const BUSY: &str = "PRAGMA busy_timeout = 100";

/// The log may grow to so many times the limit before writes wait.
pub(super) const HARD_LIMIT: u64 = 4;

pub(super) struct Checkpoints {
    state: State,
    limit: u64,
    /// About the bytes written since the last checkpoint began.
    since: u64,
    /// About the bytes in the log since it last started over.
    log: u64,
    counters: Arc<Counters>,
}

enum State {
    Idle(SqliteConnection),
    Running(JoinHandle<(SqliteConnection, bool)>),
    /// The connection was lost; the writer's own closing checkpoint remains.
    Gone,
}

impl Checkpoints {
    pub(super) fn new(
        connection: SqliteConnection,
        limit: u64,
        counters: Arc<Counters>,
    ) -> Checkpoints {
        // What an unclean stop left in the log is not known: begin with a checkpoint.
        Checkpoints {
            state: State::Idle(connection),
            limit,
            since: limit,
            log: 0,
            counters,
        }
    }

    /// A transaction wrote so many bytes.
    pub(super) fn wrote(&mut self, bytes: usize) {
        // Pages are not full.
        let bytes = bytes as u64 + bytes as u64 / 3 + TRANSACTION_BYTES;
        self.since += bytes;
        self.log += bytes;
    }

    /// Starts a checkpoint in the background, or waits for one if the log is far too long.
    pub(super) async fn run_if_due(&mut self) {
        if self.log >= self.limit.saturating_mul(HARD_LIMIT) {
            // With no write in between, this one reaches the end of the log, which then starts over.
            self.now(PASSIVE).await;
        } else if self.since >= self.limit {
            self.start().await;
        }
    }

    async fn start(&mut self) {
        if matches!(&self.state, State::Running(task) if !task.is_finished()) {
            return;
        }
        if let Some(connection) = self.take().await {
            self.since = 0;
            self.counters.checkpoint();
            self.state = State::Running(tokio::spawn(checkpoint(connection, PASSIVE)));
        }
    }

    /// One that gives the room of the log back to the file system. Answers whether all of it is.
    pub(super) async fn cut(&mut self) -> bool {
        self.now(TRUNCATE).await
    }

    async fn now(&mut self, statement: &'static str) -> bool {
        if let Some(connection) = self.take().await {
            self.counters.checkpoint();
            let (connection, complete) = checkpoint(connection, statement).await;
            self.state = State::Idle(connection);
            self.since = 0;
            // Incomplete means that someone else reads the file; try again after as much has been written again.
            self.log = if complete { 0 } else { self.log / 2 };
            return complete;
        }
        false
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.take().await
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "closing the checkpoint connection failed");
        }
    }

    /// The connection, once the running checkpoint is done with it.
    async fn take(&mut self) -> Option<SqliteConnection> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(connection) => Some(connection),
            State::Running(task) => match task.await {
                Ok((connection, complete)) => {
                    // Nothing was written since it began, so the log starts over with the next write.
                    if complete && self.since == 0 {
                        self.log = 0;
                    }
                    Some(connection)
                }
                Err(error) => {
                    tracing::error!(%error, "the checkpoint task was lost");
                    None
                }
            },
            State::Gone => None,
        }
    }
}

/// Answers whether the whole log was copied. A failure is not an error of any write: the log still has everything, and a
/// full disk shows there too.
async fn checkpoint(
    mut connection: SqliteConnection,
    statement: &'static str,
) -> (SqliteConnection, bool) {
    match counts(&mut connection, statement).await {
        Ok([busy, frames, copied]) => (connection, busy == 0 && frames == copied),
        Err(error) => {
            tracing::warn!(%error, "a checkpoint failed and will be tried again");
            (connection, false)
        }
    }
}

/// Whether somebody was in the way, the pages in the log, and those that were copied.
async fn counts(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<[i64; 3], sqlx::Error> {
    sqlx::query(BUSY).execute(&mut *connection).await?;
    let row = sqlx::query(statement).fetch_one(connection).await?;
    Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?])
}
