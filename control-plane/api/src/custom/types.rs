//! The schemas of a definition as types, the way server-side apply reads those of built-in kinds.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::schema::{Additional, Kind, Node};
use crate::schema::{Field, Gvk, Index, ListType, MapType, Schemas, Shape, Type, TypeId, schemas};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The types of all versions of a definition.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) schemas: Schemas,
    /// The type of each version's objects.
    pub(crate) roots: Vec<TypeId>,
}

/// A version: its name and its schema.
type Version<'a> = (&'a str, &'a Node);

impl Types {
    pub(super) fn new(group: &str, kind: &str, versions: &[Version<'_>]) -> Types {
        let mut builder = Builder::new();
        let roots = versions
            .iter()
            .map(|(version, node)| {
                let gvk = Gvk {
                    group: group.into(),
                    version: (*version).into(),
                    kind: kind.into(),
                };
                let fields = builder.fields(node, node.preserve);
                let fields = with_identity(fields, &builder.metadata);
                builder.add(Type {
                    gvk: Some(gvk),
                    ..object(fields, node.preserve, node.atomic)
                })
            })
            .collect();
        let types = builder.types.into();
        Types {
            schemas: Schemas { types },
            roots,
        }
    }
}

struct Builder {
    types: Vec<Type>,
    /// Metadata is that of built-in kinds.
    metadata: Shape,
}

impl Builder {
    fn new() -> Builder {
        let mut builder = Builder {
            types: Vec::new(),
            metadata: Shape::Any,
        };
        if let Some(id) = schemas().by_name(OBJECT_META) {
            let id = builder.copy(id, &mut HashMap::new());
            builder.metadata = Shape::Object(id);
        }
        builder
    }

    /// Types are numbered with 16 bits. A definition of a few megabytes may have more objects: what is left is free-form.
    fn is_full(&self) -> bool {
        self.types.len() >= usize::from(u16::MAX)
    }

    fn add(&mut self, ty: Type) -> TypeId {
        let id = TypeId(u16::try_from(self.types.len()).unwrap_or(u16::MAX));
        self.types.push(ty);
        id
    }

    fn copy(&mut self, id: TypeId, copied: &mut HashMap<TypeId, TypeId>) -> TypeId {
        if let Some(known) = copied.get(&id) {
            return *known;
        }
        let mut ty = schemas().get(id).clone();
        for field in &mut ty.fields {
            field.shape = self.copy_shape(&field.shape, copied);
        }
        let new = self.add(ty);
        copied.insert(id, new);
        new
    }

    fn copy_shape(&mut self, shape: &Shape, copied: &mut HashMap<TypeId, TypeId>) -> Shape {
        match shape {
            Shape::Object(id) => Shape::Object(self.copy(*id, copied)),
            Shape::List(item) => Shape::List(Box::new(self.copy_shape(item, copied))),
            Shape::Map(item) => Shape::Map(Box::new(self.copy_shape(item, copied))),
            plain => plain.clone(),
        }
    }

    fn fields(&mut self, node: &Node, open: bool) -> Vec<Field> {
        node.properties
            .iter()
            .map(|(name, node)| {
                let shape = self.shape(node, open);
                field(name, node, shape)
            })
            .collect()
    }

    /// `open`: whether something around the node keeps what is not known.
    fn shape(&mut self, node: &Node, open: bool) -> Shape {
        let open = open || node.preserve;
        match node.kind {
            _ if node.int_or_string => Shape::IntOrString,
            None => Shape::Any,
            Some(Kind::String) => Shape::String,
            Some(Kind::Boolean) => Shape::Bool,
            Some(Kind::Integer) => Shape::Int64,
            Some(Kind::Number) => Shape::Number,
            Some(Kind::Array) => Shape::List(Box::new(match &node.items {
                Some(item) => self.shape(item, open),
                None => Shape::Any,
            })),
            Some(Kind::Object) => self.object(node, open),
        }
    }

    fn object(&mut self, node: &Node, open: bool) -> Shape {
        if self.is_full() {
            return Shape::Any;
        }
        if node.properties.is_empty() && !node.embedded {
            return match node.additional.as_deref() {
                Some(Additional::Schema(value)) => Shape::Map(Box::new(self.shape(value, open))),
                // What nothing is said of is free-form.
                _ => Shape::Any,
            };
        }
        let mut fields = self.fields(node, open);
        if node.embedded {
            fields = with_identity(fields, &self.metadata);
        }
        Shape::Object(self.add(object(fields, open, node.atomic)))
    }
}

fn object(fields: Vec<Field>, open: bool, atomic: bool) -> Type {
    let fields: Box<[Field]> = fields.into();
    Type {
        name: "".into(),
        gvk: None,
        map_type: map_type(atomic),
        open,
        index: Index::new(&fields),
        fields,
    }
}

/// What every object says about itself, in place of what the schema says about that.
fn with_identity(mut fields: Vec<Field>, metadata: &Shape) -> Vec<Field> {
    let own = ["apiVersion", "kind", "metadata"];
    fields.retain(|field| !own.contains(&&*field.name));
    let plain = Node::default();
    fields.push(field("apiVersion", &plain, Shape::String));
    fields.push(field("kind", &plain, Shape::String));
    fields.push(field("metadata", &plain, metadata.clone()));
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

fn field(name: &str, node: &Node, shape: Shape) -> Field {
    let keys = node.list_map_keys.iter();
    Field {
        name: name.into(),
        shape,
        required: false,
        list_type: node.list_type.unwrap_or(ListType::Atomic),
        map_keys: keys.map(|key| Arc::from(&**key)).collect(),
        map_type: map_type(node.atomic),
        patch_merge_key: None,
        patch_merge: false,
        patch_retain_keys: false,
        default: node.default.clone(),
        tag: None,
        inline: Box::default(),
        pointer: false,
        always: false,
    }
}

fn map_type(atomic: bool) -> MapType {
    if atomic {
        MapType::Atomic
    } else {
        MapType::Granular
    }
}

/// The one conversion there is, as far as owners of fields see it.
pub(crate) fn convert(value: &Value, api_version: &str) -> Option<Value> {
    let mut value = value.clone();
    crate::object::set(&mut value, "apiVersion", api_version);
    Some(value)
}
