//! What is around an object on the wire: the magic, its type, and its bytes; and what is around that in a watch.

use bytes::BufMut;

use super::encode::put_varint;
use super::wire::{Reader, Wire};
use crate::decode::DecodeError;

/// What every body starts with.
pub const MAGIC: &[u8] = b"k8s\0";

/// Keys of the envelope's fields, all of them bytes: the type, the object, its content encoding and content type.
const TYPE_META: u8 = 1 << 3 | 2;
const RAW: u8 = 2 << 3 | 2;
const CONTENT_ENCODING: u8 = 3 << 3 | 2;
const CONTENT_TYPE: u8 = 4 << 3 | 2;

/// Encoding and type of the content are the usual ones, which is said by empty texts.
const TAIL: [u8; 4] = [CONTENT_ENCODING, 0, CONTENT_TYPE, 0];

/// What the envelope says of the object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TypeMeta {
    /// `apps/v1`.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
}

/// Type and bytes of the object in an envelope.
pub(super) fn open(bytes: &[u8]) -> Result<(TypeMeta, &[u8]), DecodeError> {
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| {
        DecodeError::new("provided data does not appear to be a protobuf message")
    })?;
    let (mut meta, mut raw) = (TypeMeta::default(), &[][..]);
    let mut reader = Reader::new(body);
    while let Some((tag, wire)) = reader.field()? {
        match (tag, wire) {
            (1, Wire::Bytes(bytes)) => meta = type_meta(bytes)?,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (3, Wire::Bytes(encoding)) if !encoding.is_empty() => {
                return Err(DecodeError::new(
                    "encoded protobuf content is not supported",
                ));
            }
            _ => {}
        }
    }
    Ok((meta, raw))
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

/// Puts objects of one kind into envelopes. An envelope is written around its object, so that a list never has to be in
/// memory as a whole.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Magic and type.
    head: Vec<u8>,
}

impl Envelope {
    /// For objects of that kind.
    pub fn new(api_version: &str, kind: &str) -> Envelope {
        let mut meta = Vec::with_capacity(api_version.len() + kind.len() + 8);
        put_bytes(&mut meta, 1 << 3 | 2, api_version.as_bytes());
        put_bytes(&mut meta, 2 << 3 | 2, kind.as_bytes());
        let mut head = MAGIC.to_vec();
        put_bytes(&mut head, TYPE_META, &meta);
        Envelope { head }
    }

    /// Bytes of an envelope around a message of `length` bytes, the message included.
    pub fn size(&self, length: usize) -> usize {
        self.head.len() + field_size(length) + TAIL.len()
    }

    /// What comes before a message of `length` bytes.
    pub fn open(&self, length: usize, out: &mut impl BufMut) {
        out.put_slice(&self.head);
        field_head(RAW, length, out);
    }

    /// What comes after it.
    pub fn close(&self, out: &mut impl BufMut) {
        out.put_slice(&TAIL);
    }

    /// A message in its envelope.
    pub fn wrap(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size(message.len()));
        self.open(message.len(), &mut out);
        out.put_slice(message);
        self.close(&mut out);
        out
    }
}

/// Bytes of the event of a watch, around an object of `length` bytes in its envelope.
pub fn event_size(kind: &str, length: usize) -> usize {
    field_size(kind.len()) + field_size(field_size(length))
}

/// What comes before the object in the event of a watch. Nothing comes after it, and an event has no envelope.
pub fn open_event(kind: &str, length: usize, out: &mut impl BufMut) {
    field_head(1 << 3 | 2, kind.len(), out);
    out.put_slice(kind.as_bytes());
    field_head(2 << 3 | 2, field_size(length), out);
    field_head(1 << 3 | 2, length, out);
}

/// Key and length of field `tag` (at most 15), whose content of `length` bytes follows: how an item of a list begins.
pub fn open_field(tag: u8, length: usize, out: &mut impl BufMut) {
    debug_assert!(tag < 16, "such keys take two bytes");
    field_head(tag << 3 | 2, length, out);
}

/// Bytes of a field with a tag up to 15, its content included.
pub fn field_size(length: usize) -> usize {
    1 + put_varint(length as u64, &mut [0; 10]) + length
}

fn field_head(key: u8, length: usize, out: &mut impl BufMut) {
    let mut digits = [0; 10];
    let count = put_varint(length as u64, &mut digits);
    out.put_u8(key);
    out.put_slice(&digits[..count]);
}

fn put_bytes(out: &mut Vec<u8>, key: u8, content: &[u8]) {
    field_head(key, content.len(), out);
    out.put_slice(content);
}
