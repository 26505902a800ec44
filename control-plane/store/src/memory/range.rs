//! Lists: from the current map, or from the map as it was, rebuilt by undoing the events since.

use std::ops::Bound;
use std::sync::Arc;

use super::{Entries, Memory};
use crate::contract::{Entry, Event, Page, RangeRequest};
use crate::error::RangeError;
use crate::key::{Key, Prefix, Revision};

/// Most events undone before others have their turn.
const TURN: usize = 1024;

/// What a list is served from.
struct Snapshot<O> {
    /// The revision the list shows.
    revision: Revision,
    /// The map as it is now, or as it was at a revision since then.
    entries: Entries<O>,
    /// The events in between, oldest first.
    since: Vec<Arc<Event<O>>>,
    /// Whether those are all of the bucket, and not only those the list is about.
    whole: bool,
}

impl<O: Send + Sync> Memory<O> {
    /// Serves a list. The lock is held to take the map (and, for an older revision, the events since), not to walk it.
    /// The map is kept for the next page, so that of many pages the first one alone undoes events. A list of a part of the
    /// bucket undoes what concerns that part, and keeps nothing.
    pub(crate) async fn range(&self, request: &RangeRequest) -> Result<Page<O>, RangeError> {
        let bucket = request.prefix.bucket_name();
        let Snapshot {
            revision,
            mut entries,
            since,
            whole,
        } = self.snapshot(&request.prefix, request.at)?;
        for (done, event) in since.iter().rev().enumerate() {
            undo(&mut entries, event);
            if done % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
        }
        let page = page(revision, &entries, request);
        if page.more && whole {
            self.past.keep(bucket, revision, entries);
        }
        Ok(page)
    }

    fn snapshot(&self, prefix: &Prefix, at: Option<Revision>) -> Result<Snapshot<O>, RangeError> {
        let bucket = prefix.bucket_name();
        let inner = self.inner.read();
        let revision = at.unwrap_or(inner.revision);
        if revision > inner.revision {
            return Err(RangeError::Future {
                current: inner.revision,
            });
        }
        if revision < inner.compacted {
            return Err(RangeError::Compacted {
                compacted: inner.compacted,
            });
        }
        let Some(now) = inner.buckets.get(bucket) else {
            return Ok(Snapshot {
                revision,
                entries: Entries::new(),
                since: Vec::new(),
                whole: true,
            });
        };
        if revision < now.ring.floor() {
            return Err(RangeError::Compacted {
                compacted: now.ring.floor(),
            });
        }
        let past = (revision < now.ring.last())
            .then(|| self.past.nearest(bucket, revision))
            .flatten();
        let whole = past.is_some() || prefix.is_bucket();
        let (from, entries) = past.unwrap_or_else(|| (inner.revision, now.entries.clone()));
        let since = now.ring.after(revision);
        let since = since
            .take_while(|event| event.revision <= from)
            .filter(|event| whole || prefix.matches(&event.entry.key));
        Ok(Snapshot {
            revision,
            entries,
            since: since.cloned().collect(),
            whole,
        })
    }
}

/// Takes one event back.
fn undo<O>(entries: &mut Entries<O>, event: &Event<O>) {
    match &event.previous {
        Some(previous) => entries.insert(previous.key.clone(), Arc::clone(previous)),
        None => entries.remove(&event.entry.key),
    };
}

