//! Storage drivers: what they can do, and the nodes they run on.

use std::collections::HashSet;

use serde_json::Value;

use crate::names;
use crate::object::{by_name, get, int, is_empty, items, part, remove, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::IMMUTABLE;
use super::change::Change;
use super::path::{Path, invalid, not_negative, optional_choice};
use super::semantic::normal;
use super::volume_source::{at_least, driver_name};

const MAX_NODE_ID: usize = 256;
const DRIVER_TYPE: &str = "io.k8s.api.storage.v1.CSINodeDriver";
const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];
const MODES: [&str; 2] = ["Persistent", "Ephemeral"];

pub(super) fn driver(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    optional_choice(out, spec, &path, "fsGroupPolicy", &GROUP_POLICIES);
    token_requests(spec, &path.child("tokenRequests"), out);
    for mode in items(spec, "volumeLifecycleModes") {
        let mode = mode.as_str().unwrap_or("");
        if !MODES.contains(&mode) {
            let at = path.child("volumeLifecycleModes");
            out.push(|| FieldError::not_supported(at, mode, &MODES));
        }
    }
    let period = ("nodeAllocatableUpdatePeriodSeconds", 10);
    let why = "must be greater than or equal to 10 seconds";
    at_least(out, spec, &path, period, why);
    let field = "serviceAccountTokenInSecrets";
    if let Some(value) = get(spec, field).filter(|_| is_empty(spec, "tokenRequests")) {
        let why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        out.push(|| FieldError::invalid(path.child(field), value, why));
    }
}

fn token_requests(spec: &Value, path: &Path, out: &mut Errors) {
    let mut seen = HashSet::new();
    for (at, request) in items(spec, "tokenRequests").iter().enumerate() {
        let (here, audience) = (path.index(at), text(request, "audience"));
        if !seen.insert(audience) {
            out.push(|| FieldError::duplicate(here.child("audience"), audience));
            continue;
        }
        let seconds = int(request, "expirationSeconds").unwrap_or(600);
        let why = match seconds {
            ..600 => "may not specify a duration less than 10 minutes",
            600..=0x1_0000_0000 => continue,
            _ => "may not specify a duration larger than 2^32 seconds",
        };
        out.push(|| FieldError::invalid(here.child("expirationSeconds"), seconds, why));
    }
}

pub(super) fn driver_update(resource: &Resource, new: &Value, old: &Value, out: &mut Errors) {
    driver(new, out);
    let change = Change::of(resource, new, old);
    if change.differs("spec.attachRequired") {
        let shown = part(new, "spec.attachRequired");
        // Upstream's path has a letter more than the field.
        out.push(|| FieldError::invalid("spec.attachedRequired", shown, IMMUTABLE));
    }
    change.immutable(out, "spec.volumeLifecycleModes");
}

pub(super) fn node(value: &Value, out: &mut Errors) {
    let path = Path::new("spec.drivers");
    let mut seen = HashSet::new();
    for (at, driver) in items(value, "spec.drivers").iter().enumerate() {
        let (here, name) = (path.index(at), text(driver, "name"));
        driver_name(name, &here.child("name"), out);
        let id = text(driver, "nodeID");
        if id.is_empty() {
            out.push(|| FieldError::required(here.child("nodeID"), ""));
        } else if id.len() > MAX_NODE_ID {
            let why = format!("must be {MAX_NODE_ID} characters or less");
            out.push(|| FieldError::invalid(here.child("nodeID"), id, why));
        }
        let room = part(driver, "allocatable");
        not_negative(out, room, &here.child("allocatable"), "count");
        if !seen.insert(name) {
            out.push(|| FieldError::duplicate(here.child("name"), name));
        }
        let mut keys = HashSet::new();
        for key in items(driver, "topologyKeys") {
            let key = key.as_str().unwrap_or("");
            if key.is_empty() {
                out.push(|| FieldError::required(&here, ""));
            }
            if !keys.insert(key) {
                out.push(|| FieldError::duplicate(&here, key));
            }
            invalid(out, &here, key, names::qualified_name(key));
        }
    }
}

/// A driver that stays on a node stays as it is, but for how many volumes there is room for.
pub(super) fn node_update(new: &Value, old: &Value, out: &mut Errors) {
    node(new, out);
    let fixed = |driver: &Value| {
        let mut driver = driver.clone();
        remove(&mut driver, "allocatable");
        normal(&driver, DRIVER_TYPE)
    };
    let drivers = by_name(new, "spec.drivers");
    for before in items(old, "spec.drivers") {
        if let Some(now) = drivers.get(text(before, "name"))
            && fixed(now) != fixed(before)
        {
            out.push(|| FieldError::invalid("spec.drivers", fixed(now), IMMUTABLE));
        }
    }
}
