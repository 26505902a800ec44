//! What a FlowSchema matches: who asks, and for what.

use serde_json::Value;

use crate::names;
use crate::object::{flag, get, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, required_text};

const VERBS: [&str; 9] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
];
/// The kind of a subject, and the field that says more.
const SUBJECTS: [(&str, &str); 3] = [
    ("ServiceAccount", "serviceAccount"),
    ("User", "user"),
    ("Group", "group"),
];

pub(super) fn check(rule: &Value, path: &Path, out: &mut Errors) {
    let subjects = items(rule, "subjects");
    if subjects.is_empty() {
        let why = "subjects must contain at least one value";
        out.push(|| FieldError::required(path.child("subjects"), why));
    }
    for (at, one) in subjects.iter().enumerate() {
        subject(one, &path.child("subjects").index(at), out);
    }
    if is_empty(rule, "resourceRules") && is_empty(rule, "nonResourceRules") {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        out.push(|| FieldError::required(path, why));
    }
    for (at, one) in items(rule, "resourceRules").iter().enumerate() {
        resources(one, &path.child("resourceRules").index(at), out);
    }
    for (at, one) in items(rule, "nonResourceRules").iter().enumerate() {
        urls(one, &path.child("nonResourceRules").index(at), out);
    }
}

fn subject(subject: &Value, path: &Path, out: &mut Errors) {
    let kind = text(subject, "kind");
    let Some((_, field)) = SUBJECTS.iter().find(|(known, _)| *known == kind) else {
        let known = ["Group", "ServiceAccount", "User"];
        out.push(|| FieldError::not_supported(path.child("kind"), kind, &known));
        return;
    };
    let here = path.child(field);
    match get(subject, field) {
        None => {
            let why = format!("{field} is required when subject kind is '{kind}'");
            out.push(|| FieldError::required(here, why));
        }
        Some(account) if kind == "ServiceAccount" => service_account(account, &here, out),
        Some(named) => {
            if is_empty(named, "name") {
                out.push(|| FieldError::required(here.child("name"), ""));
            }
        }
    }
    for (other, field) in SUBJECTS {
        if other != kind && get(subject, field).is_some() {
            let why = format!("{field} is forbidden when subject kind is not '{other}'");
            out.push(|| FieldError::forbidden(path.child(field), why));
        }
    }
}

fn service_account(account: &Value, path: &Path, out: &mut Errors) {
    if text(account, "name") != "*" {
        required_text(out, account, path, "name", names::dns1123_subdomain);
    }
    let at = path.child("namespace");
    match text(account, "namespace") {
        "" => {
            let why = "must specify namespace for service account";
            out.push(|| FieldError::required(at, why));
        }
        namespace => invalid(out, &at, namespace, names::dns1123_label(namespace)),
    }
}

/// A list in which `*` stands for everything, and alone. Returns whether it is there and has none.
fn listed(
    rule: &Value,
    field: &str,
    missing: &str,
    others: &str,
    path: &Path,
    out: &mut Errors,
) -> bool {
    let (at, list) = (path.child(field), items(rule, field));
    if list.is_empty() {
        out.push(|| FieldError::required(at, missing));
        return false;
    }
    if !list.iter().any(|one| one == "*") {
        return true;
    }
    if list.len() > 1 {
        let why = format!("if '*' is present, must not specify other {others}");
        out.push(|| FieldError::invalid(at, list, why));
    }
    false
}

fn verbs(rule: &Value, path: &Path, out: &mut Errors) {
    let missing = "verbs must contain at least one value";
    let known = |verb: &Value| VERBS.iter().any(|known| verb == known);
    let named = listed(rule, "verbs", missing, "verbs", path, out);
    if named && !items(rule, "verbs").iter().all(known) {
        let shown = part(rule, "verbs");
        out.push(|| FieldError::not_supported(path.child("verbs"), shown, &VERBS));
    }
}

fn resources(rule: &Value, path: &Path, out: &mut Errors) {
    verbs(rule, path, out);
    let missing = "resource rules must supply at least one api group";
    listed(rule, "apiGroups", missing, "api groups", path, out);
    let missing = "resource rules must supply at least one resource";
    listed(rule, "resources", missing, "resources", path, out);
    if is_empty(rule, "namespaces") && flag(rule, "clusterScope") {
        return;
    }
    let missing = "resource rules that are not cluster scoped must supply at least one namespace";
    if !listed(rule, "namespaces", missing, "namespaces", path, out) {
        return;
    }
    for (at, namespace) in items(rule, "namespaces").iter().enumerate() {
        let namespace = namespace.as_str().unwrap_or("");
        let wrong = names::dns1123_label(namespace).into_iter();
        let intro = "each member of this list must be '*' or a DNS-1123 label; ";
        let wrong = wrong.map(|why| format!("{intro}{why}")).collect();
        invalid(out, &path.child("namespaces").index(at), namespace, wrong);
    }
}

fn urls(rule: &Value, path: &Path, out: &mut Errors) {
    verbs(rule, path, out);
    let field = "nonResourceURLs";
    let missing = "nonResourceURLs must contain at least one value";
    if !listed(rule, field, missing, "non-resource URLs", path, out) {
        return;
    }
    for (at, url) in items(rule, field).iter().enumerate() {
        let url = url.as_str().unwrap_or("");
        if let Some(why) = bad_url(url) {
            out.push(|| FieldError::invalid(path.child(field).index(at), url, why));
        }
    }
}

fn bad_url(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    if url.is_empty() {
        Some("must not be empty")
    } else if !url.starts_with('/') {
        Some("must start with slash")
    } else if url.contains(' ') {
        Some("must not contain white-space")
    } else if url.contains("//") {
        Some("must not contain double slash")
    } else if stars > 1 || (stars == 1 && !url.ends_with("/*")) {
        Some("wildcard can only do suffix matching")
    } else {
        None
    }
}
