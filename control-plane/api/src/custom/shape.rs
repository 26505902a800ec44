//! How a custom object takes the shape of its schema: what the schema does not know is dropped, what
//! is null without being allowed to is dropped too, and what is missing is defaulted.
//!
//! Upstream's order: prune, drop nulls, bring embedded metadata into form, default.

use serde_json::{Map, Value};

use super::schema::{Additional, Node};
use crate::decode::{self, DecodeError, Reports, Trail};

/// What every object has without its schema saying so.
const IMPLICIT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Most bytes of JSON that defaults add to an object: more than any that is stored has.
const MAX_FILLED: usize = 4 * 1024 * 1024;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The fields a schema does not know, by path.
#[derive(Debug, Default)]
pub(crate) struct Unknown {
    trail: Trail,
    pub(crate) reports: Reports,
}

impl Unknown {
    fn record(&mut self, name: &str) {
        let mark = self.trail.field(name);
        self.reports.unknown(self.trail.as_str());
        self.trail.leave(mark);
    }
}

/// Drops the fields the schema of a whole object does not know.
pub(crate) fn prune(value: &mut Value, root: &Node, unknown: &mut Unknown) {
    walk(value, Some(root), true, unknown);
}

/// Whether something in a part of an object, a default say, would be dropped from there.
pub(crate) fn has_unknown(value: &Value, schema: &Node) -> bool {
    let mut unknown = Unknown::default();
    walk(
        &mut value.clone(),
        Some(schema),
        schema.embedded,
        &mut unknown,
    );
    !unknown.reports.is_empty()
}

fn walk(value: &mut Value, schema: Option<&Node>, resource: bool, unknown: &mut Unknown) {
    let Some(schema) = schema else {
        return walk_unknown(value, unknown);
    };
    if schema.preserve {
        return keep(value, schema, resource, unknown);
    }
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                if resource && IMPLICIT.contains(&name.as_str()) {
                    return true;
                }
                let known = known(value, schema, name, unknown);
                let implicit = unknown.trail.is_empty() && IMPLICIT.contains(&name.as_str());
                if !known && !implicit {
                    unknown.record(name);
                }
                known
            });
        }
        Value::Array(list) => {
            for (at, item) in list.iter_mut().enumerate() {
                let mark = unknown.trail.item(at);
                let items = schema.items.as_deref();
                walk(
                    item,
                    items,
                    items.is_some_and(|node| node.embedded),
                    unknown,
                );
                unknown.trail.leave(mark);
            }
        }
        _ => {}
    }
}

/// Goes on below a field the schema knows; false for one it does not know.
fn known(value: &mut Value, schema: &Node, name: &str, unknown: &mut Unknown) -> bool {
    let below = match (schema.property(name), schema.additional.as_deref()) {
        (Some(node), _) | (None, Some(Additional::Schema(node))) => Some(node),
        (None, Some(Additional::Allowed(_))) => None,
        (None, None) => return false,
    };
    let mark = unknown.trail.field(name);
    walk(
        value,
        below,
        below.is_some_and(|node| node.embedded),
        unknown,
    );
    unknown.trail.leave(mark);
    true
}

/// Without a schema only scalars, and lists of them, stay.
fn walk_unknown(value: &mut Value, unknown: &mut Unknown) {
    match value {
        Value::Object(map) => {
            for name in map.keys() {
                unknown.record(name);
            }
            map.clear();
        }
        Value::Array(list) => {
            for (at, item) in list.iter_mut().enumerate() {
                let mark = unknown.trail.item(at);
                walk_unknown(item, unknown);
                unknown.trail.leave(mark);
            }
        }
        _ => {}
    }
}

/// Unknown fields stay here; below the fields that are specified, pruning goes on.
fn keep(value: &mut Value, schema: &Node, resource: bool, unknown: &mut Unknown) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                if !(resource && IMPLICIT.contains(&name.as_str())) {
                    known(value, schema, name, unknown);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items.as_deref() else {
                return;
            };
            for (at, item) in list.iter_mut().enumerate() {
                let mark = unknown.trail.item(at);
                keep(item, items, items.embedded, unknown);
                unknown.trail.leave(mark);
            }
        }
        _ => {}
    }
}

