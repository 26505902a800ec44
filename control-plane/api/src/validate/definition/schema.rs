//! The schema of a version: what of OpenAPI may be used, and how Kubernetes' extensions fit together.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{defaults, rules, structural};
use crate::custom::Node;
use crate::object::{flag, get, items, text};
use crate::status::{Errors, FieldError};
use crate::validate::path::Path;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What every object has without its schema saying so.
const IMPLICIT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Keywords of JSON Schema that are refused everywhere.
const REFUSED: [&str; 6] = [
    "id",
    "additionalItems",
    "patternProperties",
    "definitions",
    "dependencies",
    "$ref",
];

/// Keywords the root may have beside a `status` subresource: its schema is cut out of the whole.
const WITH_STATUS: [&str; 21] = [
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
];

/// What is wrong with the schema of a version.
pub(super) fn check(schema: &Value, path: &Path, out: &mut Errors) {
    if flag(schema, "nullable") {
        let why = "nullable cannot be true at the root";
        out.push(|| FieldError::forbidden(path.child("nullable"), why));
    }
    let before = out.found();
    let node = Node::parse(schema);
    if node.is_ok() {
        structural::check(schema, path, out);
        if out.found() == before && names_schema(schema) {
            let why = "OpenAPIV3Schema 'schema' is not supported";
            out.push(|| FieldError::invalid(path, "", why));
        }
    }
    if let Ok(node) = &node
        && out.found() == before
    {
        defaults::check(schema, node, path, out);
    }
    let mut walk = Walk { out };
    walk.schema(schema, path, Place::root());
    // What is refused by name says it better.
    if let Err(why) = node
        && out.found() == before
    {
        out.push(|| FieldError::invalid(path, "", why));
    }
}

/// Whether `$schema` stands anywhere in it.
fn names_schema(schema: &Value) -> bool {
    match schema {
        Value::Object(keywords) => keywords.iter().any(|(keyword, value)| {
            // What these hold is data, and what the others hold is schemas, by name or at once.
            let data = matches!(keyword.as_str(), "default" | "enum" | "example");
            let here = keyword == "$schema" && value.as_str().is_some_and(|it| !it.is_empty());
            here || !data && names_schema(value)
        }),
        Value::Array(schemas) => schemas.iter().any(names_schema),
        _ => false,
    }
}

/// What may not stand at the root of a schema beside a `status` subresource.
pub(super) fn beside_status(schema: &Value, path: &Path, out: &mut Errors) {
    let kind = text(schema, "type");
    if kind != "object" {
        let why = "only \"object\" is allowed as the type at the root of the schema if the status \
                   subresource is enabled";
        out.push(|| FieldError::invalid(path.child("type"), kind, why));
    }
    let keys = schema.as_object().into_iter().flat_map(Map::keys);
    let allowed = |key: &str| WITH_STATUS.contains(&key) || key == "x-kubernetes-validations";
    if let Some(key) = keys.into_iter().find(|key| !allowed(key)) {
        let why = format!(
            "only [{} x-kubernetes-validations] fields are allowed at the root of the schema if \
             the status subresource is enabled",
            WITH_STATUS.join(" ")
        );
        out.push(|| FieldError::invalid(path, key.as_str(), why));
    }
}

/// Where in a schema the walk is.
#[derive(Clone, Copy)]
struct Place {
    root: bool,
    /// In the schema of somebody's metadata.
    in_metadata: bool,
    /// Why a default would make no sense.
    no_default: Option<&'static str>,
}

impl Place {
    fn root() -> Place {
        Place {
            root: true,
            in_metadata: false,
            no_default: None,
        }
    }

    fn below(self) -> Place {
        Place {
            root: false,
            ..self
        }
    }
}

