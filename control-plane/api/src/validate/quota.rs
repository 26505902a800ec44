//! ResourceQuotas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{entries, get, items, part, text};
use crate::quantity::Quantity;
use crate::status::FieldError;

use super::path::{Path, invalid, quantity};
use super::{IMMUTABLE, MAX_ERRORS, resource_name};

const OF_PODS: [&str; 7] = [
    "pods",
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
];
/// Scopes that pods are in or not, and that have no values.
const EXISTING: [&str; 5] = [
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "CrossNamespacePodAffinity",
];
const OPPOSITES: [(&str, &str); 2] = [
    ("BestEffort", "NotBestEffort"),
    ("Terminating", "NotTerminating"),
];

pub(super) fn create(value: &Value, out: &mut Vec<FieldError>) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    amounts(spec, &path, "hard", out);
    let all = Value::from(items(spec, "scopes"));
    let scopes = items(spec, "scopes").iter().filter_map(Value::as_str);
    let scopes: Vec<&str> = scopes.collect();
    let at = path.child("scopes");
    for scope in &scopes {
        let Some(covers) = covers(scope) else {
            out.push(FieldError::invalid(&at, all.clone(), "unsupported scope"));
            continue;
        };
        uncovered(spec, covers, &at, &all, out);
    }
    conflicts(&scopes, &at, &all, out);
    if let Some(selector) = get(spec, "scopeSelector") {
        selected(spec, selector, &path, out);
    }
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Vec<FieldError>) {
    create(new, out);
    let scopes = |value: &Value| -> BTreeSet<String> {
        let scopes = items(value, "spec.scopes").iter();
        scopes
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    if scopes(new) != scopes(old) {
        let shown = Value::from(items(new, "spec.scopes"));
        out.push(FieldError::invalid("spec.scopes", shown, IMMUTABLE));
    }
}

pub(super) fn status_update(value: &Value, out: &mut Vec<FieldError>) {
    let (path, status) = (Path::new("status"), part(value, "status"));
    amounts(status, &path, "hard", out);
    amounts(status, &path, "used", out);
}

fn amounts(value: &Value, path: &Path, field: &str, out: &mut Vec<FieldError>) {
    for (name, amount) in entries(value, field) {
        let at = path.child(field).key(name);
        invalid(out, &at, name, resource_name::quota(name));
        let parsed: Option<Quantity> = quantity(out, amount, &at);
        if parsed.is_some_and(|amount| resource_name::is_whole(name) && !amount.is_whole()) {
            out.push(FieldError::invalid(
                &at,
                amount.clone(),
                "must be an integer",
            ));
        }
    }
}

/// The resources a scope says something about; none when there is no such scope.
fn covers(scope: &str) -> Option<fn(&str) -> bool> {
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => Some(|name| OF_PODS.contains(&name)),
        "BestEffort" => Some(|name| name == "pods"),
        "VolumeAttributesClass" => {
            Some(|name| matches!(name, "persistentvolumeclaims" | "requests.storage"))
        }
        _ => None,
    }
}

/// One error per limited resource that the scope does not cover.
fn uncovered(
    spec: &Value,
    covers: fn(&str) -> bool,
    path: &Path,
    shown: &Value,
    out: &mut Vec<FieldError>,
) {
    for (name, _) in entries(spec, "hard") {
        if resource_name::of_quotas(name) && !covers(name) && out.len() < MAX_ERRORS {
            let why = "unsupported scope applied to resource";
            out.push(FieldError::invalid(path, shown.clone(), why));
        }
    }
}

fn conflicts(scopes: &[&str], path: &Path, shown: &Value, out: &mut Vec<FieldError>) {
    for (one, other) in OPPOSITES {
        if scopes.contains(&one) && scopes.contains(&other) {
            out.push(FieldError::invalid(
                path,
                shown.clone(),
                "conflicting scopes",
            ));
        }
    }
}

fn selected(spec: &Value, selector: &Value, path: &Path, out: &mut Vec<FieldError>) {
    let here = path.child("scopeSelector").child("matchExpressions");
    let requirements = items(selector, "matchExpressions");
    for requirement in requirements {
        let (scope, operator) = (
            text(requirement, "scopeName"),
            text(requirement, "operator"),
        );
        match covers(scope) {
            Some(covers) => uncovered(spec, covers, &here, selector, out),
            None => {
                let at = here.child("scopeName");
                out.push(FieldError::invalid(at, scope, "unsupported scope"));
            }
        }
        let at = here.child("operator");
        if EXISTING.contains(&scope) && operator != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                       ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                       ResourceQuotaScopeNotBestEffort or \
                       ResourceQuotaScopeCrossNamespacePodAffinity";
            out.push(FieldError::invalid(&at, operator, why));
        }
        let values = items(requirement, "values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for \
                           scope selector";
                out.push(FieldError::required(here.child("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope \
                           selector";
                let values = Value::from(values);
                out.push(FieldError::invalid(here.child("values"), values, why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                out.push(FieldError::invalid(at, other, why));
            }
        }
    }
    let scopes = requirements.iter().map(|one| text(one, "scopeName"));
    let scopes: Vec<&str> = scopes.collect();
    conflicts(&scopes, &here, &Value::from(items(spec, "scopes")), out);
}
