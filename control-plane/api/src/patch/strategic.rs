//! Strategic merge patch: a merge patch that knows which lists are keyed.
//!
//! Lists whose schema names a merge key (containers by name, ports by containerPort) merge item by
//! item; lists of scalars with the merge strategy (finalizers) become unions; all other lists are
//! replaced. Directives in the patch say what a merge cannot: `$patch`, `$retainKeys`,
//! `$deleteFromPrimitiveList/field`, `$setElementOrder/field`.
//!
//! Behaviour, including the order of merged lists, is upstream's. Custom resources have no merge
//! keys, so the server does not come here for them.

mod lists;
mod lookup;
mod order;

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::PatchError;
use lookup::{ListRules, Lookup};

/// How a map or list item says what shall happen to it.
const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList";
const ORDER_PREFIX: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// Merges `patch` into `original`, an object of the registered type `type_name`.
pub fn strategic(original: &Value, patch: &Value, type_name: &str) -> Result<Value, PatchError> {
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else {
        return Err(PatchError::Malformed("invalid JSON document".to_owned()));
    };
    merge_object(original.clone(), patch.clone(), &Lookup::of_type(type_name)).map(Value::Object)
}

fn merge_object(
    mut original: Object,
    mut patch: Object,
    lookup: &Lookup,
) -> Result<Object, PatchError> {
    if let Some(directive) = patch.shift_remove(PATCH) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(&directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    order::apply_element_orders(&mut original, &mut patch, lookup)?;
    // They leave together at the end, since each alone would push all behind it along.
    let mut deleted = HashSet::new();
    for (key, value) in patch {
        match strip_prefix(&key, DELETE_PREFIX) {
            Some(field) => delete_scalars(&mut original, field?, value, lookup)?,
            None => {
                if !merge_field(&mut original, &key, value, lookup)? {
                    deleted.insert(key);
                }
            }
        }
    }
    if !deleted.is_empty() {
        original.retain(|key, _| !deleted.contains(key));
    }
    Ok(original)
}

/// Whether anything of the field is left; if not, the caller takes it away.
fn merge_field(
    original: &mut Object,
    key: &str,
    patch: Value,
    lookup: &Lookup,
) -> Result<bool, PatchError> {
    if patch.is_null() {
        return Ok(false);
    }
    let merged = match (original.get_mut(key).map(Value::take), patch) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            Some(Value::Object(merge_object(old, new, &lookup.field(key))?))
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            let rules = lookup.list(key);
            Some(Value::Array(merge_list_field(old, new, &rules)?))
        }
        // Nothing to merge with: the patch's value, without what only means something in a merge.
        (_, new) => as_new(new),
    };
    let Some(merged) = merged else {
        return Ok(false);
    };
    original.insert(key.to_owned(), merged);
    Ok(true)
}

fn merge_list_field(
    original: Vec<Value>,
    patch: Vec<Value>,
    rules: &ListRules,
) -> Result<Vec<Value>, PatchError> {
    if rules.merges {
        lists::merge(original, patch, rules)
    } else {
        Ok(patch)
    }
}

/// `$deleteFromPrimitiveList/field`: removes scalars from the list, whatever its strategy.
fn delete_scalars(
    original: &mut Object,
    field: &str,
    values: Value,
    lookup: &Lookup,
) -> Result<(), PatchError> {
    let (Some(Value::Array(list)), Value::Array(values)) = (original.get_mut(field), values) else {
        return Ok(());
    };
    if lists::kind(list, &values)? == lists::Kind::Objects {
        let merged = lists::merge(std::mem::take(list), values, &lookup.list(field))?;
        *list = merged;
        return Ok(());
    }
    let deleted = order::Places::of(&values, None);
    list.retain(|value| deleted.find(value).is_none());
    Ok(())
}

/// `$retainKeys`: clears every field that is not listed; the patch may only hold listed fields.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(directive) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let malformed = || PatchError::Malformed("invalid patch format of retainKeys".to_owned());
    let retained = directive.as_array().ok_or_else(malformed)?;
    let retained: HashSet<&str> = retained.iter().filter_map(Value::as_str).collect();
    let listed = |key: &str| retained.contains(key);
    for (key, value) in patch.iter() {
        let directive = key.starts_with(DELETE_PREFIX) || key.starts_with(ORDER_PREFIX);
        if !value.is_null() && !directive && !listed(key) {
            return Err(malformed());
        }
    }
    original.retain(|key, _| listed(key));
    Ok(())
}

/// The field a directive such as `$setElementOrder/containers` is about.
fn strip_prefix<'a>(key: &'a str, prefix: &str) -> Option<Result<&'a str, PatchError>> {
    let rest = key.strip_prefix(prefix)?;
    Some(rest.strip_prefix('/').ok_or_else(|| {
        let list = if prefix == DELETE_PREFIX {
            "primitive"
        } else {
            "setElementOrder"
        };
        PatchError::Malformed(format!("invalid patch format of {list} list"))
    }))
}

/// A value of the patch that has no counterpart in the original: without nulls, and without what
/// only means something in a merge. `None` when all of it was a directive.
fn as_new(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let directives = [RETAIN_KEYS, DELETE_PREFIX, ORDER_PREFIX];
            let kept = map.into_iter().filter(|(key, value)| {
                !value.is_null() && !directives.iter().any(|start| key.starts_with(start))
            });
            let kept = kept.filter_map(|(key, value)| Some((key, as_new(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(as_new).collect())),
        scalar => Some(scalar),
    }
}

fn unknown_directive(directive: &Value, map: &Object) -> PatchError {
    let directive = directive
        .as_str()
        .map_or_else(|| directive.to_string(), str::to_owned);
    let map = Value::Object(map.clone());
    PatchError::Malformed(format!("unknown patch type: {directive} in map: {map}"))
}

fn no_merge_key(map: &Value, key: &str) -> PatchError {
    PatchError::Malformed(format!(
        "map: {map} does not contain declared merge key: {key}"
    ))
}

#[cfg(test)]
mod tests;
