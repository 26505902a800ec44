//! The envelope: which type the object has, and its bytes.

use super::wire::{Reader, Wire};
use crate::decode::DecodeError;

/// What every body starts with.
pub const MAGIC: &[u8] = b"k8s\0";

/// What the envelope says of the object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeMeta {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
}

/// What is around every object.
pub(super) struct Envelope<'a> {
    pub(super) meta: TypeMeta,
    pub(super) raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| {
            DecodeError::new("provided data does not appear to be a protobuf message")
        })?;
        let mut envelope = Self {
            meta: TypeMeta::default(),
            raw: &[],
        };
        let mut reader = Reader::new(body);
        while let Some((tag, wire)) = reader.field()? {
            match (tag, wire) {
                (1, Wire::Bytes(bytes)) => envelope.meta = type_meta(bytes)?,
                (2, Wire::Bytes(bytes)) => envelope.raw = bytes,
                (3, Wire::Bytes(encoding)) if !encoding.is_empty() => {
                    return Err(DecodeError::new(
                        "encoded protobuf content is not supported",
                    ));
                }
                _ => {}
            }
        }
        Ok(envelope)
    }
}

fn type_meta(bytes: &[u8]) -> Result<TypeMeta, DecodeError> {
    let mut meta = TypeMeta::default();
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.field()? {
        match tag {
            1 => meta.api_version = wire.text()?,
            2 => meta.kind = wire.text()?,
            _ => {}
        }
    }
    Ok(meta)
}
