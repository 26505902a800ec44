//! ResourceQuotas.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{entries, get, items, part, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError, Shown};

use super::path::{Path, invalid, quantity};
use super::{IMMUTABLE, resource_name};

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

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    amounts(spec, &path, "hard", out);
    let all = items(spec, "scopes");
    let scopes = items(spec, "scopes").iter().filter_map(Value::as_str);
    let scopes: Vec<&str> = scopes.collect();
    let at = path.child("scopes");
    let uncovered = Uncovered::count(spec);
    for scope in &scopes {
        let Some(covers) = covers(scope) else {
            out.push(|| FieldError::invalid(&at, all, "unsupported scope"));
            continue;
        };
        uncovered.by(covers, &at, all, out);
    }
    conflicts(&scopes, &at, all, out);
    if let Some(selector) = get(spec, "scopeSelector") {
        selected(spec, selector, &uncovered, &path, out);
    }
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    create(new, out);
    let scopes = |value: &Value| -> BTreeSet<String> {
        let scopes = items(value, "spec.scopes").iter();
        scopes
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    if scopes(new) != scopes(old) {
        let shown = items(new, "spec.scopes");
        out.push(|| FieldError::invalid("spec.scopes", shown, IMMUTABLE));
    }
}

pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(value, "status"));
    amounts(status, &path, "hard", out);
    amounts(status, &path, "used", out);
}

fn amounts(value: &Value, path: &Path, field: &str, out: &mut Errors) {
    for (name, amount) in entries(value, field) {
        let at = path.child(field).key(name);
        invalid(out, &at, name, resource_name::quota(name));
        let parsed: Option<Quantity> = quantity(out, amount, &at);
        if parsed.is_some_and(|amount| resource_name::is_whole(name) && !amount.is_whole()) {
            out.push(|| FieldError::invalid(&at, amount, "must be an integer"));
        }
    }
}

/// What a scope says something about; none when there is no such scope.
fn covers(scope: &str) -> Option<Covers> {
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => Some(Covers::Pods),
        "BestEffort" => Some(Covers::NumberOfPods),
        "VolumeAttributesClass" => Some(Covers::Volumes),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Covers {
    Pods,
    NumberOfPods,
    Volumes,
}

/// How many limited resources each sort of scope does not cover. Counted once: both scopes and
/// resources are as many as the client likes.
struct Uncovered([usize; 3]);

impl Uncovered {
    fn count(spec: &Value) -> Uncovered {
        let mut counts = [0; 3];
        for (name, _) in entries(spec, "hard") {
            if resource_name::of_quotas(name) {
                let covered = [
                    OF_PODS.contains(&name),
                    name == "pods",
                    matches!(name, "persistentvolumeclaims" | "requests.storage"),
                ];
                for (count, covered) in counts.iter_mut().zip(covered) {
                    *count += usize::from(!covered);
                }
            }
        }
        Uncovered(counts)
    }

    /// One error per limited resource that the scope does not cover.
    fn by(&self, covers: Covers, path: &Path, shown: impl Into<Shown> + Copy, out: &mut Errors) {
        for _ in 0..self.0[covers as usize] {
            if out.is_full() {
                return;
            }
            let why = "unsupported scope applied to resource";
            out.push(|| FieldError::invalid(path, shown, why));
        }
    }
}

fn conflicts(scopes: &[&str], path: &Path, shown: &[Value], out: &mut Errors) {
    for (one, other) in OPPOSITES {
        if scopes.contains(&one) && scopes.contains(&other) {
            out.push(|| FieldError::invalid(path, shown, "conflicting scopes"));
        }
    }
}

fn selected(spec: &Value, selector: &Value, uncovered: &Uncovered, path: &Path, out: &mut Errors) {
    let here = path.child("scopeSelector").child("matchExpressions");
    let requirements = items(selector, "matchExpressions");
    for requirement in requirements {
        let (scope, operator) = (
            text(requirement, "scopeName"),
            text(requirement, "operator"),
        );
        match covers(scope) {
            Some(covers) => uncovered.by(covers, &here, selector, out),
            None => {
                let at = here.child("scopeName");
                out.push(|| FieldError::invalid(at, scope, "unsupported scope"));
            }
        }
        let at = here.child("operator");
        if EXISTING.contains(&scope) && operator != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, \
                       ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
                       ResourceQuotaScopeNotBestEffort or \
                       ResourceQuotaScopeCrossNamespacePodAffinity";
            out.push(|| FieldError::invalid(&at, operator, why));
        }
        let values = items(requirement, "values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for \
                           scope selector";
                out.push(|| FieldError::required(here.child("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope \
                           selector";
                out.push(|| FieldError::invalid(here.child("values"), values, why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                out.push(|| FieldError::invalid(at, other, why));
            }
        }
    }
    let scopes = requirements.iter().map(|one| text(one, "scopeName"));
    let scopes: Vec<&str> = scopes.collect();
    conflicts(&scopes, &here, items(spec, "scopes"), out);
}
