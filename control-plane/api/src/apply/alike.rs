//! Whether two objects are the same to a client.

use serde_json::Value;

use super::path::equal;
use super::place::{Form, Object, Place};

/// Whether the objects say the same. What Go writes for a field that is not there may be there.
pub(super) fn alike(a: &Value, b: &Value, place: Place<'_>) -> bool {
    match (place.form(Some(a)), a, b) {
        (Form::Object(object), Value::Object(left), Value::Object(right)) => {
            left.iter()
                .all(|(name, value)| field(value, right.get(name), name, &object))
                && right
                    .iter()
                    .filter(|(name, _)| !left.contains_key(*name))
                    .all(|(name, value)| field(value, None, name, &object))
        }
        (Form::List(list), Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| alike(a, b, list.item))
        }
        _ => equal(a, b),
    }
}

fn field(value: &Value, other: Option<&Value>, name: &str, object: &Object<'_>) -> bool {
    let Some(other) = other.or_else(|| object.unwritten(name)) else {
        return false;
    };
    match object.place(name) {
        Some(place) => alike(value, other, place),
        None => equal(value, other),
    }
}
