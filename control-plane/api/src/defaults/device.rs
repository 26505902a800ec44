//! Defaults of claims for devices.

use serde_json::Value;

use crate::object::text;

use super::{default_number, default_text, each, within};

pub(super) fn claim(value: &mut Value) {
    within(value, "spec", spec);
}

pub(super) fn claim_template(value: &mut Value) {
    within(value, "spec.spec", spec);
}

fn spec(spec: &mut Value) {
    each(spec, "devices.requests", |one| {
        within(one, "exactly", request);
        each(one, "firstAvailable", request);
    });
}

fn request(request: &mut Value) {
    default_text(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        default_number(request, "count", 1);
    }
    each(request, "tolerations", |toleration| {
        default_text(toleration, "operator", "Equal");
    });
}
