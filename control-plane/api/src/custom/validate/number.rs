//! Numbers: their range and multiples.

use serde_json::{Number, Value};

use super::outcome::{Findings, Outcome};
use crate::custom::schema::{Bound, Checks, Kind, Node};
use crate::custom::text::go_float;
use crate::status::FieldError;

/// Checks a number against the range of its type and the bounds of the schema.
pub(super) fn check(
    found: &mut Findings<'_>,
    node: &Node,
    checks: &Checks,
    number: &Number,
) -> Outcome {
    let mut outcome = range(found, node, checks, number);
    outcome.merge(multiple(found, checks, number));
    outcome.merge(bound(found, checks.minimum, number, Side::Low));
    outcome.merge(bound(found, checks.maximum, number, Side::High));
    outcome.matches += 1;
    outcome
}

/// A number that is no number of the schema's type and format.
fn range(found: &mut Findings<'_>, node: &Node, checks: &Checks, number: &Number) -> Outcome {
    let format = checks.format.as_deref().unwrap_or("");
    let (kind, fits) = match node.kind {
        Some(Kind::Integer) => {
            let whole = number.as_i64().or_else(|| as_whole(number));
            let fits = match format {
                "int32" => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
                _ => whole.is_some(),
            };
            ("integer", fits)
        }
        Some(Kind::Number) => {
            let value = number.as_f64().unwrap_or(0.0);
            let fits = format != "float" || value.abs() <= f64::from(f32::MAX);
            ("number", fits)
        }
        _ => return Outcome::default(),
    };
    if fits {
        return Outcome::default();
    }
    let known = match (kind, format) {
        ("integer", "int32" | "int64") | ("number", "float" | "double") => {
            [" with format ", format]
        }
        _ => [" (default format)", ""],
    };
    found.wrong(|at| {
        let known = known.concat();
        let why = format!("Checked value must be of type {kind}{known} in {at}");
        FieldError::invalid("<nil>", "", why)
    })
}

/// A floating point number that says an integer.
fn as_whole(number: &Number) -> Option<i64> {
    let value = number.as_f64()?;
    let whole = value as i64;
    (value.fract() == 0.0 && whole as f64 == value).then_some(whole)
}

#[derive(Clone, Copy)]
enum Side {
    Low,
    High,
}

fn bound(found: &mut Findings<'_>, bound: Option<Bound>, number: &Number, side: Side) -> Outcome {
    let Some(Bound { value, exclusive }) = bound else {
        return Outcome::default();
    };
    let ordering = match number.as_i64() {
        // Integers are compared as integers, the bound cut to one.
        Some(integer) => integer.cmp(&(value as i64)),
        None => number.as_f64().unwrap_or(0.0).total_cmp(&value),
    };
    let outside = match side {
        Side::Low => ordering.is_lt(),
        Side::High => ordering.is_gt(),
    };
    if !(outside || exclusive && ordering.is_eq()) {
        return Outcome::default();
    }
    let words = match (side, exclusive) {
        (Side::Low, false) => "greater than or equal to",
        (Side::Low, true) => "greater than",
        (Side::High, false) => "less than or equal to",
        (Side::High, true) => "less than",
    };
    found.wrong(|at| {
        let shown = match number.as_i64() {
            Some(_) => (value as i64).to_string(),
            None => go_float(value),
        };
        let why = format!("{at} in body should be {words} {shown}");
        FieldError::invalid(at.field(), Value::from(number.clone()), why)
    })
}

fn multiple(found: &mut Findings<'_>, checks: &Checks, number: &Number) -> Outcome {
    let Some(factor) = checks.multiple_of else {
        return Outcome::default();
    };
    if factor <= 0.0 {
        return found.wrong(|at| {
            let shown = go_float(factor);
            let why = format!("factor MultipleOf declared for {at} must be positive: {shown}");
            FieldError::invalid(at.field(), factor, why)
        });
    }
    let divides = match number.as_i64() {
        Some(integer) if factor >= 1.0 => integer % (factor as i64) == 0,
        _ => {
            let value = number.as_f64().unwrap_or(0.0);
            is_whole(if factor < 1.0 {
                1.0 / factor * value
            } else {
                value / factor
            })
        }
    };
    if divides {
        return Outcome::default();
    }
    found.wrong(|at| {
        let shown = match number.as_i64() {
            Some(_) if factor >= 1.0 => (factor as i64).to_string(),
            _ => go_float(factor),
        };
        let why = format!("{at} in body should be a multiple of {shown}");
        FieldError::invalid(at.field(), Value::from(number.clone()), why)
    })
}

/// Whole up to what floating point loses on the way.
fn is_whole(value: f64) -> bool {
    const TOLERANCE: f64 = 1e-9;
    let nearest = value.round();
    value.is_finite() && (value - nearest).abs() <= TOLERANCE * nearest.abs().max(1.0)
}
