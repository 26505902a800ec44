//! The node's key-value file, and what of it a pod sees: the buckets it names, of its own namespace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sampan_engine::{KeyPage, KeyValueBucket, KeyValueError, KeyValuePair, KeyValueStore};
use sampan_keyvalue::{Bucket, BucketName, KeyValue, KeyValueConfig, Namespace};
use sampan_proto::{Code, CriError};
use tokio::sync::OnceCell;

use super::DEFAULT_BUCKET;
use crate::error::chain;

/// Whose buckets they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) namespace: String,
    pub(crate) uid: String,
}

/// The file, opened when the first pod needs it.
pub(crate) struct Buckets {
    path: Option<PathBuf>,
    file: OnceCell<KeyValue>,
}

impl Buckets {
    /// Without a path there are none.
    pub(crate) fn new(path: Option<PathBuf>) -> Buckets {
        Buckets {
            path,
            file: OnceCell::new(),
        }
    }

    /// What a container sees: buckets by the names its guest uses.
    pub(super) async fn of(
        &self,
        owner: Owner,
        names: BTreeMap<String, String>,
    ) -> Result<Arc<dyn KeyValueStore>, CriError> {
        let Some(path) = &self.path else {
            let message = "this runtime has no place for buckets of wasi:keyvalue";
            return Err(CriError::new(Code::FailedPrecondition, message));
        };
        Ok(Arc::new(PodBuckets {
            file: self.open(path).await?,
            owner,
            names,
        }))
    }

    async fn open(&self, path: &Path) -> Result<KeyValue, CriError> {
        let open = || KeyValue::open(KeyValueConfig::new(path));
        let file = self.file.get_or_try_init(open).await;
        file.cloned()
            .map_err(|error| CriError::internal(chain(&error)))
    }

    /// The file, if some pod has ever needed it.
    async fn existing(&self) -> Result<Option<KeyValue>, CriError> {
        match &self.path {
            Some(path) if path.exists() => self.open(path).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Names and uids of the namespaces that have buckets.
    pub(crate) async fn namespaces(&self) -> Result<Vec<(String, String)>, CriError> {
        let Some(file) = self.existing().await? else {
            return Ok(Vec::new());
        };
        let found = file.namespaces().await;
        let found = found.map_err(|error| CriError::internal(chain(&error)))?;
        let pair = |namespace: Namespace| (namespace.name, namespace.uid);
        Ok(found.into_iter().map(pair).collect())
    }

    /// Removes the buckets of a namespace.
    pub(crate) async fn remove(&self, name: &str, uid: &str) -> Result<(), CriError> {
        let Some(file) = self.existing().await? else {
            return Ok(());
        };
        let namespace = Namespace {
            name: name.to_owned(),
            uid: uid.to_owned(),
        };
        let removed = file.namespace_delete(&namespace).await;
        removed.map_err(|error| CriError::internal(chain(&error)))
    }
}

struct PodBuckets {
    file: KeyValue,
    owner: Owner,
    names: BTreeMap<String, String>,
}

#[async_trait]
impl KeyValueStore for PodBuckets {
    async fn open(&self, identifier: &str) -> Result<Arc<dyn KeyValueBucket>, KeyValueError> {
        let identifier = match identifier {
            "" => DEFAULT_BUCKET,
            name => name,
        };
        let name = self
            .names
            .get(identifier)
            .ok_or(KeyValueError::NoSuchStore)?;
        let name = BucketName {
            namespace: self.owner.namespace.clone(),
            namespace_uid: self.owner.uid.clone(),
            name: name.clone(),
        };
        let bucket = self.file.bucket(&name).await.map_err(told)?;
        Ok(Arc::new(OpenBucket(bucket)))
    }
}

fn told(error: sampan_keyvalue::KeyValueError) -> KeyValueError {
    KeyValueError::Other(chain(&error))
}

struct OpenBucket(Bucket);

#[async_trait]
impl KeyValueBucket for OpenBucket {
    async fn get(&self, keys: Vec<String>) -> Result<Vec<Option<KeyValuePair>>, KeyValueError> {
        let pairs = self.0.get(&keys).await.map_err(told)?;
        let pair = |pair: sampan_keyvalue::Pair| KeyValuePair {
            value: pair.value,
            version: pair.version.unsigned_abs(),
        };
        Ok(pairs.into_iter().map(|found| found.map(pair)).collect())
    }

    async fn exists(&self, key: String) -> Result<bool, KeyValueError> {
        self.0.exists(&key).await.map_err(told)
    }

    async fn keys(&self, cursor: Option<u64>) -> Result<KeyPage, KeyValueError> {
        let page = self.0.keys(cursor).await.map_err(told)?;
        Ok(KeyPage {
            keys: page.keys,
            next: page.next,
        })
    }

    async fn set(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError> {
        self.0.set(pairs).await.map_err(told)
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), KeyValueError> {
        self.0.delete(keys).await.map_err(told)
    }

    async fn increment(&self, key: String, delta: i64) -> Result<i64, KeyValueError> {
        self.0.increment(key, delta).await.map_err(told)
    }

    async fn swap(
        &self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<bool, KeyValueError> {
        // Versions come from this very bucket, and are positive.
        let expected = expected.and_then(|version| i64::try_from(version).ok());
        self.0.swap(key, expected, value).await.map_err(told)
    }
}
