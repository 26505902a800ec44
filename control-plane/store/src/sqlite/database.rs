//! The writing connection: one batch is one statement text, one transaction, one sync.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::checkpoint::Checkpoints;
use super::open::sqlite_error;
use super::reserve::Reserve;
use super::room::{page_count, pages_of};
use super::rows::{CURRENT_RECORD, DELETE_RECORD, LOG_RECORD, Rows};
use crate::error::{OpenError, StoreError};
use crate::key::Revision;

/// A whole batch. The log comes first: it takes old values from `current` before they are replaced.
///
/// `current` is keyed by create revision: unique, and it makes creates appends. That a key is there once is the
/// writer's invariant, which needs no index and is checked when the file is loaded.
///
/// Parameters are spelled `$1`, which SQLite takes for a name and sqlx for a place: with `?2`, a statement that leaves
/// out `?1` would still have one to bind.
///
/// The one row it answers is the pages of the database after it.
const COMMIT: &str = "
BEGIN IMMEDIATE;
WITH RECURSIVE at(i) AS (
  SELECT 1 WHERE length($2) > 0 UNION ALL SELECT i + 101 FROM at WHERE i + 101 < length($2)
)
INSERT INTO log (revision, key, deleted, previous_revision, previous_create_revision, previous)
SELECT
  CAST(substr($2, i, 20) AS INTEGER),
  CAST(substr($1, CAST(substr($2, i + 21, 10) AS INTEGER), CAST(substr($2, i + 31, 10) AS INTEGER)) AS TEXT),
  CAST(substr($2, i + 20, 1) AS INTEGER),
  nullif(CAST(substr($2, i + 41, 20) AS INTEGER), 0),
  nullif(CAST(substr($2, i + 61, 20) AS INTEGER), 0),
  CASE WHEN CAST(substr($2, i + 81, 10) AS INTEGER) > 0
    THEN substr($1, CAST(substr($2, i + 81, 10) AS INTEGER), CAST(substr($2, i + 91, 10) AS INTEGER))
    ELSE (SELECT value FROM current WHERE create_revision = CAST(substr($2, i + 61, 20) AS INTEGER))
  END
FROM at;
WITH RECURSIVE at(i) AS (
  SELECT 1 WHERE length($3) > 0 UNION ALL SELECT i + 80 FROM at WHERE i + 80 < length($3)
)
INSERT OR REPLACE INTO current (create_revision, revision, key, value)
SELECT
  CAST(substr($3, i, 20) AS INTEGER),
  CAST(substr($3, i + 20, 20) AS INTEGER),
  CAST(substr($1, CAST(substr($3, i + 40, 10) AS INTEGER), CAST(substr($3, i + 50, 10) AS INTEGER)) AS TEXT),
  substr($1, CAST(substr($3, i + 60, 10) AS INTEGER), CAST(substr($3, i + 70, 10) AS INTEGER))
FROM at;
WITH RECURSIVE at(i) AS (
  SELECT 1 WHERE length($4) > 0 UNION ALL SELECT i + 20 FROM at WHERE i + 20 < length($4)
)
DELETE FROM current WHERE create_revision IN (SELECT CAST(substr($4, i, 20) AS INTEGER) FROM at);
DELETE FROM log WHERE revision <= $5;
UPDATE meta SET ceiling = $6, compacted = $7, clean = 0
WHERE ceiling <> $6 OR compacted <> $7 OR clean <> 0;
PRAGMA page_count;
COMMIT;
";

// The widths are spelled out in the SQL above.
const _: () = assert!(LOG_RECORD == 101 && CURRENT_RECORD == 80 && DELETE_RECORD == 20);

/// The row of `meta`, beside the schema version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meta {
    /// No revision above this was ever handed out.
    pub(crate) ceiling: Revision,
    /// The last revision, valid after a clean stop.
    pub(crate) revision: Revision,
    /// History up to here is gone.
    pub(crate) compacted: Revision,
    /// Whether nothing was written since the last clean stop.
    pub(crate) clean: bool,
}

pub(crate) struct Database {
    pub(super) path: PathBuf,
    pub(super) connection: SqliteConnection,
    pub(super) checkpoints: Checkpoints,
    pub(super) reserve: Reserve,
    /// Whether there was no room when some was last wanted.
    pub(super) full: bool,
    /// The pages of the database, those in the write-ahead log included.
    pub(super) pages: u64,
    /// Held, not used: the lock on the owner file goes with it.
    _owner: File,
}

