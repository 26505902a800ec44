//! Keys of maps. A key that is not quoted is in YAML what its text means, and becomes text again from there: `y` is
//! `true`, `0x10` is `16`. Keys in JSON are texts.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

/// Reads a key.
pub(crate) struct KeyText;

impl<'de> DeserializeSeed<'de> for KeyText {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<String, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for KeyText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_string<E: de::Error>(self, key: String) -> Result<String, E> {
        Ok(key)
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        match i64::try_from(key) {
            Ok(key) => self.visit_i64(key),
            Err(_) => Err(E::custom("unsupported map key of type: uint64")),
        }
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<String, E> {
        Ok(float(key))
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Err(E::custom(
            "unsupported map key of type: %!s(<nil>), key: <nil>",
        ))
    }
}

/// As Go's `%g` has it, of what is left in 32 bits. What is no number is not read.
fn float(key: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "upstream rounds them")]
    let short = key as f32;
    let scientific = format!("{short:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return short.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
