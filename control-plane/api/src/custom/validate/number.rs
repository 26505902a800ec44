//! Numbers: their range and multiples.

use serde_json::Number;

use super::outcome::{Outcome, Problem};
use crate::custom::schema::{Bound, Checks, Kind, Node};
use crate::custom::text::go_float;

/// Checks a number against the range of its type and the bounds of the schema.
pub(super) fn check(path: &str, node: &Node, checks: &Checks, number: &Number) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.problems.extend(range(path, node, checks, number));
    let problems = [
        multiple(path, checks, number),
        bound(path, checks.minimum, number, Side::Low),
        bound(path, checks.maximum, number, Side::High),
    ];
    for problem in problems.into_iter().flatten() {
        outcome.add(problem);
    }
    outcome.matches += 1;
    outcome
}

/// A number that is no number of the schema's type and format.
fn range(path: &str, node: &Node, checks: &Checks, number: &Number) -> Option<Problem> {
    let format = checks.format.as_deref().unwrap_or("");
    let (kind, fits) = match node.kind? {
        Kind::Integer => {
            let whole = number.as_i64().or_else(|| as_whole(number));
            let fits = match format {
                "int32" => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
                _ => whole.is_some(),
            };
            ("integer", fits)
        }
        Kind::Number => {
            let value = number.as_f64().unwrap_or(0.0);
            let fits = format != "float" || value.abs() <= f64::from(f32::MAX);
            ("number", fits)
        }
        _ => return None,
    };
    if fits {
        return None;
    }
    let known = match (kind, format) {
        ("integer", "int32" | "int64") | ("number", "float" | "double") => {
            format!(" with format {format}")
        }
        _ => " (default format)".to_owned(),
    };
    Some(Problem::Junctor(format!(
        "Checked value must be of type {kind}{known} in {path}"
    )))
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

fn bound(path: &str, bound: Option<Bound>, number: &Number, side: Side) -> Option<Problem> {
    let Bound { value, exclusive } = bound?;
    let ordering = match number.as_i64() {
        // Integers are compared as integers, the bound cut to one.
        Some(integer) => integer.cmp(&(value as i64)),
        None => number.as_f64()?.total_cmp(&value),
    };
    let outside = match side {
        Side::Low => ordering.is_lt(),
        Side::High => ordering.is_gt(),
    };
    if !(outside || exclusive && ordering.is_eq()) {
        return None;
    }
    let words = match (side, exclusive) {
        (Side::Low, false) => "greater than or equal to",
        (Side::Low, true) => "greater than",
        (Side::High, false) => "less than or equal to",
        (Side::High, true) => "less than",
    };
    let shown = match number.as_i64() {
        Some(_) => (value as i64).to_string(),
        None => go_float(value),
    };
    let why = format!("{path} in body should be {words} {shown}");
    Some(Problem::invalid(path, number.clone(), why))
}

fn multiple(path: &str, checks: &Checks, number: &Number) -> Option<Problem> {
    let factor = checks.multiple_of?;
    if factor <= 0.0 {
        let shown = go_float(factor);
        let why = format!("factor MultipleOf declared for {path} must be positive: {shown}");
        return Some(Problem::invalid(path, factor, why));
    }
    let (divides, shown) = match number.as_i64() {
        Some(integer) if factor >= 1.0 => {
            let factor = factor as i64;
            (integer % factor == 0, factor.to_string())
        }
        _ => {
            let value = number.as_f64()?;
            let quotient = if factor < 1.0 {
                1.0 / factor * value
            } else {
                value / factor
            };
            (is_whole(quotient), go_float(factor))
        }
    };
    if divides {
        return None;
    }
    let why = format!("{path} in body should be a multiple of {shown}");
    Some(Problem::invalid(path, number.clone(), why))
}

/// Whole up to what floating point loses on the way.
fn is_whole(value: f64) -> bool {
    const TOLERANCE: f64 = 1e-9;
    let nearest = value.round();
    value.is_finite() && (value - nearest).abs() <= TOLERANCE * nearest.abs().max(1.0)
}
