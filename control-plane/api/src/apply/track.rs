//! Ownership after a write that is no apply: who changes a field owns it.

use std::collections::HashMap;

use serde_json::Value;

use super::kind::Kind;
use super::managed::{Entry, Operation, decode, encode, is_reset};
use super::ownership::{difference, dispossess, reconcile};
use super::path::identical;
use super::set::Set;
use crate::object;

/// Where an object keeps its managers.
pub const MANAGED_FIELDS: &str = "metadata.managedFields";

/// Managers that update, beyond which the oldest become one.
const MAX_UPDATERS: usize = 10;
/// The manager they become.
const ANCIENT: &str = "ancient-changes";
/// A manager without a name.
const UNKNOWN: &str = "unknown";

/// Fields nobody owns: they are the server's, or say which object it is.
const NOBODYS: [&[&str]; 12] = [
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The name the client gave itself.
    pub manager: &'a str,
    /// Now, in the form of `metav1.Time`.
    pub now: &'a str,
}

impl<'a> Writer<'a> {
    pub(super) fn entry(&self, kind: &Kind<'a>, operation: Operation, set: Set<'a>) -> Entry<'a> {
        Entry {
            manager: match self.manager {
                "" => UNKNOWN,
                name => name,
            },
            operation,
            api_version: kind.api_version,
            subresource: kind.subresource,
            time: Some(self.now),
            set,
        }
    }
}

/// The `managedFields` of a new version, after what it changes. `live` is the version before; none
/// when the object is being created. The new version has none, `sent` is what the client sent as
/// such: those of the live one, which a patch leaves in place, or others, with which it corrects
/// them.
///
/// An object that has none is not tracked until somebody applies to it. What cannot be tracked is
/// not, rather than tracked wrongly.
pub fn track(
    kind: &Kind<'_>,
    writer: Writer<'_>,
    live: Option<&Value>,
    new: &Value,
    sent: Option<Value>,
) -> Option<Value> {
    let held = live.and_then(|live| object::get(live, MANAGED_FIELDS));
    let list = managers(kind, writer, (live, new), held, sent.as_ref()).unwrap_or(None)?;
    Some(match list {
        List::New(list) => list,
        // A client sends back what it read, as a rule: that takes no copy.
        List::Held(held) => match sent {
            Some(sent) if identical(&sent, held) => sent,
            _ => held.clone(),
        },
    })
}

/// What became of the managers.
enum List<'v> {
    /// They are what they were.
    Held(&'v Value),
    New(Value),
}

fn managers<'v>(
    kind: &Kind<'_>,
    writer: Writer<'_>,
    (live, new): (Option<&Value>, &Value),
    held: Option<&'v Value>,
    sent: Option<&Value>,
) -> Result<Option<List<'v>>, String> {
    let source = source(kind, held, sent);
    let exists = live.is_some_and(|live| !object::uid(live).is_empty());
    if exists && source.is_none() {
        return Ok(None);
    }
    let changes = difference(kind, live, new)?.map(owned);
    if changes.is_empty() && same(source, held) {
        return Ok(held.map(List::Held));
    }
    let entries = decode(source).unwrap_or_default();
    if exists && entries.is_empty() {
        return Ok(None);
    }
    let mut entries = reconcile(kind, entries);
    dispossess(kind, (live, new), &changes, None, &mut entries)?;
    let set = changes.into_written();
    if !set.is_empty() {
        let mut mine = writer.entry(kind, Operation::Update, set);
        if let Some(at) = entries.iter().position(|entry| entry.is_same(&mine)) {
            mine.set = mine.set.union(&entries.remove(at).set);
        }
        entries.push(mine);
    }
    Ok(encode(cap(entries)).map(List::New))
}

fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => identical(a, b) || a == b,
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The list to start from. What a client sends counts when it makes sense, so that clients which
/// know nothing of managers do not remove them by accident.
fn source<'v>(
    kind: &Kind<'_>,
    held: Option<&'v Value>,
    sent: Option<&'v Value>,
) -> Option<&'v Value> {
    if !kind.subresource.is_empty() {
        return held;
    }
    if is_reset(sent) {
        return None;
    }
    let makes_sense = || decode(sent).is_ok_and(|entries| !entries.is_empty());
    match sent {
        Some(list) if !same(sent, held) && makes_sense() => Some(list),
        _ => held,
    }
}

/// What of a set somebody may own.
pub(super) fn owned(mut set: Set<'_>) -> Set<'_> {
    for path in NOBODYS {
        set.disown(path);
    }
    set
}

/// Merges the oldest managers that update, so that their number stays bounded.
fn cap(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    let (mut kept, mut updaters): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|entry| entry.operation == Operation::Apply);
    let mut excess = updaters.len().saturating_sub(MAX_UPDATERS);
    if excess > 0 {
        updaters.sort_by_cached_key(|entry| (entry.time, entry.identity()));
    }
    // Only what is owned in one version can become one: the first of each, and the sets it takes over.
    let mut oldest: HashMap<&str, (usize, Vec<Set<'_>>)> = HashMap::new();
    for entry in updaters {
        match oldest.get_mut(entry.api_version) {
            Some((place, sets)) if excess > 0 => {
                let older = &mut kept[*place];
                older.manager = ANCIENT;
                older.subresource = "";
                older.time = entry.time;
                sets.push(entry.set);
                excess -= 1;
            }
            Some(_) => kept.push(entry),
            None => {
                oldest.insert(entry.api_version, (kept.len(), Vec::new()));
                kept.push(entry);
            }
        }
    }
    for (place, sets) in oldest.into_values() {
        if !sets.is_empty() {
            let older = &mut kept[place];
            older.set = Set::union_of(sets.iter().chain([&older.set]));
        }
    }
    kept
}
