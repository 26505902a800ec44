//! Reads what `build/blob.rs` writes; the format is described there.
//!
//! The bytes come from our own build script, so a blob that does not parse is a bug of this
//! crate. It is still read with checks, and told apart from a missing registry.

use std::sync::Arc;

use super::{Field, Gvk, Index, ListType, MapType, Schemas, Shape, Type, TypeId};

static SCHEMAS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schemas.zst"));
static DESCRIPTIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.zst"));

/// The registry.
pub(super) fn schemas() -> Schemas {
    let plain = inflate(SCHEMAS).expect("the build script wrote the blob");
    let mut reader = Reader {
        rest: &plain,
        strings: Vec::new(),
    };
    reader
        .registry()
        .expect("the build script wrote the blob in this format")
}

/// The descriptions blob: each type, followed by its fields.
pub(super) fn descriptions() -> Vec<u8> {
    inflate(DESCRIPTIONS).expect("the build script wrote the blob")
}

/// Cuts one text off the front.
pub(super) fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = number(rest)?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(head).ok()
}

fn inflate(blob: &[u8]) -> Option<Vec<u8>> {
    let (length, packed) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    zstd::bulk::decompress(packed, length).ok()
}

fn map_type(atomic: bool) -> MapType {
    if atomic {
        MapType::Atomic
    } else {
        MapType::Granular
    }
}

/// Cuts one number off the front.
pub(super) fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

struct Reader<'a> {
    rest: &'a [u8],
    strings: Vec<Arc<str>>,
}

impl Reader<'_> {
    fn registry(&mut self) -> Option<Schemas> {
        for _ in 0..self.number()? {
            let text = text(&mut self.rest)?;
            self.strings.push(Arc::from(text));
        }
        let types = (0..self.number()?)
            .map(|_| self.ty())
            .collect::<Option<_>>()?;
        self.rest.is_empty().then_some(Schemas { types })
    }

    fn ty(&mut self) -> Option<Type> {
        let name = self.string()?;
        let flags = self.number()?;
        let gvk = match flags & 1 {
            0 => None,
            _ => Some(Gvk {
                group: self.string()?,
                version: self.string()?,
                kind: self.string()?,
            }),
        };
        let fields: Box<[Field]> = (0..self.number()?)
            .map(|_| self.field())
            .collect::<Option<_>>()?;
        let index = Index::new(&fields);
        Some(Type {
            name,
            gvk,
            map_type: map_type(flags & 2 != 0),
            open: false,
            fields,
            index,
        })
    }

    fn field(&mut self) -> Option<Field> {
        let name = self.string()?;
        let shape = self.shape()?;
        let flags = self.number()?;
        let is = |bit: u32| flags & (1 << bit) != 0;
        let list_type = match flags >> 5 & 3 {
            0 => ListType::Atomic,
            1 => ListType::Set,
            _ => ListType::Map,
        };
        let tag = if is(7) {
            Some(self.number_u32()?)
        } else {
            None
        };
        let inline = match is(8) {
            true => (0..self.number()?)
                .map(|_| self.number_u32())
                .collect::<Option<_>>()?,
            false => Box::default(),
        };
        let patch_merge_key = if is(9) { Some(self.string()?) } else { None };
        let default = match is(10) {
            true => Some(Box::new(serde_json::from_str(&self.string()?).ok()?)),
            false => None,
        };
        let map_keys = match is(11) {
            true => (0..self.number()?)
                .map(|_| self.string())
                .collect::<Option<_>>()?,
            false => Box::default(),
        };
        Some(Field {
            name,
            shape,
            required: is(0),
            pointer: is(1),
            patch_merge: is(2),
            patch_retain_keys: is(3),
            map_type: map_type(is(4)),
            list_type,
            tag,
            inline,
            patch_merge_key,
            default,
            map_keys,
            always: is(12),
        })
    }

    fn shape(&mut self) -> Option<Shape> {
        Some(match self.number()? {
            0 => Shape::String,
            1 => Shape::Bool,
            2 => Shape::Int32,
            3 => Shape::Int64,
            4 => Shape::Number,
            5 => Shape::Bytes,
            6 => Shape::Time,
            7 => Shape::MicroTime,
            8 => Shape::Quantity,
            9 => Shape::IntOrString,
            10 => Shape::Any,
            11 => Shape::Object(TypeId(u16::try_from(self.number()?).ok()?)),
            12 => Shape::List(Box::new(self.shape()?)),
            13 => Shape::Map(Box::new(self.shape()?)),
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<usize> {
        number(&mut self.rest)
    }

    fn number_u32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn string(&mut self) -> Option<Arc<str>> {
        let index = self.number()?;
        self.strings.get(index).cloned()
    }
}