struct Walk<'o> {
    out: &'o mut Errors,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, path: &Path, place: Place) {
        if self.out.is_full() {
            return;
        }
        self.standard(schema, path, place);
        if flag(schema, "uniqueItems") {
            let why = "uniqueItems cannot be set to true since the runtime complexity becomes \
                       quadratic";
            self.forbid(path.child("uniqueItems"), why);
        }
        self.children(schema, path, place);
        self.extensions(schema, path);
        self.keyed_list(schema, path);
        rules::shape(schema, path, self.out);
    }

    fn forbid(&mut self, path: Path, why: &str) {
        self.out.push(|| FieldError::forbidden(path, why));
    }

    fn standard(&mut self, schema: &Value, path: &Path, place: Place) {
        let kind = text(schema, "type");
        if kind == "null" {
            let why = "type cannot be set to null, use nullable as an alternative";
            self.forbid(path.child("type"), why);
        } else if !kind.is_empty() && !TYPES.contains(&kind) {
            self.out
                .push(|| FieldError::not_supported(path.child("type"), kind, &TYPES));
        }
        if get(schema, "default").is_some()
            && let Some(reason) = place.no_default
        {
            self.forbid(path.child("default"), &format!("must not be set {reason}"));
        }
        for keyword in REFUSED {
            if get(schema, keyword).is_some() {
                self.forbid(path.child(keyword), &format!("{keyword} is not supported"));
            }
        }
        if schema.get("items").is_some_and(Value::is_array) {
            let why = "items must be a schema object and not an array";
            self.forbid(path.child("items"), why);
        }
        if place.in_metadata && flag(schema, "x-kubernetes-embedded-resource") {
            let path = path.child("x-kubernetes-embedded-resource");
            self.forbid(path, "must not be used inside of resource meta");
        }
    }

    fn children(&mut self, schema: &Value, path: &Path, place: Place) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let some = properties.is_some_and(|properties| !properties.is_empty());
        if let Some(additional @ (Value::Object(_) | Value::Bool(false))) =
            schema.get("additionalProperties")
        {
            let path = path.child("additionalProperties");
            if some {
                let why = "additionalProperties and properties are mutual exclusive";
                self.forbid(path.clone(), why);
            }
            let mut below = place.below();
            if place.in_metadata {
                let why = "inside additionalProperties applying to object metadata";
                below.no_default = Some(why);
            }
            self.schema(additional, &path, below);
        }
        let embedded = flag(schema, "x-kubernetes-embedded-resource");
        for (name, property) in properties.into_iter().flatten() {
            let mut below = place.below();
            if (place.root || embedded) && IMPLICIT.contains(&name.as_str()) {
                below.in_metadata = true;
                if place.root {
                    below.no_default = Some(match name.as_str() {
                        "apiVersion" => "in top-level apiVersion",
                        "kind" => "in top-level kind",
                        _ => "in top-level metadata",
                    });
                }
            }
            self.schema(property, &path.child("properties").key(name), below);
        }
        for keyword in ["allOf", "oneOf", "anyOf"] {
            for (at, schema) in items(schema, keyword).iter().enumerate() {
                self.schema(schema, &path.child(keyword).index(at), place.below());
            }
        }
        for keyword in ["not", "items"] {
            if let Some(schema @ Value::Object(_)) = schema.get(keyword) {
                self.schema(schema, &path.child(keyword), place.below());
            }
        }
    }

    fn extensions(&mut self, schema: &Value, path: &Path) {
        const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
        if schema.get(PRESERVE) == Some(&Value::Bool(false)) {
            let why = "must be true or undefined";
            self.out
                .push(|| FieldError::invalid(path.child(PRESERVE), false, why));
        }
        self.of_type(schema, path, "x-kubernetes-map-type", "object");
        self.one_of(
            schema,
            path,
            "x-kubernetes-map-type",
            &["atomic", "granular"],
        );
        let fits = self.of_type(schema, path, "x-kubernetes-list-type", "array");
        self.one_of(
            schema,
            path,
            "x-kubernetes-list-type",
            &["atomic", "set", "map"],
        );
        let is_set = text(schema, "x-kubernetes-list-type") == "set";
        if fits
            && is_set
            && let Some(item) = schema.get("items")
        {
            let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let keyword = match text(item, "type") {
                "array" if !matches!(text(item, "x-kubernetes-list-type"), "" | "atomic") => {
                    "x-kubernetes-list-type"
                }
                "object" if text(item, "x-kubernetes-map-type") != "atomic" => {
                    "x-kubernetes-map-type"
                }
                _ => return,
            };
            let path = path.child("items").child(keyword);
            let value = get(item, keyword).cloned().unwrap_or_default();
            self.out.push(|| FieldError::invalid(path, value, why));
        }
    }

    /// An extension that makes sense for one type only; whether it is there and fits.
    fn of_type(&mut self, schema: &Value, path: &Path, keyword: &str, want: &str) -> bool {
        let kind = text(schema, "type");
        if get(schema, keyword).is_none() || kind == want {
            return get(schema, keyword).is_some();
        }
        let why = format!("must be {want} if {keyword} is specified");
        let path = path.child("type");
        self.out.push(|| match kind {
            "" => FieldError::required(path, why),
            kind => FieldError::invalid(path, kind, why),
        });
        false
    }

    fn one_of(&mut self, schema: &Value, path: &Path, keyword: &str, known: &[&str]) {
        let value = text(schema, keyword);
        if get(schema, keyword).is_some() && !known.contains(&value) {
            self.out
                .push(|| FieldError::not_supported(path.child(keyword), value, known));
        }
    }

    /// Lists whose items are told apart by keys.
    fn keyed_list(&mut self, schema: &Value, path: &Path) {
        const LIST_TYPE: &str = "x-kubernetes-list-type";
        const KEYS: &str = "x-kubernetes-list-map-keys";
        let (kind, keys) = (text(schema, LIST_TYPE), items(schema, KEYS));
        if !keys.is_empty() && kind != "map" {
            let why = "must be map if x-kubernetes-list-map-keys is non-empty";
            self.out.push(|| match get(schema, LIST_TYPE) {
                None => FieldError::required(path.child(LIST_TYPE), why),
                Some(_) => FieldError::invalid(path.child(LIST_TYPE), kind, why),
            });
        }
        if !matches!(kind, "map" | "set") {
            return;
        }
        let item = schema.get("items").unwrap_or(&Value::Null);
        let at = path.child("items");
        if flag(item, "nullable") {
            let why = format!("cannot be nullable when x-kubernetes-list-type is {kind}");
            self.forbid(at.child("nullable"), &why);
        }
        if kind == "set" {
            return;
        }
        if keys.is_empty() {
            let why = "must not be empty if x-kubernetes-list-type is map";
            self.out
                .push(|| FieldError::required(path.child(KEYS), why));
        }
        if item.is_null() {
            let why = "must have a schema if x-kubernetes-list-type is map";
            self.out.push(|| FieldError::required(at, why));
            return;
        }
        if text(item, "type") != "object" {
            let why = "must be object if parent array's x-kubernetes-list-type is map";
            self.out
                .push(|| FieldError::invalid(at.child("type"), text(item, "type"), why));
            return;
        }
        let required: HashSet<&str> = items(item, "required")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut seen = HashSet::new();
        for key in keys {
            // Each error shows all keys.
            if self.out.is_full() {
                return;
            }
            if item
                .get("properties")
                .is_none_or(|all| all.get(key.as_str().unwrap_or("")).is_none())
            {
                let why = "entries must all be names of item properties";
                self.out
                    .push(|| FieldError::invalid(path.child(KEYS), keys, why));
            }
            let name = key.as_str().unwrap_or("");
            self.map_key(item, &at, name, required.contains(name));
            if !seen.insert(name) {
                let why = "must not contain duplicate entries";
                self.out
                    .push(|| FieldError::invalid(path.child(KEYS), keys, why));
            }
        }
    }

    fn map_key(&mut self, item: &Value, path: &Path, key: &str, required: bool) {
        let Some(property) = item.get("properties").and_then(|all| all.get(key)) else {
            return;
        };
        let path = path.child("properties").key(key);
        let kind = text(property, "type");
        if matches!(kind, "array" | "object") {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            self.out
                .push(|| FieldError::invalid(path.child("type"), kind, why));
        }
        if !required && get(property, "default").is_none() {
            let why = "this property is in x-kubernetes-list-map-keys, so it must have a default \
                       or be a required property";
            self.out
                .push(|| FieldError::required(path.child("default"), why));
        }
        if flag(property, "nullable") {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            self.forbid(path.child("nullable"), why);
        }
    }
}

/// The schema of the field a simple path leads to (`.spec.color`).
pub(super) fn field<'s>(schema: &'s Value, path: &str) -> Result<&'s Value, String> {
    const NOTHING: &str = "does not refer to a valid field";
    let Some(rest) = path.strip_prefix('.') else {
        return Err(format!("expected [ or . but got: {path}"));
    };
    let mut node = schema;
    for name in rest.split('.') {
        if name.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        if name.contains('[') {
            return Err("array notation is not allowed".to_owned());
        }
        let properties = node.get("properties").and_then(Value::as_object);
        node = match (properties, node.get("additionalProperties")) {
            (Some(properties), _) => properties.get(name).ok_or(NOTHING)?,
            (None, Some(schema @ Value::Object(_))) => schema,
            _ => return Err(NOTHING.to_owned()),
        };
    }
    Ok(node)
}
