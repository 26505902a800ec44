//! Merging two lists.

use serde_json::Value;

use super::lookup::ListRules;
use super::order::{self, Places};
use super::{Object, PATCH, PatchError, as_new, merge_object, no_merge_key, unknown_directive};

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
            return Err(PatchError::Malformed(why.to_owned()));
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
        let mut places = Places::of(&merged, None);
        for value in &patch {
            if places.find(value).is_none() {
                places.add(value, merged.len());
                merged.push(value.clone());
            }
        }
        return order::arrange(merged, &patch, &patch, &original, None);
    }
    let Some(key) = rules.key.as_deref() else {
        let why = "cannot merge lists without merge key";
        return Err(PatchError::Malformed(why.to_owned()));
    };
    let (original, patch) = apply_item_directives(original, patch, key)?;
    let mut merged = original.clone();
    let mut places = Places::of(&merged, Some(key));
    for item in &patch {
        if item.get(key).is_none() {
            return Err(no_merge_key(item, key));
        }
        match places.find(item) {
            Some(at) => merged[at] = merge_item(merged[at].take(), item.clone(), rules)?,
            None => {
                places.add(item, merged.len());
                merged.extend(as_new(item.clone()));
            }
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
    let (mut rest, mut deleted, mut replace) = (Vec::new(), Vec::new(), false);
    for mut item in patch {
        let Some(directive) = item.as_object_mut().and_then(|item| item.get(PATCH)) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                if item.get(key).is_none() {
                    return Err(no_merge_key(&item, key));
                }
                deleted.push(item);
            }
            Some("replace") => replace = true,
            Some("merge") => {
                let why = "merging lists cannot yet be specified in the patch";
                return Err(PatchError::Malformed(why.to_owned()));
            }
            _ => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(unknown_directive(&item[PATCH], &map));
            }
        }
    }
    if replace {
        return Ok((rest, Vec::new()));
    }
    let deleted = Places::of(&deleted, Some(key));
    original.retain(|one| deleted.find(one).is_none());
    Ok((original, rest))
}
