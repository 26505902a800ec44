//! PodDisruptionBudgets.

use serde_json::Value;

use crate::object::{get, part};
use crate::status::{Errors, FieldError};

use super::conditions;
use super::int_or_percent::{at_most_all, positive};
use super::path::{Path, not_negative, optional_choice};
use super::selector::label_selector;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let bounds = ["minAvailable", "maxUnavailable"];
    if bounds.iter().all(|field| get(spec, field).is_some()) {
        let why = "minAvailable and maxUnavailable cannot be both set";
        out.push(|| FieldError::invalid(&path, spec, why));
    }
    for field in bounds {
        positive(out, spec, &path, field);
        at_most_all(out, spec, &path, field);
    }
    label_selector(part(spec, "selector"), &path.child("selector"), out);
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    optional_choice(out, spec, &path, "unhealthyPodEvictionPolicy", &policies);
}

pub(super) fn status_update(new: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(new, "status"));
    conditions::check(status, &path.child("conditions"), out);
    for field in [
        "disruptionsAllowed",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
    ] {
        not_negative(out, status, &path, field);
    }
}
