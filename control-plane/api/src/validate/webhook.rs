//! Configurations of admission webhooks. Whether an expression compiles is for whoever evaluates it.

pub(super) mod rule;

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::domain;
use super::path::{Path, invalid, optional_choice};
use super::selector::label_selector;

pub(super) const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];
pub(super) const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
pub(super) const REINVOCATIONS: [&str; 2] = ["IfNeeded", "Never"];
const SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
/// Versions of the question that a server asks.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];
const MAX_CONDITIONS: usize = 64;

pub(super) fn create(value: &Value, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, webhook) in items(value, "webhooks").iter().enumerate() {
        let here = Path::new("webhooks").index(at);
        one(webhook, &here, out);
        review_versions(webhook, &here.child("admissionReviewVersions"), out);
        let name = text(webhook, "name");
        if !name.is_empty() && !seen.insert(name) {
            out.push(|| FieldError::duplicate(here.child("name"), name));
        }
    }
}

fn one(webhook: &Value, path: &Path, out: &mut Errors) {
    domain::fully_qualified(text(webhook, "name"), &path.child("name"), out);
    for (at, rule) in items(webhook, "rules").iter().enumerate() {
        rule::check(rule, &path.child("rules").index(at), out);
    }
    optional_choice(out, webhook, path, "failurePolicy", &FAILURE_POLICIES);
    optional_choice(out, webhook, path, "matchPolicy", &MATCH_POLICIES);
    let at = path.child("sideEffects");
    match text(webhook, "sideEffects") {
        "" => {
            let why = "must specify one of None, NoneOnDryRun";
            out.push(|| FieldError::required(at, why));
        }
        effects if !SIDE_EFFECTS.contains(&effects) => {
            out.push(|| FieldError::not_supported(at, effects, &SIDE_EFFECTS));
        }
        _ => {}
    }
    if let Some(seconds) = int(webhook, "timeoutSeconds").filter(|one| !(1..=30).contains(one)) {
        let at = path.child("timeoutSeconds");
        let why = "the timeout value must be between 1 and 30 seconds";
        out.push(|| FieldError::invalid(at, seconds, why));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        label_selector(part(webhook, field), &path.child(field), out);
    }
    optional_choice(out, webhook, path, "reinvocationPolicy", &REINVOCATIONS);
    let (here, client) = (path.child("clientConfig"), part(webhook, "clientConfig"));
    match (
        get(client, "url").and_then(Value::as_str),
        get(client, "service"),
    ) {
        (Some(target), None) => url(target, &here.child("url"), out),
        (None, Some(target)) => service(target, &here.child("service"), out),
        _ => {
            let why = "exactly one of url or service is required";
            out.push(|| FieldError::required(here, why));
        }
    }
    let here = path.child("matchConditions");
    conditions(items(webhook, "matchConditions"), &here, out);
}

fn review_versions(webhook: &Value, path: &Path, out: &mut Errors) {
    let versions = items(webhook, "admissionReviewVersions");
    if versions.is_empty() {
        let why = format!("must specify one of {}", REVIEWS.join(", "));
        out.push(|| FieldError::required(path, why));
        return;
    }
    let mut seen = HashSet::new();
    for (at, version) in versions.iter().enumerate() {
        let (here, version) = (path.index(at), version.as_str().unwrap_or(""));
        if !seen.insert(version) {
            out.push(|| FieldError::invalid(here, version, "duplicate version"));
            continue;
        }
        invalid(out, &here, version, names::dns1035_label(version));
    }
    if !REVIEWS.iter().any(|known| seen.contains(known)) {
        let why = format!("must include at least one of {}", REVIEWS.join(", "));
        out.push(|| FieldError::invalid(path, versions, why));
    }
}

/// Expressions that must all hold for a request to be looked at.
pub(super) fn conditions(list: &[Value], path: &Path, out: &mut Errors) {
    if list.len() > MAX_CONDITIONS {
        out.push(|| FieldError::too_many(path, list.len(), MAX_CONDITIONS));
    }
    let mut seen = HashSet::new();
    for (at, condition) in list.iter().enumerate() {
        let (here, name) = (path.index(at), text(condition, "name"));
        if text(condition, "expression").trim().is_empty() {
            out.push(|| FieldError::required(here.child("expression"), ""));
        }
        if name.is_empty() {
            out.push(|| FieldError::required(here.child("name"), ""));
            continue;
        }
        invalid(out, &here.child("name"), name, names::qualified_name(name));
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(here.child("name"), name));
        }
    }
}

/// `https://host[/path]`, and nothing more.
fn url(url: &str, path: &Path, out: &mut Errors) {
    let form = "; desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.split('/').next().unwrap_or("");
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{form}");
        out.push(|| FieldError::invalid(path, scheme, why));
    }
    if scheme.is_empty() || host.is_empty() {
        let why = format!("host must be specified{form}");
        out.push(|| FieldError::invalid(path, "", why));
    }
    for (found, why) in [
        (user, "user information is not permitted in the URL"),
        (fragment, "fragments are not permitted in the URL"),
        (query, "query parameters are not permitted in the URL"),
    ] {
        if !found.is_empty() {
            out.push(|| FieldError::invalid(path, found, why));
        }
    }
}

fn service(service: &Value, path: &Path, out: &mut Errors) {
    // Upstream takes one for the other here, and clients look at the field.
    for (field, named) in [("namespace", "name"), ("name", "namespace")] {
        if is_empty(service, field) {
            out.push(|| FieldError::required(path.child(named), ""));
        }
    }
    let port = int(service, "port").unwrap_or(0);
    let wrong = names::port_number(port);
    if !wrong.is_empty() {
        let why = format!("port is not valid: {}", wrong.join(", "));
        out.push(|| FieldError::invalid(path.child("port"), port, why));
    }
    let (at, target) = (path.child("path"), text(service, "path"));
    if matches!(target, "" | "/") {
        return;
    }
    if !target.starts_with('/') {
        out.push(|| FieldError::invalid(&at, target, "must start with a '/'"));
    }
    let steps = target.strip_prefix('/').unwrap_or(target);
    let steps = steps.strip_suffix('/').unwrap_or(steps);
    for (number, step) in steps.split('/').enumerate() {
        // Each error shows the whole path.
        if out.is_full() {
            return;
        }
        if step.is_empty() {
            let why = format!("segment[{number}] may not be empty");
            out.push(|| FieldError::invalid(&at, target, why));
            continue;
        }
        for wrong in names::dns1123_subdomain(step) {
            let why = format!("segment[{number}]: {wrong}");
            out.push(|| FieldError::invalid(&at, target, why));
        }
    }
}
