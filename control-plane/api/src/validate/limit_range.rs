//! LimitRanges.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{entries, entry, is_empty, items, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::path::{Path, invalid};
use super::resource_name;

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];
const AMOUNTS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

pub(super) fn create(value: &Value, out: &mut Errors) {
    let path = Path::new("spec.limits");
    let mut seen = HashSet::new();
    for (at, limit) in items(value, "spec.limits").iter().enumerate() {
        let here = path.index(at);
        let kind = text(limit, "type");
        let mut wrong = names::qualified_name(kind);
        if wrong.is_empty() && !kind.contains('/') && !TYPES.contains(&kind) {
            wrong.push("must be a standard limit type or fully qualified".to_owned());
        }
        invalid(out, &here.child("type"), kind, wrong);
        if !seen.insert(kind) {
            out.push(|| FieldError::duplicate(here.child("type"), kind));
        }
        one(limit, kind, &here, out);
    }
}

fn one(limit: &Value, kind: &str, path: &Path, out: &mut Errors) {
    let of_containers = matches!(kind, "Pod" | "Container");
    let mut resources = BTreeSet::new();
    for field in AMOUNTS {
        if kind == "Pod" && field.starts_with("default") {
            if !is_empty(limit, field) {
                let why = "may not be specified when `type` is 'Pod'";
                out.push(|| FieldError::forbidden(path.child(field), why));
            }
            continue;
        }
        for (name, _) in entries(limit, field) {
            let wrong = if of_containers {
                resource_name::container(name)
            } else {
                resource_name::any(name)
            };
            invalid(out, &path.child(field).key(name), name, wrong);
            resources.insert(name);
        }
    }
    let storage = |field: &str| entry(limit, field, "storage").is_some();
    if kind == "PersistentVolumeClaim" && !storage("min") && !storage("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        out.push(|| FieldError::required(path.child("limits"), why));
    }
    for name in resources {
        bounds(limit, kind, name, path, out);
    }
}

/// Whatever is said of a resource fits together.
fn bounds(limit: &Value, kind: &str, name: &str, path: &Path, out: &mut Errors) {
    let amount = |field: &str| {
        if kind == "Pod" && field.starts_with("default") {
            return None;
        }
        Quantity::from_value(entry(limit, field, name)?).ok()
    };
    // What may not exceed what, where the error stands, which of the two it shows, and the words.
    for (low, high, at, shown, words) in [
        ("min", "max", "min", "min", ("min value", "max value")),
        (
            "min",
            "defaultRequest",
            "defaultRequest",
            "defaultRequest",
            ("min value", "default request value"),
        ),
        (
            "defaultRequest",
            "max",
            "defaultRequest",
            "defaultRequest",
            ("default request value", "max value"),
        ),
        (
            "defaultRequest",
            "default",
            "defaultRequest",
            "defaultRequest",
            ("default request value", "default limit value"),
        ),
        (
            "min",
            "default",
            "default",
            "min",
            ("min value", "default value"),
        ),
        (
            "default",
            "max",
            "default",
            "max",
            ("default value", "max value"),
        ),
    ] {
        let (Some(less), Some(more)) = (amount(low), amount(high)) else {
            continue;
        };
        if less > more {
            let why = format!("{} {less} is greater than {} {more}", words.0, words.1);
            let shown = if shown == low { less } else { more };
            let at = path.child(at).key(name);
            out.push(|| FieldError::invalid(at, shown.to_string(), why));
        }
    }
    if let Some(ratio) = amount("maxLimitRequestRatio") {
        let at = path.child("maxLimitRequestRatio").key(name);
        check_ratio(ratio, amount("min").zip(amount("max")), &at, out);
    }
    if let (Some(limit), Some(request)) = (amount("default"), amount("defaultRequest"))
        && limit != request
        && !resource_name::overcommits(name)
    {
        let why =
            format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        let at = path.child("defaultRequest").key(name);
        out.push(|| FieldError::invalid(at, request.to_string(), why));
    }
}

fn check_ratio(
    ratio: Quantity,
    bounds: Option<(Quantity, Quantity)>,
    path: &Path,
    out: &mut Errors,
) {
    let shown = ratio.to_string();
    if number(ratio) < 1.0 {
        let why = format!("ratio {shown} is less than 1");
        out.push(|| FieldError::invalid(path, shown.as_str(), why));
    }
    let Some((min, max)) = bounds.filter(|(min, _)| !min.is_zero()) else {
        return;
    };
    let limit = number(max) / number(min);
    if number(ratio) > limit {
        let why = format!("ratio {shown} is greater than max/min = {limit:.6}");
        out.push(|| FieldError::invalid(path, shown, why));
    }
}

fn number(amount: Quantity) -> f64 {
    amount.nanos() as f64 / 1e9
}
