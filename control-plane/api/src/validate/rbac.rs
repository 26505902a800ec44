//! Roles and their bindings.

use serde_json::Value;

use crate::names;
use crate::object::{get, is_empty, items, part, text};
use crate::resource::Resource;
use crate::selector::LabelSelector;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::path::{Path, invalid, required_text};
use super::selector::label_selector;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn create(kind: &str, value: &Value, out: &mut Errors) {
    match kind {
        "Role" => rules(value, true, out),
        "ClusterRole" => {
            rules(value, false, out);
            aggregation(value, out);
        }
        "RoleBinding" => binding(value, true, out),
        _ => binding(value, false, out),
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    create(resource.kind, new, out);
    if resource.kind.ends_with("Binding") {
        let change = Change::of(resource, new, old);
        change.refused(out, "roleRef", "cannot change roleRef");
    }
}

fn rules(value: &Value, namespaced: bool, out: &mut Errors) {
    for (at, rule) in items(value, "rules").iter().enumerate() {
        let here = Path::new("rules").index(at);
        if is_empty(rule, "verbs") {
            let why = "verbs must contain at least one value";
            out.push(|| FieldError::required(here.child("verbs"), why));
        }
        let of_resources = ["apiGroups", "resources", "resourceNames"];
        if !is_empty(rule, "nonResourceURLs") {
            let at = here.child("nonResourceURLs");
            let urls = part(rule, "nonResourceURLs");
            if namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                out.push(|| FieldError::invalid(&at, urls, why));
            }
            if of_resources.iter().any(|field| !is_empty(rule, field)) {
                let why = "rules cannot apply to both regular resources and non-resource URLs";
                out.push(|| FieldError::invalid(at, urls, why));
            }
            continue;
        }
        for (field, noun) in [("apiGroups", "api group"), ("resources", "resource")] {
            if is_empty(rule, field) {
                let why = format!("resource rules must supply at least one {noun}");
                out.push(|| FieldError::required(here.child(field), why));
            }
        }
    }
}

/// A role whose rules are those of other roles.
fn aggregation(value: &Value, out: &mut Errors) {
    let Some(aggregation) = get(value, "aggregationRule") else {
        return;
    };
    let path = Path::new("aggregationRule.clusterRoleSelectors");
    let selectors = items(aggregation, "clusterRoleSelectors");
    if selectors.is_empty() {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        out.push(|| FieldError::required(&path, why));
    }
    for (at, selector) in selectors.iter().enumerate() {
        label_selector(selector, &path.index(at), out);
        if LabelSelector::from_match(selector).is_err() {
            let why = "invalid label selector.";
            out.push(|| FieldError::invalid(path.index(at), Value::Null, why));
        }
    }
}

fn binding(value: &Value, namespaced: bool, out: &mut Errors) {
    let (path, role) = (Path::new("roleRef"), part(value, "roleRef"));
    let group = text(role, "apiGroup");
    if group != GROUP {
        let at = path.child("apiGroup");
        out.push(|| FieldError::not_supported(at, group, &[GROUP]));
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    let kind = text(role, "kind");
    if !kinds.contains(&kind) {
        out.push(|| FieldError::not_supported(path.child("kind"), kind, kinds));
    }
    required_text(out, role, &path, "name", names::path_segment);
    for (at, one) in items(value, "subjects").iter().enumerate() {
        subject(one, namespaced, &Path::new("subjects").index(at), out);
    }
}

fn subject(subject: &Value, namespaced: bool, path: &Path, out: &mut Errors) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        out.push(|| FieldError::required(path.child("name"), ""));
    }
    let wanted = match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                let wrong = names::dns1123_subdomain(name);
                invalid(out, &path.child("name"), name, wrong);
            }
            ""
        }
        "User" | "Group" => GROUP,
        other => {
            let known = ["ServiceAccount", "User", "Group"];
            out.push(|| FieldError::not_supported(path.child("kind"), other, &known));
            return;
        }
    };
    if group != wanted {
        let at = path.child("apiGroup");
        out.push(|| FieldError::not_supported(at, group, &[wanted]));
    }
    if wanted.is_empty() && !namespaced && is_empty(subject, "namespace") {
        out.push(|| FieldError::required(path.child("namespace"), ""));
    }
}
