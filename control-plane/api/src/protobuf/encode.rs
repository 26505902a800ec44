//! Answers in protobuf: from the JSON bytes an object rests in straight to the wire, in one pass and by the tags of the
//! schema registry. No value is built in between.
//!
//! What JSON has is written, zeros included; what it leaves out is left out. Go's encoder writes zeros of plain fields as
//! well, but no decoder can tell the difference. Fields without a tag (`apiVersion` and `kind`, which travel in the
//! envelope) and fields the type does not have are skipped. Fields that JSON inlines are wrapped one by one: messages that
//! come in several pieces are merged by every reader.
//!
//! Empty lists and maps do not exist on the wire.

mod json;
mod scalar;
mod schema_props;
mod writer;

use crate::decode::MAX_DEPTH;
use crate::schema::{Field, Schemas, Shape, Type, TypeId, schemas};

use super::schema_props::Choice;
use json::Json;
use writer::Writer;
pub(in crate::protobuf) use writer::put_varint;

/// Bytes that are not the JSON of their type. Ours are, so this is an internal error.
#[derive(Debug, thiserror::Error)]
#[error("writing protobuf: {message}")]
pub struct EncodeError {
    message: String,
}

impl EncodeError {
    fn new(message: impl Into<String>) -> EncodeError {
        EncodeError {
            message: message.into(),
        }
    }

    fn within(self, field: &str) -> EncodeError {
        EncodeError::new(format!("{field}: {}", self.message))
    }
}

/// The message of an object of type `id`, without an envelope, as lists hold it.
pub fn message(id: TypeId, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(json)?;
    encoder.message(id, 0)?;
    encoder.finish()
}

/// As [`message`], for what is in field `tag` of a message that has nothing else: a PartialObjectMetadata is its
/// `metadata`.
pub fn message_in(tag: u32, id: TypeId, json: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(json)?;
    let outer = encoder.out.open(tag);
    encoder.message(id, 0)?;
    encoder.out.close(outer);
    encoder.finish()
}

struct Encoder<'a> {
    schemas: &'static Schemas,
    json: Json<'a>,
    out: Writer,
}

impl<'a> Encoder<'a> {
    fn new(json: &'a [u8]) -> Result<Encoder<'a>, EncodeError> {
        Ok(Encoder {
            schemas: schemas(),
            json: Json::new(json)?,
            // Protobuf is the shorter form, almost always.
            out: Writer::with_capacity(json.len()),
        })
    }

    fn finish(mut self) -> Result<Vec<u8>, EncodeError> {
        self.json.end()?;
        Ok(self.out.into_bytes())
    }

    /// The object that comes next, as the fields of its type.
    fn message(&mut self, id: TypeId, depth: usize) -> Result<(), EncodeError> {
        if depth > MAX_DEPTH {
            return Err(EncodeError::new("exceeded the maximum nesting depth"));
        }
        let ty = self.schemas.get(id);
        self.json.expect(b'{')?;
        let mut first = true;
        while self.json.more(&mut first, b'}')? {
            let name = self.json.name()?;
            let Some((field, tag)) = ty.field(&name).and_then(|field| Some((field, field.tag?)))
            else {
                self.json.any()?;
                continue;
            };
            if self.json.null() {
                continue;
            }
            self.inlined(ty, field, tag, &field.inline, depth)
                .map_err(|error| error.within(&field.name))?;
        }
        Ok(())
    }

    /// A field, inside the messages JSON does not show.
    fn inlined(
        &mut self,
        ty: &Type,
        field: &Field,
        tag: u32,
        around: &[u32],
        depth: usize,
    ) -> Result<(), EncodeError> {
        let Some((outer, around)) = around.split_first() else {
            return self.field(ty, field, tag, depth);
        };
        let message = self.out.open(*outer);
        self.inlined(ty, field, tag, around, depth)?;
        self.out.close(message);
        Ok(())
    }

    fn field(
        &mut self,
        ty: &Type,
        field: &Field,
        tag: u32,
        depth: usize,
    ) -> Result<(), EncodeError> {
        match &field.shape {
            Shape::List(item) => self.items(item, tag, depth),
            Shape::Map(value) => self.entries(value, Choice::of(ty, field), tag, depth),
            Shape::Any => match Choice::of(ty, field) {
                Some(choice) => self.choice(choice, tag, depth),
                None => self.scalar(&Shape::Any, tag),
            },
            shape => self.value(shape, tag, depth),
        }
    }

    /// Repeats the field for each item.
    fn items(&mut self, item: &Shape, tag: u32, depth: usize) -> Result<(), EncodeError> {
        self.json.expect(b'[')?;
        let mut first = true;
        while self.json.more(&mut first, b']')? {
            self.value(item, tag, depth)?;
        }
        Ok(())
    }

    /// Repeats the field for each entry: its key in field 1, its value in field 2.
    fn entries(
        &mut self,
        value: &Shape,
        choice: Option<Choice>,
        tag: u32,
        depth: usize,
    ) -> Result<(), EncodeError> {
        self.json.expect(b'{')?;
        let mut first = true;
        while self.json.more(&mut first, b'}')? {
            let key = self.json.name()?;
            let entry = self.out.open(tag);
            self.out.bytes(1, key.as_bytes());
            match choice {
                Some(choice) => self.choice(choice, 2, depth)?,
                None => self.value(value, 2, depth)?,
            }
            self.out.close(entry);
        }
        Ok(())
    }

    fn value(&mut self, shape: &Shape, tag: u32, depth: usize) -> Result<(), EncodeError> {
        match shape {
            Shape::Object(id) => {
                let message = self.out.open(tag);
                self.message(*id, depth + 1)?;
                self.out.close(message);
                Ok(())
            }
            // Protobuf has no map of lists, so a list there is a message with items in field 1.
            Shape::List(item) => {
                let message = self.out.open(tag);
                self.items(item, 1, depth + 1)?;
                self.out.close(message);
                Ok(())
            }
            scalar => self.scalar(scalar, tag),
        }
    }
}

#[cfg(test)]
mod tests;
