//! Room on a full disk: what the write-ahead log and free pages hold is given back to the file system, with what is set
//! aside to start from.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::checkpoint::PAGE_BYTES;
use super::database::{Database, store_error};
use super::reserve::LENT;
use crate::error::StoreError;

/// Free pages kept for the next writes instead of being given back to the file system.
const SPARE_PAGES: i64 = 1024;
/// Pages given back in one step, so that no write waits long for it.
const VACUUM_PAGES: i64 = 256;

impl Database {
    /// How much longer the file gets once the write-ahead log is brought into it.
    pub(super) fn growth(&self) -> u64 {
        let length = std::fs::metadata(&self.path).map_or(u64::MAX, |metadata| metadata.len());
        (self.pages * PAGE_BYTES).saturating_sub(length)
    }

    /// Brings the log into the database and cuts it off. What the database grows by may come from what is set aside, and
    /// the log gives back no less.
    pub(crate) async fn make_room(&mut self) {
        if self.reserve.covers(self.growth()) {
            self.reserve.give_up();
            self.checkpoints.cut().await;
        }
        self.close_reserve();
    }

    /// Gives up what is set aside. The log is brought into the database first, if all of it fits: half of it would take
    /// room and give none back.
    ///
    /// Somebody who reads the file may be in the way of that. Then what the log makes the database grow by, and `more`,
    /// stays set aside, so that it can be brought in later. Answers whether it does.
    pub(super) async fn open_reserve(&mut self, more: u64) -> bool {
        let fits = self.reserve.covers(self.growth());
        self.reserve.give_up();
        !fits || self.checkpoints.cut().await || self.reserve.keeps(self.growth() + more)
    }

    /// Sets aside again what was given up.
    pub(super) fn close_reserve(&mut self) {
        self.reserve.take(self.growth());
    }

    /// Gives some free pages back, and all of them while room is short. Answers whether there is more to give.
    pub(crate) async fn vacuum_step(&mut self) -> Result<bool, StoreError> {
        let short = !self.reserve.allows(self.growth(), 0) || self.full;
        if short && !self.open_reserve(0).await {
            self.close_reserve();
            return Err(self.no_room());
        }
        let result = self.vacuum(if short { 0 } else { SPARE_PAGES }).await;
        if short {
            // The file gets shorter by that.
            self.make_room().await;
        }
        result.map_err(|error| {
            let error = self.failure(error);
            // The next step goes about it otherwise.
            self.full |= matches!(error, StoreError::DiskFull { .. });
            error
        })
    }

    async fn vacuum(&mut self, spare: i64) -> Result<bool, sqlx::Error> {
        let free = self.free_pages().await?;
        if free <= spare {
            return Ok(false);
        }
        let pages = VACUUM_PAGES.min(free - spare);
        let step = sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({pages})"));
        let step = sqlx::query(step).persistent(false);
        step.execute(&mut self.connection).await?;
        self.pages = pages_of(&mut self.connection).await?;
        Ok(true)
    }

    async fn free_pages(&mut self) -> Result<i64, sqlx::Error> {
        sqlx::query("PRAGMA freelist_count")
            .fetch_one(&mut self.connection)
            .await?
            .try_get(0)
    }

    pub(super) fn no_room(&self) -> StoreError {
        StoreError::DiskFull {
            path: self.path.clone(),
        }
    }

    /// What a failure of SQLite means. A quota that is used up is an I/O error for it, and so is a full disk in places:
    /// about those the file system is asked. A quota counts what is under way, and may have a little again by now.
    pub(super) fn failure(&self, error: sqlx::Error) -> StoreError {
        match store_error(&self.path, error) {
            StoreError::Io { path, .. } if self.reserve.is_full(LENT) => {
                StoreError::DiskFull { path }
            }
            error => error,
        }
    }
}

/// The pages of the database, those in the write-ahead log included.
pub(super) async fn pages_of(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("PRAGMA page_count")
        .fetch_one(connection)
        .await?;
    page_count(&row)
}

pub(super) fn page_count(row: &SqliteRow) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(0).map(i64::unsigned_abs)
}