impl Database {
    pub(super) async fn new(
        path: PathBuf,
        mut connection: SqliteConnection,
        checkpoints: Checkpoints,
        owner: File,
    ) -> Result<Database, OpenError> {
        let pages = pages_of(&mut connection).await;
        Ok(Database {
            reserve: Reserve::beside(&path),
            full: false,
            pages: pages.map_err(|source| sqlite_error(&path, "the reading", source))?,
            path,
            connection,
            checkpoints,
            _owner: owner,
        })
    }

    /// Writes a batch durably, deletes the log up to `trim` and brings `meta` up to date; all of it or nothing.
    pub(crate) async fn commit(
        &mut self,
        rows: Rows,
        trim: Option<Revision>,
        meta: &Meta,
    ) -> Result<(), StoreError> {
        let result = if self.reserve.allows(self.growth(), rows.growth()) {
            self.try_commit(rows, trim, meta).await
        } else {
            Err(self.no_room())
        };
        self.full = matches!(result, Err(StoreError::DiskFull { .. }));
        result
    }

    /// The same once the disk is full, with the room that was set aside for it: what frees some must still be possible.
    pub(crate) async fn commit_with_reserve(
        &mut self,
        rows: Rows,
        trim: Option<Revision>,
        meta: &Meta,
    ) -> Result<(), StoreError> {
        let result = if self.open_reserve(rows.growth()).await {
            self.try_commit(rows, trim, meta).await
        } else {
            Err(self.no_room())
        };
        self.close_reserve();
        result
    }

    async fn try_commit(
        &mut self,
        rows: Rows,
        trim: Option<Revision>,
        meta: &Meta,
    ) -> Result<(), StoreError> {
        let bytes = rows.bytes();
        let query = sqlx::query(COMMIT)
            .bind(rows.blob)
            .bind(rows.log)
            .bind(rows.current)
            .bind(rows.deletes)
            .bind(trim.map(integer))
            .bind(integer(meta.ceiling))
            .bind(integer(meta.compacted));
        // All rows, though there is one: with the first it would end, before the end of the transaction.
        match query.fetch_all(&mut self.connection).await {
            Ok(rows) => {
                if let Some(Ok(pages)) = rows.first().map(page_count) {
                    self.pages = pages;
                }
                self.checkpoints.wrote(bytes);
                Ok(())
            }
            Err(error) => {
                // Some failures roll back by themselves; then this one fails, which is fine.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
                Err(self.failure(error))
            }
        }
    }

    /// Keeps the write-ahead log from growing without end.
    pub(crate) async fn checkpoint_if_due(&mut self) {
        self.checkpoints.run_if_due().await;
    }

    /// Marks a clean stop, if it was one and `meta` does not say that the file says so already, and closes the file.
    pub(crate) async fn close(mut self, clean: Option<&Meta>) {
        if let Some(meta) = clean.filter(|meta| !meta.clean)
            && let Err(error) = self.mark_clean(meta).await
        {
            tracing::error!(%error, path = %self.path.display(), "no clean stop could be marked");
        }
        // Closing does that, too, but not with what is set aside.
        self.make_room().await;
        self.reserve.shorten(self.growth());
        self.checkpoints.close().await;
        if let Err(error) = self.connection.close().await {
            tracing::error!(%error, path = %self.path.display(), "closing the database failed");
        }
    }

    /// A mark takes little room, but some: if need be of what is set aside.
    async fn mark_clean(&mut self, meta: &Meta) -> Result<(), StoreError> {
        if self.reserve.allows(self.growth(), 0) {
            let marked = self.try_mark_clean(meta).await;
            if !matches!(marked, Err(StoreError::DiskFull { .. })) {
                return marked;
            }
        }
        self.open_reserve(0).await;
        self.try_mark_clean(meta).await
    }

    async fn try_mark_clean(&mut self, meta: &Meta) -> Result<(), StoreError> {
        let mark = sqlx::query("UPDATE meta SET clean = 1, revision = ?1, compacted = ?2")
            .bind(integer(meta.revision))
            .bind(integer(meta.compacted))
            .execute(&mut self.connection)
            .await;
        mark.map(drop).map_err(|error| self.failure(error))
    }
}

