//! Structural schemas: every field has a type outside of anyOf, allOf, oneOf and not, so that pruning
//! and defaulting can walk along.

use serde_json::{Map, Value, json};

use crate::custom::check_pattern;
use crate::object::{flag, get, items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

pub(super) fn check(schema: &Value, path: &Path, out: &mut Errors) {
    let before = out.found();
    invariants(schema, Level::Root, path, out);
    complete(schema, Some(schema), path, path, out);
    // In upstream's order, which is that of the messages.
    out.sort_since(before);
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let found = schema.get("properties").and_then(Value::as_object);
    found.into_iter().flat_map(Map::iter)
}

fn invariants(schema: &Value, level: Level, path: &Path, out: &mut Errors) {
    if out.is_full() {
        return;
    }
    let kind = text(schema, "type");
    let item = schema.get("items").filter(|item| item.is_object());
    match item {
        None if kind == "array" => {
            out.push(|| FieldError::required(path.child("items"), "must be specified"));
        }
        None => {}
        Some(item) => invariants(item, Level::Item, &path.child("items"), out),
    }
    for (name, property) in properties(schema) {
        let path = path.child("properties").key(name);
        invariants(property, Level::Field, &path, out);
    }
    if let Some(additional) = get(schema, "additionalProperties") {
        let path = path.child("additionalProperties");
        if level == Level::Root {
            out.push(|| FieldError::forbidden(&path, "must not be used at the root"));
        }
        if additional.is_object() {
            invariants(additional, Level::Field, &path, out);
        }
    }
    let either = flag(schema, INT_OR_STRING);
    for keyword in [PRESERVE, EMBEDDED] {
        if either && flag(schema, keyword) {
            let why = "must be false if x-kubernetes-int-or-string is true";
            out.push(|| FieldError::invalid(path.child(keyword), true, why));
        }
    }
    let skip_any = is_either(schema.get("anyOf"));
    let skip_first = items(schema, "allOf")
        .first()
        .is_some_and(|first| is_either(first.get("anyOf")));
    validations(schema, skip_any, skip_first, path, out);
    typed(schema, kind, level, path, out);
    implicit(schema, level, path, out);
}

/// Whether it is what int-or-string stands for: `anyOf: [{type: integer}, {type: string}]`.
fn is_either(any_of: Option<&Value>) -> bool {
    any_of == Some(&json!([{"type": "integer"}, {"type": "string"}]))
}

/// What has to have which type.
fn typed(schema: &Value, kind: &str, level: Level, path: &Path, out: &mut Errors) {
    let embedded = flag(schema, EMBEDDED);
    let at = path.child("type");
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        out.push(|| match kind {
            "" => FieldError::required(at, why),
            kind => FieldError::invalid(at, kind, why),
        });
    } else if kind.is_empty() && !flag(schema, INT_OR_STRING) && !flag(schema, PRESERVE) {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        out.push(|| FieldError::required(at, why));
    } else if level == Level::Root && !kind.is_empty() && kind != "object" {
        out.push(|| FieldError::invalid(at, kind, "must be object at the root"));
    }
    if embedded && get(schema, "additionalProperties").is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        out.push(|| FieldError::forbidden(path.child("additionalProperties"), why));
    }
    if embedded && !flag(schema, PRESERVE) && properties(schema).next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without \
                   x-kubernetes-preserve-unknown-fields";
        out.push(|| FieldError::required(path.child("properties"), why));
    }
}

/// What may be said of `apiVersion`, `kind` and `metadata`, which every object has.
fn implicit(schema: &Value, level: Level, path: &Path, out: &mut Errors) {
    if level != Level::Root && !flag(schema, EMBEDDED) {
        return;
    }
    let property = |name: &str| schema.get("properties").and_then(|all| all.get(name));
    for (name, want) in [
        ("kind", "string"),
        ("apiVersion", "string"),
        ("metadata", "object"),
    ] {
        let Some(found) = property(name).filter(|found| text(found, "type") != want) else {
            continue;
        };
        let path = path.child("properties").key(name).child("type");
        let why = format!("must be {want}");
        out.push(|| FieldError::invalid(path, text(found, "type"), why));
    }
    let Some(metadata) = property("metadata").and_then(Value::as_object) else {
        return;
    };
    let names = |value: &Value| {
        let known = |name: &String| matches!(name.as_str(), "name" | "generateName");
        value.as_object().is_some_and(|all| all.keys().all(known))
    };
    let harmless = |(keyword, value): (&String, &Value)| match keyword.as_str() {
        "type" | "default" | "description" => true,
        "properties" => names(value),
        _ => false,
    };
    if level == Level::Root && !metadata.iter().all(harmless) {
        let why = "must not specify anything other than name and generateName, but metadata is \
                   implicitly specified";
        let path = path.child("properties").key("metadata");
        out.push(|| FieldError::forbidden(path, why));
    }
}

