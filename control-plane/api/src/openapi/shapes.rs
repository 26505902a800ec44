//! Fields and what they hold, as OpenAPI schemas.

use serde_json::{Map, Value, json};

use crate::schema::{Description, Field, ListType, MapType, Schemas, Shape, Type};

pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A reference to a schema of the same document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of the schema every PATCH body has.
pub(super) fn patch() -> String {
    format!("{META}.Patch")
}

/// The schema of a field.
pub(super) fn property(
    schemas: &Schemas,
    ty: &Type,
    field: &Field,
    described: &Description<'_>,
) -> Value {
    /// Types that describe schemas, where a free value is any JSON and not just an object.
    const SCHEMATIC: &str = "io.k8s.apiextensions-apiserver.";
    let mut schema = Map::new();
    describe(&mut schema, Some(described.text));
    let free = if ty.name.starts_with(SCHEMATIC) {
        Map::new()
    } else {
        typed("object")
    };
    schema.extend(shape(schemas, &field.shape, &free));
    if !described.values.is_empty() {
        enumerate(&mut schema, &described.values);
    }
    if let Some(default) = &field.default {
        schema.insert("default".to_owned(), (**default).clone());
    }
    let mut extension = |name: &str, value: Value| {
        schema.insert(format!("x-kubernetes-{name}"), value);
    };
    if matches!(field.shape, Shape::List(_)) {
        let list_type = match field.list_type {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        extension("list-type", list_type.into());
    }
    if !field.map_keys.is_empty() {
        extension(
            "list-map-keys",
            field
                .map_keys
                .iter()
                .map(|key| Value::from(&**key))
                .collect(),
        );
    }
    // Of objects their type says it.
    if field.map_type == MapType::Atomic && matches!(field.shape, Shape::Map(_)) {
        extension("map-type", "atomic".into());
    }
    if let Some(key) = &field.patch_merge_key {
        extension("patch-merge-key", (**key).into());
    }
    let strategy = match (field.patch_merge, field.patch_retain_keys) {
        (true, true) => Some("merge,retainKeys"),
        (true, false) => Some("merge"),
        (false, true) => Some("retainKeys"),
        (false, false) => None,
    };
    if let Some(strategy) = strategy {
        extension("patch-strategy", strategy.into());
    }
    schema.into()
}

/// Lists the values a string may have, where it stands: itself, or as the item of a list or map.
fn enumerate(schema: &mut Map<String, Value>, values: &[&str]) {
    for inner in ["items", "additionalProperties"] {
        if let Some(Value::Object(inner)) = schema.get_mut(inner) {
            return enumerate(inner, values);
        }
    }
    schema.insert("enum".to_owned(), values.into());
}

/// Beside a bare $ref nothing else counts, hence the list of one.
pub(super) fn referring(name: &str) -> Map<String, Value> {
    Map::from_iter([("allOf".to_owned(), Value::Array(vec![reference(name)]))])
}

/// Says what something is, if anybody knows. A schema that says nothing at all would be none to kubectl explain.
pub(super) fn describe(schema: &mut Map<String, Value>, description: Option<&str>) {
    let nothing = schema.is_empty().then_some("Any JSON value.");
    if let Some(text) = description.filter(|text| !text.is_empty()).or(nothing) {
        schema.insert("description".to_owned(), text.into());
    }
}

fn typed(name: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), Value::from(name))])
}

/// `free` is what a value of any form is.
fn shape(schemas: &Schemas, shape: &Shape, free: &Map<String, Value>) -> Map<String, Value> {
    let formatted = |name: &str, format: &str| {
        let mut schema = typed(name);
        schema.insert("format".to_owned(), format.into());
        schema
    };
    match shape {
        Shape::String => typed("string"),
        Shape::Bool => typed("boolean"),
        Shape::Int32 => formatted("integer", "int32"),
        Shape::Int64 => formatted("integer", "int64"),
        Shape::Number => formatted("number", "double"),
        Shape::Bytes => formatted("string", "byte"),
        Shape::Any => free.clone(),
        Shape::Time => referring(&format!("{META}.Time")),
        Shape::MicroTime => referring(&format!("{META}.MicroTime")),
        Shape::Quantity => referring("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Shape::IntOrString => referring("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Shape::Object(id) => referring(&schemas.get(*id).name),
        Shape::List(item) => {
            let mut schema = typed("array");
            schema.insert("items".to_owned(), self::shape(schemas, item, free).into());
            schema
        }
        Shape::Map(item) => {
            let mut schema = typed("object");
            schema.insert(
                "additionalProperties".to_owned(),
                self::shape(schemas, item, free).into(),
            );
            schema
        }
    }
}

/// The types that are scalars in JSON, and the body of a patch.
pub(super) fn scalars() -> impl Iterator<Item = (String, Value)> {
    let time = |what: &str| json!({ "description": what, "type": "string", "format": "date-time" });
    [
        (
            format!("{META}.Time"),
            time("A time in RFC 3339 form, to the second."),
        ),
        (
            format!("{META}.MicroTime"),
            time("A time in RFC 3339 form, to the microsecond."),
        ),
        (
            "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
            json!({
                "description": "An amount of a resource: a number with an optional suffix, \
                    decimal (m, k, M, G, T, P, E) or binary (Ki, Mi, Gi, Ti, Pi, Ei).",
                "oneOf": [{ "type": "string" }, { "type": "number" }],
            }),
        ),
        (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned(),
            json!({
                "description": "An integer or a string: a port or its name, a number or a \
                    percentage.",
                "format": "int-or-string",
                "oneOf": [{ "type": "integer" }, { "type": "string" }],
            }),
        ),
        (
            patch(),
            json!({
                "description": "A change to an object, in the form its content type says.",
                "type": "object",
            }),
        ),
    ]
    .into_iter()
}
