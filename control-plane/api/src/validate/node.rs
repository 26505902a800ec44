//! Nodes.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, text};
use crate::status::FieldError;

use super::address::cidr;
use super::path::{Path, amounts, invalid, optional_text, required_choice, required_text};

/// What a taint does to pods that do not tolerate it.
pub(super) const TAINT_EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn create(value: &Value, out: &mut Vec<FieldError>) {
    let spec = get(value, "spec").unwrap_or(&Value::Null);
    taints(spec, &Path::new("spec.taints"), out);
    let path = Path::new("spec.podCIDRs");
    for (at, range) in items(spec, "podCIDRs").iter().enumerate() {
        let text = range.as_str().unwrap_or("");
        invalid(out, &path.index(at), text, cidr(text));
    }
    status(value, out);
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Vec<FieldError>) {
    create(new, out);
    let changed = |field: &str| !is_empty(old, field) && get(old, field) != get(new, field);
    if changed("spec.podCIDRs") {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        out.push(FieldError::forbidden("spec.podCIDRs", why));
    }
    if changed("spec.providerID") {
        let why = "node updates may not change providerID except from \"\" to valid";
        out.push(FieldError::forbidden("spec.providerID", why));
    }
}

fn taints(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (at, taint) in items(spec, "taints").iter().enumerate() {
        let here = path.index(at);
        required_text(out, taint, &here, "key", names::qualified_name);
        optional_text(out, taint, &here, "value", names::label_value);
        required_choice(out, taint, &here, "effect", &TAINT_EFFECTS);
        let identity = (text(taint, "key"), text(taint, "effect"));
        if !seen.insert(identity) {
            let mut error = FieldError::duplicate(&here, taint.clone());
            error.detail = "taints must be unique by key and effect pair".to_owned();
            out.push(error);
        }
    }
}

fn status(value: &Value, out: &mut Vec<FieldError>) {
    let path = Path::new("status");
    let status = get(value, "status").unwrap_or(&Value::Null);
    amounts(out, status, &path, "capacity");
    amounts(out, status, &path, "allocatable");
    let mut seen = HashSet::new();
    for (at, address) in items(status, "addresses").iter().enumerate() {
        if !seen.insert((text(address, "type"), text(address, "address"))) {
            let here = path.child("addresses").index(at);
            out.push(FieldError::duplicate(here, address.clone()));
        }
    }
}
