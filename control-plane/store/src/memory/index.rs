//! The newest entry of every key, by a hash of the key. A point read in an ordered map of 100,000 keys compares 17 of
//! them, each somewhere else in memory; here it is one.
//!
//! The index changes while readers wait, so no change may take long. Tables that grow copy all they hold, so there are
//! many small ones: with a million keys one of them grows in some 20 µs (a single table would in 30 ms), and they do not
//! all grow with the same batch. A slot keeps the hash, so that growing does not touch the entries.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::contract::Entry;
use crate::key::Key;

const SHARDS: usize = 1024;
/// A table filled less than one part in so many is made smaller.
const SPARSE: usize = 8;

/// Callers hash, because they can do that before they take the lock. The hash must be the same for the same key, and
/// keyed with something that no client knows: clients choose the keys.
pub(super) struct Index<O> {
    shards: Box<[HashTable<Slot<O>>]>,
}

struct Slot<O> {
    hash: u64,
    entry: Arc<Entry<O>>,
}

impl<O> Slot<O> {
    fn is(&self, hash: u64, key: &Key) -> bool {
        self.hash == hash && self.entry.key == *key
    }
}

impl<O> Index<O> {
    pub(super) fn new() -> Index<O> {
        Index {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
        }
    }

    pub(super) fn get(&self, hash: u64, key: &Key) -> Option<&Arc<Entry<O>>> {
        let slot = self.shards[shard(hash)].find(hash, |slot| slot.is(hash, key))?;
        Some(&slot.entry)
    }

    /// Answers what it replaces.
    #[must_use = "an object to free, which is not for a lock"]
    pub(super) fn insert(&mut self, hash: u64, entry: Arc<Entry<O>>) -> Option<Arc<Entry<O>>> {
        let table = &mut self.shards[shard(hash)];
        if let Some(slot) = table.find_mut(hash, |slot| slot.is(hash, &entry.key)) {
            return Some(std::mem::replace(&mut slot.entry, entry));
        }
        table.insert_unique(hash, Slot { hash, entry }, |slot| slot.hash);
        None
    }

    #[must_use = "an object to free, which is not for a lock"]
    pub(super) fn remove(&mut self, hash: u64, key: &Key) -> Option<Arc<Entry<O>>> {
        let table = &mut self.shards[shard(hash)];
        let found = table.find_entry(hash, |slot| slot.is(hash, key)).ok()?;
        let (slot, _) = found.remove();
        if table.len() * SPARSE < table.capacity() {
            table.shrink_to(table.len() * 2, |slot| slot.hash);
        }
        Some(slot.entry)
    }
}

/// By bits that a table does not look at: it takes its place from the lowest and a tag from the highest.
fn shard(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;
    use crate::key::Revision;

    fn entry(key: &Key, revision: u64) -> Arc<Entry<()>> {
        Arc::new(Entry {
            key: key.clone(),
            create_revision: Revision(revision),
            revision: Revision(revision),
            object: (),
        })
    }

    fn slots(index: &Index<()>) -> usize {
        index.shards.iter().map(HashTable::capacity).sum()
    }

    #[test]
    fn grows_and_shrinks_in_small_steps() {
        const KEYS: usize = 50_000;
        let hasher = RandomState::new();
        let keys: Vec<Key> = (0..KEYS)
            .map(|n| Key::new("pods", &n.to_string()))
            .collect();
        let mut index = Index::new();
        for key in &keys {
            let before = slots(&index);
            assert!(index.insert(hasher.hash_one(key), entry(key, 1)).is_none());
            let grown = slots(&index) - before;
            assert!(grown <= KEYS / 100, "{grown} slots at once");
        }
        assert!(slots(&index) < 3 * KEYS, "{}", slots(&index));
        for key in &keys {
            let old = index.insert(hasher.hash_one(key), entry(key, 2));
            assert_eq!(old.expect("it is there").revision, Revision(1));
            let new = index.get(hasher.hash_one(key), key);
            assert_eq!(new.expect("it is there").revision, Revision(2));
        }
        for key in &keys {
            let gone = index.remove(hasher.hash_one(key), key);
            assert_eq!(gone.expect("it is there").key, *key);
            assert!(index.remove(hasher.hash_one(key), key).is_none());
            assert!(index.get(hasher.hash_one(key), key).is_none());
        }
        assert_eq!(slots(&index), 0);
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut index = Index::new();
        let (one, other) = (Key::new("pods", "one"), Key::new("pods", "other"));
        assert!(index.insert(7, entry(&one, 1)).is_none());
        assert!(index.get(7, &other).is_none());
        assert!(index.insert(7, entry(&other, 2)).is_none());
        assert!(index.remove(7, &one).is_some());
        assert_eq!(
            index.get(7, &other).map(|entry| entry.revision),
            Some(Revision(2))
        );
    }
}
