//! Values as Go's `fmt` prints them: messages and table cells show them so.

use serde_json::Value;

/// A floating point number as `%v` prints it.
pub(crate) fn go_float(value: f64) -> String {
    /// From this exponent on, and below the other, the scientific form is shorter.
    const LARGE: i32 = 6;
    const SMALL: i32 = -4;
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rust's shortest scientific form has the digits; Go writes the exponent with a sign and two digits.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (SMALL..LARGE).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A value as `%v` prints what JSON was parsed into.
pub(crate) fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.to_string(),
            None => go_float(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The type of a value in Go's words.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (value, want) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (-2.0, "-2"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456.0, "123456"),
            (1e6, "1e+06"),
            (1e21, "1e+21"),
            (123456789.25, "1.2345678925e+08"),
        ] {
            assert_eq!(go_float(value), want);
        }
    }
}
