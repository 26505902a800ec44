//! The schema, and making a new file of it.
//!
//! A file appears under its name only when it is complete, so a crash while creating leaves nothing behind that would
//! have to be told from damage.

use std::fs::{self, File};
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::in_place;
use super::open::{beside, io_error, remove_if_there, sqlite_error};
use crate::error::OpenError;

/// Marks the file as ours in SQLite's header: "Samp".
pub(super) const APPLICATION_ID: i64 = 0x5361_6d70;

/// The schema this release writes, and the newest it reads.
pub(super) const SCHEMA: i64 = 1;

/// `auto_vacuum` cannot be turned on later, and write-ahead logging is a property of the file.
///
/// `log` holds what a key held before a change: together with `current` that is the full history, and a create costs
/// next to nothing.
const CREATE: &str = "
PRAGMA page_size = 4096;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA application_id = 1398893936;
CREATE TABLE meta (
  schema INTEGER NOT NULL,
  ceiling INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  compacted INTEGER NOT NULL,
  clean INTEGER NOT NULL
);
CREATE TABLE current (
  create_revision INTEGER PRIMARY KEY,
  revision INTEGER NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL
);
CREATE TABLE log (
  revision INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  previous_revision INTEGER,
  previous_create_revision INTEGER,
  previous BLOB
);
INSERT INTO meta (schema, ceiling, revision, compacted, clean) VALUES (1, 0, 0, 0, 1);
";

const _: () = assert!(APPLICATION_ID == 1_398_893_936 && SCHEMA == 1);

/// Creates an empty database at `path`, where there is none.
pub(super) async fn create(path: &Path) -> Result<(), OpenError> {
    let new = beside(path, "-new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        remove_if_there(&beside(&new, suffix))?;
    }
    in_place::create(&new, 0o644).map_err(|source| io_error(&new, "creating", source))?;
    fill(&new)
        .await
        .map_err(|source| sqlite_error(&new, "the creation", source))?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&new).map_err(|source| io_error(&new, "syncing", source))?;
    fs::rename(&new, path).map_err(|source| io_error(path, "naming", source))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    sync(folder).map_err(|source| io_error(folder, "syncing", source))
}

async fn fill(path: &Path) -> Result<(), sqlx::Error> {
    let mut connection = new_database(path).await?;
    journal_write_ahead(&mut connection).await?;
    connection.close().await
}

/// An empty database that nobody relies on yet: until [`journal_write_ahead`] it is written without a journal.
pub(super) async fn new_database(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off);
    let mut connection: SqliteConnection = options.disable_statement_logging().connect().await?;
    sqlx::raw_sql(CREATE).execute(&mut connection).await?;
    Ok(connection)
}

/// Makes write-ahead logging a property of the file.
pub(super) async fn journal_write_ahead(
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query("PRAGMA journal_mode = WAL")
        .execute(connection)
        .await
        .map(drop)
}
