//! Which requests a webhook or a policy is about.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{is_empty, items, part};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, optional_choice};
use super::super::selector::label_selector;
use super::MATCH_POLICIES;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
/// What can be changed on its way in.
const MUTABLE: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

pub(in super::super) fn check(rule: &Value, path: &Path, out: &mut Errors) {
    let (at, operations) = (path.child("operations"), items(rule, "operations"));
    if operations.is_empty() {
        out.push(|| FieldError::required(&at, ""));
    }
    alone(rule, "operations", "operations", path, out);
    for (number, operation) in operations.iter().enumerate() {
        let operation = operation.as_str().unwrap_or("");
        if !OPERATIONS.contains(&operation) {
            let at = at.index(number);
            out.push(|| FieldError::not_supported(at, operation, &OPERATIONS));
        }
    }
    for (field, noun) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        if is_empty(rule, field) {
            out.push(|| FieldError::required(path.child(field), ""));
        }
        alone(rule, field, noun, path, out);
    }
    for (number, version) in items(rule, "apiVersions").iter().enumerate() {
        if version == "" {
            let at = path.child("apiVersions").index(number);
            out.push(|| FieldError::required(at, ""));
        }
    }
    resources(rule, &path.child("resources"), out);
    optional_choice(out, rule, path, "scope", &SCOPES);
}

/// What stands for everything needs no company.
fn alone(rule: &Value, field: &str, noun: &str, path: &Path, out: &mut Errors) {
    let list = items(rule, field);
    if list.len() > 1 && list.iter().any(|one| one == "*") {
        let why = format!("if '*' is present, must not specify other {noun}");
        out.push(|| FieldError::invalid(path.child(field), list, why));
    }
}

fn resources(rule: &Value, path: &Path, out: &mut Errors) {
    let list = items(rule, "resources");
    if list.is_empty() {
        out.push(|| FieldError::required(path, ""));
    }
    let (mut whole, mut parts) = (HashSet::new(), HashSet::new());
    let mut named_whole = false;
    for (at, one) in list.iter().enumerate() {
        let (here, one) = (path.index(at), one.as_str().unwrap_or(""));
        if one.is_empty() {
            out.push(|| FieldError::required(here, ""));
            continue;
        }
        let Some((resource, part)) = one.split_once('/') else {
            named_whole = one != "*";
            continue;
        };
        if whole.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {one}");
            out.push(|| FieldError::invalid(&here, one, why));
        }
        if parts.contains(part) {
            let why = format!("if '*/{part}' is present, must not specify {one}");
            out.push(|| FieldError::invalid(&here, one, why));
        }
        if part == "*" {
            whole.insert(resource);
        }
        if resource == "*" {
            parts.insert(part);
        }
    }
    let has = |name: &str| list.iter().any(|one| one == name);
    if list.len() > 1 && has("*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        out.push(|| FieldError::invalid(path, list, why));
    }
    if has("*") && named_whole {
        let why = "if '*' is present, must not specify other resources without subresources";
        out.push(|| FieldError::invalid(path, list, why));
    }
}

/// The requests a policy or a binding is about.
pub(in super::super) fn matching(value: &Value, path: &Path, out: &mut Errors) {
    optional_choice(out, value, path, "matchPolicy", &MATCH_POLICIES);
    for field in ["namespaceSelector", "objectSelector"] {
        label_selector(part(value, field), &path.child(field), out);
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (at, one) in items(value, list).iter().enumerate() {
            let here = path.child(list).index(at);
            let mut seen = HashSet::new();
            for (at, name) in items(one, "resourceNames").iter().enumerate() {
                let at = here.child("resourceNames").index(at);
                let name = name.as_str().unwrap_or("");
                invalid(out, &at, name, names::path_segment(name));
                if !seen.insert(name) {
                    out.push(|| FieldError::duplicate(at, name));
                }
            }
            check(one, &here, out);
        }
    }
}

/// A deletion brings nothing that could be changed.
pub(in super::super) fn mutable(value: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("resourceRules").child("operations");
    let rules = items(value, "resourceRules").iter();
    for operation in rules.flat_map(|rule| items(rule, "operations")) {
        let operation = operation.as_str().unwrap_or("");
        if !MUTABLE.contains(&operation) {
            out.push(|| FieldError::not_supported(&at, operation, &MUTABLE));
        }
    }
}
