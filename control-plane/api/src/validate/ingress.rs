//! Ingresses.

use serde_json::Value;

use crate::names;
use crate::object::{entry, get, int, is_empty, items, part, text};
use crate::status::{Errors, FieldError};

use super::address::ip;
use super::path::{Path, invalid, optional_text, required_text};

const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDINGS: [&str; 2] = ["/..", "/."];
const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const NO_ADDRESS: &str = "must be a DNS name, not an IP address";

pub(super) fn create(value: &Value, out: &mut Errors) {
    update(value, out);
    let said = entry(value, "metadata.annotations", CLASS_ANNOTATION).and_then(Value::as_str);
    let class = get(value, "spec.ingressClassName").and_then(Value::as_str);
    if let (Some(said), Some(class)) = (said, class)
        && said != class
    {
        let at = Path::new("annotations").child(CLASS_ANNOTATION);
        let why = "must match `ingressClassName` when both are specified";
        out.push(|| FieldError::invalid(at, said, why));
    }
}

pub(super) fn update(value: &Value, out: &mut Errors) {
    let (path, spec) = (Path::new("spec"), part(value, "spec"));
    if is_empty(spec, "rules") && get(spec, "defaultBackend").is_none() {
        let shown = part(spec, "rules");
        let why = "either `defaultBackend` or `rules` must be specified";
        out.push(|| FieldError::invalid(&path, shown, why));
    }
    if let Some(default) = get(spec, "defaultBackend") {
        backend(default, &path.child("defaultBackend"), out);
    }
    for (at, one) in items(spec, "rules").iter().enumerate() {
        rule(one, &path.child("rules").index(at), out);
    }
    for (at, tls) in items(spec, "tls").iter().enumerate() {
        let here = path.child("tls").index(at);
        for (at, name) in items(tls, "hosts").iter().enumerate() {
            host(
                name.as_str().unwrap_or(""),
                &here.child("hosts").index(at),
                out,
            );
        }
        optional_text(out, tls, &here, "secretName", names::dns1123_subdomain);
    }
    if let Some(class) = get(spec, "ingressClassName").and_then(Value::as_str) {
        let at = path.child("ingressClassName");
        invalid(out, &at, class, names::dns1123_subdomain(class));
    }
}

fn host(name: &str, path: &Path, out: &mut Errors) {
    let wrong = if name.contains('*') {
        names::wildcard_subdomain(name)
    } else {
        names::dns1123_subdomain(name)
    };
    invalid(out, path, name, wrong);
}

fn rule(rule: &Value, path: &Path, out: &mut Errors) {
    let name = text(rule, "host");
    if !name.is_empty() {
        let at = path.child("host");
        if ip(name).is_empty() {
            out.push(|| FieldError::invalid(&at, name, NO_ADDRESS));
        }
        host(name, &at, out);
    }
    let Some(http) = get(rule, "http") else {
        return;
    };
    let here = path.child("http").child("paths");
    if is_empty(http, "paths") {
        out.push(|| FieldError::required(&here, ""));
    }
    for (at, one) in items(http, "paths").iter().enumerate() {
        http_path(one, &here.index(at), out);
    }
}

fn http_path(one: &Value, path: &Path, out: &mut Errors) {
    let (at, target) = (path.child("path"), text(one, "path"));
    let mut wrong = Vec::new();
    match text(one, "pathType") {
        "" if get(one, "pathType").is_none() => {
            let why = "pathType must be specified";
            out.push(|| FieldError::required(path.child("pathType"), why));
            return;
        }
        "Exact" | "Prefix" => {
            if !target.starts_with('/') {
                wrong.push("must be an absolute path".to_owned());
            }
            let inside = BAD_SEQUENCES.iter().filter(|bad| target.contains(**bad));
            wrong.extend(inside.map(|bad| format!("must not contain '{bad}'")));
            let ends = BAD_ENDINGS.iter().filter(|bad| target.ends_with(**bad));
            wrong.extend(ends.map(|bad| format!("cannot end with '{bad}'")));
        }
        "ImplementationSpecific" => {
            if !target.is_empty() && !target.starts_with('/') {
                wrong.push("must be an absolute path".to_owned());
            }
        }
        other => {
            let at = path.child("pathType");
            out.push(|| FieldError::not_supported(at, other, &PATH_TYPES));
        }
    }
    invalid(out, &at, target, wrong);
    backend(part(one, "backend"), &path.child("backend"), out);
}

fn backend(backend: &Value, path: &Path, out: &mut Errors) {
    match (get(backend, "resource"), get(backend, "service")) {
        (Some(_), Some(_)) => {
            let why = "cannot set both resource and service backends";
            out.push(|| FieldError::invalid(path, "", why));
        }
        (Some(resource), None) => reference(resource, &path.child("resource"), out),
        (None, Some(service)) => service_backend(service, path, out),
        (None, None) => {
            let why = "resource or service backend is required";
            out.push(|| FieldError::invalid(path, "", why));
        }
    }
}

fn service_backend(service: &Value, path: &Path, out: &mut Errors) {
    let here = path.child("service");
    required_text(out, service, &here, "name", names::dns1123_label);
    let (name, number) = (
        text(service, "port.name"),
        int(service, "port.number").unwrap_or(0),
    );
    let here = here.child("port");
    match (name, number) {
        ("", 0) => out.push(|| FieldError::required(path, "port name or number is required")),
        ("", _) => invalid(
            out,
            &here.child("number"),
            number,
            names::port_number(number),
        ),
        (_, 0) => invalid(out, &here.child("name"), name, names::port_name(name)),
        _ => {
            let why = "cannot set both port name & port number";
            out.push(|| FieldError::invalid(path, "", why));
        }
    }
}

/// An object of another kind, in the same namespace.
pub(super) fn reference(reference: &Value, path: &Path, out: &mut Errors) {
    if let Some(group) = get(reference, "apiGroup").and_then(Value::as_str) {
        let at = path.child("apiGroup");
        invalid(out, &at, group, names::dns1123_subdomain(group));
    }
    for field in ["kind", "name"] {
        required_text(out, reference, path, field, names::path_segment);
    }
}

pub(super) fn status_update(value: &Value, out: &mut Errors) {
    let path = Path::new("status.loadBalancer.ingress");
    let points = items(value, "status.loadBalancer.ingress");
    for (at, point) in points.iter().enumerate() {
        let here = path.index(at);
        optional_text(out, point, &here, "ip", ip);
        optional_text(out, point, &here, "hostname", names::dns1123_subdomain);
        let name = text(point, "hostname");
        if ip(name).is_empty() {
            out.push(|| FieldError::invalid(here.child("hostname"), name, NO_ADDRESS));
        }
    }
}
