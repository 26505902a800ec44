//! Errors a caller branches on. Messages name the fix; mapping to HTTP is the server's.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::contract::Entry;
use crate::key::Revision;

/// The bytes of an object could not be read.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct DecodeError {
    /// What is wrong with them.
    pub message: String,
}

impl DecodeError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> DecodeError {
        DecodeError {
            message: message.into(),
        }
    }
}

/// The store cannot do its work. All but `ValueTooLarge` and `Closed` are worth a retry after the fix.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// No space left for the write.
    #[error(
        "the disk holding {path} is full: free some space; the store accepts writes again as soon as one succeeds"
    )]
    DiskFull {
        /// The database file.
        path: PathBuf,
    },
    /// The file cannot be written to.
    #[error(
        "{path} cannot be written to ({detail}): check its permissions and that its file system is mounted read-write"
    )]
    ReadOnly {
        /// The database file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// The disk answers with errors.
    #[error("reading or writing {path} failed ({detail}): check the disk and the kernel log")]
    Io {
        /// The database file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// The file is damaged.
    #[error("{path} is damaged ({detail}): stop, and restore it from a backup")]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// Another process holds SQLite's lock on the file.
    #[error("{path} is locked by another program: close whatever has the file open")]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// SQLite failed in a way that has no remedy of its own.
    #[error("the database {path} failed")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// The failure.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The value is over the configured limit.
    #[error("the value has {size} bytes, more than the limit of {limit}: make the object smaller")]
    ValueTooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The store was closed.
    #[error("the store is closed: the server is shutting down")]
    Closed,
}

/// Why a write did not happen.
#[derive(Error)]
pub enum TxnError<O> {
    /// The condition did not hold.
    #[error("the key is not in the expected state")]
    Conflict {
        /// The version that is there instead, if any: enough to retry without reading again.
        current: Option<Arc<Entry<O>>>,
    },
    /// The codec refused the value.
    #[error("the value cannot be decoded")]
    Decode(#[source] DecodeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// By hand: a derive would demand `O: Debug`, and the object is the least interesting part.
impl<O> fmt::Debug for TxnError<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TxnError::Conflict { current } => {
                let revision = current.as_ref().map(|entry| entry.revision);
                f.debug_struct("Conflict")
                    .field("current", &revision)
                    .finish()
            }
            TxnError::Decode(error) => f.debug_tuple("Decode").field(error).finish(),
            TxnError::Store(error) => f.debug_tuple("Store").field(error).finish(),
        }
    }
}

/// Why a list failed.
#[derive(Clone, Debug, Error)]
pub enum RangeError {
    /// The revision is older than the history.
    #[error("the revision has been compacted; the oldest one available is {compacted}")]
    Compacted {
        /// The oldest revision that can be listed.
        compacted: Revision,
    },
    /// The revision has not happened yet.
    #[error("the revision is in the future; the current one is {current}")]
    Future {
        /// The current revision.
        current: Revision,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a watch could not start or go on.
#[derive(Clone, Debug, Error)]
pub enum WatchError {
    /// Events after the asked revision are no longer there: list and watch again.
    #[error("the revision has been compacted; the oldest one available is {compacted}")]
    Compacted {
        /// The oldest revision a watch can start from.
        compacted: Revision,
    },
    /// The revision has not happened yet.
    #[error("the revision is in the future; the current one is {current}")]
    Future {
        /// The current revision.
        current: Revision,
    },
    /// The store was closed, and everything before was delivered.
    #[error("the store is closed: the server is shutting down")]
    Closed,
}

/// Why a store could not be opened. Nothing was changed on disk.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process (or another store of this one) owns the file.
    #[error(
        "{path} is in use by another process: stop that one first, or choose another data folder"
    )]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "{path} is not a database of this program: move it away, or choose another data folder"
    )]
    NotADatabase {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error(
        "{path} has schema {found} and this release understands up to {supported}: run the newer release, or restore a backup made by this one"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this release reads.
        supported: i64,
    },
    /// The file is damaged.
    #[error(
        "{path} is damaged ({detail}): restore it from a backup, or move it and its -wal file away to start empty"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file system failed.
    #[error("{step} {path} failed: check that the folder exists, is writable and has space")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted.
        step: &'static str,
        /// The failure.
        #[source]
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("{step} of {path} failed: check that the folder is writable and has space")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What was attempted.
        step: &'static str,
        /// The failure.
        #[source]
        source: sqlx::Error,
    },
}

/// Why a copy of a database could not be taken.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// There is none.
    #[error("{path} does not exist: there is nothing to copy")]
    Missing {
        /// The database file.
        path: PathBuf,
    },
    /// The database, or the copy of it, is not what it should be.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy does not fit.
    #[error("the disk holding {path} is full: free some space, or choose another place")]
    DiskFull {
        /// The copy.
        path: PathBuf,
    },
    /// SQLite failed.
    #[error("copying {from} to {to} failed")]
    Copy {
        /// The database file.
        from: PathBuf,
        /// The copy.
        to: PathBuf,
        /// The failure.
        #[source]
        source: sqlx::Error,
    },
}
