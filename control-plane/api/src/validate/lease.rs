//! Leases.

use serde_json::Value;

use crate::object::{get, int};
use crate::status::FieldError;

use super::path::{Path, not_negative};

pub(super) fn create(value: &Value, out: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let spec = get(value, "spec").unwrap_or(&Value::Null);
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        let why = "must be greater than 0";
        out.push(FieldError::invalid(
            path.child("leaseDurationSeconds"),
            seconds,
            why,
        ));
    }
    not_negative(out, spec, &path, "leaseTransitions");
}
