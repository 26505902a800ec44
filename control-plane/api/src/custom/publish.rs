//! Schemas in the form OpenAPI documents have them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

const OBJECT_META: &str = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";

/// For version 3.
pub(super) fn newer(mut schema: Value) -> Value {
    each(&mut schema, &mut |node| {
        if is(node, "x-kubernetes-int-or-string") && !has_two_forms(node) {
            let forms = json!([{"type": "integer"}, {"type": "string"}]);
            node.insert("anyOf".to_owned(), forms);
        }
        embed(node);
    });
    // The fields every object has are added to those there are.
    if let Some(root) = schema.as_object_mut() {
        root.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

/// For version 2, whose readers take what they do not understand for a refusal: what they would
/// misread is left out.
pub(super) fn older(mut schema: Value) -> Value {
    if schema.as_object().is_none_or(|root| is(root, PRESERVE)) {
        return json!({"type": "object"});
    }
    each(&mut schema, &mut |node| {
        simplify(node);
        if !is(node, PRESERVE) {
            embed(node);
        }
    });
    if let Some(root) = schema.as_object_mut() {
        root.entry("properties").or_insert_with(|| json!({}));
    }
    schema
}

fn simplify(node: &mut Map<String, Value>) {
    for keyword in ["allOf", "oneOf", "anyOf", "not"] {
        node.shift_remove(keyword);
    }
    let nullable = is(node, "nullable");
    let preserve = is(node, PRESERVE);
    node.shift_remove("nullable");
    if nullable || preserve {
        node.shift_remove("items");
        node.shift_remove("properties");
    }
    let kind = node.get("type").and_then(Value::as_str).unwrap_or("");
    let unreadable = match kind {
        "array" => !node.contains_key("items"),
        "object" => preserve,
        _ => false,
    };
    if nullable || unreadable {
        node.shift_remove("type");
    }
    // What may be null may be absent for those who do not know null.
    let optional: HashSet<String> = properties(node)
        .filter(|(_, schema)| schema.as_object().is_some_and(|node| is(node, "nullable")))
        .map(|(name, _)| name.clone())
        .collect();
    let nullable_values = node
        .get("additionalProperties")
        .and_then(Value::as_object)
        .is_some_and(|node| is(node, "nullable"));
    let mut none_left = nullable_values;
    if let Some(Value::Array(required)) = node.get_mut("required") {
        required.retain(|name| name.as_str().is_none_or(|name| !optional.contains(name)));
        none_left |= required.is_empty();
    }
    if none_left {
        node.shift_remove("required");
    }
}

/// An object in an object says what it is, as every object does.
fn embed(node: &mut Map<String, Value>) {
    if !is(node, EMBEDDED) {
        return;
    }
    let properties = node.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        let text = |description: &str| json!({"description": description, "type": "string"});
        let version = "The version of the API the object is written in.";
        properties.insert("apiVersion".to_owned(), text(version));
        properties.insert("kind".to_owned(), text("What the object is."));
        let metadata = json!({"description": "The metadata of the object.",
            "allOf": [{"$ref": OBJECT_META}]});
        properties.insert("metadata".to_owned(), metadata);
    }
    let required = node.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
    }
}

/// Visits the schemas of a value and of what is in it, outermost first. What was added on the way is not visited
/// again: it is in its final form.
fn each(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    let before: HashSet<String> = properties(node).map(|(name, _)| name.clone()).collect();
    visit(node);
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        for (name, property) in properties {
            if before.contains(name) {
                each(property, visit);
            }
        }
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(keyword) {
            each(inner, visit);
        }
    }
}

fn properties(node: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let properties = node.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}

fn is(node: &Map<String, Value>, flag: &str) -> bool {
    node.get(flag) == Some(&Value::Bool(true))
}

/// Whether it says already that it is a number or a text.
fn has_two_forms(node: &Map<String, Value>) -> bool {
    let nested = |all: &Value| {
        all.as_array()
            .is_some_and(|all| all.iter().any(|one| one.get("anyOf").is_some()))
    };
    node.contains_key("anyOf") || node.get("allOf").is_some_and(nested)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_readers_are_spared_what_they_misread() {
        let schema = json!({"type": "object", "required": ["a", "n"], "properties": {
            "a": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"b": {"type": "string"}}},
            "n": {"type": "array", "nullable": true, "items": {"type": "string"}},
            "i": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "l": {"type": "array", "items": {"type": "string", "oneOf": [{"pattern": "x"}]}},
        }});
        let expected = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"x-kubernetes-preserve-unknown-fields": true},
            "n": {},
            "i": {"x-kubernetes-int-or-string": true},
            "l": {"type": "array", "items": {"type": "string"}},
        }});
        assert_eq!(older(schema), expected);
        let open =
            json!({"type": "object", "description": "d", PRESERVE: true, "properties": {"a": {}}});
        assert_eq!(older(open), json!({"type": "object"}));
    }

    /// Comparing each name with each would take minutes.
    #[test]
    fn many_properties() {
        let properties: Map<String, Value> = (0..100_000)
            .map(|at| (at.to_string(), json!({"type": "string", "nullable": true})))
            .collect();
        let required: Value = properties.keys().cloned().collect();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        assert_eq!(newer(schema.clone())["required"], schema["required"]);
        assert_eq!(older(schema).get("required"), None);
    }

    #[test]
    fn newer_readers_are_told_more() {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        assert_eq!(newer(schema)["properties"], json!({}));
        let schema = newer(json!({"type": "object", "properties": {
            "i": {"x-kubernetes-int-or-string": true},
            "e": {"type": "object", "x-kubernetes-embedded-resource": true},
        }}));
        let forms = json!([{"type": "integer"}, {"type": "string"}]);
        assert_eq!(schema["properties"]["i"]["anyOf"], forms);
        let embedded = &schema["properties"]["e"];
        assert_eq!(embedded["required"], json!(["kind", "apiVersion"]));
        assert_eq!(
            embedded["properties"]["metadata"]["allOf"][0]["$ref"],
            OBJECT_META
        );
    }
}
