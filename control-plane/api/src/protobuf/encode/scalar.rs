//! Scalars, and what is a scalar in JSON and a message in protobuf.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{EncodeError, Encoder};
use crate::schema::Shape;
use crate::time;

impl Encoder<'_> {
    /// Writes the scalar that comes next into field `tag`.
    pub(super) fn scalar(&mut self, shape: &Shape, tag: u32) -> Result<(), EncodeError> {
        match shape {
            Shape::String => {
                let text = self.json.string()?;
                self.out.bytes(tag, text.as_bytes());
            }
            Shape::Bool => {
                let value = self.json.boolean()?;
                self.out.varint(tag, u64::from(value));
            }
            // Negative numbers take 64 bits, whatever their type.
            Shape::Int32 | Shape::Int64 => {
                let value = self.json.integer()?;
                self.out.varint(tag, value as u64);
            }
            Shape::Number => {
                let value = self.json.float()?;
                self.out.fixed64(tag, value.to_bits());
            }
            Shape::Bytes => {
                let text = self.json.string()?;
                let content = STANDARD
                    .decode(text.as_bytes())
                    .map_err(|error| EncodeError::new(error.to_string()))?;
                self.out.bytes(tag, &content);
            }
            Shape::Time | Shape::MicroTime => self.timestamp(shape, tag)?,
            Shape::Quantity => self.quantity(tag)?,
            Shape::IntOrString => self.int_or_string(tag)?,
            Shape::Any => {
                let raw = self.json.any()?;
                let message = self.out.open(tag);
                self.out.bytes(1, raw);
                self.out.close(message);
            }
            Shape::Object(_) | Shape::List(_) | Shape::Map(_) => {
                return Err(EncodeError::new("no type nests lists or maps this deep"));
            }
        }
        Ok(())
    }

    /// Seconds are written even when they are zero: an empty message would be no time at all.
    fn timestamp(&mut self, shape: &Shape, tag: u32) -> Result<(), EncodeError> {
        let text = self.json.string()?;
        let timestamp = time::parse(&text)
            .ok_or_else(|| EncodeError::new(format!("{text:?} is no timestamp")))?;
        let nanos = match shape {
            // Clients that read JSON see no fractions of a Time, so others shall not either.
            Shape::Time => 0,
            _ => timestamp.subsec_nanosecond() / 1000 * 1000,
        };
        let message = self.out.open(tag);
        self.out.varint(1, timestamp.as_second() as u64);
        self.out.varint(2, i64::from(nanos) as u64);
        self.out.close(message);
        Ok(())
    }

    fn quantity(&mut self, tag: u32) -> Result<(), EncodeError> {
        let message = self.out.open(tag);
        if self.json.peek() == Some(b'"') {
            let text = self.json.string()?;
            self.out.bytes(1, text.as_bytes());
        } else {
            let digits = self.json.scalar()?;
            self.out.bytes(1, digits.as_bytes());
        }
        self.out.close(message);
        Ok(())
    }

    fn int_or_string(&mut self, tag: u32) -> Result<(), EncodeError> {
        const IS_STRING: u64 = 1;
        let message = self.out.open(tag);
        if self.json.peek() == Some(b'"') {
            let text = self.json.string()?;
            self.out.varint(1, IS_STRING);
            self.out.bytes(3, text.as_bytes());
        } else {
            let number = self.json.integer()?;
            self.out.varint(2, number as u64);
        }
        self.out.close(message);
        Ok(())
    }
}
