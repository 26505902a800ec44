//! Scalars: checked against their shape and put into the one form in which they are stored.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Number, Value};

use crate::quantity;
use crate::schema::Shape;
use crate::time;

/// Why a scalar cannot become a value of a shape.
pub(crate) enum Refusal {
    /// It is something else, in JSON's words.
    Type(String),
    /// It is of the right type, but not what the shape wants.
    Malformed(String),
}

/// As lenient as the encoders in the field need: stray bits in the last character are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) fn boolean(shape: &Shape, value: bool) -> Result<Value, Refusal> {
    match shape {
        Shape::Bool => Ok(Value::Bool(value)),
        _ => Err(Refusal::Type("bool".to_owned())),
    }
}

pub(super) fn integer(shape: &Shape, value: i128) -> Result<Value, Refusal> {
    let refused = || Refusal::Type(format!("number {value}"));
    match shape {
        Shape::Int32 | Shape::IntOrString => {
            i32::try_from(value).map(Value::from).map_err(|_| refused())
        }
        Shape::Int64 => i64::try_from(value).map(Value::from).map_err(|_| refused()),
        Shape::Number => i64::try_from(value)
            .map(Value::from)
            .or_else(|_| u64::try_from(value).map(Value::from))
            .map_err(|_| refused()),
        Shape::Quantity => quantity_of(&Value::from(value.to_string())),
        _ => Err(Refusal::Type("number".to_owned())),
    }
}

pub(super) fn float(shape: &Shape, value: f64) -> Result<Value, Refusal> {
    match shape {
        Shape::Number => Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| Refusal::Malformed("JSON has no such number".to_owned())),
        Shape::Quantity => quantity_of(&Value::from(value.to_string())),
        Shape::Int32 | Shape::Int64 | Shape::IntOrString => {
            Err(Refusal::Type(format!("number {value}")))
        }
        _ => Err(Refusal::Type("number".to_owned())),
    }
}

pub(super) fn text(shape: &Shape, value: String) -> Result<Value, Refusal> {
    match shape {
        Shape::String | Shape::IntOrString => Ok(Value::String(value)),
        Shape::Bytes => bytes(value),
        Shape::Time => timestamp(&value, time::seconds),
        Shape::MicroTime => micro_time(&value),
        Shape::Quantity => quantity_of(&Value::String(value)),
        _ => Err(Refusal::Type("string".to_owned())),
    }
}

/// The canonical text of a quantity.
pub(crate) fn quantity_of(value: &Value) -> Result<Value, Refusal> {
    quantity::canonical(value)
        .map(Value::String)
        .map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Base64 as it is stored.
pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn bytes(text: String) -> Result<Value, Refusal> {
    // Encoders wrap long lines; the line ends are no part of the data.
    let wrapped = text.contains(['\n', '\r']);
    let text = if wrapped {
        text.replace(['\n', '\r'], "")
    } else {
        text
    };
    match BASE64.decode(&text) {
        Ok(_) => Ok(Value::String(text)),
        Err(error) => {
            use base64::DecodeError::{InvalidByte, InvalidLastSymbol};
            let at = match error {
                InvalidByte(at, _) | InvalidLastSymbol(at, _) => at,
                _ => text.len(),
            };
            Err(Refusal::Malformed(format!(
                "illegal base64 data at input byte {at}"
            )))
        }
    }
}

/// With six digits of a second, neither more nor fewer.
fn micro_time(text: &str) -> Result<Value, Refusal> {
    const FORM: &str = "2006-01-02T15:04:05.000000Z07:00";
    const SECONDS: usize = "2006-01-02T15:04:05".len();
    let refused = |rest: &str, wanted: &str| {
        Err(Refusal::Malformed(format!(
            "parsing time {text:?} as {FORM:?}: cannot parse {rest:?} as {wanted:?}"
        )))
    };
    if time::parse(text).is_none() || !text.is_ascii() {
        return timestamp(text, time::micro);
    }
    let rest = &text[SECONDS..];
    let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
    if !rest.starts_with(['.', ',']) || digits < 6 {
        return refused(rest, ".000000");
    }
    if digits > 6 {
        return refused(&rest[7..], "Z07:00");
    }
    timestamp(text, time::micro)
}

fn timestamp(text: &str, form: fn(jiff::Timestamp) -> String) -> Result<Value, Refusal> {
    match time::parse(text) {
        Some(timestamp) => Ok(Value::String(form(timestamp))),
        None => Err(Refusal::Malformed(format!(
            "parsing time {text:?}: want RFC 3339, as in 2006-01-02T15:04:05Z"
        ))),
    }
}
