//! What an autoscaler goes by.

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, part, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, required_text};
use super::super::resource_name;
use super::{api_version, named};

/// Types of metrics, and the field that describes each.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = [
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

pub(super) fn check(metric: &Value, path: &Path, out: &mut Errors) {
    let kind = text(metric, "type");
    if kind.is_empty() {
        let why = "must specify a metric source type";
        out.push(|| FieldError::required(path.child("type"), why));
    }
    let expected = SOURCES.iter().find(|(known, _)| *known == kind);
    if expected.is_none() {
        out.push(|| FieldError::not_supported(path.child("type"), kind, &TYPES));
    }
    let mut given = SOURCES
        .iter()
        .filter_map(|(_, field)| Some((*field, get(metric, field)?)));
    let first = given.next();
    if let Some((field, source)) = first {
        one(field, source, &path.child(field), out);
    }
    if let Some((_, field)) = expected
        && get(metric, field).is_none()
    {
        let why = "must populate information for the given metric source";
        out.push(|| FieldError::required(path.child(field), why));
    }
    let others: Vec<&str> = first
        .into_iter()
        .chain(given)
        .map(|(field, _)| field)
        .collect();
    let Some((_, expected)) = expected else {
        return;
    };
    if others.len() > 1 || !others.contains(expected) {
        for field in others.into_iter().filter(|field| field != expected) {
            let why = "must populate the given metric source only";
            out.push(|| FieldError::forbidden(path.child(field), why));
        }
    }
}

fn one(field: &str, source: &Value, path: &Path, out: &mut Errors) {
    let (here, target) = (path.child("target"), part(source, "target"));
    let has = |field: &str| get(target, field).is_some();
    match field {
        "object" => {
            let object = part(source, "describedObject");
            let at = path.child("describedObject");
            named(object, &at, out);
            api_version(object, true, &at, out);
            identifier(source, path, out);
        }
        "external" | "pods" => identifier(source, path, out),
        _ => resource(field, source, path, out),
    }
    check_target(target, &here, out);
    let (values, missing, both) = match field {
        "object" => (
            ["averageValue", "value"],
            "must set either a target value or averageValue",
            "",
        ),
        "external" => (
            ["averageValue", "value"],
            "must set either a target value for metric or a per-pod target",
            "may not set both a target value for metric and a per-pod target",
        ),
        "pods" => (
            ["averageValue", "averageValue"],
            "must specify a positive target averageValue",
            "",
        ),
        _ => (
            ["averageUtilization", "averageValue"],
            "must set either a target raw value or a target utilization",
            "may not set both a target raw value and a target utilization",
        ),
    };
    if !values.iter().any(|field| has(field)) {
        out.push(|| FieldError::required(here.child(values[0]), missing));
    }
    if !both.is_empty() && values.iter().all(|field| has(field)) {
        out.push(|| FieldError::forbidden(here.child(values[1]), both));
    }
}

fn identifier(source: &Value, path: &Path, out: &mut Errors) {
    let at = path.child("metric").child("name");
    match text(source, "metric.name") {
        "" => out.push(|| FieldError::required(at, "must specify a metric name")),
        name => invalid(out, &at, name, names::path_segment(name)),
    }
}

fn resource(field: &str, source: &Value, path: &Path, out: &mut Errors) {
    let of_container = field == "containerResource";
    let (at, name) = (path.child("name"), text(source, "name"));
    if name.is_empty() {
        out.push(|| FieldError::required(&at, "must specify a resource name"));
    } else if of_container {
        invalid(out, &at, name, resource_name::container(name));
    }
    if !of_container {
        return;
    }
    if is_empty(source, "container") {
        let why = "must specify a container";
        out.push(|| FieldError::required(path.child("container"), why));
    } else {
        required_text(out, source, path, "container", names::dns1123_label);
    }
}

fn check_target(target: &Value, path: &Path, out: &mut Errors) {
    let (at, kind) = (path.child("type"), text(target, "type"));
    if kind.is_empty() {
        let why = "must specify a metric target type";
        out.push(|| FieldError::required(&at, why));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        out.push(|| FieldError::invalid(&at, kind, why));
    }
    for field in ["value", "averageValue"] {
        let Some(amount) = get(target, field) else {
            continue;
        };
        let positive = |amount: Quantity| !amount.is_negative() && !amount.is_zero();
        let why = match Quantity::from_value(amount) {
            Ok(parsed) if positive(parsed) => continue,
            Ok(_) => "must be positive".to_owned(),
            Err(error) => error.to_string(),
        };
        out.push(|| FieldError::invalid(path.child(field), amount, why));
    }
    if let Some(share) = int(target, "averageUtilization").filter(|share| *share < 1) {
        let at = path.child("averageUtilization");
        out.push(|| FieldError::invalid(at, share, "must be greater than 0"));
    }
}
