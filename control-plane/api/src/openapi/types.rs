//! Types of the registry as OpenAPI schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Described;
use super::own::{self, TypeMeta};
use super::shapes::{META, describe, property, scalars};
use crate::schema::{
    Descriptions, Gvk, MapType, Schemas, Shape, Type, TypeDescriptions, TypeId, schemas,
};

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// Every schema the resources lead to.
pub(super) fn of<'d>(
    rows: &'d [Described<'d>],
    descriptions: &'d Descriptions,
) -> impl Iterator<Item = (String, Value)> + use<'d> {
    let schemas = schemas();
    let options = options(rows);
    let described = closure(schemas, rows).into_iter().map(move |id| {
        let ty = schemas.get(id);
        let kinds = match &*ty.name {
            DELETE_OPTIONS => options.clone(),
            _ => ty.gvk.iter().cloned().collect(),
        };
        (
            ty.name.to_string(),
            object(schemas, ty, &descriptions.of(schemas, id), &kinds),
        )
    });
    described.chain(own(rows, descriptions)).chain(scalars())
}

/// The kinds that are not in the registry, and their lists.
fn own<'d>(
    rows: &'d [Described<'d>],
    descriptions: &Descriptions,
) -> impl Iterator<Item = (String, Value)> + use<'d> {
    let own = rows
        .iter()
        .filter_map(|row| Some((row.resource, row.schema?)));
    let common = type_meta(descriptions);
    own.flat_map(move |(resource, schema)| {
        let name = resource.type_name;
        [
            (name.to_owned(), own::kind(resource, schema, &common)),
            (format!("{name}List"), own::list(resource, &common)),
        ]
    })
}

/// What the registry says about the fields every object has.
fn type_meta(descriptions: &Descriptions) -> TypeMeta {
    let schemas = schemas();
    let field = |kind: &str, name: &str| {
        let id = schemas.by_gvk("", "v1", kind)?;
        let at = schemas.get(id).position(name)?;
        let described = descriptions.of(schemas, id);
        Some(described.fields[at].text.to_owned())
    };
    let text = |kind: &str, name: &str| field(kind, name).unwrap_or_default();
    let string = |name| json!({ "description": text("ConfigMap", name), "type": "string" });
    TypeMeta {
        api_version: string("apiVersion"),
        kind: string("kind"),
        metadata: text("ConfigMap", "metadata"),
        list_metadata: text("ConfigMapList", "metadata"),
    }
}

/// The kinds `DeleteOptions` may say it is: one in every group and version.
fn options(rows: &[Described]) -> Vec<Gvk> {
    let kind = |group: &str, version: &str| Gvk {
        group: group.into(),
        version: version.into(),
        kind: "DeleteOptions".into(),
    };
    let groups: BTreeSet<(&str, &str)> = rows
        .iter()
        .map(|row| (row.resource.group, row.resource.version))
        .chain([("", "v1")])
        .collect();
    groups
        .into_iter()
        .map(|(group, version)| kind(group, version))
        .collect()
}

/// The types reachable from the resources, in the order of their names.
fn closure(schemas: &Schemas, rows: &[Described]) -> BTreeSet<TypeId> {
    let of_row = |row: &Described| {
        let parts = row
            .resource
            .subresources
            .iter()
            .filter_map(|part| schemas.by_gvk(part.group, part.version, part.kind));
        let name = match row.schema {
            None => row.resource.type_name.to_owned(),
            Some(_) => format!("{META}.ObjectMeta"),
        };
        let list = match row.schema {
            None => format!("{name}List"),
            Some(_) => format!("{META}.ListMeta"),
        };
        let own = [name, list].into_iter();
        let own = own.filter_map(|name| schemas.by_name(&name));
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

fn object(schemas: &Schemas, ty: &Type, described: &TypeDescriptions<'_>, kinds: &[Gvk]) -> Value {
    let mut schema = Map::new();
    describe(&mut schema, Some(described.text));
    schema.insert("type".to_owned(), "object".into());
    let mut properties = Map::new();
    for (field, description) in ty.fields().iter().zip(&described.fields) {
        let property = property(schemas, ty, field, description);
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
    if !kinds.is_empty() {
        let kinds = kinds.iter().map(
            |gvk| json!({ "group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind }),
        );
        schema.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            kinds.collect(),
        );
    }
    if ty.map_type == MapType::Atomic {
        schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    if let Some(union) = union(&ty.name) {
        schema.insert("x-kubernetes-unions".to_owned(), json!([union]));
    }
    schema.into()
}

/// Types of which one field says which of the others counts.
fn union(name: &str) -> Option<Value> {
    let (discriminator, fields) = match name.strip_prefix("io.k8s.api.")? {
        "core.v1.AppArmorProfile" | "core.v1.SeccompProfile" => {
            ("type", json!({"localhostProfile": "LocalhostProfile"}))
        }
        "core.v1.PodSchedulingGroup" => ("", json!({"podGroupName": "PodGroupName"})),
        "flowcontrol.v1.LimitResponse" => ("type", json!({"queuing": "Queuing"})),
        "flowcontrol.v1.PriorityLevelConfigurationSpec" => {
            ("type", json!({"exempt": "Exempt", "limited": "Limited"}))
        }
        "flowcontrol.v1.Subject" => (
            "kind",
            json!({"group": "Group", "serviceAccount": "ServiceAccount", "user": "User"}),
        ),
        _ => return None,
    };
    let mut union = json!({ "fields-to-discriminateBy": fields });
    if !discriminator.is_empty() {
        union["discriminator"] = discriminator.into();
    }
    Some(union)
}
