//! `wasi:keyvalue`: buckets of pairs behind a trait, in the two drafts that guests are built for.
//!
//! Bounds of keys, values, pages and buckets are the store's: it knows what it can hold.

mod draft;
mod draft2;

use crate::state::ComponentState;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceTableError};

/// The buckets one container can open.
#[async_trait::async_trait]
pub trait KeyValueStore: Send + Sync {
    /// Opens a bucket by the name the guest uses for it.
    async fn open(&self, identifier: &str) -> Result<Arc<dyn KeyValueBucket>, KeyValueError>;
}

/// A bucket of pairs. A write that returned is durable, and seen by every later read.
///
/// A caller that drops a future of a write does not know whether it happened; nothing is half written.
#[async_trait::async_trait]
pub trait KeyValueBucket: Send + Sync {
    /// The pairs of these keys, in their order; none for a key that is not there.
    async fn get(&self, keys: Vec<String>) -> Result<Vec<Option<KeyValuePair>>, KeyValueError>;

    /// Whether there is such a key.
    async fn exists(&self, key: String) -> Result<bool, KeyValueError>;

    /// The keys after `cursor`, as many as the store thinks fit, and where to go on.
    async fn keys(&self, cursor: Option<u64>) -> Result<KeyPage, KeyValueError>;

    /// Sets all of these pairs, or none.
    async fn set(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError>;

    /// Removes all of these keys, or none. Keys that are not there are fine.
    async fn delete(&self, keys: Vec<String>) -> Result<(), KeyValueError>;

    /// Adds to a number in decimal digits and returns the sum. A key that is not there counts as 0.
    async fn increment(&self, key: String, delta: i64) -> Result<i64, KeyValueError>;

    /// Sets a value if the pair's version still is `expected` (none: if there is no such key). False if it is not.
    async fn swap(
        &self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
    ) -> Result<bool, KeyValueError>;
}

/// A pair as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValuePair {
    /// The value.
    pub value: Vec<u8>,
    /// Another one with every write of the key, even one that writes the same value or follows a removal.
    pub version: u64,
}

/// A part of a bucket's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in no order of meaning.
    pub keys: Vec<String>,
    /// Where the next page begins; none if this was the last one.
    pub next: Option<u64>,
}

/// Why a guest's call failed; the guest is told so and goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// The container has no bucket of this name.
    #[error("no such store")]
    NoSuchStore,
    /// The container may not do this.
    #[error("access denied")]
    AccessDenied,
    /// A bound was reached, a value is not what the call needs, or the store failed. The text says which.
    #[error("{0}")]
    Other(String),
}

/// An open bucket, as guests hold it.
#[allow(
    unreachable_pub,
    reason = "the bindings say `pub use`, inside the crate"
)]
pub struct Bucket(Arc<dyn KeyValueBucket>);

/// A compare and swap that has read and not written yet.
#[allow(
    unreachable_pub,
    reason = "the bindings say `pub use`, inside the crate"
)]
pub struct Swap {
    bucket: Arc<dyn KeyValueBucket>,
    key: String,
    /// The version of the pair when it was read last. Its value is not kept: a guest may hold many of these.
    read: Option<u64>,
}

impl Swap {
    pub(crate) fn key_bytes(&self) -> usize {
        self.key.len()
    }
}

/// A failed call: the guest is told, or it did what no guest can do and ends.
#[allow(
    unreachable_pub,
    reason = "the bindings say `pub use`, inside the crate"
)]
pub enum Failure {
    Told(KeyValueError),
    Trap(wasmtime::Error),
}

impl From<KeyValueError> for Failure {
    fn from(error: KeyValueError) -> Self {
        Failure::Told(error)
    }
}

impl From<ResourceTableError> for Failure {
    fn from(error: ResourceTableError) -> Self {
        Failure::Trap(error.into())
    }
}

/// What one instance has of the interface.
pub(crate) struct KeyValue<'a> {
    pub(super) store: Option<&'a Arc<dyn KeyValueStore>>,
    pub(super) table: &'a mut ResourceTable,
}

struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = KeyValue<'a>;
}

type GetKeyValue = fn(&mut ComponentState) -> KeyValue<'_>;

pub(super) fn add_to_linker(
    linker: &mut Linker<ComponentState>,
    get: GetKeyValue,
) -> wasmtime::Result<()> {
    draft::add_to_linker(linker, get)?;
    draft2::add_to_linker(linker, get)
}

impl KeyValue<'_> {
    async fn open_bucket(&mut self, identifier: &str) -> Result<Resource<Bucket>, Failure> {
        let store = self.store.ok_or(KeyValueError::AccessDenied)?;
        let bucket = store.open(identifier).await?;
        Ok(self.table.push(Bucket(bucket))?)
    }

    fn bucket(&self, bucket: &Resource<Bucket>) -> Result<Arc<dyn KeyValueBucket>, Failure> {
        Ok(self.table.get(bucket)?.0.clone())
    }

    fn drop_bucket(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }

    async fn get_one(
        &mut self,
        bucket: &Resource<Bucket>,
        key: String,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let pairs = self.bucket(bucket)?.get(vec![key]).await?;
        Ok(pairs.into_iter().next().flatten().map(|pair| pair.value))
    }

    /// Reads a key for a swap.
    async fn begin(
        &mut self,
        bucket: Arc<dyn KeyValueBucket>,
        key: String,
    ) -> Result<Resource<Swap>, Failure> {
        let pairs = bucket.get(vec![key.clone()]).await?;
        let read = pairs.into_iter().next().flatten();
        let read = read.map(|pair| pair.version);
        Ok(self.table.push(Swap { bucket, key, read })?)
    }

    /// Reads the key of a swap again: what is swapped later is what the guest has seen last.
    async fn current(&mut self, cas: &Resource<Swap>) -> Result<Option<Vec<u8>>, Failure> {
        let swap = self.table.get(cas)?;
        let (bucket, key) = (swap.bucket.clone(), swap.key.clone());
        let read = bucket.get(vec![key]).await?.into_iter().next().flatten();
        self.table.get_mut(cas)?.read = read.as_ref().map(|pair| pair.version);
        Ok(read.map(|pair| pair.value))
    }
}
