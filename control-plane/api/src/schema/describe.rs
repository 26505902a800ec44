//! The descriptions of types and fields, for OpenAPI.

use std::ops::Range;

use super::{Schemas, TypeId, blob};

/// All descriptions, inflated for as long as this value lives.
pub(crate) struct Descriptions {
    bytes: Vec<u8>,
    /// Where the descriptions of a type start, by type.
    starts: Vec<usize>,
}

/// What is said about one type.
pub(crate) struct TypeDescriptions<'a> {
    /// About the type itself.
    pub(crate) text: &'a str,
    /// About its fields, as the type orders them.
    pub(crate) fields: Vec<Description<'a>>,
}

/// What is said about one field.
pub(crate) struct Description<'a> {
    pub(crate) text: &'a str,
    /// The values it may have, if they are listed; those of its items, if it has items.
    pub(crate) values: Vec<&'a str>,
}

impl Descriptions {
    /// Inflates what belongs to the built-in registry.
    pub(crate) fn load(schemas: &Schemas) -> Self {
        let bytes = blob::descriptions();
        let mut rest = bytes.as_slice();
        let mut starts = Vec::with_capacity(schemas.types.len());
        for ty in &schemas.types {
            starts.push(bytes.len() - rest.len());
            of_type(&mut rest, ty.fields.len());
        }
        Self { bytes, starts }
    }

    pub(crate) fn of(&self, schemas: &Schemas, id: TypeId) -> TypeDescriptions<'_> {
        let at = usize::from(id.0);
        let end = self.starts.get(at + 1).copied();
        let range: Range<usize> = self.starts[at]..end.unwrap_or(self.bytes.len());
        of_type(&mut &self.bytes[range], schemas.get(id).fields.len())
    }
}

fn of_type<'a>(rest: &mut &'a [u8], fields: usize) -> TypeDescriptions<'a> {
    let read = |rest: &mut &'a [u8]| {
        let text = blob::text(rest)?;
        let fields = (0..fields).map(|_| field(rest)).collect::<Option<_>>()?;
        Some(TypeDescriptions { text, fields })
    };
    read(rest).expect("the build script described every field")
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<Description<'a>> {
    let text = blob::text(rest)?;
    let values = (0..blob::number(rest)?)
        .map(|_| blob::text(rest))
        .collect::<Option<_>>()?;
    Some(Description { text, values })
}
