//! Leases.

use serde_json::Value;

use crate::names;
use crate::object::{int, part, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid, not_negative};

/// The holder is chosen by the release whose behaviour it shows.
const STRATEGY: &str = "OldestEmulationVersion";

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("spec");
    let spec = part(value, "spec");
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        let why = "must be greater than 0";
        out.push(|| FieldError::invalid(path.child("leaseDurationSeconds"), seconds, why));
    }
    not_negative(out, spec, &path, "leaseTransitions");
    let strategy = text(spec, "strategy");
    if strategy.contains('/') {
        let at = path.child("strategy");
        invalid(out, &at, strategy, names::qualified_name(strategy));
    } else if !strategy.is_empty() && strategy != STRATEGY {
        let at = path.child("strategy").child("strategy");
        out.push(|| FieldError::not_supported(at, strategy, &[STRATEGY]));
    }
    if !text(spec, "preferredHolder").is_empty() && strategy.is_empty() {
        let why = "may only be specified if `strategy` is defined";
        out.push(|| FieldError::forbidden(path.child("preferredHolder"), why));
    }
}
