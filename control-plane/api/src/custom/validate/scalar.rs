//! Types, strings and formats.

use serde_json::Value;

use super::kind_of;
use super::outcome::{Outcome, Problem};
use crate::custom::format;
use crate::custom::schema::{Checks, Kind, Node};
use crate::status::quote;

/// Whether the value is of the schema's type.
pub(super) fn kind(path: &str, node: &Node, format: Option<&str>, value: &Value) -> Outcome {
    let types = types(node);
    let passed = Outcome {
        matches: 1,
        ..Outcome::default()
    };
    let Some(found) = kind_of(value) else {
        if types.is_empty() || node.nullable {
            return passed;
        }
        return mistyped(path, &names(types), "null");
    };
    let accepts = |kind: Kind| types.contains(&kind);
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = accepts(found)
        || found == Kind::Number && whole && accepts(Kind::Integer)
        || found == Kind::Integer && accepts(Kind::Number);
    let loose = matches!(found, Kind::String | Kind::Array);
    if let Some(format) = format {
        // What is said of formats has holes where upstream has them: a list passes for a formatted string.
        let implied = match found {
            Kind::Integer => "int64",
            Kind::Number => "float64",
            _ => "",
        };
        if !loose && !fits && implied != format {
            return mistyped(path, format, implied);
        }
        if loose && !accepts(Kind::Number) && !accepts(Kind::Integer) {
            return passed;
        }
    }
    if fits {
        passed
    } else {
        mistyped(path, &names(types), found.name())
    }
}

fn types(node: &Node) -> &[Kind] {
    if node.int_or_string {
        return &[Kind::Integer, Kind::String];
    }
    node.kind.as_slice()
}

fn names(types: &[Kind]) -> String {
    let names: Vec<&str> = types.iter().map(|kind| kind.name()).collect();
    names.join(",")
}

fn mistyped(path: &str, want: &str, found: &str) -> Outcome {
    Outcome::of(Problem::Type {
        path: path.to_owned(),
        found: found.to_owned(),
        why: format!("{path} in body must be of type {want}: {}", quote(found)),
    })
}

/// Length and pattern; the first that does not hold is told.
pub(super) fn text(path: &str, checks: &Checks, text: &str) -> Outcome {
    let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(max) = checks.max_length.filter(|max| length() > *max) {
        return Outcome::of(Problem::TooLong {
            path: path.to_owned(),
            max,
        });
    }
    if let Some(min) = checks.min_length.filter(|min| length() < *min) {
        let why = format!("{path} in body should be at least {min} chars long");
        return Outcome::of(Problem::invalid(path, text, why));
    }
    if let Some(pattern) = &checks.pattern {
        let source = &pattern.source;
        let why = match pattern.matches(text) {
            Ok(true) => return Outcome::default(),
            Ok(false) => format!("{path} in body should match '{source}'"),
            Err(error) => {
                format!("{path} in body should match '{source}, but pattern is invalid: {error}'")
            }
        };
        return Outcome::of(Problem::invalid(path, text, why));
    }
    Outcome::default()
}

/// Whether a string has the form its format names.
pub(super) fn format(path: &str, format: &str, text: &str) -> Outcome {
    if format::holds(format, text) {
        return Outcome::default();
    }
    Outcome::of(Problem::Type {
        path: path.to_owned(),
        found: text.to_owned(),
        why: format!("{path} in body must be of type {format}: {}", quote(text)),
    })
}
