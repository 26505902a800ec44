//! Why a file cannot be opened, and why a call failed.

use std::path::PathBuf;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open it, or it is damaged.
    #[error("cannot open the key-value file {}", path.display())]
    Sqlite {
        path: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    /// It is a database of something else, or of a newer release.
    #[error("{} is not a key-value file that this release knows; move it away to begin with an empty one", path.display())]
    Foreign { path: PathBuf },
}

/// A call failed and changed nothing. The text is for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    #[error("a key must not be empty")]
    EmptyKey,
    #[error("a key has {bytes} bytes, at most {limit} are allowed")]
    KeyTooLong { bytes: usize, limit: usize },
    #[error("a value has {bytes} bytes, at most {limit} are allowed")]
    ValueTooLarge { bytes: usize, limit: usize },
    #[error("the call names {count} keys, at most {limit} are allowed")]
    TooManyItems { count: usize, limit: usize },
    #[error("the call carries more than {limit} bytes: ask for less at a time")]
    CallTooLarge { limit: usize },
    #[error("the bucket would have more than {limit} keys")]
    TooManyKeys { limit: i64 },
    #[error("the namespace would have more than {limit} bytes in its buckets")]
    NamespaceFull { limit: i64 },
    #[error("the namespace has {limit} buckets, no more are allowed")]
    TooManyBuckets { limit: usize },
    #[error(
        "the name of a bucket must have 1 to 63 characters out of a-z, A-Z, 0-9, '.', '_' and '-'"
    )]
    BucketName,
    #[error("the bucket is gone: its namespace was deleted")]
    BucketGone,
    #[error("the value is not a number in decimal digits")]
    NotANumber,
    #[error("the number would be too large")]
    Overflow,
    #[error("this cursor is none that was given out")]
    Cursor,
    #[error("the file of the buckets is full or cannot be used: {0}")]
    Storage(String),
    #[error("the runtime is shutting down")]
    Closed,
}

impl From<sqlx::Error> for KeyValueError {
    fn from(error: sqlx::Error) -> KeyValueError {
        KeyValueError::Storage(error.to_string())
    }
}
