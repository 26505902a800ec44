//! The file: its tables, and how connections to it are made.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row};

use crate::error::OpenError;

/// Marks the file as ours in SQLite's header: "Sakv".
const APPLICATION_ID: i64 = 0x5361_6b76;

/// The schema this release writes. It brings the first one up to it and reads no other.
const SCHEMA: i64 = 2;

const PAGE_BYTES: u64 = 4_096;

/// `AUTOINCREMENT`: an id is never used again, so whoever still holds one of something that is gone holds nothing.
const CREATE: &str = "
BEGIN IMMEDIATE;
CREATE TABLE meta (schema INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE namespace (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  uid TEXT NOT NULL,
  dead INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX namespace_alive ON namespace (name, uid) WHERE dead = 0;
CREATE TABLE bucket (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace INTEGER NOT NULL,
  name TEXT NOT NULL,
  keys INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (namespace, name)
);
CREATE TABLE pair (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  bucket INTEGER NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  value BLOB NOT NULL,
  UNIQUE (bucket, key)
);
CREATE INDEX pair_order ON pair (bucket, id);
INSERT INTO meta (schema, version) VALUES (2, 0);
PRAGMA application_id = 1398893430;
COMMIT;
";

const _: () = assert!(APPLICATION_ID == 1_398_893_430 && SCHEMA == 2);

/// From schema 1, where a name had one living namespace.
const UPGRADE: &str = "
BEGIN IMMEDIATE;
DROP INDEX namespace_alive;
CREATE UNIQUE INDEX namespace_alive ON namespace (name, uid) WHERE dead = 0;
UPDATE meta SET schema = 2;
COMMIT;
";

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(10))
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// The writing connection, to a file that has the schema by then; and the last version given out.
pub(crate) async fn open(
    path: &Path,
    file_bytes: u64,
) -> Result<(SqliteConnection, i64), OpenError> {
    let failed = |source| OpenError::Sqlite {
        path: path.to_path_buf(),
        source,
    };
    let options = options(path)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("max_page_count", (file_bytes / PAGE_BYTES).to_string());
    let mut connection = options.connect().await.map_err(failed)?;
    let tables = number(&mut connection, "SELECT count(*) FROM sqlite_master").await;
    if tables.map_err(failed)? == 0 {
        let created = sqlx::raw_sql(CREATE).execute(&mut connection).await;
        created.map_err(failed)?;
    }
    let application = number(&mut connection, "PRAGMA application_id").await;
    if application.map_err(failed)? != APPLICATION_ID {
        return Err(foreign(connection, path).await);
    }
    let schema = number(&mut connection, "SELECT schema FROM meta").await;
    match schema.map_err(failed)? {
        SCHEMA => {}
        1 => {
            let upgraded = sqlx::raw_sql(UPGRADE).execute(&mut connection).await;
            upgraded.map_err(failed)?;
        }
        _ => return Err(foreign(connection, path).await),
    }
    let version = number(&mut connection, "SELECT version FROM meta").await;
    Ok((connection, version.map_err(failed)?))
}

async fn foreign(connection: SqliteConnection, path: &Path) -> OpenError {
    // It was only read: nothing is lost if it does not close.
    connection.close().await.ok();
    OpenError::Foreign {
        path: path.to_path_buf(),
    }
}

pub(crate) async fn number(
    connection: &mut SqliteConnection,
    query: &'static str,
) -> Result<i64, sqlx::Error> {
    sqlx::query(query).fetch_one(connection).await?.try_get(0)
}
