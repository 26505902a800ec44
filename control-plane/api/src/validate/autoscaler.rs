//! HorizontalPodAutoscalers.

mod metric;

use std::borrow::Cow;

use serde_json::Value;

use crate::convert::{AUTOSCALER_V2, to_version};
use crate::names;
use crate::object::{get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::path::{Path, not_negative, quantity, required_text};

const MAX_WINDOW: i64 = 3600;
const MAX_PERIOD: i64 = 1800;

pub(super) fn create(value: &Value, out: &mut Errors) {
    check(&newest(value), None, out);
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    check(&newest(new), Some(&newest(old)), out);
}

/// Rules are about the version that says everything.
fn newest(value: &Value) -> Cow<'_, Value> {
    match to_version(value, AUTOSCALER_V2) {
        Some(newer) => Cow::Owned(newer),
        None => Cow::Borrowed(value),
    }
}

fn check(value: &Value, old: Option<&Value>, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    let before = old.map_or(&Value::Null, |old| part(old, "spec"));
    let (min, max) = (
        int(spec, "minReplicas"),
        int(spec, "maxReplicas").unwrap_or(0),
    );
    // Scaling to nothing is not served, but who had it keeps it.
    let lowest = if int(before, "minReplicas") == Some(0) {
        0
    } else {
        1
    };
    if let Some(min) = min.filter(|min| *min < lowest) {
        let why = format!("must be greater than or equal to {lowest}");
        out.push(|| FieldError::invalid(path.child("minReplicas"), min, why));
    }
    let at = path.child("maxReplicas");
    match max {
        0 => out.push(|| FieldError::required(&at, "must be set and greater than 0")),
        ..0 => {
            let why = "must be greater than or equal to 1";
            out.push(|| FieldError::invalid(&at, max, why));
        }
        _ => {}
    }
    if min.is_some_and(|min| max < min) {
        let why = "must be greater than or equal to `minReplicas`";
        out.push(|| FieldError::invalid(&at, max, why));
    }
    let (here, target) = (path.child("scaleTargetRef"), part(spec, "scaleTargetRef"));
    named(target, &here, out);
    let same = |field: &str| text(target, field) == text(part(before, "scaleTargetRef"), field);
    if old.is_none() || !same("apiVersion") || !same("kind") {
        let core = text(target, "kind") == "ReplicationController";
        api_version(target, core, &here, out);
    }
    for (at, one) in items(spec, "metrics").iter().enumerate() {
        metric::check(one, &path.child("metrics").index(at), out);
    }
    let outside = |metric: &Value| matches!(text(metric, "type"), "Object" | "External");
    if min == Some(0) && !items(spec, "metrics").iter().any(outside) {
        let why = "must specify at least one Object or External metric to support scaling to zero \
                   replicas";
        out.push(|| FieldError::forbidden(path.child("metrics"), why));
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = get(spec, "behavior").and_then(|all| get(all, direction)) {
            scaling(rules, &path.child("behavior").child(direction), out);
        }
    }
}

/// An object of a kind and name.
fn named(reference: &Value, path: &Path, out: &mut Errors) {
    required_text(out, reference, path, "kind", names::path_segment);
    required_text(out, reference, path, "name", names::path_segment);
}

/// The group of the kind; only a few kinds that scale are of the core group.
fn api_version(reference: &Value, core: bool, path: &Path, out: &mut Errors) {
    let version = text(reference, "apiVersion");
    let why = match version.matches('/').count() {
        0 if core => return,
        0 => "apiVersion must specify API group".to_owned(),
        1 => return,
        _ => format!("unexpected GroupVersion string: {version}"),
    };
    out.push(|| FieldError::invalid(path.child("apiVersion"), version, why));
}

fn scaling(rules: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("stabilizationWindowSeconds");
    match int(rules, "stabilizationWindowSeconds").unwrap_or(0) {
        window @ ..0 => {
            let why = "must be greater than or equal to zero";
            out.push(|| FieldError::invalid(at, window, why));
        }
        window if window > MAX_WINDOW => {
            let why = format!("must be less than or equal to {MAX_WINDOW}");
            out.push(|| FieldError::invalid(at, window, why));
        }
        _ => {}
    }
    let selections = ["Disabled", "Max", "Min"];
    if let Some(policy) = get(rules, "selectPolicy").and_then(Value::as_str)
        && !selections.contains(&policy)
    {
        let at = path.child("selectPolicy");
        out.push(|| FieldError::not_supported(at, policy, &selections));
    }
    let here = path.child("policies");
    if is_empty(rules, "policies") {
        out.push(|| FieldError::required(&here, "must specify at least one Policy"));
    }
    for (at, policy) in items(rules, "policies").iter().enumerate() {
        scaling_policy(policy, &here.index(at), out);
    }
    if let Some(tolerance) = get(rules, "tolerance") {
        quantity(out, tolerance, &path.child("tolerance"));
    }
}

fn scaling_policy(policy: &Value, path: &Path, out: &mut Errors) {
    let kind = text(policy, "type");
    if !matches!(kind, "Pods" | "Percent") {
        let at = path.child("type");
        out.push(|| FieldError::not_supported(at, kind, &["Percent", "Pods"]));
    }
    for field in ["value", "periodSeconds"] {
        let number = int(policy, field).unwrap_or(0);
        if number <= 0 {
            let why = "must be greater than zero";
            out.push(|| FieldError::invalid(path.child(field), number, why));
        } else if field == "periodSeconds" && number > MAX_PERIOD {
            let why = format!("must be less than or equal to {MAX_PERIOD}");
            out.push(|| FieldError::invalid(path.child(field), number, why));
        }
    }
}

pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(value, "status"));
    not_negative(out, status, &path, "currentReplicas");
    not_negative(out, status, &path, "desiredReplicas");
}
