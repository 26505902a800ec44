//! What devices there are, and where.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::names;
use crate::object::{entries, flag, get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::super::path::{Path, invalid, required_text};
use super::super::pod::node_selector;
use super::super::volume_source::driver_name;
use super::{at_most, taint, unique};

const MAX_POOL: usize = 253;
const MAX_DEVICES: usize = 128;
/// The same where devices have taints or use counters.
const MAX_ADVANCED: usize = 64;
const MAX_COUNTER_SETS: usize = 8;
const MAX_COUNTERS: usize = 32;
const MAX_CONSUMED: usize = 2;
const MAX_ATTRIBUTES: usize = 32;
const MAX_TAINTS: usize = 16;
const MAX_CONDITIONS: usize = 4;
const MAX_ID: usize = 32;
const MAX_VALUE: usize = 64;
const ONE_OF: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, \
    `perDeviceNodeSelection` is required";
const ONE_OF_DEVICE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required \
    when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";

pub(super) fn spec(spec: &Value, path: &Path, out: &mut Errors) {
    driver_name(text(spec, "driver"), &path.child("driver"), out);
    pool(part(spec, "pool"), &path.child("pool"), out);
    let fields = [
        "nodeName",
        "nodeSelector",
        "allNodes",
        "perDeviceNodeSelection",
    ];
    let given = places(spec, &fields, path, out);
    one_of(&given, path, ONE_OF, out);
    let terms = items(spec, "nodeSelector.nodeSelectorTerms");
    if get(spec, "nodeSelector").is_some() && terms.len() != 1 {
        let at = path.child("nodeSelector").child("nodeSelectorTerms");
        let why = "must have exactly one node selector term";
        out.push(|| FieldError::invalid(at, terms, why));
    }
    let both = ["sharedCounters", "devices"]
        .iter()
        .all(|field| get(spec, field).is_some());
    if both {
        let why = "only one of `sharedCounters` or `devices` is allowed";
        out.push(|| FieldError::invalid(path, "", why));
    }
    let (here, devices) = (path.child("devices"), items(spec, "devices"));
    let advanced = |one: &Value| !is_empty(one, "taints") || !is_empty(one, "consumesCounters");
    let max = if devices.iter().any(advanced) {
        MAX_ADVANCED
    } else {
        MAX_DEVICES
    };
    at_most(devices, max, &here, out);
    unique(devices.iter().map(|one| text(one, "name")), &here, out);
    let placed = flag(spec, "perDeviceNodeSelection");
    for (at, one) in devices.iter().enumerate() {
        device(one, placed, &here.index(at), out);
    }
    let (here, sets) = (path.child("sharedCounters"), items(spec, "sharedCounters"));
    at_most(sets, MAX_COUNTER_SETS, &here, out);
    unique(sets.iter().map(|one| text(one, "name")), &here, out);
    for (at, set) in sets.iter().enumerate() {
        counters(set, "name", &here.index(at), out);
    }
}

fn pool(pool: &Value, path: &Path, out: &mut Errors) {
    pool_name(text(pool, "name"), &path.child("name"), out);
    let count = int(pool, "resourceSliceCount").unwrap_or(0);
    if count <= 0 {
        let at = path.child("resourceSliceCount");
        out.push(|| FieldError::invalid(at, count, "must be greater than zero"));
    }
    if let Some(generation) = int(pool, "generation").filter(|one| *one < 0) {
        let why = "must be greater than or equal to zero";
        out.push(|| FieldError::invalid(path.child("generation"), generation, why));
    }
}

/// Names joined by slashes.
pub(super) fn pool_name(name: &str, path: &Path, out: &mut Errors) {
    if name.is_empty() {
        out.push(|| FieldError::required(path, ""));
        return;
    }
    if name.len() > MAX_POOL {
        out.push(|| FieldError::too_long(path, MAX_POOL));
    }
    for part in name.split('/') {
        invalid(out, path, part, names::dns1123_subdomain(part));
    }
}

/// Which ways of saying where devices are, are used.
fn places<'a>(value: &Value, fields: &[&'a str], path: &Path, out: &mut Errors) -> Vec<&'a str> {
    let mut given = Vec::new();
    for field in fields {
        let (Some(found), at) = (get(value, field), path.child(field)) else {
            continue;
        };
        match found {
            Value::String(name) if name.is_empty() => {
                let why = "must be either unset or set to a non-empty string";
                out.push(|| FieldError::invalid(at, "", why));
                continue;
            }
            Value::String(name) => {
                invalid(out, &at, name.as_str(), names::dns1123_subdomain(name));
            }
            Value::Bool(false) => {
                let why = "must be either unset or set to true";
                out.push(|| FieldError::invalid(at, false, why));
                continue;
            }
            Value::Object(_) => node_selector(found, &at, out),
            _ => {}
        }
        given.push(*field);
    }
    given
}

fn one_of(given: &[&str], path: &Path, why: &str, out: &mut Errors) {
    if given.is_empty() {
        out.push(|| FieldError::required(path, why));
    } else if given.len() > 1 {
        let fields: Vec<String> = given.iter().map(|field| format!("`{field}`")).collect();
        let shown = format!("{{{}}}", fields.join(", "));
        let why = format!("{why}, but multiple fields are set");
        out.push(|| FieldError::invalid(path, shown, why));
    }
}

