//! Protobuf, as Go clients send it and ask for it. It is known for built-in kinds only. Request bodies are decoded here;
//! how answers are written stands in `encode`.
//!
//! A body is the magic `k8s\0` and an envelope that names the type and holds the object. The
//! object is read by the tags of the schema registry straight into the JSON form: no message
//! types, no second registry. Messages that JSON inlines are flattened.
//!
//! The wire cannot tell "absent" from "zero" for most scalars, because the encoder writes both.
//! So a zero is dropped, unless the field is a pointer in Go (zero is then meant) or required (it
//! would be written in JSON too).

mod encode;
mod envelope;
mod scalar;
mod schema_props;
mod wire;

use serde_json::{Map, Value};

use crate::decode::{self, DecodeError, MAX_DEPTH};
use crate::object;
use crate::schema::{Field, Schemas, Shape, Type, TypeId, schemas};

pub use encode::{EncodeError, message, message_in};
pub use envelope::{Envelope, MAGIC, TypeMeta, event_size, field_size, open_event, open_field};

use schema_props::Choice;
use wire::{Reader, Wire};

/// Decodes a body by the type its envelope names.
pub fn decode(bytes: &[u8]) -> Result<(TypeMeta, Value), DecodeError> {
    let (meta, raw) = envelope::open(bytes)?;
    let id = find(&meta).ok_or_else(|| {
        let TypeMeta { api_version, kind } = &meta;
        DecodeError::new(format!(
            "no kind {kind:?} is registered for version {api_version:?}"
        ))
    })?;
    let mut fields = Map::new();
    if !meta.api_version.is_empty() {
        fields.insert("apiVersion".to_owned(), meta.api_version.clone().into());
    }
    fields.insert("kind".to_owned(), meta.kind.clone().into());
    Decoder { schemas: schemas() }.message(id, raw, &mut fields, 0)?;
    let value = Value::Object(decode::type_first(fields));
    // Raw JSON nests in levels of its own.
    if object::nests_deeper(&value, MAX_DEPTH) {
        return Err(too_deep());
    }
    Ok((meta, value))
}

fn too_deep() -> DecodeError {
    DecodeError::new("protobuf: exceeded the maximum nesting depth")
}

/// Encodes JSON of the named kind, in its envelope. `None` when no such kind is registered.
pub fn encode(api_version: &str, kind: &str, json: &[u8]) -> Option<Result<Vec<u8>, EncodeError>> {
    let id = find(&TypeMeta {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })?;
    Some(message(id, json).map(|message| Envelope::new(api_version, kind).wrap(&message)))
}

/// Options may come in the version of any group; their type is always the same.
fn find(meta: &TypeMeta) -> Option<TypeId> {
    let schemas = schemas();
    if meta.kind == "DeleteOptions" {
        return schemas.by_gvk("", "v1", "DeleteOptions");
    }
    let (group, version) = meta
        .api_version
        .rsplit_once('/')
        .unwrap_or(("", &meta.api_version));
    schemas.by_gvk(group, version, &meta.kind)
}

struct Decoder {
    schemas: &'static Schemas,
}

impl Decoder {
    /// Reads the fields of a message into `into`.
    fn message(
        &self,
        id: TypeId,
        bytes: &[u8],
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.nested(self.schemas.get(id), &mut Vec::new(), bytes, into, depth)
    }

    /// As `message`, for the part of a type that is nested below `inline` on the wire.
    fn nested(
        &self,
        ty: &Type,
        inline: &mut Vec<u32>,
        bytes: &[u8],
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        let mut reader = Reader::new(bytes);
        while let Some((tag, wire)) = reader.field()? {
            if let Some(field) = own_field(ty, inline, tag) {
                self.field(ty, field, wire, into, depth)
                    .map_err(|error| within(&field.name, error))?;
            } else if holds_inlined(ty, inline, tag)
                && let Wire::Bytes(bytes) = wire
            {
                inline.push(tag);
                self.nested(ty, inline, bytes, into, depth + 1)?;
                inline.pop();
            }
            // Anything else is newer than the registry and skipped, as unknown fields are.
        }
        Ok(())
    }

