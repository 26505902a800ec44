//! Maps as they were at the revisions that pages were last cut at: whoever turns the page need not undo everything again.
//!
//! A map is kept for as long as the history reaches its revision. Until then it holds no object that the history, or the
//! map as it is now, does not hold as well: what it costs are the nodes in which it differs from the current one.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Entries;
use crate::key::Revision;

/// Most maps kept.
const MAPS: usize = 8;

/// The map of one bucket at a revision.
struct Map<O> {
    bucket: Arc<str>,
    revision: Revision,
    entries: Entries<O>,
}

/// The map least recently used comes first.
pub(super) struct Past<O> {
    maps: Mutex<VecDeque<Map<O>>>,
}

impl<O> Past<O> {
    pub(super) fn new() -> Past<O> {
        Past {
            maps: Mutex::new(VecDeque::new()),
        }
    }

    /// Keeps a map, and lets go of another if there are too many.
    pub(super) fn keep(&self, bucket: &str, revision: Revision, entries: Entries<O>) {
        let mut maps = self.maps.lock();
        let is_it = |map: &Map<O>| map.revision == revision && *map.bucket == *bucket;
        let known = maps.iter().position(is_it);
        // Freed after the lock.
        let spare = match known {
            Some(at) => maps.remove(at),
            None if maps.len() == MAPS => maps.pop_front(),
            None => None,
        };
        let bucket = match (known, &spare) {
            (Some(_), Some(map)) => Arc::clone(&map.bucket),
            _ => bucket.into(),
        };
        maps.push_back(Map {
            bucket,
            revision,
            entries,
        });
        drop(maps);
    }

    /// The oldest map that is not older than `revision`, and its revision.
    pub(super) fn nearest(
        &self,
        bucket: &str,
        revision: Revision,
    ) -> Option<(Revision, Entries<O>)> {
        let maps = self.maps.lock();
        let newer = maps
            .iter()
            .filter(|map| map.revision >= revision && *map.bucket == *bucket);
        let nearest = newer.min_by_key(|map| map.revision)?;
        Some((nearest.revision, nearest.entries.clone()))
    }

    /// Lets go of the maps the history no longer reaches; they are freed where the caller likes.
    pub(super) fn forget(&self, reaches: impl Fn(&str, Revision) -> bool) -> Vec<Entries<O>> {
        let mut maps = self.maps.lock();
        if maps.is_empty() {
            return Vec::new();
        }
        let (kept, gone) = std::mem::take(&mut *maps)
            .into_iter()
            .partition(|map| reaches(&map.bucket, map.revision));
        *maps = kept;
        let gone: VecDeque<Map<O>> = gone;
        gone.into_iter().map(|map| map.entries).collect()
    }
}
