//! Amounts that are a number of pods or a share of them.

use serde_json::Value;

use crate::object::get;
use crate::status::{Errors, FieldError};

use super::path::{Path, not_negative};

/// A number that is not negative, or a percentage. There may be none.
pub(super) fn positive(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    match get(value, field) {
        Some(Value::String(text)) if percent(text).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. \
                       '1%',  or '93%', regex used for validation is '[0-9]+%')";
            out.push(|| FieldError::invalid(path.child(field), text.as_str(), why));
        }
        _ => not_negative(out, value, path, field),
    }
}

/// At most everything.
pub(super) fn at_most_all(out: &mut Errors, value: &Value, path: &Path, field: &str) {
    let Some(Value::String(text)) = get(value, field) else {
        return;
    };
    if percent(text).is_some_and(|share| share > 100) {
        let why = "must not be greater than 100%";
        out.push(|| FieldError::invalid(path.child(field), text.as_str(), why));
    }
}

/// The number or the percentage, whichever it is; 0 when there is none.
pub(super) fn number(value: &Value, field: &str) -> i64 {
    match get(value, field) {
        Some(Value::String(text)) => percent(text).or_else(|| text.parse().ok()).unwrap_or(0),
        Some(other) => other.as_i64().unwrap_or(0),
        None => 0,
    }
}

fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are far beyond any limit that is checked.
    Some(digits.parse().unwrap_or(i64::MAX))
}
