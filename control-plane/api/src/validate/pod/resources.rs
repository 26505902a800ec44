//! Requests and limits.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::amounts::of_containers;
use crate::object::{entries, get, items, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, quantity};
use super::super::resource_name::{self, HUGE_PAGES};
use super::{Context, claims};

/// What the pod as a whole can ask for.
const OF_PODS: [&str; 3] = ["cpu", "hugepages-", "memory"];

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

pub(super) fn container(container: &Value, context: &Context<'_>, path: &Path, out: &mut Errors) {
    if let Some(resources) = get(container, "resources") {
        let here = path.child("resources");
        requirements(resources, &here, of_container, out);
        claims::shares(resources, &context.claims, &here.child("claims"), out);
    }
}

/// What the pod as a whole may use.
pub(super) fn pod(spec: &Value, path: &Path, out: &mut Errors) {
    let Some(resources) = get(spec, "resources") else {
        return;
    };
    let here = path.child("resources");
    if text(spec, "os.name") == "windows" {
        let why = "may not be set for a windows pod";
        out.push(|| FieldError::forbidden(here, why));
        return;
    }
    if get(resources, "claims").is_some() {
        let why = "claims may not be set for Resources at pod-level";
        out.push(|| FieldError::forbidden(here.child("claims"), why));
    }
    requirements(resources, &here, of_pod, out);
    consistent(spec, resources, &here, out);
}

type NameRule = fn(&str, &Path, &mut Errors);

fn of_container(name: &str, path: &Path, out: &mut Errors) {
    invalid(out, path, name, resource_name::container(name));
}

fn of_pod(name: &str, path: &Path, out: &mut Errors) {
    let wrong = resource_name::any(name);
    let known = matches!(name, "cpu" | "memory") || name.starts_with(HUGE_PAGES);
    if wrong.is_empty() && !known {
        out.push(|| FieldError::not_supported(path, name, &OF_PODS));
    }
    invalid(out, path, name, wrong);
}

fn requirements(resources: &Value, path: &Path, rule: NameRule, out: &mut Errors) {
    let (limits, requests) = (path.child("limits"), path.child("requests"));
    for (name, amount) in entries(resources, "limits") {
        amount_of(name, amount, &limits, rule, out);
    }
    for (name, amount) in entries(resources, "requests") {
        let Some(request) = amount_of(name, amount, &requests, rule, out) else {
            continue;
        };
        let limit = get(resources, "limits").and_then(|limits| limits.get(name));
        let exact = !resource_name::overcommits(name);
        let why = match limit.map(Quantity::from_value) {
            Some(Ok(limit)) if exact && request != limit => {
                format!("must be equal to {name} limit of {limit}")
            }
            Some(Ok(limit)) if request > limit => {
                format!("must be less than or equal to {name} limit of {limit}")
            }
            None if exact => {
                let why = "Limit must be set for non overcommitable resources";
                out.push(|| FieldError::required(&limits, why));
                continue;
            }
            _ => continue,
        };
        out.push(|| FieldError::invalid(&requests, request.to_string(), why));
    }
    let any = |of: fn(&str) -> bool| {
        let mut both = entries(resources, "limits").chain(entries(resources, "requests"));
        both.any(|(name, _)| of(name))
    };
    if any(|name| name.starts_with(HUGE_PAGES)) && !any(|name| matches!(name, "cpu" | "memory")) {
        let why = "HugePages require cpu or memory";
        out.push(|| FieldError::forbidden(path, why));
    }
}

fn amount_of(
    name: &str,
    amount: &Value,
    path: &Path,
    rule: NameRule,
    out: &mut Errors,
) -> Option<Quantity> {
    let here = path.key(name);
    rule(name, &here, out);
    let parsed = quantity(out, amount, &here)?;
    let mut wrong = |why: String| out.push(|| FieldError::invalid(&here, parsed.to_string(), why));
    if resource_name::is_whole(name) && !parsed.is_whole() {
        wrong("must be an integer".to_owned());
    }
    if let Some(size) = name.strip_prefix(HUGE_PAGES)
        && !is_multiple(parsed, size)
    {
        wrong(format!(
            "{parsed} is not positive integer multiple of {name}"
        ));
    }
    Some(parsed)
}

/// Whether an amount is made of whole pages.
fn is_multiple(amount: Quantity, size: &str) -> bool {
    let Ok(page) = Quantity::parse(size) else {
        return false;
    };
    !page.is_zero() && !page.is_negative() && page.is_whole() && amount.units() % page.units() == 0
}

/// What containers have must fit into what the pod has.
fn consistent(spec: &Value, resources: &Value, path: &Path, out: &mut Errors) {
    let of_pod = amounts(resources, "requests");
    for (name, sum) in of_containers(spec, "resources.requests") {
        if let Some(request) = of_pod.get(name.as_str()).filter(|request| sum > **request) {
            let why =
                format!("must be greater than or equal to aggregate container requests of {sum}");
            let here = path.child("requests").key(&name);
            out.push(|| FieldError::invalid(here, request.to_string(), why));
        }
    }
    let of_pod = amounts(resources, "limits");
    for (name, sum) in of_containers(spec, "resources.limits") {
        let limit = of_pod.get(name.as_str()).filter(|limit| sum > **limit);
        if let Some(limit) = limit.filter(|_| name.starts_with(HUGE_PAGES)) {
            let why =
                format!("must be greater than or equal to aggregate container limits of {sum}");
            let here = path.child("limits").key(&name);
            out.push(|| FieldError::invalid(here, limit.to_string(), why));
        }
    }
    for (at, container) in items(spec, "containers").iter().enumerate() {
        for (name, limit) in amounts(container, "resources.limits") {
            if let Some(most) = of_pod.get(name).filter(|most| limit > **most) {
                let why = format!("must be less than or equal to pod limits of {most}");
                let here = path.child("containers").index(at).key(name).child("limits");
                out.push(|| FieldError::invalid(here, limit.to_string(), why));
            }
        }
    }
}

fn amounts<'a>(value: &'a Value, field: &str) -> Amounts<'a> {
    let all = entries(value, field);
    all.filter_map(|(name, amount)| Some((name, Quantity::from_value(amount).ok()?)))
        .collect()
}
