//! Where in an object a walk is (`spec.ports[0].name`), as one growing and shrinking text, so that a
//! path costs no allocation until it is reported.

use std::fmt::{self, Write};

/// The path from the root to where the walk is.
#[derive(Debug, Default)]
pub(crate) struct Trail(String);

/// How long the path was before it was extended.
#[must_use]
pub(crate) struct Mark(usize);

impl Trail {
    pub(crate) fn field(&mut self, name: &str) -> Mark {
        let mark = Mark(self.0.len());
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(name);
        mark
    }

    pub(crate) fn item(&mut self, at: usize) -> Mark {
        let mark = Mark(self.0.len());
        // Writing to a String cannot fail.
        let _ = write!(self.0, "[{at}]");
        mark
    }

    /// A key of a map, as `field.Path.Key` shows it.
    pub(crate) fn key(&mut self, key: &str) -> Mark {
        let mark = Mark(self.0.len());
        let _ = write!(self.0, "[{key}]");
        mark
    }

    pub(crate) fn leave(&mut self, mark: Mark) {
        self.0.truncate(mark.0);
    }

    /// Whether this is the path it is at.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.0 == path
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
