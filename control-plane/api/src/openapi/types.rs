//! Types of the registry as OpenAPI schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::resource::Resource;
use crate::schema::{
    Descriptions, Field, Gvk, ListType, MapType, Schemas, Shape, Type, TypeId, schemas,
};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// A reference to a schema of the same document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of the schema every PATCH body has.
pub(super) fn patch() -> String {
    format!("{META}.Patch")
}

/// Every schema the resources of a group version lead to.
pub(super) fn of<'d>(
    rows: &[&'static Resource],
    (group, version): (&str, &str),
    descriptions: &'d Descriptions,
) -> impl Iterator<Item = (String, Value)> + use<'d> {
    let schemas = schemas();
    let own = Gvk {
        group: group.into(),
        version: version.into(),
        kind: "DeleteOptions".into(),
    };
    let described = closure(schemas, rows).into_iter().map(move |id| {
        let ty = schemas.get(id);
        (
            ty.name.to_string(),
            object(schemas, ty, descriptions.of(id), &own),
        )
    });
    described.chain(scalars())
}

/// The types reachable from the resources, in the order of their names.
fn closure(schemas: &Schemas, rows: &[&Resource]) -> BTreeSet<TypeId> {
    let of_row = |row: &&Resource| {
        let parts = row
            .subresources
            .iter()
            .filter_map(|part| schemas.by_gvk(part.group, part.version, part.kind));
        let kinds = [row.type_name.to_owned(), format!("{}List", row.type_name)];
        let own = kinds.into_iter().filter_map(|name| schemas.by_name(&name));
        own.chain(parts).collect::<Vec<_>>()
    };
    let mut open: Vec<TypeId> = rows.iter().flat_map(of_row).collect();
    open.extend(
        [DELETE_OPTIONS, STATUS]
            .iter()
            .filter_map(|name| schemas.by_name(name)),
    );
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        if reached.insert(id) {
            open.extend(
                schemas
                    .get(id)
                    .fields()
                    .iter()
                    .filter_map(|field| target(&field.shape)),
            );
        }
    }
    reached
}

fn target(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Object(id) => Some(*id),
        Shape::List(item) | Shape::Map(item) => target(item),
        _ => None,
    }
}

fn object<'d>(
    schemas: &Schemas,
    ty: &Type,
    mut descriptions: impl Iterator<Item = &'d str>,
    own_options: &Gvk,
) -> Value {
    let mut schema = Map::new();
    describe(&mut schema, descriptions.next());
    schema.insert("type".to_owned(), "object".into());
    let mut properties = Map::new();
    // A description for each field follows that of the type.
    for (field, description) in ty.fields().iter().zip(descriptions) {
        let property = property(schemas, field, description);
        properties.insert(field.name.to_string(), property);
    }
    let required: Vec<&str> = ty
        .fields()
        .iter()
        .filter(|field| field.required)
        .map(|field| &*field.name)
        .collect();
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    let mut kinds: Vec<&Gvk> = ty.gvk.iter().collect();
    if *ty.name == *DELETE_OPTIONS && !own_options.group.is_empty() {
        kinds.push(own_options);
    }
    if !kinds.is_empty() {
        let kinds = kinds.into_iter().map(
            |gvk| json!({ "group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind }),
        );
        schema.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            kinds.collect(),
        );
    }
    schema.into()
}

fn property(schemas: &Schemas, field: &Field, description: &str) -> Value {
    let mut schema = Map::new();
    describe(&mut schema, Some(description));
    schema.extend(shape(schemas, &field.shape));
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
    if field.map_type == MapType::Atomic {
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

fn describe(schema: &mut Map<String, Value>, description: Option<&str>) {
    if let Some(text) = description.filter(|text| !text.is_empty()) {
        schema.insert("description".to_owned(), text.into());
    }
}

fn shape(schemas: &Schemas, shape: &Shape) -> Map<String, Value> {
    let typed = |name: &str| Map::from_iter([("type".to_owned(), Value::from(name))]);
    let formatted = |name: &str, format: &str| {
        let mut schema = typed(name);
        schema.insert("format".to_owned(), format.into());
        schema
    };
    // Beside a bare $ref nothing else counts, hence the list of one.
    let referring =
        |name: &str| Map::from_iter([("allOf".to_owned(), Value::Array(vec![reference(name)]))]);
    match shape {
        Shape::String => typed("string"),
        Shape::Bool => typed("boolean"),
        Shape::Int32 => formatted("integer", "int32"),
        Shape::Int64 => formatted("integer", "int64"),
        Shape::Number => formatted("number", "double"),
        Shape::Bytes => formatted("string", "byte"),
        Shape::Any => typed("object"),
        Shape::Time => referring(&format!("{META}.Time")),
        Shape::MicroTime => referring(&format!("{META}.MicroTime")),
        Shape::Quantity => referring("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Shape::IntOrString => referring("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Shape::Object(id) => referring(&schemas.get(*id).name),
        Shape::List(item) => {
            let mut schema = typed("array");
            schema.insert("items".to_owned(), self::shape(schemas, item).into());
            schema
        }
        Shape::Map(item) => {
            let mut schema = typed("object");
            schema.insert(
                "additionalProperties".to_owned(),
                self::shape(schemas, item).into(),
            );
            schema
        }
    }
}

/// The types that are scalars in JSON, and the body of a patch.
fn scalars() -> impl Iterator<Item = (String, Value)> {
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
