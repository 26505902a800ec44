//! Equality of meaning: an absent field equals a zero wherever Go's types cannot tell them apart.

use serde_json::{Map, Value};

use crate::schema::{Field, Shape, schemas};

/// `value` of the registered type without fields that say nothing, with sorted keys: two values of
/// one meaning become equal.
pub(crate) fn normal(value: &Value, type_name: &str) -> Value {
    match schemas().by_name(type_name) {
        Some(id) => reduce(value, &Shape::Object(id)),
        None => value.clone(),
    }
}

fn reduce(value: &Value, shape: &Shape) -> Value {
    match (value, shape) {
        (Value::Object(map), Shape::Object(id)) => {
            let ty = schemas().get(*id);
            let kept = map.iter().filter_map(|(key, value)| {
                let field = ty.field(key)?;
                (!says_nothing(value, field)).then(|| (key.clone(), reduce(value, &field.shape)))
            });
            sorted(kept.collect())
        }
        (Value::Object(map), Shape::Map(shape)) => sorted(
            map.iter()
                .map(|(key, value)| (key.clone(), reduce(value, shape)))
                .collect(),
        ),
        (Value::Array(items), Shape::List(shape)) => {
            items.iter().map(|item| reduce(item, shape)).collect()
        }
        _ => value.clone(),
    }
}

fn says_nothing(value: &Value, field: &Field) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(field.shape, Shape::Map(_)),
        _ if field.pointer => false,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
    }
}

fn sorted(mut entries: Vec<(String, Value)>) -> Value {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(entries.into_iter().collect::<Map<_, _>>())
}
