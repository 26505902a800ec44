//! The light parse: one pass over the bytes that keeps metadata and a handful of fields and skips the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::attributes::{Kind, Wanted};

#[derive(Default)]
pub(super) struct Light<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) namespace: Cow<'a, str>,
    pub(super) uid: Cow<'a, str>,
    pub(super) labels: Box<[(Box<str>, Box<str>)]>,
    pub(super) deletion: Option<Box<str>>,
    pub(super) fields: Vec<(u8, Box<str>)>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    labels: Pairs,
    deletion_timestamp: Option<Box<str>>,
}

#[derive(Default)]
struct Pairs(Vec<(Box<str>, Box<str>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A string borrowed where it needs no unescaping.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

pub(super) fn parse<'a>(raw: &'a [u8], kind: &Kind) -> Result<Light<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(raw);
    let mut light = Light::default();
    deserializer.deserialize_map(Top {
        wanted: &kind.wanted,
        light: &mut light,
    })?;
    deserializer.end()?;
    Ok(light)
}

struct Top<'w, 'l, 'a> {
    wanted: &'w Wanted,
    light: &'l mut Light<'a>,
}

impl<'de> Visitor<'de> for Top<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            if key == "metadata" {
                let metadata: Metadata<'de> = map.next_value()?;
                self.light.name = metadata.name;
                self.light.namespace = metadata.namespace;
                self.light.uid = metadata.uid;
                self.light.labels = metadata.labels.0.into_boxed_slice();
                self.light.deletion = metadata.deletion_timestamp;
            } else if let Some(wanted) = self.wanted.field(&key) {
                map.next_value_seed(Pick {
                    wanted,
                    fields: &mut self.light.fields,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Follows the wanted paths below one field.
struct Pick<'w, 'f> {
    wanted: &'w Wanted,
    fields: &'f mut Vec<(u8, Box<str>)>,
}

impl Pick<'_, '_> {
    fn found(self, value: &str) {
        if let Some(label) = self.wanted.label {
            self.fields.push((label, value.into()));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Pick<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            match self.wanted.field(&key) {
                Some(wanted) => map.next_value_seed(Pick {
                    wanted,
                    fields: self.fields,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.found(value);
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.found(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.found(&value.to_string());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.found(&value.to_string());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}
