//! Room on a full disk: what the write-ahead log and free pages hold is given back to the file system, with what is set
//! aside to start from.
//!
//! Invariant: what the log makes the database grow by is set aside. A log that was long once is written over where it lies,
//! for which a full disk has room; were that to go on beyond what is set aside, the log could never be brought into the
//! database, and there would be no room for deletes. It is not copied in there and then: a reader may be in the way.

use sqlx::Row;

use super::database::{Database, store_error};
use super::reserve::AHEAD;
use crate::error::StoreError;

/// Free pages kept for the next writes instead of being given back to the file system.
const SPARE_PAGES: i64 = 1024;
/// Pages given back in one step, so that no write waits long for it.
const VACUUM_PAGES: i64 = 256;

impl Database {
    /// Brings the log into the database and cuts it off. What the database grows by may come from what is set aside, and
    /// the log gives back no less.
    pub(crate) async fn make_room(&mut self) {
        let growth = self.measure().await;
        if growth.is_some_and(|growth| self.reserve.covers(growth)) {
            if growth > Some(0) {
                self.reserve.give_up();
            }
            self.checkpoints.cut().await;
        }
        self.close_reserve().await;
    }

    /// Gives up what is set aside. The log is brought into the database first, if all of it fits: half of it would take
    /// room and give none back.
    ///
    /// Somebody who reads the file may be in the way of that. Then what the log makes the database grow by, and `more`,
    /// stays set aside, so that it can be brought in later. Answers whether it does.
    pub(super) async fn open_reserve(&mut self, more: u64) -> bool {
        let growth = self.measure().await;
        let fits = growth.is_some_and(|growth| self.reserve.covers(growth));
        self.reserve.give_up();
        if !fits || self.checkpoints.cut().await {
            return true;
        }
        let left = self.measure().await;
        left.is_none_or(|left| self.reserve.covers(left.saturating_add(more)))
    }

    /// Sets aside again what was given up: what the log makes the database grow by before all else.
    pub(super) async fn close_reserve(&mut self) {
        if let Some(growth) = self.measure().await {
            self.reserve.covers(growth);
        }
        self.reserve.take();
    }

    /// Whether what the log makes the database grow by is set aside, with `more` that a transaction may add. It is
    /// measured only when it may not be. With room on the disk more is set aside; a log that grows is no reason to wait for
    /// a checkpoint.
    pub(super) async fn growth_is_covered(&mut self, more: u64) -> bool {
        self.growth = self.growth.saturating_add(more);
        let unmeasured = self.growth.saturating_sub(self.measured);
        if self.growth <= self.reserve.held() && (unmeasured < AHEAD || !self.reserve.is_long()) {
            return true;
        }
        if !self.reserve.is_possible() || self.measure().await.is_none() {
            return true;
        }
        self.growth = self.growth.saturating_add(more);
        self.reserve.shorten(self.growth);
        self.reserve.lengthen(self.growth)
    }

    /// How much longer the file gets once the write-ahead log is brought into it.
    pub(super) async fn measure(&mut self) -> Option<u64> {
        let growth = self.try_measure().await?;
        (self.growth, self.measured) = (growth, growth);
        Some(growth)
    }

    async fn try_measure(&mut self) -> Option<u64> {
        let row =
            sqlx::query("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
                .fetch_one(&mut self.connection)
                .await;
        let bytes: i64 = row.ok()?.try_get(0).ok()?;
        let length = std::fs::metadata(&self.path).ok()?.len();
        Some(u64::try_from(bytes).ok()?.saturating_sub(length))
    }

    /// Gives some free pages back, and all of them while room is short. Answers whether there is more to give.
    pub(crate) async fn vacuum_step(&mut self) -> Result<bool, StoreError> {
        let short = !self.reserve.restore() || self.full;
        let spare = if short { 0 } else { SPARE_PAGES };
        let free = self
            .free_pages()
            .await
            .map_err(|error| self.failure(error))?;
        if free <= spare {
            return Ok(false);
        }
        if short && !self.open_reserve(0).await {
            self.close_reserve().await;
            let path = self.path.clone();
            return Err(StoreError::DiskFull { path });
        }
        let result = self.vacuum(VACUUM_PAGES.min(free - spare)).await;
        if short {
            // The file gets shorter by that.
            self.make_room().await;
        }
        if let Err(error) = result {
            let error = self.failure(error);
            // The next step goes about it otherwise.
            self.full |= matches!(error, StoreError::DiskFull { .. });
            return Err(error);
        }
        Ok(true)
    }

    async fn vacuum(&mut self, pages: i64) -> Result<(), sqlx::Error> {
        let step = sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({pages})"));
        let step = sqlx::query(step).persistent(false);
        step.execute(&mut self.connection).await.map(drop)
    }

    async fn free_pages(&mut self) -> Result<i64, sqlx::Error> {
        sqlx::query("PRAGMA freelist_count")
            .fetch_one(&mut self.connection)
            .await?
            .try_get(0)
    }

    /// What a failure of SQLite means. A quota that is used up is an I/O error for it, and so is a full disk in places:
    /// about those the file system is asked.
    pub(super) fn failure(&self, error: sqlx::Error) -> StoreError {
        match store_error(&self.path, error) {
            StoreError::Io { path, .. } if self.reserve.is_full() => StoreError::DiskFull { path },
            error => error,
        }
    }
}
