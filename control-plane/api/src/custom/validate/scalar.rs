//! Types, strings and formats.

use serde_json::Value;

use super::kind_of;
use super::outcome::{Findings, Outcome, Place};
use crate::custom::format;
use crate::custom::schema::{Checks, Kind, Node};
use crate::status::{FieldError, MAX_SHOWN, quote, shorten};

/// Whether the value is of the schema's type.
pub(super) fn kind(
    found: &mut Findings<'_>,
    node: &Node,
    format: Option<&str>,
    value: &Value,
) -> Outcome {
    let types = types(node);
    let passed = Outcome {
        matches: 1,
        ..Outcome::default()
    };
    let Some(kind) = kind_of(value) else {
        if types.is_empty() || node.nullable {
            return passed;
        }
        return mistyped(found, || names(types), "null");
    };
    let accepts = |kind: Kind| types.contains(&kind);
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let fits = accepts(kind)
        || kind == Kind::Number && whole && accepts(Kind::Integer)
        || kind == Kind::Integer && accepts(Kind::Number);
    let loose = matches!(kind, Kind::String | Kind::Array);
    if let Some(format) = format {
        // What is said of formats has holes where upstream has them: a list passes for a formatted string.
        let implied = match kind {
            Kind::Integer => "int64",
            Kind::Number => "float64",
            _ => "",
        };
        if !loose && !fits && implied != format {
            return mistyped(found, || format.to_owned(), implied);
        }
        if loose && !accepts(Kind::Number) && !accepts(Kind::Integer) {
            return passed;
        }
    }
    if fits {
        passed
    } else {
        mistyped(found, || names(types), kind.name())
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

fn mistyped(found: &mut Findings<'_>, want: impl FnOnce() -> String, got: &str) -> Outcome {
    found.wrong(|at| of_type(at, &want(), got))
}

fn of_type(at: Place<'_>, want: &str, got: &str) -> FieldError {
    let shown = quote(&shorten(got, MAX_SHOWN));
    let why = format!("{at} in body must be of type {want}: {shown}");
    FieldError::type_invalid(at.field(), got, why)
}

/// Length and pattern; the first that does not hold is told.
pub(super) fn text(found: &mut Findings<'_>, checks: &Checks, text: &str) -> Outcome {
    let length = || i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(max) = checks.max_length.filter(|max| length() > *max) {
        let max = usize::try_from(max).unwrap_or(0);
        return found.wrong(|at| FieldError::too_long(at.field(), max));
    }
    if let Some(min) = checks.min_length.filter(|min| length() < *min) {
        return found.wrong(|at| {
            let why = format!("{at} in body should be at least {min} chars long");
            FieldError::invalid(at.field(), text, why)
        });
    }
    let Some(pattern) = &checks.pattern else {
        return Outcome::default();
    };
    let source = &pattern.source;
    match pattern.matches(text) {
        Ok(true) => Outcome::default(),
        Ok(false) => found.wrong(|at| {
            let why = format!("{at} in body should match '{source}'");
            FieldError::invalid(at.field(), text, why)
        }),
        Err(error) => found.wrong(|at| {
            let why =
                format!("{at} in body should match '{source}, but pattern is invalid: {error}'");
            FieldError::invalid(at.field(), text, why)
        }),
    }
}

/// Whether a string has the form its format names.
pub(super) fn format(found: &mut Findings<'_>, format: &str, text: &str) -> Outcome {
    if format::holds(format, text) {
        return Outcome::default();
    }
    found.wrong(|at| of_type(at, format, text))
}
