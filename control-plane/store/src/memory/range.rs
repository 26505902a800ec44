//! Lists: from the current map, or from the map as it was, rebuilt by undoing the events since.

use std::ops::Bound;
use std::sync::Arc;

use super::{Entries, Memory};
use crate::contract::{Entry, Event, Page, RangeRequest};
use crate::error::RangeError;
use crate::key::{Key, Prefix, Revision};

/// What a list is served from.
struct Snapshot<O> {
    /// The revision the list shows.
    revision: Revision,
    /// The map as it is now.
    entries: Entries<O>,
    /// The matching events in between, oldest first.
    since: Vec<Arc<Event<O>>>,
}

impl<O> Memory<O> {
    /// Serves a list. The lock is held to take the map (and, for an older revision, the events since), not to walk it.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<Page<O>, RangeError> {
        let Snapshot {
            revision,
            mut entries,
            since,
        } = self.snapshot(&request.prefix, request.at)?;
        for event in since.iter().rev() {
            undo(&mut entries, event);
        }
        Ok(page(revision, &entries, request))
    }

    fn snapshot(&self, prefix: &Prefix, at: Option<Revision>) -> Result<Snapshot<O>, RangeError> {
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
        let Some(bucket) = inner.buckets.get(prefix.bucket_name()) else {
            return Ok(Snapshot {
                revision,
                entries: Entries::new(),
                since: Vec::new(),
            });
        };
        if revision < bucket.ring.floor() {
            return Err(RangeError::Compacted {
                compacted: bucket.ring.floor(),
            });
        }
        let since = bucket.ring.after(revision);
        let since = since
            .filter(|event| prefix.matches(&event.entry.key))
            .cloned()
            .collect();
        Ok(Snapshot {
            revision,
            entries: bucket.entries.clone(),
            since,
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
