//! Embedded resources: objects inside objects, which must say what they are.

use serde_json::Value;

use crate::custom::schema::Node;
use crate::decode::Trail;
use crate::names;
use crate::status::FieldError;
use crate::validate::{MAX_ERRORS, embedded_metadata};

/// What is wrong with the embedded resources of an object.
pub(super) fn embedded(schema: &Node, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, value, &mut Trail::default(), &mut errors);
    errors
}

fn walk(schema: &Node, value: &Value, trail: &mut Trail, errors: &mut Vec<FieldError>) {
    if errors.len() >= MAX_ERRORS {
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

fn resource(value: &Value, trail: &Trail, errors: &mut Vec<FieldError>) {
    let at = |name: &str| match trail.as_str() {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    for name in ["apiVersion", "kind"] {
        let path = at(name);
        let error = match value.get(name) {
            None => FieldError::required(path, ""),
            Some(Value::String(text)) if text.is_empty() => {
                FieldError::invalid(path, "", "must not be empty")
            }
            Some(Value::String(text)) => match malformed(name, text) {
                Some(why) => FieldError::invalid(path, text.as_str(), why),
                None => continue,
            },
            Some(other) => FieldError::invalid(path, other.clone(), "must be a string"),
        };
        errors.push(error);
    }
    if value.get("metadata").is_some() {
        embedded_metadata(value, &at("metadata"), errors);
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