fn device(device: &Value, placed: bool, path: &Path, out: &mut Errors) {
    let (at, name) = (path.child("name"), text(device, "name"));
    invalid(out, &at, name, names::dns1123_label(name));
    let count = ["attributes", "capacity"]
        .iter()
        .map(|field| entries(device, field).count())
        .sum::<usize>();
    if count > MAX_ATTRIBUTES {
        let why = format!(
            "the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}"
        );
        out.push(|| FieldError::invalid(path, count, why));
    }
    for (name, value) in entries(device, "attributes") {
        let here = path.child("attributes");
        qualified_name(name, &here, out);
        attribute(value, &here.key(name), out);
    }
    for (name, value) in entries(device, "capacity") {
        let here = path.child("capacity");
        qualified_name(name, &here, out);
        if get(value, "requestPolicy").is_some() && !flag(device, "allowMultipleAllocations") {
            let at = here.key(name).child("requestPolicy");
            let why = "allowMultipleAllocations must be true";
            out.push(|| FieldError::forbidden(at, why));
        }
    }
    let (here, taints) = (path.child("taints"), items(device, "taints"));
    at_most(taints, MAX_TAINTS, &here, out);
    for (at, one) in taints.iter().enumerate() {
        taint::taint(one, &here.index(at), out);
    }
    let here = path.child("consumesCounters");
    let consumed = items(device, "consumesCounters");
    at_most(consumed, MAX_CONSUMED, &here, out);
    unique(
        consumed.iter().map(|one| text(one, "counterSet")),
        &here,
        out,
    );
    for (at, one) in consumed.iter().enumerate() {
        counters(one, "counterSet", &here.index(at), out);
    }
    place(device, placed, path, out);
    binding_conditions(device, path, out);
}

fn place(device: &Value, placed: bool, path: &Path, out: &mut Errors) {
    let fields = ["nodeName", "nodeSelector", "allNodes"];
    if placed {
        let given = places(device, &fields, path, out);
        one_of(&given, path, ONE_OF_DEVICE, out);
    } else if fields.iter().any(|field| get(device, field).is_some()) {
        let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if \
                   `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
        out.push(|| FieldError::invalid(path, Value::Null, why));
    }
}

/// `name` or `example.com/name`.
pub(super) fn qualified_name(name: &str, path: &Path, out: &mut Errors) {
    let id = match name.split_once('/') {
        Some(("", id)) => {
            let why = "the domain must not be empty";
            out.push(|| FieldError::invalid(path, "", why));
            id
        }
        Some((domain, id)) => {
            driver_name(domain, path, out);
            id
        }
        None => name,
    };
    if id.is_empty() && name.contains('/') {
        out.push(|| FieldError::invalid(path, "", "the name must not be empty"));
        return;
    }
    if id.len() > MAX_ID {
        out.push(|| FieldError::too_long(path, MAX_ID));
    }
    invalid(out, path, id, names::c_identifier(id));
}

fn attribute(attribute: &Value, path: &Path, out: &mut Errors) {
    let empty = Map::new();
    let given = attribute.as_object().unwrap_or(&empty);
    for (field, value) in given {
        let here = path.child(field);
        if value.as_array().is_some_and(Vec::is_empty) {
            let why = "must not be empty if specified";
            out.push(|| FieldError::invalid(&here, value, why));
        }
        let texts = match value {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        for text in texts.iter().filter_map(Value::as_str) {
            if field.starts_with("version") && !is_semantic_version(text) {
                let why = "must be a string compatible with semver.org spec 2.0.0";
                out.push(|| FieldError::invalid(&here, text, why));
            }
            if text.len() > MAX_VALUE {
                out.push(|| FieldError::too_long(&here, MAX_VALUE));
            }
        }
    }
    if given.len() != 1 {
        let shown = if given.is_empty() {
            "".into()
        } else {
            attribute.clone()
        };
        let why = "exactly one value must be specified";
        out.push(|| FieldError::invalid(path, shown, why));
    }
}

/// `1.2.3-alpha.1+build`.
fn is_semantic_version(text: &str) -> bool {
    let (rest, build) = match text.split_once('+') {
        Some((rest, build)) => (rest, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match rest.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (rest, None),
    };
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        |part: &str| !part.is_empty() && digits(part) && (part == "0" || !part.starts_with('0'));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| {
            pre.split('.')
                .all(|part| word(part) && (!digits(part) || number(part)))
        })
        && build.is_none_or(|build| build.split('.').all(word))
}

fn counters(set: &Value, name: &str, path: &Path, out: &mut Errors) {
    required_text(out, set, path, name, names::dns1123_label);
    let here = path.child("counters");
    let count = entries(set, "counters").count();
    if count == 0 {
        out.push(|| FieldError::required(&here, ""));
    } else if count > MAX_COUNTERS {
        out.push(|| FieldError::too_many(&here, count, MAX_COUNTERS));
    }
    for (name, _) in entries(set, "counters") {
        invalid(out, &here, name, names::dns1123_label(name));
    }
}

/// What must be true of a device, and what must not, before a pod is bound to it.
fn binding_conditions(device: &Value, path: &Path, out: &mut Errors) {
    let lists = ["bindingConditions", "bindingFailureConditions"];
    let wanted: HashSet<&str> = items(device, lists[0])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for field in lists {
        let (here, list) = (path.child(field), items(device, field));
        at_most(list, MAX_CONDITIONS, &here, out);
        unique(
            list.iter().map(|one| one.as_str().unwrap_or("")),
            &here,
            out,
        );
        for (at, name) in list.iter().enumerate() {
            let (here, name) = (here.index(at), name.as_str().unwrap_or(""));
            invalid(out, &here, name, names::qualified_name(name));
            if field == lists[1] && wanted.contains(name) {
                let why = "bindingFailureConditions must not overlap with bindingConditions";
                out.push(|| FieldError::invalid(here, name, why));
            }
        }
    }
    for (field, other) in [(lists[0], lists[1]), (lists[1], lists[0])] {
        if is_empty(device, field) && !is_empty(device, other) {
            let why = format!("{field} are required to use {other}");
            let shown = items(device, field);
            out.push(|| FieldError::invalid(path.child(field), shown, why));
        }
    }
}
