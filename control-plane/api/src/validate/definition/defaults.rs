//! Defaults: each must be a value its own schema takes, with nothing in it that would be pruned.

use serde_json::{Map, Value, json};

use crate::custom::{Node, default_errors};
use crate::object;
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

/// A step from an embedded resource down to a default in its metadata.
#[derive(Clone, Copy)]
enum Step<'s> {
    Field(&'s str),
    Item,
}

pub(super) fn check(schema: &Value, node: &Node, path: &Path, out: &mut Errors) {
    if let Some(default) = default_of(schema) {
        // The whole is a resource like those that are embedded.
        let mut whole = schema.clone();
        object::set(&mut whole, "x-kubernetes-embedded-resource", true);
        if let Ok(whole) = Node::parse(&whole) {
            let path = String::from(path.child("default"));
            out.extend(default_errors(&whole, default, &path));
        }
    }
    below(schema, node, path, None, out);
}

fn default_of(schema: &Value) -> Option<&Value> {
    schema.get("default").filter(|default| !default.is_null())
}

/// `metadata` is the way from the nearest embedded resource, while it leads through its metadata.
fn walk(
    schema: &Value,
    node: &Node,
    path: &Path,
    metadata: Option<(&Node, Vec<Step<'_>>)>,
    out: &mut Errors,
) {
    if out.is_full() {
        return;
    }
    if let Some(default) = default_of(schema) {
        let path = String::from(path.child("default"));
        match &metadata {
            Some((resource, steps)) => {
                let around = surround(steps, default.clone());
                out.extend(
                    default_errors(resource, &around, "")
                        .into_iter()
                        .take(1)
                        .map(|error| {
                            let why = format!("must result in valid metadata: {error}");
                            FieldError::invalid(path.as_str(), default, why)
                        }),
                );
            }
            None => out.extend(default_errors(node, default, &path)),
        }
    }
    below(schema, node, path, metadata, out);
}

/// The defaults below a schema.
fn below(
    schema: &Value,
    node: &Node,
    path: &Path,
    metadata: Option<(&Node, Vec<Step<'_>>)>,
    out: &mut Errors,
) {
    // Not into additionalProperties, where defaults are refused.
    if let (Some(schema), Some(node)) = (schema.get("items"), node.items.as_deref()) {
        let metadata = metadata.clone().map(|(resource, mut steps)| {
            steps.push(Step::Item);
            (resource, steps)
        });
        walk(schema, node, &path.child("items"), metadata, out);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flat_map(Map::iter) {
        let Some(below) = node.property(name) else {
            continue;
        };
        let implicit = matches!(name.as_str(), "metadata" | "apiVersion" | "kind");
        let metadata = match &metadata {
            _ if node.embedded && implicit => Some((node, vec![Step::Field(name)])),
            _ if node.embedded => None,
            Some((resource, steps)) => {
                let mut steps = steps.clone();
                steps.push(Step::Field(name));
                Some((*resource, steps))
            }
            None => None,
        };
        let path = path.child("properties").key(name);
        walk(schema, below, &path, metadata, out);
    }
}

/// The smallest object that has the default in its place.
fn surround(steps: &[Step<'_>], default: Value) -> Value {
    let mut value = default;
    for step in steps.iter().rev() {
        value = match step {
            Step::Field(name) => json!({ *name: value }),
            Step::Item => json!([value]),
        };
    }
    if let Value::Object(map) = &mut value {
        for (name, text) in [("apiVersion", "validation/v1"), ("kind", "Validation")] {
            map.entry(name).or_insert_with(|| text.into());
        }
    }
    value
}
