//! Free-form values: kept as they are, but no deeper than anything else.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::context::Context;
use super::key::KeyText;

/// Builds any value.
pub(super) struct AnySeed<'c> {
    pub(super) context: &'c mut Context,
    pub(super) duplicates: Duplicates,
}

/// Whether keys given twice are worth a report. Of what they say, the last counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    Reported,
    Ignored,
}

impl AnySeed<'_> {
    fn reborrow(&mut self) -> AnySeed<'_> {
        AnySeed {
            context: &mut *self.context,
            duplicates: self.duplicates,
        }
    }
}

impl<'de> DeserializeSeed<'de> for AnySeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnySeed<'_> {
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
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.context.malformed("JSON has no such number")),
        }
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

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut input: A) -> Result<Value, A::Error> {
        self.context.down()?;
        let mut list = Vec::new();
        for index in 0.. {
            let mark = self.context.trail.item(index);
            let item = input.next_element_seed(self.reborrow())?;
            self.context.trail.leave(mark);
            match item {
                Some(item) => list.push(item),
                None => break,
            }
        }
        self.context.up();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut input: A) -> Result<Value, A::Error> {
        self.context.down()?;
        let mut map = Map::new();
        while let Some(key) = input.next_key_seed(KeyText)? {
            let mark = self.context.trail.field(&key);
            if self.duplicates == Duplicates::Reported && map.contains_key(&key) {
                self.context.duplicate();
            }
            let value = input.next_value_seed(self.reborrow())?;
            self.context.trail.leave(mark);
            map.insert(key, value);
        }
        self.context.up();
        Ok(Value::Object(map))
    }
}
