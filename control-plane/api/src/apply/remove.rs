//! Takes fields out of an object.

use serde_json::Value;

use super::path::PathElement;
use super::place::{Form, Merge, MissingKeys, Place};
use super::set::Set;

/// Removes what is in the set. A list or map that loses all it had becomes null, and so does one
/// that is replaced as a whole when something below it is asked for.
pub(super) fn remove(value: &mut Value, set: &Set<'_>, place: Place<'_>) -> Result<(), String> {
    match (place.form(Some(value)), &mut *value) {
        (Form::Scalar(_), _) => {}
        (Form::List(list), Value::Array(items)) if !matches!(list.merge, Merge::Atomic) => {
            let mut kept = Vec::with_capacity(items.len());
            for mut item in std::mem::take(items) {
                let found = {
                    let element = list.element(&item, MissingKeys::Zero)?;
                    set.get(&element)
                };
                match found {
                    Some(node) if node.member => continue,
                    Some(node) => remove(&mut item, &node.children, list.item)?,
                    None => {}
                }
                kept.push(item);
            }
            *value = if kept.is_empty() {
                Value::Null
            } else {
                Value::Array(kept)
            };
        }
        (Form::Object(object), Value::Object(map)) if !object.atomic => {
            let mut kept = serde_json::Map::with_capacity(map.len());
            for (name, mut entry) in std::mem::take(map) {
                match (set.get(&PathElement::Field(&name)), object.place(&name)) {
                    (Some(node), _) if node.member => continue,
                    (Some(node), Some(place)) => remove(&mut entry, &node.children, place)?,
                    _ => {}
                }
                kept.insert(name, entry);
            }
            *value = if kept.is_empty() {
                Value::Null
            } else {
                Value::Object(kept)
            };
        }
        _ => *value = Value::Null,
    }
    Ok(())
}
