//! Claims of persistent volumes. Their spec also stands in what makes claims.

use serde_json::Value;

use crate::names;
use crate::object::{entry, get, is_empty, items, part, remove, set, set_entry, text};
use crate::quantity::Quantity;
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::path::{Path, amounts, invalid, optional_choice, optional_text, quantity};
use super::pod::diff;
use super::selector::label_selector;
use super::semantic::normal;

pub(super) const ACCESS_MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
pub(super) const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const SPEC_TYPE: &str = "io.k8s.api.core.v1.PersistentVolumeClaimSpec";
const REQUESTS: &str = "spec.resources.requests";
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn create(value: &Value, out: &mut Errors) {
    spec(part(value, "spec"), &Path::new("spec"), out);
}

pub(super) fn spec(spec: &Value, path: &Path, out: &mut Errors) {
    access_modes(spec, path, out);
    label_selector(part(spec, "selector"), &path.child("selector"), out);
    let at = path.child("resources").key("storage");
    match entry(spec, "resources.requests", "storage") {
        Some(amount) => size(amount, &at, out),
        None => out.push(|| FieldError::required(at, "")),
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        optional_text(out, spec, path, field, names::dns1123_subdomain);
    }
    optional_choice(out, spec, path, "volumeMode", &VOLUME_MODES);
    for field in ["dataSource", "dataSourceRef"] {
        if let Some(source) = get(spec, field) {
            data_source(source, &path.child(field), out);
        }
    }
    sources_agree(spec, path, out);
}

/// How a volume is to be used: what volumes offer and claims ask for.
pub(super) fn access_modes(spec: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("accessModes");
    let modes = items(spec, "accessModes");
    if modes.is_empty() {
        let why = "at least 1 access mode is required";
        out.push(|| FieldError::required(&here, why));
    }
    let (mut alone, mut others) = (false, false);
    for mode in modes {
        match mode.as_str().unwrap_or("") {
            "ReadWriteOncePod" => alone = true,
            mode if ACCESS_MODES.contains(&mode) => others = true,
            mode => out.push(|| FieldError::not_supported(&here, mode, &ACCESS_MODES)),
        }
    }
    if alone && others {
        let why = "may not use ReadWriteOncePod with other access modes";
        out.push(|| FieldError::forbidden(here, why));
    }
}

/// An amount of bytes that is more than none. It need not be whole: 0.1Gi is not.
pub(super) fn size(amount: &Value, path: &Path, out: &mut Errors) {
    let Ok(parsed) = Quantity::from_value(amount) else {
        quantity(out, amount, path);
        return;
    };
    if parsed.is_negative() || parsed.is_zero() {
        let why = "must be greater than zero";
        out.push(|| FieldError::invalid(path, amount, why));
    }
}

fn data_source(source: &Value, path: &Path, out: &mut Errors) {
    for field in ["name", "kind"] {
        if is_empty(source, field) {
            out.push(|| FieldError::required(path.child(field), ""));
        }
    }
    let kind = text(source, "kind");
    if is_empty(source, "apiGroup") && kind != "PersistentVolumeClaim" {
        let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        out.push(|| FieldError::invalid(path, kind, why));
    }
    optional_text(out, source, path, "apiGroup", names::dns1123_subdomain);
    optional_text(out, source, path, "namespace", names::dns1123_label);
}

fn sources_agree(spec: &Value, path: &Path, out: &mut Errors) {
    let (Some(old), Some(new)) = (get(spec, "dataSource"), get(spec, "dataSourceRef")) else {
        return;
    };
    let same = ["apiGroup", "kind", "name"]
        .iter()
        .all(|field| text(old, field) == text(new, field));
    let why = if !is_empty(new, "namespace") {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !same {
        "must match dataSourceRef"
    } else {
        return;
    };
    let shown = String::from(path.child("dataSource"));
    out.push(|| FieldError::invalid(path, shown, why));
}

pub(super) fn update(new: &Value, old: &Value, out: &mut Errors) {
    create(new, out);
    let class = |value: &Value| entry(value, "metadata.annotations", CLASS_ANNOTATION).cloned();
    if class(new) != class(old) {
        let at = Path::new("metadata.annotations").key(CLASS_ANNOTATION);
        let shown = class(new).unwrap_or_else(|| "".into());
        out.push(|| FieldError::invalid(at, shown, IMMUTABLE));
    }
    let (now, before) = (
        normal(&masked(new, old), SPEC_TYPE),
        normal(part(old, "spec"), SPEC_TYPE),
    );
    if now != before {
        let why = format!(
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims\n{}",
            diff::unified(&before, &now)
        );
        out.push(|| FieldError::forbidden("spec", why));
    }
    shrunk(new, old, out);
    if get(new, "spec.volumeMode") != get(old, "spec.volumeMode") {
        let shown = part(new, "spec.volumeMode");
        out.push(|| FieldError::invalid("volumeMode", shown, IMMUTABLE));
    }
    attributes(new, old, out);
}

/// The new spec with what may change taken from the old one.
fn masked(new: &Value, old: &Value) -> Value {
    let (mut spec, before) = (part(new, "spec").clone(), part(old, "spec"));
    let mut carry = |field: &str| match get(before, field) {
        Some(value) => set(&mut spec, field, value.clone()),
        None => {
            remove(&mut spec, field);
        }
    };
    // The volume is chosen once, by the controller that binds.
    if is_empty(before, "volumeName") {
        carry("volumeName");
    }
    // So is the class of a claim that came before there was a default one.
    let annotated = entry(old, "metadata.annotations", CLASS_ANNOTATION).is_some();
    if get(before, "storageClassName").is_none() && !annotated {
        carry("storageClassName");
    }
    if text(new, "status.phase") == "Bound" {
        carry("volumeAttributesClassName");
        if let Some(size) = entry(before, "resources.requests", "storage") {
            set_entry(&mut spec, "resources.requests", "storage", size.clone());
        }
    }
    spec
}

/// A request may go back to what there is room for already, no further.
fn shrunk(new: &Value, old: &Value, out: &mut Errors) {
    let amount = |value: &Value, path: &str| {
        let found = entry(value, path, "storage");
        let parsed = found.and_then(|amount| Quantity::from_value(amount).ok());
        parsed.unwrap_or_default()
    };
    let (now, before) = (amount(new, REQUESTS), amount(old, REQUESTS));
    if now < before && now <= amount(old, "status.capacity") {
        let why = "field can not be less than status.capacity";
        out.push(|| FieldError::forbidden(format!("{REQUESTS}.storage"), why));
    }
}

fn attributes(new: &Value, old: &Value, out: &mut Errors) {
    let at = "spec.volumeAttributesClassName";
    if get(new, at) == get(old, at)
        || get(old, "status.currentVolumeAttributesClassName").is_none()
        || !is_empty(new, at)
    {
        return;
    }
    let what = if get(new, at).is_none() {
        "nil"
    } else {
        "empty string"
    };
    let why = format!(
        "update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
    );
    out.push(|| FieldError::forbidden(at, why));
}

pub(super) fn status_update(new: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(new, "status"));
    amounts(out, status, &path, "capacity");
    for field in ["allocatedResources", "allocatedResourceStatuses"] {
        let here = path.child(field);
        for (name, _) in crate::object::entries(status, field) {
            invalid(out, &here, name, names::qualified_name(name));
            let native = !name.contains('/') || name.contains("kubernetes.io/");
            if native && name != "storage" {
                out.push(|| FieldError::not_supported(&here, name, &["storage"]));
            }
        }
    }
    amounts(out, status, &path, "allocatedResources");
}
