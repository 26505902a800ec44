//! What a check found.

use serde_json::Value;

use crate::status::FieldError;
use crate::validate::MAX_ERRORS;

/// The outcome of checking a value against a schema.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) problems: Vec<Problem>,
    /// How many checks were made: of alternatives, the one with most is reported.
    pub(super) matches: usize,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Problem {
    Required {
        path: String,
    },
    Type {
        path: String,
        found: String,
        why: String,
    },
    Invalid {
        path: String,
        value: Value,
        why: String,
    },
    Choice {
        path: String,
        value: Value,
        choices: Box<[Value]>,
    },
    TooLong {
        path: String,
        max: i64,
    },
    TooMany {
        path: String,
        size: i64,
        max: i64,
    },
    /// Of anyOf, oneOf, allOf and not; upstream loses the path of these.
    Junctor(String),
}

impl Problem {
    pub(super) fn invalid(path: &str, value: impl Into<Value>, why: String) -> Problem {
        Problem::Invalid {
            path: path.to_owned(),
            value: value.into(),
            why,
        }
    }

    pub(super) fn too_many(path: &str, size: i64, max: i64) -> Problem {
        Problem::TooMany {
            path: path.to_owned(),
            size,
            max,
        }
    }

    /// The error as clients see it, for a value that is at `prefix` of its object.
    pub(super) fn field_error(self, prefix: &str) -> FieldError {
        let at = |path: &str| match (prefix, path.trim_start_matches('.')) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        match self {
            Problem::Required { path } => FieldError::required(at(&path), ""),
            Problem::Type { path, found, why } => FieldError::type_invalid(at(&path), found, why),
            Problem::Invalid { path, value, why } => FieldError::invalid(at(&path), value, why),
            Problem::Choice {
                path,
                value,
                choices,
            } => {
                let shown: Vec<String> = choices.iter().map(shown).collect();
                let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
                FieldError::not_supported(at(&path), value, &shown)
            }
            Problem::TooLong { path, max } => FieldError::too_long(at(&path), count(max)),
            Problem::TooMany { path, size, max } => {
                FieldError::too_many(at(&path), count(size), count(max))
            }
            Problem::Junctor(why) => FieldError::invalid("<nil>", "", why),
        }
    }
}

fn shown(choice: &Value) -> String {
    match choice {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Outcome {
    pub(super) fn of(problem: Problem) -> Outcome {
        Outcome {
            problems: vec![problem],
            matches: 0,
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a problem; the same one is not told twice, and no answer shows more than so many.
    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.len() < MAX_ERRORS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn merge(&mut self, other: Outcome) {
        self.matches += other.matches;
        for problem in other.problems {
            self.add(problem);
        }
    }
}
