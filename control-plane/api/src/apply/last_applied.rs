//! From client-side to server-side apply: kubectl keeps what it last applied in an annotation,
//! and what it says there is taken for its own.

use serde_json::{Map, Value};

use super::check::check;
use super::compare::compare;
use super::conflict::Conflict;
use super::extract::fields;
use super::kind::Kind;
use crate::object;
use crate::validate::MAX_ANNOTATION_BYTES;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The name kubectl applies under. Clients that want none of this choose another.
const KUBECTL: &str = "kubectl";

/// Whether the annotation counts for a manager.
pub(super) fn concerns(manager: &str) -> bool {
    manager == KUBECTL
}

fn annotation(object: &Value) -> Option<&str> {
    let text = object::annotations(object)?.get(ANNOTATION)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// What is left of conflicts without those about fields that kubectl applied on the client's side
/// and that still are as it left them.
pub(super) fn unexcused<'a>(
    kind: &Kind<'_>,
    live: &Value,
    conflicts: Vec<Conflict<'a>>,
) -> Vec<Conflict<'a>> {
    let Some(applied) = annotation(live).and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return conflicts;
    };
    let Some(own) = own(kind, live, &applied) else {
        return conflicts;
    };
    conflicts
        .into_iter()
        .map(|mut conflict| {
            conflict.fields = conflict.fields.difference(&own);
            conflict
        })
        .filter(|conflict| !conflict.fields.is_empty())
        .collect()
}

fn own<'v>(kind: &Kind<'v>, live: &'v Value, applied: &'v Value) -> Option<super::set::Set<'v>> {
    if applied.get("apiVersion").and_then(Value::as_str) != Some(kind.api_version) {
        return None;
    }
    let place = kind.place();
    check(live, place).ok()?;
    check(applied, place).ok()?;
    let changes = compare(Some(applied), live, place).ok()?;
    let set = fields(applied, place).ok()?;
    Some(
        set.difference(&changes.modified)
            .difference(&changes.added)
            .difference(&changes.removed),
    )
}

/// Keeps the annotation of an object that has one in line with what was applied, for clients that
/// still read it.
pub(super) fn update(object: &mut Value, config: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut config = sorted(config);
    if let Some(Value::Object(annotations)) = object::get_mut(&mut config, "metadata.annotations") {
        annotations.shift_remove(ANNOTATION);
    }
    let Some(Value::Object(annotations)) = object::get_mut(object, "metadata.annotations") else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), format!("{config}\n").into());
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let size: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + text(value))
        .sum();
    if size > MAX_ANNOTATION_BYTES {
        annotations.shift_remove(ANNOTATION);
    }
}

/// Maps in the order of their keys, as kubectl writes them.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        scalar => scalar.clone(),
    }
}
