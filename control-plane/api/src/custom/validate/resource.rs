//! Embedded resources: objects inside objects, which must say what they are.

use serde_json::Value;

use crate::custom::schema::Node;
use crate::decode::Trail;
use crate::names;
use crate::status::{Errors, FieldError};
use crate::validate::embedded_metadata;

/// What is wrong with the embedded resources of an object.
pub(super) fn embedded(schema: &Node, value: &Value) -> Vec<FieldError> {
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
            if schema.embedded {
                resource(value, trail, errors);
            }
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

fn resource(value: &Value, trail: &mut Trail, errors: &mut Errors) {
    for name in ["apiVersion", "kind"] {
        let mark = trail.field(name);
        let path = trail.as_str();
        match value.get(name) {
            None => errors.push(|| FieldError::required(path, "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(|| FieldError::invalid(path, "", "must not be empty"));
            }
            Some(Value::String(text)) => {
                if let Some(why) = malformed(name, text) {
                    errors.push(|| FieldError::invalid(path, text, why));
                }
            }
            Some(other) => errors.push(|| FieldError::invalid(path, other, "must be a string")),
        }
        trail.leave(mark);
    }
    if value.get("metadata").is_some() {
        let mark = trail.field("metadata");
        embedded_metadata(value, trail.as_str(), errors);
        trail.leave(mark);
    }
}

fn malformed(name: &str, text: &str) -> Option<String> {
    if name == "apiVersion" {
        let slashes = text.matches('/').count();
        return (slashes > 1).then(|| format!("unexpected GroupVersion string: {text}"));
    }
    let wrong = names::dns1035_label(&text.to_lowercase());
    (!wrong.is_empty()).then(|| {
        let wrong = wrong.join(",");
        format!("may have mixed case, but should otherwise match: {wrong}")
    })
}
