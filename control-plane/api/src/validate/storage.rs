//! What describes storage: StorageClasses, VolumeAttributesClasses, CSIStorageCapacities and
//! VolumeAttachments.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{entries, get, is_empty, items, part, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::path::{Path, choice_or_empty, in_range, invalid, optional_choice, quantity};
use super::selector::label_selector;
use super::volume;
use super::volume_source::driver_name;

const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETER_BYTES: usize = 256 * 1024;
const MAX_METADATA_BYTES: usize = 256 * 1024;
const MAX_MESSAGE_BYTES: usize = 1024;
const ONE_OF: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

pub(super) fn class(value: &Value, out: &mut Errors) {
    let root = Path::new("");
    provisioner(value, "provisioner", out);
    parameters(value, out);
    choice_or_empty(out, value, &root, "reclaimPolicy", &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    optional_choice(out, value, &root, "volumeBindingMode", &modes);
    let mut seen = HashSet::new();
    for (at, term) in items(value, "allowedTopologies").iter().enumerate() {
        let here = Path::new("allowedTopologies")
            .index(at)
            .child("matchLabelExpressions");
        topology(term, &here, out);
        // A term that says nothing is what no term says already.
        if is_empty(term, "matchLabelExpressions") || !seen.insert(term.to_string()) {
            out.push(|| FieldError::duplicate(here, ""));
        }
    }
}

fn topology(term: &Value, path: &Path, out: &mut Errors) {
    let mut keys = HashSet::new();
    for (at, expression) in items(term, "matchLabelExpressions").iter().enumerate() {
        let here = path.index(at);
        let (at_values, key) = (here.child("values"), text(expression, "key"));
        let values = items(expression, "values");
        if values.is_empty() {
            out.push(|| FieldError::required(&at_values, ""));
        }
        let mut seen = HashSet::new();
        for (at, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or("");
            if !seen.insert(value) {
                out.push(|| FieldError::duplicate(at_values.index(at), value));
            }
        }
        invalid(out, &here.child("key"), key, names::qualified_name(key));
        if !keys.insert(key) {
            out.push(|| FieldError::duplicate(here.child("key"), key));
        }
    }
}

pub(super) fn class_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    class(new, out);
    let change = Change::of(resource, new, old);
    for field in [
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ] {
        change.immutable(out, field);
    }
}

pub(super) fn attributes_class(value: &Value, out: &mut Errors) {
    provisioner(value, "driverName", out);
    parameters(value, out);
    if is_empty(value, "parameters") {
        let why = "must contain at least one key/value pair";
        out.push(|| FieldError::required("parameters", why));
    }
}

pub(super) fn attributes_class_update(
    resource: &Resource,
    new: &Value,
    old: &Value,
    out: &mut Errors,
) {
    let change = Change::of(resource, new, old);
    for field in ["driverName", "parameters"] {
        if change.differs(field) {
            let why = format!("updates to {field} are forbidden.");
            out.push(|| FieldError::forbidden(field, why));
        }
    }
    attributes_class(new, out);
}

fn provisioner(value: &Value, field: &str, out: &mut Errors) {
    let name = text(value, field).to_lowercase();
    if name.is_empty() {
        out.push(|| FieldError::required(field, ""));
    } else {
        let wrong = names::qualified_name(&name);
        invalid(out, &Path::new(field), name, wrong);
    }
}

fn parameters(value: &Value, out: &mut Errors) {
    let path = Path::new("parameters");
    let (mut count, mut size) = (0, 0);
    for (key, value) in entries(value, "parameters") {
        if key.is_empty() {
            out.push(|| FieldError::invalid(&path, key, "field can not be empty."));
        }
        count += 1;
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if count > MAX_PARAMETERS {
        out.push(|| FieldError::too_long(path, MAX_PARAMETERS));
    } else if size > MAX_PARAMETER_BYTES {
        out.push(|| FieldError::too_long(path, MAX_PARAMETER_BYTES));
    }
}

pub(super) fn capacity(value: &Value, out: &mut Errors) {
    let at = Path::new("nodeTopology");
    label_selector(part(value, "nodeTopology"), &at, out);
    let class = text(value, "storageClassName");
    let wrong = names::dns1123_subdomain(class);
    invalid(out, &Path::new("storageClassName"), class, wrong);
    if let Some(amount) = get(value, "capacity") {
        quantity(out, amount, &Path::new("capacity"));
    }
}

pub(super) fn capacity_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let change = Change::of(resource, new, old);
    change.immutable(out, "nodeTopology");
    change.immutable(out, "storageClassName");
}

pub(super) fn attachment(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    driver_name(text(spec, "attacher"), &path.child("attacher"), out);
    let here = path.child("source");
    let name = get(spec, "source.persistentVolumeName").and_then(Value::as_str);
    match (get(spec, "source.inlineVolumeSpec"), name) {
        (None, None) => out.push(|| FieldError::required(here, ONE_OF)),
        (Some(_), Some(_)) => out.push(|| FieldError::forbidden(here, ONE_OF)),
        (None, Some(name)) => {
            let at = here.child("persistentVolumeName");
            if name.is_empty() {
                let why = "must specify non empty persistentVolumeName";
                out.push(|| FieldError::required(&at, why));
            }
            invalid(out, &at, name, names::dns1123_subdomain(name));
        }
        (Some(inline), None) => inline_volume(inline, &here.child("inlineVolumeSpec"), out),
    }
    let node = text(spec, "nodeName");
    let wrong = names::dns1123_subdomain(node);
    invalid(out, &path.child("nodeName"), node, wrong);
    attachment_status(value, out);
}

/// A volume of which there is no object.
fn inline_volume(spec: &Value, path: &Path, out: &mut Errors) {
    let why = "may not be specified in the context of inline volumes";
    for field in ["claimRef", "capacity", "nodeAffinity", "storageClassName"] {
        if !is_empty(spec, field) {
            out.push(|| FieldError::forbidden(path.child(field), why));
        }
    }
    match get(spec, "csi") {
        Some(source) => volume::csi(source, &path.child("csi"), out),
        None => {
            let why = "has to be specified in the context of inline volumes";
            out.push(|| FieldError::required(path.child("csi"), why));
        }
    }
    super::claim::access_modes(spec, path, out);
}

pub(super) fn attachment_status(value: &Value, out: &mut Errors) {
    let (path, status) = (Path::new("status"), part(value, "status"));
    let metadata = entries(status, "attachmentMetadata");
    let size: usize = metadata
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > MAX_METADATA_BYTES {
        let at = path.child("attachmentMetadata");
        out.push(|| FieldError::too_long(at, MAX_METADATA_BYTES));
    }
    for field in ["attachError", "detachError"] {
        let here = path.child(field);
        let Some(error) = get(status, field) else {
            continue;
        };
        if text(error, "message").len() > MAX_MESSAGE_BYTES {
            out.push(|| FieldError::too_long(here.child("message"), MAX_METADATA_BYTES));
        }
        in_range(out, error, &here, "errorCode", (0, i64::from(i32::MAX)));
    }
}

pub(super) fn attachment_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    attachment(new, out);
    Change::of(resource, new, old).immutable(out, "spec");
}
