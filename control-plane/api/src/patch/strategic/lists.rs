//! Merging two lists.

use serde_json::Value;

use super::lookup::ListRules;
use super::{Object, PATCH, PatchError, merge_object, no_merge_key, order, unknown_directive};

/// What a list holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Objects,
    Scalars,
}

/// What two lists hold together. Lists of lists and mixed lists do not exist in the API.
pub(super) fn kind(original: &[Value], patch: &[Value]) -> Result<Kind, PatchError> {
    let mut found = None;
    for item in original.iter().chain(patch) {
        let kind = match item {
            Value::Array(_) => {
                let why = "lists of lists are not supported";
                return Err(PatchError::NotApplicable(why.to_owned()));
            }
            Value::Object(_) => Kind::Objects,
            _ => Kind::Scalars,
        };
        if found.is_some_and(|found| found != kind) {
            let why = "list element types are not identical";
            return Err(PatchError::Unclassified(why.to_owned()));
        }
        found = Some(kind);
    }
    Ok(found.unwrap_or(Kind::Scalars))
}

/// Merges a list whose field has the merge strategy.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    rules: &ListRules,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if kind(&original, &patch)? == Kind::Scalars {
        let mut merged = original.clone();
        for value in &patch {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return order::arrange(merged, &patch, &patch, &original, None);
    }
    let Some(key) = rules.key.as_deref() else {
        let why = "cannot merge lists without merge key";
        return Err(PatchError::Unclassified(why.to_owned()));
    };
    let (original, patch) = apply_item_directives(original, patch, key)?;
    let mut merged = original.clone();
    for item in &patch {
        let value = item.get(key).ok_or_else(|| no_merge_key(item, key))?;
        match position(&merged, key, value) {
            Some(at) => merged[at] = merge_item(merged[at].take(), item.clone(), rules)?,
            None => merged.push(item.clone()),
        }
    }
    order::arrange(merged, &patch, &patch, &original, Some(key))
}

fn merge_item(original: Value, patch: Value, rules: &ListRules) -> Result<Value, PatchError> {
    let as_object = |value: Value| match value {
        Value::Object(map) => map,
        _ => Object::new(),
    };
    merge_object(as_object(original), as_object(patch), &rules.item).map(Value::Object)
}

/// Carries out `$patch` of list items and returns both lists without them.
fn apply_item_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let (mut rest, mut replace) = (Vec::new(), false);
    for mut item in patch {
        let Some(directive) = item.as_object_mut().and_then(|item| item.get(PATCH)) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let value = item.get(key).ok_or_else(|| no_merge_key(&item, key))?;
                original.retain(|one| one.get(key) != Some(value));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                let why = "merging lists cannot yet be specified in the patch";
                return Err(PatchError::Unclassified(why.to_owned()));
            }
            _ => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(unknown_directive(&item[PATCH], &map));
            }
        }
    }
    Ok(if replace {
        (rest, Vec::new())
    } else {
        (original, rest)
    })
}

/// Where the item with that merge key is.
fn position(items: &[Value], key: &str, value: &Value) -> Option<usize> {
    items.iter().position(|item| item.get(key) == Some(value))
}
