//! The places of CustomResourceDefinition schemas where JSON takes one of two types.
//!
//! On the wire each is a message with a field per alternative.

use serde_json::{Map, Value};

use super::Decoder;
use super::wire::{Reader, Wire};
use crate::decode::DecodeError;
use crate::schema::{Field, Type};

pub(super) const PROPS: &str =
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// What a place takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// `items`: a schema in field 1, or a list of them in field 2.
    SchemaOrList,
    /// `additionalProperties`: a boolean in field 1, and a schema in field 2 that beats it.
    BoolOrSchema,
    /// `dependencies`: a schema in field 1, or names of properties in field 2.
    SchemaOrNames,
}

impl Choice {
    pub(super) fn of(ty: &Type, field: &Field) -> Option<Self> {
        let choice = match field.name.as_ref() {
            "items" => Self::SchemaOrList,
            "additionalItems" | "additionalProperties" => Self::BoolOrSchema,
            "dependencies" => Self::SchemaOrNames,
            _ => return None,
        };
        (*ty.name == *PROPS).then_some(choice)
    }
}

impl Decoder {
    pub(super) fn choice(
        &self,
        choice: Choice,
        bytes: &[u8],
        depth: usize,
    ) -> Result<Option<Value>, DecodeError> {
        let mut one = None;
        let mut flag = None;
        let mut list = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Some((tag, wire)) = reader.field()? {
            match (choice, tag) {
                (Choice::BoolOrSchema, 1) => flag = Some(Value::Bool(wire.varint()? != 0)),
                (Choice::BoolOrSchema, 2) => one = Some(self.props(wire, depth)?),
                (_, 1) => one = Some(self.props(wire, depth)?),
                (Choice::SchemaOrList, 2) => list.push(self.props(wire, depth)?),
                (Choice::SchemaOrNames, 2) => list.push(Value::String(wire.text()?)),
                _ => {}
            }
        }
        Ok(match list.is_empty() {
            false => Some(Value::Array(list)),
            true => one.or(flag),
        })
    }

    fn props(&self, wire: Wire<'_>, depth: usize) -> Result<Value, DecodeError> {
        let id = self
            .schemas
            .by_name(PROPS)
            .ok_or_else(|| DecodeError::new("protobuf: no schema of schemas is registered"))?;
        let mut object = Map::new();
        self.message(id, wire.bytes()?, &mut object, depth + 1)?;
        Ok(Value::Object(object))
    }
}
