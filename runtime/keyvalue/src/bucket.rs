//! One bucket: reads go to the file, writes to the writer.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::error::KeyValueError;
use crate::store::Inner;
use crate::writer::{Answer, Place, Work};

/// An open bucket. Clones are the same one.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
    place: Place,
}

/// A value, and the write it comes from: another version with every write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub value: Vec<u8>,
    pub version: i64,
}

/// Some keys of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub keys: Vec<String>,
    /// The cursor of the next page; none after the last one.
    pub next: Option<u64>,
}

const GET: &str = "SELECT value, version FROM pair WHERE bucket = $1 AND key = $2";
const EXISTS: &str = "SELECT 1 FROM pair WHERE bucket = $1 AND key = $2";
const KEYS: &str = "SELECT id, key FROM pair WHERE bucket = $1 AND id > $2 ORDER BY id LIMIT $3";

impl Bucket {
    pub(crate) fn new(inner: Arc<Inner>, place: Place) -> Bucket {
        Bucket { inner, place }
    }

    /// The pairs of these keys, in their order; none for a key that is not there.
    pub async fn get(&self, keys: &[String]) -> Result<Vec<Option<Pair>>, KeyValueError> {
        let limits = &self.inner.limits;
        limits.check_keys(keys)?;
        let mut reader = self.inner.readers.acquire().await?;
        let mut pairs = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let pair = get(&mut reader, self.place.bucket, key).await?;
            bytes += pair.as_ref().map_or(0, |pair| pair.value.len());
            limits.check_bytes(bytes)?;
            pairs.push(pair);
        }
        Ok(pairs)
    }

    /// Whether there is such a key.
    pub async fn exists(&self, key: &str) -> Result<bool, KeyValueError> {
        self.inner.limits.check_key(key)?;
        let query = sqlx::query(EXISTS).bind(self.place.bucket).bind(key);
        let mut reader = self.inner.readers.acquire().await?;
        Ok(query.fetch_optional(&mut *reader).await?.is_some())
    }

    /// The keys after a cursor, or from the beginning.
    pub async fn keys(&self, cursor: Option<u64>) -> Result<Page, KeyValueError> {
        let after = i64::try_from(cursor.unwrap_or(0)).map_err(|_| KeyValueError::Cursor)?;
        let limit = self.inner.limits.page_keys;
        // One more than is shown tells whether there is a next page.
        let query = sqlx::query(KEYS)
            .bind(self.place.bucket)
            .bind(after)
            .bind(limit as i64 + 1);
        let mut reader = self.inner.readers.acquire().await?;
        let rows = query.fetch_all(&mut *reader).await?;
        let mut page = Page::default();
        for row in rows.iter().take(limit) {
            page.keys.push(row.try_get(1)?);
        }
        if rows.len() > limit {
            let last: i64 = rows[limit - 1].try_get(0)?;
            page.next = u64::try_from(last).ok();
        }
        Ok(page)
    }

    /// Sets all of these pairs, or none. Of several values of one key the last counts.
    pub async fn set(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), KeyValueError> {
        self.inner.limits.check_pairs(&pairs)?;
        let pairs = pairs.into_iter().collect();
        let work = Work::Set(self.place, pairs);
        self.inner.write(work).await.map(drop)
    }

    /// Removes all of these keys, or none. Keys that are not there are fine.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), KeyValueError> {
        self.inner.limits.check_keys(&keys)?;
        let work = Work::Delete(self.place, keys.into_iter().collect());
        self.inner.write(work).await.map(drop)
    }

    /// Adds to a number in decimal digits and returns the sum. A key that is not there counts as 0.
    pub async fn increment(&self, key: String, delta: i64) -> Result<i64, KeyValueError> {
        self.inner.limits.check_key(&key)?;
        match self
            .inner
            .write(Work::Increment(self.place, key, delta))
            .await?
        {
            Answer::Number(sum) => Ok(sum),
            _ => Err(KeyValueError::Closed),
        }
    }

    /// Sets a value if the key's version still is `expected` (none: if there is no such key). False if it is not.
    pub async fn swap(
        &self,
        key: String,
        expected: Option<i64>,
        value: Vec<u8>,
    ) -> Result<bool, KeyValueError> {
        self.inner.limits.check_key(&key)?;
        self.inner.limits.check_value(&value)?;
        let work = Work::Swap {
            place: self.place,
            key,
            expected,
            value,
        };
        match self.inner.write(work).await? {
            Answer::Swapped(swapped) => Ok(swapped),
            _ => Err(KeyValueError::Closed),
        }
    }
}

/// One pair, from any connection.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    bucket: i64,
    key: &str,
) -> Result<Option<Pair>, sqlx::Error> {
    let query = sqlx::query(GET).bind(bucket).bind(key);
    let Some(row) = query.fetch_optional(connection).await? else {
        return Ok(None);
    };
    Ok(Some(Pair {
        value: row.try_get(0)?,
        version: row.try_get(1)?,
    }))
}
