//! Bodies of custom resources: parsed as any JSON or YAML, then brought into the shape of the schema.
//!
//! Unlike built-in types, a value of the wrong type is no matter of decoding: validation refuses it,
//! with a cause per field. Metadata is the exception, as it has the same type everywhere.

mod tracked;

use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

use super::schema::Node;
use super::shape::{self, Unknown};
use crate::decode::{self, DecodeError, Decoded, Reports, Trail};
use tracked::{Tracked, Tracker};

/// Decodes a JSON body.
pub fn json(bytes: &[u8], schema: &Node) -> Result<Decoded, DecodeError> {
    let mut tracker = Tracker::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Tracked(&mut tracker)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| DecodeError::of_json(&error))?;
    finish(parsed, tracker.duplicates.into_texts(), schema)
}

/// What a JSON text says twice (`duplicate field "spec.x"`), whatever it describes. One that cannot be read has nothing.
pub fn duplicates(bytes: &[u8]) -> Vec<String> {
    let mut tracker = Tracker::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    match Tracked(&mut tracker).deserialize(&mut deserializer) {
        Ok(_) => tracker.duplicates.into_texts(),
        Err(_) => Vec::new(),
    }
}

/// Decodes a YAML body.
pub fn yaml(bytes: &[u8], schema: &Node) -> Result<Decoded, DecodeError> {
    if bytes.trim_ascii_start().starts_with(b"{") && decode::is_json(bytes) {
        return json(bytes, schema);
    }
    let mut tracker = Tracker::default();
    let parsed = decode::yaml_seed(decode::utf8(bytes)?, Tracked(&mut tracker))
        .map_err(|error| DecodeError::new(decode::no_yaml(&error)))?;
    finish(parsed, tracker.duplicates.into_texts(), schema)
}

/// Brings an existing value into the same form: what a patch left behind.
pub fn value(value: Value, schema: &Node) -> Result<Decoded, DecodeError> {
    let mut tracker = Tracker::default();
    let tracked = Tracked(&mut tracker)
        .deserialize(value)
        .map_err(|error| DecodeError::new(error.to_string()))?;
    finish(tracked, Vec::new(), schema)
}

fn finish(value: Value, mut warnings: Vec<String>, schema: &Node) -> Result<Decoded, DecodeError> {
    let Value::Object(fields) = value else {
        return Err(DecodeError::new("the body is no object"));
    };
    let fields = typed(fields)?;
    let mut value = Value::Object(fields);
    warnings.extend(conform(&mut value, schema)?);
    Ok(Decoded { value, warnings })
}

/// A custom object says itself what it is: without a schema to go by, nothing else would.
fn typed(fields: Map<String, Value>) -> Result<Map<String, Value>, DecodeError> {
    for name in ["apiVersion", "kind"] {
        if fields.get(name).is_some_and(|value| !value.is_string()) {
            return Err(DecodeError::new(format!(
                ".{name} accessor error: it is no string"
            )));
        }
    }
    if fields
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("")
        .is_empty()
    {
        let body = Value::Object(fields).to_string();
        let shown: String = body.chars().take(MAX_SHOWN).collect();
        return Err(DecodeError::new(format!(
            "Object 'Kind' is missing in '{shown}'"
        )));
    }
    Ok(decode::type_first(fields))
}

/// How much of a body without a kind its refusal shows.
const MAX_SHOWN: usize = 1024;

/// Gives a whole object the shape of the schema; returns what was unknown, in upstream's order.
pub(super) fn conform(value: &mut Value, schema: &Node) -> Result<Vec<String>, DecodeError> {
    let mut trail = Trail::default();
    let mut metadata = Reports::default();
    if let Value::Object(fields) = value {
        shape::metadata(fields, &mut trail, &mut metadata)?;
    }
    let mut unknown = Unknown::default();
    shape::prune(value, schema, &mut unknown);
    shape::drop_nulls(value, Some(schema));
    let mut embedded = Reports::default();
    shape::embedded(value, schema, &mut trail, &mut embedded)?;
    let sorted = [unknown.reports, embedded].map(Reports::into_sorted);
    Ok([metadata.into_texts(), sorted.concat()].concat())
}

#[cfg(test)]
mod tests;
