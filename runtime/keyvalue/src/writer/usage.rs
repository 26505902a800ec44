//! How much each bucket holds: counted in memory as it changes, written with what changed it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::{Failed, Place};
use crate::error::KeyValueError;
use crate::limits::Limits;

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    keys: i64,
    bytes: i64,
    changed: bool,
}

/// The buckets of the namespaces that were asked for, by id.
#[derive(Default)]
pub(super) struct Usages {
    namespaces: HashMap<i64, HashMap<i64, Usage>>,
}

/// How a call changes a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Growth {
    pub(super) keys: i64,
    pub(super) bytes: i64,
}

const LOAD: &str = "
SELECT b.id, b.keys, b.bytes FROM bucket b JOIN namespace n ON n.id = b.namespace
WHERE n.id = $1 AND n.dead = 0";
const SAVE: &str = "UPDATE bucket SET keys = $2, bytes = $3 WHERE id = $1";

impl Usages {
    /// Forgets a namespace: it was deleted.
    pub(super) fn forget(&mut self, namespace: i64) {
        self.namespaces.remove(&namespace);
    }

    /// The number of a namespace's buckets.
    pub(super) async fn buckets(
        &mut self,
        connection: &mut SqliteConnection,
        namespace: i64,
    ) -> Result<usize, sqlx::Error> {
        Ok(self.of(connection, namespace).await?.len())
    }

    pub(super) async fn added(
        &mut self,
        connection: &mut SqliteConnection,
        place: Place,
    ) -> Result<(), sqlx::Error> {
        let buckets = self.of(connection, place.namespace).await?;
        buckets.entry(place.bucket).or_default();
        Ok(())
    }

    /// Makes sure that the bucket is there.
    pub(super) async fn check(
        &mut self,
        connection: &mut SqliteConnection,
        place: Place,
    ) -> Result<(), Failed> {
        let buckets = self.of(connection, place.namespace).await?;
        match buckets.contains_key(&place.bucket) {
            true => Ok(()),
            false => Err(KeyValueError::BucketGone.into()),
        }
    }

    /// Counts what a call changes, or refuses it: then it must change nothing.
    pub(super) async fn grow(
        &mut self,
        connection: &mut SqliteConnection,
        place: Place,
        growth: Growth,
        limits: &Limits,
    ) -> Result<(), Failed> {
        let buckets = self.of(connection, place.namespace).await?;
        let bytes: i64 = buckets.values().map(|usage| usage.bytes).sum();
        let usage = buckets.get_mut(&place.bucket);
        let usage = usage.ok_or(KeyValueError::BucketGone)?;
        if growth.keys > 0 && usage.keys + growth.keys > limits.bucket_keys {
            let limit = limits.bucket_keys;
            return Err(KeyValueError::TooManyKeys { limit }.into());
        }
        if growth.bytes > 0 && bytes + growth.bytes > limits.namespace_bytes {
            let limit = limits.namespace_bytes;
            return Err(KeyValueError::NamespaceFull { limit }.into());
        }
        usage.keys += growth.keys;
        usage.bytes += growth.bytes;
        usage.changed = true;
        Ok(())
    }

    /// Writes what changed.
    pub(super) async fn save(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        let all = self.namespaces.values_mut().flatten();
        for (bucket, usage) in all.filter(|(_, usage)| usage.changed) {
            sqlx::query(SAVE)
                .bind(bucket)
                .bind(usage.keys)
                .bind(usage.bytes)
                .execute(&mut *connection)
                .await?;
            usage.changed = false;
        }
        Ok(())
    }

    async fn of(
        &mut self,
        connection: &mut SqliteConnection,
        namespace: i64,
    ) -> Result<&mut HashMap<i64, Usage>, sqlx::Error> {
        match self.namespaces.entry(namespace) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(load(connection, namespace).await?)),
        }
    }
}

async fn load(
    connection: &mut SqliteConnection,
    namespace: i64,
) -> Result<HashMap<i64, Usage>, sqlx::Error> {
    let rows = sqlx::query(LOAD)
        .bind(namespace)
        .fetch_all(connection)
        .await?;
    let mut buckets = HashMap::new();
    for row in rows {
        let usage = Usage {
            keys: row.try_get(1)?,
            bytes: row.try_get(2)?,
            changed: false,
        };
        buckets.insert(row.try_get(0)?, usage);
    }
    Ok(buckets)
}
