//! The visitor that builds a value of a known shape.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::any::{AnySeed, Duplicates};
use super::context::Context;
use super::key::KeyText;
use super::scalar::{self, Refusal};
use crate::schema::{Field, Schemas, Shape, Type};

/// Builds a value of a shape. `None` stands for null.
pub(super) struct Seed<'c> {
    pub(super) schemas: &'static Schemas,
    pub(super) shape: &'c Shape,
    pub(super) context: &'c mut Context,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        if *self.shape == Shape::Any {
            let value = AnySeed {
                context: self.context,
                duplicates: Duplicates::Ignored,
            }
            .deserialize(input)?;
            return Ok(Some(value).filter(|value| !value.is_null()));
        }
        input.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn reborrow(&mut self) -> Seed<'_> {
        Seed {
            schemas: self.schemas,
            shape: self.shape,
            context: &mut *self.context,
        }
    }

    fn checked<E: de::Error>(self, outcome: Result<Value, Refusal>) -> Result<Option<Value>, E> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Refusal::Type(got)) => Err(self.context.mismatch(&got, self.shape)),
            Err(Refusal::Malformed(why)) => Err(self.context.malformed(&why)),
        }
    }

    fn object<'de, A: MapAccess<'de>>(
        self,
        ty: &'static Type,
        mut input: A,
    ) -> Result<Value, A::Error> {
        let Self {
            schemas, context, ..
        } = self;
        let mut object = Map::new();
        let mut seen = Seen::default();
        while let Some(key) = input.next_key_seed(KeySeed { ty })? {
            match key {
                Key::Known(at) => {
                    let field = &ty.fields()[at];
                    let mark = context.trail.field(&field.name);
                    if seen.again(at) {
                        context.duplicate();
                    }
                    let seed = Seed {
                        schemas,
                        shape: &field.shape,
                        context: &mut *context,
                    };
                    let value = input.next_value_seed(seed)?;
                    let wished = || WISHES.iter().any(|path| context.trail.is_at(path));
                    store(&mut object, field, value, wished);
                    context.trail.leave(mark);
                }
                Key::Unknown(name) => {
                    let mark = context.trail.field(&name);
                    context.unknown();
                    input.next_value::<IgnoredAny>()?;
                    context.trail.leave(mark);
                }
            }
        }
        Ok(Value::Object(object))
    }

    fn map<'de, A: MapAccess<'de>>(self, item: &Shape, mut input: A) -> Result<Value, A::Error> {
        let Self {
            schemas, context, ..
        } = self;
        let mut map = Map::new();
        while let Some(key) = input.next_key_seed(KeyText)? {
            let mark = context.trail.field(&key);
            if map.contains_key(&key) {
                context.duplicate();
            }
            let seed = Seed {
                schemas,
                shape: item,
                context: &mut *context,
            };
            if let Some(value) = input.next_value_seed(seed)?.or_else(|| zero(item)) {
                map.insert(key, value);
            }
            context.trail.leave(mark);
        }
        Ok(Value::Object(map))
    }

    fn list<'de, A: SeqAccess<'de>>(self, item: &Shape, mut input: A) -> Result<Value, A::Error> {
        let Self {
            schemas, context, ..
        } = self;
        let mut list = Vec::new();
        for index in 0.. {
            let mark = context.trail.item(index);
            let seed = Seed {
                schemas,
                shape: item,
                context: &mut *context,
            };
            let Some(value) = input.next_element_seed(seed)? else {
                context.trail.leave(mark);
                break;
            };
            match value.or_else(|| zero(item)) {
                Some(value) => list.push(value),
                None => return Err(context.mismatch("null", item)),
            }
            context.trail.leave(mark);
        }
        Ok(Value::Array(list))
    }
}

/// Where a list that holds nothing is a wish. No managers at all: the object is to forget those it has. No policies of
/// scaling: not even the default ones, which is refused.
const WISHES: [&str; 3] = [
    "metadata.managedFields",
    "spec.behavior.scaleDown.policies",
    "spec.behavior.scaleUp.policies",
];

fn store(
    object: &mut Map<String, Value>,
    field: &Field,
    value: Option<Value>,
    wished: impl FnOnce() -> bool,
) {
    match value.filter(|value| !field.omits(value) || wished()) {
        Some(value) => object.insert(field.name.as_ref().to_owned(), value),
        // A null takes back what an earlier duplicate said.
        None => object.shift_remove(&*field.name),
    };
}

/// What null means for the items of lists and maps, where it cannot be dropped.
fn zero(shape: &Shape) -> Option<Value> {
    Some(match shape {
        Shape::String | Shape::Bytes => Value::from(""),
        Shape::Bool => Value::from(false),
        Shape::Int32 | Shape::Int64 | Shape::IntOrString => Value::from(0),
        Shape::Number => Value::from(0.0),
        Shape::Quantity => Value::from("0"),
        Shape::Object(_) | Shape::Map(_) => Value::Object(Map::new()),
        Shape::List(_) => Value::Array(Vec::new()),
        Shape::Any => Value::Null,
        Shape::Time | Shape::MicroTime => return None,
    })
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value of the field's type")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        let outcome = scalar::boolean(self.shape, value);
        self.checked(outcome)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        let outcome = scalar::integer(self.shape, value.into());
        self.checked(outcome)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        let outcome = scalar::integer(self.shape, value.into());
        self.checked(outcome)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        let outcome = scalar::float(self.shape, value);
        self.checked(outcome)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Self::Value, E> {
        let outcome = scalar::text(self.shape, value);
        self.checked(outcome)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, input: A) -> Result<Self::Value, A::Error> {
        let Shape::List(item) = self.shape else {
            return Err(self.context.mismatch("array", self.shape));
        };
        self.context.down()?;
        let list = self.reborrow().list(item, input)?;
        self.context.up();
        Ok(Some(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, input: A) -> Result<Self::Value, A::Error> {
        self.context.down()?;
        let value = match self.shape {
            Shape::Object(id) => {
                let ty = self.schemas.get(*id);
                self.reborrow().object(ty, input)?
            }
            Shape::Map(item) => self.reborrow().map(item, input)?,
            shape => return Err(self.context.mismatch("object", shape)),
        };
        self.context.up();
        Ok(Some(value))
    }
}

/// Which fields of a type were met. No type has more fields than bits; a test keeps it so.
#[derive(Default)]
struct Seen(u128);

impl Seen {
    fn again(&mut self, at: usize) -> bool {
        let bit = 1_u128.checked_shl(at as u32).unwrap_or(0);
        let again = self.0 & bit != 0;
        self.0 |= bit;
        again
    }
}

enum Key {
    Known(usize),
    Unknown(String),
}

/// Looks a key up without copying it.
struct KeySeed {
    ty: &'static Type,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Key, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
        Ok(match self.ty.position(name) {
            Some(at) => Key::Known(at),
            None => Key::Unknown(name.to_owned()),
        })
    }
}