/// Drops nulls where the schema neither allows nor defaults them.
pub(crate) fn drop_nulls(value: &mut Value, schema: Option<&Node>) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                let below = schema.and_then(|schema| schema.field(name));
                let refused = below.is_some_and(|node| !node.nullable && node.default.is_none());
                !(value.is_null() && refused)
            });
            for (name, value) in map.iter_mut() {
                drop_nulls(value, schema.and_then(|schema| schema.field(name)));
            }
        }
        Value::Array(list) => {
            let items = schema.and_then(|schema| schema.items.as_deref());
            for item in list {
                drop_nulls(item, items);
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of the schema. Doing it twice changes nothing more.
///
/// A schema can give each of a million items what takes a kilobyte. Once the defaults are more than any
/// object may be, no further ones are filled in; such an object is refused, see [`is_filled`].
pub(crate) fn fill(value: &mut Value, schema: &Node) {
    Filling { left: MAX_FILLED }.node(value, schema);
}

struct Filling {
    /// Bytes of JSON that may still be filled in.
    left: usize,
}

impl Filling {
    fn node(&mut self, value: &mut Value, schema: &Node) {
        match value {
            Value::Object(map) => {
                for (name, node) in &schema.properties {
                    if map.get(&**name).is_none_or(|it| is_missing(it, node))
                        && let Some(default) = self.default(node, name)
                    {
                        map.insert(name.to_string(), default);
                    }
                }
                for (name, value) in map.iter_mut() {
                    if let Some(node) = schema.property(name) {
                        self.node(value, node);
                    } else if let Some(node) = schema.additional_schema() {
                        self.item(value, node);
                    }
                }
            }
            Value::Array(list) => {
                if let Some(node) = schema.items.as_deref() {
                    for item in list {
                        self.item(item, node);
                    }
                }
            }
            _ => {}
        }
    }

    fn item(&mut self, value: &mut Value, node: &Node) {
        if is_missing(value, node)
            && let Some(default) = self.default(node, "")
        {
            *value = default;
        }
        self.node(value, node);
    }

    fn default(&mut self, node: &Node, name: &str) -> Option<Value> {
        let default = node.default.as_deref()?;
        let bytes = name.len() + bytes(default);
        if self.left < bytes {
            self.left = 0;
            return None;
        }
        self.left -= bytes;
        Some(default.clone())
    }
}

fn is_missing(value: &Value, node: &Node) -> bool {
    value.is_null() && !node.nullable
}

/// About what a value takes as JSON, and not more than that.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(bytes).sum::<usize>(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| name.len() + 3 + bytes(value);
            2 + fields.iter().map(field).sum::<usize>()
        }
        _ => 1,
    }
}

/// Whether nothing is left to be filled in, in a value but for its fields `but`: those may have been dropped since.
pub(crate) fn is_filled(value: &Value, schema: &Node, but: &[&str]) -> bool {
    let item = |value: &Value, node: &Node| {
        !(node.default.is_some() && is_missing(value, node)) && is_filled(value, node, &[])
    };
    match value {
        Value::Object(map) => {
            let there = schema.properties.iter().all(|(name, node)| {
                let there = map.get(&**name).is_some_and(|it| !is_missing(it, node));
                there || node.default.is_none() || but.contains(&&**name)
            });
            there
                && map.iter().all(|(name, value)| match schema.property(name) {
                    _ if but.contains(&name.as_str()) => true,
                    Some(node) => is_filled(value, node, &[]),
                    None => schema
                        .additional_schema()
                        .is_none_or(|node| item(value, node)),
                })
        }
        Value::Array(list) => schema
            .items
            .as_deref()
            .is_none_or(|node| list.iter().all(|value| item(value, node))),
        _ => true,
    }
}

/// Brings `metadata` of a whole object into the form all metadata has.
pub(crate) fn metadata(
    object: &mut Map<String, Value>,
    trail: &mut Trail,
    unknown: &mut Reports,
) -> Result<(), DecodeError> {
    let Some(found) = object.get_mut("metadata") else {
        return Ok(());
    };
    let mark = trail.field("metadata");
    *found = decode::part(found.take(), OBJECT_META, trail, unknown)?;
    trail.leave(mark);
    Ok(())
}

