//! Joins the three sources into the types of the registry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::Result;
use crate::names::{gvk, message_name, well_known};
use crate::overlay::Overlay;
use crate::proto::{self, Messages};
use crate::shapes::{Definitions, REFERENCE};
use crate::types::{Field, Shape, Type};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The types of the registry, sorted by name.
pub(crate) fn merge(
    definitions: Definitions,
    messages: &Messages,
    overlay: &Overlay,
) -> Result<Vec<Type>> {
    let source = Source {
        definitions: &definitions,
        messages,
        overlay,
    };
    let mut types = BTreeMap::new();
    for (name, schema) in &definitions {
        if let Some(ty) = source.ty(name, schema)? {
            if let Some(list) = source.list_of(&ty) {
                types.insert(list.name.clone(), list);
            }
            types.insert(name.clone(), ty);
        }
    }
    Ok(types.into_values().collect())
}

struct Source<'a> {
    definitions: &'a Definitions,
    messages: &'a Messages,
    overlay: &'a Overlay,
}

/// A field as the wire knows it.
struct Wire<'a> {
    message: String,
    field: Option<&'a proto::Field>,
    tag: u32,
    inline: Vec<u32>,
}

impl Source<'_> {
    /// `None` for definitions that are scalars or free-form: they are shapes, not types.
    fn ty(&self, name: &str, schema: &Value) -> Result<Option<Type>> {
        let Some(properties) = schema["properties"].as_object() else {
            return Ok(None);
        };
        if well_known(name).is_some() {
            return Ok(None);
        }
        let gvk = gvk(name, properties)?;
        let required = schema["required"].as_array();
        let message = message_name(name);
        let mut fields = Vec::new();
        for (json, property) in properties {
            let shape = self
                .shape(property)
                .map_err(|error| format!("{name}.{json}: {error}"))?;
            // k8s-openapi demands metadata of every kind because its types do; the API does not.
            let optional = json == "metadata" && gvk.is_some()
                || listed(&self.overlay.optional, &message, json);
            let mut field = Field {
                name: json.clone(),
                description: text(property),
                required: !optional
                    && required.is_some_and(|all| all.iter().any(|one| one == json)),
                ..Field::default()
            };
            self.facts(&mut field, property, &shape, &message, properties)
                .map_err(|error| format!("{name}.{json}: {error}"))?;
            field.shape = shape;
            fields.push(field);
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(Type {
            name: name.to_owned(),
            description: text(schema),
            gvk,
            atomic: self.is_atomic(&message),
            fields,
        }))
    }

    fn is_atomic(&self, message: &str) -> bool {
        let found = self.messages.get(message);
        found.is_some_and(|it| it.markers.contains(&atomic("structType")))
    }

    fn shape(&self, schema: &Value) -> Result<Shape> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference
                .strip_prefix(REFERENCE)
                .ok_or("an unknown kind of $ref")?;
            if let Some(shape) = well_known(name) {
                return Ok(shape);
            }
            let target = self.definitions.get(name).ok_or("a dangling $ref")?;
            return match target["properties"].is_object() {
                true => Ok(Shape::Object(name.to_owned())),
                false if target["type"] == "object" => Ok(Shape::Any),
                false => self.shape(target),
            };
        }
        let format = schema["format"].as_str();
        Ok(match (schema["type"].as_str(), format) {
            (Some("string"), None) => Shape::String,
            (Some("string"), Some("byte")) => Shape::Bytes,
            (Some("boolean"), _) => Shape::Bool,
            (Some("integer"), Some("int32")) => Shape::Int32,
            (Some("integer"), _) => Shape::Int64,
            (Some("number"), _) => Shape::Number,
            (Some("array"), _) => Shape::List(Box::new(self.shape(&schema["items"])?)),
            (Some("object"), _) if schema["additionalProperties"].is_object() => {
                Shape::Map(Box::new(self.shape(&schema["additionalProperties"])?))
            }
            (Some("object"), _) => Shape::Any,
            (ty, format) => return Err(format!("unknown type {ty:?} of format {format:?}")),
        })
    }

    /// Fills in what the JSON Schema does not say.
    fn facts(
        &self,
        field: &mut Field,
        property: &Value,
        shape: &Shape,
        message: &str,
        properties: &Map<String, Value>,
    ) -> Result<()> {
        field.map_atomic = match shape {
            Shape::Object(target) => self.is_atomic(&message_name(target)),
            // Free-form objects of other types merge key by key.
            Shape::Any => property["$ref"]
                .as_str()
                .is_some_and(|name| name.ends_with(".RawExtension")),
            _ => false,
        };
        field.always = field.required
            || field.name == "metadata"
            || listed(&self.overlay.always, message, &field.name);
        let Some(wire) = self.wire(&field.name, message, properties) else {
            return Ok(());
        };
        field.pointer = listed(&self.overlay.pointers, &wire.message, &field.name);
        if let Some(found) = wire.field {
            field.markers(&found.markers)?;
        }
        let markers = self.overlay.markers.get(&wire.message);
        if let Some(markers) = markers.and_then(|fields| fields.get(&field.name)) {
            field.markers(markers)?;
        }
        field.tag = Some(wire.tag);
        field.inline = wire.inline;
        Ok(())
    }

    fn wire(&self, json: &str, message: &str, properties: &Map<String, Value>) -> Option<Wire<'_>> {
        let renamed = self
            .overlay
            .names
            .get(message)
            .and_then(|names| names.get(json));
        if let Some(found) = self.messages.get(message) {
            let name = renamed.map_or(json, String::as_str);
            if let Some(field) = found.field(name) {
                let message = message.to_owned();
                return Some(Wire {
                    message,
                    field: Some(field),
                    tag: field.tag,
                    inline: vec![],
                });
            }
            for nested in &found.fields {
                let inlined = self.overlay.inline.contains(&decapitalized(&nested.name))
                    && !properties.contains_key(&nested.name)
                    && !nested.repeated;
                if inlined && let Some(mut wire) = self.wire(json, &nested.ty, properties) {
                    wire.inline.insert(0, nested.tag);
                    return Some(wire);
                }
            }
        }
        let tag = *self.overlay.tags.get(message)?.get(json)?;
        Some(Wire {
            message: message.to_owned(),
            field: None,
            tag,
            inline: vec![],
        })
    }

    /// The list type of a kind; k8s-openapi has one generic type for all of them.
    fn list_of(&self, ty: &Type) -> Option<Type> {
        let [group, version, kind] = ty.gvk.as_ref()?;
        let message = format!("{}List", message_name(&ty.name));
        let found = self.messages.get(&message);
        if found.is_none() && !self.overlay.tags.contains_key(&message) {
            return None;
        }
        let described = |field: &str| {
            let field = found.and_then(|message| message.field(field));
            field
                .map(|field| field.description.clone())
                .unwrap_or_default()
        };
        let from_kind = |name: &str| {
            let field = ty.fields.iter().find(|field| field.name == name);
            let description = field
                .map(|field| field.description.clone())
                .unwrap_or_default();
            Field {
                name: name.to_owned(),
                description,
                shape: Shape::String,
                ..Field::default()
            }
        };
        let items = Field {
            name: "items".to_owned(),
            description: described("items"),
            shape: Shape::List(Box::new(Shape::Object(ty.name.clone()))),
            required: true,
            tag: Some(2),
            ..Field::default()
        };
        let metadata = Field {
            name: "metadata".to_owned(),
            description: described("metadata"),
            shape: Shape::Object(format!("{META}.ListMeta")),
            tag: Some(1),
            ..Field::default()
        };
        Some(Type {
            name: format!("{}List", ty.name),
            description: found
                .map(|message| message.description.clone())
                .unwrap_or_default(),
            gvk: Some([group.clone(), version.clone(), format!("{kind}List")]),
            atomic: false,
            fields: vec![from_kind("apiVersion"), items, from_kind("kind"), metadata],
        })
    }
}

/// Whether the overlay has the field of the message in a list.
fn listed(list: &BTreeMap<String, BTreeSet<String>>, message: &str, field: &str) -> bool {
    list.get(message)
        .is_some_and(|fields| fields.contains(field))
}

fn atomic(marker: &str) -> String {
    format!("{marker}=atomic")
}

fn decapitalized(name: &str) -> String {
    let mut chars = name.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(chars)
        .collect()
}

fn text(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}
