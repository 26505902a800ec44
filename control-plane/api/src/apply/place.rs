//! How the value at a place of a type merges: what apply reads from the schema registry.
//!
//! Everything in here works on any [`Schemas`], so that types which are not built in merge by the
//! same rules.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::path::{KeyField, PathElement};
use crate::schema::{Field, ListType, MapType, Schemas, Shape, Type, TypeId};

/// A place in the tree of a type.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    schemas: &'a Schemas,
    of: Of<'a>,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    Type(TypeId),
    Field(&'a Field),
    /// An item of a list or map.
    Item(&'a Shape),
    /// Free-form: maps merge by key, lists are replaced.
    Deduced,
    /// Free-form and replaced as a whole.
    Untyped,
}

/// How a value merges.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    Scalar(Scalar),
    List(List<'a>),
    Object(Object<'a>),
}

/// What a scalar may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scalar {
    Text,
    Number,
    Bool,
    Any,
}

/// How a list merges.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) merge: Merge<'a>,
    pub(super) item: Place<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Merge<'a> {
    Atomic,
    Set,
    Keyed(&'a [Arc<str>]),
}

/// How an object or map merges.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) atomic: bool,
    content: Content<'a>,
    schemas: &'a Schemas,
}

#[derive(Clone, Copy)]
enum Content<'a> {
    Fields(&'a Type),
    Entries(Place<'a>),
}

/// Whether a key that the schema demands reads as its zero value when it is left out, as it does
/// in objects the server keeps and does not in what a client applies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingKeys {
    Zero,
    Missing,
}

impl<'a> Place<'a> {
    /// The root of objects of a type.
    pub(super) fn root(schemas: &'a Schemas, ty: TypeId) -> Place<'a> {
        Place {
            schemas,
            of: Of::Type(ty),
        }
    }

    /// How `value` merges here. Only places without a schema look at it.
    pub(super) fn form(self, value: Option<&Value>) -> Form<'a> {
        match self.of {
            Of::Type(id) => self.object(id, None),
            Of::Field(field) => self.shaped(&field.shape, Some(field), value),
            Of::Item(shape) => self.shaped(shape, None, value),
            Of::Deduced => self.free(value, false),
            Of::Untyped => self.free(value, true),
        }
    }

    fn shaped(self, shape: &'a Shape, field: Option<&'a Field>, value: Option<&Value>) -> Form<'a> {
        let atomic = field.map(|field| field.map_type == MapType::Atomic);
        match shape {
            Shape::String | Shape::Bytes => Form::Scalar(Scalar::Text),
            Shape::Bool => Form::Scalar(Scalar::Bool),
            Shape::Int32 | Shape::Int64 | Shape::Number => Form::Scalar(Scalar::Number),
            Shape::Time | Shape::MicroTime | Shape::Quantity | Shape::IntOrString => {
                Form::Scalar(Scalar::Any)
            }
            Shape::Any if atomic == Some(true) => self.at(Of::Untyped).free(value, true),
            Shape::Any => self.at(Of::Deduced).free(value, false),
            Shape::Object(id) => self.object(*id, atomic),
            Shape::List(item) => Form::List(List {
                merge: field.map_or(Merge::Atomic, merge),
                item: self.at(Of::Item(item)),
            }),
            Shape::Map(item) => Form::Object(Object {
                atomic: atomic == Some(true),
                content: Content::Entries(self.at(Of::Item(item))),
                schemas: self.schemas,
            }),
        }
    }

    fn object(self, id: TypeId, atomic: Option<bool>) -> Form<'a> {
        let ty = self.schemas.get(id);
        Form::Object(Object {
            atomic: atomic.unwrap_or(ty.map_type == MapType::Atomic),
            content: Content::Fields(ty),
            schemas: self.schemas,
        })
    }

    fn free(self, value: Option<&Value>, atomic: bool) -> Form<'a> {
        match value {
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => Form::Scalar(Scalar::Any),
            Some(Value::Array(_)) => Form::List(List {
                merge: Merge::Atomic,
                item: self.at(Of::Untyped),
            }),
            Some(Value::Object(_) | Value::Null) | None => Form::Object(Object {
                atomic,
                content: Content::Entries(self),
                schemas: self.schemas,
            }),
        }
    }

    fn at(self, of: Of<'a>) -> Place<'a> {
        Place {
            schemas: self.schemas,
            of,
        }
    }
}

