//! Any JSON or YAML as a value, with the fields that were given twice.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::decode::{KeyText, MAX_DEPTH, Reports, Trail};

/// Where the parser is, and what it found.
#[derive(Default)]
pub(super) struct Tracker {
    trail: Trail,
    depth: usize,
    /// `duplicate field "spec.x"`
    pub(super) duplicates: Reports,
}

impl Tracker {
    fn down<E: de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(E::custom("json: exceeded the maximum nesting depth"));
        }
        Ok(())
    }
}

/// Builds any value.
pub(super) struct Tracked<'t>(pub(super) &'t mut Tracker);

impl<'de> DeserializeSeed<'de> for Tracked<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tracked<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        // Integers are signed here, as upstream; larger ones are floating point.
        match i64::try_from(value) {
            Ok(value) => Ok(Value::from(value)),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("JSON has no such number"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        self.0.down()?;
        let mut list = Vec::new();
        loop {
            let mark = self.0.trail.item(list.len());
            let item = input.next_element_seed(Tracked(&mut *self.0))?;
            self.0.trail.leave(mark);
            match item {
                Some(item) => list.push(item),
                None => break,
            }
        }
        self.0.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Value, A::Error> {
        self.0.down()?;
        let mut map = Map::new();
        while let Some(key) = input.next_key_seed(KeyText)? {
            let mark = self.0.trail.field(&key);
            if map.contains_key(&key) {
                let Tracker {
                    trail, duplicates, ..
                } = &mut *self.0;
                duplicates.duplicate(trail.as_str());
            }
            let value = input.next_value_seed(Tracked(&mut *self.0))?;
            self.0.trail.leave(mark);
            map.insert(key, value);
        }
        self.0.depth -= 1;
        Ok(Value::Object(map))
    }
}
