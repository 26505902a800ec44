//! The metadata of every kind.

use std::collections::HashSet;

use serde_json::Value;

use crate::apply;
use crate::names;
use crate::object::{self, get, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::address::canonical_ip;
use super::path::{self, Path, Rule, invalid};

/// Most bytes of all annotations of an object together.
pub(crate) const MAX_ANNOTATION_BYTES: usize = 256 * 1024;

/// Metadata that only the server writes and no update changes.
const FIXED: [&str; 6] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

pub(super) fn create(resource: &Resource, value: &Value, out: &mut Errors) {
    let path = Path::new("metadata");
    let rule = name_rule(resource);
    let prefix = object::generate_name(value);
    if !prefix.is_empty() {
        invalid(
            out,
            &path.child("generateName"),
            prefix,
            names::as_prefix(prefix, prefix_rule(resource)),
        );
    }
    match object::name(value) {
        "" => {
            let why = "name or generateName is required";
            out.push(|| FieldError::required(path.child("name"), why));
        }
        name => invalid(out, &path.child("name"), name, rule(name)),
    }
    let namespace = object::namespace(value);
    match (resource.namespaced, namespace) {
        (true, "") => out.push(|| FieldError::required(path.child("namespace"), "")),
        (true, _) => {
            invalid(
                out,
                &path.child("namespace"),
                namespace,
                names::dns1123_label(namespace),
            );
        }
        (false, "") => {}
        (false, _) => {
            out.push(|| FieldError::forbidden(path.child("namespace"), "not allowed on this type"));
        }
    }
    common(value, &path, out);
    finalizers(value, &path.child("finalizers"), out);
    if has_core_rules(resource) {
        for (at, finalizer) in object::finalizers(value).enumerate() {
            whose(finalizer, &path.child("finalizers").index(at), out);
        }
    }
}

/// Kinds whose new objects upstream checks as those of the core group. Custom resources, what the server registers and a
/// few more are checked less.
fn has_core_rules(resource: &Resource) -> bool {
    let apart = [
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
    ];
    let kind_apart = matches!(
        (resource.group, resource.kind),
        ("", "Event")
            | ("coordination.k8s.io", "Lease")
            | ("node.k8s.io", "RuntimeClass")
            | ("policy", "PodDisruptionBudget")
    );
    resource.custom().is_none() && !apart.contains(&resource.group) && !kind_apart
}

/// A finalizer is one of Kubernetes' own, or says by its domain whose it is.
pub(super) fn whose(finalizer: &str, path: &Path, out: &mut Errors) {
    const STANDARD: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
    if !finalizer.contains('/') && !STANDARD.contains(&finalizer) {
        let why = "name is neither a standard finalizer name nor is it fully qualified";
        out.push(|| FieldError::invalid(path, finalizer, why));
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let path = Path::new("metadata");
    if object::deletion_timestamp(old).is_some() {
        let kept: HashSet<&str> = object::finalizers(old).collect();
        let added: Vec<&str> = object::finalizers(new)
            .filter(|one| !kept.contains(one))
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new \
                 finalizers []string{{{}}}",
                added
                    .iter()
                    .map(|one| format!("{one:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            out.push(|| FieldError::forbidden(path.child("finalizers"), why));
        }
    }
    if !resource.unconditional_update && object::resource_version(new).is_empty() {
        let why = "must be specified for an update";
        out.push(|| FieldError::invalid(path.child("resourceVersion"), 0, why));
    }
    for field in FIXED {
        let at = format!("metadata.{field}");
        // What the client left out, the server keeps.
        if let Some(value) = get(new, &at)
            && get(old, &at) != Some(value)
        {
            out.push(|| FieldError::invalid(path.child(field), value, IMMUTABLE));
        }
    }
    common(new, &path, out);
    finalizers(new, &path.child("finalizers"), out);
}

/// The metadata of an object inside another, which is at `path`.
pub(crate) fn embedded(value: &Value, path: &str, out: &mut Errors) {
    let path = Path::new(path);
    let prefix = object::generate_name(value);
    if !prefix.is_empty() {
        let wrong = names::as_prefix(prefix, names::path_segment);
        invalid(out, &path.child("generateName"), prefix, wrong);
    }
    let name = object::name(value);
    invalid(out, &path.child("name"), name, names::path_segment(name));
    let namespace = object::namespace(value);
    if !namespace.is_empty() {
        let wrong = names::dns1123_label(namespace);
        invalid(out, &path.child("namespace"), namespace, wrong);
    }
    common(value, &path, out);
    finalizers(value, &path.child("finalizers"), out);
}

fn common(value: &Value, path: &Path, out: &mut Errors) {
    let metadata = get(value, "metadata").unwrap_or(&Value::Null);
    path::not_negative(out, metadata, path, "generation");
    path::labels(out, metadata, path, "labels");
    annotations(metadata, &path.child("annotations"), out);
    owners(value, &path.child("ownerReferences"), out);
    let mut of_managers = Vec::new();
    apply::validate_managers(value, &mut of_managers);
    out.extend(of_managers);
}

pub(super) fn annotations(metadata: &Value, path: &Path, out: &mut Errors) {
    let mut size = 0;
    for (key, value) in object::entries(metadata, "annotations") {
        // Upper case is allowed everywhere in annotation keys.
        invalid(
            out,
            path,
            key,
            names::qualified_name(&key.to_ascii_lowercase()),
        );
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > MAX_ANNOTATION_BYTES {
        out.push(|| FieldError::too_long(path, MAX_ANNOTATION_BYTES));
    }
}

fn owners(value: &Value, path: &Path, out: &mut Errors) {
    let mut controller: Option<String> = None;
    // Upstream blames the list as a whole, without an index.
    for owner in object::owner_references(value) {
        let version = text(owner, "apiVersion");
        let kind = text(owner, "kind");
        if version.is_empty() || version.ends_with('/') || version.matches('/').count() > 1 {
            let why = "version must not be empty";
            out.push(|| FieldError::invalid(path.child("apiVersion"), version, why));
        }
        for (field, value) in [
            ("kind", kind),
            ("name", text(owner, "name")),
            ("uid", text(owner, "uid")),
        ] {
            if value.is_empty() {
                let why = "must not be empty";
                out.push(|| FieldError::invalid(path.child(field), value, why));
            }
        }
        if (version, kind) == ("v1", "Event") {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            out.push(|| FieldError::invalid(path, owner, why));
        }
        if !object::flag(owner, "controller") {
            continue;
        }
        let this = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        if let Some(first) = &controller {
            let why = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references \
                 for {first} and {this}"
            );
            let all = Value::from(object::owner_references(value));
            out.push(|| FieldError::invalid(path, all, why));
            // The error shows the whole list: once is enough.
            return;
        }
        controller = Some(this);
    }
}

fn finalizers(value: &Value, path: &Path, out: &mut Errors) {
    for finalizer in object::finalizers(value) {
        invalid(out, path, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| object::finalizers(value).any(|one| one == name);
    if has("orphan") && has("foregroundDeletion") {
        let all = Value::from(object::items(value, "metadata.finalizers"));
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        out.push(|| FieldError::invalid(path, all, why));
    }
}

/// The grammar that what names are generated from is to obey. Of these kinds upstream looks at whole names alone.
fn prefix_rule(resource: &Resource) -> Rule {
    match (resource.group, resource.kind) {
        ("", "ReplicationController") | ("resource.k8s.io", "DeviceClass") => names::path_segment,
        _ => name_rule(resource),
    }
}

/// The grammar of names of the kind.
fn name_rule(resource: &Resource) -> Rule {
    match (resource.group, resource.kind) {
        // A service's name may begin with a digit since 1.36.
        ("", "Namespace" | "Service") => names::dns1123_label,
        ("apps", "StatefulSet") => names::dns1123_label,
        ("networking.k8s.io", "IPAddress") => canonical_ip,
        // The names of events are made by clients out of names of objects and a hash; the newer group is strict.
        ("", "Event" | "Binding") => names::path_segment,
        // Names of roles have colons, those of APIServices end in a group, which may be empty.
        ("rbac.authorization.k8s.io", _) | (_, "APIService") => names::path_segment,
        ("certificates.k8s.io", "CertificateSigningRequest")
        | ("policy", "PodDisruptionBudget") => names::path_segment,
        _ => names::dns1123_subdomain,
    }
}
