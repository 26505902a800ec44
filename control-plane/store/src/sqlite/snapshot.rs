//! Copies of a database as it is at one moment: taken beside the process that writes it, looked through, and made ready
//! to go on from.
//!
//! A copy is read in one transaction, which in write-ahead mode keeps nobody from writing. It holds the live entries and
//! no history: nobody resumes a watch across a restore.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::check;
use super::create::{journal_write_ahead, new_database};
use super::database::{integer, primary_code};
use super::in_place;
use super::open::{beside, connect, identify, inspect, io_error, remove_if_there, sqlite_error};
use crate::config::StoreConfig;
use crate::error::{OpenError, SnapshotError};
use crate::key::Revision;

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last revision, as far as the file knows.
    pub revision: Revision,
    /// No revision above this had been handed out when the copy was taken.
    pub ceiling: Revision,
    /// Live entries by bucket.
    pub entries: BTreeMap<String, u64>,
}

/// One statement after the other, all reading `source` in one transaction: with the first of them the moment is fixed.
/// Table to table with the same columns, SQLite copies records without looking into them.
const COPY: &str = "
BEGIN;
INSERT INTO main.current SELECT * FROM source.current;
UPDATE main.meta SET
  ceiling = (SELECT ceiling FROM source.meta),
  compacted = (SELECT compacted FROM source.meta),
  revision = (SELECT max(
    coalesce((SELECT max(revision) FROM source.current), 0),
    coalesce((SELECT max(revision) FROM source.log), 0),
    (SELECT CASE WHEN clean THEN revision ELSE compacted END FROM source.meta)
  )),
  clean = 0;
COMMIT;
";

impl Snapshot {
    /// Copies the database at `source`, whether or not a store has it open, to a new file at `target`.
    /// Beside a stopped store that leaves an empty log file, which its next start removes.
    pub async fn take(source: &Path, target: &Path) -> Result<Snapshot, SnapshotError> {
        // Not opened to look at: closing it would take this process's locks on it away, if it has any.
        if !source.exists() {
            return Err(SnapshotError::Missing {
                path: source.to_path_buf(),
            });
        }
        Snapshot::file(target).map_err(|error| io_error(target, "creating", error))?;
        let taken = match copy(source, target).await {
            Ok(()) => Snapshot::verify(target).await.map_err(Into::into),
            Err(error) => Err(error),
        };
        if taken.is_err() {
            for suffix in ["", "-wal", "-shm"] {
                remove_if_there(&beside(target, suffix))?;
            }
        }
        taken
    }

    /// Makes the empty file that a copy is put into: private, and on btrfs written in place, as a store makes its own.
    pub fn file(path: &Path) -> io::Result<File> {
        in_place::create(path, 0o600)
    }

    /// Checks a copy thoroughly and answers what it holds.
    pub async fn verify(path: &Path) -> Result<Snapshot, OpenError> {
        inspect(path)?;
        let mut connection = connect(path, &StoreConfig::new(path)).await?;
        let read = read(&mut connection, path).await;
        let closed = connection.close().await;
        let snapshot = read?;
        closed.map_err(|source| sqlite_error(path, "the closing", source))?;
        Ok(snapshot)
    }

    /// Lets a store that opens the copy go on above `revision`, with no history before it: watches and lists from
    /// earlier revisions are told to start again.
    pub async fn advance(path: &Path, revision: Revision) -> Result<(), OpenError> {
        let failed = |source| sqlite_error(path, "the writing", source);
        let mut connection = connect(path, &StoreConfig::new(path)).await?;
        let sql = "UPDATE meta SET ceiling = ?1, revision = ?1, compacted = ?1, clean = 1
                   WHERE ceiling <= ?1 AND compacted <= ?1";
        let updated = sqlx::query(sql)
            .bind(integer(revision))
            .execute(&mut connection)
            .await;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let emptied = sqlx::query(checkpoint).execute(&mut connection).await;
        connection.close().await.map_err(failed)?;
        emptied.map_err(failed)?;
        if updated.map_err(failed)?.rows_affected() != 1 {
            let detail = format!("its revisions are beyond {revision} already");
            let path = path.to_path_buf();
            return Err(OpenError::Corrupt { path, detail });
        }
        sync(path)
    }
}

async fn copy(source: &Path, target: &Path) -> Result<(), SnapshotError> {
    let failed = |error: sqlx::Error| match primary_code(&error) {
        Some(26) => SnapshotError::Open(OpenError::NotADatabase {
            path: source.to_path_buf(),
        }),
        Some(13) => SnapshotError::DiskFull {
            path: target.to_path_buf(),
        },
        Some(11) => SnapshotError::Open(OpenError::Corrupt {
            path: source.to_path_buf(),
            detail: error.to_string(),
        }),
        _ => SnapshotError::Copy {
            from: source.to_path_buf(),
            to: target.to_path_buf(),
            source: error,
        },
    };
    // Nothing is lost with a copy that fails, so it needs no journal; it is synced once, at the end.
    let mut connection = new_database(target).await.map_err(failed)?;
    sqlx::query("ATTACH ?1 AS source")
        .bind(read_only_uri(source))
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    identify(&mut connection, "source", source).await?;
    sqlx::raw_sql(COPY)
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    sqlx::query("DETACH source")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    journal_write_ahead(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(sync(target)?)
}

async fn read(connection: &mut SqliteConnection, path: &Path) -> Result<Snapshot, OpenError> {
    let failed = |source| sqlite_error(path, "the reading", source);
    check::whole(connection, path).await?;
    let meta = identify(connection, "main", path).await?;
    let query =
        "SELECT substr(key, 2, instr(substr(key, 2), '/') - 1), count(*), count(DISTINCT key)
                 FROM current GROUP BY 1";
    let rows = sqlx::query(query).fetch_all(connection).await;
    let mut entries = BTreeMap::new();
    for row in rows.map_err(failed)? {
        let bucket: String = row.try_get(0).map_err(failed)?;
        let (count, distinct): (i64, i64) = (
            row.try_get(1).map_err(failed)?,
            row.try_get(2).map_err(failed)?,
        );
        if bucket.is_empty() || count != distinct {
            let detail = format!("the keys of {bucket:?} are not in order");
            let path = path.to_path_buf();
            return Err(OpenError::Corrupt { path, detail });
        }
        entries.insert(bucket, count as u64);
    }
    Ok(Snapshot {
        revision: meta.revision,
        ceiling: meta.ceiling,
        entries,
    })
}

fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error(path, "syncing", source))
}

/// A name by which SQLite opens the file for reading only, so that it is left alone whatever state it is in.
fn read_only_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?mode=ro");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_to_sqlite() {
        let uri = read_only_uri(Path::new("/data/a b?mode=rw#50%.db"));
        assert_eq!(uri, "file:/data/a%20b%3fmode%3drw%2350%25.db?mode=ro");
    }
}
