//! Reading a file into memory: the current entries, and after a clean stop the history that watches resume from.
//!
//! The cost depends on what is live and on the history limits, not on how much was ever written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::database::{Meta, integer};
use super::history::{Live, LogEntry, rebuild};
use super::open::{Buckets, sqlite_error};
use crate::contract::{Codec, Entry};
use crate::error::OpenError;
use crate::key::{Key, Revision};
use crate::memory::{Bucket, Entries, HistoryLimits, Ring};

pub(super) struct Loaded<O> {
    /// The revision to go on from.
    pub(super) revision: Revision,
    /// History up to here is unknown.
    pub(super) compacted: Revision,
    pub(super) buckets: Buckets<O>,
    pub(super) unreadable: HashMap<Key, Revision>,
    /// The log's rows are after this.
    pub(super) log_start: Revision,
    /// And up to this.
    pub(super) log_end: Revision,
    /// About the bytes of the log that is worth keeping.
    pub(super) log_bytes: usize,
}

pub(super) async fn load<C: Codec>(
    connection: &mut SqliteConnection,
    path: &Path,
    codec: &C,
    meta: &Meta,
    limits: HistoryLimits,
) -> Result<Loaded<C::Object>, OpenError> {
    let mut unreadable = HashMap::new();
    let live = read_current(connection, path, codec, meta, &mut unreadable).await?;
    let (log_start, log_end) = log_bounds(connection, path).await?;
    let mut loaded = Loaded {
        revision: meta.revision,
        compacted: meta.compacted,
        buckets: Buckets::new(),
        unreadable,
        log_start,
        log_end,
        log_bytes: 0,
    };
    let mut history = HashMap::new();
    if meta.clean {
        let (log, read_from) = read_log(connection, path, meta.compacted, limits).await?;
        loaded.compacted = read_from;
        loaded.log_bytes = log.iter().map(LogEntry::bytes).sum();
        history = rebuild(codec, &live, log, read_from);
    } else {
        // Revisions up to the ceiling may have been seen by someone, with states that are lost.
        loaded.revision = meta.ceiling;
        loaded.compacted = meta.ceiling;
    }
    let mut entries: HashMap<Arc<str>, Entries<C::Object>> = HashMap::new();
    for (key, entry) in live {
        if !entries.contains_key(key.bucket()) {
            entries.insert(key.bucket().into(), Entries::new());
        }
        if let Some(map) = entries.get_mut(key.bucket()) {
            map.insert(key, entry);
        }
    }
    for name in history.keys() {
        entries.entry(Arc::clone(name)).or_default();
    }
    for (name, map) in entries {
        let ring = history
            .remove(&name)
            .unwrap_or_else(|| Ring::new(Revision(0)));
        loaded.buckets.insert(name, Bucket::new(map, ring));
    }
    Ok(loaded)
}

/// Every live row. One the codec cannot read is left out, so that it does not take the others with it.
async fn read_current<C: Codec>(
    connection: &mut SqliteConnection,
    path: &Path,
    codec: &C,
    meta: &Meta,
    unreadable: &mut HashMap<Key, Revision>,
) -> Result<Live<C::Object>, OpenError> {
    let failed = |source| sqlite_error(path, "the reading", source);
    let mut live = Live::new();
    let query = sqlx::query("SELECT create_revision, revision, key, value FROM current");
    let mut rows = query.fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let create_revision = revision(&row, 0).map_err(failed)?;
        let revision = revision(&row, 1).map_err(failed)?;
        let text: &str = row.try_get(2).map_err(failed)?;
        let value: &[u8] = row.try_get(3).map_err(failed)?;
        let Some(key) = Key::parse(text) else {
            return Err(damaged(path, format!("it holds the key {text:?}")));
        };
        if revision > meta.ceiling || create_revision > revision {
            return Err(damaged(
                path,
                format!("{key} has the impossible revision {revision}"),
            ));
        }
        if live.contains_key(&key) || unreadable.contains_key(&key) {
            return Err(damaged(path, format!("{key} is there twice")));
        }
        match codec.decode(&key, revision, &Bytes::copy_from_slice(value)) {
            Ok(object) => {
                let entry = Entry {
                    key: key.clone(),
                    create_revision,
                    revision,
                    object,
                };
                live.insert(key, Arc::new(entry));
            }
            Err(error) => {
                tracing::error!(%key, %error, "an object cannot be read and is left out");
                unreadable.insert(key, create_revision);
            }
        }
    }
    Ok(live)
}

/// The revision before the first row of the log, and that of the last.
async fn log_bounds(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(Revision, Revision), OpenError> {
    // Two subqueries, because SQLite only looks up both ends of the table if asked for one at a time.
    let query = "SELECT (SELECT min(revision) FROM log) - 1, (SELECT max(revision) FROM log)";
    let bounds = sqlx::query(query).fetch_one(connection).await;
    let bounds = bounds.and_then(|row| {
        let (start, end): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        let number = |number: Option<i64>| Revision(number.unwrap_or(0).max(0) as u64);
        Ok((number(start), number(end)))
    });
    bounds.map_err(|source| sqlite_error(path, "the reading", source))
}

/// The log after `from`, newest first, as far back as the limit allows, and from where it is complete.
async fn read_log(
    connection: &mut SqliteConnection,
    path: &Path,
    from: Revision,
    limits: HistoryLimits,
) -> Result<(Vec<LogEntry>, Revision), OpenError> {
    let failed = |source| sqlite_error(path, "the reading", source);
    let query = sqlx::query(
        "SELECT revision, key, deleted, previous_revision, previous_create_revision, previous
         FROM log WHERE revision > ?1 ORDER BY revision DESC",
    );
    let mut rows = query.bind(integer(from)).fetch(connection);
    let (mut log, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let Some(entry) = log_entry(&row).map_err(failed)? else {
            return Err(damaged(path, "its log holds a bad key".into()));
        };
        bytes += entry.bytes();
        if bytes > limits.bytes {
            return Ok((log, entry.revision));
        }
        log.push(entry);
    }
    Ok((log, from))
}

fn log_entry(row: &SqliteRow) -> Result<Option<LogEntry>, sqlx::Error> {
    let Some(key) = Key::parse(row.try_get(1)?) else {
        return Ok(None);
    };
    let previous: (Option<i64>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let number = |number: i64| Revision(number.max(0) as u64);
    Ok(Some(LogEntry {
        revision: revision(row, 0)?,
        key,
        deleted: row.try_get::<i64, _>(2)? != 0,
        previous: previous
            .0
            .zip(previous.1)
            .map(|(old, made)| (number(old), number(made))),
        value: row
            .try_get::<Option<&[u8]>, _>(5)?
            .map(Bytes::copy_from_slice),
    }))
}

fn revision(row: &SqliteRow, column: usize) -> Result<Revision, sqlx::Error> {
    row.try_get::<i64, _>(column)
        .map(|number| Revision(number.max(0) as u64))
}

fn damaged(path: &Path, detail: String) -> OpenError {
    OpenError::Corrupt {
        path: path.to_path_buf(),
        detail,
    }
}