/// Revisions are 63-bit in the file: at a million writes per second that lasts 290,000 years.
pub(super) fn integer(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Tells the failures apart that have a remedy.
pub(super) fn store_error(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_path_buf();
    let detail = error.to_string();
    match primary_code(&error) {
        Some(13) => StoreError::DiskFull { path },
        Some(3 | 8 | 14 | 23) => StoreError::ReadOnly { path, detail },
        Some(10) => StoreError::Io { path, detail },
        Some(11 | 26) => StoreError::Corrupt { path, detail },
        Some(5 | 6) => StoreError::Busy { path },
        _ => StoreError::Sqlite {
            path,
            source: Arc::new(error),
        },
    }
}

/// SQLite's primary result code.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::super::{create, open};
    use super::*;
    use crate::config::StoreConfig;
    use crate::counters::Counters;
    use crate::key::Key;

    async fn database(path: &Path) -> Database {
        create::create(path).await.expect("the folder is writable");
        let config = StoreConfig::new(path);
        let first = open::connect(path, &config).await.expect("it was created");
        let second = open::connect(path, &config).await.expect("it was created");
        let owner = File::open(path.parent().expect("it is in a folder")).expect("it is there");
        let checkpoints = Checkpoints::new(second, 1 << 20, Arc::new(Counters::new()));
        let database = Database::new(path.into(), first, checkpoints, owner);
        database.await.expect("it was created")
    }

    fn rows(revision: u64, bytes: usize) -> Rows {
        let mut rows = Rows::default();
        let revision = Revision(revision);
        rows.push_current(
            &Key::new("pods", "a"),
            revision,
            revision,
            &vec![b'x'; bytes],
        );
        rows
    }

    async fn number(database: &mut Database, query: &'static str) -> i64 {
        let row = sqlx::query(query).fetch_one(&mut database.connection).await;
        row.and_then(|row| row.try_get(0))
            .expect("the query is right")
    }

    const META: Meta = Meta {
        ceiling: Revision(100),
        revision: Revision(0),
        compacted: Revision(0),
        clean: false,
    };

    #[tokio::test]
    async fn a_full_database_takes_nothing_and_recovers() {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let mut database = database(&folder.path().join("state.db")).await;
        assert_eq!(
            number(&mut database, "PRAGMA max_page_count = 20").await,
            20
        );
        let error = database
            .commit(rows(1, 200_000), None, &META)
            .await
            .expect_err("it is full");
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        assert!(error.to_string().contains("free some space"), "{error}");
        assert_eq!(
            number(&mut database, "SELECT count(*) FROM current").await,
            0
        );
        assert_eq!(
            number(&mut database, "SELECT ceiling FROM meta").await,
            0,
            "all or nothing"
        );
        database
            .commit(rows(1, 100), None, &META)
            .await
            .expect("this fits");
        assert_eq!(number(&mut database, "SELECT ceiling FROM meta").await, 100);
        database.close(Some(&META)).await;
    }

    #[tokio::test]
    async fn a_read_only_database_is_told_apart() {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let mut database = database(&folder.path().join("state.db")).await;
        number(&mut database, "SELECT 1 FROM meta").await;
        sqlx::query("PRAGMA query_only = 1")
            .execute(&mut database.connection)
            .await
            .expect("it is set");
        let error = database
            .commit(rows(1, 100), None, &META)
            .await
            .expect_err("it is read-only");
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert!(error.to_string().contains("mounted read-write"), "{error}");
        sqlx::query("PRAGMA query_only = 0")
            .execute(&mut database.connection)
            .await
            .expect("it is set");
        database
            .commit(rows(1, 100), None, &META)
            .await
            .expect("it works again");
        database.close(Some(&META)).await;
    }

    #[tokio::test]
    async fn files_are_made_as_they_must_be() {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let mut database = database(&folder.path().join("state.db")).await;
        assert_eq!(
            number(&mut database, "PRAGMA auto_vacuum").await,
            2,
            "incremental"
        );
        assert_eq!(number(&mut database, "PRAGMA synchronous").await, 2, "full");
        assert_eq!(
            number(&mut database, "PRAGMA wal_autocheckpoint").await,
            0,
            "ours instead"
        );
        assert_eq!(
            number(&mut database, "SELECT count(*) FROM sqlite_schema").await,
            3,
            "no index"
        );
        let mode = sqlx::query("PRAGMA journal_mode")
            .fetch_one(&mut database.connection)
            .await;
        assert_eq!(
            mode.and_then(|row| row.try_get::<String, _>(0))
                .expect("it has one"),
            "wal"
        );
        database.close(Some(&META)).await;
    }
}
