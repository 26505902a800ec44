//! Requests and limits.

use serde_json::Value;

use crate::names;
use crate::object::{entries, get};
use crate::quantity::Quantity;
use crate::status::FieldError;

use super::super::path::{Path, invalid, quantity};
use super::super::resource_name;

pub(super) fn container(container: &Value, path: &Path, out: &mut Vec<FieldError>) {
    if let Some(resources) = get(container, "resources") {
        requirements(
            resources,
            &path.child("resources"),
            resource_name::container,
            out,
        );
    }
}

/// What the pod as a whole may use.
pub(super) fn pod(spec: &Value, path: &Path, out: &mut Vec<FieldError>) {
    if let Some(resources) = get(spec, "resources") {
        requirements(resources, &path.child("resources"), pod_resource, out);
    }
}

fn requirements(
    resources: &Value,
    path: &Path,
    rule: fn(&str) -> Vec<String>,
    out: &mut Vec<FieldError>,
) {
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    for (name, amount) in entries(resources, "limits") {
        amount_of(name, amount, &limits, rule, out);
    }
    for (name, amount) in entries(resources, "requests") {
        let Some(request) = amount_of(name, amount, &requests, rule, out) else {
            continue;
        };
        let limit = resources
            .pointer("/limits")
            .and_then(|limits| limits.get(name));
        let limit = limit.and_then(|limit| Quantity::from_value(limit).ok());
        let exact = name.contains('/') || name.starts_with(resource_name::HUGE_PAGES);
        let why = match limit {
            Some(limit) if exact && request != limit => {
                format!("must be equal to {name} limit of {limit}")
            }
            Some(limit) if request > limit => {
                format!("must be less than or equal to {name} limit of {limit}")
            }
            None if exact => {
                let why = "Limit must be set for non overcommitable resources";
                out.push(FieldError::required(&limits, why));
                continue;
            }
            _ => continue,
        };
        out.push(FieldError::invalid(&requests, request.to_string(), why));
    }
}

fn amount_of(
    name: &str,
    amount: &Value,
    path: &Path,
    rule: fn(&str) -> Vec<String>,
    out: &mut Vec<FieldError>,
) -> Option<Quantity> {
    let here = path.key(name);
    invalid(out, &here, name, rule(name));
    let parsed = quantity(out, amount, &here)?;
    if name.contains('/') && !parsed.is_whole() {
        out.push(FieldError::invalid(
            &here,
            parsed.to_string(),
            "must be an integer",
        ));
    }
    Some(parsed)
}

fn pod_resource(name: &str) -> Vec<String> {
    if matches!(name, "cpu" | "memory") || name.starts_with(resource_name::HUGE_PAGES) {
        return names::qualified_name(name);
    }
    vec!["must be a standard resource for pods".to_owned()]
}