/// Cuts one page out of a map.
fn page<O>(revision: Revision, entries: &Entries<O>, request: &RangeRequest) -> Page<O> {
    let prefix = &request.prefix;
    let end = prefix.end();
    let start: Bound<&str> = match &request.start_after {
        // Not a page of this list, but the key may come from outside.
        Some(key) if key.as_str() >= end.as_str() => {
            return Page {
                revision,
                entries: Vec::new(),
                more: false,
                remaining: 0,
            };
        }
        Some(key) if key.as_str() >= prefix.as_str() => Bound::Excluded(key.as_str()),
        _ => Bound::Included(prefix.as_str()),
    };
    let mut matching = entries
        .range::<_, str>((start, Bound::Excluded(end.as_str())))
        .filter(|(key, _)| prefix.is_contiguous() || prefix.matches(key))
        .map(|(_, entry): (&Key, &Arc<Entry<O>>)| entry);
    let limit = request.limit.unwrap_or(usize::MAX);
    let found: Vec<Arc<Entry<O>>> = matching.by_ref().take(limit).cloned().collect();
    let whole = prefix.is_bucket() && request.start_after.is_none();
    let (more, remaining) = if !request.count {
        (matching.next().is_some(), 0)
    } else {
        let remaining = if whole {
            entries.len() - found.len()
        } else {
            matching.count()
        };
        (remaining > 0, remaining as u64)
    };
    Page {
        revision,
        entries: found,
        more,
        remaining,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::contract::EventKind;
    use crate::key::Prefix;
    use crate::memory::{HistoryLimits, Publication};

    /// A store of small numbers, with history by count: every event has a size of one.
    fn memory() -> Memory<u64> {
        let limits = HistoryLimits {
            window: Duration::from_secs(3600),
            bytes: 100,
        };
        Memory::new(Revision(0), Revision(0), HashMap::new(), limits)
    }

    /// Writes a key.
    fn put(memory: &Memory<u64>, name: u64) {
        let revision = Revision(memory.revision().0 + 1);
        let key = Key::new("b", &format!("{name:03}"));
        let mut entries = memory.entries("b");
        let previous = entries.get(&key).cloned();
        let entry = Arc::new(Entry {
            key: key.clone(),
            create_revision: previous
                .as_ref()
                .map_or(revision, |old| old.create_revision),
            revision,
            object: revision.0,
        });
        entries.insert(key, Arc::clone(&entry));
        let event = Event {
            kind: EventKind::Put,
            revision,
            entry,
            previous,
        };
        let wakes = memory.publish(Publication {
            revision,
            buckets: vec![("b".into(), entries)],
            events: vec![(Arc::new(event), 1)],
        });
        wakes.wake();
    }

    /// How many events a list at a revision has to undo, if it can be served.
    fn to_undo(memory: &Memory<u64>, at: u64) -> Option<usize> {
        to_undo_of(memory, &Prefix::bucket("b"), at)
    }

    fn to_undo_of(memory: &Memory<u64>, prefix: &Prefix, at: u64) -> Option<usize> {
        let snapshot = memory.snapshot(prefix, Some(Revision(at)));
        snapshot.ok().map(|snapshot| snapshot.since.len())
    }

    #[tokio::test]
    async fn pages_beside_writers_undo_nothing_twice() {
        let memory = memory();
        (0..30).for_each(|name| put(&memory, name));
        let mut request = RangeRequest {
            limit: Some(10),
            ..RangeRequest::all(Prefix::bucket("b"))
        };
        let mut shown = Vec::new();
        loop {
            assert_eq!(to_undo(&memory, 30), Some(0));
            let page = memory.range(&request).await.expect("it is in reach");
            shown.extend(page.entries.iter().map(|entry| entry.object));
            if !page.more {
                break;
            }
            request.at = Some(page.revision);
            request.start_after = page.entries.last().map(|entry| entry.key.clone());
            (0..20).for_each(|name| put(&memory, name));
        }
        assert!(shown.into_iter().eq(1..=30));
        // Of an older revision, those since; of one a little older still, no more than those in between.
        assert_eq!(to_undo(&memory, 50), Some(20));
        assert_eq!(to_undo(&memory, 25), Some(5));
        request = RangeRequest {
            at: Some(Revision(50)),
            start_after: None,
            ..request
        };
        let page = memory.range(&request).await.expect("it is in reach");
        assert!(page.entries.iter().map(|entry| entry.object).eq(31..=40));
        assert_eq!(to_undo(&memory, 50), Some(0));
        assert_eq!(to_undo(&memory, 48), Some(2));
        // What the history no longer reaches is not kept either.
        assert!(memory.past.nearest("b", Revision(0)).is_some());
        (0..100).for_each(|name| put(&memory, name));
        assert_eq!(to_undo(&memory, 50), None);
        assert!(memory.past.nearest("b", Revision(0)).is_none());
    }

    #[tokio::test]
    async fn a_list_of_a_part_undoes_that_part() {
        let memory = memory();
        (0..30).for_each(|name| put(&memory, name));
        (0..20).for_each(|name| put(&memory, name));
        let one = Prefix::within("b", "003");
        assert_eq!(to_undo_of(&memory, &one, 30), Some(1));
        let request = RangeRequest {
            at: Some(Revision(30)),
            ..RangeRequest::all(one)
        };
        let page = memory.range(&request).await.expect("it is in reach");
        assert!(page.entries.iter().map(|entry| entry.object).eq([4]));
        assert!(memory.past.nearest("b", Revision(0)).is_none());
    }
}
