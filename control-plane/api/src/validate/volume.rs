//! Persistent volumes.

use serde_json::{Map, Value};

use crate::names;
use crate::object::{entries, entry, get, is_empty, items, part, remove, text};
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::claim::{VOLUME_MODES, access_modes, size};
use super::path::{Path, choice_or_empty, invalid, optional_choice, optional_text, required_text};
use super::pod::{diff, node_selector};
use super::semantic::normal;
use super::volume_source::{common, driver_name, no_backsteps, secret_reference};

const SPEC_TYPE: &str = "io.k8s.api.core.v1.PersistentVolumeSpec";
/// What a spec says beside where the content comes from.
const NOT_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];
const POLICIES: [&str; 3] = ["Delete", "Recycle", "Retain"];
const SECRETS: [&str; 4] = [
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
];
const EXPAND_SECRET: &str = "csi.controllerExpandSecretRef";

pub(super) fn create(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    modes(spec, &path, out);
    capacity(spec, &path, out);
    let field = "persistentVolumeReclaimPolicy";
    choice_or_empty(out, spec, &path, field, &POLICIES);
    if let Some(affinity) = get(spec, "nodeAffinity") {
        let here = path.child("nodeAffinity").child("required");
        match get(affinity, "required") {
            Some(selector) => node_selector(selector, &here, out),
            None => {
                let why = "must specify required node constraints";
                out.push(|| FieldError::required(here, why));
            }
        }
    }
    sources(spec, &path, out);
    let root = text(spec, "hostPath.path");
    let is_root = root.starts_with('/') && root.trim_matches('/').is_empty();
    if is_root && text(spec, field) == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        out.push(|| FieldError::forbidden(path.child(field), why));
    }
    optional_text(
        out,
        spec,
        &path,
        "storageClassName",
        names::dns1123_subdomain,
    );
    optional_choice(out, spec, &path, "volumeMode", &VOLUME_MODES);
    attributes_class(spec, &path, out);
}

fn modes(spec: &Value, path: &Path, out: &mut Errors) {
    if is_empty(spec, "accessModes") {
        out.push(|| FieldError::required(path.child("accessModes"), ""));
    } else {
        access_modes(spec, path, out);
    }
}

fn capacity(spec: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("capacity");
    if is_empty(spec, "capacity") {
        out.push(|| FieldError::required(&here, ""));
    }
    let count = entries(spec, "capacity").count();
    if entry(spec, "capacity", "storage").is_none() || count > 1 {
        let shown = get(spec, "capacity").cloned().unwrap_or(Value::Null);
        out.push(|| FieldError::not_supported(&here, shown, &["storage"]));
    }
    for (name, amount) in entries(spec, "capacity") {
        size(amount, &here.key(name), out);
    }
}

/// The fields of a spec that say where its content comes from.
fn given(spec: &Value) -> Map<String, Value> {
    let fields = spec.as_object().into_iter().flatten();
    fields
        .filter(|(field, value)| !NOT_SOURCES.contains(&field.as_str()) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

/// Exactly one source.
fn sources(spec: &Value, path: &Path, out: &mut Errors) {
    let given = given(spec);
    if given.is_empty() {
        out.push(|| FieldError::required(path, "must specify a volume type"));
    }
    for (at, (kind, source)) in given.iter().enumerate() {
        let here = path.child(kind);
        if at > 0 {
            let why = "may not specify more than 1 volume type";
            out.push(|| FieldError::forbidden(here, why));
            continue;
        }
        match kind.as_str() {
            "local" => {
                required_text(out, source, &here, "path", no_backsteps);
                if get(spec, "nodeAffinity").is_none() {
                    let why = "Local volume requires node affinity";
                    out.push(|| FieldError::required(path.child("nodeAffinity"), why));
                }
            }
            "csi" => csi(source, &here, out),
            kind => common(kind, source, &here, out),
        }
    }
}

/// A volume that a storage driver provides.
pub(super) fn csi(source: &Value, path: &Path, out: &mut Errors) {
    driver_name(text(source, "driver"), &path.child("driver"), out);
    if is_empty(source, "volumeHandle") {
        out.push(|| FieldError::required(path.child("volumeHandle"), ""));
    }
    for field in SECRETS {
        secret_reference(source, field, path, out);
    }
}

fn attributes_class(spec: &Value, path: &Path, out: &mut Errors) {
    let field = "volumeAttributesClassName";
    let Some(class) = get(spec, field).and_then(Value::as_str) else {
        return;
    };
    if class.is_empty() {
        let why = "an empty string is disallowed";
        out.push(|| FieldError::required(path.child(field), why));
    } else {
        let wrong = names::dns1123_subdomain(class);
        invalid(out, &path.child(field), class, wrong);
    }
    if get(spec, "csi").is_none() {
        let why = "has to be specified when using volumeAttributesClassName";
        out.push(|| FieldError::required(path.child("csi"), why));
    }
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    create(new, out);
    let (mut now, before) = (part(new, "spec").clone(), part(old, "spec"));
    // The secret for growing a volume may come later.
    if get(before, "csi").is_some() && get(before, EXPAND_SECRET).is_none() {
        remove(&mut now, EXPAND_SECRET);
    }
    let source = |spec: &Value| normal(&Value::Object(given(spec)), SPEC_TYPE);
    let (now, before) = (source(&now), source(before));
    if now != before {
        let why = format!(
            "spec.persistentvolumesource is immutable after creation\n{}",
            diff::unified(&before, &now)
        );
        out.push(|| FieldError::forbidden("spec.persistentvolumesource", why));
    }
    if get(new, "spec.volumeMode") != get(old, "spec.volumeMode") {
        let shown = part(new, "spec.volumeMode");
        out.push(|| FieldError::invalid("volumeMode", shown, IMMUTABLE));
    }
    affinity(new, old, out);
    let class = "spec.volumeAttributesClassName";
    if get(old, class).is_some() && get(new, class).is_none() {
        let why = "update from non-nil value to nil is forbidden";
        out.push(|| FieldError::forbidden(class, why));
    }
}

/// Which nodes reach a volume is said once, except where labels of nodes were renamed since.
fn affinity(new: &Value, old: &Value, out: &mut Errors) {
    let required = |value: &Value| {
        let terms = items(value, "spec.nodeAffinity.required.nodeSelectorTerms");
        let mut terms = Value::from(terms);
        renamed(&mut terms);
        terms
    };
    if get(old, "spec.nodeAffinity").is_some() && required(new) != required(old) {
        let shown = part(new, "spec.nodeAffinity");
        let why = format!("{IMMUTABLE}, except for updating from beta label to GA");
        out.push(|| FieldError::invalid("nodeAffinity", shown, why));
    }
}

/// Writes keys of node labels as they are called today.
fn renamed(terms: &mut Value) {
    const RENAMED: [(&str, &str); 5] = [
        (
            "failure-domain.beta.kubernetes.io/region",
            "topology.kubernetes.io/region",
        ),
        (
            "failure-domain.beta.kubernetes.io/zone",
            "topology.kubernetes.io/zone",
        ),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        (
            "beta.kubernetes.io/instance-type",
            "node.kubernetes.io/instance-type",
        ),
    ];
    for term in terms.as_array_mut().into_iter().flatten() {
        for requirement in crate::object::items_mut(term, "matchExpressions") {
            let key = text(requirement, "key");
            if let Some((_, name)) = RENAMED.iter().find(|(old, _)| *old == key) {
                crate::object::set(requirement, "key", *name);
            }
        }
    }
}
