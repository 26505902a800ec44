//! Nodes.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, is_empty, items, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::address::cidr;
use super::path::{Path, amounts, invalid, optional_text, required_choice};
use super::resource_name::is_whole;

/// What a taint does to pods that do not tolerate it.
pub(super) const TAINT_EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn create(value: &Value, out: &mut Errors) {
    let spec = get(value, "spec").unwrap_or(&Value::Null);
    // Upstream looks for them there, and says so.
    taints(spec, &Path::new("metadata.taints"), out);
    pod_ranges(spec, out);
    status(value, out);
    features(value, out);
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    create(new, out);
    addresses(new, out);
    let changed = |field: &str| !is_empty(old, field) && get(old, field) != get(new, field);
    if changed("spec.podCIDRs") {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        out.push(|| FieldError::forbidden("spec.podCIDRs", why));
    }
    if changed("spec.providerID") {
        let why = "node updates may not change providerID except from \"\" to valid";
        out.push(|| FieldError::forbidden("spec.providerID", why));
    }
    if text(new, "spec.externalID") != text(old, "spec.externalID") {
        out.push(|| FieldError::forbidden("spec.externalID", "may not be updated"));
    }
}

/// One range of addresses, or one of each family. What has no list has one range; decoding makes both say the same.
fn pod_ranges(spec: &Value, out: &mut Errors) {
    let path = Path::new("spec.podCIDRs");
    let ranges: Vec<&str> = items(spec, "podCIDRs")
        .iter()
        .map(|range| range.as_str().unwrap_or(""))
        .collect();
    for (at, text) in ranges.iter().enumerate() {
        invalid(out, &path.index(at), *text, cidr(text));
    }
    if ranges.len() > 1 && ranges.iter().all(|text| cidr(text).is_empty()) {
        let families = ranges.iter().filter(|text| text.contains(':')).count();
        if ranges.len() > 2 || families != 1 {
            let why = "may specify no more than one CIDR for each IP family";
            out.push(|| FieldError::invalid(path, items(spec, "podCIDRs"), why));
        }
    }
}

fn taints(spec: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, taint) in items(spec, "taints").iter().enumerate() {
        let here = path.index(at);
        let key = text(taint, "key");
        invalid(out, &here.child("key"), key, names::qualified_name(key));
        optional_text(out, taint, &here, "value", names::label_value);
        required_choice(out, taint, &here, "effect", &TAINT_EFFECTS);
        let identity = (text(taint, "key"), text(taint, "effect"));
        if !seen.insert(identity) {
            let why = "taints must be unique by key and effect pair";
            out.push(|| FieldError::duplicate(&here, taint).because(why));
        }
    }
}

fn status(value: &Value, out: &mut Errors) {
    let path = Path::new("status");
    let status = get(value, "status").unwrap_or(&Value::Null);
    for field in ["capacity", "allocatable"] {
        amounts(out, status, &path, field);
        for (name, amount) in entries(status, field) {
            let amount = Quantity::from_value(amount).ok();
            if let Some(half) = amount.filter(|it| is_whole(name) && !it.is_whole()) {
                let at = path.child(field).child(name);
                out.push(|| FieldError::invalid(at, half.to_string(), "must be an integer"));
            }
        }
    }
}

/// What the kubelet can do: features by name, in order.
fn features(value: &Value, out: &mut Errors) {
    let path = Path::new("status.declaredFeatures");
    let mut before = None;
    for (at, name) in items(value, "status.declaredFeatures").iter().enumerate() {
        let name = name.as_str().unwrap_or("");
        let here = path.index(at);
        if !is_feature(name) {
            let why = format!(
                "invalid feature name {name:?}: must start with an UpperCamelCase segment, with subsequent segments \
                 separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters \
                 and slashes"
            );
            out.push(|| FieldError::invalid(&here, name, why));
        }
        match before.replace(name) {
            Some(before) if before == name => out.push(|| FieldError::duplicate(here, name)),
            Some(before) if before > name => {
                out.push(|| FieldError::invalid(here, name, "list must be sorted alphabetically"));
            }
            _ => {}
        }
    }
}

fn is_feature(name: &str) -> bool {
    let alphanumeric = |segment: &str| segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let begins = |segment: &str| segment.starts_with(|first: char| first.is_ascii_alphabetic());
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .split('/')
            .all(|segment| begins(segment) && alphanumeric(segment))
}

/// Upstream does not look at those of a new node.
fn addresses(value: &Value, out: &mut Errors) {
    let path = Path::new("status.addresses");
    let mut seen = HashSet::new();
    for (at, address) in items(value, "status.addresses").iter().enumerate() {
        if !seen.insert((text(address, "type"), text(address, "address"))) {
            out.push(|| FieldError::duplicate(path.index(at), address));
        }
    }
}
