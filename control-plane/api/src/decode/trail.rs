//! Where in an object a walk is (`spec.ports[0].name`), as one growing and shrinking text, so that a
//! path costs no allocation until it is reported.

use std::fmt::{self, Write};

use crate::status::{MAX_KEY, MAX_PATH, shorten};

/// The path from the root to where the walk is. It has at most some KiB, whatever the keys are: each
/// report is a copy.
#[derive(Debug, Default)]
pub(crate) struct Trail(String);

/// How long the path was before it was extended.
#[must_use]
pub(crate) struct Mark(usize);

impl Trail {
    pub(crate) fn field(&mut self, name: &str) -> Mark {
        match self.is_empty() {
            true => self.step(format_args!("{}", shorten(name, MAX_KEY))),
            false => self.dotted(name),
        }
    }

    /// A field, with a dot in front of it even at the root.
    pub(crate) fn dotted(&mut self, name: &str) -> Mark {
        self.step(format_args!(".{}", shorten(name, MAX_KEY)))
    }

    pub(crate) fn item(&mut self, at: usize) -> Mark {
        self.step(format_args!("[{at}]"))
    }

    /// A key of a map, as `field.Path.Key` shows it.
    pub(crate) fn key(&mut self, key: &str) -> Mark {
        self.step(format_args!("[{}]", shorten(key, MAX_KEY)))
    }

    fn step(&mut self, step: fmt::Arguments<'_>) -> Mark {
        let mark = Mark(self.0.len());
        if mark.0 <= MAX_PATH {
            // Writing to a String cannot fail.
            let _ = self.0.write_fmt(step);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_the_way_within_bounds() {
        let mut trail = Trail::default();
        let spec = trail.field("spec");
        let item = trail.item(2);
        let key = trail.key("k");
        assert!(trail.is_at("spec[2][k]"));
        trail.leave(key);
        trail.leave(item);
        let marks: Vec<Mark> = (0..100)
            .map(|_| trail.field(&"k".repeat(1 << 20)))
            .collect();
        assert!(trail.as_str().len() < 2 * MAX_PATH);
        marks.into_iter().rev().for_each(|mark| trail.leave(mark));
        assert!(trail.is_at("spec"));
        trail.leave(spec);
        assert!(trail.is_empty());
    }
}