fn merge(field: &Field) -> Merge<'_> {
    match field.list_type {
        ListType::Atomic => Merge::Atomic,
        ListType::Set => Merge::Set,
        ListType::Map => Merge::Keyed(&field.map_keys),
    }
}

impl<'a> Object<'a> {
    /// The place of a field or entry; `None` when the type has no such field.
    pub(super) fn place(&self, name: &str) -> Option<Place<'a>> {
        match self.content {
            Content::Entries(place) => Some(place),
            Content::Fields(ty) => match ty.field(name) {
                Some(field) => Some(self.field(field)),
                None => ty.open.then_some(Place {
                    schemas: self.schemas,
                    of: Of::Deduced,
                }),
            },
        }
    }

    fn field(&self, field: &'a Field) -> Place<'a> {
        Place {
            schemas: self.schemas,
            of: Of::Field(field),
        }
    }

    /// Whether the name is a field of the type, and no key a client chose.
    pub(super) fn declares(&self, name: &str) -> bool {
        matches!(self.content, Content::Fields(ty) if ty.field(name).is_some())
    }

    /// Whether nothing is known about what is in it.
    pub(super) fn is_deduced(&self) -> bool {
        matches!(
            self.content,
            Content::Entries(Place {
                of: Of::Deduced,
                ..
            })
        )
    }

    /// What Go writes for a field that is not there, if anything.
    pub(super) fn unwritten(&self, name: &str) -> Option<&'a Value> {
        match self.content {
            Content::Fields(ty) => ty.field(name)?.unwritten(),
            Content::Entries(_) => None,
        }
    }

    /// The fields that Go writes even when they are not there, and what it writes.
    pub(super) fn always(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let fields = match self.content {
            Content::Fields(ty) => ty.fields(),
            Content::Entries(_) => &[],
        };
        fields
            .iter()
            .filter_map(|field| Some((&*field.name, field.unwritten()?)))
    }
}

impl<'a> List<'a> {
    /// The step that leads to an item.
    pub(super) fn element(
        &self,
        item: &'a Value,
        missing: MissingKeys,
    ) -> Result<PathElement<'a>, String> {
        match self.merge {
            Merge::Keyed(keys) => self.keyed(keys, item, missing),
            Merge::Set => set_item(item),
            Merge::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        }
    }

    fn keyed(
        &self,
        keys: &'a [Arc<str>],
        item: &'a Value,
        missing: MissingKeys,
    ) -> Result<PathElement<'a>, String> {
        let map = match item {
            Value::Object(map) => map,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut found: Vec<KeyField<'a>> = keys
            .iter()
            .filter_map(|key| {
                let value = map.get(&**key).or_else(|| self.absent(key, missing))?;
                Some((Cow::Borrowed(&**key), Cow::Borrowed(value)))
            })
            .collect();
        if found.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and \
                 doesn't have default values for any key fields)",
                keys.join(" ")
            ));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(PathElement::Key(found.into()))
    }

    /// What a key that is left out stands for.
    fn absent(&self, key: &str, missing: MissingKeys) -> Option<&'a Value> {
        let Form::Object(Object {
            content: Content::Fields(ty),
            ..
        }) = self.item.form(None)
        else {
            return None;
        };
        let field = ty.field(key)?;
        if let Some(default) = &field.default {
            return Some(default);
        }
        if missing == MissingKeys::Missing {
            return None;
        }
        field.unwritten().filter(|value| !value.is_null())
    }
}

fn set_item(item: &Value) -> Result<PathElement<'_>, String> {
    let why = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        scalar => return Ok(PathElement::Value(Cow::Borrowed(scalar))),
    };
    Err(why.to_owned())
}
