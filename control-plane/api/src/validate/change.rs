//! What an update may not change.

use serde_json::Value;

use crate::object::{get, part};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::semantic::normal;

/// Both versions of an object, in a form in which what means the same is equal.
pub(super) struct Change {
    new: Value,
    old: Value,
}

impl Change {
    pub(super) fn of(resource: &Resource, new: &Value, old: &Value) -> Change {
        Change {
            new: normal(new, resource.type_name),
            old: normal(old, resource.type_name),
        }
    }

    pub(super) fn differs(&self, path: &str) -> bool {
        get(&self.new, path) != get(&self.old, path)
    }

    /// The field at `path` must be what it was.
    pub(super) fn immutable(&self, out: &mut Errors, path: &str) {
        self.refused(out, path, IMMUTABLE);
    }

    /// As [`Change::immutable`], in words of the kind's own.
    pub(super) fn refused(&self, out: &mut Errors, path: &str, why: &str) {
        if self.differs(path) {
            out.push(|| FieldError::invalid(path, part(&self.new, path), why));
        }
    }
}