    fn field(
        &self,
        ty: &Type,
        field: &Field,
        wire: Wire<'_>,
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let name = field.name.as_ref();
        match &field.shape {
            Shape::List(item) => {
                let list = into.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    self.items(item, wire, list, depth)?;
                }
            }
            Shape::Map(item) => {
                let map = into
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(map) = map {
                    let (key, value) = self.entry(item, wire, Choice::of(ty, field), depth)?;
                    map.insert(key, value);
                }
            }
            Shape::Object(id) => {
                // A message given twice is merged, as protobuf has it.
                let object = into
                    .entry(name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(object) = object {
                    self.message(*id, wire.bytes()?, object, depth + 1)?;
                }
            }
            shape => {
                let value = match Choice::of(ty, field) {
                    Some(choice) => self.choice(choice, wire.bytes()?, depth)?,
                    None => scalar::value(shape, wire)?,
                };
                match value.filter(|value| !field.omits(value)) {
                    Some(value) => into.insert(name.to_owned(), value),
                    None => into.shift_remove(name),
                };
            }
        }
        Ok(())
    }

    fn items(
        &self,
        item: &Shape,
        wire: Wire<'_>,
        list: &mut Vec<Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if let (Shape::Bool | Shape::Int32 | Shape::Int64, Wire::Bytes(packed)) = (item, wire) {
            let mut reader = Reader::new(packed);
            while let Some(number) = reader.packed()? {
                list.extend(scalar::value(item, Wire::Varint(number))?);
            }
            return Ok(());
        }
        list.push(self.item(item, wire, depth)?);
        Ok(())
    }

    /// An item of a list or the value of a map entry: zero is a value here.
    fn item(&self, item: &Shape, wire: Wire<'_>, depth: usize) -> Result<Value, DecodeError> {
        match item {
            Shape::Object(id) => {
                let mut object = Map::new();
                self.message(*id, wire.bytes()?, &mut object, depth + 1)?;
                Ok(Value::Object(object))
            }
            // Protobuf has no map of lists, so a list there is a message with items in field 1.
            Shape::List(inner) => {
                let mut list = Vec::new();
                let mut reader = Reader::new(wire.bytes()?);
                while let Some((tag, wire)) = reader.field()? {
                    if tag == 1 {
                        list.push(self.leaf(inner, wire)?);
                    }
                }
                Ok(Value::Array(list))
            }
            shape => self.leaf(shape, wire),
        }
    }

    fn leaf(&self, shape: &Shape, wire: Wire<'_>) -> Result<Value, DecodeError> {
        match shape {
            Shape::Object(_) | Shape::List(_) | Shape::Map(_) => {
                Err(DecodeError::new("no type nests lists or maps this deep"))
            }
            scalar => Ok(scalar::value(scalar, wire)?.unwrap_or(Value::Null)),
        }
    }

    fn entry(
        &self,
        item: &Shape,
        wire: Wire<'_>,
        choice: Option<Choice>,
        depth: usize,
    ) -> Result<(String, Value), DecodeError> {
        let mut key = String::new();
        let mut value = None;
        let mut reader = Reader::new(wire.bytes()?);
        while let Some((tag, wire)) = reader.field()? {
            match tag {
                1 => key = wire.text()?,
                2 => {
                    value = match choice {
                        Some(choice) => self.choice(choice, wire.bytes()?, depth)?,
                        None => Some(self.item(item, wire, depth)?),
                    }
                }
                _ => {}
            }
        }
        let value = match value {
            Some(value) => value,
            // An entry may leave its value out when it is zero.
            None => self.item(item, Wire::zero(item), depth)?,
        };
        Ok((key, value))
    }
}

fn own_field<'a>(ty: &'a Type, inline: &[u32], tag: u32) -> Option<&'a Field> {
    ty.fields()
        .iter()
        .find(|field| field.tag == Some(tag) && *field.inline == *inline)
}

/// Whether the message in field `tag` is one whose fields the type has as its own.
fn holds_inlined(ty: &Type, inline: &[u32], tag: u32) -> bool {
    ty.fields().iter().any(|field| {
        field
            .inline
            .strip_prefix(inline)
            .is_some_and(|rest| rest.first() == Some(&tag))
    })
}

fn within(field: &str, error: DecodeError) -> DecodeError {
    DecodeError::new(format!("{field}: {}", error.message))
}

#[cfg(test)]
mod tests;
