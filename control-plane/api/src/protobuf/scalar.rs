//! Scalars, and the messages that are scalars in JSON.

use serde_json::Value;

use super::wire::{Reader, Wire};
use crate::decode::{DecodeError, scalar};
use crate::schema::Shape;
use crate::time;

/// A value that is no message of the registry. `None` where the wire says null.
pub(super) fn value(shape: &Shape, wire: Wire<'_>) -> Result<Option<Value>, DecodeError> {
    Ok(Some(match shape {
        Shape::String => Value::String(wire.text()?),
        Shape::Bool => Value::Bool(wire.varint()? != 0),
        // Go cuts off what does not fit, and negative numbers come with 64 bits.
        Shape::Int32 => Value::from(wire.varint()? as i32),
        Shape::Int64 => Value::from(wire.varint()? as i64),
        Shape::Number => match wire {
            Wire::Fixed64(bits) => Value::from(f64::from_bits(bits)),
            Wire::Fixed32(bits) => Value::from(f32::from_bits(bits)),
            _ => return Err(DecodeError::new("protobuf: wrong wire type for a number")),
        },
        Shape::Bytes => Value::String(scalar::base64(wire.bytes()?)),
        Shape::Time | Shape::MicroTime => {
            let bytes = wire.bytes()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let form = if *shape == Shape::Time {
                time::seconds
            } else {
                time::micro
            };
            Value::String(form(timestamp(bytes)?))
        }
        Shape::Quantity => quantity(wire.bytes()?)?,
        Shape::IntOrString => int_or_string(wire.bytes()?)?,
        Shape::Any => return raw_json(wire.bytes()?),
        Shape::Object(_) | Shape::List(_) | Shape::Map(_) => return Ok(None),
    }))
}

fn timestamp(bytes: &[u8]) -> Result<jiff::Timestamp, DecodeError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.field()? {
        match tag {
            1 => seconds = wire.varint()? as i64,
            2 => nanos = wire.varint()? as i32,
            _ => {}
        }
    }
    jiff::Timestamp::new(seconds, nanos)
        .map_err(|_| DecodeError::new(format!("no such time: {seconds} seconds since 1970")))
}

fn quantity(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut text = String::from("0");
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.field()? {
        if tag == 1 {
            text = wire.text()?;
        }
    }
    scalar::quantity_of(&Value::String(text)).map_err(|refusal| match refusal {
        scalar::Refusal::Type(text) | scalar::Refusal::Malformed(text) => DecodeError::new(text),
    })
}

fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let (mut is_string, mut number, mut text) = (false, 0, String::new());
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.field()? {
        match tag {
            1 => is_string = wire.varint()? != 0,
            2 => number = wire.varint()? as i32,
            3 => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_string {
        Value::String(text)
    } else {
        Value::from(number)
    })
}

/// RawExtension, FieldsV1 and JSON hold JSON text in field 1.
fn raw_json(bytes: &[u8]) -> Result<Option<Value>, DecodeError> {
    let mut raw: &[u8] = &[];
    let mut reader = Reader::new(bytes);
    while let Some((tag, wire)) = reader.field()? {
        if tag == 1 {
            raw = wire.bytes()?;
        }
    }
    if raw.is_empty() {
        return Ok(None);
    }
    // The parser has a nesting limit of its own.
    serde_json::from_slice(raw)
        .map(Some)
        .map_err(|error| DecodeError::new(format!("raw JSON: {error}")))
}
