//! The file as a whole: opened once, buckets opened from it.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteRow};
use tokio::sync::{mpsc, oneshot};

use crate::bucket::Bucket;
use crate::error::{KeyValueError, OpenError};
use crate::limits::Limits;
use crate::schema;
use crate::writer::{Answer, Command, Work, Writer};

/// Connections that read at once.
const READERS: u32 = 4;

/// Writes waiting to be taken up; more callers wait.
const QUEUE: usize = 1_024;

/// Characters of a bucket's name.
const MAX_NAME: usize = 63;

/// Where the file is, and what may go into it.
#[derive(Clone, Debug)]
pub struct KeyValueConfig {
    /// The file; its folder must exist.
    pub path: PathBuf,
    pub limits: Limits,
}

impl KeyValueConfig {
    /// With the default limits.
    pub fn new(path: impl Into<PathBuf>) -> KeyValueConfig {
        KeyValueConfig {
            path: path.into(),
            limits: Limits::default(),
        }
    }
}

/// One bucket among all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketName {
    pub namespace: String,
    /// Tells namespaces of one name apart that came one after the other; empty where nobody knows.
    pub namespace_uid: String,
    pub name: String,
}

/// A namespace that has buckets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    pub name: String,
    /// As in [`BucketName`].
    pub uid: String,
}

const NAMESPACES: &str = "SELECT name, uid FROM namespace WHERE dead = 0 ORDER BY name, uid";

/// An open file. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct KeyValue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) limits: Limits,
    pub(crate) readers: SqlitePool,
    commands: mpsc::Sender<Command>,
}

impl KeyValue {
    /// Opens the file, or makes it. Its writer is a task of the runtime this is called on; it ends with the last
    /// handle.
    pub async fn open(config: KeyValueConfig) -> Result<KeyValue, OpenError> {
        let KeyValueConfig { path, limits } = config;
        let (connection, version) = schema::open(&path, limits.file_bytes).await?;
        // Without lifetimes: they would be looked at from time to time. All of them now: each has a thread, with the priority
        // of who starts it, and later that is a guest.
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(schema::options(&path).read_only(true));
        let readers = readers.await.map_err(|source| OpenError::Sqlite {
            path: path.clone(),
            source,
        })?;
        let (commands, receiver) = mpsc::channel(QUEUE);
        let writer = Writer::new(connection, version, limits.clone(), receiver);
        tokio::spawn(writer.run());
        Ok(KeyValue {
            inner: Arc::new(Inner {
                limits,
                readers,
                commands,
            }),
        })
    }

    /// Opens a bucket, or makes it.
    pub async fn bucket(&self, name: &BucketName) -> Result<Bucket, KeyValueError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let length = name.name.len();
        if length == 0 || length > MAX_NAME || !name.name.bytes().all(valid) {
            return Err(KeyValueError::BucketName);
        }
        match self.inner.write(Work::Open(name.clone())).await? {
            Answer::Opened(place) => Ok(Bucket::new(self.inner.clone(), place)),
            _ => Err(KeyValueError::Closed),
        }
    }

    /// The namespaces that have buckets, in order.
    pub async fn namespaces(&self) -> Result<Vec<Namespace>, KeyValueError> {
        let mut reader = self.inner.readers.acquire().await?;
        let rows = sqlx::query(NAMESPACES).fetch_all(&mut *reader).await?;
        let namespace = |row: &SqliteRow| {
            Ok(Namespace {
                name: row.try_get(0)?,
                uid: row.try_get(1)?,
            })
        };
        rows.iter().map(namespace).collect()
    }

    /// Removes a namespace with all its buckets, for good. Nothing else does. One that is not there is fine.
    pub async fn namespace_delete(&self, namespace: &Namespace) -> Result<(), KeyValueError> {
        let work = Work::Remove(namespace.clone());
        self.inner.write(work).await.map(drop)
    }
}

impl std::fmt::Debug for KeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyValue").finish_non_exhaustive()
    }
}

impl Inner {
    /// Hands a write to the writer; returns when it is on the disk.
    pub(crate) async fn write(&self, work: Work) -> Result<Answer, KeyValueError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.commands.send(Command { work, reply }).await;
        sent.map_err(|_| KeyValueError::Closed)?;
        answer.await.map_err(|_| KeyValueError::Closed)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_readers_are_there_from_the_start() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let opened = KeyValue::open(KeyValueConfig {
            path: dir.path().join("file"),
            limits: Limits::default(),
        });
        let keyvalue = opened.await.expect("it is made");
        assert_eq!(keyvalue.inner.readers.size(), READERS);
    }
}
