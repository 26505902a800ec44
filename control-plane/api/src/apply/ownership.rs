//! How a write changes what managers own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::alike::alike;
use super::compare::{Comparison, compare};
use super::conflict::Conflict;
use super::extract::fields;
use super::kind::Kind;
use super::managed::{Entry, Operation};
use super::merge::merge;
use super::prune::prune;
use super::typed_set::reconciled;

/// Why nothing came of an apply.
pub(super) enum Refusal<'a> {
    /// Others own what it would change.
    Conflicts(Vec<Conflict<'a>>),
    /// The objects do not fit their type.
    Malformed(String),
}

impl From<String> for Refusal<'_> {
    fn from(why: String) -> Self {
        Refusal::Malformed(why)
    }
}

/// The difference between two objects, as far as the endpoint reaches.
pub(super) fn difference<'a>(
    kind: &Kind<'a>,
    old: Option<&'a Value>,
    new: &'a Value,
) -> Result<Comparison<'a>, String> {
    let comparison = compare(old, new, kind.place())?;
    Ok(comparison.map(|set| kind.reach.filter(set)))
}

/// Takes from all managers but `writer` what `comparison` says they lost, and tells what others
/// owned of what was changed. Managers left with nothing, and those whose version is not served
/// any more, are dropped.
pub(super) fn dispossess<'a>(
    kind: &Kind<'_>,
    (old, new): (Option<&Value>, &Value),
    comparison: &Comparison<'_>,
    writer: Option<&Entry<'_>>,
    managers: &mut Vec<Entry<'a>>,
) -> Result<Vec<Conflict<'a>>, String> {
    let mut conflicts = Vec::new();
    if managers.is_empty() {
        return Ok(conflicts);
    }
    let is_writer = |entry: &Entry<'_>| writer.is_some_and(|writer| entry.is_same(writer));
    let others: BTreeSet<&'a str> = managers
        .iter()
        .filter(|entry| entry.api_version != kind.api_version && !is_writer(entry))
        .map(|entry| entry.api_version)
        .collect();
    let mut take = |comparison: &Comparison<'_>, version: &str, managers: &mut Vec<Entry<'a>>| {
        let changed = comparison.written();
        for entry in managers.iter_mut() {
            if entry.api_version != version || is_writer(entry) {
                continue;
            }
            if entry.set.intersects(&changed) {
                let owner = entry.clone();
                let fields = entry.set.intersection(&changed);
                entry.set = entry.set.difference(&changed);
                conflicts.push(Conflict { owner, fields });
            }
            if entry.set.intersects(&comparison.removed) {
                entry.set = entry.set.difference(&comparison.removed);
            }
        }
    };
    take(comparison, kind.api_version, managers);
    let mut unserved = BTreeSet::new();
    for version in others {
        let Some((converted, place)) = kind.converted(new, version) else {
            unserved.insert(version);
            continue;
        };
        let old = old.and_then(|old| kind.converted(old, version));
        let comparison = compare(old.as_ref().map(|(old, _)| old), &converted, place)?;
        take(
            &comparison.map(|set| kind.reach.filter(set)),
            version,
            managers,
        );
    }
    managers.retain(|entry| {
        let served = !unserved.contains(entry.api_version) || is_writer(entry);
        served && !entry.set.is_empty()
    });
    Ok(conflicts)
}

/// What managers own under the types of today.
pub(super) fn reconcile<'a>(kind: &Kind<'_>, managers: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
    let of_today = |mut entry: Entry<'a>| {
        // An entry of a version that is not served is dropped when somebody writes.
        if let Some(place) = kind.place_in(entry.api_version) {
            entry.set = reconciled(entry.set, place);
        }
        entry
    };
    managers.into_iter().map(of_today).collect()
}

/// What an apply came to.
pub(super) struct Applied<'a> {
    /// The object; `None` when it is what it was.
    pub(super) object: Option<Value>,
    /// Every manager, the applier among them.
    pub(super) managers: Vec<Entry<'a>>,
}

/// Applies a configuration: merges it into the live object, takes out what the manager applied
/// before and does not any more, and sees who owned what changed.
pub(super) fn apply<'a>(
    kind: &Kind<'a>,
    live: &'a Value,
    config: &'a Value,
    managers: Vec<Entry<'a>>,
    manager: &'a str,
    force: bool,
) -> Result<Applied<'a>, Refusal<'a>> {
    let mut managers = reconcile(kind, managers);
    let merged = merge(live, config, kind.place())
        .map_err(|why| format!("failed to merge config: {why}"))?;
    let set =
        fields(config, kind.place()).map_err(|why| format!("failed to get field set: {why}"))?;
    let mut mine = Entry {
        manager,
        operation: Operation::Apply,
        api_version: kind.api_version,
        subresource: kind.subresource,
        time: None,
        set: kind.reach.filter(set),
    };
    let last = managers
        .iter()
        .position(|entry| entry.is_same(&mine))
        .map(|at| managers.remove(at));
    mine.time = last.as_ref().and_then(|last| last.time);
    managers.push(mine.clone());
    let object = match &last {
        Some(last) => prune(kind, merged, &managers, last)
            .map_err(|why| format!("failed to prune fields: {why}"))?,
        None => merged,
    };
    let changes = difference(kind, Some(live), &object)
        .map_err(|why| format!("failed to compare objects: {why}"))?;
    let conflicts = dispossess(
        kind,
        (Some(live), &object),
        &changes,
        Some(&mine),
        &mut managers,
    )?;
    if !force && !conflicts.is_empty() {
        return Err(Refusal::Conflicts(conflicts));
    }
    let same = alike(live, &object, kind.place());
    Ok(Applied {
        object: (!same).then_some(object),
        managers,
    })
}