/// Junctors, and the pattern.
fn validations(schema: &Value, skip_any: bool, skip_first: bool, path: &Path, out: &mut Errors) {
    for keyword in ["anyOf", "allOf", "oneOf"] {
        if skip_any && keyword == "anyOf" {
            continue;
        }
        for (at, clause) in items(schema, keyword).iter().enumerate() {
            let skip = skip_first && keyword == "allOf" && at == 0;
            nested(clause, skip, &path.child(keyword).index(at), out);
        }
    }
    if let Some(clause) = schema.get("not").filter(|clause| clause.is_object()) {
        nested(clause, false, &path.child("not"), out);
    }
    let pattern = text(schema, "pattern");
    if let Some(error) = check_pattern(pattern) {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        out.push(|| FieldError::invalid(path.child("pattern"), pattern, why));
    }
}

/// Inside a junctor nothing may shape the object.
fn nested(clause: &Value, skip_any: bool, path: &Path, out: &mut Errors) {
    const FORBIDDEN: [(&str, &str); 11] = [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        (PRESERVE, "must be false to be structural"),
        (EMBEDDED, "must be false to be structural"),
        (INT_OR_STRING, "must be false to be structural"),
        (
            "x-kubernetes-list-map-keys",
            "must be empty to be structural",
        ),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ];
    if out.is_full() {
        return;
    }
    validations(clause, skip_any, false, path, out);
    if let Some(item) = clause.get("items").filter(|item| item.is_object()) {
        nested(item, false, &path.child("items"), out);
    }
    for (name, property) in properties(clause) {
        let path = path.child("properties").key(name);
        if name == "metadata" {
            let why = "must not be specified in a nested context";
            out.push(|| FieldError::forbidden(&path, why));
        }
        nested(property, false, &path, out);
    }
    let empty = |value: &Value| {
        matches!(value, Value::Null | Value::Bool(false))
            || value.as_str().is_some_and(str::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
    };
    let forbidden = FORBIDDEN.into_iter().chain([
        (
            "x-kubernetes-list-type",
            "must be undefined to be structural",
        ),
        (
            "x-kubernetes-map-type",
            "must be undefined to be structural",
        ),
    ]);
    for (keyword, why) in forbidden {
        let found = clause.get(keyword);
        if found.is_some_and(|value| !empty(value) || keyword == "additionalProperties") {
            out.push(|| FieldError::forbidden(path.child(keyword), why));
        }
    }
}

/// Every field a junctor speaks of is specified outside of it.
fn complete(clause: &Value, schema: Option<&Value>, at: &Path, by: &Path, out: &mut Errors) {
    if out.is_full() {
        return;
    }
    let Some(schema) = schema else {
        let why = format!("because it is defined in {}", String::from(by));
        out.push(|| FieldError::required(at, why));
        return;
    };
    for keyword in ["not", "allOf", "anyOf", "oneOf"] {
        let (by, found) = (by.child(keyword), clause.get(keyword));
        let listed = found.and_then(Value::as_array);
        for (index, one) in listed.into_iter().flatten().enumerate() {
            let by = by.index(index);
            complete(one, Some(schema), at, &by, out);
            inside(one, schema, at, &by, out);
        }
        if let Some(one) = found.filter(|found| found.is_object()) {
            complete(one, Some(schema), at, &by, out);
            inside(one, schema, at, &by, out);
        }
    }
    // The structural part itself is not compared with itself, but what is below may have junctors.
    if std::ptr::eq(clause, schema) {
        if let Some(item) = schema.get("items").filter(|item| item.is_object()) {
            let (at, by) = (at.child("items"), by.child("items"));
            complete(item, Some(item), &at, &by, out);
        }
        for (name, property) in properties(schema) {
            let at = at.child("properties").key(name);
            complete(property, Some(property), &at, &at, out);
        }
        if let Some(additional @ Value::Object(_)) = schema.get("additionalProperties") {
            let at = at.child("additionalProperties");
            complete(additional, Some(additional), &at, &at, out);
        }
    }
}

/// The items and properties of a clause against those of the schema.
fn inside(clause: &Value, schema: &Value, at: &Path, by: &Path, out: &mut Errors) {
    if let Some(item) = clause.get("items").filter(|item| item.is_object()) {
        let below = schema.get("items").filter(|item| item.is_object());
        let (at, by) = (at.child("items"), by.child("items"));
        complete(item, below, &at, &by, out);
        if let Some(below) = below {
            inside(item, below, &at, &by, out);
        }
    }
    for (name, property) in properties(clause) {
        let below = schema.get("properties").and_then(|all| all.get(name));
        let (at, by) = (
            at.child("properties").key(name),
            by.child("properties").key(name),
        );
        complete(property, below, &at, &by, out);
        if let Some(below) = below {
            inside(property, below, &at, &by, out);
        }
    }
}
