//! Writes the two blobs. `src/schema/blob.rs` reads them: change both together.
//!
//! Numbers are LEB128 varints. The registry starts with a table of strings, each a length and
//! UTF-8 text; everything after it names strings by their index. Then the number of types, and
//! each type; a type is its name, flags (1: it has group, version and kind, which follow; 2: atomic)
//! and its fields; a field is its name, shape, flags, and what the flags announce.

use std::collections::HashMap;

use crate::Result;
use crate::types::{Field, Shape, Type};

#[derive(Default)]
struct Writer {
    body: Vec<u8>,
    strings: Vec<String>,
    index: HashMap<String, usize>,
}

/// The registry without its descriptions.
pub(crate) fn schemas(types: &[Type]) -> Result<Vec<u8>> {
    let ids: HashMap<&str, usize> = types
        .iter()
        .enumerate()
        .map(|(id, ty)| (ty.name.as_str(), id))
        .collect();
    let mut writer = Writer::default();
    writer.number(types.len());
    for ty in types {
        writer.string(&ty.name);
        writer.number(usize::from(ty.gvk.is_some()) | usize::from(ty.atomic) << 1);
        for part in ty.gvk.iter().flatten() {
            writer.string(part);
        }
        writer.number(ty.fields.len());
        for field in &ty.fields {
            writer
                .field(field, &ids)
                .map_err(|error| format!("{}.{}: {error}", ty.name, field.name))?;
        }
    }
    let mut out = Writer::default();
    out.number(writer.strings.len());
    for string in &writer.strings {
        out.text(string);
    }
    out.body.extend(writer.body);
    Ok(out.body)
}

/// The description of each type and then of its fields, in the order of the registry. After a field's stands how many
/// values are listed for it, and they.
pub(crate) fn descriptions(types: &[Type]) -> Vec<u8> {
    let mut writer = Writer::default();
    for ty in types {
        writer.text(&ty.description);
        for field in &ty.fields {
            writer.text(&field.description);
            writer.number(field.values.len());
            field.values.iter().for_each(|value| writer.text(value));
        }
    }
    writer.body
}

impl Writer {
    fn number(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.body.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.body.push(number as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.body.extend(text.as_bytes());
    }

    fn string(&mut self, string: &str) {
        let index = match self.index.get(string) {
            Some(index) => *index,
            None => {
                let index = self.strings.len();
                self.strings.push(string.to_owned());
                self.index.insert(string.to_owned(), index);
                index
            }
        };
        self.number(index);
    }

    fn field(&mut self, field: &Field, ids: &HashMap<&str, usize>) -> Result<()> {
        let list_type = match field.list_type.as_deref() {
            None | Some("atomic") => 0,
            Some("set") => 1,
            Some("map") => 2,
            Some(other) => return Err(format!("unknown list type {other}")),
        };
        let flags = usize::from(field.required)
            | usize::from(field.pointer) << 1
            | usize::from(field.patch_merge) << 2
            | usize::from(field.patch_retain_keys) << 3
            | usize::from(field.map_atomic) << 4
            | list_type << 5
            | usize::from(field.tag.is_some()) << 7
            | usize::from(!field.inline.is_empty()) << 8
            | usize::from(field.patch_merge_key.is_some()) << 9
            | usize::from(field.default.is_some()) << 10
            | usize::from(!field.map_keys.is_empty()) << 11
            | usize::from(field.always) << 12;
        self.string(&field.name);
        self.shape(&field.shape, ids)?;
        self.number(flags);
        if let Some(tag) = field.tag {
            self.number(tag as usize);
        }
        if !field.inline.is_empty() {
            self.number(field.inline.len());
            field
                .inline
                .iter()
                .for_each(|tag| self.number(*tag as usize));
        }
        for string in field.patch_merge_key.iter().chain(&field.default) {
            self.string(string);
        }
        if !field.map_keys.is_empty() {
            self.number(field.map_keys.len());
            field.map_keys.iter().for_each(|key| self.string(key));
        }
        Ok(())
    }

    fn shape(&mut self, shape: &Shape, ids: &HashMap<&str, usize>) -> Result<()> {
        let code = match shape {
            Shape::String => 0,
            Shape::Bool => 1,
            Shape::Int32 => 2,
            Shape::Int64 => 3,
            Shape::Number => 4,
            Shape::Bytes => 5,
            Shape::Time => 6,
            Shape::MicroTime => 7,
            Shape::Quantity => 8,
            Shape::IntOrString => 9,
            Shape::Any => 10,
            Shape::Object(_) => 11,
            Shape::List(_) => 12,
            Shape::Map(_) => 13,
        };
        self.number(code);
        match shape {
            Shape::Object(name) => {
                self.number(
                    *ids.get(name.as_str())
                        .ok_or_else(|| format!("no type {name}"))?,
                );
                Ok(())
            }
            Shape::List(item) | Shape::Map(item) => self.shape(item, ids),
            _ => Ok(()),
        }
    }
}