/// Brings the metadata of embedded objects into form; their type must be text.
pub(crate) fn embedded(
    value: &mut Value,
    schema: &Node,
    trail: &mut Trail,
    unknown: &mut Reports,
) -> Result<(), DecodeError> {
    match value {
        Value::Object(map) => {
            if schema.embedded {
                for name in ["apiVersion", "kind"] {
                    if map.get(name).is_some_and(|value| !value.is_string()) {
                        let message = format!("{trail}.{name}: must be a string");
                        return Err(DecodeError::new(message));
                    }
                }
                metadata(map, trail, unknown)?;
            }
            for (name, value) in map.iter_mut() {
                if let Some(node) = schema.field(name) {
                    let mark = trail.field(name);
                    embedded(value, node, trail, unknown)?;
                    trail.leave(mark);
                }
            }
        }
        Value::Array(list) => {
            if let Some(node) = schema.items.as_deref() {
                for (at, item) in list.iter_mut().enumerate() {
                    let mark = trail.item(at);
                    embedded(item, node, trail, unknown)?;
                    trail.leave(mark);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn node(schema: Value) -> Node {
        Node::parse(&schema).expect("compiles")
    }

    #[test]
    fn what_the_schema_does_not_know_goes() {
        let check = |schema: Value, mut value: Value, want: Value, paths: &[&str]| {
            let mut unknown = Unknown::default();
            prune(&mut value, &node(schema), &mut unknown);
            assert_eq!(value, want);
            let paths = paths.iter().map(|path| format!("unknown field \"{path}\""));
            assert_eq!(unknown.reports.into_sorted(), paths.collect::<Vec<_>>());
        };
        let spec = |inner: Value| json!({"type": "object", "properties": {"spec": inner}});
        check(
            spec(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
            json!({"kind": "K", "metadata": {"x": 1}, "b": 1, "spec": {"a": 1, "c": {"d": 1}}}),
            json!({"kind": "K", "metadata": {"x": 1}, "spec": {"a": 1}}),
            &["b", "spec.c"],
        );
        check(
            spec(json!({"type": "array", "items": {"type": "object", "properties": {}}})),
            json!({"spec": [{"x": 1}, 2]}),
            json!({"spec": [{}, 2]}),
            &["spec[0].x"],
        );
        check(
            spec(
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"t": {"type": "object", "properties": {}}}}),
            ),
            json!({"spec": {"any": {"thing": 1}, "t": {"x": 1}}}),
            json!({"spec": {"any": {"thing": 1}, "t": {}}}),
            &["spec.t.x"],
        );
        check(
            spec(json!({"type": "object", "additionalProperties": {"type": "string"}})),
            json!({"spec": {"a": "b"}}),
            json!({"spec": {"a": "b"}}),
            &[],
        );
        check(
            spec(json!({"type": "object", "additionalProperties": true})),
            json!({"spec": {"a": "b", "c": {"d": 1}}}),
            json!({"spec": {"a": "b", "c": {}}}),
            &["spec.c.d"],
        );
        let template = json!({"type": "object", "x-kubernetes-embedded-resource": true,
            "properties": {"spec": {"type": "object", "properties": {}}}});
        check(
            spec(template),
            json!({"spec": {"kind": "P", "metadata": {"y": 1}, "z": 1, "spec": {"q": 1}}}),
            json!({"spec": {"kind": "P", "metadata": {"y": 1}, "spec": {}}}),
            &["spec.spec.q", "spec.z"],
        );
    }

    #[test]
    fn nulls_go_and_defaults_come() {
        let schema = node(json!({"type": "object", "properties": {
            "a": {"type": "string"},
            "b": {"type": "string", "nullable": true, "default": "x"},
            "c": {"type": "string", "default": "y"},
            "d": {"type": "object", "default": {}, "properties": {
                "e": {"type": "integer", "default": 1}}},
            "l": {"type": "array", "items": {"type": "object", "properties": {
                "p": {"type": "string", "default": "TCP"}}}},
            "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                "q": {"type": "boolean", "default": true}}}},
        }}));
        let mut value = json!({"a": null, "b": null, "c": null, "l": [{}, {"p": "UDP"}],
            "m": {"x": {}}, "u": null});
        drop_nulls(&mut value, Some(&schema));
        fill(&mut value, &schema);
        let want = json!({"b": null, "c": "y", "d": {"e": 1},
            "l": [{"p": "TCP"}, {"p": "UDP"}], "m": {"x": {"q": true}}, "u": null});
        assert_eq!(value, want);
        let again = value.clone();
        fill(&mut value, &schema);
        assert_eq!(value, again);
    }

    /// They would take gigabytes.
    #[test]
    fn defaults_are_bounded() {
        let large = json!({"type": "string", "default": "x".repeat(10_000)});
        let item = json!({"type": "object", "properties": {"a": large}});
        let schema = node(json!({"type": "array", "items": item}));
        let mut few = json!(vec![json!({}); 100]);
        assert!(!is_filled(&few, &schema, &[]));
        fill(&mut few, &schema);
        assert!(is_filled(&few, &schema, &[]));
        let status = node(json!({"properties": {"status": {"default": {}}}}));
        assert!(is_filled(&json!({}), &status, &["status"]));
        let mut many = json!(vec![json!({}); 500_000]);
        fill(&mut many, &schema);
        assert!(!is_filled(&many, &schema, &[]));
        let filled = many.as_array().expect("a list").iter();
        assert_eq!(filled.filter(|one| one.get("a").is_some()).count(), 419);
    }

    #[test]
    fn embedded_metadata_is_brought_into_form() {
        let schema = node(
            json!({"type": "object", "properties": {"t": {"type": "object",
            "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}}),
        );
        let run = |mut value: Value| {
            let mut unknown = Reports::default();
            let outcome = embedded(&mut value, &schema, &mut Trail::default(), &mut unknown);
            outcome.map(|()| (value, unknown.into_texts()))
        };
        let (value, unknown) = run(json!({"t": {"kind": "P", "metadata":
            {"name": "a", "creationTimestamp": null, "bogus": 1}}}))
        .expect("fits");
        assert_eq!(
            value,
            json!({"t": {"kind": "P", "metadata": {"name": "a"}}})
        );
        assert_eq!(unknown, [r#"unknown field "t.metadata.bogus""#]);
        assert!(run(json!({"t": {"kind": 1}})).is_err());
        assert!(run(json!({"t": {"metadata": {"name": 1}}})).is_err());
    }
}
