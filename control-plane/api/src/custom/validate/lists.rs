//! Lists that are sets or maps: no item, or no key, may be there twice.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::custom::schema::Node;
use crate::decode::Trail;
use crate::schema::ListType;
use crate::status::{Errors, FieldError};

/// The items that are there twice in the lists of an object.
pub(super) fn unique(schema: &Node, value: &Value) -> Vec<FieldError> {
    let mut errors = Errors::new();
    walk(schema, value, &mut Trail::default(), &mut errors);
    errors.into_list()
}

fn walk(schema: &Node, value: &Value, trail: &mut Trail, errors: &mut Errors) {
    if errors.is_full() {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let (node, mark) = match (schema.property(name), schema.additional_schema()) {
                    (Some(node), _) => (node, trail.field(name)),
                    (None, Some(node)) => (node, trail.key(name)),
                    (None, None) => continue,
                };
                walk(node, value, trail, errors);
                trail.leave(mark);
            }
        }
        Value::Array(items) => {
            match schema.list_type {
                Some(ListType::Set) => set(items, trail, errors),
                Some(ListType::Map) => map(&schema.list_map_keys, items, trail, errors),
                _ => {}
            }
            if let Some(node) = schema.items.as_deref() {
                for (at, item) in items.iter().enumerate() {
                    let mark = trail.item(at);
                    walk(node, item, trail, errors);
                    trail.leave(mark);
                }
            }
        }
        _ => {}
    }
}

fn set(items: &[Value], trail: &mut Trail, errors: &mut Errors) {
    for at in second(items.iter().map(canonical)) {
        duplicate(at, &items[at], trail, errors);
    }
}

fn map(keys: &[Box<str>], items: &[Value], trail: &mut Trail, errors: &mut Errors) {
    let stray = items
        .iter()
        .position(|item| !item.is_null() && !item.is_object());
    if let Some(at) = stray {
        let mark = trail.item(at);
        let why = "must be an object for an array of list-type map";
        errors.push(|| FieldError::invalid(trail.as_str(), &items[at], why));
        trail.leave(mark);
        return;
    }
    let key = |item: &Value| -> Value {
        let named = keys
            .iter()
            .filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone())));
        Value::Object(named.collect::<Map<_, _>>())
    };
    for at in second(items.iter().map(|item| canonical(&key(item)))) {
        duplicate(at, &key(&items[at]), trail, errors);
    }
}

/// Equal values have equal texts: fields are sorted, and numbers written in one way.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let fields = sorted.into_iter().map(|(name, value)| {
                let value = canonical(value);
                format!("{name:?}:{value},")
            });
            format!("{{{}}}", fields.collect::<String>())
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Where something is met for the second time; further times are not told.
fn second(keys: impl Iterator<Item = String>) -> Vec<usize> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for (at, key) in keys.enumerate() {
        let count = times.entry(key).or_default();
        *count += 1;
        if *count == 2 {
            found.push(at);
        }
    }
    found
}

fn duplicate(at: usize, value: &Value, trail: &mut Trail, errors: &mut Errors) {
    let mark = trail.item(at);
    errors.push(|| FieldError::duplicate(trail.as_str(), value));
    trail.leave(mark);
}
