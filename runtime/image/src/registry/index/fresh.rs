//! Uploads that no manifest names yet.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::digest::Digest;

/// Uploads that wait for their manifest. Beyond this the oldest is forgotten.
pub(super) const FRESH_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Fresh {
    by_repository: HashMap<String, HashMap<Digest, Instant>>,
    count: usize,
}

impl Fresh {
    pub(super) fn has(&self, name: &str, digest: &Digest) -> bool {
        let fresh = self.by_repository.get(name);
        fresh.is_some_and(|fresh| fresh.contains_key(digest))
    }

    /// False when it was here already; it is young again either way.
    pub(super) fn add(&mut self, name: &str, digest: &Digest) -> bool {
        let fresh = self.by_repository.entry(name.to_owned()).or_default();
        let new = fresh.insert(digest.clone(), Instant::now()).is_none();
        self.count += usize::from(new);
        new
    }

    /// All of a repository are young again.
    pub(super) fn renew(&mut self, name: &str) {
        let fresh = self.by_repository.get_mut(name);
        for since in fresh.into_iter().flat_map(HashMap::values_mut) {
            *since = Instant::now();
        }
    }

    pub(super) fn remove(&mut self, name: &str, digest: &Digest) -> bool {
        let Some(fresh) = self.by_repository.get_mut(name) else {
            return false;
        };
        let known = fresh.remove(digest).is_some();
        if fresh.is_empty() {
            self.by_repository.remove(name);
        }
        self.count -= usize::from(known);
        known
    }

    /// Forgets the oldest when there are too many.
    pub(super) fn overflow(&mut self) -> Vec<Digest> {
        if self.count <= FRESH_MAX {
            return Vec::new();
        }
        let all = self.by_repository.iter().flat_map(|(name, fresh)| {
            fresh
                .iter()
                .map(move |(digest, since)| (since, name, digest))
        });
        let oldest = all.min_by_key(|(since, ..)| **since);
        let Some((name, digest)) = oldest.map(|(_, name, digest)| (name.clone(), digest.clone()))
        else {
            return Vec::new();
        };
        self.remove(&name, &digest);
        vec![digest]
    }

    pub(super) fn has_older(&self, age: Duration) -> bool {
        let mut all = self.by_repository.values().flat_map(HashMap::values);
        all.any(|since| since.elapsed() >= age)
    }

    /// Forgets those that are older than `age`.
    pub(super) fn expire(&mut self, age: Duration) -> Vec<Digest> {
        let mut forgotten = Vec::new();
        for fresh in self.by_repository.values_mut() {
            fresh.retain(|digest, since| {
                let stays = since.elapsed() < age;
                if !stays {
                    forgotten.push(digest.clone());
                }
                stays
            });
        }
        self.by_repository.retain(|_, fresh| !fresh.is_empty());
        self.count -= forgotten.len();
        forgotten
    }
}
