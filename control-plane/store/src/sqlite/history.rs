//! The watch history after a clean stop, rebuilt from the log table. Pure: rows in, rings out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Codec, Entry, Event, EventKind};
use crate::key::{Key, Revision};
use crate::memory::Ring;
use crate::writer::event_bytes;

/// The current entries.
pub(super) type Live<O> = HashMap<Key, Arc<Entry<O>>>;

/// A row of the log.
pub(super) struct LogEntry {
    pub(super) revision: Revision,
    pub(super) key: Key,
    pub(super) deleted: bool,
    pub(super) previous: Option<(Revision, Revision)>,
    pub(super) value: Option<Bytes>,
}

impl LogEntry {
    pub(super) fn bytes(&self) -> usize {
        self.key.as_str().len() + self.value.as_ref().map_or(0, Bytes::len) + 32
    }
}

/// Turns the log into rings. Going backwards, the state after a change is known: it starts as the current one, and
/// each row holds what was there before it. Where the chain breaks (at a lazy write, which is not logged) the history
/// of that bucket begins.
pub(super) fn rebuild<C: Codec>(
    codec: &C,
    live: &Live<C::Object>,
    log: Vec<LogEntry>,
    from: Revision,
) -> HashMap<Arc<str>, Ring<C::Object>> {
    let mut floors = floors(live, &log, from);
    let mut after: HashMap<Key, Option<Arc<Entry<C::Object>>>> = HashMap::new();
    let mut events: HashMap<Arc<str>, Vec<Event<C::Object>>> = HashMap::new();
    for row in log {
        let name: Arc<str> = row.key.bucket().into();
        let floor = floors.entry(Arc::clone(&name)).or_insert(from);
        if row.revision <= *floor {
            continue;
        }
        let state = after
            .remove(&row.key)
            .unwrap_or_else(|| live.get(&row.key).cloned());
        match event(codec, &row, state) {
            Some(event) => {
                after.insert(row.key, event.previous.clone());
                events.entry(name).or_default().push(event);
            }
            None => *floor = row.revision,
        }
    }
    let mut rings = HashMap::new();
    for (name, floor) in floors {
        let mut ring = Ring::new(floor);
        for event in events.remove(&name).unwrap_or_default().into_iter().rev() {
            if event.revision > floor {
                let bytes = event_bytes(codec, event.kind, &event.entry, event.previous.as_deref());
                ring.push(Arc::new(event), bytes, Duration::ZERO);
            }
        }
        rings.insert(name, ring);
    }
    rings
}

/// The event of a row, given the state after it; none if they do not fit together.
fn event<C: Codec>(
    codec: &C,
    row: &LogEntry,
    state: Option<Arc<Entry<C::Object>>>,
) -> Option<Event<C::Object>> {
    let previous = match row.previous {
        Some((revision, create_revision)) => {
            let object = codec.decode(&row.key, revision, row.value.as_ref()?).ok()?;
            Some(Arc::new(Entry {
                key: row.key.clone(),
                create_revision,
                revision,
                object,
            }))
        }
        None => None,
    };
    let (kind, entry) = match (row.deleted, state, &previous) {
        (false, Some(entry), _) if entry.revision == row.revision => (EventKind::Put, entry),
        (true, None, Some(last)) => {
            let object = codec.restamp(&last.object, row.revision);
            let entry = Entry {
                key: row.key.clone(),
                create_revision: last.create_revision,
                revision: row.revision,
                object,
            };
            (EventKind::Delete, Arc::new(entry))
        }
        _ => return None,
    };
    Some(Event {
        kind,
        revision: row.revision,
        entry,
        previous,
    })
}

/// From where the history of each bucket is complete: after the last version that was not logged.
fn floors<O>(live: &Live<O>, log: &[LogEntry], from: Revision) -> HashMap<Arc<str>, Revision> {
    let logged: HashSet<Revision> = log.iter().map(|row| row.revision).collect();
    let mut floors: HashMap<Arc<str>, Revision> = HashMap::new();
    let current = live.values().map(|entry| (&entry.key, entry.revision));
    let superseded = log
        .iter()
        .filter_map(|row| Some((&row.key, row.previous?.0)));
    for (key, revision) in current.chain(superseded) {
        if revision > from && !logged.contains(&revision) {
            let floor = floors.entry(key.bucket().into()).or_insert(from);
            *floor = revision.max(*floor);
        }
    }
    floors
}
