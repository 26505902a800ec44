//! Namespaces.

use serde_json::Value;

use crate::names;
use crate::object::{self, items, text};
use crate::status::{Errors, FieldError};

use super::metadata;
use super::path::{Path, invalid};

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("spec.finalizers");
    for finalizer in items(value, "spec.finalizers") {
        let name = finalizer.as_str().unwrap_or("");
        invalid(out, &path, name, names::qualified_name(name));
        metadata::whose(name, &path, out);
    }
}

/// The phase says whether the namespace is being deleted, and nothing else.
pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let phase = text(value, "status.phase");
    let deleted = object::deletion_timestamp(value).is_some();
    if deleted && phase != "Terminating" {
        let why = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        out.push(|| FieldError::invalid("status.Phase", phase, why));
    }
    if !deleted && !matches!(phase, "" | "Active") {
        let why = "may only be 'Active' if `deletionTimestamp` is empty";
        out.push(|| FieldError::invalid("status.Phase", phase, why));
    }
}
