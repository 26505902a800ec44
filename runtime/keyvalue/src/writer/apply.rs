//! One call within a transaction: everything is checked before anything is changed.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::usage::Growth;
use super::{Answer, Failed, Place, Work, Writer};
use crate::bucket;
use crate::error::KeyValueError;
use crate::store::{BucketName, Namespace};

const LENGTH: &str = "SELECT length(value) FROM pair WHERE bucket = $1 AND key = $2";
const SET: &str = "
INSERT INTO pair (bucket, key, version, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (bucket, key) DO UPDATE SET version = excluded.version, value = excluded.value";
const DELETE: &str = "DELETE FROM pair WHERE bucket = $1 AND key = $2";
const NAMESPACE: &str = "SELECT id FROM namespace WHERE name = $1 AND uid = $2 AND dead = 0";
const REMOVE: &str =
    "UPDATE namespace SET dead = 1 WHERE name = $1 AND uid = $2 AND dead = 0 RETURNING id";

impl Writer {
    pub(super) async fn apply(&mut self, work: &Work) -> Result<Answer, Failed> {
        match work {
            Work::Open(name) => self.open(name).await.map(Answer::Opened),
            Work::Remove(namespace) => self.remove(namespace).await.map(|()| Answer::Done),
            Work::Set(place, pairs) => self.set(*place, pairs).await.map(|()| Answer::Done),
            Work::Delete(place, keys) => self.delete(*place, keys).await.map(|()| Answer::Done),
            Work::Increment(place, key, delta) => self
                .increment(*place, key, *delta)
                .await
                .map(Answer::Number),
            Work::Swap {
                place,
                key,
                expected,
                value,
            } => {
                self.usages.check(&mut self.connection, *place).await?;
                let found = bucket::get(&mut self.connection, place.bucket, key).await?;
                if found.map(|pair| pair.version) != *expected {
                    return Ok(Answer::Swapped(false));
                }
                self.set_one(*place, key, value.clone()).await?;
                Ok(Answer::Swapped(true))
            }
        }
    }

    async fn open(&mut self, name: &BucketName) -> Result<Place, Failed> {
        let namespace = self.namespace(name).await?;
        let found = sqlx::query("SELECT id FROM bucket WHERE namespace = $1 AND name = $2")
            .bind(namespace)
            .bind(&name.name)
            .fetch_optional(&mut self.connection)
            .await?;
        if let Some(row) = found {
            let bucket = row.try_get(0)?;
            return Ok(Place { namespace, bucket });
        }
        let buckets = self.usages.buckets(&mut self.connection, namespace).await?;
        let limit = self.limits.namespace_buckets;
        if buckets >= limit {
            return Err(KeyValueError::TooManyBuckets { limit }.into());
        }
        let made = sqlx::query("INSERT INTO bucket (namespace, name) VALUES ($1, $2) RETURNING id")
            .bind(namespace)
            .bind(&name.name)
            .fetch_one(&mut self.connection)
            .await?;
        let place = Place {
            namespace,
            bucket: made.try_get(0)?,
        };
        self.usages.added(&mut self.connection, place).await?;
        Ok(place)
    }

    /// The id of a namespace. One of the same name and another uid is none of its business: who comes with it may be
    /// the one that is late.
    async fn namespace(&mut self, name: &BucketName) -> Result<i64, Failed> {
        let found = sqlx::query(NAMESPACE)
            .bind(&name.namespace)
            .bind(&name.namespace_uid)
            .fetch_optional(&mut self.connection)
            .await?;
        if let Some(row) = found {
            return Ok(row.try_get(0)?);
        }
        let made = sqlx::query("INSERT INTO namespace (name, uid) VALUES ($1, $2) RETURNING id")
            .bind(&name.namespace)
            .bind(&name.namespace_uid)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(made.try_get(0)?)
    }

    /// Marks a namespace dead; one that is not there is fine.
    async fn remove(&mut self, namespace: &Namespace) -> Result<(), Failed> {
        let found = sqlx::query(REMOVE)
            .bind(&namespace.name)
            .bind(&namespace.uid)
            .fetch_optional(&mut self.connection)
            .await?;
        if let Some(row) = found {
            let id = row.try_get(0)?;
            self.usages.forget(id);
            self.dying.push(id);
        }
        Ok(())
    }

    async fn set(&mut self, place: Place, pairs: &BTreeMap<String, Vec<u8>>) -> Result<(), Failed> {
        let mut growth = Growth::default();
        for (key, value) in pairs {
            let grown = (key.len() + value.len()) as i64;
            match self.length(place, key).await? {
                Some(held) => growth.bytes += grown - held,
                None => {
                    growth.keys += 1;
                    growth.bytes += grown;
                }
            }
        }
        self.usages
            .grow(&mut self.connection, place, growth, &self.limits)
            .await?;
        for (key, value) in pairs {
            self.version += 1;
            sqlx::query(SET)
                .bind(place.bucket)
                .bind(key)
                .bind(self.version)
                .bind(value)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn set_one(&mut self, place: Place, key: &str, value: Vec<u8>) -> Result<(), Failed> {
        let pairs = [(key.to_owned(), value)].into();
        self.set(place, &pairs).await
    }

    async fn delete(&mut self, place: Place, keys: &BTreeSet<String>) -> Result<(), Failed> {
        let mut growth = Growth::default();
        for key in keys {
            if let Some(held) = self.length(place, key).await? {
                growth.keys -= 1;
                growth.bytes -= held;
            }
        }
        self.usages
            .grow(&mut self.connection, place, growth, &self.limits)
            .await?;
        for key in keys {
            sqlx::query(DELETE)
                .bind(place.bucket)
                .bind(key)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    async fn increment(&mut self, place: Place, key: &str, delta: i64) -> Result<i64, Failed> {
        self.usages.check(&mut self.connection, place).await?;
        let found = bucket::get(&mut self.connection, place.bucket, key).await?;
        let number: i64 = match &found {
            None => 0,
            Some(pair) => std::str::from_utf8(&pair.value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(KeyValueError::NotANumber)?,
        };
        let sum = number.checked_add(delta).ok_or(KeyValueError::Overflow)?;
        self.set_one(place, key, sum.to_string().into_bytes())
            .await?;
        Ok(sum)
    }

    /// The bytes a key and its value take; none if there is no such key.
    async fn length(&mut self, place: Place, key: &str) -> Result<Option<i64>, sqlx::Error> {
        let found = sqlx::query(LENGTH)
            .bind(place.bucket)
            .bind(key)
            .fetch_optional(&mut self.connection)
            .await?;
        let Some(row) = found else { return Ok(None) };
        let value: i64 = row.try_get(0)?;
        Ok(Some(value + key.len() as i64))
    }
}

/// Namespaces whose rows are still to be removed.
pub(super) async fn dead(connection: &mut SqliteConnection) -> Result<Vec<i64>, sqlx::Error> {
    let rows = sqlx::query("SELECT id FROM namespace WHERE dead = 1 ORDER BY id")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Removes some pairs of a dead namespace; its last traces when there are none. True when nothing is left.
pub(super) async fn remove_slice(
    connection: &mut SqliteConnection,
    namespace: i64,
    rows: i64,
) -> Result<bool, sqlx::Error> {
    const PAIRS: &str = "
DELETE FROM pair WHERE id IN (
  SELECT p.id FROM namespace n JOIN bucket b ON b.namespace = n.id JOIN pair p ON p.bucket = b.id
  WHERE n.id = $1 AND n.dead = 1 LIMIT $2)";
    let removed = sqlx::query(PAIRS)
        .bind(namespace)
        .bind(rows)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if removed > 0 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM bucket WHERE namespace = $1")
        .bind(namespace)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM namespace WHERE id = $1")
        .bind(namespace)
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql("PRAGMA incremental_vacuum")
        .execute(connection)
        .await?;
    Ok(true)
}
