//! What a check found.

use std::fmt;

use crate::decode::{Mark, Trail};
use crate::status::{FieldError, MAX_ERRORS, quote};

/// How many errors about one object are written, those met again included: many schemas may say the
/// same of one value.
const MAX_WRITTEN: usize = 3 * MAX_ERRORS;

/// The outcome of checking a value against a schema.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Whether anything is wrong with it.
    pub(super) wrong: bool,
    /// How many checks were made: of alternatives, the one with most is reported.
    pub(super) matches: usize,
}

impl Outcome {
    pub(super) fn merge(&mut self, other: Outcome) {
        self.wrong |= other.wrong;
        self.matches += other.matches;
    }
}

/// Where validation is, and what it found.
#[derive(Debug)]
pub(super) struct Findings<'p> {
    /// Where the value that is validated is in its object.
    prefix: &'p str,
    /// As upstream spells it: `spec.ports[0].name`, `.spec` below an empty root.
    trail: Trail,
    depth: usize,
    errors: Vec<FieldError>,
    written: usize,
    /// Whether it only matters that something is wrong: then there is no path, and nothing is written.
    pub(super) mute: bool,
}

/// The place of a value, as texts show it.
#[derive(Clone, Copy)]
pub(super) struct Place<'f> {
    prefix: &'f str,
    path: &'f str,
}

impl Place<'_> {
    /// The field of the error.
    pub(super) fn field(self) -> String {
        self.at(self.path)
    }

    /// That of an error about something below it.
    pub(super) fn below(self, name: &str) -> String {
        self.at(&format!("{self}.{name}"))
    }

    fn at(self, path: &str) -> String {
        match (self.prefix, path.trim_start_matches('.')) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        }
    }

    /// An error of anyOf, oneOf, allOf or not; upstream loses the path of these.
    pub(super) fn refused(self, why: &str) -> FieldError {
        FieldError::invalid("<nil>", "", format!("{} {why}", quote(self.path)))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.path)
    }
}

impl<'p> Findings<'p> {
    pub(super) fn new(prefix: &'p str) -> Findings<'p> {
        Findings {
            prefix,
            trail: Trail::default(),
            depth: 0,
            errors: Vec::new(),
            written: 0,
            mute: false,
        }
    }

    /// Something is wrong with the value it is at. What, is written only where it will be told, and the
    /// same is not told twice.
    pub(super) fn wrong(&mut self, error: impl FnOnce(Place<'_>) -> FieldError) -> Outcome {
        if !self.mute && !self.is_full() {
            let error = error(Place {
                prefix: self.prefix,
                path: self.trail.as_str(),
            });
            self.written += 1;
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        Outcome {
            wrong: true,
            matches: 0,
        }
    }

    /// Whether nothing more will be told.
    pub(super) fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS || self.written >= MAX_WRITTEN
    }

    pub(super) fn is_at_root(&self) -> bool {
        self.depth == 0
    }

    /// Upstream puts a dot in front of a key at the root, but none in front of a property.
    pub(super) fn enter_field(&mut self, name: &str, property: bool) -> Option<Mark> {
        self.depth += 1;
        (!self.mute).then(|| match property {
            true => self.trail.field(name),
            false => self.trail.dotted(name),
        })
    }

    pub(super) fn enter_item(&mut self, at: usize) -> Option<Mark> {
        self.depth += 1;
        (!self.mute).then(|| self.trail.item(at))
    }

    pub(super) fn leave(&mut self, mark: Option<Mark>) {
        self.depth -= 1;
        if let Some(mark) = mark {
            self.trail.leave(mark);
        }
    }

    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }
}
