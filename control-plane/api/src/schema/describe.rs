//! The descriptions of types and fields, for OpenAPI.

use std::ops::Range;

use super::{Schemas, TypeId, blob};

/// All descriptions, inflated for as long as this value lives.
pub(crate) struct Descriptions {
    text: Vec<u8>,
    /// Where the texts of a type start, by type.
    starts: Vec<usize>,
}

/// The texts of one type, in order.
pub(crate) struct TypeDescriptions<'a> {
    rest: &'a [u8],
}

impl Descriptions {
    /// Inflates the texts that belong to the built-in registry.
    pub(crate) fn load(schemas: &Schemas) -> Self {
        let text = blob::descriptions();
        let mut rest = text.as_slice();
        let mut starts = Vec::with_capacity(schemas.types.len());
        for ty in &schemas.types {
            starts.push(text.len() - rest.len());
            // One text for the type, then one for each field.
            for _ in 0..=ty.fields.len() {
                blob::text(&mut rest).expect("the build script wrote a text for every field");
            }
        }
        Self { text, starts }
    }

    /// The description of the type first, then those of its fields as the type orders them.
    pub(crate) fn of(&self, id: TypeId) -> TypeDescriptions<'_> {
        let at = usize::from(id.0);
        let end = self.starts.get(at + 1).copied().unwrap_or(self.text.len());
        let range: Range<usize> = self.starts[at]..end;
        TypeDescriptions {
            rest: &self.text[range],
        }
    }
}

impl<'a> Iterator for TypeDescriptions<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            None
        } else {
            blob::text(&mut self.rest)
        }
    }
}
