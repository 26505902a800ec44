//! Devices: classes of them, claims for them, and slices of what there is. Whether an expression
//! compiles is for whoever evaluates it.

mod claim;
mod slice;
mod taint;

use std::collections::HashSet;

use serde_json::Value;

use crate::object::{get, items, part, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::change::Change;
use super::metadata;
use super::path::{Path, labels};
use super::resource_name;
use super::volume_source::driver_name;

pub(super) use claim::status_update;

const MAX_SELECTORS: usize = 32;
const MAX_CONFIGS: usize = 32;
const MAX_EXPRESSION: usize = 10 * 1024;
const MAX_PARAMETERS: usize = 10 * 1024;

pub(super) fn create(kind: &str, value: &Value, out: &mut Errors) {
    let path = Path::new("spec");
    match kind {
        "DeviceClass" => class(part(value, "spec"), &path, out),
        "ResourceClaim" => claim::spec(part(value, "spec"), &path, out),
        "ResourceClaimTemplate" => {
            let meta = part(value, "spec.metadata");
            let here = path.child("metadata");
            metadata::annotations(meta, &here.child("annotations"), out);
            labels(out, meta, &here, "labels");
            claim::spec(part(value, "spec.spec"), &path.child("spec"), out);
        }
        "ResourceSlice" => slice::spec(part(value, "spec"), &path, out),
        _ => {}
    }
}

pub(super) fn update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    let change = Change::of(resource, new, old);
    match resource.kind {
        "ResourceClaim" | "ResourceClaimTemplate" => change.immutable(out, "spec"),
        "ResourceSlice" => {
            create(resource.kind, new, out);
            for field in ["spec.pool.name", "spec.driver", "spec.nodeName"] {
                change.immutable(out, field);
            }
        }
        kind => create(kind, new, out),
    }
}

fn class(spec: &Value, path: &Path, out: &mut Errors) {
    selectors(spec, path, out);
    let configs = items(spec, "config");
    at_most(configs, MAX_CONFIGS, &path.child("config"), out);
    for (at, config) in configs.iter().enumerate() {
        configuration(config, &path.child("config").index(at), out);
    }
    if let Some(name) = get(spec, "extendedResourceName").and_then(Value::as_str)
        && !resource_name::extended(name)
    {
        let at = path.child("extendedResourceName");
        let why = "must be a valid extended resource name";
        out.push(|| FieldError::invalid(at, name, why));
    }
}

/// Expressions that a device must meet.
fn selectors(value: &Value, path: &Path, out: &mut Errors) {
    let (here, list) = (path.child("selectors"), items(value, "selectors"));
    at_most(list, MAX_SELECTORS, &here, out);
    for (at, selector) in list.iter().enumerate() {
        let at = here.index(at).child("cel");
        match get(selector, "cel") {
            None => out.push(|| FieldError::required(at, "")),
            Some(cel) if text(cel, "expression").len() > MAX_EXPRESSION => {
                out.push(|| FieldError::too_long(at.child("expression"), MAX_EXPRESSION));
            }
            Some(_) => {}
        }
    }
}

/// Parameters that only the driver understands.
fn configuration(config: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("opaque");
    let Some(opaque) = get(config, "opaque") else {
        out.push(|| FieldError::required(here, ""));
        return;
    };
    driver_name(text(opaque, "driver"), &here.child("driver"), out);
    let at = here.child("parameters");
    match get(opaque, "parameters") {
        None => out.push(|| FieldError::required(at, "")),
        Some(parameters) if !parameters.is_object() => {
            let why = "must be a valid JSON object";
            out.push(|| FieldError::invalid(at, "<value omitted>", why));
        }
        Some(parameters) if parameters.to_string().len() > MAX_PARAMETERS => {
            out.push(|| FieldError::too_long(at, MAX_PARAMETERS));
        }
        Some(_) => {}
    }
}

fn at_most(list: &[Value], max: usize, path: &Path, out: &mut Errors) {
    if list.len() > max {
        out.push(|| FieldError::too_many(path, list.len(), max));
    }
}

/// No two items of a list have the same key.
fn unique<'a>(keys: impl Iterator<Item = &'a str>, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, key) in keys.enumerate() {
        if !seen.insert(key) {
            out.push(|| FieldError::duplicate(path.index(at), key));
        }
    }
}
