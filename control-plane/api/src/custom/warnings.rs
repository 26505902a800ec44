//! What people are told about definitions and custom objects that are accepted nevertheless.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::format;
use super::schema::Kind;
use crate::names;
use crate::object::{self, items, text};

/// What the schemas of a definition say and this server does not heed: formats it does not know, and
/// rules in CEL, which are kept and not run.
pub fn definition_warnings(definition: &Value) -> Vec<String> {
    let mut found = Unheeded::default();
    for version in items(definition, "spec.versions") {
        if let Some(schema) = object::get(version, "schema.openAPIV3Schema") {
            found.look(schema);
        }
    }
    let formats = found.formats.iter();
    let mut warnings: Vec<String> = formats
        .map(|format| format!("unrecognized format {format:?}"))
        .collect();
    if found.rules {
        warnings.push("x-kubernetes-validations are stored and not enforced".to_owned());
    }
    warnings
}

#[derive(Default)]
struct Unheeded {
    formats: BTreeSet<String>,
    rules: bool,
}

impl Unheeded {
    fn look(&mut self, schema: &Value) {
        match schema {
            Value::Object(map) => {
                let format = text(schema, "format");
                let kind = map.get("type").and_then(Value::as_str).unwrap_or("");
                if !format.is_empty() && !format::is_known(Kind::of(kind), format) {
                    self.formats.insert(format.to_owned());
                }
                for (keyword, value) in map {
                    match keyword.as_str() {
                        "properties" => {
                            let properties = value.as_object().into_iter();
                            let properties = properties.flat_map(|all| all.values());
                            properties.for_each(|property| self.look(property));
                        }
                        "items" | "additionalProperties" | "not" | "allOf" | "anyOf" | "oneOf" => {
                            self.look(value);
                        }
                        "x-kubernetes-validations" => self.rules = true,
                        _ => {}
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|schema| self.look(schema)),
            _ => {}
        }
    }
}

/// Finalizers whose names may be somebody else's too, of those that are new.
pub fn finalizer_warnings(value: &Value, old: Option<&Value>) -> Vec<String> {
    const STANDARD: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];
    let mut warnings = Vec::new();
    let known: HashSet<&str> = old.into_iter().flat_map(object::finalizers).collect();
    for name in object::finalizers(value).filter(|name| !known.contains(name)) {
        let mut warn = |why: &str| warnings.push(format!("metadata.finalizers: {name:?}: {why}"));
        names::qualified_name(name).iter().for_each(|why| warn(why));
        if name.contains('/') || STANDARD.contains(&name) {
            continue;
        }
        warn(if name.contains('.') {
            "prefer a domain-qualified finalizer name including a path (/) to avoid accidental \
             conflicts with other finalizer writers"
        } else {
            "prefer a domain-qualified finalizer name to avoid accidental conflicts with other \
             finalizer writers"
        });
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_told() {
        let definition = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {
            "properties": {"a": {"type": "string", "format": "date-time"},
                "b": {"type": "array", "items": {"type": "string", "format": "semver"}},
                "format": {"type": "integer", "format": "int128"}}}}}]}});
        assert_eq!(
            definition_warnings(&definition),
            [
                "unrecognized format \"int128\"",
                "unrecognized format \"semver\""
            ]
        );
        let value = json!({"metadata": {"finalizers": ["a.b/c", "orphan", "mine", "a.b"]}});
        assert!(finalizer_warnings(&value, Some(&value)).is_empty());
        let warnings = finalizer_warnings(&value, None);
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].starts_with("metadata.finalizers: \"mine\": prefer a domain"));
        assert!(warnings[1].contains("including a path"));
    }
}
