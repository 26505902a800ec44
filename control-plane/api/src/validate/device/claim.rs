//! What is asked for, and what was given.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::names;
use crate::object::{self, get, int, is_empty, items, part, text};
use crate::resource::Resource;
use crate::status::{Errors, FieldError};

use super::super::change::Change;
use super::super::path::{Path, invalid, required_choice, required_text};
use super::super::pod::node_selector;
use super::super::volume_source::driver_name;
use super::{at_most, configuration, selectors, slice, taint, unique};

const MAX_REQUESTS: usize = 32;
const MAX_ALTERNATIVES: usize = 8;
const MAX_TOLERATIONS: usize = 16;
const MAX_RESERVED: usize = 256;
const EITHER: &str = "exactly one of `exactly` or `firstAvailable` is required";
const NO_REQUEST: &str = "must be the name of a request in the claim or the name of a request and \
    a subrequest separated by '/'";

/// Names of requests, each with those of its alternatives.
type Requests<'a> = HashMap<&'a str, HashSet<&'a str>>;

pub(super) fn spec(spec: &Value, path: &Path, out: &mut Errors) {
    let (here, devices) = (path.child("devices"), part(spec, "devices"));
    let (at, requests) = (here.child("requests"), items(devices, "requests"));
    at_most(requests, MAX_REQUESTS, &at, out);
    unique(requests.iter().map(|one| text(one, "name")), &at, out);
    for (number, one) in requests.iter().enumerate() {
        request(one, &at.index(number), out);
    }
    let known = named(devices);
    let (at, constraints) = (here.child("constraints"), items(devices, "constraints"));
    at_most(constraints, MAX_REQUESTS, &at, out);
    for (number, one) in constraints.iter().enumerate() {
        let at = at.index(number);
        references(one, &known, &at, out);
        constraint(one, &at, out);
    }
    let (at, configs) = (here.child("config"), items(devices, "config"));
    at_most(configs, super::MAX_CONFIGS, &at, out);
    for (number, one) in configs.iter().enumerate() {
        references(one, &known, &at.index(number), out);
        configuration(one, &at.index(number), out);
    }
}

fn named(devices: &Value) -> Requests<'_> {
    let requests = items(devices, "requests").iter();
    let alternatives = |one| {
        let all = items(one, "firstAvailable").iter();
        all.map(|one| text(one, "name")).collect()
    };
    requests
        .map(|one| (text(one, "name"), alternatives(one)))
        .collect()
}

fn request(one: &Value, path: &Path, out: &mut Errors) {
    let (at, name) = (path.child("name"), text(one, "name"));
    invalid(out, &at, name, names::dns1123_label(name));
    let alternatives = items(one, "firstAvailable");
    match (get(one, "exactly"), alternatives.is_empty()) {
        (None, true) => out.push(|| FieldError::required(path, EITHER)),
        (Some(_), false) => {
            let why = format!("{EITHER}, but multiple fields are set");
            out.push(|| FieldError::invalid(path, Value::Null, why));
        }
        (Some(exactly), true) => devices(exactly, &path.child("exactly"), out),
        (None, false) => {
            let here = path.child("firstAvailable");
            at_most(alternatives, MAX_ALTERNATIVES, &here, out);
            unique(alternatives.iter().map(|one| text(one, "name")), &here, out);
            for (at, one) in alternatives.iter().enumerate() {
                let here = here.index(at);
                let name = text(one, "name");
                invalid(out, &here.child("name"), name, names::dns1123_label(name));
                devices(one, &here, out);
            }
        }
    }
}

fn devices(request: &Value, path: &Path, out: &mut Errors) {
    required_text(
        out,
        request,
        path,
        "deviceClassName",
        names::dns1123_subdomain,
    );
    selectors(request, path, out);
    let (at, count) = (path.child("count"), int(request, "count").unwrap_or(0));
    match text(request, "allocationMode") {
        "All" if count != 0 => {
            let why = "must not be specified when allocationMode is 'All'";
            out.push(|| FieldError::invalid(at, count, why));
        }
        "ExactCount" if count <= 0 => {
            out.push(|| FieldError::invalid(at, count, "must be greater than zero"));
        }
        "All" | "ExactCount" => {}
        mode => {
            let at = path.child("allocationMode");
            out.push(|| FieldError::not_supported(at, mode, &["All", "ExactCount"]));
        }
    }
    let (here, tolerations) = (path.child("tolerations"), items(request, "tolerations"));
    at_most(tolerations, MAX_TOLERATIONS, &here, out);
    for (at, toleration) in tolerations.iter().enumerate() {
        taint::toleration(toleration, &here.index(at), out);
    }
}

/// The requests that a constraint or a configuration is about: all when it names none.
fn references(value: &Value, known: &Requests<'_>, path: &Path, out: &mut Errors) {
    let (here, list) = (path.child("requests"), items(value, "requests"));
    at_most(list, MAX_REQUESTS, &here, out);
    unique(
        list.iter().map(|one| one.as_str().unwrap_or("")),
        &here,
        out,
    );
    for (at, name) in list.iter().enumerate() {
        reference(name.as_str().unwrap_or(""), known, &here.index(at), out);
    }
}

fn reference(name: &str, known: &Requests<'_>, path: &Path, out: &mut Errors) {
    let (request, alternative) = match name.split_once('/') {
        Some((request, alternative)) => (request, Some(alternative)),
        None => (name, None),
    };
    for part in [Some(request), alternative].into_iter().flatten() {
        if !part.contains('/') {
            invalid(out, path, part, names::dns1123_label(part));
        }
    }
    let found = known.get(request).is_some_and(|alternatives| {
        alternative.is_none_or(|alternative| alternatives.contains(alternative))
    });
    if !found {
        out.push(|| FieldError::invalid(path, name, NO_REQUEST));
    }
}

fn constraint(constraint: &Value, path: &Path, out: &mut Errors) {
    let attributes = ["matchAttribute", "distinctAttribute"];
    let mut given = attributes
        .iter()
        .filter_map(|field| Some((*field, get(constraint, field)?.as_str()?)));
    match given.next() {
        Some((field, name)) => {
            let at = path.child(field);
            slice::qualified_name(name, &at, out);
            if !name.contains('/') {
                let why = "a fully qualified name must be a domain and a name separated by a slash";
                out.push(|| FieldError::invalid(at, name, why));
            }
        }
        None => {
            let why = "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but \
                       multiple fields are set";
            out.push(|| FieldError::required(path, why));
        }
    }
}

pub(in super::super) fn status_update(
    resource: &Resource,
    new: &Value,
    old: &Value,
    out: &mut Errors,
) {
    let (path, status) = (Path::new("status"), part(new, "status"));
    reserved(new, old, &path.child("reservedFor"), out);
    let here = path.child("devices");
    let given: HashSet<[&str; 3]> = items(status, "allocation.devices.results")
        .iter()
        .map(identity)
        .collect();
    let mut seen = HashSet::new();
    for (at, device) in items(status, "devices").iter().enumerate() {
        let key = (identity(device), text(device, "shareID"));
        if !seen.insert(key) {
            out.push(|| FieldError::duplicate(here.index(at), identity(device).join("/")));
        }
        if !given.contains(&identity(device)) {
            let why = "must be an allocated device in the claim";
            let shown = identity(device).join("/");
            out.push(|| FieldError::invalid(here.index(at), shown, why));
        }
    }
    let Some(allocation) = get(status, "allocation") else {
        return;
    };
    if get(old, "status.allocation").is_some() {
        Change::of(resource, new, old).immutable(out, "status.allocation");
    } else {
        let known = named(part(new, "spec.devices"));
        allocated(allocation, &known, &path.child("allocation"), out);
    }
}

fn identity(device: &Value) -> [&str; 3] {
    ["driver", "pool", "device"].map(|field| text(device, field))
}

fn reserved(new: &Value, old: &Value, path: &Path, out: &mut Errors) {
    let list = items(new, "status.reservedFor");
    at_most(list, MAX_RESERVED, path, out);
    unique(list.iter().map(|one| text(one, "uid")), path, out);
    for (at, consumer) in list.iter().enumerate() {
        for field in ["resource", "name", "uid"] {
            if is_empty(consumer, field) {
                out.push(|| FieldError::required(path.index(at).child(field), ""));
            }
        }
    }
    if list.is_empty() {
        return;
    }
    if get(new, "status.allocation").is_none() {
        let why = "may not be specified when `allocated` is not set";
        out.push(|| FieldError::forbidden(path, why));
    } else if object::deletion_timestamp(new).is_some() {
        let before: HashSet<&str> = items(old, "status.reservedFor")
            .iter()
            .map(|one| text(one, "uid"))
            .collect();
        if list.iter().any(|one| !before.contains(text(one, "uid"))) {
            let why = "new entries may not be added while `deallocationRequested` or \
                       `deletionTimestamp` are set";
            out.push(|| FieldError::forbidden(path, why));
        }
    }
}

fn allocated(allocation: &Value, known: &Requests<'_>, path: &Path, out: &mut Errors) {
    let here = path.child("devices").child("results");
    let results = items(allocation, "devices.results");
    at_most(results, MAX_REQUESTS, &here, out);
    for (at, result) in results.iter().enumerate() {
        let here = here.index(at);
        reference(text(result, "request"), known, &here.child("request"), out);
        driver_name(text(result, "driver"), &here.child("driver"), out);
        slice::pool_name(text(result, "pool"), &here.child("pool"), out);
        let device = text(result, "device");
        invalid(
            out,
            &here.child("device"),
            device,
            names::dns1123_label(device),
        );
    }
    let here = path.child("devices").child("config");
    let configs = items(allocation, "devices.config");
    at_most(configs, 2 * super::MAX_CONFIGS, &here, out);
    for (at, config) in configs.iter().enumerate() {
        let here = here.index(at);
        let sources = ["FromClaim", "FromClass"];
        required_choice(out, config, &here, "source", &sources);
        references(config, known, &here, out);
        configuration(config, &here, out);
    }
    if let Some(selector) = get(allocation, "nodeSelector") {
        node_selector(selector, &path.child("nodeSelector"), out);
    }
}
